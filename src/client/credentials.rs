//! Who a client says it is: a bearer token that goes with every call. A token that is in a file is
//! read at each call, so that a file which is replaced counts from the next call on. No token is in
//! any `Debug` or error.

use std::{fmt, fs, path::PathBuf, sync::Arc};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

/// The header of a token.
const HEADER: &str = "authorization";

/// Puts the token, if there is one, into each call.
#[derive(Clone, Default)]
pub struct Credentials {
    token: Option<Token>,
}

#[derive(Clone)]
enum Token {
    Given(MetadataValue<Ascii>),
    InFile(Arc<PathBuf>),
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadToken {
    /// The file cannot be read.
    #[error("cannot read the token in {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// There is nothing, or more than a token.
    #[error("{0} is no token: one word of printable ASCII is expected")]
    Malformed(String),
}

impl Credentials {
    /// Nothing to say.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// A token.
    pub fn token(text: &str) -> Result<Self, BadToken> {
        let value =
            header_value(text).ok_or_else(|| BadToken::Malformed("what was given".to_owned()))?;
        Ok(Self {
            token: Some(Token::Given(value)),
        })
    }

    /// The token that a file holds at the time of each call; it must hold one now.
    pub fn token_file(path: impl Into<PathBuf>) -> Result<Self, BadToken> {
        let path = Arc::new(path.into());
        read(&path)?;
        Ok(Self {
            token: Some(Token::InFile(path)),
        })
    }

    /// What a call would show now, if there is anything.
    pub(super) fn shown_now(&self) -> Option<MetadataValue<Ascii>> {
        match self.token.as_ref()? {
            Token::Given(value) => Some(value.clone()),
            Token::InFile(path) => read(path).ok(),
        }
    }

    pub(super) fn are_a_secret(&self) -> bool {
        self.token.is_some()
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = match &self.token {
            None => return Ok(request),
            Some(Token::Given(value)) => value.clone(),
            Some(Token::InFile(path)) => {
                read(path).map_err(|error| Status::unauthenticated(error.to_string()))?
            }
        };
        request.metadata_mut().insert(HEADER, value);
        Ok(request)
    }
}

/// Where the token is from; never the token.
impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match &self.token {
            None => "Credentials(none)",
            Some(Token::Given(_)) => "Credentials(token)",
            Some(Token::InFile(path)) => return write!(formatter, "Credentials({path:?})"),
        })
    }
}

fn read(path: &PathBuf) -> Result<MetadataValue<Ascii>, BadToken> {
    let text = fs::read_to_string(path).map_err(|error| BadToken::Unreadable {
        path: path.clone(),
        error: error.to_string(),
    })?;
    header_value(text.trim())
        .ok_or_else(|| BadToken::Malformed(format!("what {} holds", path.display())))
}

/// The header of a token; marked so that the transport neither logs nor indexes it.
fn header_value(token: &str) -> Option<MetadataValue<Ascii>> {
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
        return None;
    }
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(credentials: &mut Credentials) -> Result<String, Status> {
        let request = credentials.call(Request::new(()))?;
        let value = request.metadata().get(HEADER).expect("a header");
        assert!(value.is_sensitive());
        Ok(value.to_str().expect("ASCII").to_owned())
    }

    #[test]
    fn a_token_goes_with_each_call() {
        let mut credentials = Credentials::token("secret").expect("a token");
        assert_eq!(sent(&mut credentials).expect("it is sent"), "Bearer secret");
        let request = Credentials::none().call(Request::new(())).expect("a call");
        assert!(request.metadata().get(HEADER).is_none());
    }

    #[test]
    fn a_token_in_a_file_is_read_at_each_call() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        fs::write(&path, "first\n").expect("it is written");
        let mut credentials = Credentials::token_file(&path).expect("a token");
        assert_eq!(sent(&mut credentials).expect("it is sent"), "Bearer first");
        fs::write(&path, "second\n").expect("it is written");
        assert_eq!(sent(&mut credentials).expect("it is sent"), "Bearer second");
        fs::remove_file(&path).expect("it is removed");
        let refused = sent(&mut credentials).expect_err("there is none");
        assert!(refused.message().contains("token"), "{refused}");
    }

    #[test]
    fn what_is_no_token_is_not_repeated() {
        for text in ["", "two words", "sécret", "line\nbreak"] {
            let error = Credentials::token(text).expect_err("it is none");
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
        assert!(Credentials::token_file("/does/not/exist").is_err());
    }

    #[test]
    fn a_token_is_not_shown() {
        let credentials = Credentials::token("secret").expect("a token");
        assert_eq!(format!("{credentials:?}"), "Credentials(token)");
    }
}
