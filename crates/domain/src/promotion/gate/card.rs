//! Whether a model's card says what it must, and was saved lately.

use super::{Finding, counted, held};
use crate::{
    duration::Span,
    model_card::ModelCard,
    preview::{Block, Inline},
    prose,
};
use chrono::{DateTime, Utc};
use serde_json::json;

/// Whether a card has each of these headings with something below it, and was saved within `max_age` before `now`. The card
/// comes with its text as prose; none when the model has no card.
#[must_use]
pub fn model_card(
    sections: &[String],
    max_age: Option<Span>,
    card: Option<(&ModelCard, &[Block])>,
    now: DateTime<Utc>,
) -> Finding {
    let parts = counted(sections.len(), "section", "sections");
    let limit = match max_age {
        Some(age) => format!("{parts}, saved within {age}"),
        None => parts,
    };
    let Some((card, blocks)) = card.filter(|(card, _)| !card.text.trim().is_empty()) else {
        return Finding::inconclusive(limit, "The model has no card; write one on its page.");
    };
    let found = filled(blocks);
    let is = |section: &str, full: bool| {
        found.iter().any(|(title, has_text)| *title == folded(section) && (*has_text || !full))
    };
    let (mut missing, mut empty) = (Vec::new(), Vec::new());
    for section in sections.iter().map(String::as_str).filter(|section| !is(section, true)) {
        if is(section, false) { empty.push(section) } else { missing.push(section) }
    }
    let too_old = max_age.is_some_and(|age| card.created_at + age.delta() <= now);
    let mut why = Vec::new();
    if !missing.is_empty() {
        why.push(format!("It has no {}.", missing.join(", ")));
    }
    if !empty.is_empty() {
        why.push(format!("Nothing stands below {}.", empty.join(", ")));
    }
    if let Some(age) = max_age.filter(|_| too_old) {
        why.push(format!("It was saved on {}, longer than {age} ago.", prose::day(card.created_at)));
    }
    let pass = why.is_empty();
    Finding {
        verdict: held(pass),
        measured: format!(
            "card {}, {} of {}",
            card.number,
            sections.len() - missing.len() - empty.len(),
            sections.len()
        ),
        limit,
        reason: if pass {
            format!("{} saved it on {}.", card.author, prose::day(card.created_at))
        } else {
            why.join(" ")
        },
        evidence: json!({
            "card": card.number, "author": card.author, "saved_at": card.created_at, "missing": missing, "empty": empty,
            "too_old": too_old,
        }),
    }
}

/// Each heading, and whether something stands below it before the next one of its level or a greater.
fn filled(blocks: &[Block]) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for (at, block) in blocks.iter().enumerate() {
        let Block::Heading(level, title) = block else { continue };
        let below =
            blocks[at + 1..].iter().take_while(|block| !matches!(block, Block::Heading(other, _) if other <= level));
        let has_text = below.filter(|block| !matches!(block, Block::Heading(..))).any(has_words);
        let mut words = String::new();
        words_of(title, &mut words);
        all.push((folded(&words), has_text));
    }
    all
}

/// As it is compared: without case, white space around and between, or a colon at its end.
fn folded(text: &str) -> String {
    let text = text.trim().trim_end_matches(':').to_lowercase();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn has_words(block: &Block) -> bool {
    let inline = |parts: &[Inline]| {
        let mut words = String::new();
        words_of(parts, &mut words);
        !words.trim().is_empty()
    };
    match block {
        Block::Heading(_, parts) | Block::Paragraph(parts) => inline(parts),
        Block::Code(text) => !text.trim().is_empty(),
        Block::Quote(blocks) => blocks.iter().any(has_words),
        Block::List(_, items) => items.iter().flatten().any(has_words),
        Block::Table(head, rows) => head.iter().chain(rows.iter().flatten()).any(|cell| inline(cell)),
        Block::Grid(rows) => rows.iter().flat_map(|row| &row.cells).any(|cell| inline(&cell.parts)),
        Block::Rule => false,
    }
}

fn words_of(parts: &[Inline], into: &mut String) {
    for part in parts {
        match part {
            Inline::Text(text) | Inline::Code(text) => into.push_str(text),
            Inline::Emphasis(parts) | Inline::Strong(parts) | Inline::Link(_, parts) => words_of(parts, into),
            Inline::Image(_, words) | Inline::Picture(_, words) => into.push_str(words),
            Inline::Math(formula) => into.push_str(&formula.tex),
            Inline::Break => into.push(' '),
            // What is struck out no longer holds, and a box alone says nothing.
            Inline::Struck(_) | Inline::Task(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::Verdict::{Fail, Inconclusive, Pass};

    fn heading(level: u8, text: &str) -> Block {
        Block::Heading(level, vec![Inline::Text(text.to_owned())])
    }

    fn text(text: &str) -> Block {
        Block::Paragraph(vec![Inline::Text(text.to_owned())])
    }

    #[test]
    fn each_section_is_there_and_says_something() {
        let card = ModelCard {
            number: 3,
            text: "# …".to_owned(),
            author: "Ada".to_owned(),
            created_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        };
        let now = card.created_at + Span::of_days(10).delta();
        let limits = || heading(2, "Known  Limits:");
        for (blocks, age, verdict) in [
            (vec![limits(), text("None.")], None, Pass),
            (vec![heading(1, "Card"), limits(), heading(3, "Data"), text("Few.")], None, Pass),
            (vec![limits(), Block::Code("x".to_owned())], Some(Span::of_days(11)), Pass),
            (vec![limits(), text("None.")], Some(Span::of_days(10)), Fail),
            (vec![limits()], None, Fail),
            (vec![limits(), text("  "), Block::Rule], None, Fail),
            (vec![limits(), heading(3, "Data")], None, Fail),
            (vec![limits(), heading(2, "Other"), text("Text.")], None, Fail),
            (vec![limits(), Block::Paragraph(vec![Inline::Struck(vec![Inline::Text("x".to_owned())])])], None, Fail),
            (vec![text("Known limits")], None, Fail),
            (vec![], None, Fail),
            // Of two of one name one that says something is enough.
            (vec![limits(), limits(), text("None.")], None, Pass),
        ] {
            let found = model_card(&["known limits".to_owned()], age, Some((&card, &blocks)), now);
            assert_eq!(found.verdict, verdict, "{blocks:?} {age:?}: {}", found.reason);
        }
        let sections = ["Limits".to_owned()];
        assert_eq!(model_card(&sections, None, None, now).verdict, Inconclusive);
        let gone = ModelCard { text: " \n".to_owned(), ..card.clone() };
        assert_eq!(model_card(&sections, None, Some((&gone, &[])), now).verdict, Inconclusive);
        assert_eq!(model_card(&[], None, Some((&card, &[text("Text.")])), now).verdict, Pass);
    }
}
