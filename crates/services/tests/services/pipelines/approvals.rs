//! Steps that wait for people: who is asked, whose word ends them, and what the run makes of that.

use crate::promotion::world::{World, new_decision};
use chrono::TimeDelta;
use domain::{
    ErrorKind,
    permission::Role,
    pipeline::ExecutorKind,
    pipeline_run::{AttemptOutcome, PipelineRunState as R, RerunFrom, StepState as S},
    promotion::DecisionVerdict as V,
    step_approval::ApprovalState,
    webhook::{StepEvent, WebhookEvent},
};
use services::{
    AttemptEnd, Claimed, Ctx, Error, Lease, LetGo, NewDecision, NewRun, NewWebhook, PipelineFile, Rerun,
    StepApprovalDetail,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::Barrier, task::JoinSet};

const FILE: &str = "name: train\nparams: { rate: 0.1 }\nsteps:\n  evaluate: { command: 'true', outputs: { accuracy: { path: a.json, type: value } } }\n  release: { approval: { approvals: 1 }, inputs: { accuracy: evaluate.accuracy }, description: Is it good enough? }\n  deploy: { command: 'true', needs: release }\n";

impl World {
    async fn store_file(&self, yaml: &str) -> String {
        let file = PipelineFile::read(yaml.to_owned()).unwrap_or_else(|problems| panic!("{problems}"));
        self.services.store_pipeline(&self.contributor, file, None).await.unwrap().pipeline.name
    }

    /// Starts a run as the contributor.
    async fn run_file(&self, yaml: &str) -> i64 {
        let pipeline = self.store_file(yaml).await;
        let new = NewRun { pipeline, ..NewRun::default() };
        self.services.start_pipeline_run(&self.contributor, new).await.unwrap().run.number
    }

    async fn claim(&self) -> Option<Claimed> {
        let (pools, lasts) = (["default".to_owned()], Duration::from_secs(600));
        self.services.claim_step("worker", "worker", &pools, &[ExecutorKind::Process], &[], lasts).await.unwrap()
    }

    /// Runs the step that is next, which gives on this value when there is one.
    async fn succeed(&self, value: Option<f64>) -> String {
        let held = self.claim().await.expect("a step is ready");
        let value = value.map(|value| domain::step::StepOutput {
            name: "accuracy".to_owned(),
            path: "a.json".to_owned(),
            kind: None,
            version: None,
            is_folder: false,
            digest: domain::Digest::blake3([7; 32]),
            size: 1,
            value: Some(value.into()),
        });
        self.end(held, (AttemptOutcome::Succeeded, "", 0), value.into_iter().collect()).await
    }

    /// The step that is next fails.
    async fn fail(&self) {
        let held = self.claim().await.expect("a step is ready");
        self.end(held, (AttemptOutcome::Failed, "no", 1), Vec::new()).await;
    }

    async fn end(
        &self,
        held: Claimed,
        (outcome, reason, exit_code): (AttemptOutcome, &str, i32),
        outputs: Vec<domain::step::StepOutput>,
    ) -> String {
        let (reason, exit_code) = (reason.to_owned(), Some(exit_code));
        let end = AttemptEnd { outcome, reason, exit_code, spawned_at: None, place: None, outputs };
        let lease =
            Lease { step_id: held.step_id, run_id: held.run_id, attempt_id: held.attempt_id, fence: held.fence };
        self.services.let_go(&lease, &LetGo::Ended(end)).await.unwrap();
        held.name
    }

    /// A run that asks about its release.
    async fn asking(&self) -> (i64, StepApprovalDetail) {
        let run = self.run_file(FILE).await;
        assert_eq!(self.succeed(Some(0.9)).await, "evaluate");
        (run, self.asked_about(run, "release").await)
    }

    async fn asked_about(&self, run: i64, step: &str) -> StepApprovalDetail {
        self.services.step_approval(&self.admin, run, step).await.unwrap()
    }

    async fn say_of_step(&self, who: &Ctx, run: i64, verdict: V, comment: &str) -> Result<bool, Error> {
        let digest = self.asked_about(run, "release").await.approval.digest;
        let new = new_decision(verdict, comment, digest);
        self.services.decide_step(who, run, "release", new).await.map(|(_, is_new)| is_new)
    }

    async fn states(&self, run: i64) -> (R, BTreeMap<String, S>) {
        let detail = self.services.pipeline_run(&self.admin, run).await.unwrap();
        (detail.run.state, detail.steps.into_iter().map(|step| (step.name, step.state)).collect())
    }

    async fn state_of(&self, run: i64, step: &str) -> (S, String) {
        let step = self.services.step(&self.admin, run, step).await.unwrap();
        (step.state, step.reason)
    }
}

#[tokio::test]
async fn what_follows_runs_once_the_people_asked_agree_and_no_worker_is_held_meanwhile() {
    let world = World::without_engine().await;
    let (run, asked) = world.asking().await;
    assert_eq!(asked.approval.inputs["accuracy"].value, Some(0.9.into()));
    assert_eq!(
        (asked.approval.description.as_str(), asked.approval.title()),
        ("Is it good enough?", format!("release of train #{run}"))
    );
    assert_eq!(world.state_of(run, "release").await.0, S::Running);
    assert!(world.claim().await.is_none(), "nothing for a worker to take");
    assert_eq!(world.services.settle_runs().await.unwrap(), 0, "a run that waits for people stands as it should");
    let waiting = world.services.step_approvals_waiting_for_me(&world.approver).await.unwrap();
    assert_eq!(waiting, std::slice::from_ref(&asked.approval));
    assert!(world.services.step_approvals_waiting_for_me(&world.contributor).await.unwrap().is_empty());

    assert!(world.say_of_step(&world.approver, run, V::Approve, "good").await.unwrap());
    assert!(!world.say_of_step(&world.approver, run, V::Approve, "good").await.unwrap(), "again changes nothing");
    assert_eq!(world.state_of(run, "release").await, (S::Succeeded, String::new()));
    assert_eq!(world.succeed(None).await, "deploy");
    assert_eq!(world.states(run).await.0, R::Succeeded);
    let after = world.asked_about(run, "release").await;
    assert_eq!((after.approval.state, after.decisions.len()), (ApprovalState::Approved, 1));
    assert!(world.services.step_approvals_waiting_for_me(&world.approver).await.unwrap().is_empty());
    let other = world.member(&[Role::Approver]).await;
    let no = new_decision(V::Reject, "late", after.approval.digest);
    let late = world.services.decide_step(&other, run, "release", no).await;
    assert_eq!(late.unwrap_err().kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn a_no_fails_the_step_with_its_reason_and_what_needs_it_is_skipped() {
    let world = World::without_engine().await;
    let (run, _) = world.asking().await;
    let silent = world.say_of_step(&world.approver, run, V::Reject, "").await.unwrap_err();
    assert_eq!((silent.kind, silent.field.as_deref()), (ErrorKind::Invalid, Some("comment")));
    world.say_of_step(&world.approver, run, V::Reject, "too bad").await.unwrap();
    let (state, reason) = world.state_of(run, "release").await;
    assert!(state == S::Failed && reason.ends_with("said no: too bad"), "{reason}");
    assert_eq!(world.state_of(run, "deploy").await, (S::Skipped, "release failed".to_owned()));
    assert_eq!(world.states(run).await.0, R::Failed);
    let history = world.services.audit_events(&world.admin, &[], None, 50).await.unwrap().items;
    let told: Vec<&str> = history.iter().map(|event| event.action.as_str()).collect();
    assert!(told.contains(&"pipeline_run.approval_asked") && told.contains(&"pipeline_run.step_rejected"), "{told:?}");
}

#[tokio::test]
async fn nobody_decides_who_started_the_run_or_whom_no_rule_names() {
    let world = World::without_engine().await;
    world.set_roles(&world.contributor, &[Role::Contributor, Role::Approver]).await;
    let (run, _) = world.asking().await;
    for (who, says) in [(&world.contributor, "you requested it"), (&world.admin, "no rule names you")] {
        let refused = world.say_of_step(who, run, V::Approve, "").await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Forbidden);
        assert!(refused.message.contains(says), "{refused:?}");
    }
    let machine = world.machine(&[Role::Approver]).await;
    assert_eq!(world.say_of_step(&machine, run, V::Approve, "").await.unwrap_err().kind, ErrorKind::Forbidden);
    let changes = world.say_of_step(&world.approver, run, V::RequestChanges, "more").await.unwrap_err();
    assert_eq!(changes.field.as_deref(), Some("verdict"));
    let other = new_decision(V::Approve, "", domain::Digest::blake3([1; 32]));
    let unseen = world.services.decide_step(&world.approver, run, "release", other).await.unwrap_err();
    assert_eq!(unseen.kind, ErrorKind::Conflict);
    assert_eq!(world.state_of(run, "release").await.0, S::Running);
    let of_none = world.services.step_approval(&world.admin, run, "deploy").await.unwrap_err();
    assert_eq!(of_none.message, format!("Step \"deploy\" of run #{run} asks nobody."));
    world.services.step_approval(&world.admin, run, "nothing").await.unwrap_err();
}

#[tokio::test]
async fn rules_ask_for_teams_ticks_and_reasons_as_those_of_policies_do() {
    let world = World::without_engine().await;
    let yaml = "name: gated\nsteps:\n  release:\n    approval:\n      rules:\n        - { name: risk, eligible: { teams: [risk] }, checklist: [I read the report], justification: true }\n        - { name: product, eligible: { roles: [approver] }, distinct_from: [requester, 'rule:risk'] }\n";
    let pipeline = world.store_file(yaml).await;
    let start = async || {
        let new = NewRun { pipeline: pipeline.clone(), ..NewRun::default() };
        world.services.start_pipeline_run(&world.contributor, new).await.map(|started| started.run.number)
    };
    let refused = start().await.unwrap_err();
    assert!(refused.message.contains("the team \"risk\""), "{refused:?}");
    world.services.create_team(&world.admin, "risk", "").await.unwrap();
    let ada = world.member(&[Role::Approver]).await;
    world.services.add_team_member(&world.admin, "risk", ada.user().unwrap().id).await.unwrap();
    let run = start().await.unwrap();
    assert_eq!(world.states(run).await.0, R::Running, "it runs although no worker has anything to do");
    let digest = world.asked_about(run, "release").await.approval.digest;
    let yes = |comment: &str, ticks: &[&str]| NewDecision {
        rules: vec!["approval/risk".to_owned()],
        checked: BTreeMap::from([("approval/risk".to_owned(), ticks.iter().map(|tick| (*tick).to_owned()).collect())]),
        ..new_decision(V::Approve, comment, digest.clone())
    };
    let without = world.services.decide_step(&ada, run, "release", yes("fine", &[])).await.unwrap_err();
    assert_eq!(without.field.as_deref(), Some("checked"));
    let without = world.services.decide_step(&ada, run, "release", yes("", &["I read the report"])).await.unwrap_err();
    assert_eq!(without.field.as_deref(), Some("comment"));
    world.services.decide_step(&ada, run, "release", yes("fine", &["I read the report"])).await.unwrap();
    assert_eq!(world.state_of(run, "release").await.0, S::Running, "another rule is not met");
    world.say_of_step(&world.approver, run, V::Approve, "").await.unwrap();
    assert_eq!(world.states(run).await.0, R::Succeeded);
}

#[tokio::test]
async fn what_nobody_decides_in_time_fails_and_what_runs_in_the_end_runs() {
    let world = World::without_engine().await;
    let run = world.run_file("name: late\nsteps:\n  release: { approval: { expires_after: 1h } }\nfinally:\n  tell: { command: 'true' }\n").await;
    let asked = world.asked_about(run, "release").await.approval;
    assert_eq!(asked.expires_at - asked.created_at, TimeDelta::hours(1));
    assert_eq!(world.services.expire_step_approvals().await.unwrap(), 0);
    world.meddle("update step_approvals set expires_at = now() - interval '1 second'").await;
    let late = world.say_of_step(&world.approver, run, V::Approve, "").await.unwrap_err();
    assert!(late.kind == ErrorKind::Conflict && late.message.contains("expired"), "{late:?}");
    assert_eq!(world.services.expire_step_approvals().await.unwrap(), 0, "it has ended already");
    assert_eq!(world.state_of(run, "release").await, (S::Failed, "nobody decided in time".to_owned()));
    assert_eq!(world.succeed(None).await, "tell");
    assert_eq!(world.states(run).await.0, R::Failed);

    let second = world.run_file("name: late\nsteps:\n  release: { approval: { expires_after: 1h } }\n").await;
    world
        .meddle("update step_approvals set expires_at = now() - interval '1 second' where state = 'awaiting_approval'")
        .await;
    assert_eq!(world.services.expire_step_approvals().await.unwrap(), 1);
    assert_eq!(world.states(second).await.0, R::Failed);
}

#[tokio::test]
async fn cancelling_the_run_ends_the_question() {
    let world = World::without_engine().await;
    let (run, _) = world.asking().await;
    world.services.cancel_pipeline_run(&world.contributor, run).await.unwrap();
    assert_eq!(world.states(run).await.0, R::Cancelled);
    let asked = world.asked_about(run, "release").await.approval;
    assert_eq!((asked.state, world.state_of(run, "release").await.0), (ApprovalState::Cancelled, S::Cancelled));
    let late = world.say_of_step(&world.approver, run, V::Approve, "").await.unwrap_err();
    assert_eq!(late.kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn a_condition_skips_the_question_and_a_matrix_asks_it_for_each() {
    let world = World::without_engine().await;
    let yaml = "name: many\nparams: { ask: false }\nsteps:\n  maybe: { approval: {}, if: params.ask }\n  each: { approval: {}, matrix: { region: [north, south] }, max_parallel: 1 }\n";
    let run = world.run_file(yaml).await;
    assert_eq!(world.state_of(run, "maybe").await.0, S::Skipped);
    world.services.step_approval(&world.admin, run, "each.1").await.unwrap_err();
    for step in ["each.0", "each.1"] {
        let approval = world.asked_about(run, step).await.approval;
        let new = new_decision(V::Approve, "", approval.digest);
        world.services.decide_step(&world.approver, run, step, new).await.unwrap();
    }
    assert_eq!(world.states(run).await.0, R::Succeeded);
}

#[tokio::test]
async fn a_run_again_takes_the_answer_over_unless_what_was_asked_about_is_another() {
    let world = World::without_engine().await;
    let (run, _) = world.asking().await;
    world.say_of_step(&world.approver, run, V::Approve, "").await.unwrap();
    world.fail().await;
    let again =
        |params: BTreeMap<String, serde_json::Value>| Rerun { from: RerunFrom::Failed, params, idempotency_key: None };
    let same = world.services.rerun_pipeline_run(&world.contributor, run, again(BTreeMap::new())).await.unwrap();
    assert_eq!(world.state_of(same.run.number, "release").await.0, S::Succeeded);
    let params = BTreeMap::from([("rate".to_owned(), 0.2.into())]);
    let other = world.services.rerun_pipeline_run(&world.contributor, run, again(params)).await.unwrap();
    assert_eq!(world.state_of(other.run.number, "release").await.0, S::Running, "asked anew");
}

#[tokio::test]
async fn a_reproduction_takes_the_answer_over_and_asks_nobody() {
    let world = World::without_engine().await;
    let reproduce = async |run: i64| {
        let started = world.services.reproduce_pipeline_run(&world.contributor, run, None).await.unwrap();
        started.run.number
    };
    let (run, _) = world.asking().await;
    world.say_of_step(&world.approver, run, V::Approve, "").await.unwrap();
    assert_eq!(world.succeed(None).await, "deploy");
    let again = reproduce(run).await;
    assert_eq!(world.succeed(Some(0.9)).await, "evaluate");
    assert_eq!(world.state_of(again, "release").await, (S::Succeeded, format!("approved in run #{run}")));
    assert_eq!(world.services.settle_runs().await.unwrap(), 0);
    assert_eq!(world.succeed(None).await, "deploy");
    assert_eq!(world.states(again).await.0, R::Succeeded);
    let third = reproduce(again).await;
    world.succeed(Some(0.9)).await;
    assert_eq!(world.state_of(third, "release").await, (S::Succeeded, format!("approved in run #{run}")));
    world.succeed(None).await;

    let (run, _) = world.asking().await;
    world.say_of_step(&world.approver, run, V::Reject, "too bad").await.unwrap();
    let again = reproduce(run).await;
    world.succeed(Some(0.9)).await;
    let (state, reason) = world.state_of(again, "release").await;
    assert_eq!(state, S::Failed);
    assert!(reason.starts_with(&format!("in run #{run}: ")) && reason.ends_with("said no: too bad"), "{reason}");

    // Where it came to the question only now, nobody's answer is there.
    let run = world.run_file(FILE).await;
    world.fail().await;
    let again = reproduce(run).await;
    world.succeed(Some(0.9)).await;
    let (state, reason) = world.state_of(again, "release").await;
    assert_eq!(
        (state, &*reason),
        (S::Failed, &*format!("nobody was asked in run #{run}, and nobody is asked to reproduce it"))
    );
    assert!(world.services.step_approvals_waiting_for_me(&world.approver).await.unwrap().is_empty());
}

/// The answer does not depend on who was first: one of two last votes ends the step, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_last_votes_at_once_one_ends_the_step() {
    let world = Arc::new(World::without_engine().await);
    let other = world.member(&[Role::Approver]).await;
    for round in 0..20 {
        let run = world
            .run_file("name: race\nsteps:\n  release: { approval: {} }\n  next: { command: 'true', needs: release }\n")
            .await;
        let barrier = Arc::new(Barrier::new(2));
        let verdicts = if round % 2 == 0 { [V::Approve, V::Approve] } else { [V::Approve, V::Reject] };
        let mut voting = JoinSet::new();
        for (who, verdict) in [world.approver.clone(), other.clone()].into_iter().zip(verdicts) {
            let (world, barrier) = (Arc::clone(&world), Arc::clone(&barrier));
            voting.spawn(async move {
                let digest = world.asked_about(run, "release").await.approval.digest;
                barrier.wait().await;
                let new = new_decision(verdict, "because", digest);
                world.services.decide_step(&who, run, "release", new).await.map(|_| verdict)
            });
        }
        let counted: Vec<_> = voting.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = counted.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 1), "{won:?} {lost:?}");
        assert_eq!(lost[0].as_ref().unwrap_err().kind, ErrorKind::Conflict);
        let state = world.asked_about(run, "release").await.approval.state;
        let (step, next) = (world.state_of(run, "release").await.0, world.state_of(run, "next").await.0);
        match won[0].as_ref().unwrap() {
            V::Approve => assert_eq!((state, step, next), (ApprovalState::Approved, S::Succeeded, S::Ready)),
            _ => assert_eq!((state, step, next), (ApprovalState::Rejected, S::Failed, S::Skipped)),
        }
        let decisions = world.asked_about(run, "release").await.decisions.len();
        assert_eq!(decisions, 1, "the other was told that it came too late");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_and_a_cancellation_at_once_leave_one_outcome() {
    let world = Arc::new(World::without_engine().await);
    for _ in 0..10 {
        let run = world.run_file("name: race\nsteps:\n  release: { approval: {} }\n").await;
        let digest = world.asked_about(run, "release").await.approval.digest;
        let new = new_decision(V::Approve, "", digest);
        let (vote, cancel) = tokio::join!(
            world.services.decide_step(&world.approver, run, "release", new),
            world.services.cancel_pipeline_run(&world.contributor, run)
        );
        let (state, _) = world.states(run).await;
        let asked = world.asked_about(run, "release").await.approval.state;
        match (vote.is_ok(), cancel.is_ok()) {
            (true, false) => assert_eq!((state, asked), (R::Succeeded, ApprovalState::Approved)),
            (false, true) => assert_eq!((state, asked), (R::Cancelled, ApprovalState::Cancelled)),
            both => panic!("{both:?}: {state:?}, {asked:?}"),
        }
    }
}

#[tokio::test]
async fn those_who_are_asked_and_those_who_asked_are_written_and_webhooks_told() {
    let world = World::without_engine().await;
    store::mail::offer(&mut world.database.pool.acquire().await.unwrap()).await.unwrap();
    let new = NewWebhook {
        name: "ci".to_owned(),
        url: "https://1.1.1.1/hook".to_owned(),
        events: StepEvent::ALL.map(WebhookEvent::Step).into(),
        ..NewWebhook::default()
    };
    world.services.create_webhook(&world.admin, new).await.unwrap();
    let (run, _) = world.asking().await;
    world.say_of_step(&world.approver, run, V::Reject, "too bad").await.unwrap();
    let mails = world.services.mails(&world.admin, None, 10).await.unwrap().items;
    let mut told: Vec<_> = mails.iter().map(|mail| (mail.user_id, mail.subject.as_str(), mail.run_number)).collect();
    told.reverse();
    let (asked, asks) = (world.approver.user().unwrap().id, world.contributor.user().unwrap().id);
    let title = format!("release of train #{run}");
    let subjects = [format!("Waits for you: {title}"), format!("Rejected: {title}")];
    assert_eq!(told, [(asked, subjects[0].as_str(), Some(run)), (asks, subjects[1].as_str(), Some(run))]);
    let bodies: Vec<String> = sqlx::query_scalar("select body from webhook_deliveries order by id")
        .fetch_all(&world.database.pool)
        .await
        .unwrap();
    let bodies: Vec<serde_json::Value> = bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    let told: Vec<_> =
        bodies.iter().map(|body| (body["action"].as_str().unwrap(), body["data"]["title"].as_str().unwrap())).collect();
    assert_eq!(told, [("asked", title.as_str()), ("rejected", title.as_str())]);
    assert_eq!(bodies[0]["data"]["url"], format!("/w/default/pipeline-runs/{run}?step=release"));
}
