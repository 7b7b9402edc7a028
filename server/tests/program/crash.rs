//! The server is killed at each step between a decision and a version that serves.
//!
//! A promotion moves by transactions. The tests stop the server inside of the commit of one of them: a trigger that is
//! deferred to it waits for a lock which the test holds. There the server is killed. Then either its connection is ended
//! as well, and nothing of the transaction happened; or the database goes on by itself, and all of it happened, though
//! nobody heard of it.

use crate::{
    slipway::PATIENCE,
    world::{MODEL, World},
};
use chrono::{TimeDelta, Utc};
use domain::webhook::{PromotionEvent, WebhookEvent};
use reqwest::Method;
use serde_json::{Value, json};
use services::{Ctx, NewWebhook};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::{Instant, sleep},
};

const OPTIONS: [&str; 1] = ["--webhook-allow-private"];

/// What becomes of the transaction in whose commit the server is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Commit {
    Lost,
    Unheard,
}

/// Where the server is killed: in the commit that leads from one state to the next.
#[derive(Debug, Clone, Copy)]
struct Station {
    from: &'static str,
    to: &'static str,
}

const STATIONS: [Station; 6] = [
    Station { from: "awaiting_approval", to: "approved" },
    Station { from: "approved", to: "scheduled" },
    Station { from: "approved", to: "deploying" },
    Station { from: "scheduled", to: "deploying" },
    Station { from: "deploying", to: "verifying" },
    Station { from: "verifying", to: "live" },
];

impl Station {
    /// Whether a freeze is in the way at first.
    fn is_frozen(self) -> bool {
        self.from == "scheduled" || self.to == "scheduled"
    }
}

/// Asks until there is an answer.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Stops whoever is about to commit that a promotion is in a state.
struct Barrier {
    /// Holds the locks.
    conn: PgConnection,
}

impl Barrier {
    async fn build(pool: &PgPool) -> Self {
        let mut conn = PgConnection::connect_with(&pool.connect_options()).await.unwrap();
        conn.execute(
            "create function stand() returns trigger language plpgsql as $$
             begin
                 perform pg_advisory_xact_lock_shared(4017, hashtext(new.state));
                 return null;
             end $$;
             create constraint trigger stand after update of state on promotions
                 deferrable initially deferred for each row execute function stand();",
        )
        .await
        .unwrap();
        Self { conn }
    }

    async fn close(&mut self, state: &str) {
        sqlx::query("select pg_advisory_lock(4017, hashtext($1))").bind(state).execute(&mut self.conn).await.unwrap();
    }

    /// Waits until somebody stands before it; tells which connection.
    async fn reached(&mut self) -> i32 {
        let conn = &mut self.conn;
        until("somebody comes to the barrier", async || {
            sqlx::query_scalar(
                "select pid from pg_locks
                 where locktype = 'advisory' and classid = 4017 and not granted
                     and database = (select oid from pg_database where datname = current_database())",
            )
            .fetch_optional(&mut *conn)
            .await
            .unwrap()
        })
        .await
    }

    /// Opens it for a transaction whose owner is dead, and waits until that has ended.
    async fn open(&mut self, commit: Commit, pid: i32) {
        if commit == Commit::Lost {
            sqlx::query("select pg_terminate_backend($1, 60000)").bind(pid).execute(&mut self.conn).await.unwrap();
        }
        self.conn.execute("select pg_advisory_unlock_all()").await.unwrap();
        let conn = &mut self.conn;
        until("the transaction ends", async || {
            let gone: bool = sqlx::query_scalar("select not exists (select from pg_stat_activity where pid = $1)")
                .bind(pid)
                .fetch_one(&mut *conn)
                .await
                .unwrap();
            gone.then_some(())
        })
        .await;
    }
}

/// What a receiver of webhooks got: how often each delivery came.
type Received = Arc<Mutex<BTreeMap<String, usize>>>;

/// Says yes to whatever is posted to it.
async fn receiver() -> (String, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let received = Received::default();
    let all = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                let (mut text, mut part) = (String::new(), [0; 16384]);
                while !text.ends_with('}') {
                    match stream.read(&mut part).await {
                        Ok(read) if read > 0 => text.push_str(&String::from_utf8_lossy(&part[..read])),
                        _ => return,
                    }
                }
                let id = text.lines().find_map(|line| line.strip_prefix("x-mlflow-delivery-id: ")).unwrap();
                *all.lock().unwrap().entry(id.to_owned()).or_default() += 1;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
            });
        }
    });
    (url, received)
}

/// A Slipway in which version 1 serves, two people are to approve version 2, and a barrier is built.
struct Lab {
    world: World,
    barrier: Barrier,
    address: String,
    received: Received,
}

impl Lab {
    async fn start() -> Self {
        let world = World::start(&OPTIONS).await;
        let address = world.slipway.url.trim_start_matches("http://").to_owned();
        world.policy(0).await;
        world.version(1).await;
        let lab =
            Self { barrier: Barrier::build(world.slipway.pool()).await, address, received: Received::default(), world };
        lab.request(1).await;
        lab.ends(1, "live").await;
        lab.answers(1).await;
        lab.world.policy(2).await;
        let (url, received) = receiver().await;
        let ctx = Ctx::system(lab.world.services.ensure_default_workspace().await.unwrap());
        let events = PromotionEvent::ALL.into_iter().map(WebhookEvent::Promotion).collect();
        let new = NewWebhook { name: "ci".to_owned(), url, events, ..NewWebhook::default() };
        lab.world.services.create_webhook(&ctx, new).await.unwrap();
        Self { received, ..lab }
    }

    async fn request(&self, version: i32) {
        let new = json!({ "model": MODEL, "version": version, "environment": "production" });
        self.world.ok(&self.world.machine, Method::POST, "promotions", new).await;
    }

    /// A freeze of production; what is being deployed may not finish in it.
    async fn freeze(&self) -> String {
        let new = json!({
            "name": "Holidays", "kind": "deny", "reason": "Nobody is here",
            "schedule": { "kind": "dates", "from": Utc::now() - TimeDelta::days(1), "to": Utc::now() + TimeDelta::days(1) },
            "selector": { "environments": ["production"] },
        });
        let made = self.world.ok(&self.world.admin, Method::POST, "freezes", new).await;
        made["id"].as_str().unwrap().to_owned()
    }

    async fn thaw(&self, freeze: &str) {
        self.world.ok(&self.world.admin, Method::POST, &format!("freezes/{freeze}/end"), json!({})).await;
    }

    /// Version 2 is asked for, and the first of two says yes.
    async fn half_approved(&self) -> Value {
        self.request(2).await;
        let promotion = self.world.awaiting(2).await;
        self.world.decide(&self.world.first, &promotion, "approve").await;
        promotion
    }

    /// The second one says yes; whether that is heard is not waited for.
    fn say_yes(&self, promotion: &Value) {
        let path = format!("{}/api/v1/promotions/{}/decisions", self.world.slipway.url, promotion["number"]);
        let body = json!({ "verdict": "approve", "comment": "Yes.", "subject_digest": promotion["subject_digest"] });
        let request = self.world.http.post(path).bearer_auth(&self.world.second).json(&body);
        tokio::spawn(request.send());
    }

    async fn state(&self, number: i64) -> String {
        let pool = self.world.slipway.pool();
        sqlx::query_scalar("select state from promotions where number = $1").bind(number).fetch_one(pool).await.unwrap()
    }

    /// Waits until the promotion is in this state; it may not come to any other end.
    async fn ends(&self, number: i64, state: &str) {
        until(&format!("#{number} comes to be {state}"), async || {
            let now = self.state(number).await;
            let ended = ["live", "aborted", "invalidated", "superseded", "expired", "rejected", "withdrawn"];
            assert!(now == state || !ended.contains(&now.as_str()), "#{number} is {now} and not {state}");
            (now == state).then_some(())
        })
        .await;
    }

    /// The server is killed where it stands in the commit, which ends as it ends.
    async fn kill_in_commit(&mut self, commit: Commit) {
        let pid = self.barrier.reached().await;
        self.world.server.kill();
        self.barrier.open(commit, pid).await;
    }

    fn start_again(&mut self) {
        let address = self.address.clone();
        self.world.server = self.world.slipway.serve(&address, &OPTIONS);
    }

    /// What was being sent to a webhook when the server was killed is sent again when its lease has ended: now.
    async fn send_again_now(&self) {
        sqlx::query("update webhook_deliveries set next_at = now() where state = 'sending'")
            .execute(self.world.slipway.pool())
            .await
            .unwrap();
    }

    /// Which version answers; none when none does.
    async fn answering(&self) -> Option<i64> {
        let url = format!("{}/v2/models/{MODEL}/infer", self.world.slipway.url);
        let row =
            json!({ "inputs": [{ "name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2] }] });
        let answer = self.world.http.post(url).bearer_auth(&self.world.machine).json(&row).send().await.ok()?;
        let answer: Value = answer.json().await.ok()?;
        answer["model_version"].as_str()?.parse().ok()
    }

    /// Waits until this version answers. None but it and the one before may do so meanwhile.
    async fn answers(&self, version: i64) {
        until(&format!("version {version} answers"), async || {
            let answering = self.answering().await?;
            assert!(answering == version || answering == version - 1, "version {answering} answers");
            (answering == version).then_some(())
        })
        .await;
    }

    /// The versions of deployments and how they stand, oldest first.
    async fn deployments(&self) -> Vec<(i32, String)> {
        sqlx::query_as(
            "select v.version, d.state from deployments d join model_versions v on v.id = d.model_version_id
             order by d.number",
        )
        .fetch_all(self.world.slipway.pool())
        .await
        .unwrap()
    }

    /// Where the alias of the environment points.
    async fn alias(&self) -> Value {
        let path = format!("models/{MODEL}/aliases");
        let aliases = self.world.ok(&self.world.first, Method::GET, &path, Value::Null).await;
        let found = aliases["items"].as_array().unwrap().iter().find(|alias| alias["alias"] == "production");
        found.expect("an alias")["version"].clone()
    }

    /// Nothing is half: whatever the killed server was doing, the deployments are those of the state that was committed.
    async fn is_whole(&self, number: i64) {
        let state = self.state(number).await;
        let deployments = self.deployments().await;
        let deployments: Vec<_> = deployments.iter().map(|(version, state)| (*version, state.as_str())).collect();
        let expected: &[_] = match state.as_str() {
            "awaiting_approval" | "approved" | "scheduled" => &[(1, "live")],
            "deploying" | "verifying" => &[(1, "live"), (2, "deploying")],
            "live" => &[(1, "retired"), (2, "live")],
            "aborted" | "invalidated" => &[(1, "live"), (2, "failed")],
            other => panic!("it is {other}"),
        };
        assert_eq!(deployments, expected, "when it is {state}");
    }

    /// What the history says of the promotion, what webhooks were told of it, and that the chain of history is whole.
    async fn told(&self, number: i64, between: &[&str]) {
        let begins = ["requested", "gates_passed", "approved", "approved", "agreed"];
        let mut expected: Vec<String> = begins.iter().chain(between).map(|&action| action.to_owned()).collect();
        expected.sort();
        let pool = self.world.slipway.pool();
        let mut history: Vec<String> = sqlx::query_scalar(
            "select e.action from audit_events e join promotions p
                 on (e.object_kind = 'promotion' and e.object_id = p.id::text)
                     or e.related @> jsonb_build_array(jsonb_build_object('kind', 'promotion', 'id', p.id::text))
             where p.number = $1",
        )
        .bind(number)
        .fetch_all(pool)
        .await
        .unwrap();
        // Predictions are replayed beside it, for people to read: that may have come before the kill, or not.
        history.retain(|action| action != "promotion.replayed");
        for action in &mut history {
            *action = match action.as_str() {
                "deployment.started" => "deploying".to_owned(),
                other => other.split_once('.').unwrap().1.to_owned(),
            };
        }
        history.sort();
        // That a deployment failed is told of it, beside why its promotion ended; webhooks are told of the promotion.
        let mut happened = expected.clone();
        if between.iter().any(|action| ["aborted", "invalidated"].contains(action)) {
            happened.push("failed".to_owned());
            happened.sort();
        }
        assert_eq!(history, happened, "the history");

        self.send_again_now().await;
        let deliveries: Vec<(String, String)> = until("all webhooks are delivered", async || {
            let all: Vec<(String, String, String)> = sqlx::query_as(
                "select id::text, state, body::jsonb ->> 'action' from webhook_deliveries
                 where (body::jsonb -> 'data' ->> 'number')::bigint = $1",
            )
            .bind(number)
            .fetch_all(pool)
            .await
            .unwrap();
            let done = all.iter().all(|(_, state, _)| state == "delivered");
            done.then(|| all.into_iter().map(|(id, _, action)| (id, action)).collect())
        })
        .await;
        let received = self.received.lock().unwrap().clone();
        assert!(deliveries.iter().all(|(id, _)| received.contains_key(id)), "{deliveries:?} of {received:?}");
        let mut told: Vec<String> = deliveries.into_iter().map(|(_, action)| action).collect();
        told.sort();
        assert_eq!(told, expected, "what webhooks were told");

        let bundle = self.world.slipway.data().join("bundle.zip");
        fs::write(&bundle, self.world.slipway.download("audit/bundle").await).unwrap();
        let verified = self.world.slipway.cli(&["verify", bundle.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&verified.stdout);
        assert!(verified.status.success() && said.contains("The chain is whole from entry 1 to "), "{verified:?}");
    }
}

/// Kills the server there, starts it again, and sees version 2 live.
async fn is_killed(at: Station, commit: Commit) {
    let mut lab = Lab::start().await;
    lab.world.version(2).await;
    let freeze = if at.is_frozen() { Some(lab.freeze().await) } else { None };
    let promotion = lab.half_approved().await;
    if at.from == "scheduled" {
        lab.say_yes(&promotion);
        lab.ends(2, "scheduled").await;
        lab.barrier.close(at.to).await;
        lab.thaw(freeze.as_deref().unwrap()).await;
    } else {
        lab.barrier.close(at.to).await;
        lab.say_yes(&promotion);
    }
    lab.kill_in_commit(commit).await;
    let expected = if commit == Commit::Lost { at.from } else { at.to };
    assert_eq!(lab.state(2).await, expected, "{at:?} {commit:?}");
    lab.is_whole(2).await;

    lab.start_again();
    if commit == Commit::Lost && at.to == "approved" {
        // Nobody heard of the yes, so it is said again.
        assert_eq!(lab.state(2).await, "awaiting_approval");
        lab.world.decide(&lab.world.second, &promotion, "approve").await;
    }
    if commit == Commit::Unheard && at.to == "approved" {
        // It is sent again by whoever was not answered, and changes nothing.
        let path = format!("promotions/{}/decisions", promotion["number"]);
        let body = json!({ "verdict": "approve", "comment": "Yes.", "subject_digest": promotion["subject_digest"] });
        lab.world.ok(&lab.world.second, Method::POST, &path, body).await;
    }
    if at.to == "scheduled" {
        lab.ends(2, "scheduled").await;
        lab.answers(1).await;
        lab.thaw(freeze.as_deref().unwrap()).await;
    }
    lab.ends(2, "live").await;
    lab.answers(2).await;
    lab.is_whole(2).await;
    assert_eq!(lab.alias().await, 2);
    let scheduled: &[&str] = if at.is_frozen() { &["scheduled"] } else { &[] };
    lab.told(2, &[scheduled, &["deploying", "verifying", "live"]].concat()).await;
    lab.world.server.stop();
}

#[tokio::test]
async fn a_server_that_is_killed_before_its_commit_is_through_does_it_again() {
    futures::future::join_all(STATIONS.map(|station| is_killed(station, Commit::Lost))).await;
}

#[tokio::test]
async fn a_server_that_is_killed_before_it_hears_of_its_commit_does_nothing_twice() {
    futures::future::join_all(STATIONS.map(|station| is_killed(station, Commit::Unheard))).await;
}

/// Kills the server while it reads the model that it is to load: its file is a pipe into which nobody writes.
async fn is_killed_while_it_loads(comes_back: bool) {
    let mut lab = Lab::start().await;
    let blob = lab.world.version(2).await;
    let freeze = lab.freeze().await;
    let promotion = lab.half_approved().await;
    lab.say_yes(&promotion);
    lab.ends(2, "scheduled").await;
    // What the server had loaded to look at the request is forgotten.
    lab.world.server.stop();
    let aside = blob.with_extension("aside");
    fs::rename(&blob, &aside).unwrap();
    assert!(Command::new("mkfifo").arg(&blob).status().unwrap().success());
    lab.start_again();
    lab.thaw(&freeze).await;
    lab.ends(2, "deploying").await;
    lab.answers(1).await;
    lab.world.server.kill();
    assert_eq!(lab.state(2).await, "deploying");
    lab.is_whole(2).await;

    fs::remove_file(&blob).unwrap();
    if comes_back {
        fs::rename(&aside, &blob).unwrap();
    }
    lab.start_again();
    let (end, version) = if comes_back { ("live", 2) } else { ("aborted", 1) };
    lab.ends(2, end).await;
    lab.answers(version).await;
    lab.is_whole(2).await;
    assert_eq!(lab.alias().await, version);
    let way: &[&str] = if comes_back { &["verifying", "live"] } else { &["aborted"] };
    lab.told(2, &[&["scheduled", "deploying"], way].concat()).await;
    lab.world.server.stop();
}

/// Kills the server when it verifies; what was agreed on is not so any more when it is there again.
async fn is_killed_and_misses_a_stricter_policy() {
    let mut lab = Lab::start().await;
    lab.world.version(2).await;
    let promotion = lab.half_approved().await;
    lab.barrier.close("verifying").await;
    lab.say_yes(&promotion);
    lab.kill_in_commit(Commit::Unheard).await;
    let workspace = lab.world.services.ensure_default_workspace().await.unwrap();
    let document = serde_json::from_value(json!({ "gates": [], "rule": { "approvals": 3 } })).unwrap();
    lab.world.services.set_policy(&Ctx::system(workspace), "production", document, None).await.unwrap();
    assert_eq!(lab.state(2).await, "verifying");

    lab.start_again();
    lab.ends(2, "invalidated").await;
    lab.answers(1).await;
    lab.is_whole(2).await;
    assert_eq!(lab.alias().await, 1);
    lab.told(2, &["deploying", "verifying", "invalidated"]).await;
    lab.world.server.stop();
}

#[tokio::test]
async fn a_server_that_is_killed_while_it_loads_or_verifies_comes_to_an_end_that_has_a_name() {
    tokio::join!(
        is_killed_while_it_loads(true),
        is_killed_while_it_loads(false),
        is_killed_and_misses_a_stricter_policy()
    );
}
