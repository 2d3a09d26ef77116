//! Standard input and output over one connection, as nc does it.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{mpsc, oneshot};
use twinpath::{Connection, Connector, ReadHalf, WriteHalf};

use super::copy::{Failed, PORTION};
use super::events::EventLog;
use super::signals::{Signal, Signals};
use super::{never_connected, open};
use crate::exit::Failure;

/// Portions that wait between a thread and the connection.
const WAITING: usize = 4;

/// How long the peer may take to acknowledge the rest, once it has ended its direction.
const LAST_ACKNOWLEDGEMENT: Duration = Duration::from_secs(30);

/// Connects, and carries until the peer ends its direction or a signal ends it all.
pub(super) async fn run(
    connector: Connector,
    target: &str,
    is_session: bool,
    log: Arc<EventLog>,
) -> Result<(), Failure> {
    let mut signals = Signals::listen();
    let number = log.number();
    let opened = tokio::select! {
        opened = open(&connector, target) => opened,
        signal = signals.next() => {
            number.stopped();
            return Err(ended_by(signal));
        }
    };
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(error) => {
            number.failed(error.kind().as_str(), &error);
            return Err(Failure::not_connected(error));
        }
    };
    let follower = number.follow(&connection);
    let ended = tokio::select! {
        ended = carry_to_the_end(&mut connection) => ended,
        signal = signals.next() => {
            // The gateway forgets the session now, instead of keeping it for a client that might come back.
            connection.abort();
            follower.finish().await;
            return Err(ended_by(signal));
        }
    };
    let lost = match ended {
        Ok(()) => connection.close().await.error,
        Err(_) => {
            connection.abort();
            None
        }
    };
    let established = follower.finish().await;
    match (ended, lost) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(kind)) => Err(Failure::lost(format_args!(
            "the end of what was sent may not have arrived: {kind}"
        ))),
        // Whoever read this command's output has had enough, as `head` does.
        (Err(Failed::Local(error)), _) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        (Err(Failed::Local(error)), _) => Err(Failure::lost(error)),
        (Err(Failed::Remote(error)), _) => {
            if never_connected(&error) || (is_session && !established) {
                Err(Failure::not_connected(error))
            } else {
                Err(Failure::lost(error))
            }
        }
    }
}

fn ended_by(signal: Signal) -> Failure {
    Failure::silent(signal.exit_code())
}

/// Carries, and waits for what is still unacknowledged; why it might stay so is told by the connection's account.
async fn carry_to_the_end(connection: &mut Connection) -> Result<(), Failed> {
    carry(connection).await?;
    match tokio::time::timeout(LAST_ACKNOWLEDGEMENT, connection.shutdown()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::debug!("the end was not acknowledged: {error}"),
        Err(_) => log::debug!("the end was not acknowledged in time"),
    }
    Ok(())
}

async fn carry(connection: &mut Connection) -> Result<(), Failed> {
    let input = read_input().map_err(Failed::Local)?;
    let (output, written) = write_output().map_err(Failed::Local)?;
    let carried = {
        let (from_peer, to_peer) = connection.split();
        let mut up = Box::pin(send(input, to_peer));
        let mut down = Box::pin(receive(from_peer, output));
        tokio::select! {
            // The peer's end is the end, whatever is left on standard input.
            received = &mut down => received,
            sent = &mut up => match sent {
                Ok(()) => down.await,
                // What the peer had to say before it broke off is still to be read.
                Err(Failed::Remote(error)) => down.await.and(Err(Failed::Remote(error))),
                Err(error) => Err(error),
            },
        }
    };
    // What has arrived is written before anything else is said; an error here is one of standard output.
    match written.await {
        Ok(Err(error)) => Err(Failed::Local(error)),
        Ok(Ok(())) | Err(_) => carried,
    }
}

async fn send(
    mut input: mpsc::Receiver<io::Result<Bytes>>,
    to: &mut WriteHalf,
) -> Result<(), Failed> {
    while let Some(chunk) = input.recv().await {
        let chunk = chunk.map_err(Failed::Local)?;
        to.write_bytes(chunk).await.map_err(Failed::Remote)?;
    }
    to.shutdown().await.map_err(Failed::Remote)
}

async fn receive(from: &mut ReadHalf, output: mpsc::Sender<Bytes>) -> Result<(), Failed> {
    while let Some(chunk) = from.read_chunk(PORTION).await.map_err(Failed::Remote)? {
        if output.send(chunk).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads standard input on a thread of its own: a read of it cannot be interrupted, and must not keep the process.
fn read_input() -> io::Result<mpsc::Receiver<io::Result<Bytes>>> {
    let (send, receive) = mpsc::channel(WAITING);
    thread::Builder::new().name("stdin".into()).spawn(move || {
        let mut input = io::stdin().lock();
        let mut buffer = BytesMut::new();
        loop {
            // Blocks are handed on without a copy, so that small reads share one.
            if buffer.len() < PORTION / 4 {
                buffer = BytesMut::zeroed(PORTION);
            }
            match input.read(&mut buffer) {
                Ok(0) => return,
                Ok(size) => {
                    let chunk = buffer.split_to(size).freeze();
                    if send.blocking_send(Ok(chunk)).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let error = io::Error::new(
                        error.kind(),
                        format!("cannot read standard input: {error}"),
                    );
                    let _ = send.blocking_send(Err(error));
                    return;
                }
            }
        }
    })?;
    Ok(receive)
}

type Written = oneshot::Receiver<io::Result<()>>;

/// Writes standard output on a thread of its own, and says at the end how that went.
fn write_output() -> io::Result<(mpsc::Sender<Bytes>, Written)> {
    let (send, mut receive) = mpsc::channel::<Bytes>(WAITING);
    let (done, written) = oneshot::channel();
    thread::Builder::new()
        .name("stdout".into())
        .spawn(move || {
            let mut output = io::stdout().lock();
            let mut write = || -> io::Result<()> {
                while let Some(chunk) = receive.blocking_recv() {
                    output.write_all(&chunk)?;
                    // Rust buffers the last line.
                    output.flush()?;
                }
                Ok(())
            };
            let result = write().map_err(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => error,
                kind => io::Error::new(kind, format!("cannot write standard output: {error}")),
            });
            let _ = done.send(result);
        })?;
    Ok((send, written))
}
