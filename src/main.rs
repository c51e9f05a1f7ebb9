//! Arguments, then the library does the work.

use std::{io::IsTerminal as _, net::SocketAddr, path::PathBuf, process::ExitCode, str::FromStr};

use causeway::{
    demo::{self, DemoOptions},
    serve::{self, ServeError, ServeOptions},
};
use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;
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
    /// Give root a new password and the role admin, while Causeway does not run: the one in CAUSEWAY_ADMIN_PASSWORD,
    /// or one that is made up and left in the data directory.
    ResetPassword(Serve),
    /// Show it at work: two real servers, a two-way task, changes on both sides.
    Demo {
        /// End after the comparison; exit code 0 only if both sides agree.
        #[arg(long)]
        once: bool,
    },
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    settings: Settings,
    /// A TOML file with these settings under the same names, with _ for -; flags and variables go before it.
    #[arg(long, env = "CAUSEWAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What can be said with a flag, a variable, or in the configuration file.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where Causeway keeps servers, tasks, accounts and keys [required, here or in the configuration file].
    #[arg(long, env = "CAUSEWAY_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the admin endpoint listens [default: 127.0.0.1:4306].
    #[arg(long, env = "CAUSEWAY_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Refuse clients that don't encrypt [default: OFF if it listens on this machine alone (127.0.0.1, ::1), else ON].
    #[arg(long, env = "CAUSEWAY_REQUIRE_SECURE_TRANSPORT", value_name = "ON|OFF", num_args = 0..=1, default_missing_value = "ON")]
    require_secure_transport: Option<Switch>,
    /// The admin endpoint's certificate, with what leads to its CA, in PEM [default: admin-cert.pem in the data
    /// directory, made at the first start].
    #[arg(long, env = "CAUSEWAY_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate, in PEM.
    #[arg(long, env = "CAUSEWAY_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// What is logged: error, warn, info, debug or trace, also by module (info,causeway::task=debug) [default: info].
    #[arg(long, env = "CAUSEWAY_LOG", value_name = "LEVEL")]
    log: Option<String>,
}

/// ON or OFF, as MySQL writes it; in the configuration file true and false too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
struct Switch(bool);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Truth(bool),
    Text(String),
}

impl TryFrom<Written> for Switch {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Truth(truth) => Ok(Self(truth)),
            Written::Text(text) => text.parse(),
        }
    }
}

impl FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "1" => Ok(Self(true)),
            "off" | "false" | "0" => Ok(Self(false)),
            _ => Err("it is ON or OFF".to_owned()),
        }
    }
}

impl Settings {
    /// Those of the flags and variables, and where they say nothing, those of the file.
    fn over(self, file: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(file.data_dir),
            listen: self.listen.or(file.listen),
            require_secure_transport: self.require_secure_transport.or(file.require_secure_transport),
            tls_cert: self.tls_cert.or(file.tls_cert),
            tls_key: self.tls_key.or(file.tls_key),
            log: self.log.or(file.log),
        }
    }

    fn data_dir(&self) -> Result<PathBuf, String> {
        self.data_dir.clone().ok_or_else(|| {
            "say where Causeway keeps its data: --data-dir DIR, CAUSEWAY_DATA_DIR, or data_dir in the configuration file"
                .to_owned()
        })
    }

    fn tls(&self) -> Result<Option<(PathBuf, PathBuf)>, String> {
        match (self.tls_cert.clone(), self.tls_key.clone()) {
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            (None, None) => Ok(None),
            (Some(_), None) => Err("--tls-cert needs --tls-key, the file with its key".to_owned()),
            (None, Some(_)) => Err("--tls-key needs --tls-cert, the file with its certificate".to_owned()),
        }
    }
}

impl Serve {
    fn settings(self) -> Result<Settings, String> {
        let Some(path) = &self.config else {
            return Ok(self.settings);
        };
        let text = std::fs::read_to_string(path).map_err(|cause| format!("can't read {}: {cause}", path.display()))?;
        let file = toml::from_str(&text).map_err(|cause| format!("{}: {cause}", path.display()))?;
        Ok(self.settings.over(file))
    }

    fn options(self) -> Result<ServeOptions, String> {
        let settings = self.settings()?;
        let levels = settings.log.as_deref().unwrap_or("info");
        let filter = EnvFilter::try_new(levels).map_err(|cause| format!("--log {levels}: {cause}"))?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .init();
        Ok(ServeOptions {
            data_dir: settings.data_dir()?,
            listen: settings
                .listen
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 4306))),
            require_secure_transport: settings.require_secure_transport.map(|switch| switch.0),
            tls: settings.tls()?,
            admin_password: admin_password(),
        })
    }
}

/// No flag: other users of the machine can read those.
fn admin_password() -> Option<SecretString> {
    let password = std::env::var("CAUSEWAY_ADMIN_PASSWORD").ok();
    password.filter(|text| !text.is_empty()).map(Into::into)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => return failed(&format!("can't start: {cause}")),
    };
    match arguments.command {
        Command::Serve(serve) => match serve.options() {
            Ok(options) => ended(runtime.block_on(serve::run(options))),
            Err(message) => failed(&message),
        },
        Command::ResetPassword(serve) => match serve.settings().and_then(|settings| settings.data_dir()) {
            Ok(dir) => match serve::reset_password(&dir, admin_password()) {
                Ok(told) => {
                    eprintln!("causeway: {told}");
                    ExitCode::SUCCESS
                }
                Err(error) => failed(&error.to_string()),
            },
            Err(message) => failed(&message),
        },
        Command::Demo { once } => match runtime.block_on(demo::run(DemoOptions { once })) {
            Ok(code) => code,
            Err(error) => failed(&error.to_string()),
        },
    }
}

fn ended(result: Result<(), ServeError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(message: &str) -> ExitCode {
    eprintln!("causeway: {message}");
    ExitCode::FAILURE
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test, to panic is to fail")]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn settings(arguments: &[&str]) -> Settings {
        let all = ["causeway", "serve"].iter().chain(arguments);
        match Arguments::try_parse_from(all).map(|arguments| arguments.command) {
            Ok(Command::Serve(serve)) => serve.settings().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn file(text: &str) -> Result<Settings, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_go_before_the_file() {
        let of_file = file(
            "data_dir = '/file'\nlisten = '0.0.0.0:1'\nrequire_secure_transport = 'OFF'\ntls_cert = 'c'\ntls_key = 'k'\nlog = 'debug'",
        );
        let both = settings(&["--data-dir", "/flag", "--require-secure-transport"]).over(of_file.unwrap());
        assert_eq!(both.data_dir().unwrap(), PathBuf::from("/flag"));
        assert_eq!(both.require_secure_transport, Some(Switch(true)));
        assert_eq!(both.listen, Some(SocketAddr::from(([0, 0, 0, 0], 1))));
        assert_eq!(both.tls().unwrap(), Some(("c".into(), "k".into())));
        assert_eq!(both.log.as_deref(), Some("debug"));
        assert_eq!(
            settings(&["--require-secure-transport=off"]).require_secure_transport,
            Some(Switch(false))
        );
        assert!(settings(&[]).data_dir().unwrap_err().contains("--data-dir"));
        assert!(settings(&["--tls-cert", "c"]).tls().unwrap_err().contains("--tls-key"));
        assert!(settings(&["--tls-key", "k"]).tls().unwrap_err().contains("--tls-cert"));
    }

    #[test]
    fn what_the_file_should_not_hold_is_named() {
        let check = |text: &str, part: &str| {
            let error = file(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check("data_dir = '/x'\nlisen = '127.0.0.1:1'", "unknown field `lisen`");
        check("data_dir = '/x'\nlisen = '127.0.0.1:1'", "`listen`");
        check("listen = 'here'", "listen");
        check("require_secure_transport = 'perhaps'", "ON or OFF");
        check("data_dir = ", "data_dir");
    }

    /// The table of flags in docs/operating.md is made from the flags themselves; `UPDATE_DOCS=1` writes it.
    #[test]
    fn the_page_shows_the_flags_that_there_are() {
        let mut table = String::from("| flag | variable | in the file | |\n|---|---|---|---|\n");
        let command = Arguments::command();
        for argument in command.find_subcommand("serve").unwrap().get_arguments() {
            let Some(flag) = argument.get_long().filter(|flag| *flag != "help") else {
                continue;
            };
            let value = argument.get_value_names().unwrap()[0].as_str().replace('|', "\\|");
            let variable = argument.get_env().unwrap().to_str().unwrap();
            assert_eq!(variable, format!("CAUSEWAY_{}", flag.replace('-', "_").to_uppercase()));
            let key = flag.replace('-', "_");
            let key = match flag {
                "config" => String::new(),
                _ => format!("`{key}`"),
            };
            // A key that the file does not know would be told as unknown.
            if let Err(error) = file(&format!("{} = []", key.trim_matches('`'))) {
                assert!(!error.contains("unknown field"), "{error}");
            }
            let help = argument.get_help().unwrap().to_string().replace('|', "\\|");
            table += &format!("| `--{flag} {value}` | `{variable}` | {key} | {help} |\n");
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operating.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (begin, end) = ("<!-- flags -->\n", "<!-- end of flags -->");
        let (head, rest) = page.split_once(begin).unwrap();
        let (found, tail) = rest.split_once(end).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, [head, begin, &table, end, tail].concat()).unwrap();
            return;
        }
        assert_eq!(
            found, table,
            "docs/operating.md is out of date: run this test with UPDATE_DOCS=1"
        );
    }
}
