//! What something outside answers, later.

use super::{Finding, Verdict};
use crate::{duration::Span, promotion::Uploaded};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The evidence that an answer is kept as: this before the gate's name. Nobody uploads evidence of such a name by hand.
pub const PREFIX: &str = "gate/";

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Answer {
    /// Whether it passes: `pass`, `fail` or `inconclusive`.
    pub verdict: Verdict,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Where more of it stands: shown, and never opened here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// What was asked outside and is not answered yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Asked {
    /// What is asked.
    pub name: String,
    /// The policies that ask it.
    pub policies: Vec<String>,
    /// Whether the answer decides nothing.
    pub advisory: bool,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// Until when an answer is waited for.
    pub answer_by: DateTime<Utc>,
}

/// When an answer comes too late.
#[must_use]
pub fn answer_by(asked_at: DateTime<Utc>, timeout: Span) -> DateTime<Utc> {
    asked_at + timeout.delta()
}

/// The answer to an asking of that moment, when it came in time. An answer to an earlier asking is none.
#[must_use]
pub fn answer(uploaded: &Uploaded, asked_at: DateTime<Utc>, timeout: Span) -> Option<Answer> {
    let in_time = asked_at <= uploaded.at && uploaded.at < answer_by(asked_at, timeout);
    serde_json::from_value(uploaded.content.clone()).ok().filter(|_| in_time)
}

/// What is found of a question that was asked at that moment: it waits, until it is answered or its time is over.
#[must_use]
pub fn external(
    name: &str,
    timeout: Span,
    asked_at: Option<DateTime<Utc>>,
    uploaded: Option<&Uploaded>,
    now: DateTime<Utc>,
) -> Finding {
    let limit = format!("answered within {timeout}");
    let Some(asked_at) = asked_at else {
        return Finding { limit, ..Finding::waiting(format!("{name} is asked next.")) };
    };
    let until = answer_by(asked_at, timeout);
    match uploaded.and_then(|uploaded| Some((answer(uploaded, asked_at, timeout)?, uploaded))) {
        Some((answer, uploaded)) if answer.verdict != Verdict::Pending => {
            let said = match answer.verdict {
                Verdict::Pass => "passes",
                Verdict::Fail => "does not pass",
                _ => "cannot tell",
            };
            let comment = answer.comment.trim();
            let reason = match comment.is_empty() {
                true => format!("{} answered that it {said}.", uploaded.uploader),
                false => format!("{} answered that it {said}: {comment}", uploaded.uploader),
            };
            Finding {
                verdict: answer.verdict,
                measured: answer.verdict.as_str().to_owned(),
                limit,
                reason,
                evidence: json!({
                    "asked_at": asked_at, "answered_at": uploaded.at, "by": uploaded.uploader, "answer": answer,
                }),
            }
        }
        _ if until <= now => {
            let reason = format!("{name} did not answer within {timeout}. Run the gates again to ask it again.");
            Finding::inconclusive(limit, reason).with(json!({ "asked_at": asked_at, "answer_by": until }))
        }
        _ => {
            let reason = format!("Waits for {name}, until {}.", crate::prose::minute(until));
            Finding { limit, ..Finding::waiting(reason) }.with(json!({ "asked_at": asked_at, "answer_by": until }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        digest::Digest,
        id::EvidenceId,
        promotion::Verdict::{Fail, Inconclusive, Pass, Pending},
    };

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + minute * 60, 0).unwrap()
    }

    fn uploaded(minute: i64, content: serde_json::Value) -> Uploaded {
        Uploaded {
            id: EvidenceId::new(),
            name: "gate/scan".to_owned(),
            digest: Digest::of_json(&content).unwrap(),
            content,
            uploaded_by: None,
            uploader: "scanner".to_owned(),
            at: at(minute),
        }
    }

    #[test]
    fn it_waits_for_an_answer_to_this_asking_until_its_time_is_over() {
        let pass = || json!({ "verdict": "pass" });
        for (asked, answer, now, verdict) in [
            (None, None, 5, Pending),
            (Some(0), None, 5, Pending),
            (Some(0), None, 10, Inconclusive),
            (Some(0), Some(uploaded(3, pass())), 5, Pass),
            (Some(0), Some(uploaded(3, pass())), 500, Pass),
            (Some(0), Some(uploaded(3, json!({ "verdict": "fail", "comment": "CVE" }))), 5, Fail),
            (Some(0), Some(uploaded(3, json!({ "verdict": "inconclusive" }))), 5, Inconclusive),
            // An answer to the asking before, one that came too late, and what is none.
            (Some(4), Some(uploaded(3, pass())), 5, Pending),
            (Some(0), Some(uploaded(10, pass())), 11, Inconclusive),
            (Some(0), Some(uploaded(3, json!({ "verdict": "maybe" }))), 5, Pending),
            (Some(0), Some(uploaded(3, json!({ "verdict": "pending" }))), 5, Pending),
            (Some(0), Some(uploaded(3, json!(7))), 10, Inconclusive),
        ] {
            let found = external("scan", Span::of_seconds(600), asked.map(at), answer.as_ref(), at(now));
            assert_eq!(found.verdict, verdict, "asked {asked:?}, {answer:?}, now {now}");
        }
    }
}
