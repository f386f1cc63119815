//! The machine this runs on: who we are, where programs are found, how they are started.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where daemons and network tools live; an ordinary user's `PATH` on Debian leaves these out.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Whether this process has user ID 0.
pub fn is_root() -> bool {
    // The owner of /proc/self is the effective user.
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The first executable called `name` on `PATH` or among the system folders.
pub fn find_program(name: &str) -> Option<PathBuf> {
    search_path(&path())
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

/// A command that finds programs in the system folders too, as do the programs that it starts.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    if let Ok(path) = env::join_paths(search_path(&path())) {
        command.env("PATH", path);
    }
    command
}

/// Whether `file` is a file that somebody may execute.
pub fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn path() -> OsString {
    env::var_os("PATH").unwrap_or_default()
}

fn search_path(path: &OsStr) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = env::split_paths(path).collect();
    for folder in SYSTEM_FOLDERS.map(PathBuf::from) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_found_and_a_name_nobody_uses_is_not() {
        assert!(find_program("sh").is_some());
        assert_eq!(find_program("holdfast-no-such-program"), None);
    }

    #[test]
    fn a_folder_is_not_an_executable() {
        assert!(!is_executable(Path::new("/")));
    }

    #[test]
    fn system_folders_are_searched_last_and_once_whatever_the_path_says() {
        let folders = |path: &str| search_path(OsStr::new(path));
        assert_eq!(
            folders("/bin"),
            ["/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from)
        );
        assert_eq!(
            folders("/sbin:/bin")
                .iter()
                .filter(|folder| folder.ends_with("sbin"))
                .count(),
            3
        );
    }
}
