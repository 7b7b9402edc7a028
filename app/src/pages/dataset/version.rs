//! The page of a version: its files, what its tables hold, whether that is what is expected, and who read it.

use super::{
    checked,
    column::{bound, distinct, frequent},
    size,
};
use crate::{pages::pipeline_run::state::of_run, ui::prelude::*};
use domain::{
    audit::AuditEvent,
    dataset::{ChecksState, DatasetVersion, TakenBy, VersionLineage},
    expectation::{CheckResult, Outcome},
    id::RunId,
    step::StepRef,
    table_profile::{ColumnProfile, TableProfile},
};
use leptos::prelude::*;

/// A file of a version, or a folder with files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Its path.
    pub path: String,
    /// How many files are below it; none when it is a file itself.
    pub folder: Option<u64>,
    /// Its length in bytes, or that of all files below it; none when it is not known.
    pub size: Option<u64>,
    /// Where it lies, when that is elsewhere.
    pub uri: Option<String>,
}

impl FileRow {
    fn name(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        if self.folder.is_some() { format!("{name}/") } else { name.to_owned() }
    }
}

/// A run that read a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBy {
    /// The run.
    pub id: RunId,
    /// Its name.
    pub name: String,
    /// When it started, in milliseconds.
    pub start_time: Option<i64>,
    /// What it read it for.
    pub context: Option<String>,
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct VersionPage {
    /// The version.
    pub version: DatasetVersion,
    /// The folder whose files are shown; empty for the version itself.
    pub folder: String,
    /// What lies right in it.
    pub files: Vec<FileRow>,
    /// The key of the next page of them.
    pub next: Option<String>,
    /// What its tables hold.
    pub tables: Vec<TableProfile>,
    /// What was found of what is expected.
    pub checks: Vec<CheckResult>,
    /// Why it did not pass its checks, in a sentence; none when it did, or nothing is expected.
    pub objection: Option<String>,
    /// Runs that read it.
    pub read_by: Vec<ReadBy>,
    /// The step that made it, and runs of pipelines that took it.
    pub lineage: VersionLineage,
    /// The numbers of other versions that it can be compared with, the newest first.
    pub others: Vec<i32>,
    /// What happened to it, newest first.
    pub events: Vec<AuditEvent>,
    /// Whether the reader may have it checked again, and delete it.
    pub may_write: bool,
}

/// The page of a version.
#[component]
pub fn Version(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `folder` chooses.
    address: Address,
    /// What it shows.
    page: VersionPage,
) -> impl IntoView {
    let VersionPage {
        version,
        folder,
        files,
        next,
        tables,
        checks,
        objection,
        read_by,
        lineage,
        others,
        events,
        may_write,
    } = page;
    let here = links.dataset_version(&version.dataset, version.number);
    let get = format!("slipway data get {}", version.title());
    let (shape, word) = checked(version.checks);
    // The one before it, which is what one looks at a change for.
    let before = others.iter().copied().find(|other| *other < version.number);
    let delete = format!("{here}/delete");
    let choice = (!others.is_empty()).then(|| {
        let (action, options) = (format!("{here}/diff"), compare::versions(others));
        let chosen = before.map(|before| before.to_string());
        view! { <Panel title="Compare" id="compare"><Body><CompareWith action name="from" options chosen/></Body></Panel> }
    });
    let check = format!("{here}/check");
    let again = may_write && version.checks != ChecksState::Waiting;
    let tone = if version.checks == ChecksState::Failed { Tone::Fail } else { Tone::Warn };
    view! {
        <Crumbs items=vec![
            Crumb::to("Datasets", links.datasets()),
            Crumb::to(version.dataset.clone(), links.dataset(&version.dataset)),
            Crumb::here(format!("v{}", version.number)),
        ]/>
        <PageHead
            title=format!("{} v{}", version.dataset, version.number).into_any()
            badge=view! { <Badge state=shape word/> }.into_any()
            actions=view! {
                {again.then(|| view! { <Act action=check text="Check again" symbol=Symbol::Redo/> })}
                {may_write.then(|| view! { <Button text="Delete" kind=Kind::Danger opens="delete"/> })}
                {before.map(|before| view! { <ButtonLink text=format!("Compare with v{before}") href=format!("{here}/diff?from={before}")/> })}
            }
                .into_any()
            meta=view! {
                <span>{format::count(version.files, "file", "files")} ", " {size(version.bytes)}</span>
                <span>"Made by " {version.author.clone()} " " <When at=version.created_at/></span>
                <span><DigestText digest=version.digest.clone()/></span>
            }
                .into_any()
        />
        <div class="with-aside mt-4">
            <div class="stack">
                {(!version.message.is_empty()).then(|| view! { <Prose text=version.message.clone()/> })}
                {objection.map(|why| view! { <Callout tone>{why}</Callout> })}
                <CheckList checks/>
                <Files links=links.clone() address version=version.clone() folder files next/>
                {tables.into_iter().enumerate().map(|(index, table)| view! { <TablePanel index table/> }).collect_view()}
                <Happened events links=links.clone()/>
            </div>
            <aside class="stack" aria-label="Using it">
                <Panel title="Fetch it" id="fetch"><Body><Command text=get/></Body></Panel>
                <MadeBy links=links.clone() made_by=lineage.made_by/>
                <UsedBy links version=version.clone() read_by taken_by=lineage.taken_by/>
                {choice}
            </aside>
        </div>
        {may_write
            .then(|| {
                view! {
                    <Confirm
                        id="delete"
                        title=format!("Delete {}?", version.title())
                        action=delete
                        go="Delete version"
                        keep="Keep it"
                    >
                        <p>"Files that no other version has are deleted within days. The number is not given again."</p>
                    </Confirm>
                }
            })}
    }
}

#[component]
fn CheckList(checks: Vec<CheckResult>) -> impl IntoView {
    (!checks.is_empty()).then(|| {
        let rows = checks
            .into_iter()
            .map(|check| {
                let (state, word) = match check.outcome {
                    Outcome::Passed => (State::Passed, "Met"),
                    Outcome::Failed => (State::Failed, "Not met"),
                    Outcome::Inconclusive => (State::Unsure, "Inconclusive"),
                };
                let sub = view! { {check.path.clone()} " – " {check.found.clone()} }.into_any();
                view! { <Row title=check.expectation.describe() sub state=view! { <StateShape state word/> }.into_any()/> }
            })
            .collect_view();
        view! { <Panel title="Checks" id="checks"><Rows>{rows}</Rows></Panel> }
    })
}

#[component]
fn Files(
    links: Links,
    address: Address,
    version: DatasetVersion,
    folder: String,
    files: Vec<FileRow>,
    next: Option<String>,
) -> impl IntoView {
    let plain = address.without("page_token");
    let raw = links.to(&format!("api/v1/datasets/{}/versions/{}/files", version.dataset, version.number));
    let shown = files.len();
    let above = (!folder.is_empty()).then(|| {
        let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
        let href = if above.is_empty() { plain.without("folder").href() } else { plain.with("folder", above).href() };
        view! { <tr><th scope="row"><a href=href>"Up, out of " {folder.clone()}</a></th><td></td><td></td></tr> }
    });
    let rows = files
        .into_iter()
        .map(|file| {
            let name = file.name();
            let bytes = file.size.map_or_else(|| "?".to_owned(), format::bytes);
            let (symbol, link, note) = match (&file.folder, &file.uri) {
                (Some(count), _) => {
                    let href = plain.with("folder", file.path.clone()).href();
                    let count = i64::try_from(*count).unwrap_or(i64::MAX);
                    (
                        Symbol::Folder,
                        view! { <a href=href>{name}</a> }.into_any(),
                        format::count(count, "file", "files"),
                    )
                }
                // Its address is shown and no link: nobody is led to where somebody's data may lie.
                (None, Some(uri)) => {
                    (Symbol::File, view! { <span>{name}</span> }.into_any(), format!("elsewhere: {uri}"))
                }
                (None, None) => {
                    let path = file.path.split('/').map(crate::ui::query::encode).collect::<Vec<_>>().join("/");
                    let href = format!("{raw}/{path}");
                    (Symbol::File, view! { <a href=href>{name}</a> }.into_any(), String::new())
                }
            };
            view! {
                <tr>
                    <th scope="row"><span class="with-icon"><Icon symbol/>{link}</span></th>
                    <td><span class="muted">{note}</span></td>
                    <td class="num">{bytes}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="Files" id="files" note=folder.clone()>
            <Table label="Files" keys=true>
                <thead><tr><Head label="Name"/><Head label="What" quiet=true/><Head label="Size" num=true/></tr></thead>
                <tbody>{above}{rows}</tbody>
            </Table>
            <Pager address shown next one="entry" many="entries"/>
        </Panel>
    }
}

/// What a table holds.
#[component]
fn TablePanel(index: usize, table: TableProfile) -> impl IntoView {
    let note = format::count(table.rows, "row", "rows");
    let columns = table.columns.iter().map(column).collect_view();
    let names = table.columns.iter().map(|column| view! { <Head label=column.name.clone()/> }).collect_view();
    let sample = table.sample.clone();
    let rows = sample
        .into_iter()
        .map(|row| {
            let cells = row.into_iter().map(|cell| view! { <td><Maybe text=cell/></td> }).collect_view();
            view! { <tr>{cells}</tr> }
        })
        .collect_view();
    let has_rows = !table.sample.is_empty();
    let (label, sample_label) = (format!("Columns of {}", table.path), format!("First rows of {}", table.path));
    view! {
        <Panel title=table.path.clone() id=format!("table-{index}") note=note>
            {(!table.trouble.is_empty())
                .then(|| view! { <Body><Callout tone=Tone::Warn>{table.trouble.clone()}</Callout></Body> })}
            <Table label=label>
                <thead>
                    <tr>
                        <Head label="Column"/>
                        <Head label="Sort"/>
                        <Head label="Missing" num=true/>
                        <Head label="Different" num=true/>
                        <Head label="Least" num=true/>
                        <Head label="Mean" num=true/>
                        <Head label="Deviation" num=true/>
                        <Head label="Greatest" num=true/>
                        <Head label="Most frequent"/>
                    </tr>
                </thead>
                <tbody>{columns}</tbody>
            </Table>
            {has_rows
                .then(|| {
                    view! {
                        <details>
                            <summary>"First rows"</summary>
                            <Table label=sample_label><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></Table>
                        </details>
                    }
                })}
        </Panel>
    }
}

fn column(column: &ColumnProfile) -> impl IntoView + use<> {
    view! {
        <tr>
            <th scope="row">{column.name.clone()}</th>
            <td>{column.kind.as_str()}</td>
            <td class="num">{format::integer(column.missing)}</td>
            <td class="num">{distinct(column)}</td>
            <td class="num"><Maybe text=bound(column.min.as_deref())/></td>
            <td class="num"><Num value=column.mean/></td>
            <td class="num"><Num value=column.deviation/></td>
            <td class="num"><Maybe text=bound(column.max.as_deref())/></td>
            <td><span class="ellipsis">{frequent(column)}</span></td>
        </tr>
    }
}

#[component]
fn MadeBy(links: Links, made_by: Option<StepRef>) -> impl IntoView {
    made_by.map(|StepRef { pipeline, run, step }| {
        let title = format!("{pipeline} #{run}");
        let sub = view! { "step "{step.clone()} }.into_any();
        view! { <Panel title="Made by" id="made-by"><Rows><Row title href=links.step(run, &step) sub/></Rows></Panel> }
    })
}

#[component]
fn UsedBy(links: Links, version: DatasetVersion, read_by: Vec<ReadBy>, taken_by: Vec<TakenBy>) -> impl IntoView {
    let called = version.mlflow_digests.join(", ");
    let rows = read_by
        .into_iter()
        .map(|run| {
            let end = run.start_time.map(|ms| view! { <When at=from_ms(ms)/> }.into_any());
            let sub = run.context.map(|context| view! { {context} }.into_any());
            let href = links.run(&run.id);
            view! { <Row title=run.name href=href sub=sub.unwrap_or_else(|| ().into_any()) end=end.unwrap_or_else(|| ().into_any())/> }
        })
        .collect_view();
    let of_pipelines = taken_by
        .into_iter()
        .map(|TakenBy { pipeline, run, state, created_at }| {
            let (shape, word) = of_run(state);
            view! {
                <Row
                    title=format!("{pipeline} #{run}")
                    href=links.pipeline_run(run)
                    state=view! { <StateMark state=shape word/> }.into_any()
                    sub="run of a pipeline".into_any()
                    end=view! { <When at=created_at/> }.into_any()
                />
            }
        })
        .collect_view();
    let is_empty = called.is_empty();
    view! {
        <Panel title="Used by" id="used-by">
            <Body>
                {match is_empty {
                    true => {
                        view! {
                            <p class="muted">"Runs that log this data with MLflow are listed here once the version knows what MLflow calls it: slipway data push --mlflow-digest."</p>
                        }
                            .into_any()
                    }
                    false => view! { <p class="muted">"MLflow calls it " <code>{called}</code></p> }.into_any(),
                }}
            </Body>
            <Rows>{of_pipelines}{rows}</Rows>
        </Panel>
    }
}
