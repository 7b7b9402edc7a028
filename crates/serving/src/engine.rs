//! The ONNX Runtime library, loaded once for the process.

use ort::{LoadDynamicError, environment::Environment, logging::LogLevel};
use std::{
    env,
    error::Error as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The first version of the runtime that has what is used here.
const OLDEST: u32 = ort::MINOR_VERSION;

static LOADED: Mutex<Option<Engine>> = Mutex::new(None);

/// The loaded ONNX Runtime. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Engine {
    environment: Environment,
}

/// Why the library cannot be used. For the operator of the server: it names the file.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no such file, or it is no library for this machine.
    #[error("the ONNX Runtime library {path} cannot be loaded ({cause}); run `make setup`, or set SLIPWAY_ONNXRUNTIME to libonnxruntime.so", path = path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What the loader says.
        cause: String,
    },
    /// It is a library, but another one.
    #[error("{path} is not the ONNX Runtime; set SLIPWAY_ONNXRUNTIME to libonnxruntime.so", path = path.display())]
    Foreign {
        /// The library.
        path: PathBuf,
    },
    /// It lacks what is used here.
    #[error("the ONNX Runtime in {path} is version {version}, and 1.{OLDEST} or later is needed; run `make setup`", path = path.display())]
    TooOld {
        /// The library.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// It was loaded and does not start.
    #[error("the ONNX Runtime in {path} does not start: {cause}", path = path.display())]
    Broken {
        /// The library.
        path: PathBuf,
        /// What it says.
        cause: String,
    },
}

/// Where `make setup` puts the library: below the user's home.
#[must_use]
pub fn default_library() -> PathBuf {
    let home = env::home_dir().unwrap_or_default();
    home.join(".cache/slipway/onnxruntime/libonnxruntime.so")
}

impl Engine {
    /// Loads the library at `path`. A process has one: later calls give the engine of the first that succeeded, whatever
    /// they name.
    ///
    /// # Errors
    /// Says what is wrong with the library and what to do about it.
    pub fn load(path: &Path) -> Result<Self, EngineError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*loaded {
            return Ok(engine.clone());
        }
        // The loader searches a bare name, and resolves others from the folder of the executable.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let environment = ort::init_from(&path)
            .map_err(|error| EngineError::of(&path, error))?
            .with_name("slipway")
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|error| EngineError::Broken { path, cause: error.to_string() })?;
        environment.set_log_level(LogLevel::Warning);
        let engine = Self { environment };
        *loaded = Some(engine.clone());
        tracing::info!(build = ort::info(), "ONNX Runtime loaded");
        Ok(engine)
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// The runtime repeats as errors in its log what it returns as errors to its caller.
fn log(level: LogLevel, category: &str, _id: &str, _location: &str, message: &str) {
    tracing::debug!(?level, category, "{message}");
}

impl EngineError {
    fn of(path: &Path, error: LoadDynamicError) -> Self {
        let path = path.to_owned();
        match error {
            LoadDynamicError::BadVersion { version_str, .. } => Self::TooOld { path, version: version_str },
            LoadDynamicError::MissingApi { .. } | LoadDynamicError::InvalidVersionString => Self::Foreign { path },
            LoadDynamicError::Dlopen { error, .. } => {
                let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                Self::Missing { path, cause }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_library_is_refused_with_the_version_that_is_needed() {
        let found = LoadDynamicError::BadVersion { version_str: "1.19.2".into(), path: "elsewhere".into() };
        assert_eq!(
            EngineError::of(Path::new("/opt/libonnxruntime.so"), found).to_string(),
            "the ONNX Runtime in /opt/libonnxruntime.so is version 1.19.2, and 1.24 or later is needed; run `make setup`"
        );
    }
}
