//! Curves that can be zoomed, read and smoothed: loads the chart library and the points when somebody reaches for a
//! chart, and hands both to `app/scripts/chart.ts`, which draws over the picture that the server drew.

use super::dom::{at, attribute, by_id, fetch_json, find, find_all, get, on, page, set, set_attribute, spawn, window};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Element, HtmlInputElement, HtmlScriptElement};

struct Chart {
    panel: Element,
    asked: Cell<bool>,
    log: Cell<bool>,
    points: RefCell<Option<js_sys::Array>>,
}

pub(crate) fn start(id: &str) -> Option<()> {
    let panel = by_id(id)?;
    let chart = Rc::new(Chart { panel, asked: Cell::new(false), log: Cell::new(false), points: RefCell::new(None) });
    for reach in ["pointerenter", "focusin"] {
        let chart_ = Rc::clone(&chart);
        on(&chart.panel, reach, move |_| Chart::load(&chart_));
    }
    on(&chart.panel, "click", {
        let chart = Rc::clone(&chart);
        move |event| {
            if let Some(curve) = at(&event, "[data-url]") {
                let shown = attribute(&curve, "aria-pressed") == "true";
                set_attribute(&curve, "aria-pressed", if shown { "false" } else { "true" });
            } else if let Some(axis) = at(&event, "[data-scale]") {
                chart.log.set(attribute(&axis, "data-scale") == "log");
                press_one(&chart.panel, "[data-scale]", &axis);
            } else {
                return;
            }
            Chart::load(&chart);
            chart.draw();
        }
    });
    // The controls of the page, which all its charts obey, and the system that turns dark.
    let document = page()?;
    for name in ["input", "slipway:axis", "slipway:theme"] {
        let chart = Rc::clone(&chart);
        on(&document, name, move |event| {
            if name != "input" || at(&event, "[data-smoothing]").is_some() {
                if chart.is_near() {
                    Chart::load(&chart);
                }
                chart.draw();
            }
        });
    }
    once(&document);
    None
}

/// What one island does for all charts of the page: the choice of the x axis, and the number beside the smoothing.
fn once(document: &web_sys::Document) -> Option<()> {
    let controls = document.query_selector(".chart-controls:not([data-on])").ok()??;
    set_attribute(&controls, "data-on", "");
    on(&controls.clone(), "click", move |event| {
        let Some(axis) = at(&event, "[data-axis]") else { return };
        press_one(&controls, "[data-axis]", &axis);
        if let (Some(document), Ok(chosen)) = (page(), web_sys::Event::new("slipway:axis")) {
            let _ = document.dispatch_event(&chosen);
        }
    });
    on(document, "input", |event| {
        let Some(range) = at(&event, "[data-smoothing]") else { return };
        let value = range.dyn_ref::<HtmlInputElement>().map(HtmlInputElement::value).unwrap_or_default();
        if let Some(output) = range.next_element_sibling() {
            output.set_text_content(Some(&value));
        }
    });
    None
}

/// Of some buttons, presses one and releases the others.
fn press_one(around: &Element, selector: &str, pressed: &Element) {
    for button in find_all(around, selector) {
        set_attribute(&button, "aria-pressed", if button.is_same_node(Some(pressed)) { "true" } else { "false" });
    }
}

impl Chart {
    fn load(chart: &Rc<Self>) {
        if chart.asked.replace(true) {
            return;
        }
        let chart = Rc::clone(chart);
        spawn(async move {
            match chart.fetch().await {
                Some(points) => {
                    *chart.points.borrow_mut() = Some(points);
                    chart.draw();
                }
                None => {
                    // The picture stays; the next reach tries again.
                    chart.asked.set(false);
                    set_attribute(&chart.panel, "data-failed", "");
                }
            }
            None
        });
    }

    async fn fetch(&self) -> Option<js_sys::Array> {
        let all = js_sys::Array::new();
        for curve in find_all(&self.panel, "[data-url]") {
            let answer = fetch_json(&attribute(&curve, "data-url")).await?;
            all.push(&get(&answer, "points"));
        }
        if library().is_none() {
            let document = page()?;
            let script = document.create_element("script").ok()?.dyn_into::<HtmlScriptElement>().ok()?;
            script.set_type("module");
            script.set_src(&attribute(&self.panel, "data-library"));
            let loaded = js_sys::Promise::new(&mut |done, failed| {
                script.set_onload(Some(&done));
                script.set_onerror(Some(&failed));
            });
            document.body()?.append_child(&script).ok()?;
            JsFuture::from(loaded).await.ok()?;
        }
        library().map(|_| all)
    }

    /// Whether it is in view, or nearly.
    fn is_near(&self) -> bool {
        let place = self.panel.get_bounding_client_rect();
        let height = window().and_then(|window| window.inner_height().ok()?.as_f64()).unwrap_or_default();
        place.bottom() > -height && place.top() < 2.0 * height
    }

    fn draw(&self) -> Option<()> {
        let points = self.points.borrow();
        let points = points.as_ref()?;
        let library = library()?;
        let host = find(&self.panel, ".plot")?;
        set_attribute(&self.panel, "data-drawn", "");
        let series = js_sys::Array::new();
        for (at, curve) in find_all(&self.panel, "[data-url]").iter().enumerate() {
            let one = js_sys::Object::new();
            set(&one, "name", attribute(curve, "data-name"));
            set(&one, "hue", u32::try_from(at % 5 + 1).unwrap_or(1));
            set(&one, "hidden", attribute(curve, "aria-pressed") == "false");
            set(&one, "points", points.get(u32::try_from(at).unwrap_or_default()));
            series.push(&one);
        }
        let document = page()?.document_element()?;
        let options = js_sys::Object::new();
        set(&options, "byTime", find(&document, "[data-axis=time][aria-pressed=true]").is_some());
        set(&options, "log", self.log.get());
        set(
            &options,
            "smoothing",
            find(&document, "[data-smoothing]").map_or(JsValue::NULL, |range| get(&range, "value")),
        );
        let level = find(&self.panel, "[data-level]");
        set(&options, "reference", level.as_ref().map_or(JsValue::NULL, |level| attribute(level, "data-level").into()));
        set(&options, "referenceName", level.as_ref().map(|level| attribute(level, "data-name")).unwrap_or_default());
        let _ = library.call3(&JsValue::NULL, &host, &series, &options);
        None
    }
}

fn library() -> Option<js_sys::Function> {
    get(&get(&window()?.into(), "slipwayChart"), "draw").dyn_into().ok()
}
