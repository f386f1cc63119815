//! BusyBox from Debian's package, for any processor and without a change to this machine: apt keeps lists of its own for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::arch::Arch;
use super::layer::Tree;
use crate::{process, system};

/// The package; its program is linked statically.
const PACKAGE: &str = "busybox-static";
/// The names under which the image offers it, beside its own. It does what it is called.
pub const NAMES: [&str; 51] = [
    "[",
    "ash",
    "awk",
    "base64",
    "basename",
    "cat",
    "cp",
    "cut",
    "date",
    "df",
    "dirname",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "free",
    "grep",
    "head",
    "hostname",
    "id",
    "ip",
    "kill",
    "ls",
    "md5sum",
    "mkdir",
    "mv",
    "nc",
    "netstat",
    "nslookup",
    "pidof",
    "ping",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "rm",
    "sed",
    "seq",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "tail",
    "test",
    "timeout",
    "tr",
    "true",
    "wc",
    "wget",
];

/// The unpacked package.
pub struct Busybox {
    program: Vec<u8>,
    copyright: Vec<u8>,
    /// The package's version in Debian.
    pub version: String,
    /// Of which sources Debian made it, with their versions: its own, and those of what is linked into it.
    pub sources: String,
}

impl Busybox {
    /// The package in `folder`, fetched first if it is not there.
    pub fn fetch(folder: &Path, arch: Arch) -> Result<Self> {
        let package = match downloaded(folder, arch) {
            Some(package) => package,
            None => download(folder, arch)?,
        };
        let unpacked = folder.join("unpacked");
        let mut unpack = system::command("dpkg-deb");
        process::run(unpack.arg("--extract").arg(&package).arg(&unpacked))?;
        let field = |name: &str| -> Result<String> {
            let mut ask = system::command("dpkg-deb");
            let value = process::output(ask.arg("--field").arg(&package).arg(name))?;
            Ok(value.trim().to_owned())
        };
        let sources = [field("Source")?, field("Built-Using")?].map(|text| text.replace(" (= ", " ("));
        Ok(Self {
            // Debian has moved it once, together with everything in /bin.
            program: read(&unpacked, "bin/busybox").or_else(|_| read(&unpacked, "usr/bin/busybox"))?,
            copyright: read(&unpacked, "usr/share/doc/busybox-static/copyright")?,
            version: field("Version")?,
            sources: sources.join(", "),
        })
    }

    /// The program, for its hash.
    pub fn program(&self) -> &[u8] {
        &self.program
    }

    /// Puts it into an image, with its licence.
    pub fn add_to(&self, tree: &mut Tree) {
        tree.program("bin/busybox", self.program.as_slice());
        for name in NAMES {
            tree.link(&format!("bin/{name}"), "busybox");
        }
        tree.file(
            "usr/share/doc/busybox-static/copyright",
            self.copyright.as_slice(),
        );
    }
}

fn read(unpacked: &Path, path: &str) -> Result<Vec<u8>> {
    fs::read(unpacked.join(path)).with_context(|| format!("the package {PACKAGE} brought no /{path}"))
}

/// The package that an earlier call has left in `folder`.
fn downloaded(folder: &Path, arch: Arch) -> Option<PathBuf> {
    let end = format!("_{}.deb", arch.name());
    let mut files = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()));
    files.find(|file| {
        file.file_name()
            .is_some_and(|name| name.to_string_lossy().ends_with(&end))
    })
}

fn download(folder: &Path, arch: Arch) -> Result<PathBuf> {
    if ["apt-get", "dpkg-deb"]
        .iter()
        .any(|name| system::find_program(name).is_none())
    {
        bail!("the image with tools takes BusyBox from Debian's package {PACKAGE}, and there is no apt here");
    }
    let (lists, cache) = (folder.join("lists"), folder.join("cache"));
    for folder in [lists.join("partial"), cache.join("archives/partial")] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let apt = |arguments: &[&str]| {
        let mut apt = system::command("apt-get");
        apt.current_dir(folder).arg("-qq");
        let folders = [("Dir::State::lists", &lists), ("Dir::Cache", &cache)];
        for (option, folder) in folders {
            apt.arg("-o").arg(format!("{option}={}", folder.display()));
        }
        for option in ["APT::Architecture", "APT::Architectures"] {
            apt.arg("-o").arg(format!("{option}={}", arch.name()));
        }
        // apt's own user may not write here.
        apt.args(["-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"]);
        apt.args(arguments);
        apt
    };
    process::run(&mut apt(&["update"])).context("cannot refresh apt's lists of packages")?;
    process::run(&mut apt(&["download", PACKAGE])).with_context(|| {
        format!(
            "cannot fetch {PACKAGE} for {}: does a source of apt have it?",
            arch.name()
        )
    })?;
    downloaded(folder, arch).with_context(|| format!("apt fetched no {PACKAGE} for {}", arch.name()))
}
