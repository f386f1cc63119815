//! Looks at another interface: passes while it is up and can carry something.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use holdfast_health::{Outcome, Run};
use nix::errno::Errno;

use super::kernel::{self, Link};
use super::turn::Turns;
use crate::probe::check::{Check, Scene};

const HELD_UP: &str = "an earlier run still waits for the kernel to show the interface";

/// Looks at an interface again and again.
#[derive(Debug)]
pub struct Interface {
    name: String,
    turns: Turns,
}

impl Interface {
    /// Of this name.
    pub fn new(name: String) -> Self {
        Self {
            name,
            turns: Turns::default(),
        }
    }
}

impl Check for Interface {
    fn run<'a>(&'a mut self, _scene: &'a Scene) -> BoxFuture<'a, Run> {
        let name = self.name.clone();
        self.turns
            .work(HELD_UP, move || judge(&name, kernel::link(&name)))
            .map(|result| result.unwrap_or_else(|run| run))
            .boxed()
    }
}

fn judge(name: &str, link: Result<Option<Link>, Errno>) -> Run {
    let has = |link: Link, flag: libc::c_int| link.flags & flag.cast_unsigned() != 0;
    match link {
        Ok(Some(link)) if !has(link, libc::IFF_UP) => Run::new(
            Outcome::Failed,
            format!("{name} is down: `ip link set {name} up`"),
        ),
        Ok(Some(link)) if !has(link, libc::IFF_LOWER_UP) => {
            Run::new(Outcome::Failed, format!("{name} has no carrier"))
        }
        Ok(Some(link)) if !has(link, libc::IFF_RUNNING) => Run::new(
            Outcome::Failed,
            format!("{name} has a carrier, but is not ready to carry anything"),
        ),
        Ok(Some(_)) => Run::new(Outcome::Passed, ""),
        Ok(None) => Run::new(Outcome::Failed, format!("{name} does not exist")),
        Err(error) => Run::new(
            Outcome::CouldNotRun,
            format!("the kernel does not show {name}: {error}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_to_be_up_with_a_carrier_and_ready() {
        let of = |flags: libc::c_int| {
            let link = Link {
                index: 2,
                flags: flags.cast_unsigned(),
                mac: None,
            };
            let run = judge("eth1", Ok(Some(link)));
            (run.outcome, run.message)
        };
        let failed = |message: &str| (Outcome::Failed, message.to_owned());
        assert_eq!(
            of(libc::IFF_UP | libc::IFF_LOWER_UP | libc::IFF_RUNNING),
            (Outcome::Passed, String::new())
        );
        assert_eq!(of(0), failed("eth1 is down: `ip link set eth1 up`"));
        assert_eq!(of(libc::IFF_UP), failed("eth1 has no carrier"));
        assert_eq!(
            of(libc::IFF_UP | libc::IFF_LOWER_UP),
            failed("eth1 has a carrier, but is not ready to carry anything")
        );
        assert_eq!(judge("eth1", Ok(None)).message, "eth1 does not exist");
        assert_eq!(judge("eth1", Err(Errno::EPERM)).outcome, Outcome::CouldNotRun);
    }
}
