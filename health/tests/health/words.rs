//! What people are told: the sum, the sentences, and what does not change from run to run.

use holdfast_health::OnFailure::{Fault as Leave, Hold, None as Nothing, Weight};
use holdfast_health::{Duty, Outcome, Policy, Run};
use holdfast_vrrp::Fault;

use crate::kit::{Node, failed, holds, passed, policy, priority, probe, quorum, secs, thresholds};

fn sentences(node: &Node) -> Vec<(Fault, String)> {
    node.group.report().faults
}

#[test]
fn a_sum_of_nothing_is_the_base() {
    assert_eq!(Node::new(policy([])).sum(), "200 base");
}

#[test]
fn a_sum_names_what_fails_and_why() {
    let mut node = Node::new(policy([probe("haproxy", Weight(-50)), probe("web", Weight(20))]));
    assert_eq!(node.sum(), "200 base − 50 haproxy (not known yet) = 150");
    node.passes("web", 2);
    node.fails("haproxy", 3);
    assert_eq!(
        node.sum(),
        "200 base − 50 haproxy (connection refused, 3 of 3) + 20 web = 170"
    );
    node.passes("haproxy", 2);
    assert_eq!(node.sum(), "200 base + 20 web = 220");
    node.fails("web", 3);
    assert_eq!(node.sum(), "200 base");
}

#[test]
fn a_sum_says_where_it_was_cut_off() {
    let mut node = Node::new(policy([
        thresholds("minus", Weight(-253), 1, 1),
        thresholds("plus", Weight(99), 1, 1),
    ]));
    node.fails("minus", 1);
    assert_eq!(
        node.sum(),
        "200 base − 253 minus (connection refused, 1 of 1) = 1 (the least)"
    );
    node.passes("minus", 1);
    node.passes("plus", 1);
    assert_eq!(node.sum(), "200 base + 99 plus = 254 (the most)");
}

#[test]
fn a_sum_has_the_number_of_a_file() {
    let mut node = Node::new(policy([thresholds("load", Nothing, 1, 1)]));
    node.run("load", holds(-7));
    assert_eq!(node.sum(), "200 base − 7 load = 193");
}

#[test]
fn a_sum_says_that_the_group_is_wanted_here() {
    let mut node = Node::new(Policy {
        preferred: true,
        base: priority(100),
        ..policy([thresholds("load", Nothing, 1, 1)])
    });
    assert_eq!(node.sum(), "254 preferred by placement (100 base)");
    node.run("load", holds(-7));
    assert_eq!(node.sum(), "254 preferred by placement (100 base) − 7 load = 247");
}

#[test]
fn a_sum_says_why_the_node_stands_in_the_floor_band() {
    let mut node = Node::new(Policy {
        duty: Duty::Demote("cordoned".to_owned()),
        ..policy([probe("haproxy", Hold), probe("web", Hold)])
    });
    node.passes("web", 2);
    assert_eq!(node.sum(), "floor 12 of 200 base: haproxy is not known yet");
    for _ in 0..3 {
        node.run("haproxy", failed("answered 503"));
    }
    assert_eq!(
        node.sum(),
        "floor 12 of 200 base: haproxy fails (answered 503, 3 of 3)"
    );
    node.fails("web", 3);
    assert_eq!(
        node.sum(),
        "floor 12 of 200 base: haproxy fails (answered 503, 3 of 3); web fails (connection refused, 3 of 3)"
    );
    node.passes("web", 2);
    node.passes("haproxy", 2);
    assert_eq!(
        node.sum(),
        "floor 12 of 200 base: node is being worked on (cordoned)"
    );
}

#[test]
fn a_sum_says_why_the_node_is_out_of_the_election() {
    let mut node = Node::new(Policy {
        duty: Duty::Release("drained".to_owned()),
        ..policy([thresholds("web", Leave, 1, 1)])
    });
    node.fails("web", 1);
    assert_eq!(
        node.sum(),
        "out of the election: web fails (connection refused, 1 of 1); node is being worked on (drained)"
    );
}

#[test]
fn a_sum_says_how_many_of_a_quorum_pass() {
    let mut node = Node::new(policy([
        thresholds("a", Hold, 1, 1),
        thresholds("b", Hold, 1, 1),
        quorum("enough", &["a", "b"], 2, Weight(-50)),
    ]));
    node.passes("a", 1);
    assert_eq!(node.sum(), "200 base − 50 enough (not known yet) = 150");
    node.fails("b", 1);
    assert_eq!(node.sum(), "200 base − 50 enough (1 of 2 pass, 2 have to) = 150");
}

#[test]
fn no_answer_and_what_could_not_be_run_are_not_called_a_failure_of_the_service() {
    let why = |run: Run| {
        let mut node = Node::new(policy([thresholds("web", Weight(-50), 1, 1)]));
        node.run("web", run);
        node.sum()
    };
    assert_eq!(
        why(Run::new(Outcome::Failed, "")),
        "200 base − 50 web (failed, 1 of 1) = 150"
    );
    assert_eq!(
        why(Run::new(Outcome::TimedOut, "")),
        "200 base − 50 web (timed out, 1 of 1) = 150"
    );
    assert_eq!(
        why(Run::new(Outcome::TimedOut, "no answer within 1s")),
        "200 base − 50 web (timed out: no answer within 1s, 1 of 1) = 150"
    );
    assert_eq!(
        why(Run::new(Outcome::CouldNotRun, "no such program")),
        "200 base − 50 web (could not be run: no such program, 1 of 1) = 150"
    );
}

#[test]
fn a_sum_is_one_line_however_much_a_probe_has_to_say() {
    let mut node = Node::new(policy([thresholds("web", Weight(-50), 1, 1)]));
    node.run("web", failed(&format!("\n  first\nsecond {}", "x".repeat(500))));
    assert_eq!(node.sum(), "200 base − 50 web (first, 1 of 1) = 150");
    let mut node = Node::new(policy([thresholds("web", Weight(-50), 1, 1)]));
    node.run("web", failed(&"ü".repeat(500)));
    let cut = "ü".repeat(120);
    assert_eq!(node.sum(), format!("200 base − 50 web ({cut}…, 1 of 1) = 150"));
}

#[test]
fn a_message_takes_no_more_memory_than_it_may() {
    let mut node = Node::new(policy([thresholds("web", Hold, 1, 1)]));
    node.run("web", failed(&"ü".repeat(100_000)));
    assert_eq!(node.probe("web").message.len(), Run::LONGEST_MESSAGE);
    node.run("web", failed(&format!("x{}", "ü".repeat(100_000))));
    let latest = node.probe("web").latest.map(|run| run.message.len());
    assert_eq!(latest, Some(Run::LONGEST_MESSAGE - 1), "no letter is cut in two");
}

#[test]
fn a_fault_says_what_fails_and_what_to_look_at() {
    let mut node = Node::new(policy([probe("nginx", Leave), probe("web", Leave)]));
    assert_eq!(
        sentences(&node),
        [(
            Fault::ProbeFailed,
            "nothing is known of probe `nginx` yet; nothing is known of probe `web` yet: the node takes part once it has \
             passed"
                .to_owned()
        )]
    );
    node.passes("web", 2);
    node.fails("nginx", 3);
    assert_eq!(
        sentences(&node),
        [(
            Fault::ProbeFailed,
            "probe `nginx` fails: connection refused (3 of 3 runs); look at the service on this node, or see \
             `holdfast-agent status`"
                .to_owned()
        )]
    );
    node.passes("nginx", 2);
    assert_eq!(sentences(&node), []);
}

#[test]
fn maintenance_says_why_and_how_it_ends() {
    let node = Node::new(Policy {
        duty: Duty::Release("taint out-of-service".to_owned()),
        ..policy([])
    });
    assert_eq!(
        sentences(&node),
        [(
            Fault::Maintenance,
            "the node is not to serve: taint out-of-service; it takes part again when that is over"
                .to_owned()
        )]
    );
}

#[test]
fn what_was_found_is_that_of_the_first_run_in_a_row() {
    let mut node = Node::new(policy([probe("web", Leave)]));
    node.passes("web", 2);
    for pid in 1..=3 {
        node.run("web", failed(&format!("process {pid} died")));
    }
    let first = node.group.report();
    assert_eq!(node.probe("web").message, "process 1 died");
    for pid in 4..=20 {
        node.wait(secs(1));
        node.run("web", failed(&format!("process {pid} died")));
        assert!(node.group.report().same_for_status(&first));
    }
    assert_eq!(node.probe("web").latest, Some(failed("process 20 died")));
}

#[test]
fn a_probe_that_fails_now_this_way_now_that_does_not_change_what_is_told() {
    let mut node = Node::new(policy([probe("web", Leave)]));
    node.fails("web", 3);
    let first = node.group.report();
    for _ in 0..10 {
        node.run("web", Run::new(Outcome::TimedOut, ""));
        node.run("web", failed("connection refused"));
        node.run("web", passed());
        assert!(node.group.report().same_for_status(&first));
    }
    for _ in 0..3 {
        assert_eq!(node.probe("web").outcome, Some(Outcome::Failed));
        node.run("web", Run::new(Outcome::TimedOut, ""));
    }
    assert_eq!(node.probe("web").outcome, Some(Outcome::TimedOut));
    assert!(!node.group.report().same_for_status(&first));
}

#[test]
fn a_probe_that_failed_in_several_ways_is_told_to_fail_in_the_last_of_them() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.passes("web", 2);
    node.run("web", Run::new(Outcome::TimedOut, ""));
    node.run("web", Run::new(Outcome::CouldNotRun, "no process left"));
    node.run("web", failed("answered 503"));
    assert_eq!(
        node.sum(),
        "floor 12 of 200 base: web fails (answered 503, 3 of 3)"
    );
    assert_eq!(node.probe("web").outcome, Some(Outcome::Failed));
}

#[test]
fn what_is_told_of_a_passing_probe_is_not_its_single_failure() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.passes("web", 2);
    let first = node.group.report();
    node.fails("web", 2);
    let report = node.group.report();
    assert!(report.same_for_status(&first));
    assert_ne!(report, first, "who looks at the node itself sees it");
}

#[test]
fn what_is_told_changes_with_each_verdict() {
    let mut node = Node::new(policy([probe("web", Nothing)]));
    let mut before = node.group.report();
    for (runs, run) in [(2, passed()), (3, failed("x")), (2, passed())] {
        for _ in 0..runs {
            node.run("web", run.clone());
        }
        let now = node.group.report();
        assert!(!now.same_for_status(&before));
        before = now;
    }
}
