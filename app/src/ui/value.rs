//! Values in cells: a number, "no value" and "not a number" are three different things; a delta says what it means.

use super::copy::CopyButton;
use crate::format;
use domain::policy::Better;
use leptos::prelude::*;

/// A measured number. None is a thin dash; not a number is said in red.
#[component]
pub fn Num(
    /// The number.
    #[prop(into)]
    value: Option<f64>,
) -> impl IntoView {
    match value {
        None => view! { <span class="none">{format::NONE}</span> }.into_any(),
        Some(value) if value.is_nan() => view! { <span class="nan">"NaN"</span> }.into_any(),
        Some(value) => format::number(value).into_any(),
    }
}

/// Text that may be missing.
#[component]
pub fn Maybe(
    /// The text.
    text: Option<String>,
) -> impl IntoView {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => text.into_any(),
        None => view! { <span class="none">{format::NONE}</span> }.into_any(),
    }
}

/// What a difference means, whatever its sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Better.
    Better,
    /// Worse.
    Worse,
    /// Within what chance explains.
    Unsure,
    /// The same.
    Same,
    /// Nobody said which way is better.
    Plain,
}

impl Meaning {
    /// What a change from `from` to `to` means, when higher or lower is better. Without an interval nothing is unsure.
    #[must_use]
    pub fn of(from: f64, to: f64, better: Option<Better>) -> Self {
        match better {
            _ if from == to => Self::Same,
            None => Self::Plain,
            _ if from.is_nan() || to.is_nan() => Self::Unsure,
            Some(better) if (to > from) == (better == Better::Higher) => Self::Better,
            Some(_) => Self::Worse,
        }
    }

    fn data(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Unsure => "unsure",
            Self::Same => "same",
            Self::Plain => "plain",
        }
    }

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Unsure => "inconclusive",
            Self::Same => "the same",
            Self::Plain => "",
        }
    }
}

/// A difference, with the mark of what it means.
#[component]
pub fn Delta(
    /// The difference, written with its sign and unit: `+0.036`, `−0.051 on v12`.
    #[prop(into)]
    text: String,
    /// What it means.
    meaning: Meaning,
) -> impl IntoView {
    view! {
        <span class="delta" data-d=meaning.data()>
            {text}
            {(!meaning.word().is_empty()).then(|| view! { <span class="sr">" "{meaning.word()}</span> })}
        </span>
    }
}

/// By how much one number is more than another, and what that means; a dash unless there are two to compare.
#[component]
pub fn Difference(
    /// What it is held against.
    from: Option<f64>,
    /// What it is.
    to: Option<f64>,
    /// Which way is better, where somebody said so.
    better: Option<Better>,
) -> impl IntoView {
    match from.zip(to).filter(|(from, to)| from.is_finite() && to.is_finite()) {
        Some((from, to)) => {
            view! { <Delta text=format::signed(to - from) meaning=Meaning::of(from, to, better)/> }.into_any()
        }
        None => view! { <span class="none">{format::NONE}</span> }.into_any(),
    }
}

/// A digest: its first digits to recognise, the whole to copy.
#[component]
pub fn DigestText(
    /// The digest.
    digest: domain::Digest,
) -> impl IntoView {
    let whole = digest.as_str().to_owned();
    view! {
        <span class="digest">
            <code title=whole.clone()>{digest.short().to_owned()}</code>
            <CopyButton text=whole label="Copy digest"/>
        </span>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    #[test]
    fn none_and_nan_and_a_number_look_different() {
        let html = fragment(|| view! { <Num value=None/><Num value=f64::NAN/><Num value=11.9/> });
        assert_eq!(html, r#"<span class="none">–</span><span class="nan">NaN</span>11.90"#);
    }

    #[test]
    fn lower_is_better_turns_the_meaning_round() {
        assert_eq!(Meaning::of(0.792, 0.741, Some(Better::Lower)), Meaning::Better);
        assert_eq!(Meaning::of(0.792, 0.741, Some(Better::Higher)), Meaning::Worse);
        assert_eq!(Meaning::of(0.792, 0.741, None), Meaning::Plain);
        let of = |from, to| fragment(move || view! { <Difference from to better=Some(Better::Lower)/> });
        assert!(of(Some(3.0), Some(1.0)).contains("better</span>"));
        for (from, to) in
            [(None, Some(1.0)), (Some(1.0), None), (Some(f64::NAN), Some(1.0)), (Some(1.0), Some(f64::INFINITY))]
        {
            assert_eq!(of(from, to), r#"<span class="none">–</span>"#);
        }
        let html = fragment(|| view! { <Delta text="−0.051" meaning=Meaning::Better/> });
        assert!(html.contains(r#"data-d="better""#) && html.contains("better</span>"), "{html}");
    }
}
