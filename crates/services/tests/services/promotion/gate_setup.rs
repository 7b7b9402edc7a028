//! What the tests of single gates share: evaluation rows, signatures, runs that repeat others.

use crate::promotion::world::{MODEL, NewVersion, PRODUCTION, World};
use bytes::Bytes;
use domain::{
    id::RunId,
    policy::GateSpec,
    promotion::{Finding, Promotion, PromotionState, Verdict},
};
use futures::stream;
use services::NewEvidence;
use std::io;

pub(crate) struct Found {
    pub(crate) promotion: Promotion,
    pub(crate) state: PromotionState,
    pub(crate) finding: Finding,
}

impl World {
    /// The run of a version of [`MODEL`], and its experiment.
    pub(crate) async fn run_of(&self, version: i32) -> (i64, RunId) {
        let (experiment, run): (i64, uuid::Uuid) = sqlx::query_as(
            "select r.experiment_id, r.id from model_versions v join models m on m.id = v.model_id
             join runs r on r.id = v.run_id where m.name = $1 and v.version = $2",
        )
        .bind(MODEL)
        .bind(version)
        .fetch_one(&self.database.pool)
        .await
        .unwrap();
        (experiment, RunId(run))
    }

    /// Logs a file to the run of a version of [`MODEL`].
    pub(crate) async fn log_file(&self, version: i32, path: &str, content: impl Into<Bytes>) {
        let (experiment, run) = self.run_of(version).await;
        let path = format!("{experiment}/{}/artifacts/{path}", run.0.simple());
        let content = stream::iter([Ok::<_, io::Error>(content.into())]);
        self.services.put_artifact(&self.contributor, &path, None, content).await.unwrap();
    }

    /// A version with so many evaluation rows, of which the first `right` are right.
    pub(crate) async fn evaluated(&self, rows: usize, right: usize) -> i32 {
        let version = self.version().await;
        self.log_file(version, "evaluation.csv", table(rows, right)).await;
        version
    }

    pub(crate) async fn set_signature(&self, version: i32, signature: serde_json::Value) {
        sqlx::query(
            "update model_versions v set signature = $1 from models m
             where m.id = v.model_id and m.name = $2 and v.version = $3",
        )
        .bind(signature)
        .bind(MODEL)
        .bind(version)
        .execute(&self.database.pool)
        .await
        .unwrap();
    }

    /// Puts a tag on the run of a version of [`MODEL`].
    pub(crate) async fn tag_run(&self, version: i32, key: &str, value: &str) {
        let (_, run) = self.run_of(version).await;
        sqlx::query(
            "with run as (select key, experiment_id from runs where id = $1),
                  name as (
                      insert into log_keys (experiment_id, kind, name) select experiment_id, 'tag', $2 from run
                      on conflict (experiment_id, kind, name) do update set name = excluded.name
                      returning id
                  )
             insert into run_tags (run_key, key_id, value) select run.key, name.id, $3 from run, name",
        )
        .bind(run.0)
        .bind(key)
        .bind(value)
        .execute(&self.database.pool)
        .await
        .unwrap();
    }

    pub(crate) async fn upload(&self, promotion: &Promotion, name: &str, content: serde_json::Value) {
        let new = NewEvidence { name: name.to_owned(), content };
        self.services.upload_evidence(&self.contributor, promotion.number, new).await.unwrap();
    }

    /// A version that serves, whatever the policy says afterwards.
    pub(crate) async fn champion(&self, version: i32) {
        self.set_policy(PRODUCTION, Vec::new(), 1).await;
        self.live(version).await;
    }

    /// What the only gate of production finds of a version.
    pub(crate) async fn found(&self, gate: &GateSpec, version: i32) -> Found {
        self.set_policy(PRODUCTION, vec![gate.clone()], 1).await;
        let promotion = self.request(version).await;
        let state = self.advance(&promotion).await;
        self.first(promotion, state).await
    }

    /// What the first gate of a promotion has found.
    pub(crate) async fn first(&self, promotion: Promotion, state: PromotionState) -> Found {
        let detail = self.detail(&promotion).await;
        Found { promotion: detail.promotion, state, finding: detail.gates[0].finding.clone().unwrap() }
    }

    /// What the first gate finds when the gates are run again.
    pub(crate) async fn again(&self, found: Found) -> Found {
        let promotion = self.services.rerun_gates(&self.contributor, found.promotion.number).await.unwrap();
        let state = self.advance(&promotion).await;
        self.first(promotion, state).await
    }

    pub(crate) async fn another(&self) -> i32 {
        self.version_of(MODEL, NewVersion::default()).await
    }
}

impl Found {
    #[track_caller]
    pub(crate) fn is(&self, verdict: Verdict, words: &str) {
        assert_eq!(self.finding.verdict, verdict, "{:?}", self.finding);
        assert!(self.finding.reason.contains(words), "{}", self.finding.reason);
        let state = if verdict == Verdict::Pass { PromotionState::AwaitingApproval } else { PromotionState::Blocked };
        assert_eq!(self.state, state, "{:?}", self.finding);
    }
}

/// So many rows in two regions, of which the first `right` are right.
pub(crate) fn table(rows: usize, right: usize) -> String {
    (0..rows).fold("row_id,target,prediction,region\n".to_owned(), |text, row| {
        let region = if row % 2 == 0 { "north" } else { "south" };
        format!("{text}{row},1,{},{region}\n", u8::from(row < right))
    })
}
