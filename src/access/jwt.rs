//! Signed tokens (JWT) of an identity provider.

/// Whose signed tokens are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where its keys are: the path of a JWK set, or an https:// URL.
    pub keys: Source,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must hold.
    pub audience: String,
    /// How far clocks may be apart.
    pub leeway_seconds: u64,
    /// The claim with the roles.
    pub roles_claim: String,
    /// The claim with the patterns of plans.
    pub plans_claim: String,
}

/// Why a signed token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is not one.
    #[error("it is not three parts of base64url with a header and claims in JSON")]
    Malformed,
}

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source(String);

/// Why a text is no such place.
#[derive(Debug, thiserror::Error)]
#[error("not a place")]
pub struct BadSource;

impl std::str::FromStr for Source {
    type Err = BadSource;

    fn from_str(text: &str) -> Result<Self, BadSource> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}
