//! A session carried to the service: the same copying as for two sockets, with a session on one side.

use std::sync::Arc;
use std::time::Duration;
use std::{io, mem};

use tokio::net::TcpStream;
use tokio::task::coop;
use tokio::time::timeout;
use twinpath::{Chunks, Connection, ReadHalf, WriteHalf, pool};
use twinpath_proto::ResetCode;

use crate::gate::{Gate, Member, PeerInfo};
use crate::ledger::Ledger;
use crate::metrics::SessionEnd;
use crate::splice::{close_on_drop, failure, finish, reset_on_drop, write_some};
use crate::upstream::Upstream;

/// Taken from the session at once: what waits here for the service is counted nowhere else.
const PORTION: usize = 64 * 1024;
/// How long a client may take to acknowledge what the service said before it reset.
const LAST_WORDS: Duration = Duration::from_secs(5);

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
    let up = to_service(read, member, stream);
    let down = to_client(ledger, stream, write);
    tokio::pin!(up, down);
    let (mut up_done, mut down_done, mut over) = (false, false, false);
    while !(up_done && down_done) {
        tokio::select! {
            biased;
            ended = &mut up, if !up_done => { ended?; up_done = true; }
            ended = &mut down, if !down_done => { ended?; down_done = true; }
            // A service that has finished is read no more, but may still reset.
            error = failure(stream), if down_done => return Err(Cut::Upstream(error)),
            () = member.handle.closed(), if !over => {
                // After a good end there may be bytes left that the service has not taken yet.
                match member.look(|session, _| session.result()) {
                    Some(Ok(())) => over = true,
                    _ => return Err(Cut::Session),
                }
            }
        }
    }
    Ok(())
}

async fn to_service(read: &mut ReadHalf, member: &Member, stream: &TcpStream) -> Result<(), Cut> {
    // What is read here is not delivered until the service's socket has taken it; should the session be reset in
    // between, the client must not be told that it is.
    let mut handed_on = 0;
    let tell = |handed_on| {
        member
            .handle
            .note(|session| session.set_handed_on(handed_on));
    };
    tell(handed_on);
    let mut chunks = Chunks::default();
    loop {
        match read.read_chunks(PORTION, &mut chunks).await {
            Ok(0) => return finish(stream).map_err(Cut::Upstream),
            Ok(_) => {
                while !chunks.is_empty() {
                    let taken = write_some(stream, &mut chunks).await;
                    handed_on += taken.map_err(Cut::Upstream)? as u64;
                    tell(handed_on);
                }
            }
            Err(_) => return Err(Cut::Session),
        }
        coop::consume_budget().await;
    }
}

async fn to_client(ledger: &Ledger, stream: &TcpStream, write: &mut WriteHalf) -> Result<(), Cut> {
    loop {
        stream.readable().await.map_err(Cut::Upstream)?;
        ledger.room().await;
        let mut buffer = pool::take();
        loop {
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
            write.write_bytes(bytes).await.map_err(|_| Cut::Session)?;
            coop::consume_budget().await;
        }
    }
}
