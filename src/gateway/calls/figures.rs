//! The figures of calls. They are looked up once and kept at hand, so that a call costs a few
//! additions; there are as many as there are calls and codes, whatever callers send.

use std::sync::OnceLock;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tonic::Code;

use super::{Called, Ended};
use crate::{access::rights::Rpc, proto::code_name};

/// How many codes gRPC has.
const CODES: usize = 17;
/// Codes that are there from the start, so that the first such answer shows as a rise.
const SHOWN: [Code; 5] = [
    Code::Ok,
    Code::Unknown,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
];

/// The figures of all that can be called.
pub(super) struct Figures {
    rpcs: Vec<OfOne>,
    health: OfOne,
    other: OfOne,
}

struct OfOne {
    name: &'static str,
    under_way: Gauge,
    seconds: Histogram,
    by_code: [OnceLock<Counter>; CODES],
}

impl Figures {
    pub(super) fn new() -> Self {
        let of = |called: Called| OfOne::new(called.name());
        Self {
            rpcs: Rpc::ALL.map(|rpc| of(Called::Rpc(rpc))).into(),
            health: of(Called::Health),
            other: of(Called::Other),
        }
    }

    pub(super) fn begin(&self, called: Called) {
        self.of(called).under_way.increment(1);
    }

    pub(super) fn end(&self, call: &Ended) {
        let of = self.of(call.called);
        of.under_way.decrement(1);
        of.seconds.record(call.took);
        of.counter(call.code).increment(1);
    }

    fn of(&self, called: Called) -> &OfOne {
        match called {
            // The table is in the order of the variants; see the test below.
            Called::Rpc(rpc) => self.rpcs.get(rpc as usize).unwrap_or(&self.other),
            Called::Health => &self.health,
            Called::Other => &self.other,
        }
    }
}

impl OfOne {
    fn new(name: &'static str) -> Self {
        let of_one = Self {
            name,
            under_way: gauge!("strata_calls_under_way", "rpc" => name),
            seconds: histogram!("strata_call_seconds", "rpc" => name),
            by_code: Default::default(),
        };
        of_one.under_way.set(0);
        for code in SHOWN {
            of_one.counter(code).increment(0);
        }
        of_one
    }

    fn counter(&self, code: Code) -> &Counter {
        let made = || counter!("strata_calls_total", "rpc" => self.name, "code" => code_name(code));
        let number = usize::try_from(code as i32).unwrap_or_default();
        self.by_code[number.min(CODES - 1)].get_or_init(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_figures_of_its_own() {
        let figures = Figures::new();
        for rpc in Rpc::ALL {
            let called = Called::Rpc(rpc);
            assert_eq!(figures.of(called).name, called.name());
            assert!(!called.name().is_empty());
        }
        assert_eq!(figures.of(Called::Health).name, "Health");
        assert_eq!(figures.of(Called::of("/a/b")).name, "Other");
    }

    #[test]
    fn every_code_has_a_place_and_a_name() {
        for number in 0..CODES {
            let code = Code::from(i32::try_from(number).expect("small"));
            assert_eq!(code as usize, number);
            assert_eq!(code_name(code).to_uppercase(), code_name(code));
        }
    }
}
