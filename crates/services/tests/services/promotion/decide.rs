//! Who may decide, on what, and how often.

use crate::promotion::world::{PRODUCTION, World, metric_gate, new_decision};
use domain::{
    Digest, ErrorKind,
    permission::Role,
    policy::PolicyDocument,
    promotion::{DecisionVerdict, Promotion, PromotionState},
};
use services::{Ctx, NewDelegation, NewEvidence};

#[tokio::test]
async fn an_approval_deploys_by_itself() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let (decision, is_new) =
        world.decide(&world.approver, &promotion, DecisionVerdict::Approve, " Looks right. ").await.unwrap();
    assert!(is_new);
    assert_eq!(
        (decision.comment.as_str(), Some(&decision.subject_digest)),
        ("Looks right.", promotion.subject_digest.as_ref())
    );
    assert_eq!(world.read(&promotion).await.state, PromotionState::Approved);
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
    assert_eq!(world.serving().await, Some(1));
}

#[tokio::test]
async fn the_requester_a_machine_and_who_is_no_approver_may_not_decide() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    world.set_roles(&world.contributor, &[Role::Contributor, Role::Approver]).await;
    let requester = world.contributor.caller.clone().unwrap();
    let requester = world.services.enter(requester, None).await.unwrap().unwrap();
    let machine = world.machine(&[Role::Approver]).await;
    for (who, why) in [
        (&requester, "You may not decide on promotion #1: you requested it, or started the pipeline run that did."),
        (&machine, "You may not decide on promotion #1: a service account never counts as a person who decides."),
        (&world.admin, "You may not decide on promotion #1: no rule names you."),
    ] {
        let refused = world.approve(who, &promotion).await.unwrap_err();
        assert_eq!((refused.kind, refused.message.as_str()), (ErrorKind::Forbidden, why));
    }
    assert_eq!(world.count("select count(*) from decisions").await, 0);
}

#[tokio::test]
async fn who_lost_the_role_since_the_request_came_in_may_not_decide() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    world.set_roles(&world.approver, &[Role::Viewer]).await;
    let refused = world.approve(&world.approver, &promotion).await.unwrap_err();
    assert_eq!(refused.message, "You may not decide on promotion #1: no rule names you.");
}

#[tokio::test]
async fn a_no_needs_a_reason_and_ends_it() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let refused = world.decide(&world.approver, &promotion, DecisionVerdict::Reject, "  ").await.unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("comment")));
    let reject = DecisionVerdict::Reject;
    world.decide(&world.approver, &promotion, reject, "Trained on last year's data.").await.unwrap();
    let promotion = world.read(&promotion).await;
    assert_eq!(promotion.state, PromotionState::Rejected);
    assert_eq!(promotion.state_reason, "Person 3 said no: Trained on last year's data.");
    assert_eq!(world.advance(&promotion).await, PromotionState::Rejected);
    let other = world.member(&[Role::Approver]).await;
    let refused = world.approve(&other, &promotion).await.unwrap_err();
    assert!(
        refused.message.starts_with("Promotion #1 is not to be decided on: it was rejected."),
        "{}",
        refused.message
    );
}

#[tokio::test]
async fn the_same_request_again_is_the_same_decision_and_another_verdict_is_refused() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 2).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let (first, _) = world.approve(&world.approver, &promotion).await.unwrap();
    let (again, is_new) = world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!((&again, is_new), (&first, false));
    for (verdict, comment) in [(DecisionVerdict::Reject, "no"), (DecisionVerdict::Approve, "another word")] {
        let refused = world.decide(&world.approver, &promotion, verdict, comment).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict);
        assert!(refused.message.starts_with("You have approved exactly this already"), "{}", refused.message);
    }
    assert_eq!(world.approvals(&promotion).await, 1);
    assert_eq!(world.read(&promotion).await.state, PromotionState::AwaitingApproval);
    // Also when it has gone on since.
    let other = world.member(&[Role::Approver]).await;
    world.approve(&other, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
    assert_eq!(world.approve(&world.approver, &promotion).await.unwrap(), (first, false));
}

#[tokio::test]
async fn as_many_people_as_the_rule_says() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![], 3).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    for count in 1..=3_u8 {
        assert_eq!(world.read(&promotion).await.state, PromotionState::AwaitingApproval);
        let approver = world.member(&[Role::Approver]).await;
        world.approve(&approver, &promotion).await.unwrap();
        assert_eq!(world.approvals(&promotion).await, usize::from(count));
        assert_eq!(world.services.promotions_waiting_for_me(&approver).await.unwrap().len(), 0);
    }
    assert_eq!(world.read(&promotion).await.state, PromotionState::Approved);
}

#[tokio::test]
async fn a_digest_that_is_not_the_present_one_decides_nothing() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let new = new_decision(DecisionVerdict::Approve, "", Digest::of_json(&"something else").unwrap());
    let refused = world.services.decide_promotion(&world.approver, promotion.number, new).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.message.starts_with("What you saw has changed since."), "{}", refused.message);
    assert_eq!(world.count("select count(*) from decisions").await, 0);
    assert_eq!(world.read(&promotion).await.state, PromotionState::AwaitingApproval);
}

#[tokio::test]
async fn nothing_is_decided_before_the_gates_have_run() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    world.services.rerun_gates(&world.contributor, promotion.number).await.unwrap();
    let refused = world.approve(&world.approver, &promotion).await.unwrap_err();
    assert!(refused.message.ends_with("when its gates have run."), "{}", refused.message);
}

#[tokio::test]
async fn the_page_says_of_everybody_a_rule_names_whether_they_may_decide_and_why_not() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![], 2).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let decided = world.approve(&world.approver, &promotion).await.unwrap().0;
    let detail = world.detail(&promotion).await;
    assert_eq!(detail.decisions, [decided]);
    let of = |ctx: &services::Ctx| {
        let id = ctx.user().unwrap().id;
        let found = detail.rules[0].people.iter().find(|candidacy| candidacy.user_id == id);
        found.map(|found| (found.barred.as_deref(), found.decision))
    };
    let both = world.member(&[Role::Approver, Role::Contributor]).await;
    let asked = world.request_as(&both, world.version().await, PRODUCTION).await.unwrap();
    let theirs = world.detail(&asked).await;
    let of_requester = theirs.rules[0].people.iter().find(|one| one.user_id == both.user().unwrap().id).unwrap();
    assert_eq!(of_requester.barred.as_deref(), Some("Requested this, or started the pipeline run that did."));
    assert_eq!(of(&world.approver), Some((None, Some(DecisionVerdict::Approve))));
    assert_eq!(of(&world.contributor), None, "whom the rule does not name is not among its people");
    assert_eq!(of(&world.admin), None);
}

#[tokio::test]
async fn whoever_started_the_run_whose_step_asks_may_not_decide() {
    let world = World::start().await;
    let starter = world.member(&[Role::Contributor, Role::Approver]).await;
    let starter_id = starter.user().unwrap().id;
    let step = world.step_of(&starter).await;
    // A step may start another run: the same person stands behind that one's steps.
    let step_further_on = world.step_of(&step).await;
    for (who, version) in [(&step, world.version().await), (&step_further_on, world.version().await)] {
        let asked = world.request_as(who, version, PRODUCTION).await.unwrap();
        assert_eq!((asked.requester.as_str(), asked.on_behalf_of), ("Pipelines", Some(starter_id)));
        assert_eq!(world.advance(&asked).await, PromotionState::AwaitingApproval);
        let seen = world.read(&asked).await;
        let refused = world.approve(&starter, &seen).await.unwrap_err();
        let number = seen.number;
        let why = format!(
            "You may not decide on promotion #{number}: you requested it, or started the pipeline run that did."
        );
        assert_eq!((refused.kind, refused.message), (ErrorKind::Forbidden, why));
        assert!(world.services.promotions_waiting_for_me(&starter).await.unwrap().is_empty());
        let rules = world.detail(&seen).await.rules;
        let shown = rules[0].people.iter().find(|person| person.user_id == starter_id).unwrap();
        assert_eq!(shown.barred.as_deref(), Some("Requested this, or started the pipeline run that did."));
        assert_eq!(world.read(&seen).await.state, PromotionState::AwaitingApproval);
        assert_eq!(world.services.promotions_waiting_for_me(&world.approver).await.unwrap().len(), 1);
        world.approve(&world.approver, &seen).await.unwrap();
        assert_eq!(world.advance(&seen).await, PromotionState::Live);
    }
}

#[tokio::test]
async fn nobody_stands_behind_a_run_that_no_person_started() {
    let world = World::start().await;
    let machine = world.machine(&[Role::Contributor]).await;
    for starter in [services::Ctx::system(world.workspace.clone()), machine] {
        let step = world.step_of(&starter).await;
        let version = world.version().await;
        let asked = world.request_as(&step, version, PRODUCTION).await.unwrap();
        assert_eq!((asked.requester.as_str(), asked.on_behalf_of), ("Pipelines", None));
        assert_eq!(world.advance(&asked).await, PromotionState::AwaitingApproval);
        world.approve(&world.approver, &world.read(&asked).await).await.unwrap();
    }
}

impl World {
    /// A promotion under a policy of these rules, in YAML.
    async fn awaiting_by(&self, rules: &str) -> Promotion {
        let document = PolicyDocument::parse(&format!("order: skip\nrules:\n{rules}")).unwrap();
        self.services.set_policy(&self.admin, PRODUCTION, document, None).await.unwrap();
        let version = self.version().await;
        self.awaiting(version).await
    }

    /// `to` decides for `from` for a day.
    async fn stand_in(&self, from: &Ctx, to: &Ctx) {
        let new = NewDelegation {
            from: None,
            to: to.user().unwrap().id,
            scope: Default::default(),
            starts_at: None,
            ends_at: chrono::Utc::now() + chrono::TimeDelta::days(1),
            reason: "on leave".to_owned(),
        };
        self.services.create_delegation(from, new).await.unwrap();
    }
}

fn email(who: &Ctx) -> String {
    who.user().unwrap().email.to_string()
}

#[tokio::test]
async fn somebody_elses_upload_does_not_take_the_trainers_part_away() {
    let world = World::start().await;
    let rules = "  - {name: risk, eligible: {roles: [approver]}, distinct_from: [evaluator]}\n";
    let document = PolicyDocument::parse(&format!("order: skip\nrules:\n{rules}")).unwrap();
    world.services.set_policy(&world.admin, PRODUCTION, document, None).await.unwrap();
    let version = world.version().await;
    sqlx::query("update runs set user_id = $1")
        .bind(world.approver.user().unwrap().id.0)
        .execute(&world.database.pool)
        .await
        .unwrap();
    let promotion = world.request(version).await;
    let other = world.member(&[Role::Contributor, Role::Approver]).await;
    let evidence = NewEvidence { name: "fairness".to_owned(), content: serde_json::json!({ "gap": 0.01 }) };
    world.services.upload_evidence(&other, promotion.number, evidence).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    let promotion = world.read(&promotion).await;
    for who in [&world.approver, &other] {
        let refused = world.approve(who, &promotion).await.unwrap_err();
        assert!(refused.message.ends_with("you made the evaluation that the gates read."), "{}", refused.message);
    }
    let third = world.member(&[Role::Approver]).await;
    world.approve(&third, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
}

#[tokio::test]
async fn one_yes_counts_for_ones_own_rule_and_for_anothers_in_their_place() {
    let world = World::start().await;
    let away = world.member(&[Role::Approver]).await;
    let (own, theirs) = (email(&world.approver), email(&away));
    world.stand_in(&away, &world.approver).await;
    let promotion = world
        .awaiting_by(&format!(
            "  - {{name: own, eligible: {{users: ['{own}']}}}}\n  - {{name: theirs, eligible: {{users: ['{theirs}']}}}}\n"
        ))
        .await;
    let (decision, _) = world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(decision.rules, ["production/own", "production/theirs"]);
    assert_eq!(decision.acting_for("production/own"), None);
    assert_eq!(decision.acting_for("production/theirs"), Some(away.user().unwrap().id));
    assert_eq!(world.detail(&promotion).await.decisions, [decision], "as it was stored");
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
}

#[tokio::test]
async fn a_yes_that_would_not_count_is_refused_and_can_be_given_when_it_would() {
    let world = World::start().await;
    let (away, second) = (world.member(&[Role::Approver]).await, world.member(&[Role::Approver]).await);
    world.stand_in(&away, &world.approver).await;
    let (first, other) = (email(&away), email(&second));
    let promotion = world
        .awaiting_by(&format!("  - {{name: both, approvals: 2, eligible: {{users: ['{first}', '{other}']}}}}\n"))
        .await;
    world.approve(&away, &promotion).await.unwrap();
    let refused = world.approve(&world.approver, &promotion).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    assert!(refused.message.ends_with("whose vote counts already."), "{}", refused.message);
    assert_eq!(world.detail(&promotion).await.decisions.len(), 1);
    // Somebody else is away now, too: there is a place for the same yes.
    world.stand_in(&second, &world.approver).await;
    let (decision, _) = world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(decision.acting_for("production/both"), Some(second.user().unwrap().id));
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
}
