//! A machine of the lab: a network namespace with a cable to the switch, processes, addresses.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use nix::{ifaddrs::getifaddrs, sys::socket::SockaddrStorage};

use crate::{
    command,
    error::{Doing as _, Result},
    lab::Segment,
    netns::{NetNs, write_sysctl},
    process::Process,
};

/// The interface every node has.
pub const INTERFACE: &str = "eth0";

/// A machine of the lab. Cheap to clone; all clones are the same machine.
#[derive(Clone, Debug)]
pub struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    number: u8,
    folder: PathBuf,
    netns: NetNs,
    switch: Arc<NetNs>,
    logs: AtomicU32,
}

/// An address on one of a node's interfaces.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct InterfaceAddress {
    /// The interface's name.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// How many of its bits name the network.
    pub prefix_length: u8,
}

impl Node {
    pub(crate) fn build(
        lab: &str,
        name: &str,
        number: u8,
        lab_folder: &Path,
        switch: &Arc<NetNs>,
    ) -> Result<Self> {
        let netns = NetNs::create(&format!("{lab}-{name}"))?;
        netns.run(|| {
            for scope in ["all", "default"] {
                write_sysctl(&format!("ipv6/conf/{scope}/accept_dad"), "0")?;
                write_sysctl(&format!("ipv6/conf/{scope}/dad_transmits"), "0")?;
                write_sysctl(&format!("ipv6/conf/{scope}/accept_ra"), "0")?;
                write_sysctl(&format!("ipv6/conf/{scope}/router_solicitations"), "0")?;
            }
            Ok(())
        })?;
        let folder = lab_folder.join(name);
        fs::create_dir(&folder).doing(|| format!("create {}", folder.display()))?;
        let node = Self(Arc::new(Inner {
            name: name.to_owned(),
            number,
            folder,
            netns,
            switch: Arc::clone(switch),
            logs: AtomicU32::new(1),
        }));
        node.ip_batch("link set dev lo up\n")?;
        node.add_interface(INTERFACE, Segment::FIRST)?;
        Ok(node)
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The node's number; its addresses follow from it.
    pub fn number(&self) -> u8 {
        self.0.number
    }

    /// The node's own IPv4 address on the first segment.
    pub fn ipv4(&self) -> Ipv4Addr {
        Segment::FIRST.ipv4(self.0.number)
    }

    /// The node's own IPv6 address on the first segment.
    pub fn ipv6(&self) -> Ipv6Addr {
        Segment::FIRST.ipv6(self.0.number)
    }

    /// The node's link-local address on the first segment.
    pub fn link_local(&self) -> Ipv6Addr {
        Segment::FIRST.link_local(self.0.number)
    }

    /// The node's network namespace.
    pub fn netns(&self) -> &NetNs {
        &self.0.netns
    }

    /// The folder with the node's configurations and logs; it is gone when the sandbox ends.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Plugs one more interface into `segment`, with addresses like those of `eth0` (see [`Segment`]).
    ///
    /// # Errors
    /// [`Error::Command`](crate::Error::Command) when the node has an interface of this name.
    pub fn add_interface(&self, interface: &str, segment: Segment) -> Result<()> {
        let port = self.port(segment);
        let number = self.0.number;
        self.switch_batch(&format!(
            "link add name {port} type veth peer name {interface} address {} netns {}\n\
             link set dev {port} master br{} up\n",
            segment.mac(number),
            self.0.netns.name(),
            segment.0,
        ))?;
        self.ip_batch(&format!(
            "link set dev {interface} up\n\
             addr add {}/24 dev {interface}\n\
             addr add {}/64 dev {interface} nodad\n",
            segment.ipv4(number),
            segment.ipv6(number),
        ))
    }

    /// Takes from the node what a kernel loses with its power: addresses, routes, links that were made, packet filters.
    pub(crate) fn forget_network(&self) -> Result<()> {
        let links = self.ip(&["-brief", "link", "show"])?;
        let made = links
            .lines()
            .filter_map(|line| line.split(['@', ' ']).next())
            .filter(|link| !["lo", INTERFACE].contains(link));
        for link in made {
            // The other end of a pair goes with the first.
            self.ip(&["link", "del", "dev", link]).ok();
        }
        self.ip(&["addr", "flush", "dev", INTERFACE])?;
        self.netns()
            .run(|| command::run("nft", &["flush", "ruleset"]))
            .map(drop)
    }

    /// Gives `eth0` the addresses of the first segment, if it lost them, and a default route that leads nowhere: what is
    /// translated on its way out, as a Service's address is, needs a route all the same.
    pub(crate) fn restore_network(&self) -> Result<()> {
        let number = self.0.number;
        self.ip_batch(&format!(
            "addr replace {}/24 dev {INTERFACE}\n\
             addr replace {}/64 dev {INTERFACE} nodad\n\
             route replace default dev {INTERFACE}\n",
            Segment::FIRST.ipv4(number),
            Segment::FIRST.ipv6(number),
        ))
    }

    /// Starts a program in the node. Its output goes to a file of the node's folder (see [`Process::log`]).
    ///
    /// # Errors
    /// [`Error::MissingTool`](crate::Error::MissingTool) when it is not installed.
    pub fn spawn(&self, program: impl AsRef<Path>, args: &[&str]) -> Result<Process> {
        let program = program.as_ref();
        let name = program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy();
        let log = self.0.folder.join(format!("{name}-{}.log", self.next_number()));
        Process::spawn(&self.0.netns, program, args, log)
    }

    /// Runs a program in the node to its end, however it ends.
    ///
    /// # Errors
    /// [`Error::MissingTool`](crate::Error::MissingTool) when it is not installed.
    pub fn exec(&self, program: &str, args: &[&str]) -> Result<Output> {
        let mut prepared = command::prepare(program, args);
        prepared.stdin(Stdio::null());
        self.0.netns.run(|| {
            prepared
                .output()
                .map_err(|error| command::not_started(program, args, error))
        })
    }

    /// Runs `ip` with `args` in the node and returns what it says.
    ///
    /// # Errors
    /// [`Error::Command`](crate::Error::Command) when it fails.
    pub fn ip(&self, args: &[&str]) -> Result<String> {
        command::run("ip", &[&["-n", self.0.netns.name()], args].concat())
    }

    /// All addresses of all interfaces, sorted.
    ///
    /// # Errors
    /// [`Error::System`](crate::Error::System) when the system will not list them.
    pub fn addresses(&self) -> Result<Vec<InterfaceAddress>> {
        self.0.netns.run(|| {
            let listed = getifaddrs().doing(|| format!("list the addresses of {}", self.0.name))?;
            let mut addresses: Vec<_> = listed
                .filter_map(|entry| {
                    let address = ip_of(&entry.address?)?;
                    let prefix_length = entry.netmask.as_ref().and_then(ip_of).map_or(0, prefix_length);
                    Some(InterfaceAddress {
                        interface: entry.interface_name,
                        address,
                        prefix_length,
                    })
                })
                .collect();
            addresses.sort();
            Ok(addresses)
        })
    }

    /// Whether the node holds `address` on any interface now.
    ///
    /// # Errors
    /// Like [`addresses`](Self::addresses).
    pub fn holds(&self, address: IpAddr) -> Result<bool> {
        Ok(self.addresses()?.iter().any(|held| held.address == address))
    }

    /// The next number for a file of the node, so that restarts do not overwrite what the last run said.
    pub(crate) fn next_number(&self) -> u32 {
        self.0.logs.fetch_add(1, Ordering::Relaxed)
    }

    /// The switch's end of the node's cable to `segment`.
    pub(crate) fn port(&self, segment: Segment) -> String {
        match segment {
            Segment::FIRST => self.0.name.clone(),
            Segment(number) => format!("{}.{number}", self.0.name),
        }
    }

    pub(crate) fn switch(&self) -> &NetNs {
        &self.0.switch
    }

    pub(crate) fn switch_batch(&self, lines: &str) -> Result<()> {
        command::run_with_input("ip", &["-n", self.0.switch.name(), "-batch", "-"], lines).map(drop)
    }

    /// Runs many `ip` commands in the node at once, a line each.
    pub(crate) fn ip_batch(&self, lines: &str) -> Result<()> {
        command::run_with_input("ip", &["-n", self.0.netns.name(), "-batch", "-"], lines).map(drop)
    }
}

fn ip_of(storage: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = storage.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

fn prefix_length(netmask: IpAddr) -> u8 {
    let ones = match netmask {
        IpAddr::V4(mask) => mask.to_bits().count_ones(),
        IpAddr::V6(mask) => mask.to_bits().count_ones(),
    };
    u8::try_from(ones).unwrap_or(0)
}
