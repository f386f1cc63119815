//! MySQL's protocol, against a server that speaks as much of it as a login and a question take.

use std::fs;
use std::sync::{Arc, Mutex};

use holdfast_api::model::probe::{Material, Mysql, Secret};
use mysql_common::auth::plugins::caching_sha2_password::scramble_sha256;
use mysql_common::auth::plugins::mysql_native_password::scramble_native;

use super::*;

const NONCE: &[u8; 20] = b"abcdefghijklmnopqrst";
const PASSWORD: &[u8] = b"open sesame";

/// How a server behaves.
#[derive(Clone)]
struct Server {
    /// The plugin it offers in its greeting, and the one it asks for instead.
    offers: &'static str,
    switches_to: Option<&'static str>,
    /// The password it takes; `None`: whatever comes.
    password: &'static [u8],
    /// Whether it has caching_sha2_password's answer in its cache; else it wants all of it.
    cached: bool,
    /// What it answers a question with.
    value: &'static [u8],
}

const MARIADB: Server = Server {
    offers: "mysql_native_password",
    switches_to: None,
    password: PASSWORD,
    cached: true,
    value: b"0",
};

struct Wire<'a, T> {
    stream: &'a mut T,
    sequence: u8,
}

impl<T: dial::Io> Wire<'_, T> {
    async fn send(&mut self, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        let packet = [&length[..3], &[self.sequence], payload].concat();
        let _gone = self.stream.write_all(&packet).await;
        self.sequence = self.sequence.wrapping_add(1);
    }

    async fn receive(&mut self) -> Option<Vec<u8>> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header).await.ok()?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        self.sequence = header[3].wrapping_add(1);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(payload)
    }

    async fn refuse(&mut self, code: u16, words: &str) {
        let code = code.to_le_bytes();
        self.send(&[&[0xff], &code[..], b"#28000", words.as_bytes()].concat())
            .await;
    }
}

fn greeting(plugin: &str) -> Vec<u8> {
    let capabilities: u32 = 0x0008_f7ff;
    let low = u16::try_from(capabilities & 0xffff).unwrap().to_le_bytes();
    let high = u16::try_from(capabilities >> 16).unwrap().to_le_bytes();
    [
        &b"\x0a8.4.0-test\0\x07\0\0\0"[..],
        &NONCE[..8],
        b"\0",
        &low,
        b"\x2d\x02\0",
        &high,
        b"\x15",
        &[0; 10],
        &NONCE[8..],
        b"\0",
        plugin.as_bytes(),
        b"\0",
    ]
    .concat()
}

const FINE: &[u8] = b"\0\0\0\x02\0\0\0";

async fn serve(mut stream: impl dial::Io, server: Server, log: Log) -> Option<()> {
    let mut wire = Wire {
        stream: &mut stream,
        sequence: 0,
    };
    wire.send(&greeting(server.offers)).await;
    let response = wire.receive().await?;
    let user_and_on = response.get(32..)?;
    let end = user_and_on.iter().position(|byte| *byte == 0)?;
    log.lock()
        .unwrap()
        .push(String::from_utf8_lossy(&user_and_on[..end]).into_owned());
    let (length, rest) = user_and_on[end + 1..].split_first()?;
    let mut answer = rest.get(..usize::from(*length))?.to_vec();
    let mut plugin = server.offers;
    if let Some(other) = server.switches_to {
        wire.send(&[b"\xfe", other.as_bytes(), b"\0", NONCE, b"\0"].concat())
            .await;
        answer = wire.receive().await?;
        plugin = other;
    }
    let good = match plugin {
        "mysql_native_password" => scramble_native(NONCE, server.password).map(|all| all.to_vec()),
        _ => scramble_sha256(NONCE, server.password).map(|all| all.to_vec()),
    };
    let mut known = answer == good.unwrap_or_default();
    if plugin == "caching_sha2_password" && !server.password.is_empty() {
        wire.send(if server.cached { b"\x01\x03" } else { b"\x01\x04" })
            .await;
        if !server.cached {
            let asked = wire.receive().await?;
            if asked == [2] {
                wire.send(&[&b"\x01"[..], server.value].concat()).await;
                let locked = wire.receive().await?;
                log.lock()
                    .unwrap()
                    .push(format!("locked in {} bytes", locked.len()));
            } else {
                known = asked == [server.password, b"\0"].concat();
            }
        }
    }
    if !known {
        wire.refuse(
            1045,
            "Access denied for user 'prober'@'localhost' (using password: YES)",
        )
        .await;
        return None;
    }
    wire.send(FINE).await;
    loop {
        let command = wire.receive().await?;
        log.lock()
            .unwrap()
            .push(String::from_utf8_lossy(&command).into_owned());
        if command == [1] {
            return Some(());
        }
        wire.send(b"\x01").await;
        wire.send(b"\x03def\0\0\0\x13@@global.read_only\0\x0c\x3f\0\x01\0\0\0\x08\x80\0\0\0\0")
            .await;
        wire.send(b"\xfe\0\0\x02\0").await;
        let length = u8::try_from(server.value.len()).unwrap();
        wire.send(&[&[length], server.value].concat()).await;
        wire.send(b"\xfe\0\0\x02\0").await;
    }
}

type Log = Arc<Mutex<Vec<String>>>;

async fn runs(kind: Server) -> (SocketAddr, Log) {
    let log = Log::default();
    let kept = Arc::clone(&log);
    let address = server(move |stream| {
        let (kind, log) = (kind.clone(), Arc::clone(&kept));
        async move {
            serve(stream, kind, log).await;
        }
    })
    .await;
    (address, log)
}

fn at_hand(password: &[u8]) -> Material {
    Material::Bytes(Secret(password.into()))
}

fn mysql(address: SocketAddr, writable: bool) -> Mysql {
    Mysql {
        target: this_node(address.port()),
        user: "prober".to_owned(),
        password: Some(at_hand(PASSWORD)),
        writable,
    }
}

async fn login(kind: Server) -> (Outcome, String) {
    let (address, _) = runs(kind).await;
    first(Written::Mysql(mysql(address, true))).await
}

#[tokio::test]
async fn a_server_that_takes_writes_passes_and_is_told_when_it_is_over() {
    let (address, log) = runs(MARIADB).await;
    assert_eq!(
        first(Written::Mysql(mysql(address, true))).await,
        passed("logged in, takes writes")
    );
    assert_eq!(
        *log.lock().unwrap(),
        ["prober", "\u{3}SELECT @@global.read_only", "\u{1}"]
    );
    log.lock().unwrap().clear();
    assert_eq!(
        first(Written::Mysql(mysql(address, false))).await,
        passed("logged in")
    );
    assert_eq!(*log.lock().unwrap(), ["prober", "\u{1}"], "nothing was asked");
    tcp::closed(address.port()).await;
}

#[tokio::test]
async fn a_server_that_takes_none_fails() {
    for (value, words) in [
        (&b"1"[..], "the server is read-only"),
        (b"ON", "the server is read-only"),
        (b"NO_LOCK_NO_ADMIN", "the server is read-only (NO_LOCK_NO_ADMIN)"),
    ] {
        assert_eq!(login(Server { value, ..MARIADB }).await, failed(words));
    }
}

#[tokio::test]
async fn each_usual_plugin_is_spoken_offered_or_asked_for() {
    let fine = passed("logged in, takes writes");
    let sha2 = Server {
        offers: "caching_sha2_password",
        ..MARIADB
    };
    assert_eq!(login(sha2.clone()).await, fine);
    let to_native = Server {
        switches_to: Some("mysql_native_password"),
        ..sha2.clone()
    };
    assert_eq!(login(to_native).await, fine);
    let to_sha2 = Server {
        offers: "sha256_password_of_old",
        switches_to: Some("caching_sha2_password"),
        ..MARIADB
    };
    assert_eq!(login(to_sha2).await, fine);
}

#[tokio::test]
async fn a_password_that_is_wrong_is_refused_in_the_servers_words_and_not_shown() {
    for offers in ["mysql_native_password", "caching_sha2_password"] {
        let other = Server {
            offers,
            password: b"another",
            ..MARIADB
        };
        assert_eq!(
            login(other).await,
            failed("login refused: Access denied for user 'prober'@'localhost' (using password: YES) (1045)")
        );
    }
}

#[tokio::test]
async fn a_server_that_wants_the_password_itself_does_not_get_it() {
    for plugin in ["mysql_clear_password", "client_ed25519", "dialog"] {
        let greedy = Server {
            switches_to: Some(plugin),
            ..MARIADB
        };
        assert_eq!(
            login(greedy).await,
            could_not_run(&format!(
                "the server wants the user to log in by {plugin}, which probes do not: give the user \
                 mysql_native_password or caching_sha2_password"
            ))
        );
    }
}

/// What follows `-----BEGIN PUBLIC KEY-----` is no key that could be used.
const NO_KEY: &[u8] = b"-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n";

#[tokio::test]
async fn a_key_that_is_none_ends_the_login_and_nothing_else() {
    let odd = Server {
        offers: "caching_sha2_password",
        cached: false,
        value: NO_KEY,
        ..MARIADB
    };
    assert_eq!(
        login(odd).await,
        failed("the server asks for the password in a way that nobody understands")
    );
}

/// A key of a server.
const KEY: &[u8] = b"-----BEGIN PUBLIC KEY-----\n\
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAswNASGtfH9a/FPLsv8XU\n\
    wGUMTG2Z4vYfZWSFzfLXlByJU4oluBURv2cKkiZTS20N03W7Cy9JfBwvbCqG+wC1\n\
    m9rb7uKVNMe9l6hIwGtisOdMqDBtMo9s8zSiLZ3KUJ7pwLZmhE6fo0suVsJCoZTX\n\
    DbVg6WMs7V+Be/Njjw7M7b90/81ddQeyLg6XQARHGT2FHPTbDg0iBfEkioN3c5Dn\n\
    KhieqP8ch6oZXGilxxwtU9Qj3+62wtgxAgkUh9GdS2E33J737Eb0TNgWDMqXIitX\n\
    uz3LhOsXQU8/jv1QFDxj0PrhyUlUWCba1tfBgaz6tN7FPSFT6ZAVtA36nlb7LpY6\n\
    JwIDAQAB\n\
    -----END PUBLIC KEY-----\n";

#[tokio::test]
async fn a_server_that_has_forgotten_the_password_gets_it_locked_with_its_key() {
    let forgetful = Server {
        offers: "caching_sha2_password",
        cached: false,
        value: KEY,
        ..MARIADB
    };
    let (address, log) = runs(forgetful).await;
    assert_eq!(
        first(Written::Mysql(mysql(address, false))).await,
        passed("logged in")
    );
    // As long as the key, whatever the password is.
    assert_eq!(*log.lock().unwrap(), ["prober", "locked in 256 bytes", "\u{1}"]);
}

#[tokio::test]
async fn on_a_unix_socket_the_whole_password_is_told_when_the_server_has_forgotten_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mysqld.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let forgetful = Server {
        offers: "caching_sha2_password",
        cached: false,
        ..MARIADB
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, forgetful.clone(), Log::default()));
        }
    });
    let local = Mysql {
        target: Target::Socket(path.to_str().unwrap().to_owned()),
        user: "prober".to_owned(),
        password: Some(at_hand(PASSWORD)),
        writable: false,
    };
    assert_eq!(first(Written::Mysql(local)).await, passed("logged in"));
}

#[tokio::test]
async fn the_password_is_the_first_line_of_its_file_as_it_is_now_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let (address, _) = runs(MARIADB).await;
    let mut check = build(&Written::Mysql(Mysql {
        password: Some(Material::File(path.to_str().unwrap().to_owned())),
        ..mysql(address, true)
    }))
    .unwrap();
    assert_eq!(
        found(&mut check).await,
        could_not_run(&format!(
            "reading the password file {}: no such file or directory",
            path.display()
        ))
    );
    fs::write(&path, "wrong\n").unwrap();
    assert_eq!(found(&mut check).await.0, Outcome::Failed);
    fs::write(&path, "open sesame\nand a comment\n").unwrap();
    assert_eq!(found(&mut check).await, passed("logged in, takes writes"));
    let (open, _) = runs(Server {
        password: b"",
        ..MARIADB
    })
    .await;
    let nobody = Mysql {
        password: None,
        ..mysql(open, true)
    };
    assert_eq!(
        first(Written::Mysql(nobody)).await,
        passed("logged in, takes writes")
    );
}

#[tokio::test]
async fn what_is_no_mysql_or_does_not_go_on_is_said() {
    let look = |address| Written::Mysql(mysql(address, true));
    let (_held, refused) = nobody();
    assert_eq!(first(look(refused)).await, failed("connection refused"));
    assert_eq!(
        first(look(greets("").await)).await,
        failed("closed without an answer")
    );
    let none = failed("the answer is not that of a MySQL server");
    assert_eq!(
        first(look(greets("HTTP/1.1 400 Bad Request\r\n\r\n").await)).await,
        none
    );
    assert_eq!(
        first(look(greets(b"\x03\0\0\0\x0a8\0".as_slice()).await)).await,
        none
    );
    let endless =
        server(|mut stream| async move { while stream.write_all(&[0x0a; 1000]).await.is_ok() {} }).await;
    assert_eq!(first(look(endless)).await, none);
    let full = greets(b"\x17\0\0\0\xff\x10\x04Too many connections".as_slice()).await;
    assert_eq!(
        first(look(full)).await,
        failed("the server refuses: Too many connections (1040)")
    );
    assert_eq!(
        cut_off(look(silent().await)).await,
        "connected, but nothing was answered"
    );
    let hangs = server(|mut stream| async move {
        let greeting = greeting("mysql_native_password");
        let length = u8::try_from(greeting.len()).unwrap();
        let _gone = stream
            .write_all(&[&[length, 0, 0, 0], greeting.as_slice()].concat())
            .await;
        tokio::time::sleep(PATIENCE).await;
    })
    .await;
    assert_eq!(
        cut_off(look(hangs)).await,
        "greeted, but the login is not answered"
    );
}
