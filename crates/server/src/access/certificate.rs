//! The certificate of `rtsps://` and `https://`: the one that the configuration names, or a self-signed one that is
//! made at the first start.

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

/// The file name of the certificate that the server makes, in the folder of the configuration.
pub const OWN_CERTIFICATE: &str = "hevcast-cert.pem";
/// The file name of that certificate's private key, in the same folder.
pub const OWN_KEY: &str = "hevcast-key.pem";

/// Why a certificate cannot be served.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A certificate or key file cannot be read or parsed.
    #[error("cannot read {file}: {what}; give a PEM file in [rtsps], or none")]
    Read {
        /// The file that cannot be read.
        file: PathBuf,
        /// Why it cannot be read, as part of a sentence.
        what: String,
    },
    /// The certificate that the server made cannot be written.
    #[error(
        "cannot write {file}: {error}; start the server in a folder it may write to, or give a certificate in [rtsps]"
    )]
    Write {
        /// The file that cannot be written.
        file: PathBuf,
        /// The error that the operating system returned.
        error: io::Error,
    },
    /// The certificate and the key do not belong together, or none could be made.
    #[error("the certificate cannot be used: {0}")]
    Unusable(String),
}

/// A loaded certificate, ready for a TLS listener.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The server configuration of rustls, with the certificate chain and its key.
    pub config: Arc<ServerConfig>,
    /// The SHA-256 fingerprint of the first certificate of the chain, which clients can pin.
    pub fingerprint: Fingerprint,
}

/// The certificate that all listeners serve. It can be replaced at run time; the next handshake uses the new one.
#[derive(Debug)]
pub struct ServedCertificate(RwLock<Certificate>);

impl ServedCertificate {
    /// Serves `certificate` until it is [replaced](ServedCertificate::replace).
    pub fn new(certificate: Certificate) -> ServedCertificate {
        ServedCertificate(RwLock::new(certificate))
    }

    /// The server configuration of rustls for the next handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().config)
    }

    /// The fingerprint of the certificate that is served now, which clients can pin.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.read().fingerprint
    }

    /// Replaces the certificate; the next handshake uses the new one, and open connections stay.
    pub fn replace(&self, certificate: Certificate) {
        *self.0.write() = certificate;
    }
}

/// Loads the certificate that `[rtsps]` names or, where it names none, the server's own, which is made if it does not
/// exist. File names are relative to `folder`, that of the configuration.
///
/// # Errors
/// [`CertificateError`], whose text names the file.
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

/// The files of the server's own certificate and key; both are made if one of them is missing.
fn own(folder: &Path) -> Result<(PathBuf, PathBuf), CertificateError> {
    let files = (folder.join(OWN_CERTIFICATE), folder.join(OWN_KEY));
    if !(files.0.exists() && files.1.exists()) {
        let made = rcgen::generate_simple_self_signed(["hevcast".to_owned(), "localhost".to_owned()])
            .map_err(|error| CertificateError::Unusable(error.to_string()))?;
        // The key is written first: a certificate without its key would be useless at the next start.
        write(&files.1, &made.signing_key.serialize_pem())?;
        write(&files.0, &made.cert.pem())?;
    }
    Ok(files)
}

/// Writes a file that only its owner can read (mode 0600).
fn write(file: &Path, text: &str) -> Result<(), CertificateError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let open = || {
        let opened = options.open(file)?;
        // The mode above applies only when the file is created.
        #[cfg(unix)]
        opened.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(opened)
    };
    open()
        .and_then(|mut opened| io::Write::write_all(&mut opened, text.as_bytes()))
        .map_err(|error| CertificateError::Write { file: file.to_owned(), error })
}
