//! People are round, machines are square; the hue of a name is the same everywhere.

use crate::format::initials;
use leptos::prelude::*;

/// One of the twelve hues, by name. It must never change for a name, so it is a plain sum over its bytes.
#[must_use]
pub fn hue(name: &str) -> u8 {
    let sum = name.bytes().fold(2_166_136_261_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(16_777_619));
    // Less than 12, so it fits.
    #[allow(clippy::cast_possible_truncation)]
    let hue = ((sum ^ (sum >> 15)) % 12) as u8;
    hue
}

/// How large an avatar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Size {
    /// Beside a line of meta.
    Small,
    /// In a table's row.
    Row,
    /// Everywhere else.
    #[default]
    Normal,
}

/// Somebody, as two letters. The name stands beside it, or is given to those who hear the page with `named`.
#[component]
pub fn Avatar(
    /// The name.
    #[prop(into)]
    name: String,
    /// Whether it is a machine: a service account, or Slipway itself.
    #[prop(optional)]
    machine: bool,
    /// How large.
    #[prop(optional)]
    size: Size,
    /// Whether the name stands nowhere else.
    #[prop(optional)]
    named: bool,
) -> impl IntoView {
    let mut class = "avatar".to_owned();
    if machine {
        class.push_str(" machine");
    }
    class.push_str(match size {
        Size::Small => " sm",
        Size::Row => " md",
        Size::Normal => "",
    });
    let title = named.then(|| name.clone());
    view! {
        <span class=class data-hue=hue(&name).to_string() data-letters=initials(&name) title=title aria-hidden="true"></span>
        {named.then(|| view! { <span class="sr">{name}</span> })}
    }
}
