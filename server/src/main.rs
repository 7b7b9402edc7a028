//! The slipway command.

use anyhow::{Context as _, Result, anyhow};
use clap::Parser as _;
use domain::{
    permission::Role,
    user::{Email, Password},
};
use server::{
    cli,
    config::{Admin, Cli, Command, Data},
    demo,
    postgres::Postgres,
    serve, worker,
};
use services::{NewToken, NewUser, Services};
use std::{io::BufRead as _, process::ExitCode};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Before anything else is started: a shim has one thread, and nothing open but what it was given.
    if let Command::StepShim { args } = cli.command {
        return executors::shim::main(args);
    }
    match run(cli) {
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

#[tokio::main]
async fn run(cli: Cli) -> Result<ExitCode> {
    // The demo tells what it does in its own words.
    let usual = if matches!(cli.command, Command::Demo(_)) { "error" } else { "info,sqlx=warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("SLIPWAY_LOG").unwrap_or_else(|_| usual.into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow!("TLS could not be set up"))?;
    match cli.command {
        Command::Demo(options) => return demo::run(options).await,
        Command::Serve(options) => serve::run(options).await,
        Command::Migrate(data) => {
            let (postgres, _) = open(&data).await?;
            postgres.stop().await
        }
        Command::Admin(command) => admin(command).await,
        Command::Pipeline(command) => cli::pipeline::run(command).await,
        Command::Worker(options) => worker::command::run(options).await,
        Command::StepShim { .. } => Err(anyhow!("a shim must begin before anything else")),
    }?;
    Ok(ExitCode::SUCCESS)
}

async fn admin(command: Admin) -> Result<()> {
    match command {
        Admin::CreateUser { email, name, role, password_stdin: _, data } => {
            create_user(&email, name, role, &data).await
        }
        Admin::CreateToken { email, name, scope, days, data } => {
            let email = Email::parse(&email)?;
            let (postgres, services) = open(&data).await?;
            let issued = services.create_token_for(&email, NewToken { name, scope, days: Some(days) }).await;
            postgres.stop().await?;
            #[allow(clippy::print_stdout, reason = "the answer to the command")]
            {
                println!("{}", issued?.secret);
            }
            Ok(())
        }
    }
}

async fn create_user(email: &str, name: String, role: Role, data: &Data) -> Result<()> {
    let email = Email::parse(email)?;
    let mut password = String::new();
    std::io::stdin().lock().read_line(&mut password).context("the password could not be read from standard input")?;
    let password = Password::choose(password.trim_end_matches(['\r', '\n']).to_owned())?;
    let (postgres, services) = open(data).await?;
    let created = services.create_user(NewUser { email, name, password }, role).await;
    postgres.stop().await?;
    created?;
    Ok(())
}

/// The database at its newest schema, and the use cases on it.
async fn open(data: &Data) -> Result<(Postgres, Services)> {
    let postgres = Postgres::open(data, false).await?;
    let pool = store::connect(postgres.url(), 4)?;
    store::migrate(&pool).await.context("the database could not be brought to this version's schema")?;
    let artifacts = artifacts::Artifacts::open_dir(data.data_dir.join("artifacts")).await?;
    Ok((postgres, Services::new(pool, artifacts)))
}
