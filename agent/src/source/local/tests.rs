//! What a configuration on disk means, from its first reading to the last file removed.

use std::collections::BTreeMap;
use std::fs;

use super::*;

fn group(name: &str, virtual_router_id: u8, more: &str) -> String {
    format!(
        "apiVersion: vip.holdfast.dev/v1alpha1\nkind: VirtualIPGroup\nmetadata: {{name: {name}}}\nspec:\n  \
         virtualRouterID: {virtual_router_id}\n  addresses: [{{address: 192.0.2.{virtual_router_id}/24}}]\n  \
         advertisement: {{mode: Multicast}}\n{more}"
    )
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    fn source(&self) -> Files {
        let labels = BTreeMap::from([("role".to_owned(), "web".to_owned())]);
        Files::new(
            self.folder.path(),
            NodeFacts {
                name: "cp-1".to_owned(),
                labels,
            },
        )
    }
}

fn names(offer: &Offer) -> Vec<&str> {
    offer.spec.groups.keys().map(String::as_str).collect()
}

#[test]
fn a_folder_of_groups_is_an_offer() {
    let place = Place::new();
    place.write("b.yaml", &group("b", 2, ""));
    place.write(
        "a.yaml",
        &format!("{}---\n{}", group("a", 1, ""), group("c", 3, "")),
    );
    assert_eq!(names(&place.source().load().unwrap()), ["a", "b", "c"]);
}

#[test]
fn a_mistake_refuses_everything_with_file_line_and_field() {
    let place = Place::new();
    place.write("a.yaml", &group("a", 1, ""));
    place.write("b.yaml", &group("b", 2, "  priority: 300\n"));
    let problems = place.source().load().unwrap_err().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].contains("b.yaml:8:") && problems[0].contains("spec.priority"),
        "{problems:?}"
    );
}

#[test]
fn the_first_reading_runs_what_is_valid_and_says_what_is_not() {
    let place = Place::new();
    place.write("a.yaml", &group("a", 1, ""));
    place.write("b.yaml", &group("b", 2, "  priority: 300\n"));
    let offer = place.source().first().unwrap();
    assert_eq!(names(&offer), ["a"]);
    assert!(offer.problems[0].contains("b.yaml"), "{:?}", offer.problems);

    place.remove("a.yaml");
    assert!(place.source().first().unwrap_err().problems[0].contains("b.yaml"));
}

#[test]
fn absence_is_a_refusal_and_never_an_empty_offer() {
    let place = Place::new();
    assert!(place.source().load().unwrap_err().problems[0].contains("holds no configuration"));
    place.write("a.yaml", "# nothing here any more\n");
    assert!(
        place.source().load().unwrap_err().problems[0].contains("an empty configuration changes nothing")
    );
    place.write("a.yaml", "");
    assert!(place.source().load().is_err());
    let missing = Files::new(&place.folder.path().join("gone"), NodeFacts::default()).load();
    assert!(missing.unwrap_err().problems[0].contains("does not exist"));
}

#[test]
fn a_group_that_selects_other_nodes_is_valid_and_not_here() {
    let place = Place::new();
    place.write(
        "a.yaml",
        &group("a", 1, "  nodeSelector: {matchLabels: {role: db}}\n"),
    );
    let offer = place.source().load().unwrap();
    assert!(offer.spec.groups.is_empty());
    assert_eq!(offer.not_here, ["a"]);
    place.write(
        "b.yaml",
        &group("b", 2, "  nodeSelector: {matchLabels: {role: web}}\n"),
    );
    assert_eq!(names(&place.source().load().unwrap()), ["b"]);
}

#[test]
fn a_changed_password_file_is_a_changed_group() {
    let place = Place::new();
    place.write("password", "first\n");
    let file = place.folder.path().join("password");
    let more = format!("  authentication: {{type: Password, file: {}}}\n", file.display());
    place.write(
        "a.yaml",
        &group("a", 1, &more).replace("mode: Multicast", "mode: Multicast, version: 2"),
    );
    let mut source = place.source();
    let before = source.load().unwrap();
    assert!(source.passwords.contains(&file));
    place.write("password", "second\n");
    let after = source.load().unwrap();
    assert_eq!(Difference::between(&before.spec, &after.spec).changed, ["a"]);
    place.remove("password");
    let problems = source.load().unwrap_err().problems;
    assert!(
        problems[0].contains("a.yaml") && problems[0].contains("reading the password file"),
        "{problems:?}"
    );
}

#[test]
fn a_difference_names_what_moves() {
    let place = Place::new();
    place.write(
        "all.yaml",
        &format!(
            "{}---\n{}---\n{}",
            group("a", 1, ""),
            group("b", 2, ""),
            group("c", 3, "")
        ),
    );
    let before = place.source().load().unwrap().spec;
    place.write(
        "all.yaml",
        &format!(
            "{}---\n{}---\n{}",
            group("b", 2, "  priority: 7\n"),
            group("c", 3, ""),
            group("d", 4, "")
        ),
    );
    let after = place.source().load().unwrap().spec;
    let difference = Difference::between(&before, &after);
    assert_eq!(difference.to_string(), "added: d; changed: b; withdrawn: a");
    assert!(Difference::between(&after, &after).is_empty());
}

#[tokio::test]
async fn a_change_is_noticed_under_a_path_that_is_relative() {
    let here = std::env::current_dir().unwrap();
    let place = tempfile::tempdir_in(&here).unwrap();
    let relative = place.path().strip_prefix(&here).unwrap();
    fs::write(relative.join("a.yaml"), group("a", 1, "")).unwrap();
    for path in [relative.to_owned(), relative.join("a.yaml")] {
        let mut source = Files::new(&path, NodeFacts::default());
        source.watch().unwrap();
        fs::write(relative.join("a.yaml"), group("a", 2, "")).unwrap();
        assert!(
            tokio::time::timeout(core::time::Duration::from_secs(10), source.changed())
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn a_change_behind_a_link_is_noticed() {
    let (place, elsewhere) = (Place::new(), Place::new());
    elsewhere.write("groups", &group("a", 1, ""));
    std::os::unix::fs::symlink(
        elsewhere.folder.path().join("groups"),
        place.folder.path().join("a.yaml"),
    )
    .unwrap();
    let mut source = place.source();
    source.load().unwrap();
    source.watch().unwrap();
    elsewhere.write("groups", &group("a", 2, ""));
    assert!(
        tokio::time::timeout(core::time::Duration::from_secs(10), source.changed())
            .await
            .is_ok()
    );
}
