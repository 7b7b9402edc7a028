//! The example of an empty workspace: the demo, walked in the background.

use super::{PageResult, View};
use crate::{access::Access, demo, router::Routes, state::AppState};
use axum::{extract::State, http::Method};
use domain::permission::Permission;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.page(Method::POST, "/example", Access::Needs(Permission::ManageWorkspace), load)
}

async fn load(State(state): State<AppState>, view: View) -> PageResult {
    demo::start(&state, view.ctx()?)?;
    let notice =
        "The example is on its way: it trains a model, promotes it and lets its traffic drift. Two minutes or so.";
    view.done(&view.links.home(), notice).await
}
