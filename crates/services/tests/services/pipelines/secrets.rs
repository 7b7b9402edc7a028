//! Secrets: who gets a value, where it stands, and what becomes of it when keys change.

use crate::pipelines::engine::Engine;
use domain::{
    ErrorKind,
    pipeline::ExecutorKind,
    pipeline_run::AttemptOutcome as O,
    push_hook::{Forge, PushHook},
    secret::SecretValue,
};
use services::{FileTrouble, NewPushHook, NewRun, SecretKeys, Services};
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _};

const FILE: &str = "name: fetch\nsecrets: [SHARED]\nsteps:\n  get: { command: 'true', secrets: { TOKEN: HF_TOKEN } }\n  plain: { command: 'true', env: { SHARED: mine }, needs: get }\n";

async fn set(engine: &Engine, name: &str, value: &str) -> (domain::secret::Secret, bool) {
    engine.services.set_secret(&engine.ctx(), name, SecretValue::choose(value.to_owned()).unwrap()).await.unwrap()
}

/// What the step that is next gets, as variables.
async fn given(engine: &Engine) -> Result<BTreeMap<String, String>, String> {
    let held = engine.claim().await.unwrap();
    let work = engine
        .services
        .begin_attempt(&held, "http://slipway.test", &domain::worker::Facts::default())
        .await
        .unwrap()
        .unwrap();
    let opened = engine.services.open_secrets(&held, &work.secrets).await;
    engine.end(&held, O::Succeeded).await;
    match opened {
        Ok(values) => Ok(values.into_iter().map(|(name, value)| (name, value.reveal().to_owned())).collect()),
        Err(FileTrouble::Step(told) | FileTrouble::Ours(told)) => Err(told),
    }
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn hook(services: &Services, engine: &Engine) -> (PushHook, String) {
    engine.store("name: train\nsteps: { only: { command: 'true' } }\n").await;
    let new = NewPushHook {
        name: "main".to_owned(),
        pipeline: "train".to_owned(),
        forge: Forge::Gitlab,
        branches: Vec::new(),
        paths: Vec::new(),
        params: serde_json::Map::new(),
        from_push: BTreeMap::new(),
        enabled: true,
    };
    services.create_push_hook(&engine.ctx(), new).await.unwrap()
}

async fn is_proved(services: &Services, hook: &PushHook, secret: &str) -> bool {
    let secret = secret.to_owned();
    let header = move |name: &str| (name == "x-gitlab-token").then(|| secret.clone());
    services.prove_push(hook.id, &header, b"{}").await.unwrap().is_some()
}

/// The tables in which a text stands.
async fn tables_with(engine: &Engine, text: &str) -> Vec<String> {
    let tables: Vec<String> =
        sqlx::query_scalar("select quote_ident(tablename) from pg_tables where schemaname = 'public' order by 1")
            .fetch_all(&engine.database.pool)
            .await
            .unwrap();
    let mut found = Vec::new();
    for table in tables {
        let sql = format!("select exists (select from {table} t where t::text like '%' || $1 || '%')");
        let is_there: bool =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(text).fetch_one(&engine.database.pool).await.unwrap();
        found.extend(is_there.then_some(table));
    }
    found
}

#[tokio::test]
async fn a_step_gets_the_value_of_the_moment_in_which_it_begins() {
    let engine = Engine::start().await;
    assert_eq!(set(&engine, "HF_TOKEN", "hf-first").await.0.version, 1);
    set(&engine, "SHARED", "shared-value").await;
    engine.run(FILE).await;
    let (secret, is_new) = set(&engine, "HF_TOKEN", "hf-second").await;
    assert_eq!((secret.version, is_new, secret.last_used_at), (2, false, None));
    assert_eq!(set(&engine, "HF_TOKEN", "hf-second").await.0, secret, "the same again changes nothing");
    assert_eq!(given(&engine).await.unwrap(), variables(&[("SHARED", "shared-value"), ("TOKEN", "hf-second")]));
    assert_eq!(given(&engine).await.unwrap(), variables(&[]), "its own variable goes before the pipeline's secret");
    assert!(engine.services.secret(&engine.ctx(), "HF_TOKEN").await.unwrap().last_used_at.is_some());

    let mut conn = engine.database.pool.acquire().await.unwrap();
    let attempt = engine.services.step_attempts(&engine.ctx(), 1, "get").await.unwrap().remove(0).id;
    let used = store::secret::used_by(&mut conn, attempt).await.unwrap();
    assert_eq!(used, BTreeMap::from([("HF_TOKEN".to_owned(), 2), ("SHARED".to_owned(), 1)]));
}

#[tokio::test]
async fn a_value_stands_nowhere_in_the_database_and_names_alone_make_the_digest() {
    let engine = Engine::start().await;
    set(&engine, "SHARED", "shared-value").await;
    set(&engine, "HF_TOKEN", "hf-first-value").await;
    let digest = engine.store(FILE).await.version.digest;
    engine.again("fetch").await;
    given(&engine).await.unwrap();
    set(&engine, "HF_TOKEN", "hf-second-value").await;
    assert_eq!(engine.store(FILE).await.version.digest, digest);
    for value in ["shared-value", "hf-first-value", "hf-second-value"] {
        assert_eq!(tables_with(&engine, value).await, Vec::<String>::new(), "{value}");
    }
    assert!(
        tables_with(&engine, "HF_TOKEN").await.contains(&"audit_events".to_owned()),
        "the search finds what is there"
    );
}

#[tokio::test]
async fn a_run_that_needs_a_missing_secret_is_not_started_and_the_sentence_names_it() {
    let engine = Engine::start().await;
    engine.store(FILE).await;
    set(&engine, "SHARED", "shared-value").await;
    let start = async || {
        let new = NewRun { pipeline: "fetch".to_owned(), ..NewRun::default() };
        engine.services.start_pipeline_run(&engine.ctx(), new).await
    };
    let refused = start().await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.message.starts_with("Step \"get\" needs the secret HF_TOKEN, which"), "{refused:?}");
    set(&engine, "HF_TOKEN", "hf-first").await;
    start().await.unwrap();
    // Gone since the start: the step says so, and does not run without.
    engine.services.delete_secret(&engine.ctx(), "HF_TOKEN").await.unwrap();
    assert_eq!(given(&engine).await.unwrap_err(), "The secret HF_TOKEN was deleted since the run began.");
    assert_eq!(start().await.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(engine.services.delete_secret(&engine.ctx(), "HF_TOKEN").await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_value_that_was_moved_to_another_row_is_none() {
    let engine = Engine::start().await;
    set(&engine, "HF_TOKEN", "hf-first").await;
    set(&engine, "SHARED", "shared-value").await;
    engine.run(FILE).await;
    sqlx::query(
        "update secrets set sealed = (select sealed from secrets where name = 'SHARED') where name = 'HF_TOKEN'",
    )
    .execute(&engine.database.pool)
    .await
    .unwrap();
    assert!(given(&engine).await.unwrap_err().starts_with("The secret HF_TOKEN is not what was stored"));
}

#[tokio::test]
async fn another_workspaces_secret_is_not_given() {
    let engine = Engine::start().await;
    set(&engine, "HF_TOKEN", "hf-first").await;
    let elsewhere = engine.run_elsewhere("name: other\nsteps: { only: { command: 'true' } }\n").await;
    let ctx = services::Ctx::system(elsewhere);
    assert!(engine.services.secrets(&ctx).await.unwrap().is_empty());
    let file = "name: theirs\nsteps: { only: { command: 'true', secrets: [HF_TOKEN] } }\n".to_owned();
    let file = services::PipelineFile::read(file).unwrap();
    engine.services.store_pipeline(&ctx, file, None).await.unwrap();
    let new = NewRun { pipeline: "theirs".to_owned(), ..NewRun::default() };
    assert_eq!(engine.services.start_pipeline_run(&ctx, new).await.unwrap_err().kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn everything_is_encrypted_anew_when_the_key_changes() {
    let engine = Engine::start().await;
    set(&engine, "HF_TOKEN", "hf-first").await;
    set(&engine, "SHARED", "shared-value").await;
    let (hook, proof) = hook(&engine.services, &engine).await;
    let files = || {
        let mut names: Vec<String> = std::fs::read_dir(engine.key_folder())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
                entry.file_name().into_string().unwrap()
            })
            .collect();
        names.sort();
        names
    };
    let before = files();
    assert_eq!(before.len(), 1);
    // Another process has the old key in memory, and goes on.
    let other = engine.process(SecretKeys::in_folder(&engine.key_folder())).await;
    assert!(is_proved(&other, &hook, &proof).await);

    let rotated = engine.services.rotate_secret_key().await.unwrap();
    assert_eq!((rotated.resealed, rotated.unreadable.len()), (3, 0));
    assert_eq!(files(), [format!("{}.key", rotated.key)]);
    assert_ne!(files(), before);
    assert!(is_proved(&other, &hook, &proof).await && is_proved(&engine.services, &hook, &proof).await);
    engine.run(FILE).await;
    assert_eq!(given(&engine).await.unwrap()["TOKEN"], "hf-first");
    // What the other sets from now on has the new key, too.
    other.set_secret(&engine.ctx(), "LATER", SecretValue::kept("later-value".to_owned())).await.unwrap();
    let keys: Vec<String> =
        sqlx::query_scalar("select distinct key_id from secrets").fetch_all(&engine.database.pool).await.unwrap();
    assert_eq!(keys, [rotated.key]);
}

#[tokio::test]
async fn without_its_key_nothing_is_read_nor_lost() {
    let engine = Engine::start().await;
    set(&engine, "HF_TOKEN", "hf-first").await;
    let given = SecretKeys::given(["07".repeat(32).as_str()]).unwrap();
    let stranger = engine.process(given).await;
    let value = || SecretValue::kept("another".to_owned());
    let refused = stranger.set_secret(&engine.ctx(), "HF_TOKEN", value()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    let rotated = stranger.rotate_secret_key().await.unwrap();
    assert_eq!(
        (rotated.resealed, rotated.unreadable, rotated.dropped.len()),
        (0, vec!["secret HF_TOKEN".to_owned()], 0)
    );
    // It is set again, under the key that is in use now.
    assert_eq!(stranger.set_secret(&engine.ctx(), "HF_TOKEN", value()).await.unwrap().0.version, 2);
}

#[tokio::test]
async fn of_processes_that_need_the_first_key_at_once_all_use_one() {
    let engine = Engine::start().await;
    let mut setting = tokio::task::JoinSet::new();
    for index in 0..8 {
        let process = engine.process(SecretKeys::in_folder(&engine.key_folder())).await;
        let ctx = engine.ctx();
        setting.spawn(async move {
            process.ready_secrets().await.unwrap();
            process.set_secret(&ctx, &format!("S{index}"), SecretValue::kept(format!("value {index}"))).await.unwrap();
        });
    }
    setting.join_all().await;
    let keys: i64 =
        sqlx::query_scalar("select count(*) from secret_keys").fetch_one(&engine.database.pool).await.unwrap();
    assert_eq!(keys, 1);
    assert_eq!(std::fs::read_dir(engine.key_folder()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_was_kept_as_it_is_before_there_were_keys_is_encrypted_at_the_start() {
    let engine = Engine::start().await;
    let (hook, _) = hook(&engine.services, &engine).await;
    sqlx::query("update push_hooks set secret = 'from-before', key_id = null, sealed = null")
        .execute(&engine.database.pool)
        .await
        .unwrap();
    assert!(is_proved(&engine.services, &hook, "from-before").await);
    engine.services.ready_secrets().await.unwrap();
    assert_eq!(tables_with(&engine, "from-before").await, Vec::<String>::new());
    assert!(is_proved(&engine.services, &hook, "from-before").await);
    assert!(!is_proved(&engine.services, &hook, "").await);
}

#[tokio::test]
async fn a_container_that_is_gone_on_with_has_the_same_variables_masked() {
    let engine = Engine::start().await;
    set(&engine, "HF_TOKEN", "hf-first").await;
    engine
        .run("name: boxed\nexecutor: docker\nimage: alpine\nsteps:\n  get: { command: 'true', secrets: [HF_TOKEN] }\n")
        .await;
    let pools = ["default".to_owned()];
    let lasts = std::time::Duration::from_secs(600);
    let held =
        engine.services.claim_step("one", "one", &pools, &[ExecutorKind::Docker], &[], lasts).await.unwrap().unwrap();
    let work = engine
        .services
        .begin_attempt(&held, "http://slipway.test", &domain::worker::Facts::default())
        .await
        .unwrap()
        .unwrap();
    let adopted = engine.services.adopted(&held).await.unwrap().unwrap();
    assert_eq!(work.secrets, variables(&[("HF_TOKEN", "HF_TOKEN")]));
    assert_eq!(adopted.work.secrets, work.secrets);
}
