//! What a failing probe does to its node: held back behind the others, out of the election, a lower priority; healed first,
//! counted with others, moved with others. Files stand for services here: they fail and pass at one stroke.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

mod beginning;
mod failing;
mod healing;
mod together;
mod weight;

use std::{fs, net::IpAddr, path::PathBuf, time::Duration};

use holdfast_e2e::{
    Group, Pair, Result, Router, look,
    pair::{self, PATIENCE, Scene},
};
use holdfast_lab::{
    Node,
    harness::{Case, main as run},
};
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);
const TIMING: &str = "  period: 100ms\n  timeout: 100ms\n  failureThreshold: 2\n  successThreshold: 2\n";

fn main() -> std::process::ExitCode {
    run(&[
        Case::new(
            "a_weight_moves_the_address_and_back_and_is_explained_as_a_sum",
            weight::weight,
        ),
        Case::new("a_positive_weight_is_lost_by_failing", weight::positive_weight),
        Case::new(
            "a_weight_moves_the_address_under_never_too_and_not_back",
            weight::weight_under_never,
        ),
        Case::new("a_fault_leaves_the_election_without_a_hole", failing::fault),
        Case::new(
            "when_all_fail_the_best_of_them_serves_on",
            failing::all_fail_with_hold,
        ),
        Case::new(
            "when_all_fail_with_fault_nobody_serves",
            failing::all_fail_with_fault,
        ),
        Case::new(
            "a_healthy_backup_takes_over_from_a_failing_node_under_never",
            failing::hold_under_never,
        ),
        Case::new(
            "a_recovered_node_comes_back_after_the_delay_and_not_before",
            failing::back_after_delay,
        ),
        Case::new(
            "a_delay_starts_again_when_the_better_node_falters",
            failing::delay_starts_again,
        ),
        Case::new("a_service_that_is_healed_in_time_moves_nothing", healing::healed),
        Case::new("a_node_is_given_up_when_healing_was_in_vain", healing::not_healed),
        Case::new("two_of_three_are_enough_and_one_is_not", weight::quorum),
        Case::new(
            "a_number_in_a_file_moves_the_address_without_a_reload",
            weight::number,
        ),
        Case::new("groups_of_a_sync_group_move_together", together::sync_group),
        Case::new("mirrored_groups_stand_in_for_each_other", together::mirrored),
        Case::new("a_preferred_node_serves_as_long_as_it_can", beginning::placement),
        Case::new(
            "a_node_is_not_preferred_before_its_probe_has_passed",
            beginning::unknown_at_start,
        ),
        Case::new(
            "a_restarted_agent_believes_in_what_it_was_serving",
            beginning::unknown_after_restart,
        ),
        Case::new("a_probe_added_by_an_edit_moves_nothing", beginning::added),
        Case::new("a_probe_of_the_own_address_is_refused", beginning::own_address),
    ])
}
fn vip() -> IpAddr {
    "10.77.0.100".parse().unwrap()
}

fn web() -> Group {
    Group::new("web", 51).address("10.77.0.100/24")
}

/// The file that stands for the service `name` of a node.
fn service(node: &Node, name: &str) -> PathBuf {
    node.folder().join(name)
}

fn up(node: &Node, name: &str) {
    fs::write(service(node, name), "").unwrap();
}

fn down(node: &Node, name: &str) {
    fs::remove_file(service(node, name)).unwrap();
}

/// A probe of the service `name` of a node, with more of its fields.
fn probe(node: &Node, name: &str, more: &str) -> String {
    let path = service(node, name);
    let more = indented(more);
    format!(
        "- name: {name}\n  file: {{path: {}}}\n{TIMING}{more}",
        path.display()
    )
}

fn indented(yaml: &str) -> String {
    yaml.lines().flat_map(|line| ["  ", line, "\n"]).collect()
}

/// A pair whose groups `make` makes, a with priority 200; all probes pass.
fn pair(make: impl Fn(&Node) -> Group) -> Result<Pair> {
    let scene = Scene::new()?;
    for node in [&scene.a, &scene.b] {
        up(node, "service");
    }
    let (for_a, for_b) = (make(&scene.a).priority(200), make(&scene.b));
    let pair = Pair::start(
        scene,
        &[vip()],
        |a| Router::holdfast(a, &[for_a]),
        |b| Router::holdfast(b, &[for_b]),
    )?;
    for router in [&pair.on_a, &pair.on_b] {
        wait_for(router, "all pass", |group| {
            let probes = group["probes"].as_array().unwrap();
            probes.iter().all(|probe| probe["verdict"] == "Passing")
        })?;
    }
    pair.settle_on("a")?;
    Ok(pair)
}

fn wait_for(router: &Router, what: &str, accept: impl FnMut(&Value) -> bool) -> Result<Value> {
    look::wait_for_group(router.agent()?, "web", what, PATIENCE, accept)
}

/// Does something, waits until `node` serves, and sees to it that there was a holder at every moment.
fn moves(pair: &mut Pair, node: &str, deed: impl FnOnce(&Pair)) -> Result<()> {
    let reports = pair.measure(node, |pair| {
        deed(pair);
        Ok(())
    })?;
    assert_eq!(reports[0].held_by_nobody, Duration::ZERO, "{:#?}", reports[0]);
    Ok(())
}
