//! Two versions of a model beside each other: all that is different, and what it means.

use super::signature::shape;
use crate::{format, ui::prelude::*};
use domain::{
    model::SignatureField,
    policy::Better,
    version_diff::{FileDiff, MetricDiff, ValueDiff, VersionDiff, VersionSide},
};
use leptos::prelude::*;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct ComparePage {
    /// The model's name.
    pub model: String,
    /// The numbers that were asked for, as they were typed.
    pub asked: (String, String),
    /// The two, and what is different; else why there is nothing.
    pub compared: Result<Box<(VersionSide, VersionSide, VersionDiff)>, String>,
}

/// Two versions beside each other.
#[component]
pub fn Compare(
    /// The addresses of the workspace.
    links: Links,
    /// What it shows.
    page: ComparePage,
) -> impl IntoView {
    let ComparePage { model, asked, compared } = page;
    let title = match &compared {
        Ok(both) => format!("v{} → v{}", both.0.version.version, both.1.version.version),
        Err(_) => "Compare versions".to_owned(),
    };
    view! {
        <Crumbs items=vec![
            Crumb::to("Models", links.models()),
            Crumb::to(model.clone(), links.model(&model)),
            Crumb::here("Compare"),
        ]/>
        <PageHead title=view! { <span class="breaks">{model.clone()}</span>" "<span class="mono">{title}</span> }.into_any()/>
        <Which links=links.clone() model=model.clone() asked/>
        {match compared {
            Ok(both) => {
                let (a, b, diff) = *both;
                view! { <Both links model a b diff/> }.into_any()
            }
            Err(why) => view! { <div class="mt-4"><Callout>{why}</Callout></div> }.into_any(),
        }}
    }
}

/// The form that asks for two.
#[component]
fn Which(links: Links, model: String, asked: (String, String)) -> impl IntoView {
    let action = format!("{}/versions/compare", links.model(&model));
    let turn = format!("{action}?a={}&b={}", crate::ui::query::encode(&asked.1), crate::ui::query::encode(&asked.0));
    let can_turn = !asked.0.is_empty() && !asked.1.is_empty();
    view! {
        <form class="as-of mt-2" method="get" action=action>
            <label for="a">"From version"</label>
            <input class="input" id="a" name="a" type="number" min="1" required=true value=asked.0/>
            <label for="b">"to"</label>
            <input class="input" id="b" name="b" type="number" min="1" required=true value=asked.1/>
            <Button text="Compare"/>
            {can_turn.then(|| view! { <ButtonLink text="Turn around" href=turn kind=Kind::Ghost symbol=Symbol::Redo/> })}
        </form>
    }
}

fn better(metric: &MetricDiff) -> Meaning {
    match (metric.a, metric.b) {
        (Some(a), Some(b)) => Meaning::of(a, b, metric.better),
        _ => Meaning::Plain,
    }
}

fn count(n: usize, one: &str, many: &str) -> String {
    format::count(i64::try_from(n).unwrap_or(i64::MAX), one, many)
}

/// The strip of answers: what is different at all.
fn answers(a: &VersionSide, b: &VersionSide, diff: &VersionDiff) -> Vec<Answer> {
    let answer = |question: &str, value: String, reason: String, href: &str| Answer {
        question: question.to_owned(),
        value: value.into_any(),
        reason: reason.into_any(),
        href: href.to_owned(),
    };
    let how = |meaning: Meaning| diff.metrics.iter().filter(|metric| better(metric) == meaning).count();
    let (up, down) = (how(Meaning::Better), how(Meaning::Worse));
    let moved = diff.metrics.iter().filter(|metric| metric.a != metric.b).count();
    let metrics = match (diff.metrics.is_empty(), up + down) {
        (true, _) => ("None known".to_owned(), "neither run logged any".to_owned()),
        (false, 0) => {
            (format!("{moved} of {} moved", diff.metrics.len()), "no gate says which way is better".to_owned())
        }
        (false, _) => (format!("{up} better, {down} worse"), format!("{moved} of {} moved", diff.metrics.len())),
    };
    let params = diff.params.iter().filter(|param| param.differs()).count();
    let signature = if !diff.has_signature {
        ("Not known".to_owned(), "neither has one".to_owned())
    } else if diff.signature.is_empty() {
        ("The same".to_owned(), "callers need no change".to_owned())
    } else {
        (count(diff.signature.len(), "field differs", "fields differ"), "callers may have to change".to_owned())
    };
    let files = if a.version.digest.is_some() && a.version.digest == b.version.digest {
        ("The same".to_owned(), "one digest".to_owned())
    } else {
        (count(diff.files.len(), "file differs", "files differ"), count(diff.same_files, "is the same", "are the same"))
    };
    let data = diff.datasets.iter().filter(|data| data.differs()).count();
    let data = match (diff.datasets.is_empty(), data) {
        (true, _) => ("Not known".to_owned(), "no run named any".to_owned()),
        (false, 0) => ("The same".to_owned(), count(diff.datasets.len(), "data set", "data sets")),
        (false, n) => (count(n, "set differs", "sets differ"), format!("of {}", diff.datasets.len())),
    };
    vec![
        answer("Metrics", metrics.0, metrics.1, "#metrics"),
        answer("Params", format!("{params} differ"), format!("of {}", diff.params.len()), "#params"),
        answer("Data", data.0, data.1, "#data"),
        answer("Signature", signature.0, signature.1, "#signature"),
        answer("Files", files.0, files.1, "#files"),
    ]
}

#[component]
fn Both(links: Links, model: String, a: VersionSide, b: VersionSide, diff: VersionDiff) -> impl IntoView {
    let names = (format!("v{}", a.version.version), format!("v{}", b.version.version));
    let items = answers(&a, &b, &diff);
    view! {
        <Answers label="What is different" id="answers" items/>
        <div class="stack mt-4">
            <Sides links=links.clone() model a b/>
            <Metrics names=names.clone() metrics=diff.metrics/>
            <div class="cols">
                <Params names=names.clone() params=diff.params/>
                <Origin names=names.clone() code=diff.code code_compare=diff.code_compare datasets=diff.datasets removed=diff.flavors_removed added=diff.flavors_added/>
            </div>
            <Fields names=names.clone() fields=diff.signature has=diff.has_signature/>
            <Files names files=diff.files same=diff.same_files/>
            {diff
                .environment
                .into_iter()
                .map(|file| {
                    let (added, removed) = (file.diff.added, file.diff.removed);
                    view! {
                        <Panel
                            title=file.path.clone()
                            id=format!("text-{}", file.path.replace('.', "-"))
                            note="what it needs to run"
                            lead=view! { <DiffCount added removed/> }.into_any()
                        >
                            <Diff diff=file.diff label=format!("Changes of {}", file.path)/>
                        </Panel>
                    }
                })
                .collect_view()}
        </div>
    }
}

/// The two themselves.
#[component]
fn Sides(links: Links, model: String, a: VersionSide, b: VersionSide) -> impl IntoView {
    let row = |side: VersionSide| {
        let version = side.version;
        let none = version.aliases.is_empty().then(|| view! { <span class="none">"–"</span> });
        let aliases =
            version.aliases.iter().map(|alias| view! { <Tag text=format!("@{alias}") mono=true/> }).collect_view();
        let run = match (side.run, version.run_id) {
            (Some(run), _) => view! { <a class="ellipsis" href=links.run(&run.info.id)>{run.info.name}</a> }.into_any(),
            (None, _) => view! { <span class="none">"–"</span> }.into_any(),
        };
        view! {
            <tr>
                <th scope="row"><a class="strong mono" href=links.version(&model, version.version)>{format!("v{}", version.version)}</a></th>
                <td>{none}<span class="tags">{aliases}</span></td>
                <td>{run}</td>
                <td><Maybe text=Some(version.flavors.join(", "))/></td>
                <td>{match version.digest {
                    Some(digest) => view! { <DigestText digest/> }.into_any(),
                    None => view! { <span class="none">"–"</span> }.into_any(),
                }}</td>
                <td class="num">{format::bytes(version.size.unsigned_abs())}</td>
                <td><When at=version.created_at/></td>
            </tr>
        }
    };
    let rows = vec![row(a), row(b)];
    view! {
        <Table label="The two versions">
            <thead>
                <tr>
                    <Head label="Version"/>
                    <Head label="Aliases"/>
                    <Head label="Run"/>
                    <Head label="Flavours"/>
                    <Head label="Digest"/>
                    <Head label="Size" num=true/>
                    <Head label="Registered"/>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </Table>
    }
}

#[component]
fn Metrics(names: (String, String), metrics: Vec<MetricDiff>) -> impl IntoView {
    let total = metrics.len();
    let rows = metrics
        .into_iter()
        .take(300)
        .map(|metric| {
            view! {
                <tr>
                    <th scope="row"><span class="mono strong">{metric.key}</span>" "<span class="muted">{metric.better.map(Better::words)}</span></th>
                    <td class="num"><Num value=metric.a/></td>
                    <td class="num strong"><Num value=metric.b/></td>
                    <td class="num"><Difference from=metric.a to=metric.b better=metric.better/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="Metrics of their runs" id="metrics" note=count(total, "metric", "metrics")>
            {if total == 0 {
                view! { <Body><p class="muted">"No run is known of either, or they logged no metrics."</p></Body> }.into_any()
            } else {
                view! {
                    <Table label="Metrics">
                        <thead>
                            <tr>
                                <Head label="Metric"/>
                                <Head label=names.0 num=true/>
                                <Head label=names.1 num=true/>
                                <Head label="Difference" num=true/>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </Table>
                }
                    .into_any()
            }}
        </Panel>
    }
}

/// A value that changed: what it was, and what it is. Without one, a dash.
#[component]
pub(in crate::pages) fn Was(diff: ValueDiff) -> impl IntoView {
    let short = |text: String| -> String {
        if text.chars().count() > 80 { format!("{}…", text.chars().take(79).collect::<String>()) } else { text }
    };
    let side = |text: Option<String>| text.filter(|text| !text.is_empty()).map_or_else(|| "none".to_owned(), short);
    if diff.differs() {
        view! { <s>{side(diff.a)}</s>" → "<b>{side(diff.b)}</b> }.into_any()
    } else {
        side(diff.a).into_any()
    }
}

#[component]
pub(in crate::pages) fn Params(names: (String, String), params: Vec<ValueDiff>) -> impl IntoView {
    let (changed, same): (Vec<ValueDiff>, Vec<ValueDiff>) = params.into_iter().partition(ValueDiff::differs);
    let note = format!("{} of {} differ", changed.len(), changed.len() + same.len());
    let none = changed.is_empty() && same.is_empty();
    let no_change = changed.is_empty() && !same.is_empty();
    let unchanged = same.len();
    let facts = |all: Vec<ValueDiff>| {
        all.into_iter()
            .take(300)
            .map(|diff| view! { <Fact name=diff.name.clone() mono=true><Was diff/></Fact> })
            .collect_view()
    };
    let (changed, same) = (facts(changed), facts(same));
    view! {
        <Panel title="Params" id="params" note>
            <Body>
                <p class="sr">{format!("From {} to {}", names.0, names.1)}</p>
                {none.then(|| view! { <p class="muted">"Neither run logged any."</p> })}
                {no_change.then(|| view! { <p class="muted">"All are the same."</p> })}
                <Facts small=true>{changed}</Facts>
                {(unchanged > 0)
                    .then(|| {
                        view! {
                            <details class="same">
                                <summary>{format!("{unchanged} the same")}</summary>
                                <Facts small=true>{same}</Facts>
                            </details>
                        }
                    })}
            </Body>
        </Panel>
    }
}

/// Data, code and flavours.
#[component]
pub(in crate::pages) fn Origin(
    names: (String, String),
    code: Option<ValueDiff>,
    code_compare: Option<String>,
    datasets: Vec<ValueDiff>,
    removed: Vec<String>,
    added: Vec<String>,
) -> impl IntoView {
    let none = datasets.is_empty();
    let data = datasets
        .into_iter()
        .take(50)
        .map(|diff| view! { <Fact name=diff.name.clone()><span class="mono"><Was diff/></span></Fact> })
        .collect_view();
    let code = match code {
        Some(diff) => {
            let short = |text: Option<String>| text.map(|text| text.chars().take(10).collect::<String>());
            let diff = ValueDiff { a: short(diff.a), b: short(diff.b), ..diff };
            let link = code_compare.map(|href| {
                view! { " "<span class="text"><a href=href rel="noreferrer">"Compare"</a></span> }
            });
            view! { <span class="mono"><Was diff/></span>{link} }.into_any()
        }
        None => view! { <span class="muted">"No run names a commit."</span> }.into_any(),
    };
    let flavors = if removed.is_empty() && added.is_empty() {
        view! { <span class="muted">"The same"</span> }.into_any()
    } else {
        let gone = removed.into_iter().map(|name| view! { <s>{name}</s>" " }).collect_view();
        let come = added.into_iter().map(|name| view! { <b>{format!("+{name} ")}</b> }).collect_view();
        view! { {gone}{come} }.into_any()
    };
    view! {
        <Panel title="Data, code and flavours" id="data" note=format!("{} → {}", names.0, names.1)>
            <Body>
                <Facts small=true>
                    {none.then(|| view! { <Fact name="Data"><span class="muted">"No run named a data set."</span></Fact> })}
                    {data}
                    <Fact name="Commit">{code}</Fact>
                    <Fact name="Flavours">{flavors}</Fact>
                </Facts>
            </Body>
        </Panel>
    }
}

#[component]
pub(in crate::pages) fn Fields(
    names: (String, String),
    fields: Vec<domain::version_diff::FieldDiff>,
    has: bool,
) -> impl IntoView {
    let text = |field: &SignatureField| match shape(field) {
        Some(shape) => format!("{} {shape}", field.dtype),
        None => field.dtype.clone(),
    };
    let none = fields.is_empty();
    let note = if none { String::new() } else { count(fields.len(), "change", "changes") };
    let rows = fields
        .into_iter()
        .take(300)
        .map(|field| {
            let word = change(&field.a, &field.b);
            view! {
                <tr>
                    <td class="muted">{if field.is_input { "Takes" } else { "Gives" }}</td>
                    <th scope="row" class="mono">{field.name}</th>
                    <td><Change word/></td>
                    <td class="mono"><Maybe text=field.a.as_ref().map(text)/></td>
                    <td class="mono"><Maybe text=field.b.as_ref().map(text)/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="Signature" id="signature" note>
            {if none {
                let text = if has { "The same in both." } else { "Neither has one. Log models with an input example, so that what they take is known." };
                view! { <Body><p class="muted">{text}</p></Body> }.into_any()
            } else {
                view! {
                    <Table label="Changes of the signature">
                        <thead>
                            <tr>
                                <Head label="Side"/>
                                <Head label="Field"/>
                                <Head label="Change"/>
                                <Head label=names.0/>
                                <Head label=names.1/>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </Table>
                }
                    .into_any()
            }}
        </Panel>
    }
}

/// What became of something, of which there is this in the first and that in the second.
fn change<T>(a: &Option<T>, b: &Option<T>) -> &'static str {
    match (a, b) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    }
}

/// Added, removed or changed: a word in its colour, with a sign before it.
#[component]
fn Change(word: &'static str) -> impl IntoView {
    let sign = match word {
        "added" => "+",
        "removed" => "−",
        _ => "≠",
    };
    view! { <span class="change" data-c=word><span aria-hidden="true">{sign}</span>" "{word}</span> }
}

#[component]
fn Files(names: (String, String), files: Vec<FileDiff>, same: usize) -> impl IntoView {
    let none = files.is_empty();
    let note = format!("{}, {}", count(files.len(), "differs", "differ"), count(same, "is the same", "are the same"));
    let bytes = |size: i64| format::bytes(size.unsigned_abs());
    let rows = files
        .into_iter()
        .take(500)
        .map(|file| {
            let word = change(&file.a, &file.b);
            let side = |facts: Option<domain::version_diff::FileFacts>| match facts {
                Some(facts) => {
                    view! { <td class="num">{bytes(facts.size)}<span class="sub"><code>{facts.digest.short().to_owned()}</code></span></td> }
                        .into_any()
                }
                None => view! { <td class="num"><span class="none">"–"</span></td> }.into_any(),
            };
            view! {
                <tr>
                    <th scope="row" class="mono">{file.path}</th>
                    <td><Change word/></td>
                    {side(file.a)}
                    {side(file.b)}
                </tr>
            }
        })
        .collect_view();
    view! {
        <Panel title="Files" id="files" note>
            {if none {
                view! { <Body><p class="muted">{if same == 0 { "Neither has files of ours." } else { "All are the same." }}</p></Body> }.into_any()
            } else {
                view! {
                    <Table label="Files that differ" roomy=true>
                        <thead>
                            <tr>
                                <Head label="File"/>
                                <Head label="Change"/>
                                <Head label=names.0 num=true/>
                                <Head label=names.1 num=true/>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </Table>
                }
                    .into_any()
            }}
        </Panel>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples::models};

    #[test]
    fn each_difference_is_told_with_its_meaning() {
        let html = fragment(|| view! { <Compare links=Links::new("lab") page=models::compare()/> });
        for part in [
            "2 better, 1 worse",
            "callers may have to change",
            "<s>6</s> → <b>8</b>",
            r#"data-c="added""#,
            r#"data-c="removed""#,
            "onnxruntime==1.20.1",
            "Turn around",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn without_two_numbers_the_form_stands_alone() {
        let page = ComparePage {
            model: "wine".to_owned(),
            asked: ("x".to_owned(), String::new()),
            compared: Err("Say which two versions.".to_owned()),
        };
        let html = fragment(|| view! { <Compare links=Links::new("lab") page/> });
        assert!(html.contains("Say which two versions.") && html.contains(r#"value="x""#), "{html}");
    }
}
