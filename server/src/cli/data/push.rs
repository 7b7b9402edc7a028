//! Making a version of a folder: reading it, asking what the server does not have, sending that.

use super::{Digests, PATIENCE, Push, print, read_hashes, say};
use crate::{
    cli::{path, refused},
    client::{Client, Refusal},
};
use anyhow::{Context as _, Result};
use app::format::bytes;
use domain::dataset::{Dataset, DatasetVersion};
use futures::{StreamExt as _, stream};
use manifest::{
    Content, Entry, External, Hash,
    folder::{self, Cache, Links, Plan, Trouble},
};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{sync::mpsc, task::spawn_blocking};

/// How many digests are asked for at once.
const ASKED: usize = 10_000;
/// How many packs are on their way at once.
const AT_ONCE: usize = 3;
/// How often something that the server deleted meanwhile is sent again.
const TRIES: u32 = 3;

pub(super) async fn push(client: &Client, options: &Push) -> Result<()> {
    let external = options.external.as_deref().map(external).transpose()?.unwrap_or_default();
    let cache_at = cache_file(options)?;
    let (at, read_all) = (options.path.clone(), options.read_all);
    let plan = spawn_blocking(move || {
        let mut cache = if read_all { Cache::default() } else { Cache::load(&cache_at) };
        let known = cache.len();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let scanned = folder::scan(folder::walk(&at, Links::Follow)?, &mut cache, threads)?;
        // Without it the next time takes longer, and that is all.
        if (known > 0 || !cache.is_empty())
            && let Err(error) = cache.save(&cache_at)
        {
            say(&format!("what was read is not remembered: {error}"));
        }
        Plan::new(scanned, external).map_err(|error| Trouble::Refused(error.to_string()))
    })
    .await??;
    let plan = Arc::new(plan);
    let root = &plan.built().root;
    say(&format!("{} files, {}", root.entries(), bytes(root.bytes())));
    make_dataset(client, &options.name).await?;
    let mut tries = 0;
    let (status, version) = loop {
        let sent = send(client, &options.name, &plan).await?;
        say(&format!("sent {} in {} packs", bytes(sent.bytes), sent.packs));
        tries += 1;
        match make_version(client, options, &plan).await {
            // Something that was there was deleted meanwhile.
            Err(refusal) if refusal.status == Some(StatusCode::CONFLICT) && tries < TRIES => {}
            made => break made.map_err(refused)?,
        }
    };
    if status == StatusCode::OK {
        say(&format!("these files are {} already", version.title()));
    }
    print(&version.title())
}

/// Where what was read of this folder is remembered.
fn cache_file(options: &Push) -> Result<PathBuf> {
    let at = std::fs::canonicalize(&options.path)
        .with_context(|| format!("{} could not be read", options.path.display()))?;
    let name = format!("{}.scan", Hash::of(at.as_os_str().as_encoded_bytes()));
    if let Some(folder) = &options.cache {
        return Ok(folder.join(name));
    }
    let caches = std::env::var_os("XDG_CACHE_HOME").filter(|folder| Path::new(folder).is_absolute()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let caches = caches.or_else(home).unwrap_or_else(std::env::temp_dir);
    Ok(caches.join("slipway").join("data").join(name))
}

/// What lies elsewhere, as a line of the file says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    path: String,
    uri: String,
    size: Option<u64>,
    digest: Option<String>,
    etag: Option<String>,
}

fn external(file: &Path) -> Result<Vec<Entry>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} could not be read", file.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let Line { path, uri, size, digest, etag } = serde_json::from_str(line)
                .with_context(|| format!("line {} of {} is wrong", number + 1, file.display()))?;
            let content = Content::External(External { uri, size, digest, etag });
            Ok(Entry { path, executable: false, content })
        })
        .collect()
}

/// Makes the dataset, when it is not there.
async fn make_dataset(client: &Client, name: &str) -> Result<()> {
    match client.get::<Dataset>(&path(&["datasets", name])).await {
        Err(refusal) if refusal.status == Some(StatusCode::NOT_FOUND) => {}
        known => return known.map(drop).map_err(refused),
    }
    match client.post::<Dataset>(&path(&["datasets"]), json!({ "name": name })).await {
        Ok(made) => say(&format!("made the dataset {}", made.name)),
        // By somebody else, a moment ago.
        Err(refusal) if refusal.status == Some(StatusCode::CONFLICT) => {}
        Err(refusal) => return Err(refused(refusal)),
    }
    Ok(())
}

async fn make_version(client: &Client, options: &Push, plan: &Plan) -> Result<(StatusCode, DatasetVersion), Refusal> {
    let body = json!({
        "root": plan.built().digest.to_string(),
        "message": options.message,
        "mlflow_digests": options.mlflow_digests,
    });
    let versions = path(&["datasets", &options.name, "versions"]);
    client.send(Method::POST, &versions, |request| request.timeout(PATIENCE).json(&body)).await
}

#[derive(Default)]
struct Sent {
    packs: usize,
    bytes: u64,
}

/// Sends what the server does not have.
async fn send(client: &Client, name: &str, plan: &Arc<Plan>) -> Result<Sent> {
    let pages = missing(client, name, plan.pages(), true).await?;
    let lists = missing(client, name, plan.lists(&pages), true).await?;
    let data = plan.small(&pages).into_iter().chain(plan.chunks(&lists)).collect();
    let mut wanted = missing(client, name, data, false).await?;
    wanted.extend(pages);
    wanted.extend(lists);
    wanted.insert(plan.built().digest);
    // Packs are read while others are sent.
    let (sender, receiver) = mpsc::channel(1);
    let read = plan.clone();
    let reader = spawn_blocking(move || {
        for pack in read.packs(wanted) {
            if sender.blocking_send(pack?).is_err() {
                break;
            }
        }
        Ok::<_, Trouble>(())
    });
    let to = path(&["datasets", name, "packs"]);
    let packs = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let mut sending = std::pin::pin!(
        packs
            .map(|pack: Vec<u8>| {
                let to = &to;
                async move {
                    let length = pack.len() as u64;
                    let with = |request: reqwest::RequestBuilder| {
                        request.timeout(PATIENCE).header("content-type", "application/octet-stream").body(pack)
                    };
                    client.send::<Value>(Method::POST, to, with).await.map(|_| length)
                }
            })
            .buffer_unordered(AT_ONCE)
    );
    let mut sent = Sent::default();
    while let Some(length) = sending.next().await {
        sent.packs += 1;
        sent.bytes += length.map_err(refused)?;
    }
    reader.await??;
    Ok(sent)
}

async fn missing(client: &Client, name: &str, all: Vec<Hash>, whole: bool) -> Result<HashSet<Hash>> {
    let mut missing = HashSet::new();
    let to = path(&["datasets", name, "missing"]);
    for some in all.chunks(ASKED) {
        let texts: Vec<String> = some.iter().map(ToString::to_string).collect();
        let key = if whole { "whole" } else { "objects" };
        let answer: Digests = client.post(&to, json!({ key: texts })).await.map_err(refused)?;
        missing.extend(read_hashes(&answer.whole)?);
        missing.extend(read_hashes(&answer.objects)?);
    }
    Ok(missing)
}
