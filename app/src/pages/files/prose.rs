//! Markdown and notebooks. What they are made of is values: there is no markup of theirs to put into the page.

use crate::{links::FileLinks, ui::prelude::*};
use domain::preview::{Block, Cell, Inline, Notebook, Output, Target};
use leptos::prelude::*;

/// What prose stands among.
#[derive(Clone, Copy)]
struct Among<'a> {
    /// The files, and the page that shows them. None: it stands by itself.
    files: Option<(&'a FileLinks, &'a Address)>,
    /// By how many levels its headings are raised for those who hear the page, so that none is skipped.
    raised: u8,
}

/// Prose, with its links and pictures among these files.
pub(super) fn blocks(blocks: Vec<Block>, links: &FileLinks, address: &Address) -> AnyView {
    all(blocks, Among { files: Some((links, address)), raised: 0 })
}

/// Prose that stands by itself: of files that it speaks of there are the words, and no pictures.
pub(in crate::pages) fn alone(blocks: Vec<Block>) -> AnyView {
    let highest = blocks.iter().filter_map(|block| match block {
        Block::Heading(level, _) => Some(*level),
        _ => None,
    });
    let raised = highest.min().map_or(0, |level| level.saturating_sub(1));
    all(blocks, Among { files: None, raised })
}

fn all(blocks: Vec<Block>, among: Among<'_>) -> AnyView {
    blocks.into_iter().map(|one| block(one, among)).collect_view().into_any()
}

fn block(block: Block, among: Among<'_>) -> AnyView {
    let line = |parts: Vec<Inline>| inlines(parts, among);
    match block {
        // The page has a title, and the panel one: those of the prose are below.
        Block::Heading(level, parts) => {
            let class = match level {
                1 => "h1",
                2 => "h2",
                3 => "h3",
                _ => "h4",
            };
            match level.saturating_sub(among.raised) {
                0 | 1 => view! { <h3 class=class>{line(parts)}</h3> }.into_any(),
                2 => view! { <h4 class=class>{line(parts)}</h4> }.into_any(),
                3 => view! { <h5 class=class>{line(parts)}</h5> }.into_any(),
                _ => view! { <h6 class=class>{line(parts)}</h6> }.into_any(),
            }
        }
        Block::Paragraph(parts) => view! { <p>{line(parts)}</p> }.into_any(),
        Block::Code(code) => view! { <pre tabindex="0"><code>{code}</code></pre> }.into_any(),
        Block::Quote(inner) => view! { <blockquote>{all(inner, among)}</blockquote> }.into_any(),
        Block::List(start, items) => {
            let items = items
                .into_iter()
                .map(|item| {
                    // An item of one paragraph is a line.
                    let inner = match <[Block; 1]>::try_from(item) {
                        Ok([Block::Paragraph(parts)]) => line(parts),
                        Ok([other]) => all(vec![other], among),
                        Err(item) => all(item, among),
                    };
                    view! { <li>{inner}</li> }
                })
                .collect_view();
            match start {
                Some(start) => view! { <ol start=start.to_string()>{items}</ol> }.into_any(),
                None => view! { <ul>{items}</ul> }.into_any(),
            }
        }
        Block::Table(head, rows) => {
            let head = head.into_iter().map(|cell| view! { <th scope="col">{line(cell)}</th> }).collect_view();
            let rows = rows
                .into_iter()
                .map(|row| {
                    let cells = row.into_iter().map(|cell| view! { <td>{inlines(cell, among)}</td> }).collect_view();
                    view! { <tr>{cells}</tr> }
                })
                .collect_view();
            view! { <Table label="Table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></Table> }.into_any()
        }
        Block::Rule => view! { <hr/> }.into_any(),
    }
}

fn inlines(parts: Vec<Inline>, among: Among<'_>) -> AnyView {
    parts.into_iter().map(|part| inline(part, among)).collect_view().into_any()
}

fn inline(part: Inline, among: Among<'_>) -> AnyView {
    match part {
        Inline::Text(text) => text.into_any(),
        Inline::Code(code) => view! { <code>{code}</code> }.into_any(),
        Inline::Emphasis(parts) => view! { <em>{inlines(parts, among)}</em> }.into_any(),
        Inline::Strong(parts) => view! { <strong>{inlines(parts, among)}</strong> }.into_any(),
        Inline::Struck(parts) => view! { <s>{inlines(parts, among)}</s> }.into_any(),
        Inline::Link(Target::Web(href), parts) => {
            view! { <a href=href rel="noopener noreferrer nofollow">{inlines(parts, among)}</a> }.into_any()
        }
        Inline::Link(Target::Artifact(path), parts) => match among.files {
            Some((_, address)) => {
                let href = address.with("path", path.to_string()).href();
                view! { <a href=href>{inlines(parts, among)}</a> }.into_any()
            }
            None => inlines(parts, among),
        },
        Inline::Image(path, words) => match among.files {
            Some((links, _)) => view! { <img src=links.shown(path.as_str()) alt=words loading="lazy"/> }.into_any(),
            None => words.into_any(),
        },
        Inline::Break => view! { <br/> }.into_any(),
        Inline::Task(done) => {
            let word = if done { "Done" } else { "To do" };
            view! { <input type="checkbox" checked=done disabled aria-label=word/>" " }.into_any()
        }
    }
}

/// The cells of a notebook, each with what came of it.
#[component]
pub(super) fn Cells(notebook: Notebook, links: FileLinks, address: Address) -> impl IntoView {
    let cells = notebook
        .cells
        .into_iter()
        .map(|cell| match cell {
            Cell::Markdown(prose) => {
                view! { <li><div class="doc">{blocks(prose, &links, &address)}</div></li> }.into_any()
            }
            Cell::Raw(text) => view! { <li><pre tabindex="0">{text}</pre></li> }.into_any(),
            Cell::Code { count, source, outputs } => {
                let turn = count.map_or_else(|| "[ ]".to_owned(), |count| format!("[{count}]"));
                view! {
                    <li>
                        <span class="turn">{turn}</span>
                        <pre class="source" tabindex="0"><code>{source}</code></pre>
                        {outputs.into_iter().map(output).collect_view()}
                    </li>
                }
                .into_any()
            }
        })
        .collect_view();
    view! { <ol class="notebook">{cells}</ol> }
}

fn output(output: Output) -> AnyView {
    match output {
        Output::Text(text) => view! { <pre class="out" tabindex="0">{text}</pre> }.into_any(),
        Output::Error(text) => view! { <pre class="out err" tabindex="0">{text}</pre> }.into_any(),
        Output::Image(src) => view! { <div class="out"><img src=src alt="What the cell drew"/></div> }.into_any(),
        Output::LeftOut(media) => {
            view! { <p class="out muted">"Left out: "<code>{media}</code>", which could run in this page."</p> }
                .into_any()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    #[test]
    fn prose_by_itself_has_words_where_files_would_be() {
        let path = ArtifactPath::parse("plots/a.png").unwrap();
        let html = fragment(move || {
            alone(vec![Block::Paragraph(vec![
                Inline::Link(Target::Artifact(path.clone()), vec![Inline::Text("curve".to_owned())]),
                Inline::Image(path, "A curve".to_owned()),
            ])])
        });
        assert_eq!(html, "<p>curveA curve</p>");
    }
    use domain::artifact_path::ArtifactPath;

    fn html(parts: Vec<Block>) -> String {
        let links = Links::new("lab").version_files("churn", 7);
        let address = Address::new("/here", []);
        fragment(move || blocks(parts, &links, &address))
    }

    #[test]
    fn prose_is_markup_of_ours_around_text_of_theirs() {
        let path = ArtifactPath::parse("plots/a b.png").unwrap();
        let link = |target| Inline::Link(target, vec![Inline::Text("<x>".to_owned())]);
        let html = html(vec![
            Block::Heading(1, vec![Inline::Text("\"</h3><script>".to_owned())]),
            Block::List(Some(3), vec![vec![Block::Paragraph(vec![Inline::Task(true), Inline::Code("a".to_owned())])]]),
            Block::Paragraph(vec![
                link(Target::Web("https://example.com/\"><script>".to_owned())),
                link(Target::Artifact(path.clone())),
                Inline::Image(path, "\" onerror=\"x".to_owned()),
            ]),
        ]);
        assert!(!html.contains("<script") && !html.contains("onerror=\"x"), "{html}");
        assert!(html.contains(r#"rel="noopener noreferrer nofollow""#), "{html}");
        assert!(html.contains(r#"<a href="/here?path=plots%2Fa%20b.png">&lt;x&gt;</a>"#), "{html}");
        assert!(html.contains("/w/lab/models/churn/versions/7/shown?path=plots%2Fa%20b.png"), "{html}");
        assert!(html.contains(r#"<ol start="3"><li><input"#), "{html}");
    }
}
