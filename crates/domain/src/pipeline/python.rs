//! Which Python a step finds: its packages are a part of what the step is run with.

use super::Invocation;

/// Where the Python of a step is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Python {
    /// The program, when the command names it with its whole path, or the environment that it is in.
    pub program: Option<String>,
    /// The folders in which programs are looked for, when the step has a `PATH` of its own.
    pub path: Option<String>,
}

impl Invocation {
    /// Where this finds its Python.
    #[must_use]
    pub fn python(&self) -> Python {
        let mut words = self.argv.iter().flat_map(|argument| argument.split(is_between));
        Python { program: words.find_map(program), path: self.env.get("PATH").cloned() }
    }
}

fn is_between(c: char) -> bool {
    c.is_whitespace() || "'\"`;|&()<>=$".contains(c)
}

/// The program that a word of a command names: `/opt/venv/bin/python3`, or `/opt/venv/bin/activate` for the one beside it.
fn program(word: &str) -> Option<String> {
    let (folder, name) = word.rsplit_once('/').filter(|_| word.starts_with('/'))?;
    let is_python =
        name.strip_prefix("python").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    match name {
        "activate" => Some(format!("{folder}/python3")),
        _ => is_python.then(|| word.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_command_names_its_python_or_leaves_it_to_the_path() {
        let python = |argv: &[&str], env: &[(&str, &str)]| {
            let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
            let env: BTreeMap<String, String> =
                env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Invocation { argv, env }.python()
        };
        assert_eq!(python(&["python", "train.py"], &[]), Python::default());
        let path = python(&["python"], &[("PATH", "/opt/venv/bin:/bin")]).path;
        assert_eq!(path.as_deref(), Some("/opt/venv/bin:/bin"));
        for (script, program) in [
            ("/opt/venv/bin/python -m train", Some("/opt/venv/bin/python")),
            ("cd x && '/opt/a/bin/python3.12' b.py", Some("/opt/a/bin/python3.12")),
            (". /opt/venv/bin/activate; python train.py", Some("/opt/venv/bin/python3")),
            ("ls /usr/lib/python3/dist-packages pythons /bin/pythonic", None),
        ] {
            assert_eq!(python(&["/bin/sh", "-ec", script], &[]).program.as_deref(), program, "{script}");
        }
    }
}
