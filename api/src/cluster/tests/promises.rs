//! What is promised of the whole, whatever happens, and what has to come of it when all are heard again.

use std::collections::BTreeSet;
use std::fmt;

use super::agents::{Life, Running, deaf};
use super::world::{GROUPS, NODES, World};
use crate::cluster::is_member;
use crate::v1alpha1::NodeGroup;

impl World {
    /// Who is out of sight for good: their Nodes are gone and their agents silent, and nobody answers for them.
    pub fn give_up(&mut self) {
        let records = self.records();
        for (name, group) in &self.kept.groups {
            // Told by an object that is gone, on a node that nothing points at: nobody knows to ask it.
            let forgotten = self.agents.iter().any(|(node, agent)| {
                let record = records.iter().find(|record| record.name == *node);
                let is_known = record.is_some_and(|record| is_member(group, record));
                !is_known && agent.running.get(name).is_some_and(|run| run.orphaned)
            });
            self.is_rewritten |= forgotten;
        }
        let present: BTreeSet<String> = self.records().into_iter().map(|record| record.name).collect();
        for (name, agent) in &mut self.agents {
            agent.given_up |= !present.contains(name);
        }
    }

    /// What must never be: two that could be Active, or are, and one does not hear the other.
    pub fn assert_nobody_is_deaf(&self) {
        if self.is_rewritten {
            return;
        }
        for group in GROUPS {
            let could = |run: &&Running| run.entry.may_become_active || run.active_since.is_some();
            let able: Vec<(&String, &Running)> = self
                .agents
                .iter()
                .filter(|(_, agent)| !agent.given_up)
                .filter_map(|(name, agent)| Some((name, agent.running.get(group).filter(could)?)))
                .collect();
            for (place, (a, ours)) in able.iter().enumerate() {
                for (b, theirs) in &able[..place] {
                    assert!(
                        !deaf((a, &ours.entry), (b, &theirs.entry)),
                        "group {group}: {a} and {b} could both be Active:\n{self}"
                    );
                }
            }
        }
    }

    /// Everybody is reachable again and willing, and talks until there is nothing more to say.
    pub fn settle(&mut self) {
        for agent in self.agents.values_mut() {
            agent.connect(true);
            agent.stubborn = false;
        }
        let mut quiet_rounds = 0;
        for _ in 0..16 {
            self.assert_nobody_is_deaf();
            self.contend();
            for node in NODES {
                self.report(node);
            }
            let before = self.writes;
            self.operate(&NODES);
            for node in NODES {
                self.read(node);
                self.apply(node);
                self.report(node);
            }
            // What was said last in one round may be what the next one writes about.
            quiet_rounds = if before == self.writes {
                quiet_rounds + 1
            } else {
                0
            };
            if quiet_rounds == 2 {
                let present: BTreeSet<String> =
                    self.records().into_iter().map(|record| record.name).collect();
                for (name, agent) in &mut self.agents {
                    agent.given_up = !present.contains(name);
                }
                let mut running = self.agents.values().flat_map(|agent| agent.running.values());
                self.is_rewritten &= running.any(|run| run.orphaned);
                return;
            }
        }
        panic!("there is no end of writing:\n{self}");
    }

    /// What settling has to lead to.
    pub fn assert_settled(&self) {
        let records = self.records();
        let verdicts = self.verdicts(&records);
        for (name, group) in &self.kept.groups {
            if group.metadata.deletion_timestamp.is_some() || !verdicts[name].accepted {
                continue;
            }
            if records
                .iter()
                .any(|record| record.node.is_none() && is_member(group, record))
            {
                // What is to change waits for it.
                continue;
            }
            for record in records
                .iter()
                .filter(|record| record.node.is_some() && self.agents[&record.name].life == Life::Connected)
            {
                let selected = record.node.as_ref().unwrap().labels.contains_key("use");
                let run = self.agents[&record.name].running.get(name);
                let run = run.filter(|run| !run.orphaned);
                assert_eq!(run.is_some(), selected, "{name} on {}:\n{self}", record.name);
                if let Some(run) = run {
                    assert!(run.entry.may_become_active, "{name} on {}:\n{self}", record.name);
                    assert_eq!(
                        Some(run.entry.generation),
                        group.metadata.generation,
                        "{name} on {}:\n{self}",
                        record.name
                    );
                }
            }
        }
    }
}

/// All of it in a few lines, for a failure to be read.
impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = |entry: &NodeGroup| {
            let says = &entry.advertisement;
            let peers: Vec<String> = entry
                .peers
                .iter()
                .map(|p| format!("{}={}", p.name, p.addresses[0]))
                .collect();
            format!(
                "{}@{} id {} v{} {:?} {:?} on {:?} from {:?} peers {peers:?} may {} deleted {}",
                entry.name,
                entry.generation,
                entry.virtual_router_id,
                says.version,
                says.mode,
                says.interval,
                entry.interface,
                entry.source_addresses,
                entry.may_become_active,
                entry.deleted,
            )
        };
        for (name, group) in &self.kept.groups {
            writeln!(
                f,
                "group {name}: generation {:?}, deleted {:?}",
                group.metadata.generation, group.metadata.deletion_timestamp
            )?;
        }
        for (name, agent) in &self.agents {
            let object = self.kept.objects.get(name);
            let kube = self.nodes.get(name);
            writeln!(
                f,
                "{name}: Node {:?}, lease {:?}, object {:?} observed {:?}, {:?}, given up {}",
                kube.map(|kube| kube.labels.contains_key("use")),
                self.leases.get(name),
                object.map(|o| o.generation),
                object.and_then(|o| o.status.observed_generation),
                agent.life,
                agent.given_up,
            )?;
            for stored in object.iter().flat_map(|object| &object.spec.groups) {
                writeln!(f, "  told    {}", entry(stored))?;
            }
            for said in object.iter().flat_map(|object| &object.status.groups) {
                writeln!(
                    f,
                    "  said    {}@{:?} {:?} {:?}",
                    said.name, said.applied_generation, said.state, said.faults
                )?;
            }
            for run in agent.running.values() {
                writeln!(
                    f,
                    "  runs    {} active {:?} orphaned {}",
                    entry(&run.entry),
                    run.active_since,
                    run.orphaned
                )?;
            }
        }
        Ok(())
    }
}
