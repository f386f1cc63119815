//! What people do with a cluster: `kubectl` and Helm, and waiting until all is well.

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Result,
    guide::{Guide, Names, Part},
};
use holdfast_lab::{
    kubeadm::{ADMIN_CONF, Member, NodeRole},
    wait_until,
};

use crate::world::{PATIENCE, VIP, World};

impl World {
    /// `kubectl`, by the administrator of a control-plane node that is on.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        let member = self.administrator()?;
        patiently(|| member.kubectl(args))
    }

    /// Helm, likewise.
    pub fn helm(&self, args: &[&str]) -> Result<String> {
        let member = self.administrator()?;
        patiently(|| member.helm(args))
    }

    /// `kubectl apply` of a manifest.
    pub fn apply(&self, yaml: &str) -> Result<String> {
        let file = "/root/applied.yaml";
        self.administrator()?.machine().write(file, yaml)?;
        self.kubectl(&["apply", "-f", file])
    }

    /// Types what the guide for kubeadm has in this part, with the lab's names in it, as the first node's administrator.
    pub fn follow_the_guide(&self, part: Part) -> Result<String> {
        let guide = Guide::read(&self.root)?;
        let nodes = self.members.iter().map(|member| member.machine().node());
        let lines = Names::of_lab(guide.text(), VIP, nodes)?.put_into(guide.block(part)?);
        let kubeconfig = format!("KUBECONFIG={ADMIN_CONF}");
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let machine = self.members[0].machine();
        Ok(machine.run("env", &[&kubeconfig, path, "sh", "-e", "-c", &lines])?)
    }

    fn administrator(&self) -> Result<&Member> {
        let on = |member: &&Member| member.machine().is_on() && member.role() == NodeRole::ControlPlane;
        Ok(self
            .members
            .iter()
            .find(on)
            .ok_or("no control-plane node is on")?)
    }

    /// Routes on every node that is on to the pods of every other, as a cluster's network does.
    pub fn connect_pods(&self) -> Result<()> {
        for member in self.members.iter().filter(|member| member.machine().is_on()) {
            for other in self.members.iter().filter(|other| other.name() != member.name()) {
                member.route_to_pods_of(other)?;
            }
        }
        Ok(())
    }

    /// Waits until all Nodes and all static Pods of the control plane are ready, on every node that is on.
    pub fn wait_until_whole(&self) -> Result<()> {
        // A Pod's status is what its kubelet said last, which may be long ago; an API server that answers has an etcd, too.
        for member in &self.members {
            if !member.machine().is_on() || member.role() != NodeRole::ControlPlane {
                continue;
            }
            member.wait_for_api_server(PATIENCE)?;
        }
        self.wait_for_pods("all nodes and static Pods are ready", |pods| {
            let on = self.members.iter().filter(|member| member.machine().is_on());
            on.filter(|member| member.role() == NodeRole::ControlPlane)
                .all(|member| {
                    [
                        "etcd",
                        "kube-apiserver",
                        "kube-controller-manager",
                        "kube-scheduler",
                    ]
                    .iter()
                    .all(|program| pods.contains(&format!("{program}-{}=True", member.name())))
                })
        })?;
        self.kubectl(&["wait", "--for=condition=Ready", "node", "--all", "--timeout=120s"])
            .map(drop)
    }

    /// Waits until the pods of kube-system, each with whether it is ready, are as wanted.
    pub fn wait_for_pods(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let columns = "jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=='Ready')].status}{'\\n'}{end}";
        wait_until(what, PATIENCE, || {
            let listed = self.kubectl(&[
                "-n",
                "kube-system",
                "get",
                "pods",
                "-o",
                columns,
                "--request-timeout=5s",
            ]);
            let there = listed.is_ok_and(|pods| wanted(&pods));
            if !there {
                thread::sleep(Duration::from_millis(500));
            }
            Ok(there)
        })?;
        Ok(())
    }

    /// Waits until a group's status is that of one active node, and that it is the one that holds `address`.
    pub fn wait_until_ready(&self, group: &str, address: IpAddr) -> Result<()> {
        let start = Instant::now();
        self.kubectl(&["wait", "--for=condition=Ready", group, "--timeout=120s"])?;
        wait_until(
            &format!("the status of {group} names the holder"),
            Duration::from_secs(15),
            || {
                thread::sleep(Duration::from_millis(200));
                let named = self.kubectl(&["get", group, "-o", "jsonpath={.status.activeNode}"]);
                Ok(named.ok() == self.active_at(address).ok())
            },
        )?;
        self.say(&format!(
            "  {group} is ready after {:.1} s",
            start.elapsed().as_secs_f64()
        ));
        Ok(())
    }
}

/// Types a command again whose connection broke or was refused, as a person would: that is what a failover costs.
fn patiently(command: impl Fn() -> holdfast_lab::Result<String>) -> Result<String> {
    let mut attempts = 5;
    loop {
        match command() {
            Err(error) if attempts > 0 && is_a_broken_connection(&error.to_string()) => {
                attempts -= 1;
                thread::sleep(Duration::from_secs(1));
            }
            result => return Ok(result?),
        }
    }
}

fn is_a_broken_connection(complaint: &str) -> bool {
    [
        "connection reset by peer",
        "connection refused",
        "unexpected EOF",
        "TLS handshake timeout",
    ]
    .iter()
    .any(|sign| complaint.contains(sign))
}
