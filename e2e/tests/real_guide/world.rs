//! The machines that the guide asks for, somebody who types at them, and somebody who uses the control plane meanwhile.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Result,
    guide::{Guide, MACHINES, Names, Part, Proxy},
    outages::{Client, Connection, Promise, Row, Service, Story},
};
use holdfast_lab::{
    Lab, Meter, Node,
    agent::agent_binary,
    kubeadm::{
        Member, NodeRole, PORT, Plan, Site, architecture, holdfast_images, write_haproxy, write_nginx,
    },
};

/// The control plane's address.
pub const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 100));
/// The control plane's nodes, as the guide calls them.
pub const PLANE: [&str; 3] = [MACHINES[0].0, MACHINES[1].0, MACHINES[2].0];
/// The worker, likewise.
pub const WORKER: &str = MACHINES[3].0;
/// How long a container, a Node or a leader may take to be there again, on two cores that run four nodes.
pub const PATIENCE: Duration = Duration::from_mins(3);
/// How long after a step its last effect may come.
const SETTLE: Duration = Duration::from_secs(2);
/// Where the administrator sits, and what is there at the start.
const HOME: &str = "/root";

/// Which of the guide's layouts is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// The address leads to the API server of the node that has it.
    Plain,
    /// It leads to a proxy, and this to any API server.
    Behind(Proxy),
}

impl Layout {
    /// Where clients ask.
    pub const fn port(self) -> u16 {
        match self {
            Self::Plain => PORT,
            Self::Behind(_) => 8443,
        }
    }

    /// The machines that are there. With nginx the others are yet to come: what it does otherwise than HAProxy shows with one API
    /// server, and with two.
    const fn machines(self) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::Behind(Proxy::Haproxy) => &[PLANE[0], PLANE[1], PLANE[2], WORKER],
            Self::Behind(Proxy::Nginx) => &[PLANE[0], PLANE[1]],
        }
    }

    /// The step in which all but the first become a cluster with it.
    pub const fn joining(self) -> &'static str {
        match self {
            Self::Plain | Self::Behind(Proxy::Haproxy) => "two control-plane nodes and a worker join",
            Self::Behind(Proxy::Nginx) => "a second control-plane node joins",
        }
    }
}

/// All of it.
pub struct World {
    /// What is followed.
    pub guide: Guide,
    /// With what in place of its names.
    pub names: Names,
    /// In which layout.
    pub layout: Layout,
    /// What was measured.
    pub story: Story,
    /// The machines, those of the control plane first.
    pub members: Vec<Member>,
    /// There once there is an API server.
    watched: Option<Watched>,
    client: Node,
    /// Last, because it can go only when all that is in it is gone.
    _lab: Lab,
}

/// Who holds the address, and who is served there.
struct Watched {
    meter: Meter,
    user: Client,
}

impl World {
    /// Boots the machines, with containerd, kubelet and kubeadm as for any cluster, and what the guide has its reader bring.
    pub fn boot(layout: Layout) -> Result<Self> {
        let story = Story::begin();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let guide = Guide::read(&root)?;
        let lab = Lab::new()?;
        let site = Site::prepare(&lab, Plan::new(VIP)?, &[root])?;
        let more = match layout {
            Layout::Plain => Vec::new(),
            Layout::Behind(proxy) => vec![image_of(proxy, &guide, lab.folder())?],
        };
        let client = lab.client()?;
        let mut nodes = Vec::new();
        for name in PLANE {
            nodes.push((lab.node(name)?, NodeRole::ControlPlane));
        }
        nodes.push((lab.node(WORKER)?, NodeRole::Worker));
        let names = Names::of_lab(guide.text(), VIP, nodes.iter().map(|(node, _)| node))?;
        nodes.retain(|(node, _)| layout.machines().contains(&node.name()));
        let mut members = site.boot_all(&nodes, &more)?;
        for member in &mut members {
            // The kubelet's package has it started at each boot; it waits for kubeadm.
            member.start_kubelet()?;
            if member.role() == NodeRole::ControlPlane {
                bring(member)?;
            }
        }
        story.say("machines have booted, with containerd and the cluster's own images");
        Ok(Self {
            guide,
            names,
            layout,
            story,
            members,
            watched: None,
            client,
            _lab: lab,
        })
    }

    /// What the guide has in this part, with the names of the lab.
    pub fn block(&self, part: Part) -> Result<String> {
        Ok(self.names.put_into(self.guide.block(part)?))
    }

    /// Types these lines on the machine called `name`, as root, and returns what is printed.
    pub fn type_on(&self, name: &str, lines: &str) -> Result<String> {
        let typed = lines.lines().next().unwrap_or_default();
        self.story.say(&format!("{name}# {typed}"));
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let home = format!("HOME={HOME}");
        let words = ["-i", "-C", HOME, &home, path, "sh", "-e", "-c", lines];
        let said = self.member(name)?.machine().run("env", &words);
        Ok(said.map_err(|error| format!("typed on {name}: {error}"))?)
    }

    /// The names of the machines that are to be the control plane.
    pub fn plane(&self) -> Vec<&'static str> {
        let there = |name: &&str| self.layout.machines().contains(name);
        PLANE.into_iter().filter(there).collect()
    }

    /// The machine called `name`.
    pub fn member(&self, name: &str) -> Result<&Member> {
        let found = self.members.iter().find(|member| member.name() == name);
        Ok(found.ok_or_else(|| format!("there is no machine {name}"))?)
    }

    /// The machine called `name`, to be switched off and on.
    pub fn member_mut(&mut self, name: &str) -> Result<&mut Member> {
        let found = self.members.iter_mut().find(|member| member.name() == name);
        Ok(found.ok_or_else(|| format!("there is no machine {name}"))?)
    }

    /// Begins to use the control plane, whose first API server is there.
    pub fn watch(&mut self) -> Result<()> {
        let nodes = self.members.iter().map(|member| member.machine().node().clone());
        let meter = Meter::start(&self.client, &nodes.collect::<Vec<_>>(), &[VIP])?;
        meter.wait_for_holders(VIP, &PLANE[..1], PATIENCE)?;
        let ca = self
            .member(PLANE[0])?
            .machine()
            .read("/etc/kubernetes/pki/ca.crt")?;
        let address = SocketAddr::new(VIP, self.layout.port());
        let readyz = Service::https(address, "/readyz", &ca)?;
        let user = Client::start(&self.client, readyz, &[Connection::New, Connection::Established]);
        user.wait_for_answers(PATIENCE)?;
        self.watched = Some(Watched { meter, user });
        Ok(())
    }

    fn watched(&self) -> Result<&Watched> {
        Ok(self.watched.as_ref().ok_or("nobody watches the address yet")?)
    }

    /// Plays a step and holds it against its promise; an error ends the scenario.
    pub fn step(
        &mut self,
        name: &'static str,
        promise: Promise,
        play: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.watched()?.user.wait_for_answers(PATIENCE)?;
        let start = Instant::now();
        self.story.say(&format!("> {name}"));
        play(self).map_err(|error| format!("{name}: {error}"))?;
        let watched = self.watched()?;
        watched.user.wait_for_answers(PATIENCE)?;
        thread::sleep(SETTLE);
        let row = Row {
            step: name,
            new: watched.user.longest_silence_since(start, Connection::New),
            established: watched.user.longest_silence_since(start, Connection::Established),
            service: None,
            held_twice: watched.meter.report_since(VIP, start).held_twice,
            time: start.elapsed(),
        };
        self.story.judge(row, promise);
        Ok(())
    }

    /// The one node that holds the address.
    pub fn active(&self) -> Result<String> {
        Ok(self.watched()?.meter.only_holder(VIP)?)
    }

    /// Holds it against the cluster if another node than `wanted` holds the address.
    pub fn expect_active(&mut self, wanted: &str, why: &str) -> Result<()> {
        let active = self.active()?;
        if active != wanted {
            self.story.complain(format!(
                "{why}: {wanted} is to hold the address, and {active} does"
            ));
        }
        Ok(())
    }

    /// Waits until one node holds the address that is not `old`, and returns its name.
    pub fn wait_for_another_than(&self, old: &str) -> Result<String> {
        let meter = &self.watched()?.meter;
        Ok(meter.wait_for_another_than(old, VIP, Duration::from_secs(15))?)
    }

    /// Waits until the API servers of all control-plane nodes are ready, each asked itself.
    pub fn wait_for_api_servers(&self) -> Result<()> {
        let planes = |member: &&Member| member.role() == NodeRole::ControlPlane;
        for member in self.members.iter().filter(planes) {
            member.wait_for_api_server(PATIENCE)?;
        }
        Ok(())
    }
}

/// An archive with the image that the proxy's Pod names.
fn image_of(proxy: Proxy, guide: &Guide, folder: &Path) -> Result<PathBuf> {
    let pod = guide.block(Part::ProxyPod(proxy))?;
    let mut images = pod
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("image: "));
    let image = images
        .next()
        .ok_or_else(|| format!("the Pod of {} names no image", proxy.name()))?;
    let archive = folder.join(format!("{}.tar", proxy.name()));
    match proxy {
        Proxy::Haproxy => write_haproxy(image, &archive)?,
        Proxy::Nginx => write_nginx(image, &archive)?,
    }
    Ok(archive)
}

/// Puts the agent's image and its program before the administrator, as a release has them.
fn bring(member: &Member) -> Result<()> {
    let folder = holdfast_images()?;
    let image = format!(
        "holdfast-agent-{}-{}.tar",
        env!("CARGO_PKG_VERSION"),
        architecture()
    );
    let machine = member.machine();
    for (name, from) in [
        (image.as_str(), folder.join(&image)),
        ("holdfast-agent", agent_binary()?),
    ] {
        let content = fs::read(&from).map_err(|error| format!("cannot read {}: {error}", from.display()))?;
        machine.write(format!("{HOME}/{name}"), content)?;
    }
    Ok(())
}
