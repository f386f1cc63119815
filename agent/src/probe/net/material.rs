//! Secrets and certificates where they are: at hand, or in files that are read again when they have changed.

use std::fs::Metadata;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use holdfast_api::model::probe::Material;

use super::failure::Failure;
use crate::source::files;

/// Far above a bundle of all the world's authorities.
const MAX_BYTES: u64 = 4 << 20;

/// What tells a file that was changed or replaced from the one it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl From<&Metadata> for Fingerprint {
    fn from(found: &Metadata) -> Self {
        Self {
            inode: found.ino(),
            size: found.size(),
            changed: (found.mtime(), found.mtime_nsec()),
        }
    }
}

/// The fingerprint of what `material` is in; `None` for what is at hand, and for a file that is not there.
pub fn fingerprint(material: &Material) -> Option<Fingerprint> {
    match material {
        Material::File(path) => at(Path::new(path)),
        Material::Bytes(_) => None,
    }
}

/// The fingerprint of the file at `path`, if there is one.
pub fn at(path: &Path) -> Option<Fingerprint> {
    std::fs::metadata(path).ok().as_ref().map(Fingerprint::from)
}

/// The bytes of `material`, which is `what`. May wait for a disk.
pub fn read(what: &str, material: &Material) -> Result<Vec<u8>, Failure> {
    match material {
        Material::File(path) => read_file(what, Path::new(path)),
        Material::Bytes(secret) => Ok(secret.0.to_vec()),
    }
}

/// The bytes of the file at `path`, which is `what`. May wait for a disk.
pub fn read_file(what: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let outcome = files::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    match outcome {
        Ok(_) => Ok(bytes),
        Err(error) => Err(unreadable(what, path, &error)),
    }
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> Failure {
    // What there is to be said without the number.
    let reason = Failure::could_not_run(match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    });
    reason.during(&format!("reading {what} {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use holdfast_api::model::probe::Secret;
    use holdfast_health::Outcome;

    use super::*;

    #[test]
    fn a_file_that_is_changed_or_replaced_has_another_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert_eq!(at(&path), None);
        fs::write(&path, "one").unwrap();
        let first = at(&path).unwrap();
        assert_eq!(at(&path), Some(first));
        fs::write(&path, "three").unwrap();
        assert_ne!(at(&path), Some(first));
        fs::write(&path, "one").unwrap();
        let next = folder.path().join("next");
        fs::write(&next, "two").unwrap();
        let before = at(&path);
        fs::rename(&next, &path).unwrap();
        assert_ne!(at(&path), before);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_and_could_not_be_run() {
        let failure = read(
            "the CA's certificates",
            &Material::File("/nonexistent/ca.pem".into()),
        )
        .unwrap_err();
        assert_eq!(failure.outcome, Outcome::CouldNotRun);
        assert_eq!(
            failure.message,
            "reading the CA's certificates /nonexistent/ca.pem: no such file or directory"
        );
        let at_hand = Material::Bytes(Secret(b"pem".as_slice().into()));
        assert_eq!(read("it", &at_hand).unwrap(), b"pem");
        assert_eq!(fingerprint(&at_hand), None);
    }
}
