//! Model cards. Whoever saves one says which they saw: two people never write over each other unseen.

use crate::{Ctx, Event, Result, Services, boxed, commit, model, now, task::blocking};
use domain::{
    Error, ErrorKind, Page,
    model_card::{CardText, ModelCard, ModelCardEntry},
    page,
    text_diff::TextDiff,
};

impl Services {
    /// The model's card in force, or the one of a number. None while there is none; a card that was taken away is there,
    /// and empty.
    ///
    /// # Errors
    /// `NotFound` without such a model.
    #[boxed]
    pub async fn model_card(&self, ctx: &Ctx, name: &str, number: Option<i32>) -> Result<Option<ModelCard>> {
        let mut conn = self.conn().await?;
        let model = model::find(&mut conn, ctx, name).await?;
        Ok(store::model_card::get(&mut conn, model.id, number).await?)
    }

    /// The cards that a model has had, newest first.
    ///
    /// # Errors
    /// `NotFound` without such a model; `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn model_cards(
        &self,
        ctx: &Ctx,
        name: &str,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<ModelCardEntry>> {
        let below: Option<i32> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let model = model::find(&mut conn, ctx, name).await?;
        let entries = store::model_card::list(&mut conn, model.id, below, limit as i64 + 1).await?;
        Ok(Page::cut(entries, limit, |entry| entry.number))
    }

    /// What is different between two cards of a model.
    ///
    /// # Errors
    /// `NotFound` without such a model or card.
    #[boxed]
    pub async fn model_card_diff(&self, ctx: &Ctx, name: &str, before: i32, after: i32) -> Result<TextDiff> {
        let mut conn = self.conn().await?;
        let model = model::find(&mut conn, ctx, name).await?;
        let mut texts = Vec::new();
        for number in [before, after] {
            let card = store::model_card::get(&mut conn, model.id, Some(number)).await?;
            texts.push(card.ok_or_else(|| no_card(name, number))?.text);
        }
        drop(conn);
        // Long texts take a while to be held against each other.
        blocking(move || TextDiff::of(&texts[0], &texts[1])).await
    }

    /// Saves a model's card. `instead_of` is the number of the card that the author saw, none when there was none: when
    /// another one is in force by now, nothing changes. The text that is in force already changes nothing either.
    ///
    /// # Errors
    /// `NotFound` without such a model; `Invalid` for a text that is too long, or nothing where nothing is; `Conflict` when somebody else saved one
    /// first.
    #[boxed]
    pub async fn save_model_card(
        &self,
        ctx: &Ctx,
        name: &str,
        text: &str,
        instead_of: Option<i32>,
    ) -> Result<ModelCard> {
        let text = CardText::parse(text)?;
        let mut tx = self.begin().await?;
        let found = model::locked(&mut tx, ctx, name).await?;
        let before = store::model_card::get(&mut tx, found.id, None).await?;
        match &before {
            Some(card) if card.text == text.as_str() => return Ok(card.clone()),
            None if text.as_str().trim().is_empty() => {
                return Err(Error::invalid_field("text", "Write something first: there is no card yet."));
            }
            _ => {}
        }
        if before.as_ref().map(|card| card.number) != instead_of {
            return Err(Error::conflict(match &before {
                Some(card) => format!(
                    "{} saved version {} of the card meanwhile. Look at what changed, and save again to replace it.",
                    card.author, card.number
                ),
                None => format!("{name} has no card yet; save without the number of one."),
            }));
        }
        let card = ModelCard {
            number: before.map_or(1, |card| card.number + 1),
            text: text.as_str().to_owned(),
            author: ctx.actor().name().to_owned(),
            created_at: now(),
        };
        store::model_card::insert(&mut tx, found.id, &card, ctx.user().map(|user| user.id)).await?;
        let summary = match card.text.is_empty() {
            false => format!("saved version {} of the card of {name}", card.number),
            true => format!("took the card of {name} away"),
        };
        Event::new("model.card_saved", model::object(&found), summary)
            .details(serde_json::json!({ "number": card.number, "instead_of": instead_of }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        Ok(card)
    }
}

/// There is no card of this number.
#[must_use]
pub fn no_card(model: &str, number: i32) -> Error {
    Error::new(ErrorKind::NotFound, format!("The model {model} has no version {number} of its card."))
}
