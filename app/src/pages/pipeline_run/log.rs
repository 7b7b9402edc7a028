//! The log of the try that is shown.

use super::RunPage;
use crate::ui::prelude::*;
use domain::{
    pipeline_run::{AttemptOutcome, StepState},
    step::{Step, StepAttempt},
};
use leptos::prelude::*;

/// The panel of the log, or why there is none.
#[component]
pub(super) fn StepLog(
    page: RunPage,
    links: Links,
    address: Address,
    step: Step,
    attempt: Option<StepAttempt>,
) -> impl IntoView {
    let number = page.detail.run.number;
    let tries = page.attempts.get(&step.name).map_or(0, Vec::len);
    let Some(attempt) = attempt else {
        let why = match step.state {
            _ if let Some(number) = step.carried_from => {
                format!("It did not run here: its outputs are those that it had in run #{number}, and so is its log.")
            }
            StepState::Waiting if !step.needs.is_empty() => format!("It waits for {}.", step.needs.join(", ")),
            StepState::Ready if let Some(what) = &page.waits_for => format!("It waits {what}."),
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
    // What the log's links lead to is this try, whichever is the last by then.
    let address = address.with("step", step.name.clone()).with("attempt", attempt.number.to_string());
    view! {
        <LogPanel
            id=format!("log-{}-{}", step.name, attempt.number)
            title
            address
            lines=page.lines
            part=page.part
            total=attempt.log_lines
            events=goes_on.then(|| format!("{log}/stream"))
            raw=log
            empty="It wrote nothing."
        />
    }
    .into_any()
}
