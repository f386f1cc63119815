//! The way to the API server: from a kubeconfig, or from within a pod.

use std::path::PathBuf;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::deletion::host_of;

/// A client, and the host that it asks.
#[derive(Clone)]
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The host of its URL.
    pub host: Option<String>,
}

/// Connects as the kubeconfig says, or as a pod does if there is none.
pub async fn connect(kubeconfig: Option<&PathBuf>) -> anyhow::Result<Connection> {
    let config = match kubeconfig {
        Some(path) => {
            let read =
                Kubeconfig::read_from(path).with_context(|| format!("reading {}", path.display()))?;
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
                .await
                .with_context(|| format!("using {}", path.display()))?
        }
        None => Config::infer().await.context(
            "finding the API server: this is no pod of a cluster, and no kubeconfig was found (--kubeconfig names one)",
        )?,
    };
    let host = host_of(&config.cluster_url.to_string());
    let client = Client::try_from(config).context("making a client of the API server")?;
    Ok(Connection { client, host })
}
