//! What a caller shows of itself: a bearer token in a header, the names in a client certificate. Read
//! from bytes here, so that whatever is sent is either such a thing or refused.

use std::{fmt, sync::Arc};

use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::Rejected;

/// The longest `authorization` header that is looked at: a signed token with many roles.
pub const HEADER_BYTES_MAX: usize = 8 << 10;

/// The most names that are taken from one certificate.
const CERTIFICATE_NAMES_MAX: usize = 64;

/// What came with a call. If there are both, the token decides.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The token of `authorization: Bearer TOKEN`, as [`bearer`] reads it.
    pub bearer: Option<&'a str>,
    /// The names in the client certificate, which the handshake has verified.
    pub certificate: Option<&'a CertificateNames>,
    /// Whether too many that named nobody came from where they come from.
    pub is_doubtful: bool,
}

/// The names in a client certificate by which a principal may be known. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateNames(Arc<[String]>);

/// Why bytes name nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the client certificate names nobody: it needs a URI, DNS or e-mail name, or a common name"
)]
pub struct NoNames;

/// Reads the value of an `authorization` header.
pub fn bearer(header: &[u8]) -> Result<&str, Rejected> {
    if header.len() > HEADER_BYTES_MAX {
        return Err(Rejected::Malformed);
    }
    let text = std::str::from_utf8(header).map_err(|_| Rejected::Malformed)?;
    let (scheme, token) = text.split_once(' ').ok_or(Rejected::Malformed)?;
    let token = token.trim_matches(' ');
    // What RFC 6750 allows in a token.
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || !token.chars().all(is_allowed)
    {
        return Err(Rejected::Malformed);
    }
    Ok(token)
}

impl CertificateNames {
    /// The names in a certificate: its URI, DNS and e-mail names; without any, its common name.
    pub fn from_der(der: &[u8]) -> Result<Self, NoNames> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| NoNames)?;
        let alternative = certificate
            .subject_alternative_name()
            .map_err(|_| NoNames)?;
        let mut names: Vec<String> = alternative
            .iter()
            .flat_map(|extension| &extension.value.general_names)
            .filter_map(|name| match name {
                GeneralName::URI(name)
                | GeneralName::DNSName(name)
                | GeneralName::RFC822Name(name) => Some((*name).to_owned()),
                GeneralName::OtherName(..)
                | GeneralName::X400Address(_)
                | GeneralName::DirectoryName(_)
                | GeneralName::EDIPartyName(_)
                | GeneralName::IPAddress(_)
                | GeneralName::RegisteredID(_)
                | GeneralName::Invalid(..) => None,
            })
            .take(CERTIFICATE_NAMES_MAX)
            .collect();
        if names.is_empty() {
            let common = certificate.subject().iter_common_name().last();
            names.extend(common.and_then(|name| Some(name.as_str().ok()?.to_owned())));
        }
        if names.is_empty() {
            return Err(NoNames);
        }
        Ok(Self(names.into()))
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Which kinds of credentials there are; nothing of a token.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bearer = self.bearer.map(|_| "a token");
        write!(formatter, "Credentials({bearer:?}, {:?})", self.certificate)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_bearer_and_a_token() {
        for header in ["Bearer abc.d-e_f", "bearer abc.d-e_f", "BEARER  abc.d-e_f "] {
            assert_eq!(bearer(header.as_bytes()), Ok("abc.d-e_f"), "{header}");
        }
        let long = format!("Bearer {}", "a".repeat(HEADER_BYTES_MAX));
        for header in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a,b",
            "Bearer ä",
            "Basic YTpi",
            " Bearer a",
            "Bearer\ta",
            "Bearerabc",
            "Bearer a\n",
            &long,
        ] {
            assert_eq!(
                bearer(header.as_bytes()),
                Err(Rejected::Malformed),
                "{header}"
            );
        }
        assert_eq!(bearer(b"Bearer \xff"), Err(Rejected::Malformed));
    }

    proptest! {
        #[test]
        fn any_header_is_a_token_or_refused(header: Vec<u8>, token in "[A-Za-z0-9._~+/=-]{1,60}") {
            bearer(&header).ok();
            let header = format!("Bearer {token}");
            prop_assert_eq!(bearer(header.as_bytes()), Ok(&*token));
        }

        #[test]
        fn any_bytes_are_a_certificate_or_refused(der: Vec<u8>) {
            prop_assert_eq!(CertificateNames::from_der(&der), Err(NoNames));
        }
    }
}
