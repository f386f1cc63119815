//! The lab: a switch, and nodes plugged into it.

use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    command,
    error::{Doing as _, Error, Result},
    netns::NetNs,
    node::Node,
    sandbox,
};

/// The name of the node that asks for virtual addresses.
pub const CLIENT: &str = "client";
/// Its number, out of the way of the others.
const CLIENT_NUMBER: u8 = 250;
/// Interface names have at most 15 bytes, and a port is called like its node and the segment's number.
const NAME_LENGTH: usize = 11;

/// Numbers the labs of this process, so that several can run at once.
static LABS: AtomicU32 = AtomicU32::new(1);

/// A network of its own: a switch without any connection to the machine, and nodes on it.
///
/// Node number N (counted from 1 in the order of creation) has the interface `eth0` with 10.77.0.N/24, fd77::N/64
/// and the link-local address fe80::ff:fe00:N, all usable at once (no duplicate address detection).
/// Dropping the lab removes it; whatever runs in it must have been dropped before.
#[derive(Debug)]
pub struct Lab {
    name: String,
    folder: PathBuf,
    switch: Arc<NetNs>,
    next_number: Mutex<u8>,
}

impl Lab {
    /// Builds the switch.
    ///
    /// # Errors
    /// [`Error::Invalid`] outside of a sandbox (see [`sandbox::enter`]), [`Error::MissingTool`] without iproute2.
    pub fn new() -> Result<Self> {
        if !sandbox::is_inside() {
            return Err(Error::Invalid(
                "a lab is built inside a sandbox: call holdfast_lab::sandbox::enter() first in main"
                    .to_owned(),
            ));
        }
        command::require_tools(&["ip", "bridge"])?;
        let name = format!("lab{}", LABS.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(sandbox::FOLDER).join(format!("{name}-{}", process::id()));
        fs::create_dir(&folder).doing(|| format!("create {}", folder.display()))?;
        let switch = Arc::new(NetNs::create(&format!("{name}-switch"))?);
        switch.set_sysctl("ipv6/conf/default/disable_ipv6", "1")?;
        let lab = Self {
            name,
            folder,
            switch,
            next_number: Mutex::new(1),
        };
        lab.add_bridge(0)?;
        Ok(lab)
    }

    /// Adds a node called `name` (lower-case letters, digits and dashes, at most 11 bytes).
    ///
    /// # Errors
    /// [`Error::Invalid`] for another name, [`Error::System`] when the name is taken.
    pub fn node(&self, name: &str) -> Result<Node> {
        let number = {
            let mut next = self.next_number.lock().unwrap_or_else(PoisonError::into_inner);
            let number = *next;
            *next += 1;
            number
        };
        if number >= CLIENT_NUMBER {
            return Err(Error::Invalid(format!(
                "a lab has room for {} nodes",
                CLIENT_NUMBER - 1
            )));
        }
        self.numbered_node(name, number)
    }

    /// Adds the node that asks for virtual addresses, 10.77.0.250 and fd77::fa.
    ///
    /// # Errors
    /// [`Error::System`] when there is one already.
    pub fn client(&self) -> Result<Node> {
        self.numbered_node(CLIENT, CLIENT_NUMBER)
    }

    /// The switch's namespace, for faults and looks of your own (`ip -n NAME …`, `bridge -n NAME …`).
    pub fn switch(&self) -> &NetNs {
        &self.switch
    }

    /// The folder with configurations and logs; it is gone when the sandbox ends.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds a switch that nodes can be plugged into besides the first, which has number 0
    /// (see [`Node::add_interface`]).
    ///
    /// # Errors
    /// [`Error::Command`] when there is one with this number.
    pub fn add_segment(&self, segment: Segment) -> Result<()> {
        self.add_bridge(segment.0)
    }

    fn add_bridge(&self, number: u8) -> Result<()> {
        // Without snooping, multicast reaches everybody at once; without delay, a plugged cable carries at once.
        let batch = format!(
            "link add name br{number} type bridge mcast_snooping 0 forward_delay 0 stp_state 0\n\
             link set dev br{number} up\n"
        );
        command::run_with_input("ip", &["-n", self.switch.name(), "-batch", "-"], &batch)?;
        Ok(())
    }

    fn numbered_node(&self, name: &str, number: u8) -> Result<Node> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > NAME_LENGTH || name == "switch" || !name.bytes().all(allowed) {
            return Err(Error::Invalid(format!(
                "`{name}` cannot name a node: use 1 to {NAME_LENGTH} lower-case letters, digits and dashes"
            )));
        }
        Node::build(&self.name, name, number, &self.folder, &self.switch)
    }
}

/// One of a lab's switches: 0 is there from the start, others are added with [`Lab::add_segment`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment(pub u8);

impl Segment {
    /// The segment every node is born on.
    pub const FIRST: Self = Self(0);

    /// The address of node `number` here: 10.77.0.N on the first segment, 10.78.0.N on the next, and so on.
    pub fn ipv4(self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77_u8.wrapping_add(self.0), 0, number)
    }

    /// The address of node `number` here: fd77::N on the first segment, fd78::N on the next, and so on.
    pub fn ipv6(self, number: u8) -> Ipv6Addr {
        // 0xfd77 and up, so that the digits read like those of the IPv4 address.
        Ipv6Addr::new(0xfd77 + u16::from(self.0), 0, 0, 0, 0, 0, 0, u16::from(number))
    }

    /// The hardware address of node `number` here; its link-local address follows from it (RFC 4291, appendix A).
    pub(crate) fn mac(self, number: u8) -> String {
        format!("02:00:00:00:{:02x}:{number:02x}", self.0)
    }

    /// The link-local address of node `number` here.
    pub fn link_local(self, number: u8) -> Ipv6Addr {
        Ipv6Addr::new(
            0xfe80,
            0,
            0,
            0,
            0,
            0x00ff,
            0xfe00,
            u16::from(self.0) << 8 | u16::from(number),
        )
    }
}

/// Waits until `condition` holds, looking every millisecond, and returns how long that took.
///
/// # Errors
/// [`Error::TimedOut`] after `patience`, with `what` as the thing that was waited for; the condition's own error.
pub fn wait_until(
    what: &str,
    patience: Duration,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<Duration> {
    let start = Instant::now();
    while !condition()? {
        if start.elapsed() >= patience {
            return Err(Error::TimedOut {
                what: what.to_owned(),
                after: patience,
            });
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_from_segment_and_number() {
        assert_eq!(Segment::FIRST.ipv4(3).to_string(), "10.77.0.3");
        assert_eq!(Segment(1).ipv6(250).to_string(), "fd78::fa");
        assert_eq!(Segment::FIRST.mac(3), "02:00:00:00:00:03");
        assert_eq!(Segment::FIRST.link_local(3).to_string(), "fe80::ff:fe00:3");
    }

    #[test]
    fn a_lab_outside_of_a_sandbox_says_how_to_get_one() {
        assert!(Lab::new().unwrap_err().to_string().contains("sandbox::enter()"));
    }
}
