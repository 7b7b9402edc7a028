//! What models are asked and what they answer, apart from any engine.
//!
//! Two request forms lead to the same [`InferRequest`]: the Open Inference Protocol v2 over REST (`infer`), and MLflow's
//! `/invocations` (`invocations`). Whatever passed [`InferRequest::check`] has the names, types and shapes that the model
//! takes; every refusal says which of them is wrong. How much one request may hold is bounded while it is read.

mod infer;
mod invocations;
mod read;
mod recorded;
mod tensor;

pub use infer::{InferRequest, InferResponse, ModelMetadata, Parameter, ServerMetadata};
pub use invocations::{Invocation, Predictions, feature_names};
pub use recorded::asked_again;
pub(crate) use tensor::shortest;
pub use tensor::{Datatype, Tensor, TensorData, TensorSpec, columns};

/// Most values in one request, over all its inputs.
pub const MAX_ELEMENTS: usize = 1 << 20;
/// Most rows in one request.
pub const MAX_ROWS: usize = 1 << 16;
/// Most inputs, or columns, in one request.
pub const MAX_INPUTS: usize = 1 << 12;
/// Deepest nesting of a list of values.
const MAX_DEPTH: usize = 8;
