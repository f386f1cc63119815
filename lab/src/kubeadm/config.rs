//! What the programs of a node are told: text, made from a few facts.

use std::net::{IpAddr, Ipv4Addr};

use super::{NodeRole, Plan};

/// What the machines' pods live in; a node gets a /24 of it.
pub(super) const POD_SUBNET: &str = "10.244.0.0/16";
/// Where the API server's own Service is, in kube-proxy's and the API server's network.
pub(super) const SERVICE_SUBNET: &str = "10.96.0.0/16";
/// Where Debian puts the plugins of containernetworking-plugins.
pub(super) const CNI_PROGRAMS: &str = "/usr/lib/cni";
/// The one token of a cluster that lasts for minutes.
pub(super) const TOKEN: &str = "abcdef.0123456789abcdef";
const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";
/// Encrypts the certificates that `--upload-certs` hands to the other control-plane nodes.
const CERTIFICATE_KEY: &str = "6b5d6f0a4c1e8d3f927a5b4c3d2e1f00112233445566778899aabbccddeeff00";

/// containerd's configuration: cgroups by name (there is no systemd), no AppArmor, and no score below its own for the
/// OOM killer, which takes a capability that not every root has.
pub(super) fn containerd(pause: &str) -> String {
    format!(
        r#"version = 3

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{pause}"

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{CNI_PROGRAMS}"]
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
"#
    )
}

/// A bridge for the pods of node `number`; routes lead to those of the others.
pub(super) fn cni(number: u8) -> String {
    format!(
        r#"{{
  "cniVersion": "1.0.0",
  "name": "lab",
  "plugins": [
    {{
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "ipMasq": false,
      "ipam": {{
        "type": "host-local",
        "ranges": [[{{"subnet": "{}"}}]],
        "routes": [{{"dst": "0.0.0.0/0"}}]
      }}
    }}
  ]
}}
"#,
        pod_network(number)
    )
}

/// The network of the pods of node `number`.
pub(super) fn pod_network(number: u8) -> String {
    format!("10.244.{number}.0/24")
}

/// What `kubeadm init --config` reads.
pub(super) fn init(plan: &Plan, name: &str, own: Ipv4Addr) -> String {
    format!(
        r"apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens: [{{token: {TOKEN}, ttl: 2h0m0s}}]
certificateKey: {CERTIFICATE_KEY}
localAPIEndpoint: {{advertiseAddress: {own}, bindPort: {port}}}
{registration}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: {version}
controlPlaneEndpoint: {endpoint}:{port}
networking: {{podSubnet: {POD_SUBNET}, serviceSubnet: {SERVICE_SUBNET}}}
",
        registration = registration(name, own),
        version = plan.version,
        endpoint = plan.endpoint,
        port = super::PORT,
    )
}

/// What `kubeadm join --config` reads.
pub(super) fn join(endpoint: IpAddr, ca_hash: &str, role: NodeRole, name: &str, own: Ipv4Addr) -> String {
    let port = super::PORT;
    let control_plane = match role {
        NodeRole::ControlPlane => format!(
            "controlPlane:\n  certificateKey: {CERTIFICATE_KEY}\n  localAPIEndpoint: {{advertiseAddress: {own}, bindPort: {port}}}\n"
        ),
        NodeRole::Worker => String::new(),
    };
    format!(
        r"apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken:
    token: {TOKEN}
    apiServerEndpoint: {endpoint}:{port}
    caCertHashes: [{ca_hash}]
{control_plane}{registration}
",
        registration = registration(name, own),
    )
}

/// The node's own part of both, with the address that it is to be known by, never a virtual one.
fn registration(name: &str, own: Ipv4Addr) -> String {
    format!(
        "nodeRegistration:\n  name: {name}\n  criSocket: unix://{CONTAINERD_SOCKET}\n  imagePullPolicy: Never\n  \
         kubeletExtraArgs:\n  - {{name: node-ip, value: {own}}}"
    )
}

/// Where a machine says what its kubelet is to do differently, whatever kubeadm tells it.
const KUBELET_DROP_INS: &str = "/etc/kubernetes/kubelet.conf.d";
/// The file of it that the lab writes.
pub(super) const KUBELET_DROP_IN: &str = "/etc/kubernetes/kubelet.conf.d/10-lab.conf";

/// What every kubelet of the lab is told by its machine: its place among the cgroups that it shares with other machines, of
/// either version and without systemd. The machine's disk is memory, and of the real one's fullness no test should know.
pub(super) fn kubelet(cgroup: &str) -> String {
    format!(
        r"apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupRoot: {cgroup}
cgroupDriver: cgroupfs
failCgroupV1: false
localStorageCapacityIsolation: false
evictionHard: {{memory.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}}
imageGCHighThresholdPercent: 100
"
    )
}

/// What runs when a person types `kubeadm` on a machine: kubeadm, with what the lab cannot do without. Its check of the system
/// refuses version 1 of cgroups, and neither CoreDNS nor kube-proxy runs here as a pod.
pub(super) fn typed_kubeadm(kubeadm: &str) -> String {
    format!(
        r#"#!/bin/sh
case "$1" in
init) exec {kubeadm} "$@" --ignore-preflight-errors=SystemVerification --skip-phases=addon ;;
join) exec {kubeadm} "$@" --ignore-preflight-errors=SystemVerification ;;
*) exec {kubeadm} "$@" ;;
esac
"#
    )
}

/// kube-proxy's configuration; it sets no value of the kernel that all machines share.
pub(super) fn kube_proxy(name: &str) -> String {
    format!(
        r"apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: {name}
clusterCIDR: {POD_SUBNET}
clientConnection: {{kubeconfig: /etc/kubernetes/kube-proxy.conf}}
conntrack: {{maxPerCore: 0, min: 0}}
"
    )
}

/// What systemd does for a kubelet: starts it with what kubeadm has written, as soon as it has, and again when it ends.
pub(super) fn kubelet_service(kubelet: &str) -> String {
    format!(
        r#"while :; do
  if [ -s /var/lib/kubelet/config.yaml ] && [ -s /var/lib/kubelet/kubeadm-flags.env ]; then
    . /var/lib/kubelet/kubeadm-flags.env
    {kubelet} --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
      --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml \
      --config-dir={KUBELET_DROP_INS} $KUBELET_KUBEADM_ARGS
    echo "the kubelet ended with $?"
  fi
  sleep 0.5
done
"#
    )
}
