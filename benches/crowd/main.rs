//! What a crowd costs: the daemon's memory for each of 10,000 watchers who wait, and what writers feel
//! of them; and what good clients feel of 1,000 bad ones who send nothing, a little, garbage, calls
//! they take back, wrong tokens, signed ones of unknown keys, or far more calls than they may, who hold
//! watches of health, or open connections from one address; and what becomes of more questions than can be
//! answered. The real binary on a real disk, with and without the crowd in the same run. `cargo bench --bench crowd`
//! takes about three minutes; behind `--` the words `watchers`, `bad` and `overload` choose one part, and a number
//! says how large the crowd is.

use std::{
    env,
    error::Error,
    io::{self, Write as _},
};

mod bad;
mod daemon;
mod good;
mod overload;
#[path = "../speed/process.rs"]
mod process;
mod seen;
mod tried;
mod watchers;
#[path = "../speed/writing.rs"]
mod writing;

/// How many watchers there are.
const WATCHERS: usize = 10_000;
/// How many bad clients.
const BAD: usize = 1_000;
/// How many who ask at once.
const ASKING: usize = 1_000;

/// What may go wrong.
type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (mut parts, mut count) = (Vec::new(), None);
    for word in env::args().skip(1).filter(|it| !it.starts_with("--")) {
        match word.replace('_', "").parse::<usize>() {
            Ok(number) => count = Some(number),
            Err(_) => parts.push(word),
        }
    }
    let is_chosen = |part: &str| parts.is_empty() || parts.iter().any(|it| it == part);
    let files = daemon::allow_files()?;
    let mut out = io::stdout().lock();
    writeln!(out, "{files} files may be open in each process")?;
    if is_chosen("watchers") {
        watchers::measure(&mut out, count.unwrap_or(WATCHERS)).await?;
    }
    if is_chosen("bad") {
        bad::measure(&mut out, count.unwrap_or(BAD)).await?;
    }
    if is_chosen("overload") {
        overload::measure(&mut out, count.unwrap_or(ASKING)).await?;
    }
    Ok(())
}
