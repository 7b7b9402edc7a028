//! What is different between two versions of a dataset.

use crate::ui::prelude::*;
use domain::{
    dataset::DatasetVersion,
    drift::{FeatureDrift, Verdict},
    table_profile::TableDiff,
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
    let DiffPage { before, after, counts, changes, next, tables } = page;
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
    let schema: Vec<String> = table
        .added
        .iter()
        .map(|name| format!("{name} is new"))
        .chain(table.removed.iter().map(|name| format!("{name} is gone")))
        .chain(table.retyped.iter().map(|(name, old, new)| format!("{name} was {}, is {}", old.as_str(), new.as_str())))
        .collect();
    let rows = table
        .after
        .iter()
        .filter_map(|column| {
            let old = table.before.iter().find(|old| old.name == column.name)?;
            let drift = table.drift.iter().find(|drift| drift.feature == column.name).map(drift_mark);
            let (missing_before, missing_after) = (old.missing, column.missing);
            Some(view! {
                <tr>
                    <th scope="row">{column.name.clone()}</th>
                    <td>{column.kind.as_str()}</td>
                    <td class="num">{format::integer(missing_before)} " → " {format::integer(missing_after)}</td>
                    <td class="num"><Num value=old.mean/> " → " <Num value=column.mean/></td>
                    <td class="num"><Num value=old.deviation/> " → " <Num value=column.deviation/></td>
                    <td>{drift}</td>
                </tr>
            })
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
                        <Head label="Missing" num=true/>
                        <Head label="Mean" num=true/>
                        <Head label="Deviation" num=true/>
                        <Head label="Drift"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        </Panel>
    }
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
