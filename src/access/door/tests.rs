//! Who callers are, by what they show.

use std::{fmt::Write as _, fs, path::Path};

use jsonwebtoken::Algorithm;
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use serde_json::{Value, json};

use super::*;
use crate::access::{
    jwt::testing::{Signer, set_text, settings},
    rights::Rpc,
    token::{NoToken, Token},
};

const ACCESS: &str = r#"
[[principal]]
name = "ana"
roles = ["planner"]
plans = ["growth-*"]
token_sha256 = ["ANA", { sha256 = "OLD", expires = 2020-01-01T00:00:00Z }, { sha256 = "NEW", expires = 2999-01-01T00:00:00Z }]
certificate = "ana@example.org"

[[principal]]
name = "robot"
roles = ["operator"]
certificate = "spiffe://example.org/robot"

[[principal]]
name = "ben"
roles = ["auditor"]
certificate = "Ben"
"#;

/// A daemon that knows people by tokens, certificates and signed tokens.
struct Fixture {
    access: Arc<Access>,
    ana: Token,
    old: Token,
    new: Token,
    signer: Signer,
    _dir: tempfile::TempDir,
}

async fn caller(access: &Arc<Access>, shown: Credentials<'_>) -> Result<Principal, Rejected> {
    let lease = access.authenticate(shown).await?;
    Ok(lease.principal())
}

fn token() -> Token {
    Token::random().expect("random bytes")
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().expect("a directory");
    let (ana, old, new) = (token(), token(), token());
    let text = ACCESS
        .replace("ANA", &ana.hash().to_string())
        .replace("OLD", &old.hash().to_string())
        .replace("NEW", &new.hash().to_string());
    let file = dir.path().join("access.toml");
    fs::write(&file, text).expect("written");
    let signer = Signer::new("k", Algorithm::EdDSA);
    let keys = dir.path().join("keys.json");
    fs::write(&keys, set_text(&[signer.jwk()])).expect("written");
    let access = Access::open(&Settings {
        access_file: Some(file),
        jwt: Some(settings(keys.to_str().expect("UTF-8"))),
    });
    Fixture {
        access: access.expect("all is right"),
        ana,
        old,
        new,
        signer,
        _dir: dir,
    }
}

impl Fixture {
    async fn by_token(&self, token: &str) -> Result<Principal, Rejected> {
        let shown = Credentials {
            bearer: Some(token),
            certificate: None,
            ..Credentials::default()
        };
        caller(&self.access, shown).await
    }

    async fn by_certificate(&self, names: &CertificateNames) -> Result<Principal, Rejected> {
        let shown = Credentials {
            bearer: None,
            certificate: Some(names),
            ..Credentials::default()
        };
        caller(&self.access, shown).await
    }
}

fn claims(more: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://id.example.org/",
        "aud": "strata",
        "sub": "ben",
        "exp": now_seconds() + 600,
    });
    for (name, value) in more.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims
}

/// The names in a certificate, as the handshake hands it over.
fn names(common: Option<&str>, others: Vec<SanType>) -> Result<CertificateNames, impl Sized> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(common) = common {
        parameters
            .distinguished_name
            .push(DnType::CommonName, common);
    }
    parameters.subject_alt_names = others;
    let key = KeyPair::generate().expect("a key");
    let certificate = parameters.self_signed(&key).expect("a certificate");
    CertificateNames::from_der(certificate.der())
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ASCII"))
}

fn email(text: &str) -> SanType {
    SanType::Rfc822Name(text.try_into().expect("ASCII"))
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().expect("ASCII"))
}

#[tokio::test]
async fn a_daemon_that_is_told_of_nobody_asks_nobody() {
    for access in [
        Access::open(&Settings::default()).expect("nothing to read"),
        Access::of_anyone(),
    ] {
        assert!(!access.is_required());
        let shown = Credentials {
            bearer: Some("strata_nonsense"),
            certificate: None,
            ..Credentials::default()
        };
        for shown in [shown, Credentials::default()] {
            assert_eq!(caller(&access, shown).await, Ok(Principal::anonymous()));
        }
    }
}

#[tokio::test]
async fn whoever_holds_a_token_is_its_principal() {
    let fixture = fixture();
    assert!(fixture.access.is_required());
    for token in [&fixture.ana, &fixture.new] {
        let ana = fixture.by_token(token.reveal()).await.expect("her token");
        assert_eq!(&**ana.name(), "ana");
        let scope = ana.scope(Rpc::Execute);
        assert!(scope.holds("growth-1") && !scope.holds("ops"));
    }
}

#[tokio::test]
async fn whoever_shows_nothing_or_what_is_not_known_is_refused_by_what_is_wrong() {
    let fixture = fixture();
    let nothing = caller(&fixture.access, Credentials::default()).await;
    assert_eq!(nothing, Err(Rejected::Missing));
    let unknown = fixture.by_token(token().reveal()).await;
    assert_eq!(unknown, Err(Rejected::UnknownToken));
    let expired = fixture.by_token(fixture.old.reveal()).await;
    assert_eq!(expired, Err(Rejected::Expired));
    // Not the hash that stands in the file.
    let hash = fixture.ana.hash().to_string();
    for text in [&*hash, "", "ana", &format!("strata_{hash}")] {
        let refused = fixture.by_token(text).await;
        assert_eq!(refused, Err(Rejected::NoToken(NoToken::Form)), "{text}");
    }
    let cut = &fixture.ana.reveal()[..fixture.ana.reveal().len() - 1];
    let wrong = format!("{cut}{}", i32::from(fixture.ana.reveal().ends_with('0')));
    let refused = fixture.by_token(&wrong).await;
    assert_eq!(refused, Err(Rejected::NoToken(NoToken::Checksum)));
}

#[tokio::test]
async fn a_signed_token_has_its_own_roles_or_those_of_the_file() {
    let fixture = fixture();
    let own = claims(&json!({"sub": "eve", "strata_roles": "reader", "strata_plans": "hr"}));
    let eve = fixture
        .by_token(&fixture.signer.token(&own))
        .await
        .expect("good");
    assert_eq!(&**eve.name(), "eve");
    assert!(eve.scope(Rpc::GetPlan).holds("hr") && !eve.scope(Rpc::GetPlan).holds("ops"));
    let of_file = fixture
        .by_token(&fixture.signer.token(&claims(&json!({}))))
        .await;
    let ben = of_file.expect("good");
    assert!(ben.scope(Rpc::ReadRaw).is_all() && !ben.may_call(Rpc::Execute));
    // The claims count, also where the file says otherwise.
    let none = fixture.signer.token(&claims(&json!({"strata_roles": []})));
    assert!(
        !fixture
            .by_token(&none)
            .await
            .expect("good")
            .may_call(Rpc::GetPlan)
    );
    let nobody = fixture.signer.token(&claims(&json!({"sub": "eve"})));
    let refused = fixture.by_token(&nobody).await;
    assert_eq!(refused, Err(Rejected::Jwt(Refused::NoRoles)));
    let expired = fixture
        .signer
        .token(&claims(&json!({"exp": now_seconds() - 61})));
    let refused = fixture.by_token(&expired).await;
    assert_eq!(refused, Err(Rejected::Jwt(Refused::Expired)));
}

#[tokio::test]
async fn a_daemon_without_an_issuer_takes_no_signed_tokens() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("access.toml");
    fs::write(&file, "").expect("written");
    let access = Access::open(&Settings {
        access_file: Some(file),
        jwt: None,
    });
    let token = Signer::new("k", Algorithm::EdDSA).token(&claims(&json!({})));
    let shown = Credentials {
        bearer: Some(&token),
        certificate: None,
        ..Credentials::default()
    };
    let refused = caller(&access.expect("right"), shown).await;
    assert_eq!(refused, Err(Rejected::NoIssuer));
}

#[tokio::test]
async fn a_certificate_names_its_principal() {
    let fixture = fixture();
    for (common, others, expected) in [
        (None, vec![uri("spiffe://example.org/robot")], Some("robot")),
        (
            None,
            vec![dns("example.org"), email("ana@example.org")],
            Some("ana"),
        ),
        (Some("Ben"), vec![], Some("ben")),
        // The common name counts only where there is no other.
        (Some("Ben"), vec![dns("example.org")], None),
        (Some("eve"), vec![], None),
        (Some("ben"), vec![], None),
    ] {
        let names = names(common, others).ok().expect("names");
        let principal = fixture.by_certificate(&names).await;
        let found = principal.as_ref().map(|it| it.name().to_string());
        let expected = expected
            .map(str::to_owned)
            .ok_or(&Rejected::UnknownCertificate);
        assert_eq!(found, expected, "{names:?}");
    }
    let both = vec![email("ana@example.org"), uri("spiffe://example.org/robot")];
    let refused = fixture
        .by_certificate(&names(None, both).ok().expect("names"))
        .await;
    assert_eq!(refused, Err(Rejected::AmbiguousCertificate));
}

#[test]
fn a_certificate_without_names_names_nobody() {
    assert!(names(None, Vec::new()).is_err());
    let address = SanType::IpAddress([127, 0, 0, 1].into());
    assert!(names(None, vec![address]).is_err());
    for bytes in [&b""[..], b"0", b"\x30\x03\x02\x01\x00", &[0xff; 100]] {
        assert!(CertificateNames::from_der(bytes).is_err());
    }
}

#[tokio::test]
async fn of_a_token_and_a_certificate_the_token_decides() {
    let fixture = fixture();
    let robot = names(None, vec![uri("spiffe://example.org/robot")])
        .ok()
        .expect("names");
    let both = |token| Credentials {
        bearer: Some(token),
        certificate: Some(&robot),
        ..Credentials::default()
    };
    let ana = caller(&fixture.access, both(fixture.ana.reveal())).await;
    assert_eq!(&**ana.expect("hers").name(), "ana");
    // Also where it is worth nothing: whoever sends it means it.
    let refused = caller(&fixture.access, both(fixture.old.reveal())).await;
    assert_eq!(refused, Err(Rejected::Expired));
}

#[tokio::test]
async fn a_token_that_is_revoked_is_worthless_without_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("access.toml");
    let token = token();
    let principal = "[[principal]]\nname = \"ana\"\nroles = [\"reader\"]\n";
    let with = format!("{principal}token_sha256 = [\"{}\"]\n", token.hash());
    fs::write(&file, &with).expect("written");
    let access = Access::open(&Settings {
        access_file: Some(file.clone()),
        jwt: None,
    })
    .expect("right");
    let shown = Credentials {
        bearer: Some(token.reveal()),
        certificate: None,
        ..Credentials::default()
    };
    assert!(access.authenticate(shown).await.is_ok());
    fs::write(&file, principal).expect("written");
    while caller(&access, shown).await != Err(Rejected::UnknownToken) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nothing_that_can_be_shown_holds_a_credential() {
    let fixture = fixture();
    let signed = fixture
        .signer
        .token(&claims(&json!({"strata_roles": ["reader"]})));
    let bad = format!("{signed}x");
    let mut said = String::new();
    for token in [fixture.ana.reveal(), fixture.old.reveal(), &signed, &bad] {
        let shown = Credentials {
            bearer: Some(token),
            certificate: None,
            ..Credentials::default()
        };
        let verdict = fixture.access.authenticate(shown).await;
        write!(said, "{shown:?} {verdict:?} ").ok();
        if let Err(rejected) = verdict {
            said += &rejected.to_string();
        }
    }
    write!(said, "{:?} {:?}", fixture.access, fixture.ana).ok();
    let secrets = [
        fixture.ana.reveal(),
        fixture.old.reveal(),
        fixture.new.reveal(),
    ];
    let parts = signed.split('.');
    for secret in secrets.into_iter().chain(parts) {
        let secret = secret.trim_start_matches("strata_");
        assert!(!said.contains(secret), "{secret} is shown in {said}");
    }
}

#[test]
fn what_is_wrong_at_the_start_is_told_with_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("access.toml");
    fs::write(&file, "\n[[principal]]\nname = \"ana\"\n").expect("written");
    let open = |file: &Path| {
        Access::open(&Settings {
            access_file: Some(file.to_owned()),
            jwt: None,
        })
    };
    let refused = open(&file).expect_err("no roles").to_string();
    assert!(
        refused.contains("access.toml: line 2: no roles"),
        "{refused}"
    );
    let refused = open(&dir.path().join("none"))
        .expect_err("no file")
        .to_string();
    assert!(refused.contains("/none"), "{refused}");
}

#[tokio::test]
async fn what_a_caller_may_is_what_it_would_be_told_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("access.toml");
    let token = token();
    let with = |roles: &str| {
        let known = format!("token_sha256 = [\"{}\"]\n", token.hash());
        format!("[[principal]]\nname = \"ana\"\nroles = [\"{roles}\"]\n{known}")
    };
    fs::write(&file, with("reader")).expect("written");
    let access = Access::open(&Settings {
        access_file: Some(file.clone()),
        jwt: None,
    })
    .expect("right");
    let shown = Credentials {
        bearer: Some(token.reveal()),
        certificate: None,
        is_doubtful: false,
    };
    let lease = access.authenticate(shown).await.expect("known");
    assert!(lease.may(Rpc::Watch, "growth") && !lease.may(Rpc::Execute, "growth"));
    fs::write(&file, with("planner")).expect("written");
    lease.is_in_doubt().await;
    let planner = lease.renew().await.expect("known");
    assert!(planner.may(Rpc::Execute, "growth") && lease.may(Rpc::Execute, "growth"));
    fs::write(&file, "# nobody\n").expect("written");
    lease.is_in_doubt().await;
    assert_eq!(lease.renew().await, Err(Rejected::UnknownToken));
}

#[tokio::test]
async fn what_a_caller_may_ends_when_its_token_does() {
    let fixture = fixture();
    let brief = claims(&json!({
        "strata_roles": ["reader"],
        "exp": now_seconds() - settings("keys").leeway_seconds + 2,
    }));
    let token = fixture.signer.token(&brief);
    let shown = Credentials {
        bearer: Some(&token),
        certificate: None,
        is_doubtful: false,
    };
    let lease = fixture.access.authenticate(shown).await.expect("good");
    assert!(lease.renew().await.is_ok());
    lease.is_in_doubt().await;
    assert_eq!(lease.renew().await, Err(Rejected::Jwt(Refused::Expired)));
}
