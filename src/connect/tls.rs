//! What can be wrong with an encrypted connection, each said in words of its own, with what to do.

use std::path::Path;

use mysql_async::{DriverError, Error, IoError, TlsError};
use rustls::{
    AlertDescription, CertificateError,
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use crate::model::server::{Address, ServerDefinition, SslMode};

/// Looks at the files before anybody connects: the library's errors don't name them.
pub(super) async fn check_files(server: &ServerDefinition) -> Result<(), String> {
    if let Some(ca) = &server.ssl_ca {
        certificates("SSL_CA", ca).await?;
    }
    let (Some(cert), Some(key)) = (&server.ssl_cert, &server.ssl_key) else {
        return Ok(());
    };
    let certificates = certificates("SSL_CERT", cert).await?;
    let pem = read("SSL_KEY", key).await?;
    let parsed = PrivateKeyDer::from_pem_slice(&pem)
        .ok()
        .and_then(|key| any_supported_type(&key).ok());
    let Some(parsed) = parsed else {
        return Err(format!(
            "the file {} (SSL_KEY) has no private key that can be used; it takes a PEM file with a key that is not \
             protected by a passphrase (openssl pkey -in … -out … takes it off)",
            key.display()
        ));
    };
    match CertifiedKey::new(certificates, parsed).keys_match() {
        // What can't be compared is left to the server.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(()),
        Err(_) => Err(format!(
            "the key in {} (SSL_KEY) is not that of the certificate in {} (SSL_CERT); name a pair that belongs together \
             with ALTER SERVER",
            key.display(),
            cert.display()
        )),
    }
}

async fn read(option: &str, path: &Path) -> Result<Vec<u8>, String> {
    tokio::fs::read(path).await.map_err(|error| {
        format!(
            "the file {} ({option}) can't be read: {error}. Make it readable for Causeway, or name another with ALTER SERVER",
            path.display()
        )
    })
}

async fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(option, path).await?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(|| {
        format!(
            "the file {} ({option}) has no certificate; it takes a PEM file, which begins with -----BEGIN CERTIFICATE-----",
            path.display()
        )
    })
}

/// What an error in setting up the connection means, if encryption is the reason.
pub(super) fn explain(server: &ServerDefinition, address: &Address, error: &Error) -> Option<String> {
    if matches!(error, Error::Driver(DriverError::NoClientSslFlagFromServer)) {
        return Some(format!(
            "the server does not offer encryption, which SSL_MODE {} asks for; give it a certificate (ssl_ca, ssl_cert, \
             ssl_key in its configuration), or ALTER SERVER {} OPTIONS (SSL_MODE 'DISABLED')",
            server.ssl_mode.as_str(),
            server.name
        ));
    }
    let cause = rustls_error(error)?;
    let ca = server.ssl_ca.as_ref().map(|path| path.display().to_string());
    let ca = ca.unwrap_or_else(|| "SSL_CA".to_owned());
    Some(match cause {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "the server's certificate was not issued by a CA in {ca} (SSL_CA); name the file with the CA that issued it, or \
                 find out who answers there"
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
                "the server's certificate does not name {}{}; SSL_MODE VERIFY_IDENTITY takes only one that does: have one issued \
                 for that name, give HOST as the certificate names it, or use VERIFY_CA",
                host(address),
                names(certificate)
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired; \
                put a new one in place there and ALTER INSTANCE RELOAD TLS"
                    .to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet; check the clocks of both machines, or put another in place"
                    .to_owned()
            }
            other => format!(
                "the server's certificate is not accepted ({other}); put another in place, or use SSL_MODE {}",
                SslMode::Required.as_str()
            ),
        },
        rustls::Error::AlertReceived(alert) => refused_by_server(server, *alert),
        other => format!(
            "no encrypted connection could be set up: {other}; CHECK SERVER {} tries again",
            server.name
        ),
    })
}

fn refused_by_server(server: &ServerDefinition, alert: AlertDescription) -> String {
    let own = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    match (alert, own(&server.ssl_cert)) {
        (AlertDescription::UnknownCA, Some(cert)) => format!(
            "the server does not know the CA that issued the certificate in {cert} (SSL_CERT); name one issued by the CA in \
             its ssl_ca"
        ),
        (AlertDescription::CertificateExpired, Some(cert)) => {
            format!(
                "the server says that the certificate in {cert} (SSL_CERT) has expired; name a new one with ALTER SERVER"
            )
        }
        (AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure, None) => {
            "the server asks for a certificate: give SSL_CERT and SSL_KEY".to_owned()
        }
        (AlertDescription::ProtocolVersion, _) => {
            "the server's versions of TLS are too old; allow TLSv1.2 or TLSv1.3 there (tls_version)".to_owned()
        }
        (alert, Some(cert)) => {
            format!(
                "the server refused the encrypted connection ({alert:?}); it may be the certificate in {cert} (SSL_CERT)"
            )
        }
        (alert, None) => format!("the server refused the encrypted connection ({alert:?})"),
    }
}

fn host(address: &Address) -> String {
    match address {
        Address::Tcp { host, .. } => host.clone(),
        Address::Socket(path) => path.display().to_string(),
    }
}

fn names(error: &CertificateError) -> String {
    match error {
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            format!(" (but {})", presented.join(", "))
        }
        _ => " (nor any other host)".to_owned(),
    }
}

/// The error of the TLS library in it, if there is one.
fn rustls_error(error: &Error) -> Option<&rustls::Error> {
    if let Error::Io(IoError::Tls(TlsError::Tls(error))) = error {
        return Some(error);
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An error of the system hides what it was made of from `source`.
        if let Some(found) = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
