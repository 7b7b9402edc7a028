//! What an environment is: how much depends on it, who sees it, whether its alias is protected. In words, and in the forms
//! that make and change one.

use crate::{format, pages::settings::role_name, ui::prelude::*};
use chrono::TimeDelta;
use domain::{
    environment::{Environment, Tier},
    permission::Role,
};
use leptos::prelude::*;

/// Who sees it, in words.
#[must_use]
pub fn seen_by(environment: &Environment) -> String {
    match &environment.visible_to {
        None => "everybody".to_owned(),
        Some(roles) => {
            let others = roles.iter().filter(|role| **role != Role::Admin).map(|role| format!("{role}s"));
            let who: Vec<String> = others.chain(["admins".to_owned()]).collect();
            who.join(", ")
        }
    }
}

/// How long an approved version waits, in words.
#[must_use]
pub fn waits(environment: &Environment) -> String {
    match environment.wait_timer_s {
        0 => "deploys at once".to_owned(),
        seconds => format!("waits {} after the approval", format::coarse(TimeDelta::seconds(seconds.into()))),
    }
}

/// Tier, protection and who sees it, as tags.
#[component]
pub fn Marks(
    /// The environment.
    environment: Environment,
) -> impl IntoView {
    let hidden = environment.visible_to.is_some().then(|| format!("seen by {}", seen_by(&environment)));
    let waits = (environment.wait_timer_s > 0).then(|| waits(&environment));
    view! {
        <span class="tags">
            <Tag text=format!("{} tier", environment.tier.as_str())/>
            <Tag text=if environment.protected { "protected" } else { "not protected" }/>
            {waits.map(|text| view! { <Tag text/> })}
            {hidden.map(|text| view! { <Tag text/> })}
        </span>
    }
}

/// What an environment is, for whoever may not change it.
#[component]
pub fn About(
    /// The environment.
    environment: Environment,
) -> impl IntoView {
    let alias = if environment.protected { "moves by a promotion only" } else { "moved by whoever may move aliases" };
    let (tier, waits, seen_by) = (environment.tier.title(), waits(&environment), seen_by(&environment));
    view! {
        <Facts small=true>
            <Fact name="Tier">{tier}</Fact>
            <Fact name="Alias">{alias}</Fact>
            <Fact name="Approved versions">{waits}</Fact>
            <Fact name="Seen by">{seen_by}</Fact>
        </Facts>
    }
}

/// The fields of an environment, as they stand in a form.
#[must_use]
pub fn present(environment: &Environment) -> Draft {
    let minutes = f64::from(environment.wait_timer_s) / 60.0;
    let mut fields = vec![
        ("tier", environment.tier.as_str().to_owned()),
        ("wait_minutes", minutes.to_string()),
        ("position", environment.position.to_string()),
    ];
    if environment.protected {
        fields.push(("protected", "on".to_owned()));
    }
    fields.extend(environment.visible_to.iter().flatten().map(|role| ("visible_to", role.as_str().to_owned())));
    Draft::of(fields)
}

/// The fields that making and changing have in common.
#[component]
fn Fields(draft: Draft) -> impl IntoView {
    let tiers = Tier::ALL.map(|tier| (tier.as_str().to_owned(), tier.title().to_owned())).to_vec();
    let roles = Role::ALL
        .into_iter()
        .filter(|role| *role != Role::Admin)
        .map(|role| {
            view! { <CheckField name="visible_to" value=role.as_str() draft=draft.clone()>{role_name(role)}</CheckField> }
        })
        .collect_view();
    view! {
        <SelectField label="Tier" name="tier" options=tiers hint="Rules and freezes may be about a tier." draft=draft.clone()/>
        <TextField
            label="Place in the order"
            name="position"
            kind="number"
            optional=true
            autocomplete="off"
            hint="From 1. The last when nothing is written."
            draft=draft.clone()
        />
        <TextField
            label="Minutes between approval and deployment"
            name="wait_minutes"
            autocomplete="off"
            optional=true
            hint="0 to 43200, which are 30 days."
            draft=draft.clone()
        />
        <CheckField name="protected" draft=draft.clone()>"Its alias moves by a promotion only"</CheckField>
        <fieldset class="field">
            <legend class="label">"Seen by"</legend>
            {roles}
            <p class="hint">"Everybody when none is chosen. Admins always see it."</p>
            {draft.error("visible_to").map(|error| view! { <p class="error"><Icon symbol=Symbol::Warn/><span>{error.to_owned()}</span></p> })}
        </fieldset>
    }
}

/// The form that makes an environment. Sends to `environments`.
#[component]
pub fn NewEnvironment(
    /// The addresses of the workspace.
    links: Links,
    /// What was typed, and why it was refused.
    draft: Draft,
) -> impl IntoView {
    let draft = if draft.is_refused() {
        draft
    } else {
        Draft::of([("tier", Tier::Other.as_str()), ("protected", "on"), ("wait_minutes", "0")])
    };
    view! {
        <Panel title="New environment" id="new">
            <Body>
                <form class="stack" method="post" action=links.environments()>
                    <FormErrors draft=draft.clone() fields=&["name", "tier", "position", "wait_minutes", "visible_to"]/>
                    <TextField
                        label="Name"
                        name="name"
                        autocomplete="off"
                        max=domain::environment::MAX_NAME
                        hint="Lower-case letters, digits, underscores and hyphens. It is an alias too, and never changes."
                        draft=draft.clone()
                    />
                    <Fields draft/>
                    <Button text="Make environment" kind=Kind::Primary/>
                </form>
            </Body>
        </Panel>
    }
}

/// The form that changes an environment, and archives it. Sends to `environments/{name}`.
#[component]
pub fn Settings(
    /// The addresses of the workspace.
    links: Links,
    /// The environment.
    environment: Environment,
    /// What was typed, and why it was refused.
    draft: Draft,
) -> impl IntoView {
    let draft = if draft.is_refused() { draft } else { present(&environment) };
    let name = environment.name.clone();
    let action = links.environment(&name);
    if environment.archived_at.is_some() {
        return view! {
            <Panel title="Settings" id="settings">
                <Body>
                    <p class="muted">"It is archived: nothing is brought here."</p>
                    <Act action text="Restore" values=vec![("do", "restore".to_owned())]/>
                </Body>
            </Panel>
        }
        .into_any();
    }
    view! {
        <Panel title="Settings" id="settings">
            <Body>
                <form class="stack" method="post" action=action.clone()>
                    <FormErrors draft=draft.clone() fields=&["tier", "position", "wait_minutes", "visible_to"]/>
                    <Fields draft/>
                    <div class="actions">
                        <Button text="Save settings" name="do" value="save"/>
                        <Button text="Archive" kind=Kind::Danger opens="archive"/>
                    </div>
                </form>
                <Confirm
                    id="archive"
                    title=format!("Archive {name}?")
                    action
                    go=format!("Archive {name}")
                    keep="Keep it"
                    values=vec![("do", "archive".to_owned())]
                >
                    <p>
                        "It leaves every list, and nothing can be brought there. Its history stays, its name stays taken, and you can restore it. It is refused while something serves there or is on its way."
                    </p>
                </Confirm>
            </Body>
        </Panel>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn who_sees_an_environment_is_told_in_words() {
        let mut environment = crate::samples::environments().remove(0);
        assert_eq!(seen_by(&environment), "everybody");
        environment.visible_to = Some(BTreeSet::from([Role::Operator, Role::Approver, Role::Admin]));
        assert_eq!(seen_by(&environment), "operators, approvers, admins");
        environment.wait_timer_s = 5400;
        assert_eq!(waits(&environment), "waits 1 h 30 min after the approval");
        assert_eq!(present(&environment).value("wait_minutes"), Some("90"));
    }
}
