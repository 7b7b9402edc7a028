//! Why a model cannot be served, or does not answer. Every message is public.

use domain::error as public;

/// A refusal or failure of the engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The model's file cannot be served; says why and what to do about it.
    #[error("{0}")]
    Model(String),
    /// The request does not fit the model; says what is wrong with it.
    #[error("{0}")]
    Request(public::Error),
    /// The engine could not compute an answer from these values.
    #[error("The model cannot answer for these values{}.", .0.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default())]
    Values(Option<String>),
    /// The time that was given was over before there was an answer.
    #[error("The model did not answer in the time that it is given, so it was stopped.")]
    TooLong,
    /// The engine failed; the cause is in the log.
    #[error("The engine failed. It is logged; try again.")]
    Engine,
}

impl From<Error> for public::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Request(error) => error,
            Error::Model(_) | Error::Values(_) => Self::invalid(error.to_string()),
            Error::TooLong => Self::new(public::ErrorKind::Unavailable, error.to_string()),
            Error::Engine => Self::new(public::ErrorKind::Internal, error.to_string()),
        }
    }
}

/// Says in our words why the engine does not load a model.
pub(crate) fn refused(cause: &ort::Error) -> Error {
    let message = cause.message();
    tracing::info!(cause = message, "a model was refused");
    Error::Model(explain(message))
}

/// The engine's own messages name places in its source code, and files. Only what is known to be harmless is shown.
fn explain(message: &str) -> String {
    if let Some(operator) = unknown_operator(message) {
        format!("The model uses the operator \"{operator}\", which the engine does not have.")
    } else if message.contains("opset versions") {
        let version = between(message, "Opset ", " ").unwrap_or("of the file");
        format!(
            "The model needs ONNX opset {version}, which the engine does not know; export it with a lower target_opset."
        )
    } else if message.contains("protobuf parsing failed") || message.contains("No graph was found") {
        NOT_ONNX.to_owned()
    } else {
        match harmless(message) {
            Some(detail) => format!("The engine does not load the model: {detail}."),
            None => "The engine does not load the model: it is not valid ONNX.".to_owned(),
        }
    }
}

/// What is said of bytes that are not an ONNX model.
pub(crate) const NOT_ONNX: &str = "The file is not an ONNX model, or it is damaged.";

fn unknown_operator(message: &str) -> Option<&str> {
    message
        .split_once(" is not a registered function/op")
        .and_then(|(before, _)| before.rsplit([' ', '\n']).next())
        .and_then(|operator| operator.split_once('(').map(|(name, _)| name))
        .or_else(|| between(message, "No Op registered for ", " "))
        .or_else(|| between(message, "Could not find an implementation for ", "("))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    let (found, _) = rest.split_once(after)?;
    Some(found)
}

/// The message, when it is short and names no file.
pub(crate) fn harmless(message: &str) -> Option<&str> {
    let detail = message.trim().trim_end_matches('.');
    let suspicious = detail.contains(['/', '\\', '\n']) || detail.contains(".cc:") || detail.contains(".h:");
    (!suspicious && !detail.is_empty() && detail.len() <= 300).then_some(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_names_a_place_is_not_shown() {
        for message in
            ["/onnxruntime_src/core/graph.cc:12 failed", "concatbase.h:135 Prepare failed", r"C:\model failed", "a\nb"]
        {
            assert_eq!(explain(message), "The engine does not load the model: it is not valid ONNX.");
        }
        assert_eq!(explain("Duplicate name 'x'."), "The engine does not load the model: Duplicate name 'x'.");
    }

    #[test]
    fn an_operator_without_an_implementation_is_named() {
        let message = "Could not find an implementation for Frobnicate(7) node with name 'f'";
        assert_eq!(explain(message), "The model uses the operator \"Frobnicate\", which the engine does not have.");
    }
}
