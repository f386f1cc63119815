//! Each row of the table in docs/agent.md is a test, and its name is the row.

use std::path::PathBuf;

use holdfast_api::render::{NodeFacts, SecretSource};
use serde_json::{Value, json};

use super::*;

const CLUSTER: &str = "cluster-1";

/// An entry of `VirtualIPNode.spec.groups`; its number is its identifier and the end of its address.
fn entry(name: &str, number: u8, priority: i32) -> Value {
    json!({
        "name": name,
        "generation": 3,
        "virtualRouterID": number,
        "addresses": [{ "address": format!("192.0.2.{number}/24") }],
        "priority": priority,
        "advertisement": {
            "version": 3, "interval": "1s", "family": "IPv4", "mode": "Multicast", "multicastGroup": "224.0.0.18",
        },
        "mayBecomeActive": true,
    })
}

fn told_by(cluster: &str, groups: &Value) -> Told {
    Told::read(json!({ "clusterUID": cluster, "groups": groups }), 9).unwrap()
}

fn told(groups: &Value) -> Told {
    told_by(CLUSTER, groups)
}

fn tombstone(name: &str) -> Value {
    json!({ "name": name, "deleted": true })
}

fn no_secrets(_: &SecretSource) -> Result<Vec<u8>, String> {
    Err("the Secret holdfast-system/vrrp does not exist".to_owned())
}

/// What a cache holds after the API has said `groups`.
fn cache(groups: &Value) -> Memory {
    let mut memory = merge(&Inputs {
        api: Some(&told(groups)),
        memory: &Memory::default(),
        files: None,
        secrets: &no_secrets,
        access: &Access::default(),
    })
    .memory;
    for group in memory.groups.values_mut() {
        group.source = GroupSource::Cache;
    }
    memory
}

fn file(name: &str, number: u8) -> Offer {
    let text = format!(
        "apiVersion: vip.holdfast.dev/v1alpha1\nkind: VirtualIPGroup\nmetadata: {{name: {name}}}\nspec:\n  \
         virtualRouterID: {number}\n  addresses: [{{address: 192.0.2.{number}/24}}]\n  priority: 50\n  \
         advertisement: {{mode: Multicast}}\n"
    );
    let files = [(PathBuf::from("/etc/holdfast/a.yaml"), text)];
    holdfast_api::files::load(&files, &NodeFacts::default(), &no_secrets)
        .unwrap()
        .into()
}

fn merged(api: Option<&Told>, memory: &Memory, files: Option<&Offer>) -> Merged {
    let merged = merge(&Inputs {
        api,
        memory,
        files,
        secrets: &no_secrets,
        access: &Access::default(),
    });
    let again = merge(&Inputs {
        api,
        memory: &merged.memory,
        files,
        secrets: &no_secrets,
        access: &Access::default(),
    });
    assert_eq!(
        (&again.spec, &again.groups),
        (&merged.spec, &merged.groups),
        "merging again changes nothing"
    );
    assert_eq!(again.memory, merged.memory);
    merged
}

/// What runs of group `web`: its priority, which tells the versions apart, and its source.
fn web(merged: &Merged) -> Option<(u8, GroupSource)> {
    let group = merged.spec.groups.get("web")?;
    Some((group.priority.get(), merged.groups["web"].source))
}

fn refusal(merged: &Merged) -> &str {
    merged.groups["web"].refused.as_deref().unwrap_or_default()
}

const API: u8 = 100;
const CACHED: u8 = 90;
const FILE: u8 = 50;

fn api_entry() -> Value {
    json!([entry("web", 7, i32::from(API))])
}

fn cached() -> Memory {
    cache(&json!([entry("web", 7, i32::from(CACHED))]))
}

fn cached_tombstone() -> Memory {
    cache(&json!([tombstone("web")]))
}

/// An entry that cannot be run: its identifier is none.
fn broken() -> Value {
    let mut broken = entry("web", 7, 100);
    broken["virtualRouterID"] = json!(300);
    json!([broken])
}

#[test]
fn api_not_heard_cache_empty_file_empty_nothing_runs() {
    let merged = merged(None, &Memory::default(), None);
    assert_eq!((merged.spec.groups.len(), merged.groups.len()), (0, 0));
}

#[test]
fn api_not_heard_cache_empty_file_has_it_the_files_runs() {
    let merged = merged(None, &Memory::default(), Some(&file("web", 7)));
    assert_eq!(web(&merged), Some((FILE, GroupSource::File)));
    assert!(merged.groups["web"].in_file);
}

#[test]
fn api_not_heard_cache_has_it_the_cached_runs() {
    let merged = merged(None, &cached(), None);
    assert_eq!(web(&merged), Some((CACHED, GroupSource::Cache)));
    assert_eq!(merged.groups["web"].generation, Some(3));
}

#[test]
fn api_not_heard_cache_has_it_file_has_it_the_cached_runs() {
    let merged = merged(None, &cached(), Some(&file("web", 7)));
    assert_eq!(web(&merged), Some((CACHED, GroupSource::Cache)));
    assert!(merged.groups["web"].in_file);
}

#[test]
fn api_not_heard_cache_has_its_tombstone_nothing_runs() {
    assert_eq!(web(&merged(None, &cached_tombstone(), None)), None);
}

#[test]
fn api_not_heard_cache_has_its_tombstone_file_has_it_nothing_runs_and_that_is_said() {
    let merged = merged(None, &cached_tombstone(), Some(&file("web", 7)));
    assert_eq!(web(&merged), None);
    assert!(merged.remarks.first().unwrap().contains("deleted in the cluster"));
}

#[test]
fn api_does_not_name_it_cache_empty_file_has_it_the_files_runs() {
    let merged = merged(Some(&told(&json!([]))), &Memory::default(), Some(&file("web", 7)));
    assert_eq!(web(&merged), Some((FILE, GroupSource::File)));
}

#[test]
fn api_does_not_name_it_cache_has_it_the_cached_runs_and_that_is_said() {
    for files in [None, Some(&file("web", 7))] {
        let merged = merged(Some(&told(&json!([]))), &cached(), files);
        assert_eq!(web(&merged), Some((CACHED, GroupSource::Cache)));
        assert!(
            merged
                .remarks
                .first()
                .unwrap()
                .contains("not named by the API any more")
        );
    }
}

#[test]
fn api_does_not_name_it_cache_has_its_tombstone_nothing_runs() {
    for files in [None, Some(&file("web", 7))] {
        let merged = merged(Some(&told(&json!([]))), &cached_tombstone(), files);
        assert_eq!(web(&merged), None);
        assert!(merged.memory.tombstones.contains("web"), "it still beats a file");
    }
}

#[test]
fn api_names_it_the_apis_runs_whatever_cache_and_file_have() {
    for memory in [Memory::default(), cached(), cached_tombstone()] {
        for files in [None, Some(&file("web", 7))] {
            let merged = merged(Some(&told(&api_entry())), &memory, files);
            assert_eq!(web(&merged), Some((API, GroupSource::API)));
            assert_eq!(merged.groups["web"].in_file, files.is_some());
            assert!(merged.memory.tombstones.is_empty(), "the API names it again");
        }
    }
}

#[test]
fn api_has_its_tombstone_nothing_runs_whatever_cache_and_file_have() {
    for memory in [Memory::default(), cached(), cached_tombstone()] {
        for files in [None, Some(&file("web", 7))] {
            let merged = merged(Some(&told(&json!([tombstone("web")]))), &memory, files);
            assert_eq!(web(&merged), None);
            assert!(
                !merged.groups.contains_key("web"),
                "nothing to report once it is withdrawn"
            );
            assert!(merged.memory.tombstones.contains("web"));
        }
    }
}

#[test]
fn api_has_it_and_it_cannot_be_run_cache_empty_file_empty_it_is_refused() {
    let merged = merged(Some(&told(&broken())), &Memory::default(), None);
    assert_eq!(web(&merged), None);
    assert!(refusal(&merged).contains("300 is not a number from 1 to 255"));
    assert_eq!(merged.groups["web"].generation, None);
}

#[test]
fn api_has_it_and_it_cannot_be_run_cache_empty_file_has_it_the_files_runs_and_it_is_refused() {
    let merged = merged(Some(&told(&broken())), &Memory::default(), Some(&file("web", 7)));
    assert_eq!(web(&merged), Some((FILE, GroupSource::File)));
    assert!(refusal(&merged).contains("virtualRouterID"));
}

#[test]
fn api_has_it_and_it_cannot_be_run_cache_has_it_the_cached_runs_and_it_is_refused() {
    for files in [None, Some(&file("web", 7))] {
        let merged = merged(Some(&told(&broken())), &cached(), files);
        assert_eq!(web(&merged), Some((CACHED, GroupSource::Cache)));
        assert!(refusal(&merged).contains("virtualRouterID"));
    }
}

#[test]
fn api_has_it_and_it_cannot_be_run_cache_has_its_tombstone_nothing_runs_and_it_is_refused() {
    let merged = merged(Some(&told(&broken())), &cached_tombstone(), Some(&file("web", 7)));
    assert_eq!(web(&merged), None);
    assert!(refusal(&merged).contains("virtualRouterID"));
}

#[test]
fn api_requires_an_unknown_feature_it_is_as_if_it_were_not_heard_and_that_is_a_problem() {
    let spec =
        json!({ "requiredFeatures": ["Levitation"], "groups": [entry("web", 7, 100), tombstone("db")] });
    let told = Told::read(spec, 9).unwrap();
    let memory = cache(&json!([entry("web", 7, 90), entry("db", 8, 90)]));
    let merged = merged(Some(&told), &memory, None);
    assert_eq!(web(&merged), Some((CACHED, GroupSource::Cache)));
    assert!(
        merged.spec.groups.contains_key("db"),
        "its tombstone is not applied either"
    );
    assert_eq!(merged.memory, memory);
    assert_eq!(merged.problems[0].reason, "UnknownFeature");
    assert!(merged.problems[0].message.contains("Levitation"));
}

#[test]
fn api_is_another_clusters_and_does_not_name_it_cache_has_it_it_is_dropped_and_that_is_said() {
    let other = told_by("cluster-2", &json!([]));
    let merged = merged(Some(&other), &cached(), None);
    assert_eq!(web(&merged), None);
    assert!(merged.remarks.first().unwrap().contains("dropped: web"));
    assert_eq!(merged.memory.cluster_uid.as_deref(), Some("cluster-2"));
}

#[test]
fn api_is_another_clusters_and_does_not_name_it_file_has_it_the_files_runs() {
    for memory in [cached(), cached_tombstone()] {
        let other = told_by("cluster-2", &json!([]));
        let merged = merged(Some(&other), &memory, Some(&file("web", 7)));
        assert_eq!(web(&merged), Some((FILE, GroupSource::File)));
    }
}

#[test]
fn api_is_another_clusters_and_names_it_the_apis_runs() {
    let other = told_by("cluster-2", &api_entry());
    assert_eq!(
        web(&merged(Some(&other), &cached(), None)),
        Some((API, GroupSource::API))
    );
}

#[test]
fn a_group_that_the_api_named_and_names_no_more_goes_on_as_the_apis() {
    let heard = merged(Some(&told(&api_entry())), &Memory::default(), None);
    for absent in [Some(told(&json!([]))), None] {
        let merged = merged(absent.as_ref(), &heard.memory, None);
        assert_eq!(web(&merged), Some((API, GroupSource::API)));
    }
}

#[test]
fn groups_of_files_and_of_the_api_stand_side_by_side() {
    let merged = merged(
        Some(&told(&api_entry())),
        &Memory::default(),
        Some(&file("db", 8)),
    );
    let sources: Vec<_> = merged
        .groups
        .iter()
        .map(|(name, group)| (name.as_str(), group.source))
        .collect();
    assert_eq!(sources, [("db", GroupSource::File), ("web", GroupSource::API)]);
    assert_eq!(merged.spec.groups.len(), 2);
    assert!(merged.remarks.is_empty());
}

#[test]
fn where_a_file_and_the_api_want_the_same_identifier_or_address_the_api_has_it() {
    let merged = merged(Some(&told(&api_entry())), &cached(), Some(&file("other", 7)));
    assert_eq!(merged.spec.groups.keys().collect::<Vec<_>>(), ["web"]);
    let remark = merged.remarks.first().unwrap();
    assert!(
        remark.contains("group other of a file is left out") && remark.contains("`web`"),
        "{remark}"
    );
}

#[test]
fn one_group_of_the_api_that_cannot_be_run_leaves_the_others_alone() {
    let mut groups = broken();
    groups.as_array_mut().unwrap().push(entry("db", 8, 100));
    let merged = merged(Some(&told(&groups)), &Memory::default(), None);
    assert_eq!(merged.spec.groups.keys().collect::<Vec<_>>(), ["db"]);
    assert_eq!(merged.groups["db"].refused, None);
}

fn with_secret() -> Value {
    let mut entry = entry("web", 7, 100);
    entry["advertisement"]["version"] = json!(2);
    entry["authentication"] =
        json!({ "type": "Password", "secretRef": { "name": "vrrp", "key": "password" } });
    json!([entry])
}

#[test]
fn a_missing_secret_refuses_its_group_by_name_and_an_arriving_one_runs_it() {
    let told = told(&with_secret());
    let missing = merged(Some(&told), &Memory::default(), None);
    assert_eq!(web(&missing), None);
    assert!(refusal(&missing).contains("holdfast-system/vrrp"));
    let found = merge(&Inputs {
        api: Some(&told),
        memory: &missing.memory,
        files: None,
        secrets: &|_| Ok(b"opensesa".to_vec()),
        access: &Access::default(),
    });
    assert_eq!(web(&found), Some((API, GroupSource::API)));
    // Gone again, it changes nothing but what is said.
    let gone = merged(Some(&told), &found.memory, None);
    assert_eq!(gone.spec, found.spec);
    assert!(refusal(&gone).contains("holdfast-system/vrrp"));
}

#[test]
fn a_changed_password_is_applied_to_a_group_that_only_the_cache_has() {
    let with = |password: &'static str, memory: &Memory| {
        merge(&Inputs {
            api: None,
            memory,
            files: None,
            secrets: &|_| Ok(password.as_bytes().to_vec()),
            access: &Access::default(),
        })
    };
    let memory = cache(&with_secret());
    assert!(memory.groups.is_empty(), "it was refused");
    let mut told_once = merge(&Inputs {
        api: Some(&told(&with_secret())),
        memory: &memory,
        files: None,
        secrets: &|_| Ok(b"first".to_vec()),
        access: &Access::default(),
    });
    told_once.memory.groups.get_mut("web").unwrap().source = GroupSource::Cache;
    let first = with("first", &told_once.memory);
    let second = with("second", &first.memory);
    assert_ne!(first.spec, second.spec);
    assert!(!format!("{:?}", second.spec).contains("second"));
}

/// The group `web` with a probe that runs a program.
fn with_program(priority: u8) -> Value {
    let mut group = entry("web", 7, i32::from(priority));
    group["probes"] = json!([{ "name": "script", "exec": { "command": ["/usr/local/bin/check"] } }]);
    group
}

#[test]
fn a_group_that_asks_for_more_than_the_agent_may_do_is_refused_and_what_ran_keeps_running() {
    let asks = told(&json!([with_program(API)]));
    let refused = merged(Some(&asks), &cached(), None);
    assert_eq!(web(&refused), Some((CACHED, GroupSource::Cache)));
    assert!(
        refusal(&refused).contains("--exec-allow"),
        "{}",
        refusal(&refused)
    );
    assert_eq!(refused.memory.groups["web"].entry.priority, i32::from(CACHED));

    let allowed = Access {
        exec_allow: vec![PathBuf::from("/usr/local/bin")],
        ..Access::default()
    };
    let runs = merge(&Inputs {
        api: Some(&asks),
        memory: &refused.memory,
        files: None,
        secrets: &no_secrets,
        access: &allowed,
    });
    assert_eq!(web(&runs), Some((API, GroupSource::API)));
    assert_eq!(refusal(&runs), "");
    // An agent that is started again without the flag has nothing left that it could run.
    let mut stored = runs.memory;
    stored.groups.get_mut("web").unwrap().running = None;
    let again = merged(Some(&asks), &stored, None);
    assert_eq!(web(&again), None);
    assert!(refusal(&again).contains("--exec-allow"));
}

#[test]
fn a_group_of_a_file_that_a_pod_cannot_watch_is_refused_and_what_ran_keeps_running() {
    let pod = Access {
        pod: true,
        ..Access::default()
    };
    let load = |probes: &Value, priority: u8| -> Offer {
        let mut group = entry("web", 7, i32::from(priority));
        group["probes"] = probes.clone();
        let group: NodeGroup = serde_json::from_value(group).unwrap();
        let run = model_group(&group, &no_secrets).unwrap();
        Offer {
            spec: NodeSpec {
                groups: BTreeMap::from([("web".to_owned(), run)]),
            },
            rendered: vec![group],
            ..Offer::default()
        }
    };
    let hidden = &json!([{ "name": "nginx", "process": { "name": "nginx" } }]);
    let nothing = merged(
        None,
        &Memory::default(),
        Some(&load(hidden, FILE).admitted(None, &pod)),
    );
    assert_eq!(web(&nothing), None);
    assert!(
        refusal(&nothing).contains("agent.hostPID"),
        "{}",
        refusal(&nothing)
    );

    let before = load(&json!([]), FILE).admitted(None, &pod);
    let after = load(hidden, 60).admitted(Some(&before), &pod);
    let kept = merged(None, &Memory::default(), Some(&after));
    assert_eq!(web(&kept), Some((FILE, GroupSource::File)));
    assert!(refusal(&kept).contains("agent.hostPID"), "{}", refusal(&kept));
    // The API's group is another matter.
    let overruled = merged(Some(&told(&api_entry())), &Memory::default(), Some(&after));
    assert_eq!(web(&overruled), Some((API, GroupSource::API)));
    assert_eq!(refusal(&overruled), "");
}
