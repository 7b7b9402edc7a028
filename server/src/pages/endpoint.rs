//! The page of what serves of a model in an environment, and the way back to the version before.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::endpoint::{Call, EndpointPage, Serving},
    shell::Section,
    ui::prelude::*,
};
use axum::http::Method;
use domain::{
    Error, ErrorKind,
    audit::ObjectKind,
    deployment::{Deployment, Prediction},
    environment::PRODUCTION,
    inference::feature_names,
    permission::Permission,
};
use leptos::prelude::*;
use services::{Ctx, DeploymentFilter, NewRollback, Services};

const SECTION: Option<Section> = Some(Section::Deployments);
/// How many checks, deployments and events the page shows.
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
    endpoint_page(view, environment, model, chosen, None).await
}

/// The page, with the question whether to roll back above it when the answer was refused.
async fn endpoint_page(
    view: View,
    environment: String,
    model: String,
    chosen: Chosen,
    refused: Option<(Error, Draft)>,
) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let is_here = |one: &Deployment| one.environment == environment && one.model == model;
    let endpoint =
        services.endpoints(ctx).await?.into_iter().find(|one| is_here(&one.deployment)).ok_or_else(|| {
            let message = format!("No version of \"{model}\" serves in {environment}. Promote one to it first.");
            Error::new(ErrorKind::NotFound, message)
        })?;
    let monitor = services.monitor(ctx, &environment, &model).await?;
    let alert = services.unresolved_alert_of(ctx, &monitor).await?;
    let predictions = services.predictions(ctx, &environment, &model, chosen.get("page_token"), ROWS).await?;
    let filter = DeploymentFilter {
        model: Some(model.clone()),
        environment: Some(environment.clone()),
        ..DeploymentFilter::default()
    };
    let base = format!("{}{}", view.public_url(), view.links.home());
    let ids = (endpoint.deployment.environment_id.to_string(), endpoint.deployment.model_id.to_string());
    let objects = [(ObjectKind::Environment, ids.0.as_str()), (ObjectKind::Model, ids.1.as_str())];
    let page = EndpointPage {
        events: services.audit_events(ctx, &objects, None, FEW).await?.items,
        approved_by: services.approvers(ctx, &endpoint.deployment).await?,
        checks: services.checks(&monitor, None, FEW).await?.items,
        deployments: services.deployments(ctx, &filter, None, FEW).await?.items,
        call: call(services, ctx, &endpoint.deployment, base, &predictions.items).await?,
        may_deploy: ctx.may(Permission::Deploy),
        alert,
        predictions,
        monitor,
        endpoint,
    };
    let links = view.links.clone();
    let address = chosen.address(links.endpoint(&environment, &model));
    let title = format!("{model} in {environment}");
    match refused {
        None => view.page(title, SECTION, move || view! { <Serving links address page/> }).await,
        Some((error, draft)) => {
            let again = move || {
                let again = roll_back_again(&links, &page, draft);
                view! { {again} <Serving links address page/> }
            };
            view.refused(&error, title, SECTION, again).await
        }
    }
}

/// Why a rollback was refused, and the form again: about what serves now, with what was typed.
fn roll_back_again(links: &Links, page: &EndpointPage, draft: Draft) -> AnyView {
    let Deployment { environment, model, version, number, .. } = &page.endpoint.deployment;
    let here = links.endpoint(environment, model);
    let form = page.endpoint.previous.map(|previous| {
        let draft = draft.clone();
        view! {
            <form class="stack" method="post" action=format!("{here}/rollback")>
                <input type="hidden" name="deployment" value=number.to_string()/>
                <p>{format!("v{version} serves now, as deployment #{number}. v{previous} was live before it.")}</p>
                <TextArea label="Why" name="comment" optional=true hint="It stands in the history." draft/>
                <div class="actions">
                    <Button text=format!("Roll back to v{previous}") kind=Kind::Danger/>
                    <ButtonLink text=format!("Keep v{version}") href=here.clone()/>
                </div>
            </form>
        }
    });
    view! {
        <Panel title=format!("{model} was not rolled back") id="rollback-refused">
            <Body>
                <FormErrors draft fields=&["comment"]/>
                {form}
            </Body>
        </Panel>
    }
    .into_any()
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
    let rolled_back = async {
        let unknown =
            |_| Error::invalid("The form does not say which deployment you looked at. Look again, then roll back.");
        let new = NewRollback {
            environment: environment.clone(),
            model: model.clone(),
            deployment: form.text("deployment").parse::<i64>().map_err(unknown)?,
            comment: form.text("comment").to_owned(),
        };
        view.services().rollback(view.ctx()?, new).await
    };
    match rolled_back.await {
        Ok(deployment) => {
            let notice = format!("Rolling back to v{}; it answers within seconds.", deployment.version);
            view.done(&view.links.endpoint(&environment, &model), notice).await
        }
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = form.refused(&error);
            endpoint_page(view, environment, model, Chosen::default(), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}
