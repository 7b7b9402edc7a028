//! The pages of datasets: the list, one with its versions, a version, what is different between two, and the forms that make
//! them.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend};
use crate::{
    access::Access,
    extract::{Path, too_large},
    router::Routes,
};
use app::{
    pages::dataset::{
        Changed, Detail, DetailPage, Diff, DiffPage, FileRow, List, NewDataset as NewDatasetForm, ReadBy, Version,
        VersionPage, Way,
    },
    shell::Section,
    ui::field::Draft,
};
use axum::{
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request, multipart::Field},
    http::Method,
};
use domain::{
    Error, ErrorKind,
    audit::ObjectKind,
    dataset::{ChecksState, VersionRef},
    expectation::Expectation,
    permission::Permission,
};
use leptos::prelude::*;
use manifest::{Change, Content, Entry, check_path};
use services::{DatasetChange, DatasetFile, MAX_ARTIFACT, NewDataset};
use std::path::Path as FilePath;
use tokio::io::AsyncWriteExt as _;

const SECTION: Option<Section> = Some(Section::Datasets);
/// How many datasets or versions a page shows.
const ROWS: usize = 50;
/// How many files or changes a page shows.
const FILES: usize = 200;
/// How many events and runs the page of one shows.
const FEW: usize = 10;
/// The most files of a form.
const MAX_FILES: usize = 10_000;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WriteDatasets));
    routes
        .page(Method::GET, "/datasets", read, list)
        .page(Method::POST, "/datasets", write, create)
        .page(Method::GET, "/datasets/{name}", read, show)
        .page(Method::POST, "/datasets/{name}", write, change)
        .page(Method::POST, "/datasets/{name}/versions", write, upload)
        .page(Method::GET, "/datasets/{name}/versions/{version}", read, show_version)
        .page(Method::POST, "/datasets/{name}/versions/{version}/check", write, check)
        .page(Method::POST, "/datasets/{name}/versions/{version}/delete", write, delete)
        .page(Method::GET, "/datasets/{name}/versions/{version}/diff", read, show_diff)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    // A page of its own would take the address of a dataset with this name.
    if chosen.get("new").is_some() {
        ctx.require(Permission::WriteDatasets)?;
        return new_dataset(view, Draft::default(), None).await;
    }
    let search = chosen.get("q").unwrap_or_default();
    let page = view.services().datasets(ctx, search, chosen.get("page_token"), ROWS).await?;
    let total = view.services().count_datasets(ctx, search).await?;
    let links = view.links.clone();
    let address = chosen.address(links.datasets());
    let (datasets, next, may_write) = (page.items, page.next_page_token, ctx.may(Permission::WriteDatasets));
    view.page("Datasets", SECTION, move || view! { <List links address datasets total next may_write/> }).await
}

async fn new_dataset(view: View, draft: Draft, refused: Option<Error>) -> PageResult {
    let links = view.links.clone();
    let body = move || view! { <NewDatasetForm links draft/> };
    view.form_page(refused.as_ref(), "New dataset", SECTION, body).await
}

async fn create(view: View, form: Form) -> PageResult {
    let new = NewDataset {
        name: form.text("name").to_owned(),
        description: form.lines("description").trim().to_owned(),
        expectations: Vec::new(),
    };
    match view.services().create_dataset(view.ctx()?, new).await {
        Ok(dataset) => {
            let notice = format!("The dataset {} is made. Push its first version, or upload files.", dataset.name);
            view.done(&view.links.dataset(&dataset.name), notice).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            new_dataset(view, draft, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn show(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    dataset_page(view, &name, chosen, Draft::default(), None).await
}

async fn dataset_page(view: View, name: &str, chosen: Chosen, draft: Draft, refused: Option<Error>) -> PageResult {
    let ctx = view.ctx()?;
    let dataset = view.services().dataset(ctx, name).await?;
    let page = DetailPage {
        versions: view.services().dataset_versions(ctx, name, chosen.get("page_token"), ROWS).await?,
        events: view.history(ObjectKind::Dataset, dataset.id, FEW).await?,
        dataset,
        may_write: ctx.may(Permission::WriteDatasets),
    };
    let links = view.links.clone();
    let address = chosen.address(links.dataset(name));
    let body = move || view! { <Detail links address page draft/> };
    view.form_page(refused.as_ref(), name, SECTION, body).await
}

/// Says what a dataset is for, and what is expected of it.
async fn change(view: View, Path(name): Path<String>, form: Form) -> PageResult {
    let changed = async {
        let text = form.lines("expectations");
        let expectations: Vec<Expectation> = match text.trim() {
            "" => Vec::new(),
            text => serde_json::from_str(text).map_err(|error| {
                Error::invalid_field("expectations", format!("This is no list of expectations: {error}."))
            })?,
        };
        let description = form.lines("description").trim().to_owned();
        let change = DatasetChange { description: Some(description), expectations: Some(expectations) };
        view.services().change_dataset(view.ctx()?, &name, change).await
    };
    match changed.await {
        Ok(dataset) => {
            view.done(&view.links.dataset(&dataset.name), "It is saved. The latest version is looked at again.").await
        }
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            // Which of them is wrong stands in the sentence; the field is one.
            let error = match error.field.as_deref().is_some_and(|field| field.starts_with("expectations")) {
                true => Error { field: Some("expectations".to_owned()), ..error },
                false => error,
            };
            let draft = form.refused(&error);
            dataset_page(view, &name, Chosen::query(""), draft, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes a version of the files of a form.
async fn upload(view: View, Path(name): Path<String>, mut request: Request) -> PageResult {
    // The files go to a disk as they come, and are counted there.
    DefaultBodyLimit::disable().apply(&mut request);
    let made = async {
        let ctx = view.ctx()?;
        // Nobody sends files for nothing.
        view.services().dataset(ctx, &name).await?;
        let form = Multipart::from_request(request, &())
            .await
            .map_err(|_| Error::new(ErrorKind::UnsupportedMediaType, "This is not what our form for files sends."))?;
        let folder = tempfile::tempdir().map_err(no_room)?;
        let message = receive(form, folder.path()).await?;
        view.services().make_dataset_version_of(ctx, &name, folder.path().to_owned(), &message).await
    };
    match made.await {
        Ok((version, is_new)) => {
            let notice = match is_new {
                true => format!("{} is made.", version.title()),
                false => format!("These files are {} already.", version.title()),
            };
            view.done(&view.links.dataset_version(&version.dataset, version.number), notice).await
        }
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            dataset_page(view, &name, Chosen::query(""), Draft::default().refused(&error), Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes the files of a form into a folder, and gives what is said of them.
async fn receive(mut form: Multipart, folder: &FilePath) -> Result<String, Error> {
    let (mut message, mut files, mut room) = (String::new(), 0, MAX_ARTIFACT);
    let broken = |error: axum::extract::multipart::MultipartError| match error.status() {
        axum::http::StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => Error::invalid("The form did not arrive whole; send it again."),
    };
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("message") => message = field.text().await.map_err(broken)?.trim().to_owned(),
            // A browser sends a file without a name for a field that nothing was chosen for.
            Some("files") if field.file_name().is_some_and(|name| !name.is_empty()) => {
                files += 1;
                if files > MAX_FILES {
                    return Err(Error::invalid(format!(
                        "A form takes up to {MAX_FILES} files; push more with slipway data push."
                    )));
                }
                receive_file(field, folder, &mut room).await?;
            }
            _ => {}
        }
    }
    if files == 0 {
        return Err(Error::invalid("Choose the files of the version."));
    }
    Ok(message)
}

async fn receive_file(mut field: Field<'_>, folder: &FilePath, room: &mut u64) -> Result<(), Error> {
    let path = field.file_name().unwrap_or_default().to_owned();
    let shown: String = path.chars().take(200).collect();
    check_path(&path).map_err(|rule| Error::invalid(format!("The path \"{shown}\" {rule}.")))?;
    let at = folder.join(&path);
    if let Some(above) = at.parent() {
        tokio::fs::create_dir_all(above)
            .await
            .map_err(|_| Error::invalid(format!("\"{shown}\" lies below what is a file, or cannot be kept.")))?;
    }
    let mut file = tokio::fs::File::create_new(&at)
        .await
        .map_err(|_| Error::invalid(format!("\"{shown}\" is there twice, or is a folder too.")))?;
    let broken = |_| Error::invalid("The form did not arrive whole; send it again.");
    while let Some(bytes) = field.chunk().await.map_err(broken)? {
        *room = room.checked_sub(bytes.len() as u64).ok_or_else(|| {
            let most = MAX_ARTIFACT >> 30;
            Error::new(ErrorKind::TooLarge, format!("A form takes up to {most} GiB; push more with slipway data push."))
        })?;
        file.write_all(&bytes).await.map_err(no_room)?;
    }
    file.flush().await.map_err(no_room)
}

fn no_room(error: std::io::Error) -> Error {
    tracing::warn!(%error, "files of a form could not be written");
    Error::new(ErrorKind::Unavailable, "The files could not be written on the server; try again.")
}

async fn show_version(view: View, Path((name, version)): Path<(String, String)>, chosen: Chosen) -> PageResult {
    let which = VersionRef::parse(&version)?;
    let ctx = view.ctx()?;
    let services = view.services();
    let (version, found) = services.dataset_profile(ctx, &name, &which).await?;
    let folder = chosen.get("folder").unwrap_or_default().trim_matches('/').to_owned();
    let files = services.dataset_folder(ctx, &name, &which, &folder, chosen.get("page_token"), FILES).await?;
    let read_by = services.runs_of_dataset_version(ctx, &name, &which, FEW).await?;
    let lineage = services.dataset_version_lineage(ctx, &name, &which, FEW).await?;
    let others = others(&view, &name, Some(version.number)).await?;
    let (reason, tables, checks) =
        found.map(|found| (found.reason, found.tables.0, found.checks.0)).unwrap_or_default();
    let has_objection = matches!(version.checks, ChecksState::Failed | ChecksState::Inconclusive);
    let page = VersionPage {
        folder,
        files: files.files.into_iter().map(file_row).collect(),
        next: files.next_page_token,
        objection: version.objection(&checks, &reason).filter(|_| has_objection),
        tables,
        checks,
        read_by: read_by
            .into_iter()
            .map(|run| ReadBy { id: run.id, name: run.name, start_time: run.start_time, context: run.context })
            .collect(),
        lineage,
        others,
        events: view.history(ObjectKind::DatasetVersion, version.id, FEW).await?,
        may_write: ctx.may(Permission::WriteDatasets),
        version,
    };
    let links = view.links.clone();
    let address = chosen.address(links.dataset_version(&name, page.version.number));
    let title = page.version.title();
    view.page(title, SECTION, move || view! { <Version links address page/> }).await
}

/// The numbers of the last versions of a dataset but this one, the newest first.
async fn others(view: &View, name: &str, but: Option<i32>) -> Result<Vec<i32>, Error> {
    let versions = view.services().dataset_versions(view.ctx()?, name, None, ROWS).await?.items;
    Ok(versions.into_iter().map(|version| version.number).filter(|number| Some(*number) != but).collect())
}

fn file_row(file: DatasetFile) -> FileRow {
    let uri = file.entry.as_ref().and_then(|entry| match &entry.content {
        Content::External(external) => Some(external.uri.clone()),
        Content::Small { .. } | Content::Large { .. } => None,
    });
    FileRow { path: file.path, folder: file.folder, size: file.size, uri }
}

async fn check(view: View, Path((name, version)): Path<(String, String)>, _form: Form) -> PageResult {
    let which = VersionRef::parse(&version)?;
    let version = view.services().check_dataset_again(view.ctx()?, &name, &which).await?;
    let notice = format!("{} is checked again, by what is expected now.", version.title());
    view.done(&view.links.dataset_version(&version.dataset, version.number), notice).await
}

async fn delete(view: View, Path((name, version)): Path<(String, String)>, _form: Form) -> PageResult {
    let which = VersionRef::parse(&version)?;
    let version = view.services().dataset_version(view.ctx()?, &name, &which).await?;
    view.services().delete_dataset_version(view.ctx()?, &name, &VersionRef::Number(version.number)).await?;
    view.done(&view.links.dataset(&name), format!("{} is deleted.", version.title())).await
}

async fn show_diff(view: View, Path((name, version)): Path<(String, String)>, chosen: Chosen) -> PageResult {
    let after = VersionRef::parse(&version)?;
    let other = chosen.get("dataset").unwrap_or(&name).to_owned();
    let ctx = view.ctx()?;
    let services = view.services();
    let before = match chosen.get("from") {
        Some(from) => VersionRef::parse(from)?,
        None if other != name => VersionRef::parse("latest")?,
        // Since the one before, which is what one looks at a change for.
        None => {
            let number = services.dataset_version(ctx, &name, &after).await?.number;
            let below = others(&view, &name, None).await?.into_iter().find(|other| *other < number);
            VersionRef::Number(below.unwrap_or((number - 1).max(1)))
        }
    };
    let token = chosen.get("page_token");
    let diff = services.dataset_diff(ctx, (&other, &before), (&name, &after), token, FILES).await?;
    let tables = services.dataset_table_diff(ctx, (&other, &before), (&name, &after)).await?;
    let page = DiffPage {
        tables: tables.tables,
        unknown: tables.unknown,
        others: others(&view, &other, (other == name).then_some(diff.after.number)).await?,
        counts: (diff.added, diff.removed, diff.changed),
        changes: diff.changes.iter().map(changed).collect(),
        next: diff.next_page_token,
        before: diff.before,
        after: diff.after,
    };
    let links = view.links.clone();
    let address = chosen.address(format!("{}/diff", links.dataset_version(&name, page.after.number)));
    let title = format!("{} to {}", page.before.title(), page.after.title());
    view.page(title, SECTION, move || view! { <Diff links address page/> }).await
}

fn changed(change: &Change) -> Changed {
    let (way, before, after) = match change {
        Change::Added(after) => (Way::Added, None, Some(after)),
        Change::Removed(before) => (Way::Removed, Some(before), None),
        Change::Changed { before, after } => (Way::Changed, Some(before), Some(after)),
    };
    let size = |entry: Option<&Entry>| entry.and_then(Entry::size);
    Changed { way, path: change.path().to_owned(), before: size(before), after: size(after) }
}
