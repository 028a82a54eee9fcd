//! Who vouches for the place that keys are fetched from, where it is not one of the authorities that the
//! world trusts. Read again for each fetch, so that a renewed one counts.

use std::path::PathBuf;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::access::follow::{self, CERTIFICATES_BYTES_MAX, FileError};

/// A file of authorities, in PEM.
#[derive(Debug)]
pub(super) struct Authorities(pub(super) PathBuf);

impl Authorities {
    /// Whether it can be used as it is now.
    pub(super) fn check(&self) -> Result<(), FileError> {
        self.read().map(drop)
    }

    /// Trust in these, and no others.
    pub(super) fn trusted(&self) -> Result<TlsConfig, FileError> {
        let roots = RootCerts::new_with_certs(&self.read()?);
        Ok(TlsConfig::builder().root_certs(roots).build())
    }

    fn read(&self) -> Result<Vec<Certificate<'static>>, FileError> {
        let pem = follow::read(&self.0, CERTIFICATES_BYTES_MAX)?;
        let found: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                Ok(_) | Err(_) => None,
            })
            .collect();
        if found.is_empty() {
            return Err(FileError::Wrong {
                path: self.0.clone(),
                wrong: "it holds no certificate in PEM".to_owned(),
            });
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn authorities_that_everyone_may_write_vouch_for_nobody() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ca.pem");
        let authority = rcgen::generate_simple_self_signed(Vec::new()).expect("a certificate");
        fs::write(&path, authority.cert.pem()).expect("written");
        let check_with = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its owner's");
            Authorities(path.clone()).check()
        };
        assert!(check_with(0o644).is_ok());
        assert!(matches!(check_with(0o646), Err(FileError::Writable { .. })));
    }
}
