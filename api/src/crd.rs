//! The two CustomResourceDefinitions, as the API server takes them: the types' schemas, with what kube leaves out or says
//! otherwise, and with the rules that the API server checks by itself.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::Value;

use crate::duration::GatewayDuration;
use crate::rules::cel::Cel;
use crate::rules::{Server, TABLE};
use crate::v1alpha1::{VirtualIPGroup, VirtualIPNode};

/// The definitions of `VirtualIPGroup` and `VirtualIPNode`.
pub fn crds() -> [CustomResourceDefinition; 2] {
    let [mut group, mut node] = [VirtualIPGroup::crd(), VirtualIPNode::crd()];
    for schema in [&mut group, &mut node].into_iter().filter_map(schema_mut) {
        everywhere(schema, &mut mend);
    }
    schema_mut(&mut group).into_iter().for_each(add_rules);
    [group, node]
}

/// The schema of a definition's objects, as JSON; `Value::Null` if it has none.
pub fn schema(crd: &CustomResourceDefinition) -> Value {
    let schema = crd
        .spec
        .versions
        .first()
        .and_then(|version| version.schema.as_ref());
    schema
        .and_then(|schema| serde_json::to_value(schema.open_api_v3_schema.as_ref()?).ok())
        .unwrap_or_default()
}

fn schema_mut(crd: &mut CustomResourceDefinition) -> Option<&mut JSONSchemaProps> {
    let version = crd.spec.versions.first_mut()?;
    version.schema.as_mut()?.open_api_v3_schema.as_mut()
}

/// Calls `change` with `schema` and every schema below it.
fn everywhere(schema: &mut JSONSchemaProps, change: &mut impl FnMut(&mut JSONSchemaProps)) {
    change(schema);
    for property in schema.properties.iter_mut().flat_map(BTreeMap::values_mut) {
        everywhere(property, change);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        everywhere(items, change);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        everywhere(values, change);
    }
}

/// What is true of every schema, wherever it stands.
fn mend(schema: &mut JSONSchemaProps) {
    // Descriptions come from comments in the source, whose line breaks mean nothing.
    if let Some(description) = &mut schema.description {
        *description = description.replace('\n', " ");
    }
    // To a rule's `has`, a field written as null would be there.
    schema.nullable = None;
    if schema.pattern.as_deref() == Some(GatewayDuration::PATTERN) {
        let validation = DURATION.validation(GatewayDuration::SENTENCE);
        schema.x_kubernetes_validations = Some(vec![validation]);
    }
    let properties = schema.properties.as_mut();
    if let Some(expressions) = properties.and_then(|properties| properties.get_mut("matchExpressions")) {
        bound_selector(expressions);
    }
}

/// The pattern alone would be answered with itself.
const DURATION: Cel = Cel::new(
    &[],
    "self.matches('$duration') && duration(self) < duration('100000h')",
)
.value("self");

/// Kubernetes gives label selectors no bounds, and an expression over what has none may cost too much. These are those
/// of labels.
fn bound_selector(expressions: &mut JSONSchemaProps) {
    expressions.max_items = Some(32);
    everywhere(expressions, &mut |schema| {
        if schema.items.is_some() {
            schema.x_kubernetes_list_type = Some("atomic".to_owned());
        }
        let properties = schema.properties.iter_mut().flat_map(BTreeMap::iter_mut);
        for (name, property) in properties {
            match (name.as_str(), &mut property.items) {
                ("values", Some(JSONSchemaPropsOrArray::Schema(value))) => {
                    property.max_items = Some(64);
                    value.max_length = Some(63);
                }
                ("key", _) => property.max_length = Some(317),
                _ => property.max_length = Some(63),
            }
        }
    });
}

/// Hangs each rule that the API server checks into the schema of groups.
fn add_rules(group: &mut JSONSchemaProps) {
    for rule in TABLE {
        let Server::Checks(cel) = rule.server else {
            continue;
        };
        for place in cel.at {
            if let Some(schema) = find(group, place) {
                let validations = schema.x_kubernetes_validations.get_or_insert_default();
                validations.push(cel.validation(rule.sentence));
            }
        }
    }
}

/// What stands at `place`, such as `spec.addresses[].label`.
fn find<'a>(schema: &'a mut JSONSchemaProps, place: &str) -> Option<&'a mut JSONSchemaProps> {
    let parts = place.split('.').filter(|part| !part.is_empty());
    parts.into_iter().try_fold(schema, |schema, part| {
        let name = part.trim_end_matches("[]");
        let property = schema.properties.as_mut()?.get_mut(name)?;
        if name == part {
            return Some(property);
        }
        match &mut property.items {
            Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;
    use crate::v1alpha1::{VirtualIPGroupSpec, VirtualIPNodeSpec};

    /// Calls `visit` with every schema below `schema` and its path, Kubernetes' own types left out.
    fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
        visit(path, schema);
        let is_kubernetes = ["matchLabels", "conditions[]", "metadata"]
            .iter()
            .any(|end| path.ends_with(end));
        if is_kubernetes {
            return;
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            walk(property, &format!("{path}.{name}"), visit);
        }
        if schema["items"].is_object() {
            walk(&schema["items"], &format!("{path}[]"), visit);
        }
    }

    fn each(mut visit: impl FnMut(&str, &Value)) {
        for crd in crds() {
            walk(&schema(&crd), &crd.spec.names.kind, &mut visit);
        }
    }

    #[test]
    fn schemas_are_structural_and_every_list_text_and_number_has_its_bounds() {
        let mut seen = 0;
        each(|path, schema| {
            seen += 1;
            for keyword in ["oneOf", "anyOf", "allOf", "not", "$ref"] {
                assert!(schema.get(keyword).is_none(), "{path} has {keyword}");
            }
            match schema["type"].as_str() {
                Some("string") => {
                    let bounded = ["enum", "maxLength", "format"]
                        .iter()
                        .any(|bound| schema.get(bound).is_some());
                    assert!(bounded, "{path} may be of any length");
                }
                Some("array") => {
                    assert!(
                        schema.get("maxItems").is_some(),
                        "{path} may have any number of entries"
                    );
                    assert!(
                        schema["x-kubernetes-list-type"].is_string(),
                        "{path} does not say whether it is one value"
                    );
                }
                Some("integer") => {
                    assert!(
                        schema["format"] == "int32" || schema["format"] == "int64",
                        "{path} is unsigned"
                    );
                }
                Some("object" | "boolean") => {}
                other => panic!("{path} is a {other:?}"),
            }
        });
        assert!(seen > 100, "only {seen} schemas were looked at");
    }

    #[test]
    fn every_field_and_type_says_what_it_means() {
        each(|path, schema| {
            let is_simple_entry = path.ends_with("[]") && schema["type"] != "object";
            let is_kubernetes = path.ends_with(".metadata") || path.ends_with(".status");
            assert!(
                is_simple_entry || is_kubernetes || schema["description"].is_string(),
                "{path} says nothing"
            );
        });
    }

    #[test]
    fn keys_of_map_lists_are_required() {
        each(|path, schema| {
            for key in schema["x-kubernetes-list-map-keys"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let required = schema["items"]["required"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                assert!(
                    required.contains(key),
                    "{path} is a map by {key}, which may be missing"
                );
            }
        });
    }

    /// Reads `minimal`, writes it again, and compares what was filled in with the schema's defaults.
    fn defaults_agree<T: DeserializeOwned + Serialize>(minimal: &Value, schema: &Value) -> usize {
        fn compare(written: &Value, full: &Value, schema: &Value, path: &str) -> usize {
            let mut compared = 0;
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}.{name}");
                if written.get(name).is_none() {
                    assert_eq!(full.get(name), property.get("default"), "{path}");
                    compared += 1;
                } else if property["items"].is_object() {
                    compared += compare(&written[name][0], &full[name][0], &property["items"], &path);
                } else {
                    compared += compare(&written[name], &full[name], property, &path);
                }
            }
            compared
        }
        let full = serde_json::to_value(serde_json::from_value::<T>(minimal.clone()).unwrap()).unwrap();
        compare(minimal, &full, schema, "spec")
    }

    #[test]
    fn what_serde_fills_in_is_what_the_api_server_fills_in() {
        let [group, node] = crds().map(|crd| schema(&crd)["properties"]["spec"].clone());
        let minimal = json!({
            "addresses": [{ "address": "10.0.0.1/24" }],
            "nodeOverrides": [{}],
            "advertisement": { "peers": [{ "name": "a", "addresses": ["10.0.0.2"] }] },
            "preemption": {},
            "authentication": {},
            "announcement": {},
            "flapDamping": {},
            "placement": { "preferredNode": "a" },
            "maintenance": { "onTaint": [{ "key": "a", "action": "Release" }] },
            "probes": [{
                "name": "a",
                "onFailure": {},
                "presetOptions": { "tls": {}, "credentials": { "user": "a" } },
                "httpGet": { "port": 1, "tls": {}, "httpHeaders": [{ "name": "a", "value": "b" }] },
                "tcpSocket": {},
                "grpc": { "port": 1, "tls": {} },
                "exec": { "command": ["/a"] },
                "process": { "name": "a" },
                "file": { "path": "/a" },
                "route": { "destination": "::/0" },
                "peer": { "address": "::1" },
                "mysql": { "credentials": { "user": "a" } },
                "recover": { "exec": ["/a"] },
            }],
        });
        assert!(defaults_agree::<VirtualIPGroupSpec>(&minimal, &group) > 90);
        let minimal = json!({ "groups": [{
            "name": "a",
            "virtualRouterID": 1,
            "addresses": [{ "address": "10.0.0.1/24" }],
            "priority": 1,
            "advertisement": { "version": 3, "interval": "1s", "family": "IPv4", "mode": "Multicast" },
            "mayBecomeActive": false,
        }] });
        assert!(defaults_agree::<VirtualIPNodeSpec>(&minimal, &node) > 15);
    }

    #[test]
    fn a_default_is_itself_valid() {
        each(|path, schema| {
            if let Some(default) = schema.get("default") {
                assert_eq!(crate::shape::check(&mut default.clone(), schema), [], "{path}");
            }
        });
    }
}
