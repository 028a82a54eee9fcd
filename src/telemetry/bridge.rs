//! The figures of the program as instruments of OpenTelemetry: the same that Prometheus fetches,
//! under the same names, so that both say the same.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use opentelemetry::{
    KeyValue,
    metrics::{self as otel, Meter},
};

/// Makes instruments of figures.
pub(super) struct Bridge {
    meter: Meter,
    bounds: fn(&str) -> &'static [f64],
    described: Mutex<HashMap<String, (Option<Unit>, SharedString)>>,
}

struct Counted {
    counter: otel::Counter<u64>,
    labels: Vec<KeyValue>,
    /// What was counted so far, for those who set a whole.
    sum: AtomicU64,
}

struct Gauged {
    gauge: otel::Gauge<f64>,
    labels: Vec<KeyValue>,
    /// The bits of the value, for those who change it by some.
    value: AtomicU64,
}

struct Measured {
    histogram: otel::Histogram<f64>,
    labels: Vec<KeyValue>,
}

impl Bridge {
    /// Instruments of `meter`; `bounds` are those of a histogram's buckets, by its name.
    pub(super) fn new(meter: Meter, bounds: fn(&str) -> &'static [f64]) -> Self {
        Self {
            meter,
            bounds,
            described: Mutex::default(),
        }
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, meaning: SharedString) {
        let mut described = self
            .described
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        described.insert(name.as_str().to_owned(), (unit, meaning));
    }

    fn described(&self, key: &Key) -> (&'static str, String) {
        let described = self
            .described
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = described.get(key.name());
        let unit = known.and_then(|(unit, _)| *unit);
        let meaning = known.map_or_else(String::new, |(_, meaning)| meaning.to_string());
        (unit.map_or("", code_of), meaning)
    }
}

impl Recorder for Bridge {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.describe(&name, unit, meaning);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.describe(&name, unit, meaning);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.describe(&name, unit, meaning);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let (unit, meaning) = self.described(key);
        let counter = self.meter.u64_counter(key.name().to_owned());
        Counter::from_arc(Arc::new(Counted {
            counter: counter.with_unit(unit).with_description(meaning).build(),
            labels: labels(key),
            sum: AtomicU64::new(0),
        }))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let (unit, meaning) = self.described(key);
        let gauge = self.meter.f64_gauge(key.name().to_owned());
        Gauge::from_arc(Arc::new(Gauged {
            gauge: gauge.with_unit(unit).with_description(meaning).build(),
            labels: labels(key),
            value: AtomicU64::new(0),
        }))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let (unit, meaning) = self.described(key);
        let histogram = self.meter.f64_histogram(key.name().to_owned());
        Histogram::from_arc(Arc::new(Measured {
            histogram: histogram
                .with_unit(unit)
                .with_description(meaning)
                .with_boundaries((self.bounds)(key.name()).to_vec())
                .build(),
            labels: labels(key),
        }))
    }
}

impl CounterFn for Counted {
    fn increment(&self, value: u64) {
        self.sum.fetch_add(value, Ordering::Relaxed);
        self.counter.add(value, &self.labels);
    }

    fn absolute(&self, value: u64) {
        let before = self.sum.fetch_max(value, Ordering::Relaxed);
        self.counter.add(value.saturating_sub(before), &self.labels);
    }
}

impl Gauged {
    fn change(&self, by: f64) {
        let (set, read) = (Ordering::Relaxed, Ordering::Relaxed);
        let sum = |bits| Some((f64::from_bits(bits) + by).to_bits());
        let before = self.value.fetch_update(set, read, sum);
        let before = before.map_or(0.0, f64::from_bits);
        self.gauge.record(before + by, &self.labels);
    }
}

impl GaugeFn for Gauged {
    fn increment(&self, value: f64) {
        self.change(value);
    }

    fn decrement(&self, value: f64) {
        self.change(-value);
    }

    fn set(&self, value: f64) {
        self.value.store(value.to_bits(), Ordering::Relaxed);
        self.gauge.record(value, &self.labels);
    }
}

impl HistogramFn for Measured {
    fn record(&self, value: f64) {
        self.histogram.record(value, &self.labels);
    }
}

/// A unit as OpenTelemetry writes it.
fn code_of(unit: Unit) -> &'static str {
    if unit == Unit::Bytes {
        "By"
    } else {
        unit.as_canonical_label()
    }
}

fn labels(key: &Key) -> Vec<KeyValue> {
    key.labels()
        .map(|label| KeyValue::new(label.key().to_owned(), label.value().to_owned()))
        .collect()
}
