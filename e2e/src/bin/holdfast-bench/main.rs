//! `holdfast-bench`: Holdfast and keepalived side by side in the lab, and the operator in a large cluster, written down in
//! docs/benchmarks.md and docs/benchmarks-operator.md.

mod cost;
mod daemon;
mod failover;
mod figures;
mod machine;
mod probing;
mod report;
mod results;
mod scale;
mod scene;
mod service;
mod steadiness;
mod targets;
mod usage;
mod wire;

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use clap::{Parser, ValueEnum};
use holdfast_lab::sandbox;

use crate::{
    cost::Cost,
    daemon::{BOTH, Daemon, Routers},
    machine::Machine,
    probing::Kind,
    results::{Results, Setting},
    scale::Size,
    service::End,
    steadiness::Contender,
};

/// The intervals of all measurements.
const INTERVALS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_millis(100),
    Duration::from_millis(10),
];

/// Measures Holdfast and keepalived side by side, and the operator in a large cluster, and writes docs/benchmarks.md and
/// docs/benchmarks-operator.md (about 22 minutes).
#[derive(Parser)]
#[command(name = "holdfast-bench", version)]
struct Arguments {
    /// How often each failover is measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=50))]
    runs: u16,
    /// One run of everything, with short windows, printed instead of written: to see that it works.
    #[arg(long)]
    quick: bool,
    /// Only this part; may be repeated.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// The folder of the pages; a page is written when everything on it was measured.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"), hide_default_value = true)]
    folder: PathBuf,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Lost node, planned stop, return, SIGKILL, freeze.
    Failover,
    /// CPU time and memory.
    Cost,
    /// Busy processors.
    Busy,
    /// RTNL held by somebody else.
    Rtnl,
    /// A service that dies or hangs while its node lives.
    Service,
    /// A hundred probes.
    Probes,
    /// The operator in a large cluster, with a real API server and without agents.
    Scale,
}

/// The parts of the page about Holdfast and keepalived.
const BESIDE_KEEPALIVED: [Part; 6] = [
    Part::Failover,
    Part::Service,
    Part::Cost,
    Part::Probes,
    Part::Busy,
    Part::Rtnl,
];

/// Says what is being done, with the time since the start.
#[derive(Clone, Copy)]
struct Progress(Instant);

impl Progress {
    fn say(self, what: &str) {
        println!("[{:4} s] {what}", self.0.elapsed().as_secs());
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("holdfast-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    sandbox::enter()?;
    let progress = Progress(Instant::now());
    let wanted = |part: &Part| arguments.only.is_empty() || arguments.only.contains(part);
    let beside_keepalived: Vec<Part> = BESIDE_KEEPALIVED.into_iter().filter(wanted).collect();
    if !beside_keepalived.is_empty() {
        let (machine, start) = (Machine::look()?, Instant::now());
        progress.say(&format!("{} beside {}", machine.holdfast, machine.keepalived));
        let results = measure(&beside_keepalived, arguments, progress)?;
        let page = report::page(&machine, &results, start.elapsed(), &machine::load()?);
        let whole = beside_keepalived.len() == BESIDE_KEEPALIVED.len();
        publish(arguments, whole, "benchmarks.md", &page, progress)?;
    }
    if wanted(&Part::Scale) {
        let (machine, start) = (Machine::look()?, Instant::now());
        let (groups, quiet) = if arguments.quick {
            (50, Duration::from_secs(10))
        } else {
            (1000, Duration::from_mins(1))
        };
        let scale = scale::run(Size { groups, members: 5 }, quiet, progress)?;
        let page = scale::page(&machine, &scale, start.elapsed(), &machine::load()?);
        publish(arguments, true, "benchmarks-operator.md", &page, progress)?;
    }
    Ok(())
}

/// Measures these parts.
fn measure(parts: &[Part], arguments: &Arguments, progress: Progress) -> Result<Results> {
    let runs = if arguments.quick {
        1
    } else {
        usize::from(arguments.runs)
    };
    let mut results = Results::default();
    if parts.contains(&Part::Failover) {
        results.failovers = failovers(runs, progress)?;
    }
    if parts.contains(&Part::Service) {
        results.services = services(u32::try_from(runs)?, progress)?;
    }
    if parts.contains(&Part::Probes) {
        for kind in Kind::ALL {
            progress.say(&format!("a hundred probes: {}", kind.name()));
            let window = Duration::from_secs(if arguments.quick { 2 } else { 10 });
            results.probing.push(probing::run(kind, window)?);
        }
    }
    if parts.contains(&Part::Cost) {
        results.costs = costs(arguments.quick, progress)?;
    }
    if parts.contains(&Part::Busy) {
        results.busy_for = Duration::from_secs(if arguments.quick { 10 } else { 60 });
        results.busy = busy(results.busy_for, progress)?;
    }
    if parts.contains(&Part::Rtnl) {
        progress.say("both while RTNL is held");
        results.holds = steadiness::locked(if arguments.quick { 1 } else { 3 })?;
    }
    Ok(results)
}

/// Writes a page on which everything was measured; prints any other.
fn publish(arguments: &Arguments, whole: bool, name: &str, page: &str, progress: Progress) -> Result<()> {
    if arguments.quick || !whole {
        println!("\n{page}");
        return Ok(());
    }
    let path = arguments.folder.join(name);
    fs::write(&path, page).with_context(|| format!("write {}", path.display()))?;
    progress.say(&format!("wrote {}", path.display()));
    Ok(())
}

/// Measures every setting `runs` times, all settings in each round, so that the machine's moods hit all alike.
fn failovers(runs: usize, progress: Progress) -> Result<Vec<(Setting, [Vec<failover::Failover>; 2])>> {
    let with_version_2 = INTERVALS[..1].iter().map(|interval| (2, *interval));
    let settings = with_version_2.chain(INTERVALS.iter().map(|interval| (3, *interval)));
    let mut all: Vec<_> = settings
        .map(|(version, interval)| (Setting { version, interval }, [Vec::new(), Vec::new()]))
        .collect();
    for run in 1..=runs {
        // Version 2 is there for comparison with version 3, and has nothing to say that needs many runs.
        let settings = all
            .iter_mut()
            .filter(|(setting, _)| run == 1 || setting.version == 3);
        for (setting, measured) in settings {
            progress.say(&format!("failover every {}: run {run} of {runs}", setting.name()));
            let routers = setting.routers();
            let [theirs, ours] = BOTH.map(|daemon| failover::run(daemon, routers));
            measured[0].push(theirs?);
            measured[1].push(ours?);
        }
    }
    Ok(all)
}

/// Lets services end, at another moment of the probes' period in each run, and at the same ones for both daemons.
fn services(runs: u32, progress: Progress) -> Result<Vec<(End, [Vec<Duration>; 2])>> {
    let mut all = End::ALL.map(|end| (end, [Vec::new(), Vec::new()]));
    for run in 0..runs {
        for (end, measured) in &mut all {
            progress.say(&format!("service {}: run {} of {runs}", end.name(), run + 1));
            for (daemon, measured) in BOTH.into_iter().zip(measured) {
                measured.push(service::run(daemon, *end, service::PERIOD * run / runs)?);
            }
        }
    }
    Ok(all.into())
}

fn costs(quick: bool, progress: Progress) -> Result<Vec<(Routers, [Cost; 2])>> {
    let mut all = Vec::new();
    for count in [1, 50, 250] {
        for interval in INTERVALS {
            progress.say(&format!(
                "cost of {count} virtual routers every {}",
                figures::interval(interval)
            ));
            let routers = Routers {
                count,
                ..Routers::one(interval)
            };
            let window = if quick {
                Duration::from_secs(2)
            } else {
                Duration::from_secs(4) + 6 * interval
            };
            let [theirs, ours] = side_by_side(|daemon| cost::run(daemon, routers, window))?;
            all.push((routers, [theirs?, ours?]));
        }
    }
    Ok(all)
}

fn busy(duration: Duration, progress: Progress) -> Result<Vec<(Contender, steadiness::Busy)>> {
    let mut all = Vec::new();
    for contender in [
        Contender::Keepalived,
        Contender::KeepalivedRealTime,
        Contender::Holdfast,
    ] {
        // An ordinary user cannot give anybody real-time priority.
        if contender == Contender::KeepalivedRealTime && sandbox::is_rootless() {
            continue;
        }
        progress.say(&format!("{} beside busy loops", contender.name()));
        all.push((contender, steadiness::busy(contender, duration)?));
    }
    Ok(all)
}

/// Does the same for both daemons at the same time.
fn side_by_side<T: Send>(measure: impl Fn(Daemon) -> T + Sync) -> Result<[T; 2]> {
    thread::scope(|scope| {
        let measure = &measure;
        let other = scope.spawn(move || measure(BOTH[1]));
        let first = measure(BOTH[0]);
        let second = other.join().map_err(|_| anyhow!("a measuring thread panicked"))?;
        Ok([first, second])
    })
}
