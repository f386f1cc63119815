//! A test runner for binaries without libtest (`harness = false`): every case runs in a sandbox of its own.
//!
//! ```no_run
//! use holdfast_lab::harness::{Case, main};
//!
//! fn a_node_holds_its_own_address() -> Result<(), Box<dyn std::error::Error>> {
//!     let lab = holdfast_lab::Lab::new()?;
//!     let node = lab.node("a")?;
//!     assert!(node.holds(node.ipv4().into())?);
//!     Ok(())
//! }
//!
//! fn main_of_the_binary() -> std::process::ExitCode {
//!     main(&[Case::new("a_node_holds_its_own_address", a_node_holds_its_own_address)])
//! }
//! ```
//!
//! The binary understands what `cargo test` passes on: `[FILTER…] [--exact] [--skip FILTER] [--list] [--nocapture]
//! [--test-threads N]`. A case fails by returning an error or by panicking; then its output and the last lines of all
//! logs of its lab are printed.

use std::{
    env,
    error::Error as StdError,
    fs, io,
    panic::{self, AssertUnwindSafe},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nix::sys::{prctl, signal::Signal};

use crate::{error::Doing as _, logs, sandbox, stolen};

/// The variable that tells a child which case it is.
const CASE: &str = "HOLDFAST_LAB_CASE";
/// How long a case may take unless it says otherwise.
const TIMEOUT: Duration = Duration::from_mins(1);

/// What a case returns; any error makes it fail.
pub type Outcome = std::result::Result<(), Box<dyn StdError>>;

/// A named test.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    body: fn() -> Outcome,
    alone: bool,
    timeout: Duration,
}

impl Case {
    /// A case that may run beside others and takes at most a minute.
    pub const fn new(name: &'static str, body: fn() -> Outcome) -> Self {
        Self {
            name,
            body,
            alone: false,
            timeout: TIMEOUT,
        }
    }

    /// Runs while no other case does, after those that need not: for cases that assert short times.
    #[must_use]
    pub const fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// Fails the case when it takes longer than this.
    #[must_use]
    pub const fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

/// Runs the cases the command line asks for and says how they ended; the whole of a test binary's `main`.
pub fn main(cases: &[Case]) -> ExitCode {
    if let Ok(name) = env::var(CASE) {
        return run_here(cases, &name);
    }
    let arguments = match Arguments::parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(complaint) => {
            eprintln!("{complaint}");
            return ExitCode::from(2);
        }
    };
    let chosen: Vec<Case> = cases
        .iter()
        .filter(|case| arguments.choose(case.name))
        .copied()
        .collect();
    if arguments.list {
        for case in &chosen {
            println!("{}: test", case.name);
        }
        return ExitCode::SUCCESS;
    }
    run_all(&chosen, cases.len() - chosen.len(), &arguments)
}

/// In the child: enters the sandbox and runs the one case.
fn run_here(cases: &[Case], name: &str) -> ExitCode {
    let Some(case) = cases.iter().find(|case| case.name == name) else {
        eprintln!("there is no case {name}");
        return ExitCode::from(2);
    };
    // However the runner ends, its cases end too.
    let entered = prctl::set_pdeathsig(Signal::SIGKILL)
        .doing(|| "ask to be killed with the test runner".to_owned())
        .and_then(|()| sandbox::enter());
    if let Err(error) = entered {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    match panic::catch_unwind(AssertUnwindSafe(case.body)) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) => eprintln!("error: {error}"),
        // The panic hook has said why.
        Err(_) => {}
    }
    logs::print(Path::new(sandbox::FOLDER));
    ExitCode::FAILURE
}

fn run_all(cases: &[Case], filtered_out: usize, arguments: &Arguments) -> ExitCode {
    let start = Instant::now();
    println!("\nrunning {} tests", cases.len());
    let (alone, beside): (Vec<Case>, Vec<Case>) = cases.iter().partition(|case| case.alone);
    let mut failures = run_group(&beside, arguments.threads, arguments.nocapture);
    failures.extend(run_group(&alone, 1, arguments.nocapture));
    for (name, output) in &failures {
        println!("\n---- {name} ----\n{output}");
    }
    let result = if failures.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {result}. {} passed; {} failed; 0 ignored; 0 measured; {filtered_out} filtered out; \
         finished in {:.2}s\n",
        cases.len() - failures.len(),
        failures.len(),
        start.elapsed().as_secs_f64(),
    );
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(101)
    }
}

/// Runs `cases`, `threads` at a time, and returns name and output of those that failed.
fn run_group(cases: &[Case], threads: usize, nocapture: bool) -> Vec<(&'static str, String)> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = Instant::now();
                    let failure = run_child(case, nocapture).err();
                    let verdict = if failure.is_none() { "ok" } else { "FAILED" };
                    println!(
                        "test {} ... {verdict} ({:.2}s)",
                        case.name,
                        start.elapsed().as_secs_f64()
                    );
                    if let Some(output) = failure {
                        failures
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push((case.name, output));
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn run_child(case: &Case, nocapture: bool) -> std::result::Result<(), String> {
    // A file, not a pipe: a grandchild that kept a pipe open would keep us waiting for its end.
    let output =
        tempfile::tempfile().map_err(|error| format!("cannot make a file for the output: {error}"))?;
    let start = || -> io::Result<Child> {
        let mut command = Command::new("/proc/self/exe");
        command.env(CASE, case.name).stdin(Stdio::null());
        if !nocapture {
            command.stdout(output.try_clone()?).stderr(output.try_clone()?);
        }
        command.spawn()
    };
    let stolen = stolen::so_far();
    let mut child = start().map_err(|error| format!("cannot start the case: {error}"))?;
    let deadline = Instant::now() + case.timeout;
    let verdict = loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => break format!("ended with {status}"),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                child.kill().ok();
                child.wait().ok();
                break format!("still ran after {:?} and was killed", case.timeout);
            }
            Err(error) => break format!("cannot be waited for: {error}"),
        }
    };
    let said =
        read_from_start(output).unwrap_or_else(|error| format!("(its output cannot be read: {error})"));
    Err(format!("{said}{verdict}{}", stolen::since(stolen)))
}

fn read_from_start(mut file: fs::File) -> io::Result<String> {
    use io::{Read as _, Seek as _};
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What libtest's command line says, as far as it makes sense here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
    list: bool,
    nocapture: bool,
    threads: usize,
}

impl Arguments {
    fn parse(arguments: impl Iterator<Item = String>) -> std::result::Result<Self, String> {
        let default_threads = thread::available_parallelism().map_or(1, usize::from);
        let mut parsed = Self {
            threads: default_threads,
            ..Self::default()
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--exact" => parsed.exact = true,
                "--list" => parsed.list = true,
                "--nocapture" | "--no-capture" => parsed.nocapture = true,
                "--skip" => parsed.skips.push(value()?),
                "--test-threads" => {
                    let number = value()?;
                    parsed.threads = number
                        .parse()
                        .ok()
                        .filter(|threads| *threads > 0)
                        .ok_or(format!("--test-threads takes a number from 1, not `{number}`"))?;
                }
                flag if flag.starts_with('-') => return Err(format!("unknown argument `{flag}`")),
                filter => parsed.filters.push(filter.to_owned()),
            }
        }
        Ok(parsed)
    }

    fn choose(&self, name: &str) -> bool {
        let matches = |filter: &String| {
            if self.exact {
                name == filter
            } else {
                name.contains(filter.as_str())
            }
        };
        (self.filters.is_empty() || self.filters.iter().any(matches)) && !self.skips.iter().any(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> std::result::Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn filters_choose_by_part_of_the_name_and_skips_take_away() {
        let arguments = parse("v3 unicast --skip ipv6").unwrap();
        assert!(arguments.choose("v3_multicast"));
        assert!(arguments.choose("v2_unicast"));
        assert!(!arguments.choose("v2_multicast"));
        assert!(!arguments.choose("ipv6_v3"));
    }

    #[test]
    fn exact_filters_choose_by_the_whole_name() {
        let arguments = parse("--exact v3").unwrap();
        assert!(arguments.choose("v3"));
        assert!(!arguments.choose("v3_multicast"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_reason() {
        assert_eq!(
            parse("--frobnicate").unwrap_err(),
            "unknown argument `--frobnicate`"
        );
        assert_eq!(parse("--skip").unwrap_err(), "--skip needs a value");
        assert_eq!(
            parse("--test-threads 0").unwrap_err(),
            "--test-threads takes a number from 1, not `0`"
        );
    }
}
