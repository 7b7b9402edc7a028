//! What a run is made of, and doing it again from that alone: with the same versions of everything, without the cache, and
//! with a verdict in the end.

use super::{Cause, Insert, StartedRun, by_number, earlier, name, object, sender_key, turn};
use crate::{Ctx, Error, Event, Result, Services, boxed, pipeline};
use domain::{
    Digest, Page,
    dataset::VersionRef,
    id::PipelineRunId,
    page,
    pipeline::{NOTEBOOK_OUTPUT, OutputKind, OutputSpec, PipelineSpec, StepSpec},
    pipeline_run::{
        Compared, Difference, Extent, PipelineRun, PipelineRunState, RunCause, RunOrigin, RunRecord, Sameness,
        StepRecord, Verdict, caveats, compare_metrics, compare_states, compare_values,
    },
    step::{OutputVersion, StepOutput, Versioned},
};
use std::collections::{BTreeMap, BTreeSet};
use store::PgConnection;

/// The most changes on the machines of steps that a verdict tells.
const MOST_CHANGES: usize = 20;
/// Of how many steps metrics are read at once.
const AT_ONCE: usize = 200;

impl Services {
    /// What a run is made of, with a page of its steps, and why it may not come to the same when it is done again.
    ///
    /// # Errors
    /// `NotFound`, and `Invalid` for a page token that is not of this record.
    #[boxed]
    pub async fn pipeline_run_record(&self, ctx: &Ctx, number: i64, page_token: Option<&str>) -> Result<RunRecord> {
        let after: Option<i32> = page_token.map(page::decode).transpose()?;
        let mut conn = self.conn().await?;
        let run = by_number(&mut conn, ctx, number).await?;
        let spec = store::pipeline::spec(&mut conn, run.version_id).await?;
        let rows = store::step::record::list(&mut conn, run.id, after, page::MAX_PAGE as i64 + 1).await?;
        let Page { items, next_page_token } = Page::cut(rows, page::MAX_PAGE, |(position, _)| *position);
        let steps: Vec<StepRecord> = items.into_iter().map(|(_, step)| step).collect();
        let RunOrigin { versions, caveats } = origin(&mut conn, ctx, &run).await?;
        let digests: BTreeSet<Digest> =
            steps.iter().flat_map(|step| [step.machine.clone(), step.environment.clone()]).flatten().collect();
        let digests: Vec<Digest> = digests.into_iter().collect();
        let facts = store::worker::facts(&mut conn, &digests).await?;
        Ok(RunRecord {
            run: run.number,
            pipeline: run.pipeline_name,
            version: run.version_number,
            digest: run.digest,
            params: run.params,
            seed: spec.seed,
            code: run.code,
            versions,
            steps,
            next_page_token,
            facts,
            caveats,
        })
    }

    /// Where a run comes from, for its page.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn run_origin(&self, ctx: &Ctx, run: &PipelineRun) -> Result<RunOrigin> {
        let mut conn = self.conn().await?;
        origin(&mut conn, ctx, run).await
    }

    /// Does a run again from its record: the same version of the file, params, versions of datasets and models, and images;
    /// every step runs. When it has ended it has a verdict.
    ///
    /// # Errors
    /// `NotFound` without such a run, `Conflict` while it goes on, when it was cancelled, or when its pipeline's limit lets no
    /// more be started.
    #[boxed]
    pub async fn reproduce_pipeline_run(&self, ctx: &Ctx, number: i64, key: Option<&str>) -> Result<StartedRun> {
        let key = key.map(sender_key).transpose()?;
        let mut tx = self.begin().await?;
        let before = by_number(&mut tx, ctx, number).await?;
        if let Some(key) = &key
            && let Some(run) = store::pipeline_run::by_idempotency_key(&mut tx, ctx.workspace_id(), key).await?
        {
            return found(run, &before);
        }
        if !matches!(before.state, PipelineRunState::Succeeded | PipelineRunState::Failed) {
            return Err(Error::conflict(format!(
                "{} has not come to an end that could be reproduced: it is {}.",
                name(&before),
                before.state.as_str()
            )));
        }
        let (id, cause_name) = (before.id.to_string(), format!("#{}", before.number));
        let cause = Cause {
            cause: RunCause::Reproduction,
            id: Some(&id),
            name: Some(&cause_name),
            at: before.cause_at,
            key: key.as_deref(),
            ..Cause::default()
        };
        let started = start_again(&mut tx, ctx, &before, cause).await;
        self.started(ctx, tx, started, key.as_deref(), |run| found(run, &before)).await
    }

    /// Runs that did this one again, the last first; up to twenty.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn reproductions(&self, ctx: &Ctx, number: i64) -> Result<Vec<PipelineRun>> {
        let mut conn = self.conn().await?;
        let run = by_number(&mut conn, ctx, number).await?;
        Ok(store::pipeline_run::reproductions(&mut conn, run.id, 20).await?)
    }

    /// Judges a run that has ended, if it does another again, and before it the runs inside of it. Answers with the verdict,
    /// also when there was one.
    #[boxed]
    pub(super) async fn judge(&self, conn: &mut PgConnection, id: PipelineRunId) -> Result<Option<Verdict>> {
        let Some(run) = store::pipeline_run::by_ids(conn, &[id]).await?.pop() else { return Ok(None) };
        let Some(before) = run.reproduces.filter(|_| run.verdict.is_none()) else { return Ok(run.verdict) };
        if !matches!(run.state, PipelineRunState::Succeeded | PipelineRunState::Failed) {
            return Ok(None);
        }
        let before = store::pipeline_run::by_number(conn, run.workspace_id, before).await?;
        let before = before.ok_or_else(Error::internal)?;
        let spec = store::pipeline::spec(conn, run.version_id).await?;
        let verdict = self.compare(conn, &spec, &before, &run).await?;
        if !store::pipeline_run::set_verdict(conn, run.id, &verdict).await? {
            // Somebody else did so meanwhile, and found the same.
            return Ok(Some(verdict));
        }
        let workspace = store::workspace::by_id(conn, run.workspace_id).await?.ok_or_else(Error::internal)?;
        let summary = format!("{} did {} again: {}", name(&run), name(&before), verdict.sentence());
        Event::new("pipeline_run.reproduced", object(&before), summary)
            .related(object(&run))
            .details(serde_json::json!({ "verdict": verdict, "run": run.number }))
            .write(conn, &Ctx::system(workspace))
            .await?;
        for run in [&run, &before] {
            store::event::notify(conn, &store::event::of_run(run.id)).await?;
        }
        metrics::counter!("slipway_reproductions_total", "verdict" => verdict.sameness.as_str()).increment(1);
        Ok(Some(verdict))
    }

    async fn compare(
        &self,
        conn: &mut PgConnection,
        spec: &PipelineSpec,
        before: &PipelineRun,
        after: &PipelineRun,
    ) -> Result<Verdict> {
        let first = store::step::record::compared(conn, before.id).await?;
        let second = store::step::record::compared(conn, after.id).await?;
        let mut second: BTreeMap<String, Compared> =
            second.into_iter().map(|(_, step)| (step.name.clone(), step)).collect();
        let inside = store::step::sub_run::children(conn, before.id, None).await?;
        let inside_now = store::step::sub_run::children(conn, after.id, None).await?;
        let (mut differences, mut compared, mut surroundings) = (Vec::new(), Extent::default(), Vec::new());
        for some in first.chunks(AT_ONCE) {
            let names: Vec<String> = some.iter().map(|(_, step)| step.name.clone()).collect();
            let mut tracked = store::step::record::tracked(conn, before.id, &names).await?;
            let mut tracked_now = store::step::record::tracked(conn, after.id, &names).await?;
            for (place, one) in some {
                let other = second.remove(&one.name);
                if let Some(difference) = compare_states(one, other.as_ref()) {
                    differences.push(difference);
                    continue;
                }
                let (Some(other), Some(step)) = (other, spec.step(place)) else { continue };
                if step.pipeline().is_some() {
                    if inside.contains_key(&one.name) {
                        let verdict = match inside_now.get(&one.name) {
                            Some(now) => self.judge(conn, *now).await?,
                            None => None,
                        };
                        surroundings.extend(verdict.iter().flat_map(|verdict| verdict.surroundings.iter().cloned()));
                        add_inner(&one.name, verdict, &mut compared, &mut differences);
                    }
                    continue;
                }
                compared.steps += 1;
                for given in &one.outputs {
                    let output = step.outputs.get(&given.name);
                    if output.is_some_and(OutputSpec::varies) {
                        continue;
                    }
                    compared.outputs += 1;
                    let tolerance = output.map_or(0.0, OutputSpec::tolerance);
                    let now = other.outputs.iter().find(|output| output.name == given.name);
                    let is_notebook = given.name == NOTEBOOK_OUTPUT && step.notebook().is_some();
                    if let Some((sameness, how)) = self.compare_outputs(given, now, (tolerance, is_notebook)).await? {
                        let (step, output) = (one.name.clone(), Some(given.name.clone()));
                        differences.push(Difference { step, output, metric: None, sameness, how });
                    }
                }
                // A step that did not run in the first run logged nothing in it.
                let Some(runs) = tracked.remove(&one.name) else { continue };
                let now = tracked_now.remove(&one.name).unwrap_or_default();
                let (metrics, others) =
                    compare_metrics(&one.name, &runs, &now, |metric| tolerance_of(step, one, metric));
                compared.metrics += metrics;
                differences.extend(others);
            }
        }
        if let Some(more) = second.into_values().next() {
            differences.push(Difference::of_step(more.name, "It was not there before.".to_owned()));
        }
        let mut verdict = Verdict::of(compared, differences);
        verdict.surroundings = changed_around(conn, before, after, &verdict).await?;
        verdict.surroundings.append(&mut surroundings);
        verdict.surroundings.truncate(MOST_CHANGES);
        Ok(verdict)
    }

    /// How an output is other than it was; none when it has the same bytes.
    async fn compare_outputs(
        &self,
        before: &StepOutput,
        after: Option<&StepOutput>,
        (tolerance, is_notebook): (f64, bool),
    ) -> Result<Option<(Sameness, String)>> {
        let Some(after) = after else {
            return Ok(Some((Sameness::Diverged, "It was not given again.".to_owned())));
        };
        if before.digest == after.digest {
            return Ok(None);
        }
        if let Some(compared) = compare_values(before, after, tolerance) {
            return Ok(Some(compared));
        }
        if is_notebook && let Some(compared) = self.notebook_sameness(before, after).await? {
            return Ok(Some(compared));
        }
        let how = match (before.is_folder, after.is_folder) {
            (true, true) => self.folder_difference(before, after).await?,
            (false, false) if before.size != after.size => {
                format!("{} bytes before, {} bytes now.", before.size, after.size)
            }
            (false, false) => "The file has other bytes, as many as before.".to_owned(),
            (true, false) => "It was a folder and is a file.".to_owned(),
            (false, true) => "It was a file and is a folder.".to_owned(),
        };
        Ok(Some((Sameness::Diverged, how)))
    }
}

/// What was other on the machines of the steps that differ, each only once.
async fn changed_around(
    conn: &mut PgConnection,
    before: &PipelineRun,
    after: &PipelineRun,
    verdict: &Verdict,
) -> Result<Vec<String>> {
    let names: BTreeSet<String> = verdict.differences.iter().map(|difference| difference.step.clone()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = names.into_iter().collect();
    let first = store::step::record::facts(conn, before.id, &names).await?;
    let second = store::step::record::facts(conn, after.id, &names).await?;
    let mut changed: BTreeSet<(Digest, Digest)> = BTreeSet::new();
    for (name, before) in first {
        let Some(after) = second.get(&name) else { continue };
        let pairs = [(before.environment, &after.environment), (before.machine, &after.machine)];
        changed.extend(pairs.into_iter().filter_map(|(old, new)| Some((old?, new.clone()?))).filter(|(a, b)| a != b));
    }
    let digests: Vec<Digest> = changed.iter().flat_map(|(old, new)| [old.clone(), new.clone()]).collect();
    let facts = store::worker::facts(conn, &digests).await?;
    let mut told = Vec::new();
    for (old, new) in &changed {
        let Some((old, new)) = facts.get(old).zip(facts.get(new)) else { continue };
        told.extend(domain::worker::changes(old, new));
    }
    let mut seen = BTreeSet::new();
    told.retain(|change| seen.insert(change.clone()));
    Ok(told)
}

/// Adds the verdict on the run that a step ran to that on the run around it.
fn add_inner(step: &str, verdict: Option<Verdict>, compared: &mut Extent, differences: &mut Vec<Difference>) {
    let Some(verdict) = verdict else {
        let how = "The run that it started before was not done again.".to_owned();
        return differences.push(Difference::of_step(step.to_owned(), how));
    };
    compared.steps += verdict.steps;
    compared.outputs += verdict.outputs;
    compared.metrics += verdict.metrics;
    let is_told = verdict.differences.iter().any(|difference| Some(difference) == verdict.first.as_ref());
    let first = verdict.first.filter(|_| !is_told);
    let inner = verdict.differences.into_iter().chain(first);
    differences.extend(inner.map(|inner| Difference { step: format!("{step}/{}", inner.step), ..inner }));
}

/// The share by which a metric of a step's tracked run may differ; none for one that is not compared. What the step gave on as
/// metrics stands in its tracked run too, and is compared as an output, or is said to vary there.
fn tolerance_of(step: &StepSpec, gave: &Compared, metric: &str) -> Option<f64> {
    let is_output = gave.outputs.iter().any(|output| {
        output.kind == Some(OutputKind::Metrics)
            && output.value.as_ref().is_some_and(|numbers| numbers.get(metric).is_some())
    });
    step.metrics.tolerance_of(metric).filter(|_| !is_output)
}

/// Starts a run that does another again: the same version of the file, params, pins and code, without the cache. What started
/// it is said by whoever asks.
pub(crate) async fn start_again<'a>(
    conn: &mut PgConnection,
    ctx: &Ctx,
    before: &'a PipelineRun,
    cause: Cause<'a>,
) -> std::result::Result<PipelineRun, Insert> {
    let pipeline = pipeline::find(conn, ctx, &before.pipeline_name).await?;
    let version = pipeline::version(conn, &pipeline, Some(before.version_number)).await?;
    let cause = Cause { no_cache: true, code: before.code.as_ref(), reproduces: Some(before.id), ..cause };
    turn::start(conn, ctx, &pipeline, &version, &before.params, &cause).await
}

/// What steps of a run took, and what may keep it from coming to the same.
async fn origin(conn: &mut PgConnection, ctx: &Ctx, run: &PipelineRun) -> Result<RunOrigin> {
    let ran = store::step::record::ran(conn, run.id).await?;
    let pins = store::step::pin::list(conn, run.id).await?;
    let versions: BTreeSet<(Versioned, String, i32, Option<Digest>)> =
        pins.into_iter().map(|pin| (pin.of, pin.name, pin.number, pin.digest)).collect();
    let mut external = Vec::new();
    for (of, name, number, _) in &versions {
        if *of == Versioned::Dataset {
            let which = VersionRef::Number(*number);
            let version = crate::dataset::version_called(conn, ctx, name, &which).await;
            if version.is_ok_and(|version| version.external > 0) {
                external.push(format!("{name}@{number}"));
            }
        }
    }
    let caveats = caveats(run.code.as_ref(), &ran, &external);
    let version = |(of, name, number, digest)| OutputVersion { of, name, number, digest };
    Ok(RunOrigin { versions: versions.into_iter().map(version).collect(), caveats })
}

/// The run that an earlier request with the same key started, if that asked for the same.
fn found(run: PipelineRun, before: &PipelineRun) -> Result<StartedRun> {
    let is_same = run.reproduces == Some(before.number);
    earlier(run, is_same)
}
