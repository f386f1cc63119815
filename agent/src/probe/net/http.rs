//! Asks by HTTP or HTTPS: one question on a connection of its own, no redirect followed.

use core::ops::RangeInclusive;

use ::http::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use ::http::uri::{Authority, PathAndQuery};
use ::http::{HeaderMap, StatusCode};
use bytes::BytesMut;
use holdfast_api::model::probe::{Http, Target};
use regex::bytes::Regex;

use super::Look;
use super::dial::Dialer;
use super::failure::{Failure, Found, quote};
use super::stage::Stage;
use super::tls::{Alpn, TlsClient};
use super::{http1, http2, pattern};
use crate::status::FaultStatus;

/// More of a body is not read.
pub const LONGEST_BODY: usize = 64 << 10;

/// More of a header is not read.
pub const LONGEST_HEADER: u32 = 64 << 10;

/// Who asks, unless the probe's headers say otherwise.
pub const AGENT: HeaderValue = HeaderValue::from_static(concat!("holdfast/", env!("CARGO_PKG_VERSION")));

/// Looks by HTTP.
pub struct HttpLook {
    dialer: Dialer,
    tls: Option<TlsClient>,
    http2: bool,
    question: Question,
    expected: Expected,
    stage: Stage,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Path and query.
    pub path: PathAndQuery,
    /// Whom, for the `Host` header or HTTP/2's `:authority`.
    pub authority: Authority,
    /// Whether over TLS.
    pub secure: bool,
    /// The other headers.
    pub headers: HeaderMap,
}

/// What has to be answered.
#[derive(Debug)]
pub struct Expected {
    statuses: Vec<RangeInclusive<u16>>,
    body: Option<Regex>,
}

impl HttpLook {
    /// As `http` says.
    pub fn new(http: &Http) -> Result<Self, Failure> {
        let question = Question::new(http)?;
        let alpn = if http.http2 { Alpn::Http2 } else { Alpn::Http1 };
        let (host, _) = Dialer::host_and_port(&http.target);
        let tls = http.tls.as_ref().map(|tls| TlsClient::new(tls, &host, alpn));
        Ok(Self {
            dialer: Dialer::new(&http.target),
            tls: tls.transpose()?,
            http2: http.http2,
            question,
            expected: Expected {
                statuses: http.statuses.clone(),
                body: http.body.as_deref().map(pattern::compile).transpose()?,
            },
            stage: Stage::default(),
        })
    }
}

impl Look for HttpLook {
    async fn look(&mut self) -> Found {
        let mut connection = self.dialer.connect(&mut self.stage).await?;
        if let Some(tls) = &mut self.tls {
            connection = tls.secure(connection, &mut self.stage).await?;
        }
        self.stage.set(Stage::WAITING);
        if self.http2 {
            http2::ask(connection, &self.question, &self.expected, &mut self.stage).await
        } else {
            http1::ask(connection, &self.question, &self.expected, &mut self.stage).await
        }
    }

    fn stage(&self) -> &Stage {
        &self.stage
    }

    fn warning(&self) -> Option<FaultStatus> {
        self.tls.as_ref()?.warning()
    }
}

impl Question {
    fn new(http: &Http) -> Result<Self, Failure> {
        let unusable = |what: &str, text: &str| {
            Failure::could_not_run(format!("`{}` is no {what}", quote(text.as_bytes())))
        };
        let mut headers = HeaderMap::with_capacity(http.headers.len() + 2);
        for (name, value) in &http.headers {
            let key =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable("name of a header", name))?;
            // Its value may be a secret.
            let value = HeaderValue::from_str(value).map_err(|_| {
                Failure::could_not_run(format!("the value of the header {key} cannot be sent"))
            })?;
            headers.append(key, value);
        }
        let secure = http.tls.is_some();
        let host = match headers.remove(HOST) {
            Some(host) => host.to_str().unwrap_or_default().to_owned(),
            None => host(&http.target, secure),
        };
        headers.entry(USER_AGENT).or_insert(AGENT);
        Ok(Self {
            path: http
                .path
                .parse()
                .map_err(|_| unusable("path of a URL", &http.path))?,
            authority: host.parse().map_err(|_| unusable("host", &host))?,
            secure,
            headers,
        })
    }
}

/// The host as a URL has it, with its port unless everybody knows it.
pub fn host(target: &Target, secure: bool) -> String {
    let (host, port) = Dialer::host_and_port(target);
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    match (port, secure) {
        (None, _) | (Some(80), false) | (Some(443), true) => host,
        (Some(port), _) => format!("{host}:{port}"),
    }
}

impl Expected {
    /// Whether a status may pass, before anything of a body was read.
    pub fn status(&self, status: StatusCode) -> Result<(), Failure> {
        let status = status.as_u16();
        if self.statuses.iter().any(|range| range.contains(&status)) {
            Ok(())
        } else {
            Err(Failure::failed(format!("answered {status}")))
        }
    }

    /// What an answer of a status that passes comes to with its body.
    pub fn body(&self, status: StatusCode, body: &[u8]) -> Found {
        match &self.body {
            Some(expected) if !expected.is_match(body) => Err(Failure::failed(format!(
                "body does not match {}",
                pattern::shown(expected)
            ))),
            _ => Ok(format!("answered {}", status.as_u16())),
        }
    }
}

/// Takes in a piece of a body; whether more of it is wanted.
pub fn keep(body: &mut BytesMut, piece: &[u8]) -> bool {
    let room = LONGEST_BODY - body.len();
    body.extend_from_slice(&piece[..piece.len().min(room)]);
    body.len() < LONGEST_BODY
}
