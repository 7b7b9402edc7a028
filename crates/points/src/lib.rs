//! Points of metrics as bytes, in the two forms that the database keeps them in.
//!
//! - [`journal`]: points as they come, of any metrics of one run, 28 bytes each. Quick to write.
//! - [`chunk`]: points of one metric of one run, in the order of histories, packed to a few bytes each. Quick to read.
//!
//! When which is written is the business of `store`; nothing here knows a database.

pub mod chunk;
pub mod journal;

use domain::series::Point;

/// What should be points is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bytes that should be points are damaged")]
pub struct Damaged;

/// Brings points in the order of histories, each once.
pub fn arrange(points: &mut Vec<Point>) {
    if !points.is_sorted_by(|one, next| one.by_time(next).is_lt()) {
        points.sort_unstable_by(Point::by_time);
        points.dedup();
    }
}
