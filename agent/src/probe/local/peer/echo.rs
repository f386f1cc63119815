//! Asks an address by an ICMP echo, as `ping` does: passes when the answer comes.

use core::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use holdfast_health::{Outcome, Run};
use holdfast_vrrp::Family;
use holdfast_vrrp::wire::echo;
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{MsgFlags, recv, send};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::REPEAT;
use crate::probe::check::{Check, Scene};
use crate::socket::echo_program;
use crate::sys;

/// Longer than any answer with its headers.
const LONGEST: usize = 256;

/// Asks again and again.
#[derive(Clone, Debug)]
pub struct Echo {
    address: IpAddr,
    interface: Option<String>,
}

impl Echo {
    /// An address, on this interface or the one that routes lead through.
    pub fn new(address: IpAddr, interface: Option<String>) -> Self {
        Self { address, interface }
    }

    async fn attempt(&self, scene: &Scene) -> io::Result<()> {
        let family = Family::of(self.address);
        let question = random(echo::Echo {
            identifier: 0,
            sequence: 0,
            payload: [0; echo::Echo::PAYLOAD_LEN],
        });
        let socket: AsyncFd<OwnedFd> = sys::watch(self.open(question.identifier, scene)?.into())?;
        for sequence in 0..=u16::MAX {
            let question = echo::Echo { sequence, ..question };
            let mut message = Vec::new();
            question.emit_request(family, &mut message);
            send(socket.as_raw_fd(), &message, MsgFlags::MSG_DONTWAIT)?;
            // A late answer to an earlier question is an answer.
            let is_answer = |heard: echo::Echo| {
                (heard.identifier, heard.payload) == (question.identifier, question.payload)
                    && heard.sequence <= sequence
            };
            if let Ok(heard) = timeout(REPEAT, hear(&socket, family, is_answer)).await {
                return heard;
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// A socket that hears answers of the address to questions with this identifier, and nothing else. A new one each time: so
    /// the kernel chooses by the routes of today where and from whom it asks.
    fn open(&self, identifier: u16, scene: &Scene) -> io::Result<Socket> {
        let family = Family::of(self.address);
        let (domain, protocol) = match family {
            Family::V4 => (Domain::IPV4, Protocol::ICMPV4),
            Family::V6 => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
        socket.attach_filter(&echo_program(family, identifier).encode())?;
        if let Some(interface) = &self.interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        let address = match self.address {
            // Every link has an address like this: it takes an interface to tell them apart.
            IpAddr::V6(address) if address.is_unicast_link_local() => {
                let interface = self.interface.as_ref().or(scene.interface.as_ref());
                let scope = interface.map_or(Ok(0), |name| if_nametoindex(name.as_str()))?;
                SocketAddr::V6(SocketAddrV6::new(address, 0, 0, scope))
            }
            address => SocketAddr::new(address, 0),
        };
        socket.connect(&address.into())?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    fn judge(&self, result: io::Result<()>) -> Run {
        let Err(error) = result else {
            return Run::new(Outcome::Passed, "");
        };
        let address = self.address;
        let interface = self.interface.as_deref().unwrap_or_default();
        match error.raw_os_error() {
            Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => {
                Run::new(Outcome::Failed, format!("{address} cannot be reached: {error}"))
            }
            Some(libc::ENETDOWN) => Run::new(Outcome::Failed, format!("{address} cannot be asked: {error}")),
            Some(libc::ENODEV) => Run::new(Outcome::Failed, format!("{interface} does not exist")),
            Some(libc::EINVAL) => Run::new(
                Outcome::CouldNotRun,
                format!("{address} is on every link: name the interface to ask on"),
            ),
            Some(libc::EACCES) => Run::new(
                Outcome::CouldNotRun,
                format!("{address} is no single host's address, or must not be asked: {error}"),
            ),
            _ => Run::new(
                Outcome::CouldNotRun,
                format!("{address} cannot be asked: {error}"),
            ),
        }
    }
}

impl Check for Echo {
    fn run<'a>(&'a mut self, scene: &'a Scene) -> BoxFuture<'a, Run> {
        async move { self.judge(self.attempt(scene).await) }.boxed()
    }
}

/// Waits for a message that `is_answer`, or for the kernel's word that none will come.
async fn hear(
    socket: &AsyncFd<OwnedFd>,
    family: Family,
    is_answer: impl Fn(echo::Echo) -> bool,
) -> io::Result<()> {
    let mut buffer = [0; LONGEST];
    loop {
        let mut ready = socket.readable().await?;
        match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => {
                let message = payload(family, buffer.get(..length).unwrap_or_default());
                if echo::Echo::parse_reply(family, message).is_some_and(&is_answer) {
                    return Ok(());
                }
            }
            Err(Errno::EAGAIN) => ready.clear_ready(),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What is behind the IP header, which a raw IPv4 socket gets as well.
fn payload(family: Family, packet: &[u8]) -> &[u8] {
    let header = match (family, packet.first()) {
        (Family::V4, Some(first)) => usize::from(first & 15) * 4,
        _ => 0,
    };
    packet.get(header..).unwrap_or_default()
}

/// The same with an identifier and a payload that nobody guesses, so that nobody answers without having been asked.
fn random(mut question: echo::Echo) -> echo::Echo {
    let number = || RandomState::new().build_hasher().finish().to_ne_bytes();
    for chunk in question.payload.as_chunks_mut().0 {
        *chunk = number();
    }
    let [low, high, ..] = number();
    question.identifier = u16::from_ne_bytes([low, high]);
    question
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_question_is_like_another() {
        let question = || {
            random(echo::Echo {
                identifier: 0,
                sequence: 0,
                payload: [0; echo::Echo::PAYLOAD_LEN],
            })
        };
        let (one, other) = (question(), question());
        assert_ne!(one.payload, other.payload);
        assert!(one.payload.chunks(8).all(|chunk| chunk != [0; 8]), "{one:?}");
    }

    #[test]
    fn the_ip_header_is_taken_off_whatever_its_length() {
        assert_eq!(payload(Family::V4, &[&[0x45; 20][..], &[9]].concat()), [9]);
        assert_eq!(payload(Family::V4, &[&[0x46; 24][..], &[9]].concat()), [9]);
        assert!(payload(Family::V4, &[0x4f; 20]).is_empty());
        assert!(payload(Family::V4, &[]).is_empty());
        assert_eq!(payload(Family::V6, &[129, 0]), [129, 0]);
    }
}
