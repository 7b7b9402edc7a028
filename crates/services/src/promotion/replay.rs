//! Replay: the last recorded predictions of the version that serves, asked of the candidate. It informs whoever decides; no
//! gate waits for it, and no digest rests on it.
//!
//! Gates that have run ask for it, and so may people. A worker takes it up under a lease, works outside of any transaction,
//! and writes what it found if nobody asked again meanwhile and the promotion is still open. A process that dies over it
//! leaves a row that waits, which the next one takes up when the lease has ended.

use super::{
    announce, candidate_of, event, locked,
    present::{OrSentence, Present, unexpected},
    write_as_system,
};
use crate::{
    Ctx, Error, Result, Services,
    admission::{GRACE, seconds},
    boxed, commit,
    prediction::MOST_OF_TEXT,
};
use domain::{
    Digest, ErrorKind,
    deployment::Prediction,
    id::PromotionId,
    inference::{InferRequest, asked_again, columns, feature_names},
    promotion::{
        AnsweredTwice, MAX_REPLAY_ROWS, Promotion, PromotionReplay, PromotionState, REPLAY_ROWS, Replay, ReplayAbout,
        ReplayState,
    },
};
use serde_json::{Map, Value};
use serving::Model;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use store::{
    PgConnection,
    promotion::{EndedReplay, TakenReplay},
    wake::Wake,
};
use tokio::time::timeout_at;

/// From so many bytes of recorded values on, further predictions are not replayed.
const MOST_BYTES: i64 = 32 << 20;
/// The most requests of a deployment that are counted as refused.
const MOST_REFUSED: i64 = 10_000;
/// A replay that was begun this often and never ended is given up: it may be what ends the processes.
const MOST_TRIES: i32 = 5;
/// How long a replay rests that cannot be done here and now.
const REST: Duration = Duration::from_secs(15);
/// What a lease lasts beyond the limits of reading, loading and answering.
const SLACK: Duration = Duration::from_secs(60);

/// What is asked of the candidate.
struct Asked {
    predictions: Vec<(Prediction, bool)>,
    /// How many rows.
    wanted: usize,
    /// The columns of the candidate's matrix, and of the champion's.
    names: Vec<String>,
    order: Vec<String>,
    champion: String,
}

/// What came of it: rows that both answered, and why others were not, by reason.
#[derive(Default)]
struct Answers {
    both: Vec<AnsweredTwice>,
    skipped: BTreeMap<String, u32>,
}

impl Answers {
    fn skip(&mut self, rows: usize, reason: impl Into<String>) {
        *self.skipped.entry(reason.into()).or_default() += u32::try_from(rows).unwrap_or(u32::MAX);
    }
}

/// Asks for a replay when the gates of a promotion that is locked have run, unless there is one of the same. Tells whether
/// it did.
pub(super) async fn want_replay(tx: &mut PgConnection, promotion: &Promotion, present: &Present) -> Result<bool> {
    let about = about(present);
    let known = store::promotion::replay(tx, promotion.id).await?;
    if let Some(known) = &known {
        let is_same = known
            .about
            .as_ref()
            .is_some_and(|known| (&known.model_digest, known.champion) == (&about.model_digest, about.champion));
        let stands = match known.state {
            ReplayState::Waiting => true,
            ReplayState::Done => is_same,
            ReplayState::Nothing => is_same && about.champion.is_none(),
            ReplayState::Failed => false,
        };
        if stands {
            return Ok(false);
        }
    }
    let round = store::promotion::ask_replay(tx, promotion.id, REPLAY_ROWS, None).await?;
    match about.champion {
        // There is no need to wake anybody for that.
        None => {
            let ended = nothing(about, no_champion(promotion));
            store::promotion::end_replay(tx, promotion.id, round, &ended).await?;
        }
        Some(_) => store::wake::push(tx, &Wake::Replays).await?,
    }
    Ok(true)
}

fn about(present: &Present) -> ReplayAbout {
    ReplayAbout {
        model_digest: present.digest.clone(),
        champion: present.champion.as_ref().map(|champion| champion.version),
        first_at: None,
        last_at: None,
    }
}

fn no_champion(promotion: &Promotion) -> String {
    format!("No version of {} serves in {}: there are no decisions to replay.", promotion.model, promotion.environment)
}

fn nothing(about: ReplayAbout, reason: String) -> EndedReplay {
    EndedReplay { state: ReplayState::Nothing, reason, about: Some(about), found: None }
}

fn failed(about: Option<ReplayAbout>, reason: String) -> EndedReplay {
    EndedReplay { state: ReplayState::Failed, reason, about, found: None }
}

impl Services {
    /// The last replay of a promotion; none when nobody has asked for one yet. Whoever sees the promotion sees the predictions
    /// of its environment: both are seen by [`Ctx::sight`].
    ///
    /// # Errors
    /// `NotFound` for an unknown promotion.
    #[boxed]
    pub async fn promotion_replay(&self, ctx: &Ctx, number: i64) -> Result<Option<PromotionReplay>> {
        let mut conn = self.conn().await?;
        let promotion = super::read::found(&mut conn, ctx, number).await?;
        Ok(store::promotion::replay(&mut conn, promotion.id).await?)
    }

    /// Asks for the last `rows` recorded decisions to be replayed, or as many as usual. While the same waits already,
    /// nothing changes.
    ///
    /// # Errors
    /// `Invalid` for too many or too few rows; `Conflict` for a draft, or when the promotion has ended.
    #[boxed]
    pub async fn ask_replay(&self, ctx: &Ctx, number: i64, rows: Option<i64>) -> Result<PromotionReplay> {
        let wanted = match rows.map(u32::try_from) {
            None => REPLAY_ROWS,
            Some(Ok(rows)) if (1..=MAX_REPLAY_ROWS).contains(&rows) => rows,
            Some(_) => {
                let message = format!("Between 1 and {MAX_REPLAY_ROWS} of the last decisions can be replayed.");
                return Err(Error::invalid_field("rows", message));
            }
        };
        let mut tx = self.begin().await?;
        let promotion = locked(&mut tx, ctx, number).await?;
        if promotion.state == PromotionState::Draft || !promotion.state.is_open() {
            return Err(Error::conflict(format!(
                "Nothing can be replayed for promotion #{number}: it {}.",
                promotion.state.describe()
            )));
        }
        let waits = |known: &PromotionReplay| known.state == ReplayState::Waiting && known.wanted == wanted;
        if let Some(known) = store::promotion::replay(&mut tx, promotion.id).await?.filter(waits) {
            return Ok(known);
        }
        store::promotion::ask_replay(&mut tx, promotion.id, wanted, Some(ctx.actor().name())).await?;
        let candidate = candidate_of(&mut tx, &promotion).await?;
        let summary = format!("asked to replay the last {wanted} decisions on {}", promotion.version_title());
        event("promotion.replay_asked", &promotion, &candidate, summary)
            .details(serde_json::json!({ "rows": wanted }))
            .write(&mut tx, ctx)
            .await?;
        announce(&mut tx, &promotion).await?;
        store::wake::push(&mut tx, &Wake::Replays).await?;
        let asked = store::promotion::replay(&mut tx, promotion.id).await?.ok_or_else(Error::internal)?;
        commit(tx).await?;
        Ok(asked)
    }

    /// Takes up the replay that waits longest, and does it. Tells whether there was one.
    ///
    /// # Errors
    /// When the database does not answer: it is taken up again when its lease has ended.
    #[boxed]
    pub async fn replay_next(&self) -> Result<bool> {
        if self.models().is_err() {
            return Ok(false);
        }
        let limits = self.limits();
        let lease = limits.read + limits.load + limits.trial + SLACK;
        let (taken, promotion) = {
            let mut conn = self.conn().await?;
            store::promotion::end_replays_of_ended(&mut conn, "The promotion ended before it was replayed.").await?;
            let Some(taken) = store::promotion::take_replay(&mut conn, lease).await? else { return Ok(false) };
            let promotion = store::promotion::by_id(&mut conn, taken.promotion_id).await?;
            (taken, promotion.ok_or_else(Error::internal)?)
        };
        let begun = Instant::now();
        match self.replay(&taken, &promotion).await {
            Ok(ended) => {
                metrics::histogram!("slipway_replay_duration_seconds").record(begun.elapsed().as_secs_f64());
                self.end_replay(&taken, promotion.id, ended).await?;
            }
            Err(error) if error.kind == ErrorKind::Unavailable => {
                let mut conn = self.conn().await?;
                store::promotion::rest_replay(&mut conn, &taken, REST, &error.message).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Asks the candidate what was asked of the champion. Takes as long as the limits allow: never within a transaction.
    async fn replay(&self, taken: &TakenReplay, promotion: &Promotion) -> Result<EndedReplay> {
        let mut conn = self.conn().await?;
        let present = match Present::read(&mut conn, promotion).await? {
            Ok(present) => present,
            Err(sentence) => return Ok(failed(None, sentence)),
        };
        let mut about = about(&present);
        if taken.tries > MOST_TRIES {
            let reason = "It was begun several times and did not come to an end, so it was given up.".to_owned();
            return Ok(failed(Some(about), reason));
        }
        let (Some(champion), Some(title)) = (&present.champion, present.champion_title()) else {
            return Ok(nothing(about, no_champion(promotion)));
        };
        let (environment, version) = (promotion.environment_id, champion.model_version_id);
        let wanted = i64::from(taken.wanted);
        let predictions =
            store::prediction::newest_of_version(&mut conn, environment, version, wanted, MOST_BYTES).await?;
        about.first_at = predictions.last().map(|(prediction, _)| prediction.at);
        about.last_at = predictions.first().map(|(prediction, _)| prediction.at);
        let Some(first_at) = about.first_at else {
            let reason = format!("No prediction of {title} in {} is recorded.", promotion.environment);
            return Ok(nothing(about, reason));
        };
        let refused =
            store::prediction::refused_of_version(&mut conn, environment, version, first_at, MOST_REFUSED).await?;
        drop(conn);

        let names = |signature: Option<&domain::model::Signature>| signature.map(feature_names).unwrap_or_default();
        let asked = Asked {
            predictions,
            wanted: usize::try_from(taken.wanted).unwrap_or_default(),
            names: names(present.candidate.signature.as_ref()),
            order: names(present.champion_candidate.as_ref().and_then(|champion| champion.signature.as_ref())),
            champion: title,
        };
        let model = match self.load_in_time(&present.files).await {
            Ok(Some((_, model))) => model,
            Ok(None) => return Ok(failed(Some(about), self.loads_too_long())),
            Err(error) if error.kind == ErrorKind::Invalid => return Ok(failed(Some(about), error.message)),
            Err(error) => return Err(error),
        };
        let limit = self.limits().trial;
        let found = found(model, asked, usize::try_from(refused).unwrap_or_default(), limit).await?;
        Ok(match found {
            Ok(found) => {
                let (state, reason) = (ReplayState::Done, String::new());
                EndedReplay { state, reason, about: Some(about), found: Some(found) }
            }
            Err(sentence) => failed(Some(about), sentence),
        })
    }

    /// Writes down how a replay ended, unless that is no longer asked for.
    async fn end_replay(&self, taken: &TakenReplay, id: PromotionId, ended: EndedReplay) -> Result<()> {
        let mut tx = self.begin().await?;
        let promotion = store::promotion::lock(&mut tx, id).await?.ok_or_else(Error::internal)?;
        if !promotion.state.is_open() {
            return Ok(());
        }
        if !store::promotion::end_replay(&mut tx, id, taken.round, &ended).await? {
            return Ok(());
        }
        if let Some((found, _)) = &ended.found {
            let candidate = candidate_of(&mut tx, &promotion).await?;
            let champion = ended.about.as_ref().and_then(|about| about.champion).unwrap_or_default();
            let summary = format!(
                "replayed the last {} decisions of v{champion} on {}: {} flip",
                found.all.rows,
                promotion.version_title(),
                found.all.flips
            );
            let event = event("promotion.replayed", &promotion, &candidate, summary).details(serde_json::json!({
                "rows": found.all.rows, "flips": found.all.flips, "about": ended.about,
                "digest": Digest::of_json(found).map_err(unexpected)?,
            }));
            write_as_system(event, &mut tx, &promotion).await?;
        }
        announce(&mut tx, &promotion).await?;
        commit(tx).await
    }
}

/// What the candidate decides otherwise, within a limit.
async fn found(
    model: Arc<Model>,
    asked: Asked,
    refused: usize,
    limit: Duration,
) -> Result<OrSentence<(Replay, Vec<domain::promotion::ReplayExample>)>> {
    let deadline = Instant::now() + limit;
    let too_long = format!("The candidate did not come to them within {}.", seconds(limit));
    let asking = tokio::task::spawn_blocking(move || {
        let mut answers = Answers::default();
        let unanswered = format!("{} did not answer the request.", asked.champion);
        ask(&model, asked, deadline, &too_long, &mut answers)?;
        if answers.both.is_empty() {
            let reason = answers.skipped.into_iter().max_by_key(|(_, rows)| *rows);
            let why = reason.map_or_else(String::new, |(reason, _)| format!(" {reason}"));
            return Ok(Err(format!("None of them could be replayed.{why}")));
        }
        answers.skip(refused, unanswered);
        Ok::<_, Error>(Replay::of(&answers.both, model.outputs(), answers.skipped))
    });
    match timeout_at((deadline + GRACE).into(), asking).await {
        Ok(found) => found.map_err(|error| {
            tracing::error!(%error, "replaying predictions failed");
            Error::internal()
        })?,
        Err(_) => Ok(Err(format!("The candidate did not answer within {}.", seconds(limit)))),
    }
}

/// Asks the candidate prediction by prediction, until the deadline.
fn ask(model: &Model, asked: Asked, deadline: Instant, too_long: &str, answers: &mut Answers) -> Result<()> {
    let mut left = asked.wanted;
    for (prediction, left_out) in asked.predictions {
        let rows = usize::try_from(prediction.rows).unwrap_or_default().max(1).min(left);
        left -= rows;
        let (Value::Object(features), Value::Object(before)) = (prediction.features, prediction.output) else {
            answers.skip(rows, "What was asked is not recorded.");
            continue;
        };
        let reason = if left_out {
            Some("Together with the others it is too large to be replayed.")
        } else if features.is_empty() || before.is_empty() {
            Some("It is too large to be recorded: what was asked is not known.")
        } else if features.values().any(has_cut_text) {
            Some("A long text was cut when it was recorded.")
        } else if deadline <= Instant::now() {
            Some(too_long)
        } else {
            None
        };
        if let Some(reason) = reason {
            answers.skip(rows, reason);
            continue;
        }
        match answer(model, &features, &asked.names, &asked.order, deadline) {
            Ok(Some(after)) => answers.both.push(AnsweredTwice {
                id: prediction.id,
                request_id: prediction.request_id,
                at: prediction.at,
                rows,
                features,
                before,
                after,
            }),
            Ok(None) => answers.skip(rows, too_long),
            Err(error) if error.kind == ErrorKind::Invalid => answers.skip(rows, error.message),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What the candidate answers; none when the time is over. One that takes fewer rows at once is asked row by row.
fn answer(
    model: &Model,
    features: &Map<String, Value>,
    names: &[String],
    order: &[String],
    deadline: Instant,
) -> Result<Option<Map<String, Value>>> {
    let request = asked_again(features, model.inputs(), names, order)?;
    let requests = match request.check(model.inputs(), model.outputs()) {
        Ok(()) => vec![request],
        Err(error) => single_rows(&request, model).ok_or(error)?,
    };
    let mut all: Map<String, Value> = Map::new();
    for request in requests {
        let answer = match model.infer(&request, deadline) {
            Err(serving::Error::TooLong) => return Ok(None),
            answer => answer?,
        };
        for (name, column) in columns(&answer, &[]) {
            match (all.get_mut(&name), column) {
                (Some(Value::Array(known)), Value::Array(more)) => known.extend(more),
                (_, column) => drop(all.insert(name, column)),
            }
        }
    }
    Ok(Some(all))
}

/// A request of several rows as one for each, if the model takes those.
fn single_rows(request: &InferRequest, model: &Model) -> Option<Vec<InferRequest>> {
    let rows: Option<Vec<InferRequest>> = (0..request.rows()).map(|row| request.row(row)).collect();
    rows.filter(|rows| rows.len() > 1 && rows.iter().all(|row| row.check(model.inputs(), model.outputs()).is_ok()))
}

/// Whether a column has a text that was cut when it was recorded.
fn has_cut_text(column: &Value) -> bool {
    match column {
        Value::Array(items) => items.iter().any(has_cut_text),
        Value::String(text) => text.len() > MOST_OF_TEXT && text.ends_with('…'),
        _ => false,
    }
}
