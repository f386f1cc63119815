//! Who is a member of what: the two maps between groups and nodes, and what a change of them touches.

use std::collections::BTreeSet;

use holdfast_api::cluster::is_member;

use super::{Changed, Depth, Index};

impl Index {
    /// Finds a group's members among all nodes.
    pub(super) fn find_members(&mut self, group: &str) {
        let Some(object) = self.groups.get(group) else {
            return;
        };
        let members: BTreeSet<String> = self
            .nodes
            .values()
            .filter(|entry| is_member(object, &entry.record))
            .map(|entry| entry.record.name.clone())
            .collect();
        let old = self.members.remove(group).unwrap_or_default();
        for node in old.difference(&members) {
            if let Some(groups) = self.memberships.get_mut(node) {
                groups.remove(group);
            }
        }
        for node in members.difference(&old) {
            let groups = self.memberships.entry(node.clone()).or_default();
            groups.insert(group.to_owned());
        }
        self.members.insert(group.to_owned(), members);
    }

    /// Finds a node's groups among all of them.
    pub(super) fn find_memberships(&mut self, node: &str) {
        let Some(entry) = self.nodes.get(node) else { return };
        let groups: BTreeSet<String> = self
            .groups
            .iter()
            .filter(|(_, group)| is_member(group, &entry.record))
            .map(|(name, _)| name.clone())
            .collect();
        let old = self.memberships.get(node).cloned().unwrap_or_default();
        // A label of a member that stays one can decide its priority, and that it is to leave.
        let touched: Vec<String> = old.union(&groups).cloned().collect();
        for group in &touched {
            self.set_member(group, node, groups.contains(group));
            self.dirty.groups.insert(group.clone());
            self.touch_members(group);
        }
    }

    /// The entries of these groups on a node have changed: membership, what the groups' status says, and what other
    /// members are told may all follow.
    pub(super) fn changed_entries(&mut self, node: &str, changed: &Changed) {
        for (name, depth) in changed {
            let Some(group) = self.groups.get(name) else {
                continue;
            };
            let is = self
                .nodes
                .get(node)
                .is_some_and(|entry| is_member(group, &entry.record));
            let moved = self.set_member(name, node, is);
            self.dirty.groups.insert(name.clone());
            if moved || *depth == Depth::Told {
                self.touch_members(name);
            }
        }
    }

    /// Every member of the group, and the group, is to be looked at again.
    pub(super) fn touch_members(&mut self, group: &str) {
        if let Some(members) = self.members.get(group) {
            self.dirty.nodes.extend(members.iter().cloned());
        }
    }

    pub(super) fn forget_members(&mut self, group: &str) {
        for node in self.members.remove(group).unwrap_or_default() {
            if let Some(groups) = self.memberships.get_mut(&node) {
                groups.remove(group);
            }
        }
    }

    /// Makes a node a member or not. Answers whether that is new; who is judged by its members is judged again then.
    fn set_member(&mut self, group: &str, node: &str, is: bool) -> bool {
        let was = self
            .members
            .get(group)
            .is_some_and(|members| members.contains(node));
        if was == is {
            return false;
        }
        self.unjudge_with_neighbors(group);
        if is {
            let members = self.members.entry(group.to_owned()).or_default();
            members.insert(node.to_owned());
            let groups = self.memberships.entry(node.to_owned()).or_default();
            groups.insert(group.to_owned());
        } else {
            if let Some(members) = self.members.get_mut(group) {
                members.remove(node);
            }
            if let Some(groups) = self.memberships.get_mut(node) {
                groups.remove(group);
            }
            // It is told so itself, too.
            self.dirty.nodes.insert(node.to_owned());
        }
        self.unjudge_with_neighbors(group);
        true
    }
}
