//! Runs of experiments: making, changing and reading them. What clients log to them is in [`log`], finding them in
//! [`search`], the table of an experiment in [`table`], what completes a filter in [`complete`], changes of many in
//! [`change`], files of them in [`export`], curves in [`metric`], how their points are packed in [`pack`].

mod appender;
mod change;
mod complete;
mod export;
mod known;
mod log;
mod metric;
mod name;
mod pack;
mod search;
mod table;

pub(crate) use appender::Appender;
pub use change::RunsChange;
pub use export::{RunExport, RunExportSearch};
pub(crate) use known::Known;
pub use metric::{Curves, MAX_CHART_KEYS, MAX_CHART_RUNS};
pub(crate) use name::random as random_name;
pub(crate) use pack::Packer;
pub use pack::Unpacked;
pub use search::RunSearch;
pub(crate) use search::resolve as resolve_experiments;
pub use table::{RunGroupSearch, RunTableSearch};

use crate::{Credential, Ctx, Event, Result, Services, boxed, commit, experiment, step::tracked};
use domain::{
    Error, ErrorKind,
    audit::{Object, ObjectKind},
    experiment::{Experiment, LifecycleStage},
    id::{ExperimentId, RunId},
    log_batch::LogBatch,
    log_key::KeyKind,
    names::RunName,
    run::{Run, RunInfo, RunLineage, RunStatus},
    values::Millis,
};
use std::{collections::BTreeMap, sync::Arc};
use store::{
    PgConnection,
    run::{Opened, RunKey},
};

/// The tag that is a run's name.
const RUN_NAME: &str = "mlflow.runName";
/// The most characters of the name of who started a run.
const MAX_USER_NAME: usize = 256;

/// A run to be made.
#[derive(Debug, Clone, Default)]
pub struct NewExperimentRun {
    /// Its experiment; `0` is the default one.
    pub experiment_id: ExperimentId,
    /// The name that the client gives as its user; that of whoever asks when empty.
    pub user_name: String,
    /// Its name; the tag `mlflow.runName`, or a made-up one, when empty.
    pub name: String,
    /// When it started, in milliseconds since 1970.
    pub start_time: i64,
    /// Tags by key.
    pub tags: Vec<(String, String)>,
}

/// What changes of a run; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct RunChange {
    /// How it stands.
    pub status: Option<RunStatus>,
    /// When it ended, in milliseconds since 1970.
    pub end_time: Option<i64>,
    /// Its name.
    pub name: Option<String>,
}

/// A run with all that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunDetail {
    /// The run, with the latest of all that was logged.
    pub run: Run,
    /// Its experiment.
    pub experiment: Experiment,
    /// What made it and what it made.
    pub lineage: RunLineage,
}

impl Services {
    /// Starts a run, and gives which values were cut, by where they stand in the request. When it is logged with the token of
    /// a pipeline's step, it is that step's.
    ///
    /// # Errors
    /// `NotFound` without such an experiment; `Invalid` for a wrong name, time or tag, or a deleted experiment.
    #[boxed]
    pub async fn create_run(&self, ctx: &Ctx, new: NewExperimentRun) -> Result<(Run, Vec<String>)> {
        let start_time = Millis::parse(new.start_time, "start_time")?.get();
        let LogBatch { mut tags, mut truncated, .. } = LogBatch::of_new_run(&new.tags)?;
        let tagged = tags.iter().find(|(key, _)| key.as_str() == RUN_NAME).map(|(_, value)| value.as_str());
        let of_step = self.of_step(ctx, new.experiment_id).await?;
        let name = match (new.name.as_str(), tagged) {
            (name, Some(tagged)) if !name.is_empty() && name != tagged => {
                return Err(Error::invalid(format!(
                    "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values \
                     (run_name='{name}', mlflow.runName='{tagged}')."
                )));
            }
            ("", Some(tagged)) if !tagged.is_empty() => tagged.to_owned(),
            ("", _) => of_step.as_ref().map_or_else(name::random, |step| step.name.clone()),
            (name, _) => name.to_owned(),
        };
        let name = RunName::parse(&name, "run_name")?;
        tags.retain(|key, _| key.as_str() != RUN_NAME);
        let mut tags: BTreeMap<&str, &str> = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        tags.insert(RUN_NAME, name.as_str());
        let parent = of_step.map(|step| step.parent.simple());
        if let Some(parent) = &parent {
            // A client that nests its runs itself knows better.
            tags.entry(tracked::PARENT).or_insert(parent);
        }

        let caller = ctx.caller.as_ref();
        let user_name: String = match new.user_name.as_str() {
            "" => caller.map(|caller| caller.user.name.clone()).unwrap_or_default(),
            given => given.chars().filter(|c| *c != '\0').take(MAX_USER_NAME).collect(),
        };
        if new.user_name.chars().count() > MAX_USER_NAME {
            truncated.push("user_id".to_owned());
        }
        let experiment_id = self.experiment(ctx, new.experiment_id).await?.id;
        let tags = self.pairs(&mut *self.conn().await?, experiment_id, KeyKind::Tag, &tags).await?;
        let mut tx = self.begin().await?;
        let experiment = experiment::active(&mut tx, ctx, experiment_id).await?;
        let row = store::run::NewRun {
            id: RunId::new(),
            workspace: ctx.workspace_id(),
            experiment: experiment.id,
            name: name.as_str(),
            start_time,
            user: caller.map(|caller| caller.user.id),
            user_name: &user_name,
            token: caller.and_then(|caller| match caller.credential {
                Credential::Token(id) => Some(id),
                Credential::Session(_) => None,
            }),
        };
        let run = store::run::insert(&mut tx, &row).await?;
        store::run::log::set_tags(&mut tx, &run, &tags).await?;
        Event::new(
            "run.created",
            Object::new(ObjectKind::Run, row.id, name.as_str()),
            format!("started the run {name}"),
        )
        .related(experiment::object(&experiment))
        .write(&mut tx, ctx)
        .await?;
        let run = load(&mut tx, run.key()).await?;
        announce(&mut tx, &run.info).await?;
        commit(tx).await?;
        Ok((run, truncated))
    }

    /// The run of this id, deleted or not, with the latest of all that was logged to it.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn run(&self, ctx: &Ctx, id: RunId) -> Result<Arc<Run>> {
        self.runs(ctx, &[id]).await?.pop().ok_or_else(|| no_run(&id.simple()))
    }

    /// The run of this id, with its experiment and lineage.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn run_detail(&self, ctx: &Ctx, id: RunId) -> Result<RunDetail> {
        let mut conn = self.conn().await?;
        let (key, info) = find(&mut conn, ctx, id).await?;
        Ok(RunDetail {
            run: load(&mut conn, key).await?,
            experiment: experiment::experiment(&mut conn, ctx, info.experiment_id).await?,
            lineage: store::run::lineage(&mut conn, key).await?,
        })
    }

    /// Changes how a run stands, or its name.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a wrong name or time, or when the run is deleted.
    #[boxed]
    pub async fn update_run(&self, ctx: &Ctx, id: RunId, change: RunChange) -> Result<RunInfo> {
        let end_time = change.end_time.map(|time| Millis::parse(time, "end_time")).transpose()?.map(Millis::get);
        let name = change.name.filter(|name| !name.is_empty());
        let name = name.map(|name| RunName::parse(&name, "run_name")).transpose()?;
        let name = name.as_ref().map(RunName::as_str);
        let tags: BTreeMap<&str, &str> = name.map(|name| (RUN_NAME, name)).into_iter().collect();
        let tags = self.pairs_of_run(ctx, id, KeyKind::Tag, &tags).await?;
        let mut tx = self.begin().await?;
        let found = store::run::lock(&mut tx, ctx.workspace_id(), id).await?;
        let (key, before) = found.ok_or_else(|| no_run(&id.simple()))?;
        check_active(&before)?;
        let (info, opened) = store::run::update(&mut tx, key, change.status, end_time, name).await?;
        store::run::log::set_tags(&mut tx, &opened, &tags).await?;
        if let Some(name) = name {
            note_name(&mut tx, ctx, &before, name).await?;
        }
        note_status(&mut tx, ctx, before.status, &info).await?;
        announce(&mut tx, &info).await?;
        commit(tx).await?;
        if info.status.has_ended() {
            self.packer.ended(key);
        }
        Ok(info)
    }

    /// Puts a run away. Again changes nothing.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn delete_run(&self, ctx: &Ctx, id: RunId) -> Result<()> {
        self.set_run_stage(ctx, id, LifecycleStage::Deleted).await
    }

    /// Brings a deleted run back. Again changes nothing.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn restore_run(&self, ctx: &Ctx, id: RunId) -> Result<()> {
        self.set_run_stage(ctx, id, LifecycleStage::Active).await
    }

    async fn set_run_stage(&self, ctx: &Ctx, id: RunId, stage: LifecycleStage) -> Result<()> {
        let mut tx = self.begin().await?;
        let (key, info) = find(&mut tx, ctx, id).await?;
        let experiment = experiment::experiment(&mut tx, ctx, info.experiment_id).await?;
        set_stage(&mut tx, ctx, &experiment, (key, &info), stage).await?;
        commit(tx).await
    }
}

/// Puts a run away or brings it back. Tells whether that changed anything.
async fn set_stage(
    conn: &mut PgConnection,
    ctx: &Ctx,
    experiment: &Experiment,
    (key, info): (RunKey, &RunInfo),
    stage: LifecycleStage,
) -> Result<bool> {
    if !store::run::set_stage(conn, key, stage).await? {
        return Ok(false);
    }
    let (action, verb) = match stage {
        LifecycleStage::Deleted => ("run.deleted", "deleted"),
        LifecycleStage::Active => ("run.restored", "restored"),
    };
    Event::new(action, object(info), format!("{verb} the run {}", info.name))
        .related(experiment::object(experiment))
        .write(conn, ctx)
        .await?;
    announce(conn, info).await?;
    Ok(true)
}

/// Writes down how a run stands, when it stood otherwise before.
async fn note_status(conn: &mut PgConnection, ctx: &Ctx, before: RunStatus, run: &RunInfo) -> Result<()> {
    if run.status == before {
        return Ok(());
    }
    let name = &run.name;
    let (action, summary) = match run.status {
        RunStatus::Running => ("run.resumed", format!("went on with the run {name}")),
        RunStatus::Scheduled => ("run.scheduled", format!("scheduled the run {name}")),
        RunStatus::Finished => ("run.finished", format!("finished the run {name}")),
        RunStatus::Failed => ("run.failed", format!("ended the run {name} as failed")),
        RunStatus::Killed => ("run.killed", format!("ended the run {name} as killed")),
    };
    let experiment = experiment::experiment(conn, ctx, run.experiment_id).await?;
    Event::new(action, object(run), summary)
        .related(experiment::object(&experiment))
        .details(serde_json::json!({ "from": before, "to": run.status }))
        .write(conn, ctx)
        .await
}

/// Writes down what a run is called, when it was called otherwise before.
async fn note_name(conn: &mut PgConnection, ctx: &Ctx, before: &RunInfo, name: &str) -> Result<()> {
    if before.name == name {
        return Ok(());
    }
    let experiment = experiment::experiment(conn, ctx, before.experiment_id).await?;
    Event::new(
        "run.renamed",
        Object::new(ObjectKind::Run, before.id, name),
        format!("renamed the run {} to {name}", before.name),
    )
    .related(experiment::object(&experiment))
    .details(serde_json::json!({ "from": before.name, "to": name }))
    .write(conn, ctx)
    .await
}

/// Tells the pages of a run, of its experiment, and of a workspace that waits for its first run. Told when a run starts,
/// ends or goes, not at every point that is logged.
async fn announce(conn: &mut PgConnection, info: &RunInfo) -> Result<()> {
    store::event::notify(conn, &format!("run:{}", info.id)).await?;
    experiment::announce(conn, info.workspace_id, info.experiment_id).await
}

/// The run of this id, deleted or not.
pub(crate) async fn find(conn: &mut PgConnection, ctx: &Ctx, id: RunId) -> Result<(RunKey, RunInfo)> {
    store::run::find(conn, ctx.workspace_id(), id).await?.ok_or_else(|| no_run(&id.simple()))
}

/// Opens the run of this id, which must be in use, to be written to.
async fn open(conn: &mut PgConnection, ctx: &Ctx, id: RunId) -> Result<(Opened, RunInfo)> {
    let (key, info) = find(conn, ctx, id).await?;
    match store::run::open(conn, key).await? {
        Some(opened) => Ok((opened, info)),
        None => Err(not_active(&info)),
    }
}

fn check_active(info: &RunInfo) -> Result<()> {
    if info.lifecycle_stage == LifecycleStage::Active { Ok(()) } else { Err(not_active(info)) }
}

fn not_active(info: &RunInfo) -> Error {
    Error::invalid(format!(
        "The run {} must be in the 'active' state. Current state is {}.",
        info.id.simple(),
        LifecycleStage::Deleted.as_str()
    ))
}

async fn load(conn: &mut PgConnection, key: RunKey) -> Result<Run> {
    let (_, run) = store::run::load(conn, &[key]).await?.pop().ok_or_else(Error::internal)?;
    Ok(run)
}

/// The run as history names it.
pub(crate) fn object(info: &RunInfo) -> Object {
    Object::new(ObjectKind::Run, info.id, &info.name)
}

/// The refusal of an id that no run of the workspace has.
#[must_use]
pub fn no_run(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("Run with id={id} not found"))
}
