//! Real servers on loopback, one kind a file, and what the probes say of them.

mod grpc;
mod http;
mod mysql;
mod pki;
mod tcp;
mod tls;

use core::future::Future;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use holdfast_api::model::probe::{Check as Written, Host, Target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Long enough for everything that is expected to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits long enough to know that something hangs: many times a little, so that a machine that stands still for a while leaves
/// the others their time to get as far as they can.
async fn soon() {
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What one run finds: how it ended, and the words.
async fn found(check: &mut Box<dyn Check>) -> (Outcome, String) {
    let scene = Scene::example();
    let run = tokio::time::timeout(PATIENCE, check.run(&scene)).await;
    let run = run.expect("the run ends by itself");
    (run.outcome, run.message)
}

/// What the first run of a check as `written` finds.
async fn first(written: Written) -> (Outcome, String) {
    found(&mut build(&written).unwrap()).await
}

/// How far a run of a check as `written` comes that is cut off.
async fn cut_off(written: Written) -> String {
    let mut check = build(&written).unwrap();
    let scene = Scene::example();
    tokio::select! {
        run = check.run(&scene) => panic!("it ended by itself: {run:?}"),
        () = soon() => {}
    }
    check.interrupted().expect("it has begun")
}

fn passed(message: &str) -> (Outcome, String) {
    (Outcome::Passed, message.to_owned())
}

fn failed(message: &str) -> (Outcome, String) {
    (Outcome::Failed, message.to_owned())
}

fn could_not_run(message: &str) -> (Outcome, String) {
    (Outcome::CouldNotRun, message.to_owned())
}

fn at(address: SocketAddr) -> Target {
    Target::Host {
        host: Host::Address(address.ip()),
        port: address.port(),
    }
}

fn this_node(port: u16) -> Target {
    Target::Host {
        host: Host::ThisNode,
        port,
    }
}

/// Has each connection served by `serve`, until the test ends.
async fn server<S, F>(mut serve: S) -> SocketAddr
where
    S: FnMut(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// A server that reads what it is asked, says `answer` and closes.
async fn says(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = answer.into();
    server(move |mut stream| {
        let answer = answer.clone();
        async move {
            let mut asked = [0; 4096];
            let _asked = stream.read(&mut asked).await;
            end_with(&answer, stream).await;
        }
    })
    .await
}

/// A server that says `answer` without being asked, and closes.
async fn greets(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = answer.into();
    server(move |stream| {
        let answer = answer.clone();
        async move { end_with(&answer, stream).await }
    })
    .await
}

/// Says `answer` and closes. Not before the other side does: to close what is not read to its end would reset the connection.
async fn end_with(answer: &[u8], mut stream: TcpStream) {
    let _gone = stream.write_all(answer).await;
    let _gone = stream.shutdown().await;
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}

/// A server that accepts and says nothing.
async fn silent() -> SocketAddr {
    server(|stream| async move {
        tokio::time::sleep(PATIENCE).await;
        drop(stream);
    })
    .await
}

/// An address where nobody listens, and for the time of the test nobody will.
fn nobody() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0).into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn what_is_no_networks_business_is_left_to_others() {
    assert!(build(&Written::Interface("eth0".to_owned())).is_none());
}
