//! keepalived as a peer: its configuration, built, and the daemon running in a node.

use std::{fmt::Write as _, fs, net::IpAddr, path::PathBuf, time::Duration};

use nix::sys::signal::Signal;

use crate::{
    error::{Doing as _, Result},
    node::{INTERFACE, Node},
    process::Process,
};

/// How `vrrp_instance` authenticates (VRRPv2 only).
#[derive(Clone, PartialEq, Eq, Debug)]
enum Authentication {
    Pass(String),
    Ah(String),
}

/// A `vrrp_script`: what keepalived runs every second to know whether its node is fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackScript {
    /// The command line.
    pub command: String,
    /// So many failures in a row make it fail.
    pub fall: u8,
    /// So many successes in a row make it pass again.
    pub rise: u8,
    /// Zero: the instance is in fault while it fails. Negative: added to the priority then; positive: while it passes.
    pub weight: i16,
}

/// One `vrrp_instance`, with keepalived's own defaults where nothing is said but for these: version 3,
/// interface `eth0`, interval 100 ms, priority 100, initial state BACKUP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VrrpInstance {
    virtual_router_id: u8,
    version: u8,
    interface: String,
    priority: u8,
    interval: Duration,
    addresses: Vec<String>,
    excluded: Vec<String>,
    unicast: Option<(IpAddr, Vec<IpAddr>)>,
    multicast_source: Option<IpAddr>,
    authentication: Option<Authentication>,
    nopreempt: bool,
    preempt_delay: Option<Duration>,
    track_script: Option<TrackScript>,
    extra: Vec<String>,
}

impl VrrpInstance {
    /// An instance for virtual router `virtual_router_id` (1-255).
    pub fn new(virtual_router_id: u8) -> Self {
        Self {
            virtual_router_id,
            version: 3,
            interface: INTERFACE.to_owned(),
            priority: 100,
            interval: Duration::from_millis(100),
            addresses: Vec::new(),
            excluded: Vec::new(),
            unicast: None,
            multicast_source: None,
            authentication: None,
            nopreempt: false,
            preempt_delay: None,
            track_script: None,
            extra: Vec::new(),
        }
    }

    /// The VRRP version: 2 or 3.
    #[must_use]
    pub fn version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }

    /// The interface to run on.
    #[must_use]
    pub fn interface(mut self, interface: &str) -> Self {
        interface.clone_into(&mut self.interface);
        self
    }

    /// The priority, 1-255.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// The advertisement interval: whole seconds for version 2, 10 ms to 40.95 s in steps of 10 ms for version 3.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// One more virtual address, with prefix length and whatever `virtual_ipaddress` takes after it.
    #[must_use]
    pub fn address(mut self, address: &str) -> Self {
        self.addresses.push(address.to_owned());
        self
    }

    /// One more virtual address that is not advertised, which may be of the other family.
    #[must_use]
    pub fn excluded_address(mut self, address: &str) -> Self {
        self.excluded.push(address.to_owned());
        self
    }

    /// Speaks to `peers` from `source` instead of to the multicast group.
    #[must_use]
    pub fn unicast(mut self, source: IpAddr, peers: &[IpAddr]) -> Self {
        self.unicast = Some((source, peers.to_vec()));
        self
    }

    /// The source address of multicast advertisements, where it is not the interface's first.
    #[must_use]
    pub fn multicast_source(mut self, source: IpAddr) -> Self {
        self.multicast_source = Some(source);
        self
    }

    /// Simple text authentication (`auth_type PASS`), at most 8 bytes.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.authentication = Some(Authentication::Pass(password.to_owned()));
        self
    }

    /// Authentication header (`auth_type AH`), at most 8 bytes.
    #[must_use]
    pub fn authentication_header(mut self, key: &str) -> Self {
        self.authentication = Some(Authentication::Ah(key.to_owned()));
        self
    }

    /// Never takes over from a healthy router of lower priority.
    #[must_use]
    pub fn nopreempt(mut self) -> Self {
        self.nopreempt = true;
        self
    }

    /// Waits this long (whole seconds) before it takes over from a router of lower priority.
    #[must_use]
    pub fn preempt_delay(mut self, delay: Duration) -> Self {
        self.preempt_delay = Some(delay);
        self
    }

    /// Watches something with a script.
    #[must_use]
    pub fn track_script(mut self, script: TrackScript) -> Self {
        self.track_script = Some(script);
        self
    }

    /// One more line of the instance, as keepalived.conf(5) spells it.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.extra.push(line.to_owned());
        self
    }

    fn write(&self, text: &mut String) {
        let mut line = |indent: usize, content: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:indent$}{content}", "");
        };
        if let Some(script) = &self.track_script {
            line(0, &format!("vrrp_script track_{} {{", self.virtual_router_id));
            line(2, &format!("script \"{}\"", script.command));
            line(2, "user root");
            line(2, "interval 1");
            line(2, "timeout 1");
            line(2, &format!("fall {}", script.fall));
            line(2, &format!("rise {}", script.rise));
            line(2, &format!("weight {}", script.weight));
            line(0, "}");
        }
        line(0, &format!("vrrp_instance VI_{} {{", self.virtual_router_id));
        line(2, "state BACKUP");
        line(2, &format!("version {}", self.version));
        line(2, &format!("interface {}", self.interface));
        line(2, &format!("virtual_router_id {}", self.virtual_router_id));
        line(2, &format!("priority {}", self.priority));
        line(2, &format!("advert_int {}", seconds(self.interval)));
        if let Some((source, peers)) = &self.unicast {
            line(2, &format!("unicast_src_ip {source}"));
            line(2, "unicast_peer {");
            for peer in peers {
                line(4, &peer.to_string());
            }
            line(2, "}");
        }
        if let Some(source) = self.multicast_source {
            line(2, &format!("mcast_src_ip {source}"));
        }
        if let Some(authentication) = &self.authentication {
            let (kind, secret) = match authentication {
                Authentication::Pass(secret) => ("PASS", secret),
                Authentication::Ah(secret) => ("AH", secret),
            };
            line(2, "authentication {");
            line(4, &format!("auth_type {kind}"));
            line(4, &format!("auth_pass {secret}"));
            line(2, "}");
        }
        if self.nopreempt {
            line(2, "nopreempt");
        }
        if let Some(delay) = self.preempt_delay {
            line(2, &format!("preempt_delay {}", seconds(delay)));
        }
        if self.track_script.is_some() {
            line(2, "track_script {");
            line(4, &format!("track_{}", self.virtual_router_id));
            line(2, "}");
        }
        for extra in &self.extra {
            line(2, extra);
        }
        for (block, addresses) in [
            ("virtual_ipaddress", &self.addresses),
            ("virtual_ipaddress_excluded", &self.excluded),
        ] {
            if addresses.is_empty() {
                continue;
            }
            line(2, &format!("{block} {{"));
            for address in addresses {
                line(4, address);
            }
            line(2, "}");
        }
        line(0, "}");
    }
}

/// A keepalived.conf with these instances and nothing else.
pub fn configuration(instances: &[VrrpInstance]) -> String {
    let mut text = String::from("global_defs {\n  router_id holdfast-lab\n}\n");
    for instance in instances {
        text.push('\n');
        instance.write(&mut text);
    }
    text
}

/// keepalived, running in a node.
#[derive(Debug)]
pub struct Keepalived {
    /// The daemon: its log, its signals.
    pub process: Process,
    configuration: PathBuf,
}

impl Keepalived {
    /// Starts keepalived with `instances` in `node`, in the foreground and logging to its [`Process::log`].
    ///
    /// # Errors
    /// [`Error::MissingTool`](crate::Error::MissingTool) when keepalived is not installed.
    pub fn start(node: &Node, instances: &[VrrpInstance]) -> Result<Self> {
        let base = node.folder().join(format!("keepalived-{}", node.next_number()));
        let base = base.display();
        let path = PathBuf::from(format!("{base}.conf"));
        fs::write(&path, configuration(instances)).doing(|| format!("write {}", path.display()))?;
        let process = node.spawn(
            "keepalived",
            &[
                "--dont-fork",
                "--log-console",
                "--log-detail",
                "--vrrp",
                &format!("--use-file={base}.conf"),
                &format!("--pid={base}.pid"),
                &format!("--vrrp_pid={base}.vrrp.pid"),
            ],
        )?;
        Ok(Self {
            process,
            configuration: path,
        })
    }

    /// Gives it another configuration and has it reload (SIGHUP).
    ///
    /// # Errors
    /// [`Error::System`](crate::Error::System) when it has ended.
    pub fn reload(&self, instances: &[VrrpInstance]) -> Result<()> {
        fs::write(&self.configuration, configuration(instances))
            .doing(|| format!("write {}", self.configuration.display()))?;
        self.process.signal(Signal::SIGHUP)
    }
}

/// A duration the way keepalived.conf writes it, as in `0.1` or `1`.
fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_with_nothing_said_is_v3_at_100_ms() {
        assert_eq!(
            configuration(&[VrrpInstance::new(51).address("10.77.0.100/24")]),
            "global_defs {\n  router_id holdfast-lab\n}\n\n\
             vrrp_instance VI_51 {\n  state BACKUP\n  version 3\n  interface eth0\n  virtual_router_id 51\n  \
             priority 100\n  advert_int 0.1\n  virtual_ipaddress {\n    10.77.0.100/24\n  }\n}\n"
        );
    }

    #[test]
    fn everything_said_is_written_where_keepalived_expects_it() {
        let source: IpAddr = "10.77.0.1".parse().unwrap();
        let peer: IpAddr = "10.77.0.2".parse().unwrap();
        let instance = VrrpInstance::new(7)
            .version(2)
            .interface("eth1")
            .priority(254)
            .interval(Duration::from_secs(1))
            .unicast(source, &[peer])
            .password("secret")
            .nopreempt()
            .preempt_delay(Duration::from_secs(3))
            .line("garp_master_delay 1")
            .address("10.77.0.100/32")
            .excluded_address("fd77::100/128");
        let text = configuration(&[instance]);
        let expected = "vrrp_instance VI_7 {\n  state BACKUP\n  version 2\n  interface eth1\n  \
             virtual_router_id 7\n  priority 254\n  advert_int 1\n  unicast_src_ip 10.77.0.1\n  unicast_peer {\n    \
             10.77.0.2\n  }\n  authentication {\n    auth_type PASS\n    auth_pass secret\n  }\n  nopreempt\n  \
             preempt_delay 3\n  garp_master_delay 1\n  virtual_ipaddress {\n    10.77.0.100/32\n  }\n  \
             virtual_ipaddress_excluded {\n    fd77::100/128\n  }\n}\n";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn a_script_stands_before_the_instance_that_tracks_it() {
        let script = TrackScript {
            command: "/usr/bin/test -e /up".to_owned(),
            fall: 3,
            rise: 2,
            weight: -30,
        };
        let text = configuration(&[VrrpInstance::new(7).track_script(script)]);
        let block = "vrrp_script track_7 {\n  script \"/usr/bin/test -e /up\"\n  user root\n  interval 1\n  timeout 1\n  \
             fall 3\n  rise 2\n  weight -30\n}\nvrrp_instance VI_7 {\n";
        assert!(text.contains(block), "{text}");
        assert!(text.contains("  track_script {\n    track_7\n  }\n"), "{text}");
    }

    #[test]
    fn intervals_are_written_in_fractions_of_a_second() {
        assert_eq!(seconds(Duration::from_millis(10)), "0.01");
        assert_eq!(seconds(Duration::from_millis(40_950)), "40.95");
        assert_eq!(seconds(Duration::from_secs(1)), "1");
    }
}
