//! Finds things while one types, and moves through what was found by keys. Opening and closing is the popover's.

use super::dom::{
    attribute, by_id, fetch_json, find, find_all, get, later, on, page, set_attribute, spawn, text, window,
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, HtmlInputElement, KeyboardEvent};

struct Palette {
    search: String,
    input: HtmlInputElement,
    list: Element,
    note: Element,
    hint: Option<String>,
    active: Cell<usize>,
    /// What was typed last …
    asked: RefCell<String>,
    /// … and what the hits that are shown were found for.
    shown: RefCell<String>,
}

pub(crate) fn start(search: String) -> Option<()> {
    let frame = by_id("palette")?;
    let input = find(&frame, "input")?.dyn_into::<HtmlInputElement>().ok()?;
    let note = find(&frame, ".note")?;
    let palette = Rc::new(Palette {
        search,
        list: find(&frame, "[role=listbox]")?,
        hint: note.text_content(),
        note,
        active: Cell::new(0),
        asked: RefCell::default(),
        shown: RefCell::default(),
        input,
    });
    on(&palette.input, "input", {
        let palette = Rc::clone(&palette);
        move |_| Palette::ask(&palette)
    });
    // What was typed before this was here.
    if !palette.input.value().is_empty() {
        Palette::ask(&palette);
    }
    on(&palette.input, "keydown", {
        let palette = Rc::clone(&palette);
        move |event| {
            if event.dyn_ref::<KeyboardEvent>().is_some_and(|key| palette.key(&key.key()).is_some()) {
                event.prevent_default();
            }
        }
    });
    None
}

impl Palette {
    fn ask(palette: &Rc<Self>) {
        let query = palette.input.value().trim().to_owned();
        *palette.asked.borrow_mut() = query.clone();
        if query.is_empty() {
            palette.show(&query, &JsValue::UNDEFINED);
            return;
        }
        let palette = Rc::clone(palette);
        // Waits until the typing pauses; an answer to an older question is dropped.
        later(90, move || {
            if *palette.asked.borrow() != query {
                return;
            }
            spawn(async move {
                let url = [&palette.search, "?q=", &String::from(js_sys::encode_uri_component(&query))].concat();
                let answer = fetch_json(&url).await.unwrap_or(JsValue::UNDEFINED);
                if *palette.asked.borrow() == query {
                    palette.show(&query, &answer);
                }
                None
            });
        });
    }

    fn show(&self, query: &str, answer: &JsValue) -> Option<()> {
        *self.shown.borrow_mut() = query.to_owned();
        self.list.set_inner_html("");
        self.active.set(0);
        let items = get(answer, "items");
        let items = if items.is_undefined() { js_sys::Array::new() } else { js_sys::Array::from(&items) };
        for (at, item) in items.iter().enumerate() {
            let href = text(&item, "href");
            // Pages of this server, never another scheme or host.
            if !href.starts_with('/') || href.starts_with("//") {
                continue;
            }
            let document = page()?;
            let link = document.create_element("a").ok()?;
            link.set_id(&["hit-", &at.to_string()].concat());
            for (name, value) in [("role", "option"), ("tabindex", "-1"), ("href", href.as_str())] {
                set_attribute(&link, name, value);
            }
            for (class, key) in [("", "title"), ("sub", "detail"), ("end", "kind")] {
                let part = document.create_element("span").ok()?;
                part.set_class_name(class);
                let words = text(&item, key);
                // Sorts are names of the interface: `pipeline_run`.
                let words = if key == "kind" { words.replace('_', " ") } else { words };
                part.set_text_content(Some(&words));
                let _ = link.append_child(&part);
            }
            let _ = self.list.append_child(&link);
        }
        let nothing = self.list.child_element_count() == 0;
        let say = ["Nothing is called “", query, "” here."].concat();
        self.note.set_text_content(if nothing && !query.is_empty() { Some(&say) } else { self.hint.as_deref() });
        set_attribute(&self.input, "aria-expanded", if nothing { "false" } else { "true" });
        self.mark();
        None
    }

    /// Says which of what was found is chosen.
    fn mark(&self) {
        let _ = self.input.remove_attribute("aria-activedescendant");
        for (at, option) in find_all(&self.list, "[role=option]").iter().enumerate() {
            let chosen = at == self.active.get();
            set_attribute(option, "aria-selected", if chosen { "true" } else { "false" });
            if chosen {
                set_attribute(&self.input, "aria-activedescendant", &option.id());
                option.scroll_into_view_with_bool(false);
            }
        }
    }

    /// Does what the key does here; none when it does nothing.
    fn key(&self, key: &str) -> Option<()> {
        // What is found for what was typed before is chosen by nobody.
        if *self.shown.borrow() != *self.asked.borrow() {
            return None;
        }
        let options = find_all(&self.list, "[role=option]");
        let count = options.len();
        let active = self.active.get();
        match key {
            "ArrowDown" if count > 0 => self.active.set((active + 1) % count),
            "ArrowUp" if count > 0 => self.active.set((active + count - 1) % count),
            // With nothing found the form goes to the search page.
            "Enter" => {
                let _ = window()?.location().assign(&attribute(options.get(active)?, "href"));
            }
            _ => return None,
        }
        self.mark();
        Some(())
    }
}
