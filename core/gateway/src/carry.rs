//! A session carried to the service: the same copying as for two sockets, with a session on one side.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;
use std::{io, mem};

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::task::coop;
use tokio::time::{sleep, timeout};
use twinpath::{Chunks, Connection, ReadHalf, WriteHalf, pool};
use twinpath_proto::ResetCode;

use crate::gate::{Gate, Member, PeerInfo};
use crate::ledger::{Held, Ledger, Transit};
use crate::metrics::SessionEnd;
use crate::splice::{close_on_drop, failure, finish, reset_on_drop, write_some};
use crate::upstream::Upstream;

/// Taken from the session at once: what waits here for the service is counted nowhere else.
const PORTION: usize = 64 * 1024;
/// How long a client may take to acknowledge what the service said before it reset.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long a service may take nothing of what a session left behind that has ended in good order.
const STANDSTILL: Duration = Duration::from_secs(60);

/// Which side ended a session before its time.
#[derive(Debug)]
enum Cut {
    /// The session: reset by the client, lost, or ended by the gateway.
    Session,
    /// The service.
    Upstream(io::Error),
}

/// Connects the session to the service and copies until both sides have finished, or one has failed.
pub(crate) async fn carry(
    gate: Arc<Gate>,
    upstream: Arc<Upstream>,
    connection: Connection,
    member: Arc<Member>,
    peer: PeerInfo,
) {
    let dialled = tokio::select! {
        dialled = upstream.dial(&peer, &gate.metrics) => dialled,
        () = member.handle.closed() => return,
    };
    let Ok(stream) = dialled else {
        member.reset(
            ResetCode::UpstreamUnreachable,
            SessionEnd::UpstreamUnreachable,
        );
        return;
    };
    // However this task ends before its time, the service must not take what it got for all there is.
    reset_on_drop(&stream);
    let (mut read, mut write) = connection.into_split();
    match copy(&gate.ledger, &mut read, &mut write, &member, &stream).await {
        // Dropping both halves leaves the session to deliver what is still on its way.
        Ok(()) => close_on_drop(&stream),
        Err(Cut::Session) => {}
        Err(Cut::Upstream(error)) => {
            log::debug!("session {:?}: the service ended with {error}", member.id);
            // What the service said before it reset is the client's: often the reason of the reset.
            let _ = timeout(LAST_WORDS, write.acknowledged()).await;
            member.reset(ResetCode::UpstreamReset, SessionEnd::UpstreamReset);
        }
    }
}

async fn copy(
    ledger: &Ledger,
    read: &mut ReadHalf,
    write: &mut WriteHalf,
    member: &Member,
    stream: &TcpStream,
) -> Result<(), Cut> {
    let handed_on = AtomicU64::new(0);
    let up = to_service(read, member, stream, &handed_on);
    let down = to_client(ledger, member, stream, write);
    let stuck = standstill(&handed_on);
    tokio::pin!(up, down, stuck);
    let (mut up_done, mut down_done) = (false, false);
    // Once the session is over nobody but this task knows of what it has left behind.
    let mut over: Option<Held<'_>> = None;
    while !(up_done && down_done) {
        tokio::select! {
            biased;
            ended = &mut up, if !up_done => { ended?; up_done = true; }
            ended = &mut down, if !down_done => { ended?; down_done = true; }
            // A service that has finished is read no more, but may still reset.
            error = failure(stream), if down_done => return Err(Cut::Upstream(error)),
            () = &mut stuck, if over.is_some() => return Err(Cut::Upstream(io::ErrorKind::TimedOut.into())),
            () = member.handle.closed(), if over.is_none() => {
                // After a good end there may be bytes left that the service has not taken yet.
                match member.look(|session, _| session.result()) {
                    Some(Ok(())) => over = Some(ledger.others.hold(member.held())),
                    _ => return Err(Cut::Session),
                }
            }
        }
    }
    Ok(())
}

/// Waits until `counter` has stood still for long enough.
async fn standstill(counter: &AtomicU64) {
    loop {
        let before = counter.load(Relaxed);
        sleep(STANDSTILL).await;
        if counter.load(Relaxed) == before {
            return;
        }
    }
}

async fn to_service(
    read: &mut ReadHalf,
    member: &Member,
    stream: &TcpStream,
    handed_on: &AtomicU64,
) -> Result<(), Cut> {
    // What is read here is not delivered until the service's socket has taken it; should the session be reset in
    // between, the client must not be told that it is.
    let tell = |more: usize| {
        let sum = handed_on.fetch_add(more as u64, Relaxed) + more as u64;
        member.handle.note(|session| session.set_handed_on(sum));
    };
    tell(0);
    let mut chunks = Chunks::default();
    loop {
        match read.read_chunks(PORTION, &mut chunks).await {
            Ok(0) => return finish(stream).map_err(Cut::Upstream),
            Ok(_) => {
                let mut held = None;
                while !chunks.is_empty() {
                    match write_some(stream, &mut chunks).map_err(Cut::Upstream)? {
                        Some(taken) => tell(taken),
                        None => {
                            held.get_or_insert_with(|| set_aside(&mut chunks, &member.transit));
                            stream.writable().await.map_err(Cut::Upstream)?;
                        }
                    }
                }
            }
            Err(_) => return Err(Cut::Session),
        }
        coop::consume_budget().await;
    }
}

/// Counts what waits for the service. A small rest is copied, so that it does not hold on to what it was read with.
fn set_aside<'a>(chunks: &mut Chunks, transit: &'a Transit) -> Held<'a> {
    let size = chunks.remaining();
    if size >= PORTION / 2 {
        return transit.hold(PORTION as u64);
    }
    let rest = chunks.copy_to_bytes(size);
    chunks.push(rest);
    transit.hold(size as u64)
}

async fn to_client(
    ledger: &Ledger,
    member: &Member,
    stream: &TcpStream,
    write: &mut WriteHalf,
) -> Result<(), Cut> {
    loop {
        stream.readable().await.map_err(Cut::Upstream)?;
        ledger.room(|| member.held()).await;
        let mut buffer = pool::take();
        loop {
            if !ledger.has_room(|| member.held()) {
                pool::give(buffer);
                break;
            }
            if buffer.capacity() < pool::SIZE {
                pool::give(mem::replace(&mut buffer, pool::take()));
            }
            match stream.try_read_buf(&mut buffer) {
                Ok(0) => {
                    write.finish();
                    return Ok(());
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    pool::give(buffer);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Cut::Upstream(error)),
            }
            let bytes = pool::detach(&mut buffer);
            buffer = write_out(write, bytes, buffer, &member.transit).await?;
            coop::consume_budget().await;
        }
    }
}

/// Writes to the session. If that has to wait, what waits is counted, and `buffer` goes back in the meantime. Gives the
/// buffer for the next read.
async fn write_out(
    write: &mut WriteHalf,
    bytes: Bytes,
    buffer: BytesMut,
    transit: &Transit,
) -> Result<BytesMut, Cut> {
    let size = bytes.len() as u64;
    let mut writing = pin!(write.write_bytes(bytes));
    let at_once = poll_fn(|cx| match writing.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => Poll::Ready(None),
    });
    match at_once.await {
        Some(result) => result.map(|()| buffer),
        None => {
            let _held = transit.hold(size);
            pool::give(buffer);
            writing.await.map(|()| pool::take())
        }
    }
    .map_err(|_| Cut::Session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_service_that_takes_nothing_more_is_given_up_and_a_slow_one_is_not() {
        let taken = AtomicU64::new(7);
        let stuck = standstill(&taken);
        tokio::pin!(stuck);
        for _ in 0..10 {
            assert!(timeout(STANDSTILL / 2, &mut stuck).await.is_err());
            taken.fetch_add(1, Relaxed);
        }
        assert!(timeout(STANDSTILL * 3, stuck).await.is_ok());
    }

    #[test]
    fn a_small_rest_is_copied_and_either_is_counted() {
        let (transit, whole) = (Transit::default(), Bytes::from(vec![7; PORTION]));
        let mut chunks = Chunks::default();
        chunks.push(whole.slice(..100));
        let held = set_aside(&mut chunks, &transit);
        assert_eq!((transit.bytes(), chunks.chunk()), (100, &whole[..100]));
        assert_ne!(chunks.chunk().as_ptr(), whole.as_ptr());
        drop(held);
        assert_eq!(transit.bytes(), 0);
        let mut chunks = Chunks::default();
        chunks.push(whole.clone());
        let _held = set_aside(&mut chunks, &transit);
        assert_eq!(transit.bytes(), PORTION as u64);
        assert_eq!(chunks.chunk().as_ptr(), whole.as_ptr());
    }
}
