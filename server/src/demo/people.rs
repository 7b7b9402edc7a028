//! Those who walk: each with a token of their own, for what their role is about.

use super::{
    client::Client,
    station::{Failure, Reached},
};
use domain::{
    id::TokenId,
    permission::{Role, Scope},
};
use serde::Deserialize;
use services::{Ctx, DemoPerson, Services};
use std::time::Duration;

/// How long taking their tokens away may take.
const LEAVING: Duration = Duration::from_secs(10);

const SCIENTIST: DemoPerson =
    DemoPerson { account: "data-scientist", name: "Data scientist", roles: &[Role::Contributor], scope: Scope::Write };
const APPROVER: DemoPerson = DemoPerson {
    account: "risk-approver",
    name: "Risk approver",
    roles: &[Role::Viewer, Role::Approver],
    scope: Scope::Write,
};
const OPERATOR: DemoPerson =
    DemoPerson { account: "on-call-operator", name: "On-call operator", roles: &[Role::Operator], scope: Scope::Write };
const ADMIN: DemoPerson =
    DemoPerson { account: "platform-admin", name: "Platform admin", roles: &[Role::Admin], scope: Scope::Admin };

/// The people of the demo, each as they reach the server.
pub(super) struct People {
    /// Trains, and requests the promotion.
    pub(super) scientist: Client,
    /// Decides.
    pub(super) approver: Client,
    /// Watches what serves.
    pub(super) operator: Client,
    /// Says what production asks for.
    pub(super) admin: Client,
    tokens: Vec<(Client, TokenId)>,
}

/// Who a token belongs to, as the server says.
#[derive(Deserialize)]
struct Me {
    user: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl People {
    /// Makes them members of the workspace, and gives each a token.
    pub(super) async fn admit(
        services: &Services,
        ctx: &Ctx,
        http: &reqwest::Client,
        url: &str,
    ) -> Result<Self, Failure> {
        let mut tokens = Vec::new();
        let mut clients = Vec::new();
        for person in [&SCIENTIST, &APPROVER, &OPERATOR, &ADMIN] {
            let issued = services
                .admit_demo_person(ctx, person)
                .await
                .map_err(|error| Failure::new(format!("{} as a member with a token", person.name), error))?;
            let client = Client::new(http.clone(), url, Some(ctx.workspace.slug.as_str()), issued.secret);
            tokens.push((client.clone(), issued.token.id));
            clients.push(client);
        }
        let [scientist, approver, operator, admin] =
            clients.try_into().unwrap_or_else(|_| unreachable!("there are four of them"));
        Ok(Self { scientist, approver, operator, admin, tokens })
    }

    /// Whether the server knows them: it may use another database than the one that they were made in.
    pub(super) async fn present(&self) -> Result<Reached, Failure> {
        let mut names = Vec::new();
        for (client, _) in &self.tokens {
            let me: Me = client.get("/api/v1/user").await.map_err(|refusal| {
                refusal
                    .instead_of("a server that uses the database of this data folder; name its own with --data-dir or --database-url")
            })?;
            names.push(me.user.name);
        }
        let last = names.pop().unwrap_or_default();
        Ok(Reached::new("demo.invalid", "members", format!("{} and {last}", names.join(", "))))
    }

    /// Takes their tokens away. A server that does not answer is not waited for: they end within a day by themselves.
    pub(super) async fn leave(&self) {
        let leaving = self.tokens.iter().map(|(client, id)| async move {
            if let Err(refusal) = client.delete(&format!("/api/v1/tokens/{id}")).await {
                tracing::debug!(%refusal, "a token of the demo was not revoked");
            }
        });
        let _ = tokio::time::timeout(LEAVING, futures::future::join_all(leaving)).await;
    }
}
