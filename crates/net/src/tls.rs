//! TLS for RTSP and RTMP clients: which server certificates are trusted, and pinning by fingerprint.
//!
//! A certificate is trusted when the system's certificate authorities vouch for the host name, or when its fingerprint
//! is the given pin: a server that made its own certificate prints the fingerprint, and the user copies it to the
//! client once.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

/// The SHA-256 hash of a certificate in DER, written in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Computes the fingerprint of a certificate in DER.
    pub fn of(certificate: &CertificateDer<'_>) -> Fingerprint {
        Fingerprint(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = &'static str;

    /// Parses 64 hexadecimal digits, with or without colons, as other programs print them.
    fn from_str(text: &str) -> Result<Fingerprint, &'static str> {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        let wrong = "a fingerprint is 64 hexadecimal digits, as the server prints it at its start";
        if digits.len() != 64 || !digits.is_ascii() {
            return Err(wrong);
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong)?;
        }
        Ok(Fingerprint(bytes))
    }
}

/// A client configuration of rustls that checks the server by `pin` or, without one, by the system's certificate
/// authorities. The second value holds the certificate that the server sent, also after a refusal.
///
/// # Errors
/// The error of rustls, where it does not accept the configuration.
pub fn client_config(pin: Option<Fingerprint>) -> Result<(Arc<ClientConfig>, Arc<Shown>), rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let shown = Arc::new(Shown::default());
    let trust = match pin {
        Some(pin) => Trust::Pin(pin),
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            // A system without authorities trusts no server.
            match roots.is_empty() {
                true => Trust::Nobody,
                false => {
                    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
                    Trust::Authorities(builder.build().map_err(|error| rustls::Error::General(error.to_string()))?)
                }
            }
        }
    };
    let verifier = Arc::new(Verifier { trust, provider, shown: Arc::clone(&shown) });
    let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Ok((Arc::new(config), shown))
}

/// The fingerprint of the certificate that a server has sent, once it has.
#[derive(Debug, Default)]
pub struct Shown(OnceLock<Fingerprint>);

impl Shown {
    /// The fingerprint of the server's certificate; `None` while none has come.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.0.get().copied()
    }
}

/// Which server certificates a client trusts.
#[derive(Debug)]
enum Trust {
    /// One certificate, whatever its names and dates. The handshake proves that the server holds its key.
    Pin(Fingerprint),
    /// Certificates that the system's certificate authorities vouch for.
    Authorities(Arc<WebPkiServerVerifier>),
    /// None, since the system has no certificate authorities.
    Nobody,
}

/// Verifies a server's certificate, and records its fingerprint.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
    shown: Arc<Shown>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = Fingerprint::of(end_entity);
        // Cannot fail: a server sends one certificate per connection.
        let _ = self.shown.0.set(found);
        match &self.trust {
            Trust::Pin(pin) if found == *pin => Ok(ServerCertVerified::assertion()),
            Trust::Pin(_) | Trust::Nobody => Err(CertificateError::UnknownIssuer.into()),
            Trust::Authorities(known) => known.verify_server_cert(end_entity, intermediates, name, ocsp, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_written_and_read() {
        let fingerprint = Fingerprint::of(&CertificateDer::from(&b"a certificate"[..]));
        let text = fingerprint.to_string();
        assert_eq!(text.parse(), Ok(fingerprint));
        let pairs: Vec<&str> = (0..32).map(|at| &text[at * 2..at * 2 + 2]).collect();
        assert_eq!(pairs.join(":").to_uppercase().parse(), Ok(fingerprint));
        assert!("12".parse::<Fingerprint>().is_err() && "g".repeat(64).parse::<Fingerprint>().is_err());
    }
}
