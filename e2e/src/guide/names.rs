//! The names and addresses that the guide's table lets its reader change, and what stands for them in the lab.

use std::net::IpAddr;

use holdfast_lab::{Node, kubeadm::architecture};

/// The guide's machines, those of the control plane first, and their addresses.
pub const MACHINES: [(&str, &str); 4] = [
    ("cp-1", "10.0.0.11"),
    ("cp-2", "10.0.0.12"),
    ("cp-3", "10.0.0.13"),
    ("worker-1", "10.0.0.21"),
];

/// What is written instead of each name and address of the guide.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Names(Vec<(String, String)>);

impl Names {
    /// Replacements for exactly those names that the table at the top of the guide declares: those in code marks, and addresses.
    ///
    /// # Errors
    /// When one that is declared has no replacement, or the other way round.
    pub fn new(markdown: &str, replacements: &[(&str, String)]) -> crate::Result<Self> {
        let declared = declared(markdown);
        for name in &declared {
            if !replacements.iter().any(|(replaced, _)| replaced == name) {
                return Err(format!("the guide declares {name}, and nothing stands for it here").into());
            }
        }
        if let Some((name, _)) = replacements.iter().find(|(name, _)| !declared.contains(name)) {
            return Err(format!("the guide's table does not let its reader change {name}").into());
        }
        let mut pairs: Vec<(String, String)> = replacements
            .iter()
            .map(|(name, own)| ((*name).to_owned(), own.clone()))
            .collect();
        // One may begin with another, as 10.0.0.11 with 10.0.0.1: the longest that fits is meant.
        pairs.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Ok(Self(pairs))
    }

    /// What the lab has: these nodes, those of the control plane first, and the control plane's `address`.
    ///
    /// # Errors
    /// As [`Names::new`].
    pub fn of_lab<'n>(
        markdown: &str,
        address: IpAddr,
        nodes: impl IntoIterator<Item = &'n Node>,
    ) -> crate::Result<Self> {
        let mut replacements = vec![
            ("10.0.0.100", address.to_string()),
            ("10.0.0.0/24", "10.77.0.0/24".to_owned()),
            ("eth0", "eth0".to_owned()),
            ("amd64", architecture().to_owned()),
        ];
        for ((name, own), node) in MACHINES.into_iter().zip(nodes) {
            replacements.extend([(name, node.name().to_owned()), (own, node.ipv4().to_string())]);
        }
        Self::new(markdown, &replacements)
    }

    /// `text` with what stands for the names in it.
    pub fn put_into(&self, text: &str) -> String {
        let mut put = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some((name, own)) = self.0.iter().find(|(name, _)| rest.starts_with(name.as_str())) {
                put.push_str(own);
                rest = &rest[name.len()..];
            } else {
                put.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        put
    }
}

/// The names in the second column of the first table.
fn declared(markdown: &str) -> Vec<&str> {
    let rows = markdown
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    let cells = rows.skip(2).filter_map(|row| row.split('|').nth(2));
    cells
        .flat_map(|cell| cell.split([' ', ',', '(', ')']))
        .filter_map(|word| {
            let code = word.strip_prefix('`').and_then(|word| word.strip_suffix('`'));
            code.or_else(|| {
                word.starts_with(|first: char| first.is_ascii_digit())
                    .then_some(word)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# A guide\n\n| | here | yours |\n|---|---|---|\n| nodes | `a` 10.0.0.1, `b` 10.0.0.11 | |\n\
                         | the address | 10.0.0.100, in their network (10.0.0.0/24) | |\n\n| `no` | `more` | |\n";

    fn of(own: &[(&'static str, &str)]) -> crate::Result<Names> {
        let own: Vec<(&str, String)> = own.iter().map(|(name, own)| (*name, (*own).to_owned())).collect();
        Names::new(TABLE, &own)
    }

    #[test]
    fn names_are_replaced_whole_and_at_once() {
        let names = of(&[
            ("a", "cp-b"),
            ("b", "cp-c"),
            ("10.0.0.1", "192.0.2.11"),
            ("10.0.0.11", "192.0.2.12"),
            ("10.0.0.100", "192.0.2.1"),
            ("10.0.0.0/24", "192.0.2.0/24"),
        ])
        .expect("all that are declared");
        assert_eq!(
            names.put_into("10.0.0.1 10.0.0.11 10.0.0.100/24 10.0.0.0/24 – 1"),
            "192.0.2.11 192.0.2.12 192.0.2.1/24 192.0.2.0/24 – 1"
        );
    }

    #[test]
    fn what_is_declared_is_what_is_replaced() {
        let all = [
            ("a", "a"),
            ("b", "b"),
            ("10.0.0.1", "x"),
            ("10.0.0.11", "x"),
            ("10.0.0.100", "x"),
            ("10.0.0.0/24", "x"),
        ];
        assert!(of(&all).is_ok());
        let missing = of(&all[1..]).expect_err("one has no replacement");
        assert_eq!(
            missing.to_string(),
            "the guide declares a, and nothing stands for it here"
        );
        let more = of(&[&all[..], &[("c", "c")]].concat()).expect_err("one is not declared");
        assert_eq!(
            more.to_string(),
            "the guide's table does not let its reader change c"
        );
    }
}
