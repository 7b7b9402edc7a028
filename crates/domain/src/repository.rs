//! Where people read the code of a run: addresses of the hosts that repositories are on. Nothing here is opened by the server.

use url::Url;

/// The tag of a run that names the repository of its code.
pub const REPOSITORY_TAG: &str = "mlflow.source.git.repoURL";

/// The page of a repository's host that shows what is different between two commits; none where the address is none of a
/// host's, or a commit is none. What MLflow writes is understood: `https://host/owner/name.git` and `git@host:owner/name.git`.
#[must_use]
pub fn compare(repository: &str, before: &str, after: &str) -> Option<String> {
    let is_commit = |text: &str| (7..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit());
    if !is_commit(before) || !is_commit(after) {
        return None;
    }
    let text = repository.trim();
    let url = match text.strip_prefix("git@").and_then(|rest| rest.split_once(':')) {
        Some((host, path)) => Url::parse(&format!("https://{host}/{path}")),
        None => Url::parse(&text.replacen("ssh://", "https://", 1)),
    };
    let url = url.ok().filter(|url| url.scheme() == "https")?;
    let host = url.host_str()?;
    let path = url.path().trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    if !path.contains('/') {
        return None;
    }
    // A name or password that stands in the address is left out, and so is the port of ssh.
    let port = url.port().filter(|_| text.starts_with("https://")).map_or_else(String::new, |port| format!(":{port}"));
    let base = format!("https://{host}{port}/{path}");
    Some(match host {
        host if host.contains("gitlab") => format!("{base}/-/compare/{before}...{after}"),
        "bitbucket.org" => format!("{base}/branches/compare/{after}%0D{before}"),
        _ => format!("{base}/compare/{before}...{after}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_shows_what_changed_between_two_commits() {
        let (a, b) = ("9f03a71c", "17be20d4");
        for (repository, wanted) in [
            ("https://github.com/acme/churn", Some("https://github.com/acme/churn/compare/9f03a71c...17be20d4")),
            ("https://github.com/acme/churn.git", Some("https://github.com/acme/churn/compare/9f03a71c...17be20d4")),
            ("git@github.com:acme/churn.git", Some("https://github.com/acme/churn/compare/9f03a71c...17be20d4")),
            (
                "https://token:x@git.example.com:8443/a/b",
                Some("https://git.example.com:8443/a/b/compare/9f03a71c...17be20d4"),
            ),
            ("ssh://git@git.example.com:2222/a/b.git", Some("https://git.example.com/a/b/compare/9f03a71c...17be20d4")),
            ("https://gitlab.com/a/b/c.git", Some("https://gitlab.com/a/b/c/-/compare/9f03a71c...17be20d4")),
            ("https://bitbucket.org/a/b", Some("https://bitbucket.org/a/b/branches/compare/17be20d4%0D9f03a71c")),
            ("javascript:alert(1)/a", None),
            ("http://github.com/acme/churn", None),
            ("/home/me/churn", None),
            ("https://github.com/acme", None),
            ("", None),
        ] {
            assert_eq!(compare(repository, a, b).as_deref(), wanted, "{repository}");
        }
        assert_eq!(compare("https://github.com/acme/churn", "main", b), None);
        assert_eq!(compare("https://github.com/acme/churn", a, "../../x"), None);
    }
}
