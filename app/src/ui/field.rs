//! Forms: what was typed, what is wrong with it, and the fields that show both.

use super::icon::{Icon, Symbol};
use leptos::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

/// What somebody typed into a form, and what was wrong with it. A form that is shown first has an empty one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft(Arc<Inner>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Inner {
    values: BTreeMap<String, Vec<String>>,
    errors: BTreeMap<String, String>,
    message: Option<String>,
}

impl Draft {
    /// The values as they were typed, or as the form starts with.
    pub fn of<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in pairs {
            values.entry(name.into()).or_default().push(value.into());
        }
        Self(Arc::new(Inner { values, ..Inner::default() }))
    }

    /// The same values, refused: at the field that the error names, or above the form.
    #[must_use]
    pub fn refused(mut self, error: &domain::error::Error) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        match &error.field {
            Some(field) => {
                inner.errors.insert(field.clone(), error.message.clone());
            }
            None => inner.message = Some(error.message.clone()),
        }
        self
    }

    /// The same for the form that sends this as `do`, where a page has several; an empty one for the others.
    #[must_use]
    pub fn of_form(&self, act: &str) -> Self {
        if self.value("do") == Some(act) { self.clone() } else { Self::default() }
    }

    /// The first value of a field.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.values.get(name).and_then(|values| values.first()).map(String::as_str)
    }

    /// Whether the field has this value among its values.
    #[must_use]
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.0.values.get(name).is_some_and(|values| values.iter().any(|v| v == value))
    }

    /// What is wrong with a field.
    #[must_use]
    pub fn error(&self, name: &str) -> Option<&str> {
        self.0.errors.get(name).map(String::as_str)
    }

    /// What is wrong with the whole: the message without a field, and those of fields that the form does not show.
    #[must_use]
    pub fn messages(&self, shown: &[&str]) -> Vec<String> {
        let hidden =
            self.0.errors.iter().filter(|(name, _)| !shown.contains(&name.as_str())).map(|(_, error)| error.clone());
        self.0.message.clone().into_iter().chain(hidden).collect()
    }

    /// Whether it was refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.0.message.is_some() || !self.0.errors.is_empty()
    }
}

/// What is wrong with a form as a whole. `fields` are those that show their own errors.
#[component]
pub fn FormErrors(
    /// What was typed.
    draft: Draft,
    /// The fields of this form.
    #[prop(optional)]
    fields: &'static [&'static str],
) -> impl IntoView {
    let messages = draft.messages(fields);
    (!messages.is_empty()).then(|| {
        view! {
            <div class="callout" data-s="fail" role="alert">
                <Icon symbol=Symbol::Warn/>
                <div>{messages.into_iter().map(|message| view! { <p>{message}</p> }).collect_view()}</div>
            </div>
        }
    })
}

/// The ids of a field's hint and error, for `aria-describedby`.
fn described(id: &str, hint: bool, error: bool) -> Option<String> {
    let ids: Vec<String> = [(hint, "hint"), (error, "error")]
        .into_iter()
        .filter(|(has, _)| *has)
        .map(|(_, part)| format!("{id}-{part}"))
        .collect();
    (!ids.is_empty()).then(|| ids.join(" "))
}

/// The frame of a field: its label above, its hint and error below.
#[component]
fn Frame(
    id: String,
    label: String,
    hint: Option<String>,
    error: Option<String>,
    optional: bool,
    children: Children,
) -> impl IntoView {
    view! {
        <div class="field">
            <label for=id.clone()>
                {label}
                {optional.then(|| view! { <span class="optional">" (optional)"</span> })}
            </label>
            {children()}
            {hint.map(|hint| view! { <p class="hint" id=format!("{id}-hint")>{hint}</p> })}
            {error
                .map(|error| {
                    view! {
                        <p class="error" id=format!("{id}-error")>
                            <Icon symbol=Symbol::Warn/>
                            <span>{error}</span>
                        </p>
                    }
                })}
        </div>
    }
}

/// Names and values that a form sends along unseen.
pub fn hidden(values: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> impl IntoView {
    values
        .into_iter()
        .map(|(name, value)| view! { <input type="hidden" name=name.into() value=value.into()/> })
        .collect_view()
}

/// What a field for a number takes; whatever a browser takes by itself, when nothing is said.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bounds {
    /// The least number.
    pub least: Option<f64>,
    /// The greatest number.
    pub most: Option<f64>,
    /// Whether it may have a fraction. A browser's own fields take whole numbers alone.
    pub fraction: bool,
}

/// One line of text. A password is never written back into the page.
#[component]
pub fn TextField(
    /// What it asks for.
    #[prop(into)]
    label: String,
    /// Its name, and its id.
    #[prop(into)]
    name: String,
    /// The HTML type: `text`, `email`, `password`, `number`, `url`.
    #[prop(default = "text")]
    kind: &'static str,
    /// What was typed, and what is wrong.
    #[prop(optional)]
    draft: Draft,
    /// One sentence of help.
    #[prop(optional, into)]
    hint: Option<String>,
    /// Whether it may stay empty.
    #[prop(optional)]
    optional: bool,
    /// What a browser may fill in.
    #[prop(optional, into)]
    autocomplete: Option<String>,
    /// The greatest length.
    #[prop(optional, into)]
    max: Option<usize>,
    /// Whether the page starts here.
    #[prop(optional)]
    focus: bool,
    /// Whether it is code.
    #[prop(optional)]
    mono: bool,
    /// What may be chosen instead of typed.
    #[prop(optional)]
    choices: Vec<String>,
    /// Of a number: what it may be.
    #[prop(optional)]
    bounds: Bounds,
) -> impl IntoView {
    let id = name.clone();
    let list = (!choices.is_empty()).then(|| format!("{id}-choices"));
    let value = (kind != "password").then(|| draft.value(&name).map(str::to_owned)).flatten();
    let error = draft.error(&name).map(str::to_owned);
    let invalid = error.is_some().then_some("true");
    let describedby = described(&id, hint.is_some(), error.is_some());
    view! {
        <Frame id=id.clone() label hint error optional>
            <input
                class=if mono { "input mono" } else { "input" }
                id=id
                name=name
                type=kind
                value=value
                required=!optional
                autocomplete=autocomplete
                maxlength=max.map(|max| max.to_string())
                autofocus=focus
                min=bounds.least.map(|least| least.to_string())
                max=bounds.most.map(|most| most.to_string())
                step=bounds.fraction.then_some("any")
                list=list.clone()
                aria-invalid=invalid
                aria-describedby=describedby
            />
            {list
                .map(|id| {
                    let choices = choices.into_iter().map(|choice| view! { <option value=choice></option> }).collect_view();
                    view! { <datalist id=id>{choices}</datalist> }
                })}
        </Frame>
    }
}

/// Several lines of text.
#[component]
pub fn TextArea(
    /// What it asks for.
    #[prop(into)]
    label: String,
    /// Its name, and its id.
    #[prop(into)]
    name: String,
    /// What was typed, and what is wrong.
    #[prop(optional)]
    draft: Draft,
    /// The id, where a page has two fields of one name.
    #[prop(optional, into)]
    id: Option<String>,
    /// One sentence of help.
    #[prop(optional, into)]
    hint: Option<String>,
    /// Whether it may stay empty.
    #[prop(optional)]
    optional: bool,
    /// An example.
    #[prop(optional, into)]
    placeholder: Option<String>,
    /// How many lines it shows.
    #[prop(default = 3)]
    rows: u32,
    /// Whether it is code.
    #[prop(optional)]
    mono: bool,
) -> impl IntoView {
    let id = id.unwrap_or_else(|| name.clone());
    // A text area drops the line break right after its tag, so one is put there for it to drop.
    let value = draft.value(&name).map(|value| format!("\n{value}")).unwrap_or_default();
    let error = draft.error(&name).map(str::to_owned);
    let invalid = error.is_some().then_some("true");
    let describedby = described(&id, hint.is_some(), error.is_some());
    view! {
        <Frame id=id.clone() label hint error optional>
            <textarea
                class=if mono { "input mono" } else { "input" }
                id=id
                name=name
                rows=rows.to_string()
                required=!optional
                placeholder=placeholder
                spellcheck=if mono { "false" } else { "true" }
                aria-invalid=invalid
                aria-describedby=describedby
                inner_html=escape(&value)
            ></textarea>
        </Frame>
    }
}

/// Text as it stands inside an element.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// One of a list.
#[component]
pub fn SelectField(
    /// What it asks for.
    #[prop(into)]
    label: String,
    /// Its name, and its id.
    #[prop(into)]
    name: String,
    /// The values and the words for them.
    options: Vec<(String, String)>,
    /// What was chosen, and what is wrong.
    #[prop(optional)]
    draft: Draft,
    /// One sentence of help.
    #[prop(optional, into)]
    hint: Option<String>,
    /// Whether a choice has to be made: the first option, with an empty value, is none.
    #[prop(optional)]
    required: bool,
) -> impl IntoView {
    let chosen = draft.value(&name).map(str::to_owned);
    let error = draft.error(&name).map(str::to_owned);
    let invalid = error.is_some().then_some("true");
    let describedby = described(&name, hint.is_some(), error.is_some());
    view! {
        <Frame id=name.clone() label hint error optional=false>
            <select
                class="input"
                id=name.clone()
                name=name
                required=required
                aria-invalid=invalid
                aria-describedby=describedby
            >
                {options
                    .into_iter()
                    .map(|(value, word)| {
                        let selected = chosen.as_ref() == Some(&value);
                        view! { <option value=value selected=selected>{word}</option> }
                    })
                    .collect_view()}
            </select>
        </Frame>
    }
}

/// A box to tick, with its sentence beside it.
#[component]
pub fn CheckField(
    /// Its name.
    #[prop(into)]
    name: String,
    /// The value it sends when ticked.
    #[prop(default = "on".to_owned(), into)]
    value: String,
    /// What was ticked.
    #[prop(optional)]
    draft: Draft,
    /// The sentence.
    children: Children,
) -> impl IntoView {
    let checked = draft.has(&name, &value);
    view! {
        <label class="check">
            <input type="checkbox" name=name value=value checked=checked/>
            <span>{children()}</span>
        </label>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;
    use domain::error::Error;

    #[test]
    fn a_refused_field_keeps_what_was_typed_and_says_why() {
        let draft = Draft::of([("email", "ada@")]).refused(&Error::invalid_field("email", "This is not an address."));
        let html = fragment(|| view! { <TextField label="E-mail" name="email" kind="email" hint="For work." draft/> });
        for part in [
            r#"<label for="email">"#,
            r#"value="ada@""#,
            r#"aria-invalid="true""#,
            r#"aria-describedby="email-hint email-error""#,
            r#"id="email-error""#,
            "This is not an address.",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn what_may_be_chosen_is_offered_where_it_is_typed() {
        let choices = vec!["churn".to_owned(), "<wine>".to_owned()];
        let html = fragment(|| view! { <TextField label="Name" name="name" choices/> });
        for part in [r#"list="name-choices""#, r#"<datalist id="name-choices">"#, r#"value="churn""#] {
            assert!(html.contains(part), "{part} in {html}");
        }
        let html = fragment(|| view! { <TextField label="Name" name="name"/> });
        assert!(!html.contains("list"), "{html}");
    }

    #[test]
    fn a_number_says_what_it_may_be() {
        let bounds = Bounds { least: Some(0.5), most: Some(3.0), fraction: true };
        let html = fragment(|| view! { <TextField label="Rate" name="rate" kind="number" bounds/> });
        assert!(html.contains(r#"min="0.5" max="3" step="any""#), "{html}");
        let html = fragment(|| view! { <TextField label="Days" name="days" kind="number"/> });
        assert!(!html.contains("min=") && !html.contains("step="), "{html}");
    }

    #[test]
    fn of_several_forms_only_the_one_that_was_sent_is_shown_again() {
        let draft = Draft::of([("do", "tag"), ("key", "a")]).refused(&Error::invalid_field("key", "No."));
        assert_eq!(draft.of_form("tag"), draft);
        assert!(!draft.of_form("rename").is_refused());
    }

    #[test]
    fn a_password_is_not_written_back() {
        let html = fragment(
            || view! { <TextField label="Password" name="password" kind="password" draft=Draft::of([("password", "secret-word")])/> },
        );
        assert!(!html.contains("secret-word"));
    }

    #[test]
    fn a_text_area_shows_markup_as_text() {
        let html = fragment(
            || view! { <TextArea label="Comment" name="comment" draft=Draft::of([("comment", "</textarea><b>&")])/> },
        );
        assert!(html.contains("\n&lt;/textarea>&lt;b>&amp;</textarea>"), "{html}");
    }

    #[test]
    fn an_error_of_a_field_that_is_not_shown_stands_above_the_form() {
        let draft = Draft::default().refused(&Error::invalid_field("digest", "Somebody changed it; look again."));
        let html = fragment(|| view! { <FormErrors draft fields=&["comment"]/> });
        assert!(html.contains("Somebody changed it; look again."));
    }
}
