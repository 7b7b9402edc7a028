//! How runs, steps and tries stand, as they are drawn and told.

use crate::{format, ui::prelude::*};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    pipeline::PipelineSpec,
    pipeline_run::{AttemptOutcome, PipelineRun, PipelineRunState, StepState},
    step::{Step, StepAttempt, StepKind, awaited_check},
};

/// The shape and the word of a run's state.
#[must_use]
pub fn of_run(state: PipelineRunState) -> (State, &'static str) {
    match state {
        PipelineRunState::Queued => (State::Queued, "Queued"),
        PipelineRunState::Running => (State::Running, "Running"),
        PipelineRunState::Cancelling => (State::Warning, "Cancelling"),
        PipelineRunState::Succeeded => (State::Passed, "Succeeded"),
        PipelineRunState::Failed => (State::Failed, "Failed"),
        PipelineRunState::Cancelled => (State::Cancelled, "Cancelled"),
    }
}

/// The shape and the word of a step's state.
#[must_use]
pub fn of_step(state: StepState) -> (State, &'static str) {
    match state {
        StepState::Waiting => (State::Queued, "Waiting"),
        StepState::Ready => (State::Queued, "Queued"),
        StepState::Running => (State::Running, "Running"),
        StepState::Succeeded => (State::Passed, "Passed"),
        StepState::Failed => (State::Failed, "Failed"),
        StepState::Skipped => (State::Skipped, "Skipped"),
        StepState::Cancelled => (State::Cancelled, "Cancelled"),
    }
}

/// The shape and the word of how a step stands: one that asks people runs nothing.
#[must_use]
pub fn of(step: &Step) -> (State, &'static str) {
    match (step.kind, step.state) {
        (StepKind::Approval, StepState::Running) => (State::Waiting, "Asks people"),
        (StepKind::Approval, StepState::Succeeded) => (State::Passed, "Approved"),
        (_, state) => of_step(state),
    }
}

/// The shape and the word of how a try ended.
#[must_use]
pub fn of_attempt(outcome: AttemptOutcome) -> (State, &'static str) {
    match outcome {
        AttemptOutcome::Running => (State::Running, "Running"),
        AttemptOutcome::Succeeded => (State::Passed, "Passed"),
        AttemptOutcome::Failed => (State::Failed, "Failed"),
        AttemptOutcome::TimedOut => (State::Failed, "Timed out"),
        // The step is no worse for it: it is tried again by itself.
        AttemptOutcome::Lost => (State::Warning, "Lost"),
        AttemptOutcome::Cancelled => (State::Cancelled, "Cancelled"),
    }
}

/// How long a run, step or try took, or takes so far; none before it began.
#[must_use]
pub fn took(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<TimeDelta> {
    from.map(|from| (to.unwrap_or(now) - from).max(TimeDelta::zero()))
}

/// The state of a run in a few words, for its badge.
#[must_use]
pub fn run_words(run: &PipelineRun, ended: i64, total: i64, now: DateTime<Utc>) -> String {
    let (_, word) = of_run(run.state);
    let span = took(run.started_at, run.ended_at, now).map(format::duration);
    match (run.state, span) {
        (PipelineRunState::Running | PipelineRunState::Cancelling, _) => {
            format!("{word}, {ended} of {total} steps done")
        }
        (PipelineRunState::Succeeded, Some(span)) => format!("{word} in {span}"),
        (PipelineRunState::Failed | PipelineRunState::Cancelled, Some(span)) => format!("{word} after {span}"),
        _ => word.to_owned(),
    }
}

/// How the steps stand, as counts: `2 passed, 1 running, 3 waiting`.
#[must_use]
pub fn step_counts(steps: &[Step]) -> String {
    let order = [
        StepState::Succeeded,
        StepState::Running,
        StepState::Failed,
        StepState::Ready,
        StepState::Waiting,
        StepState::Skipped,
        StepState::Cancelled,
    ];
    let counts = order.into_iter().filter_map(|state| {
        let count = steps.iter().filter(|step| step.state == state).count();
        (count > 0).then(|| format!("{count} {}", of_step(state).1.to_lowercase()))
    });
    counts.collect::<Vec<_>>().join(", ")
}

/// What stands beside a step's state: how long, or what it waits for.
#[must_use]
pub fn step_note(step: &Step, steps: &[Step], now: DateTime<Utc>) -> String {
    match step.state {
        StepState::Waiting => {
            let open = |name: &&String| steps.iter().any(|other| other.name == **name && !other.state.is_final());
            let mut waits = step.needs.iter().filter(open);
            match (waits.next(), waits.count()) {
                (Some(first), 0) => format!("after {first}"),
                (Some(first), more) => format!("after {first} +{more}"),
                (None, _) => String::new(),
            }
        }
        _ if step.inner.is_some_and(|inner| inner.total > 0) => {
            let inner = step.inner.unwrap_or_default();
            format!("{} of {}", inner.total - inner.open, inner.total)
        }
        StepState::Ready if let Some(what) = &step.blocked_by => match awaited_check(what) {
            Some(version) => format!("for the check of {version}"),
            None => "for its limit".to_owned(),
        },
        StepState::Ready if step.attempts > 0 => format!("for try {}", step.attempts + 1),
        StepState::Ready => "for a worker".to_owned(),
        StepState::Skipped if step.reason.starts_with("its condition") => "condition".to_owned(),
        StepState::Skipped => step.reason.clone(),
        StepState::Cancelled if step.started_at.is_none() => "never began".to_owned(),
        _ => took(step.started_at, step.ended_at, now).map(format::duration).unwrap_or_default(),
    }
}

/// What happened to a try, in a sentence, when that is worth one.
#[must_use]
pub fn attempt_reason(attempt: &StepAttempt) -> Option<String> {
    if !attempt.reason.is_empty() {
        return Some(format::capitalised(&attempt.reason));
    }
    match (attempt.outcome, attempt.exit_code) {
        (AttemptOutcome::Failed, Some(code)) => Some(format!("Exit status {code}")),
        (AttemptOutcome::TimedOut, _) => Some("Took longer than its timeout allows".to_owned()),
        (AttemptOutcome::Lost, _) => Some("Its worker was lost, so it was tried again".to_owned()),
        _ => None,
    }
}

/// The step that a page shows when nobody chose one: what runs, or what went wrong, or is tried
/// again, or what was done last.
#[must_use]
pub fn chosen<'a>(steps: &'a [Step], asked: Option<&str>, spec: &PipelineSpec) -> Option<&'a Step> {
    let named = asked.and_then(|name| steps.iter().find(|step| step.name == name));
    let latest = |state: StepState| {
        steps.iter().filter(|step| step.state == state).max_by_key(|step| (step.started_at, step.ended_at))
    };
    named
        .or_else(|| latest(StepState::Running))
        .or_else(|| steps.iter().filter(|step| step.state == StepState::Failed).min_by_key(|step| step.ended_at))
        .or_else(|| steps.iter().find(|step| step.state == StepState::Ready && step.attempts > 0))
        // What tidies up in the end says least.
        .or_else(|| {
            let is_last = |step: &Step| spec.steps.get(&step.name).is_some_and(|step| step.finally);
            let began = steps.iter().filter(|step| step.started_at.is_some());
            began.max_by_key(|step| (!is_last(step), step.ended_at))
        })
        .or_else(|| steps.iter().find(|step| step.state == StepState::Ready))
        .or_else(|| steps.first())
}

/// The try that a page shows when nobody chose one: the last.
#[must_use]
pub fn chosen_attempt(attempts: &[StepAttempt], asked: Option<i32>) -> Option<&StepAttempt> {
    asked.and_then(|number| attempts.iter().find(|attempt| attempt.number == number)).or_else(|| attempts.last())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::StepId;
    use std::collections::BTreeMap;

    fn step(name: &str, state: StepState, needs: &[&str], started: Option<i64>) -> Step {
        let at = |s: i64| DateTime::from_timestamp(s, 0).unwrap();
        Step {
            id: StepId::new(),
            name: name.into(),
            state,
            reason: String::new(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            attempts: i32::from(started.is_some()),
            max_attempts: 1,
            started_at: started.map(at),
            ended_at: state.is_final().then_some(started).flatten().map(|s| at(s + 5)),
            outputs: Vec::new(),
            kind: StepKind::Command,
            parent: None,
            items: BTreeMap::new(),
            inner: None,
            blocked_by: None,
            cache: None,
            carried_from: None,
            sub_run: None,
        }
    }

    #[test]
    fn without_a_choice_the_running_step_is_shown_then_the_failed_one() {
        let mut steps = vec![
            step("a", StepState::Failed, &[], Some(0)),
            step("b", StepState::Running, &[], Some(1)),
            step("c", StepState::Waiting, &["b"], None),
        ];
        let file = "name: p\nsteps:\n  a: { command: x }\n  b: { command: x }\nfinally:\n  c: { command: x }\n";
        let spec = PipelineSpec::parse(file).unwrap();
        let name = |steps: &[Step], asked: Option<&str>| chosen(steps, asked, &spec).unwrap().name.clone();
        assert_eq!(name(&steps, None), "b");
        assert_eq!(name(&steps, Some("c")), "c");
        assert_eq!(name(&steps, Some("gone")), "b");
        steps[1].state = StepState::Succeeded;
        assert_eq!(name(&steps, None), "a");
        assert!(chosen(&[], None, &spec).is_none());
        // Of a run in which all went well, what was done last, but for what runs in the end.
        let went_well: Vec<Step> = [("a", 0), ("b", 1), ("c", 9)]
            .map(|(name, at)| {
                let mut step = step(name, StepState::Succeeded, &[], Some(at));
                step.ended_at = DateTime::from_timestamp(at + 1, 0);
                step
            })
            .into();
        assert_eq!(name(&went_well, None), "b");
    }

    #[test]
    fn a_waiting_step_names_what_it_waits_for() {
        let steps = [
            step("a", StepState::Succeeded, &[], Some(0)),
            step("b", StepState::Running, &[], Some(1)),
            step("c", StepState::Waiting, &[], None),
            step("d", StepState::Waiting, &["a", "b", "c"], None),
        ];
        assert_eq!(step_note(&steps[3], &steps, DateTime::UNIX_EPOCH), "after b +1");
        assert_eq!(step_note(&steps[0], &steps, DateTime::UNIX_EPOCH), "5 s");
        assert_eq!(step_counts(&steps), "1 passed, 1 running, 2 waiting");
    }
}
