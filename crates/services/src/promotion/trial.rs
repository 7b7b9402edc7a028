//! Trying a version in the engine that will serve it: loading it, and replaying its golden rows.

use super::present::{OrSentence, Present};
use crate::{
    Result, Services,
    admission::{GRACE, seconds},
};
use artifacts::Error as Trouble;
use domain::{
    Digest, Error, ErrorKind,
    inference::{Tensor, feature_names},
    model::{Signature, VersionFile},
    policy::{GateSpec, PolicySet},
    promotion::{
        Finding, Verdict,
        golden::{self, Golden},
    },
};
use std::time::Instant;
use tokio::time::timeout_at;

/// What came of it: what is known of the version, whichever worker tries it.
pub(super) enum Trial {
    /// It cannot be loaded; a sentence.
    Refused(String),
    /// It was stopped, because it took too long to load or to answer; a sentence.
    TooLong(String),
    /// It is loaded and can answer.
    Loaded(Rows),
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
            Self::TooLong(why) | Self::Loaded(Rows::Unreadable(why)) => golden::unknown(tolerance, why),
            Self::Refused(why) | Self::Loaded(Rows::Refused(why)) => golden::refused(tolerance, why, digest),
            Self::Loaded(Rows::Answered(golden, answer)) => golden.compare(answer, tolerance, digest),
        }
    }

    /// Why a version that was tried must not serve; none when it may. Golden rows that nobody asks for need only be
    /// answered.
    pub(super) fn objection(&self, present: &Present, policies: &PolicySet) -> Option<String> {
        match self {
            Self::Refused(why) | Self::TooLong(why) | Self::Loaded(Rows::Refused(why)) => Some(why.clone()),
            Self::Loaded(Rows::Unreadable(_)) => None,
            Self::Loaded(Rows::Answered(..)) => policies.gates().find_map(|(_, gate)| match gate {
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
    /// Loads a version and replays its golden rows. Takes as long as the limits allow: never within a transaction.
    ///
    /// # Errors
    /// `Unavailable` when that cannot be done here and now: this process has no engine, or the artifact store does not
    /// answer. It says nothing of the version; another worker can, or this one later.
    pub(super) async fn try_version(&self, present: &Present) -> Result<Trial> {
        self.try_files(&present.files, present.candidate.signature.as_ref()).await
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

    /// Loads these files and replays the golden rows among them.
    pub(super) async fn try_files(&self, files: &[VersionFile], signature: Option<&Signature>) -> Result<Trial> {
        let model = match self.load_in_time(files).await {
            Ok(Some((_, model))) => model,
            Ok(None) => return Ok(Trial::TooLong(self.loads_too_long())),
            Err(error) if error.kind == ErrorKind::Invalid => return Ok(Trial::Refused(error.message)),
            Err(error) => return Err(error),
        };
        let golden = match self.golden_rows(files).await? {
            Ok(golden) => golden,
            Err(sentence) => return Ok(Trial::Loaded(Rows::Unreadable(sentence))),
        };
        let features = signature.map(feature_names).unwrap_or_default();
        let limit = self.limits().trial;
        let deadline = Instant::now() + limit;
        let asked = tokio::task::spawn_blocking(move || {
            let request = golden.request(model.inputs(), model.outputs(), &features)?;
            match model.infer(&request, deadline) {
                Err(serving::Error::TooLong) => Ok(None),
                answer => Ok::<_, Error>(Some((golden, answer?))),
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
            Ok(Some((golden, answer))) => Ok(Trial::Loaded(Rows::Answered(golden, answer))),
            Ok(None) => {
                Ok(Trial::TooLong(format!("The model did not answer its golden rows within {}.", seconds(limit))))
            }
            Err(error) if error.kind == ErrorKind::Invalid => Ok(Trial::Loaded(Rows::Refused(error.message))),
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
