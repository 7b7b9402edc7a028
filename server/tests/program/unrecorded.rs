//! What becomes of a try whose end cannot be recorded although everything answers.

use crate::slipway::{PATIENCE, Slipway};
use sqlx::Executor as _;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn a_try_whose_end_cannot_be_recorded_is_lost_and_the_next_goes_on() {
    let (slipway, mut server) = Slipway::start(&["--steps", "1"]).await;
    slipway
        .pool()
        .execute(
            "create function refuse() returns trigger language plpgsql as $$
             begin
                 raise exception 'a mistake of ours';
             end $$;
             create trigger refuse before update of state on steps
                 for each row when (new.state = 'succeeded') execute function refuse();",
        )
        .await
        .unwrap();
    let run = slipway.run("name: one\nsteps: { only: { command: 'true' } }\n").await;
    let deadline = Instant::now() + PATIENCE;
    let lost = "select reason from step_attempts where outcome = 'lost'";
    let reason: String = loop {
        if let Some(reason) = sqlx::query_scalar(lost).fetch_optional(slipway.pool()).await.unwrap() {
            break reason;
        }
        assert!(Instant::now() < deadline, "nobody gives it up");
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(reason, "its end could not be recorded; the log of the server says why");
    slipway.pool().execute("drop trigger refuse on steps").await.unwrap();
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    let outcomes = slipway.outcomes(&detail).await;
    let only = &outcomes[0].1;
    assert!(only.len() >= 2 && only.last().unwrap() == "succeeded", "{only:?}");
    server.stop();
}
