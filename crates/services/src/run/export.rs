//! Runs as a file: those that a filter leaves, or chosen ones, with the columns of their table.

use super::table;
use crate::{Ctx, Result, Services, boxed, experiment, page_rows};
use domain::{
    Error,
    experiment::ViewType,
    id::{ExperimentId, RunId},
    log_key::KeyKind,
    run_table::{MAX_CHANGED, MAX_EXPORTED, RunAttribute, RunColumn, RunRow},
    search::{self, RunClause, RunFilter, RunText, TextTest, Values},
};
use export::{Cell, Column, Format, Kind, Writer};
use std::collections::{BTreeSet, HashMap};
use store::{
    keyset::Place,
    run::{
        RunKey,
        key::{self, KeyId},
        search::Search,
    },
};

/// Which runs, and what of them.
#[derive(Debug, Clone)]
pub struct RunExportSearch<'a> {
    /// The experiment; `0` is the default one.
    pub experiment_id: ExperimentId,
    /// In use, put away, or both.
    pub view: ViewType,
    /// A filter in the search language; empty for none.
    pub filter: &'a str,
    /// Entries of an order; without any, the last started first.
    pub order: &'a [String],
    /// Only these runs; all that the filter leaves when empty.
    pub runs: &'a BTreeSet<RunId>,
    /// The columns after the id and the name; all that there are when none.
    pub columns: Option<Vec<RunColumn>>,
    /// The form of the file.
    pub format: Format,
}

/// How many runs are read at a time.
const PAGE: usize = 500;

/// A file of runs that is being written.
pub struct RunExport {
    services: Services,
    search: Search,
    after: Option<Place>,
    columns: Vec<RunColumn>,
    keys: [HashMap<KeyId, String>; 3],
    /// None once all is written.
    writer: Option<Writer>,
}

impl Services {
    /// Begins a file of an experiment's runs.
    ///
    /// # Errors
    /// `NotFound` without such an experiment; `Invalid` for a wrong filter or order, too many columns, or too many chosen runs.
    #[boxed]
    pub async fn export_runs(&self, ctx: &Ctx, wanted: &RunExportSearch<'_>) -> Result<RunExport> {
        let mut filter = search::run_filter(wanted.filter)?;
        let order = search::run_order(wanted.order)?;
        if wanted.runs.len() > MAX_CHANGED {
            return Err(Error::invalid(format!(
                "{} runs are too many to name; name up to {MAX_CHANGED}, or leave them by a filter.",
                wanted.runs.len()
            )));
        }
        if let Some(ids) = Values::new(wanted.runs.iter().map(RunId::simple).collect()) {
            let chosen = RunFilter::Is(RunClause::Text { attribute: RunText::RunId, test: TextTest::In(ids) });
            filter = Some(match filter {
                Some(filter) => filter.and(chosen),
                None => chosen,
            });
        }
        let mut conn = self.conn().await?;
        let experiment = experiment::experiment(&mut conn, ctx, wanted.experiment_id).await?;
        let chosen = match &wanted.columns {
            Some(columns) => columns.clone(),
            None => {
                let most = i64::try_from(MAX_EXPORTED + 1).unwrap_or(i64::MAX);
                let all = key::beginning(&mut conn, experiment.id, &KeyKind::ALL, "", most).await?;
                let attributes = RunAttribute::ALL.into_iter().map(RunColumn::Attribute);
                attributes.chain(all.into_iter().map(|(kind, name)| RunColumn::of(kind, name))).collect()
            }
        };
        let mut columns = vec![RunColumn::Attribute(RunAttribute::Id), RunColumn::Attribute(RunAttribute::Name)];
        let mut known: BTreeSet<RunColumn> = columns.iter().cloned().collect();
        columns.extend(chosen.into_iter().filter(|column| known.insert(column.clone())));
        if columns.len() > MAX_EXPORTED {
            return Err(Error::invalid(format!(
                "A file has at most {MAX_EXPORTED} columns, and these would be more; choose the ones you need.",
            )));
        }
        let keys = table::column_keys(&mut conn, experiment.id, &columns).await?;
        let described = columns.iter().map(|column| Column { name: column.to_string(), kind: kind(column) }).collect();
        let writer = Writer::new(wanted.format, described).map_err(|error| of_writer(&error))?;
        let mut search = table::of_experiment(ctx, &experiment, wanted.view, filter);
        search.order = order;
        Ok(RunExport { services: self.clone(), search, after: None, columns, keys, writer: Some(writer) })
    }
}

impl RunExport {
    /// The next piece of the file; none after the last.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let Some(mut writer) = self.writer.take() else { return Ok(None) };
            let mut conn = self.services.conn().await?;
            let found =
                store::run::search::search(&mut conn, &self.search, self.after.as_deref(), page_rows(PAGE)).await?;
            let keys: Vec<RunKey> = found.items.iter().map(|stamp| stamp.key).collect();
            for row in table::rows_of(&mut conn, &keys, &self.keys).await? {
                let cells = self.columns.iter().map(|column| cell(column, &row)).collect();
                writer.row(cells).map_err(|error| of_writer(&error))?;
            }
            drop(conn);
            let Some(after) = found.next else {
                return writer.finish().map(Some).map_err(|error| of_writer(&error));
            };
            self.after = Some(after);
            let ready = writer.take().map_err(|error| of_writer(&error))?;
            self.writer = Some(writer);
            // Of some formats nothing is ready until much was written.
            if !ready.is_empty() {
                return Ok(Some(ready));
            }
        }
    }
}

fn of_writer(error: &export::Error) -> Error {
    tracing::error!(%error, "a file of runs could not be written");
    Error::internal()
}

fn kind(column: &RunColumn) -> Kind {
    match column {
        RunColumn::Metric(_) | RunColumn::Attribute(RunAttribute::Duration) => Kind::Number,
        RunColumn::Attribute(RunAttribute::Start | RunAttribute::End) => Kind::Time,
        RunColumn::Param(_) | RunColumn::Tag(_) | RunColumn::Attribute(_) => Kind::Text,
    }
}

fn cell(column: &RunColumn, row: &RunRow) -> Cell {
    let text = |text: Option<&String>| text.map_or(Cell::Missing, |text| Cell::Text(text.clone()));
    let listed = |names: Vec<String>| if names.is_empty() { Cell::Missing } else { Cell::Text(names.join(", ")) };
    let info = &row.info;
    match column {
        RunColumn::Metric(key) => row.metrics.get(key).map_or(Cell::Missing, |value| Cell::Number(*value)),
        RunColumn::Param(key) => text(row.params.get(key)),
        RunColumn::Tag(key) => text(row.tags.get(key)),
        RunColumn::Attribute(attribute) => match attribute {
            RunAttribute::Id => Cell::Text(info.id.simple()),
            RunAttribute::Name => Cell::Text(info.name.clone()),
            RunAttribute::Status => Cell::Text(info.status.as_str().to_owned()),
            RunAttribute::Start => Cell::Time(info.start_time),
            RunAttribute::End => info.end_time.map_or(Cell::Missing, Cell::Time),
            // In seconds. Times of runs are far below 2⁵³ milliseconds apart.
            #[allow(clippy::cast_precision_loss)]
            RunAttribute::Duration => info
                .end_time
                .map_or(Cell::Missing, |end| Cell::Number(end.saturating_sub(info.start_time) as f64 / 1000.0)),
            RunAttribute::User => Cell::Text(info.user_name.clone()),
            RunAttribute::Datasets => listed(row.datasets.clone()),
            RunAttribute::Versions => {
                listed(row.versions.iter().map(|(model, version)| format!("{model} v{version}")).collect())
            }
        },
    }
}
