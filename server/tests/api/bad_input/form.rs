//! Fields of forms with strange values.

use super::{DIGEST, FORM, NOBODY, PIPELINE, World, escaped};

#[tokio::test]
async fn a_field_of_a_form_with_a_strange_value_is_refused() {
    let world = World::start().await;
    let source = format!("runs:/{}/model", world.run);
    let forms: [(&str, &[(&str, &str)]); 40] = [
        (
            "/settings/members",
            &[("email", "a@slipway.test"), ("name", "A"), ("password", "correct horse"), ("roles", "viewer")],
        ),
        ("/settings/members/{id}", &[("do", "save"), ("roles", "viewer")]),
        ("/settings/tokens", &[("name", "t"), ("scope", "read"), ("days", "1")]),
        ("/settings/workspaces", &[("name", "Lab"), ("slug", "lab")]),
        (
            "/settings/webhooks",
            &[
                ("name", "ci"),
                ("url", "https://1.1.1.1/hook"),
                ("events", "model_version.created"),
                ("format", "chat"),
                ("description", "d"),
                ("secret", "s"),
            ],
        ),
        ("/settings/account", &[("present", "a"), ("password", "correct horse battery")]),
        ("/settings/mail", &[("mail", "waiting")]),
        ("/pipelines/new", &[("source", PIPELINE)]),
        ("/pipelines/{name}/edit", &[("source", PIPELINE)]),
        ("/pipelines/{name}/runs", &[("version", "1"), ("key", "k"), ("params.rate", "0.1")]),
        ("/pipeline-runs/{number}/rerun", &[("key", "k")]),
        ("/promotions", &[("subject", "churn/1"), ("environment", "production"), ("comment", "c")]),
        ("/promotions/{number}/decisions", &[("verdict", "approve"), ("subject_digest", DIGEST), ("comment", "c")]),
        ("/promotions/{number}/replay", &[("do", "replay"), ("rows", "500")]),
        ("/experiments/{id}/runs", &[("act", "tag"), ("run", NOBODY), ("key", "k"), ("value", "v"), ("back", "q=a")]),
        ("/experiments/{id}/selected", &[("act", "csv"), ("run", NOBODY), ("back", "q=a")]),
        (
            "/environments/{environment}/models/{model}/monitor/triggers",
            &[("pipeline", "train"), ("params", "rate=1"), ("enabled", "on"), ("cool_down", "1")],
        ),
        ("/environments/{environment}/models/{model}/rollback", &[("deployment", "1"), ("comment", "c")]),
        ("/datasets", &[("name", "wine"), ("description", "d")]),
        ("/datasets/{name}", &[("description", "d"), ("expectations", "[]")]),
        ("/models", &[("name", "wine"), ("description", "d")]),
        ("/models/{model}/aliases", &[("alias", "best"), ("version", "1")]),
        ("/runs/{run_id}/register", &[("source", &source), ("name", "wine"), ("description", "d")]),
        ("/experiments", &[("name", "n")]),
        ("/experiments/{id}", &[("do", "rename"), ("new_name", "n"), ("back", "q=a")]),
        ("/experiments/{id}", &[("do", "note"), ("note", "n"), ("back", "q=a")]),
        ("/runs/{run_id}", &[("do", "rename"), ("run_name", "n"), ("back", "tab=params")]),
        ("/runs/{run_id}", &[("do", "note"), ("note", "n"), ("back", "tab=params")]),
        ("/runs/{run_id}", &[("do", "tag"), ("key", "k"), ("value", "v"), ("back", "tab=params")]),
        ("/runs/{run_id}", &[("do", "untag"), ("key", "k"), ("back", "tab=params")]),
        ("/runs/{run_id}/comments", &[("text", "c")]),
        ("/models/{model}/versions/{version}/comments", &[("text", "c")]),
        ("/models/{model}/card", &[("text", "c"), ("instead_of", "1"), ("do", "save")]),
        (
            "/environments",
            &[
                ("name", "canary"),
                ("tier", "other"),
                ("position", "1"),
                ("wait_minutes", "5"),
                ("protected", "on"),
                ("visible_to", "viewer"),
            ],
        ),
        (
            "/environments/{environment}",
            &[
                ("do", "save"),
                ("tier", "production"),
                ("position", "2"),
                ("wait_minutes", "0"),
                ("visible_to", "viewer"),
            ],
        ),
        (
            "/freezes",
            &[
                ("name", "weekend"),
                ("kind", "deny"),
                ("repeats", "cron"),
                ("schedule/expression", "0 18 * * 5"),
                ("hours", "62"),
                ("schedule/timezone", "Europe/Berlin"),
                ("environments", "production"),
                ("tiers", "staging"),
                ("selector/models", "churn, wine-*"),
                ("reason", "r"),
            ],
        ),
        ("/settings/teams", &[("name", "ops"), ("description", "d")]),
        ("/settings/teams/{team}", &[("do", "add"), ("user", NOBODY)]),
        (
            "/settings/delegations",
            &[
                ("from", NOBODY),
                ("to", NOBODY),
                ("starts_at", "2100-12-24T18:00"),
                ("ends_at", "2100-12-25T18:00"),
                ("environments", "production"),
                ("scope/models", "churn"),
                ("reason", "r"),
            ],
        ),
        ("/sign-in", &[("email", "a@slipway.test"), ("password", "p"), ("next", "/")]),
    ];
    // These say nothing when they say something else: the form is then another's.
    let lenient = [
        "do",
        "next",
        "key",
        "version",
        "password",
        "present",
        "deployment",
        "enabled",
        "back",
        "protected",
        "repeats",
    ];
    let (mut all, mut nul) = (Vec::new(), Vec::new());
    for (path, fields) in forms {
        let route = world.table.iter().find(|route| route.method == "POST" && route.path == path).unwrap();
        let address = world.path(route, None);
        for (field, _) in fields {
            for value in ["\0", "a\0b", "", " ", "-1", "99999999999999999999", "\u{1f4a5}\r\n", &"x".repeat(20_000)] {
                let pairs = fields.iter().map(|(name, right)| {
                    let text = if name == field { value } else { *right };
                    format!("{}={}", escaped(name), escaped(text))
                });
                let mut sent = world.sent(route, &address, Some(FORM), pairs.collect::<Vec<_>>().join("&")).unwrap();
                sent.what += &format!(" with {field} = {value:.40?}");
                if value == "a\0b" && !lenient.contains(field) { nul.push(sent) } else { all.push(sent) }
            }
        }
    }
    world.send(all).await;
    for (what, status) in world.send(nul).await {
        assert!(status.is_client_error(), "{what} answered {status}");
    }
}
