//! Promotions and policies, as a team that takes both seriously has them.

use super::{ago, comments, digest, event, models, moment, person, promotion};
use crate::pages::{
    policy::PolicyPage,
    promotion::{Changed, ListPage, ListRow, May, PromotionPage, Serving},
};
use chrono::TimeDelta;
use domain::{
    Digest,
    audit::{Actor, ObjectKind},
    freeze::Standing,
    id::{DecisionId, OverrideId, PolicyId, PredictionId, UserId, WorkspaceId},
    model::Signature,
    policy::{Better, GateSpec, Policy, PolicyDocument, PolicySet},
    promotion::{
        AnswerDifference, Candidacy, Decision, DecisionBasis, DecisionFlip, DecisionVerdict, EnvironmentStatistics,
        Finding, FlipRate, FlipSegment, Gate, MetricComparison, NotReplayed, Override, OverrideKind, PolicyStatistics,
        PromotionCounts, PromotionDetail, PromotionReplay, PromotionState, PromotionStatistics, Rejection, Replay,
        ReplayAbout, ReplayExample, ReplayState, RuleStanding, RuleStatistics, ServingConfig, Subject, TrafficPlan,
        Verdict, Vote,
    },
    text_diff::TextDiff,
    user::{Email, User},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const MODEL: &str = "wine-quality-classifier";

/// The file of production's policy in its last revision.
pub const FILE: &str = "\
description: What a version needs to serve customers.
scope:
  tiers: [production]
gates:
  - kind: better_than_champion
    metric: f1_macro
    confidence: 0.95
  - kind: metric_threshold
    metric: accuracy
    threshold: 0.7
  - kind: slice_floor
    metric: recall
    columns: [colour, sugar]
    max_drop: 0.02
  - kind: golden_row
  - kind: latency_budget
    max_ms: 20
  - kind: model_card
    sections: [Intended use, Limits, Owners]
    max_age: 90d
advisory:
  - kind: metric_threshold
    metric: size_mib
    better: lower
    threshold: 4
rules:
  - name: risk
    eligible: {teams: [risk-approvers]}
    distinct_from: [requester, trainer, \"rule:product\"]
    justification: true
  - name: product
    eligible: {teams: [product-owners]}
    distinct_from: [requester, trainer]
    checklist:
      - I looked at the slices with few rows
    inputs:
      - name: ticket
      - name: traffic
        kind: choice
        choices: [canary, all at once]
  - name: operations
    eligible: {teams: [on-call]}
    distinct_from: [requester, code_author]
expires_after: 3d
evidence_ttl: 7d
reauthenticate: true
";

/// A revision of a policy.
#[must_use]
pub fn policy(name: &str, revision: i32) -> Policy {
    let source = match name {
        "production" if revision > 5 => FILE.to_owned(),
        "production" => FILE
            .replace(
                "    threshold: 0.7\n",
                if revision > 4 { "    threshold: 0.65\n" } else { "    threshold: 0.6\n" },
            )
            .replace("reauthenticate: true\n", "")
            .replace("expires_after: 3d", "expires_after: 7d"),
        "high-risk" => "\
description: Models that can do much harm need a second look.
scope:
  tiers: [production]
  risk_tiers: [high]
gates:
  - kind: signature_compatible
rules:
  - name: board
    eligible: {roles: [approver]}
    approvals: 2
"
        .to_owned(),
        other => PolicyDocument::initial(other).to_yaml(),
    };
    let document = PolicyDocument::parse(&source).unwrap_or_default();
    Policy {
        id: PolicyId::new(),
        workspace_id: WorkspaceId::new(),
        name: name.to_owned(),
        revision,
        digest: Digest::of_json(&document).unwrap_or_else(|_| digest(1)),
        document,
        source: (revision > 1).then_some(source),
        retired: false,
        created_at: ago(60 * 24 * i64::from(9 - revision)),
        created_by: if revision == 1 { "Slipway".to_owned() } else { "Platform lead".to_owned() },
    }
}

/// The revisions of a policy, the last first.
#[must_use]
pub fn revisions(name: &str) -> Vec<Policy> {
    match name {
        "production" => (4..=6).rev().map(|revision| policy(name, revision)).collect(),
        "high-risk" => vec![policy(name, 2)],
        _ => vec![policy(name, 1)],
    }
}

/// The policies of a workspace.
#[must_use]
pub fn policies() -> Vec<Policy> {
    ["high-risk", "production", "staging"].into_iter().filter_map(|name| revisions(name).into_iter().next()).collect()
}

/// The page of production's policy.
#[must_use]
pub fn policy_page() -> PolicyPage {
    PolicyPage {
        revisions: revisions("production"),
        shown: 0,
        environments: vec!["production".to_owned()],
        may_write: true,
    }
}

/// Somebody with an account.
fn user(name: &str) -> User {
    User {
        id: UserId::new(),
        email: Email::parse("person@example.com").unwrap_or_else(|_| unreachable!("it is an address")),
        name: name.to_owned(),
        is_service: false,
        created_at: ago(60 * 24 * 90),
    }
}

fn gate(
    position: i32,
    spec: GateSpec,
    advisory: bool,
    verdict: Verdict,
    told: (&str, &str, &str),
    evidence: Value,
) -> Gate {
    let (measured, limit, reason) = told;
    Gate {
        position,
        policy: "production".to_owned(),
        advisory,
        spec,
        finding: Some(Finding {
            verdict,
            measured: measured.to_owned(),
            limit: limit.to_owned(),
            reason: reason.to_owned(),
            evidence,
        }),
        evaluated_at: Some(ago(178)),
        asked_at: None,
    }
}

fn gates() -> Vec<Gate> {
    let document = policy("production", 6).document;
    let told = [
        (
            Verdict::Pass,
            ("0.457 (+0.036)", "gain ≥ 0", "Better with 95 % confidence: the interval of the gain lies above 0."),
            json!({"metric": "f1_macro", "value": 0.457, "champion_value": 0.421, "gain": 0.036, "low": 0.012,
                "high": 0.060, "confidence": 0.95, "resamples": 2000, "rows": 1363}),
        ),
        (
            Verdict::Pass,
            ("0.712", "≥ 0.7", "The threshold is reached."),
            json!({"metric": "accuracy", "value": 0.712, "threshold": 0.7}),
        ),
        (
            Verdict::Pass,
            ("worst −0.008", "drop ≤ 0.02", "No slice of 3 is worse than the champion's by more."),
            json!({"metric": "recall", "slices": [
                {"slice": "red, dry", "rows": 412, "value": 0.655, "champion": 0.648, "verdict": "pass"},
                {"slice": "white, dry", "rows": 930, "value": 0.701, "champion": 0.709, "verdict": "pass"},
                {"slice": "white, sweet", "rows": 41, "value": 0.622, "champion": 0.610, "verdict": "pass"},
            ]}),
        ),
        (
            Verdict::Pass,
            ("20 of 20", "within 0.0001", "Every golden row is answered as its maker recorded."),
            json!({"rows": 20, "largest_difference": 3.1e-7}),
        ),
        (
            Verdict::Pass,
            ("p99 11.9 ms", "≤ 20 ms", "The budget is kept."),
            json!({"requests": 200, "p50_ms": 4.1, "p90_ms": 7.7, "p99_ms": 11.9, "mean_ms": 4.6}),
        ),
        (
            Verdict::Pass,
            ("3 of 3 headings", "saved within 90d", "The card has every heading, and was saved 4 h ago."),
            json!({"sections": ["Intended use", "Limits", "Owners"], "card": 4}),
        ),
    ];
    let mut all: Vec<Gate> = document
        .gates
        .into_iter()
        .zip(told)
        .zip(0..)
        .map(|((spec, (verdict, told, evidence)), at)| gate(at, spec, false, verdict, told, evidence))
        .collect();
    all.extend(document.advisory.into_iter().map(|spec| {
        let evidence = json!({"metric": "size_mib", "value": 4.6, "threshold": 4.0});
        gate(6, spec, true, Verdict::Fail, ("4.6", "≤ 4", "The threshold is not reached."), evidence)
    }));
    all
}

fn subject(version: i32, seed: u8) -> Subject {
    Subject {
        model: MODEL.to_owned(),
        version,
        model_digest: Some(digest(seed)),
        signature: Some(Signature::default()),
        serving: ServingConfig::default(),
        environment: "production".to_owned(),
        traffic: TrafficPlan::default(),
        datasets: vec![("wine-quality".to_owned(), format!("{seed}be2a771f04"))],
        code: Some(format!("9f03a7{seed}c4d2be8a0")),
        code_author: None,
        environment_lock: Some(digest(40 + seed)),
        image: None,
        policies: vec![policy("production", 6).pin()],
        evidence_digest: digest(seed + 1),
        champion: Some(format!("{MODEL} v12")),
    }
}

struct Cast {
    risk: User,
    risk_2: User,
    product: User,
    scientist_2: User,
    on_call: User,
    engineer: User,
    scientist: User,
}

fn cast() -> Cast {
    Cast {
        risk: user("Risk approver"),
        risk_2: user("Risk approver 2"),
        product: user("Product approver"),
        scientist_2: user("Data scientist 2"),
        on_call: user("On-call engineer"),
        engineer: user("ML engineer"),
        scientist: user("Data scientist"),
    }
}

fn candidacy(user: &User, barred: Option<&str>, acting_for: Option<&str>) -> Candidacy {
    Candidacy {
        user_id: user.id,
        name: user.name.clone(),
        barred: barred.map(str::to_owned),
        acting_for: acting_for.map(str::to_owned),
        decision: None,
    }
}

fn rules(cast: &Cast) -> Vec<RuleStanding> {
    let document = policy("production", 6).document;
    let people = [
        vec![candidacy(&cast.risk, None, None), candidacy(&cast.risk_2, None, None)],
        vec![
            candidacy(&cast.product, None, None),
            candidacy(&cast.scientist_2, Some("Started the run that trained this version."), None),
        ],
        vec![
            candidacy(&cast.on_call, None, Some("Operations lead")),
            candidacy(&cast.engineer, Some("Wrote the commit that this version was trained from."), None),
            candidacy(&cast.scientist, Some("Requested this, or started the pipeline run that did."), None),
        ],
    ];
    let mut all: Vec<RuleStanding> = document
        .rules
        .into_iter()
        .zip(people)
        .map(|(rule, people)| RuleStanding {
            policy: "production".to_owned(),
            rule,
            votes: Vec::new(),
            met: false,
            people,
        })
        .collect();
    if let Some(risk) = all.first_mut() {
        risk.votes.push(Vote { user_id: cast.risk.id, user_name: cast.risk.name.clone(), acting_for: None });
        risk.met = true;
        risk.people[0].decision = Some(DecisionVerdict::Approve);
    }
    all
}

fn metrics() -> Vec<MetricComparison> {
    let metric = |key: &str, champion: f64, candidate: f64, better: Option<Better>| MetricComparison {
        key: key.to_owned(),
        candidate: Some(candidate),
        champion: Some(champion),
        better,
    };
    vec![
        metric("accuracy", 0.684, 0.712, Some(Better::Higher)),
        metric("f1_macro", 0.421, 0.457, Some(Better::Higher)),
        metric("recall", 0.668, 0.661, Some(Better::Higher)),
        metric("size_mib", 3.1, 4.6, Some(Better::Lower)),
        metric("log_loss", 0.792, 0.741, None),
        metric("rows", 6497.0, 6812.0, None),
    ]
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// What v14 would have answered to the last decisions of v12.
#[must_use]
pub fn replay() -> PromotionReplay {
    let segment = |feature: &str, value: &str, rows, flips| FlipSegment {
        feature: feature.to_owned(),
        value: value.to_owned(),
        share: FlipRate::of(rows, flips),
    };
    let flip = |from: &str, to: &str, rows| DecisionFlip { from: from.to_owned(), to: to.to_owned(), rows };
    let example =
        |minutes, from: &str, to: &str, before: f64, after: f64, sulphates: f64, colour: &str| ReplayExample {
            prediction_id: PredictionId::new(),
            request_id: Some(format!("order-{}", 48_000 + minutes)),
            row: 0,
            at: ago(minutes),
            from: from.to_owned(),
            to: to.to_owned(),
            difference: Some((after - before).abs()),
            features: map(json!({
                "alcohol": 9.4, "colour": colour, "density": 0.9978, "pH": 3.51, "residual_sugar": 1.9,
                "sulphates": sulphates, "volatile_acidity": 0.7,
            })),
            before: map(json!({"label": from, "probability": before})),
            after: map(json!({"label": to, "probability": after})),
        };
    PromotionReplay {
        state: ReplayState::Done,
        reason: String::new(),
        wanted: 500,
        asked_at: ago(178),
        asker: None,
        about: Some(ReplayAbout {
            model_digest: digest(14),
            champion: Some(12),
            first_at: Some(ago(60 * 24 * 6)),
            last_at: Some(ago(180)),
        }),
        ended_at: Some(ago(177)),
        found: Some(Replay {
            basis: DecisionBasis::Label { outputs: vec!["label".to_owned()] },
            all: FlipRate::of(500, 41),
            skipped: vec![
                NotReplayed { reason: format!("{MODEL} v12 did not answer the request."), rows: 11 },
                NotReplayed { reason: "A long text was cut when it was recorded.".to_owned(), rows: 2 },
            ],
            transitions: vec![
                flip("standard", "premium", 23),
                flip("premium", "standard", 14),
                flip("reject", "standard", 4),
            ],
            other_transitions: 0,
            differences: vec![AnswerDifference {
                output: "probability".to_owned(),
                mean: 0.012,
                p5: -0.14,
                p50: 0.004,
                p95: 0.19,
                largest: 0.48,
            }],
            segments: vec![
                segment("sulphates", "> 0.73", 121, 23),
                segment("residual_sugar", "> 8.1", 124, 17),
                segment("colour", "white", 377, 35),
                segment("alcohol", "9.5 … 10.3", 131, 12),
                segment("colour", "red", 123, 6),
                segment("sulphates", "≤ 0.43", 126, 4),
            ],
            segments_in_all: 46,
        }),
        examples: vec![
            example(300, "premium", "standard", 0.81, 0.33, 1.06, "white"),
            example(2100, "standard", "premium", 0.24, 0.66, 0.91, "white"),
            example(4000, "reject", "standard", 0.31, 0.55, 0.44, "red"),
        ],
    }
}

/// One whose predictions are being replayed, and one of which nothing could be.
#[must_use]
pub fn not_replayed(state: ReplayState) -> PromotionPage {
    let mut page = awaiting();
    let reason = match state {
        ReplayState::Nothing => {
            "No version of wine-quality-classifier serves in production: there are no decisions to replay."
        }
        ReplayState::Failed => "The model could not be loaded within 60 s.",
        _ => "",
    };
    page.replay = Some(PromotionReplay {
        state,
        reason: reason.to_owned(),
        found: None,
        examples: Vec::new(),
        about: None,
        ended_at: None,
        ..replay()
    });
    page
}

/// A promotion that waits for the reader, with everything an approver looks at.
#[must_use]
pub fn awaiting() -> PromotionPage {
    let cast = cast();
    let subject = subject(14, 14);
    let subject_digest = subject.digest().unwrap_or_else(|_| digest(9));
    let mut one = promotion(87, MODEL, 14, "production", PromotionState::AwaitingApproval);
    one.requested_by = Some(cast.scientist.id);
    one.subject = Some(subject);
    one.subject_digest = Some(subject_digest.clone());
    let decision = Decision {
        id: DecisionId::new(),
        user_id: cast.risk.id,
        user_name: cast.risk.name.clone(),
        verdict: DecisionVerdict::Approve,
        comment: "Sweet white is small, and the monitor watches it.".to_owned(),
        subject_digest,
        rules: vec!["production/risk".to_owned()],
        acting_for: None,
        inputs: BTreeMap::new(),
        checked: BTreeMap::new(),
        reauthenticated: true,
        at: ago(60),
    };
    let happened = |minutes, actor, action: &str, summary: &str| {
        event(minutes, actor, action, ObjectKind::Promotion, "#87", summary)
    };
    let compared = models::compare().compared.ok().map(|both| *both);
    let changed = compared.map(|(before, after, diff)| {
        let card = TextDiff::of(
            "# Limits\n\nNot for sweet wines.\n",
            "# Limits\n\nNot for sweet wines above 45 g/l.\n\n# Owners\n\nWine lab.\n",
        );
        Box::new(Changed { before, after, diff, card: Some(card) })
    });
    PromotionPage {
        events: vec![
            happened(180, person("Data scientist"), "promotion.requested", "requested #87: v14 → production"),
            happened(178, Actor::System, "promotion.gates_passed", "ran the gates of #87: all 6 passed"),
            happened(60, person("Risk approver"), "promotion.approved", "approved #87"),
        ],
        comments: comments().shown,
        people: [&cast.risk, &cast.product, &cast.scientist].map(|user| user.name.clone()).to_vec(),
        may: May { withdraw: false, request: true, override_gates: false, review: true, comment: true },
        serves: Some(Serving {
            version: 12,
            since: Some(ago(60 * 24 * 42)),
            subject: Some(Subject { policies: vec![policy("production", 6).pin()], ..self::subject(12, 12) }),
        }),
        changed,
        replay: Some(replay()),
        freeze: Some(Standing::Open { until: Some(moment() + TimeDelta::days(4)) }),
        detail: PromotionDetail {
            promotion: one,
            gates: gates(),
            decisions: vec![decision],
            policies: PolicySet::pinned([policy("production", 6)]),
            rules: rules(&cast),
            overrides: Vec::new(),
            evidence: Vec::new(),
            champion: Some(12),
            metrics: metrics(),
        },
        me: cast.product,
    }
}

/// The same, with a slice that has too few rows to tell.
fn unsure() -> PromotionPage {
    let mut page = awaiting();
    if let Some(finding) = page.detail.gates.get_mut(2).and_then(|gate| gate.finding.as_mut()) {
        finding.verdict = Verdict::Inconclusive;
        finding.reason = "Too few rows in 1 slice: 21 of white, sweet, and 30 are needed.".to_owned();
        finding.evidence["slices"][2] = json!(
            {"slice": "white, sweet", "rows": 21, "value": 0.571, "champion": 0.571, "verdict": "inconclusive"}
        );
    }
    page
}

/// One that a gate blocks.
#[must_use]
pub fn blocked() -> PromotionPage {
    let mut page = unsure();
    page.detail.promotion.state = PromotionState::Blocked;
    page.detail.promotion.state_reason = "1 gate could not tell".to_owned();
    page.detail.decisions.clear();
    for rule in &mut page.detail.rules {
        rule.met = false;
        rule.votes.clear();
    }
    page.events.truncate(2);
    page.may.override_gates = true;
    page
}

/// An override of the gates of one, as far as it has come.
#[must_use]
pub fn overridden(confirmed: bool) -> PromotionPage {
    let mut page = if confirmed { unsure() } else { blocked() };
    let Some(subject_digest) = page.detail.promotion.subject_digest.clone() else { return page };
    page.detail.overrides.push(Override {
        id: OverrideId::new(),
        promotion_number: 87,
        kind: OverrideKind::Gates,
        reason: "v12 mislabels every wine of the new supplier since this morning, and nobody can order.".to_owned(),
        subject_digest,
        opened_by: UserId::new(),
        opener: "Operator".to_owned(),
        opened_at: ago(40),
        confirmed_by: confirmed.then(UserId::new),
        confirmer: confirmed.then(|| "Risk approver".to_owned()),
        confirmed_at: confirmed.then(|| ago(30)),
        review_due_at: confirmed.then(|| moment() + TimeDelta::days(3)),
        reviewer: None,
        review: None,
        reviewed_at: None,
    });
    page
}

/// One that is live.
#[must_use]
pub fn live() -> PromotionPage {
    let mut page = awaiting();
    page.detail.promotion.state = PromotionState::Live;
    page.serves = None;
    page.freeze = None;
    page
}

/// One that ended.
#[must_use]
pub fn ended() -> PromotionPage {
    let mut page = awaiting();
    page.detail.promotion.state = PromotionState::Invalidated;
    page.detail.promotion.state_reason = "its data sets changed".to_owned();
    page.serves = None;
    page.freeze = None;
    page
}

/// One that is only written down.
#[must_use]
pub fn draft() -> PromotionPage {
    let mut page = awaiting();
    page.detail.promotion.state = PromotionState::Draft;
    page.detail.promotion.subject = None;
    page.detail.promotion.subject_digest = None;
    page.detail.decisions.clear();
    page.replay = None;
    for gate in &mut page.detail.gates {
        gate.finding = None;
        gate.evaluated_at = None;
    }
    for rule in &mut page.detail.rules {
        rule.met = false;
        rule.votes.clear();
    }
    page.events.clear();
    page.may.withdraw = true;
    page
}

/// The list.
#[must_use]
pub fn list() -> ListPage {
    let row = |number, model: &str, version, state, waits_for: Option<&str>| ListRow {
        promotion: promotion(number, model, version, "production", state),
        waits_for: waits_for.map(str::to_owned),
        is_mine: waits_for.is_some_and(|rules| rules.contains("product")),
        is_mentioned: waits_for.is_some_and(|rules| rules.contains("product")),
    };
    ListPage {
        workspace_id: WorkspaceId::new(),
        rows: vec![
            row(92, "churn", 8, PromotionState::GatesRunning, None),
            row(91, "diabetes-progression", 5, PromotionState::Blocked, None),
            row(90, "diabetes-progression", 4, PromotionState::Scheduled, None),
            row(88, "churn", 7, PromotionState::Draft, None),
            row(87, MODEL, 14, PromotionState::AwaitingApproval, Some("product, operations")),
            row(86, MODEL, 13, PromotionState::Invalidated, None),
            row(85, MODEL, 12, PromotionState::Live, None),
        ],
        next: None,
        mine: 1,
        environments: vec!["staging".to_owned(), "production".to_owned()],
        may_request: true,
    }
}

/// What became of those of a quarter.
#[must_use]
pub fn statistics() -> PromotionStatistics {
    let counts = |promotions, approved, hours: (f64, f64), ends: [i64; 4]| PromotionCounts {
        promotions,
        approved,
        median_seconds: Some(hours.0 * 3600.0),
        p90_seconds: Some(hours.1 * 3600.0),
        rejected: ends[0],
        expired: ends[1],
        invalidated: ends[2],
        rolled_back: ends[3],
    };
    let (staging, production) = (counts(64, 61, (0.4, 3.2), [1, 0, 2, 0]), counts(52, 41, (5.5, 49.0), [4, 3, 4, 2]));
    let rejection = |number, comment: &str| Rejection {
        number,
        model: MODEL.to_owned(),
        version: 9,
        environment: "production".to_owned(),
        by: "Product approver".to_owned(),
        comment: comment.to_owned(),
        at: moment() - TimeDelta::days(100 - number),
    };
    let policy = |environment: &str, policy: &str, counts: &PromotionCounts| PolicyStatistics {
        environment: environment.to_owned(),
        policy: policy.to_owned(),
        counts: counts.clone(),
    };
    let environment = |environment: &str, counts: &PromotionCounts| EnvironmentStatistics {
        environment: environment.to_owned(),
        counts: counts.clone(),
    };
    let rule = |rule: &str, approved, rolled_back| RuleStatistics {
        environment: "production".to_owned(),
        rule: rule.to_owned(),
        approved,
        rolled_back,
    };
    PromotionStatistics {
        from: moment() - TimeDelta::days(90),
        to: moment(),
        promotions: 116,
        is_cut: false,
        environments: vec![environment("staging", &staging), environment("production", &production)],
        policies: vec![
            policy("production", "high-risk", &counts(9, 5, (26.0, 71.0), [2, 1, 1, 0])),
            policy("production", "production", &production),
            policy("staging", "staging", &staging),
        ],
        rules: vec![rule("production/operations", 41, 2), rule("product/risk", 5, 0)],
        rejections: vec![
            rejection(83, "Slower for the kiosk: 41 ms at p99 where we agreed on 20."),
            rejection(71, "The data set has customers of before the change of tariffs; train without them."),
        ],
    }
}
