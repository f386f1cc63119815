//! A client of the control plane: asks for `/readyz` by TLS, over a new connection every few milliseconds and over one that
//! it keeps, and notes when it was answered.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use holdfast_e2e::Result;
use holdfast_lab::{Node, kubeadm::PORT, wait_until};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The pause between two new connections.
const PAUSE: Duration = Duration::from_millis(25);
/// How long a new connection may take until it counts as lost.
const VISIT: Duration = Duration::from_secs(2);
/// When a connection that does not answer is given up, as Kubernetes' own clients do: 30 s of silence, and 15 s for an answer to
/// a ping.
const PATIENT: Duration = Duration::from_secs(45);
/// The pause between two questions over the connection that is kept.
const KEPT_PAUSE: Duration = Duration::from_millis(25);

/// How the control plane is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connection {
    /// Each question has a connection of its own.
    New,
    /// One connection is kept as long as it answers, and made anew at once when it breaks.
    Established,
}

/// The client. It ends when it is dropped.
pub struct Visitor {
    over: Arc<AtomicBool>,
    fresh: Answers,
    kept: Answers,
    thread: Option<JoinHandle<()>>,
}

/// When there was an answer, in the order of time.
type Answers = Arc<Mutex<Vec<Instant>>>;

impl Visitor {
    /// Begins to ask the control plane at `address`, whose certificate the authority `ca` (PEM) has signed.
    pub fn start(client: &Node, address: IpAddr, ca: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let site = Site {
            address: SocketAddr::new(address, PORT),
            tls: TlsConnector::from(Arc::new(tls)),
        };
        let over = Arc::new(AtomicBool::new(false));
        let (fresh, kept) = (Answers::default(), Answers::default());
        let (until, client) = (Arc::clone(&over), client.clone());
        let (noted_fresh, noted_kept) = (Arc::clone(&fresh), Arc::clone(&kept));
        let thread = thread::spawn(move || {
            let all = client.netns().run(|| {
                // All sockets of this runtime are made on this thread, and so in the client's namespace.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                if let Ok(runtime) = runtime {
                    runtime.block_on(async {
                        tokio::spawn(keep(site.clone(), noted_kept));
                        visit_until(&until, &site, &noted_fresh).await;
                    });
                }
                Ok(())
            });
            // A namespace that is gone has no visitors either.
            drop(all);
        });
        Ok(Self {
            over,
            fresh,
            kept,
            thread: Some(thread),
        })
    }

    /// Waits until there are answers over both kinds of connection to what was asked from now on.
    ///
    /// # Errors
    /// After `patience`.
    pub fn wait_for_answers(&self, patience: Duration) -> Result<Duration> {
        let start = Instant::now();
        let answered = |answers: &Answers| lock(answers).last().is_some_and(|at| *at > start);
        Ok(wait_until(
            "the control plane answers at its address",
            patience,
            || {
                thread::sleep(Duration::from_millis(5));
                Ok(answered(&self.fresh) && answered(&self.kept))
            },
        )?)
    }

    /// The longest time since `start` without an answer; a silence that has not ended counts up to now.
    pub fn longest_silence_since(&self, start: Instant, connection: Connection) -> Duration {
        let answers = match connection {
            Connection::New => &self.fresh,
            Connection::Established => &self.kept,
        };
        longest_gap(&lock(answers), start, Instant::now())
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
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

#[derive(Clone)]
struct Site {
    address: SocketAddr,
    tls: TlsConnector,
}

impl Site {
    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        self.tls
            .connect(ServerName::IpAddress(self.address.ip().into()), stream)
            .await
    }

    /// Whether the answer over `stream` is that all is well.
    async fn ask(&self, stream: &mut TlsStream<TcpStream>) -> io::Result<bool> {
        let question = format!("GET /readyz HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
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

/// Whether a whole HTTP answer is a success; `None` while it is not whole.
fn verdict(answer: &[u8]) -> Option<bool> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    // Without a length it is refused all the same; what follows on this connection is not read.
    let whole = length.is_none_or(|length| body.len() >= length);
    whole.then(|| head.starts_with("HTTP/1.1 200"))
}

async fn visit_until(over: &AtomicBool, site: &Site, answers: &Answers) {
    while !over.load(Ordering::Relaxed) {
        let (site, answers) = (site.clone(), Arc::clone(answers));
        tokio::spawn(timeout(VISIT, async move {
            let mut stream = site.connect().await?;
            if site.ask(&mut stream).await? {
                note(&answers);
            }
            io::Result::Ok(())
        }));
        sleep(PAUSE).await;
    }
}

/// It is the kernel, of whichever node, that has to say that a connection is gone: one that is silent is waited for.
async fn keep(site: Site, answers: Answers) {
    loop {
        if let Ok(Ok(mut stream)) = timeout(VISIT, site.connect()).await {
            while let Ok(Ok(well)) = timeout(PATIENT, site.ask(&mut stream)).await {
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
