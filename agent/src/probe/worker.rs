//! The loop of the thread that probes run on: orders and findings in, judgements and log lines out.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_api::model::NodeSpec;
use holdfast_vrrp::Instant;
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};

use super::clocks::Clocks;
use super::group::{Group, Surroundings};
use super::runner::{Bench, Finding, Make};
use super::scenes::Scenes;
use crate::engine::{Command, Engine};
use crate::status::HealthStatus;

/// How many findings may wait. A probe whose finding has to wait is not run meanwhile.
const FINDINGS: usize = 256;

/// How often the calendar is looked at while a preference is to end by it: it may be set at any time.
const LOOK_AT_CALENDAR: Duration = Duration::from_mins(1);

/// What the rest of the agent asks for.
#[derive(Debug)]
pub enum Order {
    /// Run the probes of these groups and of no others. Answers when the engine was told of each that is new or changed.
    Configure(Box<NodeSpec>, oneshot::Sender<()>),
    /// Give up every group, for this reason; `None`: not any more. Answers when the engine was told.
    Release(Option<String>, oneshot::Sender<()>),
    /// Say how things stand.
    Report(oneshot::Sender<BTreeMap<String, HealthStatus>>),
    /// End.
    Stop,
}

/// Who is told of judgements.
pub trait Audience: Send + 'static {
    /// Tells it.
    fn tell(&self, command: Command) -> impl Future<Output = ()> + Send;
}

impl Audience for Arc<Engine> {
    async fn tell(&self, command: Command) {
        // An engine that has ended needs no judgement.
        let _ = self.send(command).await;
    }
}

/// What runs on the thread.
pub struct Worker<A> {
    audience: A,
    around: Surroundings,
    findings: mpsc::Receiver<Finding>,
    /// Rung when somebody may be waiting to hear what has changed.
    news: Arc<Notify>,
    groups: BTreeMap<String, Group>,
    /// When time alone changes a group.
    timeouts: BTreeMap<String, Instant>,
    /// When preferences end by the calendar, and when that is to be looked at next.
    ends: Vec<Timestamp>,
    look_at_calendar: Option<tokio::time::Instant>,
    /// Groups that are gone, of which the engine has not been told so.
    gone: Vec<String>,
}

impl<A: Audience> Worker<A> {
    /// Needs a tokio runtime.
    pub fn new(audience: A, clocks: Clocks, make: Make, scenes: Scenes, news: Arc<Notify>) -> Self {
        let (sender, findings) = mpsc::channel(FINDINGS);
        Self {
            audience,
            around: Surroundings {
                bench: Bench {
                    start: tokio::time::Instant::now(),
                    make,
                    scenes,
                    findings: sender,
                },
                clocks,
                tasks: 0,
                released: None,
            },
            findings,
            news,
            groups: BTreeMap::new(),
            timeouts: BTreeMap::new(),
            ends: Vec::new(),
            look_at_calendar: None,
            gone: Vec::new(),
        }
    }

    /// Runs until nobody can give orders any more.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let (timeout, calendar) = (self.next_timeout(), self.look_at_calendar);
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    None | Some(Order::Stop) => return,
                    Some(order) => self.obey(order).await,
                },
                // This end holds a sender too: it is never closed.
                Some(finding) = self.findings.recv() => self.take(finding).await,
                () = until(timeout) => self.handle_timeouts().await,
                () = until(calendar) => self.reconsider().await,
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Configure(spec, done) => {
                self.configure(*spec).await;
                let _ = done.send(());
            }
            Order::Release(reason, done) => {
                self.around.released = reason;
                self.reconsider().await;
                let _ = done.send(());
            }
            Order::Report(answer) => {
                let groups = self.groups.iter();
                let _ = answer.send(
                    groups
                        .map(|(name, group)| (name.clone(), group.status()))
                        .collect(),
                );
            }
            Order::Stop => {}
        }
    }

    async fn configure(&mut self, spec: NodeSpec) {
        self.around.bench.scenes.set_groups(&spec);
        // The engine has got rid of these since, so that nothing is made of them any more. Had it been told at once, they
        // would have stood in the election unjudged until it was told to.
        for group in core::mem::take(&mut self.gone) {
            if !spec.groups.contains_key(&group) {
                self.audience.tell(Command::Judge { group, judged: None }).await;
            }
        }
        let is_gone = |name: &String, _: &mut Group| !spec.groups.contains_key(name);
        self.gone = self
            .groups
            .extract_if(.., is_gone)
            .map(|(name, _)| name)
            .collect();
        for name in &self.gone {
            self.timeouts.remove(name);
        }
        let preferences = spec.groups.values().filter_map(|group| group.preferred);
        self.ends = preferences.flatten().collect();
        self.look_at_calendar = self.next_look_at_calendar();
        for (name, written) in spec.groups {
            match self.groups.get_mut(&name) {
                Some(group) => group.configure(written, &mut self.around),
                None => drop(
                    self.groups
                        .insert(name.clone(), Group::new(written, &mut self.around)),
                ),
            }
            self.tell(&name).await;
        }
    }

    async fn take(&mut self, finding: Finding) {
        let name = finding.group.clone();
        let Some(group) = self.groups.get_mut(&name) else {
            return;
        };
        group.take(finding, &mut self.around);
        self.tell(&name).await;
    }

    async fn handle_timeouts(&mut self) {
        let now = self.around.clocks.now();
        let due = self.timeouts.iter().filter(|(_, at)| **at <= now);
        let due: Vec<String> = due.map(|(name, _)| name.clone()).collect();
        for name in due {
            if let Some(group) = self.groups.get_mut(&name) {
                group.handle_timeout(&self.around.clocks);
            }
            self.tell(&name).await;
        }
    }

    /// The time, or the node's end, may have changed what decides.
    async fn reconsider(&mut self) {
        self.look_at_calendar = self.next_look_at_calendar();
        let names: Vec<String> = self.groups.keys().cloned().collect();
        for name in names {
            if let Some(group) = self.groups.get_mut(&name) {
                group.reconsider(&self.around);
            }
            self.tell(&name).await;
        }
    }

    /// Tells everybody what is new of a group.
    async fn tell(&mut self, name: &str) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        match group.next_timeout() {
            Some(at) => drop(self.timeouts.insert(name.to_owned(), at)),
            None => drop(self.timeouts.remove(name)),
        }
        let news = group.news(&self.around.clocks);
        if let Some(judged) = news.tell {
            let group = name.to_owned();
            let judged = Some(judged);
            self.audience.tell(Command::Judge { group, judged }).await;
        }
        for line in news.lines {
            line.log(name);
        }
        if news.is_prompt {
            self.news.notify_one();
        }
    }

    fn next_timeout(&self) -> Option<tokio::time::Instant> {
        let soonest = self.timeouts.values().min()?;
        Some(self.around.clocks.timer(*soonest))
    }

    /// When a preference ends by the calendar, or is to be looked at again.
    fn next_look_at_calendar(&self) -> Option<tokio::time::Instant> {
        let date = self.around.clocks.date();
        let left = |end: &Timestamp| match Duration::try_from(end.duration_since(date)) {
            Ok(left) if !left.is_zero() => left.min(LOOK_AT_CALENDAR),
            _ => LOOK_AT_CALENDAR,
        };
        let soonest = self.ends.iter().map(left).min()?;
        Some(tokio::time::Instant::now() + soonest)
    }
}

async fn until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => core::future::pending().await,
    }
}
