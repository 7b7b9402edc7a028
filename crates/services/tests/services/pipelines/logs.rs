//! Logs of tries.

use crate::pipelines::engine::{Engine, graph};
use domain::{
    ErrorKind,
    log::{LogLine, LogStream},
    pipeline_run::AttemptOutcome,
};
use services::Appended;

fn lines(from: i64, to: i64) -> Vec<LogLine> {
    (from..=to)
        .map(|number| LogLine { number, at_ms: number, stream: LogStream::Out, text: format!("line {number}") })
        .collect()
}

#[tokio::test]
async fn lines_are_numbered_without_gaps_whatever_is_sent_twice() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("only", &[])])).await;
    let held = engine.claim().await.unwrap();
    let append = |lines: Vec<LogLine>| {
        let engine = &engine;
        async move { engine.services.append_log(held.attempt_id, &lines).await.unwrap() }
    };
    assert_eq!(append(lines(1, 3)).await, Appended::Stored);
    assert_eq!(append(lines(1, 3)).await, Appended::Stored, "sent again, because the answer was lost");
    assert_eq!(append(lines(4, 250)).await, Appended::Stored);
    for from in (251..=3000).step_by(50) {
        append(lines(from, from + 49)).await;
    }
    let attempt = engine.services.step_attempt(&engine.ctx(), run, "only", 1).await.unwrap();
    assert_eq!(attempt.log_lines, 3000);
    for (after, limit) in [(0, 10), (2, 5), (3, 1), (249, 400), (2990, 100), (3000, 5), (0, 5000)] {
        let read = engine.services.log_lines(attempt.id, after, limit).await.unwrap();
        let expected = lines(after + 1, 3000.min(after + i64::try_from(limit).unwrap()));
        assert_eq!(read, expected, "{limit} after {after}");
    }
    assert_eq!(engine.services.last_log_lines(&attempt, 2).await.unwrap(), lines(2999, 3000));
}

#[tokio::test]
async fn a_log_is_searched_as_it_is_read_and_says_how_far_that_came() {
    let engine = Engine::start().await;
    engine.run(&graph(&[("only", &[])])).await;
    let held = engine.claim().await.unwrap();
    let mut all = lines(1, 12_000);
    all[6].text = "\u{1b}[33mWAR\u{1b}[0mN disk".to_owned();
    all[11_000].text = "warn again".to_owned();
    for part in all.chunks(500) {
        engine.services.append_log(held.attempt_id, part).await.unwrap();
    }
    let search = |find: &'static str, after, limit| {
        let engine = &engine;
        async move {
            let hits = engine.services.search_log(held.attempt_id, find, after, limit).await.unwrap();
            (hits.lines.iter().map(|line| line.number).collect::<Vec<_>>(), hits.up_to)
        }
    };
    assert_eq!(search("Warn", 0, 10).await, (vec![7, 11_001], 12_000));
    assert_eq!(search("warn", 0, 1).await, (vec![7], 7));
    assert_eq!(search("warn", 7, 1).await, (vec![11_001], 11_001));
    assert_eq!(search("nowhere", 0, 10).await, (vec![], 12_000));
    assert_eq!(search("warn", 12_000, 10).await, (vec![], 12_000));
}

#[tokio::test]
async fn nothing_is_added_to_the_log_of_a_try_that_has_ended() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("only", &[])])).await;
    let held = engine.claim().await.unwrap();
    engine.services.append_log(held.attempt_id, &lines(1, 2)).await.unwrap();
    engine.let_expire(&held).await;
    let given_up = services::LetGo::Dead("its worker died".to_owned());
    engine.services.let_go(&crate::pipelines::engine::lease(&held), &given_up).await.unwrap();
    // The worker was only stopped, and goes on.
    assert_eq!(engine.services.append_log(held.attempt_id, &lines(3, 5)).await.unwrap(), Appended::Ended);
    let attempt = engine.services.step_attempt(&engine.ctx(), run, "only", 1).await.unwrap();
    let log = engine.services.log_lines(attempt.id, 0, 100).await.unwrap();
    assert_eq!(log.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((log[2].stream, log[2].text.as_str()), (LogStream::Sys, "The try was lost: its worker died."));
    assert_eq!(attempt.outcome, AttemptOutcome::Lost);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("only", &[])])).await;
    let message = |run, step: &'static str, number| {
        let engine = &engine;
        async move {
            let refused = engine.services.step_attempt(&engine.ctx(), run, step, number).await.unwrap_err();
            assert_eq!(refused.kind, ErrorKind::NotFound);
            refused.message
        }
    };
    assert_eq!(message(9, "only", 1).await, "No pipeline run #9 in this workspace.");
    assert_eq!(message(run, "other", 1).await, "Pipeline run #1 has no step \"other\".");
    assert_eq!(message(run, "only", 1).await, "Step \"only\" of pipeline run #1 has not begun.");
    engine.claim().await.unwrap();
    assert_eq!(message(run, "only", 2).await, "Step \"only\" of pipeline run #1 has no try 2.");
}
