//! What a step gave on.

use super::record::VersionLink;
use crate::{format, ui::prelude::*};
use domain::step::Step;
use leptos::prelude::*;
use serde_json::Value;

/// How many numbers of an output are shown.
const NUMBERS: usize = 12;
/// How many characters of a value are shown; its title has more.
const CHARACTERS: usize = 80;
/// How many characters the title of a value has.
const TITLE: usize = 1000;

/// The panel of a step's outputs.
#[component]
pub(super) fn Outputs(step: Step, links: Links, number: i64) -> impl IntoView {
    let Step { name: step, state, outputs, .. } = step;
    let count = outputs.len();
    if outputs.is_empty() {
        let why = if state.is_final() { "It gave nothing on." } else { "They are here once the step has succeeded." };
        return view! { <Panel title="Outputs" id="outputs"><Body><p class="muted">{why}</p></Body></Panel> }
            .into_any();
    }
    view! {
        <Panel title="Outputs" id="outputs" note=count.to_string()>
            <ul class="list given">
                {outputs
                    .into_iter()
                    .map(|output| {
                        let href = links.step_output(number, &step, &output.name);
                        let symbol = if output.is_folder { Symbol::Folder } else { Symbol::File };
                        let version = output.version.map(|version| {
                            view! { <VersionLink version links=links.clone()/>" " }
                        });
                        let size = format::bytes(u64::try_from(output.size).unwrap_or_default());
                        view! {
                            <li>
                                <Icon symbol/>
                                <div class="grow">
                                    <div class="ellipsis">
                                        <a class="t" href=href download="">{output.name}</a>
                                        " "
                                        <span class="muted mono">{output.path}</span>
                                    </div>
                                    {output.value.map(|value| view! { <Says value/> })}
                                    <div class="sub">{version}<DigestText digest=output.digest/></div>
                                </div>
                                <span class="end">{size}</span>
                            </li>
                        }
                    })
                    .collect_view()}
            </ul>
        </Panel>
    }
    .into_any()
}

/// What an output says: metrics one by one, another value as JSON.
#[component]
fn Says(value: Value) -> impl IntoView {
    let numbers = value.as_object().filter(|map| !map.is_empty() && map.values().all(Value::is_number));
    let Some(numbers) = numbers else {
        let text = value.to_string();
        let shown = cut(&text, CHARACTERS);
        return view! { <code class="says" title=cut(&text, TITLE)>{shown}</code> }.into_any();
    };
    let more = numbers.len().saturating_sub(NUMBERS);
    let rows = numbers
        .iter()
        .take(NUMBERS)
        .map(|(name, number)| {
            // What it says exactly is in the title: what is shown has the digits that mean something.
            let text = number.as_f64().map_or_else(|| number.to_string(), format::number);
            view! { <div><dt>{name.clone()}</dt><dd title=number.to_string()>{text}</dd></div> }
        })
        .collect_view();
    view! {
        <dl class="says">
            {rows}
            {(more > 0).then(|| view! { <div><dt>"…"</dt><dd>{format!("and {more} more")}</dd></div> })}
        </dl>
    }
    .into_any()
}

/// A text, or its beginning when it has more characters than these.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;
    use serde_json::json;

    fn says(value: Value) -> String {
        fragment(|| view! { <Says value/> })
    }

    #[test]
    fn metrics_are_shown_one_by_one_and_a_value_as_it_is() {
        let html = says(json!({ "accuracy": 0.912_345_678, "rows": 4000 }));
        assert!(html.contains(r#"<dt>accuracy</dt><dd title="0.912345678">0.912</dd>"#), "{html}");
        assert!(html.contains("<dt>rows</dt>") && !html.contains("more"), "{html}");
        assert!(says(json!([1, 2])).contains(r#"title="[1,2]" class="says">[1,2]</code>"#));
        let html = says(json!("x".repeat(200)));
        assert!(html.contains(&format!("{}…</code>", "x".repeat(79))), "{html}");
    }

    #[test]
    fn of_many_numbers_some_are_shown() {
        let many: serde_json::Map<String, Value> = (0..30).map(|at| (format!("m{at:02}"), json!(at))).collect();
        let html = says(Value::Object(many));
        assert!(html.contains("<dt>m11</dt>") && !html.contains("<dt>m12</dt>"), "{html}");
        assert!(html.contains("and 18 more"), "{html}");
    }
}
