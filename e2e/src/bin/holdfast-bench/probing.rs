//! What a hundred probes cost.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use holdfast_e2e::{Group, file_of, look, visitor::site};
use holdfast_lab::{Agent, AgentOptions, Lab, Node};

use crate::usage;

/// How often each is run.
pub const PERIOD: Duration = Duration::from_millis(200);
/// How many there are.
pub const COUNT: usize = 100;
/// A group takes sixteen at most.
const GROUPS: u8 = 10;
const PATIENCE: Duration = Duration::from_secs(20);

/// What the probes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// None: what the groups cost by themselves.
    None,
    /// Forty by HTTP, thirty by TCP, ten processes, ten files, ten interfaces.
    Mixed,
    /// All by HTTP.
    Http,
    /// All by TCP.
    Tcp,
    /// All programs: `/bin/true`.
    Exec,
}

impl Kind {
    /// All, the one first with which the others are compared.
    pub const ALL: [Self; 5] = [Self::None, Self::Mixed, Self::Http, Self::Tcp, Self::Exec];

    /// How the table calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none (the ten groups alone)",
            Self::Mixed => "mixed: 40 `httpGet`, 30 `tcpSocket`, 10 `process`, 10 `file`, 10 `interface`",
            Self::Http => "100 `httpGet`",
            Self::Tcp => "100 `tcpSocket`",
            Self::Exec => "100 `exec` of `/bin/true`",
        }
    }

    /// The handler of the probe of this number within its group.
    fn handler(self, number: usize) -> &'static str {
        const HTTP: &str = "httpGet: {port: 80}";
        const TCP: &str = "tcpSocket: {port: 80}";
        match (self, number) {
            (Self::None, _) => "",
            (Self::Http, _) | (Self::Mixed, 0..=3) => HTTP,
            (Self::Tcp, _) | (Self::Mixed, 4..=6) => TCP,
            (Self::Exec, _) => "exec: {command: [/bin/true]}",
            (Self::Mixed, 7) => "process: {name: nginx}",
            (Self::Mixed, 8) => "file: {path: /etc/passwd}",
            (Self::Mixed, _) => "interface: {name: eth0}",
        }
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Probing {
    /// The probes.
    pub kind: Kind,
    /// How long was measured.
    pub window: Duration,
    /// How long the agent, with whatever it started, was on a processor.
    pub cpu: Duration,
}

impl Probing {
    /// The part of one processor, in percent.
    pub fn percent(&self) -> f64 {
        self.cpu.as_secs_f64() / self.window.as_secs_f64() * 100.0
    }
}

/// Runs an agent with these probes beside an nginx that answers them, and measures `window`.
pub fn run(kind: Kind, window: Duration) -> Result<Probing> {
    let lab = Lab::new()?;
    let node = lab.node("a")?;
    let nginx = site(&node).map_err(|error| anyhow!("{error}"))?;
    let mut agent = Agent::start(&node, &file_of(&groups(kind)), &AgentOptions::default())?;
    agent.wait_until_answering(PATIENCE)?;
    settle(&agent)?;
    let pid = agent.process.pid();
    let start = Instant::now();
    let before = spent(&node, pid)?;
    thread::sleep(window);
    let cpu = spent(&node, pid)?.saturating_sub(before);
    let window = start.elapsed();
    drop(nginx);
    Ok(Probing { kind, window, cpu })
}

fn groups(kind: Kind) -> Vec<Group> {
    let each = COUNT / usize::from(GROUPS);
    let group = |number: u8| {
        let group = Group::new(&format!("group-{number}"), number)
            .interval(Duration::from_secs(1))
            .address(&format!("10.79.0.{number}/32"));
        if kind == Kind::None {
            return group;
        }
        let probes = (0..each).map(|place| {
            format!(
                "- name: probe-{place}\n  {}\n  period: {}ms\n",
                kind.handler(place),
                PERIOD.as_millis()
            )
        });
        group.spec(&format!("probes:\n{}", probes.collect::<String>()))
    };
    (1..=GROUPS).map(group).collect()
}

/// Waits until every group serves with every probe passing, and until nothing new is announced any more.
fn settle(agent: &Agent) -> Result<()> {
    for number in 1..=GROUPS {
        look::wait_for_group(
            agent,
            &format!("group-{number}"),
            "it serves and all its probes pass",
            PATIENCE,
            |group| {
                let probes = group["probes"].as_array().map(Vec::as_slice).unwrap_or_default();
                group["state"] == "Active" && probes.iter().all(|probe| probe["verdict"] == "Passing")
            },
        )
        .map_err(|error| anyhow!("{error}"))?;
    }
    thread::sleep(Duration::from_secs(6));
    Ok(())
}

/// How long the agent and the programs it has waited for have been on a processor.
fn spent(node: &Node, pid: i32) -> Result<Duration> {
    let own = usage::cpu_time(&[pid])?;
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path} of {}", node.name()))?;
    Ok(own + usage::time_of_children(&stat).unwrap_or_default())
}
