//! The Lease that says of this node's status that it is still true.

use holdfast_api::v1alpha1::{AGENT_LEASE_PREFIX, AGENT_LEASE_SECONDS};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{GetParams, ObjectMeta, PostParams, Request};
use kube::{Client, Resource as _};

use super::call::{Failure, Reason, call, parse};
use super::status::micros;

/// This node's Lease, held by this process.
#[derive(Debug)]
pub struct Keeper {
    name: String,
    namespace: String,
    /// Who holds it: another process of the same node has another name.
    identity: String,
    requests: Request,
    /// The Lease as it was last seen; unknown after a request whose outcome is.
    known: Option<Lease>,
    /// Whether this process has held it.
    held: bool,
}

impl Keeper {
    /// For the Lease of `node`.
    pub fn new(node: &str, namespace: String, identity: String) -> Self {
        Self {
            name: format!("{AGENT_LEASE_PREFIX}{node}"),
            requests: Request::new(Lease::url_path(&(), Some(&namespace))),
            namespace,
            identity,
            known: None,
            held: false,
        }
    }

    /// Renews the Lease, and makes it first if there is none. Dropped midway, it looks again the next time.
    pub async fn renew(&mut self, client: &Client, now: Timestamp) -> Result<(), Failure> {
        let present = match self.known.take() {
            Some(lease) => Some(lease),
            None => self.get(client).await?,
        };
        if let Some(other) = self.intruder(present.as_ref()) {
            tracing::warn!(
                "{other} has taken the Lease {} from this agent: is there another node of the same name?",
                self.name
            );
        }
        let exists = present.is_some();
        let renewed = taken(present, &self.name, &self.namespace, &self.identity, now);
        let body = serde_json::to_vec(&renewed).map_err(unwritable)?;
        let request = if exists {
            self.requests.replace(&self.name, &PostParams::default(), body)
        } else {
            self.requests.create(&PostParams::default(), body)
        };
        let answer = call(client, request.map_err(unwritable)?).await?;
        self.known = Some(parse(&answer)?);
        self.held = true;
        Ok(())
    }

    async fn get(&self, client: &Client) -> Result<Option<Lease>, Failure> {
        let request = self
            .requests
            .get(&self.name, &GetParams::default())
            .map_err(unwritable)?;
        match call(client, request).await {
            Ok(body) => parse(&body).map(Some),
            Err(failure) if failure.reason == Reason::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Who has taken a Lease that this process held.
    fn intruder<'a>(&self, present: Option<&'a Lease>) -> Option<&'a str> {
        let holder = present?.spec.as_ref()?.holder_identity.as_deref()?;
        (self.held && holder != self.identity).then_some(holder)
    }
}

/// The Lease as its holder writes it.
fn taken(present: Option<Lease>, name: &str, namespace: &str, identity: &str, now: Timestamp) -> Lease {
    let mut lease = present.unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    let before = lease.spec.take().unwrap_or_default();
    let ours = before.holder_identity.as_deref() == Some(identity);
    let changed_hands = before.holder_identity.is_some() && !ours;
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: Some(AGENT_LEASE_SECONDS),
        acquire_time: before.acquire_time.filter(|_| ours).or_else(|| Some(micros(now))),
        renew_time: Some(micros(now)),
        lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(changed_hands)),
        ..before
    });
    lease
}

fn unwritable(error: impl core::fmt::Display) -> Failure {
    Failure::new(Reason::Rejected, format!("the Lease cannot be written: {error}"))
}
