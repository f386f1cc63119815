use serde_json::json;

use super::*;

fn schema() -> Value {
    json!({ "type": "object", "required": ["name"], "properties": {
        "name": { "type": "string", "minLength": 1, "maxLength": 5 },
        "count": { "type": "integer", "format": "int32", "minimum": 1.0, "maximum": 20.0 },
        "enabled": { "type": "boolean" },
        "wait": { "type": "string", "pattern": GatewayDuration::PATTERN },
        "labels": { "type": "object", "additionalProperties": { "type": "string" } },
        "virtualRouterID": { "type": "integer", "format": "int32" },
        "advertisement": { "type": "object", "properties": {
            "mode": { "type": "string", "enum": ["Unicast", "Multicast"] },
            "interval": { "type": "string" },
            "peers": { "type": "array", "maxItems": 2, "items": { "type": "object", "properties": {
                "address": { "type": "string" } } } },
        } },
    } })
}

#[test]
fn what_fits_is_left_in_peace_and_empty_fields_go() {
    let mut value =
        json!({ "name": "a", "count": 20, "enabled": null, "wait": "1s", "labels": { "a.b/c": "" } });
    assert_eq!(check(&mut value, &schema()), []);
    assert_eq!(value.get("enabled"), None);
}

#[test]
fn each_misfit_is_a_sentence_that_says_what_to_write() {
    for (value, path, sentence) in [
        (json!({}), "", "`name` is missing: add it, with a text"),
        (
            json!({ "name": null }),
            "",
            "`name` is missing: add it, with a text",
        ),
        (
            json!({ "nmae": "a" }),
            "nmae",
            "`nmae` is not a field of a document: did you mean `name`?",
        ),
        (
            json!({ "name": 7 }),
            "name",
            "7 is not a text: write it in quotes, \"7\"",
        ),
        (
            json!({ "name": "" }),
            "name",
            "this is empty: write at least 1 of its characters",
        ),
        (
            json!({ "name": "abcdef" }),
            "name",
            "this has 6 characters: write at most 5",
        ),
        (
            json!({ "name": "a", "count": 21 }),
            "count",
            "21 is out of range: write a whole number from 1 to 20",
        ),
        (
            json!({ "name": "a", "count": 1.5 }),
            "count",
            "1.5 does not fit here: write a whole number from 1 to 20",
        ),
        (
            json!({ "name": "a", "count": "5" }),
            "count",
            "`5` is a text: write a whole number from 1 to 20",
        ),
        (
            json!({ "name": "a", "enabled": "yes" }),
            "enabled",
            "`yes` is a text: write true or false",
        ),
        (
            json!({ "name": "a", "wait": 5 }),
            "wait",
            "5 does not fit here: write a duration such as 1s or 500ms",
        ),
        (
            json!({ "name": "a", "labels": { "x": null } }),
            "labels.x",
            "this is empty: write a text or remove the line",
        ),
        (
            json!({ "name": "a", "virtual_router_id": 5 }),
            "virtual_router_id",
            "`virtual_router_id` is not a field of a document: did you mean `virtualRouterID`?",
        ),
        (
            json!({ "name": "a", "interval": "1s" }),
            "interval",
            "`interval` is not a field of a document: did you mean `advertisement.interval`?",
        ),
        (
            json!({ "name": "a", "address": "1s" }),
            "address",
            "`address` is not a field of a document: did you mean `advertisement.peers[].address`?",
        ),
        (
            json!({ "name": "a", "advertisement": { "colour": 1 } }),
            "advertisement.colour",
            "`colour` is not a field of `advertisement`: remove it; its fields are interval, mode, peers",
        ),
        (
            json!({ "name": "a", "advertisement": { "mode": "multicast" } }),
            "advertisement.mode",
            "`multicast` is not one of Unicast, Multicast: did you mean Multicast?",
        ),
        (
            json!({ "name": "a", "advertisement": { "mode": "Anycast4711" } }),
            "advertisement.mode",
            "`Anycast4711` does not exist here: write Unicast or Multicast",
        ),
        (
            json!({ "name": "a", "advertisement": { "peers": [{}, {}, {}] } }),
            "advertisement.peers",
            "this has 3 entries: write at most 2",
        ),
        (
            json!({ "name": "a", "advertisement": { "peers": {} } }),
            "advertisement.peers",
            "this is a mapping: write a list, each entry beginning with `- `",
        ),
    ] {
        let misfits = check(&mut value.clone(), &schema());
        let found: Vec<_> = misfits
            .iter()
            .map(|misfit| (&*misfit.path, &*misfit.sentence))
            .collect();
        assert_eq!(found, [(path, sentence)], "{value}");
    }
}

#[test]
fn all_misfits_are_reported_not_just_the_first() {
    assert_eq!(
        check(&mut json!({ "name": 1, "count": 0, "x": 1 }), &schema()).len(),
        3
    );
}
