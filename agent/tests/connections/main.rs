//! Connections of addresses that leave the node or have left it, against the kernel, in a namespace of each test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Lints know test functions, not their helpers.

#[path = "../isolated/mod.rs"]
mod isolated;
mod leaving;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use holdfast_agent::connections::{self, Closed, Counts, News, Released};
use isolated::{beyond, ip, isolated};
use nix::errno::Errno;
use nix::sys::socket::sockopt::SocketError;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, getsockopt, socket};
use socket2::{Domain, Socket, Type};

const NODE: &str = "10.0.0.11";
const NODE6: &str = "fd00::11";
const VIP: &str = "10.0.0.100";
const VIP6: &str = "fd00::100";
const OTHER_VIP: &str = "10.0.0.101";

/// How long the thread may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The thread, and what it tells.
struct Closer {
    released: Released,
    news: Receiver<News>,
}

impl Closer {
    fn start() -> Self {
        let (tell, news) = channel();
        let (released, _end) = connections::spawn(move |told| drop(tell.send(told))).unwrap();
        Self { released, news }
    }

    fn release(&self, addresses: &[&str]) {
        self.released
            .tell(addresses.iter().map(|address| address.parse().unwrap()).collect());
    }

    fn closed(&self) -> Closed {
        match self.news.recv_timeout(PATIENCE) {
            Ok(News::Closed(closed)) => closed,
            other => panic!("{other:?}"),
        }
    }

    /// Ends the thread and returns all that it still had to tell.
    fn end(self) -> Vec<News> {
        drop(self.released);
        self.news.iter().collect()
    }
}

/// A node with its own address and the virtual ones, all on a cable to nowhere.
fn node() {
    ip("link add eth0 type veth peer name far0");
    for link in ["far0", "eth0"] {
        ip(&format!("link set {link} up"));
    }
    for address in ["10.0.0.11/24", "10.0.0.100/32", "10.0.0.101/32"] {
        ip(&format!("address add {address} dev eth0"));
    }
    for address in ["fd00::11/64", "fd00::100/128"] {
        ip(&format!("address add {address} dev eth0 nodad"));
    }
}

fn leave(address: &str) {
    ip(&format!("address del {address} dev eth0"));
}

/// A connection of this node to itself: both ends.
struct Connection {
    client: TcpStream,
    server: TcpStream,
}

impl Connection {
    /// The client's end has the node's own address, as an agent arranges it (a kernel without its help would choose the virtual
    /// one).
    fn open(listener: &TcpListener, address: &str) -> Self {
        let address: IpAddr = address.parse().unwrap();
        let own = match address {
            IpAddr::V4(address) if address.is_loopback() => "127.0.0.1",
            IpAddr::V4(_) => NODE,
            IpAddr::V6(address) if address.is_loopback() => "::1",
            IpAddr::V6(_) => NODE6,
        };
        let client = Socket::new(Domain::for_address((address, 0).into()), Type::STREAM, None).unwrap();
        client
            .bind(&SocketAddr::new(own.parse().unwrap(), 0).into())
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        client.connect(&SocketAddr::new(address, port).into()).unwrap();
        let client = TcpStream::from(client);
        let server = listener.accept().unwrap().0;
        for end in [&client, &server] {
            end.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        }
        Self { client, server }
    }

    /// Whether bytes still go both ways.
    fn lives(&mut self) -> bool {
        let mut byte = [0];
        self.client.write_all(b"?").is_ok()
            && self.server.read_exact(&mut byte).is_ok()
            && self.server.write_all(b"!").is_ok()
            && self.client.read_exact(&mut byte).is_ok()
    }

    /// What a program that waits for the other end's answer gets.
    fn client_gets(&mut self) -> ErrorKind {
        self.client
            .read(&mut [0])
            .expect_err("the connection has ended")
            .kind()
    }
}

fn listener(address: &str) -> TcpListener {
    TcpListener::bind(address).unwrap()
}

fn addresses(of: &[&str]) -> BTreeSet<IpAddr> {
    of.iter().map(|address| address.parse().unwrap()).collect()
}

/// Go's servers listen so: IPv4 comes to their IPv6 sockets.
#[test]
fn both_ends_of_a_connection_to_an_address_that_left_are_closed_and_nothing_else() {
    isolated(|| {
        node();
        for (server, vip, node, prefix) in [
            ("0.0.0.0:0", VIP, NODE, "10.0.0.100/32"),
            ("[::]:0", OTHER_VIP, NODE, "10.0.0.101/32"),
            ("[::]:0", VIP6, NODE6, "fd00::100/128"),
        ] {
            let closer = Closer::start();
            let listener = listener(server);
            let mut gone = Connection::open(&listener, vip);
            let mut own = Connection::open(&listener, node);
            let mut loopback = Connection::open(&listener, if node == NODE { "127.0.0.1" } else { "::1" });
            leave(prefix);
            closer.release(&[vip]);
            let told = closer.closed();
            assert_eq!(told.addresses, addresses(&[vip]));
            // Over IPv6 the reset of the one end may have reached the other by then.
            let expected = if vip == VIP6 { 1..=2 } else { 2..=2 };
            assert!(
                expected.contains(&told.counts.tcp) && !told.unfinished,
                "{told:?}"
            );
            assert!(
                [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset].contains(&gone.client_gets()),
                "{vip}"
            );
            assert!(own.lives() && loopback.lives(), "{vip}");
            assert!(Connection::open(&listener, node).lives(), "the listener stays");
            assert_eq!(closer.end(), []);
        }
    });
}

#[test]
fn a_listener_bound_to_the_address_stays() {
    isolated(|| {
        node();
        let closer = Closer::start();
        let listener = listener("10.0.0.100:0");
        let _gone = Connection::open(&listener, VIP);
        leave("10.0.0.100/32");
        closer.release(&[VIP]);
        assert_eq!(closer.closed().counts.tcp, 2);
        ip("address add 10.0.0.100/32 dev eth0");
        assert!(Connection::open(&listener, VIP).lives());
    });
}

#[test]
fn connections_of_an_address_that_is_on_the_node_live() {
    isolated(|| {
        node();
        let closer = Closer::start();
        let listener = listener("0.0.0.0:0");
        let mut connection = Connection::open(&listener, VIP);
        closer.release(&[VIP]);
        assert_eq!(closer.end(), []);
        assert!(connection.lives());
    });
}

/// Nothing but its other end tells then that a connection is of the time before.
#[test]
fn a_loopback_with_small_segments_hides_no_connection() {
    isolated(|| {
        node();
        ip("link set lo mtu 1500");
        let closer = Closer::start();
        let mut gone = Connection::open(&listener("0.0.0.0:0"), VIP);
        leave("10.0.0.100/32");
        closer.release(&[VIP]);
        assert_eq!(closer.closed().counts.tcp, 2);
        assert_eq!(gone.client_gets(), ErrorKind::ConnectionAborted);
    });
}

/// As kube-proxy does it: the other end is in another namespace, and its address another one.
#[test]
fn a_client_whose_connection_is_translated_is_closed_too() {
    isolated(|| {
        ip("link add eth0 type veth peer name far0");
        ip("link set eth0 up");
        ip("address add 10.0.0.11/24 dev eth0");
        ip("address add 10.0.0.100/32 dev eth0");
        let far = beyond("far0", || {
            ip("link set far0 up");
            ip("address add 10.0.0.12/24 dev far0");
            listener("0.0.0.0:4711")
        });
        nft("table ip nat { chain out { type nat hook output priority -100; \
             ip daddr 10.0.0.100 tcp dport 4711 dnat to 10.0.0.12; }; }");
        let closer = Closer::start();
        let mut gone = Connection::open(&far, VIP);
        assert!(gone.lives());
        leave("10.0.0.100/32");
        closer.release(&[VIP]);
        let counts = Counts {
            tcp: 1,
            tracked: 1,
            ..Counts::default()
        };
        assert_eq!(closer.closed().counts, counts);
        assert_eq!(gone.client_gets(), ErrorKind::ConnectionAborted);
        // It was told through the translation, before that was forgotten.
        let told = gone.server.read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(told, Err(ErrorKind::ConnectionReset));
    });
}

/// The address moves to the far end of the cable; the clients stay here.
#[test]
fn a_connection_begun_after_the_address_has_moved_lives() {
    isolated(|| {
        ip("link add eth0 type veth peer name far0");
        ip("link set eth0 up");
        ip("address add 10.0.0.11/24 dev eth0");
        ip("address add 10.0.0.100/32 dev eth0");
        let mut old = Connection::open(&listener("0.0.0.0:0"), VIP);
        let far = beyond("far0", || {
            ip("link set far0 up");
            ip("address add 10.0.0.12/24 dev far0");
            ip("address add 10.0.0.100/32 dev far0");
            listener("0.0.0.0:4711")
        });
        leave("10.0.0.100/32");
        let mut new = Connection::open(&far, VIP);
        let opening = opening("10.0.0.101:9");
        let datagrams = connected("10.0.0.11:0", "10.0.0.100:4711");
        let closer = Closer::start();
        closer.release(&[VIP, OTHER_VIP]);
        assert_eq!(closer.closed().counts.tcp, 2);
        assert_eq!(old.client_gets(), ErrorKind::ConnectionAborted);
        assert!(new.lives());
        assert_eq!(getsockopt(&opening, SocketError), Ok(0));
        assert!(datagrams.send(b"?").is_ok());
    });
}

/// A connection that is being asked for, of an address that nobody has.
fn opening(address: &str) -> OwnedFd {
    let nonblocking = SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Inet, SockType::Stream, nonblocking, None).unwrap();
    let address: SocketAddrV4 = address.parse().unwrap();
    let outcome = connect(socket.as_raw_fd(), &SockaddrIn::from(address));
    assert_eq!(outcome, Err(Errno::EINPROGRESS));
    socket
}

fn connected(local: &str, remote: &str) -> UdpSocket {
    let socket = UdpSocket::bind(local).unwrap();
    socket.connect(remote).unwrap();
    socket
}

#[test]
fn a_udp_socket_is_closed_if_it_is_connected_from_the_address() {
    isolated(|| {
        node();
        let closer = Closer::start();
        let server = UdpSocket::bind("10.0.0.100:0").unwrap();
        let connected = connected("10.0.0.100:0", "10.0.0.200:9");
        leave("10.0.0.100/32");
        closer.release(&[VIP]);
        let counts = Counts {
            udp: 1,
            ..Counts::default()
        };
        assert_eq!(closer.closed().counts, counts);
        let kind = connected.recv(&mut [0]).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::ConnectionAborted));
        assert_eq!(getsockopt(&server, SocketError), Ok(0));
    });
}

/// More of them than the kernel is given a filter for.
#[test]
fn many_addresses_that_leave_together_are_closed_together() {
    isolated(|| {
        node();
        let vips: Vec<String> = (1..=200).map(|last| format!("10.0.1.{last}")).collect();
        for vip in &vips {
            ip(&format!("address add {vip}/32 dev eth0"));
        }
        let closer = Closer::start();
        let listener = listener("0.0.0.0:0");
        let _gone: Vec<_> = vips.iter().map(|vip| Connection::open(&listener, vip)).collect();
        let mut stays = Connection::open(&listener, VIP);
        ip("address flush dev eth0 to 10.0.1.0/24");
        closer.release(&vips.iter().map(String::as_str).collect::<Vec<_>>());
        let told = closer.closed();
        assert_eq!((told.counts.tcp, told.addresses.len()), (400, 200));
        assert!(stays.lives());
        assert_eq!(closer.end(), []);
    });
}

/// Has the kernel follow these rules in this thread's namespace.
fn nft(rules: &str) {
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("nftables is installed");
    nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
    assert!(nft.wait().unwrap().success());
}

/// The tracked connections, as the kernel lists them to whoever reads them as text.
fn tracked() -> String {
    std::fs::read_to_string("/proc/thread-self/net/nf_conntrack").unwrap()
}

#[test]
fn tracked_connections_of_the_address_are_forgotten_and_no_others() {
    isolated(|| {
        node();
        // A rule that looks at connections is what makes the kernel track those of a namespace.
        nft(
            "table inet look { chain out { type filter hook output priority 0; ct state established accept; }; }",
        );
        let closer = Closer::start();
        let listener = listener("[::]:0");
        let _gone = Connection::open(&listener, VIP);
        let _gone6 = Connection::open(&listener, VIP6);
        let mut stays = Connection::open(&listener, NODE);
        let datagrams = connected("10.0.0.11:0", "10.0.0.100:9");
        datagrams.send(b"?").unwrap();
        assert!(tracked().contains("=10.0.0.100 "), "{}", tracked());
        leave("10.0.0.100/32");
        leave("fd00::100/128");
        closer.release(&[VIP, VIP6]);
        let counts = closer.closed().counts;
        assert_eq!(counts.tracked, 3, "{}", tracked());
        let left = tracked();
        assert!(
            !left.contains("=10.0.0.100 ") && !left.contains(":0100 "),
            "{left}"
        );
        assert!(left.contains("=10.0.0.11 "), "{left}");
        assert!(stays.lives());
    });
}
