//! Runs in groups: what they share, how many they are, and what they come to.

use super::typed::TypedColumn;
use crate::ui::prelude::*;
use domain::{
    experiment::Champion,
    policy::Better,
    run_table::{RunColumn, RunGroup, RunGroups},
};
use leptos::prelude::*;

/// The form that the field of [`ChooseGroup`] belongs to: it stands inside the filter's form, which can hold no other.
const FORM: &str = "group-form";

/// The form itself.
#[component]
pub(super) fn GroupForm(address: Address) -> impl IntoView {
    let hidden: Vec<(String, String)> = address.others(&["group", "order"]).collect();
    view! {
        <form id=FORM method="get" action=address.path().to_owned()>
            {field::hidden(hidden)}
        </form>
    }
}

/// The disclosure that asks what runs are grouped by.
#[component]
pub(super) fn ChooseGroup(
    address: Address,
    grouped: Option<RunColumn>,
    usual: Vec<RunColumn>,
    /// Where columns are looked for while somebody types.
    search: String,
) -> impl IntoView {
    let attributes = ["status", "user_id"].into_iter().filter_map(|name| name.parse::<RunColumn>().ok());
    let options: Vec<RunColumn> = attributes.chain(usual.into_iter().filter(RunColumn::groups)).collect();
    let links = options
        .iter()
        .take(8)
        .map(|column| {
            let current = (grouped.as_ref() == Some(column)).then_some("true");
            let href = address.without("order").with("group", column.to_string()).href();
            view! { <a class="mono" href=href aria-current=current>{column.to_string()}</a> }
        })
        .collect_view();
    view! {
        <details class="more group-by">
            <summary class="btn">
                <Icon symbol=Symbol::Layers/>
                "Group"
                {grouped.as_ref().map(|column| view! { <span class="muted mono">{format!(" {column}")}</span> })}
            </summary>
            <div class="menu">
                <TypedColumn
                    id="group-by"
                    name="group"
                    form=FORM
                    label="Group by"
                    placeholder="params.model"
                    button="Group"
                    value=grouped.as_ref().map(ToString::to_string)
                    usual=options
                    search
                />
                <p class="label">"By"</p>
                {links}
            </div>
        </details>
    }
}

/// The table of groups.
#[component]
pub(super) fn GroupTable(
    links: Links,
    address: Address,
    groups: RunGroups,
    champion: Option<Champion>,
) -> impl IntoView {
    let sort = Sort::parse(address.get("order").unwrap_or("-count"));
    let head = |label: &str, key: String, num: bool, class: &'static str| {
        let current = sort.key == key;
        let next = Sort { key, descending: if current { !sort.descending } else { num } };
        let direction = current.then_some(if sort.descending { "descending" } else { "ascending" });
        let symbol = if sort.descending { Symbol::ChevronDown } else { Symbol::ChevronUp };
        let class = if num { format!("num {class}") } else { class.to_owned() };
        view! {
            <th scope="col" class=class aria-sort=direction>
                <a href=address.with("order", next.to_string()).href()>{label.to_owned()}{current.then(|| view! { <Icon symbol/> })}</a>
            </th>
        }
        .into_any()
    };
    let by = head(&groups.by.to_string(), "group".to_owned(), false, "pin first");
    let (count, latest) = (head("Runs", "count".to_owned(), true, ""), head("Latest", "latest".to_owned(), true, ""));
    let metrics = groups
        .metrics
        .iter()
        .map(|metric| {
            view! {
                {head("Mean", format!("mean.{metric}"), true, "edge")}
                {head("Min", format!("min.{metric}"), true, "")}
                {head("Max", format!("max.{metric}"), true, "")}
            }
        })
        .collect_view();
    let names = groups
        .metrics
        .iter()
        .map(|metric| {
            view! { <th class="group edge" scope="colgroup" colspan="3" title=metric.clone()><span class="key">{metric.clone()}</span></th> }
        })
        .collect_view();
    let shown = groups.groups.len();
    let hidden = usize::try_from(groups.all).unwrap_or(usize::MAX).saturating_sub(shown);
    let better = |metric: &String| champion.as_ref().and_then(|champion| champion.better.get(metric).copied());
    let directions: Vec<Option<Better>> = groups.metrics.iter().map(better).collect();
    let rows = groups
        .groups
        .into_iter()
        .map(|group| {
            view! { <Line links=links.clone() address=address.clone() group metrics=groups.metrics.clone() directions=directions.clone()/> }
        })
        .collect_view();
    view! {
        <Table label="Groups of runs" tall=true keys=true id="runs" class="runs groups">
            <thead>
                <tr>
                    <td class="group pin first"></td>
                    <td class="group" colspan="2"></td>
                    {names}
                </tr>
                <tr>
                    {by}
                    {count}
                    {latest}
                    {metrics}
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </Table>
        <nav class="pager" aria-label="Groups">
            <span>{format::count(groups.all, "group", "groups")}</span>
            {(hidden > 0)
                .then(|| view! { <span>{format!("{hidden} more are not shown: filter, or sort by what matters")}</span> })}
        </nav>
    }
}

#[component]
fn Line(
    links: Links,
    address: Address,
    group: RunGroup,
    metrics: Vec<String>,
    directions: Vec<Option<Better>>,
) -> impl IntoView {
    let of_group = address.without("group").without("order").with("q", group.filter).href();
    let cells = metrics
        .iter()
        .zip(directions)
        .map(|(metric, better)| match group.metrics.get(metric) {
            None => {
                let none = || view! { <span class="none">{format::NONE}</span> };
                view! { <td class="num edge">{none()}</td><td class="num">{none()}</td><td class="num">{none()}</td> }.into_any()
            }
            Some(summary) => {
                let of = format!("of {}", format::count(summary.runs, "run", "runs"));
                let class = |best: bool| if best { "num strong" } else { "num" };
                view! {
                    <td class="num edge" title=of><Num value=summary.mean/></td>
                    <td class=class(better == Some(Better::Lower))><a href=links.run(&summary.min_run)><Num value=summary.min/></a></td>
                    <td class=class(better == Some(Better::Higher))><a href=links.run(&summary.max_run)><Num value=summary.max/></a></td>
                }
                    .into_any()
            }
        })
        .collect_view();
    let name = match group.value {
        None => view! { <span class="none">"without a value"</span> }.into_any(),
        Some(value) if value.is_empty() => view! { <span class="none">"empty"</span> }.into_any(),
        Some(value) => view! { <span title=value.clone()>{value.clone()}</span> }.into_any(),
    };
    view! {
        <tr>
            <th scope="row" class="pin first"><span class="name-cell mono"><a href=of_group>{name}</a></span></th>
            <td class="num">{format::integer(group.runs)}</td>
            <td class="num muted"><When at=from_ms(group.latest)/></td>
            {cells}
        </tr>
    }
}
