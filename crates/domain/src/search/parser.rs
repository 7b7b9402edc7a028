//! Tokens into a filter. What an operand may be compared with is asked of the clause type.

use super::{
    MAX_CLAUSES, MAX_DEPTH, MAX_LENGTH, MAX_VALUES, ParseError,
    clause::{
        Choice, Filter, Finite, IntegerTest, Keyed, NumberOp, NumberTest, OneOf, Pattern, PatternTest, TextTest, Values,
    },
    scanner::{Name, Placed, Problem, Scanner, Token},
};

const NUMBER_OPS: &str = "=, !=, <, <=, > or >=";
const KEYED_NUMBER_OPS: &str = "=, !=, <, <=, >, >=, IS NULL or IS NOT NULL";
const TEXT_OPS: &str = "=, !=, LIKE, ILIKE, IN, NOT LIKE, NOT ILIKE or NOT IN";
const KEYED_TEXT_OPS: &str = "=, !=, LIKE, ILIKE, IN, NOT LIKE, NOT ILIKE, NOT IN, IS NULL or IS NOT NULL";
const A_TEXT: &str = "a quoted text";
const CHOICE_OPS: &str = "=, !=, IN or NOT IN";

/// A comparison of one kind of object: which operands there are, and what each is compared with.
pub(super) trait Clause: Sized {
    /// The objects, in the plural.
    const SUBJECT: &'static str;
    /// A comparison to show when none was found.
    const EXAMPLE: &'static str;

    /// Reads the rest of a comparison that starts with this operand.
    fn read(operand: Operand, parser: &mut Parser<'_>) -> Result<Self, Problem>;
}

/// The left side of a comparison, and the bytes it takes.
pub(super) struct Operand {
    pub(super) entity: Option<String>,
    pub(super) key: String,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Operand {
    /// An operand that is refused. The reason begins with what it is refused for.
    pub(super) fn refuse(&self, reason: &str, expected: &str) -> Problem {
        Problem {
            start: self.start,
            end: self.end,
            reason: format!("{reason}; expected {expected}"),
            expected: expected.to_owned(),
        }
    }

    /// No attribute is called so.
    pub(super) fn no_attribute(&self, expected: &str) -> Problem {
        self.refuse(&format!("there is no attribute {}", shorten(&self.key)), expected)
    }

    /// Nothing is called so before the dot.
    pub(super) fn no_entity(&self, entities: &str) -> Problem {
        self.refuse(
            &format!("there is nothing called {}", shorten(self.entity.as_deref().unwrap_or_default())),
            entities,
        )
    }
}

/// What a comparison does, before its value is read.
enum Sign {
    Compare(NumberOp),
    Like { negated: bool },
    ILike { negated: bool },
    In { negated: bool },
    Null { negated: bool },
}

/// Reads a filter, or nothing from blank text.
pub(super) fn filter<C: Clause>(text: &str) -> Result<Option<Filter<C>>, ParseError> {
    let mut parser = Parser::new(text);
    let read = check_text(text, MAX_LENGTH).and_then(|()| {
        if parser.scanner.peek()?.token == Token::End {
            return Ok(None);
        }
        let filter = parser.either::<C>(0)?;
        parser.end("AND, OR or the end")?;
        Ok(Some(filter))
    });
    read.map_err(|problem| parser.explain(problem, C::SUBJECT, "filtered"))
}

/// Refuses what no text here may hold, and too much of it.
pub(super) fn check_text(text: &str, max: usize) -> Result<(), Problem> {
    if text.len() > max {
        let at = text.floor_char_boundary(max);
        return Err(Problem {
            start: at,
            end: at,
            reason: format!("it has {} bytes, and {max} are allowed", text.len()),
            expected: format!("at most {max} bytes"),
        });
    }
    // Postgres keeps no such character in a text, so nothing could match.
    match text.find('\0') {
        Some(at) => Err(Problem {
            start: at,
            end: at + 1,
            reason: "the NUL character is in no name and no text".to_owned(),
            expected: "another character".to_owned(),
        }),
        None => Ok(()),
    }
}

pub(super) struct Parser<'a> {
    text: &'a str,
    pub(super) scanner: Scanner<'a>,
    /// Where the part that is being read starts, to be quoted in a message.
    part: usize,
    clauses: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, scanner: Scanner::new(text), part: 0, clauses: 0 }
    }

    /// The problem as one sentence.
    pub(super) fn explain(&self, problem: Problem, subject: &str, verb: &str) -> ParseError {
        let position = self.text[..problem.start].chars().count();
        let part = shorten_front(&self.text[self.part.min(problem.start)..problem.end]);
        let Problem { reason, expected, .. } = problem;
        let message = format!("{subject} cannot be {verb} by \"{part}\": {reason} (at {position})");
        ParseError { message: message.replace(char::is_control, " "), position, expected }
    }

    /// Nothing may follow.
    pub(super) fn end(&mut self, expected: &str) -> Result<(), Problem> {
        match self.scanner.next()? {
            Placed { token: Token::End, .. } => Ok(()),
            other => Err(self.unexpected(&other, expected)),
        }
    }

    /// This token stands where something else was expected.
    pub(super) fn unexpected(&self, found: &Placed, expected: &str) -> Problem {
        let text = match found.token {
            Token::End => "the end".to_owned(),
            _ => shorten(&self.text[found.start..found.end]),
        };
        Problem {
            start: found.start,
            end: found.end,
            reason: format!("expected {expected}, found {text}"),
            expected: expected.to_owned(),
        }
    }

    fn either<C: Clause>(&mut self, depth: usize) -> Result<Filter<C>, Problem> {
        let mut parts = vec![self.all::<C>(depth)?];
        while self.scanner.peek()?.is("OR") {
            self.scanner.next()?;
            parts.push(self.all(depth)?);
        }
        Ok(join(parts, Filter::Or))
    }

    fn all<C: Clause>(&mut self, depth: usize) -> Result<Filter<C>, Problem> {
        let mut parts = vec![self.one::<C>(depth)?];
        while self.scanner.peek()?.is("AND") {
            self.scanner.next()?;
            parts.push(self.one(depth)?);
        }
        Ok(join(parts, Filter::And))
    }

    fn one<C: Clause>(&mut self, depth: usize) -> Result<Filter<C>, Problem> {
        let next = self.scanner.next()?;
        if next.token != Token::End {
            self.part = next.start;
        }
        let negated = next.is("NOT");
        if (negated || next.token == Token::Open) && depth == MAX_DEPTH {
            return Err(Problem {
                start: next.start,
                end: next.end,
                reason: format!("parentheses and NOT nest deeper than {MAX_DEPTH}"),
                expected: "a comparison".to_owned(),
            });
        }
        if negated {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if next.token == Token::Open {
            let inner = self.either(depth + 1)?;
            return match self.scanner.next()? {
                Placed { token: Token::Close, .. } => Ok(inner),
                other => Err(self.unexpected(&other, "AND, OR or a closing parenthesis")),
            };
        }
        self.clauses += 1;
        if self.clauses > MAX_CLAUSES {
            return Err(Problem {
                start: next.start,
                end: next.end,
                reason: format!("there are more than {MAX_CLAUSES} comparisons"),
                expected: format!("at most {MAX_CLAUSES} comparisons"),
            });
        }
        let operand = self.operand(next, &format!("a comparison such as {}", C::EXAMPLE))?;
        C::read(operand, self).map(Filter::Is)
    }

    /// The token as an operand. A text in double quotes is an attribute's name there.
    pub(super) fn operand(&self, found: Placed, expected: &str) -> Result<Operand, Problem> {
        const KEYWORDS: [&str; 8] = ["AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "ILIKE"];
        let Placed { token, start, end } = found.clone();
        match token {
            Token::Name(name) if !KEYWORDS.iter().any(|keyword| name.is(keyword)) => {
                let Name { entity, key, .. } = name;
                Ok(Operand { entity, key, start, end })
            }
            Token::Text { text, quote: '"' } => Ok(Operand { entity: None, key: text, start, end }),
            _ => Err(self.unexpected(&found, expected)),
        }
    }

    fn sign(&mut self, ops: &str) -> Result<Sign, Problem> {
        let first = self.scanner.next()?;
        if let Token::Op(op) = first.token {
            return Ok(Sign::Compare(op));
        }
        if first.is("IS") {
            let negated = self.scanner.peek()?.is("NOT");
            if negated {
                self.scanner.next()?;
            }
            return match self.scanner.next()? {
                null if null.is("NULL") => Ok(Sign::Null { negated }),
                other => Err(self.unexpected(&other, if negated { "NULL" } else { "NULL or NOT NULL" })),
            };
        }
        let negated = first.is("NOT");
        let second = if negated { self.scanner.next()? } else { first };
        if second.is("LIKE") {
            Ok(Sign::Like { negated })
        } else if second.is("ILIKE") {
            Ok(Sign::ILike { negated })
        } else if second.is("IN") {
            Ok(Sign::In { negated })
        } else if negated {
            Err(self.unexpected(&second, "LIKE, ILIKE or IN"))
        } else {
            let mut problem = self.unexpected(&second, ops);
            if matches!(second.token, Token::Name(_)) {
                problem.reason.push_str("; a key that holds spaces is written in `backticks`");
            }
            Err(problem)
        }
    }

    /// The sign that starts here and was just taken is none that goes with this.
    fn wrong_sign(&self, start: usize, what: &str, ops: &str) -> Problem {
        Problem { start, end: self.scanner.taken, reason: format!("{what} takes {ops}"), expected: ops.to_owned() }
    }

    /// Where the next token starts.
    fn next_start(&mut self) -> Result<usize, Problem> {
        Ok(self.scanner.peek()?.start)
    }

    fn value(&mut self, what: &str, expected: &str) -> Result<Placed, Problem> {
        let found = self.scanner.next()?;
        match found.token {
            Token::End => Err(self.unexpected(&found, expected)),
            Token::Number(_) | Token::Text { .. } => Ok(found),
            _ => Err(wrong_value(&found, what, expected)),
        }
    }

    fn number(&mut self, what: &str) -> Result<(String, Placed), Problem> {
        let found = self.value(what, "a number")?;
        match &found.token {
            Token::Number(text) => Ok((text.clone(), found)),
            _ => Err(wrong_value(&found, what, "a number")),
        }
    }

    fn text(&mut self, what: &str) -> Result<(String, Placed), Problem> {
        let found = self.value(what, A_TEXT)?;
        match &found.token {
            Token::Text { text, .. } => Ok((text.clone(), found)),
            _ => Err(wrong_value(&found, what, A_TEXT)),
        }
    }

    /// A comparison with a number, or a question whether there is one.
    pub(super) fn keyed_number(&mut self, what: &str) -> Result<Keyed<NumberTest>, Problem> {
        let start = self.next_start()?;
        match self.sign(KEYED_NUMBER_OPS)? {
            Sign::Null { negated } => Ok(presence(negated)),
            Sign::Compare(op) => {
                let (text, found) = self.number(what)?;
                let value = text.parse().ok().and_then(Finite::new);
                let value = value.ok_or_else(|| wrong_value(&found, what, "a number"))?;
                Ok(Keyed::Is(NumberTest { op, value }))
            }
            _ => Err(self.wrong_sign(start, what, KEYED_NUMBER_OPS)),
        }
    }

    /// A comparison with a whole number. Some clients put it in quotes where `quoted` allows it.
    pub(super) fn integer(&mut self, what: &str, quoted: bool) -> Result<IntegerTest, Problem> {
        let start = self.next_start()?;
        let Sign::Compare(op) = self.sign(NUMBER_OPS)? else {
            return Err(self.wrong_sign(start, what, NUMBER_OPS));
        };
        let found = self.value(what, "a number")?;
        let text = match &found.token {
            Token::Number(text) => text,
            Token::Text { text, .. } if quoted && text.parse::<i64>().is_ok() => text,
            _ => return Err(wrong_value(&found, what, "a number")),
        };
        let value = whole(op, text).ok_or_else(|| wrong_value(&found, what, "a whole number"))?;
        Ok(IntegerTest { op, value })
    }

    /// A comparison with a text.
    pub(super) fn text_test(&mut self, what: &str) -> Result<TextTest, Problem> {
        let start = self.next_start()?;
        let sign = self.sign(TEXT_OPS)?;
        self.text_after(&sign, start, what, TEXT_OPS)
    }

    /// A comparison with a text, or a question whether there is one.
    pub(super) fn keyed_text(&mut self, what: &str) -> Result<Keyed<TextTest>, Problem> {
        let start = self.next_start()?;
        match self.sign(KEYED_TEXT_OPS)? {
            Sign::Null { negated } => Ok(presence(negated)),
            sign => self.text_after(&sign, start, what, KEYED_TEXT_OPS).map(Keyed::Is),
        }
    }

    fn text_after(&mut self, sign: &Sign, start: usize, what: &str, ops: &str) -> Result<TextTest, Problem> {
        let any_text = |text: &str| Some(text.to_owned());
        Ok(match sign {
            Sign::Compare(NumberOp::Eq) => TextTest::Eq(self.text(what)?.0),
            Sign::Compare(NumberOp::Ne) => TextTest::Ne(self.text(what)?.0),
            Sign::Like { negated: false } => TextTest::Like(self.pattern(what)?),
            Sign::Like { negated: true } => TextTest::NotLike(self.pattern(what)?),
            Sign::ILike { negated: false } => TextTest::ILike(self.pattern(what)?),
            Sign::ILike { negated: true } => TextTest::NotILike(self.pattern(what)?),
            Sign::In { negated: false } => TextTest::In(self.list(what, A_TEXT, any_text)?),
            Sign::In { negated: true } => TextTest::NotIn(self.list(what, A_TEXT, any_text)?),
            Sign::Compare(_) | Sign::Null { .. } => return Err(self.wrong_sign(start, what, ops)),
        })
    }

    /// A comparison with values of a known set, which `parse` reads.
    pub(super) fn one_of<T>(
        &mut self,
        what: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<OneOf<T>, Problem> {
        let start = self.next_start()?;
        let sign = self.sign(CHOICE_OPS)?;
        self.one_of_after(&sign, start, what, (expected, CHOICE_OPS), parse)
    }

    /// The same, or a comparison of the names of those values with a pattern.
    pub(super) fn choice<T>(
        &mut self,
        what: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Choice<T>, Problem> {
        let start = self.next_start()?;
        let (negated, any_case) = match self.sign(TEXT_OPS)? {
            Sign::Like { negated } => (negated, false),
            Sign::ILike { negated } => (negated, true),
            sign => return self.one_of_after(&sign, start, what, (expected, TEXT_OPS), parse).map(Choice::OneOf),
        };
        Ok(Choice::Like(PatternTest { negated, any_case, pattern: self.pattern(what)? }))
    }

    /// What is compared with values of a known set. Of the two texts the first says which values, the second which signs.
    fn one_of_after<T>(
        &mut self,
        sign: &Sign,
        start: usize,
        what: &str,
        (expected, ops): (&str, &str),
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<OneOf<T>, Problem> {
        let (negated, list) = match *sign {
            Sign::Compare(NumberOp::Eq) => (false, false),
            Sign::Compare(NumberOp::Ne) => (true, false),
            Sign::In { negated } => (negated, true),
            _ => return Err(self.wrong_sign(start, what, ops)),
        };
        if list {
            return Ok(OneOf { negated, values: self.list(what, expected, parse)? });
        }
        let found = self.value(what, expected)?;
        let value = match &found.token {
            Token::Text { text, .. } | Token::Number(text) => parse(text),
            _ => None,
        };
        let values = value.and_then(|value| Values::new(vec![value]));
        Ok(OneOf { negated, values: values.ok_or_else(|| wrong_value(&found, what, expected))? })
    }

    fn pattern(&mut self, what: &str) -> Result<Pattern, Problem> {
        let (text, found) = self.text(what)?;
        Pattern::new(text).ok_or_else(|| Problem {
            start: found.start,
            end: found.end,
            reason: "a pattern cannot end with a backslash that escapes nothing; write it twice".to_owned(),
            expected: "a character after the backslash".to_owned(),
        })
    }

    /// Values in parentheses, with commas between. MLflow allows one after the last, so it stands here too.
    fn list<T>(&mut self, what: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Values<T>, Problem> {
        let open = self.scanner.next()?;
        if open.token != Token::Open {
            return Err(self.unexpected(&open, "a list in parentheses, such as ('a', 'b')"));
        }
        let mut values = Vec::new();
        loop {
            let found = self.scanner.next()?;
            let value = match &found.token {
                Token::Close if !values.is_empty() => break,
                Token::Close | Token::End | Token::Comma => return Err(self.unexpected(&found, expected)),
                Token::Text { text, .. } => parse(text),
                _ => None,
            };
            if values.len() == MAX_VALUES {
                return Err(Problem {
                    start: found.start,
                    end: found.end,
                    reason: format!("a list has at most {MAX_VALUES} values"),
                    expected: "a closing parenthesis".to_owned(),
                });
            }
            values.push(value.ok_or_else(|| wrong_value(&found, what, expected))?);
            match self.scanner.next()? {
                Placed { token: Token::Comma, .. } => {}
                Placed { token: Token::Close, .. } => break,
                other => return Err(self.unexpected(&other, "a comma or a closing parenthesis")),
            }
        }
        // The loop ends after the first value at the earliest.
        Values::new(values).ok_or_else(|| self.unexpected(&open, expected))
    }
}

/// The only part, or all of them joined.
fn join<C>(mut parts: Vec<Filter<C>>, joined: fn(Vec<Filter<C>>) -> Filter<C>) -> Filter<C> {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            joined(parts)
        }
    }
}

fn presence<T>(negated: bool) -> Keyed<T> {
    if negated { Keyed::Present } else { Keyed::Absent }
}

fn wrong_value(found: &Placed, what: &str, expected: &str) -> Problem {
    Problem {
        start: found.start,
        end: found.end,
        reason: format!("{what} is compared with {expected}"),
        expected: expected.to_owned(),
    }
}

/// The whole number that makes the same comparison as the number written: `> 1.5` is `> 1`, and `< 1.5` is `< 2`.
/// Nothing when a whole number can be neither equal nor unequal to it in earnest.
fn whole(op: NumberOp, text: &str) -> Option<i64> {
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    let value: f64 = text.parse().ok()?;
    let rounded = match op {
        NumberOp::Eq | NumberOp::Ne if value.fract() != 0.0 || value.abs() >= i64::MAX as f64 => return None,
        NumberOp::Eq | NumberOp::Ne | NumberOp::Gt | NumberOp::Le => value.floor(),
        NumberOp::Lt | NumberOp::Ge => value.ceil(),
    };
    // Beyond the range this is the end of the range, which compares alike.
    Some(rounded as i64)
}

/// The most characters of a filter that a message repeats.
const SHOWN: usize = 80;

/// The beginning of a long text.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The end of a long text.
fn shorten_front(text: &str) -> String {
    match text.char_indices().rev().nth(SHOWN) {
        Some((start, c)) => format!("…{}", &text[start + c.len_utf8()..]),
        None => text.to_owned(),
    }
}
