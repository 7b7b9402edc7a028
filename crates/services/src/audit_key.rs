//! The keys that checkpoints of history are signed with: the private halves are files of the server, the public ones rows.

use crate::{Event, Result, Services, boxed, commit, key_file, now, task::blocking};
use chain::{KeyId, PrivateKey};
use domain::{
    Error, ErrorKind,
    audit::{Actor, Object, ObjectKind},
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use store::audit_chain::Key;

/// The name of a key's file.
fn file(id: &KeyId) -> String {
    format!("{id}.pem")
}

impl Services {
    fn key_folder(&self) -> Result<PathBuf> {
        let folder = self.audit_keys.as_deref().map(Path::to_owned);
        folder.ok_or_else(|| Error::new(ErrorKind::Unavailable, "This process has no folder for keys."))
    }

    /// Makes a key. From now on checkpoints are signed with it, by every process that has the same data folder.
    ///
    /// # Errors
    /// When the database does not answer, or the key cannot be kept.
    #[boxed]
    pub async fn create_audit_key(&self) -> Result<Key> {
        let folder = self.key_folder()?;
        let mut seed = [0; 32];
        let trouble = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "a key could not be made");
            Error::new(ErrorKind::Unavailable, "The key could not be made or kept; look at the log.")
        };
        getrandom::fill(&mut seed).map_err(|error| trouble(&error))?;
        let private = PrivateKey::from_seed(seed).map_err(|error| trouble(&error))?;
        let public = private.public();
        // The file first: a key that nobody named signs nothing, and one that is named must be there.
        let name = file(&public.id());
        blocking(move || key_file::keep(&folder, &name, &private.to_pem())).await?.map_err(|error| trouble(&error))?;
        let key = Key { id: public.id(), public, created_at: now(), retired_at: None };
        let mut tx = self.begin().await?;
        store::audit_chain::insert_key(&mut tx, &key).await?;
        event("audit_key.created", &key.id, format!("made the audit key {}", key.id))
            .write_as(&mut tx, None, Actor::System, None)
            .await?;
        commit(tx).await?;
        Ok(key)
    }

    /// All keys, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn audit_keys(&self) -> Result<Vec<Key>> {
        Ok(store::audit_chain::keys(&mut *self.conn().await?).await?)
    }

    /// Puts a key out of use, and deletes its private half here. What it signed is still verified with the public one.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it is out of use already.
    #[boxed]
    pub async fn retire_audit_key(&self, id: &KeyId) -> Result<()> {
        let folder = self.key_folder()?;
        let mut tx = self.begin().await?;
        if !store::audit_chain::retire_key(&mut tx, id, now()).await? {
            let is_known = store::audit_chain::keys(&mut tx).await?.iter().any(|key| key.id == *id);
            return Err(if is_known {
                Error::conflict(format!("The audit key {id} is out of use already."))
            } else {
                Error::new(ErrorKind::NotFound, format!("There is no audit key {id}."))
            });
        }
        event("audit_key.retired", id, format!("put the audit key {id} out of use"))
            .write_as(&mut tx, None, Actor::System, None)
            .await?;
        commit(tx).await?;
        let name = file(id);
        if let Err(error) = blocking(move || key_file::delete(&folder, &name)).await? {
            tracing::warn!(key = %id, %error, "the file of a key that is out of use could not be deleted");
        }
        Ok(())
    }

    /// The newest key in use. None when there is none, or it is not in this process's folder.
    pub(crate) async fn signing_key(&self) -> Result<Option<PrivateKey>> {
        let Some(folder) = self.audit_keys.clone() else { return Ok(None) };
        let keys = self.audit_keys().await?;
        let Some(key) = keys.into_iter().find(|key| key.retired_at.is_none()) else { return Ok(None) };
        let path = folder.join(file(&key.id));
        let found = match blocking(move || fs::read_to_string(path)).await? {
            Ok(pem) => PrivateKey::from_pem(&pem).ok().filter(|private| private.public() == key.public),
            Err(_) => None,
        };
        if found.is_none() {
            tracing::warn!(key = %key.id, "the audit key in use is not in the data folder; checkpoints are not signed");
        }
        Ok(found)
    }
}

fn event(action: &'static str, id: &KeyId, summary: String) -> Event {
    Event::new(action, Object::new(ObjectKind::AuditKey, id, id.as_str()), summary)
}
