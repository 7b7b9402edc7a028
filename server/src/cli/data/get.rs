//! Fetching a version into a folder: only what is not there, each file whole and checked, or not at all.

use super::{Get, PATIENCE, post_bytes, print, say, split};
use crate::{
    cli::{path, refused},
    client::Client,
};
use anyhow::{Result, anyhow, bail};
use app::format::bytes;
use domain::dataset::DatasetVersion;
use manifest::{
    Content, Entry, Hash, List, Pack, Page, Root,
    folder::{self, Present, Trouble, Writing},
};
use reqwest::Method;
use serde_json::json;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{sync::mpsc, task::spawn_blocking};

/// How many objects are asked for at once. The server answers with as many of them as fit into a pack.
const ASKED: usize = 4000;
/// How many bytes of chunks are asked for at once.
const CHUNK_BYTES: u64 = 8 << 20;

#[derive(Default)]
struct Done {
    fetched: u64,
    fetched_bytes: u64,
    present: u64,
    elsewhere: Vec<(String, String)>,
}

pub(super) async fn get(client: &Client, options: &Get) -> Result<()> {
    let (name, version) = split(&options.which);
    let version: DatasetVersion =
        client.get(&path(&["datasets", name, "versions", version.unwrap_or("latest")])).await.map_err(refused)?;
    let dir = options.dir.clone().unwrap_or_else(|| PathBuf::from(name));
    std::fs::create_dir_all(&dir)?;
    let source = Source { client, name };
    let digest: Hash =
        version.digest.hex().parse().map_err(|error| anyhow!("the server's answer is damaged: {error}"))?;
    let root = Root::read(&source.one(digest).await?)?;
    let mut done = Done::default();
    for reference in &root.pages {
        let (page, _) = Page::read(&source.one(reference.digest).await?)?;
        fetch_page(&source, &dir, page.entries, options.force, &mut done).await?;
    }
    for (path, uri) in &done.elsewhere {
        say(&format!("{path} lies elsewhere: {uri}"));
    }
    say(&format!("fetched {} files, {}; {} were there already", done.fetched, bytes(done.fetched_bytes), done.present));
    print(&format!("{}\t{}", version.title(), dir.display()))
}

async fn fetch_page(source: &Source<'_>, dir: &Path, entries: Vec<Entry>, force: bool, done: &mut Done) -> Result<()> {
    let at = dir.to_owned();
    let looked = spawn_blocking(move || {
        let mut looked = Vec::with_capacity(entries.len());
        for entry in entries {
            let present = match entry.content {
                Content::External(_) => Present::Nothing,
                _ => folder::present(&at, &entry)?,
            };
            looked.push((entry, present));
        }
        Ok::<_, Trouble>(looked)
    })
    .await??;
    let mut small = Vec::new();
    for (entry, present) in looked {
        match (&entry.content, present) {
            (Content::External(external), _) => done.elsewhere.push((entry.path.clone(), external.uri.clone())),
            (_, Present::Same) => done.present += 1,
            (_, Present::Other) if !force => {
                bail!("{} is there and is another file; --force replaces it", dir.join(&entry.path).display())
            }
            (Content::Small { size, .. }, _) => {
                done.fetched += 1;
                done.fetched_bytes += size;
                small.push(entry);
            }
            (Content::Large { size, list, .. }, _) => {
                done.fetched += 1;
                done.fetched_bytes += size;
                let list = List::read(&source.one(*list).await?)?;
                fetch_large(source, dir, entry, list).await?;
            }
        }
    }
    fetch_small(source, dir, small).await
}

async fn fetch_small(source: &Source<'_>, dir: &Path, entries: Vec<Entry>) -> Result<()> {
    // Several files may have the same bytes.
    let mut by_object: HashMap<Option<Hash>, Vec<Entry>> = HashMap::new();
    let mut wanted = Vec::new();
    for entry in entries {
        let object = entry.object();
        let of_object = by_object.entry(object).or_default();
        if of_object.is_empty() {
            wanted.extend(object);
        }
        of_object.push(entry);
    }
    let empty = by_object.remove(&None).unwrap_or_default();
    let at = dir.to_owned();
    spawn_blocking(move || empty.iter().try_for_each(|entry| folder::write_small(&at, entry, b""))).await??;
    let by_object = Arc::new(by_object);
    while !wanted.is_empty() {
        let got = source.some(&wanted[..wanted.len().min(ASKED)]).await?;
        wanted.drain(..got.len());
        let (at, by_object) = (dir.to_owned(), by_object.clone());
        spawn_blocking(move || {
            for (digest, bytes) in got {
                for entry in by_object.get(&Some(digest)).into_iter().flatten() {
                    folder::write_small(&at, entry, &bytes)?;
                }
            }
            Ok::<_, Trouble>(())
        })
        .await??;
    }
    Ok(())
}

async fn fetch_large(source: &Source<'_>, dir: &Path, entry: Entry, list: List) -> Result<()> {
    let list = Arc::new(list);
    let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(8);
    let (begun, begins) = tokio::sync::oneshot::channel();
    let (at, chunks) = (dir.to_owned(), list.clone());
    let written = spawn_blocking(move || {
        let (mut writing, there) = Writing::begin(&at, &entry, Some(&chunks))?;
        let _ = begun.send(there);
        let mut missing = chunks.chunks.len() - there;
        while let Some(bytes) = receiver.blocking_recv() {
            writing.write(&bytes)?;
            missing -= 1;
        }
        // A broken off file stays as it is, to be gone on with.
        if missing == 0 { writing.end() } else { Ok(()) }
    });
    let fetched = async {
        // When it could not be begun, the task says why.
        let Ok(there) = begins.await else { return Ok(()) };
        let mut rest = &list.chunks[there..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let some = rest.iter().take_while(|(_, size)| {
                bytes += u64::from(*size);
                bytes <= CHUNK_BYTES
            });
            let some: Vec<Hash> = some.map(|(digest, _)| *digest).collect();
            let some = if some.is_empty() { vec![rest[0].0] } else { some };
            for (_, bytes) in source.all(&some).await? {
                if sender.send(bytes).await.is_err() {
                    return Ok(());
                }
            }
            rest = &rest[some.len()..];
        }
        Ok::<_, anyhow::Error>(())
    }
    .await;
    drop(sender);
    let written = written.await?;
    fetched?;
    Ok(written?)
}

/// A dataset on a server.
struct Source<'a> {
    client: &'a Client,
    name: &'a str,
}

impl Source<'_> {
    async fn one(&self, digest: Hash) -> Result<Vec<u8>> {
        let object = path(&["datasets", self.name, "objects", &digest.to_string()]);
        let got = self.client.ask(Method::GET, &object, |request| request.timeout(PATIENCE)).await;
        let (_, bytes) = got.map_err(refused)?;
        if Hash::of(&bytes) != digest {
            bail!("the object {digest} arrived damaged");
        }
        Ok(bytes)
    }

    /// The first of these objects, in their order: at least one.
    async fn some(&self, digests: &[Hash]) -> Result<Vec<(Hash, Vec<u8>)>> {
        let texts: Vec<String> = digests.iter().map(ToString::to_string).collect();
        let body = json!({ "digests": texts });
        let body = post_bytes(self.client, &path(&["datasets", self.name, "objects"]), body).await.map_err(refused)?;
        // Each object was held against its digest.
        let pack = Pack::read(&body)?;
        let got: Vec<Hash> = pack.objects.iter().map(|object| object.digest).collect();
        if got.is_empty() || !digests.starts_with(&got) {
            bail!("the server's answer has other objects than were asked for");
        }
        let bytes = |at: u32, size: u32| body[at as usize..(at + size) as usize].to_vec();
        Ok(pack.objects.iter().map(|object| (object.digest, bytes(object.at, object.size))).collect())
    }

    async fn all(&self, digests: &[Hash]) -> Result<Vec<(Hash, Vec<u8>)>> {
        let mut got = Vec::with_capacity(digests.len());
        while got.len() < digests.len() {
            got.extend(self.some(&digests[got.len()..]).await?);
        }
        Ok(got)
    }
}
