//! Running a run again: which of its steps run, and which are carried over.
//!
//! A step is carried over when it succeeded, nothing before it runs again, and it reads no param that has another value
//! now.

use super::StepState;
use crate::{
    error::Error,
    pipeline::{Invocation, ListRef, MapSpec, ParamValue, PipelineSpec, Work, env_name},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    str::FromStr,
};

/// From where a run is done again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RerunFrom {
    /// From the beginning: every step.
    Start,
    /// From the steps that did not succeed.
    Failed,
    /// From this step.
    Step(String),
}

impl FromStr for RerunFrom {
    type Err = Infallible;

    /// `start`, `failed`, or the name of a step; `step:failed` is a step of such a name.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "start" => Self::Start,
            "failed" => Self::Failed,
            step => Self::Step(step.strip_prefix("step:").unwrap_or(step).to_owned()),
        })
    }
}

impl PipelineSpec {
    /// The steps that are carried over when a run whose steps stood like this is done again. All others run.
    ///
    /// # Errors
    /// `Invalid` of the field `from` for a step that there is not, `Conflict` when nothing would run.
    pub fn carried(
        &self,
        states: &BTreeMap<String, StepState>,
        from: &RerunFrom,
        before: &BTreeMap<String, ParamValue>,
        after: &BTreeMap<String, ParamValue>,
    ) -> Result<BTreeSet<String>, Error> {
        if *from == RerunFrom::Start {
            return Ok(BTreeSet::new());
        }
        let succeeded = |step: &str| states.get(step) == Some(&StepState::Succeeded);
        let runs_first = |step: &String| {
            !succeeded(step)
                || matches!(from, RerunFrom::Step(name) if name == step)
                || self.reads_what_changed(&[step.as_str()], before, after)
        };
        let mut runs: BTreeSet<&str> = self.steps.keys().filter(|step| runs_first(step)).map(String::as_str).collect();
        if let RerunFrom::Step(name) = from
            && !self.steps.contains_key(name)
        {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            let names: Vec<&str> = self.steps.keys().map(String::as_str).take(20).collect();
            let text = format!("There is no step \"{shown}\"; there are {}.", names.join(", "));
            return Err(Error::invalid_field("from", text));
        }
        if runs.is_empty() {
            return Err(Error::conflict(
                "Every step succeeded, and no param that a step reads is another. Run it again from a step, or from the \
                 start.",
            ));
        }
        let graph = self.graph();
        for step in graph.layers().into_iter().flatten() {
            if graph.needs(step).any(|need| runs.contains(need)) {
                runs.insert(step);
            }
        }
        Ok(self.steps.keys().filter(|step| !runs.contains(step.as_str())).cloned().collect())
    }

    /// Whether a step reads a param that has another value: it is filled into its command or environment; or its condition,
    /// its script, or a file of the pipeline that it uses, names the variable; or it is mapped over it; or a step inside of it
    /// does so.
    fn reads_what_changed(
        &self,
        place: &[&str],
        before: &BTreeMap<String, ParamValue>,
        after: &BTreeMap<String, ParamValue>,
    ) -> bool {
        let Some(step) = self.step(place) else { return true };
        let is_other = |name: &str| before.get(name) != after.get(name);
        let is_mapped = matches!(&step.map, Some(MapSpec { over: ListRef::Param(name), .. }) if is_other(name));
        let condition = step.condition.as_deref().unwrap_or_default();
        if is_mapped || self.params.keys().any(|name| is_other(name) && names(condition, name)) {
            return true;
        }
        if let Some(inner) = step.steps() {
            return inner.keys().any(|name| {
                let place: Vec<&str> = place.iter().copied().chain([name.as_str()]).collect();
                self.reads_what_changed(&place, before, after)
            });
        }
        let items = BTreeMap::new();
        match &step.work {
            // People saw all of them.
            Work::Approval(_) => return before != after,
            // All of them are set in it.
            Work::Notebook(_) | Work::Pipeline(_) => {
                return self.values(place, before, &items) != self.values(place, after, &items);
            }
            Work::Command(_) | Work::Steps(_) => {}
        }
        let invocation = |params| self.invocation(place, &self.values(place, params, &items));
        let (Some(old), Some(new)) = (invocation(before), invocation(after)) else { return true };
        let params: BTreeSet<String> = self.params.keys().map(|name| env_name("PARAM", name)).collect();
        let is_changed = |name: &&String| old.env.get(*name) != new.env.get(*name);
        let changed: Vec<&String> = new.env.keys().filter(is_changed).collect();
        if old.argv != new.argv || changed.iter().any(|name| !params.contains(*name)) {
            return true;
        }
        if changed.is_empty() {
            return false;
        }
        let texts = self.texts_of(&new);
        texts.iter().any(|text| changed.iter().any(|name| names(text, name)) || puts_names_together(text, "PARAM_"))
    }

    /// Whether a step that runs so may read a variable that Slipway sets: its command or environment, or a file of the
    /// pipeline that it uses, names it, or puts names of such variables together.
    #[must_use]
    pub fn may_read(&self, invocation: &Invocation, variable: &str) -> bool {
        let texts = self.texts_of(invocation);
        texts.iter().any(|text| names(text, variable) || puts_names_together(text, "SLIPWAY_"))
    }

    /// The command and the environment of a step that runs so, and the files of the pipeline that it uses.
    fn texts_of<'a>(&'a self, invocation: &'a Invocation) -> Vec<&'a str> {
        let mut texts: Vec<&str> = invocation.argv.iter().chain(invocation.env.values()).map(String::as_str).collect();
        let mut unused: BTreeMap<&str, &str> =
            self.files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        // Files that it names, and files that those name.
        loop {
            let used = |path: &&str| texts.iter().any(|text| text.contains(stem(path)));
            let found: Vec<&str> = unused.keys().copied().filter(used).collect();
            if found.is_empty() {
                return texts;
            }
            texts.extend(found.into_iter().filter_map(|path| unused.remove(path)));
        }
    }
}

/// What a file is named by where it is imported.
fn stem(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    match file.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file,
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a text names a variable, and not only another whose name begins so.
fn names(text: &str, variable: &str) -> bool {
    text.match_indices(variable).any(|(at, _)| !text[at + variable.len()..].starts_with(is_of_name))
}

/// Whether a text makes up the names of variables that begin so, or reads all variables: then it may read any.
fn puts_names_together(text: &str, beginning: &str) -> bool {
    names(text, beginning)
        || ["printenv", "os.environ.items", "dict(os.environ", "Sys.getenv()"].iter().any(|all| text.contains(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use StepState as S;

    const FILE: &str = "
name: wine
params: { rate: 0.1, rounds: 20, place: here }
files:
  train.py: |
    import shared
    rate = os.environ['PARAM_RATE']
  shared.py: |
    rounds = os.environ['PARAM_ROUNDS']
steps:
  prepare: { command: 'echo plain' }
  train: { command: 'python train.py', needs: prepare }
  list: { command: [echo, '${{ params.place }}'] }
  report: { command: 'cat report', needs: [train, list] }
";

    fn carried(states: &[(&str, S)], from: &str, params: &[(&str, &str)]) -> Result<Vec<String>, Error> {
        let spec = PipelineSpec::parse(FILE).unwrap_or_else(|problems| panic!("{problems}"));
        let states = states.iter().map(|(step, state)| ((*step).to_owned(), *state)).collect();
        let given = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let before = spec.resolve_params(&BTreeMap::new()).unwrap();
        let after = spec.resolve_params(&given).unwrap();
        let carried = spec.carried(&states, &from.parse().unwrap(), &before, &after)?;
        Ok(carried.into_iter().collect())
    }

    const DONE: [(&str, S); 4] =
        [("prepare", S::Succeeded), ("train", S::Succeeded), ("list", S::Succeeded), ("report", S::Succeeded)];

    #[test]
    fn from_failed_carries_what_succeeded_and_runs_what_comes_after() {
        let failed = [("prepare", S::Succeeded), ("train", S::Failed), ("list", S::Succeeded), ("report", S::Skipped)];
        assert_eq!(carried(&failed, "failed", &[]).unwrap(), ["list", "prepare"]);
        assert_eq!(carried(&failed, "start", &[]).unwrap(), Vec::<String>::new());
        assert_eq!(carried(&DONE, "failed", &[]).unwrap_err().kind, crate::ErrorKind::Conflict);
    }

    #[test]
    fn from_a_step_runs_it_and_all_after_it() {
        assert_eq!(carried(&DONE, "train", &[]).unwrap(), ["list", "prepare"]);
        assert_eq!(carried(&DONE, "step:report", &[]).unwrap(), ["list", "prepare", "train"]);
        let unknown = carried(&DONE, "trian", &[]).unwrap_err();
        assert!(unknown.field.as_deref() == Some("from") && unknown.message.contains("train"), "{unknown:?}");
    }

    #[test]
    fn a_param_that_is_another_runs_each_step_that_reads_it_and_all_after() {
        assert_eq!(carried(&DONE, "report", &[("rate", "0.2")]).unwrap(), ["list", "prepare"]);
        assert_eq!(carried(&DONE, "failed", &[("place", "there")]).unwrap(), ["prepare", "train"]);
        assert_eq!(carried(&DONE, "report", &[("rounds", "21")]).unwrap(), ["list", "prepare"], "by a file it imports");
        assert_eq!(carried(&DONE, "report", &[("rounds", "20")]).unwrap(), ["list", "prepare", "train"], "the same");
    }

    #[test]
    fn a_variable_is_named_by_its_whole_name() {
        assert!(names("echo $PARAM_RATE", "PARAM_RATE") && names("${PARAM_RATE:-1}", "PARAM_RATE"));
        assert!(!names("$PARAM_RATES", "PARAM_RATE"));
        let together = |text| puts_names_together(text, "PARAM_");
        assert!(together("os.environ[f'PARAM_{name}']") && !together("$PARAM_RATE"));
    }

    #[test]
    fn a_step_may_read_what_it_or_a_file_that_it_uses_names() {
        let file = FILE
            .replace("import shared", "import shared, checkout")
            .replace("steps:\n", "  checkout.py: \"run(['git', 'checkout', os.environ['SLIPWAY_COMMIT']])\"\nsteps:\n");
        let spec = PipelineSpec::parse(&file).unwrap_or_else(|problems| panic!("{problems}"));
        let params = spec.resolve_params(&BTreeMap::new()).unwrap();
        let may_read = |step: &str| {
            let invocation = spec.invocation(&[step], &spec.values(&[step], &params, &BTreeMap::new())).unwrap();
            spec.may_read(&invocation, "SLIPWAY_COMMIT")
        };
        assert!(may_read("train") && !may_read("prepare"));
    }
}
