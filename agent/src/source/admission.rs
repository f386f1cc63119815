//! Which groups of files run here as they are written: not those whose probes need what this agent cannot do on its node.

use std::collections::BTreeMap;

use super::local::Offer;
use crate::probe::access::{Access, refusal};

impl Offer {
    /// The offer with what was offered `before` in place of groups that this agent cannot watch as they ask; those that were
    /// not are left out.
    #[must_use]
    pub(super) fn admitted(mut self, before: Option<&Self>, access: &Access) -> Self {
        let refused = self.spec.groups.iter().filter_map(|(name, group)| {
            let sentence = refusal(group, false, access)?;
            Some((name.clone(), sentence))
        });
        self.refused = refused.collect::<BTreeMap<_, _>>();
        for name in self.refused.keys() {
            let known = before.and_then(|before| before.spec.groups.get(name));
            match known {
                Some(known) => drop(self.spec.groups.insert(name.clone(), known.clone())),
                None => drop(self.spec.groups.remove(name)),
            }
            let written = before.and_then(|before| before.rendered.iter().find(|group| group.name == *name));
            let here = self.rendered.iter_mut().find(|group| group.name == *name);
            if let (Some(here), Some(written)) = (here, written) {
                here.clone_from(written);
            }
        }
        self
    }
}
