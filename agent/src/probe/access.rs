//! What of its node an agent can see and is allowed to run, and which groups want more than that.

use std::fs;
use std::path::{Component, Path, PathBuf};

use holdfast_api::model::NodeGroup;
use holdfast_api::model::probe::{Check, Exec, Material, Probe, Target, Tls, Trust};

/// The file that has the node's users by name.
pub(super) const USERS: &str = "/etc/passwd";

/// What of its node an agent can see and is allowed to run.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each says one thing about the node, whatever the others say"
)]
pub struct Access {
    /// Whether the agent runs as a pod, which by itself sees neither files nor processes of its node.
    pub pod: bool,
    /// Whether the pod shares the node's process identifiers.
    pub host_pid: bool,
    /// The files and folders of the node that the pod has at the same paths.
    pub host_paths: Vec<PathBuf>,
    /// The programs, or folders of them, that groups from the API may run.
    pub exec_allow: Vec<PathBuf>,
    /// Whether programs are run though others could change them.
    pub exec_insecure: bool,
    /// Whether programs can be run as another user, see [`may_set_user`].
    pub set_user: bool,
}

/// Whether this process may run programs as another user and end them again: CAP_SETUID, CAP_SETGID and CAP_KILL.
pub fn may_set_user() -> bool {
    // Without /proc there is no answer; the kernel gives it then, program by program.
    fs::read_to_string("/proc/self/status").map_or(true, |status| has_set_user(&status))
}

/// The same, of what the kernel says about a process.
fn has_set_user(status: &str) -> bool {
    /// The numbers of CAP_KILL, CAP_SETGID and CAP_SETUID (capabilities(7)).
    const NEEDED: u64 = 1 << 5 | 1 << 6 | 1 << 7;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask & NEEDED == NEEDED)
}

/// Why `group` cannot be watched here as it asks for, with the value of the chart and the flag that would change it; `None` if
/// it can. A group from the API may have been written by somebody who is nobody on this node, one from a file has not.
pub fn refusal(group: &NodeGroup, from_api: bool, access: &Access) -> Option<String> {
    group
        .probes
        .iter()
        .find_map(|probe| access.refuses(probe, from_api))
}

impl Access {
    fn refuses(&self, probe: &Probe, from_api: bool) -> Option<String> {
        let checks = probe.checks.iter().find_map(|check| self.check(check, from_api));
        let healing = || self.exec(&probe.recover.as_ref()?.exec, from_api);
        let what = checks.or_else(healing)?;
        Some(format!("probe `{}` {what}", probe.name))
    }

    fn check(&self, check: &Check, from_api: bool) -> Option<String> {
        match check {
            Check::Http(http) => self.target(&http.target).or_else(|| self.tls(http.tls.as_ref()?)),
            Check::Grpc(grpc) => self.target(&grpc.target).or_else(|| self.tls(grpc.tls.as_ref()?)),
            Check::Tcp(tcp) => self.target(&tcp.target),
            Check::Mysql(mysql) => self
                .target(&mysql.target)
                .or_else(|| self.material("the password", mysql.password.as_ref()?)),
            Check::Exec(exec) => self.exec(exec, from_api),
            Check::Process(process) => {
                let hidden = self.pod && !self.host_pid;
                hidden
                    .then(|| {
                        format!(
                            "looks for the process {}, and this agent is a pod that does not see the processes of its node: \
                             set `agent.hostPID` of the chart (flag `--host-pid`)",
                            process.name
                        )
                    })
                    .or_else(|| self.user(process.user.as_ref()?))
            }
            Check::File(file) => self.file("the file", &file.path),
            Check::Interface(_) | Check::Route(_) | Check::Peer(_) => None,
        }
    }

    fn target(&self, target: &Target) -> Option<String> {
        match target {
            Target::Socket(path) => self.file("the Unix socket", path),
            Target::Host { .. } => None,
        }
    }

    fn tls(&self, tls: &Tls) -> Option<String> {
        let trust = match &tls.trust {
            Trust::Authorities(material) => self.material("the CA's certificates", material),
            Trust::System | Trust::Cluster | Trust::Anybody => None,
        };
        trust.or_else(|| {
            let (certificate, key) = tls.client.as_ref()?;
            self.material("the client's certificate", certificate)
                .or_else(|| self.material("the client's key", key))
        })
    }

    fn material(&self, what: &str, material: &Material) -> Option<String> {
        match material {
            Material::File(path) => self.file(what, path),
            Material::Bytes(_) => None,
        }
    }

    fn file(&self, what: &str, path: &str) -> Option<String> {
        (self.pod && !is_in(&self.host_paths, path)).then(|| {
            format!(
                "needs {what} {path} of the node, and this agent is a pod that does not see it: add the file or its folder to \
                 `agent.hostPaths` of the chart (flag `--host-path`)"
            )
        })
    }

    fn exec(&self, exec: &Exec, from_api: bool) -> Option<String> {
        let program = &exec.program;
        if from_api && self.exec_allow.is_empty() {
            return Some(format!(
                "runs {program}, and this agent runs no programs for groups from the API: set `agent.exec.enabled` of the chart \
                 and add the program or its folder to `agent.exec.allow` (flag `--exec-allow`)"
            ));
        }
        let is_allowed = is_in(&self.exec_allow, program);
        if from_api && !is_allowed {
            return Some(format!(
                "runs {program}, which is not among the programs that groups from the API may run here: add it or its folder to \
                 `agent.exec.allow` of the chart (flag `--exec-allow`)"
            ));
        }
        // What is allowed by name may be part of the agent's own image.
        if self.pod && !is_allowed && !is_in(&self.host_paths, program) {
            return Some(format!(
                "runs {program}, and this agent is a pod that does not see it: add the program or its folder to \
                 `agent.hostPaths` of the chart (flag `--host-path`), or to `agent.exec.allow` (flag `--exec-allow`) if it is \
                 part of the agent's image"
            ));
        }
        let user = exec.user.as_ref()?;
        if !self.set_user {
            return Some(format!(
                "runs {program} as user {user}, and this agent cannot become another user: set \
                 `agent.capabilities.setUser` of the chart (CAP_SETUID, CAP_SETGID and CAP_KILL)"
            ));
        }
        self.user(user)
    }

    fn user(&self, user: &str) -> Option<String> {
        let is_number = user.parse::<u32>().is_ok();
        (self.pod && !is_number && !is_in(&self.host_paths, USERS)).then(|| {
            format!(
                "names the user {user}, and this agent is a pod that does not know the users of its node: give the user's \
                 number, or add {USERS} to `agent.hostPaths` of the chart (flag `--host-path`)"
            )
        })
    }
}

/// Whether `path` is one of `places` or lies below one. A path that goes up again (`..`) is in no place: where it leads is not
/// to be seen from its text.
fn is_in(places: &[PathBuf], path: &str) -> bool {
    let path = Path::new(path);
    let is_plain = path.is_absolute()
        && path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    is_plain && places.iter().any(|place| path.starts_with(place))
}

#[cfg(test)]
mod tests;
