//! The way to the API server: from a kubeconfig, or from within a pod.

use std::path::PathBuf;

use anyhow::Context as _;
use holdfast_client::PacedWatches;
use kube::client::ClientBuilder;
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
    connect_to(config)
}

fn connect_to(config: Config) -> anyhow::Result<Connection> {
    let host = host_of(&config.cluster_url.to_string());
    let builder = ClientBuilder::try_from(config).context("making a client of the API server")?;
    let client = builder.with_layer(&PacedWatches::default()).build();
    Ok(Connection { client, host })
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::sync::Arc;
    use std::time::Instant;

    use axum::Router;
    use axum::extract::RawQuery;
    use holdfast_api::v1alpha1::VirtualIPGroup;
    use holdfast_client::PACE;
    use kube::Api;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tokio::task::JoinSet;

    use super::*;
    use crate::clock::Clock;
    use crate::metrics::Metrics;
    use crate::world::World;

    const EMPTY: &str = r#"{"metadata": {"resourceVersion": "7"}, "items": []}"#;

    #[tokio::test]
    async fn a_server_that_ends_every_watch_at_once_is_not_asked_as_fast_as_it_answers() {
        let mut tasks = JoinSet::new();
        let (begun, mut watches) = mpsc::unbounded_channel();
        let answer = move |RawQuery(query): RawQuery| async move {
            if !query.unwrap_or_default().contains("watch=true") {
                return EMPTY;
            }
            let _ = begun.send(Instant::now());
            ""
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tasks.spawn(async move {
            axum::serve(listener, Router::new().fallback(answer))
                .await
                .unwrap();
        });
        let client = connect_to(Config::new(url.parse().unwrap())).unwrap().client;
        let world = Arc::new(World::new(Clock::start(), Duration::from_mins(5)));
        let metrics = Arc::new(Metrics::new().unwrap());
        let start = Instant::now();
        tasks.spawn(crate::watch::follow(
            Api::<VirtualIPGroup>::all(client),
            world,
            metrics,
        ));
        for _ in 0..2 {
            watches.recv().await.unwrap();
        }
        let third = watches.recv().await.unwrap() - start;
        assert!(third >= PACE * 2, "three watches within {third:?}");
    }
}
