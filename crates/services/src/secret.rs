//! Secrets of a workspace: set by admins, given to steps, read back by nobody.

use crate::{Claimed, Ctx, Event, FileTrouble, Result, Services, boxed, commit, now, vault::Place};
use domain::{
    Error, ErrorKind,
    audit::{Object, ObjectKind},
    id::SecretId,
    pipeline::PipelineSpec,
    secret::{self, MAX_SECRETS, Secret, SecretValue},
};
use std::collections::{BTreeMap, BTreeSet};
use store::{PgConnection, secret::SealedSecret};

impl Services {
    /// The secrets, by name, without their values.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn secrets(&self, ctx: &Ctx) -> Result<Vec<Secret>> {
        Ok(store::secret::list(&mut *self.conn().await?, ctx.workspace_id()).await?)
    }

    /// The secret of this name, without its value.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn secret(&self, ctx: &Ctx, name: &str) -> Result<Secret> {
        find(&mut *self.conn().await?, ctx, name).await
    }

    /// Makes a secret, or gives it another value, which steps get that begin from then on. The value that it has already
    /// changes nothing. Tells whether it is a new secret.
    ///
    /// # Errors
    /// `Invalid` for a name or value that is none, `Conflict` when there are as many as there may be, `Unavailable` when this
    /// process has not the key.
    #[boxed]
    pub async fn set_secret(&self, ctx: &Ctx, name: &str, value: SecretValue) -> Result<(Secret, bool)> {
        secret::check_name(name)?;
        let mut tx = self.begin().await?;
        // Of two that make it at once, one is first.
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let before = store::secret::lock(&mut tx, ctx.workspace_id(), name).await?;
        if let Some(before) = &before {
            // One that cannot be read any more is set anew.
            if self.unseal(place(before), &before.sealed).await.is_ok_and(|known| known == value.reveal()) {
                return Ok((find(&mut tx, ctx, name).await?, false));
            }
        } else if store::secret::list(&mut tx, ctx.workspace_id()).await?.len() >= MAX_SECRETS {
            return Err(Error::conflict(format!("A workspace has at most {MAX_SECRETS} secrets; delete one.")));
        }
        let version = before.as_ref().map_or(1, |before| before.version + 1);
        let at = Place::Secret { workspace: ctx.workspace_id(), name, version };
        let new = SealedSecret {
            id: before.as_ref().map_or_else(SecretId::new, |before| before.id),
            workspace_id: ctx.workspace_id(),
            name: name.to_owned(),
            version,
            sealed: self.seal(&mut tx, at, value.reveal()).await?,
        };
        let actor = ctx.actor();
        let (action, summary) = if before.is_some() {
            store::secret::update(&mut tx, &new, now(), actor.name()).await?;
            ("secret.changed", format!("gave the secret {name} another value, version {version}"))
        } else {
            store::secret::insert(&mut tx, &new, now(), actor.name()).await?;
            ("secret.created", format!("set the secret {name}"))
        };
        Event::new(action, object(&new), summary)
            .details(serde_json::json!({ "version": version }))
            .write(&mut tx, ctx)
            .await?;
        let secret = find(&mut tx, ctx, name).await?;
        commit(tx).await?;
        Ok((secret, before.is_none()))
    }

    /// Deletes a secret with its value. Steps that have it keep it; runs that need it are not started any more.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn delete_secret(&self, ctx: &Ctx, name: &str) -> Result<()> {
        if !secret::is_name(name) {
            return Err(missing(name));
        }
        let mut tx = self.begin().await?;
        let Some(secret) = store::secret::lock(&mut tx, ctx.workspace_id(), name).await? else {
            return Err(missing(name));
        };
        store::secret::delete(&mut tx, secret.id).await?;
        Event::new("secret.deleted", object(&secret), format!("deleted the secret {name}"))
            .details(serde_json::json!({ "version": secret.version }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await
    }

    /// The values that a try gets: variable to value, for these secrets by variable.
    ///
    /// # Errors
    /// [`FileTrouble::Step`] when there is a secret no more that was there when the run began; otherwise why they cannot be
    /// had here.
    #[boxed]
    pub async fn open_secrets(
        &self,
        held: &Claimed,
        wanted: &BTreeMap<String, String>,
    ) -> std::result::Result<BTreeMap<String, SecretValue>, FileTrouble> {
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let names: BTreeSet<&str> = wanted.values().map(String::as_str).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let ours = |error: Error| FileTrouble::Ours(format!("Its secrets could not be read: {}", error.message));
        let read = async {
            let mut conn = self.conn().await?;
            let found = store::secret::of_run(&mut conn, held.run_id, &names).await?;
            store::secret::note_used(&mut conn, held.attempt_id, &found).await?;
            Ok(found)
        };
        let mut values = BTreeMap::new();
        for secret in read.await.map_err(ours)? {
            match self.unseal(place(&secret), &secret.sealed).await {
                Ok(text) => values.insert(secret.name, SecretValue::kept(text)),
                Err(error) if error.kind == ErrorKind::Unavailable => {
                    count("no_key");
                    return Err(ours(error));
                }
                Err(_) => {
                    count("damaged");
                    let name = secret.name;
                    return Err(FileTrouble::Step(format!(
                        "The secret {name} is not what was stored: it was changed in the database. Set it again."
                    )));
                }
            };
        }
        let value = |(variable, name): (&String, &String)| match values.get(name) {
            Some(value) => Ok((variable.clone(), value.clone())),
            None => {
                count("missing");
                Err(FileTrouble::Step(format!("The secret {name} was deleted since the run began.")))
            }
        };
        let given: BTreeMap<String, SecretValue> = wanted.iter().map(value).collect::<std::result::Result<_, _>>()?;
        count("given");
        Ok(given)
    }
}

/// How often steps asked for their secrets, and what came of it.
fn count(outcome: &'static str) {
    metrics::counter!("slipway_step_secrets_total", "outcome" => outcome).increment(1);
}

pub(crate) fn place(secret: &SealedSecret) -> Place<'_> {
    Place::Secret { workspace: secret.workspace_id, name: &secret.name, version: secret.version }
}

fn object(secret: &SealedSecret) -> Object {
    Object::new(ObjectKind::Secret, secret.id, &secret.name)
}

fn missing(name: &str) -> Error {
    Error::not_found("secret", name.chars().take(secret::MAX_NAME).collect::<String>())
}

async fn find(conn: &mut PgConnection, ctx: &Ctx, name: &str) -> Result<Secret> {
    // What is no name would not even be a text for the database.
    let found = match secret::is_name(name) {
        true => store::secret::by_name(conn, ctx.workspace_id(), name).await?,
        false => None,
    };
    found.ok_or_else(|| missing(name))
}

/// Whether the workspace has all secrets that a file names: a run must not find out in the middle.
///
/// # Errors
/// `Conflict`, naming the first that is missing.
pub(crate) async fn exist(conn: &mut PgConnection, ctx: &Ctx, spec: &PipelineSpec) -> Result<()> {
    let named = spec.all_secrets();
    if named.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = named.iter().map(|(_, name)| *name).collect();
    let known = store::secret::versions(conn, ctx.workspace_id(), &names).await?;
    match named.into_iter().find(|(_, name)| !known.contains_key(*name)) {
        Some((who, name)) => Err(Error::conflict(format!(
            "{who} needs the secret {name}, which this workspace does not have. An admin sets it in the settings, or with \
             slipway secret set {name}."
        ))),
        None => Ok(()),
    }
}
