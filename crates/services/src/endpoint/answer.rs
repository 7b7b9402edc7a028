//! Answering a request with the model of an endpoint, and recording it.

use super::{LiveEndpoint, Outcome};
use crate::{
    Result, Services,
    admission::{Admitted, GRACE},
    boxed,
    prediction::{Answered, recorded},
};
use bytes::Bytes;
use chrono::Utc;
use domain::{
    Error, ErrorKind,
    id::PredictionId,
    inference::{InferRequest, InferResponse, Invocation, Tensor},
};
use std::{sync::Arc, time::Instant};
use tokio::{task::JoinHandle, time::timeout_at};

impl Services {
    /// Answers a request of the Open Inference Protocol: its body as it came.
    #[boxed]
    pub async fn infer(&self, admitted: Admitted, body: Bytes) -> Outcome {
        self.answer(admitted, move |_| InferRequest::parse(&body)).await
    }

    /// Answers a request in MLflow's form: its body as it came.
    #[boxed]
    pub async fn invoke(&self, admitted: Admitted, body: Bytes) -> Outcome {
        self.answer(admitted, move |endpoint| {
            Invocation::parse(&body)?.into_request(endpoint.loaded.inputs(), &endpoint.feature_names)
        })
        .await
    }

    async fn answer(
        &self,
        admitted: Admitted,
        read: impl FnOnce(&LiveEndpoint) -> Result<InferRequest> + Send + 'static,
    ) -> Outcome {
        let (started, at, prediction_id) = (Instant::now(), Utc::now(), PredictionId::new());
        let endpoint = Arc::clone(&admitted.endpoint);
        let limit = self.limits().inference;
        let computed = compute(admitted, read, started + limit).await.unwrap_or_else(|error| Computed {
            outputs: Err(error.unwrap_or_else(|| endpoint.too_long(limit))),
            ..Computed::default()
        });
        let latency = started.elapsed();
        let status = match &computed.outputs {
            Ok(_) => 200,
            Err(error) if error.kind == ErrorKind::Invalid => 400,
            Err(error) if error.kind == ErrorKind::Unavailable => 503,
            Err(_) => 500,
        };
        let answered = Answered {
            id: prediction_id,
            deployment_id: endpoint.deployment_id,
            version: endpoint.version,
            request_id: computed.request_id.clone(),
            at,
            status,
            latency,
            features: computed.features,
            feature_names: Arc::clone(&endpoint.feature_names),
            output: computed.recorded,
        };
        self.record(&endpoint, answered);
        let answer = computed.outputs.map(|outputs| InferResponse {
            model_name: endpoint.model.clone(),
            model_version: Some(endpoint.version.to_string()),
            id: Some(computed.request_id.unwrap_or_else(|| prediction_id.to_string())),
            outputs,
        });
        Outcome { prediction_id, answer }
    }
}

/// What a model made of a request.
struct Computed {
    request_id: Option<String>,
    /// What is recorded of what it was asked: nothing when it did not answer. What was refused may be anything, of any
    /// size, and says nothing about the model.
    features: Vec<Tensor>,
    /// What is recorded of its answer.
    recorded: Vec<Tensor>,
    outputs: Result<Vec<Tensor>>,
}

impl Default for Computed {
    fn default() -> Self {
        Self { request_id: None, features: Vec::new(), recorded: Vec::new(), outputs: Ok(Vec::new()) }
    }
}

/// Reads a request and lets its model answer, when its turn comes before the deadline. An error is none when the time was
/// over.
async fn compute(
    admitted: Admitted,
    read: impl FnOnce(&LiveEndpoint) -> Result<InferRequest> + Send + 'static,
    deadline: Instant,
) -> std::result::Result<Computed, Option<Error>> {
    let endpoint = Arc::clone(&admitted.endpoint);
    // Whoever waits holds no thread: those are few, and everything else needs them too.
    let turn = timeout_at(deadline.into(), Arc::clone(&endpoint.turns).acquire_owned()).await.map_err(|_| None)?;
    // Reading a large body and computing both take a processor for a while.
    let computing: JoinHandle<std::result::Result<Computed, Option<Error>>> = tokio::task::spawn_blocking(move || {
        // Held until the model is done, also when nobody waits for it any more.
        let (_admitted, _turn) = (admitted, turn);
        let request = match read(&endpoint) {
            Ok(request) => request,
            Err(error) => return Err(Some(error)),
        };
        let outputs = match endpoint.loaded.infer(&request, deadline) {
            Err(serving::Error::TooLong) => return Err(None),
            outputs => outputs.map_err(Error::from),
        };
        let (features, recorded) = match &outputs {
            Ok(outputs) => (recorded(&request.inputs), recorded(outputs)),
            Err(_) => (Vec::new(), Vec::new()),
        };
        Ok(Computed { request_id: request.id, features, recorded, outputs })
    });
    timeout_at((deadline + GRACE).into(), computing).await.map_err(|_| None)?.unwrap_or_else(|error| {
        tracing::error!(%error, "an inference failed");
        Err(Some(Error::internal()))
    })
}
