//! A priority as a sum that people can follow: `200 base − 50 haproxy (connection refused, 3 of 3) = 150`.
//!
//! Whatever the form, it says the priority with which the node stands, if it stands in the election at all.

use core::fmt::Write;
use core::time::Duration;

use holdfast_vrrp::{Fault, Priority, Standing};

use crate::assess::{Assessment, Floor};
use crate::judgement::HeldBack;
use crate::policy::{Duty, OnFailure, Policy};
use crate::probes::{Probes, View};
use crate::words;

/// The minus sign: a hyphen between two numbers looks like a range.
const MINUS: char = '\u{2212}';

/// The sum, in one line.
pub(crate) fn sum(
    policy: &Policy,
    probes: &Probes,
    assessment: &Assessment<'_>,
    standing: Standing,
    held_back: Option<HeldBack>,
) -> String {
    let base = policy.base;
    if !assessment.faults.is_empty() {
        return format!("out of the election: {}", faults(policy, probes, assessment));
    }
    let floor = base.floored();
    match (assessment.floor, held_back, standing) {
        (Some(Floor::Failing), ..) => {
            format!(
                "floor {floor} of {base} base: {}",
                culprits(probes, OnFailure::Hold)
            )
        }
        (Some(Floor::Demoted), ..) => format!("floor {floor} of {base} base: {}", duty(policy)),
        (None, Some(HeldBack { changes, .. }), Standing::Weighted(priority)) => {
            let window = short(policy.damping.window);
            format!("held back at {priority} of {base} base ({changes} changes within {window})")
        }
        (None, None, Standing::Weighted(priority)) => terms(policy, probes, assessment, priority),
        (None, ..) => format!("{base} base"),
    }
}

/// What keeps the node out of the election.
fn faults(policy: &Policy, probes: &Probes, assessment: &Assessment<'_>) -> String {
    let reasons = assessment.faults.iter().map(|fault| match fault {
        Fault::Maintenance => duty(policy),
        _ => culprits(probes, OnFailure::Fault),
    });
    reasons.collect::<Vec<_>>().join("; ")
}

/// The probes whose failure does this, each with why.
fn culprits(probes: &Probes, action: OnFailure) -> String {
    let culprits = probes.failing(action).map(|slot| match words::why(probes, slot) {
        Some(why) => format!("{} fails ({why})", slot.name),
        None => format!("{} is not known yet", slot.name),
    });
    culprits.collect::<Vec<_>>().join("; ")
}

fn duty(policy: &Policy) -> String {
    match &policy.duty {
        Duty::Serve => String::new(),
        Duty::Demote(reason) | Duty::Release(reason) => {
            format!("node is being worked on ({})", words::line(reason))
        }
    }
}

fn terms(policy: &Policy, probes: &Probes, assessment: &Assessment<'_>, priority: Priority) -> String {
    let base = policy.base;
    let (start, mut sum) = if assessment.preferred {
        let most = Priority::BACKUP_MAX;
        (most, format!("{most} preferred by placement ({base} base)"))
    } else {
        (base, format!("{base} base"))
    };
    if assessment.terms.is_empty() {
        return sum;
    }
    for term in &assessment.terms {
        let sign = if term.adds < 0 { MINUS } else { '+' };
        // Writing to a string cannot fail.
        let _ = write!(sum, " {sign} {} {}", term.adds.unsigned_abs(), term.slot.name);
        if !probes.passes(term.slot, View::Strict) {
            let why = words::why(probes, term.slot);
            let _ = write!(sum, " ({})", why.as_deref().unwrap_or("not known yet"));
        }
    }
    let exact = i32::from(start.get()).saturating_add(assessment.sum());
    let _ = write!(sum, " = {priority}");
    if exact < i32::from(priority.get()) {
        sum.push_str(" (the least)");
    } else if exact > i32::from(priority.get()) {
        sum.push_str(" (the most)");
    }
    sum
}

/// A length of time as it is written in a group: `3m`, `1h30m`.
fn short(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), u64::from(duration.subsec_millis()));
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (millis, "ms"),
    ];
    let written = parts.iter().filter(|(count, _)| *count > 0);
    let written: Vec<_> = written.map(|(count, unit)| format!("{count}{unit}")).collect();
    if written.is_empty() {
        "0s".to_owned()
    } else {
        written.concat()
    }
}
