//! Finding objects by name without scripts: where the palette's form leads.

use super::{PageResult, View, chosen::Chosen};
use crate::{access::Access, router::Routes};
use app::pages::palette::Search;
use axum::http::Method;
use domain::permission::Permission;
use leptos::prelude::*;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.page(Method::GET, "/search", Access::Needs(Permission::Read), search)
}

async fn search(view: View, chosen: Chosen) -> PageResult {
    let hits = view.services().find_by_name(view.ctx()?, chosen.get("q").unwrap_or_default()).await?;
    let address = chosen.address(view.links.search());
    view.page("Search", None, move || view! { <Search address hits/> }).await
}
