//! The public keys of an issuer, read from a JWK set. What cannot check a signature here is passed over,
//! so that an issuer may publish more than we understand.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// The largest JWK set.
pub const SET_BYTES_MAX: u64 = 256 << 10;

/// The most keys of a set.
const KEYS_MAX: usize = 100;

/// An RSA key with fewer bits is weak, and one with more takes too long to check.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;

/// The public keys of an issuer that can be used here.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    decoding: DecodingKey,
}

/// Why bytes are no set of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadKeySet {
    /// It is not one.
    #[error("this is not a JWK set, {{\"keys\": […]}} in JSON")]
    Form,
    /// Larger than any issuer needs.
    #[error("this JWK set has more than {KEYS_MAX} keys or {SET_BYTES_MAX} bytes")]
    TooLarge,
    /// Nothing in it helps.
    #[error(
        "this JWK set has no key for signatures that can be used here: RSA of 2048 to 4096 bits, \
         P-256, P-384 or Ed25519"
    )]
    NoKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JWK set.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadKeySet> {
        if bytes.len() as u64 > SET_BYTES_MAX {
            return Err(BadKeySet::TooLarge);
        }
        let document: Document = serde_json::from_slice(bytes).map_err(|_| BadKeySet::Form)?;
        if document.keys.len() > KEYS_MAX {
            return Err(BadKeySet::TooLarge);
        }
        let keys: Vec<_> = document.keys.into_iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err(BadKeySet::NoKey);
        }
        Ok(Self { keys })
    }

    /// The key of an id for an algorithm; without an id the one that there is, if it is only one.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fitting = self.keys.iter().filter(|key| {
            key.algorithms.contains(&algorithm) && (id.is_none() || key.id.as_deref() == id)
        });
        let first = fitting.next()?;
        // Which of several is meant cannot be told.
        fitting.next().is_none().then_some(&first.decoding)
    }
}

/// A key of a set, if it is for signatures and of a kind that can be checked here.
fn usable(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let common = &jwk.common;
    if common
        .public_key_use
        .as_ref()
        .is_some_and(|it| *it != PublicKeyUse::Signature)
    {
        return None;
    }
    if let Some(operations) = &common.key_operations
        && !operations.contains(&KeyOperations::Verify)
    {
        return None;
    }
    let mut algorithms = algorithms(&jwk.algorithm)?;
    if let Some(only) = common.key_algorithm {
        algorithms.retain(|algorithm| KeyAlgorithm::from(*algorithm) == only);
    }
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    let id = jwk.common.key_id;
    (!algorithms.is_empty()).then_some(Key {
        id,
        algorithms,
        decoding,
    })
}

/// What a key of this form can check.
fn algorithms(parameters: &AlgorithmParameters) -> Option<Vec<Algorithm>> {
    let bytes_of = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
    let is_long = |text: &str, length| Some(bytes_of(text)?.len() == length);
    match parameters {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = bytes_of(&rsa.n)?;
            let leading = modulus.iter().take_while(|byte| **byte == 0).count();
            let zeros = modulus.get(leading)?.leading_zeros() as usize;
            let bits = 8 * (modulus.len() - leading) - zeros;
            RSA_BITS
                .contains(&bits)
                .then(|| AlgorithmFamily::Rsa.algorithms().to_vec())
        }
        AlgorithmParameters::EllipticCurve(ec) => {
            let (algorithm, length) = match ec.curve {
                EllipticCurve::P256 => (Algorithm::ES256, 32),
                EllipticCurve::P384 => (Algorithm::ES384, 48),
                EllipticCurve::P521 | EllipticCurve::Ed25519 | _ => return None,
            };
            let fits = is_long(&ec.x, length)? && is_long(&ec.y, length)?;
            fits.then(|| vec![algorithm])
        }
        AlgorithmParameters::OctetKeyPair(pair) => {
            let fits = pair.curve == EllipticCurve::Ed25519 && is_long(&pair.x, 32)?;
            fits.then(|| vec![Algorithm::EdDSA])
        }
        // A secret that is published is none.
        AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_) | _ => None,
    }
}

/// How many keys, and their ids.
impl fmt::Debug for KeySet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.keys.iter().map(|key| (&key.id, &key.algorithms));
        formatter.debug_list().entries(ids).finish()
    }
}
