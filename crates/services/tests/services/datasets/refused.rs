//! Versions that are not what they say: none is made.

use super::{Files, files, noise};
use crate::tracking::world::World;
use domain::{dataset::VersionRef, expectation::Expectation};
use manifest::{Chunker, Content, Entry, External, Hash, List, PackBuilder, build};
use services::{DatasetChange, Error, ErrorKind, FileTrouble, NewDataset, NewDatasetVersion, ObjectsAsked};
use std::fs;

impl World {
    async fn send(&self, objects: &[&[u8]]) {
        let mut pack = PackBuilder::default();
        objects.iter().for_each(|bytes| pack.push(&Hash::of(bytes), bytes));
        self.services.put_dataset_pack(&self.ctx(), "wine", pack.take().into()).await.unwrap();
    }

    async fn make(&self, root: Hash) -> Result<i32, Error> {
        let new = NewDatasetVersion { root, message: String::new(), mlflow_digests: Vec::new() };
        self.services.make_dataset_version(&self.ctx(), "wine", new).await.map(|(version, _)| version.number)
    }

    /// What becomes of a version of these entries, whose root and pages are sent.
    async fn attempt(&self, entries: Vec<Entry>) -> Result<i32, Error> {
        let built = build(entries).unwrap();
        let pages: Vec<&[u8]> = built.pages.iter().map(Vec::as_slice).collect();
        self.send(&[&pages[..], &[&built.bytes]].concat()).await;
        self.make(built.digest).await
    }
}

fn small(path: &str, bytes: &[u8], size: u64) -> Entry {
    let content = Content::Small { size, digest: Hash::of(bytes) };
    Entry { path: path.to_owned(), executable: false, content }
}

#[tokio::test]
async fn a_version_is_made_only_when_all_that_it_needs_is_there() {
    let world = World::start().await;
    world.dataset("wine").await;
    let missing = |error: Error, what: &str| {
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert!(error.message.contains(what), "{}", error.message);
    };
    missing(world.make(Hash::of(b"nothing")).await.unwrap_err(), "root");
    let built = build(vec![small("a", b"one", 3)]).unwrap();
    world.send(&[&built.bytes]).await;
    missing(world.make(built.digest).await.unwrap_err(), "pages");
    world.send(&[&built.pages[0]]).await;
    missing(world.make(built.digest).await.unwrap_err(), "files");
    world.send(&[b"one"]).await;
    assert_eq!(world.make(built.digest).await.unwrap(), 1);

    let bytes = noise(6 << 20, 2);
    let (mut list, mut chunker, mut chunks) = (List::default(), Chunker::default(), Vec::new());
    let mut add = |chunk: &[u8]| {
        list.chunks.push((Hash::of(chunk), chunk.len() as u32));
        chunks.push(chunk.to_vec());
        Ok::<_, ()>(())
    };
    chunker.push(&bytes, &mut add).unwrap();
    chunker.end(&mut add).unwrap();
    let written = list.write();
    let large = |size: u64| Entry {
        path: "large".to_owned(),
        executable: false,
        content: Content::Large { size, digest: Hash::of(&bytes), list: Hash::of(&written) },
    };
    missing(world.attempt(vec![large(6 << 20)]).await.unwrap_err(), "lists of chunks");
    world.send(&[&written]).await;
    missing(world.attempt(vec![large(6 << 20)]).await.unwrap_err(), "chunks");
    world.send(&chunks.iter().map(Vec::as_slice).collect::<Vec<_>>()).await;
    let other_length = world.attempt(vec![large((6 << 20) + 1)]).await.unwrap_err();
    assert_eq!((other_length.kind, other_length.field.as_deref()), (ErrorKind::Invalid, Some("root")));
    assert_eq!(world.attempt(vec![large(6 << 20)]).await.unwrap(), 2);
    // Also of a list that is known to be whole.
    let other_length = world.attempt(vec![large((6 << 20) + 1)]).await.unwrap_err();
    assert_eq!(other_length.kind, ErrorKind::Invalid);
    // A file of another length than is said is not that file.
    missing(world.attempt(vec![small("a", b"one", 2)]).await.unwrap_err(), "files");
    assert_eq!(world.fetched("wine", "2").await, files(&[("large", &bytes)]));
}

#[tokio::test]
async fn a_root_that_lies_about_its_pages_is_refused() {
    let world = World::start().await;
    world.dataset("wine").await;
    world.send(&[b"one"]).await;
    let built = build(vec![small("a", b"one", 3), small("b", b"one", 3)]).unwrap();
    world.send(&[&built.pages[0]]).await;
    for round in 0..2 {
        for lie in 0..5 {
            let mut root = built.root.clone();
            let page = &mut root.pages[0];
            match lie {
                0 => page.entries = 3,
                1 => page.bytes = 1,
                2 => page.first = "0".to_owned(),
                3 => page.last = "c".to_owned(),
                _ => page.external = 1,
            }
            let bytes = root.write();
            world.send(&[&bytes]).await;
            let refused = world.make(Hash::of(&bytes)).await.unwrap_err();
            assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("root")), "{lie}");
        }
        // The second time, the page is known to be whole.
        if round == 0 {
            world.send(&[&built.bytes]).await;
            world.make(built.digest).await.unwrap();
        }
    }
    for nonsense in [&b"nonsense"[..], b"slipway root 1\n", &built.pages[0]] {
        world.send(&[nonsense]).await;
        assert_eq!(world.make(Hash::of(nonsense)).await.unwrap_err().kind, ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn a_dataset_knows_its_own_objects_alone() {
    let world = World::start().await;
    let ctx = world.ctx();
    world.dataset("wine").await;
    world.dataset("beer").await;
    world.send(&[b"secret"]).await;
    let digest = Hash::of(b"secret");
    let asked = ObjectsAsked { whole: vec![digest], objects: vec![digest] };
    let of_wine = world.services.missing_dataset_objects(&ctx, "wine", &asked).await.unwrap();
    assert_eq!((of_wine.whole, of_wine.objects), (vec![digest], Vec::new()));
    let of_beer = world.services.missing_dataset_objects(&ctx, "beer", &asked).await.unwrap();
    assert_eq!(of_beer.objects, [digest]);
    assert_eq!(world.services.dataset_object(&ctx, "wine", digest).await.unwrap(), &b"secret"[..]);
    for refused in [
        world.services.dataset_object(&ctx, "beer", digest).await.unwrap_err(),
        world.services.dataset_objects(&ctx, "beer", &[digest]).await.unwrap_err(),
        world.services.dataset_object(&ctx, "none", digest).await.unwrap_err(),
    ] {
        assert_eq!(refused.kind, ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn what_no_pack_is_is_refused_and_the_same_pack_again_changes_nothing() {
    let world = World::start().await;
    let ctx = world.ctx();
    world.dataset("wine").await;
    let mut pack = PackBuilder::default();
    pack.push(&Hash::of(b"one"), b"one");
    let body = pack.take();
    let mut damaged = body.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for wrong in [damaged, b"nonsense".to_vec(), Vec::new()] {
        let refused = world.services.put_dataset_pack(&ctx, "wine", wrong.into()).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid);
    }
    let first = world.services.put_dataset_pack(&ctx, "wine", body.clone().into()).await.unwrap();
    assert_eq!((first.objects, first.new), (1, 1));
    let stored = world.stored().await;
    let again = world.services.put_dataset_pack(&ctx, "wine", body.into()).await.unwrap();
    assert_eq!((again.objects, again.new, world.stored().await), (1, 0, stored));
}

#[tokio::test]
async fn a_folder_with_what_a_step_may_not_read_is_refused() {
    let world = World::start().await;
    let ctx = world.ctx();
    world.dataset("wine").await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("real"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("link")).unwrap();
    let made = world.services.make_dataset_version_of(&ctx, "wine", folder.path().to_owned(), "").await;
    let refused = made.map(drop).unwrap_err();
    assert_eq!((refused.kind, refused.message.contains("is a link")), (ErrorKind::Invalid, true));
    assert_eq!(world.services.dataset(&ctx, "wine").await.unwrap().versions, 0);
}

#[tokio::test]
async fn a_version_is_put_where_nothing_is_and_what_lies_elsewhere_is_told_of() {
    let world = World::start().await;
    let ctx = world.ctx();
    world.dataset("wine").await;
    world.send(&[b"one"]).await;
    let elsewhere = External { uri: "s3://bucket/big".to_owned(), size: Some(7), ..External::default() };
    let elsewhere = Entry { path: "big".to_owned(), executable: false, content: Content::External(elsewhere) };
    assert_eq!(world.attempt(vec![small("a", b"one", 3), elsewhere]).await.unwrap(), 1);
    let folder = tempfile::tempdir().unwrap();
    let put = async || world.services.put_dataset(&ctx, folder.path(), "wine", "latest").await;
    let (version, told) = put().await.unwrap();
    assert_eq!((version.number, version.external), (1, 1));
    assert_eq!(told, [("big".to_owned(), "s3://bucket/big".to_owned())]);
    assert!(matches!(put().await.map(drop).unwrap_err(), FileTrouble::Step(why) if why.contains("at \"a\" already")));
    let missing = world.services.put_dataset(&ctx, folder.path(), "wine", "7").await.map(drop).unwrap_err();
    assert!(matches!(missing, FileTrouble::Step(why) if why == "The dataset \"wine\" has no version 7."));
    let file = world.services.dataset_file(&ctx, "wine", &VersionRef::Latest, "big").await.map(drop).unwrap_err();
    assert_eq!(file.message, "\"big\" lies elsewhere, at s3://bucket/big.");
}

#[tokio::test]
async fn names_texts_and_expectations_that_cannot_be_are_refused() {
    let world = World::start().await;
    let ctx = world.ctx();
    world.dataset("wine").await;
    let new = |name: &str, description: &str| NewDataset {
        name: name.to_owned(),
        description: description.to_owned(),
        expectations: Vec::new(),
    };
    let taken = world.services.create_dataset(&ctx, new("wine", "")).await.unwrap_err();
    assert_eq!((taken.kind, taken.field.as_deref()), (ErrorKind::AlreadyExists, Some("name")));
    for wrong in [new("a/b", ""), new("", ""), new("beer", "a\0b"), new("beer", &"x".repeat(5001))] {
        assert_eq!(world.services.create_dataset(&ctx, wrong).await.unwrap_err().kind, ErrorKind::Invalid);
    }
    let not_null: Expectation = serde_json::from_str(r#"{ "rule": "not_null", "column": "" }"#).unwrap();
    let change = DatasetChange { expectations: Some(vec![not_null]), description: None };
    let refused = world.services.change_dataset(&ctx, "wine", change).await.unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("expectations[0]"));
    let (version, _) = world.push(&ctx, "wine", &Files::new()).await;
    assert_eq!((version.files, version.bytes), (0, 0), "a version may be empty");
}
