//! A log in its panel: the lines that are there, a field to search it, and while it goes on the `LiveLog` island, which
//! appends the rest. Which part of it is shown is in the address; what the page holds, `ui.ts` searches while one types.

use super::{
    field,
    icon::{Icon, Symbol},
    query::Address,
    time::from_ms,
};
use crate::{addresses, ansi, format, islands::LiveLog};
use domain::log::{LogLine, LogStream, found};
use leptos::prelude::*;

/// Which lines of a log a page shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LogPart {
    /// The last ones.
    #[default]
    End,
    /// Those around this one.
    Around(i64),
    /// Those with a text in them.
    Found {
        /// The text.
        text: String,
        /// It was searched up to this line.
        up_to: i64,
    },
}

/// A line: its number is a link to it.
#[component]
pub fn LogRow(
    /// The line.
    line: LogLine,
    /// Where its number leads, when that is not within the page.
    #[prop(optional_no_strip)]
    href: Option<String>,
    /// What was searched for.
    #[prop(optional)]
    find: String,
    /// Whether it is the one that was asked for.
    #[prop(optional)]
    is_asked: bool,
) -> impl IntoView {
    let class = match line.stream {
        _ if is_asked => Some("hit"),
        LogStream::Sys => Some("sys"),
        _ if ansi::is_alarming(&line.text) => Some("err"),
        _ => None,
    };
    let at = from_ms(line.at_ms);
    view! {
        <li id=format!("L{}", line.number) class=class>
            <a href=href.unwrap_or_else(|| format!("#L{}", line.number))>{line.number}</a>
            <time title=format::exact(at)>{at.format("%H:%M:%S").to_string()}</time>
            <span>{marked(&line.text, &find)}</span>
        </li>
    }
}

/// The text of a line in its colours, with its addresses as links and what was searched for marked. What is found may be in
/// several colours, and partly in an address.
fn marked(text: &str, find: &str) -> impl IntoView + use<> {
    let parts = addresses::parts(text);
    let whole: String = parts.iter().flat_map(|part| &part.spans).map(|span| span.text.as_str()).collect();
    let hits = found(&whole, find);
    let mut from = 0;
    let mut shown = Vec::new();
    for part in parts {
        let mut pieces = Vec::new();
        for span in part.spans {
            let mut cuts = vec![0, span.text.len()];
            cuts.extend(hits.iter().flat_map(|hit| [hit.start, hit.end]).filter_map(|at| at.checked_sub(from)));
            cuts.retain(|at| *at <= span.text.len());
            cuts.sort_unstable();
            for pair in cuts.windows(2).filter(|pair| pair[0] < pair[1]) {
                let piece = span.text[pair[0]..pair[1]].to_owned();
                let is_hit = hits.iter().any(|hit| hit.contains(&(from + pair[0])));
                pieces.push(match (is_hit, span.class.is_empty()) {
                    (false, true) => piece.into_any(),
                    (false, false) => view! { <span class=span.class.clone()>{piece}</span> }.into_any(),
                    (true, _) => view! { <mark class=span.class.clone()>{piece}</mark> }.into_any(),
                });
            }
            from += span.text.len();
        }
        shown.push(match part.address {
            Some(address) => view! { <a href=address rel=addresses::REL>{pieces}</a> }.into_any(),
            None => pieces.into_any(),
        });
    }
    shown
}

/// A log in a panel.
#[component]
pub fn LogPanel(
    /// Its id, unique in the page.
    #[prop(into)]
    id: String,
    /// Whose log it is.
    #[prop(into)]
    title: String,
    /// The page: `find` searches the log, from the line after `find_after` on, and `line` shows what is around a line.
    address: Address,
    /// The lines that are shown.
    lines: Vec<LogLine>,
    /// Which they are.
    #[prop(optional)]
    part: LogPart,
    /// How many lines it has in all.
    total: i64,
    /// Where the whole log is, as text.
    #[prop(into)]
    raw: String,
    /// The stream of what follows, while it goes on.
    #[prop(optional_no_strip)]
    events: Option<String>,
    /// What to say while there are no lines.
    #[prop(into)]
    empty: String,
) -> impl IntoView {
    let heading = format!("h-{id}");
    let last = lines.last().map_or(0, |line| line.number);
    let first = lines.first().map_or(1, |line| line.number);
    let rest = address.dropping(&["find", "find_after", "line"]);
    let goes_on = events.is_some();
    // New lines are put below those of the end alone.
    let events = events.filter(|_| part == LogPart::End);
    let nothing = total == 0 && events.is_none();
    let is_end = part == LogPart::End;
    let is_whole = is_end && first == 1;
    // An address of a line that is not on the page; the script puts the number at its end.
    let elsewhere = rest.with("line", "").href();
    let to = |line: i64| format!("{}#L{line}", rest.with("line", line.to_string()).href());
    let follow = format!("{}#{id}", rest.href());
    let bar = (!nothing).then(|| {
        view! { <Bar id=id.clone() rest=rest.clone() part=part.clone() shown=lines.len() total is_whole elsewhere/> }
    });
    let (above, below) = match &part {
        LogPart::End => {
            let hidden = format::count(first - 1, "earlier line", "earlier lines");
            ((first > 1).then(|| Gap { before: "", link: hidden, href: to(first - 1), after: "" }), None)
        }
        LogPart::Around(_) => {
            let earlier = Gap { before: "", link: "Earlier lines".to_owned(), href: to((first - 1).max(1)), after: "" };
            let later = Gap { before: "", link: "Later lines".to_owned(), href: to(last + 1), after: "" };
            ((first > 1).then_some(earlier), (last < total).then_some(later))
        }
        LogPart::Found { text, up_to } => {
            let on = rest.with("find", text.clone()).with("find_after", up_to.to_string()).href();
            let searched = Gap { before: "", link: "Search on".to_owned(), href: on, after: " after line " };
            (None, (*up_to < total).then_some(searched))
        }
    };
    let after = match &part {
        LogPart::Found { up_to, .. } => format::integer(*up_to),
        _ => String::new(),
    };
    let gap = move |gap: Option<Gap>| {
        gap.map(|Gap { before, link, href, after: words }| {
            let number = if words.is_empty() { String::new() } else { after.clone() };
            view! { <p class="gap">{before}<a href=href>{link}</a>{words}{number}</p> }
        })
    };
    let (above, below) = (gap.clone()(above), gap(below));
    let (find, asked) = match &part {
        LogPart::Found { text, .. } => (text.clone(), None),
        LogPart::Around(line) => (String::new(), Some(*line)),
        LogPart::End => (String::new(), None),
    };
    let is_empty = lines.is_empty();
    let rows = lines
        .into_iter()
        .map(|line| {
            let href = (!find.is_empty()).then(|| to(line.number));
            let is_asked = asked == Some(line.number);
            view! { <LogRow line href find=find.clone() is_asked/> }
        })
        .collect_view();
    view! {
        <section class="panel" id=id.clone() aria-labelledby=heading.clone() data-keep="">
            <header>
                <h2 id=heading.clone()>{title}</h2>
                {events
                    .as_ref()
                    .map(|_| {
                        view! {
                            <span class="state" data-s="run" data-log-state="">
                                <Icon symbol=Symbol::Run spin=true/>
                                <span>"Goes on"</span>
                            </span>
                        }
                    })}
                <span class="note n push" data-log-count="">{format::count(total, "line", "lines")}</span>
                {events
                    .as_ref()
                    .map(|_| view! { <button class="btn ghost" type="button" data-follow="" hidden>"Pause"</button> })}
                {(part != LogPart::End)
                    .then(|| {
                        let word = if goes_on { "Follow" } else { "To its end" };
                        view! { <a class="btn ghost" href=follow>{word}</a> }
                    })}
                <a class="btn ghost" href=raw>"Raw"</a>
            </header>
            {bar}
            {if nothing || (is_empty && !find.is_empty()) {
                let why = if nothing { empty } else { format!("No line has “{find}” in it.") };
                view! { <div class="empty"><p>{why}</p>{below}</div> }.into_any()
            } else {
                view! {
                    <div class="log" tabindex="0" role="log" aria-label="Lines" aria-live="off" data-last=last.to_string() data-end=is_end.then_some("")>
                        {above}
                        <ol>{rows}</ol>
                        {below}
                    </div>
                }
                    .into_any()
            }}
            {events.map(|events| view! { <LiveLog log=id.clone() events/> })}
        </section>
    }
}

/// A line between lines that says how to get to others.
#[derive(Clone)]
struct Gap {
    before: &'static str,
    link: String,
    href: String,
    after: &'static str,
}

/// The field that searches, and how lines are shown.
#[component]
fn Bar(
    id: String,
    rest: Address,
    part: LogPart,
    shown: usize,
    total: i64,
    is_whole: bool,
    elsewhere: String,
) -> impl IntoView {
    let hidden: Vec<_> = rest.others(&[]).collect();
    let (value, hits) = match &part {
        LogPart::Found { text, up_to } => {
            let lines = format::count(i64::try_from(shown).unwrap_or(i64::MAX), "line", "lines");
            let of = if *up_to < total { format!(" up to line {}", format::integer(*up_to)) } else { String::new() };
            (text.clone(), format!("{lines}{of}"))
        }
        _ => (String::new(), String::new()),
    };
    let clear = matches!(part, LogPart::Found { .. }).then(|| {
        let href = format!("{}#{id}", rest.href());
        view! { <a href=href>"Show all"</a> }
    });
    view! {
        <form
            class="log-bar"
            role="search"
            aria-label="Search the log"
            method="get"
            action=format!("{}#{id}", rest.path())
            data-log-search=""
            data-whole=is_whole.then_some("")
            data-elsewhere=elsewhere
        >
            {field::hidden(hidden)}
            <div class="query">
                <Icon symbol=Symbol::Search/>
                <input
                    type="search"
                    name="find"
                    value=value
                    aria-label="Search the log"
                    placeholder="Search the log"
                    maxlength="200"
                    spellcheck="false"
                    autocomplete="off"
                    data-find=""
                />
            </div>
            <span class="btn-group js">
                <button class="btn" type="button" data-hit="-1" aria-label="Hit before this one"><Icon symbol=Symbol::ChevronUp/></button>
                <button class="btn" type="button" data-hit="1" aria-label="Next hit"><Icon symbol=Symbol::ChevronDown/></button>
            </span>
            <button class="btn" type="submit">{if is_whole { "Find" } else { "Search all of it" }}</button>
            <output class="muted" data-found="">{hits}</output>
            {clear}
            <span class="push options js">
                <label class="check"><input type="checkbox" checked autocomplete="off" data-class="untimed" data-off=""/>"Times"</label>
                <label class="check"><input type="checkbox" autocomplete="off" data-class="wrap"/>"Wrap"</label>
                <label class="check"><input type="checkbox" autocomplete="off" data-class="alarming"/>"Only warnings"</label>
            </span>
        </form>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    #[test]
    fn a_line_can_be_linked_to_and_keeps_its_colours() {
        let line = LogLine {
            number: 7,
            at_ms: 28_262_000,
            stream: LogStream::Out,
            text: "\u{1b}[33mWARN\u{1b}[0m <odd>".into(),
        };
        let html = fragment(|| view! { <LogRow line/> });
        assert_eq!(
            html,
            r##"<li id="L7" class="err"><a href="#L7">7</a><time title="Thu 1 Jan 1970, 07:51:02 UTC">07:51:02</time><span><span class="y">WARN</span> &lt;odd&gt;</span></li>"##
        );
    }

    fn line(number: i64, text: &str) -> LogLine {
        LogLine { number, at_ms: 0, stream: LogStream::Err, text: text.into() }
    }

    fn panel(lines: Vec<LogLine>, part: LogPart) -> String {
        let address = Address::new("/run", [("step".to_owned(), "a".to_owned()), ("find".to_owned(), "x".to_owned())]);
        fragment(|| {
            view! { <LogPanel id="log" title="Log of train" address lines part total=4001 raw="/raw" events=Some("/events".to_owned()) empty="Nothing yet."/> }
        })
    }

    #[test]
    fn a_long_log_says_where_the_rest_is() {
        let html = panel(vec![line(4001, "x")], LogPart::End);
        assert!(html.contains(r#"<a href="/run?step=a&amp;line=4000#L4000">4,000 earlier lines</a>"#), "{html}");
        assert!(html.contains(r#"data-last="4001""#) && html.contains("leptos-island"), "{html}");
    }

    #[test]
    fn what_was_found_is_marked_across_colours_and_leads_to_its_place() {
        let part = LogPart::Found { text: "Loss".into(), up_to: 4000 };
        let html = panel(vec![line(7, "the \u{1b}[31mlo\u{1b}[0mss <0.5>")], part);
        assert!(html.contains(r#"the <mark class="r">lo</mark><mark class="">ss</mark> &lt;0.5&gt;"#), "{html}");
        assert!(html.contains(r#"<a href="/run?step=a&amp;line=7#L7">7</a>"#), "{html}");
        assert!(html.contains("find_after=4000") && !html.contains("leptos-island"), "{html}");
        let none = panel(Vec::new(), LogPart::Found { text: "Loss".into(), up_to: 4001 });
        assert!(none.contains("No line has “Loss” in it."), "{none}");
    }

    #[test]
    fn an_address_is_a_link_and_what_is_found_in_it_is_marked() {
        let part = LogPart::Found { text: "example".into(), up_to: 4001 };
        let html = panel(vec![line(7, "see \u{1b}[34mhttps://example.com/?a=1&b=2\u{1b}[0m.")], part);
        let link = r#"see <a href="https://example.com/?a=1&amp;b=2" rel="noopener noreferrer nofollow"><span class="b">https://</span><mark class="b">example</mark><span class="b">.com/?a=1&amp;b=2</span></a>."#;
        assert!(html.contains(link), "{html}");
        let html = panel(vec![line(7, "javascript://example.com/%0aalert(1)")], LogPart::End);
        assert!(!html.contains("href=\"javascript"), "{html}");
    }

    #[test]
    fn around_a_line_one_gets_on_in_both_directions() {
        let html = panel(vec![line(10, "a"), line(11, "b")], LogPart::Around(11));
        assert!(html.contains(r#"<li id="L11" class="hit">"#), "{html}");
        assert!(html.contains("line=9#L9") && html.contains("line=12#L12"), "{html}");
    }
}
