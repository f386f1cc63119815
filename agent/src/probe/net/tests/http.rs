//! HTTP without TLS.

use core::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use holdfast_api::model::probe::Http;

use super::*;

pub fn http(target: Target) -> Http {
    Http {
        target,
        tls: None,
        http2: false,
        path: "/healthz".to_owned(),
        headers: Vec::new(),
        statuses: vec![200..=399],
        body: None,
    }
}

fn get(address: SocketAddr) -> Written {
    Written::Http(http(at(address)))
}

fn by_http2(address: SocketAddr) -> Written {
    Written::Http(Http {
        http2: true,
        ..http(at(address))
    })
}

fn expects(address: SocketAddr, statuses: RangeInclusive<u16>, body: Option<&str>, http2: bool) -> Written {
    Written::Http(Http {
        statuses: vec![statuses],
        body: body.map(str::to_owned),
        http2,
        ..http(at(address))
    })
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What an HTTP/2 server answers: a status, pieces of a body, and whether that is all of it.
#[derive(Clone)]
pub struct Served {
    pub status: u16,
    pub pieces: Vec<Vec<u8>>,
    pub ends: bool,
}

/// A question as the server saw it.
pub type Seen = Arc<Mutex<Vec<::http::Request<()>>>>;

/// Serves HTTP/2 on a connection.
pub async fn serve_http2(stream: impl dial::Io, served: Served, seen: Seen) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        seen.lock().unwrap().push(request.map(drop));
        let answer = ::http::Response::builder()
            .status(served.status)
            .body(())
            .unwrap();
        let only_header = served.pieces.is_empty() && served.ends;
        let Ok(mut body) = respond.send_response(answer, only_header) else {
            return;
        };
        let last = served.pieces.len().saturating_sub(1);
        for (at, piece) in served.pieces.iter().enumerate() {
            let _gone = body.send_data(piece.clone().into(), served.ends && at == last);
        }
        if !served.ends {
            // As dropping it would end the answer.
            tokio::spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                drop(body);
            });
        }
    }
}

async fn http2_server(served: Served) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let address = server(move |stream| serve_http2(stream, served.clone(), Arc::clone(&log))).await;
    (address, seen)
}

#[tokio::test]
async fn statuses_in_the_range_pass_and_others_are_named() {
    for (status, range, expected) in [
        (200, 200..=399, passed("answered 200")),
        (401, 200..=403, passed("answered 401")),
        (503, 200..=399, failed("answered 503")),
        (199 + 1, 204..=204, failed("answered 200")),
    ] {
        let one = says(format!("HTTP/1.1 {status} x\r\nContent-Length: 2\r\n\r\nok")).await;
        assert_eq!(first(expects(one, range.clone(), None, false)).await, expected);
        let body = vec![b"ok".to_vec()];
        let (two, _) = http2_server(Served {
            status,
            pieces: body,
            ends: true,
        })
        .await;
        assert_eq!(first(expects(two, range, None, true)).await, expected);
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (_held, elsewhere) = nobody();
    let moved = format!("HTTP/1.1 302 Found\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        first(get(says(moved.clone()).await)).await,
        passed("answered 302")
    );
    let strict = expects(says(moved).await, 200..=299, None, false);
    assert_eq!(first(strict).await, failed("answered 302"));
}

#[tokio::test]
async fn headers_are_sent_and_the_host_may_be_another() {
    let (sender, mut asked) = tokio::sync::mpsc::channel(4);
    let address = server(move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut bytes = vec![0; 4096];
            let read = stream.read(&mut bytes).await.unwrap();
            bytes.truncate(read);
            sender.send(String::from_utf8(bytes).unwrap()).await.unwrap();
            stream.write_all(EMPTY.as_bytes()).await.unwrap();
        }
    })
    .await;
    assert_eq!(first(get(address)).await, passed("answered 200"));
    let text = asked.recv().await.unwrap();
    assert!(text.starts_with("GET /healthz HTTP/1.1\r\n"), "{text}");
    assert!(
        text.to_lowercase().contains(&format!("\r\nhost: {address}\r\n")),
        "{text}"
    );
    assert!(text.contains("connection: close"), "{text}");
    assert!(text.contains("user-agent: holdfast/"), "{text}");
    let headers = [
        ("Host", "shop.example"),
        ("Authorization", "Bearer abc"),
        ("User-Agent", "me"),
    ];
    let headers = headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    let named = Http {
        headers,
        path: "/a?b=c".to_owned(),
        ..http(this_node(address.port()))
    };
    assert_eq!(first(Written::Http(named.clone())).await, passed("answered 200"));
    let text = asked.recv().await.unwrap();
    assert!(text.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{text}");
    for line in [
        "host: shop.example",
        "authorization: Bearer abc",
        "user-agent: me",
    ] {
        assert!(text.contains(&format!("{line}\r\n")), "{text}");
    }
    assert_eq!(text.matches("host:").count(), 1, "{text}");

    let (address, seen) = http2_server(Served {
        status: 200,
        pieces: Vec::new(),
        ends: true,
    })
    .await;
    let named = Http {
        http2: true,
        target: this_node(address.port()),
        ..named
    };
    assert_eq!(first(Written::Http(named)).await, passed("answered 200"));
    let seen = seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.uri().to_string(), "http://shop.example/a?b=c");
    assert_eq!(seen.headers()["authorization"], "Bearer abc");
}

#[tokio::test]
async fn a_body_is_matched_whether_it_has_a_length_is_in_chunks_or_ends_with_the_connection() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall well",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n4\r\nwell\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nall well",
        "HTTP/1.0 200 OK\r\n\r\nall well",
    ] {
        let matching = expects(says(answer).await, 200..=200, Some("^all well$"), false);
        assert_eq!(first(matching).await, passed("answered 200"), "{answer}");
        let other = expects(says(answer).await, 200..=200, Some("^ok$"), false);
        assert_eq!(
            first(other).await,
            failed("body does not match /^ok$/"),
            "{answer}"
        );
    }
    let pieces = vec![b"all ".to_vec(), b"well".to_vec()];
    let (address, _) = http2_server(Served {
        status: 200,
        pieces,
        ends: true,
    })
    .await;
    assert_eq!(
        first(expects(address, 200..=200, Some("^all well$"), true)).await,
        passed("answered 200")
    );
    assert_eq!(
        first(expects(address, 200..=200, Some("^ok$"), true)).await,
        failed("body does not match /^ok$/")
    );
}

#[tokio::test]
async fn of_a_body_without_end_64_kib_are_read() {
    let endless = server(|mut stream| async move {
        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nstart").await;
        while stream.write_all(&[b'x'; 1000]).await.is_ok() {}
    })
    .await;
    assert_eq!(first(get(endless)).await, passed("answered 200"));
    assert_eq!(
        first(expects(endless, 200..=200, Some("^start"), false)).await,
        passed("answered 200")
    );
    assert_eq!(
        first(expects(endless, 200..=200, Some("end"), false)).await,
        failed("body does not match /end/")
    );
    let over = format!("{}end", "x".repeat(65_535));
    let late = format!("HTTP/1.1 200 OK\r\nContent-Length: 65538\r\n\r\n{over}");
    let (by_two, _) = http2_server(Served {
        status: 200,
        pieces: vec![over.into_bytes()],
        ends: true,
    })
    .await;
    for (address, http2) in [(says(late).await, false), (by_two, true)] {
        let cut = |body| expects(address, 200..=200, Some(body), http2);
        assert_eq!(first(cut("xe$")).await, passed("answered 200"));
        assert_eq!(first(cut("end")).await, failed("body does not match /end/"));
    }
    let pieces = vec![vec![b'x'; 70_000]];
    let (address, _) = http2_server(Served {
        status: 200,
        pieces,
        ends: false,
    })
    .await;
    assert_eq!(first(by_http2(address)).await, passed("answered 200"));
}

#[tokio::test]
async fn a_status_that_fails_is_said_before_its_body_has_come() {
    let hangs = server(|mut stream| async move {
        let _gone = stream
            .write_all(b"HTTP/1.1 500 x\r\nContent-Length: 10\r\n\r\n")
            .await;
        tokio::time::sleep(PATIENCE).await;
    })
    .await;
    assert_eq!(first(get(hangs)).await, failed("answered 500"));
}

#[tokio::test]
async fn whoever_hangs_drips_or_does_not_end_is_cut_off_and_it_is_said_where() {
    let nothing = "connected, but nothing was answered";
    assert_eq!(cut_off(get(silent().await)).await, nothing);
    assert_eq!(cut_off(by_http2(silent().await)).await, nothing);
    let drips = server(|mut stream| async move {
        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
        while stream.write_all(b"y").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(cut_off(get(drips)).await, nothing);
    let half = server(|mut stream| async move {
        let _gone = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            .await;
        tokio::time::sleep(PATIENCE).await;
    })
    .await;
    assert_eq!(cut_off(get(half)).await, "the answer does not end");
    let pieces = vec![b"half".to_vec()];
    let (half, _) = http2_server(Served {
        status: 200,
        pieces,
        ends: false,
    })
    .await;
    assert_eq!(cut_off(by_http2(half)).await, "the answer does not end");
}

#[tokio::test]
async fn answers_that_are_none_are_told_apart() {
    let (_held, refused) = nobody();
    let resets = server(|mut stream| async move {
        let mut asked = [0; 4096];
        let _asked = stream.read(&mut asked).await;
        drop(stream.set_zero_linger());
    })
    .await;
    let closes = says("").await;
    let other = says("220 mail ESMTP\r\n").await;
    let short = says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    let huge = says(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(1_000_000))).await;
    for (address, http1, http2) in [
        (refused, "connection refused", "connection refused"),
        (resets, "connection reset by peer", "connection reset by peer"),
        (closes, "closed without an answer", "closed without an answer"),
        (other, "the answer is not HTTP", "the answer is not HTTP/2"),
        (
            short,
            "closed in the middle of the answer",
            "the answer is not HTTP/2",
        ),
        (
            huge,
            "the header of the answer is longer than 64 KiB",
            "the answer is not HTTP/2",
        ),
    ] {
        assert_eq!(first(get(address)).await, failed(http1));
        assert_eq!(first(by_http2(address)).await, failed(http2));
    }
}

#[tokio::test]
async fn an_answer_by_http2_that_is_cut_short_is_told_apart() {
    let address = server(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut body = respond.send_response(::http::Response::new(()), false).unwrap();
        body.send_data(b"half".as_slice().into(), false).unwrap();
        tokio::select! {
            _ = connection.accept() => {}
            () = soon() => {}
        }
    })
    .await;
    assert_eq!(
        first(by_http2(address)).await,
        failed("closed in the middle of the answer")
    );
}

#[tokio::test]
async fn an_answer_ends_the_connection_for_both_sides_whoever_closes_first() {
    let keeps = server(|mut stream| async move {
        let mut asked = [0; 4096];
        let _asked = stream.read(&mut asked).await;
        let _gone = stream.write_all(EMPTY.as_bytes()).await;
        while stream.read(&mut asked).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let closes = server(|mut stream| async move {
        let mut asked = [0; 4096];
        let _asked = stream.read(&mut asked).await;
        let _gone = stream.write_all(EMPTY.as_bytes()).await;
    })
    .await;
    for address in [keeps, closes] {
        let mut check = build(&get(address)).unwrap();
        for _ in 0..20 {
            assert_eq!(found(&mut check).await, passed("answered 200"));
            tokio::task::yield_now().await;
        }
        tcp::closed(address.port()).await;
    }
}

#[tokio::test]
async fn what_cannot_be_sent_could_not_be_run_and_a_header_is_not_shown() {
    let headers = vec![("X-Token".to_owned(), "secret\n".to_owned())];
    let unsendable = Http {
        headers,
        ..http(this_node(80))
    };
    assert_eq!(
        first(Written::Http(unsendable)).await,
        could_not_run("the value of the header x-token cannot be sent")
    );
}
