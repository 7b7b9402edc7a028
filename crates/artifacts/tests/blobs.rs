//! Blobs in a directory of the local file system, as other crates use them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use artifacts::{Artifacts, ByteRange, Error};
use bytes::Bytes;
use domain::{digest::Digest, id::UploadId};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

struct Fixture {
    directory: tempfile::TempDir,
    artifacts: Artifacts,
}

async fn open() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open_dir(directory.path().join("artifacts")).await.unwrap();
    Fixture { directory, artifacts }
}

impl Fixture {
    /// Every file below the root, also those that the store hides.
    fn files(&self) -> Vec<PathBuf> {
        fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        walk(self.directory.path(), &mut found);
        found
    }

    /// Waits until what a dropped upload clears up in the background is gone.
    async fn no_file_remains(&self) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while !self.files().is_empty() {
            assert!(tokio::time::Instant::now() < deadline, "left behind: {:?}", self.files());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn chunks(parts: Vec<Bytes>) -> impl futures::Stream<Item = Result<Bytes, io::Error>> + Send {
    stream::iter(parts.into_iter().map(Ok))
}

async fn read(artifacts: &Artifacts, digest: &Digest, range: Option<ByteRange>) -> Vec<u8> {
    let content = artifacts.get(digest, range).await.unwrap();
    let length = usize::try_from(content.range.end - content.range.start).unwrap();
    let bytes: Vec<u8> = content.stream.map_ok(|chunk| chunk.to_vec()).try_concat().await.unwrap();
    assert_eq!(bytes.len(), length);
    bytes
}

#[tokio::test]
async fn a_blob_is_named_by_its_content_however_it_is_cut() {
    let f = open().await;
    let whole = f.artifacts.put_bytes("hello world").await.unwrap();
    let cut = f.artifacts.put(chunks(vec!["hello ".into(), Bytes::new(), "world".into()])).await.unwrap();

    assert_eq!(whole, cut);
    assert_eq!(whole.size, 11);
    assert_eq!(whole.digest, Digest::blake3(blake3::hash(b"hello world").into()));
    assert_eq!(read(&f.artifacts, &whole.digest, None).await, b"hello world");
    assert_eq!(f.files().len(), 1);
}

#[tokio::test]
async fn an_empty_blob_can_be_stored_and_read() {
    let f = open().await;
    let blob = f.artifacts.put(chunks(vec![])).await.unwrap();

    assert_eq!(blob.size, 0);
    assert!(read(&f.artifacts, &blob.digest, None).await.is_empty());
    let refused = f.artifacts.get(&blob.digest, Some(ByteRange::Offset(0))).await.err().unwrap();
    assert!(matches!(refused, Error::NotSatisfiable { size: 0 }));
}

#[tokio::test]
async fn a_blob_of_many_parts_comes_back_unchanged() {
    let f = open().await;
    // Odd chunks, so that the parts' borders fall inside them; the last part is short.
    let parts: Vec<Bytes> = (0..21u8).map(|n| Bytes::from(vec![n; (1 << 20) + 7])).collect();
    let expected: Vec<u8> = parts.concat();
    let blob = f.artifacts.put(chunks(parts)).await.unwrap();

    assert_eq!(blob.size, expected.len() as u64);
    assert_eq!(blob.digest, Digest::blake3(blake3::hash(&expected).into()));
    assert!(read(&f.artifacts, &blob.digest, None).await == expected);
}

#[tokio::test]
async fn a_chunk_larger_than_a_part_is_cut() {
    let f = open().await;
    let expected = vec![7u8; (20 << 20) + 1];
    let blob = f.artifacts.put_bytes(expected.clone()).await.unwrap();

    assert!(read(&f.artifacts, &blob.digest, None).await == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_put_by_many_at_once_is_one_blob() {
    let f = open().await;
    let puts = (0..32).map(|_| {
        let artifacts = f.artifacts.clone();
        tokio::spawn(async move { artifacts.put(chunks(vec!["a".repeat(100_000).into(), "b".into()])).await.unwrap() })
    });
    let blobs: Vec<_> = futures::future::join_all(puts).await.into_iter().map(Result::unwrap).collect();

    assert!(blobs.iter().all(|blob| *blob == blobs[0]));
    assert_eq!(f.files().len(), 1);
    assert_eq!(read(&f.artifacts, &blobs[0].digest, None).await.len(), 100_001);
}

#[tokio::test]
async fn a_stream_that_fails_leaves_nothing() {
    let f = open().await;
    let first = Bytes::from(vec![1u8; 9 << 20]);
    let broken = stream::iter([Ok(first.clone()), Err(io::Error::from(io::ErrorKind::ConnectionReset))]);

    assert!(matches!(f.artifacts.put(broken).await, Err(Error::Source(_))));
    let half = Digest::blake3(blake3::hash(&first).into());
    assert!(matches!(f.artifacts.get(&half, None).await, Err(Error::NotFound { .. })));
    f.no_file_remains().await;
}

#[tokio::test]
async fn an_upload_given_up_half_way_leaves_nothing() {
    let f = open().await;
    let (started, begun) = tokio::sync::oneshot::channel();
    let endless = stream::iter([Ok::<_, io::Error>(Bytes::from(vec![1u8; 9 << 20]))]).chain(stream::once(async move {
        started.send(()).unwrap();
        std::future::pending().await
    }));
    let artifacts = f.artifacts.clone();
    let upload = tokio::spawn(async move { artifacts.put(endless).await });
    begun.await.unwrap();
    assert_eq!(f.files().len(), 1, "the upload is being written");
    upload.abort();

    assert!(upload.await.unwrap_err().is_cancelled());
    f.no_file_remains().await;
}

#[tokio::test]
async fn ranges_give_the_bytes_asked_for_and_the_whole_size() {
    let f = open().await;
    let digest = f.artifacts.put_bytes("0123456789").await.unwrap().digest;

    assert_eq!(read(&f.artifacts, &digest, Some(ByteRange::Bounded(2..5))).await, b"234");
    assert_eq!(read(&f.artifacts, &digest, Some(ByteRange::Bounded(8..100))).await, b"89");
    assert_eq!(read(&f.artifacts, &digest, Some(ByteRange::Offset(7))).await, b"789");
    assert_eq!(read(&f.artifacts, &digest, Some(ByteRange::Suffix(3))).await, b"789");
    assert_eq!(read(&f.artifacts, &digest, Some(ByteRange::Suffix(100))).await, b"0123456789");
    let content = f.artifacts.get(&digest, Some(ByteRange::Bounded(2..5))).await.unwrap();
    assert_eq!((content.size, content.range), (10, 2..5));
}

#[tokio::test]
async fn a_range_outside_the_content_is_refused_with_its_size() {
    let f = open().await;
    let digest = f.artifacts.put_bytes("0123456789").await.unwrap().digest;

    for range in [ByteRange::Offset(10), ByteRange::Bounded(10..12), ByteRange::Bounded(5..5), ByteRange::Suffix(0)] {
        let refused = f.artifacts.get(&digest, Some(range)).await.err().unwrap();
        assert!(matches!(refused, Error::NotSatisfiable { size: 10 }), "{refused:?}");
    }
}

#[tokio::test]
async fn what_was_never_stored_is_not_found() {
    let f = open().await;
    for name in ["blake3", "sha256"] {
        let digest: Digest = format!("{name}:{}", "0".repeat(64)).parse().unwrap();
        assert!(matches!(f.artifacts.get(&digest, None).await, Err(Error::NotFound { .. })));
        assert!(matches!(f.artifacts.get(&digest, Some(ByteRange::Offset(1))).await, Err(Error::NotFound { .. })));
        let error = f.artifacts.get_bytes(&digest, 100).await.unwrap_err();
        assert_eq!(error.to_string(), format!("No stored content has the digest {digest}."));
    }
}

#[tokio::test]
async fn more_than_the_limit_is_not_read_into_memory() {
    let f = open().await;
    let digest = f.artifacts.put_bytes("0123456789").await.unwrap().digest;

    assert_eq!(f.artifacts.get_bytes(&digest, 10).await.unwrap(), "0123456789");
    assert!(matches!(f.artifacts.get_bytes(&digest, 9).await, Err(Error::TooLarge { size: 10, limit: 9, .. })));
}

#[tokio::test]
async fn damaged_content_is_noticed_and_mended_by_a_second_upload() {
    let f = open().await;
    let digest = f.artifacts.put_bytes("0123456789").await.unwrap().digest;
    fs::write(&f.files()[0], "012345678X").unwrap();

    assert!(matches!(f.artifacts.get_bytes(&digest, 10).await, Err(Error::Corrupt { .. })));
    f.artifacts.put_bytes("0123456789").await.unwrap();
    assert_eq!(f.artifacts.get_bytes(&digest, 10).await.unwrap(), "0123456789");
}

#[tokio::test]
async fn a_check_passes_and_leaves_nothing() {
    let f = open().await;
    f.artifacts.check().await.unwrap();
    f.no_file_remains().await;
}

#[tokio::test]
async fn a_check_fails_without_naming_a_path_when_the_directory_is_gone() {
    let f = open().await;
    let root = f.directory.path().join("artifacts");
    fs::remove_dir_all(&root).unwrap();
    fs::write(&root, "a file where the directory was").unwrap();

    let error = f.artifacts.check().await.unwrap_err();
    assert_eq!(error.to_string(), "The artifact store does not answer.");
}

#[tokio::test]
async fn opening_clears_abandoned_uploads_and_keeps_those_in_progress() {
    let f = open().await;
    let digest = f.artifacts.put_bytes("kept").await.unwrap().digest;
    let uploads = f.directory.path().join("artifacts/uploads");
    // As the store names what it has not finished: with a '#' that hides it from listings.
    let (old, young) = (uploads.join("old#1"), uploads.join("young#1"));
    fs::write(&old, "half").unwrap();
    fs::write(&young, "half").unwrap();
    let two_days_ago = SystemTime::now() - Duration::from_hours(48);
    fs::File::options().write(true).open(&old).unwrap().set_modified(two_days_ago).unwrap();

    let again = Artifacts::open_dir(f.directory.path().join("artifacts")).await.unwrap();
    assert!(!old.exists());
    assert!(young.exists());
    assert_eq!(again.get_bytes(&digest, 10).await.unwrap(), "kept");
}

#[tokio::test]
async fn parts_make_a_blob_and_are_gone_when_they_are_deleted() {
    let fixture = open().await;
    let (artifacts, upload) = (&fixture.artifacts, UploadId::new());
    let part = async |number: u32, bytes: &'static [u8]| {
        artifacts.put_part(upload, number, chunks(vec![Bytes::from_static(bytes)])).await.unwrap()
    };
    let (second, first, empty) = (part(2, b"two").await, part(1, b"one ").await, part(3, b"").await);
    assert_eq!(part(2, b"two").await, second, "the same part again");
    // The same bytes as another part, or of another upload, lie by themselves.
    let other = artifacts.put_part(UploadId::new(), 2, chunks(vec![Bytes::from_static(b"two")])).await.unwrap();
    assert_eq!(other.digest, second.digest);
    let names = [(1, &first.digest), (2, &second.digest), (3, &empty.digest)];
    let whole = artifacts.join_parts(upload, &names).await.unwrap();
    assert_eq!((whole.size, read(artifacts, &whole.digest, None).await), (7, b"one two".to_vec()));
    assert_eq!(artifacts.put_bytes(&b"one two"[..]).await.unwrap(), whole, "the blob is as one that came whole");

    artifacts.delete_parts(upload, &names).await.unwrap();
    artifacts.delete_parts(upload, &names).await.unwrap();
    assert!(matches!(artifacts.join_parts(upload, &names).await, Err(Error::NotFound { .. })));
    assert_eq!(fixture.files().len(), 2, "the blob, and the other upload's part");
}

#[tokio::test]
async fn a_part_that_breaks_off_leaves_nothing() {
    let fixture = open().await;
    let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err(io::Error::other("gone"))]);
    let refused = fixture.artifacts.put_part(UploadId::new(), 1, broken).await;
    assert!(matches!(refused, Err(Error::Source(_))), "{refused:?}");
    fixture.no_file_remains().await;
}

#[tokio::test]
async fn parts_that_nobody_came_back_for_are_swept_at_the_start() {
    let fixture = open().await;
    let upload = UploadId::new();
    for number in [1, 2] {
        fixture.artifacts.put_part(upload, number, chunks(vec![Bytes::from_static(b"x")])).await.unwrap();
    }
    let old =
        fixture.files().into_iter().find(|path| path.to_string_lossy().contains(&format!("{upload}-1-"))).unwrap();
    let long_ago = SystemTime::now() - Duration::from_hours(80);
    fs::File::options().append(true).open(&old).unwrap().set_modified(long_ago).unwrap();
    Artifacts::open_dir(fixture.directory.path().join("artifacts")).await.unwrap();
    assert_eq!(fixture.files().len(), 1, "the younger one may still be completed");
    assert!(!old.exists());
}
