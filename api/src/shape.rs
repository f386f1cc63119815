//! Whether a document has the shape of a schema: fields that exist, of the right type, within their bounds. Stricter than
//! the API server, which drops unknown fields: a typo must not become a default.

use core::fmt::Write as _;

use serde_json::{Map, Value};

use crate::duration::GatewayDuration;
use crate::similar::{alike, closest, same_word};
use crate::yaml::{child, item};

/// One place where a document does not fit its schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misfit {
    /// The value's or the unknown field's path.
    pub path: String,
    /// What is wrong and what to write instead.
    pub sentence: String,
    /// What kind of mistake it is.
    pub kind: MisfitKind,
}

/// What the mistake leaves of the document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MisfitKind {
    /// The field does not exist: what was meant by it is unknown.
    Unknown,
    /// A value is missing or of another type.
    Type,
    /// The value can be read and is out of bounds.
    Bounds,
}

/// Compares `value` with `schema` (an OpenAPI v3 schema as CustomResourceDefinitions have them) and removes fields that
/// are written with no value, which mean the same as fields not written.
pub fn check(value: &mut Value, schema: &Value) -> Vec<Misfit> {
    let mut check = Check {
        root: schema,
        misfits: Vec::new(),
    };
    check.any(value, schema, "");
    check.misfits
}

struct Check<'a> {
    root: &'a Value,
    misfits: Vec<Misfit>,
}

impl Check<'_> {
    fn refuse(&mut self, kind: MisfitKind, path: &str, sentence: String) {
        self.misfits.push(Misfit {
            path: path.to_owned(),
            sentence,
            kind,
        });
    }

    fn any(&mut self, value: &mut Value, schema: &Value, path: &str) {
        let expected = schema["type"].as_str().unwrap_or_default();
        match (expected, value) {
            ("object", Value::Object(map)) => self.object(map, schema, path),
            ("array", Value::Array(items)) => {
                self.bounds(
                    path,
                    items.len(),
                    &schema["minItems"],
                    &schema["maxItems"],
                    "entries",
                );
                for (index, value) in items.iter_mut().enumerate() {
                    self.any(value, &schema["items"], &item(path, index));
                }
            }
            ("string", Value::String(text)) => self.string(text, schema, path),
            ("integer", Value::Number(number)) => {
                self.integer(number.as_i64(), &number.to_string(), schema, path);
            }
            ("boolean", Value::Bool(_)) | ("", _) => {}
            (_, value) => {
                let expected = describe_type(schema);
                let sentence = match value {
                    Value::Null => format!("this is empty: write {expected} or remove the line"),
                    Value::Array(_) => format!("this is a list: write {expected}"),
                    Value::Object(_) => format!("this is a mapping: write {expected}"),
                    Value::String(text) => format!("`{text}` is a text: write {expected}"),
                    Value::Bool(_) | Value::Number(_) if expected == "a text" => {
                        format!("{value} is not a text: write it in quotes, \"{value}\"")
                    }
                    Value::Bool(_) | Value::Number(_) => {
                        format!("{value} does not fit here: write {expected}")
                    }
                };
                self.refuse(MisfitKind::Type, path, sentence);
            }
        }
    }

    fn object(&mut self, map: &mut Map<String, Value>, schema: &Value, path: &str) {
        if schema["x-kubernetes-preserve-unknown-fields"] == true {
            return;
        }
        let Some(properties) = schema["properties"].as_object() else {
            if schema["additionalProperties"].is_object() {
                for (key, value) in map.iter_mut() {
                    self.any(value, &schema["additionalProperties"], &child(path, key));
                }
            }
            return;
        };
        map.retain(|key, value| !(value.is_null() && properties.contains_key(key)));
        let required = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        for missing in required.filter(|name| !map.contains_key(*name)) {
            // A misspelled field explains that the right one is missing.
            if !map
                .keys()
                .any(|key| !properties.contains_key(key) && alike(key, missing))
            {
                let what = describe_type(&properties[missing]);
                self.refuse(
                    MisfitKind::Type,
                    path,
                    format!("`{missing}` is missing: add it, with {what}"),
                );
            }
        }
        for (key, value) in map.iter_mut() {
            let path_of_key = child(path, key);
            if let Some(schema) = properties.get(key) {
                self.any(value, schema, &path_of_key);
            } else {
                let sentence = unknown_field(key, path, properties, self.root);
                self.refuse(MisfitKind::Unknown, &path_of_key, sentence);
            }
        }
    }

    fn string(&mut self, text: &str, schema: &Value, path: &str) {
        if let Some(choices) = schema["enum"].as_array() {
            let choices: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
            if !choices.contains(&text) {
                let sentence = match closest(text, choices.iter().copied()) {
                    Some(meant) => format!(
                        "`{text}` is not one of {}: did you mean {meant}?",
                        choices.join(", ")
                    ),
                    None => format!("`{text}` does not exist here: write {}", alternatives(&choices)),
                };
                self.refuse(MisfitKind::Type, path, sentence);
            }
        } else if schema["pattern"] == GatewayDuration::PATTERN {
            if let Err(error) = text.parse::<GatewayDuration>() {
                self.refuse(MisfitKind::Type, path, error.to_string());
            }
        } else {
            let count = text.chars().count();
            self.bounds(
                path,
                count,
                &schema["minLength"],
                &schema["maxLength"],
                "characters",
            );
        }
    }

    fn integer(&mut self, value: Option<i64>, written: &str, schema: &Value, path: &str) {
        let (least, most) = integer_bounds(schema);
        match value {
            Some(value) if (least..=most).contains(&value) => {}
            Some(value) => {
                // What does not even fit its type cannot be looked at further.
                let readable = schema["format"] == "int64" || i32::try_from(value).is_ok();
                let kind = if readable {
                    MisfitKind::Bounds
                } else {
                    MisfitKind::Type
                };
                self.refuse(
                    kind,
                    path,
                    format!("{value} is out of range: write {}", describe_type(schema)),
                );
            }
            None => {
                self.refuse(
                    MisfitKind::Type,
                    path,
                    format!("{written} does not fit here: write {}", describe_type(schema)),
                );
            }
        }
    }

    fn bounds(&mut self, path: &str, count: usize, least: &Value, most: &Value, what: &str) {
        let limit = |bound: &Value| bound.as_u64().and_then(|bound| usize::try_from(bound).ok());
        if let Some(least) = limit(least).filter(|least| count < *least) {
            let sentence = if count == 0 {
                format!("this is empty: write at least {least} of its {what}")
            } else {
                format!("this has {count} {what}: write at least {least}")
            };
            self.refuse(MisfitKind::Bounds, path, sentence);
        }
        if let Some(most) = limit(most).filter(|most| count > *most) {
            self.refuse(
                MisfitKind::Bounds,
                path,
                format!("this has {count} {what}: write at most {most}"),
            );
        }
    }
}

fn integer_bounds(schema: &Value) -> (i64, i64) {
    // Schemas say bounds as floating point numbers; ours are small whole ones.
    #[allow(clippy::cast_possible_truncation)]
    let bound = |name: &str, otherwise: i64| schema[name].as_f64().map_or(otherwise, |bound| bound as i64);
    let (least, most) = if schema["format"] == "int64" {
        (i64::MIN, i64::MAX)
    } else {
        (i32::MIN.into(), i32::MAX.into())
    };
    (bound("minimum", least), bound("maximum", most))
}

/// What to write for `schema`, with its article.
fn describe_type(schema: &Value) -> String {
    if let Some(choices) = schema["enum"].as_array() {
        return alternatives(&choices.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    }
    match schema["type"].as_str() {
        Some("string") if schema["pattern"] == GatewayDuration::PATTERN => {
            "a duration such as 1s or 500ms".into()
        }
        Some("string") => "a text".into(),
        Some("integer") => match integer_bounds(schema) {
            (least, most) if most - 1 == least => format!("{least} or {most}"),
            (least, most) if schema["maximum"].is_number() => {
                format!("a whole number from {least} to {most}")
            }
            _ => "a whole number".into(),
        },
        Some("boolean") => "true or false".into(),
        Some("array") => "a list, each entry beginning with `- `".into(),
        Some("object") => "a mapping, its fields indented below".into(),
        _ => "a value".into(),
    }
}

fn alternatives(choices: &[&str]) -> String {
    match choices {
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
        [] => "nothing".to_owned(),
    }
}

fn unknown_field(key: &str, path: &str, properties: &Map<String, Value>, root: &Value) -> String {
    let place = if path.is_empty() {
        "a document".to_owned()
    } else {
        format!("`{path}`")
    };
    let mut sentence = format!("`{key}` is not a field of {place}: ");
    let here = closest(key, properties.keys().map(String::as_str)).map(ToOwned::to_owned);
    let elsewhere = || find_field(root, key, "");
    // The very word in another place is a better guess than a similar word in this one.
    let meant = here
        .clone()
        .filter(|name| same_word(name, key))
        .or_else(elsewhere)
        .or(here);
    if let Some(meant) = meant {
        let _ = write!(sentence, "did you mean `{meant}`?");
    } else {
        let names: Vec<&str> = properties.keys().map(String::as_str).collect();
        let _ = write!(sentence, "remove it; its fields are {}", names.join(", "));
    }
    sentence
}

/// Where in `spec` or `metadata` a field of this very name is.
fn find_field(schema: &Value, name: &str, path: &str) -> Option<String> {
    let properties = schema["properties"]
        .as_object()
        .or_else(|| schema["items"]["properties"].as_object())?;
    let path = if schema["items"].is_object() {
        format!("{path}[]")
    } else {
        path.to_owned()
    };
    // `metadata` has dozens of fields that nobody writes in a manifest.
    let inner = || {
        properties
            .iter()
            .filter(|(key, _)| *key != "metadata" && *key != "status")
    };
    inner()
        .find(|(key, _)| same_word(key, name))
        .map(|(key, _)| child(&path, key))
        .or_else(|| inner().find_map(|(key, schema)| find_field(schema, name, &child(&path, key))))
}

#[cfg(test)]
mod tests;
