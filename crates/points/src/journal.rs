//! Points as they come. Each is 28 bytes, big-endian: the metric's number, step, time, value. The schema's migrations
//! write the same form in SQL, by `int4send` and its like.

use crate::Damaged;
use domain::series::Point;

const BYTES: usize = 28;

/// A point, with the number of its metric.
pub type Entry = (i32, Point);

/// The most points of a row: as many as fit into a page of the database.
pub const MAX_POINTS: usize = 280;

/// Writes points, in the order in which they are given.
#[must_use]
pub fn encode(entries: impl IntoIterator<Item = Entry>) -> Vec<u8> {
    let entries = entries.into_iter();
    let mut bytes = Vec::with_capacity(entries.size_hint().0 * BYTES);
    for (metric, point) in entries {
        bytes.extend_from_slice(&metric.to_be_bytes());
        bytes.extend_from_slice(&point.step.to_be_bytes());
        bytes.extend_from_slice(&point.timestamp.to_be_bytes());
        bytes.extend_from_slice(&point.value.to_be_bytes());
    }
    bytes
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// When the bytes are no whole number of points.
pub fn decode(bytes: &[u8]) -> Result<impl Iterator<Item = Entry>, Damaged> {
    let (records, rest) = bytes.as_chunks::<BYTES>();
    if !rest.is_empty() {
        return Err(Damaged);
    }
    Ok(records.iter().map(|record| {
        let part = |at: usize| std::array::from_fn(|byte| record[at + byte]);
        let metric = i32::from_be_bytes([record[0], record[1], record[2], record[3]]);
        let point = Point {
            step: i64::from_be_bytes(part(4)),
            timestamp: i64::from_be_bytes(part(12)),
            value: f64::from_be_bytes(part(20)),
        };
        (metric, point)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(
            entries in proptest::collection::vec((any::<i32>(), any::<i64>(), any::<i64>(), any::<f64>()), 0..50)
        ) {
            let entries: Vec<Entry> = entries
                .into_iter()
                .map(|(metric, step, timestamp, value)| (metric, Point { step, timestamp, value }))
                .collect();
            let bytes = encode(entries.iter().copied());
            prop_assert_eq!(bytes.len(), entries.len() * 28);
            prop_assert_eq!(decode(&bytes).unwrap().collect::<Vec<_>>(), entries);
        }

        #[test]
        fn any_bytes_are_points_or_damaged(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            match decode(&bytes) {
                Ok(entries) => prop_assert_eq!(entries.count() * 28, bytes.len()),
                Err(Damaged) => prop_assert!(bytes.len() % 28 > 0),
            }
        }
    }
}
