//! Which signed tokens are believed, and for what.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    keys::{BadKeySet, KeySet},
    testing::{NOW_SECONDS, Signer, claims, part, set, settings},
    *,
};
use crate::access::rights::Rpc;

const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

fn signer() -> Signer {
    Signer::new("one", Algorithm::ES256)
}

/// What is said of a token at a moment by a daemon that knows [`signer`].
fn judge_at(token: &str, now_seconds: u64) -> Result<Verified, Refused> {
    verify(
        token,
        &set(&[signer().jwk()]),
        &settings("keys.json"),
        now_seconds,
    )
}

/// The same of these claims, well signed.
fn judge(claims: &Value) -> Result<Verified, Refused> {
    judge_at(&signer().token(claims), NOW_SECONDS)
}

/// Good claims, but for one.
fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("an object").remove(name);
    claims
}

fn claim(name: &str) -> Refused {
    Refused::Claim(name.to_owned())
}

#[test]
fn a_token_of_every_algorithm_is_believed_by_the_key_that_is_for_it() {
    for algorithm in ALGORITHMS {
        let signer = Signer::new("k", algorithm);
        let keys = set(&[signer.jwk()]);
        let token = signer.token(&claims());
        let verified = verify(&token, &keys, &settings("k"), NOW_SECONDS).expect("a good token");
        assert_eq!(&*verified.name, "ana");
        let principal = verified.principal.expect("it has roles");
        assert!(principal.scope(Rpc::Execute).is_all() && !principal.may_call(Rpc::Backup));
        // And by no other.
        for other in ALGORITHMS.into_iter().filter(|other| *other != algorithm) {
            let keys = set(&[Signer::new("k", other).jwk()]);
            let verdict = verify(&token, &keys, &settings("k"), NOW_SECONDS);
            assert_eq!(
                verdict,
                Err(Refused::UnknownKey),
                "{algorithm:?} by {other:?}"
            );
        }
    }
}

#[test]
fn the_algorithm_is_the_key_s_to_say() {
    // Given a key that does not say which of the algorithms of its kind it is for.
    let signer = Signer::new("k", Algorithm::RS256);
    let mut jwk = signer.jwk();
    jwk.as_object_mut().expect("an object").remove("alg");
    let keys = set(&[jwk]);
    // Then a token that claims another than it was signed by is not believed.
    for alg in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
        let token = signer.sign(&json!({"alg": alg, "kid": "k"}), &claims());
        let verdict = verify(&token, &keys, &settings("k"), NOW_SECONDS);
        assert_eq!(verdict, Err(Refused::Signature), "{alg}");
    }
    for alg in ["ES256", "ES384", "EdDSA"] {
        let token = signer.sign(&json!({"alg": alg, "kid": "k"}), &claims());
        let verdict = verify(&token, &keys, &settings("k"), NOW_SECONDS);
        assert_eq!(verdict, Err(Refused::UnknownKey), "{alg}");
    }
}

#[test]
fn nothing_that_needs_no_secret_to_make_is_believed() {
    // Given the public key in every form in which it could be taken for a secret.
    let jwk = signer().jwk();
    let coordinate = |name: &str| {
        let text = jwk[name].as_str().expect("a text");
        BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
    };
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let secrets = [
        jwk.to_string().into_bytes(),
        point,
        coordinate("x"),
        Vec::new(),
    ];
    // When somebody signs with it.
    for secret in secrets {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let header = json!({"alg": format!("{algorithm:?}"), "kid": "one"});
            let message = format!("{}.{}", part(&header), part(&claims()));
            let key = EncodingKey::from_secret(&secret);
            let signature = crypto::sign(message.as_bytes(), &key, algorithm).expect("signed");
            let verdict = judge_at(&format!("{message}.{signature}"), NOW_SECONDS);
            // Then it is not believed.
            assert_eq!(verdict, Err(Refused::Algorithm));
        }
    }
    for none in ["none", "None", "NONE", "nOnE", "", "HS1", "ES256K", "es256"] {
        for signature in ["", "AAAA"] {
            let header = json!({"alg": none, "kid": "one"});
            let token = format!("{}.{}.{signature}", part(&header), part(&claims()));
            assert_eq!(
                judge_at(&token, NOW_SECONDS),
                Err(Refused::Algorithm),
                "{none}"
            );
        }
    }
    let without = format!("{}.{}.", part(&json!({"kid": "one"})), part(&claims()));
    assert_eq!(judge_at(&without, NOW_SECONDS), Err(Refused::Malformed));
}

#[test]
fn what_is_not_text_is_no_token_even_where_nobody_reads_it() {
    // A token of these bytes in a place that is passed over; nobody has to sign it to be told.
    let header = b"{\"alg\":\"ES256\",\"kid\":\"one\",\"typ\":\"\xff\"}";
    let header = BASE64_URL_SAFE_NO_PAD.encode(header);
    let token = format!("{header}.{}.c2ln", part(&claims()));
    assert_eq!(judge_at(&token, NOW_SECONDS), Err(Refused::Malformed));
}

#[test]
fn a_key_that_came_with_the_token_is_not_believed() {
    // Given somebody with a key of their own, who sends it along.
    let other = Signer::new("other", Algorithm::EdDSA);
    for kid in ["other", "one"] {
        let header = json!({
            "alg": "EdDSA", "kid": kid, "jwk": other.jwk(), "jku": "https://example.org/keys",
        });
        let verdict = judge_at(&other.sign(&header, &claims()), NOW_SECONDS);
        assert_eq!(verdict, Err(Refused::UnknownKey));
    }
}

#[test]
fn a_token_that_was_changed_anywhere_is_not_believed() {
    let token = signer().token(&claims());
    let parts: Vec<_> = token.split('.').collect();
    let raised = part(&claims_with("strata_roles", json!(["operator"])));
    let changed = format!("{}.{raised}.{}", parts[0], parts[2]);
    assert_eq!(judge_at(&changed, NOW_SECONDS), Err(Refused::Signature));
    for (at, letter) in token.char_indices() {
        let other = if letter == 'A' { "B" } else { "A" };
        let mut changed = token.clone();
        changed.replace_range(at..=at, other);
        assert!(judge_at(&changed, NOW_SECONDS).is_err(), "{at}");
    }
    for end in 0..token.len() {
        assert!(judge_at(&token[..end], NOW_SECONDS).is_err(), "{end}");
    }
}

#[test]
fn the_id_selects_the_key_and_without_one_it_must_be_the_only_one() {
    let one = signer();
    let two = Signer::new("two", Algorithm::ES256);
    let header = json!({"alg": "ES256"});
    let token = one.sign(&header, &claims());
    assert!(judge_at(&token, NOW_SECONDS).is_ok());
    let both = set(&[one.jwk(), two.jwk()]);
    let verdict = verify(&token, &both, &settings("k"), NOW_SECONDS);
    assert_eq!(verdict, Err(Refused::UnknownKey));
    let unknown = one.sign(&json!({"alg": "ES256", "kid": "three"}), &claims());
    assert_eq!(judge_at(&unknown, NOW_SECONDS), Err(Refused::UnknownKey));
}

#[test]
fn what_a_header_demands_and_is_not_understood_refuses_the_token() {
    let header = json!({"alg": "ES256", "kid": "one", "crit": ["b64"], "b64": false});
    let verdict = judge_at(&signer().sign(&header, &claims()), NOW_SECONDS);
    assert_eq!(verdict, Err(Refused::Critical));
}

#[test]
fn only_the_issuer_is_believed_to_the_letter() {
    for issuer in [
        json!("https://id.example.org"),
        json!("https://id.example.org/ "),
        json!(["https://id.example.org/"]),
        json!(null),
        json!(""),
    ] {
        assert_eq!(judge(&claims_with("iss", issuer)), Err(Refused::Issuer));
    }
    assert_eq!(judge(&claims_without("iss")), Err(Refused::Issuer));
}

#[test]
fn only_what_is_meant_for_this_daemon_opens_it() {
    for audience in [json!("strata"), json!(["other", "strata"])] {
        assert!(judge(&claims_with("aud", audience)).is_ok());
    }
    for audience in [
        json!("Strata"),
        json!("other"),
        json!([]),
        json!(["other"]),
        json!([["strata"]]),
        json!({"strata": 1}),
        json!(null),
    ] {
        assert_eq!(judge(&claims_with("aud", audience)), Err(Refused::Audience));
    }
    assert_eq!(judge(&claims_without("aud")), Err(Refused::Audience));
}

#[test]
fn a_token_is_good_from_nbf_until_exp_with_the_leeway_and_not_a_second_more() {
    let token = signer().token(&claims());
    let (begins, ends) = (NOW_SECONDS - 3_600 - 60, NOW_SECONDS + 3_600 + 60);
    assert_eq!(judge_at(&token, begins - 1), Err(Refused::NotYet));
    assert!(judge_at(&token, begins).is_ok());
    let verified = judge_at(&token, ends - 1).expect("still good");
    assert_eq!(verified.until_seconds, ends);
    assert_eq!(judge_at(&token, ends), Err(Refused::Expired));
    assert_eq!(judge_at(&token, u64::MAX), Err(Refused::Expired));
    // Without leeway.
    let mut strict = settings("k");
    strict.leeway_seconds = 0;
    let keys = set(&[signer().jwk()]);
    let judge = |now| verify(&token, &keys, &strict, now);
    assert_eq!(judge(NOW_SECONDS - 3_601), Err(Refused::NotYet));
    assert!(judge(NOW_SECONDS - 3_600).is_ok() && judge(NOW_SECONDS + 3_599).is_ok());
    assert_eq!(judge(NOW_SECONDS + 3_600), Err(Refused::Expired));
}

#[test]
fn times_are_numbers_and_exp_must_be_there() {
    assert_eq!(judge(&claims_without("exp")), Err(claim("exp")));
    assert!(judge(&claims_without("nbf")).is_ok());
    for bad in [json!("1900000000"), json!(null), json!([1]), json!(true)] {
        assert_eq!(judge(&claims_with("exp", bad.clone())), Err(claim("exp")));
        assert_eq!(judge(&claims_with("nbf", bad)), Err(claim("nbf")));
    }
    for expired in [json!(-1), json!(-1e300), json!(0), json!(0.5)] {
        assert_eq!(judge(&claims_with("exp", expired)), Err(Refused::Expired));
    }
    for far in [json!(u64::MAX), json!(1e300), json!(1_900_000_000.5)] {
        assert!(judge(&claims_with("exp", far)).is_ok());
    }
    assert_eq!(
        judge(&claims_with("nbf", json!(1e300))),
        Err(Refused::NotYet)
    );
}

#[test]
fn a_subject_is_somebody_and_nobody_of_the_daemon_s_own() {
    for missing in [json!(null), json!(7), json!(["ana"])] {
        assert_eq!(judge(&claims_with("sub", missing)), Err(claim("sub")));
    }
    for reserved in ["stratad", "anonymous", "Stratad"] {
        let verdict = judge(&claims_with("sub", json!(reserved)));
        assert_eq!(verdict, Err(Refused::Subject(BadName::Reserved)));
    }
    for bad in ["", " ", "ana ", "a\nb", "a\u{202e}b", &"x".repeat(201)] {
        let verdict = judge(&claims_with("sub", json!(bad)));
        assert_eq!(verdict, Err(Refused::Subject(BadName::Form)), "{bad:?}");
    }
    for good in ["auth0|5f7c8ec7", "ana@example.org", "Ana María", "x"] {
        assert!(judge(&claims_with("sub", json!(good))).is_ok(), "{good}");
    }
}

#[test]
fn roles_and_plans_come_from_the_claims() {
    let mut both = claims_with("strata_roles", json!("reader  planner offline_access"));
    both["strata_plans"] = json!(["growth-*", "ops"]);
    let principal = judge(&both).expect("good").principal.expect("roles");
    let scope = principal.scope(Rpc::Execute);
    assert!(scope.holds("growth-2") && scope.holds("ops") && !scope.holds("ops-2"));
    assert_eq!(principal.grants().len(), 2);
    // Names that are no roles give none, and a list without roles is not no list.
    let none = judge(&claims_with("strata_roles", json!(["admin"]))).expect("good");
    assert_eq!(none.principal.map(|it| it.grants().len()), Some(0));
    let absent = judge(&claims_without("strata_roles")).expect("good");
    assert_eq!(absent.principal, None);
    // What should narrow and cannot is not passed over.
    let mut narrowing = claims_without("strata_roles");
    narrowing["strata_plans"] = json!("growth-*");
    assert_eq!(judge(&narrowing), Err(claim("strata_roles")));
    for bad in [
        json!(["Growth"]),
        json!(7),
        json!([7]),
        json!({}),
        json!(null),
    ] {
        assert_eq!(
            judge(&claims_with("strata_plans", bad)),
            Err(claim("strata_plans"))
        );
    }
    let nothing = judge(&claims_with("strata_plans", json!([]))).expect("good");
    assert!(
        !nothing
            .principal
            .expect("roles")
            .scope(Rpc::GetPlan)
            .holds("growth")
    );
    for bad in [
        json!(7),
        json!({}),
        json!([7]),
        json!(null),
        json!(["planner", null]),
    ] {
        assert_eq!(
            judge(&claims_with("strata_roles", bad)),
            Err(claim("strata_roles"))
        );
    }
}

#[test]
fn claims_may_lie_deeper() {
    let mut settings = settings("k");
    settings.roles_claim = "/realm_access/roles".to_owned();
    settings.plans_claim = "https://strata.example.org/plans".to_owned();
    let mut claims = claims_without("strata_roles");
    claims["realm_access"] = json!({"roles": ["reader"]});
    claims["https://strata.example.org/plans"] = json!("growth");
    let token = signer().token(&claims);
    let verdict = verify(&token, &set(&[signer().jwk()]), &settings, NOW_SECONDS);
    let principal = verdict.expect("good").principal.expect("roles");
    assert!(principal.scope(Rpc::GetPlan).holds("growth"));
    assert!(!principal.scope(Rpc::GetPlan).holds("ops"));
}

#[test]
fn a_set_gives_the_keys_for_signatures_and_passes_over_the_others() {
    let good = signer().jwk();
    let with = |name: &str, value: Value| {
        let mut jwk = signer().jwk();
        jwk[name] = value;
        jwk
    };
    let rsa = |bytes: usize| {
        let n = BASE64_URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
        json!({"kty": "RSA", "kid": "one", "n": n, "e": "AQAB"})
    };
    let useless = [
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
        with("alg", json!("ES384")),
        with("alg", json!("ECDH-ES")),
        with("crv", json!("P-521")),
        with("crv", json!("secp256k1")),
        with("crv", json!("P-384")),
        with("x", json!("AAAA")),
        with("x", json!("!")),
        with("kty", json!("oct")),
        json!({"kty": "oct", "kid": "one", "k": "c2VjcmV0"}),
        json!({"kty": "OKP", "crv": "X25519", "kid": "one", "x": "AAAA"}),
        json!({"kty": "AKP", "kid": "one"}),
        rsa(255),
        rsa(513),
        json!({}),
        json!(7),
        Value::Null,
    ];
    for jwk in &useless {
        let text = testing::set_text(std::slice::from_ref(jwk));
        let parsed = KeySet::parse(text.as_bytes());
        assert_eq!(parsed.err(), Some(BadKeySet::NoKey), "{jwk}");
    }
    assert!(KeySet::parse(testing::set_text(&[rsa(256)]).as_bytes()).is_ok());
    // Beside them the good one is found.
    let all: Vec<_> = useless.into_iter().chain([good]).collect();
    let verdict = verify(
        &signer().token(&claims()),
        &set(&all),
        &settings("k"),
        NOW_SECONDS,
    );
    assert!(verdict.is_ok());
}

#[test]
fn a_set_that_is_none_is_told_apart_from_one_that_is_too_large() {
    for text in ["", "{}", "[]", "{\"keys\": 7}", "<html>", "{\"keys\": []"] {
        assert_eq!(
            KeySet::parse(text.as_bytes()).err(),
            Some(BadKeySet::Form),
            "{text}"
        );
    }
    let many = vec![signer().jwk(); 101];
    let text = testing::set_text(&many);
    assert_eq!(
        KeySet::parse(text.as_bytes()).err(),
        Some(BadKeySet::TooLarge)
    );
    let long = vec![b' '; 257 << 10];
    assert_eq!(KeySet::parse(&long).err(), Some(BadKeySet::TooLarge));
}

#[test]
fn keys_come_from_a_file_or_over_what_nobody_can_change_on_the_way() {
    for (text, is_url) in [
        ("keys.json", false),
        ("/etc/strata/keys.json", false),
        ("https://id.example.org/keys", true),
        ("http://127.0.0.1:8080/keys", true),
        ("http://localhost/keys", true),
        ("http://[::1]:80/keys", true),
    ] {
        let source: Source = text.parse().expect(text);
        assert_eq!(matches!(source, Source::Url(_)), is_url, "{text}");
        assert_eq!(source.to_string(), text);
    }
    for (text, bad) in [
        ("http://id.example.org/keys", BadSource::NotHttps),
        ("http://127.0.0.1.example.org/keys", BadSource::NotHttps),
        ("http://localhost.example.org/", BadSource::NotHttps),
        ("ftp://localhost/keys", BadSource::NotHttps),
        ("https://ana:secret@id.example.org/", BadSource::Secret),
        ("https://", BadSource::NotAUrl),
        ("https://a b/", BadSource::NotAUrl),
    ] {
        assert_eq!(text.parse::<Source>(), Err(bad), "{text}");
    }
}

proptest! {
    // A signature takes milliseconds to check where nothing is optimized.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_sent_is_refused(text in "[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}|\\PC{0,80}") {
        prop_assert!(judge_at(&text, NOW_SECONDS).is_err());
    }

    #[test]
    fn whatever_claims_a_key_signs_they_are_judged(
        name in "iss|aud|sub|exp|nbf|strata_roles|strata_plans",
        text in "\\PC{0,20}",
        number: f64,
        kind in 0..5,
    ) {
        let value = match kind {
            0 => json!(text),
            1 => json!(number),
            2 => json!([text, number]),
            3 => json!({ text: number }),
            _ => Value::Null,
        };
        if let Ok(verified) = judge(&claims_with(&name, value)) {
            prop_assert!(verified.until_seconds > NOW_SECONDS);
            prop_assert_eq!(check_name(&verified.name), Ok(()));
        }
    }

    #[test]
    fn any_bytes_are_a_set_or_refused(bytes: Vec<u8>) {
        prop_assert!(KeySet::parse(&bytes).is_err());
    }
}
