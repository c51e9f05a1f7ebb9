//! Finds a MySQL installation on this machine, or fetches one into the cache folder.
//!
//! In this order: the `mysqld` that `CAUSEWAY_MYSQLD` names; one on `PATH` or in `/usr/sbin`, if it is MySQL 8.0 or
//! later (a MariaDB is passed over); the one in the cache folder, which `scripts/fetch-mysql.sh` puts there if it is
//! missing. The cache folder is `CAUSEWAY_CACHE`, else `$XDG_CACHE_HOME/causeway`, else `~/.cache/causeway`.
//!
//! The fetched programs come with their own libc and are started through its loader, as this machine's may be older.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

/// Run by `sh`; also of use by itself.
const FETCH: &str = include_str!("../../scripts/fetch-mysql.sh");

/// Why there is no MySQL to start.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The setting names something that is not a MySQL server.
    #[error("CAUSEWAY_MYSQLD={path}: {found}; name the mysqld of MySQL 8.0 or later, or unset it", path = .path.display())]
    Setting {
        /// What was named.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// Neither a setting nor a home folder tells where to keep things.
    #[error("no folder to keep a fetched MySQL in: set CAUSEWAY_CACHE (or HOME)")]
    NoCache,
    /// A step failed.
    #[error("cannot {doing} ({cause}); is the disk full, or the folder not yours? CAUSEWAY_CACHE names another one")]
    Io {
        /// What was being done.
        doing: String,
        /// The system's answer.
        cause: io::Error,
    },
    /// The script that fetches MySQL failed; it has said why.
    #[error(
        "MySQL could not be fetched (the lines above say why); install MySQL 8.0 or later and put mysqld on PATH, \
         or name it in CAUSEWAY_MYSQLD"
    )]
    Fetch,
    /// The fetched programs do not run.
    #[error("the MySQL in {folder} does not run: {found}; remove the folder and it is fetched again", folder = .folder.display())]
    Broken {
        /// Where it is.
        folder: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// `mysqld --initialize-insecure` failed.
    #[error("mysqld could not make a data directory in {folder}:\n{log}", folder = .folder.display())]
    Initialize {
        /// Where it was to be.
        folder: PathBuf,
        /// The end of what mysqld said.
        log: String,
    },
}

fn io_error(doing: impl Into<String>) -> impl FnOnce(io::Error) -> InstallationError {
    let doing = doing.into();
    move |cause| InstallationError::Io { doing, cause }
}

/// A MySQL version: major, minor, patch.
pub type Version = (u16, u16, u16);

/// A MySQL server and its client programs.
#[derive(Debug)]
pub struct Installation {
    mysqld: PathBuf,
    /// The folder of a fetched installation, with its own loader and libraries.
    root: Option<PathBuf>,
    cache: PathBuf,
    version: Version,
}

impl Installation {
    /// Finds an installation as described above, or fetches one. That may take a while: it is a blocking call.
    pub fn find_or_fetch() -> Result<Arc<Self>, InstallationError> {
        let cache = cache_folder()?;
        if let Some(path) = std::env::var_os("CAUSEWAY_MYSQLD").filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            return Self::new(path.clone(), cache)
                .map(Arc::new)
                .map_err(|found| InstallationError::Setting { path, found });
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        for folder in std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]) {
            let mysqld = folder.join("mysqld");
            if mysqld.is_file()
                && let Ok(found) = Self::new(mysqld, cache.clone())
            {
                return Ok(Arc::new(found));
            }
        }
        Self::fetched(cache, &[])
    }

    /// One that was fetched together with other programs of Debian's, which [`Self::program`] then finds; fetches it if
    /// it is not there. A blocking call, as above.
    pub fn find_or_fetch_with(packages: &[&str]) -> Result<Arc<Self>, InstallationError> {
        Self::fetched(cache_folder()?, packages)
    }

    fn fetched(cache: PathBuf, packages: &[&str]) -> Result<Arc<Self>, InstallationError> {
        let root = cache.join([&["mysql"], packages].concat().join("+"));
        if !root.join(".complete").exists() {
            let _lock = lock(&cache)?;
            let status = Command::new("sh")
                .args(["-c", FETCH, "fetch-mysql.sh"])
                .arg(&root)
                .env("CAUSEWAY_EXTRA_PACKAGES", packages.join(" "))
                .stdin(std::process::Stdio::null())
                .status()
                .map_err(io_error("run sh"))?;
            if !status.success() {
                return Err(InstallationError::Fetch);
            }
        }
        Self::new(root.join("usr/sbin/mysqld"), cache)
            .map(Arc::new)
            .map_err(|found| InstallationError::Broken { folder: root, found })
    }

    fn new(mysqld: PathBuf, cache: PathBuf) -> Result<Self, String> {
        // Servers are started from another working directory.
        let mysqld = std::path::absolute(&mysqld).map_err(|error| format!("cannot find it: {error}"))?;
        // A fetched installation is told by the mark that the script leaves when it is complete.
        let root = mysqld
            .ancestors()
            .nth(3)
            .filter(|root| root.join(".complete").exists())
            .map(Path::to_path_buf);
        let mut found = Self {
            mysqld,
            root,
            cache,
            version: (0, 0, 0),
        };
        let output = found
            .program("mysqld")
            .args(["--no-defaults", "--version"])
            .output()
            .map_err(|error| format!("cannot run it: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        found.version = parse_version(&text).ok_or_else(|| match text.trim() {
            "" => format!("it answers nothing to --version ({})", output.status),
            text => format!("it is not MySQL 8.0 or later but \"{text}\""),
        })?;
        Ok(found)
    }

    /// The folder of a fetched installation.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// The server's version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// A program of the installation: `mysqld`, `mysql`, `mysqldump`, `mysqlbinlog`, …
    ///
    /// What an installed server brings no client program for is looked for on `PATH`.
    pub fn program(&self, name: &str) -> Command {
        let beside = |folder: &str| {
            let path = self.mysqld.parent()?.join(folder).join(name);
            path.is_file().then_some(path)
        };
        let path = match name {
            "mysqld" => self.mysqld.clone(),
            _ => beside(".")
                .or_else(|| beside("../bin"))
                .unwrap_or_else(|| PathBuf::from(name)),
        };
        let Some(root) = &self.root else {
            return Command::new(path);
        };
        let (loader, libraries) = match std::env::consts::ARCH {
            "aarch64" => ("usr/lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"),
            _ => ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
        };
        let mut command = Command::new(root.join(loader));
        command.arg("--library-path").arg(root.join(libraries)).arg(path);
        command
    }

    /// A short command for the `mysql` client, fit to be shown to people: the one on `PATH`, or else a script in the
    /// cache folder that starts the fetched one.
    pub fn client_for_people(&self) -> Result<String, InstallationError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if std::env::split_paths(&path).any(|folder| folder.join("mysql").is_file()) {
            return Ok("mysql".into());
        }
        let client = self.program("mysql");
        let words: Vec<_> = std::iter::once(client.get_program())
            .chain(client.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''")))
            .collect();
        let script = self.cache.join("bin/mysql");
        let text = format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "));
        if fs::read_to_string(&script).ok().as_deref() != Some(&text) {
            let write = || {
                use std::os::unix::fs::PermissionsExt as _;
                let new = self.cache.join(format!("bin/.mysql-{:08x}", rand::random::<u32>()));
                fs::create_dir_all(self.cache.join("bin"))?;
                fs::write(&new, &text)?;
                fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
                fs::rename(&new, &script)
            };
            write().map_err(io_error(format!("write {}", script.display())))?;
        }
        Ok(script.display().to_string())
    }

    /// `mysqld --no-defaults` with the folders it needs to find its own parts.
    pub(super) fn server(&self) -> Command {
        let mut command = self.program("mysqld");
        command.arg("--no-defaults");
        if let Some(root) = &self.root {
            for (option, folder) in [
                ("basedir", "usr"),
                ("plugin-dir", "usr/lib/mysql/plugin"),
                ("lc-messages-dir", "usr/share/mysql"),
                ("character-sets-dir", "usr/share/mysql/charsets"),
            ] {
                command.arg(format!("--{option}={}", root.join(folder).display()));
            }
        }
        // Refused by mysqld without the option; harmless for anyone else, as then it is ignored with a warning.
        if fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
            command.arg("--user=root");
        }
        command
    }

    /// An initialised data directory, to be copied: made once per version and options, and kept in the cache folder.
    pub(super) fn template(&self, options: &[String]) -> Result<PathBuf, InstallationError> {
        let (major, minor, patch) = self.version;
        let mut name = format!(
            "{major}.{minor}.{patch}-{:08x}",
            crc32fast::hash(self.mysqld.as_os_str().as_encoded_bytes())
        );
        if !options.is_empty() {
            name.push_str(&format!("-{:08x}", crc32fast::hash(options.join("\0").as_bytes())));
        }
        let templates = self.cache.join("templates");
        let folder = templates.join(&name);
        if folder.exists() {
            return Ok(folder);
        }
        let _lock = lock(&self.cache)?;
        if folder.exists() {
            return Ok(folder);
        }
        let doing = || io_error(format!("make {}", folder.display()));
        let new = templates.join(format!(".new-{name}"));
        match fs::remove_dir_all(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(doing()(error)),
            _ => fs::create_dir_all(&templates).map_err(doing())?,
        }
        let output = self
            .server()
            .args(["--initialize-insecure", "--loose-secure-file-priv=NULL"])
            .args([
                "--loose-innodb-redo-log-capacity=8M",
                "--innodb-flush-log-at-trx-commit=0",
            ])
            .arg(format!("--datadir={}", new.display()))
            .args(options)
            .output()
            .map_err(doing())?;
        if !output.status.success() {
            return Err(InstallationError::Initialize {
                folder: new,
                log: tail(&String::from_utf8_lossy(&output.stderr), 20),
            });
        }
        // Each server makes its own: two with one server_uuid can't replicate from each other.
        match fs::remove_file(new.join("auto.cnf")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(doing()(error)),
            _ => fs::rename(&new, &folder).map_err(doing())?,
        }
        Ok(folder)
    }
}

fn cache_folder() -> Result<PathBuf, InstallationError> {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let folder = variable("CAUSEWAY_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("causeway")))
        .or_else(|| variable("HOME").map(|folder| folder.join(".cache/causeway")))
        .ok_or(InstallationError::NoCache)?;
    std::path::absolute(&folder).map_err(io_error(format!("find {}", folder.display())))
}

/// Only one process at a time fetches or initialises; the others wait. The kernel lets go of the lock when its
/// holder ends, however it ends.
fn lock(cache: &Path) -> Result<File, InstallationError> {
    let path = cache.join("lock");
    fs::create_dir_all(cache)
        .and_then(|()| File::options().create(true).append(true).open(&path))
        .and_then(|file| file.lock().map(|()| file))
        .map_err(io_error(format!("lock {}", path.display())))
}

/// The last lines of a log.
pub(super) fn tail(log: &str, lines: usize) -> String {
    let all: Vec<_> = log.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

/// Reads the answer to `mysqld --version`, if it is that of MySQL 8.0 or later.
fn parse_version(text: &str) -> Option<Version> {
    if text.contains("MariaDB") {
        return None;
    }
    let word = text.split_once("Ver ")?.1.split_whitespace().next()?;
    let mut numbers = word.splitn(3, '.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u16>().ok()
    });
    let version = (numbers.next()??, numbers.next()??, numbers.next()??);
    (version >= (8, 0, 0)).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_mysqld_says_of_itself() {
        let check = |text: &str, expected: Option<Version>| assert_eq!(parse_version(text), expected, "{text}");
        check(
            "/usr/sbin/mysqld  Ver 9.7.4-1 for debian-linux-gnu on x86_64 ((Debian))",
            Some((9, 7, 4)),
        );
        check(
            "/usr/sbin/mysqld  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)",
            Some((8, 0, 36)),
        );
        check("mysqld  Ver 8.4.0-log for Linux", Some((8, 4, 0)));
        check("mysqld  Ver 5.7.44 for Linux on x86_64", None);
        check("mysqld  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu", None);
        check("mysqld  Ver nine", None);
        check("", None);
    }

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 5), "a");
        assert_eq!(tail("", 5), "");
    }
}
