//! What is hashed of an event, and the hash of an entry.

use crate::{Hash, canonical};
use chrono::{DateTime, Utc};
use domain::{
    audit::Actor,
    id::{AuditEventId, WorkspaceId},
};
use serde::Serialize;
use serde_json::Value;

/// An event as it is hashed. Apart from `domain::audit::AuditEvent`, which may get other fields: this form is for ever, and a
/// field that is added is left out where it says nothing. Sorts of objects are texts here, so that no version stumbles over
/// one that it does not know.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// The event.
    pub id: AuditEventId,
    /// When, to the microsecond: as the database keeps it.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// What was done.
    pub action: String,
    /// To what.
    pub object: Object,
    /// What else it concerns, as it was written.
    pub related: Value,
    /// One sentence.
    pub summary: String,
    /// Facts by name.
    pub details: Value,
    /// The request that caused it.
    pub request_id: Option<String>,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Object {
    /// Its sort.
    pub kind: String,
    /// Its identifier.
    pub id: String,
    /// What people called it.
    pub name: String,
}

impl Event {
    /// Its canonical JSON: what its digest is the SHA-256 of, and what a bundle holds, byte for byte.
    ///
    /// # Errors
    /// When a fact of it has no JSON form.
    pub fn bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        canonical(self)
    }
}

/// The hash of the entry with this number: SHA-256 of the canonical JSON of what comes in. Of the event it takes the digest
/// alone, so that a chain can be followed over events that are not shown.
#[must_use]
pub fn entry_hash(workspace: Option<WorkspaceId>, seq: i64, prev: &Hash, event: &Hash) -> Hash {
    let workspace = workspace.map_or_else(|| "null".to_owned(), |id| format!("\"{id}\""));
    Hash::of(format!(r#"{{"event":"{event}","prev":"{prev}","seq":{seq},"workspace":{workspace}}}"#).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_entry_is_the_hash_of_canonical_json() {
        let (workspace, event) = (WorkspaceId::new(), Hash::of(b"an event"));
        for seq in [1, 9_007_199_254_740_991] {
            for workspace in [Some(workspace), None] {
                let value = json!({ "workspace": workspace, "seq": seq, "prev": Hash::ZERO, "event": event });
                assert_eq!(entry_hash(workspace, seq, &Hash::ZERO, &event), Hash::of(&canonical(&value).unwrap()));
            }
        }
    }

    #[test]
    fn the_form_of_an_event_is_for_ever() {
        let event = Event {
            id: "0193f0c2-0000-7000-8000-000000000001".parse().unwrap(),
            at: "2026-11-26T09:05:00.123400Z".parse().unwrap(),
            actor: Actor::User {
                id: "0193f0c2-0000-7000-8000-000000000002".parse().unwrap(),
                name: "Ä \"b\"\n".to_owned(),
                is_service: false,
            },
            action: "promotion.approved".to_owned(),
            object: Object { kind: "promotion".to_owned(), id: "7".to_owned(), name: "#7".to_owned() },
            related: json!([{ "kind": "model", "id": "8", "name": "churn" }]),
            summary: "approved churn v7".to_owned(),
            details: json!({ "b": 0.0001, "a": 1e30, "n": null, "i": 12 }),
            request_id: None,
        };
        // Another text here would mean that every hash there is no longer fits.
        assert_eq!(
            String::from_utf8(event.bytes().unwrap()).unwrap(),
            r##"{"action":"promotion.approved","actor":{"id":"0193f0c2-0000-7000-8000-000000000002","is_service":false,"kind":"user","name":"Ä \"b\"\n"},"at":"2026-11-26T09:05:00.123400Z","details":{"a":1e+30,"b":0.0001,"i":12,"n":null},"id":"0193f0c2-0000-7000-8000-000000000001","object":{"id":"7","kind":"promotion","name":"#7"},"related":[{"id":"8","kind":"model","name":"churn"}],"request_id":null,"summary":"approved churn v7"}"##
        );
    }
}
