//! Where callers are asked who they are: all that names principals, behind one entry point.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use jiff::Timestamp;

use super::{
    Principal, Rejected,
    credentials::{CertificateNames, Credentials},
    file::{Directory, FILE_BYTES_MAX},
    follow::{FileError, Followed, Reading},
    jwt::{self, Refused, provider::Provider},
    token::TokenHash,
};

/// Where principals are known from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The file of principals.
    pub access_file: Option<PathBuf>,
    /// Whose signed tokens are believed.
    pub jwt: Option<jwt::Settings>,
}

/// Why it cannot be told who calls.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The file of principals is not right.
    #[error("who may call cannot be told: {0}")]
    File(FileError),
    /// The keys of signed tokens are not right.
    #[error("the keys by which tokens are checked cannot be told: {0}")]
    Keys(FileError),
}

/// What tells who calls.
#[derive(Debug)]
pub struct Access {
    directory: Option<Followed<Directory>>,
    provider: Option<Provider>,
}

impl Access {
    /// Reads all that names principals, and follows its changes until this is dropped. Where keys are
    /// fetched from elsewhere, it does not wait for them.
    pub fn open(settings: &Settings) -> Result<Arc<Self>, AccessError> {
        let directory = settings.access_file.as_ref().map(|path| {
            Followed::open(Reading {
                path: path.clone(),
                what: "the access file",
                bytes_max: FILE_BYTES_MAX,
                parse: directory,
            })
        });
        let provider = settings.jwt.clone().map(Provider::open);
        Ok(Arc::new(Self {
            directory: directory.transpose().map_err(AccessError::File)?,
            provider: provider.transpose().map_err(AccessError::Keys)?,
        }))
    }

    /// Asks nobody.
    #[must_use]
    pub fn of_anyone() -> Arc<Self> {
        Arc::new(Self {
            directory: None,
            provider: None,
        })
    }

    /// Whether callers are asked who they are. If not, everyone is [`Principal::anonymous`].
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.directory.is_some() || self.provider.is_some()
    }

    /// Tells who calls. Waits only where a JWT names a key that has yet to be fetched: seconds at most,
    /// and only once in a while, whatever is sent.
    pub async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Principal, Rejected> {
        if !self.is_required() {
            return Ok(Principal::anonymous());
        }
        match (credentials.bearer, credentials.certificate) {
            (Some(token), _) if jwt::is_like(token) => {
                self.signed(token, credentials.is_doubtful).await
            }
            (Some(token), _) => self.holder(token),
            (None, Some(names)) => self.certified(names),
            (None, None) => Err(Rejected::Missing),
        }
    }

    fn holder(&self, token: &str) -> Result<Principal, Rejected> {
        let hash = TokenHash::of_sent(token)?;
        let directory = self.directory();
        let known = directory
            .as_ref()
            .and_then(|it| it.holder(&hash))
            .ok_or(Rejected::UnknownToken)?;
        if known
            .expires
            .is_some_and(|expires| expires <= Timestamp::now())
        {
            return Err(Rejected::Expired);
        }
        Ok(known.principal.clone())
    }

    fn certified(&self, names: &CertificateNames) -> Result<Principal, Rejected> {
        let directory = self.directory();
        let directory = directory.as_ref().ok_or(Rejected::UnknownCertificate)?;
        let mut principals = names.iter().filter_map(|name| directory.certified(name));
        let first = principals.next().ok_or(Rejected::UnknownCertificate)?;
        // Whose calls these are must not hang on the order of names.
        if principals.any(|other| other != first) {
            return Err(Rejected::AmbiguousCertificate);
        }
        Ok(first.clone())
    }

    async fn signed(&self, token: &str, is_doubtful: bool) -> Result<Principal, Rejected> {
        let provider = self.provider.as_ref().ok_or(Rejected::NoIssuer)?;
        let verified = provider.verify(token, is_doubtful, now_seconds()).await?;
        if let Some(principal) = &verified.principal {
            return Ok(principal.clone());
        }
        let directory = self.directory();
        let entry = directory.as_ref().and_then(|it| it.named(&verified.name));
        let entry = entry.ok_or(Refused::NoRoles)?;
        Ok(entry.principal.clone())
    }

    fn directory(&self) -> Option<Arc<Directory>> {
        self.directory.as_ref().map(Followed::current)
    }
}

fn directory(bytes: &[u8]) -> Result<Directory, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "this is not UTF-8".to_owned())?;
    Directory::parse(text).map_err(|problems| problems.to_string())
}

fn now_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
