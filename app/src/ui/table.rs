//! Tables: a frame that scrolls by itself, heads that sort by links, a foot that counts, pages by keys.

use super::{
    field,
    icon::{Icon, Symbol},
    query::{Address, Sort},
};
use crate::{format, islands::Completion};
use leptos::prelude::*;

/// The frame. It takes focus, so that it can be scrolled by keys.
#[component]
pub fn Table(
    /// What the table lists, for those who hear the page.
    #[prop(into)]
    label: String,
    /// Whether its head stays while its rows scroll.
    #[prop(optional)]
    tall: bool,
    /// Whether rows have two lines.
    #[prop(optional)]
    roomy: bool,
    /// Whether `j`, `k`, `x` and Enter work on its rows. One table of a page.
    #[prop(optional)]
    keys: bool,
    /// Further classes of the table.
    #[prop(optional)]
    class: &'static str,
    /// Its id, for updates in place.
    #[prop(optional, into)]
    id: Option<String>,
    /// Whether its rows change by themselves.
    #[prop(optional)]
    live: bool,
    /// Head, body and foot.
    children: Children,
) -> impl IntoView {
    let mut classes = "table".to_owned();
    for (on, name) in [(roomy, "roomy"), (!class.is_empty(), class)] {
        if on {
            classes.push(' ');
            classes.push_str(name);
        }
    }
    view! {
        <div class=if tall { "table-wrap tall" } else { "table-wrap" } tabindex="0" role="group" aria-label=label>
            <table class=classes id=id data-keys=keys.then_some("") data-live=live.then_some("")>
                {children()}
            </table>
        </div>
    }
}

/// A column's head that sorts: a link, and where the order is this column's, an arrow.
#[component]
pub fn SortHead(
    /// The column's name.
    #[prop(into)]
    label: String,
    /// Its name in the address.
    key: &'static str,
    /// The page.
    address: Address,
    /// The order now.
    sort: Sort,
    /// Whether it holds numbers.
    #[prop(optional)]
    num: bool,
    /// Whether the first press puts the largest or latest first.
    #[prop(optional)]
    descending: bool,
) -> impl IntoView {
    let current = sort.key == key;
    let next = Sort { key: key.to_owned(), descending: if current { !sort.descending } else { descending } };
    let direction = current.then_some(if sort.descending { "descending" } else { "ascending" });
    let symbol = if sort.descending { Symbol::ChevronDown } else { Symbol::ChevronUp };
    view! {
        <th scope="col" class=num.then_some("num") aria-sort=direction>
            <a href=address.with("sort", next.to_string()).href()>
                {label}
                {current.then(|| view! { <Icon symbol/> })}
            </a>
        </th>
    }
}

/// A column's head that does not sort.
#[component]
pub fn Head(
    /// The column's name.
    #[prop(into)]
    label: String,
    /// Whether it holds numbers.
    #[prop(optional)]
    num: bool,
    /// Further classes.
    #[prop(optional)]
    class: &'static str,
    /// Whether its name is for those who hear the page alone.
    #[prop(optional)]
    quiet: bool,
) -> impl IntoView {
    let label = if quiet { view! { <span class="sr">{label}</span> }.into_any() } else { label.into_any() };
    view! { <th scope="col" class=cell_class(num, class)>{label}</th> }
}

fn cell_class(num: bool, class: &'static str) -> Option<String> {
    match (num, class) {
        (false, "") => None,
        (true, "") => Some("num".to_owned()),
        (false, class) => Some(class.to_owned()),
        (true, class) => Some(format!("num {class}")),
    }
}

/// Where one is in a list, and the way on. Keys lead forward; the browser leads back.
#[component]
pub fn Pager(
    /// The page.
    address: Address,
    /// How many rows are shown.
    shown: usize,
    /// How many there are, where that was counted.
    #[prop(optional, into)]
    total: Option<i64>,
    /// The key of the next page.
    next: Option<String>,
    /// The noun of one row.
    one: &'static str,
    /// The noun of several.
    many: &'static str,
    /// Whether the table takes keys, to say which.
    #[prop(optional)]
    keys: bool,
    /// Whether its rows can be selected.
    #[prop(optional)]
    selects: bool,
) -> impl IntoView {
    let is_first = address.get("page_token").is_none();
    if shown == 0 && is_first && next.is_none() {
        // What stands in the place of the rows says so.
        return ().into_any();
    }
    // Rows of one page: far below 2⁶³.
    let shown = i64::try_from(shown).unwrap_or(i64::MAX);
    let text = match total {
        Some(total) if is_first && next.is_none() => format::count(total, one, many),
        Some(total) => format!("{} of {}", format::integer(shown), format::count(total, one, many)),
        None if is_first && next.is_none() => format::count(shown, one, many),
        None => format!("{} on this page", format::count(shown, one, many)),
    };
    let has_pages = !is_first || next.is_some();
    let first = address.without("page_token").href();
    let next = next.map(|token| {
        let rest = address.without("page_token");
        rest.with("page_token", token).href()
    });
    view! {
        <nav class="pager" aria-label="Pages">
            <span>{text}</span>
            {keys
                .then(|| {
                    view! {
                        <span class="only-wide">
                            <kbd>"j"</kbd>" "<kbd>"k"</kbd>" move, "
                            {selects.then(|| view! { <kbd>"x"</kbd>" select, " })}
                            <kbd>"↵"</kbd>" open"
                        </span>
                    }
                })}
            {has_pages
                .then(|| {
                    view! {
                        <span class="push btn-group">
                            {if is_first {
                                view! { <span class="btn" aria-disabled="true">"First"</span> }.into_any()
                            } else {
                                view! { <a class="btn" href=first>"First"</a> }.into_any()
                            }}
                            {match next {
                                Some(href) => view! { <a class="btn" href=href rel="next">"Next"</a> }.into_any(),
                                None => view! { <span class="btn" aria-disabled="true">"Next"</span> }.into_any(),
                            }}
                        </span>
                    }
                })}
        </nav>
    }
    .into_any()
}

/// The one field that filters a list, with the rest of the address kept. `/` goes to it.
#[component]
pub fn FilterBar(
    /// What it filters, for those who hear the page.
    #[prop(into)]
    label: String,
    /// The page.
    address: Address,
    /// The field's name in the address.
    #[prop(default = "q")]
    name: &'static str,
    /// An example.
    #[prop(optional, into)]
    placeholder: Option<String>,
    /// Filters that may be meant, for browsers to complete from while one types.
    #[prop(optional)]
    suggestions: Vec<String>,
    /// What is wrong with the filter.
    #[prop(optional_no_strip)]
    error: Option<String>,
    /// Where in the filter that is: characters before that place.
    #[prop(optional_no_strip)]
    error_at: Option<usize>,
    /// Where it is asked what may stand at the cursor, where that is known.
    #[prop(optional, into)]
    completions: Option<String>,
    /// Buttons beside it.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let shown = error.as_ref().and(error_at).map(|at| pointed(address.get(name).unwrap_or_default(), at));
    let completes = completions.is_some();
    let value = address.get(name).unwrap_or_default().to_owned();
    let hidden: Vec<_> = address.others(&[name]).collect();
    let invalid = error.is_some().then_some("true");
    let describedby = error.is_some().then_some("filter-error");
    let list = (!suggestions.is_empty()).then_some("filter-suggestions");
    view! {
        <form class="filter" role="search" aria-label=label.clone() method="get" action=address.path().to_owned()>
            {field::hidden(hidden)}
            <div class="query complete" data-keep=completes.then_some("")>
                <Icon symbol=Symbol::Search/>
                <input
                    type="text"
                    id="filter"
                    name=name
                    value=value
                    placeholder=placeholder
                    aria-label=label.clone()
                    aria-invalid=invalid
                    aria-describedby=describedby
                    list=list
                    spellcheck="false"
                    autocomplete="off"
                    data-filter=""
                />
                {list
                    .map(|id| {
                        let options = suggestions.into_iter().map(|value| view! { <option value=value></option> });
                        view! { <datalist id=id>{options.collect_view()}</datalist> }
                    })}
                <kbd class="only-wide">"/"</kbd>
                {completes
                    .then(|| {
                        view! {
                            <div class="completions" id="filter-options" role="listbox" aria-label=label.clone() hidden=""></div>
                        }
                    })}
            </div>
            {completions
                .map(|search| view! { <Completion input="filter" list="filter-options" search then="go on"/> })}
            {children.map(|children| children())}
        </form>
        {error
            .map(|error| {
                view! {
                    <div class="filter-note error" id="filter-error" role="alert">
                        <Icon symbol=Symbol::Warn/>
                        <span>{error}</span>
                    </div>
                }
            })}
        {shown.map(|shown| view! { <pre class="pointed" aria-hidden="true">{shown}</pre> })}
    }
}

/// The most characters of a filter that are shown before and after a place.
const AROUND: usize = 40;

/// The part of a filter around a place, and a caret below the place.
fn pointed(filter: &str, at: usize) -> String {
    let start = at.saturating_sub(AROUND);
    let part: String =
        filter.chars().skip(start).take(2 * AROUND).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let (before, more) = if start > 0 { ("…", 1) } else { ("", 0) };
    format!("{before}{part}\n{}^", " ".repeat(at - start + more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    fn here() -> Address {
        Address::new(
            "/w/lab/models",
            [("q".to_owned(), "churn".to_owned()), ("page_token".to_owned(), "ab".to_owned())],
        )
    }

    #[test]
    fn a_head_turns_the_order_around() {
        let sort = Sort::parse("-started");
        let html = fragment(|| view! { <SortHead label="Started" key="started" address=here() sort num=true/> });
        assert!(html.contains(r#"aria-sort="descending""#), "{html}");
        assert!(html.contains("/w/lab/models?q=churn&amp;sort=started"), "{html}");
    }

    #[test]
    fn a_pager_leads_on_and_to_the_start() {
        let html = fragment(
            || view! { <Pager address=here() shown=24 total=412 next=Some("cd".into()) one="run" many="runs"/> },
        );
        assert!(html.contains("24 of 412 runs"), "{html}");
        assert!(html.contains(r#"href="/w/lab/models?q=churn""#), "{html}");
        assert!(html.contains("page_token=cd"), "{html}");
    }

    #[test]
    fn a_caret_stands_below_what_is_wrong() {
        assert_eq!(pointed("a == 1", 3), "a == 1\n   ^");
        assert_eq!(pointed("é == 1", 99), "…\n                                         ^".to_owned());
        let long = pointed(&"x".repeat(100), 50);
        assert_eq!(long.lines().map(|line| line.chars().count()).collect::<Vec<_>>(), [81, 42]);
    }

    #[test]
    fn a_filter_keeps_the_rest_of_the_address() {
        let address = here().with("sort", "-name");
        let html = fragment(|| view! { <FilterBar label="Filter models" address/> });
        assert!(html.contains(r#"type="hidden" name="sort" value="-name""#), "{html}");
        assert!(html.contains(r#"value="churn""#), "{html}");
        assert!(!html.contains("page_token"), "{html}");
    }
}
