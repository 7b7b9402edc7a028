//! Evidence that people and machines upload for a promotion: reports, checks of data sets, answers from outside.

use super::{announce, candidate_of, event, locked, present::unexpected};
use crate::{Ctx, Result, Services, boxed, commit, now};
use domain::{
    Digest, Error,
    id::EvidenceId,
    promotion::{PromotionState, Uploaded, gate::external},
    prose::sentence,
};

/// The most bytes of its JSON.
const MAX_BYTES: usize = 256 * 1024;

/// Evidence to be uploaded.
#[derive(Debug, Clone)]
pub struct NewEvidence {
    /// What it is about: `dataset/customers`, `security-scan`.
    pub name: String,
    /// What it says.
    pub content: serde_json::Value,
}

impl Services {
    /// The last evidence of each name of a promotion.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn promotion_evidence(&self, ctx: &Ctx, number: i64) -> Result<Vec<Uploaded>> {
        let mut conn = self.conn().await?;
        let promotion = super::read::found(&mut conn, ctx, number).await?;
        Ok(store::promotion::evidence(&mut conn, promotion.id).await?)
    }

    /// Adds evidence to a promotion that nobody was asked about yet. The same again changes nothing.
    ///
    /// # Errors
    /// `Invalid` for a name that is none or too much content; `Conflict` once people are asked, because what they are
    /// asked about does not change under them.
    #[boxed]
    pub async fn upload_evidence(&self, ctx: &Ctx, number: i64, new: NewEvidence) -> Result<(Uploaded, bool)> {
        let fits = |c: char| c.is_alphanumeric() || "-_./ ".contains(c);
        let name = new.name.trim();
        if name.is_empty() || name.chars().count() > 200 || !name.chars().all(fits) {
            let message = "A name has 1 to 200 letters, digits, spaces and any of - _ . /";
            return Err(Error::invalid_field("name", message));
        }
        if name.starts_with(external::PREFIX) {
            let message = "What is below gate/ are answers to gates; answer the gate instead.";
            return Err(Error::invalid_field("name", message));
        }
        let digest = Digest::of_json(&new.content).map_err(unexpected)?;
        if new.content.to_string().len() > MAX_BYTES {
            let message = format!("Evidence has at most {} KiB; keep the rest as an artifact.", MAX_BYTES / 1024);
            return Err(Error::invalid_field("content", message));
        }
        let mut tx = self.begin().await?;
        let promotion = locked(&mut tx, ctx, number).await?;
        let known = store::promotion::evidence(&mut tx, promotion.id).await?;
        if let Some(same) = known.into_iter().find(|one| one.name == name && one.digest == digest) {
            return Ok((same, false));
        }
        if !matches!(promotion.state, PromotionState::Draft | PromotionState::GatesRunning | PromotionState::Blocked) {
            return Err(Error::conflict(format!(
                "Evidence is uploaded before people are asked; promotion #{number} {}. {}",
                promotion.state.describe(),
                sentence(&promotion.state_reason)
            )));
        }
        let uploaded = Uploaded {
            id: EvidenceId::new(),
            name: name.to_owned(),
            content: new.content,
            digest,
            uploaded_by: ctx.user().map(|user| user.id),
            uploader: ctx.actor().name().to_owned(),
            at: now(),
        };
        store::promotion::insert_evidence(&mut tx, promotion.id, &uploaded).await?;
        let candidate = candidate_of(&mut tx, &promotion).await?;
        event("promotion.evidence_uploaded", &promotion, &candidate, format!("uploaded evidence: {name}"))
            .details(serde_json::json!({ "name": name, "digest": uploaded.digest }))
            .write(&mut tx, ctx)
            .await?;
        announce(&mut tx, &promotion).await?;
        // A gate may have waited for it.
        if promotion.state == PromotionState::GatesRunning {
            super::go_on(&mut tx, &promotion).await?;
        }
        commit(tx).await?;
        Ok((uploaded, true))
    }
}
