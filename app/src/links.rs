//! Where every object's page is. The one place that knows the paths of pages.

use crate::ui::query::encode;
use domain::audit::{Object, ObjectKind};

/// The addresses of one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    slug: String,
}

impl Links {
    /// Those of the workspace with this slug.
    pub fn new(slug: impl Into<String>) -> Self {
        Self { slug: slug.into() }
    }

    /// `/w/<slug>`: what waits, what serves, what runs.
    #[must_use]
    pub fn home(&self) -> String {
        format!("/w/{}", encode(&self.slug))
    }

    /// A page, form or interface of the workspace, by its path below it.
    #[must_use]
    pub fn to(&self, path: &str) -> String {
        format!("/w/{}/{path}", encode(&self.slug))
    }

    /// The stream that tells when one of the topics changes: `promotion:<id>`, `pipeline_run:<id>`.
    #[must_use]
    pub fn events(&self, topics: &[String]) -> String {
        self.to(&format!("events?topic={}", topics.iter().map(|topic| encode(topic)).collect::<Vec<_>>().join(",")))
    }

    /// All experiments.
    #[must_use]
    pub fn experiments(&self) -> String {
        self.to("experiments")
    }

    /// The runs of an experiment.
    #[must_use]
    pub fn experiment(&self, id: impl std::fmt::Display) -> String {
        self.to(&format!("experiments/{id}"))
    }

    /// A run.
    #[must_use]
    pub fn run(&self, id: &domain::id::RunId) -> String {
        self.to(&format!("runs/{}", id.simple()))
    }

    /// The form that registers a model of a run.
    #[must_use]
    pub fn register(&self, run: &domain::id::RunId) -> String {
        format!("{}/register", self.run(run))
    }

    /// The files of a run.
    #[must_use]
    pub fn run_files(&self, run: &domain::id::RunId) -> FileLinks {
        let files = self.to(&format!("api/v1/runs/{}/artifacts", run.simple()));
        FileLinks { files, shown: format!("{}/shown", self.run(run)) }
    }

    /// The files of a version.
    #[must_use]
    pub fn version_files(&self, model: &str, version: i32) -> FileLinks {
        let files = self.to(&format!("api/v1/models/{}/versions/{version}/files", encode(model)));
        FileLinks { files, shown: format!("{}/shown", self.version(model, version)) }
    }

    /// The points of these runs, for charts; which metrics is said by `key`.
    pub fn series<'a>(&self, runs: impl IntoIterator<Item = &'a domain::id::RunId>) -> String {
        let runs: Vec<String> = runs.into_iter().map(|run| format!("run={}", run.simple())).collect();
        self.to(&format!("api/v1/runs/series?{}", runs.join("&")))
    }

    /// All models.
    #[must_use]
    pub fn models(&self) -> String {
        self.to("models")
    }

    /// The form that makes a model. It sends to [`Links::models`].
    #[must_use]
    pub fn new_model(&self) -> String {
        self.to("models?new=1")
    }

    /// A model.
    #[must_use]
    pub fn model(&self, name: &str) -> String {
        self.to(&format!("models/{}", encode(name)))
    }

    /// A version of a model.
    #[must_use]
    pub fn version(&self, model: &str, version: i32) -> String {
        self.to(&format!("models/{}/versions/{version}", encode(model)))
    }

    /// Where the aliases of a model point and pointed.
    #[must_use]
    pub fn aliases(&self, model: &str) -> String {
        format!("{}/aliases", self.model(model))
    }

    /// Where an alias of a model is taken away.
    #[must_use]
    pub fn delete_alias(&self, model: &str, alias: &str) -> String {
        format!("{}/{}/delete", self.aliases(model), encode(alias))
    }

    /// The card of a model.
    #[must_use]
    pub fn card(&self, model: &str) -> String {
        format!("{}/card", self.model(model))
    }

    /// Two versions of a model beside each other.
    #[must_use]
    pub fn compare_versions(&self, model: &str, a: i32, b: i32) -> String {
        format!("{}/versions/compare?a={a}&b={b}", self.model(model))
    }

    /// All promotions.
    #[must_use]
    pub fn promotions(&self) -> String {
        self.to("promotions")
    }

    /// A promotion, by its number.
    #[must_use]
    pub fn promotion(&self, number: i64) -> String {
        self.to(&format!("promotions/{number}"))
    }

    /// All policies.
    #[must_use]
    pub fn policies(&self) -> String {
        self.to("policies")
    }

    /// All change requests.
    #[must_use]
    pub fn change_requests(&self) -> String {
        self.to("change-requests")
    }

    /// A change request, by its number.
    #[must_use]
    pub fn change_request(&self, number: i64) -> String {
        self.to(&format!("change-requests/{number}"))
    }

    /// The form that writes a new policy.
    #[must_use]
    pub fn new_policy(&self) -> String {
        self.to("policies/new")
    }

    /// A policy.
    #[must_use]
    pub fn policy(&self, name: &str) -> String {
        self.to(&format!("policies/{}", encode(name)))
    }

    /// What is found by name.
    #[must_use]
    pub fn search(&self) -> String {
        self.to("search")
    }

    /// The form that asks for a promotion of this version.
    #[must_use]
    pub fn new_promotion(&self, model: &str, version: i32) -> String {
        self.to(&format!("promotions/new?model={}&version={version}", encode(model)))
    }

    /// The same, into this environment.
    #[must_use]
    pub fn new_promotion_into(&self, model: &str, version: i32, environment: &str) -> String {
        format!("{}&environment={}", self.new_promotion(model, version), encode(environment))
    }

    /// All datasets.
    #[must_use]
    pub fn datasets(&self) -> String {
        self.to("datasets")
    }

    /// A dataset.
    #[must_use]
    pub fn dataset(&self, name: &str) -> String {
        self.to(&format!("datasets/{}", encode(name)))
    }

    /// A version of a dataset.
    #[must_use]
    pub fn dataset_version(&self, name: &str, version: i32) -> String {
        self.to(&format!("datasets/{}/versions/{version}", encode(name)))
    }

    /// All pipelines.
    #[must_use]
    pub fn pipelines(&self) -> String {
        self.to("pipelines")
    }

    /// A pipeline.
    #[must_use]
    pub fn pipeline(&self, name: &str) -> String {
        self.to(&format!("pipelines/{}", encode(name)))
    }

    /// When pipelines are started by the clock.
    #[must_use]
    pub fn schedules(&self) -> String {
        self.to("schedules")
    }

    /// A schedule.
    #[must_use]
    pub fn schedule(&self, name: &str) -> String {
        self.to(&format!("schedules/{}", encode(name)))
    }

    /// The addresses that forges tell of pushes.
    #[must_use]
    pub fn push_hooks(&self) -> String {
        self.to("push-hooks")
    }

    /// One of them.
    #[must_use]
    pub fn push_hook(&self, name: &str) -> String {
        self.to(&format!("push-hooks/{}", encode(name)))
    }

    /// Runs for past dates.
    #[must_use]
    pub fn backfills(&self) -> String {
        self.to("backfills")
    }

    /// A backfill, by its number.
    #[must_use]
    pub fn backfill(&self, number: i64) -> String {
        self.to(&format!("backfills/{number}"))
    }

    /// What starts pipelines when something else happens.
    #[must_use]
    pub fn triggers(&self) -> String {
        self.to("triggers")
    }

    /// All runs of pipelines.
    #[must_use]
    pub fn pipeline_runs(&self) -> String {
        self.to("pipeline-runs")
    }

    /// A run of a pipeline, by its number.
    #[must_use]
    pub fn pipeline_run(&self, number: i64) -> String {
        self.to(&format!("pipeline-runs/{number}"))
    }

    /// A version of a pipeline's file, as it was written.
    #[must_use]
    pub fn pipeline_source(&self, name: &str, version: i32) -> String {
        self.to(&format!("pipelines/{}/source?version={version}", encode(name)))
    }

    /// A step of a run, on the run's page.
    #[must_use]
    pub fn step(&self, run: i64, step: &str) -> String {
        format!("{}?step={}", self.pipeline_run(run), encode(step))
    }

    /// The log of a try of a step, as text. Below it, `/stream` sends what follows.
    #[must_use]
    pub fn step_log(&self, run: i64, step: &str, attempt: i32) -> String {
        self.to(&format!("api/v1/pipeline-runs/{run}/steps/{}/attempts/{attempt}/log", encode(step)))
    }

    /// What a step gave on, to download.
    #[must_use]
    pub fn step_output(&self, run: i64, step: &str, output: &str) -> String {
        self.to(&format!("api/v1/pipeline-runs/{run}/steps/{}/outputs/{}", encode(step), encode(output)))
    }

    /// The notebook of a try.
    #[must_use]
    pub fn step_notebook(&self, run: i64, step: &str, attempt: i32) -> String {
        self.to(&format!("pipeline-runs/{run}/steps/{}/attempts/{attempt}/notebook", encode(step)))
    }

    /// The executed notebook of a try, to download.
    #[must_use]
    pub fn step_notebook_content(&self, run: i64, step: &str, attempt: i32) -> String {
        self.to(&format!("api/v1/pipeline-runs/{run}/steps/{}/attempts/{attempt}/notebook/content", encode(step)))
    }

    /// All environments.
    #[must_use]
    pub fn environments(&self) -> String {
        self.to("environments")
    }

    /// An environment.
    #[must_use]
    pub fn environment(&self, name: &str) -> String {
        self.to(&format!("environments/{}", encode(name)))
    }

    /// When nothing is deployed, or only then.
    #[must_use]
    pub fn freezes(&self) -> String {
        self.to("freezes")
    }

    /// The teams.
    #[must_use]
    pub fn teams(&self) -> String {
        self.to("settings/teams")
    }

    /// The secrets.
    #[must_use]
    pub fn secrets(&self) -> String {
        self.to("settings/secrets")
    }

    /// One of them, for what is done with it.
    #[must_use]
    pub fn secret(&self, name: &str) -> String {
        self.to(&format!("settings/secrets/{}", encode(name)))
    }

    /// Who decides for whom.
    #[must_use]
    pub fn delegations(&self) -> String {
        self.to("settings/delegations")
    }

    /// What serves of a model in an environment.
    #[must_use]
    pub fn endpoint(&self, environment: &str, model: &str) -> String {
        self.to(&format!("environments/{}/models/{}", encode(environment), encode(model)))
    }

    /// What is watched of a model in an environment, and what its alerts start.
    #[must_use]
    pub fn monitor(&self, environment: &str, model: &str) -> String {
        format!("{}/monitor", self.endpoint(environment, model))
    }

    /// All deployments.
    #[must_use]
    pub fn deployments(&self) -> String {
        self.to("deployments")
    }

    /// A deployment, by its number.
    #[must_use]
    pub fn deployment(&self, number: i64) -> String {
        self.to(&format!("deployments/{number}"))
    }

    /// All alerts.
    #[must_use]
    pub fn alerts(&self) -> String {
        self.to("alerts")
    }

    /// An alert, by its number.
    #[must_use]
    pub fn alert(&self, number: i64) -> String {
        self.to(&format!("alerts/{number}"))
    }

    /// The page of an object that history names. Events keep the name people use: `churn v7`, `#87`; where a page is
    /// found by that name, it is read from there.
    #[must_use]
    pub fn object(&self, object: &Object) -> Option<String> {
        let number = || object.name.rsplit('#').next().and_then(|text| text.parse::<i64>().ok());
        match object.kind {
            ObjectKind::Workspace => Some(self.home()),
            ObjectKind::Experiment => Some(self.experiment(&object.id)),
            ObjectKind::Run => object.id.parse().ok().map(|id| self.run(&id)),
            ObjectKind::Model => Some(self.model(&object.name)),
            ObjectKind::ModelVersion => {
                let (model, version) = object.name.rsplit_once(" v")?;
                Some(self.version(model, version.parse().ok()?))
            }
            ObjectKind::Dataset => Some(self.dataset(&object.name)),
            ObjectKind::DatasetVersion => {
                let (dataset, version) = object.name.rsplit_once('@')?;
                Some(self.dataset_version(dataset, version.parse().ok()?))
            }
            ObjectKind::Pipeline => Some(self.pipeline(&object.name)),
            ObjectKind::PipelineRun => number().map(|number| self.pipeline_run(number)),
            ObjectKind::Environment => Some(self.environment(&object.name)),
            // Its name in the history ends with the revision: `production 3`.
            ObjectKind::Policy => {
                let (name, revision) = object.name.rsplit_once(' ')?;
                Some(format!("{}?revision={}", self.policy(name), revision.parse::<i32>().ok()?))
            }
            ObjectKind::Promotion => number().map(|number| self.promotion(number)),
            ObjectKind::Deployment => number().map(|number| self.deployment(number)),
            ObjectKind::Alert => number().map(|number| self.alert(number)),
            ObjectKind::ChangeRequest => number().map(|number| self.change_request(number)),
            ObjectKind::Freeze => Some(self.freezes()),
            ObjectKind::Schedule => Some(self.schedule(&object.name)),
            ObjectKind::PushHook => Some(self.push_hook(&object.name)),
            ObjectKind::Backfill => number().map(|number| self.backfill(number)),
            ObjectKind::Team => Some(self.teams()),
            ObjectKind::Secret => Some(self.secrets()),
            ObjectKind::LoggedModel
            | ObjectKind::User
            | ObjectKind::Token
            | ObjectKind::Monitor
            | ObjectKind::Trigger
            | ObjectKind::Webhook
            | ObjectKind::SecretKey
            | ObjectKind::Delegation
            | ObjectKind::AuditKey => None,
        }
    }
}

/// Where files themselves are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLinks {
    files: String,
    shown: String,
}

impl FileLinks {
    /// A file, to download.
    #[must_use]
    pub fn content(&self, path: &str) -> String {
        format!("{}/content?path={}", self.files, encode(path))
    }

    /// A folder with all that is in it, to download.
    #[must_use]
    pub fn archive(&self, folder: &str) -> String {
        match folder {
            "" => format!("{}.zip", self.files),
            folder => format!("{}.zip?path={}", self.files, encode(folder)),
        }
    }

    /// A picture or document, to be a part of a page.
    #[must_use]
    pub fn shown(&self, path: &str) -> String {
        format!("{}?path={}", self.shown, encode(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_addresses_are_encoded() {
        let links = Links::new("lab");
        assert_eq!(links.version("a/b c", 3), "/w/lab/models/a%2Fb%20c/versions/3");
        let run = domain::id::RunId::new();
        let file = format!("/w/lab/api/v1/runs/{}/artifacts/content?path=plots%2F50%25%20%26%20up.png", run.simple());
        assert_eq!(links.run_files(&run).content("plots/50% & up.png"), file);
    }

    #[test]
    fn history_leads_to_the_object_it_names() {
        let links = Links::new("lab");
        let to = |kind, name: &str| links.object(&Object::new(kind, "1", name));
        assert_eq!(to(ObjectKind::Promotion, "#87").as_deref(), Some("/w/lab/promotions/87"));
        assert_eq!(to(ObjectKind::PipelineRun, "train-wine #512").as_deref(), Some("/w/lab/pipeline-runs/512"));
        assert_eq!(to(ObjectKind::ModelVersion, "churn v7").as_deref(), Some("/w/lab/models/churn/versions/7"));
        assert_eq!(to(ObjectKind::Token, "laptop"), None);
    }
}
