//! What is approved: the parts of the digest, and which of them differ from what serves now.

use super::detail::PromotionPage;
use crate::{format, ui::prelude::*};
use domain::promotion::Subject;
use leptos::prelude::*;

/// The parts of a subject as they are shown, each with whether it differs from another one.
fn parts(subject: &Subject, other: Option<&Subject>) -> [Option<bool>; 6] {
    let Some(other) = other else { return [None; 6] };
    [
        subject.model_digest != other.model_digest || subject.signature != other.signature,
        subject.datasets != other.datasets,
        subject.code != other.code,
        subject.environment_lock != other.environment_lock || subject.image != other.image,
        subject.evidence_digest != other.evidence_digest,
        subject.policies != other.policies,
    ]
    .map(Some)
}

/// How many of the six parts differ from what serves; none when that is not known.
pub(super) fn changed(page: &PromotionPage) -> Option<usize> {
    let subject = page.detail.promotion.subject.as_ref()?;
    let other = page.serves.as_ref()?.subject.as_ref()?;
    Some(parts(subject, Some(other)).into_iter().filter(|differs| *differs == Some(true)).count())
}

/// What is approved.
#[component]
pub(super) fn Sealed(page: PromotionPage, links: Links) -> impl IntoView {
    let promotion = page.detail.promotion.clone();
    let Some((subject, digest)) = promotion.subject.clone().zip(promotion.subject_digest.clone()) else {
        return view! {
            <Panel title="What is approved" id="subject">
                <Body><p class="muted">"Written down when the gates have run: model, data, code, environment, evidence and policies under one digest."</p></Body>
            </Panel>
        }
        .into_any();
    };
    let serving = page.serves.as_ref().filter(|_| promotion.state.is_open());
    let differs = parts(&subject, serving.and_then(|serving| serving.subject.as_ref()));
    let part = move |at: usize, name: &'static str, value: AnyView, note: Option<String>| {
        let class = match differs[at] {
            Some(true) => "k changed",
            Some(false) => "k same",
            None => "k",
        };
        let word = match differs[at] {
            Some(true) => ", differs from what serves",
            Some(false) => ", the same as what serves",
            None => "",
        };
        view! {
            <li>
                <span class=class>{name}<span class="sr">{word}</span></span>
                <span class="v">{value}</span>
                {note.map(|note| view! { <span class="mono">{note}</span> })}
            </li>
        }
    };
    let short = |text: &str| text.chars().take(12).collect::<String>();
    let data = match subject.datasets.as_slice() {
        [] => ("Not logged".to_owned(), None),
        [(name, digest)] => (name.clone(), Some(short(digest))),
        [(name, _), rest @ ..] => (name.clone(), Some(format!("and {} more", rest.len()))),
    };
    let code = match &subject.code {
        Some(commit) => (commit.chars().take(7).collect::<String>(), Some("commit".to_owned())),
        None => ("Not logged".to_owned(), None),
    };
    let lock = match (&subject.environment_lock, &subject.image) {
        (_, Some(image)) => ("Image".to_owned(), Some(short(image.trim_start_matches("sha256:")))),
        (Some(lock), None) => ("Lock".to_owned(), Some(lock.short().to_owned())),
        (None, None) => ("Not pinned".to_owned(), None),
    };
    let files = subject.model_digest.as_ref().map(|digest| digest.short().to_owned());
    let version = links.version(&subject.model, subject.version);
    let gates = format::count(i64::try_from(page.detail.gates.len()).unwrap_or_default(), "gate", "gates");
    let policies = match subject.policies.as_slice() {
        [] => ("None".into_any(), None),
        [one] => {
            let href = format!("{}?revision={}", links.policy(&one.name), one.revision);
            let words = format!("revision {}", one.revision);
            (view! { <a href=href>{words}</a> }.into_any(), Some(one.digest.short().to_owned()))
        }
        many => {
            let words = many.iter().map(|one| format!("{} {}", one.name, one.revision)).collect::<Vec<_>>().join(", ");
            (format!("{} policies", many.len()).into_any(), Some(words))
        }
    };
    let place = subject.environment.clone();
    let since = serving.and_then(|serving| serving.since).map(format::minute);
    let foot = match (serving, &subject.champion) {
        (Some(serving), _) if serving.subject.is_some() => format!(
            "Diamond: differs from v{}, in {place} since {}. Circle: the same.",
            serving.version,
            since.unwrap_or_else(|| "a while".to_owned())
        ),
        (_, Some(champion)) if promotion.state.is_open() => {
            format!("It would replace {champion}, which serves in {place} now.")
        }
        (_, Some(champion)) => format!("{champion} served in {place} at that time."),
        (_, None) if promotion.state.is_open() => format!("Nothing serves in {place} yet."),
        (_, None) => format!("Nothing served in {place} at that time."),
    };
    let inputs = match subject.signature.as_ref().map(|signature| signature.inputs.len()).filter(|n| *n > 0) {
        Some(n) => format!("takes {}, ", format::count(i64::try_from(n).unwrap_or_default(), "input", "inputs")),
        None => String::new(),
    };
    let served = format!(
        "Served by {} from its {} files, {inputs}all traffic at once.",
        subject.serving.engine, subject.serving.flavor
    );
    view! {
        <Panel
            title="What is approved"
            id="subject"
            lead=view! { <DigestText digest/> }.into_any()
            actions=view! { <span class="note wide">"An approval counts for exactly this digest"</span> }.into_any()
            foot=view! { <p>{foot}</p><p>{served}</p> }.into_any()
        >
            <ol class="seal">
                {part(0, "Model", view! { <a href=version>{format!("v{}", subject.version)}</a> }.into_any(), files)}
                {part(1, "Data", data.0.into_any(), data.1)}
                {part(2, "Code", view! { <span class="mono code">{code.0}</span> }.into_any(), code.1)}
                {part(3, "Environment", lock.0.into_any(), lock.1)}
                {part(4, "Evidence", view! { <a href="#gates">{gates}</a> }.into_any(), Some(subject.evidence_digest.short().to_owned()))}
                {part(5, "Policies", policies.0, policies.1)}
            </ol>
        </Panel>
    }
    .into_any()
}
