//! Completes what is typed into a field. The field is a combobox and the list its listbox; nothing of the list is chosen
//! until somebody moves into it, so that Enter sends the form as it always does.

use super::dom::{
    attribute, by_id, fetch_json, find, find_all, get, later, on, page, set_attribute, set_hidden, spawn, text, whole,
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, Event, HtmlElement, HtmlInputElement, KeyboardEvent};

/// How long one waits for the next letter, in milliseconds.
const PAUSE: i32 = 120;

/// What may be put into the field: the text, and which characters it replaces; all of them when none.
struct Item {
    text: String,
    part: Option<(usize, usize)>,
}

struct Completion {
    search: String,
    input: HtmlInputElement,
    list: Element,
    /// The button that is pressed when something was taken.
    button: Option<HtmlElement>,
    items: RefCell<Vec<Item>>,
    active: Cell<Option<usize>>,
    /// Counts what was asked: an answer to an older question is of no use.
    asked: Cell<u32>,
}

pub(crate) fn start(input: &str, list: &str, search: String, then: &str) -> Option<()> {
    let input = by_id(input)?.dyn_into::<HtmlInputElement>().ok()?;
    let list = by_id(list)?;
    let frame = input.closest(".complete").ok()??;
    let button = if then == "send" { find(&frame, "button")?.dyn_into::<HtmlElement>().ok() } else { None };
    // The browser's own list would cover ours.
    let _ = input.remove_attribute("list");
    for (name, value) in [("role", "combobox"), ("aria-autocomplete", "list"), ("aria-expanded", "false")] {
        set_attribute(&input, name, value);
    }
    set_attribute(&input, "aria-controls", &list.id());
    let completion = Rc::new(Completion {
        search,
        input,
        list,
        button,
        items: RefCell::default(),
        active: Cell::new(None),
        asked: Cell::new(0),
    });
    let of = |does: fn(&Rc<Completion>, &Event)| {
        let completion = Rc::clone(&completion);
        move |event: Event| does(&completion, &event)
    };
    on(&completion.input, "input", of(|completion, _| Completion::ask(completion)));
    on(&completion.input, "blur", of(|completion, _| completion.close()));
    on(&completion.input, "keydown", of(Completion::key));
    // The field keeps the focus.
    on(&completion.list, "mousedown", of(|_, event| event.prevent_default()));
    on(
        &completion.list,
        "click",
        of(|completion, event| {
            let option = super::dom::at(event, "[role=option]");
            let all = find_all(&completion.list, "[role=option]");
            let place = option.and_then(|option| all.iter().position(|other| other.is_same_node(Some(&option))));
            if let Some(place) = place {
                Completion::take(completion, place);
            }
        }),
    );
    None
}

impl Completion {
    fn ask(completion: &Rc<Self>) {
        let number = completion.asked.get().wrapping_add(1);
        completion.asked.set(number);
        let completion = Rc::clone(completion);
        later(PAUSE, move || {
            if completion.asked.get() != number {
                return;
            }
            spawn(async move {
                let value = completion.input.value();
                let cursor = completion.input.selection_start().ok().flatten().unwrap_or_default();
                // The browser counts in halves of what some characters take.
                let units: Vec<u16> = value.encode_utf16().take(cursor as usize).collect();
                let cursor = String::from_utf16_lossy(&units).chars().count();
                let mark = if completion.search.contains('?') { "&" } else { "?" };
                let typed = String::from(js_sys::encode_uri_component(&value));
                let url = [&completion.search, mark, "text=", &typed, "&cursor=", &cursor.to_string()].concat();
                let answer = fetch_json(&url).await.unwrap_or(JsValue::UNDEFINED);
                if completion.asked.get() == number {
                    completion.show(&answer);
                }
                None
            });
        });
    }

    fn show(&self, answer: &JsValue) -> Option<()> {
        self.list.set_inner_html("");
        self.active.set(None);
        let items = get(answer, "items");
        let items = if items.is_undefined() { js_sys::Array::new() } else { js_sys::Array::from(&items) };
        let from = get(answer, "from");
        let part = (!from.is_undefined()).then(|| (whole(&from) as usize, whole(&get(answer, "to")) as usize));
        let mut known = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let option = page()?.create_element("div").ok()?;
            option.set_id(&[&self.list.id(), "-", &at.to_string()].concat());
            set_attribute(&option, "role", "option");
            for (class, key) in [("", "label"), ("end", "detail")] {
                let words = page()?.create_element("span").ok()?;
                words.set_class_name(class);
                words.set_text_content(Some(&text(&item, key)));
                let _ = option.append_child(&words);
            }
            let _ = self.list.append_child(&option);
            known.push(Item { text: text(&item, "text"), part });
        }
        let hint = text(answer, "hint");
        if known.is_empty() && !hint.is_empty() {
            let note = page()?.create_element("div").ok()?;
            note.set_class_name("note");
            note.set_text_content(Some(&hint));
            let _ = self.list.append_child(&note);
        }
        let is_open = self.list.child_element_count() > 0;
        set_attribute(&self.input, "aria-expanded", if known.is_empty() { "false" } else { "true" });
        set_hidden(&self.list, !is_open);
        *self.items.borrow_mut() = known;
        self.mark();
        None
    }

    fn close(&self) {
        self.asked.set(self.asked.get().wrapping_add(1));
        self.items.borrow_mut().clear();
        self.active.set(None);
        set_hidden(&self.list, true);
        set_attribute(&self.input, "aria-expanded", "false");
        let _ = self.input.remove_attribute("aria-activedescendant");
    }

    /// Says which of the list is chosen.
    fn mark(&self) {
        let _ = self.input.remove_attribute("aria-activedescendant");
        for (at, option) in find_all(&self.list, "[role=option]").iter().enumerate() {
            let chosen = self.active.get() == Some(at);
            set_attribute(option, "aria-selected", if chosen { "true" } else { "false" });
            if chosen {
                set_attribute(&self.input, "aria-activedescendant", &attribute(option, "id"));
                option.scroll_into_view_with_bool(false);
            }
        }
    }

    fn key(completion: &Rc<Self>, event: &Event) {
        let Some(key) = event.dyn_ref::<KeyboardEvent>().map(KeyboardEvent::key) else { return };
        let count = completion.items.borrow().len();
        let active = completion.active.get();
        match key.as_str() {
            "ArrowDown" if count == 0 => return Self::ask(completion),
            "ArrowDown" => completion.active.set(Some(active.map_or(0, |at| (at + 1) % count))),
            "ArrowUp" if count > 0 => {
                completion.active.set(Some(active.map_or(count - 1, |at| (at + count - 1) % count)))
            }
            "Enter" if active.is_some() => Self::take(completion, active.unwrap_or_default()),
            "Tab" if count > 0 => Self::take(completion, active.unwrap_or_default()),
            "Escape" if !completion.list.has_attribute("hidden") => {
                completion.close();
                // A menu around the field stays open.
                event.stop_propagation();
            }
            _ => return,
        }
        event.prevent_default();
        if matches!(key.as_str(), "ArrowDown" | "ArrowUp") {
            completion.mark();
        }
    }

    fn take(completion: &Rc<Self>, at: usize) {
        let Some(item) = completion.items.borrow_mut().drain(..).nth(at) else { return };
        let (whole, caret) = match item.part {
            None => (item.text.clone(), item.text),
            Some((from, to)) => {
                let value = completion.input.value();
                let head: String = value.chars().take(from).chain(item.text.chars()).collect();
                (
                    value.chars().skip(to).fold(head.clone(), |mut all, c| {
                        all.push(c);
                        all
                    }),
                    head,
                )
            }
        };
        completion.input.set_value(&whole);
        let caret = u32::try_from(caret.encode_utf16().count()).unwrap_or_default();
        let _ = completion.input.set_selection_range(caret, caret);
        completion.close();
        match &completion.button {
            Some(button) => button.click(),
            None => Self::ask(completion),
        }
    }
}
