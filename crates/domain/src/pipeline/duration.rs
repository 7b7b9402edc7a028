//! Spans of time as people write them: `90s`, `15m`, `1h30m`, `7d`.

/// Seconds of a span such as `1h30m`. Units are `d`, `h`, `m` and `s`, the larger first, each at most once.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let (mut total, mut last_unit) = (0_u64, u64::MAX);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest[digits..].chars().next()? {
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        if unit >= last_unit {
            return None;
        }
        last_unit = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn spans_read_as_people_write_them() {
        for (text, expected) in
            [("90s", 90), ("15m", 900), ("1h30m", 5400), ("7d", 604_800), ("1d1h1m1s", 90_061), ("0s", 0)]
        {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_span() {
        for text in [
            "",
            "90",
            "m",
            "1.5h",
            "30m1h",
            "1m1m",
            "1h 30m",
            "-5s",
            "5ms",
            "99999999999999999999s",
            "9999999999999999999d",
            "1µ",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
