//! Two sockets made one: bytes, half-closes and resets pass through in both directions.
//!
//! A buffer is held only while bytes flow. A copy loop that keeps one for its next read costs 128 KiB per idle
//! connection; this one waits for the socket to become readable first.

use std::io::{self, IoSlice};
use std::net::Shutdown;

use bytes::{Buf, Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::coop;
use twinpath::Chunks;
use twinpath::mptcp::Relief;

use crate::ledger::{Ledger, Pressure};
use crate::metrics::Counter;

/// Read at once; large enough that the calls do not show beside the copying.
const CHUNK: usize = 64 * 1024;
/// The same while memory is short: what the other side does not take must be little.
const CHUNK_SHORT: usize = 8 * 1024;
/// Pieces written at once.
const SLICES: usize = 64;

/// Which of the two sockets failed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Upstream,
}

/// A splice that did not end with a FIN from both sides.
#[derive(Debug)]
pub(crate) struct SpliceError {
    pub(crate) side: Side,
    pub(crate) error: io::Error,
}

/// Copies until both sides have finished, or until one fails.
///
/// On failure both sockets are left to reset when dropped, so that neither peer takes a cut stream for a complete one.
/// The same holds when the future is dropped half way.
pub(crate) async fn splice(
    client: &TcpStream,
    upstream: &TcpStream,
    ledger: &Ledger,
    (from_client, to_client): (&Counter, &Counter),
    relief: &Relief,
) -> Result<(), SpliceError> {
    reset_on_drop(client);
    reset_on_drop(upstream);
    let up = pump(
        (client, Side::Client),
        (upstream, Side::Upstream),
        ledger,
        |n| from_client.add(n),
    );
    let down = pump(
        (upstream, Side::Upstream),
        (client, Side::Client),
        ledger,
        |n| {
            to_client.add(n);
            relief.wrote();
        },
    );
    tokio::pin!(up, down);
    let (mut up_done, mut down_done) = (false, false);
    while !(up_done && down_done) {
        // A side that has sent its FIN is read no more, so only its error state can tell of a reset that follows.
        let (side, outcome) = tokio::select! {
            biased;
            ended = &mut up, if !up_done => { up_done = true; (Side::Client, ended) }
            ended = &mut down, if !down_done => { down_done = true; (Side::Upstream, ended) }
            error = failure(client), if up_done => (Side::Client, Err(SpliceError { side: Side::Client, error })),
            error = failure(upstream), if down_done => (Side::Upstream, Err(SpliceError { side: Side::Upstream, error })),
        };
        if let Err(error) = outcome {
            log::debug!("raw: copy from {side:?} ended: {}", error.error);
            return Err(error);
        }
    }
    close_on_drop(client);
    close_on_drop(upstream);
    Ok(())
}

/// Makes dropping `stream` send a reset and discard what is unsent.
pub(crate) fn reset_on_drop(stream: &TcpStream) {
    // Fails only on a socket that is dead already, which needs no reset.
    let _ = SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
}

/// Makes dropping `stream` close it in order: what is unsent is still sent.
pub(crate) fn close_on_drop(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(None);
}

/// Waits until the socket is in error, as after a reset by its peer.
pub(crate) async fn failure(stream: &TcpStream) -> io::Error {
    match stream.ready(Interest::ERROR).await {
        Ok(_) => match stream.take_error() {
            Ok(Some(error)) | Err(error) => error,
            Ok(None) => io::ErrorKind::ConnectionReset.into(),
        },
        Err(error) => error,
    }
}

/// Writes all of `bytes`, or fails as soon as either socket does: a writer that waits for room is not reading, and
/// would miss that the bytes it carries have lost their sender.
pub(crate) async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes as much of `chunks` as the socket takes at once, and gives the number of bytes; none when it takes nothing.
pub(crate) fn write_some(stream: &TcpStream, chunks: &mut Chunks) -> io::Result<Option<usize>> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let filled = chunks.chunks_vectored(&mut slices);
    loop {
        match stream.try_write_vectored(&slices[..filled]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                chunks.advance(n);
                return Ok(Some(n));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What of `buffer` the socket did not take, and the memory that this holds on to while it waits: a small rest does not
/// keep a whole buffer.
fn set_aside(mut buffer: BytesMut, written: usize) -> (Bytes, u64) {
    let capacity = buffer.capacity();
    let rest = &buffer[written..];
    if rest.len() < capacity / 2 {
        let rest = Bytes::copy_from_slice(rest);
        let size = rest.len() as u64;
        return (rest, size);
    }
    buffer.advance(written);
    (buffer.freeze(), capacity as u64)
}

/// Passes a FIN on. A peer that is gone already shows in the other direction.
pub(crate) fn finish(stream: &TcpStream) -> io::Result<()> {
    match SockRef::from(stream).shutdown(Shutdown::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        other => other,
    }
}

async fn pump(
    (from, from_side): (&TcpStream, Side),
    (to, to_side): (&TcpStream, Side),
    ledger: &Ledger,
    moved: impl Fn(u64),
) -> Result<(), SpliceError> {
    let failed = |side| move |error| SpliceError { side, error };
    loop {
        from.readable().await.map_err(failed(from_side))?;
        let chunk = if ledger.pressure() == Pressure::Low {
            CHUNK
        } else {
            CHUNK_SHORT
        };
        let mut buffer = BytesMut::with_capacity(chunk);
        loop {
            buffer.clear();
            let n = match from.try_read_buf(&mut buffer) {
                Ok(0) => return finish(to).map_err(failed(to_side)),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(from_side)(error)),
            };
            // The common case without the cost of watching both sockets.
            let written = match to.try_write(&buffer) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) => return Err(failed(to_side)(error)),
            };
            if written < n {
                let (rest, held) = set_aside(buffer, written);
                let _held = ledger.others.hold(held);
                tokio::select! {
                    result = write_all(to, &rest) => result.map_err(failed(to_side))?,
                    error = failure(from) => return Err(failed(from_side)(error)),
                }
                moved(n as u64);
                break;
            }
            moved(n as u64);
            // try_read and try_write never yield by themselves; two fast sockets would keep the thread for ever.
            coop::consume_budget().await;
        }
        coop::consume_budget().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_rest_keeps_no_whole_buffer() {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        buffer.resize(CHUNK, 7);
        let place = buffer.as_ptr();
        let (rest, held) = set_aside(buffer.clone(), CHUNK - 100);
        assert_eq!((&rest[..], held), (&[7; 100][..], 100));
        let (rest, held) = set_aside(buffer, 100);
        assert_eq!((rest.len(), held), (CHUNK - 100, CHUNK as u64));
        assert_eq!(
            rest.as_ptr() as usize,
            place as usize + 100,
            "it was copied"
        );
    }
}
