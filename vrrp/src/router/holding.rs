//! The addresses on this node: bound, announced, renewed, put back when somebody takes them away, given up.

use core::mem;
use core::net::IpAddr;
use core::time::Duration;

use super::VirtualRouter;
use super::limit::RateLimit;
use super::timer::{Timer, next_period};
use crate::config::VirtualAddress;
use crate::io::{Action, AddressResult, Announce};
use crate::state::State;
use crate::time::Instant;

/// How many times in a row binding may fail before the router leaves the election.
const MAX_BIND_FAILURES: u32 = 5;
/// How long after the first failure binding is tried again; doubled each time.
const BIND_RETRY: Duration = Duration::from_millis(100);
/// How long a router that gave up on binding stays out of the election at first; doubled each time.
const BIND_RECOVERY: Duration = Duration::from_secs(10);
/// How long it stays out at most.
const MAX_BIND_RECOVERY: Duration = Duration::from_mins(5);
/// Addresses that live for less would be renewed, and lost, faster than any node reacts.
const MIN_LIFETIME: Duration = Duration::from_secs(1);
/// Refreshing faster would not tell the neighbors more.
const MIN_REFRESH: Duration = Duration::from_secs(1);

/// What is known about the addresses on this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Hold {
    /// The addresses bound or being bound.
    addresses: Vec<VirtualAddress>,
    binding: Binding,
    /// How many times in a row binding has failed.
    failures: u32,
    /// Whether binding has failed so often that the router keeps out of the election.
    pub(super) given_up: bool,
    /// How many times in a row it has given up.
    times_given_up: u32,
    /// The limit on putting back what somebody else removes: NetworkManager and its like do so once or twice, a
    /// rival manager forever.
    put_backs: RateLimit,
    /// The limit on announcing again what others dispute.
    corrections: RateLimit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Binding {
    /// Nothing is held.
    None,
    /// Not all addresses are known to be on the node: the answer to the last `Action::Bind` is awaited, or one was
    /// removed and may not be put back yet.
    Pending,
    /// All addresses are on the node.
    Bound,
}

impl Hold {
    /// Nothing is held.
    pub(super) const NOTHING: Self = Self {
        addresses: Vec::new(),
        binding: Binding::None,
        failures: 0,
        given_up: false,
        times_given_up: 0,
        put_backs: RateLimit::new(3, Duration::from_secs(1)),
        corrections: RateLimit::new(1, Duration::from_secs(1)),
    };

    /// What a predecessor left on the node.
    pub(super) fn adopted(addresses: Vec<VirtualAddress>) -> Self {
        Self {
            addresses,
            binding: Binding::Bound,
            ..Self::NOTHING
        }
    }

    /// Whether anything is held.
    pub(super) fn is_something(&self) -> bool {
        self.binding != Binding::None
    }

    /// Whether exactly these are on the node.
    pub(super) fn is_bound_to(&self, addresses: &[VirtualAddress]) -> bool {
        self.binding == Binding::Bound && self.addresses == addresses
    }

    /// Whether `address` is held.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.is_something() && self.addresses.iter().any(|held| held.address == address)
    }
}

impl VirtualRouter {
    /// Binds the configuration's addresses and keeps them alive from now on.
    pub(super) fn bind(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.hold.addresses.clone_from(&self.config.addresses);
        self.bind_again(out);
        self.timers.set(Timer::Renew, now + self.renewal_period());
    }

    /// Goes on with addresses that have been on this node all the time.
    ///
    /// The neighbors are not told where they always were, and are not reminded until this router is fit again: whoever has since
    /// been told otherwise was told so by a fit one.
    pub(super) fn keep(&mut self, now: Instant, out: &mut Vec<Action>) {
        out.push(Action::Renew);
        self.timers.set(Timer::Renew, now + self.renewal_period());
    }

    /// Gives up whatever is held.
    pub(super) fn unbind(&mut self, out: &mut Vec<Action>) {
        if self.hold.is_something() {
            self.hold.binding = Binding::None;
            self.hold.failures = 0;
            out.push(Action::Unbind(mem::take(&mut self.hold.addresses)));
        }
        self.timers.clear(&[
            Timer::Renew,
            Timer::BindRetry,
            Timer::AnnounceAgain,
            Timer::AnnounceRefresh,
            Timer::Correction,
        ]);
    }

    /// Takes away what is held and no longer configured and, if Active, binds what is configured and not yet held.
    /// What is in both stays as it is.
    pub(super) fn rebind(&mut self, now: Instant, everything: bool, out: &mut Vec<Action>) {
        let configured = &self.config.addresses;
        let (kept, removed): (Vec<_>, Vec<_>) = mem::take(&mut self.hold.addresses)
            .into_iter()
            .partition(|held| configured.contains(held));
        let added: Vec<_> = configured
            .iter()
            .filter(|address| !kept.contains(address))
            .cloned()
            .collect();
        self.hold.addresses = kept;
        if !removed.is_empty() {
            out.push(Action::Unbind(removed));
        }
        if self.state != State::Active {
            if self.hold.addresses.is_empty() {
                self.unbind(out);
            }
            return;
        }
        // An answer that is still awaited would be taken for the new one, so everything is asked for again.
        if everything || self.hold.binding == Binding::Pending {
            self.bind(now, out);
        } else if !added.is_empty() {
            self.hold.addresses.clone_from(&self.config.addresses);
            self.hold.binding = Binding::Pending;
            out.push(Action::Bind(added));
        }
    }

    /// Takes note of what became of addresses.
    pub(super) fn on_address_result(&mut self, now: Instant, result: &AddressResult, out: &mut Vec<Action>) {
        match result {
            AddressResult::Bound if self.hold.binding == Binding::Pending => {
                self.hold.binding = Binding::Bound;
                self.hold.failures = 0;
                self.hold.times_given_up = 0;
                self.timers.clear(&[Timer::BindRetry]);
                if self.state == State::Active {
                    self.announce(now, out);
                }
            }
            AddressResult::Failed if self.hold.binding == Binding::Pending && self.state == State::Active => {
                self.on_bind_failure(now, out);
            }
            // An adopted address that goes has expired; bringing it back could make two holders.
            AddressResult::Removed(address) if self.hold.contains(*address) && self.adoption.is_none() => {
                if self.hold.put_backs.take(now) {
                    self.bind_again(out);
                } else {
                    self.hold.binding = Binding::Pending;
                    self.timers
                        .set_earlier(Timer::BindRetry, self.hold.put_backs.next());
                }
            }
            AddressResult::Bound | AddressResult::Failed | AddressResult::Removed(_) => {}
        }
    }

    /// The time to try once more has come.
    pub(super) fn on_bind_retry(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.hold.is_something() {
            self.hold.put_backs.take(now);
            self.bind_again(out);
        }
    }

    /// The time to take part again after giving up on binding has come.
    pub(super) fn on_bind_recovery(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.hold.given_up = false;
        self.settle(now, out);
    }

    /// A third of the lifetime has passed.
    pub(super) fn on_renew(&mut self, now: Instant, due: Instant, out: &mut Vec<Action>) {
        if self.hold.is_something() {
            out.push(Action::Renew);
            self.timers
                .set(Timer::Renew, next_period(due, self.renewal_period(), now));
        }
    }

    /// Renews now, with a lifetime that has changed.
    pub(super) fn renew_now(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.timers.is_set(Timer::Renew) {
            out.push(Action::Renew);
            self.timers.set(Timer::Renew, now + self.renewal_period());
        }
    }

    /// Tells the neighbors once more that the addresses are here, a while after they moved.
    pub(super) fn on_announce_again(&mut self, out: &mut Vec<Action>) {
        if self.hold.binding == Binding::Bound {
            out.push(Action::Announce(Announce::Burst));
        }
    }

    /// Reminds the neighbors.
    pub(super) fn on_announce_refresh(&mut self, now: Instant, due: Instant, out: &mut Vec<Action>) {
        if self.hold.binding == Binding::Bound {
            out.push(Action::Announce(Announce::Refresh));
        }
        if let Some(period) = self.refresh_period() {
            self.timers
                .set(Timer::AnnounceRefresh, next_period(due, period, now));
        }
    }

    /// Reminds the neighbors from now on, with the interval that is configured.
    pub(super) fn restart_refresh(&mut self, now: Instant) {
        match self.refresh_period() {
            Some(period) => self.timers.set(Timer::AnnounceRefresh, now + period),
            None => self.timers.clear(&[Timer::AnnounceRefresh]),
        }
    }

    /// Announces the addresses because a neighbor may have learned that they are elsewhere; once a second at most, so
    /// that whoever disputes them cannot make this router flood the link. What the limit holds back is said when it
    /// allows: the other one's last word may have come after this router's.
    pub(super) fn correct_neighbors(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.hold.binding != Binding::Bound {
            return;
        }
        if self.hold.corrections.take(now) {
            out.push(Action::Announce(Announce::Burst));
        } else {
            self.timers.set(Timer::Correction, self.hold.corrections.next());
        }
    }

    /// How long the addresses live without renewal.
    pub(super) fn lifetime(&self) -> Duration {
        self.config.lifetime.max(MIN_LIFETIME)
    }

    /// Announces addresses that have just been bound.
    fn announce(&mut self, now: Instant, out: &mut Vec<Action>) {
        out.push(Action::Announce(Announce::Burst));
        let again = self.config.announcement.repeat_after;
        if !again.is_zero() {
            self.timers.set(Timer::AnnounceAgain, now + again);
        }
        self.restart_refresh(now);
    }

    fn bind_again(&mut self, out: &mut Vec<Action>) {
        self.hold.binding = Binding::Pending;
        out.push(Action::Bind(self.hold.addresses.clone()));
    }

    fn on_bind_failure(&mut self, now: Instant, out: &mut Vec<Action>) {
        let earlier = self.hold.failures;
        self.hold.failures += 1;
        if self.hold.failures < MAX_BIND_FAILURES {
            self.timers
                .set(Timer::BindRetry, now + BIND_RETRY * 2u32.saturating_pow(earlier));
            return;
        }
        let doubled = 2u32.saturating_pow(self.hold.times_given_up.min(16));
        self.hold.times_given_up = self.hold.times_given_up.saturating_add(1);
        self.hold.given_up = true;
        self.settle(now, out);
        self.timers.set(
            Timer::BindRecovery,
            now + BIND_RECOVERY.saturating_mul(doubled).min(MAX_BIND_RECOVERY),
        );
    }

    fn renewal_period(&self) -> Duration {
        self.lifetime() / 3
    }

    fn refresh_period(&self) -> Option<Duration> {
        let interval = self.config.announcement.refresh_interval;
        (!interval.is_zero()).then(|| interval.max(MIN_REFRESH))
    }
}
