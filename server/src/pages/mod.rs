//! The pages: each handler asks a use case, and gives what it answers to a view of `app`. What a form posts comes here
//! too: the handler changes something and redirects, or shows the page again with what was typed and why it was refused.

mod error;
mod form;
mod home;
mod model;
mod promotion;
mod settings;
pub mod sign_in;
mod view;

pub use error::PageError;
pub(crate) use error::Unframed;
pub(crate) use form::Form;
pub(crate) use view::View;

use crate::router::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    let routes = home::routes(routes);
    let routes = model::routes(routes);
    let routes = promotion::routes(routes);
    let routes = settings::routes(routes);
    sign_in::routes(routes)
}

/// What a handler of a page answers with.
pub(crate) type PageResult = Result<axum::response::Response, PageError>;
