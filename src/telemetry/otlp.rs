//! Traces and metrics for an OpenTelemetry collector, by OTLP over gRPC, with TLS or without. Credentials for
//! it come from the variables that OpenTelemetry has for them, and go nowhere else. What cannot be sent is
//! dropped: a collector that is away costs a bounded queue and one line in the log, and holds up
//! neither calls nor, for long, the stop.

use std::{
    env,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, OTEL_EXPORTER_OTLP_HEADERS,
    OTEL_EXPORTER_OTLP_METRICS_HEADERS, OTEL_EXPORTER_OTLP_TRACES_HEADERS, RetryPolicy,
    SpanExporter, WithExportConfig as _, WithTonicConfig as _,
    tonic_types::transport::{Certificate, ClientTlsConfig},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{
        PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics,
        exporter::PushMetricExporter,
    },
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData,
        SpanExporter as ExportSpans,
    },
};

use super::traces::Tracer;
use crate::client::{
    address::is_loopback,
    connect::{ConnectError, authorities_pem},
};

/// What the daemon is called where traces and metrics of many programs come together.
const SERVICE_NAME: &str = "strata";
/// The variables of which the exporters take headers: of both, and of each.
const HEADERS_VARIABLES: [&str; 3] = [
    OTEL_EXPORTER_OTLP_HEADERS,
    OTEL_EXPORTER_OTLP_TRACES_HEADERS,
    OTEL_EXPORTER_OTLP_METRICS_HEADERS,
];
/// How long one delivery may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the last delivery may hold up the stop.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(4);
/// How often figures are delivered.
const METRICS_INTERVAL: Duration = Duration::from_secs(15);
/// How often spans are delivered, sooner if there are many.
const SPANS_INTERVAL: Duration = Duration::from_secs(2);
/// How many spans wait to be delivered at most, some megabytes; others are dropped.
const SPANS_WAITING_MAX: usize = 8_192;
/// How many spans are delivered at once.
const SPANS_A_BATCH: usize = 512;

/// Why nothing can be sent to the collector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// Nothing can be sent there.
    #[error("cannot send to the collector at {endpoint}: {reason}; mend --otlp-endpoint")]
    Endpoint {
        /// Where it was said to be.
        endpoint: String,
        /// What is wrong.
        reason: ExporterBuildError,
    },
    /// The file of authorities is none.
    #[error("cannot trust the collector: {0}; mend --otlp-ca-file")]
    Authorities(#[from] ConnectError),
}

/// Where to send what.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The URL of the collector.
    pub endpoint: &'a str,
    /// The authorities that are trusted there, and no others. None: those that the system trusts.
    pub ca_file: Option<&'a Path>,
    /// Of how many calls in a million a trace is begun, where the caller has none.
    pub traced_of_a_million: u64,
}

/// What goes to the collector.
pub struct Otlp {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

/// How it stands with the collector, so that a change is said, and said once.
#[derive(Debug)]
struct Line {
    endpoint: String,
    is_away: AtomicBool,
}

/// An exporter whose failures are told.
#[derive(Debug)]
struct Told<E> {
    exporter: E,
    line: Arc<Line>,
}

impl Otlp {
    /// Sends traces and metrics to the collector from now on. Call it within the runtime.
    pub fn start(settings: Settings<'_>) -> Result<Self, OtlpError> {
        let endpoint = settings.endpoint;
        let refused = |reason| OtlpError::Endpoint {
            endpoint: endpoint.to_owned(),
            reason,
        };
        let tls = tls(&settings)?;
        warn_of_headers_in_the_clear(endpoint);
        let line = Arc::new(Line {
            endpoint: endpoint.to_owned(),
            is_away: AtomicBool::new(false),
        });
        let mut spans = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            // What comes later is newer and worth more.
            .with_retry_policy(RetryPolicy::disabled());
        let mut figures = MetricExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .with_retry_policy(RetryPolicy::disabled());
        if let Some(tls) = tls {
            spans = spans.with_tls_config(tls.clone());
            figures = figures.with_tls_config(tls);
        }
        let (spans, figures) = (
            spans.build().map_err(refused)?,
            figures.build().map_err(refused)?,
        );
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(SPANS_WAITING_MAX)
            .with_max_export_batch_size(SPANS_A_BATCH)
            .with_scheduled_delay(SPANS_INTERVAL)
            .build();
        let processor = BatchSpanProcessor::builder(told(spans, &line))
            .with_batch_config(batches)
            .build();
        #[expect(clippy::cast_precision_loss, reason = "at most a million")]
        let ratio = settings.traced_of_a_million as f64 / 1e6;
        let traces = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                ratio,
            ))))
            .with_resource(resource())
            .build();
        let reader = PeriodicReader::builder(told(figures, &line))
            .with_interval(METRICS_INTERVAL)
            .build();
        let metrics = SdkMeterProvider::builder()
            .with_reader(reader)
            .with_resource(resource())
            .build();
        tracing::info!(collector = endpoint, "sending traces and metrics");
        Ok(Self { traces, metrics })
    }

    /// What figures are made with.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.metrics.meter(SERVICE_NAME)
    }

    /// What spans are made with.
    #[must_use]
    pub fn tracer(&self) -> Tracer {
        Tracer::new(&self.traces)
    }

    /// Delivers what is left, as far as there is time for it.
    pub async fn stop(self) {
        let Self { traces, metrics } = self;
        let deliver = tokio::task::spawn_blocking(move || {
            // What could not be delivered has been said by then.
            traces.shutdown_with_timeout(EXPORT_TIMEOUT).ok();
            metrics.shutdown_with_timeout(EXPORT_TIMEOUT).ok();
        });
        tokio::time::timeout(FLUSH_TIMEOUT, deliver).await.ok();
    }
}

/// Whom to trust, where there is TLS.
fn tls(settings: &Settings<'_>) -> Result<Option<ClientTlsConfig>, OtlpError> {
    if !is_secure(settings.endpoint) {
        return Ok(None);
    }
    let authorities = Certificate::from_pem(authorities_pem(settings.ca_file)?);
    Ok(Some(ClientTlsConfig::new().ca_certificate(authorities)))
}

fn is_secure(endpoint: &str) -> bool {
    endpoint.starts_with("https://")
}

/// The headers may be names of tenants as well, so they are sent all the same.
fn warn_of_headers_in_the_clear(endpoint: &str) {
    for variable in headers_in_the_clear(endpoint, |name| env::var_os(name).is_some()) {
        tracing::warn!(
            collector = endpoint,
            "{variable} is sent without TLS, where others can read it: say https://"
        );
    }
}

/// The variables whose headers leave this machine for others to read.
fn headers_in_the_clear(endpoint: &str, is_set: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let uri: Option<http::Uri> = endpoint.parse().ok();
    let is_here = uri.is_some_and(|uri| uri.host().is_some_and(is_loopback));
    if is_secure(endpoint) || is_here {
        return Vec::new();
    }
    HEADERS_VARIABLES
        .into_iter()
        .filter(|name| is_set(name))
        .collect()
}

fn resource() -> Resource {
    Resource::builder()
        .with_service_name(SERVICE_NAME)
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build()
}

fn told<E>(exporter: E, line: &Arc<Line>) -> Told<E> {
    Told {
        exporter,
        line: line.clone(),
    }
}

impl Line {
    fn told(&self, outcome: OTelSdkResult) -> OTelSdkResult {
        let is_away = outcome.is_err();
        let was_away = self.is_away.swap(is_away, Ordering::Relaxed);
        let collector = &self.endpoint;
        match &outcome {
            Err(error) if !was_away => tracing::warn!(
                collector,
                %error,
                "the collector does not take traces and metrics: they are dropped until it does"
            ),
            Ok(()) if was_away => tracing::info!(collector, "the collector is back"),
            Ok(()) | Err(_) => {}
        }
        outcome
    }
}

impl ExportSpans for Told<SpanExporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.line.told(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl PushMetricExporter for Told<MetricExporter> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.line.told(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_of_headers_that_others_could_read_is_named() {
        for variable in HEADERS_VARIABLES {
            let named = |endpoint| headers_in_the_clear(endpoint, |name| name == variable);
            assert_eq!(named("http://collector:4317"), [variable]);
            for endpoint in ["https://collector:4317", "http://127.0.0.1:4317"] {
                assert!(named(endpoint).is_empty(), "{endpoint}");
            }
        }
        let all = [
            "OTEL_EXPORTER_OTLP_HEADERS",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
        ];
        assert_eq!(headers_in_the_clear("http://collector:4317", |_| true), all);
        assert!(headers_in_the_clear("http://collector:4317", |_| false).is_empty());
    }
}
