//! Every component in every state, and the pages that need no data.

use crate::{chrome, moment, page};
use app::{
    chart::{
        Figure,
        curve::Series,
        dag::{Dag, Inside, Node},
        gantt::{Gantt, Lane},
        histogram::{self, Bins, Pair},
        look::Look,
        spark::Spark,
    },
    islands::LiveRegion,
    pages::{
        door::{Setup, SignIn},
        trouble::Trouble,
    },
    shell::{Section, Theme},
    ui::prelude::*,
};
use chrono::TimeDelta;
use domain::{
    audit::{Actor, AuditEvent, Object, ObjectKind},
    error::{Error, ErrorKind},
    id::{AuditEventId, UserId},
    log::{LogLine, LogStream},
};
use leptos::prelude::*;
use std::{io, path::Path};

pub(crate) fn write(out: &Path) -> io::Result<()> {
    page(out, "gallery", chrome("Gallery", Some(Section::Models)), || view! { <Gallery/> })?;
    for (theme, name) in [(Theme::Light, "gallery-light"), (Theme::Dark, "gallery-dark")] {
        let mut chrome = chrome("Gallery", Some(Section::Models));
        chrome.theme = theme;
        page(out, name, chrome, || view! { <Gallery/> })?;
    }

    let door = |title: &str| {
        let mut chrome = chrome(title, None);
        chrome.workspace = None;
        chrome.user = None;
        chrome
    };
    page(out, "sign-in", door("Sign in"), || view! { <SignIn/> })?;
    page(out, "sign-in-refused", door("Sign in"), || {
        let draft = Draft::of([("email", "scientist@example.com")])
            .refused(&Error::unauthenticated("E-mail or password is wrong. Check both, and try again."));
        view! { <SignIn draft next="/w/wine-lab/promotions/87"/> }
    })?;
    page(out, "setup", door("Set up"), || {
        let draft = Draft::of([("name", "Platform lead"), ("email", "platform@example.com")])
            .refused(&Error::invalid_field("password", "A password has at least 8 characters."));
        view! { <Setup token="one-time" draft/> }
    })?;

    let trouble = |name: &str, status: u16, error: Error| {
        page(out, name, chrome("Trouble", None), move || {
            view! { <Trouble status error links=Some(Links::new("wine-lab")) request_id="01a2b3c4"/> }
        })
    };
    trouble("not-found", 404, Error::not_found("promotion", "#99"))?;
    trouble(
        "forbidden",
        403,
        Error::forbidden("You may not decide on promotions in Wine lab. Ask an admin for the role approver."),
    )?;
    trouble("failed", 500, Error::new(ErrorKind::Internal, Error::internal().message))
}

#[component]
fn Gallery() -> impl IntoView {
    view! {
        <Crumbs items=vec![Crumb::to("Models", "#"), Crumb::to("wine-quality-classifier", "#"), Crumb::here("v14")]/>
        <PageHead
            title=view! { "Every component " <span class="mono">"v14"</span> }.into_any()
            badge=view! { <Badge state=State::Waiting word="Waiting for approval"/> }.into_any()
            actions=view! {
                <Button text="Plain" symbol=Symbol::Redo/>
                <Button text="Cancel run" kind=Kind::Danger/>
                <More label="More"><a href="#">"Copy"</a><button class="item danger" type="button">"Delete"</button></More>
                <ButtonLink text="New run" href="#" kind=Kind::Primary/>
            }
                .into_any()
            meta=view! {
                <span><Avatar name="Data scientist" size=AvatarSize::Small/>"Data scientist requested "<When at=moment() - TimeDelta::hours(3)/></span>
                <span><Icon symbol=Symbol::Pipe/><a href="#">"train-wine #511"</a></span>
                <span><Icon symbol=Symbol::Wait/><Until at=moment() + TimeDelta::hours(52)/></span>
                <span><Tag text="@candidate" mono=true/></span>
            }
                .into_any()
        />
        <Answers
            label="Summary"
            id="summary"
            items=vec![
                answer("Gates", view! { <StateMark state=State::Unsure word="7 of 9 pass"/> }.into_any(), "1 inconclusive, 1 advisory failed"),
                answer("Rules", "1 of 3 met".into_any(), "Product, operations to go"),
                answer("Against v12", view! { "4 better "<small>"2 unsure, 2 worse"</small> }.into_any(), "Macro F1 +0.036, p99 +3.5 ms"),
                answer("Decisions that flip", view! { "3.1 % "<small>"of 20,000"</small> }.into_any(), "405 become right, 214 wrong"),
                answer("Valid for", "2 d 4 h".into_any(), "Six parts, none changed since"),
            ]
        />
        <Lineage items=vec![
            station("Data", "wine-quality@2026-11", "6,812 rows", None, false),
            station("Pipeline run", "train-wine #511", "step train, attempt 1", Some(State::Passed), false),
            station("Run", "4c1e8d0b", "this page", None, true),
            station("Version", "wine-quality-classifier v14", "@candidate", None, false),
            station("Promotion", "#87 → production", "waits for 2 rules", Some(State::Waiting), false),
        ]/>
        <Tabs
            label="Gallery"
            items=vec![
                Tab::new("Overview", "#").current(true),
                Tab::new("Metrics", "#").count(12),
                Tab::new("Artifacts", "#").count(9),
                Tab::new("Log", "#").count("1,204 lines"),
            ]
        />
        <div class="with-aside">
            <div class="stack">
                <States/>
                <Charts/>
                <Lists/>
                <Runs/>
                <Steps/>
                <Log/>
            </div>
            <aside class="stack" aria-label="Forms and facts"><Forms/><Details/></aside>
        </div>
        <Confirm
            id="delete-runs"
            title="Delete 3 runs?"
            action="#"
            go="Delete 3 runs"
            keep="Keep them"
        >
            <p>
                "This deletes 3 runs of wine-quality with 1,092 metric points and 14.2 MiB of artifacts. They can be restored for 30 days."
            </p>
        </Confirm>
    }
}

fn answer(question: &str, value: AnyView, reason: &str) -> Answer {
    Answer { question: question.into(), value, reason: reason.to_owned().into_any(), href: "#".into() }
}

fn station(kind: &'static str, name: &str, sub: &str, state: Option<State>, here: bool) -> Station {
    Station { kind, name: name.into(), href: Some("#".into()), sub: sub.into(), state, here }
}

#[component]
fn States() -> impl IntoView {
    view! {
        <Panel title="States" id="states" note="colour and shape and word">
            <Body>
                <div class="meta">
                    {State::ALL.map(|state| view! { <StateMark state word=format!("{state:?}")/> }).collect_view()}
                </div>
                <div class="meta">
                    {State::ALL.map(|state| view! { <Badge state word=format!("{state:?}")/> }).collect_view()}
                </div>
                <div class="meta">
                    <Delta text="+0.036" meaning=Meaning::Better/>
                    <Delta text="+3.5 ms" meaning=Meaning::Worse/>
                    <Delta text="−0.008" meaning=Meaning::Unsure/>
                    <Delta text="0" meaning=Meaning::Same/>
                    <Num value=0.4567/>
                    <Num value=None/>
                    <Num value=f64::NAN/>
                </div>
                <div class="meta">
                    {["Data scientist", "Data scientist 2", "Product approver", "Risk approver", "Risk approver 2", "On-call engineer", "ML engineer"]
                        .map(|name| view! { <Avatar name named=true/> })
                        .collect_view()}
                    <Avatar name="CI job" machine=true/>
                    <Avatar name="Slipway" machine=true/>
                    <Avatar name="Data scientist" size=AvatarSize::Row/>
                    <Avatar name="Data scientist" size=AvatarSize::Small/>
                </div>
                <div class="meta">
                    <Button text="Primary" kind=Kind::Primary/>
                    <Button text="Plain"/>
                    <Button text="Danger" kind=Kind::Danger/>
                    <Button text="Ghost" kind=Kind::Ghost/>
                    <Button text="Not now" because="Its gates are still running"/>
                    <Button text="Delete 3 runs" kind=Kind::Danger opens="delete-runs"/>
                    <Choice
                        label="View"
                        items=vec![("Graph".into(), "#".into(), true), ("Gantt".into(), "#".into(), false)]
                    />
                </div>
            </Body>
        </Panel>
    }
}

fn curve(f: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    (0..=48).map(|i| f64::from(i) * 10.0).map(|x| (x, f(x) + (x * 0.7).sin() * 0.01)).collect()
}

#[component]
fn Charts() -> impl IntoView {
    let loss = |name: &str, hue: usize, points: Vec<(f64, f64)>| Series { name: name.into(), points, hue };
    let loss = vec![
        loss("validation", 0, curve(|x| 0.74 + 0.9 * (-x / 90.0).exp())),
        loss("train", 1, curve(|x| 0.55 + 1.1 * (-x / 130.0).exp())),
    ];
    let many: Vec<Series> = (0..50)
        .map(|hue| Series {
            name: format!("run {hue}"),
            points: curve(|x| 0.02 * f64::from(u32::try_from(hue).unwrap_or_default()) + (-x / 90.0).exp()),
            hue,
        })
        .collect();
    let smooth = Look { smoothing: 0.8, ..Look::default() };
    let pair = Pair {
        bins: Bins::Edges((0..=20).map(|i| 8.0 + f64::from(i) * 0.3).collect()),
        reference: (0..20).map(|i| (-(f64::from(i) - 6.0).powi(2) / 20.0).exp() / 8.0).collect(),
        current: (0..20).map(|i| (-(f64::from(i) - 10.0).powi(2) / 26.0).exp() / 9.0).collect(),
        of: "alcohol".into(),
    };
    let names = Pair {
        bins: Bins::Names(["red", "white", "sparkling", "rosé"].map(str::to_owned).to_vec()),
        reference: vec![0.25, 0.7, 0.03, 0.02],
        current: vec![0.4, 0.4, 0.1, 0.1],
        of: "colour".into(),
    };
    view! {
        <ChartControls address=Address::new("/gallery", [])/>
        <div class="charts">
            <ChartPanel
                key="loss"
                title="Log loss"
                note=Some("by iteration".to_owned())
                series=loss
                level=Some(("champion v12".to_owned(), 0.792))
                look=smooth
                figures=true
            />
            <ChartPanel key="many" title="Fifty lines" note=None series=many level=None look=Look::default()/>
            <Panel title="alcohol" id="c-hist" note="PSI 0.31">
                <Body><Figure drawing=histogram::draw(&pair)/></Body>
            </Panel>
            <Panel title="colour" id="c-names" note="PSI 0.22">
                <Body><Figure drawing=histogram::draw(&names)/></Body>
            </Panel>
        </div>
        <Table label="Small drawings">
            <thead><tr><Head label="Spark"/><Head label="Failed"/><Head label="Meter"/></tr></thead>
            <tbody>
                <tr>
                    <td><Spark values=curve(|x| 1.0 - x / 600.0).into_iter().map(|p| p.1).collect() of="log loss"/></td>
                    <td><Spark values=vec![1.2, 1.4, 1.9, 2.6] of="log loss" tone=Tone::Fail/></td>
                    <td><Progress share=0.62 fixed=true/></td>
                </tr>
            </tbody>
        </Table>
    }
}

#[component]
fn Lists() -> impl IntoView {
    let event = |hours: i64, who: Actor, action: &str, kind, name: &str, summary: &str| AuditEvent {
        id: AuditEventId::new(),
        at: moment() - TimeDelta::hours(hours),
        actor: who,
        action: action.into(),
        object: Object::new(kind, "1", name),
        related: Vec::new(),
        summary: summary.into(),
        details: serde_json::Value::Null,
        request_id: None,
    };
    let person = |name: &str, is_service: bool| Actor::User { id: UserId::new(), name: name.into(), is_service };
    let events = vec![
        event(
            1,
            person("Risk approver", false),
            "promotion.approved",
            ObjectKind::Promotion,
            "#87",
            "approved #87 under rule Risk",
        ),
        event(3, person("Data scientist", false), "promotion.requested", ObjectKind::Promotion, "#87", "requested #87"),
        event(
            4,
            person("CI job", true),
            "pipeline_run.started",
            ObjectKind::PipelineRun,
            "train-wine #511",
            "started train-wine #511",
        ),
        event(
            20,
            Actor::System,
            "promotion.invalidated",
            ObjectKind::Promotion,
            "#81",
            "#81 fell away: the dataset changed",
        ),
    ];
    view! {
        <Panel title="Waiting for you" id="waiting" note="3">
            <Rows>
                <Row
                    title="wine-quality-classifier v14 → production"
                    href="#"
                    state=view! { <StateMark state=State::Waiting word="Approve"/> }.into_any()
                    sub="Product rule, 1 of 3 met; 7 of 9 gates pass, 1 inconclusive".into_any()
                    end=view! { <Until at=moment() + TimeDelta::hours(52)/> }.into_any()
                />
                <Row
                    title="train-wine #512"
                    href="#"
                    state=view! { <StateMark state=State::Running word="Running"/> }.into_any()
                    sub="step train, attempt 2 of 3".into_any()
                    more=view! { <Progress share=0.62 fixed=true/> }.into_any()
                    end="2 min 49 s".into_any()
                />
            </Rows>
        </Panel>
        <Panel title="Activity" id="activity" actions=view! { <a href="#">"Audit"</a> }.into_any()>
            <Body>
                <Timeline events links=Links::new("wine-lab")/>
                <ol class="timeline">
                    <Comment name="Risk approver" verb="commented" at=moment() - TimeDelta::hours(2) text="41 rows cannot carry this.\n\nIs there a plan if `recall` turns out worse than v12?"/>
                </ol>
            </Body>
        </Panel>
        <Panel title="Models" id="models-empty">
            <Empty
                symbol=Symbol::Cube
                title="No model is registered yet"
                text="A model appears here once a run registers one."
                command="mlflow.sklearn.log_model(model, name=\"model\", registered_model_name=\"churn\")"
            />
        </Panel>
    }
}

#[component]
fn Runs() -> impl IntoView {
    let address = Address::new("/w/wine-lab/experiments/1", [("q".to_owned(), "params.model = 'hgb'".to_owned())]);
    let sort = Sort { key: "started".into(), descending: true };
    let pages = address.clone();
    let rows = [
        ("hgb-lr0.05-depth8-balanced", State::Running, "Running", Some(0.449), Meaning::Unsure, "−0.008"),
        ("hgb-lr0.05-depth6-balanced", State::Passed, "Finished", Some(0.457), Meaning::Better, "+0.036"),
        ("mlp-256x128-lr0.5", State::Failed, "Failed", Some(f64::NAN), Meaning::Worse, "−0.2"),
        (
            "rf-800-balanced_subsample-min_samples_leaf3-oob",
            State::Cancelled,
            "Cancelled",
            None,
            Meaning::Worse,
            "−0.01",
        ),
    ];
    view! {
        <div>
            <FilterBar label="Filter runs" address=address.clone() placeholder="metrics.f1 > 0.3 and params.model = 'hgb'">
                <Button text="Columns" symbol=Symbol::Columns/>
            </FilterBar>
            <form method="get" action="#">
                <Table label="Runs" keys=true>
                    <thead>
                        <tr>
                            <th class="tick pin" scope="col"><input type="checkbox" data-all="" aria-label="Select all on this page"/></th>
                            <SortHead label="Run" key="name" address=address.clone() sort=sort.clone()/>
                            <Head label="State"/>
                            <SortHead label="Started" key="started" address=address.clone() sort=sort.clone()/>
                            <SortHead label="Macro F1" key="metrics.f1" address=address.clone() sort=sort.clone() num=true descending=true/>
                            <Head label="Δ v12" num=true/>
                        </tr>
                    </thead>
                    <tbody>
                        {rows
                            .map(|(name, state, word, value, meaning, delta)| {
                                view! {
                                    <tr>
                                        <td class="tick pin"><input type="checkbox" name="run" value=name aria-label=format!("Select {name}")/></td>
                                        <th scope="row" class="pin name"><span class="name-cell"><a href="#">{name}</a></span></th>
                                        <td><StateMark state word/></td>
                                        <td class="muted"><When at=moment() - TimeDelta::hours(4)/></td>
                                        <td class="num strong"><Num value=value/></td>
                                        <td class="num"><Delta text=delta meaning/></td>
                                    </tr>
                                }
                            })
                            .collect_view()}
                    </tbody>
                </Table>
                <div class="bulk" role="toolbar" aria-label="Selected runs">
                    <b data-selected="">"Selected"</b>
                    <Button text="Compare" kind=Kind::Primary/>
                    <span class="sep"></span>
                    <Button text="Delete" kind=Kind::Danger opens="delete-runs"/>
                </div>
            </form>
            <Pager address=pages shown=24 total=412 next=Some("ab".into()) one="run" many="runs" keys=true/>
        </div>
    }
}

#[component]
fn Steps() -> impl IntoView {
    let node = |name: &str, needs: &[&str], state: State, word: &str, note: &str| Node {
        name: name.into(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        href: format!("?step={name}"),
        state,
        word: word.into(),
        note: note.into(),
        inside: (state == State::Running).then_some(Inside { total: 50, open: 18, running: 4, failed: 1 }),
        current: state == State::Running,
        label: None,
        last: false,
    };
    let nodes = vec![
        node("fetch", &[], State::Passed, "Passed", "2 s"),
        node("validate", &["fetch"], State::Passed, "Passed", "8 s"),
        node("split", &["validate"], State::Passed, "Passed", "1 s"),
        node("train", &["split"], State::Running, "Running, try 2", "1 min 52 s"),
        node("baseline", &["split"], State::Passed, "Passed", "6 s"),
        node("explain", &["baseline"], State::Failed, "Failed", "allowed, 41 s"),
        node("evaluate", &["train", "baseline"], State::Queued, "Queued", "after train"),
        node("register", &["evaluate"], State::Queued, "Queued", "after evaluate"),
    ];
    let start = moment() - TimeDelta::seconds(169);
    let lane = |name: &str, state: State, from: Option<i64>, to: Option<i64>, note: &str| Lane {
        name: name.into(),
        href: "#".into(),
        state,
        from: from.map(|s| start + TimeDelta::seconds(s)),
        to: to.map(|s| start + TimeDelta::seconds(s)),
        note: note.into(),
        current: false,
    };
    let lanes = vec![
        lane("fetch", State::Passed, Some(0), Some(1), "1 s"),
        lane("validate", State::Passed, Some(1), Some(9), "8 s"),
        lane("train, try 1", State::Failed, Some(10), Some(49), "failed, 39 s"),
        lane("train, try 2", State::Running, Some(57), None, "1 min 52 s"),
        lane("baseline", State::Passed, Some(10), Some(16), "6 s"),
        lane("evaluate", State::Queued, None, None, "queued"),
    ];
    view! {
        <Panel title="Steps" id="steps" note="4 passed, 1 running">
            <Dag nodes/>
            <Gantt lanes now=moment()/>
        </Panel>
    }
}

#[component]
fn Log() -> impl IntoView {
    let text = [
        (LogStream::Sys, "attempt 2 of 3 on runner-03, after attempt 1 was killed at 1.5 GiB"),
        (LogStream::Out, "\u{1b}[36m$\u{1b}[0m \u{1b}[1mpython -m wine.train --data $DATA --out $OUT\u{1b}[0m"),
        (
            LogStream::Out,
            "\u{1b}[34mINFO\u{1b}[0m  wine.data    read 6,812 rows, 12 columns from \u{1b}[36mwine-quality@2026-11\u{1b}[0m",
        ),
        (
            LogStream::Err,
            "\u{1b}[33mWARN\u{1b}[0m  sklearn      RuntimeWarning: invalid value encountered in log; result is \u{1b}[1;31mNaN\u{1b}[0m",
        ),
        (
            LogStream::Out,
            "\u{1b}[34mINFO\u{1b}[0m  wine.train   iter 280  train 0.655  val \u{1b}[1;32m0.779\u{1b}[0m  \u{1b}[2mbetter than champion v12 (0.792)\u{1b}[0m",
        ),
    ];
    let lines = (212..)
        .zip(text)
        .map(|(number, (stream, text))| LogLine {
            number,
            at_ms: 1_795_424_700_000 + number * 1000,
            stream,
            text: text.into(),
        })
        .collect();
    view! {
        <LogPanel
            id="log"
            title="Log of train"
            address=Address::new("components.html", [])
            lines
            total=216
            raw="#"
            events=Some("/api/log".to_owned())
            empty="The step has written nothing yet."
        />
        <section id="pulse" data-live=""><p>"Counted "<span class="strong">"0"</span>" changes"</p></section>
        <LiveRegion events="/api/events"/>
    }
}

#[component]
fn Forms() -> impl IntoView {
    let draft = Draft::of([
        ("comment", "Canary limits it to 10 %, and the monitor rolls back by itself."),
        ("role", "approver"),
        ("accept", "yes"),
    ])
    .refused(&Error::invalid_field("password", "That is not your password. Your comment is kept."));
    view! {
        <section class="decide" aria-labelledby="h-decide">
            <header>
                <h2 id="h-decide">"Your decision"</h2>
                <p>"You approve for "<b class="strong">"Product"</b>", as Product approver."</p>
            </header>
            <form method="post" action="#">
                <CheckField name="accept" value="yes" draft=draft.clone()>
                    "I accept the inconclusive gate "<b>"Recall on sweet white"</b>
                </CheckField>
                <TextArea label="Comment" name="comment" draft=draft.clone() optional=true/>
                <TextField label="Your password" name="password" kind="password" draft=draft.clone() hint="Asked again for production."/>
                <SelectField
                    label="Role"
                    name="role"
                    draft
                    options=vec![("viewer".into(), "Viewer".into()), ("approver".into(), "Approver".into())]
                />
                <Button text="Approve v14 for production" kind=Kind::Primary size=ButtonSize::Block symbol=Symbol::Pass/>
                <div class="two"><Button text="Request changes"/><Button text="Reject" kind=Kind::Danger/></div>
            </form>
        </section>
    }
}

#[component]
fn Details() -> impl IntoView {
    let digest = domain::Digest::of_json(&serde_json::json!({"model": 14})).ok();
    view! {
        <Panel title="Params" id="params" note="14" actions=view! { <a href="#">"Diff with v12"</a> }.into_any()>
            <Body>
                <Facts small=true>
                    <Fact name="learning_rate" mono=true>"0.05 "<span class="muted">"was 0.1"</span></Fact>
                    <Fact name="class_weight" mono=true>"balanced"</Fact>
                    <Fact name="Digest">{digest.map(|digest| view! { <DigestText digest/> })}</Fact>
                </Facts>
            </Body>
        </Panel>
        <Panel title="Callouts" id="callouts">
            <Body>
                <Callout>"Nothing urgent."</Callout>
                <Callout tone=Tone::Warn symbol=Symbol::Bell><b>"Param "<code>"learning_rate"</code>" changed"</b>", 0.1 → 0.05."</Callout>
                <Callout tone=Tone::Fail symbol=Symbol::Fail>"Killed at 4.0 GiB: raise resources.memory."</Callout>
                <Callout tone=Tone::Pass symbol=Symbol::Pass>"Promotion requested."</Callout>
                <Command text="export MLFLOW_TRACKING_URI=https://slipway.example.com/w/wine-lab\n# the token you just made\npython train.py"/>
                <CodeBlock label="Error" text="Traceback (most recent call last):\n  File \"train.py\", line 12"/>
            </Body>
        </Panel>
    }
}
