//! When a probe is run: on a grid of its period that only runs push along which take longer. Pure: clock and chance are
//! arguments.

use core::time::Duration;

use holdfast_api::model::probe::Timing;
use tokio::time::Instant;

/// When the runs of one probe begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// The point of the grid at or after which the next run begins.
    next: Instant,
    period: Duration,
    jitter: Duration,
}

impl Schedule {
    /// For a probe that an agent runs which started at `start`. `place`, from 0 to 1, is where in its period the probe begins
    /// if its runs are spread by jitter anyway: as many probes as there are do not all begin at once then.
    pub fn new(start: Instant, now: Instant, timing: &Timing, place: f64) -> Self {
        let first = now.max(start + timing.initial_delay);
        let spread = if timing.jitter.is_zero() {
            Duration::ZERO
        } else {
            timing.period.mul_f64(place.clamp(0.0, 1.0))
        };
        Self {
            next: first + spread,
            period: timing.period,
            jitter: timing.jitter,
        }
    }

    /// When the next run is to begin, the last one having ended at `now`. One that took longer than the period is followed at
    /// once, and the grid begins there: a service that hangs is known to after `timeout` times the threshold.
    /// `chance` is between 0 and 1.
    pub fn next(&mut self, now: Instant, chance: f64) -> Instant {
        self.next = self.next.max(now);
        let begin = self.next + self.jitter.mul_f64(chance.clamp(0.0, 1.0));
        self.next += self.period;
        begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn timing(period: u32, initial_delay: u32, jitter: u32) -> Timing {
        Timing {
            period: period * MS,
            timeout: 100 * MS,
            initial_delay: initial_delay * MS,
            jitter: jitter * MS,
        }
    }

    /// When runs begin that take so long each, in milliseconds after the start.
    fn begins(timing: &Timing, place: f64, took: &[u32], chance: f64) -> Vec<u128> {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, start, timing, place);
        let mut now = start;
        took.iter()
            .map(|took| {
                let begin = schedule.next(now, chance);
                now = begin + *took * MS;
                begin.duration_since(start).as_millis()
            })
            .collect()
    }

    #[test]
    fn the_first_run_is_at_once_and_the_others_a_period_apart_however_long_they_take() {
        assert_eq!(
            begins(&timing(200, 0, 0), 0.7, &[0, 50, 199, 10, 0], 0.9),
            [0, 200, 400, 600, 800]
        );
    }

    #[test]
    fn the_first_run_waits_for_the_initial_delay_counted_from_the_agents_start() {
        assert_eq!(begins(&timing(200, 1500, 0), 0.7, &[0, 0], 0.0), [1500, 1700]);
        let start = Instant::now();
        let later = start + 1000 * MS;
        let begin = |delay| Schedule::new(start, later, &timing(200, delay, 0), 0.0).next(later, 0.0);
        assert_eq!(begin(1500), start + 1500 * MS);
        assert_eq!(begin(500), later, "it has passed already");
    }

    #[test]
    fn a_run_that_takes_longer_than_the_period_is_followed_at_once() {
        assert_eq!(
            begins(&timing(200, 0, 0), 0.0, &[450, 200, 201, 0, 0], 0.0),
            [0, 450, 650, 851, 1051]
        );
    }

    #[test]
    fn runs_do_not_overlap_with_jitter_either() {
        let found = begins(&timing(200, 0, 100), 0.5, &[0, 150, 0, 0], 0.8);
        assert_eq!(
            found,
            [180, 380, 610, 810],
            "100 + 80, and from the end of the long one at 530 on"
        );
    }

    #[test]
    fn only_probes_with_jitter_begin_at_a_place_of_their_own() {
        assert_eq!(begins(&timing(200, 0, 0), 0.5, &[0], 1.0), [0]);
        assert_eq!(begins(&timing(200, 0, 20), 0.5, &[0], 0.0), [100]);
    }

    #[test]
    fn jitter_delays_each_run_by_any_part_of_itself() {
        let at = |chance| begins(&timing(200, 0, 100), 0.0, &[0, 0], chance);
        assert_eq!(at(0.0), [0, 200]);
        assert_eq!(at(0.25), [25, 225]);
        assert_eq!(at(1.0), [100, 300]);
    }
}
