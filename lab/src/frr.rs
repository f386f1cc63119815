//! FRR's vrrpd as a peer: zebra, vrrpd and the macvlan interfaces they work on, in a node.
//!
//! vrrpd keeps a virtual address on a macvlan interface all the time and only takes its carrier away; so a node with it
//! always *holds* the address ([`Meter::holders`](crate::Meter::holders)), and only who *answers* tells who is Active.

use std::{fmt::Write as _, fs, net::IpAddr, path::PathBuf, time::Duration};

use nix::unistd::{User, chown};

use crate::{
    command,
    error::{Doing as _, Error, Result},
    lab::wait_until,
    netns::write_sysctl,
    node::{INTERFACE, Node},
    process::Process,
    sandbox,
};

/// Where Debian puts FRR's daemons.
const FOLDER: &str = "/usr/lib/frr";
/// The user they run as once they are up; they refuse to run as anybody else.
const USER: &str = "frr";
/// How long zebra may take to open its socket.
const PATIENCE: Duration = Duration::from_secs(10);

/// One virtual router of vrrpd, VRRPv3; IPv4 and IPv6 addresses make two elections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VirtualRouter {
    id: u8,
    priority: u8,
    interval: Duration,
    addresses: Vec<IpAddr>,
}

impl VirtualRouter {
    /// Virtual router `id` (1-255) with priority 100 and an interval of 100 ms.
    pub fn new(id: u8) -> Self {
        Self {
            id,
            priority: 100,
            interval: Duration::from_millis(100),
            addresses: Vec::new(),
        }
    }

    /// The priority, 1-254.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// The advertisement interval, 10 ms to 40.95 s in steps of 10 ms.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// One more virtual address.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.addresses.push(address);
        self
    }

    fn configuration(&self) -> String {
        let Self {
            id,
            priority,
            interval,
            addresses,
        } = self;
        let mut text = format!(
            "interface {INTERFACE}\n vrrp {id} version 3\n vrrp {id} priority {priority}\n \
             vrrp {id} advertisement-interval {}\n",
            interval.as_millis()
        );
        for address in addresses {
            let family = if address.is_ipv4() { "ip" } else { "ipv6" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, " vrrp {id} {family} {address}");
        }
        text
    }

    /// The commands that make an interface for each family in use, with the virtual hardware address of
    /// RFC 9568 §7.3, which is how vrrpd finds it.
    fn interfaces(&self) -> String {
        let mut text = String::new();
        for (number, length, ours) in [
            (4, 32, IpAddr::is_ipv4 as fn(&IpAddr) -> bool),
            (6, 128, IpAddr::is_ipv6),
        ] {
            let mut addresses = self.addresses.iter().filter(|address| ours(address)).peekable();
            if addresses.peek().is_none() {
                continue;
            }
            let name = format!("vrrp{number}-{}", self.id);
            let kind = number / 2 - 1;
            let _ = writeln!(
                text,
                "link add name {name} link {INTERFACE} address 00:00:5e:00:{kind:02x}:{:02x} type macvlan mode bridge\n\
                 link set dev {name} addrgenmode random",
                self.id
            );
            for address in addresses {
                let _ = writeln!(text, "addr add {address}/{length} dev {name}");
            }
            let _ = writeln!(text, "link set dev {name} up");
        }
        text
    }
}

/// zebra and vrrpd, running in a node.
#[derive(Debug)]
pub struct Frr {
    /// The daemon that speaks VRRP: its log, its signals.
    pub vrrpd: Process,
    /// The daemon it asks about interfaces.
    pub zebra: Process,
}

impl Frr {
    /// Starts zebra and vrrpd with `router` in `node`.
    ///
    /// # Errors
    /// [`Error::MissingTool`] when FRR is not installed; [`Error::Invalid`] in an ordinary user's sandbox, where the
    /// daemons cannot change to the user they insist on.
    pub fn start(node: &Node, router: &VirtualRouter) -> Result<Self> {
        if sandbox::is_rootless() {
            return Err(Error::Invalid(
                "FRR's daemons change to the user frr, which takes root outside too".to_owned(),
            ));
        }
        let programs = ["zebra", "vrrpd"].map(|name| PathBuf::from(FOLDER).join(name));
        let user = User::from_name(USER).doing(|| format!("look up the user {USER}"))?;
        let (true, Some(user)) = (programs.iter().all(|program| program.is_file()), user) else {
            return Err(command::missing("vrrpd"));
        };
        let [zebra, vrrpd] = programs;
        node.ip_batch(&router.interfaces())?;
        // Otherwise eth0 answers for an address that vrrpd has taken the carrier from.
        node.netns()
            .run(|| write_sysctl(&format!("ipv4/conf/{INTERFACE}/arp_ignore"), "1"))?;

        let folder = node.folder().join(format!("frr-{}", node.next_number()));
        fs::create_dir(&folder).doing(|| format!("create {}", folder.display()))?;
        let file = |name: &str| folder.join(name).display().to_string();
        fs::write(file("zebra.conf"), "").doing(|| "write zebra's configuration".to_owned())?;
        fs::write(file("vrrpd.conf"), router.configuration())
            .doing(|| "write vrrpd's configuration".to_owned())?;
        chown(&folder, Some(user.uid), Some(user.gid))
            .doing(|| format!("give {} to {USER}", folder.display()))?;
        let start = |program: &PathBuf, name: &str| {
            let arguments = [
                format!("--vty_socket={}", folder.display()),
                format!("--socket={}", file("zserv")),
                format!("--pid_file={}", file(&format!("{name}.pid"))),
                format!("--config_file={}", file(&format!("{name}.conf"))),
                "--log=stdout".to_owned(),
            ];
            node.spawn(program, &arguments.each_ref().map(String::as_str))
        };
        let zebra = start(&zebra, "zebra")?;
        wait_until("zebra has opened its socket", PATIENCE, || {
            Ok(folder.join("zserv").exists())
        })?;
        let vrrpd = start(&vrrpd, "vrrpd")?;
        Ok(Self { vrrpd, zebra })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_gets_an_interface_with_its_virtual_hardware_address() {
        let router = VirtualRouter::new(5)
            .address("10.77.0.100".parse().unwrap())
            .address("fe80::5".parse().unwrap());
        assert_eq!(
            router.interfaces(),
            "link add name vrrp4-5 link eth0 address 00:00:5e:00:01:05 type macvlan mode bridge\n\
             link set dev vrrp4-5 addrgenmode random\naddr add 10.77.0.100/32 dev vrrp4-5\nlink set dev vrrp4-5 up\n\
             link add name vrrp6-5 link eth0 address 00:00:5e:00:02:05 type macvlan mode bridge\n\
             link set dev vrrp6-5 addrgenmode random\naddr add fe80::5/128 dev vrrp6-5\nlink set dev vrrp6-5 up\n"
        );
        assert_eq!(
            router.priority(200).configuration(),
            "interface eth0\n vrrp 5 version 3\n vrrp 5 priority 200\n vrrp 5 advertisement-interval 100\n \
             vrrp 5 ip 10.77.0.100\n vrrp 5 ipv6 fe80::5\n"
        );
    }
}
