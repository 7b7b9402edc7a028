//! The table of runs: its heads in one order, its rows in another.

use super::runs::compare;
use crate::{chart::spark::Spark, pages::run::state, ui::prelude::*};
use domain::{
    experiment::Champion,
    run::RunStatus,
    run_table::{MAX_PINNED, RunAttribute, RunColumn, RunRow, RunTable},
};
use leptos::prelude::*;

/// A column as it is drawn.
#[derive(Debug, Clone, PartialEq)]
enum Drawn {
    /// What runs have.
    Of(RunColumn),
    /// The difference from the champion's.
    Delta(String),
    /// The course of a metric.
    Curve(String),
}

impl Drawn {
    /// The name over several columns of a sort.
    fn sort(&self) -> &'static str {
        match self {
            Self::Of(RunColumn::Metric(_)) | Self::Delta(_) | Self::Curve(_) => "Metrics",
            Self::Of(RunColumn::Param(_)) => "Params",
            Self::Of(RunColumn::Tag(_)) => "Tags",
            Self::Of(RunColumn::Attribute(_)) => "",
        }
    }
}

/// The columns, those first that stay in view, with how they are drawn and the class of their cells.
#[derive(Debug, Clone)]
struct Columns {
    drawn: Vec<(Drawn, &'static str)>,
    pinned: usize,
    champion: Option<Champion>,
}

const PINS: [&str; MAX_PINNED] = ["pin at1", "pin at2", "pin at3"];

impl Columns {
    fn of(address: &Address, columns: &[RunColumn], delta: Option<&String>, champion: Option<Champion>) -> Self {
        let pins: Vec<&str> = address.all("pin").collect();
        let is_pinned = |column: &RunColumn| pins.contains(&column.to_string().as_str());
        let pinned: Vec<&RunColumn> = columns.iter().filter(|column| is_pinned(column)).take(MAX_PINNED).collect();
        let mut drawn: Vec<(Drawn, &'static str)> =
            pinned.iter().zip(PINS).map(|(column, class)| (Drawn::Of((*column).clone()), class)).collect();
        let curve = address.get("curve").map(ToOwned::to_owned);
        let mut rest: Vec<Drawn> = Vec::new();
        for column in columns.iter().filter(|column| !pinned.contains(column)) {
            rest.push(Drawn::Of(column.clone()));
            if let RunColumn::Metric(key) = column {
                rest.extend(delta.filter(|delta| *delta == key).map(|key| Drawn::Delta(key.clone())));
                rest.extend(curve.as_ref().filter(|curve| *curve == key).map(|key| Drawn::Curve(key.clone())));
            }
        }
        let missing = |wanted: &Drawn| !rest.contains(wanted);
        let delta = delta.map(|key| Drawn::Delta(key.clone())).filter(missing);
        let curve = curve.map(Drawn::Curve).filter(missing);
        for extra in [curve, delta].into_iter().flatten() {
            let first = rest.iter().position(|drawn| drawn.sort() == "Metrics").unwrap_or(rest.len());
            rest.insert(first, extra);
        }
        let pinned = drawn.len();
        let mut before = "";
        for drawn_column in rest {
            let sort = drawn_column.sort();
            let begins = std::mem::replace(&mut before, sort) != sort;
            drawn.push((drawn_column, if begins { "edge" } else { "" }));
        }
        Self { drawn, pinned, champion }
    }

    /// The sorts over the columns that are not pinned, and how many columns each is over.
    fn sorts(&self) -> Vec<(&'static str, usize)> {
        let mut sorts: Vec<(&'static str, usize)> = Vec::new();
        for (drawn, _) in self.drawn.iter().skip(self.pinned) {
            match sorts.last_mut() {
                Some((sort, count)) if *sort == drawn.sort() => *count += 1,
                _ => sorts.push((drawn.sort(), 1)),
            }
        }
        sorts
    }
}

/// One page of runs.
#[component]
pub(super) fn RunsTable(
    links: Links,
    address: Address,
    table: RunTable,
    champion: Option<Champion>,
    delta: Option<String>,
) -> impl IntoView {
    let sort = Sort::parse(address.get("sort").unwrap_or("-start_time"));
    let columns = Columns::of(&address, &table.columns, delta.as_ref(), champion);
    let heads = columns
        .drawn
        .iter()
        .map(|(drawn, class)| match drawn {
            Drawn::Of(column) => {
                view! { <ColumnHead column=column.clone() address=address.clone() sort=sort.clone() class=class/> }
                    .into_any()
            }
            Drawn::Delta(_) => {
                let name =
                    columns.champion.as_ref().map_or_else(String::new, |champion| format!("Δ v{}", champion.version));
                view! { <Head label=name num=true class=class/> }.into_any()
            }
            Drawn::Curve(key) => view! { <Head label=format!("{key}, curve") class=class/> }.into_any(),
        })
        .collect_view();
    let pins =
        PINS.iter().take(columns.pinned).map(|class| view! { <td class=format!("group {class}")></td> }).collect_view();
    let sorts = columns
        .sorts()
        .into_iter()
        .map(|(sort, count)| match sort {
            "" => view! { <td class="group edge" colspan=count.to_string()></td> }.into_any(),
            sort => view! { <th class="group edge" scope="colgroup" colspan=count.to_string()>{sort}</th> }.into_any(),
        })
        .collect_view();
    let class = if columns.pinned > 0 { "runs pinned" } else { "runs" };
    let rows = table
        .rows
        .into_iter()
        .map(|row| view! { <Line links=links.clone() row columns=columns.clone()/> })
        .collect_view();
    let name = RunColumn::Attribute(RunAttribute::Name);
    view! {
        <Table label="Runs" tall=true keys=true id="runs" class=class>
            <thead>
                <tr>
                    <td class="group tick pin"></td>
                    <td class="group pin name"></td>
                    {pins}
                    {sorts}
                </tr>
                <tr>
                    <th class="tick pin" scope="col">
                        <input type="checkbox" data-all="" aria-label="Select all on this page" autocomplete="off"/>
                    </th>
                    <ColumnHead column=name address=address sort=sort class="pin name"/>
                    {heads}
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </Table>
    }
}

/// The name of a column over its cells.
fn label(column: &RunColumn) -> &str {
    match column {
        RunColumn::Attribute(attribute) => match attribute {
            RunAttribute::Id => "Id",
            RunAttribute::Name => "Run",
            RunAttribute::Status => "State",
            RunAttribute::Start => "Started",
            RunAttribute::End => "Ended",
            RunAttribute::Duration => "Took",
            RunAttribute::User => "By",
            RunAttribute::Datasets => "Data",
            RunAttribute::Versions => "Versions",
        },
        column => column.key(),
    }
}

#[component]
fn ColumnHead(column: RunColumn, address: Address, sort: Sort, class: &'static str) -> impl IntoView {
    let key = column.to_string();
    let num = column.is_number();
    let class = if num { format!("num {class}") } else { class.to_owned() };
    let words = view! { <span class="key">{label(&column).to_owned()}</span> };
    if !column.sorts() {
        return view! { <th scope="col" class=class title=key>{words}</th> }.into_any();
    }
    let current = sort.key == key;
    let newest_first = num || matches!(column, RunColumn::Attribute(RunAttribute::Start | RunAttribute::End));
    let next = Sort { key: key.clone(), descending: if current { !sort.descending } else { newest_first } };
    let direction = current.then_some(if sort.descending { "descending" } else { "ascending" });
    let symbol = if sort.descending { Symbol::ChevronDown } else { Symbol::ChevronUp };
    view! {
        <th scope="col" class=class aria-sort=direction title=key>
            <a href=address.with("sort", next.to_string()).href()>{words}{current.then(|| view! { <Icon symbol/> })}</a>
        </th>
    }
    .into_any()
}

#[component]
fn Line(links: Links, row: RunRow, columns: Columns) -> impl IntoView {
    let id = row.info.id.simple();
    let row_id = format!("run-{id}");
    let name = row.info.name.clone();
    let mut first_metric = true;
    let cells: Vec<AnyView> = columns
        .drawn
        .iter()
        .map(|(drawn, class)| {
            let strong = matches!(drawn, Drawn::Of(RunColumn::Metric(_))) && std::mem::take(&mut first_metric);
            cell(&row, drawn, class, strong, columns.champion.as_ref(), &links)
        })
        .collect();
    let shows_versions =
        columns.drawn.iter().any(|(drawn, _)| *drawn == Drawn::Of(RunColumn::Attribute(RunAttribute::Versions)));
    view! {
        <tr id=row_id>
            <td class="tick pin">
                <input type="checkbox" name="run" value=id autocomplete="off" aria-label=format!("Select {name}")/>
            </td>
            <th scope="row" class="pin name">
                <span class="name-cell">
                    <a href=links.run(&row.info.id) title=name.clone()>{name.clone()}</a>
                    {row.versions
                        .iter()
                        .filter(|_| !shows_versions)
                        .take(1)
                        .map(|(_, version)| view! { <Tag text=format!("v{version}") mono=true/> })
                        .collect_view()}
                </span>
            </th>
            {cells}
        </tr>
    }
}

fn cell(
    row: &RunRow,
    drawn: &Drawn,
    class: &'static str,
    strong: bool,
    champion: Option<&Champion>,
    links: &Links,
) -> AnyView {
    let none = || view! { <span class="none">{format::NONE}</span> }.into_any();
    let and = |more: &'static str| if class.is_empty() { more.to_owned() } else { format!("{more} {class}") };
    match drawn {
        Drawn::Of(RunColumn::Metric(key)) => {
            let value = row.metrics.get(key).copied();
            let exact = value.map(|value| value.to_string());
            view! { <td class=and(if strong { "num strong" } else { "num" }) title=exact><Num value/></td> }.into_any()
        }
        Drawn::Of(RunColumn::Param(key)) => {
            view! { <td class=and("mono")><Short text=row.params.get(key).cloned()/></td> }.into_any()
        }
        Drawn::Of(RunColumn::Tag(key)) => {
            view! { <td class=and("")><Short text=row.tags.get(key).cloned()/></td> }.into_any()
        }
        Drawn::Of(RunColumn::Attribute(attribute)) => attribute_cell(row, *attribute, class, links),
        Drawn::Delta(key) => {
            let value = row.metrics.get(key).copied();
            let delta = match value.and_then(|value| compare(champion?, key, value)) {
                Some((delta, meaning)) => view! { <Delta text=format::signed(delta) meaning/> }.into_any(),
                None => none(),
            };
            view! { <td class=and("num")>{delta}</td> }.into_any()
        }
        Drawn::Curve(key) => {
            let values: Vec<f64> = row.curve.iter().map(|point| point.value).collect();
            let tone = if row.info.status == RunStatus::Failed { Tone::Fail } else { Tone::default() };
            let drawing = match values.len() {
                0 => none(),
                _ => view! { <Spark values of=key.clone() tone/> }.into_any(),
            };
            view! { <td class=class>{drawing}</td> }.into_any()
        }
    }
}

fn attribute_cell(row: &RunRow, attribute: RunAttribute, class: &'static str, links: &Links) -> AnyView {
    let info = &row.info;
    let none = || view! { <span class="none">{format::NONE}</span> }.into_any();
    let and = |more: &'static str| if class.is_empty() { more.to_owned() } else { format!("{more} {class}") };
    match attribute {
        RunAttribute::Id => {
            let id = info.id.simple();
            let short: String = id.chars().take(8).collect();
            view! { <td class=and("mono")><span title=id>{short}</span></td> }.into_any()
        }
        RunAttribute::Name => view! { <td class=class><Short text=Some(info.name.clone())/></td> }.into_any(),
        RunAttribute::Status => {
            let (shape, word) = state(info.status);
            view! { <td class=class><StateMark state=shape word/></td> }.into_any()
        }
        RunAttribute::Start => view! { <td class=and("muted")><When at=from_ms(info.start_time)/></td> }.into_any(),
        RunAttribute::End => {
            let ended = info.end_time.map_or_else(none, |end| view! { <When at=from_ms(end)/> }.into_any());
            view! { <td class=and("muted")>{ended}</td> }.into_any()
        }
        RunAttribute::Duration => {
            let took = match info.status {
                RunStatus::Scheduled => none(),
                _ => view! { <Took from=from_ms(info.start_time) to=info.end_time.map(from_ms)/> }.into_any(),
            };
            view! { <td class=and("num")>{took}</td> }.into_any()
        }
        RunAttribute::User => {
            view! { <td class=class><Avatar name=info.user_name.clone() size=AvatarSize::Row named=true/></td> }
                .into_any()
        }
        RunAttribute::Datasets => {
            let all = row.datasets.join(", ");
            view! { <td class=and("mono")><Short text=Some(all)/></td> }.into_any()
        }
        RunAttribute::Versions => {
            let versions = row
                .versions
                .iter()
                .map(|(model, version)| view! { <a href=links.version(model, *version)>{format!("{model} v{version}")}</a>" " })
                .collect_view();
            let versions = if row.versions.is_empty() { none() } else { versions.into_any() };
            view! { <td class=class>{versions}</td> }.into_any()
        }
    }
}

/// A text of a param or tag, cut to what a cell holds.
#[component]
pub(super) fn Short(text: Option<String>) -> impl IntoView {
    match text.filter(|text| !text.is_empty()) {
        None => view! { <span class="none">{format::NONE}</span> }.into_any(),
        Some(text) if text.chars().count() > 28 => {
            let cut: String = text.chars().take(27).chain(['…']).collect();
            view! { <span title=text>{cut}</span> }.into_any()
        }
        Some(text) => text.into_any(),
    }
}
