//! The form that asks for a promotion, and asking again for one that has ended.

use super::{
    super::{Form, PageResult, View, chosen::Chosen, form::can_mend},
    SECTION,
};
use crate::extract::Path;
use app::{
    pages::{
        policy::asks,
        promotion::{Request, RequestPage},
    },
    ui::field::Draft,
};
use domain::Error;
use leptos::prelude::*;
use services::NewPromotion;

/// The form, with what the address chose.
pub(super) async fn show(view: View, chosen: Chosen) -> PageResult {
    let subject = chosen.get("model").zip(chosen.get("version")).map(|(model, version)| format!("{model}/{version}"));
    let environment = chosen.get("environment").unwrap_or(domain::environment::PRODUCTION).to_owned();
    let chosen = subject.map(|subject| ("subject", subject)).into_iter().chain([("environment", environment)]);
    page(view, Draft::of(chosen), None).await
}

async fn page(view: View, draft: Draft, refused: Option<Error>) -> PageResult {
    let ctx = view.ctx()?;
    let versions = view.services().servable_versions(ctx).await?;
    let versions =
        versions.iter().map(|(model, version)| (format!("{model}/{version}"), format!("{model} v{version}")));
    let environments = view.services().environments(ctx).await?.into_iter().map(|overview| {
        let policies: Vec<String> =
            overview.policies.iter().map(|policy| format!("{} ({})", policy.name, asks(&policy.document))).collect();
        let name = overview.environment.name;
        let words =
            if policies.is_empty() { format!("{name}: no policy") } else { format!("{name}: {}", policies.join("; ")) };
        (name, words)
    });
    let page = RequestPage { versions: versions.collect(), environments: environments.collect() };
    let links = view.links.clone();
    view.form_page(refused.as_ref(), "Request a promotion", SECTION, move || view! { <Request links page draft/> })
        .await
}

/// Asks for it, or writes it down.
pub(super) async fn create(view: View, form: Form) -> PageResult {
    let draft = form.text("do") == "draft";
    let requested = async {
        // A model's name may hold a slash; a version's number may not.
        let (model, version) = form
            .text("subject")
            .rsplit_once('/')
            .and_then(|(model, version)| Some((model, version.parse().ok()?)))
            .ok_or_else(|| Error::invalid_field("subject", "Choose a version."))?;
        let new = NewPromotion {
            model: model.to_owned(),
            version,
            environment: form.text("environment").to_owned(),
            comment: form.text("comment").to_owned(),
            draft,
            again: None,
        };
        view.services().request_promotion(view.ctx()?, new).await
    };
    match requested.await {
        Ok(promotion) => {
            let notice =
                if draft { "It is a draft. Submit it when it is ready." } else { "Requested. Its gates run now." };
            view.done(&view.links.promotion(promotion.number), notice).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            page(view, draft, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks again for what one that has ended asked for.
pub(super) async fn again(view: View, Path(number): Path<i64>) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let former = services.promotion(ctx, number).await?.promotion;
    let new = NewPromotion {
        model: former.model,
        version: former.version,
        environment: former.environment,
        comment: former.comment,
        draft: false,
        again: Some(number),
    };
    match services.request_promotion(ctx, new).await {
        Ok(promotion) => {
            view.done(&view.links.promotion(promotion.number), "Requested again. Its gates run now.").await
        }
        Err(error) if can_mend(&error) => {
            let draft = Draft::default().refused(&error);
            super::detail(view, number, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}
