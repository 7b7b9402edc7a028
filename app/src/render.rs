//! From a view to the text of a page. Pages wait for nothing, so this is one synchronous step.

use hydration_context::SsrSharedContext;
use leptos::{
    nonce::{provide_nonce, use_nonce},
    prelude::*,
    reactive::owner::Owner,
};
use std::sync::Arc;

/// A page that was rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The whole document.
    pub html: String,
    /// The nonce that its one inline script carries, for the `script-src` of the policy sent with it.
    pub nonce: String,
}

/// Renders a document. The view is made inside, so that it finds the nonce and the clock of this page.
pub fn render<V: IntoView>(view: impl FnOnce() -> V) -> Rendered {
    let owner = Owner::new_root(Some(Arc::new(SsrSharedContext::new())));
    let rendered = owner.with(|| {
        provide_nonce();
        let nonce = use_nonce().map(|nonce| nonce.to_string()).unwrap_or_default();
        let html = without_markers(&view().into_view().to_html());
        Rendered { html, nonce }
    });
    owner.unset_with_forced_cleanup();
    rendered
}

/// Renders a part of a page, as tests look at it.
pub fn fragment<V: IntoView>(view: impl FnOnce() -> V) -> String {
    let owner = Owner::new_root(Some(Arc::new(SsrSharedContext::new())));
    let html = owner.with(|| {
        if let Some(context) = Owner::current_shared_context() {
            context.set_is_hydrating(false);
        }
        without_markers(&view().into_view().to_html())
    });
    owner.unset_with_forced_cleanup();
    html
}

/// Drops the empty comments by which a browser's part of Leptos would find its nodes again, except in islands, where it
/// does look for them. A page of a hundred rows is a sixth smaller, and its text nodes are whole.
fn without_markers(html: &str) -> String {
    const MARKER: &str = "<!>";
    let mut kept = String::with_capacity(html.len());
    let mut rest = html;
    let mut islands = 0_u32;
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        kept.push_str(text);
        let end = if islands == 0 && tag.starts_with(MARKER) {
            rest = &tag[MARKER.len()..];
            continue;
        } else if tag.starts_with("<script") {
            // Its text is no markup.
            tag.find("</script>").unwrap_or(tag.len())
        } else {
            end_of_tag(tag)
        };
        if tag.starts_with("<leptos-island") {
            islands += 1;
        } else if tag.starts_with("</leptos-island") {
            islands = islands.saturating_sub(1);
        }
        kept.push_str(&tag[..end]);
        rest = &tag[end..];
    }
    kept.push_str(rest);
    kept
}

/// Where a tag ends: after the first `>` that is in no quotes.
fn end_of_tag(tag: &str) -> usize {
    let mut quoted = false;
    for (at, byte) in tag.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'>' if !quoted => return at + 1,
            _ => {}
        }
    }
    tag.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_go_where_nothing_is_hydrated() {
        for (given, kept) in [
            ("<p>a<!>b</p><!>", "<p>ab</p>"),
            (r#"<a title="x<!>y">z</a><!>"#, r#"<a title="x<!>y">z</a>"#),
            (
                "<leptos-island data-x=\"1\"><p>a<!>b</p></leptos-island><!>c",
                "<leptos-island data-x=\"1\"><p>a<!>b</p></leptos-island>c",
            ),
            ("<script>if (a < b) '<!>'</script><!>", "<script>if (a < b) '<!>'</script>"),
            ("1 &lt; 2<!>", "1 &lt; 2"),
        ] {
            assert_eq!(without_markers(given), kept);
        }
    }

    #[test]
    fn every_page_has_a_nonce_of_its_own() {
        let (one, other) = (render(|| ()), render(|| ()));
        assert!(!one.nonce.is_empty() && one.nonce != other.nonce);
    }
}
