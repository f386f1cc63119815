//! One question by HTTP/2, over TLS or by prior knowledge.

use core::pin::pin;
use std::io;

use ::http::uri::Scheme;
use ::http::{Request, Uri, Version};
use bytes::BytesMut;
use futures::FutureExt as _;
use h2::client::{Builder, Connection as Machinery, SendRequest};
use h2::{Reason, RecvStream};

use super::alongside::alongside;
use super::dial::Connection;
use super::failure::{Failure, Found, quote};
use super::http::{Expected, LONGEST_HEADER, Question, keep};
use super::stage::Stage;

/// Asks on `connection`.
pub async fn ask(
    connection: Connection,
    question: &Question,
    expected: &Expected,
    stage: &mut Stage,
) -> Found {
    let (sender, machinery) = open(connection).await?;
    let mut machinery = pin!(machinery.fuse());
    let asking = async {
        let mut sender = sender.ready().await.map_err(|error| failure(&error))?;
        let (answer, _) = sender
            .send_request(request(question)?, true)
            .map_err(|error| failure(&error))?;
        let answer = answer.await.map_err(|error| failure(&error))?;
        let status = answer.status();
        expected.status(status)?;
        stage.set(Stage::READING);
        let body = read(&mut answer.into_body()).await?;
        expected.body(status, &body)
    };
    alongside(machinery.as_mut(), asking).await
}

/// Begins to speak HTTP/2 on `connection`.
pub async fn open(
    connection: Connection,
) -> Result<(SendRequest<bytes::Bytes>, Machinery<Connection>), Failure> {
    Builder::new()
        .enable_push(false)
        .max_header_list_size(LONGEST_HEADER)
        .handshake(connection)
        .await
        .map_err(|error| failure(&error))
}

/// Reads a body, as much of it as counts.
pub async fn read(rest: &mut RecvStream) -> Result<BytesMut, Failure> {
    let mut body = BytesMut::new();
    while let Some(piece) = rest.data().await {
        let piece = piece.map_err(|error| cut_short(&error))?;
        if !keep(&mut body, &piece) {
            break;
        }
        // What was read may be sent again, up to the window's size.
        let released = rest.flow_control().release_capacity(piece.len());
        released.map_err(|error| failure(&error))?;
    }
    Ok(body)
}

fn request(question: &Question) -> Result<Request<()>, Failure> {
    let scheme = if question.secure {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(question.authority.clone())
        .path_and_query(question.path.clone())
        .build();
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri.map_err(|error| Failure::could_not_run(error.to_string()))?;
    request.headers_mut().clone_from(&question.headers);
    Ok(request)
}

/// Of what happens after the header was read.
fn cut_short(error: &h2::Error) -> Failure {
    match error.get_io().map(io::Error::kind) {
        Some(io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof) => {
            Failure::failed("closed in the middle of the answer")
        }
        _ => failure(error),
    }
}

/// Why HTTP/2 did not work.
pub fn failure(error: &h2::Error) -> Failure {
    if let Some(io) = error.get_io() {
        return match io.kind() {
            io::ErrorKind::BrokenPipe => Failure::failed("closed without an answer"),
            _ => Failure::of_io(io),
        };
    }
    let reason = error.reason().unwrap_or(Reason::INTERNAL_ERROR);
    if !error.is_remote() {
        return Failure::failed("the answer is not HTTP/2");
    }
    let what = quote(reason.description().as_bytes());
    Failure::failed(format!("the server ends the question: {what}"))
}
