//! When a page cannot be shown: what happened, and what to do.

use crate::ui::prelude::*;
use domain::error::{Error, ErrorKind};
use leptos::prelude::*;

/// The page of an error.
#[component]
pub fn Trouble(
    /// The HTTP status.
    status: u16,
    /// What happened.
    error: Error,
    /// The workspace's pages, when one is in use.
    #[prop(optional_no_strip)]
    links: Option<Links>,
    /// What an administrator finds it by in the log.
    #[prop(optional, into)]
    request_id: Option<String>,
) -> impl IntoView {
    let title = match error.kind {
        ErrorKind::NotFound => "There is nothing here",
        ErrorKind::Forbidden => "You may not see this",
        ErrorKind::Unauthenticated => "Sign in first",
        ErrorKind::Conflict | ErrorKind::AlreadyExists => "Somebody was faster",
        ErrorKind::TooLarge => "This is too large",
        ErrorKind::UnsupportedMediaType => "This is of another type than it should be",
        ErrorKind::RateLimited => "Too many requests",
        ErrorKind::Unavailable => "A part of Slipway does not answer",
        ErrorKind::NotImplemented => "Slipway does not do this",
        ErrorKind::Internal => "Something failed on our side",
        ErrorKind::Invalid => "This request makes no sense",
    };
    let home = links.as_ref().map_or_else(|| "/".to_owned(), Links::home);
    let signed_out = error.kind == ErrorKind::Unauthenticated;
    view! {
        <section class="trouble">
            <p class="code">{status}{request_id.map(|id| format!(" · request {id}"))}</p>
            <h1>{title}</h1>
            <p>{error.message}</p>
            <div class="go">
                {if signed_out {
                    view! { <ButtonLink text="Sign in" href="/sign-in" kind=Kind::Primary/> }.into_any()
                } else {
                    view! { <ButtonLink text="Home" href=home kind=Kind::Primary symbol=Symbol::Home/> }.into_any()
                }}
                {links
                    .filter(|_| error.kind == ErrorKind::Forbidden)
                    .map(|links| view! { <ButtonLink text="Who may: members" href=links.to("settings/members")/> })}
            </div>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    #[test]
    fn a_missing_object_is_named_and_home_is_offered() {
        let html = fragment(|| {
            view! {
                <Trouble status=404 error=Error::not_found("promotion", "#99") links=Some(Links::new("lab")) request_id="r-1"/>
            }
        });
        assert!(html.contains("No promotion \"#99\" in this workspace."), "{html}");
        assert!(html.contains(r#"href="/w/lab""#), "{html}");
    }
}
