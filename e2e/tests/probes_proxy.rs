//! A proxy in front of others, probed by its preset: one that binds the virtual address itself cannot start on a node that waits,
//! which the probe explains; with the kernel's leave, or bound to every address, it runs there.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{net::IpAddr, path::PathBuf, time::Instant};

use holdfast_e2e::{
    Group, Pair, Result, Router, look,
    pair::{PATIENCE, Scene},
};
use holdfast_lab::{
    Node,
    harness::{Case, Outcome, main as run},
    service::HaProxy,
};

/// How the kernel is told to let programs bind addresses that the node does not have.
const LEAVE: &str = "ip_nonlocal_bind=1";

fn main() -> std::process::ExitCode {
    run(&[
        Case::new(
            "a_proxy_that_binds_the_address_itself_needs_the_kernels_leave_and_the_probe_says_so",
            bound_to_the_address,
        ),
        Case::new("a_proxy_that_binds_every_address_needs_nothing", bound_to_all),
    ])
}

fn vip() -> IpAddr {
    "10.77.0.100".parse().unwrap()
}

/// Where HAProxy can be asked on a node, whatever else it listens at.
fn socket(node: &Node) -> PathBuf {
    node.folder().join("proxy.sock")
}

/// HAProxy that listens at `bind`. It may end at once.
fn proxy(node: &Node, bind: &str) -> Result<HaProxy> {
    let sections = format!(
        "global\n  stats socket {} mode 600 level admin\n\
         frontend front\n  bind {bind}\n  http-request return status 200\n",
        socket(node).display()
    );
    Ok(HaProxy::start(node, &sections)?)
}

/// A pair whose groups ask HAProxy as `options` says for each node; a is preferred.
fn pair(options: impl Fn(&Node) -> String) -> Result<Pair> {
    let group = |node: &Node, priority| {
        let spec = format!(
            "probes:\n- name: proxy\n  preset: HAProxy\n  presetOptions: {{{}}}\n  period: 100ms\n  timeout: 100ms\n",
            options(node)
        );
        Group::new("web", 51)
            .address("10.77.0.100/24")
            .spec(&spec)
            .priority(priority)
    };
    Pair::start(
        Scene::new()?,
        &[vip()],
        |a| Router::holdfast(a, &[group(a, 200)]),
        |b| Router::holdfast(b, &[group(b, 100)]),
    )
}

/// What the probe says on a node when it has come to this verdict there.
fn said(router: &Router, verdict: &str) -> Result<String> {
    let what = format!("the proxy is {verdict}");
    let group = look::wait_for_group(router.agent()?, "web", &what, PATIENCE, |group| {
        group["probes"][0]["verdict"] == verdict
    })?;
    let message = group["probes"][0]["message"].as_str().unwrap_or_default();
    Ok(message.to_owned())
}

/// What the probe has found since it was run on a node that waits.
fn said_while_waiting(router: &Router) -> Result<String> {
    let group = look::wait_for_group(router.agent()?, "web", "it waits", PATIENCE, |group| {
        let latest = &group["probes"][0]["latest"];
        group["state"] == "Backup" && latest["message"].as_str().is_some_and(|it| it.contains(LEAVE))
    })?;
    Ok(group["probes"][0]["latest"]["message"].to_string())
}

fn bound_to_the_address() -> Outcome {
    let pair = pair(|node| format!("socket: {}", socket(node).display()))?;
    // Nobody's proxy runs yet, and so the better one serves.
    pair.settle_on("a")?;
    let mut on_a = proxy(&pair.scene.a, "10.77.0.100:8080")?;
    said(&pair.on_a, "Passing")?;

    let mut on_b = proxy(&pair.scene.b, "10.77.0.100:8080")?;
    on_b.process.wait(PATIENCE)?;
    let log = on_b.process.log()?;
    assert!(
        log.contains("10.77.0.100:8080"),
        "HAProxy has another reason: {log}"
    );
    let message = said_while_waiting(&pair.on_b)?;
    assert!(
        message.contains("bind 0.0.0.0, or set net.ipv4.ip_nonlocal_bind=1"),
        "{message}"
    );

    pair.scene.b.netns().set_sysctl("ipv4/ip_nonlocal_bind", "1")?;
    let _on_b = proxy(&pair.scene.b, "10.77.0.100:8080")?;
    said(&pair.on_b, "Passing")?;
    // It is there before the address is.
    let start = Instant::now();
    on_a.process.kill()?;
    pair.settle_on("b")?;
    let report = pair.meter.report_since(vip(), start);
    assert!(report.held_by_nobody.is_zero(), "{report:#?}");
    Ok(())
}

fn bound_to_all() -> Outcome {
    let pair = pair(|_| "port: 8080".to_owned())?;
    pair.settle_on("a")?;
    let message = said_while_waiting(&pair.on_b)?;
    assert!(message.contains("connection refused; if it binds"), "{message}");
    // Who holds the address could bind it: that is not why.
    look::wait_for_group(pair.on_a.agent()?, "web", "it says no more", PATIENCE, |group| {
        group["probes"][0]["latest"]["message"] == "connection refused"
    })?;
    let mut on_a = proxy(&pair.scene.a, ":8080")?;
    let _on_b = proxy(&pair.scene.b, ":8080")?;
    said(&pair.on_a, "Passing")?;
    said(&pair.on_b, "Passing")?;
    on_a.process.kill()?;
    pair.settle_on("b")
}
