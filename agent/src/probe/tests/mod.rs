//! Groups whose probes do what a test says, on a clock that jumps: what the engine is told, and when.

mod groups;
mod runs;

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use holdfast_api::model::NodeSpec;
use holdfast_api::model::probe::Check as Written;
use holdfast_api::render::model_group;
use holdfast_health::{Outcome, Run};
use holdfast_vrrp::{Fault, Health, Standing};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::check::{Check, Scene};
use super::clocks::Clocks;
use super::scenes::Scenes;
use super::worker::{Audience, Order, Worker};
use crate::engine::{Command, Judged};
use crate::status::{FaultStatus, HealthStatus, ProbeStatus};

const MS: Duration = Duration::from_millis(1);

/// What a program does when it is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Passes,
    Fails(&'static str),
    Takes(Duration),
    Hangs,
    Panics,
    CannotRun,
}

/// What programs do, and when they were run.
#[derive(Clone, Default)]
struct Stage {
    acts: Arc<Mutex<BTreeMap<String, Act>>>,
    begun: Arc<Mutex<Vec<(String, Instant)>>>,
    /// Runs that have begun and neither ended nor been dropped.
    present: Arc<Mutex<Vec<String>>>,
    scenes: Arc<Mutex<Vec<Scene>>>,
    warnings: Arc<Mutex<BTreeMap<String, FaultStatus>>>,
    /// Rung when something has changed before anybody looked.
    changed: Arc<Notify>,
}

struct Program {
    name: String,
    stage: Stage,
    /// It has panicked, and does nothing else any more.
    broken: bool,
}

struct Present(Stage, String);

impl Drop for Present {
    fn drop(&mut self) {
        let mut present = self.0.present.lock().unwrap();
        let place = present.iter().position(|name| *name == self.1).unwrap();
        present.remove(place);
    }
}

impl Stage {
    /// A program is run.
    fn enter(&self, program: &str, scene: &Scene) -> (Act, Present) {
        let mut present = self.present.lock().unwrap();
        assert!(!present.iter().any(|name| name == program), "runs overlap");
        present.push(program.to_owned());
        let begun = (program.to_owned(), Instant::now());
        self.begun.lock().unwrap().push(begun);
        self.scenes.lock().unwrap().push(scene.clone());
        let act = self.acts.lock().unwrap().get(program).copied();
        let guard = Present(self.clone(), program.to_owned());
        (act.unwrap_or(Act::Passes), guard)
    }
}

impl Check for Program {
    fn run<'a>(&'a mut self, scene: &'a Scene) -> BoxFuture<'a, Run> {
        Box::pin(async move {
            let (act, _present) = self.stage.enter(&self.name, scene);
            self.broken |= act == Act::Panics;
            assert!(!self.broken, "because of the test");
            match act {
                Act::Passes => Run::new(Outcome::Passed, ""),
                Act::Fails(why) => Run::new(Outcome::Failed, why),
                Act::Takes(duration) => {
                    tokio::time::sleep(duration).await;
                    Run::new(Outcome::Passed, "")
                }
                Act::Hangs | Act::Panics => core::future::pending().await,
                Act::CannotRun => Run::new(Outcome::CouldNotRun, "there is no such program"),
            }
        })
    }

    fn interrupted(&self) -> Option<String> {
        Some("it sleeps".to_owned())
    }

    fn warning(&self) -> Option<FaultStatus> {
        self.stage.warnings.lock().unwrap().get(&self.name).cloned()
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.stage.changed.notified())
    }
}

impl Audience for mpsc::UnboundedSender<Command> {
    async fn tell(&self, command: Command) {
        let _ = self.send(command);
    }
}

/// An agent's probes, and an engine that listens.
struct World {
    stage: Stage,
    start: Instant,
    orders: mpsc::Sender<Order>,
    told: mpsc::UnboundedReceiver<Command>,
    news: Arc<Notify>,
    scenes: Scenes,
}

impl World {
    fn new() -> Self {
        let stage = Stage::default();
        let on_stage = stage.clone();
        let make = Arc::new(move |check: &Written| -> Box<dyn Check> {
            let Written::Exec(exec) = check else {
                panic!("{check:?}")
            };
            Box::new(Program {
                name: exec.program.trim_start_matches('/').to_owned(),
                stage: on_stage.clone(),
                broken: false,
            })
        });
        let start = Instant::now();
        let calendar = move || NOON + SignedDuration::try_from(start.elapsed()).unwrap();
        let (audience, told) = mpsc::unbounded_channel();
        let (scenes, news) = (Scenes::new("cp-1"), Arc::new(Notify::new()));
        let clocks = Clocks::with_calendar(calendar);
        let worker = Worker::new(audience, clocks, make, scenes.clone(), Arc::clone(&news));
        let (orders, received) = mpsc::channel(1);
        tokio::spawn(worker.run(received));
        Self {
            stage,
            start,
            orders,
            told,
            news,
            scenes,
        }
    }

    /// Runs the groups written so, and no others.
    async fn configure(&self, groups: &[Value]) {
        let (done, answer) = oneshot::channel();
        let order = Order::Configure(Box::new(spec(groups)), done);
        self.orders.send(order).await.unwrap();
        answer.await.unwrap();
    }

    async fn release(&self, reason: Option<&str>) {
        let (done, answer) = oneshot::channel();
        let order = Order::Release(reason.map(str::to_owned), done);
        self.orders.send(order).await.unwrap();
        answer.await.unwrap();
    }

    async fn report(&self) -> BTreeMap<String, HealthStatus> {
        let (answer, report) = oneshot::channel();
        self.orders.send(Order::Report(answer)).await.unwrap();
        report.await.unwrap()
    }

    async fn probe(&self, name: &str) -> ProbeStatus {
        let web = self.report().await.remove("web").unwrap();
        web.probes.into_iter().find(|probe| probe.name == name).unwrap()
    }

    fn let_it(&self, program: &str, act: Act) {
        self.stage.acts.lock().unwrap().insert(program.to_owned(), act);
    }

    /// From its next run on a program warns of this.
    fn warns(&self, program: &str, of: Option<&FaultStatus>) {
        let mut warnings = self.stage.warnings.lock().unwrap();
        match of {
            Some(warning) => drop(warnings.insert(program.to_owned(), warning.clone())),
            None => drop(warnings.remove(program)),
        }
    }

    /// When runs of a program began, in milliseconds after the start.
    fn begun(&self, program: &str) -> Vec<u128> {
        let begun = self.stage.begun.lock().unwrap();
        let these = begun.iter().filter(|(name, _)| name == program);
        these
            .map(|(_, at)| at.duration_since(self.start).as_millis())
            .collect()
    }

    /// What the engine was told since this was asked last: whom, and what.
    fn told(&mut self) -> Vec<(String, Option<Judged>)> {
        let mut told = Vec::new();
        while let Ok(command) = self.told.try_recv() {
            let Command::Judge { group, judged } = command else {
                panic!("{command:?}")
            };
            told.push((group, judged));
        }
        told
    }

    /// The strict standing of `web` that the engine was told since this was asked last.
    fn standings(&mut self) -> Vec<Standing> {
        let told = self.told().into_iter().filter(|(group, _)| group == "web");
        told.filter_map(|(_, judged)| Some(judged?.judgement.strict.standing))
            .collect()
    }

    /// Whether somebody was to be told at once since this was asked last.
    async fn rang(&self) -> bool {
        tokio::time::timeout(Duration::ZERO, self.news.notified())
            .await
            .is_ok()
    }
}

const NOON: Timestamp = Timestamp::constant(1_795_262_400, 0);

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// A group as the API writes it for this node.
fn group(name: &str, number: u8, probes: &[Value]) -> Value {
    json!({
        "name": name,
        "virtualRouterID": number,
        "addresses": [{ "address": format!("192.0.2.{number}/24") }],
        "priority": 100,
        "advertisement": {
            "version": 3, "interval": "1s", "family": "IPv4", "mode": "Multicast", "multicastGroup": "224.0.0.18",
        },
        "probes": probes,
        "mayBecomeActive": true,
    })
}

fn web(probes: &[Value]) -> Value {
    group("web", 7, probes)
}

/// A probe that runs a program of its own name every 200 ms.
fn probe(name: &str) -> Value {
    json!({
        "name": name,
        "exec": { "command": [format!("/{name}")] },
        "period": "200ms",
        "timeout": "1s",
        "failureThreshold": 3,
        "successThreshold": 1,
    })
}

/// The same with other fields.
fn with(mut value: Value, field: &str, content: Value) -> Value {
    value[field] = content;
    value
}

fn spec(groups: &[Value]) -> NodeSpec {
    let model = |group: &Value| {
        let group = serde_json::from_value(group.clone()).unwrap();
        let group = model_group(&group, &|_| Err(String::new())).unwrap();
        (group.name.clone(), group)
    };
    NodeSpec {
        groups: groups.iter().map(model).collect(),
    }
}
