//! Every write of the reconcilers, in one place. Each is made only while this replica leads, names the version of the
//! object it is based on, and brings the answer into the index, so that the next turn sees it without waiting for a watch.

use core::time::Duration;
use std::sync::Arc;

use holdfast_api::v1alpha1::{
    ALLOCATOR_FIELD_MANAGER, API_VERSION, FINALIZER, OPERATOR_FIELD_MANAGER, VirtualIPGroup,
    VirtualIPGroupStatus, VirtualIPNode, VirtualIPNodeSpec,
};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::error::{Category, Error};
use crate::index::{Seen, Stored};
use crate::leader::{LEASE_DURATION, Leadership, RENEW_DEADLINE};
use crate::metrics::Metrics;
use crate::world::World;

/// How long one write may take: what is begun by the last moment of leading is over before another replica leads.
const TIMEOUT: Duration = Duration::from_secs(4);
const _: () = assert!(RENEW_DEADLINE.as_secs() + TIMEOUT.as_secs() < LEASE_DURATION.as_secs());

/// Objects in one page of a list.
const PAGE: u32 = 500;

/// Writes. See the module.
#[derive(Debug)]
pub struct Writer {
    groups: Api<VirtualIPGroup>,
    nodes: Api<VirtualIPNode>,
    leadership: Arc<Leadership>,
    world: Arc<World>,
    metrics: Arc<Metrics>,
}

impl Writer {
    /// A writer for whoever leads.
    pub fn new(
        client: &Client,
        leadership: Arc<Leadership>,
        world: Arc<World>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            groups: Api::all(client.clone()),
            nodes: Api::all(client.clone()),
            leadership,
            world,
            metrics,
        }
    }

    /// Tells a node for the first time. Refused if somebody else has.
    pub async fn create_node(&self, name: &str, spec: VirtualIPNodeSpec) -> Result<(), Error> {
        let object = VirtualIPNode::new(name, spec);
        let parameters = PostParams {
            field_manager: Some(OPERATOR_FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let write = self.nodes.create(&parameters, &object);
        let written = self
            .send("creating VirtualIPNode", name, "node_spec", write)
            .await?;
        self.stored(written);
        Ok(())
    }

    /// Reads what a node has been told: after a write that has ended without an answer.
    pub async fn read_node(&self, name: &str) -> Result<(), Error> {
        let read = self.nodes.get_opt(name);
        let found = self.send("reading VirtualIPNode", name, "reads", read).await?;
        if let Some(object) = found {
            self.stored(object);
        }
        Ok(())
    }

    /// Reads what all nodes have been told: what a former leader wrote last may not have come by the watch.
    pub async fn read_nodes(&self) -> Result<(), Error> {
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = self.nodes.list(&page);
            let list = self.send("listing", "virtualipnodes", "reads", list).await?;
            for object in list.items {
                self.stored(object);
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(()),
            }
        }
    }

    /// Tells a node something else than what is stored.
    pub async fn update_node(
        &self,
        name: &str,
        stored: &Stored,
        spec: &VirtualIPNodeSpec,
    ) -> Result<(), Error> {
        // Not server-side apply: it would keep what it did not write itself, and this spec has one writer and is whole.
        let body = json!({
            "metadata": {"resourceVersion": stored.resource_version},
            "spec": whole(spec),
        });
        let patch = Patch::Merge(body);
        let parameters = PatchParams {
            field_manager: Some(OPERATOR_FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let write = self.nodes.patch(name, &parameters, &patch);
        let written = self
            .send("writing VirtualIPNode", name, "node_spec", write)
            .await?;
        self.stored(written);
        Ok(())
    }

    /// Gives a group that names none a virtual router identifier.
    pub async fn allocate(&self, group: &VirtualIPGroup, identifier: u8) -> Result<(), Error> {
        let mut body = precondition(group);
        body["spec"] = json!({"virtualRouterID": identifier});
        // A user who writes one at this very moment wins: no force.
        let parameters = PatchParams::apply(ALLOCATOR_FIELD_MANAGER);
        let patch = Patch::Apply(body);
        let name = group.name_any();
        let write = self.groups.patch(&name, &parameters, &patch);
        let doing = "writing the virtual router identifier of VirtualIPGroup";
        let written = self.send(doing, &name, "virtual_router_id", write).await?;
        self.known(written);
        Ok(())
    }

    /// Makes a group's deletion wait for its withdrawal, or lets it go.
    pub async fn hold(&self, group: &VirtualIPGroup, hold: bool) -> Result<(), Error> {
        let others = group.finalizers().iter().filter(|it| *it != FINALIZER).cloned();
        let ours = hold.then(|| FINALIZER.to_owned());
        let finalizers: Vec<String> = others.chain(ours).collect();
        let body = json!({
            "metadata": {"resourceVersion": group.resource_version(), "finalizers": finalizers},
        });
        let patch = Patch::Merge(body);
        let parameters = PatchParams {
            field_manager: Some(OPERATOR_FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let name = group.name_any();
        let write = self.groups.patch(&name, &parameters, &patch);
        let doing = "writing the finalizers of VirtualIPGroup";
        match self.send(doing, &name, "finalizers", write).await {
            // The answer to the last finalizer's removal is an object that is no more.
            Ok(written) if hold || !written.finalizers().is_empty() => self.known(written),
            Ok(_) => self.gone(&name),
            Err(error) if !hold && error.category() == Category::NotFound => self.gone(&name),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Says what is true of a group.
    pub async fn status(&self, group: &VirtualIPGroup, status: &VirtualIPGroupStatus) -> Result<(), Error> {
        let mut body = precondition(group);
        body["status"] = json!(status);
        let parameters = PatchParams::apply(OPERATOR_FIELD_MANAGER).force();
        let patch = Patch::Apply(body);
        let name = group.name_any();
        let write = self.groups.patch_status(&name, &parameters, &patch);
        let doing = "writing the status of VirtualIPGroup";
        let written = self.send(doing, &name, "group_status", write).await?;
        self.known(written);
        Ok(())
    }

    async fn send<T>(
        &self,
        doing: &'static str,
        object: &str,
        what: &'static str,
        write: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        if !self.leadership.holds() {
            return Err(Error::NotLeading);
        }
        match tokio::time::timeout(TIMEOUT, write).await {
            Ok(Ok(written)) => {
                self.metrics.wrote(what);
                Ok(written)
            }
            Ok(Err(source)) => Err(Error::Api {
                doing,
                object: object.to_owned(),
                source: Box::new(source),
            }),
            Err(_) => Err(Error::NoAnswer {
                doing,
                object: object.to_owned(),
                seconds: TIMEOUT.as_secs(),
            }),
        }
    }

    fn stored(&self, object: VirtualIPNode) {
        self.world
            .change(|index, now| index.apply_stored(object, Seen::Told, now));
    }

    fn gone(&self, group: &str) {
        self.world.change(|index, _| index.delete_group(group));
    }

    fn known(&self, mut group: VirtualIPGroup) {
        group.metadata.managed_fields = None;
        self.world.change(|index, _| index.apply_group(group, Seen::Told));
    }
}

/// What every server-side apply begins with: the object, in the version that was read.
fn precondition(group: &VirtualIPGroup) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "VirtualIPGroup",
        "metadata": {"name": group.name_any(), "resourceVersion": group.resource_version()},
    })
}

/// A spec in which what is left out is said to be absent, as a merge needs it.
fn whole(spec: &VirtualIPNodeSpec) -> Value {
    let mut whole = json!({"clusterUID": null, "groups": null, "requiredFeatures": null});
    if let (Some(whole), Value::Object(written)) = (whole.as_object_mut(), json!(spec)) {
        whole.extend(written);
    }
    whole
}
