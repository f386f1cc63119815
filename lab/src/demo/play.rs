//! The play: what happens, in which order, and what is promised about each event.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    groups::{GROUPS, Group, NODES},
    stage::{Daemon, Stage},
    table::{Measured, Promise, Row},
    view::View,
};
use crate::error::{Error, Result};

const A: usize = 0;
const B: usize = 1;
const BLUE: usize = 0;
const GREEN: usize = 1;

/// What scheduling on a busy machine may add to a time the protocol gives.
const MARGIN: Duration = Duration::from_millis(100);
/// What starting a daemon, or a link coming up, may add.
const START: Duration = Duration::from_millis(400);
/// How long a group may be silent where the protocol leaves no hole.
const SEAMLESS: Duration = Duration::from_millis(30);
/// How long two nodes may hold an address when one hands over to the other: the overlap that makes it seamless.
const OVERLAP: Duration = Duration::from_millis(500);
/// How long a dead or frozen agent's addresses may outlive it: their lifetime, and half a second.
const LIFETIME: Duration = Duration::from_millis(3500);
/// How long the play waits for an event's outcome before it goes on.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long the groups may take to be served first.
const SETTLE: Duration = Duration::from_secs(15);
/// How long the audience is given between events.
const BREATH: Duration = Duration::from_millis(1200);
/// How often the view is drawn.
const FRAME: Duration = Duration::from_millis(100);

/// Something that happens to a node, and the group that moves from one node to another because of it.
struct Event {
    title: &'static str,
    told: &'static str,
    act: fn(&mut Stage, usize) -> Result<()>,
    node: usize,
    group: usize,
    from: usize,
    to: usize,
    promise: fn(&Group, usize) -> Promise,
}

#[rustfmt::skip]
const EVENTS: [Event; 8] = [
    Event {
        title: "planned stop: a", told: "the daemon on node a is asked to stop (SIGTERM)",
        act: Stage::stop, node: A, group: BLUE, from: A, to: B, promise: planned_stop,
    },
    Event {
        title: "a is back", told: "the daemon on node a is started again",
        act: Stage::start, node: A, group: BLUE, from: B, to: A, promise: comes_back,
    },
    Event {
        title: "a lost (cable)", told: "the cable of node a is pulled",
        act: Stage::unplug, node: A, group: BLUE, from: A, to: B, promise: lost,
    },
    Event {
        title: "a is back", told: "the cable of node a is plugged in again",
        act: Stage::plug, node: A, group: BLUE, from: B, to: A, promise: comes_back,
    },
    Event {
        title: "b killed", told: "the daemon on node b is killed (SIGKILL)",
        act: Stage::kill, node: B, group: GREEN, from: B, to: A, promise: dies,
    },
    Event {
        title: "b is back", told: "the daemon on node b is started again",
        act: Stage::start, node: B, group: GREEN, from: A, to: B, promise: comes_back,
    },
    Event {
        title: "b frozen", told: "the daemon on node b is frozen (SIGSTOP)",
        act: Stage::freeze, node: B, group: GREEN, from: B, to: A, promise: dies,
    },
    Event {
        title: "b thawed", told: "the daemon on node b runs on (SIGCONT)",
        act: Stage::thaw, node: B, group: GREEN, from: A, to: B, promise: comes_back,
    },
];

fn planned_stop(group: &Group, successor: usize) -> Promise {
    Promise {
        takeover: group.skew(successor) + MARGIN,
        silence: SEAMLESS,
        held_twice: OVERLAP,
    }
}

fn comes_back(group: &Group, successor: usize) -> Promise {
    let takeover = group.active_down_interval(successor) + START + MARGIN;
    Promise {
        takeover,
        silence: SEAMLESS,
        held_twice: OVERLAP,
    }
}

fn lost(group: &Group, successor: usize) -> Promise {
    let bound = group.active_down_interval(successor) + MARGIN;
    Promise {
        takeover: bound,
        silence: bound,
        held_twice: LIFETIME,
    }
}

/// The kernel goes on answering for a daemon that does not run, so nobody notices but the other nodes.
fn dies(group: &Group, successor: usize) -> Promise {
    let takeover = group.active_down_interval(successor) + MARGIN;
    Promise {
        takeover,
        silence: SEAMLESS,
        held_twice: LIFETIME,
    }
}

/// Plays all events and returns a row for each.
pub(super) fn play(daemon: Daemon, terminal: bool) -> Result<Vec<Row>> {
    let mut stage = Stage::set(daemon)?;
    let mut view = View::new(terminal);
    view.say("three nodes are up; the groups find their places");
    let preferred = [(BLUE, A), (GREEN, B)];
    let settled = watch(&mut stage, &mut view, SETTLE, |stage| {
        preferred
            .iter()
            .all(|&(group, node)| is_served_by(stage, &GROUPS[group], node))
    })?;
    if !settled {
        return Err(Error::TimedOut {
            what: format!("{} serves blue and {} serves green", NODES[A], NODES[B]),
            after: SETTLE,
        });
    }
    watch(&mut stage, &mut view, BREATH, |_| false)?;
    let mut rows = Vec::new();
    for event in &EVENTS {
        view.say(event.told);
        let row = perform(&mut stage, &mut view, event)?;
        view.say(&format!("  {}", row.sentence()));
        rows.push(row);
    }
    view.close();
    Ok(rows)
}

fn perform(stage: &mut Stage, view: &mut View, event: &Event) -> Result<Row> {
    let group = &GROUPS[event.group];
    let start = Instant::now();
    (event.act)(stage, event.node)?;
    // What is missed then is in the figures.
    watch(stage, view, PATIENCE, |stage| {
        is_served_by(stage, group, event.to)
    })?;
    watch(stage, view, BREATH, |_| false)?;
    let end = Instant::now();
    let mut measured = Measured {
        takeover: Some(Duration::ZERO),
        ..Measured::default()
    };
    for address in group.addresses() {
        let takeover = stage
            .meter
            .time_until_answer_from(address, start, NODES[event.to]);
        let report = stage.meter.report(address, start..end);
        measured.takeover = measured.takeover.zip(takeover).map(|(one, other)| one.max(other));
        measured.silence = measured.silence.max(report.longest_silence);
        measured.lost += report.lost;
        measured.held_twice = measured.held_twice.max(report.held_twice);
        measured.control_silence = measured.control_silence.max(report.control_silence);
    }
    for address in GROUPS
        .iter()
        .filter(|other| other.name != group.name)
        .flat_map(Group::addresses)
    {
        let silence = stage.meter.report(address, start..end).longest_silence;
        measured.bystander_silence = measured.bystander_silence.max(silence);
    }
    Ok(Row {
        event: event.title,
        group: group.name,
        from: NODES[event.from],
        to: NODES[event.to],
        measured,
        promise: (event.promise)(group, event.to),
        bystander_promise: SEAMLESS,
    })
}

/// Whether the node at `index` alone holds and answers both addresses.
fn is_served_by(stage: &Stage, group: &Group, index: usize) -> bool {
    group.addresses().into_iter().all(|address| {
        let answers = stage
            .meter
            .last_answer(address)
            .is_some_and(|(node, ago)| *node == *NODES[index] && ago < FRAME);
        answers
            && stage
                .meter
                .holders(address)
                .iter()
                .map(|node| &**node)
                .eq([NODES[index]])
    })
}

/// Draws the view until `done`, at most for `patience`; whether it got done.
fn watch(
    stage: &mut Stage,
    view: &mut View,
    patience: Duration,
    done: impl Fn(&Stage) -> bool,
) -> Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        stage.check()?;
        view.draw(stage);
        if done(stage) {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        thread::sleep(left.min(FRAME));
    }
}
