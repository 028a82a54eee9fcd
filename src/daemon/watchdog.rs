//! Looks on once a second while the daemon serves and until it has stopped: at disk and clock, so that
//! what hinders writing is seen and ends while nobody writes; and at the syncs of the disk, so that one
//! that does not return is said in the log, in health, in the metrics and to systemd, while the thread
//! that waits for it cannot say anything. systemd hears that the daemon is alive only for as long as
//! questions are answered and no group of commits is held up by anything but the disk. A disk that is
//! held up is no reason to end the daemon: another start would wait for the same disk, and until then
//! nothing could be read.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{WRITING_HEALTH_OF, notify};
use crate::{
    journal::Syncing,
    rpc::Core,
    telemetry::{
        figures::{self, Look},
        process,
    },
    writer::{A_GROUP, clock::Leap},
};

/// How often it looks: soon enough for who is woken by it, and next to nothing in work.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Looks on until it is dropped.
pub(super) async fn look_on(core: Arc<Core>, health: HealthReporter) {
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut stalled: Option<Syncing> = None;
    let (mut look, mut question) = (None, None);
    loop {
        ticks.tick().await;
        // On a thread that may block: a disk that is held up may also keep us from looking at it.
        if is_over(look.as_ref()) {
            let guard = core.guard.clone();
            look = Some(tokio::task::spawn_blocking(move || guard.look()));
        }
        let now = core.stalled_sync();
        if is_over(question.as_ref()) && !is_held_up_by_itself(now.as_ref()) {
            question = Some(ask(core.clone()));
        }
        show(&core, now.as_ref());
        match (&stalled, &now) {
            (None, Some(sync)) => say_stalled(sync, &health).await,
            (Some(before), Some(sync)) if before.what != sync.what => {
                say_stalled(sync, &health).await;
            }
            (Some(sync), None) => say_returned(sync, &health).await,
            (None, None) | (Some(_), Some(_)) => {}
        }
        stalled = now;
    }
}

/// Looks on while the daemon stops, and says what it waits for as often as a sync may take. The stop
/// goes on however long that is: whoever would rather lose time at the next start ends the process.
pub(super) async fn look_on_until<T>(core: Arc<Core>, stop: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut stop, mut said) = (pin!(stop), began);
    loop {
        tokio::select! {
            stopped = &mut stop => return stopped,
            _ = ticks.tick() => {}
        }
        let stalled = core.stalled_sync();
        show(&core, stalled.as_ref());
        if stalled.is_none() {
            notify::still_stopping();
        }
        if said.elapsed() > core.sync_stall {
            said = Instant::now();
            say_stopping(stalled.as_ref(), began.elapsed());
        }
    }
}

/// Asks what every question needs, a thread that may block and the view, and says by the answer that
/// the daemon is alive.
fn ask(core: Arc<Core>) -> JoinHandle<()> {
    tokio::task::spawn_blocking(move || {
        core.view.stats();
        notify::alive();
    })
}

fn is_over<T>(task: Option<&JoinHandle<T>>) -> bool {
    task.is_none_or(JoinHandle::is_finished)
}

/// Whether a group of commits waits, and not for the disk.
fn is_held_up_by_itself(stalled: Option<&Syncing>) -> bool {
    stalled.is_some_and(|sync| sync.what.as_os_str() == A_GROUP)
}

fn say_stopping(stalled: Option<&Syncing>, elapsed: Duration) {
    let seconds = elapsed.as_secs();
    if let Some(Syncing { what, since }) = stalled {
        tracing::error!(
            seconds,
            file = %what.display(),
            stalled_seconds = since.elapsed().as_secs(),
            "the stop waits for a sync of the disk that does not return: look after the disk; \
             what was acknowledged is safe, and a second signal ends at once"
        );
    } else {
        tracing::warn!(
            seconds,
            "the stop waits for calls under way and for what is left to be written; a second \
             signal ends at once"
        );
    }
}

async fn say_stalled(sync: &Syncing, health: &HealthReporter) {
    tracing::error!(
        file = %sync.what.display(),
        seconds = sync.since.elapsed().as_secs(),
        "a sync of the disk does not return: writes wait for it and reads go on; look after the disk"
    );
    notify::hindrance(Some(
        "a sync of the disk does not return: writes wait for it, reads go on",
    ));
    for service in WRITING_HEALTH_OF {
        health
            .set_service_status(service, ServingStatus::NotServing)
            .await;
    }
}

async fn say_returned(sync: &Syncing, health: &HealthReporter) {
    tracing::info!(
        file = %sync.what.display(),
        seconds = sync.since.elapsed().as_secs(),
        "the sync of the disk has returned"
    );
    notify::hindrance(None);
    for service in WRITING_HEALTH_OF {
        health
            .set_service_status(service, ServingStatus::Serving)
            .await;
    }
}

fn show(core: &Core, stalled: Option<&Syncing>) {
    let condition = core.guard.condition();
    let view = core.view.stats();
    let (recent, recent_max) = core.feed.recent_bytes();
    process::show();
    figures::show(&Look {
        head_position: core.feed.head(),
        view_position: view.written_position,
        search_lag_commits: view.search_lag,
        watches: core.feed.watchers() as u64,
        watch_lag_commits: core.feed.watch_lag(),
        queue_requests: core.writer.queued() as u64,
        queue_limit_requests: core.writer.queue_limit() as u64,
        plans: view.plans as u64,
        plans_bytes: (view.cached_bytes, core.plan_cache_bytes),
        histories_bytes: view.histories_bytes,
        shown_bytes: view.shown_bytes,
        recent_commits_bytes: (recent as u64, recent_max as u64),
        sync_stalled_seconds: stalled.map_or(0.0, |sync| sync.since.elapsed().as_secs_f64()),
        disk_free_bytes: condition.free_bytes,
        disk_reserve_bytes: condition.reserve_bytes,
        clock_leap_seconds: condition.leap.map_or(0.0, Leap::seconds),
    });
}
