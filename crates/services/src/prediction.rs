//! Recording predictions behind the answers: a bounded queue and one writer. When the queue is full, predictions are
//! dropped and counted rather than answers slowed.
//!
//! What is recorded of a prediction is bounded before it is queued: of many rows the first ones, of a long text its
//! beginning with `…` at the end, and of a row that is larger than anybody looks at, nothing but that it was asked about.

use crate::{Ctx, Result, Services, boxed, endpoint::LiveEndpoint};
use chrono::{DateTime, Utc};
use domain::{
    Error, Page,
    deployment::Prediction,
    id::{DeploymentId, PredictionId},
    inference::{Tensor, TensorData, columns},
    page,
};
use serde_json::Value;
use sqlx::PgPool;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// The most bytes, over all predictions, that wait to be written.
const MOST_WAITING: usize = 64 << 20;
/// The most predictions in one statement.
const BATCH: usize = 500;
/// From so many bytes on a statement takes no further prediction.
const STATEMENT: usize = 8 << 20;
/// Of a prediction with more rows, these many first ones are recorded.
const MOST_ROWS: usize = 1000;
/// Of a prediction with more bytes, the first rows with so many are recorded, of its features and of its output.
const MOST_BYTES: usize = 4 << 20;
/// The values of a larger row are not recorded: it is an image or the like, which no page shows and no check compares.
const MOST_OF_ROW: usize = 64 << 10;
/// A longer text is cut.
pub(crate) const MOST_OF_TEXT: usize = 1 << 10;
/// What a number takes when it is written, and what a text takes beside its letters.
const OF_VALUE: usize = 16;
/// What a prediction takes beside its values.
const OF_PREDICTION: usize = 512;

/// What is known of an answer when it is sent.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) id: PredictionId,
    pub(crate) deployment_id: DeploymentId,
    pub(crate) version: i32,
    pub(crate) request_id: Option<String>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) status: u16,
    pub(crate) latency: Duration,
    pub(crate) features: Vec<Tensor>,
    pub(crate) feature_names: Arc<[String]>,
    pub(crate) output: Vec<Tensor>,
}

/// What is recorded of tensors.
pub(crate) fn recorded(tensors: &[Tensor]) -> Vec<Tensor> {
    let rows = tensors.first().map_or(0, Tensor::rows).max(1);
    let row = tensors.iter().map(weight).sum::<usize>() / rows;
    if row > MOST_OF_ROW {
        return Vec::new();
    }
    let kept = MOST_ROWS.min(MOST_BYTES / row.max(1));
    tensors.iter().map(|tensor| tensor.head(kept, MOST_OF_TEXT)).collect()
}

/// About how many bytes the values of a tensor take when they are written, its long texts being cut.
fn weight(tensor: &Tensor) -> usize {
    match &tensor.data {
        TensorData::Bytes(texts) => texts.iter().map(|text| text.len().min(MOST_OF_TEXT) + OF_VALUE).sum(),
        data => data.len() * OF_VALUE,
    }
}

/// A text of a model as the database takes it.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

impl Answered {
    fn weight(&self) -> usize {
        self.features.iter().chain(&self.output).map(weight).sum::<usize>() + OF_PREDICTION
    }

    fn into_prediction(self) -> Prediction {
        let rows = self.features.first().map_or(0, Tensor::rows);
        let clean = |mut tensors: Vec<Tensor>| {
            for tensor in &mut tensors {
                if let TensorData::Bytes(texts) = &mut tensor.data {
                    texts.iter_mut().filter(|text| text.contains('\0')).for_each(|text| *text = storable(text));
                }
            }
            tensors
        };
        Prediction {
            id: self.id,
            request_id: self.request_id,
            deployment_id: self.deployment_id,
            version: self.version,
            at: self.at,
            status: i16::try_from(self.status).unwrap_or(i16::MAX),
            latency_us: i32::try_from(self.latency.as_micros()).unwrap_or(i32::MAX),
            rows: i32::try_from(rows).unwrap_or(i32::MAX),
            features: Value::Object(columns(&clean(self.features), &self.feature_names)),
            output: Value::Object(columns(&clean(self.output), &[])),
        }
    }
}

enum Entry {
    Answered(Box<Answered>),
    /// Answer when everything before is written.
    Flush(oneshot::Sender<()>),
}

/// The queue to the writer.
#[derive(Clone)]
pub(crate) struct Recorder {
    sender: mpsc::UnboundedSender<Entry>,
    /// Bytes.
    waiting: Arc<AtomicUsize>,
}

impl Recorder {
    /// Starts the writer. It ends when the last queue is dropped.
    pub(crate) fn start(pool: PgPool) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        tokio::spawn(write(pool, receiver, Arc::clone(&waiting)));
        // There from the start: what never happened counts 0.
        dropped(0);
        Self { sender, waiting }
    }

    /// Queues a prediction; drops it when too much waits.
    pub(crate) fn record(&self, answered: Answered) {
        let weight = answered.weight();
        if self.waiting.fetch_add(weight, Ordering::Relaxed) > MOST_WAITING {
            self.waiting.fetch_sub(weight, Ordering::Relaxed);
            dropped(1);
            return;
        }
        // The writer lives as long as this queue.
        let _ = self.sender.send(Entry::Answered(Box::new(answered)));
    }

    async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.sender.send(Entry::Flush(done)).is_ok() {
            let _ = written.await;
        }
    }
}

async fn write(pool: PgPool, mut receiver: mpsc::UnboundedReceiver<Entry>, waiting: Arc<AtomicUsize>) {
    let mut entries = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut entries, BATCH).await > 0 {
        let (mut predictions, mut weight) = (Vec::with_capacity(entries.len()), 0);
        for entry in entries.drain(..) {
            match entry {
                Entry::Answered(answered) => {
                    weight += answered.weight();
                    predictions.push(answered.into_prediction());
                    if weight < STATEMENT {
                        continue;
                    }
                    insert(&pool, &predictions).await;
                }
                Entry::Flush(done) => {
                    insert(&pool, &predictions).await;
                    let _ = done.send(());
                }
            }
            predictions.clear();
            waiting.fetch_sub(std::mem::take(&mut weight), Ordering::Relaxed);
        }
        insert(&pool, &predictions).await;
        waiting.fetch_sub(weight, Ordering::Relaxed);
    }
}

/// Writes predictions in one statement; when the database refuses that, each by itself, so that one that cannot be
/// written takes no other with it.
async fn insert(pool: &PgPool, predictions: &[Prediction]) {
    let Err(error) = insert_once(pool, predictions).await else { return };
    tracing::warn!(%error, count = predictions.len(), "predictions could not be recorded together");
    if is_transient(&error) || predictions.len() == 1 {
        return dropped(predictions.len());
    }
    for one in predictions.chunks(1) {
        if let Err(error) = insert_once(pool, one).await {
            tracing::error!(%error, "a prediction could not be recorded");
            dropped(1);
        }
    }
}

/// Tries for half a minute while the database is away.
async fn insert_once(pool: &PgPool, predictions: &[Prediction]) -> store::Result<()> {
    if predictions.is_empty() {
        return Ok(());
    }
    let mut tries = 30;
    loop {
        let written = async {
            let mut conn = pool.acquire().await?;
            store::prediction::insert(&mut conn, predictions).await
        };
        tries -= 1;
        match written.await {
            Err(error) if tries > 0 && is_transient(&error) => {
                tracing::warn!(%error, "predictions wait to be recorded");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            written => return written,
        }
    }
}

fn is_transient(error: &store::Error) -> bool {
    matches!(error, store::Error::Unavailable(_) | store::Error::Contention)
}

fn dropped(predictions: usize) {
    metrics::counter!("slipway_predictions_dropped_total").increment(predictions as u64);
}

impl Services {
    /// Waits until every prediction that was answered up to now is recorded: before the process stops.
    #[boxed]
    pub async fn flush_predictions(&self) {
        self.predictions.flush().await;
    }

    /// The predictions of a model in an environment, newest first.
    ///
    /// # Errors
    /// `NotFound` when the model has never served there, `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn predictions(
        &self,
        ctx: &Ctx,
        environment: &str,
        model: &str,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Prediction>> {
        let before = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let monitor = store::monitor::find(&mut conn, &ctx.sight(), environment, model)
            .await?
            .ok_or_else(|| never_served(environment, model))?;
        let found =
            store::prediction::list(&mut conn, monitor.environment_id, monitor.model_id, before, limit as i64 + 1)
                .await?;
        Ok(Page::cut(found, limit, |prediction| (prediction.at, prediction.id)))
    }

    /// Records an answer, or a refusal, of an endpoint.
    pub(crate) fn record(&self, endpoint: &LiveEndpoint, answered: Answered) {
        count(endpoint, answered.status);
        if answered.status == 200 {
            metrics::histogram!("slipway_inference_duration_seconds", &labels(endpoint))
                .record(answered.latency.as_secs_f64());
        }
        self.predictions.record(answered);
    }
}

/// Counts a request to an endpoint, by how it was answered.
pub(crate) fn count(endpoint: &LiveEndpoint, status: u16) {
    let mut counted = labels(endpoint).to_vec();
    counted.push(("code", status.to_string()));
    metrics::counter!("slipway_inference_requests_total", &counted).increment(1);
}

fn labels(endpoint: &LiveEndpoint) -> [(&'static str, String); 4] {
    [
        ("workspace", endpoint.workspace.clone()),
        ("model", endpoint.model.clone()),
        ("version", endpoint.version.to_string()),
        ("environment", endpoint.environment.clone()),
    ]
}

pub(crate) fn never_served(environment: &str, model: &str) -> Error {
    Error::new(domain::ErrorKind::NotFound, format!("Model \"{model}\" has never served in {environment}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], data: TensorData) -> Tensor {
        Tensor { name: "x".to_owned(), shape: shape.to_vec(), data }
    }

    #[test]
    fn of_many_rows_the_first_are_recorded() {
        let rows = 5000;
        let x = tensor(&[rows, 2], TensorData::Fp32(vec![0.0; 2 * rows]));
        assert_eq!(recorded(&[x])[0].shape, [MOST_ROWS, 2]);
        let wide = tensor(&[rows, 1000], TensorData::Uint8(vec![0; 1000 * rows]));
        let kept = recorded(&[wide]);
        assert_eq!(kept[0].shape, [MOST_BYTES / 16_000, 1000]);
        assert!(kept.iter().map(weight).sum::<usize>() <= MOST_BYTES);
    }

    #[test]
    fn a_long_text_is_cut_and_a_huge_row_is_left_out() {
        let x = tensor(&[2], TensorData::Bytes(vec!["x".repeat(5 << 20), "short".to_owned()]));
        let TensorData::Bytes(texts) = &recorded(&[x])[0].data else { panic!() };
        assert_eq!((texts[0].len(), texts[0].ends_with('…'), texts[1].as_str()), (MOST_OF_TEXT + 3, true, "short"));

        let image = tensor(&[1, 3, 224, 224], TensorData::Uint8(vec![0; 3 * 224 * 224]));
        assert!(recorded(&[image]).is_empty() && recorded(&[]).is_empty());
    }

    #[test]
    fn what_the_database_cannot_keep_is_replaced() {
        let answered = Answered {
            id: PredictionId::new(),
            deployment_id: DeploymentId::new(),
            version: 1,
            request_id: Some("one".to_owned()),
            at: Utc::now(),
            status: 200,
            latency: Duration::from_millis(1),
            features: Vec::new(),
            feature_names: Arc::default(),
            output: vec![tensor(&[1], TensorData::Bytes(vec!["no\0".to_owned()]))],
        };
        assert_eq!(answered.into_prediction().output, serde_json::json!({ "x": ["no\u{fffd}"] }));
    }
}
