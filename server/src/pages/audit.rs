//! History of the workspace.

use super::{PageResult, View, chosen::Chosen};
use crate::{access::Access, router::Routes};
use app::{
    pages::audit::{Audit, ChainHead, Noted},
    shell::Section,
};
use axum::http::Method;
use domain::{Error, audit::ObjectKind, permission::Permission};
use leptos::prelude::*;

/// How many events a page shows.
const ROWS: usize = 100;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.page(Method::GET, "/audit", Access::Needs(Permission::Read), list)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let token = chosen.get("page_token");
    let events = match chosen.get("kind") {
        None => view.services().audit_events(ctx, &[], token, ROWS).await?,
        Some(name) => {
            let kind = ObjectKind::parse(name).ok_or_else(|| Error::invalid("There is no such sort of object."))?;
            view.services().audit_events_of_kind(ctx, kind, token, ROWS).await?
        }
    };
    let found = view.services().audit_head(ctx).await?;
    let head = ChainHead {
        seq: found.head.seq,
        hash: found.head.hash.to_string(),
        is_behind: found.is_behind,
        noted: found.checkpoint.map(|checkpoint| Noted {
            seq: checkpoint.seq,
            at: checkpoint.at,
            key: checkpoint.key.map(Into::into),
        }),
    };
    let links = view.links.clone();
    let address = chosen.address(links.to("audit"));
    view.page("Audit", Some(Section::Audit), move || view! { <Audit links address events head/> }).await
}
