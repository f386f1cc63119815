//! What goes wrong in real networks, one function each. A process's own faults are on [`Process`](crate::Process).

use std::net::IpAddr;

use crate::{
    command,
    error::{Error, Result},
    lab::Segment,
    node::{INTERFACE, Node},
};

/// The table on the switch that holds [`Node::lose_frames_to`]'s rules.
const TABLE: &str = "holdfast_lab";

impl Node {
    /// Pulls the node's cable out of the first segment: both ends lose their carrier.
    ///
    /// # Errors
    /// [`Error::Command`] when `ip` fails.
    pub fn unplug(&self) -> Result<()> {
        self.set_port(Segment::FIRST, "down")
    }

    /// Plugs the node's cable in again.
    ///
    /// # Errors
    /// [`Error::Command`] when `ip` fails.
    pub fn plug(&self) -> Result<()> {
        self.set_port(Segment::FIRST, "up")
    }

    /// Pulls the node's cable out of `segment`.
    ///
    /// # Errors
    /// [`Error::Command`] when the node is not on it.
    pub fn unplug_from(&self, segment: Segment) -> Result<()> {
        self.set_port(segment, "down")
    }

    /// Plugs the node's cable into `segment` again.
    ///
    /// # Errors
    /// [`Error::Command`] when the node is not on it.
    pub fn plug_into(&self, segment: Segment) -> Result<()> {
        self.set_port(segment, "up")
    }

    /// Cuts the node off from all other isolated nodes of the first segment, but not from the rest: isolate two
    /// routers, and each still reaches the client.
    ///
    /// # Errors
    /// [`Error::Command`] when `bridge` fails.
    pub fn isolate(&self) -> Result<()> {
        self.set_isolated("on")
    }

    /// Undoes [`isolate`](Self::isolate).
    ///
    /// # Errors
    /// [`Error::Command`] when `bridge` fails.
    pub fn join(&self) -> Result<()> {
        self.set_isolated("off")
    }

    /// Loses every frame from this node to `other` in the switch, and none the other way. Undone by
    /// [`heal_losses`](Self::heal_losses).
    ///
    /// # Errors
    /// [`Error::MissingTool`] without nftables.
    pub fn lose_frames_to(&self, other: &Self) -> Result<()> {
        let (from, to) = (self.port(Segment::FIRST), other.port(Segment::FIRST));
        self.switch_nft(&format!(
            "add table bridge {TABLE}\n\
             add chain bridge {TABLE} losses {{ type filter hook forward priority 0; }}\n\
             add rule bridge {TABLE} losses iifname \"{from}\" oifname \"{to}\" drop\n"
        ))
    }

    /// Ends all one-way losses of the lab.
    ///
    /// # Errors
    /// [`Error::MissingTool`] without nftables.
    pub fn heal_losses(&self) -> Result<()> {
        self.switch_nft(&format!(
            "add table bridge {TABLE}\ndelete table bridge {TABLE}\n"
        ))
    }

    /// Adds an address with its prefix length to `eth0`, as an administrator would.
    ///
    /// # Errors
    /// [`Error::Command`] when the node has it.
    pub fn add_address(&self, address: IpAddr, prefix_length: u8) -> Result<()> {
        let written = format!("{address}/{prefix_length}");
        let nodad: &[&str] = if address.is_ipv6() { &["nodad"] } else { &[] };
        self.ip(&[&["addr", "add", &written, "dev", INTERFACE], nodad].concat())
            .map(drop)
    }

    /// Deletes an address from whichever interface has it, as an administrator or another daemon would.
    ///
    /// # Errors
    /// [`Error::Invalid`] when no interface has it.
    pub fn delete_address(&self, address: IpAddr) -> Result<()> {
        let held = self.addresses()?.into_iter().find(|held| held.address == address);
        let held = held.ok_or_else(|| {
            Error::Invalid(format!(
                "{} holds no {address} that could be deleted",
                self.name()
            ))
        })?;
        let written = format!("{address}/{}", held.prefix_length);
        self.ip(&["addr", "del", &written, "dev", &held.interface])
            .map(drop)
    }

    /// Removes the node's own IPv4 address and adds it again, as some DHCP clients do when they renew.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the node lacks its address.
    pub fn renew_own_address(&self) -> Result<()> {
        let own = IpAddr::V4(self.ipv4());
        self.delete_address(own)?;
        self.add_address(own, 24)
    }

    fn set_port(&self, segment: Segment, state: &str) -> Result<()> {
        command::run(
            "ip",
            &[
                "-n",
                self.switch().name(),
                "link",
                "set",
                "dev",
                &self.port(segment),
                state,
            ],
        )
        .map(drop)
    }

    fn set_isolated(&self, state: &str) -> Result<()> {
        let port = self.port(Segment::FIRST);
        command::run(
            "bridge",
            &[
                "-n",
                self.switch().name(),
                "link",
                "set",
                "dev",
                &port,
                "isolated",
                state,
            ],
        )
        .map(drop)
    }

    fn switch_nft(&self, script: &str) -> Result<()> {
        self.switch()
            .run(|| command::run_with_input("nft", &["-f", "-"], script))
            .map(drop)
    }
}
