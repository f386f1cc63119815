//! The two rtnetlink sockets: one for requests and their answers, one for the kernel's news.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
    socket,
};
use tokio::io::unix::AsyncFd;

use super::change::{Command, list_neighbors};
use super::parse::{Datagram, Neighbor, News, parse};
use crate::sys;

/// So many requests go to the kernel in one datagram. Each answer takes about a kilobyte of the receive buffer, of which
/// there are 208 by default.
pub(super) const BATCH: usize = 64;

/// Room for the kernel's news while the thread waits for a lock: about four thousand of them.
const NEWS_BUFFER: usize = 8 << 20;

/// The kernel's datagrams are no larger (`NLMSG_GOODSIZE` and 32 KiB for dumps).
const DATAGRAM_LEN: usize = 64 << 10;

/// How often a dump is repeated that the kernel could not do in one go. Notifications make up for what is missed then.
const DUMP_ATTEMPTS: usize = 8;

/// The socket for requests.
///
/// The kernel carries a request out within the call that sends it and has the answer ready when that returns, so this
/// waits for locks of the kernel's and never for answers.
#[derive(Debug)]
pub(super) struct Requests {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Requests {
    pub fn open() -> io::Result<Self> {
        let socket = open(SockFlag::empty())?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![0; DATAGRAM_LEN],
        })
    }

    /// Has the kernel carry out up to [`BATCH`] commands in their order, each whether or not those before it succeeded.
    pub fn execute(&mut self, commands: &mut [Command]) -> Vec<Result<(), Errno>> {
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::new();
        for command in commands.iter_mut() {
            self.sequence = self.sequence.wrapping_add(1);
            command.header.sequence_number = self.sequence;
            command.finalize();
            let start = datagram.len();
            datagram.resize(start + command.buffer_len().next_multiple_of(4), 0);
            command.serialize(&mut datagram[start..]);
        }
        // What no answer comes to was not done, as far as anybody knows.
        let mut results = vec![Err(Errno::ENOBUFS); commands.len()];
        if let Err(error) = self.send(&datagram) {
            results.fill(Err(error));
            return results;
        }
        let mut missing = commands.len();
        while missing > 0 {
            let Ok(answers) = self.receive() else { break };
            for news in answers.news {
                let News::Answer { sequence, errno } = news else {
                    continue;
                };
                // An answer to an earlier batch, which had been given up, is of no use now.
                let index = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                let Some(result) = results.get_mut(index) else {
                    continue;
                };
                *result = if errno == 0 {
                    Ok(())
                } else {
                    Err(Errno::from_raw(errno))
                };
                missing -= 1;
            }
        }
        results
    }

    /// All links, then all addresses.
    pub fn dump(&mut self) -> Result<Vec<News>, Errno> {
        let mut all = self.dump_one(|| RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        all.extend(self.dump_one(|| RouteNetlinkMessage::GetAddress(AddressMessage::default()))?);
        Ok(all)
    }

    /// The neighbors that the kernel has asked for on an interface and that have not answered yet.
    pub fn unanswered(&mut self, interface: u32) -> Result<Vec<Neighbor>, Errno> {
        let known = self.dump_one(|| list_neighbors(interface))?.into_iter();
        // A kernel that does not know the filter tells of all interfaces.
        Ok(known
            .filter_map(|news| match news {
                News::Unanswered(neighbor) if neighbor.interface == interface => Some(neighbor),
                _ => None,
            })
            .collect())
    }

    fn dump_one(&mut self, request: impl Fn() -> RouteNetlinkMessage) -> Result<Vec<News>, Errno> {
        let mut all = Vec::new();
        for _ in 0..DUMP_ATTEMPTS {
            all.clear();
            let mut request = NetlinkMessage::from(request());
            request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
            self.sequence = self.sequence.wrapping_add(1);
            request.header.sequence_number = self.sequence;
            request.finalize();
            let mut datagram = vec![0; request.buffer_len()];
            request.serialize(&mut datagram);
            self.send(&datagram)?;
            let mut interrupted = false;
            while all.last() != Some(&News::Done) {
                let datagram = self.receive()?;
                interrupted |= datagram.interrupted;
                for news in datagram.news {
                    match news {
                        News::Answer { errno, .. } if errno != 0 => return Err(Errno::from_raw(errno)),
                        News::Answer { .. } => {}
                        news => all.push(news),
                    }
                }
            }
            if !interrupted {
                break;
            }
        }
        Ok(all)
    }

    fn send(&self, datagram: &[u8]) -> Result<(), Errno> {
        retried(|| send(self.socket.as_raw_fd(), datagram, MsgFlags::empty())).map(drop)
    }

    fn receive(&mut self) -> Result<Datagram, Errno> {
        let length = retried(|| recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT))?;
        Ok(parse(&self.buffer[..length]))
    }
}

/// The socket that hears of every change of links and addresses.
#[derive(Debug)]
pub(super) struct Listener {
    socket: AsyncFd<OwnedFd>,
    buffer: Vec<u8>,
}

/// The kernel had no room for some of its news, so that what is known may be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Overrun;

impl Listener {
    /// Subscribes. To be called within a tokio runtime.
    pub fn open() -> io::Result<Self> {
        let socket = open(SockFlag::SOCK_NONBLOCK)?;
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups.cast_unsigned()))?;
        // Without CAP_NET_ADMIN in the first user namespace only the system's limit can be had; an overrun costs a dump.
        setsockopt(&socket, RcvBufForce, &NEWS_BUFFER)
            .or_else(|_| setsockopt(&socket, RcvBuf, &NEWS_BUFFER))?;
        Ok(Self {
            socket: sys::watch(socket)?,
            buffer: vec![0; DATAGRAM_LEN],
        })
    }

    /// Waits until there is news.
    pub async fn ready(&self) -> io::Result<()> {
        // Cleared before the news is read: what comes meanwhile sets it again.
        self.socket.readable().await.map(|mut guard| guard.clear_ready())
    }

    /// Hands all news there is to `hear`, without waiting.
    pub fn drain(&mut self, mut hear: impl FnMut(News)) -> Result<(), Overrun> {
        let mut result = Ok(());
        loop {
            match recv(
                self.socket.as_fd().as_raw_fd(),
                &mut self.buffer,
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(length) => parse(&self.buffer[..length]).news.into_iter().for_each(&mut hear),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return result,
                Err(Errno::ENOBUFS) => result = Err(Overrun),
                // Nothing else is documented; whatever it is, a fresh look at everything is the answer.
                Err(_) => return Err(Overrun),
            }
        }
    }
}

fn open(flags: SockFlag) -> io::Result<OwnedFd> {
    let flags = flags | SockFlag::SOCK_CLOEXEC;
    Ok(socket(
        AddressFamily::Netlink,
        SockType::Raw,
        flags,
        SockProtocol::NetlinkRoute,
    )?)
}

fn retried(mut call: impl FnMut() -> nix::Result<usize>) -> nix::Result<usize> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;
    use core::time::Duration;
    use std::net::UdpSocket;

    use nix::sched::{CloneFlags, unshare};
    use nix::unistd::geteuid;

    use super::*;
    use crate::netlink::change::{DEAF_LIFETIME, Place, add, deafen, delete, extend};

    const LONG: Duration = Duration::from_secs(1000);

    fn places() -> [Place; 2] {
        ["10.0.0.100", "fd00::100"].map(|address| Place {
            interface: 1,
            address: address.parse().unwrap(),
            prefix_length: if address.contains(':') { 128 } else { 32 },
            peer: None,
        })
    }

    /// The seconds that the addresses of [`places`] have left, of those that are there.
    fn left(kernel: &mut Requests) -> Vec<u32> {
        let found = kernel.dump().unwrap().into_iter().filter_map(|news| match news {
            News::Address(found) if places().contains(&found.place) => found.valid,
            _ => None,
        });
        found.collect()
    }

    /// Runs `body` on a thread with a network namespace of its own; the tests in `tests/` do the same for ordinary users.
    fn isolated(body: impl FnOnce(Requests) + Send + 'static) {
        if !geteuid().is_root() {
            eprintln!("skipped: it takes root");
            return;
        }
        let test = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            body(Requests::open().unwrap());
        });
        test.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }

    #[test]
    fn the_kernel_itself_refuses_to_extend_an_address_that_is_gone() {
        isolated(|mut kernel| {
            for place in places() {
                assert!(
                    kernel.execute(&mut [extend(&place, LONG)])[0].is_err(),
                    "{place:?}"
                );
            }
            assert!(left(&mut kernel).is_empty());
        });
    }

    #[test]
    fn the_kernel_extends_an_address_that_is_there() {
        isolated(|mut kernel| {
            for place in places() {
                let mut commands = [add(&place, None, Duration::from_secs(9)), extend(&place, LONG)];
                assert_eq!(kernel.execute(&mut commands), [Ok(()), Ok(())], "{place:?}");
            }
            let left = left(&mut kernel);
            assert!(
                left.len() == 2 && left.iter().all(|seconds| *seconds > 900),
                "{left:?}"
            );
        });
    }

    #[test]
    fn what_is_deaf_is_reached_by_nobody_and_can_still_be_sent_from() {
        isolated(|mut kernel| {
            let lo = std::process::Command::new("ip")
                .args(["link", "set", "lo", "up"])
                .status();
            assert!(lo.unwrap().success());
            let [place, _] = places();
            let IpAddr::V4(address) = place.address else {
                panic!("{place:?}");
            };
            assert_eq!(kernel.execute(&mut [add(&place, None, LONG)]), [Ok(())]);
            let (here, there) = (
                UdpSocket::bind((address, 0)).unwrap(),
                UdpSocket::bind("127.0.0.1:0").unwrap(),
            );
            let mut deaf = [extend(&place, DEAF_LIFETIME), deafen(place.interface, address)];
            assert_eq!(kernel.execute(&mut deaf), [Ok(()), Ok(())]);
            assert!(there.send_to(b"?", here.local_addr().unwrap()).is_err());
            here.send_to(b"!", there.local_addr().unwrap()).unwrap();
            let (_, from) = there.recv_from(&mut [0]).unwrap();
            assert_eq!(from, here.local_addr().unwrap());
            assert!(left(&mut kernel).iter().all(|seconds| *seconds <= 1));
        });
    }

    #[test]
    fn a_command_that_fails_does_not_stop_the_others() {
        isolated(|mut kernel| {
            let [v4, v6] = places();
            let mut commands = [
                delete(&v4),
                add(&v4, None, LONG),
                delete(&v6),
                add(&v6, None, LONG),
            ];
            let results = kernel.execute(&mut commands);
            let missing = Err(Errno::EADDRNOTAVAIL);
            assert_eq!(results, [missing, Ok(()), missing, Ok(())]);
        });
    }
}
