//! A log in its panel: the lines that are there, and while it goes on the `LiveLog` island, which appends the rest.

use super::{
    icon::{Icon, Symbol},
    time::from_ms,
};
use crate::{ansi, format, islands::LiveLog};
use domain::log::{LogLine, LogStream};
use leptos::prelude::*;

/// A line: its number is a link to it.
#[component]
pub fn LogRow(
    /// The line.
    line: LogLine,
) -> impl IntoView {
    let class = match line.stream {
        LogStream::Sys => Some("sys"),
        _ if ansi::is_alarming(&line.text) => Some("err"),
        _ => None,
    };
    let at = from_ms(line.at_ms);
    view! {
        <li id=format!("L{}", line.number) class=class>
            <a href=format!("#L{}", line.number)>{line.number}</a>
            <time title=format::exact(at)>{at.format("%H:%M:%S").to_string()}</time>
            <span>
                {ansi::spans(&line.text)
                    .into_iter()
                    .map(|span| {
                        if span.class.is_empty() {
                            span.text.into_any()
                        } else {
                            view! { <span class=span.class>{span.text}</span> }.into_any()
                        }
                    })
                    .collect_view()}
            </span>
        </li>
    }
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
    /// Its last lines.
    lines: Vec<LogLine>,
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
    let earlier = lines.first().map_or(0, |line| line.number - 1);
    let nothing = lines.is_empty() && events.is_none();
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
                <span class="note n push wide" data-log-count="">{format::count(total, "line", "lines")}</span>
                <label class="check log-option wide">
                    <input type="checkbox" checked autocomplete="off" data-class="untimed" data-off=""/>
                    "Times"
                </label>
                <label class="check log-option wide">
                    <input type="checkbox" autocomplete="off" data-class="wrap"/>
                    "Wrap"
                </label>
                {events
                    .as_ref()
                    .map(|_| view! { <button class="btn ghost" type="button" data-follow="" hidden>"Pause"</button> })}
                <a class="btn ghost" href=raw.clone()>"Raw"</a>
            </header>
            {if nothing {
                view! { <div class="empty"><p>{empty}</p></div> }.into_any()
            } else {
                view! {
                    <div class="log" tabindex="0" role="log" aria-label="Lines" aria-live="off" data-last=last.to_string()>
                        {(earlier > 0)
                            .then(|| {
                                view! {
                                    <p class="gap">
                                        {format::count(earlier, "earlier line is", "earlier lines are")}" in the "
                                        <a href=raw>"whole log"</a>
                                    </p>
                                }
                            })}
                        <ol>{lines.into_iter().map(|line| view! { <LogRow line/> }).collect_view()}</ol>
                    </div>
                }
                    .into_any()
            }}
            {events.map(|events| view! { <LiveLog log=id.clone() events/> })}
        </section>
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

    #[test]
    fn a_long_log_says_where_the_rest_is() {
        let lines = vec![LogLine { number: 4001, at_ms: 0, stream: LogStream::Err, text: "x".into() }];
        let html = fragment(|| {
            view! { <LogPanel id="log" title="Log of train" lines total=4001 raw="/raw" events=Some("/events".to_owned()) empty="Nothing yet."/> }
        });
        assert!(html.contains("4,000 earlier lines are"), "{html}");
        assert!(html.contains(r#"data-last="4001""#), "{html}");
    }
}
