//! Established connections when their address leaves a node: who learns of it, how soon, and what is left alone.
//!
//! With `--keep-connections` nothing is closed, and a client on the old holder waits in vain: what the other cases promise is
//! the agent's doing, not the kernel's.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, Pair, Result, Router,
    formula::LIFETIME,
    look,
    pair::{self, PATIENCE, Scene, plug_again, settle_on, stays_on},
};
use holdfast_lab::{
    Agent, AgentOptions, Error, Node,
    harness::{Case, Outcome, main as run},
    wait_until,
};

/// How soon a client on the old holder is to know, counted from when the address was seen to have left.
const AT_ONCE: Duration = Duration::from_millis(300);

/// How long a client waits before it gives up: longer than any case takes to tell it.
const FOR_LONG: Duration = Duration::from_mins(1);

/// How long a client is watched that is to be left alone.
const A_WHILE: Duration = Duration::from_millis(700);

const SECOND: Duration = Duration::from_secs(1);
const PORT: u16 = 6443;

fn main() -> std::process::ExitCode {
    run(&[
        Case::new(
            "a_client_on_the_old_holder_learns_at_once_and_reconnects",
            planned_stop,
        ),
        Case::new(
            "a_client_that_only_waits_for_an_answer_is_told_when_the_address_leaves",
            waiting_for_an_answer,
        ),
        Case::new("with_keep_connections_it_is_left_to_wait", kept),
        Case::new(
            "a_client_learns_at_once_when_its_node_loses_its_cable",
            cable_pulled,
        ),
        Case::new("a_client_learns_at_once_when_a_better_node_returns", preempted),
        Case::new("a_thawed_agent_closes_what_has_moved_and_nothing_newer", thawed),
        Case::new(
            "an_agent_that_finds_its_address_gone_closes_what_is_left_of_it",
            restarted_too_late,
        ),
        Case::new(
            "an_agent_that_does_not_resume_waits_until_its_address_has_expired",
            restarted_as_another,
        ),
        Case::new("an_agent_that_resumes_closes_nothing", restarted_in_time),
        Case::new("a_standby_that_takes_over_closes_nothing", standby),
    ])
}

fn vip() -> IpAddr {
    "10.77.0.100".parse().unwrap()
}

fn web() -> Group {
    Group::new("web", 51).address("10.77.0.100/24")
}

/// What the service never answers.
const UNANSWERED: u8 = b'.';

/// A service on every address of a node: it says its node's name, and repeats what it is told, but for [`UNANSWERED`].
#[derive(Debug)]
struct Echo {
    listener: TcpListener,
    served: Arc<Mutex<Vec<TcpStream>>>,
    accepting: Option<JoinHandle<()>>,
}

impl Echo {
    fn start(node: &Node) -> Result<Self> {
        // Both families on one socket, as Go's servers do.
        let listener = node.netns().run(|| {
            TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT))
                .map_err(|error| Error::Invalid(format!("binding the service: {error}")))
        })?;
        let served = Arc::new(Mutex::new(Vec::new()));
        let (name, theirs, accepting) = (node.name().to_owned(), Arc::clone(&served), listener.try_clone()?);
        let accepting = thread::spawn(move || {
            while let Ok((mut stream, _)) = accepting.accept() {
                theirs
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(stream.try_clone());
                let name = name.clone();
                thread::spawn(move || {
                    let mut byte = [0];
                    let mut told = stream.write_all(name.as_bytes());
                    while told.is_ok() && stream.read(&mut byte).is_ok_and(|length| length == 1) {
                        if byte != [UNANSWERED] {
                            told = stream.write_all(&byte);
                        }
                    }
                });
            }
        });
        Ok(Self {
            listener,
            served,
            accepting: Some(accepting),
        })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // Whoever reads or accepts in a thread wakes up, and the thread ends.
        nix::sys::socket::shutdown(
            std::os::fd::AsRawFd::as_raw_fd(&self.listener),
            nix::sys::socket::Shutdown::Both,
        )
        .ok();
        for stream in self
            .served
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            stream.shutdown(Shutdown::Both).ok();
        }
        if let Some(accepting) = self.accepting.take() {
            accepting.join().ok();
        }
    }
}

/// A client that waits.
type Waiting = JoinHandle<Option<(ErrorKind, Instant)>>;

/// A client's established connection.
#[derive(Debug)]
struct Session {
    stream: TcpStream,
    /// Who serves it.
    server: String,
}

impl Session {
    /// Connects from `node`, at the first attempt.
    fn open(node: &Node, address: IpAddr) -> Result<Self> {
        let address = SocketAddr::new(address, PORT);
        let mut stream = node.netns().run(|| {
            TcpStream::connect_timeout(&address, SECOND)
                .map_err(|error| Error::Invalid(format!("connecting to {address}: {error}")))
        })?;
        stream.set_read_timeout(Some(SECOND))?;
        // A node's name is one letter.
        let mut name = [0];
        stream.read_exact(&mut name)?;
        let server = String::from_utf8_lossy(&name).into_owned();
        Ok(Self { stream, server })
    }

    /// Whether what is said comes back.
    fn lives(&mut self) -> bool {
        let mut byte = [0];
        self.stream.write_all(b"?").is_ok() && self.stream.read_exact(&mut byte).is_ok() && byte == *b"?"
    }

    /// Asks something, and waits for the answer.
    fn ask(mut self, patience: Duration) -> Result<Waiting> {
        self.stream.write_all(&[UNANSWERED])?;
        Ok(self.wait(patience))
    }

    /// Waits for an answer as an idle client does, on a thread of its own; what came instead of one, and when.
    fn wait(self, patience: Duration) -> Waiting {
        let mut stream = self.stream;
        thread::spawn(move || {
            stream.set_read_timeout(Some(patience)).unwrap();
            match stream.read(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => None,
                Err(error) => Some((error.kind(), Instant::now())),
                Ok(_) => Some((ErrorKind::UnexpectedEof, Instant::now())),
            }
        })
    }
}

/// The pair, its services, and an idle client on the node that holds the address.
struct Watched {
    idle: Waiting,
    pair: Pair,
    // Last, so that nothing is served that is not there any more.
    _services: [Echo; 2],
}

impl Watched {
    fn start(arguments: &[&str]) -> Result<Self> {
        Self::of(&web(), arguments)
    }

    fn of(group: &Group, arguments: &[&str]) -> Result<Self> {
        Self::at(&[vip()], group, arguments)
    }

    fn at(vips: &[IpAddr], group: &Group, arguments: &[&str]) -> Result<Self> {
        let scene = Scene::new()?;
        let options = AgentOptions {
            arguments: arguments.iter().map(ToString::to_string).collect(),
            ..AgentOptions::default()
        };
        let services = [Echo::start(&scene.a)?, Echo::start(&scene.b)?];
        let start = |node: &Node, group: &Group| {
            let mut agent = Agent::start(node, &group.yaml(), &options)?;
            agent.wait_until_answering(PATIENCE)?;
            Ok(Router::Holdfast(agent))
        };
        let (preferred, other) = (group.clone().priority(200), group.clone());
        let pair = Pair::start(scene, vips, |a| start(a, &preferred), |b| start(b, &other))?;
        let idle = Session::open(&pair.scene.a, vip())?;
        assert_eq!(idle.server, "a");
        Ok(Self {
            idle: idle.wait(FOR_LONG),
            pair,
            _services: services,
        })
    }

    /// When the idle client knew; it must not be waiting in vain.
    fn knew(self) -> Instant {
        let (kind, at) = self.idle.join().unwrap().unwrap();
        assert!(
            [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset].contains(&kind),
            "{kind}"
        );
        at
    }
}

/// How many sockets the agent says it has closed.
fn closed(agent: &Agent) -> Result<u64> {
    let address = agent.metrics_address();
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map(|_| text)
    };
    let mut text = String::new();
    // An agent that has just been started may not listen yet.
    wait_until("the agent's metrics can be read", PATIENCE, || {
        agent.node().netns().run(|| match ask() {
            Ok(metrics) => {
                text = metrics;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(false),
            Err(error) => Err(Error::Invalid(format!("reading the agent's metrics: {error}"))),
        })
    })?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("holdfast_agent_connections_closed_total{kind=\"tcp\"} "));
    Ok(line.ok_or("there is no such metric")?.parse()?)
}

fn wait_for_closed(agent: &Agent, count: u64) -> Result<()> {
    wait_until("the agent has closed the connections", PATIENCE, || {
        let seen = closed(agent).map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(seen == count)
    })?;
    Ok(())
}

/// When `node` answered first.
fn answered(pair: &Pair, since: Instant, node: &str) -> Instant {
    since + pair.meter.time_until_answer_from(vip(), since, node).unwrap()
}

fn planned_stop() -> Outcome {
    let mut watched = Watched::start(&[])?;
    let (a, client) = (watched.pair.scene.a.clone(), watched.pair.scene.client.clone());
    let own = IpAddr::V4(a.ipv4());
    let mut far = Session::open(&client, vip())?;
    let mut bystanders = [Session::open(&a, own)?, Session::open(&client, own)?];
    let start = Instant::now();
    watched.pair.stop_a()?;
    watched.pair.settle_on("b")?;
    let left = Instant::now();
    // At its end the agent has closed them, so that the client needs nobody for it.
    assert_eq!(Session::open(&a, vip())?.server, "b");
    assert!(bystanders.iter_mut().all(Session::lives));

    // A client elsewhere is told by the new holder, as soon as it says anything.
    let said = Instant::now();
    assert!(!far.lives());
    let told = said.elapsed();
    let taken_over = answered(&watched.pair, start, "b");
    let outage = taken_over.saturating_duration_since(start);
    let knew = watched.knew();
    println!(
        "established connections at a planned hand-over that took {outage:?}: a client on the old holder knew {:?} after the new \
         one answered; one elsewhere {told:?} after it said something",
        knew.saturating_duration_since(taken_over)
    );
    assert!(
        knew <= left + AT_ONCE && told <= AT_ONCE,
        "{:?}, {told:?}",
        knew - left
    );
    Ok(())
}

/// A client elsewhere has asked, has been heard, and says nothing more: the new holder hears nothing of it.
fn waiting_for_an_answer() -> Outcome {
    let v6: IpAddr = "fd77::100".parse().unwrap();
    let group = web().address("fd77::100/64").elected_over_ipv4();
    let mut watched = Watched::at(&[vip(), v6], &group, &[])?;
    let client = watched.pair.scene.client.clone();
    let ask = |of: &str| -> Result<Vec<(IpAddr, Waiting)>> {
        let ask = |address| -> Result<(IpAddr, Waiting)> {
            let session = Session::open(&client, address)?;
            assert_eq!(session.server, of, "{address}");
            Ok((address, session.ask(FOR_LONG)?))
        };
        [vip(), v6].into_iter().map(ask).collect()
    };
    let told = |how: &str, waiting: Vec<(IpAddr, Waiting)>, start: Instant, left: Instant| {
        for (address, client) in waiting {
            let told = client.join().unwrap();
            let kind = told.map(|(kind, _)| kind);
            assert_eq!(kind, Some(ErrorKind::ConnectionReset), "{address}");
            let (_, at) = told.unwrap();
            println!(
                "{how}: a client that waited for an answer of {address} was reset after {:?}",
                at.saturating_duration_since(start)
            );
            assert!(at <= left + AT_ONCE, "{address}: {:?}", at - left);
        }
    };

    let waiting = ask("a")?;
    let start = Instant::now();
    watched.pair.stop_a()?;
    watched.pair.settle_on("b")?;
    told("a planned hand-over", waiting, start, Instant::now());

    let waiting = ask("b")?;
    let start = Instant::now();
    let _better = pair::agent(&watched.pair.scene.a, &[group.priority(200)])?;
    watched.pair.settle_on("a")?;
    told("a better node's return", waiting, start, Instant::now());
    Ok(())
}

fn kept() -> Outcome {
    let mut watched = Watched::start(&["--keep-connections"])?;
    let elsewhere = Session::open(&watched.pair.scene.client, vip())?.ask(FOR_LONG)?;
    let start = Instant::now();
    watched.pair.stop_a()?;
    watched.pair.settle_on("b")?;
    thread::sleep(A_WHILE.saturating_sub(start.elapsed()));
    assert!(
        !watched.idle.is_finished() && !elsewhere.is_finished(),
        "nobody has told the clients"
    );
    assert_eq!(Session::open(&watched.pair.scene.a, vip())?.server, "b");
    Ok(())
}

/// Nobody can be reached from a node without a cable; but its clients do not wait for an answer that never comes.
fn cable_pulled() -> Outcome {
    let watched = Watched::start(&[])?;
    let a = watched.pair.scene.a.clone();
    a.unplug()?;
    watched.pair.settle_on("b")?;
    let left = Instant::now();
    wait_for_closed(watched.pair.on_a.agent()?, 2)?;
    plug_again(&a)?;
    watched.pair.settle_on("a")?;
    let knew = watched.knew();
    assert!(knew <= left + AT_ONCE, "{:?}", knew - left);
    Ok(())
}

fn preempted() -> Outcome {
    let mut watched = Watched::start(&[])?;
    watched.pair.stop_a()?;
    watched.pair.settle_on("b")?;
    let b = watched.pair.scene.b.clone();
    let idle = Session::open(&b, vip())?;
    assert_eq!(idle.server, "b");
    watched.idle = idle.wait(FOR_LONG);
    let _better = pair::agent(&watched.pair.scene.a, &[web().priority(200)])?;
    watched.pair.settle_on("a")?;
    let left = Instant::now();
    assert_eq!(Session::open(&b, vip())?.server, "a");
    wait_for_closed(watched.pair.on_b.agent()?, 2)?;
    let knew = watched.knew();
    assert!(knew <= left + AT_ONCE, "{:?}", knew - left);
    Ok(())
}

fn thawed() -> Outcome {
    let mut watched = Watched::start(&[])?;
    let a = watched.pair.scene.a.clone();
    watched.pair.on_a.process().freeze()?;
    // The address expires, and b has taken over long before.
    watched.pair.settle_on("b")?;
    let mut newer = Session::open(&a, vip())?;
    assert_eq!(newer.server, "b");
    assert!(!watched.idle.is_finished(), "nobody has told the client");
    watched.pair.on_a.process().thaw()?;
    let thawed = Instant::now();
    wait_for_closed(watched.pair.on_a.agent()?, 2)?;
    assert!(newer.lives(), "begun after the address had left");
    let knew = watched.knew();
    assert!(knew <= thawed + AT_ONCE, "{:?}", knew - thawed);
    Ok(())
}

fn restarted_too_late() -> Outcome {
    let mut watched = Watched::start(&[])?;
    let a = watched.pair.scene.a.clone();
    look::wait_until_noted(watched.pair.on_a.agent()?, "web", PATIENCE)?;
    watched.pair.on_a.process().kill()?;
    watched.pair.settle_on("b")?;
    let mut newer = Session::open(&a, vip())?;
    assert_eq!(newer.server, "b");
    assert!(!watched.idle.is_finished(), "nobody has told the client");
    let again = pair::agent(&a, &[web()])?;
    wait_for_closed(&again, 2)?;
    assert!(newer.lives(), "begun after the address had left");
    watched.knew();
    Ok(())
}

/// Killed, and started again as another virtual router, which does not resume: the address expires under it.
fn restarted_as_another() -> Outcome {
    let mut watched = Watched::of(&web().interval(SECOND), &[])?;
    let a = watched.pair.scene.a.clone();
    look::wait_until_noted(watched.pair.on_a.agent()?, "web", PATIENCE)?;
    watched.pair.on_a.process().kill()?;
    let other = Group::new("web", 52).address("10.77.0.100/24").priority(1);
    let other = other.interval(Duration::from_secs(5));
    let again = pair::agent(&a, &[other])?;
    assert!(a.holds(vip())?, "the dead agent's address is alive");
    assert_eq!(closed(&again)?, 0);
    watched.pair.settle_on("b")?;
    wait_for_closed(&again, 2)?;
    watched.knew();
    Ok(())
}

fn restarted_in_time() -> Outcome {
    // The interval leaves a second to come back.
    let group = web().interval(SECOND);
    let mut watched = Watched::of(&group, &[])?;
    let a = watched.pair.scene.a.clone();
    let mut sessions = [
        Session::open(&a, vip())?,
        Session::open(&watched.pair.scene.client, vip())?,
    ];
    look::wait_until_noted(watched.pair.on_a.agent()?, "web", PATIENCE)?;
    let killed = Instant::now();
    watched.pair.on_a.process().kill()?;
    let again = pair::agent(&a, &[group.priority(200)])?;
    look::wait_for_state(&again, "web", "Active", PATIENCE)?;
    thread::sleep(LIFETIME.saturating_sub(killed.elapsed()));
    settle_on(&watched.pair.meter, &[vip()], "a")?;
    assert!(sessions.iter_mut().all(Session::lives));
    assert!(!watched.idle.is_finished());
    assert_eq!(closed(&again)?, 0);
    Ok(())
}

fn standby() -> Outcome {
    let mut watched = Watched::start(&[])?;
    let a = watched.pair.scene.a.clone();
    let mut sessions = [
        Session::open(&a, vip())?,
        Session::open(&watched.pair.scene.client, vip())?,
    ];
    let standby = Agent::start(&a, &web().priority(200).yaml(), &AgentOptions::default())?;
    look::wait_for_log(&standby, "standing by", PATIENCE)?;
    watched.pair.stop_a()?;
    look::wait_for_state(&standby, "web", "Active", PATIENCE)?;
    stays_on(&watched.pair.meter, vip(), "a", SECOND)?;
    assert!(sessions.iter_mut().all(Session::lives));
    assert!(!watched.idle.is_finished());
    assert_eq!(closed(&standby)?, 0);
    Ok(())
}
