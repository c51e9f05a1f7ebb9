//! How `causeway serve` starts, and what keeps it from starting: flags, the configuration file, certificates.

use std::{
    fs::{self, File},
    io::Read as _,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use causeway::demo::mysqld::free_port;

use crate::support::{
    ask::LIMIT,
    clients::{self, outcome},
};

const PASSWORD: &str = "of-root";

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("causeway-starting-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn causeway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CAUSEWAY_")) {
        command.env_remove(name);
    }
    command.env("CAUSEWAY_ADMIN_PASSWORD", PASSWORD);
    command
}

/// A running `causeway serve`.
struct Serving {
    process: Child,
    port: u16,
    log: PathBuf,
}

impl Serving {
    /// `command` needs all but where to listen.
    fn start(mut command: Command, folder: &Folder, address: &str) -> Self {
        let port = free_port().unwrap();
        let log = folder.path("log");
        let process = command
            .env("CAUSEWAY_LISTEN", format!("{address}:{port}"))
            .stdin(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut serving = Self { process, port, log };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = serving.process.try_wait().unwrap();
            assert!(ended.is_none() && begin.elapsed() < LIMIT, "{}", serving.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        serving
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// MySQL's own client: whether it did it, what it showed, what it complained of.
    fn mysql(&self, password: &str, arguments: &[&str]) -> (bool, String, String) {
        let mut client = clients::mysql();
        client
            .args(["-h127.0.0.1", "-uroot", "-N", "-B"])
            .arg(format!("-P{}", self.port))
            .args(arguments)
            .args(["-e", "SELECT 1"])
            .env("MYSQL_PWD", password);
        outcome(&mut client)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// It must end by itself, and say these things.
fn fails(mut command: Command, parts: &[&str]) {
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > LIMIT {
            process.kill().unwrap();
            panic!("{command:?} goes on");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut told = String::new();
    process.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(!status.success(), "{told}");
    for part in parts {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
}

fn pair(folder: &Folder, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    (
        folder.file(&format!("{name}.pem"), &made.cert.pem()),
        folder.file(&format!("{name}-key.pem"), &made.signing_key.serialize_pem()),
    )
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn what_is_wrong_with_flags_and_files_is_told_before_anything_is_done() {
    let folder = Folder::new();
    let (certificate, key) = pair(&folder, "own");
    let (_, other_key) = pair(&folder, "other");
    let data = folder.path("data");
    let serve = |arguments: &[&str]| {
        let mut command = causeway();
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
        command
    };
    let with = |text: &str| {
        let path = folder.file("causeway.toml", text);
        let mut command = serve(&["--config"]);
        command.arg(path);
        command
    };
    fails(serve(&[]), &["--data-dir", "CAUSEWAY_DATA_DIR", "data_dir"]);
    fails(with("data_dri = '/x'"), &["causeway.toml", "data_dri", "data_dir"]);
    fails(
        with("listen = 'somewhere'\ndata_dir = '/x'"),
        &["causeway.toml", "line 1", "listen"],
    );
    fails(
        serve(&["--config", "/nowhere.toml"]),
        &["/nowhere.toml", "No such file"],
    );
    fails(serve(&["--colour", "red"]), &["--colour"]);
    fails(serve(&["--require-secure-transport=perhaps"]), &["ON or OFF"]);
    let data = data.to_str().unwrap();
    fails(serve(&["--data-dir", data, "--log", "=loud="]), &["--log"]);
    fails(
        serve(&["--data-dir", data, "--tls-cert", &text(&certificate)]),
        &["--tls-key"],
    );
    assert!(!Path::new(data).exists());
    let tls = |certificate: &Path, key: &Path| {
        serve(&[
            "--data-dir",
            data,
            "--tls-cert",
            &text(certificate),
            "--tls-key",
            &text(key),
        ])
    };
    fails(tls(Path::new("/nowhere.pem"), &key), &["a certificate", "/nowhere.pem"]);
    fails(
        tls(&certificate, Path::new("/nowhere.pem")),
        &["a private key", "/nowhere.pem"],
    );
    fails(tls(&key, &key), &["a certificate", &text(&key)]);
    fails(
        tls(&certificate, &other_key),
        &[&text(&certificate), &text(&other_key), "belong together"],
    );
}

#[test]
fn everything_can_stand_in_the_configuration_file_and_clients_must_encrypt_when_told_to() {
    let folder = Folder::new();
    let (certificate, key) = pair(&folder, "own");
    let config = format!(
        "data_dir = '{}'\nrequire_secure_transport = true\ntls_cert = '{}'\ntls_key = '{}'\nlog = 'debug'\n",
        text(&folder.path("data")),
        text(&certificate),
        text(&key)
    );
    let config = folder.file("causeway.toml", &config);
    let mut command = causeway();
    command.arg("serve").arg("--config").arg(config);
    let serving = Serving::start(command, &folder, "127.0.0.1");
    let ca = format!("--ssl-ca={}", text(&certificate));
    let (done, shown, complaint) = serving.mysql(PASSWORD, &["--ssl-mode=VERIFY_IDENTITY", &ca]);
    assert!(done && shown == "1\n", "{complaint}");
    let (done, _, complaint) = serving.mysql(PASSWORD, &["--ssl-mode=DISABLED"]);
    assert!(
        !done && complaint.contains("ERROR 3159 (HY000)") && complaint.contains("--ssl-mode=REQUIRED"),
        "{complaint}"
    );

    // A new certificate is taken without a restart.
    let (other, other_key) = pair(&folder, "other");
    fs::rename(&other_key, &key).unwrap();
    fs::rename(&other, &certificate).unwrap();
    let hang_up = Command::new("kill")
        .args(["-HUP", &serving.process.id().to_string()])
        .status();
    assert!(hang_up.unwrap().success());
    let begin = Instant::now();
    loop {
        let (done, _, complaint) = serving.mysql(PASSWORD, &["--ssl-mode=VERIFY_IDENTITY", &ca]);
        if done {
            break;
        }
        assert!(begin.elapsed() < LIMIT, "{complaint}\n{}", serving.log());
    }
    assert!(serving.log().contains("DEBUG"), "{}", serving.log());
}

#[test]
fn an_endpoint_that_others_can_reach_wants_encryption_unless_told_otherwise() {
    let folder = Folder::new();
    let serve = |arguments: &[&str]| {
        let mut command = causeway();
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(folder.path("data"))
            .args(arguments);
        Serving::start(command, &folder, "0.0.0.0")
    };
    let serving = serve(&[]);
    let (done, _, complaint) = serving.mysql(PASSWORD, &["--ssl-mode=DISABLED"]);
    assert!(!done && complaint.contains("ERROR 3159"), "{complaint}");
    let (done, _, complaint) = serving.mysql(PASSWORD, &["--ssl-mode=REQUIRED"]);
    assert!(done, "{complaint}");
    assert!(serving.log().contains("clients must encrypt"), "{}", serving.log());
    drop(serving);
    let serving = serve(&["--require-secure-transport=OFF"]);
    let (done, _, complaint) = serving.mysql(PASSWORD, &["--ssl-mode=DISABLED"]);
    assert!(done, "{complaint}");
    assert!(serving.log().contains("without encryption"), "{}", serving.log());
}

#[test]
fn a_lost_password_of_root_can_be_set_while_causeway_does_not_run() {
    let folder = Folder::new();
    let data = folder.path("data");
    let command = |name: &str| {
        let mut command = causeway();
        command.arg(name).arg("--data-dir").arg(&data);
        command
    };
    let serving = Serving::start(command("serve"), &folder, "127.0.0.1");
    fails(command("reset-password"), &["in use"]);
    drop(serving);
    let mut reset = command("reset-password");
    let (done, _, told) = outcome(reset.env_remove("CAUSEWAY_ADMIN_PASSWORD"));
    assert!(done && told.contains("admin-password"), "{told}");
    let made_up = fs::read_to_string(data.join("admin-password")).unwrap();
    let serving = Serving::start(command("serve"), &folder, "127.0.0.1");
    assert!(serving.mysql(made_up.trim(), &[]).0);
    assert!(serving.mysql(PASSWORD, &[]).2.contains("ERROR 1045"));
    drop(serving);
    assert!(outcome(&mut command("reset-password")).0);
    let serving = Serving::start(command("serve"), &folder, "127.0.0.1");
    let (done, _, complaint) = serving.mysql(PASSWORD, &[]);
    assert!(done, "{complaint}");
}
