//! Watchers who wait: each shows a token and watches a plan in which nothing happens, while others write elsewhere.

use std::{io::Write, time::Duration};

use strata::proto::{
    WatchRequest, history_service_client::HistoryServiceClient, watch_request::Start,
};
use tokio::task::JoinSet;

use crate::{
    Failure,
    daemon::{Daemon, token},
    good::{self, Client},
    seen::{self, Seen, megabytes},
};

/// How many watches a connection carries.
const WATCHES_A_CONNECTION: usize = 200;
/// How many clients write.
const WRITERS: usize = 64;
/// Over how many connections.
const WRITERS_CONNECTIONS: usize = 8;
/// How long they write each time.
const ROUND: Duration = Duration::from_secs(5);
/// How often they write without and with watchers.
const ROUNDS: usize = 3;
/// How long they write before it is measured.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long watchers stand before memory is looked at: each is told once where it stands.
const SETTLING: Duration = Duration::from_secs(12);

pub(crate) async fn measure(out: &mut impl Write, count: usize) -> Result<(), Failure> {
    let room = (count + 100).to_string();
    let (mut writer, mut watcher) = (String::new(), String::new());
    let daemon = Daemon::start(|dir| {
        let access = dir.join("access.toml");
        writer = token(&access, "writer")?;
        watcher = token(&access, "watcher")?;
        let arguments = [
            "--access-file",
            &access.display().to_string(),
            "--watches-at-once",
            &room,
            "--max-connections",
            &room,
            "--max-connections-per-address",
            "0",
        ];
        Ok(arguments.map(str::to_owned).to_vec())
    })
    .await?;
    let mut writers = Vec::new();
    for _ in 0..WRITERS_CONNECTIONS {
        let channel = daemon.connect().await?;
        let client = || Client::busy(channel.clone(), writer.clone());
        writers.extend(std::iter::repeat_with(client).take(WRITERS / WRITERS_CONNECTIONS));
    }
    good::call_for(&writers, WARM_UP).await?;

    let (mut without, mut with) = (Seen::default(), Seen::default());
    let (mut grown, mut files, mut at_rest) = (Vec::new(), 0, 0);
    for _ in 0..ROUNDS {
        without.add(good::call_for(&writers, ROUND).await?);
        let before = daemon.memory()?.now;
        let watching = watch(&daemon, &watcher, count).await?;
        tokio::time::sleep(SETTLING).await;
        let after = daemon.memory()?.now;
        grown.push(after.saturating_sub(before));
        files = daemon.open_files()?;
        with.add(good::call_for(&writers, ROUND).await?);
        at_rest = daemon.memory()?.now;
        drop(watching);
    }
    let most = daemon.memory()?.most;
    daemon.stop()?;

    // Later rounds find the room of the first again.
    let grown = grown.iter().copied().max().unwrap_or_default();
    writeln!(out, "{}", seen::head(&format!("{WRITERS} clients Execute")))?;
    writeln!(out, "{:<40} {}", "nobody watches", without.shown())?;
    writeln!(
        out,
        "{:<40} {} {}",
        format!("{count} watch"),
        with.shown(),
        megabytes(at_rest)
    )?;
    writeln!(
        out,
        "{:<40} {:>8.2}x {:>8.2}x {:>9.2}x",
        "with watchers / without",
        with.at(50) / without.at(50),
        with.at(99) / without.at(99),
        with.a_second() / without.a_second()
    )?;
    writeln!(
        out,
        "a watcher who waits takes {} bytes of the daemon's memory; {files} files were open, {} MB \
         resident at most",
        grown / count.max(1) as u64,
        most / 1_000_000
    )?;
    Ok(())
}

/// Opens the watches, and reads what they are told until it is dropped.
async fn watch(daemon: &Daemon, token: &str, count: usize) -> Result<JoinSet<()>, Failure> {
    let mut watching = JoinSet::new();
    let mut left = count;
    while left > 0 {
        let mut history = HistoryServiceClient::new(daemon.connect().await?);
        for _ in 0..left.min(WATCHES_A_CONNECTION) {
            let request = WatchRequest {
                plan_ids: vec!["nothing-happens".to_owned()],
                start: Some(Start::FromNow(true)),
                ..WatchRequest::default()
            };
            let mut told = history
                .watch(good::call_of(token, request)?)
                .await?
                .into_inner();
            watching.spawn(async move { while let Ok(Some(_)) = told.message().await {} });
        }
        left -= left.min(WATCHES_A_CONNECTION);
    }
    Ok(watching)
}
