//! The image of a container: found, fetched when it is not there, and pinned. A tag may be moved while a step waits for
//! another try; what runs is recorded by digest.

use crate::{DockerExecutor, failed, status};
use bollard::{models::ImageInspect, query_parameters::CreateImageOptionsBuilder};
use executors::Error;
use futures::StreamExt as _;

/// An image that is there.
pub(crate) struct Pinned {
    /// What names its content on this engine.
    pub(crate) id: String,
    /// What names it everywhere, for the record: `repository@sha256:…`, or its id when it never was in a registry.
    pub(crate) digest: String,
}

/// Finds the image, or says to its author why there is none.
pub(crate) async fn pin(executor: &DockerExecutor, image: &str) -> Result<Result<Pinned, String>, Error> {
    if let Some(found) = inspect(executor, image).await? {
        return Ok(Ok(found));
    }
    // Without a tag the engine would fetch all of them.
    let name = image.rsplit('/').next().unwrap_or_default();
    let wanted = if name.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") };
    let options = CreateImageOptionsBuilder::default().from_image(&wanted).build();
    let mut fetching = std::pin::pin!(executor.engine().await?.create_image(Some(options), None, None));
    while let Some(progress) = fetching.next().await {
        match progress {
            Ok(_) => {}
            Err(error) if matches!(status(&error), Some(400 | 401 | 403 | 404)) => {
                return Ok(Err(format!("The image \"{image}\" is not there and cannot be fetched: {}.", said(&error))));
            }
            Err(bollard::errors::Error::DockerStreamError { error }) if is_final(&error) => {
                return Ok(Err(format!("The image \"{image}\" cannot be fetched: {error}.")));
            }
            Err(error) => return Err(failed(&format!("the image \"{image}\" could not be fetched"), error)),
        }
    }
    match inspect(executor, image).await? {
        Some(found) => Ok(Ok(found)),
        None => Ok(Err(format!("The image \"{image}\" was fetched and is not there."))),
    }
}

/// Whether a registry would answer the same again.
fn is_final(error: &str) -> bool {
    ["not found", "denied", "manifest unknown", "no matching manifest", "unauthorized"]
        .iter()
        .any(|word| error.contains(word))
}

/// The engine's own words.
pub(crate) fn said(error: &bollard::errors::Error) -> String {
    let text = match error {
        bollard::errors::Error::DockerResponseServerError { message, .. } => message.clone(),
        other => other.to_string(),
    };
    text.trim().trim_end_matches('.').to_owned()
}

async fn inspect(executor: &DockerExecutor, image: &str) -> Result<Option<Pinned>, Error> {
    match executor.engine().await?.inspect_image(image).await {
        Ok(found) => Ok(pinned(image, found)),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) if status(&error) == Some(400) => Ok(None),
        Err(error) => Err(failed(&format!("the image \"{image}\" could not be looked for"), error)),
    }
}

fn pinned(image: &str, found: ImageInspect) -> Option<Pinned> {
    let id = found.id?;
    let digests = found.repo_digests.unwrap_or_default();
    let repository = repository(image);
    // One image may have come from several places.
    let of_this = digests.iter().find(|digest| digest.split('@').next() == Some(repository));
    let digest = of_this.or(digests.first()).cloned().unwrap_or_else(|| format!("{repository} {id}"));
    Some(Pinned { id, digest })
}

/// The name without its tag or digest. The colon of a registry's port is none of a tag.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(repository("registry:5000/team/train:1.2"), "registry:5000/team/train");
        assert_eq!(repository("registry:5000/team/train"), "registry:5000/team/train");
        assert_eq!(repository("train@sha256:abc"), "train");
    }

    #[test]
    fn the_digest_of_the_registry_that_was_named_is_recorded() {
        let found = ImageInspect {
            id: Some("sha256:1".to_owned()),
            repo_digests: Some(vec!["other/train@sha256:2".to_owned(), "team/train@sha256:3".to_owned()]),
            ..ImageInspect::default()
        };
        assert_eq!(
            pinned("team/train:1", found.clone()).map(|pinned| pinned.digest).as_deref(),
            Some("team/train@sha256:3")
        );
        let local = ImageInspect { repo_digests: None, ..found };
        assert_eq!(pinned("train:1", local).map(|pinned| pinned.digest).as_deref(), Some("train sha256:1"));
    }
}
