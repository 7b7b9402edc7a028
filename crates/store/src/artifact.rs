//! Which files runs and logged models have. Content lies in the artifact store under its digest; here are paths.

use crate::{Result, experiment::stage};
use domain::{
    Digest,
    artifact_path::{ArtifactFolder, ArtifactPath},
    artifact_root::{ArtifactOwner, ArtifactRoot},
    artifact_tree::{TreeEntry, TreePage},
    experiment::LifecycleStage,
    id::{ExperimentId, LoggedModelId, RunId, WorkspaceId},
    model::VersionFile,
    run::ArtifactEntry,
};
use sqlx::PgConnection;
use uuid::Uuid;

/// The id that the rows of a root carry.
pub(crate) fn root_id(owner: ArtifactOwner) -> Uuid {
    match owner {
        ArtifactOwner::Run(id) => id.0,
        ArtifactOwner::LoggedModel(id) => id.0,
    }
}

/// What the rows of a root say of its owner.
pub(crate) fn root_kind(owner: ArtifactOwner) -> &'static str {
    match owner {
        ArtifactOwner::Run(_) => "run",
        ArtifactOwner::LoggedModel(_) => "logged_model",
    }
}

/// Whether a root's owner is in use; none when the workspace has no such root.
///
/// # Errors
/// When the statement fails.
pub async fn owner_stage(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    root: ArtifactRoot,
) -> Result<Option<LifecycleStage>> {
    let name: Option<String> = match root.owner {
        ArtifactOwner::Run(id) => {
            sqlx::query_scalar(
                "select lifecycle_stage
                 from runs
                 where workspace_id = $1 and experiment_id = $2 and id = $3",
            )
            .bind(workspace)
            .bind(root.experiment_id)
            .bind(id)
            .fetch_optional(conn)
            .await?
        }
        ArtifactOwner::LoggedModel(id) => {
            sqlx::query_scalar(
                "select case when deleted then 'deleted' else 'active' end
                 from logged_models
                 where workspace_id = $1 and experiment_id = $2 and id = $3",
            )
            .bind(workspace)
            .bind(root.experiment_id)
            .bind(id)
            .fetch_optional(conn)
            .await?
        }
    };
    name.as_deref().map(stage).transpose()
}

/// The root of a run of the workspace.
///
/// # Errors
/// When the statement fails.
pub async fn root_of_run(conn: &mut PgConnection, workspace: WorkspaceId, id: RunId) -> Result<Option<ArtifactRoot>> {
    let experiment: Option<ExperimentId> =
        sqlx::query_scalar("select experiment_id from runs where workspace_id = $1 and id = $2")
            .bind(workspace)
            .bind(id)
            .fetch_optional(conn)
            .await?;
    Ok(experiment.map(|experiment_id| ArtifactRoot { experiment_id, owner: ArtifactOwner::Run(id) }))
}

/// The root of a logged model of the workspace.
///
/// # Errors
/// When the statement fails.
pub async fn root_of_logged_model(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: LoggedModelId,
) -> Result<Option<ArtifactRoot>> {
    let experiment: Option<ExperimentId> =
        sqlx::query_scalar("select experiment_id from logged_models where workspace_id = $1 and id = $2")
            .bind(workspace)
            .bind(id)
            .fetch_optional(conn)
            .await?;
    Ok(experiment.map(|experiment_id| ArtifactRoot { experiment_id, owner: ArtifactOwner::LoggedModel(id) }))
}

/// Says that the file has this content from now on. False when the path is a folder, or lies below a file. Of two that would
/// make of one path both, the later waits for the earlier's transaction.
///
/// # Errors
/// When the statement fails.
pub async fn put(
    conn: &mut PgConnection,
    owner: ArtifactOwner,
    path: &ArtifactPath,
    digest: &Digest,
    size: i64,
) -> Result<bool> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1::text, 0))")
        .bind(root_id(owner))
        .execute(&mut *conn)
        .await?;
    let ancestors: Vec<&str> = path.as_str().match_indices('/').map(|(at, _)| &path.as_str()[..at]).collect();
    let put = sqlx::query(
        "insert into artifacts (root_id, path, root_kind, digest, size)
         select $1, $2, $3, $4, $5
         where not exists (
             select from artifacts
             where root_id = $1 and (path = any($6) or path > $2 || '/' and path < $2 || '0')
         )
         on conflict (root_id, path) do update
         set digest = excluded.digest, size = excluded.size, created_at = now()",
    )
    .bind(root_id(owner))
    .bind(path.as_str())
    .bind(root_kind(owner))
    .bind(digest)
    .bind(size)
    .bind(ancestors)
    .execute(conn)
    .await?;
    Ok(put.rows_affected() == 1)
}

/// The content and size of a file.
///
/// # Errors
/// When the statement fails.
pub async fn get(conn: &mut PgConnection, owner: ArtifactOwner, path: &ArtifactPath) -> Result<Option<(Digest, i64)>> {
    Ok(sqlx::query_as("select digest, size from artifacts where root_id = $1 and path = $2")
        .bind(root_id(owner))
        .bind(path.as_str())
        .fetch_optional(conn)
        .await?)
}

/// The files and folders right in a folder, by name. Their paths are from the root.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    owner: ArtifactOwner,
    folder: &ArtifactFolder,
) -> Result<Vec<ArtifactEntry>> {
    let rows: Vec<(String, bool, Option<i64>)> = sqlx::query_as(
        "select name, is_dir, max(size) filter (where not is_dir)
         from (
             select split_part(rest, '/', 1) as name, position('/' in rest) > 0 as is_dir, size
             from (
                 select substr(path, char_length($2) + 1) as rest, size
                 from artifacts
                 where root_id = $1 and path >= $2 and ($3::text is null or path < $3)
             ) below
         ) entries
         group by name, is_dir
         order by name",
    )
    .bind(root_id(owner))
    .bind(folder.prefix())
    .bind(end(folder))
    .fetch_all(conn)
    .await?;
    let entry = |(name, is_dir, size)| ArtifactEntry { path: format!("{}{name}", folder.prefix()), is_dir, size };
    Ok(rows.into_iter().map(entry).collect())
}

/// A page of what lies right in a folder, with how much there is in all: folders first, each sort by name. It begins with the
/// entry of the name `from`, or with the first when there is none, and has up to `limit` entries.
///
/// # Errors
/// When the statement fails.
pub async fn tree(
    conn: &mut PgConnection,
    owner: ArtifactOwner,
    folder: &ArtifactFolder,
    from: Option<&str>,
    limit: usize,
) -> Result<TreePage> {
    #[derive(sqlx::FromRow)]
    struct Row {
        name: String,
        is_dir: bool,
        size: i64,
        files: i64,
        place: i64,
        total: i64,
        all_files: i64,
        all_size: i64,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "with entries as (
             select split_part(rest, '/', 1) as name, position('/' in rest) > 0 as is_dir,
                    sum(size)::bigint as size, count(*) as files
             from (
                 select substr(path, char_length($2) + 1) as rest, size
                 from artifacts
                 where root_id = $1 and path >= $2 and ($3::text is null or path < $3)
             ) below
             group by 1, 2
         ), placed as (
             select *, row_number() over (order by is_dir desc, name) as place, count(*) over () as total,
                    (sum(files) over ())::bigint as all_files, (sum(size) over ())::bigint as all_size
             from entries
         )
         select *
         from placed
         where place >= coalesce((select place from placed where name = $4), 1)
         order by place
         limit $5",
    )
    .bind(root_id(owner))
    .bind(folder.prefix())
    .bind(end(folder))
    .bind(from)
    // One more tells where the next page begins.
    .bind(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await?;
    let mut page = TreePage { folder: folder.as_str().to_owned(), ..TreePage::default() };
    if let Some(first) = rows.first() {
        (page.total, page.files, page.size, page.before) =
            (first.total, first.all_files, first.all_size, first.place - 1);
    }
    page.next = rows.get(limit).map(|row| format!("{}{}", folder.prefix(), row.name));
    page.entries = rows
        .into_iter()
        .take(limit)
        .map(|row| TreeEntry {
            path: format!("{}{}", folder.prefix(), row.name),
            is_dir: row.is_dir,
            size: row.size,
            files: row.files,
        })
        .collect();
    Ok(page)
}

/// How many files are below a folder, and how many bytes they have.
///
/// # Errors
/// When the statement fails.
pub async fn measure(conn: &mut PgConnection, owner: ArtifactOwner, folder: &ArtifactFolder) -> Result<(i64, i64)> {
    Ok(sqlx::query_as(
        "select count(*), coalesce(sum(size), 0)::bigint
         from artifacts
         where root_id = $1 and path >= $2 and ($3::text is null or path < $3)",
    )
    .bind(root_id(owner))
    .bind(folder.prefix())
    .bind(end(folder))
    .fetch_one(conn)
    .await?)
}

/// What the paths of all files in a folder are less than; none for the root. `0` is the character after the slash.
fn end(folder: &ArtifactFolder) -> Option<String> {
    (!folder.is_root()).then(|| format!("{}0", folder.as_str()))
}

/// All files below a folder, by path; their paths are from the folder.
///
/// # Errors
/// When the statement fails.
pub async fn files(conn: &mut PgConnection, owner: ArtifactOwner, folder: &ArtifactFolder) -> Result<Vec<VersionFile>> {
    let rows: Vec<(String, Digest, i64)> = sqlx::query_as(
        "select substr(path, char_length($2) + 1), digest, size
         from artifacts
         where root_id = $1 and path >= $2 and ($3::text is null or path < $3)
         order by path",
    )
    .bind(root_id(owner))
    .bind(folder.prefix())
    .bind(end(folder))
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(path, digest, size)| VersionFile { path, digest, size }).collect())
}

/// Removes a file, or a folder with all that is in it. Answers with the number of files. Their content stays: others
/// may have it too.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut PgConnection, owner: ArtifactOwner, path: &ArtifactFolder) -> Result<u64> {
    let deleted = sqlx::query(
        "delete from artifacts
         where root_id = $1 and (path = $2 or path >= $3 and ($4::text is null or path < $4))",
    )
    .bind(root_id(owner))
    .bind(path.as_str())
    .bind(path.prefix())
    .bind(end(path))
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
