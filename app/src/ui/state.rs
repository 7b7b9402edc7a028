//! States: colour and shape and word, always the three.

use super::icon::{Icon, Symbol};
use leptos::prelude::*;

/// The colour of a state. Colours mean states and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tone {
    /// Green.
    Pass,
    /// Red.
    Fail,
    /// Amber.
    Warn,
    /// The accent: it runs.
    Run,
    /// Grey.
    #[default]
    Idle,
}

impl Tone {
    /// The value of `data-s` in the style sheet.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Run => "run",
            Self::Idle => "idle",
        }
    }
}

/// The state of a thing, as it is drawn. What word stands beside it is the page's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Passed, finished, approved, met.
    Passed,
    /// Failed, rejected, firing.
    Failed,
    /// Neither: too little to decide.
    Unsure,
    /// Works, but look.
    Warning,
    /// Runs now.
    Running,
    /// Waits for a machine.
    Queued,
    /// Waits for people.
    Waiting,
    /// Stopped by somebody.
    Cancelled,
    /// Left out, or not allowed.
    Skipped,
    /// Serves.
    Live,
    /// Serves a part of the traffic, or is on its way.
    Rolling,
}

impl State {
    /// All states, in the order the gallery shows them.
    pub const ALL: [Self; 11] = [
        Self::Passed,
        Self::Failed,
        Self::Unsure,
        Self::Warning,
        Self::Running,
        Self::Queued,
        Self::Waiting,
        Self::Cancelled,
        Self::Skipped,
        Self::Live,
        Self::Rolling,
    ];

    /// Its shape.
    #[must_use]
    pub fn symbol(self) -> Symbol {
        match self {
            Self::Passed => Symbol::Pass,
            Self::Failed => Symbol::Fail,
            Self::Unsure => Symbol::Unsure,
            Self::Warning => Symbol::Warn,
            Self::Running => Symbol::Run,
            Self::Queued => Symbol::Queued,
            Self::Waiting => Symbol::Wait,
            Self::Cancelled => Symbol::Cancel,
            Self::Skipped => Symbol::Skip,
            Self::Live | Self::Rolling => Symbol::Live,
        }
    }

    /// Its colour.
    #[must_use]
    pub fn tone(self) -> Tone {
        match self {
            Self::Passed | Self::Live => Tone::Pass,
            Self::Failed => Tone::Fail,
            Self::Unsure | Self::Warning | Self::Waiting => Tone::Warn,
            Self::Running | Self::Rolling => Tone::Run,
            Self::Queued | Self::Cancelled | Self::Skipped => Tone::Idle,
        }
    }
}

/// A state in running text or a row: shape and word.
#[component]
pub fn StateMark(
    /// The state.
    state: State,
    /// The word.
    #[prop(into)]
    word: String,
) -> impl IntoView {
    view! {
        <span class="state" data-s=state.tone().as_str()>
            <Icon symbol=state.symbol() spin=state == State::Running/>
            <span>{word}</span>
        </span>
    }
}

/// A state where the word stands elsewhere: the shape, and the word for those who hear the page.
#[component]
pub fn StateShape(
    /// The state.
    state: State,
    /// The word.
    #[prop(into)]
    word: String,
) -> impl IntoView {
    view! {
        <span class="tone" data-s=state.tone().as_str()>
            <Icon symbol=state.symbol() spin=state == State::Running/>
            <span class="sr">{word}</span>
        </span>
    }
}

/// A state in a page head: shape and word on a soft ground. One to a page.
#[component]
pub fn Badge(
    /// The state.
    state: State,
    /// The word.
    #[prop(into)]
    word: String,
) -> impl IntoView {
    view! {
        <span class="badge" data-s=state.tone().as_str()>
            <Icon symbol=state.symbol() spin=state == State::Running/>
            {word}
        </span>
    }
}

/// A label that states nothing: a tag, an alias, a role.
#[component]
pub fn Tag(
    /// The text.
    #[prop(into)]
    text: String,
    /// Whether one could paste it into a terminal.
    #[prop(optional)]
    mono: bool,
) -> impl IntoView {
    view! { <span class=if mono { "tag mono" } else { "tag" }>{text}</span> }
}
