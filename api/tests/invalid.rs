//! What people get wrong in a file is found with its field and sentence, as `invalid.yaml` has it.

use std::path::PathBuf;

use holdfast_api::files::{self, Problem};
use holdfast_api::render::NodeFacts;
use holdfast_api::yaml;
use serde_json::Value;

fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, change) => *into = change.clone(),
    }
}

/// What is said about a file: refusals, or else warnings.
fn said(text: String) -> Vec<Problem> {
    let facts = NodeFacts {
        name: "alpha".to_owned(),
        ..NodeFacts::default()
    };
    let file = [(PathBuf::from("web.yaml"), text)];
    match files::load(&file, &facts, &|_| Ok(b"secret".to_vec())) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    }
}

#[test]
fn every_mistake_is_found_at_its_field_and_said_in_one_sentence() {
    let documents = yaml::read(include_str!("invalid.yaml")).unwrap();
    assert_eq!(said(yaml::write(&documents[0].value).unwrap()), []);
    let cases = documents[1].value.as_array().unwrap();
    for case in cases {
        let mut group = documents[0].value.clone();
        merge(&mut group, &case["change"]);
        let problems = said(yaml::write(&group).unwrap());
        let found: Vec<_> = problems
            .iter()
            .map(|problem| (&*problem.field, &*problem.sentence))
            .collect();
        let expected = (case["field"].as_str().unwrap(), case["says"].as_str().unwrap());
        assert_eq!(found, [expected], "{case}");
        assert!(problems[0].position.is_some(), "{case}");
    }
    let shapes = cases.iter().filter(|case| case["rule"].is_null()).count();
    assert!(shapes > 8, "only {shapes} cases are about the shape");
}
