//! What is said of a change, from the first run that fails to the last attempt at healing.

use core::num::NonZeroU8;

use holdfast_health::{Healing, HeldBack, Judgement, OnFailure, Run};
use holdfast_vrrp::{Faults, Health, Standing};

use super::*;

fn probe(verdict: Verdict, outcome: Outcome, message: &str) -> ProbeReport {
    ProbeReport {
        name: "haproxy".to_owned(),
        on_failure: OnFailure::Weight(-50),
        quorum: None,
        verdict,
        since: None,
        outcome: Some(outcome),
        message: message.to_owned(),
        streak: (2, 3),
        latest: Some(Run::new(outcome, message)),
        healing: None,
    }
}

fn healed(probe: ProbeReport, attempt: u8, result: Option<Run>) -> ProbeReport {
    let number = |number| NonZeroU8::new(number).unwrap();
    ProbeReport {
        healing: Some(Healing {
            attempt: number(attempt),
            of: number(2),
            running: result.is_none(),
            ended: result.as_ref().map(|_| Instant::from_nanos(attempt.into())),
            result,
        }),
        ..probe
    }
}

fn report(probe: ProbeReport) -> Report {
    let health = Health {
        faults: Faults::NONE,
        standing: Standing::Base,
    };
    Report {
        judgement: Judgement {
            strict: health,
            lenient: health,
        },
        sum: "200 base".to_owned(),
        faults: Vec::new(),
        probes: vec![probe],
        held_back: None,
    }
}

fn between(before: &Report, now: &Report) -> Vec<String> {
    let until = "2026-11-21T12:03:05.123Z".parse().unwrap();
    let dates = BTreeMap::from([(Instant::from_nanos(7), until)]);
    let sign = |line: &Line| if line.is_warning { "!" } else { "-" };
    lines("web", before, now, &dates)
        .iter()
        .map(|line| format!("{} {}", sign(line), line.text))
        .collect()
}

fn said(before: ProbeReport, now: ProbeReport) -> Vec<String> {
    between(&report(before), &report(now))
}

const PASSED: (Verdict, Outcome) = (Verdict::Passing, Outcome::Passed);

fn passing() -> ProbeReport {
    probe(PASSED.0, PASSED.1, "")
}

#[test]
fn a_verdict_that_changes_is_one_line() {
    let failing = probe(Verdict::Failing, Outcome::Failed, "connection refused\nand more");
    assert_eq!(
        said(passing(), failing.clone()),
        ["! probe haproxy of group web fails: connection refused (3 of 3 runs); onFailure Weight \u{2212}50"]
    );
    assert_eq!(
        said(failing.clone(), passing()),
        ["- probe haproxy of group web passes"]
    );
    let unknown = probe(Verdict::NotYetKnown, Outcome::TimedOut, "no answer within 1s");
    let timed_out = probe(Verdict::Failing, Outcome::TimedOut, "no answer within 1s");
    assert_eq!(
        said(
            unknown,
            ProbeReport {
                quorum: Some("all".to_owned()),
                ..timed_out
            }
        ),
        [
            "! probe haproxy of group web fails: timed out: no answer within 1s (3 of 3 runs); it counts in quorum all"
        ]
    );
    let quorum = |verdict, message: &str| ProbeReport {
        outcome: None,
        latest: None,
        on_failure: OnFailure::Hold,
        ..probe(verdict, Outcome::Passed, message)
    };
    assert_eq!(
        said(
            quorum(Verdict::Passing, "2 of 3 pass, 2 have to"),
            quorum(Verdict::Failing, "1 of 3 pass, 2 have to")
        ),
        ["! quorum haproxy of group web fails: 1 of 3 pass, 2 have to; onFailure Hold"]
    );
}

#[test]
fn a_run_that_changes_no_verdict_is_no_line() {
    let failed = probe(Verdict::Failing, Outcome::Failed, "connection refused");
    let timed_out = ProbeReport {
        streak: (0, 3),
        ..probe(Verdict::Failing, Outcome::TimedOut, "no answer within 1s")
    };
    assert_eq!(said(failed, timed_out), [""; 0]);
    assert_eq!(
        said(
            passing(),
            ProbeReport {
                latest: None,
                ..passing()
            }
        ),
        [""; 0]
    );
}

#[test]
fn a_probe_that_cannot_be_run_any_more_is_a_line_of_its_own() {
    let broken = probe(
        Verdict::NotYetKnown,
        Outcome::CouldNotRun,
        "there is no /usr/bin/check",
    );
    let unknown = ProbeReport {
        outcome: None,
        ..broken.clone()
    };
    assert_eq!(
        said(unknown, broken.clone()),
        ["! probe haproxy of group web could not be run: there is no /usr/bin/check"]
    );
    assert_eq!(said(broken.clone(), broken), [""; 0]);
}

#[test]
fn healing_is_followed_from_the_first_attempt_to_its_end() {
    let recovering = probe(Verdict::Recovering, Outcome::Failed, "gone");
    let first = healed(recovering.clone(), 1, None);
    assert_eq!(
        said(passing(), first.clone()),
        ["! probe haproxy of group web fails: gone; trying to heal (attempt 1 of 2)"]
    );
    let ended = healed(recovering.clone(), 1, Some(Run::new(Outcome::Passed, "")));
    assert_eq!(
        said(first, ended.clone()),
        ["- the attempt to heal what probe haproxy of group web watches has ended: passed"]
    );
    let second = healed(recovering.clone(), 2, None);
    assert_eq!(
        said(ended.clone(), second.clone()),
        ["! probe haproxy of group web still fails: gone; trying to heal (attempt 2 of 2)"]
    );
    let timed_out = healed(
        recovering,
        2,
        Some(Run::new(Outcome::TimedOut, "no answer within 30s")),
    );
    assert_eq!(
        said(second, timed_out.clone()),
        [
            "! the attempt to heal what probe haproxy of group web watches has ended: timed out: no answer within 30s"
        ]
    );
    let failing = ProbeReport {
        healing: timed_out.healing.clone(),
        ..probe(Verdict::Failing, Outcome::Failed, "gone")
    };
    assert_eq!(
        said(timed_out, failing),
        [
            "! probe haproxy of group web fails: gone (3 of 3 runs); it was not healed (attempt 2 of 2); onFailure \
             Weight \u{2212}50"
        ]
    );
    let healthy = ProbeReport {
        healing: ended.healing.clone(),
        ..passing()
    };
    assert_eq!(
        said(ended, healthy),
        ["- probe haproxy of group web passes again: healed by attempt 1 of 2"]
    );
}

#[test]
fn who_is_held_back_or_given_up_is_told_once() {
    let free = report(passing());
    let held_back = Report {
        held_back: Some(HeldBack {
            until: Instant::from_nanos(7),
            changes: 3,
        }),
        sum: "held back at 22 of 100 base (3 changes within 3m)".to_owned(),
        ..free.clone()
    };
    assert_eq!(
        between(&free, &held_back),
        [
            "! group web is held back on this node until 2026-11-21T12:03:05Z, because it came and went: held back at 22 \
             of 100 base (3 changes within 3m)"
        ]
    );
    assert_eq!(between(&held_back, &held_back), [""; 0]);
    assert_eq!(
        between(&held_back, &free),
        ["- group web is held back no longer: 200 base"]
    );
    let released = Report {
        faults: vec![(
            Fault::Maintenance,
            "the node is being worked on: cordoned".to_owned(),
        )],
        ..free.clone()
    };
    assert_eq!(
        between(&free, &released),
        ["! group web is given up on this node: the node is being worked on: cordoned"]
    );
    assert_eq!(
        between(&released, &free),
        ["- group web is wanted on this node again"]
    );
}
