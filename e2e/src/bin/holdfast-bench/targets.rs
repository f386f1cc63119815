//! What Holdfast promises beside keepalived, and whether this run kept it: computed, never claimed.

use std::time::Duration;

use crate::{
    failover::Failover,
    figures::{interval, longest, median, megabytes, millis},
    probing::Kind,
    results::Results,
    steadiness::Contender,
};

/// The longest silence of a planned stop.
const PLANNED_STOP: Duration = Duration::from_millis(5);
/// The longest time with two holders after a daemon died.
const TWO_HOLDERS: Duration = Duration::from_millis(3500);
/// The most memory with 250 virtual routers, in bytes.
const MEMORY: u64 = 10_000_000;
/// The part of keepalived's CPU time to aim at.
const CPU_AIM: f64 = 0.5;

/// The most that a hundred probes may take of one processor, in percent.
const PROBING: f64 = 5.0;

/// One promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// What is promised.
    pub promise: &'static str,
    /// What was measured, each figure beside its bound.
    pub measured: String,
    /// Whether it was kept.
    pub met: bool,
}

/// All promises that `results` can judge.
pub fn judge(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    if !results.failovers.is_empty() {
        targets.extend([lost_node(results), planned_stop(results), two_holders(results)]);
    }
    if !results.services.is_empty() {
        targets.push(services(results));
    }
    if let Some(mixed) = results.probing.iter().find(|probing| probing.kind == Kind::Mixed) {
        targets.push(Target {
            promise: "A hundred probes every 200 ms: under 5 % of a processor",
            measured: format!("{:.1} %", mixed.percent()),
            met: mixed.percent() < PROBING,
        });
    }
    if !results.costs.is_empty() {
        targets.push(cpu(
            results,
            "CPU time per advertisement: at most keepalived's",
            1.0,
        ));
        targets.push(cpu(
            results,
            "CPU time per advertisement: half of keepalived's (the aim)",
            CPU_AIM,
        ));
        targets.push(memory(results));
    }
    let ours = results
        .busy
        .iter()
        .find(|(contender, _)| *contender == Contender::Holdfast);
    if let Some((_, busy)) = ours {
        let failovers = busy.false_failovers;
        targets.push(Target {
            promise: "No false failover at 10 ms on a busy machine",
            measured: failovers.to_string(),
            met: failovers == 0,
        });
    }
    targets
}

fn lost_node(results: &Results) -> Target {
    let mut met = true;
    let mut measured = Vec::new();
    for (setting, [keepalived, holdfast]) in &results.failovers {
        let of = |runs: &[Failover]| median(&runs.iter().map(|run| run.lost_node).collect::<Vec<_>>());
        let (theirs, ours) = (of(keepalived), of(holdfast));
        met &= ours <= theirs;
        measured.push(format!(
            "{}: {} / {} ms",
            setting.name(),
            millis(ours),
            millis(theirs)
        ));
    }
    Target {
        promise: "Lost node: at most keepalived's median",
        measured: measured.join("; "),
        met,
    }
}

fn planned_stop(results: &Results) -> Target {
    let silences = results.failovers.iter().map(|(setting, [_, holdfast])| {
        let silences: Vec<_> = holdfast.iter().map(|run| run.planned_stop).collect();
        (setting, median(&silences))
    });
    let silences: Vec<_> = silences.collect();
    let figures = silences
        .iter()
        .map(|(setting, silence)| format!("{}: {} ms", setting.name(), millis(*silence)));
    Target {
        promise: "Planned stop: at most 5 ms of silence (median)",
        measured: figures.collect::<Vec<_>>().join("; "),
        met: silences.iter().all(|(_, silence)| *silence <= PLANNED_STOP),
    }
}

fn services(results: &Results) -> Target {
    let medians = results
        .services
        .iter()
        .map(|(end, [theirs, ours])| (end, median(theirs), median(ours)));
    let medians: Vec<_> = medians.collect();
    let figures = medians
        .iter()
        .map(|(end, theirs, ours)| format!("{}: {} / {} ms", end.name(), millis(*ours), millis(*theirs)));
    Target {
        promise: "Service ends: at most keepalived's median",
        measured: figures.collect::<Vec<_>>().join("; "),
        met: medians.iter().all(|(_, theirs, ours)| ours <= theirs),
    }
}

fn two_holders(results: &Results) -> Target {
    let deaths = results
        .failovers
        .iter()
        .flat_map(|(_, [_, holdfast])| holdfast)
        .flat_map(|run| [run.killed, run.frozen]);
    let deaths: Vec<_> = deaths.collect();
    let worst = longest(&deaths.iter().map(|death| death.two_holders).collect::<Vec<_>>());
    Target {
        promise: "Two holders after SIGKILL or freeze: at most 3.5 s",
        measured: format!("at most {} ms in {} deaths", millis(worst), deaths.len()),
        met: worst <= TWO_HOLDERS && !deaths.iter().any(|death| death.for_good),
    }
}

fn cpu(results: &Results, promise: &'static str, bound: f64) -> Target {
    let ratios = results.costs.iter().map(|(routers, [keepalived, holdfast])| {
        let ratio = holdfast.per_advertisement() / keepalived.per_advertisement();
        (
            format!("{} at {}", routers.count, interval(routers.interval)),
            ratio,
        )
    });
    let ratios: Vec<_> = ratios.collect();
    let missed: Vec<_> = ratios.iter().filter(|(_, ratio)| *ratio > bound).collect();
    let measured = if missed.is_empty() {
        let worst = ratios.iter().map(|(_, ratio)| *ratio).fold(0.0, f64::max);
        format!("at most {worst:.2} of it")
    } else {
        let missed = missed
            .iter()
            .map(|(name, ratio)| format!("{name}: {ratio:.2} of it"));
        format!("missed with {}", missed.collect::<Vec<_>>().join("; "))
    };
    Target {
        promise,
        measured,
        met: missed.is_empty(),
    }
}

fn memory(results: &Results) -> Target {
    let largest = results
        .costs
        .iter()
        .max_by_key(|(routers, [_, holdfast])| (routers.count, holdfast.memory.resident));
    let (count, memory) = largest.map_or_else(Default::default, |(routers, [_, holdfast])| {
        (routers.count, holdfast.memory)
    });
    Target {
        promise: "Memory: at most 10 MB resident with 250 virtual routers",
        measured: format!(
            "{} MB with {count}; its own share {} MB",
            megabytes(memory.resident),
            megabytes(memory.proportional)
        ),
        met: memory.resident <= MEMORY && count == 250,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::results;

    fn missed(results: &Results) -> Vec<&'static str> {
        let targets = judge(results).into_iter().filter(|target| !target.met);
        targets.map(|target| target.promise).collect()
    }

    /// What breaks one promise.
    type Worsen = fn(&mut Results);

    #[test]
    fn every_target_can_be_missed() {
        assert!(missed(&results()).is_empty());
        let worsen: [(&str, Worsen); 9] = [
            ("Lost node", |results| {
                results.failovers[0].1[1][0].lost_node += Duration::from_millis(1);
            }),
            ("Planned stop", |results| {
                results.failovers[0].1[1][0].planned_stop = Duration::from_millis(6);
            }),
            ("Two holders", |results| {
                results.failovers[0].1[1][0].frozen.two_holders = Duration::from_millis(3501);
            }),
            ("Two holders", |results| {
                results.failovers[0].1[1][0].killed.for_good = true;
            }),
            ("CPU time per advertisement: half", |results| {
                results.costs[0].1[1].cpu = results.costs[0].1[0].cpu * 3 / 4;
            }),
            ("Memory", |results| {
                results.costs[0].1[1].memory.resident = 10_000_001;
            }),
            ("Service ends", |results| {
                results.services[0].1[1][0] = Duration::from_millis(1801);
            }),
            ("A hundred probes", |results| {
                results.probing[1].cpu = Duration::from_millis(501);
            }),
            ("No false failover", |results| {
                results.busy[0].1.false_failovers = 1;
            }),
        ];
        for (promise, worsen) in worsen {
            let mut results = results();
            worsen(&mut results);
            let missed = missed(&results);
            assert_eq!(missed.len(), 1, "{promise}: {missed:?}");
            assert!(missed[0].starts_with(promise), "{promise}: {missed:?}");
        }
    }

    #[test]
    fn a_dearer_advertisement_misses_both_targets_and_says_by_how_much() {
        let mut results = results();
        results.costs[0].1[1].cpu = results.costs[0].1[0].cpu * 3 / 2;
        let targets = judge(&results);
        let missed: Vec<_> = targets.iter().filter(|target| !target.met).collect();
        assert_eq!(missed.len(), 2);
        assert_eq!(missed[0].measured, "missed with 250 at 100 ms: 1.50 of it");
    }
}
