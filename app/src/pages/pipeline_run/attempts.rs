//! The tries of a step: how each ended and why.

use super::{state, steps::href};
use crate::{format, ui::prelude::*};
use domain::{
    pipeline_run::AttemptOutcome,
    step::{Step, StepAttempt},
};
use leptos::prelude::*;

/// The panel of a step's tries, the last first.
#[component]
pub(super) fn Attempts(attempts: Vec<StepAttempt>, step: Step, shown: Option<i32>, address: Address) -> impl IntoView {
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
                        let here = shown == Some(attempt.number);
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
                                href=href(&address, &step.name, Some(attempt.number))
                                state=view! { <StateMark state=shape word/> }.into_any()
                                sub=told(&attempt).into_any()
                                end=end
                            />
                        }
                    })
                    .collect_view()}
            </Rows>
        </Panel>
    }
}

/// Why it ended; when there is nothing to say about that, what it wrote and took.
fn told(attempt: &StepAttempt) -> String {
    let reason = state::attempt_reason(attempt).filter(|_| attempt.outcome != AttemptOutcome::Succeeded);
    if let Some(reason) = reason {
        return reason;
    }
    let lines = format::count(attempt.log_lines, "line of log", "lines of log");
    match attempt.peak_memory_bytes.and_then(|bytes| u64::try_from(bytes).ok()) {
        Some(bytes) => format!("{lines}, {} of memory at most", format::bytes(bytes)),
        None => lines,
    }
}
