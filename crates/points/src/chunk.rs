//! Points of one metric, packed by columns with [pcodec](https://github.com/pcodec/pcodec): equal distances between steps
//! and times cost next to nothing, values what they differ.

use crate::Damaged;
use domain::series::Point;
use pco::{
    ChunkConfig,
    data_types::Number,
    standalone::{simple_compress, simple_decompress},
};

/// The most points that one chunk should have: reading a few more than are wanted costs little, and writing one again
/// when points are added does too.
pub const MAX_POINTS: usize = 4096;

/// Past this level, packing takes much longer and saves little.
const LEVEL: usize = 6;

/// Packs points, in the order in which they are given.
///
/// # Errors
/// Never, as far as the packer keeps its word.
pub fn pack(points: &[Point]) -> Result<Vec<u8>, Damaged> {
    let mut bytes = Vec::new();
    put(&mut bytes, points.iter().map(|point| point.timestamp).collect())?;
    put(&mut bytes, points.iter().map(|point| point.step).collect())?;
    put(&mut bytes, points.iter().map(|point| point.value).collect())?;
    Ok(bytes)
}

/// Reads what [`pack`] wrote.
///
/// # Errors
/// When the bytes are none of a chunk.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Point>, Damaged> {
    let (timestamps, bytes) = take::<i64>(bytes)?;
    let (steps, bytes) = take::<i64>(bytes)?;
    let (values, bytes) = take::<f64>(bytes)?;
    if !bytes.is_empty() || timestamps.len() != steps.len() || timestamps.len() != values.len() {
        return Err(Damaged);
    }
    let columns = timestamps.into_iter().zip(steps).zip(values);
    Ok(columns.map(|((timestamp, step), value)| Point { step, timestamp, value }).collect())
}

/// Adds a column: its length in bytes, and the packed numbers.
fn put<N: Number>(bytes: &mut Vec<u8>, numbers: Vec<N>) -> Result<(), Damaged> {
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    let packed = simple_compress(&numbers, &config).map_err(|_| Damaged)?;
    bytes.extend_from_slice(&u32::try_from(packed.len()).map_err(|_| Damaged)?.to_be_bytes());
    bytes.extend_from_slice(&packed);
    Ok(())
}

fn take<N: Number>(bytes: &[u8]) -> Result<(Vec<N>, &[u8]), Damaged> {
    let (length, bytes) = bytes.split_first_chunk::<4>().ok_or(Damaged)?;
    let (packed, rest) = bytes.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(Damaged)?;
    Ok((simple_decompress(packed).map_err(|_| Damaged)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn loss(count: i64) -> Vec<Point> {
        let noise = |step: i64| ((step * 7919) % 1009) as f64 / 1009.0;
        (0..count)
            .map(|step| Point {
                step,
                timestamp: 1_700_000_000_000 + step * 1000 + step % 7,
                value: 1.0 / (1.0 + step as f64) + 0.01 * noise(step),
            })
            .collect()
    }

    #[test]
    fn a_full_chunk_of_a_curve_takes_less_than_ten_bytes_a_point() {
        let bytes = pack(&loss(MAX_POINTS as i64)).unwrap();
        assert!(bytes.len() < 10 * MAX_POINTS, "{} bytes", bytes.len());
    }

    #[test]
    fn what_is_cut_off_is_damaged() {
        let bytes = pack(&loss(100)).unwrap();
        for length in [0, 3, 4, 20, bytes.len() - 1] {
            assert_eq!(unpack(&bytes[..length]), Err(Damaged), "{length}");
        }
        assert_eq!(unpack(&[bytes.as_slice(), &[0]].concat()), Err(Damaged));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(
            points in proptest::collection::vec((any::<i64>(), any::<i64>(), any::<f64>()), 0..300)
        ) {
            let points: Vec<Point> =
                points.into_iter().map(|(step, timestamp, value)| Point { step, timestamp, value }).collect();
            let read = unpack(&pack(&points).unwrap()).unwrap();
            let bits = |points: &[Point]| points.iter().map(|p| (p.step, p.timestamp, p.value.to_bits())).collect::<Vec<_>>();
            prop_assert_eq!(bits(&read), bits(&points));
        }
    }
}
