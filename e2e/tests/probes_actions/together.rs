//! Groups that move together, and groups that mirror each other.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, look,
    pair::{PATIENCE, Scene, settle_on, stays_on},
};
use holdfast_lab::{Node, harness::Outcome};

use crate::{SECOND, down, pair, probe, up, vip, web};

pub fn sync_group() -> Outcome {
    let second: IpAddr = "10.77.0.101".parse().unwrap();
    let scene = Scene::new()?;
    let meter = scene.meter(&[vip(), second])?;
    let groups = |node: &Node, priority: u8| {
        up(node, "service");
        let action = "onFailure: {type: Fault}";
        [
            web().priority(priority).spec("syncGroup: edge"),
            Group::new("other", 52)
                .address("10.77.0.101/24")
                .priority(priority)
                .spec(&format!(
                    "syncGroup: edge\nprobes:\n{}",
                    probe(node, "service", action)
                )),
        ]
    };
    let on_a = pair::agent(&scene.a, &groups(&scene.a, 200))?;
    let _on_b = pair::agent(&scene.b, &groups(&scene.b, 100))?;
    let both = [vip(), second];
    look::wait_for_group(&on_a, "other", "it passes", PATIENCE, |group| {
        group["probes"][0]["verdict"] == "Passing"
    })?;
    settle_on(&meter, &both, "a")?;
    let start = Instant::now();
    down(&scene.a, "service");
    settle_on(&meter, &both, "b")?;
    for vip in both {
        let report = meter.report_since(vip, start);
        assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    }
    let group = look::wait_for_faults(&on_a, "web", &["SyncGroup"], PATIENCE)?;
    let sentence = group["faults"][0]["message"].as_str().unwrap();
    assert!(
        sentence.contains("other") && sentence.contains("edge"),
        "{sentence}"
    );
    up(&scene.a, "service");
    settle_on(&meter, &both, "a")
}

pub fn mirrored() -> Outcome {
    let second: IpAddr = "10.77.0.101".parse().unwrap();
    let scene = Scene::new()?;
    let meter = scene.meter(&[vip(), second])?;
    let groups = |node: &Node, web_priority: u8, api_priority: u8| {
        for name in ["nginx", "haproxy"] {
            up(node, name);
        }
        [
            web()
                .priority(web_priority)
                .spec(&format!("probes:\n{}", probe(node, "nginx", ""))),
            Group::new("api", 52)
                .address("10.77.0.101/24")
                .priority(api_priority)
                .spec(&format!("probes:\n{}", probe(node, "haproxy", ""))),
        ]
    };
    let on_a = pair::agent(&scene.a, &groups(&scene.a, 200, 100))?;
    let on_b = pair::agent(&scene.b, &groups(&scene.b, 100, 200))?;
    for (agent, name) in [(&on_a, "web"), (&on_a, "api"), (&on_b, "web"), (&on_b, "api")] {
        look::wait_for_group(agent, name, "it passes", PATIENCE, |group| {
            group["probes"][0]["verdict"] == "Passing"
        })?;
    }
    settle_on(&meter, &[vip()], "a")?;
    settle_on(&meter, &[second], "b")?;
    down(&scene.a, "nginx");
    settle_on(&meter, &[vip(), second], "b")?;
    up(&scene.a, "nginx");
    settle_on(&meter, &[vip()], "a")?;
    stays_on(&meter, second, "b", SECOND)?;
    down(&scene.b, "haproxy");
    settle_on(&meter, &[vip(), second], "a")
}
