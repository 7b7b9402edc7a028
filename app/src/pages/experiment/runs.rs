//! The runs of an experiment: filter, order, columns and the page of rows are all in the address.

use super::Nothing;
use crate::{islands::LiveRegion, pages::run::state, ui::prelude::*};
use domain::{
    audit::AuditEvent,
    environment::Better,
    experiment::{Champion, Experiment, LifecycleStage},
    run::{RunRow, RunStatus, RunTable},
};
use leptos::prelude::*;

/// By how much a value differs from the champion's, and what that means; none where there is nothing to compare.
pub(in crate::pages) fn compare(champion: &Champion, key: &str, value: f64) -> Option<(f64, Meaning)> {
    let theirs = *champion.metrics.get(key)?;
    let higher = champion.better.get(key).map(|better| *better == Better::Higher);
    (value.is_finite() && theirs.is_finite()).then(|| (value - theirs, Meaning::of(theirs, value, higher)))
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct ExperimentPage {
    /// The experiment.
    pub experiment: Experiment,
    /// One page of its runs.
    pub table: RunTable,
    /// What they are held against.
    pub champion: Option<Champion>,
    /// All metrics that a column could show.
    pub all_metrics: Vec<String>,
    /// All params that a column could show.
    pub all_params: Vec<String>,
    /// Whether the reader may delete runs.
    pub may_write: bool,
    /// What happened to it and its runs, latest first.
    pub events: Vec<AuditEvent>,
}

/// The runs of an experiment. `compare` gets the selected runs as `run`; `experiments/{id}/runs` deletes them.
#[component]
pub fn Runs(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen: `q`, `sort`, `metric` and `param` for columns, `page_token`.
    address: Address,
    /// What it shows.
    page: ExperimentPage,
    /// What is wrong with the filter or the order.
    #[prop(optional_no_strip)]
    error: Option<String>,
) -> impl IntoView {
    let experiment = page.experiment.clone();
    let table = page.table.clone();
    let running = table.rows.iter().filter(|row| row.info.status == RunStatus::Running).count();
    let is_new = table.total == 0 && error.is_none();
    let events = links.events(&[format!("experiment:{}", experiment.id)]);
    let put_away = experiment.lifecycle_stage == LifecycleStage::Deleted;
    let meta = view! {
        <span>{format::count(table.total, "run", "runs")}</span>
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
        {(!experiment.tags.is_empty())
            .then(|| {
                let tags: Vec<String> = experiment.tags.iter().take(4).map(|(key, value)| format!("{key}={value}")).collect();
                view! { <span>{tags.into_iter().map(|text| view! { <Tag text mono=true/> }).collect_view()}</span> }
            })}
    };
    let back = links.experiments();
    let history = page.events.clone();
    view! {
        <Crumbs items=vec![Crumb::to("Experiments", back), Crumb::here(experiment.name.clone())]/>
        <PageHead
            title=experiment.name.clone().into_any()
            badge=put_away.then(|| view! { <Badge state=State::Cancelled word="Put away"/> }).into_any()
            meta=meta.into_any()
            live=true
        />
        <div class="mt-4">
            {if is_new {
                view! {
                    <Panel title="Runs" id="runs">
                        <Empty
                            symbol=Symbol::Flask
                            title="No run is logged in this experiment yet"
                            text="Name it before you train; everything else stays as it is."
                            command=format!("mlflow.set_experiment(\"{}\")", experiment.name.replace('"', "\\\""))
                        />
                    </Panel>
                }
                    .into_any()
            } else {
                view! { <RunsTable links=links.clone() address page error/> }.into_any()
            }}
        </div>
        <div class="mt-4"><Happened events=history links=links.clone()/></div>
        <LiveRegion events/>
    }
}

#[component]
fn RunsTable(links: Links, address: Address, page: ExperimentPage, error: Option<String>) -> impl IntoView {
    let table = page.table;
    let sort = Sort::parse(address.get("sort").unwrap_or("-started"));
    let is_filtered = address.get("q").is_some();
    let shown = table.rows.len();
    let order = match sort.key.as_str() {
        "started" if sort.descending => "Sorted by start, newest first".to_owned(),
        key => format!("Sorted by {key}, {}", if sort.descending { "largest first" } else { "smallest first" }),
    };
    // The metric that the champion is compared by: the first shown one that a gate says the better way of.
    let delta = page.champion.as_ref().and_then(|champion| {
        let key = table
            .metric_keys
            .iter()
            .find(|key| champion.better.contains_key(*key) && champion.metrics.contains_key(*key));
        key.cloned()
    });
    let note = delta
        .as_ref()
        .zip(page.champion.as_ref())
        .map(|(key, champion)| format!("Δ is {key} against {} v{}", champion.model, champion.version));
    let columns = Columns {
        metrics: table.metric_keys.clone(),
        params: table.param_keys.clone(),
        delta,
        champion: page.champion.clone(),
    };
    let (metrics, params) = (columns.metrics.len() + usize::from(columns.delta.is_some()), columns.params.len());
    let address_ = address.clone();
    let heads = move |columns: &Columns| {
        let head = |label: String, key: String, class: &'static str, num: bool| {
            view! { <ColumnHead label key address=address_.clone() sort=sort.clone() num class/> }
        };
        let mut first = true;
        let mut edge = move || if std::mem::take(&mut first) { "edge" } else { "" };
        let mut cells: Vec<AnyView> = Vec::new();
        for key in &columns.metrics {
            cells.push(head(key.clone(), format!("metrics.{key}"), edge(), true).into_any());
            if columns.delta.as_ref() == Some(key) {
                let name =
                    columns.champion.as_ref().map_or_else(String::new, |champion| format!("Δ v{}", champion.version));
                cells.push(view! { <Head label=name num=true/> }.into_any());
            }
        }
        let mut first = true;
        let mut edge = move || if std::mem::take(&mut first) { "edge" } else { "" };
        for key in &columns.params {
            cells.push(head(key.clone(), format!("params.{key}"), edge(), false).into_any());
        }
        let fixed = view! {
            {head("Run".to_owned(), "name".to_owned(), "pin name", false)}
            <Head label="State"/>
            {head("Started".to_owned(), "started".to_owned(), "", false)}
            <Head label="Took" num=true/>
            <Head label="By"/>
        };
        view! { {fixed}{cells} }
    };
    let head_row = heads(&columns);
    let filter_address = address.clone();
    let chooser = Chooser {
        address: address.clone(),
        metrics: (page.all_metrics, table.metric_keys.clone()),
        params: (page.all_params, table.param_keys.clone()),
    };
    let filtered = table.filtered;
    let body = if table.rows.is_empty() && error.is_none() {
        view! { <Nothing address=address.clone()/> }.into_any()
    } else {
        let rows = table
            .rows
            .into_iter()
            .map(|row| view! { <Line links=links.clone() row columns=columns.clone()/> })
            .collect_view();
        let delete = page.may_write.then(|| view! { <Button text="Delete" kind=Kind::Danger opens="delete-runs"/> });
        let group = |count: usize, name: &'static str| {
            (count > 0).then(|| view! { <th class="group edge" scope="colgroup" colspan=count.to_string()>{name}</th> })
        };
        view! {
            <form method="get" action=links.to("runs/compare") id="runs-form">
                <Table label="Runs" tall=true keys=true id="runs" live=true>
                    <thead>
                        <tr>
                            <td class="group tick pin"></td>
                            <td class="group pin name"></td>
                            <td class="group" colspan="4"></td>
                            {group(metrics, "Metrics")}
                            {group(params, "Params")}
                            <td class="group edge"></td>
                        </tr>
                        <tr>
                            <th class="tick pin" scope="col">
                                <input type="checkbox" data-all="" aria-label="Select all on this page" autocomplete="off"/>
                            </th>
                            {head_row}
                            <Head label="Data" class="edge"/>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </Table>
                <div class="bulk" role="toolbar" aria-label="Selected runs">
                    <b data-selected="">"Selected"</b>
                    <Button text="Compare" kind=Kind::Primary/>
                    {delete.is_some().then(|| view! { <span class="sep"></span> })}
                    {delete}
                </div>
            </form>
            <Pager address=address.clone() shown total=filtered next=table.next_page_token one="run" many="runs" keys=true selects=true/>
            {page
                .may_write
                .then(|| view! { <DeleteRuns action=links.to(&format!("experiments/{}/runs", page.experiment.id))/> })}
        }
        .into_any()
    };
    view! {
        <FilterBar
            label="Filter runs"
            address=filter_address.without("metric").without("param")
            placeholder="metrics.f1 > 0.3 and params.model = 'hgb'"
            error
        >
            <ChooseColumns chooser/>
        </FilterBar>
        <p class="filter-note">
            <span>
                <b>{format::integer(filtered)}</b>
                {if is_filtered { format!(" of {}", format::count(table.total, "run", "runs")) } else { " runs".to_owned() }}
            </span>
            <span>{order}</span>
            {note.map(|note| view! { <span>{note}</span> })}
            {is_filtered.then(|| view! { <a href=filter_address.without("q").href()>"Clear filter"</a> })}
        </p>
        {body}
    }
}

/// A head whose name in the address is made of a metric's or param's key.
#[component]
fn ColumnHead(
    label: String,
    key: String,
    address: Address,
    sort: Sort,
    num: bool,
    class: &'static str,
) -> impl IntoView {
    let current = sort.key == key;
    let next = Sort { key, descending: if current { !sort.descending } else { num } };
    let direction = current.then_some(if sort.descending { "descending" } else { "ascending" });
    let symbol = if sort.descending { Symbol::ChevronDown } else { Symbol::ChevronUp };
    let class = match (num, class) {
        (true, "") => "num",
        (true, _) => "num edge",
        (false, class) => class,
    };
    view! {
        <th scope="col" class=class aria-sort=direction>
            <a href=address.with("sort", next.to_string()).href()>{label}{current.then(|| view! { <Icon symbol/> })}</a>
        </th>
    }
}

#[derive(Debug, Clone)]
struct Columns {
    metrics: Vec<String>,
    params: Vec<String>,
    delta: Option<String>,
    champion: Option<Champion>,
}

#[component]
fn Line(links: Links, row: RunRow, columns: Columns) -> impl IntoView {
    let info = row.info;
    let (shape, word) = state(info.status);
    let started = from_ms(info.start_time);
    let ended = info.end_time.map(from_ms);
    let took = match info.status {
        RunStatus::Scheduled => view! { <span class="none">{format::NONE}</span> }.into_any(),
        _ => view! { <Took from=started to=ended/> }.into_any(),
    };
    let mut cells: Vec<AnyView> = Vec::new();
    for (at, key) in columns.metrics.iter().enumerate() {
        let value = row.metrics.get(key).copied();
        cells.push(view! { <td class=if at == 0 { "num edge strong" } else { "num" }><Num value/></td> }.into_any());
        if columns.delta.as_ref() == Some(key) {
            let compared = value.and_then(|value| compare(columns.champion.as_ref()?, key, value));
            let delta = match compared {
                Some((delta, meaning)) => view! { <Delta text=format::signed(delta) meaning/> }.into_any(),
                None => view! { <span class="none">{format::NONE}</span> }.into_any(),
            };
            cells.push(view! { <td class="num">{delta}</td> }.into_any());
        }
    }
    for (at, key) in columns.params.iter().enumerate() {
        let value = row.params.get(key).cloned();
        cells.push(view! { <td class=if at == 0 { "mono edge" } else { "mono" }><Short text=value/></td> }.into_any());
    }
    let id = info.id.simple();
    let versions = row.versions;
    view! {
        <tr id=format!("run-{id}")>
            <td class="tick pin">
                <input type="checkbox" name="run" value=id.clone() autocomplete="off" aria-label=format!("Select {}", info.name)/>
            </td>
            <th scope="row" class="pin name">
                <span class="name-cell">
                    <a href=links.run(&info.id) title=info.name.clone()>{info.name.clone()}</a>
                    {versions
                        .into_iter()
                        .take(1)
                        .map(|(_, version)| view! { <Tag text=format!("v{version}") mono=true/> })
                        .collect_view()}
                </span>
            </th>
            <td><StateMark state=shape word/></td>
            <td class="muted"><When at=started/></td>
            <td class="num">{took}</td>
            <td><Avatar name=info.user_name size=AvatarSize::Row named=true/></td>
            {cells}
            <td class="mono edge"><Short text=row.datasets.first().cloned()/></td>
        </tr>
    }
}

/// A param's or data set's text, cut to what a cell holds.
#[component]
fn Short(text: Option<String>) -> impl IntoView {
    match text.filter(|text| !text.is_empty()) {
        None => view! { <span class="none">{format::NONE}</span> }.into_any(),
        Some(text) if text.chars().count() > 28 => {
            let cut: String = text.chars().take(27).chain(['…']).collect();
            view! { <span title=text>{cut}</span> }.into_any()
        }
        Some(text) => text.into_any(),
    }
}

#[derive(Debug, Clone)]
struct Chooser {
    address: Address,
    /// All there are, and those that are shown.
    metrics: (Vec<String>, Vec<String>),
    params: (Vec<String>, Vec<String>),
}

/// Which metrics and params are columns: a form in a disclosure, whose choice goes into the address.
#[component]
fn ChooseColumns(chooser: Chooser) -> impl IntoView {
    let shown = chooser.metrics.1.len() + chooser.params.1.len();
    let all = chooser.metrics.0.len().max(chooser.metrics.1.len()) + chooser.params.0.len().max(chooser.params.1.len());
    if all <= shown && shown < 2 {
        return ().into_any();
    }
    let boxes = |name: &'static str, (all, shown): (Vec<String>, Vec<String>)| {
        // Columns that are shown come first; a filter form can hold no form, so its own fields carry the choice.
        let rest: Vec<String> = all.into_iter().filter(|key| !shown.contains(key)).take(200).collect();
        shown
            .into_iter()
            .map(|key| (key, true))
            .chain(rest.into_iter().map(|key| (key, false)))
            .map(|(key, checked)| {
                view! {
                    <label class="check">
                        <input type="checkbox" name=name value=key.clone() checked=checked autocomplete="off"/>
                        <span class="mono">{key}</span>
                    </label>
                }
            })
            .collect_view()
    };
    let (metrics, params) = (boxes("metric", chooser.metrics), boxes("param", chooser.params));
    view! {
        <details class="more columns">
            <summary class="btn">
                <Icon symbol=Symbol::Columns/>
                "Columns "
                <span class="muted">{format!("{shown} of {all}")}</span>
            </summary>
            <div class="menu">
                <p class="label">"Metrics"</p>
                <div class="checks">{metrics}</div>
                <p class="label">"Params"</p>
                <div class="checks">{params}</div>
                <div class="go">
                    <Button text="Show these" kind=Kind::Primary/>
                    <a class="btn" href=chooser.address.without("metric").without("param").href()>"Most used"</a>
                </div>
            </div>
        </details>
    }
    .into_any()
}

/// The question before runs are deleted. The boxes of the table's form are sent with it.
#[component]
fn DeleteRuns(action: String) -> impl IntoView {
    view! {
        <section class="dialog" id="delete-runs" popover="" role="dialog" aria-labelledby="delete-runs-title">
            <header><h2 id="delete-runs-title">"Delete the selected runs?"</h2></header>
            <div class="body">
                <p>
                    "Their metrics, params and tags are put away with them, and MLflow's clients do not find them any more. They can be restored by a client. Versions that were registered from them stay as they are."
                </p>
            </div>
            <footer>
                <Button text="Keep them" closes="delete-runs"/>
                <button class="btn danger" type="submit" form="runs-form" formmethod="post" formaction=action>"Delete runs"</button>
            </footer>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};

    fn page(query: &[(&str, &str)], page: ExperimentPage, error: Option<String>) -> String {
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
    fn an_order_and_a_choice_of_columns_survive_a_new_filter() {
        let html = page(
            &[("q", "metrics.f1_macro > 0.4"), ("sort", "-metrics.f1_macro"), ("metric", "loss")],
            samples::runs(),
            None,
        );
        assert!(html.contains(r#"type="hidden" name="sort" value="-metrics.f1_macro""#), "{html}");
        assert!(html.contains(r#"aria-sort="descending""#), "{html}");
    }

    #[test]
    fn a_wrong_filter_says_why_and_stays() {
        let html =
            page(&[("q", "metrics.f1 ==")], samples::runs(), Some("A value is expected at character 12.".into()));
        assert!(html.contains("A value is expected at character 12.") && html.contains("metrics.f1 =="), "{html}");
    }

    #[test]
    fn readers_are_not_offered_to_delete() {
        let mut runs = samples::runs();
        runs.may_write = false;
        assert!(!page(&[], runs, None).contains("delete-runs"));
    }
}
