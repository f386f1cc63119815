//! What its reader does with each block of the guide, from top to bottom.

use std::{fs, path::Path};

use super::{
    blocks::{Block, blocks},
    proxy::Proxy,
};
use crate::Result;

/// A block, by what it is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Typed on each control-plane node: its image and its program.
    Agent,
    /// Typed on each control-plane node: its manifest.
    Manifest,
    /// Read: the group in the manifest.
    Group,
    /// `init.yaml` on the first node.
    InitFile,
    /// Typed on the first node.
    Init,
    /// Typed on the first node: kubectl and the network.
    Kubectl,
    /// `join.yaml` on the second and, with other names, the third node.
    JoinFile,
    /// Typed on these.
    Join,
    /// Typed on any control-plane node.
    Status,
    /// Typed on the first node.
    Look,
    /// Typed on the node with the address, one line after the other.
    Try,
    /// Typed in place of [`Part::Manifest`].
    ProxyManifest(Proxy),
    /// [`Proxy::configuration`] on each control-plane node.
    ProxyConfiguration(Proxy),
    /// [`Proxy::manifest`] on each control-plane node.
    ProxyPod(Proxy),
    /// Typed on the node with the address, one line after the other.
    ProxyTry(Proxy),
    /// Typed by cloud-init: [`Part::Agent`], [`Part::Manifest`] and [`Part::Init`].
    CloudInit,
    /// Typed by Ansible: [`Part::Manifest`].
    Ansible,
    /// Typed once there is an operator.
    Operator,
}

/// A block that the guide is known to have.
struct Known {
    heading: &'static str,
    /// What the sentence before the block says of it.
    says: &'static str,
    /// How the block begins.
    begins: &'static str,
    part: Part,
}

const fn known(heading: &'static str, says: &'static str, begins: &'static str, part: Part) -> Known {
    Known {
        heading,
        says,
        begins,
        part,
    }
}

const FIRST: &str = "2. The first node";
const OTHERS: &str = "3. The second and the third node";
const WORKS: &str = "5. See that it works";
const AGENT: &str = "1. Every control-plane node: the agent";
const AUTOMATION: &str = "cloud-init and Ansible";

const SCRIPT: &[Known] = &[
    known(AGENT, "as root", "ctr ", Part::Agent),
    known(
        AGENT,
        "the same on each of the three nodes",
        "holdfast-agent manifest kubeadm ",
        Part::Manifest,
    ),
    known(AGENT, "one Pod with this group", "apiVersion: vip.", Part::Group),
    known(FIRST, "On `cp-1`, as `init.yaml`", "# The first", Part::InitFile),
    known(FIRST, "", "kubeadm init ", Part::Init),
    known(
        FIRST,
        "the network plugin of your choice",
        "mkdir -p ~/.kube",
        Part::Kubectl,
    ),
    known(
        OTHERS,
        "on `cp-3` the same with its own name and address",
        "# A further",
        Part::JoinFile,
    ),
    known(OTHERS, "", "kubeadm join ", Part::Join),
    known(
        WORKS,
        "On any control-plane node, as root",
        "holdfast-agent status",
        Part::Status,
    ),
    known(WORKS, "On `cp-1`", "kubectl ", Part::Look),
    known(
        WORKS,
        "On the node that holds the address",
        "mv /etc/kubernetes/manifests/kube-apiserver.yaml ",
        Part::Try,
    ),
    known(
        "HAProxy",
        "in place of the one above",
        "holdfast-agent manifest kubeadm ",
        Part::ProxyManifest(Proxy::Haproxy),
    ),
    known(
        "HAProxy",
        "`/etc/haproxy/haproxy.cfg`, on each node, before `kubeadm`",
        "# HAProxy",
        Part::ProxyConfiguration(Proxy::Haproxy),
    ),
    known(
        "HAProxy",
        "`/etc/kubernetes/manifests/haproxy.yaml`, on each node, before `kubeadm`",
        "# HAProxy",
        Part::ProxyPod(Proxy::Haproxy),
    ),
    known(
        "HAProxy",
        "on the node that holds the address:",
        "mv /etc/kubernetes/manifests/haproxy.yaml ",
        Part::ProxyTry(Proxy::Haproxy),
    ),
    known(
        "nginx",
        "in place of the one above",
        "holdfast-agent manifest kubeadm ",
        Part::ProxyManifest(Proxy::Nginx),
    ),
    known(
        "nginx",
        "`/etc/nginx/apiserver.conf`, on each node, before `kubeadm`",
        "# nginx",
        Part::ProxyConfiguration(Proxy::Nginx),
    ),
    known(
        "nginx",
        "`/etc/kubernetes/manifests/nginx.yaml`, on each node, before `kubeadm`",
        "# nginx",
        Part::ProxyPod(Proxy::Nginx),
    ),
    known(
        "nginx",
        "on the node that holds the address:",
        "mv /etc/kubernetes/manifests/nginx.yaml ",
        Part::ProxyTry(Proxy::Nginx),
    ),
    known(
        AUTOMATION,
        "with 2 if a flag is wrong",
        "#cloud-config",
        Part::CloudInit,
    ),
    known(AUTOMATION, "", "- name: The agent", Part::Ansible),
    known(
        "Later: the operator, and who runs the address then",
        "give it the group that runs already",
        "holdfast-agent manifest kubeadm ",
        Part::Operator,
    ),
];

/// The guide, whose blocks are all known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Guide {
    text: String,
    blocks: Vec<(Part, Block)>,
}

impl Guide {
    /// Reads docs/kubeadm.md of the checkout `root`.
    ///
    /// # Errors
    /// As [`Guide::parse`].
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join("docs/kubeadm.md");
        let text =
            fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::parse(text)
    }

    /// Finds out what each block is for.
    ///
    /// # Errors
    /// When it has other blocks than it is known to have, in the order in which it has them.
    pub fn parse(text: String) -> Result<Self> {
        let mut script = SCRIPT.iter();
        let mut found = Vec::new();
        for block in blocks(&text) {
            let known = script
                .next()
                .ok_or_else(|| format!("line {}: nobody knows what this block is for", block.line))?;
            known.check(&block)?;
            found.push((known.part, block));
        }
        match script.next() {
            Some(missing) => Err(format!(
                "the guide has no block under “{}” that begins with `{}`",
                missing.heading, missing.begins
            )
            .into()),
            None => Ok(Self { text, blocks: found }),
        }
    }

    /// The whole guide.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is in the block of this part.
    ///
    /// # Errors
    /// When it has none, which [`Guide::parse`] would have found.
    pub fn block(&self, part: Part) -> Result<&str> {
        let found = self.blocks.iter().find(|(of, _)| *of == part);
        let (_, block) = found.ok_or_else(|| format!("the guide has no {part:?}"))?;
        Ok(&block.text)
    }
}

impl Known {
    fn check(&self, block: &Block) -> Result<()> {
        let differs = |what: &str, wanted: &str, found: &str| {
            Err(format!(
                "line {}: {:?} is to be here, whose {what} `{wanted}`, and it is `{found}`: tell the test of the guide",
                block.line, self.part
            )
            .into())
        };
        if block.heading != self.heading {
            return differs("heading is", self.heading, &block.heading);
        }
        if !block.lead.contains(self.says) {
            return differs("sentence before it has", self.says, &block.lead);
        }
        if !block.text.starts_with(self.begins) {
            let first = block.text.lines().next().unwrap_or_default();
            return differs("first line begins with", self.begins, first);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guide() -> Guide {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        Guide::read(&root).expect("docs/kubeadm.md and its test tell the same")
    }

    #[test]
    fn every_block_of_the_guide_is_one_that_its_test_knows() {
        let guide = guide();
        assert_eq!(guide.blocks.len(), SCRIPT.len());
        assert!(
            guide
                .block(Part::Init)
                .is_ok_and(|init| init == "kubeadm init --config init.yaml --upload-certs\n")
        );
    }

    #[test]
    fn a_block_that_is_new_or_moved_or_gone_is_noticed() {
        let text = guide().text;
        let complaint = |text: String| Guide::parse(text).err().map(|error| error.to_string());
        let new = text.replace("## 4. Workers", "```sh\nreboot\n```\n\n## 4. Workers");
        let said = complaint(new).expect("nobody knows it");
        assert!(
            said.contains("it is `3. The second and the third node`"),
            "{said}"
        );
        let renamed = text.replace("as `join.yaml`", "as `kubeadm.yaml`");
        let moved = renamed.replace("`cp-3`\nthe same with its own name and address", "`cp-3` too");
        let said = complaint(moved).expect("it says nothing of the third node");
        assert!(said.contains("on `cp-3` the same"), "{said}");
        let gone = text.replace("```sh\nholdfast-agent status -o wide\n```", "");
        assert!(complaint(gone).is_some());
        let last = format!("{text}\n```sh\nreboot\n```\n");
        let said = complaint(last).expect("nobody knows it");
        assert!(said.ends_with("nobody knows what this block is for"), "{said}");
    }
}
