//! One question by HTTP/1.1.

use core::pin::pin;
use std::io;

use ::http::Request;
use ::http::header::{CONNECTION, HOST, HeaderValue};
use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;

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
    let built = Builder::new()
        .max_buf_size(LONGEST_HEADER as usize)
        .handshake(TokioIo::new(connection))
        .await;
    let (mut sender, machinery) = built.map_err(|error| failure(&error))?;
    let mut machinery = pin!(machinery.fuse());
    let answer = alongside(machinery.as_mut(), sender.send_request(request(question)?)).await;
    let answer = answer.map_err(|error| failure(&error))?;
    let status = answer.status();
    expected.status(status)?;
    stage.set(Stage::READING);
    let (mut rest, mut body) = (answer.into_body(), BytesMut::new());
    while let Some(frame) = alongside(machinery.as_mut(), rest.frame()).await {
        let frame = frame.map_err(|error| cut_short(&error))?;
        if frame.data_ref().is_some_and(|piece| !keep(&mut body, piece)) {
            break;
        }
    }
    expected.body(status, &body)
}

fn request(question: &Question) -> Result<Request<Empty<Bytes>>, Failure> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = question.path.clone().into();
    let headers = request.headers_mut();
    headers.clone_from(&question.headers);
    let host = HeaderValue::from_str(question.authority.as_str())
        .map_err(|_| Failure::could_not_run("the host cannot be sent"))?;
    headers.insert(HOST, host);
    // So that it is the server that closes, and nobody waits.
    headers
        .entry(CONNECTION)
        .or_insert(HeaderValue::from_static("close"));
    Ok(request)
}

/// Of what happens after the header was read.
fn cut_short(error: &hyper::Error) -> Failure {
    let ended = io_error(error).is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof);
    if ended || error.is_incomplete_message() {
        return Failure::failed("closed in the middle of the answer");
    }
    failure(error)
}

fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    core::error::Error::source(error)?.downcast_ref()
}

fn failure(error: &hyper::Error) -> Failure {
    if let Some(io) = io_error(error) {
        return Failure::of_io(io);
    }
    if error.is_incomplete_message() {
        return Failure::failed("closed without an answer");
    }
    if error.is_parse_too_large() {
        return Failure::failed("the header of the answer is longer than 64 KiB");
    }
    if error.is_parse() {
        return Failure::failed("the answer is not HTTP");
    }
    Failure::failed(quote(error.to_string().as_bytes()))
}
