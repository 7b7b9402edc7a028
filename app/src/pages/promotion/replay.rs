//! What the candidate would have answered to the last recorded predictions of the version that serves: how many decisions
//! flip, in which segments, and examples.

use super::detail::PromotionPage;
use crate::{
    format,
    ui::{field::FormErrors, prelude::*},
};
use chrono::{DateTime, Utc};
use domain::promotion::{
    AnswerDifference, DecisionBasis, DecisionFlip, FlipRate, FlipSegment, PromotionReplay, PromotionState, Replay,
    ReplayExample, ReplayState,
};
use leptos::prelude::*;
use serde_json::{Map, Value};

/// How many may be chosen on the page; any other number by the API.
const CHOICES: [u32; 4] = [100, 500, 1000, 5000];

/// Whether the page has anything to say of it.
pub(super) fn is_shown(page: &PromotionPage) -> bool {
    page.replay.is_some() || page.is_open()
}

/// What was found, when it was replayed.
fn found(page: &PromotionPage) -> Option<&Replay> {
    page.replay.as_ref()?.found.as_ref()
}

/// The rate in per cent.
fn rate(share: &FlipRate) -> String {
    format::percent(share.rate)
}

/// What the summary says of it; none until it was replayed.
pub(super) fn summary(page: &PromotionPage) -> Option<(AnyView, String)> {
    let found = found(page)?;
    let of = format!("of {}", format::integer(found.all.rows.into()));
    let value = view! { {rate(&found.all)}" "<small>{of}</small> };
    let reason = match found.transitions.first() {
        None => "None of the last decisions".to_owned(),
        Some(most) if is_quantity(found) => format!("{} of them {}", format::integer(most.rows.into()), most.to),
        Some(most) => format!("{} {} → {}", format::integer(most.rows.into()), most.from, most.to),
    };
    Some((value.into_any(), reason))
}

fn is_quantity(found: &Replay) -> bool {
    matches!(found.basis, DecisionBasis::Quantity { .. })
}

/// The panel's title.
pub(super) fn title(page: &PromotionPage) -> &'static str {
    if found(page).is_some_and(is_quantity) { "Answers that differ" } else { "Decisions that flip" }
}

/// What counts as a decision, in a sentence.
fn basis(basis: &DecisionBasis) -> String {
    let listed = |outputs: &[String]| match outputs {
        [several @ .., last] if !several.is_empty() => format!("{} and {last}", several.join(", ")),
        one => one.concat(),
    };
    match basis {
        DecisionBasis::Label { outputs } => format!("A decision is what {} says.", listed(outputs)),
        DecisionBasis::MostLikely { outputs } => {
            format!("A decision is the class to which {} gives the highest probability.", listed(outputs))
        }
        DecisionBasis::AtLeastHalf { outputs } => {
            format!("A decision is whether {} is at least 0.5.", listed(outputs))
        }
        DecisionBasis::Quantity { outputs, tolerance } => format!(
            "{} is a quantity. It differs when it is another by more than {} of what was recorded, or of the median of all \
             where that is more.",
            format::capitalised(&listed(outputs)),
            format::percent(*tolerance)
        ),
    }
}

/// `9 Nov, 10:14 to 16 Nov, 08:02`.
fn span(first: Option<DateTime<Utc>>, last: Option<DateTime<Utc>>) -> Option<String> {
    let (first, last) = (format::minute(first?), format::minute(last?));
    Some(if first == last { first } else { format!("{first} to {last}") })
}

/// The panel.
#[component]
pub(super) fn Flips(page: PromotionPage, links: Links, draft: Draft) -> impl IntoView {
    if !is_shown(&page) {
        return ().into_any();
    }
    let promotion = &page.detail.promotion;
    let action = format!("{}/replay", links.promotion(promotion.number));
    let known = page.replay.clone();
    let waits = known.as_ref().is_some_and(|known| known.state == ReplayState::Waiting);
    let may_ask = page.may.request && page.is_open() && promotion.state != PromotionState::Draft && !waits;
    let wanted = known.as_ref().map(|known| known.wanted);
    let ask = may_ask.then(|| view! { <Again action wanted/> });
    let about = known.as_ref().and_then(|known| known.about.as_ref());
    let note = found(&page).zip(about).and_then(|(found, about)| {
        let of = about.champion.map(|champion| format!(" of v{champion}")).unwrap_or_default();
        let rows = format::integer(found.all.rows.into());
        Some(format!("{rows} decisions{of} replayed, {}", span(about.first_at, about.last_at)?))
    });
    let title = title(&page);
    let predictions = links.monitor(&promotion.environment, &promotion.model);
    let inside = match known {
        None if promotion.state == PromotionState::Draft => said("It is replayed when its gates have run."),
        None if promotion.state == PromotionState::GatesRunning => said("It is replayed when its gates have run."),
        None => said("Nothing was replayed."),
        Some(replay) => view! { <Told replay is_open=page.is_open() predictions/> }.into_any(),
    };
    view! {
        <Panel title=title id="flips" note=note.unwrap_or_default() actions=ask.into_any()>
            {draft.is_refused().then(|| view! { <Body><FormErrors draft/></Body> })}
            {inside}
        </Panel>
    }
    .into_any()
}

fn said(text: &'static str) -> AnyView {
    view! { <Body><p class="muted">{text}</p></Body> }.into_any()
}

/// Asks for it, of how many.
#[component]
fn Again(action: String, wanted: Option<u32>) -> impl IntoView {
    let chosen = wanted.unwrap_or(domain::promotion::REPLAY_ROWS);
    let mut choices: Vec<u32> = CHOICES.to_vec();
    if !choices.contains(&chosen) {
        choices.push(chosen);
        choices.sort_unstable();
    }
    let options = choices
        .into_iter()
        .map(|rows| {
            let word = format!("last {}", format::integer(rows.into()));
            view! { <option value=rows.to_string() selected=rows == chosen>{word}</option> }
        })
        .collect_view();
    let text = if wanted.is_some() { "Replay again" } else { "Replay" };
    view! {
        <form class="inline" method="post" action=action>
            <input type="hidden" name="do" value="replay"/>
            <select class="input" name="rows" aria-label="How many of the last decisions">{options}</select>
            <button class="btn ghost" type="submit"><Icon symbol=Symbol::Redo/>{text}</button>
        </form>
    }
}

/// Where it stands, or what was found.
#[component]
fn Told(replay: PromotionReplay, is_open: bool, predictions: String) -> impl IntoView {
    let reason = replay.reason.clone();
    match (replay.state, replay.found) {
        (ReplayState::Done, Some(found)) => view! { <Found found examples=replay.examples predictions/> }.into_any(),
        (ReplayState::Waiting, _) if !is_open => said("The promotion ended before it was replayed."),
        (ReplayState::Waiting, _) => {
            let word = format!("Replaying the last {} decisions", format::integer(replay.wanted.into()));
            let since = replay.asked_at;
            view! {
                <Body>
                    <p><StateMark state=State::Running word=word/>" "<span class="muted">"asked for "<When at=since/></span></p>
                    {(!reason.is_empty()).then(|| view! { <p class="muted">{reason}</p> })}
                </Body>
            }
            .into_any()
        }
        (ReplayState::Nothing, _) => view! { <Body><p class="muted">{reason}</p></Body> }.into_any(),
        _ => view! {
            <Body>
                <Callout tone=State::Warning.tone()>{format!("It could not be replayed. {reason}")}</Callout>
            </Body>
        }
        .into_any(),
    }
}

#[component]
fn Found(found: Replay, examples: Vec<ReplayExample>, predictions: String) -> impl IntoView {
    let all = found.all;
    let quantity = is_quantity(&found);
    let (rows, flips) = (format::integer(all.rows.into()), format::integer(all.flips.into()));
    let headline = match (quantity, all.flips == 1) {
        (true, true) => format!("{flips} of {rows} answers differs, {}", rate(&all)),
        (true, false) => format!("{flips} of {rows} answers differ, {}", rate(&all)),
        (false, true) => format!("{flips} of {rows} decisions flips, {}", rate(&all)),
        (false, false) => format!("{flips} of {rows} decisions flip, {}", rate(&all)),
    };
    let interval = format!("95 % interval {} … {}", format::percent(all.low), format::percent(all.high));
    let skipped: u32 = found.skipped.iter().map(|one| one.rows).sum();
    let reasons = found
        .skipped
        .iter()
        .map(|one| {
            let rows = format::integer(one.rows.into());
            view! { <li><span class="n">{rows}</span>" "{one.reason.clone()}</li> }
        })
        .collect_view();
    let skipped = (skipped > 0).then(|| {
        view! {
            <details class="skipped">
                <summary>{format!("{} more could not be replayed", format::integer(skipped.into()))}</summary>
                <ul>{reasons}</ul>
            </details>
        }
    });
    let moves = found.transitions.iter().map(|one| view! { <Move one=one.clone() all=all.flips/> }).collect_view();
    let other = (found.other_transitions > 0).then(|| {
        let rows = format::integer(found.other_transitions.into());
        view! { <li class="muted"><span class="n">{rows}</span><span>"others"</span></li> }
    });
    let (any, counts) = (all.flips > 0, basis(&found.basis));
    let differences = found.differences.clone();
    view! {
        <Body>
            <p class="headline"><strong>{headline}</strong>" "<span class="muted">{interval}</span></p>
            <p class="muted small">{counts}</p>
            {any.then(|| view! { <ul class="moves">{moves}{other}</ul> })}
            {skipped}
        </Body>
        {any.then(|| view! { <Segments found/> })}
        <Differences all=differences/>
        <Examples examples flips=all.flips predictions/>
    }
}

/// From which decision to which, with its share of all flips.
#[component]
fn Move(one: DecisionFlip, all: u32) -> impl IntoView {
    let share = f64::from(one.rows) / f64::from(all.max(1));
    view! {
        <li>
            <span class="n">{format::integer(one.rows.into())}</span>
            <span class="from-to">{one.from}" → "<b>{one.to}</b></span>
            <Meter share short=true/>
        </li>
    }
}

/// The rate, and its interval as a line on it. The width of the drawing is `most`.
fn bar(share: &FlipRate, most: f64) -> impl IntoView + use<> {
    let x = |value: f64| format!("{:.1}", (value / most.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0) * 176.0);
    let (low, high) = (x(share.low), x(share.high));
    let words = format!("{}, interval {} to {}", rate(share), format::percent(share.low), format::percent(share.high));
    view! {
        <svg class="rate" viewBox="0 0 180 24" role="img" aria-label=words>
            <rect x="0" y="7" width=x(share.rate) height="10" rx="2"></rect>
            <path d=format!("M{low} 12H{high}M{low} 8.5V15.5M{high} 8.5V15.5")></path>
        </svg>
    }
}

#[component]
fn Segments(found: Replay) -> impl IntoView {
    let all = found.all;
    let shown = found.segments.len();
    let most = found.segments.iter().map(|one| one.share.high).fold(all.high, f64::max);
    let row = move |head: AnyView, share: FlipRate| {
        view! {
            <tr>
                <th scope="row">{head}</th>
                <td class="num">{format::integer(share.rows.into())}</td>
                <td class="num">{format::integer(share.flips.into())}</td>
                <td class="num strong">{rate(&share)}</td>
                <td>{bar(&share, most)}</td>
                <td class="num muted wide">{format!("{} … {}", format::percent(share.low), format::percent(share.high))}</td>
            </tr>
        }
    };
    let segment = |one: FlipSegment| {
        let head = view! { <span class="muted">{one.feature}</span>" "<span class="strong">{one.value}</span> };
        row(head.into_any(), one.share)
    };
    let rows = found.segments.into_iter().map(segment).collect_view();
    let in_all = found.segments_in_all as usize;
    let foot =
        (in_all > shown).then(|| format!("{shown} of {in_all} segments: those whose rate is most surely high. "));
    if shown == 0 {
        return view! {
            <Body><p class="muted">"No feature divides these decisions into segments."</p></Body>
        }
        .into_any();
    }
    view! {
        <Table label="Segments" class="flips">
            <thead>
                <tr>
                    <Head label="Segment"/>
                    <Head label="Decisions" num=true/>
                    <Head label="Flips" num=true/>
                    <Head label="Rate" num=true/>
                    <Head label="Rate and its 95 % interval"/>
                    <Head label="Interval" num=true class="wide"/>
                </tr>
            </thead>
            <tbody>{row("All".into_any(), all)}{rows}</tbody>
        </Table>
        <p class="foot muted small">{foot}"Of many segments a few stand out by chance."</p>
    }
    .into_any()
}

#[component]
fn Differences(all: Vec<AnswerDifference>) -> impl IntoView {
    if all.is_empty() {
        return ().into_any();
    }
    let rows = all
        .into_iter()
        .map(|one| {
            view! {
                <tr>
                    <th scope="row">{one.output}</th>
                    <td class="num">{format::signed(one.mean)}</td>
                    <td class="num">{format::signed(one.p5)}</td>
                    <td class="num">{format::signed(one.p50)}</td>
                    <td class="num">{format::signed(one.p95)}</td>
                    <td class="num">{format::number(one.largest)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Table label="How the numbers differ" class="differences">
            <thead>
                <tr>
                    <Head label="Difference of"/>
                    <Head label="Mean" num=true/>
                    <Head label="5 %" num=true/>
                    <Head label="Median" num=true/>
                    <Head label="95 %" num=true/>
                    <Head label="Largest" num=true/>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </Table>
    }
    .into_any()
}

/// Names and values, one after the other.
fn pairs(values: &Map<String, Value>) -> impl IntoView + use<> {
    let pair = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Null => format::NONE.to_owned(),
            Value::String(text) => text.clone(),
            other => {
                let text = other.to_string();
                // As it was asked, unless that has more digits than anybody reads.
                let long = text.len() > 8;
                other.as_f64().filter(|_| long).map_or(text, format::number)
            }
        };
        view! { <span class="said"><span class="muted">{name.clone()}</span>" "{value}</span>" " }
    };
    values.iter().map(pair).collect_view()
}

#[component]
fn Examples(examples: Vec<ReplayExample>, flips: u32, predictions: String) -> impl IntoView {
    if flips == 0 {
        return ().into_any();
    }
    if examples.is_empty() {
        return view! {
            <Body><p class="muted small">"Examples were deleted with the predictions that they show."</p></Body>
        }
        .into_any();
    }
    let by_size = examples.iter().any(|example| example.difference.is_some());
    let shown = examples.len();
    let order = if by_size { ", those first whose numbers differ most" } else { "" };
    let rows = examples
        .into_iter()
        .map(|example| {
            let id = match (example.request_id, example.row) {
                (Some(id), 0) => id,
                (Some(id), row) => format!("{id}, row {row}"),
                (None, 0) => example.prediction_id.to_string(),
                (None, row) => format!("{}, row {row}", example.prediction_id),
            };
            view! {
                <tr>
                    <th scope="row">
                        <span class="from-to">{example.from}" → "<b>{example.to}</b></span>
                        <span class="sub"><When at=example.at/></span>
                        <code class="sub breaks">{id}</code>
                    </th>
                    <td class="wrap says">{pairs(&example.before)}</td>
                    <td class="wrap says">{pairs(&example.after)}</td>
                </tr>
                <tr class="asked">
                    <td colspan="3" class="wrap says">{pairs(&example.features)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <details class="examples">
            <summary>{format!("{shown} of {} examples{order}", format::integer(flips.into()))}</summary>
            <Table label="Examples" class="small">
                <thead>
                    <tr>
                        <Head label="Decision"/>
                        <Head label="Recorded"/>
                        <Head label="Candidate"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
            <p class="foot small"><a href=predictions>"All recorded predictions"</a></p>
        </details>
    }
    .into_any()
}
