//! What one copies: a button beside a text, and commands to paste into a terminal.

use super::icon::{Icon, Symbol};
use leptos::prelude::*;

/// Copies a text. `ui.ts` listens; without it the button keeps its place and is not shown.
#[component]
pub fn CopyButton(
    /// What it copies.
    #[prop(into)]
    text: String,
    /// What it says it does.
    #[prop(into)]
    label: String,
) -> impl IntoView {
    view! {
        <button class="icon-btn copy tip" type="button" data-copy=text aria-label=label.clone() data-tip=label>
            <Icon symbol=Symbol::Copy/>
            <svg class="i done" viewBox="0 0 16 16" aria-hidden="true"><use href="#i-ok"></use></svg>
        </button>
    }
}

/// Commands to paste into a terminal. Lines that start with `#` are remarks.
#[component]
pub fn Command(
    /// The commands.
    #[prop(into)]
    text: String,
) -> impl IntoView {
    let lines = text.lines().map(str::to_owned).collect::<Vec<_>>();
    let last = lines.len().saturating_sub(1);
    view! {
        <div class="cmd">
            <pre tabindex="0">
                {lines
                    .into_iter()
                    .enumerate()
                    .map(|(at, line)| {
                        let end = if at < last { "\n" } else { "" };
                        if line.trim_start().starts_with('#') {
                            view! { <span class="c">{line}{end}</span> }.into_any()
                        } else {
                            format!("{line}{end}").into_any()
                        }
                    })
                    .collect_view()}
            </pre>
            <CopyButton text label="Copy command"/>
        </div>
    }
}

/// A file or a message as it is, to read and to copy.
#[component]
pub fn CodeBlock(
    /// The text.
    #[prop(into)]
    text: String,
    /// What it is, for those who hear the page.
    #[prop(into)]
    label: String,
) -> impl IntoView {
    view! {
        <div class="cmd">
            <pre tabindex="0" role="region" aria-label=label>{text.clone()}</pre>
            <CopyButton text label="Copy text"/>
        </div>
    }
}
