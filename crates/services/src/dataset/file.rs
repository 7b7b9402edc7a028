//! Looking into a version: its folders, and the bytes of its files.

use crate::{Ctx, Result, Services, boxed};
use artifacts::Content as Bytes_;
use bytes::Bytes;
use domain::{
    Error, ErrorKind,
    dataset::{DatasetVersion, VersionRef},
    page,
};
use futures::{StreamExt as _, stream};
use manifest::{Content, Entry, Hash, List, Page, Root};
use store::{PgConnection, dataset::DatasetKey};

/// How many chunks are read ahead of whoever takes them.
const AHEAD: usize = 4;

/// A file of a version, or a folder with files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetFile {
    /// Its path.
    pub path: String,
    /// How many files are below it; none when it is a file itself.
    pub folder: Option<u64>,
    /// Its length in bytes, or that of all files below it; none when it is not known.
    pub size: Option<u64>,
    /// What is there; none for a folder.
    pub entry: Option<Entry>,
}

/// What lies right in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetFolder {
    /// Files and folders, by path.
    pub files: Vec<DatasetFile>,
    /// The token of the next page; none on the last.
    pub next_page_token: Option<String>,
}

impl Services {
    /// A page of what lies right in a folder of a version; `""` is the version itself. A folder that is not there is empty.
    ///
    /// # Errors
    /// `NotFound` without such a version; `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn dataset_folder(
        &self,
        ctx: &Ctx,
        name: &str,
        which: &VersionRef,
        folder: &str,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<DatasetFolder> {
        let from: Option<String> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let folder = folder.trim_matches('/');
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut conn = self.conn().await?;
        let (stored, version) = self.found_version(&mut conn, ctx, name, which).await?;
        let root = self.root(&mut conn, stored.key, &version).await?;
        let start = from.unwrap_or_else(|| prefix.clone());
        let mut files: Vec<DatasetFile> = Vec::new();
        let mut index = root.page_from(&start);
        'pages: while let Some(page) = root.pages.get(index) {
            index += 1;
            if !prefix.is_empty() && !page.first.starts_with(&prefix) && page.first > prefix {
                break;
            }
            // Of a page that lies within one folder below, its sums are enough.
            if let Some(inner) =
                inner_folder(&page.first, &prefix).filter(|inner| page.last.starts_with(&format!("{inner}/")))
            {
                if add(&mut files, inner, page.entries, page.bytes, limit) {
                    break;
                }
                continue;
            }
            for entry in self.page(&mut conn, stored.key, page.digest).await?.entries {
                if entry.path < start || !entry.path.starts_with(&prefix) {
                    continue;
                }
                let is_full = match inner_folder(&entry.path, &prefix) {
                    Some(inner) => {
                        let kept = if entry.digest().is_some() { entry.size() } else { None };
                        add(&mut files, inner, 1, kept.unwrap_or_default(), limit)
                    }
                    None => {
                        let (path, size) = (entry.path.clone(), entry.size());
                        files.push(DatasetFile { path, folder: None, size, entry: Some(entry) });
                        files.len() > limit
                    }
                };
                if is_full {
                    break 'pages;
                }
            }
        }
        // One more than was asked for begins the next page.
        let next = if files.len() > limit { files.pop() } else { None };
        let next = next.map(|file| if file.folder.is_some() { format!("{}/", file.path) } else { file.path });
        Ok(DatasetFolder { files, next_page_token: next.map(|path| page::encode(&path)) })
    }

    /// A file of a version, and all its bytes as they are read.
    ///
    /// # Errors
    /// `NotFound` without such a file; `Invalid` for one that lies elsewhere.
    #[boxed]
    pub async fn dataset_file(&self, ctx: &Ctx, name: &str, which: &VersionRef, path: &str) -> Result<(Entry, Bytes_)> {
        let mut conn = self.conn().await?;
        let (stored, version) = self.found_version(&mut conn, ctx, name, which).await?;
        let root = self.root(&mut conn, stored.key, &version).await?;
        let mut found = None;
        if let Some(page) = root.pages.get(root.page_from(path)) {
            let entries = self.page(&mut conn, stored.key, page.digest).await?.entries;
            found = entries.into_iter().find(|entry| entry.path == path);
        }
        let entry = found.ok_or_else(|| {
            let shown: String = path.chars().take(300).collect();
            Error::new(ErrorKind::NotFound, format!("{} has no file \"{shown}\".", version.title()))
        })?;
        if let Content::External(external) = &entry.content {
            return Err(Error::invalid(format!("\"{path}\" lies elsewhere, at {}.", external.uri)));
        }
        let content = self.content(&mut conn, stored.key, &entry).await?;
        Ok((entry, content))
    }

    /// The bytes of a file, as they are read.
    pub(super) async fn content(&self, conn: &mut PgConnection, key: DatasetKey, entry: &Entry) -> Result<Bytes_> {
        let size = entry.size().unwrap_or_default();
        let objects = self.objects_of(conn, key, entry).await?;
        let services = self.clone();
        let chunks = stream::iter(objects).map(move |digest| {
            let services = services.clone();
            async move {
                let mut conn = services.conn().await?;
                let read = services.read_objects(&mut conn, key, &[digest]).await?.remove(&digest);
                read.ok_or_else(|| lost(digest))
            }
        });
        let bytes = chunks
            .buffered(AHEAD)
            .map(|read: Result<Bytes>| read.map_err(|error| artifacts::Error::Source(error.into())));
        Ok(Bytes_ { size, range: 0..size, stream: bytes.boxed() })
    }

    /// The objects whose bytes, one after the other, are a file's.
    pub(super) async fn objects_of(
        &self,
        conn: &mut PgConnection,
        key: DatasetKey,
        entry: &Entry,
    ) -> Result<Vec<Hash>> {
        match &entry.content {
            Content::Small { size: 0, .. } | Content::External(_) => Ok(Vec::new()),
            Content::Small { digest, .. } => Ok(vec![*digest]),
            Content::Large { list, .. } => {
                let read = self.list(conn, key, *list).await?;
                Ok(read.chunks.into_iter().map(|(digest, _)| digest).collect())
            }
        }
    }

    pub(super) async fn root(
        &self,
        conn: &mut PgConnection,
        key: DatasetKey,
        version: &DatasetVersion,
    ) -> Result<Root> {
        let digest: Hash = version.digest.hex().parse().map_err(|_| Error::internal())?;
        let bytes = self.one(conn, key, digest).await?;
        Root::read(&bytes).map_err(|error| unreadable(&error))
    }

    pub(super) async fn page(&self, conn: &mut PgConnection, key: DatasetKey, digest: Hash) -> Result<Page> {
        let bytes = self.one(conn, key, digest).await?;
        Ok(Page::read(&bytes).map_err(|error| unreadable(&error))?.0)
    }

    pub(super) async fn list(&self, conn: &mut PgConnection, key: DatasetKey, digest: Hash) -> Result<List> {
        let bytes = self.one(conn, key, digest).await?;
        List::read(&bytes).map_err(|error| unreadable(&error))
    }

    async fn one(&self, conn: &mut PgConnection, key: DatasetKey, digest: Hash) -> Result<Bytes> {
        self.read_objects(conn, key, &[digest]).await?.remove(&digest).ok_or_else(|| lost(digest))
    }
}

/// The folder right in another one that a path is in; none when the file itself is right there, or is not below it.
fn inner_folder<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    let end = rest.find('/')?;
    Some(&path[..prefix.len() + end])
}

/// Counts files to a folder of the list. Tells whether the list has more than it may: the folder begins the next page.
fn add(files: &mut Vec<DatasetFile>, folder: &str, count: u64, bytes: u64, limit: usize) -> bool {
    match files.iter_mut().rev().find(|file| file.path == folder && file.folder.is_some()) {
        Some(known) => {
            known.folder = known.folder.map(|known| known + count);
            known.size = known.size.map(|known| known.saturating_add(bytes));
        }
        None => {
            let path = folder.to_owned();
            files.push(DatasetFile { path, folder: Some(count), size: Some(bytes), entry: None });
        }
    }
    files.len() > limit
}

fn lost(digest: Hash) -> Error {
    tracing::error!(%digest, "an object that a version needs is not there");
    Error::new(ErrorKind::Internal, format!("The object {digest} is not in the artifact store any more."))
}

fn unreadable(error: &manifest::Malformed) -> Error {
    tracing::error!(%error, "a stored manifest cannot be read");
    Error::internal()
}
