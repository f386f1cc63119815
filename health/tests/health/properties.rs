//! Whatever happens, in whatever order and at whatever time.

use core::time::Duration;

use holdfast_health::{
    Damping, Duty, Kind, OnFailure, Outcome, Policy, Probe, ProbeReport, Recovery, Report, Run, Thresholds,
    Verdict,
};
use holdfast_vrrp::{Fault, Faults, Health, Priority, Standing};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::kit::{Node, passed, policy, priority, secs, times};

/// Something that happens to a group.
#[derive(Clone, Debug)]
enum Event {
    Wait(Duration),
    Run(usize, Run),
    Recovered(usize),
    CountAnew(usize),
    Edit(Box<Policy>),
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn runs() -> impl Strategy<Value = Run> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Passed),
        3 => Just(Outcome::Failed),
        1 => Just(Outcome::TimedOut),
        1 => Just(Outcome::CouldNotRun),
    ];
    let adds =
        prop_oneof![8 => Just(None), 1 => (-253_i16..=253).prop_map(Some), 1 => any::<i16>().prop_map(Some)];
    (outcome, "[a-z0-9 ü]{0,9}", adds).prop_map(|(outcome, message, adds)| Run {
        outcome,
        message,
        adds,
    })
}

fn actions() -> impl Strategy<Value = OnFailure> {
    prop_oneof![
        Just(OnFailure::None),
        Just(OnFailure::Hold),
        Just(OnFailure::Fault),
        (-253_i16..=253).prop_map(OnFailure::Weight),
        any::<i16>().prop_map(OnFailure::Weight),
    ]
}

fn recoveries() -> impl Strategy<Value = Option<Recovery>> {
    proptest::option::of((1_u8..4, 0_u64..60).prop_map(|(attempts, cooldown)| Recovery {
        attempts: times(attempts),
        cooldown: secs(cooldown),
    }))
}

fn kinds(healing: bool) -> impl Strategy<Value = Kind> {
    let row = (1_u8..4, 1_u8..4, recoveries()).prop_map(move |(failure, success, recovery)| Kind::Runs {
        thresholds: Thresholds {
            failure: times(failure),
            success: times(success),
        },
        recovery: recovery.filter(|_| healing),
    });
    let quorum = (proptest::sample::subsequence(NAMES.to_vec(), 0..=4), 0_usize..4);
    let quorum = quorum.prop_map(|(of, at_least)| Kind::Quorum {
        of: of.into_iter().map(str::to_owned).collect(),
        at_least,
    });
    prop_oneof![4 => row, 1 => quorum]
}

fn duties() -> impl Strategy<Value = Duty> {
    prop_oneof![
        6 => Just(Duty::Serve),
        1 => Just(Duty::Demote("cordoned".to_owned())),
        1 => Just(Duty::Release("drained".to_owned())),
    ]
}

fn policies(healing: bool, damping: impl Strategy<Value = Damping>) -> impl Strategy<Value = Policy> {
    let probes = vec((kinds(healing), actions()), 0..=NAMES.len());
    (1_u8..=255, any::<bool>(), duties(), probes, damping).prop_map(
        |(base, preferred, duty, probes, damping)| Policy {
            base: priority(base),
            preferred,
            duty,
            probes: NAMES
                .into_iter()
                .zip(probes)
                .map(|(name, (kind, on_failure))| Probe {
                    name: name.to_owned(),
                    kind,
                    on_failure,
                })
                .collect(),
            damping,
        },
    )
}

fn any_damping() -> impl Strategy<Value = Damping> {
    let damping = (any::<u8>(), any::<Duration>(), any::<Duration>());
    let sane = (0_u8..6, 1_u64..300, 1_u64..3000).prop_map(|(changes, window, longest)| Damping {
        changes,
        window: secs(window),
        longest: secs(longest),
    });
    let any = damping.prop_map(|(changes, window, longest)| Damping {
        changes,
        window,
        longest,
    });
    prop_oneof![4 => sane, 1 => any]
}

fn undamped() -> Damping {
    policy([]).damping
}

fn waits() -> impl Strategy<Value = Duration> {
    prop_oneof![
        6 => (0_u64..3_000).prop_map(Duration::from_millis),
        3 => (0_u64..400).prop_map(secs),
        1 => (0_u64..5_000).prop_map(secs),
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => waits().prop_map(Event::Wait),
        1 => any::<Duration>().prop_map(Event::Wait),
        16 => (0..NAMES.len(), runs()).prop_map(|(probe, run)| Event::Run(probe, run)),
        4 => (0..NAMES.len()).prop_map(Event::Recovered),
        1 => (0..NAMES.len()).prop_map(Event::CountAnew),
        2 => policies(true, any_damping()).prop_map(|policy| Event::Edit(Box::new(policy))),
    ];
    vec(event, 0..120)
}

fn happen(node: &mut Node, event: Event) {
    match event {
        Event::Wait(time) => node.wait(time),
        Event::Run(probe, run) => {
            node.run(NAMES[probe], run);
        }
        Event::Recovered(probe) => node.group.recovered(node.now, NAMES[probe], passed()),
        Event::CountAnew(probe) => node.group.count_anew(node.now, NAMES[probe]),
        Event::Edit(policy) => node.edit(*policy),
    }
}

/// A probe's verdict from all its runs: that of the last row that was long enough to make one.
fn verdict_of(history: &[Run], thresholds: Thresholds) -> Verdict {
    let row = |end: usize, count: u8, passing: bool| {
        let row = history.get(..end).unwrap_or_default();
        let row = row
            .len()
            .checked_sub(usize::from(count))
            .and_then(|start| row.get(start..));
        row.is_some_and(|row| row.iter().all(|run| run.outcome.is_pass() == passing))
    };
    for end in (0..=history.len()).rev() {
        if row(end, thresholds.success.get(), true) {
            return Verdict::Passing;
        }
        if row(end, thresholds.failure.get(), false) {
            return Verdict::Failing;
        }
    }
    Verdict::NotYetKnown
}

/// What a policy makes of verdicts, written down once more, as a reader of the rules would.
fn judge(policy: &Policy, verdicts: &[Verdict], numbers: &[i16], unknown_passes: bool) -> Health {
    let passes = |place: usize| match verdicts[place] {
        Verdict::Passing | Verdict::Recovering => true,
        Verdict::Failing => false,
        Verdict::NotYetKnown => unknown_passes,
    };
    let place = |name: &String| policy.probes.iter().position(|probe| probe.name == *name);
    let is_run = |place: usize| matches!(policy.probes[place].kind, Kind::Runs { .. });
    let named = |place: usize| {
        let name = &policy.probes[place].name;
        is_run(place)
            && policy
                .probes
                .iter()
                .any(|probe| matches!(&probe.kind, Kind::Quorum { of, .. } if of.contains(name)))
    };
    let (mut faults, mut floor, mut fails, mut terms) = (Faults::NONE, false, false, Vec::new());
    for (index, probe) in policy
        .probes
        .iter()
        .enumerate()
        .filter(|(index, _)| !named(*index))
    {
        let (ok, number) = match &probe.kind {
            Kind::Runs { .. } => (passes(index), i32::from(numbers[index])),
            Kind::Quorum { of, at_least } => {
                let of = of
                    .iter()
                    .filter_map(place)
                    .filter(|place| is_run(*place) && passes(*place));
                (of.count() >= *at_least, 0)
            }
        };
        fails |= !ok && probe.on_failure != OnFailure::None;
        let weight = match probe.on_failure {
            OnFailure::Weight(weight) if weight > 0 && ok => i32::from(weight),
            OnFailure::Weight(weight) if weight < 0 && !ok => i32::from(weight),
            _ => 0,
        };
        terms.push(weight + if ok { number } else { 0 });
        floor |= !ok && probe.on_failure == OnFailure::Hold;
        if !ok && probe.on_failure == OnFailure::Fault {
            faults = faults.with(Fault::ProbeFailed, true);
        }
    }
    if matches!(policy.duty, Duty::Release(_)) {
        faults = faults.with(Fault::Maintenance, true);
    }
    let preferred = policy.preferred && !fails && policy.duty == Duty::Serve && policy.base.get() != 255;
    let base = if preferred {
        254
    } else {
        i32::from(policy.base.get())
    };
    let sum = (base + terms.iter().sum::<i32>()).clamp(1, 254);
    let standing = if floor {
        Standing::Floor
    } else if matches!(policy.duty, Duty::Demote(_)) {
        Standing::Demoted
    } else if preferred || terms.iter().any(|term| *term != 0) {
        Standing::Weighted(priority(u8::try_from(sum).unwrap_or(0)))
    } else {
        Standing::Base
    };
    Health { faults, standing }
}

/// The number that a sum comes to, by adding up what it says.
fn added_up(sum: &str) -> i64 {
    let number = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(-1000)
    };
    if let Some(rest) = sum
        .strip_prefix("floor ")
        .or_else(|| sum.strip_prefix("held back at "))
    {
        return number(rest);
    }
    let mut total: i64 = number(sum);
    let mut depth = 0;
    for (at, letter) in sum.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            '+' if depth == 0 => total += number(&sum[at + 2..]),
            '−' if depth == 0 => total -= number(&sum[at + 4..]),
            _ => {}
        }
    }
    total.clamp(1, if sum.contains(" = ") { 254 } else { 255 })
}

/// The number after the last equals sign, if there is one.
fn result(sum: &str) -> Option<i64> {
    let (_, result) = sum.rsplit_once(" = ")?;
    result.split(' ').next()?.parse().ok()
}

fn stands_with(health: Health, base: Priority) -> i64 {
    i64::from(match health.standing {
        Standing::Base => base.get(),
        Standing::Weighted(priority) => priority.get(),
        Standing::Floor | Standing::Demoted => base.floored().get(),
    })
}

proptest! {
    #[test]
    fn a_judgement_is_what_a_reader_of_the_rules_makes_of_all_the_runs(
        policy in policies(false, Just(undamped())),
        runs in vec((0..NAMES.len(), runs()), 0..60),
    ) {
        let mut node = Node::new(policy.clone());
        let mut histories: Vec<Vec<Run>> = vec![Vec::new(); policy.probes.len()];
        for (probe, run) in runs {
            node.run(NAMES[probe], run.clone());
            if let Some(history) = histories.get_mut(probe) {
                history.push(run);
            }
            let verdicts: Vec<_> = policy.probes.iter().zip(&histories).map(|(probe, history)| match probe.kind {
                Kind::Runs { thresholds, .. } => verdict_of(history, thresholds),
                Kind::Quorum { .. } => Verdict::NotYetKnown,
            }).collect();
            let numbers: Vec<_> = histories.iter().map(|history| {
                history.iter().rev().find(|run| run.outcome.is_pass()).and_then(|run| run.adds).unwrap_or(0)
            }).collect();
            for (shown, probe) in node.group.report().probes.iter().zip(&policy.probes) {
                if let Kind::Runs { .. } = probe.kind {
                    let place = NAMES.iter().position(|name| *name == probe.name).unwrap();
                    prop_assert_eq!(shown.verdict, verdicts[place]);
                }
            }
            prop_assert_eq!(node.strict(), judge(&policy, &verdicts, &numbers, false));
            prop_assert_eq!(node.lenient(), judge(&policy, &verdicts, &numbers, true));
        }
    }

    #[test]
    fn whatever_happens_what_is_said_holds_together(policy in policies(true, any_damping()), events in events()) {
        let mut base = policy.base;
        let mut node = Node::new(policy);
        for event in events {
            if let Event::Edit(policy) = &event {
                base = policy.base;
            }
            happen(&mut node, event);
            let Report { judgement, sum, faults, probes, held_back } = node.group.report();
            prop_assert_eq!(judgement, node.group.judgement());
            for health in [judgement.strict, judgement.lenient] {
                if let Standing::Weighted(priority) = health.standing {
                    prop_assert!((1..=254).contains(&priority.get()), "{} is the owner's", priority);
                }
            }
            prop_assert_eq!(held_back.map(|held| held.until), node.group.next_timeout());
            prop_assert!(node.group.next_timeout().is_none_or(|at| at > node.now || at.as_nanos() == u64::MAX));
            prop_assert_eq!(faults.iter().map(|(fault, _)| *fault).collect::<Faults>(), judgement.strict.faults);
            prop_assert!(!sum.contains('\n') && faults.iter().all(|(_, sentence)| !sentence.is_empty()));
            if judgement.strict.faults.is_empty() {
                let priority = stands_with(judgement.strict, base);
                prop_assert_eq!(added_up(&sum), priority, "{}", sum);
                prop_assert!(result(&sum).is_none_or(|result| result == priority), "{}", sum);
            } else {
                prop_assert!(sum.starts_with("out of the election: "));
            }
            for ProbeReport { verdict, since, streak: (streak, of), quorum, .. } in probes {
                prop_assert!(verdict != Verdict::NotYetKnown || since.is_none());
                prop_assert!(since.is_some_and(|since| since <= node.now) || verdict == Verdict::NotYetKnown);
                prop_assert!(streak <= of || quorum.is_none());
            }
        }
    }

    #[test]
    fn what_is_known_is_judged_the_same_by_both(policy in policies(true, any_damping()), events in events()) {
        let mut node = Node::new(policy);
        for event in events {
            happen(&mut node, event);
            let probes = node.group.report().probes;
            if probes.iter().all(|probe| matches!(probe.verdict, Verdict::Passing | Verdict::Failing)) {
                prop_assert_eq!(node.strict(), node.lenient());
            }
        }
    }
}
