//! Code as clients name it: what a run is started from, or a pipeline's file was stored from.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    Error,
    pipeline_run::{Code, LeftOut},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The code that a run is started from, or a pipeline's file is stored from.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCode {
    /// The address of the repository. A password in it is not kept.
    repository: Option<String>,
    /// The commit: 7 to 64 hexadecimal digits.
    commit: String,
    /// The branch.
    branch: Option<String>,
    /// Whether files are other than in the commit.
    #[serde(default)]
    is_dirty: bool,
    /// What was changed after the commit, as a patch that `git apply` reads; up to 1 MiB.
    patch: Option<String>,
    /// The same, in base64: for a patch that is no UTF-8 text.
    patch_base64: Option<String>,
    /// What the patch has not of what was changed, if there is something.
    left_out: Option<LeftOut>,
}

impl NewCode {
    /// The code, and the patch.
    pub(super) fn read(self) -> Result<(Code, Option<Vec<u8>>), Error> {
        let Self { repository, commit, branch, is_dirty, patch, patch_base64, left_out } = self;
        let patch = match (patch, patch_base64) {
            (Some(_), Some(_)) => {
                let message = "Send the patch as text or in base64, not both.";
                return Err(Error::invalid_field("code.patch_base64", message));
            }
            (None, Some(encoded)) => Some(
                STANDARD
                    .decode(encoded)
                    .map_err(|_| Error::invalid_field("code.patch_base64", "This is not base64."))?,
            ),
            (text, None) => text.map(String::into_bytes),
        };
        Ok((Code { repository, commit, branch, is_dirty, patch: None, left_out }, patch))
    }
}
