//! Requests of the Open Inference Protocol v2, as clients send them.

use domain::inference::{
    Datatype, InferRequest, InferResponse, MAX_ELEMENTS, MAX_ROWS, Parameter, Tensor, TensorData, TensorSpec, columns,
};
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

fn parse(body: &Value) -> Result<InferRequest, domain::Error> {
    InferRequest::parse(body.to_string().as_bytes())
}

fn input(value: Value) -> Value {
    json!({"inputs": [value]})
}

#[test]
fn flat_and_nested_data_are_the_same_tensor() {
    let flat =
        parse(&input(json!({"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6.5]}))).unwrap();
    let nested =
        parse(&input(json!({"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [[1, 2, 3], [4, 5, 6.5]]})))
            .unwrap();

    assert_eq!(flat, nested);
    assert_eq!(flat.rows(), 2);
    let data = TensorData::Fp32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.5]);
    assert_eq!(flat.inputs, [Tensor { name: "x".into(), shape: vec![2, 3], data }]);
}

#[test]
fn every_datatype_is_read_exactly() {
    let cases = [
        ("BOOL", json!([true, false]), TensorData::Bool(vec![true, false])),
        ("INT8", json!([-128, 127]), TensorData::Int8(vec![-128, 127])),
        ("INT16", json!([-32768, 32767]), TensorData::Int16(vec![-32768, 32767])),
        ("INT32", json!([i32::MIN, i32::MAX]), TensorData::Int32(vec![i32::MIN, i32::MAX])),
        ("INT64", json!([i64::MIN, i64::MAX]), TensorData::Int64(vec![i64::MIN, i64::MAX])),
        ("UINT8", json!([0, 255]), TensorData::Uint8(vec![0, 255])),
        ("UINT16", json!([0, 65535]), TensorData::Uint16(vec![0, 65535])),
        ("UINT32", json!([0, u32::MAX]), TensorData::Uint32(vec![0, u32::MAX])),
        ("UINT64", json!([0, u64::MAX]), TensorData::Uint64(vec![0, u64::MAX])),
        ("FP32", json!([0.1, -3]), TensorData::Fp32(vec![0.1, -3.0])),
        ("FP64", json!([0.1, 1e300]), TensorData::Fp64(vec![0.1, 1e300])),
        ("BYTES", json!(["a", "ü"]), TensorData::Bytes(vec!["a".into(), "ü".into()])),
        ("INT64", json!([1.0, 2]), TensorData::Int64(vec![1, 2])),
    ];
    for (datatype, data, expected) in cases {
        let request = parse(&input(json!({"name": "x", "shape": [2], "datatype": datatype, "data": data}))).unwrap();
        assert_eq!(request.inputs[0].data, expected, "{datatype}");
    }
}

#[test]
fn a_missing_number_is_not_a_number_to_the_model_and_null_to_the_client() {
    let request =
        parse(&input(json!({"name": "x", "shape": [3], "datatype": "FP32", "data": [1, null, 2.5]}))).unwrap();
    let TensorData::Fp32(values) = &request.inputs[0].data else { panic!("{request:?}") };
    assert!(values[0] == 1.0 && values[1].is_nan() && values[2] == 2.5);
    assert_eq!(serde_json::to_value(&request.inputs[0]).unwrap()["data"], json!([1.0, null, 2.5]));
}

#[test]
fn the_id_the_parameters_and_the_wanted_outputs_are_kept() {
    let request = parse(&json!({
        "id": "r-1",
        "parameters": {"flag": true, "depth": 3, "temperature": 0.5, "mode": "fast"},
        "inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "parameters": {"a": 1}, "data": [1]}],
        "outputs": [{"name": "label", "parameters": {"binary_data": false}}],
    }))
    .unwrap();

    assert_eq!(request.id.as_deref(), Some("r-1"));
    assert_eq!(request.parameters["flag"], Parameter::Bool(true));
    assert_eq!(request.parameters["depth"], Parameter::Int(3));
    assert_eq!(request.parameters["temperature"], Parameter::Float(0.5));
    assert_eq!(request.parameters["mode"], Parameter::Text("fast".into()));
    assert_eq!(request.outputs, ["label"]);
}

#[test]
fn what_is_wrong_in_itself_is_refused_with_its_place() {
    let cases = [
        (
            json!({"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [1, 2]}),
            "shape",
            "Input \"x\" has shape [2,3], and its data has 2 values.",
        ),
        (
            json!({"name": "x", "shape": [2], "datatype": "FP32", "data": [1]}),
            "shape",
            "Input \"x\" has shape [2], and its data has 1 value.",
        ),
        (
            json!({"name": "x", "shape": [3, 2], "datatype": "FP32", "data": [[1, 2, 3], [4, 5, 6]]}),
            "shape",
            "Input \"x\" has shape [3,2], and its data is nested as [2,3].",
        ),
        (
            json!({"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3]]}),
            "shape",
            "Input \"x\" has lists of different lengths.",
        ),
        (
            json!({"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2, 3], 4]}),
            "shape",
            "Input \"x\" has lists of different lengths.",
        ),
        (
            json!({"name": "x", "shape": [2, 0], "datatype": "FP32", "data": [[], []]}),
            "shape",
            "Input \"x\" has no values.",
        ),
        (
            json!({"name": "x", "shape": [-1, 2], "datatype": "FP32", "data": [1, 2]}),
            "shape",
            "Input \"x\" has shape [-1,2]; a request gives exact lengths.",
        ),
        (
            json!({"name": "x", "shape": [i64::MAX, i64::MAX], "datatype": "FP32", "data": [1]}),
            "shape",
            "Input \"x\" has shape [9223372036854775807,9223372036854775807], and its data has 1 value.",
        ),
        (
            json!({"name": "x", "shape": [1], "datatype": "FP32", "data": 1}),
            "shape",
            "Input \"x\" has a single value where a list is expected.",
        ),
        (
            json!({"name": "x", "shape": [1], "datatype": "FP16", "data": [1]}),
            "datatype",
            "Input \"x\" is FP16, which JSON does not carry; send FP32.",
        ),
        (
            json!({"name": "x", "shape": [1], "datatype": "float", "data": [1]}),
            "datatype",
            "Input \"x\" has the unknown datatype \"float\".",
        ),
        (
            json!({"name": "x", "shape": [1], "datatype": "FP32"}),
            "data",
            "Input \"x\" has no data; only data in the JSON is read.",
        ),
        (
            json!({"name": "x", "shape": [2], "datatype": "FP32", "data": [1, "a"]}),
            "data",
            "Input \"x\" has numbers, and its value 1 is text.",
        ),
        (
            json!({"name": "x", "shape": [2], "datatype": "BYTES", "data": ["a", null]}),
            "data",
            "Input \"x\" has text, and its value 1 is missing.",
        ),
        (
            json!({"name": "x", "shape": [2], "datatype": "BYTES", "data": [null, "a"]}),
            "data",
            "Input \"x\" has text, and its value 0 is missing.",
        ),
        (
            json!({"name": "x", "shape": [2], "datatype": "FP32", "data": ["a", "b"]}),
            "data",
            "Input \"x\" is FP32, and its data is text.",
        ),
        (
            json!({"name": "x", "shape": [1], "datatype": "BYTES", "data": [1]}),
            "data",
            "Input \"x\" is BYTES, and its data is numbers.",
        ),
        (
            json!({"name": "x", "shape": [1], "datatype": "BYTES", "data": ["a\u{0}b"]}),
            "data",
            "Input \"x\" has a zero byte in its value 0.",
        ),
        (
            json!({"name": "x", "shape": [1], "datatype": "BOOL", "data": [1]}),
            "data",
            "Input \"x\" is BOOL, and its data is numbers.",
        ),
        (
            json!({"name": "x", "shape": [1], "datatype": "FP32", "data": [true]}),
            "data",
            "Input \"x\" is FP32, and its data is true and false.",
        ),
        (
            json!({"name": "x", "shape": [2], "datatype": "INT8", "data": [1, 300]}),
            "data",
            "Input \"x\" is INT8, and its value 1, 300, does not fit.",
        ),
        (
            json!({"name": "x", "shape": [1], "datatype": "UINT64", "data": [-1]}),
            "data",
            "Input \"x\" is UINT64, and its value 0, -1, does not fit.",
        ),
        (
            json!({"name": "x", "shape": [2], "datatype": "INT64", "data": [1, 1.5]}),
            "data",
            "Input \"x\" is INT64, and its value 1, 1.5, is not a whole number of that type.",
        ),
        (
            json!({"name": "x", "shape": [2], "datatype": "INT64", "data": [1, null]}),
            "data",
            "Input \"x\" is INT64, and its value 1 is missing.",
        ),
        (
            json!({"name": "x", "shape": [1], "datatype": "FP32", "data": [1e300]}),
            "data",
            "Input \"x\" is FP32, and its value 0, 1e300, does not fit.",
        ),
    ];
    for (wrong, part, message) in cases {
        let error = parse(&input(wrong.clone())).expect_err(&wrong.to_string());
        assert_eq!(
            (error.message.as_str(), error.field.as_deref()),
            (message, Some(format!("/inputs/0/{part}").as_str()))
        );
    }
}

#[test]
fn what_is_not_a_request_is_refused_with_where_it_breaks() {
    let cases = [
        ("", "The body is not JSON: EOF while parsing a value at line 1 column 0."),
        ("{\"inputs\": [", "The body is not JSON: EOF while parsing a list at line 1 column 12."),
        (" []", "The request is a list; it has to be an object."),
        (
            "7",
            "The request is not understood: invalid type: integer `7`, expected an object with \"inputs\" at line 1 column 1.",
        ),
        ("{}", "The request is not understood: missing field `inputs` at line 1 column 2."),
        (
            "{\"inputs\": [{\"name\": \"x\", \"shape\": [1], \"datatype\": \"FP32\", \"data\": [{}]}]}",
            "The request is not understood: an object where a value or a list of values is expected at line 1 column 71.",
        ),
        (
            "{\"inputs\": [], \"parameters\": {\"a\": [1]}}",
            "The request is not understood: a parameter is a text, a number, true or false at line 1 column 39.",
        ),
    ];
    for (body, message) in cases {
        assert_eq!(InferRequest::parse(body.as_bytes()).unwrap_err().message, message, "{body}");
    }
    assert!(InferRequest::parse(&[0xff, 0xfe]).is_err());
}

#[test]
fn what_the_model_does_not_take_is_refused_with_what_it_takes() {
    let x = |shape: Value, datatype: &str, data: Value| json!({"name": "x", "shape": shape, "datatype": datatype, "data": data});
    let outputs = [spec("label", Datatype::Int64, &[-1])];
    let cases = [
        (
            json!({"inputs": [x(json!([2, 3]), "FP32", json!([1, 2, 3, 4, 5, 6]))]}),
            "/inputs/0/shape",
            "Input \"x\" has shape [2,3], the model takes [-1,4].",
        ),
        (
            json!({"inputs": [x(json!([4]), "FP32", json!([1, 2, 3, 4]))]}),
            "/inputs/0/shape",
            "Input \"x\" has shape [4], the model takes [-1,4].",
        ),
        (
            json!({"inputs": [x(json!([1, 4]), "FP64", json!([1, 2, 3, 4]))]}),
            "/inputs/0/datatype",
            "Input \"x\" is FP64, the model takes FP32.",
        ),
        (
            json!({"inputs": [{"name": "y", "shape": [1], "datatype": "FP32", "data": [1]}]}),
            "/inputs/0/name",
            "The model has no input \"y\"; it takes \"x\" (FP32 [-1,4]).",
        ),
        (json!({"inputs": []}), "/inputs", "Input \"x\" (FP32 [-1,4]) is missing."),
        (
            json!({"inputs": [x(json!([1, 4]), "FP32", json!([1, 2, 3, 4])), x(json!([1, 4]), "FP32", json!([1, 2, 3, 4]))]}),
            "/inputs/1/name",
            "Input \"x\" is given twice.",
        ),
        (
            json!({"inputs": [x(json!([1, 4]), "FP32", json!([1, 2, 3, 4]))], "outputs": [{"name": "label"}, {"name": "probability"}]}),
            "/outputs/1/name",
            "The model has no output \"probability\"; it gives \"label\" (INT64 [-1]).",
        ),
    ];
    for (body, field, message) in cases {
        let error = parse(&body).unwrap().check(&matrix(), &outputs).unwrap_err();
        assert_eq!((error.message.as_str(), error.field.as_deref()), (message, Some(field)));
    }
}

#[test]
fn inputs_of_different_numbers_of_rows_are_refused() {
    let request = parse(&json!({"inputs": [
        {"name": "age", "shape": [2, 1], "datatype": "FP32", "data": [1, 2]},
        {"name": "visits", "shape": [2, 1], "datatype": "INT64", "data": [1, 2]},
        {"name": "city", "shape": [3, 1], "datatype": "BYTES", "data": ["a", "b", "c"]},
    ]}))
    .unwrap();
    assert_eq!(
        request.check(&by_column(), &[]).unwrap_err().message,
        "Input \"age\" has 2 rows and input \"city\" has 3."
    );
}

#[test]
fn a_request_is_bounded_while_it_is_read() {
    let long = format!("[{}1]", "1,".repeat(MAX_ELEMENTS));
    let body = format!(r#"{{"inputs": [{{"name": "x", "shape": [1], "datatype": "FP32", "data": {long}}}]}}"#);
    assert!(
        InferRequest::parse(body.as_bytes()).unwrap_err().message.contains("a request holds at most 1048576 values")
    );

    let half = format!("[{}1]", "1,".repeat(MAX_ELEMENTS / 2));
    let one = format!(r#"{{"name": "x", "shape": [{}], "datatype": "FP32", "data": {half}}}"#, MAX_ELEMENTS / 2 + 1);
    let body = format!(r#"{{"inputs": [{one}, {one}]}}"#);
    assert_eq!(InferRequest::parse(body.as_bytes()).unwrap_err().message, "A request holds at most 1048576 values.");

    let deep = format!("{}1{}", "[".repeat(9), "]".repeat(9));
    let body = format!(r#"{{"inputs": [{{"name": "x", "shape": [1], "datatype": "FP32", "data": {deep}}}]}}"#);
    assert!(InferRequest::parse(body.as_bytes()).unwrap_err().message.contains("lists nest at most 8 deep"));

    let rows = MAX_ROWS + 1;
    let many = Tensor { name: "x".into(), shape: vec![rows, 1], data: TensorData::Fp32(vec![0.0; rows]) };
    let request = InferRequest { inputs: vec![many], ..InferRequest::default() };
    let error = request.check(&[spec("x", Datatype::Fp32, &[-1, 1])], &[]).unwrap_err();
    assert_eq!(error.message, "Input \"x\" has 65537 rows; a request has at most 65536.");
}

#[test]
fn a_response_is_written_as_the_protocol_has_it() {
    let response = InferResponse {
        model_name: "churn".into(),
        model_version: Some("7".into()),
        id: None,
        outputs: vec![
            Tensor { name: "label".into(), shape: vec![2], data: TensorData::Int64(vec![1, 0]) },
            Tensor {
                name: "probabilities".into(),
                shape: vec![2, 2],
                data: TensorData::Fp32(vec![0.1, 0.9, 0.8, 0.2]),
            },
        ],
    };
    // The shortest number that reads back as the same 32 bits.
    assert_eq!(
        serde_json::to_string(&response).unwrap(),
        concat!(
            r#"{"model_name":"churn","model_version":"7","outputs":[{"name":"label","shape":[2],"datatype":"INT64","data":[1,0]},"#,
            r#"{"name":"probabilities","shape":[2,2],"datatype":"FP32","data":[0.1,0.9,0.8,0.2]}]}"#
        )
    );
}

#[test]
fn a_request_is_recorded_as_named_columns() {
    let x = Tensor { name: "x".into(), shape: vec![2, 2], data: TensorData::Fp32(vec![1.0, 2.0, f32::NAN, 4.0]) };
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let plain = |columns| Value::Object(columns);

    assert_eq!(
        plain(columns(std::slice::from_ref(&x), &names(&["age", "income"]))),
        json!({"age": [1.0, null], "income": [2.0, 4.0]})
    );
    assert_eq!(plain(columns(std::slice::from_ref(&x), &[])), json!({"x[0]": [1.0, null], "x[1]": [2.0, 4.0]}));
    assert_eq!(plain(columns(&[x], &names(&["one"]))), json!({"x[0]": [1.0, null], "x[1]": [2.0, 4.0]}));

    let age = Tensor { name: "x".into(), shape: vec![2, 1], data: TensorData::Int64(vec![1, 2]) };
    let city =
        Tensor { name: "city".into(), shape: vec![2, 1], data: TensorData::Bytes(vec!["Bern".into(), "Graz".into()]) };
    let label = Tensor { name: "label".into(), shape: vec![2], data: TensorData::Bool(vec![true, false]) };
    assert_eq!(plain(columns(std::slice::from_ref(&age), &names(&["age"]))), json!({"age": [1, 2]}));
    assert_eq!(
        plain(columns(&[age, city, label], &[])),
        json!({"x": [1, 2], "city": ["Bern", "Graz"], "label": [true, false]})
    );

    let cube = Tensor { name: "image".into(), shape: vec![2, 1, 2], data: TensorData::Uint8(vec![1, 2, 3, 4]) };
    assert_eq!(plain(columns(&[cube], &[])), json!({"image": [[1, 2], [3, 4]]}));
}

#[test]
fn the_head_of_a_tensor_is_its_first_rows_with_short_texts() {
    let x = Tensor { name: "x".into(), shape: vec![3, 2], data: TensorData::Int8(vec![1, 2, 3, 4, 5, 6]) };
    let head = x.head(2, 0);
    assert_eq!((head.shape.clone(), head.data.clone()), (vec![2, 2], TensorData::Int8(vec![1, 2, 3, 4])));
    assert_eq!(x.head(9, 0), x);

    let texts = TensorData::Bytes(vec!["short".into(), "Zürich".into(), "x".repeat(100)]);
    let city = Tensor { name: "city".into(), shape: vec![3], data: texts };
    // Two bytes would end within the ü.
    assert_eq!(city.head(2, 2).data, TensorData::Bytes(vec!["sh…".into(), "Z…".into()]));

    let single = Tensor { name: "y".into(), shape: vec![], data: TensorData::Fp32(vec![1.0]) };
    assert_eq!(single.head(5, 5), single);
}

#[test]
fn the_id_of_a_request_can_be_recorded() {
    let with = |id: String| {
        let data = json!({"name": "x", "shape": [1], "datatype": "FP32", "data": [1]});
        parse(&json!({"id": id, "inputs": [data]}))
    };
    assert_eq!(with("é".repeat(256)).unwrap().id, Some("é".repeat(256)));
    for wrong in ["a\0b".to_owned(), "é".repeat(257)] {
        let refused = with(wrong).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("/id"));
        assert_eq!(refused.message, "A request's id has at most 256 characters, none of them NUL.");
    }
}

#[test]
fn an_fp32_is_its_shortest_decimal_in_answers_and_records() {
    let widths = [0.2_f32, 2.3, -0.1, 16_777_216.0, 1e-7, f32::MAX];
    let tensor = Tensor { name: "width".into(), shape: vec![6], data: TensorData::Fp32(widths.to_vec()) };
    let answer = serde_json::to_string(&tensor).unwrap();
    assert!(answer.contains("\"data\":[0.2,2.3,-0.1,16777216.0,1e-7,"), "{answer}");
    let record = columns(&[tensor], &[]).remove("width").unwrap();
    assert_eq!(record, json!([0.2, 2.3, -0.1, 16_777_216.0, 1e-7, 3.402_823_5e38]));
    // Whoever reads it back has the same single.
    let read: Vec<f32> = record.as_array().unwrap().iter().map(|cell| cell.as_f64().unwrap() as f32).collect();
    assert_eq!(read, widths);

    let gaps = TensorData::Fp32(vec![f32::NAN, f32::INFINITY]);
    assert!((0..3).all(|at| gaps.json_at(at).is_null()));
}
