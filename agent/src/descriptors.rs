//! How many descriptors the agent may have open, and how many the programs that it starts.
//!
//! Every run of a probe over the network has one while it lasts. The usual limit of 1024 is soft, because programs that use
//! select(2) cannot handle higher numbers: the agent can, the programs it starts may not, and get what it was given.

use std::io;
use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A soft and a hard limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// What holds.
    pub soft: u64,
    /// What a process may raise it to.
    pub hard: u64,
}

static GIVEN: OnceLock<Limit> = OnceLock::new();

/// The limit that the agent was started with.
pub fn given() -> io::Result<Limit> {
    if let Some(limit) = GIVEN.get() {
        return Ok(*limit);
    }
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(*GIVEN.get_or_init(|| Limit { soft, hard }))
}

/// Raises the limit of this process to what it may be.
pub fn raise() -> io::Result<()> {
    let Limit { hard, .. } = given()?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one_and_what_was_given_is_remembered() {
        let before = given().unwrap();
        raise().unwrap();
        let raised = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(raised, (before.hard, before.hard));
        assert_eq!(given().unwrap(), before);
    }
}
