//! What moves in the browser. An island adds behaviour to HTML that the server rendered and that is complete without
//! it: it shows nothing itself, and takes the ids and addresses that it works with. What it does is in [`crate::browser`],
//! which only the WebAssembly build has; props are texts alone, so that no number parser has to travel with them.
//!
//! Keys, copying and selected rows are no islands: `app/scripts/ui.ts` does them for the whole document.

use leptos::prelude::*;

/// Keeps the page current. `events` is a stream whose `change` events say that this page is out of date; the page is
/// then asked for again, and each element with an id and `data-live` is changed in place to what it says now. While
/// something in the page has `data-look-again`, the page is asked for every few seconds as well, for what no event tells
/// of. Once in a page.
#[island]
pub fn LiveRegion(
    /// The address of the stream.
    #[prop(into)]
    events: String,
) -> impl IntoView {
    #[cfg(feature = "hydrate")]
    crate::browser::live_region::start(events);
    #[cfg(not(feature = "hydrate"))]
    drop(events);
}

/// Completes what is typed into the field with the id `input`, with the list with the id `list`, both in an element of
/// the class `complete`. `GET <search>?text=…&cursor=…` answers `{"items":[{"text","label","detail"}]}`, and where a part
/// of the text is completed, `from` and `to`, characters into it. What is taken stands in the field, and with `then` as
/// `send` the button beside it is pressed.
#[island]
pub fn Completion(
    /// The field.
    #[prop(into)]
    input: String,
    /// The list.
    #[prop(into)]
    list: String,
    /// The address to ask.
    #[prop(into)]
    search: String,
    /// What comes after something was taken.
    #[prop(into)]
    then: String,
) -> impl IntoView {
    #[cfg(feature = "hydrate")]
    crate::browser::completion::start(&input, &list, search, &then);
    #[cfg(not(feature = "hydrate"))]
    drop((input, list, search, then));
}

/// Appends the lines of a running log to the list in the panel with the id `log`, which `ui::log` renders.
///
/// The stream sends `lines`, whose id is the number of the last line and whose data is a JSON list of
/// `domain::log::LogLine`, and at the end of the log `end`, whose data is the state in a word. It is asked with
/// `after=<line>` for what follows that line, and with `Last-Event-ID` when the browser reconnects by itself; it may
/// break off at any time.
#[island]
pub fn LiveLog(
    /// The id of the log's panel.
    #[prop(into)]
    log: String,
    /// The address of the stream.
    #[prop(into)]
    events: String,
) -> impl IntoView {
    #[cfg(feature = "hydrate")]
    crate::browser::live_log::start(&log, events);
    #[cfg(not(feature = "hydrate"))]
    drop((log, events));
}

/// Brings the charts of the board with the id `board`, which `ui::metric` renders, to life: they can be zoomed, read and
/// smoothed together, their groups load when they are opened, and while a run runs they follow it. One for all charts of a
/// page: it loads `app/scripts/chart.ts`, which does the rest, from the board's `data-library`.
#[island]
pub fn Charts(
    /// The board's id.
    #[prop(into)]
    board: String,
) -> impl IntoView {
    #[cfg(feature = "hydrate")]
    crate::browser::charts::start(&board);
    #[cfg(not(feature = "hydrate"))]
    drop(board);
}

/// Finds things while one types into the palette, which the shell renders. `GET <search>?q=…` answers
/// `{"items":[{"kind","title","detail","href"}]}`.
#[island]
pub fn Palette(
    /// The address to ask.
    #[prop(into)]
    search: String,
) -> impl IntoView {
    #[cfg(feature = "hydrate")]
    crate::browser::palette::start(search);
    #[cfg(not(feature = "hydrate"))]
    drop(search);
}
