//! What no version needs is deleted; what one needs never is, whatever happens at the same time.

use super::{Files, files, noise};
use crate::tracking::world::World;
use domain::dataset::VersionRef;
use manifest::{Hash, PackBuilder};
use services::{ErrorKind, ObjectsAsked};
use std::time::Duration;

impl World {
    /// Has every dataset looked through at once.
    async fn due(&self) {
        let due = "update versioned_datasets set sweep_after = now() where sweep_after is not null";
        sqlx::query(due).execute(&self.database.pool).await.unwrap();
    }

    async fn sweep(&self) -> bool {
        self.due().await;
        self.services.sweep_dataset_after(Duration::ZERO).await.unwrap()
    }
}

#[tokio::test]
async fn what_only_a_deleted_version_needed_is_deleted_and_nothing_else() {
    let world = World::start().await;
    let ctx = world.ctx();
    world.dataset("wine").await;
    world.dataset("beer").await;
    let mut wine = files(&[("a", b"1"), ("b", b"2")]);
    wine.insert("large".to_owned(), noise(20 << 20, 1));
    world.push(&ctx, "wine", &wine).await;
    world.push(&ctx, "beer", &wine).await;
    let first = wine.clone();
    wine.insert("large".to_owned(), noise(20 << 20, 2));
    world.push(&ctx, "wine", &wine).await;
    let before = world.stored().await;
    while world.sweep().await {}
    assert_eq!(world.stored().await, before, "all of it is needed");
    world.services.delete_dataset_version(&ctx, "wine", &VersionRef::Number(1)).await.unwrap();
    let gone = world.services.dataset_version(&ctx, "wine", &VersionRef::Number(1)).await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);
    // Young: it may be what somebody is pushing.
    world.due().await;
    while world.services.sweep_dataset().await.unwrap() {}
    assert_eq!(world.stored().await, before);
    while world.sweep().await {}
    let after = world.stored().await;
    assert!(before - after > 19 << 20, "{before} bytes became {after}");
    assert_eq!(world.fetched("wine", "latest").await, wine);
    assert_eq!(world.fetched("beer", "latest").await, first, "another dataset's");
    // Pushed again, it is another version.
    let (again, is_new) = world.push(&ctx, "wine", &first).await;
    assert_eq!((again.number, is_new), (3, true));
    assert_eq!(world.fetched("wine", "3").await, first);
}

#[tokio::test]
async fn what_a_client_was_told_to_be_there_is_kept_for_a_while() {
    let world = World::start().await;
    let ctx = world.ctx();
    world.dataset("wine").await;
    let mut pack = PackBuilder::default();
    pack.push(&Hash::of(b"one"), b"one");
    world.services.put_dataset_pack(&ctx, "wine", pack.take().into()).await.unwrap();
    let age = "update dataset_packs set wanted_at = now() - interval '2 days'";
    sqlx::query(age).execute(&world.database.pool).await.unwrap();
    let asked = ObjectsAsked { whole: Vec::new(), objects: vec![Hash::of(b"one")] };
    assert!(world.services.missing_dataset_objects(&ctx, "wine", &asked).await.unwrap().objects.is_empty());
    world.due().await;
    assert!(world.services.sweep_dataset().await.unwrap());
    world.services.dataset_object(&ctx, "wine", Hash::of(b"one")).await.unwrap();
    sqlx::query(age).execute(&world.database.pool).await.unwrap();
    world.due().await;
    assert!(world.services.sweep_dataset().await.unwrap());
    let gone = world.services.dataset_object(&ctx, "wine", Hash::of(b"one")).await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);
    world.due().await;
    assert!(!world.services.sweep_dataset().await.unwrap(), "there is nothing left to look for");
}

/// Pushes of several versions that share files, deletions, and sweeps without any grace, all at once. A push may have to send
/// something again; a version that was made is always whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_made_while_others_are_swept_is_whole() {
    let world = World::start().await;
    let ctx = world.ctx();
    world.dataset("wine").await;
    let common: Files = (0..40_u8).map(|n| (format!("common/{n}"), vec![n; 3])).collect();
    let of = |pusher: u8, round: u8| -> Files {
        let mut files = common.clone();
        files.insert("own".to_owned(), vec![pusher, round % 3]);
        files.insert("large".to_owned(), noise(5 << 20, u64::from(round % 2)));
        files
    };
    let pushing = async |pusher: u8| {
        let mut made = 0;
        for round in 0..8 {
            let files = of(pusher, round);
            let folder = tempfile::tempdir().unwrap();
            super::write(folder.path(), &files);
            let pushed = world.services.make_dataset_version_of(&ctx, "wine", folder.path().to_owned(), "").await;
            let version = match pushed {
                Ok((version, _)) => version,
                // It was swept in the middle of every try: told, and nothing is made.
                Err(error) => {
                    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
                    continue;
                }
            };
            made += 1;
            assert_eq!(world.fetched("wine", version.digest.hex()).await, files, "{}", version.title());
            world.services.delete_dataset_version(&ctx, "wine", &VersionRef::Number(version.number)).await.unwrap();
        }
        made
    };
    let pushes = async {
        let made = tokio::join!(pushing(1), pushing(2), pushing(3));
        made.0 + made.1 + made.2
    };
    let sweeping = async {
        loop {
            world.sweep().await;
            tokio::task::yield_now().await;
        }
    };
    let made = tokio::select! {
        made = pushes => made,
        () = sweeping => unreachable!(),
    };
    assert!(made > 0, "some got through");
    // What is left over is deleted in the end.
    while world.sweep().await {}
    let left: i64 =
        sqlx::query_scalar("select count(*) from dataset_objects").fetch_one(&world.database.pool).await.unwrap();
    assert_eq!((left, world.stored().await), (0, 0));
}

/// Packs of which little is needed are put together anew while versions that need that little are read.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_while_it_is_put_together_anew_is_what_it_was() {
    let world = World::start().await;
    let ctx = world.ctx();
    world.dataset("wine").await;
    let mut kept = Files::new();
    for n in 0..30_u8 {
        kept.insert(format!("kept/{n:02}"), vec![n; 10]);
        let mut files = kept.clone();
        files.insert(format!("dropped/{n:02}"), noise(300_000, u64::from(n)));
        let (version, _) = world.push(&ctx, "wine", &files).await;
        if n < 29 {
            world.services.delete_dataset_version(&ctx, "wine", &VersionRef::Number(version.number)).await.unwrap();
        }
    }
    let (last, _) = world.push(&ctx, "wine", &kept).await;
    let reading = async {
        for _ in 0..20 {
            assert_eq!(world.fetched("wine", last.digest.hex()).await, kept);
        }
    };
    let sweeping = async { while world.sweep().await {} };
    tokio::join!(reading, sweeping);
    assert!(world.stored().await < 1 << 20, "{} bytes are left", world.stored().await);
    assert_eq!(world.fetched("wine", "latest").await, kept);
}
