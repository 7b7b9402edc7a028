//! The pages of pipelines: all of them, one with its runs, its file, and the forms that start and store it.

use super::{Form, PageError, PageResult, View, chosen::Chosen, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::pipeline::{Edit, File, FilePage, List, Pipeline, PipelinePage, VersionChanges, example},
    shell::Section,
    ui::field::Draft,
};
use axum::{
    http::{Method, header},
    response::IntoResponse,
};
use domain::{
    Digest, Error, ErrorKind,
    audit::ObjectKind,
    id::PipelineRunId,
    permission::Permission,
    pipeline::{PipelineSpec, PipelineVersion, Problem},
    pipeline_run::{Concurrency, PipelineRunState},
    text_diff::TextDiff,
};
use leptos::prelude::*;
use services::{NewRun, PipelineFile, RunFilter, ScheduleFilter};
use std::collections::BTreeMap;

const SECTION: Option<Section> = Some(Section::Pipelines);
/// How many notebooks of a version are compared with those of another.
const MOST_NOTEBOOKS: usize = 20;
/// How many pipelines, runs or versions a page shows.
const ROWS: usize = 50;
/// How many events the page of one shows.
const EVENTS: usize = 10;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let (write, run) = (Access::Needs(Permission::WritePipelines), Access::Needs(Permission::RunPipelines));
    routes
        .page(Method::GET, "/pipelines", read, list)
        .page(Method::GET, "/pipelines/new", write, show_new)
        .page(Method::POST, "/pipelines/new", write, create)
        .page(Method::GET, "/pipelines/{name}", read, show)
        .page(Method::POST, "/pipelines/{name}/runs", run, start)
        .page(Method::POST, "/pipelines/{name}/settings", write, set_limit)
        .page(Method::GET, "/pipelines/{name}/file", read, file)
        .page(Method::GET, "/pipelines/{name}/source", read, source)
        .page(Method::GET, "/pipelines/{name}/edit", write, show_edit)
        .page(Method::POST, "/pipelines/{name}/edit", write, edit)
}

/// The number of a version in the address; none for the one that runs.
fn version(chosen: &Chosen) -> Result<Option<i32>, Error> {
    chosen.get("version").map(number_of_version).transpose()
}

fn number_of_version(text: &str) -> Result<i32, Error> {
    text.parse().map_err(|_| Error::new(ErrorKind::NotFound, "A version is named by its number."))
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let pipelines = view.services().pipelines(ctx, chosen.get("page_token"), ROWS).await?;
    let (workspace_id, may_write) = (ctx.workspace_id(), ctx.may(Permission::WritePipelines));
    let links = view.links.clone();
    let base = format!("{}{}", view.public_url(), links.home());
    let address = chosen.address(links.pipelines());
    view.page("Pipelines", SECTION, move || {
        view! { <List links address pipelines base may_write workspace_id/> }
    })
    .await
}

async fn show(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    let draft = match chosen.get("from").and_then(|number| number.parse().ok()) {
        Some(number) => given(&view, &name, number).await?,
        None => Draft::default(),
    };
    pipeline_page(view, &name, chosen, draft, None).await
}

/// The params of an earlier run, for the form to begin with.
async fn given(view: &View, name: &str, number: i64) -> Result<Draft, Error> {
    let run = view.services().pipeline_run(view.ctx()?, number).await?.run;
    if run.pipeline_name != name {
        return Ok(Draft::default());
    }
    let params = run.params.iter().map(|(name, value)| (format!("params.{name}"), value.to_string()));
    Ok(Draft::of(params.chain([("from".to_owned(), number.to_string())])))
}

async fn pipeline_page(view: View, name: &str, chosen: Chosen, draft: Draft, refused: Option<Error>) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let unknown = || Error::invalid("There is no such state.");
    let state = chosen.get("state").map(|name| PipelineRunState::parse(name).ok_or_else(unknown)).transpose()?;
    let filter = RunFilter { pipeline: Some(name.to_owned()), state, ..RunFilter::default() };
    let mut triggers = services.triggers(ctx).await?;
    triggers.retain(|trigger| trigger.pipeline == name);
    let summary = services.pipeline(ctx, name).await?;
    let of_this = ScheduleFilter { pipeline: Some(name.to_owned()), enabled: None };
    let page = PipelinePage {
        events: view.history(ObjectKind::Pipeline, summary.pipeline.id, EVENTS).await?,
        summary,
        version: services.pipeline_version(ctx, name, version(&chosen)?).await?,
        runs: services.pipeline_runs(ctx, &filter, chosen.get("page_token"), ROWS).await?,
        triggers,
        push_hooks: services.push_hooks(ctx, Some(name), None, ROWS).await?.items,
        schedules: services.schedules(ctx, &of_this, None, ROWS).await?.items,
        concurrency: services.concurrency(ctx, name).await?,
        key: PipelineRunId::new().to_string(),
        may_write: ctx.may(Permission::WritePipelines),
        may_run: ctx.may(Permission::RunPipelines),
    };
    let links = view.links.clone();
    let address = chosen.address(links.pipeline(name)).dropping(&["from", "version"]);
    let title = name.to_owned();
    match refused {
        None => view.page(title, SECTION, move || view! { <Pipeline links address page draft/> }).await,
        Some(error) => {
            view.refused(&error, title, SECTION, move || view! { <Pipeline links address page draft/> }).await
        }
    }
}

async fn start(view: View, Path(name): Path<String>, form: Form) -> PageResult {
    let started = async {
        let ctx = view.ctx()?;
        let unknown =
            |_| Error::invalid("A version is named by its number. The form below is of the one that runs now.");
        let number = Some(form.text("version")).filter(|number| !number.is_empty());
        let number = number.map(|number| number.parse::<i32>().map_err(unknown)).transpose()?;
        let version = view.services().pipeline_version(ctx, &name, number).await?;
        let params = form.params(version.spec.params.keys());
        let new = NewRun {
            pipeline: name.clone(),
            version: Some(version.number),
            no_cache: form.text("no_cache") == "true",
            code: None,
            idempotency_key: key(form.text("key"), &params),
            params,
        };
        view.services().start_pipeline_run(ctx, new).await
    };
    match started.await {
        Ok(started) => {
            let notice = if started.is_new { "Started." } else { "It was started already." };
            view.done(&view.links.pipeline_run(started.run.number), notice).await
        }
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = form.refused(&error);
            // The form of the version that it was the form of, where that is one.
            let asked = form.text("version").to_owned();
            let chosen = match asked.parse::<i32>() {
                Ok(_) => Chosen::of([("version", asked.as_str())]),
                Err(_) => Chosen::default(),
            };
            pipeline_page(view, &name, chosen, draft, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn set_limit(view: View, Path(name): Path<String>, form: Form) -> PageResult {
    view.services().pipeline(view.ctx()?, &name).await?;
    let set = async {
        let limit = match form.text("policy") {
            "" => None,
            _ => {
                let whole = |_| Error::invalid_field("limit", "Give a whole number, from 1 to 1000.");
                Some(Concurrency { policy: form.parse("policy")?, limit: form.text("limit").parse().map_err(whole)? })
            }
        };
        view.services().set_concurrency(view.ctx()?, &name, limit).await
    };
    match set.await {
        Ok(()) => view.done(&view.links.pipeline(&name), "The limit holds from now on.").await,
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            pipeline_page(view, &name, Chosen::default(), draft, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The form's key with its params: pressed twice it starts one run, and gone back to and changed it starts another.
fn key(form: &str, params: &BTreeMap<String, serde_json::Value>) -> Option<String> {
    let digest = Digest::of_json(params).ok()?;
    (!form.is_empty()).then(|| format!("{form}:{}", digest.short()))
}

async fn file(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let latest = services.pipeline_version(ctx, &name, None).await?;
    let version = match version(&chosen)? {
        Some(number) if number != latest.number => services.pipeline_version(ctx, &name, Some(number)).await?,
        _ => latest.clone(),
    };
    let changes = match chosen.get("against") {
        Some(number) => Some(changes(&view, &version, number).await?),
        None => None,
    };
    let page = FilePage {
        version,
        latest: latest.number,
        versions: services.pipeline_versions(ctx, &name, chosen.get("page_token"), ROWS).await?,
        changes,
        may_write: ctx.may(Permission::WritePipelines),
        may_run: ctx.may(Permission::RunPipelines),
    };
    let links = view.links.clone();
    let address = chosen.address(format!("{}/file", links.pipeline(&name)));
    let title = format!("{name}, version {}", page.version.number);
    view.page(title, SECTION, move || view! { <File links address page/> }).await
}

/// What is different from another version to this one.
async fn changes(view: &View, version: &PipelineVersion, against: &str) -> Result<VersionChanges, PageError> {
    let (ctx, services) = (view.ctx()?, view.services());
    let number = number_of_version(against)?;
    let before = services.pipeline_version(ctx, &version.spec.name, Some(number)).await?;
    let is_other = |(path, text): &(&String, &String)| {
        path.ends_with(".ipynb") && before.spec.files.get(*path).is_some_and(|other| other != *text)
    };
    let mut notebooks = Vec::new();
    for (path, text) in version.spec.files.iter().filter(is_other).take(MOST_NOTEBOOKS) {
        let was = before.spec.files.get(path).cloned().unwrap_or_default();
        let diff = services::compare_notebooks(was.into(), text.clone().into()).await;
        notebooks.push((path.to_owned(), diff.map_err(|error| error.message)));
    }
    let (one, other) = (before.source, version.source.clone());
    let text = services::blocking(move || TextDiff::of(&one, &other)).await?;
    Ok(VersionChanges { before: number, text, notebooks })
}

/// The file as it was written.
async fn source(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    let version = view.services().pipeline_version(view.ctx()?, &name, version(&chosen)?).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], version.source).into_response())
}

async fn show_new(view: View) -> PageResult {
    edit_page(view, None, Draft::of([("source", example())]), Vec::new(), None).await
}

async fn show_edit(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    let version = view.services().pipeline_version(view.ctx()?, &name, version(&chosen)?).await?;
    edit_page(view, Some(name), Draft::of([("source", version.source)]), Vec::new(), None).await
}

async fn edit_page(
    view: View,
    name: Option<String>,
    draft: Draft,
    problems: Vec<Problem>,
    refused: Option<Error>,
) -> PageResult {
    let newest = match &name {
        Some(name) => Some(view.services().pipeline_version(view.ctx()?, name, None).await?.number),
        None => None,
    };
    let links = view.links.clone();
    let title = name.as_ref().map_or_else(|| "New pipeline".to_owned(), |name| format!("Edit {name}"));
    match refused {
        None => view.page(title, SECTION, move || view! { <Edit links name newest draft/> }).await,
        Some(error) => {
            view.refused(&error, title, SECTION, move || view! { <Edit links name newest draft problems/> }).await
        }
    }
}

async fn create(view: View, form: Form) -> PageResult {
    store(view, None, form).await
}

async fn edit(view: View, Path(name): Path<String>, form: Form) -> PageResult {
    view.services().pipeline(view.ctx()?, &name).await?;
    store(view, Some(name), form).await
}

async fn store(view: View, name: Option<String>, form: Form) -> PageResult {
    // Browsers send line ends as the wire wants them; the file has those of the place where it lives.
    let source = form.lines("source");
    let seen = form.seen();
    let draft = |is_stale: bool| {
        let seen = seen.clone().filter(|_| !is_stale).map(|seen| ("instead_of", seen));
        Draft::of([("source", source.clone())].into_iter().chain(seen))
    };
    let file = match PipelineFile::read(source.clone()) {
        Ok(file) => file,
        Err(problems) => {
            let error = Error::from(problems.clone());
            return edit_page(view, name, draft(false), problems.0, Some(error)).await;
        }
    };
    let stored = async {
        agrees(name.as_deref(), file.spec())?;
        let unknown = |_| Error::invalid("The form does not say which version you looked at. Open it again.");
        let seen = seen.as_deref().map(|seen| seen.parse::<i32>().map_err(unknown)).transpose()?;
        view.services().store_pipeline(view.ctx()?, file, seen).await
    };
    match stored.await {
        Ok(stored) => {
            let number = stored.version.number;
            let notice = match (stored.is_new, number) {
                (true, 1) => "The pipeline is stored.".to_owned(),
                (true, _) => format!("Version {number} is stored, and runs from now on."),
                (false, _) => format!("The file says the same as version {number}, which runs from now on."),
            };
            view.done(&view.links.pipeline(&stored.pipeline.name), notice).await
        }
        Err(error) if can_mend(&error) => {
            let draft = draft(error.kind == ErrorKind::Conflict).refused(&error);
            edit_page(view, name, draft, Vec::new(), Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// A file that is edited as one pipeline's must not become another's.
fn agrees(name: Option<&str>, spec: &PipelineSpec) -> Result<(), Error> {
    match name {
        Some(name) if name != spec.name => Err(Error::invalid_field(
            "source",
            format!(
                "The file is named \"{}\", and this is \"{name}\". Keep the name, or store it as a new pipeline.",
                spec.name
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_form_that_was_changed_starts_another_run() {
        let params = |rate: &str| BTreeMap::from([("rate".to_owned(), json!(rate))]);
        assert_eq!(key("k", &params("0.1")), key("k", &params("0.1")));
        assert_ne!(key("k", &params("0.1")), key("k", &params("0.2")));
        assert_eq!(key("", &params("0.1")), None);
    }
}
