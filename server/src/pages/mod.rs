//! The pages: each handler asks a use case, and gives what it answers to a view of `app`. What a form posts comes here
//! too: the handler changes something and redirects, or shows the page again with what was typed and why it was refused.

mod alert;
mod audit;
mod backfill;
mod change_request;
mod chosen;
mod comment;
mod dataset;
mod delegation;
mod deployment;
mod endpoint;
mod environment;
mod error;
mod example;
mod experiment;
mod files;
mod form;
mod freeze;
mod home;
mod model;
mod monitor;
mod notebook;
mod palette;
mod pipeline;
mod pipeline_run;
mod policy;
mod promotion;
mod push_hook;
mod registration;
mod run;
mod schedule;
mod secret;
mod settings;
pub mod sign_in;
mod team;
mod trigger;
mod view;
mod webhook;
mod worker;

pub use error::PageError;
pub(crate) use error::Unframed;
pub(crate) use form::Form;
pub(crate) use view::View;

use crate::router::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    let routes = alert::routes(routes);
    let routes = audit::routes(routes);
    let routes = backfill::routes(routes);
    let routes = change_request::routes(routes);
    let routes = comment::routes(routes);
    let routes = dataset::routes(routes);
    let routes = delegation::routes(routes);
    let routes = deployment::routes(routes);
    let routes = endpoint::routes(routes);
    let routes = environment::routes(routes);
    let routes = example::routes(routes);
    let routes = experiment::routes(routes);
    let routes = freeze::routes(routes);
    let routes = home::routes(routes);
    let routes = model::routes(routes);
    let routes = monitor::routes(routes);
    let routes = notebook::routes(routes);
    let routes = palette::routes(routes);
    let routes = pipeline::routes(routes);
    let routes = pipeline_run::routes(routes);
    let routes = policy::routes(routes);
    let routes = promotion::routes(routes);
    let routes = push_hook::routes(routes);
    let routes = registration::routes(routes);
    let routes = run::routes(routes);
    let routes = schedule::routes(routes);
    let routes = secret::routes(routes);
    let routes = settings::routes(routes);
    let routes = team::routes(routes);
    let routes = trigger::routes(routes);
    let routes = webhook::routes(routes);
    let routes = worker::routes(routes);
    sign_in::routes(routes)
}

/// What a handler of a page answers with.
pub(crate) type PageResult = Result<axum::response::Response, PageError>;
