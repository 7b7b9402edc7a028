//! What serves of a model in an environment: since when and by whose approval, its traffic, how far its features have
//! moved, how to call it, and the way back.

mod call;
mod predictions;

pub use call::Call;

use crate::{
    chart::{Figure, columns},
    format,
    islands::LiveRegion,
    pages::{
        deployment::{of_deployment, share},
        monitor::{Checks, drift::Features, of_check},
    },
    ui::prelude::*,
};
use chrono::{TimeDelta, Timelike};
use domain::{
    Page,
    audit::AuditEvent,
    deployment::{Deployment, Endpoint, Prediction},
    monitor::{Alert, Check, CheckState, Monitor},
};
use leptos::prelude::*;

/// What the page of an endpoint shows.
#[derive(Debug, Clone)]
pub struct EndpointPage {
    /// What serves, and its traffic.
    pub endpoint: Endpoint,
    /// Who approved its promotion, by name.
    pub approved_by: Vec<String>,
    /// What is watched.
    pub monitor: Monitor,
    /// The last checks, newest first.
    pub checks: Vec<Check>,
    /// The alert that is not resolved.
    pub alert: Option<Alert>,
    /// The latest predictions.
    pub predictions: Page<Prediction>,
    /// Deployments of this model here, newest first.
    pub deployments: Vec<Deployment>,
    /// The latest history of this model here, newest first.
    pub events: Vec<AuditEvent>,
    /// How to call it.
    pub call: Call,
    /// Whether the reader may roll back.
    pub may_deploy: bool,
}

/// The page of an endpoint. Sends to `…/rollback`: `deployment` and `comment`.
#[component]
pub fn Serving(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `page_token` goes on in the predictions.
    address: Address,
    /// The endpoint.
    page: EndpointPage,
) -> impl IntoView {
    let deployment = page.endpoint.deployment.clone();
    let (environment, model) = (deployment.environment.clone(), deployment.model.clone());
    let topics = [format!("deployments:{}", deployment.workspace_id), format!("monitor:{}", page.monitor.id)];
    let events = links.events(&topics);
    let latest = page.checks.first().cloned();
    let features = latest.as_ref().map_or(0, |check| check.features.len());
    let tabs = vec![
        Tab::new("Traffic", "#traffic").current(true),
        if features > 0 { Tab::new("Drift", "#drift").count(features) } else { Tab::new("Drift", "#drift") },
        Tab::new("Predictions", "#predictions"),
        Tab::new("Call it", "#call"),
        Tab::new("Deployments", "#deployments"),
        Tab::new("History", "#history"),
    ];
    let head = view! { <ServingHead links=links.clone() page=page.clone()/> };
    let strip = view! { <Strip page=page.clone()/> };
    let traffic = view! { <TrafficPanel endpoint=page.endpoint.clone()/> };
    let drift = view! { <DriftPanel check=latest monitor=page.monitor.clone() links=links.clone()/> };
    let checks = view! { <Checks checks=page.checks.clone()/> };
    let predictions = view! { <predictions::Predictions predictions=page.predictions address/> };
    let call = view! { <call::HowToCall call=page.call/> };
    let deployments =
        view! { <crate::pages::deployment::History links=links.clone() deployments=page.deployments of_one=true/> };
    let history = view! { <Happened events=page.events links=links.clone()/> };
    let aside = view! {
        <WhatServes deployment=deployment.clone() approved_by=page.approved_by previous=page.endpoint.previous links=links.clone()/>
        <Watching monitor=page.monitor alert=page.alert links=links.clone()/>
    };
    view! {
        <Crumbs items=vec![
            Crumb::to("Deployments", links.deployments()),
            Crumb::to(environment.clone(), links.environment(&environment)),
            Crumb::here(model),
        ]/>
        {head}
        {strip}
        <Tabs label="Parts of this page" items=tabs sticky=true/>
        <div class="stack">
            <div class="with-aside">
                <div class="stack">{traffic}{checks}</div>
                <aside class="stack" id="beside" data-live="" aria-label="What serves, and what is watched">{aside}</aside>
            </div>
            {drift}
            {predictions}
            {call}
            <Panel title="Deployments here" id="deployments" live=true>{deployments}</Panel>
            {history}
        </div>
        <LiveRegion events/>
    }
}

#[component]
fn ServingHead(links: Links, page: EndpointPage) -> impl IntoView {
    let EndpointPage { endpoint, approved_by, may_deploy, alert, .. } = page;
    let deployment = endpoint.deployment;
    let (environment, model, version) = (deployment.environment.clone(), deployment.model.clone(), deployment.version);
    let (shape, word) = of_deployment(deployment.state);
    let since = deployment.live_at.unwrap_or(deployment.created_at);
    let badge = match &alert {
        Some(alert) => {
            view! { <Badge state=State::Warning word=format!("{word}, alert #{}", alert.number)/> }.into_any()
        }
        None => view! { <Badge state=shape word=word/> }.into_any(),
    };
    let back = endpoint.previous.filter(|_| may_deploy);
    let button = match (may_deploy, endpoint.previous) {
        (false, _) => ().into_any(),
        (true, Some(previous)) => {
            view! { <Button text=format!("Roll back to v{previous}") kind=Kind::Danger symbol=Symbol::Undo opens="rollback"/> }.into_any()
        }
        (true, None) => {
            view! { <Button text="Roll back" kind=Kind::Danger symbol=Symbol::Undo because="No version was live here before this one."/> }
                .into_any()
        }
    };
    let dialog = back.map(|previous| {
        let action = format!("{}/rollback", links.endpoint(&environment, &model));
        view! { <Rollback deployment=deployment.clone() previous action/> }
    });
    let by = match (approved_by.as_slice(), deployment.rollback_of) {
        (_, Some(_)) => format!("{} rolled back to it", deployment.created_by),
        ([], None) => format!("{} brought it here", deployment.created_by),
        (names, None) => format!("{} approved it", names.join(", ")),
    };
    let face =
        approved_by.first().filter(|_| deployment.rollback_of.is_none()).unwrap_or(&deployment.created_by).clone();
    let promotion = deployment.promotion_number.map(|number| {
        let href = links.promotion(number);
        view! { <span><Icon symbol=Symbol::Promote/><a href=href>{format!("Promotion #{number}")}</a></span> }
    });
    let version_link = links.version(&model, version);
    view! {
        <PageHead
            title=view! { {model}" "<a class="quiet mono" href=version_link>{format!("v{version}")}</a>" "<span class="to">"in"</span>" "{environment} }.into_any()
            badge
            actions=button
            meta=view! {
                <span><Avatar name=face size=AvatarSize::Small/>{by}</span>
                <span><Icon symbol=Symbol::Live/>"Serves since "<When at=since/></span>
                {promotion}
                <span>"Files "<DigestText digest=deployment.digest/></span>
            }
                .into_any()
            live=true
        />
        <div id="endpoint-dialogs" data-live="">{dialog}</div>
    }
}

/// The question before a rollback: it names both versions.
#[component]
fn Rollback(deployment: Deployment, previous: i32, action: String) -> impl IntoView {
    let Deployment { model, environment, version, number, .. } = deployment;
    view! {
        <Confirm
            id="rollback"
            title=format!("Roll back {model} in {environment} from v{version} to v{previous}?")
            action
            go=format!("Roll back to v{previous}")
            keep=format!("Keep v{version}")
            values=vec![("deployment", number.to_string())]
        >
            <p>
                "Requests are answered by "<b>{format!("v{previous}")}</b>" within seconds, without a gap. "
                <b>{format!("v{version}")}</b>" stays in the registry; bringing it back takes a promotion."
            </p>
            <p class="muted">{format!("v{previous} passed its gates and was approved when it came, so nobody is asked again.")}</p>
            <TextArea label="Why" name="comment" id="rollback-comment" optional=true hint="It stands in the history."/>
        </Confirm>
    }
}

/// The four answers below the head.
#[component]
fn Strip(page: EndpointPage) -> impl IntoView {
    let traffic = page.endpoint.traffic;
    let errors = share(traffic.errors, traffic.requests);
    let quiet = || view! { <span class="none">{format::NONE}</span> }.into_any();
    let answer = |question: &str, value: AnyView, reason: AnyView, href: &str| Answer {
        question: question.to_owned(),
        value,
        reason,
        href: href.to_owned(),
    };
    let check = page.checks.first();
    let drift = match check {
        Some(check) => {
            let (shape, word) = of_check(check.state);
            let value =
                check.share.map_or_else(|| word.to_owned(), |share| format!("{} drifted", format::percent(share)));
            answer(
                "Features",
                view! { <StateShape state=shape word=word/>{value} }.into_any(),
                view! { {check.reason.clone()}" "<When at=check.at/> }.into_any(),
                "#drift",
            )
        }
        None => answer("Features", quiet(), "not checked yet".into_any(), "#drift"),
    };
    let items = vec![
        answer(
            "Requests, 24 h",
            format::integer(traffic.requests).into_any(),
            rate(traffic.requests).into_any(),
            "#traffic",
        ),
        answer(
            "Latency, p99",
            traffic.p99_ms.map_or_else(quiet, |ms| format::latency(ms).into_any()),
            traffic
                .p50_ms
                .map_or_else(|| "no requests".to_owned(), |ms| format!("half within {}", format::latency(ms)))
                .into_any(),
            "#traffic",
        ),
        answer(
            "Errors",
            match errors {
                None => quiet(),
                Some(share) if share > 0.01 => {
                    view! { <StateShape state=State::Failed word="many"/>{format::percent(share)} }.into_any()
                }
                Some(share) => format::percent(share).into_any(),
            },
            format!(
                "{} of {}",
                format::integer(traffic.errors),
                format::count(traffic.requests, "request", "requests")
            )
            .into_any(),
            "#predictions",
        ),
        drift,
    ];
    view! { <Answers label="How it does" id="strip" items live=true/> }
}

/// How many requests a minute or an hour that is.
fn rate(requests: i64) -> String {
    // Requests of a day are far below what loses digits.
    #[allow(clippy::cast_precision_loss)]
    let per_minute = requests as f64 / 1440.0;
    match requests {
        0 => "nobody has called it".to_owned(),
        _ if per_minute >= 60.0 => format!("{} a second", (per_minute / 6.0).round() / 10.0),
        _ if per_minute >= 1.0 => format!("{} a minute", (per_minute * 10.0).round() / 10.0),
        _ => format!("{} an hour", (per_minute * 600.0).round() / 10.0),
    }
}

#[component]
fn TrafficPanel(endpoint: Endpoint) -> impl IntoView {
    let traffic = endpoint.traffic;
    // Requests of an hour are far below what loses digits.
    #[allow(clippy::cast_precision_loss)]
    let values: Vec<f64> = traffic.series.iter().map(|requests| *requests as f64).collect();
    let marks = hours(now(), values.len());
    let busiest = traffic.series.iter().max().copied().unwrap_or_default();
    let body = if traffic.requests == 0 {
        view! { <Empty symbol=Symbol::Pulse title="No request in 24 hours" text="Send one: how is below, ready to paste."/> }.into_any()
    } else {
        view! {
            <div class="body cols">
                <Figure drawing=columns::draw(&values, &marks, "Requests an hour")/>
                <Facts>
                    <Fact name="Requests">{format::integer(traffic.requests)}</Fact>
                    <Fact name="Busiest hour">{format::integer(busiest)}</Fact>
                    <Fact name="Not answered">{format::integer(traffic.errors)}</Fact>
                    <Fact name="Half within">{traffic.p50_ms.map_or_else(|| format::NONE.to_owned(), format::latency)}</Fact>
                    <Fact name="99 % within">{traffic.p99_ms.map_or_else(|| format::NONE.to_owned(), format::latency)}</Fact>
                </Facts>
            </div>
        }
        .into_any()
    };
    view! { <Panel title="Traffic" id="traffic" note="requests an hour, 24 h, times in UTC" live=true>{body}</Panel> }
}

/// Every sixth full hour, at the slice it begins in; the last slice ends now.
fn hours(now: chrono::DateTime<chrono::Utc>, slices: usize) -> Vec<(usize, String)> {
    (0..slices)
        .filter_map(|at| {
            let back = i64::try_from(slices - 1 - at).ok()?;
            let start = now - TimeDelta::hours(back);
            (start.hour().is_multiple_of(6)).then(|| (at, format!("{:02}:00", start.hour())))
        })
        .collect()
}

#[component]
fn DriftPanel(check: Option<Check>, monitor: Monitor, links: Links) -> impl IntoView {
    let href = links.monitor(&monitor.environment, &monitor.model);
    let actions = view! { <a href=href>"Monitor"</a> }.into_any();
    let Some(check) = check else {
        let text = if monitor.enabled {
            format!(
                "A check compares the latest {} rows with the values that the version was trained on.",
                format::integer(monitor.window_rows.into())
            )
        } else {
            "The monitor is off; nothing is checked.".to_owned()
        };
        return view! {
            <Panel title="Drift" id="drift" actions live=true>
                <Empty symbol=Symbol::Pulse title="Not checked yet" text/>
            </Panel>
        }
        .into_any();
    };
    let (shape, word) = of_check(check.state);
    let note = format!("{} rows of v{}", format::integer(check.rows), check.version);
    let body = if check.features.is_empty() {
        let missing = check.state == CheckState::Inconclusive;
        view! {
            <Empty symbol=Symbol::Unsure title=if missing { "The check could not tell" } else { "No features" } text=check.reason.clone()/>
        }
        .into_any()
    } else {
        view! { <Features features=check.features.clone()/> }.into_any()
    };
    view! {
        <Panel
            title="Drift"
            id="drift"
            note
            lead=view! { <StateMark state=shape word/> }.into_any()
            actions
            live=true
        >
            {body}
        </Panel>
    }
    .into_any()
}

#[component]
fn WhatServes(deployment: Deployment, approved_by: Vec<String>, previous: Option<i32>, links: Links) -> impl IntoView {
    let since = deployment.live_at.unwrap_or(deployment.created_at);
    let version = links.version(&deployment.model, deployment.version);
    let promotion = deployment.promotion_number.map(|number| {
        let href = links.promotion(number);
        view! { <Fact name="Promotion"><a href=href>{format!("#{number}")}</a></Fact> }
    });
    let before = previous.map(|previous| {
        let href = links.version(&deployment.model, previous);
        view! { <Fact name="Before it"><a href=href>{format!("v{previous}")}</a></Fact> }
    });
    let approved = if approved_by.is_empty() { "nobody was asked".to_owned() } else { approved_by.join(", ") };
    view! {
        <Panel title="What serves" id="serves">
            <Body>
                <Facts>
                    <Fact name="Version"><a href=version>{format!("v{}", deployment.version)}</a></Fact>
                    <Fact name="Since"><When at=since/></Fact>
                    <Fact name="Approved by">{approved}</Fact>
                    {promotion}
                    <Fact name="Deployment">{format!("#{}, by {}", deployment.number, deployment.created_by)}</Fact>
                    {before}
                    <Fact name="Files"><DigestText digest=deployment.digest/></Fact>
                </Facts>
            </Body>
        </Panel>
    }
}

#[component]
fn Watching(monitor: Monitor, alert: Option<Alert>, links: Links) -> impl IntoView {
    let href = links.monitor(&monitor.environment, &monitor.model);
    let warning = alert.map(|alert| {
        let href = links.alert(alert.number);
        view! {
            <Callout tone=Tone::Warn symbol=Symbol::Bell>
                <b><a href=href>{format!("Alert #{}", alert.number)}</a></b>
                " "
                {alert.summary}
                ", since "
                <When at=alert.opened_at/>
            </Callout>
        }
    });
    let (shape, word) = if monitor.enabled { (State::Live, "On") } else { (State::Skipped, "Off") };
    view! {
        <Panel
            title="Monitor"
            id="monitor"
            lead=view! { <StateMark state=shape word/> }.into_any()
            actions=view! { <a href=href>"Settings"</a> }.into_any()
        >
            <Body>
                {warning}
                <Facts>
                    <Fact name="Looks at">{format!("the latest {} rows", format::integer(monitor.window_rows.into()))}</Fact>
                    <Fact name="Needs">{format!("{} rows", format::integer(monitor.min_rows.into()))}</Fact>
                    <Fact name="Alert from">"half of the features drifted"</Fact>
                </Facts>
            </Body>
        </Panel>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_stand_at_the_slice_they_begin_in() {
        let now = "2026-11-23T14:20:00Z".parse().unwrap();
        let marks = hours(now, 24);
        assert_eq!(
            marks,
            [(3, "18:00".to_owned()), (9, "00:00".to_owned()), (15, "06:00".to_owned()), (21, "12:00".to_owned())]
        );
    }

    #[test]
    fn a_rate_has_the_unit_that_suits_it() {
        assert_eq!(rate(0), "nobody has called it");
        assert_eq!(rate(12), "0.5 an hour");
        assert_eq!(rate(14_400), "10 a minute");
        assert_eq!(rate(1_000_000), "11.6 a second");
    }
}
