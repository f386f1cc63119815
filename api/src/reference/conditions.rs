//! docs/reference/conditions.md: every condition of a group and every reason, with what to do.

use core::fmt::Write as _;

use holdfast_vrrp as vrrp;

use super::{GENERATED, cell};
use crate::reason::{Place, Reason, WORDS, of_fault, of_state};

/// The page.
pub(super) fn page() -> String {
    let mut page = format!("# Conditions and reasons\n\n{GENERATED}\n");
    page.push_str(
        "What `status` of a `VirtualIPGroup` says, and what to do about it. `Accepted` and `Ready` are `True` when all is well;\n\
         the others are `True` when it is not, and always there. So these wait for what they say:\n\n\
         ```sh\n\
         kubectl wait virtualipgroup/NAME --for=condition=Ready\n\
         kubectl wait virtualipgroup/NAME --for=condition=SplitBrain=false\n\
         ```\n\n\
         Tools that know kstatus see `Reconciling` as in progress and `Stalled` as failed. `lastTransitionTime` is the time when\n\
         the condition's `status` changed last. A message never changes with time alone.\n",
    );
    for place in Place::CONDITIONS {
        table(&mut page, place);
    }
    table(&mut page, Place::Member);
    agents(&mut page);
    table(&mut page, Place::Event);
    page
}

fn table(page: &mut String, place: Place) {
    let (title, about) = match place {
        Place::Accepted => (
            "Accepted",
            "`True`: this generation of the group may run. Reasons of `False`: all but the first.",
        ),
        Place::Ready => (
            "Ready",
            "`True`: exactly one node serves the addresses, and all live members run this generation. Reasons of `False`: all \
             but the first.",
        ),
        Place::Degraded => (
            "Degraded",
            "`True`: the addresses may be served, but not all that should stands behind them. Reasons of `False`: \
             `AsExpected`, `SingleMember`, `NoMembers`.",
        ),
        Place::SplitBrain => (
            "SplitBrain",
            "`True`: more than one node has the addresses. That takes evidence: from the wire, or two agents that both said so \
             and were both heard after that. A lost node and a planned handover are none.",
        ),
        Place::Reconciling => (
            "Reconciling",
            "`True`: something is under way and needs nobody's help.",
        ),
        Place::Stalled => ("Stalled", "`True`: nothing goes on before somebody helps."),
        Place::Member => (
            "Members",
            "The reason of an entry of `status.members`, where the operator says it. A member of which nothing was heard lately \
             has the state `Unknown`.",
        ),
        Place::Event => (
            "Events",
            "The operator's Events have the reasons above, of the condition that they are about, and these.",
        ),
    };
    let _ = writeln!(
        page,
        "\n## {title}\n\n{about}\n\n| Reason | Meaning | What to do |\n|---|---|---|"
    );
    for reason in Reason::ALL
        .iter()
        .filter(|reason| reason.places().contains(&place))
    {
        // Explained in several tables, it is linked to in the first.
        let anchor = match reason.places().first() {
            Some(first) if *first == place => format!("<a id=\"{}\"></a>", reason.anchor()),
            _ => String::new(),
        };
        let (meaning, remedy) = (cell(reason.meaning()), cell(reason.remedy()));
        let _ = writeln!(page, "| {anchor}`{reason}` | {meaning} | {remedy} |");
    }
}

fn agents(page: &mut String) {
    page.push_str(
        "\nThe other reasons of members are their agents' own words.\n\nWhy a member is in its state:\n\n\
         | Reason | Meaning |\n|---|---|\n",
    );
    for reason in vrrp::Reason::ALL {
        let _ = writeln!(page, "| `{}` | {} |", reason.name(), cell(of_state(reason)));
    }
    page.push_str("\nWhat keeps a member in `Fault`:\n\n| Reason | Meaning |\n|---|---|\n");
    for fault in vrrp::Fault::ALL {
        let _ = writeln!(page, "| `{}` | {} |", fault.reason(), cell(of_fault(fault)));
    }
    page.push_str("\nWhat agents say besides:\n\n| Reason | Meaning |\n|---|---|\n");
    for heard in WORDS {
        let _ = writeln!(page, "| `{}` | {} |", heard.word, cell(heard.meaning));
    }
}
