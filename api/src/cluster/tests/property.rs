//! Whatever happens in whatever order: no two members can be Active because one does not hear the other, and when all are
//! heard again there is nothing left to write.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::agents::Life;
use super::world::{GROUPS, NODES, World};
use crate::duration::GatewayDuration;
use crate::v1alpha1::{Mode, NodeOverride, VirtualIPGroup};

#[derive(Clone, Copy, Debug)]
enum Edit {
    Identifier(i32),
    ToggleMode,
    ToggleVersion,
    Interval(u16),
    Priority(i32),
    ToggleInterface,
    Source(usize, bool),
    ListPeers(bool),
}

#[derive(Clone, Debug)]
enum Step {
    Operate(Vec<&'static str>),
    Sync(usize),
    Read(usize),
    Apply(usize),
    Report(usize),
    Elect(usize, usize),
    Start(usize),
    Cut(usize),
    Heal(usize),
    Expire(usize),
    Crash(usize),
    Stubborn(usize, bool),
    Label(usize, bool),
    RemoveNode(usize),
    AddNode(usize),
    ApplyGroup(usize, Edit),
    DeleteGroup(usize),
    Finalize(usize),
    LoseGroup(usize),
    Wait,
    Wipe,
    BackUp,
    Restore,
    Settle,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (50..53_i32).prop_map(Edit::Identifier),
        Just(Edit::ToggleMode),
        Just(Edit::ToggleVersion),
        (1..3_u16).prop_map(Edit::Interval),
        (100..102_i32).prop_map(Edit::Priority),
        Just(Edit::ToggleInterface),
        (0..4_usize, any::<bool>()).prop_map(|(node, on)| Edit::Source(node, on)),
        any::<bool>().prop_map(Edit::ListPeers),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let node = || 0..NODES.len();
    let group = || prop_oneof![4 => Just(0_usize), 1 => Just(1_usize)];
    let some = proptest::sample::subsequence(NODES.to_vec(), 1..=4);
    prop_oneof![
        12 => some.prop_map(Step::Operate),
        12 => node().prop_map(Step::Sync),
        6 => node().prop_map(Step::Read),
        6 => node().prop_map(Step::Apply),
        6 => node().prop_map(Step::Report),
        8 => (node(), group()).prop_map(|(node, group)| Step::Elect(node, group)),
        2 => node().prop_map(Step::Start),
        3 => node().prop_map(Step::Cut),
        3 => node().prop_map(Step::Heal),
        2 => node().prop_map(Step::Expire),
        1 => node().prop_map(Step::Crash),
        1 => (node(), any::<bool>()).prop_map(|(node, on)| Step::Stubborn(node, on)),
        3 => (node(), any::<bool>()).prop_map(|(node, on)| Step::Label(node, on)),
        1 => node().prop_map(Step::RemoveNode),
        2 => node().prop_map(Step::AddNode),
        6 => (group(), edit()).prop_map(|(group, edit)| Step::ApplyGroup(group, edit)),
        1 => group().prop_map(Step::DeleteGroup),
        2 => group().prop_map(Step::Finalize),
        1 => group().prop_map(Step::LoseGroup),
        1 => Just(Step::Wait),
        1 => Just(Step::Wipe),
        1 => Just(Step::BackUp),
        1 => Just(Step::Restore),
        2 => Just(Step::Settle),
    ]
}

fn change(group: &mut VirtualIPGroup, edit: Edit) {
    let spec = &mut group.spec;
    match edit {
        Edit::Identifier(id) => spec.virtual_router_id = Some(id),
        Edit::ToggleMode => {
            spec.advertisement.peers.clear();
            spec.advertisement.mode = match spec.advertisement.mode {
                Mode::Unicast => Mode::Multicast,
                Mode::Multicast => Mode::Unicast,
            };
        }
        Edit::ToggleVersion => spec.advertisement.version = 5 - spec.advertisement.version,
        Edit::Interval(seconds) => spec.advertisement.interval = GatewayDuration::from_secs(seconds),
        Edit::Priority(priority) => spec.priority = priority,
        Edit::ToggleInterface => {
            spec.interface = match spec.interface {
                None => Some("eth1".to_owned()),
                Some(_) => None,
            };
        }
        Edit::Source(node, on) => {
            spec.node_overrides.retain(|change| change.nodes != [NODES[node]]);
            if on {
                spec.node_overrides.push(NodeOverride {
                    nodes: vec![NODES[node].to_owned()],
                    selector: None,
                    priority: None,
                    interface: None,
                    source_address: Some(format!("10.0.0.9{node}")),
                });
            }
        }
        Edit::ListPeers(on) => {
            spec.advertisement.peers.clear();
            if on && spec.advertisement.mode == Mode::Unicast {
                let peers = NODES[..3].iter().map(|name| {
                    serde_json::json!({ "name": name, "addresses": [format!("10.0.0.1{}", &name[1..])] })
                });
                spec.advertisement.peers = peers.map(|peer| serde_json::from_value(peer).unwrap()).collect();
            }
        }
    }
}

fn play(world: &mut World, step: &Step) {
    world.now += SignedDuration::from_secs(1);
    match *step {
        Step::Operate(ref nodes) => world.operate(nodes),
        Step::Sync(node) => {
            world.read(NODES[node]);
            world.apply(NODES[node]);
            world.report(NODES[node]);
        }
        Step::Read(node) => world.read(NODES[node]),
        Step::Apply(node) => world.apply(NODES[node]),
        Step::Report(node) => world.report(NODES[node]),
        Step::Elect(node, group) => world.elect(NODES[node], GROUPS[group]),
        Step::Start(node) => {
            let agent = world.agents.get_mut(NODES[node]).unwrap();
            if agent.life == Life::NotStarted {
                agent.life = Life::Connected;
            }
        }
        Step::Cut(node) => world.agents.get_mut(NODES[node]).unwrap().connect(false),
        Step::Heal(node) => world.agents.get_mut(NODES[node]).unwrap().connect(true),
        Step::Expire(node) => world.expire(NODES[node]),
        Step::Crash(node) => world.crash(NODES[node]),
        Step::Stubborn(node, on) => world.agents.get_mut(NODES[node]).unwrap().stubborn = on,
        Step::Label(node, on) => {
            if let Some(kube) = world.nodes.get_mut(NODES[node]) {
                kube.labels.remove("use");
                if on {
                    kube.labels.insert("use".to_owned(), "yes".to_owned());
                }
            }
        }
        Step::RemoveNode(node) => drop(world.nodes.remove(NODES[node])),
        Step::AddNode(node) => world.add_node(NODES[node]),
        Step::ApplyGroup(group, edit) => world.apply_group(GROUPS[group], &|group| change(group, edit)),
        Step::DeleteGroup(group) => world.delete_group(GROUPS[group]),
        Step::Finalize(group) => world.finalize(GROUPS[group]),
        Step::LoseGroup(group) => world.lose_group(GROUPS[group]),
        Step::Wait => world.now += SignedDuration::from_mins(7),
        Step::Wipe => world.wipe(),
        Step::BackUp => world.back_up(),
        Step::Restore => world.restore(),
        Step::Settle => {
            world.settle();
            world.assert_settled();
        }
    }
    world.give_up();
    world.assert_nobody_is_deaf();
}

/// Three nodes with agents that share a group, and one without an agent.
fn started() -> World {
    let mut world = World::new();
    for node in &NODES[..3] {
        let agent = world.agents.get_mut(*node).unwrap();
        agent.life = Life::Connected;
        world.report(node);
    }
    world.apply_group("a", &|_| {});
    world.settle();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_that_could_serve_is_deaf_to_another_and_all_comes_to_rest(
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let mut world = started();
        for step in &steps {
            play(&mut world, step);
        }
        world.settle();
        world.assert_settled();
    }

    #[test]
    fn what_happens_to_agents_alone_writes_nothing_once_all_is_at_rest(
        steps in proptest::collection::vec(step(), 1..30),
        noise in proptest::collection::vec((0..NODES.len(), 0..6_u8), 1..30),
    ) {
        let mut world = started();
        for step in &steps {
            play(&mut world, step);
        }
        // What waits for a Node is not at rest.
        for node in NODES {
            world.add_node(node);
        }
        world.settle();
        let writes = world.writes;
        for (node, what) in noise {
            let node = NODES[node];
            match what {
                0 => world.elect(node, GROUPS[0]),
                1 => world.crash(node),
                2 => world.report(node),
                3 => world.agents.get_mut(node).unwrap().connect(false),
                4 => world.expire(node),
                _ => drop(world.nodes.get_mut(node).map(|kube| kube.labels.insert("other".into(), "yes".into()))),
            }
            world.operate(&NODES);
        }
        prop_assert_eq!(world.writes, writes, "{}", world);
    }
}
