//! What policies let nobody do alone, besides promoting: changing a policy, taking a version out, going back.

use crate::promotion::world::{MODEL, PRODUCTION, World, new_decision};
use domain::{
    Digest, ErrorKind,
    change_request::{ChangeRequest, ChangeState},
    environment::Tier,
    permission::Role,
    policy::PolicyDocument,
    promotion::{DecisionVerdict, PromotionState},
};
use services::{Ctx, Effect, EnvironmentChange, Error, NewEnvironment, NewPolicy};

fn policy(name: &str, file: &str, instead_of: Option<Digest>) -> NewPolicy {
    NewPolicy { name: name.to_owned(), document: PolicyDocument::parse(file).unwrap(), source: None, instead_of }
}

const GUARD: &str = "scope: {environments: [production], actions: [change_policy]}
rules: [{name: owners, eligible: {roles: [approver]}}]
";

impl World {
    /// Writes a policy as the admin.
    async fn write(&self, name: &str, file: &str) -> Effect<domain::policy::Policy> {
        self.services.write_policy(&self.admin, policy(name, file, None)).await.unwrap()
    }

    /// The request that is asked for instead of writing a policy.
    async fn asked(&self, name: &str, file: &str) -> ChangeRequest {
        match self.write(name, file).await {
            Effect::Requested(request) => *request,
            Effect::Done(policy) => panic!("{policy:?} was written at once"),
        }
    }

    async fn agree(&self, who: &Ctx, request: &ChangeRequest) -> Result<bool, Error> {
        self.say(who, request, DecisionVerdict::Approve, "").await
    }

    async fn say(
        &self,
        who: &Ctx,
        request: &ChangeRequest,
        verdict: DecisionVerdict,
        comment: &str,
    ) -> Result<bool, Error> {
        let new = new_decision(verdict, comment, request.digest.clone());
        self.services.decide_change(who, request.number, new).await.map(|(_, is_new)| is_new)
    }

    async fn change(&self, request: &ChangeRequest) -> ChangeRequest {
        self.services.change_request(&self.admin, request.number).await.unwrap().request
    }

    async fn revision(&self, name: &str) -> i32 {
        self.services.policy(&self.admin, name).await.unwrap()[0].revision
    }
}

const OPEN: &str = "scope: {environments: [production]}\norder: skip\n";

#[tokio::test]
async fn a_guarded_policy_changes_with_the_last_yes_and_not_before() {
    let world = World::start().await;
    assert!(matches!(world.write("guard", GUARD).await, Effect::Done(_)), "nothing guards the first one");
    let shown = world.services.environments(&world.admin).await.unwrap();
    let needs = shown.iter().find(|one| one.environment.name == PRODUCTION).unwrap();
    assert!(needs.policies.iter().all(|policy| policy.name != "guard"), "no version needs what it asks");
    let before = world.revision(PRODUCTION).await;
    let request = world.asked(PRODUCTION, OPEN).await;
    assert_eq!((request.state, request.number), (ChangeState::AwaitingApproval, 1));
    assert_eq!(world.asked(PRODUCTION, OPEN).await, request, "the same again is the same request");
    assert_eq!(world.revision(PRODUCTION).await, before);
    let waiting = world.services.change_requests_waiting_for_me(&world.approver).await.unwrap();
    assert_eq!(waiting.iter().map(|one| one.number).collect::<Vec<_>>(), [1]);
    assert!(world.services.change_requests_waiting_for_me(&world.admin).await.unwrap().is_empty());

    // Whoever asked does not agree to it, whatever roles they have; nor does whom no rule names.
    world.set_roles(&world.admin, &[Role::Admin, Role::Approver]).await;
    let admin = world.services.enter(world.admin.caller.clone().unwrap(), None).await.unwrap().unwrap();
    let refused = world.agree(&admin, &request).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    let operator = world.member(&[Role::Operator]).await;
    assert_eq!(world.agree(&operator, &request).await.unwrap_err().kind, ErrorKind::Forbidden);

    assert_eq!(world.agree(&world.approver, &request).await.map_err(|error| error.message), Ok(true));
    assert_eq!(world.change(&request).await.state, ChangeState::Applied);
    assert_eq!(world.revision(PRODUCTION).await, before + 1);
    let now = &world.services.policy(&world.admin, PRODUCTION).await.unwrap()[0];
    assert_eq!((now.document.rules.len(), now.created_by.as_str()), (0, request.requester.as_str()));
    assert_eq!(
        world.agree(&world.approver, &request).await.map_err(|error| error.message),
        Ok(false),
        "the same again"
    );
    let history = world.history((domain::audit::ObjectKind::ChangeRequest, &request.id.to_string())).await;
    let actions: Vec<&str> = history.iter().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(actions, ["change_request.opened", "change_request.approved", "change_request.applied"]);
}

#[tokio::test]
async fn what_guards_policies_guards_itself_and_whatever_reaches_its_environments() {
    let world = World::start().await;
    world.write("guard", GUARD).await;
    let weaker = GUARD.replace("change_policy", "retire");
    for (name, file) in [
        ("guard", weaker.as_str()),
        ("new", OPEN),
        ("everywhere", "order: skip\n"),
        ("tiers", "scope: {tiers: [production]}\norder: skip\n"),
    ] {
        world.asked(name, file).await;
    }
    let guard = world.services.policy(&world.admin, "guard").await.unwrap()[0].digest.clone();
    let retiring = world.services.retire_policy(&world.admin, "guard", Some(&guard)).await.unwrap();
    let Effect::Requested(request) = retiring else { panic!("it was retired at once") };
    // Elsewhere it guards nothing.
    assert!(matches!(world.write("staging", "scope: {environments: [staging]}\norder: skip\n").await, Effect::Done(_)));
    world.agree(&world.approver, &request).await.unwrap();
    assert!(world.services.policy(&world.admin, "guard").await.unwrap()[0].retired);
    assert!(matches!(world.write("new", OPEN).await, Effect::Done(_)));
}

#[tokio::test]
async fn a_no_a_change_elsewhere_and_time_end_a_request() {
    let world = World::start().await;
    world.write("guard", &format!("{GUARD}expires_after: 1h\n")).await;
    let rejected = world.asked(PRODUCTION, OPEN).await;
    let refused = world.say(&world.approver, &rejected, DecisionVerdict::Reject, " ").await.unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("comment"));
    world.say(&world.approver, &rejected, DecisionVerdict::Reject, "Not now.").await.unwrap();
    let now = world.change(&rejected).await;
    assert_eq!((now.state, now.state_reason.as_str()), (ChangeState::Rejected, "Person 3 said no: Not now."));

    // Two changes of one policy: what the second one was to take the place of is gone with the first.
    let first = world.asked(PRODUCTION, OPEN).await;
    let second = world.asked(PRODUCTION, &format!("{OPEN}reauthenticate: true\n")).await;
    world.agree(&world.approver, &first).await.unwrap();
    let refused = world.agree(&world.approver, &second).await.unwrap_err();
    assert!(refused.message.starts_with("The policy production changed since."), "{}", refused.message);
    assert_eq!(world.change(&second).await.state, ChangeState::Invalidated);

    let withdrawn = world.asked("new", OPEN).await;
    let other = world.member(&[Role::Operator]).await;
    let refused = world.services.withdraw_change(&other, withdrawn.number).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    world.services.withdraw_change(&world.admin, withdrawn.number).await.unwrap();
    let refused = world.agree(&world.approver, &withdrawn).await.unwrap_err();
    assert!(refused.message.ends_with("it was withdrawn."), "{}", refused.message);

    let late = [world.asked("new", OPEN).await, world.asked("newer", OPEN).await];
    world.meddle("update change_requests set expires_at = now() where state = 'awaiting_approval'").await;
    let refused = world.agree(&world.approver, &late[0]).await.unwrap_err();
    assert!(refused.message.contains("expired"), "{}", refused.message);
    assert_eq!(world.services.expire_change_requests().await.unwrap(), 1, "the other one");
    for request in &late {
        assert_eq!(world.change(request).await.state, ChangeState::Expired);
    }
}

#[tokio::test]
async fn a_version_is_taken_out_and_where_a_policy_says_so_only_with_approval() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.live(version).await;
    let operator = world.member(&[Role::Operator]).await;
    let number = world.services.endpoints(&world.admin).await.unwrap()[0].deployment.number;
    world
        .write(
            "retiring",
            "scope: {models: ['ir*'], actions: [retire]}\nrules: [{name: owners, eligible: {roles: [approver]}}]\n",
        )
        .await;
    let effect = world.services.retire_deployment(&operator, number, "Nobody calls it.").await.unwrap();
    let Effect::Requested(request) = effect else { panic!("it was taken out at once") };
    assert_eq!(world.serving().await, Some(version));
    world.agree(&world.approver, &request).await.unwrap();
    assert_eq!(world.serving().await, None);
    let model = world.services.model(&world.admin, MODEL).await.unwrap();
    assert!(!model.aliases.contains_key(PRODUCTION), "{:?}", model.aliases);
    let ended = world.read(&promotion).await;
    assert_eq!(ended.state, PromotionState::Superseded);
    let refused = world.services.retire_deployment(&operator, number, "").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    // It can come again.
    let again = world.version().await;
    assert_eq!(world.live(again).await.state, PromotionState::Live);
}

#[tokio::test]
async fn a_rule_for_going_back_says_who_may_and_asks_nobody_else() {
    let world = World::start().await;
    for _ in 0..2 {
        let version = world.version().await;
        world.live(version).await;
    }
    let operator = world.member(&[Role::Operator]).await;
    let file = format!(
        "scope: {{actions: [roll_back]}}\nrules: [{{name: on-call, eligible: {{users: ['{}']}}}}]\n",
        operator.user().unwrap().email
    );
    world.write("on-call", &file).await;
    let refused = world.roll_back().await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    assert!(refused.message.contains("\"on-call\""), "{}", refused.message);
    assert_eq!(world.serving().await, Some(2));
    let deployment = world.services.endpoints(&world.admin).await.unwrap()[0].deployment.number;
    let new = services::NewRollback {
        environment: PRODUCTION.to_owned(),
        model: MODEL.to_owned(),
        deployment,
        comment: String::new(),
    };
    world.services.rollback(&operator, new).await.unwrap();
    assert_eq!(world.serving().await, Some(1));
}

#[tokio::test]
async fn policies_for_deploying_and_traffic_hold_for_a_promotion_because_it_does_both() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![], 0).await;
    for action in ["deploy", "shift_traffic"] {
        let file = format!(
            "scope: {{actions: [{action}]}}\nrules: [{{name: ops, eligible: {{roles: [operator]}}}}]\norder: skip\n"
        );
        world.write(action, &file).await;
    }
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let keys: Vec<String> = world.detail(&promotion).await.rules.iter().map(|rule| rule.key()).collect();
    assert_eq!(keys, ["deploy/ops", "shift_traffic/ops"]);
    let operator = world.member(&[Role::Operator]).await;
    world.set_roles(&operator, &[Role::Operator, Role::Approver]).await;
    world
        .approve(&world.services.enter(operator.caller.clone().unwrap(), None).await.unwrap().unwrap(), &promotion)
        .await
        .unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
}

#[tokio::test]
async fn of_two_who_give_the_last_yes_at_once_one_applies_it() {
    let world = World::start().await;
    world.write("guard", GUARD).await;
    let before = world.revision(PRODUCTION).await;
    let second = world.member(&[Role::Approver]).await;
    for round in 0..20 {
        let file = format!("{OPEN}description: round {round}\n");
        let request = world.asked(PRODUCTION, &file).await;
        let (one, two) = tokio::join!(world.agree(&world.approver, &request), world.agree(&second, &request));
        assert_eq!([&one, &two].iter().filter(|said| said.is_ok()).count(), 1, "{one:?} {two:?}");
        assert_eq!(world.change(&request).await.state, ChangeState::Applied);
        assert_eq!(world.revision(PRODUCTION).await, before + round + 1);
    }
}

#[tokio::test]
async fn a_guard_is_not_gone_round_by_an_environment_or_a_model() {
    let world = World::start().await;
    world.version().await;
    let guard = "scope: {tiers: [production], actions: [change_policy]}\nrules: [{name: owners, eligible: {roles: [approver]}}]\n";
    world.write("guard", guard).await;
    let named = NewEnvironment {
        name: "guard".to_owned(),
        tier: None,
        position: None,
        protected: false,
        wait_timer_s: 0,
        visible_to: None,
    };
    let refused = world.services.create_environment(&world.admin, named).await.map(drop).unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::AlreadyExists, Some("name")));
    let tier = EnvironmentChange { tier: Some(Tier::Staging), ..EnvironmentChange::default() };
    let refused = world.services.change_environment(&world.admin, PRODUCTION, tier).await.unwrap_err();
    assert!(refused.message.contains("guard would hold for production no longer"), "{}", refused.message);
    // A model that a guarded policy holds for.
    let risky = "scope: {models: ['ir*'], tiers: [production]}\norder: skip\n";
    let request = world.asked("risky", risky).await;
    world.agree(&world.approver, &request).await.unwrap();
    for who in [&world.admin, &world.contributor] {
        let refused = world.services.rename_model(who, MODEL, "rose").await.map(drop).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Forbidden);
        let refused = world.services.delete_model(who, MODEL).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Forbidden);
    }
}

#[tokio::test]
async fn nobody_goes_back_to_what_was_taken_out() {
    let world = World::start().await;
    let version = world.version().await;
    world.live(version).await;
    let first = world.services.endpoints(&world.admin).await.unwrap()[0].deployment.number;
    let operator = world.member(&[Role::Operator]).await;
    assert!(matches!(world.services.retire_deployment(&operator, first, "").await.unwrap(), Effect::Done(_)));
    let version = world.version().await;
    world.live(version).await;
    let refused = world.roll_back().await.unwrap_err();
    assert!(refused.message.starts_with("There is nothing to go back to"), "{}", refused.message);
}
