//! A client of a service: asks by HTTP or HTTPS, over a new connection every few milliseconds and over one that it keeps, and
//! notes when it was answered.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use holdfast_lab::{Node, wait_until};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use crate::Result;

/// The pause between two new connections.
const PAUSE: Duration = Duration::from_millis(25);
/// How long a new connection may take until it counts as lost.
const VISIT: Duration = Duration::from_secs(2);
/// When a connection that does not answer is given up, as Kubernetes' own clients do: 30 s of silence, and 15 s for an answer to
/// a ping.
const PATIENT: Duration = Duration::from_secs(45);
/// The pause between two questions over the connection that is kept.
const KEPT_PAUSE: Duration = Duration::from_millis(25);

/// How a service is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connection {
    /// Each question has a connection of its own.
    New,
    /// One connection is kept as long as it answers, and made anew at once when it breaks.
    Established,
}

/// Where a service is, and what it is asked. Only an answer with status 200 counts.
#[derive(Clone)]
pub struct Service {
    address: SocketAddr,
    path: &'static str,
    tls: Option<TlsConnector>,
}

impl Service {
    /// A service without TLS.
    pub fn http(address: SocketAddr, path: &'static str) -> Self {
        Self {
            address,
            path,
            tls: None,
        }
    }

    /// A service whose certificate names `address` and is signed by the authority `ca` (PEM).
    ///
    /// # Errors
    /// When `ca` is no certificate.
    pub fn https(address: SocketAddr, path: &'static str, ca: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: Some(TlsConnector::from(Arc::new(tls))),
            ..Self::http(address, path)
        })
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::IpAddress(self.address.ip().into());
                Box::new(tls.connect(name, stream).await?)
            }
        })
    }

    /// Whether the answer over `stream` is that all is well.
    async fn ask(&self, stream: &mut dyn Stream) -> io::Result<bool> {
        let question = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", self.path, self.address);
        stream.write_all(question.as_bytes()).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        let mut buffer = [0; 2048];
        loop {
            let length = stream.read(&mut buffer).await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answer.extend_from_slice(&buffer[..length]);
            if let Some(well) = verdict(&answer) {
                return Ok(well);
            }
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.address, self.path)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({self})")
    }
}

/// A connection, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The client. It ends when it is dropped.
#[derive(Debug)]
pub struct Client {
    service: Service,
    over: Arc<AtomicBool>,
    answers: Vec<(Connection, Answers)>,
    thread: Option<JoinHandle<()>>,
}

/// When there was an answer, in the order of time.
type Answers = Arc<Mutex<Vec<Instant>>>;

impl Client {
    /// Begins to ask `service` from `node` over all of these kinds of connection.
    pub fn start(node: &Node, service: Service, connections: &[Connection]) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let answers: Vec<_> = connections
            .iter()
            .map(|connection| (*connection, Answers::default()))
            .collect();
        let (until, node) = (Arc::clone(&over), node.clone());
        let (site, noted) = (service.clone(), answers.clone());
        let thread = thread::spawn(move || {
            let all = node.netns().run(|| {
                // All sockets of this runtime are made on this thread, and so in the client's namespace.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                if let Ok(runtime) = runtime {
                    runtime.block_on(ask_until(&until, &site, noted));
                }
                Ok(())
            });
            // A namespace that is gone has no clients either.
            drop(all);
        });
        Self {
            service,
            over,
            answers,
            thread: Some(thread),
        }
    }

    /// Waits until there are answers over each kind of connection to what was asked from now on, and returns how long that took.
    ///
    /// # Errors
    /// After `patience`.
    pub fn wait_for_answers(&self, patience: Duration) -> Result<Duration> {
        let start = Instant::now();
        Ok(wait_until(
            &format!("{} answers", self.service),
            patience,
            || {
                thread::sleep(Duration::from_millis(5));
                let answered = |answers: &Answers| lock(answers).last().is_some_and(|at| *at > start);
                Ok(self.answers.iter().all(|(_, answers)| answered(answers)))
            },
        )?)
    }

    /// The longest time since `start` without an answer; a silence that has not ended counts up to now. A kind of connection
    /// that the client was not started with has no answers at all.
    pub fn longest_silence_since(&self, start: Instant, connection: Connection) -> Duration {
        let end = Instant::now();
        let found = self.answers.iter().find(|(kind, _)| *kind == connection);
        found.map_or(end - start, |(_, answers)| {
            longest_gap(&lock(answers), start, end)
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Asks over all kinds of connection until it is `over`.
async fn ask_until(over: &AtomicBool, service: &Service, all: Vec<(Connection, Answers)>) {
    for (connection, answers) in all {
        let service = service.clone();
        match connection {
            Connection::New => tokio::spawn(come_again(service, answers)),
            Connection::Established => tokio::spawn(keep(service, answers)),
        };
    }
    while !over.load(Ordering::Relaxed) {
        sleep(PAUSE).await;
    }
}

async fn come_again(service: Service, answers: Answers) {
    loop {
        let (service, answers) = (service.clone(), Arc::clone(&answers));
        tokio::spawn(timeout(VISIT, async move {
            let mut stream = service.connect().await?;
            if service.ask(&mut *stream).await? {
                note(&answers);
            }
            io::Result::Ok(())
        }));
        sleep(PAUSE).await;
    }
}

/// It is the kernel, of whichever node, that has to say that a connection is gone: one that is silent is waited for.
async fn keep(service: Service, answers: Answers) {
    loop {
        if let Ok(Ok(mut stream)) = timeout(VISIT, service.connect()).await {
            while let Ok(Ok(well)) = timeout(PATIENT, service.ask(&mut *stream)).await {
                if well {
                    note(&answers);
                }
                sleep(KEPT_PAUSE).await;
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn note(answers: &Answers) {
    let mut answers = lock(answers);
    // Taken under the lock, so that the list is in order.
    answers.push(Instant::now());
}

fn lock(answers: &Answers) -> std::sync::MutexGuard<'_, Vec<Instant>> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest time between two answers that touches `start..end`, whole where it began before.
fn longest_gap(answers: &[Instant], start: Instant, end: Instant) -> Duration {
    let first = answers.partition_point(|at| *at < start);
    let before = first.checked_sub(1).map_or(start, |index| answers[index]);
    let mut last = before;
    let mut longest = Duration::ZERO;
    for at in answers[first..].iter().copied().chain([end]) {
        longest = longest.max(at.saturating_duration_since(last));
        last = at;
    }
    longest
}

/// Whether a whole HTTP answer is a success; `None` while it is not whole.
fn verdict(answer: &[u8]) -> Option<bool> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    // Without a length the head says enough; what follows on this connection is not read.
    let whole = length.is_none_or(|length| body.len() >= length);
    whole.then(|| head.split_whitespace().nth(1) == Some("200"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_longest_gap_is_whole_where_it_began_before_the_window() {
        let begin = Instant::now();
        let answers = [begin, begin + 5 * SECOND, begin + 6 * SECOND];
        let gap = |from: u32, to: u32| longest_gap(&answers, begin + from * SECOND, begin + to * SECOND);
        assert_eq!(gap(4, 7), 5 * SECOND);
        assert_eq!(gap(5, 7), 5 * SECOND, "the answer that ends it is in the window");
        assert_eq!(gap(6, 8), 2 * SECOND, "a silence that has not ended counts");
    }

    #[test]
    fn without_any_answer_all_of_the_window_is_a_gap() {
        let begin = Instant::now();
        assert_eq!(longest_gap(&[], begin, begin + 3 * SECOND), 3 * SECOND);
    }

    #[test]
    fn an_answer_is_judged_when_it_is_whole() {
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(verdict(ok), Some(true));
        assert_eq!(verdict(&ok[..ok.len() - 1]), None);
        assert_eq!(verdict(&ok[..20]), None);
        assert_eq!(verdict(b"HTTP/1.0 200 OK\r\n\r\n"), Some(true));
        assert_eq!(
            verdict(b"HTTP/1.1 500 200\r\ncontent-length: 0\r\n\r\n"),
            Some(false)
        );
    }
}
