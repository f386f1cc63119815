//! What one user has asked of the API server, by the API server's own audit log.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// An audit log.
pub struct Audit {
    policy: PathBuf,
    log: PathBuf,
}

/// Requests, counted by verb and resource.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Requests(BTreeMap<(String, String), usize>);

impl Audit {
    /// For the requests of `user`, with its files in `folder`.
    pub fn new(folder: &Path, user: &str) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let policy = folder.join("policy.json");
        let rules = json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            // A watch counts when it ends.
            "omitStages": ["RequestReceived", "ResponseStarted"],
            "rules": [{"level": "Metadata", "users": [user]}, {"level": "None"}],
        });
        fs::write(&policy, rules.to_string()).with_context(|| format!("write {}", policy.display()))?;
        Ok(Self {
            policy,
            log: folder.join("log"),
        })
    }

    /// What makes kube-apiserver write it.
    pub fn arguments(&self) -> Vec<String> {
        vec![
            format!("--audit-policy-file={}", self.policy.display()),
            format!("--audit-log-path={}", self.log.display()),
        ]
    }

    /// Everything so far.
    pub fn read(&self) -> Result<Requests> {
        let text = match fs::read_to_string(&self.log) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => bail!("read {}: {error}", self.log.display()),
        };
        let mut requests = Requests::default();
        // The last line may be half written.
        for event in text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        {
            requests.count(&event);
        }
        Ok(requests)
    }

    /// Waits until nothing but Leases has been asked for `quiet`; answers when the last other request was seen.
    pub fn wait_until_quiet(&self, quiet: Duration, patience: Duration) -> Result<Instant> {
        let start = Instant::now();
        let (mut last, mut seen) = (start, 0);
        while last.elapsed() < quiet {
            if start.elapsed() > patience {
                bail!("the operator is still at work after {} s", patience.as_secs());
            }
            let requests = self.read()?;
            let now = requests.requests() - requests.requests_for("leases");
            if now != seen {
                (last, seen) = (Instant::now(), now);
            }
            thread::sleep(Duration::from_millis(200));
        }
        Ok(last)
    }
}

impl Requests {
    fn count(&mut self, event: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = (text(&event["verb"]), text(&event["objectRef"]["resource"]));
        *self.0.entry(key).or_default() += 1;
    }

    /// Those that are not in `before`, which was read earlier.
    pub fn since(&self, before: &Self) -> Self {
        let earlier = |key| before.0.get(key).copied().unwrap_or_default();
        Self(
            self.0
                .iter()
                .map(|(key, count)| (key.clone(), count.saturating_sub(earlier(key))))
                .collect(),
        )
    }

    /// How many there are.
    pub fn requests(&self) -> usize {
        self.0.values().sum()
    }

    /// How many are about a kind of object.
    pub fn requests_for(&self, resource: &str) -> usize {
        let of_it = self.0.iter().filter(|((_, what), _)| what == resource);
        of_it.map(|(_, count)| count).sum()
    }

    /// How many watch.
    pub fn watches(&self) -> usize {
        let watches = self.0.iter().filter(|((verb, _), _)| verb == "watch");
        watches.map(|(_, count)| count).sum()
    }

    /// How many write.
    pub fn writes(&self) -> usize {
        let writes = self.0.iter().filter(|((verb, _), _)| is_write(verb));
        writes.map(|(_, count)| count).sum()
    }

    /// How many write a kind of object.
    pub fn writes_of(&self, resource: &str) -> usize {
        let writes = self
            .0
            .iter()
            .filter(|((verb, what), _)| is_write(verb) && what == resource);
        writes.map(|(_, count)| count).sum()
    }
}

fn is_write(verb: &str) -> bool {
    matches!(
        verb,
        "create" | "update" | "patch" | "delete" | "deletecollection"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(events: &[(&str, &str)]) -> Requests {
        let mut requests = Requests::default();
        for (verb, resource) in events {
            requests.count(&json!({"verb": verb, "objectRef": {"resource": resource}}));
        }
        requests
    }

    #[test]
    fn writes_and_leases_are_told_from_the_rest() {
        let all = requests(&[
            ("watch", "nodes"),
            ("patch", "virtualipnodes"),
            ("create", "virtualipnodes"),
            ("update", "leases"),
        ]);
        assert_eq!((all.requests(), all.writes()), (4, 3));
        assert_eq!(all.writes_of("virtualipnodes"), 2);
        assert_eq!(all.requests_for("leases"), 1);
    }

    #[test]
    fn what_was_asked_before_does_not_count() {
        let before = requests(&[("patch", "virtualipnodes")]);
        let after = requests(&[
            ("patch", "virtualipnodes"),
            ("patch", "virtualipnodes"),
            ("list", "nodes"),
        ]);
        let since = after.since(&before);
        assert_eq!((since.requests(), since.writes()), (2, 1));
    }
}
