//! Runs a program: status 0 passes.

use std::ffi::{CString, NulError};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use holdfast_api::model::probe as model;
use holdfast_health::{Outcome, Run};
use nix::sys::wait::WaitStatus;
use nix::unistd::{getegid, geteuid};

use super::output::{MOST, Output};
use super::program::{End, Running};
use super::security::{SEARCH, Security};
use super::turn::{Turn, Turns, aside};
use super::user;
use crate::descriptors;
use crate::probe::access::Access;
use crate::probe::check::{Check, Scene};
use crate::sys::{self, Program, Step};

/// What an earlier run may be held up by.
const HELD_UP: &str = "the program of an earlier run is still there, though it was ended: it waits for a disk, or the agent may not \
                       end programs of its user (`agent.capabilities.setUser` of the chart, CAP_KILL)";

/// Runs a program again and again.
#[derive(Debug)]
pub struct Exec {
    program: model::Exec,
    rules: Rules,
    turns: Turns,
    output: Output,
}

/// What programs have to comply with here.
#[derive(Clone, Debug)]
struct Rules {
    /// `None`: others may be able to change them.
    security: Option<Security>,
    /// Whether the node's files are not those that the agent sees.
    pod: bool,
}

impl Exec {
    /// For a program that may be run at all, see [`crate::probe::access::refusal`].
    pub fn new(program: model::Exec, access: &Access) -> Self {
        Self {
            program,
            rules: Rules {
                security: (!access.exec_insecure).then(Security::of_this_process),
                pod: access.pod,
            },
            turns: Turns::default(),
            output: Output::default(),
        }
    }

    async fn attempt(&mut self, scene: &Scene) -> Result<Run, Run> {
        self.output = Output::default();
        let turn = self.turns.next(HELD_UP).await?;
        let (program, rules, environment) = (self.program.clone(), self.rules.clone(), environment(scene));
        // Whoever stops waiting drops what has been started by then, or is started then.
        let running = aside(move || start(&program, &rules, &environment, turn)).await??;
        let end = running
            .watch(&mut self.output)
            .await
            .map_err(|error| could_not_run(&format!("the program cannot be watched: {error}")))?;
        Ok(found(end, &self.output.text()))
    }
}

impl Check for Exec {
    fn run<'a>(&'a mut self, scene: &'a Scene) -> BoxFuture<'a, Run> {
        self.attempt(scene)
            .map(|result| result.unwrap_or_else(|run| run))
            .boxed()
    }

    fn interrupted(&self) -> Option<String> {
        let printed = self.output.text();
        Some(if printed.is_empty() {
            "the program was killed, and had printed nothing".to_owned()
        } else {
            format!("the program was killed, and had printed: {printed}")
        })
    }
}

fn could_not_run(why: &str) -> Run {
    Run::new(Outcome::CouldNotRun, why)
}

/// Everything a program finds in its environment.
fn environment(scene: &Scene) -> [String; 6] {
    [
        format!("PATH={SEARCH}"),
        format!("HOLDFAST_NODE={}", scene.node),
        format!("HOLDFAST_GROUP={}", scene.group),
        format!("HOLDFAST_PROBE={}", scene.probe),
        format!("HOLDFAST_STATE={}", scene.state),
        format!("HOLDFAST_PRIORITY={}", scene.priority),
    ]
}

/// Starts the program; waits for the disk as long as that takes.
fn start(exec: &model::Exec, rules: &Rules, environment: &[String], turn: Turn) -> Result<Running, Run> {
    let path = Path::new(&exec.program);
    if let Some(security) = &rules.security {
        security
            .check(path)
            .map_err(|why| could_not_run(&(why + rules.hint(path))))?;
    }
    let credentials = exec.user.as_deref().map(user::credentials).transpose();
    let credentials = credentials
        .map_err(|why| could_not_run(&why))?
        // Nothing has to be changed, which takes no rights.
        .filter(|wanted| (wanted.user, wanted.group) != (geteuid().as_raw(), getegid().as_raw()));
    let started = || -> io::Result<_> {
        let strings = |strings: &mut dyn Iterator<Item = &String>| -> Result<Vec<CString>, NulError> {
            strings.map(|string| CString::new(string.as_str())).collect()
        };
        let arguments = strings(&mut [&exec.program].into_iter().chain(&exec.arguments))?;
        let environment = strings(&mut environment.iter())?;
        let input = OpenOptions::new().read(true).open("/dev/null")?;
        let (printed, output) = io::pipe()?;
        let program = Program {
            path: &CString::new(exec.program.as_str())?,
            arguments: &arguments,
            environment: &environment,
            input: input.as_fd(),
            output: output.as_fd(),
            credentials: credentials.as_ref(),
            descriptors: descriptors::given()?,
        };
        Ok(sys::spawn(&program).map(|started| Running::new(started, printed.into(), turn)))
    };
    match started() {
        Ok(Ok(running)) => Ok(running),
        Ok(Err(refused)) => Err(could_not_run(&rules.why(exec, refused.step, &refused.error))),
        Err(error) => Err(could_not_run(&format!(
            "{} cannot be started: {error}",
            exec.program
        ))),
    }
}

impl Rules {
    /// Why a program could not be started, in words.
    fn why(&self, exec: &model::Exec, step: Step, error: &io::Error) -> String {
        let program = &exec.program;
        let user = exec.user.as_deref().unwrap_or("root");
        match (step, error.raw_os_error()) {
            (Step::Process | Step::Program, Some(libc::EAGAIN)) => format!(
                "{program} cannot be started: there are as many processes as are allowed (`TasksMax` of the agent's service, \
                 `podPidsLimit` of the kubelet, `ulimit -u` of the user)"
            ),
            (Step::User, Some(libc::EPERM)) => format!(
                "{program} cannot be run as user {user}, because the agent may not become another user: set \
                 `agent.capabilities.setUser` of the chart (CAP_SETUID, CAP_SETGID and CAP_KILL)"
            ),
            (Step::User, _) => format!("{program} cannot be run as user {user}: {error}"),
            (Step::Program, Some(libc::ENOENT)) if fs::exists(program).unwrap_or(false) => {
                format!("{program} cannot be run: its interpreter or its loader does not exist")
            }
            (Step::Program, Some(libc::ENOENT)) => {
                format!("{program} does not exist{}", self.hint(Path::new(program)))
            }
            (Step::Program, Some(libc::EACCES)) if exec.user.is_some() => {
                format!(
                    "{program} is not executable for user {user}, or a folder above it is closed to that user"
                )
            }
            (Step::Program, Some(libc::EACCES)) => {
                format!(
                    "{program} is not executable: `chmod +x {program}`, on a file system without `noexec`"
                )
            }
            (Step::Program, Some(libc::ENOEXEC)) => format!(
                "{program} is no program for this machine, and no script: that begins with `#!` and its interpreter"
            ),
            (Step::Program, Some(libc::ETXTBSY)) => format!("{program} is being written"),
            _ => format!("{program} cannot be started: {error}"),
        }
    }

    /// What to think of when a file is missing.
    fn hint(&self, path: &Path) -> &'static str {
        if self.pod && !fs::exists(path).unwrap_or(true) {
            "; the agent's pod sees what is in its image and what `agent.hostPaths` of the chart names"
        } else {
            ""
        }
    }
}

/// What is to be said about a program that has ended.
fn found(end: End, printed: &str) -> Run {
    let with_output = |words: String| {
        if printed.is_empty() {
            words
        } else {
            format!("{words}: {printed}")
        }
    };
    match end {
        End::Ended(WaitStatus::Exited(_, 0)) => Run::new(Outcome::Passed, printed),
        End::Ended(WaitStatus::Exited(_, status)) => Run::new(
            Outcome::Failed,
            with_output(format!("exited with status {status}")),
        ),
        End::Ended(WaitStatus::Signaled(_, signal, _)) => {
            Run::new(Outcome::Failed, with_output(format!("was killed by {signal}")))
        }
        // Nothing else is an end.
        End::Ended(other) => Run::new(
            Outcome::Failed,
            with_output(format!("ended in an unknown way ({other:?})")),
        ),
        End::Flooded => Run::new(
            Outcome::Failed,
            with_output(format!("printed more than {} MiB and was killed", MOST >> 20)),
        ),
    }
}

#[cfg(test)]
mod tests;
