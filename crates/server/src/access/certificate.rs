//! The certificate of `rtsps://` and `https://`: that of the configuration, or one that is made at the first start.

use parking_lot::RwLock;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hevcast_net::tls::Fingerprint;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use crate::config::Rtsps;

/// File of the certificate that the server makes, beside the configuration.
pub const OWN_CERTIFICATE: &str = "hevcast-cert.pem";
/// File of its key.
pub const OWN_KEY: &str = "hevcast-key.pem";

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {file}: {what}; give a PEM file in [rtsps], or none")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why it cannot be read.
        what: String,
    },
    /// The server's own certificate cannot be written.
    #[error(
        "cannot write {file}: {error}; start the server in a folder it may write to, or give a certificate in [rtsps]"
    )]
    Write {
        /// The file.
        file: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Certificate and key do not fit, or none can be made.
    #[error("the certificate cannot be used: {0}")]
    Unusable(String),
}

/// What a TLS listener needs.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// For tokio-rustls.
    pub config: Arc<ServerConfig>,
    /// The fingerprint that clients may pin.
    pub fingerprint: Fingerprint,
}

/// The certificate that all listeners serve. When it is read again, the next handshake uses the new one.
#[derive(Debug)]
pub struct ServedCertificate(RwLock<Certificate>);

impl ServedCertificate {
    /// Serves this certificate.
    pub fn new(certificate: Certificate) -> ServedCertificate {
        ServedCertificate(RwLock::new(certificate))
    }

    /// The configuration for the next handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().config)
    }

    /// The fingerprint that clients may pin.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.read().fingerprint
    }

    /// Serves another certificate from the next handshake on.
    pub fn replace(&self, certificate: Certificate) {
        *self.0.write() = certificate;
    }
}

/// Reads the certificate, or makes one. `folder` is the configuration's, to which names are relative.
///
/// # Errors
/// [`CertificateError`], which names the file.
pub fn load(rtsps: Option<&Rtsps>, folder: &Path) -> Result<Certificate, CertificateError> {
    let given = rtsps.map(|rtsps| (&rtsps.certificate, &rtsps.key));
    let (certificate, key) = match given.unwrap_or((&None, &None)) {
        (Some(certificate), Some(key)) => (folder.join(certificate), folder.join(key)),
        _ => own(folder)?,
    };
    let read = |file: &Path, what: String| CertificateError::Read { file: file.to_owned(), what };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect)
        .map_err(|error| read(&certificate, error.to_string()))?;
    let Some(first) = chain.first() else { return Err(read(&certificate, "no certificate in it".to_owned())) };
    let fingerprint = Fingerprint::of(first);
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| read(&key, error.to_string()))?;
    let unusable = |error: rustls::Error| CertificateError::Unusable(error.to_string());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    Ok(Certificate { config: Arc::new(config), fingerprint })
}

/// The files of the server's own certificate, which are made where they are missing.
fn own(folder: &Path) -> Result<(PathBuf, PathBuf), CertificateError> {
    let files = (folder.join(OWN_CERTIFICATE), folder.join(OWN_KEY));
    if !(files.0.exists() && files.1.exists()) {
        let made = rcgen::generate_simple_self_signed(["hevcast".to_owned(), "localhost".to_owned()])
            .map_err(|error| CertificateError::Unusable(error.to_string()))?;
        // The key first: a certificate without one would be of no use at the next start.
        write(&files.1, &made.signing_key.serialize_pem())?;
        write(&files.0, &made.cert.pem())?;
    }
    Ok(files)
}

/// Writes a file that only its owner can read.
fn write(file: &Path, text: &str) -> Result<(), CertificateError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let open = || {
        let opened = options.open(file)?;
        // The mode above holds for a new file only.
        #[cfg(unix)]
        opened.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(opened)
    };
    open()
        .and_then(|mut opened| io::Write::write_all(&mut opened, text.as_bytes()))
        .map_err(|error| CertificateError::Write { file: file.to_owned(), error })
}
