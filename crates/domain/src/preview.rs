//! What of a file is shown on a page: values that hold nothing a browser could run. `preview` makes them of bytes, and
//! `app` draws them.

use crate::artifact_path::ArtifactPath;

/// What sort of file something is, by its name. What its bytes are is another question: whoever reads them is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A picture made of pixels, with its media type.
    Image(&'static str),
    /// A picture made of shapes: a document that could hold scripts.
    Svg,
    /// A document that could hold scripts.
    Html,
    /// JSON.
    Json,
    /// A table of text, its fields separated by this byte.
    Delimited(u8),
    /// A table in columns.
    Parquet,
    /// Markdown.
    Markdown,
    /// A Jupyter notebook.
    Notebook,
    /// Text, also code, logs and settings.
    Text,
    /// Nothing is known: text, when its bytes are.
    Unknown,
}

impl Kind {
    /// The kind of the file with this name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name);
        let ending = name.rsplit_once('.').map_or(name, |(_, ending)| ending).to_ascii_lowercase();
        match ending.as_str() {
            "png" => Self::Image("image/png"),
            "jpg" | "jpeg" => Self::Image("image/jpeg"),
            "gif" => Self::Image("image/gif"),
            "webp" => Self::Image("image/webp"),
            "svg" => Self::Svg,
            "html" | "htm" => Self::Html,
            "json" => Self::Json,
            "csv" => Self::Delimited(b','),
            "tsv" => Self::Delimited(b'\t'),
            "parquet" => Self::Parquet,
            "md" | "markdown" => Self::Markdown,
            "ipynb" => Self::Notebook,
            "txt" | "log" | "yaml" | "yml" | "toml" | "cfg" | "ini" | "py" | "r" | "sql" | "sh" | "rs" | "ts"
            | "js" | "css" | "xml" | "jsonl" | "mlmodel" | "dockerfile" => Self::Text,
            _ => Self::Unknown,
        }
    }

    /// Whether the file is shown by its own address, rather than by values.
    #[must_use]
    pub fn is_embedded(self) -> bool {
        matches!(self, Self::Image(_) | Self::Svg | Self::Html)
    }
}

/// The most bytes of a file that is shown by its own address.
pub const MAX_EMBEDDED: u64 = 32 << 20;

/// How much is shown, of how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// So many bytes are shown.
    pub shown: u64,
    /// So many the file has.
    pub of: u64,
}

impl Part {
    /// Whether that is all.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.shown >= self.of
    }
}

/// What is shown of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Preview {
    /// A picture, by its address.
    Image,
    /// A document in a frame that is kept from everything around it, by its address.
    Frame,
    /// Text.
    Text(Text),
    /// JSON, laid out.
    Json(Text),
    /// A table.
    Table(Table),
    /// Prose with headings, lists, tables, code.
    Markdown {
        /// The prose.
        blocks: Vec<Block>,
        /// How much of it this is.
        part: Part,
    },
    /// A notebook.
    Notebook(Notebook),
    /// Nothing, and why.
    Nothing(Reason),
}

/// Why nothing of a file is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It has no bytes.
    Empty,
    /// Its bytes are no text, and its name says nothing of what they are.
    Binary,
    /// It is larger than what is shown of its kind; so many bytes would be.
    TooLarge(u64),
    /// It is not what its name says, or broken: in a sentence.
    Damaged(String),
}

/// The first lines of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The lines, without what ends them. Bytes that are no text are replaced by `�`.
    pub lines: Vec<String>,
    /// How much of the file this is.
    pub part: Part,
    /// How many of the lines go on beyond what is shown.
    pub cut_lines: usize,
}

/// The first rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its columns, as far as they are shown.
    pub columns: Vec<Column>,
    /// Its rows, each with a cell for every column; none where there is no value.
    pub rows: Vec<Vec<Option<String>>>,
    /// How many columns there are in all.
    pub total_columns: usize,
    /// How many rows there are in all, where that is known.
    pub total_rows: Option<u64>,
    /// What else there is to know, each in a sentence.
    pub notes: Vec<String>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, where the file says it.
    pub dtype: Option<String>,
    /// Whether it holds numbers.
    pub is_number: bool,
}

/// A part of prose that stands for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A heading, of level 1 to 6.
    Heading(u8, Vec<Inline>),
    /// A paragraph.
    Paragraph(Vec<Inline>),
    /// Code, as it is.
    Code(String),
    /// A quotation.
    Quote(Vec<Block>),
    /// A list; with a number, one that counts from there.
    List(Option<u64>, Vec<Vec<Block>>),
    /// A table: its head, and its rows.
    Table(Vec<Vec<Inline>>, Vec<Vec<Vec<Inline>>>),
    /// A table whose cells may be heads, and span others.
    Grid(Vec<GridRow>),
    /// A rule across.
    Rule,
}

/// A row of a [`Block::Grid`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GridRow {
    /// Whether it belongs to the head of the table.
    pub is_head: bool,
    /// Its cells.
    pub cells: Vec<GridCell>,
}

/// A cell of a [`Block::Grid`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GridCell {
    /// Whether it names the row or the column.
    pub is_head: bool,
    /// How many columns it takes, from 1.
    pub columns: u16,
    /// How many rows it takes, from 1.
    pub rows: u16,
    /// What is in it.
    pub parts: Vec<Inline>,
}

/// A formula: as it was typed, and as what a browser draws, when it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formula {
    /// In TeX.
    pub tex: String,
    /// In MathML; empty when it cannot be read.
    pub drawn: Vec<MathNode>,
}

/// A part of MathML. Names are among those that can do nothing but be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MathNode {
    /// Text.
    Text(String),
    /// An element.
    Element {
        /// Its name.
        name: &'static str,
        /// Its attributes.
        attributes: Vec<(&'static str, String)>,
        /// What is in it.
        children: Vec<MathNode>,
    },
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inline {
    /// Text.
    Text(String),
    /// Code.
    Code(String),
    /// Stressed.
    Emphasis(Vec<Inline>),
    /// Stressed more.
    Strong(Vec<Inline>),
    /// Struck out.
    Struck(Vec<Inline>),
    /// A link.
    Link(Target, Vec<Inline>),
    /// A picture among the same artifacts, and what it shows in words.
    Image(ArtifactPath, String),
    /// A picture that lies in the address itself, and what it shows in words.
    Picture(String, String),
    /// A formula.
    Math(Formula),
    /// A new line.
    Break,
    /// The box of a task, ticked or not.
    Task(bool),
}

/// Where a link of prose leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Out: an address that begins with `http:`, `https:` or `mailto:`.
    Web(String),
    /// To another file of the same artifacts.
    Artifact(ArtifactPath),
}

/// The first cells of a notebook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notebook {
    /// The language of its code, where it says it.
    pub language: Option<String>,
    /// Its cells.
    pub cells: Vec<Cell>,
    /// How many cells it has in all.
    pub total: usize,
}

impl Notebook {
    /// Whether one of its outputs is shown in a frame.
    #[must_use]
    pub fn has_frame(&self) -> bool {
        self.cells.iter().any(|cell| match &cell.content {
            CellContent::Code { outputs, .. } => outputs.iter().any(|output| matches!(output, Output::Frame { .. })),
            CellContent::Markdown(_) | CellContent::Raw(_) => false,
        })
    }
}

/// A cell of a notebook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The tags that somebody gave it.
    pub tags: Vec<String>,
    /// What it is.
    pub content: CellContent,
}

/// What a cell of a notebook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CellContent {
    /// Prose.
    Markdown(Vec<Block>),
    /// Code that was run, or not.
    Code {
        /// In which turn it was run.
        count: Option<i64>,
        /// How long that took, in milliseconds, where it says it.
        took_ms: Option<i64>,
        /// The code.
        source: String,
        /// What came of it.
        outputs: Vec<Output>,
    },
    /// Text as it is.
    Raw(String),
}

/// What came of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Text. It may have the sequences that colour a terminal.
    Text {
        /// The text.
        text: String,
        /// Whether it was written to standard error.
        is_err: bool,
    },
    /// An error, with where it came from. It may have the sequences that colour a terminal.
    Error(String),
    /// A picture, as an address that holds it.
    Image(String),
    /// A document of its own: tables, prose, formulas.
    Document(Vec<Block>),
    /// A document that needs its scripts, to be shown apart from everything by an address of its own.
    Frame {
        /// The place of the cell in the notebook, from 0.
        cell: usize,
        /// The place of the output among those of the cell, from 0.
        output: usize,
        /// What it is in words; empty when it does not say.
        text: String,
    },
    /// Something that nobody here can draw: its media type.
    LeftOut(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_the_ending_alone() {
        for (name, kind) in [
            ("plots/roc.PNG", Kind::Image("image/png")),
            ("a.html.txt", Kind::Text),
            ("model/MLmodel", Kind::Text),
            ("run.svg", Kind::Svg),
            ("png", Kind::Image("image/png")),
            ("weights.bin", Kind::Unknown),
            ("", Kind::Unknown),
        ] {
            assert_eq!(Kind::of(name), kind, "{name}");
        }
        assert!(Kind::Html.is_embedded() && !Kind::Markdown.is_embedded());
    }
}
