//! A bundle for people: one page without scripts and without anything from elsewhere, that prints well.

use chain::{About, Event, Hash, Manifest, README, readme};
use chrono::{DateTime, SecondsFormat, Utc};
use domain::promotion::{Decision, DecisionVerdict, PromotionDetail, Verdict};
use std::fmt::Write as _;

/// How many events the page shows. All are in the file beside it.
const MOST: usize = 5000;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2024;--soft:#60646c;--line:#d9d9e0;--paper:#fff;--good:#1f7a4d;--bad:#b3261e}\
@media(prefers-color-scheme:dark){:root{--ink:#edeef0;--soft:#b0b4ba;--line:#363a3f;--paper:#111113;--good:#5bd197;--bad:#ff9592}}\
body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:72rem;background:var(--paper);color:var(--ink);\
font:14px/1.5 system-ui,sans-serif;font-variant-numeric:tabular-nums}\
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .25rem}h2{font-size:1rem;margin:2rem 0 .5rem}p{margin:.25rem 0}\
.soft{color:var(--soft)}code,pre{font:12px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.5rem;margin:.5rem 0}dt{color:var(--soft)}dd{margin:0}\
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;\
padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line)}th{color:var(--soft);font-weight:500}\
td.n{text-align:right}.pass{color:var(--good)}.fail{color:var(--bad)}pre{white-space:pre-wrap}\
@media(max-width:40rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}\
@media print{:root{--ink:#000;--soft:#444;--line:#bbb;--paper:#fff;--good:#000;--bad:#000}body{max-width:none;padding:0;font-size:10pt}\
thead{display:table-header-group}tr{break-inside:avoid}h2{break-after:avoid}}";

/// The page in the making: the rows of its events.
#[derive(Default)]
pub(super) struct Page {
    rows: String,
    shown: usize,
    left_out: usize,
}

impl Page {
    /// An event comes next.
    pub(super) fn event(&mut self, seq: i64, event: &Event, hash: &Hash) {
        if self.shown == MOST {
            self.left_out += 1;
            return;
        }
        self.shown += 1;
        let _ = write!(
            self.rows,
            "<tr><td class=\"n\">{seq}</td><td>{}</td><td>{}</td><td>{}<br><code class=\"soft\">{} · {}</code></td>\
             <td><code title=\"{hash}\">{}</code></td></tr>",
            moment(event.at),
            text(event.actor.name()),
            text(&event.summary),
            text(&event.action),
            text(&event.object.name),
            hash.short(),
        );
    }

    /// The whole page.
    pub(super) fn write<'a>(
        &self,
        manifest: &Manifest,
        promotion: Option<&PromotionDetail>,
        decisions: impl Iterator<Item = &'a Decision>,
    ) -> String {
        let workspace = &manifest.workspace;
        let (title, lead) = match (&manifest.about, promotion) {
            (About::Promotion { number, .. }, Some(detail)) => {
                (format!("Promotion #{number}"), text(&detail.promotion.title()))
            }
            (About::Promotion { number, .. }, None) => (format!("Promotion #{number}"), String::new()),
            (About::Period { from, to }, _) => {
                ("History".to_owned(), format!("{} up to {}", moment(*from), moment(*to)))
            }
        };
        let name = text(&workspace.name);
        let mut out = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <title>Audit bundle: {title}, {name}</title><style>{STYLE}</style></head><body>\
             <h1>{title}</h1><p class=\"soft\">Audit bundle of the workspace {name}. {lead}</p>"
        );
        facts(&mut out, manifest);
        if let Some(detail) = promotion {
            decided_on(&mut out, detail);
        }
        decided(&mut out, decisions);
        let _ = write!(
            out,
            "<h2>Events <span class=\"soft\">{}</span></h2><div class=\"wide\"><table><thead><tr><th>Entry</th><th>When</th>\
             <th>Who</th><th>What</th><th>Hash</th></tr></thead><tbody>{}</tbody></table></div>",
            manifest.events, self.rows
        );
        if self.left_out > 0 {
            let _ = write!(out, "<p class=\"soft\">{} more are in events.jsonl.</p>", self.left_out);
        }
        if manifest.undisclosed > 0 {
            let _ = write!(
                out,
                "<p class=\"soft\">{} entries of the chain are about something else. Their digests are in events.jsonl, so \
                 that the chain can be followed; what they say is not here.</p>",
                manifest.undisclosed
            );
        }
        let _ = write!(
            out,
            "<h2>What this proves</h2><p class=\"soft\">The same as {README}. This page is for reading: to prove anything, run \
             slipway verify on the bundle.</p><pre>{}</pre></body></html>",
            text(&readme(manifest.key.is_some()))
        );
        out
    }
}

fn facts(out: &mut String, manifest: &Manifest) {
    let signed = match (&manifest.key, &manifest.checkpoint) {
        (Some(key), Some(checkpoint)) => {
            format!("by the key <code>{}</code>, head of {}", key.id(), moment(checkpoint.at))
        }
        (Some(key), None) => format!("by the key <code>{}</code>", key.id()),
        (None, _) => "no: the server had no key".to_owned(),
    };
    let entries = if manifest.start.seq == manifest.head.seq {
        "none".to_owned()
    } else {
        format!("{} to {}", manifest.start.seq + 1, manifest.head.seq)
    };
    let _ = write!(
        out,
        "<dl><dt>Made</dt><dd>{}, by {}</dd><dt>Entries</dt><dd>{entries}</dd><dt>Head</dt><dd>entry {}, \
         <code>{}</code></dd><dt>Signed</dt><dd>{signed}</dd></dl>",
        moment(manifest.made_at),
        text(&manifest.made_by),
        manifest.head.seq,
        manifest.head.hash
    );
}

fn decided_on(out: &mut String, detail: &PromotionDetail) {
    let promotion = &detail.promotion;
    let digest = promotion.subject_digest.as_ref().map_or("–", domain::Digest::as_str);
    let policies: Vec<String> = detail
        .policies
        .policies()
        .iter()
        .map(|policy| format!("{}, <code>{}</code>", text(&policy.title()), policy.digest))
        .collect();
    let _ = write!(
        out,
        "<h2>What was decided on</h2><dl><dt>State</dt><dd>{}</dd><dt>Requested</dt><dd>by {}, {}</dd>\
         <dt>Subject</dt><dd><code>{digest}</code></dd><dt>Policies</dt><dd>{}</dd></dl>",
        text(&format!("{} {}", promotion.state.describe(), promotion.state_reason)),
        text(&promotion.requester),
        moment(promotion.created_at),
        policies.join("<br>")
    );
    if !promotion.comment.is_empty() {
        let _ = write!(out, "<p>{}</p>", text(&promotion.comment));
    }
    out.push_str(
        "<h2>Gates</h2><div class=\"wide\"><table><thead><tr><th>Gate</th><th>Verdict</th><th>Measured</th><th>Limit</th>\
         <th>Why</th></tr></thead><tbody>",
    );
    for gate in &detail.gates {
        let (class, word) = match gate.verdict() {
            Verdict::Pass => ("pass", "passes"),
            Verdict::Fail => ("fail", "fails"),
            Verdict::Inconclusive => ("fail", "cannot tell"),
            _ => ("soft", "not yet"),
        };
        let finding = gate.finding.as_ref();
        let part = |part: Option<&String>| part.map_or_else(String::new, |part| text(part));
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"{class}\">{word}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            text(&gate.spec.title()),
            part(finding.map(|finding| &finding.measured)),
            part(finding.map(|finding| &finding.limit)),
            part(finding.map(|finding| &finding.reason)),
        );
    }
    out.push_str("</tbody></table></div>");
}

fn decided<'a>(out: &mut String, decisions: impl Iterator<Item = &'a Decision>) {
    out.push_str(
        "<h2>Decisions</h2><div class=\"wide\"><table><thead><tr><th>When</th><th>Who</th><th>Verdict</th><th>On the subject</th>\
         <th>Why</th></tr></thead><tbody>",
    );
    let before = out.len();
    for decision in decisions {
        let class = if decision.verdict == DecisionVerdict::Approve { "pass" } else { "fail" };
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"{class}\">{}</td><td><code>{}</code></td><td>{}</td></tr>",
            moment(decision.at),
            text(&decision.user_name),
            decision.verdict.past(),
            decision.subject_digest.short(),
            text(&decision.comment),
        );
    }
    if out.len() == before {
        out.push_str("<tr><td colspan=\"5\" class=\"soft\">None.</td></tr>");
    }
    out.push_str("</tbody></table></div>");
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true).replace('T', " ")
}

/// What somebody wrote, as text of the page.
fn text(written: &str) -> String {
    written.chars().fold(String::with_capacity(written.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('\n'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn what_somebody_wrote_is_never_markup() {
        assert_eq!(text("<a href=\"x\">&'\u{0}\n"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39; \n");
    }
}
