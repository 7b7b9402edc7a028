//! One model in memory, and the sessions that answer for it.

use crate::{
    engine::Engine,
    error::{Error, harmless, refused},
    onnx, tensor,
};
use domain::inference::{InferRequest, Tensor, TensorSpec};
use ort::session::{Session, SessionInputValue};
use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// A loaded model. Callers share it behind an `Arc`.
///
/// A session of the runtime answers one caller at a time, so there is a session for each processor; those beyond the
/// first are opened when callers meet. Each computes in the caller's thread alone: requests are small, and other callers
/// use the other processors.
pub struct Model {
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    engine: Engine,
    files: Files,
    sessions: Mutex<Sessions>,
    returned: Condvar,
    most_sessions: usize,
}

struct Sessions {
    idle: Vec<Session>,
    /// Idle, in use or being opened.
    open: usize,
}

/// What a model was loaded from, kept for the sessions that are opened later.
struct Files {
    onnx: Vec<u8>,
    beside: Vec<(String, Arc<[u8]>)>,
}

impl Model {
    /// Loads a model from the content of an ONNX file.
    ///
    /// # Errors
    /// [`Error::Model`], when the bytes are no model or one that cannot be served; says why.
    pub fn from_bytes(engine: &Engine, onnx: impl Into<Vec<u8>>) -> Result<Self, Error> {
        Self::from_files(engine, onnx, Vec::new())
    }

    /// Loads a model that keeps weights in files beside it, as MLflow logs larger ones; each with its name relative to the
    /// ONNX file. Files that it does not name are left out.
    ///
    /// # Errors
    /// [`Error::Model`], also when it names a file that is not among these.
    pub fn from_files(
        engine: &Engine,
        onnx: impl Into<Vec<u8>>,
        beside: Vec<(String, Arc<[u8]>)>,
    ) -> Result<Self, Error> {
        let mut files = Files { onnx: onnx.into(), beside };
        let named = onnx::files_beside(&files.onnx)?;
        if let Some(missing) = named.iter().find(|name| !files.beside.iter().any(|(beside, _)| beside == *name)) {
            return Err(Error::Model(format!(
                "The model keeps weights in \"{missing}\", which is not among its files; upload it beside the model, or save \
                 the model as one file (save_as_external_data=False)."
            )));
        }
        files.beside.retain(|(name, _)| named.contains(name));
        let session = open(engine, &files).map_err(|cause| refused(&cause))?;
        let specs = |kind, outlets: &[_]| {
            outlets.iter().map(|outlet| tensor::spec(kind, outlet)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            inputs: specs("Input", session.inputs())?,
            outputs: specs("Output", session.outputs())?,
            engine: engine.clone(),
            files,
            sessions: Mutex::new(Sessions { idle: vec![session], open: 1 }),
            returned: Condvar::new(),
            most_sessions: thread::available_parallelism().map_or(1, usize::from),
        })
    }

    /// What the model takes.
    #[must_use]
    pub fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    /// What it gives.
    #[must_use]
    pub fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    /// Answers a request: the outputs that it names, in its order, or all of them.
    ///
    /// This computes in the calling thread, and waits when every processor is busy with this model: call it where
    /// blocking is allowed.
    ///
    /// # Errors
    /// [`Error::Request`] when the request does not fit the model, [`Error::Values`] when the model has no answer for its
    /// values, [`Error::Engine`] when the engine fails.
    pub fn infer(&self, request: &InferRequest) -> Result<Vec<Tensor>, Error> {
        request.check(&self.inputs, &self.outputs).map_err(Error::Request)?;
        let inputs = request
            .inputs
            .iter()
            .map(|input| Ok((Cow::from(input.name.as_str()), tensor::to_engine(input)?)))
            .collect::<ort::Result<Vec<(Cow<'_, str>, SessionInputValue<'_>)>>>()
            .map_err(|cause| failed(&cause))?;
        let wanted: Vec<&TensorSpec> = if request.outputs.is_empty() {
            self.outputs.iter().collect()
        } else {
            let named = |name: &String| self.outputs.iter().find(|spec| spec.name == *name);
            request.outputs.iter().filter_map(named).collect()
        };
        self.with_session(|session| {
            let answer = session.run(inputs).map_err(|cause| {
                tracing::info!(cause = cause.message(), "a model did not answer");
                Error::Values(harmless(cause.message()).map(ToOwned::to_owned))
            })?;
            let outputs = wanted.iter().map(|spec| match answer.get(&spec.name) {
                Some(value) => tensor::from_engine(&spec.name, spec.datatype, value).map_err(|cause| failed(&cause)),
                None => Err(Error::Engine),
            });
            outputs.collect()
        })?
    }

    /// Does the work with a session that is the caller's alone.
    fn with_session<R>(&self, work: impl FnOnce(&mut Session) -> R) -> Result<R, Error> {
        let mut sessions = self.lock();
        let idle = loop {
            if let Some(session) = sessions.idle.pop() {
                break Some(session);
            }
            if sessions.open < self.most_sessions {
                sessions.open += 1;
                break None;
            }
            sessions = self.returned.wait(sessions).unwrap_or_else(PoisonError::into_inner);
        };
        drop(sessions);
        let mut place = Place { model: self, session: None };
        let mut session = match idle {
            Some(session) => session,
            None => open(&self.engine, &self.files).map_err(|cause| failed(&cause))?,
        };
        let result = work(&mut session);
        place.session = Some(session);
        Ok(result)
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the model's open sessions, while it is in use. Without the session, as an error or a panic leaves it, another
/// may be opened in its place.
struct Place<'a> {
    model: &'a Model,
    session: Option<Session>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut sessions = self.model.lock();
        match self.session.take() {
            Some(session) => sessions.idle.push(session),
            None => sessions.open -= 1,
        }
        self.model.returned.notify_one();
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("inputs", &self.inputs).field("outputs", &self.outputs).finish_non_exhaustive()
    }
}

fn open(engine: &Engine, files: &Files) -> ort::Result<Session> {
    let mut builder = Session::builder(engine.environment())?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        // Patterns are kept for each shape, and requests come in every number of rows.
        .with_memory_pattern(false)?;
    for (name, content) in &files.beside {
        builder = builder.with_external_initializer_file_in_memory(name, Arc::clone(content))?;
    }
    builder.commit_from_memory(&files.onnx)
}

fn failed(cause: &ort::Error) -> Error {
    tracing::error!(cause = cause.message(), "the engine failed");
    Error::Engine
}
