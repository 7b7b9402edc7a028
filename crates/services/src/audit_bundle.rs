//! What an audit bundle is made of. It is written by whoever asks; here is what goes into it, in pieces.

use crate::{
    Ctx, Result, Services,
    audit_chain::{Noted, no_json},
    boxed, now,
};
use chain::{
    About, Checkpoint, DecisionLine, Event, GAP, Hash, Manifest, Place, PrivateKey, Seal, WorkspaceNote, canonical,
};
use chrono::{DateTime, Utc};
use domain::{
    Error,
    audit::{Actor, ObjectKind},
    id::{AuditEventId, UserId},
    promotion::{Decision, DecisionVerdict, PromotionDetail},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use store::{PgConnection, audit_chain::Entry, promotion::On};

/// How many entries are read at once.
const PAGE: i64 = 2000;

/// What a bundle is to be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleOf {
    /// The promotion of this number.
    Promotion(i64),
    /// The events from a moment on, up to another, without it.
    Period {
        /// From.
        from: DateTime<Utc>,
        /// To.
        to: DateTime<Utc>,
    },
}

/// A piece of the chain.
#[derive(Debug, Clone)]
pub enum BundleLine {
    /// An entry that is shown.
    Shown {
        /// Its number.
        seq: i64,
        /// Its event, as it is now.
        event: Box<Event>,
        /// The hash it got when it was chained.
        hash: Hash,
    },
    /// Entries that are not shown.
    Gap {
        /// The number of the first.
        seq: i64,
        /// The digests of their events.
        digests: Vec<Hash>,
        /// The hash of the last.
        hash: Hash,
    },
}

/// A bundle while it is made.
pub struct AuditBundle {
    services: Services,
    ctx: Ctx,
    /// What it is of.
    pub about: About,
    /// Of a promotion: everything that was decided on.
    pub promotion: Option<Box<PromotionDetail>>,
    /// The same in canonical JSON; the policy and the subject as they were written.
    pub promotion_json: Option<Vec<u8>>,
    /// When it was begun.
    pub made_at: DateTime<Utc>,
    /// The entry before the first.
    pub start: Place,
    /// The head.
    pub head: Place,
    /// The checkpoint of the head.
    pub checkpoint: Option<Checkpoint>,
    key: Option<PrivateKey>,
    /// Of a promotion, the numbers of the entries that are shown.
    wanted: Option<BTreeSet<i64>>,
    /// The environments that whoever asks does not see.
    hidden: BTreeSet<String>,
    read_to: i64,
    gap: Option<(i64, Vec<Hash>, Hash)>,
    /// The decisions that what was shown so far tells of: on what, person, digest of the subject.
    told: Vec<(On, UserId, String, DecisionVerdict)>,
    shown: u64,
    undisclosed: u64,
}

impl Services {
    /// Begins a bundle. What is committed by now is chained, and the head is noted, before anything is read.
    ///
    /// # Errors
    /// `NotFound` for a promotion that is not there; `Invalid` for a period that ends before it begins.
    #[boxed]
    pub async fn audit_bundle(&self, ctx: &Ctx, of: BundleOf) -> Result<AuditBundle> {
        if let BundleOf::Period { from, to } = of
            && from >= to
        {
            return Err(Error::invalid_field("to", "The period ends before it begins."));
        }
        let workspace = ctx.workspace_id();
        let promotion = match of {
            BundleOf::Promotion(number) => Some(Box::new(self.promotion(ctx, number).await?)),
            BundleOf::Period { .. } => None,
        };
        let Noted { head, checkpoint, key } = self.chain_to_now(workspace).await?;
        let mut conn = self.conn().await?;
        let hidden = store::environment::hidden(&mut conn, &ctx.sight()).await?;
        let hidden = hidden.into_iter().map(|(id, _)| id.to_string()).collect();
        let (about, first, wanted, promotion_json) = match (of, &promotion) {
            (BundleOf::Period { from, to }, _) => {
                let first = store::audit_chain::period(&mut conn, workspace, from, to, head.seq).await?;
                (About::Period { from, to }, first, None, None)
            }
            (BundleOf::Promotion(number), Some(detail)) => {
                let id = detail.promotion.id;
                let kind = ObjectKind::Promotion;
                let seqs = store::audit_chain::about(&mut conn, workspace, kind, &id.to_string(), head.seq).await?;
                let json = promotion_json(&mut conn, detail).await?;
                (About::Promotion { id, number }, seqs.first().copied(), Some(seqs.into_iter().collect()), Some(json))
            }
            (BundleOf::Promotion(_), None) => return Err(Error::internal()),
        };
        let start = match first {
            Some(first) => store::audit_chain::place(&mut conn, Some(workspace), first - 1).await?,
            None => head,
        };
        drop(conn);
        Ok(AuditBundle {
            services: self.clone(),
            ctx: ctx.clone(),
            about,
            promotion,
            promotion_json,
            made_at: now(),
            start,
            head,
            checkpoint,
            key,
            wanted,
            hidden,
            read_to: start.seq,
            gap: None,
            told: Vec::new(),
            shown: 0,
            undisclosed: 0,
        })
    }
}

/// What a promotion decides on, without who may decide on it now.
async fn promotion_json(conn: &mut PgConnection, detail: &PromotionDetail) -> Result<Vec<u8>> {
    let mut json = serde_json::to_value(detail).map_err(no_json)?;
    if let Some(json) = json.as_object_mut() {
        // Members and their addresses are not what was decided on; decisions are in a file of their own.
        json.remove("rules");
        json.remove("decisions");
    }
    // Their digests are of what was written then, whatever fields this version knows.
    let (subject, documents) = store::audit_chain::written(conn, detail.promotion.id).await?;
    json["promotion"]["subject"] = subject.unwrap_or_default();
    for policy in json["policies"].as_array_mut().into_iter().flatten() {
        if let Some(document) = policy["id"].as_str().and_then(|id| documents.get(id)) {
            policy["document"] = document.clone();
        }
    }
    canonical(&json).map_err(no_json)
}

impl AuditBundle {
    /// Whether it will be signed.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.key.is_some()
    }

    /// The workspace it is of.
    #[must_use]
    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// The next lines of the chain; none after the last.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn next_lines(&mut self) -> Result<Option<Vec<BundleLine>>> {
        let workspace = Some(self.ctx.workspace_id());
        let mut lines = Vec::new();
        let entries = if self.read_to == self.head.seq {
            Vec::new()
        } else {
            let mut conn = self.services.conn().await?;
            store::audit_chain::entries(&mut conn, workspace, self.read_to, self.head.seq, PAGE).await?
        };
        let Some(last) = entries.last() else {
            self.end_gap(&mut lines);
            return Ok(Some(lines).filter(|lines| !lines.is_empty()));
        };
        self.read_to = last.seq;
        let shown: Vec<AuditEventId> =
            entries.iter().filter(|entry| self.shows(entry)).map(|entry| entry.event).collect();
        let mut events: HashMap<AuditEventId, Event> = HashMap::new();
        if !shown.is_empty() {
            let found = store::audit_chain::events(&mut *self.services.conn().await?, &shown).await?;
            events.extend(found.into_iter().map(|event| (event.id, event)));
        }
        for entry in entries {
            // An event that is gone cannot be shown; that it was there is.
            match events.remove(&entry.event).filter(|event| !self.is_hidden(event)) {
                Some(event) => {
                    self.end_gap(&mut lines);
                    self.note(&event);
                    self.shown += 1;
                    lines.push(BundleLine::Shown { seq: entry.seq, event: Box::new(event), hash: entry.hash });
                }
                None => self.hide(&entry, &mut lines),
            }
        }
        Ok(Some(lines))
    }

    fn shows(&self, entry: &Entry) -> bool {
        match (&self.wanted, &self.about) {
            (Some(wanted), _) => wanted.contains(&entry.seq),
            (None, About::Period { from, to }) => (*from..*to).contains(&entry.at),
            (None, About::Promotion { .. }) => false,
        }
    }

    /// Whether it happened to an environment, or in one, that whoever asks does not see.
    fn is_hidden(&self, event: &Event) -> bool {
        let of = |kind: &Value, id: &Value| {
            kind.as_str() == Some(ObjectKind::Environment.as_str())
                && id.as_str().is_some_and(|id| self.hidden.contains(id))
        };
        let related = event.related.as_array().map(Vec::as_slice).unwrap_or_default();
        (event.object.kind == ObjectKind::Environment.as_str() && self.hidden.contains(&event.object.id))
            || related.iter().any(|one| of(&one["kind"], &one["id"]))
    }

    fn hide(&mut self, entry: &Entry, lines: &mut Vec<BundleLine>) {
        if self.gap.as_ref().is_some_and(|(_, digests, _)| digests.len() == GAP) {
            self.end_gap(lines);
        }
        self.undisclosed += 1;
        let (_, digests, hash) = self.gap.get_or_insert_with(|| (entry.seq, Vec::new(), entry.hash));
        digests.push(entry.digest);
        *hash = entry.hash;
    }

    fn end_gap(&mut self, lines: &mut Vec<BundleLine>) {
        if let Some((seq, digests, hash)) = self.gap.take() {
            lines.push(BundleLine::Gap { seq, digests, hash });
        }
    }

    fn note(&mut self, event: &Event) {
        let Some((noun, told)) = event.action.split_once('.') else { return };
        let verdict = match told {
            "approved" => DecisionVerdict::Approve,
            "rejected" => DecisionVerdict::Reject,
            "changes_requested" => DecisionVerdict::RequestChanges,
            _ => return,
        };
        let on = match noun {
            "promotion" => event.object.id.parse().map(On::Promotion),
            "change_request" => event.object.id.parse().map(On::Change),
            _ => return,
        };
        if let (Ok(on), Actor::User { id, .. }) = (on, &event.actor) {
            let digest = event.details["subject_digest"].as_str().unwrap_or_default().to_owned();
            self.told.push((on, *id, digest, verdict));
        }
    }

    /// The decisions that the lines so far tell of, each with its canonical JSON line, in the order of their events.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn decisions(&self) -> Result<Vec<(Decision, Vec<u8>)>> {
        let mut known: BTreeMap<On, Vec<Decision>> = BTreeMap::new();
        let mut found = Vec::new();
        for (on, user, digest, verdict) in &self.told {
            if !known.contains_key(on) {
                let mut conn = self.services.conn().await?;
                let decisions = match on {
                    On::Promotion(id) => store::promotion::decisions(&mut conn, *id).await?,
                    On::Change(id) => store::promotion::decisions_on_change(&mut conn, *id).await?,
                    On::Step(id) => store::promotion::decisions_on_step(&mut conn, *id).await?,
                };
                known.insert(*on, decisions);
            }
            let theirs = known.get(on).into_iter().flatten();
            let mut theirs = theirs
                .filter(|one| one.user_id == *user && one.subject_digest.as_str() == digest && one.verdict == *verdict);
            // One that is gone cannot be shown; the event that tells of it is.
            if let Some(decision) = theirs.next() {
                let value = serde_json::to_value(decision).map_err(no_json)?;
                let (promotion, change_request) = match on {
                    On::Promotion(id) => (Some(*id), None),
                    On::Change(id) => (None, Some(*id)),
                    On::Step(_) => (None, None),
                };
                let line = DecisionLine { decision: value, promotion, change_request };
                let mut line = canonical(&line).map_err(no_json)?;
                line.push(b'\n');
                found.push((decision.clone(), line));
            }
        }
        Ok(found)
    }

    /// The manifest, without the files, when all lines were taken.
    #[must_use]
    pub fn manifest(&self, made_by: String, decisions: u64) -> Manifest {
        let workspace = &self.ctx.workspace;
        Manifest {
            format: chain::FORMAT.to_owned(),
            made_at: self.made_at,
            made_by,
            workspace: WorkspaceNote { id: workspace.id, slug: workspace.slug.clone(), name: workspace.name.clone() },
            about: self.about.clone(),
            start: self.start,
            head: self.head,
            events: self.shown,
            undisclosed: self.undisclosed,
            decisions,
            checkpoint: self.checkpoint.clone(),
            key: self.key.as_ref().map(PrivateKey::public),
            files: BTreeMap::new(),
        }
    }

    /// The seal of the manifest.
    ///
    /// # Errors
    /// Never: it has a JSON form.
    pub fn seal(&self, manifest: &[u8]) -> Result<Vec<u8>> {
        Seal::of(manifest, self.key.as_ref()).and_then(|seal| canonical(&seal)).map_err(no_json)
    }
}
