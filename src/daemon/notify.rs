//! What the daemon says of itself to systemd, where that started it with a socket to say it to:
//! that it starts and how long that takes, that it serves, that it is alive, that it stops. Without
//! the socket nothing is said.

use std::{
    sync::Once,
    time::{Duration, Instant},
};

use sd_notify::NotifyState;

/// How often the time is extended that systemd gives a start or a stop.
const EXTEND_INTERVAL: Duration = Duration::from_secs(10);
/// By how much. Long enough for a machine that is busy, short enough that one that hangs is noticed.
const EXTENSION: Duration = Duration::from_secs(60);

const SERVING: &str = "serving";

/// Says that the daemon starts, until this is dropped, so that a long recovery is not taken for a
/// start that failed.
pub(super) async fn starting() {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(EXTEND_INTERVAL);
    loop {
        ticks.tick().await;
        let seconds = began.elapsed().as_secs();
        if seconds > 0 {
            tracing::info!(seconds, "still opening the log and the view");
        }
        say(&[
            extension(),
            NotifyState::Status(&format!("opening the log and the view for {seconds} s")),
        ]);
    }
}

/// Says that calls are served.
pub(super) fn ready() {
    say(&[NotifyState::Ready, NotifyState::Status(SERVING)]);
}

/// Says that the daemon stops.
pub(super) fn stopping() {
    say(&[
        NotifyState::Stopping,
        extension(),
        NotifyState::Status("ending the calls under way"),
    ]);
}

/// Says that the stop goes on.
pub(super) fn still_stopping() {
    say(&[extension()]);
}

/// Says that the daemon works. systemd ends one that does not say so for `WatchdogSec`.
pub(super) fn alive() {
    if sd_notify::watchdog_enabled().is_some() {
        say(&[NotifyState::Watchdog]);
    }
}

/// Says in words what hinders writing; nothing: that nothing does.
pub(super) fn hindrance(words: Option<&str>) {
    say(&[NotifyState::Status(words.unwrap_or(SERVING))]);
}

fn extension() -> NotifyState<'static> {
    let micros = u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX);
    NotifyState::ExtendTimeoutUsec(micros)
}

fn say(states: &[NotifyState<'_>]) {
    static UNHEARD: Once = Once::new();
    if let Err(error) = sd_notify::notify(states) {
        UNHEARD.call_once(|| {
            tracing::warn!(
                %error,
                "systemd cannot be told how the daemon is, and may end it: let the unit use \
                 AF_UNIX, or leave Type=notify and WatchdogSec out of it"
            );
        });
    }
}
