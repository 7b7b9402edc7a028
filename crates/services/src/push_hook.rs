//! Push hooks: made by people, told of pushes by forges. Who sends is proved by the hook's secret before anything of what
//! was sent is looked at; a delivery and the run that it starts are one transaction.

use crate::{
    Ctx, Event, Result, Services, boxed, commit, now, pipeline,
    pipeline_run::{Cause, start_for},
    token::new_secret,
    vault::Place,
};
use chrono::{DateTime, Utc};
use domain::{
    Error, Page,
    audit::{Object, ObjectKind},
    digest::hex,
    id::PushHookId,
    page,
    pipeline::{ParamKind, Pipeline},
    pipeline_run::{Code, RunCause},
    push_hook::{Delivery, Forge, Outcome, Push, PushField, PushHook},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use store::{PgConnection, push_hook::Answered};

/// The longest name of a delivery.
const MAX_DELIVERY: usize = 200;

/// A push hook to be made.
#[derive(Debug, Clone)]
pub struct NewPushHook {
    /// Its name.
    pub name: String,
    /// The pipeline that it starts.
    pub pipeline: String,
    /// Who tells of pushes.
    pub forge: Forge,
    /// Branches whose pushes start it; all when there is none.
    pub branches: Vec<String>,
    /// Changed files, one of which must fit; any when there is none.
    pub paths: Vec<String>,
    /// Params of its runs.
    pub params: Map<String, Value>,
    /// Params that get what the push says.
    pub from_push: BTreeMap<String, PushField>,
    /// Whether pushes start anything.
    pub enabled: bool,
}

/// What of a push hook is to be another.
#[derive(Debug, Clone, Default)]
pub struct PushHookChange {
    /// Its name.
    pub name: Option<String>,
    /// The pipeline that it starts.
    pub pipeline: Option<String>,
    /// Branches whose pushes start it.
    pub branches: Option<Vec<String>>,
    /// Changed files, one of which must fit.
    pub paths: Option<Vec<String>>,
    /// Params of its runs, all of them.
    pub params: Option<Map<String, Value>>,
    /// Params that get what the push says, all of them.
    pub from_push: Option<BTreeMap<String, PushField>>,
    /// Whether pushes start anything.
    pub enabled: Option<bool>,
}

/// What a forge sent, proved to be of the hook.
#[derive(Debug, Clone)]
pub struct ProvedPush {
    /// The hook.
    pub hook: PushHook,
    /// What happened, by the forge's name for it.
    pub event: String,
    /// What the forge calls the delivery; none when it does not say.
    pub delivery: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Services {
    /// The push hooks of the workspace, by name; of one pipeline, when named.
    ///
    /// # Errors
    /// `NotFound` for a pipeline that there is not, `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn push_hooks(
        &self,
        ctx: &Ctx,
        of: Option<&str>,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<PushHook>> {
        let after: Option<String> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let of = match of {
            Some(name) => Some(pipeline::find(&mut conn, ctx, name).await?.id),
            None => None,
        };
        let rows =
            store::push_hook::list(&mut conn, ctx.workspace_id(), of, after.as_deref(), limit as i64 + 1).await?;
        Ok(Page::cut(rows, limit, |row| row.name.clone()))
    }

    /// The push hook of this name.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn push_hook(&self, ctx: &Ctx, name: &str) -> Result<PushHook> {
        let mut conn = self.conn().await?;
        store::push_hook::by_name(&mut conn, ctx.workspace_id(), name).await?.ok_or_else(|| missing(name))
    }

    /// What it was told of, latest first.
    ///
    /// # Errors
    /// `NotFound`, or `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn push_deliveries(
        &self,
        ctx: &Ctx,
        name: &str,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Delivery>> {
        let before: Option<DateTime<Utc>> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let hook = self.push_hook(ctx, name).await?;
        let mut conn = self.conn().await?;
        let rows = store::push_hook::deliveries(&mut conn, hook.id, before, limit as i64 + 1).await?;
        Ok(Page::cut(rows, limit, |row| row.at))
    }

    /// Makes a push hook. Answers with it and its secret, which is not shown again.
    ///
    /// # Errors
    /// `NotFound` without such a pipeline, `Invalid` for what makes no sense, params that the pipeline does not take among
    /// it, `AlreadyExists` when another has the name.
    #[boxed]
    pub async fn create_push_hook(&self, ctx: &Ctx, new: NewPushHook) -> Result<(PushHook, String)> {
        let mut tx = self.begin().await?;
        let pipeline = pipeline::find(&mut tx, ctx, &new.pipeline).await?;
        let hook = PushHook {
            id: PushHookId::new(),
            workspace_id: ctx.workspace_id(),
            name: new.name.trim().to_owned(),
            pipeline_id: pipeline.id,
            pipeline: pipeline.name.clone(),
            forge: new.forge,
            branches: new.branches,
            paths: new.paths,
            params: new.params,
            from_push: new.from_push,
            enabled: new.enabled,
            created_at: now(),
            created_by: ctx.actor().name().to_owned(),
        };
        check(&mut tx, &pipeline, &hook).await?;
        let secret = new_secret("");
        let sealed = self.seal(&mut tx, Place::PushHook(hook.id), &secret).await?;
        store::push_hook::insert(&mut tx, &hook, &sealed).await.map_err(|error| named_twice(error, &hook))?;
        let summary = format!("let pushes at {} start {} by {}", hook.forge.title(), hook.pipeline, hook.name);
        tell(&mut tx, ctx, "push_hook.created", &hook, summary).await?;
        commit(tx).await?;
        Ok((hook, secret))
    }

    /// Changes a push hook.
    ///
    /// # Errors
    /// `NotFound`, and as when it is made.
    #[boxed]
    pub async fn change_push_hook(&self, ctx: &Ctx, name: &str, change: PushHookChange) -> Result<PushHook> {
        let mut tx = self.begin().await?;
        let before = store::push_hook::lock(&mut tx, ctx.workspace_id(), name).await?.ok_or_else(|| missing(name))?;
        let pipeline = pipeline::find(&mut tx, ctx, change.pipeline.as_deref().unwrap_or(&before.pipeline)).await?;
        let after = PushHook {
            name: change.name.map_or_else(|| before.name.clone(), |name| name.trim().to_owned()),
            pipeline_id: pipeline.id,
            pipeline: pipeline.name.clone(),
            branches: change.branches.unwrap_or_else(|| before.branches.clone()),
            paths: change.paths.unwrap_or_else(|| before.paths.clone()),
            params: change.params.unwrap_or_else(|| before.params.clone()),
            from_push: change.from_push.unwrap_or_else(|| before.from_push.clone()),
            enabled: change.enabled.unwrap_or(before.enabled),
            ..before.clone()
        };
        if after == before {
            return Ok(before);
        }
        check(&mut tx, &pipeline, &after).await?;
        store::push_hook::update(&mut tx, &after).await.map_err(|error| named_twice(error, &after))?;
        let what = match (before.enabled, after.enabled) {
            (true, false) => "turned off",
            (false, true) => "turned on",
            _ => "changed",
        };
        let summary = format!("{what} the push hook {} of {}", after.name, after.pipeline);
        tell(&mut tx, ctx, "push_hook.changed", &after, summary).await?;
        commit(tx).await?;
        Ok(after)
    }

    /// Gives a push hook another secret, which is not shown again. What is signed with the one before is refused from now
    /// on.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn renew_push_hook_secret(&self, ctx: &Ctx, name: &str) -> Result<(PushHook, String)> {
        let mut tx = self.begin().await?;
        let hook = store::push_hook::lock(&mut tx, ctx.workspace_id(), name).await?.ok_or_else(|| missing(name))?;
        let secret = new_secret("");
        let sealed = self.seal(&mut tx, Place::PushHook(hook.id), &secret).await?;
        store::push_hook::seal(&mut tx, hook.id, &sealed).await?;
        let summary = format!("gave the push hook {} of {} another secret", hook.name, hook.pipeline);
        tell(&mut tx, ctx, "push_hook.secret_renewed", &hook, summary).await?;
        commit(tx).await?;
        Ok((hook, secret))
    }

    /// Deletes a push hook. The runs that it started stay.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn delete_push_hook(&self, ctx: &Ctx, name: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let hook = store::push_hook::lock(&mut tx, ctx.workspace_id(), name).await?.ok_or_else(|| missing(name))?;
        store::push_hook::delete(&mut tx, hook.id).await?;
        let summary = format!("deleted the push hook {} of {}", hook.name, hook.pipeline);
        tell(&mut tx, ctx, "push_hook.deleted", &hook, summary).await?;
        commit(tx).await
    }

    /// The hook that something was sent to, when what came with it proves that whoever sent it knows the secret. None
    /// when there is no such hook, too: nobody learns which there are.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn prove_push(
        &self,
        id: PushHookId,
        header: &(dyn for<'a> Fn(&'a str) -> Option<String> + Send + Sync),
        body: &[u8],
    ) -> Result<Option<ProvedPush>> {
        let found = store::push_hook::by_id(&mut *self.conn().await?, id).await?;
        let Some((hook, kept)) = found else { return Ok(None) };
        let secret = self.reveal(Place::PushHook(hook.id), &kept).await?;
        let forge = hook.forge;
        if !header(forge.proof_header()).is_some_and(|proof| proves(forge, &secret, &proof, body)) {
            return Ok(None);
        }
        Ok(Some(ProvedPush {
            event: header(forge.event_header()).unwrap_or_default(),
            delivery: forge.delivery_headers().iter().find_map(|name| header(name)),
            body: body.to_vec(),
            hook,
        }))
    }

    /// Does what a push hook is for with what a forge sent. The same delivery again gets the answer that it got.
    ///
    /// # Errors
    /// `Invalid` for a body that no forge sends; nothing is noted of it.
    #[boxed]
    pub async fn receive_push(&self, proved: ProvedPush) -> Result<Delivery> {
        let ProvedPush { hook, event, delivery, body } = proved;
        let push = match Push::read(hook.forge, &event, &body) {
            Ok(push) => Ok(push),
            Err(Ok(why)) => Err(why),
            Err(Err(error)) => return Err(error),
        };
        let delivery = match delivery {
            Some(name) => name.chars().filter(|c| !c.is_control()).take(MAX_DELIVERY).collect(),
            // One that has no name is known by what it says.
            None => format!("sha256:{}", hex(&Sha256::digest(&body))),
        };
        let mut tx = self.begin().await?;
        if !store::push_hook::take_delivery(&mut tx, hook.id, &delivery).await? {
            return store::push_hook::delivery(&mut tx, hook.id, &delivery).await?.ok_or_else(Error::internal);
        }
        let (outcome, answer, run) = match &push {
            Err(why) => (Outcome::Ignored, format!("ignored: {why}"), None),
            Ok(push) => match hook.why_not(push) {
                Some(why) => (Outcome::Ignored, format!("ignored: {why}"), None),
                None => self.start_for_push(&mut tx, &hook, push).await?,
            },
        };
        let push = push.ok();
        let answered = Answered {
            outcome,
            answer: &answer,
            branch: push.as_ref().map(|push| push.branch.as_str()),
            commit: push.as_ref().map(|push| push.commit.as_str()),
            run,
        };
        store::push_hook::answer(&mut tx, hook.id, &delivery, &answered).await?;
        store::event::notify(&mut tx, &topic(&hook)).await?;
        let noted = store::push_hook::delivery(&mut tx, hook.id, &delivery).await?.ok_or_else(Error::internal)?;
        commit(tx).await?;
        metrics::counter!("slipway_push_deliveries_total", "outcome" => outcome.as_str()).increment(1);
        Ok(noted)
    }

    async fn start_for_push(
        &self,
        tx: &mut PgConnection,
        hook: &PushHook,
        push: &Push,
    ) -> Result<(Outcome, String, Option<domain::id::PipelineRunId>)> {
        let workspace = store::workspace::by_id(tx, hook.workspace_id).await?.ok_or_else(Error::internal)?;
        let ctx = Ctx::system(workspace);
        let id = hook.id.to_string();
        let code = Code {
            repository: Some(push.repository.clone()),
            commit: push.commit.clone(),
            branch: Some(push.branch.clone()),
            is_dirty: false,
            patch: None,
            left_out: None,
        };
        // A forge may name something else than a commit: then the run has no code, and says so.
        let code = code.check().ok();
        let cause = Cause {
            cause: RunCause::PushHook,
            id: Some(&id),
            name: Some(&hook.name),
            code: code.as_ref(),
            ..Cause::default()
        };
        match start_for(tx, &ctx, hook.pipeline_id, &hook.params_for(push), &cause).await? {
            Ok(run) => {
                let name = format!("{} #{}", run.pipeline_name, run.number);
                let short: String = push.commit.chars().take(10).collect();
                let summary = format!("started {name} for {short} on {}", push.branch);
                Event::new("push_hook.fired", object(hook), summary)
                    .related(Object::new(ObjectKind::PipelineRun, run.id, &name))
                    .details(serde_json::json!({
                        "branch": push.branch, "commit": push.commit, "repository": push.repository,
                        "author_email": push.author_email,
                    }))
                    .write(tx, &ctx)
                    .await?;
                Ok((Outcome::Started, format!("started {name}"), Some(run.id)))
            }
            // The pipeline changed since the hook was made, or is busy.
            Err(refused) => Ok((Outcome::Refused, format!("ignored: {}", refused.why), None)),
        }
    }
}

/// Whether what came proves that whoever sent the body knows the secret. It takes as long whatever is wrong with it.
fn proves(forge: Forge, secret: &str, proof: &str, body: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    let signature = match forge {
        // The secret itself: its code under the secret is compared, which tells nothing by how long it takes.
        Forge::Gitlab => {
            let Ok(mut given) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
            given.update(proof.as_bytes());
            mac.update(secret.as_bytes());
            return mac.verify(&given.finalize().into_bytes()).is_ok();
        }
        Forge::Github => match proof.strip_prefix("sha256=") {
            Some(signature) => signature,
            None => return false,
        },
        Forge::Gitea => proof,
    };
    let Some(signature) = unhex(signature) else { return false };
    mac.update(body);
    mac.verify_slice(&signature).is_ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Refuses a hook that makes no sense, or whose params the pipeline does not take: told now rather than at the next push.
async fn check(conn: &mut PgConnection, pipeline: &Pipeline, hook: &PushHook) -> Result<()> {
    hook.check()?;
    let version = pipeline::version(conn, pipeline, None).await?;
    // Which of its choices a push names is known when it comes.
    let text = |name: &String| match version.spec.params.get(name).map(|param| (param.kind, param.choices.first())) {
        Some((ParamKind::String, Some(choice))) => Value::from(choice.clone()),
        _ => Value::from("a text"),
    };
    let mut params: BTreeMap<String, Value> = hook.params.clone().into_iter().collect();
    // What a push gives need not have a default.
    params.extend(hook.from_push.keys().map(|name| (name.clone(), text(name))));
    version.spec.resolve_params(&params).map(drop).map_err(|error| {
        let name = error.field.as_deref().and_then(|field| field.strip_prefix("params."));
        match name.is_some_and(|name| hook.from_push.contains_key(name)) {
            true => Error::invalid_field("from_push", format!("{} What a push says is a text.", error.message)),
            false => error,
        }
    })
}

fn named_twice(error: store::Error, hook: &PushHook) -> Error {
    if error.is_duplicate_of("push_hooks_workspace_id_name_key") {
        let text = format!("There is a push hook \"{}\" already; give this one another name.", hook.name);
        return Error::already_exists(text).in_field("name");
    }
    error.into()
}

fn missing(name: &str) -> Error {
    Error::not_found("push hook", name.chars().take(64).collect::<String>())
}

fn object(hook: &PushHook) -> Object {
    Object::new(ObjectKind::PushHook, hook.id, &hook.name)
}

/// What open pages of push hooks listen for.
fn topic(hook: &PushHook) -> String {
    format!("push_hooks:{}", hook.workspace_id)
}

async fn tell(tx: &mut PgConnection, ctx: &Ctx, action: &'static str, hook: &PushHook, summary: String) -> Result<()> {
    Event::new(action, object(hook), summary)
        .related(Object::new(ObjectKind::Pipeline, hook.pipeline_id, &hook.pipeline))
        .details(serde_json::json!({
            "forge": hook.forge,
            "branches": hook.branches,
            "paths": hook.paths,
            "params": hook.params,
            "from_push": hook.from_push,
            "enabled": hook.enabled,
        }))
        .write(tx, ctx)
        .await?;
    Ok(store::event::notify(tx, &topic(hook)).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `printf '%s' '{"ref":"x"}' | openssl dgst -sha256 -hmac hush`.
    const SIGNED: &str = "d316a77eadc8efd36db76b8550f5eb113ab414ef0ec563897ad9d44ae64d2b94";
    const BODY: &[u8] = br#"{"ref":"x"}"#;

    #[test]
    fn a_signature_of_openssl_proves_who_sends() {
        assert!(proves(Forge::Gitea, "hush", SIGNED, BODY));
        assert!(proves(Forge::Github, "hush", &format!("sha256={SIGNED}"), BODY));
        for wrong in [SIGNED, "sha1=00", "sha256=", "sha256=zz", &format!("sha256={}", &SIGNED[2..])] {
            assert!(!proves(Forge::Github, "hush", wrong, BODY), "{wrong}");
        }
        assert!(!proves(Forge::Gitea, "hush!", SIGNED, BODY) && !proves(Forge::Gitea, "hush", SIGNED, b"{}"));
        assert!(proves(Forge::Gitlab, "hush", "hush", BODY));
        assert!(!proves(Forge::Gitlab, "hush", "Hush", BODY) && !proves(Forge::Gitlab, "hush", "", BODY));
    }
}
