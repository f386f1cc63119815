//! Agents and those who wait for them, on tasks of one process; agents of the first version played by bare sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener as BareListener, UnixStream as BareStream};

use holdfast_api::v1alpha1::GroupSource;
use tokio::time::timeout;

use super::*;
use crate::engine::{Predecessor, RouterIdentity, Takeover};

/// How long nothing is waited for that is not to come.
const MOMENT: Duration = Duration::from_millis(50);

/// How long anything may take that is to come: far longer than it does.
const LONG: Duration = Duration::from_secs(10);

fn name(test: &str) -> String {
    format!("holdfast-test-{}-{test}", std::process::id())
}

fn address(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(name).unwrap()
}

/// Takes the lock that nobody holds; but another test's child may, until it has become its program: it begins with all that is
/// open here.
async fn taken(name: &str) -> Lock {
    let free = async {
        loop {
            match take(name).await.unwrap() {
                Attempt::Taken(lock) => return lock,
                Attempt::Held(_) => tokio::time::sleep(RETRY).await,
            }
        }
    };
    timeout(LONG, free).await.expect("nobody holds the lock")
}

async fn held(name: &str) -> Holder {
    match take(name).await.unwrap() {
        Attempt::Held(holder) => holder,
        Attempt::Taken(_) => panic!("the lock was free"),
    }
}

/// The next so many things that happen at the lock; nothing more happens within a moment.
async fn knocks(lock: &mut Lock, count: usize) -> Vec<Knock> {
    let mut knocks = Vec::new();
    while knocks.len() < count {
        let next = timeout(LONG, lock.next()).await;
        knocks.push(next.unwrap_or_else(|_| panic!("only these came: {knocks:?}")));
    }
    let more = timeout(MOMENT, lock.next()).await;
    assert!(more.is_err(), "after {knocks:?} came {more:?}");
    knocks
}

/// One standby asks for the groups.
async fn asked(lock: &mut Lock) -> Asker {
    let [Knock::Yield(who)] = knocks(lock, 1).await[..] else {
        panic!("not asked")
    };
    who
}

/// What the holder handed over when it ended.
async fn ended(holder: &mut Holder) -> Option<Predecessor> {
    loop {
        if let Told::Ended(predecessor) = holder.next().await {
            return predecessor;
        }
    }
}

async fn holding(holder: &mut Holder) -> Holding {
    match timeout(LONG, holder.next()).await {
        Ok(Told::Holding(holding)) => holding,
        other => panic!("{other:?}"),
    }
}

fn card(name: &str) -> Card {
    Card {
        name: name.to_owned(),
        router: RouterIdentity::example(),
        interface: None,
        addresses: BTreeSet::from(["10.0.0.100/32".to_owned()]),
        mode: "Unicast".to_owned(),
        peers: BTreeSet::new(),
        authentication: "None".to_owned(),
        strict_interval: None,
        may_become_active: true,
        source: GroupSource::File,
    }
}

fn standing(take_over: bool, groups: &[&str]) -> StandbyWord {
    StandbyWord::Standing(Standing {
        take_over,
        groups: groups.iter().map(|name| card(name)).collect(),
        ..Standing::default()
    })
}

fn predecessor() -> Predecessor {
    let takeover = Takeover {
        since_nanos: 7,
        router: RouterIdentity::example(),
    };
    Predecessor {
        boot_id: "this-boot".to_owned(),
        active: BTreeMap::from([("control-plane".to_owned(), takeover)]),
        handed_over: false,
    }
}

fn handed_over() -> Predecessor {
    Predecessor {
        handed_over: true,
        ..predecessor()
    }
}

#[tokio::test]
async fn the_second_agent_finds_the_first() {
    let name = name("second");
    let mut lock = taken(&name).await;
    assert_eq!(lock.heir(), None);
    let holder = held(&name).await;
    assert_eq!(holder.pid, i32::try_from(std::process::id()).unwrap());
    assert_eq!(knocks(&mut lock, 1).await, [Knock::Crowd]);
    assert!(lock.heir().is_some());
    // The kernel knows at once, whether or not anybody has looked.
    drop(holder);
    assert_eq!(lock.heir(), None);
}

#[tokio::test]
async fn a_crowd_of_strangers_is_named_once_in_a_while() {
    let mut lock = taken(&name("strangers")).await;
    tokio::time::pause();
    let said: Vec<bool> = (0..100).map(|pid| lock.name_stranger(pid, 1234)).collect();
    assert!(said[0] && !said[1..].contains(&true));
    tokio::time::advance(held::STRANGER_SILENCE).await;
    assert!(lock.name_stranger(7, 1234));
}

#[tokio::test]
async fn a_standby_is_handed_the_groups_and_finds_the_lock_free() {
    let name = name("hand-over");
    let mut lock = taken(&name).await;
    let mut holder = held(&name).await;
    knocks(&mut lock, 1).await;
    let standby = tokio::spawn({
        let name = name.clone();
        async move {
            let given = ended(&mut holder).await;
            (given, taken(&name).await)
        }
    });
    let heir = lock.heir().map(|heir| heir.asker);
    assert_eq!(lock.hand_over(&predecessor(), heir).await, 1);
    let (given, _lock) = standby.await.unwrap();
    assert_eq!(given, Some(handed_over()));
}

#[tokio::test]
async fn a_holder_that_is_killed_hands_nothing_over() {
    let name = name("killed");
    let mut lock = taken(&name).await;
    let mut holder = held(&name).await;
    knocks(&mut lock, 1).await;
    drop(lock);
    assert_eq!(ended(&mut holder).await, None);
    taken(&name).await;
}

#[tokio::test]
async fn of_two_standbys_one_takes_the_lock_and_the_other_waits_for_it() {
    let name = name("two");
    let mut lock = taken(&name).await;
    let (mut first, mut second) = (held(&name).await, held(&name).await);
    knocks(&mut lock, 2).await;
    assert_eq!(lock.hand_over(&predecessor(), None).await, 2);
    assert!(ended(&mut first).await.is_some() && ended(&mut second).await.is_some());
    let winner = taken(&name).await;
    let mut loser = held(&name).await;
    drop(winner);
    assert_eq!(ended(&mut loser).await, None);
}

#[tokio::test]
async fn a_standby_is_told_what_runs_at_once_and_after_each_change() {
    let name = name("told");
    let mut lock = taken(&name).await;
    lock.tell(vec![card("control-plane")], false);
    let mut holder = held(&name).await;
    knocks(&mut lock, 1).await;
    let first = holding(&mut holder).await;
    assert_eq!(
        (first.groups, first.take_over),
        (vec![card("control-plane")], false)
    );
    // The same again is no news.
    lock.tell(vec![card("control-plane")], false);
    assert!(timeout(MOMENT, holder.next()).await.is_err());
    lock.tell(vec![card("control-plane"), card("web")], false);
    let second = holding(&mut holder).await;
    assert_eq!(second.groups.len(), 2);
    assert!(second.revision > first.revision);
}

#[tokio::test]
async fn who_asks_for_what_has_changed_since_is_not_heard() {
    let name = name("asks");
    let mut lock = taken(&name).await;
    lock.tell(vec![card("control-plane")], false);
    let mut holder = held(&name).await;
    assert_eq!(knocks(&mut lock, 1).await, [Knock::Crowd]);
    let old = holding(&mut holder).await.revision;
    lock.tell(vec![card("web")], false);
    holder.say(&StandbyWord::Yield { revision: old }).await;
    knocks(&mut lock, 0).await;
    let revision = holding(&mut holder).await.revision;
    holder.say(&StandbyWord::Yield { revision }).await;
    // Asked twice, it is said twice: the first time decides.
    holder.say(&StandbyWord::Yield { revision }).await;
    let knocks = knocks(&mut lock, 2).await;
    assert!(
        matches!(knocks[..], [Knock::Yield(first), Knock::Yield(second)] if first == second),
        "{knocks:?}"
    );
}

#[tokio::test]
async fn an_agent_that_is_to_take_over_from_others_yields_to_nobody() {
    let name = name("ping-pong");
    let mut lock = taken(&name).await;
    lock.tell(vec![card("control-plane")], true);
    let mut holder = held(&name).await;
    assert_eq!(knocks(&mut lock, 1).await, [Knock::Crowd]);
    let revision = holding(&mut holder).await.revision;
    holder.say(&StandbyWord::Yield { revision }).await;
    knocks(&mut lock, 0).await;
}

#[tokio::test]
async fn the_one_that_asked_gets_the_lock_before_the_others_who_wait() {
    let name = name("yield");
    for _ in 0..20 {
        let mut lock = taken(&name).await;
        let mut others = Vec::new();
        for _ in 0..3 {
            others.push(held(&name).await);
        }
        let mut asker = held(&name).await;
        knocks(&mut lock, 4).await;
        let revision = holding(&mut asker).await.revision;
        asker.say(&StandbyWord::Yield { revision }).await;
        let who = asked(&mut lock).await;
        let racers = others.into_iter().map(|mut other| {
            let name = name.clone();
            tokio::spawn(async move {
                let given = ended(&mut other).await;
                (given, matches!(take(&name).await, Ok(Attempt::Taken(_))))
            })
        });
        let racers: Vec<_> = racers.collect();
        let winner = tokio::spawn({
            let name = name.clone();
            async move {
                let given = ended(&mut asker).await;
                // However long it takes, within reason.
                tokio::time::sleep(MOMENT).await;
                (given, taken(&name).await)
            }
        });
        lock.yield_to(&predecessor(), who).await;
        // The one that gave way waits like everybody else.
        drop(held(&name).await);
        for racer in racers {
            assert_eq!(racer.await.unwrap(), (None, false));
        }
        assert_eq!(winner.await.unwrap().0, Some(handed_over()));
    }
}

#[tokio::test]
async fn an_asker_that_dies_leaves_the_lock_to_the_one_that_gave_way_within_milliseconds() {
    let name = name("asker-dies");
    let mut lock = taken(&name).await;
    for dies_before_it_is_told in [true, false] {
        let mut fastest = LONG;
        // The machine may hold up one of them; patience would hold up all.
        for _ in 0..5 {
            let mut asker = held(&name).await;
            knocks(&mut lock, 1).await;
            let revision = holding(&mut asker).await.revision;
            asker.say(&StandbyWord::Yield { revision }).await;
            let who = asked(&mut lock).await;
            if dies_before_it_is_told {
                drop(asker);
            } else {
                tokio::spawn(async move { ended(&mut asker).await });
            }
            let start = std::time::Instant::now();
            lock.yield_to(&predecessor(), who).await;
            lock = taken(&name).await;
            fastest = fastest.min(start.elapsed());
        }
        assert!(fastest < MOMENT, "{fastest:?}");
    }
}

#[tokio::test]
async fn an_asker_that_is_frozen_holds_the_one_that_gave_way_up_for_a_moment_only() {
    let name = name("frozen");
    let mut lock = taken(&name).await;
    let mut asker = held(&name).await;
    knocks(&mut lock, 1).await;
    let revision = holding(&mut asker).await.revision;
    asker.say(&StandbyWord::Yield { revision }).await;
    let who = asked(&mut lock).await;
    timeout(2 * PATIENCE, lock.yield_to(&predecessor(), who))
        .await
        .unwrap();
    let _lock = taken(&name).await;
    // It wakes up with what it was handed, and finds that it is late.
    assert_eq!(ended(&mut asker).await, Some(handed_over()));
    held(&name).await;
}

#[tokio::test]
async fn the_heir_is_the_one_that_knows_most() {
    let name = name("heir");
    let mut lock = taken(&name).await;
    lock.tell(vec![card("control-plane"), card("web")], true);
    let mut of_files = held(&name).await;
    knocks(&mut lock, 1).await;
    holding(&mut of_files).await;
    of_files.say(&standing(false, &["control-plane"])).await;
    assert_eq!(knocks(&mut lock, 1).await, [Knock::Crowd]);
    assert_eq!(lock.heir().unwrap().unknown, ["web"]);

    let mut next = held(&name).await;
    knocks(&mut lock, 1).await;
    holding(&mut next).await;
    next.say(&standing(true, &["control-plane", "web"])).await;
    knocks(&mut lock, 1).await;
    let heir = lock.heir().unwrap();
    assert_eq!(heir.unknown, [""; 0]);
    // Of two that know the same, the one that would ask for it anyway.
    of_files
        .say(&standing(false, &["control-plane", "web", "more"]))
        .await;
    knocks(&mut lock, 1).await;
    assert_eq!(lock.heir(), Some(heir));
    let waiting = lock.waiting();
    assert_eq!(waiting[0].standing.as_ref().unwrap().groups.len(), 3);
}

#[tokio::test]
async fn an_agent_of_the_first_version_that_waits_hears_one_line_and_no_other() {
    let name = name("old-standby");
    let mut lock = taken(&name).await;
    let mut old = BareStream::connect_addr(&address(&name)).unwrap();
    assert_eq!(knocks(&mut lock, 1).await, [Knock::Crowd]);
    lock.tell(vec![card("control-plane")], false);
    knocks(&mut lock, 0).await;
    old.set_nonblocking(true).unwrap();
    let silence = old.read(&mut [0; 16]).unwrap_err();
    assert_eq!(silence.kind(), io::ErrorKind::WouldBlock);
    // It has all groups, as far as anybody knows.
    let heir = lock.heir().unwrap();
    assert_eq!(heir.unknown, [""; 0]);
    old.set_nonblocking(false).unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut byte = [0];
        while old.read(&mut byte).unwrap() > 0 && byte[0] != b'\n' {
            text.push(byte[0]);
        }
        text
    });
    lock.hand_over(&predecessor(), Some(heir.asker)).await;
    let read: Predecessor = serde_json::from_slice(&reader.join().unwrap()).unwrap();
    assert_eq!(read, predecessor());
}

#[tokio::test]
async fn an_agent_of_the_first_version_that_runs_is_told_nothing() {
    let name = name("old-holder");
    let listener = BareListener::bind_addr(&address(&name)).unwrap();
    let mut holder = held(&name).await;
    let (mut old, _) = listener.accept().unwrap();
    assert!(timeout(MOMENT, holder.next()).await.is_err());
    holder.say(&standing(true, &["control-plane"])).await;
    holder.say(&StandbyWord::Yield { revision: 0 }).await;
    old.set_nonblocking(true).unwrap();
    let silence = old.read(&mut [0; 16]).unwrap_err();
    assert_eq!(silence.kind(), io::ErrorKind::WouldBlock);
    let mut line = serde_json::to_vec(&predecessor()).unwrap();
    line.push(b'\n');
    old.write_all(&line).unwrap();
    assert_eq!(ended(&mut holder).await, Some(handed_over()));
}

#[tokio::test]
async fn a_standby_of_the_first_version_that_says_something_is_none() {
    let name = name("old-liar");
    let mut lock = taken(&name).await;
    let mut old = BareStream::connect_addr(&address(&name)).unwrap();
    assert_eq!(knocks(&mut lock, 1).await, [Knock::Crowd]);
    old.write_all(b"GET / HTTP/1.0\r\n").unwrap();
    assert_eq!(knocks(&mut lock, 1).await, [Knock::Crowd]);
    assert_eq!((lock.waiting(), lock.heir()), (Vec::new(), None));
}

#[tokio::test]
async fn a_holder_that_talks_nonsense_is_waited_for_all_the_same() {
    let name = name("nonsense");
    let listener = BareListener::bind_addr(&address(&name)).unwrap();
    let mut holder = held(&name).await;
    let (mut hostile, _) = listener.accept().unwrap();
    hostile.write_all(b"{\"active\": 7}\n\n{}\nhello\n").unwrap();
    assert!(timeout(MOMENT, holder.next()).await.is_err());
    // Killed in the middle of its last word.
    hostile.write_all(b"{\"bootId\":\"this").unwrap();
    drop((hostile, listener));
    assert_eq!(ended(&mut holder).await, None);
}

#[tokio::test]
async fn a_standby_that_never_reads_and_one_that_never_stops_talking_keep_nobody_waiting() {
    let name = name("hostile");
    let mut lock = taken(&name).await;
    let mut deaf = held(&name).await;
    let mut chatty = held(&name).await;
    knocks(&mut lock, 2).await;
    holding(&mut chatty).await;
    holding(&mut deaf).await;
    let talk = tokio::spawn(async move {
        for number in 0..10_000_u32 {
            chatty.say(&standing(false, &[&number.to_string()])).await;
        }
        chatty
    });
    let start = std::time::Instant::now();
    let mut heard = 0_u128;
    for round in 0..200_u32 {
        let many: Vec<Card> = (0..100)
            .map(|number| card(&format!("{round}-{number}")))
            .collect();
        lock.tell(many, false);
        heard += u128::from(timeout(Duration::from_millis(2), lock.next()).await.is_ok());
    }
    // One word a breath, and perhaps the end of the other one.
    let passed = start.elapsed();
    let most = passed.as_millis() / held::BREATH.as_millis() + 2;
    assert!(heard <= most, "{heard} words of one standby in {passed:?}");
    // The one that never reads is not waited for longer than a moment, and then counts as gone.
    let gone = async {
        while lock.waiting().len() > 1 {
            lock.next().await;
        }
    };
    timeout(LONG, gone)
        .await
        .expect("the one that never reads is gone");
    talk.abort();
    drop(deaf);
}
