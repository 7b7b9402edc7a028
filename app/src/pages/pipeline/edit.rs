//! Writing a pipeline's file: a new one, or a new version of one.

use super::file::text;
use crate::ui::prelude::*;
use domain::{Error, pipeline::Problem};
use leptos::prelude::*;

/// The file that a new pipeline starts with: it runs as it is.
#[must_use]
pub fn example() -> &'static str {
    include_str!("example.yaml")
}

/// The form for a file. Sends `source`, and as `instead_of` the newest version, to `pipelines/new` or `pipelines/{name}/edit`.
#[component]
pub fn Edit(
    /// The addresses of the workspace.
    links: Links,
    /// The pipeline whose file it is; none for a new one.
    #[prop(optional_no_strip)]
    name: Option<String>,
    /// The number of its newest version.
    #[prop(optional_no_strip)]
    newest: Option<i32>,
    /// The file as it was typed, under `source`, and why it was refused.
    draft: Draft,
    /// What is wrong in it, line by line.
    #[prop(optional)]
    problems: Vec<Problem>,
) -> impl IntoView {
    let source = draft.value("source").unwrap_or_default().to_owned();
    let seen = draft.value("instead_of").map(ToOwned::to_owned).or(newest.map(|newest| newest.to_string()));
    let (action, title, crumbs, back) = match &name {
        Some(name) => (
            format!("{}/edit", links.pipeline(name)),
            format!("Edit {name}"),
            vec![
                Crumb::to("Pipelines", links.pipelines()),
                Crumb::to(name.clone(), links.pipeline(name)),
                Crumb::here("Edit"),
            ],
            links.pipeline(name),
        ),
        None => (
            links.to("pipelines/new"),
            "New pipeline".to_owned(),
            vec![Crumb::to("Pipelines", links.pipelines()), Crumb::here("New")],
            links.pipelines(),
        ),
    };
    let rows = u32::try_from(source.lines().count()).unwrap_or(u32::MAX).saturating_add(2).clamp(24, 44);
    let go = if name.is_some() { "Store new version" } else { "Store pipeline" };
    // Problems that have their place are told there; the field says only that there are some.
    let told =
        if problems.is_empty() { draft } else { draft.refused(&Error::invalid_field("source", summary(&problems))) };
    view! {
        <Crumbs items=crumbs/>
        <PageHead title=title.into_any()/>
        <div class="with-aside mt-4">
            <div class="stack">
                <Problems problems source=source.clone()/>
                <form class="stack" method="post" action=action>
                    {seen.map(|seen| view! { <input type="hidden" name="instead_of" value=seen/> })}
                    <FormErrors draft=told.clone() fields=&["source"]/>
                    <TextArea label="File" name="source" draft=told rows mono=true/>
                    <div class="form">
                        <div class="go">
                            <Button text=go kind=Kind::Primary/>
                            <ButtonLink text="Cancel" href=back/>
                        </div>
                    </div>
                </form>
            </div>
            <aside class="stack" aria-label="What a file says"><Keys/></aside>
        </div>
    }
}

fn summary(problems: &[Problem]) -> String {
    match problems.len() {
        1 => "Something is wrong in this file; nothing was stored.".to_owned(),
        count => format!("{count} things are wrong in this file; nothing was stored."),
    }
}

/// Each problem with the lines around it. With scripts, its place is a link into the field.
#[component]
pub(in crate::pages) fn Problems(
    /// The problems.
    problems: Vec<Problem>,
    /// The file.
    source: String,
    /// What became of it.
    #[prop(default = "Nothing was stored")]
    heading: &'static str,
) -> impl IntoView {
    let lines: Vec<String> = source.lines().map(str::to_owned).collect();
    let count = problems.len();
    (count > 0).then(|| {
        let rows = problems
            .into_iter()
            .map(|problem| {
                let place = format!("Line {}, column {}", problem.line, problem.column);
                let place_label = format!("Lines up to {}", problem.line);
                let first = problem.line.saturating_sub(1).max(1);
                let around = (first..=problem.line)
                    .filter_map(|number| {
                        let line = lines.get(number - 1)?.clone();
                        let wrong = number == problem.line;
                        Some(view! {
                            <li class=wrong.then_some("err")>
                                <span class="no">{number}</span>
                                <span>{if wrong { marked(&line, problem.column) } else { text(line).into_any() }}</span>
                            </li>
                        })
                    })
                    .collect_view();
                view! {
                    <li>
                        <p>
                            <a href="#source" data-line=problem.line.to_string() data-column=problem.column.to_string()>{place}</a>
                            " "
                            {problem.message}
                        </p>
                        <ol class="log excerpt" tabindex="0" aria-label=place_label>{around}</ol>
                    </li>
                }
            })
            .collect_view();
        view! {
            <section class="panel problems" aria-labelledby="h-problems" role="alert">
                <header>
                    <h2 id="h-problems">{heading}</h2>
                    <span class="note">{if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") }}</span>
                </header>
                <ol>{rows}</ol>
            </section>
        }
    })
}

/// A line with the character at this column marked.
fn marked(line: &str, column: usize) -> AnyView {
    let at = column.saturating_sub(1);
    let before: String = line.chars().take(at).collect();
    let mut rest = line.chars().skip(at);
    let word: String = match rest.next() {
        None => return view! { {text(before)}<mark>" "</mark> }.into_any(),
        Some(first) => std::iter::once(first)
            .chain(rest.clone().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '-'))
            .collect(),
    };
    let after: String = line.chars().skip(at + word.chars().count()).collect();
    view! { {text(before)}<mark>{word}</mark>{text(after)} }.into_any()
}

/// The keys of a file, in short.
#[component]
fn Keys() -> impl IntoView {
    let keys = [
        ("name", "The pipeline's name. Required."),
        ("params", "Names and defaults; a run may change them. A step finds one as $PARAM_NAME."),
        ("files", "Path and text of files written into every step's directory."),
        ("steps", "Name and step. Required."),
        ("command", "Of a step: a script for sh, or a list of program and arguments."),
        ("inputs", "Of a step: name: step.output. It waits for that step, and finds the file as $INPUT_NAME."),
        ("outputs", "Of a step: name: path. It writes to $OUTPUT_NAME."),
        ("needs", "Of a step: others it waits for without taking anything."),
        ("timeout", "Of a step: 90s, 15m, 1h30m."),
        ("retries", "Of a step: a count, or { count: 3, backoff: 30s }."),
    ];
    view! {
        <Panel title="What a file says" id="keys-of-file">
            <Body>
                <Facts small=true>
                    {keys
                        .map(|(key, what)| view! { <Fact name=key>{what}</Fact> })
                        .collect_view()}
                </Facts>
                <p class="muted">"Each version is kept with its digest. Storing a file that says the same makes no new one."</p>
            </Body>
        </Panel>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;
    use domain::pipeline::PipelineSpec;

    #[test]
    fn the_example_can_be_stored_as_it_is() {
        assert_eq!(PipelineSpec::parse(example()).map(|spec| spec.name), Ok("first-pipeline".to_owned()));
    }

    #[test]
    fn a_refused_file_is_kept_and_each_problem_shows_its_line() {
        let source = "name: x\nsteps:\n  train:\n    comand: python\n";
        let problems = PipelineSpec::parse(source).unwrap_err().0;
        assert!(!problems.is_empty());
        let draft = Draft::of([("source", source)]);
        let html = fragment(|| view! { <Edit links=Links::new("lab") draft problems/> });
        assert!(html.contains("    comand: python\n</textarea>"), "{html}");
        assert!(html.contains(r#"data-line="4""#), "{html}");
        assert!(html.contains("<mark>comand</mark>: python"), "{html}");
    }
}
