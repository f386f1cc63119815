//! Container images out of static programs: one layer with one file, and the archive that `ctr images import` reads.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    command,
    error::{Doing as _, Error, Result},
};

/// Where an image has its program.
const PROGRAMS: &str = "usr/local/bin";

/// An image to be made.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// Its name with its tag.
    pub name: String,
    /// The static program that it holds, in /usr/local/bin.
    pub program: PathBuf,
}

/// Writes `images` to the archive `to`, in a layout that Docker and containerd know.
pub(super) fn write_archive(images: &[Image], to: &Path) -> Result<()> {
    let folder = to.with_extension("folder");
    let mut manifest = Vec::new();
    for (number, image) in images.iter().enumerate() {
        let layer = format!("{number}.tar");
        let digest = write_layer(image, &folder, &layer)?;
        let config = format!("{number}.json");
        let path = folder.join(&config);
        fs::write(&path, configuration(image, &digest)?).doing(|| format!("write {}", path.display()))?;
        manifest.push(json!({"Config": config, "RepoTags": [image.name], "Layers": [layer]}));
    }
    let path = folder.join("manifest.json");
    fs::write(&path, json!(manifest).to_string()).doing(|| format!("write {}", path.display()))?;
    let (from, to) = (folder.display().to_string(), to.display().to_string());
    command::run("tar", &["--create", "--file", &to, "--directory", &from, "."])?;
    fs::remove_dir_all(&folder).doing(|| format!("delete {from}"))
}

/// Writes the image's layer into `folder` and returns its SHA-256, as `sha256sum` prints it.
fn write_layer(image: &Image, folder: &Path, layer: &str) -> Result<String> {
    let root = folder.join("root");
    let programs = root.join(PROGRAMS);
    fs::create_dir_all(&programs).doing(|| format!("create {}", programs.display()))?;
    let target = programs.join(program_name(image)?);
    fs::copy(&image.program, &target)
        .doing(|| format!("copy {} to {}", image.program.display(), target.display()))?;
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755))
        .doing(|| format!("make {} executable", target.display()))?;
    let (root, layer) = (
        root.display().to_string(),
        folder.join(layer).display().to_string(),
    );
    let arguments = [
        "--create",
        "--file",
        &layer,
        "--owner=0",
        "--group=0",
        "--directory",
        &root,
        ".",
    ];
    command::run("tar", &arguments)?;
    fs::remove_dir_all(&root).doing(|| format!("delete {root}"))?;
    let sum = command::run("sha256sum", &[&layer])?;
    Ok(sum.split_whitespace().next().unwrap_or_default().to_owned())
}

fn configuration(image: &Image, layer: &str) -> Result<String> {
    let configuration = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Entrypoint": [format!("/{PROGRAMS}/{}", program_name(image)?)],
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
        "history": [],
    });
    Ok(configuration.to_string())
}

fn program_name(image: &Image) -> Result<String> {
    let name = image
        .program
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.ok_or_else(|| Error::Invalid(format!("{} names no program", image.program.display())))
}

/// This machine's processor, as images name it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
