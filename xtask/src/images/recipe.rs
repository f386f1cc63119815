//! What each image is: its program, its user, its size at most, and what its labels say.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use jiff::Timestamp;

/// One image.
pub struct Recipe {
    /// Its name, its program's and the crate's.
    pub name: &'static str,
    /// What follows the version in its tag.
    pub tag_suffix: &'static str,
    title: &'static str,
    description: &'static str,
    licenses: &'static str,
    /// The program's path in it.
    pub entrypoint: &'static str,
    /// Whose rights the program has, as `user:group`.
    pub user: &'static str,
    /// How large its layers may be, unpacked.
    pub largest: u64,
}

/// The operator: computes, and talks to the API server.
pub const OPERATOR: Recipe = Recipe {
    name: "holdfast-operator",
    tag_suffix: "",
    title: "Holdfast operator",
    description: "Decides what each node does for its virtual addresses, and writes their status",
    licenses: "Apache-2.0",
    entrypoint: "/holdfast-operator",
    // The user "nonroot" of most minimal images, as in the chart.
    user: "65532:65532",
    largest: 20_000_000,
};

/// The agent: speaks VRRP and binds addresses.
pub const AGENT: Recipe = Recipe {
    name: "holdfast-agent",
    tag_suffix: "",
    title: "Holdfast agent",
    description: "Holds virtual addresses on a node: VRRP, health, failover",
    licenses: "Apache-2.0",
    entrypoint: "/usr/local/bin/holdfast-agent",
    // Capabilities reach only root in a pod; the chart takes away all but two.
    user: "0:0",
    largest: 15_000_000,
};

/// The agent with a shell and small tools beside it, for probes and recovery that run programs.
pub const AGENT_WITH_TOOLS: Recipe = Recipe {
    tag_suffix: "-tools",
    title: "Holdfast agent with tools",
    description: "Holds virtual addresses on a node, with BusyBox for probes that run programs",
    licenses: "Apache-2.0 AND GPL-2.0-only",
    largest: AGENT.largest + 3_000_000,
    ..AGENT
};

/// Which state of the sources an image is made of.
pub struct Origin {
    /// Holdfast's version, or what stands for it.
    pub version: String,
    /// The commit, with `-dirty` if there were changes beside it.
    pub revision: String,
    /// When that was: the time of everything in the image.
    pub time: Timestamp,
    /// Where the sources are published.
    pub url: Option<String>,
}

impl Recipe {
    /// Fails if its layers are larger than they may be.
    pub fn ensure_fits(&self, unpacked: u64) -> Result<()> {
        ensure!(
            unpacked <= self.largest,
            "the image {}{} has {} unpacked and may have {}: find out what made it grow, with `cargo bloat` for example",
            self.name,
            self.tag_suffix,
            megabytes(unpacked),
            megabytes(self.largest)
        );
        Ok(())
    }

    /// Its tag.
    pub fn tag(&self, origin: &Origin) -> String {
        format!("{}{}", origin.version, self.tag_suffix)
    }

    /// Its labels, by the names that the image specification has for them.
    pub fn labels(&self, origin: &Origin) -> BTreeMap<&'static str, String> {
        let mut labels = BTreeMap::from([
            ("org.opencontainers.image.title", self.title.to_owned()),
            (
                "org.opencontainers.image.description",
                self.description.to_owned(),
            ),
            ("org.opencontainers.image.licenses", self.licenses.to_owned()),
            ("org.opencontainers.image.version", self.tag(origin)),
            ("org.opencontainers.image.revision", origin.revision.clone()),
            ("org.opencontainers.image.created", origin.time.to_string()),
        ]);
        if let Some(url) = &origin.url {
            labels.insert("org.opencontainers.image.source", url.clone());
        }
        labels
    }
}

/// A size as people read it.
#[expect(clippy::cast_precision_loss, reason = "a tenth of a megabyte is shown")]
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin {
            version: "0.1.0".to_owned(),
            revision: "e569963".to_owned(),
            time: Timestamp::from_second(1_700_000_000).unwrap(),
            url: None,
        }
    }

    #[test]
    fn tags_are_the_version_and_the_tools_add_their_word() {
        let tags = [OPERATOR, AGENT, AGENT_WITH_TOOLS].map(|recipe| recipe.tag(&origin()));
        assert_eq!(tags, ["0.1.0", "0.1.0", "0.1.0-tools"]);
    }

    #[test]
    fn an_image_that_is_larger_than_it_may_be_is_refused_with_both_sizes() {
        AGENT.ensure_fits(15_000_000).unwrap();
        OPERATOR.ensure_fits(20_000_000).unwrap();
        let error = AGENT.ensure_fits(15_100_000).unwrap_err().to_string();
        assert!(error.contains("15.1 MB unpacked and may have 15.0 MB"), "{error}");
    }

    #[test]
    fn labels_say_what_the_image_is_and_from_what_state_of_which_sources() {
        let labels = AGENT_WITH_TOOLS.labels(&origin());
        let label = |name| labels[format!("org.opencontainers.image.{name}").as_str()].as_str();
        assert_eq!(label("version"), "0.1.0-tools");
        assert_eq!(label("revision"), "e569963");
        assert_eq!(label("created"), "2023-11-14T22:13:20Z");
        assert_eq!(label("licenses"), "Apache-2.0 AND GPL-2.0-only");
        assert!(!labels.contains_key("org.opencontainers.image.source"));
        let published = Origin {
            url: Some("https://example.com/holdfast".to_owned()),
            ..origin()
        };
        assert_eq!(
            AGENT.labels(&published)["org.opencontainers.image.source"],
            "https://example.com/holdfast"
        );
    }

    #[test]
    fn the_chart_runs_each_image_as_the_user_that_the_image_has() {
        let agent = include_str!("../../../charts/holdfast/templates/agent.yaml");
        assert_eq!(AGENT.user, "0:0");
        assert!(agent.contains("runAsUser: 0\n") && agent.contains("runAsGroup: 0\n"));
        let helpers = include_str!("../../../charts/holdfast/templates/_helpers.tpl");
        assert!(
            helpers.contains("runAsUser: 65532\n"),
            "the chart's user is not {}",
            OPERATOR.user
        );
    }
}
