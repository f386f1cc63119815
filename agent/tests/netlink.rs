//! The netlink thread against the kernel, in a namespace of each test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Lints know test functions, not their helpers.

mod isolated;

use core::net::IpAddr;
use core::slice;
use core::time::Duration;
use std::io::Write;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::{JoinHandle, sleep};
use std::time::Instant;

use holdfast_agent::clock;
use holdfast_agent::netlink::{self, Address, Binding, Message, MessageReceiver, Request};
use isolated::{ip, isolated, sysctl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc;

const LIFETIME: Duration = Duration::from_secs(30);
const NODE: &str = "10.0.0.11";
const VIP: &str = "10.0.0.100";

/// A node with one link (`eth0`, cable to `far0`) and its netlink thread.
struct Node {
    requests: mpsc::Sender<Request>,
    messages: MessageReceiver,
    thread: JoinHandle<()>,
    /// What the thread told before it was asked for anything.
    state: Vec<Message>,
    eth0: u32,
}

impl Node {
    fn new() -> Self {
        ip("link add eth0 type veth peer name far0");
        for link in ["far0", "eth0"] {
            ip(&format!("link set {link} addrgenmode none"));
            ip(&format!("link set {link} up"));
        }
        ip("address add 10.0.0.11/24 dev eth0");
        ip("address add fd00::11/64 dev eth0 nodad");
        // The kernel does this much later, and it would look like a change.
        while ![
            "local fd00::11 ",
            "multicast ff00::/8 dev eth0 ",
            "multicast ff00::/8 dev far0 ",
        ]
        .iter()
        .all(|route| ip("-6 route show table local").contains(route))
        {
            sleep(Duration::from_millis(10));
        }
        Self::again()
    }

    /// A netlink thread in a namespace that is set up.
    fn again() -> Self {
        let (requests, receiver) = mpsc::channel(64);
        let (sender, messages) = netlink::channel().unwrap();
        let thread = netlink::spawn(receiver, sender, None).unwrap();
        let mut node = Self {
            requests,
            messages,
            thread,
            state: Vec::new(),
            eth0: 0,
        };
        node.state = node.until(|message| *message == Message::Synced);
        let eth0 = node.state.iter().find_map(|message| match message {
            Message::Link(link) if link.name == "eth0" => Some(link.index),
            _ => None,
        });
        node.eth0 = eth0.expect("eth0 is told");
        node
    }

    fn binding(&self, address: &str) -> Binding {
        let address: IpAddr = address.parse().unwrap();
        let (prefix_length, source) = if address.is_ipv4() {
            (32, NODE)
        } else {
            (128, "fd00::11")
        };
        Binding {
            interface: self.eth0,
            address,
            prefix_length,
            label: None,
            preferred_source: source.parse().ok(),
        }
    }

    fn ask(&self, request: Request) {
        self.requests.blocking_send(request).unwrap();
    }

    fn bind(&self, bindings: &[Binding], lifetime: Duration) -> Vec<Message> {
        self.ask(Request::Bind {
            ticket: 1,
            bindings: bindings.into(),
            lifetime,
        });
        self.until(|message| matches!(message, Message::Bound { .. } | Message::BindFailed { .. }))
    }

    fn bind_well(&self, bindings: &[Binding], lifetime: Duration) -> Vec<Message> {
        let messages = self.bind(bindings, lifetime);
        assert_eq!(messages.last(), Some(&Message::Bound { ticket: 1 }));
        messages
    }

    fn renew(&self, bindings: &[Binding], lifetime: Duration) {
        let not_after = clock::now() + Duration::from_secs(1);
        self.ask(Request::Renew {
            bindings: bindings.into(),
            lifetime,
            not_after,
        });
    }

    fn unbind(&self, bindings: &[Binding]) -> Vec<Message> {
        self.ask(Request::Unbind {
            ticket: 2,
            bindings: bindings.into(),
        });
        self.until(|message| *message == Message::Unbound { ticket: 2 })
    }

    /// What comes up to the first message for which `last` holds.
    fn until(&self, last: impl Fn(&Message) -> bool) -> Vec<Message> {
        let mut messages = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            self.messages.rearm();
            while let Some(message) = self.messages.try_recv() {
                messages.push(message);
                if messages.last().is_some_and(&last) {
                    return messages;
                }
            }
            assert!(Instant::now() < deadline, "only these came: {messages:#?}");
            let mut ready = [PollFd::new(self.messages.as_fd(), PollFlags::POLLIN)];
            poll(&mut ready, PollTimeout::from(500_u16)).unwrap();
        }
    }

    /// What comes without being waited for. A bind of nothing marks the end: what was before it is told before it.
    fn told(&self) -> Vec<Message> {
        let mut messages = self.bind(&[], LIFETIME);
        messages.pop();
        messages
    }

    fn stop(self) {
        self.ask(Request::Stop);
        self.thread.join().unwrap();
    }
}

fn address<'a>(messages: &'a [Message], wanted: &str) -> &'a Address {
    let found = messages.iter().rev().find_map(|message| match message {
        Message::Address(address) if address.address.to_string() == wanted => Some(address),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{wanted} is not among {messages:#?}"))
}

fn gone(node: &Node, address: &str) -> Message {
    Message::AddressGone {
        interface: node.eth0,
        address: address.parse().unwrap(),
    }
}

/// Has one `ip` run all these lines.
fn ip_batch(lines: impl Iterator<Item = String>) {
    let mut batch = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = lines.collect();
    batch
        .stdin
        .take()
        .unwrap()
        .write_all(lines.join("\n").as_bytes())
        .unwrap();
    assert!(batch.wait().unwrap().success());
}

/// What the kernel would use to send to `destination`.
fn route_to(destination: &str) -> String {
    ip(&format!("route get {destination}"))
}

/// Everything there is but counters of time, to compare before and after.
fn addresses_and_routes() -> Vec<String> {
    let addresses = ip("-oneline address show dev eth0");
    let addresses = addresses
        .lines()
        .map(|line| line.split('\\').next().unwrap_or(line));
    let routes = [ip("route show table all"), ip("-6 route show table all")].concat();
    addresses
        .chain(routes.lines())
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn the_present_state_is_told_first() {
    isolated(|| {
        let node = Node::new();
        assert_eq!(node.state.first(), Some(&Message::Resync));
        assert_eq!(node.state.last(), Some(&Message::Synced));
        let link = node.state.iter().find_map(|message| match message {
            Message::Link(link) if link.index == node.eth0 => Some(link.clone()),
            _ => None,
        });
        let link = link.unwrap();
        assert!(link.up && link.mac.is_some(), "{link:?}");
        let own = address(&node.state, NODE);
        assert!(
            own.usable && !own.ours && !own.secondary && own.expires.is_none() && own.prefix_length == 24
        );
        assert!(address(&node.state, "fd00::11").usable);
        node.stop();
    });
}

#[test]
fn a_bound_address_is_usable_at_once_marked_and_mortal() {
    isolated(|| {
        let node = Node::new();
        let messages = node.bind_well(&[node.binding(VIP), node.binding("fd00::100")], LIFETIME);
        for (vip, prefix_length) in [(VIP, 32), ("fd00::100", 128)] {
            let found = address(&messages, vip);
            assert!(found.ours && found.usable, "{found:?}");
            assert_eq!(found.prefix_length, prefix_length);
            let left = found.expires.unwrap().saturating_duration_since(clock::now());
            assert!(
                left <= LIFETIME && left + Duration::from_secs(2) > LIFETIME,
                "{left:?}"
            );
        }
        let listed = ip("-6 address show dev eth0 to fd00::100");
        assert!(
            listed.contains("nodad") && !listed.contains("tentative"),
            "{listed}"
        );
        // Reachable at once: the kernel adds IPv6's local route later, in another thread.
        assert!(
            route_to("fd00::100").starts_with("local"),
            "{}",
            route_to("fd00::100")
        );
        node.stop();
    });
}

#[test]
fn local_clients_of_a_virtual_address_use_the_nodes_own() {
    isolated(|| {
        let node = Node::new();
        node.bind_well(&[node.binding(VIP)], LIFETIME);
        assert!(route_to(VIP).contains("src 10.0.0.11"), "{}", route_to(VIP));
        node.renew(&[node.binding(VIP)], LIFETIME);
        node.told();
        assert!(route_to(VIP).contains("src 10.0.0.11"), "{}", route_to(VIP));
        node.stop();
    });
}

#[test]
fn a_node_that_changes_its_address_changes_that_source() {
    isolated(|| {
        let node = Node::new();
        let mut binding = node.binding(VIP);
        node.bind_well(&[binding.clone()], LIFETIME);
        ip("address add 10.0.0.12/24 dev eth0");
        binding.preferred_source = "10.0.0.12".parse().ok();
        let messages = node.bind_well(&[binding.clone()], LIFETIME);
        assert!(
            !messages.contains(&gone(&node, VIP)),
            "an address put back at once is not gone: {messages:?}"
        );
        assert!(route_to(VIP).contains("src 10.0.0.12"), "{}", route_to(VIP));
        node.unbind(&[binding]);
        let listed = ip("-4 address show dev eth0");
        assert!(!listed.contains("peer"), "{listed}");
        node.stop();
    });
}

#[test]
fn nothing_goes_out_from_a_virtual_address() {
    isolated(|| {
        let node = Node::new();
        ip("route add default dev eth0");
        ip("-6 route add default dev eth0");
        node.bind_well(&[node.binding(VIP), node.binding("fd00::100")], LIFETIME);
        for _ in 0..2 {
            assert!(
                route_to("192.0.2.1").contains("src 10.0.0.11"),
                "{}",
                route_to("192.0.2.1")
            );
            assert!(
                route_to("10.0.0.99").contains("src 10.0.0.11"),
                "{}",
                route_to("10.0.0.99")
            );
            assert!(
                route_to("fd00::99").contains("src fd00::11"),
                "{}",
                route_to("fd00::99")
            );
            // As a DHCP client does; the virtual address is the older one now.
            ip("address del 10.0.0.11/24 dev eth0");
            ip("address add 10.0.0.11/24 dev eth0");
        }
        node.stop();
    });
}

#[test]
fn an_address_that_nobody_renews_expires_and_leaves_nothing() {
    isolated(|| {
        for promote in ["0", "1"] {
            sysctl("net.ipv4.conf.all.promote_secondaries", promote);
            let node = if promote == "0" {
                Node::new()
            } else {
                Node::again()
            };
            let before = addresses_and_routes();
            node.bind_well(
                &[node.binding(VIP), node.binding("fd00::100")],
                Duration::from_secs(1),
            );
            assert_ne!(addresses_and_routes(), before);
            // Reads on until both are gone, in whichever order.
            let first = node.until(|message| matches!(message, Message::AddressGone { .. }));
            let second = node.until(|message| matches!(message, Message::AddressGone { .. }));
            let all = [first, second].concat();
            assert!(
                all.contains(&gone(&node, VIP)) && all.contains(&gone(&node, "fd00::100")),
                "{all:?}"
            );
            // The companion may go in the kernel's next round.
            sleep(Duration::from_millis(1500));
            assert_eq!(addresses_and_routes(), before, "promote_secondaries={promote}");
            node.stop();
        }
    });
}

#[test]
fn a_renewed_address_lives_on_and_is_no_news() {
    isolated(|| {
        let node = Node::new();
        let bindings = [node.binding(VIP), node.binding("fd00::100")];
        node.bind_well(&bindings, Duration::from_secs(2));
        node.told();
        for _ in 0..8 {
            sleep(Duration::from_millis(500));
            node.renew(&bindings, Duration::from_secs(2));
        }
        assert_eq!(node.told(), []);
        assert!(route_to(VIP).starts_with("local"), "{}", route_to(VIP));
        assert!(
            route_to("fd00::100").starts_with("local"),
            "{}",
            route_to("fd00::100")
        );
        node.stop();
    });
}

#[test]
fn a_renewal_does_not_bring_back_an_address_that_is_gone() {
    isolated(|| {
        let node = Node::new();
        let bindings = [node.binding(VIP), node.binding("fd00::100")];
        node.bind_well(&bindings, LIFETIME);
        ip("address del 10.0.0.100/32 dev eth0");
        ip("address del fd00::100/128 dev eth0");
        node.renew(&bindings, LIFETIME);
        node.told();
        let listed = ip("address show dev eth0");
        assert!(
            !listed.contains("inet 10.0.0.100") && !listed.contains("fd00::100"),
            "{listed}"
        );
        node.stop();
    });
}

#[test]
fn a_renewal_that_comes_too_late_is_dropped() {
    isolated(|| {
        let node = Node::new();
        let bindings: Arc<[Binding]> = [node.binding(VIP)].into();
        node.bind_well(&bindings, Duration::from_secs(2));
        let not_after = clock::now() - Duration::from_millis(1);
        node.ask(Request::Renew {
            bindings,
            lifetime: LIFETIME,
            not_after,
        });
        node.until(|message| *message == gone(&node, VIP));
        node.stop();
    });
}

#[test]
fn unbinding_leaves_nothing_and_says_so_last() {
    isolated(|| {
        let node = Node::new();
        let before = addresses_and_routes();
        let bindings = [node.binding(VIP), node.binding("fd00::100")];
        node.bind_well(&bindings, LIFETIME);
        let messages = node.unbind(&bindings);
        assert!(
            messages.contains(&gone(&node, VIP)) && messages.contains(&gone(&node, "fd00::100")),
            "{messages:?}"
        );
        assert_eq!(addresses_and_routes(), before);
        assert_eq!(
            node.unbind(&bindings).len(),
            1,
            "what is gone already is no error and no news"
        );
        node.stop();
    });
}

#[test]
fn an_address_deleted_by_somebody_is_noticed_and_can_be_put_back() {
    isolated(|| {
        let node = Node::new();
        let binding = node.binding(VIP);
        for deletion in [
            "address del 10.0.0.100/32 dev eth0",
            "address flush dev eth0 scope global",
        ] {
            node.bind_well(slice::from_ref(&binding), LIFETIME);
            ip(deletion);
            node.until(|message| *message == gone(&node, VIP));
        }
        ip("address add 10.0.0.11/24 dev eth0");
        node.bind_well(&[binding], LIFETIME);
        assert!(route_to(VIP).contains("src 10.0.0.11"), "{}", route_to(VIP));
        node.stop();
    });
}

#[test]
fn a_dhcp_renewal_leaves_the_connected_route_intact() {
    isolated(|| {
        for promote in ["0", "1"] {
            sysctl("net.ipv4.conf.all.promote_secondaries", promote);
            let node = if promote == "0" {
                Node::new()
            } else {
                Node::again()
            };
            let before = addresses_and_routes();
            node.bind_well(&[node.binding(VIP)], LIFETIME);
            ip("address del 10.0.0.11/24 dev eth0");
            ip("address add 10.0.0.11/24 dev eth0");
            let connected = ip("route show dev eth0");
            assert!(
                connected.contains("10.0.0.0/24 proto kernel scope link src 10.0.0.11"),
                "{connected}"
            );
            let messages = node.told();
            assert!(!messages.contains(&gone(&node, VIP)), "{messages:?}");
            node.unbind(&[node.binding(VIP)]);
            assert_eq!(addresses_and_routes(), before, "promote_secondaries={promote}");
            node.stop();
        }
    });
}

#[test]
fn a_label_is_set() {
    isolated(|| {
        let node = Node::new();
        let binding = Binding {
            label: Some("eth0:api".into()),
            ..node.binding(VIP)
        };
        node.bind_well(&[binding], LIFETIME);
        let listed = ip("-4 address show label eth0:api");
        assert!(listed.contains("inet 10.0.0.100/32"), "{listed}");
        node.stop();
    });
}

#[test]
fn an_address_as_written_is_an_ordinary_secondary_one() {
    isolated(|| {
        let node = Node::new();
        let before = addresses_and_routes();
        let binding = Binding {
            prefix_length: 24,
            ..node.binding(VIP)
        };
        let messages = node.bind_well(slice::from_ref(&binding), LIFETIME);
        assert!(address(&messages, VIP).secondary);
        node.unbind(&[binding]);
        assert_eq!(addresses_and_routes(), before);
        node.stop();
    });
}

#[test]
fn the_next_agent_finds_what_the_last_one_bound() {
    isolated(|| {
        let node = Node::new();
        node.bind_well(&[node.binding(VIP), node.binding("fd00::100")], LIFETIME);
        node.stop();
        let next = Node::again();
        for vip in [VIP, "fd00::100"] {
            let found = address(&next.state, vip);
            assert!(
                found.ours && found.expires.is_some_and(|expires| expires > clock::now()),
                "{found:?}"
            );
        }
        next.bind_well(&[next.binding(VIP), next.binding("fd00::100")], LIFETIME);
        next.unbind(&[next.binding(VIP), next.binding("fd00::100")]);
        assert!(!ip("address show dev eth0").contains(VIP));
        next.stop();
    });
}

/// It had taken the way to the address, and died before it took the address: the kernel does not make the way again.
#[test]
fn an_address_that_a_dead_agent_left_half_gone_is_laid_anew() {
    isolated(|| {
        let node = Node::new();
        node.bind_well(&[node.binding(VIP)], Duration::from_secs(1));
        node.stop();
        let local = || ip("route show table local").contains("local 10.0.0.100 ");
        ip("route del local 10.0.0.100/32 dev eth0 table local");
        assert!(!local());
        let next = Node::again();
        next.bind_well(&[next.binding(VIP)], LIFETIME);
        assert!(local());
        next.stop();
    });
}

#[test]
fn a_bind_that_fails_says_what_and_where_and_why() {
    isolated(|| {
        let node = Node::new();
        let lost = Binding {
            interface: 4711,
            ..node.binding(VIP)
        };
        let messages = node.bind(&[lost, node.binding("10.0.0.101")], LIFETIME);
        let Some(Message::BindFailed { ticket: 1, error }) = messages.last() else {
            panic!("{messages:?}")
        };
        assert!(
            error.starts_with("binding 10.0.0.100/32 to interface 4711: No such device"),
            "{error}"
        );
        assert!(address(&messages, "10.0.0.101").usable, "the others are bound");
        node.stop();
    });
}

#[test]
fn links_that_change_are_told() {
    isolated(|| {
        let node = Node::new();
        let eth0 = node.eth0;
        ip("link set far0 down");
        node.until(|message| matches!(message, Message::Link(link) if link.index == eth0 && !link.up));
        ip("link set far0 up");
        node.until(|message| matches!(message, Message::Link(link) if link.index == eth0 && link.up));
        ip("link set eth0 down");
        node.until(|message| matches!(message, Message::Link(link) if link.index == eth0 && !link.up));
        ip("link set eth0 name lan0");
        node.until(
            |message| matches!(message, Message::Link(link) if link.index == eth0 && link.name == "lan0"),
        );
        ip("link add br0 type bridge");
        ip("link set lan0 master br0");
        ip("link set lan0 nomaster");
        let messages = node.told();
        assert!(
            !messages.contains(&Message::LinkGone { index: eth0 }),
            "a port that leaves its bridge stays a link"
        );
        ip("link del lan0");
        let messages = node.until(|message| *message == Message::LinkGone { index: eth0 });
        assert!(
            messages.contains(&gone(&node, NODE)),
            "addresses go before their link: {messages:?}"
        );
        node.stop();
    });
}

#[test]
fn who_could_not_answer_while_the_link_was_down_is_asked_anew_when_addresses_come() {
    isolated(|| {
        let node = Node::new();
        let ask = |whom: &[&str]| {
            for neighbor in whom {
                let local = if neighbor.contains(':') {
                    "[::]:0"
                } else {
                    "0.0.0.0:0"
                };
                let socket = UdpSocket::bind(local).unwrap();
                let neighbor: IpAddr = neighbor.parse().unwrap();
                socket.send_to(b"?", (neighbor, 9)).unwrap();
            }
        };
        let unanswered = || ip("neighbor show dev eth0 nud incomplete");
        node.bind_well(&[node.binding(VIP)], LIFETIME);
        ip("link set far0 down");
        node.until(|message| matches!(message, Message::Link(link) if !link.up));
        ask(&["10.0.0.50", "fd00::50"]);
        let asked = unanswered();
        assert!(
            asked.contains("10.0.0.50") && asked.contains("fd00::50"),
            "{asked}"
        );
        ip("link set far0 up");
        node.until(|message| matches!(message, Message::Link(link) if link.index == node.eth0 && link.up));
        node.bind_well(&[node.binding(VIP)], LIFETIME);
        // It is told first: addresses do not wait for neighbors.
        node.told();
        assert_eq!(unanswered(), "");
        // What is asked over a link that works is the kernel's business.
        ask(&["10.0.0.51"]);
        node.bind_well(&[node.binding(VIP)], LIFETIME);
        node.told();
        assert!(unanswered().contains("10.0.0.51"));
        node.stop();
    });
}

#[test]
fn news_that_the_kernel_dropped_is_made_up_for() {
    isolated(|| {
        let node = Node::new();
        ip("link add bulk type bridge");
        // Nobody reads the messages, so the thread waits for room, and then the kernel's queue runs over.
        ip_batch((0..5000).map(|n| format!("address add 10.1.{}.{}/32 dev bulk", n / 250, n % 250)));
        ip_batch((0..30_000).map(|n| {
            format!(
                "address change 10.1.0.0/32 dev bulk valid_lft {} preferred_lft 0",
                1000 + n
            )
        }));
        ip("link del bulk");
        ip("address add 10.0.0.77/32 dev eth0");
        node.until(|message| *message == Message::Resync);
        let state = node.until(|message| *message == Message::Synced);
        let mut known: Vec<String> = Vec::new();
        for message in state.into_iter().chain(node.told()) {
            match message {
                Message::Resync => known.clear(),
                Message::Address(address) if address.address.is_ipv4() => {
                    known.push(address.address.to_string());
                }
                Message::AddressGone { address, .. } => known.retain(|known| *known != address.to_string()),
                _ => {}
            }
        }
        known.sort();
        assert_eq!(known, ["10.0.0.11", "10.0.0.77", "127.0.0.1"]);
        node.stop();
    });
}

#[test]
fn a_thousand_addresses_are_bound_renewed_and_unbound_within_seconds() {
    isolated(|| {
        let node = Node::new();
        let addresses =
            (0..500).flat_map(|n| [format!("10.1.{}.{}", n / 250, n % 250), format!("fd00::1:{n:x}")]);
        let bindings: Vec<Binding> = addresses.map(|address| node.binding(&address)).collect();
        let begun = Instant::now();
        let messages = node.bind_well(&bindings, LIFETIME);
        assert_eq!(
            messages
                .iter()
                .filter(|message| matches!(message, Message::Address(_)))
                .count(),
            1000
        );
        node.renew(&bindings, LIFETIME);
        assert_eq!(node.told(), []);
        node.unbind(&bindings);
        let taken = begun.elapsed();
        assert!(taken < Duration::from_secs(5), "{taken:?}");
        node.stop();
    });
}
