//! As much of JSON Schema as values.schema.json uses, with the properties in the order in which they are written.

use std::fmt;
use std::marker::PhantomData;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// A schema and the ones below it.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Schema {
    pub description: Option<String>,
    pub default: Option<Value>,
    #[serde(rename = "enum")]
    pub choices: Vec<Value>,
    pub properties: Ordered<Schema>,
    #[serde(rename = "$ref")]
    reference: Option<String>,
    definitions: Ordered<Schema>,
}

impl Schema {
    /// Reads a schema and gives each part that refers to a definition the description it lacks.
    pub fn parse(text: &str) -> Result<Self> {
        let mut schema: Self = serde_json::from_str(text)?;
        let definitions = std::mem::take(&mut schema.definitions);
        schema.resolve(&definitions)?;
        Ok(schema)
    }

    fn resolve(&mut self, definitions: &Ordered<Self>) -> Result<()> {
        if let Some(reference) = &self.reference {
            let definition = reference
                .strip_prefix("#/definitions/")
                .and_then(|name| definitions.0.iter().find(|(known, _)| known == name))
                .with_context(|| format!("there is no {reference}"))?;
            if self.description.is_none() {
                self.description.clone_from(&definition.1.description);
            }
        }
        self.properties
            .0
            .iter_mut()
            .try_for_each(|(_, property)| property.resolve(definitions))
    }
}

/// A JSON object as a list.
#[derive(Debug)]
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_keep_their_order() {
        let schema = Schema::parse(r#"{"properties": {"b": {}, "a": {}, "c": {}}}"#).unwrap();
        let names: Vec<_> = schema.properties.0.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["b", "a", "c"]);
    }

    #[test]
    fn a_reference_brings_the_description_that_is_missing() {
        let text = r##"{
            "properties": {
                "a": {"$ref": "#/definitions/x"},
                "b": {"$ref": "#/definitions/x", "description": "Own."}
            },
            "definitions": {"x": {"description": "Shared."}}
        }"##;
        let schema = Schema::parse(text).unwrap();
        let descriptions: Vec<_> = schema
            .properties
            .0
            .iter()
            .map(|(_, p)| p.description.as_deref())
            .collect();
        assert_eq!(descriptions, [Some("Shared."), Some("Own.")]);
    }

    #[test]
    fn a_reference_to_nothing_is_an_error() {
        let error = Schema::parse(r##"{"properties": {"a": {"$ref": "#/definitions/x"}}}"##).unwrap_err();
        assert_eq!(error.to_string(), "there is no #/definitions/x");
    }
}
