//! The runs of an experiment: filter, order, columns, groups and the page of rows are all in the address.

use super::{
    Nothing,
    change::{Asked, Menu, Note, Subject},
    columns::{ChooseColumns, ColumnForm},
    groups::{ChooseGroup, GroupForm, GroupTable},
    selected::{Selected, SelectedDialogs},
    table::RunsTable,
};
use crate::{islands::LiveRegion, pages::files::prose, ui::prelude::*};
use domain::{
    audit::AuditEvent,
    experiment::{Champion, Experiment, LifecycleStage, NOTE_TAG},
    names::ExperimentName,
    preview::Block,
    run::RunStatus,
    run_table::{MAX_EXPORTED, RunAttribute, RunColumn, RunGroups, RunTable},
    values::{CLIENTS_TAGS, TagValue},
};
use leptos::prelude::*;

/// By how much a value differs from the champion's, and what that means; none where there is nothing to compare.
pub(in crate::pages) fn compare(champion: &Champion, key: &str, value: f64) -> Option<(f64, Meaning)> {
    let theirs = *champion.metrics.get(key)?;
    let better = champion.better.get(key).copied();
    (value.is_finite() && theirs.is_finite()).then(|| (value - theirs, Meaning::of(theirs, value, better)))
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct ExperimentPage {
    /// The experiment.
    pub experiment: Experiment,
    /// Its runs.
    pub shown: ShownRuns,
    /// The filter that left them, in the search language.
    pub filter: String,
    /// What they are held against.
    pub champion: Option<Champion>,
    /// How many metrics, params and tags a column could show.
    pub keys: i64,
    /// Those that are offered where nothing can be asked for while somebody types.
    pub usual: Vec<RunColumn>,
    /// What was typed to be a column and is none, and why.
    pub no_column: Option<(String, String)>,
    /// What people wrote about it.
    pub about: Vec<Block>,
    /// Whether the reader may change it and its runs.
    pub may_write: bool,
    /// What was typed to change it, and what is wrong with that.
    pub draft: Draft,
    /// What happened to it and its runs, latest first.
    pub events: Vec<AuditEvent>,
}

/// One by one, or in groups.
#[derive(Debug, Clone)]
pub enum ShownRuns {
    /// One page of them.
    Table(RunTable),
    /// What they share, and what they come to.
    Groups(RunGroups),
    /// Nothing: the filter or the order is wrong.
    Nothing,
}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongFilter {
    /// A sentence.
    pub message: String,
    /// Where: characters before that place, if it is one.
    pub at: Option<usize>,
}

/// The runs of an experiment.
#[component]
pub fn Runs(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen: `q`, `sort`, `col` and `pin` for columns, `curve` for the metric that is drawn,
    /// `group` and `order` for groups, `view`, `page_token`; `edit` is `note` where that is written.
    address: Address,
    /// What it shows.
    page: ExperimentPage,
    /// What is wrong with the filter or the order.
    #[prop(optional_no_strip)]
    error: Option<WrongFilter>,
) -> impl IntoView {
    let experiment = page.experiment.clone();
    let (total, running) = match &page.shown {
        ShownRuns::Table(table) => {
            let running = table.rows.iter().filter(|row| row.info.status == RunStatus::Running).count();
            (Some(table.total), running)
        }
        ShownRuns::Groups(_) | ShownRuns::Nothing => (None, 0),
    };
    let put_away = experiment.lifecycle_stage == LifecycleStage::Deleted;
    // Its runs are put away with it.
    let of_deleted = put_away || address.get("view") == Some("deleted");
    let is_new = total == Some(0) && error.is_none() && !of_deleted;
    let events = links.events(&[format!("experiment:{}", experiment.id)]);
    let subject = subject(&address, &page);
    let note = (!page.about.is_empty()).then(|| prose::alone(page.about.clone()));
    let shown_tags: Vec<String> = experiment
        .tags
        .iter()
        .filter(|(key, _)| !key.starts_with(CLIENTS_TAGS))
        .take(4)
        .map(|(key, value)| format!("{key}={}", value.chars().take(60).collect::<String>()))
        .collect();
    let meta = view! {
        {total.filter(|_| !of_deleted).map(|total| view! { <span>{format::count(total, "run", "runs")}</span> })}
        {(running > 0).then(|| view! { <span><StateMark state=State::Running word=format!("{running} running")/></span> })}
        {page
            .champion
            .as_ref()
            .map(|champion| {
                let name = format!("{} v{}", champion.model, champion.version);
                view! {
                    <span>
                        <Icon symbol=Symbol::Star/>
                        "In production: "
                        <a href=links.version(&champion.model, champion.version)>{name}</a>
                    </span>
                }
            })}
        {(!shown_tags.is_empty())
            .then(|| {
                view! { <span>{shown_tags.into_iter().map(|text| view! { <Tag text mono=true/> }).collect_view()}</span> }
            })}
    };
    // Runs are restored with their experiment, and not alone.
    let page = ExperimentPage { may_write: page.may_write && !put_away, ..page };
    let back = links.experiments();
    let history = page.events.clone();
    let command = format!("mlflow.set_experiment(\"{}\")", experiment.name.replace('"', "\\\""));
    let deleted = address.with("view", "deleted").href();
    let body = if is_new {
        view! {
            <Panel title="Runs" id="runs">
                <Empty
                    symbol=Symbol::Flask
                    title="No run is logged in this experiment yet"
                    text="Name it before you train; everything else stays as it is."
                    command
                >
                    <ButtonLink text="Deleted runs" href=deleted/>
                </Empty>
            </Panel>
        }
        .into_any()
    } else {
        view! { <Body links=links.clone() address page error of_deleted/> }.into_any()
    };
    view! {
        <Crumbs items=vec![Crumb::to("Experiments", back), Crumb::here(experiment.name.clone())]/>
        <PageHead
            title=experiment.name.clone().into_any()
            badge=put_away.then(|| view! { <Badge state=State::Cancelled word="Deleted"/> }).into_any()
            actions=view! { <Menu subject=subject.clone()/> }.into_any()
            meta=meta.into_any()
            live=true
        />
        <Asked
            subject=subject.clone()
            lost="All its runs are put away with it, and MLflow's clients do not find them any more. All of it can be restored here, and its name stays taken. Versions that were registered from its runs stay as they are."
        />
        <div class="mt-4 experiment-note"><Note subject text=note most=TagValue::MAX_EXPERIMENT scrolls=true/></div>
        // Points that are logged are not announced one by one: while something runs, one looks again.
        <div class="mt-4" id="runs-page" data-live="" data-look-again=(running > 0).then_some("")>{body}</div>
        <div class="mt-4"><Happened events=history links=links.clone()/></div>
        <LiveRegion events/>
    }
}

/// The experiment as its forms change it.
fn subject(address: &Address, page: &ExperimentPage) -> Subject {
    let experiment = &page.experiment;
    Subject {
        noun: "experiment",
        name: experiment.name.clone(),
        field: ("new_name", ExperimentName::MAX),
        note: experiment.tags.get(NOTE_TAG).cloned().unwrap_or_default(),
        here: address.clone(),
        writing: address.with("edit", "note"),
        may_write: page.may_write,
        is_deleted: experiment.lifecycle_stage == LifecycleStage::Deleted,
        draft: page.draft.clone(),
    }
}

/// The metric that the champion is compared by: the first shown one that a gate says the better way of.
fn compared(columns: &[RunColumn], champion: &Champion) -> Option<String> {
    columns.iter().find_map(|column| match column {
        RunColumn::Metric(key) if champion.better.contains_key(key) && champion.metrics.contains_key(key) => {
            Some(key.clone())
        }
        _ => None,
    })
}

#[component]
fn Body(
    links: Links,
    address: Address,
    page: ExperimentPage,
    error: Option<WrongFilter>,
    of_deleted: bool,
) -> impl IntoView {
    let id = page.experiment.id;
    let api = links.to(&format!("api/v1/experiments/{id}"));
    let put_away = page.experiment.lifecycle_stage == LifecycleStage::Deleted;
    let is_filtered = address.get("q").is_some();
    let grouped = match &page.shown {
        ShownRuns::Groups(groups) => Some(groups.by.clone()),
        ShownRuns::Table(_) | ShownRuns::Nothing => None,
    };
    let (columns, filtered) = match &page.shown {
        ShownRuns::Table(table) => (table.columns.clone(), table.filtered),
        ShownRuns::Groups(groups) => (groups.metrics.iter().cloned().map(RunColumn::Metric).collect(), groups.runs),
        ShownRuns::Nothing => (Vec::new(), 0),
    };
    let delta = page.champion.as_ref().and_then(|champion| compared(&columns, champion));
    let note = match (&page.shown, &delta, &page.champion) {
        (ShownRuns::Table(_), Some(key), Some(champion)) => {
            Some(format!("Δ is {key} against {} v{}", champion.model, champion.version))
        }
        _ => None,
    };
    let counted = match &page.shown {
        ShownRuns::Table(table) if is_filtered => {
            format!(" of {}", format::count(table.total, "run", "runs"))
        }
        ShownRuns::Groups(groups) => {
            format!(
                " {} in {}",
                if groups.runs == 1 { "run" } else { "runs" },
                format::count(groups.all, "group", "groups")
            )
        }
        ShownRuns::Table(_) => " runs".to_owned(),
        ShownRuns::Nothing => String::new(),
    };
    let order = match &page.shown {
        ShownRuns::Table(_) => {
            let sort = Sort::parse(address.get("sort").unwrap_or("-start_time"));
            match sort.key.as_str() {
                "start_time" => format!("Sorted by start, {} first", if sort.descending { "newest" } else { "oldest" }),
                key => format!("Sorted by {key}, {} first", if sort.descending { "largest" } else { "smallest" }),
            }
        }
        ShownRuns::Groups(groups) => format!("Grouped by {}", groups.by),
        ShownRuns::Nothing => String::new(),
    };
    let is_wrong = matches!(page.shown, ShownRuns::Nothing);
    let filter_address = address.clone();
    let no_column = page.no_column.clone();
    let usual = page.usual.clone();
    let keys = page.keys;
    let in_use = address.without("view").href();
    let body = match page.shown.clone() {
        ShownRuns::Groups(groups) if !groups.groups.is_empty() => {
            view! { <GroupTable links=links.clone() address=address.clone() groups champion=page.champion.clone()/> }
                .into_any()
        }
        ShownRuns::Table(table) if !table.rows.is_empty() => {
            let (shown, next) = (table.rows.len(), table.next_page_token.clone());
            view! {
                <form method="post" action=links.to(&format!("experiments/{id}/selected")) id="runs-form">
                    <input type="hidden" name="back" value=address.query()/>
                    <RunsTable links=links.clone() address=address.clone() table champion=page.champion.clone() delta/>
                    <Selected may_write=page.may_write of_deleted/>
                </form>
                <Pager address=address.clone() shown total=filtered next one="run" many="runs" keys=true selects=true/>
                {page
                    .may_write
                    .then(|| view! { <SelectedDialogs action=links.to(&format!("experiments/{id}/runs")) address=address.clone() of_deleted/> })}
            }
            .into_any()
        }
        ShownRuns::Nothing => ().into_any(),
        _ if put_away && !is_filtered => view! {
            <div class="panel">
                <Empty symbol=Symbol::Flask title="It has no runs" text="None was logged before it was deleted."/>
            </div>
        }
        .into_any(),
        _ if of_deleted && !is_filtered => view! {
            <div class="panel">
                <Empty
                    symbol=Symbol::Flask
                    title="No run of this experiment is deleted"
                    text="What is deleted stays here, and can be restored."
                >
                    <ButtonLink text="Runs in use" href=in_use/>
                </Empty>
            </div>
        }
        .into_any(),
        _ => view! { <Nothing address=address.clone()/> }.into_any(),
    };
    let (wrong, wrong_at) = error.map_or((None, None), |error| (Some(error.message), error.at));
    let group = view! {
        <ChooseGroup
            address=address.clone()
            grouped=grouped.clone()
            usual=usual.clone()
            search=format!("{api}/columns?grouping=true")
        />
    };
    let (chooser, column_form) = match grouped.is_none() && !is_wrong {
        true => {
            let chooser = view! {
                <ChooseColumns
                    address=address.clone()
                    columns=columns.clone()
                    keys
                    usual
                    no_column
                    search=format!("{api}/columns")
                />
                <Export address=address.clone() filter=page.filter.clone() columns=columns.clone() keys action=format!("{api}/runs/export")/>
            };
            (chooser.into_any(), view! { <ColumnForm address=address.clone() columns/> }.into_any())
        }
        false => (().into_any(), ().into_any()),
    };
    view! {
        <FilterBar
            label="Filter runs"
            address=filter_address.clone()
            placeholder="metrics.f1 > 0.3 and params.model = 'hgb'"
            error=wrong
            error_at=wrong_at
            completions=format!("{api}/filter-completions")
        >
            {group}
            {chooser}
        </FilterBar>
        <GroupForm address/>
        {column_form}
        <p class="filter-note">
            {(!is_wrong)
                .then(|| {
                    view! {
                        <span><b>{format::integer(filtered)}</b>{counted}</span>
                        <span>{order}</span>
                    }
                })}
            {note.map(|note| view! { <span>{note}</span> })}
            {is_filtered.then(|| view! { <a href=filter_address.without("q").href()>"Clear filter"</a> })}
            {grouped
                .is_some()
                .then(|| view! { <a href=filter_address.without("group").without("order").href()>"Ungroup"</a> })}
            {(!put_away)
                .then(|| {
                    if of_deleted {
                        view! { <a href=filter_address.without("view").href()>"Runs in use"</a> }
                    } else {
                        view! { <a href=filter_address.with("view", "deleted").href()>"Deleted runs"</a> }
                    }
                })}
        </p>
        {body}
    }
}

/// The most keys whose columns all go into a file, beside the attributes.
const MOST_EXPORTED: i64 = MAX_EXPORTED as i64 - RunAttribute::ALL.len() as i64;

/// The runs that the filter leaves, as a file.
#[component]
fn Export(address: Address, filter: String, columns: Vec<RunColumn>, keys: i64, action: String) -> impl IntoView {
    let link = |format: &'static str, all: bool| {
        let mut pairs = vec![("format".to_owned(), format.to_owned())];
        pairs.extend(Some(("filter".to_owned(), filter.clone())).filter(|(_, filter)| !filter.is_empty()));
        for name in ["sort", "view"] {
            pairs.extend(address.get(name).map(|value| (name.to_owned(), value.to_owned())));
        }
        if !all {
            pairs.extend(columns.iter().map(|column| ("col".to_owned(), column.to_string())));
        }
        Address::new(action.clone(), pairs).href()
    };
    view! {
        <details class="more">
            <summary class="btn"><Icon symbol=Symbol::File/>"Export"</summary>
            <div class="menu">
                <p class="label">"Shown columns"</p>
                <a href=link("csv", false) download="">"CSV"</a>
                <a href=link("parquet", false) download="">"Parquet"</a>
                <p class="label">"All columns"</p>
                {if keys > MOST_EXPORTED {
                    view! { <p class="who">{format!("{} are more than a file has; choose the ones you need.", format::integer(keys))}</p> }
                        .into_any()
                } else {
                    view! {
                        <a href=link("csv", true) download="">"CSV"</a>
                        <a href=link("parquet", true) download="">"Parquet"</a>
                    }
                        .into_any()
                }}
            </div>
        </details>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};

    fn page(query: &[(&str, &str)], page: ExperimentPage, error: Option<WrongFilter>) -> String {
        let pairs: Vec<(String, String)> = query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        fragment(move || {
            let address = Address::new("/w/lab/experiments/1", pairs);
            view! { <Runs links=Links::new("lab") address page error/> }
        })
    }

    #[test]
    fn a_run_stands_beside_the_champion_by_the_metric_of_its_gate() {
        let html = page(&[], samples::runs(), None);
        assert!(html.contains("Δ is f1_macro against wine-quality v12"), "{html}");
        assert!(html.contains(r#"<span data-d="better" class="delta">+0.036"#), "{html}");
        assert!(html.contains(r#"<span class="nan">NaN</span>"#), "{html}");
    }

    #[test]
    fn an_experiment_is_changed_where_it_is_shown_by_who_may() {
        let menu = r#"href="/w/lab/experiments/1?sort=status&amp;edit=note""#;
        let html = page(&[("sort", "status")], samples::runs(), None);
        assert!(html.contains(menu) && html.contains(r#"name="new_name""#), "{html}");
        let html = page(&[("edit", "note")], samples::runs(), None);
        assert!(html.contains("Save note"), "{html}");
        let reader = ExperimentPage { may_write: false, ..samples::runs() };
        let html = page(&[("edit", "note")], reader, None);
        assert!(!html.contains("Save note") && !html.contains(r#"name="new_name""#), "{html}");
    }

    #[test]
    fn a_deleted_experiment_says_so_and_its_runs_wait_for_it() {
        let mut deleted = samples::runs();
        deleted.experiment.lifecycle_stage = LifecycleStage::Deleted;
        let html = page(&[], deleted, None);
        assert!(html.contains("This experiment is deleted") && html.contains("Restore experiment"), "{html}");
        for part in [r#"name="new_name""#, r#"value="restore">Restore<"#, "delete-runs", "Deleted runs", "Runs in use"]
        {
            assert!(!html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn an_order_and_a_choice_of_columns_survive_a_new_filter() {
        let html = page(
            &[
                ("q", "metrics.f1_macro > 0.4"),
                ("sort", "-metrics.f1_macro"),
                ("col", "metrics.loss"),
                ("col", "tags.a"),
            ],
            samples::runs(),
            None,
        );
        for (name, value) in [("sort", "-metrics.f1_macro"), ("col", "metrics.loss"), ("col", "tags.a")] {
            let field = format!(r#"type="hidden" name="{name}" value="{value}""#);
            assert!(html.contains(&field), "{field} in {html}");
        }
        assert!(html.contains(r#"aria-sort="descending""#), "{html}");
    }

    #[test]
    fn a_wrong_filter_says_why_and_where_and_stays() {
        let wrong = WrongFilter { message: "A value is expected.".into(), at: Some(11) };
        let mut runs = samples::runs();
        runs.shown = ShownRuns::Nothing;
        let html = page(&[("q", "metrics.f1 ==")], runs, Some(wrong));
        assert!(html.contains("A value is expected.") && html.contains("metrics.f1 ==\n           ^"), "{html}");
    }

    #[test]
    fn readers_are_not_offered_to_change_runs() {
        let mut runs = samples::runs();
        runs.may_write = false;
        let html = page(&[], runs, None);
        assert!(!html.contains("delete-runs") && !html.contains("tag-runs") && html.contains("Compare"), "{html}");
    }

    #[test]
    fn pinned_columns_stand_before_the_others() {
        let html = page(&[("pin", "metrics.p99_ms")], samples::runs(), None);
        let heads = html.split("<thead>").nth(1).unwrap();
        let at = |text: &str| heads.find(text).unwrap_or_else(|| panic!("{text} in {heads}"));
        assert!(at(r#"title="metrics.p99_ms""#) < at(r#"title="status""#), "{heads}");
    }

    #[test]
    fn deleted_runs_are_restored_and_not_tagged() {
        let html = page(&[("view", "deleted")], samples::runs(), None);
        assert!(html.contains(r#"value="restore""#) && !html.contains("tag-runs"), "{html}");
    }

    #[test]
    fn a_group_leads_to_its_runs_and_its_best_to_the_run() {
        let mut shown = samples::runs();
        let groups = samples::run_groups();
        let best = groups.groups[0].metrics["f1_macro"].max_run;
        shown.shown = ShownRuns::Groups(groups);
        let html = page(&[("group", "params.model"), ("q", "metrics.f1_macro > 0.1")], shown, None);
        assert!(html.contains("/w/lab/experiments/1?q=params.model%20%3D%20%27hgb%27\""), "{html}");
        assert!(html.contains(&format!("/w/lab/runs/{}", best.simple())), "{html}");
        assert!(html.contains("Grouped by params.model"), "{html}");
    }
}
