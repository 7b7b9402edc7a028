//! The few calls into the browser that all islands share.

use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Document, Element, Event, EventTarget, Response, Window};

pub(super) fn window() -> Option<Window> {
    web_sys::window()
}

pub(super) fn page() -> Option<Document> {
    window()?.document()
}

/// Whether nobody sees the page: its tab is not the one in front.
pub(super) fn is_hidden() -> bool {
    page().is_some_and(|page| page.hidden())
}

pub(super) fn by_id(id: &str) -> Option<Element> {
    page()?.get_element_by_id(id)
}

/// The first element inside `element` that matches.
pub(super) fn find(element: &Element, selector: &str) -> Option<Element> {
    element.query_selector(selector).ok().flatten()
}

/// All elements inside `element` that match.
pub(super) fn find_all(element: &Element, selector: &str) -> Vec<Element> {
    let Ok(list) = element.query_selector_all(selector) else { return Vec::new() };
    (0..list.length()).filter_map(|at| list.item(at)?.dyn_into().ok()).collect()
}

/// The element an event happened in, at or around which `selector` matches.
pub(super) fn at(event: &Event, selector: &str) -> Option<Element> {
    event.target()?.dyn_into::<Element>().ok()?.closest(selector).ok().flatten()
}

pub(super) fn attribute(element: &Element, name: &str) -> String {
    element.get_attribute(name).unwrap_or_default()
}

/// Sets an attribute of a fixed name, which cannot fail.
pub(super) fn set_attribute(element: &Element, name: &str, value: &str) {
    let _ = element.set_attribute(name, value);
}

pub(super) fn set_hidden(element: &Element, hidden: bool) {
    if hidden {
        set_attribute(element, "hidden", "");
    } else {
        let _ = element.remove_attribute("hidden");
    }
}

/// Listens as long as the page lives.
pub(super) fn on(target: &EventTarget, name: &str, heard: impl Fn(Event) + 'static) {
    let heard = Closure::<dyn Fn(Event)>::new(heard);
    let _ = target.add_event_listener_with_callback(name, heard.as_ref().unchecked_ref());
    heard.forget();
}

/// Does something a little later.
pub(super) fn later(ms: i32, what: impl FnOnce() + 'static) {
    let what = Closure::once_into_js(what);
    if let Some(window) = window() {
        let _ = window.set_timeout_with_callback_and_timeout_and_arguments_0(what.unchecked_ref(), ms);
    }
}

/// Does something that waits.
pub(super) fn spawn(what: impl Future<Output = Option<()>> + 'static) {
    wasm_bindgen_futures::spawn_local(async move {
        what.await;
    });
}

/// A property of a JavaScript object; undefined when it has none.
pub(super) fn get(object: &JsValue, key: &str) -> JsValue {
    js_sys::Reflect::get(object, &JsValue::from_str(key)).unwrap_or(JsValue::UNDEFINED)
}

/// A text property, empty when there is none.
pub(super) fn text(object: &JsValue, key: &str) -> String {
    get(object, key).as_string().unwrap_or_default()
}

/// A whole number from JavaScript, where all numbers are floating.
pub(super) fn whole(value: &JsValue) -> u32 {
    // Out of range saturates, which is as good as any other line number that cannot be.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    value.as_f64().map_or(0, |number| number as u32)
}

/// Asks this server.
pub(super) async fn fetch(url: &str) -> Option<Response> {
    JsFuture::from(window()?.fetch_with_str(url)).await.ok()?.dyn_into().ok()
}

/// Asks this server for JSON; none when it did not answer with success.
pub(super) async fn fetch_json(url: &str) -> Option<JsValue> {
    let response = fetch(url).await.filter(Response::ok)?;
    JsFuture::from(response.json().ok()?).await.ok()
}

/// What there is when one asks for the page again.
pub(super) enum Page {
    /// The page as it is now.
    Now(Response),
    /// No answer, or a server in trouble.
    Away,
    /// The reader is signed out, may not see it any more, or it is deleted: it is being loaded anew, and says so.
    Left,
}

/// Asks for the page again.
pub(super) async fn page_again() -> Page {
    let ask = async {
        let location = window()?.location();
        fetch(&(location.pathname().ok()? + &location.search().ok()?)).await
    };
    match ask.await {
        Some(response) if response.redirected() || matches!(response.status(), 401 | 403 | 404) => {
            let _ = window().map(|window| window.location().reload());
            Page::Left
        }
        Some(response) if response.ok() => Page::Now(response),
        _ => Page::Away,
    }
}
