//! Groups whose probes do what a test says, on a clock that jumps: what the engine is told, and when.

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
use crate::status::{HealthStatus, ProbeStatus};

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
    /// Rung when something has changed before anybody looked.
    changed: Arc<Notify>,
}

struct Program {
    name: String,
    stage: Stage,
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
            match act {
                Act::Passes => Run::new(Outcome::Passed, ""),
                Act::Fails(why) => Run::new(Outcome::Failed, why),
                Act::Takes(duration) => {
                    tokio::time::sleep(duration).await;
                    Run::new(Outcome::Passed, "")
                }
                Act::Hangs => core::future::pending().await,
                Act::Panics => panic!("because of the test"),
                Act::CannotRun => Run::new(Outcome::CouldNotRun, "there is no such program"),
            }
        })
    }

    fn interrupted(&self) -> Option<String> {
        Some("it sleeps".to_owned())
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

#[tokio::test(start_paused = true)]
async fn the_engine_knows_how_a_new_group_stands_before_anything_is_found() {
    let mut world = World::new();
    world.let_it("nginx", Act::Hangs);
    world
        .configure(&[web(&[probe("nginx")]), group("db", 8, &[])])
        .await;
    assert_eq!(world.start.elapsed(), Duration::ZERO);
    let told = world.told();
    let (names, judged): (Vec<String>, Vec<Option<Judged>>) = told.into_iter().unzip();
    assert_eq!(names, ["db", "web"]);
    let judgements: Vec<(Standing, Standing)> = judged
        .into_iter()
        .flatten()
        .map(|judged| {
            (
                judged.judgement.strict.standing,
                judged.judgement.lenient.standing,
            )
        })
        .collect();
    assert_eq!(
        judgements,
        [
            (Standing::Base, Standing::Base),
            (Standing::Floor, Standing::Base)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_engine_is_told_of_verdicts_and_of_no_run() {
    let mut world = World::new();
    world.configure(&[web(&[probe("nginx")])]).await;
    pass(10_100 * MS).await;
    assert_eq!(world.standings(), [Standing::Floor, Standing::Base]);
    assert_eq!(world.begun("nginx").len(), 51);
    assert!(world.rang().await, "it is known now");

    world.let_it("nginx", Act::Fails("connection refused"));
    pass(399 * MS).await;
    assert_eq!(world.standings(), []);
    assert!(!world.rang().await);
    pass(10 * MS + 200 * MS).await;
    let told = world.told();
    assert_eq!(told.len(), 1);
    let judged = told[0].1.as_ref().unwrap();
    assert_eq!(judged.judgement.lenient.standing, Standing::Floor);
    assert!(
        judged.why.contains("nginx fails (connection refused, 3 of 3)"),
        "{}",
        judged.why
    );
    assert!(world.rang().await);

    pass(60_000 * MS).await;
    assert_eq!(world.standings(), []);
    assert!(!world.rang().await);
    let nginx = world.probe("nginx").await;
    assert_eq!(
        (nginx.verdict.as_str(), nginx.streak.as_str()),
        ("Failing", "0 of 1")
    );
    assert_eq!(nginx.since.unwrap().to_string(), "2026-11-21T12:00:10.6Z");
    assert_eq!((nginx.runs["Passed"], nginx.runs["TimedOut"]), (51, 0));
    assert!(nginx.runs["Failed"] > 300);

    world.let_it("nginx", Act::Passes);
    pass(200 * MS).await;
    assert_eq!(world.standings(), [Standing::Base]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_is_cut_off_and_disturbs_no_other() {
    let world = World::new();
    world.let_it("hangs", Act::Hangs);
    world.configure(&[web(&[probe("hangs"), probe("works")])]).await;
    pass(5_900 * MS).await;
    let works: Vec<u128> = (0..30).map(|number| number * 200).collect();
    assert_eq!(world.begun("works"), works);
    // Each run takes the second that it may.
    assert_eq!(world.begun("hangs"), [0, 1000, 2000, 3000, 4000, 5000]);
    let hangs = world.probe("hangs").await;
    assert_eq!(hangs.outcome.as_deref(), Some("TimedOut"));
    assert_eq!(hangs.message, "no answer within 1s: it sleeps");
    assert_eq!(hangs.verdict, "Failing");
    assert_eq!(hangs.time, SignedDuration::from_secs(5));
    assert_eq!(world.probe("works").await.verdict, "Passing");
}

#[tokio::test(start_paused = true)]
async fn runs_that_take_longer_than_the_period_go_on_at_its_next_multiple() {
    let world = World::new();
    world.let_it("slow", Act::Takes(450 * MS));
    world.configure(&[web(&[probe("slow")])]).await;
    pass(2_000 * MS).await;
    assert_eq!(world.begun("slow"), [0, 600, 1200, 1800]);
    assert_eq!(world.probe("slow").await.verdict, "Passing");
}

#[tokio::test(start_paused = true)]
async fn what_changes_is_looked_at_before_its_time_and_the_runs_after_that_keep_theirs() {
    let world = World::new();
    let slow = with(
        with(probe("file"), "period", json!("10s")),
        "initialDelay",
        json!("1s"),
    );
    world.configure(&[web(&[slow])]).await;
    world.stage.changed.notify_one();
    pass(3_000 * MS).await;
    assert_eq!(
        world.begun("file"),
        [1_000, 1_100],
        "not before the first, and not at once"
    );
    world.stage.changed.notify_one();
    pass(1 * MS).await;
    assert_eq!(world.begun("file"), [1_000, 1_100, 3_000]);
    // However often it changes.
    for _ in 0..100 {
        world.stage.changed.notify_one();
        pass(MS).await;
    }
    pass(10_000 * MS).await;
    assert_eq!(world.begun("file")[3..], [3_100, 3_200, 11_000]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_could_not_be_run_and_is_run_again() {
    let world = World::new();
    world.let_it("buggy", Act::Panics);
    world.configure(&[web(&[probe("buggy"), probe("works")])]).await;
    pass(700 * MS).await;
    let buggy = world.probe("buggy").await;
    assert_eq!(
        (buggy.verdict.as_str(), buggy.runs["CouldNotRun"]),
        ("Failing", 4)
    );
    assert!(buggy.message.contains("bug in Holdfast"), "{}", buggy.message);
    assert_eq!(world.probe("works").await.runs["Passed"], 4);
    world.let_it("buggy", Act::Passes);
    pass(200 * MS).await;
    assert_eq!(world.probe("buggy").await.verdict, "Passing");
}

#[tokio::test(start_paused = true)]
async fn an_edit_disturbs_the_probe_that_it_is_about_and_no_other() {
    let mut world = World::new();
    let kept = probe("kept");
    world.let_it("edited", Act::Hangs);
    world.configure(&[web(&[kept.clone(), probe("edited")])]).await;
    pass(300 * MS).await;
    world.let_it("edited", Act::Passes);
    world.told();
    // The same name, another timeout.
    let edited = with(probe("edited"), "timeout", json!("2s"));
    world
        .configure(&[web(&[
            edited,
            kept,
            with(probe("added"), "initialDelay", json!("5s")),
        ])])
        .await;
    tokio::task::yield_now().await;
    assert_eq!(
        *world.stage.present.lock().unwrap(),
        [""; 0],
        "what ran of it has ended"
    );
    pass(410 * MS).await;
    assert_eq!(world.begun("kept"), [0, 200, 400, 600]);
    assert_eq!(world.begun("edited"), [0, 300, 500, 700]);
    assert_eq!(world.begun("added"), [0; 0]);
    assert_eq!(world.probe("edited").await.verdict, "Passing");
    assert_eq!(
        world.standings().last(),
        Some(&Standing::Base),
        "a probe that an edit added is trusted until something is known of it"
    );
    pass(5_000 * MS).await;
    assert_eq!(world.begun("added")[0], 5000, "counted from the agent's start");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_gone_is_not_judged_again_and_the_engine_forgets_it_in_time() {
    let mut world = World::new();
    world.configure(&[web(&[probe("nginx")])]).await;
    pass(100 * MS).await;
    world.told();
    world.configure(&[group("db", 8, &[])]).await;
    assert_eq!(world.told().len(), 1, "the engine may still have it");
    let begun = world.begun("nginx").len();
    pass(10_000 * MS).await;
    assert_eq!(world.begun("nginx").len(), begun);
    assert_eq!(world.told(), []);
    assert!(!world.report().await.contains_key("web"));
    world.configure(&[group("db", 8, &[])]).await;
    assert_eq!(world.told(), [("web".to_owned(), None)]);
    world.configure(&[group("db", 8, &[])]).await;
    assert_eq!(world.told(), []);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_shuts_down_gives_up_every_group_and_takes_that_back() {
    let mut world = World::new();
    world
        .configure(&[web(&[probe("nginx")]), group("db", 8, &[])])
        .await;
    pass(100 * MS).await;
    world.told();
    world.release(Some("the node shuts down")).await;
    let faults = |told: Vec<(String, Option<Judged>)>| -> Vec<(String, bool)> {
        let has = |health: Health| health.faults.contains(Fault::Maintenance);
        told.into_iter()
            .map(|(group, judged)| (group, has(judged.unwrap().judgement.lenient)))
            .collect()
    };
    assert_eq!(
        faults(world.told()),
        [("db".to_owned(), true), ("web".to_owned(), true)]
    );
    // A group that is told meanwhile is none to be served either.
    world
        .configure(&[web(&[probe("nginx")]), group("db", 8, &[]), group("new", 9, &[])])
        .await;
    assert_eq!(faults(world.told()), [("new".to_owned(), true)]);
    world.release(None).await;
    assert!(faults(world.told()).iter().all(|(_, released)| !released));
}

#[tokio::test(start_paused = true)]
async fn a_preference_ends_by_the_calendar() {
    let mut world = World::new();
    let until = json!({ "until": "2026-11-21T12:02:30Z" });
    let preferred = with(web(&[probe("nginx")]), "preferred", until);
    world.configure(&[preferred]).await;
    pass(149_900 * MS).await;
    let told = world.told();
    let now = told.last().unwrap().1.as_ref().unwrap();
    assert!(now.preferred);
    assert_eq!(
        now.judgement.strict.standing,
        Standing::Weighted(holdfast_vrrp::Priority::new(254).unwrap())
    );
    pass(200 * MS).await;
    let told = world.told();
    let now = told.last().unwrap().1.as_ref().unwrap();
    assert!(!now.preferred);
    assert_eq!(now.judgement.strict.standing, Standing::Base);
}

#[tokio::test(start_paused = true)]
async fn healing_is_tried_before_a_node_is_given_up() {
    let mut world = World::new();
    let recover = json!({ "exec": ["/restart"], "attempts": 2, "cooldown": "30s", "timeout": "5s" });
    let heals = with(probe("nginx"), "recover", recover);
    world.configure(&[web(&[heals])]).await;
    pass(100 * MS).await;
    world.told();
    world.let_it("nginx", Act::Fails("gone"));
    world.let_it("restart", Act::Takes(300 * MS));
    pass(600 * MS).await;
    assert_eq!(world.probe("nginx").await.verdict, "Recovering");
    assert_eq!(world.begun("restart"), [600]);
    assert_eq!(world.standings(), [], "it is not given up yet");
    // It does not help, is tried once more, hangs this time, and the node is given up.
    world.let_it("restart", Act::Hangs);
    pass(20_000 * MS).await;
    assert_eq!(world.begun("restart").len(), 2);
    let nginx = world.probe("nginx").await;
    assert_eq!(nginx.verdict, "Failing");
    let healing = nginx.healing.unwrap();
    assert_eq!((healing.attempt, healing.running), (2, false));
    assert_eq!(healing.result.unwrap().outcome, "TimedOut");
    assert_eq!(world.standings(), [Standing::Floor]);
    assert_eq!(*world.stage.present.lock().unwrap(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_and_goes_is_held_back_and_says_until_when() {
    let mut world = World::new();
    world.configure(&[web(&[probe("nginx")])]).await;
    pass(100 * MS).await;
    for _ in 0..3 {
        world.let_it("nginx", Act::Fails("gone"));
        pass(5_000 * MS).await;
        world.let_it("nginx", Act::Passes);
        pass(5_000 * MS).await;
    }
    let told = world.standings();
    assert!(
        matches!(told.last(), Some(Standing::Weighted(priority)) if (16..=30).contains(&priority.get())),
        "{told:?}"
    );
    let report = world.report().await;
    let until = report["web"].held_back_until.unwrap();
    assert!(
        report["web"].priority_explained.contains("held back"),
        "{report:?}"
    );
    let at = world.start + Duration::try_from(until.duration_since(NOON)).unwrap();
    tokio::time::sleep_until(at + 10 * MS).await;
    assert_eq!(world.standings(), [Standing::Base]);
    assert_eq!(world.report().await["web"].held_back_until, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_run_is_told_for_whom() {
    let world = World::new();
    world.configure(&[web(&[probe("nginx")])]).await;
    pass(100 * MS).await;
    world
        .scenes
        .note_state("web", "Active", 200, Some("eth0".to_owned()));
    world.scenes.note_state("gone", "Active", 200, None);
    pass(200 * MS).await;
    world.scenes.note_priority("web", 150);
    pass(200 * MS).await;
    let scenes = world.stage.scenes.lock().unwrap();
    let seen = |place: usize| {
        let scene = &scenes[place];
        assert_eq!(
            (scene.node.as_str(), scene.group.as_str(), scene.probe.as_str()),
            ("cp-1", "web", "nginx")
        );
        (scene.state, scene.priority, scene.interface.as_deref())
    };
    assert_eq!(seen(0), ("Initialize", 0, None));
    assert_eq!(seen(1), ("Active", 200, Some("eth0")));
    assert_eq!(seen(2), ("Active", 150, Some("eth0")));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_run_is_no_failing_service() {
    let world = World::new();
    world.let_it("nginx", Act::CannotRun);
    world.configure(&[web(&[probe("nginx")])]).await;
    pass(100 * MS).await;
    let nginx = world.probe("nginx").await;
    assert_eq!(nginx.verdict, "NotYetKnown");
    assert_eq!(nginx.outcome.as_deref(), Some("CouldNotRun"));
    assert_eq!(nginx.streak, "1 of 3");
    assert_eq!(nginx.latest.unwrap().message, "there is no such program");
}
