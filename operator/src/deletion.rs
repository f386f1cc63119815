//! What a group's deletion depends on beside the group: whether one of its addresses is the cluster's API endpoint, and
//! whether it is the kind as a whole that is being deleted. Asked for when something is deleted, and at no other time.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use holdfast_api::v1alpha1::VirtualIPGroup;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PartialObjectMeta;
use kube::config::Kubeconfig;
use kube::{Api, Client, CustomResourceExt as _};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::{Category, Error};
use crate::index::virtual_addresses;

/// How long a name server, or the API server, may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How long what was found out is good for.
const GOOD_FOR: Duration = Duration::from_secs(30);

/// Finds out what a deletion depends on. See the module.
pub struct Circumstances {
    client: Client,
    /// Hosts that are the API endpoint, and who says so.
    hosts: Vec<(String, String)>,
    endpoints: Mutex<Option<(Instant, Endpoints)>>,
}

/// Addresses of the API endpoint, and who says so.
type Endpoints = BTreeMap<IpAddr, String>;

impl Circumstances {
    /// `own` is the host the operator itself asks, `named` those of the command line.
    pub fn new(client: Client, own: Option<String>, named: &[String]) -> Self {
        let own = own.map(|host| (host, "the operator reaches the API server at it".to_owned()));
        let named = named
            .iter()
            .map(|host| (host.clone(), "--api-endpoint names it".to_owned()));
        Self {
            client,
            hosts: own.into_iter().chain(named).collect(),
            endpoints: Mutex::default(),
        }
    }

    /// Why one of the group's addresses is the cluster's API endpoint, if one is as far as the operator knows.
    pub async fn endpoint_at(&self, group: &VirtualIPGroup) -> Option<String> {
        let mut known = self.endpoints.lock().await;
        let fresh = known.as_ref().is_some_and(|(when, _)| when.elapsed() < GOOD_FOR);
        if !fresh {
            *known = Some((Instant::now(), self.find_endpoints().await));
        }
        let (_, endpoints) = known.as_ref()?;
        virtual_addresses(group)
            .into_iter()
            .find_map(|address| Some(format!("{address}: {}", endpoints.get(&address)?)))
    }

    /// Whether the kind `VirtualIPGroup` itself is being deleted, which deletes every group without anybody having asked
    /// for that.
    pub async fn kind_is_going(&self) -> Result<bool, Error> {
        let kinds: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(self.client.clone());
        let name = VirtualIPGroup::crd_name();
        let doing = "asking whether this kind is being deleted:";
        match tokio::time::timeout(TIMEOUT, kinds.get_metadata(name)).await {
            Ok(Ok(kind)) => Ok(kind.metadata.deletion_timestamp.is_some()),
            Ok(Err(error)) if Category::of(&error) == Category::NotFound => Ok(true),
            Ok(Err(source)) => Err(Error::Api {
                doing,
                object: name.to_owned(),
                source: Box::new(source),
            }),
            Err(_) => Err(Error::NoAnswer {
                doing,
                object: name.to_owned(),
                seconds: TIMEOUT.as_secs(),
            }),
        }
    }

    async fn find_endpoints(&self) -> Endpoints {
        let mut hosts = self.hosts.clone();
        hosts.extend(self.published().await.map(|host| {
            let why = "the ConfigMap kube-public/cluster-info publishes it as the API endpoint";
            (host, why.to_owned())
        }));
        let mut endpoints = Endpoints::new();
        for (host, why) in hosts {
            for address in resolve(&host).await {
                endpoints.entry(address).or_insert_with(|| why.clone());
            }
        }
        endpoints
    }

    /// The endpoint that kubeadm publishes for those who join.
    async fn published(&self) -> Option<String> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), "kube-public");
        let asked = tokio::time::timeout(TIMEOUT, maps.get_opt("cluster-info")).await;
        // Not every cluster has one, and not every operator may read it.
        let map = asked.ok()?.ok()??;
        let kubeconfig = Kubeconfig::from_yaml(map.data?.get("kubeconfig")?).ok()?;
        let server = kubeconfig.clusters.into_iter().next()?.cluster?.server?;
        host_of(&server)
    }
}

/// The host of a URL, without the brackets of an IPv6 address.
pub fn host_of(url: &str) -> Option<String> {
    let uri: axum::http::Uri = url.parse().ok()?;
    let host = uri.host()?;
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

/// The addresses of a host; none if it cannot be found out in time, which is said.
async fn resolve(host: &str) -> Vec<IpAddr> {
    if let Ok(address) = host.parse() {
        return vec![address];
    }
    match tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(found)) => found.map(|socket| socket.ip()).collect(),
        Ok(Err(error)) => {
            tracing::warn!(
                "looking up the API endpoint `{host}`: {error}; whether a group carries it is not known"
            );
            Vec::new()
        }
        Err(_) => {
            tracing::warn!(
                "looking up the API endpoint `{host}`: no answer within {}s; whether a group carries it is not known",
                TIMEOUT.as_secs()
            );
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_is_bare() {
        for (url, host) in [
            ("https://10.0.0.100:6443", "10.0.0.100"),
            ("https://[fd00::100]:6443/", "fd00::100"),
            ("https://api.example.org", "api.example.org"),
        ] {
            assert_eq!(host_of(url).as_deref(), Some(host));
        }
        assert_eq!(host_of("/relative"), None);
    }
}
