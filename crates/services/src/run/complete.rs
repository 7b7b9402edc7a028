//! What completes a filter or the name of a column while somebody types: what may stand there is the search language's to
//! say, keys and values are the experiment's.

use super::table;
use crate::{Ctx, Result, Services, boxed, experiment};
use chrono::{TimeDelta, Utc};
use domain::{
    Error,
    id::ExperimentId,
    log_key::KeyKind,
    run::RunStatus,
    run_table::{MAX_COLUMNS, RunAttribute, RunColumn, Suggestion, Suggestions},
    search::{self, DatasetField, RunText, ValueOf, ValuePlace},
};
use store::{
    PgConnection,
    run::{input, key, log},
};

/// The most suggestions.
const MOST: usize = 20;
/// The most characters of a value that are suggested to be typed.
const MAX_VALUE: usize = 200;

impl Services {
    /// What may stand at the cursor of a filter of an experiment's runs, so many characters into it.
    ///
    /// # Errors
    /// `NotFound` without such an experiment.
    #[boxed]
    pub async fn complete_run_filter(
        &self,
        ctx: &Ctx,
        id: ExperimentId,
        text: &str,
        cursor: usize,
    ) -> Result<Suggestions> {
        let mut conn = self.conn().await?;
        let id = experiment::experiment(&mut conn, ctx, id).await?.id;
        // The database has no such character.
        if text.contains('\0') {
            return Ok(Suggestions::default());
        }
        let found = search::complete(text, cursor);
        let mut items: Vec<Suggestion> = Vec::new();
        if let Some(place) = &found.keys {
            let kinds = place.kind.map_or(KeyKind::ALL.to_vec(), |kind| vec![kind]);
            let keys = key::matching(&mut conn, id, &kinds, &place.typed, most()).await?;
            items.extend(keys.into_iter().map(|(kind, name)| Suggestion {
                text: found.insert_key(kind, &name),
                label: format!("{}.{name}", kind.entity()),
                detail: kind.as_str().to_owned(),
            }));
        }
        if let Some(place) = &found.values {
            for (value, detail) in values(&mut conn, id, place).await? {
                items.push(Suggestion { text: found.insert_value(&value), label: value, detail });
            }
        }
        let words = found.words.iter().map(|word| Suggestion {
            text: found.insert_word(*word),
            label: word.text.to_owned(),
            detail: word.detail.to_owned(),
        });
        // A word that begins so is more likely meant than a key that holds it somewhere.
        items.splice(0..0, words);
        items.truncate(MOST);
        let hint = found.hint.filter(|_| items.is_empty()).map(ToOwned::to_owned);
        Ok(Suggestions { from: found.from, to: found.to, items, hint })
    }

    /// Columns of an experiment's table that hold what was typed, the likeliest first; at the end, all that begin with it
    /// at once. With `grouping` only those that runs can be grouped by.
    ///
    /// # Errors
    /// `NotFound` without such an experiment.
    #[boxed]
    pub async fn complete_run_column(
        &self,
        ctx: &Ctx,
        id: ExperimentId,
        text: &str,
        grouping: bool,
    ) -> Result<Vec<Suggestion>> {
        let mut conn = self.conn().await?;
        let id = experiment::experiment(&mut conn, ctx, id).await?.id;
        if text.contains('\0') {
            return Ok(Vec::new());
        }
        let (kinds, typed) = kinds(text.trim());
        let kinds: Vec<KeyKind> = kinds.into_iter().filter(|kind| !grouping || *kind != KeyKind::Metric).collect();
        let mut items: Vec<Suggestion> = Vec::new();
        if kinds.len() > 1 {
            let named = RunAttribute::ALL.into_iter().filter(|attribute| *attribute != RunAttribute::Name || grouping);
            let attributes = named.map(RunColumn::Attribute).filter(|column| !grouping || column.groups());
            items.extend(attributes.filter(|column| column.key().contains(&typed.to_lowercase())).map(|column| {
                Suggestion { text: column.to_string(), label: column.to_string(), detail: "attribute".to_owned() }
            }));
        }
        let keys = key::matching(&mut conn, id, &kinds, typed, most()).await?;
        let mut several = Vec::new();
        for kind in kinds {
            let begin = keys.iter().filter(|(of, name)| *of == kind && name.starts_with(typed)).count();
            if begin > 1 && !typed.is_empty() && !grouping {
                let all = format!("{}.{typed}*", kind.entity());
                several.push(Suggestion { text: all.clone(), label: all, detail: "all that begin so".to_owned() });
            }
        }
        items.extend(keys.into_iter().map(|(kind, name)| {
            let column = format!("{}.{name}", kind.entity());
            Suggestion { text: column.clone(), label: column, detail: kind.as_str().to_owned() }
        }));
        items.truncate(MOST - several.len());
        items.extend(several);
        Ok(items)
    }

    /// The columns that somebody means by this: one by its name, one by its key alone, or with `*` at the end all that
    /// begin so.
    ///
    /// # Errors
    /// `NotFound` without such an experiment; `Invalid` when nothing is called so.
    #[boxed]
    pub async fn run_columns_named(&self, ctx: &Ctx, id: ExperimentId, text: &str) -> Result<Vec<RunColumn>> {
        let text = text.trim();
        if text.is_empty() || text.contains('\0') {
            return Err(Error::invalid_field(
                "add",
                "Name a metric, a param or a tag: metrics.f1, params.lr, tags.team.",
            ));
        }
        let mut conn = self.conn().await?;
        let id = experiment::experiment(&mut conn, ctx, id).await?.id;
        if let Some(start) = text.strip_suffix('*') {
            let (kinds, start) = kinds(start);
            let found = key::beginning(&mut conn, id, &kinds, start, MAX_COLUMNS as i64).await?;
            if found.is_empty() {
                return Err(Error::invalid_field("add", format!("No key of this experiment begins with \"{start}\".")));
            }
            return Ok(found.into_iter().map(|(kind, name)| RunColumn::of(kind, name)).collect());
        }
        if let Ok(column) = text.parse::<RunColumn>() {
            return Ok(vec![column]);
        }
        let wanted: Vec<_> = KeyKind::ALL.into_iter().map(|kind| (kind, text)).collect();
        let known = key::known(&mut conn, &[id], &wanted).await?;
        match KeyKind::ALL.into_iter().find(|kind| known.contains_key(&(*kind, text))) {
            Some(kind) => Ok(vec![RunColumn::of(kind, text.to_owned())]),
            None => Err(Error::invalid_field(
                "add",
                format!(
                    "No metric, param or tag of this experiment is called \"{text}\"; name one, or the beginning of several with * at the end."
                ),
            )),
        }
    }

    /// The columns that most of the newest runs of an experiment could show, for whoever chooses without a script.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn usual_run_columns(&self, ctx: &Ctx, id: ExperimentId, limit: usize) -> Result<Vec<RunColumn>> {
        let mut conn = self.conn().await?;
        let experiment = experiment::experiment(&mut conn, ctx, id).await?;
        let search = table::of_experiment(ctx, &experiment, domain::experiment::ViewType::ActiveOnly, None);
        let newest = store::run::search::search(&mut conn, &search, None, 8).await?;
        let newest: Vec<_> = newest.items.iter().map(|stamp| stamp.key).collect();
        let mut columns: Vec<RunColumn> = Vec::new();
        for kind in KeyKind::ALL {
            let names = key::common(&mut conn, &newest, kind, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
            columns.extend(names.into_iter().map(|name| RunColumn::of(kind, name)));
        }
        Ok(columns)
    }
}

fn most() -> i64 {
    MOST as i64
}

/// What is typed of a key, and of which kinds it may be.
fn kinds(text: &str) -> (Vec<KeyKind>, &str) {
    for kind in KeyKind::ALL {
        if let Some(rest) = text.strip_prefix(kind.entity()).and_then(|rest| rest.strip_prefix('.')) {
            return (vec![kind], rest);
        }
    }
    (KeyKind::ALL.to_vec(), text)
}

/// Values that may stand there, and what each is.
async fn values(conn: &mut PgConnection, id: ExperimentId, place: &ValuePlace) -> Result<Vec<(String, String)>> {
    let typed = place.typed.as_str();
    let found = match &place.of {
        ValueOf::Key(kind, name) => match key::known_one(conn, id, *kind, name).await? {
            Some(key) => log::distinct_values(conn, *kind, key, typed, most()).await?,
            None => Vec::new(),
        },
        ValueOf::Text(RunText::Status) => {
            let names = RunStatus::ALL.into_iter().map(RunStatus::as_str);
            names.filter(|name| name.starts_with(&typed.to_uppercase())).map(ToOwned::to_owned).collect()
        }
        ValueOf::Text(text @ (RunText::RunName | RunText::UserId)) => {
            store::run::recent_names(conn, id, *text == RunText::UserId, typed, most()).await?
        }
        ValueOf::Text(RunText::RunId | RunText::ArtifactUri) | ValueOf::Dataset(DatasetField::Context) => Vec::new(),
        ValueOf::Dataset(field) => {
            input::known_datasets(conn, id, *field == DatasetField::Digest, typed, most()).await?
        }
        ValueOf::Time => {
            let now = Utc::now();
            let ago =
                |(span, words): (TimeDelta, &str)| ((now - span).timestamp_millis().to_string(), words.to_owned());
            return Ok([
                (TimeDelta::hours(1), "an hour ago"),
                (TimeDelta::days(1), "a day ago"),
                (TimeDelta::days(7), "7 days ago"),
                (TimeDelta::days(30), "30 days ago"),
            ]
            .map(ago)
            .into_iter()
            .filter(|(value, _)| value.starts_with(typed))
            .collect());
        }
    };
    // A value that was cut would match nothing.
    let whole = found.into_iter().filter(|value| value.chars().count() <= MAX_VALUE);
    Ok(whole.map(|value| (value, String::new())).collect())
}
