//! TLS for one probe: whom it believes, what it shows, and a configuration that follows the files it is made of.

mod config;
mod names;
mod verify;

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use holdfast_api::model::probe::Tls;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use self::config::{Sources, Stamp};
use super::aside::Aside;
use super::dial::Connection;
use super::failure::{Failure, quote};
use super::stage::Stage;
use crate::status::FaultStatus;

/// What was built from files that have not changed is built anew after this time all the same: of the authorities that the
/// node trusts it is not known which files they are in.
const LONGEST: Duration = Duration::from_hours(1);

/// The application protocol that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alpn {
    /// HTTP/1.1. A server that knows nothing of application protocols speaks it anyway.
    Http1,
    /// HTTP/2, which has to be agreed on.
    Http2,
}

impl Alpn {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// The client of one probe.
#[derive(Debug)]
pub struct TlsClient {
    sources: Arc<Sources>,
    name: ServerName<'static>,
    alpn: Alpn,
    asked_at: Vec<IpAddr>,
    /// What the certificate leaves out that was shown last.
    left_out: Option<FaultStatus>,
    built: Option<Built>,
    building: Aside<Result<Option<Built>, Failure>>,
}

#[derive(Clone, Debug)]
struct Built {
    config: Arc<ClientConfig>,
    stamp: Stamp,
    at: Instant,
}

impl TlsClient {
    /// A client as `tls` says, for a server that is called `host` if `tls` does not say how.
    pub fn new(tls: &Tls, host: &str, alpn: Alpn) -> Result<Self, Failure> {
        let name = tls.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            Failure::could_not_run(format!("`{}` is no name of a server", quote(name.as_bytes())))
        })?;
        Ok(Self {
            sources: Arc::new(Sources::new(tls, alpn.name())),
            name,
            alpn,
            asked_at: tls.asked_at.clone(),
            left_out: None,
            built: None,
            building: Aside::default(),
        })
    }

    /// Puts TLS on a connection.
    pub async fn secure(&mut self, connection: Connection, stage: &mut Stage) -> Result<Connection, Failure> {
        let config = self.config(stage).await?;
        stage.set(Stage::SECURING);
        let stream = TlsConnector::from(config)
            .connect(self.name.clone(), connection)
            .await
            .map_err(|error| handshake(&error))?;
        let session = stream.get_ref().1;
        let shown = session.peer_certificates().and_then(<[_]>::first);
        self.left_out = shown.and_then(|shown| names::left_out(shown, &self.asked_at));
        let agreed = session.alpn_protocol();
        match (self.alpn, agreed) {
            (Alpn::Http2, None) => Err(Failure::failed(
                "TLS handshake: the server does not agree on HTTP/2 (ALPN)",
            )),
            _ => Ok(Box::new(stream)),
        }
    }

    /// What the certificate of a server that was believed leaves out, as it was shown last.
    pub fn warning(&self) -> Option<FaultStatus> {
        self.left_out.clone()
    }

    async fn config(&mut self, stage: &mut Stage) -> Result<Arc<ClientConfig>, Failure> {
        let before = self.built.as_ref().filter(|built| built.at.elapsed() < LONGEST);
        if let Some(built) = before
            && !self.sources.has_files()
        {
            return Ok(Arc::clone(&built.config));
        }
        stage.set("the files with certificates have not been read");
        let (sources, stamp) = (Arc::clone(&self.sources), before.map(|built| built.stamp.clone()));
        // Off this thread: files may be on a server that is gone.
        let outcome = self.building.run(move || rebuild(&sources, stamp.as_ref())).await;
        let outcome = outcome.unwrap_or_else(|error| Err(Failure::of_io(&error)));
        match outcome {
            Ok(Some(built)) => self.built = Some(built),
            Ok(None) => {}
            Err(failure) => {
                // The next run is to say so as well.
                self.built = None;
                return Err(failure);
            }
        }
        let config = self.built.as_ref().map(|built| Arc::clone(&built.config));
        config.ok_or_else(|| Failure::could_not_run("there is no configuration of TLS"))
    }
}

/// `None` if everything is as it was at `stamp`.
fn rebuild(sources: &Sources, stamp: Option<&Stamp>) -> Result<Option<Built>, Failure> {
    // Before the files are read: what changes meanwhile is seen by the next run.
    let now = sources.stamp();
    if stamp == Some(&now) {
        return Ok(None);
    }
    let config = sources.build()?;
    Ok(Some(Built {
        config: Arc::new(config),
        stamp: now,
        at: Instant::now(),
    }))
}

fn handshake(error: &std::io::Error) -> Failure {
    let failure = Failure::of_io(error);
    let by_tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match by_tls {
        Some(_) => failure,
        None => failure.during("TLS handshake"),
    }
}
