//! Where the aliases of a model point, where they pointed at a moment, every move, and the form that moves one.

use super::parts::{Part, Through, Top, VersionLink};
use crate::{
    chart::spans::{self, Span},
    format,
    ui::prelude::*,
};
use chrono::{DateTime, Utc};
use domain::{
    Page,
    model::{AliasMove, Model},
    names::AliasName,
};
use leptos::prelude::*;
use std::collections::BTreeSet;

/// The moment that was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A moment: the last instant that it reaches to.
    At(DateTime<Utc>),
    /// What was typed is no moment; why.
    Refused(String),
}

/// The form that sets an alias.
#[derive(Debug, Clone, Default)]
pub struct AliasEdit {
    /// What was typed and chosen, and why it was refused.
    pub draft: Draft,
    /// Where the promotion is that alone moves this alias, when that is why it was refused.
    pub promotion: Option<String>,
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct AliasesPage {
    /// The model.
    pub model: Model,
    /// Whether it has a card.
    pub has_card: bool,
    /// The moment that was asked about; none: now.
    pub asked: Option<Asked>,
    /// Where aliases pointed then.
    pub then: Vec<AliasMove>,
    /// Where they point now.
    pub now: Vec<AliasMove>,
    /// Every alias that there ever was, with how often it moved.
    pub ever: Vec<(String, i64)>,
    /// Moves of all aliases or of the chosen one, newest first.
    pub history: Page<AliasMove>,
    /// The versions that an alias can be set to here, newest first.
    pub versions: Vec<i32>,
    /// The environments' names in small letters: aliases of these names move by promotions alone.
    pub protected: BTreeSet<String>,
    /// Whether whoever looks may set aliases.
    pub may_write: bool,
    /// Whether whoever looks may request promotions.
    pub may_request: bool,
    /// The form that sets one.
    pub edit: AliasEdit,
}

impl AliasesPage {
    fn is_protected(&self, alias: &str) -> bool {
        self.protected.contains(&alias.to_lowercase())
    }
}

/// The aliases of a model.
#[component]
pub fn Aliases(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `as_of` is a moment, `alias` one of them, `set` the one that the form starts with.
    address: Address,
    /// What it shows.
    page: AliasesPage,
) -> impl IntoView {
    let (model, has_card) = (page.model.clone(), page.has_card);
    // What the form starts with is no part of what the rest of the page leads to.
    let address = address.dropping(&["set"]);
    let aside = page.may_write.then(|| {
        view! {
            <aside class="stack" aria-label="Set an alias">
                <Edit links=links.clone() page=page.clone()/>
            </aside>
        }
    });
    let body = if page.ever.is_empty() {
        view! {
            <div class="panel">
                <Empty
                    symbol=Symbol::Star
                    title="No alias yet"
                    text="An alias is a name that moves: clients load models:/churn@champion, and you decide which version that is. Every move is kept."
                    command=format!("MlflowClient().set_registered_model_alias(\"{}\", \"champion\", 1)", model.name)
                />
            </div>
        }
        .into_any()
    } else {
        view! {
            <div class="stack">
                <Standing links=links.clone() address=address.clone() page=page.clone()/>
                <History links=links.clone() address page/>
            </div>
        }
        .into_any()
    };
    view! {
        <Top links model part=Part::Aliases has_card/>
        {match aside {
            Some(aside) => view! { <div class="with-aside">{body}{aside}</div> }.into_any(),
            None => body,
        }}
    }
}

/// The form that sets an alias, new or there already. Sends `alias` and `version` to `models/{model}/aliases`.
#[component]
fn Edit(links: Links, page: AliasesPage) -> impl IntoView {
    let model = page.model.name.clone();
    if page.versions.is_empty() {
        return view! {
            <Panel title="Set an alias" id="set">
                <Body><p class="muted">"An alias points at a version, and there is none yet."</p></Body>
            </Panel>
        }
        .into_any();
    }
    let at = |version: i32| {
        let names: Vec<String> =
            page.now.iter().filter(|one| one.version == Some(version)).map(|one| format!("@{}", one.alias)).collect();
        if names.is_empty() { format!("v{version}") } else { format!("v{version} · {}", names.join(", ")) }
    };
    let options = page.versions.iter().map(|version| (version.to_string(), at(*version))).collect();
    let choices = page.ever.iter().map(|(alias, _)| alias.clone()).filter(|alias| !page.is_protected(alias)).collect();
    let AliasEdit { draft, promotion } = page.edit;
    let messages = draft.messages(&["alias", "version"]);
    let refused = (!messages.is_empty()).then(|| {
        // The sentence ends where the link stands.
        let to = promotion.map(|href| {
            let words = if href.contains("/promotions/new?") { "new promotion" } else { "open it" };
            view! { " "<a href=href>{words}</a> }
        });
        view! { <Callout tone=Tone::Fail alert=true><p>{messages.join(" ")}{to}</p></Callout> }
    });
    view! {
        <Panel title="Set an alias" id="set">
            <Body>
                <form class="stack" method="post" action=links.aliases(&model)>
                    {refused}
                    <TextField
                        label="Alias"
                        name="alias"
                        autocomplete="off"
                        max=AliasName::MAX
                        mono=true
                        hint="Letters, digits, hyphens and underscores. One that is there moves."
                        choices
                        draft=draft.clone()
                    />
                    <SelectField label="Version" name="version" options draft/>
                    <div class="form"><div class="go"><Button text="Set alias" kind=Kind::Primary/></div></div>
                </form>
            </Body>
        </Panel>
    }
    .into_any()
}

/// What can be done with an alias: moved, or taken away. One of an environment moves by a promotion.
#[component]
fn Acts(
    links: Links,
    address: Address,
    model: String,
    alias: String,
    /// Whether it points at a version now.
    is_set: bool,
    /// The newest version.
    newest: Option<i32>,
    is_protected: bool,
    may_write: bool,
    may_request: bool,
) -> impl IntoView {
    if is_protected {
        return (may_request && newest.is_some())
            .then(|| {
                let href = links.new_promotion_into(&model, newest.unwrap_or_default(), &alias);
                view! { <a href=href>"Request promotion"</a> }
            })
            .into_any();
    }
    if !may_write {
        return ().into_any();
    }
    let href = format!("{}#set", address.with("set", alias.clone()).href());
    if !is_set {
        return view! { <a href=href>"Set"</a> }.into_any();
    }
    view! {
        <span class="acts">
            <a href=href>"Move"</a>
            <Button text="Remove" kind=Kind::Ghost opens=removal(&alias)/>
        </span>
    }
    .into_any()
}

/// The id of the question before an alias is taken away.
fn removal(alias: &str) -> String {
    format!("remove-{alias}")
}

/// The question before an alias is taken away. Outside of the table, whose cells do not break lines.
#[component]
fn Removal(links: Links, model: String, alias: String, version: i32) -> impl IntoView {
    let what = format!(
        "It points at v{version}. Who loads models:/{model}@{alias} finds nothing any more. The version stays, and so does \
         the history of the alias; it can be set again."
    );
    view! {
        <Confirm
            id=removal(&alias)
            title=format!("Remove @{alias}?")
            action=links.delete_alias(&model, &alias)
            go=format!("Remove @{alias}")
            keep="Keep it"
        >
            <p>{what}</p>
        </Confirm>
    }
}

/// The form that asks for a moment. It works in every zone by speaking of UTC, as the page does everywhere.
#[component]
fn Moment(address: Address, asked: Option<Asked>) -> impl IntoView {
    let typed = address.get("as_of").unwrap_or_default().to_owned();
    let (kind, value) = match &asked {
        // A field of dates would show nothing of what is none.
        Some(Asked::Refused(_)) => ("text", typed),
        Some(Asked::At(at)) => ("datetime-local", at.format("%Y-%m-%dT%H:%M:%S").to_string()),
        None => ("datetime-local", String::new()),
    };
    let error = match &asked {
        Some(Asked::Refused(why)) => Some(why.clone()),
        _ => None,
    };
    let invalid = error.is_some().then_some("true");
    let describedby = if error.is_some() { "as-of-hint as-of-error" } else { "as-of-hint" };
    let hidden: Vec<_> = address.others(&["as_of"]).collect();
    let clear = asked
        .is_some()
        .then(|| view! { <ButtonLink text="Now" href=address.without("as_of").href() kind=Kind::Ghost/> });
    view! {
        <form class="as-of" method="get" action=address.path().to_owned()>
            {field::hidden(hidden)}
            <label for="as_of">"As of (UTC)"</label>
            <input
                class="input"
                id="as_of"
                name="as_of"
                type=kind
                step="1"
                value=value
                aria-invalid=invalid
                aria-describedby=describedby
            />
            <Button text="Show"/>
            {clear}
            <span class="hint" id="as-of-hint">"What they pointed at by then, to the second."</span>
        </form>
        {error
            .map(|error| {
                view! {
                    <p class="filter-note error" id="as-of-error" role="alert">
                        <Icon symbol=Symbol::Warn/>
                        <span>{error}</span>
                    </p>
                }
            })}
    }
}

/// Where each alias points, or pointed at the moment.
#[component]
fn Standing(links: Links, address: Address, page: AliasesPage) -> impl IntoView {
    let at = match page.asked {
        Some(Asked::At(at)) => Some(at),
        _ => None,
    };
    let title = if at.is_some() { "Where they pointed" } else { "Where they point" };
    let note = at.map_or_else(|| "now".to_owned(), format::exact);
    let model = page.model.name.clone();
    let newest = page.versions.first().copied();
    let has_acts = at.is_none() && (page.may_write || page.may_request);
    let removals = page
        .now
        .iter()
        .filter(|one| has_acts && page.may_write && !page.is_protected(&one.alias))
        .filter_map(|one| {
            let version = one.version?;
            Some(view! { <Removal links=links.clone() model=model.clone() alias=one.alias.clone() version/> })
        })
        .collect_view();
    let rows = page
        .ever
        .iter()
        .map(|(alias, _)| {
            let then = page.then.iter().find(|one| one.alias == *alias).cloned();
            let now = page.now.iter().find(|one| one.alias == *alias).cloned();
            let version = |one: &Option<AliasMove>| one.as_ref().and_then(|one| one.version);
            let acts = has_acts.then(|| {
                view! {
                    <td class="num">
                        <Acts
                            links=links.clone()
                            address=address.clone()
                            model=model.clone()
                            alias=alias.clone()
                            is_set=version(&now).is_some()
                            newest
                            is_protected=page.is_protected(alias)
                            may_write=page.may_write
                            may_request=page.may_request
                        />
                    </td>
                }
            });
            let deleted = then.as_ref().is_some_and(|one| one.is_deleted);
            let of_then = version(&then);
            let of_now = version(&now);
            let moved_since = match (of_then, of_now) {
                (None, None) => view! { <span class="none">"–"</span> }.into_any(),
                (then, now) if then == now => view! { <span class="muted">"the same"</span> }.into_any(),
                (Some(a), Some(b)) if !deleted => {
                    let href = links.compare_versions(&model, a, b);
                    view! { <a class="mono" href=links.version(&model, b)>{format!("v{b}")}</a>" · "<a href=href>"Compare"</a> }.into_any()
                }
                (_, Some(b)) => view! { <a class="mono" href=links.version(&model, b)>{format!("v{b}")}</a> }.into_any(),
                (_, None) => view! { <span class="muted">"removed"</span> }.into_any(),
            };
            view! {
                <tr>
                    <th scope="row" class="mono"><span class="strong">{format!("@{alias}")}</span></th>
                    <td>
                        {match of_then {
                            Some(_) => view! { <VersionLink links=links.clone() model=model.clone() version=of_then deleted/> }.into_any(),
                            None => view! { <span class="muted">"nothing"</span> }.into_any(),
                        }}
                    </td>
                    <td>{match &then {
                        Some(one) => view! { <When at=one.at/> }.into_any(),
                        None => view! { <span class="none">"–"</span> }.into_any(),
                    }}</td>
                    <td>{match &then {
                        Some(one) => view! { <span class="who"><Avatar name=one.by.clone() size=AvatarSize::Row/>{one.by.clone()}</span> }.into_any(),
                        None => view! { <span class="none">"–"</span> }.into_any(),
                    }}</td>
                    <td>{match then {
                        Some(one) => view! { <Through links=links.clone() one/> }.into_any(),
                        None => view! { <span class="none">"–"</span> }.into_any(),
                    }}</td>
                    {at.is_some().then(|| view! { <td>{moved_since}</td> })}
                    {acts}
                </tr>
            }
        })
        .collect_view();
    view! {
        <section class="panel" id="standing" aria-labelledby="h-standing">
            <header><h2 id="h-standing">{title}</h2><span class="note">{note}</span></header>
            <div class="panel-bar"><Moment address=address.clone() asked=page.asked/></div>
            <Table label="Aliases">
                <thead>
                    <tr>
                        <Head label="Alias"/>
                        <Head label="Version"/>
                        <Head label="Since"/>
                        <Head label="Moved by"/>
                        <Head label="Through"/>
                        {at.is_some().then(|| view! { <Head label="Now"/> })}
                        {has_acts.then(|| view! { <th><span class="sr">"Change it"</span></th> })}
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
            {removals}
        </section>
    }
}

/// The most aliases that have a lane.
const MOST_LANES: usize = 12;

/// Each alias over time, as far back as the moves that are shown. It says nothing that the tables do not.
#[component]
fn Lanes(moves: Vec<AliasMove>, at: Option<DateTime<Utc>>) -> impl IntoView {
    let (Some(first), end) = (moves.iter().map(|one| one.at).min(), now()) else { return ().into_any() };
    // Milliseconds of some years are far below what loses digits.
    #[allow(clippy::cast_precision_loss)]
    let share =
        |at: DateTime<Utc>| (at - first).num_milliseconds() as f64 / (end - first).num_milliseconds().max(1) as f64;
    let mut names: Vec<String> = moves.iter().map(|one| one.alias.clone()).collect();
    names.sort();
    names.dedup();
    if moves.len() < 2 || names.len() > MOST_LANES {
        return ().into_any();
    }
    let lanes = names
        .into_iter()
        .map(|name| {
            let mut steps: Vec<&AliasMove> = moves.iter().filter(|one| one.alias == name).collect();
            steps.reverse();
            let spans: Vec<Span> = steps
                .iter()
                .enumerate()
                .filter_map(|(at, one)| {
                    let label = format!("v{}", one.version?);
                    let next = steps.get(at + 1).map(|next| next.at);
                    let until = next.map_or_else(|| "until now".to_owned(), |next| format!("to {}", format::exact(next)));
                    let title = format!("@{name} {label}, {} {until}", format::exact(one.at));
                    Some(Span { from: share(one.at), to: share(next.unwrap_or(end)), label, title, is_open: next.is_none() })
                })
                .collect();
            let shapes = spans::draw(&spans, at.map(share).filter(|share| (0.0..=1.0).contains(share)));
            view! { <li><span class="mono ellipsis">{format!("@{name}")}</span><svg class="lane" inner_html=shapes></svg></li> }
        })
        .collect_view();
    view! {
        <div class="lanes" aria-hidden="true">
            <ul>{lanes}</ul>
            <p><span>{format::minute(first)}</span><span>"now"</span></p>
        </div>
    }
    .into_any()
}

/// Every move.
#[component]
fn History(links: Links, address: Address, page: AliasesPage) -> impl IntoView {
    let chosen = address.get("alias").map(str::to_owned);
    let total: i64 =
        page.ever.iter().filter(|(alias, _)| chosen.as_ref().is_none_or(|c| c == alias)).map(|(_, n)| n).sum();
    let all: i64 = page.ever.iter().map(|(_, moves)| moves).sum();
    let mut choices =
        vec![(format!("All {}", format::integer(all)), address.without("alias").href(), chosen.is_none())];
    choices.extend(page.ever.iter().map(|(alias, moves)| {
        let href = address.with("alias", alias.clone()).href();
        (format!("@{alias} {}", format::integer(*moves)), href, chosen.as_deref() == Some(alias))
    }));
    let asked = match page.asked {
        Some(Asked::At(at)) => Some(at),
        _ => None,
    };
    let model = page.model.name.clone();
    let shown = page.history.items.len();
    // Between the first move that was made by the moment and the one after it.
    let lanes = page.history.items.clone();
    let is_first = address.get("page_token").is_none();
    let mark = asked.and_then(|at| page.history.items.iter().position(|one| one.at <= at)).filter(|at| *at > 0);
    let rows = page
        .history
        .items
        .into_iter()
        .enumerate()
        .map(|(row, one)| {
            let (from, to) = (one.from, one.version);
            let what = match (from, to) {
                (None, Some(_)) => "set to",
                (Some(_), None) => "removed from",
                _ => "moved",
            };
            let step = view! {
                <span class="move">
                    {from.map(|_| view! { <VersionLink links=links.clone() model=model.clone() version=from/> })}
                    {(from.is_some() && to.is_some()).then(|| view! { <span aria-label="to">"→"</span> })}
                    {to.map(|_| view! { <VersionLink links=links.clone() model=model.clone() version=to deleted=one.is_deleted/> })}
                </span>
            };
            let line = (mark == Some(row)).then(|| {
                let text = format!("{} was here", asked.map(format::exact).unwrap_or_default());
                view! { <tr class="moment"><td colspan="5">{text}</td></tr> }
            });
            let by = one.by.clone();
            view! {
                {line}
                <tr>
                    <th scope="row" class="mono"><span class="strong">{format!("@{}", one.alias)}</span></th>
                    <td><span class="muted">{what}" "</span>{step}</td>
                    <td class="muted"><When at=one.at/></td>
                    <td><span class="who"><Avatar name=by.clone() size=AvatarSize::Row/>{by}</span></td>
                    <td><Through links=links.clone() one/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="Every move" id="moves" note=format::count(total, "move", "moves")>
            <div class="panel-bar"><Choice label="Alias" items=choices/></div>
            {is_first.then(|| view! { <Lanes moves=lanes at=asked/> })}
            <Table label="Moves of aliases" keys=true>
                <thead>
                    <tr>
                        <Head label="Alias"/>
                        <Head label="Move"/>
                        <Head label="When"/>
                        <Head label="By"/>
                        <Head label="Through"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
        </Panel>
        <Pager address shown total next=page.history.next_page_token one="move" many="moves" keys=true/>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        render::fragment,
        samples::{ago, models},
    };

    fn html(page: AliasesPage, query: &[(&str, &str)]) -> String {
        let pairs: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        fragment(move || {
            view! { <Aliases links=Links::new("lab") address=Address::new("/w/lab/models/wine/aliases", pairs) page/> }
        })
    }

    #[test]
    fn a_moment_shows_what_was_and_leads_to_what_is() {
        let page = AliasesPage { asked: Some(Asked::At(ago(60 * 24 * 10))), ..models::aliases() };
        let html = html(page, &[("as_of", "2026-11-13")]);
        for part in
            ["Where they pointed", "versions/compare?a=", "Promotion #80", "deleted since", r#"type="datetime-local""#]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn what_is_no_moment_is_kept_as_it_was_typed() {
        let page = AliasesPage { asked: Some(Asked::Refused("That is no day.".to_owned())), ..models::aliases() };
        let html = html(page, &[("as_of", "yesterday")]);
        for part in [r#"type="text""#, r#"value="yesterday""#, "That is no day.", r#"aria-invalid="true""#] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn a_free_alias_is_moved_and_removed_and_one_of_an_environment_promoted() {
        let html = html(models::aliases(), &[]);
        for part in [
            r#"action="/w/lab/models/wine-quality-classifier/aliases""#,
            "?set=champion#set",
            "Remove @champion?",
            "/aliases/champion/delete",
            "promotions/new?model=wine-quality-classifier&amp;version=14&amp;environment=production",
            "v12 · @champion",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("/aliases/production/delete"), "{html}");
    }

    #[test]
    fn what_only_a_promotion_moves_is_refused_with_the_way_there() {
        let error = domain::Error::forbidden("Promotion #87 of wine v13 is under way:");
        let edit = AliasEdit {
            draft: Draft::of([("alias", "production"), ("version", "13")]).refused(&error),
            promotion: Some("/w/lab/promotions/87".to_owned()),
        };
        let html = html(AliasesPage { edit, ..models::aliases() }, &[]);
        for part in [
            "Promotion #87 of wine v13 is under way:",
            r#"href="/w/lab/promotions/87""#,
            ">open it</a>",
            r#"value="production""#,
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(html.contains(r#"<option value="13" selected"#), "{html}");
    }

    #[test]
    fn who_may_only_look_changes_nothing_and_neither_does_the_past() {
        let looks = AliasesPage { may_write: false, may_request: false, ..models::aliases() };
        let html_of_reader = html(looks, &[]);
        assert!(!html_of_reader.contains("Set an alias") && !html_of_reader.contains("/delete"), "{html_of_reader}");
        let past = AliasesPage { asked: Some(Asked::At(ago(60))), ..models::aliases() };
        let html = html(past, &[("as_of", "2026-11-13")]);
        assert!(!html.contains("/delete"), "{html}");
    }

    #[test]
    fn a_model_without_a_version_has_nothing_to_point_at() {
        let page = AliasesPage { versions: Vec::new(), ever: Vec::new(), ..models::aliases() };
        assert!(html(page, &[]).contains("there is none yet"));
    }

    #[test]
    fn without_an_alias_the_command_that_sets_one_stands_there() {
        let page = AliasesPage { ever: Vec::new(), then: Vec::new(), now: Vec::new(), ..models::aliases() };
        assert!(html(page, &[]).contains("set_registered_model_alias"));
    }
}
