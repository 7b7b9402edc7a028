//! Real models in the real engine, compared with what scikit-learn answered (`scripts/fixtures/models.py`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use domain::{
    digest::Digest,
    inference::{InferRequest, Invocation, Tensor, TensorData},
};
use serde_json::{Value, json};
use serving::{Engine, Error, Model, ModelCache, default_library};
use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

fn engine() -> Engine {
    let path = env::var_os("SLIPWAY_ONNXRUNTIME").map_or_else(default_library, PathBuf::from);
    Engine::load(&path).unwrap_or_else(|error| panic!("the tests need the ONNX Runtime; run `make setup`: {error}"))
}

/// Far later than anything here takes.
fn in_time() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)).unwrap()
}

fn model(name: &str) -> Model {
    Model::from_bytes(&engine(), fixture(&format!("{name}.onnx")), in_time()).unwrap()
}

/// What the model is asked, and what scikit-learn says.
fn golden(name: &str) -> (InferRequest, Vec<Value>) {
    let golden: Value = serde_json::from_slice(&fixture(&format!("{name}.json"))).unwrap();
    let request = InferRequest::parse(golden["request"].to_string().as_bytes()).unwrap();
    (request, golden["outputs"].as_array().unwrap().clone())
}

fn assert_same(found: &Tensor, expected: &Value) {
    let found = serde_json::to_value(found).unwrap();
    for member in ["name", "shape", "datatype"] {
        assert_eq!(found[member], expected[member]);
    }
    let pairs = found["data"].as_array().unwrap().iter().zip(expected["data"].as_array().unwrap());
    for (at, (one, other)) in pairs.enumerate() {
        match (one.as_f64(), other.as_f64()) {
            // scikit-learn computed with 64 bits.
            (Some(one), Some(other)) => {
                assert!((one - other).abs() <= 1e-5 * other.abs().max(1.0), "{at}: {one}, {other}")
            }
            _ => assert_eq!(one, other, "value {at}"),
        }
    }
}

fn refusal(bytes: impl Into<Vec<u8>>) -> String {
    match Model::from_bytes(&engine(), bytes, in_time()).unwrap_err() {
        Error::Model(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn models_answer_as_scikit_learn_does() {
    for name in ["classifier", "regressor", "columns"] {
        let (request, expected) = golden(name);
        let outputs = model(name).infer(&request, in_time()).unwrap();
        assert_eq!(outputs.len(), expected.len(), "{name}");
        outputs.iter().zip(&expected).for_each(|(found, expected)| assert_same(found, expected));
    }
}

#[test]
fn a_model_says_what_it_takes_and_gives() {
    let columns = model("columns");
    let told: Vec<String> = columns.inputs().iter().chain(columns.outputs()).map(ToString::to_string).collect();
    let expected = [
        "age (FP32 [-1,1])",
        "visits (INT64 [-1,1])",
        "plan (BYTES [-1,1])",
        "label (BYTES [-1])",
        "probabilities (FP32 [-1,2])",
    ];
    assert_eq!(told, expected.map(|spec| spec.replacen(' ', "\" ", 1)).map(|spec| format!("\"{spec}")));
}

#[test]
fn only_the_outputs_asked_for_are_given_in_their_order() {
    let (mut request, expected) = golden("classifier");
    request.outputs = vec!["probabilities".into(), "label".into()];
    let outputs = model("classifier").infer(&request, in_time()).unwrap();
    assert_same(&outputs[0], &expected[1]);
    assert_same(&outputs[1], &expected[0]);

    request.outputs = vec!["label".into()];
    assert_eq!(model("classifier").infer(&request, in_time()).unwrap().len(), 1);
}

#[test]
fn a_data_frame_reaches_the_model_through_mlflows_protocol() {
    let model = model("columns");
    let body = json!({"dataframe_records": [{"plan": "pro", "age": 50, "visits": 4, "note": "x"}, {"plan": "basic", "age": 20.5, "visits": 0}]});
    let request = Invocation::parse(body.to_string().as_bytes()).unwrap().into_request(model.inputs(), &[]).unwrap();
    let outputs = model.infer(&request, in_time()).unwrap();
    assert_eq!(outputs[0].data, TensorData::Bytes(vec!["stays".into(), "leaves".into()]));
}

#[test]
fn a_request_that_does_not_fit_is_refused_before_the_engine_sees_it() {
    let model = model("classifier");
    let refused = |shape: Vec<usize>, data| {
        let inputs = vec![Tensor { name: "X".into(), shape, data }];
        model.infer(&InferRequest { inputs, ..InferRequest::default() }, in_time()).unwrap_err()
    };
    let error = refused(vec![2, 3], TensorData::Fp32(vec![0.0; 6]));
    assert!(matches!(error, Error::Request(_)));
    assert_eq!(error.to_string(), "Input \"X\" has shape [2,3], the model takes [-1,4].");
    assert_eq!(
        refused(vec![1, 4], TensorData::Fp64(vec![0.0; 4])).to_string(),
        "Input \"X\" is FP64, the model takes FP32."
    );
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    let whole = fixture("classifier.onnx");
    let not_onnx = "The file is not an ONNX model, or it is damaged.";
    for bytes in [
        vec![],
        vec![0; 100],
        b"hello world".repeat(50),
        br#"{"model": 1}"#.to_vec(),
        whole[..300].to_vec(),
        whole[..whole.len() - 1].to_vec(),
    ] {
        assert_eq!(refusal(bytes), not_onnx);
    }
    // Wherever the file ends or a byte is wrong: a refusal or a model, never a panic, and no place in any file.
    let tell = |bytes: Vec<u8>| Model::from_bytes(&engine(), bytes, in_time()).err().map(|error| error.to_string());
    let cut = (0..whole.len()).filter_map(|length| tell(whole[..length].to_vec()));
    let flipped = (0..whole.len()).filter_map(|at| {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x55;
        tell(flipped)
    });
    for said in cut.chain(flipped) {
        assert!(
            !["onnxruntime", ".cc", ".h:", env!("CARGO_MANIFEST_DIR")].iter().any(|place| said.contains(place)),
            "{said}"
        );
    }
}

#[test]
fn an_operator_that_the_engine_lacks_is_named() {
    let lacks = |operator| format!("The model uses the operator \"{operator}\", which the engine does not have.");
    assert_eq!(refusal(fixture("unknown_operator.onnx")), lacks("acme.ops:Frobnicate"));
    assert_eq!(refusal(fixture("unknown_standard_operator.onnx")), lacks("Frobnicate"));
}

#[test]
fn a_model_that_cannot_be_served_is_refused_with_what_to_do() {
    let cases = [
        (
            "zipmap",
            "Output \"output_probability\" is not a tensor but a sequence or map; export the model with zipmap=False: to_onnx(model, X, options={\"zipmap\": False}).",
        ),
        ("float16", "Input \"x\" is of type f16, which requests cannot carry; export the model with float32."),
        (
            "future_opset",
            "The model needs ONNX opset 999, which the engine does not know; export it with a lower target_opset.",
        ),
        (
            "missing_value",
            "The engine does not load the model: Invalid model. Node input 'nowhere' is not a graph input, initializer, or output of a previous node.",
        ),
    ];
    for (name, message) in cases {
        assert_eq!(refusal(fixture(&format!("{name}.onnx"))), message);
    }
}

#[test]
fn weights_beside_the_model_are_taken_from_its_files() {
    let bytes: Arc<[u8]> = [1.5_f32, -2.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let beside = vec![("weights.bin".to_owned(), bytes), ("README.md".to_owned(), Arc::from(*b"no weights"))];
    let model = Model::from_files(&engine(), fixture("external_data.onnx"), beside, in_time()).unwrap();
    let inputs = vec![Tensor { name: "x".into(), shape: vec![2, 2], data: TensorData::Fp32(vec![0.0, 0.0, 1.0, 1.0]) }];
    let request = InferRequest { inputs, ..InferRequest::default() };
    // Also by a session that is opened later.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert_eq!(
                    model.infer(&request, in_time()).unwrap()[0].data,
                    TensorData::Fp32(vec![1.5, -2.0, 2.5, -1.0])
                );
            });
        }
    });
}

#[test]
fn a_model_never_makes_the_engine_open_a_file() {
    let refused = |name: &str, beside: &[(&str, &[u8])]| {
        let beside = beside.iter().map(|(name, content)| ((*name).to_owned(), Arc::from(*content))).collect();
        Model::from_files(&engine(), fixture(&format!("{name}.onnx")), beside, in_time()).unwrap_err().to_string()
    };
    let missing = "The model keeps weights in \"weights.bin\", which is not among its files; upload it beside the model, or \
                   save the model as one file (save_as_external_data=False).";
    assert_eq!(refused("external_data", &[]), missing);
    assert_eq!(refused("external_data", &[("other.bin", &[0; 8])]), missing);
    let inside =
        "The model keeps constants of its operators in other files; save it as one file (save_as_external_data=False).";
    assert_eq!(refused("external_data_in_a_node", &[]), inside);
    assert_eq!(refused("external_data_in_a_node", &[("/etc/hostname", &[0; 8])]), inside);
    let short = refused("external_data", &[("weights.bin", &[0; 4])]);
    assert_eq!(short, "The engine does not load the model: it is not valid ONNX.");
}

#[test]
fn many_callers_are_answered_at_once_and_each_with_its_own_rows() {
    let model = Arc::new(model("classifier"));
    let (request, expected) = golden("classifier");
    let TensorData::Fp32(all) = request.inputs[0].data.clone() else { panic!() };
    let labels: Vec<i64> = serde_json::from_value(expected[0]["data"].clone()).unwrap();
    let callers = (0..16).map(|caller| {
        let (model, all, labels) = (Arc::clone(&model), all.clone(), labels.clone());
        thread::spawn(move || {
            for turn in 0..200 {
                let row = (caller * 7 + turn) % labels.len();
                let data = TensorData::Fp32(all[row * 4..(row + 1) * 4].to_vec());
                let inputs = vec![Tensor { name: "X".into(), shape: vec![1, 4], data }];
                let outputs = model.infer(&InferRequest { inputs, ..InferRequest::default() }, in_time()).unwrap();
                assert_eq!(outputs[0].data, TensorData::Int64(vec![labels[row]]));
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    callers.into_iter().for_each(|caller| caller.join().unwrap());
}

#[test]
fn a_model_that_failed_for_one_request_answers_the_next() {
    let model = model("classifier");
    let (request, expected) = golden("classifier");
    let wrong = InferRequest { inputs: vec![], ..InferRequest::default() };
    for _ in 0..20 {
        assert!(model.infer(&wrong, in_time()).is_err());
    }
    assert_same(&model.infer(&request, in_time()).unwrap()[0], &expected[0]);
}

#[test]
fn the_cache_holds_a_model_until_it_is_let_go_and_callers_keep_theirs() {
    let cache = ModelCache::new(engine());
    let bytes = fixture("classifier.onnx");
    let digest = Digest::blake3([1; 32]);
    assert!(cache.get(&digest).is_none());

    let loaded = cache.load(&digest, |engine| Model::from_bytes(engine, bytes, in_time())).unwrap();
    assert!(Arc::ptr_eq(&loaded, &cache.get(&digest).unwrap()));
    let again = cache.load(&digest, |_| -> Result<Model, Error> { panic!("it is there") });
    assert!(Arc::ptr_eq(&loaded, &again.unwrap()));
    assert!(cache.load(&Digest::blake3([2; 32]), |engine| Model::from_bytes(engine, [], in_time())).is_err());
    assert_eq!(cache.len(), 1);

    cache.retain(|kept| *kept != digest);
    assert!(cache.is_empty());
    assert!(loaded.infer(&golden("classifier").0, in_time()).is_ok());
}

#[test]
fn callers_that_load_the_same_at_once_share_one_model() {
    let cache = Arc::new(ModelCache::new(engine()));
    let digest = Digest::blake3([3; 32]);
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (cache, digest) = (Arc::clone(&cache), digest.clone());
            thread::spawn(move || {
                cache.load(&digest, |engine| Model::from_bytes(engine, fixture("regressor.onnx"), in_time())).unwrap()
            })
        })
        .collect();
    let models: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    assert!(models.iter().all(|model| Arc::ptr_eq(model, &models[0])));
    assert_eq!(cache.len(), 1);
}

/// How often the model is to negate a row of two numbers.
fn rounds(rounds: i64) -> InferRequest {
    let row = Tensor { name: "x".into(), shape: vec![1, 2], data: TensorData::Fp32(vec![1.0, -2.0]) };
    let rounds = Tensor { name: "rounds".into(), shape: vec![1], data: TensorData::Int64(vec![rounds]) };
    InferRequest { inputs: vec![row, rounds], ..InferRequest::default() }
}

#[test]
fn a_model_that_never_ends_is_stopped_at_the_deadline_and_answers_the_next() {
    let model = model("endless");
    for _ in 0..3 {
        let soon = Instant::now() + Duration::from_millis(50);
        assert_eq!(model.infer(&rounds(i64::MAX), soon), Err(Error::TooLong));
        let answer = model.infer(&rounds(3), in_time()).unwrap();
        assert_eq!(answer[0].data, TensorData::Fp32(vec![-1.0, 2.0]));
    }
}

#[test]
fn whoever_waits_for_a_session_waits_no_longer_than_the_deadline() {
    let model = model("endless");
    let callers = thread::available_parallelism().map_or(1, usize::from) + 2;
    let soon = Instant::now() + Duration::from_millis(200);
    thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| assert_eq!(model.infer(&rounds(i64::MAX), soon), Err(Error::TooLong)));
        }
    });
    assert!(model.infer(&rounds(0), in_time()).is_ok());
}

#[test]
fn a_model_is_not_loaded_after_the_deadline() {
    let past = Instant::now();
    let refused = Model::from_bytes(&engine(), fixture("regressor.onnx"), past).unwrap_err();
    assert_eq!(refused, Error::TooLong);
}
