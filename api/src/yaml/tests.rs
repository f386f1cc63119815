use core::fmt::Write as _;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn place(line: u64, column: u64) -> Position {
    Position { line, column }
}

fn refusal(text: &str) -> SyntaxError {
    read(text).expect_err("refused")
}

#[test]
fn every_value_knows_its_line_and_column() {
    let documents =
        read("a: 1\n---\n# nothing\n---\nspec:\n  list:\n  - name: x\n    value: [1, true]\n").unwrap();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0].value, json!({ "a": 1 }));
    let second = &documents[1];
    assert_eq!(
        second.value,
        json!({ "spec": { "list": [{ "name": "x", "value": [1, true] }] } })
    );
    assert_eq!(second.position("spec.list"), place(6, 3));
    assert_eq!(second.position("spec.list[0].name"), place(7, 11));
    assert_eq!(second.key_position("spec.list[0].name"), place(7, 5));
    assert_eq!(second.position("spec.list[0].value[1]"), place(8, 16));
    assert_eq!(
        second.position("spec.list[0].missing.deep"),
        second.position("spec.list[0]")
    );
    assert_eq!(second.position("nowhere"), place(5, 1));
}

#[test]
fn json_is_read_like_yaml() {
    let documents = read("{\"spec\": {\"priority\": 100,\n  \"name\": \"1\"}}").unwrap();
    assert_eq!(
        documents[0].value,
        json!({ "spec": { "priority": 100, "name": "1" } })
    );
    assert_eq!(documents[0].position("spec.name"), place(2, 11));
}

#[test]
fn words_that_other_yaml_readers_take_for_booleans_stay_words() {
    let documents = read("a: no\nb: on\nc: false\nd: '1'\ne: ~\n").unwrap();
    assert_eq!(
        documents[0].value,
        json!({ "a": "no", "b": "on", "c": false, "d": "1", "e": null })
    );
}

#[test]
fn a_key_written_twice_is_refused_where_it_stands() {
    let error = refusal("spec:\n  priority: 1\n  priority: 2\n");
    assert_eq!(error.position, Some(place(3, 3)));
    assert_eq!(
        error.sentence,
        "`priority` is written twice in the same mapping: keep one of them"
    );
}

#[test]
fn a_tab_is_refused_with_its_place() {
    assert_eq!(
        refusal("spec:\n\tpriority: 1\n").position.map(|at| at.line),
        Some(2)
    );
}

#[test]
fn an_alias_bomb_is_refused_quickly() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let previous = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{previous}]").unwrap();
    }
    assert_eq!(
        refusal(&bomb).sentence,
        "this is larger or more nested than any configuration: is it the right file?"
    );
}

#[test]
fn deep_nesting_is_refused() {
    assert!(read(&"[".repeat(100_000)).is_err());
    assert!(read(&format!("{}1{}", "[".repeat(40), "]".repeat(40))).is_err());
}

#[test]
fn an_anchor_used_twice_is_read_and_placed_where_it_is_used() {
    let documents = read("a: &p {b: 1}\nc: *p\n").unwrap();
    assert_eq!(documents[0].value, json!({ "a": { "b": 1 }, "c": { "b": 1 } }));
    assert_eq!(documents[0].position("c").line, 2);
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in "([a-c:\\[\\]{}&*!|>'\"# \\n\\t-]|\\PC){0,200}") {
        let _ = read(&text);
    }
}
