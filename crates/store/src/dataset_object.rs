//! Where the objects of datasets lie: packs, what is in them, and pages and lists that were found whole. What an object is, nobody
//! knows here.

use crate::{Error, Result, dataset::DatasetKey};
use chrono::{DateTime, Utc};
use domain::id::{DatasetId, PackId};
use sqlx::{FromRow, PgConnection};
use std::time::Duration;

/// A digest, as rows have it.
pub type RawDigest = [u8; 32];

/// An object, and where in its pack it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedObject {
    /// Its digest.
    pub digest: RawDigest,
    /// The pack.
    pub pack: PackId,
    /// Its first byte there.
    pub at: u32,
    /// Its length in bytes.
    pub size: u32,
}

/// A page, or a list of chunks, that was found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownNode {
    /// Its digest.
    pub digest: RawDigest,
    /// How many entries, or chunks, it has.
    pub entries: i64,
    /// How many of them lie elsewhere.
    pub external: i64,
    /// How many bytes they have together.
    pub bytes: i64,
    /// The path of the first; empty for a list.
    pub first: String,
    /// The path of the last; empty for a list.
    pub last: String,
    /// Whether it ends by the rule.
    pub is_ended: bool,
}

fn raw(bytes: &[u8]) -> Result<RawDigest> {
    bytes.try_into().map_err(|_| Error::unknown("digest", "of another length"))
}

fn bytes(digests: &[RawDigest]) -> Vec<&[u8]> {
    digests.iter().map(RawDigest::as_slice).collect()
}

/// Notes a pack of a dataset with what is in it. What the dataset has already lies there from now on: the pack that it was in
/// may be about to go.
///
/// # Errors
/// When a statement fails.
pub async fn insert_pack(
    conn: &mut PgConnection,
    (dataset, key): (DatasetId, DatasetKey),
    pack: PackId,
    size: i64,
    objects: &[PackedObject],
    sweep_after: Duration,
) -> Result<()> {
    let pack_key: i64 =
        sqlx::query_scalar("insert into dataset_packs (id, dataset_id, bytes) values ($1, $2, $3) returning key")
            .bind(pack)
            .bind(dataset)
            .bind(size)
            .fetch_one(&mut *conn)
            .await?;
    let digests: Vec<&[u8]> = objects.iter().map(|object| object.digest.as_slice()).collect();
    let numbers = |of: fn(&PackedObject) -> u32| -> Vec<i32> {
        objects.iter().map(|object| i32::try_from(of(object)).unwrap_or(i32::MAX)).collect()
    };
    // Sorted, so that two packs with the same objects do not wait for each other crosswise; and neighbours in the index.
    sqlx::query(
        "insert into dataset_objects (dataset_key, digest, pack_key, at, size)
         select $1, o.digest, $2, o.at, o.size
         from unnest($3::bytea[], $4::integer[], $5::integer[]) as o (digest, at, size)
         order by o.digest
         on conflict (dataset_key, digest) do update
         set pack_key = excluded.pack_key, at = excluded.at, size = excluded.size",
    )
    .bind(key)
    .bind(pack_key)
    .bind(&digests)
    .bind(numbers(|object| object.at))
    .bind(numbers(|object| object.size))
    .execute(&mut *conn)
    .await?;
    sweep_from(conn, dataset, sweep_after).await
}

/// Has a dataset looked through for what nothing needs, so long from now; sooner, if that was said before.
///
/// # Errors
/// When the statement fails.
pub async fn sweep_from(conn: &mut PgConnection, dataset: DatasetId, after: Duration) -> Result<()> {
    sqlx::query(
        "update versioned_datasets
         set sweep_after = now() + make_interval(secs => $2)
         where id = $1 and sweep_after is null",
    )
    .bind(dataset)
    .bind(after.as_secs_f64())
    .execute(conn)
    .await?;
    Ok(())
}

/// Which of these objects a dataset does not have. The packs of the others are kept for as long as if they had just come.
///
/// # Errors
/// When a statement fails.
pub async fn missing(
    conn: &mut PgConnection,
    dataset: DatasetKey,
    digests: &[RawDigest],
    touch_before: Duration,
) -> Result<Vec<RawDigest>> {
    let missing: Vec<Vec<u8>> = sqlx::query_scalar(
        "select d.digest
         from unnest($2::bytea[]) as d (digest)
         where not exists (select from dataset_objects o where o.dataset_key = $1 and o.digest = d.digest)",
    )
    .bind(dataset)
    .bind(bytes(digests))
    .fetch_all(&mut *conn)
    .await?;
    if missing.len() < digests.len() {
        // In their order, so that two that ask for the same do not wait for each other crosswise.
        sqlx::query(
            "update dataset_packs
             set wanted_at = now()
             where key in (
                 select p.key
                 from dataset_packs p
                 where p.wanted_at < now() - make_interval(secs => $3)
                   and p.key in (
                       select o.pack_key
                       from unnest($2::bytea[]) as d (digest)
                       join dataset_objects o on o.dataset_key = $1 and o.digest = d.digest
                   )
                 order by p.key
                 for update
             )",
        )
        .bind(dataset)
        .bind(bytes(digests))
        .bind(touch_before.as_secs_f64())
        .execute(conn)
        .await?;
    }
    missing.iter().map(|digest| raw(digest)).collect()
}

/// How many of these objects a dataset does not have, or has in another length than is given.
///
/// # Errors
/// When the statement fails.
pub async fn count_missing(
    conn: &mut PgConnection,
    dataset: DatasetKey,
    objects: &[(RawDigest, Option<u32>)],
) -> Result<i64> {
    let digests: Vec<&[u8]> = objects.iter().map(|(digest, _)| digest.as_slice()).collect();
    let sizes: Vec<Option<i32>> = objects.iter().map(|(_, size)| size.map(|size| size as i32)).collect();
    Ok(sqlx::query_scalar(
        "select count(*)
         from unnest($2::bytea[], $3::integer[]) as d (digest, size)
         where not exists (
             select
             from dataset_objects o
             where o.dataset_key = $1 and o.digest = d.digest and (d.size is null or o.size = d.size)
         )",
    )
    .bind(dataset)
    .bind(digests)
    .bind(sizes)
    .fetch_one(conn)
    .await?)
}

/// Where these objects lie, by pack and place. Those that the dataset does not have are left out.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut PgConnection, dataset: DatasetKey, digests: &[RawDigest]) -> Result<Vec<PackedObject>> {
    let rows: Vec<(Vec<u8>, PackId, i32, i32)> = sqlx::query_as(
        "select o.digest, p.id, o.at, o.size
         from unnest($2::bytea[]) as d (digest)
         join dataset_objects o on o.dataset_key = $1 and o.digest = d.digest
         join dataset_packs p on p.key = o.pack_key
         order by p.key, o.at",
    )
    .bind(dataset)
    .bind(bytes(digests))
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(packed).collect()
}

#[derive(FromRow)]
struct NodeRow {
    digest: Vec<u8>,
    entries: i64,
    external: i64,
    bytes: i64,
    first: String,
    last: String,
    is_ended: bool,
}

/// Those of these pages and lists that were found whole. They, and what they need, are kept for as long as if they had just come.
///
/// # Errors
/// When a statement fails.
pub async fn known_nodes(
    conn: &mut PgConnection,
    dataset: DatasetKey,
    digests: &[RawDigest],
    touch_before: Duration,
) -> Result<Vec<KnownNode>> {
    let rows: Vec<NodeRow> = sqlx::query_as(
        "select digest, entries, external, bytes, first, last, is_ended
         from dataset_nodes
         where dataset_key = $1 and digest = any($2)",
    )
    .bind(dataset)
    .bind(bytes(digests))
    .fetch_all(&mut *conn)
    .await?;
    if !rows.is_empty() {
        sqlx::query(
            "update dataset_nodes
             set wanted_at = now()
             where dataset_key = $1 and digest in (
                 select digest
                 from dataset_nodes
                 where dataset_key = $1 and digest = any($2) and wanted_at < now() - make_interval(secs => $3)
                 order by digest
                 for update
             )",
        )
        .bind(dataset)
        .bind(bytes(digests))
        .bind(touch_before.as_secs_f64())
        .execute(conn)
        .await?;
    }
    let node = |row: NodeRow| {
        Ok(KnownNode {
            digest: raw(&row.digest)?,
            entries: row.entries,
            external: row.external,
            bytes: row.bytes,
            first: row.first,
            last: row.last,
            is_ended: row.is_ended,
        })
    };
    rows.into_iter().map(node).collect()
}

/// Notes that a page or list is whole. The caller holds the dataset's lock, and has seen that all that it needs is there.
///
/// # Errors
/// When the statement fails.
pub async fn insert_node(conn: &mut PgConnection, dataset: DatasetKey, node: &KnownNode) -> Result<()> {
    sqlx::query(
        "insert into dataset_nodes (dataset_key, digest, entries, external, bytes, first, last, is_ended)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (dataset_key, digest) do nothing",
    )
    .bind(dataset)
    .bind(node.digest.as_slice())
    .bind(node.entries)
    .bind(node.external)
    .bind(node.bytes)
    .bind(&node.first)
    .bind(&node.last)
    .bind(node.is_ended)
    .execute(conn)
    .await?;
    Ok(())
}

/// The pages and lists of a dataset that a client was told of since so long ago: what they need must not go.
///
/// # Errors
/// When the statement fails.
pub async fn nodes_wanted_within(
    conn: &mut PgConnection,
    dataset: DatasetKey,
    grace: Duration,
) -> Result<Vec<RawDigest>> {
    let rows: Vec<Vec<u8>> = sqlx::query_scalar(
        "select digest
         from dataset_nodes
         where dataset_key = $1 and wanted_at >= now() - make_interval(secs => $2)",
    )
    .bind(dataset)
    .bind(grace.as_secs_f64())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|digest| raw(digest)).collect()
}

/// A dataset that is due to be swept, held so that nobody else sweeps it and no version is made meanwhile.
///
/// # Errors
/// When the statement fails.
pub async fn take_sweep(conn: &mut PgConnection) -> Result<Option<(DatasetId, DatasetKey)>> {
    Ok(sqlx::query_as(
        "select id, key
         from versioned_datasets
         where sweep_after <= now()
         order by sweep_after
         limit 1
         for no key update skip locked",
    )
    .fetch_optional(conn)
    .await?)
}

/// Notes for the rest of the transaction what is kept of a dataset, and forgets the pages and lists that are not and that
/// nobody was told of for so long.
///
/// # Errors
/// When a statement fails.
pub async fn keep(
    conn: &mut PgConnection,
    key: DatasetKey,
    kept: &[RawDigest],
    kept_nodes: &[RawDigest],
    grace: Duration,
) -> Result<()> {
    sqlx::query("create temporary table kept_objects (digest bytea primary key) on commit drop")
        .execute(&mut *conn)
        .await?;
    for part in kept.chunks(50_000) {
        sqlx::query("insert into kept_objects select distinct digest from unnest($1::bytea[]) as d (digest) on conflict do nothing")
            .bind(bytes(part))
            .execute(&mut *conn)
            .await?;
    }
    sqlx::query(
        "delete from dataset_nodes
         where dataset_key = $1 and wanted_at < now() - make_interval(secs => $2) and digest <> all($3)",
    )
    .bind(key)
    .bind(grace.as_secs_f64())
    .bind(bytes(kept_nodes))
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// What is kept of packs that nobody was told of for so long and of which less than half is kept: to be put into new ones.
/// Of as many packs as have `most_bytes` of it together, and one more.
///
/// # Errors
/// When the statement fails.
pub async fn scattered(
    conn: &mut PgConnection,
    (dataset, key): (DatasetId, DatasetKey),
    grace: Duration,
    most_bytes: i64,
) -> Result<Vec<PackedObject>> {
    let rows: Vec<(Vec<u8>, PackId, i32, i32)> = sqlx::query_as(
        "with live as (
             select p.key, p.id, sum(o.size) as bytes
             from dataset_packs p
             join dataset_objects o on o.pack_key = p.key and o.dataset_key = $2
             join kept_objects k on k.digest = o.digest
             where p.dataset_id = $1 and p.wanted_at < now() - make_interval(secs => $3)
             group by p.key, p.id, p.bytes
             having sum(o.size) * 2 < p.bytes - 65536
         ), first_few as (
             select key, id, sum(bytes) over (order by key) - bytes as before from live
         )
         select o.digest, s.id, o.at, o.size
         from first_few s
         join dataset_objects o on o.pack_key = s.key and o.dataset_key = $2
         join kept_objects k on k.digest = o.digest
         where s.before < $4::bigint
         order by s.key, o.at",
    )
    .bind(dataset)
    .bind(key)
    .bind(grace.as_secs_f64())
    .bind(most_bytes)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(packed).collect()
}

fn packed((digest, pack, at, size): (Vec<u8>, PackId, i32, i32)) -> Result<PackedObject> {
    let number = |number: i32| u32::try_from(number).unwrap_or_default();
    Ok(PackedObject { digest: raw(&digest)?, pack, at: number(at), size: number(size) })
}

/// Deletes the packs of a dataset that nobody was told of for so long and that have nothing of what [`keep`] noted. Gives
/// their names: their bodies are deleted once this is committed.
///
/// # Errors
/// When a statement fails.
pub async fn sweep(
    conn: &mut PgConnection,
    (dataset, key): (DatasetId, DatasetKey),
    grace: Duration,
) -> Result<Vec<PackId>> {
    let dead: Vec<(i64, PackId)> = sqlx::query_as(
        "select p.key, p.id
         from dataset_packs p
         where p.dataset_id = $1
           and p.wanted_at < now() - make_interval(secs => $3)
           and not exists (
               select
               from dataset_objects o
               join kept_objects k on k.digest = o.digest
               where o.pack_key = p.key and o.dataset_key = $2
           )
         for update of p",
    )
    .bind(dataset)
    .bind(key)
    .bind(grace.as_secs_f64())
    .fetch_all(&mut *conn)
    .await?;
    let (keys, ids): (Vec<i64>, Vec<PackId>) = dead.into_iter().unzip();
    sqlx::query("delete from dataset_objects where pack_key = any($1)").bind(&keys).execute(&mut *conn).await?;
    sqlx::query("delete from dataset_packs where key = any($1)").bind(&keys).execute(&mut *conn).await?;
    Ok(ids)
}

/// Says when a dataset is swept next; none when nothing of it can have become useless.
///
/// # Errors
/// When the statement fails.
pub async fn set_sweep(conn: &mut PgConnection, dataset: DatasetId, after: Option<DateTime<Utc>>) -> Result<()> {
    sqlx::query("update versioned_datasets set sweep_after = $2 where id = $1")
        .bind(dataset)
        .bind(after)
        .execute(conn)
        .await?;
    Ok(())
}

/// When the youngest pack, page or list of a dataset was last wanted, that is younger than so long; none when all are older.
///
/// # Errors
/// When the statement fails.
pub async fn last_wanted_within(
    conn: &mut PgConnection,
    (dataset, key): (DatasetId, DatasetKey),
    grace: Duration,
) -> Result<Option<DateTime<Utc>>> {
    Ok(sqlx::query_scalar(
        "select max(wanted_at)
         from (
             select wanted_at from dataset_packs where dataset_id = $1
             union all
             select wanted_at from dataset_nodes where dataset_key = $2
         ) w
         where wanted_at >= now() - make_interval(secs => $3)",
    )
    .bind(dataset)
    .bind(key)
    .bind(grace.as_secs_f64())
    .fetch_one(conn)
    .await?)
}

/// Those of these packs that no dataset has.
///
/// # Errors
/// When the statement fails.
pub async fn unowned(conn: &mut PgConnection, packs: &[PackId]) -> Result<Vec<PackId>> {
    Ok(sqlx::query_scalar(
        "select id
         from unnest($1::uuid[]) as p (id)
         where not exists (select from dataset_packs d where d.id = p.id)",
    )
    .bind(packs)
    .fetch_all(conn)
    .await?)
}

/// How many bytes the packs of all datasets have together.
///
/// # Errors
/// When the statement fails.
pub async fn stored_bytes(conn: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar("select coalesce(sum(bytes), 0)::bigint from dataset_packs").fetch_one(conn).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{self, DatasetKey};
    use domain::{dataset::Dataset, id::WorkspaceId, user::Workspace};

    const DAY: Duration = Duration::from_hours(24);

    async fn dataset(conn: &mut PgConnection) -> (DatasetId, DatasetKey) {
        let at = Utc::now();
        let workspace =
            Workspace { id: WorkspaceId::new(), slug: "lab".to_owned(), name: "Lab".to_owned(), created_at: at };
        crate::workspace::insert(conn, &workspace).await.unwrap();
        let new = Dataset {
            id: DatasetId::new(),
            workspace_id: workspace.id,
            name: "wine".to_owned(),
            description: String::new(),
            expectations: Vec::new(),
            author: "Ada".to_owned(),
            created_at: at,
            updated_at: at,
            versions: 0,
        };
        dataset::insert(conn, &new, None).await.unwrap();
        (new.id, dataset::by_name(conn, workspace.id, "wine").await.unwrap().unwrap().key)
    }

    fn object(byte: u8, pack: PackId, at: u32) -> PackedObject {
        PackedObject { digest: [byte; 32], pack, at, size: 100_000 }
    }

    async fn age(conn: &mut PgConnection) {
        sqlx::query("update dataset_packs set wanted_at = now() - interval '2 days'").execute(conn).await.unwrap();
    }

    #[tokio::test]
    async fn objects_lie_where_they_were_put_last_and_go_with_their_pack() {
        let database =
            testkit::database(&crate::schema_key(), |pool| async move { crate::migrate(&pool).await.unwrap() }).await;
        let mut tx = database.pool.begin().await.unwrap();
        let of = dataset(&mut tx).await;
        let (one, two) = (PackId::new(), PackId::new());
        let first = [object(1, one, 0), object(2, one, 100_000), object(3, one, 200_000)];
        insert_pack(&mut tx, of, one, 300_000, &first, DAY).await.unwrap();
        let asked = [[1; 32], [4; 32]];
        assert_eq!(missing(&mut tx, of.1, &asked, DAY).await.unwrap(), [[4; 32]]);
        let sized = [([1; 32], Some(100_000)), ([2; 32], None), ([3; 32], Some(7)), ([4; 32], None)];
        assert_eq!(count_missing(&mut tx, of.1, &sized).await.unwrap(), 2, "another length, and none");
        insert_pack(&mut tx, of, two, 100_000, &[object(1, two, 5)], DAY).await.unwrap();
        assert_eq!(find(&mut tx, of.1, &[[1; 32]]).await.unwrap(), [object(1, two, 5)]);

        keep(&mut tx, of.1, &[[3; 32]], &[], DAY).await.unwrap();
        assert!(scattered(&mut tx, of, DAY, 1 << 30).await.unwrap().is_empty(), "young");
        assert!(sweep(&mut tx, of, DAY).await.unwrap().is_empty());
        age(&mut tx).await;
        assert_eq!(scattered(&mut tx, of, DAY, 1 << 30).await.unwrap(), [object(3, one, 200_000)]);
        // Whoever asks for something keeps its pack.
        missing(&mut tx, of.1, &[[1; 32]], Duration::from_hours(1)).await.unwrap();
        assert!(sweep(&mut tx, of, DAY).await.unwrap().is_empty());
        age(&mut tx).await;
        assert_eq!(sweep(&mut tx, of, DAY).await.unwrap(), [two]);
        assert_eq!(missing(&mut tx, of.1, &[[1; 32], [2; 32], [3; 32]], DAY).await.unwrap(), [[1; 32]]);
        assert_eq!(unowned(&mut tx, &[one, two]).await.unwrap(), [two]);
        assert_eq!(stored_bytes(&mut tx).await.unwrap(), 300_000);
    }

    #[tokio::test]
    async fn pages_that_somebody_was_told_of_are_known_for_a_while() {
        let database =
            testkit::database(&crate::schema_key(), |pool| async move { crate::migrate(&pool).await.unwrap() }).await;
        let mut tx = database.pool.begin().await.unwrap();
        let of = dataset(&mut tx).await;
        let node = KnownNode {
            digest: [7; 32],
            entries: 3,
            external: 1,
            bytes: 9,
            first: "a".to_owned(),
            last: "c".to_owned(),
            is_ended: false,
        };
        insert_node(&mut tx, of.1, &node).await.unwrap();
        insert_node(&mut tx, of.1, &node).await.unwrap();
        assert_eq!(nodes_wanted_within(&mut tx, of.1, DAY).await.unwrap(), [[7; 32]]);
        let old = "update dataset_nodes set wanted_at = now() - interval '2 days'";
        sqlx::query(old).execute(&mut *tx).await.unwrap();
        assert!(nodes_wanted_within(&mut tx, of.1, DAY).await.unwrap().is_empty());
        assert_eq!(known_nodes(&mut tx, of.1, &[[7; 32], [8; 32]], DAY).await.unwrap(), [node]);
        assert_eq!(nodes_wanted_within(&mut tx, of.1, DAY).await.unwrap(), [[7; 32]], "it was told of");
        sqlx::query(old).execute(&mut *tx).await.unwrap();
        keep(&mut tx, of.1, &[], &[], DAY).await.unwrap();
        assert!(known_nodes(&mut tx, of.1, &[[7; 32]], DAY).await.unwrap().is_empty());
    }
}
