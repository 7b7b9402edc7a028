//! Files that come in parts. An upload is bound to a workspace, a file and whoever began it; its parts come with a key of
//! its own, which is good for them alone, and nobody sees the file before all are there.

use crate::{
    Ctx, Result, Services,
    artifact::{MAX_ARTIFACT, check_owner, limited, of_store, too_large, unless_too_large},
    boxed, commit,
    task::apart,
    token::{hash_secret, new_secret},
};
use bytes::Bytes;
use chrono::{Duration, Utc};
use domain::{
    Digest, Error, ErrorKind,
    artifact_path::ArtifactPath,
    artifact_root::ArtifactRoot,
    id::UploadId,
    upload::{self, MAX_PARTS, SentPart, Upload, UploadPart, UploadState},
};
use futures::{
    FutureExt as _, Stream,
    future::{BoxFuture, Shared},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// How long an upload takes parts.
const LASTS_HOURS: i64 = 24;
/// How many uploads that are over are forgotten at once.
const AT_ONCE: i64 = 20;

/// An upload that was just begun. The only time that its key is seen.
#[derive(Debug)]
pub struct BegunUpload {
    /// The upload.
    pub upload: Upload,
    /// What is sent with each part.
    pub key: String,
}

/// The files that this process puts together now. It goes on when the client that waits for one has gone away, and that
/// client, when it comes again, waits for the same.
#[derive(Default)]
pub(crate) struct Joining(Mutex<HashMap<UploadId, Shared<BoxFuture<'static, Result<()>>>>>);

impl Joining {
    fn wait_for(
        self: &Arc<Self>,
        id: UploadId,
        work: BoxFuture<'static, Result<()>>,
    ) -> impl Future<Output = Result<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(id).or_insert_with(|| {
            let ends = Ends(Arc::clone(self), id);
            let result = apart(async move {
                let _ends = ends;
                work.await
            });
            result.boxed().shared()
        });
        known.clone()
    }
}

/// Takes an upload off the list, also when the work on it panics.
struct Ends(Arc<Joining>, UploadId);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

fn no_upload() -> Error {
    Error::new(ErrorKind::NotFound, "There is no such upload of this file: it is over, or was never begun.")
}

fn is_over(state: UploadState) -> Error {
    Error::conflict(match state {
        UploadState::Completed => {
            "This upload is complete, and the file is there; delete the file if it should not be."
        }
        UploadState::Open | UploadState::Aborted => "This upload was given up; begin another.",
    })
}

/// The file that a folder of the artifact service and a client's name for the file lead to.
fn target(folder: &str, file: &str) -> Result<(ArtifactRoot, ArtifactPath)> {
    let folder = folder.trim_end_matches('/');
    ArtifactRoot::parse_file(&format!("{folder}/{}", upload::file_name(file)))
}

impl Services {
    /// Begins a file that comes in parts: in a folder below the artifact service, `7/<run>/artifacts/plots`, under the last
    /// part of what the client calls it.
    ///
    /// # Errors
    /// `Invalid` for an unsafe path, a number of parts that is none, or a deleted owner; `NotFound` without such an owner.
    #[boxed]
    pub async fn begin_upload(&self, ctx: &Ctx, folder: &str, file: &str, parts: i64) -> Result<BegunUpload> {
        let caller = ctx.caller.as_ref().ok_or_else(Error::internal)?;
        let (root, path) = target(folder, file)?;
        let parts = u32::try_from(parts).ok().filter(|parts| (1..=MAX_PARTS).contains(parts)).ok_or_else(|| {
            Error::invalid_field("num_parts", format!("A file has 1 to {MAX_PARTS} parts, not {parts}."))
        })?;
        let mut tx = self.begin().await?;
        check_owner(&mut tx, ctx, root).await?;
        let upload = Upload {
            id: UploadId::new(),
            workspace_id: ctx.workspace_id(),
            user_id: caller.user.id,
            root,
            path,
            parts,
            state: UploadState::Open,
            expires_at: Utc::now() + Duration::hours(LASTS_HOURS),
        };
        let key = new_secret("upload_");
        store::upload::insert(&mut tx, &upload, &hash_secret(&key)).await?;
        commit(tx).await?;
        Ok(BegunUpload { upload, key })
    }

    /// The upload that a key is for; none when its time is over.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn upload_of_key(&self, key: &str) -> Result<Option<Upload>> {
        Ok(store::upload::by_key(&mut *self.conn().await?, &hash_secret(key)).await?)
    }

    /// Stores a part. One that came before under the same number is replaced; the same again changes nothing.
    ///
    /// # Errors
    /// `Invalid` for a number that the upload does not have; `Conflict` when the upload is over; `TooLarge` when the file
    /// would be. The part is not there then.
    #[boxed]
    pub async fn put_upload_part<S, E>(
        &self,
        upload: &Upload,
        number: i64,
        length: Option<u64>,
        stream: S,
    ) -> Result<Digest>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let number =
            u32::try_from(number).ok().filter(|number| (1..=upload.parts).contains(number)).ok_or_else(|| {
                Error::invalid(format!("The upload has the parts 1 to {}, and no part {number}.", upload.parts))
            })?;
        if upload.state != UploadState::Open {
            return Err(is_over(upload.state));
        }
        let others = store::upload::size_without(&mut *self.conn().await?, upload.id, number).await?;
        let room = MAX_ARTIFACT.saturating_sub(others);
        if length.is_some_and(|length| length > room) {
            return Err(too_large());
        }
        let stored = self.artifacts.put_part(upload.id, number, limited(stream, room)).await;
        let stored = stored.map_err(unless_too_large)?;
        let part = UploadPart { number, digest: stored.digest, size: stored.size };
        match self.note_part(upload, &part).await {
            Ok(Some(replaced)) if replaced != part.digest => {
                self.drop_parts(upload.id, &[(number, &replaced)]).await;
                Ok(part.digest)
            }
            Ok(_) => Ok(part.digest),
            Err(error) => {
                // Only what was refused is certainly not meant. When the database failed, the commit may have been made, or
                // the same bytes have been noted by the client's next try: the next start finds what nobody noted.
                if matches!(error.kind, ErrorKind::Conflict | ErrorKind::TooLarge | ErrorKind::NotFound) {
                    self.drop_parts(upload.id, &[(number, &part.digest)]).await;
                }
                Err(error)
            }
        }
    }

    async fn note_part(&self, upload: &Upload, part: &UploadPart) -> Result<Option<Digest>> {
        let mut tx = self.begin().await?;
        match store::upload::lock(&mut tx, upload.id).await?.ok_or_else(no_upload)? {
            UploadState::Open => {}
            state => return Err(is_over(state)),
        }
        let others = store::upload::size_without(&mut tx, upload.id, part.number).await?;
        if others.saturating_add(part.size) > MAX_ARTIFACT {
            return Err(too_large());
        }
        let replaced = store::upload::put_part(&mut tx, upload.id, part).await?;
        commit(tx).await?;
        Ok(replaced)
    }

    /// Deletes what nobody will read. What cannot be deleted now, the sweep or the next start deletes.
    async fn drop_parts(&self, id: UploadId, parts: &[(u32, &Digest)]) {
        if let Err(error) = self.artifacts.delete_parts(id, parts).await {
            tracing::warn!(%error, upload = %id, "parts of an upload could not be deleted");
        }
    }

    /// Puts the file together from its parts. Again, it changes nothing.
    ///
    /// # Errors
    /// `NotFound` without such an upload of this file by the caller; `Invalid` when a part is missing or another than the
    /// one that is named, or the file cannot be there; `Conflict` when the upload was given up.
    #[boxed]
    pub async fn complete_upload(
        &self,
        ctx: &Ctx,
        folder: &str,
        file: &str,
        id: UploadId,
        parts: &[SentPart],
    ) -> Result<()> {
        let (upload, stored) = self.own_upload(ctx, folder, file, id).await?;
        match upload.state {
            UploadState::Completed => return Ok(()),
            UploadState::Aborted => return Err(is_over(upload.state)),
            UploadState::Open => upload::check_parts(upload.parts, &stored, parts)?,
        }
        let (services, ctx) = (self.clone(), ctx.clone());
        self.joining.wait_for(id, async move { services.put_together(&ctx, &upload, &stored).await }.boxed()).await
    }

    #[boxed]
    async fn put_together(&self, ctx: &Ctx, upload: &Upload, parts: &[UploadPart]) -> Result<()> {
        let names: Vec<(u32, &Digest)> = parts.iter().map(|part| (part.number, &part.digest)).collect();
        let joined = self.artifacts.join_parts(upload.id, &names).await;
        let mut tx = self.begin().await?;
        match store::upload::lock(&mut tx, upload.id).await?.ok_or_else(no_upload)? {
            // By another process, which the same client asked before.
            UploadState::Completed => return Ok(()),
            UploadState::Aborted => return Err(is_over(UploadState::Aborted)),
            UploadState::Open => {}
        }
        if store::upload::parts(&mut tx, upload.id).await? != parts {
            return Err(Error::conflict("A part was replaced while the file was put together; complete it again."));
        }
        let blob = joined.map_err(of_store)?;
        check_owner(&mut tx, ctx, upload.root).await?;
        crate::artifact::note_file(&mut tx, upload.root, &upload.path, &blob).await?;
        store::upload::set_state(&mut tx, upload.id, UploadState::Completed).await?;
        commit(tx).await?;
        self.drop_parts(upload.id, &names).await;
        Ok(())
    }

    /// Gives a file up, and deletes its parts. Again, it changes nothing.
    ///
    /// # Errors
    /// `NotFound` without such an upload of this file by the caller; `Conflict` when the file is there already.
    #[boxed]
    pub async fn abort_upload(&self, ctx: &Ctx, folder: &str, file: &str, id: UploadId) -> Result<()> {
        self.own_upload(ctx, folder, file, id).await?;
        let mut tx = self.begin().await?;
        if store::upload::lock(&mut tx, id).await?.ok_or_else(no_upload)? == UploadState::Completed {
            return Err(is_over(UploadState::Completed));
        }
        store::upload::set_state(&mut tx, id, UploadState::Aborted).await?;
        let parts = store::upload::parts(&mut tx, id).await?;
        commit(tx).await?;
        let names: Vec<(u32, &Digest)> = parts.iter().map(|part| (part.number, &part.digest)).collect();
        self.drop_parts(id, &names).await;
        Ok(())
    }

    /// An upload of the caller, of this file, with the parts that are there.
    async fn own_upload(&self, ctx: &Ctx, folder: &str, file: &str, id: UploadId) -> Result<(Upload, Vec<UploadPart>)> {
        let (root, path) = target(folder, file)?;
        let mut conn = self.conn().await?;
        let upload = store::upload::get(&mut conn, id).await?.filter(|upload| {
            upload.workspace_id == ctx.workspace_id()
                && ctx.caller.as_ref().is_some_and(|caller| caller.user.id == upload.user_id)
                && (upload.root, &upload.path) == (root, &path)
        });
        let upload = upload.ok_or_else(no_upload)?;
        let parts = store::upload::parts(&mut conn, id).await?;
        Ok((upload, parts))
    }

    /// Forgets some uploads whose time is over, with their parts.
    ///
    /// # Errors
    /// When the database or the artifact store does not answer.
    pub(crate) async fn delete_ended_uploads(&self) -> Result<()> {
        let ended = store::upload::expired(&mut *self.conn().await?, AT_ONCE).await?;
        for id in ended {
            let parts = store::upload::parts(&mut *self.conn().await?, id).await?;
            let names: Vec<(u32, &Digest)> = parts.iter().map(|part| (part.number, &part.digest)).collect();
            // Nothing is held meanwhile: a store may be slow, and what another deletes too is no mistake.
            self.artifacts.delete_parts(id, &names).await.map_err(of_store)?;
            let mut tx = self.begin().await?;
            store::upload::hold_expired(&mut tx, id).await?;
            // A part that came at the last moment was not deleted. The next time it is.
            if store::upload::parts(&mut tx, id).await? == parts {
                store::upload::delete(&mut tx, id).await?;
                commit(tx).await?;
            }
        }
        Ok(())
    }
}
