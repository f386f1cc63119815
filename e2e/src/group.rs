//! A `VirtualIPGroup` as a test says it, written as the YAML that the agent reads.

use std::{
    fmt::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use holdfast_lab::INTERFACE;

/// One `VirtualIPGroup` document. Where nothing is said: VRRPv3 by multicast every 100 ms on `eth0`, priority 100.
#[derive(Clone, Debug)]
pub struct Group {
    name: String,
    router_id: u8,
    addresses: Vec<Address>,
    interface: Option<String>,
    priority: u8,
    version: u8,
    interval: Duration,
    transport: Transport,
    family: Option<&'static str>,
    password_file: Option<PathBuf>,
    preemption: Preemption,
    more: String,
}

#[derive(Clone, Debug)]
struct Address {
    written: String,
    interface: Option<String>,
    label: Option<String>,
}

#[derive(Clone, Debug)]
enum Transport {
    Multicast(Option<IpAddr>),
    Unicast {
        peers: Vec<(String, IpAddr)>,
        min_ttl: u8,
    },
}

#[derive(Clone, Copy, Debug)]
enum Preemption {
    Immediate,
    Delayed(Duration),
    Never,
}

impl Group {
    /// A group for virtual router `router_id`.
    pub fn new(name: &str, router_id: u8) -> Self {
        Self {
            name: name.to_owned(),
            router_id,
            addresses: Vec::new(),
            interface: Some(INTERFACE.to_owned()),
            priority: 100,
            version: 3,
            interval: Duration::from_millis(100),
            transport: Transport::Multicast(None),
            family: None,
            password_file: None,
            preemption: Preemption::Immediate,
            more: String::new(),
        }
    }

    /// One more address, with its prefix length.
    #[must_use]
    pub fn address(mut self, written: &str) -> Self {
        self.addresses.push(Address {
            written: written.to_owned(),
            interface: None,
            label: None,
        });
        self
    }

    /// One more address, on another interface than the election's.
    #[must_use]
    pub fn address_on(mut self, written: &str, interface: &str) -> Self {
        self = self.address(written);
        if let Some(address) = self.addresses.last_mut() {
            address.interface = Some(interface.to_owned());
        }
        self
    }

    /// One more address, with a label.
    #[must_use]
    pub fn labelled_address(mut self, written: &str, label: &str) -> Self {
        self = self.address(written);
        if let Some(address) = self.addresses.last_mut() {
            address.label = Some(label.to_owned());
        }
        self
    }

    /// Leaves it to the agent to find the interface by the first address's subnet.
    #[must_use]
    pub fn any_interface(mut self) -> Self {
        self.interface = None;
        self
    }

    /// The priority, 1-255.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// The VRRP version, 2 or 3.
    #[must_use]
    pub fn version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }

    /// The advertisement interval.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Another multicast group than the protocol's.
    #[must_use]
    pub fn multicast_group(mut self, group: IpAddr) -> Self {
        self.transport = Transport::Multicast(Some(group));
        self
    }

    /// Speaks to these members, by name and address, instead of to a multicast group.
    #[must_use]
    pub fn unicast(self, peers: &[(&str, IpAddr)]) -> Self {
        self.unicast_from_afar(peers, 255)
    }

    /// The same, believing advertisements that arrive with a TTL of at least `min_ttl`.
    #[must_use]
    pub fn unicast_from_afar(mut self, peers: &[(&str, IpAddr)], min_ttl: u8) -> Self {
        let peers = peers
            .iter()
            .map(|(name, address)| ((*name).to_owned(), *address))
            .collect();
        self.transport = Transport::Unicast { peers, min_ttl };
        self
    }

    /// Holds the election over IPv4, whatever the first address is.
    #[must_use]
    pub fn elected_over_ipv4(mut self) -> Self {
        self.family = Some("IPv4");
        self
    }

    /// VRRPv2's simple password, in a file.
    #[must_use]
    pub fn password_file(mut self, file: &Path) -> Self {
        self.password_file = Some(file.to_owned());
        self
    }

    /// Takes the addresses from a healthy worse router only after hearing it for `delay`.
    #[must_use]
    pub fn preempt_after(mut self, delay: Duration) -> Self {
        self.preemption = Preemption::Delayed(delay);
        self
    }

    /// Never takes the addresses from a healthy router.
    #[must_use]
    pub fn never_preempt(mut self) -> Self {
        self.preemption = Preemption::Never;
        self
    }

    /// More fields of the spec, as YAML that begins at its own left margin.
    #[must_use]
    pub fn spec(mut self, yaml: &str) -> Self {
        for line in yaml.lines() {
            // Writing to a String cannot fail.
            let _ = writeln!(self.more, "  {line}");
        }
        self
    }

    /// The group as one YAML document.
    pub fn yaml(&self) -> String {
        let mut text = String::new();
        let mut line = |content: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{content}");
        };
        line("apiVersion: vip.holdfast.dev/v1alpha1");
        line("kind: VirtualIPGroup");
        line(&format!("metadata: {{name: {}}}", self.name));
        line("spec:");
        line("  addresses:");
        for address in &self.addresses {
            line(&format!("  - address: {}", address.written));
            if let Some(interface) = &address.interface {
                line(&format!("    interface: {interface}"));
            }
            if let Some(label) = &address.label {
                line(&format!("    label: {label}"));
            }
        }
        if let Some(interface) = &self.interface {
            line(&format!("  interface: {interface}"));
        }
        line(&format!("  virtualRouterID: {}", self.router_id));
        line(&format!("  priority: {}", self.priority));
        line("  advertisement:");
        line(&format!("    version: {}", self.version));
        line(&format!("    interval: {}", duration(self.interval)));
        if let Some(family) = self.family {
            line(&format!("    family: {family}"));
        }
        match &self.transport {
            Transport::Multicast(group) => {
                line("    mode: Multicast");
                if let Some(group) = group {
                    line(&format!("    multicastGroup: {group}"));
                }
            }
            Transport::Unicast { peers, min_ttl } => {
                line("    mode: Unicast");
                line("    peers:");
                for (name, address) in peers {
                    line(&format!("    - name: {name}"));
                    line(&format!("      addresses: [\"{address}\"]"));
                    line(&format!("      minTTL: {min_ttl}"));
                }
            }
        }
        if let Some(file) = &self.password_file {
            line(&format!(
                "  authentication: {{type: Password, file: {}}}",
                file.display()
            ));
        }
        match self.preemption {
            Preemption::Immediate => {}
            Preemption::Delayed(delay) => {
                line(&format!(
                    "  preemption: {{type: Delayed, delay: {}}}",
                    duration(delay)
                ));
            }
            Preemption::Never => line("  preemption: {type: Never}"),
        }
        text + &self.more
    }
}

/// Several groups as one file.
pub fn file_of(groups: &[Group]) -> String {
    groups.iter().map(Group::yaml).collect::<Vec<_>>().join("---\n")
}

/// A duration as GEP-2257 writes it.
fn duration(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_with_nothing_said_is_v3_by_multicast_every_100_ms() {
        assert_eq!(
            Group::new("web", 51).address("10.77.0.100/24").yaml(),
            "apiVersion: vip.holdfast.dev/v1alpha1\nkind: VirtualIPGroup\nmetadata: {name: web}\nspec:\n  \
             addresses:\n  - address: 10.77.0.100/24\n  interface: eth0\n  virtualRouterID: 51\n  priority: 100\n  \
             advertisement:\n    version: 3\n    interval: 100ms\n    mode: Multicast\n"
        );
    }
}
