//! Following the log across restarts of the daemon: each commit once, in order, none left out. A watch
//! that lost its daemon begins again where it stands, and makes sure that the log there is the one that
//! it has read so far. One whose token was withdrawn goes on with another that is in its file by then.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::time::{sleep, timeout};
use tonic::{
    Code, Status, Streaming,
    metadata::{Ascii, MetadataValue},
};

use super::{Client, pause::Pauses, refusal::Refusal};
use crate::proto::{
    ErrorReason, LogEntry, WatchRequest, WatchResponse, watch_request::Start,
    watch_response::Response,
};

/// What a watch tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Watched {
    /// A commit that matches: each once, in the order of their positions.
    Commit(LogEntry),
    /// The head was reached as it was when the watch began or went on: what follows is live.
    CaughtUp {
        /// Everything that matches up to this position has been told.
        position: u64,
    },
    /// A place to begin a later watch from, also in another process.
    Checkpoint {
        /// Everything that matches up to this position has been told.
        position: u64,
        /// What `Start::Bookmark` takes.
        bookmark: Bytes,
    },
    /// The daemon was lost and found again. Nothing was missed.
    Reconnected {
        /// How it was lost.
        lost: Refusal,
        /// Everything that matches up to this position has been told.
        position: u64,
    },
}

/// Why a watch ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The log is not the one that was read so far: another one, or one restored from a time before.
    /// What was read must be read again from the start.
    #[error(
        "the log is another one than was watched up to position {position}: read it again from the start"
    )]
    LogDiverged {
        /// What was read of the log that is gone.
        position: u64,
    },
    /// The daemon refuses; trying again does not help.
    #[error("{0}")]
    Refused(Refusal),
    /// The daemon was away for longer than the client's patience.
    #[error("given up after {attempts} attempts at position {position}: {refusal}")]
    GivenUp {
        /// How often it was tried.
        attempts: u32,
        /// Everything that matches up to this position has been told; 0: nothing was.
        position: u64,
        /// What the last attempt ended in.
        refusal: Refusal,
    },
}

/// A watch that goes on by itself: a stream of [`Watched`] that ends only with an error.
#[must_use = "it tells nothing unless it is asked"]
pub struct Watch {
    told: Pin<Box<dyn Stream<Item = Result<Watched, WatchError>> + Send>>,
}

impl Client {
    /// Watches the log from where the request says, and returns once that place is fixed: what is
    /// recorded from then on is told, `from_now` as well.
    ///
    /// ```no_run
    /// # use strata::{client::{Client, watch::{Watched, WatchError}}, proto::WatchRequest};
    /// # async fn example(client: Client) -> Result<(), WatchError> {
    /// let mut watch = client.watch(WatchRequest::default()).await?;
    /// loop {
    ///     match watch.next().await? {
    ///         Watched::Commit(entry) => println!("position {}", entry.position),
    ///         // Kept somewhere, this begins the next watch after a restart of one's own.
    ///         Watched::Checkpoint { bookmark, .. } => drop(bookmark),
    ///         Watched::CaughtUp { .. } | Watched::Reconnected { .. } => {}
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn watch(&self, request: WatchRequest) -> Result<Watch, WatchError> {
        let mut follower = Follower {
            client: self.clone(),
            request,
            place: Place::default(),
            shown: None,
        };
        let mut trials = Trials::new(self);
        let (mut messages, first) = loop {
            let refusal = match follower.open_and_hear().await {
                Ok(opened) => break opened,
                Err(refusal) => refusal,
            };
            trials.after(refusal, &follower).await?;
        };
        let told = async_stream::try_stream! {
            for told in follower.place.take(first)? {
                yield told;
            }
            loop {
                let lost = match messages.message().await {
                    Ok(Some(message)) => {
                        trials = Trials::new(&follower.client);
                        for told in follower.place.take(message)? {
                            yield told;
                        }
                        continue;
                    }
                    Ok(None) => Refusal::from(Status::unavailable("the stream ended")),
                    Err(status) => Refusal::from(status),
                };
                trials.after(lost.clone(), &follower).await?;
                messages = follower.reopen(&mut trials).await?;
                yield Watched::Reconnected {
                    lost,
                    position: follower.place.position,
                };
            }
        };
        Ok(Watch {
            told: Box::pin(told),
        })
    }
}

impl Watch {
    /// What is told next. May be dropped and called again without losing anything.
    pub async fn next(&mut self) -> Result<Watched, WatchError> {
        match self.told.next().await {
            Some(told) => told,
            // Only after an error, which was told.
            None => Err(WatchError::Refused(Refusal::from(Status::cancelled(
                "the watch has ended",
            )))),
        }
    }
}

impl Stream for Watch {
    type Item = Result<Watched, WatchError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.told.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Watch")
    }
}

/// What follows the log.
struct Follower {
    client: Client,
    request: WatchRequest,
    place: Place,
    /// The credentials that the last stream was opened with.
    shown: Option<MetadataValue<Ascii>>,
}

/// Where a watch stands.
#[derive(Debug, Default)]
struct Place {
    /// Everything that matches up to this position has been told.
    position: u64,
    /// Whether the daemon has said anything yet: where the watch began is fixed from then on.
    is_fixed: bool,
    /// The last bookmark and its position.
    bookmark: Option<(u64, Bytes)>,
    /// The last commit that was told, and its hash.
    last: Option<(u64, Hash)>,
    /// Whether the last commit must come again before anything new does, to show that the log is the same.
    is_to_confirm: bool,
}

type Hash = [u8; 32];

/// The attempts at one thing, with the pauses between them.
struct Trials {
    count: u32,
    pauses: Pauses,
}

impl Follower {
    async fn open(&mut self) -> Result<Streaming<WatchResponse>, Refusal> {
        let request = WatchRequest {
            start: self.place.start(&self.request),
            ..self.request.clone()
        };
        self.shown = self.client.credentials.shown_now();
        let limit = self.client.call_timeout;
        let mut history = self.client.history();
        match timeout(limit, history.watch(request)).await {
            Ok(answered) => Ok(answered?.into_inner()),
            Err(_) => Err(Refusal::of_silence(limit)),
        }
    }

    /// Opens a stream, and waits for the first thing that the daemon says.
    async fn open_and_hear(
        &mut self,
    ) -> Result<(Streaming<WatchResponse>, WatchResponse), Refusal> {
        let mut messages = self.open().await?;
        let first = messages.message().await?;
        let first = first.ok_or_else(|| Status::unavailable("the stream ended"))?;
        Ok((messages, first))
    }

    /// Whether others are at hand by now than those that were refused.
    fn has_other_credentials(&self) -> bool {
        let now = self.client.credentials.shown_now();
        now.is_some() && now != self.shown
    }

    async fn reopen(
        &mut self,
        trials: &mut Trials,
    ) -> Result<Streaming<WatchResponse>, WatchError> {
        loop {
            match self.open().await {
                Ok(messages) => return Ok(messages),
                Err(refusal) => trials.after(refusal, self).await?,
            }
        }
    }
}

impl Place {
    /// Where to begin or go on. From a bookmark, or from the last commit, which then comes again.
    fn start(&mut self, asked: &WatchRequest) -> Option<Start> {
        let bookmarked = self.bookmark.as_ref().map(|(position, _)| *position);
        self.is_to_confirm = self.last.is_some_and(|(last, _)| bookmarked < Some(last));
        match (&self.bookmark, self.last) {
            (Some((_, bookmark)), _) => Some(Start::Bookmark(bookmark.clone())),
            (None, Some((last, _))) => Some(Start::FromPosition(last)),
            (None, None) if self.is_fixed => Some(Start::FromPosition(self.position + 1)),
            (None, None) => asked.start.clone(),
        }
    }

    /// What a message adds to what was told.
    fn take(&mut self, message: WatchResponse) -> Result<Vec<Watched>, WatchError> {
        self.is_fixed = true;
        let mut told = Vec::new();
        match message.response {
            Some(Response::Entries(entries)) => {
                for entry in entries.entries {
                    if let Some(commit) = self.take_commit(entry)? {
                        told.push(Watched::Commit(commit));
                    }
                }
            }
            Some(Response::CaughtUp(caught_up)) => {
                // A log that is shorter than what was read of it.
                if self.is_to_confirm || caught_up.position < self.position {
                    return Err(self.diverged());
                }
                self.position = caught_up.position;
                told.push(Watched::CaughtUp {
                    position: caught_up.position,
                });
            }
            // One from before the place reached is behind what was told already.
            Some(Response::Checkpoint(checkpoint)) if checkpoint.position >= self.position => {
                if self.is_to_confirm {
                    return Err(self.diverged());
                }
                self.position = checkpoint.position;
                self.bookmark = Some((checkpoint.position, checkpoint.bookmark.clone()));
                told.push(Watched::Checkpoint {
                    position: checkpoint.position,
                    bookmark: checkpoint.bookmark,
                });
            }
            // What a newer daemon says besides.
            Some(Response::Checkpoint(_)) | None => {}
        }
        Ok(told)
    }

    fn take_commit(&mut self, entry: LogEntry) -> Result<Option<LogEntry>, WatchError> {
        let hash: Hash = Sha256::digest(&entry.commit).into();
        if let Some((last, expected)) = self.last.filter(|_| self.is_to_confirm) {
            if entry.position < last {
                return Ok(None);
            }
            if (entry.position, hash) != (last, expected) {
                return Err(self.diverged());
            }
            self.is_to_confirm = false;
            return Ok(None);
        }
        if entry.position <= self.position {
            return Err(self.diverged());
        }
        self.position = entry.position;
        self.last = Some((entry.position, hash));
        Ok(Some(entry))
    }

    fn diverged(&self) -> WatchError {
        WatchError::LogDiverged {
            position: self.position,
        }
    }
}

impl Trials {
    fn new(client: &Client) -> Self {
        Self {
            count: 0,
            pauses: Pauses::within(client.patience),
        }
    }

    /// Waits for the next attempt, unless there is to be none.
    async fn after(&mut self, refusal: Refusal, follower: &Follower) -> Result<(), WatchError> {
        self.count += 1;
        let place = &follower.place;
        let reason = refusal.known_reason();
        if place.is_fixed && is_divergence(&refusal) {
            return Err(place.diverged());
        }
        let is_worth_it = refusal.is_passing()
            || refusal.is_unanswered()
            // The daemon may not have noticed yet that the watch before this one is gone.
            || (place.is_fixed && reason == Some(ErrorReason::WatchLimit))
            // A token that is renewed is in its file before the old one is withdrawn.
            || (reason == Some(ErrorReason::CredentialsInvalid)
                && follower.has_other_credentials());
        if !is_worth_it {
            return Err(WatchError::Refused(refusal));
        }
        let Some(pause) = self.pauses.next(refusal.retry_delay) else {
            return Err(WatchError::GivenUp {
                attempts: self.count,
                position: place.position,
                refusal,
            });
        };
        sleep(pause).await;
        Ok(())
    }
}

/// Whether a refusal to go on from a place means that the log no longer has it.
fn is_divergence(refusal: &Refusal) -> bool {
    let reason = refusal.known_reason();
    reason == Some(ErrorReason::LogDiverged)
        || (reason == Some(ErrorReason::BeyondHead) && refusal.code == Code::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::watch_response::{CaughtUp, Checkpoint, Entries};

    fn entries(commits: &[(u64, &'static str)]) -> WatchResponse {
        let entries = commits.iter().map(|(position, commit)| LogEntry {
            position: *position,
            commit: Bytes::from_static(commit.as_bytes()),
        });
        let entries = entries.collect();
        said(Response::Entries(Entries { entries }))
    }

    fn checkpoint(position: u64) -> WatchResponse {
        let bookmark = Bytes::from(format!("bookmark {position}"));
        said(Response::Checkpoint(Checkpoint { position, bookmark }))
    }

    fn caught_up(position: u64) -> WatchResponse {
        said(Response::CaughtUp(CaughtUp { position }))
    }

    fn said(response: Response) -> WatchResponse {
        WatchResponse {
            response: Some(response),
        }
    }

    fn asked() -> WatchRequest {
        WatchRequest {
            start: Some(Start::FromNow(true)),
            ..WatchRequest::default()
        }
    }

    /// A place at which these things were heard, from which the watch goes on.
    fn resumed(heard: Vec<WatchResponse>) -> (Place, Option<Start>) {
        let mut place = Place::default();
        for message in heard {
            place.take(message).expect("it is told");
        }
        let start = place.start(&asked());
        (place, start)
    }

    fn positions(told: Result<Vec<Watched>, WatchError>) -> Vec<u64> {
        let told = told.expect("the log is the same");
        let commits = told.into_iter().filter_map(|told| match told {
            Watched::Commit(entry) => Some(entry.position),
            Watched::CaughtUp { .. } | Watched::Checkpoint { .. } | Watched::Reconnected { .. } => {
                None
            }
        });
        commits.collect()
    }

    #[test]
    fn a_watch_begins_where_it_was_asked_to() {
        let (_, start) = resumed(vec![]);
        assert_eq!(start, Some(Start::FromNow(true)));
    }

    #[test]
    fn a_watch_from_now_goes_on_from_where_now_was() {
        let (_, start) = resumed(vec![caught_up(7)]);
        assert_eq!(start, Some(Start::FromPosition(8)));
    }

    #[test]
    fn without_a_bookmark_the_last_commit_comes_again_and_is_not_told_twice() {
        let (mut place, start) = resumed(vec![entries(&[(3, "a"), (5, "b")]), caught_up(6)]);
        assert_eq!(start, Some(Start::FromPosition(5)));
        assert_eq!(positions(place.take(entries(&[(5, "b"), (8, "c")]))), [8]);
    }

    #[test]
    fn from_a_bookmark_what_came_after_it_is_not_told_twice() {
        let heard = vec![
            entries(&[(3, "a")]),
            checkpoint(4),
            entries(&[(5, "b"), (6, "c")]),
        ];
        let (mut place, start) = resumed(heard);
        assert_eq!(start, Some(Start::Bookmark("bookmark 4".into())));
        assert_eq!(positions(place.take(entries(&[(5, "b")]))), [] as [u64; 0]);
        assert_eq!(positions(place.take(entries(&[(6, "c"), (7, "d")]))), [7]);
    }

    #[test]
    fn a_bookmark_that_covers_all_needs_nothing_again() {
        let (mut place, start) = resumed(vec![entries(&[(3, "a")]), checkpoint(4)]);
        assert_eq!(start, Some(Start::Bookmark("bookmark 4".into())));
        assert_eq!(positions(place.take(entries(&[(5, "b")]))), [5]);
    }

    #[test]
    fn a_log_that_is_another_one_ends_the_watch() {
        let heard = || {
            vec![
                entries(&[(3, "a")]),
                checkpoint(4),
                entries(&[(5, "b"), (6, "c")]),
            ]
        };
        for other in [
            entries(&[(5, "b"), (6, "another")]),
            entries(&[(5, "b"), (7, "d")]),
            caught_up(5),
            caught_up(9),
            checkpoint(9),
        ] {
            let (mut place, _) = resumed(heard());
            assert_eq!(
                place.take(other.clone()),
                Err(WatchError::LogDiverged { position: 6 }),
                "{other:?}"
            );
        }
    }

    #[test]
    fn a_log_that_is_shorter_ends_the_watch() {
        let (mut place, _) = resumed(vec![entries(&[(3, "a")]), checkpoint(4), caught_up(9)]);
        let diverged = Err(WatchError::LogDiverged { position: 9 });
        assert_eq!(place.take(caught_up(8)), diverged);
        let (mut place, _) = resumed(vec![entries(&[(3, "a")]), checkpoint(4), caught_up(9)]);
        assert_eq!(place.take(entries(&[(8, "x")])), diverged);
    }
}
