//! Settings: who is a member and in which team, who decides for whom, one's own tokens, sessions and password, secrets, webhooks, and
//! workspaces.

mod account;
mod delegations;
mod members;
mod secrets;
mod teams;
mod tokens;
mod webhooks;
mod workspaces;

pub use account::Account;
pub use delegations::{Delegations, DelegationsPage};
pub use members::Members;
pub use secrets::{Secrets, SecretsPage};
pub use teams::{Teams, TeamsPage};
pub use tokens::Tokens;
pub use webhooks::{WebhookPage, WebhookRow, WebhookView, Webhooks};
pub use workspaces::Workspaces;

use crate::ui::prelude::*;
use domain::permission::Role;
use leptos::prelude::*;

/// Which of the settings is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Members,
    Teams,
    Delegations,
    Tokens,
    Account,
    Secrets,
    Webhooks,
    Workspaces,
}

#[component]
fn Frame(links: Links, part: Part, children: Children) -> impl IntoView {
    let tab = |name: &str, path: &str, this: Part| Tab::new(name, links.to(path)).current(part == this);
    view! {
        <PageHead title="Settings".into_any()/>
        <Tabs
            label="Settings"
            items=vec![
                tab("Members", "settings/members", Part::Members),
                tab("Teams", "settings/teams", Part::Teams),
                tab("Delegations", "settings/delegations", Part::Delegations),
                tab("Your tokens", "settings/tokens", Part::Tokens),
                tab("Your account", "settings/account", Part::Account),
                tab("Secrets", "settings/secrets", Part::Secrets),
                tab("Webhooks", "settings/webhooks", Part::Webhooks),
                tab("Workspaces", "settings/workspaces", Part::Workspaces),
            ]
        />
        {children()}
    }
}

pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Viewer",
        Role::Contributor => "Contributor",
        Role::Operator => "Operator",
        Role::Approver => "Approver",
        Role::Admin => "Admin",
    }
}
