//! What the gates of a promotion find, from what was read in one transaction and from what was found out before it.
//!
//! Most of it is a function of the tables, and is computed anew whenever somebody asks. What takes long, or comes from
//! elsewhere (the engine, evaluation rows, Prometheus), is found out once a round, outside of any transaction, by
//! [`Services::observe`]; the finding is stored, and counts for as long as it is about the same.

use super::{
    present::{OrSentence, Present},
    trial::Trial,
};
use crate::{Error, Result, Services, blocking};
use domain::{
    ErrorKind,
    policy::{GateSpec, PolicySet},
    promotion::{
        Finding, Gate, Verdict, better_by_rows, better_than_champion,
        gate::{
            card, cel,
            dataset::{self, ReadVersion},
            external, latency, promql, reproduction,
            rows::{self, Rows, Source},
            signature, slices,
        },
        golden, metric_threshold,
    },
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use store::promotion::EvaluationFile;

/// What is known of that which cannot be found out in a transaction.
pub(super) struct Known<'a> {
    /// The gates of this round with what they found so far.
    pub(super) before: &'a [Gate],
    /// What was just found out, as far as it was not known.
    pub(super) now: Option<&'a Observed>,
}

impl<'a> Known<'a> {
    /// What the gates have found before, as far as it is still about the same.
    pub(super) fn before(gates: &'a [Gate]) -> Self {
        Self { before: gates, now: None }
    }
}

/// What was just found out outside of any transaction.
#[derive(Default)]
pub(super) struct Observed {
    /// What the engine answered, if it had to be asked.
    pub(super) trial: Option<Trial>,
    /// What was found in the evaluation rows, if they had to be read.
    rows: Option<Evaluations>,
    /// What Prometheus answered to each query.
    prometheus: BTreeMap<String, OrSentence<Vec<u8>>>,
}

/// What gates found in the evaluation rows of both versions.
struct Evaluations {
    found: Vec<(GateSpec, Finding)>,
    /// What they were read from.
    about: Value,
}

/// What the gates that decide find, in their order; none when something has to be found out first.
pub(super) fn deciding(present: &Present, policies: &PolicySet, known: &Known<'_>) -> Option<Vec<Finding>> {
    let specs: Vec<&GateSpec> = policies.gates().map(|(_, gate)| gate).collect();
    with_expressions(present, &specs, known, None)
}

/// What the gates that run dry find; expressions among them look at those that decide.
pub(super) fn advisory(
    present: &Present,
    policies: &PolicySet,
    known: &Known<'_>,
    deciding: &[Finding],
) -> Option<Vec<Finding>> {
    let specs: Vec<&GateSpec> = policies.advisory().map(|(_, gate)| gate).collect();
    let seen = policies.gates().map(|(_, gate)| gate).zip(deciding);
    let seen = seen.filter(|(gate, _)| !matches!(gate, GateSpec::Cel { .. })).collect();
    with_expressions(present, &specs, known, Some(seen))
}

/// First everything but expressions, then those: they look at what `seen` found, or else at the others.
fn with_expressions(
    present: &Present,
    specs: &[&GateSpec],
    known: &Known<'_>,
    seen: Option<Vec<(&GateSpec, &Finding)>>,
) -> Option<Vec<Finding>> {
    let mut found: Vec<Option<Finding>> = Vec::with_capacity(specs.len());
    for spec in specs {
        found.push(match spec {
            GateSpec::Cel { .. } => None,
            spec => Some(finding(present, spec, known)?),
        });
    }
    let own = || specs.iter().zip(&found).filter_map(|(spec, finding)| Some((*spec, finding.as_ref()?)));
    let is_held_back = seen.as_ref().map_or_else(|| hold_back(own()), |seen| hold_back(seen.iter().copied()));
    let was_asked = |spec: &GateSpec| known.before.iter().any(|gate| gate.spec == *spec && gate.asked_at.is_some());
    for (spec, finding) in specs.iter().zip(&mut found) {
        if is_held_back && matches!(spec, GateSpec::External { .. }) && !was_asked(spec) {
            *finding = finding.as_ref().map(not_asked);
        }
    }
    let gates = seen.unwrap_or_else(|| {
        specs.iter().zip(&found).filter_map(|(spec, finding)| Some((*spec, finding.as_ref()?))).collect()
    });
    let expressions: Vec<Option<Finding>> = specs
        .iter()
        .map(|spec| match spec {
            GateSpec::Cel { expression, .. } => Some(cel::cel(
                expression,
                &cel::Known {
                    metrics: &present.metrics,
                    champion_metrics: &present.champion_metrics,
                    gates: gates.clone(),
                    model: &present.candidate.model,
                    version: present.candidate.version,
                    environment: &present.environment,
                    datasets: &present.datasets,
                    code: present.code.as_deref().unwrap_or_default(),
                    evidence: &present.uploaded,
                    tags: &present.tags,
                },
            )),
            _ => None,
        })
        .collect();
    found.into_iter().zip(expressions).map(|(finding, expression)| finding.or(expression)).collect()
}

/// Whether one of these gates does not pass, so that nobody outside is bothered with the version. Expressions are not asked:
/// they may look at what is answered outside.
pub(super) fn hold_back<'a>(gates: impl IntoIterator<Item = (&'a GateSpec, &'a Finding)>) -> bool {
    gates.into_iter().any(|(spec, finding)| {
        !matches!(spec, GateSpec::External { .. } | GateSpec::Cel { .. })
            && matches!(finding.verdict, Verdict::Fail | Verdict::Inconclusive)
    })
}

/// What an external gate finds that is not asked, because others hold the version back.
fn not_asked(finding: &Finding) -> Finding {
    let reason = "It was not asked, because other gates do not pass. Run the gates again when they do.";
    Finding::inconclusive(finding.limit.clone(), reason)
}

fn finding(present: &Present, gate: &GateSpec, known: &Known<'_>) -> Option<Finding> {
    let title = present.champion_title();
    let title = title.as_deref();
    if is_from_outside(gate) {
        return found_before(present, gate, known.before).or_else(|| observed(present, gate, known.now?));
    }
    Some(match gate {
        GateSpec::MetricThreshold { metric, better, threshold } => {
            metric_threshold(metric, *better, *threshold, present.metrics.get(metric).copied())
        }
        GateSpec::BetterThanChampion { metric, better, min_gain, .. } => {
            let champion = title.map(|title| (title, present.champion_metrics.get(metric).copied()));
            let value = present.metrics.get(metric).copied();
            better_than_champion(metric, *better, *min_gain, value, champion)
        }
        GateSpec::SignatureCompatible {} => {
            let theirs = present.champion_candidate.as_ref().and_then(|candidate| candidate.signature.as_ref());
            let ours = present.candidate.signature.as_ref();
            signature::signature_compatible(ours, title.map(|title| (title, theirs)))
        }
        GateSpec::ModelCard { sections, max_age } => {
            let blocks = present.card.as_ref().map(|card| preview::prose(&card.text)).unwrap_or_default();
            let card = present.card.as_ref().map(|card| (card, blocks.as_slice()));
            card::model_card(sections, *max_age, card, present.at)
        }
        GateSpec::DatasetChecked { datasets } => {
            // What people are asked about rests on what was found last; whoever evaluates anew waits for what comes.
            let read: Vec<ReadVersion> = match known.now {
                Some(_) => present.read.iter().map(ReadVersion::awaited).collect(),
                None => present.read.clone(),
            };
            dataset::dataset_checked(datasets, &present.datasets, &read, &present.uploaded)
        }
        GateSpec::Reproduced { metrics, tolerance } => match &present.pipeline_reproduction {
            Some((first, second, verdict)) => reproduction::of_pipeline_run(*first, *second, verdict),
            None => reproduction::reproduced(metrics, *tolerance, &present.metrics, present.reproduction.as_ref()),
        },
        GateSpec::External { name, timeout } => {
            let asked_at = known.before.iter().find(|noted| noted.spec == *gate).and_then(|noted| noted.asked_at);
            let evidence = format!("{}{name}", external::PREFIX);
            let uploaded = present.uploaded.iter().find(|one| one.name == evidence);
            external::external(name, *timeout, asked_at, uploaded, present.at)
        }
        _ => Finding::inconclusive("", "This gate cannot be evaluated here."),
    })
}

/// Whether what it finds is found out outside of transactions, and stored.
fn is_from_outside(gate: &GateSpec) -> bool {
    gate.needs_engine() || gate.needs_rows() || matches!(gate, GateSpec::Promql { .. })
}

/// What a gate that asks exactly this has found in this round, if that is about what is there now.
fn found_before(present: &Present, gate: &GateSpec, before: &[Gate]) -> Option<Finding> {
    let found = before.iter().find(|noted| noted.spec == *gate)?.finding.clone()?;
    let holds = match gate {
        _ if found.verdict == Verdict::Pending => false,
        GateSpec::GoldenRow { .. } => golden::is_about(&found, &present.digest),
        GateSpec::LatencyBudget { .. } => latency::is_about(&found, &present.digest),
        GateSpec::Promql { .. } => true,
        _ => found.evidence.get("about") == Some(&about(present)),
    };
    holds.then_some(found)
}

/// What evaluation rows are about: which files they are in, and whose.
fn about(present: &Present) -> Value {
    let file =
        |file: &Option<EvaluationFile>| file.as_ref().map(|file| json!({ "path": file.path, "digest": file.digest }));
    json!({
        "rows": file(&present.rows), "champion": present.champion_title(), "champion_rows": file(&present.champion_rows),
    })
}

/// What a gate finds in what was just found out; none when that is about something else.
fn observed(present: &Present, gate: &GateSpec, now: &Observed) -> Option<Finding> {
    Some(match gate {
        GateSpec::GoldenRow { tolerance } => now.trial.as_ref()?.finding(*tolerance, &present.digest),
        GateSpec::LatencyBudget { percentile, max_ms, requests } => {
            now.trial.as_ref()?.latency(*percentile, *max_ms, *requests, &present.digest)
        }
        gate if gate.needs_rows() => {
            let rows = now.rows.as_ref().filter(|rows| rows.about == about(present))?;
            rows.found.iter().find(|(spec, _)| spec == gate)?.1.clone()
        }
        GateSpec::Promql { query, bound } => {
            let asked = expanded(present, query);
            let answer = match &asked {
                Ok(asked) => now.prometheus.get(asked)?.clone(),
                Err(sentence) => Err(sentence.clone()),
            };
            promql::promql(asked.as_deref().unwrap_or(query), *bound, &answer)
        }
        _ => return None,
    })
}

/// What a gate finds in the evaluation rows of both versions. Takes seconds when they are many.
fn in_rows(
    gate: &GateSpec,
    ours: &OrSentence<Rows>,
    champion: Option<(&str, &OrSentence<Rows>)>,
    about: &Value,
) -> Option<Finding> {
    let mut finding = match gate {
        GateSpec::BetterThanChampion { metric, better, min_gain, confidence: Some(confidence) } => {
            better_by_rows(metric, *better, *min_gain, *confidence, ours, champion)
        }
        GateSpec::SliceFloor { metric, better, columns, floor, max_drop, min_rows } => {
            let ask = slices::Ask {
                metric,
                better: *better,
                columns,
                floor: *floor,
                max_drop: *max_drop,
                min_rows: *min_rows,
            };
            slices::slice_floor(&ask, ours, champion)
        }
        _ => return None,
    };
    match &mut finding.evidence {
        Value::Object(fields) => {
            fields.insert("about".to_owned(), about.clone());
        }
        other => *other = json!({ "about": about }),
    }
    Some(finding)
}

/// A query about the version of a promotion.
fn expanded(present: &Present, query: &str) -> OrSentence<String> {
    let target = promql::Target {
        model: &present.candidate.model,
        version: present.candidate.version,
        environment: &present.environment,
    };
    promql::expand(query, &target).map_err(|what| format!("The query cannot be asked: {what}"))
}

impl Services {
    /// Finds out what the gates of this round ask for outside of the tables and have not found yet. Takes as long as the
    /// limits allow: never within a transaction.
    ///
    /// # Errors
    /// `Unavailable` when that cannot be done here and now: this process has no engine, or the artifact store does not
    /// answer.
    pub(super) async fn observe(&self, present: &Present, policies: &PolicySet, noted: &[Gate]) -> Result<Observed> {
        let all = policies.gates().chain(policies.advisory()).map(|(_, gate)| gate);
        let open: Vec<&GateSpec> =
            all.filter(|gate| is_from_outside(gate) && found_before(present, gate, noted).is_none()).collect();
        let mut observed = Observed::default();
        if open.iter().any(|gate| gate.needs_rows()) {
            observed.rows = Some(self.evaluations(present, &open).await?);
        }
        if open.iter().any(|gate| gate.needs_engine()) {
            let requests = open.iter().filter_map(|gate| match gate {
                GateSpec::LatencyBudget { requests, .. } => Some(*requests),
                _ => None,
            });
            observed.trial = Some(self.try_version(present, requests.max()).await?);
        }
        let queries = open.iter().filter_map(|gate| match gate {
            GateSpec::Promql { query, .. } => expanded(present, query).ok(),
            _ => None,
        });
        let queries: BTreeSet<String> = queries.collect();
        observed.prometheus = futures::future::join_all(queries.into_iter().map(|query| async {
            let answer = match &self.prometheus {
                Some(prometheus) => prometheus.ask(&query).await,
                None => Err("No Prometheus is configured: the server is started with --prometheus-url.".to_owned()),
            };
            (query, answer)
        }))
        .await
        .into_iter()
        .collect();
        Ok(observed)
    }

    /// What gates find in the evaluation rows of the version and of the champion.
    async fn evaluations(&self, present: &Present, open: &[&GateSpec]) -> Result<Evaluations> {
        let gates: Vec<GateSpec> = open.iter().filter(|gate| gate.needs_rows()).map(|gate| (*gate).clone()).collect();
        let columns = gates.iter().filter_map(|gate| match gate {
            GateSpec::SliceFloor { columns, .. } => Some(columns),
            _ => None,
        });
        let slices: BTreeSet<String> = columns.flatten().cloned().collect();
        let ours = self.evaluation(present.rows.as_ref(), "The version's", &slices).await?;
        let theirs = self.evaluation(present.champion_rows.as_ref(), "The champion's", &slices).await?;
        let (title, about) = (present.champion_title(), about(present));
        blocking(move || {
            let champion = title.as_deref().map(|title| (title, &theirs));
            let find = |gate: GateSpec| in_rows(&gate, &ours, champion, &about).map(|finding| (gate, finding));
            let found = gates.into_iter().filter_map(find).collect();
            Evaluations { found, about }
        })
        .await
    }

    async fn evaluation(
        &self,
        file: Option<&EvaluationFile>,
        whose: &str,
        slices: &BTreeSet<String>,
    ) -> Result<OrSentence<Rows>> {
        let Some(EvaluationFile { path, digest, size }) = file.cloned() else {
            return Ok(Err(format!(
                "{whose} run has no evaluation rows: log evaluation.csv with the columns target and prediction."
            )));
        };
        let limit = rows::MAX_BYTES;
        if u64::try_from(size).unwrap_or_default() > limit {
            return Ok(Err(format!("{path} has more than {} MiB; log a sample of the rows.", limit >> 20)));
        }
        let bytes = match self.artifacts.get_bytes(&digest, limit).await {
            Ok(bytes) => bytes,
            Err(artifacts::Error::Store(error)) => {
                tracing::warn!(%error, "evaluation rows cannot be read");
                return Err(Error::new(ErrorKind::Unavailable, "The artifact store does not answer."));
            }
            Err(error) => {
                tracing::warn!(%error, %digest, "evaluation rows cannot be read");
                return Ok(Err(format!("{path} cannot be read from the artifact store.")));
            }
        };
        let slices = slices.clone();
        blocking(move || preview::evaluation(Source { path, digest }, &bytes, &slices)).await
    }
}

/// Whether these are the gates of these policies, in their order.
pub(super) fn are_of(gates: &[Gate], policies: &PolicySet) -> bool {
    let deciding = policies.gates().map(|(policy, gate)| (policy.name.as_str(), gate, false));
    let all = deciding.chain(policies.advisory().map(|(policy, gate)| (policy.name.as_str(), gate, true)));
    gates.iter().map(|gate| (gate.policy.as_str(), &gate.spec, gate.advisory)).eq(all)
}
