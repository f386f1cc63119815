//! Looks at a file: passes while it exists, or while it holds a number, which is added to the priority.
//!
//! Each run looks at the file itself, which is cheap, always true, and works for files of the kernel's too, which never seem to
//! change. That it has changed is noticed by inotify in between.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use holdfast_api::model::probe as model;
use holdfast_health::{Outcome, Run};

use super::turn::Turns;
use super::watch::Watch;
use crate::probe::check::{Check, Scene};

const HELD_UP: &str = "an earlier run still waits for the file's disk or server";

/// The highest number that a file may hold, and the lowest without its sign.
const MOST: i16 = 253;

/// A number with all the space that anybody puts around it is shorter.
const LONGEST: u64 = 256;

/// So much of what is no number is shown.
const SHOWN: usize = 20;

/// Looks at a file again and again.
#[derive(Debug)]
pub struct File {
    wanted: model::File,
    turns: Turns,
    watch: Option<Watch>,
}

impl File {
    /// Of this file.
    pub fn new(wanted: model::File) -> Self {
        Self {
            wanted,
            turns: Turns::default(),
            watch: None,
        }
    }

    async fn attempt(&mut self) -> Result<Run, Run> {
        let wanted = self.wanted.clone();
        // Watched before it is looked at, so that no change falls between.
        let watch = self.watch.take().filter(|watch| !watch.has_changed());
        let (run, watch) = self
            .turns
            .work(HELD_UP, move || {
                let path = Path::new(&wanted.path);
                // Without it a change is seen at the next run.
                let watch = watch.or_else(|| Watch::start(path).ok());
                (look(path, wanted.adds), watch)
            })
            .await?;
        self.watch = watch;
        Ok(run)
    }
}

impl Check for File {
    fn run<'a>(&'a mut self, _scene: &'a Scene) -> BoxFuture<'a, Run> {
        self.attempt()
            .map(|result| result.unwrap_or_else(|run| run))
            .boxed()
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        async move {
            match &self.watch {
                Some(watch) => {
                    watch.changed().await;
                    // The way to the file may be another now.
                    self.watch = None;
                }
                None => core::future::pending().await,
            }
        }
        .boxed()
    }
}

fn look(path: &Path, adds: bool) -> Run {
    let shown = path.display();
    let missing = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Run::new(Outcome::Failed, format!("{shown} does not exist"))
        }
        _ => Run::new(Outcome::CouldNotRun, format!("{shown} cannot be read: {error}")),
    };
    if !adds {
        return match fs::metadata(path) {
            Ok(_) => Run::new(Outcome::Passed, ""),
            Err(error) => missing(&error),
        };
    }
    match read(path) {
        Ok(Some(text)) => match number(&text) {
            Ok(number) => Run {
                adds: Some(number),
                ..Run::new(Outcome::Passed, "")
            },
            Err(why) => Run::new(Outcome::Failed, format!("{shown} {why}")),
        },
        Ok(None) => Run::new(Outcome::Failed, format!("{shown} is no regular file")),
        Err(error) => missing(&error),
    }
}

/// What a file holds, as far as it shows whether that is too much; `None` if it is something that could keep its reader waiting.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut text)?;
    Ok(Some(text))
}

/// The number that is all there is, or why there is none.
fn number(text: &[u8]) -> Result<i16, String> {
    // What comes after it might be another number.
    if text.len() as u64 > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes, as no number is"));
    }
    let text = String::from_utf8_lossy(text.trim_ascii());
    if text.is_empty() {
        return Err("is empty, and no number".to_owned());
    }
    let mut characters = text.chars().filter(|c| !c.is_control());
    let mut shown: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    let mut digits = text.as_bytes();
    digits = digits
        .strip_prefix(b"-")
        .or(digits.strip_prefix(b"+"))
        .unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(format!("holds `{shown}`, which is no number"));
    }
    text.parse()
        .ok()
        .filter(|number| (-MOST..=MOST).contains(number))
        .ok_or_else(|| format!("holds {shown}, which is not between -{MOST} and {MOST}"))
}

#[cfg(test)]
mod tests;
