//! Prose. What it is made of is values: there is no markup of a file's to put into the page.

use crate::{chart::escape, links::FileLinks, ui::prelude::*};
use domain::preview::{Block, Formula, GridRow, Inline, MathNode, Target};
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
pub(in crate::pages) fn blocks(blocks: Vec<Block>, links: &FileLinks, address: &Address) -> AnyView {
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
        Block::Grid(rows) => grid(rows, among),
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
        Inline::Picture(address, words) => view! { <img src=address alt=words/> }.into_any(),
        Inline::Math(formula) => math(&formula),
        Inline::Break => view! { <br/> }.into_any(),
        Inline::Task(done) => {
            let word = if done { "Done" } else { "To do" };
            view! { <input type="checkbox" checked=done disabled aria-label=word/>" " }.into_any()
        }
    }
}

/// A formula: drawn by the browser, or as it was typed.
fn math(formula: &Formula) -> AnyView {
    if formula.drawn.is_empty() {
        return view! { <code class="tex">{formula.tex.clone()}</code> }.into_any();
    }
    let mut markup = String::new();
    formula.drawn.iter().for_each(|node| write_math(node, &mut markup));
    view! { <span class="math" inner_html=markup></span> }.into_any()
}

/// Names of elements and attributes are ours; what stands between them is text.
fn write_math(node: &MathNode, into: &mut String) {
    match node {
        MathNode::Text(text) => into.push_str(&escape(text)),
        MathNode::Element { name, attributes, children } => {
            into.push('<');
            into.push_str(name);
            for (attribute, value) in attributes {
                into.push_str(&format!(" {attribute}=\"{}\"", escape(value)));
            }
            into.push('>');
            children.iter().for_each(|child| write_math(child, into));
            into.push_str(&format!("</{name}>"));
        }
    }
}

fn grid(rows: Vec<GridRow>, among: Among<'_>) -> AnyView {
    let row = |row: GridRow| {
        let is_head = row.is_head;
        let cells = row
            .cells
            .into_iter()
            .map(|cell| {
                let is_number = matches!(cell.parts.as_slice(), [Inline::Text(text)] if is_number(text));
                let is_empty = cell.parts.is_empty();
                let (columns, rows) = (cell.columns, cell.rows);
                let columns = (columns > 1).then(|| columns.to_string());
                let rows = (rows > 1).then(|| rows.to_string());
                let class = is_number.then_some("num");
                let inner = inlines(cell.parts, among);
                match (cell.is_head && !is_empty, is_head) {
                    (true, true) => {
                        view! { <th scope="col" class=class colspan=columns rowspan=rows>{inner}</th> }.into_any()
                    }
                    (true, false) => {
                        view! { <th scope="row" class=class colspan=columns rowspan=rows>{inner}</th> }.into_any()
                    }
                    (false, _) => view! { <td class=class colspan=columns rowspan=rows>{inner}</td> }.into_any(),
                }
            })
            .collect_view();
        view! { <tr>{cells}</tr> }
    };
    let (head, body): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.is_head);
    let head = (!head.is_empty()).then(|| view! { <thead>{head.into_iter().map(row).collect_view()}</thead> });
    let body = body.into_iter().map(row).collect_view();
    view! { <Table label="Table" class="data grid">{head}<tbody>{body}</tbody></Table> }.into_any()
}

fn is_number(text: &str) -> bool {
    let text = text.trim();
    text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | '−'))
        && text.chars().any(|c| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '+' | 'e' | 'E' | '%' | '−' | '\u{a0}'))
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
