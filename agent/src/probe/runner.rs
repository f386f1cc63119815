//! One probe as a task: waits for its time, looks, says what it found, and so on until it is dropped.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use holdfast_api::model::probe as model;
use holdfast_health::{Outcome, Run};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::chance::Chance;
use super::check::{Check, Scene};
use super::nonlocal;
use super::scenes::Scenes;
use super::schedule::Schedule;
use crate::report::words;
use crate::status::FaultStatus;

/// Makes what looks from what is written.
pub type Make = Arc<dyn Fn(&model::Check) -> Box<dyn Check> + Send + Sync>;

/// Runs that come before their time begin so far apart at least: a file that is written all the time is not looked at all the
/// time.
const SOONEST: Duration = Duration::from_millis(100);

/// What a task has to say.
#[derive(Debug)]
pub struct Finding {
    /// The task that says it: one that was ended may have had something on its way.
    pub task: u64,
    /// The group.
    pub group: String,
    /// The probe.
    pub probe: String,
    /// What was found.
    pub run: Run,
    /// What somebody should see to although it fails no run.
    pub warnings: Vec<FaultStatus>,
    /// How long it took.
    pub took: Duration,
    /// Whether it was an attempt at healing.
    pub healing: bool,
}

/// A task that ends when this is dropped, and with it whatever it is doing.
#[derive(Debug)]
pub struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What every task needs.
#[derive(Clone)]
pub struct Bench {
    /// When the agent began to run probes.
    pub start: Instant,
    /// Makes checks.
    pub make: Make,
    /// For whom they are run.
    pub scenes: Scenes,
    /// Where findings go.
    pub findings: mpsc::Sender<Finding>,
}

/// Which task of which probe of which group.
#[derive(Clone, Debug)]
pub struct Name {
    /// The task's number, which no other has.
    pub task: u64,
    /// The group.
    pub group: String,
    /// The probe.
    pub probe: String,
}

impl Bench {
    /// Runs `probe` for as long as the answer lives.
    pub fn run(&self, name: Name, probe: model::Probe) -> Task {
        let bench = self.clone();
        Task(tokio::spawn(async move {
            let mut chance = Chance::of(bench.scenes.node(), &name.group, &name.probe);
            let mut schedule = Schedule::new(bench.start, Instant::now(), &probe.timing, chance.next());
            let mut checks = bench.make_all(&probe.checks);
            let mut due = schedule.next(Instant::now(), chance.next());
            tokio::time::sleep_until(due).await;
            loop {
                let begin = Instant::now();
                let scene = bench.scenes.of(&name.group, &name.probe);
                let looked = look(&mut checks, &scene, probe.timing.timeout).await;
                let run = looked.unwrap_or_else(|Panicked| {
                    // Who knows in what state that has left them.
                    checks = bench.make_all(&probe.checks);
                    Run::new(Outcome::CouldNotRun, PANICKED)
                });
                let run = nonlocal::explained(run, &probe.may_bind, &scene);
                let warnings = checks.iter().filter_map(|check| check.warning()).collect();
                if !bench.say(&name, run, warnings, begin, false).await {
                    return;
                }
                // A run that came before its time is in nobody's place.
                if due <= Instant::now() {
                    due = schedule.next(Instant::now(), chance.next());
                }
                tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(due) => {}
                    () = changed(&mut checks, begin + SOONEST) => {}
                }
            }
        }))
    }

    /// Tries once to heal what a probe watches.
    pub fn heal(&self, name: Name, recover: &model::Recover) -> Task {
        let bench = self.clone();
        let (program, timeout) = (model::Check::Exec(recover.exec.clone()), recover.timeout);
        Task(tokio::spawn(async move {
            let begin = Instant::now();
            let scene = bench.scenes.of(&name.group, &name.probe);
            let mut checks = vec![(bench.make)(&program)];
            let run = look(&mut checks, &scene, timeout)
                .await
                .unwrap_or_else(|Panicked| Run::new(Outcome::CouldNotRun, PANICKED));
            bench.say(&name, run, Vec::new(), begin, true).await;
        }))
    }

    fn make_all(&self, checks: &[model::Check]) -> Vec<Box<dyn Check>> {
        checks.iter().map(|check| (self.make)(check)).collect()
    }

    /// Answers whether there is somebody who hears it.
    async fn say(
        &self,
        name: &Name,
        run: Run,
        warnings: Vec<FaultStatus>,
        begin: Instant,
        healing: bool,
    ) -> bool {
        let finding = Finding {
            task: name.task,
            group: name.group.clone(),
            probe: name.probe.clone(),
            run,
            warnings,
            took: begin.elapsed(),
            healing,
        };
        self.findings.send(finding).await.is_ok()
    }
}

/// Waits until a run might find something else, and at least until `soonest`.
async fn changed(checks: &mut [Box<dyn Check>], soonest: Instant) {
    let waiting = checks.iter_mut().map(|check| check.changed());
    if waiting.len() == 0 {
        core::future::pending::<()>().await;
    }
    futures::future::select_all(waiting).await;
    tokio::time::sleep_until(soonest).await;
}

/// A check panicked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Panicked;

const PANICKED: &str =
    "the probe itself broke down, which is a bug in Holdfast: please report it with the agent's log";

/// Looks at one thing after the other until one is not as it should be, within the time there is.
async fn look(checks: &mut [Box<dyn Check>], scene: &Scene, timeout: Duration) -> Result<Run, Panicked> {
    let looked_at = AtomicUsize::new(0);
    let all = async {
        let mut found = Run::new(Outcome::Passed, "");
        for (place, check) in checks.iter_mut().enumerate() {
            looked_at.store(place, Ordering::Relaxed);
            let run = check.run(scene).await;
            if !run.outcome.is_pass() {
                return run;
            }
            if !run.message.is_empty() {
                found.message = run.message;
            }
            found.adds = run.adds.or(found.adds);
        }
        found
    };
    if let Ok(run) = tokio::time::timeout(timeout, AssertUnwindSafe(all).catch_unwind()).await {
        return run.map_err(|_| Panicked);
    }
    let check = checks.get(looked_at.load(Ordering::Relaxed));
    let how_far = check.and_then(|check| check.interrupted());
    let how_far = how_far.map_or_else(String::new, |how_far| format!(": {how_far}"));
    let within = words::interval(timeout);
    Ok(Run::new(
        Outcome::TimedOut,
        format!("no answer within {within}{how_far}"),
    ))
}
