//! A visitor of the service behind an address: asks by HTTP again and again, over a new connection each time, and notes who
//! answered. The meter tells which node packets reach; this tells whether somebody is served there.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use holdfast_lab::{Node, service::Nginx, wait_until};

use crate::Result;

/// How long one visit may take.
const VISIT: Duration = Duration::from_millis(50);
/// The pause between two visits.
const PAUSE: Duration = Duration::from_millis(2);

/// An nginx that says its node's name on every address of the node.
///
/// # Errors
/// When nginx is not installed.
pub fn site(node: &Node) -> Result<Nginx> {
    Ok(Nginx::start(node, &site_answering(node, 200))?)
}

/// The `server` block of [`site`], with another status.
pub fn site_answering(node: &Node, status: u16) -> String {
    format!(
        "server {{ listen 80; listen [::]:80; return {status} \"{}\\n\"; }}",
        node.name()
    )
}

/// One visit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Visit {
    /// When it began.
    pub began: Instant,
    /// Who answered with success, and when.
    pub answer: Option<(String, Instant)>,
}

/// A visitor. It ends when it is dropped.
#[derive(Debug)]
pub struct Visitor {
    over: Arc<AtomicBool>,
    visits: Arc<Mutex<Vec<Visit>>>,
    thread: Option<JoinHandle<()>>,
}

impl Visitor {
    /// Begins to visit `address` from `client`.
    pub fn start(client: &Node, address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let visits = Arc::new(Mutex::new(Vec::new()));
        let (until, noted, client) = (Arc::clone(&over), Arc::clone(&visits), client.clone());
        let thread = thread::spawn(move || {
            let all = client.netns().run(|| {
                while !until.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let answer = visit(address).map(|name| (name, Instant::now()));
                    let visit = Visit { began, answer };
                    noted.lock().unwrap_or_else(PoisonError::into_inner).push(visit);
                    thread::sleep(PAUSE);
                }
                Ok(())
            });
            // A namespace that is gone has no visitors either.
            drop(all);
        });
        Self {
            over,
            visits,
            thread: Some(thread),
        }
    }

    /// Waits until `node` has answered a visit that began from now on.
    ///
    /// # Errors
    /// After `patience`.
    pub fn wait_for(&self, node: &str, patience: Duration) -> Result<()> {
        let start = Instant::now();
        let what = format!("{node} answers a visitor");
        wait_until(&what, patience, || {
            Ok(self
                .since(start)
                .iter()
                .any(|visit| visit.answer.as_ref().is_some_and(|(who, _)| who == node)))
        })?;
        Ok(())
    }

    /// From `moment` to the first answer to a visit that began after it; `None` if there was none yet.
    pub fn next_answer(&self, moment: Instant) -> Option<Duration> {
        let answers = self.since(moment).into_iter().filter_map(|visit| visit.answer);
        answers.map(|(_, at)| at - moment).next()
    }

    /// How many visits that began since `moment` and are over got no answer.
    pub fn failures(&self, moment: Instant) -> usize {
        self.since(moment)
            .iter()
            .filter(|visit| visit.answer.is_none())
            .count()
    }

    /// The visits that began since `moment` and are over.
    pub fn since(&self, moment: Instant) -> Vec<Visit> {
        let visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        visits
            .iter()
            .filter(|visit| visit.began >= moment)
            .cloned()
            .collect()
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A visitor that panicked has nothing more to say.
            drop(thread.join());
        }
    }
}

/// The body of a 200, if there is one in time.
fn visit(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, VISIT).ok()?;
    stream.set_read_timeout(Some(VISIT)).ok()?;
    stream
        .write_all(b"GET / HTTP/1.0\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.trim().to_owned())
}
