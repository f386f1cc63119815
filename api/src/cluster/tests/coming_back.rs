//! Changes that somebody misses: what becomes of those who are lost meanwhile, and of those who come back.

use super::changing::{identifiers, leave, renumber, running, step};
use super::fixtures::{at, node};
use crate::cluster::AgentLife;
use crate::v1alpha1::MemberState;

#[test]
fn two_that_serve_without_hearing_each_other_are_brought_together() {
    let mut cluster = running("Multicast");
    cluster.edit(renumber);
    for _ in 0..3 {
        step(&mut cluster);
    }
    // What c runs was told by an object that is gone, and it serves with the old identifier.
    cluster.node("c").object.as_mut().unwrap().spec.groups.clear();
    cluster.becomes("c", MemberState::Active, 50);
    assert_eq!(cluster.told("c"), None, "a and b could hear it and take over");
    cluster.write(&["a", "b"]);
    cluster.acknowledge("a");
    cluster.acknowledge("b");
    assert_eq!(cluster.told("c").map(|told| told.virtual_router_id), Some(99));
}

#[test]
fn one_that_comes_back_is_heard_also_while_everybody_holds() {
    let mut cluster = running("Unicast");
    let mut gone = cluster.nodes.remove(2);
    for _ in 0..2 {
        cluster.write(&["a", "b"]);
        cluster.acknowledge("a");
        cluster.acknowledge("b");
    }
    assert_eq!(cluster.peers("a"), ["b"]);
    gone.node = None;
    cluster.nodes.push(gone);
    cluster.edit(renumber);
    assert_eq!(
        (identifiers(&cluster), leave(&cluster)),
        ([51; 3], [true; 3]),
        "its Node is not there"
    );
    assert_eq!(cluster.peers("a"), ["b", "c"]);
}

#[test]
fn one_without_a_node_that_comes_back_with_the_old_identity_gives_way() {
    for serving in [true, false] {
        let mut cluster = running("Multicast");
        if !serving {
            cluster.becomes("a", MemberState::Backup, 2);
        }
        let mut gone = cluster.nodes.remove(2);
        cluster.edit(renumber);
        cluster.settle();
        gone.node = None;
        cluster.nodes.push(gone);
        assert_eq!(
            (identifiers(&cluster), leave(&cluster)),
            ([99, 99, 51], [true, true, false])
        );
        step(&mut cluster);
        assert_eq!((identifiers(&cluster), leave(&cluster)), ([99; 3], [true; 3]));
    }
}

#[test]
fn one_that_was_locked_gets_its_leave_back_although_a_newcomer_waits() {
    let mut cluster = running("Unicast");
    cluster.nodes.push(node("d"));
    cluster.write(&["d"]);
    cluster.acknowledge("d");
    cluster.write(&["d"]);
    cluster.acknowledge("d");
    cluster.edit(renumber);
    cluster.write(&["b"]);
    cluster.acknowledge("b");
    assert!(!cluster.may("b"));
    cluster.node("c").node = None;
    assert!(cluster.may("b"), "d does not hear it, and may not serve either");
    assert!(!cluster.may("d"));
}

#[test]
fn one_that_is_lost_while_others_are_locked_gives_them_leave_again() {
    let mut lost = running("Multicast");
    lost.edit(renumber);
    lost.write(&["b", "c"]);
    lost.acknowledge("b");
    lost.acknowledge("c");
    lost.lost("a");
    assert_eq!((identifiers(&lost), leave(&lost)), ([51; 3], [true; 3]));
    step(&mut lost);
    lost.becomes("b", MemberState::Active, 9);
    lost.node("a").agent = AgentLife::Fresh(at(20));
    lost.becomes("a", MemberState::Backup, 20);
    for _ in 0..3 {
        step(&mut lost);
    }
    assert_eq!((identifiers(&lost), leave(&lost)), ([99; 3], [true; 3]));
}
