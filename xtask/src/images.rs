//! Container images without a container engine: static programs, packed into archives that engines and registry tools read.
//! The same commit gives the same bytes, in whatever folder it is built.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;

use crate::workspace::Workspace;
use crate::{deps, process, system};

mod arch;
mod archive;
mod busybox;
mod crates;
#[cfg(test)]
mod dockerfile;
mod elf;
mod layer;
mod linked;
mod program;
mod recipe;
mod sbom;

pub use arch::Arch;
use archive::Image;
use busybox::Busybox;
use crates::Crates;
use layer::{Layer, Tree};
use program::Programs;
use recipe::{AGENT, AGENT_WITH_TOOLS, OPERATOR, Origin, Recipe, megabytes};

/// Users that a probe may run as and a person may name.
const PASSWD: &str = "root:x:0:0:root:/:/sbin/nologin\n\
                      nobody:x:65534:65534:nobody:/:/sbin/nologin\n\
                      nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n";
const LICENSE: &str = include_str!("../../LICENSE");

/// Writes all images for `arch` to images/ in the build folder; `url` is where the sources are published.
pub fn run(workspace: &Workspace, arch: Arch, url: Option<String>) -> Result<()> {
    let maker = Maker::new(workspace, arch, origin(workspace, url)?)?;
    let agent = maker.operator_and_agent()?;
    maker.image(&AGENT_WITH_TOOLS, &[agent, maker.tools()?])
}

/// Writes the images of operator and agent alone, tagged `tag`, and returns the folder that they are in.
pub fn tagged(workspace: &Workspace, arch: Arch, tag: &str) -> Result<PathBuf> {
    let origin = Origin {
        version: tag.to_owned(),
        ..origin(workspace, None)?
    };
    let maker = Maker::new(workspace, arch, origin)?;
    maker.operator_and_agent()?;
    Ok(maker.folder)
}

/// What every image of one call has in common.
struct Maker<'w> {
    workspace: &'w Workspace,
    arch: Arch,
    /// Where the archives go.
    folder: PathBuf,
    origin: Origin,
    crates: Crates,
}

impl<'w> Maker<'w> {
    fn new(workspace: &'w Workspace, arch: Arch, origin: Origin) -> Result<Self> {
        deps::ensure(&[arch.purpose()])?;
        let folder = workspace.build_folder().join("images");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self {
            workspace,
            arch,
            folder,
            origin,
            crates: Crates::of(workspace, arch)?,
        })
    }

    /// Writes both images, and returns the agent's layer.
    fn operator_and_agent(&self) -> Result<Layer> {
        let names = [OPERATOR.name, AGENT.name];
        let programs = program::build(self.workspace, &names, self.arch, &self.crates)?;
        self.image(&OPERATOR, &[self.layer(&OPERATOR, &programs)?])?;
        let agent = [self.layer(&AGENT, &programs)?];
        self.image(&AGENT, &agent)?;
        let [agent] = agent;
        Ok(agent)
    }

    /// The layer with a recipe's program, and its bill of materials beside the archive too.
    fn layer(&self, recipe: &Recipe, programs: &Programs) -> Result<Layer> {
        let program = programs.program(recipe.name)?;
        let rust = rust_version(self.workspace)?;
        let time = self.origin.time;
        let bill = sbom::of_program(recipe.name, &program.crates, &self.crates, self.arch, &rust, time)?;
        let beside = format!(
            "{}-{}-{}.cdx.json",
            recipe.name,
            self.origin.version,
            self.arch.name()
        );
        write(&self.folder.join(beside), &bill)?;

        let mut tree = Tree::default();
        tree.file("etc/passwd", PASSWD);
        tree.file("etc/group", GROUP);
        tree.program(recipe.entrypoint.trim_start_matches('/'), program.bytes);
        tree.file(&format!("usr/share/doc/{}/LICENSE", recipe.name), LICENSE);
        tree.file(&format!("usr/share/doc/{}/sbom.cdx.json", recipe.name), bill);
        tree.layer(self.seconds()?)
    }

    /// The layer with BusyBox.
    fn tools(&self) -> Result<Layer> {
        let busybox = Busybox::fetch(&self.folder.join("busybox").join(self.arch.name()), self.arch)?;
        let mut tree = Tree::default();
        busybox.add_to(&mut tree);
        let bill = sbom::of_busybox(&busybox, self.arch, self.origin.time)?;
        tree.file("usr/share/doc/busybox-static/sbom.cdx.json", bill);
        tree.layer(self.seconds()?)
    }

    fn image(&self, recipe: &Recipe, layers: &[Layer]) -> Result<()> {
        let tag = recipe.tag(&self.origin);
        let labels = recipe.labels(&self.origin);
        let image = Image {
            name: recipe.name,
            tag: &tag,
            architecture: self.arch.name(),
            created: self.origin.time,
            user: recipe.user,
            entrypoint: recipe.entrypoint,
            labels: &labels,
            layers,
        };
        let (archive, digest) = image.archive()?;
        let file = self
            .folder
            .join(format!("{}-{tag}-{}.tar", recipe.name, self.arch.name()));
        write(&file, &archive)?;

        let unpacked: u64 = layers.iter().map(|layer| layer.unpacked_size).sum();
        println!("{}:{tag} for {}", recipe.name, self.arch.name());
        println!("  {}", file.display());
        println!("  {digest}");
        println!(
            "  {} unpacked (at most {}), {} as an archive",
            megabytes(unpacked),
            megabytes(recipe.largest),
            megabytes(archive.len() as u64)
        );
        recipe.ensure_fits(unpacked)
    }

    fn seconds(&self) -> Result<u64> {
        u64::try_from(self.origin.time.as_second()).context("the sources are older than 1970")
    }
}

fn write(file: &Path, content: &[u8]) -> Result<()> {
    fs::write(file, content).with_context(|| format!("cannot write {}", file.display()))
}

/// The commit and its time; `SOURCE_DATE_EPOCH` goes before, as <https://reproducible-builds.org> asks for.
fn origin(workspace: &Workspace, url: Option<String>) -> Result<Origin> {
    let git = |arguments: &[&str]| -> Result<String> {
        let mut git = system::command("git");
        git.current_dir(workspace.root()).args(arguments);
        Ok(process::output(&mut git)?.trim().to_owned())
    };
    let seconds = match env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => seconds,
        Err(_) => git(&["log", "-1", "--format=%ct"]).context(
            "the images' time is the commit's, and there is none: set SOURCE_DATE_EPOCH to seconds since 1970",
        )?,
    };
    let time = seconds
        .parse()
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    let Some(time) = time else {
        bail!("SOURCE_DATE_EPOCH has to be seconds since 1970, not {seconds:?}");
    };
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let suffix = if changed { "-dirty" } else { "" };
    Ok(Origin {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: format!("{}{suffix}", git(&["rev-parse", "HEAD"])?),
        time,
        url,
    })
}

/// The compiler's version, as `1.95.0`.
fn rust_version(workspace: &Workspace) -> Result<String> {
    let mut rustc = system::command("rustc");
    let words = process::output(rustc.current_dir(workspace.root()).arg("--version"))?;
    let version = words.split(' ').nth(1).map(ToOwned::to_owned);
    version.with_context(|| format!("`rustc --version` says no version: {words}"))
}
