//! Replaces a file so that every reader, and the next boot, sees the old one or the new one.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path`, readable by its owner alone, and returns when they are on disk.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, &beside(path), bytes)
}

/// Removes what was written to `path`, and what a killed writer left beside it.
pub fn remove(path: &Path) -> io::Result<()> {
    remove_file(path)?;
    remove_file(&beside(path))
}

/// The same in a folder whose every file is read by somebody: what is not complete has a name that begins with a dot, and is
/// gone when it cannot be completed.
pub fn write_hidden(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    let temporary = path.with_file_name(hidden);
    replace(path, &temporary, bytes).inspect_err(|_| drop(fs::remove_file(&temporary)))
}

/// Where a file is until it is complete.
fn beside(path: &Path) -> PathBuf {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    temporary.into()
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn replace(path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a killed agent left, and whatever else goes by that name: its mode and its target are not ours.
    remove_file(temporary)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Has a thread of its own do `work` on a disk: one that hangs must not hang the main loop with it.
pub async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Makes sure that a folder exists, open to its owner alone if it is new.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn what_a_killed_writer_left_does_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.json");
        let leftover = folder.path().join("node.json.new");
        write(&path, b"first").unwrap();
        fs::write(&leftover, "half of the sec").unwrap();
        fs::set_permissions(&leftover, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(
            fs::read(&path).unwrap(),
            b"first",
            "a reader still sees the old one"
        );
        write(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!leftover.exists());
    }

    #[test]
    fn what_is_removed_is_gone_with_what_a_killed_writer_left_and_need_not_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.json");
        write(&path, b"whole").unwrap();
        fs::write(folder.path().join("node.json.new"), "half of").unwrap();
        remove(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        remove(&path).unwrap();
        remove(&folder.path().join("nowhere/node.json")).unwrap();
        fs::create_dir(&path).unwrap();
        remove(&path).unwrap_err();
    }

    #[test]
    fn what_cannot_be_completed_is_hidden_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pod.yaml");
        let hidden = folder.path().join(".pod.yaml.new");
        // What a killed writer left.
        fs::write(&hidden, "half of").unwrap();
        write_hidden(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert!(!hidden.exists());
        let in_its_way = folder.path().join("folder");
        fs::create_dir(&in_its_way).unwrap();
        write_hidden(&in_its_way, b"whole").unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_link_in_its_way_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("node.json"), folder.path().join("victim"));
        fs::write(&victim, "untouched").unwrap();
        symlink(&victim, folder.path().join("node.json.new")).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"untouched");
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
