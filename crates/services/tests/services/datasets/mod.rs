//! Datasets over a real database and a real artifact store: versions of folders and back, what is refused, and what is swept.

mod refused;
mod sweep;

use crate::tracking::world::World;
use domain::{
    dataset::{DatasetVersion, VersionRef},
    dataset_input::ValidDatasetInput,
    run::DatasetInput,
};
use futures::TryStreamExt as _;
use manifest::Change;
use services::{Ctx, ErrorKind, NewDataset};
use std::{collections::BTreeMap, fs, path::Path};

pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Bytes that look random, and are the same each time.
pub(super) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(super) fn files(files: &[(&str, &[u8])]) -> Files {
    files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect()
}

fn write(root: &Path, files: &Files) {
    for (path, bytes) in files {
        let at = root.join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, bytes).unwrap();
    }
}

fn read(root: &Path) -> Files {
    let (mut found, mut folders) = (Files::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if item.file_type().unwrap().is_dir() {
                folders.push(item.path());
            } else {
                let path = item.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(path, fs::read(item.path()).unwrap());
            }
        }
    }
    found
}

impl World {
    pub(super) async fn dataset(&self, name: &str) {
        let new = NewDataset { name: name.to_owned(), ..NewDataset::default() };
        self.services.create_dataset(&self.ctx(), new).await.unwrap();
    }

    pub(super) async fn push(&self, ctx: &Ctx, dataset: &str, files: &Files) -> (DatasetVersion, bool) {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), files);
        let made = self.services.make_dataset_version_of(ctx, dataset, folder.path().to_owned(), "").await;
        made.unwrap()
    }

    pub(super) async fn fetched(&self, dataset: &str, version: &str) -> Files {
        let folder = tempfile::tempdir().unwrap();
        self.services.put_dataset(&self.ctx(), folder.path(), dataset, version).await.unwrap();
        read(folder.path())
    }

    pub(super) async fn stored(&self) -> i64 {
        let mut conn = self.database.pool.acquire().await.unwrap();
        store::dataset_object::stored_bytes(&mut conn).await.unwrap()
    }
}

#[tokio::test]
async fn a_folder_becomes_a_version_and_comes_back_as_it_was() {
    let world = World::start().await;
    let ada = world.contributor().await;
    world.dataset("wine").await;
    let mut wine = files(&[("a/one.csv", b"x\n1\n"), ("a/same.csv", b"x\n1\n"), ("empty", b""), ("z", b"zz")]);
    wine.insert("a/large.bin".to_owned(), noise(9 << 20, 1));
    let (first, is_new) = world.push(&ada, "wine", &wine).await;
    assert!(is_new);
    assert_eq!((first.number, first.files, first.bytes), (1, 5, (9 << 20) + 10));
    assert_eq!((first.title().as_str(), first.author.as_str()), ("wine@1", "Contributor"));
    assert_eq!(world.fetched("wine", "1").await, wine);

    let stored = world.stored().await;
    let (again, is_new) = world.push(&ada, "wine", &wine).await;
    assert!(!is_new, "the same files are the version that is there");
    assert_eq!((again, world.stored().await), (first.clone(), stored));

    let large = wine.get_mut("a/large.bin").unwrap();
    large[4 << 20] ^= 1;
    let (second, _) = world.push(&ada, "wine", &wine).await;
    let new = world.stored().await - stored;
    assert!(new < 9 << 19, "a byte made {new} new bytes: a chunk, the list, a page and the root");
    assert_eq!(world.fetched("wine", "latest").await, wine);
    assert_eq!(world.fetched("wine", second.digest.hex()).await, wine);
    let digest = VersionRef::Digest(first.digest.clone());
    assert_eq!(world.services.dataset_version(&ada, "wine", &digest).await.unwrap(), first);
    let versions = world.services.dataset_versions(&ada, "wine", None, 1).await.unwrap();
    assert_eq!(versions.items, std::slice::from_ref(&second));
    let rest = world.services.dataset_versions(&ada, "wine", versions.next_page_token.as_deref(), 1).await.unwrap();
    assert_eq!(rest.items, [first]);
    let listed = world.services.datasets(&ada, "WI", None, 10).await.unwrap();
    assert_eq!((listed.items[0].dataset.versions, listed.items[0].latest.clone()), (2, Some(second)));
    assert!(world.services.datasets(&ada, "beer", None, 10).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn many_pushes_of_the_same_files_make_one_version() {
    let world = World::start().await;
    let ada = world.contributor().await;
    world.dataset("wine").await;
    let wine = files(&[("a", b"1"), ("b", b"2")]);
    let pushes = (0..6).map(|_| world.push(&ada, "wine", &wine));
    let made = futures::future::join_all(pushes).await;
    assert_eq!(made.iter().filter(|(_, is_new)| *is_new).count(), 1);
    assert!(made.iter().all(|(version, _)| version.number == 1));
}

#[tokio::test]
async fn a_folder_of_a_version_is_listed_a_page_at_a_time() {
    let world = World::start().await;
    let ctx = world.ctx();
    world.dataset("images").await;
    let mut images = Files::new();
    for n in 0..9000_u32 {
        images.insert(
            format!("{}/{:02}/{n:05}", ["test", "train"][(n % 2) as usize], n % 37),
            n.to_string().into_bytes(),
        );
    }
    images.insert("readme".to_owned(), b"hello".to_vec());
    images.insert("test-more".to_owned(), b"hello".to_vec());
    world.push(&ctx, "images", &images).await;
    let version = VersionRef::Latest;
    for folder in ["", "test", "train", "train/07", "train/07/", "nothing", "readme"] {
        let prefix = if folder.is_empty() { String::new() } else { format!("{}/", folder.trim_end_matches('/')) };
        let mut expected: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (path, bytes) in images.iter().filter(|(path, _)| path.starts_with(&prefix)) {
            let rest = &path[prefix.len()..];
            let (name, files) = rest.split_once('/').map_or((rest, 0), |(name, _)| (name, 1));
            let sums = expected.entry(format!("{prefix}{name}")).or_default();
            *sums = (sums.0 + files, sums.1 + bytes.len() as u64);
        }
        for limit in [3, 17, 1000] {
            let (mut found, mut token) = (BTreeMap::new(), None);
            loop {
                let page =
                    world.services.dataset_folder(&ctx, "images", &version, folder, token.as_deref(), limit).await;
                let page = page.unwrap();
                assert!(page.files.len() <= limit);
                for file in page.files {
                    let sums = (file.folder.unwrap_or_default(), file.size.unwrap());
                    assert!(found.insert(file.path.clone(), sums).is_none(), "{} is there twice", file.path);
                }
                token = page.next_page_token;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{folder} by {limit}");
        }
    }
    let (entry, content) = world.services.dataset_file(&ctx, "images", &version, "train/01/00001").await.unwrap();
    let bytes: Vec<_> = content.stream.try_collect().await.unwrap();
    assert_eq!((entry.size(), bytes.concat()), (Some(1), b"1".to_vec()));
    let missing = world.services.dataset_file(&ctx, "images", &version, "train/01").await.map(drop).unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_diff_says_what_was_added_removed_and_changed_and_reads_no_more_than_it_must() {
    let world = World::start().await;
    let ctx = world.ctx();
    world.dataset("images").await;
    let mut images: Files = (0..30_000_u32).map(|n| (format!("{n:06}"), n.to_string().into_bytes())).collect();
    world.push(&ctx, "images", &images).await;
    images.remove("000500");
    images.insert("000501".to_owned(), b"other".to_vec());
    images.insert("000501-new".to_owned(), b"new".to_vec());
    world.push(&ctx, "images", &images).await;
    let (one, two) = (VersionRef::Number(1), VersionRef::Number(2));
    let diff = world.services.dataset_diff(&ctx, ("images", &one), ("images", &two), None, 2).await.unwrap();
    assert_eq!((diff.added, diff.removed, diff.changed), (1, 1, 1));
    assert!(diff.pages_read.0 <= 5 && diff.pages_read.1 > 8, "{:?} pages", diff.pages_read);
    let kinds = |changes: &[Change]| -> Vec<String> { changes.iter().map(|change| change.path().to_owned()).collect() };
    assert_eq!(kinds(&diff.changes), ["000500", "000501"]);
    let token = diff.next_page_token.as_deref();
    let rest = world.services.dataset_diff(&ctx, ("images", &one), ("images", &two), token, 2).await.unwrap();
    assert_eq!((kinds(&rest.changes), rest.next_page_token), (vec!["000501-new".to_owned()], None));
    let back = world.services.dataset_diff(&ctx, ("images", &two), ("images", &one), None, 100).await.unwrap();
    assert!(matches!(&back.changes[..], [Change::Added(_), Change::Changed { .. }, Change::Removed(_)]));
}

#[tokio::test]
async fn runs_that_logged_a_digest_of_a_version_are_known_to_have_read_it() {
    let world = World::start().await;
    let ada = world.contributor().await;
    world.dataset("wine").await;
    let (version, _) = world.push(&ada, "wine", &files(&[("a", b"1")])).await;
    let run = world.run(world.experiment("wines").await, "first", &[], &[]).await;
    let input = DatasetInput {
        name: "wine".to_owned(),
        digest: "4f1a90cc".to_owned(),
        source_type: "local".to_owned(),
        source: "{}".to_owned(),
        schema: None,
        profile: None,
        tags: [("mlflow.data.context".to_owned(), "training".to_owned())].into(),
    };
    ValidDatasetInput::parse(input.clone(), "datasets[0]").unwrap();
    world.services.log_inputs(&ada, run, vec![input], &[]).await.unwrap();
    let which = VersionRef::Number(version.number);
    let read_by = async || world.services.runs_of_dataset_version(&ada, "wine", &which, 10).await.unwrap();
    assert!(read_by().await.is_empty(), "nobody has said what MLflow calls it");
    let digests = ["4f1a90cc".to_owned()];
    let named = world.services.name_dataset_version(&ada, "wine", &which, &digests).await.unwrap();
    assert_eq!(named.mlflow_digests, digests);
    assert_eq!(world.services.name_dataset_version(&ada, "wine", &which, &digests).await.unwrap(), named);
    let runs = read_by().await;
    assert_eq!((runs[0].id, runs[0].context.as_deref()), (run, Some("training")));
    let known = world.services.dataset_versions_of_mlflow(&ada, &["4f1a90cc", "00000000"]).await.unwrap();
    assert_eq!((known[0].dataset.as_str(), known[0].number, known.len()), ("wine", 1, 1));
    let kept = world.services.delete_dataset_version(&ada, "wine", &which).await.unwrap_err();
    assert_eq!(kept.message, "wine@1 was read by the run first; delete that first.");
}
