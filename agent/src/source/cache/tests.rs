//! What is written is read again, and what is not ours is not: whoever wrote it, however it was interrupted.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::json;

use super::*;

fn group(name: &str, priority: i32) -> NodeGroup {
    serde_json::from_value(json!({
        "name": name,
        "generation": 3,
        "virtualRouterID": 7,
        "addresses": [{ "address": "192.0.2.7/24" }],
        "priority": priority,
        "advertisement": {
            "version": 2, "interval": "1s", "family": "IPv4", "mode": "Multicast", "multicastGroup": "224.0.0.18",
        },
        "authentication": { "type": "Password", "secretRef": { "name": secret(priority), "key": "password" } },
        "mayBecomeActive": true,
    }))
    .unwrap()
}

/// Which Secret the group of this priority names: the next one names the other.
fn secret(priority: i32) -> String {
    format!("vrrp-{}", priority % 2)
}

fn stored(priority: i32) -> Stored {
    let secret = (secret(priority), "password".to_owned());
    Stored {
        cluster_uid: Some("cluster-1".to_owned()),
        generation: Some(i64::from(priority)),
        groups: vec![group("web", priority)],
        tombstones: BTreeSet::from(["gone".to_owned()]),
        passwords: Passwords(BTreeMap::from([(secret, format!("pw{priority}").into_bytes())])),
    }
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

    fn cache(&self) -> Cache {
        Cache::new(self.path("cache"), "cp-1")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn change(&self, name: &str, change: impl Fn(&mut Value)) {
        let path = self.path("cache").join(name);
        let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        fs::write(&path, serde_json::to_vec_pretty(&value).unwrap()).unwrap();
    }

    fn why(&self) -> String {
        let path = self.path("cache").join(NODE);
        let outcome: Result<(_, NodePayload), _> = self.cache().try_open(&path);
        outcome
            .err()
            .map(|ignored| ignored.to_string())
            .unwrap_or_default()
    }
}

#[test]
fn what_was_kept_is_read_again_and_is_for_its_owner_alone() {
    let place = Place::new();
    assert_eq!(place.cache().read(), None, "nothing was kept yet");
    place.cache().write(&stored(100), None).unwrap();
    assert_eq!(place.cache().read(), Some(stored(100)));
    for (name, mode) in [(NODE, 0o600), (SECRETS, 0o600), ("", 0o700)] {
        let found = fs::metadata(place.path("cache").join(name)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, mode, "{name}");
    }
    let node = fs::read_to_string(place.path("cache").join(NODE)).unwrap();
    assert!(!node.contains("pw100") && !node.contains("cHcxMDA"), "{node}");
}

#[test]
fn what_is_removed_leaves_nothing_and_can_be_written_again() {
    let place = Place::new();
    place.cache().remove().unwrap();
    place.cache().write(&stored(100), None).unwrap();
    place.cache().remove().unwrap();
    assert_eq!(fs::read_dir(place.path("cache")).unwrap().count(), 0);
    place.cache().write(&stored(101), None).unwrap();
    assert_eq!(place.cache().read(), Some(stored(101)));
}

#[test]
fn a_password_is_printed_as_stars() {
    let shown = format!("{:?}", stored(100));
    assert!(shown.contains("***") && !shown.contains("pw100"), "{shown}");
}

type Spoil = fn(&mut Value);

#[test]
fn another_node_another_version_and_a_changed_byte_are_ignored_with_their_reason() {
    let place = Place::new();
    place.cache().write(&stored(100), None).unwrap();
    place.change(NODE, |_| {});
    assert_eq!(place.why(), "", "how it is laid out does not matter");

    let spoiled: [(Spoil, &str); 5] = [
        (|file| file["node"] = json!("cp-2"), "it is of node `cp-2`"),
        (|file| file["schemaVersion"] = json!(2), "version 2"),
        (|file| file["schemaVersion"] = json!("1"), "no schemaVersion"),
        (
            |file| file["payload"]["spec"]["groups"][0]["priority"] = json!(101),
            "checksum",
        ),
        (|file| *file = json!({ "schemaVersion": 1 }), "damaged"),
    ];
    for (spoil, sentence) in spoiled {
        place.cache().write(&stored(100), None).unwrap();
        place.change(NODE, spoil);
        assert!(place.why().contains(sentence), "{}", place.why());
        assert_eq!(place.cache().read(), None);
    }
}

#[test]
fn a_file_that_is_torn_huge_or_none_is_ignored() {
    let place = Place::new();
    let path = place.path("cache").join(NODE);
    place.cache().write(&stored(100), None).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(place.why().contains("damaged"), "{length}: {}", place.why());
    }
    fs::write(&path, "[".repeat(1 << 20)).unwrap();
    assert!(place.why().contains("damaged"), "{}", place.why());
    fs::File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
    assert_eq!(place.why(), "it has more than 16 MiB");
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(place.why().contains("not a regular file"), "{}", place.why());
}

#[test]
fn without_its_passwords_the_rest_counts() {
    let place = Place::new();
    place.cache().write(&stored(100), None).unwrap();
    fs::write(place.path("cache").join(SECRETS), "no").unwrap();
    let read = place.cache().read().unwrap();
    assert_eq!((read.groups.len(), read.passwords.0.len()), (1, 0));
}

#[test]
fn what_cannot_be_written_leaves_what_was_there() {
    let place = Place::new();
    let cache = place.cache();
    cache.write(&stored(100), None).unwrap();
    // A folder in the way of the new file fails for everybody, root too.
    fs::create_dir(place.path("cache").join("node.json.new")).unwrap();
    assert!(cache.write(&stored(101), Some(&stored(100))).is_err());
    let read = cache.read().unwrap();
    assert_eq!(read.groups, stored(100).groups);
}

/// Set for the process that [`killed_at_any_moment_the_old_or_the_new_one_is_left`] kills.
const WRITER: &str = "HOLDFAST_TEST_CACHE_WRITER";

#[test]
fn killed_at_any_moment_the_old_or_the_new_one_is_left() {
    if let Some(folder) = std::env::var_os(WRITER) {
        let cache = Cache::new(folder.into(), "cp-1");
        let mut before = cache.read();
        for priority in (1..=254).cycle() {
            cache.write(&stored(priority), before.as_ref()).unwrap();
            before = Some(stored(priority));
        }
    }
    let place = Place::new();
    place.cache().write(&stored(1), None).unwrap();
    let mut seen = BTreeSet::new();
    let node_file = || fs::read(place.path("cache/node.json")).unwrap();
    for round in 0..40 {
        let mut before = node_file();
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "source::cache::tests::killed_at_any_moment_the_old_or_the_new_one_is_left",
            ])
            .env(WRITER, place.path("cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Until it has written a few times, however long that takes here; then a little longer each time.
        let began = std::time::Instant::now();
        for _ in 0..=round % 5 {
            while node_file() == before {
                assert!(
                    began.elapsed() < core::time::Duration::from_secs(30),
                    "it does not write"
                );
                std::thread::yield_now();
            }
            before = node_file();
        }
        std::thread::sleep(core::time::Duration::from_micros(round * 371));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let read = place.cache().read().expect("a cache that counts");
        let priority = read.groups[0].priority;
        assert_eq!(read.groups, stored(priority).groups);
        // It may know more passwords than it uses, and never fewer.
        let password = read.passwords.0.get(&(secret(priority), "password".to_owned()));
        assert!(password.is_some(), "{read:?}");
        seen.insert(priority);
    }
    assert!(seen.len() > 3, "the writer was killed while it wrote: {seen:?}");
}
