//! Who signs tokens (JWT) in tests: the keys, their set in a file, and a URL behind which nobody answers.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::json;

mod fetched;

/// The name of its first key.
pub(crate) const KEY: &str = "one";
const NAME: &str = "https://id.example.org/";
const AUDIENCE: &str = "strata";
const HOUR: Duration = Duration::from_secs(3_600);

/// A key of the issuer.
struct Signer {
    key_name: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    fn first() -> Self {
        let key = include_bytes!("../fixtures/jwt/es256.pkcs8");
        Self {
            key_name: KEY,
            algorithm: Algorithm::ES256,
            key: EncodingKey::from_ec_der(key),
        }
    }

    fn second() -> Self {
        let key = include_bytes!("../fixtures/jwt/eddsa.pkcs8");
        Self {
            key_name: "two",
            algorithm: Algorithm::EdDSA,
            key: EncodingKey::from_ed_der(key),
        }
    }

    /// What the issuer publishes when this is its key, under its name or another.
    fn published(&self, key_name: &str) -> String {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).expect("a key");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = json!(key_name);
        json!({ "keys": [jwk] }).to_string()
    }

    fn token_of_its_own(&self) -> String {
        self.token(self.key_name, 0, HOUR, &["planner"])
    }

    /// A token that is good for a time and has a number that tells it from others.
    fn token(&self, key_name: &str, number: usize, time: Duration, roles: &[&str]) -> String {
        let expires = SystemTime::now() + time;
        let expires = expires.duration_since(SystemTime::UNIX_EPOCH);
        let claims = json!({
            "iss": NAME,
            "aud": AUDIENCE,
            "sub": "ana",
            "exp": expires.expect("after 1970").as_secs(),
            "strata_roles": roles,
            "jti": number,
        });
        let mut header = Header::new(self.algorithm);
        header.kid = Some(key_name.to_owned());
        jsonwebtoken::encode(&header, &claims, &self.key).expect("signed")
    }
}

/// A planner's token of the first key, under its name or another.
pub(crate) fn token(key_name: &str, number: usize) -> String {
    Signer::first().token(key_name, number, HOUR, &["planner"])
}

/// A token of the first key for every call, for some time.
pub(crate) fn token_for(time: Duration) -> String {
    Signer::first().token(KEY, 0, time, &["planner", "auditor", "operator"])
}

/// The arguments of a daemon that believes the issuer, whose keys it finds there.
pub(crate) fn arguments(keys: &str) -> [String; 6] {
    [
        "--jwt-keys",
        keys,
        "--jwt-issuer",
        NAME,
        "--jwt-audience",
        AUDIENCE,
    ]
    .map(str::to_owned)
}

/// Writes the issuer's keys to a file; its path.
pub(crate) fn keys_in(dir: &Path) -> String {
    keys_named(KEY, dir)
}

/// The same, under another name.
pub(crate) fn keys_named(key_name: &str, dir: &Path) -> String {
    let path = dir.join("keys.json");
    fs::write(&path, Signer::first().published(key_name)).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// A URL that takes questions and answers none of them.
pub(crate) struct Stalled {
    pub(crate) url: String,
    asked: Arc<AtomicUsize>,
}

impl Stalled {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::<AtomicUsize>::default();
        let count = asked.clone();
        // It ends with the process.
        thread::spawn(move || {
            let mut held = Vec::new();
            for socket in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                held.push(socket);
            }
        });
        Self {
            url: format!("http://{address}/keys"),
            asked,
        }
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}
