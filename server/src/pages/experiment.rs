//! The pages of experiments.

use super::{Form, PageResult, View, chosen::Chosen};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::experiment::{ExperimentPage, List, Runs},
    shell::Section,
    ui::query::Sort,
};
use axum::http::Method;
use domain::{
    Error, ErrorKind, Page,
    audit::ObjectKind,
    experiment::ViewType,
    id::{ExperimentId, RunId},
    permission::Permission,
    run::RunTable,
};
use leptos::prelude::*;
use services::{ExperimentSearch, RunTableSearch};
use std::collections::BTreeSet;

const SECTION: Option<Section> = Some(Section::Experiments);
/// How many experiments or runs a page shows.
const ROWS: usize = 50;
/// How many events the page of one shows.
const EVENTS: usize = 10;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes.page(Method::GET, "/experiments", read, list).page(Method::GET, "/experiments/{id}", read, show).page(
        Method::POST,
        "/experiments/{id}/runs",
        Access::Needs(Permission::WriteTracking),
        delete_runs,
    )
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let filter = plain_or_filter(chosen.get("q").unwrap_or_default(), "name");
    let sort = Sort::parse(chosen.get("sort").unwrap_or("-updated"));
    let order = match sort.key.as_str() {
        "name" => "name",
        "created" => "creation_time",
        _ => "last_update_time",
    };
    let order = [format!("{order} {}", if sort.descending { "DESC" } else { "ASC" })];
    let search = ExperimentSearch {
        view: ViewType::ActiveOnly,
        filter: &filter,
        order: &order,
        page_token: chosen.get("page_token"),
        limit: ROWS,
    };
    let (page, error) = shown(view.services().experiment_summaries(ctx, &search).await, || Page {
        items: Vec::new(),
        next_page_token: None,
    })?;
    let (links, address) = (view.links.clone(), chosen.address(view.links.experiments()));
    let tracking_uri = format!("{}{}", view.public_url(), view.links.home());
    let (experiments, next) = (page.items, page.next_page_token);
    view.page("Experiments", SECTION, move || {
        view! { <List links address experiments next tracking_uri error/> }
    })
    .await
}

/// A word alone is looked for in the names, which the search language calls so; anything else is a filter.
pub(super) fn plain_or_filter(text: &str, name: &str) -> String {
    let is_word = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' '));
    let is_filter = [" like ", " ilike ", " is ", " in "].iter().any(|word| text.to_lowercase().contains(word));
    if is_word && !is_filter { format!("{name} ILIKE '%{text}%'") } else { text.to_owned() }
}

/// What was found, or nothing and what is wrong with what was typed: a person sees at once how to mend it.
fn shown<T>(found: Result<T, Error>, nothing: impl FnOnce() -> T) -> Result<(T, Option<String>), Error> {
    match found {
        Ok(found) => Ok((found, None)),
        Err(error) if error.kind == ErrorKind::Invalid => Ok((nothing(), Some(error.message))),
        Err(error) => Err(error),
    }
}

async fn show(view: View, Path(id): Path<ExperimentId>, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let experiment = services.experiment(ctx, id).await?;
    let sort = Sort::parse(chosen.get("sort").unwrap_or("-started"));
    let direction = if sort.descending { "DESC" } else { "ASC" };
    let order = [format!("{} {direction}", order_key(&sort.key))];
    let columns =
        |name: &str| Some(chosen.all(name).map(ToOwned::to_owned).collect::<Vec<_>>()).filter(|keys| !keys.is_empty());
    let filter = plain_or_filter(chosen.get("q").unwrap_or_default(), "attributes.run_name");
    let search = RunTableSearch {
        experiment_id: id,
        filter: &filter,
        order: &order,
        metric_keys: columns("metric"),
        param_keys: columns("param"),
        page_token: chosen.get("page_token"),
        limit: ROWS,
    };
    let nothing = || RunTable {
        rows: Vec::new(),
        metric_keys: Vec::new(),
        param_keys: Vec::new(),
        total: 1,
        filtered: 0,
        next_page_token: None,
    };
    let (table, error) = shown(services.run_table(ctx, &search).await, nothing)?;
    let (all_metrics, all_params) = services.run_columns(ctx, id).await?;
    let page = ExperimentPage {
        events: view.history(ObjectKind::Experiment, experiment.id, EVENTS).await?,
        champion: services.champion(ctx, experiment.id).await?,
        experiment,
        table,
        all_metrics,
        all_params,
        may_write: ctx.may(Permission::WriteTracking),
    };
    let (links, address) = (view.links.clone(), chosen.address(view.links.experiment(id)));
    view.page(page.experiment.name.clone(), SECTION, move || view! { <Runs links address page error/> }).await
}

/// The name of a column in the address, in the search language.
fn order_key(key: &str) -> String {
    match key.split_once('.') {
        Some((sort @ ("metrics" | "params"), name)) => format!("{sort}.`{}`", name.replace('`', "")),
        _ if key == "name" => "attributes.run_name".to_owned(),
        _ => "attributes.start_time".to_owned(),
    }
}

async fn delete_runs(view: View, Path(id): Path<ExperimentId>, form: Form) -> PageResult {
    let runs: Result<BTreeSet<RunId>, _> = form.all("run").map(str::parse).collect();
    let runs = runs.map_err(|_| Error::invalid("The form names something that is no run."))?;
    let notice = match view.services().delete_runs(view.ctx()?, id, &runs).await? {
        0 if runs.is_empty() => "No run was selected.".to_owned(),
        0 => "Nothing changed: they were deleted before.".to_owned(),
        1 => "1 run is deleted.".to_owned(),
        many => format!("{many} runs are deleted."),
    };
    view.done(&view.links.experiment(id), notice).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_alone_is_looked_for_in_names() {
        assert_eq!(plain_or_filter("wine", "name"), "name ILIKE '%wine%'");
        assert_eq!(plain_or_filter("name = 'wine'", "name"), "name = 'wine'");
        assert_eq!(plain_or_filter("", "name"), "");
    }

    #[test]
    fn a_column_with_odd_characters_is_quoted() {
        assert_eq!(order_key("metrics.val/f1 macro"), "metrics.`val/f1 macro`");
        assert_eq!(order_key("started"), "attributes.start_time");
    }
}
