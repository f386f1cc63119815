//! docs/troubleshooting.md has a row for every word that an agent or the operator can say about a problem, and none for a
//! word that nobody says. This crate sees most of these words; the operator's own categories are checked there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use holdfast_api::reason::{Reason, WORDS};
use holdfast_api::v1alpha1::MemberState;
use holdfast_vrrp::wire::vrrp::ParseError;
use holdfast_vrrp::{DropReason, Fault, Notice, Version};

use super::kubernetes::call;

const PAGE: &str = include_str!("../../../docs/troubleshooting.md");

/// The rows below `heading` that explain a word: their anchor, the word, and the cells behind it.
fn rows(heading: &str) -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let (_, rest) = PAGE
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("the page has no heading {heading}"));
    let section = rest.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| <a id=\""));
    rows.map(|row| {
        let (anchor, rest) = row.split_once("\"></a>").unwrap();
        let mut cells: Vec<_> = cells(rest);
        let word = cells.remove(0).split('`').nth(1).unwrap();
        (anchor, word, cells)
    })
    .collect()
}

/// The cells of what is left of a row; `\|` ends none.
fn cells(row: &'static str) -> Vec<&'static str> {
    let (mut cells, mut start) = (Vec::new(), 0);
    for (end, _) in row.match_indices('|') {
        if !row[..end].ends_with('\\') {
            cells.push(row[start..end].trim());
            start = end + 1;
        }
    }
    cells
}

/// That the section has one row for each of `words` and no other, with an anchor of its own and something to do.
fn explains<'w>(heading: &str, prefix: &str, words: impl IntoIterator<Item = &'w str>) {
    let rows = rows(heading);
    let explained: BTreeSet<&str> = rows.iter().map(|(_, word, _)| *word).collect();
    let said: BTreeSet<&str> = words.into_iter().collect();
    let missing: Vec<_> = said.difference(&explained).collect();
    let stale: Vec<_> = explained.difference(&said).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "docs/troubleshooting.md, {heading}: no row for {missing:?}; rows for what nobody says: {stale:?}"
    );
    assert_eq!(rows.len(), said.len(), "{heading}: a word is explained twice");
    for (anchor, word, cells) in rows {
        assert_eq!(anchor, format!("{prefix}{}", word.to_lowercase()), "{heading}");
        let (first, last) = (cells.first().unwrap(), cells.last().unwrap());
        assert!(
            !first.is_empty() && !last.is_empty(),
            "{heading}: {word} has no cause, or nothing to do"
        );
    }
}

#[test]
fn every_reason_of_a_condition_and_an_event_has_a_row_that_leads_to_its_meaning() {
    let heading = "Conditions and Events";
    explains(heading, "", Reason::ALL.iter().map(|reason| reason.as_str()));
    for reason in Reason::ALL {
        let link = format!("[`{reason}`](reference/conditions.md#{})", reason.anchor());
        assert!(PAGE.contains(&link), "{reason} has no link to its meaning");
    }
}

#[test]
fn every_state_every_reason_of_a_state_and_every_fault_has_a_row() {
    let states = [
        MemberState::Initialize,
        MemberState::Backup,
        MemberState::Active,
        MemberState::Fault,
        MemberState::Standby,
        MemberState::Unknown,
    ];
    let names = states.map(|state| match state {
        MemberState::Initialize => "Initialize",
        MemberState::Backup => "Backup",
        MemberState::Active => "Active",
        MemberState::Fault => "Fault",
        MemberState::Standby => "Standby",
        MemberState::Unknown => "Unknown",
    });
    explains("The states of a member", "state-", names);
    let reasons = holdfast_vrrp::Reason::ALL.map(holdfast_vrrp::Reason::name);
    explains("Why a member is in its state", "why-", reasons);
    explains(
        "What keeps a member in Fault",
        "fault-",
        Fault::ALL.map(Fault::reason),
    );
}

#[test]
fn every_notice_about_the_wire_has_a_row() {
    let malformed = every_parse_error().map(DropReason::Malformed);
    let dropped = malformed
        .into_iter()
        .chain(every_other_drop())
        .map(DropReason::label);
    let noticed = every_notice().map(Notice::label);
    let own = kinds_of_the_engine();
    let mut kinds: Vec<&str> = dropped.chain(noticed).collect();
    kinds.extend(own.iter().map(String::as_str));
    explains("What the wire tells", "wire-", kinds);
}

/// The kinds of notices for which the engine itself has words, as they stand in its source.
fn kinds_of_the_engine() -> BTreeSet<String> {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine");
    let files = [&engine, &engine.join("runtime")].map(|folder| fs::read_dir(folder).unwrap());
    let files = files.into_iter().flatten().map(|file| file.unwrap().path());
    let mut kinds = BTreeSet::new();
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let text = fs::read_to_string(file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        for before in ["say(slot, \"", ".note(now, \"", "kind: \""] {
            let found = text.split(before).skip(1);
            kinds.extend(found.map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
    kinds
}

#[test]
fn every_problem_of_a_node_and_every_failure_of_a_request_has_a_row() {
    let heard = WORDS.iter().map(|heard| heard.word);
    // These two can be said locally only: what says them cannot report.
    let local = ["APIAccessDenied", "UnreadableSpec"];
    explains("What is wrong on a node", "node-", heard.chain(local));

    // The operator's table stands below the agent's.
    let operators = PAGE.split_once("`category` of the operator's").unwrap().1;
    let agents: Vec<_> = rows("When the API server is asked")
        .into_iter()
        .filter(|(anchor, ..)| !operators.contains(&format!("\"{anchor}\"")))
        .map(|(anchor, word, _)| (anchor.to_owned(), word))
        .collect();
    let said: Vec<_> = call::Reason::ALL
        .map(call::Reason::label)
        .map(|label| (format!("api-{label}"), label))
        .into();
    assert_eq!(agents, said);
}

// Each list is followed by a match without a wildcard: whoever adds a variant is led here by the compiler.

fn every_parse_error() -> [ParseError; 11] {
    let all = [
        ParseError::Truncated { length: 0, needed: 8 },
        ParseError::UnknownVersion(4),
        ParseError::VersionMismatch {
            theirs: Version::V2,
            ours: Version::V3,
        },
        ParseError::Version2OverIpv6,
        ParseError::MixedFamilies,
        ParseError::UnknownType(2),
        ParseError::ZeroVirtualRouterId,
        ParseError::NoAddresses,
        ParseError::ZeroInterval,
        ParseError::Checksum { found: 0 },
        ParseError::FirstAddressNotLinkLocal(core::net::Ipv6Addr::LOCALHOST),
    ];
    match all[0] {
        ParseError::Truncated { .. }
        | ParseError::UnknownVersion(_)
        | ParseError::VersionMismatch { .. }
        | ParseError::Version2OverIpv6
        | ParseError::MixedFamilies
        | ParseError::UnknownType(_)
        | ParseError::ZeroVirtualRouterId
        | ParseError::NoAddresses
        | ParseError::ZeroInterval
        | ParseError::Checksum { .. }
        | ParseError::FirstAddressNotLinkLocal(_) => all,
    }
}

fn every_other_drop() -> [DropReason; 8] {
    let second = core::time::Duration::from_secs(1);
    let all = [
        DropReason::Ttl { ttl: 254, min: 255 },
        DropReason::UnknownPeer,
        DropReason::WrongDestination,
        DropReason::IntervalMismatch {
            theirs: second,
            ours: second,
        },
        DropReason::AuthenticationMismatch,
        DropReason::OwnAddress,
        DropReason::OtherVirtualRouter { theirs: 1, ours: 2 },
        DropReason::NotParticipating,
    ];
    match all[0] {
        DropReason::Malformed(_)
        | DropReason::Ttl { .. }
        | DropReason::UnknownPeer
        | DropReason::WrongDestination
        | DropReason::IntervalMismatch { .. }
        | DropReason::AuthenticationMismatch
        | DropReason::OwnAddress
        | DropReason::OtherVirtualRouter { .. }
        | DropReason::NotParticipating => all,
    }
}

fn every_notice() -> [Notice; 5] {
    let (second, router) = (core::time::Duration::from_secs(1), [10, 0, 0, 2].into());
    let all = [
        Notice::OtherActive {
            router,
            priority: 100,
        },
        Notice::OtherOwner(router),
        Notice::AddressClaimed(router),
        Notice::IntervalDiffers {
            router,
            theirs: second,
            ours: second,
        },
        Notice::AddressesDiffer(router),
    ];
    match all[0] {
        Notice::OtherActive { .. }
        | Notice::OtherOwner(_)
        | Notice::AddressClaimed(_)
        | Notice::IntervalDiffers { .. }
        | Notice::AddressesDiffer(_) => all,
    }
}
