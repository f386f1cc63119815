//! The arithmetic of a measurement: pure functions from what was sent, answered and held, and when, to figures.
//!
//! Times are offsets from the start of the measurement.

use std::{collections::BTreeSet, ops::Range, sync::Arc, time::Duration};

/// One question to a virtual address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// When it left.
    pub sent: Duration,
    /// The answer, if one came.
    pub answer: Option<Answer>,
}

/// Who answered a [`Probe`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// When the answer arrived.
    pub at: Duration,
    /// The name of the node that gave it.
    pub node: Arc<str>,
}

/// A stretch of time in which one node answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// The node's name.
    pub node: Arc<str>,
    /// Its first answer.
    pub from: Duration,
    /// Its last answer before somebody else's.
    pub to: Duration,
}

/// A node got or lost an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// When the kernel said so.
    pub at: Duration,
    /// The node's name.
    pub node: Arc<str>,
    /// Whether it holds the address from now on.
    pub holds: bool,
}

/// The longest time without an answer that touches `window`, whole even where it began before it.
///
/// Silence at the end of the window counts up to the window's end.
pub fn longest_silence(probes: &[Probe], window: &Range<Duration>) -> Range<Duration> {
    let arrivals = arrivals(probes);
    let before = arrivals
        .iter()
        .map(|answer| answer.at)
        .take_while(|at| *at < window.start)
        .last();
    let first = before.unwrap_or(window.start);
    let within = arrivals
        .iter()
        .map(|answer| answer.at)
        .filter(|at| window.contains(at));
    let borders: Vec<Duration> = [first].into_iter().chain(within).chain([window.end]).collect();
    let silences = borders.windows(2).map(|pair| pair[0]..pair[1]);
    silences.max_by_key(length).unwrap_or(window.end..window.end)
}

/// How long that is.
pub fn length(range: &Range<Duration>) -> Duration {
    range.end.saturating_sub(range.start)
}

/// The longest time in `window` in which whoever asked was never answered: from the first such question to the next that was
/// answered, or to the window's end. An answer that is late is one.
pub fn longest_hole(probes: &[Probe], window: &Range<Duration>) -> Duration {
    let (mut longest, mut begun) = (Duration::ZERO, None);
    for probe in probes.iter().filter(|probe| window.contains(&probe.sent)) {
        let since = *begun.get_or_insert(probe.sent);
        longest = longest.max(probe.sent.saturating_sub(since));
        if probe.answer.is_some() {
            begun = None;
        }
    }
    longest.max(begun.map_or(Duration::ZERO, |since| window.end.saturating_sub(since)))
}

/// From the start of `window` to the first answer of `node` in it; `None` when it gave none.
pub fn time_until_answer_from(probes: &[Probe], window: &Range<Duration>, node: &str) -> Option<Duration> {
    arrivals(probes)
        .iter()
        .find(|answer| window.contains(&answer.at) && *answer.node == *node)
        .map(|answer| answer.at.saturating_sub(window.start))
}

/// From the start of `window` to the first answer in it of a node other than the one that answered last before;
/// `None` when nobody else answered.
pub fn takeover(probes: &[Probe], window: &Range<Duration>) -> Option<Duration> {
    let arrivals = arrivals(probes);
    let before = arrivals
        .iter()
        .take_while(|answer| answer.at < window.start)
        .last()?;
    arrivals
        .iter()
        .find(|answer| window.contains(&answer.at) && answer.node != before.node)
        .map(|answer| answer.at.saturating_sub(window.start))
}

/// How many probes sent in `window` were never answered.
pub fn lost(probes: &[Probe], window: &Range<Duration>) -> usize {
    probes
        .iter()
        .filter(|probe| window.contains(&probe.sent) && probe.answer.is_none())
        .count()
}

/// Who answered when, in `window`.
pub fn spans(probes: &[Probe], window: &Range<Duration>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for answer in arrivals(probes)
        .into_iter()
        .filter(|answer| window.contains(&answer.at))
    {
        match spans.last_mut() {
            Some(span) if span.node == answer.node => span.to = answer.at,
            _ => spans.push(Span {
                node: Arc::clone(&answer.node),
                from: answer.at,
                to: answer.at,
            }),
        }
    }
    spans
}

/// For how long in `window` at least two nodes held the address.
pub fn held_twice(changes: &[Change], window: &Range<Duration>) -> Duration {
    time_with(changes, window, |holders| holders >= 2)
}

/// For how long in `window` no node held the address.
pub fn held_by_nobody(changes: &[Change], window: &Range<Duration>) -> Duration {
    time_with(changes, window, |holders| holders == 0)
}

/// Who held the address at `time`, sorted by name.
pub fn holders(changes: &[Change], time: Duration) -> Vec<Arc<str>> {
    let mut holders = BTreeSet::new();
    for change in changes.iter().take_while(|change| change.at <= time) {
        apply(&mut holders, change);
    }
    holders.into_iter().collect()
}

fn time_with(changes: &[Change], window: &Range<Duration>, wanted: impl Fn(usize) -> bool) -> Duration {
    let mut holders = BTreeSet::new();
    let mut since = window.start;
    let mut total = Duration::ZERO;
    for change in changes {
        let at = change.at.clamp(window.start, window.end);
        if wanted(holders.len()) {
            total += at.saturating_sub(since);
        }
        since = at;
        apply(&mut holders, change);
    }
    if wanted(holders.len()) {
        total += window.end.saturating_sub(since);
    }
    total
}

fn apply(holders: &mut BTreeSet<Arc<str>>, change: &Change) {
    if change.holds {
        holders.insert(Arc::clone(&change.node));
    } else {
        holders.remove(&change.node);
    }
}

/// The answers in the order of their arrival, which need not be the order of the questions.
fn arrivals(probes: &[Probe]) -> Vec<&Answer> {
    let mut arrivals: Vec<&Answer> = probes.iter().filter_map(|probe| probe.answer.as_ref()).collect();
    arrivals.sort_by_key(|answer| answer.at);
    arrivals
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A probe at each of these milliseconds; answered 0 ms later by the named node, or never.
    fn probes(list: &[(u64, Option<&str>)]) -> Vec<Probe> {
        list.iter()
            .map(|(at, node)| Probe {
                sent: ms(*at),
                answer: node.map(|node| Answer {
                    at: ms(*at),
                    node: node.into(),
                }),
            })
            .collect()
    }

    fn changes(list: &[(u64, &str, bool)]) -> Vec<Change> {
        list.iter()
            .map(|&(at, node, holds)| Change {
                at: ms(at),
                node: node.into(),
                holds,
            })
            .collect()
    }

    #[test]
    fn silence_is_counted_from_the_last_answer_before_the_fault() {
        let probes = probes(&[
            (8, Some("a")),
            (9, Some("a")),
            (10, None),
            (50, None),
            (51, Some("b")),
        ]);
        assert_eq!(longest_silence(&probes, &(ms(10)..ms(60))), ms(9)..ms(51));
    }

    #[test]
    fn silence_that_does_not_end_counts_up_to_the_end_of_the_window() {
        let probes = probes(&[(9, Some("a")), (10, None), (11, None)]);
        assert_eq!(longest_silence(&probes, &(ms(10)..ms(500))), ms(9)..ms(500));
    }

    #[test]
    fn silence_before_the_window_is_not_counted() {
        let probes = probes(&[
            (0, Some("a")),
            (90, Some("a")),
            (101, Some("a")),
            (102, Some("a")),
        ]);
        assert_eq!(longest_silence(&probes, &(ms(100)..ms(103))), ms(90)..ms(101));
    }

    #[test]
    fn answers_are_ordered_by_arrival_not_by_question() {
        let late = Probe {
            sent: ms(1),
            answer: Some(Answer {
                at: ms(40),
                node: "a".into(),
            }),
        };
        let probes = [late, probes(&[(2, Some("a")), (20, Some("a"))]).remove(0)];
        assert_eq!(longest_silence(&probes, &(ms(2)..ms(41))), ms(2)..ms(40));
    }

    #[test]
    fn a_hole_is_of_questions_that_nobody_ever_answered() {
        let mut probes = probes(&[
            (1, None),
            (10, None),
            (12, None),
            (13, Some("a")),
            (14, Some("a")),
        ]);
        assert_eq!(longest_hole(&probes, &(ms(10)..ms(20))), ms(3));
        assert_eq!(longest_hole(&probes, &(ms(13)..ms(20))), ms(0));
        // Late is not lost.
        for probe in &mut probes {
            probe.answer = Some(Answer {
                at: ms(40),
                node: "a".into(),
            });
        }
        assert_eq!(longest_hole(&probes, &(ms(10)..ms(50))), ms(0));
        probes.push(Probe {
            sent: ms(45),
            answer: None,
        });
        assert_eq!(longest_hole(&probes, &(ms(10)..ms(50))), ms(5));
    }

    #[test]
    fn takeover_ends_with_the_first_answer_of_another_node() {
        let probes = probes(&[
            (9, Some("a")),
            (12, Some("a")),
            (30, Some("b")),
            (31, Some("a")),
            (40, Some("b")),
        ]);
        assert_eq!(takeover(&probes, &(ms(10)..ms(60))), Some(ms(20)));
        assert_eq!(takeover(&probes, &(ms(10)..ms(30))), None);
        assert_eq!(
            time_until_answer_from(&probes, &(ms(10)..ms(60)), "a"),
            Some(ms(2))
        );
        assert_eq!(time_until_answer_from(&probes, &(ms(10)..ms(60)), "c"), None);
    }

    #[test]
    fn only_questions_asked_in_the_window_can_be_lost_in_it() {
        let probes = probes(&[(9, None), (10, None), (11, Some("a")), (20, None)]);
        assert_eq!(lost(&probes, &(ms(10)..ms(20))), 1);
    }

    #[test]
    fn spans_name_each_change_of_the_one_who_answers() {
        let probes = probes(&[
            (1, Some("a")),
            (2, Some("a")),
            (3, None),
            (4, Some("b")),
            (5, Some("a")),
        ]);
        let spans = spans(&probes, &(ms(0)..ms(10)));
        let brief: Vec<_> = spans
            .iter()
            .map(|span| (&*span.node, span.from, span.to))
            .collect();
        assert_eq!(
            brief,
            [("a", ms(1), ms(2)), ("b", ms(4), ms(4)), ("a", ms(5), ms(5))]
        );
    }

    #[test]
    fn held_twice_adds_up_every_overlap_within_the_window() {
        let changes = changes(&[(0, "a", true), (10, "b", true), (30, "a", false), (40, "a", true)]);
        assert_eq!(held_twice(&changes, &(ms(0)..ms(100))), ms(80));
        assert_eq!(held_twice(&changes, &(ms(20)..ms(50))), ms(20));
    }

    #[test]
    fn a_renewed_address_is_still_one_holder() {
        let changes = changes(&[(0, "a", true), (10, "a", true), (20, "a", true)]);
        assert_eq!(held_twice(&changes, &(ms(0)..ms(100))), Duration::ZERO);
    }

    #[test]
    fn the_time_without_holder_includes_the_time_before_the_first() {
        let changes = changes(&[(5, "a", true), (10, "a", false), (15, "b", true)]);
        assert_eq!(held_by_nobody(&changes, &(ms(0)..ms(20))), ms(10));
        assert_eq!(held_by_nobody(&changes, &(ms(12)..ms(20))), ms(3));
        assert!(holders(&changes, ms(12)).is_empty());
        assert_eq!(holders(&changes, ms(15)), ["b".into()]);
    }
}
