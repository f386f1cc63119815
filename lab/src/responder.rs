//! Answers probes in a node, with the node's name, from whichever address was asked.
//!
//! It runs whether or not an agent does, so that it tells where packets arrive, not what an agent believes.

use std::{
    io::{IoSlice, IoSliceMut},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd as _,
};

use nix::{
    cmsg_space, libc,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
    },
};
use socket2::{Domain, Socket, Type};

use crate::{
    error::{Doing as _, Result},
    node::Node,
    worker::Worker,
};

/// The UDP port probes are sent to.
pub(crate) const PORT: u16 = 7077;
/// Bytes of a question; the answer repeats them and appends the node's name.
pub(crate) const QUESTION_LENGTH: usize = 8;

/// A responder in one node; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Responder {
    _worker: Worker,
}

impl Responder {
    pub(crate) fn start(node: &Node) -> Result<Self> {
        let sockets = node.netns().run(|| {
            let v4 = bound(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)))?;
            setsockopt(&v4, sockopt::Ipv4PacketInfo, &true).doing(|| "set IP_PKTINFO".to_owned())?;
            let v6 = bound(SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)))?;
            setsockopt(&v6, sockopt::Ipv6RecvPacketInfo, &true)
                .doing(|| "set IPV6_RECVPKTINFO".to_owned())?;
            Ok(vec![v4, v6])
        })?;
        let name = node.name().as_bytes().to_vec();
        let worker = Worker::serve(&format!("answer {}", node.name()), sockets, move |_, socket| {
            // A question that cannot be answered any more (the address has just gone) is a lost question.
            let _ = answer(socket, &name);
        })?;
        Ok(Self { _worker: worker })
    }
}

fn bound(address: SocketAddr) -> Result<UdpSocket> {
    let open = || -> std::io::Result<UdpSocket> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(UdpSocket::from(socket))
    };
    open().doing(|| format!("open a UDP socket on {address}"))
}

fn answer(socket: &UdpSocket, name: &[u8]) -> nix::Result<()> {
    let mut question = [0_u8; QUESTION_LENGTH];
    let mut iov = [IoSliceMut::new(&mut question)];
    let mut space = cmsg_space!(libc::in6_pktinfo);
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut iov, Some(&mut space), MsgFlags::empty())?;
    let (asker, info) = (message.address, message.cmsgs()?.next());
    let answer = [IoSlice::new(&question), IoSlice::new(name)];
    let send = |control: ControlMessage<'_>| {
        sendmsg(
            socket.as_raw_fd(),
            &answer,
            &[control],
            MsgFlags::MSG_DONTWAIT,
            asker.as_ref(),
        )
        .map(drop)
    };
    match info {
        Some(ControlMessageOwned::Ipv4PacketInfo(to)) => {
            let from = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: to.ipi_addr,
                ipi_addr: to.ipi_addr,
            };
            send(ControlMessage::Ipv4PacketInfo(&from))
        }
        Some(ControlMessageOwned::Ipv6PacketInfo(to)) => {
            let from = libc::in6_pktinfo {
                ipi6_addr: to.ipi6_addr,
                ipi6_ifindex: 0,
            };
            send(ControlMessage::Ipv6PacketInfo(&from))
        }
        _ => Ok(()),
    }
}
