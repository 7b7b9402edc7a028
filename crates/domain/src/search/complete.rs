//! What may stand at a place of a filter of runs: for completion while somebody types. Keys and values are the
//! experiment's to know; here is where they may stand, and how they are written.

use super::{
    MAX_CLAUSES, MAX_DEPTH, MAX_VALUES,
    parser::Operand,
    print::Quoted,
    run_filter,
    runs::{DatasetField, Field, RunOrderKey, RunText, field},
    scanner::{Placed, Scanner, Token, is_key},
};
use crate::log_key::KeyKind;

/// What may stand at a place of a filter, and which part of the filter it would replace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completion {
    /// Where what it replaces begins: characters before that place.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
    /// Words and signs of the language.
    pub words: Vec<Word>,
    /// Keys that may stand here.
    pub keys: Option<KeyPlace>,
    /// A value that may stand here.
    pub values: Option<ValuePlace>,
    /// What is expected, where nothing can be listed.
    pub hint: Option<&'static str>,
    space_before: bool,
    space_after: bool,
    /// Whether something stands right behind it.
    is_followed: bool,
}

/// A word of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// As it is written.
    pub text: &'static str,
    /// What it means.
    pub detail: &'static str,
}

/// A place for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPlace {
    /// Of what; of anything when nobody said.
    pub kind: Option<KeyKind>,
    /// What is typed of it.
    pub typed: String,
}

/// A place for a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePlace {
    /// Of what.
    pub of: ValueOf,
    /// What is typed of it.
    pub typed: String,
}

/// What a value is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueOf {
    /// A param or a tag.
    Key(KeyKind, String),
    /// An attribute that is a text.
    Text(RunText),
    /// A time, in milliseconds since 1970.
    Time,
    /// A field of a data set.
    Dataset(DatasetField),
}

impl Completion {
    /// What stands there when this word is taken, with the spaces that it needs.
    #[must_use]
    pub fn insert_word(&self, word: Word) -> String {
        // What follows at once would be read as the key.
        let after = if word.text.ends_with('.') { self.is_followed } else { !word.text.ends_with('(') };
        self.insert(word.text, !matches!(word.text, ")" | ","), after)
    }

    /// What stands there when this key is taken.
    #[must_use]
    pub fn insert_key(&self, kind: KeyKind, key: &str) -> String {
        let entity = kind.entity();
        let text = match !key.is_empty() && key.chars().all(is_key) {
            true => format!("{entity}.{key}"),
            false => format!("{entity}.`{}`", key.replace('`', "``")),
        };
        self.insert(&text, true, true)
    }

    /// What stands there when this value is taken: in quotes, unless it is of a time.
    #[must_use]
    pub fn insert_value(&self, value: &str) -> String {
        match &self.values {
            Some(ValuePlace { of: ValueOf::Time, .. }) => self.insert(value, true, true),
            _ => self.insert(&Quoted(value).to_string(), true, true),
        }
    }

    fn insert(&self, text: &str, before: bool, after: bool) -> String {
        let space = |wanted: bool| if wanted { " " } else { "" };
        format!("{}{text}{}", space(before && self.space_before), space(after && self.space_after))
    }
}

/// What an operand is compared with.
#[derive(Debug, Clone)]
enum Of {
    Number,
    Time,
    /// A text; whether it may be missing.
    Text(ValueOf, bool),
}

/// Where in the grammar a place is.
#[derive(Debug, Clone)]
enum At {
    Operand,
    Sign(Of),
    SignAfterNot(Of),
    Null { negated: bool },
    Value { of: Of, pattern: bool },
    Open(Of),
    Item(Of, usize),
    AfterItem(Of, usize),
    Next,
}

/// What was read up to a place.
struct Progress {
    at: At,
    /// Open parentheses, and each `NOT` that has not got its operand: which of them are parentheses.
    nested: Vec<bool>,
    clauses: usize,
}

const ATTRIBUTES: [Word; 7] = [
    Word { text: "run_name", detail: "name of the run" },
    Word { text: "status", detail: "how it stands" },
    Word { text: "start_time", detail: "milliseconds since 1970" },
    Word { text: "end_time", detail: "milliseconds since 1970" },
    Word { text: "user_id", detail: "user as the client named it" },
    Word { text: "run_id", detail: "id of the run" },
    Word { text: "artifact_uri", detail: "where its files are" },
];
const ENTITIES: [Word; 4] = [
    Word { text: "metrics.", detail: "latest value of a metric" },
    Word { text: "params.", detail: "parameter" },
    Word { text: "tags.", detail: "tag" },
    Word { text: "datasets.", detail: "data set that the run read" },
];
const DATASETS: [Word; 3] = [
    Word { text: "datasets.name", detail: "name of a data set" },
    Word { text: "datasets.digest", detail: "digest of a data set" },
    Word { text: "datasets.context", detail: "what it was used for" },
];
const NUMBER_SIGNS: [Word; 6] = [
    Word { text: ">", detail: "greater than" },
    Word { text: ">=", detail: "at least" },
    Word { text: "<", detail: "less than" },
    Word { text: "<=", detail: "at most" },
    Word { text: "=", detail: "equal to" },
    Word { text: "!=", detail: "other than" },
];
const TEXT_SIGNS: [Word; 8] = [
    Word { text: "=", detail: "is" },
    Word { text: "!=", detail: "is another" },
    Word { text: "LIKE", detail: "has the form; % is any text" },
    Word { text: "ILIKE", detail: "has the form, in any case" },
    Word { text: "IN (", detail: "is one of" },
    Word { text: "NOT LIKE", detail: "has another form" },
    Word { text: "NOT ILIKE", detail: "has another form, in any case" },
    Word { text: "NOT IN (", detail: "is none of" },
];
const NULL_SIGNS: [Word; 2] =
    [Word { text: "IS NOT NULL", detail: "the run has it" }, Word { text: "IS NULL", detail: "the run has it not" }];
const NOT: Word = Word { text: "NOT", detail: "what follows does not hold" };
const OPEN: Word = Word { text: "(", detail: "" };
const CLOSE: Word = Word { text: ")", detail: "" };
const COMMA: Word = Word { text: ",", detail: "and another" };
const AND: Word = Word { text: "AND", detail: "and this as well" };
const OR: Word = Word { text: "OR", detail: "or this" };

/// What may stand at the cursor, which is so many characters into the text; nothing when the text is wrong before it.
#[must_use]
pub fn complete(text: &str, cursor: usize) -> Completion {
    completion(text, cursor).unwrap_or_default()
}

fn completion(text: &str, cursor: usize) -> Option<Completion> {
    let cursor = text.char_indices().nth(cursor).map_or(text.len(), |(at, _)| at);
    let before = &text[..cursor];
    let (mut tokens, rest) = tokens(before);
    let from = match rest {
        Some(from) => from,
        // A name at the cursor may go on.
        None => match tokens.pop_if(|last| last.end == cursor && matches!(last.token, Token::Name(_))) {
            Some(name) => name.start,
            None => cursor,
        },
    };
    // What is wrong before this place is no place to go on from. The parser is asked, so that it is never contradicted.
    if let Err(error) = run_filter(&text[..from])
        && error.position < text[..from].chars().count()
    {
        return None;
    }
    let mut progress = Progress { at: At::Operand, nested: Vec::new(), clauses: 0 };
    for token in &tokens {
        progress.read(token)?;
    }
    let typed = &before[from..];
    let to = end(text, from, cursor);
    let previous = text[..from].chars().next_back();
    let next = text[to..].chars().next();
    let mut found = Completion {
        from: text[..from].chars().count(),
        to: text[..to].chars().count(),
        space_before: typed.is_empty() && previous.is_some_and(|c| !c.is_whitespace() && c != '('),
        space_after: next.is_none_or(|c| !c.is_whitespace() && !matches!(c, ')' | ',')),
        is_followed: next.is_some_and(|c| !c.is_whitespace()),
        ..Completion::default()
    };
    progress.suggest(typed, &mut found);
    Some(found)
}

/// The whole tokens of a text, and where what could not be read begins.
fn tokens(text: &str) -> (Vec<Placed>, Option<usize>) {
    let mut scanner = Scanner::new(text);
    let mut tokens = Vec::new();
    loop {
        let taken = scanner.taken;
        match scanner.next() {
            Ok(Placed { token: Token::End, .. }) => return (tokens, None),
            Ok(token) => tokens.push(token),
            Err(_) => {
                let rest = &text[taken..];
                return (tokens, Some(text.len() - rest.trim_start().len()));
            }
        }
    }
}

/// Where the token that begins at `from`, and that the cursor is in or behind, ends.
fn end(text: &str, from: usize, cursor: usize) -> usize {
    if from == cursor {
        return cursor;
    }
    match Scanner::new(&text[from..]).next() {
        Ok(Placed { token: Token::Name(_), end, .. }) => cursor.max(from + end),
        // A quote that was opened a moment ago ends at the next quote, which most likely opens another text.
        Ok(Placed { token: Token::Text { .. }, end, .. }) => {
            let end = cursor.max(from + end);
            if text[cursor..end].contains(['=', '<', '>', '!', '(', ')', ',']) { cursor } else { end }
        }
        _ => cursor,
    }
}

impl Progress {
    /// Goes on by a token; none when it cannot stand here.
    fn read(&mut self, found: &Placed) -> Option<()> {
        let at = std::mem::replace(&mut self.at, At::Next);
        self.at = match at {
            At::Operand if found.is("NOT") => {
                self.nested.push(false);
                At::Operand
            }
            At::Operand if found.token == Token::Open => {
                self.nested.push(true);
                At::Operand
            }
            At::Operand => {
                self.clauses += 1;
                At::Sign(operand(found)?)
            }
            At::Sign(of) if found.is("NOT") => At::SignAfterNot(of),
            At::Sign(_) if found.is("IS") => At::Null { negated: false },
            At::Sign(of) | At::SignAfterNot(of) => match found.token {
                Token::Op(_) => At::Value { of, pattern: false },
                _ if found.is("LIKE") || found.is("ILIKE") => At::Value { of, pattern: true },
                _ if found.is("IN") => At::Open(of),
                _ => return None,
            },
            At::Null { negated: false } if found.is("NOT") => At::Null { negated: true },
            At::Open(of) => At::Item(of, 0),
            At::Item(of, count) if found.token != Token::Close => At::AfterItem(of, count + 1),
            At::AfterItem(of, count) if found.token == Token::Comma => At::Item(of, count),
            At::Value { .. } | At::Null { .. } | At::Item(..) | At::AfterItem(..) => self.end_of_comparison(),
            At::Next if found.token == Token::Close => {
                self.nested.pop()?;
                self.end_of_comparison()
            }
            At::Next => At::Operand,
        };
        Some(())
    }

    /// What was before a comparison has got its operand.
    fn end_of_comparison(&mut self) -> At {
        while self.nested.pop_if(|is_parenthesis| !*is_parenthesis).is_some() {}
        At::Next
    }

    fn suggest(&self, typed: &str, found: &mut Completion) {
        let mut offer = |words: &[Word]| found.words.extend(words.iter().filter(|word| begins(word.text, typed)));
        match &self.at {
            At::Operand if self.clauses >= MAX_CLAUSES => {}
            At::Operand => self.suggest_operand(typed, found),
            At::Sign(of) => {
                match of {
                    Of::Number | Of::Time => offer(&NUMBER_SIGNS),
                    Of::Text(..) => offer(&TEXT_SIGNS),
                }
                if matches!(of, Of::Number | Of::Text(_, true)) {
                    offer(&NULL_SIGNS);
                }
            }
            // Numbers and times have no signs that begin so.
            At::SignAfterNot(Of::Number | Of::Time) => {}
            At::SignAfterNot(Of::Text(..)) => offer(&[
                Word { text: "LIKE", detail: TEXT_SIGNS[5].detail },
                Word { text: "ILIKE", detail: TEXT_SIGNS[6].detail },
                Word { text: "IN (", detail: TEXT_SIGNS[7].detail },
            ]),
            At::Null { negated: true } => offer(&[Word { text: "NULL", detail: NULL_SIGNS[0].detail }]),
            At::Null { negated: false } => offer(&[
                Word { text: "NULL", detail: NULL_SIGNS[1].detail },
                Word { text: "NOT NULL", detail: NULL_SIGNS[0].detail },
            ]),
            At::Value { of: Of::Number, .. } => found.hint = Some("A number, such as 0.5 or 1e-3"),
            At::Value { of: Of::Time, .. } => suggest_value(ValueOf::Time, typed, found),
            At::Value { pattern: true, .. } => found.hint = Some("A pattern in quotes: % is any text, _ any character"),
            At::Value { of: Of::Text(of, _), .. } => suggest_value(of.clone(), typed, found),
            At::Open(_) => offer(&[OPEN]),
            At::Item(Of::Text(of, _), count) if *count < MAX_VALUES => suggest_value(of.clone(), typed, found),
            At::Item(..) => {}
            At::AfterItem(..) => offer(&[COMMA, CLOSE]),
            At::Next => {
                offer(&[AND, OR]);
                if self.nested.contains(&true) {
                    offer(&[CLOSE]);
                }
            }
        }
    }

    fn suggest_operand(&self, typed: &str, found: &mut Completion) {
        let Some((entity, key)) = typed.split_once('.') else {
            if typed.starts_with(['`', '"', '\'']) {
                return;
            }
            found.words.extend(ENTITIES.iter().chain(&ATTRIBUTES).filter(|word| begins(word.text, typed)));
            if self.nested.len() < MAX_DEPTH {
                found.words.extend([NOT, OPEN].iter().filter(|word| begins(word.text, typed)));
            }
            if !typed.is_empty() && typed.chars().all(is_key) {
                found.keys = Some(KeyPlace { kind: None, typed: typed.to_owned() });
            }
            return;
        };
        let key = match key.chars().next() {
            Some(quote @ ('`' | '"' | '\'')) => key[1..].replace(&format!("{quote}{quote}"), &quote.to_string()),
            _ => key.to_owned(),
        };
        match entity {
            "dataset" | "datasets" => {
                let field = |word: &&Word| word.text.split_once('.').is_some_and(|(_, field)| begins(field, &key));
                found.words.extend(DATASETS.iter().filter(field));
            }
            "attribute" | "attributes" | "attr" | "run" => {
                found.words.extend(ATTRIBUTES.iter().filter(|word| begins(word.text, &key)));
            }
            _ => {
                let kind = KeyKind::of_entity(entity);
                found.keys = kind.map(|kind| KeyPlace { kind: Some(kind), typed: key });
            }
        }
    }
}

/// Whether a word begins with what is typed, in any case.
fn begins(word: &str, typed: &str) -> bool {
    word.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed))
}

/// What the operand is compared with.
fn operand(found: &Placed) -> Option<Of> {
    let Placed { token, start, end } = found;
    let (entity, key) = match token {
        Token::Name(name) => (name.entity.clone(), name.key.clone()),
        Token::Text { text, .. } => (None, text.clone()),
        _ => return None,
    };
    Some(match field(&Operand { entity, key, start: *start, end: *end }).ok()? {
        Field::Dataset(field) => Of::Text(ValueOf::Dataset(field), false),
        Field::Sortable(RunOrderKey::Metric(_)) => Of::Number,
        Field::Sortable(RunOrderKey::Time(_)) => Of::Time,
        Field::Sortable(RunOrderKey::Param(key)) => Of::Text(ValueOf::Key(KeyKind::Param, key), true),
        Field::Sortable(RunOrderKey::Tag(key)) => Of::Text(ValueOf::Key(KeyKind::Tag, key), true),
        Field::Sortable(RunOrderKey::Text(text)) => Of::Text(ValueOf::Text(text), false),
    })
}

/// A place for a value of this, unless what is typed can be none.
fn suggest_value(of: ValueOf, typed: &str, found: &mut Completion) {
    let typed = match typed.chars().next() {
        Some(quote @ ('\'' | '"')) => typed[1..].replace(&format!("{quote}{quote}"), &quote.to_string()),
        // Not yet in quotes.
        _ if typed.chars().all(is_key) => typed.to_owned(),
        _ => return,
    };
    found.hint = Some(if of == ValueOf::Time { "Milliseconds since 1970" } else { "A text in quotes" });
    found.values = Some(ValuePlace { of, typed });
}
