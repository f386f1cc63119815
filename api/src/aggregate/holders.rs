//! Who has the addresses: the Active node, and whether somebody else has them at the same time.
//!
//! A report that a node became Active stands until the node says otherwise, and a lost node never does. So the later
//! report is believed, and the earlier one is not held against it, unless the agents of both have been heard after both
//! reports were seen: an agent renews its Lease only while its last report is true. Which of two reports is the later one
//! their nodes' clocks say, by `since`; nothing else is left to clocks that are not the operator's own.

use jiff::{SignedDuration, Timestamp};

use super::members::{Life, Seen};
use crate::reason::{Place, Reason};
use crate::v1alpha1::{Member, MemberState, VirtualIPGroupStatus};

/// A renewal counts for a report that was seen so much earlier: the two come on different watches.
const APART: SignedDuration = SignedDuration::from_secs(2);

/// A renewal counts when it was seen so long ago: a report written just before it may still be on its way.
const SETTLED: SignedDuration = SignedDuration::from_secs(1);

/// Who has the addresses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Holders {
    /// The place of the member that became Active last.
    pub active: Option<usize>,
    /// The places of members that are Active at the same time for certain; none or at least two.
    pub rivals: Vec<usize>,
    /// When to look again for rivals.
    pub look_again: Option<Timestamp>,
}

impl Holders {
    pub fn find(now: Timestamp, members: &[Seen<'_>], before: Option<&VirtualIPGroupStatus>) -> Self {
        let claims: Vec<usize> = (0..members.len())
            .filter(|place| members[*place].claims())
            .collect();
        // A node that is heard counts for more than a later report of one that is not: clocks differ.
        let active = claims.iter().copied().max_by_key(|place| {
            let member = &members[*place];
            let since = member.said.and_then(|said| said.since.clone());
            (member.is_live(), since, member.report_seen())
        });
        let live: Vec<usize> = claims
            .into_iter()
            .filter(|place| members[*place].is_live())
            .collect();
        let pairs = || {
            let pair = |first| live.iter().map(move |second| (first, *second));
            live.iter()
                .copied()
                .flat_map(pair)
                .filter(|(first, second)| first < second)
        };
        let rivals = live.iter().copied().filter(|place| {
            pairs()
                .filter(|(first, second)| first == place || second == place)
                .any(|(first, second)| {
                    let (first, second) = (&members[first], &members[second]);
                    are_certain(now, first, second) || were_rivals(before, first, second)
                })
        });
        let rivals: Vec<usize> = rivals.collect();
        let uncertain = live.len() > 1 && rivals.len() < live.len();
        Self {
            active,
            rivals,
            look_again: now.checked_add(APART).ok().filter(|_| uncertain),
        }
    }
}

/// Whether both were heard after both had said that they are Active.
fn are_certain(now: Timestamp, first: &Seen<'_>, second: &Seen<'_>) -> bool {
    let Some(both_said) = first.report_seen().max(second.report_seen()) else {
        return false;
    };
    [first, second].iter().all(|member| {
        matches!(member.life, Life::Live(heard)
            if heard.duration_since(both_said) >= APART && now.duration_since(heard) >= SETTLED)
    })
}

/// Whether both were known to be Active at the same time, and neither has said anything else of the group since: what an
/// agent reports of another group must not make them uncertain again.
fn were_rivals(before: Option<&VirtualIPGroupStatus>, first: &Seen<'_>, second: &Seen<'_>) -> bool {
    let Some(before) = before else { return false };
    let is_known = before.conditions.iter().any(|condition| {
        condition.type_ == Place::SplitBrain.as_str()
            && condition.status == "True"
            && condition.reason == Reason::SeveralActive.as_str()
    });
    let was_active = |was: &&Member| was.state == MemberState::Active;
    // All that were shown as Active, but of three and more perhaps not the last one to say so.
    let shown = before.members.iter().filter(was_active);
    let counts_last = shown.clone().count() == 2;
    let was_rival = |member: &Seen<'_>| {
        shown.clone().any(|was| {
            was.node == member.name()
                && member.said.is_some_and(|said| said.since == was.since)
                && (counts_last || before.active_node.as_ref() != Some(&was.node))
        })
    };
    is_known && was_rival(first) && was_rival(second)
}
