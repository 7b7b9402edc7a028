//! Queries with wrong values, and tokens of pages that no list gave.

use super::{AT_ONCE, World, escaped, wrong_words};
use futures::{StreamExt as _, stream};
use serde_json::Value;
use server::access::{Route, Surface};

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Tokens of pages that no list gave.
fn wrong_tokens() -> Vec<String> {
    let keys = [
        "{}",
        "null",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "99999999999999999999",
        "1e300",
        "\"a\\u0000b\"",
        "\"a\"",
        "[]",
        "[\"+262142-12-31T23:59:59Z\",\"01936d6e-0000-7000-8000-000000000000\"]",
        "[\"-262143-01-01T00:00:00Z\",\"01936d6e-0000-7000-8000-000000000000\"]",
        "[9223372036854775807,9223372036854775807,18446744073709551615]",
        "[{\"Text\":\"a\\u0000\"}]",
    ];
    let deep = "[".repeat(10_000);
    keys.into_iter().chain([deep.as_str()]).map(hex).chain(["zz".to_owned(), "abc".to_owned()]).collect()
}

/// Where a wrong query may lead to, beside what every list takes.
fn wrong_values() -> Vec<String> {
    let texts = [
        "name = 'a\0b'",
        "tags.`a\0` = 'b'",
        "metrics.`a\0` > 1",
        "metrics.a > 99999999999999999999999999",
        "attributes.start_time > 99999999999999999999",
        "name LIKE '%",
        "` DESC",
        "run:\0",
        "true",
        "1,2",
        "1,\0",
    ];
    let nested = format!("{}name = 'a'{}", "(".repeat(1000), ")".repeat(1000));
    let negated = format!("{}name = 'a'", "NOT ".repeat(1000));
    texts.into_iter().chain([nested.as_str(), negated.as_str()]).map(escaped).chain(wrong_words()).collect()
}

/// Names that pages read from their address.
const CHOICES: [&str; 63] = [
    "col",
    "pin",
    "curve",
    "group",
    "order",
    "view",
    "add",
    "change",
    "page_token",
    "q",
    "sort",
    "show",
    "state",
    "kind",
    "model",
    "version",
    "environment",
    "from",
    "step",
    "attempt",
    "metric",
    "param",
    "path",
    "run",
    "next",
    "link",
    "topic",
    "after",
    "as_of",
    "alias",
    "number",
    "a",
    "b",
    "tab",
    "x",
    "y",
    "smoothing",
    "outliers",
    "start",
    "end",
    "open",
    "rows",
    "values",
    "about",
    "hide",
    "differ",
    "axis",
    "sx",
    "sy",
    "colour",
    "bar",
    "limit",
    "new",
    "set",
    "find",
    "find_after",
    "line",
    "cause",
    "by",
    "to",
    "graph",
    "inside",
    "since",
];

#[tokio::test]
async fn a_query_with_a_wrong_value_is_refused_or_finds_nothing() {
    let world = World::start().await;
    let gets = || world.table.iter().filter(|route| route.method == "GET");
    stream::iter(gets()).for_each_concurrent(AT_ONCE, |route| world.ask_wrongly(route)).await;

    let mut all = Vec::new();
    for route in gets() {
        let path = world.path(route, None);
        for query in ["limit=1&limit=2", "page_token=&page_token=", "=", "&&&", "%", "%ff=%ff", "a=%zz", "limit"] {
            all.extend(world.sent(route, &format!("{path}?{query}"), None, ""));
        }
    }
    world.send(all).await;
}

impl World {
    /// Asks with wrong values of everything that the route's query may have.
    async fn ask_wrongly(&self, route: &Route) {
        let path = self.path(route, None);
        let right: Vec<(String, String)> = match route.surface {
            Surface::Api => self.query_of(route),
            Surface::Mlflow => self.mlflow_query(),
            Surface::Page => CHOICES.map(|name| (name.to_owned(), String::new())).to_vec(),
            Surface::Inference => vec![("model".to_owned(), "churn".to_owned())],
        };
        if right.is_empty() {
            return;
        }
        let asked = |wrong: &[&str], value: &str| {
            let pairs = right.iter().filter_map(|(name, right)| match wrong.contains(&name.as_str()) {
                true => Some(format!("{name}={value}")),
                false => (!right.is_empty()).then(|| format!("{name}={right}")),
            });
            self.sent(route, &format!("{path}?{}", pairs.collect::<Vec<_>>().join("&")), None, "")
        };
        let mut names: Vec<&str> =
            right.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "page_token").collect();
        let values = if route.surface == Surface::Page { wrong_words() } else { wrong_values() };
        let plain = self.answer(asked(&[], "").unwrap()).await;
        // What a route is known to refuse is asked for alone: it would hide the others again, and the halves be many.
        let mut refused: Vec<&str> = Vec::new();
        for value in values {
            for sent in refused.iter().filter_map(|name| asked(&[name], &value)) {
                self.answer(sent).await;
            }
            let more = self.answer_in_halves(&plain, &names, |wrong| asked(wrong, &value)).await;
            names.retain(|name| !more.contains(name));
            refused.extend(more);
        }
        if right.iter().any(|(name, _)| name == "page_token") {
            self.send(wrong_tokens().iter().filter_map(|token| asked(&["page_token"], token)).collect()).await;
        }
    }

    /// What the route's description says that its query takes, with values that are right.
    fn query_of(&self, route: &Route) -> Vec<(String, String)> {
        let operation = &self.documented["paths"][route.path][route.method.to_lowercase()];
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let names = parameters.filter(|parameter| parameter["in"] == "query");
        names.map(|parameter| (parameter["name"].as_str().unwrap().to_owned(), self.right_text(parameter))).collect()
    }

    fn right_text(&self, parameter: &Value) -> String {
        match parameter["name"].as_str().unwrap() {
            "experiment_id" => self.experiment.clone(),
            "key" => "loss".to_owned(),
            "run" => self.run.clone(),
            _ => String::new(),
        }
    }

    fn mlflow_query(&self) -> Vec<(String, String)> {
        let artifact = escaped(&format!("{}/{}/artifacts", self.experiment, self.run));
        [
            ("run_id", self.run.as_str()),
            ("experiment_id", self.experiment.as_str()),
            ("experiment_name", "wine"),
            ("metric_key", "loss"),
            ("name", "churn"),
            ("version", "1"),
            ("alias", "champion"),
            ("path", artifact.as_str()),
            ("max_results", ""),
            ("page_token", ""),
            ("filter", ""),
            ("order_by", ""),
            ("view_type", ""),
            ("stages", ""),
            ("allow_deleted", ""),
            ("artifact_directory_path", ""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}
