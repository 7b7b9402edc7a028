//! What a run read and wrote: data sets with their columns, logged models.

use super::RunPage;
use crate::ui::prelude::*;
use domain::{
    logged_model::{LoggedModel, LoggedModelStatus},
    run::{DatasetInput, ModelLink},
};
use leptos::prelude::*;
use serde_json::Value;

/// The most columns of a data set that are shown.
const COLUMNS: usize = 300;

/// The data sets, in a few words each.
#[component]
pub(super) fn Datasets(address: Address, datasets: Vec<DatasetInput>) -> impl IntoView {
    let href = address.with("tab", "inputs").href();
    (!datasets.is_empty()).then(|| {
        view! {
            <Panel title="Data" id="data" note=datasets.len().to_string()>
                <ul class="list">
                    {datasets
                        .into_iter()
                        .take(20)
                        .map(|data| {
                            let context = data.tags.get("mlflow.data.context").cloned();
                            view! {
                                <li>
                                    <div class="grow">
                                        <div class="ellipsis"><a class="t" href=href.clone()>{data.name}</a></div>
                                        <div class="sub mono ellipsis">{data.digest}</div>
                                    </div>
                                    {context.map(|text| view! { <Tag text/> })}
                                </li>
                            }
                        })
                        .collect_view()}
                </ul>
            </Panel>
        }
    })
}

/// All of it.
#[component]
pub(super) fn All(links: Links, page: RunPage) -> impl IntoView {
    let run = page.run;
    if run.datasets.is_empty() && run.model_inputs.is_empty() && run.model_outputs.is_empty() {
        return view! {
            <div class="panel">
                <Empty
                    symbol=Symbol::Layers
                    title="Nothing was noted as read or written"
                    text="Data sets that the run logs with mlflow.log_input appear here with their columns, and the models that it logs or loads."
                />
            </div>
        }
        .into_any();
    }
    let models = page.models;
    let known = page.versions;
    let datasets = run
        .datasets
        .into_iter()
        .enumerate()
        .map(|(at, data)| {
            let versions = known.iter().filter(|(digest, ..)| *digest == data.digest);
            let versions = versions
                .map(|(_, dataset, number)| (format!("{dataset}@{number}"), links.dataset_version(dataset, *number)))
                .collect();
            view! { <Dataset at data versions/> }
        })
        .collect_view();
    view! {
        <div class="stack">
            {datasets}
            <Models title="Models read" id="models-read" found=run.model_inputs models=models.clone() links=links.clone() has_step=false/>
            <Models title="Models written" id="models-written" found=run.model_outputs models links has_step=true/>
        </div>
    }
    .into_any()
}

/// A data set: where it came from, its size, its columns.
#[component]
fn Dataset(at: usize, data: DatasetInput, versions: Vec<(String, String)>) -> impl IntoView {
    let context = data.tags.get("mlflow.data.context").cloned();
    let sizes = data.profile.as_deref().map(profile).unwrap_or_default();
    let source = place(&data.source);
    let columns = data.schema.as_deref().and_then(columns);
    let raw = data.schema.clone().filter(|schema| columns.is_none() && !schema.trim().is_empty() && schema != "null");
    let lead = context.map(|text| view! { <Tag text/> }.into_any());
    let body = view! {
        <Body>
            <Facts>
                <Fact name="Digest" mono=true><span class="breaks">{data.digest}</span></Fact>
                {(!versions.is_empty())
                    .then(|| {
                        let versions = versions
                            .into_iter()
                            .map(|(title, href)| view! { <a href=href>{title}</a> " " })
                            .collect_view();
                        view! { <Fact name="Version">{versions}</Fact> }
                    })}
                <Fact name="Source" mono=true><span class="breaks">{data.source_type}" "{source}</span></Fact>
                {sizes.into_iter().map(|(name, value)| view! { <Fact name>{value}</Fact> }).collect_view()}
            </Facts>
        </Body>
        {columns
            .map(|columns| {
                let count = columns.len();
                let is_long = count > 12;
                view! {
                    <Table label=format!("Columns of {}", data.name) tall=is_long>
                        <thead><tr><Head label="Column"/><Head label="Type"/><Head label="Required"/></tr></thead>
                        <tbody>
                            {columns
                                .into_iter()
                                .take(COLUMNS)
                                .map(|(name, kind, required)| {
                                    view! {
                                        <tr>
                                            <th scope="row" class="mono"><Maybe text=Some(name)/></th>
                                            <td class="mono">{kind}</td>
                                            <td class="muted">{if required { "yes" } else { "no" }}</td>
                                        </tr>
                                    }
                                })
                                .collect_view()}
                        </tbody>
                        {(count > COLUMNS)
                            .then(|| view! { <tfoot><tr><td colspan="3">{format!("{COLUMNS} of {count} columns")}</td></tr></tfoot> })}
                    </Table>
                }
            })}
        {raw
            .map(|raw| {
                let raw: String = raw.chars().take(4000).collect();
                view! { <Body><CodeBlock text=raw label="Schema"/></Body> }
            })}
    };
    let id = format!("dataset-{at}");
    match lead {
        Some(lead) => view! { <Panel title=data.name.clone() id lead>{body}</Panel> }.into_any(),
        None => view! { <Panel title=data.name.clone() id>{body}</Panel> }.into_any(),
    }
}

/// Where a data set came from: what its source says under the name of a place, or all that it says.
fn place(source: &str) -> String {
    let named = serde_json::from_str::<Value>(source).ok().and_then(|value| {
        ["uri", "url", "path", "delta_table_name", "table"]
            .iter()
            .find_map(|name| Some(value.get(*name)?.as_str()?.to_owned()))
    });
    named.unwrap_or_else(|| source.to_owned()).chars().take(300).collect()
}

/// The numbers of a profile, as words and values: `{"num_rows": 6812}`.
fn profile(text: &str) -> Vec<(String, String)> {
    let written = |value: &Value| match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => format::integer(whole),
            None => format::number(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => text.chars().take(200).collect(),
        other => other.to_string().chars().take(200).collect(),
    };
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => fields
            .iter()
            .take(20)
            .map(|(name, value)| {
                let name = name.strip_prefix("num_").unwrap_or(name).replace('_', " ");
                let mut letters = name.chars();
                let name =
                    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect());
                (name, written(value))
            })
            .collect(),
        _ if text.trim().is_empty() => Vec::new(),
        _ => vec![("Profile".to_owned(), text.chars().take(300).collect())],
    }
}

/// Name, type and whether it is required of each column, as MLflow's clients write them.
fn columns(schema: &str) -> Option<Vec<(String, String, bool)>> {
    let value: Value = serde_json::from_str(schema).ok()?;
    let tensors = |value: &Value| -> Option<Vec<(String, String, bool)>> {
        let list = match value {
            Value::Array(list) => list.clone(),
            Value::Object(_) => match value.get("features") {
                Some(Value::Array(list)) => list.clone(),
                _ => vec![value.clone()],
            },
            _ => return None,
        };
        let one = |tensor: &Value| {
            let name = tensor.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let of = tensor.get("tensor-spec").unwrap_or(tensor);
            let dtype = of.get("dtype")?.as_str()?;
            let shape = of.get("shape").map(ToString::to_string).unwrap_or_default();
            Some((name, format!("{dtype}{shape}"), true))
        };
        list.iter().map(one).collect()
    };
    if let Some(list) = value.get("mlflow_colspec").and_then(Value::as_array).or_else(|| value.as_array()) {
        let one = |column: &Value| {
            let name = column.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let kind = match column.get("type")? {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let required = column.get("required").and_then(Value::as_bool).unwrap_or(true);
            Some((name, kind, required))
        };
        return list.iter().map(one).collect();
    }
    tensors(value.get("mlflow_tensorspec")?)
}

/// Logged models.
#[component]
fn Models(
    title: &'static str,
    id: &'static str,
    found: Vec<ModelLink>,
    models: Vec<LoggedModel>,
    links: Links,
    has_step: bool,
) -> impl IntoView {
    let status = |status: LoggedModelStatus| match status {
        LoggedModelStatus::Ready => (State::Passed, "Ready"),
        LoggedModelStatus::UploadFailed => (State::Failed, "Failed"),
        LoggedModelStatus::Pending => (State::Running, "Pending"),
    };
    (!found.is_empty()).then(|| {
        view! {
            <Panel title id note=found.len().to_string()>
                <Table label=title>
                    <thead>
                        <tr>
                            <Head label="Model"/>
                            <Head label="Id"/>
                            <Head label="State"/>
                            {has_step.then(|| view! { <Head label="Step" num=true/> })}
                            <Head label="Run"/>
                        </tr>
                    </thead>
                    <tbody>
                        {found
                            .into_iter()
                            .take(200)
                            .map(|link| {
                                let model = models.iter().find(|model| model.id == link.model_id).cloned();
                                let name = model.as_ref().map(|model| model.name.clone());
                                let state = model.as_ref().map(|model| status(model.status));
                                let source = model.and_then(|model| model.source_run_id);
                                let uri = format!("models:/{}", link.model_id.wire());
                                view! {
                                    <tr>
                                        <th scope="row"><Maybe text=name/></th>
                                        <td>
                                            <span class="digest">
                                                <code>{link.model_id.wire()}</code>
                                                <CopyButton text=uri label="Copy model address"/>
                                            </span>
                                        </td>
                                        <td>{state.map(|(state, word)| view! { <StateMark state word/> })}</td>
                                        {has_step.then(|| view! { <td class="num">{format::integer(link.step)}</td> })}
                                        <td>
                                            {source
                                                .map(|run| {
                                                    view! { <a class="mono" href=links.run(&run)>{run.simple()[..8].to_owned()}</a> }
                                                })}
                                        </td>
                                    </tr>
                                }
                            })
                            .collect_view()}
                    </tbody>
                </Table>
            </Panel>
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_of_columns_or_tensors_is_read() {
        let table = r#"{"mlflow_colspec":[{"type":"double","name":"alcohol","required":true},{"type":"long"}]}"#;
        assert_eq!(
            columns(table).unwrap(),
            [("alcohol".to_owned(), "double".to_owned(), true), (String::new(), "long".to_owned(), true)]
        );
        let tensor = r#"{"mlflow_tensorspec":{"features":[{"type":"tensor","tensor-spec":{"dtype":"float32","shape":[-1,8]}}]}}"#;
        assert_eq!(columns(tensor).unwrap()[0].1, "float32[-1,8]");
        assert_eq!(columns("not json"), None);
        assert_eq!(columns("{}"), None);
    }

    #[test]
    fn a_profile_is_facts_and_a_source_a_place() {
        assert_eq!(profile(r#"{"num_rows":6812}"#), [("Rows".to_owned(), "6,812".to_owned())]);
        assert_eq!(place(r#"{"uri":"s3://wine/a.csv"}"#), "s3://wine/a.csv");
        assert_eq!(place("wine.csv"), "wine.csv");
    }
}
