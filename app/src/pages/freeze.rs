//! Freezes: whether anything may be deployed now, the windows ahead, and the forms to make one and to change it.

use crate::{format, islands::LiveRegion, ui::prelude::*};
use domain::{
    environment::{Environment, Tier},
    freeze::{Freeze, FreezeKind, FreezeState, Schedule},
    id::{FreezeId, WorkspaceId},
};
use leptos::prelude::*;

/// A freeze in the list.
#[derive(Debug, Clone)]
pub struct FreezeRow {
    /// The freeze.
    pub freeze: Freeze,
    /// How it stands.
    pub state: FreezeState,
    /// When that ends, by the clock of its zone.
    pub until: Option<String>,
    /// Its one window, by the clock of its zone; none for one that comes again.
    pub dates: Option<(String, String)>,
}

/// How an environment stands.
#[derive(Debug, Clone)]
pub struct PlaceRow {
    /// The environment.
    pub environment: Environment,
    /// Whether anything may be deployed there now.
    pub is_open: bool,
    /// When that ends, by the clock of the zone of what closes it.
    pub until: Option<String>,
    /// What closes it, by name.
    pub because: Vec<String>,
    /// How many freezes of some models close it beside that.
    pub of_models: usize,
}

/// A window ahead.
#[derive(Debug, Clone)]
pub struct WindowRow {
    /// The freeze.
    pub name: String,
    /// What the window means.
    pub kind: FreezeKind,
    /// When it begins, by the clock of its zone.
    pub from: String,
    /// When it ends.
    pub to: Option<String>,
    /// Whether it is open now.
    pub is_open: bool,
}

/// What the page of freezes shows.
#[derive(Debug, Clone)]
pub struct FreezesPage {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// How each environment stands, in the order of promotion.
    pub places: Vec<PlaceRow>,
    /// The freezes, newest first.
    pub freezes: Vec<FreezeRow>,
    /// Whether those that ended are among them.
    pub with_ended: bool,
    /// The windows of the next days.
    pub windows: Vec<WindowRow>,
    /// Whether the reader may change them.
    pub may_write: bool,
    /// The names of time zones.
    pub timezones: Vec<&'static str>,
}

/// For how many days windows ahead are shown.
pub const DAYS: i64 = 30;

/// The freezes of the workspace. The form sends to `freezes`, what is done with one to `freezes/{id}`.
#[component]
pub fn Freezes(
    /// The addresses of the workspace.
    links: Links,
    /// What it shows.
    page: FreezesPage,
    /// What was typed to make one, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let FreezesPage { workspace_id, places, freezes, with_ended, windows, may_write, timezones } = page;
    let events = links.events(&["freezes", "environments"].map(|noun| format!("{noun}:{workspace_id}")));
    let environments: Vec<String> = places.iter().map(|place| place.environment.name.clone()).collect();
    let closed = places.iter().filter(|place| !place.is_open).count();
    let meta = match closed {
        0 => "Every environment is open".to_owned(),
        closed => format!("{closed} of {} environments closed", places.len()),
    };
    let (other, other_href) = match with_ended {
        true => ("Hide ended", links.freezes()),
        false => ("Show ended", format!("{}?ended=true", links.freezes())),
    };
    let now = places.into_iter().map(|place| view! { <Place links=links.clone() place/> }).collect_view();
    let list = if freezes.is_empty() {
        view! {
            <Empty
                symbol=Symbol::Wait
                title="Nothing is frozen"
                text=if may_write {
                    "A freeze keeps everybody from deploying at some times, such as weekends, or lets them deploy at some times alone. Make one in the form here."
                } else {
                    "A freeze keeps everybody from deploying at some times, such as weekends, or lets them deploy at some times alone. Administrators make them."
                }
            />
        }
        .into_any()
    } else {
        let rows = freezes.into_iter().map(|row| view! { <Line links=links.clone() row may_write/> }).collect_view();
        view! {
            <Table label="Freezes" roomy=true keys=true>
                <thead>
                    <tr>
                        <Head label="Freeze"/>
                        <Head label="Now"/>
                        <Head label="When and where"/>
                        <Head label="Change" quiet=true/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        }
        .into_any()
    };
    let ahead = if windows.is_empty() {
        view! { <Body><p class="muted">{format!("No window opens in the next {DAYS} days.")}</p></Body> }.into_any()
    } else {
        let rows = windows.into_iter().map(|window| view! { <Ahead window/> }).collect_view();
        view! { <Rows>{rows}</Rows> }.into_any()
    };
    let form = may_write
        .then(|| view! { <aside class="stack" aria-label="Make a freeze"><New links=links.clone() environments timezones draft/></aside> });
    view! {
        <PageHead
            title="Freezes".into_any()
            actions=view! { <ButtonLink text=other href=other_href/> }.into_any()
            meta=view! { <span>{meta}</span><span>"Denying goes before allowing"</span> }.into_any()
        />
        <div class=if may_write { "with-aside mt-4" } else { "stack mt-4" }>
            <div class="stack">
                <Panel title="Now" id="now" live=true><Rows>{now}</Rows></Panel>
                <Panel title="Freezes" id="freezes" live=true>{list}</Panel>
                <Panel title="Windows ahead" id="ahead" note=format!("next {DAYS} days") live=true>{ahead}</Panel>
            </div>
            {form}
        </div>
        <LiveRegion events/>
    }
}

#[component]
fn Place(links: Links, place: PlaceRow) -> impl IntoView {
    let PlaceRow { environment, is_open, until, because, of_models } = place;
    let (state, word) = if is_open { (State::Passed, "open") } else { (State::Skipped, "closed") };
    let mut words = match (until, is_open) {
        (Some(until), _) => format!("until {until}"),
        (None, true) => "no window in sight closes it".to_owned(),
        (None, false) => "no window in sight opens it".to_owned(),
    };
    if !because.is_empty() {
        words += &format!(", by {}", because.join(", "));
    }
    if of_models > 0 {
        let count = i64::try_from(of_models).unwrap_or_default();
        words += &format!(
            "; {}",
            format::count(count, "freeze of some models closes it", "freezes of some models close it")
        );
    }
    view! {
        <Row
            title=environment.name.clone()
            href=links.environment(&environment.name)
            state=view! { <StateMark state word/> }.into_any()
            sub=words.into_any()
        />
    }
}

#[component]
fn Ahead(window: WindowRow) -> impl IntoView {
    let WindowRow { name, kind, from, to, is_open } = window;
    let (state, word) = match (kind, is_open) {
        (FreezeKind::Deny, _) => (State::Skipped, "nothing is deployed"),
        (FreezeKind::Allow, _) => (State::Passed, "things are deployed"),
    };
    let times = format!("{from} to {}", to.unwrap_or_else(|| "out of sight".to_owned()));
    let times = if is_open { format!("since {times}") } else { times };
    view! { <Row title=name state=view! { <StateMark state word/> }.into_any() sub=times.into_any()/> }
}

/// What a freeze means now, as it is drawn and said.
fn meaning(kind: FreezeKind, state: FreezeState) -> (State, &'static str) {
    match (kind, state) {
        (_, FreezeState::Ended) => (State::Cancelled, "ended"),
        (FreezeKind::Deny, FreezeState::Inside { .. }) | (FreezeKind::Allow, FreezeState::Outside { .. }) => {
            (State::Skipped, "closes")
        }
        (FreezeKind::Deny, FreezeState::Outside { .. }) => (State::Waiting, "closes later"),
        (FreezeKind::Allow, FreezeState::Inside { .. }) => (State::Passed, "open"),
    }
}

#[component]
fn Line(links: Links, row: FreezeRow, may_write: bool) -> impl IntoView {
    let FreezeRow { freeze, state, until, dates } = row;
    let action = links.to(&format!("freezes/{}", freeze.id));
    let (mark, word) = meaning(freeze.kind, state);
    let until = match state {
        FreezeState::Ended => freeze.ended_at.map(|at| view! { <When at/> }.into_any()),
        _ => until.map(|until| format!("until {until}").into_any()),
    };
    let when = match (&freeze.schedule, dates) {
        (Schedule::Cron { expression, duration_s, timezone }, _) => {
            let lasts = format::coarse(chrono::TimeDelta::seconds(*duration_s));
            view! { <code>{expression.clone()}</code><span class="sub">{format!("for {lasts}, {timezone}")}</span> }
                .into_any()
        }
        (Schedule::Dates { .. }, Some((from, to))) => {
            view! { <span>{from}</span><span class="sub">{format!("to {to}")}</span> }.into_any()
        }
        (Schedule::Dates { from, to }, None) => view! { <When at=*from/>" to "<When at=*to/> }.into_any(),
    };
    let lets = match (freeze.manual_override, freeze.overrun) {
        (true, true) => Some("may be overridden; what began may finish"),
        (true, false) => Some("may be overridden"),
        (false, true) => Some("what began may finish"),
        (false, false) => None,
    };
    let about = freeze.selector.words();
    let name = freeze.name.clone();
    let is_ended = freeze.ended_at.is_some();
    let (end, delete) = (format!("end-{}", freeze.id), format!("delete-{}", freeze.id));
    let change = may_write.then(|| {
        let (end_opens, delete_opens) = (end.clone(), delete.clone());
        let change_page = (!is_ended).then(|| view! { <ButtonLink text="Change" href=action.clone()/> });
        view! {
            <More label=format!("Change {name}")>
                {change_page}
                {(!is_ended).then(|| view! { <Button text="End now" opens=end_opens/> })}
                <Button text="Delete" kind=Kind::Danger opens=delete_opens/>
            </More>
            {(!is_ended)
                .then(|| {
                    view! {
                        <Confirm
                            id=end
                            title=format!("End {name} now?")
                            action=action.clone()
                            go="End it"
                            keep="Keep it"
                            values=vec![("do", "end".to_owned())]
                        >
                            <p>"It means nothing from now on: what waited for it goes on. It stays in the list of those that ended."</p>
                        </Confirm>
                    }
                })}
            <Confirm
                id=delete
                title=format!("Delete {name}?")
                action
                go="Delete it"
                keep="Keep it"
                values=vec![("do", "delete".to_owned())]
            >
                <p>"It means nothing from now on, and leaves every list. The history keeps what it was."</p>
            </Confirm>
        }
    });
    view! {
        <tr>
            <th scope="row">
                <span class="strong">{freeze.name.clone()}</span>
                <span class="sub">
                    {match freeze.kind {
                        FreezeKind::Deny => "denies",
                        FreezeKind::Allow => "allows",
                    }}
                    {(!freeze.reason.is_empty()).then(|| format!(": {}", freeze.reason))}
                </span>
            </th>
            <td class="wrap"><StateMark state=mark word/><span class="sub">{until}</span></td>
            <td class="wrap">
                {when}
                <span class="sub">{about}</span>
                {lets.map(|lets| view! { <span class="sub">{lets}</span> })}
            </td>
            <td class="num">{change}</td>
        </tr>
    }
}

/// What the form to change a freeze shows beside what is in its fields.
#[derive(Debug, Clone)]
pub struct EditPage {
    /// The freeze.
    pub id: FreezeId,
    /// Its name.
    pub name: String,
    /// What its windows mean, which stays.
    pub kind: FreezeKind,
    /// What tells it from what somebody else makes of it meanwhile.
    pub mark: String,
    /// The environments that it may name.
    pub environments: Vec<String>,
    /// The names of time zones.
    pub timezones: Vec<&'static str>,
}

/// The form to change a freeze. It sends to `freezes/{id}`, with `do` `change`.
#[component]
pub fn Edit(
    /// The addresses of the workspace.
    links: Links,
    /// What it shows.
    page: EditPage,
    /// What is in its fields, and why it was refused.
    draft: Draft,
) -> impl IntoView {
    let EditPage { id, name, kind, mark, environments, timezones } = page;
    let means = match kind {
        FreezeKind::Deny => "In its windows nothing is deployed. That stays; for the opposite, make another freeze.",
        FreezeKind::Allow => {
            "In its windows things are deployed, and at no other time. That stays; for the opposite, make another freeze."
        }
    };
    let action = links.to(&format!("freezes/{id}"));
    view! {
        <Crumbs items=vec![Crumb::to("Freezes", links.freezes()), Crumb::here("Change")]/>
        <PageHead title=format!("Change {name}").into_any()/>
        <div class="narrow mt-4">
            <Panel title="Freeze" id="change">
                <Body>
                    <form class="stack" method="post" action=action>
                        <input type="hidden" name="do" value="change"/>
                        <input type="hidden" name="instead_of" value=mark/>
                        <FormErrors draft=draft.clone() fields=FIELDS/>
                        <p class="muted">{means}</p>
                        <Fields environments timezones draft/>
                        <div class="form">
                            <div class="go">
                                <Button text="Save" kind=Kind::Primary/>
                                <ButtonLink text="Cancel" href=links.freezes()/>
                            </div>
                        </div>
                    </form>
                </Body>
            </Panel>
        </div>
    }
}

/// The fields that show their own errors.
const FIELDS: &[&str] = &[
    "name",
    "kind",
    "repeats",
    "from",
    "to",
    "schedule/expression",
    "hours",
    "schedule/timezone",
    "selector/environments",
    "selector/models",
    "reason",
];

#[component]
fn New(links: Links, environments: Vec<String>, timezones: Vec<&'static str>, draft: Draft) -> impl IntoView {
    let draft = if draft.is_refused() {
        draft
    } else {
        Draft::of([("kind", "deny"), ("repeats", "dates"), ("schedule/timezone", "UTC"), ("hours", "62")])
    };
    let kinds = [("deny", "nothing is deployed"), ("allow", "things are deployed, and at no other time")]
        .map(|(value, word)| (value.to_owned(), word.to_owned()));
    view! {
        <Panel title="New freeze" id="new">
            <Body>
                <form class="stack" method="post" action=links.freezes()>
                    <FormErrors draft=draft.clone() fields=FIELDS/>
                    <SelectField label="In its windows" name="kind" options=kinds.to_vec() draft=draft.clone()/>
                    <Fields environments timezones draft/>
                    <Button text="Make freeze" kind=Kind::Primary/>
                </form>
            </Body>
        </Panel>
    }
}

/// What a new freeze and one that is changed have in common.
#[component]
fn Fields(environments: Vec<String>, timezones: Vec<&'static str>, draft: Draft) -> impl IntoView {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(value, word)| ((*value).to_owned(), (*word).to_owned())).collect::<Vec<_>>()
    };
    let names = environments
        .into_iter()
        .map(
            |name| view! { <CheckField name="environments" value=name.clone() draft=draft.clone()>{name}</CheckField> },
        )
        .collect_view();
    let tiers = Tier::ALL
        .into_iter()
        .map(|tier| {
            let text = format!("All of tier {}", tier.as_str());
            view! { <CheckField name="tiers" value=tier.as_str() draft=draft.clone()>{text}</CheckField> }
        })
        .collect_view();
    let wrong = draft
        .error("selector/environments")
        .map(|error| view! { <p class="error"><Icon symbol=Symbol::Warn/><span>{error.to_owned()}</span></p> });
    view! {
                    <TextField label="Name" name="name" autocomplete="off" max=domain::freeze::MAX_NAME draft=draft.clone()/>
                    <SelectField
                        label="Its windows come"
                        name="repeats"
                        options=pairs(&[("dates", "once: from and until"), ("cron", "again and again: begins and lasts")])
                        draft=draft.clone()
                    />
                    <TextField label="From" name="from" kind="datetime-local" optional=true draft=draft.clone()/>
                    <TextField label="Until" name="to" kind="datetime-local" optional=true draft=draft.clone()/>
                    <TextField
                        label="Begins"
                        name="schedule/expression"
                        autocomplete="off"
                        optional=true
                        mono=true
                        hint="Minute, hour, day, month, day of the week: 0 18 * * 5 is each Friday at 18:00."
                        draft=draft.clone()
                    />
                    <TextField label="Lasts, in hours" name="hours" autocomplete="off" optional=true draft=draft.clone()/>
                    <TextField
                        label="Time zone"
                        name="schedule/timezone"
                        autocomplete="off"
                        choices=timezones.into_iter().map(str::to_owned).collect()
                        hint="Of all these times, such as Europe/Berlin."
                        draft=draft.clone()
                    />
                    <fieldset class="field">
                        <legend class="label">"Where"</legend>
                        {names}
                        {tiers}
                        <p class="hint">"Everywhere when nothing is chosen."</p>
                        {wrong}
                    </fieldset>
                    <TextField
                        label="Models"
                        name="selector/models"
                        autocomplete="off"
                        optional=true
                        hint="Names, with commas between; * stands for any characters. All when nothing is written."
                        draft=draft.clone()
                    />
                    <CheckField name="manual_override" draft=draft.clone()>"Whoever breaks the glass may deploy in spite of it"</CheckField>
                    <CheckField name="overrun" draft=draft.clone()>"A deployment that began before may finish"</CheckField>
                    <TextArea label="Reason" name="reason" optional=true rows=2 draft/>
    }
}
