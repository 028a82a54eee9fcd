//! Who signs tokens (JWT) in tests: one key, its set in a file, and a URL behind which nobody answers.

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

/// The name of its key.
pub(crate) const KEY: &str = "one";
const NAME: &str = "https://id.example.org/";
const AUDIENCE: &str = "strata";
const HOUR: Duration = Duration::from_secs(3_600);

fn key() -> EncodingKey {
    EncodingKey::from_ec_der(include_bytes!("../fixtures/jwt/es256.pkcs8"))
}

/// A token for a planner, with a number that tells it from others, signed by the issuer and under the
/// name of one of its keys or of another.
pub(crate) fn token(key_name: &str, number: usize) -> String {
    let expires = SystemTime::now() + HOUR;
    let expires = expires.duration_since(SystemTime::UNIX_EPOCH);
    let claims = json!({
        "iss": NAME,
        "aud": AUDIENCE,
        "sub": "ana",
        "exp": expires.expect("after 1970").as_secs(),
        "strata_roles": ["planner"],
        "jti": number,
    });
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(key_name.to_owned());
    jsonwebtoken::encode(&header, &claims, &key()).expect("signed")
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
    let jwk = Jwk::from_encoding_key(&key(), Algorithm::ES256).expect("a key");
    let mut jwk = serde_json::to_value(jwk).expect("JSON");
    jwk["kid"] = json!(KEY);
    let path = dir.join("keys.json");
    fs::write(&path, json!({"keys": [jwk]}).to_string()).expect("written");
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
