//! docs/rfc9568.md says of each requirement how it is met, and every test that it names exists.

use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../docs/rfc9568.md");

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rows of the tables of requirements: section, level, requirement, proof.
fn requirements() -> Vec<Vec<&'static str>> {
    PAGE.lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|---") && !line.starts_with("| §"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// The tests that a cell names: `path/to/file.rs::name`.
fn named_tests(cell: &str) -> Vec<(&str, &str)> {
    cell.split('`')
        .filter_map(|quoted| quoted.split_once(".rs::"))
        .collect()
}

/// Whether `source` has a test of that name: a function whose nearest attribute above is `#[test]`.
fn has_test(source: &str, name: &str) -> bool {
    let Some((above, _)) = source.split_once(&format!("fn {name}(")) else {
        return false;
    };
    let mut above = above
        .lines()
        .rev()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("///"));
    above.next() == Some("#[test]")
}

#[test]
fn every_test_that_the_page_names_exists() {
    let mut missing = Vec::new();
    let mut named = 0;
    for (path, name) in named_tests(PAGE) {
        named += 1;
        let file = workspace().join(format!("{path}.rs"));
        let source = fs::read_to_string(&file).unwrap_or_default();
        if !has_test(&source, name) {
            missing.push(format!("{path}.rs::{name}"));
        }
    }
    assert!(
        named > 60,
        "only {named} tests are named: has the notation changed?"
    );
    assert!(
        missing.is_empty(),
        "docs/rfc9568.md names tests that do not exist:\n{}",
        missing.join("\n")
    );
}

#[test]
fn every_requirement_has_a_proof_or_a_reason() {
    let reasons = [
        "**Kernel**",
        "**Wire**",
        "**Different**",
        "**Not ours**",
        "the user's",
    ];
    let rows = requirements();
    for row in &rows {
        let [section, level, requirement, proof] = row[..] else {
            panic!("not four cells: {row:?}");
        };
        let answered = !named_tests(proof).is_empty() || reasons.iter().any(|reason| proof.contains(reason));
        assert!(
            answered,
            "§{section} {level} {requirement}: {proof:?} is no answer"
        );
    }
    for section in [
        "6.1", "6.4.1", "6.4.2", "6.4.3", "7.1", "7.2", "7.3", "7.4", "8.1.2", "8.2.2", "8.3.2", "8.4.2",
    ] {
        assert!(
            rows.iter().any(|row| row[0].contains(section)),
            "§{section} is missing"
        );
    }
}

#[test]
fn a_name_that_only_looks_like_a_test_is_not_one() {
    assert!(has_test("#[test]\nfn a() {}", "a"));
    assert!(has_test("    #[test]\n    fn a(\n        x: u8,\n    ) {}", "a"));
    assert!(!has_test("fn a() {}", "a"));
    assert!(!has_test("#[test]\nfn ab() {}", "a"));
    assert!(!has_test("", "a"));
}
