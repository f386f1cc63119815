//! The static Pod: the chart's agent, but for what needs a cluster. No service account, no API server; its group is an
//! annotation that the kubelet itself lays out as a file.

use std::collections::BTreeMap;

use holdfast_api::yaml;
use k8s_openapi::api::core::v1::{
    Capabilities, Container as PodContainer, DownwardAPIVolumeFile, DownwardAPIVolumeSource, EnvVar,
    EnvVarSource, HTTPGetAction, HostPathVolumeSource, ObjectFieldSelector, Pod, PodSecurityContext, PodSpec,
    Probe, ResourceRequirements, SeccompProfile, SecurityContext, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::group::{ControlPlane, NODE_LABEL};

/// The annotation that carries the group.
pub const GROUP_ANNOTATION: &str = "vip.holdfast.dev/group";

/// Where the Pod's agent answers for metrics and health. Not the port of the chart's agents: on a node with both, each
/// kubelet's question reaches the agent it is about, and neither keeps the other from being scheduled.
pub const METRICS_PORT: u16 = 9415;

/// The folder in which the agent finds its group.
const CONFIG: &str = "/etc/holdfast";
/// The agent's socket and which groups are active; emptied by a reboot.
const RUN: &str = "/run/holdfast";
/// Where kubeadm keeps the cluster's CA, by which the API server's certificate is judged.
const PKI: &str = "/etc/kubernetes/pki";
/// What `system-node-critical` means. No admission fills it in for a static Pod.
const NODE_CRITICAL: i32 = 2_000_001_000;

/// The image and how it is got.
#[derive(Clone, Debug)]
pub struct Container {
    /// The image's reference.
    pub image: String,
    /// When it is pulled.
    pub pull_policy: PullPolicy,
}

/// When an image is pulled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum PullPolicy {
    /// Each time the Pod starts
    Always,
    /// When the node does not have it
    #[default]
    IfNotPresent,
    /// Not at all: somebody has put it on the node
    Never,
}

impl PullPolicy {
    fn name(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// The Pod for `plane` as YAML, with `group` as its group's text.
pub fn pod(plane: &ControlPlane, group: &str, container: &Container) -> Result<String, String> {
    let text = yaml::write(&object(plane, group, container))?;
    Ok(format!(
        "# The agent of Holdfast as a static Pod: it holds the address of a control plane that need not exist yet.\n\
         # Written by `holdfast-agent manifest kubeadm` {version}, and the same on every control-plane node.\n{text}",
        version = env!("CARGO_PKG_VERSION")
    ))
}

fn object(plane: &ControlPlane, group: &str, container: &Container) -> Pod {
    let labels = [
        ("name", "holdfast"),
        ("component", "agent"),
        ("part-of", "holdfast"),
    ];
    let labels = labels.map(|(key, value)| (format!("app.kubernetes.io/{key}"), value.to_owned()));
    Pod {
        metadata: ObjectMeta {
            name: Some("holdfast".to_owned()),
            namespace: Some("kube-system".to_owned()),
            labels: Some(BTreeMap::from(labels)),
            annotations: Some(BTreeMap::from([(GROUP_ANNOTATION.to_owned(), group.to_owned())])),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            containers: vec![agent(plane, container)],
            // The node's resolver: the cluster's may need the address that the agent holds.
            dns_policy: Some("Default".to_owned()),
            enable_service_links: Some(false),
            host_network: Some(true),
            host_pid: plane.proxy.is_process().then_some(true),
            priority: Some(NODE_CRITICAL),
            priority_class_name: Some("system-node-critical".to_owned()),
            security_context: Some(PodSecurityContext {
                // Root without its power. A container of another user gets no capability from Kubernetes.
                run_as_user: Some(0),
                run_as_group: Some(0),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    ..SeccompProfile::default()
                }),
                ..PodSecurityContext::default()
            }),
            // Handing over takes up to four advertisement intervals.
            termination_grace_period_seconds: Some(60),
            tolerations: Some(vec![Toleration {
                operator: Some("Exists".to_owned()),
                ..Toleration::default()
            }]),
            volumes: Some(volumes(plane)),
            ..PodSpec::default()
        }),
        ..Pod::default()
    }
}

fn agent(plane: &ControlPlane, container: &Container) -> PodContainer {
    let quantities = |pairs: &[(&str, &str)]| {
        let owned = |(name, amount): &(&str, &str)| ((*name).to_owned(), Quantity((*amount).to_owned()));
        Some(pairs.iter().map(owned).collect::<BTreeMap<_, _>>())
    };
    PodContainer {
        name: "agent".to_owned(),
        image: Some(container.image.clone()),
        image_pull_policy: Some(container.pull_policy.name().to_owned()),
        args: Some(arguments(plane)),
        env: Some(vec![EnvVar {
            name: "NODE_NAME".to_owned(),
            value_from: Some(EnvVarSource {
                field_ref: Some(field("spec.nodeName")),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        }]),
        // Fails when the engine's heartbeat stops; its addresses expire by themselves then, and a new agent helps.
        liveness_probe: Some(answers("/healthz", 10)),
        readiness_probe: Some(answers("/readyz", 5)),
        // No limit of CPU: an agent that is throttled misses advertisements, and addresses move.
        resources: Some(ResourceRequirements {
            requests: quantities(&[("cpu", "50m"), ("memory", "32Mi")]),
            limits: quantities(&[("memory", "128Mi")]),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            privileged: Some(false),
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: Some(vec!["NET_ADMIN".to_owned(), "NET_RAW".to_owned()]),
            }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(
            places(plane)
                .into_iter()
                .map(|place| VolumeMount {
                    name: place.name.to_owned(),
                    mount_path: place.path.to_owned(),
                    read_only: place.is_read_only.then_some(true),
                    ..VolumeMount::default()
                })
                .collect(),
        ),
        ..PodContainer::default()
    }
}

fn arguments(plane: &ControlPlane) -> Vec<String> {
    let mut arguments = vec![
        "run".to_owned(),
        "--node=$(NODE_NAME)".to_owned(),
        format!("--node-label={NODE_LABEL}="),
        format!("--config={CONFIG}"),
        "--pod".to_owned(),
    ];
    arguments.push(if plane.proxy.is_process() {
        "--host-pid".to_owned()
    } else {
        format!("--host-path={PKI}")
    });
    arguments.extend([
        format!("--run-dir={RUN}"),
        format!("--metrics-address=127.0.0.1:{METRICS_PORT}"),
        "--log-level=info".to_owned(),
        "--log-format=json".to_owned(),
    ]);
    arguments
}

/// A folder of the container.
struct Place {
    name: &'static str,
    path: &'static str,
    is_read_only: bool,
}

fn places(plane: &ControlPlane) -> Vec<Place> {
    let folder = |name, path, is_read_only| Place {
        name,
        path,
        is_read_only,
    };
    let mut all = vec![folder("group", CONFIG, true), folder("run", RUN, false)];
    if !plane.proxy.is_process() {
        all.push(folder("pki", PKI, true));
    }
    all
}

fn volumes(plane: &ControlPlane) -> Vec<Volume> {
    let volume = |place: Place| {
        let mut volume = Volume {
            name: place.name.to_owned(),
            ..Volume::default()
        };
        if place.path == CONFIG {
            volume.downward_api = Some(DownwardAPIVolumeSource {
                items: Some(vec![DownwardAPIVolumeFile {
                    path: format!("{}.yaml", plane.name),
                    field_ref: Some(field(&format!("metadata.annotations['{GROUP_ANNOTATION}']"))),
                    ..DownwardAPIVolumeFile::default()
                }]),
                ..DownwardAPIVolumeSource::default()
            });
        } else {
            // kubeadm makes the CA later, and the agent starts before there is one.
            volume.host_path = Some(HostPathVolumeSource {
                path: place.path.to_owned(),
                type_: Some("DirectoryOrCreate".to_owned()),
            });
        }
        volume
    };
    places(plane).into_iter().map(volume).collect()
}

fn field(path: &str) -> ObjectFieldSelector {
    ObjectFieldSelector {
        field_path: path.to_owned(),
        ..ObjectFieldSelector::default()
    }
}

/// The kubelet's question to this Pod's agent.
fn answers(path: &str, period: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            host: Some("127.0.0.1".to_owned()),
            path: Some(path.to_owned()),
            port: IntOrString::Int(i32::from(METRICS_PORT)),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}
