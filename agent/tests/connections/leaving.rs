//! Addresses that leave as an agent gives them away: who is told before they are gone, and what becomes of the address.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_agent::netlink::{self, Binding, Message, MessageReceiver, Request};
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Socket, Type};

use crate::isolated::{beyond, ip, isolated};
use crate::{Closer, Connection, NODE, NODE6, OTHER_VIP, PATIENCE, VIP, VIP6, listener};

/// A node that gives its addresses away as an agent does: by the netlink thread, which knows who closes connections. Beside it,
/// at the other end of the cable, are those who are connected to it from elsewhere.
struct Leaver {
    closer: Closer,
    requests: tokio::sync::mpsc::Sender<Request>,
    messages: MessageReceiver,
    eth0: u32,
    /// Not connected yet.
    elsewhere: Vec<Socket>,
}

impl Leaver {
    fn start() -> Self {
        ip("link add eth0 type veth peer name far0");
        ip("link set eth0 up");
        ip("address add 10.0.0.11/24 dev eth0");
        ip("address add fd00::11/64 dev eth0 nodad");
        let elsewhere = beyond("far0", || {
            ip("link set far0 up");
            ip("address add 10.0.0.12/24 dev far0");
            ip("address add fd00::12/64 dev far0 nodad");
            let ends = ["10.0.0.12:0", "10.0.0.12:0", "[fd00::12]:0"];
            ends.map(|end| bound(end.parse().unwrap())).into()
        });
        let closer = Closer::start();
        let (requests, receiver) = tokio::sync::mpsc::channel(8);
        let (sender, messages) = netlink::channel().unwrap();
        netlink::spawn(receiver, sender, Some(closer.released.clone())).unwrap();
        let leaver = Self {
            closer,
            requests,
            messages,
            eth0: if_nametoindex("eth0").unwrap(),
            elsewhere,
        };
        leaver.until(&Message::Synced);
        leaver
    }

    fn bindings(&self, address: &str) -> Arc<[Binding]> {
        let address: IpAddr = address.parse().unwrap();
        let (prefix_length, source) = if address.is_ipv4() {
            (32, NODE)
        } else {
            (128, NODE6)
        };
        let preferred_source = source.parse().ok();
        let label = None;
        [Binding {
            interface: self.eth0,
            address,
            prefix_length,
            label,
            preferred_source,
        }]
        .into()
    }

    fn ask_to_bind(&self, address: &str) {
        let (bindings, lifetime) = (self.bindings(address), Duration::from_secs(30));
        let request = Request::Bind {
            ticket: 1,
            bindings,
            lifetime,
        };
        self.requests.blocking_send(request).unwrap();
    }

    fn ask_to_unbind(&self, address: &str) {
        let bindings = self.bindings(address);
        let request = Request::Unbind { ticket: 2, bindings };
        self.requests.blocking_send(request).unwrap();
    }

    fn bind(&self, address: &str) {
        self.ask_to_bind(address);
        self.until(&Message::Bound { ticket: 1 });
    }

    fn unbind(&self, address: &str) {
        self.ask_to_unbind(address);
        self.until(&Message::Unbound { ticket: 2 });
    }

    fn until(&self, last: &Message) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.messages.rearm();
            while let Some(message) = self.messages.try_recv() {
                if message == *last {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "{last:?} did not come");
            let mut ready = [PollFd::new(self.messages.as_fd(), PollFlags::POLLIN)];
            poll(&mut ready, PollTimeout::from(500_u16)).unwrap();
        }
    }

    /// A connection from elsewhere, whose client has asked something, waits, and is not answered.
    fn waiting(&mut self, listener: &TcpListener, address: &str) -> Connection {
        let address: IpAddr = address.parse().unwrap();
        let same_family = |socket: &Socket| {
            let local = socket.local_addr().unwrap().as_socket().unwrap();
            local.is_ipv4() == address.is_ipv4()
        };
        let at = self.elsewhere.iter().position(same_family).unwrap();
        let client = self.elsewhere.swap_remove(at);
        let port = listener.local_addr().unwrap().port();
        client.connect(&SocketAddr::new(address, port).into()).unwrap();
        let mut connection = Connection {
            client: client.into(),
            server: listener.accept().unwrap().0,
        };
        for end in [&connection.client, &connection.server] {
            end.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        connection.client.write_all(b"?").unwrap();
        connection.server.read_exact(&mut [0]).unwrap();
        connection
    }
}

fn bound(end: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(end), Type::STREAM, None).unwrap();
    socket.bind(&end.into()).unwrap();
    socket
}

/// Over IPv4 the kernel sends a reset only from an address that it has; over IPv6 it sends one from an address that has left.
#[test]
fn a_client_that_only_waits_for_an_answer_is_told_when_the_address_leaves() {
    isolated(|| {
        let mut leaver = Leaver::start();
        for (server, vip) in [
            ("0.0.0.0:0", VIP),
            // Go's servers listen so.
            ("[::]:0", OTHER_VIP),
            ("[::]:0", VIP6),
        ] {
            leaver.bind(vip);
            let listener = listener(server);
            let mut waiting = leaver.waiting(&listener, vip);
            let mut here = Connection::open(&listener, vip);
            let mut own = Connection::open(&listener, if vip == VIP6 { NODE6 } else { NODE });
            let start = Instant::now();
            leaver.unbind(vip);
            let unbound = start.elapsed();
            if vip != VIP6 {
                // By what was sent before the address went.
                assert_eq!(waiting.client_gets(), ErrorKind::ConnectionReset, "{vip}");
                assert_eq!(leaver.closer.closed().counts.tcp, 1, "{vip}");
            }
            leaver.closer.release(&[vip]);
            if vip == VIP6 {
                assert_eq!(waiting.client_gets(), ErrorKind::ConnectionReset);
            }
            println!(
                "{vip}: away {unbound:?} after that was asked for, its client elsewhere reset {:?} after that",
                start.elapsed()
            );
            // And those on the node as ever.
            let told = leaver.closer.closed();
            assert!((2..=3).contains(&told.counts.tcp), "{told:?}");
            assert!(
                [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset].contains(&here.client_gets()),
                "{vip}"
            );
            assert!(own.lives(), "{vip}");
        }
    });
}

#[test]
fn a_listener_bound_to_an_address_that_leaves_and_returns_still_listens() {
    isolated(|| {
        let mut leaver = Leaver::start();
        leaver.bind(VIP);
        let listener = listener("10.0.0.100:0");
        let mut waiting = leaver.waiting(&listener, VIP);
        leaver.unbind(VIP);
        assert_eq!(waiting.client_gets(), ErrorKind::ConnectionReset);
        leaver.bind(VIP);
        leaver.waiting(&listener, VIP);
    });
}

#[test]
fn an_address_that_is_wanted_back_while_it_leaves_is_whole() {
    isolated(|| {
        let mut leaver = Leaver::start();
        leaver.bind(VIP);
        leaver.ask_to_unbind(VIP);
        leaver.ask_to_bind(VIP);
        leaver.until(&Message::Unbound { ticket: 2 });
        leaver.until(&Message::Bound { ticket: 1 });
        leaver.waiting(&listener("0.0.0.0:0"), VIP);
    });
}

#[test]
fn connections_of_an_address_that_stays_on_another_interface_live() {
    isolated(|| {
        let mut leaver = Leaver::start();
        ip("address add 10.0.0.100/32 dev lo");
        leaver.bind(VIP);
        let mut connection = leaver.waiting(&listener("0.0.0.0:0"), VIP);
        leaver.unbind(VIP);
        leaver.closer.release(&[VIP]);
        assert!(connection.lives());
    });
}
