//! The file that is chosen, drawn as what it is.

use super::{ShownFile, prose, uri};
use crate::pages::notebook::cells::{Around, Cells as NotebookCells};
use crate::{links::FileLinks, ui::prelude::*};
use domain::preview::{Part, Preview, Reason, Table as Rows, Text};
use leptos::prelude::*;

/// A file: its name and size, what is shown of it, and how to get it.
#[component]
pub(super) fn File(links: FileLinks, address: Address, file: ShownFile, base: String) -> impl IntoView {
    let path = file.path.to_string();
    let name = file.path.file_name().to_owned();
    let shown = links.shown(&path);
    let download = links.content(&path);
    let has_lines = matches!(file.preview, Preview::Text(_) | Preview::Json(_));
    let actions = view! {
        {has_lines.then(|| view! { <label class="check wrap-lines"><input type="checkbox" autocomplete="off"/>"Wrap"</label> })}
        <CopyButton text=path.clone() label="Copy path"/>
        <a class="btn" href=download.clone() download="">
            <Icon symbol=Symbol::Download/>
            "Download"
        </a>
    };
    let rest = rest(&file.preview);
    let (sort, body) = match file.preview {
        Preview::Image => {
            ("Image", view! { <figure class="picture"><img src=shown alt=name.clone()/></figure> }.into_any())
        }
        Preview::Frame => ("HTML", view! { <Frame src=shown name=name.clone()/> }.into_any()),
        Preview::Text(text) => ("Text", view! { <Lines text name=name.clone()/> }.into_any()),
        Preview::Json(text) => ("JSON", view! { <Lines text name=name.clone()/> }.into_any()),
        Preview::Table(rows) => ("Table", view! { <Cells rows name=name.clone()/> }.into_any()),
        Preview::Markdown { blocks, .. } => {
            let address = address.without("from");
            ("Markdown", view! { <div class="body doc">{prose::blocks(blocks, &links, &address)}</div> }.into_any())
        }
        Preview::Notebook(notebook) => {
            let address = address.without("from");
            let around = Around { files: Some((links.clone(), address)), frame: Some(links.shown(&path)), at: None };
            ("Notebook", view! { <NotebookCells notebook around/> }.into_any())
        }
        Preview::Nothing(reason) => {
            let command = format!("mlflow.artifacts.download_artifacts(\"{}\")", uri(&base, &path));
            ("File", view! { <Nothing reason size=file.size command/> }.into_any())
        }
    };
    let foot = view! {
        {rest.map(|rest| view! { <span class="rest">{rest}</span> })}
        <span class="file-facts">
            <span class="mono breaks">{path}</span>
            <DigestText digest=file.digest/>
        </span>
    };
    view! {
        <Panel title=name id="file" note=format!("{sort}, {}", format::bytes(file.size)) actions=actions.into_any() foot=foot.into_any()>
            {body}
        </Panel>
    }
}

/// What is not shown, in a sentence.
fn rest(preview: &Preview) -> Option<String> {
    let part = |part: &Part| {
        (!part.is_whole()).then(|| {
            format!(
                "Showing the first {} of {}. Download the file for the rest.",
                format::bytes(part.shown),
                format::bytes(part.of)
            )
        })
    };
    match preview {
        Preview::Text(text) => {
            let cut = (text.cut_lines > 0).then(|| {
                let lines = i64::try_from(text.cut_lines).unwrap_or(i64::MAX);
                format!("{} longer than 2,000 characters.", format::count(lines, "line is", "lines are"))
            });
            join([part(&text.part), cut])
        }
        Preview::Json(text) => (!text.part.is_whole() || text.cut_lines > 0)
            .then(|| "Showing the beginning, laid out. Download the file for the rest.".to_owned()),
        Preview::Markdown { part: of, .. } => part(of),
        Preview::Table(rows) => {
            let shown = i64::try_from(rows.rows.len()).unwrap_or(i64::MAX);
            let rows_told = match rows.total_rows.and_then(|total| i64::try_from(total).ok()) {
                Some(total) if total <= shown => Some(format!("{}.", format::count(total, "row", "rows"))),
                Some(total) if shown == 1 => Some(format!("The first row of {}.", format::integer(total))),
                Some(total) => {
                    Some(format!("The first {} rows of {}.", format::integer(shown), format::integer(total)))
                }
                None => Some(format!("The first {}.", format::count(shown, "row", "rows"))),
            };
            let columns = rows.columns.len();
            let columns_told =
                (columns < rows.total_columns).then(|| format!("{columns} of {} columns.", rows.total_columns));
            join([rows_told, columns_told].into_iter().chain(rows.notes.iter().cloned().map(Some)))
        }
        Preview::Notebook(notebook) if notebook.cells.len() < notebook.total => {
            Some(format!("The first {} cells of {}.", notebook.cells.len(), notebook.total))
        }
        Preview::Frame => Some(
            "It runs apart from this page: without the network, your session, or anything of this site.".to_owned(),
        ),
        Preview::Image | Preview::Notebook(_) | Preview::Nothing(_) => None,
    }
}

fn join(sentences: impl IntoIterator<Item = Option<String>>) -> Option<String> {
    let told: Vec<String> = sentences.into_iter().flatten().collect();
    (!told.is_empty()).then(|| told.join(" "))
}

/// Lines with their numbers, each a link to itself. The links are not on the way of Tab: there may be thousands.
#[component]
fn Lines(text: Text, name: String) -> impl IntoView {
    let lines = text
        .lines
        .into_iter()
        .enumerate()
        .map(|(at, line)| {
            let number = at + 1;
            view! {
                <li id=format!("L{number}")>
                    <a href=format!("#L{number}") tabindex="-1">{number}</a>
                    <span>{line}</span>
                </li>
            }
        })
        .collect_view();
    view! {
        <div class="log lines" tabindex="0" role="region" aria-label=format!("Lines of {name}")>
            <ol>{lines}</ol>
        </div>
    }
}

/// A document in a frame that is kept from everything around it.
#[component]
fn Frame(src: String, name: String) -> impl IntoView {
    view! { <iframe class="frame" sandbox="allow-scripts" referrerpolicy="no-referrer" src=src title=name></iframe> }
}

#[component]
fn Cells(rows: Rows, name: String) -> impl IntoView {
    let heads = rows
        .columns
        .iter()
        .map(|column| {
            let dtype = column.dtype.clone().map(|dtype| view! { <span class="sub">{dtype}</span> });
            view! { <th scope="col" class=column.is_number.then_some("num")>{column.name.clone()}{dtype}</th> }
        })
        .collect_view();
    let numbers: Vec<bool> = rows.columns.iter().map(|column| column.is_number).collect();
    let body = rows
        .rows
        .into_iter()
        .enumerate()
        .map(|(at, row)| {
            let cells = row
                .into_iter()
                .zip(&numbers)
                .map(|(cell, is_number)| {
                    let cell = match cell {
                        Some(text) => {
                            let title = text.clone();
                            view! { <span class="ellipsis" title=title>{text}</span> }.into_any()
                        }
                        None => view! { <span class="none">{format::NONE}</span> }.into_any(),
                    };
                    view! { <td class=is_number.then_some("num")>{cell}</td> }
                })
                .collect_view();
            view! { <tr><td class="num muted row-no">{at + 1}</td>{cells}</tr> }
        })
        .collect_view();
    view! {
        <Table label=format!("Rows of {name}") tall=true class="data">
            <thead><tr><th scope="col" class="num row-no"><span class="sr">"Row"</span></th>{heads}</tr></thead>
            <tbody>{body}</tbody>
        </Table>
    }
}

/// Nothing of the file is shown, and why.
#[component]
fn Nothing(reason: Reason, size: u64, command: String) -> impl IntoView {
    let (title, text) = match reason {
        Reason::Empty => ("The file is empty", "It has no bytes.".to_owned()),
        Reason::Binary => (
            "This file is not shown",
            "Its bytes are no text, and nothing here draws this sort of file. Download it, or get it with an MLflow client:".to_owned(),
        ),
        Reason::TooLarge(most) => (
            "This file is too large to show",
            format!("It has {}; up to {} of its sort are shown. Get it with an MLflow client:", format::bytes(size), format::bytes(most)),
        ),
        Reason::Damaged(why) => ("This file cannot be shown", why),
    };
    if size == 0 {
        return view! { <Empty symbol=Symbol::File title text/> }.into_any();
    }
    view! { <Empty symbol=Symbol::File title text command/> }.into_any()
}
