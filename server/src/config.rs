//! The command line. Every option can come from the environment as well.

use crate::client::parse_url;
use clap::{
    Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    builder::{FalseyValueParser, Resettable},
};
use domain::{
    gpu::GpuUuid,
    permission::{Role, Scope},
};
use outbound::Mailer;
use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    path::PathBuf,
    process::ExitCode,
};

/// Continuous delivery of machine-learning models: experiments, pipelines, approvals, serving and monitoring.
#[derive(Debug, Parser)]
#[command(
    name = "slipway",
    version,
    propagate_version = true,
    after_help = "SLIPWAY_LOG says what is logged to standard error: debug, or info,server::worker=debug. \
        NO_COLOR=1 keeps colours out."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line and the environment. A variable that is empty is as one that is not set.
    ///
    /// # Errors
    /// When the command line of `slipway promote` is wrong, which it says: how the process is to end. That of other commands
    /// ends the process with 2, as is usual; of that one, 2 says that somebody said no.
    pub fn read() -> Result<Self, ExitCode> {
        let read = without_empty(Self::command()).try_get_matches();
        read.and_then(|mut matches| Self::from_arg_matches_mut(&mut matches)).map_err(|error| {
            let promotes = std::env::args_os().nth(1).is_some_and(|command| command == "promote");
            if !(error.use_stderr() && promotes) {
                error.exit()
            }
            // With nobody to tell it is wrong all the same.
            let _ = error.print();
            ExitCode::FAILURE
        })
    }
}

fn without_empty(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    command.mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg }).mut_subcommands(without_empty)
}

/// Reads an address to listen at; a name is looked up.
fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let first = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    first.ok_or_else(|| "an address is a host and a port, such as 127.0.0.1:3000".to_owned())
}

/// What `--gpus` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedGpu {
    /// `none`.
    None,
    /// One of them.
    One(GpuUuid),
}

fn parse_gpu(text: &str) -> Result<NamedGpu, String> {
    match text.trim() {
        "none" => Ok(NamedGpu::None),
        uuid => uuid.parse().map(NamedGpu::One).map_err(str::to_owned),
    }
}

/// The roles of the binary.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the web pages, the APIs and the models, and work on jobs.
    Serve(Serve),
    /// Work on jobs only, beside a server that uses the same database and data directory.
    Worker(Worker),
    /// Bring the database to the schema of this version.
    Migrate(Data),
    /// Walk one real model around the whole loop on a server, and leave everything to be looked at.
    Demo(Demo),
    /// Make versions of datasets, fetch them, and tell what is different: on a server, with a token.
    #[command(subcommand)]
    Data(crate::cli::data::Command),
    /// Store pipelines, start runs, follow their logs: on a server, with a token.
    #[command(subcommand)]
    Pipeline(crate::cli::pipeline::Command),
    /// Set secrets that steps get, list and delete them: on a server, with a token.
    #[command(subcommand)]
    Secret(crate::cli::secret::Command),
    /// Verify an audit bundle: without a server, a database or a network.
    Verify(crate::cli::verify::Verify),
    /// Ask for a version to be brought into an environment, and wait for what becomes of it: on a server, with a token.
    Promote(crate::cli::promotion::Promote),
    /// Take a request for a promotion back: on a server, with a token.
    #[command(subcommand)]
    Promotion(crate::cli::promotion::Command),
    /// Manage users, tokens and keys. Works while the server runs.
    #[command(subcommand)]
    Admin(Admin),
    /// Run one step's process and end it when the worker dies. Started by workers.
    #[command(hide = true, disable_help_flag = true)]
    StepShim {
        /// What the worker passes.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
}

/// Where the data is.
#[derive(Debug, Clone, Args)]
pub struct Data {
    /// The folder for artifacts, working files and, without a database URL, the database.
    #[arg(long, env = "SLIPWAY_DATA_DIR", default_value = ".slipway", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// A Postgres database to use; DATABASE_URL is read as well. Without one, Slipway runs a private cluster in the data
    /// folder.
    #[arg(long, env = "SLIPWAY_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Keys that secrets are encrypted with, of 64 hexadecimal digits each: the first is put in use, the others read what they
    /// encrypted. Without any, keys are made in the data folder.
    #[arg(long, env = "SLIPWAY_SECRET_KEYS", value_name = "KEYS", hide_env_values = true, value_delimiter = ',')]
    pub secret_keys: Vec<String>,
}

impl Data {
    /// The database named by option, `SLIPWAY_DATABASE_URL` or `DATABASE_URL`, in this order.
    #[must_use]
    pub fn database_url(&self) -> Option<String> {
        self.database_url.clone().or_else(|| std::env::var("DATABASE_URL").ok()).filter(|url| !url.is_empty())
    }
}

/// Options of `slipway serve`.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// The address to listen on.
    #[arg(long, env = "SLIPWAY_LISTEN", default_value = "127.0.0.1:3000", value_name = "ADDR", value_parser = parse_listen)]
    pub listen: SocketAddr,
    /// The address that people and clients use, when it is not the one listened on. With https, cookies are secure.
    #[arg(long, env = "SLIPWAY_PUBLIC_URL", value_name = "URL", value_parser = parse_url)]
    pub public_url: Option<String>,
    /// Further names by which clients reach it, beside that of the public address: `name`, `*.name` for all below it, or `*`.
    /// Addresses and names without a dot need not be named.
    #[arg(long, env = "SLIPWAY_ALLOWED_HOSTS", value_delimiter = ',', value_name = "NAMES")]
    pub allowed_hosts: Vec<String>,
    /// The addresses of the proxies before it: what they put last into X-Forwarded-For is where a request comes from.
    #[arg(long, env = "SLIPWAY_TRUSTED_PROXY", value_delimiter = ',', value_name = "IPS")]
    pub trusted_proxy: Vec<IpAddr>,
    /// Where the data is.
    #[command(flatten)]
    pub data: Data,
    /// What workers need.
    #[command(flatten)]
    pub work: Work,
    /// Serve only; jobs are worked on by `slipway worker`.
    #[arg(long, env = "SLIPWAY_NO_WORKER", value_parser = FalseyValueParser::new())]
    pub no_worker: bool,
}

/// Options of `slipway worker`.
#[derive(Debug, Clone, Args)]
pub struct Worker {
    /// The address of the server, for the steps that log to it.
    #[arg(long, env = "SLIPWAY_PUBLIC_URL", default_value = "http://127.0.0.1:3000", value_name = "URL", value_parser = parse_url)]
    pub public_url: String,
    /// An address at which to answer to /metrics and /healthz. Without one, the worker listens nowhere.
    #[arg(long, env = "SLIPWAY_METRICS_LISTEN", value_name = "ADDR", value_parser = parse_listen)]
    pub metrics_listen: Option<SocketAddr>,
    /// Where the data is.
    #[command(flatten)]
    pub data: Data,
    /// What workers need.
    #[command(flatten)]
    pub work: Work,
}

/// What a process that works on jobs or serves models needs.
#[derive(Debug, Clone, Args)]
pub struct Work {
    /// The ONNX Runtime library. By default it is looked for where `make setup` puts it.
    #[arg(long, env = "SLIPWAY_ONNXRUNTIME", value_name = "FILE")]
    pub onnxruntime: Option<PathBuf>,
    /// How many pipeline steps may run at once.
    #[arg(long, env = "SLIPWAY_STEPS", default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub steps: u16,
    /// The pools whose steps are run here.
    #[arg(
        long = "pools",
        env = "SLIPWAY_POOLS",
        default_value = "default",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    pub pools: Vec<String>,
    /// The GPUs of this machine that steps get, by their UUIDs as `nvidia-smi -L` tells them, or none. Without it, all that
    /// the driver knows of. Other workers of the machine may name the same ones: no two steps get one at once.
    #[arg(long, env = "SLIPWAY_GPUS", value_delimiter = ',', value_name = "UUIDS", value_parser = parse_gpu)]
    pub gpus: Vec<NamedGpu>,
    /// Variables of this process that steps get too, where their file does not set them: proxies, certificates, licences.
    #[arg(long, env = "SLIPWAY_STEP_ENV", value_delimiter = ',', value_name = "NAMES")]
    pub step_env: Vec<String>,
    /// Directories that steps may write to besides their own: caches, shared data. Not the data directory.
    #[arg(long, env = "SLIPWAY_STEP_DIRS", value_delimiter = ',', value_name = "PATHS")]
    pub step_dirs: Vec<PathBuf>,
    /// The Unix socket of the Docker engine that steps with `executor: docker` run in. Who may use it is as good as root.
    #[arg(long, env = "SLIPWAY_DOCKER_SOCKET", default_value = "/var/run/docker.sock", value_name = "PATH")]
    pub docker_socket: PathBuf,
    /// The network that containers of steps join. `host` is that of the machine, where they reach a server on loopback.
    #[arg(long, env = "SLIPWAY_DOCKER_NETWORK", default_value = "host", value_name = "NAME")]
    pub docker_network: String,
    /// The namespace of a Kubernetes cluster in which steps with `executor: kubernetes` run. The cluster is that of
    /// KUBECONFIG, or the one that this process runs in.
    #[arg(long, env = "SLIPWAY_KUBERNETES_NAMESPACE", value_name = "NAME")]
    pub kubernetes_namespace: Option<String>,
    /// The claim of the volume that this process has mounted at `jobs` below the data directory. Without one, the cluster has
    /// one node, which is this machine.
    #[arg(long, env = "SLIPWAY_KUBERNETES_CLAIM", value_name = "NAME")]
    pub kubernetes_claim: Option<String>,
    /// When images are fetched: IfNotPresent, Always or Never.
    #[arg(long, env = "SLIPWAY_KUBERNETES_PULL", default_value = "IfNotPresent", value_name = "POLICY",
        value_parser = ["IfNotPresent", "Always", "Never"])]
    pub kubernetes_pull_policy: String,
    /// Tells the jobs of this installation from those of others in the same namespace.
    #[arg(long, env = "SLIPWAY_KUBERNETES_INSTALLATION", default_value = "slipway", value_name = "NAME")]
    pub kubernetes_installation: String,
    /// Let steps read, write and call whatever this process may, the database and the keys included.
    #[arg(long, env = "SLIPWAY_NO_SANDBOX", value_parser = FalseyValueParser::new())]
    pub no_sandbox: bool,
    /// Seconds between two looks at the traffic of deployed models.
    #[arg(long, env = "SLIPWAY_MONITOR_INTERVAL", default_value_t = 15, value_name = "S", value_parser = clap::value_parser!(u16).range(1..))]
    pub monitor_interval: u16,
    /// Seconds for which a worker holds a step before it must say that it still lives.
    #[arg(long, env = "SLIPWAY_LEASE", default_value_t = 60, value_name = "S", value_parser = clap::value_parser!(u16).range(3..=600))]
    pub lease: u16,
    /// Days for which predictions, and the checks that were made of them, are kept.
    #[arg(long, env = "SLIPWAY_PREDICTION_DAYS", default_value_t = 30, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub prediction_days: u16,
    /// Let webhooks send to private addresses too, and by http. For networks in which nobody who may set up webhooks could do
    /// harm with what the server reaches.
    #[arg(long, env = "SLIPWAY_WEBHOOK_ALLOW_PRIVATE", value_parser = FalseyValueParser::new())]
    pub webhook_allow_private: bool,
    /// The Prometheus that gates of policies query, such as http://127.0.0.1:9090. Without one such gates cannot tell.
    #[arg(long, env = "SLIPWAY_PROMETHEUS_URL", value_name = "URL", value_parser = parse_url)]
    pub prometheus_url: Option<String>,
    /// The mail server through which people are written: smtps://user:password@host, or smtp://host:port, with ?tls=required
    /// to secure it. Without one nobody is written. Give it in the environment: it may hold a password.
    #[arg(long, env = "SLIPWAY_SMTP_URL", value_name = "URL", hide_env_values = true, requires = "mail_from")]
    pub smtp_url: Option<String>,
    /// Who such messages are from: slipway@example.com, or Slipway <slipway@example.com>.
    #[arg(long, env = "SLIPWAY_MAIL_FROM", value_name = "ADDRESS")]
    pub mail_from: Option<String>,
}

impl Work {
    /// The mail server, when one is named.
    ///
    /// # Errors
    /// A sentence, when its address or that of the sender is none.
    pub fn mailer(&self) -> Result<Option<Mailer>, String> {
        match (&self.smtp_url, &self.mail_from) {
            (Some(server), Some(from)) => Mailer::new(server, from).map(Some),
            _ => Ok(None),
        }
    }
}

/// Options of `slipway demo`.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// The server. When none listens there and the address is this machine's, one is started.
    #[arg(long, env = "SLIPWAY_URL", default_value = "http://127.0.0.1:3000", value_name = "URL", value_parser = parse_url)]
    pub url: String,
    /// A Python environment with the packages of the training. By default one is made in the data folder.
    #[arg(long, env = "SLIPWAY_DEMO_PYTHON", value_name = "DIR")]
    pub python: Option<PathBuf>,
    /// Where the data of a local server is: the demo makes its users there.
    #[command(flatten)]
    pub data: Data,
}

/// Commands of `slipway admin`.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Add a person, as a member of the default workspace.
    CreateUser {
        /// Their e-mail address.
        #[arg(long, env = "SLIPWAY_EMAIL")]
        email: String,
        /// Their name. Without one, the address up to the at sign.
        #[arg(long, env = "SLIPWAY_NAME", default_value = "")]
        name: String,
        /// What they are in the default workspace. May be given several times, or as a list.
        #[arg(long = "role", env = "SLIPWAY_ROLE", required = true, value_delimiter = ',', value_name = "ROLE")]
        roles: Vec<Role>,
        /// Read the password from standard input, up to the end of the line.
        #[arg(long, env = "SLIPWAY_PASSWORD_STDIN", required = true, value_parser = FalseyValueParser::new())]
        password_stdin: bool,
        /// Where the data is.
        #[command(flatten)]
        data: Data,
    },
    /// Manage the keys that heads of history and audit bundles are signed with.
    #[command(subcommand)]
    AuditKey(crate::cli::audit_key::Command),
    /// Encrypt all secrets with another key: a new one, or the first of those given. Says what came of it.
    RotateSecretKey {
        /// Where the data is.
        #[command(flatten)]
        data: Data,
    },
    /// Make an API token and print it, alone, on standard output.
    CreateToken {
        /// Whose it is.
        #[arg(long, env = "SLIPWAY_EMAIL")]
        email: String,
        /// What to call it.
        #[arg(long, env = "SLIPWAY_NAME")]
        name: String,
        /// What it may be used for, of what its owner may: read, write, or admin for everything.
        #[arg(long, env = "SLIPWAY_SCOPE", default_value = "admin")]
        scope: Scope,
        /// For how many days.
        #[arg(long, env = "SLIPWAY_DAYS", default_value_t = 90)]
        days: u32,
        /// Where the data is.
        #[command(flatten)]
        data: Data,
    },
}

#[cfg(test)]
mod tests {
    use super::{Admin, Cli, Command, NamedGpu};
    use clap::{CommandFactory as _, Parser as _};
    use domain::permission::Role;

    #[test]
    fn no_option_is_in_anothers_way() {
        Cli::command().debug_assert();
    }

    fn without_variable(command: &clap::Command, found: &mut Vec<String>) {
        let options = command.get_arguments().filter(|arg| !arg.is_positional() && arg.get_env().is_none());
        found.extend(options.map(|arg| format!("{} {arg}", command.get_name())));
        command.get_subcommands().for_each(|each| without_variable(each, found));
    }

    #[test]
    fn every_option_can_come_from_the_environment() {
        let mut found = Vec::new();
        without_variable(&Cli::command(), &mut found);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn an_address_that_is_none_is_refused_at_once() {
        let url = |url: &str| Cli::try_parse_from(["slipway", "demo", "--url", url]).map(|cli| cli.command);
        assert!(
            matches!(url("http://127.0.0.1:4000/"), Ok(Command::Demo(demo)) if demo.url == "http://127.0.0.1:4000")
        );
        for wrong in ["127.0.0.1:4000", "ftp://127.0.0.1", "localhost", "http://", ""] {
            let refused = url(wrong).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refused.contains("an address begins with http:// or https://"), "{wrong}: {refused}");
        }
    }

    #[test]
    fn a_person_may_be_made_with_several_roles() {
        let arguments = ["slipway", "admin", "create-user", "--email", "a@b.test", "--password-stdin", "--role"];
        let roles = |more: &[&str]| match Cli::try_parse_from(arguments.iter().chain(more)).map(|cli| cli.command) {
            Ok(Command::Admin(Admin::CreateUser { roles, .. })) => Some(roles),
            _ => None,
        };
        assert_eq!(roles(&["viewer,approver"]), Some(vec![Role::Viewer, Role::Approver]));
        assert_eq!(roles(&["viewer", "--role", "approver"]), Some(vec![Role::Viewer, Role::Approver]));
        assert_eq!(roles(&["owner"]), None);
    }

    #[test]
    fn webhooks_send_to_public_addresses_unless_it_is_said_otherwise() {
        let allowed = |arguments: &[&str]| match Cli::try_parse_from(arguments).map(|cli| cli.command) {
            Ok(Command::Serve(serve)) => Some(serve.work.webhook_allow_private),
            Ok(Command::Worker(worker)) => Some(worker.work.webhook_allow_private),
            _ => None,
        };
        assert_eq!(allowed(&["slipway", "serve"]), Some(false));
        assert_eq!(allowed(&["slipway", "worker"]), Some(false));
        assert_eq!(allowed(&["slipway", "serve", "--webhook-allow-private"]), Some(true));
        assert_eq!(allowed(&["slipway", "worker", "--webhook-allow-private"]), Some(true));
    }

    #[test]
    fn mail_needs_a_server_and_a_sender_and_is_off_without() {
        let mailer = |arguments: &[&str]| match Cli::try_parse_from(arguments).map(|cli| cli.command) {
            Ok(Command::Worker(worker)) => Some(worker.work.mailer().map(|mailer| mailer.is_some())),
            _ => None,
        };
        let from = ["--mail-from", "slipway@example.com"];
        assert_eq!(mailer(&["slipway", "worker"]), Some(Ok(false)));
        assert_eq!(mailer(&["slipway", "worker", from[0], from[1]]), Some(Ok(false)));
        assert_eq!(mailer(&["slipway", "worker", "--smtp-url", "smtp://127.0.0.1"]), None);
        assert_eq!(mailer(&["slipway", "worker", "--smtp-url", "smtp://127.0.0.1", from[0], from[1]]), Some(Ok(true)));
        let open = mailer(&["slipway", "worker", "--smtp-url", "smtp://u:hush@mail.example.com", from[0], from[1]]);
        assert!(matches!(open, Some(Err(sentence)) if sentence.contains("tls=required")));
    }

    #[test]
    fn gpus_are_named_by_their_uuids_or_there_are_none() {
        let gpus = |named: &str| match Cli::try_parse_from(["slipway", "worker", "--gpus", named]) {
            Ok(Cli { command: Command::Worker(worker) }) => Ok(worker.work.gpus),
            Ok(_) => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        };
        let one = |uuid: &str| NamedGpu::One(uuid.parse().unwrap());
        assert_eq!(gpus("GPU-a, MIG-b"), Ok(vec![one("GPU-a"), one("MIG-b")]));
        assert_eq!(gpus("none"), Ok(vec![NamedGpu::None]));
        for wrong in ["0", "all", "GPU-a,1"] {
            assert!(gpus(wrong).is_err_and(|said| said.contains("a GPU is named by its UUID")), "{wrong}");
        }
    }

    #[test]
    fn predictions_are_kept_for_thirty_days_or_as_long_as_is_said() {
        let days = |arguments: &[&str]| match Cli::try_parse_from(arguments).map(|cli| cli.command) {
            Ok(Command::Serve(serve)) => Some(serve.work.prediction_days),
            Ok(Command::Worker(worker)) => Some(worker.work.prediction_days),
            _ => None,
        };
        assert_eq!(days(&["slipway", "serve"]), Some(30));
        assert_eq!(days(&["slipway", "worker", "--prediction-days", "7"]), Some(7));
        assert_eq!(days(&["slipway", "serve", "--prediction-days", "0"]), None);
    }
}
