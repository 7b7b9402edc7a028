//! The pages of freezes: whether anything may be deployed, the windows ahead, and the forms.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::freeze::{DAYS, Edit, EditPage, FreezeRow, Freezes, FreezesPage, PlaceRow, WindowRow},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use chrono::{DateTime, Utc};
use domain::{
    Error, ErrorKind,
    environment::{Environment, Tier},
    freeze::{self, Freeze, FreezeState, Schedule, Selector, Standing, in_zone},
    id::FreezeId,
    permission::Permission,
};
use leptos::prelude::*;
use services::{Ctx, FreezeChange, NewFreeze, Services};
use std::collections::{BTreeMap, BTreeSet};

const SECTION: Option<Section> = Some(Section::Freezes);

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WritePolicies));
    routes
        .page(Method::GET, "/freezes", read, list)
        .page(Method::POST, "/freezes", write, create)
        .page(Method::GET, "/freezes/{id}", write, edit)
        .page(Method::POST, "/freezes/{id}", write, change)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    list_page(view, chosen, None).await
}

async fn list_page(view: View, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let with_ended = chosen.get("ended") == Some("true");
    let now = Utc::now();
    let all = services.freezes(ctx, with_ended).await?;
    let windows = windows(services, ctx, &all, now).await?;
    let places = services.environments(ctx).await?.into_iter().map(|one| place(&all, one.environment, now));
    let page = FreezesPage {
        workspace_id: ctx.workspace_id(),
        places: places.collect(),
        windows,
        with_ended,
        may_write: ctx.may(Permission::WritePolicies),
        timezones: freeze::timezones(),
        freezes: all.into_iter().map(|freeze| row(freeze, now)).collect(),
    };
    let links = view.links.clone();
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), "Freezes", SECTION, move || view! { <Freezes links page draft/> }).await
}

/// The windows of these freezes that are open or ahead, by the clocks of their zones.
pub(super) async fn windows(
    services: &Services,
    ctx: &Ctx,
    freezes: &[Freeze],
    now: DateTime<Utc>,
) -> Result<Vec<WindowRow>, Error> {
    let zones: BTreeMap<FreezeId, &str> = freezes.iter().map(|one| (one.id, one.schedule.timezone())).collect();
    let windows = services.freeze_windows(ctx, now, DAYS).await?;
    let rows = windows.into_iter().filter_map(|window| {
        let zone = zones.get(&window.freeze)?;
        Some(WindowRow {
            from: in_zone(window.starts_at, zone),
            to: window.ends_at.map(|at| in_zone(at, zone)),
            is_open: window.starts_at <= now,
            name: window.name,
            kind: window.kind,
        })
    });
    Ok(rows.collect())
}

/// How an environment stands: for all of its models, and how many freezes close it for some.
fn place(freezes: &[Freeze], environment: Environment, now: DateTime<Utc>) -> PlaceRow {
    let (whole, of_models): (Vec<Freeze>, Vec<Freeze>) =
        freezes.iter().cloned().partition(|freeze| freeze.selector.models.is_empty());
    let standing = freeze::standing(&whole, &environment.name, environment.tier, "", now);
    let of_models = freeze::active(&of_models, &environment.name, environment.tier, now).len();
    match standing {
        Standing::Open { until } => {
            let until = until.map(|at| in_zone(at, zone_at(&whole, at)));
            PlaceRow { environment, is_open: true, until, because: Vec::new(), of_models }
        }
        Standing::Closed { because, opens_at, .. } => {
            let zone = because.first().map_or("UTC", |one| one.timezone.as_str()).to_owned();
            PlaceRow {
                environment,
                is_open: false,
                until: opens_at.map(|at| in_zone(at, &zone)),
                because: because.into_iter().map(|one| one.name).collect(),
                of_models,
            }
        }
    }
}

/// The zone of the freeze that has a window begin or end at a moment.
fn zone_at(freezes: &[Freeze], at: DateTime<Utc>) -> &str {
    let changes = |freeze: &&Freeze| {
        matches!(freeze::now_of(freeze, at - chrono::TimeDelta::seconds(1)),
            FreezeState::Inside { until } | FreezeState::Outside { next: until } if until == Some(at))
    };
    freezes.iter().find(changes).map_or("UTC", |freeze| freeze.schedule.timezone())
}

fn row(freeze: Freeze, now: DateTime<Utc>) -> FreezeRow {
    let state = freeze::now_of(&freeze, now);
    let zone = freeze.schedule.timezone();
    let until = match state {
        FreezeState::Ended => None,
        FreezeState::Inside { until } | FreezeState::Outside { next: until } => until.map(|at| in_zone(at, zone)),
    };
    let dates = match &freeze.schedule {
        Schedule::Dates { from, to } => Some((in_zone(*from, zone), in_zone(*to, zone))),
        Schedule::Cron { .. } => None,
    };
    FreezeRow { state, until, dates, freeze }
}

fn schedule(form: &Form) -> Result<Schedule, Error> {
    let timezone = form.text("schedule/timezone");
    if form.text("repeats") == "cron" {
        let hours: Result<f64, _> = form.text("hours").replace(',', ".").parse();
        let hours = hours.ok().filter(|hours| (0.0..=1e6).contains(hours));
        let hours = hours.ok_or_else(|| Error::invalid_field("hours", "Give a number of hours, such as 62 or 1.5."))?;
        #[allow(clippy::cast_possible_truncation, reason = "it is at most a million hours")]
        return Ok(Schedule::Cron {
            expression: form.text("schedule/expression").to_owned(),
            duration_s: (hours * 3600.0).round() as i64,
            timezone: timezone.to_owned(),
        });
    }
    // Told at its own field, before the times are read by it.
    if freeze::from_zone("2026-01-01T12:00", timezone).is_err() {
        let text = "Give a time zone by its name in the tz database, such as Europe/Berlin or UTC.";
        return Err(Error::invalid_field("schedule/timezone", text));
    }
    let needed = |name: &str| {
        let missing = || Error::invalid_field(name, "Give a date and a time, or let its windows come again and again.");
        form.moment(name, timezone)?.ok_or_else(missing)
    };
    Ok(Schedule::Dates { from: needed("from")?, to: needed("to")? })
}

fn selector(form: &Form) -> Result<Selector, Error> {
    Ok(Selector {
        environments: form.all("environments").map(str::to_owned).collect(),
        tiers: form.parse_all::<Tier, BTreeSet<_>>("tiers")?,
        models: form.list("selector/models"),
    })
}

/// The field of the form that a refusal is about.
fn in_form(error: Error) -> Error {
    let field = match error.field.as_deref() {
        Some("schedule/from") => "from",
        Some("schedule/to") => "to",
        Some("schedule/duration_s") => "hours",
        _ => return error,
    };
    error.in_field(field)
}

async fn create(view: View, form: Form) -> PageResult {
    let created = async {
        let new = NewFreeze {
            name: form.text("name").to_owned(),
            kind: form.parse("kind")?,
            schedule: schedule(&form)?,
            selector: selector(&form)?,
            manual_override: form.text("manual_override") == "on",
            overrun: form.text("overrun") == "on",
            reason: form.text("reason").to_owned(),
        };
        view.services().create_freeze(view.ctx()?, new).await.map_err(in_form)
    };
    match created.await {
        Ok(freeze) => view.done(&view.links.freezes(), format!("{} is in force.", freeze.name)).await,
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            list_page(view, Chosen::default(), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn edit(view: View, Path(id): Path<FreezeId>) -> PageResult {
    let freeze = view.services().freeze(view.ctx()?, id).await?;
    edit_page(view, freeze, None).await
}

async fn edit_page(view: View, freeze: Freeze, refused: Option<(Error, Draft)>) -> PageResult {
    if freeze.ended_at.is_some() {
        return Err(Error::conflict(format!("{} has ended. Make another freeze.", freeze.name)).into());
    }
    let places = view.services().environments(view.ctx()?).await?.into_iter().map(|one| one.environment.name);
    let mut environments: Vec<String> = places.collect();
    // One that it names may be archived since.
    let named = freeze.selector.environments.iter();
    let others: Vec<String> = named.filter(|name| !environments.contains(name)).cloned().collect();
    environments.extend(others);
    let mark = freeze.mark();
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_else(|| drafted(&freeze));
    let page = EditPage {
        name: freeze.name,
        id: freeze.id,
        kind: freeze.kind,
        mark,
        environments,
        timezones: freeze::timezones(),
    };
    let title = format!("Change {}", page.name);
    let links = view.links.clone();
    view.form_page(error.as_ref(), title, SECTION, move || view! { <Edit links page draft/> }).await
}

/// A freeze as its form shows it.
fn drafted(freeze: &Freeze) -> Draft {
    let zone = freeze.schedule.timezone();
    let mut pairs = vec![
        ("name", freeze.name.clone()),
        ("schedule/timezone", zone.to_owned()),
        ("selector/models", freeze.selector.models.join(", ")),
        ("reason", freeze.reason.clone()),
    ];
    match &freeze.schedule {
        Schedule::Dates { from, to } => pairs.extend([
            ("repeats", "dates".to_owned()),
            ("from", freeze::to_zone(*from, zone)),
            ("to", freeze::to_zone(*to, zone)),
        ]),
        Schedule::Cron { expression, duration_s, .. } => pairs.extend([
            ("repeats", "cron".to_owned()),
            ("schedule/expression", expression.clone()),
            ("hours", hours(*duration_s)),
        ]),
    }
    pairs.extend(freeze.selector.environments.iter().map(|name| ("environments", name.clone())));
    pairs.extend(freeze.selector.tiers.iter().map(|tier| ("tiers", tier.as_str().to_owned())));
    let ticked = [("manual_override", freeze.manual_override), ("overrun", freeze.overrun)];
    pairs.extend(ticked.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, "on".to_owned())));
    Draft::of(pairs)
}

/// Seconds as hours, exactly enough to be read back.
#[allow(clippy::cast_precision_loss, reason = "a duration has far fewer seconds than a float tells apart")]
fn hours(seconds: i64) -> String {
    (seconds as f64 / 3600.0).to_string()
}

/// What the form says of when its windows are. What is as it was shown stays exactly as it was: a field knows neither parts of
/// a second nor which of two times of a night on which clocks go back.
fn schedule_since(form: &Form, before: &Schedule) -> Result<Schedule, Error> {
    let mut after = schedule(form)?;
    if let (Schedule::Dates { from, to }, Schedule::Dates { from: from_before, to: to_before }) = (&mut after, before) {
        let zone = before.timezone();
        let is_as_shown = |field: &str, moment: DateTime<Utc>| {
            form.text("schedule/timezone") == zone && form.text(field) == freeze::to_zone(moment, zone)
        };
        if is_as_shown("from", *from_before) {
            *from = *from_before;
        }
        if is_as_shown("to", *to_before) {
            *to = *to_before;
        }
    }
    Ok(after)
}

async fn save(view: View, before: Freeze, form: Form) -> PageResult {
    let saved = async {
        let change = FreezeChange {
            name: Some(form.text("name").to_owned()),
            schedule: Some(schedule_since(&form, &before.schedule)?),
            selector: Some(selector(&form)?),
            manual_override: Some(form.text("manual_override") == "on"),
            overrun: Some(form.text("overrun") == "on"),
            reason: Some(form.text("reason").to_owned()),
            instead_of: form.seen(),
        };
        view.services().change_freeze(view.ctx()?, before.id, change).await.map_err(in_form)
    };
    match saved.await {
        Ok(freeze) => view.done(&view.links.freezes(), format!("{} is changed.", freeze.name)).await,
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = form.refused(&error);
            let now = view.services().freeze(view.ctx()?, before.id).await?;
            edit_page(view, now, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn change(view: View, Path(id): Path<FreezeId>, form: Form) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    if form.text("do") == "change" {
        let before = services.freeze(ctx, id).await?;
        return save(view, before, form).await;
    }
    let notice = match form.text("do") {
        "end" => format!("{} has ended.", services.end_freeze(ctx, id).await?.name),
        "delete" => {
            let name = services.freeze(ctx, id).await?.name;
            services.delete_freeze(ctx, id).await?;
            format!("{name} is deleted.")
        }
        _ => {
            services.freeze(ctx, id).await?;
            return Err(Error::invalid("The form does not say what to do with the freeze.").into());
        }
    };
    view.done(&view.links.freezes(), notice).await
}
