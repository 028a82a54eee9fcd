//! A span for each call that is traced, with the stretches of its way below it. They are made when
//! the call has ended, from what was noted of it, so that a call which is not traced costs the look
//! at its `traceparent` and no more. Ids and times stand in them, nothing of what a call is about.

use std::time::{Instant, SystemTime};

use http::HeaderValue;
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{
        Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _,
        TracerProvider as _,
    },
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};

use crate::gateway::calls::{Called, Ended};

/// Makes the spans of calls.
pub struct Tracer {
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
}

/// The headers of a call that say which trace it belongs to.
struct Carrier<'a>(&'a Ended);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let header = match key {
            "traceparent" => self.0.traceparent.as_ref(),
            "tracestate" => self.0.tracestate.as_ref(),
            _ => None,
        };
        header.map(HeaderValue::to_str)?.ok()
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

impl Tracer {
    pub(super) fn new(provider: &SdkTracerProvider) -> Self {
        Self {
            tracer: provider.tracer("strata"),
            propagator: TraceContextPropagator::new(),
        }
    }

    /// Makes the spans of a call that has ended, if it is traced, and returns the id of its trace.
    #[must_use]
    pub fn trace(&self, call: &Ended) -> Option<String> {
        if call.called == Called::Health {
            return None;
        }
        let caller = self
            .propagator
            .extract_with_context(&Context::new(), &Carrier(call));
        let builder = SpanBuilder::from_name(call.called.name())
            .with_kind(SpanKind::Server)
            .with_start_time(call.began_at);
        let mut span = self.tracer.build_with_context(builder, &caller);
        if !span.is_recording() {
            return None;
        }
        span.set_attributes(attributes(call));
        if call.is_fault() {
            span.set_status(Status::error(call.notes.reason.unwrap_or_default()));
        }
        let trace_id = span.span_context().trace_id().to_string();
        let parent = Context::new().with_span(span);
        for phase in call.notes.phases() {
            let began_at = at(call, phase.began);
            let builder = SpanBuilder::from_name(phase.name)
                .with_kind(SpanKind::Internal)
                .with_start_time(began_at);
            self.tracer
                .build_with_context(builder, &parent)
                .end_with_timestamp(began_at + phase.took);
        }
        parent.span().end_with_timestamp(call.began_at + call.took);
        Some(trace_id)
    }
}

fn attributes(call: &Ended) -> Vec<KeyValue> {
    let (service, method) = match call.called {
        Called::Rpc(rpc) => rpc.path().rsplit_once('/').unwrap_or_default(),
        Called::Health | Called::Other => ("", call.called.name()),
    };
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let mut attributes = vec![
        KeyValue::new("rpc.system", "grpc"),
        KeyValue::new("rpc.service", service.trim_start_matches('/')),
        KeyValue::new("rpc.method", method),
        KeyValue::new("rpc.grpc.status_code", i64::from(call.code as i32)),
        KeyValue::new("strata.messages_sent", count(call.messages)),
        KeyValue::new("strata.bytes_sent", count(call.bytes)),
    ];
    let notes = &call.notes;
    let known = [
        ("strata.caller", notes.caller.as_deref()),
        ("strata.plan", notes.plan_id.as_deref()),
        ("strata.request_id", notes.request_id.as_deref()),
        ("strata.reason", notes.reason),
    ];
    let known = known
        .into_iter()
        .filter_map(|(key, value)| Some(KeyValue::new(key, value?.to_owned())));
    attributes.extend(known);
    if let Some(peer) = call.peer {
        attributes.push(KeyValue::new("client.address", peer.ip().to_string()));
    }
    attributes
}

/// A moment of a call by the clock.
fn at(call: &Ended, moment: Instant) -> SystemTime {
    call.began_at + moment.saturating_duration_since(call.began)
}
