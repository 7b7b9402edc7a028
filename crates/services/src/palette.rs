//! Finding objects by name while somebody types.

use crate::{Ctx, Result, Services, boxed, link::Links};
use domain::{
    audit::ObjectKind,
    palette::{Hit, MAX_HITS},
};

impl Services {
    /// Objects in use whose names hold the text, in any case; none for blank text.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn find_by_name(&self, ctx: &Ctx, text: &str) -> Result<Vec<Hit>> {
        let text: String = text.trim().chars().filter(|c| *c != '\0').take(200).collect();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let hits = store::palette::find(&mut *self.conn().await?, ctx.workspace_id(), &text, MAX_HITS as i64).await?;
        let links = Links { base: "", slug: &ctx.workspace.slug };
        let href = |hit: &store::palette::Hit| match hit.kind {
            ObjectKind::Experiment => Some(links.experiment(&hit.key)),
            ObjectKind::Run => Some(links.run(&hit.key)),
            ObjectKind::Model => Some(links.model(&hit.key)),
            ObjectKind::Pipeline => Some(links.pipeline(&hit.key)),
            _ => None,
        };
        let hit = |hit: store::palette::Hit| {
            href(&hit).map(|href| Hit { kind: hit.kind, title: hit.title, detail: hit.detail, href })
        };
        Ok(hits.into_iter().filter_map(hit).collect())
    }
}
