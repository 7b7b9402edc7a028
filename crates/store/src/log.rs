//! Logs of tries, in chunks of whole lines.

use crate::Result;
use domain::{
    id::StepAttemptId,
    log::{LogLine, LogStream},
};
use sqlx::{FromRow, PgConnection, types::Json};

/// A line as it is stored: milliseconds since 1970, stream, text.
type Stored = (i64, LogStream, String);

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
