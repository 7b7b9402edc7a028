//! Version 1 of the REST API: one file a noun, each with its routes.

mod alert;
mod audit;
mod backfill;
mod change_request;
mod code;
mod comment;
mod dataset;
mod dataset_version;
mod delegation;
mod deployment;
mod environment;
mod experiment;
mod freeze;
mod log;
mod mail;
mod model;
mod model_card;
mod model_version;
mod monitor;
mod notebook;
mod palette;
mod pipeline;
mod pipeline_run;
mod policy;
mod promotion;
mod push_hook;
mod run;
mod run_table;
mod schedule;
mod secret;
mod session;
mod step;
mod step_approval;
mod team;
mod token;
mod trigger;
mod user;
mod webhook;
mod worker;
mod workspace;

use crate::router::Routes;
use domain::Page;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let routes = alert::routes(routes);
    let routes = audit::routes(routes);
    let routes = backfill::routes(routes);
    let routes = change_request::routes(routes);
    let routes = comment::routes(routes);
    let routes = dataset::routes(routes);
    let routes = dataset_version::routes(routes);
    let routes = delegation::routes(routes);
    let routes = deployment::routes(routes);
    let routes = environment::routes(routes);
    let routes = experiment::routes(routes);
    let routes = freeze::routes(routes);
    let routes = log::routes(routes);
    let routes = mail::routes(routes);
    let routes = model::routes(routes);
    let routes = model_card::routes(routes);
    let routes = model_version::routes(routes);
    let routes = monitor::routes(routes);
    let routes = notebook::routes(routes);
    let routes = palette::routes(routes);
    let routes = pipeline::routes(routes);
    let routes = pipeline_run::routes(routes);
    let routes = policy::routes(routes);
    let routes = promotion::routes(routes);
    let routes = push_hook::routes(routes);
    let routes = run::routes(routes);
    let routes = run_table::routes(routes);
    let routes = schedule::routes(routes);
    let routes = secret::routes(routes);
    let routes = session::routes(routes);
    let routes = step::routes(routes);
    let routes = step_approval::routes(routes);
    let routes = team::routes(routes);
    let routes = token::routes(routes);
    let routes = trigger::routes(routes);
    let routes = user::routes(routes);
    let routes = webhook::routes(routes);
    let routes = worker::routes(routes);
    workspace::routes(routes)
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// `next_page_token` of the page before.
    pub(crate) page_token: Option<String>,
    /// The most items to answer with.
    #[param(minimum = 1, maximum = 1000)]
    pub(crate) limit: Option<usize>,
}

impl Paging {
    /// The most items: 100 when nothing is said.
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, domain::page::MAX_PAGE)
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed<T> {
    /// The items, in order.
    pub(crate) items: Vec<T>,
    /// Ask with this for the items after these; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_page_token: Option<String>,
}

impl<T> From<Page<T>> for Listed<T> {
    fn from(page: Page<T>) -> Self {
        Self { items: page.items, next_page_token: page.next_page_token }
    }
}

impl<T> From<Vec<T>> for Listed<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, next_page_token: None }
    }
}
