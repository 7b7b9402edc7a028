//! Gates that are a function of the tables: signature, card, data sets, reproduction, expressions; and those that run dry.

use crate::promotion::world::{PRODUCTION, World, document};
use domain::{
    ErrorKind,
    dataset::VersionRef,
    duration::Span,
    policy::GateSpec,
    promotion::{
        PromotionState,
        Verdict::{Fail, Inconclusive, Pass, Pending},
    },
};
use serde_json::{Value, json};
use services::{DatasetChange, NewDataset};

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
async fn of_a_version_that_slipway_keeps_its_own_checks_count() {
    let world = World::start().await;
    let gate = GateSpec::DatasetChecked { datasets: Vec::new() };
    world.expect(Some(2)).await;
    world.push_blooms(1).await;
    let version = world.version().await;
    // Nobody has looked yet: the gate waits, and so does the promotion.
    world.set_policy(PRODUCTION, vec![gate.clone()], 1).await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::GatesRunning);
    let waiting = world.first(promotion.clone(), PromotionState::GatesRunning).await.finding;
    assert_eq!((waiting.verdict, waiting.reason.as_str()), (Pending, "blooms@1 is being checked."));
    let waits = async || {
        let mut conn = world.database.pool.acquire().await.unwrap();
        store::promotion::waiting_for_checks(&mut conn, world.workspace.id).await.unwrap()
    };
    assert_eq!(waits().await, [promotion.id], "whoever ends the check wakes it");
    world.check_all().await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
    let found = world.first(promotion, PromotionState::Blocked).await;
    let told =
        "blooms@1 is not what is expected of it: \"has at least 2 rows\" in rows.csv is not met (It has 1 rows).";
    found.is(Fail, told);
    assert_eq!(found.finding.evidence["datasets"][0]["version"], "blooms@1");
    assert!(waits().await.is_empty());

    // What somebody posts says nothing of what is kept here.
    world.upload(&found.promotion, "dataset/flowers", json!({ "digest": "4f1c", "passed": true })).await;
    let found = world.again(found).await;
    found.is(Fail, told);

    // Something else is expected, and the same version passes.
    world.expect(Some(1)).await;
    let found = world.again(found).await;
    assert_eq!(found.state, PromotionState::GatesRunning);
    assert_eq!(found.finding.reason, "blooms@1 is being checked again.");
    world.check_all().await;
    let state = world.advance(&found.promotion).await;
    let found = world.first(found.promotion, state).await;
    found.is(Pass, "1 data set was checked.");

    // While it is found out again, what was found stands; and when the same is found, nothing has changed.
    world.expect(Some(0)).await;
    assert_eq!(world.advance(&found.promotion).await, PromotionState::AwaitingApproval);
    world.check_all().await;
    assert_eq!(world.advance(&found.promotion).await, PromotionState::AwaitingApproval);
    world.approve(&world.approver, &world.read(&found.promotion).await).await.unwrap();
    assert_eq!(world.advance(&found.promotion).await, PromotionState::Live);
}

#[tokio::test]
async fn a_version_that_passes_no_more_ends_what_was_agreed_on() {
    let world = World::start().await;
    let gate = GateSpec::DatasetChecked { datasets: vec!["blooms".to_owned()] };
    world.expect(Some(1)).await;
    world.push_blooms(1).await;
    world.check_all().await;
    let version = world.version().await;
    let found = world.found(&gate, version).await;
    found.is(Pass, "1 data set was checked.");
    world.expect(None).await;
    world.check_all().await;
    let promotion = world.read(&found.promotion).await;
    let refused = world.approve(&world.approver, &promotion).await;
    assert!(refused.is_err(), "what it rests on is looked at again when somebody decides: {refused:?}");
    world.advance(&promotion).await;
    assert_eq!(world.read(&promotion).await.state, PromotionState::Invalidated);
    let found = world.found(&gate, version).await;
    found.is(Inconclusive, "blooms@1 was checked for nothing: declare what is expected of blooms.");

    // Of two that MLflow calls the same, one passes.
    world.expect(Some(2)).await;
    world.push_blooms(3).await;
    world.check_all().await;
    let found = world.again(found).await;
    found.is(Inconclusive, "\"flowers\" is blooms@1 or blooms@2, which MLflow calls the same: blooms@1 ");
}

impl World {
    /// Expects so many rows of the dataset blooms, or nothing.
    async fn expect(&self, rows: Option<u32>) {
        let rule = |rows| serde_json::from_value(json!({ "rule": "row_count", "min": rows })).unwrap();
        let expectations = Vec::from_iter(rows.map(rule));
        let change = DatasetChange { description: None, expectations: Some(expectations.clone()) };
        if self.services.change_dataset(&self.contributor, "blooms", change).await.is_err() {
            let new = NewDataset { name: "blooms".to_owned(), description: String::new(), expectations };
            self.services.create_dataset(&self.contributor, new).await.unwrap();
        }
    }

    /// A version of blooms with so many rows, which MLflow calls as the runs of versions do.
    async fn push_blooms(&self, rows: u32) {
        let folder = tempfile::tempdir().unwrap();
        let text: String = (0..rows).map(|row| format!("{row}\n")).collect();
        std::fs::write(folder.path().join("rows.csv"), format!("x\n{text}")).unwrap();
        let path = folder.path().to_owned();
        let made = self.services.make_dataset_version_of(&self.contributor, "blooms", path, "").await.unwrap().0;
        let which = VersionRef::Number(made.number);
        let called = ["4f1c".to_owned()];
        self.services.name_dataset_version(&self.contributor, "blooms", &which, &called).await.unwrap();
    }

    async fn check_all(&self) {
        while self.services.profile_next_dataset().await.unwrap() {}
    }
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
