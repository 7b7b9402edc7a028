//! The wasm entry of every page.

// Links the islands' exports; without it they are dropped.
use app as _;

/// Hydrates the islands of the page that loaded this script.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    leptos::mount::hydrate_islands();
}
