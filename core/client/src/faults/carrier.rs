//! Carries the bytes of one leg past the faults of its path.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, split,
};
use tokio::time::{Instant, sleep, sleep_until};

use super::condition::Seen;
use super::stream::{Fate, Life};
use crate::driver::LegStream;

/// Bytes on their way, per direction: about what kernel and network hold of a leg.
const ON_THE_WAY: usize = 256 * 1024;
const PIECE: usize = 16 * 1024;
/// For so long a leg that was let go of tries to deliver what was written; a kernel would for longer.
const LINGER: Duration = Duration::from_secs(30);

/// Until both directions have ended, or the leg is aborted, reset or broken.
pub(super) async fn carry(stream: LegStream, pipe: DuplexStream, path: Seen, fate: Arc<Fate>) {
    let (mut from_peer, mut to_peer) = split(stream);
    let (mut from_app, mut to_app) = split(pipe);
    let end = {
        let inward = async {
            tokio::select! {
                () = until(&fate, Life::Released) => Ok(()),
                ended = inward(&mut from_peer, &mut to_app, path.clone()) => ended,
            }
        };
        let outward = outward(&mut from_app, &mut to_peer, path.clone());
        let mut path = path.clone();
        tokio::select! {
            biased;
            () = until(&fate, Life::Aborted) => Err(io::ErrorKind::ConnectionAborted),
            () = path.reset() => Err(io::ErrorKind::ConnectionReset),
            () = lingered(&fate) => Err(io::ErrorKind::TimedOut),
            ended = async { tokio::try_join!(inward, outward) } => ended.map(drop),
        }
    };
    if let Err(kind) = end {
        // Before the pipe ends, which is with this task.
        fate.fail(kind);
        from_peer.unsplit(to_peer).abort();
    }
}

async fn until(fate: &Fate, life: Life) {
    // It lives as long as what is borrowed here.
    let _ = fate.life.subscribe().wait_for(|now| *now == life).await;
}

async fn lingered(fate: &Fate) {
    until(fate, Life::Released).await;
    sleep(LINGER).await;
}

/// From the peer to the session. When nobody reads any more, the rest is of no use.
async fn inward(
    from: &mut ReadHalf<LegStream>,
    to: &mut WriteHalf<DuplexStream>,
    path: Seen,
) -> Result<(), io::ErrorKind> {
    match deliver(from, to, path).await {
        Err(End::Reader(kind)) => Err(kind),
        Ok(()) | Err(End::Writer(_)) => Ok(()),
    }
}

/// From the session to the peer.
async fn outward(
    from: &mut ReadHalf<DuplexStream>,
    to: &mut WriteHalf<LegStream>,
    path: Seen,
) -> Result<(), io::ErrorKind> {
    match deliver(from, to, path).await {
        Err(End::Writer(kind)) => Err(kind),
        Ok(()) | Err(End::Reader(_)) => Ok(()),
    }
}

/// Which side broke.
enum End {
    Reader(io::ErrorKind),
    Writer(io::ErrorKind),
}

impl End {
    fn reader(error: io::Error) -> Self {
        Self::Reader(error.kind())
    }

    fn writer(error: io::Error) -> Self {
        Self::Writer(error.kind())
    }
}

/// Takes what there is room for, and hands it on when it is due and the path forwards.
async fn deliver(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut path: Seen,
) -> Result<(), End> {
    let mut queue = VecDeque::<(Instant, Bytes)>::new();
    let mut size = 0;
    let mut is_ended = false;
    let mut piece = BytesMut::new();
    while !is_ended || !queue.is_empty() {
        let now = path.now();
        piece.reserve(PIECE);
        tokio::select! {
            biased;
            // What is due is looked at anew.
            () = path.changed() => {}
            read = from.read_buf(&mut piece), if !is_ended && size < ON_THE_WAY => {
                is_ended = read.map_err(End::reader)? == 0;
                if !is_ended {
                    size += piece.len();
                    queue.push_back((Instant::now(), piece.split().freeze()));
                }
            }
            written = hand_on(queue.front_mut(), now.delay(), to), if !now.is_dark() => {
                size -= written.map_err(End::writer)?;
                if queue.front().is_some_and(|(_, piece)| piece.is_empty()) {
                    queue.pop_front();
                }
            }
        }
    }
    // The end of the stream takes its time as well.
    let last = path.light().await;
    sleep(last.delay()).await;
    to.shutdown().await.map_err(End::writer)
}

/// Some of the first piece, when it is due; nothing of it is lost when this is given up.
async fn hand_on(
    first: Option<&mut (Instant, Bytes)>,
    delay: Duration,
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<usize> {
    match first {
        Some((entered, piece)) => {
            sleep_until(*entered + delay).await;
            to.write_buf(piece).await
        }
        None => std::future::pending().await,
    }
}
