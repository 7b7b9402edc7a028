//! Markdown as values: what is no prose (raw HTML, scripts, addresses of other kinds) has no value to be in.

use crate::math;
use domain::{
    artifact_path::ArtifactPath,
    preview::{Block, Inline, Target},
};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use std::collections::BTreeMap;

/// Deeper than this, what is in a list or quotation is shown as if it stood in the one around it.
const DEEPEST: usize = 12;
/// The most parts of a document.
const MOST_PARTS: usize = 20_000;

/// The prose of the document at this path.
pub(crate) fn read(text: &str, path: &str) -> Vec<Block> {
    read_with(text, path, Options::empty(), &BTreeMap::new())
}

/// The prose of a cell of a notebook: with formulas between `$` and `$$`, and with the pictures that the cell brings, by
/// their names.
pub(crate) fn read_cell(text: &str, path: &str, pictures: &BTreeMap<String, String>) -> Vec<Block> {
    read_with(&math::with_dollars(text), path, Options::ENABLE_MATH, pictures)
}

fn read_with(text: &str, path: &str, more: Options, pictures: &BTreeMap<String, String>) -> Vec<Block> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | more;
    let mut builder = Builder { folder, pictures, open: vec![Frame::new(Part::Root)] };
    // A block of settings before the prose is for programs.
    let text = without_front_matter(text);
    for event in Parser::new_ext(text, options).take(MOST_PARTS) {
        builder.take(event);
    }
    builder.finish()
}

/// The text after the lines between `---` that it begins with.
fn without_front_matter(text: &str) -> &str {
    let Some(rest) = text.strip_prefix("---\n") else { return text };
    rest.split_once("\n---\n").map_or(text, |(_, prose)| prose)
}

/// What is open.
enum Part {
    Root,
    Quote,
    List(Option<u64>),
    Item,
    Paragraph,
    Heading(u8),
    Code,
    Table,
    Row,
    TableCell,
    Emphasis,
    Strong,
    Struck,
    Link(Option<Target>),
    Image(Option<ArtifactPath>),
    Picture(String),
    /// Its parts belong to what is around it.
    Passed,
    /// Raw HTML: dropped.
    Dropped,
}

/// Something open, with what it holds so far.
struct Frame {
    part: Part,
    blocks: Vec<Block>,
    inlines: Vec<Inline>,
    items: Vec<Vec<Block>>,
    cells: Vec<Vec<Inline>>,
    head: Vec<Vec<Inline>>,
    rows: Vec<Vec<Vec<Inline>>>,
}

impl Frame {
    fn new(part: Part) -> Self {
        Self {
            part,
            blocks: Vec::new(),
            inlines: Vec::new(),
            items: Vec::new(),
            cells: Vec::new(),
            head: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Text right in an item or a quotation is a paragraph of its own; what is left here came after the last block.
    fn into_blocks(mut self) -> Vec<Block> {
        if !self.inlines.is_empty() {
            let paragraph = Block::Paragraph(std::mem::take(&mut self.inlines));
            self.blocks.push(paragraph);
        }
        self.blocks
    }
}

struct Builder<'a> {
    folder: &'a str,
    /// What `attachment:NAME` stands for.
    pictures: &'a BTreeMap<String, String>,
    /// From the document to the innermost part that is open; never empty.
    open: Vec<Frame>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.begin(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.inline(Inline::Text(text.into_string())),
            Event::Code(code) => self.inline(Inline::Code(code.into_string())),
            Event::SoftBreak => self.inline(Inline::Text(" ".to_owned())),
            Event::HardBreak => self.inline(Inline::Break),
            Event::Rule => self.block(Block::Rule),
            Event::TaskListMarker(ticked) => self.inline(Inline::Task(ticked)),
            Event::InlineMath(tex) => self.inline(Inline::Math(math::formula(&tex, false))),
            Event::DisplayMath(tex) => self.inline(Inline::Math(math::formula(&tex, true))),
            // Raw HTML, and what is not turned on.
            Event::Html(_) | Event::InlineHtml(_) | Event::FootnoteReference(_) => {}
        }
    }

    fn begin(&mut self, tag: Tag<'_>) {
        let part = match tag {
            _ if self.open.len() > DEEPEST * 2 => Part::Passed,
            Tag::Paragraph => Part::Paragraph,
            Tag::Heading { level, .. } => Part::Heading(match level {
                HeadingLevel::H1 => 1,
                HeadingLevel::H2 => 2,
                HeadingLevel::H3 => 3,
                HeadingLevel::H4 => 4,
                HeadingLevel::H5 => 5,
                HeadingLevel::H6 => 6,
            }),
            Tag::BlockQuote(_) => Part::Quote,
            Tag::CodeBlock(CodeBlockKind::Indented | CodeBlockKind::Fenced(_)) => Part::Code,
            Tag::HtmlBlock => Part::Dropped,
            Tag::List(start) => Part::List(start),
            Tag::Item => Part::Item,
            Tag::Table(_) => Part::Table,
            Tag::TableHead | Tag::TableRow => Part::Row,
            Tag::TableCell => Part::TableCell,
            Tag::Emphasis => Part::Emphasis,
            Tag::Strong => Part::Strong,
            Tag::Strikethrough => Part::Struck,
            Tag::Link { dest_url, .. } => Part::Link(self.target(&dest_url)),
            Tag::Image { dest_url, .. } => match dest_url.strip_prefix("attachment:") {
                Some(name) => match self.pictures.get(name) {
                    Some(address) => Part::Picture(address.clone()),
                    None => Part::Image(None),
                },
                None => Part::Image(artifact(self.folder, &dest_url)),
            },
            _ => Part::Passed,
        };
        self.open.push(Frame::new(part));
    }

    fn end(&mut self, tag: TagEnd) {
        if self.open.len() < 2 {
            return;
        }
        let Some(mut frame) = self.open.pop() else { return };
        match std::mem::replace(&mut frame.part, Part::Dropped) {
            Part::Root | Part::Dropped => {}
            Part::Paragraph => self.block(Block::Paragraph(frame.inlines)),
            Part::Heading(level) => self.block(Block::Heading(level, frame.inlines)),
            Part::Quote => self.block(Block::Quote(frame.into_blocks())),
            Part::Code => {
                let code: String = frame.inlines.iter().map(plain).collect();
                self.block(Block::Code(code.trim_end_matches('\n').to_owned()));
            }
            Part::List(start) => self.block(Block::List(start, frame.items)),
            Part::Item => self.top().items.push(frame.into_blocks()),
            Part::TableCell => self.top().cells.push(frame.inlines),
            Part::Row => match tag {
                TagEnd::TableHead => self.top().head = frame.cells,
                _ => self.top().rows.push(frame.cells),
            },
            Part::Table => self.block(Block::Table(frame.head, frame.rows)),
            Part::Emphasis => self.inline(Inline::Emphasis(frame.inlines)),
            Part::Strong => self.inline(Inline::Strong(frame.inlines)),
            Part::Struck => self.inline(Inline::Struck(frame.inlines)),
            Part::Link(Some(target)) => self.inline(Inline::Link(target, frame.inlines)),
            Part::Image(Some(path)) => {
                let words = frame.inlines.iter().map(plain).collect();
                self.inline(Inline::Image(path, words));
            }
            Part::Picture(address) => {
                let words = frame.inlines.iter().map(plain).collect();
                self.inline(Inline::Picture(address, words));
            }
            // Without an address that is taken, the words remain.
            Part::Link(None) | Part::Image(None) => self.top().inlines.extend(frame.inlines),
            Part::Passed => {
                let items = std::mem::take(&mut frame.items);
                let top = self.top();
                top.inlines.append(&mut frame.inlines);
                top.blocks.append(&mut frame.blocks);
                top.blocks.extend(items.into_iter().flatten());
            }
        }
    }

    fn block(&mut self, block: Block) {
        let top = self.top();
        // Text before a block in the same item comes before it.
        if !top.inlines.is_empty() && matches!(top.part, Part::Item | Part::Quote | Part::Root) {
            let before = std::mem::take(&mut top.inlines);
            top.blocks.push(Block::Paragraph(before));
        }
        top.blocks.push(block);
    }

    fn inline(&mut self, inline: Inline) {
        self.top().inlines.push(inline);
    }

    fn top(&mut self) -> &mut Frame {
        if self.open.is_empty() {
            self.open.push(Frame::new(Part::Root));
        }
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    /// Where a link leads, when that is a place that prose may lead to.
    fn target(&self, address: &str) -> Option<Target> {
        leads_out(address).or_else(|| artifact(self.folder, address).map(Target::Artifact))
    }

    fn finish(mut self) -> Vec<Block> {
        // What a cut left open ends here.
        while self.open.len() > 1 {
            self.end(TagEnd::Paragraph);
        }
        self.open.pop().map(Frame::into_blocks).unwrap_or_default()
    }
}

/// The place outside of Slipway that an address leads to, when it is one that prose may lead to.
pub(crate) fn leads_out(address: &str) -> Option<Target> {
    let address = address.trim();
    let lower = address.to_ascii_lowercase();
    let is_known = ["http://", "https://", "mailto:"].iter().any(|scheme| lower.starts_with(scheme));
    is_known.then(|| Target::Web(address.to_owned()))
}

/// The text of a part, as one would read it out.
pub(crate) fn plain(inline: &Inline) -> String {
    match inline {
        Inline::Text(text) | Inline::Code(text) | Inline::Image(_, text) | Inline::Picture(_, text) => text.clone(),
        Inline::Math(formula) => formula.tex.clone(),
        Inline::Emphasis(parts) | Inline::Strong(parts) | Inline::Struck(parts) | Inline::Link(_, parts) => {
            parts.iter().map(plain).collect()
        }
        Inline::Break => "\n".to_owned(),
        Inline::Task(_) => String::new(),
    }
}

/// The artifact that a relative address names from a folder; none for an address with a scheme or host, or one that
/// leads out.
fn artifact(folder: &str, address: &str) -> Option<ArtifactPath> {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    // What could be a scheme is one: `javascript:`, `data:`, `C:`.
    if path.is_empty() || path.starts_with('/') || path.split('/').next().is_some_and(|first| first.contains(':')) {
        return None;
    }
    let path = decode(path)?;
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    ArtifactPath::parse(&parts.join("/")).ok()
}

/// The path with its percent-escapes undone once, as a browser does.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, others @ ..] = rest {
        let escaped = match (first, others) {
            (b'%', [high, low, ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(high).zip(digit(low)).map(|(high, low)| high * 16 + low)
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &others[2..] } else { others };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Inline {
        Inline::Text(text.to_owned())
    }

    fn everything(blocks: &[Block]) -> String {
        format!("{blocks:?}")
    }

    #[test]
    fn prose_becomes_blocks() {
        let blocks =
            read("# One *two*\n\n- a\n- [x] b\n\n  c\n\n> q\n\n```sh\nls\n```\n\n|a|b|\n|-|-|\n|1|`2`|\n", "README.md");
        assert_eq!(
            blocks,
            [
                Block::Heading(1, vec![text("One "), Inline::Emphasis(vec![text("two")])]),
                Block::List(
                    None,
                    vec![
                        vec![Block::Paragraph(vec![text("a")])],
                        vec![Block::Paragraph(vec![Inline::Task(true), text("b")]), Block::Paragraph(vec![text("c")]),],
                    ]
                ),
                Block::Quote(vec![Block::Paragraph(vec![text("q")])]),
                Block::Code("ls".to_owned()),
                Block::Table(
                    vec![vec![text("a")], vec![text("b")]],
                    vec![vec![vec![text("1")], vec![Inline::Code("2".to_owned())]]]
                ),
            ]
        );
    }

    #[test]
    fn text_of_a_tight_item_stays_where_it_stood() {
        let paragraph = |words: &str| Block::Paragraph(vec![text(words)]);
        let item = vec![paragraph("first"), Block::Code("ls".to_owned()), paragraph("then")];
        assert_eq!(read("- first\n  ```\n  ls\n  ```\n  then\n", ""), [Block::List(None, vec![item])]);
    }

    #[test]
    fn html_is_dropped_and_its_words_stay_words() {
        let all = everything(&read(
            "<script>alert(1)</script>\n\na <img src=x onerror=alert(2)> b\n\n<div>\nc\n</div>\n",
            "",
        ));
        assert!(!all.contains("alert") && !all.contains("img") && all.contains("a "), "{all}");
    }

    #[test]
    fn links_lead_out_by_http_and_mail_or_to_artifacts() {
        let link = |address: &str| match read(&format!("[x](<{address}>)"), "docs/README.md").as_slice() {
            [Block::Paragraph(parts)] => match parts.as_slice() {
                [Inline::Link(target, _)] => Some(target.clone()),
                _ => None,
            },
            other => panic!("{other:?}"),
        };
        assert_eq!(link("https://example.com/a"), Some(Target::Web("https://example.com/a".to_owned())));
        assert_eq!(link("MAILTO:a@example.com"), Some(Target::Web("MAILTO:a@example.com".to_owned())));
        let artifact = |path: &str| Some(Target::Artifact(ArtifactPath::parse(path).unwrap()));
        assert_eq!(link("plots/a%20b.png#x"), artifact("docs/plots/a b.png"));
        assert_eq!(link("../model/MLmodel"), artifact("model/MLmodel"));
        for refused in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            " javascript:alert(1)",
            "java\tscript:alert(1)",
            "data:text/html,<script>",
            "vbscript:x",
            "file:///etc/passwd",
            "//evil.example/x",
            "/sign-in",
            "../../up",
            "%2e%2e/%2e%2e/up",
            "#only",
            "",
        ] {
            assert_eq!(link(refused), None, "{refused}");
        }
    }

    #[test]
    fn pictures_come_from_the_same_artifacts_alone() {
        let all = everything(&read(
            "![roc](../plots/roc.png) ![out](https://evil.example/pixel.png) ![d](data:image/png;base64,AA==)",
            "docs/a.md",
        ));
        assert!(all.contains("plots/roc.png"), "{all}");
        assert!(!all.contains("evil.example") && !all.contains("base64"), "{all}");
    }

    #[test]
    fn depth_and_length_have_bounds() {
        let quotes = read(&format!("{} deep", ">".repeat(5000)), "");
        let mut depth = 0;
        let mut at = quotes.as_slice();
        while let [Block::Quote(inner), ..] = at {
            depth += 1;
            at = inner;
        }
        assert!((2..=2 * DEEPEST).contains(&depth), "{depth}");
        assert!(everything(&quotes).contains("deep"));
        let nested: String = (0..500).map(|depth| format!("{}- x\n", "  ".repeat(depth))).collect();
        assert!(!read(&nested, "").is_empty());
        assert!(read(&"*a* ".repeat(100_000), "").len() <= 2);
        assert!(!read(&"[".repeat(50_000), "").is_empty());
    }

    #[test]
    fn settings_before_the_prose_are_not_prose() {
        assert_eq!(read("---\nlicense: mit\n---\nHello", "README.md"), [Block::Paragraph(vec![text("Hello")])]);
    }
}
