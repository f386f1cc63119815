//! What a visitor sees when the service behind the address dies or hangs while its node lives: a probe here, a `track_script`
//! there, with the same interval, timeout and thresholds.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use holdfast_e2e::{
    Group,
    visitor::{Visitor, site},
};
use holdfast_lab::{
    Agent, AgentOptions, Keepalived, Lab, Meter, Node,
    keepalived::{TrackScript, VrrpInstance},
};

use crate::daemon::{Daemon, Running};

/// How often the service is asked, and how long an answer may take; keepalived counts in whole seconds.
pub const PERIOD: Duration = Duration::from_secs(1);
/// So many failures in a row make it fail.
pub const FALL: u8 = 2;
/// The advertisement interval.
pub const INTERVAL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);
const VIP: [u8; 4] = [10, 77, 0, 100];

/// What happens to the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It is killed: nobody listens any more.
    Killed,
    /// It is frozen: connections are taken, and nobody answers.
    Hung,
}

impl End {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Killed, Self::Hung];

    /// How the table calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed (SIGKILL)",
            Self::Hung => "hung (SIGSTOP)",
        }
    }
}

/// Lets the service of the preferred node end, `phase` after everything has settled, and answers how long the next visitor
/// waits for the other node's answer.
pub fn run(daemon: Daemon, end: End, phase: Duration) -> Result<Duration> {
    let lab = Lab::new()?;
    let (client, a, b) = (lab.client()?, lab.node("a")?, lab.node("b")?);
    let sites = [site(&a), site(&b)].map(|site| site.map_err(|error| anyhow!("{error}")));
    let [mut on_a, on_b] = sites;
    let vip = VIP.into();
    let meter = Meter::start(&client, &[a.clone(), b.clone()], &[vip])?;
    let daemons = [start(daemon, &a, 200)?, start(daemon, &b, 100)?];
    meter.wait_for_holders(vip, &["a"], PATIENCE)?;
    let visitor = Visitor::start(&client, SocketAddr::new(vip, 80));
    let answers = |node: &str| {
        visitor
            .wait_for(node, PATIENCE)
            .map_err(|error| anyhow!("{error}"))
    };
    answers("a").with_context(|| daemon.name())?;
    // Until nobody is new any more: neither the routers nor the probes.
    thread::sleep(4 * PERIOD + phase);
    let start = Instant::now();
    if let Ok(nginx) = &mut on_a {
        match end {
            End::Killed => nginx.process.kill()?,
            End::Hung => nginx.process.freeze()?,
        }
    }
    answers("b").with_context(|| format!("{}: {}", daemon.name(), end.name()))?;
    drop((daemons, on_a?, on_b?));
    visitor
        .next_answer(start)
        .context("b answered, and nobody heard it")
}

fn start(daemon: Daemon, node: &Node, priority: u8) -> Result<Running> {
    match daemon {
        Daemon::Keepalived => {
            let script = TrackScript {
                command: check(node)?,
                fall: FALL,
                rise: FALL,
                weight: 0,
            };
            let instance = VrrpInstance::new(1)
                .interval(INTERVAL)
                .priority(priority)
                .address("10.77.0.100/32")
                .track_script(script);
            Ok(Running::Keepalived(Keepalived::start(node, &[instance])?))
        }
        Daemon::Holdfast => {
            let group = Group::new("router-1", 1)
                .interval(INTERVAL)
                .priority(priority)
                .address("10.77.0.100/32")
                .spec(&format!(
                    "probes:\n- name: web\n  httpGet: {{port: 80}}\n  period: {0}s\n  timeout: {0}s\n  \
                     failureThreshold: {FALL}\n  successThreshold: {FALL}\n  onFailure: {{type: Fault}}\n",
                    PERIOD.as_secs()
                ));
            let mut agent = Agent::start(node, &group.yaml(), &AgentOptions::default())?;
            agent.wait_until_answering(PATIENCE)?;
            Ok(Running::Holdfast(agent))
        }
    }
}

/// A script as people write them for keepalived: asks by HTTP and wants a 200.
fn check(node: &Node) -> Result<String> {
    let path = node.folder().join("check-web");
    let text = "#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/80 || exit 1\nprintf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3\n\
                read -r -t 1 line <&3 && [[ $line == *' 200 '* ]]\n";
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path.display().to_string())
}
