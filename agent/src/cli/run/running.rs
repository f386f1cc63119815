//! Running the groups: events to the log and the state file, changes of the configuration to the engine, and the end.

use core::time::Duration;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use holdfast_api::model::NodeSpec;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::cluster::Membership;
use super::signals::Signal;
use super::{Agent, Task};
use crate::cli::exit::Failure;
use crate::clock;
use crate::connections;
use crate::engine::{Command, Engine, Event, Options, Predecessor};
use crate::lock::{Asker, Knock, Lock};
use crate::probe::{self, Prober};
use crate::report::events;
use crate::shutdown::{self, Bus};
use crate::source::{Change, Difference};
use crate::state_file::{self, Tracker, Writer};

/// How long an engine that was told to end at once may take before the process ends without it.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often a group that is being withdrawn is looked after, if nothing is heard of it.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// An engine that has just been started.
pub struct Started {
    lock: Lock,
    engine: Arc<Engine>,
    prober: Arc<Prober>,
    events: mpsc::Receiver<Event>,
    /// The end of the thread that closes connections, if there is one.
    closing: Option<connections::End>,
    predecessor: Predecessor,
    limitations: Vec<String>,
}

/// Starts the engine: nothing slow comes before it, because after a hand-over addresses are waiting.
pub fn start(agent: &mut Agent, lock: Lock, handed_over: Option<Predecessor>) -> Result<Started, Failure> {
    let predecessor =
        handed_over.unwrap_or_else(|| state_file::read(&agent.run_dir.state_file(), &state_file::boot_id()));
    let (released, closing) = close_connections(agent)?.unzip();
    let (engine, events, limitations) = Engine::start(Options {
        predecessor: predecessor.clone(),
        released,
    })?;
    let engine = Arc::new(engine);
    let make = probe::make(agent.access.clone());
    let prober = Prober::start(agent.shared.node(), Arc::clone(&engine), make)
        .context("starting the thread that runs probes")?;
    let prober = Arc::new(prober);
    agent.shared.run_with(Arc::clone(&engine), Arc::clone(&prober));
    Ok(Started {
        lock,
        engine,
        prober,
        events,
        closing,
        predecessor,
        limitations,
    })
}

/// Starts the thread that closes the connections of addresses that leave this node, if that is wanted.
fn close_connections(agent: &Agent) -> Result<Option<(connections::Released, connections::End)>, Failure> {
    if agent.keep_connections {
        return Ok(None);
    }
    let shared = Arc::clone(&agent.shared);
    let closing = connections::spawn(move |news| events::report_connections(&news, &shared));
    Ok(Some(
        closing.context("starting the thread that closes connections")?,
    ))
}

/// How running ended.
pub enum Ended {
    /// The agent was told to end, and has let go of everything.
    Told,
    /// Another agent on this node asked for the groups. It has them, or the lock is free and they are to be resumed.
    Yielded(Predecessor),
}

/// Runs until the agent is told to end, or to give way.
pub async fn run(agent: &mut Agent, started: Started) -> Result<Ended, Failure> {
    let Started {
        lock,
        engine,
        prober,
        events,
        closing,
        predecessor,
        limitations,
    } = started;
    let spec = agent.spec();
    apply(&engine, &prober, &spec).await?;
    agent.shared.set_applied();
    tracing::info!(
        "running {} as node {}",
        groups(spec.groups.len()),
        agent.shared.node()
    );
    if spec.groups.is_empty() && agent.cluster.is_some() {
        tracing::info!("nothing is known yet that could run: waiting for the API server");
    }
    for limitation in limitations {
        agent.shared.add_limitation(&limitation);
    }
    agent.run_dir.create(&agent.shared);
    agent.watch();
    let socket = agent.run_dir.serve(&agent.shared);
    let tracker = Tracker::new(predecessor);
    let writer = Writer::start(agent.run_dir.state_file(), tracker.state().clone());
    let shutdown = Task::spawn(shutdown::follow(
        Bus::of_system(),
        shutdown::Agent::new(Arc::clone(&agent.shared), Arc::clone(&prober)),
    ));
    let membership = agent.cluster.take().map(|cluster| cluster.serve(&agent.shared));
    let mut running = Running {
        agent,
        membership,
        engine,
        prober,
        events,
        spec,
        lock,
        tracker,
        writer,
        stopping: false,
        bequeathing: None,
        hurried: false,
    };
    running.tell_standbys();
    running.acknowledge();
    let end = running.until_end().await;
    if let (Ok(End::Stopped), Some(closing)) = (&end, closing) {
        closing.wait().await;
    }
    // Whoever comes next serves at the same path, and asks logind itself.
    drop(socket);
    drop(shutdown);
    // Until the end they may have kept a group from coming back; programs that they run end before this process does. One that
    // is just being started has all of this process's descriptors, and would keep the lock from the next agent.
    running.prober.stop().await;
    running.finish(end?).await
}

/// An engine that runs, and everything around it.
pub(super) struct Running<'a> {
    pub(super) agent: &'a mut Agent,
    /// None for a node on its own.
    pub(super) membership: Option<Membership>,
    pub(super) engine: Arc<Engine>,
    prober: Arc<Prober>,
    events: mpsc::Receiver<Event>,
    /// What the engine was last told to do.
    pub(super) spec: NodeSpec,
    pub(super) lock: Lock,
    tracker: Tracker,
    pub(super) writer: Writer,
    pub(super) stopping: bool,
    /// Since when what runs is to be left to the agent that stands by, as soon as nothing is on its way any more.
    pub(super) bequeathing: Option<Instant>,
    /// Told to end a second time.
    pub(super) hurried: bool,
}

/// How the engine ended.
pub(super) enum End {
    /// It handed every group to other nodes.
    Stopped,
    /// It left everything in place for an agent that stands by on this node; the one that has most use for it, as far as known.
    Yielded(Predecessor, Asker),
    /// The same, because that agent asked.
    Asked(Predecessor, Asker),
}

/// What the main loop woke up for.
enum Woken {
    Event(Option<Event>),
    Signal(Signal),
    Changed(Change),
    /// The cache has come further.
    Cached,
    /// Probes say something that others may be waiting to hear.
    Probed,
    /// Somebody at the lock.
    Knock(Knock),
    /// A group that is being withdrawn is to be looked after.
    LookAfter,
}

impl Running<'_> {
    async fn until_end(&mut self) -> Result<End, Failure> {
        loop {
            let somebody_leaves = self.bequeathing.is_some()
                || self
                    .membership
                    .as_ref()
                    .is_some_and(Membership::is_anybody_leaving);
            let woken = tokio::select! {
                biased;
                event = self.events.recv() => Woken::Event(event),
                signal = self.agent.signals.next() => Woken::Signal(signal),
                change = self.agent.instructions.changed() => Woken::Changed(change),
                () = cached(&mut self.membership) => Woken::Cached,
                () = self.prober.changed() => Woken::Probed,
                () = tokio::time::sleep(LOOK_AFTER), if somebody_leaves => Woken::LookAfter,
                knock = self.lock.next() => Woken::Knock(knock),
            };
            match woken {
                Woken::Event(Some(Event::Stopped)) => {
                    events::report(&Event::Stopped, &self.agent.shared);
                    return Ok(End::Stopped);
                }
                Woken::Event(Some(event)) => {
                    self.note(&event);
                    if matches!(event, Event::Withdrawn { .. }) {
                        self.look_after_leaving().await;
                    }
                    if let Some(end) = self.bequeath().await {
                        return Ok(end);
                    }
                }
                Woken::Event(None) => {
                    return Err(anyhow!(
                        "the engine ended by itself, which is a bug; the addresses expire, and a new agent resumes them"
                    )
                    .into());
                }
                Woken::Signal(Signal::Stop) => {
                    if let Some(end) = self.stop().await? {
                        return Ok(end);
                    }
                }
                Woken::Signal(Signal::Reload) | Woken::Changed(_) if self.stopping => {}
                Woken::Signal(Signal::Reload) => self.update(Change::Files, true).await?,
                Woken::Changed(change) => self.update(change, false).await?,
                Woken::Cached => self.acknowledge(),
                Woken::Probed => self.report(),
                Woken::Knock(Knock::Crowd) => self.note_crowd(),
                Woken::Knock(Knock::Yield(asker)) => {
                    if let Some(predecessor) = self.give_way().await {
                        return Ok(End::Asked(predecessor, asker));
                    }
                }
                Woken::LookAfter => {
                    self.look_after_leaving().await;
                    if let Some(end) = self.bequeath().await {
                        return Ok(end);
                    }
                }
            }
        }
    }

    fn note(&mut self, event: &Event) {
        events::report(event, &self.agent.shared);
        if self.tracker.note(event, clock::now()) {
            self.writer.put(self.tracker.state().clone());
        }
        match event {
            Event::Transition {
                group,
                transition,
                interface,
                ..
            } => {
                let (state, priority) = (transition.to.name(), transition.priority.get());
                self.prober.note_state(group, state, priority, interface.clone());
                self.report();
            }
            Event::PriorityChanged { group, to, .. } => {
                self.prober.note_priority(group, to.get());
                self.report();
            }
            Event::Notice { .. } | Event::Withdrawn { .. } | Event::Stopped => {}
        }
    }

    /// Something happened that others may be waiting to hear.
    fn report(&self) {
        if let Some(membership) = &self.membership {
            membership.report();
        }
    }

    /// Takes in what has changed, and puts into force what that asks for.
    async fn update(&mut self, change: Change, asked: bool) -> Result<(), Failure> {
        self.agent.update(change);
        let spec = self.agent.spec();
        let difference = Difference::between(&self.spec, &spec);
        if !difference.is_empty() {
            tracing::info!("applying a changed configuration: {difference}");
            self.adopt(spec).await?;
        } else if asked {
            // Somebody who sends SIGHUP wants to know; a touched file is not news.
            tracing::info!("the configuration was read again: no change");
        }
        self.tell_standbys();
        self.acknowledge();
        Ok(())
    }

    pub(super) async fn adopt(&mut self, spec: NodeSpec) -> Result<(), Failure> {
        apply(&self.engine, &self.prober, &spec).await?;
        if let Some(membership) = &mut self.membership {
            membership.change(&self.spec, &spec);
        }
        self.spec = spec;
        let exists = |group: &str| self.spec.groups.contains_key(group);
        self.agent.shared.keep_transitions_of(exists);
        if self.tracker.keep(exists) {
            self.writer.put(self.tracker.state().clone());
        }
        Ok(())
    }

    /// Tells the API server what is in force, as far as that may be told.
    pub(super) fn acknowledge(&mut self) {
        if let Some(membership) = &mut self.membership {
            membership.acknowledge(&self.agent.instructions, &self.agent.shared);
        }
    }

    /// Asks the engine which withdrawn groups are gone. Its answer comes after everything it was told before, so that a
    /// group of the same name that came and went meanwhile is not mistaken for this one.
    async fn look_after_leaving(&mut self) {
        let Some(membership) = &mut self.membership else {
            return;
        };
        if !membership.is_anybody_leaving() {
            return;
        }
        let Ok(groups) = self.agent.shared.snapshot().await else {
            return;
        };
        let present = groups.into_iter().map(|group| group.name).collect();
        membership.keep_leaving(&present, &self.spec);
        self.acknowledge();
    }

    /// Begins the end, or hurries it. Answers how it ended if that is already known.
    async fn stop(&mut self) -> Result<Option<End>, Failure> {
        if self.stopping {
            tracing::info!("told to end a second time: not waiting for the successors");
            self.hurried = true;
            let _ = self.engine.send(Command::Stop).await;
            return self.last_words().await.map(Some);
        }
        self.stopping = true;
        let groups = self.spec.groups.len();
        // Who has none of the groups has no use for them.
        let heir = self.lock.heir().filter(|heir| heir.unknown.len() < groups.max(1));
        if let Some(heir) = heir {
            self.leave_to(&heir).await?;
            return Ok(self.bequeath().await);
        }
        tracing::info!("ending: handing the addresses over to other nodes (a second signal ends at once)");
        // An engine that has ended says so through its events.
        let _ = self.engine.send(Command::Stop).await;
        Ok(None)
    }

    async fn last_words(&mut self) -> Result<End, Failure> {
        let stopped = async {
            while let Some(event) = self.events.recv().await {
                self.note(&event);
                if event == Event::Stopped {
                    break;
                }
            }
        };
        match tokio::time::timeout(LAST_WORDS, stopped).await {
            Ok(()) => Ok(End::Stopped),
            Err(_) => {
                Err(anyhow!("the engine did not end; the addresses it held expire by themselves").into())
            }
        }
    }
}

async fn cached(membership: &mut Option<Membership>) {
    match membership {
        Some(membership) => membership.cached().await,
        None => core::future::pending().await,
    }
}

async fn apply(engine: &Engine, prober: &Prober, spec: &NodeSpec) -> Result<(), Failure> {
    // First, so that the engine finds with each group how its node stands. Groups that nobody judges serve all the same.
    if let Err(stuck) = prober.configure(spec).await {
        tracing::error!("{stuck}; the configuration is applied without it");
    }
    engine
        .send(Command::Apply(Box::new(spec.clone())))
        .await
        .map_err(|_| anyhow!("the engine ended before it could take the configuration").into())
}

fn groups(count: usize) -> String {
    crate::report::words::count(count, "group")
}
