//! MLflow's REST API: its wire types and handlers. Each calls the same use cases as the rest.

mod error;

pub use error::MlflowError;

use crate::router::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
}
