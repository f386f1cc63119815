//! The README's way into a cluster, read from the README and typed word for word. There is no kubelet: what the chart's
//! pods would run, the test runs on the nodes, with the tokens that these pods would get.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use holdfast_e2e::{Result, chart, pair::PATIENCE};
use holdfast_lab::{
    Agent, AgentOptions, Lab, Meter,
    harness::{Case, Outcome, main as run},
    kubernetes::{
        ControlPlane, NAMESPACE, Operator, OperatorOptions,
        assets::{HELM, KUBECTL},
    },
};

fn main() -> std::process::ExitCode {
    run(&[
        Case::new("what_the_readme_tells_works_and_prints_what_it_shows", readme)
            .timeout(Duration::from_mins(3)),
    ])
}

/// The section of the README that is tried.
const SECTION: &str = "\n## Install it in a cluster\n";
/// The address in the example, of a network that exists in documents only, and one of the lab's.
const ADDRESSES: [&str; 2] = ["192.0.2.100", "10.77.0.100"];

fn readme() -> Outcome {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(repository.join("README.md"))?;
    let section = section(&text)?;
    let commands = blocks(section, "sh");
    let shown = blocks(section, "text");
    let ([install, using], [shown]) = (&commands[..], &shown[..]) else {
        return Err(format!(
            "the README is built otherwise: {} and {}",
            commands.len(),
            shown.len()
        )
        .into());
    };

    let lab = Lab::new()?;
    let client = lab.client()?;
    let nodes = [lab.node("worker-1")?, lab.node("worker-2")?];
    let plane = ControlPlane::start(&lab)?;
    for node in &nodes {
        plane.add_node(node, &[])?;
    }
    let checkout = checkout(&repository, lab.folder())?;
    for line in install.lines() {
        type_line(&plane, &checkout, line)?;
    }

    let token = plane.token(NAMESPACE, "holdfast-operator")?;
    let kubeconfig = plane.kubeconfig_for_token("holdfast-operator", &token, None)?;
    let _operator = Operator::start(plane.node(), &kubeconfig, &OperatorOptions::default())?;
    let agents = nodes.iter().map(|node| {
        let kubeconfig = plane.agent_kubeconfig(node.name())?;
        Agent::start_in_cluster(node, &kubeconfig, None, &AgentOptions::default())
    });
    let _agents = agents.collect::<holdfast_lab::Result<Vec<_>>>()?;

    let mut printed = String::new();
    for line in using.lines() {
        printed = type_line(&plane, &checkout, line)?;
    }
    println!("{printed}");
    // Of two nodes that nobody prefers either may serve.
    let active = if printed.contains("worker-2") {
        "worker-2"
    } else {
        "worker-1"
    };
    let vip = ADDRESSES[1].parse()?;
    let meter = Meter::start(&client, &nodes, &[vip])?;
    meter.wait_for_answer(vip, active, PATIENCE)?;
    let printed = printed
        .replace(ADDRESSES[1], ADDRESSES[0])
        .replace(active, "worker-1");
    assert_eq!(cells(&printed), cells(shown), "{printed}");
    Ok(())
}

/// A folder with what the commands name, in which the address is one of the lab's: the README has the reader write it.
fn checkout(repository: &Path, folder: &Path) -> Result<PathBuf> {
    let checkout = folder.join("holdfast");
    let examples = "examples/kubernetes";
    fs::create_dir_all(checkout.join(examples))?;
    symlink(repository.join("charts").canonicalize()?, checkout.join("charts"))?;
    let web = fs::read_to_string(repository.join(examples).join("web.yaml"))?;
    assert!(web.contains(ADDRESSES[0]), "the example has another address");
    fs::write(
        checkout.join(examples).join("web.yaml"),
        web.replace(ADDRESSES[0], ADDRESSES[1]),
    )?;
    Ok(checkout)
}

/// Types a line into a shell, as somebody who may do anything in the cluster.
fn type_line(plane: &ControlPlane, folder: &Path, line: &str) -> Result<String> {
    println!("$ {line}");
    let programs = [KUBECTL.find()?, HELM.find()?];
    let folders: Vec<_> = programs
        .iter()
        .filter_map(|program| Some(program.parent()?.display().to_string()))
        .collect();
    let script = format!(
        "cd {} && export PATH={}:$PATH HOME={} KUBECONFIG={} && {line}",
        folder.display(),
        folders.join(":"),
        folder.display(),
        plane.admin_kubeconfig().display(),
    );
    chart::said(&plane.node().exec("sh", &["-c", &script])?)
        .map_err(|error| format!("{line}: {error}").into())
}

fn section(text: &str) -> Result<&str> {
    let (_, rest) = text.split_once(SECTION).ok_or("the README has no such section")?;
    Ok(rest.split("\n## ").next().unwrap_or(rest))
}

/// The blocks of code in this language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = text.split(&*fence).skip(1);
    blocks
        .filter_map(|block| block.split_once("\n```").map(|(code, _)| code))
        .collect()
}

/// The cells of a table but for those that differ from cluster to cluster: the identifier and the age.
fn cells(table: &str) -> Vec<Vec<&str>> {
    let mut lines = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let header = lines.next().unwrap_or_default();
    let varies: Vec<bool> = header.iter().map(|name| ["VRID", "AGE"].contains(name)).collect();
    let mut rows: Vec<Vec<&str>> = lines
        .map(|row| {
            let known = row.into_iter().zip(&varies).filter(|(_, varies)| !**varies);
            known.map(|(cell, _)| cell).collect()
        })
        .collect();
    rows.push(header);
    rows
}
