//! Outputs of one step as inputs of another.

use crate::pipelines::engine::Engine;
use domain::pipeline::{OutputKind, OutputSpec};
use domain::step::{StepInput, StepOutput};
use executors::{ProcessExecutor, Shim, StepDir};
use services::{FileTrouble, Given, InputFiles, Source};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

async fn directory(engine: &Engine, name: &str) -> StepDir {
    let executor = ProcessExecutor::new(Shim::at("/nonexistent", &[]), engine.directory.path().join("steps"));
    executor.prepare(name, BTreeMap::new()).await.unwrap()
}

fn outputs(pairs: &[(&str, &str)]) -> BTreeMap<String, OutputSpec> {
    pairs.iter().map(|(name, path)| ((*name).to_owned(), OutputSpec::Path((*path).to_owned()))).collect()
}

fn input(name: &str, given: Given) -> InputFiles {
    let input = StepInput { name: name.to_owned(), from: "make.it".to_owned(), digest: None, version: None };
    InputFiles { input, source: Source::Output(given) }
}

#[tokio::test]
async fn a_folder_arrives_as_it_was_given() {
    let engine = Engine::start().await;
    let from = directory(&engine, "from").await;
    let work = from.work();
    fs::create_dir_all(work.join("out/deep/er")).unwrap();
    fs::write(work.join("out/model.bin"), vec![7; 300_000]).unwrap();
    fs::write(work.join("out/deep/er/run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(work.join("out/deep/er/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("deep/er", work.join("out/latest")).unwrap();
    fs::write(work.join("single.txt"), "one").unwrap();

    let given = engine
        .services
        .take_outputs(&engine.ctx(), &from, &outputs(&[("all", "out"), ("one", "single.txt")]))
        .await
        .unwrap();
    assert_eq!(
        given.iter().map(|output| (output.is_folder, output.size)).collect::<Vec<_>>(),
        [(true, 300_010), (false, 3)]
    );
    // The same content has the same name.
    assert_eq!(
        engine.services.take_outputs(&engine.ctx(), &from, &outputs(&[("all", "out")])).await.unwrap()[0],
        given[0]
    );

    let to = directory(&engine, "to").await;
    let inputs: Vec<_> = given.into_iter().map(|output| input(&output.name.clone(), Given::One(output))).collect();
    engine.services.put_inputs(&engine.ctx(), &to, &inputs).await.unwrap();
    let inputs = to.work().join("inputs");
    assert_eq!(fs::read(inputs.join("all/model.bin")).unwrap(), vec![7; 300_000]);
    assert_eq!(fs::read_to_string(inputs.join("all/latest/run.sh")).unwrap(), "#!/bin/sh\n");
    assert_eq!(fs::metadata(inputs.join("all/deep/er/run.sh")).unwrap().permissions().mode() & 0o111, 0o111);
    assert_eq!(fs::read_to_string(inputs.join("one")).unwrap(), "one");
}

#[tokio::test]
async fn links_of_an_output_do_not_lead_out_of_it_together() {
    let engine = Engine::start().await;
    let from = directory(&engine, "from").await;
    let out = from.work().join("out");
    fs::create_dir_all(out.join("a/b/c")).unwrap();
    symlink("../../..", out.join("a/b/c/p")).unwrap();
    let given = engine.services.take_outputs(&engine.ctx(), &from, &outputs(&[("all", "out")])).await;
    given.expect("a link to the folder itself stays in it");
    symlink("a/b/c/p/../../../../x", out.join("q")).unwrap();
    let refused = engine.services.take_outputs(&engine.ctx(), &from, &outputs(&[("all", "out")])).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "The output \"all\" cannot be given on: \"q\" is a link that goes up after a name; write its target with .. at \
         the start only."
    );
}

#[tokio::test]
async fn a_list_of_files_that_was_forged_puts_nothing_outside() {
    let engine = Engine::start().await;
    let artifacts = artifacts::Artifacts::open_dir(engine.directory.path().join("artifacts")).await.unwrap();
    for (number, links) in [
        r#"[{"path":"a/b/p","target":"../.."},{"path":"a/b/p/q","target":"../../../x"}]"#,
        r#"[{"path":"a/b/c/p","target":"../../.."},{"path":"q","target":"a/b/c/p/../../../../x"}]"#,
        r#"[{"path":"../q","target":"x"}]"#,
        r#"[{"path":"q","target":"/etc"}]"#,
    ]
    .into_iter()
    .enumerate()
    {
        let manifest = artifacts.put_bytes(format!(r#"{{"files":[],"links":{links}}}"#).into_bytes()).await.unwrap();
        let output = StepOutput {
            name: "all".to_owned(),
            path: "out".to_owned(),
            kind: None,
            is_folder: true,
            digest: manifest.digest,
            size: 0,
            value: None,
            version: None,
        };
        let input = input("all", Given::One(output));
        let to = directory(&engine, &format!("to-{number}")).await;
        let refused = engine.services.put_inputs(&engine.ctx(), &to, &[input]).await.unwrap_err();
        assert!(matches!(refused, FileTrouble::Step(_)), "{links}: {refused}");
    }
}

#[tokio::test]
async fn an_output_that_is_not_there_is_the_steps_fault() {
    let engine = Engine::start().await;
    let dir = directory(&engine, "dir").await;
    fs::create_dir(dir.work().join("links")).unwrap();
    symlink("/etc/passwd", dir.work().join("links/secret")).unwrap();
    let refused = |pairs: &'static [(&str, &str)]| {
        let (engine, dir) = (&engine, &dir);
        async move {
            match engine.services.take_outputs(&engine.ctx(), dir, &outputs(pairs)).await.unwrap_err() {
                FileTrouble::Step(message) => message,
                FileTrouble::Ours(message) => panic!("{message}"),
            }
        }
    };
    assert_eq!(
        refused(&[("model", "model.onnx")]).await,
        "The output \"model\" is not there: the step did not write \"model.onnx\"."
    );
    assert_eq!(
        refused(&[("all", "links")]).await,
        "The output \"all\" cannot be given on: \"secret\" is a link that leads out of it."
    );
}

#[tokio::test]
async fn a_damaged_input_is_told() {
    let engine = Engine::start().await;
    let from = directory(&engine, "from").await;
    fs::write(from.work().join("a"), "content").unwrap();
    let output = engine.services.take_outputs(&engine.ctx(), &from, &outputs(&[("a", "a")])).await.unwrap().remove(0);
    let (shard, rest) = output.digest.hex().split_at(2);
    let blob = engine.directory.path().join("artifacts/blobs").join(shard).join(rest);
    fs::write(&blob, "changed").unwrap();
    let to = directory(&engine, "to").await;
    let damaged =
        engine.services.put_inputs(&engine.ctx(), &to, &[input("one", Given::One(output.clone()))]).await.unwrap_err();
    assert_eq!(damaged.to_string(), "The stored content of the input \"one\" (make.it) is damaged.");
    fs::remove_file(&blob).unwrap();
    let gone =
        engine.services.put_inputs(&engine.ctx(), &to, &[input("two", Given::One(output.clone()))]).await.unwrap_err();
    assert_eq!(gone.to_string(), "The input \"two\" (make.it) is not in the artifact store any more.");
}

#[tokio::test]
async fn a_value_is_read_and_what_is_none_is_told() {
    let engine = Engine::start().await;
    let from = directory(&engine, "from").await;
    let outputs = BTreeMap::from([(
        "rows".to_owned(),
        OutputSpec::Typed {
            path: "rows.json".to_owned(),
            kind: OutputKind::Value,
            name: None,
            tolerance: None,
            varies: false,
        },
    )]);
    for (text, told) in [
        ("[1,", "The output \"rows\" is no value: it is not JSON"),
        ("\"a\\u0000\"", "The output \"rows\" is no value: it contains the NUL character."),
        (&"1".repeat(300_000), "The output \"rows\" is no value: it must be a file of at most 256 KiB of JSON."),
    ] {
        fs::write(from.work().join("rows.json"), text).unwrap();
        let error = engine.services.take_outputs(&engine.ctx(), &from, &outputs).await.unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
    }
    fs::write(from.work().join("rows.json"), " [1, 2]\n").unwrap();
    let given = engine.services.take_outputs(&engine.ctx(), &from, &outputs).await.unwrap().remove(0);
    assert_eq!(given.value, Some(serde_json::json!([1, 2])));

    // Of many instances: values as one list, files in folders that are called by their numbers.
    let file = StepOutput { value: None, ..given.clone() };
    let all = |one: &StepOutput| Given::Many(vec![Given::One(one.clone()), Given::One(one.clone())]);
    let inputs = [input("values", all(&given)), input("files", all(&file))];
    let to = directory(&engine, "to").await;
    engine.services.put_inputs(&engine.ctx(), &to, &inputs).await.unwrap();
    assert_eq!(fs::read_to_string(to.work().join("inputs/values")).unwrap(), "[[1,2],[1,2]]");
    assert_eq!(fs::read_to_string(to.work().join("inputs/files/1")).unwrap(), " [1, 2]\n");
}
