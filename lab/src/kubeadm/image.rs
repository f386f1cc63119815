//! Container images out of programs of this machine: one layer, and the archive that `ctr images import` reads.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    command,
    error::{Doing as _, Error, Result},
};

/// The variable that names the folder with Holdfast's own images.
const HOLDFAST_IMAGES: &str = "HOLDFAST_IMAGES";
/// What Debian's nginx knows of streams is in a module.
const NGINX_STREAMS: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
/// The command `nginx` in an image, with this module.
const NGINX_WITH_STREAMS: &str =
    "#!/bin/sh\nexec /usr/sbin/nginx -g 'load_module /usr/lib/nginx/modules/ngx_stream_module.so;' \"$@\"\n";
/// Where an image of a static program has it.
const PROGRAMS: &str = "/usr/local/bin";

/// An image to be made.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// Its name with its tag.
    name: String,
    /// What it holds.
    files: Vec<PlacedFile>,
    /// What its containers run, and how: the part `config` of an image's configuration.
    running: Value,
}

/// A file and its place in an image.
#[derive(Clone, PartialEq, Eq, Debug)]
struct PlacedFile {
    from: Origin,
    to: PathBuf,
}

/// Where a file comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Origin {
    /// It is one of this machine's.
    Machine(PathBuf),
    /// It is made up here.
    Text(&'static str),
}

impl PlacedFile {
    /// A file of this machine.
    fn copy(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Self {
        Self {
            from: Origin::Machine(from.into()),
            to: to.into(),
        }
    }
}

impl Image {
    /// An image of a program that needs nothing else.
    pub(super) fn of_static_program(name: String, program: PathBuf) -> Result<Self> {
        let file_name = program
            .file_name()
            .ok_or_else(|| Error::Invalid(format!("{} names no program", program.display())))?;
        let to = Path::new(PROGRAMS).join(file_name);
        Ok(Self {
            name,
            running: json!({"Entrypoint": [to]}),
            files: vec![PlacedFile::copy(program, to)],
        })
    }

    /// An image of this machine's HAProxy, which is run as in the one that its project publishes: by a user of its own, as a
    /// master and a worker, and told to let its connections end when it is to stop.
    fn of_haproxy(name: &str) -> Result<Self> {
        let program = installed("haproxy", "haproxy")?;
        let mut files = libraries_of(&[&program])?;
        files.push(PlacedFile::copy(program, "/usr/local/sbin/haproxy"));
        let command = ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"];
        Ok(Self {
            name: name.to_owned(),
            files,
            running: json!({"Cmd": command, "User": "99:99", "StopSignal": "SIGUSR1"}),
        })
    }

    /// An image of this machine's nginx, which knows streams as the one that its project publishes does, and is told to let its
    /// connections end when it is to stop.
    fn of_nginx(name: &str) -> Result<Self> {
        let (program, shell) = (installed("nginx", "nginx-light")?, installed("sh", "dash")?);
        let module = PathBuf::from(NGINX_STREAMS);
        if !module.is_file() {
            return Err(Error::MissingTool {
                tool: NGINX_STREAMS.to_owned(),
                install: "apt-get install -y libnginx-mod-stream".to_owned(),
            });
        }
        let mut files = libraries_of(&[&program, &shell, &module])?;
        files.extend([
            PlacedFile::copy(program, "/usr/sbin/nginx"),
            PlacedFile::copy(shell, "/bin/sh"),
            PlacedFile::copy(module, NGINX_STREAMS),
            PlacedFile {
                from: Origin::Text(NGINX_WITH_STREAMS),
                to: "/usr/local/sbin/nginx".into(),
            },
        ]);
        Ok(Self {
            name: name.to_owned(),
            files,
            running: json!({"Cmd": ["nginx"], "StopSignal": "SIGQUIT"}),
        })
    }
}

/// A program of this machine, which a package brings.
fn installed(tool: &str, package: &str) -> Result<PathBuf> {
    command::find_tool(tool).ok_or_else(|| Error::MissingTool {
        tool: tool.to_owned(),
        install: format!("apt-get install -y {package}"),
    })
}

/// Writes the archive `to` with an image called `name` of this machine's HAProxy.
///
/// # Errors
/// [`Error::MissingTool`] when HAProxy is not installed.
pub fn write_haproxy(name: &str, to: &Path) -> Result<()> {
    write_archive(&[Image::of_haproxy(name)?], to)
}

/// Writes the archive `to` with an image called `name` of this machine's nginx, with streams.
///
/// # Errors
/// [`Error::MissingTool`] when nginx or its module is not installed.
pub fn write_nginx(name: &str, to: &Path) -> Result<()> {
    write_archive(&[Image::of_nginx(name)?], to)
}

/// The libraries that these programs need, in the places where they look for them.
fn libraries_of(programs: &[&Path]) -> Result<Vec<PlacedFile>> {
    let mut files = Vec::new();
    for program in programs {
        let linked = command::run("ldd", &[&program.display().to_string()])?;
        for path in libraries(&linked) {
            let file = PlacedFile::copy(path, path);
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

/// The files that `ldd` names: libraries that were found, and the loader itself.
fn libraries(linked: &str) -> impl Iterator<Item = &str> {
    linked.lines().filter_map(|line| {
        let path = line.split_once("=> ").map_or(line, |(_, path)| path);
        path.split_whitespace()
            .next()
            .filter(|path| path.starts_with('/'))
    })
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
        fs::write(&path, configuration(image, &digest)).doing(|| format!("write {}", path.display()))?;
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
    for PlacedFile { from, to } in &image.files {
        let target = root.join(to.strip_prefix("/").unwrap_or(to));
        let place = target.parent().unwrap_or(&root);
        fs::create_dir_all(place).doing(|| format!("create {}", place.display()))?;
        match from {
            Origin::Machine(from) => fs::copy(from, &target)
                .map(drop)
                .doing(|| format!("copy {} to {}", from.display(), target.display()))?,
            Origin::Text(text) => {
                fs::write(&target, text).doing(|| format!("write {}", target.display()))?;
            }
        }
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755))
            .doing(|| format!("make {} executable", target.display()))?;
    }
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

fn configuration(image: &Image, layer: &str) -> String {
    let mut running = image.running.clone();
    running["Env"] = json!(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
    json!({
        "architecture": architecture(),
        "os": "linux",
        "config": running,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
        "history": [],
    })
    .to_string()
}

/// The folder with the archives of Holdfast's own images, as `cargo xtask images` writes them.
///
/// # Errors
/// [`Error::Invalid`] when `HOLDFAST_IMAGES` names none.
pub fn holdfast_images() -> Result<PathBuf> {
    env::var_os(HOLDFAST_IMAGES).map(PathBuf::from).ok_or_else(|| {
        Error::Invalid(format!(
            "{HOLDFAST_IMAGES} names no folder with Holdfast's images: run this with `make e2e`"
        ))
    })
}

/// This machine's processor, as images name it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_what_was_found_and_the_loader() {
        let linked = "\tlinux-vdso.so.1 (0x00007f)\n\
                      \tlibssl.so.3 => /lib/x86_64-linux-gnu/libssl.so.3 (0x00007f)\n\
                      \tlibgone.so => not found\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let found: Vec<&str> = libraries(linked).collect();
        assert_eq!(
            found,
            ["/lib/x86_64-linux-gnu/libssl.so.3", "/lib64/ld-linux-x86-64.so.2"]
        );
        assert_eq!(libraries("\tnot a dynamic executable\n").count(), 0);
    }

    #[test]
    fn an_image_runs_its_program() -> Result<()> {
        let image = Image::of_static_program("pause:1".to_owned(), "/cache/pause".into())?;
        let written: Value = serde_json::from_str(&configuration(&image, "abc"))
            .map_err(|error| Error::Invalid(error.to_string()))?;
        assert_eq!(written["config"]["Entrypoint"], json!(["/usr/local/bin/pause"]));
        assert_eq!(written["rootfs"]["diff_ids"], json!(["sha256:abc"]));
        Ok(())
    }
}
