//! The state diagram that docs/state-machine.md shows is the one in the code, and each of its arrows is walked.

use std::collections::BTreeMap;

use holdfast_vrrp::{
    Action, Fault, Preemption, Reason, Shutdown, Standing, State, TRANSITIONS, VirtualRouterId,
};

use crate::harness::*;

/// The arrows of the picture, `From-To`, each with the words beside it: a group of elements that bears the arrow's name.
fn drawn(picture: &str) -> BTreeMap<String, Vec<String>> {
    let groups = picture.split("<g id=\"").skip(1);
    groups
        .map(|group| {
            let (name, rest) = group.split_once('"').unwrap();
            let (elements, _) = rest.split_once("</g>").unwrap();
            let lines = elements.lines().filter(|line| line.starts_with("<text"));
            let words = lines.flat_map(|line| {
                let (_, text) = line.split_once('>').unwrap();
                text.trim_end_matches("</text>").split(", ").map(str::to_owned)
            });
            (name.to_owned(), words.collect())
        })
        .collect()
}

#[test]
fn the_picture_in_the_documentation_is_the_diagram_of_the_code() {
    let mut arrows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (from, to, reason) in TRANSITIONS {
        let arrow = arrows.entry(format!("{from}-{to}")).or_default();
        arrow.push(reason.name().to_owned());
    }
    let picture = include_str!("../../../docs/pictures/states.svg");
    assert_eq!(drawn(picture), arrows);
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
