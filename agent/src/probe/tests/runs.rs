//! Runs: when they are, what becomes of those that hang or break down, and what is made of them.

use super::*;

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
async fn runs_that_take_longer_than_the_period_follow_each_other_at_once() {
    let world = World::new();
    world.let_it("slow", Act::Takes(450 * MS));
    world.configure(&[web(&[probe("slow")])]).await;
    pass(2_000 * MS).await;
    assert_eq!(world.begun("slow"), [0, 450, 900, 1350, 1800]);
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
