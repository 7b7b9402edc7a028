//! MLflow's REST API: its wire types and handlers. Each calls the same use cases as the rest.
//!
//! [`fields`] reads requests as MLflow does, [`answer`] writes objects as its clients read them. What differs from MLflow
//! is written down in `docs/mlflow.md`.

mod address;
mod answer;
mod artifact;
mod comment;
mod error;
mod experiment;
mod fields;
mod history;
mod logged_model;
mod model;
mod model_version;
mod run;
mod server_info;
mod transition;
mod upload;
mod webhook;
mod workspace;

pub use error::{MlflowError, no_endpoint};

use crate::router::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    let routes = server_info::routes(routes);
    let routes = experiment::routes(routes);
    let routes = run::routes(routes);
    let routes = history::routes(routes);
    let routes = logged_model::routes(routes);
    let routes = artifact::routes(routes);
    let routes = upload::routes(routes);
    let routes = model::routes(routes);
    let routes = model_version::routes(routes);
    let routes = webhook::routes(routes);
    let routes = transition::routes(routes);
    let routes = comment::routes(routes);
    workspace::routes(routes)
}
