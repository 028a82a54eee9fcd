//! The bytes of a connection, with or without TLS, and whether anything has been said over it yet. What is to
//! be sent waits a moment while other calls of the connection are under way: a group of commits answers many of
//! them at once, and what they send then goes out together.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf},
    net::TcpStream,
    sync::oneshot,
};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::gateway::standing::Standing;

/// The preface of HTTP/2 has as many bytes, and the head of every request over HTTP/1.1 more.
const PREFACE_BYTES: usize = 24;
/// What is sent at once: about thirty answers of writers, or one frame of a long message, which passes by.
const SENT_BYTES: usize = 16 << 10;
/// With so many calls under way, what is to be sent waits for what others have to send.
const WAITS_FROM_CALLS: usize = 2;

/// The bytes of a connection.
pub(super) struct Wire {
    /// HTTP/2 writes each message by itself that is not short.
    stream: BufWriter<Either<TcpStream, Box<TlsStream<TcpStream>>>>,
    read_bytes: usize,
    said: Option<oneshot::Sender<()>>,
    spoken: Option<oneshot::Receiver<()>>,
    standing: Arc<Standing>,
    /// Whether what is to be sent has waited for its turn.
    has_waited: bool,
}

impl Wire {
    pub(super) fn new(
        stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
        standing: Arc<Standing>,
    ) -> Self {
        let (said, spoken) = oneshot::channel();
        Self {
            stream: BufWriter::with_capacity(SENT_BYTES, stream),
            read_bytes: 0,
            said: Some(said),
            spoken: Some(spoken),
            standing,
            has_waited: false,
        }
    }

    /// Lets the tasks that are ready now go first, once: among them are those that answer the other calls.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let is_first = !std::mem::replace(&mut self.has_waited, true);
        if is_first
            && !self.stream.buffer().is_empty()
            && self.standing.open_calls() >= WAITS_FROM_CALLS
        {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Completes once enough was said to know which HTTP it is. To be asked once.
    pub(super) fn spoken(&mut self) -> impl Future<Output = ()> + use<> {
        let spoken = self.spoken.take();
        async {
            if let Some(spoken) = spoken {
                // A connection that has ended says no more.
                spoken.await.ok();
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if self.said.is_some() {
            self.read_bytes += buffer.filled().len() - before;
            if self.read_bytes >= PREFACE_BYTES
                && let Some(said) = self.said.take()
            {
                // Nobody listens when the connection is about to end.
                said.send(()).ok();
            }
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(context));
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.has_waited = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
