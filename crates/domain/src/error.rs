//! The one error of a use case. It knows no transport: the HTTP surface turns it into a status and a body at the very
//! edge. Its message is for the person who sent the request; causes are logged where they arise and never shown.

use serde::Serialize;

/// Why a use case refused or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request is not well-formed, or breaks a rule that the sender can mend.
    Invalid,
    /// Nobody is signed in, or the credentials are wrong.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// The object does not exist, or the caller may not know that it does.
    NotFound,
    /// The object exists already.
    AlreadyExists,
    /// The object is not in the state that this needs, or somebody else changed it first.
    Conflict,
    /// The body is larger than allowed.
    TooLarge,
    /// The body is of another type than the address takes.
    UnsupportedMediaType,
    /// Too many requests.
    RateLimited,
    /// The server knows what is asked and does not offer it.
    NotImplemented,
    /// A part that is needed does not answer now; the same request may work later.
    Unavailable,
    /// Our mistake.
    Internal,
}

/// A refusal or failure, with a message for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What sort of refusal this is.
    pub kind: ErrorKind,
    /// What happened, to what, and what to do next. Public.
    pub message: String,
    /// The input that is wrong, when one is: the name of a form field or a JSON pointer.
    pub field: Option<String>,
}

impl Error {
    /// An error of this kind with this message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), field: None }
    }

    /// The request breaks a rule.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// The named input breaks a rule.
    pub fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, message: message.into(), field: Some(field.into()) }
    }

    /// `not_found("model", "churn")`: no model "churn" in this workspace.
    pub fn not_found(noun: &str, name: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("No {noun} \"{name}\" in this workspace."))
    }

    /// The caller may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, message)
    }

    /// Nobody is signed in.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthenticated, message)
    }

    /// The object is not in the state that this needs.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// The object exists already.
    pub fn already_exists(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::AlreadyExists, message)
    }

    /// Our mistake; the cause is in the log.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            ErrorKind::Internal,
            "Something failed on our side. It is logged; try again, or give an administrator the request id.",
        )
    }

    /// The same error about the named input.
    #[must_use]
    pub fn in_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}
