//! etcd, Kubernetes, Helm and containerd, which no distribution brings in the versions that are tested with: built once
//! from Go modules, in the versions that xtask/assets pins.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

pub use self::kubernetes::Kubernetes;
pub use self::modules::Set;
use self::modules::{Module, Program, Versions};
use crate::workspace::Workspace;
use crate::{cache, process, system};

mod kubernetes;
mod modules;

/// A folder with etcd, kube-apiserver and kubectl, as envtest has it; what is in it is not built.
const ENVTEST_VARIABLE: &str = "KUBEBUILDER_ASSETS";
/// Where Go's own archive puts it, which need not be on `PATH`.
const USUAL_GO: &str = "/usr/local/go/bin/go";
/// How often a build that takes minutes says that it is still at it.
const PROGRESS: Duration = Duration::from_secs(30);

/// Builds what of `set` is neither in the cache nor in the folder that `KUBEBUILDER_ASSETS` names, with the Kubernetes that the
/// environment names.
pub fn ensure(workspace: &Workspace, set: Set) -> Result<()> {
    ensure_with(workspace, set, Kubernetes::from_environment()?)
}

/// The same with this Kubernetes.
///
/// A real cluster takes nothing from that folder: its programs must be of one version, and static, for its images.
pub fn ensure_with(workspace: &Workspace, set: Set, kubernetes: Kubernetes) -> Result<()> {
    let envtest = env::var_os(ENVTEST_VARIABLE)
        .filter(|folder| set == Set::Api && !folder.is_empty())
        .map(PathBuf::from);
    if let Some(folder) = &envtest {
        check_envtest(folder)?;
    }
    let assets = cache::assets()?;
    fs::create_dir_all(&assets).with_context(|| format!("cannot create {}", assets.display()))?;
    let _lock = lock(&assets)?;
    for module in Module::all_for(kubernetes) {
        let go_mod = module.go_mod(workspace)?;
        let versions = Versions(&go_mod);
        let folder = module.built(&assets, &versions)?;
        let wanted = module
            .programs
            .iter()
            .filter(|program| program.set <= set && (envtest.is_none() || !program.in_envtest))
            .filter(|program| !system::is_executable(&folder.join(program.name)));
        for program in wanted {
            build(
                program,
                &module.sources(workspace),
                &folder,
                &(module.stamps)(&versions)?,
            )?;
        }
    }
    Ok(())
}

/// Where [`ensure`] builds the program `name`.
pub fn program(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let module = Module::all_for(Kubernetes::from_environment()?)
        .find(|module| module.programs.iter().any(|program| program.name == name))
        .with_context(|| format!("{name} is not among the programs that are built"))?;
    let go_mod = module.go_mod(workspace)?;
    Ok(module.built(&cache::assets()?, &Versions(&go_mod))?.join(name))
}

fn check_envtest(folder: &Path) -> Result<()> {
    let programs = Module::all_for(Kubernetes::Newest).flat_map(|module| module.programs);
    let missing: Vec<_> = programs
        .filter(|program| program.in_envtest && !system::is_executable(&folder.join(program.name)))
        .map(|program| program.name)
        .collect();
    if !missing.is_empty() {
        bail!(
            "{ENVTEST_VARIABLE} names {}, which has no {}; name a folder that has, or unset the variable to have them \
             built",
            folder.display(),
            missing.join(", ")
        );
    }
    Ok(())
}

/// Waits until no other checkout builds into the same folder.
fn lock(assets: &Path) -> Result<File> {
    let path = assets.join(".lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    if file.try_lock().is_err() {
        println!("  somebody else builds into {}; waiting", assets.display());
        file.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}

fn build(program: &Program, sources: &Path, folder: &Path, stamps: &[String]) -> Result<()> {
    let go = find_go()?;
    println!("  building {}, once, into {}", program.name, folder.display());
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // Beside and renamed: a program that is there is whole.
    let (unfinished, finished) = (
        folder.join(format!(".{}", program.name)),
        folder.join(program.name),
    );
    let mut command = system::command(go);
    command
        .current_dir(sources)
        .env("CGO_ENABLED", "0")
        .args([
            "build",
            "-mod=readonly",
            "-trimpath",
            "-ldflags",
            &linker_flags(stamps),
            "-o",
        ])
        .arg(&unfinished)
        .arg(program.package)
        .stdin(Stdio::null());
    let time = run_with_progress(&mut command, program.name)?;
    fs::rename(&unfinished, &finished).with_context(|| format!("cannot rename {}", unfinished.display()))?;
    println!("  built {} in {} s", program.name, time.as_secs());
    Ok(())
}

/// Without symbols, which nobody reads here.
fn linker_flags(stamps: &[String]) -> String {
    let stamps = stamps.iter().map(|stamp| format!(" -X {stamp}"));
    std::iter::once("-s -w".to_owned()).chain(stamps).collect()
}

fn run_with_progress(command: &mut Command, what: &str) -> Result<Duration> {
    let start = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start `{}`", process::describe(command)))?;
    let mut next = PROGRESS;
    loop {
        if let Some(status) = child.try_wait().context("waiting for go to end")? {
            if !status.success() {
                bail!("`{}` failed: {status}", process::describe(command));
            }
            return Ok(start.elapsed());
        }
        if start.elapsed() >= next {
            println!("  still building {what} after {} s", next.as_secs());
            next += PROGRESS;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn find_go() -> Result<PathBuf> {
    system::find_program("go")
        .or_else(|| Some(PathBuf::from(USUAL_GO)).filter(|go| system::is_executable(go)))
        .context(
            "etcd, Kubernetes, Helm and containerd are built from source, which needs Go 1.26 or later; install it \
             from https://go.dev/dl",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linker_is_told_every_stamp() {
        let stamps = ["a.b=1".to_owned(), "a.c=2".to_owned()];
        assert_eq!(linker_flags(&stamps), "-s -w -X a.b=1 -X a.c=2");
    }

    #[test]
    fn a_named_folder_without_the_programs_is_refused_with_their_names() {
        let error = check_envtest(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(error.contains("has no etcd, kubectl, kube-apiserver;"), "{error}");
    }
}
