//! Gates that somebody or something outside answers: external checks, and Prometheus.

use crate::promotion::world::{PRODUCTION, World, metric_gate};
use domain::{
    ErrorKind,
    duration::Span,
    permission::Role,
    policy::{Bound, GateSpec},
    promotion::{
        Promotion, PromotionState,
        Verdict::{self, Fail, Inconclusive, Pass, Pending},
    },
};
use outbound::Prometheus;
use services::{Ctx, NewAnswer, NewEvidence};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

const SCAN: &str = "security-scan";

fn scan() -> GateSpec {
    GateSpec::External { name: SCAN.to_owned(), timeout: Span::of_seconds(3600) }
}

fn answer(verdict: Verdict) -> NewAnswer {
    NewAnswer { verdict, comment: "Nothing found.".to_owned(), url: Some("https://scan.test/1".to_owned()) }
}

/// A promotion that waits for the scan.
async fn waiting(world: &World, gates: Vec<GateSpec>) -> Promotion {
    world.set_policy(PRODUCTION, gates, 1).await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::GatesRunning);
    promotion
}

async fn give(world: &World, who: &Ctx, promotion: &Promotion, verdict: Verdict) -> Result<bool, ErrorKind> {
    let answered = world.services.answer_gate(who, promotion.number, SCAN, answer(verdict)).await;
    answered.map(|(_, is_new)| is_new).map_err(|error| error.kind)
}

async fn times_asked(world: &World) -> i64 {
    world.count("select count(*) from audit_events where action = 'promotion.gate_asked'").await
}

#[tokio::test]
async fn a_promotion_waits_for_an_answer_and_goes_on_with_it() {
    let world = World::start().await;
    let promotion = waiting(&world, vec![GateSpec::GoldenRow { tolerance: 1e-4 }, scan()]).await;
    let pending = world.services.pending_gates(&world.contributor, promotion.number).await.unwrap();
    assert_eq!(
        (pending.len(), pending[0].name.as_str(), pending[0].policies.as_slice()),
        (1, SCAN, &[PRODUCTION.to_owned()][..])
    );
    let before = world.detail(&promotion).await.gates;
    assert_eq!([before[0].verdict(), before[1].verdict()], [Pass, Pending]);
    // A process that could not ask the engine goes on from what was found.
    let bare = world.process_without_engine().await;
    assert_eq!(bare.advance_promotion(promotion.id).await.unwrap(), PromotionState::GatesRunning);
    assert_eq!(world.detail(&promotion).await.gates, before, "nothing is found anew");
    assert_eq!(times_asked(&world).await, 1);

    let scanner = world.machine(&[Role::Contributor]).await;
    assert_eq!(give(&world, &scanner, &promotion, Pass).await, Ok(true));
    assert_eq!(give(&world, &scanner, &promotion, Pass).await, Ok(false), "the same again");
    assert_eq!(give(&world, &scanner, &promotion, Fail).await, Err(ErrorKind::Conflict));
    assert_eq!(bare.advance_promotion(promotion.id).await.unwrap(), PromotionState::AwaitingApproval);
    let detail = world.detail(&promotion).await;
    let finding = detail.gates[1].finding.clone().unwrap();
    assert!(finding.reason.ends_with("answered that it passes: Nothing found."), "{}", finding.reason);
    assert_eq!(finding.evidence["answer"]["url"], "https://scan.test/1");
    assert_eq!(detail.evidence[0].name, "gate/security-scan");
    assert!(world.services.pending_gates(&world.contributor, promotion.number).await.unwrap().is_empty());
    assert_eq!(give(&world, &scanner, &promotion, Pass).await, Ok(false), "the same, later");
    assert_eq!(give(&world, &scanner, &promotion, Fail).await, Err(ErrorKind::Conflict));
}

#[tokio::test]
async fn nobody_outside_is_asked_about_what_does_not_pass_anyway() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![scan(), metric_gate(0.99)], 1).await;
    let version = world.version_with(0.5).await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
    let detail = world.detail(&promotion).await;
    assert_eq!([detail.gates[0].verdict(), detail.gates[1].verdict()], [Inconclusive, Fail]);
    let reason = &detail.gates[0].finding.as_ref().unwrap().reason;
    assert!(reason.starts_with("It was not asked, because other gates do not pass."), "{reason}");
    assert_eq!(times_asked(&world).await, 0);
    assert!(world.services.pending_gates(&world.contributor, promotion.number).await.unwrap().is_empty());
    assert_eq!(give(&world, &world.contributor, &promotion, Pass).await, Err(ErrorKind::Conflict));
    // It is asked once they pass.
    world.log_to(version, "accuracy", 0.995).await;
    world.services.rerun_gates(&world.contributor, promotion.number).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::GatesRunning);
    assert_eq!(times_asked(&world).await, 1);
    assert_eq!(give(&world, &world.contributor, &promotion, Pass).await, Ok(true));
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    assert_eq!(world.read(&promotion).await.state_reason, "");
}

#[tokio::test]
async fn what_is_answered_decides() {
    let world = World::start().await;
    for (verdict, state) in [(Fail, PromotionState::Blocked), (Inconclusive, PromotionState::Blocked)] {
        let promotion = waiting(&world, vec![scan()]).await;
        assert_eq!(give(&world, &world.contributor, &promotion, verdict).await, Ok(true));
        assert_eq!(world.advance(&promotion).await, state);
        assert_eq!(world.detail(&promotion).await.gates[0].verdict(), verdict);
    }
}

#[tokio::test]
async fn an_answer_is_to_one_asking() {
    let world = World::start().await;
    let promotion = waiting(&world, vec![scan()]).await;
    assert_eq!(give(&world, &world.contributor, &promotion, Pass).await, Ok(true));
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    let agreed = world.read(&promotion).await;
    world.services.rerun_gates(&world.contributor, promotion.number).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::GatesRunning, "the former answer is not this one's");
    assert_eq!(times_asked(&world).await, 2);
    let other = NewAnswer { verdict: Pass, comment: "Run 2.".to_owned(), url: None };
    world.services.answer_gate(&world.contributor, promotion.number, SCAN, other).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    assert_eq!(world.read(&promotion).await.subject_digest, agreed.subject_digest, "only the verdict counts");
    world.services.rerun_gates(&world.contributor, promotion.number).await.unwrap();
    world.advance(&promotion).await;
    assert_eq!(give(&world, &world.contributor, &promotion, Fail).await, Ok(true));
    assert_eq!(world.advance(&promotion).await, PromotionState::Invalidated);
}

#[tokio::test]
async fn after_its_time_there_is_no_answer() {
    let world = World::start().await;
    let promotion = waiting(&world, vec![scan()]).await;
    world.meddle("update gates set asked_at = asked_at - interval '1 hour'").await;
    assert_eq!(give(&world, &world.contributor, &promotion, Pass).await, Err(ErrorKind::Conflict));
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
    let finding = world.detail(&promotion).await.gates[0].finding.clone().unwrap();
    assert_eq!(finding.verdict, Inconclusive);
    assert!(finding.reason.contains("did not answer within 1h"), "{}", finding.reason);
    assert_eq!(give(&world, &world.contributor, &promotion, Pass).await, Err(ErrorKind::Conflict));
}

#[tokio::test]
async fn an_answer_that_is_none_is_refused() {
    let world = World::start().await;
    let promotion = waiting(&world, vec![scan()]).await;
    let give = async |name: &str, new: NewAnswer| {
        world.services.answer_gate(&world.contributor, promotion.number, name, new).await.unwrap_err().kind
    };
    assert_eq!(give("other", answer(Pass)).await, ErrorKind::NotFound);
    assert_eq!(give(SCAN, answer(Pending)).await, ErrorKind::Invalid);
    for url in ["javascript:alert(1)", "file:///etc/passwd", "https://a b"] {
        assert_eq!(
            give(SCAN, NewAnswer { url: Some(url.to_owned()), ..answer(Pass) }).await,
            ErrorKind::Invalid,
            "{url}"
        );
    }
    assert_eq!(give(SCAN, NewAnswer { comment: "x".repeat(2_001), ..answer(Pass) }).await, ErrorKind::Invalid);
    // Nobody passes a gate by uploading what looks like an answer.
    let new = NewEvidence { name: "gate/security-scan".to_owned(), content: serde_json::json!({ "verdict": "pass" }) };
    let error = world.services.upload_evidence(&world.contributor, promotion.number, new).await.unwrap_err();
    assert_eq!((error.kind, error.field.as_deref()), (ErrorKind::Invalid, Some("name")));
    assert_eq!(world.advance(&promotion).await, PromotionState::GatesRunning);
}

#[tokio::test]
async fn of_answers_that_come_at_once_one_is_taken() {
    let world = World::start().await;
    for _ in 0..10 {
        let promotion = waiting(&world, vec![scan()]).await;
        let (a, b) = tokio::join!(
            give(&world, &world.contributor, &promotion, Pass),
            give(&world, &world.admin, &promotion, Fail)
        );
        assert!(
            matches!((a, b), (Ok(true), Err(ErrorKind::Conflict)) | (Err(ErrorKind::Conflict), Ok(true))),
            "{a:?} {b:?}"
        );
        let found = world.detail(&promotion).await.gates[0].verdict();
        assert_eq!(found, if a.is_ok() { Pass } else { Fail });
    }
}

/// Answers each request with the body that is set at that moment, and keeps the first line of each.
struct Stub {
    body: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
    address: String,
    task: JoinHandle<()>,
}

impl Stub {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (body, asked) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(Vec::new())));
        let (bodies, heads) = (Arc::clone(&body), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
                heads.lock().unwrap().push(line);
                let body = bodies.lock().unwrap().clone();
                let status = if body.starts_with("http") {
                    format!("302 Found\r\nlocation: {body}")
                } else {
                    "200 OK".to_owned()
                };
                let answer =
                    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { body, asked, address, task }
    }

    fn answers(&self, body: impl Into<String>) {
        *self.body.lock().unwrap() = body.into();
    }

    fn finds(&self, values: &[&str]) {
        let result: Vec<String> =
            values.iter().map(|value| format!(r#"{{"metric":{{}},"value":[1,"{value}"]}}"#)).collect();
        let result = result.join(",");
        self.answers(format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#));
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn errors() -> GateSpec {
    let query = r#"sum(rate(errors_total{model="${model}",version="${version}"}[5m]))"#.to_owned();
    GateSpec::Promql { query, bound: Bound::AtMost(0.01) }
}

#[tokio::test]
async fn one_number_of_prometheus_is_held_against_the_bound() {
    let stub = Stub::start().await;
    let mut world = World::without_engine().await;
    world.services = world.services.clone().with_prometheus(Prometheus::new(&stub.address).unwrap());
    let version = world.version().await;
    stub.finds(&[]);
    let found = world.found(&errors(), version).await;
    found.is(Inconclusive, "The query finds nothing.");
    for (values, verdict, words) in [
        (&["NaN"][..], Inconclusive, "no finite number"),
        (&["0", "0"], Inconclusive, "finds 2 numbers"),
        (&["0.02"], Fail, "does not keep to"),
    ] {
        stub.finds(values);
        let promotion = world.services.rerun_gates(&world.contributor, found.promotion.number).await.unwrap();
        let state = world.advance(&promotion).await;
        world.first(promotion, state).await.is(verdict, words);
    }
    stub.answers("x".repeat((1 << 20) + 1));
    let found = world.again(found).await;
    found.is(Inconclusive, "more than 1 MiB");
    stub.answers(stub.address.clone());
    let found = world.again(found).await;
    found.is(Inconclusive, "Prometheus answers 302.");
    stub.finds(&["0.005"]);
    let found = world.again(found).await;
    found.is(Pass, "keeps to the bound");
    let line = stub.asked.lock().unwrap().first().cloned().unwrap();
    assert!(line.starts_with("GET /api/v1/query?query=sum") && line.contains("model%3D%22iris%22"), "{line}");
    // What was found counts, though it would be another number now.
    let asked = stub.asked.lock().unwrap().len();
    stub.finds(&["0.5"]);
    assert_eq!(world.advance(&found.promotion).await, PromotionState::AwaitingApproval);
    assert_eq!(stub.asked.lock().unwrap().len(), asked);
}

#[tokio::test]
async fn without_prometheus_it_cannot_be_told() {
    let mut world = World::without_engine().await;
    let version = world.version().await;
    let found = world.found(&errors(), version).await;
    found.is(Inconclusive, "No Prometheus is configured");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    world.services = world.services.clone().with_prometheus(Prometheus::new(&format!("http://{closed}")).unwrap());
    world.again(found).await.is(Inconclusive, "Prometheus does not answer.");
}
