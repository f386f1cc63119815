//! The client: asks virtual addresses at an exact pace and writes down who answered, and when.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nix::{
    sys::eventfd::EventFd,
    time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep},
};

use crate::{
    error::{Doing as _, Error, Result},
    node::Node,
    responder::{PORT, QUESTION_LENGTH},
    timeline::{Answer, Probe},
    worker::Worker,
};

/// Ticks the sender may catch up on after it was kept from running; what is further back is not asked.
const CATCH_UP_TICKS: u32 = 10;

/// Asks each target once every interval until it is dropped.
#[derive(Debug)]
pub(crate) struct Client {
    records: Arc<Mutex<Records>>,
    targets: Vec<IpAddr>,
    // The receiver goes last, so that the last answers are still written down.
    _sender: Worker,
    _receiver: Worker,
}

#[derive(Debug, Default)]
struct Records {
    /// One list a target; a probe's place in it is the number it carries.
    probes: Vec<Vec<Probe>>,
    names: HashSet<Arc<str>>,
}

impl Client {
    pub(crate) fn start(node: &Node, targets: &[IpAddr], interval: Duration, epoch: Instant) -> Result<Self> {
        if targets.len() > usize::from(u8::MAX) {
            return Err(Error::Invalid(format!(
                "a client asks at most {} addresses",
                u8::MAX
            )));
        }
        let open = |address: IpAddr| {
            UdpSocket::bind((address, 0))
                .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
                .doing(|| format!("open the client's UDP socket on {address}"))
        };
        let sockets = node.netns().run(|| {
            Ok([
                open(Ipv4Addr::UNSPECIFIED.into())?,
                open(Ipv6Addr::UNSPECIFIED.into())?,
            ])
        })?;
        let twins = sockets
            .iter()
            .map(UdpSocket::try_clone)
            .collect::<std::io::Result<Vec<_>>>();
        let twins = twins.doing(|| "share the client's sockets".to_owned())?;
        let records = Records {
            probes: vec![Vec::new(); targets.len()],
            ..Records::default()
        };
        let records = Arc::new(Mutex::new(records));

        let (theirs, asked) = (Arc::clone(&records), targets.to_vec());
        let receiver = Worker::serve("client receives", twins, move |_, socket| {
            receive(socket, &asked, &theirs, epoch);
        })?;
        let (theirs, asked) = (Arc::clone(&records), targets.to_vec());
        let sender = Worker::start("client sends", move |stop| {
            // Without a clock there is nothing to measure with; the report shows that nothing was asked.
            let _ = send_until_stopped(stop, &sockets, &asked, &theirs, interval, epoch);
        })?;
        Ok(Self {
            records,
            targets: targets.to_vec(),
            _sender: sender,
            _receiver: receiver,
        })
    }

    /// What was asked of `target` and answered so far.
    pub(crate) fn probes(&self, target: IpAddr) -> Vec<Probe> {
        let index = self.targets.iter().position(|asked| *asked == target);
        index
            .map(|index| lock(&self.records).probes[index].clone())
            .unwrap_or_default()
    }

    /// The last answer of `target` so far.
    pub(crate) fn last_answer(&self, target: IpAddr) -> Option<Answer> {
        let index = self.targets.iter().position(|asked| *asked == target)?;
        lock(&self.records).probes[index]
            .iter()
            .rev()
            .find_map(|probe| probe.answer.clone())
    }
}

fn receive(socket: &UdpSocket, targets: &[IpAddr], records: &Mutex<Records>, epoch: Instant) {
    let mut buffer = [0_u8; 64];
    // Errors are ICMP's news about earlier questions: those simply stay unanswered.
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let at = epoch.elapsed();
        let Some((question, name)) = buffer[..length].split_first_chunk::<QUESTION_LENGTH>() else {
            continue;
        };
        let Some((target, number)) = decode(*question) else {
            continue;
        };
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        let mut records = lock(records);
        let known = records.names.get(name).cloned();
        let node = known.unwrap_or_else(|| {
            let new: Arc<str> = name.into();
            records.names.insert(Arc::clone(&new));
            new
        });
        let Some(probe) = records
            .probes
            .get_mut(target)
            .and_then(|probes| probes.get_mut(number))
        else {
            continue;
        };
        if probe.answer.is_none() && targets.get(target) == Some(&from.ip()) {
            probe.answer = Some(Answer { at, node });
        }
    }
}

fn send_until_stopped(
    stop: &EventFd,
    sockets: &[UdpSocket; 2],
    targets: &[IpAddr],
    records: &Mutex<Records>,
    interval: Duration,
    epoch: Instant,
) -> nix::Result<()> {
    let clock = ClockId::CLOCK_MONOTONIC;
    let mut due = Duration::from(clock_gettime(clock)?);
    while stop.read().is_err() {
        clock_nanosleep(clock, ClockNanosleepFlags::TIMER_ABSTIME, &due.into())?;
        let late = Duration::from(clock_gettime(clock)?).saturating_sub(due);
        for (index, target) in targets.iter().enumerate() {
            let mut records = lock(records);
            let probes = &mut records.probes[index];
            let question = encode(index, probes.len());
            probes.push(Probe {
                sent: epoch.elapsed(),
                answer: None,
            });
            drop(records);
            let socket = &sockets[usize::from(target.is_ipv6())];
            // A question that finds no neighbour is an unanswered one, which is what is being measured.
            socket.send_to(&question, SocketAddr::new(*target, PORT)).ok();
        }
        due += interval;
        if late > interval * CATCH_UP_TICKS {
            due = Duration::from(clock_gettime(clock)?) + interval;
        }
    }
    Ok(())
}

/// The target's index in the first byte, the question's number in the others.
fn encode(target: usize, number: usize) -> [u8; QUESTION_LENGTH] {
    ((target as u64) << 56 | number as u64).to_be_bytes()
}

fn decode(question: [u8; QUESTION_LENGTH]) -> Option<(usize, usize)> {
    let value = u64::from_be_bytes(question);
    let number = usize::try_from(value & (u64::MAX >> 8)).ok()?;
    Some((usize::from(question[0]), number))
}

fn lock(records: &Mutex<Records>) -> MutexGuard<'_, Records> {
    records.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_carries_its_target_and_its_number() {
        assert_eq!(decode(encode(3, 60_000)), Some((3, 60_000)));
        assert_eq!(decode(encode(255, 0)), Some((255, 0)));
    }
}
