use super::*;

fn refused(reason: Reason) -> Failure {
    Failure::new(reason, String::new())
}

fn throttled(secs: u64) -> Failure {
    Failure {
        retry_after: Some(Duration::from_secs(secs)),
        ..refused(Reason::Throttled)
    }
}

/// A schedule whose Lease was just renewed, and its clock.
fn calm() -> (Schedule, Instant) {
    let now = Instant::now();
    let mut schedule = Schedule::new(now);
    schedule.renewed(now);
    (schedule, now)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_renewed_at_the_start_and_every_ten_seconds() {
    let start = Instant::now();
    let mut schedule = Schedule::new(start);
    let mut renewals = Vec::new();
    for second in 0..=40 {
        let now = start + Duration::from_secs(second);
        while schedule.next(now) == Next::Renew {
            renewals.push(second);
            schedule.renewed(now);
        }
    }
    assert_eq!(renewals, [0, 10, 20, 30, 40]);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_waits_for_is_reported_at_once() {
    let (mut schedule, now) = calm();
    schedule.report_begins(now);
    schedule.reported();
    schedule.news(true);
    assert_eq!(schedule.next(now + millis(100)), Next::Report);
    assert_eq!(
        schedule.next(now + millis(40)),
        Next::Wait(now + millis(100)),
        "many transitions at the same time are one report"
    );
}

#[tokio::test(start_paused = true)]
async fn other_news_is_reported_once_a_second_at_most() {
    let (mut schedule, now) = calm();
    schedule.report_begins(now);
    schedule.reported();
    schedule.news(false);
    assert_eq!(schedule.next(now + millis(100)), Next::Wait(now + millis(1000)));
    assert_eq!(schedule.next(now + millis(1000)), Next::Report);
    schedule.news(true);
    schedule.news(false);
    assert_eq!(schedule.next(now + millis(100)), Next::Report, "still urgent");
}

#[tokio::test(start_paused = true)]
async fn no_lease_is_renewed_while_something_is_to_be_said() {
    let start = Instant::now();
    let mut schedule = Schedule::new(start);
    schedule.news(true);
    let mut now = start;
    for _ in 0..1000 {
        match schedule.next(now) {
            Next::Report => {
                schedule.report_begins(now);
                schedule.failed(now, &refused(Reason::Unreachable), 0.5);
            }
            Next::Renew => panic!("renewed {:?} after the start", now - start),
            Next::Wait(until) => {
                assert!(until > now);
                now = until;
            }
        }
    }
    schedule.report_begins(now);
    schedule.reported();
    assert_eq!(schedule.next(now), Next::Renew, "as soon as it is said");
}

#[tokio::test(start_paused = true)]
async fn what_may_wait_a_second_holds_up_the_lease_all_the_same() {
    let start = Instant::now();
    let mut schedule = Schedule::new(start);
    schedule.report_begins(start);
    schedule.reported();
    schedule.news(false);
    assert_eq!(schedule.next(start), Next::Wait(start + millis(1000)));
    schedule.nothing_to_say();
    assert_eq!(schedule.next(start), Next::Renew);
}

#[tokio::test(start_paused = true)]
async fn failures_are_met_with_growing_patience_that_has_an_end() {
    let (mut schedule, mut now) = calm();
    schedule.news(true);
    let mut waits = Vec::new();
    for _ in 0..8 {
        assert_eq!(schedule.next(now), Next::Report);
        schedule.report_begins(now);
        schedule.failed(now, &refused(Reason::Unreachable), 1.0);
        let Next::Wait(until) = schedule.next(now) else {
            panic!("tries again at once")
        };
        waits.push((until - now).as_millis());
        now = until;
    }
    assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
    schedule.report_begins(now);
    schedule.failed(now, &refused(Reason::Unreachable), 0.0);
    assert_eq!(schedule.next(now), Next::Wait(now + millis(5000)), "spread");
    schedule.reported();
    schedule.news(true);
    schedule.report_begins(now);
    schedule.failed(now, &refused(Reason::Unreachable), 1.0);
    assert_eq!(schedule.next(now), Next::Wait(now + millis(500)), "begins anew");
}

#[tokio::test(start_paused = true)]
async fn a_new_transition_is_tried_at_once_in_the_middle_of_an_outage_and_other_news_is_not() {
    let (mut schedule, now) = calm();
    schedule.news(true);
    schedule.report_begins(now);
    for _ in 0..9 {
        schedule.failed(now, &refused(Reason::Unreachable), 1.0);
    }
    let later = now + millis(2000);
    schedule.news(false);
    assert_eq!(schedule.next(later), Next::Wait(now + millis(10_000)));
    schedule.news(true);
    assert_eq!(schedule.next(later), Next::Report);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_asks_for_it_is_left_alone_even_by_transitions() {
    let (mut schedule, now) = calm();
    schedule.news(true);
    schedule.report_begins(now);
    schedule.failed(now, &throttled(7), 0.0);
    schedule.news(true);
    assert_eq!(schedule.next(now), Next::Wait(now + millis(7000)));
    assert_eq!(schedule.next(now + millis(7000)), Next::Report);
    let (mut schedule, now) = calm();
    schedule.failed(now, &throttled(60), 1.0);
    assert_eq!(
        schedule.next(now + millis(10_000)),
        Next::Wait(now + millis(60_500))
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_renewed_is_tried_again_soon() {
    let now = Instant::now();
    let mut schedule = Schedule::new(now);
    schedule.failed(now, &refused(Reason::Conflict), 1.0);
    assert_eq!(schedule.next(now), Next::Wait(now + millis(500)));
    assert_eq!(schedule.next(now + millis(500)), Next::Renew);
}

#[tokio::test(start_paused = true)]
async fn without_an_object_the_lease_lives_and_the_object_is_looked_for_now_and_then() {
    let now = Instant::now();
    let mut schedule = Schedule::new(now);
    schedule.news(true);
    schedule.report_begins(now);
    schedule.report_has_no_object(now, 1.0);
    assert!(!schedule.is_behind());
    assert_eq!(schedule.next(now), Next::Renew);
    schedule.renewed(now);
    assert_eq!(schedule.next(now), Next::Wait(now + millis(10_000)));
    assert_eq!(schedule.next(now + millis(10_000)), Next::Report);
    schedule.news(true);
    assert_eq!(schedule.next(now + millis(200)), Next::Report, "it has appeared");
}
