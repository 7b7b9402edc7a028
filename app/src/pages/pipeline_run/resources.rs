//! What a try used while it ran: processors, memory, disks, graphics processors, each with its limit.

use crate::{
    chart::{
        Drawing, Figure,
        curve::{self, Curves, Series},
        look::Look,
        path::thin,
    },
    format,
    ui::prelude::*,
};
use domain::{
    pipeline::Resources as Limits,
    series::{Axis, Window},
    step::{StepAttempt, StepSample},
};
use leptos::prelude::*;
use std::collections::BTreeMap;

/// The most points of a curve: a try of a week has ten thousand pieces.
const POINTS: usize = 240;

/// A chart with its title.
#[derive(Debug, Clone, PartialEq)]
struct Chart {
    title: String,
    /// The most of it, and of how much.
    note: String,
    /// Names of curves, where there are several.
    legend: Vec<&'static str>,
    drawing: Drawing,
}

/// The panel of what a try used. Nothing when nothing was measured.
#[component]
pub(super) fn Resources(samples: Vec<StepSample>, attempt: StepAttempt, limits: Limits) -> impl IntoView {
    let charts = charts(&samples, &attempt, limits);
    if charts.is_empty() {
        return ().into_any();
    }
    let charts = charts
        .into_iter()
        .map(|Chart { title, note, legend, drawing }| {
            let legend = legend
                .into_iter()
                .enumerate()
                .map(|(at, name)| view! { <span><i class=format!("k{}", at + 1)></i>{name}</span> })
                .collect_view();
            view! {
                <figure class="used">
                    <figcaption><b>{title}</b>" "<span class="muted">{note}</span><span class="legend push">{legend}</span></figcaption>
                    <Figure drawing/>
                </figure>
            }
        })
        .collect_view();
    view! {
        <Panel title="Resources" id="resources" note=format!("try {}", attempt.number) live=true>
            <div class="body used-charts">{charts}</div>
        </Panel>
    }
    .into_any()
}

/// Bytes in a unit that makes them small numbers.
fn unit(most: f64) -> (f64, &'static str) {
    const UNITS: [(f64, &str); 4] =
        [(1024.0 * 1024.0 * 1024.0, "GiB"), (1024.0 * 1024.0, "MiB"), (1024.0, "KiB"), (1.0, "B")];
    UNITS.into_iter().find(|(size, _)| most >= 2.0 * size).unwrap_or((1.0, "B"))
}

// Bytes of a machine and counts of processors are far below what loses digits.
#[allow(clippy::cast_precision_loss)]
fn float(bytes: i64) -> f64 {
    bytes as f64
}

fn charts(samples: &[StepSample], attempt: &StepAttempt, limits: Limits) -> Vec<Chart> {
    if samples.len() < 2 {
        return Vec::new();
    }
    let since = |sample: &StepSample| float((sample.at - attempt.started_at).num_milliseconds()) / 1000.0;
    // A piece is drawn where it ends: what it used is known then.
    let points = |value: &dyn Fn(&StepSample) -> f64| {
        let all: Vec<(f64, f64)> =
            samples.iter().map(|sample| (since(sample).max(0.0) + f64::from(sample.seconds), value(sample))).collect();
        thin(&all, POINTS)
    };
    let most = |value: &dyn Fn(&StepSample) -> f64| samples.iter().map(value).fold(0.0, f64::max);
    let draw = |of: &str, series: Vec<Series>, level: Option<(String, f64)>| {
        let window = Window { axis: Axis::Relative, start: Some(0.0), ..Window::default() };
        let from_zero = Series { points: vec![(0.0, 0.0)], ..Series::default() };
        // Usage is looked at from nothing up: a curve of one unseen point holds the axis there.
        let series = series.into_iter().map(|mut series| {
            series.points.splice(0..0, from_zero.points.clone());
            series
        });
        curve::draw(&Curves {
            series: series.collect(),
            level,
            look: Look { window, ..Look::default() },
            of: of.to_owned(),
        })
    };
    let one = |points| vec![Series { points, ..Series::default() }];
    let mut charts = Vec::new();

    let cpu = |sample: &StepSample| f64::from(sample.cpu_mean);
    let used = most(&|sample| f64::from(sample.cpu_max));
    charts.push(Chart {
        title: "Processors".to_owned(),
        note: match limits.cpu {
            Some(limit) => format!("up to {} of {}", format::number(used), format::number(limit)),
            None => format!("up to {}", format::number(used)),
        },
        legend: Vec::new(),
        drawing: draw("Processors", one(points(&cpu)), limits.cpu.map(|limit| ("limit".to_owned(), limit))),
    });

    let memory = |sample: &StepSample| float(sample.memory_max);
    let peak = most(&memory).max(attempt.peak_memory_bytes.map_or(0.0, float));
    let limit = limits.memory_bytes.and_then(|bytes| i64::try_from(bytes).ok());
    let (size, name) = unit(peak.max(limit.map_or(0.0, float)));
    // Of hundreds, tenths say nothing.
    let bytes = |bytes: f64| match bytes / size {
        // Below a thousand of a unit.
        #[allow(clippy::cast_possible_truncation)]
        number if number >= 100.0 => format::integer(number.round() as i64),
        number => format!("{number:.1}"),
    };
    charts.push(Chart {
        title: format!("Memory, {name}"),
        note: match limit {
            Some(limit) => format!("up to {} of {}", bytes(peak), bytes(float(limit))),
            None => format!("up to {}", bytes(peak)),
        },
        legend: Vec::new(),
        drawing: draw(
            "Memory",
            one(points(&|sample| memory(sample) / size)),
            limit.map(|limit| ("limit".to_owned(), float(limit) / size)),
        ),
    });

    let rate = |bytes: i64, sample: &StepSample| float(bytes) / f64::from(sample.seconds).max(0.1);
    let (read, written) = (
        |sample: &StepSample| rate(sample.read_bytes, sample),
        |sample: &StepSample| rate(sample.written_bytes, sample),
    );
    let fastest = most(&read).max(most(&written));
    if fastest > 0.0 {
        let (size, name) = unit(fastest);
        let total = |of: fn(&StepSample) -> i64| {
            let sum = samples.iter().map(of).fold(0, i64::saturating_add);
            format::bytes(u64::try_from(sum).unwrap_or_default())
        };
        let series = |name: &str, points, hue| Series { name: name.to_owned(), points, hue };
        charts.push(Chart {
            title: format!("Disks, {name}/s"),
            note: format!(
                "{} read, {} written",
                total(|sample| sample.read_bytes),
                total(|sample| sample.written_bytes)
            ),
            legend: vec!["read", "written"],
            drawing: draw(
                "Disks",
                vec![
                    series("read", points(&|sample| read(sample) / size), 0),
                    series("written", points(&|sample| written(sample) / size), 1),
                ],
                None,
            ),
        });
    }

    let mut gpus: BTreeMap<&str, u64> = BTreeMap::new();
    for gpu in samples.iter().flat_map(|sample| &sample.gpus) {
        let most = gpus.entry(&gpu.uuid).or_default();
        *most = (*most).max(gpu.memory_bytes);
    }
    for (uuid, memory) in gpus {
        let busy = |sample: &StepSample| {
            let of = sample.gpus.iter().find(|gpu| gpu.uuid == uuid);
            of.map_or(0.0, |gpu| f64::from(gpu.busy) * 100.0)
        };
        charts.push(Chart {
            title: format!("{}, % busy", uuid.get(..12).unwrap_or(uuid)),
            note: format!("{} of its memory at most", format::bytes(memory)),
            legend: Vec::new(),
            drawing: draw("Graphics processor", one(points(&busy)), Some(("all of it".to_owned(), 100.0))),
        });
    }
    charts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::pipelines as p;

    #[test]
    fn the_most_memory_stands_beside_its_limit_and_the_limit_is_drawn() {
        let page = p::running();
        let attempt = page.attempts["train"].last().unwrap().clone();
        let limits = Limits { cpu: Some(2.0), memory_bytes: Some(1 << 30), gpu: 0 };
        let charts = charts(&page.samples, &attempt, limits);
        let notes: Vec<&str> = charts.iter().map(|chart| chart.note.as_str()).collect();
        assert!(notes[1].ends_with("of 1,024"), "{notes:?}");
        assert!(charts[0].drawing.shapes.contains(r#"class="ref""#));
        assert!(super::charts(&[], &attempt, limits).is_empty());
    }
}
