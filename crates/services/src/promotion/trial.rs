//! Trying a version in the engine that will serve it: loading it, and replaying its golden rows.

use super::present::{OrSentence, Present};
use crate::{Result, Services};
use domain::{
    Digest, Error, ErrorKind,
    environment::GateSpec,
    inference::{Tensor, feature_names},
    model::{Signature, VersionFile},
    promotion::{
        Finding, Verdict,
        golden::{self, Golden},
    },
};

/// What came of it.
pub(super) enum Trial {
    /// The engine, or the file, is not to be had here; a sentence.
    NotTried(String),
    /// It cannot be loaded; a sentence.
    Refused(String),
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
            Self::NotTried(why) | Self::Loaded(Rows::Unreadable(why)) => golden::unknown(tolerance, why),
            Self::Refused(why) | Self::Loaded(Rows::Refused(why)) => golden::refused(tolerance, why, digest),
            Self::Loaded(Rows::Answered(golden, answer)) => golden.compare(answer, tolerance, digest),
        }
    }

    /// Why a version that was tried must not serve; none when it may. Golden rows that nobody asks for need only be
    /// answered.
    pub(super) fn objection(&self, present: &Present) -> Option<String> {
        match self {
            Self::NotTried(why) | Self::Refused(why) | Self::Loaded(Rows::Refused(why)) => Some(why.clone()),
            Self::Loaded(Rows::Unreadable(_)) => None,
            Self::Loaded(Rows::Answered(..)) => present.policy.document.gates.iter().find_map(|gate| match gate {
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
    /// Loads a version and replays its golden rows. Takes as long as that takes: never within a transaction.
    pub(super) async fn try_version(&self, present: &Present) -> Result<Trial> {
        self.try_files(&present.files, present.candidate.signature.as_ref()).await
    }

    /// Why these files are known not to serve; none when they do, or nothing can be told here.
    pub(crate) async fn refusal(&self, files: &[VersionFile], signature: Option<&Signature>) -> Result<Option<String>> {
        Ok(match self.try_files(files, signature).await? {
            Trial::Refused(why) => Some(why),
            Trial::NotTried(_) | Trial::Loaded(_) => None,
        })
    }

    /// The same, of these files.
    pub(super) async fn try_files(&self, files: &[VersionFile], signature: Option<&Signature>) -> Result<Trial> {
        if let Err(error) = self.models() {
            return Ok(Trial::NotTried(error.message));
        }
        let model = match self.load_model(files).await {
            Ok((_, model)) => model,
            Err(error) if error.kind == ErrorKind::Invalid => return Ok(Trial::Refused(error.message)),
            Err(error) if error.kind == ErrorKind::Unavailable => return Ok(Trial::NotTried(error.message)),
            Err(error) => return Err(error),
        };
        let golden = match self.golden_rows(files).await? {
            Ok(golden) => golden,
            Err(sentence) => return Ok(Trial::Loaded(Rows::Unreadable(sentence))),
        };
        let features = signature.map(feature_names).unwrap_or_default();
        let asked = tokio::task::spawn_blocking(move || {
            let request = golden.request(model.inputs(), model.outputs(), &features)?;
            let answer = model.infer(&request)?;
            Ok::<_, Error>((golden, answer))
        });
        let answered = asked.await.map_err(|error| {
            tracing::error!(%error, "replaying golden rows failed");
            Error::internal()
        })?;
        match answered {
            Ok((golden, answer)) => Ok(Trial::Loaded(Rows::Answered(golden, answer))),
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
            Err(error) => {
                tracing::warn!(%error, digest = %file.digest, "golden rows cannot be read");
                return Ok(Err(format!("{name} cannot be read from the artifact store.")));
            }
        };
        Ok(Golden::parse(name, &bytes).map_err(|error| error.message))
    }
}
