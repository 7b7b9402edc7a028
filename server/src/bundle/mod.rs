//! Audit bundles as they are sent: a ZIP archive that is written while the chain is read, some thousand entries at a time.
//!
//! What is in it is decided by `services` and `chain`; what a person reads of it is in [`page`].

mod page;

use crate::download;
use axum::{body::Body, response::Response};
use bytes::Bytes;
use chain::{
    DECISIONS, EVENTS, FileNote, Hashed, MANIFEST, PAGE, PROMOTION, README, SEAL, canonical, event_line, gap_line,
    readme,
};
use domain::Error;
use futures::stream;
use page::Page;
use services::{AuditBundle, BundleLine, BundleOf, Ctx, Services, blocking};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    mem,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::mpsc;
use zip::{
    CompressionMethod, ZipWriter,
    write::{SimpleFileOptions, StreamWriter},
};

/// How many pieces of the archive wait for a slow reader.
const AHEAD: usize = 4;

/// The bundle as an answer, to be saved under this name. It is made while it is sent: what goes wrong after the first byte ends
/// the answer before its end, and an archive without its end is none.
///
/// # Errors
/// As [`Services::audit_bundle`].
pub(crate) async fn send(services: &Services, ctx: &Ctx, of: BundleOf, name: &str) -> Result<Response, Error> {
    let bundle = services.audit_bundle(ctx, of).await?;
    let (sent, received) = mpsc::channel::<Result<Bytes, Error>>(AHEAD);
    tokio::spawn(async move {
        let mut out = Out { archive: Some(Archive::default()), sent: sent.clone(), files: BTreeMap::new() };
        if let Err(error) = write(bundle, &mut out).await {
            tracing::warn!(%error, "an audit bundle was not finished");
            // Nobody may be there to hear it.
            let _ = sent.send(Err(error)).await;
        }
    });
    let body = stream::unfold(received, |mut received| async move { Some((received.recv().await?, received)) });
    Ok(download::zip(Body::from_stream(body), name))
}

/// Writes the bundle's files.
async fn write(mut bundle: AuditBundle, out: &mut Out) -> Result<(), Error> {
    let made_by = format!("slipway {}", env!("CARGO_PKG_VERSION"));
    out.file(README, readme(bundle.is_signed()).into_bytes()).await?;
    if let Some(json) = bundle.promotion_json.take() {
        out.file(PROMOTION, json).await?;
    }
    let mut page = Page::default();
    let mut noted = Hashed::default();
    out.begin(EVENTS).await?;
    while let Some(lines) = bundle.next_lines().await? {
        let mut bytes = Vec::new();
        for line in &lines {
            match line {
                BundleLine::Shown { seq, event, hash } => {
                    event_line(&mut bytes, *seq, &event.bytes().map_err(no_json)?, hash);
                    page.event(*seq, event, hash);
                }
                BundleLine::Gap { seq, digests, hash } => gap_line(&mut bytes, *seq, digests, hash),
            }
        }
        noted.update(&bytes);
        out.put(bytes).await?;
    }
    out.note(EVENTS, noted);
    let decisions = bundle.decisions().await?;
    let lines: Vec<u8> = decisions.iter().flat_map(|(_, line)| line).copied().collect();
    out.file(DECISIONS, lines).await?;
    let mut manifest = bundle.manifest(made_by, decisions.len() as u64);
    let decisions = decisions.iter().map(|(decision, _)| decision);
    out.file(PAGE, page.write(&manifest, bundle.promotion.as_deref(), decisions).into_bytes()).await?;
    manifest.files = mem::take(&mut out.files);
    let manifest = canonical(&manifest).map_err(no_json)?;
    let seal = bundle.seal(&manifest)?;
    out.file(MANIFEST, manifest).await?;
    out.file(SEAL, seal).await?;
    out.end().await
}

fn no_json(error: serde_json::Error) -> Error {
    tracing::error!(%error, "a part of a bundle has no JSON form");
    Error::internal()
}

/// What the archive has written and nobody has taken.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn take(&self) -> Vec<u8> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The archive in the making.
struct Archive {
    zip: ZipWriter<StreamWriter<Buffer>>,
    buffer: Buffer,
}

impl Default for Archive {
    fn default() -> Self {
        let buffer = Buffer::default();
        Self { zip: ZipWriter::new_stream(buffer.clone()), buffer }
    }
}

struct Out {
    /// None while another thread writes, and after its end.
    archive: Option<Archive>,
    sent: mpsc::Sender<Result<Bytes, Error>>,
    /// Of the files so far.
    files: BTreeMap<String, FileNote>,
}

impl Out {
    /// Does something with the archive where it holds up no request, and sends on what came of it.
    async fn with(&mut self, work: impl FnOnce(&mut Archive) -> io::Result<()> + Send + 'static) -> Result<(), Error> {
        let mut archive = self.archive.take().ok_or_else(Error::internal)?;
        let (archive, done) = blocking(move || {
            let done = work(&mut archive);
            (archive, done)
        })
        .await?;
        done.map_err(|error| {
            tracing::error!(%error, "an archive could not be written");
            Error::internal()
        })?;
        self.take(&archive.buffer).await?;
        self.archive = Some(archive);
        Ok(())
    }

    async fn take(&self, buffer: &Buffer) -> Result<(), Error> {
        let bytes = buffer.take();
        if bytes.is_empty() {
            return Ok(());
        }
        self.sent.send(Ok(bytes.into())).await.map_err(|_| Error::invalid("whoever asked went away"))
    }

    async fn begin(&mut self, name: &'static str) -> Result<(), Error> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .large_file(name == EVENTS)
            .unix_permissions(0o644);
        self.with(move |archive| Ok(archive.zip.start_file(name, options)?)).await
    }

    async fn put(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        self.with(move |archive| archive.zip.write_all(&bytes)).await
    }

    fn note(&mut self, name: &str, noted: Hashed) {
        self.files.insert(name.to_owned(), noted.note());
    }

    /// A file that is there as a whole.
    async fn file(&mut self, name: &'static str, bytes: Vec<u8>) -> Result<(), Error> {
        let mut noted = Hashed::default();
        noted.update(&bytes);
        self.note(name, noted);
        self.begin(name).await?;
        self.put(bytes).await
    }

    async fn end(&mut self) -> Result<(), Error> {
        let Archive { zip, buffer } = self.archive.take().ok_or_else(Error::internal)?;
        zip.finish().map_err(|error| {
            tracing::error!(%error, "an archive could not be ended");
            Error::internal()
        })?;
        self.take(&buffer).await
    }
}
