//! What is told of the daemon's work, and to whom: calls, traces, metrics.

use std::path::PathBuf;

use super::{
    Problem,
    keys::{Form, Key},
    value,
};
use crate::gateway::calls::CallLog;

/// What is told of the daemon's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeing {
    /// Which calls have a line in the log.
    pub call_log: CallLog,
    /// A call that takes more milliseconds until its answer begins is told with where the time went;
    /// 0: none is.
    pub slow_call_milliseconds: u64,
    /// The collector that gets traces and metrics. Empty: none.
    pub otlp_endpoint: String,
    /// The authorities that are trusted there, and no others. None: those that the system trusts.
    pub otlp_ca_file: Option<PathBuf>,
    /// Of how many calls in a million a trace is begun, where the caller does not say.
    pub trace_calls_in_a_million: u64,
}

impl Seeing {
    /// Authorities that nobody would be held against.
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if self.otlp_ca_file.is_some() && !self.otlp_endpoint.starts_with("https://") {
            problems.push(Problem {
                origin: "otlp_ca_file".to_owned(),
                wrong: "it is set, and otlp_endpoint is no https:// URL".to_owned(),
                expected:
                    "otlp_endpoint with https:// beside it, for only there is anybody trusted"
                        .to_owned(),
            });
        }
    }
}

/// Its keys.
pub(super) static KEYS: [Key; 5] = [
    Key {
        name: "call_log",
        flag: "call-log",
        value_name: "WHICH",
        form: Form::Text,
        // Who asked is in no other record, so that is kept unless somebody decides otherwise.
        meaning: "Which calls have a line in the log, with who called, for which plan, how it ended \
                  and how long it took: none; refused, which are those that were refused or failed, \
                  and what operators change or take; writes, which are those that record as well; \
                  or all.",
        expected: "none, refused, writes or all",
        show: |config| config.seeing.call_log.name().to_owned(),
        set: |config, text| {
            let named = CallLog::ALL.into_iter().find(|it| it.name() == text.trim());
            config.seeing.call_log = named.ok_or_else(|| format!("{text:?} is none of them"))?;
            Ok(())
        },
    },
    Key {
        name: "slow_call_milliseconds",
        flag: "slow-call-milliseconds",
        value_name: "MILLISECONDS",
        form: Form::Number,
        meaning: "A call whose answer takes longer to begin is logged as a warning that says where \
                  the time went. 0: none is.",
        expected: "a whole number of milliseconds from 0 to 3600000",
        show: |config| config.seeing.slow_call_milliseconds.to_string(),
        set: |config, text| {
            config.seeing.slow_call_milliseconds = value::number(text, 0..=3_600_000)?;
            Ok(())
        },
    },
    Key {
        name: "otlp_endpoint",
        flag: "otlp-endpoint",
        value_name: "URL",
        form: Form::Text,
        meaning: "The OpenTelemetry collector that traces and metrics are sent to, by OTLP over \
                  gRPC. By http:// they go without TLS: to one on this machine or in a trusted \
                  network. Headers for it, such as credentials, are taken from the variable \
                  OTEL_EXPORTER_OTLP_HEADERS. Empty: none.",
        expected: "nothing, or a URL such as https://collector:4317 or http://127.0.0.1:4317",
        show: |config| config.seeing.otlp_endpoint.clone(),
        set: |config, text| {
            config.seeing.otlp_endpoint = endpoint(text)?;
            Ok(())
        },
    },
    Key {
        name: "otlp_ca_file",
        flag: "otlp-ca-file",
        value_name: "FILE",
        form: Form::Text,
        meaning: "The certificate authorities, in PEM, that are trusted at a collector with https://, \
                  and no others; read at the start. Empty: those that the system trusts.",
        expected: "nothing, or the path of a file",
        show: |config| value::path_text(config.seeing.otlp_ca_file.as_deref()),
        set: |config, text| {
            config.seeing.otlp_ca_file = value::path_or_none(text);
            Ok(())
        },
    },
    Key {
        name: "trace_calls_in_a_million",
        flag: "trace-calls-in-a-million",
        value_name: "COUNT",
        form: Form::Number,
        meaning: "Of how many calls in a million a trace is begun. Where a caller sends a trace of \
                  its own by `traceparent`, that says whether the call is part of it.",
        expected: "a whole number from 0 to 1000000",
        show: |config| config.seeing.trace_calls_in_a_million.to_string(),
        set: |config, text| {
            config.seeing.trace_calls_in_a_million = value::number(text, 0..=1_000_000)?;
            Ok(())
        },
    },
];

/// Reads the URL of a collector, or that there is none.
fn endpoint(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(String::new());
    }
    let is_url = text.parse::<http::Uri>().is_ok_and(|uri| {
        let is_root = uri.path_and_query().is_none_or(|path| path == "/");
        // A name and a password would stand in the log.
        let is_bare = uri.authority().is_some_and(|it| !it.as_str().contains('@'));
        matches!(uri.scheme_str(), Some("http" | "https")) && is_bare && is_root
    });
    if is_url {
        Ok(text.to_owned())
    } else {
        // It may hold a password, so it is not said again.
        Err("it is not such a URL".to_owned())
    }
}

impl Default for Seeing {
    fn default() -> Self {
        Self {
            call_log: CallLog::All,
            slow_call_milliseconds: 1_000,
            otlp_endpoint: String::new(),
            otlp_ca_file: None,
            trace_calls_in_a_million: 10_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_a_url_or_none() {
        for text in ["", "http://127.0.0.1:4317", "https://collector:4317/"] {
            assert_eq!(endpoint(text).as_deref(), Ok(text));
        }
        for text in [
            "127.0.0.1:4317",
            "ftp://collector",
            "https://ana:secret@collector",
            "http://",
            "http://c/v1/traces",
            "x y",
        ] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }
}
