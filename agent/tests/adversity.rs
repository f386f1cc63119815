//! A running agent on a node where others delete, rename and replace what it stands on.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Lints know test functions, not their helpers.

#[allow(dead_code)] // Each test program needs another part of it.
mod namespace;

use namespace::Namespace;
use nix::sys::signal::Signal;
use serde_json::Value;

fn group(address: &str, more: &str) -> String {
    format!(
        "apiVersion: vip.holdfast.dev/v1alpha1\nkind: VirtualIPGroup\nmetadata: {{name: web}}\nspec:\n  \
         virtualRouterID: 51\n  addresses: [{{address: {address}}}]\n  advertisement: {{mode: Multicast, interval: \
         100ms}}\n{more}"
    )
}

fn state_is(status: &Value, state: &str) -> bool {
    status["groups"][0]["state"] == state
}

fn ip(node: &Namespace, line: &str) {
    let output = node.command("ip").args(line.split(' ')).output().unwrap();
    assert!(
        output.status.success(),
        "ip {line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

const QUIET: [&str; 2] = ["--metrics-address", "off"];

#[test]
fn a_leftover_is_named_and_served_and_when_it_is_removed_the_address_is_bound() {
    let node = Namespace::new();
    ip(&node, "address add 192.0.2.100/24 dev eth0");
    node.configure("web.yaml", &group("192.0.2.100/24", ""));
    let agent = node.run("log", &QUIET);
    let active = node.wait_for_status("web to be Active", |status| state_is(status, "Active"));
    assert_eq!(active["groups"][0]["notices"][0]["kind"], "address_not_ours");
    agent.wait_for_log("192.0.2.100 is on this node already");
    ip(&node, "address delete 192.0.2.100/24 dev eth0");
    node.wait_for_status("the address to be put back", |_| node.holds("192.0.2.100"));
    let after = node.status().unwrap();
    assert!(state_is(&after, "Active") && after["groups"][0]["counters"]["becameActive"] == 1);
}

#[test]
fn an_address_owner_notices_when_its_address_is_gone_and_leaves_it_alone_at_the_end() {
    let node = Namespace::new();
    node.configure("web.yaml", &group("192.0.2.11/24", "  priority: 255\n"));
    let mut agent = node.run("log", &QUIET);
    let active = node.wait_for_status("web to be Active", |status| state_is(status, "Active"));
    assert_eq!(active["groups"][0]["sourceAddress"], "192.0.2.11");
    ip(&node, "address delete 192.0.2.11/24 dev eth0");
    node.wait_for_status("the loss to be noticed", |status| state_is(status, "Fault"));
    ip(&node, "address add 192.0.2.11/24 dev eth0");
    node.wait_for_status("web to be Active again", |status| state_is(status, "Active"));
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.ended(), Some(0));
    assert!(node.holds("192.0.2.11"));
}

#[test]
fn a_group_whose_interface_is_renamed_says_goodbye_before_it_leaves() {
    let node = Namespace::new();
    node.configure("web.yaml", &group("192.0.2.100/24", "  interface: eth0\n"));
    let _agent = node.run("log", &QUIET);
    node.wait_for_status("web to be Active", |status| state_is(status, "Active"));
    ip(&node, "link set eth0 name lan0");
    let left = node.wait_for_status("web to leave", |status| state_is(status, "Fault"));
    let counters = &left["groups"][0]["counters"];
    assert_eq!(
        (&counters["resignationsSent"], &counters["sendErrors"]),
        (&Value::from(1), &Value::from(0))
    );
}

#[test]
fn multicast_groups_are_joined_again_when_an_interface_comes_back_to_the_family() {
    let node = Namespace::new();
    node.configure("web.yaml", &group("fe80::100/64", "  interface: eth0\n"));
    let _agent = node.run("log", &QUIET);
    let joined = || {
        let groups = node.command("cat").arg("/proc/net/igmp6").output().unwrap();
        // ff02::12, where VRRP advertises (RFC 9568 §5.1.2.2).
        String::from_utf8_lossy(&groups.stdout).contains("ff020000000000000000000000000012")
    };
    node.wait_for_status("web to be Active", |status| state_is(status, "Active"));
    assert!(joined());
    // IPv6 does not run on links with a smaller MTU than 1280 (RFC 8200 §5).
    ip(&node, "link set eth0 mtu 1279");
    node.wait_for_status("web to leave", |status| state_is(status, "Fault"));
    assert!(!joined());
    ip(&node, "link set eth0 mtu 1500");
    node.wait_for_status("web to be Active again", |status| state_is(status, "Active"));
    assert!(joined());
}
