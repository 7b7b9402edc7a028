//! Gates that are a function of the tables: signature, card, data sets, reproduction, expressions; and those that run dry.

use crate::promotion::world::{PRODUCTION, World, document};
use domain::{
    ErrorKind,
    duration::Span,
    policy::GateSpec,
    promotion::{
        PromotionState,
        Verdict::{Fail, Inconclusive, Pass},
    },
};
use serde_json::{Value, json};

fn signature(dtype: &str) -> Value {
    json!({
        "inputs": [{ "name": "a", "dtype": dtype, "shape": null }],
        "outputs": [{ "name": "label", "dtype": "long", "shape": null }],
    })
}

#[tokio::test]
async fn a_signature_takes_the_champions_place_or_does_not() {
    let world = World::start().await;
    let gate = GateSpec::SignatureCompatible {};
    let champion = world.version().await;
    world.set_signature(champion, signature("float")).await;
    let found = world.found(&gate, champion).await;
    found.is(Pass, "Nothing serves in this environment yet");
    world.approve(&world.approver, &found.promotion).await.unwrap();
    assert_eq!(world.advance(&found.promotion).await, PromotionState::Live);

    let (wider, other, silent) = (world.another().await, world.another().await, world.another().await);
    world.set_signature(wider, signature("double")).await;
    world.set_signature(other, signature("string")).await;
    world.found(&gate, other).await.is(Fail, "Input \"a\" was float and is string.");
    world.found(&gate, silent).await.is(Inconclusive, "The version has no signature");
    world.found(&gate, wider).await.is(Pass, "Inputs are taken");
}

#[tokio::test]
async fn a_card_says_what_it_must() {
    let world = World::start().await;
    let gate = GateSpec::ModelCard { sections: vec!["Limits".to_owned()], max_age: Some(Span::of_days(30)) };
    let version = world.version().await;
    let found = world.found(&gate, version).await;
    found.is(Inconclusive, "has no card");
    let write = async |text: &str, instead_of: Option<i32>| {
        world.services.save_model_card(&world.contributor, "iris", text, instead_of).await.unwrap();
    };
    write("# Iris\n\n## Limits\n\n## Data\nFlowers.\n", None).await;
    let found = world.again(found).await;
    found.is(Fail, "Nothing stands below Limits.");
    write("# Iris\n\n## Limits\nFew flowers.\n", Some(1)).await;
    let found = world.again(found).await;
    found.is(Pass, "saved it on");
    // Somebody takes it back while people are asked.
    write("# Iris\n", Some(2)).await;
    assert_eq!(world.advance(&found.promotion).await, PromotionState::Invalidated);
}

#[tokio::test]
async fn a_card_grows_old() {
    let world = World::start().await;
    let gate = GateSpec::ModelCard { sections: Vec::new(), max_age: Some(Span::of_days(30)) };
    let version = world.version().await;
    world.services.save_model_card(&world.contributor, "iris", "Text.", None).await.unwrap();
    sqlx::query("alter table model_cards disable trigger user").execute(&world.database.pool).await.unwrap();
    world.meddle("update model_cards set created_at = created_at - interval '31 days'").await;
    world.found(&gate, version).await.is(Fail, "longer than 30d ago");
}

#[tokio::test]
async fn the_data_was_checked_as_it_was_read() {
    let world = World::start().await;
    let gate = GateSpec::DatasetChecked { datasets: Vec::new() };
    let version = world.version().await;
    let found = world.found(&gate, version).await;
    found.is(Inconclusive, "There is no evidence dataset/flowers");
    world.upload(&found.promotion, "dataset/flowers", json!({ "digest": "4f1d", "passed": true })).await;
    let found = world.again(found).await;
    found.is(Inconclusive, "\"flowers\" was checked at 4f1d, and the run read 4f1c.");
    world.upload(&found.promotion, "dataset/flowers", json!({ "digest": "4f1c", "passed": false })).await;
    let found = world.again(found).await;
    found.is(Fail, "The check of \"flowers\" did not pass.");
    world.upload(&found.promotion, "dataset/flowers", json!({ "digest": "4f1c", "passed": true })).await;
    world.again(found).await.is(Pass, "1 data set was checked.");
}

#[tokio::test]
async fn a_second_run_agrees_or_does_not() {
    let world = World::start().await;
    let gate = GateSpec::Reproduced { metrics: Vec::new(), tolerance: 0.01 };
    let (version, second) = (world.version().await, world.version().await);
    let found = world.found(&gate, version).await;
    found.is(Inconclusive, "slipway.reproduces");
    let (_, run) = world.run_of(version).await;
    world.tag_run(second, "slipway.reproduces", &run.0.simple().to_string()).await;
    world.log_to(second, "accuracy", 0.8).await;
    let found = world.again(found).await;
    found.is(Inconclusive, "No finished run");
    let (_, again) = world.run_of(second).await;
    sqlx::query("update runs set status = 'FINISHED' where id = $1")
        .bind(again.0)
        .execute(&world.database.pool)
        .await
        .unwrap();
    let found = world.again(found).await;
    found.is(Fail, "\"accuracy\" is 0.8 and was 0.9.");
    world.log_to(second, "accuracy", 0.9).await;
    world.again(found).await.is(Pass, "1 metric was the same again.");
}

#[tokio::test]
async fn an_expression_sees_all_the_evidence() {
    let world = World::start().await;
    let champion = world.version_with(0.8).await;
    world.champion(champion).await;
    let gate = |expression: &str| GateSpec::Cel { name: "all of it".to_owned(), expression: expression.to_owned() };
    let expression = "metrics.accuracy > champion_metrics.accuracy && model == 'iris' && version > 1 \
        && environment == 'production' && datasets.flowers == '4f1c' && code == '9f03a71' && evidence.scan.critical == 0";
    let version = world.version().await;
    let found = world.found(&gate(expression), version).await;
    found.is(Inconclusive, "There is no \"scan\".");
    world.upload(&found.promotion, "scan", json!({ "critical": 1 })).await;
    let found = world.again(found).await;
    found.is(Fail, "The expression is false.");
    world.upload(&found.promotion, "scan", json!({ "critical": 0 })).await;
    world.again(found).await.is(Pass, "The expression is true.");
}

#[tokio::test]
async fn an_expression_looks_at_what_the_other_gates_found() {
    let world = World::start().await;
    let version = world.version().await;
    let one = GateSpec::Cel {
        name: "one of the others".to_owned(),
        expression: "gates.exists(g, g.kind == 'signature_compatible' && g.passed) && size(gates) == 2".to_owned(),
    };
    let gates = vec![one, GateSpec::SignatureCompatible {}, GateSpec::GoldenRow { tolerance: 1e-4 }];
    world.set_policy(PRODUCTION, gates, 1).await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    // Whoever looks again finds the same.
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
}

#[tokio::test]
async fn an_expression_that_is_none_is_refused_with_its_place() {
    let world = World::start().await;
    let gate = GateSpec::Cel { name: "x".to_owned(), expression: "metrics.accuracy >".to_owned() };
    let error = world.services.set_policy(&world.admin, PRODUCTION, document(vec![gate], 1), None).await.unwrap_err();
    assert_eq!((error.kind, error.field.as_deref()), (ErrorKind::Invalid, Some("gates/0/expression")));
    assert!(error.message.contains("line 1, column"), "{}", error.message);
}

#[tokio::test]
async fn a_gate_that_runs_dry_is_measured_and_decides_nothing() {
    let world = World::start().await;
    let version = world.version().await;
    let mut policy = document(vec![GateSpec::SignatureCompatible {}], 1);
    policy.advisory = vec![
        GateSpec::Cel { name: "never".to_owned(), expression: "gates.all(g, !g.passed)".to_owned() },
        GateSpec::Reproduced { metrics: Vec::new(), tolerance: 0.1 },
    ];
    world.services.set_policy(&world.admin, PRODUCTION, policy, None).await.unwrap();
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    let found: Vec<_> =
        world.detail(&promotion).await.gates.iter().map(|gate| (gate.advisory, gate.verdict())).collect();
    assert_eq!(found, [(false, Pass), (true, Fail), (true, Inconclusive)]);
    let promotion = world.read(&promotion).await;
    world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
}
