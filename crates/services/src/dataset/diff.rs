//! What is different between two versions of a dataset, or of two datasets. Pages that both have are not read.

use crate::{Ctx, Result, Services, boxed};
use domain::{
    dataset::{DatasetVersion, VersionRef},
    page,
};
use manifest::{Change, Entry, Root, changes, differing};
use store::{PgConnection, dataset::DatasetKey};

/// What is different between two versions.
#[derive(Debug, Clone)]
pub struct DatasetDiff {
    /// The earlier one.
    pub before: DatasetVersion,
    /// The later one.
    pub after: DatasetVersion,
    /// How many files are in the later one alone.
    pub added: u64,
    /// How many are in the earlier one alone.
    pub removed: u64,
    /// How many have other content.
    pub changed: u64,
    /// How many pages were read, of all pages of both.
    pub pages_read: (usize, usize),
    /// A page of the changes, by path.
    pub changes: Vec<Change>,
    /// The token of the next page; none on the last.
    pub next_page_token: Option<String>,
}

impl Services {
    /// What is different between two versions, each of a dataset.
    ///
    /// # Errors
    /// `NotFound` without such a version; `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn dataset_diff(
        &self,
        ctx: &Ctx,
        (name, before): (&str, &VersionRef),
        (other, after): (&str, &VersionRef),
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<DatasetDiff> {
        let from: Option<String> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let (of_before, before) = self.found_version(&mut conn, ctx, name, before).await?;
        let (of_after, after) = self.found_version(&mut conn, ctx, other, after).await?;
        let root_before = self.root(&mut conn, of_before.key, &before).await?;
        let root_after = self.root(&mut conn, of_after.key, &after).await?;
        let (old, new) = differing(&root_before, &root_after);
        let pages_read = (old.len() + new.len(), root_before.pages.len() + root_after.pages.len());
        let old = self.entries(&mut conn, of_before.key, &root_before, &old).await?;
        let new = self.entries(&mut conn, of_after.key, &root_after, &new).await?;
        let mut diff = DatasetDiff {
            before,
            after,
            added: 0,
            removed: 0,
            changed: 0,
            pages_read,
            changes: Vec::new(),
            next_page_token: None,
        };
        for change in changes(old, new) {
            match &change {
                Change::Added(_) => diff.added += 1,
                Change::Removed(_) => diff.removed += 1,
                Change::Changed { .. } => diff.changed += 1,
            }
            if from.as_deref().is_some_and(|from| change.path() < from) {
                continue;
            }
            if diff.changes.len() < limit {
                diff.changes.push(change);
            } else if diff.next_page_token.is_none() {
                diff.next_page_token = Some(page::encode(&change.path()));
            }
        }
        Ok(diff)
    }

    /// The entries of these pages, by path.
    async fn entries(
        &self,
        conn: &mut PgConnection,
        key: DatasetKey,
        root: &Root,
        pages: &[usize],
    ) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for page in pages.iter().filter_map(|index| root.pages.get(*index)) {
            entries.extend(self.page(conn, key, page.digest).await?.entries);
        }
        Ok(entries)
    }
}
