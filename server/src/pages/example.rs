//! The example of an empty workspace: the demo, walked in the background.

use super::{PageResult, View};
use crate::{
    access::Access,
    demo::{
        self,
        station::{Failure, Line, Reached, Station},
    },
    router::Routes,
    state::AppState,
};
use app::pages::home::{ExampleStation, ExampleWalk};
use axum::{extract::State, http::Method};
use chrono::TimeDelta;
use domain::permission::Permission;
use services::Ctx;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.page(Method::POST, "/example", Access::Needs(Permission::ManageWorkspace), load)
}

async fn load(State(state): State<AppState>, view: View) -> PageResult {
    demo::start(&state, view.ctx()?).await?;
    let notice =
        "The example is on its way: it trains a model, promotes it and lets its traffic drift. Two minutes or so.";
    view.done(&view.links.home(), notice).await
}

/// How far the example has come, as the home page tells it; none when it was not loaded lately.
pub(super) fn walk(state: &AppState, ctx: &Ctx) -> Option<ExampleWalk> {
    demo::progress(state, ctx).map(|told| told_to(ctx.may(Permission::ManageWorkspace), told))
}

/// What went wrong may be about the machine: only who may load the example is told, since they can mend it.
fn told_to(may_load: bool, told: demo::Told) -> ExampleWalk {
    let demo::Told { lines, goes_on } = told;
    let broke_off = (!goes_on && lines.last().is_none_or(|line| line.ended.is_none()))
        .then(|| "It broke off; the server's log says why.".to_owned());
    let failed = lines.iter().find_map(|line| line.ended.as_ref()?.as_ref().err());
    let look_at = failed.and_then(|failure| failure.look.clone()).filter(|place| place.starts_with("/w/"));
    let failure = failed.map(|failure| match may_load {
        true => format!("Expected {}, and saw {}.", failure.expected, failure.seen.trim_end_matches('.')),
        false => "It did not come around; an administrator is told why.".to_owned(),
    });
    ExampleWalk { stations: lines.into_iter().map(station).collect(), goes_on, failure: failure.or(broke_off), look_at }
}

fn station(line: Line) -> ExampleStation {
    let (reached, note, page) = match line.ended {
        None => (None, line.note, None),
        // What it says for the command names a folder.
        Some(Ok(_)) if line.station == Station::Python => {
            (Some(true), "MLflow and scikit-learn are there".to_owned(), None)
        }
        Some(Ok(Reached { note, page, .. })) => (Some(true), note, page),
        Some(Err(Failure { .. })) => (Some(false), String::new(), None),
    };
    let took = TimeDelta::from_std(line.took).unwrap_or_default();
    ExampleStation { title: line.station.title().to_owned(), reached, note, took, page }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Told;
    use std::time::Duration;

    fn told(ended: Option<Result<Reached, Failure>>, goes_on: bool) -> Told {
        let line = Line { station: Station::Alert, ended, note: "waiting".to_owned(), took: Duration::from_secs(3) };
        Told { lines: vec![line], goes_on }
    }

    #[test]
    fn why_it_failed_is_for_whoever_can_mend_it() {
        let failure = || Failure::new("an open alert", "none").look_at("/data/demo/install.log");
        let walk = told_to(true, told(Some(Err(failure())), false));
        assert_eq!(walk.failure.as_deref(), Some("Expected an open alert, and saw none."));
        assert_eq!((walk.look_at, walk.stations[0].reached), (None, Some(false)), "a file is no page");
        let others = told_to(false, told(Some(Err(failure().look_at("/w/lab/alerts"))), false));
        assert!(!others.failure.unwrap().contains("alert"));
    }

    #[test]
    fn a_walk_that_neither_goes_on_nor_ended_broke_off() {
        assert_eq!(told_to(true, told(None, true)).failure, None);
        assert!(told_to(true, told(None, false)).failure.unwrap().starts_with("It broke off"));
    }
}
