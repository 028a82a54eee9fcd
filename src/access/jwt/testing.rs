//! An issuer for tests: keys that sign nothing else, and tokens as it likes.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, crypto, jwk::Jwk};
use serde_json::{Value, json};

use super::{Settings, Source, keys::KeySet};

/// When the tokens of [`claims`] are good, give or take an hour.
pub(crate) const NOW_SECONDS: u64 = 1_800_000_000;

/// A key with its id.
pub(crate) struct Signer {
    pub(crate) id: &'static str,
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    pub(crate) fn new(id: &'static str, algorithm: Algorithm) -> Self {
        let key = match algorithm.family() {
            AlgorithmFamily::Rsa => {
                EncodingKey::from_rsa_der(include_bytes!("../../../tests/fixtures/jwt/rs256.pkcs1"))
            }
            AlgorithmFamily::Ec if algorithm == Algorithm::ES256 => {
                EncodingKey::from_ec_der(include_bytes!("../../../tests/fixtures/jwt/es256.pkcs8"))
            }
            AlgorithmFamily::Ec => {
                EncodingKey::from_ec_der(include_bytes!("../../../tests/fixtures/jwt/es384.pkcs8"))
            }
            AlgorithmFamily::Ed => {
                EncodingKey::from_ed_der(include_bytes!("../../../tests/fixtures/jwt/eddsa.pkcs8"))
            }
            AlgorithmFamily::Hmac => EncodingKey::from_secret(b"no secret"),
        };
        Self { id, algorithm, key }
    }

    /// Its public half, as it stands in a set.
    pub(crate) fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).expect("a key");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    /// A token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let alg = format!("{:?}", self.algorithm);
        self.sign(&json!({"typ": "JWT", "alg": alg, "kid": self.id}), claims)
    }

    /// A token with this header.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let signature = crypto::sign(message.as_bytes(), &self.key, self.algorithm);
        format!("{message}.{}", signature.expect("signed"))
    }
}

/// A part of a token.
pub(crate) fn part(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The set of these keys.
pub(crate) fn set(jwks: &[Value]) -> KeySet {
    KeySet::parse(set_text(jwks).as_bytes()).expect("a set of keys")
}

/// The same as it is published.
pub(crate) fn set_text(jwks: &[Value]) -> String {
    json!({ "keys": jwks }).to_string()
}

/// What a daemon is told of the issuer.
pub(crate) fn settings(keys: &str) -> Settings {
    Settings {
        keys: keys.parse::<Source>().expect("a source"),
        keys_ca_file: None,
        issuer: "https://id.example.org/".to_owned(),
        audience: "strata".to_owned(),
        leeway_seconds: 60,
        roles_claim: "strata_roles".to_owned(),
        plans_claim: "strata_plans".to_owned(),
    }
}

/// The claims of a token that is good at [`NOW_SECONDS`].
pub(crate) fn claims() -> Value {
    json!({
        "iss": "https://id.example.org/",
        "aud": "strata",
        "sub": "ana",
        "exp": NOW_SECONDS + 3_600,
        "nbf": NOW_SECONDS - 3_600,
        "strata_roles": ["planner"],
    })
}
