//! The leave to become Active that an agent takes over with a group, until the API gives it.
//!
//! The API gives a node leave when the other members have acknowledged it, which takes a moment, and longer while any of them is
//! away. A node whose group ran from a file had leave before and is known to the others already: without it the addresses
//! would have nobody to fall back on just after they were adopted. Pure.

use holdfast_api::model::NodeSpec;

use crate::lock::{Card, obstacles};

/// The groups that were taken over from an agent that had leave for them.
#[derive(Debug, Default)]
pub struct Leave {
    cards: Vec<Card>,
}

impl Leave {
    /// Takes over what an agent that ran `theirs` could do.
    pub fn inherit(&mut self, theirs: &[Card]) {
        self.cards = theirs
            .iter()
            .filter(|card| card.may_become_active)
            .cloned()
            .collect();
    }

    /// `spec` with what was inherited. Leave that the API gives takes its place, and another virtual router has none.
    pub fn apply(&mut self, mut spec: NodeSpec) -> NodeSpec {
        self.cards.retain(|card| {
            let Some(group) = spec.groups.get_mut(&card.name) else {
                return false;
            };
            let same = obstacles(std::slice::from_ref(card), &[Card::of(group, card.source)]).is_empty();
            let needed = same && !group.may_become_active;
            group.may_become_active |= needed;
            needed
        });
        spec
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use holdfast_api::render::NodeFacts;
    use holdfast_api::v1alpha1::GroupSource;

    use super::*;

    /// The group of this identifier as a file has it, and as the API has it before it gives leave.
    fn specs(virtual_router_id: u8) -> [NodeSpec; 2] {
        let text = format!(
            "apiVersion: vip.holdfast.dev/v1alpha1\nkind: VirtualIPGroup\nmetadata: {{name: web}}\nspec:\n  \
             virtualRouterID: {virtual_router_id}\n  addresses: [{{address: 192.0.2.1/24}}]\n  advertisement: {{mode: \
             Multicast}}\n"
        );
        let files = [(PathBuf::from("web.yaml"), text)];
        let loaded = holdfast_api::files::load(&files, &NodeFacts::default(), &|_| Err(String::new()));
        let with_leave = loaded.unwrap().spec;
        let mut without = with_leave.clone();
        without.groups.get_mut("web").unwrap().may_become_active = false;
        [with_leave, without]
    }

    fn card(spec: &NodeSpec) -> Vec<Card> {
        vec![Card::of(&spec.groups["web"], GroupSource::File)]
    }

    #[test]
    fn leave_lasts_until_the_api_gives_it_and_is_then_the_apis_to_take() {
        let [with_leave, without] = specs(51);
        let mut leave = Leave::default();
        assert_eq!(leave.apply(without.clone()), without);
        leave.inherit(&card(&with_leave));
        assert_eq!(leave.apply(without.clone()), with_leave);
        assert_eq!(leave.apply(without.clone()), with_leave);
        assert_eq!(leave.apply(with_leave.clone()), with_leave);
        assert_eq!(leave.apply(without.clone()), without);
    }

    #[test]
    fn nobody_inherits_what_the_other_did_not_have_or_what_is_another_virtual_router() {
        let [with_leave, without] = specs(51);
        let mut leave = Leave::default();
        leave.inherit(&card(&without));
        assert_eq!(leave.apply(without.clone()), without);
        leave.inherit(&card(&with_leave));
        let [_, other] = specs(52);
        assert_eq!(leave.apply(other.clone()), other);
        leave.inherit(&card(&with_leave));
        let nothing = NodeSpec::default();
        assert_eq!(leave.apply(nothing.clone()), nothing);
        assert_eq!(leave.apply(without.clone()), without);
    }
}
