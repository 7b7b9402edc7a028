//! What a chat is told: one sentence and a link, in the one field that the incoming webhooks of Slack, Mattermost, Microsoft
//! Teams and their like have in common.

use super::WebhookEvent;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of a delivery to a chat, while it waits. Where it leads is a path until it is sent: see [`finished`].
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    text: String,
    path: String,
}

/// The body as it is sent.
#[derive(Debug, Serialize)]
struct Sent {
    text: String,
}

/// How the body of a chat begins, and no other.
const BEGINNING: &str = "{\"text\":";

/// The most characters of a name that a sentence repeats.
const MAX_NAME: usize = 120;

/// What is said of an event, as the body of a delivery.
///
/// # Errors
/// Never, as a text has a JSON form.
pub fn waiting(event: WebhookEvent, data: &Value) -> serde_json::Result<String> {
    let path = data.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
    serde_json::to_string(&Waiting { text: sentence(event, data), path })
}

/// The body of a chat as it is sent, with the link at its end; none for a body that is no chat's. Without the server's
/// address the link is a path.
pub(super) fn finished(body: &str, base: &str) -> Option<String> {
    if !body.starts_with(BEGINNING) {
        return None;
    }
    let Waiting { mut text, path } = serde_json::from_str(body).ok()?;
    if !path.is_empty() {
        text += &format!(" {base}{path}");
    }
    serde_json::to_string(&Sent { text }).ok()
}

/// `A promotion is live: churn v7 → production.`
fn sentence(event: WebhookEvent, data: &Value) -> String {
    let field = |name: &str| data.get(name).and_then(Value::as_str).map(quiet).unwrap_or_default();
    let what = match (event, field("name"), field("version")) {
        (WebhookEvent::Promotion(_) | WebhookEvent::Step(_), ..) => field("title"),
        (_, name, version) if version.is_empty() => name,
        (_, name, version) => format!("{name} v{version}"),
    };
    let by = match event {
        WebhookEvent::Promotion(_) if !field("by").is_empty() => format!(", by {}", field("by")),
        _ => String::new(),
    };
    let what = if what.is_empty() { what } else { format!(": {what}") };
    format!("{}{what}{by}.", event.describe())
}

/// A name that addresses nobody and is no link: what chats give a meaning to stands there as a letter that looks like it.
fn quiet(name: &str) -> String {
    name.chars()
        .take(MAX_NAME)
        .map(|c| match c {
            '<' => '‹',
            '>' => '›',
            '@' => '＠',
            '[' => '［',
            ']' => '］',
            '&' => '＆',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::{PromotionEvent, completed};
    use serde_json::json;

    fn sent(event: WebhookEvent, data: &Value, base: &str) -> Value {
        serde_json::from_str(&completed(&waiting(event, data).unwrap(), base).unwrap()).unwrap()
    }

    #[test]
    fn a_chat_is_told_one_sentence_with_a_link_and_nothing_else() {
        let live = WebhookEvent::Promotion(PromotionEvent::Live);
        let data = json!({ "title": "churn v7 → production", "url": "/w/lab/promotions/87", "comment": "secret" });
        let text = "A promotion is live: churn v7 → production. https://slipway.example/w/lab/promotions/87";
        assert_eq!(sent(live, &data, "https://slipway.example"), json!({ "text": text }));
        assert_eq!(
            sent(live, &data, ""),
            json!({ "text": "A promotion is live: churn v7 → production. /w/lab/promotions/87" })
        );
        let approved = WebhookEvent::Promotion(PromotionEvent::Approved);
        let data = json!({ "title": "churn v7 → production", "by": "Ada", "url": "/p" });
        assert_eq!(
            sent(approved, &data, "http://s"),
            json!({ "text": "Somebody approves a promotion: churn v7 → production, by Ada. http://s/p" })
        );
        let version = json!({ "name": "churn", "version": "7" });
        assert_eq!(
            sent(WebhookEvent::ModelVersionCreated, &version, "http://s"),
            json!({ "text": "A version is registered: churn v7." })
        );
        for event in WebhookEvent::ALL {
            assert!(sent(event, &event.example(), "http://s")["text"].as_str().unwrap().contains('.'), "{event}");
        }
    }

    #[test]
    fn no_name_calls_a_channel_or_makes_a_link() {
        let data = json!({ "name": "<!channel> @here [x](y)\n", "version": "1" });
        let text = sent(WebhookEvent::ModelVersionCreated, &data, "")["text"].as_str().unwrap().to_owned();
        assert!(!text.contains(['<', '>', '@', '[', ']', '\n']), "{text}");
    }
}
