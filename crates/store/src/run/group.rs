//! What groups of an experiment's runs come to.

use super::{
    RunKey,
    key::{self, KeyId},
    search::{Keys, Search, Stretch},
};
use crate::Result;
use domain::{log_key::KeyKind, run_table::SORTED_CHARACTERS};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder};

/// What runs are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A param or a tag; none when it was never logged there.
    Key(KeyKind, Option<KeyId>),
    /// `run_name`
    Name,
    /// `status`
    Status,
    /// `user_id`
    User,
}

/// What groups are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// How many runs.
    Count,
    /// What they share.
    Value,
    /// When the last of them started.
    Latest,
    /// The mean of a metric.
    Mean(KeyId),
    /// The least value of a metric.
    Min(KeyId),
    /// The greatest value of a metric.
    Max(KeyId),
}

/// Runs that share a value.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Group {
    /// The value, cut to what counts in an order; none of the runs that have none.
    pub value: Option<String>,
    /// How many they are.
    pub runs: i64,
    /// When the last of them started.
    pub latest: i64,
    /// How many groups there are.
    pub all: i64,
    /// How many runs all groups have together.
    pub all_runs: i64,
}

/// What a metric comes to in a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The group's value.
    pub value: Option<String>,
    /// Which metric.
    pub key: KeyId,
    /// How many runs have a number.
    pub runs: i64,
    /// The mean.
    pub mean: f64,
    /// The least, and the run that has it.
    pub min: (f64, RunKey),
    /// The greatest, and the run that has it.
    pub max: (f64, RunKey),
}

/// By what values are multiplied before they are summed up, so that no sum is beyond the largest number: a power of two,
/// which changes no digit. The database refuses what comes out as nothing, so what is next to nothing is taken for it.
const SCALE: f64 = 1.0 / (1_u64 << 40) as f64;

fn scaled(value: &str) -> String {
    format!("case when abs({value}) > 1e-280 then {value} * {SCALE:e}::float8 else 0 end")
}

impl By {
    fn value(self) -> String {
        match self {
            Self::Key(_, Some(_)) => format!("left(g.value, {SORTED_CHARACTERS})"),
            Self::Key(_, None) => "null::text".to_owned(),
            Self::Name => format!("left(r.name, {SORTED_CHARACTERS})"),
            Self::Status => "r.status".to_owned(),
            Self::User => format!("left(r.user_name, {SORTED_CHARACTERS})"),
        }
    }

    /// Begins a statement with the runs and what they are grouped by, as `chosen`.
    fn chosen(self, search: &Search, keys: &Keys<'_>) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new(format!(
            "with chosen as (select r.key, r.start_time, {} as value from runs r",
            self.value()
        ));
        if let Self::Key(kind, Some(key)) = self {
            query.push(format_args!(" left join {} g on g.run_key = r.key and g.key_id = ", key::table(kind)));
            query.push_bind(key);
        }
        search.push_where(&mut query, keys, Stretch::All);
        query.push(")");
        query
    }
}

/// The first groups. The order of the search is of no account.
///
/// # Errors
/// When the statement fails.
pub async fn groups(
    conn: &mut PgConnection,
    search: &Search,
    by: By,
    (order, descending): (Order, bool),
    limit: i64,
) -> Result<Vec<Group>> {
    let keys = Keys::of(conn, search).await?;
    let mut query = by.chosen(search, &keys);
    let metric = match order {
        Order::Count | Order::Value | Order::Latest => None,
        Order::Mean(key) => Some((key, format!("sum({}) / count(s.value)", scaled("s.value")))),
        Order::Min(key) => Some((key, "min(s.value)".to_owned())),
        Order::Max(key) => Some((key, "max(s.value)".to_owned())),
    };
    let sorted = match (&metric, order) {
        (Some((_, sorted)), _) => sorted.as_str(),
        (None, Order::Latest) => "max(c.start_time)",
        (None, Order::Value) => "c.value",
        (None, _) => "count(*)",
    };
    // What is added up is never divided by nothing: a group without a number has no place among those with one.
    let sorted = match &metric {
        Some(_) => format!("case when count(s.value) > 0 then {sorted} end"),
        None => sorted.to_owned(),
    };
    query.push(format_args!(
        " select value, runs, latest, count(*) over () as all, (sum(runs) over ())::bigint as all_runs
         from (select c.value, count(*) as runs, max(c.start_time) as latest, {sorted} as sorted from chosen c"
    ));
    if let Some((key, _)) = &metric {
        query
            .push(" left join latest_metrics s on s.run_key = c.key and s.value < 'NaN' and s.key_id = ")
            .push_bind(*key);
    }
    query.push(format_args!(
        " group by c.value) g order by (sorted is null), sorted {}, value limit ",
        if descending { "desc" } else { "asc" }
    ));
    query.push_bind(limit);
    Ok(query.build_query_as().fetch_all(conn).await?)
}

/// What these metrics come to in the groups of these values. Groups without a number are left out.
///
/// # Errors
/// When the statement fails.
pub async fn summaries(
    conn: &mut PgConnection,
    search: &Search,
    by: By,
    values: &[Option<String>],
    metrics: &[KeyId],
) -> Result<Vec<Summary>> {
    #[derive(FromRow)]
    struct Row {
        value: Option<String>,
        key_id: KeyId,
        runs: i64,
        sum: f64,
        least: Vec<f64>,
        greatest: Vec<f64>,
    }
    if metrics.is_empty() || values.is_empty() {
        return Ok(Vec::new());
    }
    let keys = Keys::of(conn, search).await?;
    let mut query = by.chosen(search, &keys);
    // Lists compare by their first part, then by the next: so the run comes along with the extreme. Keys of runs are whole
    // numbers far below 2⁵³.
    query.push(format_args!(
        " select c.value, l.key_id, count(*) as runs, sum({}) as sum,
             min(array[l.value, c.key::float8]) as least, max(array[l.value, c.key::float8]) as greatest
         from chosen c
         join latest_metrics l on l.run_key = c.key and l.value < 'NaN' and l.key_id = any(",
        scaled("l.value")
    ));
    query.push_bind(metrics.to_vec()).push(") where (c.value = any(");
    query.push_bind(values.iter().flatten().cloned().collect::<Vec<_>>()).push(")");
    query.push(if values.contains(&None) { " or c.value is null)" } else { ")" });
    query.push(" group by c.value, l.key_id");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            // Keys are whole in both forms.
            #[allow(clippy::cast_possible_truncation)]
            let extreme = |pair: &[f64]| Some((*pair.first()?, RunKey(*pair.get(1)? as i64)));
            let (min, max) = (extreme(&row.least)?, extreme(&row.greatest)?);
            // The mean is between them, whatever was rounded.
            #[allow(clippy::cast_precision_loss)]
            let mean = (row.sum / row.runs as f64 / SCALE).clamp(min.0, max.0);
            Some(Summary { value: row.value, key: row.key_id, runs: row.runs, mean, min, max })
        })
        .collect())
}
