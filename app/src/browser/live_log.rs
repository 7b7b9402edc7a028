//! A log that goes on. It follows its end until the reader scrolls up; then new lines are held back, so that what is
//! read stays where it is, until it follows again.

use super::{
    dom::{at, attribute, by_id, find, get, on, page, set_attribute, set_hidden, text, whole, window},
    stream::{Told, listen},
};
use crate::{addresses, ansi};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};
use wasm_bindgen::JsValue;
use web_sys::Element;

/// The most lines that a page holds; the whole log is one link away.
const MOST: usize = 5000;

struct Line {
    number: u32,
    at: String,
    is_ours: bool,
    text: String,
}

struct Log {
    panel: Element,
    frame: Element,
    last: Cell<u32>,
    following: Cell<bool>,
    ended: RefCell<Option<String>>,
    held: RefCell<VecDeque<Line>>,
}

pub(crate) fn start(id: &str, events: String) {
    let Some(panel) = by_id(id) else { return };
    let Some(frame) = find(&panel, ".log") else { return };
    let last = attribute(&frame, "data-last").parse().unwrap_or_default();
    let hash = window().and_then(|window| window.location().hash().ok()).unwrap_or_default();
    let log = Rc::new(Log {
        panel,
        frame,
        last: Cell::new(last),
        // Somebody came for one line: stay there.
        following: Cell::new(!hash.starts_with("#L")),
        ended: RefCell::new(None),
        held: RefCell::default(),
    });
    if log.following.get() {
        log.frame.set_scroll_top(log.frame.scroll_height());
    }

    on(&log.frame, "scroll", {
        let log = Rc::clone(&log);
        move |_| {
            let below = log.frame.scroll_height() - log.frame.scroll_top() - log.frame.client_height();
            let follows = if log.following.get() { below < 48 } else { below < 8 };
            if follows != log.following.get() {
                log.follow(follows);
            }
        }
    });
    on(&log.panel, "click", {
        let log = Rc::clone(&log);
        move |event| {
            if at(&event, "[data-follow]").is_some() {
                log.follow(!log.following.get());
            }
        }
    });
    log.show();

    let over = Rc::new(Cell::new(false));
    let join = if events.contains('?') { '&' } else { '?' };
    let (asking, heard) = (Rc::clone(&log), Rc::clone(&log));
    let url = move || {
        let mut url = events.clone();
        url.push(join);
        url.push_str("after=");
        url.push_str(&asking.last.get().to_string());
        url
    };
    listen(url, &["lines", "end"], Rc::clone(&over), move |told| match told {
        Told::Event(0, data) => heard.take(&data),
        Told::Event(_, state) => {
            over.set(true);
            *heard.ended.borrow_mut() = Some(state);
            heard.show();
        }
        Told::Connected => {}
    });
}

impl Log {
    fn take(&self, data: &str) {
        let Ok(list) = js_sys::JSON::parse(data) else { return };
        let mut held = self.held.borrow_mut();
        for line in js_sys::Array::from(&list).iter() {
            let number = whole(&get(&line, "number"));
            // The stream repeats lines when it cannot know what arrived.
            if number <= self.last.get() {
                continue;
            }
            self.last.set(number);
            held.push_back(Line {
                number,
                at: clock(&get(&line, "at_ms")),
                is_ours: text(&line, "stream") == "sys",
                text: text(&line, "text"),
            });
        }
        while held.len() > MOST {
            held.pop_front();
        }
        drop(held);
        if self.following.get() {
            self.append();
        }
        self.show();
    }

    fn follow(&self, follow: bool) {
        self.following.set(follow);
        if follow {
            self.append();
        }
        self.show();
    }

    /// Puts held lines into the page, and drops the oldest beyond [`MOST`].
    fn append(&self) {
        let Some(list) = find(&self.frame, "ol") else { return };
        for line in self.held.borrow_mut().drain(..) {
            if let Ok(item) = render(&line) {
                let _ = list.append_child(&item);
            }
        }
        while list.child_element_count() as usize > MOST {
            let Some(first) = list.first_element_child() else { break };
            first.remove();
        }
        self.frame.set_scroll_top(self.frame.scroll_height());
    }

    /// Says in the head of the panel how it stands.
    fn show(&self) {
        let part = |name: &str| find(&self.panel, name);
        let ended = self.ended.borrow();
        let held = self.held.borrow().len();
        let (tone, symbol, word) = match (&*ended, self.following.get()) {
            (Some(state), _) => ("idle", "", ["Ended: ", state].concat()),
            (None, true) => ("run", "#i-run", "Following".to_owned()),
            (None, false) if held == 0 => ("warn", "#i-wait", "Paused".to_owned()),
            (None, false) => ("warn", "#i-wait", ["Paused, ", &held.to_string(), " new lines"].concat()),
        };
        if let Some(state) = part("[data-log-state]") {
            set_attribute(&state, "data-s", tone);
            if let Some(icon) = find(&state, "svg") {
                set_hidden(&icon, symbol.is_empty());
                set_attribute(&icon, "class", if tone == "run" { "i spin" } else { "i" });
            }
            if let Some(shape) = find(&state, "use") {
                set_attribute(&shape, "href", symbol);
            }
            if let Some(text) = find(&state, "span") {
                text.set_text_content(Some(&word));
            }
        }
        if let Some(count) = part("[data-log-count]") {
            count.set_text_content(Some(&[&self.last.get().to_string(), " lines"].concat()));
        }
        if let Some(button) = part("[data-follow]") {
            set_hidden(&button, ended.is_some());
            button.set_text_content(Some(if self.following.get() { "Pause" } else { "Follow" }));
        }
    }
}

/// The time of day, UTC: `07:51:02`.
fn clock(ms: &JsValue) -> String {
    String::from(js_sys::Date::new(ms).to_iso_string()).get(11..19).unwrap_or_default().to_owned()
}

/// The same markup as `ui::log::LogRow`, without the date that its time has as a title.
fn render(line: &Line) -> Result<Element, JsValue> {
    let document = page().ok_or(JsValue::NULL)?;
    let number = line.number.to_string();
    let item = document.create_element("li")?;
    item.set_id(&["L", &number].concat());
    if line.is_ours {
        item.set_class_name("sys");
    } else if ansi::is_alarming(&line.text) {
        item.set_class_name("err");
    }
    let link = document.create_element("a")?;
    set_attribute(&link, "href", &["#L", &number].concat());
    link.set_text_content(Some(&number));
    let time = document.create_element("time")?;
    time.set_text_content(Some(&line.at));
    let text = document.create_element("span")?;
    for part in addresses::parts(&line.text) {
        let place = match part.address {
            Some(address) => {
                let link = document.create_element("a")?;
                set_attribute(&link, "href", &address);
                set_attribute(&link, "rel", addresses::REL);
                text.append_child(&link)?;
                link
            }
            None => text.clone(),
        };
        for span in part.spans {
            if span.class.is_empty() {
                place.append_child(&document.create_text_node(&span.text))?;
                continue;
            }
            let piece = document.create_element("span")?;
            piece.set_class_name(&span.class);
            piece.set_text_content(Some(&span.text));
            place.append_child(&piece)?;
        }
    }
    for part in [&link, &time, &text] {
        item.append_child(part)?;
    }
    Ok(item)
}
