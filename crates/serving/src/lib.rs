//! Models in memory, answering in the ONNX Runtime.
//!
//! The runtime is a shared library that is loaded when the process starts ([`Engine::load`]). A [`Model`] is made from the
//! bytes of an ONNX file and answers many callers at once; [`ModelCache`] keeps loaded models by the digest of their file.
//! Which model answers for which endpoint is not known here, and neither is where the bytes come from: nothing here opens
//! a file but the library.
//!
//! Requests and tensors are those of `domain::inference`.

mod cache;
mod deadline;
mod engine;
mod error;
mod model;
mod onnx;
mod tensor;

pub use cache::ModelCache;
pub use engine::{Engine, EngineError, default_library};
pub use error::Error;
pub use model::Model;
