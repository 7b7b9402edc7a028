//! The code of the working directory, as git knows it.

use domain::pipeline_run::MAX_PATCH;
use serde_json::{Value, json};
use std::process::Command;

/// The commit, the branch, and what was changed after the commit; none outside of a repository, or without git.
pub(super) fn of_working_directory() -> Option<Value> {
    let commit = git(&["rev-parse", "HEAD"])?;
    let is_dirty = git(&["status", "--porcelain"]).is_some_and(|changed| !changed.is_empty());
    let patch = git(&["diff", "--binary", "HEAD"]).filter(|patch| !patch.is_empty() && patch.len() <= MAX_PATCH);
    Some(json!({
        "repository": git(&["remote", "get-url", "origin"]).map(|address| address.trim().to_owned()),
        "commit": commit.trim(),
        "branch": git(&["branch", "--show-current"]).map(|branch| branch.trim().to_owned()).filter(|name| !name.is_empty()),
        "is_dirty": is_dirty,
        "patch": patch,
    }))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}
