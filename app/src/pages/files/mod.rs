//! Files, as they are looked at: beside a tree of folders the file that is chosen, drawn as what it is. For the files of a run and
//! for those of a version.

pub(in crate::pages) mod prose;
mod show;
mod tree;

use crate::{links::FileLinks, ui::prelude::*};
use domain::{
    Digest,
    artifact_path::ArtifactPath,
    artifact_tree::{MAX_ARCHIVE, MAX_ARCHIVE_FILES, TreePage},
    preview::{Block, Preview},
};
use leptos::prelude::*;

pub use tree::Glance;

/// Prose that people wrote, with what it links to among these files.
pub(crate) fn prose(blocks: Vec<Block>, links: &FileLinks, address: &Address) -> AnyView {
    prose::blocks(blocks, links, address)
}

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub struct FilesPage {
    /// The folders that are open, from the root down.
    pub open: Vec<TreePage>,
    /// The file that is chosen.
    pub file: Option<ShownFile>,
    /// A path that was asked for, where nothing is.
    pub missing: Option<String>,
}

impl FilesPage {
    /// How many files there are in all, and their bytes.
    pub(crate) fn all(&self) -> (i64, i64) {
        self.open.first().map_or((0, 0), |root| (root.files, root.size))
    }

    /// Whether the page needs a frame to show its file in.
    #[must_use]
    pub fn has_frame(&self) -> bool {
        self.file.as_ref().is_some_and(|file| match &file.preview {
            Preview::Frame => true,
            Preview::Notebook(notebook) => notebook.has_frame(),
            _ => false,
        })
    }
}

/// A file, and what is shown of it.
#[derive(Debug, Clone)]
pub struct ShownFile {
    /// Its path.
    pub path: ArtifactPath,
    /// How many bytes it has.
    pub size: u64,
    /// Of its bytes.
    pub digest: Digest,
    /// What is shown of it.
    pub preview: Preview,
}

/// How MLflow's clients name a place among these files.
fn uri(base: &str, path: &str) -> String {
    if path.is_empty() { base.to_owned() } else { format!("{base}/{path}") }
}

/// The tree, and what is chosen in it.
#[component]
pub fn Files(
    /// Where the files themselves are.
    links: FileLinks,
    /// This page, with what was chosen: `path` is a folder or file, `from` the first entry of a long folder.
    address: Address,
    /// What is looked at.
    page: FilesPage,
    /// How MLflow's clients name the root: `runs:/…`.
    #[prop(into)]
    base: String,
    /// What to say when there are none yet: how some come.
    #[prop(into)]
    empty: String,
    /// The command that makes some come.
    #[prop(optional_no_strip)]
    command: Option<String>,
    /// Whether more may come while the page is open.
    #[prop(optional)]
    live: bool,
) -> impl IntoView {
    let (count, _) = page.all();
    let is_chosen = page.file.is_some() || page.open.len() > 1 || page.missing.is_some();
    if count == 0 && page.missing.is_none() {
        return view! {
            <section class="panel" id="files" aria-label="Files" data-live=live.then_some("")>
                {match command {
                    Some(command) => view! { <Empty symbol=Symbol::Folder title="No files yet" text=empty command/> }.into_any(),
                    None => view! { <Empty symbol=Symbol::Folder title="No files" text=empty/> }.into_any(),
                }}
            </section>
        }
        .into_any();
    }
    let right = match (page.file.clone(), page.missing.clone()) {
        (Some(file), _) => view! { <show::File links=links.clone() address=address.clone() file base/> }.into_any(),
        (None, Some(path)) => view! { <Missing path/> }.into_any(),
        (None, None) => {
            let folder = page.open.last().cloned().unwrap_or_default();
            view! { <Folder links=links.clone() folder base/> }.into_any()
        }
    };
    view! {
        <div class=if is_chosen { "files chosen" } else { "files" }>
            <tree::Tree links address page live/>
            <div class="stack">{right}</div>
        </div>
    }
    .into_any()
}

/// Nothing is at the path that was asked for.
#[component]
fn Missing(path: String) -> impl IntoView {
    view! {
        <section class="panel" aria-label="Not found">
            <Empty symbol=Symbol::File title="No such file or folder" text=format!("Nothing is at {path}. It may have been deleted, or not be logged yet.")/>
        </section>
    }
}

/// A folder: how much is in it, and how to get it.
#[component]
fn Folder(links: FileLinks, folder: TreePage, base: String) -> impl IntoView {
    let name = folder.folder.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("All files").to_owned();
    let fits = folder.files <= MAX_ARCHIVE_FILES && folder.size <= MAX_ARCHIVE;
    let uri = uri(&base, &folder.folder);
    let href = links.archive(&folder.folder);
    let note =
        format!("{}, {}", format::count(folder.files, "file", "files"), format::bytes(folder.size.unsigned_abs()));
    view! {
        <Panel title=name id="folder" note>
            <Body>
                <p class="muted only-files">"Choose a file to see it here."</p>
                {if fits {
                    view! {
                        <p>
                            <a class="btn" href=href download="">
                                <Icon symbol=Symbol::Download/>
                                "Download as zip"
                            </a>
                        </p>
                    }
                        .into_any()
                } else {
                    view! {
                        <p class="muted">
                            {format!(
                                "Too much for one zip, which takes up to {} files and {}.",
                                format::integer(MAX_ARCHIVE_FILES),
                                format::bytes(MAX_ARCHIVE.unsigned_abs()),
                            )}
                        </p>
                    }
                        .into_any()
                }}
                <p class="muted">"With an MLflow client:"</p>
                <Command text=format!("mlflow.artifacts.download_artifacts(\"{uri}\")")/>
            </Body>
        </Panel>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};
    use domain::preview::{Column, Part, Reason, Table as Rows, Text};

    fn show(page: FilesPage) -> String {
        let address = Address::new("/w/lab/runs/1", [("tab".to_owned(), "artifacts".to_owned())]);
        let links = Links::new("lab").version_files("churn", 7);
        fragment(move || {
            view! { <Files links address page base="models:/churn/7" empty="None came." command=None/> }
        })
    }

    fn file(preview: Preview) -> String {
        show(FilesPage { file: Some(samples::shown("plots/a & b.csv", preview)), ..samples::files() })
    }

    #[test]
    fn folders_above_what_is_open_are_open_and_what_is_chosen_is_marked() {
        let html = show(samples::files());
        assert!(html.contains(r#"href="/w/lab/runs/1?tab=artifacts&amp;path=model%2FMLmodel""#), "{html}");
        assert!(html.contains(r#"aria-expanded="true""#) && html.contains("12 of 340"), "{html}");
        assert!(html.contains("from=model%2Fstep-13.bin"), "{html}");
        assert!(html.contains("/w/lab/api/v1/models/churn/versions/7/files.zip?path=model"), "{html}");
        assert!(html.contains("models:/churn/7/model"), "{html}");
    }

    #[test]
    fn a_long_text_says_how_much_is_shown() {
        let text = Text { lines: vec!["a < b".to_owned()], part: Part { shown: 262_144, of: 4 << 20 }, cut_lines: 1 };
        let html = file(Preview::Text(text));
        assert!(html.contains("Showing the first 256 KiB of 4.0 MiB") && html.contains("a &lt; b"), "{html}");
        assert!(html.contains(r##"<li id="L1"><a href="#L1""##), "{html}");
    }

    #[test]
    fn a_table_names_types_and_what_is_not_there() {
        let column = |name: &str| Column { name: name.to_owned(), dtype: Some("double".to_owned()), is_number: true };
        let rows = vec![vec![Some("1.5".to_owned()), None]];
        let table = Rows {
            columns: vec![column("x"), column("y")],
            rows,
            total_columns: 60,
            total_rows: Some(12_000),
            notes: vec!["Odd.".to_owned()],
        };
        let html = file(Preview::Table(table));
        for part in ["1.5", "double", "The first row of 12,000", "2 of 60 columns", "Odd.", r#"class="none""#] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn a_document_is_framed_apart_from_the_page() {
        let html = file(Preview::Frame);
        assert!(html.contains(r#"sandbox="allow-scripts""#), "{html}");
        assert!(html.contains("/w/lab/models/churn/versions/7/shown?path=plots%2Fa%20%26%20b.csv"), "{html}");
        assert!(FilesPage { file: Some(samples::shown("a.html", Preview::Frame)), ..FilesPage::default() }.has_frame());
    }

    #[test]
    fn what_cannot_be_shown_says_why_and_can_be_had() {
        for (reason, told) in [
            (Reason::Empty, "The file is empty"),
            (Reason::Binary, "no text"),
            (Reason::TooLarge(64 << 20), "64.0 MiB"),
            (Reason::Damaged("It is broken <here>.".to_owned()), "It is broken &lt;here&gt;."),
        ] {
            let html = file(Preview::Nothing(reason));
            assert!(html.contains(told) && html.contains("files/content?path="), "{html}");
        }
    }

    #[test]
    fn without_files_the_page_says_how_some_come() {
        let html = show(FilesPage::default());
        assert!(html.contains("None came."), "{html}");
        let html = show(FilesPage { missing: Some("a/<b>".to_owned()), ..samples::files() });
        assert!(html.contains("Nothing is at a/&lt;b&gt;."), "{html}");
    }
}
