//! What the API says: this node's own `VirtualIPNode` and the Secrets that its groups name, each watched by its name.
//!
//! What is heard is kept as one value, the latest. Nobody waits for it, and what is not heard is no instruction.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_api::v1alpha1::{GROUP, VERSION, VirtualIPNodeStatus};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::follow::{Seen, follow};
use super::told::Told;
use crate::api_server::ApiServer;
use crate::status::FaultStatus;

/// What is watched is followed until this is dropped.
#[derive(Debug)]
pub struct ApiSource {
    news: watch::Receiver<News>,
    wanted: watch::Sender<BTreeSet<String>>,
    // Held, so that they end with it.
    _followers: [Task; 3],
}

/// Everything that is known from the API, and about the way to it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct News {
    /// This node's object.
    pub object: Heard,
    /// The Secrets that were asked for, by name, as far as an answer came.
    pub secrets: BTreeMap<String, SecretNews>,
    /// The host that is not dialed, because it is a virtual address of this node.
    pub refused_host: Option<String>,
    /// The addresses of the host that the kubeconfig names.
    pub endpoint: BTreeSet<IpAddr>,
}

/// What is known of this node's object.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Heard {
    /// Nothing: the API server has not answered yet.
    #[default]
    Nothing,
    /// It is not there.
    Absent,
    /// The API server does not give it, or it is not one.
    Denied(FaultStatus),
    /// What it says.
    Told(Arc<Told>),
}

/// What is known of a Secret.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretNews {
    /// What it holds.
    Data(BTreeMap<String, Vec<u8>>),
    /// It is not there.
    Absent,
    /// The API server does not give it; a sentence.
    Denied(String),
}

impl core::fmt::Debug for SecretNews {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Data(data) => f
                .debug_map()
                .entries(data.keys().map(|key| (key, "***")))
                .finish(),
            Self::Absent => f.write_str("Absent"),
            Self::Denied(sentence) => f.debug_tuple("Denied").field(sentence).finish(),
        }
    }
}

/// A task that ends with what holds it.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ApiSource {
    /// Starts to follow the object of `node`, and Secrets in `namespace`. `stored` is told the status of the object whenever
    /// it is seen. Needs a tokio runtime.
    pub fn start(
        server: &ApiServer,
        client: &Client,
        node: &str,
        namespace: &str,
        stored: impl Fn(VirtualIPNodeStatus) + Send + Sync + 'static,
    ) -> Self {
        let news = watch::Sender::new(News::default());
        let wanted = watch::Sender::new(BTreeSet::new());
        Self {
            news: news.subscribe(),
            _followers: [
                Task(tokio::spawn(follow_object(
                    server.clone(),
                    client.clone(),
                    node.to_owned(),
                    news.clone(),
                    stored,
                ))),
                Task(tokio::spawn(follow_secrets(
                    server.clone(),
                    client.clone(),
                    namespace.to_owned(),
                    news.clone(),
                    wanted.subscribe(),
                ))),
                Task(tokio::spawn(follow_way(server.clone(), news))),
            ],
            wanted,
        }
    }

    /// From now on follow these Secrets and no others.
    pub fn want(&self, secrets: BTreeSet<String>) {
        self.wanted.send_if_modified(|wanted| {
            let changed = *wanted != secrets;
            *wanted = secrets;
            changed
        });
    }

    /// Waits for news. Safe to cancel.
    pub async fn changed(&mut self) {
        if self.news.changed().await.is_err() {
            // All followers have ended, which they do not.
            core::future::pending::<()>().await;
        }
    }

    /// What is known now.
    pub fn news(&mut self) -> News {
        self.news.borrow_and_update().clone()
    }
}

async fn follow_object(
    server: ApiServer,
    client: Client,
    node: String,
    news: watch::Sender<News>,
    stored: impl Fn(VirtualIPNodeStatus),
) {
    // Untyped, so that what a newer operator writes can be read entry by entry.
    let kind = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(GROUP, VERSION, "VirtualIPNode"),
        "virtualipnodes",
    );
    let api: Api<DynamicObject> = Api::all_with(client, &kind);
    follow(&server, api, &node, |seen| {
        let object = match seen {
            Seen::There(mut object) => {
                let status = object.data["status"].take();
                stored(serde_json::from_value(status).unwrap_or_default());
                read(*object)
            }
            Seen::Absent => Heard::Absent,
            Seen::Denied(sentence) => denied(
                "APIAccessDenied",
                format!("the API server does not let this agent read VirtualIPNode {node}: {sentence}"),
            ),
        };
        publish(&news, |news| &mut news.object, object);
    })
    .await;
}

fn read(mut object: DynamicObject) -> Heard {
    let generation = object.metadata.generation.unwrap_or_default();
    let spec = object.data["spec"].take();
    match Told::read(spec, generation) {
        Ok(told) => Heard::Told(Arc::new(told)),
        Err(error) => denied(
            "UnreadableSpec",
            format!(
                "generation {generation} of this node's VirtualIPNode cannot be read, so it is not applied: {error}"
            ),
        ),
    }
}

fn denied(reason: &str, message: String) -> Heard {
    Heard::Denied(FaultStatus {
        reason: reason.to_owned(),
        message,
    })
}

async fn follow_secrets(
    server: ApiServer,
    client: Client,
    namespace: String,
    news: watch::Sender<News>,
    mut wanted: watch::Receiver<BTreeSet<String>>,
) {
    let mut followed: BTreeMap<String, Task> = BTreeMap::new();
    loop {
        let names = wanted.borrow_and_update().clone();
        followed.retain(|name, _| names.contains(name));
        news.send_if_modified(|news| {
            let before = news.secrets.len();
            news.secrets.retain(|name, _| names.contains(name));
            news.secrets.len() != before
        });
        for name in names {
            followed.entry(name.clone()).or_insert_with(|| {
                let api = Api::namespaced(client.clone(), &namespace);
                Task(tokio::spawn(follow_secret(
                    server.clone(),
                    api,
                    name,
                    news.clone(),
                )))
            });
        }
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

async fn follow_secret(server: ApiServer, api: Api<Secret>, name: String, news: watch::Sender<News>) {
    follow(&server, api, &name, |seen| {
        let secret = match seen {
            Seen::There(secret) => {
                let data = secret.data.unwrap_or_default();
                SecretNews::Data(data.into_iter().map(|(key, value)| (key, value.0)).collect())
            }
            Seen::Absent => SecretNews::Absent,
            Seen::Denied(sentence) => SecretNews::Denied(sentence),
        };
        news.send_if_modified(|news| {
            let changed = news.secrets.get(&name) != Some(&secret);
            news.secrets.insert(name.clone(), secret);
            changed
        });
    })
    .await;
}

/// Follows what is known about the way to the API server.
async fn follow_way(server: ApiServer, news: watch::Sender<News>) {
    let (mut refused, mut endpoint) = (server.refused(), server.endpoint());
    loop {
        let host = refused.borrow_and_update().clone();
        publish(&news, |news| &mut news.refused_host, host);
        let addresses = endpoint.borrow_and_update().clone();
        publish(&news, |news| &mut news.endpoint, addresses);
        let outcome = tokio::select! {
            outcome = refused.changed() => outcome,
            outcome = endpoint.changed() => outcome,
        };
        if outcome.is_err() {
            return;
        }
    }
}

fn publish<T: PartialEq>(news: &watch::Sender<News>, part: impl Fn(&mut News) -> &mut T, value: T) {
    news.send_if_modified(|news| {
        let part = part(news);
        let changed = *part != value;
        *part = value;
        changed
    });
}

#[cfg(test)]
mod outages;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(spec: &serde_json::Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "vip.holdfast.dev/v1alpha1",
            "kind": "VirtualIPNode",
            "metadata": { "name": "cp-1", "generation": 7 },
            "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn an_object_that_is_none_is_no_instruction() {
        let Heard::Told(told) = read(object(&json!({ "groups": [] }))) else {
            panic!("not read")
        };
        assert_eq!(told.generation, 7);
        let Heard::Denied(fault) = read(object(&json!({ "groups": 7 }))) else {
            panic!("read")
        };
        assert!(fault.message.contains("generation 7"), "{fault:?}");
    }

    #[test]
    fn the_same_again_is_no_news() {
        let sender = watch::Sender::new(News::default());
        let mut receiver = sender.subscribe();
        publish(&sender, |news| &mut news.object, Heard::Absent);
        assert!(receiver.has_changed().unwrap());
        receiver.mark_unchanged();
        publish(&sender, |news| &mut news.object, Heard::Absent);
        assert!(!receiver.has_changed().unwrap());
    }

    #[test]
    fn a_secret_is_printed_as_stars() {
        let secret = SecretNews::Data(BTreeMap::from([("password".to_owned(), b"opensesa".to_vec())]));
        assert_eq!(format!("{secret:?}"), "{\"password\": \"***\"}");
    }
}
