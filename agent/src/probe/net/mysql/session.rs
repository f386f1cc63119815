//! The little of MySQL's protocol that a login and one question take. The packets and what is made of a password are
//! `mysql_common`'s; the connection is a probe's own.

use core::panic::AssertUnwindSafe;
use std::io;
use std::panic::catch_unwind;

use mysql_common::auth::plugins::{AuthProc, ChallengeResponsePlugin as _, Context};
use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, AuthSwitchRequest, ErrPacket, HandshakePacket, HandshakeResponse};
use mysql_common::proto::MySerialize as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::dial::Connection;
use super::super::failure::{Failure, quote};
use super::super::stage::Stage;

/// Nothing that is read here is longer; what claims to be is no MySQL.
const LONGEST_PACKET: usize = 64 << 10;

/// A login takes three rounds at most.
const MOST_ROUNDS: usize = 8;

/// The scramble has so many bytes.
const NONCE: usize = 20;

const COM_QUIT: u8 = 0x01;
const COM_QUERY: u8 = 0x03;

const OK: u8 = 0x00;
const MORE_DATA: u8 = 0x01;
const SWITCH_OR_END: u8 = 0xfe;
const ERROR: u8 = 0xff;
const NULL: u8 = 0xfb;

/// A connection to a server.
pub struct Session {
    connection: Connection,
    sequence: u8,
    local: bool,
    capabilities: CapabilityFlags,
}

/// What a password is answered with.
struct Login<'a> {
    password: &'a [u8],
    nonce: Vec<u8>,
    local: bool,
}

impl Context for &Login<'_> {
    fn pass(&self) -> &[u8] {
        self.password
    }

    fn is_ipc_transport(&self) -> bool {
        self.local
    }

    fn is_tls_transport(&self) -> bool {
        false
    }

    fn scramble(&self) -> &[u8] {
        &self.nonce
    }

    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}

impl Session {
    /// On `connection`, which nobody can listen to if it is `local`.
    pub fn new(connection: Connection, local: bool) -> Self {
        Self {
            connection,
            sequence: 0,
            local,
            capabilities: CapabilityFlags::empty(),
        }
    }

    /// Reads the greeting and logs in.
    pub async fn log_in(&mut self, user: &str, password: &[u8], stage: &mut Stage) -> Result<(), Failure> {
        let greeting = self.receive().await?;
        if greeting.first() == Some(&ERROR) {
            return Err(self.refused("the server refuses", &greeting));
        }
        let greeting: HandshakePacket<'_> = parse(&greeting)?;
        let wanted = CapabilityFlags::CLIENT_PROTOCOL_41
            | CapabilityFlags::CLIENT_SECURE_CONNECTION
            | CapabilityFlags::CLIENT_LONG_PASSWORD
            | CapabilityFlags::CLIENT_PLUGIN_AUTH;
        self.capabilities = wanted & greeting.capabilities();
        if !self.capabilities.contains(CapabilityFlags::CLIENT_PROTOCOL_41) {
            return Err(no_mysql());
        }
        stage.set("greeted, but the login is not answered");
        let offered = greeting.auth_plugin().filter(may_be_told);
        // Of a plugin that is none of ours the server is told so by another, and asks for its own.
        let plugin = offered.unwrap_or(AuthPlugin::MysqlNativePassword);
        let mut login = Login {
            password,
            nonce: greeting.nonce(),
            local: self.local,
        };
        let (mut procedure, answer) = begin(&plugin, &mut login)?;
        let response = HandshakeResponse::new(
            answer,
            greeting.server_version_parsed().unwrap_or((5, 7, 0)),
            Some(user.as_bytes()),
            None::<&[u8]>,
            self.capabilities
                .contains(CapabilityFlags::CLIENT_PLUGIN_AUTH)
                .then_some(plugin),
            self.capabilities,
            None,
            u32::try_from(LONGEST_PACKET).unwrap_or(u32::MAX),
        );
        let mut bytes = Vec::new();
        response.serialize(&mut bytes);
        self.send(&bytes).await?;
        for _ in 0..MOST_ROUNDS {
            let packet = self.receive().await?;
            let answer = match packet.split_first() {
                Some((&OK, _)) => return Ok(()),
                Some((&ERROR, _)) => return Err(self.refused("login refused", &packet)),
                Some((&MORE_DATA, data)) => step(&mut procedure, &login, data)?,
                Some((&SWITCH_OR_END, _)) => {
                    let request: AuthSwitchRequest<'_> = parse(&packet)?;
                    let plugin = request.auth_plugin();
                    if !may_be_told(&plugin) {
                        return Err(unknown_plugin(&plugin));
                    }
                    login.nonce = request.plugin_data().to_vec();
                    let answer;
                    (procedure, answer) = begin(&plugin, &mut login)?;
                    answer
                }
                _ => return Err(no_mysql()),
            };
            if let Some(answer) = answer {
                self.send(&answer).await?;
            }
        }
        Err(Failure::failed("the login does not end"))
    }

    /// The one value that a question is answered with.
    pub async fn ask(&mut self, question: &str) -> Result<Vec<u8>, Failure> {
        self.sequence = 0;
        self.send(&[&[COM_QUERY], question.as_bytes()].concat()).await?;
        let header = self.receive().await?;
        match header.as_slice() {
            [ERROR, ..] => return Err(self.refused("the server does not answer a question", &header)),
            // One column.
            [1] => {}
            _ => return Err(no_mysql()),
        }
        let _column = self.receive().await?;
        let end = self.receive().await?;
        if end.first() != Some(&SWITCH_OR_END) {
            return Err(no_mysql());
        }
        let row = self.receive().await?;
        match row.split_first() {
            Some((&ERROR, _)) => Err(self.refused("the server does not answer a question", &row)),
            Some((&NULL, _)) => Ok(b"NULL".to_vec()),
            // Anything longer would have its length written otherwise.
            Some((length, value)) if usize::from(*length) == value.len() => Ok(value.to_vec()),
            _ => Err(no_mysql()),
        }
    }

    /// Takes leave, and waits until the server has closed.
    pub async fn quit(mut self) {
        self.sequence = 0;
        if self.send(&[COM_QUIT]).await.is_ok() {
            let mut rest = [0; 256];
            while matches!(self.connection.read(&mut rest).await, Ok(1..)) {}
        }
    }

    async fn send(&mut self, payload: &[u8]) -> Result<(), Failure> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
        let header = [length[0], length[1], length[2], self.sequence];
        self.sequence = self.sequence.wrapping_add(1);
        let packet = [&header, payload].concat();
        let outcome = self.connection.write_all(&packet).await;
        outcome.map_err(|error| Failure::of_io(&error))
    }

    async fn receive(&mut self) -> Result<Vec<u8>, Failure> {
        let mut header = [0; 4];
        self.fill(&mut header).await?;
        let length = usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
        if length > LONGEST_PACKET {
            return Err(no_mysql());
        }
        self.sequence = header[3].wrapping_add(1);
        let mut payload = vec![0; length];
        self.fill(&mut payload).await?;
        Ok(payload)
    }

    async fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Failure> {
        let outcome = self.connection.read_exact(bytes).await;
        outcome.map(drop).map_err(|error| Failure::of_io(&error))
    }

    fn refused(&self, what: &str, packet: &[u8]) -> Failure {
        match ParseBuf(packet).parse::<ErrPacket<'_>>(self.capabilities) {
            Ok(ErrPacket::Error(error)) => Failure::failed(format!(
                "{what}: {} ({})",
                quote(error.message_ref()),
                error.error_code()
            )),
            _ => no_mysql(),
        }
    }
}

/// Whether what is made of the password for this plugin may be told to whoever asks: a server that wants the password itself
/// does not get it.
fn may_be_told(plugin: &AuthPlugin<'_>) -> bool {
    matches!(
        plugin,
        AuthPlugin::MysqlNativePassword | AuthPlugin::CachingSha2Password | AuthPlugin::Sha256Password
    )
}

fn begin(plugin: &AuthPlugin<'_>, login: &mut Login<'_>) -> Result<(AuthProc, Option<Vec<u8>>), Failure> {
    login.nonce.truncate(NONCE);
    if login.nonce.len() < NONCE {
        return Err(no_mysql());
    }
    let mut procedure = plugin.init().map_err(|_| unknown_plugin(plugin))?;
    let nonce = login.nonce.clone();
    let answer = step(&mut procedure, login, &nonce)?;
    Ok((procedure, answer))
}

fn step(procedure: &mut AuthProc, login: &Login<'_>, challenge: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    // The library panics on some keys that are none, and these are the server's own words.
    let outcome = catch_unwind(AssertUnwindSafe(|| procedure.run(login, challenge)));
    match outcome {
        Ok(Ok(response)) => Ok(response.data().map(<[u8]>::to_vec)),
        Ok(Err(_)) | Err(_) => Err(Failure::failed(
            "the server asks for the password in a way that nobody understands",
        )),
    }
}

fn unknown_plugin(plugin: &AuthPlugin<'_>) -> Failure {
    Failure::could_not_run(format!(
        "the server wants the user to log in by {}, which probes do not: give the user mysql_native_password or \
         caching_sha2_password",
        quote(plugin.as_bytes())
    ))
}

fn no_mysql() -> Failure {
    Failure::failed("the answer is not that of a MySQL server")
}

fn parse<'a, T>(packet: &'a [u8]) -> Result<T, Failure>
where
    T: mysql_common::proto::MyDeserialize<'a, Ctx = ()>,
{
    let parsed: io::Result<T> = ParseBuf(packet).parse(());
    parsed.map_err(|_| no_mysql())
}
