//! Trying a version in the engine that will serve it: loading it, and replaying its golden rows.

use super::present::{OrSentence, Present};
use crate::{
    Result, Services,
    admission::{GRACE, seconds},
};
use artifacts::Error as Trouble;
use domain::{
    Digest, Error, ErrorKind,
    inference::{InferRequest, Tensor, feature_names},
    model::{Signature, VersionFile},
    policy::{GateSpec, PolicySet},
    promotion::{
        Finding, Verdict,
        gate::latency::{self, Timed},
        golden::{self, Golden},
    },
};
use serving::Model;
use std::time::Instant;
use tokio::time::timeout_at;

/// What came of it: what is known of the version, whichever worker tries it.
pub(super) enum Trial {
    /// It cannot be loaded; a sentence.
    Refused(String),
    /// It was stopped, because it took too long to load or to answer; a sentence.
    TooLong(String),
    /// It is loaded and can answer. With how quickly it did, when that was asked.
    Loaded(Rows, Option<Timed>),
}

/// What came of its golden rows.
pub(super) enum Rows {
    /// There are none that can be read; a sentence.
    Unreadable(String),
    /// It does not take them, or has no answer; a sentence.
    Refused(String),
    /// It answered.
    Answered(Golden, Vec<Tensor>),
}

impl Trial {
    /// What the gate on golden rows finds.
    pub(super) fn finding(&self, tolerance: f64, digest: &Digest) -> Finding {
        match self {
            Self::TooLong(why) => golden::unknown(tolerance, why).with(serde_json::json!({ "digest": digest })),
            Self::Loaded(Rows::Unreadable(why), _) => {
                golden::unknown(tolerance, why).with(serde_json::json!({ "digest": digest }))
            }
            Self::Refused(why) | Self::Loaded(Rows::Refused(why), _) => golden::refused(tolerance, why, digest),
            Self::Loaded(Rows::Answered(golden, answer), _) => golden.compare(answer, tolerance, digest),
        }
    }

    /// What a gate on latency finds.
    pub(super) fn latency(&self, percentile: f64, max_ms: f64, requests: u32, digest: &Digest) -> Finding {
        match self {
            Self::Loaded(Rows::Unreadable(why), _) => latency::unknown(percentile, max_ms, why, digest),
            Self::TooLong(why) | Self::Refused(why) | Self::Loaded(Rows::Refused(why), _) => {
                latency::refused(percentile, max_ms, why, digest)
            }
            Self::Loaded(Rows::Answered(..), Some(timed)) => {
                latency::latency_budget(percentile, max_ms, requests, timed, digest)
            }
            Self::Loaded(Rows::Answered(..), None) => {
                latency::unknown(percentile, max_ms, "It could not be measured.", digest)
            }
        }
    }

    /// Why a version that was tried must not serve; none when it may. Golden rows that nobody asks for need only be
    /// answered.
    pub(super) fn objection(&self, present: &Present, policies: &PolicySet) -> Option<String> {
        match self {
            Self::Refused(why) | Self::TooLong(why) | Self::Loaded(Rows::Refused(why), _) => Some(why.clone()),
            Self::Loaded(Rows::Unreadable(_), _) => None,
            Self::Loaded(Rows::Answered(..), _) => policies.gates().find_map(|(_, gate)| match gate {
                GateSpec::GoldenRow { tolerance } => {
                    let finding = self.finding(*tolerance, &present.digest);
                    (finding.verdict != Verdict::Pass).then_some(finding.reason)
                }
                _ => None,
            }),
        }
    }
}

impl Services {
    /// Loads a version and replays its golden rows, and then, one row after the other, as many requests as are to be timed.
    /// Takes as long as the limits allow: never within a transaction.
    ///
    /// # Errors
    /// `Unavailable` when that cannot be done here and now: this process has no engine, or the artifact store does not
    /// answer. It says nothing of the version; another worker can, or this one later.
    pub(super) async fn try_version(&self, present: &Present, requests: Option<u32>) -> Result<Trial> {
        self.try_files(&present.files, present.candidate.signature.as_ref(), requests).await
    }

    /// Why these files are known not to serve; none when they can be loaded, or nothing can be told here.
    pub(crate) async fn refusal(&self, files: &[VersionFile]) -> Result<Option<String>> {
        match self.load_in_time(files).await {
            Ok(_) => Ok(None),
            Err(error) if error.kind == ErrorKind::Invalid => Ok(Some(error.message)),
            Err(error) if error.kind == ErrorKind::Unavailable => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Loads these files, replays the golden rows among them, and times so many requests.
    pub(super) async fn try_files(
        &self,
        files: &[VersionFile],
        signature: Option<&Signature>,
        requests: Option<u32>,
    ) -> Result<Trial> {
        let model = match self.load_in_time(files).await {
            Ok(Some((_, model))) => model,
            Ok(None) => return Ok(Trial::TooLong(self.loads_too_long())),
            Err(error) if error.kind == ErrorKind::Invalid => return Ok(Trial::Refused(error.message)),
            Err(error) => return Err(error),
        };
        let golden = match self.golden_rows(files).await? {
            Ok(golden) => golden,
            Err(sentence) => return Ok(Trial::Loaded(Rows::Unreadable(sentence), None)),
        };
        let features = signature.map(feature_names).unwrap_or_default();
        let limit = self.limits().trial;
        let deadline = Instant::now() + limit;
        let asked = tokio::task::spawn_blocking(move || {
            let request = golden.request(model.inputs(), model.outputs(), &features)?;
            match model.infer(&request, deadline) {
                Err(serving::Error::TooLong) => Ok(None),
                answer => {
                    let answer = answer?;
                    let timed = requests.map(|requests| time(&model, &request, requests, deadline)).transpose()?;
                    Ok::<_, Error>(Some((golden, answer, timed)))
                }
            }
        });
        let answered = match timeout_at((deadline + GRACE).into(), asked).await {
            Ok(asked) => asked.map_err(|error| {
                tracing::error!(%error, "replaying golden rows failed");
                Error::internal()
            })?,
            Err(_) => Ok(None),
        };
        match answered {
            Ok(Some((golden, answer, timed))) => Ok(Trial::Loaded(Rows::Answered(golden, answer), timed)),
            Ok(None) => {
                Ok(Trial::TooLong(format!("The model did not answer its golden rows within {}.", seconds(limit))))
            }
            Err(error) if error.kind == ErrorKind::Invalid => Ok(Trial::Loaded(Rows::Refused(error.message), None)),
            Err(error) => Err(error),
        }
    }

    /// The golden rows among a version's files, or why there are none that can be read.
    async fn golden_rows(&self, files: &[VersionFile]) -> Result<OrSentence<Golden>> {
        let named = |name: &'static str| Some((name, files.iter().find(|file| file.path == name)?));
        let Some((name, file)) = golden::FILES.into_iter().find_map(named) else {
            return Ok(Err(
                "The version has no golden rows: log the model with an input example, or with a golden.json \
                           of inputs and outputs."
                    .to_owned(),
            ));
        };
        let bytes = match self.artifacts.get_bytes(&file.digest, golden::MAX_FILE_BYTES).await {
            Ok(bytes) => bytes,
            Err(error @ Trouble::Store(_)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, digest = %file.digest, "golden rows cannot be read");
                return Ok(Err(format!("{name} cannot be read from the artifact store.")));
            }
        };
        Ok(Golden::parse(name, &bytes).map_err(|error| error.message))
    }
}

/// Times requests of a row each, one after the other, after a warm-up, until the deadline at most. A model that takes only
/// as many rows at once as its golden rows are gets all of them each time.
fn time(model: &Model, golden: &InferRequest, requests: u32, deadline: Instant) -> Result<Timed> {
    let fits = |request: &InferRequest| request.check(model.inputs(), model.outputs()).is_ok();
    let single: Vec<InferRequest> =
        (0..golden.rows().min(requests as usize)).filter_map(|row| golden.row(row)).filter(fits).collect();
    let asks = if single.is_empty() { std::slice::from_ref(golden) } else { single.as_slice() };
    let warm_up = latency::warm_up(requests);
    let mut timed = Timed {
        warm_up,
        times: Vec::with_capacity(requests as usize),
        finished: false,
        rows: asks.first().map_or(0, InferRequest::rows),
    };
    for (at, request) in asks.iter().cycle().take(warm_up + requests as usize).enumerate() {
        let begun = Instant::now();
        match model.infer(request, deadline) {
            Err(serving::Error::TooLong) => return Ok(timed),
            answer => drop(answer?),
        }
        if at >= warm_up {
            timed.times.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
    }
    timed.finished = true;
    Ok(timed)
}
