//! `slipway verify`: an audit bundle, without a server, a database or a network.

use chain::{Hash, NotABundle, Options, PublicKey, Report, Source};
use clap::Args;
use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use zip::ZipArchive;

/// All holds.
const HOLDS: u8 = 0;
/// Something does not.
const WRONG: u8 = 1;
/// There is nothing to verify.
const NONE: u8 = 2;

/// Options of `slipway verify`.
#[derive(Debug, Clone, Args)]
pub struct Verify {
    /// The bundle.
    bundle: PathBuf,
    /// A head of the chain that was kept elsewhere: it must be among the entries of the bundle.
    #[arg(long, env = "SLIPWAY_VERIFY_HEAD", value_name = "HEX")]
    head: Option<Hash>,
    /// The server's public key, as `GET /api/v1/audit/keys/<id>/pem` gives it: the bundle must be signed with it.
    #[arg(long, env = "SLIPWAY_VERIFY_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
}

/// The archive of a bundle.
struct Archive(ZipArchive<BufReader<File>>);

impl Source for Archive {
    fn names(&self) -> Vec<String> {
        // A name that cannot be read is one that no manifest names.
        self.0.file_names().map(|name| name.map_or_else(|_| "\u{fffd}".to_owned(), |name| name.into_owned())).collect()
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.0.by_name(name)?))
    }
}

/// Carries the command out: exit code 0 when all holds, 1 when something does not, 2 when there is nothing to verify.
///
/// # Errors
/// When nothing can be written to standard output.
pub fn run(options: &Verify) -> io::Result<ExitCode> {
    let code = match verify(options) {
        Ok(report) => {
            tell(&report, &mut io::stdout().lock())?;
            if report.holds() { HOLDS } else { WRONG }
        }
        Err(why) => {
            writeln!(io::stderr(), "slipway: {}: {why}", options.bundle.display())?;
            NONE
        }
    };
    Ok(ExitCode::from(code))
}

fn verify(options: &Verify) -> Result<Report, String> {
    let key = options.key.as_deref().map(read_key).transpose()?;
    let file = File::open(&options.bundle).map_err(|error| format!("the file cannot be read: {error}"))?;
    let archive = ZipArchive::new(BufReader::new(file)).map_err(|_| "this is no audit bundle: it is no ZIP archive")?;
    let options = Options { head: options.head, key };
    chain::verify(&mut Archive(archive), &options).map_err(|error: NotABundle| error.to_string())
}

fn read_key(path: &Path) -> Result<PublicKey, String> {
    let pem =
        std::fs::read_to_string(path).map_err(|error| format!("the key {} cannot be read: {error}", path.display()))?;
    PublicKey::from_pem(&pem).map_err(|error| format!("the key {} cannot be used: {error}", path.display()))
}

fn tell(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for check in &report.checks {
        writeln!(out, "{}  {}", if check.holds { "ok  " } else { "FAIL" }, check.what)?;
    }
    for (title, lines) in [("Proven", &report.proven), ("Not proven", &report.not_proven)] {
        if !lines.is_empty() {
            writeln!(out, "\n{title}")?;
            for line in lines {
                writeln!(out, "- {line}")?;
            }
        }
    }
    let end = if report.holds() { "The bundle holds." } else { "The bundle does NOT hold." };
    writeln!(out, "\n{end}")
}
