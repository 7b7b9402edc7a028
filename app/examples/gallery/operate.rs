//! Pipelines, environments, deployments, alerts, history, with the example values of `app::samples`.

use crate::{chrome, page};
use app::{
    pages::{
        alert,
        audit::{Audit, ChainHead},
        dataset, deployment,
        endpoint::Serving,
        environment, freeze,
        monitor::Settings,
        pipeline, pipeline_run, schedule, worker,
    },
    samples::{datasets as d, operations as o, pipelines as p},
    shell::Section,
    ui::prelude::*,
};
use domain::{Error, Page, id::WorkspaceId, pipeline::PipelineSpec};
use leptos::prelude::*;
use std::{io, path::Path};

fn links() -> Links {
    Links::new("wine-lab")
}

fn at(path: &str, pairs: &[(&str, &str)]) -> Address {
    Address::new(links().to(path), pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

pub(crate) fn write(out: &Path) -> io::Result<()> {
    runs(out)?;
    pipelines(out)?;
    workers(out)?;
    datasets(out)?;
    environments(out)?;
    serving(out)?;
    alerts(out)
}

fn runs(out: &Path) -> io::Result<()> {
    let run = |name: &str, sample: pipeline_run::RunPage, pairs: &'static [(&str, &str)]| {
        let title = format!("train-wine #{}", sample.detail.run.number);
        page(out, name, chrome(&title, Some(Section::Pipelines)), move || {
            view! { <pipeline_run::Run links=links() address=at("pipeline-runs/512", pairs) page=sample/> }
        })
    };
    run("pipeline-run", p::running(), &[])?;
    run("pipeline-run-gantt", p::running(), &[("view", "gantt"), ("step", "train"), ("attempt", "1")])?;
    run("pipeline-run-failed", p::failed(), &[])?;
    run("pipeline-run-skipped", p::failed(), &[("step", "evaluate")])?;
    run("pipeline-run-outputs", p::chosen("split"), &[("step", "split")])?;
    run("pipeline-run-metrics", p::chosen("baseline"), &[("step", "baseline")])?;
    run("pipeline-run-queued", p::queued(), &[])
}

fn pipelines(out: &Path) -> io::Result<()> {
    let section = Some(Section::Pipelines);
    page(out, "schedules", chrome("Schedules", section), || {
        view! { <schedule::Schedules links=links() address=at("schedules", &[]) page=p::schedules()/> }
    })?;
    page(out, "schedule", chrome("nightly", section), || {
        view! { <schedule::One links=links() address=at("schedules/nightly", &[]) page=p::one_schedule() draft=Draft::default()/> }
    })?;
    let list = |name: &str, pipelines, may_write| {
        page(out, name, chrome("Pipelines", section), move || {
            view! {
                <pipeline::List
                    links=links()
                    address=at("pipelines", &[])
                    pipelines
                    base="https://slipway.example.com/w/wine-lab"
                    may_write
                    workspace_id=WorkspaceId::new()
                />
            }
        })
    };
    list("pipelines", p::pipelines(), true)?;
    list("pipelines-empty", Page { items: Vec::new(), next_page_token: None }, true)?;
    page(out, "pipeline", chrome("train-wine", section), || {
        view! { <pipeline::Pipeline links=links() address=at("pipelines/train-wine", &[]) page=p::pipeline()/> }
    })?;
    page(out, "pipeline-refused", chrome("train-wine", section), || {
        let mut sample = p::pipeline();
        sample.runs = Page { items: Vec::new(), next_page_token: None };
        sample.triggers.clear();
        let draft = Draft::of([("params.learning-rate", "fast"), ("params.rounds", "12")])
            .refused(&Error::invalid_field("params.learning-rate", "The param \"learning-rate\" must be a number."));
        view! { <pipeline::Pipeline links=links() address=at("pipelines/train-wine", &[("state", "failed")]) page=sample draft/> }
    })?;
    page(out, "pipeline-file", chrome("train-wine", section), || {
        view! { <pipeline::File links=links() address=at("pipelines/train-wine/file", &[("version", "2")]) page=p::file(2)/> }
    })?;
    page(out, "pipeline-new", chrome("New pipeline", section), || {
        view! { <pipeline::Edit links=links() name=None draft=Draft::of([("source", pipeline::example())])/> }
    })?;
    page(out, "pipeline-edit", chrome("Edit train-wine", section), || {
        let source = p::FILE
            .replace("    inputs: { raw: fetch.raw }\n    needs", "    inputs: { raw: fetch.rav }\n    needs")
            .replace("timeout: 15m", "timeuot: 15m");
        let problems = PipelineSpec::parse(&source).map(|_| Vec::new()).unwrap_or_else(|errors| errors.0);
        view! {
            <pipeline::Edit links=links() name=Some("train-wine".to_owned()) draft=Draft::of([("source", source)]) problems/>
        }
    })
}

fn workers(out: &Path) -> io::Result<()> {
    page(out, "workers", chrome("Workers", Some(Section::Pipelines)), || {
        view! {
            <worker::Workers
                links=links()
                workspace_id=WorkspaceId::new()
                workers=o::workers()
                pools=o::pools()
                limits=o::limits().into_iter().filter(|limit| limit.name == "licences").collect()
                blocking=o::limits()
                running=o::queue(true)
                ready=o::queue(false)
                may_write=true
                may_limit_pools=true
            />
        }
    })
}

fn datasets(out: &Path) -> io::Result<()> {
    let section = Some(Section::Datasets);
    page(out, "dataset-version", chrome("wine-rows@41", section), || {
        view! { <dataset::Version links=links() address=at("datasets/wine-rows/versions/41", &[]) page=d::version_page()/> }
    })?;
    page(out, "dataset-diff", chrome("wine-rows@40 to wine-rows@42", section), || {
        view! { <dataset::Diff links=links() address=at("datasets/wine-rows/versions/42/diff", &[]) page=d::diff_page()/> }
    })
}

fn environments(out: &Path) -> io::Result<()> {
    let section = Some(Section::Environments);
    page(out, "environments", chrome("Environments", section), || {
        view! { <environment::Environments links=links() page=o::environments_page()/> }
    })?;
    page(out, "environments-new", chrome("Environments", section), || {
        view! { <environment::Environments links=links() page=o::new_environments()/> }
    })?;
    page(out, "freeze-change", chrome("Change Year end", Some(Section::Freezes)), || {
        let page = freeze::EditPage {
            id: domain::id::FreezeId::new(),
            name: "Year end".to_owned(),
            kind: domain::freeze::FreezeKind::Deny,
            mark: "sha256:0".to_owned(),
            environments: vec!["staging".to_owned(), "production".to_owned()],
            timezones: vec!["UTC", "Europe/Berlin"],
        };
        let draft = Draft::of([
            ("name", "Year end"),
            ("repeats", "dates"),
            ("from", "2026-12-24T18:00"),
            ("to", "2027-01-04T08:00"),
            ("schedule/timezone", "UTC"),
            ("environments", "production"),
            ("overrun", "on"),
            ("reason", "The books are closed."),
        ]);
        view! { <freeze::Edit links=links() page draft/> }
    })?;
    page(out, "account", chrome("Your account", Some(Section::Settings)), || {
        let mail = [domain::mail::MailKind::Waiting, domain::mail::MailKind::Mentioned].into();
        let (sessions, events) = (Vec::new(), Vec::new());
        view! { <app::pages::settings::Account links=links() sessions events mail mail_is_sent=true/> }
    })?;
    page(out, "freezes", chrome("Freezes", Some(Section::Freezes)), || {
        view! { <freeze::Freezes links=links() page=o::freezes()/> }
    })?;
    page(out, "environment", chrome("production", section), || {
        view! { <environment::One links=links() address=at("environments/production", &[]) page=o::environment()/> }
    })
}

fn serving(out: &Path) -> io::Result<()> {
    let section = Some(Section::Deployments);
    let board = |name: &str, sample: deployment::DeploymentsPage| {
        page(out, name, chrome("Deployments", section), move || {
            view! { <deployment::Deployments links=links() address=at("deployments", &[]) page=sample/> }
        })
    };
    board("deployments", o::deployments())?;
    let mut nothing = o::deployments();
    nothing.endpoints.clear();
    nothing.history = Page { items: Vec::new(), next_page_token: None };
    board("deployments-empty", nothing)?;
    page(out, "deployment", chrome("Deployment #39", section), || {
        view! { <deployment::One links=links() page=o::one_deployment()/> }
    })?;
    let serves = |name: &str, sample| {
        page(out, name, chrome("wine-quality in production", section), move || {
            view! { <Serving links=links() address=at("environments/production/models/wine-quality", &[]) page=sample/> }
        })
    };
    serves("endpoint", o::endpoint_page())?;
    serves("endpoint-new", o::new_endpoint())?;
    serves("endpoint-wide", o::wide_endpoint())?;
    page(out, "monitor", chrome("Monitor", section), || {
        let draft = Draft::of([("window_rows", "1000"), ("min_rows", "5000"), ("enabled", "on")])
            .refused(&Error::invalid_field("min_rows", "The least number of rows is more than the window holds."));
        view! { <Settings links=links() page=o::monitor_page() draft/> }
    })
}

fn alerts(out: &Path) -> io::Result<()> {
    let section = Some(Section::Alerts);
    page(out, "alerts", chrome("Alerts", section), || {
        view! { <alert::Alerts links=links() address=at("alerts", &[("show", "all")]) page=o::alerts()/> }
    })?;
    page(out, "alerts-empty", chrome("Alerts", section), || {
        let mut sample = o::alerts();
        sample.alerts = Page { items: Vec::new(), next_page_token: None };
        sample.unresolved = 0;
        view! { <alert::Alerts links=links() address=at("alerts", &[]) page=sample/> }
    })?;
    page(out, "alert", chrome("Alert #5", section), || view! { <alert::One links=links() page=o::alert_page()/> })?;
    page(
        out,
        "alert-resolved",
        chrome("Alert #3", section),
        || view! { <alert::One links=links() page=o::resolved_alert()/> },
    )?;
    page(out, "audit", chrome("Audit", None), || {
        let head = ChainHead { seq: 1204, hash: "9f03a71c4d2be8a0".repeat(4), is_behind: false, noted: None };
        view! { <Audit links=links() address=at("audit", &[]) events=p::history() head/> }
    })
}
