//! The state diagram in docs/state-machine.md is the one in the code, and each of its arrows is walked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use holdfast_vrrp::{
    Action, Fault, Preemption, Reason, Shutdown, Standing, State, TRANSITIONS, VirtualRouterId,
};

use crate::harness::*;

/// The transitions as Mermaid draws them, with all reasons for one change of state on one arrow.
fn mermaid() -> String {
    let mut arrows: BTreeMap<(State, State), Vec<&str>> = BTreeMap::new();
    for (from, to, reason) in TRANSITIONS {
        arrows.entry((*from, *to)).or_default().push(reason.name());
    }
    let mut diagram = String::from("```mermaid\nstateDiagram-v2\n    [*] --> Initialize\n");
    for ((from, to), reasons) in arrows {
        writeln!(diagram, "    {from} --> {to}: {}", reasons.join(", ")).unwrap();
    }
    diagram + "```\n"
}

#[test]
fn the_diagram_in_the_documentation_is_the_one_in_the_code() {
    let page = include_str!("../../../docs/state-machine.md");
    let diagram = mermaid();
    assert!(
        page.contains(&diagram),
        "put this into docs/state-machine.md:\n{diagram}"
    );
}

#[test]
fn the_documentation_explains_every_reason() {
    let page = include_str!("../../../docs/state-machine.md");
    for (_, _, reason) in TRANSITIONS {
        let row = format!("| `{reason}` |");
        assert!(page.contains(&row), "docs/state-machine.md has no row {row}");
    }
}

#[test]
fn every_arrow_of_the_diagram_is_walked() {
    let seven = VirtualRouterId::new(7).unwrap();
    let fault = [Fault::LinkDown];
    let active = || Solo::active(config(100));
    let backup = || Solo::backup(config(100));
    let failed = || {
        let mut solo = Solo::backup(config(100));
        solo.health(&fault, Standing::Base);
        solo
    };
    let mut walked = Vec::new();
    let mut walk = |out: Vec<Action>| walked.extend(transitions(&out));

    walk(Solo::new(config(100)).timeout());
    walk(Solo::new(config(255)).timeout());
    walk(Solo::resumed(config(100), SECOND, true).timeout());
    let mut solo = Solo::new(config(100));
    solo.health(&fault, Standing::Base);
    walk(solo.timeout());

    walk(backup().timeout());
    let mut solo = backup();
    solo.hear(HIGHER, 0);
    walk(solo.timeout());
    let mut start = config(100);
    start.preemption = Preemption::Delayed(SECOND);
    let mut solo = Solo::backup(start);
    solo.hear(HIGHER, 50);
    walk(solo.timeout());
    walk(backup().hear(HIGHER, 5));
    walk(backup().health(&fault, Standing::Base));
    walk(backup().shut_down(Shutdown::Planned));
    walk(backup().configure(|config| config.virtual_router_id = seven));

    walk(active().hear(LOWER, 200));
    walk(active().hear(HIGHER, 100));
    walk(active().health(&[], Standing::Floor));
    walk(active().health(&[], Standing::Demoted));
    walk(active().hand_over());
    let mut solo = active();
    solo.now = solo.now + 1000 * SECOND;
    walk(solo.input(holdfast_vrrp::Input::Timeout));
    walk(active().health(&fault, Standing::Base));
    walk(active().shut_down(Shutdown::Planned));
    walk(active().configure(|config| config.virtual_router_id = seven));

    walk(failed().health(&[], Standing::Base));
    walk(failed().shut_down(Shutdown::Planned));
    walk(failed().configure(|config| config.virtual_router_id = seven));

    for arrow in TRANSITIONS {
        assert!(walked.contains(arrow), "{arrow:?} never happens");
    }
    assert!(
        walked
            .iter()
            .all(|arrow: &(State, State, Reason)| TRANSITIONS.contains(arrow))
    );
}
