//! `slipway data`: make versions of datasets from folders, and fetch them.

mod get;
mod push;

use super::{Remote, path, refused};
use crate::client::{Client, Refusal};
use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};
use domain::{
    dataset::{ChecksState, DatasetSummary, DatasetVersion},
    expectation::{CheckResult, Outcome},
};
use manifest::Hash;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use std::{io::Write as _, path::PathBuf, time::Duration};

/// The longest that looking through a version, or sending a pack, may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at what is awaited.
const PAUSE: Duration = Duration::from_millis(500);

/// Commands of `slipway data`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a version of a dataset from a folder or a file, and print its name, alone, on standard output. Only what the
    /// server does not have is sent; the same files again are the version that is there.
    Push(Push),
    /// Fetch a version into a folder. Files that are there are not fetched again.
    Get(Get),
    /// List the datasets; or the versions of one; or what is in a folder of a version.
    Ls {
        /// The dataset, or a version of it: wine, wine@3.
        name: Option<String>,
        /// A folder of the version.
        #[arg(default_value = "")]
        folder: String,
        /// Which server, and as whom.
        #[command(flatten)]
        remote: Remote,
    },
    /// Wait until a version was looked at, and tell whether it is what is expected of the dataset. Fails when it is not, or
    /// that could not be found out.
    Check {
        /// The version: wine@3, or wine@latest.
        #[arg(value_name = "VERSION")]
        which: String,
        /// Which server, and as whom.
        #[command(flatten)]
        remote: Remote,
    },
    /// Tell what is different between two versions: A for added, D for removed, M for other content.
    Diff {
        /// The earlier version: wine@2.
        from: String,
        /// The later version: wine@3, or wine@latest.
        to: String,
        /// Which server, and as whom.
        #[command(flatten)]
        remote: Remote,
    },
}

/// Options of `slipway data push`.
#[derive(Debug, Args)]
pub struct Push {
    /// The dataset. It is made when it is not there.
    name: String,
    /// The folder, or file.
    path: PathBuf,
    /// What to say of the version.
    #[arg(short, long, env = "SLIPWAY_MESSAGE", default_value = "", value_name = "TEXT")]
    message: String,
    /// What MLflow's client calls this data: the digest of mlflow.data. Runs that log it are then known to have read this
    /// version. May be given several times.
    #[arg(long = "mlflow-digest", env = "SLIPWAY_MLFLOW_DIGEST", value_delimiter = ',', value_name = "DIGEST")]
    mlflow_digests: Vec<String>,
    /// A file that names what lies elsewhere and belongs to the version, one JSON object a line:
    /// {"path": "big.parquet", "uri": "s3://bucket/big.parquet", "size": 1, "digest": "sha256:…", "etag": "…"}.
    #[arg(long, env = "SLIPWAY_EXTERNAL", value_name = "FILE")]
    external: Option<PathBuf>,
    /// Read every file, also those that have not changed since they were read last.
    #[arg(long, env = "SLIPWAY_READ_ALL", value_parser = clap::builder::FalseyValueParser::new())]
    read_all: bool,
    /// Where to remember what was read. Without it, a folder of the user's caches.
    #[arg(long, env = "SLIPWAY_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Which server, and as whom.
    #[command(flatten)]
    remote: Remote,
}

/// Options of `slipway data get`.
#[derive(Debug, Args)]
pub struct Get {
    /// The version: wine@3, wine@latest, wine@passed, or wine, which is the latest.
    #[arg(value_name = "VERSION")]
    which: String,
    /// Where to; without it, a folder of the dataset's name.
    dir: Option<PathBuf>,
    /// Replace files that are there and are others.
    #[arg(long, env = "SLIPWAY_FORCE", value_parser = clap::builder::FalseyValueParser::new())]
    force: bool,
    /// Which server, and as whom.
    #[command(flatten)]
    remote: Remote,
}

/// Carries the command out.
///
/// # Errors
/// When the server does not answer or refuses, or files cannot be read or written.
pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::Push(options) => push::push(&options.remote.client()?, &options).await,
        Command::Get(options) => get::get(&options.remote.client()?, &options).await,
        Command::Ls { name, folder, remote } => list(&remote.client()?, name.as_deref(), &folder).await,
        Command::Check { which, remote } => check(&remote.client()?, &which).await,
        Command::Diff { from, to, remote } => diff(&remote.client()?, &from, &to).await,
    }
}

/// A name and what stands after the `@`.
fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)))
}

/// A list as the server answers it.
#[derive(Deserialize)]
struct Listed<T> {
    items: Vec<T>,
    next_page_token: Option<String>,
}

/// Goes through a list to its end.
async fn each<T: serde::de::DeserializeOwned>(
    client: &Client,
    path: &str,
    mut tell: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let mut token = None;
    loop {
        let more = token.map(|token: String| format!("&page_token={token}")).unwrap_or_default();
        let with = if path.contains('?') { '&' } else { '?' };
        let page: Listed<T> = client.get(&format!("{path}{with}limit=1000{more}")).await.map_err(refused)?;
        page.items.into_iter().try_for_each(&mut tell)?;
        token = page.next_page_token;
        if token.is_none() {
            return Ok(());
        }
    }
}

/// A file or folder, as the server answers.
#[derive(Deserialize)]
struct File {
    path: String,
    files: Option<u64>,
    size: Option<u64>,
    uri: Option<String>,
}

async fn list(client: &Client, name: Option<&str>, folder: &str) -> Result<()> {
    let Some(name) = name else {
        return each(client, &path(&["datasets"]), |one: DatasetSummary| {
            let latest = one.latest.map_or_else(|| "no version yet".to_owned(), |version| describe(&version));
            print(&format!("{}\t{latest}", one.dataset.name))
        })
        .await;
    };
    match split(name) {
        (name, None) => {
            each(client, &path(&["datasets", name, "versions"]), |version: DatasetVersion| print(&describe(&version)))
                .await
        }
        (name, Some(version)) => {
            let files = path(&["datasets", name, "versions", version, "files"]);
            let files = format!("{files}?folder={}", app::ui::query::encode(folder));
            each(client, &files, |file: File| {
                let size = file.size.map_or_else(|| "?".to_owned(), |size| size.to_string());
                let end = if file.files.is_some() { "/" } else { "" };
                let elsewhere = file.uri.map(|uri| format!("\t{uri}")).unwrap_or_default();
                print(&format!("{size}\t{}{end}{elsewhere}", file.path))
            })
            .await
        }
    }
}

fn describe(version: &DatasetVersion) -> String {
    let checks = version.checks.as_str();
    let (title, digest, at) = (version.title(), version.digest.short(), version.created_at.format("%Y-%m-%d %H:%M"));
    format!("{title}\t{digest}\t{at}\t{} files\t{} bytes\t{checks}\t{}", version.files, version.bytes, version.message)
}

/// What was found of a version, as the server answers.
#[derive(Deserialize)]
struct Profile {
    checks_state: ChecksState,
    reason: String,
    checks: Vec<CheckResult>,
}

async fn check(client: &Client, which: &str) -> Result<()> {
    let (name, number) = split(which);
    // The latest may be another one by the next look.
    let found = path(&["datasets", name, "versions", number.unwrap_or("latest")]);
    let version: DatasetVersion = client.get(&found).await.map_err(refused)?;
    let number = version.number.to_string();
    let of = path(&["datasets", name, "versions", &number, "profile"]);
    let profile = loop {
        let profile: Profile = client.get(&of).await.map_err(refused)?;
        if profile.checks_state != ChecksState::Waiting {
            break profile;
        }
        tokio::time::sleep(PAUSE).await;
    };
    for check in &profile.checks {
        let outcome = match check.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::Inconclusive => "inconclusive",
        };
        print(&format!("{outcome}\t{}\t{}\t{}", check.path, check.expectation.describe(), check.found))?;
    }
    let title = version.title();
    match profile.checks_state {
        ChecksState::Failed => bail!("{title} is not what is expected of it"),
        ChecksState::Inconclusive => {
            bail!("whether {title} is what is expected could not be found out. {}", profile.reason)
        }
        ChecksState::Waiting | ChecksState::Unchecked | ChecksState::Passed => Ok(()),
    }
}

/// What is different, as the server answers.
#[derive(Deserialize)]
struct Diff {
    added: u64,
    removed: u64,
    changed: u64,
    changes: Vec<Change>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
enum Change {
    Added { after: File },
    Removed { before: File },
    Changed { after: File },
}

async fn diff(client: &Client, from: &str, to: &str) -> Result<()> {
    let ((from_name, from), (name, to)) = (split(from), split(to));
    let (Some(from), Some(to)) = (from, to) else { bail!("name two versions: wine@2 wine@3") };
    let encode = app::ui::query::encode;
    let all = path(&["datasets", name, "versions", to, "diff"]);
    let all = format!("{all}?from={}&dataset={}&limit=1000", encode(from), encode(from_name));
    let mut token: Option<String> = None;
    loop {
        let more = token.map(|token| format!("&page_token={token}")).unwrap_or_default();
        let diff: Diff = client.get(&format!("{all}{more}")).await.map_err(refused)?;
        for change in diff.changes {
            match change {
                Change::Added { after } => print(&format!("A\t{}", after.path))?,
                Change::Removed { before } => print(&format!("D\t{}", before.path))?,
                Change::Changed { after } => print(&format!("M\t{}", after.path))?,
            }
        }
        token = diff.next_page_token;
        if token.is_none() {
            say(&format!("{} added, {} removed, {} changed", diff.added, diff.removed, diff.changed));
            return Ok(());
        }
    }
}

/// What is asked for, and what is missing.
#[derive(Default, Serialize, Deserialize)]
struct Digests {
    #[serde(default)]
    whole: Vec<String>,
    #[serde(default)]
    objects: Vec<String>,
}

fn read_hashes(texts: &[String]) -> Result<Vec<Hash>> {
    texts.iter().map(|text| text.parse().map_err(|error| anyhow!("the server's answer is damaged: {error}"))).collect()
}

async fn post_bytes(client: &Client, path: &str, body: serde_json::Value) -> Result<Vec<u8>, Refusal> {
    client.ask(Method::POST, path, |request| request.timeout(PATIENCE).json(&body)).await.map(|(_, bytes)| bytes)
}

/// The answer to the command.
fn print(line: &str) -> Result<()> {
    // Whoever does not listen any more has heard enough.
    writeln!(std::io::stdout().lock(), "{line}").map_err(|_| anyhow!("nobody reads the answer"))
}

/// What happens meanwhile.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
