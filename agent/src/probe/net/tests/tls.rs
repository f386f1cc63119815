//! HTTP over TLS: who is believed, who is not, and what is said of it.

use std::fs;
use std::path::Path;

use holdfast_api::model::probe::{Http, Material, Tls, Trust};

use tokio_rustls::TlsAcceptor;

use super::http::{Seen, Served, http, serve_http2};
use super::pki::{Authority, Pair, acceptor, at_hand, changing};
use super::*;

/// A server that shows `pair` and answers 200 by HTTP/1.1.
async fn https(pair: &Pair, alpn: &[&str], clients: Option<&Authority>) -> SocketAddr {
    let acceptor = acceptor(pair, alpn, clients);
    server(move |stream| answer(acceptor.clone(), stream)).await
}

/// Answers what is asked on `stream`, if it is asked by TLS.
async fn answer(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let mut asked = [0; 4096];
    let _asked = stream.read(&mut asked).await;
    let _gone = stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .await;
    let _gone = stream.shutdown().await;
}

fn get(address: SocketAddr, tls: Tls) -> Written {
    Written::Http(Http {
        tls: Some(tls),
        ..http(this_node(address.port()))
    })
}

fn by_http2(address: SocketAddr, tls: Tls) -> Written {
    Written::Http(Http {
        tls: Some(tls),
        http2: true,
        ..http(this_node(address.port()))
    })
}

const LOCAL: [&str; 1] = ["localhost"];

#[tokio::test]
async fn a_server_of_a_believed_authority_passes_under_its_host_or_a_name_of_its_own() {
    let authority = Authority::new();
    let local = https(&authority.server(&LOCAL), &[], None).await;
    assert_eq!(
        first(get(local, authority.believed())).await,
        passed("answered 200")
    );
    let cluster = https(
        &authority.server(&["kubernetes.default.svc"]),
        &["h2", "http/1.1"],
        None,
    )
    .await;
    let named = Tls {
        server_name: Some("kubernetes.default.svc".to_owned()),
        ..authority.believed()
    };
    assert_eq!(first(get(cluster, named)).await, passed("answered 200"));
    let address = https(&authority.server(&["127.0.0.1"]), &[], None).await;
    let by_address = Http {
        tls: Some(authority.believed()),
        ..http(at(address))
    };
    assert_eq!(first(Written::Http(by_address)).await, passed("answered 200"));
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_refused_with_the_reason_and_believed_only_when_told() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (pair, reason) in [
        (authority.expired(&LOCAL), "certificate expired on 2026-01-02"),
        (
            authority.server(&["a.example", "b.example"]),
            "certificate is for a.example, b.example and not for localhost",
        ),
        (
            other.server(&LOCAL),
            "certificate is signed by an unknown authority",
        ),
    ] {
        let address = https(&pair, &[], None).await;
        assert_eq!(first(get(address, authority.believed())).await, failed(reason));
        let anybody = Tls {
            trust: Trust::Anybody,
            ..authority.believed()
        };
        assert_eq!(
            first(get(address, anybody)).await,
            passed("answered 200"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_certificate_is_looked_at_anew_in_each_run() {
    let authority = Authority::new();
    let (acceptor, shown) = changing(&authority.server(&LOCAL));
    let address = server(move |stream| answer(acceptor.clone(), stream)).await;
    let mut check = build(&get(address, authority.believed())).unwrap();
    for _ in 0..2 {
        assert_eq!(found(&mut check).await, passed("answered 200"));
    }
    shown.change(&authority.expired(&LOCAL));
    assert_eq!(
        found(&mut check).await,
        failed("certificate expired on 2026-01-02")
    );
}

#[tokio::test]
async fn a_server_that_wants_a_clients_certificate_gets_it_or_says_so() {
    let authority = Authority::new();
    let address = https(&authority.server(&LOCAL), &[], Some(&authority)).await;
    assert_eq!(
        first(get(address, authority.believed())).await,
        failed("TLS handshake: the server refuses: certificate required")
    );
    let with = |pair: &Pair| Tls {
        client: Some((at_hand(&pair.certificate), at_hand(&pair.key))),
        ..authority.believed()
    };
    assert_eq!(
        first(get(address, with(&authority.client()))).await,
        passed("answered 200")
    );
    let (outcome, message) = first(get(address, with(&Authority::new().client()))).await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        message.starts_with("TLS handshake: the server refuses: "),
        "{message}"
    );
    let mixed = Pair {
        key: authority.client().key,
        ..authority.client()
    };
    assert_eq!(
        first(get(address, with(&mixed))).await,
        could_not_run("the client's certificate and its key do not belong together")
    );
}

#[tokio::test]
async fn http_2_has_to_be_agreed_on() {
    let authority = Authority::new();
    let pair = authority.server(&LOCAL);
    let acceptor = acceptor(&pair, &["h2"], None);
    let served = Served {
        status: 200,
        pieces: Vec::new(),
        ends: true,
    };
    let both = server(move |stream| {
        let (acceptor, served) = (acceptor.clone(), served.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve_http2(stream, served, Seen::default()).await;
            }
        }
    })
    .await;
    assert_eq!(
        first(by_http2(both, authority.believed())).await,
        passed("answered 200")
    );
    let only_old = https(&pair, &["http/1.1"], None).await;
    let other = failed("TLS handshake: the server does not speak this version of HTTP");
    assert_eq!(first(by_http2(only_old, authority.believed())).await, other);
    assert_eq!(first(get(both, authority.believed())).await, other);
    let knows_nothing = https(&pair, &[], None).await;
    assert_eq!(
        first(by_http2(knows_nothing, authority.believed())).await,
        failed("TLS handshake: the server does not agree on HTTP/2 (ALPN)")
    );
}

#[tokio::test]
async fn what_is_no_tls_or_never_answers_is_said() {
    let tls = || Authority::new().believed();
    assert_eq!(
        first(get(says("HTTP/1.1 400 Bad Request\r\n\r\n").await, tls())).await,
        failed("TLS handshake: the answer is not TLS")
    );
    assert_eq!(
        first(get(says("").await, tls())).await,
        failed("TLS handshake: closed without an answer")
    );
    assert_eq!(
        cut_off(get(silent().await, tls())).await,
        "TLS handshake not finished"
    );
}

fn in_files(folder: &Path) -> Tls {
    Tls {
        server_name: None,
        trust: Trust::Authorities(Material::File(folder.join("ca.pem").to_str().unwrap().to_owned())),
        client: None,
        asked_at: Vec::new(),
    }
}

#[tokio::test]
async fn a_file_with_authorities_is_read_again_when_it_has_changed() {
    let (old, new) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let address = https(&new.server(&LOCAL), &[], None).await;
    let mut check = build(&get(address, in_files(folder.path()))).unwrap();
    let missing = format!(
        "reading the CA's certificates {}: no such file or directory",
        path.display()
    );
    assert_eq!(found(&mut check).await, could_not_run(&missing));
    assert_eq!(found(&mut check).await, could_not_run(&missing), "said again");
    fs::write(&path, old.pem()).unwrap();
    assert_eq!(
        found(&mut check).await,
        failed("certificate is signed by an unknown authority")
    );
    // Both, as a bundle is while authorities change.
    fs::write(&path, old.pem() + &new.pem()).unwrap();
    assert_eq!(found(&mut check).await, passed("answered 200"));
    fs::write(&path, "no certificate\n").unwrap();
    assert_eq!(
        found(&mut check).await,
        could_not_run("the CA's certificates: there is no certificate in it")
    );
    fs::write(&path, new.pem()).unwrap();
    assert_eq!(found(&mut check).await, passed("answered 200"));
}

#[tokio::test]
async fn a_file_that_never_answers_holds_up_nobody_but_its_probe() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("ca.pem");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (outcome, message) = first(get(silent().await, in_files(folder.path()))).await;
    assert_eq!(outcome, Outcome::CouldNotRun);
    assert!(message.ends_with("it is not a regular file"), "{message}");
}

#[tokio::test]
async fn a_key_is_never_shown() {
    let authority = Authority::new();
    let pair = authority.client();
    let swapped = Tls {
        client: Some((at_hand(&pair.key), at_hand(&pair.certificate))),
        ..authority.believed()
    };
    let (outcome, message) = first(get(silent().await, swapped)).await;
    assert_eq!(outcome, Outcome::CouldNotRun);
    assert_eq!(message, "the client's certificate: there is no certificate in it");
}

#[tokio::test]
async fn a_name_that_no_certificate_can_have_could_not_be_run() {
    let tls = Tls {
        server_name: Some("not a name".to_owned()),
        ..Authority::new().believed()
    };
    assert_eq!(
        first(get(silent().await, tls)).await,
        could_not_run("`not a name` is no name of a server")
    );
}

/// What the API server's certificate leaves out, after one run.
async fn warned(check: &mut Box<dyn Check>) -> Option<String> {
    assert_eq!(found(check).await, passed("answered 200"));
    let warning = check.warning()?;
    assert_eq!(warning.reason, "CertificateDoesNotCoverVIP");
    Some(warning.message)
}

#[tokio::test]
async fn a_certificate_that_leaves_out_where_clients_ask_fails_nothing_and_is_told_of_until_it_is_replaced() {
    let authority = Authority::new();
    let (acceptor, shown) = changing(&authority.server(&["kubernetes.default.svc", "10.0.0.11"]));
    let address = server(move |stream| answer(acceptor.clone(), stream)).await;
    let asked_at = |addresses: &[&str]| Tls {
        server_name: Some("kubernetes.default.svc".to_owned()),
        asked_at: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        ..authority.believed()
    };
    let mut check = build(&get(address, asked_at(&["10.0.0.100", "10.0.0.11", "fd00::100"]))).unwrap();
    assert_eq!(check.warning(), None, "nothing is known before the first run");
    assert_eq!(
        warned(&mut check).await.as_deref(),
        Some(
            "the certificate of the API server on this node is for kubernetes.default.svc, 10.0.0.11 and not for 10.0.0.100, \
             fd00::100, so that clients which ask there refuse it"
        )
    );
    let mut unasked = build(&get(address, asked_at(&[]))).unwrap();
    assert_eq!(warned(&mut unasked).await, None);

    let names = ["kubernetes.default.svc", "10.0.0.11", "10.0.0.100", "fd00::100"];
    shown.change(&authority.server(&names));
    assert_eq!(warned(&mut check).await, None);
}

#[tokio::test]
async fn a_certificate_with_very_many_names_is_told_of_in_a_few_words() {
    let authority = Authority::new();
    let many: Vec<String> = (0..100).map(|number| format!("name-{number}.example")).collect();
    let mut names: Vec<&str> = many.iter().map(String::as_str).collect();
    names.push("localhost");
    let address = https(&authority.server(&names), &[], None).await;
    let tls = Tls {
        asked_at: vec!["10.0.0.100".parse().unwrap()],
        ..authority.believed()
    };
    let said = warned(&mut build(&get(address, tls)).unwrap()).await.unwrap();
    assert!(said.contains("… and not for 10.0.0.100"), "{said}");
    assert!(said.len() < 400, "{said}");
}
