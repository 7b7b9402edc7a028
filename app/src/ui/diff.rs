//! Two texts against each other, line by line: colour and sign and word.

use crate::format;
use domain::text_diff::{LineChange, TextDiff};
use leptos::prelude::*;

/// The lines that changed, among a few that did not.
#[component]
pub fn Diff(
    /// What is different.
    diff: TextDiff,
    /// Of what, for those who hear the page.
    #[prop(into)]
    label: String,
) -> impl IntoView {
    if diff.is_empty() {
        return view! { <div class="body"><p class="muted">"The two are the same."</p></div> }.into_any();
    }
    let hunks = diff
        .hunks
        .into_iter()
        .map(|hunk| {
            let rows = hunk
                .into_iter()
                .map(|line| {
                    let (class, sign, word) = match line.change {
                        LineChange::Same => ("", " ", ""),
                        LineChange::Removed => ("del", "−", "Removed: "),
                        LineChange::Added => ("ins", "+", "Added: "),
                    };
                    let number = |n: Option<u32>| n.map(|n| n.to_string());
                    view! {
                        <tr class=class>
                            <td class="ln">{number(line.before)}</td>
                            <td class="ln">{number(line.after)}</td>
                            <td class="sign" aria-hidden="true">{sign}</td>
                            <td class="text"><span class="sr">{word}</span>{line.text}</td>
                        </tr>
                    }
                })
                .collect_view();
            view! { <tbody>{rows}</tbody> }
        })
        .collect_view();
    view! {
        <div class="diff" tabindex="0" role="region" aria-label=label>
            <table>{hunks}</table>
        </div>
    }
    .into_any()
}

/// How many lines came and went.
#[component]
pub fn DiffCount(
    /// Lines that came.
    added: usize,
    /// Lines that went.
    removed: usize,
) -> impl IntoView {
    let count = |n: usize| format::integer(i64::try_from(n).unwrap_or(i64::MAX));
    view! {
        <span class="diff-count">
            <span class="ins">{format!("+{}", count(added))}</span>" "
            <span class="del">{format!("−{}", count(removed))}</span>
            <span class="sr">" lines added and removed"</span>
        </span>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    #[test]
    fn a_change_is_told_by_sign_and_word_and_text_stays_text() {
        let diff = TextDiff::of("a\n<b>\n", "a\nc\n");
        let html = fragment(move || view! { <Diff diff label="Card"/> });
        for part in ["&lt;b&gt;", "Removed: ", "Added: ", r#"class="del""#, r#"class="ins""#] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }
}
