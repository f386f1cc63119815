//! The static Pod of `holdfast-agent manifest kubeadm`, run as the kubelet would run it: with the arguments it says, and the
//! group of its annotation laid out like a downward API volume. There is no cluster, and at first not even its CA.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use holdfast_api::yaml;
use holdfast_e2e::{
    Result, look,
    pair::{PATIENCE, Scene, settle_on, stays_on, unnoticed},
};
use holdfast_lab::{
    Meter, Node, Process,
    agent::agent_binary,
    harness::{Case, Outcome, main as run},
    service::Nginx,
    wait_until,
};
use nix::mount::{MsFlags, mount};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);
const GROUP: &str = "control-plane";
/// Where kubeadm puts the cluster's CA.
const PKI: &str = "/etc/kubernetes/pki";

fn main() -> std::process::ExitCode {
    run(&[
        Case::new(
            "the_first_node_serves_before_there_is_a_certificate_or_an_api_server",
            first_node,
        ),
        Case::new(
            "a_node_that_joins_moves_nothing_and_takes_over_when_the_other_api_server_is_gone",
            second_node,
        ),
        Case::new(
            "a_group_that_is_laid_out_anew_moves_nothing_and_a_changed_one_is_followed",
            laid_out_anew,
        ),
        Case::new(
            "with_haproxy_the_address_follows_the_proxy_and_any_api_server_serves",
            behind_haproxy,
        ),
        Case::new("a_manifest_is_written_once_and_then_left_alone", written),
    ])
}

fn vip() -> IpAddr {
    "10.77.0.100".parse().unwrap()
}

/// What somebody writes who has three nodes in mind; the third does not exist yet.
fn flags(more: &[&str]) -> Vec<String> {
    let usual = [
        "manifest",
        "kubeadm",
        "--address=10.77.0.100/24",
        "--interface=eth0",
        "--peers=a=10.77.0.1,b=10.77.0.2,c=10.77.0.3",
        "--interval=100ms",
    ];
    [&usual, more].concat().into_iter().map(str::to_owned).collect()
}

/// What `holdfast-agent` prints in the node.
fn printed(node: &Node, arguments: &[String]) -> Result<String> {
    let program = agent_binary()?.display().to_string();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = node.exec(&program, &arguments)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A node's agent as its kubelet runs it.
struct StaticPod {
    node: Node,
    process: Process,
    config: PathBuf,
    run_dir: String,
    /// How often the group was laid out.
    version: u32,
}

impl StaticPod {
    /// Runs the Pod that is printed on this node for these flags.
    fn start(node: &Node, more: &[&str]) -> Result<Self> {
        let text = printed(node, &flags(more))?;
        let pod = yaml::read(&text).unwrap().remove(0).value;
        let group = pod["metadata"]["annotations"]["vip.holdfast.dev/group"]
            .as_str()
            .unwrap();
        let (config, run_dir) = (node.folder().join("group"), node.folder().join("run"));
        fs::create_dir(&config)?;
        fs::create_dir(&run_dir)?;
        // The folders of the Pod; nodes of the lab share the machine's own.
        let places = [
            ("--node=$(NODE_NAME)", format!("--node={}", node.name())),
            ("--config=/etc/holdfast", format!("--config={}", config.display())),
            (
                "--run-dir=/run/holdfast",
                format!("--run-dir={}", run_dir.display()),
            ),
        ];
        let arguments = pod["spec"]["containers"][0]["args"].as_array().unwrap();
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| {
                let place = places.iter().find(|(pods, _)| argument == pods);
                place.map_or_else(
                    || argument.as_str().unwrap().to_owned(),
                    |(_, nodes)| nodes.clone(),
                )
            })
            .collect();
        Volume(&config).write(0, group)?;
        symlink(
            format!("..data/{GROUP}.yaml"),
            config.join(format!("{GROUP}.yaml")),
        )?;
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Ok(Self {
            process: node.spawn(agent_binary()?, &words)?,
            node: node.clone(),
            run_dir: run_dir.display().to_string(),
            config,
            version: 0,
        })
    }

    /// What the agent says of its group.
    fn group(&self) -> Result<Value> {
        let words = ["status", "--run-dir", &self.run_dir, "-o", "json"].map(str::to_owned);
        let status: Value = serde_json::from_str(&printed(&self.node, &words)?)?;
        Ok(status["groups"][0].clone())
    }

    fn wait_for(&self, what: &str, accept: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = None;
        let waited = wait_until(what, PATIENCE, || {
            last = self.group().ok();
            thread::sleep(Duration::from_millis(30));
            Ok(last.as_ref().is_some_and(&accept))
        });
        match (waited, last) {
            (Ok(_), Some(group)) => Ok(group),
            (outcome, last) => {
                Err(format!("{outcome:?}; the last status: {last:#?}\n{}", self.process.log()?).into())
            }
        }
    }

    fn wait_for_verdict(&self, verdict: &str) -> Result<Value> {
        self.wait_for(&format!("the API server is {verdict}"), |group| {
            group["probes"][0]["verdict"] == verdict
        })
    }

    /// What must not change when nothing moves.
    fn standing(&self) -> Result<(String, u64)> {
        let group = self.group()?;
        Ok((group["since"].to_string(), look::counter(&group, "becameActive")))
    }

    /// Replaces the group as the kubelet does when the annotation changes.
    fn lay_out(&mut self, group: &str) -> Result<()> {
        self.version += 1;
        Volume(&self.config).write(self.version, group)
    }
}

/// A downward API volume: files are links into a folder that is itself a link, which is swapped.
struct Volume<'a>(&'a Path);

impl Volume<'_> {
    fn write(&self, version: u32, group: &str) -> Result<()> {
        let (folder, link) = (self.0.join(format!("..{version}")), self.0.join("..data"));
        fs::create_dir(&folder)?;
        fs::write(folder.join(format!("{GROUP}.yaml")), group)?;
        let beside = self.0.join("..data_tmp");
        symlink(format!("..{version}"), &beside)?;
        fs::rename(beside, link)?;
        if let Some(before) = version.checked_sub(1) {
            fs::remove_dir_all(self.0.join(format!("..{before}")))?;
        }
        Ok(())
    }
}

/// The cluster's authority, on paper: kubeadm has not been here.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Gives this case a `/etc/kubernetes` of its own.
    fn new() -> Result<Self> {
        let etc = Path::new("/run/etc");
        fs::create_dir(etc)?;
        // Programs want to know users and libraries; nobody needs a folder.
        for entry in fs::read_dir("/etc")? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                // What only root may read is nobody's business here.
                let _ = fs::copy(entry.path(), etc.join(entry.file_name()));
            }
        }
        fs::create_dir(etc.join("kubernetes"))?;
        // The sandbox has its own mounts, so that the machine's own folder is only covered for this case.
        mount(Some(etc), "/etc", None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// As kubeadm's first phase does.
    fn appears(&self) -> Result<()> {
        fs::create_dir(PKI)?;
        Ok(fs::write(format!("{PKI}/ca.crt"), self.0.pem())?)
    }

    /// Something on a node that answers as an API server does.
    fn api_server(&self, node: &Node) -> Result<Nginx> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec!["kubernetes.default.svc".to_owned(), vip().to_string()])?;
        let certificate = params.signed_by(&key, &self.0)?;
        let file = |name: &str| node.folder().join(name);
        fs::write(file("server.crt"), certificate.pem())?;
        fs::write(file("server.key"), key.serialize_pem())?;
        Ok(Nginx::start(
            node,
            &format!(
                "server {{\n  listen 6443 ssl;\n  ssl_certificate {};\n  ssl_certificate_key {};\n  \
                 location = /readyz {{ return 200 ok; }}\n}}",
                file("server.crt").display(),
                file("server.key").display()
            ),
        )?)
    }
}

/// What is answered at a port of the address to somebody who speaks HTTP without TLS: a server of TLS says that it was not meant.
fn answer(client: &Node, port: u16) -> Result<String> {
    let mut outcome = None;
    client.netns().run(|| {
        outcome = Some(TcpStream::connect_timeout(&SocketAddr::new(vip(), port), SECOND));
        Ok(())
    })?;
    let Some(Ok(mut stream)) = outcome else {
        return Ok("nobody is there".to_owned());
    };
    stream.set_read_timeout(Some(SECOND))?;
    let mut said = String::new();
    // Who is turned away has read what was said before.
    let _ = stream
        .write_all(b"GET /readyz HTTP/1.0\r\n\r\n")
        .and_then(|()| stream.read_to_string(&mut said));
    Ok(said)
}

/// Whether an API server is reached at a port of the address.
fn is_reached(client: &Node, port: u16) -> Result<bool> {
    Ok(answer(client, port)?.contains("400 Bad Request"))
}

fn wait_until_reached(client: &Node, port: u16) -> Result<Duration> {
    Ok(wait_until("an API server is reached", PATIENCE, || {
        Ok(is_reached(client, port).unwrap_or(false))
    })?)
}

/// What the last run of the probe said.
fn message(group: &Value) -> String {
    group["probes"][0]["message"].to_string()
}

fn first_node() -> Outcome {
    let scene = Scene::new()?;
    let authority = Authority::new()?;
    let meter = scene.meter(&[vip()])?;
    let pod = StaticPod::start(&scene.a, &[])?;
    settle_on(&meter, &[vip()], "a")?;
    let start = Instant::now();
    let group = pod.wait_for_verdict("Failing")?;
    assert!(message(&group).contains("refused"), "{group:#}");
    assert!(group["effectivePriority"].as_u64().unwrap() < 16, "{group:#}");
    let standing = pod.standing()?;
    assert!(
        !is_reached(&scene.client, 6443)?,
        "there is nobody at the port, and the address answers for the node"
    );

    let _server = authority.api_server(&scene.a)?;
    let served = wait_until_reached(&scene.client, 6443)?;
    assert!(
        served < 2 * SECOND,
        "nothing but the server was waited for: {served:?}"
    );
    let group = pod.wait_for("nobody can say whose server it is", |group| {
        message(group).contains("the cluster's CA")
    })?;
    assert_eq!(group["probes"][0]["outcome"], "CouldNotRun", "{group:#}");
    assert_eq!(group["probes"][0]["verdict"], "Failing", "{group:#}");

    authority.appears()?;
    let group = pod.wait_for_verdict("Passing")?;
    assert_eq!(group["effectivePriority"], 100, "{group:#}");
    assert_eq!(pod.standing()?, standing, "it served all the time");
    unnoticed(&meter, vip(), start);
    Ok(())
}

/// Both nodes with an agent; on a there is also an API server.
fn two_nodes() -> Result<(StaticPod, StaticPod, Nginx, Authority, Meter, Scene)> {
    let scene = Scene::new()?;
    let authority = Authority::new()?;
    authority.appears()?;
    let meter = scene.meter(&[vip()])?;
    let server = authority.api_server(&scene.a)?;
    let on_a = StaticPod::start(&scene.a, &[])?;
    on_a.wait_for_verdict("Passing")?;
    settle_on(&meter, &[vip()], "a")?;
    let start = Instant::now();
    let on_b = StaticPod::start(&scene.b, &[])?;
    on_b.wait_for("the newcomer hears the other", |group| {
        group["state"] == "Backup" && group["activePeer"].is_string()
    })?;
    on_b.wait_for_verdict("Failing")?;
    unnoticed(&meter, vip(), start);
    Ok((on_a, on_b, server, authority, meter, scene))
}

fn second_node() -> Outcome {
    let (on_a, on_b, server, authority, meter, scene) = two_nodes()?;
    assert_eq!(
        printed(&scene.a, &flags(&[]))?,
        printed(&scene.b, &flags(&[]))?,
        "one file for all nodes"
    );
    // Each has left itself out, and speaks from the address that its own entry says.
    for (pod, own) in [(&on_a, scene.a.ipv4()), (&on_b, scene.b.ipv4())] {
        assert_eq!(
            pod.group()?["sourceAddress"],
            Value::from(own.to_string()),
            "{:#}",
            pod.group()?
        );
    }
    let start = Instant::now();
    let _other = authority.api_server(&scene.b)?;
    on_b.wait_for_verdict("Passing")?;
    stays_on(&meter, vip(), "a", SECOND)?;
    unnoticed(&meter, vip(), start);

    drop(server);
    settle_on(&meter, &[vip()], "b")?;
    let group = on_a.wait_for_verdict("Failing")?;
    assert!(group["effectivePriority"].as_u64().unwrap() < 16, "{group:#}");
    Ok(())
}

fn laid_out_anew() -> Outcome {
    let (mut on_a, mut on_b, _server, _authority, meter, scene) = two_nodes()?;
    let same = printed(&scene.a, &flags(&["--output=group"]))?;
    let (start, before) = (Instant::now(), on_a.standing()?);
    on_a.lay_out(&same)?;
    // It is read soon after it has become quiet, as what follows shows.
    thread::sleep(2 * SECOND);
    assert_eq!(on_a.standing()?, before);

    let added = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 101));
    let more = printed(&scene.a, &flags(&["--output=group", "--address=10.77.0.101/24"]))?;
    for pod in [&mut on_a, &mut on_b] {
        pod.lay_out(&more)?;
    }
    wait_until("the added address is bound", PATIENCE, || scene.a.holds(added))?;
    assert_eq!(on_a.standing()?, before, "and nothing moved");
    unnoticed(&meter, vip(), start);
    Ok(())
}

/// HAProxy as the example has it, with the lab's addresses.
fn haproxy(node: &Node) -> Result<Process> {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/kubeadm/haproxy.cfg");
    let text = (1..=3).fold(fs::read_to_string(example)?, |text, number| {
        text.replace(&format!("10.0.0.1{number}:"), &format!("10.77.0.{number}:"))
    });
    let file = node.folder().join("haproxy.cfg");
    fs::write(&file, text)?;
    Ok(node.spawn("haproxy", &["-db", "-f", &file.display().to_string()])?)
}

fn behind_haproxy() -> Outcome {
    let scene = Scene::new()?;
    let authority = Authority::new()?;
    let meter = scene.meter(&[vip()])?;
    let (mut proxy_a, _proxy_b) = (haproxy(&scene.a)?, haproxy(&scene.b)?);
    let on_a = StaticPod::start(&scene.a, &["--proxy=haproxy"])?;
    on_a.wait_for_verdict("Passing")?;
    settle_on(&meter, &[vip()], "a")?;
    assert_eq!(
        answer(&scene.client, 8443)?,
        "",
        "there is no API server behind it yet"
    );
    let server_a = authority.api_server(&scene.a)?;
    wait_until_reached(&scene.client, 8443)?;
    let _server_b = authority.api_server(&scene.b)?;
    let on_b = StaticPod::start(&scene.b, &["--proxy=haproxy"])?;
    on_b.wait_for("it waits", |group| {
        group["state"] == "Backup" && group["probes"][0]["verdict"] == "Passing"
    })?;

    let start = Instant::now();
    drop(server_a);
    thread::sleep(SECOND);
    wait_until_reached(&scene.client, 8443)?;
    stays_on(&meter, vip(), "a", 3 * SECOND)?;
    assert!(is_reached(&scene.client, 8443)?, "the other API server serves");
    unnoticed(&meter, vip(), start);

    proxy_a.kill()?;
    settle_on(&meter, &[vip()], "b")?;
    wait_until_reached(&scene.client, 8443)?;
    Ok(())
}

fn written() -> Outcome {
    let scene = Scene::new()?;
    let path = scene.a.folder().join("manifests/holdfast.yaml");
    let write = format!("--write={}", path.display());
    let say = |more: &[&str]| printed(&scene.a, &flags(more));
    assert_eq!(say(&[&write])?, format!("changed: {}\n", path.display()));
    assert_eq!(fs::read_to_string(&path)?, say(&[])?);
    assert_eq!(say(&[&write])?, format!("unchanged: {}\n", path.display()));
    let refused = scene.a.exec(
        &agent_binary()?.display().to_string(),
        &[
            "manifest",
            "kubeadm",
            "--address=10.77.0.100",
            "--peers=a=10.77.0.1",
            &write,
        ],
    )?;
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr)?;
    for flag in ["--interface: ", "--peers: "] {
        assert!(said.contains(flag), "{said}");
    }
    assert_eq!(say(&[&write])?, format!("unchanged: {}\n", path.display()));
    Ok(())
}
