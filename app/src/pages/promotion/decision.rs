//! The decision, always in view: beside the evidence, and on a phone a sheet that the bar at the bottom opens.

use super::{
    detail::{PromotionPage, time_left},
    state,
};
use crate::{format, ui::prelude::*};
use domain::{
    id::UserId,
    policy::{InputKind, InputSpec},
    promotion::{DecisionVerdict, OverrideKind, PromotionState, RuleStanding, Verdict},
};
use leptos::prelude::*;

/// The name of the field that ticks of a rule's checklist are sent in.
#[must_use]
pub fn check_field(rule: &str) -> String {
    format!("check/{rule}")
}

/// The name of the field that a value for a rule is sent in.
#[must_use]
pub fn input_field(rule: &str, input: &str) -> String {
    format!("input/{rule}/{input}")
}

/// The form, or why there is none. Sends `verdict`, `comment`, `subject_digest`, `rules`, and what each rule asks for, to
/// `promotions/{number}/decisions`.
#[component]
pub(super) fn Decide(page: PromotionPage, links: Links, draft: Draft) -> impl IntoView {
    let promotion = page.detail.promotion.clone();
    let ballot = page.ballot();
    let (mine, earlier, awaiting) = (ballot.mine(), ballot.decided(), ballot.awaiting);
    let undecided = matches!(earlier, None | Some(DecisionVerdict::RequestChanges));
    let asked = awaiting && undecided && !mine.is_empty();
    // What was refused is told beside the form, as long as there is something to decide.
    let again = draft.is_refused() && awaiting;
    let Some(digest) = promotion.subject_digest.clone().filter(|_| asked || again) else {
        return view! { <Standing page links earlier draft/> }.into_any();
    };
    let action = format!("{}/decisions", links.promotion(promotion.number));
    let (version, environment) = (promotion.version, promotion.environment.clone());
    let (met, all) = (page.met(), page.detail.rules.len());
    let names: Vec<String> = mine.iter().map(|rule| named(rule, page.me.id)).collect();
    let who = view! {
        "You decide for "<b class="strong">{names.join(", ")}</b>", as "{page.me.name.clone()}"."
    };
    let unsure = page.count(Verdict::Inconclusive) + page.count(Verdict::Fail);
    let overridden = unsure > 0 && page.detail.overrides.iter().any(|one| one.holds(OverrideKind::Gates, &digest));
    let justify = mine.iter().any(|rule| rule.rule.justification);
    let hint = if justify { "The rule asks for a reason." } else { "A rejection and a request for changes need one." };
    let password = page.detail.policies.reauthenticate();
    let one_rule = mine.len() == 1;
    let asks = mine.into_iter().map(|rule| view! { <Asks rule one_rule draft=draft.clone()/> }).collect_view();
    let earlier =
        earlier.map(|_| view! { <Callout>"You asked for changes. Approve when they are made, or reject."</Callout> });
    let held = draft.clone();
    // On a phone it is a sheet that the bar opens. One that was refused stands in the page, where nobody has to open it.
    let refused = draft.is_refused();
    let class = if refused { "decide shown" } else { "decide" };
    let open = if refused {
        view! { <a class="btn primary lg" href="#decide">"Decide"</a> }.into_any()
    } else {
        view! { <button class="btn primary lg" type="button" popovertarget="decide">"Decide"</button> }.into_any()
    };
    let (mark, word) = if refused { (State::Failed, "Not sent") } else { (State::Waiting, "Waits for you") };
    view! {
        <section class=class id="decide" popover=(!refused).then_some("") aria-labelledby="decide-title">
            <header>
                <h2 id="decide-title">"Your decision"</h2>
                <p>{who}</p>
                <button class="icon-btn" type="button" popovertarget="decide" popovertargetaction="hide" aria-label="Close">
                    <Icon symbol=Symbol::Close/>
                </button>
            </header>
            <Mini page=page.clone()/>
            <form method="post" action=action>
                <input type="hidden" name="do" value="decide"/>
                <input type="hidden" name="subject_digest" value=digest.as_str().to_owned()/>
                <FormErrors draft=held fields=&["comment", "password"]/>
                {earlier}
                {overridden
                    .then(|| {
                        let words = format::count(i64::try_from(unsure).unwrap_or_default(), "gate did not pass and is overridden", "gates did not pass and are overridden");
                        view! { <Callout tone=Tone::Fail>{words}"."</Callout> }
                    })}
                {asks}
                <TextArea label="Comment" name="comment" id="decide-comment" hint optional=!justify draft=draft.clone()/>
                {password
                    .then(|| {
                        view! {
                            <TextField label="Your password" name="password" kind="password" autocomplete="current-password" draft=draft.clone()/>
                        }
                    })}
                <button class="btn primary lg block" type="submit" name="verdict" value="approve">
                    <Icon symbol=Symbol::Pass/>
                    {format!("Approve v{version} for {environment}")}
                </button>
                <div class="two">
                    <button class="btn" type="submit" name="verdict" value="request_changes" formnovalidate=true>"Request changes"</button>
                    <button class="btn danger" type="submit" name="verdict" value="reject" formnovalidate=true>"Reject"</button>
                </div>
                <p class="muted small">"Your decision names digest "<code>{digest.short().to_owned()}</code>". It falls away when anything behind it changes."</p>
            </form>
        </section>
        <div class="actionbar" role="region" aria-label="Decide">
            <p>
                <StateMark state=mark word/>
                <span class="ellipsis">{format!("{met} of {all} rules met, {} left", time_left(promotion.expires_at))}</span>
            </p>
            <div class="row">
                {open}
                <a class="btn lg" href="#discussion">"Discuss"</a>
            </div>
        </div>
    }
    .into_any()
}

/// A rule by its name, and in whose place the reader decides for it.
#[must_use]
pub fn named(rule: &RuleStanding, me: UserId) -> String {
    let me = rule.people.iter().find(|person| person.user_id == me);
    let away = me.and_then(|person| person.acting_for.as_ref()).map(|away| format!(" in place of {away}"));
    format!("{}{}", format::capitalised(&rule.rule.name), away.unwrap_or_default())
}

/// Each rule in a line: met by whom, or whom it waits for.
#[component]
fn Mini(page: PromotionPage) -> impl IntoView {
    let me = page.me.id;
    let awaiting = page.detail.promotion.state == PromotionState::AwaitingApproval;
    let rows = page
        .detail
        .rules
        .iter()
        .map(|rule| {
            let (state, end) = if rule.met {
                let names: Vec<&str> = rule.votes.iter().map(|vote| vote.user_name.as_str()).collect();
                (State::Passed, names.join(", "))
            } else {
                let can: Vec<&str> = rule
                    .people
                    .iter()
                    .filter(|person| person.barred.is_none() && person.decision.is_none())
                    .map(|person| if person.user_id == me { "you" } else { person.name.as_str() })
                    .collect();
                let end = match can.as_slice() {
                    _ if !awaiting => format!("needs {}", rule.missing()),
                    [] => "nobody can".to_owned(),
                    [one] => format!("waits for {one}"),
                    many if many.contains(&"you") => "waits for you and others".to_owned(),
                    many => format!("waits for {} people", many.len()),
                };
                (State::Waiting, end)
            };
            view! {
                <li><StateMark state word=format::capitalised(&rule.rule.name)/><span class="end ellipsis">{end}</span></li>
            }
        })
        .collect_view();
    view! { <ul class="rules-mini">{rows}</ul> }
}

/// What a rule asks for with a yes.
#[component]
pub fn Asks(
    /// The rule.
    rule: RuleStanding,
    /// Whether it is the only one that the reader has a place in.
    one_rule: bool,
    /// What was typed, when it was refused.
    draft: Draft,
) -> impl IntoView {
    let key = rule.key();
    let refused = draft.value("verdict").is_some();
    let chosen = if refused { draft.has("rules", &key) } else { !rule.met };
    let ticks = rule
        .rule
        .checklist
        .iter()
        .map(|item| {
            let (name, checked) = (check_field(&key), draft.has(&check_field(&key), item));
            view! {
                <label class="check">
                    <input type="checkbox" name=name value=item.clone() checked=checked required=one_rule/>
                    <span>{item.clone()}</span>
                </label>
            }
        })
        .collect_view();
    let inputs = rule
        .rule
        .inputs
        .iter()
        .cloned()
        .map(|input| view! { <Input rule=key.clone() input draft=draft.clone()/> })
        .collect_view();
    let counts = (!one_rule).then(|| {
        let words = format!("Counts for {}", format::capitalised(&rule.rule.name));
        view! {
            <label class="check">
                <input type="checkbox" name="rules" value=key.clone() checked=chosen/>
                <b>{words}</b>
            </label>
        }
    });
    let nothing = one_rule && rule.rule.checklist.is_empty() && rule.rule.inputs.is_empty();
    (!nothing).then(|| {
        view! {
            <fieldset class="asks">
                <legend class="sr">{rule.rule.name.clone()}</legend>
                {counts}
                {ticks}
                {inputs}
            </fieldset>
        }
    })
}

#[component]
fn Input(rule: String, input: InputSpec, draft: Draft) -> impl IntoView {
    let name = input_field(&rule, &input.name);
    let label = format::capitalised(&input.name.replace('_', " "));
    let pairs =
        |values: &[&str]| values.iter().map(|value| ((*value).to_owned(), (*value).to_owned())).collect::<Vec<_>>();
    let choices = |mut all: Vec<(String, String)>| {
        all.insert(0, (String::new(), if input.optional { "none".to_owned() } else { "Choose…".to_owned() }));
        all
    };
    match input.kind {
        InputKind::Text => {
            view! { <TextField label name autocomplete="off" optional=input.optional max=2000_usize draft/> }.into_any()
        }
        InputKind::Number => {
            view! { <TextField label name autocomplete="off" mono=true optional=input.optional draft/> }.into_any()
        }
        InputKind::Boolean => {
            view! { <SelectField label name options=choices(pairs(&["yes", "no"])) draft/> }.into_any()
        }
        InputKind::Choice => {
            let given: Vec<&str> = input.choices.iter().map(String::as_str).collect();
            view! { <SelectField label name options=choices(pairs(&given)) draft/> }.into_any()
        }
    }
}

/// Where it stands, for those who are not asked.
#[component]
fn Standing(page: PromotionPage, links: Links, earlier: Option<DecisionVerdict>, draft: Draft) -> impl IntoView {
    let promotion = page.detail.promotion.clone();
    let (shape, word) = state(promotion.state);
    let barred = page
        .detail
        .rules
        .iter()
        .flat_map(|rule| &rule.people)
        .filter(|person| person.user_id == page.me.id)
        .find_map(|person| person.barred.clone());
    let overridden = promotion
        .subject_digest
        .as_ref()
        .is_some_and(|digest| page.detail.overrides.iter().any(|one| one.holds(OverrideKind::Gates, digest)));
    let text = match (promotion.state, earlier, barred) {
        (PromotionState::AwaitingApproval, Some(DecisionVerdict::Approve), _) => {
            "You approved this. It goes on when every rule is met.".to_owned()
        }
        (_, Some(DecisionVerdict::Approve), _) => "You approved this.".to_owned(),
        (_, Some(DecisionVerdict::Reject), _) => "You rejected this.".to_owned(),
        (PromotionState::AwaitingApproval, _, Some(barred)) => format!("You may not decide: {}", of_reader(&barred)),
        (PromotionState::AwaitingApproval, ..) => "The people whom its rules name are asked.".to_owned(),
        (PromotionState::Draft, ..) => {
            "It is written down, and nobody is asked yet. Upload evidence if there is any, then submit it: its gates run.".to_owned()
        }
        (PromotionState::GatesRunning, ..) => "People are asked when every gate has passed.".to_owned(),
        (PromotionState::Blocked, ..) if overridden => "Its gates are overridden, and people are asked now.".to_owned(),
        (PromotionState::Blocked, ..) => {
            "A gate failed or could not tell. Mend its cause and run the gates again, or withdraw the request.".to_owned()
        }
        (PromotionState::Approved | PromotionState::Deploying | PromotionState::Verifying, ..) => {
            "It is being brought into the environment by itself.".to_owned()
        }
        (PromotionState::Scheduled, ..) => "Everybody asked has agreed. It is deployed when its time has come.".to_owned(),
        (PromotionState::Live, ..) => format!("v{} answers in {} now.", promotion.version, promotion.environment),
        (PromotionState::RolledBack, ..) => "It was live, and another version took its place again.".to_owned(),
        (PromotionState::Superseded, ..) => "Another version took its place.".to_owned(),
        (PromotionState::Invalidated, ..) => "What was agreed on no longer holds. A new request starts from its gates.".to_owned(),
        _ => "It has ended. A new request starts from its gates.".to_owned(),
    };
    let here = links.promotion(promotion.number);
    let rerun = (page.may.request && promotion.state == PromotionState::Blocked).then(|| {
        view! { <div><Act action=format!("{here}/gates") text="Run the gates again" symbol=Symbol::Redo/></div> }
    });
    let rules = (!page.detail.rules.is_empty() && page.is_open()).then(|| view! { <Mini page=page.clone()/> });
    view! {
        <section class="decide standing" id="standing" aria-labelledby="h-standing" data-live="">
            <header><h2 id="h-standing"><StateMark state=shape word=word/></h2><p>{text}</p></header>
            {rules}
            {rerun.map(|rerun| view! { <div class="do">{rerun}</div> })}
            <FormErrors draft/>
        </section>
    }
}

/// What is said of somebody, said to them.
fn of_reader(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let lower: String = letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default();
    match lower.strip_prefix("is ") {
        Some(rest) => format!("you are {rest}"),
        None if lower.starts_with("a ") || lower.starts_with("it ") => lower,
        None => match lower.strip_prefix("counts ") {
            Some(rest) => format!("you count {rest}"),
            None => format!("you {lower}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_somebody_may_not_is_said_to_them() {
        for (of_them, to_them) in [
            ("Is not among those whom the rule names.", "you are not among those whom the rule names."),
            ("Wrote the commit.", "you wrote the commit."),
            ("A service account never counts.", "a service account never counts."),
            ("Counts for rule \"risk\".", "you count for rule \"risk\"."),
        ] {
            assert_eq!(of_reader(of_them), to_them);
        }
    }
}
