//! Reads a configuration from disk: one file, or every YAML and JSON file of a folder, in the order of their names.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use holdfast_api::yaml::MAX_BYTES;

/// One file's text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// Why a configuration cannot be read. None of these is an instruction to stop anything.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The path does not exist.
    #[error("{path} does not exist: write the groups there, or name another --config", path = .0.display())]
    Missing(PathBuf),
    /// A folder without files that count.
    #[error(
        "{path} holds no configuration: write files ending in .yaml, .yml or .json there \
         (hidden files are ignored)", path = .0.display()
    )]
    EmptyFolder(PathBuf),
    /// The file is not text.
    #[error("{path} is not UTF-8 text: is it the right file?", path = .0.display())]
    NotText(PathBuf),
    /// The kernel refused.
    #[error("reading {path}: {error}", path = .path.display())]
    Io {
        /// What was read.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

/// Reads `path`, a file or a folder. Subfolders are not descended into.
pub fn read(path: &Path) -> Result<Vec<TextFile>, ReadError> {
    let found = std::fs::metadata(path).map_err(|error| ReadError::new(path, error))?;
    if !found.is_dir() {
        return Ok(vec![read_file(path)?]);
    }
    let files = list(path).map_err(|error| ReadError::new(path, error))?;
    if files.is_empty() {
        return Err(ReadError::EmptyFolder(path.to_owned()));
    }
    files.iter().map(|file| read_file(file)).collect()
}

/// Whether a file of this name in a configuration folder counts.
pub fn counts(name: &OsStr) -> bool {
    let hidden = name.as_encoded_bytes().starts_with(b".");
    let extension = Path::new(name).extension().and_then(OsStr::to_str);
    !hidden && matches!(extension, Some("yaml" | "yml" | "json"))
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // A dangling link stays in the list, to be reported when it is read.
        let is_folder = std::fs::metadata(entry.path()).is_ok_and(|found| found.is_dir());
        if counts(&entry.file_name()) && !is_folder {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Opens a file that can be read without waiting for anybody: a pipe or a device would hold up the whole agent.
pub fn open(path: &Path) -> io::Result<File> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

fn read_file(path: &Path) -> Result<TextFile, ReadError> {
    let mut bytes = Vec::new();
    // One byte above the limit is enough for the reader of the text to refuse it.
    let limit = MAX_BYTES as u64 + 1;
    open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| ReadError::new(path, error))?;
    let text = String::from_utf8(bytes).map_err(|_| ReadError::NotText(path.to_owned()))?;
    Ok(TextFile {
        path: path.to_owned(),
        text,
    })
}

impl ReadError {
    fn new(path: &Path, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing(path.to_owned()),
            _ => Self::Io {
                path: path.to_owned(),
                error,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let files = read(path).unwrap();
        files
            .iter()
            .map(|file| file.path.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_names_without_hidden_backup_and_other_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "b.yaml",
            "a.yml",
            "c.json",
            ".hidden.yaml",
            "a.yml~",
            "b.yaml.bak",
            "#b.yaml#",
            "notes.txt",
        ] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        fs::create_dir(folder.path().join("folder.yaml")).unwrap();
        assert_eq!(names(folder.path()), ["a.yml", "b.yaml", "c.json"]);
    }

    #[test]
    fn a_mounted_config_map_is_read_once_through_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("..2026_03_14");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("groups.yaml"), "a: 1").unwrap();
        symlink("..2026_03_14", folder.path().join("..data")).unwrap();
        symlink("..data/groups.yaml", folder.path().join("groups.yaml")).unwrap();
        let files = read(folder.path()).unwrap();
        assert_eq!(
            files,
            [TextFile {
                path: folder.path().join("groups.yaml"),
                text: "a: 1".to_owned()
            }]
        );
    }

    #[test]
    fn one_file_is_read_whatever_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("groups.conf");
        fs::write(&path, "a: 1").unwrap();
        assert_eq!(names(&path), ["groups.conf"]);
    }

    #[test]
    fn what_is_not_there_or_not_text_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let sentence = |path: &Path| read(path).unwrap_err().to_string();
        assert!(sentence(folder.path()).contains("holds no configuration"));
        assert!(sentence(&folder.path().join("missing")).contains("does not exist"));
        symlink("nowhere", folder.path().join("dangling.yaml")).unwrap();
        assert!(sentence(folder.path()).contains("dangling.yaml does not exist"));
        fs::remove_file(folder.path().join("dangling.yaml")).unwrap();
        fs::write(folder.path().join("binary.yaml"), [0xff, 0xfe]).unwrap();
        assert!(sentence(folder.path()).contains("not UTF-8"));
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("a.yaml");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let sentence = read(&pipe).unwrap_err().to_string();
        assert!(sentence.contains("not a regular file"), "{sentence}");
    }
}
