//! One step of a run: how it stands, its log, its tries, what it gave on.

use super::{RunPage, state};
use crate::{format, ui::prelude::*};
use chrono::TimeDelta;
use domain::{
    pipeline::{Command as Runs, StepSpec, TriggerRule, Work},
    pipeline_run::{AttemptOutcome, StepState},
    step::{Step, StepAttempt, StepKind},
};
use leptos::prelude::*;

/// The log of the try that is shown.
#[component]
pub(super) fn StepLog(page: RunPage, links: Links, step: Step, attempt: Option<StepAttempt>) -> impl IntoView {
    let number = page.detail.run.number;
    let tries = page.attempts.get(&step.name).map_or(0, Vec::len);
    let Some(attempt) = attempt else {
        let why = match step.state {
            _ if let Some(number) = step.carried_from => {
                format!("It did not run here: its outputs are those that it had in run #{number}, and so is its log.")
            }
            StepState::Waiting if !step.needs.is_empty() => format!("It waits for {}.", step.needs.join(", ")),
            StepState::Ready if step.blocked_by.is_some() => format!(
                "It begins when the limit {} has a place for it.",
                step.blocked_by.as_deref().unwrap_or_default()
            ),
            StepState::Waiting | StepState::Ready => "It begins when a worker is free.".to_owned(),
            StepState::Skipped if !step.reason.is_empty() => format!("It never began: {}.", step.reason),
            StepState::Skipped | StepState::Cancelled => "It never began.".to_owned(),
            _ => "Nothing is known of its tries.".to_owned(),
        };
        return view! {
            <Panel title=format!("Log of {}", step.name) id=format!("log-{}", step.name)>
                <div class="empty"><p>{why}</p></div>
            </Panel>
        }
        .into_any();
    };
    let title = if tries > 1 {
        format!("Log of {}, try {}", step.name, attempt.number)
    } else {
        format!("Log of {}", step.name)
    };
    let goes_on = attempt.outcome == AttemptOutcome::Running;
    let log = links.step_log(number, &step.name, attempt.number);
    view! {
        <LogPanel
            id=format!("log-{}-{}", step.name, attempt.number)
            title
            lines=page.lines
            total=attempt.log_lines
            events=goes_on.then(|| format!("{log}/stream"))
            raw=log
            empty="It wrote nothing."
        />
    }
    .into_any()
}

/// What is known of the step, its tries, what it gave on.
#[component]
pub(super) fn StepFacts(
    page: RunPage,
    links: Links,
    address: Address,
    step: Step,
    attempt: Option<StepAttempt>,
) -> impl IntoView {
    let (shape, word) = state::of_step(step.state);
    let spec = page.spec.step(&place(&step.name)).cloned();
    let tracked = attempt.as_ref().and_then(|attempt| attempt.run_id).map(|id| {
        view! { <a href=links.run(&id)>"Run "<span class="mono">{id.simple()[24..].to_owned()}</span></a> }.into_any()
    });
    let other = spec.as_ref().and_then(|spec| spec.pipeline().cloned());
    let runs = other.map(|other| {
        let version = other.version.map(|version| format!(", version {version}")).unwrap_or_default();
        let run = step.sub_run.map(|number| {
            view! { ": "<a href=links.pipeline_run(number)>{format!("run #{number}")}</a> }
        });
        view! { <a href=links.pipeline(&other.name)>{other.name.clone()}</a>{version}{run} }.into_any()
    });
    let declared = spec.as_ref().is_some_and(|spec| !spec.outputs.is_empty());
    let outputs = (declared || !step.outputs.is_empty())
        .then(|| view! { <Outputs step=step.clone() links number=page.detail.run.number/> });
    let attempts = page.attempts.get(&step.name).filter(|attempts| !attempts.is_empty()).cloned().map(|attempts| {
        let shown = attempt.as_ref().map(|attempt| attempt.number);
        view! { <Attempts attempts step=step.clone() shown address=address.clone()/> }
    });
    let code = spec.as_ref().and_then(|spec| match &spec.work {
        Work::Command(runs) => {
            Some(view! { <CodeBlock label=format!("Command of {}", step.name) text=command(runs)/> })
        }
        Work::Steps(_) | Work::Approval(_) | Work::Pipeline(_) => None,
    });
    view! {
        <Panel
            title=step.name.clone()
            id="step"
            lead=view! { <StateMark state=shape word/> }.into_any()
            actions=tracked.unwrap_or_else(|| ().into_any())
        >
            <Body>
                <Failure step=step.clone() attempt=attempt.clone()/>
                <Known spec step=step.clone() attempt address runs/>
                {code}
            </Body>
        </Panel>
        {attempts}
        {outputs}
    }
}

/// Where a step of a run stands in the file: its name without the numbers of instances.
fn place(name: &str) -> Vec<&str> {
    name.split('/').map(|part| part.split('.').next().unwrap_or(part)).collect()
}

/// How long something takes so far: the browser counts on.
#[component]
fn SoFar(span: TimeDelta) -> impl IntoView {
    view! { <span data-seconds=span.num_seconds().to_string()>{format::duration(span)}</span> }
}

/// Why the step failed, where it did.
#[component]
fn Failure(step: Step, attempt: Option<StepAttempt>) -> impl IntoView {
    let failed = step.state == StepState::Failed;
    let reason = attempt
        .as_ref()
        .and_then(state::attempt_reason)
        .or_else(|| (failed && !step.reason.is_empty()).then(|| format::capitalised(&step.reason)))?;
    let outcome = attempt.as_ref().map(|attempt| attempt.outcome);
    let (tone, symbol, next) = match outcome {
        _ if step.state == StepState::Ready => (Tone::Warn, Symbol::Wait, "It is tried again by itself."),
        Some(AttemptOutcome::TimedOut) => {
            (Tone::Fail, Symbol::Fail, "Raise its timeout in the file, or give it less to do.")
        }
        Some(AttemptOutcome::Lost) => (Tone::Warn, Symbol::Warn, ""),
        None if failed && step.kind == StepKind::Approval => (Tone::Fail, Symbol::Fail, ""),
        None if failed && step.kind == StepKind::Pipeline => {
            (Tone::Fail, Symbol::Fail, "The page of that run says more.")
        }
        None if failed && step.kind != StepKind::Command => (Tone::Fail, Symbol::Fail, "The list beside says which."),
        Some(AttemptOutcome::Failed) | None if failed => (Tone::Fail, Symbol::Fail, "The end of its log says more."),
        Some(AttemptOutcome::Failed) => (Tone::Warn, Symbol::Warn, "Another try followed."),
        Some(AttemptOutcome::Succeeded) => (Tone::Pass, Symbol::Pass, ""),
        _ => (Tone::Idle, Symbol::Cancel, ""),
    };
    let end = if reason.ends_with(['.', '?', '!']) { " " } else { ". " };
    Some(view! { <Callout tone symbol><b>{reason}{end}</b>{next}</Callout> })
}

#[component]
fn Known(
    spec: Option<StepSpec>,
    step: Step,
    attempt: Option<StepAttempt>,
    address: Address,
    /// The other pipeline that it runs, with a link to its run.
    runs: Option<AnyView>,
) -> impl IntoView {
    let now = now();
    let timeout = spec.as_ref().and_then(|spec| spec.timeout_seconds).map(|seconds| {
        let whole = TimeDelta::seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 1000));
        let left = attempt
            .as_ref()
            .filter(|attempt| attempt.outcome == AttemptOutcome::Running)
            .map(|attempt| (whole - (now - attempt.started_at)).max(TimeDelta::zero()));
        match left {
            Some(left) => format!("{}, {} left", format::coarse(whole), format::coarse(left)),
            None => format::coarse(whole),
        }
    });
    let inputs: Vec<String> =
        spec.iter().flat_map(|spec| &spec.inputs).map(|(name, from)| format!("{name} from {from}")).collect();
    let condition = spec.as_ref().and_then(|spec| spec.condition.clone());
    let rule = spec.as_ref().and_then(|spec| match (spec.finally, spec.trigger_rule) {
        (true, _) => Some("when all others have ended"),
        (false, TriggerRule::AllDone) => Some("whatever became of those before it"),
        (false, TriggerRule::AllSuccess) => None,
    });
    let limits: Vec<String> = spec.iter().flat_map(|spec| spec.limits.iter().cloned()).collect();
    let pool = spec.as_ref().map(|spec| spec.pool.clone()).filter(|pool| pool != "default");
    let worker = attempt.as_ref().map(|attempt| attempt.worker.clone());
    let began = attempt.as_ref().map(|attempt| attempt.started_at);
    let took = attempt.as_ref().and_then(|attempt| state::took(began, attempt.ended_at, now));
    let goes_on = attempt.as_ref().is_some_and(|attempt| attempt.outcome == AttemptOutcome::Running);
    let code = attempt.as_ref().and_then(|attempt| attempt.exit_code);
    let needs = step
        .needs
        .iter()
        .enumerate()
        .map(|(at, need)| {
            let href = address.without("attempt").with("step", need.clone()).href();
            view! { {(at > 0).then_some(", ")}<a href=href>{need.clone()}</a> }
        })
        .collect_view();
    view! {
        <Facts>
            {runs.map(|runs| view! { <Fact name="Runs">{runs}</Fact> })}
            {began.map(|at| view! { <Fact name="Began"><When at/></Fact> })}
            {took
                .map(|span| match goes_on {
                    true => view! { <Fact name="Runs for"><SoFar span/></Fact> }.into_any(),
                    false => view! { <Fact name="Took">{format::duration(span)}</Fact> }.into_any(),
                })}
            {code.map(|code| view! { <Fact name="Exit status">{code}</Fact> })}
            {(!step.needs.is_empty()).then(|| view! { <Fact name="After">{needs}</Fact> })}
            {(!inputs.is_empty()).then(|| view! { <Fact name="Inputs" >{inputs.join(", ")}</Fact> })}
            {step
                .items
                .clone()
                .into_iter()
                .map(|(name, value)| view! { <Fact name mono=true>{value.to_string()}</Fact> })
                .collect_view()}
            {condition.map(|text| view! { <Fact name="Condition" mono=true>{text}</Fact> })}
            {rule.map(|text| view! { <Fact name="Begins">{text}</Fact> })}
            {(!limits.is_empty()).then(|| view! { <Fact name="Limits">{limits.join(", ")}</Fact> })}
            {timeout.map(|text| view! { <Fact name="Timeout">{text}</Fact> })}
            {(step.max_attempts > 1).then(|| view! { <Fact name="Tries">{format!("up to {}", step.max_attempts)}</Fact> })}
            {pool.map(|pool| view! { <Fact name="Pool">{pool}</Fact> })}
            {worker.map(|worker| view! { <Fact name="Worker"><span class="mono">{worker}</span></Fact> })}
        </Facts>
    }
}

#[component]
fn Attempts(attempts: Vec<StepAttempt>, step: Step, shown: Option<i32>, address: Address) -> impl IntoView {
    let now = now();
    let note = format!("{} of {}", attempts.len(), step.max_attempts.max(step.attempts));
    let several = attempts.len() > 1;
    view! {
        <Panel title="Tries" id="attempts" note=note>
            <Rows>
                {attempts
                    .into_iter()
                    .rev()
                    .map(|attempt| {
                        let (shape, word) = state::of_attempt(attempt.outcome);
                        let span = format::duration(attempt.ended_at.unwrap_or(now) - attempt.started_at);
                        let href = address.with("step", step.name.clone()).with("attempt", attempt.number.to_string()).href();
                        let here = shown == Some(attempt.number);
                        let sub = state::attempt_reason(&attempt)
                            .unwrap_or_else(|| format::count(attempt.log_lines, "line of log", "lines of log"));
                        let end = match (here && several, attempt.outcome == AttemptOutcome::Running) {
                            (true, _) => "shown".into_any(),
                            (false, true) => "goes on".into_any(),
                            (false, false) => ().into_any(),
                        };
                        let title = match attempt.outcome {
                            AttemptOutcome::Running => format!("Try {}", attempt.number),
                            _ => format!("Try {}, {span}", attempt.number),
                        };
                        view! {
                            <Row
                                title
                                href=href
                                state=view! { <StateMark state=shape word/> }.into_any()
                                sub=sub.into_any()
                                end=end
                            />
                        }
                    })
                    .collect_view()}
            </Rows>
        </Panel>
    }
}

#[component]
fn Outputs(step: Step, links: Links, number: i64) -> impl IntoView {
    let Step { name: step, state, outputs, .. } = step;
    let count = outputs.len();
    if outputs.is_empty() {
        let why = if state.is_final() { "It gave nothing on." } else { "They are here once the step has succeeded." };
        return view! { <Panel title="Outputs" id="outputs"><Body><p class="muted">{why}</p></Body></Panel> }
            .into_any();
    }
    view! {
        <Panel title="Outputs" id="outputs" note=count.to_string()>
            <ul class="list files">
                {outputs
                    .into_iter()
                    .map(|output| {
                        let href = links.step_output(number, &step, &output.name);
                        let symbol = if output.is_folder { Symbol::Folder } else { Symbol::File };
                        let size = format::bytes(u64::try_from(output.size).unwrap_or_default());
                        view! {
                            <li>
                                <Icon symbol/>
                                <div class="grow">
                                    <div class="ellipsis">
                                        <a class="t" href=href download="">{output.name}</a>
                                        " "
                                        <span class="muted mono">{output.path}</span>
                                    </div>
                                    <div class="sub"><DigestText digest=output.digest/></div>
                                </div>
                                <span class="end">{size}</span>
                            </li>
                        }
                    })
                    .collect_view()}
            </ul>
        </Panel>
    }
    .into_any()
}

/// A command as one would type it.
#[must_use]
pub(crate) fn command(command: &Runs) -> String {
    match command {
        Runs::Shell(script) => script.trim_end().to_owned(),
        Runs::Program(words) => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+${}".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_shown_as_one_would_type_it() {
        let words = ["python", "train.py", "--name", "it's red", ""].map(str::to_owned).to_vec();
        assert_eq!(command(&Runs::Program(words)), r"python train.py --name 'it'\''s red' ''");
        assert_eq!(command(&Runs::Shell("a\nb\n".into())), "a\nb");
    }
}
