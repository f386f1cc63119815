//! Where etcd, kube-apiserver, kubectl and Helm are: in the folder that `KUBEBUILDER_ASSETS` names, or where
//! `cargo xtask assets` built them.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// The variable that names a folder with etcd, kube-apiserver and kubectl, as envtest has it.
pub const ASSETS_VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// A program that the lab runs and that no distribution brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asset {
    /// The program's name.
    pub program: &'static str,
    /// The first part of its folder's name in the cache.
    folder: &'static str,
    /// The module that it comes from.
    module: &'static str,
    /// The file that says in which version.
    go_mod: &'static str,
    /// Whether it is one of envtest's three.
    in_envtest: bool,
}

const KUBERNETES_GO_MOD: &str = include_str!("../../../xtask/assets/kubernetes/go.mod");

/// Keeps what the API server knows.
pub const ETCD: Asset = Asset {
    program: "etcd",
    folder: "etcd",
    module: "go.etcd.io/etcd/server/v3",
    go_mod: include_str!("../../../xtask/assets/etcd/go.mod"),
    in_envtest: true,
};
/// The API server.
pub const KUBE_APISERVER: Asset = Asset {
    program: "kube-apiserver",
    folder: "kubernetes",
    module: "k8s.io/kubernetes",
    go_mod: KUBERNETES_GO_MOD,
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
    folder: "containerd",
    module: "github.com/containerd/containerd/v2",
    go_mod: include_str!("../../../xtask/assets/containerd/go.mod"),
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
    folder: "pause",
    // It requires nothing but the language, so its version is that.
    module: "go",
    go_mod: include_str!("../../../xtask/assets/pause/go.mod"),
    in_envtest: false,
};

const fn of_kubernetes(program: &'static str) -> Asset {
    Asset {
        program,
        in_envtest: false,
        ..KUBE_APISERVER
    }
}

/// What installs the chart.
pub const HELM: Asset = Asset {
    program: "helm",
    folder: "helm",
    module: "helm.sh/helm/v3",
    go_mod: include_str!("../../../xtask/assets/helm/go.mod"),
    in_envtest: false,
};

impl Asset {
    /// The program's path.
    ///
    /// # Errors
    /// [`Error::Invalid`] that says how to get it.
    pub fn find(&self) -> Result<PathBuf> {
        let path = self.path(
            env::var_os(ASSETS_VARIABLE).map(PathBuf::from).as_deref(),
            cache_folder().as_deref(),
        );
        path.clone().filter(|path| path.is_file()).ok_or_else(|| {
            let looked = path.map_or_else(|| "no cache folder".to_owned(), |path| path.display().to_string());
            Error::Invalid(format!(
                "there is no {} ({looked}); build it with: cargo xtask assets",
                self.program
            ))
        })
    }

    /// The path of the one that was built, whatever `KUBEBUILDER_ASSETS` says: for a real cluster, whose programs are of
    /// one version, and static.
    ///
    /// # Errors
    /// [`Error::Invalid`] that says how to get it.
    pub fn built(&self) -> Result<PathBuf> {
        let path = self.path(None, cache_folder().as_deref());
        path.filter(|path| path.is_file()).ok_or_else(|| {
            Error::Invalid(format!(
                "there is no {} {} in the cache; build it with: cargo xtask assets --for e2e",
                self.program,
                self.version().unwrap_or_default()
            ))
        })
    }

    fn path(&self, envtest: Option<&Path>, cache: Option<&Path>) -> Option<PathBuf> {
        let named = envtest.filter(|folder| self.in_envtest && !folder.as_os_str().is_empty());
        if let Some(folder) = named {
            return Some(folder.join(self.program));
        }
        let folder = format!("{}-{}", self.folder, self.version()?);
        Some(cache?.join("holdfast/assets").join(folder).join(self.program))
    }

    /// The version that go.mod asks for.
    pub fn version(&self) -> Option<&'static str> {
        self.go_mod.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(self.module)).then(|| words.next())?
        })
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
            let version = asset.version().unwrap_or_default();
            assert!(
                version.starts_with('v') && version.contains('.'),
                "{}: {version:?}",
                asset.program
            );
        }
    }

    #[test]
    fn the_named_folder_has_only_what_envtest_has() {
        let (named, cache) = (Path::new("/named"), Path::new("/cache"));
        assert_eq!(
            ETCD.path(Some(named), Some(cache)),
            Some(PathBuf::from("/named/etcd"))
        );
        let helm = HELM.path(Some(named), Some(cache)).unwrap();
        assert!(
            helm.starts_with("/cache/holdfast/assets") && helm.ends_with("helm"),
            "{helm:?}"
        );
    }
}
