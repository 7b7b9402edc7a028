//! Features against their reference, those that moved furthest first.

use crate::{
    chart::{
        Figure,
        histogram::{self, Pair},
    },
    format,
    ui::prelude::*,
};
use domain::drift::{FeatureDrift, Method, Verdict};
use leptos::prelude::*;

/// How many features are drawn; all are in the table.
const DRAWN: usize = 6;

/// How far a feature moved, in thresholds: from 1 on it drifted. Below every other when nothing can be said.
#[must_use]
pub fn strength(feature: &FeatureDrift) -> f64 {
    match feature.verdict {
        Verdict::Scored { method, score, threshold, .. } if method.is_p_value() => threshold / score.max(1e-300),
        Verdict::Scored { score, threshold, .. } => score / threshold.max(1e-300),
        Verdict::Inconclusive { .. } => -1.0,
    }
}

/// Features in the order of how far they moved, then by name.
#[must_use]
pub fn sorted(mut features: Vec<FeatureDrift>) -> Vec<FeatureDrift> {
    // A test and a distance cannot be compared: whether the feature drifted counts before how far.
    features.sort_by(|a, b| {
        let drifted = |feature: &FeatureDrift| feature.drifted() == Some(true);
        (drifted(b).cmp(&drifted(a))).then(strength(b).total_cmp(&strength(a))).then_with(|| a.feature.cmp(&b.feature))
    });
    features
}

/// The score in words: a p-value says that it is one.
#[must_use]
pub fn score(method: Method, score: f64) -> String {
    match method.is_p_value() {
        true if score < 1e-4 => "p < 0.0001".to_owned(),
        true => format!("p = {}", format::number(score)),
        false => format::number(score),
    }
}

/// What the comparison of a feature says, as a shape and a word.
fn verdict(feature: &FeatureDrift) -> (State, &'static str) {
    match feature.drifted() {
        Some(true) => (State::Failed, "Drifted"),
        Some(false) => (State::Passed, "As before"),
        None => (State::Unsure, "Not compared"),
    }
}

/// The share of values that are missing, then and now.
fn missing(feature: &FeatureDrift) -> Option<(f64, f64)> {
    // Rows of a window are far below what loses digits.
    #[allow(clippy::cast_precision_loss)]
    let share = |nulls: u64, rows: u64| nulls as f64 / (nulls + rows).max(1) as f64;
    let then = share(feature.reference_nulls, feature.reference_rows);
    let now = share(feature.current_nulls, feature.current_rows);
    (then > 0.0 || now > 0.0).then_some((then, now))
}

/// The features of a check: the first few drawn, all in a table.
#[component]
pub fn Features(
    /// The features, in any order.
    features: Vec<FeatureDrift>,
) -> impl IntoView {
    let features = sorted(features);
    let total = features.len();
    let drawn: Vec<_> = features.iter().filter(|feature| feature.bins.is_some()).take(DRAWN).cloned().collect();
    let (more, shown) = (total.saturating_sub(drawn.len()), drawn);
    let drawn = shown.len();
    let charts = shown.into_iter().map(|feature| view! { <Drawn feature/> }).collect_view();
    let rows = features.into_iter().map(|feature| view! { <Line feature/> }).collect_view();
    view! {
        {(drawn > 0)
            .then(|| {
                view! {
                    <p class="legend drift">
                        <span><i class="block was"></i>"reference"</span>
                        <span><i class="block"></i>"current"</span>
                        {(more > 0).then(|| format!("the {drawn} that moved furthest of {total}"))}
                    </p>
                    <div class="charts drift">{charts}</div>
                }
            })}
        <Table label="Features against the reference" class="features">
            <thead>
                <tr>
                    <Head label="Feature" class="pin"/>
                    <Head label="Found"/>
                    <Head label="Score" num=true/>
                    <Head label="Limit" num=true/>
                    <Head label="Method"/>
                    <Head label="Missing" num=true/>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </Table>
    }
}

#[component]
fn Drawn(feature: FeatureDrift) -> impl IntoView {
    let (shape, word) = verdict(&feature);
    let about = match feature.verdict {
        Verdict::Scored { method, score: value, threshold, .. } => {
            let sign = if method.is_p_value() { "below" } else { "from" };
            format!("{} {}, drift {sign} {threshold}", name(method), score(method, value))
        }
        Verdict::Inconclusive { reason } => format::capitalised(&reason.to_string()),
    };
    let pair =
        feature.bins.clone().map(|bins| view! { <Figure drawing=histogram::draw(&Pair::of(&feature.feature, bins))/> });
    view! {
        <figure class="feature">
            <figcaption>
                <b class="mono ellipsis" title=feature.feature.clone()>{feature.feature.clone()}</b>
                <StateMark state=shape word/>
            </figcaption>
            {pair}
            <p class="muted">{about}</p>
        </figure>
    }
}

#[component]
fn Line(feature: FeatureDrift) -> impl IntoView {
    let (shape, word) = verdict(&feature);
    let missing = missing(&feature);
    let told = match feature.verdict {
        Verdict::Scored { method, score: value, threshold, .. } => view! {
            <td class="num strong">{score(method, value)}</td>
            <td class="num muted">{threshold.to_string()}</td>
            <td class="muted">{name(method)}</td>
        }
        .into_any(),
        Verdict::Inconclusive { reason } => {
            view! { <td colspan="3" class="muted">{format::capitalised(&reason.to_string())}</td> }.into_any()
        }
    };
    let lost = match missing {
        None => view! { <span class="none">{format::NONE}</span> }.into_any(),
        Some((then, now)) if now > then => {
            view! { {format::percent(then)}" → "<b class="strong">{format::percent(now)}</b> }.into_any()
        }
        Some((then, now)) => format!("{} → {}", format::percent(then), format::percent(now)).into_any(),
    };
    view! {
        <tr>
            <th scope="row" class="pin"><span class="mono feature-name" title=feature.feature.clone()>{feature.feature.clone()}</span></th>
            <td><StateMark state=shape word/></td>
            {told}
            <td class="num">{lost}</td>
        </tr>
    }
}

/// The method's name without what the score says of itself.
fn name(method: Method) -> &'static str {
    match method {
        Method::KolmogorovSmirnov => "Kolmogorov-Smirnov",
        Method::ChiSquare => "Chi-square",
        Method::ZTest => "Z-test",
        Method::Wasserstein => "Wasserstein, normed",
        Method::JensenShannon => "Jensen-Shannon",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::drift::Reason;

    fn feature(name: &str, verdict: Verdict) -> FeatureDrift {
        FeatureDrift {
            feature: name.into(),
            verdict,
            reference_rows: 90,
            reference_nulls: 10,
            current_rows: 100,
            current_nulls: 0,
            bins: None,
        }
    }

    fn scored(method: Method, score: f64) -> Verdict {
        Verdict::Scored { method, score, threshold: method.threshold(), drifted: method.is_drift(score) }
    }

    #[test]
    fn what_drifted_comes_first_and_what_cannot_be_told_last() {
        let features = vec![
            feature("same", scored(Method::Wasserstein, 0.02)),
            feature("odd", Verdict::Inconclusive { reason: Reason::AllMissing }),
            feature("far", scored(Method::Wasserstein, 0.9)),
            feature("certain", scored(Method::KolmogorovSmirnov, 1e-9)),
            feature("near", scored(Method::Wasserstein, 0.11)),
        ];
        let names: Vec<_> = sorted(features).into_iter().map(|feature| feature.feature).collect();
        assert_eq!(names, ["certain", "far", "near", "same", "odd"]);
    }

    #[test]
    fn a_p_value_says_that_it_is_one() {
        assert_eq!(score(Method::ChiSquare, 3e-12), "p < 0.0001");
        assert_eq!(score(Method::ZTest, 0.031), "p = 0.031");
        assert_eq!(score(Method::JensenShannon, 0.2), "0.200");
    }

    #[test]
    fn missing_values_are_told_as_shares_of_both_sides() {
        assert_eq!(missing(&feature("a", scored(Method::ZTest, 0.5))), Some((0.1, 0.0)));
    }
}
