//! E-mail: what people are written, of what, and in which words. A message says what happened and where to look; it decides
//! nothing, and nothing in it does.

use crate::{
    error::Error,
    id::{CommentId, MailId, OverrideId, UserId},
    permission::UnknownName,
    promotion::{OverrideKind, Promotion, PromotionState},
    prose::{capitalised, minute, sentence},
    step_approval::{ApprovalState, StepApproval},
    webhook::DeliveryState,
};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, str::FromStr};

/// What somebody may be written of. Each can be turned off by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// Something waits for them: a decision, or the review of an override.
    Waiting,
    /// What they requested went on: it is live, has ended, expires soon, or somebody asks for changes.
    Requested,
    /// Somebody mentioned them.
    Mentioned,
}

impl MailKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Requested, Self::Mentioned];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Requested => "requested",
            Self::Mentioned => "mentioned",
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Waiting => "A promotion, a step of a pipeline or a review waits for me, or is about to expire",
            Self::Requested => {
                "A promotion of mine is live, has ended, or is to be changed; a step of a run of mine was decided on"
            }
            Self::Mentioned => "Somebody mentions me in a discussion",
        }
    }
}

impl FromStr for MailKind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, Self::ALL.map(Self::as_str)))
    }
}

/// The kinds that are left when these are turned off.
#[must_use]
pub fn without(off: &BTreeSet<MailKind>) -> BTreeSet<MailKind> {
    MailKind::ALL.into_iter().filter(|kind| !off.contains(kind)).collect()
}

/// A message to one person, as administrators see it in the log: never more of it than its subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Mail {
    /// The message.
    pub id: MailId,
    /// To whom.
    pub user_id: UserId,
    /// Their name.
    pub user: String,
    /// The number of the promotion that it is about, when it is about one.
    pub promotion_number: Option<i64>,
    /// The number of the pipeline run that it is about, when it is about a step of one.
    pub run_number: Option<i64>,
    /// Of what.
    pub kind: MailKind,
    /// Its subject.
    pub subject: String,
    /// Where it stands. `delivered` says that the mail server took it, `dropped` that the person gets no such messages any
    /// more.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i32,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// When it is tried again, while it waits.
    pub next_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why the last try did not succeed.
    pub error: String,
}

/// Something that people are written of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment<'a> {
    /// People are asked to decide.
    Asked,
    /// Those who are asked have little time left.
    LastCall,
    /// The request of whoever made it expires soon.
    Expiring,
    /// Somebody asks for changes.
    ChangesRequested {
        /// Who, by name.
        by: &'a str,
        /// What they wrote.
        comment: &'a str,
        /// What tells two such wishes apart.
        key: &'a str,
    },
    /// It is live, or has ended.
    Reached,
    /// Somebody mentioned the person.
    Mentioned {
        /// Who, by name.
        by: &'a str,
        /// Where.
        comment: CommentId,
    },
    /// Gates or a freeze were set aside by two people, and somebody else is to look into it.
    Overridden {
        /// The override.
        id: OverrideId,
        /// What was set aside.
        kind: OverrideKind,
        /// Who asked for it, and who confirmed it, by name.
        by: (&'a str, &'a str),
        /// Why.
        reason: &'a str,
    },
    /// Nobody has, in time.
    ReviewOverdue {
        /// The override.
        id: OverrideId,
        /// What was set aside.
        kind: OverrideKind,
        /// The day on which people are reminded.
        day: NaiveDate,
    },
}

/// A message, before it is somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Of what.
    pub kind: MailKind,
    /// With the person and what it is about, what makes it one message: nobody gets two of one.
    pub moment: String,
    /// One line.
    pub subject: String,
    /// What happened: paragraphs with an empty line between them.
    pub body: String,
    /// Where on the page of what it is about: empty, or a fragment such as `#discussion`.
    pub fragment: String,
}

/// The most characters of a subject.
const MAX_SUBJECT: usize = 200;
/// The most characters of what somebody wrote that a message repeats.
const MAX_QUOTED: usize = 600;

impl Moment<'_> {
    /// What people are written.
    #[must_use]
    pub fn letter(&self, promotion: &Promotion) -> Letter {
        let title = promotion.title();
        let until = minute(promotion.expires_at);
        let asked =
            format!("{} asks for {} in {}.", promotion.requester, promotion.version_title(), promotion.environment);
        let (kind, moment, subject, paragraphs) = match *self {
            Self::Asked => (
                MailKind::Waiting,
                format!("asked:{}", promotion.subject_digest.as_ref().map(ToString::to_string).unwrap_or_default()),
                format!("Waits for you: {title}"),
                vec![
                    asked,
                    quoted("Why", &promotion.comment),
                    format!(
                        "It was checked by its gates, and a decision of yours counts. The request stands until {until}."
                    ),
                ],
            ),
            Self::LastCall => (
                MailKind::Waiting,
                "last_call".to_owned(),
                format!("Waits for you until {until}: {title}"),
                vec![asked, format!("The request expires on {until}, and nobody has to decide after that.")],
            ),
            Self::Expiring => (
                MailKind::Requested,
                "expiring".to_owned(),
                format!("Expires on {until}: {title}"),
                vec![format!(
                    "What you requested {} and expires on {until}. After that it can be requested again.",
                    promotion.state.describe()
                )],
            ),
            Self::ChangesRequested { by, comment, key } => (
                MailKind::Requested,
                format!("changes_requested:{key}"),
                format!("Changes requested: {title}"),
                vec![format!("{by} asks for changes to what you requested."), quoted("What they wrote", comment)],
            ),
            Self::Reached => (
                MailKind::Requested,
                format!("reached:{}", promotion.state.as_str()),
                format!("{}: {title}", reached(promotion.state)),
                vec![
                    format!("What you requested {}.", promotion.state.describe()),
                    cut(&sentence(&promotion.state_reason)),
                ],
            ),
            // Not what they wrote: who deletes a comment is to be rid of it.
            Self::Mentioned { by, comment } => (
                MailKind::Mentioned,
                format!("mentioned:{comment}"),
                format!("{by} mentioned you: {title}"),
                vec![format!("{by} mentioned you in the discussion of {title}, which {}.", promotion.state.describe())],
            ),
            Self::Overridden { id, kind, by: (opener, confirmer), reason } => (
                MailKind::Waiting,
                format!("overridden:{id}"),
                format!("Glass was broken, review it: {title}"),
                vec![
                    format!("{opener} and {confirmer} set {} aside for {title}.", noun(kind)),
                    quoted("Why", reason),
                    "Somebody who was no part of it says on the page whether that was right. You may.".to_owned(),
                ],
            ),
            Self::ReviewOverdue { id, kind, day } => (
                MailKind::Waiting,
                format!("review_overdue:{id}:{day}"),
                format!("Review overdue: {title}"),
                vec![format!(
                    "That {} was set aside for {title} still awaits its review. You may give it.",
                    noun(kind)
                )],
            ),
        };
        let fragment = match self {
            Self::Mentioned { comment, .. } => format!("#comment-{comment}"),
            _ => String::new(),
        };
        let paragraphs: Vec<String> =
            paragraphs.iter().map(|text| printed(text)).filter(|text| !text.is_empty()).collect();
        Letter { kind, moment, subject: one_line(&subject), body: paragraphs.join("\n\n"), fragment }
    }
}

/// What people are written of a step of a pipeline: they are asked to decide, or, as those who started the run, it has ended.
#[must_use]
pub fn letter_of_step(approval: &StepApproval) -> Letter {
    let title = approval.title();
    let (kind, subject, paragraphs) = match approval.state {
        ApprovalState::AwaitingApproval => (
            MailKind::Waiting,
            format!("Waits for you: {title}"),
            vec![
                format!("{title} asks for approval; {} started the run.", approval.requester),
                quoted("What it is for", &approval.description),
                format!(
                    "A decision of yours counts. It stands until {}; then the step fails.",
                    minute(approval.expires_at)
                ),
            ],
        ),
        state => (
            MailKind::Requested,
            format!("{}: {title}", capitalised(state.as_str())),
            vec![
                format!("{title}, of a run that you started, {}.", state.describe()),
                cut(&sentence(&approval.state_reason)),
            ],
        ),
    };
    let paragraphs: Vec<String> = paragraphs.iter().map(|text| printed(text)).filter(|text| !text.is_empty()).collect();
    let moment = approval.state.as_str().to_owned();
    Letter { kind, moment, subject: one_line(&subject), body: paragraphs.join("\n\n"), fragment: String::new() }
}

fn noun(kind: OverrideKind) -> &'static str {
    match kind {
        OverrideKind::Gates => "its gates",
        OverrideKind::Freeze => "a freeze",
    }
}

/// A state that is reached, as a subject begins.
fn reached(state: PromotionState) -> &'static str {
    match state {
        PromotionState::Live => "Live",
        PromotionState::Rejected => "Rejected",
        PromotionState::Expired => "Expired",
        PromotionState::Withdrawn => "Withdrawn",
        PromotionState::Invalidated => "Invalidated",
        PromotionState::Superseded => "Superseded",
        PromotionState::Aborted => "Given up",
        PromotionState::RolledBack => "Rolled back",
        _ => "On its way",
    }
}

/// What somebody wrote, after what it is; nothing when they wrote nothing.
fn quoted(what: &str, text: &str) -> String {
    let text = cut(text);
    if text.is_empty() { text } else { format!("{what}: {text}") }
}

/// A text without what is not printed.
fn printed(text: &str) -> String {
    text.trim().chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

/// The beginning of a text.
fn cut(text: &str) -> String {
    let text = printed(text);
    match text.char_indices().nth(MAX_QUOTED) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text,
    }
}

/// A text as one line of a header: what ends a line or is not printed becomes a space, so that no name of anything adds a
/// header to a message.
#[must_use]
pub fn one_line(text: &str) -> String {
    let flat: String = text.chars().map(|c| if breaks(c) { ' ' } else { c }).collect();
    let flat = flat.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.char_indices().nth(MAX_SUBJECT) {
        Some((at, _)) => format!("{}…", flat[..at].trim_end()),
        None => flat,
    }
}

/// Whether a character ends a line, or turns the direction of what follows.
fn breaks(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A message as it is sent: its text, and the same as HTML.
#[must_use]
pub fn written(body: &str, page: &str, settings: &str) -> (String, String) {
    const LOOK: &str = "Look at it";
    const NOTHING: &str = "This message decides nothing: whoever decides does so on the page.";
    const WHICH: &str = "Which messages you get";
    let text = format!("{body}\n\n{LOOK}:\n{page}\n\n-- \n{NOTHING}\n{WHICH}: {settings}\n");
    let mut html = String::from("<!doctype html><html><body style=\"font-family:sans-serif\">");
    for paragraph in body.split("\n\n") {
        html += &format!("<p>{}</p>", escaped(paragraph).replace('\n', "<br>"));
    }
    html += &format!("<p><a href=\"{}\">{LOOK}</a></p>", escaped(page));
    html +=
        &format!("<p style=\"color:#666\"><small>{NOTHING} <a href=\"{}\">{WHICH}</a>.</small></p>", escaped(settings));
    html += "</body></html>";
    (text, html)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// Reads kinds by their names.
///
/// # Errors
/// `Invalid` of the field `mail`, for a name that is none.
pub fn parse_kinds<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<BTreeSet<MailKind>, Error> {
    let kinds: Result<_, UnknownName> = names.into_iter().map(str::parse).collect();
    kinds.map_err(|error| Error::invalid_field("mail", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{EnvironmentId, ModelVersionId, PromotionId, WorkspaceId};

    fn promotion(model: &str, state: PromotionState) -> Promotion {
        Promotion {
            id: PromotionId::new(),
            workspace_id: WorkspaceId::new(),
            number: 7,
            model_version_id: ModelVersionId::new(),
            model: model.to_owned(),
            version: 3,
            environment_id: EnvironmentId::new(),
            environment: "production".to_owned(),
            state,
            state_reason: "Ada said no: too slow".to_owned(),
            requested_by: None,
            on_behalf_of: None,
            requester: "Grace".to_owned(),
            comment: "For the <b>spring</b>.".to_owned(),
            subject: None,
            subject_digest: None,
            expires_at: DateTime::UNIX_EPOCH,
            approved_at: None,
            again: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn moments() -> Vec<Moment<'static>> {
        let (id, comment) = (OverrideId::new(), CommentId::new());
        vec![
            Moment::Asked,
            Moment::LastCall,
            Moment::Expiring,
            Moment::ChangesRequested { by: "Ada\r\nBcc: all@example.com", comment: "More.\0", key: "1" },
            Moment::Reached,
            Moment::Mentioned { by: "Ada", comment },
            Moment::Overridden { id, kind: OverrideKind::Gates, by: ("Ada", "Alan"), reason: "It burns." },
            Moment::ReviewOverdue { id, kind: OverrideKind::Freeze, day: NaiveDate::default() },
        ]
    }

    #[test]
    fn a_subject_names_model_version_and_environment_in_one_line_whatever_they_are_called() {
        for model in ["churn", "churn\r\nBcc: all@example.com\r\n", "a\u{2028}b\u{202e}c", &"x".repeat(5000)] {
            for moment in moments() {
                let letter = moment.letter(&promotion(model, PromotionState::Rejected));
                assert!(!letter.subject.chars().any(breaks), "{:?}", letter.subject);
                assert!(letter.subject.chars().count() <= MAX_SUBJECT + 1);
                assert!(!letter.body.contains(['\r', '\0']) && !letter.body.is_empty(), "{:?}", letter.body);
                if model == "churn" {
                    assert!(letter.subject.ends_with("churn v3 → production"), "{}", letter.subject);
                }
            }
        }
    }

    #[test]
    fn no_two_moments_are_one_message() {
        let promotion = promotion("churn", PromotionState::Live);
        let keys: BTreeSet<String> = moments().iter().map(|moment| moment.letter(&promotion).moment).collect();
        assert_eq!(keys.len(), moments().len());
    }

    #[test]
    fn html_holds_what_people_wrote_as_text_and_one_link_to_the_page() {
        let letter = Moment::Asked.letter(&promotion("churn", PromotionState::AwaitingApproval));
        let (text, html) = written(&letter.body, "https://x.test/w/a/promotions/7?a=1&b=2", "https://x.test/s");
        assert!(
            text.contains("For the <b>spring</b>.") && text.contains("\nhttps://x.test/w/a/promotions/7?a=1&b=2\n")
        );
        assert!(html.contains("For the &lt;b&gt;spring&lt;/b&gt;."), "{html}");
        assert!(html.contains("href=\"https://x.test/w/a/promotions/7?a=1&amp;b=2\""), "{html}");
        assert_eq!((html.matches("<a ").count(), html.matches("<form").count()), (2, 0));
    }

    #[test]
    fn kinds_read_back_and_a_name_that_is_none_is_refused() {
        let all = MailKind::ALL.map(MailKind::as_str);
        assert_eq!(parse_kinds(all).unwrap(), MailKind::ALL.into());
        assert_eq!(parse_kinds(["all"]).unwrap_err().field.as_deref(), Some("mail"));
        assert_eq!(without(&[MailKind::Waiting].into()), [MailKind::Requested, MailKind::Mentioned].into());
    }
}
