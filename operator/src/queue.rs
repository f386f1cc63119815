//! What waits to be reconciled, and when: each key once, debounced, never twice at a time, later and later while it fails.
//! Pure: the driver brings the time.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_client::{Backoff, chance};
use tokio::time::Instant;

/// Keys and when each is due. See the module.
#[derive(Debug)]
pub struct Queue {
    debounce: Duration,
    waiting: BTreeMap<String, Instant>,
    by_time: BTreeSet<(Instant, String)>,
    running: BTreeSet<String>,
    failing: BTreeMap<String, Failing>,
    pause: Backoff,
    paused_until: Option<Instant>,
    /// Keys that the API server did not serve; the first of them that it serves ends the pauses.
    unserved: BTreeSet<String>,
}

#[derive(Debug)]
struct Failing {
    backoff: Backoff,
    not_before: Instant,
}

/// How a key's turn ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Well; it may say that it wants another one after some time.
    Done(Option<Duration>),
    /// It has to wait for another key's, which says nothing about anything else.
    Later,
    /// It failed by itself.
    Failed,
    /// It failed because the API server does not serve anybody: everybody waits.
    Unserved,
}

/// The first and the longest wait of a key that fails by itself.
const KEY_BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_mins(1));
/// The same when the API server does not serve: short, because what is waiting was true before it came back.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// When a key tries again that waits for another one's turn: about as long as a write takes.
const LATER: Duration = Duration::from_millis(10);

impl Queue {
    /// An empty queue; a key is due so long after the first time it is asked for.
    pub fn new(debounce: Duration) -> Self {
        Self {
            debounce,
            waiting: BTreeMap::new(),
            by_time: BTreeSet::new(),
            running: BTreeSet::new(),
            failing: BTreeMap::new(),
            pause: Backoff::new(PAUSE.0, PAUSE.1),
            paused_until: None,
            unserved: BTreeSet::new(),
        }
    }

    /// Asks for a turn of `key`. Whoever waits already is not put off by it.
    pub fn ask(&mut self, key: &str, now: Instant) {
        self.wait_until(key, now + self.debounce);
    }

    /// The next key whose turn it is, if any; [`Queue::ended`] has to be told how it went.
    pub fn pop(&mut self, now: Instant) -> Option<String> {
        if self.paused_until.is_some_and(|until| until > now) || self.is_trying() {
            return None;
        }
        // A key that runs has its next turn when this one has ended.
        let next = self
            .by_time
            .iter()
            .take_while(|(due, _)| *due <= now)
            .find(|(_, key)| !self.running.contains(key))
            .cloned()?;
        self.by_time.remove(&next);
        self.waiting.remove(&next.1);
        self.running.insert(next.1.clone());
        Some(next.1)
    }

    /// When to look again; `None`: not before somebody asks or a turn ends.
    pub fn next_due(&self) -> Option<Instant> {
        if self.is_trying() {
            return None;
        }
        let mut free = self.by_time.iter().filter(|(_, key)| !self.running.contains(key));
        let (due, _) = free.next()?;
        Some(self.paused_until.map_or(*due, |until| until.max(*due)))
    }

    /// A turn has ended like that.
    pub fn ended(&mut self, key: &str, turn: Turn, now: Instant) {
        self.running.remove(key);
        match turn {
            Turn::Done(again) => {
                self.served(key);
                self.failing.remove(key);
                if let Some(again) = again {
                    self.wait_until(key, now + again);
                }
            }
            Turn::Later => self.wait_until(key, now + LATER),
            Turn::Failed => {
                self.served(key);
                let failing = self.failing.entry(key.to_owned()).or_insert_with(|| Failing {
                    backoff: Backoff::new(KEY_BACKOFF.0, KEY_BACKOFF.1),
                    not_before: now,
                });
                failing.not_before = now + failing.backoff.failed(chance());
                self.put_off(key);
                self.wait_until(key, now);
            }
            Turn::Unserved => {
                self.unserved.insert(key.to_owned());
                // Turns that were under way together fail together, and count once.
                if self.paused_until.is_none_or(|until| until <= now) {
                    self.paused_until = Some(now + self.pause.failed(chance()));
                }
                self.wait_until(key, now);
            }
        }
    }

    /// The API server has answered a key that it did not answer before: so it serves everybody again.
    fn served(&mut self, key: &str) {
        if self.unserved.remove(key) {
            self.pause.succeeded();
            self.paused_until = None;
            self.unserved.clear();
        }
    }

    /// After a pause one key at a time tries whether the API server serves again.
    fn is_trying(&self) -> bool {
        !self.unserved.is_empty() && !self.running.is_empty()
    }

    /// How many keys wait or run.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.running.len()
    }

    /// Whether nothing waits or runs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn wait_until(&mut self, key: &str, at: Instant) {
        let at = self
            .failing
            .get(key)
            .map_or(at, |failing| at.max(failing.not_before));
        if let Some(due) = self.waiting.get(key) {
            if *due <= at {
                return;
            }
            self.by_time.remove(&(*due, key.to_owned()));
        }
        self.waiting.insert(key.to_owned(), at);
        self.by_time.insert((at, key.to_owned()));
    }

    /// Whoever asked while the turn was failing waits as long as everybody.
    fn put_off(&mut self, key: &str) {
        if let Some(due) = self.waiting.remove(key) {
            self.by_time.remove(&(due, key.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn queue() -> (Queue, Instant) {
        (Queue::new(75 * MS), Instant::now())
    }

    #[test]
    fn a_key_that_is_asked_for_again_and_again_is_due_once_and_not_put_off() {
        let (mut queue, start) = queue();
        for ms in 0..70 {
            queue.ask("a", start + ms * MS);
        }
        assert_eq!(queue.next_due(), Some(start + 75 * MS));
        assert_eq!(queue.pop(start + 74 * MS), None);
        assert_eq!(queue.pop(start + 75 * MS).as_deref(), Some("a"));
        queue.ended("a", Turn::Done(None), start + 80 * MS);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_key_that_runs_waits_for_its_own_end_and_holds_up_nobody_else() {
        let (mut queue, start) = queue();
        queue.ask("a", start);
        queue.pop(start + 75 * MS);
        queue.ask("a", start + 76 * MS);
        queue.ask("b", start + 77 * MS);
        assert_eq!(queue.pop(start + 200 * MS).as_deref(), Some("b"));
        assert_eq!(queue.pop(start + 200 * MS), None);
        assert_eq!(queue.next_due(), None);
        queue.ended("a", Turn::Done(None), start + 300 * MS);
        assert_eq!(queue.pop(start + 300 * MS).as_deref(), Some("a"));
    }

    #[test]
    fn a_failing_key_is_not_hurried_by_those_who_ask_for_it() {
        let (mut queue, start) = queue();
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..6 {
            queue.ask("a", now);
            let due = queue.next_due().unwrap();
            waits.push(due - now);
            now = due;
            assert_eq!(queue.pop(now).as_deref(), Some("a"));
            queue.ask("a", now);
            queue.ended("a", Turn::Failed, now);
        }
        assert!(waits[5] >= 1500 * MS && waits[5] <= 3200 * MS, "{waits:?}");
        queue.ask("a", now);
        now = queue.next_due().unwrap();
        queue.pop(now);
        queue.ended("a", Turn::Done(None), now);
        queue.ask("a", now);
        assert_eq!(queue.next_due(), Some(now + 75 * MS), "success forgives");
    }

    #[test]
    fn an_api_server_that_serves_nobody_pauses_everybody_for_a_bounded_time() {
        let (mut queue, start) = queue();
        let mut now = start;
        for round in 0..20 {
            queue.ask("a", now);
            queue.ask("b", now);
            now = queue.next_due().unwrap();
            while let Some(key) = queue.pop(now) {
                queue.ended(&key, Turn::Unserved, now);
            }
            let wait = queue.next_due().unwrap() - now;
            assert!(wait >= 250 * MS && wait <= PAUSE.1, "round {round}: {wait:?}");
        }
    }

    #[test]
    fn after_a_pause_one_key_tries_and_only_an_answer_to_it_lets_the_others_go_on() {
        for (turn, others_go_on) in [
            (Turn::Done(None), true),
            (Turn::Failed, true),
            (Turn::Later, false),
            (Turn::Unserved, false),
        ] {
            let (mut queue, start) = queue();
            for key in ["a", "b", "c"] {
                queue.ask(key, start);
            }
            let now = start + 75 * MS;
            while let Some(key) = queue.pop(now) {
                queue.ended(&key, Turn::Unserved, now);
            }
            let now = queue.next_due().unwrap();
            assert_eq!(queue.pop(now).as_deref(), Some("a"));
            assert_eq!((queue.pop(now), queue.next_due()), (None, None), "one at a time");
            queue.ended("a", turn, now);
            let next = queue.pop(now);
            let both = next.is_some() && queue.pop(now).is_some();
            assert_eq!(both, others_go_on, "{turn:?}");
        }
    }

    #[test]
    fn a_turn_can_ask_for_another_one_later_which_news_bring_forward() {
        let (mut queue, start) = queue();
        queue.ask("a", start);
        queue.pop(start + 75 * MS);
        queue.ended("a", Turn::Done(Some(5000 * MS)), start + 80 * MS);
        assert_eq!(queue.next_due(), Some(start + 5080 * MS));
        queue.ask("a", start + 100 * MS);
        assert_eq!(queue.next_due(), Some(start + 175 * MS));
        queue.pop(start + 175 * MS);
        queue.ended("a", Turn::Done(None), start + 176 * MS);
        assert_eq!(queue.next_due(), None);
    }
}
