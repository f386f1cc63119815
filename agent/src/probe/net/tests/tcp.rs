//! TCP and Unix sockets.

use holdfast_api::model::probe::Tcp;
use tokio::net::UnixListener;

use super::*;

fn tcp(target: Target, send: Option<&[u8]>, expect: Option<&str>) -> Written {
    Written::Tcp(Tcp {
        target,
        send: send.map(<[u8]>::to_vec),
        expect: expect.map(str::to_owned),
    })
}

fn connects(target: Target) -> Written {
    tcp(target, None, None)
}

fn expects(address: SocketAddr, expect: &str) -> Written {
    tcp(at(address), None, Some(expect))
}

#[tokio::test]
async fn a_port_that_is_open_passes_and_one_that_is_closed_is_refused() {
    assert_eq!(first(connects(at(silent().await))).await, passed(""));
    let (_held, address) = nobody();
    assert_eq!(first(connects(at(address))).await, failed("connection refused"));
    assert_eq!(
        first(connects(this_node(address.port()))).await,
        failed("connection refused")
    );
}

#[tokio::test]
async fn this_node_is_asked_at_127_0_0_1_and_at_the_other_loopback_address_if_that_refuses() {
    assert_eq!(
        first(connects(this_node(silent().await.port()))).await,
        passed("")
    );
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        eprintln!("this machine has no IPv6");
        return;
    };
    let port = listener.local_addr().unwrap().port();
    assert_eq!(first(connects(this_node(port))).await, passed(""));
}

#[tokio::test]
async fn a_name_is_looked_up_and_one_that_nobody_has_could_not_be_run() {
    let named = |name: &str, port| Target::Host {
        host: Host::Name(name.to_owned()),
        port,
    };
    let address = silent().await;
    assert_eq!(
        first(connects(named("localhost", address.port()))).await,
        passed("")
    );
    let (outcome, message) = first(connects(named("holdfast.invalid", 80))).await;
    assert_eq!(outcome, Outcome::CouldNotRun);
    assert!(
        message.starts_with("the name holdfast.invalid cannot be resolved"),
        "{message}"
    );
}

#[tokio::test]
async fn an_answer_is_read_until_it_matches_however_it_is_cut_up() {
    let address = server(|mut stream| async move {
        for byte in b"220 mail ESMTP\r\n" {
            let _gone = stream.write_all(&[*byte]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(PATIENCE).await;
    })
    .await;
    assert_eq!(first(expects(address, "^220 .*ESMTP")).await, passed(""));
    assert_eq!(
        cut_off(expects(address, "^250")).await,
        "the answer so far does not match /^250/"
    );
}

#[tokio::test]
async fn what_is_sent_arrives_and_its_answer_is_judged() {
    let address = server(|mut stream| async move {
        let mut asked = [0; 6];
        if stream.read_exact(&mut asked).await.is_ok() {
            let answer: &[u8] = if &asked == b"PING\r\n" {
                b"+PONG\r\n"
            } else {
                b"-ERR\x1b[2J no\r\n"
            };
            let _gone = stream.write_all(answer).await;
        }
    })
    .await;
    assert_eq!(
        first(tcp(at(address), Some(b"PING\r\n"), Some(r"^\+PONG"))).await,
        passed("")
    );
    assert_eq!(
        first(tcp(at(address), Some(b"AUTHXX"), Some(r"^\+PONG"))).await,
        failed(r"answer does not match /^\+PONG/: it begins with `-ERR[2J no`")
    );
}

#[tokio::test]
async fn bytes_that_are_no_text_are_matched_as_bytes() {
    let address = greets(b"\x4a\0\0\0\x0a8.4.0\0\xff\xfe".as_slice()).await;
    assert_eq!(
        first(expects(address, r"(?s-u)^...\x00\x0a.*\xff")).await,
        passed("")
    );
}

#[tokio::test]
async fn a_server_that_closes_or_resets_without_a_word_is_told_apart() {
    assert_eq!(
        first(expects(greets("").await, "x")).await,
        failed("closed without an answer")
    );
    let resets = server(|stream| async move { drop(stream.set_zero_linger()) }).await;
    assert_eq!(
        first(expects(resets, "x")).await,
        failed("connection reset by peer")
    );
}

#[tokio::test]
async fn a_server_that_hangs_is_waited_for_until_the_run_is_cut_off() {
    assert_eq!(
        cut_off(expects(silent().await, "x")).await,
        "connected, but nothing was answered"
    );
}

#[tokio::test]
async fn of_an_answer_without_end_64_kib_are_read() {
    let address =
        server(|mut stream| async move { while stream.write_all(&[b'x'; 1000]).await.is_ok() {} }).await;
    let (outcome, message) = first(expects(address, "y")).await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        message.starts_with("answer does not match /y/: it begins with `xxx"),
        "{message}"
    );
    assert!(message.chars().count() < 300, "{message}");
    let late = format!("{}y", "x".repeat(65_535));
    assert_eq!(first(expects(greets(late).await, "y$")).await, passed(""));
}

#[tokio::test]
async fn a_unix_socket_is_as_good_and_one_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stats");
    let socket = || Target::Socket(path.to_str().unwrap().to_owned());
    assert_eq!(
        first(connects(socket())).await,
        failed(&format!("{}: there is no such socket", path.display()))
    );
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _gone = stream.write_all(b"Name: HAProxy\n").await;
        }
    });
    assert_eq!(
        first(tcp(socket(), Some(b"show info\n"), Some("^Name: HAProxy"))).await,
        passed("")
    );
}

#[tokio::test]
async fn an_expression_that_cannot_be_used_could_not_be_run() {
    let (outcome, message) = first(expects(silent().await, "(")).await;
    assert_eq!(outcome, Outcome::CouldNotRun);
    assert!(message.starts_with("/(/ is no regular expression"), "{message}");
}

/// Waits until the kernel knows of no connection with `port` at either end any more: one that waits for its end does so for a
/// minute.
pub async fn closed(port: u16) {
    let begun = std::time::Instant::now();
    while !open(port).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "in these states: {:?}", open(port));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The states of the connections with `port` at either end, as the kernel numbers them.
fn open(port: u16) -> Vec<u8> {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let port = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields[1].ends_with(&port) || fields[2].ends_with(&port))
        .map(|fields| u8::from_str_radix(fields[3], 16).unwrap())
        .filter(|state| *state != LISTEN)
        .collect()
}

const LISTEN: u8 = 0x0a;

#[tokio::test]
async fn runs_leave_no_connection_behind_in_any_state() {
    let greets = greets("hello\n").await;
    let mut check = build(&expects(greets, "hello")).unwrap();
    for _ in 0..20 {
        assert_eq!(found(&mut check).await, passed(""));
    }
    let hangs = silent().await;
    for _ in 0..2 {
        cut_off(expects(hangs, "x")).await;
    }
    closed(greets.port()).await;
    // The servers that hang still have their halves open; none of them waits.
    closed(hangs.port()).await;
}
