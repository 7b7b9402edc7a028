//! What the palette finds while somebody types: objects by name.

use crate::audit::ObjectKind;
use serde::{Deserialize, Serialize};

/// The most hits of one question.
pub const MAX_HITS: usize = 20;

/// An object that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hit {
    /// Its sort.
    pub kind: ObjectKind,
    /// Its name.
    pub title: String,
    /// What tells it from others of the same name.
    pub detail: String,
    /// The address of its page, from the root of the server.
    pub href: String,
}
