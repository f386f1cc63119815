//! Groups that come, change, go, and are not wanted for a while.

use core::slice;

use super::*;

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
async fn what_was_found_in_the_moment_of_an_edit_is_not_taken_for_what_is_looked_for_now() {
    let world = World::new();
    world.let_it("slow", Act::Takes(300 * MS));
    world.let_it("other", Act::Hangs);
    world.configure(&[web(&[probe("slow")])]).await;
    pass(300 * MS).await;
    let other = with(probe("slow"), "exec", json!({ "command": ["/other"] }));
    world.configure(&[web(&[other])]).await;
    pass(100 * MS).await;
    let slow = world.probe("slow").await;
    assert_eq!((slow.verdict.as_str(), slow.runs["Passed"]), ("NotYetKnown", 0));
    assert_eq!(world.begun("other"), [300]);
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
async fn what_a_probe_warns_of_is_told_at_once_and_lasts_as_long_as_it_says_so() {
    let world = World::new();
    let warning = FaultStatus {
        reason: "CertificateDoesNotCoverVIP".to_owned(),
        message: "it is for others".to_owned(),
    };
    // Two probes see the same.
    world.configure(&[web(&[probe("one"), probe("two")])]).await;
    pass(300 * MS).await;
    world.rang().await;
    for program in ["one", "two"] {
        world.warns(program, Some(&warning));
    }
    pass(200 * MS).await;
    assert!(world.rang().await);
    assert_eq!(world.report().await["web"].warnings, slice::from_ref(&warning));
    pass(600 * MS).await;
    assert!(!world.rang().await, "it says nothing new");
    world.let_it("one", Act::Fails("gone"));
    for program in ["one", "two"] {
        world.warns(program, None);
    }
    pass(200 * MS).await;
    assert_eq!(world.report().await["web"].warnings, []);
    assert!(world.rang().await);
}
