//! From nothing to a cluster of three control-plane nodes and a worker, as the guide for kubeadm tells.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};

use holdfast_e2e::{
    Result,
    outages::{Client, Connection, Promise, Service, Story},
};
use holdfast_lab::{
    Lab, Meter, Node,
    agent::agent_binary,
    kubeadm::{Member, NodeRole, PORT, Plan, Site, architecture, holdfast_images},
};

use crate::{
    chosen::Chosen,
    world::{AGENT, PATIENCE, PLANE, SERVICE, VIP, WORKER, World},
};

impl World {
    /// Brings up three control-plane nodes and a worker, as the guide for kubeadm tells.
    pub fn bring_up() -> Result<Self> {
        let story = Story::begin();
        let chosen = Chosen::from_environment()?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let lab = Lab::new()?;
        let images = images()?;
        let plan = Plan::new(VIP)?;
        story.say(&format!("this is Kubernetes {}", plan.version));
        let site = Site::prepare(&lab, plan, std::slice::from_ref(&root))?;
        story.say("images are made");

        let client = lab.client()?;
        let nodes = PLANE
            .map(|name| lab.node(name))
            .into_iter()
            .collect::<holdfast_lab::Result<Vec<_>>>()?;
        let worker = lab.node(WORKER)?;
        let planes = nodes.iter().cloned().map(|node| (node, NodeRole::ControlPlane));
        let machines: Vec<_> = planes.chain([(worker.clone(), NodeRole::Worker)]).collect();
        let mut members = site.boot_all(&machines, &images)?;
        story.say("machines have booted, with containerd and all images");

        let mut manifest = manifest(&nodes);
        manifest.push("--write".to_owned());
        for member in &members[..PLANE.len()] {
            put_agent(member, &manifest)?;
        }
        site.init(&mut members[0])?;
        story.say("cp-1: kubeadm init");
        let watched: Vec<Node> = nodes.iter().chain([&worker]).cloned().collect();
        let meter = Meter::start(&client, &watched, &[VIP, SERVICE])?;
        meter.wait_for_holders(VIP, &PLANE[..1], PATIENCE)?;
        let ca = members[0].machine().read("/etc/kubernetes/pki/ca.crt")?;
        let readyz = Service::https(SocketAddr::new(VIP, PORT), "/readyz", &ca)?;
        let visitor = Client::start(&client, readyz, &[Connection::New, Connection::Established]);
        visitor.wait_for_answers(PATIENCE)?;

        let (joining, invitation) = (Instant::now(), site.invitation(&members[0])?);
        for member in &mut members[1..] {
            member.join(&invitation)?;
            story.say(&format!("{}: kubeadm join, through the address", member.name()));
        }
        let mut world = Self {
            members,
            meter,
            visitor,
            service: None,
            client,
            root,
            story,
            chosen,
            _lab: lab,
        };
        world.connect_pods()?;
        world.wait_until_whole()?;
        let whole = format!("all nodes are ready, with {} MB of memory in use", used_memory()?);
        world.say(&whole);
        world.judge(
            "two control-plane nodes and a worker join",
            Promise::PROBED,
            joining,
            false,
        );
        Ok(world)
    }
}

/// The archives with Holdfast's images, as `cargo xtask images` writes them.
fn images() -> Result<Vec<PathBuf>> {
    let folder = holdfast_images()?;
    let mut archives = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(&format!("-{}.tar", architecture())) {
            archives.push(path);
        }
    }
    if archives.is_empty() {
        return Err(format!(
            "there are no images in {}: run `cargo xtask images`",
            folder.display()
        )
        .into());
    }
    Ok(archives)
}

/// What `holdfast-agent manifest kubeadm` is told, the same on every node.
fn manifest<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> Vec<String> {
    let peers = nodes
        .into_iter()
        .map(|node| format!("{}={}", node.name(), node.ipv4()));
    let peers = peers.collect::<Vec<_>>().join(",");
    let words = [
        "manifest",
        "kubeadm",
        "--interface",
        "eth0",
        "--image-pull-policy",
        "Never",
        "--peers",
    ];
    let words = words.map(str::to_owned).into_iter();
    words
        .chain([peers, "--address".to_owned(), format!("{VIP}/24")])
        .collect()
}

/// Puts the agent's program and its static Pod on a node, before there is a cluster.
fn put_agent(member: &Member, manifest: &[String]) -> Result<()> {
    let machine = member.machine();
    machine.write(AGENT, fs::read(agent_binary()?)?)?;
    machine.run("chmod", &["755", AGENT])?;
    machine.run("mkdir", &["-p", holdfast_lab::kubeadm::MANIFESTS])?;
    let words: Vec<&str> = manifest.iter().map(String::as_str).collect();
    let said = machine.run(AGENT, &words)?;
    assert!(said.starts_with("changed"), "{said}");
    let again = machine.run(AGENT, &words)?;
    assert!(again.starts_with("unchanged"), "{again}");
    Ok(())
}

/// What all of this needs, beside what the machine used before.
fn used_memory() -> Result<u64> {
    let table = fs::read_to_string("/proc/meminfo")?;
    let value = |key: &str| -> Result<u64> {
        let line = table
            .lines()
            .find(|line| line.starts_with(key))
            .ok_or("meminfo lacks a line")?;
        Ok(line
            .split_whitespace()
            .nth(1)
            .ok_or("meminfo lacks a value")?
            .parse()?)
    };
    Ok((value("MemTotal:")? - value("MemAvailable:")?) / 1024)
}
