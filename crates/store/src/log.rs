//! Logs of tries, in chunks of whole lines.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    id::StepAttemptId,
    log::{LogLine, LogStream},
};
use sqlx::{FromRow, PgConnection, types::Json};

/// A line as it is stored: milliseconds since 1970, stream, text.
pub type Stored = (i64, LogStream, String);

/// What became of lines that were to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// They are stored; perhaps by an earlier call whose answer was lost.
    Stored,
    /// They are not: the try has ended, and its log with it.
    Ended,
}

/// Appends lines to the log of a try that runs. Their numbers go on from those that are there: an append that is sent
/// again changes nothing, and none can leave a gap.
///
/// # Errors
/// When a statement fails.
pub async fn append(conn: &mut PgConnection, attempt: StepAttemptId, lines: &[LogLine]) -> Result<Appended> {
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return Ok(Appended::Stored) };
    let stored: Vec<Stored> = lines.iter().map(|line| (line.at_ms, line.stream, line.text.clone())).collect();
    let appended = sqlx::query(
        "with counted as (
             update step_attempts
             set log_lines = $3
             where id = $1 and outcome = 'running' and log_lines = $2 - 1
             returning id
         )
         insert into log_chunks (attempt_id, first_line, lines, content)
         select id, $2, $3 - $2 + 1, $4
         from counted",
    )
    .bind(attempt)
    .bind(first.number)
    .bind(last.number)
    .bind(Json(stored))
    .execute(&mut *conn)
    .await?;
    if appended.rows_affected() == 1 {
        return Ok(Appended::Stored);
    }
    let is_there: Option<bool> =
        sqlx::query_scalar("select outcome = 'running' and log_lines >= $2 from step_attempts where id = $1")
            .bind(attempt)
            .bind(last.number)
            .fetch_optional(conn)
            .await?;
    Ok(if is_there == Some(true) { Appended::Stored } else { Appended::Ended })
}

/// Appends the last word on a try from outside its worker, within the transaction that ends it.
///
/// # Errors
/// When the statement fails.
pub async fn append_last(conn: &mut PgConnection, attempt: StepAttemptId, at_ms: i64, text: &str) -> Result<()> {
    let line: [Stored; 1] = [(at_ms, LogStream::Sys, text.to_owned())];
    sqlx::query(
        "with counted as (
             update step_attempts
             set log_lines = log_lines + 1
             where id = $1
             returning id, log_lines
         )
         insert into log_chunks (attempt_id, first_line, lines, content)
         select id, log_lines, 1, $2
         from counted",
    )
    .bind(attempt)
    .bind(Json(line))
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct Chunk {
    first_line: i64,
    content: Json<Vec<Stored>>,
}

/// How many chunks are read at a time.
const CHUNKS: i64 = 16;

/// Up to `limit` lines after this one.
///
/// # Errors
/// When a statement fails.
pub async fn read(conn: &mut PgConnection, attempt: StepAttemptId, after: i64, limit: usize) -> Result<Vec<LogLine>> {
    let mut lines: Vec<LogLine> = Vec::new();
    // The line after it has a number too.
    let mut after = after.clamp(0, i64::MAX - 1);
    while lines.len() < limit {
        // From the chunk that holds the first line wanted.
        let chunks: Vec<Chunk> = sqlx::query_as(
            "select first_line, content
             from log_chunks
             where attempt_id = $1
                 and first_line >= coalesce(
                     (select max(first_line) from log_chunks where attempt_id = $1 and first_line <= $2 + 1), 0)
             order by first_line
             limit $3",
        )
        .bind(attempt)
        .bind(after)
        .bind(CHUNKS)
        .fetch_all(&mut *conn)
        .await?;
        let before = after;
        for chunk in chunks {
            for (number, (at_ms, stream, text)) in (chunk.first_line..).zip(chunk.content.0) {
                if number > after && lines.len() < limit {
                    lines.push(LogLine { number, at_ms, stream, text });
                    after = number;
                }
            }
        }
        if after == before {
            break;
        }
    }
    Ok(lines)
}

/// Where the log of a try stands: the number of its last line, and how many lines are the command's own.
///
/// # Errors
/// When the statement fails.
pub async fn standing(conn: &mut PgConnection, attempt: StepAttemptId) -> Result<(i64, i64)> {
    let row = sqlx::query_as(
        "select a.log_lines,
             (select count(*)
              from log_chunks c, jsonb_array_elements(c.content) as line
              where c.attempt_id = a.id and line ->> 1 <> 'sys')
         from step_attempts a
         where a.id = $1",
    )
    .bind(attempt)
    .fetch_one(conn)
    .await?;
    Ok(row)
}

/// A part of a blob: the number of its first line, where it begins, and its length in bytes.
pub type Frame = (i64, u64, u64);

/// A log that has left the database.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The blob.
    pub digest: Digest,
    /// How many lines the log has.
    pub lines: i64,
    /// Its parts, in order.
    pub frames: Vec<Frame>,
}

/// Where the log of a try is that has left the database.
///
/// # Errors
/// When the statement fails.
pub async fn archive(conn: &mut PgConnection, attempt: StepAttemptId) -> Result<Option<Archive>> {
    #[derive(FromRow)]
    struct Row {
        digest: Digest,
        lines: i64,
        frames: Json<Vec<Frame>>,
    }
    let row: Option<Row> = sqlx::query_as("select digest, lines, frames from log_archives where attempt_id = $1")
        .bind(attempt)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| Archive { digest: row.digest, lines: row.lines, frames: row.frames.0 }))
}

/// Tries that ended before this moment and whose logs are here, at most so many, each locked: nobody else archives it.
///
/// # Errors
/// When the statement fails.
pub async fn to_archive(
    conn: &mut PgConnection,
    ended_before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<StepAttemptId>> {
    let attempts = sqlx::query_scalar(
        "select a.id
         from log_chunks c
         join step_attempts a on a.id = c.attempt_id
         where c.first_line = 1 and a.ended_at < $1
         limit $2
         for no key update of a skip locked",
    )
    .bind(ended_before)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(attempts)
}

/// The chunks of a log after this line, at most so many: the number of the first line of each, and its lines.
///
/// # Errors
/// When the statement fails.
pub async fn chunks(
    conn: &mut PgConnection,
    attempt: StepAttemptId,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, Vec<Stored>)>> {
    let chunks: Vec<Chunk> = sqlx::query_as(
        "select first_line, content
         from log_chunks
         where attempt_id = $1 and first_line > $2
         order by first_line
         limit $3",
    )
    .bind(attempt)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(chunks.into_iter().map(|chunk| (chunk.first_line, chunk.content.0)).collect())
}

/// Notes where a log is and deletes it here, in the transaction that chose it.
///
/// # Errors
/// When a statement fails.
pub async fn move_out(conn: &mut PgConnection, attempt: StepAttemptId, archive: &Archive) -> Result<()> {
    sqlx::query("insert into log_archives (attempt_id, digest, lines, frames) values ($1, $2, $3, $4)")
        .bind(attempt)
        .bind(&archive.digest)
        .bind(archive.lines)
        .bind(Json(&archive.frames))
        .execute(&mut *conn)
        .await?;
    sqlx::query("delete from log_chunks where attempt_id = $1").bind(attempt).execute(conn).await?;
    Ok(())
}
