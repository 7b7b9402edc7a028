//! Push hooks: what a delivery starts, once.

use crate::pipelines::engine::Engine;
use domain::{
    ErrorKind,
    pipeline_run::RunCause,
    push_hook::{Delivery, Forge, Outcome, PushField, PushHook},
};
use serde_json::{Map, Value, json};
use services::{NewPushHook, ProvedPush, PushHookChange, RunFilter};
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::JoinSet;

const FILE: &str =
    "name: train\nparams: { sha: '', who: '', rounds: 20 }\nsteps:\n  only: { command: 'echo $PARAM_SHA' }\n";

fn new() -> NewPushHook {
    NewPushHook {
        name: "main".to_owned(),
        pipeline: "train".to_owned(),
        forge: Forge::Gitlab,
        branches: vec!["main".to_owned()],
        paths: Vec::new(),
        params: Map::from_iter([("rounds".to_owned(), json!(7))]),
        from_push: BTreeMap::from([("sha".to_owned(), PushField::Commit), ("who".to_owned(), PushField::AuthorEmail)]),
        enabled: true,
    }
}

async fn hooked(engine: &Engine) -> (PushHook, String) {
    engine.store(FILE).await;
    engine.services.create_push_hook(&engine.ctx(), new()).await.unwrap()
}

fn push(branch: &str) -> Value {
    json!({
        "ref": format!("refs/heads/{branch}"), "after": "1a2b3c",
        "commits": [{ "id": "1a2b3c", "author": { "email": "ada@lab.example" } }],
    })
}

fn proved(hook: &PushHook, delivery: &str, body: &Value) -> ProvedPush {
    ProvedPush {
        hook: hook.clone(),
        event: "Push Hook".to_owned(),
        delivery: Some(delivery.to_owned()),
        body: serde_json::to_vec(body).unwrap(),
    }
}

async fn receive(engine: &Engine, hook: &PushHook, delivery: &str, branch: &str) -> Delivery {
    engine.services.receive_push(proved(hook, delivery, &push(branch))).await.unwrap()
}

#[tokio::test]
async fn a_delivery_that_comes_often_at_once_starts_one_run_and_gets_one_answer() {
    let engine = Arc::new(Engine::start().await);
    let (hook, _) = hooked(&engine).await;
    let mut senders = JoinSet::new();
    for _ in 0..8 {
        let (engine, hook) = (Arc::clone(&engine), hook.clone());
        senders.spawn(async move { receive(&engine, &hook, "d1", "main").await });
    }
    let answers = senders.join_all().await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(
        (answers[0].outcome, answers[0].run_number, answers[0].answer.as_str()),
        (Outcome::Started, Some(1), "started train #1")
    );
    let runs = engine.services.pipeline_runs(&engine.ctx(), &RunFilter::default(), None, 10).await.unwrap().items;
    assert_eq!(runs.len(), 1);
    let run = &runs[0].run;
    assert_eq!((run.cause, run.cause_page().as_deref()), (RunCause::PushHook, Some("push-hooks/main")));
    assert_eq!(
        serde_json::to_value(&run.params).unwrap(),
        json!({ "sha": "1a2b3c", "who": "ada@lab.example", "rounds": 7 })
    );
    receive(&engine, &hook, "d2", "main").await;
    let log = engine.services.push_deliveries(&engine.ctx(), "main", None, 10).await.unwrap().items;
    assert_eq!(log.iter().map(|one| one.run_number).collect::<Vec<_>>(), [Some(2), Some(1)]);
}

#[tokio::test]
async fn what_the_hook_does_not_wait_for_is_ignored_with_a_reason_and_logged() {
    let engine = Engine::start().await;
    let (hook, _) = hooked(&engine).await;
    let other = receive(&engine, &hook, "d1", "dev").await;
    assert_eq!((other.outcome, other.answer.as_str()), (Outcome::Ignored, "ignored: the branch dev is none of main"));
    // The pipeline's file does not know a param any more.
    engine.store(&FILE.replace("sha: '', ", "")).await;
    let refused = receive(&engine, &hook, "d2", "main").await;
    assert!(refused.outcome == Outcome::Refused && refused.answer.contains("no param \"sha\""), "{refused:?}");
    let wrong = ProvedPush { body: b"payload=%7B".to_vec(), ..proved(&hook, "d3", &Value::Null) };
    assert_eq!(engine.services.receive_push(wrong).await.unwrap_err().kind, ErrorKind::Invalid);
    let log = engine.services.push_deliveries(&engine.ctx(), "main", None, 10).await.unwrap().items;
    assert_eq!(log.iter().map(|one| one.delivery.as_str()).collect::<Vec<_>>(), ["d2", "d1"]);
    assert_eq!((log[1].branch.as_deref(), log[1].commit.as_deref()), (Some("dev"), Some("1a2b3c")));
}

#[tokio::test]
async fn only_who_knows_the_secret_is_heard_and_a_renewed_one_ends_that_before() {
    let engine = Engine::start().await;
    let (hook, secret) = hooked(&engine).await;
    let prove = async |token: String| {
        let header = move |name: &str| match name {
            "x-gitlab-token" => Some(token.clone()),
            "x-gitlab-event" => Some("Push Hook".to_owned()),
            _ => None,
        };
        engine.services.prove_push(hook.id, &header, b"{}").await.unwrap()
    };
    assert_eq!(prove(secret.clone()).await.unwrap().hook, hook);
    assert!(prove("wrong".to_owned()).await.is_none() && prove(String::new()).await.is_none());
    let (_, renewed) = engine.services.renew_push_hook_secret(&engine.ctx(), "main").await.unwrap();
    assert!(prove(secret).await.is_none() && prove(renewed.clone()).await.is_some());
    let shown = serde_json::to_string(&engine.services.push_hook(&engine.ctx(), "main").await.unwrap()).unwrap();
    assert!(!shown.contains(&renewed), "{shown}");
    engine.services.delete_push_hook(&engine.ctx(), "main").await.unwrap();
    assert!(prove(renewed).await.is_none());
}

#[tokio::test]
async fn a_hook_that_makes_no_sense_is_refused_at_its_field() {
    let engine = Engine::start().await;
    hooked(&engine).await;
    let refused = async |change: fn(&mut NewPushHook)| {
        let mut wrong = NewPushHook { name: "other".to_owned(), ..new() };
        change(&mut wrong);
        engine.services.create_push_hook(&engine.ctx(), wrong).await.unwrap_err().field.unwrap_or_default()
    };
    assert_eq!(refused(|new| new.name = "Main!".to_owned()).await, "name");
    assert_eq!(refused(|new| new.name = "main".to_owned()).await, "name");
    assert_eq!(refused(|new| new.branches = vec![" ".to_owned()]).await, "branches");
    assert_eq!(refused(|new| drop(new.params.insert("speed".to_owned(), json!(1)))).await, "params.speed");
    assert_eq!(
        refused(|new| {
            new.from_push.insert("rounds".to_owned(), PushField::Commit);
        })
        .await,
        "from_push"
    );
    assert_eq!(
        refused(|new| {
            new.params.clear();
            new.from_push.insert("rounds".to_owned(), PushField::Commit);
        })
        .await,
        "from_push"
    );
    let off = PushHookChange { enabled: Some(false), ..PushHookChange::default() };
    let hook = engine.services.change_push_hook(&engine.ctx(), "main", off).await.unwrap();
    assert!(receive(&engine, &hook, "d1", "main").await.answer.ends_with("is off"));
}

#[tokio::test]
async fn a_param_that_only_the_push_gives_needs_no_default() {
    let engine = Engine::start().await;
    let file = FILE.replace("sha: ''", "sha: { type: string }");
    engine.store(&file.replace("who: ''", "who: { type: string, choices: [ada@lab.example, eve@lab.example] }")).await;
    let (hook, _) = engine.services.create_push_hook(&engine.ctx(), new()).await.unwrap();
    let delivery = receive(&engine, &hook, "d1", "main").await;
    assert_eq!((delivery.outcome, delivery.run_number), (Outcome::Started, Some(1)), "{delivery:?}");
    let run = engine.detail(1).await.run;
    assert_eq!(
        (run.params["sha"].to_string(), run.params["who"].to_string()),
        ("1a2b3c".into(), "ada@lab.example".into())
    );
    // One that neither gives is told by its own field.
    let unsaid = PushHookChange {
        from_push: Some(BTreeMap::from([("who".to_owned(), PushField::AuthorEmail)])),
        ..PushHookChange::default()
    };
    let refused = engine.services.change_push_hook(&engine.ctx(), "main", unsaid).await.unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("params.sha")));
}
