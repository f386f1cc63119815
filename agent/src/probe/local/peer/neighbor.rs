//! Asks an address on the link by ARP or neighbor discovery: passes when it answers itself, whatever the kernel remembers of it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::io;
use std::os::fd::OwnedFd;

use futures::FutureExt as _;
use futures::future::{BoxFuture, select_all};
use holdfast_health::{Outcome, Run};
use holdfast_vrrp::wire::ethernet::MacAddress;
use holdfast_vrrp::wire::{arp, ndp};
use ipnet::IpNet;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::REPEAT;
use crate::probe::check::{Check, Scene};
use crate::probe::local::kernel::{self, Address};
use crate::probe::local::turn::Turns;
use crate::socket::{FrameOutbox, NeighborSocket};
use crate::sys;

const HELD_UP: &str = "an earlier run still waits for the kernel to show the interface";

/// Asks again and again.
#[derive(Debug)]
pub struct Neighbor {
    address: IpAddr,
    interface: Option<String>,
    turns: Turns,
    /// Kept from run to run: the kernel takes its time to close such a socket.
    ear: Option<Ear>,
}

/// Hears answers on one interface.
#[derive(Debug)]
struct Ear {
    name: String,
    index: u32,
    socket: NeighborSocket,
    ready: Vec<AsyncFd<OwnedFd>>,
}

/// What a question is made of.
#[derive(Clone, Copy, Debug)]
struct Asker {
    index: u32,
    mac: MacAddress,
    source: Option<IpAddr>,
}

impl Neighbor {
    /// About this address, on this interface or that of the group.
    pub fn new(address: IpAddr, interface: Option<String>) -> Self {
        Self {
            address,
            interface,
            turns: Turns::default(),
            ear: None,
        }
    }

    async fn attempt(&mut self, scene: &Scene) -> Result<Run, Run> {
        let Some(name) = self.interface.clone().or_else(|| scene.interface.clone()) else {
            let why = "the group's interface is not known yet: name one with the probe";
            return Err(Run::new(Outcome::CouldNotRun, why));
        };
        let (address, known) = (self.address, self.ear.take());
        let on = name.clone();
        let (asker, ear) = self
            .turns
            .work(HELD_UP, move || {
                let asker = asker(&on, address)?;
                // What is left of another interface is closed here, where that may take long.
                let known = known.filter(|ear| ear.name == on && ear.index == asker.index);
                let ear = match known {
                    Some(ear) => ear,
                    None => Ear::open(on.clone(), asker.index, address)
                        .map_err(|error| cannot_ask(&on, &error))?,
                };
                Ok::<_, Run>((asker, ear))
            })
            .await??;
        let ear = self.ear.insert(ear);
        // Whoever has spoken before has not answered.
        let spoken = ear
            .hears(address, asker.mac)
            .map_err(|error| cannot_ask(&name, &error));
        let mut heard = spoken.map(|_| false)?;
        while !heard {
            ear.ask(address, asker)
                .map_err(|error| cannot_ask(&name, &error))?;
            let answer = async {
                while !ear.hears(address, asker.mac)? {
                    readable(&ear.ready).await?;
                }
                Ok(())
            };
            heard = match timeout(REPEAT, answer).await {
                Ok(answer) => answer.map(|()| true).map_err(|error| cannot_ask(&name, &error))?,
                Err(_) => false,
            };
        }
        Ok(Run::new(Outcome::Passed, ""))
    }
}

impl Check for Neighbor {
    fn run<'a>(&'a mut self, scene: &'a Scene) -> BoxFuture<'a, Run> {
        self.attempt(scene)
            .map(|result| result.unwrap_or_else(|run| run))
            .boxed()
    }
}

impl Drop for Neighbor {
    fn drop(&mut self) {
        // Other probes must not wait until the kernel has closed its sockets.
        if let (Some(ear), Ok(runtime)) = (self.ear.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn_blocking(move || drop(ear));
        }
    }
}

impl Ear {
    fn open(name: String, index: u32, address: IpAddr) -> io::Result<Self> {
        let mut socket = NeighborSocket::open(&name, index)?;
        socket.watch(&[address].into())?;
        let ready = socket
            .receivers()
            .map(|receiver| receiver.try_clone_to_owned().and_then(sys::watch))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            name,
            index,
            socket,
            ready,
        })
    }

    fn ask(&self, address: IpAddr, asker: Asker) -> io::Result<()> {
        let mut outbox = FrameOutbox::default();
        outbox.push(|frame| question(address, asker, frame));
        match self.socket.send(&mut outbox).failed.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Whether somebody else than this node has said that it holds the address, since the last time.
    fn hears(&mut self, address: IpAddr, own: MacAddress) -> io::Result<bool> {
        let mut claims = Vec::new();
        while self.socket.receive(&mut claims)? > 0 {}
        Ok(claims
            .iter()
            .any(|claim| claim.address == address && claim.mac != own))
    }
}

/// Waits until something may have come to one of the receivers.
async fn readable(receivers: &[AsyncFd<OwnedFd>]) -> io::Result<()> {
    let each = receivers.iter().map(|receiver| {
        async move {
            // Cleared before it is read: what comes meanwhile sets it again.
            receiver.readable().await.map(|mut ready| ready.clear_ready())
        }
        .boxed()
    });
    select_all(each).await.0
}

fn cannot_ask(interface: &str, error: &io::Error) -> Run {
    match error.raw_os_error() {
        Some(libc::ENETDOWN) => Run::new(Outcome::Failed, format!("{interface} is down")),
        Some(libc::ENODEV | libc::ENXIO) => Run::new(Outcome::Failed, format!("{interface} does not exist")),
        _ => Run::new(
            Outcome::CouldNotRun,
            format!("nobody can be asked on {interface}: {error}"),
        ),
    }
}

/// Who asks for `address` on the interface of this name.
fn asker(name: &str, address: IpAddr) -> Result<Asker, Run> {
    let unknown = |error| {
        Run::new(
            Outcome::CouldNotRun,
            format!("the kernel does not show {name}: {error}"),
        )
    };
    let failed = |why: &str| Run::new(Outcome::Failed, format!("{name} {why}"));
    let link = kernel::link(name).map_err(unknown)?;
    let link = link.ok_or_else(|| failed("does not exist"))?;
    let Some(mac) = link.mac else {
        let why = format!("{name} has no hardware address, so that it has no neighbors: ask by `ICMP`");
        return Err(Run::new(Outcome::CouldNotRun, why));
    };
    let addresses = kernel::addresses(link.index).map_err(unknown)?;
    if addresses.iter().any(|ours| ours.ip == address) {
        return Err(Run::new(
            Outcome::Failed,
            format!("{address} is an address of this node itself"),
        ));
    }
    Ok(Asker {
        index: link.index,
        mac,
        source: source(&addresses, address),
    })
}

/// From which of the interface's addresses to ask: one of the node's own, never a virtual one, whose owner would change in the
/// caches of whoever hears it. The nearest to the target, and for neighbor discovery a link-local one, which is near to all.
fn source(addresses: &[Address], target: IpAddr) -> Option<IpAddr> {
    let distance = |address: &&Address| match address.ip {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => 0,
        ip => u8::from(IpNet::new(ip, address.prefix_length).is_ok_and(|net| !net.contains(&target))) + 1,
    };
    addresses
        .iter()
        .filter(|address| address.own && address.ip.is_ipv4() == target.is_ipv4())
        .min_by_key(distance)
        .map(|address| address.ip)
}

/// The frame that asks for `address`. Without an address of its own the node claims none by asking.
fn question(address: IpAddr, asker: Asker, frame: &mut Vec<u8>) {
    let mac = asker.mac;
    match (address, asker.source) {
        (IpAddr::V4(address), source) => {
            let sender_address = match source {
                Some(IpAddr::V4(source)) => source,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            let question = arp::Packet {
                sender_address,
                ..arp::Packet::probe(mac, address)
            };
            question.emit_frame(frame);
        }
        (IpAddr::V6(target), Some(IpAddr::V6(source))) => {
            let question = ndp::Packet::Solicitation {
                target,
                mac: Some(mac),
            };
            question.emit_frame(mac, source, frame);
        }
        (IpAddr::V6(target), _) => {
            ndp::Packet::probe(target).emit_frame(mac, Ipv6Addr::UNSPECIFIED, frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(address: &str, own: bool) -> Address {
        let net: IpNet = address.parse().unwrap();
        Address {
            ip: net.addr(),
            prefix_length: net.prefix_len(),
            own,
        }
    }

    fn from(addresses: &[Address], target: &str) -> Option<String> {
        source(addresses, target.parse().unwrap()).map(|source| source.to_string())
    }

    #[test]
    fn a_node_asks_from_its_own_address_and_never_from_a_virtual_one() {
        let addresses = [
            ours("192.0.2.100/24", false),
            ours("198.51.100.11/24", true),
            ours("192.0.2.11/24", true),
            ours("fd00::100/64", false),
            ours("fd00::11/64", true),
            ours("fe80::11/64", true),
        ];
        for (target, source) in [
            ("192.0.2.1", "192.0.2.11"),
            ("198.51.100.1", "198.51.100.11"),
            ("203.0.113.1", "198.51.100.11"),
            ("fd00::1", "fe80::11"),
            ("fe80::1", "fe80::11"),
        ] {
            assert_eq!(from(&addresses, target).as_deref(), Some(source), "{target}");
        }
        assert_eq!(from(&addresses[3..5], "fd00::1").as_deref(), Some("fd00::11"));
        assert_eq!(from(&addresses[..1], "192.0.2.1"), None);
        assert_eq!(from(&addresses[3..4], "fd00::1"), None);
    }

    #[test]
    fn a_node_without_an_address_claims_none_by_asking() {
        let asker = Asker {
            index: 2,
            mac: MacAddress([2, 0, 0, 0, 0, 1]),
            source: None,
        };
        let mut frame = Vec::new();
        question("192.0.2.1".parse().unwrap(), asker, &mut frame);
        let heard = arp::Packet::parse_frame(&frame).unwrap();
        assert_eq!(
            (heard.target_address, heard.claimed_address()),
            ([192, 0, 2, 1].into(), None)
        );
        frame.clear();
        question("fd00::1".parse().unwrap(), asker, &mut frame);
        let heard = ndp::Frame::parse(&frame).unwrap();
        assert_eq!(heard.claimed_address(), None);
        let asker = Asker {
            source: Some("192.0.2.11".parse().unwrap()),
            ..asker
        };
        frame.clear();
        question("192.0.2.1".parse().unwrap(), asker, &mut frame);
        let heard = arp::Packet::parse_frame(&frame).unwrap();
        assert_eq!(
            (heard.operation, heard.sender_address),
            (arp::Operation::Request, [192, 0, 2, 11].into())
        );
    }
}
