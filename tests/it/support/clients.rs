//! Real MySQL clients. What is not on the machine is fetched once into `target/test-clients`, without touching the
//! system: from Debian (`mysql`, `mariadb`, pt-online-schema-change, mysqld_exporter, MariaDB's JDBC driver), PyPI (PyMySQL) and npm (mysql2). A client that can be had neither way
//! fails the test that needs it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

/// MySQL's own client, from PATH or the unpacked folder that also has the servers.
pub(crate) fn mysql() -> Command {
    let mut command = on_path("mysql").filter(|path| !is_mariadb(path)).map_or_else(
        || {
            let root = mysql_folder();
            let mut command = Command::new(root.join("usr/lib64/ld-linux-x86-64.so.2"));
            command.arg("--library-path");
            command.arg(root.join("usr/lib/x86_64-linux-gnu"));
            command.arg(root.join("usr/bin/mysql"));
            command
        },
        Command::new,
    );
    command.arg("--no-defaults");
    command
}

/// MariaDB's client.
pub(crate) fn mariadb() -> Command {
    if let Some(path) = on_path("mariadb") {
        let mut command = Command::new(path);
        command.arg("--no-defaults");
        return command;
    }
    let folder = fetched("mariadb", |folder| {
        let packages = [
            "mariadb-client-core",
            "libmariadb3",
            "libedit2",
            "libncurses6",
            "libtinfo6",
        ];
        debian_packages(folder, &packages);
    });
    let libraries = libraries_of(&folder);
    let mut command = Command::new(folder.join("usr/bin/mariadb"));
    command
        .arg("--no-defaults")
        .arg("--plugin-dir")
        .arg(libraries.join("libmariadb3/plugin"));
    command.env("LD_LIBRARY_PATH", libraries);
    command
}

/// Percona's pt-online-schema-change.
pub(crate) fn pt_online_schema_change() -> Command {
    if let Some(path) = on_path("pt-online-schema-change") {
        return Command::new(path);
    }
    let folder = fetched("percona-toolkit", |folder| {
        let packages = [
            "percona-toolkit",
            "libdbd-mysql-perl",
            "libdbi-perl",
            "libmariadb3",
            "libterm-readkey-perl",
        ];
        debian_packages(folder, &packages);
    });
    let libraries = libraries_of(&folder);
    let perl5 = libraries.join("perl5");
    let modules = fs::read_dir(&perl5).unwrap().map(|entry| entry.unwrap().path());
    let modules: Vec<String> = modules.map(|path| path.display().to_string()).collect();
    let mut command = Command::new("perl");
    command.arg(folder.join("usr/bin/pt-online-schema-change"));
    command.env(
        "PERL5LIB",
        format!("{}:{}", modules.join(":"), folder.join("usr/share/perl5").display()),
    );
    command.env("MARIADB_PLUGIN_DIR", libraries.join("libmariadb3/plugin"));
    command.env("LD_LIBRARY_PATH", libraries);
    command
}

/// Prometheus's exporter for MySQL.
pub(crate) fn mysqld_exporter() -> Command {
    let packaged = || {
        let package = ["prometheus-mysqld-exporter"];
        fetched("mysqld-exporter", |folder| debian_packages(folder, &package))
            .join("usr/bin/prometheus-mysqld-exporter")
    };
    Command::new(on_path("prometheus-mysqld-exporter").unwrap_or_else(packaged))
}

/// Java with MariaDB's JDBC driver; what follows is a source file.
pub(crate) fn jdbc() -> Command {
    let folder = fetched("jdbc", |folder| debian_packages(folder, &["libmariadb-java"]));
    let mut command = Command::new("java");
    command
        .arg("-cp")
        .arg(folder.join("usr/share/java/mariadb-java-client.jar"));
    command
}

/// MySQL's own `mysqladmin`, if the unpacked folder has it.
pub(crate) fn mysqladmin() -> Command {
    let root = mysql_folder();
    let mut command = Command::new(root.join("usr/lib64/ld-linux-x86-64.so.2"));
    command.arg("--library-path");
    command.arg(root.join("usr/lib/x86_64-linux-gnu"));
    command.arg(root.join("usr/bin/mysqladmin"));
    command.arg("--no-defaults");
    command
}

/// Unpacks Debian packages into a folder.
fn debian_packages(folder: &Path, packages: &[&str]) {
    let download = || {
        outcome(
            Command::new("apt-get")
                .arg("download")
                .args(packages)
                .current_dir(folder),
        )
        .0
    };
    if !download() {
        run(Command::new("apt-get").args(["-qq", "update"]));
        assert!(download(), "apt-get download {packages:?} failed");
    }
    for package in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        run(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder));
    }
}

/// Where libmariadb is, which both MariaDB's client and Perl's driver need.
fn libraries_of(folder: &Path) -> PathBuf {
    let mut libraries = fs::read_dir(folder.join("usr/lib"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    libraries.find(|path| path.join("libmariadb3").is_dir()).unwrap()
}

/// Python with PyMySQL.
pub(crate) fn pymysql() -> Command {
    let folder = fetched("python", |folder| {
        run(Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--target"])
            .arg(folder)
            .args(["pymysql", "cryptography"]));
    });
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", folder);
    command
}

/// Node with mysql2.
pub(crate) fn node_mysql2() -> Command {
    let folder = fetched("node", |folder| {
        run(Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(folder)
            .arg("mysql2"));
    });
    let mut command = Command::new("node");
    command.env("NODE_PATH", folder.join("node_modules"));
    command
}

/// Runs a client and gives its exit code's verdict, what it printed, and what it complained of.
pub(crate) fn outcome(command: &mut Command) -> (bool, String, String) {
    let Output { status, stdout, stderr } = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} could not be started: {error}"));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout), text(stderr))
}

/// The folder with an unpacked MySQL, fetched by `scripts/fetch-mysql.sh` unless it is there.
fn mysql_folder() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    let folder = cache.unwrap_or_else(env::temp_dir).join("causeway/mysql");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/fetch-mysql.sh");
    let _one_at_a_time = FETCHING.lock().unwrap_or_else(|error| error.into_inner());
    run(Command::new("sh").arg(script).arg(&folder));
    folder
}

static FETCHING: Mutex<()> = Mutex::new(());

/// `target/test-clients/NAME`, filled by `fetch` if it is not there yet. The folder gets its name when it is complete,
/// so an interrupted run is simply repeated.
fn fetched(name: &str, fetch: impl Fn(&Path)) -> PathBuf {
    let clients = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-clients");
    let folder = clients.join(name);
    let _one_at_a_time = FETCHING.lock().unwrap_or_else(|error| error.into_inner());
    if !folder.exists() {
        let unfinished = clients.join(format!("{name}.{}", std::process::id()));
        fs::create_dir_all(&unfinished).unwrap();
        fetch(&unfinished);
        // Another test run may have been faster; its copy is as good.
        if let Err(error) = fs::rename(&unfinished, &folder) {
            assert!(folder.exists(), "{}: {error}", folder.display());
            fs::remove_dir_all(&unfinished).unwrap();
        }
    }
    folder
}

fn run(command: &mut Command) {
    let (success, _, complaint) = outcome(command);
    assert!(success, "{command:?} failed: {complaint}");
}

fn on_path(program: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Debian's `mysql` is MariaDB's client under another name.
fn is_mariadb(path: &Path) -> bool {
    outcome(Command::new(path).arg("--version")).1.contains("MariaDB")
}
