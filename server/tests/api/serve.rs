//! What the layers around all routes do.

use crate::app::TestApp;
use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use domain::permission::Role;
use metrics_exporter_prometheus::PrometheusBuilder;
use server::{access::Access, router, serve};

async fn panics() -> &'static str {
    panic!("as the test wants it")
}

/// What a request is answered by a service with routes that panic, and the metrics after it.
async fn ask(method: &str, path: &str) -> (StatusCode, String, String) {
    let app = TestApp::start().await;
    let routes = router::routes(&app.state).page(Method::GET, "/panics", Access::Open, panics).mlflow(
        Method::GET,
        "/2.0/mlflow/panics",
        Access::Open,
        panics,
    );
    let client = app.anonymous().of(serve::layered(routes, &app.state));
    let recorder = PrometheusBuilder::new().build_recorder();
    let answer = {
        let _recorder = metrics::set_default_local_recorder(&recorder);
        client.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
    };
    (answer.status, answer.text(), recorder.handle().render())
}

/// Whether a request was counted with all of these labels.
fn counted(metrics: &str, labels: &[&str]) -> bool {
    metrics
        .lines()
        .any(|line| line.starts_with("slipway_http_requests_total{") && labels.iter().all(|label| line.contains(label)))
}

#[tokio::test]
async fn a_handler_that_panics_answers_in_its_clients_form_and_counts_as_a_failure() {
    let (status, body, metrics) = ask("GET", "/panics").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(body.contains("Something failed on our side") && body.contains("<html"), "{body}");
    assert!(counted(&metrics, &["route=\"/panics\"", "method=\"GET\"", "code=\"500\""]), "{metrics}");

    let (status, body, metrics) = ask("GET", "/api/2.0/mlflow/panics").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(body.contains("\"error_code\":\"INTERNAL_ERROR\""), "{body}");
    assert!(counted(&metrics, &["route=\"/api/2.0/mlflow/panics\"", "code=\"500\""]), "{metrics}");
}

#[tokio::test]
async fn a_method_that_the_client_made_up_makes_no_series_of_its_own() {
    let (status, _, metrics) = ask("BREW", "/healthz").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(counted(&metrics, &["route=\"/healthz\"", "method=\"OTHER\""]), "{metrics}");
    assert!(!metrics.contains("BREW"), "{metrics}");
}

#[tokio::test]
async fn a_method_that_a_route_does_not_take_is_refused_in_the_form_of_its_client() {
    let app = TestApp::start().await;
    let someone = app.member(Role::Viewer).await;
    let problem = someone.delete("/api/v1/members").await.refused(405);
    assert_eq!(problem["status"], 405, "{problem}");
    assert_eq!(problem["title"], "Method Not Allowed");
    assert_eq!(problem["detail"], "/api/v1/members does not take DELETE.");
    let error = someone.delete("/api/2.0/mlflow/runs/get").await.refused(405);
    assert_eq!(error["message"], "/api/2.0/mlflow/runs/get does not take DELETE.");
}
