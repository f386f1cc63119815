//! Real programs: shells that hang, flood, and leave children behind.

use core::time::Duration;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::Instant;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

/// Longer than anything here takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(10);

fn insecure() -> Access {
    Access {
        exec_insecure: true,
        ..Access::default()
    }
}

fn exec(program: &str, arguments: &[&str], user: Option<&str>) -> Exec {
    let program = model::Exec {
        program: program.into(),
        arguments: arguments.iter().copied().map(Into::into).collect(),
        user: user.map(Into::into),
    };
    Exec::new(program, &insecure())
}

fn shell(script: &str) -> Exec {
    exec("/bin/sh", &["-c", script], None)
}

async fn run(exec: &mut Exec) -> Run {
    loop {
        let found = timeout(PATIENCE, exec.run(&Scene::example()))
            .await
            .expect("it ends");
        // What a test has just written may be open in another test's child until that has become its program.
        if !found.message.ends_with(" is being written") {
            return found;
        }
    }
}

/// Runs a program that does not end, and gives it up some time after it has begun.
async fn give_up(exec: &mut Exec, has_begun: impl Fn() -> bool) {
    let is_enough = async {
        while !has_begun() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // What it has printed is read meanwhile.
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let scene = Scene::example();
    tokio::select! {
        found = exec.run(&scene) => panic!("it has ended: {found:?}"),
        enough = timeout(PATIENCE, is_enough) => enough.expect("it begins"),
    }
}

async fn ends(script: &str, outcome: Outcome, message: &str) {
    let found = run(&mut shell(script)).await;
    assert_eq!(
        (found.outcome, found.message.as_str()),
        (outcome, message),
        "{script}"
    );
}

/// A folder, and the processes whose command line names it.
struct Traces(TempDir);

impl Traces {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The processes that name the folder, zombies not counted.
    fn processes(&self) -> Vec<Pid> {
        let mark = self.0.path().as_os_str().as_encoded_bytes();
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let line = fs::read(entry.path().join("cmdline")).ok()?;
                let is_marked = line.windows(mark.len()).any(|window| window == mark);
                is_marked.then(|| Pid::from_raw(entry.file_name().to_str().unwrap().parse().unwrap()))
            })
            .collect()
    }

    fn wait_for_none(&self, what: &str) {
        let start = Instant::now();
        while !self.processes().is_empty() {
            assert!(
                start.elapsed() < PATIENCE,
                "{what} is still there: {:?}",
                self.processes()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn program(&self, name: &str, content: &str, mode: u32) -> String {
        fs::write(self.path(name), content).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        self.path(name).display().to_string()
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // Also what a failed test has left behind.
        for process in self.processes() {
            let _ = kill(process, Signal::SIGKILL);
        }
    }
}

/// Waits until every child of this process that has ended was waited for; other tests have such children too.
async fn no_zombies() {
    let start = Instant::now();
    while !zombies().is_empty() {
        assert!(start.elapsed() < PATIENCE, "left behind: {:?}", zombies());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The children of this process that have ended and were not waited for.
fn zombies() -> Vec<String> {
    let ours = std::process::id().to_string();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter(|stat| {
            let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            fields.next() == Some("Z") && fields.next() == Some(&ours)
        })
        .collect()
}

#[tokio::test]
async fn a_program_says_by_its_status_whether_all_is_well() {
    ends("true", Outcome::Passed, "").await;
    ends("echo fine; echo really >&2", Outcome::Passed, "fine\nreally").await;
    ends(
        "echo 'no backend'; exit 3",
        Outcome::Failed,
        "exited with status 3: no backend",
    )
    .await;
    ends("exit 255", Outcome::Failed, "exited with status 255").await;
    ends("kill -SEGV $$", Outcome::Failed, "was killed by SIGSEGV").await;
    ends(
        "echo x; kill -TERM $$",
        Outcome::Failed,
        "was killed by SIGTERM: x",
    )
    .await;
}

#[tokio::test]
async fn output_that_is_no_text_is_shown_as_far_as_it_is() {
    ends(
        r"printf 'gr\303\266\377\033[31mrot\n'",
        Outcome::Passed,
        "grö\u{fffd}rot",
    )
    .await;
}

#[tokio::test]
async fn a_program_gets_its_arguments_as_they_are_and_a_clean_environment() {
    let found = run(&mut exec("/bin/echo", &["$HOME", "a b", "*", ";"], None)).await;
    assert_eq!(found.message, "$HOME a b * ;");
    let found = run(&mut exec("/usr/bin/env", &[], None)).await;
    let mut lines: Vec<_> = found.message.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "HOLDFAST_GROUP=web",
            "HOLDFAST_NODE=cp-1",
            "HOLDFAST_PRIORITY=200",
            "HOLDFAST_PROBE=check",
            "HOLDFAST_STATE=Active",
            &format!("PATH={SEARCH}"),
        ]
    );
}

#[tokio::test]
async fn a_program_inherits_nothing_of_the_agent() {
    // Protected when memory runs out, as an agent's service may be, where that is allowed here.
    let _ = fs::write("/proc/self/oom_score_adj", "-500");
    // A descriptor that whoever started the agent has left open: not closed by itself when a program starts.
    let (_reader, leaked) = nix::unistd::pipe().unwrap();
    // Another limit than the agent was started with.
    let given = descriptors::given().unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, given.soft / 2, given.hard).unwrap();
    let found = run(&mut shell(
        "ulimit -n; cd .; pwd; umask; ls /proc/self/fd; grep -E '^(Sig(Blk|Ign)|VmLck)' /proc/self/status; cat /proc/self/oom_score_adj; \
         chrt -p $$; cut -d' ' -f5-7 /proc/$$/stat; echo $$",
    ))
    .await;
    drop(leaked);
    let _ = fs::write("/proc/self/oom_score_adj", "0");
    let text = found.message;
    let mut lines = text.lines();
    let mut next = || lines.next().unwrap_or_default();
    assert_eq!(next(), given.soft.to_string(), "{text}");
    assert_eq!((next(), next()), ("/", "0022"), "{text}");
    // `ls` itself has opened the fourth.
    assert_eq!([next(), next(), next(), next()], ["0", "1", "2", "3"], "{text}");
    assert_eq!(next(), "VmLck:        0 kB", "{text}");
    assert_eq!(next(), "SigBlk: 0000000000000000", "{text}");
    let ignored = next().strip_prefix("SigIgn: ").unwrap_or_default();
    // But for two that are the C library's own, which it ignores in every program that it starts.
    let ignored = u64::from_str_radix(ignored, 16).unwrap() & !(0b11 << 31);
    assert_eq!(ignored, 0, "{text}");
    assert_eq!(next(), "0", "{text}");
    assert!(next().ends_with("SCHED_OTHER"), "{text}");
    next();
    // Group, session, terminal, and the process.
    let (group, process) = (next(), next());
    assert_eq!(group, format!("{process} {process} 0"), "{text}");
}

#[tokio::test]
async fn a_program_that_hangs_is_gone_when_nobody_waits_for_it_any_more_and_all_its_children_with_it() {
    let traces = Traces::new();
    let path = traces.path("").display().to_string();
    // The shell waits, so do two children and a grandchild, and one of them wants to live.
    let script = format!(
        "echo begun; sh -c 'sleep 1000; : {path}' & sh -c '(trap \"\" TERM INT HUP; sleep 1000; : {path}); : {path}' & wait"
    );
    let mut hanging = shell(&script);
    let all_have_begun = || traces.processes().len() >= 4;
    give_up(&mut hanging, all_have_begun).await;
    assert_eq!(
        hanging.interrupted().as_deref(),
        Some("the program was killed, and had printed: begun")
    );
    traces.wait_for_none("what the program has started");
    no_zombies().await;
    // And the next run is a run like any other.
    give_up(&mut hanging, all_have_begun).await;
    traces.wait_for_none("what the second run has started");
}

#[tokio::test]
async fn what_a_program_leaves_behind_neither_holds_it_up_nor_stays() {
    let traces = Traces::new();
    let path = traces.path("").display().to_string();
    let start = Instant::now();
    let mut leaving = shell(&format!(
        "sh -c 'echo child; : >{path}said; sleep 1000; :' & until [ -e {path}said ]; do sleep 0.01; done; echo done"
    ));
    let found = run(&mut leaving).await;
    assert_eq!(
        (found.outcome, found.message.as_str()),
        (Outcome::Passed, "child\ndone")
    );
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    traces.wait_for_none("the child");
}

#[tokio::test]
async fn a_daemon_that_leaves_its_session_lives_on_and_holds_nobody_up() {
    let traces = Traces::new();
    let path = traces.path("").display().to_string();
    let mut healing = shell(&format!(
        "setsid sh -c ': >{path}left; sleep 1000; :' & until [ -e {path}left ]; do sleep 0.01; done; echo started"
    ));
    let found = run(&mut healing).await;
    assert_eq!(
        (found.outcome, found.message.as_str()),
        (Outcome::Passed, "started")
    );
    assert!(!traces.processes().is_empty());
    // `Traces` ends it.
}

#[tokio::test]
async fn a_program_that_floods_its_output_is_ended() {
    let start = Instant::now();
    let found = run(&mut exec("/usr/bin/yes", &["all is well"], None)).await;
    assert_eq!(found.outcome, Outcome::Failed);
    assert!(
        found
            .message
            .starts_with("printed more than 1 MiB and was killed: all is well\nall is well\n"),
        "{}",
        found.message
    );
    assert!(found.message.len() < Run::LONGEST_MESSAGE + 100);
    assert!(start.elapsed() < PATIENCE / 2);
    // Just less than that is read to its end, and kept in part.
    let found = run(&mut shell("head -c 1048576 /dev/zero | tr '\\0' x; exit 1")).await;
    assert!(
        found.message.starts_with("exited with status 1: xxx"),
        "{}",
        found.message
    );
    assert!(found.message.len() < Run::LONGEST_MESSAGE + 100);
}

#[tokio::test]
async fn what_cannot_be_run_is_said_to_be_so_and_why() {
    let traces = Traces::new();
    for (program, words) in [
        (traces.path("gone").display().to_string(), "does not exist"),
        (
            traces.program("plain", "#!/bin/sh\n", 0o644),
            "is not executable: `chmod +x ",
        ),
        (
            traces.program("orphan", "#!/opt/none/interpreter\n", 0o755),
            "its interpreter or its loader does not exist",
        ),
        (
            traces.program("text", "echo hello\n", 0o755),
            "is no program for this machine",
        ),
        ("/".to_owned(), "is not executable"),
    ] {
        let found = run(&mut exec(&program, &[], None)).await;
        assert_eq!(
            found.outcome,
            Outcome::CouldNotRun,
            "{program}: {}",
            found.message
        );
        assert!(
            found.message.starts_with(&program) && found.message.contains(words),
            "{}",
            found.message
        );
    }
    no_zombies().await;
}

#[tokio::test]
async fn a_program_that_others_could_change_is_not_run_unless_that_is_allowed() {
    let traces = Traces::new();
    let program = traces.program("check", "#!/bin/sh\necho ran\n", 0o755);
    let of = |access: &Access| {
        let program = model::Exec {
            program: program.clone(),
            arguments: Vec::new(),
            user: None,
        };
        Exec::new(program, access)
    };
    let found = run(&mut of(&Access::default())).await;
    assert_eq!(found.outcome, Outcome::CouldNotRun);
    assert!(
        found.message.starts_with("/tmp can be written by others"),
        "{}",
        found.message
    );
    assert_eq!(run(&mut of(&insecure())).await.message, "ran");
    // The rule is asked anew for each run.
    let link = traces.path("link");
    symlink("/bin/true", &link).unwrap();
    let found = run(&mut exec(&link.display().to_string(), &[], None)).await;
    assert_eq!(found.outcome, Outcome::Passed, "{}", found.message);
}

#[tokio::test]
async fn a_pod_that_misses_a_program_says_what_a_pod_sees() {
    let access = Access {
        pod: true,
        ..Access::default()
    };
    let program = model::Exec {
        program: "/opt/none".into(),
        arguments: Vec::new(),
        user: None,
    };
    let found = run(&mut Exec::new(program, &access)).await;
    assert_eq!(found.outcome, Outcome::CouldNotRun);
    assert!(found.message.contains("does not exist") && found.message.contains("`agent.hostPaths`"));
}

#[tokio::test]
async fn a_program_runs_as_the_user_it_is_given_with_its_groups_and_without_any_right() {
    if !geteuid().is_root() {
        eprintln!("skipped: it takes root to become another user");
        return;
    }
    let script = "id -u; id -g; grep -E '^(Uid|Gid|Groups|CapEff|CapPrm)' /proc/self/status";
    let found = run(&mut exec("/bin/sh", &["-c", script], Some("4711"))).await;
    let words: Vec<_> = found.message.split_whitespace().collect();
    let words = words.join(" ");
    assert_eq!(
        words,
        "4711 65534 Uid: 4711 4711 4711 4711 Gid: 65534 65534 65534 65534 Groups: CapPrm: 0000000000000000 CapEff: \
         0000000000000000"
    );
    let found = run(&mut exec("/usr/bin/id", &["-un"], Some("daemon"))).await;
    assert_eq!(
        (found.outcome, found.message.as_str()),
        (Outcome::Passed, "daemon")
    );
    // The agent itself is who it was, and what it started as another user it can end.
    assert!(geteuid().is_root());
    let traces = Traces::new();
    let script = format!("sleep 1000; : {}", traces.path("").display());
    let mut theirs = exec("/bin/sh", &["-c", &script], Some("4711"));
    give_up(&mut theirs, || !traces.processes().is_empty()).await;
    traces.wait_for_none("the other user's program");
}

#[tokio::test]
async fn a_user_that_does_not_exist_or_may_not_be_become_is_said_to_be_so() {
    let found = run(&mut exec("/bin/true", &[], Some("no-such-user"))).await;
    assert_eq!(found.outcome, Outcome::CouldNotRun);
    assert!(
        found.message.starts_with("there is no user no-such-user"),
        "{}",
        found.message
    );
    let rules = Rules {
        security: None,
        pod: true,
    };
    let program = model::Exec {
        program: "/bin/true".into(),
        arguments: Vec::new(),
        user: Some("www-data".into()),
    };
    let sentence = rules.why(&program, Step::User, &io::Error::from_raw_os_error(libc::EPERM));
    assert!(sentence.contains("`agent.capabilities.setUser`"), "{sentence}");
}
