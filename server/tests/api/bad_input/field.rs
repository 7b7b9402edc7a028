//! Fields of the REST API with strange values: the bodies are made from its own description.

use super::{DIGEST, JSON, NOBODY, PIPELINE, World};
use serde_json::{Value, json};
use server::access::{Route, Surface};
use std::collections::BTreeSet;

/// What stands in a body instead of what belongs there.
pub(super) fn strange() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("\0"),
        json!("a\0b"),
        json!("9223372036854775808"),
        json!("'; drop table runs --"),
        json!("\u{1f4a5}\u{202e}\r\n\t"),
        json!("x".repeat(20_000)),
        json!([]),
        json!([null]),
        json!(["\0"]),
        json!([{}]),
        json!({}),
        json!({ "\0": "\0" }),
    ]
}

pub(super) fn brief(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

/// Every place of a value that is no list and no object.
pub(super) fn leaves(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(value, format!("{at}/{key}"), into)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| leaves(value, format!("{at}/{index}"), into));
        }
        _ => into.push(at),
    }
}

impl World {
    /// The schema of the JSON that the route takes, if it takes any.
    pub(super) fn body_of(&self, route: &Route) -> Option<&Value> {
        let operation = &self.documented["paths"][route.path][route.method.to_lowercase()];
        Some(self.resolved(operation.pointer("/requestBody/content/application~1json/schema")?))
    }

    /// The schema itself, where one is only named.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let named = schema["$ref"].as_str().and_then(|name| self.documented.pointer(name.trim_start_matches('#')));
        let one_of = schema["oneOf"].as_array().into_iter().flatten().find(|one| one["type"] != "null");
        match (named, one_of) {
            (Some(named), _) => self.resolved(named),
            (None, Some(one)) => self.resolved(one),
            (None, None) => schema,
        }
    }

    /// A body that the route might take.
    fn right(&self, name: &str, schema: &Value) -> Value {
        let schema = self.resolved(schema);
        let known = match name {
            "model" => json!("churn"),
            "environment" => json!("production"),
            "pipeline" => json!("train"),
            "source" => json!(PIPELINE),
            "slug" => json!("lab"),
            "email" => json!("somebody@slipway.test"),
            "password" => json!("correct horse battery"),
            "subject_digest" => json!(DIGEST),
            "params" => json!({ "rate": 0.2 }),
            // Nobody is asked before there is something to tell.
            "url" => json!("https://1.1.1.1/hook"),
            "event" => json!("model_version.created"),
            "events" => json!(["model_version.created"]),
            "environments" => json!(["production"]),
            "order" if schema["type"] == "array" => json!(["staging", "production"]),
            "expression" => json!("0 18 * * 5"),
            "duration_s" => json!(3600),
            "timezone" => json!("Europe/Berlin"),
            "from" | "to" => json!(NOBODY),
            _ => Value::Null,
        };
        if !known.is_null() {
            return known;
        }
        if let Some(one) = schema["enum"].as_array() {
            return one[0].clone();
        }
        let is = |kind: &str| {
            schema["type"] == kind || schema["type"].as_array().is_some_and(|kinds| kinds.contains(&json!(kind)))
        };
        if let Some(properties) = schema["properties"].as_object() {
            return properties.iter().map(|(name, schema)| (name.clone(), self.right(name, schema))).collect();
        }
        match () {
            () if is("array") => json!([self.right("", &schema["items"])]),
            () if is("object") => json!({}),
            () if is("boolean") => json!(true),
            () if is("integer") => json!(1),
            () if is("number") => json!(0.5),
            () => json!("x"),
        }
    }
}

#[tokio::test]
async fn a_field_of_the_rest_api_with_a_strange_value_is_refused() {
    let world = World::start().await;
    let (mut all, mut nul) = (Vec::new(), Vec::new());
    for route in world.table.iter().filter(|route| route.surface == Surface::Api) {
        let Some(schema) = world.body_of(route) else { continue };
        let path = world.path(route, None);
        let right = world.right("", schema);
        assert!(right.is_object(), "{} takes {right}: {schema}", route.path);
        let mut places = Vec::new();
        leaves(&right, String::new(), &mut places);
        places.extend(right.as_object().into_iter().flatten().map(|(name, _)| format!("/{name}")));
        for place in places.into_iter().collect::<BTreeSet<_>>() {
            for value in strange() {
                let mut body = right.clone();
                let is_text = right.pointer(&place).is_some_and(Value::is_string);
                *body.pointer_mut(&place).unwrap() = value.clone();
                let mut sent = world.sent(route, &path, Some(JSON), body.to_string()).unwrap();
                sent.what += &format!(" with {place} = {}", brief(&value));
                // Any password can be hashed.
                // A check answers with what is wrong.
                let is_check = route.path == "/api/v1/policies/validate";
                let is_nul = value == "a\0b" && is_text && place != "/password" && !is_check;
                if is_nul { nul.push(sent) } else { all.push(sent) }
            }
        }
        let mut unknown = right.clone();
        assert!(right.is_object(), "{} {} takes {right}", route.method, route.path);
        unknown["no such field"] = json!(1);
        all.extend(world.sent(route, &path, Some(JSON), unknown.to_string()));
    }
    assert!(nul.len() > 10, "few texts are sent: {}", nul.len());
    world.send(all).await;
    for (what, status) in world.send(nul).await {
        assert!(status.is_client_error(), "{what} answered {status}");
    }
}
