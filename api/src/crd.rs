//! The two CustomResourceDefinitions, as the API server takes them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::v1alpha1::{VirtualIPGroup, VirtualIPNode};

/// The definitions of `VirtualIPGroup` and `VirtualIPNode`.
pub fn crds() -> [CustomResourceDefinition; 2] {
    [VirtualIPGroup::crd(), VirtualIPNode::crd()]
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
