//! Reads a password file: its first line, without whatever ends it.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Far above the longest password of any authentication type.
const MAX_BYTES: u64 = 4096;

/// A password and what is to be said about its file.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    /// The password.
    pub bytes: Vec<u8>,
    /// That others can read it.
    pub warning: Option<String>,
}

/// Reads the password at `path`, or says in a sentence why that is not possible.
pub fn read(path: &Path) -> Result<Password, String> {
    let shown = path.display();
    let refused = |error: std::io::Error| format!("reading the password file {shown}: {error}");
    let file = super::files::open(path).map_err(refused)?;
    let found = file.metadata().map_err(refused)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(refused)?;
    let bytes = first_line(&bytes);
    if bytes.is_empty() {
        return Err(format!(
            "the password file {shown} is empty: write the password in its first line"
        ));
    }
    let mode = found.permissions().mode() & 0o777;
    let warning = (mode & 0o077 != 0).then(|| {
        format!("the password file {shown} is open to other users (mode {mode:04o}): run `chmod 600 {shown}`")
    });
    Ok(Password { bytes, warning })
}

/// The first line of `bytes`, without whatever ends it.
pub fn first_line(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    bytes[..end.unwrap_or(bytes.len())].to_vec()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_line_is_the_password_and_an_open_file_is_warned_about() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "secret one\r\nsecond line\n").unwrap();
        for (mode, warned) in [(0o600, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let password = read(&path).unwrap();
            assert_eq!(password.bytes, b"secret one");
            assert_eq!(password.warning.is_some(), warned, "{mode:o}");
        }
    }

    #[test]
    fn an_empty_or_missing_file_is_no_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        assert!(read(&path).err().unwrap().contains("No such file"));
        fs::write(&path, "\n").unwrap();
        assert!(read(&path).err().unwrap().contains("is empty"));
    }
}
