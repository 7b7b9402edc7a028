//! Two notebooks against each other, cell by cell.

use crate::{format, ui::prelude::*};
use domain::notebook::{CellChange, CellDiff, NotebookDiff, OutputDiff};
use leptos::prelude::*;

/// What is different between two notebooks.
#[component]
pub fn Changes(
    /// What is different.
    diff: NotebookDiff,
    /// Begins the ids of its cells, unique in the page.
    #[prop(into)]
    id: String,
) -> impl IntoView {
    if diff.is_empty() {
        return view! { <Body><p class="muted">"The two are the same: their sources, and what came of them."</p></Body> }
            .into_any();
    }
    let is_cut = diff.is_cut;
    // Runs of cells that are the same are one line.
    let mut rows: Vec<AnyView> = Vec::new();
    let mut same: Vec<CellDiff> = Vec::new();
    for (at, cell) in diff.cells.into_iter().enumerate() {
        if cell.change == CellChange::Same {
            same.push(cell);
            continue;
        }
        rows.extend(alike(std::mem::take(&mut same)));
        rows.push(changed(cell, format!("{id}-{}", at + 1)));
    }
    rows.extend(alike(same));
    view! {
        <ol class="cell-diffs">{rows.into_iter().collect_view()}</ol>
        {is_cut.then(|| view! { <Body><p class="muted">"The first 500 cells of each were compared."</p></Body> })}
    }
    .into_any()
}

/// How much is different, in a few words.
#[must_use]
pub fn summary(diff: &NotebookDiff) -> String {
    let count = |n: usize, one: &str, many: &str| {
        (n > 0).then(|| format::count(i64::try_from(n).unwrap_or(i64::MAX), one, many))
    };
    let parts: Vec<String> = [
        count(diff.added, "cell added", "cells added"),
        count(diff.removed, "cell removed", "cells removed"),
        count(diff.changed, "cell changed", "cells changed"),
        count(diff.moved, "cell moved", "cells moved"),
        count(diff.outputs, "cell with other outputs", "cells with other outputs"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "Nothing is different".to_owned() } else { parts.join(", ") }
}

fn alike(cells: Vec<CellDiff>) -> Option<AnyView> {
    let (first, last) = (cells.first()?.after?, cells.last()?.after?);
    let words = match cells.len() {
        1 => format!("Cell {first} is the same: {}", cells[0].name),
        count => format!("Cells {first} to {last} are the same ({count})"),
    };
    Some(view! { <li class="same">{words}</li> }.into_any())
}

fn changed(cell: CellDiff, id: String) -> AnyView {
    let (state, word) = match cell.change {
        CellChange::Added => (State::Passed, "Added"),
        CellChange::Removed => (State::Failed, "Removed"),
        CellChange::Moved => (State::Rolling, "Moved"),
        CellChange::Changed if cell.source.is_empty() => (State::Warning, "Other outputs"),
        CellChange::Changed | CellChange::Same => (State::Warning, "Changed"),
    };
    let place = match (cell.before, cell.after) {
        (Some(before), Some(after)) if before != after => format!("Cell {before}, now {after}"),
        (Some(number), None) => format!("Cell {number} before"),
        (_, Some(number)) => format!("Cell {number}"),
        (None, None) => "Cell".to_owned(),
    };
    let kind = (cell.kind != "code").then(|| view! { <Tag text=cell.kind.clone()/> });
    let (added, removed) = (cell.source.added, cell.source.removed);
    let count = (!cell.source.is_empty()).then(|| view! { <DiffCount added removed/> });
    let source = (!cell.source.is_empty()).then(|| {
        view! { <Diff diff=cell.source label=format!("Source of {}", place.to_lowercase())/> }
    });
    let outputs = cell.outputs.into_iter().map(|output| of_output(output, &place)).collect_view();
    view! {
        <li id=id>
            <header>
                <h3>{place.clone()}</h3>
                <StateMark state word/>
                {kind}
                <code class="ellipsis">{cell.name}</code>
                <span class="push">{count}</span>
            </header>
            {source}
            {outputs}
        </li>
    }
    .into_any()
}

fn of_output(output: OutputDiff, place: &str) -> AnyView {
    let label = format!("Output {} of {}", output.kind, place.to_lowercase());
    let picture = |src: Option<String>, word: &'static str| match src {
        Some(src) => view! { <figure><figcaption>{word}</figcaption><img src=src alt=word/></figure> }.into_any(),
        None => view! { <figure><figcaption>{word}</figcaption><p class="muted">"None"</p></figure> }.into_any(),
    };
    let body = match output.text {
        Some(text) => view! { <Diff diff=text label/> }.into_any(),
        None => view! {
            <div class="pictures">{picture(output.before, "Before")}{picture(output.after, "After")}</div>
        }
        .into_any(),
    };
    view! { <p class="output-kind">"Output "<code>{output.kind}</code></p>{body} }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;
    use domain::text_diff::TextDiff;

    #[test]
    fn what_changed_is_told_cell_by_cell_and_stays_text() {
        let cell = |change, number: u32, before: &str, after: &str| CellDiff {
            change,
            kind: "code".to_owned(),
            before: Some(number),
            after: Some(number),
            name: "<name>".to_owned(),
            source: TextDiff::of(before, after),
            outputs: Vec::new(),
        };
        let mut last = cell(CellChange::Changed, 4, "<a>", "<b>");
        last.outputs = vec![OutputDiff {
            kind: "image/png".to_owned(),
            text: None,
            before: Some("data:image/png;base64,AA".to_owned()),
            after: None,
        }];
        let cells = vec![
            cell(CellChange::Same, 1, "", ""),
            cell(CellChange::Same, 2, "", ""),
            cell(CellChange::Same, 3, "", ""),
            last,
        ];
        let diff = NotebookDiff { cells, changed: 1, outputs: 1, ..NotebookDiff::default() };
        assert_eq!(summary(&diff), "1 cell changed, 1 cell with other outputs");
        let html = fragment(move || view! { <Changes diff id="d"/> });
        for part in ["Cells 1 to 3 are the same (3)", "&lt;a&gt;", "&lt;name&gt;", "data:image/png;base64,AA", "Before"]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("<name>"));
    }
}
