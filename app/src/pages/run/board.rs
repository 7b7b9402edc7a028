//! Which charts a page draws: metrics by group, a part of them at a time, as its address says.

use crate::{
    chart::{curve::Series, dimension::in_order, look::Look},
    ui::prelude::*,
};
use domain::{
    experiment::Champion,
    log_key::{SYSTEM, is_of_model},
    run::{Run, RunSeries},
    series::{Point, group},
};
use leptos::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// The most charts that are drawn at once.
pub const MOST_CHARTS: usize = 24;
/// The most groups that are named; the others are found by the names of their metrics.
const MOST_GROUPS: usize = 200;

/// Which metrics a board is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// What the training logged.
    Training,
    /// What was measured of the machine.
    System,
}

impl About {
    /// What an address says under `about`.
    #[must_use]
    pub fn of(address: &Address) -> Self {
        if address.get("about") == Some("system") { Self::System } else { Self::Training }
    }
}

/// The charts of a page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Board {
    /// The groups, in order.
    pub groups: Vec<Group>,
    /// How many groups are not named.
    pub more: usize,
    /// Their points, by metric and run.
    pub series: HashMap<String, Vec<RunSeries>>,
}

/// Metrics that stand together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// What is before the first `/` of their keys; empty for those without.
    pub name: String,
    /// How many charts it has.
    pub total: usize,
    /// Whether it is open.
    pub is_open: bool,
    /// The metrics that are drawn.
    pub keys: Vec<String>,
    /// How many of it come after those that are drawn.
    pub rest: usize,
}

impl Board {
    /// The charts of an address, still without their points: `open` names groups that are open, `after` the metric that
    /// those of the first of them come after, `metric` is a part of the names that are wanted. Metrics of one point have no
    /// chart. `lengths` says how many points each metric has, of the run that has the most. At most `most` are drawn.
    #[must_use]
    pub fn plan(
        address: &Address,
        lengths: &BTreeMap<String, i64>,
        champion: Option<&Champion>,
        about: About,
        most: usize,
    ) -> Self {
        let wanted = address.get("metric").unwrap_or_default().to_lowercase();
        let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, points) in lengths {
            if *points > 1 && is_of_model(key) != (about == About::System) && key.to_lowercase().contains(&wanted) {
                let name = match about {
                    About::Training => group(key),
                    About::System => machine(key),
                };
                by_name.entry(name).or_default().push(key);
            }
        }
        // A machine has so few that they stand together.
        if about == About::System && by_name.values().map(Vec::len).sum::<usize>() <= most {
            let all: Vec<&str> = by_name.into_values().flatten().collect();
            by_name = if all.is_empty() { BTreeMap::new() } else { BTreeMap::from([("", all)]) };
        }
        let chosen: Vec<&str> = address.all("open").collect();
        let is_default = chosen.is_empty();
        let after = address.get("after");
        let named = |key: &str| champion.is_some_and(|champion| champion.better.contains_key(key));
        let mut left = most;
        let more = by_name.len().saturating_sub(MOST_GROUPS);
        let groups = by_name
            .into_iter()
            .take(MOST_GROUPS)
            .map(|(name, mut keys)| {
                // Those that a gate names come first.
                keys.sort_by(|one, other| (!named(one)).cmp(&!named(other)).then_with(|| in_order(one, other)));
                let is_open = if is_default { left > 0 } else { chosen.contains(&shown_name(name)) };
                let from = match after {
                    Some(after) if chosen.first() == Some(&shown_name(name)) => {
                        keys.iter().position(|key| *key == after).map_or(0, |at| at + 1)
                    }
                    _ => 0,
                };
                let count = if is_open { left.min(keys.len() - from) } else { 0 };
                left -= count;
                Group {
                    name: name.to_owned(),
                    total: keys.len(),
                    is_open,
                    keys: keys[from..from + count].iter().map(|key| (*key).to_owned()).collect(),
                    rest: keys.len() - from - count,
                }
            })
            .collect();
        Self { groups, more, series: HashMap::new() }
    }

    /// The few charts that say the most: those that a gate names, then those the champion has too, then by name.
    #[must_use]
    pub fn few(run: &Run, lengths: &BTreeMap<String, i64>, champion: Option<&Champion>, most: usize) -> Self {
        let rank = |key: &str| match champion {
            Some(champion) if champion.better.contains_key(key) => 0,
            Some(champion) if champion.metrics.contains_key(key) => 1,
            _ => 2,
        };
        let mut keys: Vec<&str> = run.metrics.iter().map(|metric| metric.key.as_str()).collect();
        keys.retain(|key| is_of_model(key) && lengths.get(*key).is_some_and(|points| *points > 1));
        keys.sort_by(|one, other| rank(one).cmp(&rank(other)).then_with(|| in_order(one, other)));
        let total = keys.len();
        keys.truncate(most);
        let rest = total - keys.len();
        let keys = keys.into_iter().map(str::to_owned).collect();
        let group = Group { name: String::new(), total, is_open: true, keys, rest };
        Self { groups: if total > 0 { vec![group] } else { Vec::new() }, ..Self::default() }
    }

    /// The metrics that are drawn.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        self.groups.iter().flat_map(|group| group.keys.iter().map(String::as_str)).collect()
    }

    /// The same with the points of its curves.
    #[must_use]
    pub fn with(mut self, found: Vec<RunSeries>) -> Self {
        for one in found {
            self.series.entry(one.series.key.clone()).or_default().push(one);
        }
        self
    }
}

/// A value as charts have it. MLflow keeps what is infinite as the greatest number there is, which would press every other
/// value flat.
fn drawable(value: f64) -> f64 {
    if value.abs() >= f64::MAX { f64::INFINITY.copysign(value) } else { value }
}

/// A group's name in an address, where it cannot be empty.
fn shown_name(name: &str) -> &str {
    if name.is_empty() { "-" } else { name }
}

/// What of the machine a metric is about: `system/gpu_0_power_usage_watts` is about `gpu`.
fn machine(key: &str) -> &str {
    let rest = key.strip_prefix(SYSTEM).unwrap_or(key);
    let part = rest.split(['_', '/']).next().unwrap_or(rest);
    match part {
        "system" => "memory",
        "" => "other",
        part => part,
    }
}

/// What a metric of the machine is called, and its unit, as MLflow's client names them.
fn of_machine(key: &str) -> (String, Option<&'static str>) {
    const UNITS: [(&str, &str); 6] = [
        ("_megabytes", "MB"),
        ("_percentage", "%"),
        ("_watts", "W"),
        ("_bytes", "B"),
        ("_celsius", "°C"),
        ("_mhz", "MHz"),
    ];
    let rest = key.strip_prefix(SYSTEM).unwrap_or(key);
    let found = UNITS.iter().find_map(|(ending, unit)| Some((rest.strip_suffix(ending)?, *unit)));
    let (name, unit) = found.map_or((rest, None), |(name, unit)| (name, Some(unit)));
    let words = name.strip_prefix("system_").unwrap_or(name).replace('_', " ");
    let words = words.replace("cpu", "CPU").replace("gpu", "GPU");
    let mut letters = words.chars();
    let title = letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect());
    (title, unit)
}

/// What a champion has of a metric, as a level in a chart: its name and value.
pub(super) fn level(champion: &Champion, key: &str) -> Option<(String, f64)> {
    Some((format!("champion v{}", champion.version), *champion.metrics.get(key)?))
}

/// Whose curves, and how they are called.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The run as the island knows it.
    pub run: BoardRun,
    /// Its id.
    pub id: domain::id::RunId,
}

/// The groups of a board, each with its charts.
#[component]
pub(super) fn Groups(
    address: Address,
    board: Board,
    about: About,
    owners: Vec<Owner>,
    champion: Option<Champion>,
    look: Look,
    /// Whether the charts stand without the heads of groups.
    #[prop(optional)]
    flat: bool,
) -> impl IntoView {
    let panel = |key: &str| {
        let found = board.series.get(key).map(Vec::as_slice).unwrap_or_default();
        let series: Vec<Series> = owners
            .iter()
            .filter(|owner| !owner.run.hidden)
            .filter_map(|owner| {
                let one = found.iter().find(|one| one.run_id == owner.id)?;
                let place = |point: &Point| (look.window.axis.place(point, owner.run.start), drawable(point.value));
                Some(Series {
                    name: owner.run.name.clone(),
                    points: one.series.points.iter().map(place).collect(),
                    hue: owner.run.hue,
                })
            })
            .collect();
        let level = champion.as_ref().filter(|_| about == About::Training).and_then(|champion| level(champion, key));
        let points = found.iter().map(|one| one.series.total).max().unwrap_or_default();
        let note = if owners.len() == 1 {
            format!("{} points", format::integer(points))
        } else {
            format::count(i64::try_from(found.len()).unwrap_or_default(), "run", "runs")
        };
        let (title, note) = match about {
            About::System => {
                let (title, unit) = of_machine(key);
                (title, unit.map_or(note, str::to_owned))
            }
            About::Training if flat => (key.to_owned(), note),
            About::Training => {
                let name = group(key);
                (if name.is_empty() { key.to_owned() } else { key[name.len() + 1..].to_owned() }, note)
            }
        };
        let figures = owners.len() == 1;
        view! { <ChartPanel key=key.to_owned() title note=Some(note) series level look figures/> }.into_any()
    };
    let plain = address.without("open").without("after");
    let groups = board
        .groups
        .iter()
        .map(|group| {
            let panels: Vec<AnyView> = group.keys.iter().map(|key| panel(key)).collect();
            if flat {
                return view! { <div class="charts">{panels}</div> }.into_any();
            }
            let here = plain.with("open", shown_name(&group.name));
            let load = (group.rest > 0).then(|| match group.keys.last() {
                Some(last) => (here.with("after", last.clone()).href(), group.rest),
                None => (here.href(), group.rest),
            });
            let title = match (group.name.as_str(), about) {
                ("", About::Training) => "Metrics".to_owned(),
                ("", About::System) => "Machine".to_owned(),
                ("cpu" | "gpu", About::System) => group.name.to_uppercase(),
                (name, About::System) => {
                    let mut letters = name.chars();
                    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
                }
                (name, About::Training) => name.to_owned(),
            };
            view! {
                <ChartGroup name=shown_name(&group.name).to_owned() title total=group.total open=group.is_open load panels/>
            }
            .into_any()
        })
        .collect_view();
    let more = (board.more > 0).then(|| {
        view! { <p class="filter-note">{format!("and {} more groups; find their metrics by name", format::integer(i64::try_from(board.more).unwrap_or_default()))}</p> }
    });
    view! { {groups}{more} }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(keys: &[&str]) -> BTreeMap<String, i64> {
        keys.iter().map(|key| ((*key).to_owned(), 2)).collect()
    }

    fn plan(pairs: &[(&str, &str)], lengths: &BTreeMap<String, i64>) -> Vec<(String, bool, Vec<String>, usize)> {
        let address = Address::new("/", pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        let board = Board::plan(&address, lengths, None, About::Training, 4);
        board.groups.into_iter().map(|group| (group.name, group.is_open, group.keys, group.rest)).collect()
    }

    fn group(name: &str, is_open: bool, keys: &[&str], rest: usize) -> (String, bool, Vec<String>, usize) {
        (name.to_owned(), is_open, keys.iter().map(|key| (*key).to_owned()).collect(), rest)
    }

    #[test]
    fn groups_are_open_as_long_as_there_is_room() {
        let mut all = lengths(&["loss", "val/10", "val/9", "val/x", "val/y", "zoo/a", "system/cpu"]);
        all.insert("once".to_owned(), 1);
        let wanted = [
            group("", true, &["loss"], 0),
            group("val", true, &["val/9", "val/10", "val/x"], 1),
            group("zoo", false, &[], 1),
        ];
        assert_eq!(plan(&[], &all), wanted);
    }

    #[test]
    fn an_address_opens_groups_and_goes_on_within_one() {
        let all = lengths(&["loss", "val/1", "val/2", "val/3", "val/4", "val/5", "val/6"]);
        let opened = plan(&[("open", "val")], &all);
        assert_eq!(opened, [group("", false, &[], 1), group("val", true, &["val/1", "val/2", "val/3", "val/4"], 2)]);
        let further = plan(&[("open", "val"), ("after", "val/4")], &all);
        assert_eq!(further[1], group("val", true, &["val/5", "val/6"], 0));
        assert_eq!(plan(&[("open", "-")], &all)[0], group("", true, &["loss"], 0));
    }

    #[test]
    fn a_name_that_is_looked_for_opens_where_it_is_found() {
        let all = lengths(&["loss", "val/top5", "val/Loss"]);
        let found = plan(&[("metric", "LOSS")], &all);
        assert_eq!(found, [group("", true, &["loss"], 0), group("val", true, &["val/Loss"], 0)]);
    }

    #[test]
    fn what_is_measured_of_the_machine_has_words_and_units() {
        assert_eq!(of_machine("system/gpu_0_power_usage_watts"), ("GPU 0 power usage".to_owned(), Some("W")));
        assert_eq!(of_machine("system/system_memory_usage_megabytes"), ("Memory usage".to_owned(), Some("MB")));
        assert_eq!(of_machine("system/own"), ("Own".to_owned(), None));
        assert_eq!(["system/gpu_0_x", "system/system_memory_x", "system/disk"].map(machine), ["gpu", "memory", "disk"]);
    }
}
