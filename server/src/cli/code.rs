//! The code of the working directory, as git knows it.

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::pipeline_run::{LeftOut, MAX_PATCH};
use serde_json::{Value, json};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Of how many bytes of changed files a patch is made at all. Most of what is larger is data that nobody meant to commit.
const MAX_CHANGED: u64 = 64 << 20;
/// The most bytes of a request; a server takes 2 MiB.
const MAX_REQUEST: usize = (2 << 20) - (16 << 10);
/// How a patch is written, whatever this person's git does otherwise: so that `git apply` reads it.
const AS_PATCH: [&str; 13] = [
    "diff",
    "--cached",
    "--binary",
    "--full-index",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-relative",
    "--submodule=short",
    "--ignore-submodules=none",
    "--unified=3",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

/// The commit of the repository that a folder is in, the branch, and what was changed after the commit, also in files that git
/// does not know yet; none outside of a repository, or without git.
pub(super) fn of_folder(folder: &Path) -> Option<Value> {
    let git = Git { root: folder.to_owned(), env: Vec::new() };
    let root = git.line(&["rev-parse", "--show-toplevel"])?;
    let git = Git { root: PathBuf::from(root), ..git };
    let commit = git.line(&["rev-parse", "--verify", "HEAD"])?;
    let mut code = json!({
        "repository": git.line(&["remote", "get-url", "origin"]),
        "commit": commit,
        "branch": git.line(&["branch", "--show-current"]),
    });
    let (patch, left_out) = changes(&git).unwrap_or((None, Some(LeftOut::Unknown)));
    code["is_dirty"] = (patch.is_some() || left_out.is_some()).into();
    code["left_out"] = json!(left_out);
    match patch.map(String::from_utf8) {
        None => {}
        Some(Ok(text)) => code["patch"] = text.into(),
        // The text of some file is in another encoding.
        Some(Err(other)) => code["patch_base64"] = STANDARD.encode(other.as_bytes()).into(),
    }
    Some(code)
}

/// A request with code in it that a server takes: without the patch, when it would be too large.
pub(super) fn fitting(mut request: Value) -> Value {
    if request.to_string().len() > MAX_REQUEST
        && let Some(code) = request["code"].as_object_mut()
        && (code.remove("patch").is_some() | code.remove("patch_base64").is_some())
    {
        code.insert("left_out".to_owned(), json!(LeftOut::TooLarge));
    }
    request
}

/// What was changed after the commit, as a patch, and what of it the patch has not.
fn changes(git: &Git) -> Result<(Option<Vec<u8>>, Option<LeftOut>)> {
    let status = git.run(&["status", "--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=none"])?;
    if status.is_empty() {
        return Ok((None, None));
    }
    let status = Status::read(&status);
    let size = |path: &PathBuf| fs::symlink_metadata(git.root.join(path)).map_or(0, |about| about.len());
    if status.changed.iter().map(size).sum::<u64>() > MAX_CHANGED {
        return Ok((None, Some(LeftOut::TooLarge)));
    }
    // The index and what is added to it are copies: whoever runs a pipeline finds the repository as it was.
    let beside = tempfile::tempdir()?;
    let index = beside.path().join("index");
    let path_of =
        |name: &str| git.line(&["rev-parse", "--path-format=absolute", "--git-path", name]).context("no path");
    match fs::copy(path_of("index")?, &index) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let objects = beside.path().join("objects");
    fs::create_dir(&objects)?;
    let env = vec![
        ("GIT_INDEX_FILE", index),
        ("GIT_OBJECT_DIRECTORY", objects),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", PathBuf::from(path_of("objects")?)),
    ];
    let copy = Git { root: git.root.clone(), env };
    copy.run(&["-c", "advice.addEmbeddedRepo=false", "add", "--all"])?;
    let patch = copy.run(&[AS_PATCH.as_slice(), &["HEAD"]].concat())?;
    if patch.len() > MAX_PATCH {
        return Ok((None, Some(LeftOut::TooLarge)));
    }
    let left_out = status.in_submodules.then_some(LeftOut::Submodules);
    Ok((Some(patch).filter(|patch| !patch.is_empty()), left_out))
}

/// What `git status --porcelain=v2 -z` says.
#[derive(Default)]
struct Status {
    /// Files that were changed or added.
    changed: Vec<PathBuf>,
    /// Whether files of a submodule, or of a repository inside of this one, are other than in a commit of it.
    in_submodules: bool,
}

impl Status {
    fn read(text: &[u8]) -> Self {
        use std::os::unix::ffi::OsStrExt as _;
        let mut status = Self::default();
        let mut lines = text.split(|byte| *byte == 0);
        while let Some(line) = lines.next() {
            // Fields before the path, by the kind of the line: the third is `S<c><m><u>` of a submodule.
            let fields = match line.first() {
                Some(b'1') => 8,
                Some(b'2') => 9,
                Some(b'u') => 10,
                Some(b'?') => 1,
                _ => continue,
            };
            let parts: Vec<&[u8]> = line.splitn(fields + 1, |byte| *byte == b' ').collect();
            let submodule = parts.get(2).filter(|_| fields > 1).copied().unwrap_or_default();
            let Some(path) = parts.get(fields).copied() else { continue };
            // One that is no file of this repository ends with a slash.
            status.in_submodules |=
                submodule.starts_with(b"S") && submodule[1..].iter().any(|flag| b"MU".contains(flag));
            status.in_submodules |= fields == 1 && path.ends_with(b"/");
            status.changed.push(PathBuf::from(OsStr::from_bytes(path)));
            if line.starts_with(b"2") {
                // Where it was before it was renamed.
                lines.next();
            }
        }
        status
    }
}

/// git in a folder, with these variables besides.
struct Git {
    root: PathBuf,
    env: Vec<(&'static str, PathBuf)>,
}

impl Git {
    fn run(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let mut command = Command::new("git");
        command.arg("--literal-pathspecs").args(arguments).current_dir(&self.root);
        // A hook of git that calls us says where its own index is, which is not that of the working directory.
        command.env_remove("GIT_INDEX_FILE").envs(self.env.iter().map(|(name, value)| (name, value)));
        command.env("GIT_OPTIONAL_LOCKS", "0").stdin(std::process::Stdio::null());
        let output = command.output()?;
        ensure!(output.status.success(), "git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }

    /// The line that it answers with, if it does.
    fn line(&self, arguments: &[&str]) -> Option<String> {
        let text = String::from_utf8(self.run(arguments).ok()?).ok()?;
        Some(text.trim_end_matches('\n').to_owned()).filter(|line| !line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A repository with a commit, of somebody whose git writes patches in ways of its own.
    fn repository() -> (tempfile::TempDir, Git) {
        let folder = tempfile::tempdir().unwrap();
        let git = Git { root: folder.path().to_owned(), env: Vec::new() };
        git.run(&["init", "-q", "-b", "main"]).unwrap();
        for (key, value) in [
            ("user.name", "Somebody"),
            ("user.email", "somebody@example.com"),
            ("diff.external", "true"),
            ("diff.noprefix", "true"),
            ("diff.context", "0"),
            ("color.ui", "always"),
            ("core.autocrlf", "false"),
            ("commit.gpgsign", "false"),
        ] {
            git.run(&["config", key, value]).unwrap();
        }
        write(folder.path(), ".gitignore", b"*.log\n");
        write(folder.path(), "train.py", b"one\ntwo\nthree\nfour\nfive\n");
        write(folder.path(), "old.py", b"old\n");
        write(folder.path(), "latin.txt", b"caf\xe9\n");
        git.run(&["add", "--all"]).unwrap();
        git.run(&["commit", "-q", "-m", "first"]).unwrap();
        (folder, git)
    }

    fn write(folder: &Path, path: &str, bytes: &[u8]) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn patch_of(code: &Value) -> Vec<u8> {
        match (&code["patch"], &code["patch_base64"]) {
            (Value::String(text), Value::Null) => text.clone().into_bytes(),
            (Value::Null, Value::String(text)) => STANDARD.decode(text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The tree that the commit becomes when the patch is applied to it.
    fn tree_of(git: &Git, code: &Value) -> String {
        let (folder, patch) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        fs::write(patch.path(), patch_of(code)).unwrap();
        let at = folder.path().join("again");
        git.run(&["worktree", "add", "-q", "--detach", at.to_str().unwrap(), code["commit"].as_str().unwrap()])
            .unwrap();
        let again = Git { root: at, env: Vec::new() };
        again.run(&["apply", "--index", patch.path().to_str().unwrap()]).unwrap();
        again.line(&["write-tree"]).unwrap()
    }

    #[test]
    fn the_patch_makes_of_the_commit_what_was_there() {
        let (folder, git) = repository();
        let clean = of_folder(folder.path()).unwrap();
        assert_eq!((&clean["is_dirty"], &clean["branch"]), (&json!(false), &json!("main")));
        assert_eq!((&clean["patch"], &clean["left_out"]), (&Value::Null, &Value::Null));

        // Files that git does not know alone.
        write(folder.path(), "new/features.py", b"new\n");
        write(folder.path(), "noise.log", b"ignored\n");
        let code = of_folder(&folder.path().join("new")).unwrap();
        assert_eq!((&code["is_dirty"], &code["left_out"]), (&json!(true), &Value::Null));
        let text = code["patch"].as_str().unwrap();
        assert!(text.contains("b/new/features.py") && !text.contains("noise.log"), "{text}");

        // And everything else that there is: staged, changed, deleted, renamed, of no text, of another encoding, made to run.
        write(folder.path(), "train.py", b"one\ntwo\n3\nfour\nfive\n");
        git.run(&["add", "train.py"]).unwrap();
        write(folder.path(), "train.py", b"one\ntwo\nthree!\nfour\nfive\n");
        git.run(&["mv", "old.py", "renamed.py"]).unwrap();
        write(folder.path(), "latin.txt", b"caf\xe9 au lait\n");
        write(folder.path(), "model.bin", &[0, 1, 2, 255, 0, 10, 13]);
        write(folder.path(), "run me.sh", b"#!/bin/sh\n");
        fs::set_permissions(folder.path().join("run me.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("train.py", folder.path().join("link.py")).unwrap();
        let before = (fs::read(folder.path().join(".git/index")).unwrap(), git.line(&["count-objects"]));
        let code = of_folder(folder.path()).unwrap();
        assert!(code["patch_base64"].is_string(), "a text in another encoding makes it no UTF-8");
        let after = (fs::read(folder.path().join(".git/index")).unwrap(), git.line(&["count-objects"]));
        assert_eq!(before, after, "the repository is as it was");
        let again = tree_of(&git, &code);
        git.run(&["add", "--all"]).unwrap();
        assert_eq!(again, git.line(&["write-tree"]).unwrap());
    }

    #[test]
    fn what_a_patch_has_not_is_told() {
        let (folder, git) = repository();
        let large: Vec<u8> = std::iter::successors(Some(0x9e37_79b9_7f4a_7c15_u64), |state| {
            let state = state ^ (state << 13);
            let state = state ^ (state >> 7);
            Some(state ^ (state << 17))
        })
        .take(MAX_PATCH / 4)
        .flat_map(u64::to_le_bytes)
        .collect();
        write(folder.path(), "rows.bin", &large);
        let code = of_folder(folder.path()).unwrap();
        assert_eq!((&code["is_dirty"], &code["left_out"]), (&json!(true), &json!("too_large")));
        assert_eq!(code["patch"], Value::Null);
        let sparse = fs::File::create(folder.path().join("rows.bin")).unwrap();
        sparse.set_len(MAX_CHANGED + 1).unwrap();
        assert_eq!(of_folder(folder.path()).unwrap()["left_out"], json!("too_large"), "without reading it");
        fs::remove_file(folder.path().join("rows.bin")).unwrap();
        let request =
            |length| fitting(json!({ "source": "s".repeat(length), "code": { "commit": "c", "patch": "p" } }));
        assert_eq!(request(9)["code"], json!({ "commit": "c", "patch": "p" }));
        assert_eq!(request(MAX_REQUEST)["code"], json!({ "commit": "c", "left_out": "too_large" }));

        // A repository inside of this one has its own commits.
        let inner = Git { root: folder.path().join("inner"), env: Vec::new() };
        fs::create_dir(&inner.root).unwrap();
        inner.run(&["init", "-q"]).unwrap();
        write(&inner.root, "a.py", b"a\n");
        let identity = ["-c", "user.name=S", "-c", "user.email=s@example.com", "-c", "commit.gpgsign=false"];
        inner.run(&["add", "--all"]).unwrap();
        inner.run(&[&identity[..], &["commit", "-q", "-m", "inner"]].concat()).unwrap();
        assert_eq!(of_folder(folder.path()).unwrap()["left_out"], json!("submodules"));
        git.run(&["-c", "advice.addEmbeddedRepo=false", "add", "inner"]).unwrap();
        git.run(&["commit", "-q", "-m", "with a submodule"]).unwrap();
        assert_eq!(of_folder(folder.path()).unwrap()["is_dirty"], json!(false));
        write(&inner.root, "a.py", b"b\n");
        let code = of_folder(folder.path()).unwrap();
        assert_eq!((&code["is_dirty"], &code["left_out"]), (&json!(true), &json!("submodules")));
    }

    #[test]
    fn outside_of_a_repository_there_is_no_code() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of_folder(folder.path()), None);
        Git { root: folder.path().to_owned(), env: Vec::new() }.run(&["init", "-q"]).unwrap();
        assert_eq!(of_folder(folder.path()), None, "nor without a commit");
    }
}
