//! History of the workspace: who did what to which object, when.

use crate::{format, ui::prelude::*};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    Page,
    audit::{AuditEvent, ObjectKind},
};
use leptos::prelude::*;

/// The sorts of objects that the list can be narrowed to, with the word for several.
pub const KINDS: [(ObjectKind, &str); 27] = [
    (ObjectKind::Promotion, "Promotions"),
    (ObjectKind::Deployment, "Deployments"),
    (ObjectKind::Alert, "Alerts"),
    (ObjectKind::Trigger, "Triggers"),
    (ObjectKind::Schedule, "Schedules"),
    (ObjectKind::PushHook, "Push hooks"),
    (ObjectKind::Backfill, "Backfills"),
    (ObjectKind::Monitor, "Monitors"),
    (ObjectKind::Policy, "Policies"),
    (ObjectKind::Environment, "Environments"),
    (ObjectKind::Freeze, "Freezes"),
    (ObjectKind::ChangeRequest, "Change requests"),
    (ObjectKind::Delegation, "Delegations"),
    (ObjectKind::Model, "Models"),
    (ObjectKind::ModelVersion, "Versions of models"),
    (ObjectKind::Dataset, "Datasets"),
    (ObjectKind::DatasetVersion, "Versions of datasets"),
    (ObjectKind::Pipeline, "Pipelines"),
    (ObjectKind::PipelineRun, "Pipeline runs"),
    (ObjectKind::Experiment, "Experiments"),
    (ObjectKind::Run, "Runs"),
    (ObjectKind::LoggedModel, "Logged models"),
    (ObjectKind::User, "Members"),
    (ObjectKind::Team, "Teams"),
    (ObjectKind::Token, "Tokens"),
    (ObjectKind::Secret, "Secrets"),
    (ObjectKind::Webhook, "Webhooks"),
];

/// Where the chain of history stands.
#[derive(Debug, Clone)]
pub struct ChainHead {
    /// The number of its last entry; 0 when there is none.
    pub seq: i64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
    /// Whether events wait to be chained.
    pub is_behind: bool,
    /// The last head that was noted.
    pub noted: Option<Noted>,
}

/// A head that was noted.
#[derive(Debug, Clone)]
pub struct Noted {
    /// The number of the last entry then.
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// The key that signed; none when there was none.
    pub key: Option<String>,
}

/// History of the workspace: `kind` in the address narrows it, `page_token` goes on.
#[component]
pub fn Audit(
    /// The addresses of the workspace.
    links: Links,
    /// This page.
    address: Address,
    /// The events, newest first.
    events: Page<AuditEvent>,
    /// Where its chain stands.
    head: ChainHead,
) -> impl IntoView {
    let Page { items, next_page_token } = events;
    let shown = items.len();
    let chosen = address.get("kind").map(str::to_owned);
    let filter = view! { <Filter address=address.clone()/> };
    let body = if items.is_empty() {
        let (title, text) = match &chosen {
            Some(_) => ("Nothing of this sort has happened", "Choose another sort, or all of them."),
            None => ("Nothing has happened yet", "Every change here is written down: by whom, when, to what."),
        };
        view! { <div class="panel"><Empty symbol=Symbol::List title text/></div> }.into_any()
    } else {
        let now = now();
        by_day(items)
            .into_iter()
            .map(|(day, events)| {
                let count = format::count(i64::try_from(events.len()).unwrap_or_default(), "event", "events");
                view! {
                    <section class="day" aria-label=day_name(day, now)>
                        <h2 class="section-title">{day_name(day, now)}" "<span class="n">{count}</span></h2>
                        <Timeline events links=links.clone()/>
                    </section>
                }
            })
            .collect_view()
            .into_any()
    };
    view! {
        <PageHead
            title="Audit".into_any()
            meta=view! { <span>"Who did what, when. Written with the change itself, never altered."</span> }.into_any()
        />
        <div class="with-aside mt-4">
            <div>
                {filter}
                <div class="days">{body}</div>
                <Pager address shown next=next_page_token one="event" many="events"/>
            </div>
            <aside class="aside-sticky stack" aria-label="Proof">
                <Chain links head/>
            </aside>
        </div>
    }
}

/// The head of the chain, and the form that downloads a bundle: sends to `api/v1/audit/bundle`.
#[component]
fn Chain(links: Links, head: ChainHead) -> impl IntoView {
    let today = now().date_naive();
    let from = today.checked_sub_days(chrono::Days::new(30)).unwrap_or(today);
    let draft = Draft::of([("from", from.to_string()), ("to", today.to_string())]);
    let note = if head.is_behind { "catching up" } else { "" };
    let noted = head.noted.clone().map(|noted| {
        let signed = match noted.key {
            Some(key) => view! { "signed with " <code>{key}</code> }.into_any(),
            None => "not signed".into_any(),
        };
        view! { <Fact name="Noted">"entry "{format::integer(noted.seq)}", "<When at=noted.at/>", "{signed}</Fact> }
    });
    let digest = (head.seq > 0).then(|| {
        let hash = head.hash.clone();
        let short: String = hash.chars().take(12).collect();
        view! {
            <Fact name="Hash">
                <span class="digest"><code title=hash.clone()>{short}</code><CopyButton text=hash label="Copy hash"/></span>
            </Fact>
        }
    });
    view! {
        <Panel title="Chain" id="chain" note=note>
            <Body>
                <p class="muted">"Each event is hashed with all before it. A bundle proves it without this server."</p>
                <Facts small=true>
                    <Fact name="Entries">{format::integer(head.seq)}</Fact>
                    {digest}
                    {noted}
                </Facts>
                <form class="stack tight" method="get" action=links.to("api/v1/audit/bundle")>
                    <TextField label="From" name="from" kind="date" draft=draft.clone()/>
                    <TextField label="To, with this day" name="to" kind="date" draft/>
                    <div><Button text="Download bundle"/></div>
                </form>
                <p class="muted">"Check it with "<code>"slipway verify"</code>"."</p>
            </Body>
        </Panel>
    }
}

#[component]
fn Filter(address: Address) -> impl IntoView {
    let chosen = address.get("kind").unwrap_or_default().to_owned();
    let hidden: Vec<_> = address.others(&["kind"]).collect();
    let everything = address.without("kind").href();
    let is_chosen = !chosen.is_empty();
    view! {
        <form class="filter" role="search" aria-label="Filter history" method="get" action=address.path().to_owned()>
            {field::hidden(hidden)}
            <label class="inline-label">
                "What happened to "
                <select class="input" name="kind" data-filter="">
                    <option value="">"Everything"</option>
                    {KINDS
                        .into_iter()
                        .map(|(kind, word)| {
                            let selected = kind.as_str() == chosen;
                            view! { <option value=kind.as_str() selected=selected>{word}</option> }
                        })
                        .collect_view()}
                </select>
            </label>
            <Button text="Show"/>
            {is_chosen.then(|| view! { <a href=everything>"Show everything"</a> })}
        </form>
    }
}

/// Events day by day, in the order in which they came.
fn by_day(events: Vec<AuditEvent>) -> Vec<(NaiveDate, Vec<AuditEvent>)> {
    let mut days: Vec<(NaiveDate, Vec<AuditEvent>)> = Vec::new();
    for event in events {
        let day = event.at.date_naive();
        match days.last_mut() {
            Some((last, events)) if *last == day => events.push(event),
            _ => days.push((day, vec![event])),
        }
    }
    days
}

fn day_name(day: NaiveDate, now: DateTime<Utc>) -> String {
    let date = day.format("%A %-d %B %Y").to_string();
    match (now.date_naive() - day).num_days() {
        0 => format!("Today, {date}"),
        1 => format!("Yesterday, {date}"),
        _ => format::capitalised(&date),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{event, moment, person};

    #[test]
    fn events_stand_below_the_day_they_happened_on() {
        let events = [10, 20, 60 * 24, 60 * 24 * 3]
            .map(|minutes| event(minutes, person("Data scientist"), "run.deleted", ObjectKind::Run, "a", "deleted a"));
        let days = by_day(events.to_vec());
        assert_eq!(days.iter().map(|(_, events)| events.len()).collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!(day_name(days[0].0, moment()), "Today, Monday 23 November 2026");
        assert_eq!(day_name(days[2].0, moment()), "Friday 20 November 2026");
    }
}
