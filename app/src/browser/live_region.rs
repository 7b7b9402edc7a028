//! Keeps a page current without taking anything from its reader: focus, an open menu, a half-typed comment and a
//! scrolled table stay, since only the nodes that differ are touched. A page that comes into view again is brought up
//! to date first.

use super::{
    dom::{Page, attribute, find, find_all, is_hidden, later, page, page_again, spawn, window},
    stream::listen,
};
use std::{cell::Cell, rc::Rc};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{DomParser, Element, Node, SupportedType};

/// How long what no event tells of may be old, in milliseconds.
const LOOK_AGAIN: i32 = 5000;

pub(crate) fn start(events: String) {
    let refresh = Rc::new(Refresh::default());
    look_again(Rc::clone(&refresh));
    listen(move || events.clone(), &["change"], Rc::default(), move |_| Refresh::ask(&refresh));
}

fn look_again(refresh: Rc<Refresh>) {
    later(LOOK_AGAIN, move || {
        let is_wanted = page().is_some_and(|page| matches!(page.query_selector("[data-look-again]"), Ok(Some(_))));
        if is_wanted && !is_hidden() {
            Refresh::ask(&refresh);
        }
        look_again(refresh);
    });
}

/// Events come in bursts, so they are gathered for a moment, and only one question is under way: an event that comes
/// meanwhile asks once more.
#[derive(Default)]
struct Refresh {
    busy: Cell<bool>,
    again: Cell<bool>,
}

impl Refresh {
    fn ask(refresh: &Rc<Self>) {
        if refresh.busy.replace(true) {
            refresh.again.set(true);
            return;
        }
        let refresh = Rc::clone(refresh);
        later(150, move || {
            refresh.again.set(false);
            spawn(async move {
                bring_up_to_date().await;
                refresh.busy.set(false);
                if refresh.again.get() {
                    Self::ask(&refresh);
                }
                None
            });
        });
    }
}

async fn bring_up_to_date() -> Option<()> {
    let Page::Now(response) = page_again().await else { return None };
    let html = JsFuture::from(response.text().ok()?).await.ok()?.as_string()?;
    let fresh = DomParser::new().ok()?.parse_from_string(&html, SupportedType::TextHtml).ok()?;
    for element in find_all(&page()?.document_element()?, "[data-live][id]") {
        if let Some(other) = fresh.get_element_by_id(&element.id()) {
            sync(&element, &other);
        }
    }
    Some(())
}

fn is_island(element: &Element) -> bool {
    element.tag_name().eq_ignore_ascii_case("leptos-island")
}

/// Makes `old` what `new` is. Islands and what they work on (`data-keep`) are left alone.
fn sync(old: &Element, new: &Element) {
    if is_island(old) || old.has_attribute("data-keep") {
        return;
    }
    // Which row the keys are at is the reader's, too.
    let has_cursor = old.matches(".cursor").unwrap_or(false);
    for name in names(new).into_iter().filter(|name| !has_cursor || name != "class") {
        if old.get_attribute(&name) != new.get_attribute(&name) {
            let _ = old.set_attribute(&name, &attribute(new, &name));
        }
    }
    for name in names(old) {
        // Whether a disclosure is open is the reader's.
        if !new.has_attribute(&name) && name != "open" && !(has_cursor && name == "class") {
            let _ = old.remove_attribute(&name);
        }
    }
    if old.inner_html() != new.inner_html() {
        sync_children(old, new);
    }
}

fn names(element: &Element) -> Vec<String> {
    element.get_attribute_names().iter().filter_map(|name| name.as_string()).collect()
}

fn sync_children(old: &Element, new: &Element) {
    let mut next = old.first_child();
    let mut wanted = new.first_child();
    while let Some(want) = wanted {
        // Taken before the node may move to this document.
        wanted = want.next_sibling();
        let same = next.clone().filter(|node| fits(node, &want)).or_else(|| further_on(next.as_ref(), &want));
        let Some(node) = same else {
            if let Ok(node) = old.insert_before(&want, next.as_ref()) {
                hydrate(&node);
            }
            continue;
        };
        if next.as_ref().is_some_and(|next| next.is_same_node(Some(&node))) {
            next = node.next_sibling();
        } else {
            let _ = old.insert_before(&node, next.as_ref());
        }
        match (node.dyn_ref::<Element>(), want.dyn_ref::<Element>()) {
            (Some(old), Some(new)) => sync(old, new),
            _ if node.node_value() != want.node_value() => node.set_node_value(want.node_value().as_deref()),
            _ => {}
        }
    }
    while let Some(node) = next {
        next = node.next_sibling();
        // A row that somebody selected stays until they have done what they wanted with it.
        if node.dyn_ref::<Element>().is_some_and(|element| find(element, "input:checked").is_some()) {
            continue;
        }
        let _ = old.remove_child(&node);
    }
}

/// Whether a node can become another by changing its attributes and children.
fn fits(node: &Node, want: &Node) -> bool {
    node.node_name() == want.node_name()
        && match (node.dyn_ref::<Element>(), want.dyn_ref::<Element>()) {
            (Some(node), Some(want)) => node.id() == want.id(),
            _ => true,
        }
}

/// An element of the same id further on: a row that moved.
fn further_on(from: Option<&Node>, want: &Node) -> Option<Node> {
    let id = want.dyn_ref::<Element>()?.id();
    if id.is_empty() {
        return None;
    }
    let mut node = from.cloned();
    while let Some(at) = node {
        if at.dyn_ref::<Element>().is_some_and(|element| element.id() == id) {
            return Some(at);
        }
        node = at.next_sibling();
    }
    None
}

/// Starts the islands in what was just put into the page, by the function that Leptos leaves there for it.
fn hydrate(node: &Node) -> Option<()> {
    let element = node.dyn_ref::<Element>()?;
    let start = super::dom::get(&JsValue::from(window()?), "__hydrateIsland").dyn_into::<js_sys::Function>().ok()?;
    let mut islands = find_all(element, "leptos-island");
    if is_island(element) {
        islands.push(element.clone());
    }
    for island in islands {
        let _ = start.call2(&JsValue::NULL, &island, &JsValue::from_str(&attribute(&island, "data-component")));
    }
    None
}
