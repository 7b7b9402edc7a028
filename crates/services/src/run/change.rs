//! Changes of many runs at once: all of them, or none.

use super::{RUN_NAME, announce, no_run, not_active, set_stage};
use crate::{Ctx, Event, Result, Services, boxed, commit, experiment};
use domain::{
    Error,
    experiment::{Experiment, LifecycleStage},
    id::{ExperimentId, RunId},
    log_key::KeyKind,
    names::TagKey,
    run::RunInfo,
    run_table::MAX_CHANGED,
    values::TagValue,
};
use std::collections::{BTreeMap, BTreeSet};
use store::{
    PgConnection,
    run::{RunKey, key::KeyId, log},
};

/// What is done with runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunsChange {
    /// They are put away.
    Delete,
    /// They are brought back.
    Restore,
    /// They get a tag.
    Tag {
        /// Its key.
        key: String,
        /// Its value.
        value: String,
    },
}

impl Services {
    /// Does the same with runs of an experiment, with all or none of them. Tells how many it changed.
    ///
    /// # Errors
    /// `NotFound` when there is no such experiment, or one of them is no run of it; `Invalid` for none or too many of them, for a
    /// wrong tag, and when a run that is put away is to be tagged.
    #[boxed]
    pub async fn change_runs(
        &self,
        ctx: &Ctx,
        experiment: ExperimentId,
        ids: &BTreeSet<RunId>,
        change: &RunsChange,
    ) -> Result<usize> {
        if ids.is_empty() {
            return Err(Error::invalid_field("runs", "Name one run or more."));
        }
        if ids.len() > MAX_CHANGED {
            return Err(Error::invalid_field(
                "runs",
                format!("{} runs are too many for one step; take up to {MAX_CHANGED} at a time.", ids.len()),
            ));
        }
        let tag = match change {
            RunsChange::Tag { key, value } => Some(tag(key, value)?),
            RunsChange::Delete | RunsChange::Restore => None,
        };
        let experiment = self.experiment(ctx, experiment).await?;
        let pair = match &tag {
            Some((key, value)) => {
                let pairs = BTreeMap::from([(key.as_str(), value.as_str())]);
                self.pairs(&mut *self.conn().await?, experiment.id, KeyKind::Tag, &pairs).await?.pop()
            }
            None => None,
        };
        let mut tx = self.begin().await?;
        let wanted: Vec<RunId> = ids.iter().copied().collect();
        let runs = store::run::lock_several(&mut tx, experiment.id, &wanted).await?;
        if let Some(missing) = ids.iter().find(|id| !runs.iter().any(|(_, info)| info.id == **id)) {
            return Err(no_run(&missing.simple()));
        }
        let changed = match change {
            RunsChange::Tag { .. } => {
                let (tag, pair) = tag.as_ref().zip(pair).ok_or_else(Error::internal)?;
                set_tag(&mut tx, ctx, &experiment, &runs, (tag, pair)).await?
            }
            RunsChange::Delete => set_stages(&mut tx, ctx, &experiment, &runs, LifecycleStage::Deleted).await?,
            RunsChange::Restore => set_stages(&mut tx, ctx, &experiment, &runs, LifecycleStage::Active).await?,
        };
        commit(tx).await?;
        Ok(changed)
    }
}

/// Gives runs a tag, its key by name and by number. Tells how many.
async fn set_tag(
    conn: &mut PgConnection,
    ctx: &Ctx,
    experiment: &Experiment,
    runs: &[(RunKey, RunInfo)],
    ((key, value), pair): (&(TagKey, TagValue), (KeyId, &str)),
) -> Result<usize> {
    if let Some((_, deleted)) = runs.iter().find(|(_, info)| info.lifecycle_stage != LifecycleStage::Active) {
        return Err(not_active(deleted));
    }
    let keys: Vec<RunKey> = runs.iter().map(|(key, _)| *key).collect();
    let opened = store::run::open_several(conn, &keys).await?;
    log::set_tag(conn, &opened, pair).await?;
    let what = match runs {
        [(_, only)] => format!("the run {}", only.name),
        several => format!("{} runs", several.len()),
    };
    let named = |(_, info): &(RunKey, RunInfo)| info.id.simple();
    Event::new(
        "experiment.runs_tagged",
        experiment::object(experiment),
        format!("set the tag {} of {what}", key.as_str()),
    )
    .details(serde_json::json!({
        "key": key.as_str(),
        "value": value.as_str(),
        "runs": runs.iter().map(named).collect::<Vec<_>>(),
    }))
    .write(conn, ctx)
    .await?;
    for (_, info) in runs {
        announce(conn, info).await?;
    }
    Ok(opened.len())
}

/// Puts runs away or brings them back. Tells how many that changed.
async fn set_stages(
    conn: &mut PgConnection,
    ctx: &Ctx,
    experiment: &Experiment,
    runs: &[(RunKey, RunInfo)],
    stage: LifecycleStage,
) -> Result<usize> {
    let mut changed = 0;
    for (key, info) in runs {
        changed += usize::from(set_stage(conn, ctx, experiment, (*key, info), stage).await?);
    }
    Ok(changed)
}

fn tag(key: &str, value: &str) -> Result<(TagKey, TagValue)> {
    let key = TagKey::parse(key.trim(), "key")?;
    if key.as_str() == RUN_NAME {
        return Err(Error::invalid_field(
            "key",
            format!("{RUN_NAME} is the name of a run; several do not get one name."),
        ));
    }
    let value = TagValue::for_run(value, "value")?;
    if value.was_truncated() {
        return Err(Error::invalid_field("value", format!("A tag has at most {} characters.", TagValue::MAX_RUN)));
    }
    Ok((key, value))
}
