//! How long this machine was kept waiting by the one that it runs on.

use std::{
    fs,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{error::Result, worker::Worker};

/// What /proc/stat counts in: `USER_HZ`, a hundredth of a second on amd64 and arm64.
const TICK: Duration = Duration::from_millis(10);

/// How long before a thing that was late a theft may have been that made it so.
const BEFORE: Duration = Duration::from_millis(50);
/// How long after a theft it is in a [`Record`]: the kernel counts it with its next tick, and then it is looked up.
pub(crate) const SETTLED: Duration = Duration::from_millis(30);

/// When how much had been stolen so far, looked up every [`TICK`] until it is dropped.
#[derive(Debug)]
pub(crate) struct Record {
    samples: Arc<Mutex<Vec<Sample>>>,
    _worker: Worker,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    stolen: Duration,
}

impl Record {
    pub(crate) fn start(epoch: Instant) -> Result<Self> {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&samples);
        let worker = Worker::start("watch for theft", move |stop| {
            while stop.read().is_err() {
                let stolen = so_far();
                let at = epoch.elapsed();
                theirs
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Sample { at, stolen });
                thread::sleep(TICK);
            }
        })?;
        Ok(Self {
            samples,
            _worker: worker,
        })
    }

    /// What was stolen from shortly before `range` to its end. Complete when it is [`SETTLED`].
    pub(crate) fn around(&self, range: &Range<Duration>) -> Duration {
        stolen_around(
            &self.samples.lock().unwrap_or_else(PoisonError::into_inner),
            range,
        )
    }
}

fn stolen_around(samples: &[Sample], range: &Range<Duration>) -> Duration {
    let (from, to) = (range.start.saturating_sub(BEFORE), range.end + SETTLED);
    let before = samples.iter().take_while(|sample| sample.at <= from).last();
    let after = samples.iter().find(|sample| sample.at >= to);
    let (Some(first), Some(last)) = (before.or(samples.first()), after.or(samples.last())) else {
        return Duration::ZERO;
    };
    last.stolen.saturating_sub(first.stolen)
}

/// The processor time that a hypervisor has given to others since the start of this machine, all processors together. Zero where the
/// kernel does not say.
pub(crate) fn so_far() -> Duration {
    let ticks = fs::read_to_string("/proc/stat")
        .ok()
        .and_then(|stat| ticks(&stat));
    TICK * ticks.unwrap_or_default()
}

/// A sentence on what was stolen since `before`; empty if it was too little to fail anything.
pub(crate) fn since(before: Duration) -> String {
    sentence(so_far().saturating_sub(before))
}

fn sentence(stolen: Duration) -> String {
    if stolen < Duration::from_millis(50) {
        return String::new();
    }
    format!(
        "\nmeanwhile a hypervisor gave {stolen:?} of this machine's processors to others (steal in /proc/stat): what was late may \
         have been late for that"
    )
}

/// The eighth number of all processors, proc(5).
fn ticks(stat: &str) -> Option<u32> {
    let all = stat.lines().find(|line| line.starts_with("cpu "))?;
    all.split_whitespace().nth(8)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_the_eighth_number_of_all_processors() {
        let stat =
            "cpu  7516022 361471 1599784 6326817 37803 0 139953 24420 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(ticks(stat), Some(24420));
        assert_eq!(ticks("cpu 1 2 3"), None, "a kernel that does not count it");
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn what_was_stolen_shortly_before_and_meanwhile_counts() {
        let ms = Duration::from_millis;
        let samples: Vec<Sample> = [(0, 0), (100, 10), (200, 30), (300, 70), (400, 150)]
            .map(|(at, stolen)| Sample {
                at: ms(at),
                stolen: ms(stolen),
            })
            .into();
        assert_eq!(stolen_around(&samples, &(ms(160)..ms(260))), ms(60));
        assert_eq!(stolen_around(&samples, &(ms(0)..ms(1000))), ms(150));
        assert_eq!(stolen_around(&[], &(ms(0)..ms(1000))), ms(0));
    }

    #[test]
    fn it_is_said_only_if_it_could_have_mattered() {
        assert_eq!(sentence(Duration::from_millis(40)), "");
        assert!(sentence(Duration::from_millis(810)).contains("gave 810ms"));
    }
}
