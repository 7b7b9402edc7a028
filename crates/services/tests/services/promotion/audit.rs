//! The chain of history and the bundles that are made of it.

use crate::promotion::world::{World, new_decision};
use chain::{
    Check, DECISIONS, EVENTS, FileNote, Hash, Hashed, MANIFEST, Options, PROMOTION, Report, SEAL, Source, canonical,
    event_line, gap_line,
};
use chrono::{TimeDelta, Utc};
use domain::{
    audit::{Object, ObjectKind},
    policy::PolicyDocument,
    promotion::{DecisionVerdict, Promotion, PromotionState},
    webhook::WebhookEvent,
};
use outbound::Outbound;
use services::{BundleLine, BundleOf, Effect, Event, NewPolicy, NewWebhook, Services};
use std::{
    collections::{BTreeMap, HashSet},
    io::{self, Read},
};
use tokio::task::JoinSet;

/// A bundle in memory.
struct Bundle(BTreeMap<&'static str, Vec<u8>>);

impl Source for Bundle {
    fn names(&self) -> Vec<String> {
        self.0.keys().map(|name| (*name).to_owned()).collect()
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.0.get(name).ok_or(io::ErrorKind::NotFound)?.as_slice()))
    }
}

fn note(bytes: &[u8]) -> FileNote {
    let mut hashed = Hashed::default();
    hashed.update(bytes);
    hashed.note()
}

impl Bundle {
    async fn of(world: &World, services: &Services, of: BundleOf) -> Self {
        let mut bundle = services.audit_bundle(&world.approver, of).await.unwrap();
        let mut files: BTreeMap<&'static str, Vec<u8>> = BTreeMap::new();
        let mut events = Vec::new();
        while let Some(lines) = bundle.next_lines().await.unwrap() {
            for line in lines {
                match line {
                    BundleLine::Shown { seq, event, hash } => {
                        event_line(&mut events, seq, &event.bytes().unwrap(), &hash);
                    }
                    BundleLine::Gap { seq, digests, hash } => gap_line(&mut events, seq, &digests, &hash),
                }
            }
        }
        let decisions = bundle.decisions().await.unwrap();
        files.insert(EVENTS, events);
        files.insert(DECISIONS, decisions.iter().flat_map(|(_, line)| line.clone()).collect());
        if let Some(json) = bundle.promotion_json.clone() {
            files.insert(PROMOTION, json);
        }
        let mut manifest = bundle.manifest("slipway".to_owned(), decisions.len() as u64);
        manifest.files = files.iter().map(|(name, bytes)| ((*name).to_owned(), note(bytes))).collect();
        let manifest = canonical(&manifest).unwrap();
        files.insert(SEAL, bundle.seal(&manifest).unwrap());
        files.insert(MANIFEST, manifest);
        Self(files)
    }

    fn report(&mut self) -> Report {
        chain::verify(self, &Options::default()).unwrap()
    }

    fn count(&self, what: &str) -> u64 {
        let manifest: serde_json::Value = serde_json::from_slice(&self.0[MANIFEST]).unwrap();
        manifest[what].as_u64().unwrap()
    }
}

#[track_caller]
fn holds(report: &Report) {
    let wrong: Vec<&Check> = report.checks.iter().filter(|check| !check.holds).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn write(world: &World, number: usize) {
    let mut tx = world.database.pool.begin().await.unwrap();
    let object = Object::new(ObjectKind::Run, number, format!("run {number}"));
    Event::new("run.deleted", object, "deleted it")
        .details(serde_json::json!({ "n": number, "share": 0.1 * number as f64, "text": "é\u{1}\"" }))
        .write(&mut tx, &world.admin)
        .await
        .unwrap();
    // Each is open for a while beside the others, and commits when it will.
    tokio::task::yield_now().await;
    tx.commit().await.unwrap();
}

async fn approved(world: &World) -> Promotion {
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    world.decide(&world.approver, &promotion, DecisionVerdict::Approve, "Looks right.").await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
    promotion
}

/// Changes what is append-only, as only whoever owns the database can.
async fn tamper(world: &World, statement: &'static str) {
    let mut conn = world.database.pool.acquire().await.unwrap();
    for statement in ["set session_replication_role = replica", statement, "set session_replication_role = origin"] {
        sqlx::query(statement).execute(&mut *conn).await.unwrap();
    }
}

#[tokio::test]
async fn two_that_chain_at_once_make_one_chain_without_a_gap() {
    let world = World::without_engine().await;
    let world = std::sync::Arc::new(world);
    let mut tasks = JoinSet::new();
    for number in 0..200 {
        let world = world.clone();
        tasks.spawn(async move { write(&world, number).await });
    }
    for _ in 0..2 {
        let world = world.clone();
        tasks.spawn(async move {
            while world.count("select count(*) from audit_chain").await < 200 {
                world.services.chain_audit_events().await.unwrap();
                world.services.audit_head(&world.admin).await.unwrap();
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    world.services.chain_audit_events().await.unwrap();
    assert_eq!(world.count("select count(*) from audit_unchained").await, 0);
    let events = world.count("select count(*) from audit_events").await;
    assert_eq!(world.count("select count(distinct event_id) from audit_chain").await, events);
    assert_eq!(
        world
            .count("select count(*) from (select chain from audit_chain group by chain having max(seq) <> count(*)) c")
            .await,
        0,
        "no number is left out"
    );
    let of = BundleOf::Period { from: Utc::now() - TimeDelta::hours(1), to: Utc::now() + TimeDelta::hours(1) };
    let mut bundle = Bundle::of(&world, &world.services, of).await;
    holds(&bundle.report());
    assert!(bundle.count("events") >= 200 && bundle.count("undisclosed") == 0);
}

#[tokio::test]
async fn what_was_written_before_anybody_looked_is_in_the_head() {
    let world = World::without_engine().await;
    let before = world.services.audit_head(&world.admin).await.unwrap();
    write(&world, 1).await;
    let after = world.services.audit_head(&world.admin).await.unwrap();
    assert_eq!((after.head.seq, after.is_behind), (before.head.seq + 1, false));
}

#[tokio::test]
async fn a_promotions_bundle_shows_what_is_about_it_and_follows_the_chain_over_the_rest() {
    let world = World::start().await;
    write(&world, 1).await;
    let promotion = approved(&world).await;
    for number in 0..300 {
        write(&world, number).await;
    }
    let of = BundleOf::Promotion(promotion.number);
    let mut bundle = Bundle::of(&world, &world.services, of).await;
    let report = bundle.report();
    holds(&report);
    assert_eq!(bundle.count("decisions"), 1);
    assert!(bundle.count("undisclosed") >= 300 && bundle.count("events") >= 3, "{report:#?}");
    let events = String::from_utf8(bundle.0[EVENTS].clone()).unwrap();
    assert!(events.contains("promotion.requested") && !events.contains("run.deleted"), "nothing else is shown");
    let told = String::from_utf8(bundle.0[PROMOTION].clone()).unwrap();
    assert!(!told.contains("@"), "nobody's address is in it");

    let nothing = world.services.audit_bundle(&world.approver, BundleOf::Promotion(99)).await.err().unwrap();
    assert_eq!(nothing.message, "No promotion #99 in this workspace.");
}

#[tokio::test]
async fn whoever_owns_the_database_is_found_out() {
    let world = World::start().await;
    let promotion = approved(&world).await;
    let of = BundleOf::Promotion(promotion.number);
    holds(&Bundle::of(&world, &world.services, of).await.report());
    for (statement, undo, what) in [
        (
            "update decisions set comment = 'Looks wrong.'",
            "update decisions set comment = 'Looks right.'",
            "is not the one that entry",
        ),
        (
            "update decisions set at = at - interval '1 day'",
            "update decisions set at = at + interval '1 day'",
            "is not the one that entry",
        ),
        (
            "update audit_events set at = at + interval '1 microsecond'",
            "update audit_events set at = at - interval '1 microsecond'",
            "its hash is not that of its event",
        ),
        (
            "update promotions set subject = jsonb_set(subject, '{environment}', '\"staging\"')",
            "update promotions set subject = jsonb_set(subject, '{environment}', '\"production\"')",
            "The subject in promotion.json is not the one",
        ),
    ] {
        tamper(&world, statement).await;
        let report = Bundle::of(&world, &world.services, of).await.report();
        assert!(
            report.checks.iter().any(|check| !check.holds && check.what.contains(what)),
            "{statement}: {report:#?}"
        );
        tamper(&world, undo).await;
    }
    holds(&Bundle::of(&world, &world.services, of).await.report());
    tamper(&world, "delete from decisions").await;
    let report = Bundle::of(&world, &world.services, of).await.report();
    assert!(report.checks.iter().any(|check| check.what.contains("is missing from decisions.jsonl")), "{report:#?}");
}

#[tokio::test]
async fn a_period_without_events_is_a_bundle_too_and_one_that_ends_before_it_begins_is_none() {
    let world = World::without_engine().await;
    let from = Utc::now() - TimeDelta::days(30);
    let of = |to| BundleOf::Period { from, to };
    let mut bundle = Bundle::of(&world, &world.services, of(from + TimeDelta::days(1))).await;
    holds(&bundle.report());
    assert_eq!((bundle.count("events"), bundle.count("undisclosed")), (0, 0));
    let refused = world.services.audit_bundle(&world.approver, of(from)).await.err().unwrap();
    assert_eq!(refused.field.as_deref(), Some("to"));
}

#[tokio::test]
async fn heads_are_signed_with_the_key_in_use_and_told_to_who_wants_them() {
    let world = World::without_engine().await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("audit-keys");
    let services = world.services.clone().with_outbound(Outbound::new(true)).with_audit_keys(&folder);
    let new = NewWebhook {
        name: "vault".to_owned(),
        url: "http://127.0.0.1:9/".to_owned(),
        events: [WebhookEvent::AuditCheckpoint].into(),
        ..NewWebhook::default()
    };
    services.create_webhook(&world.admin, new).await.unwrap();
    let signer = async || -> Option<String> {
        services.chain_audit_events().await.unwrap();
        services.audit_head(&world.admin).await.unwrap().checkpoint.unwrap().key.map(Into::into)
    };
    assert_eq!(signer().await, None, "without a key everything works");

    let key = services.create_audit_key().await.unwrap();
    let of = BundleOf::Period { from: Utc::now() - TimeDelta::hours(1), to: Utc::now() + TimeDelta::hours(1) };
    let mut bundle = Bundle::of(&world, &services, of).await;
    let with = |key| Options { head: None, key: Some(key) };
    holds(&chain::verify(&mut bundle, &with(key.public)).unwrap());
    assert_eq!(signer().await, Some(key.id.to_string()));

    let told: Vec<String> =
        sqlx::query_scalar("select body from webhook_deliveries where event = 'audit.checkpoint' order by id")
            .fetch_all(&world.database.pool)
            .await
            .unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    let told: serde_json::Value = serde_json::from_str(&told[1]).unwrap();
    assert_eq!((&told["entity"], &told["action"]), (&"audit".into(), &"checkpoint".into()));
    assert_eq!(told["data"]["key"], key.id.as_str());
    let kept: Hash = told["data"]["head"].as_str().unwrap().parse().unwrap();
    holds(&chain::verify(&mut bundle, &Options { head: Some(kept), key: None }).unwrap());

    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = folder.join(format!("{}.pem", key.id));
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
    }
    let other = services.create_audit_key().await.unwrap();
    services.retire_audit_key(&key.id).await.unwrap();
    let ids: HashSet<String> =
        std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(ids, HashSet::from([format!("{}.pem", other.id)]));
    let again = services.retire_audit_key(&key.id).await.unwrap_err();
    assert_eq!(again.message, format!("The audit key {} is out of use already.", key.id));
    holds(&chain::verify(&mut bundle, &with(key.public)).unwrap());
    let mut anew = Bundle::of(&world, &services, of).await;
    holds(&chain::verify(&mut anew, &with(other.public)).unwrap());
}

#[tokio::test]
async fn a_bundle_shows_nothing_of_environments_that_are_hidden_from_whoever_asks() {
    let world = World::start().await;
    approved(&world).await;
    let day = TimeDelta::days(1);
    let period = BundleOf::Period { from: Utc::now() - day, to: Utc::now() + day };
    let mut all = Bundle::of(&world, &world.services, period).await;
    holds(&all.report());
    assert!(String::from_utf8_lossy(&all.0[EVENTS]).contains("promotion.approved"));
    world.meddle("update environments set visible_to = array['contributor'] where name = 'production'").await;
    let mut seen = Bundle::of(&world, &world.services, period).await;
    holds(&seen.report());
    let events = String::from_utf8_lossy(&seen.0[EVENTS]).into_owned();
    for told in ["promotion.approved", "Looks right.", "deployment.live"] {
        assert!(!events.contains(told), "{told}: {events}");
    }
    assert!(seen.0[DECISIONS].is_empty());
    assert!(seen.count("undisclosed") > all.count("undisclosed"));
}

#[tokio::test]
async fn decisions_on_change_requests_are_enclosed_and_none_may_be_missing() {
    let world = World::without_engine().await;
    let guard = "scope: {environments: [production], actions: [change_policy]}\nrules: [{name: owners, eligible: {roles: [approver]}}]\n";
    let write = |file: &str| NewPolicy {
        name: "guard".to_owned(),
        document: PolicyDocument::parse(file).unwrap(),
        source: None,
        instead_of: None,
    };
    world.services.write_policy(&world.admin, write(guard)).await.unwrap();
    let weaker = guard.replace("change_policy", "retire");
    let effect = world.services.write_policy(&world.admin, write(&weaker)).await.unwrap();
    let Effect::Requested(request) = effect else { panic!("it was written at once") };
    let yes = new_decision(DecisionVerdict::Approve, "Fine.", request.digest.clone());
    world.services.decide_change(&world.approver, request.number, yes).await.unwrap();
    let day = TimeDelta::days(1);
    let period = BundleOf::Period { from: Utc::now() - day, to: Utc::now() + day };
    let mut bundle = Bundle::of(&world, &world.services, period).await;
    holds(&bundle.report());
    assert_eq!(bundle.count("decisions"), 1);
    assert!(String::from_utf8_lossy(&bundle.0[DECISIONS]).contains("\"change_request\":"));
    tamper(&world, "delete from decisions").await;
    let report = Bundle::of(&world, &world.services, period).await.report();
    assert!(report.checks.iter().any(|check| check.what.contains("is missing from decisions.jsonl")), "{report:#?}");
}
