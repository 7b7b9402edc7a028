//! What a column of a table holds, in words: on the page of a version, and where two are compared.

use crate::format;
use domain::table_profile::ColumnProfile;

/// How many of the most frequent values are shown.
const MOST_FREQUENT: usize = 3;

/// How many different values there are.
pub(super) fn distinct(column: &ColumnProfile) -> String {
    format!("{}{}", format::integer(column.distinct), if column.is_distinct_cut { "+" } else { "" })
}

/// The least or the greatest value.
pub(super) fn bound(text: Option<&str>) -> Option<String> {
    text.map(|text| text.parse().map_or_else(|_| text.to_owned(), format::number))
}

/// The most frequent values, with how often each is there.
pub(super) fn frequent(column: &ColumnProfile) -> String {
    let top = column.top.iter().take(MOST_FREQUENT);
    top.map(|(text, count)| format!("{text} ({})", format::integer(*count))).collect::<Vec<_>>().join(", ")
}
