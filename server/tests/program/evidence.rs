//! What commands write while they run: each execution a file of its own, with a line every few hundredths of a second.
//! A file is named by step and fence; a line is `start`, `beat`, `fail` or `end` and seconds since the boot, which all processes
//! of the machine count alike.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

/// While this file is in the folder of the evidence, no step ends.
pub(crate) const HOLD: &str = "hold";

/// A pipeline of layers, each step needing all of the layer before. Every step runs for so many beats, and while it is held,
/// and leaves evidence in this folder.
pub(crate) fn pipeline(evidence: &Path, layers: &[usize], beats: usize) -> String {
    file(evidence, layers, beats, "")
}

/// The same, and one execution in ten fails after half of its beats, and is tried again at once.
pub(crate) fn failing_pipeline(evidence: &Path, layers: &[usize], beats: usize) -> String {
    file(evidence, layers, beats, "    retries: { count: 20, backoff: 0s }\n")
        .replace("note end\n", "note end\n    exit 0\n")
        .replace(
            "    for beat in",
            "    [ $((SLIPWAY_FENCE % 10)) != 3 ] || { sleep 0.1; note fail; exit 1; }\n    for beat in",
        )
}

fn file(evidence: &Path, layers: &[usize], beats: usize, more: &str) -> String {
    let mut yaml = format!(
        "name: crash
files:
  work.sh: |
    #!/bin/sh
    note() {{ read now _ < /proc/uptime; echo \"$1 $now\" >> {evidence}/$SLIPWAY_STEP.$SLIPWAY_FENCE; }}
    note start
    for beat in $(seq {beats}); do sleep 0.03; note beat; done
    while [ -e {evidence}/{HOLD} ]; do sleep 0.03; note beat; done
    cat inputs/* > out.txt 2>/dev/null
    echo $SLIPWAY_STEP >> out.txt
    note end
steps:
",
        evidence = evidence.display()
    );
    for (layer, width) in layers.iter().enumerate() {
        for step in 0..*width {
            let _ = writeln!(yaml, "  l{layer}-{step}:\n    command: ./work.sh\n    outputs: {{ out: out.txt }}");
            yaml += more;
            if layer > 0 {
                let inputs: Vec<String> =
                    (0..layers[layer - 1]).map(|from| format!("i{from}: l{}-{from}.out", layer - 1)).collect();
                let _ = writeln!(yaml, "    inputs: {{ {} }}", inputs.join(", "));
            }
        }
    }
    yaml
}

/// One execution of a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Execution {
    pub(crate) fence: i64,
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) has_ended: bool,
}

/// All executions, by step, in the order of their fences.
pub(crate) fn read(evidence: &Path) -> BTreeMap<String, Vec<Execution>> {
    let mut executions: BTreeMap<String, Vec<Execution>> = BTreeMap::new();
    for file in fs::read_dir(evidence).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some((step, fence)) = name.rsplit_once('.') else { continue };
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<(&str, f64)> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(what, at)| (what, at.parse().unwrap()))
            .collect();
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { continue };
        executions.entry(step.to_owned()).or_default().push(Execution {
            fence: fence.parse().unwrap(),
            first: first.1,
            last: last.1,
            has_ended: last.0 == "end",
        });
    }
    executions.values_mut().for_each(|executions| executions.sort_by_key(|execution| execution.fence));
    executions
}

/// How many executions there were, and how many of them were broken off.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) executions: usize,
    pub(crate) broken_off: usize,
}

/// Makes sure that every step of these layers ran to its end, that no two executions of a step overlap in time, and that
/// none began before those it needs had ended.
pub(crate) fn check(evidence: &Path, layers: &[usize]) -> Found {
    let executions = read(evidence);
    let steps: usize = layers.iter().sum();
    assert_eq!(executions.len(), steps, "every step ran");
    for (step, executions) in &executions {
        for pair in executions.windows(2) {
            assert!(pair[1].first > pair[0].last, "{step} ran twice at once: {pair:#?}");
        }
        assert!(executions.last().unwrap().has_ended, "{step} ran to its end: {executions:#?}");
    }
    for layer in 1..layers.len() {
        let ended = (0..layers[layer - 1]).map(|step| {
            let needed = &executions[&format!("l{}-{step}", layer - 1)];
            needed
                .iter()
                .filter(|execution| execution.has_ended)
                .map(|execution| execution.last)
                .fold(f64::MAX, f64::min)
        });
        let ended = ended.fold(f64::MIN, f64::max);
        for step in 0..layers[layer] {
            let first = executions[&format!("l{layer}-{step}")][0].first;
            assert!(first >= ended, "l{layer}-{step} began at {first}, before all it needs had ended at {ended}");
        }
    }
    let all = executions.values().flatten();
    Found { executions: all.clone().count(), broken_off: all.filter(|execution| !execution.has_ended).count() }
}
