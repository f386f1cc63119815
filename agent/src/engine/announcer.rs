//! Gratuitous ARPs and unsolicited neighbor advertisements, paced: thousands never delay an advertisement.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::VecDeque;

use holdfast_vrrp::Instant;
use holdfast_vrrp::wire::ethernet::MacAddress;
use holdfast_vrrp::wire::{arp, ndp};

/// The pause between two rounds of a burst: a switch that drops one learns from the next.
const ROUND_SPACING: Duration = Duration::from_millis(20);

/// So many frames are sent before the engine looks at its sockets and timers again.
const FRAMES_PER_BATCH: usize = 64;

/// The pause after a full batch.
const BATCH_SPACING: Duration = Duration::from_millis(1);

/// One address to announce: where and as whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announced {
    /// The interface that carries the address.
    pub interface: u32,
    /// That interface's link-layer address.
    pub mac: MacAddress,
    /// The virtual address.
    pub address: IpAddr,
}

impl Announced {
    /// Appends the frame that announces the address: a gratuitous ARP request or an unsolicited neighbor advertisement.
    pub fn emit_frame(&self, out: &mut Vec<u8>) {
        match self.address {
            IpAddr::V4(address) => arp::Packet::announcement(self.mac, address).emit_frame(out),
            // Not as a router (RFC 4861 §7.2.6 leaves the flag to the sender): the node may not forward at all.
            IpAddr::V6(address) => {
                ndp::Packet::announcement(self.mac, address, false).emit_frame(self.mac, address, out);
            }
        }
    }

    /// Appends the gratuitous ARP reply for neighbors that learn from replies only. IPv6 has none.
    pub fn emit_reply_frame(&self, out: &mut Vec<u8>) {
        if let IpAddr::V4(address) = self.address {
            arp::Packet::gratuitous_reply(self.mac, address).emit_frame(out);
        }
    }
}

/// The rounds that are still to be sent. One entry is one round of one group.
#[derive(Debug, Default)]
pub struct Announcer {
    /// In the order in which they fall due: every entry is appended with the same spacing.
    rounds: VecDeque<Round>,
    /// No frame before this.
    pause_until: Instant,
}

#[derive(Debug)]
struct Round {
    due: Instant,
    slot: usize,
    /// Where in the group's addresses the round goes on, if a batch ended in the middle of it.
    position: usize,
    rounds_left: u8,
}

impl Announcer {
    /// Announces all addresses that the group in `slot` holds, `rounds` times. What was still to be sent for it is
    /// replaced.
    pub fn start(&mut self, now: Instant, slot: usize, rounds: u8) {
        self.cancel(slot);
        if rounds > 0 {
            // In front of rounds that wait: the first word of a new holder matters more than another's third.
            self.rounds.push_front(Round {
                due: now,
                slot,
                position: 0,
                rounds_left: rounds,
            });
        }
    }

    /// Sends no more for the group in `slot`.
    pub fn cancel(&mut self, slot: usize) {
        self.rounds.retain(|round| round.slot != slot);
    }

    /// When there is something to send.
    pub fn next(&self) -> Option<Instant> {
        self.rounds.front().map(|round| round.due.max(self.pause_until))
    }

    /// Sends what is due, one batch at most. `addresses` gives what the group in a slot holds; `send` queues one address
    /// and says how many frames that took.
    pub fn run<'a>(
        &mut self,
        now: Instant,
        addresses: impl Fn(usize) -> &'a [Announced],
        mut send: impl FnMut(usize, &Announced) -> usize,
    ) {
        if now < self.pause_until {
            return;
        }
        let mut frames = 0;
        while let Some(round) = self.rounds.front_mut()
            && round.due <= now
        {
            let slot = round.slot;
            let rest = addresses(slot).get(round.position..).unwrap_or_default();
            for announced in rest {
                if frames >= FRAMES_PER_BATCH {
                    self.pause_until = now + BATCH_SPACING;
                    return;
                }
                round.position += 1;
                frames += send(slot, announced);
            }
            let rounds_left = round.rounds_left - 1;
            self.rounds.pop_front();
            if rounds_left > 0 {
                self.rounds.push_back(Round {
                    due: now + ROUND_SPACING,
                    slot,
                    position: 0,
                    rounds_left,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(count: u8) -> Vec<Announced> {
        let mac = MacAddress([2, 0, 0, 0, 0, 1]);
        (1..=count)
            .map(|n| Announced {
                interface: 1,
                mac,
                address: IpAddr::from([10, 0, 0, n]),
            })
            .collect()
    }

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_announces_every_address_in_every_round_with_a_pause_between() {
        let held = addresses(3);
        let mut announcer = Announcer::default();
        announcer.start(at(0), 7, 2);
        let mut sent = Vec::new();
        announcer.run(
            at(0),
            |_| &held,
            |slot, a| {
                sent.push((slot, a.address));
                1
            },
        );
        assert_eq!(sent.len(), 3);
        assert_eq!(announcer.next(), Some(at(20)));
        announcer.run(
            at(20),
            |_| &held,
            |slot, a| {
                sent.push((slot, a.address));
                1
            },
        );
        assert_eq!(sent.len(), 6);
        assert_eq!(announcer.next(), None);
    }

    #[test]
    fn thousands_are_sent_in_batches_and_none_is_lost() {
        let held = addresses(200);
        let mut announcer = Announcer::default();
        for slot in 0..20 {
            announcer.start(at(0), slot, 1);
        }
        let (mut now, mut total) = (at(0), 0);
        while let Some(next) = announcer.next() {
            now = now.max(next);
            let mut batch = 0;
            announcer.run(
                now,
                |_| &held,
                |_, _| {
                    batch += 1;
                    1
                },
            );
            assert!(batch <= FRAMES_PER_BATCH);
            total += batch;
        }
        assert_eq!(total, 20 * 200);
    }

    #[test]
    fn a_group_that_yields_announces_no_more() {
        let held = addresses(1);
        let mut announcer = Announcer::default();
        announcer.start(at(0), 1, 5);
        announcer.cancel(1);
        announcer.run(at(0), |_| &held, |_, _| panic!("announced after yielding"));
        assert_eq!(announcer.next(), None);
    }
}
