//! Reads YAML (and so JSON) into plain values that remember where each of them stands. The only user of the YAML crate.

use core::fmt;
use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Error, MessageFormatter, Spanned, UserMessageFormatter};

/// The largest file read: a guard against reading the wrong file, far above any configuration.
pub const MAX_BYTES: usize = 4 << 20;

/// A place in a text; both count from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// One document of a stream.
#[derive(Clone, PartialEq, Debug)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// Where its first value stands.
    start: Position,
    places: BTreeMap<String, Place>,
}

/// Why a text is not YAML that can be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// Where, if that is known.
    pub position: Option<Position>,
    /// What is wrong, without the place.
    pub sentence: String,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Place {
    key: Position,
    value: Position,
}

/// Reads every document of `text`; empty documents are left out.
pub fn read(text: &str) -> Result<Vec<Document>, SyntaxError> {
    if text.len() > MAX_BYTES {
        return Err(SyntaxError {
            position: None,
            sentence: format!(
                "the file has {} bytes, more than {MAX_BYTES}: is it the right file?",
                text.len()
            ),
        });
    }
    let nodes: Vec<Spanned<Node>> =
        serde_yaml::from_multiple_with_options(text, options()).map_err(|error| SyntaxError::from(&error))?;
    Ok(nodes.into_iter().map(Document::from).collect())
}

/// `value` as a YAML document.
pub fn write(value: &impl serde::Serialize) -> Result<String, String> {
    serde_yaml::to_string(value).map_err(|error| error.to_string())
}

impl Document {
    /// Where the value at `path` (`spec.addresses[0].address`) stands, or the nearest thing around it that stands
    /// anywhere: what is missing is reported at what should contain it.
    pub fn position(&self, path: &str) -> Position {
        self.nearest(path).map_or(self.start, |place| place.value)
    }

    /// Where the key of the value at `path` stands.
    pub fn key_position(&self, path: &str) -> Position {
        self.nearest(path).map_or(self.start, |place| place.key)
    }

    fn nearest(&self, path: &str) -> Option<&Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(place);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

/// The path of `key` in the mapping at `path`.
pub fn child(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The path of item `index` in the list at `path`.
pub fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: 32,
            max_nodes: 500_000,
            max_documents: 4_096,
            max_aliases: 4_096,
            max_anchors: 4_096,
        },
        // A file of anchors may say a thing twice, not a million times.
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: 100_000, max_replay_stack_depth: 16 },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    }
}

impl From<Spanned<Node>> for Document {
    fn from(node: Spanned<Node>) -> Self {
        let start = position(&node);
        let mut places = BTreeMap::new();
        let value = into_value(
            node,
            Place {
                key: start,
                value: start,
            },
            "",
            &mut places,
        );
        Self { value, start, places }
    }
}

impl From<&Error> for SyntaxError {
    fn from(error: &Error) -> Self {
        let position = error.location().filter(|at| at.line() > 0).map(|at| Position {
            line: at.line(),
            column: at.column(),
        });
        Self {
            position,
            sentence: Sentences.format_message(error.without_snippet()).into_owned(),
        }
    }
}

/// The YAML crate's messages, put into words that say what to do where it only says what it met.
struct Sentences;

impl MessageFormatter for Sentences {
    fn format_message<'a>(&self, error: &'a Error) -> Cow<'a, str> {
        match error {
            Error::DuplicateMappingKey { key: Some(key), .. } => {
                format!("`{key}` is written twice in the same mapping: keep one of them").into()
            }
            Error::Budget { .. }
            | Error::AliasReplayLimitExceeded { .. }
            | Error::AliasExpansionLimitExceeded { .. }
            | Error::AliasReplayStackDepthExceeded { .. } => {
                "this is larger or more nested than any configuration: is it the right file?".into()
            }
            Error::UnknownAnchor { .. } => {
                "`*` refers to an anchor (`&`) that is not written above: put a text that begins with `*` in quotes".into()
            }
            Error::ExternalMessage { msg, .. } => match advice(msg) {
                Some(advice) => format!("{msg}: {advice}").into(),
                None => msg.into(),
            },
            Error::AliasError { error, .. } => self.format_message(error),
            other => UserMessageFormatter.format_message(other),
        }
    }
}

/// What helps against the parser's commonest complaints. It tells them apart by words only, so that this is about
/// comfort: a complaint without advice is still a complaint with its place.
fn advice(complaint: &str) -> Option<&'static str> {
    [
        ("tabs disallowed", "indent with spaces"),
        (
            "mapping values are not allowed",
            "write one `name: value` a line, and values with `: ` in them in quotes",
        ),
        (
            "unclosed bracket",
            "close it, or put a text that begins with it in quotes",
        ),
    ]
    .into_iter()
    .find_map(|(words, advice)| complaint.contains(words).then_some(advice))
}

fn position(node: &Spanned<Node>) -> Position {
    // An alias is reported where it is used: that is the line of the mistake's context.
    Position {
        line: node.referenced.line().max(1),
        column: node.referenced.column().max(1),
    }
}

/// A YAML node before its places are taken apart from its value.
#[derive(Clone)]
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Mapping(Vec<(Spanned<String>, Spanned<Node>)>),
}

fn into_value(node: Spanned<Node>, place: Place, path: &str, places: &mut BTreeMap<String, Place>) -> Value {
    // A mapping's value begins at its first key, a line below the name that people look for.
    let value = if matches!(node.value, Node::Scalar(_)) {
        position(&node)
    } else {
        place.key
    };
    if !path.is_empty() {
        places.insert(path.to_owned(), Place { value, ..place });
    }
    match node.value {
        Node::Scalar(value) => value,
        Node::List(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, node)| {
                let at = position(&node);
                into_value(node, Place { key: at, value: at }, &item(path, index), places)
            })
            .collect(),
        Node::Mapping(entries) => {
            let mut map = Map::new();
            for (key, node) in entries {
                let at = Position {
                    line: key.referenced.line().max(1),
                    column: key.referenced.column().max(1),
                };
                let path = child(path, &key.value);
                let value = into_value(node, Place { key: at, value: at }, &path, places);
                map.insert(key.value, value);
            }
            Value::Object(map)
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(
            Number::from_f64(value).map_or(Value::Null, Value::Number),
        ))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Mapping(entries))
    }
}

#[cfg(test)]
mod tests;
