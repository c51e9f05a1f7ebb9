//! Encrypted connections to servers: what is verified, and what is said when it does not hold.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use causeway::demo::{den::Den, mysqld::ServerOptions};
use mysql_async::{Conn, prelude::Queryable as _};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    ask::{cell, eventually, rows, sql},
    cluster::{Proxy, server},
};

/// A folder with CAs and what they have issued.
struct Papers(Den);

/// A CA that can issue certificates.
type Ca = Issuer<'static, KeyPair>;

impl Papers {
    fn new() -> Self {
        Self(Den::new("papers").unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.dir().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A CA, whose certificate is in `NAME.pem`.
    fn ca(&self, name: &str) -> Ca {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        Issuer::new(params, key)
    }

    /// A certificate for a host or a client in `NAME.pem`, its key in `NAME-key.pem`.
    fn issue(&self, ca: &Ca, name: &str, hosts: &[&str], expired: bool) {
        let key = KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let certificate = params.signed_by(&key, ca).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}-key.pem"), &key.serialize_pem());
    }

    /// Options for mysqld: the certificate in `server.pem`, and the CA for clients. It takes no certificate that is not of
    /// this CA for its own either.
    fn server_options(&self, ca: &str) -> ServerOptions {
        let option = |name: &str, file: &str| format!("--{name}={}", self.path(file).display());
        ServerOptions {
            extra: vec![
                option("ssl-ca", ca),
                option("ssl-cert", "server.pem"),
                option("ssl-key", "server-key.pem"),
            ],
            ..ServerOptions::default()
        }
    }

    /// Puts another certificate in the server's place.
    async fn swap(&self, name: &str, conn: &mut Conn) {
        for end in [".pem", "-key.pem"] {
            std::fs::copy(self.path(&format!("{name}{end}")), self.path(&format!("server{end}"))).unwrap();
        }
        conn.query_drop("ALTER INSTANCE RELOAD TLS").await.unwrap();
    }
}

impl Papers {
    /// Something that begins to speak as a MySQL server does, up to its certificate. Its port.
    async fn impostor(&self, name: &str) -> u16 {
        let pem = |end: &str| std::fs::read(self.path(&format!("{name}{end}"))).unwrap();
        let certificate = CertificateDer::from_pem_slice(&pem(".pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&pem("-key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Version 10, a name, a connection number, eight random bytes; what it can do (TLS, the present protocol, plugins);
        // more random bytes and the plugin.
        let mut greeting = b"\x0a8.4.0\0\x01\0\0\0abcdefgh\0\x01\x8a\xff\x02\0\x08\0\x15".to_vec();
        greeting.extend([0; 10]);
        greeting.extend(b"ijklmnopqrst\0caching_sha2_password\0");
        let mut packet = vec![u8::try_from(greeting.len()).unwrap(), 0, 0, 0];
        packet.extend(greeting);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(&packet).await.ok();
                let mut request = [0; 36];
                stream.read_exact(&mut request).await.ok();
                // The client turns away.
                acceptor.accept(stream).await.err();
            }
        });
        port
    }
}

/// `OPTIONS` of a server, beside its address.
fn options(mode: &str, more: &[(&str, &Path)]) -> String {
    let mut text = format!("SSL_MODE '{mode}'");
    for (name, path) in more {
        text += &format!(", {name} '{}'", path.display());
    }
    text
}

#[tokio::test]
async fn each_mode_takes_what_it_should_and_says_what_it_does_not_take() {
    let papers = Papers::new();
    let (ours, theirs) = (papers.ca("ours"), papers.ca("theirs"));
    papers.issue(&ours, "good", &["127.0.0.1"], false);
    papers.issue(&ours, "elsewhere", &["db.example"], false);
    papers.issue(&ours, "expired", &["127.0.0.1"], true);
    papers.issue(&ours, "server", &["127.0.0.1"], false);
    papers.issue(&ours, "client", &[], false);
    papers.issue(&ours, "other-client", &[], false);
    papers.issue(&theirs, "their-client", &[], false);
    papers.write("junk.pem", "no certificate at all");
    let hq = server(papers.server_options("ours.pem")).await;
    let plain = server(ServerOptions::with(&["--tls-version="])).await;
    let mut root = hq.connect().await.unwrap();
    root.query_drop(
        "CREATE USER sync IDENTIFIED BY 'p'; CREATE USER x509 IDENTIFIED BY 'p' REQUIRE X509;
         CREATE USER subject IDENTIFIED BY 'p' REQUIRE SUBJECT '/CN=client'",
    )
    .await
    .unwrap();
    root.query_drop("SET GLOBAL require_secure_transport = ON")
        .await
        .unwrap();
    let proxy = Proxy::start().await;
    // What CHECK SERVER says of connecting, and of encryption if it could.
    let check = async |port: u16, user: &str, options: &str, expected: Result<&str, &[&str]>| {
        sql(
            &proxy,
            &format!(
                "CREATE SERVER s OPTIONS (HOST '127.0.0.1', PORT {port}, USER '{user}', PASSWORD '{}', {options})",
                if user == "root" { "" } else { "p" }
            ),
        )
        .await;
        let steps = rows(&proxy, "CHECK SERVER s").await;
        let (connect, found) = (&steps[0], &steps[0][2]);
        match expected {
            Ok(encryption) => assert!(
                connect[1] == "pass" && steps[1][2].starts_with(encryption),
                "{options}: {steps:?}"
            ),
            Err(parts) => assert!(
                connect[1] == "fail"
                    && found.contains("server s (127.0.0.1:")
                    && parts.iter().all(|part| found.contains(part)),
                "{options}: {steps:?}"
            ),
        }
        sql(&proxy, "DROP SERVER s").await;
    };
    let path = |name: &str| papers.path(name);
    let ca = path("ours.pem");
    let their_ca = path("theirs.pem");

    // The mode, and what the certificate must be for it.
    check(
        hq.port,
        "sync",
        "SSL_MODE 'DISABLED'",
        Err(&["3159", "SSL_MODE 'REQUIRED'"]),
    )
    .await;
    check(hq.port, "sync", "SSL_MODE 'PREFERRED'", Ok("TLS")).await;
    check(hq.port, "sync", "SSL_MODE 'REQUIRED'", Ok("TLS")).await;
    for mode in ["VERIFY_CA", "VERIFY_IDENTITY"] {
        check(hq.port, "sync", &options(mode, &[("SSL_CA", &ca)]), Ok("TLS")).await;
        let refused: &[&str] = &["was not issued by a CA in", "theirs.pem"];
        check(hq.port, "sync", &options(mode, &[("SSL_CA", &their_ca)]), Err(refused)).await;
    }
    papers.swap("elsewhere", &mut root).await;
    check(hq.port, "sync", &options("VERIFY_CA", &[("SSL_CA", &ca)]), Ok("TLS")).await;
    let refused: &[&str] = &["does not name 127.0.0.1", "db.example", "VERIFY_CA"];
    check(
        hq.port,
        "sync",
        &options("VERIFY_IDENTITY", &[("SSL_CA", &ca)]),
        Err(refused),
    )
    .await;
    // mysqld takes no certificate that has expired; it may do so later.
    let expired = papers.impostor("expired").await;
    for mode in ["VERIFY_CA", "VERIFY_IDENTITY"] {
        check(
            expired,
            "sync",
            &options(mode, &[("SSL_CA", &ca)]),
            Err(&["has expired", "RELOAD TLS"]),
        )
        .await;
    }
    papers.swap("good", &mut root).await;

    // A server without encryption.
    check(plain.port, "root", "SSL_MODE 'PREFERRED'", Ok("none")).await;
    check(plain.port, "root", "SSL_MODE 'DISABLED'", Ok("none")).await;
    check(
        plain.port,
        "root",
        "SSL_MODE 'REQUIRED'",
        Err(&["does not offer encryption", "REQUIRED"]),
    )
    .await;
    let verify = options("VERIFY_CA", &[("SSL_CA", &ca)]);
    check(
        plain.port,
        "root",
        &verify,
        Err(&["does not offer encryption", "VERIFY_CA"]),
    )
    .await;

    // Files.
    let (junk, missing) = (path("junk.pem"), path("missing.pem"));
    let refused: &[&str] = &["missing.pem (SSL_CA) can't be read", "ALTER SERVER"];
    check(
        hq.port,
        "sync",
        &options("VERIFY_CA", &[("SSL_CA", &missing)]),
        Err(refused),
    )
    .await;
    let refused: &[&str] = &["junk.pem (SSL_CA) has no certificate"];
    check(
        hq.port,
        "sync",
        &options("VERIFY_CA", &[("SSL_CA", &junk)]),
        Err(refused),
    )
    .await;

    // Mutual TLS.
    let mutual = |cert: &str, key: &str| {
        let (cert, key) = (path(cert), path(key));
        options("VERIFY_CA", &[("SSL_CA", &ca), ("SSL_CERT", &cert), ("SSL_KEY", &key)])
    };
    let good = mutual("client.pem", "client-key.pem");
    check(hq.port, "x509", &good, Ok("TLS")).await;
    check(hq.port, "subject", &good, Ok("TLS")).await;
    check(hq.port, "x509", &verify, Err(&["1045", "REQUIRE X509", "SSL_CERT"])).await;
    let other = mutual("other-client.pem", "other-client-key.pem");
    check(hq.port, "x509", &other, Ok("TLS")).await;
    check(hq.port, "subject", &other, Err(&["1045", "SSL_CERT"])).await;
    let their = mutual("their-client.pem", "their-client-key.pem");
    check(hq.port, "x509", &their, Err(&["their-client.pem (SSL_CERT)"])).await;
    let refused: &[&str] = &[
        "client-key.pem (SSL_KEY) is not that of the certificate in",
        "other-client.pem",
    ];
    check(
        hq.port,
        "x509",
        &mutual("other-client.pem", "client-key.pem"),
        Err(refused),
    )
    .await;
    let refused: &[&str] = &["junk.pem (SSL_KEY) has no private key"];
    check(hq.port, "x509", &mutual("client.pem", "junk.pem"), Err(refused)).await;
    let refused: &[&str] = &["missing.pem (SSL_KEY) can't be read"];
    check(hq.port, "x509", &mutual("client.pem", "missing.pem"), Err(refused)).await;
    let refused: &[&str] = &["junk.pem (SSL_CERT) has no certificate"];
    check(hq.port, "x509", &mutual("junk.pem", "client-key.pem"), Err(refused)).await;
}

#[tokio::test]
async fn every_connection_of_a_task_is_encrypted_and_verified_that_of_the_binlog_too() {
    let papers = Papers::new();
    let (ours, theirs) = (papers.ca("ours"), papers.ca("theirs"));
    papers.issue(&ours, "good", &["127.0.0.1"], false);
    papers.issue(&ours, "server", &["127.0.0.1"], false);
    papers.issue(&theirs, "false", &["127.0.0.1"], false);
    papers.issue(&ours, "client", &[], false);
    let read = |name: &str| std::fs::read_to_string(papers.path(name)).unwrap();
    papers.write("both.pem", &(read("ours.pem") + &read("theirs.pem")));
    let hq = server(papers.server_options("both.pem")).await;
    let branch = server(ServerOptions::default()).await;
    let mut root = hq.connect().await.unwrap();
    root.query_drop(
        "CREATE USER x509 IDENTIFIED BY 'p' REQUIRE X509; GRANT ALL ON *.* TO x509; SET GLOBAL require_secure_transport = ON;
         CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1)",
    )
    .await
    .unwrap();
    let proxy = Proxy::start().await;
    let files = [
        ("SSL_CA", papers.path("ours.pem")),
        ("SSL_CERT", papers.path("client.pem")),
        ("SSL_KEY", papers.path("client-key.pem")),
    ];
    let files: Vec<(&str, &Path)> = files.iter().map(|(name, path)| (*name, path.as_path())).collect();
    sql(
        &proxy,
        &format!(
            "CREATE SERVER hq OPTIONS (HOST '127.0.0.1', PORT {}, USER 'x509', PASSWORD 'p', {})",
            hq.port,
            options("VERIFY_IDENTITY", &files)
        ),
    )
    .await;
    proxy.register_as("branch", &branch).await;
    sql(&proxy, "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (shop.*)").await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    sql(&branch, "INSERT INTO shop.t VALUES (2)").await;
    root.query_drop("INSERT INTO shop.t VALUES (3)").await.unwrap();
    proxy.wait_synced("t").await;
    assert_eq!(
        cell(&branch, "SELECT GROUP_CONCAT(id ORDER BY id) FROM shop.t").await,
        "1,2,3"
    );
    let connections: Vec<(String, String, u64)> = root
        .query(
            "SELECT PROCESSLIST_COMMAND, CONNECTION_TYPE, PROCESSLIST_ID FROM performance_schema.threads
             WHERE PROCESSLIST_USER = 'x509'",
        )
        .await
        .unwrap();
    assert!(connections.len() > 3, "{connections:?}");
    assert!(
        connections.iter().all(|(_, kind, _)| kind == "SSL/TLS"),
        "{connections:?}"
    );
    assert!(
        connections.iter().any(|(command, ..)| command == "Binlog Dump GTID"),
        "{connections:?}"
    );

    // Somebody else answers there: nothing is sent to them, and the task waits.
    papers.swap("false", &mut root).await;
    for (_, _, id) in connections {
        root.query_drop(format!("KILL {id}")).await.ok();
    }
    let errors = "SELECT last_error FROM sync.status WHERE state = 'retrying'";
    eventually("both links refuse the certificate", async || {
        let found = rows(&proxy, errors).await.concat();
        let all = found.len() == 2 && found.iter().all(|error| error.contains("was not issued by a CA in"));
        all.then_some(())
    })
    .await;
    root.query_drop("INSERT INTO shop.t VALUES (4)").await.unwrap();
    papers.swap("good", &mut root).await;
    proxy.wait_synced("t").await;
    assert_eq!(cell(&branch, "SELECT COUNT(*) FROM shop.t").await, "4");
}
