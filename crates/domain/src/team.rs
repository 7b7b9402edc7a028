//! Teams: people of a workspace whom the rules of a policy name together.

use crate::{
    error::Error,
    id::{TeamId, UserId, WorkspaceId},
    wording::{check_length, check_nul, is_word},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Some members of a workspace. Rules name it by its name, so that stays what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Team {
    /// The team.
    pub id: TeamId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who is in it, by name: members of the workspace, none of them a service account.
    pub members: Vec<UserId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// The most characters of a name.
pub const MAX_NAME: usize = 63;
/// The most characters of a description.
const MAX_DESCRIPTION: usize = 1000;
/// The most members.
pub const MAX_MEMBERS: usize = 500;

/// Refuses what is no team's name.
///
/// # Errors
/// When it is empty, longer than 63 characters, holds anything but lower-case letters, digits, dots, underscores and
/// hyphens, or begins or ends with one of the last three.
pub fn check_name(name: &str) -> Result<(), Error> {
    if is_word(name, MAX_NAME) {
        return Ok(());
    }
    Err(Error::invalid_field(
        "name",
        format!(
            "A team's name has 1 to {MAX_NAME} lower-case letters, digits, dots, underscores and hyphens, and starts and \
             ends with a letter or digit, such as risk."
        ),
    ))
}

/// Refuses a description that is too long.
///
/// # Errors
/// When it has more than 1000 characters, or holds the NUL character.
pub fn check_description(text: &str) -> Result<(), Error> {
    check_nul(text, "description")?;
    check_length(text, MAX_DESCRIPTION, "description", "description")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word_that_a_rule_can_name() {
        for name in ["risk", "data-science", "a", "7.x_y"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "Risk", "risk team", "-risk", "risk.", "a\0b", &"x".repeat(64)] {
            assert_eq!(check_name(name).unwrap_err().field.as_deref(), Some("name"), "{name:?}");
        }
    }

    #[test]
    fn a_description_may_be_long_but_not_endless() {
        assert_eq!(check_description(&"x".repeat(1000)), Ok(()));
        assert!(check_description(&"x".repeat(1001)).is_err());
        assert!(check_description("a\0b").is_err());
    }
}
