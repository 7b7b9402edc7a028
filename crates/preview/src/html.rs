//! HTML that a cell gave, as values: tables, prose, pictures that lie in it.
//!
//! Nothing of its markup gets into a page: tags are read, and of those that are known values are made. So it does not
//! matter whether a browser would read it the same way. What needs scripts, frames or forms is told apart, to be shown
//! elsewhere.

use crate::{
    markdown::{leads_out, plain},
    notebook::picture,
};
use domain::preview::{Block, GridCell, GridRow, Inline, Target};

/// Longer documents are left to a browser.
const MOST_BYTES: usize = 1 << 20;
/// The most tags and texts that are read.
const MOST_TOKENS: usize = 60_000;
/// The most rows of a table.
const MOST_ROWS: usize = 1000;
/// The most cells of a row.
const MOST_CELLS: usize = 200;
/// Deeper than this, what is in an element is shown as if it stood in the one around it.
const DEEPEST: usize = 24;
/// What only a browser could draw.
const ACTIVE: [&str; 19] = [
    "script", "iframe", "frame", "object", "embed", "applet", "svg", "canvas", "form", "input", "button", "select",
    "textarea", "video", "audio", "link", "meta", "base", "math",
];

/// What HTML is.
#[derive(Debug, PartialEq)]
pub(crate) enum Html {
    /// These.
    Blocks(Vec<Block>),
    /// It needs a browser to be drawn.
    Active,
}

enum Token<'a> {
    Open { name: String, attributes: &'a str },
    Close(String),
    Text(&'a str),
}

/// Reads HTML. `room`: how many bytes of pictures may still come.
pub(crate) fn read(text: &str, room: &mut usize) -> Html {
    if text.len() > MOST_BYTES {
        return Html::Active;
    }
    let mut reader = Reader { rest: text };
    let mut builder = Builder { open: vec![Frame::new("")], room };
    for _ in 0..MOST_TOKENS {
        match reader.next() {
            None => return Html::Blocks(builder.finish()),
            Some(Token::Open { name, .. }) if ACTIVE.contains(&name.as_str()) => return Html::Active,
            Some(Token::Open { name, attributes }) => {
                // What is in these is no prose.
                if matches!(name.as_str(), "style" | "title" | "template" | "noscript") {
                    reader.skip_to_end_of(&name);
                } else {
                    builder.begin(&name, attributes);
                }
            }
            Some(Token::Close(name)) => builder.end(&name),
            Some(Token::Text(text)) => builder.text(text),
        }
    }
    let mut blocks = builder.finish();
    blocks.push(Block::Paragraph(vec![Inline::Text("…".to_owned())]));
    Html::Blocks(blocks)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            if let Some(comment) = self.rest.strip_prefix("<!--") {
                self.rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
                continue;
            }
            if self.rest.starts_with("<!") || self.rest.starts_with("<?") {
                self.rest = self.rest.split_once('>').map_or("", |(_, rest)| rest);
                continue;
            }
            let after = self.rest.strip_prefix('<').unwrap_or_default();
            let (is_end, tag) = after.strip_prefix('/').map_or((false, after), |tag| (true, tag));
            if self.rest.starts_with('<') && tag.starts_with(|c: char| c.is_ascii_alphabetic()) {
                let end = end_of_tag(tag);
                let inner = &tag[..end];
                self.rest = tag.get(end + 1..).unwrap_or_default();
                let length = inner.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(inner.len());
                let name: String = inner[..length].chars().take(24).collect::<String>().to_ascii_lowercase();
                return Some(match is_end {
                    true => Token::Close(name),
                    false => Token::Open { name, attributes: &inner[length..] },
                });
            }
            // A `<` that begins no tag is text.
            let first = self.rest.chars().next().map_or(0, char::len_utf8);
            let end = self.rest[first..].find('<').map_or(self.rest.len(), |at| at + first);
            let (text, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(Token::Text(text));
        }
    }

    fn skip_to_end_of(&mut self, name: &str) {
        let mut rest = self.rest;
        while let Some((_, after)) = rest.split_once("</") {
            if after.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
                self.rest = after.split_once('>').map_or("", |(_, rest)| rest);
                return;
            }
            rest = after;
        }
        self.rest = "";
    }
}

/// Where the tag ends: at the `>` that is in no quotes.
fn end_of_tag(tag: &str) -> usize {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    tag.len()
}

/// The value of an attribute, with references undone.
fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '/')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end.max(rest.chars().next().map_or(1, char::len_utf8)));
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('=').map(str::trim_start) {
            None => ("", after),
            Some(value) => match value.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    let value = &value[1..];
                    value.split_once(quote).unwrap_or((value, ""))
                }
                _ => value.split_at(value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len())),
            },
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(unescaped(value));
        }
        rest = after;
    }
}

/// The text with the references undone that programs write.
pub(crate) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let known = after.find(';').filter(|end| *end <= 10).and_then(|end| Some((reference(&after[..end])?, end)));
        match known {
            Some((c, end)) => {
                out.push(c);
                rest = &after[end + 1..];
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "hellip" => '…',
        "ndash" => '–',
        "mdash" => '—',
        "times" => '×',
        "plusmn" => '±',
        "middot" => '·',
        "bull" => '•',
        "deg" => '°',
        "le" => '≤',
        "ge" => '≥',
        "ne" => '≠',
        "rarr" => '→',
        "larr" => '←',
        "check" => '✓',
        "micro" => 'µ',
        _ => return None,
    })
}

/// An open element, with what it holds so far.
struct Frame {
    name: String,
    blocks: Vec<Block>,
    inlines: Vec<Inline>,
    items: Vec<Vec<Block>>,
    rows: Vec<GridRow>,
    cells: Vec<GridCell>,
    target: Option<Target>,
    columns: u16,
    spans: u16,
}

impl Frame {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            blocks: Vec::new(),
            inlines: Vec::new(),
            items: Vec::new(),
            rows: Vec::new(),
            cells: Vec::new(),
            target: None,
            columns: 1,
            spans: 1,
        }
    }

    /// What is in a line so far becomes a paragraph of its own.
    fn flush(&mut self) {
        let parts = std::mem::take(&mut self.inlines);
        if parts.iter().any(|part| !matches!(part, Inline::Text(text) if text.trim().is_empty())) {
            self.blocks.push(Block::Paragraph(parts));
        }
    }

    fn into_blocks(mut self) -> Vec<Block> {
        self.flush();
        self.blocks
    }

    /// All in a line: what blocks say, in words.
    fn into_inlines(mut self) -> Vec<Inline> {
        let mut parts = Vec::new();
        for block in std::mem::take(&mut self.blocks) {
            if !parts.is_empty() {
                parts.push(Inline::Break);
            }
            parts.extend(in_line(block));
        }
        if !parts.is_empty() && !self.inlines.is_empty() {
            parts.push(Inline::Break);
        }
        parts.append(&mut self.inlines);
        parts
    }
}

fn in_line(block: Block) -> Vec<Inline> {
    match block {
        Block::Heading(_, parts) | Block::Paragraph(parts) => parts,
        Block::Code(code) => vec![Inline::Code(code)],
        Block::Quote(blocks) => blocks.into_iter().flat_map(in_line).collect(),
        Block::List(_, items) => items.into_iter().flatten().flat_map(in_line).collect(),
        Block::Table(..) | Block::Rule => Vec::new(),
        Block::Grid(rows) => {
            let cells = rows.into_iter().flat_map(|row| row.cells);
            cells.flat_map(|cell| cell.parts.into_iter().chain([Inline::Text(" ".to_owned())])).collect()
        }
    }
}

struct Builder<'a> {
    /// From the document to the innermost element that is open; never empty.
    open: Vec<Frame>,
    room: &'a mut usize,
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "section"
            | "article"
            | "main"
            | "header"
            | "footer"
            | "figure"
            | "figcaption"
            | "center"
            | "details"
            | "summary"
            | "dl"
            | "dt"
            | "dd"
            | "caption"
            | "body"
            | "html"
            | "head"
            | "nav"
            | "aside"
            | "address"
    )
}

impl Builder<'_> {
    fn top(&mut self) -> &mut Frame {
        if self.open.is_empty() {
            self.open.push(Frame::new(""));
        }
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    fn is_open(&self, name: &str, up_to: &[&str]) -> bool {
        let inner = self.open.iter().rev().take_while(|frame| !up_to.contains(&frame.name.as_str()));
        inner.into_iter().any(|frame| frame.name == name)
    }

    fn begin(&mut self, name: &str, attributes: &str) {
        match name {
            "br" => return self.top().inlines.push(Inline::Break),
            "hr" => {
                self.top().flush();
                return self.top().blocks.push(Block::Rule);
            }
            "img" => return self.image(attributes),
            "wbr" | "col" | "colgroup" | "source" => return,
            // What the next one of its kind ends without saying so.
            "li" if self.is_open("li", &["ul", "ol", "table"]) => self.end("li"),
            "p" if self.is_open("p", &["td", "th", "li", "table", "div"]) => self.end("p"),
            "tr" if self.is_open("tr", &["table"]) => self.end("tr"),
            "td" | "th" => {
                for cell in ["td", "th"] {
                    if self.is_open(cell, &["table", "tr"]) {
                        self.end(cell);
                    }
                }
            }
            "thead" | "tbody" | "tfoot" => {
                for part in ["thead", "tbody", "tfoot"] {
                    if self.is_open(part, &["table"]) {
                        self.end(part);
                    }
                }
            }
            _ => {}
        }
        if self.open.len() > DEEPEST {
            return;
        }
        let begins_block = is_block(name)
            || matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "ul" | "ol" | "pre" | "blockquote" | "table");
        if begins_block {
            self.top().flush();
        }
        let mut frame = Frame::new(name);
        let span = |name| attribute(attributes, name).and_then(|span| span.trim().parse::<u16>().ok());
        if matches!(name, "td" | "th") {
            frame.columns = span("colspan").unwrap_or(1).clamp(1, 200);
            frame.spans = span("rowspan").unwrap_or(1).clamp(1, 1000);
        }
        if name == "a" {
            frame.target = leads_out(&attribute(attributes, "href").unwrap_or_default());
        }
        self.open.push(frame);
    }

    fn image(&mut self, attributes: &str) {
        let words = attribute(attributes, "alt").unwrap_or_default();
        let address = attribute(attributes, "src").unwrap_or_default();
        let shown = ["image/png", "image/jpeg"].into_iter().find_map(|media| {
            let encoded = address.trim().strip_prefix(&format!("data:{media};base64,"))?;
            picture(media, encoded, self.room)
        });
        let part = match shown {
            Some(address) => Inline::Picture(address, words),
            None => Inline::Text(words),
        };
        self.top().inlines.push(part);
    }

    fn text(&mut self, text: &str) {
        let text = unescaped(text);
        let is_as_typed = self.open.iter().any(|frame| frame.name == "pre");
        // Between the parts of a table or list there is nothing but space.
        let is_between = matches!(self.top().name.as_str(), "table" | "thead" | "tbody" | "tfoot" | "tr" | "ul" | "ol");
        if is_between && text.trim().is_empty() {
            return;
        }
        let text = if is_as_typed { text } else { collapsed(&text) };
        let top = self.top();
        let begins_line = top.inlines.last().is_none_or(|part| matches!(part, Inline::Break));
        let text = if begins_line && !is_as_typed { text.trim_start().to_owned() } else { text };
        if !text.is_empty() {
            top.inlines.push(Inline::Text(text));
        }
    }

    /// Ends the innermost open element of this name, and all inside of it. One that is not open is none.
    fn end(&mut self, name: &str) {
        let Some(at) = self.open.iter().skip(1).rposition(|frame| frame.name == name).map(|at| at + 1) else { return };
        while self.open.len() > at {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some(frame) = self.open.pop() else { return };
        let name = frame.name.clone();
        match name.as_str() {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let level = name.bytes().last().map_or(1, |digit| digit.saturating_sub(b'0'));
                let parts = frame.into_inlines();
                self.top().blocks.push(Block::Heading(level, parts));
            }
            "pre" => {
                let parts = frame.into_inlines();
                let code: String = parts.iter().map(plain).collect();
                self.top().blocks.push(Block::Code(code.trim_matches('\n').to_owned()));
            }
            "blockquote" => {
                let blocks = frame.into_blocks();
                self.top().blocks.push(Block::Quote(blocks));
            }
            "li" => {
                let blocks = frame.into_blocks();
                self.top().items.push(blocks);
            }
            "ul" | "ol" => {
                let start = (name == "ol").then_some(1);
                let items = frame.items;
                if !items.is_empty() {
                    self.top().blocks.push(Block::List(start, items));
                }
            }
            "td" | "th" => {
                let (columns, rows) = (frame.columns, frame.spans);
                let cell = GridCell { is_head: name == "th", columns, rows, parts: frame.into_inlines() };
                let top = self.top();
                if top.cells.len() < MOST_CELLS {
                    top.cells.push(cell);
                }
            }
            "tr" => {
                let is_head = self.open.iter().any(|frame| frame.name == "thead");
                let row = GridRow { is_head, cells: frame.cells };
                let top = self.top();
                if !row.cells.is_empty() && top.rows.len() < MOST_ROWS {
                    top.rows.push(row);
                }
            }
            "thead" | "tbody" | "tfoot" => {
                let top = self.top();
                top.rows.extend(frame.rows);
                top.rows.truncate(MOST_ROWS);
            }
            "table" => {
                let top = self.top();
                top.blocks.extend(frame.blocks);
                if !frame.rows.is_empty() {
                    top.blocks.push(Block::Grid(frame.rows));
                }
            }
            "b" | "strong" => self.wrap(frame, Inline::Strong),
            "i" | "em" | "var" | "cite" | "dfn" => self.wrap(frame, Inline::Emphasis),
            "s" | "del" | "strike" => self.wrap(frame, Inline::Struck),
            "code" | "samp" | "kbd" | "tt" => {
                let parts = frame.into_inlines();
                let code: String = parts.iter().map(plain).collect();
                self.top().inlines.push(Inline::Code(code));
            }
            "a" => match frame.target.clone() {
                Some(target) => self.wrap(frame, |parts| Inline::Link(target, parts)),
                None => self.pass_on(frame),
            },
            name if is_block(name) => {
                let blocks = frame.into_blocks();
                self.top().blocks.extend(blocks);
            }
            _ => self.pass_on(frame),
        }
    }

    fn wrap(&mut self, frame: Frame, make: impl FnOnce(Vec<Inline>) -> Inline) {
        let parts = frame.into_inlines();
        if !parts.is_empty() {
            self.top().inlines.push(make(parts));
        }
    }

    /// What an element that means nothing here holds belongs to the one around it.
    fn pass_on(&mut self, mut frame: Frame) {
        let top = self.top();
        if !frame.blocks.is_empty() {
            top.flush();
            top.blocks.append(&mut frame.blocks);
        }
        top.inlines.append(&mut frame.inlines);
        top.items.append(&mut frame.items);
        top.rows.append(&mut frame.rows);
        top.cells.append(&mut frame.cells);
    }

    fn finish(mut self) -> Vec<Block> {
        while self.open.len() > 1 {
            self.close();
        }
        self.open.pop().map(Frame::into_blocks).unwrap_or_default()
    }
}

/// With each run of white space as one space.
fn collapsed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut was_space = false;
    for c in text.chars() {
        let is_space = c.is_ascii_whitespace();
        if !is_space {
            out.push(c);
        } else if !was_space {
            out.push(' ');
        }
        was_space = is_space;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(html: &str) -> Vec<Block> {
        match read(html, &mut 1_000_000) {
            Html::Blocks(blocks) => blocks,
            Html::Active => panic!("{html}"),
        }
    }

    fn cell(is_head: bool, text: &str) -> GridCell {
        let parts = if text.is_empty() { Vec::new() } else { vec![Inline::Text(text.to_owned())] };
        GridCell { is_head, columns: 1, rows: 1, parts }
    }

    #[test]
    fn a_table_of_pandas_is_a_table() {
        let html = "<div>\n<style scoped>\n .dataframe tbody tr th { vertical-align: top; }\n</style>\n\
            <table border=\"1\" class=\"dataframe\">\n  <thead>\n    <tr style=\"text-align: right;\">\n      <th></th>\n      \
            <th>name</th>\n    </tr>\n  </thead>\n  <tbody>\n    <tr>\n      <th>0</th>\n      <td>a &lt;b&gt; &amp; c</td>\n\
            </tr>\n  </tbody>\n</table>\n<p>1 rows × 1 columns</p>\n</div>";
        assert_eq!(
            blocks(html),
            [
                Block::Grid(vec![
                    GridRow { is_head: true, cells: vec![cell(true, ""), cell(true, "name")] },
                    GridRow { is_head: false, cells: vec![cell(true, "0"), cell(false, "a <b> & c")] },
                ]),
                Block::Paragraph(vec![Inline::Text("1 rows × 1 columns".to_owned())]),
            ]
        );
    }

    #[test]
    fn prose_and_lists_keep_their_parts() {
        assert_eq!(
            blocks("<h2>A</h2>one <b>two</b><ul><li>x<li>y</ul><pre>a\n  b</pre>"),
            [
                Block::Heading(2, vec![Inline::Text("A".to_owned())]),
                Block::Paragraph(vec![
                    Inline::Text("one ".to_owned()),
                    Inline::Strong(vec![Inline::Text("two".to_owned())])
                ]),
                Block::List(
                    None,
                    vec![
                        vec![Block::Paragraph(vec![Inline::Text("x".to_owned())])],
                        vec![Block::Paragraph(vec![Inline::Text("y".to_owned())])]
                    ]
                ),
                Block::Code("a\n  b".to_owned()),
            ]
        );
    }

    #[test]
    fn what_needs_a_browser_is_told_apart() {
        for html in [
            "<script>alert(1)</script>",
            "<div><SCRIPT src=x></SCRIPT></div>",
            "<iframe srcdoc=x>",
            "<svg onload=alert(1)>",
            "<form action=x>",
            "<p>a<canvas></canvas>",
            "<math><mi xlink:href=\"javascript:alert(1)\">",
            "<meta http-equiv=refresh>",
        ] {
            assert_eq!(read(html, &mut 1000), Html::Active, "{html}");
        }
    }

    #[test]
    fn attributes_that_run_style_or_name_are_gone() {
        for html in [
            "<b onclick=alert(1)>x</b>",
            "<img src=x onerror=alert(1)>",
            "<a href=javascript:alert(1)>x</a>",
            "<a href=' java\tscript:alert(1)'>x</a>",
            "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
            "<p style='background:url(//evil.example)' id=ship class=btn name=x>x</p>",
            "<img src='data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+'>",
            "<img src='https://evil.example/pixel.png'>",
            "<x onmouseover=alert(1)>x</x>",
            "<details ontoggle=alert(1) open>x</details>",
            "<p title='</p><b onclick=alert(1)>'>x",
            "<!--><b onclick=alert(1)>x",
            "<style>@import '//evil.example'</style>x",
            "<noscript><p title='</noscript><b onclick=alert(1)>'></noscript>",
        ] {
            let all = format!("{:?}", blocks(html));
            for bad in ["alert", "evil", "script:", "svg", "ship"] {
                assert!(!all.contains(bad), "{bad}: {html}: {all}");
            }
        }
        let link = blocks("<a href='https://example.com/?a=1&amp;b=2' target=_top>x</a>");
        let to = Target::Web("https://example.com/?a=1&b=2".to_owned());
        assert_eq!(link, [Block::Paragraph(vec![Inline::Link(to, vec![Inline::Text("x".to_owned())])])]);
    }

    #[test]
    fn broken_deep_and_long_html_ends() {
        for html in [
            "<".repeat(50_000),
            "<b>".repeat(50_000),
            "<table><tr><td>".repeat(20_000),
            "</td>".repeat(50_000),
            "<a href=\"".repeat(5000),
            "&#x110000;&#0;&bogus;&".repeat(1000),
            "<td>é<é <!-- é".to_owned(),
            "<style>é".to_owned(),
            format!("<table>{}</table>", "<tr><td>x".repeat(30_000)),
        ] {
            let _ = read(&html, &mut 1000);
        }
        assert_eq!(
            blocks("a < b & c"),
            [Block::Paragraph(vec![Inline::Text("a ".to_owned()), Inline::Text("< b & c".to_owned())])]
        );
    }
}
