//! The guide's sections, from the first to the last.

use std::{thread, time::Duration};

use holdfast_api::yaml;
use holdfast_e2e::{
    Result,
    guide::{MACHINES, Part, Printed},
    outages::Promise,
};
use holdfast_lab::wait_until;

use crate::{
    proxy,
    world::{Layout, PATIENCE, PLANE, VIP, WORKER, World},
};

const MANIFEST: &str = "/etc/kubernetes/manifests/holdfast.yaml";
/// For how long a thing that must not happen is waited for.
const WHILE: Duration = Duration::from_secs(10);

/// From empty machines to a cluster that was seen to work.
pub fn all(world: &mut World) -> Result<()> {
    for name in world.plane() {
        first_section(world, name)?;
    }
    let printed = second_section(world)?;
    world.watch()?;
    world.step(world.layout.joining(), Promise::PROBED, |world| {
        third_section(world, &printed)?;
        if world.member(WORKER).is_ok() {
            // As printed, and that is the fourth section.
            world.type_on(WORKER, &printed.worker)?;
        }
        wait_until_whole(world)
    })?;
    world.expect_active(PLANE[0], "nothing moves for those that join")?;
    fifth_section(world)
}

/// Every control-plane node: the agent, and what stands beside it.
fn first_section(world: &mut World, name: &str) -> Result<()> {
    world.type_on(name, &world.block(Part::Agent)?)?;
    let (manifest, preset) = match world.layout {
        Layout::Plain => (Part::Manifest, "KubeAPIServer"),
        Layout::Behind(proxy) => (Part::ProxyManifest(proxy), proxy.preset()),
    };
    let said = world.type_on(name, &world.block(manifest)?)?;
    let promised = format!("It prints `{}`", said.trim());
    if !world.guide.text().contains(&promised) {
        return Err(format!("on {name} it printed {said}, which the guide does not tell").into());
    }
    let group = group_of(&world.member(name)?.machine().read(MANIFEST)?)?;
    let looks_at = format!("preset: {preset}\n");
    assert!(group.contains(&looks_at), "the group looks at {preset}: {group}");
    match world.layout {
        Layout::Plain => {
            let shown = world.block(Part::Group)?;
            if group != shown {
                let complaint = format!("on {name} the group is\n{group}and the guide shows\n{shown}");
                world.story.complain(complaint);
            }
        }
        Layout::Behind(proxy) => {
            let machine = world.member(name)?.machine();
            let configuration = world.block(Part::ProxyConfiguration(proxy))?;
            machine.write(proxy.configuration(), configuration)?;
            machine.write(proxy.manifest(), world.block(Part::ProxyPod(proxy))?)?;
        }
    }
    Ok(())
}

/// The group in a Pod's annotation.
fn group_of(manifest: &str) -> Result<String> {
    let mut documents = yaml::read(manifest).map_err(|error| format!("{MANIFEST}: {error:?}"))?;
    let pod = documents.remove(0).value;
    let group = pod["metadata"]["annotations"]["vip.holdfast.dev/group"].as_str();
    Ok(group
        .ok_or_else(|| format!("{MANIFEST} has no group"))?
        .to_owned())
}

/// The first node.
fn second_section(world: &World) -> Result<Printed> {
    let first = PLANE[0];
    let init = endpoint(world, "controlPlaneEndpoint", &world.block(Part::InitFile)?)?;
    world.member(first)?.machine().write("/root/init.yaml", init)?;
    let said = world.type_on(first, &world.block(Part::Init)?)?;
    let printed = Printed::find(&said)?;
    // The lab's machines have a network for pods from the start.
    let network = "kubectl apply -f your-network-plugin.yaml\n";
    let (before, after) = world
        .guide
        .block(Part::Kubectl)?
        .split_once(network)
        .ok_or("the guide brings no network plugin")?;
    let said = world.type_on(first, &format!("{before}{after}"))?;
    assert!(said.contains(first), "kubectl get nodes: {said}");
    let said = world.type_on(first, "grep server: ~/.kube/config")?;
    let server = format!("server: https://{VIP}:{}", world.layout.port());
    assert_eq!(said.trim(), server, "kubectl speaks to the address");
    Ok(printed)
}

/// The second and the third node: their file differs in their own name and address.
fn third_section(world: &World, printed: &Printed) -> Result<()> {
    let join = world.guide.block(Part::JoinFile)?;
    let (second, its_address) = MACHINES[1];
    let plane = world.plane().len();
    for (name, address) in &MACHINES[1..plane] {
        let own = join.replace(second, name).replace(its_address, address);
        let own = endpoint(world, "apiServerEndpoint", &world.names.put_into(&own))?;
        let own = printed.put_into(&own)?;
        world.member(name)?.machine().write("/root/join.yaml", own)?;
        world.type_on(name, &world.block(Part::Join)?)?;
    }
    Ok(())
}

/// With a proxy, the endpoint in kubeadm's files is the proxy's.
fn endpoint(world: &World, field: &str, file: &str) -> Result<String> {
    let of = |port: u16| format!("{field}: {VIP}:{port}\n");
    let (plain, own) = (of(Layout::Plain.port()), of(world.layout.port()));
    if file.matches(&plain).count() != 1 {
        return Err(format!("the guide's file has not exactly one line `{}`", plain.trim()).into());
    }
    Ok(file.replace(&plain, &own))
}

/// See that it works.
fn fifth_section(world: &mut World) -> Result<()> {
    for name in world.plane() {
        let said = world.type_on(name, &world.block(Part::Status)?)?;
        for word in ["control-plane", &VIP.to_string()] {
            assert!(said.contains(word), "status on {name} tells of {word}: {said}");
        }
    }
    let said = world.type_on(PLANE[0], &world.block(Part::Look)?)?;
    for name in world.plane() {
        assert!(said.contains(&format!("holdfast-{name} ")), "{said}");
    }
    assert!(said.contains("readyz check passed"), "{said}");
    let promise = match world.layout {
        Layout::Plain => Promise::PROBED,
        Layout::Behind(proxy) => proxy::api_server_lost(proxy),
    };
    world.step(
        "the active node's API server ends, and returns",
        promise,
        api_server_ends,
    )
}

/// The lines of the guide, one after the other, with a look at what their comments promise in between.
fn api_server_ends(world: &mut World) -> Result<()> {
    let active = world.active()?;
    let lines = world.block(Part::Try)?;
    let [end, begin] = two_lines(&lines)?;
    world.type_on(&active, end)?;
    let holder = match world.layout {
        Layout::Plain => world.wait_for_another_than(&active)?,
        Layout::Behind(_) => {
            let member = world.member(&active)?;
            wait_until("the API server has ended", PATIENCE, || {
                Ok(member.pids_of("kube-apiserver")?.is_empty())
            })?;
            thread::sleep(WHILE);
            active.clone()
        }
    };
    world.expect_active(&holder, "while the API server is away")?;
    world.type_on(&active, begin)?;
    world.wait_for_api_servers()?;
    world.expect_active(&holder, "when the API server is back")
}

/// The two lines of a block that is typed line by line.
pub fn two_lines(block: &str) -> Result<[&str; 2]> {
    let lines: Vec<&str> = block.lines().collect();
    Ok(lines
        .try_into()
        .map_err(|_| format!("this block has not two lines:\n{block}"))?)
}

/// Waits until all Nodes and the agents' Pods are ready.
pub fn wait_until_whole(world: &World) -> Result<()> {
    world.wait_for_api_servers()?;
    world.story.say("  all API servers are ready");
    let first = world.member(PLANE[0])?;
    let timeout = format!("--timeout={}s", PATIENCE.as_secs());
    for what in [
        &["node", "--all"][..],
        &["pod", "--namespace=kube-system", "--selector=tier=control-plane"],
    ] {
        let wait = ["wait", "--for=condition=Ready", &timeout];
        first.kubectl(&[&wait, what].concat())?;
        world.story.say(&format!("  each {} is ready", what[0]));
    }
    let columns = "jsonpath={range .items[*]}{.status.conditions[?(@.type=='Ready')].status} {end}";
    let agents = [
        "get",
        "pods",
        "--namespace=kube-system",
        "--selector=app.kubernetes.io/name=holdfast",
        "-o",
        columns,
    ];
    wait_until("the agents' Pods are ready", PATIENCE, || {
        let ready = first
            .kubectl(&agents)
            .is_ok_and(|said| said.matches("True").count() == world.plane().len());
        if !ready {
            thread::sleep(Duration::from_millis(500));
        }
        Ok(ready)
    })?;
    Ok(())
}
