//! The pages before anybody is signed in: the door, and the first key to it.

use crate::ui::prelude::*;
use leptos::prelude::*;

/// Sign-in by e-mail and password. Sends `email`, `password` and `next` to `/sign-in`.
#[component]
pub fn SignIn(
    /// What was typed, and why it was refused.
    #[prop(optional)]
    draft: Draft,
    /// The page to go to then: a path of ours.
    #[prop(optional, into)]
    next: Option<String>,
) -> impl IntoView {
    let focus_password = draft.value("email").is_some();
    view! {
        <h1>"Sign in"</h1>
        <form class="card" method="post" action="/sign-in">
            <FormErrors draft=draft.clone() fields=&["email", "password"]/>
            {next.map(|next| view! { <input type="hidden" name="next" value=next/> })}
            <TextField
                label="E-mail"
                name="email"
                kind="email"
                autocomplete="username"
                draft=draft.clone()
                focus=!focus_password
            />
            <TextField
                label="Password"
                name="password"
                kind="password"
                autocomplete="current-password"
                draft
                focus=focus_password
            />
            <Button text="Sign in" kind=Kind::Primary size=ButtonSize::Block/>
        </form>
        <p class="muted center">"No account yet? An administrator of your workspace makes one."</p>
    }
}

/// The first administrator makes their account, from the link that `slipway serve` prints. Sends `token`, `name`,
/// `email` and `password` to `/setup`.
#[component]
pub fn Setup(
    /// The one-time secret of the link.
    #[prop(into)]
    token: String,
    /// What was typed, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    view! {
        <div>
            <h1>"Set up Slipway"</h1>
            <p class="muted">"You are its first administrator. Everybody else comes by your invitation."</p>
        </div>
        <form class="card" method="post" action="/setup">
            <FormErrors draft=draft.clone() fields=&["name", "email", "password"]/>
            <input type="hidden" name="token" value=token/>
            <TextField label="Your name" name="name" autocomplete="name" max=80_usize draft=draft.clone() focus=true/>
            <TextField label="E-mail" name="email" kind="email" autocomplete="username" draft=draft.clone()/>
            <TextField
                label="Password"
                name="password"
                kind="password"
                autocomplete="new-password"
                hint=format!("At least {} characters. A sentence is easy to remember.", domain::user::Password::MIN)
                draft
            />
            <Button text="Create account" kind=Kind::Primary size=ButtonSize::Block/>
        </form>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;
    use domain::error::Error;

    #[test]
    fn a_refused_sign_in_keeps_the_address_and_where_one_wanted_to_go() {
        let draft =
            Draft::of([("email", "ada@example.com")]).refused(&Error::unauthenticated("E-mail or password is wrong."));
        let html = fragment(|| view! { <SignIn draft next="/w/lab/promotions/87"/> });
        assert!(html.contains(r#"value="ada@example.com""#), "{html}");
        assert!(html.contains(r#"value="/w/lab/promotions/87""#), "{html}");
        assert!(html.contains("E-mail or password is wrong."), "{html}");
    }
}
