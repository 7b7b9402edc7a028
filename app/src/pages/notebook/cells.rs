//! The cells of a notebook, each with what came of it.

use crate::{ansi, format, links::FileLinks, pages::files::prose, ui::code::Code, ui::prelude::*};
use chrono::{DateTime, TimeDelta, Utc};
use domain::preview::{CellContent, Notebook, Output};
use leptos::{html::iframe, prelude::*};

/// Longer outputs are closed until somebody opens them.
const LONG: usize = 60;

/// What a notebook is shown among.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// The files that its prose speaks of, and the page that shows them.
    pub files: Option<(FileLinks, Address)>,
    /// The address that shows a document of an output in a frame: the cell and the output are added to it.
    pub frame: Option<String>,
    /// The place of the cell that runs or failed, from 0, and since when it runs.
    pub at: Option<(usize, Option<DateTime<Utc>>)>,
}

/// The cells of a notebook.
#[component]
pub fn Cells(
    /// The notebook.
    notebook: Notebook,
    /// What it is shown among.
    around: Around,
) -> impl IntoView {
    let language = notebook.language.clone();
    let cells = notebook
        .cells
        .into_iter()
        .enumerate()
        .map(|(at, cell)| {
            let tags = cell.tags.iter().map(|tag| view! { <Tag text=tag.clone()/> }).collect_view();
            let tags = (!cell.tags.is_empty()).then(|| view! { <p class="tags">{tags}</p> });
            let id = format!("cell-{}", at + 1);
            match cell.content {
                CellContent::Markdown(blocks) => {
                    let inner = match &around.files {
                        Some((links, address)) => prose::blocks(blocks, links, address),
                        None => prose::alone(blocks),
                    };
                    view! { <li id=id>{tags}<div class="doc">{inner}</div></li> }.into_any()
                }
                CellContent::Raw(text) => view! { <li id=id>{tags}<pre tabindex="0">{text}</pre></li> }.into_any(),
                CellContent::Code { count, took_ms, source, outputs } => {
                    let here = around.at.filter(|(place, _)| *place == at);
                    let failed = outputs.iter().any(|output| matches!(output, Output::Error(_)));
                    let turn = match (count, here) {
                        (Some(count), _) => format!("[{count}]"),
                        (None, Some(_)) => "[*]".to_owned(),
                        (None, None) => "[ ]".to_owned(),
                    };
                    let since = here.and_then(|(_, since)| since);
                    let state = if since.is_some() {
                        Some("run")
                    } else {
                        (failed || (here.is_some() && count.is_some())).then_some("fail")
                    };
                    let took = took_ms.filter(|took| *took >= 100 && since.is_none()).map(|took| {
                        view! { <span class="took">{format::duration(TimeDelta::milliseconds(took))}</span> }
                    });
                    let runs = since.map(|since| {
                        let span = (now() - since).max(TimeDelta::zero());
                        view! {
                            <p class="runs">
                                <StateMark state=State::Running word="Runs"/>
                                " for "
                                <span data-seconds=span.num_seconds().to_string()>{format::duration(span)}</span>
                            </p>
                        }
                    });
                    let language = language.clone();
                    let outputs =
                        outputs.into_iter().map(|output| self::output(output, around.frame.as_deref())).collect_view();
                    view! {
                        <li id=id data-s=state>
                            <div class="turn"><span>{turn}</span>{took}</div>
                            {tags}
                            <pre class="source" tabindex="0"><Code source language/></pre>
                            {outputs}
                            {runs}
                        </li>
                    }
                    .into_any()
                }
            }
        })
        .collect_view();
    view! { <ol class="notebook">{cells}</ol> }
}

fn output(output: Output, frame: Option<&str>) -> AnyView {
    match output {
        Output::Text { text, is_err } => {
            terminal(&text, if is_err { "out log-colours warned" } else { "out log-colours" })
        }
        Output::Error(text) => terminal(&text, "out err log-colours"),
        Output::Image(src) => view! { <div class="out"><img src=src alt="What the cell drew"/></div> }.into_any(),
        Output::Document(blocks) => view! { <div class="out doc">{prose::alone(blocks)}</div> }.into_any(),
        Output::Frame { cell, output, text } => {
            let text = (!text.is_empty()).then(|| terminal(&text, "out log-colours"));
            match frame {
                Some(address) => {
                    let mark = if address.contains('?') { '&' } else { '?' };
                    let src = format!("{address}{mark}cell={cell}&output={output}");
                    // Loaded when somebody opens it, and not before.
                    let framed = iframe()
                        .attr("class", "frame")
                        .attr("sandbox", "allow-scripts")
                        .attr("referrerpolicy", "no-referrer")
                        .attr("loading", "lazy")
                        .attr("title", format!("Output of cell {}", cell + 1))
                        .attr("src", src);
                    view! {
                        {text}
                        <details class="out apart">
                            <summary>"Show the document that the cell made"</summary>
                            <p class="muted">"It runs apart from this page: without the network, your session, or anything of this site."</p>
                            {framed}
                        </details>
                    }
                    .into_any()
                }
                None => view! { {text}<p class="out muted">"Left out: a document that needs scripts."</p> }.into_any(),
            }
        }
        Output::LeftOut(media) => {
            view! { <p class="out muted">"Left out: "<code>{media}</code>", which nothing here draws."</p> }.into_any()
        }
    }
}

/// Text with the colours of a terminal. A long one is closed at first, with its last lines in sight.
fn terminal(text: &str, class: &'static str) -> AnyView {
    let lines: Vec<_> = ansi::lines(text);
    let shown = |lines: Vec<Vec<ansi::Span>>| {
        let count = lines.len();
        lines
            .into_iter()
            .enumerate()
            .map(|(at, spans)| {
                let spans = spans
                    .into_iter()
                    .map(|span| match span.class.as_str() {
                        "" => span.text.into_any(),
                        _ => view! { <span class=span.class>{span.text}</span> }.into_any(),
                    })
                    .collect_view();
                view! { {spans}{(at + 1 < count).then_some("\n")} }
            })
            .collect_view()
    };
    let count = lines.len();
    if count <= LONG {
        return view! { <pre class=class tabindex="0">{shown(lines)}</pre> }.into_any();
    }
    let mut lines = lines;
    let last = lines.split_off(count - LONG / 2);
    let hidden = i64::try_from(count - last.len()).unwrap_or(i64::MAX);
    view! {
        <details class="long">
            <summary>{format!("{} before these", format::count(hidden, "line", "lines"))}</summary>
            <pre class=class tabindex="0">{shown(lines)}</pre>
        </details>
        <pre class=class tabindex="0">{shown(last)}</pre>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;
    use domain::preview::{Block, Cell, Formula, GridCell, GridRow, Inline, MathNode};

    fn cells(outputs: Vec<Output>, around: Around) -> String {
        let source = "x = '<b>'".to_owned();
        let content = CellContent::Code { count: Some(3), took_ms: Some(2500), source, outputs };
        let cell = Cell { tags: vec!["<parameters>".to_owned()], content };
        let notebook = Notebook { language: Some("python".to_owned()), cells: vec![cell], total: 1 };
        fragment(move || view! { <Cells notebook around/> })
    }

    #[test]
    fn what_a_notebook_says_stays_text() {
        let html = cells(
            vec![
                Output::Text { text: "\u{1b}[31m<script>\u{1b}[0m".to_owned(), is_err: false },
                Output::Error("<img src=x onerror=alert(1)>".to_owned()),
                Output::LeftOut("<x>".to_owned()),
                Output::Document(vec![
                    Block::Grid(vec![GridRow {
                        is_head: true,
                        cells: vec![GridCell {
                            is_head: true,
                            columns: 2,
                            rows: 1,
                            parts: vec![Inline::Text("<td>".to_owned())],
                        }],
                    }]),
                    Block::Paragraph(vec![Inline::Math(Formula {
                        tex: "x<y".to_owned(),
                        drawn: vec![MathNode::Element {
                            name: "math",
                            attributes: vec![("class", "\"><script>".to_owned())],
                            children: vec![MathNode::Text("<script>&".to_owned())],
                        }],
                    })]),
                ]),
            ],
            Around::default(),
        );
        assert!(
            !html.contains("<script") && !html.contains("<img") && !html.contains("<x>") && !html.contains("<b>"),
            "{html}"
        );
        assert!(html.contains(r#"<span class="r">&lt;script&gt;</span>"#), "{html}");
        assert!(html.contains("<math class=\"&quot;&gt;&lt;script&gt;\">&lt;script&gt;&amp;</math>"), "{html}");
        assert!(html.contains(r#"colspan="2""#) && html.contains("2.5 s"), "{html}");
    }

    #[test]
    fn a_document_is_shown_in_a_frame_alone_and_only_when_asked_for() {
        let output = || Output::Frame { cell: 4, output: 1, text: "a plot".to_owned() };
        let html = cells(vec![output()], Around { frame: Some("/shown".to_owned()), ..Around::default() });
        assert!(html.contains(r#"sandbox="allow-scripts""#) && html.contains("/shown?cell=4&amp;output=1"), "{html}");
        assert!(html.contains("<details") && html.contains(r#"loading="lazy""#) && !html.contains("allow-same-origin"));
        assert!(!cells(vec![output()], Around::default()).contains("<iframe"));
    }

    #[test]
    fn a_long_output_shows_its_end() {
        let text = (1..=500).map(|n| format!("line {n}\n")).collect::<String>();
        let html = cells(vec![Output::Text { text, is_err: false }], Around::default());
        assert!(html.contains("<details") && html.contains("lines before these"), "{html}");
    }
}
