//! The field for the name of a column, which is completed while somebody types; without scripts it offers what is usual.

use crate::islands::Completion;
use domain::run_table::RunColumn;
use leptos::prelude::*;

/// The field, its button, and what is wrong with what was typed.
#[component]
pub(super) fn TypedColumn(
    /// The id of the field, which those of its lists begin with.
    id: &'static str,
    /// Its name in the address.
    name: &'static str,
    /// The form that it belongs to.
    form: &'static str,
    label: &'static str,
    placeholder: &'static str,
    /// What the button says.
    button: &'static str,
    value: Option<String>,
    /// What is wrong with what was typed.
    #[prop(optional_no_strip)]
    wrong: Option<String>,
    /// What is offered without scripts.
    usual: Vec<RunColumn>,
    /// Where columns are looked for while somebody types.
    search: String,
) -> impl IntoView {
    let (list, options, error) = (format!("{id}-usual"), format!("{id}-options"), format!("{id}-error"));
    let invalid = wrong.is_some().then_some("true");
    let described = wrong.is_some().then(|| error.clone());
    view! {
        <div class="add complete" data-keep="">
            <input
                class="input mono"
                type="text"
                id=id
                name=name
                form=form
                value=value
                list=list.clone()
                placeholder=placeholder
                aria-label=label
                aria-invalid=invalid
                aria-describedby=described
                autocomplete="off"
                spellcheck="false"
            />
            <button class="btn" type="submit" form=form>{button}</button>
            <div class="completions" id=options.clone() role="listbox" aria-label=label hidden=""></div>
        </div>
        {wrong.map(|wrong| view! { <p class="filter-note error" id=error role="alert">{wrong}</p> })}
        <Completion input=id list=options search then="send"/>
        <datalist id=list>
            {usual.into_iter().map(|column| view! { <option value=column.to_string()></option> }).collect_view()}
        </datalist>
    }
}
