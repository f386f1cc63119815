use core::time::Duration;
use std::os::unix::fs::symlink;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(50);

/// A folder, and a check of a file in it.
struct Case {
    folder: TempDir,
    file: File,
}

impl Case {
    fn new(name: &str, adds: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name).display().to_string();
        Self {
            folder,
            file: File::new(model::File { path, adds }),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    async fn run(&mut self) -> Run {
        timeout(PATIENCE, self.file.run(&Scene::example()))
            .await
            .expect("it answers")
    }

    async fn adds(&mut self) -> Option<i16> {
        let run = self.run().await;
        assert_eq!(run.outcome.is_pass(), run.adds.is_some(), "{run:?}");
        run.adds
    }

    /// Waits until a change is noticed after `change`, which is not before.
    async fn notices(&mut self, what: &str, change: impl FnOnce(&Self)) {
        assert!(
            timeout(QUIET, self.file.changed()).await.is_err(),
            "before: {what}"
        );
        change(self);
        timeout(PATIENCE, self.file.changed())
            .await
            .unwrap_or_else(|_| panic!("not noticed: {what}"));
    }
}

#[test]
fn a_number_has_a_sign_perhaps_and_space_around_it_and_nothing_else() {
    for (text, expected) in [
        ("0", 0),
        ("-50\n", -50),
        ("+7", 7),
        ("  253\r\n\n", 253),
        ("-253", -253),
        ("007", 7),
    ] {
        assert_eq!(number(text.as_bytes()), Ok(expected), "{text:?}");
    }
    for (text, words) in [
        ("", "is empty"),
        (" \n", "is empty"),
        ("254", "holds 254, which is not between -253 and 253"),
        ("-254", "holds -254, which is not between"),
        ("99999999999999999999", "holds 99999999999999999999, which is not"),
        (
            "100000000000000000000000",
            "holds 10000000000000000000…, which is not",
        ),
        ("1 2", "holds `1 2`, which is no number"),
        ("5\n5", "holds `55`, which is no number"),
        ("1.5", "no number"),
        ("- 5", "no number"),
        ("--5", "no number"),
        ("+", "no number"),
        ("0x10", "no number"),
        ("٣", "no number"),
        (
            "\u{1b}[31mred and more than twenty",
            "holds `[31mred and more tha…`, which is no number",
        ),
    ] {
        let why = number(text.as_bytes()).expect_err(text);
        assert!(why.contains(words), "{text:?}: {why}");
    }
    assert!(number(b"\xff\xfe").is_err());
}

#[tokio::test]
async fn what_follows_a_number_far_behind_is_not_overlooked() {
    let mut case = Case::new("weight", true);
    case.write("weight", &format!("5{}", " ".repeat(255)));
    assert_eq!(case.adds().await, Some(5));
    case.write("weight", &format!("5{}-150", " ".repeat(255)));
    let run = case.run().await;
    assert_eq!(run.outcome, Outcome::Failed);
    assert!(run.message.contains("longer than 256 bytes"), "{}", run.message);
}

#[tokio::test]
async fn a_file_passes_while_it_exists() {
    let mut case = Case::new("flag", false);
    let run = case.run().await;
    assert_eq!(run.outcome, Outcome::Failed);
    assert!(run.message.ends_with("/flag does not exist"), "{}", run.message);
    case.write("flag", "whatever");
    assert_eq!(case.run().await, Run::new(Outcome::Passed, ""));
    // A link that leads nowhere is nothing.
    fs::remove_file(case.path("flag")).unwrap();
    symlink("nowhere", case.path("flag")).unwrap();
    assert_eq!(case.run().await.outcome, Outcome::Failed);
}

#[tokio::test]
async fn the_number_in_a_file_is_read_however_it_comes_there() {
    let mut case = Case::new("link/weight", true);
    assert_eq!(case.adds().await, None);
    for version in ["one", "two"] {
        fs::create_dir(case.path(version)).unwrap();
    }
    case.write("one/weight", "-10\n");
    case.write("two/weight", "20\n");
    symlink("one", case.path("link")).unwrap();
    assert_eq!(case.adds().await, Some(-10));
    // As Kubernetes replaces the files of a ConfigMap: another link is renamed over the first.
    symlink("two", case.path("new")).unwrap();
    fs::rename(case.path("new"), case.path("link")).unwrap();
    assert_eq!(case.adds().await, Some(20));
    case.write("two/other", "30");
    fs::rename(case.path("two/other"), case.path("two/weight")).unwrap();
    assert_eq!(case.adds().await, Some(30));
    fs::remove_dir_all(case.path("two")).unwrap();
    assert_eq!(case.adds().await, None);
}

#[tokio::test]
async fn a_change_is_noticed_at_once_on_whatever_way() {
    let mut case = Case::new("a/b/weight", true);
    assert_eq!(case.adds().await, None);
    case.notices("a folder that was missing", |case| {
        fs::create_dir(case.path("a")).unwrap();
    })
    .await;
    assert_eq!(case.adds().await, None);
    case.notices("the next one", |case| fs::create_dir(case.path("a/b")).unwrap())
        .await;
    assert_eq!(case.adds().await, None);
    case.notices("the file", |case| case.write("a/b/weight", "1"))
        .await;
    assert_eq!(case.adds().await, Some(1));
    case.notices("written in place", |case| case.write("a/b/weight", "2"))
        .await;
    assert_eq!(case.adds().await, Some(2));
    case.notices("renamed over", |case| {
        case.write("a/b/new", "3");
        fs::rename(case.path("a/b/new"), case.path("a/b/weight")).unwrap();
    })
    .await;
    assert_eq!(case.adds().await, Some(3));
    case.notices("a folder on the way becomes a link", |case| {
        fs::rename(case.path("a/b"), case.path("a/elsewhere")).unwrap();
        symlink("elsewhere", case.path("a/b")).unwrap();
    })
    .await;
    assert_eq!(case.adds().await, Some(3));
    case.notices("the file behind the link", |case| {
        case.write("a/elsewhere/weight", "4");
    })
    .await;
    assert_eq!(case.adds().await, Some(4));
    case.notices("deleted", |case| {
        fs::remove_file(case.path("a/b/weight")).unwrap();
    })
    .await;
    assert_eq!(case.adds().await, None);
}

#[tokio::test]
async fn its_neighbors_wake_nobody() {
    let mut case = Case::new("weight", true);
    case.write("weight", "1");
    assert_eq!(case.adds().await, Some(1));
    for neighbor in ["weight2", "other"] {
        case.write(neighbor, "2");
        fs::remove_file(case.path(neighbor)).unwrap();
    }
    assert!(timeout(QUIET, case.file.changed()).await.is_err());
    // Reading the file itself is no change either.
    assert_eq!(case.adds().await, Some(1));
    assert!(timeout(QUIET, case.file.changed()).await.is_err());
}

#[tokio::test]
async fn what_could_keep_its_reader_waiting_is_not_read() {
    let mut case = Case::new("pipe", true);
    mkfifo(&case.path("pipe"), Mode::S_IRWXU).unwrap();
    let run = case.run().await;
    assert_eq!(run.outcome, Outcome::Failed);
    assert!(
        run.message.ends_with("/pipe is no regular file"),
        "{}",
        run.message
    );
    let mut case = Case::new(".", true);
    assert!(case.run().await.message.ends_with("is no regular file"));
}
