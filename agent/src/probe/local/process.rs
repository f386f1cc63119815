//! Looks for a process: passes while one with this name lives, whoever has started it, an agent's own program among them. One that
//! is stopped lives, as it does for `killall -0`.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use holdfast_api::model::probe as model;
use holdfast_health::{Outcome, Run};
use tokio::io::unix::AsyncFd;

use super::processes::{Found, Held, Processes, Wanted};
use super::turn::Turns;
use super::user;
use crate::probe::check::{Check, Scene};
use crate::sys;

const HELD_UP: &str = "an earlier run still waits for the kernel to show the node's processes";

/// Looks for a process again and again.
#[derive(Debug)]
pub struct Process {
    wanted: model::Process,
    processes: Processes,
    turns: Turns,
    held: Option<Arc<Held>>,
    /// Readable when the process that is held has ended.
    end: Option<AsyncFd<OwnedFd>>,
}

impl Process {
    /// One of the probes that share what they see.
    pub fn new(wanted: model::Process, processes: Processes) -> Self {
        Self {
            wanted,
            processes,
            turns: Turns::default(),
            held: None,
            end: None,
        }
    }

    async fn attempt(&mut self) -> Result<Run, Run> {
        let (wanted, processes, held) = (self.wanted.clone(), self.processes.clone(), self.held.clone());
        let found = self
            .turns
            .work(HELD_UP, move || look(&wanted, &processes, held))
            .await?
            .map_err(|why| Run::new(Outcome::CouldNotRun, why))?;
        Ok(match found {
            Ok(held) => {
                self.hold(held);
                Run::new(Outcome::Passed, "")
            }
            Err(why) => {
                (self.held, self.end) = (None, None);
                Run::new(Outcome::Failed, why)
            }
        })
    }

    fn hold(&mut self, held: Arc<Held>) {
        let is_new = self
            .held
            .as_ref()
            .is_none_or(|before| !Arc::ptr_eq(before, &held));
        if is_new {
            // Without it the end is seen at the next run.
            let end = held
                .descriptor()
                .as_fd()
                .try_clone_to_owned()
                .and_then(sys::watch);
            self.end = end.ok();
            self.held = Some(held);
        }
    }
}

impl Check for Process {
    fn run<'a>(&'a mut self, _scene: &'a Scene) -> BoxFuture<'a, Run> {
        self.attempt()
            .map(|result| result.unwrap_or_else(|run| run))
            .boxed()
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        async move {
            match &self.end {
                Some(end) => drop(end.readable().await),
                None => core::future::pending().await,
            }
        }
        .boxed()
    }
}

/// The process that is held already, or another that is as it is wanted, or why there is none.
fn look(
    wanted: &model::Process,
    processes: &Processes,
    held: Option<Arc<Held>>,
) -> Result<Result<Arc<Held>, String>, String> {
    let name = &wanted.name;
    let asked = Wanted {
        name: name.clone(),
        user: wanted.user.as_deref().map(user::number).transpose()?,
    };
    if let Some(held) = held.filter(|held| held.still_is(&asked)) {
        return Ok(Ok(held));
    }
    Ok(match processes.find(&asked) {
        Found::Process(held) => Ok(Arc::new(held)),
        Found::OtherUser(other) => {
            let user = wanted.user.as_deref().unwrap_or_default();
            Err(format!("{name} runs as user {other}, not as {user}"))
        }
        Found::None => Err(format!("no process {name} runs")),
    })
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::process::{Child, Command};

    use tokio::time::timeout;

    use super::*;

    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn process(name: &str, user: Option<&str>) -> Process {
        let wanted = model::Process {
            name: name.into(),
            user: user.map(Into::into),
        };
        Process::new(wanted, Processes::default())
    }

    #[tokio::test]
    async fn a_process_that_ends_is_noticed_at_once_and_found_missing() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("hf-noticed");
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut process = process("hf-noticed", None);
        let found = process.run(&Scene::example()).await;
        assert_eq!(found, Run::new(Outcome::Failed, "no process hf-noticed runs"));
        let patience = Duration::from_secs(20);
        let mut child = Killed(Command::new(program).arg("1000").spawn().unwrap());
        let passes = async {
            while process.run(&Scene::example()).await.outcome != Outcome::Passed {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(patience, passes).await.expect("it runs");
        let quiet = timeout(Duration::from_millis(50), process.changed()).await;
        assert!(quiet.is_err(), "nothing has changed");
        assert_eq!(process.run(&Scene::example()).await.outcome, Outcome::Passed);
        child.0.kill().unwrap();
        timeout(patience, process.changed())
            .await
            .expect("the end is noticed");
        assert_eq!(process.run(&Scene::example()).await.outcome, Outcome::Failed);
        let quiet = timeout(Duration::from_millis(50), process.changed()).await;
        assert!(quiet.is_err(), "it is not noticed for ever");
    }

    #[tokio::test]
    async fn a_user_that_nobody_knows_is_not_a_process_that_is_missing() {
        let found = process("sleep", Some("no-such-user"))
            .run(&Scene::example())
            .await;
        assert_eq!(found.outcome, Outcome::CouldNotRun);
        assert!(found.message.contains("no-such-user"), "{}", found.message);
    }
}
