//! What must not be read by whoever reads the database: encrypted with a key that is not in it.
//!
//! ChaCha20-Poly1305 with a random nonce for each value. What a value belongs to is authenticated with it, so that one that
//! is moved to another row is no value there. A key encrypts far fewer than the 2³² values that random nonces allow.
//!
//! Keys are files of the data folder, or given to the process. The database says which is in use; each value says which
//! encrypted it, so that all may be encrypted anew while others go on.

use crate::{Event, Result, Services, boxed, commit, key_file, secret, task::blocking};
use domain::{
    Error, ErrorKind,
    audit::{Actor, Object, ObjectKind},
    digest::hex,
    id::{PushHookId, WebhookId, WorkspaceId},
};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};
use store::{
    PgConnection,
    secret_key::{self, HookSecret, Kept, Sealed},
};

/// The bytes of a key.
const KEY_LEN: usize = 32;
/// The bytes of its SHA-256 that name it.
const ID_LEN: usize = 8;
/// How many values are encrypted anew in one transaction.
const PART: i64 = 200;

/// A key, ready to be used.
struct Key {
    id: String,
    key: LessSafeKey,
}

impl Key {
    fn new(bytes: &[u8]) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).ok()?);
        Some(Self { id: hex(&Sha256::digest(bytes)[..ID_LEN]), key })
    }

    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        let byte = |at: usize| text.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
        bytes.filter(|bytes| bytes.len() == KEY_LEN && text.is_ascii()).and_then(|bytes| Self::new(&bytes))
    }

    /// Encrypts a text.
    fn seal(&self, place: Place<'_>, text: &str) -> Result<Sealed> {
        Ok(Sealed { bytes: encrypt(self, place, text)?, key_id: self.id.clone() })
    }
}

/// Where the keys of an installation are.
#[derive(Clone, Default)]
pub struct SecretKeys(Arc<Keys>);

#[derive(Default)]
struct Keys {
    /// The folder with a file for each; none when they were given.
    folder: Option<PathBuf>,
    /// The one to be put in use, when it was given.
    first: Option<String>,
    known: RwLock<HashMap<String, Arc<Key>>>,
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKeys").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

impl SecretKeys {
    /// Keys in this folder, which is made with the first.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self(Arc::new(Keys { folder: Some(folder.to_owned()), ..Keys::default() }))
    }

    /// These keys, each as 64 hexadecimal digits: the first is put in use, the others read what they encrypted.
    ///
    /// # Errors
    /// A sentence, when one is none.
    pub fn given<'a>(texts: impl IntoIterator<Item = &'a str>) -> std::result::Result<Self, String> {
        let mut keys = Keys::default();
        for text in texts {
            let key = Key::from_text(text).ok_or_else(|| {
                format!("a key for secrets is {} hexadecimal digits, as from openssl rand -hex {KEY_LEN}", KEY_LEN * 2)
            })?;
            keys.first.get_or_insert_with(|| key.id.clone());
            keys.known.get_mut().unwrap_or_else(PoisonError::into_inner).insert(key.id.clone(), Arc::new(key));
        }
        Ok(Self(Arc::new(keys)))
    }

    fn known(&self, id: &str) -> Option<Arc<Key>> {
        self.0.known.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn remember(&self, key: Key) -> Arc<Key> {
        let key = Arc::new(key);
        self.0.known.write().unwrap_or_else(PoisonError::into_inner).insert(key.id.clone(), Arc::clone(&key));
        key
    }

    /// The key of this id.
    async fn get(&self, id: &str) -> Result<Arc<Key>> {
        if let Some(key) = self.known(id) {
            return Ok(key);
        }
        let read = match &self.0.folder {
            Some(folder) => {
                let path = folder.join(file(id));
                blocking(move || fs::read_to_string(path)).await?.ok().and_then(|text| Key::from_text(&text))
            }
            None => None,
        };
        match read.filter(|key| key.id == id) {
            Some(key) => Ok(self.remember(key)),
            None => Err(Error::new(
                ErrorKind::Unavailable,
                format!("The key {id}, which encrypts secrets, is not here: it is in the data folder, or was given."),
            )),
        }
    }

    /// The id of a key to be put in use: the one that was given, or a new one.
    async fn next(&self) -> Result<String> {
        if let Some(first) = &self.0.first {
            return Ok(first.clone());
        }
        let Some(folder) = self.0.folder.clone() else {
            return Err(Error::new(ErrorKind::Unavailable, "This process has no keys for secrets."));
        };
        let trouble = |error: &dyn fmt::Display| {
            tracing::error!(%error, "a key for secrets could not be made");
            Error::new(ErrorKind::Unavailable, "The key for secrets could not be made or kept; look at the log.")
        };
        let mut bytes = [0; KEY_LEN];
        getrandom::fill(&mut bytes).map_err(|error| trouble(&error))?;
        let key = Key::new(&bytes).ok_or_else(Error::internal)?;
        let id = key.id.clone();
        let (name, text) = (file(&id), format!("{}\n", hex(&bytes)));
        blocking(move || key_file::keep(&folder, &name, &text)).await?.map_err(|error| trouble(&error))?;
        self.remember(key);
        Ok(id)
    }

    /// Forgets a key, and deletes its file.
    async fn forget(&self, id: &str) {
        self.0.known.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        let Some(folder) = self.0.folder.clone() else { return };
        let name = file(id);
        if let Ok(Err(error)) = blocking(move || key_file::delete(&folder, &name)).await {
            tracing::warn!(key = id, %error, "the file of a key that is out of use could not be deleted");
        }
    }
}

/// The name of a key's file.
fn file(id: &str) -> String {
    format!("{id}.key")
}

/// What a value belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A version of a secret of a workspace.
    Secret { workspace: WorkspaceId, name: &'a str, version: i32 },
    /// What a push hook is proved with.
    PushHook(PushHookId),
    /// What a webhook signs with.
    Webhook(WebhookId),
}

impl Place<'_> {
    /// What is authenticated with the value: another for each place.
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Secret { workspace, name, version } => serde_json::json!(["secret", workspace, name, version]),
            Self::PushHook(id) => serde_json::json!(["push_hook", id]),
            Self::Webhook(id) => serde_json::json!(["webhook", id]),
        }
        .to_string()
        .into_bytes()
    }
}

fn encrypt(key: &Key, place: Place<'_>, text: &str) -> Result<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|_| Error::internal())?;
    let mut sealed = text.as_bytes().to_vec();
    key.key
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.bytes()), &mut sealed)
        .map_err(|_| Error::internal())?;
    Ok([nonce.as_slice(), &sealed].concat())
}

fn decrypt(key: &Key, place: Place<'_>, sealed: &[u8]) -> Option<String> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut text = sealed.to_vec();
    let text = key.key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(place.bytes()), &mut text).ok()?;
    String::from_utf8(text.to_vec()).ok()
}

/// What came of encrypting everything anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The key in use now.
    pub key: String,
    /// How many values it encrypts that another did before, or none.
    pub resealed: usize,
    /// What could not be read: it must be set again.
    pub unreadable: Vec<String>,
    /// Keys that nothing needs any more. Their files are deleted.
    pub dropped: Vec<String>,
}

impl Services {
    /// The same, with the keys that secrets are encrypted with.
    #[must_use]
    pub fn with_secret_keys(mut self, keys: SecretKeys) -> Self {
        self.secret_keys = keys;
        self
    }

    /// Encrypts a text, with the key in use. That stays in use until the transaction ends.
    pub(crate) async fn seal(&self, conn: &mut PgConnection, place: Place<'_>, text: &str) -> Result<Sealed> {
        self.key_in_use(conn).await?.seal(place, text)
    }

    async fn key_in_use(&self, conn: &mut PgConnection) -> Result<Arc<Key>> {
        if let Some(id) = secret_key::current(conn).await? {
            return self.secret_keys.get(&id).await;
        }
        let made = self.secret_keys.next().await?;
        secret_key::put_first(conn, &made).await?;
        let id = secret_key::current(conn).await?.ok_or_else(Error::internal)?;
        if id != made {
            // Another process was first.
            self.secret_keys.forget(&made).await;
        }
        self.secret_keys.get(&id).await
    }

    /// The text that was encrypted.
    ///
    /// # Errors
    /// `Unavailable` without its key; `Internal` when it is not what was encrypted for this place.
    pub(crate) async fn unseal(&self, place: Place<'_>, sealed: &Sealed) -> Result<String> {
        let key = self.secret_keys.get(&sealed.key_id).await?;
        decrypt(&key, place, &sealed.bytes).ok_or_else(|| {
            tracing::error!(?place, key = %sealed.key_id, "an encrypted value was changed, or belongs to something else");
            Error::internal()
        })
    }

    /// The text that is kept, empty when there is none.
    pub(crate) async fn reveal(&self, place: Place<'_>, kept: &Kept) -> Result<String> {
        match kept {
            Kept::Nothing => Ok(String::new()),
            Kept::Open(text) => Ok(text.clone()),
            Kept::Sealed(sealed) => self.unseal(place, sealed).await,
        }
    }

    /// Has a key in use, and encrypts what was kept as it is before there were keys.
    ///
    /// # Errors
    /// When the database does not answer, or a key cannot be had.
    #[boxed]
    pub async fn ready_secrets(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        let key = self.key_in_use(&mut tx).await?;
        commit(tx).await?;
        let mut all = Rotated { key: key.id.clone(), resealed: 0, unreadable: Vec::new(), dropped: Vec::new() };
        self.reseal_hooks(&key, true, &mut all).await?;
        if all.resealed > 0 {
            tracing::info!(count = all.resealed, "secrets of hooks are encrypted now");
        }
        Ok(())
    }

    /// Puts another key in use: a new one, or the first of those that were given. Everything is encrypted with it, and keys
    /// that nothing needs any more are deleted. May be done again when it was interrupted.
    ///
    /// # Errors
    /// When the database does not answer, or the key cannot be made.
    #[boxed]
    pub async fn rotate_secret_key(&self) -> Result<Rotated> {
        let next = self.secret_keys.next().await?;
        let key = self.secret_keys.get(&next).await?;
        let mut tx = self.begin().await?;
        secret_key::put_next(&mut tx, &next).await?;
        let object = Object::new(ObjectKind::SecretKey, &next, &next);
        Event::new("secret_key.rotated", object, format!("put the key {next} for secrets in use"))
            .write_as(&mut tx, None, Actor::System, None)
            .await?;
        commit(tx).await?;
        let mut all = Rotated { key: next, resealed: 0, unreadable: Vec::new(), dropped: Vec::new() };
        self.reseal_secrets(&key, &mut all).await?;
        self.reseal_hooks(&key, false, &mut all).await?;
        all.dropped = secret_key::unused(&mut *self.conn().await?).await?;
        for id in &all.dropped {
            self.secret_keys.forget(id).await;
        }
        Ok(all)
    }

    async fn reseal_secrets(&self, key: &Key, all: &mut Rotated) -> Result<()> {
        let mut after = None;
        loop {
            let mut tx = self.begin().await?;
            let part = store::secret::under_other_keys(&mut tx, &key.id, after, PART).await?;
            let Some(last) = part.last() else { return Ok(()) };
            after = Some(last.id);
            for secret in &part {
                let place = secret::place(secret);
                match self.unseal(place, &secret.sealed).await {
                    Ok(text) => {
                        store::secret::reseal(&mut tx, secret.id, &key.seal(place, &text)?).await?;
                        all.resealed += 1;
                    }
                    Err(_) => all.unreadable.push(format!("secret {}", secret.name)),
                }
            }
            commit(tx).await?;
        }
    }

    async fn reseal_hooks(&self, key: &Key, open_only: bool, all: &mut Rotated) -> Result<()> {
        let concerns = |kept: &Kept| !open_only || matches!(kept, Kept::Open(_));
        let again = async |place: Place<'_>, kept: &Kept| -> Result<Sealed> {
            key.seal(place, &self.reveal(place, kept).await?)
        };
        let mut after = None;
        loop {
            let mut tx = self.begin().await?;
            let part = store::push_hook::under_other_keys(&mut tx, &key.id, after, PART).await?;
            let Some(last) = part.last() else { break };
            after = Some(last.id);
            for HookSecret { id, kept } in part.iter().filter(|hook| concerns(&hook.kept)) {
                match again(Place::PushHook(*id), kept).await {
                    Ok(sealed) => {
                        store::push_hook::seal(&mut tx, *id, &sealed).await?;
                        all.resealed += 1;
                    }
                    Err(_) => all.unreadable.push(format!("push hook {id}")),
                }
            }
            commit(tx).await?;
        }
        let mut after = None;
        loop {
            let mut tx = self.begin().await?;
            let part = store::webhook::under_other_keys(&mut tx, &key.id, after, PART).await?;
            let Some(last) = part.last() else { break };
            after = Some(last.id);
            for HookSecret { id, kept } in part.iter().filter(|hook| concerns(&hook.kept)) {
                match again(Place::Webhook(*id), kept).await {
                    Ok(sealed) => {
                        store::webhook::seal(&mut tx, *id, Some(&sealed)).await?;
                        all.resealed += 1;
                    }
                    Err(_) => all.unreadable.push(format!("webhook {id}")),
                }
            }
            commit(tx).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Key::new(&[byte; KEY_LEN]).unwrap()
    }

    #[test]
    fn a_value_is_read_in_its_own_place_and_with_its_own_key_alone() {
        let (workspace, other) = (WorkspaceId::new(), WorkspaceId::new());
        let place = |workspace, name, version| Place::Secret { workspace, name, version };
        let sealed = encrypt(&key(1), place(workspace, "A", 1), "hush").unwrap();
        let read = |key: &Key, place: Place<'_>| decrypt(key, place, &sealed);
        assert_eq!(read(&key(1), place(workspace, "A", 1)).as_deref(), Some("hush"));
        for elsewhere in [place(workspace, "A", 2), place(workspace, "B", 1), place(other, "A", 1)] {
            assert_eq!(read(&key(1), elsewhere), None);
        }
        assert_eq!(read(&key(2), place(workspace, "A", 1)), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(decrypt(&key(1), place(workspace, "A", 1), &changed), None, "byte {at}");
        }
        assert_eq!(decrypt(&key(1), place(workspace, "A", 1), b"short"), None);
    }

    #[test]
    fn the_same_value_never_looks_the_same() {
        let place = Place::PushHook(PushHookId::new());
        assert_ne!(encrypt(&key(1), place, "hush").unwrap(), encrypt(&key(1), place, "hush").unwrap());
    }

    #[test]
    fn a_given_key_is_64_digits() {
        let good = "0123456789abcdef".repeat(4);
        assert!(SecretKeys::given([good.as_str(), &"F".repeat(64)]).is_ok());
        for wrong in ["", "0123", &"g".repeat(64), &"0".repeat(63), &"0".repeat(66), &"ä".repeat(32)] {
            assert!(SecretKeys::given([wrong]).is_err(), "{wrong}");
        }
    }
}
