//! Deliveries: what is sent to a webhook for one event, how it ends, and when it is tried again.

use super::WebhookEvent;
use crate::id::{DeliveryId, WebhookId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where a delivery stands.
///
/// ```text
/// waiting ─▶ sending ─▶ delivered | failed
///    ▲  │       │
///    │  └───────┼─▶ dropped
///    └──────────┘ another try
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is to be sent, now or after a pause.
    Waiting,
    /// A worker sends it.
    Sending,
    /// The receiver took it.
    Delivered,
    /// It was given up.
    Failed,
    /// The webhook was disabled or deleted before it was taken.
    Dropped,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Sending, Self::Delivered, Self::Failed, Self::Dropped];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What is sent to a webhook for one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delivery {
    /// The delivery: the receiver sees it as `X-MLflow-Delivery-Id`, the same in every try.
    pub id: DeliveryId,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// What happened.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub event: WebhookEvent,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i32,
    /// When the event happened.
    pub created_at: DateTime<Utc>,
    /// When it is tried again, while it waits.
    pub next_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The status that the receiver answered with last.
    pub response_status: Option<i32>,
    /// The beginning of what the receiver answered with last.
    #[serde(default)]
    pub response_excerpt: String,
    /// Why the last try did not succeed.
    pub error: String,
    /// The delivery that this one repeats, when somebody asked for that.
    #[serde(default)]
    pub redelivery_of: Option<DeliveryId>,
}

/// The most characters of an answer that are kept.
const MAX_EXCERPT: usize = 500;

/// Of what a receiver answered, what is kept.
#[must_use]
pub fn excerpt(answer: &str) -> String {
    answer.trim().chars().filter(|c| *c == '\n' || !c.is_control()).take(MAX_EXCERPT).collect()
}

/// How often a delivery is tried before it is given up.
pub const MAX_ATTEMPTS: i32 = 8;
/// The pause after the first try; each further one is four times as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The receiver answered with this status.
    Answered(u16),
    /// The receiver was not reached, or did not answer in time.
    Unreached,
    /// It may not be sent there.
    Refused,
}

/// What follows this try, the `attempts`th: the end, or another after a pause. A success is any status of 200 to 299; a
/// receiver that says that it is busy or broken (429, 500 and above) or says nothing is tried again, and nothing else is: a
/// redirect is not followed.
#[must_use]
pub fn after_attempt(attempts: i32, ending: Ending) -> DeliveryState {
    let may_pass = match ending {
        Ending::Answered(200..=299) => return DeliveryState::Delivered,
        Ending::Answered(status) => status == 429 || status >= 500,
        Ending::Unreached => true,
        Ending::Refused => false,
    };
    if may_pass && attempts < MAX_ATTEMPTS { DeliveryState::Waiting } else { DeliveryState::Failed }
}

/// How long to pause after the `attempts`th try: four times as long each time, and by `chance`, from 0 to 1, up to half as
/// long, so that what failed together is not tried together. `asked` is what the receiver asked for.
#[must_use]
pub fn retry_delay(attempts: i32, chance: f64, asked: Option<Duration>) -> Duration {
    let grown = u32::try_from(attempts.saturating_sub(1).clamp(0, 10)).unwrap_or(0);
    let pause = FIRST_PAUSE.saturating_mul(4_u32.saturating_pow(grown)).min(LONGEST_PAUSE);
    let pause = pause.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0);
    pause.max(asked.unwrap_or_default().min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back() {
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::parse(state.as_str()), Some(state));
        }
        assert_eq!(DeliveryState::parse("lost"), None);
    }

    #[test]
    fn only_what_may_pass_is_tried_again_and_not_for_ever() {
        use DeliveryState::{Delivered, Failed, Waiting};
        for (ending, first, last) in [
            (Ending::Answered(200), Delivered, Delivered),
            (Ending::Answered(204), Delivered, Delivered),
            (Ending::Answered(301), Failed, Failed),
            (Ending::Answered(400), Failed, Failed),
            (Ending::Answered(404), Failed, Failed),
            (Ending::Answered(429), Waiting, Failed),
            (Ending::Answered(500), Waiting, Failed),
            (Ending::Answered(503), Waiting, Failed),
            (Ending::Unreached, Waiting, Failed),
            (Ending::Refused, Failed, Failed),
        ] {
            assert_eq!(after_attempt(1, ending), first, "{ending:?}");
            assert_eq!(after_attempt(MAX_ATTEMPTS, ending), last, "{ending:?}");
        }
    }

    #[test]
    fn pauses_grow_to_an_hour_and_are_shortened_by_chance() {
        let seconds = |attempts, chance| retry_delay(attempts, chance, None).as_secs();
        let pauses: Vec<u64> = (1..MAX_ATTEMPTS).map(|attempts| seconds(attempts, 0.0)).collect();
        assert_eq!(pauses, [2, 8, 32, 128, 512, 2048, 3600]);
        assert_eq!((seconds(3, 1.0), seconds(3, 0.5)), (16, 24));
        assert_eq!(seconds(i32::MAX, 0.0), 3600);
        let asked = |seconds| retry_delay(1, 0.0, Some(Duration::from_secs(seconds))).as_secs();
        assert_eq!((asked(1), asked(60), asked(1_000_000)), (2, 60, 3600));
    }
}
