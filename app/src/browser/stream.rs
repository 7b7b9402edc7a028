//! A stream of events that mends itself.

use super::dom::{by_id, later, on, set_hidden};
use std::{cell::Cell, rc::Rc};
use wasm_bindgen::JsCast;
use web_sys::{EventSource, MessageEvent};

/// What a stream tells.
pub(super) enum Told {
    /// It is connected again, and events may have been missed.
    Back,
    /// An event, by its place among the names that were asked for, and its data.
    Event(usize, String),
}

struct Stream {
    url: Box<dyn Fn() -> String>,
    names: &'static [&'static str],
    told: Box<dyn Fn(Told)>,
    failures: Cell<u32>,
    over: Rc<Cell<bool>>,
}

/// Listens to the events of these names from what `url` gives at the time of each try, until `over` holds.
///
/// The browser reconnects a broken connection by itself. After an answer that is no stream (the server restarts, a proxy
/// says 502) it gives up; then this tries again, waiting longer each time. While nothing flows, the top bar says so.
pub(super) fn listen(
    url: impl Fn() -> String + 'static,
    names: &'static [&'static str],
    over: Rc<Cell<bool>>,
    told: impl Fn(Told) + 'static,
) {
    connect(&Rc::new(Stream { url: Box::new(url), names, told: Box::new(told), failures: Cell::new(0), over }));
}

fn connect(stream: &Rc<Stream>) {
    if stream.over.get() {
        return;
    }
    let Ok(source) = EventSource::new(&(stream.url)()) else { return };
    for (at, name) in stream.names.iter().enumerate() {
        let (stream, source_) = (Rc::clone(stream), source.clone());
        on(&source, name, move |event| {
            if let Some(event) = event.dyn_ref::<MessageEvent>() {
                (stream.told)(Told::Event(at, event.data().as_string().unwrap_or_default()));
            }
            if stream.over.get() {
                source_.close();
            }
        });
    }
    on(&source, "open", {
        let stream = Rc::clone(stream);
        move |_| {
            say_offline(false);
            if stream.failures.replace(0) > 0 {
                (stream.told)(Told::Back);
            }
        }
    });
    on(&source.clone(), "error", {
        let stream = Rc::clone(stream);
        move |_| {
            if stream.over.get() {
                source.close();
                return;
            }
            let failures = stream.failures.get();
            stream.failures.set(failures + 1);
            // A first hiccup is mended before anybody has to know.
            if failures > 0 || source.ready_state() == EventSource::CLOSED {
                say_offline(true);
            }
            if source.ready_state() == EventSource::CLOSED {
                let stream = Rc::clone(&stream);
                later(500 << failures.min(6), move || connect(&stream));
            }
        }
    });
}

fn say_offline(is_offline: bool) {
    if let Some(sign) = by_id("offline") {
        set_hidden(&sign, !is_offline);
    }
}
