//! What does not fit together on the wire, in plain words: who, what, and what to do. Bounded, whatever is sent.

use core::net::IpAddr;
use core::time::Duration;

use holdfast_vrrp::{DropReason, Instant};
use jiff::Timestamp;

use crate::status::{FaultStatus, Notice};

/// So many different notices are kept for a group; more push out the oldest.
const CAPACITY: usize = 16;

/// The same notice is said again in the log after this long.
const REPEAT_AFTER: Duration = Duration::from_mins(5);

/// A notice that has not been seen for this long is dropped: the mismatch has been mended.
const FORGET_AFTER: Duration = Duration::from_mins(10);

/// What says by itself that somebody else has an address of the group, if it is heard while this node is Active.
const EVIDENCE: [&str; 3] = ["other_active", "other_owner", "address_claimed"];

/// The notices of one group.
#[derive(Debug, Default)]
pub struct Notices {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    kind: &'static str,
    peer: IpAddr,
    message: String,
    last_seen: Instant,
    last_seen_wall: Timestamp,
    last_said: Instant,
    count: u64,
    /// When it last said that somebody else has an address of the group.
    evidence: Option<Instant>,
}

impl Notices {
    /// Takes note of a dropped packet; the sentence, if it is to be said now. Reasons that are nobody's mistake make no
    /// notice.
    pub fn dropped(
        &mut self,
        now: Instant,
        peer: IpAddr,
        reason: &DropReason,
    ) -> Option<(&'static str, String)> {
        if matches!(reason, DropReason::NotParticipating) {
            return None;
        }
        let kind = reason.label();
        self.note(now, kind, peer, || format!("{peer} {reason}"))
            .map(|message| (kind, message))
    }

    /// Takes note of something about `peer`; the sentence, if it is to be said now.
    pub fn note(
        &mut self,
        now: Instant,
        kind: &'static str,
        peer: IpAddr,
        message: impl FnOnce() -> String,
    ) -> Option<String> {
        self.forget(now);
        let evidence = EVIDENCE.contains(&kind).then_some(now);
        if let Some(entry) = self
            .entries
            .iter_mut()
            .find(|entry| entry.kind == kind && entry.peer == peer)
        {
            entry.last_seen = now;
            entry.evidence = evidence.or(entry.evidence);
            entry.last_seen_wall = Timestamp::now();
            entry.count += 1;
            if now.saturating_duration_since(entry.last_said) < REPEAT_AFTER {
                return None;
            }
            entry.last_said = now;
            entry.message = message();
            return Some(entry.message.clone());
        }
        if self.entries.len() >= CAPACITY
            && let Some(oldest) = (0..self.entries.len()).min_by_key(|index| self.entries[*index].last_seen)
        {
            // Somebody floods with forged sources: keep the table small and the log quiet.
            self.entries.swap_remove(oldest);
            let message = message();
            self.entries.push(Entry {
                kind,
                peer,
                message,
                last_seen: now,
                last_seen_wall: Timestamp::now(),
                last_said: now,
                count: 1,
                evidence,
            });
            return None;
        }
        let message = message();
        self.entries.push(Entry {
            kind,
            peer,
            message: message.clone(),
            last_seen: now,
            last_seen_wall: Timestamp::now(),
            last_said: now,
            count: 1,
            evidence,
        });
        Some(message)
    }

    /// Takes note that what was just noted about `peer` came from somebody who says that it has an address of the group.
    pub fn mark(&mut self, now: Instant, kind: &str, peer: IpAddr) {
        let noted = self
            .entries
            .iter_mut()
            .find(|entry| entry.kind == kind && entry.peer == peer);
        if let Some(entry) = noted {
            entry.evidence = Some(now);
        }
    }

    /// What has said since `earliest` that somebody else has an address of the group, in a stable order.
    pub fn evidence(&self, earliest: Instant) -> Vec<FaultStatus> {
        let mut found: Vec<&Entry> = self
            .entries
            .iter()
            .filter(|entry| entry.evidence.is_some_and(|seen| seen >= earliest))
            .collect();
        found.sort_by_key(|entry| (entry.kind, entry.peer));
        found
            .into_iter()
            .map(|entry| FaultStatus {
                reason: entry.kind.to_owned(),
                message: entry.message.clone(),
            })
            .collect()
    }

    /// The notices for status.
    pub fn status(&self, now: Instant) -> Vec<Notice> {
        self.entries
            .iter()
            .filter(|entry| now.saturating_duration_since(entry.last_seen) < FORGET_AFTER)
            .map(|entry| Notice {
                kind: entry.kind.to_owned(),
                peer: entry.peer,
                message: entry.message.clone(),
                last_seen: entry.last_seen_wall,
                count: entry.count,
            })
            .collect()
    }

    fn forget(&mut self, now: Instant) {
        self.entries
            .retain(|entry| now.saturating_duration_since(entry.last_seen) < FORGET_AFTER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 2));

    fn at(secs: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn a_mismatch_is_said_once_and_again_after_a_while() {
        let mut notices = Notices::default();
        let reason = DropReason::AuthenticationMismatch;
        let (kind, sentence) = notices.dropped(at(0), PEER, &reason).unwrap();
        assert_eq!(kind, "authentication_mismatch");
        assert!(
            sentence.starts_with("10.0.0.2 carries another authentication"),
            "{sentence}"
        );
        for second in 1..300 {
            assert_eq!(notices.dropped(at(second), PEER, &reason), None);
        }
        assert!(notices.dropped(at(300), PEER, &reason).is_some());
        assert_eq!(notices.entries[0].count, 301);
    }

    #[test]
    fn a_flood_of_forged_sources_stays_bounded_and_quiet() {
        let mut notices = Notices::default();
        let said = (0..=255_u8)
            .filter(|n| {
                let peer = IpAddr::from([10, 9, 9, *n]);
                notices
                    .dropped(at(u64::from(*n)), peer, &DropReason::UnknownPeer)
                    .is_some()
            })
            .count();
        assert_eq!(said, CAPACITY);
        assert_eq!(notices.entries.len(), CAPACITY);
    }

    #[test]
    fn only_what_says_that_somebody_else_has_the_addresses_is_evidence_and_only_for_a_while() {
        let mut notices = Notices::default();
        notices.note(at(1), "other_active", PEER, || "is Active too".to_owned());
        notices.note(at(1), "interval_differs", PEER, || "is slower".to_owned());
        notices.dropped(at(2), PEER, &DropReason::UnknownPeer);
        let kinds = |earliest| -> Vec<String> {
            let found = notices.evidence(at(earliest));
            found.into_iter().map(|found| found.reason).collect()
        };
        assert_eq!(kinds(1), ["other_active"]);
        assert_eq!(kinds(2), [""; 0]);
        notices.mark(at(2), "unknown_peer", PEER);
        notices.dropped(at(9), PEER, &DropReason::UnknownPeer);
        assert_eq!(notices.evidence(at(1)).len(), 2);
        assert_eq!(notices.evidence(at(2)).len(), 1);
        assert_eq!(
            notices.evidence(at(3)).len(),
            0,
            "heard again, but without our addresses"
        );
    }

    #[test]
    fn a_mended_mismatch_is_forgotten() {
        let mut notices = Notices::default();
        notices.dropped(at(0), PEER, &DropReason::UnknownPeer);
        assert_eq!(notices.status(at(599)).len(), 1);
        assert_eq!(notices.status(at(601)).len(), 0);
    }
}
