use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::fs;
use std::net::TcpListener;

use super::*;

fn listener(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn manifest(folder: &Path, options: &str) -> PathBuf {
    let path = folder.join("kube-apiserver.yaml");
    let text = format!("spec:\n  containers:\n  - command: [kube-apiserver{options}]\n");
    fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn an_api_server_that_binds_one_address_is_found_by_its_manifest_and_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let (held, port) = listener("127.0.0.5");
    let path = manifest(folder.path(), ", --bind-address=127.0.0.5");
    let mut server = ApiServer::new(port, &path);
    let peer = server.connect().await.unwrap().peer_addr().unwrap();
    assert_eq!(peer, held.local_addr().unwrap());
    fs::remove_file(&path).unwrap();
    assert!(server.connect().await.is_ok(), "what answers is not read again");
}

#[tokio::test]
async fn an_api_server_that_moves_is_found_where_its_manifest_says() {
    let folder = tempfile::tempdir().unwrap();
    let (first, port) = listener("127.0.0.5");
    let path = manifest(
        folder.path(),
        &format!(", --bind-address=127.0.0.5, --secure-port={port}"),
    );
    let mut server = ApiServer::new(6443, &path);
    server.connect().await.unwrap();
    drop(first);
    let (_second, port) = listener("127.0.0.6");
    manifest(
        folder.path(),
        &format!(", --bind-address=127.0.0.6, --secure-port={port}"),
    );
    let peer = server.connect().await.unwrap().peer_addr().unwrap();
    assert_eq!(peer.port(), port);
}

#[tokio::test]
async fn without_a_manifest_this_nodes_loopback_addresses_are_all_there_is() {
    let (held, port) = listener("127.0.0.1");
    let mut server = ApiServer::new(port, "/nonexistent/kube-apiserver.yaml");
    assert!(server.connect().await.is_ok());
    drop(held);
    let failure = server.connect().await.unwrap_err();
    assert_eq!(failure, Failure::failed("connection refused"));
}

#[tokio::test]
async fn of_addresses_that_fail_differently_each_is_said() {
    let (_held, port) = listener("127.0.0.9");
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let found = any_of(&[ip("127.0.0.8"), ip("127.0.0.9")], port).await.unwrap();
    assert_eq!(found.peer_addr().unwrap().ip(), ip("127.0.0.9"));
    let same = any_of(&[ip("127.0.0.7"), ip("127.0.0.8")], port)
        .await
        .unwrap_err();
    assert_eq!(same, Failure::failed("connection refused"));
    // The kernel lets nobody connect to a broadcast address without asking for it.
    let mixed = any_of(&[ip("127.0.0.8"), ip("255.255.255.255")], port)
        .await
        .unwrap_err();
    assert!(
        mixed
            .message
            .starts_with("127.0.0.8: connection refused; 255.255.255.255: "),
        "{mixed:?}"
    );
}

#[tokio::test]
async fn a_socket_that_is_connected_with_itself_is_refused() {
    // Told to use the port that it dials, a socket does for certain what it else does by chance.
    let (held, port) = listener("127.0.0.1");
    drop(held);
    let address = SocketAddr::new(LOOPBACK[0], port);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address).unwrap();
    let stream = socket.connect(address).await.unwrap();
    assert!(is_own(&stream, address));
    let (_held, other) = listener("127.0.0.1");
    let other = SocketAddr::new(LOOPBACK[0], other);
    assert!(!is_own(&tcp(other).await.unwrap(), other));
}

static ASKED: AtomicU32 = AtomicU32::new(0);

/// Answers the first question and none of the others.
fn hangs(_: &str) -> io::Result<Vec<IpAddr>> {
    if ASKED.fetch_add(1, Ordering::SeqCst) == 0 {
        return Ok(vec![LOOPBACK[0]]);
    }
    loop {
        std::thread::park();
    }
}

#[tokio::test]
async fn a_name_service_that_hangs_is_asked_once_and_it_is_said_what_the_name_was() {
    let (_held, port) = listener("127.0.0.1");
    let mut dialer = Dialer {
        place: Place::Name(Name::known_to(hangs, "db.example"), port),
    };
    let mut stage = Stage::default();
    assert!(dialer.connect(&mut stage).await.is_ok());
    for _ in 0..3 {
        let run = tokio::time::timeout(Duration::from_millis(50), dialer.connect(&mut stage));
        assert!(run.await.is_err());
        assert_eq!(
            stage.said().as_deref(),
            Some("the name db.example has not been resolved (it was 127.0.0.1 before)")
        );
    }
    // The thread that asks may not have come to it yet.
    while ASKED.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ASKED.load(Ordering::SeqCst), 2);
}
