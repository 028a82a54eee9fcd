//! Turns for what takes long: so many questions are worked out at a time, and the others wait in
//! lines, one a caller, which are served one after another. Whoever asks much waits behind itself
//! and not before others. A line that never gets empty helps nobody and only costs time, so who comes
//! to one is soon sent away, and what is answered was asked a moment ago.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZero,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::{call::Call, status, stopping};

/// How many turns there are at least, so that one that waits for a disk does not hold up all.
const TURNS_MIN: usize = 2;
/// How many there are at most: each may hold a long history and its answer in memory.
const TURNS_MAX: usize = 16;
/// How long a call waits for a turn, in a line that was empty not long before.
const CALM_WAIT: Duration = Duration::from_secs(2);
/// How long it waits in a line that has stood for as long as that.
const BUSY_WAIT: Duration = Duration::from_millis(100);
/// How long a turn is held out to a stream.
const OFFER_TIME: Duration = Duration::from_millis(100);
/// How many calls of one caller wait at most.
const LINE_MAX: usize = 1_024;

/// Of questions.
static QUESTIONS: LazyLock<Arc<Turns>> = LazyLock::new(|| Turns::new(turns()));
/// Of steps of streams. Their readers go on for as long as they like, and are not to stand before questions.
static STEPS: LazyLock<Arc<Turns>> = LazyLock::new(|| Turns::new(turns()));

/// How many are worked out at a time: as many as there are processors. More only take these from each other, from the
/// writer and from calls that take no turn.
fn turns() -> usize {
    let processors = thread::available_parallelism().map_or(TURNS_MIN, NonZero::get);
    processors.clamp(TURNS_MIN, TURNS_MAX)
}

/// The right to work something out, given to the next one when it is dropped.
pub(super) struct Turn(Option<Arc<Turns>>);

/// Turns, and those who wait for one.
struct Turns(Mutex<State>);

struct State {
    free: usize,
    /// By caller; none is empty.
    lines: HashMap<Arc<str>, Line>,
    /// Whose line is served next: each that has one, once.
    order: VecDeque<Arc<str>>,
}

/// The calls of one caller that wait, and some that have given up.
struct Line {
    since: Instant,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// Waits for a turn for the call that this task answers. Who would wait too long is told to come again
/// later.
pub(super) async fn take() -> Result<Turn, Status> {
    let turn = QUESTIONS.take(Call::current().caller()).await?;
    metrics::counter!("strata_questions_begun_total").increment(1);
    Ok(turn)
}

/// The same for one step of a stream, for as long as it takes: its reader sets the pace.
pub(super) async fn take_for_step(call: &Call) -> Result<Turn, Status> {
    STEPS.take_patiently(call.caller()).await
}

impl Turns {
    fn new(free: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            free,
            lines: HashMap::new(),
            order: VecDeque::new(),
        })))
    }

    async fn take(self: &Arc<Self>, caller: &Arc<str>) -> Result<Turn, Status> {
        let (turn, wait_max) = match self.queue(caller) {
            Queued::Taken(turn) => return Ok(turn),
            Queued::TooLong => return Err(status::overloaded()),
            Queued::Waits(turn, wait_max) => (turn, wait_max),
        };
        match tokio::time::timeout(wait_max, turn).await {
            Ok(turn) => turn.map_err(|_| stopping()),
            Err(_) => Err(status::overloaded()),
        }
    }

    async fn take_patiently(self: &Arc<Self>, caller: &Arc<str>) -> Result<Turn, Status> {
        loop {
            let turn = match self.queue(caller) {
                Queued::Taken(turn) => return Ok(turn),
                Queued::TooLong => return Err(status::overloaded()),
                Queued::Waits(turn, _) => turn,
            };
            let offer = Arc::new(Offer::default());
            let making = AbortOnDropHandle::new(tokio::spawn(offer.clone().make(turn)));
            offer.changed.notified().await;
            if let Some(turn) = offer.take() {
                return Ok(turn);
            }
            if making.await.is_err() {
                return Err(stopping());
            }
        }
    }

    /// Takes a turn that is free, or a place at the end of the caller's line.
    fn queue(self: &Arc<Self>, caller: &Arc<str>) -> Queued {
        let mut state = self.lock();
        if state.free > 0 {
            state.free -= 1;
            return Queued::Taken(Turn(Some(self.clone())));
        }
        let State { lines, order, .. } = &mut *state;
        let line = lines.entry(caller.clone()).or_insert_with(|| {
            order.push_back(caller.clone());
            Line {
                since: Instant::now(),
                waiting: VecDeque::new(),
            }
        });
        if line.waiting.len() >= LINE_MAX {
            line.waiting.retain(|it| !it.is_closed());
        }
        if line.waiting.len() >= LINE_MAX {
            return Queued::TooLong;
        }
        let (next, turn) = oneshot::channel();
        line.waiting.push_back(next);
        let is_busy = line.since.elapsed() >= CALM_WAIT;
        Queued::Waits(turn, if is_busy { BUSY_WAIT } else { CALM_WAIT })
    }

    /// Gives a turn that has ended to the next who still waits.
    fn pass_on(self: &Arc<Self>) {
        loop {
            let Some(next) = self.lock().next() else {
                return;
            };
            match next.send(Turn(Some(self.clone()))) {
                Ok(()) => return,
                // Gave up just now: it must not be passed on once more.
                Err(mut unwanted) => unwanted.0 = None,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn that came to a stream. That is asked for more only while its reader takes what it sends, and a turn that it
/// does not take up must not be kept from all others.
#[derive(Default)]
struct Offer {
    turn: Mutex<Option<Turn>>,
    changed: Notify,
}

impl Offer {
    /// Waits for the turn and holds it out for a while.
    async fn make(self: Arc<Self>, turn: oneshot::Receiver<Turn>) {
        if let Ok(turn) = turn.await {
            *self.lock() = Some(turn);
            self.changed.notify_one();
            tokio::time::sleep(OFFER_TIME).await;
            drop(self.take());
        }
        self.changed.notify_one();
    }

    fn take(&self) -> Option<Turn> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Turn>> {
        // Nothing panics while it is held.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next who waits, of the next caller; without any, the turn is free.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(caller) = self.order.pop_front() {
            let Some(line) = self.lines.get_mut(&caller) else {
                continue;
            };
            let waits = |line: &mut Line| loop {
                match line.waiting.pop_front() {
                    Some(gone) if gone.is_closed() => {}
                    next => return next,
                }
            };
            let next = waits(line);
            if line.waiting.is_empty() {
                self.lines.remove(&caller);
            } else {
                self.order.push_back(caller);
            }
            if next.is_some() {
                return next;
            }
        }
        self.free += 1;
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

/// What becomes of a call that wants a turn.
enum Queued {
    Taken(Turn),
    Waits(oneshot::Receiver<Turn>, Duration),
    TooLong,
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn turns(free: usize) -> (Arc<Turns>, Arc<str>, Arc<str>) {
        (Turns::new(free), "greedy".into(), "modest".into())
    }

    #[track_caller]
    fn taken(turns: &Arc<Turns>, caller: &Arc<str>) -> Turn {
        match turns.queue(caller) {
            Queued::Taken(turn) => turn,
            Queued::Waits(..) | Queued::TooLong => panic!("no turn is free"),
        }
    }

    #[track_caller]
    fn waits(turns: &Arc<Turns>, caller: &Arc<str>) -> (oneshot::Receiver<Turn>, Duration) {
        match turns.queue(caller) {
            Queued::Waits(turn, wait_max) => (turn, wait_max),
            Queued::Taken(_) | Queued::TooLong => panic!("it does not wait"),
        }
    }

    #[tokio::test]
    async fn a_caller_with_many_questions_waits_behind_itself_and_not_before_others() {
        let (turns, greedy, modest) = turns(1);
        let first = taken(&turns, &greedy);
        let mut many: Vec<_> = (0..100).map(|_| waits(&turns, &greedy).0).collect();
        let (mut one, _) = waits(&turns, &modest);
        drop(first);
        let second = many[0].try_recv().expect("the greedy one came first");
        assert!(one.try_recv().is_err());
        drop(second);
        let third = one.try_recv().expect("then it is the other's turn");
        assert!(many[1].try_recv().is_err());
        drop(third);
        drop(many[1].try_recv().expect("and then the greedy one's again"));
    }

    #[tokio::test]
    async fn who_has_gone_gets_no_turn_and_holds_up_nobody() {
        let (turns, greedy, modest) = turns(1);
        let first = taken(&turns, &greedy);
        for _ in 0..10 * LINE_MAX {
            drop(waits(&turns, &greedy));
        }
        let (mut one, _) = waits(&turns, &modest);
        drop(first);
        let second = one.try_recv().expect("the only one that waits");
        drop(second);
        assert_eq!(turns.lock().free, 1);
        assert!(turns.lock().lines.is_empty());
    }

    #[tokio::test]
    async fn a_turn_that_came_when_its_caller_left_goes_to_the_next() {
        let (turns, greedy, modest) = turns(1);
        let first = taken(&turns, &greedy);
        let (given, _) = waits(&turns, &greedy);
        drop(first);
        let (mut one, _) = waits(&turns, &modest);
        drop(given);
        drop(one.try_recv().expect("passed on"));
        assert_eq!(turns.lock().free, 1);
    }

    #[tokio::test]
    async fn a_turn_that_a_stream_does_not_take_up_goes_to_the_next_and_the_stream_has_another() {
        let (turns, greedy, modest) = turns(1);
        let first = taken(&turns, &greedy);
        let mut unread = pin!(turns.take_patiently(&greedy));
        let asked_once = tokio::time::timeout(Duration::ZERO, &mut unread).await;
        assert!(asked_once.is_err(), "it waits");
        drop(first);
        let second = turns.take_patiently(&modest).await.expect("not kept");
        let asked_again = tokio::time::timeout(Duration::ZERO, &mut unread).await;
        assert!(asked_again.is_err(), "it waits anew");
        drop(second);
        drop(unread.await.expect("its turn"));
        assert_eq!(turns.lock().free, 1);
    }

    #[tokio::test]
    async fn a_line_has_an_end() {
        let (turns, greedy, modest) = turns(1);
        let _first = taken(&turns, &greedy);
        let _many: Vec<_> = (0..LINE_MAX).map(|_| waits(&turns, &greedy)).collect();
        let refused = turns.take(&greedy).await.err().expect("too long a line");
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        waits(&turns, &modest);
    }

    #[tokio::test]
    async fn who_comes_to_a_line_that_never_gets_empty_is_soon_sent_away() {
        let (turns, greedy, modest) = turns(1);
        let turn = taken(&turns, &greedy);
        let (_first, wait_max) = waits(&turns, &greedy);
        assert_eq!(wait_max, CALM_WAIT);
        for line in turns.lock().lines.values_mut() {
            line.since -= CALM_WAIT;
        }
        let (_second, wait_max) = waits(&turns, &greedy);
        assert_eq!(wait_max, BUSY_WAIT);
        // That is no fault of others.
        let (_other, wait_max) = waits(&turns, &modest);
        assert_eq!(wait_max, CALM_WAIT);
        let refused = turns.take(&greedy).await.err().expect("sent away");
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        drop(turn);
    }
}
