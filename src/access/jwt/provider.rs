//! Who signs tokens for callers: its keys as they are now, and what they have verified. A thread of its
//! own fetches keys; whoever calls with a key that is not known yet waits for it, as far as there is room.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::timeout,
};

use super::{
    Refused, Settings, Source, Verified,
    authorities::Authorities,
    keys::{KeySet, SET_BYTES_MAX},
    verify,
};
use crate::access::follow::{Changes, FileError, Followed, Reading};

/// When keys are fetched.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// How often in any case, so that one that was withdrawn is believed no longer.
    every: Duration,
    /// How soon again when a fetch failed.
    retry: Duration,
    /// How soon after a fetch a key that is not known leads to another, whatever callers send.
    ask: Duration,
    /// How long a fetch may take.
    timeout: Duration,
}

const PACE: Pace = Pace {
    every: Duration::from_secs(600),
    retry: Duration::from_secs(30),
    ask: Duration::from_secs(10),
    timeout: Duration::from_secs(10),
};

/// How many callers may wait for keys at once: those of a busy moment after the issuer changed its key.
/// Whoever comes then is told to try again, and holds nothing meanwhile.
const WAITING_MAX: usize = 64;

/// How many doubtful tokens may wait for their turn at once: tenths of a second of one processor.
const IN_LINE_MAX: usize = 64;
/// How long one may wait for it.
const IN_LINE_TIME: Duration = Duration::from_secs(1);

/// How many verified tokens are remembered: the callers of some minutes.
const VERIFIED_MAX: usize = 10_000;

/// Who signs tokens for callers.
#[derive(Debug)]
pub struct Provider {
    settings: Settings,
    keys: Keys,
    /// The turn to verify a token that comes from where too many were refused: one at a time, so that
    /// whoever sends them takes one processor at most, and a good one among them has its turn soon.
    doubtful: Semaphore,
    /// Places to wait for that turn.
    in_line: Semaphore,
}

#[derive(Debug)]
enum Keys {
    InFile(Followed<InForce>),
    Fetched(Fetched),
}

/// Keys, and the tokens whose signatures they have verified, by the hashes of those.
struct InForce {
    bytes_hash: [u8; 32],
    set: KeySet,
    verified: Cache<[u8; 32], Arc<Verified>>,
}

#[derive(Debug)]
struct Fetched {
    shared: Arc<Shared>,
    /// Asks the thread to fetch. Dropped, it ends the thread.
    asks: mpsc::SyncSender<()>,
    /// Places to wait for a fetch.
    waiting: Semaphore,
}

#[derive(Debug)]
struct Shared {
    url: String,
    authorities: Option<Authorities>,
    pace: Pace,
    current: ArcSwap<InForce>,
    changes: Changes,
    state: Mutex<State>,
    /// How many fetches have ended.
    rounds: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    is_under_way: bool,
    ended: Instant,
}

impl Provider {
    /// Reads the keys, or begins to fetch them. Other keys count as a change.
    pub fn open(settings: Settings, changes: Changes) -> Result<Self, FileError> {
        Self::open_at(settings, PACE, changes)
    }

    fn open_at(settings: Settings, pace: Pace, changes: Changes) -> Result<Self, FileError> {
        let keys = match &settings.keys {
            Source::File(path) => {
                let reading = Reading {
                    path: path.clone(),
                    what: "the JWK set",
                    bytes_max: SET_BYTES_MAX,
                    parse: |bytes| InForce::parse(bytes).map_err(|error| error.to_string()),
                };
                Keys::InFile(Followed::open(reading, changes)?)
            }
            Source::Url(url) => {
                let authorities = settings.keys_ca_file.clone().map(Authorities);
                if let Some(authorities) = &authorities {
                    authorities.check()?;
                }
                let thread = |source| FileError::Unreadable {
                    path: url.into(),
                    source,
                };
                Keys::Fetched(Fetched::begin(url, authorities, pace, changes).map_err(thread)?)
            }
        };
        Ok(Self {
            settings,
            keys,
            doubtful: Semaphore::new(1),
            in_line: Semaphore::new(IN_LINE_MAX),
        })
    }

    /// Verifies a token now. Waits for keys only where it names one that is not known, seconds at most.
    /// One that is doubtful waits for its turn only.
    pub async fn verify(
        &self,
        token: &str,
        is_doubtful: bool,
        now_seconds: u64,
    ) -> Result<Arc<Verified>, Refused> {
        // Before the keys are looked at: what is fetched meanwhile was not looked at.
        let rounds = self.rounds();
        let verdict = self.verify_with_keys_at_hand(token, is_doubtful, now_seconds);
        match verdict.await {
            Err(Refused::UnknownKey) if is_doubtful => {
                self.ask_for_keys();
                Err(Refused::UnknownKey)
            }
            Err(Refused::UnknownKey) => {
                self.fetch_since(rounds).await?;
                self.verify_with_keys_at_hand(token, is_doubtful, now_seconds)
                    .await
            }
            verdict => verdict,
        }
    }

    async fn verify_with_keys_at_hand(
        &self,
        token: &str,
        is_doubtful: bool,
        now_seconds: u64,
    ) -> Result<Arc<Verified>, Refused> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let keys = self.keys_at_hand();
        if let Some(verified) = keys.verified.get(&hash) {
            // `nbf` is past, for time only goes on; a clock that was put back makes no difference.
            if now_seconds < verified.until_seconds {
                return Ok(verified);
            }
            keys.verified.remove(&hash);
            return Err(Refused::Expired);
        }
        let _turn = if is_doubtful {
            Some(self.turn().await?)
        } else {
            None
        };
        let keys = self.keys_at_hand();
        let verified = Arc::new(verify(token, &keys.set, &self.settings, now_seconds)?);
        keys.verified.insert(hash, Arc::clone(&verified));
        Ok(verified)
    }

    fn keys_at_hand(&self) -> Arc<InForce> {
        match &self.keys {
            Keys::InFile(followed) => followed.current(),
            Keys::Fetched(fetched) => fetched.shared.current.load_full(),
        }
    }

    /// The turn of a doubtful token. It waits in line for it, for the bad ones are no reason to refuse a
    /// good one that comes with them, if the line is not too long.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Refused> {
        if let Ok(turn) = self.doubtful.try_acquire() {
            return Ok(turn);
        }
        let _place = self.in_line.try_acquire().map_err(|_| Refused::Doubtful)?;
        match timeout(IN_LINE_TIME, self.doubtful.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Refused::Doubtful),
        }
    }

    /// How many fetches have ended.
    fn rounds(&self) -> u64 {
        match &self.keys {
            Keys::InFile(_) => 0,
            Keys::Fetched(fetched) => fetched.rounds(),
        }
    }

    /// Has keys be fetched, if that is due.
    fn ask_for_keys(&self) {
        match &self.keys {
            Keys::InFile(_) => {}
            Keys::Fetched(fetched) => _ = fetched.ask(),
        }
    }

    /// Waits until more than so many fetches have ended, if there is one and room to wait for it.
    async fn fetch_since(&self, rounds: u64) -> Result<(), Refused> {
        match &self.keys {
            // It is looked at every second anyway.
            Keys::InFile(_) => Err(Refused::UnknownKey),
            Keys::Fetched(fetched) => fetched.since(rounds).await,
        }
    }
}

impl InForce {
    fn parse(bytes: &[u8]) -> Result<Self, super::keys::BadKeySet> {
        Ok(Self::of(KeySet::parse(bytes)?, bytes))
    }

    fn of(set: KeySet, bytes: &[u8]) -> Self {
        Self {
            bytes_hash: Sha256::digest(bytes).into(),
            set,
            verified: Cache::new(VERIFIED_MAX),
        }
    }
}

impl Fetched {
    fn begin(
        url: &str,
        authorities: Option<Authorities>,
        pace: Pace,
        changes: Changes,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            url: url.to_owned(),
            authorities,
            pace,
            current: ArcSwap::from_pointee(InForce::of(KeySet::default(), &[])),
            changes,
            state: Mutex::new(State {
                // Whoever calls before the first fetch has ended waits for it.
                is_under_way: true,
                ended: Instant::now(),
            }),
            rounds: watch::Sender::new(0),
        });
        let (asks, asked) = mpsc::sync_channel(1);
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("access-keys".to_owned())
            .spawn(move || of_thread.run(&asked))?;
        Ok(Self {
            shared,
            asks,
            waiting: Semaphore::new(WAITING_MAX),
        })
    }

    /// Begins a fetch if one is due; whether one is under way.
    fn ask(&self) -> bool {
        let mut state = self.shared.state();
        if !state.is_under_way {
            if state.ended.elapsed() < self.shared.pace.ask {
                return false;
            }
            state.is_under_way = true;
            // There is room, for whoever asked before is answered; and the thread lives.
            self.asks.try_send(()).ok();
        }
        true
    }

    fn rounds(&self) -> u64 {
        *self.shared.rounds.borrow()
    }

    async fn since(&self, rounds: u64) -> Result<(), Refused> {
        if self.rounds() != rounds {
            return Ok(());
        }
        if !self.ask() {
            // One may have ended before it was asked for.
            let has_ended = self.rounds() != rounds;
            return has_ended.then_some(()).ok_or(Refused::UnknownKey);
        }
        let _place = self
            .waiting
            .try_acquire()
            .map_err(|_| Refused::KeysAwaited)?;
        let mut seen = self.shared.rounds.subscribe();
        let ended = seen.wait_for(|now| *now != rounds);
        match timeout(2 * self.shared.pace.timeout, ended).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Refused::UnknownKey),
        }
    }
}

impl Shared {
    fn run(&self, asked: &mpsc::Receiver<()>) {
        loop {
            self.state().is_under_way = true;
            let fetched = self.fetch();
            let wait = if fetched.is_ok() {
                self.pace.every
            } else {
                self.pace.retry
            };
            if let Err(error) = fetched {
                tracing::error!(
                    "cannot fetch the keys by which tokens are checked from {}: {error}; those \
                     fetched before stay in force",
                    self.url
                );
            }
            {
                let mut state = self.state();
                state.is_under_way = false;
                state.ended = Instant::now();
                // Within, so that whoever finds none under way finds that it has ended.
                self.rounds.send_modify(|rounds| *rounds += 1);
            }
            if asked.recv_timeout(wait) == Err(mpsc::RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    fn fetch(&self) -> Result<(), FetchError> {
        let bytes = get(&self.url, self.authorities.as_ref(), self.pace.timeout)?;
        let fetched = InForce::parse(&bytes)?;
        // The same keys have verified what they have verified.
        if self.current.load().bytes_hash != fetched.bytes_hash {
            tracing::info!("the keys {:?} of {} are in force", fetched.set, self.url);
            self.current.store(Arc::new(fetched));
            self.changes.count_one();
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there are no new keys.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Http(#[from] Box<ureq::Error>),
    #[error(transparent)]
    Keys(#[from] super::keys::BadKeySet),
    #[error(transparent)]
    Authorities(#[from] FileError),
}

fn get(
    url: &str,
    authorities: Option<&Authorities>,
    timeout: Duration,
) -> Result<Vec<u8>, FetchError> {
    let is_https = url.starts_with("https:");
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        // One that leads elsewhere could lead to what is not protected.
        .max_redirects(0)
        .https_only(is_https);
    let config = match authorities {
        Some(authorities) => config.tls_config(authorities.trusted()?),
        None => config,
    };
    // This machine is reached without one.
    let config = if is_https { config } else { config.proxy(None) };
    let agent = config.build().new_agent();
    let mut response = agent.get(url).call().map_err(Box::new)?;
    let body = response.body_mut().with_config().limit(SET_BYTES_MAX);
    Ok(body.read_to_vec().map_err(Box::new)?)
}

/// Without the tokens.
impl fmt::Debug for InForce {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "InForce({:?})", self.set)
    }
}

#[cfg(test)]
mod tests;
