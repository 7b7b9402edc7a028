//! The code that a run was started from: what names it, so that it can be found again.

use crate::{Digest, Error};
use serde::{Deserialize, Serialize};

/// The longest address of a repository.
const MAX_REPOSITORY: usize = 500;
/// The longest name of a branch.
const MAX_BRANCH: usize = 250;
/// The largest patch that is kept, in bytes.
pub const MAX_PATCH: usize = 1 << 20;

/// The commit that a run was started from, and what was changed after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Code {
    /// The address of the repository, without a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The commit, in full.
    pub commit: String,
    /// The branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Whether files were other than in the commit.
    #[serde(default)]
    pub is_dirty: bool,
    /// What was changed, as a patch that `git apply` reads; none when nothing was, or it was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Digest>,
    /// What the patch has not of what was changed, if there is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
}

/// What a patch has not of what was changed after a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// Everything: it is too large to be kept.
    TooLarge,
    /// What was changed inside of submodules, and of repositories inside of this one.
    Submodules,
    /// Everything: git could not say what was changed.
    Unknown,
}

impl Code {
    /// What of the code cannot be found again, in a sentence; none when all can.
    #[must_use]
    pub fn lacks(&self) -> Option<&'static str> {
        match (self.left_out, self.is_dirty && self.patch.is_none()) {
            (Some(LeftOut::TooLarge), _) => {
                Some("Files were changed after the commit, and what was changed was too large to be kept.")
            }
            (Some(LeftOut::Submodules), _) => {
                Some("Files of submodules were changed after their commits, and what was changed there was not kept.")
            }
            (Some(LeftOut::Unknown), _) => {
                Some("Files were changed after the commit, and git could not say what was changed.")
            }
            (None, true) => Some("Files were changed after the commit, and what was changed was not kept."),
            (None, false) => None,
        }
    }

    /// Checks what a client says, and takes the password out of the address.
    ///
    /// # Errors
    /// `Invalid` for a commit that is none, or an address or branch that is too long.
    pub fn check(mut self) -> Result<Self, Error> {
        let is_commit = (7..=64).contains(&self.commit.len()) && self.commit.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_commit {
            return Err(Error::invalid_field("code.commit", "A commit is named by 7 to 64 hexadecimal digits."));
        }
        self.commit.make_ascii_lowercase();
        self.is_dirty |= self.left_out.is_some();
        for (field, text, most) in
            [("code.repository", &self.repository, MAX_REPOSITORY), ("code.branch", &self.branch, MAX_BRANCH)]
        {
            let is_text = |text: &String| text.chars().count() <= most && !text.contains(char::is_control);
            if !text.as_ref().is_none_or(is_text) {
                return Err(Error::invalid_field(field, format!("It is a line of at most {most} characters.")));
            }
        }
        self.repository = self.repository.map(|repository| without_password(&repository));
        Ok(self)
    }
}

/// `https://name:secret@host/path` without what stands before the `@`.
fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let host_end = rest.find('/').unwrap_or(rest.len());
    match rest[..host_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    fn code(commit: &str, repository: &str) -> Code {
        Code {
            repository: Some(repository.to_owned()),
            commit: commit.to_owned(),
            branch: None,
            is_dirty: false,
            patch: None,
            left_out: None,
        }
    }

    #[test]
    fn passwords_of_addresses_are_not_kept() {
        for (given, kept) in [
            ("https://someone:secret@git.example/a/b.git", "https://git.example/a/b.git"),
            ("https://token@git.example/a@b", "https://git.example/a@b"),
            ("https://git.example/a@b", "https://git.example/a@b"),
            ("git@git.example:a/b.git", "git@git.example:a/b.git"),
        ] {
            assert_eq!(code("0123456789abcdef", given).check().unwrap().repository.as_deref(), Some(kept));
        }
    }

    #[test]
    fn what_is_no_commit_is_refused() {
        assert_eq!(code("ABCDEF0", "x").check().unwrap().commit, "abcdef0");
        for commit in ["", "abc", "main", "0123456g", &"a".repeat(65)] {
            assert!(code(commit, "x").check().is_err(), "{commit}");
        }
        assert!(code("abcdef0", &"x".repeat(501)).check().is_err());
        assert!(code("abcdef0", "a\nb").check().is_err());
    }
}
