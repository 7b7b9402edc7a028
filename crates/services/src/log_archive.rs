//! Logs of tries that have ended: moved out of the database into blobs, compressed, and read from there by line.
//!
//! A blob holds the logs of many tries, because most are short. Each log is a row of *frames*, which are compressed one by
//! one: who reads on from a line reads the frame that has it, and not what comes before.

use crate::{Result, Services, artifact, boxed, commit};
use artifacts::ByteRange;
use chrono::{DateTime, Utc};
use domain::{Error, id::StepAttemptId, log::LogLine};
use futures::TryStreamExt as _;
use store::log::{Archive, Frame, Stored};

/// Tries whose logs go into one blob, at most.
const TRIES: i64 = 200;
/// A blob is begun with no more than this: what is in memory at once is this and the longest log.
const BLOB_BYTES: usize = 16 << 20;
/// A frame is ended when it has so many lines …
const FRAME_LINES: usize = 2000;
/// … or so many bytes.
const FRAME_BYTES: usize = 512 << 10;
/// How many chunks are read at a time.
const CHUNKS: i64 = 32;
/// Level 3 is zstd's own choice: a log becomes some tenth of itself, at hundreds of megabytes a second.
const LEVEL: i32 = 3;

impl Services {
    /// Moves the logs of some tries that ended before this moment out of the database. Answers with how many; when that is
    /// none, there are no more, or another process has them.
    ///
    /// # Errors
    /// When the database or the artifact store does not answer. Then nothing was moved.
    #[boxed]
    pub async fn archive_logs(&self, ended_before: DateTime<Utc>) -> Result<usize> {
        let mut tx = self.begin().await?;
        let attempts = store::log::to_archive(&mut tx, ended_before, TRIES).await?;
        let (mut blob, mut moved) = (Vec::new(), Vec::new());
        for attempt in attempts {
            if blob.len() >= BLOB_BYTES {
                break;
            }
            let (mut frames, mut lines) = (Vec::new(), 0);
            let mut frame = Open::default();
            loop {
                let chunks = store::log::chunks(&mut tx, attempt, lines, CHUNKS).await?;
                if chunks.is_empty() {
                    break;
                }
                for (first, chunk) in chunks {
                    frame.first = if frame.lines.is_empty() { first } else { frame.first };
                    lines = first + i64::try_from(chunk.len()).unwrap_or(0) - 1;
                    frame.add(chunk);
                    if frame.is_full() {
                        frames.push(frame.close(&mut blob)?);
                    }
                }
            }
            if !frame.lines.is_empty() {
                frames.push(frame.close(&mut blob)?);
            }
            moved.push((attempt, frames, lines));
        }
        if moved.is_empty() {
            return Ok(0);
        }
        let stored = self.artifacts.put_bytes(blob).await.map_err(artifact::of_store)?;
        for (attempt, frames, lines) in &moved {
            let archive = Archive { digest: stored.digest.clone(), lines: *lines, frames: frames.clone() };
            store::log::move_out(&mut tx, *attempt, &archive).await?;
        }
        commit(tx).await?;
        Ok(moved.len())
    }

    /// Up to `limit` lines after this one of a log that was archived; none when it was not.
    pub(crate) async fn archived_lines(
        &self,
        attempt: StepAttemptId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<LogLine>> {
        let archive = store::log::archive(&mut *self.conn().await?, attempt).await?;
        let Some(archive) = archive.filter(|archive| after < archive.lines) else { return Ok(Vec::new()) };
        let begin = archive.frames.partition_point(|(first, ..)| *first <= after.max(0) + 1).saturating_sub(1);
        let mut lines = Vec::new();
        for (first, offset, bytes) in &archive.frames[begin..] {
            if lines.len() >= limit {
                break;
            }
            let range = ByteRange::Bounded(*offset..*offset + *bytes);
            let content = self.artifacts.get(&archive.digest, Some(range)).await.map_err(artifact::of_store)?;
            let packed: Vec<u8> = content
                .stream
                .try_fold(Vec::new(), |mut all, part| async move {
                    all.extend_from_slice(&part);
                    Ok(all)
                })
                .await
                .map_err(artifact::of_store)?;
            let stored = crate::blocking(move || unpack(&packed)).await??;
            let numbered = (*first..).zip(stored).filter(|(number, _)| *number > after);
            let wanted = limit - lines.len();
            lines.extend(numbered.take(wanted).map(|(number, (at_ms, stream, text))| LogLine {
                number,
                at_ms,
                stream,
                text,
            }));
        }
        Ok(lines)
    }
}

/// A frame that is not full yet.
#[derive(Default)]
struct Open {
    first: i64,
    lines: Vec<Stored>,
    bytes: usize,
}

impl Open {
    fn add(&mut self, chunk: Vec<Stored>) {
        self.bytes += chunk.iter().map(|(_, _, text)| text.len()).sum::<usize>();
        self.lines.extend(chunk);
    }

    fn is_full(&self) -> bool {
        self.lines.len() >= FRAME_LINES || self.bytes >= FRAME_BYTES
    }

    fn close(&mut self, blob: &mut Vec<u8>) -> Result<Frame> {
        let frame = std::mem::take(self);
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "a log could not be compressed");
            Error::internal()
        };
        let text = serde_json::to_vec(&frame.lines).map_err(|error| failed(&error))?;
        let packed = zstd::bulk::compress(&text, LEVEL).map_err(|error| failed(&error))?;
        let offset = blob.len() as u64;
        blob.extend_from_slice(&packed);
        Ok((frame.first, offset, packed.len() as u64))
    }
}

fn unpack(packed: &[u8]) -> Result<Vec<Stored>> {
    let unpacked = zstd::stream::decode_all(packed).and_then(|text| Ok(serde_json::from_slice(&text)?));
    unpacked.map_err(|error| {
        tracing::error!(%error, "an archived log cannot be read");
        Error::internal()
    })
}
