//! What is different between two versions of a dataset.

use super::column::{bound, distinct, frequent};
use crate::ui::prelude::*;
use domain::{
    dataset::DatasetVersion,
    drift::{FeatureDrift, Verdict},
    table_profile::{ColumnProfile, TableDiff},
};
use leptos::prelude::*;

/// How a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has other content.
    Changed,
}

/// A file that is not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// How.
    pub way: Way,
    /// Its path.
    pub path: String,
    /// How many bytes it had.
    pub before: Option<u64>,
    /// How many it has.
    pub after: Option<u64>,
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct DiffPage {
    /// The earlier version.
    pub before: DatasetVersion,
    /// The later version.
    pub after: DatasetVersion,
    /// How many files were added, removed and changed.
    pub counts: (u64, u64, u64),
    /// A page of the changes, by path.
    pub changes: Vec<Changed>,
    /// The key of the next page.
    pub next: Option<String>,
    /// Tables that are in both and are not the same.
    pub tables: Vec<TableDiff>,
    /// Why there may be more of them, in a sentence for each version that was not looked at.
    pub unknown: Vec<String>,
    /// The numbers of versions that the later one can be compared with, the newest first: of the dataset of the earlier one.
    pub others: Vec<i32>,
}

/// What is different between two versions.
#[component]
pub fn Diff(
    /// The addresses of the workspace.
    links: Links,
    /// This page.
    address: Address,
    /// What it shows.
    page: DiffPage,
) -> impl IntoView {
    let DiffPage { before, after, counts, changes, next, tables, unknown, others } = page;
    let (added, removed, changed) = counts;
    let shown = changes.len();
    let total = i64::try_from(added + removed + changed).unwrap_or(i64::MAX);
    let href = |version: &DatasetVersion| links.dataset_version(&version.dataset, version.number);
    let between = if before.dataset == after.dataset {
        format!("{} from v{} to v{}", after.dataset, before.number, after.number)
    } else {
        format!("{} to {}", before.title(), after.title())
    };
    let (before_href, after_href) = (href(&before), href(&after));
    let of_other = (before.dataset != after.dataset).then(|| ("dataset", before.dataset.clone()));
    let choice = view! {
        <CompareWith
            action=address.path().to_owned()
            name="from"
            options=compare::versions(others)
            chosen=Some(before.number.to_string())
            hidden=of_other.into_iter().collect()
        />
    };
    let rows = changes
        .into_iter()
        .map(|change| {
            // A file that is gone has not failed: no colours of states here.
            let (sign, word) = match change.way {
                Way::Added => ("+", "Added"),
                Way::Removed => ("−", "Removed"),
                Way::Changed => ("~", "Changed"),
            };
            view! {
                <tr>
                    <th scope="row">{change.path}</th>
                    <td><span class="mono muted" aria-hidden="true">{sign}</span>" "{word}</td>
                    <td class="num"><Maybe text=change.before.map(format::bytes)/></td>
                    <td class="num"><Maybe text=change.after.map(format::bytes)/></td>
                </tr>
            }
        })
        .collect_view();
    let files = if total == 0 {
        view! { <Body><p class="muted">"The two have the same files."</p></Body> }.into_any()
    } else {
        view! {
            <Table label="Files that are not the same" keys=true>
                <thead><tr><Head label="File"/><Head label="How"/><Head label="Before" num=true/><Head label="After" num=true/></tr></thead>
                <tbody>{rows}</tbody>
            </Table>
            <Pager address shown total next one="change" many="changes"/>
        }
        .into_any()
    };
    view! {
        <Crumbs items=vec![
            Crumb::to("Datasets", links.datasets()),
            Crumb::to(after.dataset.clone(), links.dataset(&after.dataset)),
            Crumb::to(format!("v{}", after.number), after_href.clone()),
            Crumb::here("Compare"),
        ]/>
        <PageHead
            title=between.into_any()
            meta=view! {
                <span>{format!("{added} added, {removed} removed, {changed} changed")}</span>
                <span>"From " <a href=before_href>{before.title()}</a> " to " <a href=after_href>{after.title()}</a></span>
            }
                .into_any()
        />
        <div class="mt-4 stack">
            {choice}
            {(!unknown.is_empty()).then(|| view! { <Callout symbol=Symbol::Wait>{unknown.join(" ")}</Callout> })}
            <Panel title="Files" id="files">{files}</Panel>
            {tables.into_iter().enumerate().map(|(index, table)| view! { <TablePanel index table/> }).collect_view()}
        </div>
    }
}

/// How a table differs.
#[component]
fn TablePanel(index: usize, table: TableDiff) -> impl IntoView {
    let (old, new) = table.rows;
    let note = format!("{} to {} rows", format::integer(old), format::integer(new));
    let named = |columns: &[ColumnProfile], names: &[String], what: &str| {
        let columns = columns.iter().filter(|column| names.contains(&column.name));
        columns.map(|column| format!("{} ({}) {what}", column.name, column.kind.as_str())).collect::<Vec<_>>()
    };
    let schema: Vec<String> = named(&table.after, &table.added, "is new")
        .into_iter()
        .chain(named(&table.before, &table.removed, "is gone"))
        .chain(table.retyped.iter().map(|(name, old, new)| format!("{name} was {}, is {}", old.as_str(), new.as_str())))
        .collect();
    let called = |columns: &[ColumnProfile], name: &str| columns.iter().find(|column| column.name == name).cloned();
    let drift = |name: &str| table.drift.iter().find(|drift| drift.feature == name).cloned();
    let gone = table.before.iter().filter(|old| called(&table.after, &old.name).is_none());
    let rows = table
        .after
        .iter()
        .map(|new| (called(&table.before, &new.name), Some(new.clone())))
        .chain(gone.map(|old| (Some(old.clone()), None)))
        .map(|(old, new)| {
            let drift = new.as_ref().and_then(|new| drift(&new.name));
            view! { <ColumnRow old new drift/> }
        })
        .collect_view();
    let label = format!("Columns of {}", table.path);
    view! {
        <Panel title=table.path.clone() id=format!("table-{index}") note=note>
            {(!schema.is_empty()).then(|| view! { <Body><Callout tone=Tone::Warn>{schema.join("; ")} "."</Callout></Body> })}
            <Table label=label>
                <thead>
                    <tr>
                        <Head label="Column"/>
                        <Head label="Sort"/>
                        <Head label="Change"/>
                        <Head label="Missing" num=true/>
                        <Head label="Different" num=true/>
                        <Head label="Least" num=true/>
                        <Head label="Mean" num=true/>
                        <Head label="Deviation" num=true/>
                        <Head label="Greatest" num=true/>
                        <Head label="Most frequent"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        </Panel>
    }
}

/// A column before and after: one that is new was not there before, and one that is gone is not there any more.
#[component]
fn ColumnRow(old: Option<ColumnProfile>, new: Option<ColumnProfile>, drift: Option<FeatureDrift>) -> impl IntoView {
    let name = new.as_ref().or(old.as_ref()).map(|column| column.name.clone());
    let both = |of: &dyn Fn(&ColumnProfile) -> Option<String>| match (&old, &new) {
        (Some(old), Some(new)) => moved(of(old), of(new)).into_any(),
        (None, Some(new)) => view! { <Maybe text=of(new)/> }.into_any(),
        (Some(old), None) => view! { <span class="muted"><Maybe text=of(old)/></span> }.into_any(),
        (None, None) => ().into_any(),
    };
    let what = match (&old, &new) {
        (None, _) => Some("New"),
        (_, None) => Some("Gone"),
        _ => None,
    };
    let frequent = |column: &Option<ColumnProfile>| column.as_ref().map(frequent).filter(|text| !text.is_empty());
    let (before, after) = (frequent(&old), frequent(&new));
    let was = before.clone().filter(|_| before != after).map(|text| {
        view! { <span class="sub ellipsis" title=text.clone()>{format!("before: {text}")}</span> }
    });
    let is = after.map(|text| view! { <span class="ellipsis" title=text.clone()>{text.clone()}</span> });
    view! {
        <tr>
            <th scope="row">{name}</th>
            <td>{both(&|column| Some(column.kind.as_str().to_owned()))}</td>
            <td>{drift.as_ref().map(drift_mark)}{what}</td>
            <td class="num">{both(&|column| Some(format::integer(column.missing)))}</td>
            <td class="num">{both(&|column| Some(distinct(column)))}</td>
            <td class="num">{both(&|column| bound(column.min.as_deref()))}</td>
            <td class="num">{both(&|column| column.mean.map(format::number))}</td>
            <td class="num">{both(&|column| column.deviation.map(format::number))}</td>
            <td class="num">{both(&|column| bound(column.max.as_deref()))}</td>
            <td>{is}{was}</td>
        </tr>
    }
}

/// What something was and is: once when that is the same.
fn moved(old: Option<String>, new: Option<String>) -> impl IntoView + use<> {
    let was = (old != new).then(|| view! { <span class="muted"><Maybe text=old/>" → "</span> });
    view! { {was}<Maybe text=new/> }
}

fn drift_mark(drift: &FeatureDrift) -> impl IntoView + use<> {
    let (state, word) = match &drift.verdict {
        Verdict::Scored { method, score, drifted, .. } => {
            let score = format::number(*score);
            let state = if *drifted { State::Warning } else { State::Passed };
            (state, format!("{} ({} {score})", if *drifted { "Drifted" } else { "Not drifted" }, method.label()))
        }
        Verdict::Inconclusive { .. } => (State::Unsure, "Inconclusive".to_owned()),
    };
    view! { <StateMark state word/> }
}
