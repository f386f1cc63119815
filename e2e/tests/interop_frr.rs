//! Holdfast beside FRR's vrrpd, VRRPv3 over IPv4 and IPv6.
//!
//! FRR keeps the virtual addresses on a macvlan all the time and switches that off while it is Backup, so "who holds it"
//! is asked of that interface. Both directions work; over IPv6 vrrpd's first advertisements are lost because it sends
//! them before its interface has an address to send from, so the cases wait until it is heard. And it announces the
//! addresses before its interface is on, so that clients stay with the router before until they ask again by themselves,
//! which takes them about eight seconds; the cases make them ask at once.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, Result,
    formula::{MARGIN_ALONE, Timing},
    frr::{self, Frr, FrrRouter},
    look,
    pair::{self, PATIENCE, Scene, seamless},
};
use holdfast_lab::{
    Agent, Meter,
    harness::{Case, Outcome, main as run},
    wait_until,
};

const TIMING: Timing = Timing::v3(100);

fn main() -> std::process::ExitCode {
    run(&[
        Case::new("ipv4_holdfast_preferred_is_lost_and_comes_back_to_frr", || {
            holdfast_preferred(IPV4)
        })
        .alone(),
        Case::new("ipv6_holdfast_preferred_is_lost_and_comes_back_to_frr", || {
            holdfast_preferred(IPV6)
        })
        .alone(),
        Case::new("ipv4_frr_preferred_is_lost_and_comes_back_to_holdfast", || {
            frr_preferred(IPV4)
        })
        .alone(),
        Case::new("ipv6_frr_preferred_is_lost_and_comes_back_to_holdfast", || {
            frr_preferred(IPV6)
        })
        .alone(),
    ])
}

/// The addresses with their prefixes, and the one that is asked for.
#[derive(Clone, Copy)]
struct Family {
    addresses: &'static [&'static str],
    vip: &'static str,
}

const IPV4: Family = Family {
    addresses: &["10.77.0.100/24"],
    vip: "10.77.0.100",
};
const IPV6: Family = Family {
    addresses: &["fe80::100/64", "fd77::100/64"],
    vip: "fd77::100",
};

impl Family {
    fn router(self, priority: u8) -> FrrRouter {
        FrrRouter {
            router_id: 51,
            priority,
            interval: TIMING.interval,
            addresses: self
                .addresses
                .iter()
                .map(|address| (*address).to_owned())
                .collect(),
        }
    }

    fn group(self, priority: u8) -> Group {
        let group = Group::new("web", 51).priority(priority);
        self.addresses
            .iter()
            .fold(group, |group, address| group.address(address))
    }

    fn vip(self) -> IpAddr {
        self.vip.parse().unwrap()
    }
}

/// FRR on node a, Holdfast on node b; which of them has the higher priority is the case's.
struct Both {
    meter: Meter,
    frr: Frr,
    agent: Agent,
    router: FrrRouter,
    vip: IpAddr,
    scene: Scene,
}

impl Both {
    fn start(family: Family, frr: u8, holdfast: u8) -> Result<Self> {
        let scene = Scene::new()?;
        let vip = family.vip();
        let meter = scene.meter(&[vip])?;
        let router = family.router(frr);
        Ok(Self {
            meter,
            frr: Frr::start(&scene.a, &router)?,
            agent: pair::agent(&scene.b, &[family.group(holdfast)])?,
            router,
            vip,
            scene,
        })
    }

    /// Waits until FRR alone serves.
    fn settle_on_frr(&self) -> Result<()> {
        wait_until("FRR's interface is on", PATIENCE, || {
            Ok(frr::serves(&self.scene.a, &self.router).unwrap_or(false))
        })?;
        wait_until("Holdfast let go", PATIENCE, || {
            Ok(!self.scene.b.holds(self.vip)?)
        })?;
        // vrrpd announces before its interface is on, and nobody hears that.
        self.scene.client.ip(&["neigh", "flush", "dev", "eth0"])?;
        self.meter.wait_for_answer(self.vip, "a", PATIENCE)?;
        Ok(())
    }

    /// Waits until Holdfast alone serves.
    fn settle_on_holdfast(&self) -> Result<()> {
        self.meter.wait_for_answer(self.vip, "b", PATIENCE)?;
        wait_until("FRR's interface is off", PATIENCE, || {
            Ok(!frr::serves(&self.scene.a, &self.router).unwrap_or(false))
        })?;
        Ok(())
    }
}

fn holdfast_preferred(family: Family) -> Outcome {
    let mut both = Both::start(family, 100, 200)?;
    both.settle_on_holdfast()?;

    let fault = Instant::now();
    both.scene.b.unplug()?;
    both.meter.wait_for_answer(both.vip, "a", PATIENCE)?;
    let report = both.meter.report_since(both.vip, fault);
    let promised = TIMING.outage(100, 3 * MARGIN_ALONE, report.noise());
    assert!(
        promised.contains(&report.longest_silence),
        "lost: {promised:?}, but {report:#?}"
    );

    pair::plug_again(&both.scene.b)?;
    both.settle_on_holdfast()?;

    let stop = Instant::now();
    both.agent.process.stop(PATIENCE)?;
    both.settle_on_frr()?;
    let report = both.meter.report_since(both.vip, stop);
    seamless(&report);
    Ok(())
}

fn frr_preferred(family: Family) -> Outcome {
    let mut both = Both::start(family, 200, 100)?;
    both.settle_on_frr()?;
    let heard = "Holdfast hears FRR";
    let group = look::wait_for_group(&both.agent, "web", heard, PATIENCE, |group| {
        group["state"] == "Backup" && group["activePeer"].is_string()
    })?;
    assert_eq!(group["drops"], serde_json::json!({}), "{group:#}");
    both.settle_on_frr()?;

    let fault = Instant::now();
    both.scene.a.unplug()?;
    both.meter.wait_for_answer(both.vip, "b", PATIENCE)?;
    let report = both.meter.report_since(both.vip, fault);
    let promised = TIMING.outage(100, MARGIN_ALONE, report.noise());
    // FRR has no real-time priority: on a busy machine the advertisement before the loss may be older.
    let promised = promised.start().saturating_sub(TIMING.interval)..=*promised.end();
    assert!(
        promised.contains(&report.longest_silence),
        "lost: {promised:?}, but {report:#?}"
    );

    pair::plug_again(&both.scene.a)?;
    both.settle_on_frr()?;

    let stop = Instant::now();
    both.frr.vrrpd.stop(PATIENCE)?;
    both.meter.wait_for_answer(both.vip, "b", PATIENCE)?;
    thread::sleep(Duration::from_millis(50));
    let report = both.meter.report_since(both.vip, stop);
    let promised = TIMING.after_resignation(100, MARGIN_ALONE, report.noise());
    let takeover = report.takeover.ok_or("nobody took over")?;
    assert!(
        promised.contains(&takeover),
        "stopped: {promised:?}, but {report:#?}"
    );
    Ok(())
}
