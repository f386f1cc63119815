//! Opens connections that leave no trace: each run has one of its own, and its port is free again at once.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::io;
use std::path::{Path, PathBuf};

use holdfast_api::model::probe::{Host, Target};
use nix::errno::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use super::abrupt::Abrupt;
use super::aside::Aside;
use super::failure::Failure;
use super::fair::Fair;
use super::name::Name;
use super::stage::Stage;
use super::static_pod::{self, Bound};

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// What is read from and written to.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection, whatever it is made of.
pub type Connection = Box<dyn Io>;

/// Connects to one target.
#[derive(Debug)]
pub struct Dialer {
    place: Place,
}

#[derive(Debug)]
enum Place {
    Socket(PathBuf),
    Address(SocketAddr),
    Name(Name, u16),
    ThisNode(u16),
    ApiServer(ApiServer),
}

impl Dialer {
    /// To `target`.
    pub fn new(target: &Target) -> Self {
        let place = match target {
            Target::Socket(path) => Place::Socket(path.into()),
            Target::Host { host, port } => match host {
                Host::Address(address) => Place::Address(SocketAddr::new(*address, *port)),
                Host::Name(name) => Place::Name(Name::new(name), *port),
                Host::ThisNode => Place::ThisNode(*port),
                Host::ThisApiServer => Place::ApiServer(ApiServer::new(*port, static_pod::MANIFEST)),
            },
        };
        Self { place }
    }

    /// Connects, and says in `stage` what it is waiting for.
    pub async fn connect(&mut self, stage: &mut Stage) -> Result<Connection, Failure> {
        stage.set(Stage::CONNECTING);
        let stream = match &mut self.place {
            Place::Socket(path) => return socket(path).await,
            Place::Address(address) => tcp(*address).await.map_err(|error| Failure::of_io(&error)),
            Place::ThisNode(port) => this_node(*port).await,
            Place::ApiServer(server) => server.connect().await,
            Place::Name(name, port) => {
                stage.set(name.pending());
                let addresses = name.addresses().await?;
                stage.set(Stage::CONNECTING);
                any_of(addresses, *port).await
            }
        };
        Ok(Box::new(Fair::new(Abrupt(stream?))))
    }

    /// How the host is called in requests and certificates if nobody says otherwise, and the port.
    pub fn host_and_port(target: &Target) -> (String, Option<u16>) {
        match target {
            Target::Socket(_) => ("localhost".to_owned(), None),
            Target::Host { host, port } => {
                let host = match host {
                    Host::ThisNode => "localhost".to_owned(),
                    // Of the names in its certificate the one that every cluster has.
                    Host::ThisApiServer => "kubernetes.default.svc".to_owned(),
                    Host::Address(address) => address.to_string(),
                    Host::Name(name) => name.clone(),
                };
                (host, Some(*port))
            }
        }
    }
}

async fn socket(path: &Path) -> Result<Connection, Failure> {
    match UnixStream::connect(path).await {
        Ok(stream) => Ok(Box::new(Fair::new(stream))),
        Err(error) => Err(Failure::of_io(&error).during(&path.display().to_string())),
    }
}

/// The addresses of a name one after the other. Where they fail alike it is said once.
async fn any_of(addresses: &[IpAddr], port: u16) -> Result<TcpStream, Failure> {
    let mut failures: Vec<(IpAddr, Failure)> = Vec::new();
    for address in addresses {
        match tcp(SocketAddr::new(*address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failures.push((*address, Failure::of_io(&error))),
        }
    }
    let Some((_, first)) = failures.first() else {
        return Err(Failure::could_not_run("there is no address to connect to"));
    };
    if failures.iter().all(|(_, failure)| failure == first) {
        return Err(first.clone());
    }
    let each: Vec<String> = failures
        .iter()
        .map(|(address, failure)| format!("{address}: {}", failure.message))
        .collect();
    Err(Failure {
        outcome: first.outcome,
        message: each.join("; "),
    })
}

/// What 127.0.0.1 says counts: where a service listens on ::1 alone, that one is as good, and a node without IPv6 has none.
async fn this_node(port: u16) -> Result<TcpStream, Failure> {
    let mut first = None;
    for address in LOOPBACK {
        match tcp(SocketAddr::new(address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.map_or_else(
        || Failure::could_not_run("there is no loopback address"),
        |error| Failure::of_io(&error),
    ))
}

async fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A connection that is closed the usual way keeps its port for a minute: a hundred probes a second would use them up.
    socket.set_zero_linger()?;
    socket.set_nodelay(true)?;
    let stream = socket.connect(address).await?;
    if is_own(&stream, address) {
        return Err(io::Error::from(Errno::ECONNREFUSED));
    }
    Ok(stream)
}

/// Whether a connection to `address` is one with itself: where nobody listens, the kernel may choose the very port that is
/// dialed for the near end, and connects the two.
fn is_own(stream: &TcpStream, address: SocketAddr) -> bool {
    stream.local_addr().is_ok_and(|own| own == address)
}

/// This node's API server, which may listen on one address of the node alone.
#[derive(Debug)]
struct ApiServer {
    port: u16,
    manifest: PathBuf,
    bound: Bound,
    reading: Aside<Option<Bound>>,
}

impl ApiServer {
    fn new(port: u16, manifest: impl Into<PathBuf>) -> Self {
        Self {
            port,
            manifest: manifest.into(),
            bound: Bound::default(),
            reading: Aside::default(),
        }
    }

    async fn connect(&mut self) -> Result<TcpStream, Failure> {
        let failure = match self.dial().await {
            Ok(stream) => return Ok(stream),
            Err(failure) => failure,
        };
        // Only now: a manifest changes rarely, and an API server that answers is one, whatever a file says.
        let manifest = self.manifest.clone();
        let read = self.reading.run(move || static_pod::read(&manifest)).await;
        let bound = read.ok().flatten().unwrap_or_default();
        if bound == self.bound {
            return Err(failure);
        }
        self.bound = bound;
        self.dial().await
    }

    async fn dial(&self) -> Result<TcpStream, Failure> {
        let port = self.bound.port.unwrap_or(self.port);
        let failure = match this_node(port).await {
            Ok(stream) => return Ok(stream),
            Err(failure) => failure,
        };
        match self.bound.address {
            Some(address) => tcp(SocketAddr::new(address, port))
                .await
                .map_err(|error| Failure::of_io(&error)),
            None => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests;
