//! Recording predictions behind the answers: a bounded queue and one writer. When the queue is full, predictions are
//! dropped and counted rather than answers slowed.

use crate::{Ctx, Result, Services, endpoint::LiveEndpoint};
use chrono::{DateTime, Utc};
use domain::{
    Error, Page,
    deployment::Prediction,
    id::{DeploymentId, PredictionId},
    inference::{Tensor, columns},
    page,
};
use sqlx::PgPool;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// The most values, over all predictions, that wait to be written.
const MOST_VALUES: usize = 8 << 20;
/// The most predictions in one statement.
const BATCH: usize = 500;
/// Of a prediction with more rows, these many first ones are recorded.
const MOST_ROWS: usize = 1000;

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

impl Answered {
    fn values(&self) -> usize {
        self.features.iter().chain(&self.output).map(|tensor| tensor.data.len()).sum::<usize>() + 1
    }

    fn into_prediction(self) -> Prediction {
        let rows = self.features.first().map_or(0, Tensor::rows);
        let cut = |mut columns: serde_json::Map<String, serde_json::Value>| {
            if rows > MOST_ROWS {
                for cells in columns.values_mut().filter_map(serde_json::Value::as_array_mut) {
                    cells.truncate(MOST_ROWS);
                }
            }
            serde_json::Value::Object(columns)
        };
        Prediction {
            id: self.id,
            request_id: self.request_id,
            deployment_id: self.deployment_id,
            version: self.version,
            at: self.at,
            status: i16::try_from(self.status).unwrap_or(i16::MAX),
            latency_us: i32::try_from(self.latency.as_micros()).unwrap_or(i32::MAX),
            rows: i32::try_from(rows.min(MOST_ROWS)).unwrap_or(i32::MAX),
            features: cut(columns(&self.features, &self.feature_names)),
            output: cut(columns(&self.output, &[])),
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
    waiting: Arc<AtomicUsize>,
}

impl Recorder {
    /// Starts the writer. It ends when the last queue is dropped.
    pub(crate) fn start(pool: PgPool) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        tokio::spawn(write(pool, receiver, Arc::clone(&waiting)));
        Self { sender, waiting }
    }

    /// Queues a prediction; drops it when too much waits.
    pub(crate) fn record(&self, answered: Answered) {
        let values = answered.values();
        if self.waiting.fetch_add(values, Ordering::Relaxed) > MOST_VALUES {
            self.waiting.fetch_sub(values, Ordering::Relaxed);
            metrics::counter!("slipway_predictions_dropped_total").increment(1);
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
        let mut predictions = Vec::with_capacity(entries.len());
        let mut flushed = Vec::new();
        for entry in entries.drain(..) {
            match entry {
                Entry::Answered(answered) => {
                    waiting.fetch_sub(answered.values(), Ordering::Relaxed);
                    predictions.push(answered.into_prediction());
                }
                Entry::Flush(done) => flushed.push(done),
            }
        }
        insert(&pool, &predictions).await;
        for done in flushed {
            let _ = done.send(());
        }
    }
}

/// Writes a batch; tries for half a minute while the database is away.
async fn insert(pool: &PgPool, predictions: &[Prediction]) {
    if predictions.is_empty() {
        return;
    }
    for _ in 0..30 {
        let written = async {
            let mut conn = pool.acquire().await.map_err(store::Error::from)?;
            store::prediction::insert(&mut conn, predictions).await
        };
        match written.await {
            Ok(()) => return,
            Err(error @ (store::Error::Unavailable(_) | store::Error::Contention)) => {
                tracing::warn!(%error, "predictions wait to be recorded");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => {
                tracing::error!(%error, "predictions could not be recorded");
                break;
            }
        }
    }
    metrics::counter!("slipway_predictions_dropped_total").increment(predictions.len() as u64);
}

impl Services {
    /// Waits until every prediction that was answered up to now is recorded: before the process stops.
    pub async fn flush_predictions(&self) {
        self.predictions.flush().await;
    }

    /// The predictions of a model in an environment, newest first.
    ///
    /// # Errors
    /// `NotFound` when the model has never served there, `Invalid` for a page token that is not of this list.
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
        let monitor = store::monitor::find(&mut conn, ctx.workspace_id(), environment, model)
            .await?
            .ok_or_else(|| never_served(environment, model))?;
        let found =
            store::prediction::list(&mut conn, monitor.environment_id, monitor.model_id, before, limit as i64 + 1)
                .await?;
        Ok(Page::cut(found, limit, |prediction| (prediction.at, prediction.id)))
    }

    /// Records an answer, or a refusal, of an endpoint.
    pub(crate) fn record(&self, endpoint: &LiveEndpoint, answered: Answered) {
        let labels = [
            ("workspace", endpoint.workspace.clone()),
            ("model", endpoint.model.clone()),
            ("version", endpoint.version.to_string()),
            ("environment", endpoint.environment.clone()),
        ];
        let mut counted = labels.to_vec();
        counted.push(("code", answered.status.to_string()));
        metrics::counter!("slipway_inference_requests_total", &counted).increment(1);
        if answered.status == 200 {
            metrics::histogram!("slipway_inference_duration_seconds", &labels).record(answered.latency.as_secs_f64());
        }
        self.predictions.record(answered);
    }
}

pub(crate) fn never_served(environment: &str, model: &str) -> Error {
    Error::new(domain::ErrorKind::NotFound, format!("Model \"{model}\" has never served in {environment}."))
}
