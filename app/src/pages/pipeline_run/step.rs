//! One step of a run: how it stands and what is known of it.

use super::{RunPage, attempts::Attempts, outputs::Outputs, record::VersionLink, state, steps};
use crate::{format, ui::prelude::*};
use chrono::TimeDelta;
use domain::{
    pipeline::{Command as Runs, ExecutorKind, InputSpec, OutputRef, PipelineSpec, StepSpec, TriggerRule, Work},
    pipeline_run::{AttemptOutcome, CacheOutcome},
    step::{Step, StepAttempt, StepInput},
};
use leptos::prelude::*;

/// What is known of the step, its tries, what it gave on.
#[component]
pub(super) fn StepFacts(
    page: RunPage,
    links: Links,
    address: Address,
    step: Step,
    attempt: Option<StepAttempt>,
) -> impl IntoView {
    let (shape, word) = state::of(&step);
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
        .then(|| view! { <Outputs step=step.clone() links=links.clone() number=page.detail.run.number/> });
    let attempts = page.attempts.get(&step.name).filter(|attempts| !attempts.is_empty()).cloned().map(|attempts| {
        let shown = attempt.as_ref().map(|attempt| attempt.number);
        view! { <Attempts attempts step=step.clone() shown address=address.clone()/> }
    });
    let code = spec.as_ref().and_then(|spec| match &spec.work {
        Work::Command(runs) => {
            Some(view! { <CodeBlock label=format!("Command of {}", step.name) text=command(runs)/> })
        }
        Work::Notebook(path) => {
            Some(view! { <CodeBlock label=format!("Notebook of {}", step.name) text=format!("notebook: {path}")/> })
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
                <Known file=page.spec links spec step=step.clone() attempt address runs/>
                {code}
            </Body>
        </Panel>
        {attempts}
        {outputs}
    }
}

/// Where a step of a run stands in the file: its name without the numbers of instances.
pub(super) fn place(name: &str) -> Vec<&str> {
    name.split('/').map(|part| part.split('.').next().unwrap_or(part)).collect()
}

/// How long something takes so far: the browser counts on.
#[component]
fn SoFar(span: TimeDelta) -> impl IntoView {
    view! { <span data-seconds=span.num_seconds().to_string()>{format::duration(span)}</span> }
}

#[component]
fn Known(
    file: PipelineSpec,
    spec: Option<StepSpec>,
    step: Step,
    attempt: Option<StepAttempt>,
    links: Links,
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
    let inputs = match attempt.as_ref().filter(|attempt| !attempt.inputs.is_empty()) {
        Some(attempt) => attempt.inputs.clone(),
        None => declared(spec.as_ref()),
    };
    let inputs = inputs
        .into_iter()
        .map(|input| {
            // What was taken by its own name says that itself.
            let by_name = input.from.contains('@');
            let from = match giver(&file, &step.name, &input.from) {
                Some(giver) => {
                    let href = steps::href(&address, &giver, None);
                    view! { <a href=href>{input.from}</a> }.into_any()
                }
                None => input.from.into_any(),
            };
            let from = match input.version {
                Some(version) if by_name => view! { <VersionLink version links=links.clone()/> }.into_any(),
                Some(version) => view! { {from}", "<VersionLink version links=links.clone()/> }.into_any(),
                None => from,
            };
            view! { <Fact name=format!("Input {}", input.name)>{from}</Fact> }
        })
        .collect_view();
    let cache = step.cache.clone().map(|cache| match (cache.outcome, cache.run) {
        (CacheOutcome::Hit, Some(run)) => {
            let href = links.pipeline_run(run);
            view! { "Given by "<a href=href>{format!("run #{run}")}</a>"; nothing ran" }.into_any()
        }
        _ => view! { {format!("Ran: {}", cache.reasons.join("; "))} }.into_any(),
    });
    let condition = spec.as_ref().and_then(|spec| spec.condition.clone());
    let rule = spec.as_ref().and_then(|spec| match (spec.finally, spec.trigger_rule) {
        (true, _) => Some("when all others have ended"),
        (false, TriggerRule::AllDone) => Some("whatever became of those before it"),
        (false, TriggerRule::AllSuccess) => None,
    });
    let limits: Vec<String> = spec.iter().flat_map(|spec| spec.limits.iter().cloned()).collect();
    let pool = spec.as_ref().map(|spec| spec.pool.clone()).filter(|pool| pool != "default");
    let worker = attempt.as_ref().map(|attempt| attempt.worker.clone());
    let gpus = attempt.as_ref().map(|attempt| attempt.gpus.clone()).unwrap_or_default();
    let gpus =
        gpus.into_iter().map(|gpu| view! { <Fact name="GPU"><span class="mono">{gpu.to_string()}</span></Fact> });
    let gpus = gpus.collect_view();
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
            {cache.map(|cache| view! { <Fact name="Cache">{cache}</Fact> })}
            {inputs}
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
            {attempt.map(|attempt| view! { <Ran attempt/> })}
            {gpus}
        </Facts>
    }
}

/// Where a try ran, in which image, and what kept it from the rest of the machine; as far as it came so far.
#[component]
fn Ran(attempt: StepAttempt) -> impl IntoView {
    let StepAttempt { executor, image, sandbox, .. } = attempt;
    let executor = executor.map(|name| ExecutorKind::parse(&name).map_or(name, |kind| words(kind).to_owned()));
    view! {
        {executor.map(|executor| view! { <Fact name="Ran as">{executor}</Fact> })}
        {image.map(|image| view! { <Fact name="Image"><Image image/></Fact> })}
        {sandbox.map(|sandbox| view! { <Fact name="Sandbox">{format::capitalised(&sandbox)}</Fact> })}
    }
}

fn words(kind: ExecutorKind) -> &'static str {
    match kind {
        ExecutorKind::Process => "a process of the worker",
        ExecutorKind::Docker => "a container in Docker",
        ExecutorKind::Kubernetes => "a job in Kubernetes",
    }
}

/// An image by its digest, with the name that it was found by.
#[component]
fn Image(image: String) -> impl IntoView {
    let (name, digest) = image.rsplit_once(['@', ' ']).unwrap_or(("", &image));
    match digest.parse() {
        Ok(digest) => {
            let name = (!name.is_empty()).then(|| view! { <span class="mono">{name.to_owned()}</span>" " });
            view! { {name}<DigestText digest/> }.into_any()
        }
        Err(_) => view! { <span class="mono">{image.clone()}</span> }.into_any(),
    }
}

/// What a step takes that has not begun, as the file says it.
fn declared(spec: Option<&StepSpec>) -> Vec<StepInput> {
    let inputs = spec.into_iter().flat_map(|spec| &spec.inputs);
    let input = |(name, from): (&String, &InputSpec)| StepInput {
        name: name.clone(),
        from: from.to_string(),
        digest: None,
        version: None,
    };
    inputs.map(input).collect()
}

/// The name in the run of the step that gives this output to a step.
fn giver(file: &PipelineSpec, step: &str, from: &str) -> Option<String> {
    let output: OutputRef = from.parse().ok()?;
    file.seen_from(&place(step), step, &output.step).map(|(_, name)| name)
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
    use crate::render::fragment;

    #[test]
    fn an_image_is_shown_by_its_digest_and_its_name() {
        let hex = "3f9c2b7de4a1".repeat(5) + "abcd";
        for (image, name) in [
            (format!("registry.example:5000/lab/train@sha256:{hex}"), "registry.example:5000/lab/train"),
            (format!("train sha256:{hex}"), "train"),
        ] {
            let html = fragment(|| view! { <Image image/> });
            assert!(html.contains(&format!(r#"<span class="mono">{name}</span>"#)), "{html}");
            assert!(html.contains(">3f9c2b7de4a1<"), "{html}");
        }
        let html = fragment(|| view! { <Image image="train:1".to_owned()/> });
        assert_eq!(html, r#"<span class="mono">train:1</span>"#);
    }

    #[test]
    fn a_program_is_shown_as_one_would_type_it() {
        let words = ["python", "train.py", "--name", "it's red", ""].map(str::to_owned).to_vec();
        assert_eq!(command(&Runs::Program(words)), r"python train.py --name 'it'\''s red' ''");
        assert_eq!(command(&Runs::Shell("a\nb\n".into())), "a\nb");
    }
}
