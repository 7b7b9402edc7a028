//! Text into words, quoted texts, numbers and signs, one at a time, each with where it stands.

use super::clause::NumberOp;

/// What is wrong, between which bytes of the text.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) reason: String,
    pub(super) expected: String,
}

/// `[entity.]key`, or a keyword.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Name {
    pub(super) entity: Option<String>,
    pub(super) key: String,
    /// Whether the key was in quotes, and so cannot be a keyword.
    pub(super) quoted: bool,
}

impl Name {
    /// Whether this is that keyword, in any case.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.entity.is_none() && !self.quoted && self.key.eq_ignore_ascii_case(keyword)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(Name),
    /// In single or double quotes, without them.
    Text {
        text: String,
        quote: char,
    },
    /// As it was written.
    Number(String),
    Op(NumberOp),
    Open,
    Close,
    Comma,
    End,
}

/// A token and the bytes it takes.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Placed {
    /// Whether this is that keyword, in any case.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(&self.token, Token::Name(name) if name.is(keyword))
    }
}

pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    peeked: Option<Placed>,
    /// Where the token that was taken last ends.
    pub(super) taken: usize,
}

/// What names and bare keys are made of.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a key can stand after its entity without quotes. Keys that MLflow wants quoted, such as `val/loss`, may be
/// bare here: there is no arithmetic that they could be mistaken for.
pub(super) fn is_key(c: char) -> bool {
    is_word(c) || matches!(c, '.' | '/' | ':' | '-')
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, peeked: None, taken: 0 }
    }

    /// The next token, which stays the next.
    pub(super) fn peek(&mut self) -> Result<&Placed, Problem> {
        let next = match self.peeked.take() {
            Some(placed) => placed,
            None => self.scan()?,
        };
        Ok(self.peeked.insert(next))
    }

    /// Takes the next token. After the end comes the end again.
    pub(super) fn next(&mut self) -> Result<Placed, Problem> {
        let next = match self.peeked.take() {
            Some(placed) => placed,
            None => self.scan()?,
        };
        self.taken = next.end;
        Ok(next)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Takes the characters up to the first that is not of this sort.
    fn take_while(&mut self, of_this_sort: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !of_this_sort(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn scan(&mut self) -> Result<Placed, Problem> {
        self.take_while(char::is_whitespace);
        let start = self.at;
        let mut chars = self.rest().chars();
        let token = match (chars.next(), chars.next()) {
            (None, _) => Token::End,
            (Some('('), _) => self.sign(1, Token::Open),
            (Some(')'), _) => self.sign(1, Token::Close),
            (Some(','), _) => self.sign(1, Token::Comma),
            (Some('='), Some('=')) => return Err(self.foreign_sign("=")),
            (Some('<'), Some('>')) => return Err(self.foreign_sign("!=")),
            (Some('='), _) => self.sign(1, Token::Op(NumberOp::Eq)),
            (Some('!'), Some('=')) => self.sign(2, Token::Op(NumberOp::Ne)),
            (Some('<'), Some('=')) => self.sign(2, Token::Op(NumberOp::Le)),
            (Some('<'), _) => self.sign(1, Token::Op(NumberOp::Lt)),
            (Some('>'), Some('=')) => self.sign(2, Token::Op(NumberOp::Ge)),
            (Some('>'), _) => self.sign(1, Token::Op(NumberOp::Gt)),
            (Some(quote @ ('\'' | '"')), _) => Token::Text { text: self.quoted(quote)?, quote },
            (Some(c), _) if c.is_ascii_digit() => self.number()?,
            (Some('.' | '+' | '-'), Some(c)) if c.is_ascii_digit() || c == '.' => self.number()?,
            (Some(c), _) if is_word(c) || c == '`' => self.name()?,
            (Some(c), _) => {
                return Err(Problem {
                    start,
                    end: start + c.len_utf8(),
                    reason: format!("{c} has no meaning here"),
                    expected: "a name, a number, a quoted text or an operator".to_owned(),
                });
            }
        };
        Ok(Placed { token, start, end: self.at })
    }

    fn sign(&mut self, length: usize, token: Token) -> Token {
        self.at += length;
        token
    }

    /// A sign of two characters that other languages write for one of ours.
    fn foreign_sign(&self, ours: &str) -> Problem {
        let end = self.at + 2;
        let found = &self.text[self.at..end];
        Problem { start: self.at, end, reason: format!("expected {ours}, found {found}"), expected: ours.to_owned() }
    }

    /// Takes a text in quotes. The quote itself stands in it twice.
    fn quoted(&mut self, quote: char) -> Result<String, Problem> {
        let start = self.at;
        let mut text = String::new();
        loop {
            self.at += quote.len_utf8();
            text.push_str(self.take_while(|c| c != quote));
            if self.rest().is_empty() {
                return Err(Problem {
                    start,
                    end: self.text.len(),
                    reason: format!("the quote {quote} that opens here is not closed"),
                    expected: format!("a closing {quote}"),
                });
            }
            self.at += quote.len_utf8();
            if !self.rest().starts_with(quote) {
                return Ok(text);
            }
            text.push(quote);
        }
    }

    fn number(&mut self) -> Result<Token, Problem> {
        let start = self.at;
        if self.rest().starts_with(['+', '-']) {
            self.at += 1;
        }
        let mut digits = self.take_while(|c| c.is_ascii_digit()).len();
        if self.rest().starts_with('.') {
            self.at += 1;
            digits += self.take_while(|c| c.is_ascii_digit()).len();
        }
        let exponent = self.rest();
        if exponent.starts_with(['e', 'E']) {
            let signed = exponent[1..].strip_prefix(['+', '-']).unwrap_or(&exponent[1..]);
            if signed.starts_with(|c: char| c.is_ascii_digit()) {
                self.at += exponent.len() - signed.len();
                self.take_while(|c| c.is_ascii_digit());
            }
        }
        let end_of_number = self.at;
        self.take_while(|c| is_word(c) || c == '.');
        let text = &self.text[start..self.at];
        if digits == 0 || self.at > end_of_number {
            return Err(Problem {
                start,
                end: self.at,
                reason: format!("{text} is not a number"),
                expected: "a number".to_owned(),
            });
        }
        Ok(Token::Number(text.to_owned()))
    }

    fn name(&mut self) -> Result<Token, Problem> {
        let quoted = self.rest().starts_with('`');
        let first = if quoted { self.quoted('`')? } else { self.take_while(is_word).to_owned() };
        if !self.rest().starts_with('.') {
            return Ok(Token::Name(Name { entity: None, key: first, quoted }));
        }
        self.at += 1;
        let quote = self.rest().chars().next().filter(|c| matches!(c, '`' | '"' | '\''));
        let key = match quote {
            Some(quote) => self.quoted(quote)?,
            None => self.take_while(is_key).to_owned(),
        };
        if key.is_empty() {
            return Err(Problem {
                start: self.at,
                end: self.at,
                reason: format!("expected a key after {first}."),
                expected: format!("a key, such as {first}.name or {first}.`a name`"),
            });
        }
        Ok(Token::Name(Name { entity: Some(first), key, quoted: quote.is_some() }))
    }
}
