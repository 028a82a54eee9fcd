//! The line of a call in the log: who called what, from where, how it ended and how long it took;
//! and a warning of one that took long, with where its time went.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use http::HeaderValue;
use tonic::Code;

use super::{Called, Ended, Noting};
use crate::{access::rights::Rpc, proto::code_name, rpc::noted::Notes};

/// How many refusals that cost their callers nothing have a line each second: whoever sends such
/// calls without end must not fill the disk with them.
const CHEAP_REFUSALS_A_SECOND: u64 = 100;

/// Which calls have a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallLog {
    /// None.
    None,
    /// What was refused or failed, and what operators change or take.
    Refused,
    /// The same, and what records.
    Writes,
    /// All but health that is well.
    All,
}

/// Writes the lines.
pub(super) struct Lines {
    noting: Noting,
    born: Instant,
    /// The second, from the birth on, and how many cheap refusals it has had, in 32 bits each.
    cheap_refusals: AtomicU64,
    /// How many of them had no line since that was last said.
    unsaid: AtomicU64,
}

impl CallLog {
    /// All values.
    pub const ALL: [Self; 4] = [Self::None, Self::Refused, Self::Writes, Self::All];

    /// The name by which it is configured.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Refused => "refused",
            Self::Writes => "writes",
            Self::All => "all",
        }
    }

    fn takes(self, called: Called, code: Code) -> bool {
        if self == Self::None {
            return false;
        }
        match called {
            // A caller that leaves is no refusal.
            _ if !matches!(code, Code::Ok | Code::Cancelled) => true,
            Called::Rpc(Rpc::Backup | Rpc::ConfirmClock | Rpc::SetLogFilter) => true,
            Called::Rpc(Rpc::Execute | Rpc::ExecuteStream) => self != Self::Refused,
            Called::Rpc(_) | Called::Other => self == Self::All,
            Called::Health => false,
        }
    }
}

impl Lines {
    pub(super) fn new(noting: Noting) -> Self {
        Self {
            noting,
            born: Instant::now(),
            cheap_refusals: AtomicU64::new(0),
            unsaid: AtomicU64::new(0),
        }
    }

    /// A watch may last for days, so its beginning is told as well.
    pub(super) fn watch_begins(
        &self,
        notes: &Notes,
        peer: Option<SocketAddr>,
        traceparent: Option<&HeaderValue>,
    ) {
        if self.noting.log == CallLog::All {
            tracing::info!(
                target: "strata::calls",
                rpc = Called::Rpc(Rpc::Watch).name(),
                caller = notes.caller.as_deref(),
                peer = peer.map(tracing::field::display),
                plan = notes.about(),
                trace_id = traceparent.and_then(trace_id_of),
                "a watch begins"
            );
        }
    }

    pub(super) fn end(&self, call: &Ended, trace_id: Option<String>) {
        let trace_id = trace_id.or_else(|| trace_id_of(call.traceparent.as_ref()?));
        if self.noting.log.takes(call.called, call.code) && self.has_room(is_cheap(call)) {
            line(call, trace_id.as_deref());
        }
        let begun = call.answered.unwrap_or(call.took);
        if self.noting.slow.is_some_and(|slow| begun > slow) && self.has_room(is_cheap(call)) {
            warn_slow(call, trace_id.as_deref());
        }
    }

    /// Whether a call that ended so has a line; says once a second how many had none.
    fn has_room(&self, is_cheap: bool) -> bool {
        if !is_cheap {
            return true;
        }
        let second = self.born.elapsed().as_secs();
        let mut begins = false;
        let count = |counted: u64| {
            begins = counted >> 32 != second;
            Some(if begins {
                (second << 32) | 1
            } else {
                counted + 1
            })
        };
        let (set, read) = (Ordering::Relaxed, Ordering::Relaxed);
        let before = self.cheap_refusals.fetch_update(set, read, count);
        let in_this_second = if begins {
            0
        } else {
            before.unwrap_or_default() & u64::from(u32::MAX)
        };
        if in_this_second >= CHEAP_REFUSALS_A_SECOND {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        if begins {
            let unsaid = self.unsaid.swap(0, Ordering::Relaxed);
            if unsaid > 0 {
                tracing::warn!(
                    target: "strata::calls",
                    calls = unsaid,
                    "more calls were refused than have a line; the metrics count them all"
                );
            }
        }
        true
    }
}

/// Whether it cost its caller next to nothing: it was refused at once, or nobody knows whose it was.
fn is_cheap(call: &Ended) -> bool {
    let is_refused_at_once = matches!(
        call.code,
        Code::Unauthenticated | Code::ResourceExhausted | Code::Unimplemented
    );
    is_refused_at_once || call.notes.caller.is_none() || call.called == Called::Health
}

fn line(call: &Ended, trace_id: Option<&str>) {
    let notes = &call.notes;
    tracing::info!(
        target: "strata::calls",
        rpc = call.called.name(),
        caller = notes.caller.as_deref(),
        peer = call.peer.map(tracing::field::display),
        plan = notes.about(),
        code = code_name(call.code),
        reason = reason(call),
        milliseconds = milliseconds(call.took),
        messages = call.messages,
        bytes = call.bytes,
        request_id = notes.request_id.as_deref(),
        trace_id,
        "call"
    );
}

fn warn_slow(call: &Ended, trace_id: Option<&str>) {
    let notes = &call.notes;
    let phases = notes
        .phases()
        .into_iter()
        .fold(String::new(), |mut text, it| {
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing into a text cannot fail.
            write!(text, "{comma}{} {:.1} ms", it.name, milliseconds(it.took)).ok();
            text
        });
    tracing::warn!(
        target: "strata::calls",
        rpc = call.called.name(),
        caller = notes.caller.as_deref(),
        peer = call.peer.map(tracing::field::display),
        plan = notes.about(),
        code = code_name(call.code),
        reason = reason(call),
        milliseconds = milliseconds(call.took),
        answered_milliseconds = call.answered.map(milliseconds),
        went_to = (!phases.is_empty()).then_some(phases),
        request_id = notes.request_id.as_deref(),
        trace_id,
        "a call took long"
    );
}

/// Why it was refused. A stream that ended well may have refused some of its messages.
fn reason(call: &Ended) -> Option<&'static str> {
    call.notes.reason.filter(|_| call.code != Code::Ok)
}

fn milliseconds(took: std::time::Duration) -> f64 {
    // Microseconds are enough, and a line is easier to read.
    (took.as_secs_f64() * 1e6).round() / 1e3
}

/// The id of the trace in a `traceparent`, if it is well made.
#[must_use]
pub fn trace_id_of(traceparent: &HeaderValue) -> Option<String> {
    let mut parts = traceparent.to_str().ok()?.split('-').skip(1);
    let id = parts.next()?;
    let is_id = id.len() == 32
        && id
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && id.bytes().any(|byte| byte != b'0');
    is_id.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(log: CallLog) -> Lines {
        Lines::new(Noting { log, slow: None })
    }

    #[test]
    fn what_has_a_line_grows_with_what_was_configured() {
        let calls = [
            (Called::Rpc(Rpc::GetPlan), Code::NotFound),
            (Called::Rpc(Rpc::Backup), Code::Ok),
            (Called::Other, Code::Unimplemented),
            (Called::Rpc(Rpc::Execute), Code::Ok),
            (Called::Rpc(Rpc::GetPlan), Code::Ok),
            (Called::Rpc(Rpc::Watch), Code::Cancelled),
            (Called::Health, Code::Ok),
        ];
        let taken = |log: CallLog| {
            let taken = calls.map(|(called, code)| log.takes(called, code));
            taken.iter().filter(|it| **it).count()
        };
        assert_eq!(CallLog::ALL.map(taken), [0, 3, 4, 6]);
    }

    #[test]
    fn refusals_without_end_do_not_fill_the_log() {
        let lines = lines(CallLog::Refused);
        let flood = 10 * CHEAP_REFUSALS_A_SECOND;
        let said = (0..flood).filter(|_| lines.has_room(true));
        let said = said.count() as u64;
        // The second may turn meanwhile.
        let seconds = lines.born.elapsed().as_secs() + 1;
        assert!(said >= CHEAP_REFUSALS_A_SECOND.min(flood));
        assert!(said <= seconds * CHEAP_REFUSALS_A_SECOND, "{said}");
        assert!(lines.has_room(false));
    }

    #[test]
    fn only_a_well_made_traceparent_names_a_trace() {
        let id = |text: &'static str| trace_id_of(&HeaderValue::from_static(text));
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            id("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(),
            Some(trace)
        );
        for wrong in [
            "",
            "00",
            "00-4bf9-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-1-1",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
    }
}
