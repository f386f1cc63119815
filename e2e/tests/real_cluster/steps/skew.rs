//! Operator and agents of two revisions of Holdfast, as they are in the middle of an upgrade.

use std::{env, path::PathBuf};

use holdfast_e2e::{Result, outages::Promise};
use holdfast_lab::{
    kubeadm::architecture,
    kubernetes::{NAMESPACE, assets::CTR},
};

use super::install;
use crate::world::World;

/// The other revision's commit, which is the tag of its images.
const COMMIT_VARIABLE: &str = "HOLDFAST_PREVIOUS";
/// The folder with the archives of its images.
const IMAGES_VARIABLE: &str = "HOLDFAST_PREVIOUS_IMAGES";
/// What its images are called besides: the chart knows one tag for both programs, and so it takes another name to tell them apart.
const REPOSITORY: &str = "previous";
const PROGRAMS: [&str; 2] = ["holdfast-operator", "holdfast-agent"];

/// Each revision's agents under the other one's operator, with the chart and the definitions of this one.
pub fn play(world: &mut World) -> Result<()> {
    let Some(previous) = Previous::from_environment()? else {
        world.say(
            "left out: operator and agents of two revisions, because no other is named; \
             cargo xtask e2e --previous REVISION plays it",
        );
        return Ok(());
    };
    world.step(
        "the agents are of the previous revision, the operator is of this one",
        Promise::HANDED_OVER,
        |world| previous.in_use(world, "agent", "Demote"),
    )?;
    world.step(
        "the operator is of the previous revision, the agents are of this one",
        Promise::HANDED_OVER,
        |world| previous.in_use(world, "operator", "Release"),
    )?;
    world.step(
        "operator and agents are of this revision again",
        Promise::HANDED_OVER,
        |world| upgrade(world, &[], "Demote"),
    )
}

/// `helm upgrade` with these values instead of those before. Then what is written reaches the agents, what they do reaches the status,
/// and an address moves from one to another.
fn upgrade(world: &mut World, values: &[&str], policy: &str) -> Result<()> {
    let chart = world.root.join("charts/holdfast").display().to_string();
    let usual = ["upgrade", "holdfast", &chart, "--namespace", NAMESPACE];
    world.helm(&[&usual, values].concat())?;
    install::rolled_out(world)?;
    install::group_is_ready(world)?;
    install::drained_and_moved(world, policy)
}

/// Another revision of Holdfast.
struct Previous {
    commit: String,
    images: PathBuf,
}

impl Previous {
    /// The one that was named, if one was.
    fn from_environment() -> Result<Option<Self>> {
        let Ok(commit) = env::var(COMMIT_VARIABLE) else {
            return Ok(None);
        };
        let images = env::var_os(IMAGES_VARIABLE)
            .ok_or_else(|| format!("{IMAGES_VARIABLE} names no folder with the images of {commit}"))?;
        Ok(Some(Self {
            commit,
            images: images.into(),
        }))
    }

    /// Lets the `component` of the chart be of this revision, and the other one not.
    fn in_use(&self, world: &mut World, component: &str, policy: &str) -> Result<()> {
        self.import(world)?;
        let image = format!("{component}.image.repository={REPOSITORY}/holdfast-{component}");
        upgrade(world, &["--set", &image], policy)
    }

    /// Brings its images to every node.
    fn import(&self, world: &World) -> Result<()> {
        let ctr = CTR.built()?.display().to_string();
        for member in &world.members {
            for program in PROGRAMS {
                let archive = format!("{program}-{}-{}.tar", self.commit, architecture());
                member.import(&self.images.join(archive))?;
                let imported = format!("docker.io/library/{program}:{}", self.commit);
                // The chart's appVersion is the workspace's version.
                let known = format!("docker.io/{REPOSITORY}/{program}:{}", env!("CARGO_PKG_VERSION"));
                member
                    .machine()
                    .run(&ctr, &["-n", "k8s.io", "images", "tag", &imported, &known])?;
            }
        }
        world.say(&format!("  the images of {} are on all nodes", self.commit));
        Ok(())
    }
}
