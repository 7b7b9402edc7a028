//! Requests as nobody should send them, to every route there is: each is refused with a sentence, in the form that the
//! route's clients understand, and never by a failure of ours.

use crate::app::{Client, TestApp};
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Request, StatusCode, header},
};
use domain::permission::{Role, Scope};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use server::{
    access::{Route, Surface},
    router,
};
use std::collections::BTreeSet;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
/// How many requests are under way at once.
const AT_ONCE: usize = 8;
/// What only the inside of the server says.
const INSIDE: [&str; 13] = [
    "select ",
    "insert into",
    "sqlx",
    "error returned from database",
    "violates",
    "panicked",
    "backtrace",
    "src/",
    ".rs:",
    "/home/",
    "/root/",
    "/tmp/",
    "/usr/",
];
const PIPELINE: &str =
    "name: train\nparams: { rate: 0.1 }\nsteps:\n  fit:\n    command: 'true'\n    outputs: { data: d }\n";
const NOBODY: &str = "01936d6e-0000-7000-8000-000000000000";
const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A workspace with something of each sort, and an administrator who may send anything.
struct World {
    app: TestApp,
    admin: Client,
    table: Vec<Route>,
    experiment: String,
    run: String,
    model: String,
    documented: Value,
}

/// A request, and what it is called when its answer is wrong.
struct Sent {
    route: Route,
    what: String,
    request: Request<Body>,
}

impl World {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let admin = app.member_with([Role::Admin, Role::Approver], Scope::Admin).await;
        let experiment = admin.experiment("wine").await;
        let run = admin.run(&experiment).await;
        let point = json!({ "run_id": run, "key": "loss", "value": 0.5, "timestamp": 1, "step": 0 });
        admin.ml("runs/log-metric", point).await.ok();
        admin.upload(&format!("{experiment}/{run}/artifacts/a.txt"), b"text").await.ok();
        let logged = json!({ "experiment_id": experiment, "name": "m", "source_run_id": run });
        let logged = admin.ml("logged-models", logged).await.ok();
        let model = logged["model"]["info"]["model_id"].as_str().unwrap().to_owned();
        admin.model("churn").await;
        admin.upload(&format!("{experiment}/{run}/artifacts/model/MLmodel"), b"flavors: {}").await.ok();
        admin.version("churn", &format!("runs:/{run}/model")).await;
        admin.put("/api/v1/pipelines", json!({ "source": PIPELINE })).await.ok();
        admin.post("/api/v1/pipelines/train/runs", json!({})).await.ok();
        let documented = admin.get("/api/v1/openapi.json").await.ok();
        // The other prefix of MLflow's operations leads to the same.
        let table =
            router::table(&app.state).into_iter().filter(|route| !route.path.starts_with("/ajax-api")).collect();
        Self { app, admin, table, experiment, run, model, documented }
    }

    /// What stands in the path where the route has this part, so that it names something that is there.
    fn part(&self, route: &Route, part: &str) -> String {
        let is_of = |noun: &str| route.path.contains(noun);
        match part {
            "{id}" if is_of("/experiments") => self.experiment.clone(),
            "{id}" if is_of("/runs") => self.run.clone(),
            "{run_id}" => self.run.clone(),
            "{id}" | "{user_id}" => NOBODY.to_owned(),
            "{model_id}" => self.model.clone(),
            "{environment}" => "production".to_owned(),
            "{model}" => "churn".to_owned(),
            "{name}" if is_of("/outputs") => "data".to_owned(),
            "{name}" if is_of("/pipelines") => "train".to_owned(),
            "{name}" => "churn".to_owned(),
            "{step}" => "fit".to_owned(),
            "{file}" => "index.html".to_owned(),
            "{*path}" if is_of("artifacts") => format!("{}/{}/artifacts/a.txt", self.experiment, self.run),
            part if part.starts_with('{') => "1".to_owned(),
            part => part.to_owned(),
        }
    }

    /// The route's path, with the part at this place replaced.
    fn path(&self, route: &Route, replaced: Option<(usize, &str)>) -> String {
        let parts = route.path.split('/').enumerate().map(|(at, part)| match replaced {
            Some((place, other)) if place == at => other.to_owned(),
            _ => self.part(route, part),
        });
        parts.collect::<Vec<_>>().join("/")
    }

    fn sent(&self, route: &Route, path: &str, content_type: Option<&str>, body: impl Into<Body>) -> Option<Sent> {
        let mut request = self.admin.request(route.method.parse().unwrap(), path);
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        // What is no address at all cannot be sent.
        let request = request.body(body.into()).ok()?;
        Some(Sent { route: *route, what: format!("{} {path:.300}", route.method), request })
    }

    /// Sends all, and holds every answer against the rules. Answers with what each was answered.
    async fn send(&self, all: Vec<Sent>) -> Vec<(String, StatusCode)> {
        assert!(!all.is_empty(), "nothing is sent");
        stream::iter(all)
            .map(|sent| async move {
                let what = sent.what.clone();
                (what, self.answer(sent).await.0)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }

    /// Sends one, and holds its answer against the rules.
    async fn answer(&self, sent: Sent) -> (StatusCode, Vec<u8>) {
        let Sent { route, what, request } = sent;
        let (status, headers, body) = self.admin.start_of(request).await;
        self.check(&route, &what, status, headers.get(header::CONTENT_TYPE), &body);
        (status, body)
    }

    /// Makes all these changes to a request at once, and in halves when that is refused otherwise than the request as it
    /// is: the first change that is refused hides the others. What is not refused has passed over or taken every one.
    async fn answer_in_halves<T: Clone>(
        &self,
        plain: &(StatusCode, Vec<u8>),
        changes: &[T],
        changed: impl Fn(&[T]) -> Option<Sent>,
    ) {
        let mut groups = vec![changes.to_vec()];
        while let Some(group) = groups.pop() {
            // What is no address at all cannot be sent, as when it is too long.
            let is_refused = match changed(&group) {
                Some(sent) => {
                    let answer = self.answer(sent).await;
                    answer.0.is_client_error() && answer != *plain
                }
                None => true,
            };
            if is_refused && group.len() > 1 {
                let (left, right) = group.split_at(group.len() / 2);
                groups.extend([left.to_vec(), right.to_vec()]);
            }
        }
    }

    fn check(&self, route: &Route, what: &str, status: StatusCode, kind: Option<&HeaderValue>, body: &[u8]) {
        let text = String::from_utf8_lossy(body).into_owned();
        let answer = format!("{what} answered {status}: {text:.600}");
        let may_be_missing = route.surface == Surface::Inference && self.app.services().models().is_err();
        match status {
            // Transfers in several parts, which clients do without.
            StatusCode::NOT_IMPLEMENTED if route.path.contains("/mlflow-artifacts/") => {}
            StatusCode::SERVICE_UNAVAILABLE if may_be_missing => {}
            status => assert!(!status.is_server_error(), "{answer}"),
        }
        if !status.is_client_error() {
            return;
        }
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let json = || serde_json::from_slice::<Value>(body).unwrap_or_else(|_| panic!("no JSON: {answer}"));
        match route.surface {
            Surface::Api => {
                assert_eq!(kind, "application/problem+json", "{answer}");
                let problem = json();
                assert_eq!(problem["status"], status.as_u16(), "{answer}");
                assert!(["kind", "title", "detail"].iter().all(|field| problem[field].is_string()), "{answer}");
            }
            Surface::Mlflow => {
                assert_eq!(kind, JSON, "{answer}");
                assert!(["error_code", "message"].iter().all(|field| json()[field].is_string()), "{answer}");
            }
            Surface::Inference => assert!(kind == JSON && json()["error"].is_string(), "{answer}"),
            Surface::Page => assert!(kind.starts_with("text/html") || route.path.starts_with("/pkg/"), "{answer}"),
        }
        let lower = text.to_lowercase();
        // A page has forms.
        let inside = INSIDE.iter().skip(usize::from(route.surface == Surface::Page));
        for word in inside {
            assert!(!lower.contains(word), "{word:?} in {answer}");
        }
        assert!(route.surface == Surface::Page || body.len() < 100_000, "{} bytes: {answer}", body.len());
    }
}

impl Client {
    /// Sends a request and reads the answer; of one that goes on for ever, the head.
    async fn start_of(&self, request: Request<Body>) -> (StatusCode, axum::http::HeaderMap, Vec<u8>) {
        let (parts, body) = self.call(request).await.into_parts();
        let is_stream = parts
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if is_stream {
            return (parts.status, parts.headers, Vec::new());
        }
        let body = axum::body::to_bytes(body, 256 << 20).await.unwrap();
        (parts.status, parts.headers, body.to_vec())
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// A text as an address or a form has it.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// What stands in an address instead of a name, a number or an id.
fn wrong_words() -> Vec<String> {
    let words = [
        "99999999999999999999",
        "9223372036854775807",
        "-9223372036854775808",
        "2147483648",
        "-1",
        "0",
        "1.5",
        "1e9",
        "%00",
        "a%00b",
        "%ff",
        "%c0%ae%c0%ae",
        "..%2f..%2fetc",
        "%252e%252e%252f",
        "%27%3b%20drop%20table%20runs%20--",
        "%20",
        "%F0%9F%92%A5",
        "null",
        "%",
    ];
    words.into_iter().map(str::to_owned).chain(["x".repeat(3000)]).collect()
}

#[tokio::test]
async fn an_address_with_a_wrong_part_names_nothing() {
    let world = World::start().await;
    let mut all = Vec::new();
    for route in &world.table {
        for (place, part) in route.path.split('/').enumerate().filter(|(_, part)| part.starts_with('{')) {
            let deeper = part.starts_with("{*").then(|| world.part(route, part));
            for word in wrong_words() {
                let path = world.path(route, Some((place, &word)));
                all.extend(world.sent(route, &path, Some(JSON), if route.method == "GET" { "" } else { "{}" }));
                if let Some(known) = &deeper {
                    let path = world.path(route, Some((place, &format!("{known}/{word}"))));
                    all.extend(world.sent(route, &path, Some(JSON), ""));
                }
            }
        }
    }
    world.send(all).await;
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
const CHOICES: [&str; 20] = [
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
        let names: Vec<&str> =
            right.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "page_token").collect();
        let values = if route.surface == Surface::Page { wrong_words() } else { wrong_values() };
        let plain = self.answer(asked(&[], "").unwrap()).await;
        for value in values {
            self.answer_in_halves(&plain, &names, |wrong| asked(wrong, &value)).await;
        }
        if names.len() < right.len() {
            self.send(wrong_tokens().iter().filter_map(|token| asked(&["page_token"], token)).collect()).await;
        }
    }
}

impl World {
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

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused() {
    let world = World::start().await;
    let deep_list = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_object = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let bodies: Vec<(Option<&str>, Vec<u8>)> = [
        "",
        "{",
        "}",
        "null",
        "true",
        "7",
        "[]",
        "[[]]",
        "\"x\"",
        "\"{}\"",
        "{\"a\":1,\"a\":2}",
        "{\"name\":1,\"name\":2}",
        "\u{feff}{}",
        "\0",
        "{\"a\":\"\0\"}",
        "{\"a\":1e999}",
        "{\"a\":NaN}",
        "{'a':1}",
        "{}{}",
        "// {}",
    ]
    .into_iter()
    .chain([deep_list.as_str(), deep_object.as_str()])
    .map(|body| (Some(JSON), body.as_bytes().to_vec()))
    .chain([
        (Some(JSON), b"\xff\xfe{}".to_vec()),
        (Some(JSON), b"{\"name\":\"\xff\"}".to_vec()),
        (Some("application/json; charset=utf-16"), b"{}".to_vec()),
        (None, b"{}".to_vec()),
        (Some("text/plain"), b"{}".to_vec()),
        (Some("application/xml"), b"<a/>".to_vec()),
        (Some("multipart/form-data"), b"--".to_vec()),
        (Some("\u{7f}"), b"{}".to_vec()),
        (Some(FORM), b"%ff=%00&=&&a&a=%zz".to_vec()),
        (Some(FORM), vec![0xff; 100]),
    ])
    .collect();
    let mut all = Vec::new();
    for route in world.table.iter().filter(|route| route.method != "GET" || route.surface == Surface::Mlflow) {
        let path = world.path(route, None);
        for (content_type, body) in &bodies {
            all.extend(world.sent(route, &path, *content_type, body.clone()).map(|mut sent| {
                sent.what += &format!(" with {:.60}", String::from_utf8_lossy(body));
                sent
            }));
        }
    }
    world.send(all).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_or_of_another_type_is_refused_as_that() {
    let world = World::start().await;
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(3 << 20));
    let (mut too_large, mut other_type) = (Vec::new(), Vec::new());
    for route in world.table.iter().filter(|route| route.method != "GET") {
        let path = world.path(route, None);
        match route.surface {
            Surface::Api if world.body_of(route).is_some() => {
                too_large.extend(world.sent(route, &path, Some(JSON), large.clone()));
                // The file of a pipeline may come as it is.
                if route.path != "/api/v1/pipelines" {
                    other_type.extend(world.sent(route, &path, Some("text/plain"), "{}"));
                }
            }
            Surface::Mlflow if !route.path.contains("/mlflow-artifacts/") && route.method == "POST" => {
                let mut sent = world.sent(route, &path, Some(JSON), "{}").unwrap();
                sent.request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("99999999999"));
                too_large.push(sent);
            }
            _ => {}
        }
    }
    for (what, status) in world.send(too_large).await {
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{what}");
    }
    for (what, status) in world.send(other_type).await {
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{what}");
    }
}

#[tokio::test]
async fn a_header_that_means_nothing_is_refused_or_passed_over() {
    let world = World::start().await;
    let named = HeaderName::from_static;
    // Together those that a route may pass over; a request without a right authorisation is refused at the door.
    let groups: [&[(HeaderName, &[u8])]; 5] = [
        &[(header::AUTHORIZATION, b"Basic %%%")],
        &[(header::AUTHORIZATION, b"Bearer \xff")],
        &[(header::AUTHORIZATION, b"Bearer")],
        &[
            (header::COOKIE, b"slipway_session=\xff; slipway_theme=;;=;"),
            (header::IF_MATCH, b"\xff"),
            (header::IF_NONE_MATCH, b"\xff, *"),
            (header::RANGE, b"bytes=-99999999999999999999999"),
            (header::ACCEPT, b"\xff"),
            (named("idempotency-key"), b"\xff"),
            (named("last-event-id"), b"99999999999999999999999"),
            (named("x-mlflow-workspace"), b"..\xff"),
            (named("x-request-id"), b"a b\xff"),
        ],
        &[
            (header::COOKIE, b"slipway_session=AAAAAAAAAAAAAAAAAAAAAA; slipway_theme=x"),
            (header::RANGE, b"bytes=18446744073709551615-"),
        ],
    ];
    let (world, groups) = (&world, &groups);
    stream::iter(&world.table)
        .for_each_concurrent(AT_ONCE, |route| async move {
            let sent = |headers: &[(HeaderName, &[u8])]| {
                let body = if route.method == "GET" { "" } else { "{}" };
                let mut sent = world.sent(route, &world.path(route, None), Some(JSON), body).unwrap();
                for (name, value) in headers {
                    sent.what += &format!(" with {name}: {}", String::from_utf8_lossy(value));
                    sent.request.headers_mut().insert(name, HeaderValue::from_bytes(value).unwrap());
                }
                Some(sent)
            };
            let plain = world.answer(sent(&[]).unwrap()).await;
            for group in groups {
                world.answer_in_halves(&plain, group, sent).await;
            }
        })
        .await;
}

/// What stands in a body instead of what belongs there.
fn strange() -> Vec<Value> {
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

fn brief(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

/// Every place of a value that is no list and no object.
fn leaves(value: &Value, at: String, into: &mut Vec<String>) {
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
    fn body_of(&self, route: &Route) -> Option<&Value> {
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
                let is_nul = value == "a\0b" && is_text && place != "/password";
                if is_nul { nul.push(sent) } else { all.push(sent) }
            }
        }
        let mut unknown = right.clone();
        unknown["no such field"] = json!(1);
        all.extend(world.sent(route, &path, Some(JSON), unknown.to_string()));
    }
    assert!(nul.len() > 10, "few texts are sent: {}", nul.len());
    world.send(all).await;
    for (what, status) in world.send(nul).await {
        assert!(status.is_client_error(), "{what} answered {status}");
    }
}

impl World {
    /// Right bodies of MLflow's operations.
    fn operations(&self) -> Vec<(&'static str, &'static str, Value)> {
        let (run, experiment, model) = (&self.run, &self.experiment, &self.model);
        let tags = json!([{ "key": "k", "value": "v" }]);
        let dataset =
            json!({ "name": "d", "digest": "1", "source_type": "s", "source": "s", "schema": "{}", "profile": "{}" });
        let metric = json!({
            "key": "loss", "value": 1, "timestamp": 1, "step": 1, "model_id": model, "dataset_name": "d", "dataset_digest": "1",
        });
        let mut logged = metric.clone();
        logged["run_id"] = json!(run);
        let search = |mut more: Value| {
            for (name, value) in [("filter", json!("")), ("page_token", json!("")), ("max_results", json!(5))] {
                more[name] = value;
            }
            more
        };
        let model_json =
            json!({ "artifact_path": "a", "flavors": {}, "utc_time_created": "t", "run_id": run }).to_string();
        let stage = json!({ "name": "churn", "version": "1", "stage": "Archived", "archive_existing_versions": true });
        vec![
            ("POST", "experiments/create", json!({ "name": "e", "artifact_location": "", "tags": tags })),
            ("POST", "experiments/search", search(json!({ "order_by": ["name"], "view_type": "ALL" }))),
            ("POST", "experiments/update", json!({ "experiment_id": experiment, "new_name": "wine2" })),
            (
                "POST",
                "experiments/set-experiment-tag",
                json!({ "experiment_id": experiment, "key": "k", "value": "v" }),
            ),
            ("POST", "experiments/delete-experiment-tag", json!({ "experiment_id": experiment, "key": "k" })),
            (
                "POST",
                "runs/create",
                json!({ "experiment_id": experiment, "user_id": "u", "run_name": "n", "start_time": 1, "tags": tags }),
            ),
            ("POST", "runs/update", json!({ "run_id": run, "status": "FINISHED", "end_time": 1, "run_name": "n" })),
            (
                "POST",
                "runs/search",
                search(
                    json!({ "experiment_ids": [experiment], "order_by": ["metrics.loss DESC"], "run_view_type": "ALL" }),
                ),
            ),
            ("POST", "runs/log-metric", logged),
            ("POST", "runs/log-parameter", json!({ "run_id": run, "key": "p", "value": "v" })),
            (
                "POST",
                "runs/log-batch",
                json!({ "run_id": run, "metrics": [metric], "params": [{ "key": "q", "value": "v" }], "tags": tags }),
            ),
            ("POST", "runs/set-tag", json!({ "run_id": run, "key": "k", "value": "v" })),
            ("POST", "runs/delete-tag", json!({ "run_id": run, "key": "k" })),
            (
                "POST",
                "runs/log-inputs",
                json!({ "run_id": run, "datasets": [{ "dataset": dataset, "tags": tags }], "models": [{ "model_id": model }] }),
            ),
            ("POST", "runs/outputs", json!({ "run_id": run, "models": [{ "model_id": model, "step": 1 }] })),
            ("POST", "runs/log-model", json!({ "run_id": run, "model_json": model_json })),
            (
                "POST",
                "logged-models",
                json!({
                    "experiment_id": experiment, "name": "m", "model_type": "t", "source_run_id": run, "params": tags, "tags": tags,
                }),
            ),
            (
                "POST",
                "logged-models/search",
                search(json!({
                    "experiment_ids": [experiment],
                    "datasets": [{ "dataset_name": "d", "dataset_digest": "1" }],
                    "order_by": [{ "field_name": "name", "ascending": true, "dataset_name": "d", "dataset_digest": "1" }],
                })),
            ),
            ("PATCH", "logged-models/{model}", json!({ "model_id": model, "status": "LOGGED_MODEL_READY" })),
            ("PATCH", "logged-models/{model}/tags", json!({ "tags": tags })),
            ("POST", "logged-models/{model}/params", json!({ "params": tags })),
            ("POST", "registered-models/create", json!({ "name": "other", "description": "d", "tags": tags })),
            ("PATCH", "registered-models/update", json!({ "name": "churn", "description": "d" })),
            ("POST", "registered-models/set-tag", json!({ "name": "churn", "key": "k", "value": "v" })),
            ("DELETE", "registered-models/delete-tag", json!({ "name": "churn", "key": "k" })),
            ("POST", "registered-models/alias", json!({ "name": "churn", "alias": "a", "version": "1" })),
            ("DELETE", "registered-models/alias", json!({ "name": "churn", "alias": "a" })),
            ("POST", "registered-models/get-latest-versions", json!({ "name": "churn", "stages": ["None"] })),
            (
                "POST",
                "model-versions/create",
                json!({
                    "name": "churn", "source": format!("runs:/{run}/model"), "run_id": run, "model_id": model, "run_link": "l",
                    "description": "d", "tags": tags,
                }),
            ),
            ("PATCH", "model-versions/update", json!({ "name": "churn", "version": "1", "description": "d" })),
            ("POST", "model-versions/transition-stage", stage),
            ("POST", "model-versions/set-tag", json!({ "name": "churn", "version": "1", "key": "k", "value": "v" })),
            ("DELETE", "model-versions/delete-tag", json!({ "name": "churn", "version": "1", "key": "k" })),
            ("POST", "registered-models/rename", json!({ "name": "nobody", "new_name": "somebody" })),
        ]
    }
}

/// Fields that say nothing when they say something that nobody knows, as MLflow has it, or of which less is kept.
/// A data set counts only where a metric is asked for.
const LENIENT: [&str; 8] = [
    "/view_type",
    "/run_view_type",
    "/status",
    "/user_id",
    "/datasets/0/dataset_name",
    "/datasets/0/dataset_digest",
    "/order_by/0/dataset_name",
    "/order_by/0/dataset_digest",
];

#[tokio::test]
async fn a_field_of_mlflows_api_with_a_strange_value_is_refused() {
    let world = World::start().await;
    let (mut all, mut nul) = (Vec::new(), Vec::new());
    for (method, operation, right) in world.operations() {
        let path = format!("/api/2.0/mlflow/{}", operation.replace("{model}", &world.model));
        let is_it = |route: &&Route| {
            route.method == method
                && route.path == format!("/api/2.0/mlflow/{}", operation.replace("{model}", "{model_id}"))
        };
        let route = world.table.iter().find(is_it).unwrap_or_else(|| panic!("{method} {path} is no route"));
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
                let is_nul = value == "a\0b" && is_text && !LENIENT.contains(&place.as_str());
                if is_nul { nul.push(sent) } else { all.push(sent) }
            }
        }
    }
    assert!(nul.len() > 80, "few texts are sent: {}", nul.len());
    world.send(all).await;
    for (what, status) in world.send(nul).await {
        assert!(status.is_client_error(), "{what} answered {status}");
    }
}

#[tokio::test]
async fn a_field_of_a_form_with_a_strange_value_is_refused() {
    let world = World::start().await;
    let forms: [(&str, &[(&str, &str)]); 14] = [
        (
            "/settings/members",
            &[("email", "a@slipway.test"), ("name", "A"), ("password", "correct horse"), ("roles", "viewer")],
        ),
        ("/settings/members/{id}", &[("do", "save"), ("roles", "viewer")]),
        ("/settings/tokens", &[("name", "t"), ("scope", "read"), ("days", "1")]),
        ("/settings/account", &[("present", "a"), ("password", "correct horse battery")]),
        ("/pipelines/new", &[("source", PIPELINE)]),
        ("/pipelines/{name}/edit", &[("source", PIPELINE)]),
        ("/pipelines/{name}/runs", &[("version", "1"), ("key", "k"), ("params.rate", "0.1")]),
        ("/pipeline-runs/{number}/rerun", &[("key", "k")]),
        ("/promotions", &[("subject", "churn/1"), ("environment", "production"), ("comment", "c")]),
        ("/promotions/{number}/decisions", &[("verdict", "approve"), ("subject_digest", DIGEST), ("comment", "c")]),
        ("/experiments/{id}/runs", &[("run", NOBODY)]),
        (
            "/environments/{environment}/models/{model}/monitor/triggers",
            &[("pipeline", "train"), ("params", "rate=1"), ("enabled", "on"), ("cool_down", "1")],
        ),
        ("/environments/{environment}/models/{model}/rollback", &[("deployment", "1"), ("comment", "c")]),
        ("/sign-in", &[("email", "a@slipway.test"), ("password", "p"), ("next", "/")]),
    ];
    // These say nothing when they say something else: the form is then another's.
    let lenient = ["do", "next", "key", "version", "password", "present", "deployment", "enabled"];
    let (mut all, mut nul) = (Vec::new(), Vec::new());
    for (path, fields) in forms {
        let route = world.table.iter().find(|route| route.method == "POST" && route.path == path).unwrap();
        let address = world.path(route, None);
        for (field, _) in fields {
            for value in ["\0", "a\0b", "", " ", "-1", "99999999999999999999", "\u{1f4a5}\r\n", &"x".repeat(20_000)] {
                let pairs = fields.iter().map(|(name, right)| {
                    let text = if name == field { value } else { *right };
                    format!("{}={}", escaped(name), escaped(text))
                });
                let mut sent = world.sent(route, &address, Some(FORM), pairs.collect::<Vec<_>>().join("&")).unwrap();
                sent.what += &format!(" with {field} = {value:.40?}");
                if value == "a\0b" && !lenient.contains(field) { nul.push(sent) } else { all.push(sent) }
            }
        }
    }
    world.send(all).await;
    for (what, status) in world.send(nul).await {
        assert!(status.is_client_error(), "{what} answered {status}");
    }
}

#[tokio::test]
async fn a_method_that_an_address_does_not_take_is_refused() {
    let world = World::start().await;
    for route in &world.table {
        for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::POST] {
            if world.table.iter().any(|other| other.path == route.path && other.method == method.as_str()) {
                continue;
            }
            let request = world.admin.request(method.clone(), &world.path(route, None)).body(Body::empty()).unwrap();
            let (status, ..) = world.admin.start_of(request).await;
            assert!(status.is_client_error(), "{method} {} answered {status}", route.path);
        }
    }
}

/// What clients may log is shown, however little sense it makes.
#[tokio::test]
async fn the_greatest_and_the_strangest_that_can_be_logged_are_shown() {
    let world = World::start().await;
    let admin = &world.admin;
    let name = "\u{1f4a5}\u{202e}<script>'\"&".repeat(10);
    let new = json!({ "experiment_id": world.experiment, "start_time": i64::MAX, "run_name": name, "user_id": name });
    let made = admin.ml("runs/create", new).await.ok();
    let run = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let values = [json!(f64::MAX), json!(f64::MIN), json!("NaN"), json!("-Infinity"), json!(5e-324), json!(0)];
    let points = values.iter().enumerate().flat_map(|(at, value)| {
        [i64::MIN, -1, i64::MAX].map(|step| {
            let timestamp = if step < 0 { 0 } else { i64::MAX };
            json!({ "key": format!("m{}", at % 2), "value": value, "timestamp": timestamp, "step": step })
        })
    });
    let params = json!([{ "key": "p", "value": name.repeat(20) }]);
    let batch = json!({ "run_id": run, "metrics": points.collect::<Vec<_>>(), "params": params });
    admin.ml("runs/log-batch", batch).await.ok();
    let ended = json!({ "run_id": run, "status": "FAILED", "end_time": 0 });
    admin.ml("runs/update", ended).await.ok();
    let other = admin.run(&world.experiment).await;
    for path in [
        format!("/runs/{run}"),
        format!("/runs/{run}?metric=m0"),
        format!("/runs/compare?run={run}&run={other}"),
        format!("/experiments/{}", world.experiment),
        format!("/experiments/{}?sort=-metrics.m0", world.experiment),
        "/experiments".to_owned(),
        "/audit".to_owned(),
        "/".to_owned(),
        format!("/api/v1/runs/{run}"),
        format!("/api/v1/runs/{run}/series?key=m0&points=2"),
        format!("/api/v1/runs?experiment_id={}", world.experiment),
        format!("/api/2.0/mlflow/runs/get?run_id={run}"),
        format!("/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key=m1"),
    ] {
        let answer = admin.clone().in_workspace("default").get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {:.600}", answer.text());
        assert!(path.starts_with("/api") || !answer.text().contains("<script>'"), "{path}");
    }
}
