//! How long a deletion waits, for whom, and when it is refused.

use core::time::Duration;

use serde_json::json;

use super::fixtures::{Cluster, at, group};
use crate::cluster::{AgentLife, Withdrawal, withdrawal};
use crate::v1alpha1::{ALLOW_DELETE, MemberState, VirtualIPNodeStatus};

const ALL: [&str; 3] = ["a", "b", "c"];
const PATIENCE: Duration = Duration::from_mins(5);

/// Three members of which `a` serves, of a group that was deleted at 0.
fn deleted() -> Cluster {
    let mut cluster = Cluster::settled(group(&json!({})), &ALL);
    cluster.becomes("a", MemberState::Active, 1);
    cluster.delete();
    cluster
}

fn after(seconds: i64, cluster: &Cluster) -> Withdrawal {
    withdrawal(at(seconds), &cluster.group, &cluster.members(), None, PATIENCE)
}

fn waiting(nodes: &[&str], seconds: Option<u64>) -> Withdrawal {
    Withdrawal::Waiting {
        nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
        look_again: seconds.map(Duration::from_secs),
    }
}

fn done(unconfirmed: &[&str]) -> Withdrawal {
    Withdrawal::Done {
        unconfirmed: unconfirmed.iter().map(|node| (*node).to_owned()).collect(),
    }
}

#[test]
fn the_finalizer_goes_when_each_member_has_let_go() {
    let mut cluster = deleted();
    assert_eq!(after(0, &cluster), waiting(&ALL, None));
    cluster.write(&ALL);
    assert_eq!(after(0, &cluster), waiting(&ALL, None));
    cluster.acknowledge("b");
    cluster.acknowledge("c");
    assert_eq!(after(0, &cluster), waiting(&["a"], None));
    cluster.write(&ALL);
    cluster.acknowledge("a");
    assert_eq!(after(0, &cluster), done(&[]));
}

#[test]
fn one_that_is_alive_is_waited_for_as_long_as_it_takes() {
    let mut cluster = deleted();
    cluster.write(&ALL);
    assert_eq!(after(1_000_000, &cluster), waiting(&ALL, None));
}

#[test]
fn one_that_was_lost_before_is_waited_for_from_the_deletion_on() {
    let mut cluster = deleted();
    cluster.node("c").agent = AgentLife::Expired(at(-1000));
    cluster.settle_without(&["c"]);
    assert_eq!(after(0, &cluster), waiting(&["c"], Some(300)));
    assert_eq!(after(299, &cluster), waiting(&["c"], Some(1)));
    assert_eq!(after(300, &cluster), done(&["c"]));
}

#[test]
fn one_that_is_lost_meanwhile_is_waited_for_from_then_on() {
    let mut cluster = deleted();
    cluster.node("c").agent = AgentLife::Expired(at(60));
    cluster.settle_without(&["c"]);
    // Its Lease was good for 40 seconds more.
    assert_eq!(after(110, &cluster), waiting(&["c"], Some(290)));
    assert_eq!(after(400, &cluster), done(&["c"]));
}

#[test]
fn among_several_lost_ones_the_first_end_of_waiting_is_looked_at() {
    let mut cluster = deleted();
    cluster.node("b").agent = AgentLife::Expired(at(60));
    cluster.node("c").agent = AgentLife::Expired(at(-1000));
    cluster.settle_without(&["b", "c"]);
    assert_eq!(after(0, &cluster), waiting(&["b", "c"], Some(300)));
    assert_eq!(after(300, &cluster), waiting(&["b"], Some(100)));
    assert_eq!(after(400, &cluster), done(&["b", "c"]));
}

#[test]
fn nobody_is_given_up_before_its_tombstone_is_written() {
    let mut cluster = deleted();
    for name in ALL {
        cluster.lost(name);
    }
    cluster.node("c").agent = AgentLife::Never;
    cluster.node("c").object.as_mut().unwrap().status = VirtualIPNodeStatus::default();
    assert_eq!(after(100_000, &cluster), waiting(&ALL, None));
    cluster.write(&ALL);
    assert_eq!(after(100_000, &cluster), done(&["a", "b"]));
}

#[test]
fn a_node_where_no_agent_ever_ran_is_not_waited_for() {
    let mut cluster = deleted();
    cluster.node("c").agent = AgentLife::Never;
    cluster.node("c").object.as_mut().unwrap().status = VirtualIPNodeStatus::default();
    cluster.settle_without(&["c"]);
    assert_eq!(after(0, &cluster), done(&[]));
}

#[test]
fn a_node_whose_lease_was_deleted_is_waited_for_like_a_lost_one() {
    let mut cluster = deleted();
    cluster.node("c").agent = AgentLife::Never;
    cluster.settle_without(&["c"]);
    assert_eq!(after(10, &cluster), waiting(&["c"], Some(290)));
    assert_eq!(after(300, &cluster), done(&["c"]));
}

#[test]
fn a_group_that_carries_the_api_endpoint_is_not_deleted_without_the_annotation() {
    type Evidence = fn(&mut Cluster);
    let evidence: [(&str, Evidence, Option<&str>); 3] = [
        (
            "b",
            |cluster| cluster.report("b").carries_api_endpoint = true,
            None,
        ),
        ("c", |cluster| cluster.report("c").in_file = true, None),
        (
            "kube-public",
            |_| {},
            Some("10.0.0.100 is the server in kube-public/cluster-info"),
        ),
    ];
    for (named, give, known) in evidence {
        let mut cluster = deleted();
        give(&mut cluster);
        let now = |cluster: &Cluster| withdrawal(at(0), &cluster.group, &cluster.members(), known, PATIENCE);
        let Withdrawal::Protected(reason) = now(&cluster) else {
            panic!("not protected by {named}")
        };
        assert!(reason.contains(named), "{reason}");
        assert!(
            reason.contains("kubectl annotate virtualipgroup web vip.holdfast.dev/allow-delete=true"),
            "{reason}"
        );
        for (value, allowed) in [("false", false), ("", false), ("true", true)] {
            cluster.group.metadata.annotations = Some([(ALLOW_DELETE.to_owned(), value.to_owned())].into());
            assert_eq!(
                !matches!(now(&cluster), Withdrawal::Protected(_)),
                allowed,
                "{value}"
            );
        }
    }
}
