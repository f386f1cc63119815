//! Watches: a list once and then only what changes, pruned to what is read. A watch that fails, or
//! that has gone silent, waits and begins anew with a list: what the server says of its own history is not trusted then.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;
use holdfast_api::cluster::{KubeNode, Taint};
use holdfast_api::v1alpha1::{AGENT_LEASE_PREFIX, MAINTENANCE, VirtualIPGroup, VirtualIPNode};
use holdfast_client::{Backoff, chance};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Category, because};
use crate::index::{Index, Seen};
use crate::leader::LEASE_NAME;
use crate::metrics::Metrics;
use crate::world::{Kind, WatchState, World};

/// How long a failing watch waits: short at the end too, because news that are late are status that is wrong.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(2));
/// Objects in one page of a list.
const PAGE: u32 = 250;

/// What of a Node is read. A Node's images and conditions are most of it, and are never even kept.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = "Node")]
pub struct SlimNode {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: SlimNodeSpec,
    #[serde(default)]
    status: SlimNodeStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SlimNodeSpec {
    unschedulable: bool,
    taints: Vec<SlimTaint>,
}

/// A taint without the time when it came.
#[derive(Clone, Debug, Deserialize)]
struct SlimTaint {
    key: String,
    #[serde(default)]
    value: String,
    effect: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct SlimNodeStatus {
    #[serde(default)]
    addresses: Vec<NodeAddress>,
}

#[derive(Clone, Debug, Deserialize)]
struct NodeAddress {
    #[serde(rename = "type")]
    type_: String,
    address: String,
}

impl SlimNode {
    /// What the operator knows of it.
    fn to_facts(&self) -> KubeNode {
        let of_type = |type_: &str| {
            let addresses = self.status.addresses.iter().filter(|it| it.type_ == type_);
            addresses.filter_map(|it| it.address.parse().ok()).collect()
        };
        let taints = self.spec.taints.iter().map(|taint| Taint {
            key: taint.key.clone(),
            value: taint.value.clone(),
            effect: taint.effect.clone(),
        });
        let annotation = self.annotations().get(MAINTENANCE);
        KubeNode {
            labels: self.labels().clone(),
            internal_ips: of_type("InternalIP"),
            external_ips: of_type("ExternalIP"),
            cordoned: self.spec.unschedulable,
            taints: taints.collect(),
            in_maintenance: annotation.is_some_and(|value| value == "true"),
        }
    }
}

/// An object that is watched, and how it goes into the index.
pub trait Watched:
    Resource<DynamicType = ()> + Clone + core::fmt::Debug + DeserializeOwned + Send + 'static
{
    /// Which kind it is.
    const KIND: Kind;
    /// It is there, or has changed.
    fn apply(self, index: &mut Index, seen: Seen, now: Timestamp);
    /// It is no more.
    fn delete(index: &mut Index, name: &str, now: Timestamp);
    /// The names of all that the index has.
    fn known(index: &Index) -> BTreeSet<String>;
    /// The name by which the index has it; `None`: it is none of ours.
    fn index_name(&self) -> Option<String> {
        self.meta().name.clone()
    }
}

impl Watched for VirtualIPGroup {
    const KIND: Kind = Kind::Group;

    fn apply(mut self, index: &mut Index, seen: Seen, _: Timestamp) {
        self.metadata.managed_fields = None;
        index.apply_group(self, seen);
    }

    fn delete(index: &mut Index, name: &str, _: Timestamp) {
        index.delete_group(name);
    }

    fn known(index: &Index) -> BTreeSet<String> {
        index.group_names()
    }
}

impl Watched for VirtualIPNode {
    const KIND: Kind = Kind::Stored;

    fn apply(self, index: &mut Index, seen: Seen, now: Timestamp) {
        index.apply_stored(self, seen, now);
    }

    fn delete(index: &mut Index, name: &str, _: Timestamp) {
        index.delete_stored(name);
    }

    fn known(index: &Index) -> BTreeSet<String> {
        index.stored_names()
    }
}

impl Watched for SlimNode {
    const KIND: Kind = Kind::Node;

    fn apply(self, index: &mut Index, _: Seen, now: Timestamp) {
        index.apply_node(&self.name_any(), self.to_facts(), now);
    }

    fn delete(index: &mut Index, name: &str, now: Timestamp) {
        index.delete_node(name, now);
    }

    fn known(index: &Index) -> BTreeSet<String> {
        index.node_names()
    }
}

impl Watched for Lease {
    const KIND: Kind = Kind::Lease;

    fn apply(self, index: &mut Index, seen: Seen, now: Timestamp) {
        if let Some(node) = self.index_name() {
            let renewed = self.spec.and_then(|spec| spec.renew_time);
            index.apply_lease(&node, renewed, seen, now);
        }
    }

    fn delete(index: &mut Index, name: &str, _: Timestamp) {
        index.delete_lease(name);
    }

    fn known(index: &Index) -> BTreeSet<String> {
        index.leased_names()
    }

    fn index_name(&self) -> Option<String> {
        let name = self.meta().name.as_deref()?;
        name.strip_prefix(AGENT_LEASE_PREFIX).map(str::to_owned)
    }
}

/// Starts all watches; they end with the task set.
pub fn start(
    tasks: &mut tokio::task::JoinSet<()>,
    client: &Client,
    namespace: &str,
    world: &Arc<World>,
    metrics: &Arc<Metrics>,
) {
    let context = || (Arc::clone(world), Arc::clone(metrics));
    let (world, metrics) = context();
    tasks.spawn(follow(Api::<VirtualIPGroup>::all(client.clone()), world, metrics));
    let (world, metrics) = context();
    tasks.spawn(follow(Api::<VirtualIPNode>::all(client.clone()), world, metrics));
    let (world, metrics) = context();
    tasks.spawn(follow(Api::<SlimNode>::all(client.clone()), world, metrics));
    let (world, metrics) = context();
    let leases = Api::<Lease>::namespaced(client.clone(), namespace);
    tasks.spawn(follow(leases, world, metrics));
}

/// Keeps the index up to date with one kind, for ever.
pub async fn follow<K: Watched>(api: Api<K>, world: Arc<World>, metrics: Arc<Metrics>) {
    let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
    let mut relist = world.relist.subscribe();
    world.set_watch(K::KIND, &WatchState::Starting);
    loop {
        let config = watcher::Config::default().page_size(PAGE);
        let mut stream = watcher::watcher(api.clone(), config).boxed();
        let mut listing = None;
        loop {
            let event = tokio::select! {
                event = stream.next() => event,
                _ = relist.changed() => break,
            };
            match event {
                Some(Ok(Event::Init)) => listing = Some(BTreeSet::new()),
                Some(Ok(event)) => {
                    if fold(&world, event, &mut listing) {
                        backoff.succeeded();
                        world.set_watch(K::KIND, &WatchState::Up);
                    }
                    // A list is a long row of events that are all there already.
                    tokio::task::yield_now().await;
                }
                Some(Err(error)) => {
                    let (category, sentence) = explain(&error);
                    metrics.watch_failed(K::KIND, category);
                    world.set_watch(K::KIND, &WatchState::Down(sentence));
                    tokio::time::sleep(backoff.failed(chance())).await;
                    break;
                }
                None => break,
            }
        }
    }
}

/// Brings one event into the index. Answers whether the watch is known to deliver now.
fn fold<K: Watched>(world: &World, event: Event<K>, listing: &mut Option<BTreeSet<String>>) -> bool {
    match event {
        Event::Init => false,
        Event::InitApply(object) => {
            if let (Some(listing), Some(name)) = (listing.as_mut(), object.index_name()) {
                listing.insert(name);
                world.change(|index, now| object.apply(index, Seen::Listed, now));
            }
            false
        }
        Event::InitDone => {
            let listed = listing.take().unwrap_or_default();
            world.change(|index, now| {
                for gone in K::known(index).difference(&listed) {
                    K::delete(index, gone, now);
                }
            });
            true
        }
        Event::Apply(object) => {
            note_pulse(world, &object);
            if object.index_name().is_some() {
                world.change(|index, now| object.apply(index, Seen::Told, now));
            }
            true
        }
        Event::Delete(object) => {
            if let Some(name) = object.index_name() {
                world.change(|index, now| K::delete(index, &name, now));
            }
            true
        }
    }
}

/// The operators' own Lease is renewed every two seconds and comes by here: what its leader hears of it says that watches
/// deliver at all.
fn note_pulse<K: Watched>(world: &World, object: &K) {
    if K::KIND == Kind::Lease && object.meta().name.as_deref() == Some(LEASE_NAME) {
        world.pulse_heard();
    }
}

fn explain(error: &watcher::Error) -> (Category, String) {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(source) | WatchStartFailed(source) | WatchFailed(source) => {
            let category = Category::of(source);
            let hint = match category {
                Category::NotFound => {
                    "there is no such kind of object: are Holdfast's CustomResourceDefinitions applied?"
                }
                Category::Forbidden => "the operator's ServiceAccount may not: see the chart's ClusterRole",
                _ => "",
            };
            let sentence = because(source);
            let sentence = if hint.is_empty() {
                sentence
            } else {
                format!("{sentence}; {hint}")
            };
            (category, sentence)
        }
        WatchError(status) => {
            let error = kube::Error::Api(status.clone());
            (Category::of(&error), because(&error))
        }
        NoResourceVersion => (Category::Other, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_node_is_kept_what_selects_it_where_it_is_and_whether_it_is_being_worked_on() {
        let node: SlimNode = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {
                "name": "n-1", "labels": {"role": "web"},
                "annotations": {"vip.holdfast.dev/maintenance": "true", "other": "x"},
            },
            "spec": {
                "unschedulable": true, "podCIDR": "10.1.0.0/24",
                "taints": [
                    {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"},
                    {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"},
                ],
            },
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": "10.0.0.11"}, {"type": "Hostname", "address": "n-1"},
                    {"type": "ExternalIP", "address": "192.0.2.11"},
                ],
                "images": [{"names": ["x"]}],
            },
        }))
        .unwrap();
        let facts = node.to_facts();
        let taints: Vec<String> = facts.taints.iter().map(Taint::to_string).collect();
        assert_eq!(
            taints,
            [
                "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute",
                "node.kubernetes.io/unschedulable:NoSchedule"
            ]
        );
        let expected = KubeNode {
            labels: [("role".to_owned(), "web".to_owned())].into(),
            internal_ips: vec!["10.0.0.11".parse().unwrap()],
            external_ips: vec!["192.0.2.11".parse().unwrap()],
            cordoned: true,
            taints: facts.taints.clone(),
            in_maintenance: true,
        };
        assert_eq!(facts, expected);
    }

    #[test]
    fn a_node_that_says_nothing_of_work_is_not_being_worked_on() {
        for (annotations, spec) in [
            (json!({}), json!({})),
            (
                json!({"vip.holdfast.dev/maintenance": "false"}),
                json!({"unschedulable": false}),
            ),
        ] {
            let node: SlimNode = serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n-1", "annotations": annotations}, "spec": spec,
            }))
            .unwrap();
            assert_eq!(node.to_facts(), KubeNode::default());
        }
    }
}
