//! The symbols: one sheet in the page, drawn on a 16-pixel grid in the colour of the text around them.

use leptos::prelude::*;

macro_rules! symbols {
    ($($(#[$doc:meta])* $name:ident $id:literal $body:literal;)*) => {
        /// A symbol of the sheet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Symbol {
            $($(#[$doc])* $name,)*
        }

        impl Symbol {
            /// All symbols.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its id in the sheet.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            fn body(self) -> &'static str {
                match self {
                    $(Self::$name => $body,)*
                }
            }
        }
    };
}

symbols! {
    /// Circle with a tick: it passed.
    Pass "i-pass" r#"<path fill-rule="evenodd" d="M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1Zm3.3 4.2-4.2 4.4-2.3-2.2-1 1.1 3.4 3.2 5.2-5.5z"/>"#;
    /// Octagon with a cross: it failed.
    Fail "i-fail" r#"<path fill-rule="evenodd" d="M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1ZM5.6 4.5 4.5 5.6 6.9 8l-2.4 2.4 1.1 1.1L8 9.1l2.4 2.4 1.1-1.1L9.1 8l2.4-2.4-1.1-1.1L8 6.9z"/>"#;
    /// Diamond with a wave: inconclusive.
    Unsure "i-unsure" r#"<path fill-rule="evenodd" d="m8 .6 7.4 7.4L8 15.4.6 8ZM4.6 7.3v1.5c1.4-1.2 2.4-.7 3.6-.1 1.2.6 2.2.8 3.2-.1V7.1c-1.2 1-2 .6-3.1.1-1.2-.6-2.3-.9-3.7.1Z"/>"#;
    /// Triangle: look at this.
    Warn "i-warn" r#"<path fill-rule="evenodd" d="M8 1.2 15.5 14.5H.5ZM7.2 6v4h1.6V6Zm0 5.2v1.6h1.6v-1.6Z"/>"#;
    /// Arc: it runs.
    Run "i-run" r#"<path fill="none" stroke="currentColor" stroke-opacity=".28" stroke-width="2.2" d="M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2Z"/><path fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" d="M8 2a6 6 0 0 1 6 6"/>"#;
    /// Dashed circle: it waits for a machine.
    Queued "i-queued" r#"<circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.8" stroke-dasharray="2.2 2.5"/>"#;
    /// Clock: it waits for people, or until a time.
    Wait "i-wait" r#"<path fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" d="M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2ZM8 4.8V8l2.2 1.6"/>"#;
    /// Filled ring: it serves.
    Live "i-live" r#"<circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.7"/><circle cx="8" cy="8" r="3"/>"#;
    /// Square with a bar: cancelled.
    Cancel "i-cancel" r#"<path fill-rule="evenodd" d="M2.5 1.5h11a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1ZM4.5 7.2v1.6h7V7.2Z"/>"#;
    /// Struck circle: skipped or barred.
    Skip "i-skip" r#"<path fill="none" stroke="currentColor" stroke-width="1.6" d="M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2ZM4 12 12 4"/>"#;
    Home "i-home" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" d="M2.5 7 8 2.3 13.5 7v6.5h-4V9.8h-3v3.7h-4Z"/>"#;
    Flask "i-flask" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" d="M6 1.8h4M6.7 2v4.3L2.7 13a.9.9 0 0 0 .8 1.3h9a.9.9 0 0 0 .8-1.3l-4-6.7V2M4.7 10h6.6"/>"#;
    Pipe "i-pipe" r#"<g fill="none" stroke="currentColor" stroke-width="1.5"><circle cx="3.5" cy="8" r="1.8"/><circle cx="12.5" cy="3.7" r="1.8"/><circle cx="12.5" cy="12.3" r="1.8"/><path d="M5.3 8h1.5c2.5 0 1.5-4.3 3.9-4.3M6.8 8c2.5 0 1.5 4.3 3.9 4.3"/></g>"#;
    Cube "i-cube" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" d="m8 1.7 5.6 3.1v6.4L8 14.3l-5.6-3.1V4.8ZM2.6 4.9 8 8l5.4-3.1M8 8v6.2"/>"#;
    Promote "i-up" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" d="M2 13.8h12M8 10.8V2.3M4.7 5.5 8 2.2l3.3 3.3"/>"#;
    Layers "i-env" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" d="m8 2 6.2 3L8 8 1.8 5ZM1.8 8 8 11l6.2-3M1.8 11 8 14l6.2-3"/>"#;
    Pulse "i-pulse" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" d="M1.5 8.5h3l2-5.5 3.2 10 2-4.5h2.8"/>"#;
    Bell "i-bell" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" d="M3 11.5h10c-1-1-1.3-2-1.3-4.5a3.7 3.7 0 0 0-7.4 0c0 2.5-.3 3.5-1.3 4.5ZM6.5 13.7h3"/>"#;
    Shield "i-shield" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" d="m8 1.7 5.3 1.9v4c0 3.3-2.2 5.4-5.3 6.7-3.1-1.3-5.3-3.4-5.3-6.7v-4Z"/>"#;
    List "i-list" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" d="M2.5 4h11M2.5 8h11M2.5 12h7"/>"#;
    Sliders "i-gear" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" d="M2 4.5h7M12.5 4.5H14M2 11.5h1.5M7 11.5h7M10.7 2.9v3.2M5.2 9.9v3.2"/>"#;
    Search "i-search" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" d="M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9Zm3.3 7.8 3.4 3.4"/>"#;
    Inbox "i-inbox" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" d="M2 9.5 4 3h8l2 6.5v3.7H2ZM2 9.5h3.5c.3 1.3 1.2 2 2.5 2s2.2-.7 2.5-2H14"/>"#;
    Menu "i-menu" r#"<path fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11"/>"#;
    ChevronDown "i-down" r#"<path fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" d="m4.5 6.3 3.5 3.5 3.5-3.5"/>"#;
    Commit "i-git" r#"<g fill="none" stroke="currentColor" stroke-width="1.5"><circle cx="8" cy="8" r="2.4"/><path d="M1 8h4.6M10.4 8H15"/></g>"#;
    Copy "i-copy" r#"<path fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round" d="M5.5 5.5h8v8h-8ZM10.5 5.5v-3h-8v8h3"/>"#;
    Close "i-x" r#"<path fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" d="m4 4 8 8M12 4l-8 8"/>"#;
    Redo "i-redo" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" d="M13 8a5 5 0 1 1-1.6-3.7L13 5.7M13 2.5v3.3H9.7"/>"#;
    Columns "i-cols" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" d="M2 3h12v10H2ZM6 3v10M10 3v10"/>"#;
    Star "i-star" r#"<path d="m8 1.5 2 4.2 4.6.6-3.4 3.2.9 4.6L8 11.9l-4.1 2.2.9-4.6L1.4 6.3 6 5.7Z"/>"#;
    File "i-file" r#"<path fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round" d="M3.5 1.8h5.7l3.3 3.3v9.1h-9ZM9 1.8v3.5h3.5"/>"#;
    Folder "i-dir" r#"<path fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round" d="M1.8 3h4.4l1.5 1.8h6.5v8.2H1.8Z"/>"#;
    Download "i-download" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" d="M8 2.2v8M4.7 7 8 10.3 11.3 7M2.5 13.8h11"/>"#;
    Check "i-ok" r#"<path fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" d="m3 8.5 3.3 3.3L13 4.8"/>"#;
    More "i-more" r#"<path d="M3 6.7a1.3 1.3 0 1 1 0 2.6 1.3 1.3 0 0 1 0-2.6Zm5 0a1.3 1.3 0 1 1 0 2.6 1.3 1.3 0 0 1 0-2.6Zm5 0a1.3 1.3 0 1 1 0 2.6 1.3 1.3 0 0 1 0-2.6Z"/>"#;
    ChevronUp "i-chevron-up" r#"<path fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" d="m4.5 9.7 3.5-3.5 3.5 3.5"/>"#;
    /// A pencil: it can be changed.
    Edit "i-edit" r#"<path fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round" d="M2.5 13.5v-2.700l7.900-7.900 2.700 2.700-7.900 7.900ZM8.600 4.700l2.700 2.700"/>"#;
    /// A bin: it can be deleted.
    Bin "i-bin" r#"<path fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" d="M2.500 4.300h11M6 4.100V2.300h4v1.800M4 4.500l.6 9h6.800l.6-9M6.700 7v4M9.300 7v4"/>"#;
    Plus "i-plus" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" d="M8 3v10M3 8h10"/>"#;
    Play "i-play" r#"<path d="M4.5 2.5 13 8l-8.5 5.5Z"/>"#;
    Undo "i-undo" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" d="M3 6.5h6.5a3.5 3.5 0 0 1 0 7H6M3 6.5l3.2-3.2M3 6.5l3.2 3.2"/>"#;
    Key "i-key" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" d="M5 5.5a3 3 0 1 1 0 6 3 3 0 0 1 0-6ZM8 8.5h6M12 8.5v2.5"/>"#;
    People "i-people" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" d="M6 3a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5ZM1.5 13.5c.3-2.5 2-4 4.5-4s4.2 1.5 4.5 4M10.5 3.3a2.3 2.3 0 0 1 0 4.4M12 9.8c1.5.5 2.3 1.8 2.5 3.7"/>"#;
    Sun "i-sun" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" d="M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6ZM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7"/>"#;
    Moon "i-moon" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" d="M13.5 9.5A5.8 5.8 0 0 1 6.5 2.5a5.8 5.8 0 1 0 7 7Z"/>"#;
    Screen "i-screen" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" d="M2 3h12v8H2ZM5.5 13.5h5M8 11v2.5"/>"#;
    Leave "i-leave" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" d="M9.5 2.5h-6v11h6M6.5 8h7.5M11.5 5.5 14 8l-2.5 2.5"/>"#;
    /// A pin: it can be kept in view.
    Pin "i-pin" r#"<path fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" d="M5.5 2h5M6.3 2v4.6L4 9.3h8L9.7 6.600V2M8 9.300V14"/>"#;
    /// A filled pin: it is kept in view.
    Pinned "i-pinned" r#"<path d="M5 1.300h6v1.400h-.6v3.700l2.300 2.700v.900H3.300v-.900l2.300-2.700V2.700H5Z"/><path fill="none" stroke="currentColor" stroke-width="1.400" stroke-linecap="round" d="M8 10v4"/>"#;
    /// A pulse in a frame: its course is drawn.
    Drawn "i-drawn" r#"<path fill="none" stroke="currentColor" stroke-width="1.500" stroke-linecap="round" stroke-linejoin="round" d="M1.800 2.500h12.400v11H1.800ZM4 8.500h1.700l1.300-3 1.900 5 1.200-2h1.900"/>"#;
    Offline "i-offline" r#"<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" d="M2 2l12 12M3.5 6.5c1.2-1 2.6-1.5 4.5-1.5 1.8 0 3.3.6 4.5 1.5M5.5 9a4 4 0 0 1 5 0M8 12v.1"/>"#;
}

/// A symbol. It is silent to screen readers: the word stands beside it, or on the control that holds it.
#[component]
pub fn Icon(
    /// Which.
    symbol: Symbol,
    /// Whether it turns, for what runs.
    #[prop(optional)]
    spin: bool,
) -> impl IntoView {
    view! {
        <svg class=if spin { "i spin" } else { "i" } viewBox="0 0 16 16" aria-hidden="true">
            <use href=format!("#{}", symbol.id())></use>
        </svg>
    }
}

/// The sheet, once in every document. It is hidden by its size, since `display: none` would empty the symbols.
#[component]
pub fn SymbolSheet() -> impl IntoView {
    let symbols: String = Symbol::ALL
        .iter()
        .map(|symbol| format!(r#"<symbol id="{}" viewBox="0 0 16 16">{}</symbol>"#, symbol.id(), symbol.body()))
        .collect();
    view! { <svg class="sheet" width="0" height="0" aria-hidden="true" inner_html=symbols></svg> }
}

/// The sign of Slipway.
#[component]
pub fn Brand() -> impl IntoView {
    view! {
        <svg viewBox="0 0 20 20" aria-hidden="true">
            <path d="M1 18.5 19 11.6v6.9Z" opacity=".55"></path>
            <path d="M2 13.3 17.6 7.3c-.5 2.3-1.7 3.7-3.7 4.5l-7.4 2.8c-2 .7-3.5.3-4.5-1.3Z"></path>
            <path d="M8.8 2.2h1.7v6.3l-1.7.7Z"></path>
        </svg>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_symbol_has_its_own_id() {
        let ids: HashSet<_> = Symbol::ALL.iter().map(|symbol| symbol.id()).collect();
        assert_eq!(ids.len(), Symbol::ALL.len());
    }
}
