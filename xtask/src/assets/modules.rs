//! The programs that are built from Go modules: which package each comes from, who needs it, and what the linker writes
//! into it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::kubernetes::Kubernetes;
use crate::workspace::Workspace;

/// For whom programs are built.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub enum Set {
    /// A real API server: etcd, kube-apiserver, kubectl, Helm
    Api,
    /// A real cluster: those of `api`, and all that runs a node
    E2e,
}

/// Programs of one Go module.
pub(super) struct Module {
    /// Its folder below xtask/assets, and the first part of its folder in the cache.
    pub folder: &'static str,
    /// What go.mod gives a version for, which is that of the programs.
    pub path: &'static str,
    pub programs: &'static [Program],
    /// The one that it is, if it is one of the versions of Kubernetes.
    pub kubernetes: Option<Kubernetes>,
    /// What the linker writes into the programs, so that they know their version.
    pub stamps: fn(&Versions<'_>) -> Result<Vec<String>>,
}

impl Module {
    /// Those that are built for tests with this Kubernetes.
    pub fn all_for(kubernetes: Kubernetes) -> impl Iterator<Item = &'static Self> {
        let wanted = move |module: &&Self| module.kubernetes.is_none_or(|its| its == kubernetes);
        MODULES.iter().filter(wanted)
    }

    /// Where its go.mod is.
    pub fn sources(&self, workspace: &Workspace) -> PathBuf {
        workspace.root().join("xtask/assets").join(self.folder)
    }

    pub fn go_mod(&self, workspace: &Workspace) -> Result<String> {
        let path = self.sources(workspace).join("go.mod");
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Its folder in the cache.
    pub fn built(&self, assets: &Path, versions: &Versions<'_>) -> Result<PathBuf> {
        Ok(assets.join(format!("{}-{}", self.folder, versions.of(self.path)?)))
    }
}

/// One program and the package that it is built from.
pub(super) struct Program {
    pub name: &'static str,
    pub package: &'static str,
    /// The smallest set that has it.
    pub set: Set,
    /// Whether it is one of envtest's three.
    pub in_envtest: bool,
}

impl Program {
    /// One of the three that envtest's folder has too.
    const fn envtest(name: &'static str, package: &'static str) -> Self {
        Self {
            name,
            package,
            set: Set::Api,
            in_envtest: true,
        }
    }

    /// One that only a real cluster needs.
    const fn e2e(name: &'static str, package: &'static str) -> Self {
        Self {
            name,
            package,
            set: Set::E2e,
            in_envtest: false,
        }
    }
}

const KUBERNETES: &[Program] = &[
    Program::envtest("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    Program::envtest("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Program::e2e(
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    Program::e2e("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    Program::e2e("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
    Program::e2e("kubeadm", "k8s.io/kubernetes/cmd/kubeadm"),
    Program::e2e("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
];

const fn of_kubernetes(folder: &'static str, kubernetes: Kubernetes) -> Module {
    Module {
        folder,
        path: "k8s.io/kubernetes",
        programs: KUBERNETES,
        kubernetes: Some(kubernetes),
        stamps: kubernetes_stamps,
    }
}

const MODULES: &[Module] = &[
    Module {
        folder: "etcd",
        path: "go.etcd.io/etcd/server/v3",
        programs: &[Program::envtest("etcd", "go.etcd.io/etcd/server/v3")],
        kubernetes: None,
        stamps: |_| Ok(Vec::new()),
    },
    of_kubernetes("kubernetes", Kubernetes::Newest),
    of_kubernetes("kubernetes-oldest", Kubernetes::Oldest),
    Module {
        folder: "helm",
        path: "helm.sh/helm/v3",
        programs: &[Program {
            name: "helm",
            package: "helm.sh/helm/v3/cmd/helm",
            set: Set::Api,
            in_envtest: false,
        }],
        kubernetes: None,
        stamps: helm_stamps,
    },
    Module {
        folder: "containerd",
        path: "github.com/containerd/containerd/v2",
        programs: &[
            Program::e2e("containerd", "github.com/containerd/containerd/v2/cmd/containerd"),
            Program::e2e(
                "containerd-shim-runc-v2",
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            ),
            Program::e2e("ctr", "github.com/containerd/containerd/v2/cmd/ctr"),
        ],
        kubernetes: None,
        stamps: |_| Ok(Vec::new()),
    },
    Module {
        folder: "pause",
        // It requires nothing but the language, so its version is that.
        path: "go",
        programs: &[Program::e2e("pause", "holdfast.dev/assets/pause")],
        kubernetes: None,
        stamps: |_| Ok(Vec::new()),
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

/// What a go.mod requires.
pub(super) struct Versions<'a>(pub &'a str);

impl<'a> Versions<'a> {
    pub fn of(&self, module: &str) -> Result<&'a str> {
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
        let stamps = kubernetes_stamps(&Versions(GO_MOD)).unwrap();
        assert_eq!(stamps[0], "k8s.io/component-base/version.gitVersion=v1.36.3");
        assert!(stamps[2].ends_with(".gitMinor=36"), "{stamps:?}");
        let stamps = helm_stamps(&Versions(GO_MOD)).unwrap();
        assert!(
            stamps
                .iter()
                .any(|stamp| stamp.ends_with("chartutil.k8sVersionMinor=37")),
            "{stamps:?}"
        );
    }

    #[test]
    fn the_oldest_kubernetes_is_the_one_that_the_chart_asks_for() {
        let workspace = Workspace::open().unwrap();
        let chart = fs::read_to_string(workspace.root().join("charts/holdfast/Chart.yaml")).unwrap();
        let minor = |kubernetes| {
            let module = Module::all_for(kubernetes).find(|module| module.kubernetes.is_some());
            let go_mod = module.unwrap().go_mod(&workspace).unwrap();
            let (major, minor) = major_and_minor(Versions(&go_mod).of("k8s.io/kubernetes").unwrap()).unwrap();
            assert_eq!(major, "1");
            minor.parse::<u32>().unwrap()
        };
        let (oldest, newest) = (minor(Kubernetes::Oldest), minor(Kubernetes::Newest));
        assert!(
            oldest < newest,
            "1.{oldest} is built as the oldest, 1.{newest} as the newest"
        );
        let wanted = format!("kubeVersion: \">=1.{oldest}.0-0\"");
        assert!(chart.lines().any(|line| line == wanted), "{wanted} in {chart}");
    }

    #[test]
    fn every_module_pins_what_it_builds() {
        let workspace = Workspace::open().unwrap();
        for module in MODULES {
            let go_mod = module.go_mod(&workspace).unwrap();
            Versions(&go_mod).of(module.path).unwrap();
            (module.stamps)(&Versions(&go_mod)).unwrap();
            for program in module.programs {
                // A tool of the module, or the module itself.
                assert!(
                    go_mod
                        .lines()
                        .any(|line| { line.trim().rsplit(' ').next() == Some(program.package) }),
                    "{} is no tool of {}/go.mod",
                    program.package,
                    module.folder
                );
            }
        }
    }
}
