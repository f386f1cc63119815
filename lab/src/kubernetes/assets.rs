//! Where etcd, Kubernetes, Helm and containerd are: in the folder that `KUBEBUILDER_ASSETS` names, or where
//! `cargo xtask assets` built them. There are two of Kubernetes, of which `HOLDFAST_KUBERNETES` names one.

use std::{env, ffi::OsStr, path::PathBuf};

use crate::error::{Error, Result};

/// The variable that names a folder with etcd, kube-apiserver and kubectl, as envtest has it.
pub const ASSETS_VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// The variable that names the Kubernetes to run: `newest`, which it is without the variable, or `oldest`.
pub const KUBERNETES_VARIABLE: &str = "HOLDFAST_KUBERNETES";

/// A program that the lab runs and that no distribution brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asset {
    /// The program's name.
    pub program: &'static str,
    /// Where it comes from.
    source: Source,
    /// Whether it is one of envtest's three.
    in_envtest: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// A module that there is one version of.
    Module(Pin),
    /// Kubernetes, of which there are two.
    Kubernetes,
}

/// A supported version of Kubernetes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kubernetes {
    Newest,
    Oldest,
}

/// One version of a module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pin {
    /// The first part of its folder's name in the cache.
    folder: &'static str,
    /// The module.
    module: &'static str,
    /// The file that says in which version.
    go_mod: &'static str,
}

/// Keeps what the API server knows.
pub const ETCD: Asset = Asset {
    program: "etcd",
    source: Source::Module(Pin {
        folder: "etcd",
        module: "go.etcd.io/etcd/server/v3",
        go_mod: include_str!("../../../xtask/assets/etcd/go.mod"),
    }),
    in_envtest: true,
};
/// The API server.
pub const KUBE_APISERVER: Asset = Asset {
    program: "kube-apiserver",
    source: Source::Kubernetes,
    in_envtest: true,
};
/// What a person types.
pub const KUBECTL: Asset = Asset {
    program: "kubectl",
    ..KUBE_APISERVER
};
/// What a kubeadm cluster is made of besides.
pub const KUBE_CONTROLLER_MANAGER: Asset = of_kubernetes("kube-controller-manager");
/// Puts pods on nodes.
pub const KUBE_SCHEDULER: Asset = of_kubernetes("kube-scheduler");
/// Leads to Services.
pub const KUBE_PROXY: Asset = of_kubernetes("kube-proxy");
/// Runs a node's pods.
pub const KUBELET: Asset = of_kubernetes("kubelet");
/// Makes a cluster.
pub const KUBEADM: Asset = of_kubernetes("kubeadm");
/// Runs containers for the kubelet.
pub const CONTAINERD: Asset = Asset {
    program: "containerd",
    source: Source::Module(Pin {
        folder: "containerd",
        module: "github.com/containerd/containerd/v2",
        go_mod: include_str!("../../../xtask/assets/containerd/go.mod"),
    }),
    in_envtest: false,
};
/// Stands between containerd and a pod.
pub const CONTAINERD_SHIM: Asset = Asset {
    program: "containerd-shim-runc-v2",
    ..CONTAINERD
};
/// Brings images to containerd.
pub const CTR: Asset = Asset {
    program: "ctr",
    ..CONTAINERD
};
/// Keeps a pod's namespaces.
pub const PAUSE: Asset = Asset {
    program: "pause",
    source: Source::Module(Pin {
        folder: "pause",
        // It requires nothing but the language, so its version is that.
        module: "go",
        go_mod: include_str!("../../../xtask/assets/pause/go.mod"),
    }),
    in_envtest: false,
};
/// What installs the chart.
pub const HELM: Asset = Asset {
    program: "helm",
    source: Source::Module(Pin {
        folder: "helm",
        module: "helm.sh/helm/v3",
        go_mod: include_str!("../../../xtask/assets/helm/go.mod"),
    }),
    in_envtest: false,
};

const fn of_kubernetes(program: &'static str) -> Asset {
    Asset {
        program,
        source: Source::Kubernetes,
        in_envtest: false,
    }
}

impl Asset {
    /// The program's path.
    ///
    /// # Errors
    /// [`Error::Invalid`] that says how to get it.
    pub fn find(&self) -> Result<PathBuf> {
        let Some(path) = self.named(env::var_os(ASSETS_VARIABLE).map(PathBuf::from)) else {
            return self.in_cache("cargo xtask assets");
        };
        if path.is_file() {
            return Ok(path);
        }
        Err(Error::Invalid(format!(
            "there is no {}, which is where {ASSETS_VARIABLE} says to look; unset it, and build one with: cargo xtask assets",
            path.display()
        )))
    }

    /// Its path in envtest's folder, if it is one of those that are there.
    fn named(&self, folder: Option<PathBuf>) -> Option<PathBuf> {
        let folder = folder.filter(|folder| self.in_envtest && !folder.as_os_str().is_empty())?;
        Some(folder.join(self.program))
    }

    /// The path of the one that was built, whatever `KUBEBUILDER_ASSETS` says: for a real cluster, whose programs are of
    /// one version, and static.
    ///
    /// # Errors
    /// [`Error::Invalid`] that says how to get it.
    pub fn built(&self) -> Result<PathBuf> {
        self.in_cache("cargo xtask assets --for e2e")
    }

    /// Its path in the cache, or an error with the `command` that puts it there.
    fn in_cache(&self, command: &str) -> Result<PathBuf> {
        let kubernetes = Kubernetes::wanted()?;
        let pin = self.pin(kubernetes);
        let cache = cache_folder().ok_or_else(|| {
            Error::Invalid(format!(
                "no folder to look for {} in: neither XDG_CACHE_HOME nor HOME is set",
                self.program
            ))
        })?;
        let path = cache
            .join("holdfast/assets")
            .join(pin.cached()?)
            .join(self.program);
        if path.is_file() {
            return Ok(path);
        }
        Err(Error::Invalid(format!(
            "there is no {}; build it with: {command} --kubernetes {}",
            path.display(),
            kubernetes.name()
        )))
    }

    /// The version that was built, as in `v1.36.3`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the environment names no Kubernetes that there is.
    pub fn version(&self) -> Result<&'static str> {
        self.pin(Kubernetes::wanted()?).version()
    }

    const fn pin(&self, kubernetes: Kubernetes) -> Pin {
        match self.source {
            Source::Module(pin) => pin,
            Source::Kubernetes => kubernetes.pin(),
        }
    }
}

impl Kubernetes {
    const ALL: [Self; 2] = [Self::Newest, Self::Oldest];

    /// The one that the environment names, or the newest.
    fn wanted() -> Result<Self> {
        Self::named(env::var_os(KUBERNETES_VARIABLE).as_deref())
    }

    fn named(name: Option<&OsStr>) -> Result<Self> {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Ok(Self::Newest);
        };
        let found = Self::ALL.into_iter().find(|version| name == version.name());
        found.ok_or_else(|| {
            Error::Invalid(format!(
                "{KUBERNETES_VARIABLE} is {}; set it to newest or oldest, or unset it for the newest",
                name.display()
            ))
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
        }
    }

    const fn pin(self) -> Pin {
        let (folder, go_mod) = match self {
            Self::Newest => (
                "kubernetes",
                include_str!("../../../xtask/assets/kubernetes/go.mod"),
            ),
            Self::Oldest => (
                "kubernetes-oldest",
                include_str!("../../../xtask/assets/kubernetes-oldest/go.mod"),
            ),
        };
        Pin {
            folder,
            module: "k8s.io/kubernetes",
            go_mod,
        }
    }
}

impl Pin {
    /// The version that go.mod asks for.
    fn version(&self) -> Result<&'static str> {
        let version = self.go_mod.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(self.module)).then(|| words.next())?
        });
        version
            .ok_or_else(|| Error::Invalid(format!("go.mod of {} requires no {}", self.folder, self.module)))
    }

    /// Its folder in the cache.
    fn cached(&self) -> Result<String> {
        Ok(format!("{}-{}", self.folder, self.version()?))
    }
}

fn cache_folder() -> Option<PathBuf> {
    let named = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty());
    named
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_has_a_version_in_its_go_mod() {
        for asset in [ETCD, KUBE_APISERVER, KUBECTL, KUBELET, HELM, CONTAINERD] {
            for kubernetes in Kubernetes::ALL {
                let version = asset.pin(kubernetes).version().unwrap();
                assert!(
                    version.starts_with('v') && version.contains('.'),
                    "{}: {version:?}",
                    asset.program
                );
            }
        }
    }

    #[test]
    fn the_named_folder_has_only_what_envtest_has() {
        let named = || Some(PathBuf::from("/named"));
        assert_eq!(ETCD.named(named()), Some(PathBuf::from("/named/etcd")));
        assert_eq!(ETCD.named(Some(PathBuf::new())), None);
        assert_eq!(HELM.named(named()), None);
    }

    #[test]
    fn the_two_versions_of_kubernetes_lie_beside_each_other_and_share_the_rest() {
        let folders = |asset: &Asset| Kubernetes::ALL.map(|version| asset.pin(version).cached().unwrap());
        let [newest, oldest] = folders(&KUBELET);
        assert_ne!(newest, oldest);
        let [with_newest, with_oldest] = folders(&ETCD);
        assert_eq!(with_newest, with_oldest);
    }

    #[test]
    fn the_newest_is_taken_unless_the_oldest_is_named() {
        let named = |name: &str| Kubernetes::named(Some(OsStr::new(name)));
        assert_eq!(Kubernetes::named(None).unwrap(), Kubernetes::Newest);
        assert_eq!(named("").unwrap(), Kubernetes::Newest);
        assert_eq!(named("oldest").unwrap(), Kubernetes::Oldest);
        let error = named("1.33").unwrap_err().to_string();
        assert!(
            error.contains("HOLDFAST_KUBERNETES is 1.33; set it to newest or oldest"),
            "{error}"
        );
    }
}
