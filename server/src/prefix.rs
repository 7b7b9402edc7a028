//! `/w/<slug>` in front of any address names the workspace. It is taken off before routing, so that each route is
//! written once; without it, the token's or the person's default workspace is meant.

use axum::{
    extract::Request,
    http::{Uri, uri::PathAndQuery},
};

/// The workspace that an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceSlug(pub String);

/// The address as the client sent it: path and query, with the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentAddress(pub String);

/// Takes the prefix off, and remembers it.
#[must_use]
pub fn strip(mut request: Request) -> Request {
    let sent = SentAddress(request.uri().to_string());
    request.extensions_mut().insert(sent);
    if let Some((slug, uri)) = split(request.uri()) {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(WorkspaceSlug(slug));
    }
    request
}

fn split(uri: &Uri) -> Option<(String, Uri)> {
    let rest = uri.path().strip_prefix("/w/")?;
    let (slug, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    if slug.is_empty() {
        return None;
    }
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Some((slug.to_owned(), Uri::from_parts(parts).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_taken_off_and_the_query_kept() {
        let (slug, uri) = split(&"/w/wine-lab/api/2.0/mlflow/runs/get?run_id=1".parse().unwrap()).unwrap();
        assert_eq!((slug.as_str(), uri.to_string().as_str()), ("wine-lab", "/api/2.0/mlflow/runs/get?run_id=1"));
    }

    #[test]
    fn the_workspace_alone_is_its_home() {
        assert_eq!(split(&"/w/wine-lab".parse().unwrap()).unwrap().1.path(), "/");
        assert_eq!(split(&"/w/wine-lab/".parse().unwrap()).unwrap().1.path(), "/");
    }

    #[test]
    fn other_addresses_are_left_alone() {
        for path in ["/", "/w", "/w/", "/api/v1/models", "/www/x"] {
            assert_eq!(split(&path.parse().unwrap()), None, "{path}");
        }
    }
}
