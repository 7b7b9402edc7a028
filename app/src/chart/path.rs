//! Paths: points to the text of an SVG path, fewer points to the same picture.

use std::fmt::Write as _;

/// A coordinate with one digit after the point, without trailing zeros: half the bytes of a chart are coordinates.
#[must_use]
pub fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A line through points. A point that is not finite breaks the line.
#[must_use]
pub fn line(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    let mut pen_down = false;
    for (x, y) in points {
        if !x.is_finite() || !y.is_finite() {
            pen_down = false;
            continue;
        }
        // Writing to a string cannot fail.
        let _ = write!(path, "{}{} {}", if pen_down { "L" } else { "M" }, short(x), short(y));
        pen_down = true;
    }
    path
}

/// The points that keep a curve's look, at most `most` of them: largest-triangle-three-buckets (Steinarsson, 2013),
/// which keeps peaks that an average would lose. Points that are not finite are kept as gaps where few.
#[must_use]
pub fn thin(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    if points.len() <= most || most < 3 {
        return points.to_vec();
    }
    let finite: Vec<(f64, f64)> = points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    if finite.len() <= most {
        return points.to_vec();
    }
    let buckets = most - 2;
    let inner = finite.len() - 2;
    let bounds = |bucket: usize| 1 + bucket * inner / buckets;
    let mut kept = Vec::with_capacity(most);
    let mut last = finite[0];
    kept.push(last);
    for bucket in 0..buckets {
        let here = &finite[bounds(bucket)..bounds(bucket + 1)];
        let next = &finite[bounds(bucket + 1)..if bucket + 1 == buckets { finite.len() } else { bounds(bucket + 2) }];
        // Buckets are far smaller than what loses digits.
        #[allow(clippy::cast_precision_loss)]
        let n = next.len() as f64;
        let (sum_x, sum_y) = next.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let middle = (sum_x / n, sum_y / n);
        let area = |p: &(f64, f64)| ((last.0 - middle.0) * (p.1 - last.1) - (last.0 - p.0) * (middle.1 - last.1)).abs();
        if let Some(best) = here.iter().max_by(|a, b| area(a).total_cmp(&area(b))) {
            last = *best;
            kept.push(last);
        }
    }
    kept.extend(finite.last());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_lifts_the_pen() {
        let points = [(0.0, 1.0), (1.0, 2.25), (2.0, f64::NAN), (3.0, 4.0), (4.0, 5.0)];
        assert_eq!(line(points), "M0 1L1 2.2M3 4L4 5");
    }

    #[test]
    fn thinning_keeps_the_ends_and_the_peak() {
        let points: Vec<(f64, f64)> = (0..1000).map(|i| (f64::from(i), if i == 517 { 9.0 } else { 0.0 })).collect();
        let kept = thin(&points, 50);
        assert_eq!(kept.len(), 50);
        assert_eq!((kept[0], kept[49]), ((0.0, 0.0), (999.0, 0.0)));
        assert!(kept.contains(&(517.0, 9.0)));
    }
}
