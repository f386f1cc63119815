//! Whether this process may do what an agent does, asked before it waits or starts anything.

use std::fs;

use super::exit::Failure;

/// The capabilities an agent cannot do without, with their numbers (capabilities(7)).
const NEEDED: [(&str, u32); 2] = [("CAP_NET_ADMIN", 12), ("CAP_NET_RAW", 13)];

/// Fails with the capabilities that are missing. A standby asks too: it would otherwise find out when it is needed.
pub fn check() -> Result<(), Failure> {
    // Without /proc there is no answer; the engine's first socket gives it then.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let missing = missing(&status);
    if missing.is_empty() {
        return Ok(());
    }
    let verb = if missing.len() == 1 { "is" } else { "are" };
    Err(Failure::NoPrivilege(format!(
        "not privileged: {} {verb} missing, and without raw sockets and the right to bind addresses there is no VRRP",
        missing.join(" and ")
    )))
}

fn missing(status: &str) -> Vec<&'static str> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let Some(mask) = effective else { return Vec::new() };
    NEEDED
        .iter()
        .filter(|(_, bit)| mask & (1 << bit) == 0)
        .map(|(name, _)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_capability_is_named() {
        let status = |mask: &str| format!("Name:\tagent\nCapEff:\t{mask}\nCapBnd:\t0\n");
        assert_eq!(missing(&status("0000000000003000")), Vec::<&str>::new());
        assert_eq!(missing(&status("0000000000001000")), ["CAP_NET_RAW"]);
        assert_eq!(missing(&status("0000000000002000")), ["CAP_NET_ADMIN"]);
        assert_eq!(
            missing(&status("0000000000000000")),
            ["CAP_NET_ADMIN", "CAP_NET_RAW"]
        );
        assert_eq!(missing("nothing known"), Vec::<&str>::new());
    }
}
