//! What changed, for open pages: server-sent events with the topics that changed. One listener a process; the page
//! fetches what it needs.
//!
//! Whether somebody may listen is asked when they come. So a stream ends after a while, and whoever still may comes
//! back.

use crate::{
    access::{Access, Context},
    error::ApiError,
    extract::Query,
    router::Routes,
    state::AppState,
};
use axum::{
    extract::State,
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use domain::permission::Permission;
use futures::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use std::{convert::Infallible, sync::Arc, time::Duration};
use store::{PgPool, event::Listener};
use tokio::sync::broadcast::{self, error::RecvError};

/// The longest that a stream goes on: so long somebody is told of a workspace that they have left.
const LONGEST: Duration = Duration::from_secs(180);

/// An answer that tells events as they happen, for a few minutes at most.
pub(crate) fn answer(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> impl IntoResponse {
    Sse::new(at_most(LONGEST, events)).keep_alive(KeepAlive::default())
}

fn at_most<S: Stream>(longest: Duration, events: S) -> impl Stream<Item = S::Item> {
    events.take_until(tokio::time::sleep(longest))
}

/// Spreads what the database tells to all open pages of this process.
#[derive(Clone)]
pub struct Events {
    // None: something may have been missed, so that everything may have changed.
    sender: broadcast::Sender<Option<Arc<str>>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { sender: broadcast::channel(1024).0 }
    }
}

impl Events {
    /// What changes from now on: a topic, or none when anything may have changed.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Option<Arc<str>>> {
        self.sender.subscribe()
    }

    /// Tells the open pages of this process that something changed which the database does not know of.
    pub fn tell(&self, topic: &str) {
        // Nobody listening is no mistake.
        let _ = self.sender.send(Some(topic.into()));
    }

    /// Listens until the process ends; when the database goes away, until it is back.
    pub async fn listen(self, pool: PgPool) {
        loop {
            if let Err(error) = self.forward(&pool).await {
                tracing::warn!(%error, "not told of changes; trying again");
                let _ = self.sender.send(None);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn forward(&self, pool: &PgPool) -> store::Result<()> {
        let mut listener = Listener::open(pool).await?;
        let _ = self.sender.send(None);
        loop {
            let topic = listener.next().await?;
            // Nobody listening is no mistake.
            let _ = self.sender.send(topic.map(Arc::from));
        }
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.stream("/events", Access::Needs(Permission::Read), changes)
}

#[derive(Deserialize)]
struct Topics {
    /// Separated by commas: `promotion:<id>,pipeline_run:<id>`.
    topic: String,
}

/// Sends an event for each change of one of the topics. The topics carry no content, so that nobody learns anything of
/// an object by guessing its id.
async fn changes(
    State(state): State<AppState>,
    Context(_): Context,
    Query(query): Query<Topics>,
) -> Result<impl IntoResponse, ApiError> {
    let topics: Vec<String> = query.topic.split(',').map(ToOwned::to_owned).collect();
    if topics.len() > 50 {
        return Err(domain::Error::invalid_field("topic", "Ask for at most 50 topics.").into());
    }
    let changes = stream::unfold((state.events.subscribe(), topics), |(mut receiver, topics)| async {
        loop {
            let topic = match receiver.recv().await {
                Ok(Some(topic)) if !topics.iter().any(|wanted| **wanted == *topic) => continue,
                Ok(Some(topic)) => topic.to_string(),
                Ok(None) | Err(RecvError::Lagged(_)) => "*".to_owned(),
                Err(RecvError::Closed) => return None,
            };
            return Some((Ok::<_, Infallible>(Event::default().event("change").data(topic)), (receiver, topics)));
        }
    });
    Ok(answer(changes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_ends_though_nothing_happens() {
        let mut events = std::pin::pin!(at_most(Duration::ZERO, stream::pending::<()>()));
        assert_eq!(events.next().await, None);
    }
}
