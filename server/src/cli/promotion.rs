//! `slipway promote`: ask for a promotion, wait for what becomes of it, and say so by the exit code. `slipway promotion`:
//! take it back.

use super::{Remote, path, refused};
use crate::client::{Client, Refusal};
use anyhow::{Context as _, Result, anyhow};
use app::ui::query::encode;
use clap::{Args, Subcommand};
use domain::{
    duration::Span,
    id::WorkspaceId,
    promotion::{Promotion, PromotionDetail, PromotionState},
};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{io::Write as _, path::PathBuf, process::ExitCode, time::Duration};
use tokio::time::{Instant, sleep_until};

/// How long the server holds an answer back while nothing happens. Short enough to tell what happens on the way.
const HELD_BACK: Duration = Duration::from_secs(10);
/// How much longer an answer may take than it is held back.
const GRACE: Duration = Duration::from_secs(20);
/// Between two tries while the server does not answer.
const PAUSE: Duration = Duration::from_secs(2);

/// Options of `slipway promote`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exits with 0 once it is live (without --wait: once it is asked for), 2 when it was rejected, 3 when it \
    expired or no longer holds, 4 when its gates block it or it was given up, overtaken or taken back, 5 when it was waited \
    for too long, and 1 when something went wrong."
)]
pub struct Promote {
    /// The model's name.
    model: String,
    /// The version's number.
    // Every command has an argument called version, which tells the program's own.
    #[arg(id = "model_version", value_name = "VERSION")]
    version: i32,
    /// The environment to bring it into.
    #[arg(long, env = "SLIPWAY_TO", value_name = "ENVIRONMENT")]
    to: String,
    /// Why, for those who decide.
    #[arg(long, env = "SLIPWAY_COMMENT", default_value = "", value_name = "TEXT")]
    comment: String,
    /// Wait for what becomes of it.
    #[arg(long, env = "SLIPWAY_WAIT", value_parser = clap::builder::FalseyValueParser::new())]
    wait: bool,
    /// How long to wait at most. The request stays when it is over.
    #[arg(long, env = "SLIPWAY_TIMEOUT", default_value = "30m", value_name = "SPAN")]
    timeout: Span,
    /// Evidence to upload before its gates run: a name and a file of JSON. May be given several times.
    #[arg(long, env = "SLIPWAY_EVIDENCE", value_name = "NAME=FILE", value_delimiter = ',')]
    evidence: Vec<String>,
    /// Which server, and as whom.
    #[command(flatten)]
    remote: Remote,
}

/// Commands of `slipway promotion`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take a request back.
    Cancel {
        /// The promotion's number.
        number: i64,
        /// Which server, and as whom.
        #[command(flatten)]
        remote: Remote,
    },
}

/// Carries a command of `slipway promotion` out.
///
/// # Errors
/// When the server does not answer or refuses.
pub async fn run(command: Command) -> Result<()> {
    let Command::Cancel { number, remote } = command;
    let path = path(&["promotions", &number.to_string(), "withdraw"]);
    let promotion: Promotion = remote.client()?.post(&path, json!({})).await.map_err(refused)?;
    say(&format!("#{number} {} was withdrawn", promotion.title()));
    Ok(())
}

/// Asks for a promotion and, when that is wanted, waits. Answers with how the command exits.
///
/// # Errors
/// When the server does not answer or refuses, or a file of evidence cannot be read.
pub async fn promote(options: Promote) -> Result<ExitCode> {
    let client = options.remote.client()?;
    let evidence = read_evidence(&options.evidence)?;
    let promotion = ask(&client, &options, &evidence).await?;
    let number = promotion.number;
    print(&number.to_string());
    say(&format!("#{number} {}: {}", promotion.title(), options.remote.page(&client, &promotion).await?));
    if !options.wait {
        return Ok(ExitCode::SUCCESS);
    }
    tokio::select! {
        ended = wait(&client, number, options.timeout) => ended,
        stopped = stopped() => {
            stopped?;
            say(&format!("no longer waited for; the request stays. slipway promotion cancel {number} takes it back"));
            Ok(ExitCode::from(130))
        }
    }
}

/// Being told to stop, by Ctrl-C or by whatever runs the job.
async fn stopped() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let cannot = "signals cannot be listened for";
    let mut interrupted = signal(SignalKind::interrupt()).context(cannot)?;
    let mut terminated = signal(SignalKind::terminate()).context(cannot)?;
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    Ok(())
}

/// What is to be uploaded, by name. Everything is read before anything is asked for.
fn read_evidence(given: &[String]) -> Result<Vec<(String, Value)>> {
    let read = |one: &String| {
        let (name, file) =
            one.split_once('=').ok_or_else(|| anyhow!("\"{one}\" is no evidence; write it as name=file.json"))?;
        let file = PathBuf::from(file);
        let text = std::fs::read_to_string(&file).with_context(|| format!("{} could not be read", file.display()))?;
        let content = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
        Ok((name.to_owned(), content))
    };
    given.iter().map(read).collect()
}

/// As the server answers.
#[derive(Deserialize)]
struct Promotions {
    items: Vec<Promotion>,
}

/// Asks for the promotion, or joins the one that asks for the same already.
async fn ask(client: &Client, options: &Promote, evidence: &[(String, Value)]) -> Result<Promotion> {
    let body = json!({
        "model": options.model, "version": options.version, "environment": options.to, "comment": options.comment,
        // Its gates are to find the evidence when they run.
        "draft": !evidence.is_empty(),
    });
    let promotion = match client.post::<Promotion>(&path(&["promotions"]), body).await {
        Ok(promotion) => promotion,
        Err(refusal) if refusal.status == Some(StatusCode::CONFLICT) => {
            let joined = known(client, options).await?.ok_or_else(|| refused(refusal))?;
            say(&format!("#{} asks for this already: it {}", joined.number, joined.state.describe()));
            joined
        }
        Err(refusal) => return Err(refused(refusal)),
    };
    let number = promotion.number.to_string();
    for (name, content) in evidence.iter().filter(|_| promotion.state.is_open()) {
        let path = path(&["promotions", &number, "evidence"]);
        client.post::<Value>(&path, json!({ "name": name, "content": content })).await.map_err(refused)?;
        say(&format!("uploaded {name}"));
    }
    if promotion.state == PromotionState::Draft {
        let path = path(&["promotions", &number, "submit"]);
        return client.post(&path, json!({})).await.map_err(refused);
    }
    Ok(promotion)
}

/// The promotion that asks for the same, or has brought it live.
async fn known(client: &Client, options: &Promote) -> Result<Option<Promotion>> {
    let path = format!(
        "{}?state=open,live&model={}&version={}&environment={}&limit=1",
        path(&["promotions"]),
        encode(&options.model),
        options.version,
        encode(&options.to)
    );
    let Promotions { items } = client.get(&path).await.map_err(refused)?;
    Ok(items.into_iter().next())
}

/// Waits until it is live or goes no further, and says what happens on the way.
async fn wait(client: &Client, number: i64, timeout: Span) -> Result<ExitCode> {
    let deadline = Instant::now() + Duration::from_secs(timeout.seconds());
    let mut told: Option<(PromotionState, String)> = None;
    let mut is_away = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Whole seconds, and at once when none is left.
        let held_back = HELD_BACK.min(left).as_secs();
        let path = format!("{}?until=live&wait={held_back}s", path(&["promotions", &number.to_string()]));
        let patience = HELD_BACK + GRACE;
        let answer = client.send::<PromotionDetail>(Method::GET, &path, |request| request.timeout(patience)).await;
        match answer {
            Ok((_, detail)) => {
                is_away = false;
                let promotion = detail.promotion;
                let now = (promotion.state, promotion.state_reason.clone());
                if told.as_ref() != Some(&now) {
                    tell(&promotion);
                    told = Some(now);
                }
                if let Some(code) = exit_code(promotion.state) {
                    return Ok(ExitCode::from(code));
                }
            }
            Err(refusal) if may_pass(&refusal) => {
                if !std::mem::replace(&mut is_away, true) {
                    say(&format!("{refusal}; trying again"));
                }
                sleep_until(deadline.min(Instant::now() + PAUSE)).await;
            }
            Err(refusal) => return Err(refused(refusal)),
        }
        if Instant::now() >= deadline {
            say(&format!(
                "#{number} was waited for {timeout}; the request stays. slipway promotion cancel {number} takes it back"
            ));
            return Ok(ExitCode::from(5));
        }
        if left < Duration::from_secs(1) {
            sleep_until(deadline).await;
        }
    }
}

/// Whether a refusal says nothing of the promotion: the server is being started, or is busy.
fn may_pass(refusal: &Refusal) -> bool {
    refusal.status.is_none_or(|status| status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS)
}

fn tell(promotion: &Promotion) {
    let Promotion { number, state, state_reason, .. } = promotion;
    let reason = if state_reason.is_empty() { String::new() } else { format!(". {state_reason}") };
    say(&format!("#{number} {}{reason}", state.describe()));
}

/// How the command exits where it goes no further; none while it goes on.
fn exit_code(state: PromotionState) -> Option<u8> {
    use PromotionState as S;
    match state {
        S::Live => Some(0),
        S::Rejected => Some(2),
        S::Expired | S::Invalidated => Some(3),
        S::Blocked | S::Aborted | S::Superseded | S::Withdrawn | S::RolledBack => Some(4),
        S::Draft | S::GatesRunning | S::AwaitingApproval | S::Approved | S::Scheduled | S::Deploying | S::Verifying => {
            None
        }
    }
}

/// Who asks, and where they may work.
#[derive(Deserialize)]
struct Me {
    workspaces: Vec<Membership>,
}

#[derive(Deserialize)]
struct Membership {
    workspace: Workspace,
}

#[derive(Deserialize)]
struct Workspace {
    id: WorkspaceId,
    slug: String,
}

impl Remote {
    /// The address of a promotion's page.
    async fn page(&self, client: &Client, promotion: &Promotion) -> Result<String> {
        let slug = match &self.workspace {
            Some(slug) => Some(slug.clone()),
            None => {
                let me: Me = client.get(&path(&["user"])).await.map_err(refused)?;
                let all = me.workspaces.into_iter().map(|membership| membership.workspace);
                all.into_iter().find(|workspace| workspace.id == promotion.workspace_id).map(|found| found.slug)
            }
        };
        let prefix = slug.map(|slug| format!("/w/{}", encode(&slug))).unwrap_or_default();
        Ok(format!("{}{prefix}/promotions/{}", self.url, promotion.number))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_can_tell_every_end_from_what_goes_on() {
        for state in PromotionState::ALL {
            let goes_on = state.is_open() && state != PromotionState::Blocked;
            assert_eq!(exit_code(state).is_none(), goes_on, "{state:?}");
            assert_eq!(exit_code(state) == Some(0), state == PromotionState::Live, "{state:?}");
        }
    }

    #[test]
    fn evidence_is_a_name_and_a_file_of_json() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("scan.json");
        std::fs::write(&file, r#"{"findings": 0}"#).unwrap();
        let given = format!("security-scan={}", file.display());
        assert_eq!(read_evidence(&[given]).unwrap(), [("security-scan".to_owned(), json!({ "findings": 0 }))]);
        for wrong in ["security-scan".to_owned(), format!("a={}/none.json", dir.path().display())] {
            assert!(read_evidence(&[wrong]).is_err());
        }
        std::fs::write(&file, "no").unwrap();
        assert!(read_evidence(&[format!("a={}", file.display())]).unwrap_err().to_string().ends_with("is not JSON"));
    }
}
