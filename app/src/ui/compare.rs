//! What something is held against: a form that chooses it by the address.

use super::{
    button::Button,
    field::{self, Draft, SelectField},
};
use leptos::prelude::*;

/// Chooses what the thing of the page is compared with. Nothing when there is nothing else.
#[component]
pub fn CompareWith(
    /// The page that compares.
    #[prop(into)]
    action: String,
    /// What the choice is called in its address.
    name: &'static str,
    /// What can be chosen: the values, and the words for them.
    options: Vec<(String, String)>,
    /// What is compared with now, or would be.
    chosen: Option<String>,
    /// What else the address has to say.
    #[prop(optional)]
    hidden: Vec<(&'static str, String)>,
) -> impl IntoView {
    let mut options = options;
    if let Some(chosen) = chosen.as_ref().filter(|chosen| options.iter().all(|(value, _)| value != *chosen)) {
        options.push((chosen.clone(), chosen.clone()));
    }
    let draft = Draft::of(chosen.map(|chosen| (name, chosen)));
    (!options.is_empty()).then(|| {
        view! {
            <form class="against" method="get" action=action>
                {field::hidden(hidden)}
                <SelectField label="Compare with" name options draft/>
                <Button text="Compare"/>
            </form>
        }
    })
}

/// Versions by their numbers, as what can be chosen.
#[must_use]
pub fn versions(numbers: impl IntoIterator<Item = i32>) -> Vec<(String, String)> {
    numbers.into_iter().map(|number| (number.to_string(), format!("version {number}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    #[test]
    fn a_version_is_chosen_without_a_script() {
        let html = fragment(|| {
            view! { <CompareWith action="/diff" name="from" options=versions([4, 2]) chosen=Some("2".to_owned()) hidden=vec![("version", "5".to_owned())]/> }
        });
        for part in [
            r#"method="get" action="/diff""#,
            r#"name="version" value="5""#,
            r#"<option value="4">version 4</option>"#,
            r#"<option value="2" selected"#,
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert_eq!(fragment(|| view! { <CompareWith action="/" name="from" options=Vec::new() chosen=None/> }), "");
    }
}
