//! What each kind of news makes worth looking at again, and what not.

use holdfast_api::cluster::{AgentLife, Taint};
use holdfast_api::v1alpha1::{FINALIZER, VirtualIPNodeSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::{Value, json};

use super::*;

const PATIENCE: Duration = Duration::from_mins(5);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn facts(role: &str, address: &str) -> KubeNode {
    KubeNode {
        labels: [("role".to_owned(), role.to_owned())].into(),
        internal_ips: vec![address.parse().unwrap()],
        ..KubeNode::default()
    }
}

fn group(name: &str, role: &str, address: &str, vrid: i32) -> Value {
    json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1", "kind": "VirtualIPGroup",
        "metadata": {
            "name": name, "uid": format!("uid-{name}"), "generation": 1, "finalizers": [FINALIZER],
            "resourceVersion": "5", "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "addresses": [{"address": address}], "interface": "eth0", "virtualRouterID": vrid,
            "nodeSelector": {"matchLabels": {"role": role}},
        },
    })
}

fn parsed(group: &Value) -> VirtualIPGroup {
    serde_json::from_value(group.clone()).unwrap()
}

/// Groups `web` on w-1 and w-2, `db` on d-1 and d-2, with agents that are alive, everything told and acknowledged.
struct Fixture {
    index: Index,
}

impl Fixture {
    fn new() -> Self {
        let mut index = Index::new(at(0), PATIENCE);
        index.set_cluster("uid".to_owned());
        index.watching_leases(true, at(0));
        for (name, role, address) in [
            ("w-1", "web", "10.0.0.11"),
            ("w-2", "web", "10.0.0.12"),
            ("d-1", "db", "10.0.0.21"),
            ("d-2", "db", "10.0.0.22"),
        ] {
            index.apply_node(name, facts(role, address), at(0));
        }
        index.apply_group(parsed(&group("web", "web", "10.0.0.100/24", 51)), Seen::Listed);
        index.apply_group(parsed(&group("db", "db", "10.0.0.200/24", 52)), Seen::Listed);
        let mut fixture = Self { index };
        fixture.index.settle();
        for round in 1..6 {
            for name in ["w-1", "w-2", "d-1", "d-2"] {
                fixture
                    .index
                    .apply_lease(name, Some(renewal(round)), Seen::Told, at(1));
                fixture.tell(name, round);
                fixture.index.settle();
            }
        }
        fixture
    }

    /// The node is told what it is to be told, and acknowledges it.
    fn tell(&mut self, name: &str, generation: i64) {
        let spec = self.index.plan(name, at(9)).unwrap().spec;
        let object = stored(name, &spec, generation, "Backup");
        self.index.apply_stored(object, Seen::Told, at(1));
    }

    fn dirty(&mut self) -> (Vec<String>, Vec<String>) {
        let dirty = self.index.settle();
        (
            dirty.groups.into_iter().collect(),
            dirty.nodes.into_iter().collect(),
        )
    }

    fn life(&self, node: &str) -> AgentLife {
        self.index.nodes[node].record.agent
    }
}

fn renewal(second: i64) -> MicroTime {
    MicroTime(at(second))
}

fn stored(name: &str, spec: &VirtualIPNodeSpec, generation: i64, state: &str) -> VirtualIPNode {
    let address = format!("10.0.1.{}", name.bytes().map(u32::from).sum::<u32>() % 250);
    let groups: Vec<Value> = spec
        .groups
        .iter()
        .filter(|entry| !entry.deleted)
        .map(|entry| {
            json!({"name": entry.name, "appliedGeneration": entry.generation, "state": state,
                   "sourceAddress": address, "since": "2026-01-01T00:00:00.000000Z"})
        })
        .collect();
    serde_json::from_value(json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1", "kind": "VirtualIPNode",
        "metadata": {"name": name, "uid": "u", "generation": generation, "resourceVersion": "7"},
        "spec": spec, "status": {"observedGeneration": generation, "groups": groups},
    }))
    .unwrap()
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

type Apply = fn(&mut Index);

#[test]
fn what_says_nothing_new_touches_nothing() {
    let mut it = Fixture::new();
    let same: [(&str, Apply); 5] = [
        ("the same Node", |index| {
            index.apply_node("w-1", facts("web", "10.0.0.11"), at(9));
        }),
        ("the same group", |index| {
            index.apply_group(parsed(&group("web", "web", "10.0.0.100/24", 51)), Seen::Told);
        }),
        ("a renewal", |index| {
            index.apply_lease("w-1", Some(renewal(9)), Seen::Told, at(9));
        }),
        ("a node of no group", |index| {
            index.apply_node("x-1", facts("none", "10.0.0.99"), at(9));
        }),
        ("time in which nothing runs out", |index| {
            index.advance(at(30));
        }),
    ];
    for (what, apply) in same {
        apply(&mut it.index);
        assert_eq!(it.dirty(), (vec![], vec![]), "{what}");
    }
}

#[test]
fn an_agent_that_only_changes_state_touches_its_group_and_tells_nobody_anything() {
    let mut it = Fixture::new();
    let spec = it.index.plan("w-1", at(9)).unwrap().spec;
    it.index
        .apply_stored(stored("w-1", &spec, 5, "Fault"), Seen::Told, at(9));
    assert_eq!(it.dirty(), (names(&["web"]), vec![]));
}

#[test]
fn an_agent_that_becomes_active_touches_the_members_of_its_group_and_nobody_elses() {
    let mut it = Fixture::new();
    let spec = it.index.plan("w-1", at(9)).unwrap().spec;
    it.index
        .apply_stored(stored("w-1", &spec, 5, "Active"), Seen::Told, at(9));
    assert_eq!(it.dirty(), (names(&["web"]), names(&["w-1", "w-2"])));
}

#[test]
fn an_acknowledgement_touches_the_groups_of_its_node_only() {
    let mut it = Fixture::new();
    let spec = it.index.plan("d-1", at(9)).unwrap().spec;
    it.index
        .apply_stored(stored("d-1", &spec, 6, "Backup"), Seen::Told, at(9));
    assert_eq!(it.dirty(), (names(&["db"]), names(&["d-1", "d-2"])));
}

#[test]
fn the_first_word_of_an_agent_touches_the_groups_that_have_waited_for_it() {
    let mut it = Fixture::new();
    it.index.apply_node("w-3", facts("web", "10.0.0.13"), at(2));
    let lease = Some(renewal(1));
    it.index.apply_lease("w-3", lease, Seen::Told, at(2));
    let mut object = stored("w-3", &VirtualIPNodeSpec::default(), 1, "Backup");
    let said = object.status.take();
    it.index.apply_stored(object.clone(), Seen::Told, at(2));
    it.dirty();
    assert_eq!(
        it.index.plan("w-3", at(9)).unwrap().spec.groups,
        [],
        "nothing is put over what it may run"
    );

    object.status = said;
    object.metadata.resource_version = Some("99".to_owned());
    it.index.apply_stored(object, Seen::Told, at(3));
    let (_, nodes) = it.dirty();
    assert!(nodes.contains(&"w-3".to_owned()), "{nodes:?}");
    assert_eq!(it.index.plan("w-3", at(9)).unwrap().spec.groups.len(), 1);
}

#[test]
fn a_label_touches_the_group_that_is_joined_and_the_one_that_is_left() {
    let mut it = Fixture::new();
    it.index.apply_node("w-2", facts("db", "10.0.0.12"), at(9));
    let (groups, nodes) = it.dirty();
    assert_eq!(groups, names(&["db", "web"]));
    assert_eq!(nodes, names(&["d-1", "d-2", "w-1", "w-2"]));
    // It has the group still, so it is a member still, and is told to leave.
    let told = it.index.plan("w-2", at(9)).unwrap().spec;
    let flags: Vec<(&str, bool)> = told
        .groups
        .iter()
        .map(|it| (it.name.as_str(), it.deleted))
        .collect();
    assert_eq!(flags, [("db", false), ("web", true)]);
}

#[test]
fn a_groups_status_touches_nobody_else() {
    let mut it = Fixture::new();
    let mut web = group("web", "web", "10.0.0.100/24", 51);
    web["metadata"]["resourceVersion"] = json!("6");
    web["status"] = json!({"observedGeneration": 1, "conditions": [{
        "type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
    it.index.apply_group(parsed(&web), Seen::Told);
    assert_eq!(it.dirty(), (names(&["web"]), vec![]));
}

#[test]
fn what_a_watch_brings_late_is_passed_over_and_what_a_list_brings_is_not() {
    let mut it = Fixture::new();
    let mut old = group("web", "web", "10.0.0.100/24", 51);
    old["metadata"]["resourceVersion"] = json!("4");
    old["spec"]["priority"] = json!(9);
    it.index.apply_group(parsed(&old), Seen::Told);
    assert_eq!(it.dirty(), (vec![], vec![]));
    it.index.apply_group(parsed(&old), Seen::Listed);
    assert_eq!(it.dirty(), (names(&["web"]), names(&["w-1", "w-2"])));
}

#[test]
fn a_conflict_refuses_the_newer_group_and_its_end_accepts_it_without_anybody_asking() {
    let mut it = Fixture::new();
    let mut late = group("late", "db", "10.0.0.100/24", 53);
    late["metadata"]["creationTimestamp"] = json!("2026-03-01T00:00:00Z");
    it.index.apply_group(parsed(&late), Seen::Told);
    it.dirty();
    let verdict = |it: &Fixture, name: &str| {
        let verdict = it.index.verdict(name).unwrap();
        (verdict.accepted, verdict.reason.as_str())
    };
    assert_eq!(verdict(&it, "late"), (false, "AddressConflict"));
    assert_eq!(verdict(&it, "web"), (true, "Accepted"));

    it.index.delete_group("web");
    let (groups, _) = it.dirty();
    assert!(groups.contains(&"late".to_owned()), "{groups:?}");
    assert_eq!(verdict(&it, "late"), (true, "Accepted"));
}

#[test]
fn a_refused_edit_gives_away_nothing_that_the_former_generation_runs_with() {
    let mut it = Fixture::new();
    let mut late = group("late", "db", "10.0.0.100/24", 53);
    late["metadata"]["creationTimestamp"] = json!("2026-03-01T00:00:00Z");
    let mut edit = group("web", "nobody", "10.0.0.100/24", 51);
    edit["metadata"]["generation"] = json!(2);
    edit["metadata"]["resourceVersion"] = json!("9");
    it.index.apply_group(parsed(&late), Seen::Told);
    it.index.apply_group(parsed(&edit), Seen::Told);
    it.dirty();
    let reason = |name: &str| it.index.verdict(name).unwrap().reason.as_str();
    assert_eq!(reason("web"), "NoNodeMatches");
    assert_eq!(reason("late"), "AddressConflict");
}

#[test]
fn one_identifier_is_a_conflict_on_a_common_member_only() {
    let mut it = Fixture::new();
    let mut other = group("other", "db", "10.0.0.101/24", 51);
    other["metadata"]["creationTimestamp"] = json!("2026-03-01T00:00:00Z");
    it.index.apply_group(parsed(&other), Seen::Told);
    it.dirty();
    assert!(it.index.verdict("other").unwrap().accepted);
    // A node that is to run both.
    other["spec"]["nodeSelector"] = json!({});
    other["metadata"]["resourceVersion"] = json!("6");
    it.index.apply_group(parsed(&other), Seen::Told);
    it.dirty();
    let verdict = it.index.verdict("other").unwrap();
    assert_eq!(verdict.reason.as_str(), "VirtualRouterIDConflict");
}

#[test]
fn the_end_of_a_group_is_no_instruction() {
    let mut it = Fixture::new();
    let before = it.index.plan("w-1", at(9)).unwrap();
    it.index.delete_group("web");
    let after = it.index.plan("w-1", at(9)).unwrap();
    assert!(!after.is_news(), "{after:#?}");
    assert_eq!(before.spec, after.spec);
    assert_eq!(it.index.orphans(), 2);
}

#[test]
fn a_lease_runs_out_forty_seconds_after_it_was_seen_renewed() {
    let mut it = Fixture::new();
    it.index.apply_lease("w-1", Some(renewal(20)), Seen::Told, at(20));
    it.dirty();
    it.index.advance(at(59));
    assert_eq!(it.life("w-1"), AgentLife::Fresh(at(20)));
    it.dirty();
    it.index.advance(at(60));
    assert_eq!(it.life("w-1"), AgentLife::Expired(at(20)));
    let (groups, _) = it.dirty();
    assert_eq!(groups, names(&["web"]));
    it.index.apply_lease("w-1", Some(renewal(61)), Seen::Told, at(61));
    assert_eq!(it.life("w-1"), AgentLife::Fresh(at(61)));
    assert_eq!(it.dirty().0, names(&["web"]));
}

#[test]
fn nobodys_lease_runs_out_while_the_operator_sees_nothing() {
    let mut it = Fixture::new();
    it.index.watching_leases(false, at(10));
    it.index.advance(at(1000));
    assert_eq!(it.life("w-1"), AgentLife::Fresh(at(1)));
    it.index.watching_leases(true, at(1000));
    it.index.advance(at(1039));
    assert_eq!(
        it.life("w-1"),
        AgentLife::Fresh(at(1)),
        "what was heard is not made up"
    );
    it.index.advance(at(1040));
    assert_eq!(it.life("w-1"), AgentLife::Expired(at(1)));
}

#[test]
fn a_lease_in_the_first_list_proves_nothing_about_now_and_is_good_for_a_whole_time() {
    let mut index = Index::new(at(0), PATIENCE);
    index.watching_leases(true, at(5));
    index.apply_lease("w-1", Some(renewal(-900)), Seen::Listed, at(5));
    assert_eq!(index.nodes["w-1"].record.agent, AgentLife::Fresh(at(0)));
    index.advance(at(44));
    assert_eq!(index.nodes["w-1"].record.agent, AgentLife::Fresh(at(0)));
    index.advance(at(45));
    assert_eq!(index.nodes["w-1"].record.agent, AgentLife::Expired(at(0)));
}

#[test]
fn a_node_whose_object_is_gone_stays_a_member_until_its_agent_is_silent_for_longer_than_anybody_waits() {
    let mut it = Fixture::new();
    it.index.delete_node("w-2", at(10));
    assert_eq!(it.index.group("web").unwrap().members.len(), 2);
    let told = it.index.plan("w-2", at(9)).unwrap();
    assert!(!told.is_news(), "no instruction: {told:#?}");
    it.index.advance(at(1 + 40 + 299));
    assert_eq!(it.index.group("web").unwrap().members.len(), 2);
    it.dirty();
    it.index.advance(at(1 + 40 + 300));
    let members = it.index.group("web").unwrap().members;
    assert_eq!(members.len(), 1);
    let (groups, nodes) = it.dirty();
    assert!(groups.contains(&"web".to_owned()) && nodes.contains(&"w-1".to_owned()));
    assert!(
        !it.index.plan("w-2", at(9)).unwrap().is_news(),
        "what it has is kept"
    );
    assert!(
        it.index.plan("w-1", at(9)).unwrap().spec.groups[0]
            .peers
            .is_empty()
    );

    // Its agent comes back.
    it.index
        .apply_lease("w-2", Some(renewal(999)), Seen::Told, at(999));
    assert_eq!(it.index.group("web").unwrap().members.len(), 2);
}

#[test]
fn a_node_that_is_gone_is_told_of_withdrawals_in_case_it_comes_back() {
    let mut it = Fixture::new();
    it.index.delete_node("w-2", at(10));
    it.index.advance(at(10_000));
    it.index.advance(at(10_000));
    let mut web = group("web", "web", "10.0.0.100/24", 51);
    web["metadata"]["resourceVersion"] = json!("6");
    web["metadata"]["deletionTimestamp"] = json!("2026-04-01T00:00:00Z");
    it.index.apply_group(parsed(&web), Seen::Told);
    it.dirty();
    assert!(
        !it.index.plan("w-2", at(9)).unwrap().is_news(),
        "nobody has decided that"
    );
    it.index.set_withdrawing("web", "uid-web", true);
    assert!(it.dirty().1.contains(&"w-2".to_owned()));
    assert!(it.index.plan("w-2", at(9)).unwrap().spec.groups[0].deleted);
}

#[test]
fn an_identifier_is_free_if_no_group_names_it_and_no_node_runs_it() {
    let mut it = Fixture::new();
    let mut wanted = group("new", "web", "10.0.0.101/24", 1);
    wanted["spec"].as_object_mut().unwrap().remove("virtualRouterID");
    it.index.apply_group(parsed(&wanted), Seen::Told);
    let first = it.index.free_identifier("new").unwrap();
    let mut taker = group("taker", "db", "10.0.0.102/24", i32::from(first));
    taker["metadata"]["resourceVersion"] = json!("9");
    it.index.apply_group(parsed(&taker), Seen::Told);
    assert_ne!(it.index.free_identifier("new"), Some(first));
    // What nodes run of a group that was lost is that group's again, and nobody else's.
    it.index.delete_group("web");
    assert_eq!(it.index.free_identifier("web"), Some(51));
}

/// Both groups have a policy of their own: `web` for cordons, `db` for a taint.
fn with_policies() -> Fixture {
    let mut it = Fixture::new();
    for (name, role, address, vrid, policy) in [
        ("web", "web", "10.0.0.100/24", 51, json!({"onCordon": "Demote"})),
        (
            "db",
            "db",
            "10.0.0.200/24",
            52,
            json!({"onTaint": [{"key": "work", "action": "Release"}]}),
        ),
    ] {
        let mut edited = group(name, role, address, vrid);
        edited["metadata"]["resourceVersion"] = json!("6");
        edited["spec"]["maintenance"] = policy;
        it.index.apply_group(parsed(&edited), Seen::Told);
    }
    it.dirty();
    it
}

fn tainted(node: KubeNode, key: &str) -> KubeNode {
    let taint = Taint {
        key: key.to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    KubeNode {
        taints: [taint].into(),
        ..node
    }
}

#[test]
fn work_on_a_node_touches_that_node_if_one_of_its_groups_asks_for_it_and_nobody_else() {
    let cordoned = |role: &str, address: &str| KubeNode {
        cordoned: true,
        ..facts(role, address)
    };
    let annotated = KubeNode {
        in_maintenance: true,
        ..facts("db", "10.0.0.21")
    };
    let web = || facts("web", "10.0.0.11");
    let db = || facts("db", "10.0.0.21");
    for (what, node, is_news) in [
        ("w-1", cordoned("web", "10.0.0.11"), true),
        ("d-1", cordoned("db", "10.0.0.21"), false),
        ("w-1", tainted(web(), "work"), false),
        ("d-1", tainted(db(), "work"), true),
        ("d-1", tainted(db(), "node.kubernetes.io/not-ready"), false),
        ("d-1", annotated, true),
    ] {
        let mut it = with_policies();
        it.index.apply_node(what, node.clone(), at(9));
        let touched = if is_news { names(&[what]) } else { vec![] };
        assert_eq!(it.dirty(), (vec![], touched.clone()), "{what}: {node:?}");
        let back = if what == "w-1" { web() } else { db() };
        it.index.apply_node(what, back, at(10));
        assert_eq!(it.dirty(), (vec![], touched), "{what}: over");
    }
}

#[test]
fn what_a_probe_says_touches_its_group_and_tells_nobody_anything() {
    let mut it = Fixture::new();
    let spec = it.index.plan("w-1", at(9)).unwrap().spec;
    let mut object = stored("w-1", &spec, 5, "Fault");
    let said = &mut object.status.as_mut().unwrap().groups[0];
    said.faults = serde_json::from_value(json!([{"reason": "ProbeFailed", "message": "haproxy"}])).unwrap();
    said.probes = serde_json::from_value(json!([{"name": "haproxy", "verdict": "Failing"}])).unwrap();
    said.priority_explained = Some("out of the election".to_owned());
    it.index.apply_stored(object.clone(), Seen::Told, at(9));
    assert_eq!(it.dirty(), (names(&["web"]), vec![]));
    it.index.apply_stored(object, Seen::Told, at(10));
    assert_eq!(it.dirty(), (vec![], vec![]), "said before");
}

#[test]
fn groups_that_move_together_are_judged_again_when_one_of_them_changes() {
    let mut it = Fixture::new();
    let fellow = |name: &str, address: &str, priority: i32, version: &str| {
        let mut fellow = group(name, "web", address, if name == "first" { 61 } else { 62 });
        fellow["spec"]["syncGroup"] = json!("edge");
        fellow["spec"]["priority"] = json!(priority);
        fellow["metadata"]["resourceVersion"] = json!(version);
        let day = if name == "first" { 2 } else { 3 };
        fellow["metadata"]["creationTimestamp"] = json!(format!("2026-01-0{day}T00:00:00Z"));
        parsed(&fellow)
    };
    let reason = |it: &Fixture, name: &str| it.index.verdict(name).unwrap().reason.as_str();
    it.index
        .apply_group(fellow("first", "10.0.0.101/24", 100, "1"), Seen::Told);
    it.index
        .apply_group(fellow("second", "10.0.0.102/24", 200, "1"), Seen::Told);
    it.dirty();
    assert_eq!(
        (reason(&it, "first"), reason(&it, "second")),
        ("Accepted", "SyncGroupMismatch")
    );
    it.index
        .apply_group(fellow("first", "10.0.0.101/24", 200, "2"), Seen::Told);
    assert!(it.dirty().0.contains(&"second".to_owned()));
    assert_eq!(
        (reason(&it, "first"), reason(&it, "second")),
        ("Accepted", "Accepted")
    );
    it.index
        .apply_group(fellow("first", "10.0.0.101/24", 7, "3"), Seen::Told);
    it.dirty();
    assert_eq!(reason(&it, "second"), "SyncGroupMismatch");
    it.index.delete_group("first");
    it.dirty();
    assert_eq!(reason(&it, "second"), "Accepted");
    assert_eq!(it.index.sync_groups.len(), 1);
    it.index.delete_group("second");
    assert_eq!(it.index.sync_groups.len(), 0);
}

/// What is said to be amiss with a group.
fn amiss(index: &Index, group: &str) -> Vec<String> {
    let verdict = index.verdict(group).unwrap();
    verdict.amiss.iter().map(|amiss| amiss.message.clone()).collect()
}

#[test]
fn a_node_that_reports_a_virtual_address_touches_the_group_that_has_it_until_it_is_right_again() {
    let reported = |ips: &[&str]| KubeNode {
        internal_ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
        ..facts("db", "10.0.0.21")
    };
    let mut it = Fixture::new();
    it.index
        .apply_node("d-1", reported(&["10.0.0.100", "10.0.0.21"]), at(9));
    assert_eq!(it.dirty().0, ["web"], "nobody else's status says anything new");
    let said = amiss(&it.index, "web");
    assert!(
        said[0].starts_with("Node d-1 reports 10.0.0.100") && said[0].contains("--node-ip=10.0.0.21 "),
        "{said:?}"
    );
    assert_eq!(amiss(&it.index, "db"), [""; 0]);

    it.index.apply_node("d-1", facts("db", "10.0.0.21"), at(10));
    it.dirty();
    assert_eq!(amiss(&it.index, "web"), [""; 0]);

    let external = KubeNode {
        external_ips: vec!["10.0.0.100".parse().unwrap()],
        ..facts("db", "10.0.0.21")
    };
    it.index.apply_node("d-1", external, at(11));
    it.dirty();
    assert_eq!(amiss(&it.index, "web").len(), 1);
    it.index.delete_node("d-1", at(12));
    it.dirty();
    assert_eq!(amiss(&it.index, "web"), [""; 0]);
}

#[test]
fn what_is_advised_as_a_nodes_own_address_is_nobodys_virtual_address() {
    let mut it = Fixture::new();
    let reports = KubeNode {
        internal_ips: vec!["10.0.0.100".parse().unwrap(), "10.0.0.201".parse().unwrap()],
        ..facts("web", "10.0.0.11")
    };
    it.index.apply_node("w-1", reports, at(9));
    it.dirty();
    assert!(amiss(&it.index, "web")[0].contains("--node-ip=10.0.0.201 "));
    it.index
        .apply_group(parsed(&group("mail", "mail", "10.0.0.201/24", 53)), Seen::Told);
    it.dirty();
    assert!(amiss(&it.index, "web")[0].contains("--node-ip=ADDRESS"));
}
