//! The file of a pipeline, its graph, and its versions.

use super::{Head as PipelineHead, Shown};
use crate::{
    chart::dag::{Dag, MOST, Node, fold},
    format,
    pages::{
        notebook::diff::{Changes, summary},
        pipeline_run::CodeFacts,
    },
    ui::prelude::*,
};
use domain::{
    Page,
    notebook::NotebookDiff,
    pipeline::{PipelineSpec, PipelineVersion},
    text_diff::TextDiff,
};
use leptos::prelude::*;

/// What the page of a pipeline's file shows.
#[derive(Debug, Clone)]
pub struct FilePage {
    /// The version that is shown.
    pub version: PipelineVersion,
    /// The number of the version that runs when none is named.
    pub latest: i32,
    /// Its versions, newest first.
    pub versions: Page<PipelineVersion>,
    /// What is different from the version before it, when that is asked for.
    pub changes: Option<VersionChanges>,
    /// Whether the reader may store its file.
    pub may_write: bool,
    /// Whether the reader may start it.
    pub may_run: bool,
}

/// What is different from one version to another.
#[derive(Debug, Clone)]
pub struct VersionChanges {
    /// The number of the earlier version.
    pub before: i32,
    /// The file, line by line.
    pub text: TextDiff,
    /// Notebooks that the pipeline brings and that are not the same, by path: cell by cell, or why that cannot be told.
    pub notebooks: Vec<(String, Result<NotebookDiff, String>)>,
}

/// The notebooks that are not the same, one by one, and then the whole file.
#[component]
fn WhatChanged(changes: VersionChanges, number: i32) -> impl IntoView {
    let VersionChanges { before, text, notebooks } = changes;
    let (added, removed) = (text.added, text.removed);
    let notebooks = notebooks
        .into_iter()
        .enumerate()
        .map(|(at, (path, diff))| {
            let (note, body) = match diff {
                Ok(diff) => (summary(&diff), view! { <Changes diff id=format!("notebook-{at}")/> }.into_any()),
                Err(why) => ("Not compared".to_owned(), view! { <Body><p class="muted">{why}</p></Body> }.into_any()),
            };
            view! { <Panel title=path id=format!("notebook-{at}") note=note>{body}</Panel> }
        })
        .collect_view();
    view! {
        {notebooks}
        <Panel
            title=format!("Since version {before}")
            id="changes"
            actions=view! { <DiffCount added removed/> }.into_any()
        >
            <Diff diff=text label=format!("Version {before} against version {number}")/>
        </Panel>
    }
}

/// A version of a pipeline's file: `version` in the address chooses, `against` what it is held against.
#[component]
pub fn File(
    /// The addresses of the workspace.
    links: Links,
    /// This page.
    address: Address,
    /// The file.
    page: FilePage,
) -> impl IntoView {
    let FilePage { version, latest, versions, changes, may_write, may_run } = page;
    let spec = version.spec.clone();
    let name = spec.name.clone();
    let edit = format!("{}/edit?version={}", links.pipeline(&name), version.number);
    let start = format!("{}?version={}#start", links.pipeline(&name), version.number);
    let raw = links.pipeline_source(&name, version.number);
    let patch = links.to(&format!("api/v1/pipelines/{name}/versions/{}/patch", version.number));
    let code = version.code.clone().map(|code| view! { <CodeFacts code patch/> });
    let is_old = version.number != latest;
    let compared = (version.number > 1 && changes.is_none()).then(|| {
        let before = (version.number - 1).to_string();
        let href = address.with("version", version.number.to_string()).with("against", before.clone()).href();
        view! { <a href=href>{format!("Changes since {before}")}</a> }
    });
    let number = version.number;
    let others = versions.items.iter().map(|other| other.number).filter(|other| *other != number);
    let against = changes.as_ref().map(|changes| changes.before).or((number > 1).then_some(number - 1));
    let choice = (!versions.items.is_empty()).then(|| {
        view! {
            <CompareWith
                action=format!("{}/file", links.pipeline(&name))
                name="against"
                options=compare::versions(others.collect::<Vec<_>>())
                chosen=against.map(|number| number.to_string())
                hidden=vec![("version", number.to_string())]
            />
        }
    });
    let changes = changes.map(|changes| view! { <WhatChanged changes number/> });
    let steps = format::count(i64::try_from(spec.steps.len()).unwrap_or_default(), "step", "steps");
    let (shown, next) = (versions.items.len(), versions.next_page_token.clone());
    let pages = address.without("version");
    view! {
        <PipelineHead
            links=links.clone()
            name=name.clone()
            description=spec.description.clone()
            version=latest
            part=Shown::File
            may_write
            may_run
        />
        <div class="stack">
            <div class="plain-dag"><Panel title="Steps" id="graph" note=steps><Dag nodes=nodes(&spec)/></Panel></div>
        <div class="with-aside">
            <div class="stack">
                {is_old
                    .then(|| {
                        let href = address.without("version").href();
                        view! {
                            <Callout symbol=Symbol::Commit>
                                <b>{format!("Version {} does not run any more. ", version.number)}</b>
                                <a href=href>{format!("Version {latest}")}</a>
                                " does."
                                {may_write.then_some(" Storing this file again makes it the one that runs.")}
                            </Callout>
                        }
                    })}
                {changes}
                <Panel
                    title=format!("Version {}", version.number)
                    id="source"
                    note=format!("{} lines", version.source.lines().count())
                    actions=view! {
                        <CopyButton text=version.source.clone() label="Copy file"/>
                        <a href=raw>"Raw"</a>
                        {compared}
                        {(is_old && may_run).then(|| view! { <a href=start>"Start it"</a> })}
                        {(is_old && may_write).then(|| view! { <a href=edit>"Edit from here"</a> })}
                    }
                        .into_any()
                >
                    <Listing source=version.source.clone()/>
                </Panel>
            </div>
            <aside class="stack" aria-label="Versions">
                <Panel title="This version" id="facts">
                    <Body>
                        <Facts>
                            <Fact name="Digest"><DigestText digest=version.digest.clone()/></Fact>
                            <Fact name="Stored"><When at=version.created_at/></Fact>
                            <Fact name="By">{version.created_by.clone()}</Fact>
                            {code}
                        </Facts>
                        {choice}
                    </Body>
                </Panel>
                <Panel title="Versions" id="versions">
                    <Rows>
                        {versions
                            .items
                            .into_iter()
                            .map(|other| {
                                let href = address.without("against").with("version", other.number.to_string()).href();
                                let runs = other.number == latest;
                                view! {
                                    <Row
                                        title=format!("Version {}", other.number)
                                        href=href
                                        sub=view! { {other.created_by}", "<code>{other.digest.short().to_owned()}</code> }.into_any()
                                        more=if runs { view! { <Tag text="runs"/> }.into_any() } else { ().into_any() }
                                        end=view! { <When at=other.created_at/> }.into_any()
                                    />
                                }
                            })
                            .collect_view()}
                    </Rows>
                </Panel>
                <Pager address=pages shown next one="version" many="versions"/>
            </aside>
        </div>
        </div>
    }
}

/// The steps of a file, as a graph that leads to their lines.
fn nodes(spec: &PipelineSpec) -> Vec<Node> {
    let graph = spec.graph();
    let node = |(name, step): (&String, &domain::pipeline::StepSpec)| Node {
        name: name.clone(),
        label: None,
        needs: graph.needs(name).map(str::to_owned).collect(),
        href: "#source".to_owned(),
        state: State::Queued,
        word: match (step.steps(), step.retries.count) {
            (Some(steps), _) => format::count(i64::try_from(steps.len()).unwrap_or(i64::MAX), "step", "steps"),
            (None, 0) => "One try".to_owned(),
            (None, more) => format!("{} tries", more + 1),
        },
        note: match (step.timeout_seconds, step.pool.as_str()) {
            (Some(seconds), _) => {
                let span = chrono::TimeDelta::seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 1000));
                format!("up to {}", format::coarse(span))
            }
            (None, _) if step.map.is_some() => "for each".to_owned(),
            (None, _) if step.is_many() => {
                let count: usize = step.matrix.values().map(Vec::len).product();
                format!("{} times", format::integer(i64::try_from(count).unwrap_or(i64::MAX)))
            }
            (None, "default") => String::new(),
            (None, pool) => pool.to_owned(),
        },
        inside: None,
        current: false,
        last: step.finally,
    };
    fold(spec.steps.iter().map(node).collect(), MOST, None, &|_| "#source".to_owned())
}

/// A file with numbered lines, each of which can be linked to.
#[component]
pub(super) fn Listing(source: String) -> impl IntoView {
    view! {
        <div class="log file" tabindex="0" role="region" aria-label="File">
            <ol>
                {source
                    .lines()
                    .enumerate()
                    .map(|(at, line)| {
                        let number = at + 1;
                        view! {
                            <li id=format!("L{number}")>
                                <a href=format!("#L{number}") aria-label=format!("Line {number}")>{number}</a>
                                <span>{coloured(line)}</span>
                            </li>
                        }
                    })
                    .collect_view()}
            </ol>
        </div>
    }
}

/// A line of YAML with its key and its remark set off. It reads no YAML: a line inside a text may be coloured as one.
fn coloured(line: &str) -> AnyView {
    let body = line.trim_start();
    let indent = line[..line.len() - body.len()].to_owned();
    if body.starts_with('#') {
        return view! { {text(indent)}<span class="d">{body.to_owned()}</span> }.into_any();
    }
    let (dash, rest) = body.strip_prefix("- ").map_or(("", body), |rest| ("- ", rest));
    let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    match rest.split_once(':') {
        Some((key, value)) if is_key(key) && (value.is_empty() || value.starts_with(' ')) => {
            view! { {text(indent + dash)}<span class="c">{key.to_owned()}</span>{format!(":{value}")} }.into_any()
        }
        _ => text(line.to_owned()).into_any(),
    }
}

/// The text, where there is some: an empty text node would be a space.
pub(super) fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    #[test]
    fn a_line_keeps_every_character() {
        for line in ["  name: a # b", "    - run: x", "url: http://a:1", "\techo \"a: b\"", "# remark", "", "a:b"] {
            let html = fragment(|| coloured(line));
            let mut text = String::new();
            let mut inside = false;
            for c in html.chars() {
                match c {
                    '<' => inside = true,
                    '>' => inside = false,
                    c if !inside => text.push(c),
                    _ => {}
                }
            }
            assert_eq!(text.replace("&quot;", "\""), line);
        }
    }
}
