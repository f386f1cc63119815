//! The processes of the node, as far as probes ask for them: read from /proc, and held by a descriptor that no other process can
//! ever get.
//!
//! To look through all processes costs some 30 µs for each of them, so that is done seldom: all probes share what was found, and
//! it is done at most ten times a second and never for more than a twentieth of the time. As long as a process lives that has
//! once been found, nothing is looked through at all.

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::sys;

/// How long what was found is good enough for another probe.
const FRESH: Duration = Duration::from_millis(100);

/// Looking takes one part of the time in so many.
const SHARE: u32 = 20;

/// A process's own name is no longer than this many bytes; the kernel cuts off the rest.
const LONGEST_NAME: usize = 15;

/// More of a command line than this need not be read to find a program's name.
const LONGEST_START: u64 = 4096;

/// What the kernel appends to the path of a program that was replaced while it runs, as an upgrade does it.
const REPLACED: &[u8] = b" (deleted)";

/// The node's processes, for all probes together.
#[derive(Clone, Default, Debug)]
pub struct Processes(Arc<Mutex<Seen>>);

#[derive(Default, Debug)]
struct Seen {
    /// When it was looked last, and how long that took.
    looked: Option<(Instant, Duration)>,
    /// Every name that a process goes by, with its processes, oldest first.
    names: BTreeMap<Vec<u8>, Vec<i32>>,
}

/// What is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The name of the program.
    pub name: String,
    /// The user it has to run as.
    pub user: Option<u32>,
}

/// What was found.
#[derive(Debug)]
pub enum Found {
    /// A process, with a descriptor that is readable when it has ended.
    Process(Held),
    /// Processes of this name, but none of this user; as whom one of them runs.
    OtherUser(u32),
    /// No process of this name.
    None,
}

/// A process that lives, or has lived.
#[derive(Debug)]
pub struct Held {
    process: i32,
    descriptor: OwnedFd,
}

impl Processes {
    /// A process as it is wanted. Takes long where there are many processes.
    pub fn find(&self, wanted: &Wanted) -> Found {
        let candidates = {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen.refresh();
            seen.names.get(wanted.known_by()).cloned().unwrap_or_default()
        };
        let mut found = Found::None;
        for process in candidates {
            // Held first and asked then: whatever is true of it now is true of this process and not of another that has got its
            // number meanwhile.
            let Ok(descriptor) = sys::pidfd_open(process) else {
                continue;
            };
            let held = Held { process, descriptor };
            match held.is(wanted) {
                Answer::Yes => return Found::Process(held),
                Answer::OtherUser(user) => found = Found::OtherUser(user),
                Answer::No => {}
            }
        }
        found
    }
}

impl Wanted {
    /// Some name that every process goes by that is wanted: where the kernel has cut it off, that is what to look for.
    fn known_by(&self) -> &[u8] {
        let name = self.name.as_bytes();
        name.get(..LONGEST_NAME).unwrap_or(name)
    }
}

impl Seen {
    fn refresh(&mut self) {
        let begin = Instant::now();
        let is_fresh = self
            .looked
            .is_some_and(|(at, took)| begin - at < FRESH.max(took * SHARE));
        if is_fresh {
            return;
        }
        self.names.clear();
        for process in all() {
            for mut name in names(process) {
                name.truncate(LONGEST_NAME);
                let processes = self.names.entry(name).or_default();
                if processes.last() != Some(&process) {
                    processes.push(process);
                }
            }
        }
        let end = Instant::now();
        self.looked = Some((end, end - begin));
    }
}

enum Answer {
    Yes,
    OtherUser(u32),
    No,
}

impl Held {
    /// Whether the process is still there and as it is wanted: it may have become another program or user.
    pub fn still_is(&self, wanted: &Wanted) -> bool {
        matches!(self.is(wanted), Answer::Yes)
    }

    /// What is readable when the process has ended.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }

    fn is(&self, wanted: &Wanted) -> Answer {
        let is_named = self.is_named(&wanted.name);
        let user = wanted.user.map(|wanted| (wanted, user(self.process)));
        // Asked last: if it lives now, all of the above was about this process.
        if !is_named || !self.lives() {
            return Answer::No;
        }
        match user {
            Some((_, None)) => Answer::No,
            Some((wanted, Some(user))) if user != wanted => Answer::OtherUser(user),
            _ => Answer::Yes,
        }
    }

    /// Whether the process goes by `name`. Its own name comes first: to ask for the others may have to wait for the process.
    fn is_named(&self, name: &str) -> bool {
        let name = name.as_bytes();
        let own = name.get(..LONGEST_NAME).unwrap_or(name);
        own_name(self.process).is_some_and(|found| found == own)
            || names(self.process).any(|found| found == name)
    }

    fn lives(&self) -> bool {
        let mut descriptors = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
        // A process that has ended but was not waited for is readable too.
        poll(&mut descriptors, PollTimeout::ZERO) == Ok(0)
    }
}

/// The numbers of all processes, lowest first. Threads have none of their own here.
fn all() -> Vec<i32> {
    let mut all: Vec<i32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    all.sort_unstable();
    all
}

/// The names that a process goes by.
fn names(process: i32) -> impl Iterator<Item = Vec<u8>> {
    let program = fs::read_link(format!("/proc/{process}/exe")).ok();
    let program = program.and_then(|path| {
        let name = path.file_name()?.as_encoded_bytes();
        Some(name.strip_suffix(REPLACED).unwrap_or(name).to_vec())
    });
    [own_name(process), first_argument(process), program]
        .into_iter()
        .flatten()
}

/// The name that the process has for itself, or the kernel for it.
fn own_name(process: i32) -> Option<Vec<u8>> {
    let mut name = fs::read(format!("/proc/{process}/comm")).ok()?;
    name.truncate(name.trim_ascii_end().len());
    Some(name)
}

/// The last part of the path that the program was called by.
fn first_argument(process: i32) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    fs::File::open(format!("/proc/{process}/cmdline"))
        .ok()?
        .take(LONGEST_START)
        .read_to_end(&mut line)
        .ok()?;
    let first = line.split(|byte| *byte == 0).next()?;
    let last = first.rsplit(|byte| *byte == b'/').next()?;
    (!last.is_empty()).then(|| last.to_vec())
}

/// The user whose rights the process has.
fn user(process: i32) -> Option<u32> {
    // Not the owner of the folder, which is root where a process has ever changed its user.
    let status = fs::read(Path::new("/proc").join(process.to_string()).join("status")).ok()?;
    String::from_utf8_lossy(&status)
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|users| users.split_whitespace().nth(1)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    use nix::unistd::geteuid;
    use tempfile::TempDir;

    use super::*;

    /// A process that is killed in the end.
    struct Sleeper(Child);

    impl Sleeper {
        /// `sleep` under another name. By a link: a program that was just written may be open in another test's child.
        fn called(folder: &TempDir, name: &str) -> Self {
            let path = folder.path().join(name);
            symlink("/bin/sleep", &path).unwrap();
            Self::of(&mut Command::new(path))
        }

        fn of(command: &mut Command) -> Self {
            let sleeper = Self(command.arg("1000").stdin(Stdio::null()).spawn().unwrap());
            // Not before it has become the program.
            while fs::read(format!("/proc/{}/comm", sleeper.0.id()))
                .unwrap()
                .starts_with(b"probe")
            {
                std::thread::yield_now();
            }
            sleeper
        }

        fn end(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn wanted(name: &str) -> Wanted {
        Wanted {
            name: name.into(),
            user: None,
        }
    }

    fn find(name: &str) -> Found {
        Processes::default().find(&wanted(name))
    }

    fn is(found: &Found, sleeper: &Sleeper) -> bool {
        matches!(found, Found::Process(held) if held.process == i32::try_from(sleeper.0.id()).unwrap())
    }

    #[test]
    fn a_process_is_found_by_its_own_name_or_its_programs() {
        let folder = tempfile::tempdir().unwrap();
        let short = Sleeper::called(&folder, "hf-short");
        assert!(is(&find("hf-short"), &short));
        // The kernel keeps fifteen bytes of a name.
        let long = Sleeper::called(&folder, "hf-with-a-long-name");
        for name in ["hf-with-a-long-name", "hf-with-a-long-"] {
            assert!(is(&find(name), &long), "{name}");
        }
        let other = Sleeper::of(Command::new(folder.path().join("hf-short")).arg0("/opt/bin/hf-called"));
        assert!(is(&find("hf-called"), &other));
        for name in ["hf-shor", "hf-short2", "hf", ""] {
            assert!(matches!(find(name), Found::None), "{name:?}");
        }
    }

    #[test]
    fn a_process_that_has_ended_is_none_even_before_it_was_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut sleeper = Sleeper::called(&folder, "hf-zombie");
        let Found::Process(held) = find("hf-zombie") else {
            panic!("it runs")
        };
        assert!(held.still_is(&wanted("hf-zombie")));
        sleeper.0.kill().unwrap();
        let mut descriptors = [PollFd::new(held.descriptor.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut descriptors, PollTimeout::from(5000_u16)), Ok(1));
        assert!(
            fs::read_to_string(format!("/proc/{}/stat", sleeper.0.id()))
                .unwrap()
                .contains(") Z ")
        );
        assert!(!held.still_is(&wanted("hf-zombie")));
        assert!(matches!(find("hf-zombie"), Found::None));
        sleeper.end();
        assert!(!held.still_is(&wanted("hf-zombie")));
    }

    #[test]
    fn another_process_with_the_same_number_is_not_taken_for_the_one_that_was_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Sleeper::called(&folder, "hf-reused");
        let Found::Process(held) = find("hf-reused") else {
            panic!("it runs")
        };
        first.end();
        // As if the next process of that name had got the number of the first.
        let second = Sleeper::of(&mut Command::new(folder.path().join("hf-reused")));
        let reused = Held {
            process: i32::try_from(second.0.id()).unwrap(),
            ..held
        };
        assert!(reused.is_named("hf-reused") && !reused.still_is(&wanted("hf-reused")));
    }

    #[test]
    fn a_process_that_becomes_another_program_is_no_longer_the_one_that_was_found() {
        let folder = tempfile::tempdir().unwrap();
        symlink("/bin/sleep", folder.path().join("hf-after")).unwrap();
        symlink("/bin/sh", folder.path().join("hf-before")).unwrap();
        let mut child = Command::new(folder.path().join("hf-before"))
            .args(["-c", "read line; exec \"$0\" 1000"])
            .arg(folder.path().join("hf-after"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let sleeper = Sleeper(child);
        let begin = Instant::now();
        let held = loop {
            assert!(begin.elapsed() < Duration::from_secs(20));
            if let Found::Process(held) = find("hf-before") {
                break held;
            }
        };
        drop(stdin);
        while !matches!(find("hf-after"), Found::Process(_)) {
            assert!(begin.elapsed() < Duration::from_secs(20));
        }
        assert!(is(&find("hf-after"), &sleeper));
        assert!(!held.still_is(&wanted("hf-before")) && held.still_is(&wanted("hf-after")));
    }

    #[test]
    fn the_user_is_the_one_whose_rights_the_process_has() {
        if !geteuid().is_root() {
            eprintln!("skipped: it takes root to become another user");
            return;
        }
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        std::process::Command::new("chmod")
            .arg("755")
            .arg(folder.path())
            .status()
            .unwrap();
        symlink("/bin/sleep", folder.path().join("hf-user")).unwrap();
        let theirs = Sleeper::of(Command::new(folder.path().join("hf-user")).uid(4711));
        let of = |user| {
            Processes::default().find(&Wanted {
                user: Some(user),
                ..wanted("hf-user")
            })
        };
        assert!(is(&of(4711), &theirs));
        assert!(matches!(of(0), Found::OtherUser(4711)));
        let ours = Sleeper::of(&mut Command::new(folder.path().join("hf-user")));
        assert!(is(&of(0), &ours) && is(&of(4711), &theirs));
    }

    #[test]
    fn many_probes_look_through_the_processes_once_and_the_longer_that_takes_the_more_seldom() {
        let folder = tempfile::tempdir().unwrap();
        let processes = Processes::default();
        assert!(matches!(processes.find(&wanted("hf-shared")), Found::None));
        let looked = |took| Some((Instant::now(), took));
        processes.0.lock().unwrap().looked = looked(Duration::from_secs(1));
        let sleeper = Sleeper::called(&folder, "hf-shared");
        for _ in 0..3 {
            assert!(matches!(
                processes.clone().find(&wanted("hf-shared")),
                Found::None
            ));
        }
        processes.0.lock().unwrap().looked = looked(Duration::ZERO);
        std::thread::sleep(FRESH);
        assert!(is(&processes.find(&wanted("hf-shared")), &sleeper));
    }
}
