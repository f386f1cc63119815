//! Asks by gRPC's health protocol (grpc.health.v1), version 1.

use core::pin::pin;

use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use ::http::uri::{Authority, Scheme};
use ::http::{Method, Request, StatusCode, Uri, Version};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures::FutureExt as _;
use holdfast_api::model::probe::Grpc;
use prost::Message as _;

use super::Look;
use super::alongside::alongside;
use super::dial::{Connection, Dialer};
use super::failure::{Failure, Found, quote};
use super::http::{AGENT, host};
use super::http2::{self, failure};
use super::stage::Stage;
use super::tls::{Alpn, TlsClient};

const PATH: &str = "/grpc.health.v1.Health/Check";

/// In front of each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// `HealthCheckRequest` of grpc/health/v1/health.proto.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// `HealthCheckResponse` of the same.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    status: i32,
}

/// `HealthCheckResponse.ServingStatus` of the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, prost::Enumeration)]
#[repr(i32)]
enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

/// Looks by gRPC.
pub struct GrpcLook {
    dialer: Dialer,
    tls: Option<TlsClient>,
    uri: Uri,
    service: String,
    question: Bytes,
    stage: Stage,
}

impl GrpcLook {
    /// As `grpc` says.
    pub fn new(grpc: &Grpc) -> Result<Self, Failure> {
        let secure = grpc.tls.is_some();
        let called = host(&grpc.target, secure);
        let authority: Authority = called
            .parse()
            .map_err(|_| Failure::could_not_run(format!("`{}` is no host", quote(called.as_bytes()))))?;
        let uri = Uri::builder()
            .scheme(if secure { Scheme::HTTPS } else { Scheme::HTTP })
            .authority(authority)
            .path_and_query(PATH)
            .build()
            .map_err(|error| Failure::could_not_run(error.to_string()))?;
        let (host, _) = Dialer::host_and_port(&grpc.target);
        let tls = grpc
            .tls
            .as_ref()
            .map(|tls| TlsClient::new(tls, &host, Alpn::Http2));
        Ok(Self {
            dialer: Dialer::new(&grpc.target),
            tls: tls.transpose()?,
            uri,
            service: grpc.service.clone(),
            question: framed(&HealthCheckRequest {
                service: grpc.service.clone(),
            }),
            stage: Stage::default(),
        })
    }

    async fn ask(&mut self, connection: Connection) -> Found {
        let (sender, machinery) = http2::open(connection).await?;
        let mut machinery = pin!(machinery.fuse());
        let (request, stage) = (request(&self.uri), &mut self.stage);
        let asking = async {
            let mut sender = sender.ready().await.map_err(|error| failure(&error))?;
            let (answer, mut body) = sender
                .send_request(request, false)
                .map_err(|error| failure(&error))?;
            body.send_data(self.question.clone(), true)
                .map_err(|error| failure(&error))?;
            let answer = answer.await.map_err(|error| failure(&error))?;
            if answer.status() != StatusCode::OK {
                return Err(Failure::failed(format!(
                    "answered {} by HTTP and not by gRPC",
                    answer.status().as_u16()
                )));
            }
            // A server that refuses says so at once, in the header.
            refusal(answer.headers(), &self.service)?;
            stage.set(Stage::READING);
            let mut rest = answer.into_body();
            let message = http2::read(&mut rest).await?;
            let end = rest.trailers().await.map_err(|error| failure(&error))?;
            refusal(&end.unwrap_or_default(), &self.service)?;
            judge(&message)
        };
        alongside(machinery.as_mut(), asking).await
    }
}

impl Look for GrpcLook {
    async fn look(&mut self) -> Found {
        let mut connection = self.dialer.connect(&mut self.stage).await?;
        if let Some(tls) = &mut self.tls {
            connection = tls.secure(connection, &mut self.stage).await?;
        }
        self.stage.set(Stage::WAITING);
        self.ask(connection).await
    }

    fn stage(&self) -> &Stage {
        &self.stage
    }
}

fn request(uri: &Uri) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri.clone();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(USER_AGENT, AGENT);
    request
}

fn framed(message: &HealthCheckRequest) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    // A service's name has 253 bytes at most.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    bytes.extend_from_slice(&message.encode_to_vec());
    bytes.freeze()
}

/// What `grpc-status` says, unless it is that all is well or nothing.
fn refusal(headers: &HeaderMap, service: &str) -> Result<(), Failure> {
    let text = |name| headers.get(name).map(HeaderValue::as_bytes);
    let Some(status) = text("grpc-status") else {
        return Ok(());
    };
    Err(Failure::failed(match status {
        b"0" => return Ok(()),
        b"5" => format!("the server does not know the service `{service}` (NOT_FOUND)"),
        b"12" => "the server has no health service (UNIMPLEMENTED)".to_owned(),
        other => {
            let number = core::str::from_utf8(other)
                .ok()
                .and_then(|text| text.parse().ok());
            let name = number
                .and_then(|number: usize| STATUSES.get(number).copied())
                .unwrap_or("a status that gRPC does not have");
            match text("grpc-message") {
                Some(said) if !said.is_empty() => format!("answered {name}: {}", quote(said)),
                _ => format!("answered {name}"),
            }
        }
    }))
}

/// gRPC's statuses in the order of their numbers.
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

fn judge(mut framed: &[u8]) -> Found {
    let unreadable = || Failure::failed("the answer is not one of gRPC's health service");
    if framed.is_empty() {
        return Err(Failure::failed("closed without an answer"));
    }
    if framed.len() < PREFIX || framed.get_u8() != 0 {
        return Err(unreadable());
    }
    let length = usize::try_from(framed.get_u32()).unwrap_or(usize::MAX);
    let message = framed.get(..length).ok_or_else(unreadable)?;
    let answer = HealthCheckResponse::decode(message).map_err(|_| unreadable())?;
    match ServingStatus::try_from(answer.status) {
        Ok(ServingStatus::Serving) => Ok("answered SERVING".to_owned()),
        Ok(ServingStatus::NotServing) => Err(Failure::failed("answered NOT_SERVING")),
        Ok(ServingStatus::Unknown) => Err(Failure::failed("answered UNKNOWN")),
        Ok(ServingStatus::ServiceUnknown) => Err(Failure::failed("answered SERVICE_UNKNOWN")),
        Err(_) => Err(unreadable()),
    }
}
