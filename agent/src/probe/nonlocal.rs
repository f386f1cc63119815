//! Why a proxy may not run on a node that does not hold the virtual addresses: it binds them itself, and the kernel lets nobody
//! bind an address that the node does not have, unless it is told to.

use std::path::Path;

use holdfast_health::{Outcome, Run};
use holdfast_vrrp::Family;

use super::check::Scene;

/// Where the kernel shows its settings. Of those below `net` each network namespace has its own, and whoever reads sees his.
const SETTINGS: &str = "/proc/sys";

/// The state of a group whose addresses are on this node.
const HOLDS: &str = "Active";

/// What a run found of a proxy that may bind addresses of these families, and this explanation if it may apply.
pub fn explained(run: Run, may_bind: &[Family], scene: &Scene) -> Run {
    explained_by(Path::new(SETTINGS), run, may_bind, scene)
}

fn explained_by(settings: &Path, run: Run, may_bind: &[Family], scene: &Scene) -> Run {
    if run.outcome != Outcome::Failed || scene.state == HOLDS {
        return run;
    }
    let refused = |family: &&Family| !is_allowed(settings, **family);
    let refused: Vec<Family> = may_bind.iter().filter(refused).copied().collect();
    if refused.is_empty() {
        return run;
    }
    let each = |word: fn(Family) -> &'static str| {
        let words: Vec<&str> = refused.iter().copied().map(word).collect();
        words.join(" and ")
    };
    Run {
        message: format!(
            "{}; if it binds the virtual address itself, it cannot start on a node that does not hold it: bind {}, or set {}",
            run.message,
            each(everything),
            each(setting),
        ),
        ..run
    }
}

/// Whether the kernel lets programs bind addresses that the node does not have. One that does not say so has no such family.
fn is_allowed(settings: &Path, family: Family) -> bool {
    let path = match family {
        Family::V4 => "net/ipv4/ip_nonlocal_bind",
        Family::V6 => "net/ipv6/ip_nonlocal_bind",
    };
    std::fs::read_to_string(settings.join(path)).map_or(true, |set| set.trim() != "0")
}

const fn everything(family: Family) -> &'static str {
    match family {
        Family::V4 => "0.0.0.0",
        Family::V6 => "[::]",
    }
}

const fn setting(family: Family) -> &'static str {
    match family {
        Family::V4 => "net.ipv4.ip_nonlocal_bind=1",
        Family::V6 => "net.ipv6.ip_nonlocal_bind=1",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const REFUSED: &str = "connection refused";

    /// What is said of a proxy that may bind these families, with IPv4's setting and IPv6's, in a state, after a run.
    fn said(may_bind: &[Family], set: [&str; 2], state: &'static str, outcome: Outcome) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (family, set) in ["ipv4", "ipv6"].into_iter().zip(set) {
            let of_family = folder.path().join("net").join(family);
            fs::create_dir_all(&of_family).unwrap();
            fs::write(of_family.join("ip_nonlocal_bind"), set).unwrap();
        }
        let scene = Scene {
            state,
            ..Scene::example()
        };
        explained_by(folder.path(), Run::new(outcome, REFUSED), may_bind, &scene).message
    }

    #[test]
    fn a_proxy_that_does_not_run_where_the_address_is_not_is_explained() {
        assert_eq!(
            said(&[Family::V4], ["0\n", "0\n"], "Backup", Outcome::Failed),
            "connection refused; if it binds the virtual address itself, it cannot start on a node that does not hold it: \
             bind 0.0.0.0, or set net.ipv4.ip_nonlocal_bind=1"
        );
        let both = said(
            &[Family::V4, Family::V6],
            ["0\n", "0\n"],
            "Fault",
            Outcome::Failed,
        );
        assert!(
            both.ends_with(
                "bind 0.0.0.0 and [::], or set net.ipv4.ip_nonlocal_bind=1 and net.ipv6.ip_nonlocal_bind=1"
            ),
            "{both}"
        );
    }

    #[test]
    fn what_cannot_be_the_cause_is_not_named() {
        let zero = ["0\n", "0\n"];
        let v4 = &[Family::V4];
        for plain in [
            said(&[], zero, "Backup", Outcome::Failed),
            said(v4, ["1\n", "0\n"], "Backup", Outcome::Failed),
            said(v4, zero, "Active", Outcome::Failed),
            said(v4, zero, "Backup", Outcome::TimedOut),
            said(v4, zero, "Backup", Outcome::Passed),
        ] {
            assert_eq!(plain, REFUSED);
        }
    }

    #[test]
    fn a_kernel_without_the_setting_is_not_blamed() {
        let folder = tempfile::tempdir().unwrap();
        let run = Run::new(Outcome::Failed, REFUSED);
        let backup = Scene {
            state: "Backup",
            ..Scene::example()
        };
        let run = explained_by(folder.path(), run, &[Family::V6], &backup);
        assert_eq!(run.message, REFUSED);
    }
}
