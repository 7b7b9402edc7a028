//! `slipway pipeline`: check a file, store it, start a run, watch it, follow its logs, cancel it.

use super::{Remote, path, refused};
use crate::client::Client;
use anyhow::{Context as _, Result, anyhow, bail};
use app::ui::query::encode;
use clap::{Args, Subcommand};
use domain::{
    Page,
    log::{LogLine, LogStream},
    pipeline::{ExecutorKind, FileErrors, PipelineSpec, PipelineVersion},
    pipeline_run::{PipelineRun, PipelineRunDetail, PipelineRunState, Sameness, StepState},
    policy::{InputKind, InputSpec},
    promotion::{Decision, DecisionVerdict, RuleStanding},
    step::Step,
    step_approval::StepApproval,
};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

/// Between two looks at what is awaited.
const PAUSE: Duration = Duration::from_millis(500);
/// Lines in one request.
const PART: i64 = 5000;

/// Commands of `slipway pipeline`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Store a pipeline's file, as a new version if it says something new.
    Apply {
        /// The YAML file, ours or one that Kubeflow Pipelines compiled; - for standard input.
        file: PathBuf,
        /// Where the steps of a file run that Kubeflow Pipelines compiled.
        #[arg(long, env = "SLIPWAY_EXECUTOR", default_value = "docker", value_name = "EXECUTOR", value_parser = executor)]
        executor: ExecutorKind,
        /// Do not say which commit of the repository around the file it is stored from, and what was changed.
        #[arg(long, env = "SLIPWAY_NO_CODE", value_parser = clap::builder::FalseyValueParser::new())]
        no_code: bool,
        /// Which server, and as whom.
        #[command(flatten)]
        remote: Remote,
    },
    /// Say what is wrong with files, without a server. Fails when something is.
    Lint {
        /// The YAML files; - for standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of a pipeline's file, for editors.
    Schema,
    /// Print the pipeline that a file of Kubeflow Pipelines is, as that system's compiler wrote it.
    Import {
        /// The compiled YAML file; - for standard input.
        file: PathBuf,
        /// Where its steps run: docker, kubernetes or process.
        #[arg(long, env = "SLIPWAY_EXECUTOR", default_value = "docker", value_name = "EXECUTOR", value_parser = executor)]
        executor: ExecutorKind,
    },
    /// Print a pipeline's file as Kubeflow Pipelines reads it.
    Export {
        /// The YAML file; - for standard input.
        file: PathBuf,
        /// The image of steps that name none.
        #[arg(long, env = "SLIPWAY_IMAGE", value_name = "IMAGE")]
        image: Option<String>,
    },
    /// Start a run of a pipeline and print its number, alone, on standard output.
    Run(Run),
    /// Say what the steps of a run do until it has ended. Fails when the run does not succeed.
    Watch {
        /// The run's number.
        number: i64,
        /// Which server, and as whom.
        #[command(flatten)]
        remote: Remote,
    },
    /// Print the logs of a run.
    Logs {
        /// The run's number.
        number: i64,
        /// Only the log of this step.
        step: Option<String>,
        /// Go on printing until the run, or the step, has ended.
        #[arg(short, long, env = "SLIPWAY_FOLLOW", value_parser = clap::builder::FalseyValueParser::new())]
        follow: bool,
        /// Which server, and as whom.
        #[command(flatten)]
        remote: Remote,
    },
    /// Run a run again, as a new run, and print its number, alone, on standard output.
    Rerun(Rerun),
    /// Say yes to a step of a run that asks people. What it asks is printed first.
    Approve(Decide),
    /// Say no to a step of a run that asks people: the step fails.
    Reject(Decide),
    /// Do a run again from its record alone, and print the new run's number, alone, on standard output. With --wait, fails
    /// when it did not come to the same.
    Reproduce {
        /// The run's number.
        number: i64,
        /// Wait for its end, and for the verdict.
        #[arg(long, env = "SLIPWAY_WAIT", value_parser = clap::builder::FalseyValueParser::new())]
        wait: bool,
        /// Which server, and as whom.
        #[command(flatten)]
        remote: Remote,
    },
    /// Cancel a run: what has not begun does not begin, and what runs is ended.
    Cancel {
        /// The run's number.
        number: i64,
        /// Which server, and as whom.
        #[command(flatten)]
        remote: Remote,
    },
}

/// Options of `slipway pipeline run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The pipeline's name.
    name: String,
    /// A param that shall not have its default. May be given several times.
    #[arg(short = 'p', long = "param", env = "SLIPWAY_PARAM", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// The number of the file's version. Without one, the version that was stored last.
    #[arg(long, env = "SLIPWAY_FILE_VERSION", value_name = "N")]
    file_version: Option<i32>,
    /// Run all steps, also those that gave something before when they were run with the same.
    #[arg(long, env = "SLIPWAY_NO_CACHE", value_parser = clap::builder::FalseyValueParser::new())]
    no_cache: bool,
    /// Do not say which commit of the repository around the working directory it is started from, and what was changed.
    #[arg(long, env = "SLIPWAY_NO_CODE", value_parser = clap::builder::FalseyValueParser::new())]
    no_code: bool,
    /// Wait for its end. Fails when the run does not succeed.
    #[arg(long, env = "SLIPWAY_WAIT", value_parser = clap::builder::FalseyValueParser::new())]
    wait: bool,
    /// Which server, and as whom.
    #[command(flatten)]
    remote: Remote,
}

/// Options of `slipway pipeline rerun`.
#[derive(Debug, Args)]
pub struct Rerun {
    /// The run's number.
    number: i64,
    /// From where: start, failed, or the name of a step. Steps that need not run are taken over with their outputs.
    #[arg(long, env = "SLIPWAY_FROM", default_value = "start", value_name = "WHERE")]
    from: String,
    /// A param that shall have another value than it had. May be given several times.
    #[arg(short = 'p', long = "param", env = "SLIPWAY_PARAM", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// Wait for its end. Fails when the run does not succeed.
    #[arg(long, env = "SLIPWAY_WAIT", value_parser = clap::builder::FalseyValueParser::new())]
    wait: bool,
    /// Which server, and as whom.
    #[command(flatten)]
    remote: Remote,
}

/// Options of `slipway pipeline approve` and `reject`.
#[derive(Debug, Args)]
pub struct Decide {
    /// The run's number.
    number: i64,
    /// The step's name.
    step: String,
    /// Why. A no needs it.
    #[arg(long, env = "SLIPWAY_COMMENT", default_value = "", value_name = "TEXT")]
    comment: String,
    /// A line of a rule's checklist that is confirmed, as it stands there. May be given several times.
    #[arg(long = "check", env = "SLIPWAY_CHECK", value_name = "LINE")]
    checks: Vec<String>,
    /// A value that a rule asks for. May be given several times.
    #[arg(long = "input", env = "SLIPWAY_INPUT", value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// A rule that a yes counts for. May be given several times; without any, all that it can count for.
    #[arg(long = "rule", env = "SLIPWAY_RULE", value_name = "NAME")]
    rules: Vec<String>,
    /// The digest of what was looked at, when that is not what is printed now.
    #[arg(long, env = "SLIPWAY_DIGEST", value_name = "DIGEST")]
    digest: Option<String>,
    /// Which server, and as whom.
    #[command(flatten)]
    remote: Remote,
}

/// Carries the command out.
///
/// # Errors
/// When the server does not answer or refuses, or the run that is waited for does not succeed.
pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::Apply { file, executor, no_code, remote } => apply(&remote.client()?, &file, executor, no_code).await,
        Command::Lint { files } => lint(&files),
        Command::Schema => {
            print(domain::pipeline::SCHEMA.trim_end());
            Ok(())
        }
        Command::Import { file, executor } => import(&file, executor),
        Command::Export { file, image } => export(&file, image.as_deref()),
        Command::Watch { number, remote } => wait(&remote.client()?, number).await,
        Command::Run(options) => start(&options.remote.client()?, &options).await,
        Command::Rerun(options) => rerun(&options.remote.client()?, &options).await,
        Command::Logs { number, step, follow, remote } => {
            let mut logs = Logs::new(remote.client()?, number, step);
            while !logs.print_new().await? && follow {
                tokio::time::sleep(pause(logs.ended.len())).await;
            }
            Ok(())
        }
        Command::Approve(options) => decide(&options, DecisionVerdict::Approve).await,
        Command::Reject(options) => decide(&options, DecisionVerdict::Reject).await,
        Command::Reproduce { number, wait, remote } => reproduce(&remote.client()?, number, wait).await,
        Command::Cancel { number, remote } => cancel(&remote.client()?, number).await,
    }
}

fn read(file: &Path) -> Result<String> {
    if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("standard input could not be read")
    } else {
        std::fs::read_to_string(file).with_context(|| format!("{} could not be read", file.display()))
    }
}

fn executor(text: &str) -> Result<ExecutorKind, String> {
    ExecutorKind::parse(text).ok_or_else(|| "steps run in docker, kubernetes or process".to_owned())
}

fn lint(files: &[PathBuf]) -> Result<()> {
    let mut wrong = 0;
    for file in files {
        let source = read(file)?;
        let spec = match kfp::is_compiled(&source) {
            true => kfp::import(&source, ExecutorKind::Docker).map(|imported| imported.spec),
            false => PipelineSpec::parse(&source),
        };
        match spec {
            Ok(spec) => {
                say(&format!("{}: {} is as it should be ({})", file.display(), spec.name, spec.digest().short()))
            }
            Err(problems) => wrong += told(file, problems),
        }
    }
    problems(wrong)
}

/// Says what is wrong with a file, as compilers do, so that editors find the place. Answers with how much that was.
fn told(file: &Path, problems: FileErrors) -> usize {
    for problem in &problems.0 {
        print(&format!("{}:{}:{}: {}", file.display(), problem.line, problem.column, problem.message));
    }
    problems.0.len()
}

fn problems(count: usize) -> Result<()> {
    match count {
        0 => Ok(()),
        1 => bail!("1 problem"),
        count => bail!("{count} problems"),
    }
}

fn import(file: &Path, executor: ExecutorKind) -> Result<()> {
    match kfp::import(&read(file)?, executor) {
        Ok(imported) => {
            imported.notes.iter().for_each(|note| say(note));
            print(imported.source.trim_end());
            Ok(())
        }
        Err(errors) => refuse(file, errors),
    }
}

fn export(file: &Path, image: Option<&str>) -> Result<()> {
    let spec = match PipelineSpec::parse(&read(file)?) {
        Ok(spec) => spec,
        Err(errors) => return refuse(file, errors),
    };
    match kfp::export(&spec, image) {
        Ok(exported) => {
            exported.notes.iter().for_each(|note| say(note));
            print(exported.source.trim_end());
            Ok(())
        }
        Err(sentences) => {
            sentences.iter().for_each(|sentence| say(sentence));
            problems(sentences.len())
        }
    }
}

/// What is wrong goes where nobody takes it for the file that was asked for.
fn refuse(file: &Path, errors: FileErrors) -> Result<()> {
    for problem in &errors.0 {
        say(&format!("{}:{}:{}: {}", file.display(), problem.line, problem.column, problem.message));
    }
    problems(errors.0.len())
}

async fn apply(client: &Client, file: &Path, executor: ExecutorKind, no_code: bool) -> Result<()> {
    let source = read(file)?;
    // Where the file is, so is the code that its steps run.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let code = if no_code { None } else { super::code::of_folder(folder) };
    let body = super::code::fitting(json!({ "source": source, "code": code }));
    let pipelines = format!("{}?executor={}", path(&["pipelines"]), executor.as_str());
    let stored = client.send::<PipelineVersion>(Method::PUT, &pipelines, |request| request.json(&body));
    let (status, version) = stored.await.map_err(refused)?;
    let (name, number, digest) = (&version.spec.name, version.number, version.digest.short());
    match status {
        StatusCode::CREATED => say(&format!("stored version {number} of {name} ({digest})")),
        _ => say(&format!("{name} says the same as its version {number} ({digest})")),
    }
    Ok(())
}

/// The params of a command line.
fn params(given: &[String]) -> Result<Map<String, Value>> {
    let mut params = Map::new();
    for param in given {
        let (name, value) =
            param.split_once('=').ok_or_else(|| anyhow!("\"{param}\" is no param; write it as name=value"))?;
        params.insert(name.to_owned(), Value::from(value));
    }
    Ok(params)
}

async fn rerun(client: &Client, options: &Rerun) -> Result<()> {
    let key = uuid::Uuid::now_v7().to_string();
    let body = json!({ "from": options.from, "params": params(&options.params)?, "idempotency_key": key });
    let again = path(&["pipeline-runs", &options.number.to_string(), "rerun"]);
    let run: PipelineRun = client.post(&again, body).await.map_err(refused)?;
    print(&run.number.to_string());
    if options.wait { wait(client, run.number).await } else { Ok(()) }
}

async fn start(client: &Client, options: &Run) -> Result<()> {
    let params = params(&options.params)?;
    // Should the answer be lost and the command be sent again by its library, it still starts one run.
    let key = uuid::Uuid::now_v7().to_string();
    let code = if options.no_code { None } else { super::code::of_folder(Path::new(".")) };
    let body = super::code::fitting(
        json!({ "code": code, "params": params, "version": options.file_version, "use_cache": !options.no_cache, "idempotency_key": key }),
    );
    let run: PipelineRun = client.post(&path(&["pipelines", &options.name, "runs"]), body).await.map_err(refused)?;
    print(&run.number.to_string());
    if options.wait { wait(client, run.number).await } else { Ok(()) }
}

async fn reproduce(client: &Client, number: i64, is_awaited: bool) -> Result<()> {
    let key = uuid::Uuid::now_v7().to_string();
    let again = path(&["pipeline-runs", &number.to_string(), "reproduce"]);
    let run: PipelineRun = client.post(&again, json!({ "idempotency_key": key })).await.map_err(refused)?;
    print(&run.number.to_string());
    if !is_awaited {
        return Ok(());
    }
    // That a run fails again as it failed before is a reproduction, too.
    let ended = wait(client, run.number).await;
    loop {
        let detail = detail(client, run.number).await?;
        match detail.run.verdict {
            Some(verdict) if matches!(verdict.sameness, Sameness::Diverged | Sameness::NothingToCompare) => {
                for change in &verdict.surroundings {
                    say(&format!("other on the machines: {change}"));
                }
                bail!(verdict.sentence())
            }
            Some(verdict) => {
                say(&verdict.sentence());
                return Ok(());
            }
            None if detail.run.state == PipelineRunState::Cancelled => return ended,
            None => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Waits for the end of a run, and says what its steps do.
async fn wait(client: &Client, number: i64) -> Result<()> {
    let mut told: BTreeMap<String, StepState> = BTreeMap::new();
    loop {
        // Asked before the steps: what they did by its end is all that they do.
        let detail = detail(client, number).await?;
        let steps = steps(client, number).await?;
        for step in &steps {
            let is_news = told.insert(step.name.clone(), step.state) != Some(step.state);
            if is_news && !matches!(step.state, StepState::Waiting | StepState::Ready) {
                let reason = if step.reason.is_empty() { String::new() } else { format!(": {}", step.reason) };
                say(&format!("{} {}{reason}", step.name, step.state.as_str()));
            }
        }
        if detail.run.state.is_final() {
            return judge(&detail.run);
        }
        tokio::time::sleep(pause(steps.len())).await;
    }
}

/// Between two looks at so many steps: whoever has ten thousand reads no faster.
fn pause(steps: usize) -> Duration {
    PAUSE * u32::try_from(1 + steps / 500).unwrap_or(u32::MAX)
}

async fn detail(client: &Client, number: i64) -> Result<PipelineRunDetail> {
    client.get(&path(&["pipeline-runs", &number.to_string()])).await.map_err(refused)
}

/// All commands of a run, those inside of other steps as well.
async fn steps(client: &Client, number: i64) -> Result<Vec<Step>> {
    let list = path(&["pipeline-runs", &number.to_string(), "steps"]);
    let (mut steps, mut next) = (Vec::new(), String::new());
    loop {
        let page: Page<Step> = client.get(&format!("{list}?commands=true&limit=1000{next}")).await.map_err(refused)?;
        steps.extend(page.items);
        match page.next_page_token {
            Some(token) => next = format!("&page_token={}", encode(&token)),
            None => return Ok(steps),
        }
    }
}

async fn cancel(client: &Client, number: i64) -> Result<()> {
    let path = path(&["pipeline-runs", &number.to_string(), "cancel"]);
    let run: PipelineRun = client.post(&path, Value::Null).await.map_err(refused)?;
    let how = if run.state.is_final() { "was cancelled" } else { "is being cancelled; what runs is ended" };
    say(&format!("{} #{} {how}", run.pipeline_name, run.number));
    Ok(())
}

/// What a step asks, as the server answers.
#[derive(Deserialize)]
struct Asked {
    approval: StepApproval,
    rules: Vec<RuleStanding>,
}

/// A value of a command line as a rule asks for it. What it is not, the server says.
fn typed(input: &InputSpec, text: &str) -> Value {
    let value = match input.kind {
        InputKind::Number => text.parse().ok().and_then(serde_json::Number::from_f64).map(Value::Number),
        InputKind::Boolean => text.parse::<bool>().ok().map(Value::Bool),
        InputKind::Text | InputKind::Choice => None,
    };
    value.unwrap_or_else(|| text.into())
}

/// Decides on a step that asks.
async fn decide(options: &Decide, verdict: DecisionVerdict) -> Result<()> {
    let client = options.remote.client()?;
    let place = path(&["pipeline-runs", &options.number.to_string(), "steps", &options.step, "approval"]);
    let Asked { approval, rules } = client.get(&place).await.map_err(refused)?;
    say(&format!("{}, run with params {}", approval.title(), json!(approval.params)));
    for (name, input) in &approval.inputs {
        let shown = input.value.as_ref().map_or_else(|| input.from.clone(), ToString::to_string);
        say(&format!("{name}: {shown}"));
    }
    let mut given: BTreeMap<&str, &str> = BTreeMap::new();
    for input in &options.inputs {
        let (name, value) =
            input.split_once('=').ok_or_else(|| anyhow!("\"{input}\" is no value; write it as name=value"))?;
        given.insert(name, value);
    }
    let (mut checked, mut inputs) = (Map::new(), Map::new());
    for rule in &rules {
        let lines: Vec<&String> = options.checks.iter().filter(|line| rule.rule.checklist.contains(line)).collect();
        checked.insert(rule.key(), json!(lines));
        let value = |input: &InputSpec| Some((input.name.clone(), typed(input, given.get(input.name.as_str())?)));
        inputs.insert(rule.key(), rule.rule.inputs.iter().filter_map(value).collect::<Map<_, _>>().into());
    }
    let of_rule = |name: &String| {
        rules.iter().find(|rule| rule.rule.name == *name).map_or_else(|| name.clone(), RuleStanding::key)
    };
    let digest = options.digest.clone().unwrap_or_else(|| approval.digest.as_str().to_owned());
    let body = json!({
        "verdict": verdict, "comment": options.comment, "subject_digest": digest, "checked": checked, "inputs": inputs,
        "rules": options.rules.iter().map(of_rule).collect::<Vec<_>>(),
    });
    let _: Decision = client.post(&format!("{place}/decisions"), body).await.map_err(refused)?;
    let after: Asked = client.get(&place).await.map_err(refused)?;
    say(&format!("{} {}", approval.title(), after.approval.state.describe()));
    Ok(())
}

fn judge(run: &PipelineRun) -> Result<()> {
    let name = format!("{} #{}", run.pipeline_name, run.number);
    match run.state {
        PipelineRunState::Succeeded => {
            say(&format!("{name} succeeded"));
            Ok(())
        }
        PipelineRunState::Cancelled => bail!("{name} was cancelled"),
        _ => bail!("{name} failed; slipway pipeline logs {} shows why", run.number),
    }
}

/// The logs of a run, as far as they have been printed.
struct Logs {
    client: Client,
    number: i64,
    only: Option<String>,
    /// The last try and line of each step that were printed.
    printed: BTreeMap<String, (i32, i64)>,
    /// Steps that had ended before they were printed: nothing comes after.
    ended: BTreeSet<String>,
}

/// As the server answers.
#[derive(Deserialize)]
struct Lines {
    items: Vec<LogLine>,
}

impl Logs {
    fn new(client: Client, number: i64, only: Option<String>) -> Self {
        Self { client, number, only, printed: BTreeMap::new(), ended: BTreeSet::new() }
    }

    /// Prints what is new. Answers with whether that was the end of it.
    async fn print_new(&mut self) -> Result<bool> {
        // Asked before the lines: what is there after its end is all there is.
        let detail = detail(&self.client, self.number).await?;
        let Some(only) = self.only.clone() else {
            for step in &steps(&self.client, self.number).await? {
                if self.ended.contains(&step.name) {
                    continue;
                }
                self.print(&step.name, step.attempts).await?;
                if step.state.is_final() {
                    self.ended.insert(step.name.clone());
                }
            }
            return Ok(detail.run.state.is_final());
        };
        let one = path(&["pipeline-runs", &self.number.to_string(), "steps", &only]);
        let step: Step = self.client.get(&one).await.map_err(refused)?;
        self.print(&only, step.attempts).await?;
        Ok(step.state.is_final())
    }

    /// Prints what is new of a step: the rest of the try that was printed last, and those after it.
    async fn print(&mut self, step: &str, attempts: i32) -> Result<()> {
        let (mut attempt, mut last) = self.printed.get(step).copied().unwrap_or((1, 0));
        while attempt <= attempts {
            let (number, attempt_number) = (self.number.to_string(), attempt.to_string());
            let log = path(&["pipeline-runs", &number, "steps", step, "attempts", &attempt_number, "log"]);
            let Lines { items } =
                self.client.get(&format!("{log}?after={last}&limit={PART}")).await.map_err(refused)?;
            for line in &items {
                let text =
                    if line.stream == LogStream::Sys { format!("[slipway] {}", line.text) } else { line.text.clone() };
                print(&if self.only.is_some() { text } else { format!("{step} | {text}") });
                last = line.number;
            }
            if items.len() as i64 == PART {
                continue;
            }
            if attempt == attempts {
                break;
            }
            (attempt, last) = (attempt + 1, 0);
        }
        self.printed.insert(step.to_owned(), (attempt, last));
        Ok(())
    }
}

/// The answer to the command. Whoever does not listen any more has heard enough.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// What happens meanwhile.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
