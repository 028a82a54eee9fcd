//! Who vouches for the place that keys are fetched from, where it is not one of the authorities that the
//! world trusts. Read again for each fetch, so that a renewed one counts.

use std::{fs, path::PathBuf};

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::access::follow::FileError;

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
        let pem = fs::read(&self.0).map_err(|source| FileError::Unreadable {
            path: self.0.clone(),
            source,
        })?;
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
