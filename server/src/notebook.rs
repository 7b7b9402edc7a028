//! From the bytes of a notebook to what pages show of it, and to documents.

use crate::download;
use app::{
    pages::notebook::{
        ShownNotebook,
        cells::{Around, Cells},
    },
    render::fragment,
};
use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};
use bytes::Bytes;
use domain::{
    Error, ErrorKind,
    id::StepAttemptId,
    notebook::StepNotebook,
    preview::{Kind, Notebook},
};
use leptos::prelude::*;
use services::{NotebookAgainst, Services, blocking};

/// The most bytes of a notebook that are shown within another page.
pub(crate) const MOST_INLINE: usize = 1 << 20;

/// Looks of a notebook by itself: the system's letters, light and dark.
const STYLE: &str = "body{max-width:60rem;margin:2rem auto;padding:0 1rem;font:15px/1.5 system-ui,sans-serif;color-scheme:light dark}\
ol.notebook{list-style:none;padding:0}pre{overflow-x:auto;padding:.5rem;font:13px/1.5 ui-monospace,monospace}\
pre.source{border:1px solid #8885;border-radius:4px}pre.err{border-left:3px solid #c33}img{max-width:100%}.turn,.muted{opacity:.6;font-size:12px}\
table{border-collapse:collapse}td,th{padding:2px 8px;border-bottom:1px solid #8884;text-align:left}.num{text-align:right}\
.r{color:#c33}.g{color:#283}.y{color:#960}.b{color:#25c}.m,.k{color:#92b}.c{color:#077}.d{opacity:.6}.bold{font-weight:bold}";

/// Nothing of it was written yet.
pub(crate) fn nothing_yet() -> Error {
    Error::new(ErrorKind::NotFound, "Nothing of the executed notebook was written yet.".to_owned())
}

/// What an address says to hold a notebook against.
pub(crate) fn against(text: &str, attempt: Option<i32>) -> Result<NotebookAgainst, Error> {
    if text == "source" {
        return Ok(NotebookAgainst::Source);
    }
    let number = text.strip_prefix('#').unwrap_or(text).parse().map_err(|_| {
        Error::invalid_field("against", "A notebook is held against \"source\", or the number of another run.")
    })?;
    Ok(NotebookAgainst::Run(number, attempt))
}

/// What a page shows of the notebook of a try. Larger ones than `most` bytes are left to a page of their own.
pub(crate) async fn shown(
    services: &Services,
    attempt: StepAttemptId,
    about: StepNotebook,
    most: usize,
) -> Result<ShownNotebook, Error> {
    let large = || (None, "It is large, and has a page of its own.".to_owned());
    // What will not be shown is not read: a page of a run asks again and again.
    if about.size.is_some_and(|size| usize::try_from(size).is_ok_and(|size| size > most)) {
        let (cells, why_not) = large();
        return Ok(ShownNotebook { about, cells, why_not });
    }
    let (cells, why_not) = match services.notebook_content(attempt, &about).await {
        Ok(None) => (None, "Nothing was executed yet.".to_owned()),
        Ok(Some(content)) if content.len() > most => large(),
        Ok(Some(content)) => match cells(content).await {
            Ok(cells) => (Some(cells), String::new()),
            Err(error) => (None, error.message),
        },
        // It is noted and not there. That is ours to mend; the page around it is still worth its while.
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Internal) => {
            (None, "What is stored of this notebook is missing or damaged.".to_owned())
        }
        Err(error) => return Err(error),
    };
    Ok(ShownNotebook { about, cells, why_not })
}

async fn cells(content: Bytes) -> Result<Notebook, Error> {
    let most = usize::try_from(preview::wanted(Kind::Notebook)).unwrap_or(usize::MAX);
    if content.len() > most {
        let message = format!("Notebooks of more than {} MiB are not shown. Download it.", most >> 20);
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let cells = blocking(move || preview::notebook::cells(&content, "")).await?;
    cells.ok_or_else(|| Error::invalid("It is no notebook of format 4. Download it."))
}

/// The notebook as a document by itself, to be saved.
pub(crate) async fn as_html(path: &str, content: Bytes) -> Result<Response, Error> {
    let notebook = cells(content).await?;
    let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".ipynb").to_owned();
    let title = name.replace(['<', '>', '&'], "");
    let html = blocking(move || {
        let cells = fragment(move || view! { <Cells notebook around=Around::default()/> });
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\
             <style>{STYLE}</style></head><body>{cells}</body></html>"
        )
    });
    let mut response = Html(html.await?).into_response();
    download::set(&mut response, header::CONTENT_DISPOSITION, &download::attachment(&format!("{name}.html")));
    Ok(response)
}

/// The document of an output.
pub(crate) async fn document(content: Bytes, cell: usize, output: usize) -> Result<String, Error> {
    let found = blocking(move || preview::notebook::document(&content, cell, output)).await?;
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "This cell has no such document.".to_owned()))
}
