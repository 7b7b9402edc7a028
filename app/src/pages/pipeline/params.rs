//! The fields that ask for the params of a run: where a run is started, and where one is run again.

use crate::ui::prelude::*;
use domain::pipeline::{Param, ParamKind, PipelineSpec};
use leptos::prelude::*;

/// The longest default that stands beside the field. A longer one is in the field anyway.
const MOST_SHOWN: usize = 60;
/// How many lines a field of several shows at most; the browser lets one draw it larger.
const MOST_LINES: usize = 12;

/// The fields of all params: `params.<name>` for each, which begins with its default where the draft has no value.
#[component]
pub(in crate::pages) fn ParamFields(spec: PipelineSpec, draft: Draft) -> impl IntoView {
    spec.params.into_iter().map(|(name, param)| view! { <ParamField name param draft=draft.clone()/> }).collect_view()
}

/// What is wrong with the form beside what its fields say themselves: those of the params, and `others`.
#[component]
pub(in crate::pages) fn ParamErrors(
    spec: PipelineSpec,
    draft: Draft,
    #[prop(optional)] others: &'static [&'static str],
) -> impl IntoView {
    let fields: Vec<String> = spec.params.keys().map(|name| format!("params.{name}")).collect();
    let shown: Vec<&str> = fields.iter().map(String::as_str).chain(others.iter().copied()).collect();
    let messages = draft.messages(&shown);
    (!messages.is_empty()).then(|| {
        view! {
            <Callout tone=Tone::Fail alert=true>
                {messages.into_iter().map(|message| view! { <p>{message}</p> }).collect_view()}
            </Callout>
        }
    })
}

/// The field of a param. What it is for stands below it, and what it takes.
#[component]
fn ParamField(name: String, param: Param, draft: Draft) -> impl IntoView {
    let field = format!("params.{name}");
    let hint = hint(&param);
    let default = param.default.as_ref().map(ToString::to_string);
    let has_default = default.is_some();
    let draft = match default {
        Some(default) if draft.value(&field).is_none() && draft.error(&field).is_none() => {
            Draft::of([(field.clone(), default)])
        }
        _ => draft,
    };
    let choices: Vec<String> = match param.kind {
        ParamKind::Boolean => ["true", "false"].map(str::to_owned).to_vec(),
        _ => param.choices.iter().map(ToString::to_string).collect(),
    };
    if !choices.is_empty() {
        // A browser chooses the first of a list by itself: where nobody has chosen, that must not be one that counts.
        let is_chosen = draft.value(&field).is_some_and(|value| choices.iter().any(|choice| choice == value));
        let none = match param.optional {
            true => Some("None"),
            false => (!is_chosen && !choices.iter().any(String::is_empty)).then_some("Choose"),
        };
        let required = none.is_some() && !param.optional;
        let none = none.map(|word| (String::new(), word.to_owned()));
        let options = none.into_iter().chain(choices.into_iter().map(|word| (word.clone(), word))).collect();
        return view! { <SelectField label=name name=field options hint required draft/> }.into_any();
    }
    let lines = draft.value(&field).unwrap_or_default().lines().count();
    let rows = u32::try_from(lines.clamp(3, MOST_LINES)).unwrap_or(3);
    match param.kind {
        ParamKind::List | ParamKind::Object => {
            let optional = param.optional;
            view! { <TextArea label=name name=field optional rows mono=true hint draft/> }.into_any()
        }
        ParamKind::Number | ParamKind::Integer => {
            let (bounds, optional) = (bounds(&param), param.optional);
            view! { <TextField label=name name=field kind="number" optional autocomplete="off" mono=true hint bounds draft/> }
                .into_any()
        }
        ParamKind::String | ParamKind::Boolean => {
            let optional = param.optional || has_default;
            // A field of one line takes the line breaks out of what it begins with.
            if lines > 1 {
                view! { <TextArea label=name name=field optional rows mono=true hint draft/> }.into_any()
            } else {
                view! { <TextField label=name name=field optional autocomplete="off" mono=true hint draft/> }.into_any()
            }
        }
    }
}

/// What a number may be. A browser counts the steps of whole numbers from the least one, so that must be whole.
fn bounds(param: &Param) -> Bounds {
    match param.kind {
        ParamKind::Integer => {
            Bounds { least: param.minimum.map(f64::ceil), most: param.maximum.map(f64::floor), fraction: false }
        }
        _ => Bounds { least: param.minimum, most: param.maximum, fraction: true },
    }
}

/// What a param is for, what it takes, and what it is when nobody says.
fn hint(param: &Param) -> String {
    let shown = match param.default.as_ref().map(ToString::to_string).as_deref() {
        Some("") => "empty in the file".to_owned(),
        Some(text) if text.chars().count() > MOST_SHOWN => "as in the file".to_owned(),
        Some(text) => format!("{text} in the file"),
        None if param.optional => "may be left out".to_owned(),
        None => "needed".to_owned(),
    };
    let bounds = match (param.minimum, param.maximum) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", at least {least}"),
        (None, Some(most)) => format!(", at most {most}"),
        (None, None) => String::new(),
    };
    let kind = match param.kind {
        ParamKind::String => "A text",
        ParamKind::Number => "A number",
        ParamKind::Integer => "A whole number",
        ParamKind::Boolean => "True or false",
        ParamKind::List => "A list, as JSON",
        ParamKind::Object => "A mapping, as JSON",
    };
    let what = format!("{kind}{bounds}, {shown}");
    match param.description.trim_end_matches('.') {
        "" => what,
        description => format!("{description}. {what}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;
    use domain::pipeline::ParamValue;
    use serde_json::json;

    fn field(param: serde_json::Value, draft: Draft) -> String {
        let param: Param = serde_json::from_value(param).unwrap();
        fragment(|| view! { <ParamField name="it".to_owned() param draft/> })
    }

    #[test]
    fn a_param_begins_with_its_default_and_keeps_what_was_typed() {
        let html = field(json!(0.1), Draft::default());
        assert!(html.contains(r#"value="0.1""#) && html.contains("A number, 0.1 in the file"), "{html}");
        let typed = Draft::of([("params.it", "fast")])
            .refused(&domain::Error::invalid_field("params.it", "The param \"it\" must be a number."));
        let html = field(json!(0.1), typed);
        assert!(html.contains(r#"value="fast""#) && html.contains("must be a number"), "{html}");
    }

    #[test]
    fn what_is_needed_and_has_no_default_is_not_chosen_for_anybody() {
        let none = r#"<option value="">Choose</option>"#;
        for param in [json!({ "type": "boolean" }), json!({ "type": "string", "choices": ["tree", "linear"] })] {
            let html = field(param, Draft::default());
            assert!(html.contains(none) && html.contains(" required") && !html.contains("selected"), "{html}");
        }
        let html = field(json!({ "type": "boolean" }), Draft::of([("params.it", "false")]));
        assert!(!html.contains(none) && html.contains(r#"<option value="false" selected"#), "{html}");
        let html = field(json!({ "type": "boolean", "optional": true }), Draft::default());
        assert!(html.contains(r#"<option value="">None</option>"#) && !html.contains(" required"), "{html}");
        let html = field(json!(true), Draft::default());
        assert!(!html.contains(none) && html.contains(r#"<option value="true" selected"#), "{html}");
        // Of a run of another version, whose file had other choices.
        let html = field(
            json!({ "type": "string", "default": "tree", "choices": ["tree", "linear"] }),
            Draft::of([("params.it", "net")]),
        );
        assert!(html.contains(none) && !html.contains("selected"), "{html}");
    }

    #[test]
    fn numbers_say_their_bounds_and_whole_ones_are_counted_from_a_whole_one() {
        let html = field(json!({ "type": "integer", "minimum": 0.5, "maximum": 9.5 }), Draft::default());
        assert!(html.contains(r#"type="number""#) && html.contains(r#"min="1" max="9""#), "{html}");
        assert!(!html.contains("step=") && html.contains(" required"), "{html}");
        let html = field(json!({ "type": "number", "minimum": 0.5, "optional": true }), Draft::default());
        assert!(html.contains(r#"min="0.5" step="any""#) && !html.contains(" required"), "{html}");
    }

    #[test]
    fn lists_and_texts_of_several_lines_have_room() {
        let html = field(json!({ "type": "list", "optional": true }), Draft::default());
        assert!(html.contains("<textarea") && !html.contains(" required"), "{html}");
        let html = fragment(|| {
            let param = Param::from(ParamValue::Text("select 1\nfrom here".to_owned()));
            view! { <ParamField name="it".to_owned() param draft=Draft::default()/> }
        });
        assert!(html.contains("select 1\nfrom here</textarea>"), "{html}");
    }
}
