//! Arguments, then the library does the work.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use causeway::{
    demo::{self, DemoOptions},
    serve::{self, ServeOptions},
};
use clap::{Args, Parser, Subcommand};
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Two-way MySQL synchronization, managed with SQL from any mysql client.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run Causeway.
    Serve(Serve),
    /// Show it at work: two real servers, a two-way task, changes on both sides.
    Demo {
        /// End after the comparison; exit code 0 only if both sides agree.
        #[arg(long)]
        once: bool,
    },
}

#[derive(Debug, Args)]
struct Serve {
    /// Where Causeway keeps servers, tasks and keys [required, here or in the configuration file].
    #[arg(long, env = "CAUSEWAY_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the admin endpoint listens [default: 127.0.0.1:4306].
    #[arg(long, env = "CAUSEWAY_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// A TOML file with the same settings (data_dir, listen); flags and variables go before it.
    #[arg(long, env = "CAUSEWAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    data_dir: Option<PathBuf>,
    listen: Option<SocketAddr>,
}

impl Serve {
    fn options(self) -> Result<ServeOptions, String> {
        let file = match &self.config {
            None => ConfigFile::default(),
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).map_err(|cause| format!("can't read {}: {cause}", path.display()))?;
                toml::from_str(&text).map_err(|cause| format!("{}: {cause}", path.display()))?
            }
        };
        Ok(ServeOptions {
            data_dir: self
                .data_dir
                .or(file.data_dir)
                .ok_or("say where Causeway keeps its data: --data-dir DIR, CAUSEWAY_DATA_DIR, or data_dir in the configuration file")?,
            listen: self.listen.or(file.listen).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 4306))),
            admin_password: std::env::var("CAUSEWAY_ADMIN_PASSWORD").ok().filter(|text| !text.is_empty()).map(Into::into),
        })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => return failed(&format!("can't start: {cause}")),
    };
    match arguments.command {
        Command::Serve(serve) => {
            let filter = EnvFilter::try_from_env("CAUSEWAY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
            tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(std::io::stderr)
                .init();
            let options = match serve.options() {
                Ok(options) => options,
                Err(message) => return failed(&message),
            };
            match runtime.block_on(serve::run(options)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(&error.to_string()),
            }
        }
        Command::Demo { once } => match runtime.block_on(demo::run(DemoOptions { once })) {
            Ok(code) => code,
            Err(error) => failed(&error.to_string()),
        },
    }
}

fn failed(message: &str) -> ExitCode {
    eprintln!("causeway: {message}");
    ExitCode::FAILURE
}
