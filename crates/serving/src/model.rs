//! One model in memory, and the sessions that answer for it.

use crate::{
    deadline::watch,
    engine::Engine,
    error::{Error, harmless, refused},
    onnx, tensor,
};
use domain::inference::{InferRequest, Tensor, TensorSpec};
use ort::session::{RunOptions, Session, SessionInputValue, builder::SessionBuilder};
use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
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
    /// Loads a model from the content of an ONNX file, until the deadline at most.
    ///
    /// # Errors
    /// [`Error::Model`], when the bytes are no model or one that cannot be served; says why. [`Error::TooLong`] at the
    /// deadline.
    pub fn from_bytes(engine: &Engine, onnx: impl Into<Vec<u8>>, deadline: Instant) -> Result<Self, Error> {
        Self::from_files(engine, onnx, Vec::new(), deadline)
    }

    /// Loads a model that keeps weights in files beside it, as MLflow logs larger ones; each with its name relative to the
    /// ONNX file. Files that it does not name are left out.
    ///
    /// # Errors
    /// [`Error::Model`], also when it names a file that is not among these. [`Error::TooLong`] at the deadline.
    pub fn from_files(
        engine: &Engine,
        onnx: impl Into<Vec<u8>>,
        beside: Vec<(String, Arc<[u8]>)>,
        deadline: Instant,
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
        let session = open(engine, &files, deadline, refused)?;
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

    /// How many callers are answered at once; more wait for each other.
    #[must_use]
    pub fn most_callers(&self) -> usize {
        self.most_sessions
    }

    /// Answers a request: the outputs that it names, in its order, or all of them.
    ///
    /// This computes in the calling thread, and waits when every processor is busy with this model: call it where
    /// blocking is allowed. At the deadline the engine is told to stop. It does so between two operators; one operator
    /// that takes long is not interrupted.
    ///
    /// # Errors
    /// [`Error::Request`] when the request does not fit the model, [`Error::Values`] when the model has no answer for its
    /// values, [`Error::TooLong`] when it has none before the deadline, [`Error::Engine`] when the engine fails.
    pub fn infer(&self, request: &InferRequest, deadline: Instant) -> Result<Vec<Tensor>, Error> {
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
        let options = Arc::new(RunOptions::new().map_err(|cause| failed(&cause))?);
        self.with_session(deadline, |session| {
            let stopped = Arc::clone(&options);
            let watched = watch(deadline, move || {
                if let Err(cause) = stopped.terminate() {
                    tracing::error!(cause = cause.message(), "a model could not be stopped");
                }
            });
            let answer = session.run_with_options(inputs, &*options).map_err(|cause| {
                if watched.is_over() {
                    return Error::TooLong;
                }
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

    /// Does the work with a session that is the caller's alone, when there is one before the deadline.
    fn with_session<R>(&self, deadline: Instant, work: impl FnOnce(&mut Session) -> R) -> Result<R, Error> {
        let mut sessions = self.lock();
        let idle = loop {
            // Whoever was told of a session takes it, however late: nobody else was told.
            if let Some(session) = sessions.idle.pop() {
                break Some(session);
            }
            if sessions.open < self.most_sessions {
                sessions.open += 1;
                break None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::TooLong);
            }
            sessions = self.returned.wait_timeout(sessions, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(sessions);
        let mut place = Place { model: self, session: None };
        let mut session = match idle {
            Some(session) => session,
            None => open(&self.engine, &self.files, deadline, failed)?,
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

/// Opens a session, until the deadline at most. `explain` says what a failure of the engine is to the caller.
fn open(
    engine: &Engine,
    files: &Files,
    deadline: Instant,
    explain: impl Fn(&ort::Error) -> Error,
) -> Result<Session, Error> {
    if deadline <= Instant::now() {
        return Err(Error::TooLong);
    }
    let mut builder = builder(engine, files).map_err(|cause| explain(&cause))?;
    let canceler = builder.canceler();
    let watched = watch(deadline, move || {
        if let Err(cause) = canceler.cancel() {
            tracing::error!(cause = cause.message(), "loading a model could not be stopped");
        }
    });
    builder
        .commit_from_memory(&files.onnx)
        .map_err(|cause| if watched.is_over() { Error::TooLong } else { explain(&cause) })
}

fn builder(engine: &Engine, files: &Files) -> ort::Result<SessionBuilder> {
    let mut builder = Session::builder(engine.environment())?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        // Patterns are kept for each shape, and requests come in every number of rows.
        .with_memory_pattern(false)?;
    for (name, content) in &files.beside {
        builder = builder.with_external_initializer_file_in_memory(name, Arc::clone(content))?;
    }
    Ok(builder)
}

fn failed(cause: &ort::Error) -> Error {
    tracing::error!(cause = cause.message(), "the engine failed");
    Error::Engine
}
