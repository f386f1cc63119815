//! What the agent that runs and one that stands by say to each other over the lock: JSON, one object a line.
//!
//! The one that runs says `{"holding":{…}}` at once and again after each change, and its [`Predecessor`] as its last
//! word. The one that stands by says `{"standing":{…}}` and, when it is to run, `{"yield":{"revision":…}}`. Fields and
//! words of later versions are ignored.

use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::card::Card;
use crate::engine::Predecessor;

/// The longest line in bytes: more than a thousand groups.
pub const MAX_LINE: usize = 1 << 20;

/// How much is read at a time.
const CHUNK: usize = 4096;

/// What the agent that runs says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// Counts the changes of what follows: whoever asks for the groups names what it has read.
    pub revision: u64,
    /// Its version.
    pub version: String,
    /// Whether it was started to take over from others: such a one is not asked to yield.
    pub take_over: bool,
    /// The groups it runs.
    pub groups: Vec<Card>,
}

/// What an agent that stands by says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Its version.
    pub version: String,
    /// Whether it was started to take over from others.
    pub take_over: bool,
    /// The groups it would run.
    pub groups: Vec<Card>,
    /// Why it waits, in a sentence.
    pub message: String,
}

/// What the agent that runs says, its last word aside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HolderWord {
    /// What it runs.
    Holding(Holding),
}

/// What an agent that stands by says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StandbyWord {
    /// What it would run, and why it does not.
    Standing(Standing),
    /// Yield: everything that was said under this revision is covered.
    Yield {
        /// Of [`Holding`].
        revision: u64,
    },
}

/// What was read from the agent that runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FromHolder {
    /// What it runs.
    Holding(Holding),
    /// Its last word.
    Predecessor(Predecessor),
}

impl FromHolder {
    /// Reads a line. `None` for one that this version does not know.
    pub fn read(line: &[u8]) -> Option<Self> {
        if let Ok(HolderWord::Holding(holding)) = serde_json::from_slice(line) {
            return Some(Self::Holding(holding));
        }
        // The last word has no name: the first version had no other.
        serde_json::from_slice(line).ok().map(Self::Predecessor)
    }
}

/// `word` as a line.
pub fn line(word: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(word).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Reads lines, and never keeps more than one of [`MAX_LINE`] bytes.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// How much of the buffer is known to have no line end.
    searched: usize,
    /// The line that is being read was too long: the rest of it is thrown away.
    skipping: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Reads from `reader`.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            searched: 0,
            skipping: false,
        }
    }

    /// The next line that is not too long, without its end; `None` once the other side has ended. Safe to cancel.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            self.buffer.reserve(CHUNK);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        loop {
            let end = self.buffer[self.searched..]
                .iter()
                .position(|byte| *byte == b'\n');
            let Some(end) = end.map(|end| end + self.searched) else {
                self.searched = self.buffer.len();
                if self.searched > MAX_LINE {
                    self.skipping = true;
                }
                if self.skipping {
                    self.buffer = Vec::new();
                    self.searched = 0;
                }
                return None;
            };
            let rest = self.buffer.split_off(end + 1);
            let mut line = core::mem::replace(&mut self.buffer, rest);
            self.searched = 0;
            if !core::mem::take(&mut self.skipping) {
                line.pop();
                return Some(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    async fn lines_of(text: &[u8]) -> Vec<Vec<u8>> {
        let (mut writer, reader) = tokio::io::duplex(64);
        let text = text.to_vec();
        let write = tokio::spawn(async move {
            writer.write_all(&text).await.unwrap();
        });
        let mut lines = Lines::new(reader);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        write.await.unwrap();
        all
    }

    #[tokio::test]
    async fn lines_come_one_by_one_however_they_arrive_and_a_torn_one_does_not() {
        let long = [b"x".repeat(1000), b"\n\nab\ntorn".to_vec()].concat();
        assert_eq!(
            lines_of(&long).await,
            [b"x".repeat(1000), Vec::new(), b"ab".to_vec()]
        );
    }

    #[tokio::test]
    async fn a_line_without_end_is_thrown_away_and_what_follows_it_is_read() {
        let text = [b"x".repeat(MAX_LINE + 2 * CHUNK), b"\nafter\n".to_vec()].concat();
        let (mut writer, reader) = tokio::io::duplex(64);
        let write = tokio::spawn(async move { writer.write_all(&text).await });
        let mut lines = Lines::new(reader);
        assert_eq!(lines.next().await.unwrap(), Some(b"after".to_vec()));
        assert!(lines.buffer.capacity() < MAX_LINE, "what was skipped is not kept");
        write.await.unwrap().unwrap();
    }

    #[test]
    fn words_are_written_as_documented_and_later_fields_are_ignored() {
        let word: StandbyWord = serde_json::from_str(r#"{"yield":{"revision":3,"politely":true}}"#).unwrap();
        assert_eq!(word, StandbyWord::Yield { revision: 3 });
        let holding = r#"{"holding":{"revision":1,"version":"9","takeOver":true,"groups":[],"mood":"good"}}"#;
        let Some(FromHolder::Holding(holding)) = FromHolder::read(holding.as_bytes()) else {
            panic!("not read")
        };
        assert!(holding.take_over && holding.revision == 1);
        let last = line(&Predecessor::default());
        assert_eq!(
            FromHolder::read(&last),
            Some(FromHolder::Predecessor(Predecessor::default()))
        );
    }

    #[test]
    fn hostile_lines_are_no_words() {
        let deep = "[".repeat(100_000);
        let hostile = [
            "",
            "{}",
            "[]",
            "7",
            "{\"holding\":7}",
            "{\"holding\":{\"revision\":-1}}",
            "\u{0}",
            &deep,
        ];
        for line in hostile {
            assert_eq!(FromHolder::read(line.as_bytes()), None, "{line:.40}");
            assert!(serde_json::from_str::<StandbyWord>(line).is_err(), "{line:.40}");
        }
    }
}
