//! Why a step failed, and what to do about it.

use super::{RunPage, state};
use crate::{ansi, format, ui::prelude::*};
use domain::{
    log::{LogLine, LogStream, plain},
    pipeline_run::{AttemptOutcome, StepState},
    step::{Step, StepAttempt},
};
use leptos::prelude::*;

/// The reason in a sentence, what helps, and the last line of the log that looks like an error.
#[component]
pub(super) fn Failure(page: RunPage, step: Step, attempt: Option<StepAttempt>) -> impl IntoView {
    let failed = step.state == StepState::Failed;
    let outcome = attempt.as_ref().map(|attempt| attempt.outcome);
    if matches!(outcome, Some(AttemptOutcome::Running | AttemptOutcome::Succeeded)) {
        return None;
    }
    let reason = attempt
        .as_ref()
        .and_then(state::attempt_reason)
        .or_else(|| (failed && !step.reason.is_empty()).then(|| format::capitalised(&step.reason)))?;
    let is_out_of_memory = reason.to_lowercase().contains("out of memory");
    let (tone, symbol, next) = match outcome {
        _ if step.state == StepState::Ready => (Tone::Warn, Symbol::Wait, "It is tried again by itself."),
        Some(AttemptOutcome::Failed) if is_out_of_memory => {
            (Tone::Fail, Symbol::Fail, "Raise resources.memory in the file, or have it hold less at once.")
        }
        Some(AttemptOutcome::TimedOut) => {
            (Tone::Fail, Symbol::Fail, "Raise its timeout in the file, or give it less to do.")
        }
        Some(AttemptOutcome::Lost) => (Tone::Warn, Symbol::Warn, ""),
        None if failed && step.kind.is_outer() => (Tone::Fail, Symbol::Fail, "The list below says which."),
        Some(AttemptOutcome::Failed) | None if failed => (Tone::Fail, Symbol::Fail, ""),
        Some(AttemptOutcome::Failed) => (Tone::Warn, Symbol::Warn, "Another try followed."),
        _ => (Tone::Idle, Symbol::Cancel, ""),
    };
    let end = if reason.ends_with(['.', '?', '!']) { " " } else { ". " };
    // Of what was killed for its memory, the log knows less.
    let said = (outcome == Some(AttemptOutcome::Failed) && page.part == LogPart::End && !is_out_of_memory)
        .then(|| last_word(&page.lines))
        .flatten()
        .map(|(number, text)| {
            view! { <p class="said"><a class="mono" href=format!("#L{number}")>{format!("Line {number}")}</a>" "<code>{text}</code></p> }
        });
    Some(view! {
        <div id="failure" data-live="">
            <Callout tone symbol><p><b>{step.name}": "{reason}{end}</b>{next}</p>{said}</Callout>
        </div>
    })
}

/// The last line of the command that says that something is an error; else the last one that warns, or its last one to the
/// standard error.
fn last_word(lines: &[LogLine]) -> Option<(i64, String)> {
    let theirs = || lines.iter().rev().filter(|line| line.stream != LogStream::Sys && !line.text.trim().is_empty());
    let line = theirs()
        .find(|line| ansi::is_error(&line.text))
        .or_else(|| theirs().find(|line| line.stream == LogStream::Err))
        .or_else(|| theirs().find(|line| ansi::is_alarming(&line.text)))?;
    Some((line.number, plain(&line.text).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_of_a_log_is_quoted_not_what_comes_after_it() {
        let line = |number, stream, text: &str| LogLine { number, at_ms: 0, stream, text: text.into() };
        let lines = [
            line(1, LogStream::Err, "ValueError: no rows"),
            line(2, LogStream::Out, "WARN that was all"),
            line(3, LogStream::Sys, "Error: exit status 1"),
        ];
        assert_eq!(last_word(&lines), Some((1, "ValueError: no rows".to_owned())));
        assert_eq!(last_word(&lines[1..]).map(|(number, _)| number), Some(2));
        assert_eq!(last_word(&lines[2..]), None);
        assert_eq!(last_word(&[line(9, LogStream::Err, " \u{1b}[31mgone ")]), Some((9, "gone".to_owned())));
    }
}
