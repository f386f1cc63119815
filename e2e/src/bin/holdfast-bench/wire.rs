//! The advertisements on the wire, with the kernel's time of their arrival at a node that only listens.

use std::{
    io::IoSliceMut,
    net::Ipv4Addr,
    os::fd::AsRawFd as _,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use holdfast_lab::Node;
use nix::{
    cmsg_space,
    sys::{
        socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt},
        time::TimeSpec,
    },
};
use socket2::{Domain, Protocol, Socket, Type};

/// VRRP's IP protocol number (RFC 9568 §5.1.1.4).
const VRRP: i32 = 112;
/// Where VRRP speaks over IPv4 (RFC 9568 §5.1.1.2).
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// How soon the thread notices that it shall end.
const PAUSE: Duration = Duration::from_millis(50);
/// Room for the advertisements of many seconds.
const RECEIVE_BUFFER: usize = 1 << 20;

/// One advertisement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advertisement {
    /// When it arrived, by the wall clock.
    pub at: Duration,
    /// Who sent it.
    pub from: Ipv4Addr,
}

/// Listens from its start until it is dropped.
pub struct Listener {
    heard: Arc<Heard>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Heard {
    advertisements: Mutex<Vec<Advertisement>>,
    more: Condvar,
}

impl Listener {
    /// Listens in `node`, which reaches the multicast group through its first interface.
    pub fn start(node: &Node) -> Result<Self> {
        let own = node.ipv4();
        let mut opened = None;
        node.netns().run(|| {
            opened = Some(open(own));
            Ok(())
        })?;
        let socket = opened
            .context("the socket was not opened")?
            .with_context(|| format!("listen for advertisements in {}", node.name()))?;
        let (heard, stop) = (Arc::<Heard>::default(), Arc::<AtomicBool>::default());
        let (theirs, stopped) = (Arc::clone(&heard), Arc::clone(&stop));
        let thread = thread::Builder::new().name("listen".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Some(advertisement) = receive(&socket) {
                    lock(&theirs).push(advertisement);
                    theirs.more.notify_all();
                }
            }
        })?;
        Ok(Self {
            heard,
            stop,
            thread: Some(thread),
        })
    }

    /// Waits for the next advertisement of `from`, so that what follows happens right after it.
    pub fn wait_for_next(&self, from: Ipv4Addr, patience: Duration) -> Result<()> {
        let mut advertisements = lock(&self.heard);
        let before = advertisements.len();
        let heard = |all: &[Advertisement]| all[before..].iter().any(|one| one.from == from);
        while !heard(&advertisements) {
            let waited = self.heard.more.wait_timeout(advertisements, patience);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                bail!("{from} said nothing for {patience:?}");
            }
            advertisements = guard;
        }
        Ok(())
    }

    /// How many advertisements were heard so far.
    pub fn mark(&self) -> usize {
        lock(&self.heard).len()
    }

    /// The advertisements heard since `mark`, in order.
    pub fn since(&self, mark: usize) -> Vec<Advertisement> {
        lock(&self.heard)[mark..].to_vec()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// The longest time between two advertisements of `from`.
pub fn largest_gap(advertisements: &[Advertisement], from: Ipv4Addr) -> Duration {
    let own: Vec<_> = advertisements.iter().filter(|one| one.from == from).collect();
    let gaps = own.windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at));
    gaps.max().unwrap_or_default()
}

/// How often `to` began to speak, having been silent or after another router: how often it took over.
pub fn takeovers(advertisements: &[Advertisement], to: Ipv4Addr) -> usize {
    let first = usize::from(advertisements.first().is_some_and(|one| one.from == to));
    let pairs = advertisements.windows(2);
    first
        + pairs
            .filter(|pair| pair[0].from != to && pair[1].from == to)
            .count()
}

fn open(own: Ipv4Addr) -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(VRRP)))?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.join_multicast_v4(&GROUP, &own)?;
    socket.set_read_timeout(Some(PAUSE))?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    Ok(socket)
}

/// The next advertisement, or `None` when there is none for a while.
fn receive(socket: &Socket) -> Option<Advertisement> {
    let mut packet = [0_u8; 1500];
    let mut control = cmsg_space!(TimeSpec);
    let mut into = [IoSliceMut::new(&mut packet)];
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut into,
        Some(&mut control),
        MsgFlags::empty(),
    )
    .ok()?;
    let at = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    })?;
    // A raw socket shows the IP header; its bytes 12 to 15 are the source.
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    Some(Advertisement {
        at,
        from: source.into(),
    })
}

fn lock(heard: &Heard) -> MutexGuard<'_, Vec<Advertisement>> {
    heard
        .advertisements
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

    fn heard(list: &[(u64, Ipv4Addr)]) -> Vec<Advertisement> {
        let advertisement = |&(at, from): &(u64, Ipv4Addr)| Advertisement {
            at: Duration::from_millis(at),
            from,
        };
        list.iter().map(advertisement).collect()
    }

    #[test]
    fn a_gap_is_between_two_advertisements_of_the_same_router() {
        let heard = heard(&[(0, A), (10, A), (12, B), (35, A), (90, B)]);
        assert_eq!(largest_gap(&heard, A), Duration::from_millis(25));
        assert_eq!(largest_gap(&heard[..1], A), Duration::ZERO);
    }

    #[test]
    fn each_time_the_word_goes_to_a_router_is_one_takeover() {
        let heard = heard(&[(0, A), (1, B), (2, B), (3, A), (4, B)]);
        assert_eq!(takeovers(&heard, B), 2);
        assert_eq!(takeovers(&heard, A), 2);
        assert_eq!(takeovers(&heard[3..], B), 1);
    }
}
