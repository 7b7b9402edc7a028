//! Uploads whose time is over.

use crate::tracking::world::World;
use bytes::Bytes;
use domain::{
    id::{ExperimentId, RunId, UploadId},
    upload::{Upload, UploadPart},
};
use futures::stream;
use services::Ctx;

struct Place<'a> {
    world: &'a World,
    ctx: Ctx,
    experiment: ExperimentId,
    run: RunId,
}

impl<'a> Place<'a> {
    async fn new(world: &'a World) -> Self {
        let experiment = world.experiment("wine").await;
        let run = world.run(experiment, "first", &[], &[]).await;
        Self { world, ctx: world.contributor().await, experiment, run }
    }

    /// An upload with one part.
    async fn upload(&self) -> Upload {
        let folder = format!("{}/{}/artifacts", self.experiment, self.run.simple());
        let upload = self.world.services.begin_upload(&self.ctx, &folder, "big.bin", 2).await.unwrap().upload;
        let part = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"1"))]);
        self.world.services.put_upload_part(&upload, 1, None, part).await.unwrap();
        upload
    }

    /// Its time was over so many minutes ago.
    async fn expire(&self, upload: UploadId, minutes: i32) {
        sqlx::query("update uploads set expires_at = now() - make_interval(mins => $2) where id = $1")
            .bind(upload)
            .bind(minutes)
            .execute(&self.world.database.pool)
            .await
            .unwrap();
    }

    async fn known(&self) -> Vec<UploadId> {
        sqlx::query_scalar("select id from uploads").fetch_all(&self.world.database.pool).await.unwrap()
    }

    fn stored(&self) -> usize {
        std::fs::read_dir(self.world.parts_dir()).unwrap().count()
    }
}

#[tokio::test]
async fn an_upload_that_cannot_be_forgotten_yet_brings_back_no_other() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    let (first, second) = (place.upload().await.id, place.upload().await.id);
    place.expire(first, 2).await;
    place.expire(second, 1).await;
    // A folder lies where the part was: it cannot be deleted.
    let part = std::fs::read_dir(world.parts_dir())
        .unwrap()
        .map(|part| part.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&second.to_string()))
        .unwrap();
    std::fs::remove_file(&part).unwrap();
    std::fs::create_dir_all(part.join("full")).unwrap();
    world.services.delete_finished().await.unwrap_err();
    assert_eq!(place.known().await, [second]);
    std::fs::remove_dir_all(&part).unwrap();
    world.services.delete_finished().await.unwrap();
    assert!(place.known().await.is_empty());
    assert_eq!(place.stored(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_is_noted_while_its_upload_is_forgotten_is_deleted_too() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    let id = place.upload().await.id;
    let late = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"2"))]);
    let late = world.artifacts().await.put_part(id, 2, late).await.unwrap();
    place.expire(id, 1).await;
    // As one who began before the time was over.
    let mut noting = world.database.pool.begin().await.unwrap();
    sqlx::query("select from uploads where id = $1 for update").bind(id).execute(&mut *noting).await.unwrap();
    let services = world.services.clone();
    let sweeping = tokio::spawn(async move { services.delete_finished().await });
    world.until_waiting(1).await;
    let part = UploadPart { number: 2, digest: late.digest, size: late.size };
    store::upload::put_part(&mut noting, id, &part).await.unwrap();
    noting.commit().await.unwrap();
    sweeping.await.unwrap().unwrap();
    assert_eq!((place.known().await, place.stored()), (vec![id], 1));
    world.services.delete_finished().await.unwrap();
    assert!(place.known().await.is_empty());
    assert_eq!(place.stored(), 0);
}
