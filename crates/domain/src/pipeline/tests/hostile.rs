//! Files that nobody means, or means ill.

use super::*;
use proptest::prelude::*;

/// Files made to take long. That they do not shows in the time that the tests take.
#[test]
fn hostile_files_are_refused_at_once() {
    let list = |entry: &dyn Fn(usize) -> String, most: usize| {
        let mut text = String::new();
        for index in 0.. {
            let next = entry(index);
            if text.len() + next.len() > most {
                return text;
            }
            text += &next;
        }
        text
    };
    let most = MAX_FILE_BYTES - 20_000;
    let steps = list(&|index| format!("  s{index}: {{command: [a], needs: *n}}\n"), 15_000);
    let unknown = list(&|index| format!("x{index},"), 7_000);
    for source in [
        with_step(&format!("command: [true]\nneeds: [{}]", list(&|index| format!("a{index},"), most))),
        format!("name: x\nfiles:\n{}", list(&|index| format!("  {index}: a\n"), most)),
        format!("name: x\nparams:\n{}", list(&|index| format!("  a{index}: 1\n"), most)),
        with_step(&format!("command: [{}]", list(&|_| "\"${{ params.x }}\",".to_owned(), most))),
        with_step(&format!("command: [\"{}\"]", list(&|_| "${{ params.x }}".to_owned(), 90_000))),
        with_step(&format!("command: [\"{}\"]", "${{".repeat(30_000))),
        format!("name: x\nneeds: &n [{unknown}]\nsteps:\n{steps}"),
        format!("name: x\nenv: {}\n", "{".repeat(most)),
        format!("name: x\nenv: {}\n", "- ".repeat(most / 2)),
        format!("name: x\nenv: \"{}", "\\x".repeat(most / 2)),
        "? ".repeat(most / 2),
        "a: ".repeat(most / 3),
        "&a ".repeat(most / 3),
        format!("a: |{}", "\n".repeat(most)),
        "#".repeat(most),
        list(&|index| format!("k{index}: 1\n"), most),
    ] {
        assert!(PipelineSpec::parse(&source).is_err());
    }
}

#[test]
fn whatever_is_wrong_has_a_place() {
    let deep = |open: &str| format!("name: x\nenv: {}", open.repeat(40));
    let (lists, maps, blocks) = (deep("["), deep("{a: "), deep("- "));
    let bomb = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |bomb, level| {
        bomb + &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", "))
    });
    let steps = |count: usize, step: &dyn Fn(usize) -> String| {
        (0..count).fold("name: x\nsteps:\n".to_owned(), |steps, number| steps + &step(number))
    };
    let mapped = steps(10_000, &|number| format!("  s{number}: {{command: [a]}}\n"));
    let listed = steps(8000, &|number| format!("- {{name: s{number}, command: [a]}}\n"));
    let told: &[(&str, usize, &str)] = &[
        ("", 1, "The file is empty."),
        ("name: x\nsteps:\n- {name: a, command: [b]}\n- {name: a, command: [c]}\n", 4, "There are two steps called"),
        ("name: x\nsteps:\n- {command: [b]}\n", 3, "A step in a list needs a name"),
        ("name: x\nsteps:\n- just text\n", 3, "A step in a list needs a name"),
        ("name: x\nsteps: text\n", 2, "Steps must be a mapping"),
        ("name: x\nsteps: {a: text}\n", 2, "Step \"a\" must be a mapping"),
        ("name: [x]\nsteps: {a: {command: [b]}}\n", 1, "The pipeline's name must be a text, not a list."),
        ("name: x\nsteps:\n\ta: {command: [b]}\n", 3, "This is not valid YAML"),
        ("name: x\nsteps: {a: {command: *c}}\n", 2, ""),
        ("name: &n [*n]\n", 1, "*n stands inside of what it names."),
        ("name: x\n? [a, b]\n: c\n", 2, "A key must be a text."),
        ("name: x\n---\nname: y\n", 2, "A second document begins here"),
        ("name: \"a\\0b\"\n", 1, "A text cannot contain the NUL character."),
        ("name: a\0b\n", 1, ""),
        (&lists, 2, ""),
        (&maps, 2, ""),
        (&blocks, 2, ""),
        (&bomb, 7, "Aliases make this far larger"),
        (&mapped, 3, "There are 10000 entries here"),
        (&listed, 3, "The pipeline has 8000 steps"),
    ];
    for (source, line, words) in told {
        let problems = PipelineSpec::parse(source).expect_err(source).0;
        assert!(problems.iter().all(|problem| problem.line >= 1 && problem.column >= 1), "{problems:?}");
        let is_told = problems.iter().any(|problem| problem.line == *line && problem.message.starts_with(*words));
        assert!(is_told, "{source:.80}: {problems:?} and not {words} in line {line}");
    }
}

proptest! {
    #[test]
    fn no_file_panics_and_every_problem_has_a_place(source in "(name|steps|params|env|command|inputs|a|b|[:\\-\\[\\]{}&*|>'\"#!,.?] ?|\n( ){0,6}|\\$\\{\\{ ){0,40}") {
        match PipelineSpec::parse(&source) {
            Ok(spec) => prop_assert_eq!(spec.digest(), spec.clone().digest()),
            Err(errors) => {
                prop_assert!(!errors.0.is_empty());
                for problem in errors.0 {
                    prop_assert!(problem.line >= 1 && problem.column >= 1 && problem.line <= source.lines().count() + 1, "{problem}");
                    prop_assert!(problem.message.ends_with(['.', '?']), "{problem}");
                }
            }
        }
    }

    #[test]
    fn a_mangled_file_never_panics(at in 0_usize..TRAIN.len(), take in 0_usize..20, put in "[a-z: \n\\-\\[\\]{}&*\"']{0,6}") {
        let mut source = TRAIN.to_owned();
        let end = (at + take).min(source.len());
        prop_assume!(source.is_char_boundary(at) && source.is_char_boundary(end));
        source.replace_range(at..end, &put);
        let _ = PipelineSpec::parse(&source);
    }
}
