//! The page of what serves of a model in an environment, and the way back to the version before.

use super::{Form, PageResult, View, chosen::Chosen, extract::Path};
use crate::{access::Access, router::Routes};
use app::{
    pages::endpoint::{Call, EndpointPage, Serving},
    shell::Section,
};
use axum::http::Method;
use domain::{
    Error, ErrorKind,
    deployment::{Deployment, Prediction},
    environment::PRODUCTION,
    inference::feature_names,
    permission::Permission,
    promotion::DecisionVerdict,
};
use leptos::prelude::*;
use services::{Ctx, DeploymentFilter, NewRollback, Services};

const SECTION: Option<Section> = Some(Section::Deployments);
/// How many checks, and how many deployments, the page shows.
const FEW: usize = 12;
/// How many predictions it shows.
const ROWS: usize = 25;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, deploy) = (Access::Needs(Permission::Read), Access::Needs(Permission::Deploy));
    routes.page(Method::GET, "/environments/{environment}/models/{model}", read, show).page(
        Method::POST,
        "/environments/{environment}/models/{model}/rollback",
        deploy,
        rollback,
    )
}

async fn show(view: View, Path((environment, model)): Path<(String, String)>, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let is_here = |one: &Deployment| one.environment == environment && one.model == model;
    let endpoint =
        services.endpoints(ctx).await?.into_iter().find(|one| is_here(&one.deployment)).ok_or_else(|| {
            let message = format!("No version of \"{model}\" serves in {environment}. Promote one to it first.");
            Error::new(ErrorKind::NotFound, message)
        })?;
    let monitor = services.monitor(ctx, &environment, &model).await?;
    let alerts = services.alerts(ctx, true, None, domain::page::MAX_PAGE).await?.items;
    let alert = alerts.into_iter().find(|alert| alert.monitor_id == monitor.id);
    let predictions = services.predictions(ctx, &environment, &model, chosen.get("page_token"), ROWS).await?;
    let filter = DeploymentFilter {
        model: Some(model.clone()),
        environment: Some(environment.clone()),
        ..DeploymentFilter::default()
    };
    let base = format!("{}{}", view.public_url(), view.links.home());
    let page = EndpointPage {
        approved_by: approvers(services, ctx, &endpoint.deployment).await?,
        checks: services.checks(&monitor, FEW).await?,
        history: services.deployments(ctx, &filter, None, FEW).await?.items,
        call: call(services, ctx, &endpoint.deployment, base, &predictions.items).await?,
        may_deploy: ctx.may(Permission::Deploy),
        alert,
        predictions,
        monitor,
        endpoint,
    };
    let links = view.links.clone();
    let address = chosen.address(links.endpoint(&environment, &model));
    view.page(format!("{model} in {environment}"), SECTION, move || view! { <Serving links address page/> }).await
}

/// Who approved the promotion that brought it here, in the order in which they did.
async fn approvers(services: &Services, ctx: &Ctx, deployment: &Deployment) -> Result<Vec<String>, Error> {
    let Some(number) = deployment.promotion_number else { return Ok(Vec::new()) };
    let detail = services.promotion(ctx, number).await?;
    let digest = detail.promotion.subject_digest;
    let mut names: Vec<String> = Vec::new();
    for decision in detail.decisions {
        let counts = decision.verdict == DecisionVerdict::Approve && Some(&decision.subject_digest) == digest.as_ref();
        if counts && !names.contains(&decision.user_name) {
            names.push(decision.user_name);
        }
    }
    Ok(names)
}

/// What a caller has to know. Where this process has no engine, it does not know what the model takes.
async fn call(
    services: &Services,
    ctx: &Ctx,
    deployment: &Deployment,
    base: String,
    predictions: &[Prediction],
) -> Result<Call, Error> {
    let (environment, model) = (&deployment.environment, &deployment.model);
    let inputs = match services.endpoint(ctx, environment, model).await {
        Ok(endpoint) => endpoint.metadata().inputs,
        Err(Error { kind: ErrorKind::Unavailable | ErrorKind::NotFound, .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    let version = services.version_detail(ctx, model, deployment.version).await?.version;
    Ok(Call {
        base,
        environment: (environment != PRODUCTION).then(|| environment.clone()),
        model: model.clone(),
        inputs,
        features: version.signature.as_ref().map(feature_names).unwrap_or_default(),
        sample: predictions.iter().find(|answered| answered.status == 200).map(|answered| answered.features.clone()),
    })
}

async fn rollback(view: View, Path((environment, model)): Path<(String, String)>, form: Form) -> PageResult {
    let new = NewRollback {
        environment: environment.clone(),
        model: model.clone(),
        deployment: form.text("deployment").parse().ok(),
        comment: form.text("comment").to_owned(),
    };
    let deployment = view.services().rollback(view.ctx()?, new).await?;
    let notice = format!("Rolling back to v{}; it answers within seconds.", deployment.version);
    view.done(&view.links.endpoint(&environment, &model), notice).await
}
