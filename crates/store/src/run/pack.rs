//! Packing the points of a run: what came into the journal goes into chunks by metric, and what is too little for a chunk
//! is put together in fewer rows of the journal.
//!
//! Readers look at both in one statement, so it makes no difference to them when this happens, or whether.

use super::{RunKey, Stamp, key::KeyId};
use crate::Result;
use domain::series::Point;
use points::{chunk, journal};
use sqlx::{FromRow, PgConnection};
use std::collections::BTreeMap;

/// With fewer points than this a metric stays in the journal: a chunk has a head of its own.
const LEAST: usize = 48;

/// A chunk that is to be written.
struct Chunk {
    key: KeyId,
    number: i32,
    points: Vec<Point>,
}

/// Packs what lies in the journal of a run. Nothing when somebody else is at it. `whole` also makes the last chunk of each
/// metric as large as it may be, which is for runs that have ended.
///
/// For a transaction of its own.
///
/// # Errors
/// When a statement fails, or points are damaged.
pub async fn pack(conn: &mut PgConnection, run: RunKey, whole: bool) -> Result<()> {
    let is_ours: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock(hashint4(1), hashint8($1))")
        .bind(run)
        .fetch_one(&mut *conn)
        .await?;
    if !is_ours {
        return Ok(());
    }
    let (rows, fresh, packed): (i64, i64, i64) = sqlx::query_as(
        "select count(*) filter (where not packed),
             coalesce(sum(length(points)) filter (where not packed), 0),
             coalesce(sum(length(points)) filter (where packed), 0)
         from metric_journal
         where run_key = $1",
    )
    .bind(run)
    .fetch_one(&mut *conn)
    .await?;
    // What is packed is written again only for something that is worth it.
    if rows < 2 || !whole && fresh < packed / 4 {
        return Ok(());
    }
    let rows: Vec<Vec<u8>> = sqlx::query_scalar("delete from metric_journal where run_key = $1 returning points")
        .bind(run)
        .fetch_all(&mut *conn)
        .await?;
    let mut by_key: BTreeMap<KeyId, Vec<Point>> = BTreeMap::new();
    for row in &rows {
        for (metric, point) in journal::decode(row)? {
            by_key.entry(KeyId(metric)).or_default().push(point);
        }
    }
    let mut kept: Vec<journal::Entry> = Vec::new();
    let mut chunks = Vec::new();
    let mut ends = ends(conn, run, by_key.keys().copied().collect()).await?;
    for (key, mut points) in by_key {
        points::arrange(&mut points);
        let mut end = ends.remove(&key).unwrap_or_default();
        if end.is_empty() && points.len() < LEAST {
            kept.extend(points.into_iter().map(|point| (key.0, point)));
            continue;
        }
        let mut number = end.last().map_or(0, |(number, _)| number + 1);
        // Chunks at the end that are not much larger than what comes to them are written again together with it.
        let mut again = Vec::new();
        let mut total = points.len();
        while let Some((last, count)) = end.pop() {
            if count >= chunk::MAX_POINTS || !whole && count > 4 * total {
                break;
            }
            number = last;
            total += count;
            again.push(last);
        }
        points.extend(take(conn, run, key, &again).await?);
        points::arrange(&mut points);
        for part in points.chunks(chunk::MAX_POINTS) {
            chunks.push(Chunk { key, number, points: part.to_vec() });
            number += 1;
        }
    }
    write_journal(conn, run, &kept).await?;
    write_chunks(conn, run, &chunks).await
}

/// The number and size of each chunk of these metrics, in order.
async fn ends(conn: &mut PgConnection, run: RunKey, keys: Vec<KeyId>) -> Result<BTreeMap<KeyId, Vec<(i32, usize)>>> {
    let rows: Vec<(KeyId, i32, i32)> = sqlx::query_as(
        "select key_id, number, count
         from metric_chunks
         where run_key = $1 and key_id = any($2)
         order by key_id, number",
    )
    .bind(run)
    .bind(keys)
    .fetch_all(conn)
    .await?;
    let mut ends: BTreeMap<KeyId, Vec<(i32, usize)>> = BTreeMap::new();
    for (key, number, count) in rows {
        ends.entry(key).or_default().push((number, usize::try_from(count).unwrap_or_default()));
    }
    Ok(ends)
}

/// Takes chunks out, and gives their points.
async fn take(conn: &mut PgConnection, run: RunKey, key: KeyId, numbers: &[i32]) -> Result<Vec<Point>> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Vec<u8>> = sqlx::query_scalar(
        "delete from metric_chunks where run_key = $1 and key_id = $2 and number = any($3) returning points",
    )
    .bind(run)
    .bind(key)
    .bind(numbers)
    .fetch_all(conn)
    .await?;
    let mut points = Vec::new();
    for row in &rows {
        points.extend(chunk::unpack(row)?);
    }
    Ok(points)
}

async fn write_journal(conn: &mut PgConnection, run: RunKey, entries: &[journal::Entry]) -> Result<()> {
    let rows: Vec<Vec<u8>> =
        entries.chunks(journal::MAX_POINTS).map(|part| journal::encode(part.iter().copied())).collect();
    sqlx::query("insert into metric_journal (run_key, packed, points) select $1, true, unnest($2::bytea[])")
        .bind(run)
        .bind(rows)
        .execute(conn)
        .await?;
    Ok(())
}

async fn write_chunks(conn: &mut PgConnection, run: RunKey, chunks: &[Chunk]) -> Result<()> {
    // A run may have thousands of metrics; what is packed of them is not all held at once.
    for chunks in chunks.chunks(16) {
        let packed: Vec<Vec<u8>> = chunks.iter().map(|chunk| Ok(chunk::pack(&chunk.points)?)).collect::<Result<_>>()?;
        let time = |point: Option<&Point>| point.map_or(0, |point| point.timestamp);
        sqlx::query(
            "insert into metric_chunks (run_key, key_id, number, count, first_timestamp, last_timestamp, points)
             select $1, *
             from unnest($2::integer[], $3::integer[], $4::integer[], $5::bigint[], $6::bigint[], $7::bytea[])",
        )
        .bind(run)
        .bind(chunks.iter().map(|chunk| chunk.key).collect::<Vec<_>>())
        .bind(chunks.iter().map(|chunk| chunk.number).collect::<Vec<_>>())
        .bind(chunks.iter().map(|chunk| i32::try_from(chunk.points.len()).unwrap_or(i32::MAX)).collect::<Vec<_>>())
        .bind(chunks.iter().map(|chunk| time(chunk.points.first())).collect::<Vec<_>>())
        .bind(chunks.iter().map(|chunk| time(chunk.points.last())).collect::<Vec<_>>())
        .bind(packed)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// A run with points that wait to be packed.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct Waiting {
    /// Which, and its version.
    #[sqlx(flatten)]
    pub stamp: Stamp,
    /// Whether it has ended.
    pub has_ended: bool,
    /// Whether so much waits that it is worth packing while the run goes on.
    pub is_much: bool,
}

/// Runs with points that wait to be packed: those that have ended, and those of which much waits.
///
/// # Errors
/// When the statement fails.
pub async fn waiting(conn: &mut PgConnection) -> Result<Vec<Waiting>> {
    Ok(sqlx::query_as(
        "select r.key, r.version, r.status in ('FINISHED', 'FAILED', 'KILLED') as has_ended, j.rows >= 256 as is_much
         from (
             select run_key, count(*) as rows from metric_journal where not packed group by run_key
         ) j
         join runs r on r.key = j.run_key
         where j.rows >= 256 or j.rows >= 2 and r.status in ('FINISHED', 'FAILED', 'KILLED')",
    )
    .fetch_all(conn)
    .await?)
}
