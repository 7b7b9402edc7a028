//! Loads the script that draws the charts of a page, and hands it the board: `app/scripts/chart.ts`.

use super::dom::{attribute, by_id, get, page, spawn, window};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::HtmlScriptElement;

pub(crate) fn start(id: &str) -> Option<()> {
    let board = by_id(id)?;
    spawn(async move {
        let script = page()?.create_element("script").ok()?.dyn_into::<HtmlScriptElement>().ok()?;
        script.set_type("module");
        script.set_src(&attribute(&board, "data-library"));
        let loaded = js_sys::Promise::new(&mut |done, failed| {
            script.set_onload(Some(&done));
            script.set_onerror(Some(&failed));
        });
        page()?.body()?.append_child(&script).ok()?;
        // Without it the charts stay as the server drew them.
        JsFuture::from(loaded).await.ok()?;
        let start: js_sys::Function = get(&window()?.into(), "slipwayCharts").dyn_into().ok()?;
        start.call1(&JsValue::NULL, &board).ok()?;
        None
    });
    None
}
