//! `slipway demo`: one real model walks the whole loop, from training to production and back to the next candidate.
//!
//! Everything goes through the public API, by people of the roles that each thing is for; only their accounts and tokens
//! are made in the database, as `slipway admin` does. [`station`] is what is told of the walk, [`walk`] its order. The
//! scripts of the training are in `demo/` at the root of the repository; `docs/demo.md` says what there is to see.

mod background;
mod client;
mod file;
mod local;
mod people;
mod python;
mod release;
pub mod station;
mod traffic;
mod training;
mod walk;
mod watch;

pub use background::{Background, Told, is_offered, progress, start};

use crate::{config::Demo, installation::with_services, stop::Stop};
use anyhow::Result;
use app::links::Links;
use local::Server;
use people::People;
use serde_json::{Map, Value, json};
use services::{Ctx, Services};
use station::{Failure, Progress, Reached, Station};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio_util::sync::CancellationToken;
use walk::Walk;

/// Where to walk, and with what.
struct Route<'a> {
    /// The server's address.
    url: &'a str,
    /// Where the demo keeps what it needs.
    folder: PathBuf,
    /// A Python environment that has the packages already.
    python: Option<&'a Path>,
}

/// Walks, and tells it: each station on standard error, and one line of JSON on standard output.
///
/// # Errors
/// When the database of the data folder cannot be opened. That a station was not reached is told by the exit code.
pub async fn run(options: Demo) -> Result<ExitCode> {
    let stop = Stop::on_signal()?;
    let progress = Progress::aloud();
    say(&format!("One model around the whole loop, at {}\n", options.url));
    let walked = with_server(&options, &progress, stop.asked()).await?;
    let url = options.url.trim_end_matches('/');
    if let Err(failure) = &walked {
        say(&format!("\nExpected {}.\nSaw {}.", failure.expected, failure.seen));
        if let Some(place) = &failure.look {
            say(&format!("Look at {}", address(url, place)));
        }
    }
    #[allow(clippy::print_stdout, reason = "the answer to the command")]
    {
        println!("{}", summary(url, &progress, walked.as_ref().err()));
    }
    Ok(if walked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Walks on the server at the address, which is started, and stopped in the end, when nobody is there.
async fn with_server(options: &Demo, progress: &Progress, stop: &CancellationToken) -> Result<Result<(), Failure>> {
    let http = match client::http() {
        Ok(http) => http,
        Err(failure) => return Ok(Err(failure)),
    };
    let finding = async {
        let server = Server::find_or_start(options, &http, progress).await?;
        let (state, note) = if server.is_started() {
            ("started", format!("started at {} for as long as the walk takes", server.url))
        } else {
            ("running", format!("answers at {}", server.url))
        };
        Ok((Reached::new(server.url.as_str(), state, note), server))
    };
    let found = tokio::select! {
        found = progress.station(Station::Server, finding) => found,
        () = stop.cancelled() => Err(interrupted()),
    };
    let server = match found {
        Ok(server) => server,
        Err(failure) => return Ok(Err(failure)),
    };
    let walked = with_database(options, &server.url, &http, progress, stop).await;
    let was_started = server.is_started();
    if was_started {
        say("\nStopping the server.");
    }
    server.end().await;
    if matches!(walked, Ok(Ok(()))) {
        tell_pages(options, progress, was_started);
    }
    walked
}

/// The Python environment that the steps of the walk run in, when it is made here.
pub(crate) fn python(data_dir: &Path) -> PathBuf {
    python::environment(&local::folder(data_dir))
}

async fn with_database(
    options: &Demo,
    url: &str,
    http: &reqwest::Client,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<Result<(), Failure>> {
    with_services(&options.data, 4, false, async |services, data_dir| {
        let workspace = services.ensure_default_workspace().await?;
        let route = Route { url, folder: local::folder(data_dir), python: options.python.as_deref() };
        let ctx = Ctx::system(workspace);
        // In here, so that a private database is stopped however the walk ends.
        Ok(go(&services, &ctx, &route, http, progress, stop).await)
    })
    .await
}

fn interrupted() -> Failure {
    Failure::new("the end of the walk", "an interruption")
}

/// Prepares what the walk needs beside a server, and walks, until `stop`.
async fn go(
    services: &Services,
    ctx: &Ctx,
    route: &Route<'_>,
    http: &reqwest::Client,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let preparing = async {
        let programs = python::prepare(&route.folder, route.python, progress).await?;
        let place = programs.parent().unwrap_or(&programs).to_string_lossy().into_owned();
        Ok((Reached::new(place.as_str(), "ready", format!("MLflow and scikit-learn in {place}")), programs))
    };
    let programs = tokio::select! {
        prepared = progress.station(Station::Python, preparing) => prepared?,
        () = stop.cancelled() => return Err(interrupted()),
    };
    let people = match People::admit(services, ctx, http, route.url).await {
        Ok(people) => people,
        Err(failure) => return progress.station(Station::People, async { Err(failure) }).await,
    };
    let links = Links::new(ctx.workspace.slug.as_str());
    let walk = Walk::new(&people, links, progress.clone());
    let whole = file::whole(&programs);
    let walked = tokio::select! {
        walked = walk.go(&whole) => walked,
        () = stop.cancelled() => Err(interrupted()),
    };
    // However it ended: nobody uses their tokens any more.
    people.leave().await;
    walked
}

/// The last line: the id and state of each station that was reached, and why the walk ended before its end, if it did.
fn summary(url: &str, progress: &Progress, failure: Option<&Failure>) -> Value {
    let mut stations = Map::new();
    let mut failed = None;
    for line in progress.lines() {
        match line.ended {
            Some(Ok(mut reached)) => {
                reached.page = reached.page.map(|page| address(url, &page));
                stations.insert(line.station.key().to_owned(), json!(reached));
            }
            Some(Err(_)) | None => failed = Some(line.station),
        }
    }
    let mut summary = json!({ "ok": failure.is_none(), "url": url, "stations": stations });
    if let Some(failure) = failure {
        summary["failed"] = json!(failed);
        summary["expected"] = json!(failure.expected);
        summary["seen"] = json!(failure.seen);
        summary["look_at"] = json!(failure.look.as_ref().map(|place| address(url, place)));
    }
    summary
}

/// A page below the server's address; a file or a whole address as it is.
fn address(url: &str, place: &str) -> String {
    if place.starts_with("/w/") { format!("{url}{place}") } else { place.to_owned() }
}

/// Says which pages to look at.
fn tell_pages(options: &Demo, progress: &Progress, was_started: bool) {
    let url = options.url.trim_end_matches('/');
    let lines = progress.lines();
    let took: std::time::Duration = lines.iter().map(|line| line.took).sum();
    say(&format!("\nThe loop is closed, in {:.0} s. Look at", took.as_secs_f64()));
    let mut told = HashSet::new();
    for line in lines {
        if let Some(Ok(Reached { page: Some(page), .. })) = line.ended
            && told.insert(page.clone())
        {
            say(&format!("  {:14} {}", line.station.title(), address(url, &page)));
        }
    }
    say("The candidate is yours to decide on: sign in as an approver.");
    if was_started {
        say("\nThe server was started for the walk and has stopped; `slipway serve` shows the pages again.");
    }
}

#[allow(clippy::print_stderr, reason = "what the command tells while it works")]
fn say(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn walked() -> Progress {
        let progress = Progress::default();
        let reached = Reached::new(7, "succeeded", "trained").at("/w/default/pipeline-runs/7");
        progress.station(Station::PipelineRun, async { Ok((reached, ())) }).await.unwrap();
        progress
    }

    #[tokio::test]
    async fn the_last_line_has_the_id_and_state_of_each_station() {
        let line = summary("http://127.0.0.1:3000", &walked().await, None);
        let page = "http://127.0.0.1:3000/w/default/pipeline-runs/7";
        let run = json!({ "id": 7, "state": "succeeded", "page": page });
        let stations = json!({ "pipeline_run": run });
        assert_eq!(line, json!({ "ok": true, "url": "http://127.0.0.1:3000", "stations": stations }));
    }

    #[tokio::test]
    async fn the_last_line_of_a_walk_that_failed_says_where_and_why() {
        let progress = walked().await;
        let failure = Failure::new("an open alert", "none").look_at("/w/default/alerts");
        let failing = failure.clone();
        let _ = progress.station::<()>(Station::Alert, async { Err(failing) }).await;
        let line = summary("http://127.0.0.1:3000", &progress, Some(&failure));
        assert_eq!(line["ok"], false);
        assert_eq!(line["failed"], "alert");
        assert_eq!(line["seen"], "none");
        assert_eq!(line["look_at"], "http://127.0.0.1:3000/w/default/alerts");
        assert_eq!(line["stations"]["pipeline_run"]["id"], 7);
    }
}
