//! How the API server is reached: from a kubeconfig or a pod's own credentials, read anew for every client.

use std::path::PathBuf;

use http::Uri;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

/// What the command line says about the API server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Access {
    /// The kubeconfig; without one, the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// Where to connect instead of where the kubeconfig says.
    pub server: Option<Uri>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The kubeconfig.
    #[error("the kubeconfig {path}: {error}", path = .path.display())]
    Kubeconfig {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: kube::config::KubeconfigError,
    },
    /// There is neither a kubeconfig nor a service account.
    #[error("no --kubeconfig is given, and this is not a pod with a service account: {0}")]
    InCluster(#[from] kube::config::InClusterError),
    /// A client for it could not be made.
    #[error("preparing the connection: {0}")]
    Client(#[from] kube::Error),
    /// Reading broke off.
    #[error("reading the configuration of the connection was interrupted")]
    Interrupted,
}

/// What a client is made from.
#[derive(Debug)]
pub struct Plan {
    /// For the client.
    pub config: Config,
    /// The host that the kubeconfig names, whatever the command line says.
    pub written_host: Option<String>,
}

impl Access {
    /// Reads everything anew: certificates and tokens are replaced while the agent runs. The disk may take its time.
    pub async fn plan(&self) -> Result<Plan, AccessError> {
        let access = self.clone();
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || runtime.block_on(access.read()))
            .await
            .unwrap_or(Err(AccessError::Interrupted))
    }

    async fn read(self) -> Result<Plan, AccessError> {
        let mut config = match self.kubeconfig {
            Some(path) => from_kubeconfig(path).await?,
            None => Config::incluster()?,
        };
        let written_host = config.cluster_url.host().map(str::to_owned);
        if let Some(server) = self.server {
            config.cluster_url = server;
        }
        Ok(Plan { config, written_host })
    }
}

async fn from_kubeconfig(path: PathBuf) -> Result<Config, AccessError> {
    let read = async {
        let kubeconfig = Kubeconfig::read_from(&path)?;
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
    };
    read.await.map_err(|error| AccessError::Kubeconfig {
        path: path.clone(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'https://10.0.0.100:6443'}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
";

    #[tokio::test]
    async fn the_command_line_says_where_to_connect_and_the_kubeconfig_whom_it_is_about() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, KUBECONFIG).unwrap();
        let mut access = Access {
            kubeconfig: Some(path),
            server: None,
        };
        let plan = access.plan().await.unwrap();
        assert_eq!(plan.config.cluster_url.host(), Some("10.0.0.100"));
        access.server = Some("https://127.0.0.1:6443".parse().unwrap());
        let plan = access.plan().await.unwrap();
        assert_eq!(plan.config.cluster_url.host(), Some("127.0.0.1"));
        assert_eq!(plan.written_host.as_deref(), Some("10.0.0.100"));
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let access = Access {
            kubeconfig: Some("/nowhere/kubeconfig".into()),
            server: None,
        };
        let error = access.plan().await.unwrap_err().to_string();
        assert!(error.contains("/nowhere/kubeconfig"), "{error}");
        let error = Access::default().plan().await.unwrap_err().to_string();
        assert!(error.contains("--kubeconfig"), "{error}");
    }
}
