//! Outputs that become versions of datasets and models, in the transaction that ends their step.

use super::{Lease, account, end::AttemptEnd};
use crate::{NewDatasetVersion, Result, Services, registration};
use domain::{
    Error, ErrorKind,
    id::PipelineId,
    permission::Permission,
    pipeline_run::{AttemptOutcome, PipelineRun},
    step::{OutputVersion, StepOutput, Versioned},
    user::Workspace,
};
use manifest::Hash;
use std::collections::BTreeSet;
use store::PgConnection;

/// What is to be made of outputs, with all that can be found out before anything is locked.
pub(super) struct Published {
    workspace: Workspace,
    /// Its outputs' versions of models, by the position of the output.
    models: Vec<(usize, registration::Described)>,
    datasets: Vec<usize>,
}

impl Services {
    /// What is to be made of the outputs of a try that has ended; none when nothing is, as in a run that does another again.
    pub(super) async fn to_publish(&self, lease: &Lease, end: &AttemptEnd) -> Result<Option<Published>> {
        let with_version: Vec<(usize, &StepOutput, &OutputVersion)> = end
            .outputs
            .iter()
            .enumerate()
            .filter_map(|(index, output)| Some((index, output, output.version.as_ref()?)))
            .collect();
        if end.outcome != AttemptOutcome::Succeeded || with_version.is_empty() {
            return Ok(None);
        }
        let mut conn = self.conn().await?;
        let runs = store::pipeline_run::by_ids(&mut conn, &[lease.run_id]).await?;
        let run = runs.into_iter().next().ok_or_else(Error::internal)?;
        if run.reproduces.is_some() {
            // It is to be compared with what there is, and not to take its place.
            return Ok(None);
        }
        let workspace = store::workspace::by_id(&mut conn, run.workspace_id).await?.ok_or_else(Error::internal)?;
        let tracked = store::step::tracked::first(&mut conn, lease.attempt_id).await?;
        drop(conn);
        let mut published = Published { workspace, models: Vec::new(), datasets: Vec::new() };
        for (index, output, version) in with_version {
            match version.of {
                Versioned::Dataset => published.datasets.push(index),
                Versioned::Model => {
                    let files = self.output_files(output).await?;
                    let described = self.describe_step_output(&version.name, files, tracked).await?;
                    published.models.push((index, described));
                }
            }
        }
        Ok(Some(published))
    }

    /// Makes the versions, and says in the outputs which they are. Call [`lock`] in this transaction before anything else is
    /// locked.
    pub(super) async fn publish(
        &self,
        conn: &mut PgConnection,
        run: &PipelineRun,
        lease: &Lease,
        published: Published,
        outputs: &mut [StepOutput],
    ) -> Result<()> {
        let mut ctx = account::of_attempt(conn, &published.workspace, lease.attempt_id).await?;
        if let Some(user) = ctx.user() {
            ctx.roles = store::workspace::roles(conn, published.workspace.id, user.id).await?;
        }
        let step = store::step::name(conn, lease.step_id).await?;
        let made_by = format!("{} #{}, step {step}", run.pipeline_name, run.number);
        for index in published.datasets {
            ctx.require(Permission::WriteDatasets)?;
            let Some(OutputVersion { name, digest: Some(digest), number, .. }) =
                outputs.get_mut(index).and_then(|output| output.version.as_mut())
            else {
                continue;
            };
            let root: Hash = digest.hex().parse().map_err(|_| Error::internal())?;
            let new = NewDatasetVersion { root, message: made_by.clone(), mlflow_digests: Vec::new() };
            let (version, is_new) = self.add_dataset_version(conn, &ctx, name, new).await?;
            if is_new {
                store::dataset_version::note_maker(conn, version.id, lease.step_id).await?;
            }
            *number = version.number;
        }
        for (index, mut described) in published.models {
            ctx.require(Permission::WriteRegistry)?;
            let Some(output) = outputs.get_mut(index) else { continue };
            let Some(version) = &mut output.version else { continue };
            described.made_by(&format!("pipeline-runs:/{}/{step}/{}", run.number, output.name), &made_by);
            version.number = registration::register_output(conn, &ctx, &version.name, &described).await?;
        }
        Ok(())
    }
}

/// Locks the datasets, and the pipelines that wait for versions of them: these are started in the same transaction, and
/// whoever starts runs of a pipeline locks that before any run.
pub(super) async fn lock(conn: &mut PgConnection, published: &Published, outputs: &[StepOutput]) -> Result<()> {
    let names: BTreeSet<&str> = published
        .datasets
        .iter()
        .filter_map(|index| Some(outputs.get(*index)?.version.as_ref()?.name.as_str()))
        .collect();
    let mut pipelines: BTreeSet<PipelineId> = BTreeSet::new();
    for name in names {
        if let Some(stored) = store::dataset::by_name(conn, published.workspace.id, name).await? {
            store::dataset::lock(conn, stored.dataset.id).await?;
        }
        let waiting = store::trigger::waiting_for_dataset(conn, published.workspace.id, name, false).await?;
        pipelines.extend(waiting.into_iter().map(|trigger| trigger.pipeline_id));
    }
    for pipeline in pipelines {
        store::pipeline_run::turn::lock(conn, pipeline).await?;
    }
    Ok(())
}

/// Whether it would come to the same again, for a reason that is told in a sentence, so that the try has failed.
pub(super) fn is_authors(error: &Error) -> bool {
    use ErrorKind as E;
    matches!(error.kind, E::Invalid | E::NotFound | E::Forbidden | E::AlreadyExists | E::Conflict | E::TooLarge)
}
