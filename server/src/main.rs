//! The slipway command.

use anyhow::{Context as _, Result, anyhow};
use domain::{
    permission::Role,
    user::{Email, Password},
};
use server::{
    cli,
    config::{Admin, Cli, Command, Data},
    demo,
    installation::with_services,
    serve, worker,
};
use services::{NewToken, NewUser};
use std::{
    io::{BufRead as _, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

/// The connections of a command that does one thing.
const CONNECTIONS: u32 = 4;
/// How long what still blocks a thread is waited for in the end.
const LEFT_OVER: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(wrong) => return wrong,
    };
    // Before anything else is started: a shim has one thread, and nothing open but what it was given.
    if let Command::StepShim { args } = cli.command {
        return executors::shim::main(args);
    }
    // Nor anything of a server: a bundle is verified by reading it.
    if let Command::Verify(options) = &cli.command {
        return cli::verify::run(options).unwrap_or(ExitCode::FAILURE);
    }
    let ended = tokio::runtime::Runtime::new().context("the runtime could not be started").and_then(|runtime| {
        let ended = runtime.block_on(run(cli));
        runtime.shutdown_timeout(LEFT_OVER);
        ended
    });
    match ended {
        Ok(code) => code,
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "the answer to the command")]
            {
                eprintln!("slipway: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode> {
    // The demo tells what it does in its own words.
    let usual = if matches!(cli.command, Command::Demo(_)) { "error" } else { "info,sqlx=warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("SLIPWAY_LOG").unwrap_or_else(|_| usual.into());
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow!("TLS could not be set up"))?;
    match cli.command {
        Command::Demo(options) => return demo::run(options).await,
        Command::Promote(options) => return cli::promotion::promote(options).await,
        Command::Serve(options) => serve::run(options).await,
        Command::Migrate(data) => with_services(&data, CONNECTIONS, false, async |_, _| Ok(())).await,
        Command::Admin(command) => admin(command).await,
        Command::Data(command) => cli::data::run(command).await,
        Command::Pipeline(command) => cli::pipeline::run(command).await,
        Command::Promotion(command) => cli::promotion::run(command).await,
        Command::Secret(command) => cli::secret::run(command).await,
        Command::Worker(options) => worker::command::run(options).await,
        Command::StepShim { .. } | Command::Verify(_) => Err(anyhow!("this begins before anything else")),
    }?;
    Ok(ExitCode::SUCCESS)
}

async fn admin(command: Admin) -> Result<()> {
    match command {
        Admin::CreateUser { email, name, roles, password_stdin: _, data } => {
            create_user(&email, name, roles, &data).await
        }
        Admin::AuditKey(command) => cli::audit_key::run(command).await,
        Admin::RotateSecretKey { data } => cli::secret::rotate(&data).await,
        Admin::CreateToken { email, name, scope, days, data } => {
            let email = Email::parse(&email)?;
            let new = NewToken { name, scope, days: Some(days) };
            let issued = with_services(&data, CONNECTIONS, false, async |services, _| {
                Ok(services.create_token_for(&email, new).await?)
            });
            let secret = issued.await?.secret;
            #[allow(clippy::print_stdout, reason = "the answer to the command")]
            {
                println!("{secret}");
            }
            Ok(())
        }
    }
}

async fn create_user(email: &str, name: String, roles: Vec<Role>, data: &Data) -> Result<()> {
    let email = Email::parse(email)?;
    let mut password = String::new();
    std::io::stdin().lock().read_line(&mut password).context("the password could not be read from standard input")?;
    let password = Password::choose(password.trim_end_matches(['\r', '\n']).to_owned())?;
    with_services(data, CONNECTIONS, false, async |services, _| {
        services.create_user(NewUser { email, name, password }, roles.into_iter().collect()).await?;
        Ok(())
    })
    .await
}
