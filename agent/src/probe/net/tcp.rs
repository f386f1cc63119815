//! Connects by TCP or to a Unix socket, and, if asked to, says something and reads the answer.

use core::time::Duration;

use holdfast_api::model::probe::Tcp;
use regex::bytes::Regex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::Look;
use super::dial::{Connection, Dialer};
use super::failure::{Failure, Found, quote};
use super::pattern;
use super::stage::Stage;

/// More of an answer is not read.
const LONGEST: usize = 64 << 10;

/// Up to this size an answer is searched whenever more of it comes; beyond, once in [`PAUSE`], so that one which comes byte by
/// byte costs little.
const SMALL: usize = 4 << 10;

/// See [`SMALL`].
const PAUSE: Duration = Duration::from_millis(10);

/// Looks by TCP.
pub struct TcpLook {
    dialer: Dialer,
    send: Option<Vec<u8>>,
    expect: Option<Regex>,
    stage: Stage,
}

impl TcpLook {
    /// As `tcp` says.
    pub fn new(tcp: &Tcp) -> Result<Self, Failure> {
        Ok(Self {
            dialer: Dialer::new(&tcp.target),
            send: tcp.send.clone(),
            expect: tcp.expect.as_deref().map(pattern::compile).transpose()?,
            stage: Stage::default(),
        })
    }
}

impl Look for TcpLook {
    async fn look(&mut self) -> Found {
        let mut connection = self.dialer.connect(&mut self.stage).await?;
        let io = |error| Failure::of_io(&error);
        if let Some(bytes) = &self.send {
            connection.write_all(bytes).await.map_err(io)?;
        }
        let Some(expect) = &self.expect else {
            return Ok(String::new());
        };
        self.stage.set(Stage::WAITING);
        let answer = read(&mut connection, expect, &mut self.stage).await.map_err(io)?;
        match answer {
            Answer::Matches => Ok(String::new()),
            Answer::Nothing => Err(Failure::failed("closed without an answer")),
            Answer::Other(start) => Err(Failure::failed(format!(
                "answer does not match {}: it begins with `{start}`",
                pattern::shown(expect)
            ))),
        }
    }

    fn stage(&self) -> &Stage {
        &self.stage
    }
}

enum Answer {
    Matches,
    Nothing,
    Other(String),
}

/// Reads until `expect` matches, the other side closes, or it is too much.
async fn read(connection: &mut Connection, expect: &Regex, stage: &mut Stage) -> std::io::Result<Answer> {
    let mut answer = Vec::with_capacity(512);
    loop {
        let open = more(connection, &mut answer).await?;
        if expect.is_match(&answer) {
            return Ok(Answer::Matches);
        }
        if !open || answer.len() >= LONGEST {
            return Ok(match answer.as_slice() {
                [] => Answer::Nothing,
                start => Answer::Other(quote(start)),
            });
        }
        if !answer.is_empty() {
            stage.set(format!(
                "the answer so far does not match {}",
                pattern::shown(expect)
            ));
        }
    }
}

/// Waits for more of the answer; whether the other side may say more still.
async fn more(connection: &mut Connection, answer: &mut Vec<u8>) -> std::io::Result<bool> {
    if !read_some(connection, answer).await? {
        return Ok(false);
    }
    let end = Instant::now() + PAUSE;
    while answer.len() > SMALL && answer.len() < LONGEST {
        match tokio::time::timeout_at(end, read_some(connection, answer)).await {
            Ok(Ok(true)) => {}
            Ok(ended) => return ended,
            Err(_) => break,
        }
    }
    Ok(true)
}

async fn read_some(connection: &mut Connection, answer: &mut Vec<u8>) -> std::io::Result<bool> {
    let room = LONGEST - answer.len();
    let read = connection.take(room as u64).read_buf(answer).await;
    read.map(|read| read > 0)
}
