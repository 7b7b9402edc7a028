//! A stream of events that mends itself, and rests while nobody looks.

use super::dom::{Page, by_id, is_hidden, later, on, page, page_again, set_hidden, spawn};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use wasm_bindgen::JsCast;
use web_sys::{EventSource, MessageEvent};

/// What a stream tells.
pub(super) enum Told {
    /// It is connected, and events may have been missed: since the page was rendered, or since the connection before.
    Connected,
    /// An event, by its place among the names that were asked for, and its data.
    Event(usize, String),
}

struct Stream {
    url: Box<dyn Fn() -> String>,
    names: &'static [&'static str],
    told: Box<dyn Fn(Told)>,
    /// The connection; none while the page is hidden, and between two tries.
    source: RefCell<Option<EventSource>>,
    failures: Cell<u32>,
    /// Whether there was a time without a connection.
    missed: Cell<bool>,
    over: Rc<Cell<bool>>,
}

/// Listens to the events of these names from what `url` gives at the time of each try, until `over` holds.
///
/// Only while the page is in view: over HTTP/1.1 a browser has six connections to a server for all its tabs, and a tab
/// that nobody looks at would hold one of them for nothing.
///
/// The browser reconnects a broken connection by itself. After an answer that is no stream it gives up. Then either
/// the server is away (it restarts, a proxy says 502), and this tries again, waiting longer each time; or the reader
/// may not listen any more, and the page is loaded anew, which says so. While nothing flows, the top bar says that.
pub(super) fn listen(
    url: impl Fn() -> String + 'static,
    names: &'static [&'static str],
    over: Rc<Cell<bool>>,
    told: impl Fn(Told) + 'static,
) {
    let stream = Rc::new(Stream {
        url: Box::new(url),
        names,
        told: Box::new(told),
        source: RefCell::default(),
        failures: Cell::default(),
        missed: Cell::new(true),
        over,
    });
    connect(&stream);
    let Some(page) = page() else { return };
    on(&page, "visibilitychange", move |_| if is_hidden() { stream.rest() } else { connect(&stream) });
}

fn connect(stream: &Rc<Stream>) {
    if stream.over.get() || stream.source.borrow().is_some() {
        return;
    }
    if is_hidden() {
        stream.missed.set(true);
        return;
    }
    let Ok(source) = EventSource::new(&(stream.url)()) else { return };
    *stream.source.borrow_mut() = Some(source.clone());
    for (at, name) in stream.names.iter().enumerate() {
        let stream = Rc::clone(stream);
        on(&source, name, move |event| {
            if let Some(event) = event.dyn_ref::<MessageEvent>() {
                (stream.told)(Told::Event(at, event.data().as_string().unwrap_or_default()));
            }
            if stream.over.get() {
                stream.rest();
            }
        });
    }
    on(&source, "open", {
        let stream = Rc::clone(stream);
        move |_| {
            say_offline(false);
            stream.failures.set(0);
            if stream.missed.replace(false) {
                (stream.told)(Told::Connected);
            }
        }
    });
    on(&source.clone(), "error", {
        let stream = Rc::clone(stream);
        move |_| {
            let failures = stream.failures.get();
            stream.failures.set(failures + 1);
            stream.missed.set(true);
            let is_refused = source.ready_state() == EventSource::CLOSED;
            // A first hiccup is mended before anybody has to know.
            say_offline(failures > 0 || is_refused);
            if is_refused {
                stream.rest();
                let stream = Rc::clone(&stream);
                later(500 << failures.min(6), move || spawn(try_again(stream)));
            }
        }
    });
}

/// Connects again, unless the page is the reader's no more.
async fn try_again(stream: Rc<Stream>) -> Option<()> {
    if is_hidden() || !matches!(page_again().await, Page::Left) {
        connect(&stream);
    }
    None
}

impl Stream {
    /// Holds no connection any more.
    fn rest(&self) {
        if let Some(source) = self.source.take() {
            source.close();
            self.missed.set(true);
        }
    }
}

fn say_offline(is_offline: bool) {
    if let Some(sign) = by_id("offline") {
        set_hidden(&sign, !is_offline);
    }
}
