//! The description of the REST API.

use crate::app::TestApp;
use domain::permission::Role;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Every file of Rust below a folder.
fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
}

/// The names by which the types of a file are described.
fn described(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut is_described, mut renamed) = (false, None);
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_described |= line.contains("derive(") && line.contains("ToSchema");
            let of_type = line.split_once("schema(as = ").filter(|_| is_described);
            renamed = of_type.and_then(|(_, rest)| rest.split([')', ',']).next()).map(ToOwned::to_owned).or(renamed);
            continue;
        }
        // One that says of itself how it is described.
        if let Some(name) = line.strip_prefix("impl utoipa::ToSchema for ") {
            names.extend(name.split_whitespace().next().map(ToOwned::to_owned));
            continue;
        }
        let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
        if let (Some("struct" | "enum"), Some(name)) = (words.next(), words.next()) {
            let name: String = name.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
            if is_described {
                names.push(renamed.take().unwrap_or(name));
            }
            (is_described, renamed) = (false, None);
        }
    }
    names
}

/// Of two types with one name the document would hold the one that was added last, and describe the other wrongly.
#[tokio::test]
async fn no_two_types_are_described_under_one_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["crates", "app/src", "server/src"] {
        sources(&root.join(folder), &mut files);
    }
    let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in files {
        for name in described(&fs::read_to_string(&file).unwrap()) {
            places.entry(name).or_default().push(file.strip_prefix(&root).unwrap().to_owned());
        }
    }
    let twice: Vec<_> = places.iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(twice.is_empty(), "give all but one of each another name, with #[schema(as = …)]: {twice:#?}");

    // That is all of them: what the document has was found.
    let app = TestApp::start().await;
    let document = app.member(Role::Viewer).await.get("/api/v1/openapi.json").await.ok();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let ids = fs::read_to_string(root.join("crates/domain/src/id.rs")).unwrap();
    let unknown = schemas.keys().filter(|name| {
        // Identifiers are made by a macro, in one list. One of a generic type is named after both.
        if ids.contains(&format!("    {name},")) {
            return false;
        }
        let of = name.split('_').next().unwrap();
        !places.contains_key(*name) && !places.contains_key(of)
    });
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&String>::new());
}
