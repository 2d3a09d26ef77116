//! Legs that the session has let go: what was pulled for them is written out, then they are shut down in order.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::leg::{LegIo, poll_write_all};
use super::stream::LegStream;

/// How long to wait for the peer to close as well. A socket closed with unread data answers with a reset, and a reset
/// may overtake what the peer has not read yet.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// What a peer may still send into a closed leg before it is cut off.
const DISCARD_MAX: usize = 4 * 1024 * 1024;

#[derive(Debug)]
enum Stage {
    Write,
    Shutdown,
    Discard { rest: usize },
}

/// One leg on its way out.
#[derive(Debug)]
pub(super) struct Closing {
    stream: LegStream,
    outbox: VecDeque<Bytes>,
    stage: Stage,
    limit: Pin<Box<Sleep>>,
}

impl Closing {
    pub(super) fn new(leg: LegIo) -> Self {
        let (stream, outbox) = leg.into_parts();
        Self {
            stream,
            outbox,
            stage: Stage::Write,
            limit: Box::pin(tokio::time::sleep(CLOSE_WAIT)),
        }
    }

    /// Ready when the leg may be dropped.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.limit.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            match &mut self.stage {
                Stage::Write => {
                    match ready!(poll_write_all(&mut self.stream, &mut self.outbox, cx)) {
                        Ok(()) => self.stage = Stage::Shutdown,
                        Err(_) => return Poll::Ready(()),
                    }
                }
                Stage::Shutdown => match ready!(Pin::new(&mut self.stream).poll_shutdown(cx)) {
                    Ok(()) => self.stage = Stage::Discard { rest: DISCARD_MAX },
                    Err(_) => return Poll::Ready(()),
                },
                Stage::Discard { rest } => {
                    let mut scratch = [0; 4096];
                    let mut buffer = ReadBuf::new(&mut scratch);
                    if ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)).is_err() {
                        return Poll::Ready(());
                    }
                    let size = buffer.filled().len();
                    if size == 0 || size >= *rest {
                        return Poll::Ready(());
                    }
                    *rest -= size;
                }
            }
        }
    }
}
