//! Signed tokens (JWT) of an identity provider. Only signatures that need a secret to make and none to
//! check are believed; which of them, the key says and not the token.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::{Algorithm, AlgorithmFamily, crypto};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{BadName, Grant, Principal, check_name, pattern::Pattern, rights::Role};
use crate::client::address::is_loopback;

mod authorities;
pub mod keys;
pub mod provider;

use self::keys::KeySet;

/// Whose signed tokens are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where its keys are.
    pub keys: Source,
    /// The authorities that are trusted where keys are fetched, and no others. None: those of Mozilla's list.
    pub keys_ca_file: Option<PathBuf>,
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

/// Where the keys of an issuer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a file, a JWK set.
    File(PathBuf),
    /// Behind a URL that gives one.
    Url(String),
}

/// Why a text is no source of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSource {
    /// Whoever is on the way could put in keys of their own.
    #[error("keys are fetched over https only, or from this machine")]
    NotHttps,
    /// There is a name or password in it, which would stand in logs.
    #[error("the URL has a user or a password in it")]
    Secret,
    /// It is no URL.
    #[error("this is no URL of a host")]
    NotAUrl,
}

/// Why a signed token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is not one.
    #[error("it is not three parts of base64url, with a header and claims in JSON")]
    Malformed,
    /// It is signed in a way that proves nothing.
    #[error("`alg` is not one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA")]
    Algorithm,
    /// Its header demands what is not understood here.
    #[error("its header has `crit`, which is not understood here")]
    Critical,
    /// The issuer has no such key, as far as is known.
    #[error("the issuer has no key that `kid` and `alg` name")]
    UnknownKey,
    /// Somebody else signed it.
    #[error("its signature does not hold")]
    Signature,
    /// A claim is missing or of another type.
    #[error("its claim `{0}` is missing, or is not what it must be")]
    Claim(String),
    /// Another issuer.
    #[error("`iss` is not the issuer that is believed here")]
    Issuer,
    /// It is meant for others.
    #[error("`aud` does not name this daemon")]
    Audience,
    /// It was good once.
    #[error("it has expired")]
    Expired,
    /// It will be good.
    #[error("it is not valid yet")]
    NotYet,
    /// Its key may be among those that are being fetched, for which enough others wait.
    #[error(
        "it names a key that is not known yet, and as many callers as may already wait for the keys of \
         the issuer: try again"
    )]
    KeysAwaited,
    /// It was not looked at, for its turn did not come.
    #[error(
        "it comes from where too many were refused, and more of those wait to be looked at than may: try \
         again"
    )]
    Doubtful,
    /// Its subject can be no principal.
    #[error("`sub` can be nobody here: {0}")]
    Subject(#[from] BadName),
    /// It has no roles, and the access file gives its subject none.
    #[error("it names no roles, and the access file has no principal with the name in `sub`")]
    NoRoles,
}

/// What a token says whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The subject.
    pub name: Arc<str>,
    /// It with the roles of the token, if that names any.
    pub principal: Option<Principal>,
    /// From when on it is refused, leeway included, in seconds since 1970.
    pub until_seconds: u64,
}

/// The header of a token, as far as it matters. Keys in it, and addresses of keys, do not: whoever wrote
/// the token wrote those as well.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// Verifies a token at a moment, in seconds since 1970.
pub fn verify(
    token: &str,
    keys: &KeySet,
    settings: &Settings,
    now_seconds: u64,
) -> Result<Verified, Refused> {
    let (message, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
    let (header, claims) = message.split_once('.').ok_or(Refused::Malformed)?;
    let header: Header = json(header)?;
    let algorithm = algorithm(&header.alg)?;
    if header.crit.is_some() {
        return Err(Refused::Critical);
    }
    let key = keys
        .find(header.kid.as_deref(), algorithm)
        .ok_or(Refused::UnknownKey)?;
    let holds = crypto::verify(signature, message.as_bytes(), key, algorithm);
    if !holds.unwrap_or(false) {
        return Err(Refused::Signature);
    }
    read(&json(claims)?, settings, now_seconds)
}

/// Whether a text is made like a signed token, so that it is judged as one.
#[must_use]
pub fn is_like(text: &str) -> bool {
    text.matches('.').count() == 2
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, Refused> {
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Refused::Malformed)?;
    // Of bytes, the reader would not look at texts that it passes over.
    let text = std::str::from_utf8(&bytes).map_err(|_| Refused::Malformed)?;
    serde_json::from_str(text).map_err(|_| Refused::Malformed)
}

fn algorithm(name: &str) -> Result<Algorithm, Refused> {
    let algorithm: Algorithm = name.parse().map_err(|_| Refused::Algorithm)?;
    match algorithm.family() {
        AlgorithmFamily::Rsa | AlgorithmFamily::Ec | AlgorithmFamily::Ed => Ok(algorithm),
        // A key that is published is no secret.
        AlgorithmFamily::Hmac => Err(Refused::Algorithm),
    }
}

fn read(
    claims: &Map<String, Value>,
    settings: &Settings,
    now_seconds: u64,
) -> Result<Verified, Refused> {
    if claims.get("iss").and_then(Value::as_str) != Some(&settings.issuer) {
        return Err(Refused::Issuer);
    }
    let is_ours = |value: &Value| value.as_str() == Some(&settings.audience);
    match claims.get("aud") {
        Some(Value::Array(all)) if all.iter().any(is_ours) => {}
        Some(one) if is_ours(one) => {}
        Some(_) | None => return Err(Refused::Audience),
    }
    let expires_seconds = seconds(claims, "exp")?.ok_or_else(|| missing("exp"))?;
    let until_seconds = expires_seconds.saturating_add(settings.leeway_seconds);
    if now_seconds >= until_seconds {
        return Err(Refused::Expired);
    }
    if let Some(not_before) = seconds(claims, "nbf")?
        && now_seconds.saturating_add(settings.leeway_seconds) < not_before
    {
        return Err(Refused::NotYet);
    }
    let name = claims
        .get("sub")
        .and_then(Value::as_str)
        .ok_or_else(|| missing("sub"))?;
    check_name(name)?;
    let grants = grants(claims, settings)?;
    Ok(Verified {
        name: name.into(),
        principal: grants.map(|grants| Principal::new(name, grants)),
        until_seconds,
    })
}

/// A time of a claim in whole seconds; a part of a second counts for what is more careful about `exp`,
/// and makes no difference for `nbf`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is cast lies between"
)]
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, Refused> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    if let Some(seconds) = value.as_u64() {
        return Ok(Some(seconds));
    }
    match value.as_f64() {
        Some(seconds) if seconds < 0.0 => Ok(Some(0)),
        Some(seconds) if seconds.is_finite() => Ok(Some(seconds.min(9e15) as u64)),
        Some(_) | None => Err(missing(name)),
    }
}

/// The roles in the claims. `None`: the claims say nothing of roles.
fn grants(claims: &Map<String, Value>, settings: &Settings) -> Result<Option<Vec<Grant>>, Refused> {
    let roles = words(claims, &settings.roles_claim)?;
    let plans = words(claims, &settings.plans_claim)?;
    let Some(roles) = roles else {
        // It was to narrow something, and there is nothing that it could narrow.
        return match plans {
            Some(_) => Err(missing(&settings.roles_claim)),
            None => Ok(None),
        };
    };
    let plans = match plans {
        None => vec![Pattern::all()],
        Some(plans) => {
            let patterns = plans.into_iter().map(str::parse);
            let patterns: Result<_, _> = patterns.collect();
            patterns.map_err(|_| missing(&settings.plans_claim))?
        }
    };
    let roles = roles.into_iter().filter_map(Role::named);
    let grant = |role| Grant {
        role,
        plans: plans.clone(),
    };
    Ok(Some(roles.map(grant).collect()))
}

/// The words of a claim: a list of texts, or one text with spaces between them.
fn words<'a>(claims: &'a Map<String, Value>, claim: &str) -> Result<Option<Vec<&'a str>>, Refused> {
    let value = match claims.get(claim) {
        Some(value) => Some(value),
        None => claim.strip_prefix('/').and_then(|path| {
            let (first, rest) = path.split_once('/').map_or((path, ""), |(a, b)| (a, b));
            let first = claims.get(first)?;
            if rest.is_empty() {
                Some(first)
            } else {
                first.pointer(&format!("/{rest}"))
            }
        }),
    };
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.split_whitespace().collect())),
        Some(Value::Array(items)) => {
            let texts: Option<Vec<_>> = items.iter().map(Value::as_str).collect();
            texts.map(Some).ok_or_else(|| missing(claim))
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            Err(missing(claim))
        }
    }
}

fn missing(claim: &str) -> Refused {
    Refused::Claim(claim.to_owned())
}

impl FromStr for Source {
    type Err = BadSource;

    fn from_str(text: &str) -> Result<Self, BadSource> {
        if !text.contains("://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let url: http::Uri = text.parse().map_err(|_| BadSource::NotAUrl)?;
        let authority = url.authority().ok_or(BadSource::NotAUrl)?;
        if authority.as_str().contains('@') {
            return Err(BadSource::Secret);
        }
        match url.scheme_str() {
            Some("https") => Ok(Self::Url(text.to_owned())),
            Some("http") if is_loopback(authority.host()) => Ok(Self::Url(text.to_owned())),
            _ => Err(BadSource::NotHttps),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Url(url) => formatter.write_str(url),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;
