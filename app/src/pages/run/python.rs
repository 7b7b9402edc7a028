//! What to type to go on with a run in Python.

use super::RunPage;
use crate::ui::prelude::*;
use leptos::prelude::*;

/// A text of Python between quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => {}
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The snippets of a run: what each does, and its lines.
pub(super) fn snippets(page: &RunPage) -> Vec<(&'static str, String)> {
    let id = page.run.info.id.simple();
    let start = format!("import mlflow\n\nmlflow.set_tracking_uri({})\n", quoted(&page.tracking_url));
    let experiment = quoted(&page.experiment.name);
    let mut all = vec![(
        "Read this run",
        format!(
            "{start}client = mlflow.MlflowClient()\nrun = client.get_run(\"{id}\")\nprint(run.data.params, run.data.metrics)\n{}",
            page.run.metrics.iter().filter(|metric| metric.step > 0).min_by_key(|metric| metric.key.len()).map_or_else(
                String::new,
                |metric| format!("history = client.get_metric_history(\"{id}\", {})\n", quoted(&metric.key))
            )
        ),
    )];
    let model = page.run.model_outputs.last().map(|link| format!("models:/{}", link.model_id.wire()));
    let uri = model.unwrap_or_else(|| format!("runs:/{id}/model"));
    all.push(("Load its model", format!("{start}model = mlflow.pyfunc.load_model(\"{uri}\")\n")));
    let filter = page
        .run
        .params
        .iter()
        .find(|(key, value)| !key.contains(['`', '"']) && !value.contains(['\'', '"', '\\']) && value.len() < 60);
    let filter = filter.map_or_else(
        || "attributes.status = 'FINISHED'".to_owned(),
        |(key, value)| format!("params.`{key}` = '{value}'"),
    );
    all.push((
        "Find runs like it",
        format!(
            "{start}runs = mlflow.search_runs(\n    experiment_names=[{experiment}],\n    filter_string={},\n)\n",
            quoted(&filter)
        ),
    ));
    all.push((
        "Download its files",
        format!(
            "{start}folder = mlflow.artifacts.download_artifacts(run_id=\"{id}\", dst_path=\"run-{}\")\n",
            &id[..8]
        ),
    ));
    all
}

/// A menu of them.
#[component]
pub(super) fn CopyAsPython(page: RunPage) -> impl IntoView {
    let items = snippets(&page)
        .into_iter()
        .map(|(title, text)| {
            view! {
                <section>
                    <h3 class="label">{title}</h3>
                    <Command text/>
                </section>
            }
        })
        .collect_view();
    view! {
        <details class="more python">
            <summary class="btn"><Icon symbol=Symbol::Copy/>"Use in Python"</summary>
            <div class="menu">{items}</div>
        </details>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn snippets_name_the_run_and_the_server_and_quote_what_people_typed() {
        let mut page = samples::run();
        page.experiment.name = "a \"b\" \\".to_owned();
        // As on the tabs that draw no curves.
        page.lengths.clear();
        let all = snippets(&page);
        let id = page.run.info.id.simple();
        assert!(all[0].1.contains(&id) && all[0].1.contains(&page.tracking_url), "{}", all[0].1);
        assert!(all[0].1.contains("client.get_metric_history("), "{}", all[0].1);
        assert!(all[1].1.contains(&format!("runs:/{id}/model")), "{}", all[1].1);
        assert!(all[2].1.contains(r#"experiment_names=["a \"b\" \\"]"#), "{}", all[2].1);
        assert!(all[2].1.contains("params.`class_weight` = 'balanced'"), "{}", all[2].1);
    }
}
