//! Several runs beside each other: their curves over each other, what they differ by, and how that goes together.

mod choice;
mod drawn;
mod values;

use super::{
    Whole,
    board::{About, Board, Groups, Owner},
    state,
};
use crate::{
    chart::{
        hue::{self, Swatch},
        look::Look,
    },
    ui::prelude::*,
};
use domain::{
    experiment::Champion,
    log_key::is_of_model,
    run::{Run, RunStatus},
};
use drawn::{BarsView, ParallelView, ScatterView};
use leptos::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use values::Values;

/// The most runs that are compared: as many as there are colours.
pub const MOST_RUNS: usize = hue::MOST;
/// The most charts that are drawn at once, of many curves each.
const MOST_CHARTS: usize = 12;

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// Curves over each other.
    #[default]
    Charts,
    /// Params and metrics in tables.
    Values,
    /// An axis for each of some params and metrics.
    Parallel,
    /// A point for each run.
    Scatter,
    /// A bar for each run.
    Bars,
}

impl View {
    /// What an address says under `tab`. Without curves, the tables come first: `lengths` says how many points each metric
    /// has.
    #[must_use]
    pub fn of(address: &Address, lengths: &BTreeMap<String, i64>) -> Self {
        match address.get("tab") {
            Some("charts") => Self::Charts,
            Some("values") => Self::Values,
            Some("parallel") => Self::Parallel,
            Some("scatter") => Self::Scatter,
            Some("bars") => Self::Bars,
            _ if lengths.values().any(|points| *points > 1) => Self::Charts,
            _ => Self::Values,
        }
    }
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct ComparePage {
    /// The runs, in the order they were chosen, at most [`MOST_RUNS`].
    pub runs: Vec<Arc<Run>>,
    /// How many points each metric has, of the run that has the most.
    pub lengths: BTreeMap<String, i64>,
    /// The charts that are drawn.
    pub board: Board,
    /// What they are held against.
    pub champion: Option<Champion>,
}

impl ComparePage {
    /// The charts of an address, still without their points.
    #[must_use]
    pub fn board(address: &Address, lengths: &BTreeMap<String, i64>, champion: Option<&Champion>) -> Board {
        match View::of(address, lengths) {
            View::Charts => Board::plan(address, lengths, champion, About::of(address), MOST_CHARTS),
            _ => Board::default(),
        }
    }

    /// About how many points a curve of so many gets, so that a page stays small.
    #[must_use]
    pub fn points(runs: usize) -> usize {
        (3000 / runs.max(1)).clamp(60, 300)
    }
}

/// Several runs beside each other.
#[component]
pub fn Compare(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `run` are the runs, `hide` those whose lines are left out, `tab` is a [`View`].
    address: Address,
    /// What it shows.
    page: ComparePage,
) -> impl IntoView {
    let count = page.runs.len();
    if count < 2 {
        return view! {
            <Crumbs items=vec![Crumb::to("Experiments", links.experiments()), Crumb::here("Compare")]/>
            <PageHead title="Compare runs".into_any()/>
            <div class="panel mt-4">
                <Empty
                    symbol=Symbol::Flask
                    title="Choose two runs or more"
                    text="Tick them in the table of an experiment, then press Compare. Up to 50 stand beside each other."
                >
                    <ButtonLink text="Experiments" href=links.experiments()/>
                </Empty>
            </div>
        }
        .into_any();
    }
    let shown = View::of(&address, &page.lengths);
    // The runs, which of them are hidden, and how charts are drawn stay from one part to the next.
    let mut plain = address.clone();
    for name in
        ["tab", "metric", "open", "after", "differ", "axis", "sx", "sy", "colour", "bar", "about", "start", "end"]
    {
        plain = plain.without(name);
    }
    let tab = |view: View, name: &'static str, value: &'static str| {
        Tab::new(name, plain.with("tab", value).href()).current(shown == view)
    };
    let tabs = vec![
        tab(View::Charts, "Charts", "charts"),
        tab(View::Values, "Params and metrics", "values"),
        tab(View::Parallel, "Parallel coordinates", "parallel"),
        tab(View::Scatter, "Scatter", "scatter"),
        tab(View::Bars, "Bars", "bars"),
    ];
    let lines = lines(&address, &page.runs);
    let runs = page.runs.clone();
    let running = runs.iter().filter(|run| run.info.status == RunStatus::Running).map(|run| run.info.id).collect();
    let (here, of_runs) = (address.clone(), lines.clone());
    let body = match shown {
        View::Charts => view! { <Charts links=links.clone() address=here page lines=of_runs/> }.into_any(),
        View::Values => view! { <Values address=here page lines=of_runs/> }.into_any(),
        View::Parallel => view! { <ParallelView address=here page lines=of_runs/> }.into_any(),
        View::Scatter => view! { <ScatterView address=here page lines=of_runs/> }.into_any(),
        View::Bars => view! { <BarsView address=here page lines=of_runs/> }.into_any(),
    };
    view! {
        <Crumbs items=vec![Crumb::to("Experiments", links.experiments()), Crumb::here("Compare")]/>
        <PageHead title=format!("Compare {count} runs").into_any()/>
        <div class="mt-4"><Heads links=links.clone() address runs lines/></div>
        <Tabs label="Compare" items=tabs/>
        <div class="stack mt-4">{body}</div>
        <Whole links running/>
    }
    .into_any()
}

/// A run's line in the charts of the page.
#[derive(Debug, Clone)]
struct Line {
    name: String,
    hue: usize,
    hidden: bool,
}

/// The lines of the runs. Two runs of one name are told apart by the end of their ids.
fn lines(address: &Address, runs: &[Arc<Run>]) -> Vec<Line> {
    let hidden: BTreeSet<&str> = address.all("hide").collect();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs {
        *seen.entry(&run.info.name).or_default() += 1;
    }
    runs.iter()
        .enumerate()
        .map(|(hue, run)| {
            let id = run.info.id.simple();
            let is_twin = seen.get(run.info.name.as_str()).is_some_and(|count| *count > 1);
            // Ids begin with a time: the end tells them apart.
            let name = if is_twin { format!("{} {}", run.info.name, &id[26..]) } else { run.info.name.clone() };
            Line { name, hue, hidden: hidden.contains(id.as_str()) }
        })
        .collect()
}

/// The runs themselves, each with its line in the charts, which a press leaves out.
#[component]
fn Heads(links: Links, address: Address, runs: Vec<Arc<Run>>, lines: Vec<Line>) -> impl IntoView {
    let many = runs.len() > 8;
    let rows = runs
        .into_iter()
        .zip(lines)
        .map(|(run, line)| {
            let (shape, word) = state(run.info.status);
            let started = from_ms(run.info.start_time);
            let id = run.info.id.simple();
            let toggled =
                if line.hidden { address.without_value("hide", &id) } else { address.and("hide", id.clone()) };
            let fewer = address.without_value("run", &id).without_value("run", &run.info.id.to_string());
            let label = format!("{} {}", if line.hidden { "Show" } else { "Hide" }, line.name);
            view! {
                <tr class=line.hidden.then_some("off")>
                    <td class="tick">
                        <a class="line-toggle" href=toggled.href() data-toggle=run.info.id.to_string() aria-label=label>
                            <Swatch at=line.hue/>
                        </a>
                    </td>
                    <th scope="row" class="name"><a class="ellipsis" href=links.run(&run.info.id) title=run.info.name.clone()>{line.name}</a></th>
                    <td><StateMark state=shape word/></td>
                    <td class="muted"><When at=started/></td>
                    <td class="num"><Took from=started to=run.info.end_time.map(from_ms)/></td>
                    <td><Avatar name=run.info.user_name.clone() size=AvatarSize::Row named=true/></td>
                    <td class="end">
                        <a class="icon-btn" href=fewer.href() aria-label=format!("Remove {}", run.info.name)><Icon symbol=Symbol::Close/></a>
                    </td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class=if many { "compared many" } else { "compared" }>
            <Table label="Runs" tall=many>
                <thead>
                    <tr>
                        <Head label="Line" quiet=true class="tick"/>
                        <Head label="Run"/>
                        <Head label="State"/>
                        <Head label="Started"/>
                        <Head label="Took" num=true/>
                        <Head label="By"/>
                        <Head label="Remove" quiet=true/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        </div>
    }
}

/// Curves over each other.
#[component]
fn Charts(links: Links, address: Address, page: ComparePage, lines: Vec<Line>) -> impl IntoView {
    let about = About::of(&address);
    let has_system = page.lengths.iter().any(|(key, points)| *points > 1 && !is_of_model(key));
    let owners: Vec<Owner> = page
        .runs
        .iter()
        .zip(lines)
        .map(|(run, line)| Owner {
            id: run.info.id,
            run: BoardRun {
                id: run.info.id.to_string(),
                name: line.name,
                start: run.info.start_time,
                hue: line.hue,
                hidden: line.hidden,
            },
        })
        .collect();
    let is_running = page.runs.iter().any(|run| run.info.status == RunStatus::Running);
    let runs = owners.iter().map(|owner| owner.run.clone()).collect();
    let series = links.series(page.runs.iter().map(|run| &run.info.id));
    let is_empty = page.board.groups.is_empty();
    let found = address.without("after").without("open");
    let choice = has_system.then(|| {
        let here = address.without("open").without("after").without("start").without("end");
        let items = vec![
            ("Training".to_owned(), here.without("about").href(), about == About::Training),
            ("System".to_owned(), here.with("about", "system").href(), about == About::System),
        ];
        view! { <Choice label="Which metrics" items/> }
    });
    let nothing = is_empty.then(|| {
        view! { <p class="filter-note">"No metric with a curve is found. Metrics of one point are under Params and metrics."</p> }
    });
    view! {
        <FilterBar label="Find metrics by name" address=found name="metric" placeholder="loss">{choice}</FilterBar>
        <ChartBoard runs series live=is_running>
            <ChartControls address=address.clone() anew=&["after"]/>
            {nothing}
            <Groups address=address.clone() board=page.board about owners champion=page.champion look=Look::of(&address)/>
        </ChartBoard>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};

    fn html(pairs: &[(&str, &str)]) -> String {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        fragment(move || {
            let address = Address::new("/w/lab/runs/compare", pairs);
            view! { <Compare links=Links::new("lab") address page=samples::compare()/> }
        })
    }

    #[test]
    fn only_what_differs_is_listed_until_all_is_asked_for() {
        let some = html(&[("tab", "values")]);
        assert!(some.contains("1 of 4 differ"), "{some}");
        assert!(some.contains(">max_depth</th>") && !some.contains(">learning_rate</th>"), "{some}");
        let all = html(&[("tab", "values"), ("differ", "all")]);
        let place = |text: &str| all.find(&format!(">{text}</th>")).unwrap_or(usize::MAX);
        assert!(place("max_depth") < place("learning_rate") && place("learning_rate") < usize::MAX, "{all}");
    }

    #[test]
    fn curves_of_all_runs_are_over_each_other_and_one_can_be_left_out() {
        let all = html(&[]);
        assert!(all.contains("line k1 d0\" d=") && all.contains("line k2 d0\" d="), "{all}");
        let page = samples::compare();
        let address = Address::new("/", [("hide".to_owned(), page.runs[0].info.id.simple())]);
        let some = fragment(move || view! { <Compare links=Links::new("lab") address page/> });
        assert!(
            !some.contains("line k1 d0\" d=") || some.matches("line k1 d0").count() < all.matches("line k1 d0").count(),
            "{some}"
        );
    }

    #[test]
    fn each_way_of_comparing_is_drawn() {
        for (tab, part) in [("parallel", "as lines over"), ("scatter", "2 runs by"), ("bars", "of 2 runs")] {
            let html = html(&[("tab", tab)]);
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn a_metric_that_is_called_as_its_kind_keeps_its_whole_name() {
        let mut page = samples::compare();
        for run in &mut page.runs {
            Arc::make_mut(run).metrics[0].key = "metrics.f1".to_owned();
        }
        let pairs = [("tab", "bars"), ("bar", "metrics.metrics.f1")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let address = Address::new("/w/lab/runs/compare", pairs);
        let html = fragment(|| view! { <Compare links=Links::new("lab") address page/> });
        assert!(html.contains(r#"aria-label="metrics.f1 of 2 runs""#), "{html}");
    }

    #[test]
    fn runs_of_one_name_are_told_apart() {
        let mut page = samples::compare();
        let twin = Arc::make_mut(&mut page.runs[0]);
        twin.info.name = "a".to_owned();
        let mut other = twin.clone();
        other.info.id = domain::id::RunId::new();
        page.runs[1] = Arc::new(other);
        let lines = lines(&Address::default(), &page.runs);
        assert_ne!(lines[0].name, lines[1].name);
    }

    #[test]
    fn the_page_follows_the_runs_that_run_and_says_when_all_are_over() {
        let over = html(&[]);
        assert!(over.contains(r#"id="run-running""#) && over.contains(r#"data-is="over""#), "{over}");
        assert!(!over.contains("events?topic="), "{over}");
        let mut page = samples::compare();
        let run = Arc::make_mut(&mut page.runs[1]);
        run.info.status = RunStatus::Running;
        let events = format!("/w/lab/events?topic=run%3A{}&quot;", run.info.id);
        let html = fragment(|| view! { <Compare links=Links::new("lab") address=Address::default() page/> });
        assert!(html.contains(r#"data-is="running""#) && html.contains(&events), "{html}");
    }

    #[test]
    fn one_run_alone_is_not_compared() {
        let mut page = samples::compare();
        page.runs.truncate(1);
        let html = fragment(|| view! { <Compare links=Links::new("lab") address=Address::default() page/> });
        assert!(html.contains("Choose two runs or more"), "{html}");
    }
}
