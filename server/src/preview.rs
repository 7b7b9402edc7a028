//! From a stored file to what is shown of it: which of its bytes are read, and no more.

use artifacts::ByteRange;
use bytes::{Bytes, BytesMut};
use domain::{
    Error, ErrorKind,
    preview::{Block, Kind, Preview, Reason},
};
use futures::TryStreamExt as _;
use preview::parquet::{self, Footer};
use services::{Artifact, Services, blocking};
use tokio::sync::Semaphore;

/// How many files in columns are read at a time: each may take as much memory as `parquet::MOST_BYTES`, and some more.
static COLUMNS: Semaphore = Semaphore::const_new(2);

/// The most characters of prose that are read.
const MOST_PROSE: usize = 100_000;

/// What is shown of the file at this path.
///
/// # Errors
/// When the artifact store does not answer.
pub(crate) async fn of(services: &Services, path: &str, file: &Artifact) -> Result<Preview, Error> {
    match read(services, path, file).await {
        // It is noted and not there. That is ours to mend; the page around it is still worth its while.
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Internal) => {
            Ok(Preview::Nothing(Reason::Damaged("What is stored of this file is missing or damaged.".to_owned())))
        }
        other => other,
    }
}

async fn read(services: &Services, path: &str, file: &Artifact) -> Result<Preview, Error> {
    let kind = Kind::of(path);
    if kind == Kind::Parquet && file.size > 0 {
        return columns(services, file).await;
    }
    let wanted = preview::wanted(kind).min(file.size);
    let bytes = if wanted == 0 { Bytes::new() } else { part(services, file, 0..wanted).await? };
    let (path, size) = (path.to_owned(), file.size);
    blocking(move || preview::read(&path, &bytes, size)).await
}

async fn columns(services: &Services, file: &Artifact) -> Result<Preview, Error> {
    let _turn = COLUMNS.acquire().await.map_err(|_| Error::internal())?;
    let mut tail = parquet::TAIL.min(file.size);
    for _ in 0..2 {
        let bytes = part(services, file, file.size - tail..file.size).await?;
        let size = file.size;
        let plan = match blocking(move || parquet::footer(&bytes, size)).await? {
            Err(reason) => return Ok(Preview::Nothing(reason)),
            Ok(Footer::Longer(more)) => {
                tail = more.min(file.size);
                continue;
            }
            Ok(Footer::Here(plan)) => plan,
        };
        let mut parts = Vec::new();
        for range in plan.ranges().to_vec() {
            parts.push(part(services, file, range).await?);
        }
        return blocking(move || plan.read(parts)).await;
    }
    Ok(Preview::Nothing(Reason::Damaged("The file says of its length what cannot be.".to_owned())))
}

/// What Markdown that people typed says.
///
/// # Errors
/// When this process is stopping.
pub(crate) async fn prose(text: &str) -> Result<Vec<Block>, Error> {
    let text = text.to_owned();
    blocking(move || typed(&text)).await
}

/// The same, of several texts.
///
/// # Errors
/// When this process is stopping.
pub(crate) async fn prose_of_each(texts: Vec<String>) -> Result<Vec<Vec<Block>>, Error> {
    blocking(move || texts.iter().map(|text| typed(text)).collect()).await
}

fn typed(text: &str) -> Vec<Block> {
    let end = text.char_indices().nth(MOST_PROSE).map_or(text.len(), |(end, _)| end);
    preview::prose(&text[..end])
}

/// All of a file, when so much of its kind is shown.
///
/// # Errors
/// `TooLarge`; when the artifact store does not answer.
pub(crate) async fn whole(services: &Services, file: &Artifact) -> Result<Bytes, Error> {
    let most = preview::wanted(Kind::of(&file.name));
    if file.size > most {
        let message = format!("Files of more than {} MiB are not shown; download this one.", most >> 20);
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    part(services, file, 0..file.size).await
}

/// These bytes of a file.
async fn part(services: &Services, file: &Artifact, range: std::ops::Range<u64>) -> Result<Bytes, Error> {
    let content = services.artifact_content(file, Some(ByteRange::Bounded(range))).await?;
    let all = content.stream.try_fold(BytesMut::new(), |mut all, bytes| async move {
        all.extend_from_slice(&bytes);
        Ok(all)
    });
    Ok(all.await?.freeze())
}
