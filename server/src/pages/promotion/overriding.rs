//! The forms that set gates or a freeze aside, confirm that, and review it.

use super::super::{Form, PageResult, View};
use crate::extract::Path;
use domain::{Error, id::OverrideId, promotion::OverrideKind};
use services::NewOverride;

/// Asks for it.
pub(super) async fn open(view: View, Path(number): Path<i64>, form: Form) -> PageResult {
    let opened = async {
        let kind = OverrideKind::parse(form.text("kind"))
            .ok_or_else(|| Error::invalid("The form does not say what is to be overridden; open the page again."))?;
        let new = NewOverride { kind, reason: form.lines("reason") };
        view.services().open_override(view.ctx()?, number, new).await
    };
    let opened = opened.await;
    super::answered(view, number, &form, opened, |_| "It is asked for. Somebody else confirms it.".to_owned()).await
}

/// Confirms it.
pub(super) async fn confirm(view: View, Path((number, id)): Path<(i64, OverrideId)>, form: Form) -> PageResult {
    let confirmed = view.services().confirm_override(view.ctx()?, number, id).await;
    super::answered(view, number, &form, confirmed, |_| "You confirmed the override. Its review is open.".to_owned())
        .await
}

/// Closes its review.
pub(super) async fn review(view: View, Path((number, id)): Path<(i64, OverrideId)>, form: Form) -> PageResult {
    let reviewed = view.services().review_override(view.ctx()?, number, id, &form.lines("review")).await;
    super::answered(view, number, &form, reviewed, |_| "The review is closed.".to_owned()).await
}
