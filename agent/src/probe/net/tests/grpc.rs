//! gRPC's health protocol, with and without TLS.

use std::sync::{Arc, Mutex};

use ::http::{HeaderMap, HeaderValue, Request, Response};
use holdfast_api::model::probe::Grpc;

use super::pki::{Authority, acceptor};
use super::*;

/// What a server answers.
#[derive(Clone, Default)]
struct Served {
    /// `grpc-status` in the header: an answer without a message.
    refuses: Option<&'static str>,
    says: Option<&'static str>,
    message: &'static [u8],
    ends_with: Option<&'static str>,
}

type Seen = Arc<Mutex<Vec<(Request<()>, Vec<u8>)>>>;

async fn serve(stream: impl dial::Io, served: Served, seen: Seen) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (parts, mut body) = request.into_parts();
        let (served, seen) = (served.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            let mut asked = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                asked.extend_from_slice(&piece);
            }
            seen.lock().unwrap().push((Request::from_parts(parts, ()), asked));
            let mut answer = Response::new(());
            answer
                .headers_mut()
                .insert("content-type", HeaderValue::from_static("application/grpc"));
            if let Some(status) = served.refuses {
                answer
                    .headers_mut()
                    .insert("grpc-status", HeaderValue::from_static(status));
                if let Some(says) = served.says {
                    answer
                        .headers_mut()
                        .insert("grpc-message", HeaderValue::from_static(says));
                }
                respond.send_response(answer, true).unwrap();
                return;
            }
            let mut body = respond.send_response(answer, false).unwrap();
            body.send_data(served.message.into(), false).unwrap();
            let mut end = HeaderMap::new();
            if let Some(status) = served.ends_with {
                end.insert("grpc-status", HeaderValue::from_static(status));
            }
            body.send_trailers(end).unwrap();
        });
    }
}

async fn serves(served: Served) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let address = server(move |stream| serve(stream, served.clone(), Arc::clone(&log))).await;
    (address, seen)
}

fn grpc(address: SocketAddr, service: &str) -> Grpc {
    Grpc {
        target: this_node(address.port()),
        tls: None,
        service: service.to_owned(),
    }
}

async fn answered(served: Served) -> (Outcome, String) {
    let (address, _) = serves(served).await;
    first(Written::Grpc(grpc(address, "shop.Cart"))).await
}

fn status(message: &'static [u8]) -> Served {
    Served {
        message,
        ends_with: Some("0"),
        ..Served::default()
    }
}

#[tokio::test]
async fn serving_passes_and_the_question_is_the_protocols() {
    let (address, seen) = serves(status(b"\0\0\0\0\x02\x08\x01")).await;
    assert_eq!(
        first(Written::Grpc(grpc(address, "shop.Cart"))).await,
        passed("answered SERVING")
    );
    assert_eq!(
        first(Written::Grpc(grpc(address, ""))).await,
        passed("answered SERVING")
    );
    let seen = seen.lock().unwrap();
    let (request, asked) = &seen[0];
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    assert_eq!(
        request.uri().authority().unwrap().as_str(),
        format!("localhost:{}", address.port())
    );
    assert_eq!(request.headers()["content-type"], "application/grpc");
    assert_eq!(request.headers()["te"], "trailers");
    assert_eq!(asked, b"\0\0\0\0\x0b\x0a\x09shop.Cart");
    assert_eq!(seen[1].1, b"\0\0\0\0\0");
}

#[tokio::test]
async fn every_other_status_fails_by_its_name() {
    // Zero is not written: protobuf leaves out what is usual.
    assert_eq!(answered(status(b"\0\0\0\0\0")).await, failed("answered UNKNOWN"));
    assert_eq!(
        answered(status(b"\0\0\0\0\x02\x08\x02")).await,
        failed("answered NOT_SERVING")
    );
    assert_eq!(
        answered(status(b"\0\0\0\0\x02\x08\x03")).await,
        failed("answered SERVICE_UNKNOWN")
    );
}

#[tokio::test]
async fn what_grpc_refuses_is_said_in_words() {
    let refuses = |status, says| Served {
        refuses: Some(status),
        says,
        ..Served::default()
    };
    for (served, words) in [
        (
            refuses("5", Some("unknown")),
            "the server does not know the service `shop.Cart` (NOT_FOUND)",
        ),
        (
            refuses("12", None),
            "the server has no health service (UNIMPLEMENTED)",
        ),
        (
            refuses("14", Some("try later")),
            "answered UNAVAILABLE: try later",
        ),
        (refuses("7", None), "answered PERMISSION_DENIED"),
        (refuses("99", None), "answered a status that gRPC does not have"),
        (refuses("0", None), "closed without an answer"),
    ] {
        assert_eq!(answered(served).await, failed(words));
    }
    let late = Served {
        ends_with: Some("5"),
        ..Served::default()
    };
    let words = "the server does not know the service `shop.Cart` (NOT_FOUND)";
    assert_eq!(answered(late).await, failed(words));
}

#[tokio::test]
async fn what_is_no_answer_of_the_protocol_is_said() {
    let none = failed("the answer is not one of gRPC's health service");
    for message in [
        &b"\x01\0\0\0\x02\x08\x01"[..],
        b"\0\0\0\0\x09\x08\x01",
        b"\0\0",
        b"\0\0\0\0\x02\xff\xff",
    ] {
        assert_eq!(answered(status(message)).await, none, "{message:?}");
    }
    let served = super::http::Served {
        status: 404,
        pieces: Vec::new(),
        ends: true,
    };
    let web = server(move |stream| super::http::serve_http2(stream, served.clone(), Arc::default())).await;
    assert_eq!(
        first(Written::Grpc(grpc(web, ""))).await,
        failed("answered 404 by HTTP and not by gRPC")
    );
    let old = says("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert_eq!(
        first(Written::Grpc(grpc(old, ""))).await,
        failed("the answer is not HTTP/2")
    );
    assert_eq!(
        cut_off(Written::Grpc(grpc(silent().await, ""))).await,
        "connected, but nothing was answered"
    );
}

#[tokio::test]
async fn with_tls_the_server_is_verified() {
    let authority = Authority::new();
    let acceptor = acceptor(&authority.server(&["localhost"]), &["h2"], None);
    let address = server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, status(b"\0\0\0\0\x02\x08\x01"), Seen::default()).await;
            }
        }
    })
    .await;
    let with = |authority: &Authority| {
        Written::Grpc(Grpc {
            tls: Some(authority.believed()),
            ..grpc(address, "")
        })
    };
    assert_eq!(first(with(&authority)).await, passed("answered SERVING"));
    assert_eq!(
        first(with(&Authority::new())).await,
        failed("certificate is signed by an unknown authority")
    );
}
