//! The cluster of the scenario, and how a step of it is played and judged.

use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Result,
    outages::{self, Client, Connection, Row, Service},
};
use holdfast_lab::{
    Lab, Meter, Node,
    agent::agent_binary,
    kubeadm::{Member, NodeRole, PORT, Plan, Site, architecture},
    wait_until,
};

/// The control plane's address.
pub const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 100));
/// The control plane's nodes.
pub const PLANE: [&str; 3] = ["cp-1", "cp-2", "cp-3"];
const WORKER: &str = "w-1";
/// The folder with the archives of Holdfast's images.
const IMAGES_VARIABLE: &str = "HOLDFAST_IMAGES";
/// The file that the table is written to, if it is to be.
const WRITE_VARIABLE: &str = "HOLDFAST_E2E_WRITE";
/// The place of the table in that file.
const TABLE: &str = "control-plane";
/// Where the guide puts the agent's program on a control-plane node.
pub const AGENT: &str = "/usr/local/bin/holdfast-agent";
/// How long a container, a Node or a leader may take to be there again, on two cores that run four nodes.
pub const PATIENCE: Duration = Duration::from_mins(3);
/// How long after a step its last effect may come.
const SETTLE: Duration = Duration::from_secs(2);

/// The cluster, and who watches it.
pub struct World {
    /// The nodes, those of the control plane first.
    pub members: Vec<Member>,
    /// Tells who holds the address, by the kernel's word.
    pub meter: Meter,
    /// Uses the control plane.
    pub visitor: Client,
    /// The checkout.
    pub root: PathBuf,
    rows: Vec<Row>,
    broken: Vec<String>,
    start: Instant,
    /// Last, because it can go only when all that is in it is gone.
    _lab: Lab,
}

/// The longest outage that a step may cost.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// For new connections.
    pub new: Duration,
    /// For the established connection.
    pub established: Duration,
    /// For how long two nodes may hold the address.
    pub held_twice: Duration,
}

impl Promise {
    /// The address does not move: nothing but the machine's own hiccups.
    pub const UNDISTURBED: Self = Self::outage(Duration::from_millis(1500));
    /// The holder is lost: three advertisements of a second and the skew (RFC 9568), and a moment for TLS on a busy machine.
    pub const FAILOVER: Self = Self::outage(Duration::from_millis(5500));
    /// The same, but the address that is left behind goes only when its lifetime of four seconds has run out.
    pub const AGENT: Self = Self::FAILOVER
        .unanswered()
        .held_twice(Duration::from_millis(2500));
    /// Three probes of at most a second fail, and the address is handed over.
    pub const API_SERVER: Self = Self::outage(Duration::from_secs(7)).unanswered();
    /// The same, but the API server waits up to two seconds for its own etcd before it says that it is not ready.
    pub const ETCD: Self = Self::outage(Duration::from_secs(9)).unanswered();
    /// The address is handed over, and nobody notices.
    pub const HANDED_OVER: Self = Self::UNDISTURBED.unanswered();
    /// Nobody can serve until the quorum is back.
    pub const NO_QUORUM: Self = Self::outage(Duration::from_mins(4));
    /// Two who cannot hear each other both hold the address; the majority's is the later word, and clients
    /// follow it.
    pub const SPLIT: Self = Self::outage(Duration::from_secs(10))
        .unanswered()
        .held_twice(Duration::from_secs(45));
    /// Kernels are up at once here; kubelets, etcd and API servers start on two cores.
    pub const COLD_START: Self = Self::outage(Duration::from_mins(3));

    /// The same for all connections. One holder at a time, but that a hand-over has two for a moment, so that none is without.
    const fn outage(longest: Duration) -> Self {
        Self {
            new: longest,
            established: longest,
            held_twice: Duration::from_millis(500),
        }
    }

    /// And a connection whose answer was under way as the address left may wait until its client gives it up: a kernel resets no
    /// connection of an address that it does not have any more.
    const fn unanswered(self) -> Self {
        Self {
            established: Duration::from_secs(50),
            ..self
        }
    }

    /// And two holders for as long as `time`.
    const fn held_twice(self, time: Duration) -> Self {
        Self {
            held_twice: time,
            ..self
        }
    }
}

impl World {
    /// Brings up three control-plane nodes and a worker, as the guide for kubeadm tells.
    pub fn bring_up() -> Result<Self> {
        let start = Instant::now();
        let say = |what: &str| say(start, what);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let lab = Lab::new()?;
        let images = images()?;
        let site = Site::prepare(&lab, Plan::new(VIP)?, std::slice::from_ref(&root))?;
        say("images are made");

        let client = lab.client()?;
        let nodes = PLANE
            .map(|name| lab.node(name))
            .into_iter()
            .collect::<holdfast_lab::Result<Vec<_>>>()?;
        let worker = lab.node(WORKER)?;
        let mut members = boot(&site, &nodes, &worker, &images)?;
        say("machines have booted, with containerd and all images");

        let mut manifest = manifest(&nodes);
        manifest.push("--write".to_owned());
        for member in &members[..PLANE.len()] {
            put_agent(member, &manifest)?;
        }
        site.init(&mut members[0])?;
        say("cp-1: kubeadm init");
        let watched: Vec<Node> = nodes.iter().chain([&worker]).cloned().collect();
        let meter = Meter::start(&client, &watched, &[VIP])?;
        meter.wait_for_holders(VIP, &PLANE[..1], PATIENCE)?;
        let ca = members[0].machine().read("/etc/kubernetes/pki/ca.crt")?;
        let readyz = Service::https(SocketAddr::new(VIP, PORT), "/readyz", &ca)?;
        let visitor = Client::start(&client, readyz, &[Connection::New, Connection::Established]);
        visitor.wait_for_answers(PATIENCE)?;

        let (joining, invitation) = (Instant::now(), site.invitation(&members[0])?);
        for member in &mut members[1..] {
            member.join(&invitation)?;
            say(&format!("{}: kubeadm join, through the address", member.name()));
        }
        let mut world = Self {
            members,
            meter,
            visitor,
            root,
            rows: Vec::new(),
            broken: Vec::new(),
            start,
            _lab: lab,
        };
        world.connect_pods()?;
        world.wait_until_whole()?;
        let whole = format!("all nodes are ready, with {} MB of memory in use", used_memory()?);
        world.say(&whole);
        world.judge(
            "two control-plane nodes and a worker join",
            Promise::API_SERVER,
            joining,
        );
        Ok(world)
    }

    /// Plays a step and holds it against its promise. A promise that is not kept is told at the end, so that one run tells of
    /// all; an error ends the scenario.
    pub fn step(
        &mut self,
        name: &'static str,
        promise: Promise,
        play: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.visitor.wait_for_answers(PATIENCE)?;
        let start = Instant::now();
        self.say(&format!("> {name}"));
        play(self).map_err(|error| format!("{name}: {error}"))?;
        self.visitor.wait_for_answers(PATIENCE)?;
        thread::sleep(SETTLE);
        self.judge(name, promise, start);
        Ok(())
    }

    fn judge(&mut self, step: &'static str, promise: Promise, start: Instant) {
        let row = Row {
            step,
            new: self.visitor.longest_silence_since(start, Connection::New),
            established: self.visitor.longest_silence_since(start, Connection::Established),
            held_twice: self.meter.report_since(VIP, start).held_twice,
            time: start.elapsed(),
        };
        self.say(&format!(
            "  outage {:?} (new connections), {:?} (established), held twice {:?}, by {:?} now",
            row.new,
            row.established,
            row.held_twice,
            self.meter.holders(VIP)
        ));
        for (what, was, promised) in [
            ("new connections were refused for", row.new, promise.new),
            (
                "the established connection was silent for",
                row.established,
                promise.established,
            ),
            (
                "two nodes held the address for",
                row.held_twice,
                promise.held_twice,
            ),
        ] {
            if was > promised {
                let complaint = format!("{step}: {what} {was:?}, and {promised:?} was promised");
                self.complain(complaint);
            }
        }
        self.rows.push(row);
    }

    /// Prints the table, keeps it if that was asked for, and fails if a promise was not kept.
    pub fn finish(self) -> Result<()> {
        println!("\n{}", outages::markdown(&self.rows));
        if let Some(file) = env::var_os(WRITE_VARIABLE) {
            outages::write(Path::new(&file), TABLE, &self.rows)?;
        }
        if self.broken.is_empty() {
            return Ok(());
        }
        Err(self.broken.join("\n").into())
    }

    /// Says what is done, and when.
    pub fn say(&self, what: &str) {
        say(self.start, what);
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

    /// Holds it against the step if another node than `wanted` holds the address, or more than one.
    pub fn expect_active(&mut self, wanted: &str, why: &str) {
        let holders = self.holders();
        if holders != [wanted] {
            self.complain(format!(
                "{why}: {wanted} is to hold the address, and {holders:?} do"
            ));
        }
    }

    fn complain(&mut self, complaint: String) {
        self.say(&complaint);
        self.broken.push(complaint);
    }

    /// The member called `name`.
    pub fn member(&mut self, name: &str) -> &mut Member {
        let found = self.members.iter_mut().find(|member| member.name() == name);
        found.unwrap_or_else(|| unreachable!("the scenario knows its nodes, and {name} is none"))
    }

    /// The one node that holds the address.
    pub fn active(&self) -> Result<String> {
        match &self.meter.holders(VIP)[..] {
            [one] => Ok(one.to_string()),
            others => Err(format!("{others:?} hold the address").into()),
        }
    }

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

    /// What `holdfast-agent` is told to print the control plane's manifest: `pod` or `group`.
    pub fn manifest(&self, output: &str) -> Vec<String> {
        let nodes = self.members[..PLANE.len()]
            .iter()
            .map(|member| member.machine().node());
        let more = ["--output".to_owned(), output.to_owned()];
        manifest(nodes).into_iter().chain(more).collect()
    }

    fn administrator(&self) -> Result<&Member> {
        let on = |member: &&Member| member.machine().is_on() && member.role() == NodeRole::ControlPlane;
        Ok(self
            .members
            .iter()
            .find(on)
            .ok_or("no control-plane node is on")?)
    }

    /// Who holds the address.
    pub fn holders(&self) -> Vec<String> {
        self.meter.holders(VIP).iter().map(ToString::to_string).collect()
    }

    /// Waits until one node holds the address that is not `old`.
    pub fn wait_for_another_than(&self, old: &str, patience: Duration) -> Result<String> {
        let what = format!("another node than {old} holds the address alone");
        wait_until(&what, patience, || {
            let holders = self.meter.holders(VIP);
            thread::sleep(Duration::from_millis(5));
            Ok(holders.len() == 1 && &*holders[0] != old)
        })?;
        self.active()
    }

    /// Waits until all Nodes and all static Pods of the control plane are ready, on every node that is on.
    pub fn wait_until_whole(&self) -> Result<()> {
        // A Pod's status is what its kubelet said last, which may be long ago; an API server that answers has an etcd, too.
        for member in &self.members {
            if !member.machine().is_on() || member.role() != NodeRole::ControlPlane {
                continue;
            }
            let server = format!("--server=https://{}:{PORT}", member.ipv4());
            let ask = ["get", "--raw", "/readyz", "--request-timeout=5s", &server];
            wait_until(
                &format!("the API server of {} is ready", member.name()),
                PATIENCE,
                || {
                    let ready = member.kubectl(&ask).is_ok();
                    if !ready {
                        thread::sleep(Duration::from_millis(500));
                    }
                    Ok(ready)
                },
            )?;
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

fn say(start: Instant, what: &str) {
    println!("{:>7.1} s  {what}", start.elapsed().as_secs_f64());
}

/// Boots all machines, two at a time: importing images is work for one core each.
fn boot(site: &Site, nodes: &[Node], worker: &Node, images: &[PathBuf]) -> Result<Vec<Member>> {
    let wanted: Vec<(&Node, NodeRole)> = nodes
        .iter()
        .map(|node| (node, NodeRole::ControlPlane))
        .chain([(worker, NodeRole::Worker)])
        .collect();
    let mut members = Vec::new();
    for pair in wanted.chunks(2) {
        let booted: Vec<_> = thread::scope(|scope| {
            let boots: Vec<_> = pair
                .iter()
                .map(|(node, role)| scope.spawn(|| site.boot(node, *role, images)))
                .collect();
            boots
                .into_iter()
                .map(|boot| boot.join().map_err(|_| "a boot panicked"))
                .collect()
        });
        for member in booted {
            members.push(member??);
        }
    }
    Ok(members)
}

/// The archives with Holdfast's images, as `cargo xtask images` writes them.
fn images() -> Result<Vec<PathBuf>> {
    let folder = PathBuf::from(env::var_os(IMAGES_VARIABLE).ok_or_else(|| {
        format!("{IMAGES_VARIABLE} names no folder with Holdfast's images: run this with `make e2e`")
    })?);
    let mut archives = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(&format!("-{}.tar", architecture())) && !name.contains("-tools-") {
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
