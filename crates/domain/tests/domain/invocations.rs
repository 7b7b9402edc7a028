//! MLflow's `/invocations`, as its users send it.

use domain::inference::{
    Datatype, InferRequest, InferResponse, Invocation, Predictions, Tensor, TensorData, TensorSpec, feature_names,
};
use domain::model::{Signature, SignatureField};
use serde_json::{Value, json};

fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
    TensorSpec { name: name.into(), datatype, shape: shape.into() }
}

/// A matrix of four features.
fn matrix() -> Vec<TensorSpec> {
    vec![spec("x", Datatype::Fp32, &[-1, 4])]
}

/// One input for each column, as skl2onnx exports a pipeline over a data frame.
fn by_column() -> Vec<TensorSpec> {
    vec![
        spec("age", Datatype::Fp32, &[-1, 1]),
        spec("visits", Datatype::Int64, &[-1, 1]),
        spec("city", Datatype::Bytes, &[-1, 1]),
    ]
}

fn invoke(body: &Value, inputs: &[TensorSpec], features: &[&str]) -> Result<InferRequest, String> {
    let features: Vec<String> = features.iter().map(ToString::to_string).collect();
    let request = Invocation::parse(body.to_string().as_bytes())
        .and_then(|invocation| invocation.into_request(inputs, &features));
    let request = request.map_err(|error| error.message)?;
    request.check(inputs, &[]).map_err(|error| error.message)?;
    Ok(request)
}

#[test]
fn every_form_of_invocation_fills_a_matrix() {
    let forms = [
        json!({"dataframe_split": {"columns": ["a", "b", "c", "d"], "index": [0, 1], "data": [[1, 2, 3, 4], [5, 6, 7, 8.5]]}}),
        json!({"dataframe_split": {"columns": [0, 1, 2, 3], "data": [[1, 2, 3, 4], [5, 6, 7, 8.5]]}, "params": {"x": 1}}),
        json!({"dataframe_split": {"data": [[1, 2, 3, 4], [5, 6, 7, 8.5]]}}),
        json!({"dataframe_records": [{"a": 1, "b": 2, "c": 3, "d": 4}, {"d": 8.5, "a": 5, "b": 6, "c": 7}]}),
        json!({"instances": [[1, 2, 3, 4], [5, 6, 7, 8.5]]}),
        json!({"instances": [{"x": [1, 2, 3, 4]}, {"x": [5, 6, 7, 8.5]}]}),
        json!({"inputs": [[1, 2, 3, 4], [5, 6, 7, 8.5]]}),
        json!({"inputs": {"x": [[1, 2, 3, 4], [5, 6, 7, 8.5]]}}),
        json!({"inputs": {"a": [1, 5], "b": [2, 6], "c": [3, 7], "d": [4, 8.5]}, "instances": null}),
    ];
    let data = TensorData::Fp32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.5]);
    let expected = Tensor { name: "x".into(), shape: vec![2, 4], data };
    for form in forms {
        assert_eq!(
            invoke(&form, &matrix(), &[]).unwrap_or_else(|error| panic!("{form}: {error}")).inputs,
            std::slice::from_ref(&expected),
            "{form}"
        );
    }
}

#[test]
fn columns_are_put_in_the_order_of_the_signature_and_others_left_out() {
    let body = json!({"dataframe_records": [{"id": "p-1", "d": 4, "c": true, "b": 2, "a": 1}]});
    let request = invoke(&body, &matrix(), &["a", "b", "c", "d"]).unwrap();
    assert_eq!(request.inputs[0].data, TensorData::Fp32(vec![1.0, 2.0, 1.0, 4.0]));
}

#[test]
fn every_form_of_invocation_fills_named_columns() {
    let forms = [
        json!({"dataframe_split": {"columns": ["city", "age", "visits"], "data": [["Bern", 30.5, 2], ["Graz", 41, 0]]}}),
        json!({"dataframe_split": {"data": [[30.5, 2, "Bern"], [41, 0, "Graz"]]}}),
        json!({"dataframe_records": [{"age": 30.5, "visits": 2, "city": "Bern"}, {"age": 41, "visits": 0, "city": "Graz", "note": "x"}]}),
        json!({"instances": [{"age": 30.5, "visits": 2, "city": "Bern"}, {"age": 41, "visits": 0, "city": "Graz"}]}),
        json!({"inputs": {"age": [30.5, 41], "visits": [2, 0], "city": ["Bern", "Graz"]}}),
        json!({"inputs": {"age": [[30.5], [41]], "visits": [[2], [0]], "city": [["Bern"], ["Graz"]]}}),
    ];
    for form in forms {
        let request = invoke(&form, &by_column(), &[]).unwrap_or_else(|error| panic!("{form}: {error}"));
        let data: Vec<_> = request.inputs.into_iter().map(|tensor| (tensor.shape, tensor.data)).collect();
        assert_eq!(data[0], (vec![2, 1], TensorData::Fp32(vec![30.5, 41.0])), "{form}");
        assert_eq!(data[1], (vec![2, 1], TensorData::Int64(vec![2, 0])), "{form}");
        assert_eq!(data[2], (vec![2, 1], TensorData::Bytes(vec!["Bern".into(), "Graz".into()])), "{form}");
    }
}

#[test]
fn a_missing_cell_is_a_gap_where_the_model_takes_one() {
    let body = json!({"dataframe_records": [{"age": 30, "visits": 1, "city": "Bern"}, {"visits": 2, "city": "Graz"}]});
    let request = invoke(&body, &by_column(), &[]).unwrap();
    let TensorData::Fp32(ages) = &request.inputs[0].data else { panic!("{request:?}") };
    assert!(ages[1].is_nan());

    let body = json!({"dataframe_records": [{"age": 30, "visits": 1, "city": "Bern"}, {"age": 31, "visits": 2}]});
    assert_eq!(invoke(&body, &by_column(), &[]).unwrap_err(), "Input \"city\" has text, and its value 1 is missing.");
}

#[test]
fn an_invocation_that_does_not_fit_is_refused_with_what_is_wrong() {
    let split = |columns: Value, data: Value| json!({"dataframe_split": {"columns": columns, "data": data}});
    let cases = [
        (json!({}), "A request has exactly one of dataframe_split, dataframe_records, instances and inputs."),
        (
            json!({"instances": [[1]], "inputs": [[1]]}),
            "A request has exactly one of dataframe_split, dataframe_records, instances and inputs.",
        ),
        (json!({"instances": []}), "The request has no rows."),
        (json!({"dataframe_records": []}), "The request has no rows."),
        (split(json!(["a"]), json!([])), "The request has no rows."),
        (split(json!(["a", "b", "c"]), json!([[1, 2, 3]])), "3 columns were sent, the model takes 4 in input \"x\"."),
        (split(json!(["a", "b"]), json!([[1, 2, 3]])), "dataframe_split names 2 columns, its rows have 3."),
        (split(json!(["a", "a"]), json!([[1, 2]])), "dataframe_split names the column \"a\" twice."),
        (split(json!(["a", "b", "c", "d"]), json!([[1, 2, 3, "four"]])), "Column \"d\" is FP32, and its data is text."),
        (
            split(json!(["a", "b", "c", "d"]), json!([[1, 2, 3, 4], [1, 2, 3, "x"]])),
            "Column \"d\" has numbers, and its value 1 is text.",
        ),
        (
            split(json!(["a", "b", "c", "d"]), json!([[1, 2, 3, [4]]])),
            "Column \"d\" has lists where single values are expected.",
        ),
        (
            json!({"inputs": {"a": [1, 2], "b": [1], "c": [1, 2], "d": [1, 2]}}),
            "Column \"b\" is of length 1, the first column of length 2.",
        ),
        (json!({"instances": [[1, 2, 3]]}), "Input \"x\" has shape [1,3], the model takes [-1,4]."),
        (json!({"instances": [1, 2, 3, 4]}), "Input \"x\" has shape [4], the model takes [-1,4]."),
        (json!({"instances": [[1, 2, 3, 4], [1]]}), "Input \"x\" has lists of different lengths."),
    ];
    for (body, message) in cases {
        assert_eq!(invoke(&body, &matrix(), &[]).unwrap_err(), message, "{body}");
    }

    let body = split(json!(["a", "b", "c", "e"]), json!([[1, 2, 3, 4]]));
    let error = invoke(&body, &matrix(), &["a", "b", "c", "d"]).unwrap_err();
    assert_eq!(error, "Column \"d\" is missing; the model takes \"a\", \"b\", \"c\", \"d\".");

    let takes = "\"age\" (FP32 [-1,1]), \"visits\" (INT64 [-1,1]), \"city\" (BYTES [-1,1])";
    let error = invoke(&split(json!(["age", "city"]), json!([[1, "Bern"]])), &by_column(), &[]).unwrap_err();
    assert_eq!(error, format!("Column \"visits\" is missing; the model takes {takes}."));
    let error = invoke(&json!({"instances": [[1, 2, 3]]}), &by_column(), &[]).unwrap_err();
    assert_eq!(
        error,
        format!("The model takes 3 named inputs; send dataframe_split, dataframe_records or named inputs: {takes}.")
    );
    let error = invoke(&json!({"dataframe_split": {"data": [[1, 2]]}}), &by_column(), &[]).unwrap_err();
    assert_eq!(error, format!("2 columns were sent, the model takes 3: {takes}."));
    let error =
        invoke(&split(json!(["age", "visits", "city"]), json!([[1, 2.5, "Bern"]])), &by_column(), &[]).unwrap_err();
    assert_eq!(error, "Input \"visits\" is INT64, and its value 0, 2.5, is not a whole number of that type.");
}

#[test]
fn an_invocation_that_is_not_understood_says_where_it_breaks() {
    let cases = [
        (
            json!({"data": [1]}),
            "unknown field `data`, expected one of `dataframe_split`, `dataframe_records`, `instances`, `inputs`, `params`",
        ),
        (json!(1), "expected an object with dataframe_split, dataframe_records, instances or inputs"),
        (json!({"dataframe_split": {"columns": ["a"]}}), "missing field `data`"),
        (json!({"dataframe_split": {"columns": [true], "data": [[1]]}}), "the name of a column is a text or a number"),
        (json!({"dataframe_split": {"data": [[1, 2], [1]]}}), "row 1 has 1 values, the first row has 2"),
        (json!({"dataframe_split": {"data": [[1], [1, 2, 3]]}}), "row 1 has 3 values, the first row has 1"),
        (json!({"dataframe_split": {"data": [1]}}), "expected a row, which is a list of values"),
        (json!({"dataframe_records": [[1]]}), "expected an object with a value for each column"),
        (json!({"instances": [[1], {"a": 1}]}), "instances are either all objects or all lists"),
        (json!({"instances": {"a": 1}}), "expected a list of instances"),
        (json!({"inputs": 3}), "expected a list of rows, or an object with a list for each input"),
    ];
    for (body, part) in cases {
        let message = Invocation::parse(body.to_string().as_bytes()).unwrap_err().message;
        assert!(message.starts_with("The request is not understood: ") && message.contains(part), "{body}: {message}");
    }
    for twice in [r#"{"inputs": {"a": [1], "a": [2]}}"#, r#"{"dataframe_records": [{"a": 1, "a": 2}]}"#] {
        assert!(Invocation::parse(twice.as_bytes()).unwrap_err().message.contains("\"a\" is given twice"), "{twice}");
    }
}

#[test]
fn predictions_are_plain_lists() {
    let answer = |outputs: Vec<(&str, Vec<usize>, TensorData)>| {
        let outputs =
            outputs.into_iter().map(|(name, shape, data)| Tensor { name: name.into(), shape, data }).collect();
        let response = InferResponse { model_name: "m".into(), model_version: None, id: None, outputs };
        serde_json::to_value(Predictions(&response)).unwrap()
    };
    let column = ("variable", vec![2, 1], TensorData::Fp32(vec![1.5, 2.5]));
    let label = ("label", vec![2], TensorData::Bytes(vec!["no".into(), "yes".into()]));
    let matrix = ("probabilities", vec![2, 2], TensorData::Fp32(vec![0.5, 0.5, 0.25, 0.75]));
    let single = ("n", vec![1], TensorData::Int64(vec![3]));

    assert_eq!(answer(vec![column]), json!({"predictions": [1.5, 2.5]}));
    assert_eq!(answer(vec![matrix.clone()]), json!({"predictions": [[0.5, 0.5], [0.25, 0.75]]}));
    assert_eq!(answer(vec![single]), json!({"predictions": [3]}));
    assert_eq!(
        answer(vec![label, matrix]),
        json!({"predictions": {"label": ["no", "yes"], "probabilities": [[0.5, 0.5], [0.25, 0.75]]}})
    );
}

#[test]
fn few_bytes_do_not_become_a_large_table_of_gaps() {
    // Few bytes that would fill a large table with gaps.
    let sparse = format!("[{}{{}}]", (0..2000).map(|i| format!("{{\"c{i}\": 1}},")).collect::<String>());
    let body = format!(r#"{{"dataframe_records": {sparse}}}"#);
    assert!(Invocation::parse(body.as_bytes()).unwrap_err().message.contains("a request holds at most 1048576 values"));
}

#[test]
fn a_signature_of_columns_names_the_features() {
    let field = |name: Option<&str>, shape: Option<Vec<i64>>| SignatureField {
        name: name.map(Into::into),
        dtype: "double".into(),
        shape,
        optional: false,
    };
    let signature = |inputs| Signature { inputs, outputs: vec![] };

    assert_eq!(
        feature_names(&signature(vec![field(Some("age"), None), field(Some("income"), None)])),
        ["age", "income"]
    );
    assert!(feature_names(&signature(vec![field(None, Some(vec![-1, 4]))])).is_empty());
    assert!(feature_names(&signature(vec![field(None, None)])).is_empty());
}
