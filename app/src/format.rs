//! Numbers, sizes and times as people read them. A true minus, thin spaces never, a unit always.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
pub use domain::prose::capitalised;

/// What stands where there is no value.
pub const NONE: &str = "–";

/// `6,812`, `−12`.
#[must_use]
pub fn integer(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 3);
    if value < 0 {
        text.push('−');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A measured number with the precision that means something: four significant digits, at least three places below
/// one, exponents outside 10⁻⁴…10⁹. `NaN` and infinities are words.
#[must_use]
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞".to_owned() } else { "−∞".to_owned() };
    }
    let size = value.abs();
    let text = if size == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e9).contains(&size) {
        exponent(size)
    } else if size >= 1000.0 {
        let whole = size.round();
        // Below 10⁹, so it fits.
        #[allow(clippy::cast_possible_truncation)]
        integer(whole as i64)
    } else if size.fract() == 0.0 {
        format!("{size:.0}")
    } else if size >= 100.0 {
        format!("{size:.1}")
    } else if size >= 10.0 {
        format!("{size:.2}")
    } else if size >= 0.1 {
        format!("{size:.3}")
    } else {
        // Four significant digits, without the zeros that say nothing.
        let places = if size >= 0.01 {
            4
        } else if size >= 0.001 {
            5
        } else {
            6
        };
        let text = format!("{size:.places$}");
        text.trim_end_matches('0').to_owned()
    };
    if value < 0.0 { format!("−{text}") } else { text }
}

fn exponent(size: f64) -> String {
    let text = format!("{size:.1e}");
    text.replace("e-", "e−").replace(".0e", "e")
}

/// A difference, with its sign always: `+0.036`, `−0.030`, `0`. As [`number`], but with three places from a thousandth
/// on, so that differences stand under each other.
#[must_use]
pub fn signed(value: f64) -> String {
    let size = value.abs();
    let text = if (0.001..0.1).contains(&size) { format!("{size:.3}") } else { number(size) };
    if value > 0.0 {
        format!("+{text}")
    } else if value < 0.0 {
        format!("−{text}")
    } else {
        text
    }
}

/// A share between 0 and 1 as per cent: `3.1 %`, `62 %`, `0.01 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        return number(share);
    }
    let value = share * 100.0;
    let size = value.abs();
    let text = if size >= 10.0 || size == 0.0 {
        format!("{size:.0}")
    } else if size >= 0.1 {
        format!("{size:.1}")
    } else {
        format!("{size:.2}")
    };
    if value < 0.0 { format!("−{text} %") } else { format!("{text} %") }
}

/// `412 B`, `1.1 KiB`, `4.6 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    if count < 1024 {
        return format!("{count} B");
    }
    // Sizes are shown to two digits; what 52 bits cannot hold does not show.
    #[allow(clippy::cast_precision_loss)]
    let mut size = count as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if size >= 100.0 { format!("{size:.0} {unit}") } else { format!("{size:.1} {unit}") }
}

/// How long: `8 ms`, `41 s`, `3 min 41 s`, `6 h 02 min`, `2 d 4 h`.
#[must_use]
pub fn duration(span: TimeDelta) -> String {
    let ms = span.num_milliseconds().max(0);
    let s = ms / 1000;
    if ms < 1000 {
        format!("{ms} ms")
    } else if s < 10 && ms % 1000 >= 100 {
        format!("{}.{} s", s, ms % 1000 / 100)
    } else if s < 60 {
        format!("{s} s")
    } else if s < 3600 {
        format!("{} min {:02} s", s / 60, s % 60)
    } else if s < 86_400 {
        format!("{} h {:02} min", s / 3600, s % 3600 / 60)
    } else {
        coarse(span)
    }
}

/// A duration in milliseconds, as measured of a request: `0.7 ms`, `8.4 ms`, `12 ms`, `1.2 s`.
#[must_use]
pub fn latency(ms: f64) -> String {
    if !ms.is_finite() {
        number(ms)
    } else if ms >= 1000.0 {
        format!("{:.1} s", ms / 1000.0)
    } else if ms >= 100.0 {
        format!("{ms:.0} ms")
    } else if ms >= 0.1 {
        format!("{ms:.1} ms")
    } else {
        format!("{ms:.2} ms")
    }
}

/// A span to its two largest units: `4 min`, `6 h`, `2 d 4 h`, `42 d`.
#[must_use]
pub fn coarse(span: TimeDelta) -> String {
    let minutes = span.num_minutes().max(0);
    let (days, hours) = (minutes / 1440, minutes % 1440 / 60);
    if days >= 7 || (days > 0 && hours == 0) {
        format!("{days} d")
    } else if days > 0 {
        format!("{days} d {hours} h")
    } else if hours >= 6 || (hours > 0 && minutes % 60 == 0) {
        format!("{hours} h")
    } else if hours > 0 {
        format!("{hours} h {} min", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes} min")
    } else {
        format!("{} s", span.num_seconds().max(0))
    }
}

/// When, seen from now: `just now`, `3 h ago`, `yesterday`, `20 Nov`, `20 Nov 2025`, `in 2 d 4 h`.
#[must_use]
pub fn relative(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let span = now - then;
    if span < TimeDelta::seconds(-5) {
        return format!("in {}", coarse(-span));
    }
    let seconds = span.num_seconds();
    let days = (now.date_naive() - then.date_naive()).num_days();
    if seconds < 10 {
        "just now".to_owned()
    } else if seconds < 60 {
        format!("{seconds} s ago")
    } else if seconds < 3600 {
        format!("{} min ago", seconds / 60)
    } else if days == 0 || seconds < 6 * 3600 {
        format!("{} h ago", seconds / 3600)
    } else if days == 1 {
        "yesterday".to_owned()
    } else if days < 7 {
        format!("{days} d ago")
    } else if then.year() == now.year() {
        then.format("%-d %b").to_string()
    } else {
        then.format("%-d %b %Y").to_string()
    }
}

/// The whole truth: `Wed 25 Nov 2026, 11:20:03 UTC`.
#[must_use]
pub fn exact(at: DateTime<Utc>) -> String {
    at.format("%a %-d %b %Y, %H:%M:%S UTC").to_string()
}

/// A day and a minute: `Wed 25 Nov 11:20 UTC`.
#[must_use]
pub fn minute(at: DateTime<Utc>) -> String {
    at.format("%a %-d %b %H:%M UTC").to_string()
}

/// `1 run`, `412 runs`.
#[must_use]
pub fn count(n: i64, one: &str, many: &str) -> String {
    format!("{} {}", integer(n), if n == 1 { one } else { many })
}

/// Two letters for a name: of its first and last word, or its first two letters.
#[must_use]
pub fn initials(name: &str) -> String {
    let mut words = name.split_whitespace();
    let first = words.next().unwrap_or("?");
    let letters: String = match words.next_back() {
        Some(last) => first.chars().take(1).chain(last.chars().take(1)).collect(),
        None => first.chars().take(2).collect(),
    };
    letters.to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn integers_are_grouped_and_signed_truly() {
        assert_eq!(integer(0), "0");
        assert_eq!(integer(999), "999");
        assert_eq!(integer(-6812), "−6,812");
        assert_eq!(integer(i64::MIN), "−9,223,372,036,854,775,808");
    }

    #[test]
    fn numbers_keep_the_digits_that_mean_something() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.4567, "0.457"),
            (0.0361, "0.0361"),
            (0.005, "0.005"),
            (0.000_31, "0.00031"),
            (3.1e-7, "3.1e−7"),
            (11.94, "11.94"),
            (480.0, "480"),
            (118.25, "118.2"),
            (20000.0, "20,000"),
            (-0.7412, "−0.741"),
            (2e12, "2e12"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "−∞"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(signed(0.036), "+0.036");
        assert_eq!(signed(-0.03), "−0.030");
        assert_eq!(signed(0.0), "0");
        assert_eq!(signed(f64::NAN), "NaN");
    }

    #[test]
    fn shares_and_sizes_have_units() {
        assert_eq!(percent(0.62), "62 %");
        assert_eq!(percent(0.031), "3.1 %");
        assert_eq!(percent(0.0001), "0.01 %");
        assert_eq!(bytes(412), "412 B");
        assert_eq!(bytes(4_823_449), "4.6 MiB");
        assert_eq!(bytes(212 * 1024), "212 KiB");
    }

    #[test]
    fn spans_show_two_units() {
        assert_eq!(duration(TimeDelta::milliseconds(7)), "7 ms");
        assert_eq!(duration(TimeDelta::milliseconds(2300)), "2.3 s");
        assert_eq!(duration(TimeDelta::seconds(221)), "3 min 41 s");
        assert_eq!(duration(TimeDelta::seconds(21_733)), "6 h 02 min");
        assert_eq!(coarse(TimeDelta::minutes(52 * 60)), "2 d 4 h");
        assert_eq!(latency(0.7), "0.7 ms");
        assert_eq!(latency(1234.0), "1.2 s");
    }

    #[test]
    fn times_are_told_from_now() {
        let now = at("2026-11-23T11:00:00Z");
        for (then, text) in [
            ("2026-11-23T10:59:55Z", "just now"),
            ("2026-11-23T08:00:00Z", "3 h ago"),
            ("2026-11-22T23:00:00Z", "yesterday"),
            ("2026-11-20T11:00:00Z", "3 d ago"),
            ("2026-11-01T11:00:00Z", "1 Nov"),
            ("2025-11-01T11:00:00Z", "1 Nov 2025"),
            ("2026-11-25T15:00:00Z", "in 2 d 4 h"),
        ] {
            assert_eq!(relative(at(then), now), text);
        }
    }

    #[test]
    fn people_have_two_letters() {
        assert_eq!(initials("Data scientist"), "DS");
        assert_eq!(initials("Risk approver 2"), "R2");
        assert_eq!(initials("admin"), "AD");
        assert_eq!(initials(""), "?");
    }
}
