//! Addresses of pages, for messages and answers of programs. The pages themselves have theirs in `app`.

/// The addresses of one workspace's pages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Links<'a> {
    /// What stands before the path: the server's address, or nothing.
    pub(crate) base: &'a str,
    /// The workspace.
    pub(crate) slug: &'a str,
}

impl Links<'_> {
    fn to(self, path: std::fmt::Arguments<'_>) -> String {
        format!("{}/w/{}/{path}", self.base, encode(self.slug))
    }

    pub(crate) fn experiment(self, id: &str) -> String {
        self.to(format_args!("experiments/{id}"))
    }

    pub(crate) fn run(self, id: &str) -> String {
        self.to(format_args!("runs/{id}"))
    }

    pub(crate) fn model(self, name: &str) -> String {
        self.to(format_args!("models/{}", encode(name)))
    }

    pub(crate) fn pipeline(self, name: &str) -> String {
        self.to(format_args!("pipelines/{}", encode(name)))
    }

    /// A promotion.
    pub(crate) fn promotion(self, number: i64) -> String {
        self.to(format_args!("promotions/{number}"))
    }

    /// A step of a pipeline run, on the run's page.
    pub(crate) fn step(self, run: i64, step: &str) -> String {
        self.to(format_args!("pipeline-runs/{run}?step={}", encode(step)))
    }

    /// One's own account.
    pub(crate) fn account(self) -> String {
        self.to(format_args!("settings/account"))
    }

    /// Where an external gate of a promotion is answered, by the REST API.
    pub(crate) fn gate_answer(self, number: i64, gate: &str) -> String {
        self.to(format_args!("api/v1/promotions/{number}/gates/{}/answer", encode(gate)))
    }

    /// The form that asks for a version's promotion into an environment.
    pub(crate) fn new_promotion(self, model: &str, version: i32, environment: &str) -> String {
        let (model, environment) = (encode(model), encode(environment));
        self.to(format_args!("promotions/new?model={model}&version={version}&environment={environment}"))
    }
}

/// The text with everything escaped that means something in an address.
fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_addresses_are_escaped() {
        let links = Links { base: "https://slipway.example", slug: "lab" };
        assert_eq!(
            links.new_promotion("churn & co/é", 7, "production"),
            "https://slipway.example/w/lab/promotions/new?model=churn%20%26%20co%2F%C3%A9&version=7&environment=production"
        );
        assert_eq!(Links { base: "", slug: "lab" }.model("a b"), "/w/lab/models/a%20b");
    }
}
