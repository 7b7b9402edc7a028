//! YAML as a tree whose every node knows its line and column.
//!
//! Built from the parser's events rather than through serde, so that one reading finds all problems of a file and can
//! point at each. Aliases share the node of their anchor, and how much they stand for in all is bounded: a small file
//! cannot unfold into a large one.

use crate::problem::{At, Problem};
use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use std::{borrow::Cow, collections::HashMap, rc::Rc};

/// How much a file may stand for once its aliases are unfolded, in nodes and bytes of text.
const MAX_WEIGHT: usize = 2 * 1024 * 1024;

/// How deep lists and mappings may stand in each other. A pipeline's file needs five, a policy's eight.
const MAX_DEPTH: usize = 32;

/// A node and where it begins.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) yaml: Yaml,
    /// Nodes and bytes of text below it, aliases unfolded.
    weight: usize,
    /// Levels below it, aliases unfolded.
    depth: usize,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Yaml {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    Map(Vec<(Rc<Node>, Rc<Node>)>),
}

/// A single value.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    /// As written, after quotes and escapes.
    pub(crate) text: String,
    /// Written without quotes, so that it may be more than a text.
    plain: bool,
}

/// What a scalar means by YAML 1.2's core schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Meaning<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(&'a str),
    /// `yes`, `no`, `on`, `off`: a truth value in old YAML and a text in new; nobody should have to know.
    Unclear(&'a str),
}

impl Scalar {
    pub(crate) fn meaning(&self) -> Meaning<'_> {
        let text = self.text.as_str();
        if !self.plain {
            return Meaning::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            "true" | "True" | "TRUE" => Meaning::Bool(true),
            "false" | "False" | "FALSE" => Meaning::Bool(false),
            ".nan" | ".NaN" | ".NAN" => Meaning::Number(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Meaning::Number(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => Meaning::Number(f64::NEG_INFINITY),
            _ if ["yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str()) => Meaning::Unclear(text),
            _ => number(text).map_or(Meaning::Text(text), Meaning::Number),
        }
    }
}

/// The number that a plain scalar is, if it is one.
fn number(text: &str) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)] // too large for exactness is refused later
    let based = |digits: &str, base| u64::from_str_radix(digits, base).ok().map(|number| number as f64);
    if let Some(digits) = text.strip_prefix("0x") {
        return based(digits, 16).filter(|_| !digits.starts_with('+'));
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return based(digits, 8).filter(|_| !digits.starts_with('+'));
    }
    // Rust reads more as a number than YAML does: inf, nan, infinity.
    let first = text.trim_start_matches(['-', '+']).chars().next()?;
    (first.is_ascii_digit() || first == '.').then(|| text.parse().ok()).flatten()
}

/// A list or mapping that is not closed yet.
struct Open {
    at: At,
    anchor: usize,
    is_map: bool,
    children: Vec<Rc<Node>>,
}

/// Reads the one document of the text.
pub(crate) fn read(source: &str) -> Result<Rc<Node>, Problem> {
    let empty = || Problem::new(At { line: 1, column: 1 }, "The file is empty.");
    documents(source, true)?.pop().ok_or_else(empty)
}

/// Reads all documents of the text.
pub(crate) fn read_all(source: &str) -> Result<Vec<Rc<Node>>, Problem> {
    documents(source, false)
}

fn documents(source: &str, is_one: bool) -> Result<Vec<Rc<Node>>, Problem> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut tree = Tree { source, is_one, open: Vec::new(), anchors: HashMap::new(), roots: Vec::new() };
    for event in Parser::new_from_str_with_options(source, options) {
        let (event, span) = event.map_err(|error| {
            let at = At { line: error.marker().line(), column: error.marker().col() + 1 };
            let line = source.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
            let hint = if line.contains("${{") { " (in a list [a, b], write \"${{ … }}\" in quotes)" } else { "" };
            Problem::new(at, format!("This is not valid YAML: {}{hint}.", error.info().trim_end_matches('.')))
        })?;
        tree.take(event, span)?;
    }
    Ok(tree.roots)
}

struct Tree<'a> {
    source: &'a str,
    /// Whether a second document is one too many.
    is_one: bool,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    roots: Vec<Rc<Node>>,
}

impl Tree<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = At { line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if text.contains('\0') {
                    return Err(Problem::new(at, "A text cannot contain the NUL character."));
                }
                let plain = style == ScalarStyle::Plain && !is_text(tag.as_ref(), at)?;
                let node = Node {
                    at,
                    weight: 1 + text.len(),
                    depth: 0,
                    yaml: Yaml::Scalar(Scalar { text: text.into_owned(), plain }),
                };
                self.add(node.into(), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => self.open(at, anchor, false, tag.as_ref()),
            Event::MappingStart(_, anchor, tag) => self.open(at, anchor, true, tag.as_ref()),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => self.add(Rc::clone(node), 0),
                None => {
                    let name = span.slice(self.source).unwrap_or("an alias");
                    Err(Problem::new(at, format!("{name} stands inside of what it names.")))
                }
            },
            Event::DocumentStart(..) if self.is_one && !self.roots.is_empty() => {
                Err(Problem::new(at, "A second document begins here; a file holds one."))
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, at: At, anchor: usize, is_map: bool, tag: Option<&Cow<'_, Tag>>) -> Result<(), Problem> {
        if is_text(tag, at)? {
            return Err(Problem::new(at, "!!str stands before a list or mapping."));
        }
        self.open.push(Open { at, anchor, is_map, children: Vec::new() });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(Open { at, anchor, is_map, children }) = self.open.pop() else {
            return Ok(());
        };
        let weight = children.iter().fold(1_usize, |sum, child| sum.saturating_add(child.weight));
        let depth = children.iter().map(|child| child.depth + 1).max().unwrap_or_default();
        let yaml = if is_map {
            let mut children = children.into_iter();
            Yaml::Map(std::iter::from_fn(|| children.next().zip(children.next())).collect())
        } else {
            Yaml::List(children)
        };
        self.add(Node { at, yaml, weight, depth }.into(), anchor)
    }

    fn add(&mut self, node: Rc<Node>, anchor: usize) -> Result<(), Problem> {
        if node.weight > MAX_WEIGHT {
            return Err(Problem::new(node.at, "Aliases make this far larger than the file itself; write it out."));
        }
        if node.depth > MAX_DEPTH {
            let message = format!("Lists and mappings stand more than {MAX_DEPTH} deep in each other.");
            return Err(Problem::new(node.at, message));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        match self.open.last_mut() {
            Some(open) => open.children.push(node),
            None => self.roots.push(node),
        }
        Ok(())
    }
}

/// Whether the tag says that this is a text. Tags of YAML's own types otherwise change nothing here.
fn is_text(tag: Option<&Cow<'_, Tag>>, at: At) -> Result<bool, Problem> {
    match tag.map(|tag| (tag, tag.core_suffix())) {
        None => Ok(false),
        Some((_, Some(core))) => Ok(core == "str"),
        Some((tag, None)) if tag.original() == "!" => Ok(true),
        Some((tag, None)) => Err(Problem::new(at, format!("The tag {} is not known here.", tag.original()))),
    }
}

/// A text in double quotes. What does not print, breaks lines or marks bytes is written by its number.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}') => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(source: &str) -> (usize, usize, String) {
        let problem = read(source).unwrap_err();
        (problem.line, problem.column, problem.message)
    }

    fn meaning_of(source: &str) -> String {
        match &read(source).unwrap().yaml {
            Yaml::Scalar(scalar) => format!("{:?}", scalar.meaning()),
            other => panic!("not a scalar: {other:?}"),
        }
    }

    #[test]
    fn scalars_mean_what_the_core_schema_says() {
        for (source, meaning) in [
            ("1", "Number(1.0)"),
            ("-1.5e-3", "Number(-0.0015)"),
            ("+.5", "Number(0.5)"),
            ("0x1F", "Number(31.0)"),
            ("0o17", "Number(15.0)"),
            ("1_000", "Text(\"1_000\")"),
            ("'1'", "Text(\"1\")"),
            ("!!str 1", "Text(\"1\")"),
            ("! 1", "Text(\"1\")"),
            ("True", "Bool(true)"),
            ("yes", "Unclear(\"yes\")"),
            ("'yes'", "Text(\"yes\")"),
            ("~", "Null"),
            ("infinity", "Text(\"infinity\")"),
            ("nan", "Text(\"nan\")"),
            ("1.2.3", "Text(\"1.2.3\")"),
        ] {
            assert_eq!(meaning_of(source), meaning, "{source}");
        }
    }

    #[test]
    fn broken_yaml_is_pointed_at() {
        assert_eq!(problem("a: 1\nb: [1, 2\nc: 3\n").0, 3);
        let (line, column, message) = problem("steps:\n\tfetch: 1\n");
        assert_eq!(line, 2, "column {column}: {message}");
        assert!(message.starts_with("This is not valid YAML: "), "{message}");
        assert_eq!(problem(""), (1, 1, "The file is empty.".to_owned()));
        assert_eq!(problem("a: 1\n---\nb: 2\n").0, 2);
        assert_eq!(problem("a: !python/object x\n").2, "The tag !python/object is not known here.");
        assert_eq!(problem("a: \"x\\0y\"\n").2, "A text cannot contain the NUL character.");
        assert_eq!(problem("a: *nowhere\n").0, 1);
        assert_eq!(problem("a: &a [1, *a]\n").2, "*a stands inside of what it names.");
    }

    #[test]
    fn a_small_file_cannot_unfold_into_a_large_one() {
        let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for level in 1..12 {
            let list = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb += &format!("a{level}: &a{level} [{list}]\n");
        }
        assert!(problem(&bomb).2.starts_with("Aliases make this far larger"));
        let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(10_000), vec!["*a"; 1000].join(", "));
        assert!(problem(&text).2.starts_with("Aliases make this far larger"));
    }

    #[test]
    fn depth_is_bounded() {
        assert!(read(&"[".repeat(5000)).is_err());
        let block = (0..200).map(|depth| format!("{}- \n", " ".repeat(depth))).collect::<String>();
        assert!(read(&block).is_err());
        let chain = (1..2000).map(|level| format!("a{level}: &a{level} [*a{}]\n", level - 1)).collect::<String>();
        assert!(problem(&format!("a0: &a0 x\n{chain}")).2.contains("deep in each other"));
    }

    proptest! {
        #[test]
        fn no_text_panics(source in "[a-z0-9:\\-\\[\\]{}&*!|>'\"#%@` \n\t,?\\\\]{0,80}") {
            let _ = read(&source);
        }
    }
}
