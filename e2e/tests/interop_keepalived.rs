//! Holdfast beside keepalived in every mode, both ways round: who serves, who takes over and when, and that one node
//! alone holds the addresses afterwards.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{fs, net::IpAddr, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use holdfast_e2e::{
    Group, Pair, Result, Router,
    formula::{MARGIN_ALONE, MARGIN_BESIDE, Timing},
    look,
    pair::{PATIENCE, Scene, plug_again},
};
use holdfast_lab::{
    Node,
    harness::{Case, Outcome, main as run},
    keepalived::VrrpInstance,
};

const ROUTER_ID: u8 = 51;
const PREFERRED: u8 = 200;
const OTHER: u8 = 100;
const PASSWORD: &str = "s3cret";

fn main() -> std::process::ExitCode {
    use Preferred::{Holdfast, Keepalived};
    run(&[
        Case::new("v2_multicast_with_holdfast_preferred", || {
            beside(Mode::V2, Holdfast)
        }),
        Case::new("v2_multicast_with_keepalived_preferred", || {
            beside(Mode::V2, Keepalived)
        }),
        Case::new("v2_password_with_holdfast_preferred", || {
            beside(Mode::PASSWORD, Holdfast)
        }),
        Case::new("v2_password_with_keepalived_preferred", || {
            beside(Mode::PASSWORD, Keepalived)
        }),
        Case::new("v3_multicast_at_1_s_with_keepalived_preferred", || {
            beside(Mode::v3(1000), Keepalived)
        }),
        Case::new("v3_unicast_at_1_s_with_keepalived_preferred", || {
            beside(Mode::v3(1000).unicast(), Keepalived)
        }),
        Case::new("v3_ipv6_at_1_s_with_holdfast_preferred", || {
            beside(Mode::v3(1000).ipv6(), Holdfast)
        }),
        Case::new("v3_multicast_at_100_ms_with_holdfast_preferred", || {
            alone(Mode::v3(100), Holdfast)
        })
        .alone(),
        Case::new("v3_multicast_at_100_ms_with_keepalived_preferred", || {
            alone(Mode::v3(100), Keepalived)
        })
        .alone(),
        Case::new("v3_multicast_at_10_ms_with_holdfast_preferred", || {
            alone(Mode::v3(10), Holdfast)
        })
        .alone(),
        Case::new("v3_multicast_at_10_ms_with_keepalived_preferred", || {
            alone(Mode::v3(10), Keepalived)
        })
        .alone(),
        Case::new("v3_unicast_at_100_ms_with_holdfast_preferred", || {
            alone(Mode::v3(100).unicast(), Holdfast)
        })
        .alone(),
        Case::new("v3_unicast_at_100_ms_with_keepalived_preferred", || {
            alone(Mode::v3(100).unicast(), Keepalived)
        })
        .alone(),
        Case::new("v3_ipv6_at_100_ms_with_holdfast_preferred", || {
            alone(Mode::v3(100).ipv6(), Holdfast)
        })
        .alone(),
        Case::new("v3_ipv6_at_100_ms_with_keepalived_preferred", || {
            alone(Mode::v3(100).ipv6(), Keepalived)
        })
        .alone(),
    ])
}

/// Which of the two is on node a, with the higher priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Preferred {
    Holdfast,
    Keepalived,
}

/// How the two speak to each other.
#[derive(Clone, Copy, Debug)]
struct Mode {
    timing: Timing,
    unicast: bool,
    ipv6: bool,
    password: bool,
}

impl Mode {
    const V2: Self = Self {
        timing: Timing::V2,
        unicast: false,
        ipv6: false,
        password: false,
    };
    const PASSWORD: Self = Self {
        password: true,
        ..Self::V2
    };

    fn v3(millis: u64) -> Self {
        Self {
            timing: Timing::v3(millis),
            ..Self::V2
        }
    }

    fn unicast(self) -> Self {
        Self {
            unicast: true,
            ..self
        }
    }

    fn ipv6(self) -> Self {
        Self { ipv6: true, ..self }
    }

    /// Several addresses, so that all of them are seen to move; for IPv6 a link-local one first (RFC 9568 §5.2.9).
    fn addresses(self) -> &'static [&'static str] {
        if self.ipv6 {
            &["fe80::100/64", "fd77::100/64"]
        } else {
            &["10.77.0.100/24", "10.77.0.101/24"]
        }
    }

    /// Those of the addresses that a client can ask without naming an interface.
    fn vips(self) -> Vec<IpAddr> {
        let bare = self
            .addresses()
            .iter()
            .filter_map(|written| written.split('/').next());
        bare.filter(|bare| !bare.starts_with("fe80"))
            .map(|bare| bare.parse().unwrap())
            .collect()
    }

    fn holdfast(self, own: &Node, peer: &Node, priority: u8) -> Result<Router> {
        let mut group = Group::new("web", ROUTER_ID)
            .version(self.timing.version)
            .interval(self.timing.interval)
            .priority(priority);
        for address in self.addresses() {
            group = group.address(address);
        }
        if self.unicast {
            group = group.unicast(&[
                (own.name(), own.ipv4().into()),
                ("keepalived", peer.ipv4().into()),
            ]);
        }
        if self.password {
            group = group.password_file(&password_file(own)?);
        }
        Router::holdfast(own, &[group])
    }

    fn keepalived(self, own: &Node, peer: &Node, priority: u8) -> Result<Router> {
        let mut instance = VrrpInstance::new(ROUTER_ID)
            .version(self.timing.version)
            .interval(self.timing.interval)
            .priority(priority);
        for address in self.addresses() {
            instance = instance.address(address);
        }
        if self.unicast {
            instance = instance.unicast(own.ipv4().into(), &[peer.ipv4().into()]);
        }
        if self.password {
            instance = instance.password(PASSWORD);
        }
        Router::keepalived(own, &[instance])
    }

    /// Both routers, a preferred and settled on.
    fn pair(self, preferred: Preferred) -> Result<Pair> {
        let scene = Scene::new()?;
        let (a, b) = (scene.a.clone(), scene.b.clone());
        let vips = self.vips();
        match preferred {
            Preferred::Holdfast => Pair::start(
                scene,
                &vips,
                |own| self.holdfast(own, &b, PREFERRED),
                |own| self.keepalived(own, &a, OTHER),
            ),
            Preferred::Keepalived => Pair::start(
                scene,
                &vips,
                |own| self.keepalived(own, &b, PREFERRED),
                |own| self.holdfast(own, &a, OTHER),
            ),
        }
    }
}

fn password_file(node: &Node) -> Result<PathBuf> {
    let file = node.folder().join("web.password");
    fs::write(&file, format!("{PASSWORD}\n"))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Times above a second, so that the case may run while others do.
fn beside(mode: Mode, preferred: Preferred) -> Outcome {
    lost_returned_stopped(mode, preferred, MARGIN_BESIDE)
}

fn alone(mode: Mode, preferred: Preferred) -> Outcome {
    lost_returned_stopped(mode, preferred, MARGIN_ALONE)
}

/// The preferred router's cable is pulled and plugged in again; then it is stopped.
fn lost_returned_stopped(mode: Mode, preferred: Preferred, margin: Duration) -> Outcome {
    let mut pair = mode.pair(preferred)?;

    for report in pair.measure("b", |pair| Ok(pair.scene.a.unplug()?))? {
        let promised = mode.timing.outage(OTHER, margin, report.noise());
        let late = match preferred {
            Preferred::Holdfast => Duration::ZERO,
            // It has no real-time priority: on a busy machine the advertisement before the loss may be older.
            Preferred::Keepalived => mode.timing.interval,
        };
        let promised = promised.start().saturating_sub(late)..=*promised.end();
        assert!(
            promised.contains(&report.longest_silence),
            "lost: {promised:?}, but {report:#?}"
        );
    }

    for report in pair.measure("a", |pair| plug_again(&pair.scene.a))? {
        assert!(
            report.longest_silence <= margin + report.noise(),
            "taken back: {report:#?}"
        );
    }

    for report in pair.measure("b", |pair| pair.stop_a().map(drop))? {
        let promised = mode.timing.after_resignation(OTHER, margin, report.noise());
        let takeover = report.takeover.ok_or("nobody took over")?;
        assert!(
            promised.contains(&takeover),
            "stopped: {promised:?}, but {report:#?}"
        );
        let silence = match preferred {
            // It serves until the successor says that it does; from then on it is the successor's.
            Preferred::Holdfast => margin,
            Preferred::Keepalived => *promised.end(),
        };
        assert!(
            report.longest_silence <= silence + report.noise(),
            "stopped: {report:#?}"
        );
    }
    nothing_was_dropped(&pair)
}

/// What keepalived sends is believed to the last packet, and it has nothing to say about ours.
fn nothing_was_dropped(pair: &Pair) -> Outcome {
    if let Ok(agent) = pair.on_b.agent() {
        let group = look::wait_for_state(agent, "web", "Active", PATIENCE)?;
        assert_eq!(group["drops"], serde_json::json!({}), "{group:#}");
        assert!(look::counter(&group, "resignationsReceived") > 0, "{group:#}");
    }
    for router in [&pair.on_a, &pair.on_b] {
        if let Router::Keepalived(keepalived) = router {
            let log = keepalived.process.log()?;
            for complaint in ["ignor", "invalid", "nvalid", "mismatch", "bogus"] {
                assert!(
                    !log.contains(complaint),
                    "keepalived complains ({complaint}):\n{log}"
                );
            }
        }
    }
    Ok(())
}
