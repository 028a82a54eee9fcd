//! How keys are fetched, from an issuer on this machine that says what a test wants.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::FutureExt as _;
use jsonwebtoken::Algorithm;

use super::*;
use crate::access::jwt::testing::{NOW_SECONDS, Signer, claims, set_text, settings};

/// An issuer whose answer to every request is what `answer` holds; it counts them.
struct Issuer {
    address: SocketAddr,
    answer: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    fn start(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let issuer = Self {
            address: listener.local_addr().expect("an address"),
            answer: Arc::new(Mutex::new(answer.to_owned())),
            asked: Arc::new(AtomicUsize::new(0)),
        };
        let (answer, asked) = (Arc::clone(&issuer.answer), Arc::clone(&issuer.asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let mut request = [0; 4_096];
                // A request without a body comes in one piece from this machine.
                let read = stream.read(&mut request).unwrap_or(0);
                assert!(request[..read].starts_with(b"GET /keys "));
                asked.fetch_add(1, Ordering::SeqCst);
                let answer = answer.lock().expect("no test failed").clone();
                stream.write_all(answer.as_bytes()).ok();
            }
        });
        issuer
    }

    fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    fn says(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock().expect("no test failed"));
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Answers whoever connects with what is no TLS.
fn talking_plainly() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let accepting = listener.try_clone().expect("a socket");
    thread::spawn(move || {
        for stream in accepting.incoming() {
            let mut stream = stream.expect("a connection");
            stream.write_all(ok("{}").as_bytes()).ok();
        }
    });
    listener
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn set_of(signers: &[&Signer]) -> String {
    let jwks: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
    ok(&set_text(&jwks))
}

fn provider(issuer: &Issuer, ask: Duration) -> Provider {
    let hour = Duration::from_secs(3_600);
    let pace = Pace {
        every: hour,
        retry: hour,
        ask,
        timeout: Duration::from_secs(10),
    };
    Provider::open_at(settings(&issuer.url()), pace, Changes::default()).expect("a thread")
}

fn first() -> Signer {
    Signer::new("first", Algorithm::ES256)
}

fn second() -> Signer {
    Signer::new("second", Algorithm::EdDSA)
}

#[tokio::test]
async fn the_first_caller_waits_for_the_keys_and_the_next_ones_do_not() {
    let issuer = Issuer::start(&set_of(&[&first()]));
    let provider = provider(&issuer, Duration::ZERO);
    let token = first().token(&claims());
    for _ in 0..3 {
        let verified = provider
            .verify(&token, false, NOW_SECONDS)
            .await
            .expect("a good token");
        assert_eq!(&*verified.name, "ana");
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_token_of_a_new_key_is_believed_at_once() {
    let issuer = Issuer::start(&set_of(&[&first()]));
    let provider = provider(&issuer, Duration::ZERO);
    let old = first().token(&claims());
    assert!(provider.verify(&old, false, NOW_SECONDS).await.is_ok());
    // When the issuer changes its key.
    issuer.says(&set_of(&[&second()]));
    // Then tokens of the new one are believed, and those of the old one no longer, seen before or not.
    let new = second().token(&claims());
    assert!(provider.verify(&new, false, NOW_SECONDS).await.is_ok());
    let verdict = provider.verify(&old, false, NOW_SECONDS).await;
    assert_eq!(verdict.err(), Some(Refused::UnknownKey));
}

#[tokio::test]
async fn keys_that_are_not_known_lead_to_no_more_fetches_than_the_pace_allows() {
    let issuer = Issuer::start(&set_of(&[&first()]));
    let provider = provider(&issuer, Duration::from_secs(3_600));
    for _ in 0..100 {
        let verdict = provider
            .verify(&second().token(&claims()), false, NOW_SECONDS)
            .await;
        assert_eq!(verdict.err(), Some(Refused::UnknownKey));
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn callers_who_wait_at_once_wait_for_one_fetch() {
    let issuer = Issuer::start(&set_of(&[&first()]));
    let provider = Arc::new(provider(&issuer, Duration::from_secs(3_600)));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let provider = Arc::clone(&provider);
            tokio::spawn(async move {
                provider
                    .verify(&first().token(&claims()), false, NOW_SECONDS)
                    .await
                    .is_ok()
            })
        })
        .collect();
    for call in calls {
        assert!(call.await.expect("no panic"));
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_doubtful_token_waits_for_its_turn_and_for_no_keys() {
    let issuer = Issuer::start(&set_of(&[&first()]));
    let provider = provider(&issuer, Duration::ZERO);
    let seen = first().token(&claims());
    let verify = async |token: &str| provider.verify(token, true, NOW_SECONDS).await;
    assert!(provider.verify(&seen, false, NOW_SECONDS).await.is_ok());

    let mut claims = claims();
    claims["jti"] = "another".into();
    let unseen = first().token(&claims);
    {
        let turn = provider.doubtful.try_acquire().expect("nobody's turn");
        assert!(verify(&seen).await.is_ok(), "it was verified before");
        let verdict = verify(&unseen).await;
        assert_eq!(verdict.err(), Some(Refused::Doubtful), "no turn came");
        let line = provider.in_line.try_acquire_many(64).expect("nobody waits");
        let verdict = verify(&unseen).now_or_never().expect("not let in line");
        assert_eq!(verdict.err(), Some(Refused::Doubtful), "the line is full");
        drop(line);
        let mut waiting = pin!(verify(&unseen));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(turn);
        assert!(waiting.await.is_ok(), "its turn has come");
    }
    // Of a new key it is believed as soon as that was fetched, which it asks for.
    issuer.says(&set_of(&[&second()]));
    let new = second().token(&claims);
    let verdict = verify(&new).await;
    assert_eq!(verdict.err(), Some(Refused::UnknownKey));
    let fetched = async {
        while verify(&new).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let fetched = tokio::time::timeout(Duration::from_secs(60), fetched).await;
    assert!(fetched.is_ok(), "it is believed");
}

#[tokio::test]
async fn keys_that_came_since_they_were_looked_at_are_looked_at_and_waited_for_no_more() {
    let issuer = Issuer::start(&set_of(&[&first()]));
    let provider = provider(&issuer, Duration::from_secs(3_600));
    let before = provider.rounds();
    let token = first().token(&claims());
    assert!(provider.verify(&token, false, NOW_SECONDS).await.is_ok());
    // Whether it was asked before the fetch ended or is asked after it.
    assert_eq!(provider.fetch_since(0).await, Ok(()));
    assert_eq!(provider.fetch_since(1).await, Err(Refused::UnknownKey));
    assert!(before <= 1 && provider.rounds() == 1);
}

/// An issuer that takes questions and answers none of them; how many it took.
fn stalled() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            held.push(stream);
        }
    });
    (address, asked)
}

#[tokio::test]
async fn no_more_wait_for_keys_than_may_and_the_rest_is_told_at_once() {
    let (address, asked) = stalled();
    let hour = Duration::from_secs(3_600);
    let pace = Pace {
        every: hour,
        retry: hour,
        ask: hour,
        // So long that all have asked by then, also on a slow machine.
        timeout: Duration::from_secs(8),
    };
    let settings = settings(&format!("http://{address}/keys"));
    let provider =
        Arc::new(Provider::open_at(settings, pace, Changes::default()).expect("a thread"));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..3 * WAITING_MAX {
        let provider = Arc::clone(&provider);
        let token = first().token(&claims());
        calls.spawn(async move { provider.verify(&token, false, NOW_SECONDS).await.err() });
    }
    let verdicts = calls.join_all().await;
    let count = |as_: &Refused| {
        verdicts
            .iter()
            .filter(|it| it.as_ref() == Some(as_))
            .count()
    };
    assert_eq!(count(&Refused::KeysAwaited), 2 * WAITING_MAX);
    assert_eq!(count(&Refused::UnknownKey), WAITING_MAX);
    // Then there is room to wait again, and nothing to wait for.
    let token = first().token(&claims());
    let verdict = provider.verify(&token, false, NOW_SECONDS).await;
    assert_eq!(verdict.err(), Some(Refused::UnknownKey));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_leave_the_old_ones_in_force() {
    let issuer = Issuer::start(&set_of(&[&first()]));
    let provider = provider(&issuer, Duration::ZERO);
    let old = first().token(&claims());
    assert!(provider.verify(&old, false, NOW_SECONDS).await.is_ok());
    let elsewhere = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{}/keys\r\ncontent-length: 0\r\n\r\n",
        Issuer::start(&set_of(&[&second()])).address
    );
    let large = format!("{{\"keys\": [{}]}}", " ".repeat(300 << 10));
    for broken in [
        "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"keys\": [".to_owned(),
        "nonsense".to_owned(),
        ok("<html>"),
        ok("{\"keys\": []}"),
        ok(&large),
        elsewhere,
    ] {
        issuer.says(&broken);
        let asked = issuer.asked();
        let verdict = provider
            .verify(&second().token(&claims()), false, NOW_SECONDS)
            .await;
        assert_eq!(verdict.err(), Some(Refused::UnknownKey));
        assert!(issuer.asked() > asked, "{broken}");
        let other = first().token(&serde_json::json!({"new": true}));
        let verdict = provider.verify(&other, false, NOW_SECONDS).await;
        assert_eq!(verdict.err(), Some(Refused::Issuer), "{broken}");
    }
}

#[tokio::test]
async fn a_token_that_was_verified_is_refused_when_it_expires() {
    let issuer = Issuer::start(&set_of(&[&first()]));
    let provider = provider(&issuer, Duration::ZERO);
    let token = first().token(&claims());
    let verified = provider
        .verify(&token, false, NOW_SECONDS)
        .await
        .expect("good");
    let ends = verified.until_seconds;
    assert!(provider.verify(&token, false, ends - 1).await.is_ok());
    for now in [ends, ends + 1] {
        assert_eq!(
            provider.verify(&token, false, now).await.err(),
            Some(Refused::Expired)
        );
    }
}

#[tokio::test]
async fn a_set_in_a_file_is_read_at_the_start_and_must_be_right() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("keys.json");
    let open = || Provider::open(settings(path.to_str().expect("UTF-8")), Changes::default());
    assert!(matches!(open(), Err(FileError::Unreadable { .. })));
    std::fs::write(&path, "{}").expect("written");
    assert!(matches!(open(), Err(FileError::Wrong { .. })));
    std::fs::write(&path, set_text(&[first().jwk()])).expect("written");
    let provider = open().expect("right");
    assert!(
        provider
            .verify(&first().token(&claims()), false, NOW_SECONDS)
            .await
            .is_ok()
    );
    let verdict = provider
        .verify(&second().token(&claims()), false, NOW_SECONDS)
        .await;
    assert_eq!(verdict.err(), Some(Refused::UnknownKey));
}

#[tokio::test]
async fn nothing_that_is_kept_of_a_token_is_shown() {
    let issuer = Issuer::start(&set_of(&[&first()]));
    let provider = provider(&issuer, Duration::ZERO);
    let token = first().token(&claims());
    provider
        .verify(&token, false, NOW_SECONDS)
        .await
        .expect("good");
    let shown = format!("{provider:?}");
    for part in token.split('.') {
        assert!(!shown.contains(part), "{shown}");
    }
}

#[test]
fn what_does_not_speak_tls_gives_no_keys_over_https() {
    let issuer = talking_plainly();
    let url = format!("https://{}/keys", issuer.local_addr().expect("an address"));
    let refused = get(&url, None, Duration::from_secs(10)).expect_err("it is no TLS");
    assert!(matches!(refused, FetchError::Http(_)), "{refused}");
}
