//! etcd, kube-apiserver, kubectl and Helm, which no distribution brings in the versions that are tested with: built once
//! from Go modules, in the versions that xtask/assets pins.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{cache, process, system};

/// A folder with etcd, kube-apiserver and kubectl, as envtest has it; what is in it is not built.
const ENVTEST_VARIABLE: &str = "KUBEBUILDER_ASSETS";
/// Where Go's own archive puts it, which need not be on `PATH`.
const USUAL_GO: &str = "/usr/local/go/bin/go";
/// How often a build that takes minutes says that it is still at it.
const PROGRESS: Duration = Duration::from_secs(30);

/// Programs of one Go module.
struct Module {
    /// Its folder below xtask/assets, and the first part of its folder in the cache.
    folder: &'static str,
    /// Its name in Go; its version counts.
    path: &'static str,
    programs: &'static [Program],
    /// What the linker writes into the programs, so that they know their version.
    stamps: fn(&Versions<'_>) -> Result<Vec<String>>,
}

impl Module {
    fn sources(&self, workspace: &Workspace) -> PathBuf {
        workspace.root().join("xtask/assets").join(self.folder)
    }

    fn go_mod(&self, workspace: &Workspace) -> Result<String> {
        let path = self.sources(workspace).join("go.mod");
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Its folder in the cache.
    fn built(&self, assets: &Path, versions: &Versions<'_>) -> Result<PathBuf> {
        Ok(assets.join(format!("{}-{}", self.folder, versions.of(self.path)?)))
    }
}

/// One program and the package that it is built from.
struct Program {
    name: &'static str,
    package: &'static str,
    /// Whether it is one of envtest's three.
    in_envtest: bool,
}

const MODULES: &[Module] = &[
    Module {
        folder: "etcd",
        path: "go.etcd.io/etcd/server/v3",
        programs: &[Program {
            name: "etcd",
            package: "go.etcd.io/etcd/server/v3",
            in_envtest: true,
        }],
        stamps: |_| Ok(Vec::new()),
    },
    Module {
        folder: "kubernetes",
        path: "k8s.io/kubernetes",
        programs: &[
            Program {
                name: "kubectl",
                package: "k8s.io/kubernetes/cmd/kubectl",
                in_envtest: true,
            },
            Program {
                name: "kube-apiserver",
                package: "k8s.io/kubernetes/cmd/kube-apiserver",
                in_envtest: true,
            },
        ],
        stamps: kubernetes_stamps,
    },
    Module {
        folder: "helm",
        path: "helm.sh/helm/v3",
        programs: &[Program {
            name: "helm",
            package: "helm.sh/helm/v3/cmd/helm",
            in_envtest: false,
        }],
        stamps: helm_stamps,
    },
];

fn kubernetes_stamps(versions: &Versions<'_>) -> Result<Vec<String>> {
    let version = versions.of("k8s.io/kubernetes")?;
    let (major, minor) = major_and_minor(version)?;
    let package = "k8s.io/component-base/version";
    Ok(vec![
        format!("{package}.gitVersion={version}"),
        format!("{package}.gitMajor={major}"),
        format!("{package}.gitMinor={minor}"),
    ])
}

/// Without a cluster to ask, Helm takes for granted the Kubernetes that its own client library belongs to.
fn helm_stamps(versions: &Versions<'_>) -> Result<Vec<String>> {
    let (_, minor) = major_and_minor(versions.of("k8s.io/client-go")?)?;
    let mut stamps = vec![format!(
        "helm.sh/helm/v3/internal/version.version={}",
        versions.of("helm.sh/helm/v3")?
    )];
    for package in ["lint/rules", "chartutil"] {
        stamps.push(format!("helm.sh/helm/v3/pkg/{package}.k8sVersionMajor=1"));
        stamps.push(format!("helm.sh/helm/v3/pkg/{package}.k8sVersionMinor={minor}"));
    }
    Ok(stamps)
}

/// Builds what is neither in the cache nor in the folder that `KUBEBUILDER_ASSETS` names.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let envtest = env::var_os(ENVTEST_VARIABLE)
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from);
    if let Some(folder) = &envtest {
        check_envtest(folder)?;
    }
    let assets = cache::assets()?;
    fs::create_dir_all(&assets).with_context(|| format!("cannot create {}", assets.display()))?;
    let _lock = lock(&assets)?;
    for module in MODULES {
        let go_mod = module.go_mod(workspace)?;
        let versions = Versions(&go_mod);
        let folder = module.built(&assets, &versions)?;
        let wanted = module
            .programs
            .iter()
            .filter(|program| envtest.is_none() || !program.in_envtest)
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
    let module = MODULES
        .iter()
        .find(|module| module.programs.iter().any(|program| program.name == name))
        .with_context(|| format!("{name} is not among the programs that are built"))?;
    let go_mod = module.go_mod(workspace)?;
    Ok(module.built(&cache::assets()?, &Versions(&go_mod))?.join(name))
}

fn check_envtest(folder: &Path) -> Result<()> {
    let programs = MODULES.iter().flat_map(|module| module.programs);
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
            "the API tier builds etcd, kube-apiserver, kubectl and Helm from source and needs Go 1.26 or later for it; \
             install it from https://go.dev/dl",
        )
}

/// What a go.mod requires.
struct Versions<'a>(&'a str);

impl<'a> Versions<'a> {
    fn of(&self, module: &str) -> Result<&'a str> {
        let version = self.0.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(module)).then(|| words.next())?
        });
        version.with_context(|| format!("go.mod requires no {module}"))
    }
}

fn major_and_minor(version: &str) -> Result<(&str, &str)> {
    let mut parts = version.strip_prefix('v').unwrap_or_default().split('.');
    parts
        .next()
        .zip(parts.next())
        .with_context(|| format!("{version} is not a version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GO_MOD: &str = "module x\n\ntool k8s.io/kubernetes/cmd/kubectl\n\nrequire (\n\tk8s.io/kubernetes v1.36.3 // indirect\n\tk8s.io/client-go v0.37.0 // indirect\n\thelm.sh/helm/v3 v3.22.0 // indirect\n)\n";

    #[test]
    fn a_version_is_the_one_that_go_mod_requires() {
        assert_eq!(Versions(GO_MOD).of("k8s.io/kubernetes").unwrap(), "v1.36.3");
        let error = Versions(GO_MOD).of("k8s.io/kube").unwrap_err().to_string();
        assert_eq!(error, "go.mod requires no k8s.io/kube");
    }

    #[test]
    fn programs_are_told_their_version_and_helm_that_of_its_library() {
        let flags = linker_flags(&kubernetes_stamps(&Versions(GO_MOD)).unwrap());
        assert!(
            flags.starts_with("-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 ")
                && flags.ends_with(".gitMinor=36"),
            "{flags}"
        );
        let flags = linker_flags(&helm_stamps(&Versions(GO_MOD)).unwrap());
        assert!(flags.contains("chartutil.k8sVersionMinor=37"), "{flags}");
    }

    #[test]
    fn a_named_folder_without_the_programs_is_refused_with_their_names() {
        let error = check_envtest(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(error.contains("has no etcd, kubectl, kube-apiserver;"), "{error}");
    }

    #[test]
    fn every_module_pins_what_it_builds() {
        let workspace = Workspace::open().unwrap();
        for module in MODULES {
            let go_mod = module.go_mod(&workspace).unwrap();
            Versions(&go_mod).of(module.path).unwrap();
            (module.stamps)(&Versions(&go_mod)).unwrap();
            for program in module.programs {
                assert!(
                    go_mod
                        .lines()
                        .any(|line| line.trim().trim_start_matches("tool ") == program.package),
                    "{} is no tool of {}/go.mod",
                    program.package,
                    module.folder
                );
            }
        }
    }
}
