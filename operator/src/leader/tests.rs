//! Elections between replicas, on a virtual clock.

use core::pin::pin;

use serde_json::Value;

use super::*;
use crate::testing::{Fault, MockApi};

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/holdfast-system/leases/holdfast-operator";
const SECOND: Duration = Duration::from_secs(1);

struct Replica {
    elector: Elector,
    leadership: Arc<Leadership>,
    stop: watch::Sender<bool>,
}

impl Replica {
    fn new(api: &MockApi, name: &str) -> Self {
        let leadership = Arc::new(Leadership::default());
        let leases = Api::namespaced(api.client(), "holdfast-system");
        Self {
            elector: Elector::new(leases, name.to_owned(), Arc::clone(&leadership)),
            leadership,
            stop: watch::Sender::new(false),
        }
    }

    /// Runs it for some time; it is paused before and after.
    async fn run_for(&mut self, time: Duration) -> Option<Ended> {
        let stop = self.stop.subscribe();
        tokio::time::timeout(time, self.elector.run(stop, |_| {}))
            .await
            .ok()
    }
}

fn holder_of(api: &MockApi) -> Value {
    api.get(PATH).unwrap()["spec"]["holderIdentity"].clone()
}

#[tokio::test(start_paused = true)]
async fn the_first_replica_leads_at_once_and_renews_every_two_seconds() {
    let api = MockApi::default();
    let mut one = Replica::new(&api, "one");
    assert_eq!(one.run_for(9 * SECOND).await, None);
    assert!(one.leadership.holds());
    let lines: Vec<String> = api.asked(true).into_iter().map(|it| it.line).collect();
    assert_eq!(lines[0], format!("GET {PATH}"));
    assert!(lines[1].starts_with("POST "), "{lines:?}");
    assert_eq!(lines.len(), 2 + 4, "a renewal is one request: {lines:?}");
    assert!(lines[2..].iter().all(|line| line.starts_with("PUT ")));
}

#[tokio::test(start_paused = true)]
async fn the_second_replica_waits_as_long_as_the_lease_is_renewed_and_leads_when_it_runs_out() {
    let api = MockApi::default();
    let (mut one, mut two) = (Replica::new(&api, "one"), Replica::new(&api, "two"));
    {
        let one = pin!(one.run_for(60 * SECOND));
        let two = pin!(two.run_for(60 * SECOND));
        assert_eq!(tokio::join!(one, two), (None, None));
    }
    assert!(one.leadership.holds() && !two.leadership.holds());
    // One is dead from here on.
    two.run_for(12 * SECOND).await;
    assert!(!two.leadership.holds());
    two.run_for(8 * SECOND).await;
    assert!(two.leadership.holds());
    assert_eq!(holder_of(&api), "two");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_paused_and_thawed_does_not_lead_and_writes_nothing() {
    let api = MockApi::default();
    let (mut one, mut two) = (Replica::new(&api, "one"), Replica::new(&api, "two"));
    {
        let stop = one.stop.subscribe();
        let mut one_runs = pin!(one.elector.run(stop, |_| {}));
        assert!(tokio::time::timeout(5 * SECOND, &mut one_runs).await.is_err());
        // Nobody polls it: it is paused. The other one waits and takes over.
        two.run_for(20 * SECOND).await;
        assert!(two.leadership.holds());
        assert!(
            !one.leadership.holds(),
            "known by the clock, before it has run again"
        );
        api.asked(true);
        let Ended::Lost(why) = one_runs.await else {
            panic!("still leads")
        };
        assert!(why.contains("10s"), "{why}");
    }
    assert_eq!(api.asked(true), [], "it wrote nothing after it was thawed");
    assert_eq!(holder_of(&api), "two");
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_somebody_else_has_taken_ends_at_once() {
    let api = MockApi::default();
    let mut one = Replica::new(&api, "one");
    one.run_for(SECOND).await;
    let mut lease = api.get(PATH).unwrap();
    lease["spec"]["holderIdentity"] = "thief".into();
    api.put(PATH, lease);
    assert_eq!(
        one.run_for(3 * SECOND).await,
        Some(Ended::Lost("thief leads now".to_owned()))
    );
    assert!(!one.leadership.holds());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_ends_at_the_deadline_and_not_before() {
    for fault in [Fault::Answer(500), Fault::Answer(429), Fault::Hang] {
        let api = MockApi::default();
        let mut one = Replica::new(&api, "one");
        one.run_for(SECOND).await;
        for _ in 0..20 {
            api.fail_next(fault);
        }
        let begun = Instant::now();
        let ended = one.run_for(60 * SECOND).await;
        assert!(matches!(ended, Some(Ended::Lost(_))), "{fault:?}: {ended:?}");
        let after = begun.elapsed();
        assert!(
            after >= 8 * SECOND && after <= 14 * SECOND,
            "{fault:?}: {after:?}"
        );
        assert!(!one.leadership.holds());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_back_is_taken_without_waiting() {
    let api = MockApi::default();
    let (mut one, mut two) = (Replica::new(&api, "one"), Replica::new(&api, "two"));
    one.run_for(SECOND).await;
    two.run_for(SECOND).await;
    one.stop.send_replace(true);
    assert_eq!(one.run_for(SECOND).await, Some(Ended::Stopped));
    one.elector.release().await;
    assert!(!one.leadership.holds());
    assert_eq!(holder_of(&api), "");
    two.run_for(3 * SECOND).await;
    assert!(two.leadership.holds());
    assert_eq!(api.get(PATH).unwrap()["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn of_two_replicas_that_reach_for_a_free_lease_one_is_refused() {
    let api = MockApi::default();
    let (mut one, mut two) = (Replica::new(&api, "one"), Replica::new(&api, "two"));
    {
        let (one, two) = (one.run_for(5 * SECOND), two.run_for(5 * SECOND));
        tokio::join!(one, two);
    }
    assert!(one.leadership.holds() != two.leadership.holds());
}
