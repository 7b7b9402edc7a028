//! Triggers that wait for the end of another pipeline's runs, or for versions of a data set.

use crate::{
    Credential, Ctx, Event, Result, Services, boxed, commit, pipeline,
    pipeline_run::{self, Cause, start_for},
    schedule::check_params,
};
use domain::{
    Error,
    audit::{Object, ObjectKind},
    dataset::{DatasetVersion, PASSED},
    id::{PipelineRunId, TriggerId, WorkspaceId},
    pipeline::LATEST,
    pipeline_run::{PipelineRunState, RunCause},
    step::Versioned,
    trigger::{MAX_DEPTH, Trigger, TriggerFiring, TriggerOn, way_back},
};
use serde_json::{Map, Value};
use store::{PgConnection, step::pin::Pin};

/// How many firings of a trigger are shown.
const FIRINGS: i64 = 50;
/// The longest name of a data set.
const MAX_DATASET: usize = 500;

/// What a new trigger waits for.
#[derive(Debug, Clone)]
pub enum NewTriggerOn {
    /// The end of a run of another pipeline.
    Pipeline {
        /// The other pipeline.
        source: String,
        /// In one of these states; succeeded when there is none.
        states: Vec<PipelineRunState>,
    },
    /// A new version of a data set, which need not be there yet.
    Dataset {
        /// The data set.
        dataset: String,
        /// Whether it is waited for that the version passes its checks.
        checked: bool,
    },
}

/// A trigger to be made, or changed when there is one of this source and pipeline.
#[derive(Debug, Clone)]
pub struct NewPipelineTrigger {
    /// The pipeline to start.
    pub pipeline: String,
    /// What it waits for.
    pub on: NewTriggerOn,
    /// Params of its runs.
    pub params: Map<String, Value>,
    /// Whether it fires.
    pub enabled: bool,
    /// The least time between two firings, in seconds.
    pub cool_down_s: i32,
}

/// Something that happened and that triggers wait for.
struct Happened<'a> {
    /// Its key: what the same has again.
    key: String,
    /// What people call it.
    name: String,
    /// Its id, for the run that it starts; none for its key.
    id: Option<&'a str>,
    /// How many runs led to it.
    depth: i32,
    /// Its object in history.
    object: Option<Object>,
    /// The version of a data set that it is, by each name by which the runs that it starts mean it.
    versions: Vec<Pin>,
    /// Why it starts nothing, if it does not.
    objection: Option<&'a str>,
    /// Whether it may come to something else later: then what was held back fires after all.
    may_turn: bool,
}

impl Happened<'_> {
    fn of_version(version: &DatasetVersion, depth: Option<i32>, names: &[&str]) -> Self {
        let pin = |asked: &&str| Pin {
            of: Versioned::Dataset,
            name: version.dataset.clone(),
            asked: (*asked).to_owned(),
            number: version.number,
            digest: Some(version.digest.clone()),
        };
        Self {
            key: format!("dataset:v{}", version.number),
            name: format!("{} v{}", version.dataset, version.number),
            id: None,
            // One that no run made begins a chain.
            depth: depth.unwrap_or(-1),
            object: Some(Object::new(ObjectKind::DatasetVersion, version.id, version.title())),
            versions: names.iter().map(pin).collect(),
            objection: None,
            may_turn: false,
        }
    }
}

impl Services {
    /// Makes a trigger that waits for the end of another pipeline's runs or for versions of a data set, or changes the one
    /// of this source and pipeline. Tells whether it is new.
    ///
    /// # Errors
    /// `NotFound` without such a pipeline; `Invalid` for params that it does not take, states in which no run ends, and a
    /// pipeline that would start itself, by however many others.
    #[boxed]
    pub async fn set_pipeline_trigger(&self, ctx: &Ctx, new: NewPipelineTrigger) -> Result<(Trigger, bool)> {
        if new.cool_down_s < 0 {
            return Err(Error::invalid_field("cool_down_s", "A cool-down is 0 seconds or more."));
        }
        let mut tx = self.begin().await?;
        let pipeline = pipeline::find(&mut tx, ctx, &new.pipeline).await?;
        check_params(&mut tx, &pipeline, &new.params).await?;
        // Of two that would close a loop together, the second sees the first.
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let on = match new.on {
            NewTriggerOn::Dataset { dataset, checked } => {
                let dataset = dataset.trim().to_owned();
                if dataset.is_empty() || dataset.chars().count() > MAX_DATASET || dataset.chars().any(char::is_control)
                {
                    let text = format!("The name of a data set is 1 to {MAX_DATASET} visible characters.");
                    return Err(Error::invalid_field("dataset", text));
                }
                TriggerOn::Dataset { dataset, checked }
            }
            NewTriggerOn::Pipeline { source, mut states } => {
                if states.iter().any(|state| !state.is_final()) {
                    let text = "A run ends as succeeded, failed or cancelled.";
                    return Err(Error::invalid_field("states", text));
                }
                if states.is_empty() {
                    states.push(PipelineRunState::Succeeded);
                }
                states.sort_unstable();
                states.dedup();
                let in_field = |error: Error| error.in_field("source");
                let source = pipeline::find(&mut tx, ctx, &source).await.map_err(in_field)?;
                let edges = store::trigger::edges(&mut tx, ctx.workspace_id()).await?;
                if let Some(way) = way_back(&edges, &source.name, &pipeline.name) {
                    let text = match way.as_slice() {
                        [_] => format!("{} would start itself again and again.", pipeline.name),
                        way => format!(
                            "That is a loop: {}, which would start {} again. They would start each other for ever.",
                            way.join(" starts "),
                            pipeline.name
                        ),
                    };
                    return Err(Error::invalid_field("source", text));
                }
                TriggerOn::Pipeline { source_id: source.id, source: source.name, states }
            }
        };
        let mut trigger = Trigger {
            id: TriggerId::new(),
            on,
            pipeline_id: pipeline.id,
            pipeline: pipeline.name.clone(),
            params: new.params,
            enabled: new.enabled,
            cool_down_s: new.cool_down_s,
        };
        let (id, is_new) = store::trigger::set_on(&mut tx, ctx.workspace_id(), &trigger).await?;
        trigger.id = id;
        let action = if is_new { "trigger.created" } else { "trigger.changed" };
        let what = if trigger.enabled { "let" } else { "stopped" };
        let start = if trigger.enabled { "start" } else { "from starting" };
        let summary = format!("{what} {} {start} {}", trigger.on.words(), trigger.pipeline);
        tell(&mut tx, ctx, action, &trigger, summary).await?;
        commit(tx).await?;
        Ok((trigger, is_new))
    }

    /// Deletes a trigger that waits for no alert; one that does is turned off where its monitor is.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn delete_pipeline_trigger(&self, ctx: &Ctx, id: TriggerId) -> Result<Trigger> {
        let mut tx = self.begin().await?;
        let trigger = store::trigger::lock(&mut tx, ctx.workspace_id(), id).await?.ok_or_else(|| missing(id))?;
        store::trigger::delete(&mut tx, id).await?;
        let summary = format!("deleted that {} start {}", trigger.on.words(), trigger.pipeline);
        tell(&mut tx, ctx, "trigger.deleted", &trigger, summary).await?;
        commit(tx).await?;
        Ok(trigger)
    }

    /// What a trigger that waits for no alert did, latest first.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn trigger_firings(&self, ctx: &Ctx, id: TriggerId) -> Result<Vec<TriggerFiring>> {
        let mut conn = self.conn().await?;
        store::trigger::lock(&mut conn, ctx.workspace_id(), id).await?.ok_or_else(|| missing(id))?;
        Ok(store::trigger::fired(&mut conn, id, FIRINGS).await?)
    }

    /// Starts whatever waits for the end of this run, in the transaction of the caller. Nothing waits for one that does another
    /// again: what follows has followed then.
    pub(crate) async fn fire_for_ending(&self, tx: &mut PgConnection, run: PipelineRunId) -> Result<()> {
        let Some(run) = store::pipeline_run::by_ids(tx, &[run]).await?.pop() else { return Ok(()) };
        if run.reproduces.is_some() {
            return Ok(());
        }
        let waiting = store::trigger::waiting_for_run(tx, &run).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let workspace = store::workspace::by_id(tx, run.workspace_id).await?.ok_or_else(Error::internal)?;
        let id = run.id.to_string();
        let happened = Happened {
            key: format!("run:{id}"),
            name: pipeline_run::name(&run),
            id: Some(&id),
            depth: run.depth,
            object: Some(pipeline_run::object(&run)),
            versions: Vec::new(),
            objection: None,
            may_turn: false,
        };
        fire_all(tx, &Ctx::system(workspace), &waiting, &happened).await
    }
}

/// How many runs led to the run whose step acts here; none when no step does. A run that makes a version of the data set that
/// started it would go on for ever.
pub(crate) async fn run_depth(conn: &mut PgConnection, ctx: &Ctx) -> Result<Option<i32>> {
    match ctx.caller.as_ref().map(|caller| &caller.credential) {
        Some(Credential::Token(token)) => Ok(store::trigger::depth_of_token(conn, *token).await?),
        _ => Ok(None),
    }
}

/// Starts whatever waits for versions of a data set, in the transaction that adds this version. Of the same version, again
/// or at once, one starts them.
pub(crate) async fn dataset_version_created(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    version: &DatasetVersion,
    depth: Option<i32>,
) -> Result<()> {
    let waiting = store::trigger::waiting_for_dataset(conn, workspace, &version.dataset, false).await?;
    if waiting.is_empty() {
        return Ok(());
    }
    let workspace = store::workspace::by_id(conn, workspace).await?.ok_or_else(Error::internal)?;
    let happened = Happened::of_version(version, depth, &[LATEST]);
    fire_all(conn, &Ctx::system(workspace), &waiting, &happened).await
}

/// Starts whatever waits for versions of a data set that passed their checks, or notes why it does not, in the transaction
/// that ends those of this version.
pub(crate) async fn dataset_version_checked(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    version: &DatasetVersion,
    objection: Option<&str>,
) -> Result<()> {
    let waiting = store::trigger::waiting_for_dataset(conn, workspace, &version.dataset, true).await?;
    if waiting.is_empty() {
        return Ok(());
    }
    let depth = store::dataset_version::run_depth(conn, version.id).await?;
    let workspace = store::workspace::by_id(conn, workspace).await?.ok_or_else(Error::internal)?;
    // That it passed stands in the tables only after this.
    let of_version = Happened::of_version(version, depth, &[LATEST, PASSED]);
    // One that did not pass may yet, when something else is expected of it.
    let happened = Happened { objection, may_turn: true, ..of_version };
    fire_all(conn, &Ctx::system(workspace), &waiting, &happened).await
}

/// Fires triggers, in the order of the pipelines that they start: so nobody waits for somebody who waits for them.
async fn fire_all(tx: &mut PgConnection, ctx: &Ctx, triggers: &[Trigger], happened: &Happened<'_>) -> Result<()> {
    for trigger in triggers {
        if store::trigger::take_fired(tx, trigger.id, &happened.key, &happened.name, happened.may_turn).await? {
            match happened.objection {
                None => fire(tx, ctx, trigger, happened).await?,
                Some(why) => hold_back(tx, ctx, trigger, happened, why).await?,
            }
        }
    }
    Ok(())
}

async fn fire(tx: &mut PgConnection, ctx: &Ctx, trigger: &Trigger, happened: &Happened<'_>) -> Result<()> {
    let depth = happened.depth.saturating_add(1);
    let why = if depth > MAX_DEPTH {
        format!("{MAX_DEPTH} runs led to {} already, each by the one before.", happened.name)
    } else if store::trigger::rests(tx, trigger.id).await? {
        format!("It fired less than {} s ago.", trigger.cool_down_s)
    } else {
        let cause = Cause {
            cause: RunCause::Trigger,
            id: happened.id.or(Some(&happened.key)),
            name: Some(&happened.name),
            depth,
            versions: &happened.versions,
            ..Cause::default()
        };
        let params = trigger.params.clone().into_iter().collect();
        match start_for(tx, ctx, trigger.pipeline_id, &params, &cause).await? {
            Ok(run) => {
                store::trigger::end_fired(tx, trigger.id, &happened.key, Ok(run.id)).await?;
                let name = pipeline_run::name(&run);
                let mut event =
                    Event::new("trigger.fired", object(trigger), format!("started {name} after {}", happened.name))
                        .related(Object::new(ObjectKind::PipelineRun, run.id, name));
                if let Some(source) = &happened.object {
                    event = event.related(source.clone());
                }
                return event.write(tx, ctx).await;
            }
            // The pipeline changed since the trigger was made, or is busy.
            Err(refused) => refused.why,
        }
    };
    hold_back(tx, ctx, trigger, happened, &why).await
}

/// Notes why something that was waited for started nothing.
async fn hold_back(
    tx: &mut PgConnection,
    ctx: &Ctx,
    trigger: &Trigger,
    happened: &Happened<'_>,
    why: &str,
) -> Result<()> {
    store::trigger::end_fired(tx, trigger.id, &happened.key, Err(why)).await?;
    let summary = format!("did not start {} after {}: {why}", trigger.pipeline, happened.name);
    tell(tx, ctx, "trigger.held_back", trigger, summary).await
}

fn missing(id: TriggerId) -> Error {
    Error::not_found("trigger", id)
}

fn object(trigger: &Trigger) -> Object {
    Object::new(ObjectKind::Trigger, trigger.id, &trigger.pipeline)
}

async fn tell(
    tx: &mut PgConnection,
    ctx: &Ctx,
    action: &'static str,
    trigger: &Trigger,
    summary: String,
) -> Result<()> {
    Event::new(action, object(trigger), summary)
        .related(Object::new(ObjectKind::Pipeline, trigger.pipeline_id, &trigger.pipeline))
        .details(serde_json::json!({
            "on": trigger.on, "enabled": trigger.enabled, "cool_down_s": trigger.cool_down_s, "params": trigger.params,
        }))
        .write(tx, ctx)
        .await
}
