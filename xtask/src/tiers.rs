//! `make test`: the steps of all tiers, run one after another, and where the time went.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::deps::{self, Purpose};
use crate::tally::Tally;
use crate::test_programs::{self, TestProgram};
use crate::workspace::Workspace;
use crate::{assets, book, deny, generate, links, manifest, process};

/// How far a test reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Tier {
    /// Nothing leaves the process: format, lints, licences, documentation, unit tests, simulator
    Fast,
    /// Whole systems in network namespaces, beside keepalived and FRR
    Lab,
    /// Whole systems with a real Kubernetes API server
    Api,
}

impl Tier {
    const ALL: [Self; 3] = [Self::Fast, Self::Lab, Self::Api];

    const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Lab => "lab",
            Self::Api => "api",
        }
    }

    /// What has to be installed for it. The fast tier makes do with Rust.
    const fn purpose(self) -> Purpose {
        match self {
            Self::Fast => Purpose::FastTests,
            Self::Lab => Purpose::LabTests,
            Self::Api => Purpose::ApiTests,
        }
    }
}

/// One thing that can fail.
struct Step {
    name: &'static str,
    tier: Tier,
    run: Run,
}

/// Does a step's work and counts the tests in it.
type Run = fn(&Workspace, &mut Tally) -> Result<()>;

impl Step {
    const fn new(name: &'static str, tier: Tier, run: Run) -> Self {
        Self { name, tier, run }
    }
}

/// In the order in which they run: cheap ones first, and everything is built before anything is timed.
const STEPS: &[Step] = &[
    Step::new("format", Tier::Fast, format),
    Step::new("links", Tier::Fast, |workspace, _| links::run(workspace)),
    Step::new("book", Tier::Fast, |workspace, _| book::run(workspace)),
    Step::new("generated", Tier::Fast, |workspace, _| {
        generate::run(workspace, true)
    }),
    Step::new("lints", Tier::Fast, lints),
    Step::new("dependencies", Tier::Fast, |workspace, _| deny::run(workspace)),
    Step::new("documentation", Tier::Fast, documentation),
    Step::new("unit", Tier::Fast, unit_tests),
    Step::new("build", Tier::Lab, build),
    Step::new("agent", Tier::Lab, agent_tests),
    Step::new("lab", Tier::Lab, lab_tests),
    Step::new("e2e", Tier::Lab, e2e_tests),
    Step::new("assets", Tier::Api, |workspace, _| {
        assets::ensure(workspace, assets::Set::Api)
    }),
    Step::new("manifest", Tier::Api, |workspace, _| {
        manifest::run(workspace, true)
    }),
    Step::new("programs", Tier::Api, build),
    Step::new("cluster", Tier::Api, cluster_tests),
];

/// The crates whose test programs work on network namespaces.
const NEED_NAMESPACES: [&str; 3] = ["holdfast-agent", "holdfast-lab", SYSTEM_TESTS];

/// The crate that tests whole systems.
const SYSTEM_TESTS: &str = "holdfast-e2e";

/// What the names of the tests begin with that need an API server.
const NEEDS_API_SERVER: &str = "cluster_";

/// What the names of the tests begin with that are no part of `make test`: they have a target of their own.
const STANDS_ALONE: &str = "real_";

/// What became of a step.
struct Outcome {
    step: &'static Step,
    time: Duration,
    tally: Tally,
    result: Result<()>,
}

/// Runs all tiers, one of them, or the steps called `names`. Every step of a tier runs even after one has failed, so
/// that one run shows all that is wrong; the next tier starts only when nothing has failed before it.
pub fn run(workspace: &Workspace, tier: Option<Tier>, names: &[String]) -> Result<()> {
    let steps = select(tier, names)?;
    let tiers: Vec<Tier> = Tier::ALL
        .into_iter()
        .filter(|tier| steps.iter().any(|s| s.tier == *tier))
        .collect();
    let purposes: Vec<Purpose> = tiers.iter().map(|tier| tier.purpose()).collect();
    deps::ensure(&purposes)?;

    let mut outcomes = Vec::new();
    for tier in tiers {
        for step in steps.iter().filter(|step| step.tier == tier) {
            outcomes.push(run_step(workspace, step));
        }
        if outcomes.iter().any(|outcome: &Outcome| outcome.result.is_err()) {
            break;
        }
    }
    summarise(&outcomes)
}

fn select(tier: Option<Tier>, names: &[String]) -> Result<Vec<&'static Step>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| STEPS.iter().all(|step| step.name != **name))
    {
        let known: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!("there is no step {unknown}; there are: {}", known.join(", "));
    }
    let wanted = |step: &&Step| {
        tier.is_none_or(|tier| step.tier == tier)
            && (names.is_empty() || names.iter().any(|name| name == step.name))
    };
    Ok(STEPS.iter().filter(wanted).collect())
}

fn run_step(workspace: &Workspace, step: &'static Step) -> Outcome {
    println!("\n== {} ({})", step.name, step.tier.name());
    let start = Instant::now();
    let mut tally = Tally::default();
    let result = (step.run)(workspace, &mut tally);
    let time = start.elapsed();
    match &result {
        Ok(()) => println!("   {} passed in {}", step.name, seconds(time)),
        Err(error) => println!("   {} FAILED after {}: {error:#}", step.name, seconds(time)),
    }
    Outcome {
        step,
        time,
        tally,
        result,
    }
}

/// Prints where the time went and how many tests ran; fails if a step has.
fn summarise(outcomes: &[Outcome]) -> Result<()> {
    let mut tally = Tally::default();
    println!("\n== where the time went");
    for tier in Tier::ALL {
        let mut total = Duration::ZERO;
        for outcome in outcomes.iter().filter(|outcome| outcome.step.tier == tier) {
            total += outcome.time;
            tally += outcome.tally;
            let verdict = if outcome.result.is_ok() {
                "passed"
            } else {
                "FAILED"
            };
            println!(
                "   {:<4} {:<14} {:>9}  {verdict}",
                tier.name(),
                outcome.step.name,
                seconds(outcome.time)
            );
        }
        if !total.is_zero() {
            println!("   {:<4} {:<14} {:>9}", tier.name(), "(all)", seconds(total));
        }
    }
    println!("{tally}");
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|o| o.result.is_err())
        .map(|o| o.step.name)
        .collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn format(workspace: &Workspace, _: &mut Tally) -> Result<()> {
    process::run(&mut workspace.cargo(&["fmt", "--all", "--check"]))
}

fn lints(workspace: &Workspace, _: &mut Tally) -> Result<()> {
    let mut clippy = workspace.cargo(&["clippy", "--locked", "--keep-going", "--workspace"]);
    process::run(clippy.args(["--all-targets", "--", "-D", "warnings"]))
}

fn documentation(workspace: &Workspace, _: &mut Tally) -> Result<()> {
    let mut rustdoc = workspace.cargo(&["doc", "--locked", "--keep-going", "--workspace", "--no-deps"]);
    // Private items too: this documentation is for those who change the code.
    process::run(
        rustdoc
            .arg("--document-private-items")
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn unit_tests(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    let mut tests = test_programs::cargo(workspace);
    tests.args(["--lib", "--bins"]);
    let programs = test_programs::all(workspace)?;
    for program in programs
        .iter()
        .filter(|program| needs(program) == Some(Tier::Fast))
    {
        tests.args(["--test", &program.name]);
    }
    let mut examples = test_programs::cargo(workspace);
    process::run_tests(&mut tests, tally).and(process::run_tests(examples.arg("--doc"), tally))
}

/// Builds what the tests of the lab and the API tier are, and what they run.
fn build(workspace: &Workspace, _: &mut Tally) -> Result<()> {
    workspace.build_release()?;
    test_programs::build(workspace).map(drop)
}

fn agent_tests(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    tests_of("holdfast-agent", Tier::Lab, workspace, tally)
}

fn lab_tests(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    tests_of("holdfast-lab", Tier::Lab, workspace, tally)
}

fn e2e_tests(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    tests_of(SYSTEM_TESTS, Tier::Lab, workspace, tally)
}

fn cluster_tests(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    tests_of(SYSTEM_TESTS, Tier::Api, workspace, tally)
}

/// Runs the test programs of one crate that belong to a tier, all of them even if one fails.
fn tests_of(package: &str, tier: Tier, workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    let wanted = |program: &TestProgram| program.package == package && needs(program) == Some(tier);
    let programs = test_programs::build(workspace)?;
    test_programs::run_all(programs.select(wanted), |program| {
        process::run_tests(workspace.with_release_binaries(program), tally)
    })
}

/// The tier that runs a test program; none runs what has a target of its own.
fn needs(program: &TestProgram) -> Option<Tier> {
    match program.name.as_str() {
        name if name.starts_with(STANDS_ALONE) => None,
        name if name.starts_with(NEEDS_API_SERVER) => Some(Tier::Api),
        _ if NEED_NAMESPACES.contains(&program.package.as_str()) => Some(Tier::Lab),
        _ => Some(Tier::Fast),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(steps: &[&Step]) -> Vec<&'static str> {
        steps.iter().map(|step| step.name).collect()
    }

    #[test]
    fn a_tier_selects_its_steps_and_none_selects_all() {
        let all = select(None, &[]).unwrap();
        let fast = select(Some(Tier::Fast), &[]).unwrap();
        let lab = select(Some(Tier::Lab), &[]).unwrap();
        let api = select(Some(Tier::Api), &[]).unwrap();
        assert!(fast.iter().all(|step| step.tier == Tier::Fast));
        assert_eq!(names(&all), [names(&fast), names(&lab), names(&api)].concat());
    }

    #[test]
    fn a_name_selects_its_step() {
        assert_eq!(names(&select(None, &["lints".to_owned()]).unwrap()), ["lints"]);
    }

    #[test]
    fn a_name_selects_one_step() {
        for (index, step) in STEPS.iter().enumerate() {
            assert!(
                STEPS[..index].iter().all(|other| other.name != step.name),
                "{} is twice",
                step.name
            );
        }
    }

    #[test]
    fn every_tier_has_tests_and_a_real_cluster_is_none_of_them() {
        let programs = test_programs::all(&Workspace::open().unwrap()).unwrap();
        for (name, tier) in [
            ("state_machine", Some(Tier::Fast)),
            ("socket", Some(Tier::Lab)),
            ("teardown", Some(Tier::Lab)),
            ("probes_agent", Some(Tier::Lab)),
            ("cluster_use", Some(Tier::Api)),
            ("real_guide", None),
        ] {
            let program = programs.iter().find(|program| program.name == name).unwrap();
            assert_eq!(needs(program), tier, "{name}");
        }
    }

    #[test]
    fn a_step_that_does_not_exist_is_refused_with_those_that_do() {
        let error = select(None, &["lint".to_owned()])
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no step lint;") && error.contains("format, links"),
            "{error}"
        );
    }

    #[test]
    fn a_failed_step_fails_the_whole() {
        let outcome = |result| {
            let (step, time, tally) = (&STEPS[0], Duration::from_secs(1), Tally::default());
            Outcome {
                step,
                time,
                tally,
                result,
            }
        };
        assert!(summarise(&[outcome(Ok(()))]).is_ok());
        let error = summarise(&[outcome(Ok(())), outcome(Err(anyhow::anyhow!("no")))]).unwrap_err();
        assert_eq!(error.to_string(), "failed: format");
    }
}
