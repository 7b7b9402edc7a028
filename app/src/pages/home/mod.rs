//! The workspace's home: what waits for the reader, what is in production, what runs, what is wrong, what happened. And
//! the home of a workspace where nothing has happened yet: the next step, with its command.

mod board;
mod example;
mod welcome;

pub use example::{ExampleStation, ExampleWalk};
pub use welcome::{Welcome, WelcomePage};

use crate::{islands::LiveRegion, pages::pipeline_run::state::of_run, ui::prelude::*};
use board::Board;
use domain::{
    audit::AuditEvent,
    change_request::ChangeRequest,
    deployment::Endpoint,
    environment::Environment,
    id::WorkspaceId,
    monitor::{Alert, AlertState},
    pipeline_run::{PipelineRunState, PipelineRunSummary},
    promotion::{Override, OverrideKind, Promotion},
    step_approval::StepApproval,
};
use example::{AskAgain, Example};
use leptos::prelude::*;

/// What the home page shows.
#[derive(Debug, Clone)]
pub struct HomePage {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Promotions that the reader may decide on, oldest first.
    pub waiting: Vec<Promotion>,
    /// Other promotions in whose discussion somebody waits for the reader's answer, oldest first.
    pub mentioning: Vec<Promotion>,
    /// Changes that the reader may agree to.
    pub changes: Vec<ChangeRequest>,
    /// Steps of pipelines that the reader may approve.
    pub approvals: Vec<StepApproval>,
    /// The workspace's environments, in the order of promotion.
    pub environments: Vec<Environment>,
    /// What serves in each.
    pub endpoints: Vec<Endpoint>,
    /// Pipeline runs that have not ended: those that run before those that wait, newest first.
    pub running: Vec<PipelineRunSummary>,
    /// Whether there are more of them.
    pub more_run: bool,
    /// Alerts that are not resolved, newest first.
    pub alerts: Vec<Alert>,
    /// Overrides whose review nobody has closed.
    pub unreviewed: Vec<Override>,
    /// What happened last, newest first.
    pub activity: Vec<AuditEvent>,
    /// How far the example has come, when it was loaded lately.
    pub example: Option<ExampleWalk>,
    /// Whether the reader may load the example, and it is not being loaded.
    pub may_load_example: bool,
    /// Whether the reader may invite members.
    pub may_invite: bool,
    /// Whether the reader may start pipelines.
    pub may_run: bool,
}

/// Overrides that somebody must still look at: a line each, until their reviews are closed.
#[component]
fn Unreviewed(links: Links, overrides: Vec<Override>) -> impl IntoView {
    let rows = overrides
        .into_iter()
        .map(|one| {
            let href = links.promotion(one.promotion_number);
            let what = match one.kind {
                OverrideKind::Gates => "The gates",
                OverrideKind::Freeze => "The freeze",
            };
            let words = format!("{what} of promotion #{} overridden by {}", one.promotion_number, one.opener);
            let due = one.review_due_at.map(|due| {
                let words = if due < now() { "review overdue since " } else { "review due " };
                view! { ", "{words}{format::minute(due)} }
            });
            view! { <p><a href=href>{words}</a>{due}"."</p> }
        })
        .collect_view();
    view! {
        <div id="unreviewed" data-live="">
            {(!rows.is_empty()).then(|| view! { <Callout tone=Tone::Warn>{rows}</Callout> })}
        </div>
    }
}

/// The home of a workspace.
#[component]
pub fn Home(
    /// The addresses of the workspace.
    links: Links,
    /// What it shows.
    page: HomePage,
) -> impl IntoView {
    let topics = ["promotions", "deployments", "pipeline_runs", "alerts", "example"]
        .map(|noun| format!("{noun}:{}", page.workspace_id));
    let waits = match page.waiting.len() + page.mentioning.len() + page.changes.len() + page.approvals.len() {
        0 => "Nothing waits for you".to_owned(),
        1 => "1 thing waits for you".to_owned(),
        many => format!("{many} things wait for you"),
    };
    let open = page.alerts.len();
    let alerts = (open > 0).then(|| {
        let word = if open == 1 { "1 alert open".to_owned() } else { format!("{open} alerts open") };
        view! { <span><StateMark state=State::Warning word/></span> }
    });
    let actions = view! {
        {page.may_invite.then(|| view! { <ButtonLink text="Invite" href=links.to("settings/members")/> })}
        {page.may_run.then(|| view! { <ButtonLink text="New pipeline run" href=links.pipelines() kind=Kind::Primary/> })}
    };
    let events = links.events(&topics);
    let goes_on = page.example.as_ref().is_some_and(|walk| walk.goes_on);
    let audit = links.to("audit");
    let history = links.clone();
    view! {
        <PageHead
            title="Home".into_any()
            actions=actions.into_any()
            meta=view! { <span>{now().format("%A %-d %B").to_string()}</span><span>{waits}</span>{alerts} }.into_any()
            live=true
        />
        <div class="with-aside mt-4">
            <div class="stack">
                <Unreviewed links=links.clone() overrides=page.unreviewed/>
                {page
                    .example
                    .map(|walk| view! { <Example links=links.clone() walk may_load=page.may_load_example/> })}
                <WaitingForYou links=links.clone() promotions=page.waiting mentioning=page.mentioning changes=page.changes approvals=page.approvals/>
                <Board links=links.clone() environments=page.environments endpoints=page.endpoints/>
                <RunningNow links=links.clone() runs=page.running more=page.more_run/>
            </div>
            <aside class="stack" aria-label="Alerts and activity">
                <Alerts links=links.clone() alerts=page.alerts/>
                <Panel
                    title="Activity"
                    id="activity"
                    actions=view! { <a href=audit>"Audit"</a> }.into_any()
                    live=true
                >
                    {if page.activity.is_empty() {
                        view! { <Body><p class="muted">"What people and pipelines do here appears here."</p></Body> }.into_any()
                    } else {
                        view! { <Body><Timeline events=page.activity links=history/></Body> }.into_any()
                    }}
                </Panel>
            </aside>
        </div>
        {goes_on.then(|| view! { <AskAgain/> })}
        <LiveRegion events/>
    }
}

#[component]
fn WaitingForYou(
    links: Links,
    promotions: Vec<Promotion>,
    mentioning: Vec<Promotion>,
    changes: Vec<ChangeRequest>,
    approvals: Vec<StepApproval>,
) -> impl IntoView {
    let count = promotions.len() + mentioning.len() + changes.len() + approvals.len();
    let approvals = approvals
        .into_iter()
        .map(|approval| {
            let why = approval.description.lines().next().unwrap_or_default();
            let sub = if why.is_empty() { format!("Started by {}", approval.requester) } else { why.to_owned() };
            view! {
                <Row
                    title=format::capitalised(&approval.title())
                    href=links.step(approval.run, &approval.step)
                    state=view! { <StateMark state=State::Waiting word="Approve"/> }.into_any()
                    sub=sub.into_any()
                    end=view! { <When at=approval.created_at/> }.into_any()
                />
            }
        })
        .collect_view();
    let changes = changes
        .into_iter()
        .map(|request| {
            view! {
                <Row
                    title=format::capitalised(&request.change.title())
                    href=links.change_request(request.number)
                    state=view! { <StateMark state=State::Waiting word="Agree"/> }.into_any()
                    sub=format!("Requested by {}", request.requester).into_any()
                    end=view! { <When at=request.created_at/> }.into_any()
                />
            }
        })
        .collect_view();
    let decide = promotions.into_iter().map(|promotion| (promotion, "Approve"));
    let rows = decide.chain(mentioning.into_iter().map(|promotion| (promotion, "Answer"))).map(|(promotion, word)| {
        let why = promotion.comment.lines().next().unwrap_or_default().to_owned();
        let page = links.promotion(promotion.number);
        let (state, href, sub) = match word {
            "Answer" => (State::Unsure, format!("{page}#discussion"), "You are mentioned in its discussion".to_owned()),
            _ if why.is_empty() => (State::Waiting, page, format!("Requested by {}", promotion.requester)),
            _ => (State::Waiting, page, format!("{}: {why}", promotion.requester)),
        };
        view! {
            <Row
                title=promotion.title()
                href
                state=view! { <StateMark state word/> }.into_any()
                sub=sub.into_any()
                end=view! { <When at=promotion.created_at/> }.into_any()
            />
        }
    });
    let rows = rows.collect_view();
    view! {
        <Panel title="Waiting for you" id="waiting" note=count.to_string() live=true>
            {if count == 0 {
                view! { <Body><p class="muted">"Nothing waits for your decision or your answer."</p></Body> }.into_any()
            } else {
                view! { <Rows>{rows}{approvals}{changes}</Rows> }.into_any()
            }}
        </Panel>
    }
}

#[component]
fn RunningNow(links: Links, runs: Vec<PipelineRunSummary>, more: bool) -> impl IntoView {
    let count = format!("{}{}", runs.len(), if more { "+" } else { "" });
    view! {
        <Panel
            title="Running now"
            id="running"
            note=count
            actions=view! { <a href=links.pipelines()>"All pipelines"</a> }.into_any()
            live=true
        >
            {if runs.is_empty() {
                view! { <Body><p class="muted">"No pipeline runs."</p></Body> }.into_any()
            } else {
                view! {
                    <Rows>
                        {runs
                            .into_iter()
                            .map(|summary| {
                                let run = summary.run;
                                let (state, word) = of_run(run.state);
                                // Steps of a run are few.
                                #[allow(clippy::cast_precision_loss)]
                                let share = summary.steps_ended as f64 / summary.steps_total.max(1) as f64;
                                let began = run.started_at.unwrap_or(run.created_at);
                                let sub = format!(
                                    "{} of {} ended, started by {}",
                                    format::integer(summary.steps_ended),
                                    format::count(summary.steps_total, "step", "steps"),
                                    run.started_by_name,
                                );
                                let more = (run.state != PipelineRunState::Queued)
                                    .then(|| view! { <Progress share fixed=true/> });
                                view! {
                                    <Row
                                        title=format!("{} #{}", run.pipeline_name, run.number)
                                        href=links.pipeline_run(run.number)
                                        state=view! { <StateMark state word/> }.into_any()
                                        sub=sub.into_any()
                                        more=more.into_any()
                                        end=view! { <Took from=began to=None/> }.into_any()
                                    />
                                }
                            })
                            .collect_view()}
                    </Rows>
                }
                    .into_any()
            }}
        </Panel>
    }
}

#[component]
fn Alerts(links: Links, alerts: Vec<Alert>) -> impl IntoView {
    let open = alerts.len();
    view! {
        <Panel
            title="Alerts"
            id="alerts"
            note=format!("{open} open")
            actions=view! { <a href=links.alerts()>"All alerts"</a> }.into_any()
            live=true
        >
            {if alerts.is_empty() {
                view! { <Body><p class="muted">"No alert is open."</p></Body> }.into_any()
            } else {
                view! {
                    <Rows>
                        {alerts
                            .into_iter()
                            .map(|alert| {
                                let (state, word) = match alert.state {
                                    AlertState::Open => (State::Failed, "open"),
                                    AlertState::Acknowledged => (State::Warning, "acknowledged"),
                                    AlertState::Resolved => (State::Passed, "resolved"),
                                };
                                view! {
                                    <Row
                                        title=alert.summary.clone()
                                        href=links.alert(alert.number)
                                        state=view! { <StateShape state word/> }.into_any()
                                        sub=format!("{} v{} in {}", alert.model, alert.version, alert.environment).into_any()
                                        end=view! { <When at=alert.opened_at/> }.into_any()
                                    />
                                }
                            })
                            .collect_view()}
                    </Rows>
                }
                    .into_any()
            }}
        </Panel>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};

    #[test]
    fn home_names_what_waits_and_links_to_it() {
        let html = fragment(|| view! { <Home links=Links::new("lab") page=samples::home()/> });
        assert!(html.contains(r#"href="/w/lab/promotions/87""#), "{html}");
        assert!(html.contains("wine-quality v14 → production"), "{html}");
    }
}
