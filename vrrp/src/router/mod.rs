//! One virtual router's state machine (RFC 9568 §6.4): what comes in, what goes out, and which file decides what.
//!
//! - `timer`: what it waits for; `limit`: how often it lets itself be provoked
//! - `receive`: which packets are believed; `election`: who wins
//! - `adoption`: starting, also with a predecessor's addresses; `backup`, `active`: the two states of the election
//! - `holding`: the addresses on the node; `handover`: leaving without a hole
//! - `fitness`: health and Fault; `reconfigure`: a new configuration; `transitions`: the state diagram

mod active;
mod adoption;
mod backup;
mod election;
mod fitness;
mod handover;
mod holding;
mod limit;
mod receive;
mod reconfigure;
mod timer;
mod transitions;

use core::net::IpAddr;
use core::time::Duration;

pub use adoption::Resume;
pub use transitions::TRANSITIONS;

use self::backup::Watch;
use self::handover::{Plan, Release};
use self::holding::Hold;
use self::limit::RateLimit;
use self::timer::{Timer, Timers};
use crate::config::Config;
use crate::evidence::Notice;
use crate::health::{Faults, Health, Standing};
use crate::io::{Action, Input, Received};
use crate::state::{Reason, Snapshot, State, Transition};
use crate::time::Instant;

/// One virtual router on one node.
///
/// It is handed what happened together with the time ([`VirtualRouter::handle`]), answers with [`Action`]s to be carried
/// out in their order, and says when it wants to be called again ([`VirtualRouter::next_timeout`]).
#[derive(Clone, Debug)]
pub struct VirtualRouter {
    config: Config,
    health: Health,
    state: State,
    since: Instant,
    last_transition: Option<(Instant, Transition)>,
    timers: Timers,
    /// What is known of the Active router while this one is Backup.
    watch: Watch,
    /// What is known of the addresses on this node.
    hold: Hold,
    /// Why addresses are held in Initialize: a predecessor left them.
    adoption: Option<Resume>,
    /// Why addresses are held in any other state than Active: a successor does not serve yet.
    release: Option<Release>,
    /// What follows once nothing is held any more.
    plan: Plan,
    answers: RateLimit,
    /// The router whose advertisements list other addresses, so that it is named once and not with each of them.
    differs: Option<IpAddr>,
}

impl VirtualRouter {
    /// A router in Initialize that enters the election when it is given [`Input::Timeout`], at once or after the start-up
    /// delay.
    pub fn new(now: Instant, config: Config) -> Self {
        let mut router = Self::in_initialize(now, config);
        router
            .timers
            .set(Timer::StartupDelay, now + router.config.startup_delay);
        router
    }

    /// A router whose predecessor on this node was Active and left the configuration's addresses bound.
    ///
    /// It holds them without renewing them. If the predecessor handed over it is Active with the first
    /// [`Input::Timeout`]; otherwise it listens for one interval and becomes Active if no other router is heard. Another
    /// router, a fault, or the addresses' expiry make it start like any other, without them.
    pub fn resume(now: Instant, config: Config, resume: Resume) -> Self {
        let mut router = Self::in_initialize(now, config);
        router.hold = Hold::adopted(router.config.addresses.clone());
        router.schedule_adoption(now, resume);
        router
    }

    fn in_initialize(now: Instant, config: Config) -> Self {
        Self {
            config,
            health: Health {
                faults: Faults::NONE,
                standing: Standing::Base,
            },
            state: State::Initialize,
            since: now,
            last_transition: None,
            timers: Timers::default(),
            watch: Watch::default(),
            hold: Hold::NOTHING,
            adoption: None,
            release: None,
            plan: Plan::Run,
            answers: Self::ANSWERS,
            differs: None,
        }
    }

    /// Takes note of what happened at `now` and appends what is to be done to `out`.
    ///
    /// Packets that have arrived are to be handed in before a timeout that is due at the same time: they may say that the
    /// Active router lives. `now` must not go back.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Vec<Action>) {
        if self.is_stopped() {
            return;
        }
        let gap = self.notice_gap(now, out);
        match input {
            Input::Timeout => self.on_timeout(now, out),
            Input::Advertisement(received) => self.on_packet(now, &received, out),
            Input::Health(health) => self.on_health(now, health, out),
            Input::Configure(config) => self.configure(now, config, out),
            // It answers what was asked before the gap.
            Input::AddressResult(_) if gap => {}
            Input::AddressResult(result) => self.on_address_result(now, &result, out),
            Input::AddressClaimed(address) => self.on_address_claimed(now, address, out),
            Input::HandOver => self.hand_over(now, out),
            Input::Shutdown(shutdown) => self.shut_down(now, shutdown, out),
        }
    }

    /// When the router wants [`Input::Timeout`]; `None` if nothing is due ever.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The configuration in force, by which [`Action::Send`], [`Action::Bind`] and [`Action::Renew`] are carried out.
    ///
    /// A new one that makes this another virtual router ([`crate::Change::Restart`]) comes into force only when the old
    /// one has been handed over: read it again after each [`VirtualRouter::handle`].
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether a [`Input::Shutdown`] has been carried out to its end: nothing is held, nothing is due, and no input makes
    /// any difference any more.
    pub fn is_stopped(&self) -> bool {
        self.plan == Plan::Stop && self.release.is_none()
    }

    /// What the router is doing.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: self.state,
            since: self.since,
            faults: self.faults(),
            priority: self.priority(),
            active_peer: self.watch.router,
            interval: self.interval().get(),
            releasing: self.release.is_some(),
            holding: self.hold.is_something(),
            may_become_active: self.config.may_become_active,
            last_transition: self.last_transition,
        }
    }

    fn on_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        // Bounded, so that no clock reading can keep this loop going.
        for _ in 0..Timers::COUNT {
            let Some((timer, due)) = self.timers.take_due(now) else {
                break;
            };
            self.on_timer(now, timer, due, out);
        }
    }

    fn on_timer(&mut self, now: Instant, timer: Timer, due: Instant, out: &mut Vec<Action>) {
        match timer {
            Timer::StartupDelay => self.start(now, out),
            Timer::AdoptionEnd => self.on_adoption_end(now, out),
            Timer::ActiveDown => self.on_active_down(now, out),
            Timer::PreemptDelay => self.on_preempt_delay(now, out),
            Timer::Advertisement => self.on_advertisement_timer(now, due, out),
            Timer::Renew => self.on_renew(now, due, out),
            Timer::AnnounceAgain => self.on_announce_again(out),
            Timer::AnnounceRefresh => self.on_announce_refresh(now, due, out),
            Timer::Correction => self.correct_neighbors(now, out),
            Timer::LastWordAgain => self.on_last_word_again(out),
            Timer::ResignAgain => self.on_resign_again(out),
            Timer::ReleaseEnd => self.finish_release(now, out),
            Timer::BindRetry => self.on_bind_retry(now, out),
            Timer::BindRecovery => self.on_bind_recovery(now, out),
        }
    }

    fn on_packet(&mut self, now: Instant, received: &Received<'_>, out: &mut Vec<Action>) {
        let heard = match self.judge(received) {
            Ok(heard) => heard,
            Err(reason) => {
                out.push(Action::Dropped(reason));
                return;
            }
        };
        // RFC 9568 §7.1: other addresses are worth a word, not a refusal.
        if heard.same_addresses {
            self.differs.take_if(|router| *router == heard.router);
        } else if self.differs.replace(heard.router) != Some(heard.router) {
            out.push(Action::Notice(Notice::AddressesDiffer(heard.router)));
        }
        if heard.priority != 0 {
            self.on_successor(now);
            if self.adoption.is_some() {
                self.end_adoption(now, out);
            }
        }
        match self.state {
            State::Backup => self.hear_as_backup(now, &heard, out),
            State::Active => self.hear_as_active(now, &heard, out),
            State::Initialize | State::Fault => {}
        }
    }

    fn on_address_claimed(&mut self, now: Instant, address: IpAddr, out: &mut Vec<Action>) {
        if self.state == State::Active && self.hold.contains(address) {
            out.push(Action::Notice(Notice::AddressClaimed(address)));
            self.correct_neighbors(now, out);
        } else if self.adoption.is_some() && self.hold.contains(address) {
            self.end_adoption(now, out);
        } else {
            self.on_successor_serves(now, address, out);
        }
    }

    /// Whether advertisements mean anything to this router at the moment.
    fn listens(&self) -> bool {
        matches!(self.state, State::Backup | State::Active)
            || self.release.is_some()
            || self.adoption.is_some()
    }

    /// Notices that the process has not run for so long that its addresses may have expired, or that others may have been
    /// Active without being heard, and makes up for it before anything is said. Returns whether there was such a gap.
    fn notice_gap(&mut self, now: Instant, out: &mut Vec<Action>) -> bool {
        let late = self
            .next_timeout()
            .map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        if late <= self.lifetime() / 2 {
            return false;
        }
        if self.adoption.is_some() {
            self.end_adoption(now, out);
        } else if self.release.is_some() {
            self.finish_release(now, out);
        } else if self.state == State::Active {
            self.unbind(out);
            self.timers.clear_all();
            self.enter_backup(now, Reason::TimeGap, out);
        }
        if self.state == State::Backup {
            // Silence is evidence only if somebody listened.
            self.watch_after_gap(now);
        }
        true
    }

    fn transition(
        &mut self,
        now: Instant,
        to: State,
        reason: Reason,
        silence: Option<Duration>,
        out: &mut Vec<Action>,
    ) {
        let transition = Transition {
            from: self.state,
            to,
            reason,
            priority: self.priority(),
            silence,
        };
        debug_assert!(
            TRANSITIONS.contains(&(transition.from, to, reason)),
            "{transition:?} is not in the diagram"
        );
        self.state = to;
        self.since = now;
        self.last_transition = Some((now, transition));
        out.push(Action::Transition(transition));
    }
}
