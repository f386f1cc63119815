//! What values.schema.json says about each value: as values.yaml, and as a table for people.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

use super::schema::Schema;

const HEADER: &str = "\
# Every value with its default. Written by `make generate` from values.schema.json; changes here would be lost.
# To change one: `--set operator.replicas=3`, or a file of your own with only what differs and `--values FILE`.
";
/// The longest line of values.yaml.
const WIDTH: usize = 110;

/// values.yaml.
pub fn yaml(schema: &Schema) -> Result<String> {
    let mut text = HEADER.to_owned();
    for (name, property) in &schema.properties.0 {
        text.push('\n');
        write_property(&mut text, name, name, property, 0)?;
    }
    Ok(text)
}

/// One row a value.
pub fn markdown(schema: &Schema) -> Result<String> {
    let mut text = "| value | default | meaning |\n|---|---|---|\n".to_owned();
    write_rows(&mut text, "", schema)?;
    Ok(text)
}

fn write_property(text: &mut String, path: &str, name: &str, schema: &Schema, depth: usize) -> Result<()> {
    let indent = "  ".repeat(depth);
    for line in wrap(&meaning(path, schema)?, WIDTH - indent.len() - "# ".len()) {
        let _ = writeln!(text, "{indent}# {line}");
    }
    if let Some(default) = &schema.default {
        write_value(text, name, default, &indent);
        return Ok(());
    }
    let _ = writeln!(text, "{indent}{name}:");
    for (name, property) in &parts(path, schema)?.0 {
        write_property(text, &format!("{path}.{name}"), name, property, depth + 1)?;
    }
    Ok(())
}

/// Maps as blocks, everything else as JSON, which YAML includes.
fn write_value(text: &mut String, name: &str, value: &Value, indent: &str) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let _ = writeln!(text, "{indent}{name}:");
            for (name, value) in map {
                write_value(text, name, value, &format!("{indent}  "));
            }
        }
        other => {
            let _ = writeln!(text, "{indent}{name}: {other}");
        }
    }
}

fn write_rows(text: &mut String, prefix: &str, schema: &Schema) -> Result<()> {
    for (name, property) in &schema.properties.0 {
        let path = format!("{prefix}{name}");
        if let Some(default) = &property.default {
            let meaning = meaning(&path, property)?.replace('|', "\\|");
            let _ = writeln!(text, "| `{path}` | `{default}` | {meaning} |");
        } else {
            parts(&path, property)?;
            write_rows(text, &format!("{path}."), property)?;
        }
    }
    Ok(())
}

/// The description, and what there is to choose from.
fn meaning(path: &str, schema: &Schema) -> Result<String> {
    let description = schema
        .description
        .clone()
        .with_context(|| format!("{path} has no description"))?;
    let choices: Vec<_> = schema
        .choices
        .iter()
        .map(|choice| format!("`{}`", choice.as_str().unwrap_or_default()))
        .collect();
    Ok(match choices.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{description} {} or {last}.", rest.join(", ")),
        _ => description,
    })
}

fn parts<'s>(path: &str, schema: &'s Schema) -> Result<&'s super::schema::Ordered<Schema>> {
    let parts = Some(&schema.properties).filter(|parts| !parts.0.is_empty());
    parts.with_context(|| format!("{path} has neither a default nor properties"))
}

/// `text` in lines of at most `width` characters, where its words allow it.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema::parse(
            r#"{"properties": {
                "log": {"description": "The log.", "properties": {
                    "format": {"description": "How it looks.", "enum": ["json", "text"], "default": "json"}
                }},
                "resources": {"description": "A | B.", "default": {"requests": {"cpu": "50m"}}},
                "tolerations": {"description": "Taints.", "default": [{"operator": "Exists"}]}
            }}"#,
        )
        .unwrap()
    }

    #[test]
    fn values_stand_below_what_they_mean() {
        let text = yaml(&schema()).unwrap();
        let expected = r#"
# The log.
log:
  # How it looks. `json` or `text`.
  format: "json"

# A | B.
resources:
  requests:
    cpu: "50m"

# Taints.
tolerations: [{"operator":"Exists"}]
"#;
        assert_eq!(text.strip_prefix(HEADER), Some(expected));
    }

    #[test]
    fn the_table_has_a_row_for_each_value() {
        let expected = r#"| value | default | meaning |
|---|---|---|
| `log.format` | `"json"` | How it looks. `json` or `text`. |
| `resources` | `{"requests":{"cpu":"50m"}}` | A \| B. |
| `tolerations` | `[{"operator":"Exists"}]` | Taints. |
"#;
        assert_eq!(markdown(&schema()).unwrap(), expected);
    }

    #[test]
    fn a_value_without_description_or_default_is_named() {
        let refused = |text: &str| {
            let schema = Schema::parse(text).unwrap();
            let [yaml, table] =
                [yaml(&schema), markdown(&schema)].map(|result| result.unwrap_err().to_string());
            assert_eq!(yaml, table);
            yaml
        };
        let text = r#"{"properties": {"a": {"description": "A.", "properties": {"b": {"default": 1}}}}}"#;
        assert_eq!(refused(text), "a.b has no description");
        let text = r#"{"properties": {"a": {"description": "A."}}}"#;
        assert_eq!(refused(text), "a has neither a default nor properties");
    }

    #[test]
    fn long_texts_are_wrapped_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable", 3), ["unbreakable"]);
    }
}
