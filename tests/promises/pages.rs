//! Pages of other origins: what a browser asks before it lets one call, and what such a page may read.

use tempfile::{TempDir, tempdir};
use tonic::codegen::http::HeaderMap;

use crate::{
    daemon::{AccessFile, Daemon},
    language::reading,
    raw::{self, WEB},
};

const APP: &str = "https://app.example.com";
const PATH: &str = "/strata.v1.PlanService/GetPlan";

async fn serving(origins: &str) -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let access = AccessFile::new(dir.path()).arguments();
    let arguments = [&access[0], &access[1], "--cors-origins", origins];
    let daemon = Daemon::start_with(&dir.path().join("data"), &arguments).await;
    (dir, daemon)
}

/// What a browser is told that asks whether a page may call.
async fn asked(daemon: &Daemon, origin: &str) -> (String, HeaderMap) {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,content-type,x-grpc-web",
        ),
    ];
    raw::over_http1(daemon, "OPTIONS", PATH, &headers).await
}

/// What a page gets for a call without credentials.
async fn called(daemon: &Daemon, origin: &str) -> HeaderMap {
    let headers = [
        ("origin", origin),
        ("content-type", WEB),
        ("content-length", "0"),
    ];
    raw::over_http1(daemon, "POST", PATH, &headers).await.1
}

fn listed<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value
        .unwrap_or_default()
        .split(',')
        .filter(|it| !it.is_empty())
        .collect()
}

#[tokio::test]
async fn a_page_of_a_listed_origin_is_let_in_without_credentials_to_ask() {
    let (_dir, daemon) = serving(&format!("http://localhost:5173,{APP}")).await;
    for origin in [APP, "http://localhost:5173"] {
        let (line, headers) = asked(&daemon, origin).await;
        assert_eq!(line, "HTTP/1.1 200 OK");
        assert_eq!(listed(&headers, "access-control-allow-origin"), [origin]);
        let allowed = listed(&headers, "access-control-allow-headers");
        for name in [
            "authorization",
            "content-type",
            "x-grpc-web",
            "grpc-timeout",
            "traceparent",
        ] {
            assert!(allowed.contains(&name), "{allowed:?}");
        }
        assert_eq!(listed(&headers, "access-control-allow-methods"), ["POST"]);
    }
}

#[tokio::test]
async fn a_page_can_read_why_it_was_refused() {
    for (origins, allowed) in [(APP, APP), ("*", "*")] {
        let (_dir, daemon) = serving(origins).await;
        let headers = called(&daemon, APP).await;
        assert_eq!(listed(&headers, "access-control-allow-origin"), [allowed]);
        let exposed = listed(&headers, "access-control-expose-headers");
        for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
            assert!(exposed.contains(&name), "{exposed:?}");
        }
        let status = tonic::Status::from_header_map(&headers).expect("a status");
        assert_eq!(reading(&status).reason, "CREDENTIALS_REQUIRED");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_not_let_in() {
    for origins in ["", "https://other.example.com"] {
        let (_dir, daemon) = serving(origins).await;
        for origin in [APP, "null", "https://other.example.com.evil.example"] {
            let (_, headers) = asked(&daemon, origin).await;
            assert_eq!(headers.get("access-control-allow-origin"), None, "{origin}");
            let headers = called(&daemon, origin).await;
            assert_eq!(headers.get("access-control-allow-origin"), None, "{origin}");
        }
        if origins.is_empty() {
            let (_, headers) = asked(&daemon, APP).await;
            let any = headers
                .keys()
                .any(|it| it.as_str().starts_with("access-control"));
            assert!(!any, "{headers:?}");
        }
    }
}

#[tokio::test]
async fn a_page_whose_name_leads_here_is_no_page_of_this_machine() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    for (origin, expected) in [
        ("http://evil.example:7421", "NOT_PERMITTED"),
        ("http://localhost:7421", "PLAN_NOT_FOUND"),
    ] {
        let message = strata::proto::GetPlanRequest {
            plan_id: "growth".to_owned(),
            ..Default::default()
        };
        let message = prost::Message::encode_to_vec(&message);
        let length = (message.len() + 5).to_string();
        let headers = [
            ("origin", origin),
            ("content-type", WEB),
            ("content-length", &length),
        ];
        let framed = [&[0, 0, 0, 0, 8][..], &message].concat();
        let text = String::from_utf8(framed).expect("text");
        let headers = raw::over_http1_with(&daemon, "POST", PATH, &headers, &text)
            .await
            .1;
        let status = tonic::Status::from_header_map(&headers).expect("a status");
        assert_eq!(reading(&status).reason, expected, "{origin}");
    }
}
