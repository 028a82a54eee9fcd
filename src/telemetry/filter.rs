//! Which lines are logged, and how that is changed while the program runs: at once, for a while or
//! until it stops. There is one log a process, so there is one switch.

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tracing_subscriber::{
    EnvFilter, Registry,
    filter::{LevelFilter, ParseError},
    reload,
};

use crate::{
    access::token::holds_token,
    rpc::admin_service::{Changed, OPERATORS},
};

/// The switch of the daemon's log, once it logs.
static SWITCH: OnceLock<Switch> = OnceLock::new();

struct Switch {
    handle: reload::Handle<EnvFilter, Registry>,
    configured: String,
    state: Mutex<State>,
}

struct State {
    filter: String,
    /// How often it was changed, so that the end of an earlier change does not undo a later one.
    changes: u64,
}

/// A filter as it is written, which lets through who changed what whatever else it leaves out. Says what is wrong
/// with one that is none.
pub fn parse(filter: &str) -> Result<EnvFilter, String> {
    if holds_token(filter) {
        return Err("there is a token in it, and filters are shown".to_owned());
    }
    // Alone, a word that is no level would be a target, and all other targets would say nothing.
    let is_plain = |word: &&str| !word.is_empty() && !word.contains(['=', '[']);
    let mut words = filter.split(',').map(str::trim).filter(is_plain);
    if let Some(word) = words.find(|word| word.parse::<LevelFilter>().is_err()) {
        return Err(format!(
            "{word:?} is not a level: write off, error, warn, info, debug or trace, or TARGET=LEVEL"
        ));
    }
    let wrong = |error: ParseError| format!("{filter:?} is not a filter: {error}");
    let changes = format!("{OPERATORS}=warn").parse().map_err(wrong)?;
    let filter = EnvFilter::try_new(filter).map_err(wrong)?;
    Ok(filter.add_directive(changes))
}

/// Keeps the way to change what `configured` lets through. The first call counts, as with the log.
pub(super) fn keep(handle: reload::Handle<EnvFilter, Registry>, configured: &str) {
    let switch = Switch {
        handle,
        configured: configured.to_owned(),
        state: Mutex::new(State {
            filter: configured.to_owned(),
            changes: 0,
        }),
    };
    // Tests start several daemons in one process.
    drop(SWITCH.set(switch));
}

/// The filter that holds; empty where this process does not log.
#[must_use]
pub fn in_force() -> String {
    SWITCH
        .get()
        .map_or_else(String::new, |switch| switch.lock().filter.clone())
}

/// Logs by another filter: by `filter`, or by the configured one if it is empty; for so long, if that
/// is said, and then by the configured one again. Says what is wrong with a filter that is none. Call
/// it within the runtime.
pub fn set(filter: &str, lasts: Option<Duration>) -> Result<Changed, String> {
    let Some(switch) = SWITCH.get() else {
        return Err("this process does not log".to_owned());
    };
    let filter = filter.trim();
    let filter = if filter.is_empty() {
        &switch.configured
    } else {
        filter
    };
    // By its fields a line could be left out that its target lets through.
    if filter.contains(OPERATORS) && filter != switch.configured {
        return Err(format!("the lines of {OPERATORS} are always there"));
    }
    let (changed, count) = switch.set(filter)?;
    if let Some(lasts) = lasts {
        tokio::spawn(async move {
            tokio::time::sleep(lasts).await;
            if switch.restore(count) {
                tracing::info!(
                    filter = switch.configured,
                    "the configured log filter holds again"
                );
            }
        });
    }
    Ok(changed)
}

impl Switch {
    fn set(&self, filter: &str) -> Result<(Changed, u64), String> {
        let mut state = self.lock();
        self.change(&mut state, filter)
    }

    /// Back to the configured filter, unless another one was set since so many changes. Says whether it is.
    fn restore(&self, changes: u64) -> bool {
        let mut state = self.lock();
        state.changes == changes && self.change(&mut state, &self.configured).is_ok()
    }

    fn change(&self, state: &mut State, filter: &str) -> Result<(Changed, u64), String> {
        let parsed = parse(filter)?;
        self.handle
            .reload(parsed)
            .map_err(|error| format!("the filter cannot be changed: {error}"))?;
        state.changes += 1;
        let previous = std::mem::replace(&mut state.filter, filter.to_owned());
        let changed = Changed {
            previous,
            filter: filter.to_owned(),
        };
        Ok((changed, state.changes))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
