//! The works that are measured, by their names in tables, and who can do them.

use std::fmt;

use crate::{contender::Contender, plans::Size};

/// Something that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Commits of so many events by clients that each write a stream of their own and wait for each answer.
    Append { clients: usize, events: usize },
    /// Commits of one event by clients as above, while so many others watch what nobody writes.
    Crowded { clients: usize, watchers: usize },
    /// Commits of one event on one stream of requests.
    Stream { in_flight: usize },
    /// One of so many plans after the other, again and again; cold are those of which none is in the daemon's memory.
    GetPlan {
        clients: usize,
        size: Size,
        plans: u64,
        cold: bool,
    },
    /// How long after it was sent a commit of one event is with who watches, at so many a second in all or as fast as
    /// the writers can.
    Watch {
        writers: usize,
        a_second: Option<u32>,
    },
    /// So many events from the first on, once.
    Read { events: u64 },
    /// How long a start takes with so many events, and how much memory it takes.
    Start { events: u64 },
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append {
                clients: 1,
                events: 1,
            } => write!(f, "append 1 event, 1 client"),
            Self::Append { clients, events: 1 } => write!(f, "append 1 event, {clients} clients"),
            Self::Append { clients, events } => {
                write!(f, "append {events} events, {clients} clients")
            }
            Self::Crowded { clients, watchers } => {
                write!(f, "append 1 event, {clients} clients, {watchers} watchers")
            }
            Self::Stream { in_flight } => write!(f, "stream, {in_flight} in flight"),
            Self::GetPlan { size, cold, .. } => {
                write!(f, "GetPlan, {size}, {}", if *cold { "cold" } else { "hot" })
            }
            Self::Watch {
                a_second: Some(a_second),
                ..
            } => write!(f, "watch, {a_second} a second"),
            Self::Watch {
                a_second: None,
                writers,
            } => write!(f, "watch, {writers} writers at full speed"),
            Self::Read { .. } => write!(f, "read the log"),
            Self::Start { events } => write!(f, "start with {events} events"),
        }
    }
}

impl Work {
    /// Whether a contender can do it.
    pub(crate) fn is_for(self, contender: &dyn Contender) -> bool {
        match self {
            Self::Append { events, .. } => events <= contender.batch_max(),
            Self::Crowded { .. } => contender.crowd().is_some(),
            Self::Stream { .. } => contender.streams().is_some(),
            Self::GetPlan { .. } => contender.plans().is_some(),
            Self::Watch { .. } => contender.watched().is_some(),
            Self::Read { .. } => contender.log().is_some(),
            Self::Start { .. } => contender.data().is_some(),
        }
    }

    /// Whether its answers are events that a contender keeps.
    pub(crate) fn records(self) -> bool {
        match self {
            Self::Append { .. }
            | Self::Crowded { .. }
            | Self::Stream { .. }
            | Self::Watch { .. } => true,
            Self::GetPlan { .. } | Self::Read { .. } | Self::Start { .. } => false,
        }
    }
}
