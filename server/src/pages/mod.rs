//! The pages: each handler asks a use case, and gives what it answers to a view of `app`. What a form posts comes here
//! too: the handler changes something and redirects, or shows the page again with what was typed and why it was refused.

mod error;
pub mod sign_in;

pub use error::PageError;

use crate::router::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    sign_in::routes(routes)
}
