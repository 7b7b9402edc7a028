//! Random pipelines against a model that fits on a page.

use crate::pipelines::engine::Engine;
use domain::pipeline_run::{AttemptOutcome as O, PipelineRunState, StepState as S};
use std::{collections::BTreeMap, fmt::Write as _};

/// A small generator of numbers: the same seed gives the same pipeline.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

struct Step {
    needs: Vec<usize>,
    all_done: bool,
    /// A condition that is not true.
    never: bool,
    fails: bool,
    /// How many instances a matrix makes of it; none without one.
    many: Option<u64>,
}

fn random(dice: &mut Dice) -> Vec<Step> {
    (0..2 + dice.roll(9) as usize)
        .map(|index| Step {
            needs: (0..index).filter(|_| dice.roll(3) == 0).collect(),
            all_done: dice.roll(5) == 0,
            never: dice.roll(8) == 0,
            fails: dice.roll(5) == 0,
            many: (dice.roll(4) == 0).then(|| 1 + dice.roll(3)),
        })
        .collect()
}

fn file(steps: &[Step]) -> String {
    let mut yaml = "name: random\nsteps:\n".to_owned();
    for (index, step) in steps.iter().enumerate() {
        let needs: Vec<String> = step.needs.iter().map(|need| format!("s{need}")).collect();
        let _ = writeln!(yaml, "  s{index}:\n    command: x\n    needs: [{}]", needs.join(", "));
        if step.all_done {
            yaml += "    trigger_rule: all_done\n";
        }
        if step.never {
            yaml += "    if: 'false'\n";
        }
        if let Some(many) = step.many {
            let values: Vec<String> = (0..many).map(|value| value.to_string()).collect();
            let _ = writeln!(yaml, "    matrix: {{ n: [{}] }}", values.join(", "));
        }
    }
    yaml
}

/// What becomes of each step: the whole rule.
fn model(steps: &[Step]) -> Vec<S> {
    let mut states: Vec<S> = Vec::new();
    for step in steps {
        let lost = step.needs.iter().any(|need| states[*need] != S::Succeeded);
        states.push(match step {
            _ if lost && !step.all_done => S::Skipped,
            Step { never: true, .. } => S::Skipped,
            Step { fails: true, .. } => S::Failed,
            _ => S::Succeeded,
        });
    }
    states
}

#[tokio::test]
async fn random_pipelines_end_as_the_rule_says() {
    let engine = Engine::start().await;
    let mut dice = Dice(0x5eed_1234_5678_9abc);
    for round in 0..60 {
        let steps = random(&mut dice);
        let run = engine.run(&file(&steps)).await;
        // Of an instance of a matrix, the first fails for all.
        let fails = |name: &str| {
            let index: usize = name[1..].split('.').next().unwrap().parse().unwrap();
            steps[index].fails && name.split('.').nth(1).is_none_or(|instance| instance == "0")
        };
        let mut order = Vec::new();
        let mut held = Vec::new();
        loop {
            // Several at once, which end in another order than they began.
            while let Some(step) = engine.claim().await {
                held.push(step);
                if dice.roll(3) == 0 {
                    break;
                }
            }
            if held.is_empty() {
                break;
            }
            let step = held.swap_remove(dice.roll(held.len() as u64) as usize);
            order.push(step.name.clone());
            engine.end(&step, if fails(&step.name) { O::Failed } else { O::Succeeded }).await;
        }
        let expected = model(&steps);
        let states: BTreeMap<String, S> = engine.steps(run).await;
        let got: Vec<S> = (0..steps.len()).map(|index| states[&format!("s{index}")]).collect();
        assert_eq!(got, expected, "round {round}: {}", file(&steps));
        let failed = expected.contains(&S::Failed);
        let state = if failed { PipelineRunState::Failed } else { PipelineRunState::Succeeded };
        assert_eq!(engine.state(run).await, state);
        for (index, step) in steps.iter().enumerate() {
            let at = |index: usize| order.iter().rposition(|name| name.split('.').next() == Some(&format!("s{index}")));
            let began = order.iter().position(|name| name.split('.').next() == Some(&format!("s{index}")));
            for need in &step.needs {
                assert!(began.is_none() || at(*need) < began, "s{index} before s{need}");
            }
        }
        let open = engine.services.settle_runs().await.unwrap();
        assert_eq!(open, 0, "nothing was left lying");
    }
}
