//! Every reason is given by somebody, and explained where people look for it.

use std::fs;
use std::path::Path;

use holdfast_api::reason::{Place, Reason};
use holdfast_api::reference::generated;

#[test]
fn every_reason_is_given_somewhere() {
    // The sources that give reasons: not the list itself, and not tests.
    let aside = ["tests", "tests.rs", "reason", "reason.rs", "reference"];
    let top = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let (mut folders, mut found) = (vec![top.join("api/src"), top.join("operator/src")], Vec::new());
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for path in entries.filter(|path| aside.iter().all(|name| !path.ends_with(name))) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let text: String = found
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for reason in Reason::ALL {
        let in_code = [format!("Reason::{reason}"), format!("\"{reason}\"")];
        let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric());
        let is_given = in_code.iter().any(|code| {
            text.match_indices(&**code)
                .any(|(place, _)| ends(&text[place + code.len()..]))
        });
        assert!(is_given, "nothing gives the reason {reason}");
    }
}

#[test]
fn every_reason_is_explained_in_one_place_to_which_its_anchor_leads() {
    let pages = generated().unwrap();
    let (_, page) = pages
        .iter()
        .find(|(name, _)| name.ends_with("conditions.md"))
        .unwrap();
    for reason in Reason::ALL {
        let anchor = format!("<a id=\"{}\"></a>`{reason}` |", reason.anchor());
        assert_eq!(page.matches(&anchor).count(), 1, "{reason}");
        assert!(reason.meaning().ends_with(['.', ')']), "{reason}");
        assert!(!reason.meaning().contains("  "), "{reason}");
        let bad_news = reason.places().contains(&Place::Stalled) && *reason != Reason::AsExpected;
        assert!(
            !bad_news || !reason.remedy().is_empty(),
            "{reason} calls for help and does not say which"
        );
    }
}
