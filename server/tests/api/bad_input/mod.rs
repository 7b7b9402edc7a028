//! Requests as nobody should send them, to every route there is: each is refused with a sentence, in the form that the
//! route's clients understand, and never by a failure of ours. Here is what the sweeps share; each file is one of them.

mod address;
mod body;
mod field;
mod form;
mod headers;
mod logged;
mod mlflow;
mod query;

use crate::app::{Client, TestApp};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
};
use domain::permission::{Role, Scope};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use server::{
    access::{Route, Surface},
    router,
};

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
    freeze: String,
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
        admin.post("/api/v1/teams", json!({ "name": "risk" })).await.ok();
        admin.post("/api/v1/datasets", json!({ "name": "churn" })).await.ok();
        admin.dataset_version("churn", &[("1", b"1")]).await;
        let dates = json!({ "kind": "dates", "from": "2100-12-24T00:00:00Z", "to": "2100-12-27T00:00:00Z" });
        let freeze = json!({ "name": "holidays", "kind": "deny", "schedule": dates });
        let freeze = admin.post("/api/v1/freezes", freeze).await.ok()["id"].as_str().unwrap().to_owned();
        let documented = admin.get("/api/v1/openapi.json").await.ok();
        // The other prefix of MLflow's operations leads to the same.
        let table =
            router::table(&app.state).into_iter().filter(|route| !route.path.starts_with("/ajax-api")).collect();
        Self { app, admin, table, experiment, run, model, freeze, documented }
    }

    /// What stands in the path where the route has this part, so that it names something that is there.
    fn part(&self, route: &Route, part: &str) -> String {
        let is_of = |noun: &str| route.path.contains(noun);
        match part {
            "{id}" if is_of("/experiments") => self.experiment.clone(),
            "{id}" if is_of("/runs") => self.run.clone(),
            "{run_id}" => self.run.clone(),
            "{id}" if is_of("/freezes") => self.freeze.clone(),
            "{id}" | "{user_id}" => NOBODY.to_owned(),
            "{model_id}" => self.model.clone(),
            "{environment}" => "production".to_owned(),
            "{team}" => "risk".to_owned(),
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
        let body = without_nonce(body);
        self.check(&route, &what, status, headers.get(header::CONTENT_TYPE), &body);
        (status, body)
    }

    /// Makes all these changes to a request at once, and in halves when that is refused otherwise than the request as it
    /// is: the first change that is refused hides the others. What is not refused has passed over or taken every one.
    /// Answers with the changes that are refused alone.
    async fn answer_in_halves<T: Clone>(
        &self,
        plain: &(StatusCode, Vec<u8>),
        changes: &[T],
        changed: impl Fn(&[T]) -> Option<Sent>,
    ) -> Vec<T> {
        let mut refused = Vec::new();
        let mut groups = vec![changes.to_vec()];
        while let Some(group) = groups.pop() {
            // What is no address at all cannot be sent, as when it is too long.
            let is_refused = match changed(&group) {
                Some(sent) => {
                    let is_page = sent.route.surface == Surface::Page;
                    let answer = self.answer(sent).await;
                    // A page that says that something is missing shows its own address, with the changes.
                    answer.0.is_client_error() && if is_page { answer.0 != plain.0 } else { answer != *plain }
                }
                None => true,
            };
            if is_refused && group.len() > 1 {
                let (left, right) = group.split_at(group.len() / 2);
                groups.extend([left.to_vec(), right.to_vec()]);
            } else if is_refused {
                refused.extend(group);
            }
        }
        refused
    }

    fn check(&self, route: &Route, what: &str, status: StatusCode, kind: Option<&HeaderValue>, body: &[u8]) {
        let text = String::from_utf8_lossy(body).into_owned();
        let answer = format!("{what} answered {status}: {text:.600}");
        let may_be_missing = route.surface == Surface::Inference && self.app.services().models().is_err();
        match status {
            // What clients do without.
            StatusCode::NOT_IMPLEMENTED if route.path.contains("/presigned-") => {}
            StatusCode::NOT_IMPLEMENTED if route.method == "DELETE" && route.path.contains("/workspaces/") => {}
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
    async fn start_of(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
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

/// A page without what is drawn for each answer: it would make two alike differ, and may by chance spell any word.
fn without_nonce(body: Vec<u8>) -> Vec<u8> {
    let nonce = str::from_utf8(&body).ok().and_then(|text| text.split_once(" nonce=\"")?.1.split('"').next());
    match nonce {
        Some(nonce) if !nonce.is_empty() => String::from_utf8_lossy(&body).replace(nonce, "").into_bytes(),
        _ => body,
    }
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
