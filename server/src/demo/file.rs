//! The pipeline's file: what `demo/` at the root of the repository holds, as one text.

use std::path::Path;

/// The file without its scripts.
const PIPELINE: &str = include_str!("../../../demo/pipeline.yaml");
/// The folder of the Python environment that the file names.
const PLACE: &str = "/opt/cell-screening/bin";
/// The scripts of its steps.
pub(super) const SCRIPTS: [(&str, &str); 7] = [
    ("cells.py", include_str!("../../../demo/cells.py")),
    ("network.py", include_str!("../../../demo/network.py")),
    ("fetch.py", include_str!("../../../demo/fetch.py")),
    ("train.py", include_str!("../../../demo/train.py")),
    ("evaluate.py", include_str!("../../../demo/evaluate.py")),
    ("register.py", include_str!("../../../demo/register.py")),
    ("propose.py", include_str!("../../../demo/propose.py")),
];
/// What the scripts import.
pub(super) const REQUIREMENTS: &str = include_str!("../../../demo/requirements.txt");
/// The pipeline's name, which is the model's too.
pub(super) const NAME: &str = "cell-screening";

/// The whole file, for programs in this folder.
pub(super) fn whole(programs: &Path) -> String {
    let mut text = PIPELINE.replace(PLACE, &programs.to_string_lossy());
    text.push_str("\nfiles:\n");
    for (name, script) in SCRIPTS {
        text.push_str(&format!("  {name}: |\n"));
        for line in script.lines() {
            // A line of spaces only would be one of the text.
            text.push_str(if line.is_empty() { "" } else { "    " });
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The commit of the checkout that this is run in, when its scripts are these.
pub(super) async fn commit() -> Option<String> {
    let is_same = SCRIPTS
        .iter()
        .all(|(name, script)| std::fs::read_to_string(Path::new("demo").join(name)).is_ok_and(|text| text == *script));
    if !is_same {
        return None;
    }
    let asked = tokio::process::Command::new("git").args(["rev-parse", "HEAD"]).kill_on_drop(true).output();
    let answer = tokio::time::timeout(std::time::Duration::from_secs(5), asked).await.ok()?.ok()?;
    let commit = String::from_utf8(answer.stdout).ok()?.trim().to_owned();
    (answer.status.success() && commit.len() >= 40).then_some(commit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::pipeline::PipelineSpec;

    #[test]
    fn the_file_is_a_pipeline_that_brings_its_scripts() {
        let spec = PipelineSpec::parse(&whole(Path::new("/data/demo/python/bin"))).unwrap();
        assert_eq!(spec.name, NAME);
        assert_eq!(spec.steps.keys().collect::<Vec<_>>(), ["evaluate", "fetch", "propose", "register", "train"]);
        assert_eq!(spec.env["PATH"], "/data/demo/python/bin:/usr/local/bin:/usr/bin:/bin");
        for (name, script) in SCRIPTS {
            assert_eq!(spec.files[name], script);
        }
    }
}
