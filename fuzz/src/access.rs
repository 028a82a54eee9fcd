//! Who calls: headers, certificates, signed tokens, the keys of issuers, and the access file.

use std::sync::LazyLock;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::Value;
use strata::access::{
    check_name,
    credentials::{self, CertificateNames},
    file::{
        Directory, Entry,
        edit::{self, EditError, NewToken, Which},
    },
    jwt::{self, Settings, Source, keys::KeySet},
    pattern::Pattern,
    rights::Role,
    token::{self, TokenHash},
};

use crate::NOW_SECONDS;

/// Signs what is tried here, and nothing else.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[7; 32]));

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let x = BASE64_URL_SAFE_NO_PAD.encode(KEY.verifying_key().as_bytes());
    let set = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k","x":"{x}"}}]}}"#);
    KeySet::parse(set.as_bytes()).expect("a set of keys")
});

static SETTINGS: LazyLock<Settings> = LazyLock::new(|| Settings {
    keys: Source::Url("https://id.example.org/keys".to_owned()),
    keys_ca_file: None,
    issuer: "https://id.example.org/".to_owned(),
    audience: "strata".to_owned(),
    leeway_seconds: 60,
    roles_claim: "strata_roles".to_owned(),
    plans_claim: "strata_plans".to_owned(),
});

/// The value of an `authorization` header, and what is made of the token in it.
pub fn credential(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let shown = token::without_tokens(text);
        let mut pieces = shown.split(token::PREFIX).skip(1);
        assert!(pieces.all(|piece| piece.starts_with('…')), "{shown}");
        assert!(!token::holds_token(&shown), "{shown}");
        if let Ok(pattern) = text.parse::<Pattern>() {
            let again: Pattern = pattern.to_string().parse().expect("a pattern");
            assert_eq!(again, pattern);
            assert!(!pattern.is_all() || pattern.matches("growth"));
        }
        if check_name(text).is_ok() {
            assert!(!text.chars().any(char::is_control));
        }
    }
    let Ok(bearer) = credentials::bearer(bytes) else {
        return;
    };
    assert!(!bearer.is_empty() && bearer.is_ascii());
    let is_ours = TokenHash::of_sent(bearer);
    if is_ours.is_ok() {
        assert!(!jwt::is_like(bearer), "a token is of one kind");
        assert_eq!(bearer.len(), token::TOKEN_CHARS);
    }
    if jwt::is_like(bearer) {
        drop(jwt::verify(bearer, &KEYS, &SETTINGS, now()));
    }
}

/// A client certificate.
pub fn certificate(bytes: &[u8]) {
    if let Ok(names) = CertificateNames::from_der(bytes) {
        assert!(names.iter().count() > 0);
    }
}

/// A signed token: its header and its claims, a line each. It is signed with the issuer's key, then
/// changed.
pub fn jwt(bytes: &[u8]) {
    let (header, claims) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => return,
    };
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let message = format!("{}.{}", encode(header), encode(claims));
    let mut signature = KEY.sign(message.as_bytes()).to_bytes();
    let verified = |message: &str, signature: &[u8]| {
        let signed = format!("{message}.{}", encode(signature));
        jwt::verify(&signed, &KEYS, &SETTINGS, now())
    };
    if let Ok(known) = verified(&message, &signature) {
        let header = std::str::from_utf8(header).expect("what is JSON is text");
        // What is passed over may be no text of JSON, such as half of a surrogate pair.
        if let Ok(header) = serde_json::from_str::<Value>(header) {
            assert_eq!(header["alg"], "EdDSA");
            assert!(header.get("crit").is_none_or(Value::is_null));
        }
        assert!(known.until_seconds > now());
        assert_eq!(check_name(&known.name), Ok(()));
        if let Some(principal) = &known.principal {
            assert_eq!(principal.name(), &known.name);
        }
    }
    signature[usize::from(claims.first().copied().unwrap_or(0)) % 64] ^= 1;
    assert!(
        verified(&message, &signature).is_err(),
        "a signature that does not hold"
    );
    assert!(verified(&message, &[]).is_err(), "no signature");
}

/// A JWK set, and tokens for each of its keys.
pub fn jwk_set(bytes: &[u8]) {
    let Ok(keys) = KeySet::parse(bytes) else {
        return;
    };
    assert!(!format!("{keys:?}").is_empty());
    let set: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let ids = set["keys"].as_array().into_iter().flatten();
    let ids = ids.map(|key| key["kid"].clone()).take(4);
    for id in ids.chain([Value::Null]) {
        for (algorithm, bytes) in [
            ("RS256", 256),
            ("RS512", 512),
            ("PS256", 256),
            ("PS512", 512),
            ("ES256", 64),
            ("ES384", 96),
            ("EdDSA", 64),
        ] {
            let header = serde_json::json!({"alg": algorithm, "kid": id});
            let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
            let (header, claims) = (encode(header.to_string().as_bytes()), encode(b"{}"));
            for fill in [0, 1, 0xff] {
                let signature = encode(&vec![fill; bytes]);
                let token = format!("{header}.{claims}.{signature}");
                assert!(jwt::verify(&token, &keys, &SETTINGS, now()).is_err());
            }
        }
    }
}

/// An access file, and what `stratad token` makes of it.
pub fn access_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let directory = match Directory::parse(text) {
        Ok(directory) => directory,
        Err(problems) => {
            assert!(!problems.problems().is_empty());
            let lines = text.lines().count().max(1) + 1;
            assert!(problems.problems().iter().all(|it| it.line <= lines));
            return;
        }
    };
    for entry in directory.entries() {
        for known in &entry.tokens {
            let holder = directory.holder(&known.hash).expect("somebody holds it");
            assert_eq!(holder.principal, entry.principal);
        }
    }
    let hash = TokenHash::parse(&"5a".repeat(32)).expect("a hash");
    let is_free = directory.holder(&hash).is_none();
    for name in ["zoe", "ana"] {
        let roles = if directory.named(name).is_some() {
            &[][..]
        } else {
            &[Role::Reader]
        };
        let token = NewToken {
            name,
            roles,
            plans: &[],
            hash,
            expires: None,
            note: Some("a \"note\"\n"),
        };
        match edit::add(text, &token) {
            Ok(added) => is_added(&directory, &added, name, hash),
            Err(EditError::Problems(_)) => assert!(!is_free, "what is right can be added to"),
            Err(other) => panic!("{name} is not added: {other}"),
        }
    }
}

fn is_added(before: &Directory, added: &str, name: &str, hash: TokenHash) {
    let after = Directory::parse(added).expect("what was written is right");
    let holder = after.holder(&hash).expect("the new token");
    assert_eq!(&**holder.principal.name(), name);
    assert_eq!(others(before, name), others(&after, name));
    if before.named(name).is_some() {
        assert_eq!(
            before.named(name).map(|it| &it.principal),
            after.named(name).map(|it| &it.principal)
        );
    }
    let whole = hash.to_string();
    let (revoked, count) = edit::revoke(added, Which::HashBeginning(&whole)).expect("revoked");
    assert_eq!(count, 1);
    let revoked = Directory::parse(&revoked).expect("what was written is right");
    assert!(revoked.holder(&hash).is_none());
    assert_eq!(others(before, name), others(&revoked, name));
}

/// All principals but one, in words.
fn others(directory: &Directory, name: &str) -> Vec<String> {
    let shown = |it: &&Entry| &**it.principal.name() != name;
    let entries = directory.entries().into_iter().filter(shown);
    entries.map(|entry| format!("{entry:?}")).collect()
}

fn now() -> u64 {
    NOW_SECONDS.unsigned_abs()
}
