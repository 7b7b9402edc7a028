//! Formulas: from TeX to the elements of MathML that a browser draws by itself.
//!
//! What the library writes is read again and only what is on the lists below becomes a value, so that it is these lists
//! that say what gets into a page, and not the library.

use crate::html::unescaped;
use domain::preview::{Formula, MathNode};
use pulldown_latex::{Parser, RenderConfig, Storage, config::DisplayMode, push_mathml};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The longest formula that is drawn.
const MOST_TEX: usize = 4 << 10;
/// The deepest that its parts stand in each other.
const DEEPEST: usize = 48;
/// The most parts of a formula.
const MOST_PARTS: usize = 8000;

/// Elements that are drawn, and do nothing else.
const ELEMENTS: [&str; 26] = [
    "math",
    "mi",
    "mn",
    "mo",
    "ms",
    "mtext",
    "mspace",
    "mrow",
    "mfrac",
    "msqrt",
    "mroot",
    "mstyle",
    "mpadded",
    "mphantom",
    "msub",
    "msup",
    "msubsup",
    "munder",
    "mover",
    "munderover",
    "mmultiscripts",
    "mprescripts",
    "mtable",
    "mtr",
    "mtd",
    "semantics",
];

/// Environments that are formulas.
const ENVIRONMENTS: [&str; 8] =
    ["align", "align*", "equation", "equation*", "gather", "gather*", "multline", "multline*"];

/// Attributes that say how something is drawn.
const ATTRIBUTES: [&str; 25] = [
    "accent",
    "accentunder",
    "class",
    "columnalign",
    "columnspan",
    "depth",
    "display",
    "displaystyle",
    "fence",
    "form",
    "height",
    "largeop",
    "linethickness",
    "lspace",
    "mathvariant",
    "maxsize",
    "minsize",
    "movablelimits",
    "rowspan",
    "rspace",
    "scriptlevel",
    "separator",
    "stretchy",
    "symmetric",
    "width",
];

/// The formula, drawn when it can be read. `is_block`: it stands on a line of its own.
pub(crate) fn formula(tex: &str, is_block: bool) -> Formula {
    let drawn = if may_be_read(tex) { draw(tex, is_block).unwrap_or_default() } else { Vec::new() };
    Formula { tex: tex.to_owned(), drawn }
}

/// What defines macros could grow without end, and what is nested deeply ends the stack: braces, environments, and
/// commands each of which is the argument of the one before.
fn may_be_read(tex: &str) -> bool {
    let defines = ["def", "gdef", "edef", "xdef", "let", "newcommand", "renewcommand", "providecommand"];
    if tex.len() > MOST_TEX {
        return false;
    }
    let (mut depth, mut chain) = (0_usize, 0_usize);
    let mut chars = tex.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let mut name = String::new();
                while let Some(letter) = chars.next_if(char::is_ascii_alphabetic) {
                    name.push(letter);
                }
                match name.as_str() {
                    "" => drop(chars.next()),
                    "left" | "begin" => depth += 1,
                    "right" | "end" => depth = depth.saturating_sub(1),
                    name if defines.contains(&name) => return false,
                    _ => {}
                }
                chain = if name.is_empty() { 0 } else { chain + 1 };
            }
            '{' | '[' => depth += 1,
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                chain = 0;
            }
            '^' | '_' => chain += 1,
            c if c.is_whitespace() => {}
            _ => chain = 0,
        }
        if depth > DEEPEST || chain > DEEPEST {
            return false;
        }
    }
    true
}

fn draw(tex: &str, is_block: bool) -> Option<Vec<MathNode>> {
    let written = catch_unwind(AssertUnwindSafe(|| {
        let storage = Storage::new();
        let events: Vec<_> = Parser::new(tex, &storage).take(MOST_PARTS).collect();
        if events.iter().any(Result::is_err) {
            return None;
        }
        let display_mode = if is_block { DisplayMode::Block } else { DisplayMode::Inline };
        let mut written = String::new();
        push_mathml(&mut written, events.into_iter(), RenderConfig { display_mode, ..RenderConfig::default() }).ok()?;
        Some(written)
    }));
    let nodes = Reader { rest: &written.ok()??, parts: 0 }.nodes("", 0)?;
    (!nodes.is_empty()).then_some(nodes)
}

/// Reads what the library wrote. Anything that is not on the lists makes it nothing.
struct Reader<'a> {
    rest: &'a str,
    parts: usize,
}

impl Reader<'_> {
    /// All up to the end of the element of this name.
    fn nodes(&mut self, within: &str, depth: usize) -> Option<Vec<MathNode>> {
        let mut nodes = Vec::new();
        loop {
            self.parts += 1;
            if self.parts > 4 * MOST_PARTS || depth > 8 * DEEPEST {
                return None;
            }
            if self.rest.is_empty() {
                return within.is_empty().then_some(nodes);
            }
            if let Some(closing) = self.rest.strip_prefix("</") {
                let (name, rest) = closing.split_once('>')?;
                self.rest = rest;
                return (name == within).then_some(nodes);
            }
            if let Some(opening) = self.rest.strip_prefix('<') {
                let (tag, rest) = opening.split_once('>')?;
                self.rest = rest;
                let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
                let name = tag.split_whitespace().next()?;
                let name = ELEMENTS.into_iter().find(|known| *known == name)?;
                let attributes = attributes(tag);
                let children = if is_empty { Vec::new() } else { self.nodes(name, depth + 1)? };
                nodes.push(MathNode::Element { name, attributes, children });
            } else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                nodes.push(MathNode::Text(unescaped(text)));
            }
        }
    }
}

/// Those of the list, with values that are words and measures. Colours and other styles are left out.
fn attributes(tag: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let mut rest = tag.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
    while let Some((name, after)) = rest.split_once("=\"") {
        let Some((value, after)) = after.split_once('"') else { break };
        rest = after;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '.' | '%' | '_' | '+');
        let known = ATTRIBUTES.into_iter().find(|known| *known == name.trim());
        if let Some(known) = known.filter(|_| value.len() <= 80 && value.chars().all(plain)) {
            found.push((known, value.to_owned()));
        }
    }
    found
}

/// The text with `$$` around environments that stand by themselves, as notebooks take them.
pub(crate) fn with_dollars(text: &str) -> String {
    if !text.contains("\\begin{") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    // What ends the environment that is open, and whether the lines are code or a formula already.
    let (mut open, mut is_apart) = (None, false);
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed.starts_with("```") || trimmed.matches("$$").count() % 2 == 1 {
            is_apart = !is_apart;
        }
        if open.is_none() && !is_apart && !trimmed.contains('$') {
            let name = trimmed.strip_prefix("\\begin{").and_then(|rest| rest.split('}').next());
            if let Some(name) = name.filter(|name| ENVIRONMENTS.contains(name)) {
                open = Some(format!("\\end{{{name}}}"));
                out.push_str("$$\n");
            }
        }
        // An empty line would end the paragraph, and with it the formula.
        if open.is_none() || !trimmed.is_empty() {
            out.push_str(line);
        }
        if open.as_ref().is_some_and(|end| trimmed.ends_with(end.as_str())) {
            open = None;
            out.push_str(if line.ends_with('\n') { "$$\n" } else { "\n$$" });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(nodes: &[MathNode]) -> String {
        nodes
            .iter()
            .map(|node| match node {
                MathNode::Text(text) => text.clone(),
                MathNode::Element { name, children, .. } => format!("{name}({})", written(children)),
            })
            .collect()
    }

    #[test]
    fn a_formula_is_drawn_by_elements_that_browsers_know() {
        assert_eq!(written(&formula(r"\frac{a}{b}", false).drawn), "math(mfrac(mrow(mi(a))mrow(mi(b))))");
        let block = formula(r"\sum_{i=1}^n x_i", true).drawn;
        let MathNode::Element { attributes, .. } = &block[0] else { panic!("{block:?}") };
        assert!(attributes.contains(&("display", "block".to_owned())));
    }

    #[test]
    fn what_cannot_be_read_stays_as_it_was_typed() {
        for tex in
            [r"\href{javascript:alert(1)}{x}", r"\bad{x}", r"\frac{a", r"\def\a{\a\a}\a", "\\newcommand{\\x}{y}\\x"]
        {
            let formula = formula(tex, false);
            assert_eq!((formula.tex.as_str(), formula.drawn.len()), (tex, 0));
        }
    }

    #[test]
    fn styles_and_colours_do_not_come_through() {
        let text = format!("{:?}", formula(r"\color{red}{x} \text{<script>alert(1)</script>}", false).drawn);
        assert!(!text.contains("style") && text.contains("<script>alert(1)</script>"), "{text}");
    }

    #[test]
    fn deep_and_long_formulas_end() {
        for tex in [
            "{".repeat(4000),
            r"\sqrt".repeat(800),
            r"\left(".repeat(600),
            "x^".repeat(2000),
            "x^{".repeat(1000),
            r"\frac".repeat(700),
            r"\overline".repeat(400),
            r"\begin{matrix}".repeat(200),
            "a".repeat(10_000),
        ] {
            let _ = formula(&tex, true);
        }
    }

    #[test]
    fn environments_by_themselves_are_formulas() {
        assert_eq!(
            with_dollars("a\n\\begin{align}\nx &= y\n\\end{align}\nb"),
            "a\n$$\n\\begin{align}\nx &= y\n\\end{align}\n$$\nb"
        );
        assert_eq!(with_dollars("plain $x$ text"), "plain $x$ text");
    }
}
