//! Good clients among bad ones: what the good see before, while and after the bad try.

use std::{io::Write, net::TcpListener, time::Duration};

use crate::{
    Failure,
    daemon::{Daemon, token},
    good::{self, Client},
    seen::{self, megabytes},
    tried::{self, Kind, Tries},
};

/// How many good clients there are, each a principal with a connection of its own.
const GOOD: usize = 16;
/// How often each of them calls.
const EVERY: Duration = Duration::from_millis(10);
/// How many calls a second a principal may send: twice what a good one does.
const CALLS_PER_SECOND: &str = "200";
/// How long each part is measured.
const ROUND: Duration = Duration::from_secs(10);
/// How long the good call before that, and how long the bad try before the good are looked at.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long the daemon may take to be rid of the bad.
const CALM: Duration = Duration::from_secs(3);

/// What is counted of what was refused.
const REFUSED: [&str; 2] = [
    "strata_calls_refused_total",
    "strata_connections_refused_total",
];

pub(crate) async fn measure(out: &mut impl Write, count: usize) -> Result<(), Failure> {
    // An issuer of signed tokens that never answers: nothing takes what is sent there.
    let issuer = TcpListener::bind("127.0.0.1:0")?;
    let keys = format!("http://{}/keys", issuer.local_addr()?);
    let mut tokens = Vec::new();
    let mut greedy = String::new();
    let daemon = Daemon::start(|dir| {
        let access = dir.join("access.toml");
        for number in 0..GOOD {
            tokens.push(token(&access, &format!("good-{number}"))?);
        }
        greedy = token(&access, "greedy")?;
        let access = access.display().to_string();
        let arguments = [
            "--calls-per-second",
            CALLS_PER_SECOND,
            "--access-file",
            &access,
            "--jwt-keys",
            &keys,
            "--jwt-issuer",
            "issuer",
            "--jwt-audience",
            "crowd",
        ];
        Ok(arguments.map(str::to_owned).to_vec())
    })
    .await?;
    let mut clients = Vec::new();
    for token in tokens {
        clients.push(Client::modest(daemon.connect().await?, token, EVERY));
    }
    good::call_for(&clients, WARM_UP).await?;
    let mut before = good::call_for(&clients, ROUND).await?;
    let memory_before = daemon.memory()?;
    let refused_before = refused(&daemon)?;

    let crowd = tried::crowd(&daemon.address(), &greedy, count)?;
    tokio::time::sleep(WARM_UP).await;
    let mut during = good::call_for(&clients, ROUND).await?;
    let memory_during = daemon.memory()?;
    let files = daemon.open_files()?;
    let tries = crowd.end().await;
    tokio::time::sleep(CALM).await;
    let mut after = good::call_for(&clients, ROUND).await?;
    let memory_after = daemon.memory()?;
    let refused = refused(&daemon)?;
    daemon.stop()?;
    drop(issuer);

    let (p50, p99) = (during.at(50) / before.at(50), during.at(99) / before.at(99));
    writeln!(out, "{}", seen::head(&format!("{GOOD} good clients")))?;
    for (name, seen, memory) in [
        ("alone", &mut before, memory_before.now),
        ("among the bad", &mut during, memory_during.most),
        ("alone again", &mut after, memory_after.now),
    ] {
        writeln!(out, "{name:<40} {} {}", seen.shown(), megabytes(memory))?;
    }
    writeln!(
        out,
        "{:<40} {p50:>8.2}x {p99:>8.2}x",
        "among the bad / alone"
    )?;
    writeln!(
        out,
        "{count} bad ones; the daemon had {files} files open; of its memory the highest is shown \
         among the bad"
    )?;
    show(out, &tries)?;
    for (name, count) in refused {
        let earlier = refused_before.iter().find(|(other, _)| *other == name);
        let more = count - earlier.map_or(0, |(_, count)| *count);
        if more > 0 {
            writeln!(out, "{name:<64} {more:>8}")?;
        }
    }
    Ok(())
}

/// How often the daemon refused something, and for what.
fn refused(daemon: &Daemon) -> Result<Vec<(String, u64)>, Failure> {
    let mut all = Vec::new();
    for name in REFUSED {
        let counted = daemon.counted(name)?.into_iter();
        all.extend(counted.map(|(labels, count)| (format!("{name}{labels}"), count)));
    }
    Ok(all)
}

fn show(out: &mut impl Write, tries: &Tries) -> Result<(), Failure> {
    writeln!(
        out,
        "{:<40} {:>8} {:>8} {:>8}",
        "what the bad came to", "tries", "refused", "done"
    )?;
    for kind in Kind::ALL {
        let (tries, refused, done) = tries.of(kind);
        writeln!(out, "{:<40} {tries:>8} {refused:>8} {done:>8}", kind.name())?;
    }
    Ok(())
}
