//! FRR's vrrpd as a peer: the interface with the virtual MAC that it wants, zebra beside it, and its switches.

use std::{fmt::Write as _, fs, net::IpAddr, path::Path, time::Duration};

use holdfast_lab::{Error, INTERFACE, Node, Process, command, wait_until};

use crate::{Result, real_time};

/// Where FRR's packages put the daemons.
const FOLDER: &str = "/usr/lib/frr";
/// How long the daemons may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// One virtual router of vrrpd: VRRPv3 on `eth0`.
#[derive(Clone, Debug)]
pub struct FrrRouter {
    /// The identifier, 1-255.
    pub router_id: u8,
    /// The priority, 1-254.
    pub priority: u8,
    /// The advertisement interval: steps of 10 ms.
    pub interval: Duration,
    /// The virtual addresses with their prefix lengths, of one family.
    pub addresses: Vec<String>,
}

/// zebra and vrrpd, running in a node.
#[derive(Debug)]
pub struct Frr {
    /// vrrpd; it ends before zebra does.
    pub vrrpd: Process,
    /// What vrrpd sets interfaces with.
    pub zebra: Process,
}

impl FrrRouter {
    fn is_ipv6(&self) -> bool {
        self.addresses.iter().any(|address| address.contains(':'))
    }

    fn device(&self) -> String {
        let family = if self.is_ipv6() { 6 } else { 4 };
        format!("vrrp{family}-{}", self.router_id)
    }

    fn configuration(&self) -> String {
        let id = self.router_id;
        let mut text = format!(
            "log stdout\ninterface {INTERFACE}\n vrrp {id} version 3\n vrrp {id} priority {}\n \
             vrrp {id} advertisement-interval {}\n",
            self.priority,
            self.interval.as_millis(),
        );
        for address in &self.addresses {
            let family = if self.is_ipv6() { "ipv6" } else { "ip" };
            let bare = address.split('/').next().unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(text, " vrrp {id} {family} {bare}");
        }
        text
    }

    /// Makes the macvlan that holds the addresses, the way FRR's guide says.
    fn add_device(&self, node: &Node) -> Result<()> {
        let device = self.device();
        let family = if self.is_ipv6() { 2 } else { 1 };
        let mac = format!("00:00:5e:00:{family:02x}:{:02x}", self.router_id);
        node.ip(&[
            "link", "add", "link", INTERFACE, "name", &device, "address", &mac, "type", "macvlan", "mode",
            "bridge",
        ])?;
        // An address made from the virtual MAC would be the same on all routers.
        node.ip(&["link", "set", "dev", &device, "addrgenmode", "random"])?;
        for (name, value) in [
            ("all/arp_ignore", "1"),
            ("all/rp_filter", "0"),
            (&format!("{INTERFACE}/rp_filter"), "0"),
            (&format!("{device}/rp_filter"), "0"),
            (&format!("{device}/accept_local"), "1"),
        ] {
            node.netns().set_sysctl(&format!("ipv4/conf/{name}"), value)?;
        }
        for address in &self.addresses {
            node.ip(&["addr", "add", address, "dev", &device])?;
        }
        node.ip(&["link", "set", "dev", &device, "up"])?;
        Ok(())
    }
}

impl Frr {
    /// Starts both daemons with one virtual router, and has them run in real time.
    ///
    /// # Errors
    /// [`Error::MissingTool`] when FRR is not installed.
    pub fn start(node: &Node, router: &FrrRouter) -> Result<Self> {
        for daemon in ["zebra", "vrrpd"] {
            if !Path::new(FOLDER).join(daemon).is_file() {
                return Err(Box::new(Error::MissingTool {
                    tool: daemon.to_owned(),
                    install: "apt-get install -y frr".to_owned(),
                }));
            }
        }
        fit_the_sandbox(node)?;
        router.add_device(node)?;
        let zebra = daemon(node, "zebra", "log stdout\n")?;
        let socket = node.folder().join("zebra.sock");
        wait_until("zebra listens", PATIENCE, || Ok(socket.exists()))?;
        let vrrpd = daemon(node, "vrrpd", &router.configuration())?;
        for daemon in [&zebra, &vrrpd] {
            real_time::prefer(daemon)?;
        }
        Ok(Self { vrrpd, zebra })
    }
}

/// Whether FRR serves in `node`: its macvlan has a carrier. It keeps the addresses there all the time and puts the
/// interface in protodown while it is Backup.
///
/// # Errors
/// When the node has no such device.
pub fn serves(node: &Node, router: &FrrRouter) -> Result<bool> {
    Ok(node
        .ip(&["link", "show", "dev", &router.device()])?
        .contains("LOWER_UP"))
}

/// The addresses as a client asks for them.
///
/// # Errors
/// When one is none.
pub fn bare_addresses(router: &FrrRouter) -> Result<Vec<IpAddr>> {
    let bare = router
        .addresses
        .iter()
        .filter_map(|address| address.split('/').next());
    Ok(bare.map(str::parse).collect::<std::result::Result<_, _>>()?)
}

fn daemon(node: &Node, name: &str, configuration: &str) -> Result<Process> {
    let path = |extension: &str| {
        node.folder()
            .join(format!("{name}.{extension}"))
            .display()
            .to_string()
    };
    let (file, pid) = (path("conf"), path("pid"));
    fs::write(&file, configuration)?;
    let folder = node.folder().display().to_string();
    let socket = node.folder().join("zebra.sock").display().to_string();
    let arguments = [
        "-u",
        "root",
        "-g",
        "root",
        "-z",
        &socket,
        "--vty_socket",
        &folder,
        "-P",
        "0",
        "-f",
        &file,
        "-i",
        &pid,
        "--log",
        "stdout",
    ];
    Ok(node.spawn(Path::new(FOLDER).join(name), &arguments)?)
}

/// FRR's daemons refuse to run as a user that is not in the group `frrvty`, and as any other user they could not open
/// a socket in a user namespace. The sandbox has a mount namespace of its own, so its /etc/group may say so. They also
/// leave folders for crashes in /var/tmp, which are to go with the sandbox.
fn fit_the_sandbox(node: &Node) -> Result<()> {
    let groups = node.folder().join("group");
    fs::write(&groups, "root:x:0:\nfrrvty:x:0:root\nfrr:x:0:root\n")?;
    command::run("mount", &["--bind", &groups.display().to_string(), "/etc/group"])?;
    command::run("mount", &["-t", "tmpfs", "tmpfs", "/var/tmp"])?;
    Ok(())
}
