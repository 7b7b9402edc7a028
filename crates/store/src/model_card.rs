//! Model cards. Rows are only ever added.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    id::{ModelId, UserId},
    model_card::{ModelCard, ModelCardEntry},
};
use sqlx::{FromRow, PgConnection};

#[derive(FromRow)]
struct Row {
    number: i32,
    text: String,
    author: String,
    created_at: DateTime<Utc>,
}

impl From<Row> for ModelCard {
    fn from(row: Row) -> Self {
        Self { number: row.number, text: row.text, author: row.author, created_at: row.created_at }
    }
}

/// The card of this number; without one, the latest. None when there is none.
///
/// # Errors
/// When the statement fails.
pub async fn get(conn: &mut PgConnection, model: ModelId, number: Option<i32>) -> Result<Option<ModelCard>> {
    let row: Option<Row> = sqlx::query_as(
        "select number, text, author, created_at
         from model_cards
         where model_id = $1 and ($2::integer is null or number = $2)
         order by number desc
         limit 1",
    )
    .bind(model)
    .bind(number)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(ModelCard::from))
}

/// The cards of a model, newest first; those below a number, when one is given.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    model: ModelId,
    below: Option<i32>,
    limit: i64,
) -> Result<Vec<ModelCardEntry>> {
    let rows: Vec<(i32, i32, String, DateTime<Utc>)> = sqlx::query_as(
        "select number, length(text), author, created_at
         from model_cards
         where model_id = $1 and ($2::integer is null or number < $2)
         order by number desc
         limit $3",
    )
    .bind(model)
    .bind(below)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let entry = |(number, characters, author, created_at)| ModelCardEntry { number, characters, author, created_at };
    Ok(rows.into_iter().map(entry).collect())
}

/// Adds a card. The caller holds the model's [`crate::model::lock`], and has the number after the latest.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut PgConnection, model: ModelId, card: &ModelCard, author: Option<UserId>) -> Result<()> {
    sqlx::query(
        "insert into model_cards (model_id, number, text, author_id, author, created_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(model)
    .bind(card.number)
    .bind(&card.text)
    .bind(author)
    .bind(&card.author)
    .bind(card.created_at)
    .execute(conn)
    .await?;
    Ok(())
}
