//! A folder tree as an image's layer: the same bytes whenever, wherever and by whomever it is packed.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// The gzip header's word for "some operating system".
const UNKNOWN_SYSTEM: u8 = 255;

/// Files below a root, by path. Folders above a file are there by themselves.
#[derive(Default)]
pub struct Tree(BTreeMap<String, Node>);

enum Node {
    Folder,
    File { content: Vec<u8>, mode: u32 },
    Link { to: String },
}

impl Tree {
    /// Adds a file for everybody to read, at a path without a leading slash.
    pub fn file(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.insert(
            path,
            Node::File {
                content: content.into(),
                mode: 0o644,
            },
        );
    }

    /// Adds a file for everybody to run.
    pub fn program(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.insert(
            path,
            Node::File {
                content: content.into(),
                mode: 0o755,
            },
        );
    }

    /// Adds a symbolic link; `to` is relative to its folder.
    pub fn link(&mut self, path: &str, to: &str) {
        self.insert(path, Node::Link { to: to.to_owned() });
    }

    fn insert(&mut self, path: &str, node: Node) {
        for (slash, _) in path.match_indices('/') {
            self.0.entry(path[..slash].to_owned()).or_insert(Node::Folder);
        }
        self.0.insert(path.to_owned(), node);
    }

    /// All of it as one tar archive, everything owned by root and last changed at `time` (seconds since 1970).
    pub fn tar(&self, time: u64) -> Result<Vec<u8>> {
        let mut archive = Builder::new(Vec::new());
        for (path, node) in &self.0 {
            append(&mut archive, path, node, time).with_context(|| format!("cannot pack {path}"))?;
        }
        archive.into_inner().context("cannot end the archive")
    }

    /// All of it as a layer.
    pub fn layer(&self, time: u64) -> Result<Layer> {
        let tar = self.tar(time)?;
        let mut packer = GzBuilder::new()
            .operating_system(UNKNOWN_SYSTEM)
            .write(Vec::new(), Compression::best());
        packer.write_all(&tar).context("cannot compress a layer")?;
        Ok(Layer {
            unpacked_digest: digest(&tar),
            unpacked_size: tar.len() as u64,
            gzip: packer.finish().context("cannot compress a layer")?,
        })
    }
}

/// What a layer is to those who keep it.
pub struct Layer {
    /// By what the image's configuration knows it.
    pub unpacked_digest: String,
    /// How many bytes it has on a node.
    pub unpacked_size: u64,
    /// What is stored and sent.
    pub gzip: Vec<u8>,
}

/// `sha256:` and the hash in hexadecimal, as image formats write it.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hexadecimal_sha256(bytes))
}

/// The hash alone.
pub fn hexadecimal_sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn append(archive: &mut Builder<Vec<u8>>, path: &str, node: &Node, time: u64) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    match node {
        Node::Folder => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(0o755);
            archive.append_data(&mut header, format!("{path}/"), io::empty())
        }
        Node::File { content, mode } => {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(*mode);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, content.as_slice())
        }
        Node::Link { to } => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            archive.append_link(&mut header, path, to)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn tree(order: &[usize]) -> Tree {
        let mut tree = Tree::default();
        for step in order {
            match step {
                0 => tree.program("usr/local/bin/agent", "\x7fELF"),
                1 => tree.file("etc/passwd", "root:x:0:0\n"),
                _ => tree.link("bin/sh", "busybox"),
            }
        }
        tree
    }

    #[test]
    fn a_layer_built_twice_has_the_same_bytes_in_whatever_order_its_files_came() {
        let (first, second) = (
            tree(&[0, 1, 2]).layer(1_700_000_000),
            tree(&[2, 1, 0]).layer(1_700_000_000),
        );
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(first.unpacked_digest, second.unpacked_digest);
        assert_eq!(digest(&first.gzip), digest(&second.gzip));
    }

    #[test]
    fn a_layer_holds_sorted_entries_of_root_at_the_given_time_and_nothing_about_who_packed_it() {
        let layer = tree(&[0, 1, 2]).layer(1_700_000_000).unwrap();
        assert_eq!(
            &layer.gzip[3..10],
            [0, 0, 0, 0, 0, 2, 255],
            "flags, time, level, system"
        );

        let mut tar = Vec::new();
        GzDecoder::new(layer.gzip.as_slice())
            .read_to_end(&mut tar)
            .unwrap();
        assert_eq!(
            (digest(&tar), tar.len() as u64),
            (layer.unpacked_digest, layer.unpacked_size)
        );

        let mut seen = Vec::new();
        for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            assert_eq!(header.mtime().unwrap(), 1_700_000_000);
            let path = entry.path().unwrap().display().to_string();
            seen.push((path, header.entry_type(), header.mode().unwrap()));
        }
        let folder = |path: &str| (path.to_owned(), EntryType::Directory, 0o755);
        assert_eq!(
            seen,
            [
                folder("bin/"),
                ("bin/sh".to_owned(), EntryType::Symlink, 0o777),
                folder("etc/"),
                ("etc/passwd".to_owned(), EntryType::Regular, 0o644),
                folder("usr/"),
                folder("usr/local/"),
                folder("usr/local/bin/"),
                ("usr/local/bin/agent".to_owned(), EntryType::Regular, 0o755),
            ]
        );
    }

    #[test]
    fn another_content_another_mode_and_another_time_are_other_layers() {
        let of = |tree: Tree, time| tree.layer(time).unwrap().unpacked_digest;
        let mut other_content = tree(&[0, 1]);
        other_content.file("etc/passwd", "root:x:0:1\n");
        let mut other_mode = tree(&[0, 1]);
        other_mode.program("etc/passwd", "root:x:0:0\n");
        let digests = [
            of(tree(&[0, 1]), 7),
            of(tree(&[0, 1]), 8),
            of(other_content, 7),
            of(other_mode, 7),
        ];
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest), "{digests:?}");
        }
    }
}
