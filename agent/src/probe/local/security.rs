//! Whether anybody but root could change what is about to be run as root: keepalived's script security.
//!
//! Looked at before every run, from the root folder down. That leaves no gap between looking and running: whoever could put
//! something else at the path meanwhile needs the right to write one of the folders on the way, and each of them has just been
//! found to be root's (or the agent's own) alone. This holds for links too, whose folders are looked at like their targets'.

use std::ffi::{OsStr, OsString};
use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::walk::walk;

/// Where programs look for other programs.
pub const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// As many scripts as the kernel takes for interpreters of each other.
const MOST_INTERPRETERS: usize = 5;

/// So much of a file does the kernel read to find its interpreter.
const HEAD: usize = 256;

/// What may not be changed by others, and who is no other.
#[derive(Clone, Debug)]
pub struct Security {
    /// Who may change programs beside root.
    user: u32,
    /// From this folder on down.
    from: PathBuf,
    /// Where interpreters are looked for that are given by name only.
    search: Vec<PathBuf>,
}

impl Security {
    /// For programs that this process runs.
    pub fn of_this_process() -> Self {
        Self {
            user: geteuid().as_raw(),
            from: "/".into(),
            search: SEARCH.split(':').map(Into::into).collect(),
        }
    }

    /// Why `program` must not be run: others could change it, its interpreter, or a folder on the way to one of them.
    pub fn check(&self, program: &Path) -> Result<(), String> {
        let mut program = program.to_owned();
        for _ in 0..MOST_INTERPRETERS {
            let (file, metadata) = self.resolve(&program)?;
            if !metadata.is_file() {
                return Err(format!("{} is no file", program.display()));
            }
            match self.interpreter(&file) {
                Some(interpreter) => program = interpreter,
                None => return Ok(()),
            }
        }
        Err(format!("{} has too many interpreters", program.display()))
    }

    /// The file that `path` leads to, if everything on the way is as it has to be.
    fn resolve(&self, path: &Path) -> Result<(PathBuf, Metadata), String> {
        let mut last = None;
        for (entry, found) in walk(path) {
            let found = found.map_err(|error| unreadable(&entry, path, &error))?;
            // A link cannot be written, and who may replace it is known from its folder.
            if !found.is_symlink() {
                self.judge(&entry, &found)?;
                last = Some((entry, found));
            }
        }
        last.ok_or_else(|| format!("{} is no file", path.display()))
    }

    fn judge(&self, path: &Path, found: &Metadata) -> Result<(), String> {
        let (shown, owner, mode) = (path.display(), found.uid(), found.mode() & 0o7777);
        if self.from.starts_with(path) && self.from != path {
            Ok(())
        } else if owner != 0 && owner != self.user {
            Err(format!(
                "{shown} belongs to user {owner}, who could change what is run: give it to root (`chown root {shown}`){UNLESS}"
            ))
        } else if mode & 0o022 != 0 {
            let whom = if mode & 0o002 == 0 { "its group" } else { "others" };
            Err(format!(
                "{shown} can be written by {whom} (mode {mode:04o}), who could change what is run: forbid it \
                 (`chmod go-w {shown}`){UNLESS}"
            ))
        } else {
            Ok(())
        }
    }

    /// What runs `file`, if it is a script. One that cannot be read is none that could be run.
    fn interpreter(&self, file: &Path) -> Option<PathBuf> {
        let mut head = Vec::new();
        OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(file)
            .and_then(|file| file.take(HEAD as u64).read_to_end(&mut head))
            .ok()?;
        match interpreter(&head)? {
            Interpreter::Path(path) => Some(path),
            Interpreter::Name(name) => self
                .search
                .iter()
                .map(|folder| folder.join(&name))
                .find(|program| program.is_file()),
        }
    }
}

const UNLESS: &str = ", or set `agent.exec.insecure` of the chart (flag `--exec-insecure`)";

/// What the first line of a script names.
#[derive(PartialEq, Eq, Debug)]
enum Interpreter {
    Path(PathBuf),
    /// A program that `env` looks for.
    Name(OsString),
}

/// The interpreter that a file's beginning names, if it is a script.
fn interpreter(head: &[u8]) -> Option<Interpreter> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let mut words = line
        .split(|byte| matches!(byte, b' ' | b'\t' | 0))
        .filter(|word| !word.is_empty());
    let path = Path::new(OsStr::from_bytes(words.next()?));
    let name = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='));
    if path.file_name() == Some(OsStr::new("env")) {
        if let Some(name) = name.filter(|name| !name.contains(&b'/')) {
            return Some(Interpreter::Name(OsStr::from_bytes(name).to_owned()));
        }
        if let Some(path) = name {
            return Some(Interpreter::Path(OsStr::from_bytes(path).into()));
        }
    }
    Some(Interpreter::Path(path.to_owned()))
}

fn unreadable(at: &Path, path: &Path, error: &io::Error) -> String {
    let (at, path) = (at.display().to_string(), path.display().to_string());
    match error.kind() {
        io::ErrorKind::NotFound if at == path => format!("{path} does not exist"),
        io::ErrorKind::NotFound => format!("{path} does not exist: there is no {at}"),
        _ => format!("{path} cannot be looked at: {at}: {error}"),
    }
}

#[cfg(test)]
mod tests;
