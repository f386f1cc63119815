//! The measuring instrument: a client that asks, responders that answer, a watch on who holds what, and the report.

use std::{
    net::{IpAddr, Ipv4Addr},
    ops::Range,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    client::Client,
    error::{Error, Result},
    lab::wait_until,
    node::Node,
    responder::Responder,
    stolen,
    timeline::{self, Span},
    watch::Watch,
};

/// How often the client asks each address.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(1);
/// The client asks itself as well, over the same threads but over no network.
const CONTROL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// How long one node and the next may both hold an address that moves, or neither, before somebody is told so.
const HAND_OVER: Duration = Duration::from_secs(2);
/// How often is looked who holds an address.
const GLANCE: Duration = Duration::from_millis(5);
/// How long after a window an answer to a question asked in it may still come.
const GRACE: Duration = Duration::from_millis(20);

/// Measures, from its start until it is dropped, how a set of virtual addresses is served by a set of nodes.
///
/// Dropping it stops the client first, then the responders.
#[derive(Debug)]
pub struct Meter {
    epoch: Instant,
    client: Client,
    watch: Watch,
    stolen: stolen::Record,
    _responders: Vec<Responder>,
}

/// What a client of one address saw in one window of time.
#[derive(Clone, Debug)]
pub struct Report {
    /// The longest time between two answers; a silence that began before the window counts whole.
    pub longest_silence: Duration,
    /// The longest time in which whoever asked was never answered. It is shorter than the silence where answers were only late.
    pub longest_hole: Duration,
    /// From the window's start to the first answer of another node than the one that answered before it;
    /// `None` if the same node answered throughout, or none did before.
    pub takeover: Option<Duration>,
    /// How many probes were asked.
    pub asked: usize,
    /// How many of them were never answered.
    pub lost: usize,
    /// Who answered, in the order of time; offsets are from the window's start.
    pub answered_by: Vec<Span>,
    /// For how long two or more nodes held the address.
    pub held_twice: Duration,
    /// For how long no node held it.
    pub held_by_nobody: Duration,
    /// The longest silence, in the same window, of an address of the client itself: the machine's share. A silence of
    /// about this length is no fault of the nodes.
    pub control_silence: Duration,
    /// What a hypervisor took of this machine's processors, all together, around the longest silence or around the takeover,
    /// whichever is more.
    pub stolen: Duration,
}

impl Report {
    /// How much later than they were anything in this report may have come by the machine alone.
    pub fn noise(&self) -> Duration {
        self.control_silence + self.stolen
    }
}

impl Meter {
    /// Starts to ask each of `addresses` every millisecond from the node `client`, to answer in `nodes`, and to
    /// watch which of them hold what.
    ///
    /// # Errors
    /// [`Error::System`] when a socket or a thread cannot be made.
    pub fn start(client: &Node, nodes: &[Node], addresses: &[IpAddr]) -> Result<Self> {
        let epoch = Instant::now();
        let responders = nodes
            .iter()
            .chain([client])
            .map(Responder::start)
            .collect::<Result<_>>()?;
        let watch = Watch::start(nodes, epoch)?;
        let client = Client::start(client, &[addresses, &[CONTROL]].concat(), PROBE_INTERVAL, epoch)?;
        Ok(Self {
            epoch,
            client,
            watch,
            stolen: stolen::Record::start(epoch)?,
            _responders: responders,
        })
    }

    /// Waits until `node` is the one that answers at `address`, and returns how long that took.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after `patience`.
    pub fn wait_for_answer(&self, address: IpAddr, node: &str, patience: Duration) -> Result<Duration> {
        let start = self.epoch.elapsed();
        wait_until(&format!("{node} answers at {address}"), patience, || {
            Ok(self
                .client
                .last_answer(address)
                .is_some_and(|answer| answer.at >= start && *answer.node == *node))
        })
    }

    /// Waits until exactly `nodes` hold `address`, and returns how long that took.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after `patience`.
    pub fn wait_for_holders(&self, address: IpAddr, nodes: &[&str], patience: Duration) -> Result<Duration> {
        let mut wanted = nodes.to_vec();
        wanted.sort_unstable();
        wait_until(&format!("exactly {wanted:?} hold {address}"), patience, || {
            Ok(self
                .holders(address)
                .iter()
                .map(|node| &**node)
                .eq(wanted.iter().copied()))
        })
    }

    /// Waits until one node holds `address` that is not `old`, and returns its name.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after `patience`.
    pub fn wait_for_another_than(&self, old: &str, address: IpAddr, patience: Duration) -> Result<String> {
        let what = format!("another node than {old} holds {address} alone");
        self.wait_for_one(address, &what, patience, |node| node != old)
    }

    /// The one node that holds `address`. While one hands it to another, both do for a moment: that is waited for.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when none does, or several do, for longer than that.
    pub fn only_holder(&self, address: IpAddr) -> Result<String> {
        let what = format!("one node holds {address} alone");
        self.wait_for_one(address, &what, HAND_OVER, |_| true)
    }

    fn wait_for_one(
        &self,
        address: IpAddr,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let start = Instant::now();
        loop {
            let holders = self.holders(address);
            if let [one] = &holders[..]
                && wanted(one)
            {
                return Ok(one.to_string());
            }
            if start.elapsed() >= patience {
                return Err(Error::TimedOut {
                    what: format!("{what} ({holders:?} hold it now)"),
                    after: patience,
                });
            }
            thread::sleep(GLANCE);
        }
    }

    /// Who holds `address` now, sorted by name.
    pub fn holders(&self, address: IpAddr) -> Vec<Arc<str>> {
        timeline::holders(&self.watch.changes(address), self.epoch.elapsed())
    }

    /// Who gave the last answer at `address`, and how long ago.
    pub fn last_answer(&self, address: IpAddr) -> Option<(Arc<str>, Duration)> {
        let answer = self.client.last_answer(address)?;
        Some((answer.node, self.epoch.elapsed().saturating_sub(answer.at)))
    }

    /// What a client of `address` saw since `start`.
    pub fn report_since(&self, address: IpAddr, start: Instant) -> Report {
        self.report(address, start..Instant::now())
    }

    /// What a client of `address` saw in `window`. Answers on their way at the window's end are waited for.
    pub fn report(&self, address: IpAddr, window: Range<Instant>) -> Report {
        let settled = window.end + GRACE.max(stolen::SETTLED);
        std::thread::sleep(settled.saturating_duration_since(Instant::now()));
        let offset = |time: Instant| time.saturating_duration_since(self.epoch);
        let window = offset(window.start)..offset(window.end);
        let (probes, changes) = (self.client.probes(address), self.watch.changes(address));
        let answered_by = timeline::spans(&probes, &window).into_iter().map(|span| Span {
            from: span.from.saturating_sub(window.start),
            to: span.to.saturating_sub(window.start),
            ..span
        });
        let silence = timeline::longest_silence(&probes, &window);
        let takeover = timeline::takeover(&probes, &window);
        let taken_over = takeover.map(|takeover| window.start + takeover);
        let stolen = [Some(silence.clone()), taken_over.map(|at| at..at)];
        let stolen = stolen.iter().flatten().map(|range| self.stolen.around(range));
        Report {
            longest_silence: timeline::length(&silence),
            longest_hole: timeline::longest_hole(&probes, &window),
            takeover,
            asked: probes.iter().filter(|probe| window.contains(&probe.sent)).count(),
            lost: timeline::lost(&probes, &window),
            answered_by: answered_by.collect(),
            held_twice: timeline::held_twice(&changes, &window),
            held_by_nobody: timeline::held_by_nobody(&changes, &window),
            control_silence: timeline::length(&timeline::longest_silence(
                &self.client.probes(CONTROL),
                &window,
            )),
            stolen: stolen.max().unwrap_or_default(),
        }
    }

    /// From `since` to the first answer of `node` at `address`; `None` when there was none so far.
    pub fn time_until_answer_from(&self, address: IpAddr, since: Instant, node: &str) -> Option<Duration> {
        let window = since.saturating_duration_since(self.epoch)..self.epoch.elapsed();
        timeline::time_until_answer_from(&self.client.probes(address), &window, node)
    }
}
