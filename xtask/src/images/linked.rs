//! The crates that are linked into each of several programs that are built by one call of cargo, as `cargo tree` knows them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use super::arch::Arch;
use super::crates::Crate;
use crate::process;
use crate::workspace::Workspace;

/// What each crate needs when it runs, without what only helps to compile it.
pub struct Linked {
    needs: BTreeMap<Crate, BTreeSet<Crate>>,
}

impl Linked {
    /// Asks cargo about `programs`, with the features that they ask for together.
    pub fn into_programs(workspace: &Workspace, programs: &[&str], arch: Arch) -> Result<Self> {
        let mut tree = workspace.cargo(&[
            "tree", "--locked", "--quiet", "--prefix", "depth", "--format", "{p}",
        ]);
        tree.args(["--edges", "normal,no-proc-macro", "--target", arch.target()]);
        tree.args(programs.iter().flat_map(|program| ["--package", program]));
        Self::read(&process::output(&mut tree)?)
    }

    /// Reads a tree in which the needs of a crate follow it once, wherever it is named first, and one level deeper.
    fn read(tree: &str) -> Result<Self> {
        let mut needs: BTreeMap<Crate, BTreeSet<Crate>> = BTreeMap::new();
        let mut above: Vec<Crate> = Vec::new();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let (depth, this) = placed(line)
                .filter(|(depth, _)| *depth <= above.len())
                .with_context(|| {
                    format!("`cargo tree` wrote a line without a crate and its place: {line}")
                })?;
            above.truncate(depth);
            if let Some(needing) = above.last() {
                needs.entry(needing.clone()).or_default().insert(this.clone());
            }
            needs.entry(this.clone()).or_default();
            above.push(this);
        }
        Ok(Self { needs })
    }

    /// Everything that is linked into any of the programs, they themselves included.
    pub fn all(&self) -> BTreeSet<Crate> {
        self.needs.keys().cloned().collect()
    }

    /// The crate called `program`, and everything that is linked into it.
    pub fn of(&self, program: &str) -> BTreeSet<Crate> {
        let mut linked = BTreeSet::new();
        let mut next: Vec<_> = self.needs.keys().filter(|root| root.name == program).collect();
        while let Some(this) = next.pop() {
            if linked.insert(this.clone()) {
                next.extend(self.needs.get(this).into_iter().flatten());
            }
        }
        linked
    }
}

/// How deep the crate of a line like `2serde v1.0.228 (*)` stands, and which it is.
fn placed(line: &str) -> Option<(usize, Crate)> {
    let name = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let depth = line.strip_suffix(name)?.parse().ok()?;
    let (name, rest) = name.split_once(" v")?;
    let this = Crate {
        name: name.to_owned(),
        version: rest.split(' ').next()?.to_owned(),
    };
    Some((depth, this))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two programs that have a library in common, whose needs are named below the first of them alone.
    const TREE: &str = "0first v0.1.0 (/a b/first)\n1common v1.2.3\n2deep v4.0.0-rc.1+meta\n1own v2.0.0\n\n\
                        0second v0.1.0 (/a b/second)\n1common v1.2.3 (*)\n1other v3.0.0\n";

    fn names(crates: &BTreeSet<Crate>) -> Vec<&str> {
        crates.iter().map(|one| one.name.as_str()).collect()
    }

    #[test]
    fn each_program_has_what_is_reached_from_it_also_where_the_tree_names_it_elsewhere() {
        let linked = Linked::read(TREE).unwrap();
        assert_eq!(names(&linked.of("first")), ["common", "deep", "first", "own"]);
        assert_eq!(names(&linked.of("second")), ["common", "deep", "other", "second"]);
        assert_eq!(
            names(&linked.all()),
            ["common", "deep", "first", "other", "own", "second"]
        );
    }

    #[test]
    fn a_line_names_a_crate_whatever_follows_its_version() {
        for line in [
            "1serde v1.0.228",
            "1serde v1.0.228 (*)",
            "1serde v1.0.228 (/a b/serde)",
        ] {
            let (depth, serde) = placed(line).unwrap();
            assert_eq!(
                (depth, serde.name.as_str(), serde.version.as_str()),
                (1, "serde", "1.0.228")
            );
        }
    }

    #[test]
    fn a_line_without_a_crate_or_with_one_below_nothing_is_refused() {
        for line in [
            "[build-dependencies]",
            "serde v1.0.228",
            "2serde v1.0.228",
            "0serde",
        ] {
            let error = Linked::read(line).map(drop).unwrap_err().to_string();
            assert!(error.ends_with(line), "{error}");
        }
    }
}
