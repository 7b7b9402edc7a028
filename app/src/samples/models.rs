//! Models, their aliases, cards and versions.

use super::{ago, comments, digest, endpoint, environments, event, logged, person, promotion};
use crate::{
    pages::{
        comment::CommentList,
        files::FilesPage,
        model::{
            AliasEdit, AliasesPage, CardEdit, CardLead, CardPage, ComparePage, Described, ModelPage, ShownCard,
            VersionLineage, VersionPage,
        },
    },
    ui::field::Draft,
};
use domain::{
    Error, Page,
    audit::ObjectKind,
    deployment::{Deployment, DeploymentState, Endpoint},
    experiment::Champion,
    id::{ModelId, ModelVersionId, RunId, WorkspaceId},
    model::{
        AliasCause, AliasMove, Model, ModelSummary, ModelVersion, Signature, SignatureField, Stage, VersionFile,
        VersionRow, VersionTable,
    },
    model_card::{ModelCard, ModelCardEntry},
    policy::Better,
    preview::{Block, Inline, Target},
    promotion::{GoldenRows, PromotionState},
    run::{Metric, Run},
    text_diff::TextDiff,
    version_diff::{VersionDiff, VersionSide},
};
use std::collections::BTreeMap;

const NAME: &str = "wine-quality-classifier";

fn pairs(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn registered(name: &str, description: &str, days: i64) -> Model {
    Model {
        id: ModelId::new(),
        workspace_id: WorkspaceId::new(),
        name: name.to_owned(),
        description: description.to_owned(),
        created_at: ago(60 * 24 * (days + 40)),
        updated_at: ago(60 * 24 * days + 12),
        tags: pairs(&[("team", "wine"), ("task", "classification")]),
        aliases: BTreeMap::new(),
    }
}

/// Models with what serves of them: some with long names, without versions, without anything.
#[must_use]
pub fn list() -> (Vec<ModelSummary>, Vec<Endpoint>) {
    let environments = environments();
    let (staging, production) = (&environments[0], &environments[1]);
    let mut models = Vec::new();
    let mut endpoints = Vec::new();
    let mut add = |mut model: Model, versions: i64, live: &[(bool, i32)], aliases: &[(&str, i32)]| {
        model.aliases = aliases.iter().map(|(alias, version)| ((*alias).to_owned(), *version)).collect();
        for (is_production, version) in live {
            let environment = if *is_production { production } else { staging };
            model.aliases.insert(environment.name.clone(), *version);
            let mut one = endpoint(environment, &model.name, *version, 48_210, Some(0.08));
            one.deployment.model_id = model.id;
            endpoints.push(one);
        }
        let latest = (versions > 0).then(|| i32::try_from(versions).unwrap_or(1));
        models.push(ModelSummary {
            versions,
            latest,
            latest_at: latest.map(|_| model.updated_at),
            latest_by: latest.map(|_| "Data scientist".to_owned()),
            model,
        });
    };
    let quality = registered(NAME, "Quality of red and white wine from eleven measurements of the lab.", 0);
    add(quality, 14, &[(true, 12), (false, 14)], &[("champion", 12), ("challenger", 14)]);
    add(registered("digits-svc", "", 3), 31, &[(false, 31)], &[]);
    add(
        registered(
            "forecast-of-hourly-demand-per-depot-and-vehicle-class-with-weather-and-holidays-quantile-regression-forest",
            "Ten quantiles an hour ahead, for each depot.",
            9,
        ),
        412,
        &[(true, 398)],
        &[("p10", 398), ("p50", 398), ("p90", 398), ("shadow", 411)],
    );
    add(registered("churn", "Who leaves within ninety days.", 12), 1, &[], &[("best", 1)]);
    add(registered("bare", "", 30), 0, &[], &[]);
    for n in 0..45_i64 {
        add(registered(&format!("housing-price-band-{n:02}"), "", 40 + n), 1 + n * 7 % 23, &[], &[]);
    }
    (models, endpoints)
}

fn field(name: &str, dtype: &str) -> SignatureField {
    SignatureField { name: Some(name.to_owned()), dtype: dtype.to_owned(), shape: None, optional: false }
}

fn signature() -> Signature {
    Signature {
        inputs: super::COLUMNS.map(|name| field(name, "double")).to_vec(),
        outputs: vec![
            field("quality", "long"),
            SignatureField {
                name: Some("probabilities".to_owned()),
                dtype: "tensor(float32)".to_owned(),
                shape: Some(vec![-1, 7]),
                optional: false,
            },
        ],
    }
}

fn files(seed: u8) -> Vec<VersionFile> {
    let file = |path: &str, digest: domain::Digest, size: i64| VersionFile { path: path.to_owned(), digest, size };
    vec![
        file("MLmodel", digest(seed), 1130),
        file("conda.yaml", super::digest(2), 231),
        file("golden.json", super::digest(3), 18_204),
        file("model.onnx", digest(seed.wrapping_add(40)), 4_823_449),
        file("requirements.txt", digest(seed.wrapping_add(80)), 142),
    ]
}

fn version(number: i32) -> ModelVersion {
    ModelVersion {
        id: ModelVersionId::new(),
        model_id: ModelId::new(),
        model: NAME.to_owned(),
        version: number,
        source: "models:/m-4c1e8d0b27f94e5fa3b64c1e8d0b27f9".to_owned(),
        run_id: Some(RunId::new()),
        logged_model_id: None,
        created_by: None,
        description: String::new(),
        stage: Stage::None,
        digest: Some(digest(u8::try_from(number).unwrap_or(1))),
        size: 4_823_449 + i64::from(number) * 9113,
        signature: Some(signature()),
        flavors: vec!["onnx".to_owned(), "python_function".to_owned()],
        created_at: ago(60 * 24 * i64::from(15 - number) + 95),
        updated_at: ago(60),
        tags: BTreeMap::new(),
        aliases: Vec::new(),
    }
}

fn rows() -> Vec<VersionRow> {
    let row = |number: i32| {
        let mut version = version(number);
        match number {
            14 => {
                version.aliases = vec!["challenger".to_owned(), "staging".to_owned()];
                version.tags =
                    pairs(&[("sweep", "lr-2"), ("reviewed", "yes"), ("ticket", "ML-2041-rebalance-classes")]);
            }
            12 => version.aliases = vec!["champion".to_owned(), "production".to_owned()],
            9 => version.stage = Stage::Archived,
            5 => {
                version.digest = None;
                version.signature = None;
                version.flavors.clear();
                version.run_id = None;
            }
            _ => {}
        }
        let f = f64::from(number);
        let has_run = version.run_id.is_some();
        let metrics = [("f1_macro", 0.38 + f * 0.0055), ("loss", 0.861 - f * 0.0085), ("p99_ms", 7.1 + f * 0.34)];
        VersionRow {
            version,
            created_by: Some(if number % 3 == 0 { "CI job" } else { "Data scientist" }.to_owned()),
            run: has_run.then(|| format!("hgb-lr0.05-depth{}-balanced", 4 + number % 5)),
            metrics: if has_run { metrics.map(super::own).into() } else { BTreeMap::new() },
        }
    };
    [14, 13, 12, 11, 10, 9, 7, 6, 5, 4, 2, 1].map(row).to_vec()
}

fn words(text: &str) -> Vec<Inline> {
    vec![Inline::Text(text.to_owned())]
}

fn blocks() -> Vec<Block> {
    let cells = |texts: &[&str]| texts.iter().map(|text| words(text)).collect::<Vec<_>>();
    vec![
        Block::Heading(2, words("What it is for")),
        Block::Paragraph(vec![
            Inline::Text("Sorts wine into seven classes of quality from eleven measurements of the lab, so that tasters see the doubtful ones first. Answers take ".to_owned()),
            Inline::Code("p99 < 20 ms".to_owned()),
            Inline::Text(".".to_owned()),
        ]),
        Block::Heading(2, words("What it is not for")),
        Block::List(
            None,
            vec![
                vec![Block::Paragraph(words("Prices: quality alone does not set them."))],
                vec![Block::Paragraph(words("Sparkling wine, of which it saw none."))],
            ],
        ),
        Block::Heading(2, words("How well it does, and where not")),
        Block::Table(
            cells(&["Slice", "Rows", "Macro F1"]),
            vec![cells(&["Red", "4,912", "0.462"]), cells(&["White, dry", "13,874", "0.459"]), cells(&["White, sweet", "1,214", "0.402"])],
        ),
        Block::Quote(vec![Block::Paragraph(words("Below quality 4 there are 246 rows; take its word there as a hint."))]),
        Block::Heading(2, words("Owners")),
        Block::Paragraph(vec![
            Inline::Text("Wine lab, ".to_owned()),
            Inline::Link(Target::Web("mailto:wine-lab@example.com".to_owned()), words("wine-lab@example.com")),
            Inline::Text("; ".to_owned()),
            Inline::Link(Target::Web("https://example.com/runbooks/wine".to_owned()), words("runbook")),
            Inline::Text(".".to_owned()),
        ]),
    ]
}

fn golden() -> GoldenRows {
    let text = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    GoldenRows {
        file: "golden.json".to_owned(),
        inputs: text(&["alcohol", "chlorides", "density", "fixed_acidity", "pH", "residual_sugar", "sulphates"]),
        outputs: text(&["quality", "p_max"]),
        rows: vec![
            text(&["9.4", "0.076", "0.9978", "7.4", "3.51", "1.9", "0.56", "5", "0.612"]),
            text(&["9.8", "0.098", "0.9968", "7.8", "3.2", "2.6", "0.68", "5", "0.587"]),
            text(&["12.8", "0.046", "0.9902", "6.2", "3.29", "1.4", "0.53", "7", "0.734"]),
            text(&["11.2", "0.075", "0.998", "11.2", "3.16", "1.9", "0.58", "6", "0.668"]),
        ],
        total: 2000,
    }
}

fn model_record() -> Model {
    let mut model = registered(NAME, "Quality of red and white wine from eleven measurements of the lab.", 0);
    model.aliases = [("challenger", 14), ("champion", 12), ("production", 12), ("staging", 14)]
        .map(|(a, v)| (a.to_owned(), v))
        .into();
    model
}

fn moves() -> Vec<AliasMove> {
    let one =
        |id: i64, alias: &str, from: Option<i32>, version: Option<i32>, days: i64, by: &str, promotion: Option<i64>| {
            AliasMove {
                id,
                alias: alias.to_owned(),
                from,
                version,
                is_deleted: matches!(version, Some(8 | 3)),
                at: ago(60 * 24 * days + id),
                by: by.to_owned(),
                cause: promotion.map(|number| AliasCause {
                    deployment: number * 2,
                    promotion: (number > 0).then_some(number),
                    is_rollback: number == 77,
                }),
            }
        };
    vec![
        one(12, "staging", Some(13), Some(14), 0, "Data scientist", Some(86)),
        one(11, "challenger", Some(13), Some(14), 1, "CI job", None),
        one(10, "production", Some(11), Some(12), 9, "Data scientist", Some(80)),
        one(9, "champion", Some(11), Some(12), 9, "Risk approver", None),
        one(8, "nightly", Some(8), None, 10, "CI job", None),
        one(7, "production", Some(12), Some(11), 10, "On-call engineer", Some(77)),
        one(6, "production", Some(10), Some(12), 11, "Data scientist", Some(76)),
        one(5, "champion", Some(8), Some(11), 14, "Data scientist", None),
        one(4, "nightly", None, Some(8), 15, "CI job", None),
        one(3, "champion", None, Some(8), 16, "Data scientist", None),
        one(2, "production", Some(3), Some(10), 30, "Data scientist", Some(61)),
        one(1, "production", None, Some(3), 39, "Data scientist", Some(40)),
    ]
}

/// The page of a model.
#[must_use]
pub fn model() -> ModelPage {
    let environments = environments();
    ModelPage {
        model: model_record(),
        versions: VersionTable {
            rows: rows(),
            metric_keys: ["f1_macro", "loss", "p99_ms"].map(str::to_owned).to_vec(),
            total: 12,
            next_page_token: None,
        },
        endpoints: vec![
            endpoint(&environments[1], NAME, 12, 48_210, Some(0.62)),
            endpoint(&environments[0], NAME, 14, 120, Some(0.08)),
        ],
        environments,
        promotions: vec![promotion(87, NAME, 14, "production", PromotionState::AwaitingApproval)],
        moves: moves().into_iter().take(5).collect(),
        card: Some(CardLead {
            number: 3,
            author: "Data scientist".to_owned(),
            at: ago(60 * 24 * 2),
            blocks: blocks().into_iter().skip(1).take(1).collect(),
        }),
        described: Some(Described { version: 12, signature: Some(signature()), golden: Some(Ok(golden())) }),
        events: vec![
            event(
                130,
                person("CI job"),
                "model_version.registered",
                ObjectKind::ModelVersion,
                "wine-quality-classifier v14",
                "registered wine-quality-classifier v14",
            ),
            event(
                1500,
                person("Data scientist"),
                "model.card_saved",
                ObjectKind::Model,
                NAME,
                "saved version 3 of the card of wine-quality-classifier",
            ),
            event(13_000, person("Risk approver"), "promotion.approved", ObjectKind::Promotion, "#80", "approved #80"),
        ],
        may_request: true,
        may_write: true,
    }
}

/// A model of hundreds of versions, with a long name and an alias for each quantile, of which none serves.
#[must_use]
pub fn model_many() -> ModelPage {
    let (models, _) = list();
    let mut page = model();
    page.model = models[2].model.clone();
    for (at, row) in page.versions.rows.iter_mut().enumerate() {
        row.version.model.clone_from(&page.model.name);
        row.version.version += 398;
        row.version.signature = None;
        row.version.aliases =
            if at == 1 { (1..10).map(|tenth| format!("quantile-{tenth}0")).collect() } else { Vec::new() };
    }
    page.versions.total = 397;
    page.versions.next_page_token = Some("ab".to_owned());
    page.endpoints.clear();
    page.card = None;
    page.described = Some(Described { version: 412, signature: None, golden: None });
    page
}

/// A model right after it was made.
#[must_use]
pub fn model_empty() -> ModelPage {
    ModelPage {
        model: registered("churn", "", 0),
        versions: VersionTable { rows: Vec::new(), metric_keys: Vec::new(), total: 0, next_page_token: None },
        endpoints: Vec::new(),
        promotions: Vec::new(),
        moves: Vec::new(),
        card: None,
        described: None,
        events: vec![event(
            1,
            person("Data scientist"),
            "model.created",
            ObjectKind::Model,
            "churn",
            "created the model churn",
        )],
        ..model()
    }
}

/// The aliases of a model now.
#[must_use]
pub fn aliases() -> AliasesPage {
    let all = moves();
    let standing = |days: i64| {
        let mut last: BTreeMap<String, AliasMove> = BTreeMap::new();
        for one in all.iter().rev().filter(|one| one.at <= ago(60 * 24 * days)) {
            last.insert(one.alias.clone(), one.clone());
        }
        last.into_values().filter(|one| one.version.is_some()).collect::<Vec<_>>()
    };
    let mut ever: BTreeMap<String, i64> = BTreeMap::new();
    for one in &all {
        *ever.entry(one.alias.clone()).or_default() += 1;
    }
    AliasesPage {
        model: model_record(),
        has_card: true,
        asked: None,
        then: standing(15),
        now: standing(0),
        ever: ever.into_iter().collect(),
        history: Page { items: moves(), next_page_token: None },
        versions: (1..=14).rev().collect(),
        protected: ["production", "staging"].map(str::to_owned).into(),
        may_write: true,
        may_request: true,
        edit: AliasEdit::default(),
    }
}

const CARD: &str =
    "## What it is for\n\nSorts wine into seven classes.\n\n## Data\n\nGrown in one valley.\n\n## Owners\n\nWine lab\n";

fn saved(number: i32, text: &str) -> ModelCard {
    ModelCard { number, text: text.to_owned(), author: "Data scientist".to_owned(), created_at: ago(60 * 24 * 2) }
}

/// The card of a model.
#[must_use]
pub fn card() -> CardPage {
    let entry = |number: i32, author: &str, characters: i32, days: i64| ModelCardEntry {
        number,
        characters,
        author: author.to_owned(),
        created_at: ago(60 * 24 * days),
    };
    CardPage {
        model: model_record(),
        latest: Some(3),
        shown: Some(ShownCard { card: saved(3, CARD), blocks: blocks() }),
        compared: None,
        edit: None,
        history: Page {
            items: vec![
                entry(3, "Data scientist", 1204, 2),
                entry(2, "Product approver", 980, 8),
                entry(1, "Data scientist", 212, 39),
            ],
            next_page_token: None,
        },
        may_write: true,
    }
}

/// The card while it is written, looked at before it is saved.
#[must_use]
pub fn card_edit() -> CardPage {
    let edit = CardEdit {
        draft: Draft::of([("text", CARD)]),
        instead_of: Some(3),
        preview: Some(blocks().into_iter().take(4).collect()),
        meanwhile: None,
    };
    CardPage { edit: Some(edit), ..card() }
}

/// The card when somebody else saved one meanwhile.
#[must_use]
pub fn card_conflict() -> CardPage {
    let typed = CARD.replace("Grown in one valley.", "Grown in two valleys.");
    let error = Error::conflict(
        "Data scientist saved version 3 of the card meanwhile. Look at what changed, and save again to replace it.",
    );
    let edit = CardEdit {
        meanwhile: Some((saved(3, CARD), TextDiff::of(CARD, &typed))),
        draft: Draft::of([("text", typed)]).refused(&error),
        instead_of: Some(3),
        preview: None,
    };
    CardPage { edit: Some(edit), ..card() }
}

/// Two cards against each other.
#[must_use]
pub fn card_compared() -> CardPage {
    let before = CARD.replace("seven classes", "five classes").replace("## Owners\n\nWine lab\n", "");
    CardPage { compared: Some((2, 3, TextDiff::of(&before, CARD))), ..card() }
}

fn champion() -> Champion {
    Champion {
        model: NAME.to_owned(),
        version: 12,
        metrics: [("accuracy", 0.684), ("f1_macro", 0.421), ("loss", 0.792), ("p99_ms", 8.4)].map(super::own).into(),
        better: [("f1_macro", Better::Higher), ("loss", Better::Lower), ("p99_ms", Better::Lower)]
            .map(super::own)
            .into(),
    }
}

fn deployment(number: i64, environment: usize, state: DeploymentState, promotion: i64) -> Deployment {
    let environments = environments();
    let mut deployment = endpoint(&environments[environment], NAME, 14, 1, None).deployment;
    deployment.number = number;
    deployment.state = state;
    deployment.promotion_number = Some(promotion);
    deployment
}

/// The page of a version.
#[must_use]
pub fn version_page() -> VersionPage {
    let mut version = version(14);
    version.aliases = vec!["challenger".to_owned(), "staging".to_owned()];
    version.tags = pairs(&[("sweep", "lr-2"), ("reviewed", "yes")]);
    version.description = "Weights classes below 5 %.".to_owned();
    VersionPage {
        version,
        files: files(14),
        looked_at: FilesPage::default(),
        lineage: VersionLineage {
            run: Some(logged("hgb-lr0.05-depth6-balanced", "6")),
            pipeline_run: Some(("train-wine".to_owned(), 511)),
        },
        promotions: vec![
            promotion(87, NAME, 14, "production", PromotionState::AwaitingApproval),
            promotion(86, NAME, 14, "staging", PromotionState::Live),
        ],
        deployments: vec![deployment(172, 0, DeploymentState::Live, 86)],
        champion: Some(champion()),
        golden: Some(Ok(golden())),
        created_by: Some("Data scientist".to_owned()),
        previous: Some(13),
        comments: comments(),
        events: vec![event(
            95,
            person("Data scientist"),
            "model_version.registered",
            ObjectKind::ModelVersion,
            "wine-quality-classifier v14",
            "registered wine-quality-classifier v14",
        )],
        may_request: true,
    }
}

/// A version of which little is known: no files, no run, no signature.
#[must_use]
pub fn version_bare() -> VersionPage {
    let mut version = version(5);
    version.digest = None;
    version.signature = None;
    version.flavors.clear();
    version.run_id = None;
    version.size = 0;
    version.source = "dummy-source".to_owned();
    VersionPage {
        version,
        files: Vec::new(),
        looked_at: FilesPage::default(),
        lineage: VersionLineage::default(),
        promotions: Vec::new(),
        deployments: Vec::new(),
        champion: None,
        golden: None,
        created_by: None,
        previous: None,
        comments: CommentList::default(),
        events: Vec::new(),
        may_request: true,
    }
}

/// Two versions beside each other.
#[must_use]
pub fn compare() -> ComparePage {
    let side = |number: i32, depth: &str, texts: &str| {
        let mut run: Run = logged(&format!("hgb-lr0.05-depth{depth}"), depth);
        run.tags.insert(domain::version_diff::COMMIT_TAG.to_owned(), format!("{number}f03a71c4d2be8a0"));
        run.datasets[0].digest = format!("{number}be2a771");
        VersionSide {
            version: version(number),
            files: files(u8::try_from(number).unwrap_or(1)),
            run: Some(run),
            texts: pairs(&[("requirements.txt", texts)]),
        }
    };
    let mut a = side(12, "6", "mlflow==3.1.0\nonnxruntime==1.19.2\nscikit-learn==1.5.2\n");
    let mut b = side(14, "8", "mlflow==3.1.0\nonnxruntime==1.20.1\nscikit-learn==1.5.2\nskl2onnx==1.17.0\n");
    let set = |run: &mut Run, values: &[(&str, f64)]| {
        for (key, value) in values {
            match run.metrics.iter_mut().find(|metric| metric.key == *key) {
                Some(metric) => metric.value = *value,
                None => run.metrics.push(Metric { key: (*key).to_owned(), value: *value, timestamp: 0, step: 0 }),
            }
        }
    };
    if let (Some(a), Some(b)) = (&mut a.run, &mut b.run) {
        set(a, &[("accuracy", 0.684), ("f1_macro", 0.421), ("loss", 0.792), ("p99_ms", 8.4)]);
        set(b, &[("calibration_error", f64::NAN)]);
    }
    if let Some(signature) = &mut a.version.signature {
        signature.inputs[3].dtype = "float".to_owned();
        signature.inputs.remove(10);
    }
    a.files.push(VersionFile { path: "vocabulary.txt".to_owned(), digest: digest(99), size: 5120 });
    b.files.push(VersionFile { path: "code/features.py".to_owned(), digest: digest(98), size: 2209 });
    b.version.flavors.push("sklearn".to_owned());
    let diff = VersionDiff::of(&a, &b, &champion().better);
    ComparePage {
        model: NAME.to_owned(),
        asked: ("12".to_owned(), "14".to_owned()),
        compared: Ok(Box::new((a, b, diff))),
    }
}
