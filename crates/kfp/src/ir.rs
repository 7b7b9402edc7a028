//! The compiled file as it is written: JSON's form of the messages of `pipeline_spec.proto`. A key that is not known here is
//! an error: it may say something that the pipeline cannot do without.

use domain::document::Document;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Whether this is the first document of a compiled pipeline, or what older compilers made.
pub(crate) fn is_compiled(document: &Document) -> bool {
    let has = |key: &str| document.value().get(key).is_some();
    (has("pipelineInfo") && (has("root") || has("deploymentSpec")))
        || has("schemaVersion")
        || is_argo(document)
        || (has("pipelineSpec") && has("runtimeConfig"))
}

/// Whether this is what the first version of Kubeflow Pipelines compiled to.
pub(crate) fn is_argo(document: &Document) -> bool {
    document
        .value()
        .get("apiVersion")
        .and_then(Value::as_str)
        .is_some_and(|version| version.starts_with("argoproj.io/"))
}

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Default, Deserialize)]
            #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
            pub(crate) struct $name { $(pub(crate) $field: $kind,)* }
        )*
    };
}

messages! {
    /// `PipelineInfo`.
    Info { name: String, display_name: String, description: String, }
    /// `ComponentSpec`.
    Component {
        input_definitions: InputDefinitions,
        output_definitions: OutputDefinitions,
        executor_label: Option<String>,
        dag: Option<Dag>,
        single_platform_specs: Vec<Value>,
        task_config_passthroughs: Vec<Value>,
    }
    InputDefinitions { artifacts: BTreeMap<String, InputArtifact>, parameters: BTreeMap<String, InputParameter>, }
    InputArtifact { artifact_type: ArtifactType, is_artifact_list: bool, is_optional: bool, description: String, }
    InputParameter {
        parameter_type: Option<String>,
        r#type: Option<String>,
        default_value: Option<Value>,
        is_optional: bool,
        description: String,
        literals: Vec<Value>,
    }
    ArtifactType {
        schema_title: Option<String>,
        schema_uri: Option<String>,
        instance_schema: Option<String>,
        schema_version: String,
    }
    OutputDefinitions { artifacts: BTreeMap<String, OutputArtifact>, parameters: BTreeMap<String, OutputParameter>, }
    OutputArtifact {
        artifact_type: ArtifactType,
        properties: Value,
        custom_properties: Value,
        metadata: Value,
        is_artifact_list: bool,
        description: String,
    }
    OutputParameter { parameter_type: Option<String>, r#type: Option<String>, description: String, }
    /// `DagSpec`.
    Dag { tasks: BTreeMap<String, Task>, outputs: DagOutputs, }
    DagOutputs { artifacts: BTreeMap<String, DagArtifact>, parameters: BTreeMap<String, DagParameter>, }
    DagArtifact { artifact_selectors: Vec<ArtifactSelector>, }
    ArtifactSelector { producer_subtask: String, output_artifact_key: String, }
    DagParameter { value_from_parameter: Option<ParameterSelector>, value_from_oneof: Option<ParameterSelectors>, }
    ParameterSelector { producer_subtask: String, output_parameter_key: String, }
    ParameterSelectors { parameter_selectors: Vec<ParameterSelector>, }
    /// `PipelineTaskSpec`.
    Task {
        task_info: TaskInfo,
        inputs: TaskInputs,
        dependent_tasks: Vec<String>,
        caching_options: CachingOptions,
        component_ref: ComponentRef,
        trigger_policy: TriggerPolicy,
        artifact_iterator: Option<Value>,
        parameter_iterator: Option<ParameterIterator>,
        retry_policy: Option<RetryPolicy>,
        iterator_policy: IteratorPolicy,
    }
    TaskInfo { name: String, }
    TaskInputs { parameters: BTreeMap<String, TaskParameter>, artifacts: BTreeMap<String, TaskArtifact>, }
    TaskParameter {
        task_output_parameter: Option<OutputParameterOf>,
        runtime_value: Option<RuntimeValue>,
        component_input_parameter: Option<String>,
        task_final_status: Option<FinalStatusOf>,
        parameter_expression_selector: String,
    }
    OutputParameterOf { producer_task: String, output_parameter_key: String, }
    RuntimeValue { constant: Option<Value>, constant_value: Option<ConstantValue>, runtime_parameter: Option<String>, }
    ConstantValue { int_value: Option<Value>, double_value: Option<Value>, string_value: Option<Value>, }
    FinalStatusOf { producer_task: String, }
    TaskArtifact { task_output_artifact: Option<OutputArtifactOf>, component_input_artifact: Option<String>, }
    OutputArtifactOf { producer_task: String, output_artifact_key: String, }
    CachingOptions { enable_cache: bool, cache_key: String, }
    ComponentRef { name: String, }
    TriggerPolicy { condition: String, strategy: String, }
    ParameterIterator { items: Items, item_input: String, }
    Items { raw: Option<String>, input_parameter: Option<String>, }
    RetryPolicy { max_retry_count: u32, backoff_duration: String, backoff_factor: f64, backoff_max_duration: String, }
    IteratorPolicy { parallelism_limit: u32, }
    /// `ExecutorSpec`.
    Executor { container: Option<Container>, importer: Option<Value>, resolver: Option<Value>, custom_job: Option<Value>, }
    Container {
        image: String,
        command: Vec<String>,
        args: Vec<String>,
        lifecycle: Option<Value>,
        resources: Resources,
        env: Vec<Variable>,
    }
    Variable { name: String, value: String, }
    Resources {
        cpu_limit: Option<Value>,
        memory_limit: Option<Value>,
        cpu_request: Option<Value>,
        memory_request: Option<Value>,
        resource_cpu_limit: Option<String>,
        resource_memory_limit: Option<String>,
        resource_cpu_request: Option<String>,
        resource_memory_request: Option<String>,
        accelerator: Option<Accelerator>,
    }
    Accelerator {
        r#type: Option<String>,
        count: Option<Value>,
        resource_type: Option<String>,
        resource_count: Option<Value>,
    }
}
