//! How long things may take: the bounds that the invariants are held to, derived from a scenario.

use core::time::Duration;

use holdfast_vrrp::Preemption;

use crate::scenario::{Edit, Scenario, Step};

/// How long after its first advertisement a successor is waited for to serve.
const SUCCESSOR_GRACE: Duration = Duration::from_millis(200);

/// How long things may take in one scenario, in true time.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Two may be Active until one has heard the other.
    pub two_active: Duration,
    /// Nobody may be Active until the last one's Active_Down_Interval is over.
    pub none_active: Duration,
    /// One in the floor band may be Active while others could be for no longer than that.
    pub unfit_active: Duration,
    /// After that long without an event, nothing is in motion.
    pub settled: Duration,
    /// Whether the addresses may move so often only.
    pub moves: bool,
    /// From a planned stop to its successor being Active, the first resignation being lost and the successor unfit.
    pub handover: Duration,
    /// A router hands over for no longer than that.
    pub releasing: Duration,
    /// A yielder's addresses are gone after that.
    pub unbound: Duration,
    /// The addresses of one who no longer renews them are gone after that.
    pub expired: Duration,
}

impl Bounds {
    /// The bounds of `scenario`: the slowest of everything that occurs in it, on the slowest clock.
    pub fn of(scenario: &Scenario) -> Self {
        let setup = &scenario.setup;
        let edits = || scenario.steps.iter().filter_map(|(_, step)| edit_of(step));
        let configs = || setup.members.iter().map(|member| &member.config);
        let longest = |from_config: &dyn Fn(&holdfast_vrrp::Config) -> Duration,
                       from_edit: &dyn Fn(&Edit) -> Duration| {
            configs()
                .map(from_config)
                .chain(edits().map(from_edit))
                .max()
                .unwrap_or_default()
        };
        let interval = longest(&|config| config.interval.get(), &|edit| match edit {
            Edit::Interval(interval) => interval.get(),
            _ => Duration::ZERO,
        });
        let lifetime = longest(&|config| config.lifetime, &|edit| match edit {
            Edit::Lifetime(lifetime) => *lifetime,
            _ => Duration::ZERO,
        });
        let preemption_delay = longest(&|config| delay_of(config.preemption), &|edit| match edit {
            Edit::Preemption(preemption) => delay_of(*preemption),
            _ => Duration::ZERO,
        });
        let startup = longest(&|config| config.startup_delay, &|_| Duration::ZERO);
        let lag = setup.quality.max_delay + setup.lateness;
        let kernel = setup.kernel_latency;

        // Skew_Time is at most one interval: RFC 9568 §6.1; in VRRPv2 one second, and an interval is no shorter.
        let none_active = slow(4 * interval) + slow(startup) + 2 * lag + kernel;
        let two_active = slow(interval) + 2 * lag + kernel;
        // Putting back is rate-limited to about once a second.
        let deletes = |(_, step): &(Duration, Step)| matches!(step, Step::DeleteAddress(_));
        let put_back = if scenario.steps.iter().any(deletes) {
            Duration::from_secs(2)
        } else {
            Duration::ZERO
        };
        Self {
            two_active,
            none_active,
            unfit_active: none_active + two_active,
            // An election, a better one that waits before it preempts, and another better one after that.
            settled: 3 * (none_active + two_active) + slow(preemption_delay) + put_back + 4 * kernel,
            moves: setup.one_flaps,
            handover: slow(3 * interval) + 2 * lag,
            releasing: slow((4 * interval).max(SUCCESSOR_GRACE)) + lag + kernel,
            unbound: 4 * kernel + 2 * setup.lateness,
            expired: slow(lifetime) + setup.expiry_fuzz + 4 * kernel,
        }
    }
}

fn edit_of(step: &Step) -> Option<&Edit> {
    if let Step::Configure(_, edit) = step {
        Some(edit)
    } else {
        None
    }
}

fn delay_of(preemption: Preemption) -> Duration {
    if let Preemption::Delayed(delay) = preemption {
        delay
    } else {
        Duration::ZERO
    }
}

/// How long `duration` is at most on the slowest clock allowed (one in a hundred), with room for rounding.
fn slow(duration: Duration) -> Duration {
    duration + duration / 50
}
