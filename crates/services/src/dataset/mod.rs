//! Datasets of a workspace: making and describing them. Their versions are in `version`, the bytes in `object`.

mod diff;
mod file;
mod folder;
mod object;
mod profile;
mod sweep;
mod version;

pub use diff::DatasetDiff;
pub use file::{DatasetFile, DatasetFolder};
pub use object::{ObjectsAsked, StoredPack};
pub use profile::TableDiffs;
pub(crate) use profile::{Found, found_last};
pub use version::NewDatasetVersion;
pub(crate) use version::version_called;

use crate::{Ctx, Event, Result, Services, boxed, commit, now, page_rows};
use domain::{
    Error, ErrorKind, Page,
    audit::{Object, ObjectKind},
    dataset::{Dataset, DatasetName, DatasetSummary, MAX_DESCRIPTION, VersionRef, check_text},
    expectation::{self, Expectation, Rule},
    id::DatasetId,
    page,
};
use store::{PgConnection, dataset::StoredDataset, wake::Wake};

/// A dataset to be made.
#[derive(Debug, Clone, Default)]
pub struct NewDataset {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What is expected of its versions.
    pub expectations: Vec<Expectation>,
}

/// What is to be otherwise about a dataset; none leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct DatasetChange {
    /// What it is for.
    pub description: Option<String>,
    /// What is expected of its versions. The latest is held against it again.
    pub expectations: Option<Vec<Expectation>>,
}

impl Services {
    /// Makes a dataset.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; `Invalid` for a wrong name, description or expectation.
    #[boxed]
    pub async fn create_dataset(&self, ctx: &Ctx, new: NewDataset) -> Result<Dataset> {
        let mut tx = self.begin().await?;
        let dataset = create(&mut tx, ctx, new).await?;
        commit(tx).await?;
        Ok(dataset)
    }

    /// The dataset of this name.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn dataset(&self, ctx: &Ctx, name: &str) -> Result<Dataset> {
        Ok(find(&mut *self.conn().await?, ctx, name).await?.dataset)
    }

    /// A page of datasets, by name, each with its latest version; of those whose name has a text in it.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn datasets(
        &self,
        ctx: &Ctx,
        search: &str,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<DatasetSummary>> {
        let after: Option<String> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let rows = page_rows(limit + 1);
        let found = store::dataset::list(&mut conn, ctx.workspace_id(), search, after.as_deref(), rows).await?;
        let page = Page::cut(found, limit, |dataset| dataset.name.clone());
        let ids: Vec<DatasetId> = page.items.iter().map(|dataset| dataset.id).collect();
        let mut latest = store::dataset_version::latest(&mut conn, &ids).await?;
        Ok(page.map(|dataset| DatasetSummary { latest: latest.remove(&dataset.id), dataset }))
    }

    /// How many datasets have a text in their name.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn count_datasets(&self, ctx: &Ctx, search: &str) -> Result<i64> {
        Ok(store::dataset::count(&mut *self.conn().await?, ctx.workspace_id(), search).await?)
    }

    /// Says what a dataset is for, and what is expected of its versions.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a wrong description or expectation.
    #[boxed]
    pub async fn change_dataset(&self, ctx: &Ctx, name: &str, change: DatasetChange) -> Result<Dataset> {
        if let Some(description) = &change.description {
            check_text(description, "description", MAX_DESCRIPTION)?;
        }
        if let Some(expectations) = &change.expectations {
            check_expectations(expectations)?;
        }
        let mut tx = self.begin().await?;
        let StoredDataset { dataset, .. } = locked(&mut tx, ctx, name).await?;
        let description = change.description.unwrap_or_else(|| dataset.description.clone());
        let expectations = change.expectations.unwrap_or_else(|| dataset.expectations.clone());
        let is_other = (description != dataset.description, expectations != dataset.expectations);
        if is_other == (false, false) {
            return Ok(dataset);
        }
        store::dataset::set(&mut tx, dataset.id, &description, &expectations).await?;
        if is_other.1
            && let Some(latest) = store::dataset_version::get(&mut tx, dataset.id, &VersionRef::Latest).await?
        {
            store::dataset_profile::ask(&mut tx, latest.id).await?;
            store::wake::push(&mut tx, &Wake::Datasets).await?;
        }
        let what = match is_other {
            (true, true) => "described and changed what is expected of",
            (true, false) => "described",
            (false, _) => "changed what is expected of",
        };
        Event::new("dataset.changed", object(&dataset), format!("{what} the dataset {}", dataset.name))
            .details(serde_json::json!({ "description": description, "expectations": expectations }))
            .write(&mut tx, ctx)
            .await?;
        let changed = find(&mut tx, ctx, name).await?.dataset;
        commit(tx).await?;
        Ok(changed)
    }
}

fn check_expectations(expectations: &[Expectation]) -> Result<()> {
    expectation::check(expectations)?;
    for (index, one) in expectations.iter().enumerate() {
        if let Rule::Regex { pattern, .. } = &one.rule {
            let field = format!("expectations[{index}]");
            preview::check_pattern(pattern).map_err(|why| Error::invalid_field(field, why))?;
        }
    }
    Ok(())
}

/// Makes a dataset.
///
/// # Errors
/// `AlreadyExists` when the name is taken; `Invalid` for a wrong name, description or expectation.
async fn create(conn: &mut PgConnection, ctx: &Ctx, new: NewDataset) -> Result<Dataset> {
    let name = DatasetName::parse(&new.name)?;
    check_text(&new.description, "description", MAX_DESCRIPTION)?;
    check_expectations(&new.expectations)?;
    let at = now();
    let dataset = Dataset {
        id: DatasetId::new(),
        workspace_id: ctx.workspace_id(),
        name: name.as_str().to_owned(),
        description: new.description,
        expectations: new.expectations,
        author: ctx.actor().name().to_owned(),
        created_at: at,
        updated_at: at,
        versions: 0,
    };
    let inserted = store::dataset::insert(conn, &dataset, ctx.user().map(|user| user.id)).await;
    inserted.map_err(|error| name_taken(error, name.as_str()))?;
    let summary = format!("made the dataset {}", dataset.name);
    Event::new("dataset.created", object(&dataset), summary).write(conn, ctx).await?;
    Ok(dataset)
}

/// The dataset of this name, which is made when there is none.
pub(crate) async fn ensure(conn: &mut PgConnection, ctx: &Ctx, name: &str) -> Result<()> {
    if store::dataset::by_name(conn, ctx.workspace_id(), name).await?.is_none() {
        let new = NewDataset { name: name.to_owned(), description: String::new(), expectations: Vec::new() };
        create(conn, ctx, new).await?;
    }
    Ok(())
}

/// The dataset of this name.
async fn find(conn: &mut PgConnection, ctx: &Ctx, name: &str) -> Result<StoredDataset> {
    let found = store::dataset::by_name(conn, ctx.workspace_id(), name).await?;
    found.ok_or_else(|| {
        let shown: String = name.chars().take(DatasetName::MAX).collect();
        Error::new(ErrorKind::NotFound, format!("There is no dataset \"{shown}\"."))
    })
}

/// The same, held until the transaction ends, as it is then.
async fn locked(tx: &mut PgConnection, ctx: &Ctx, name: &str) -> Result<StoredDataset> {
    let known = find(tx, ctx, name).await?;
    store::dataset::lock(tx, known.dataset.id).await?;
    find(tx, ctx, name).await
}

fn object(dataset: &Dataset) -> Object {
    Object::new(ObjectKind::Dataset, dataset.id, &dataset.name)
}

fn name_taken(error: store::Error, name: &str) -> Error {
    if error.is_duplicate_of("versioned_datasets_workspace_id_name_key") {
        return Error::already_exists(format!("There is a dataset \"{name}\" already.")).in_field("name");
    }
    error.into()
}
