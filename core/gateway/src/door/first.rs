//! What the first bytes of a connection say.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use twinpath_proto::{FIRST_FLIGHT_MAX, FirstFlight, Hello, Join};

use crate::accept::Admission;
use crate::gate::Gate;
use crate::metrics::HandshakeEnd;

/// Taken in at once before it is known what a connection is.
const READ: usize = 4096;
/// Time for a connection beyond the limits to show that it is a join. Its first bytes follow the handshake at once.
const TRIAL: Duration = Duration::from_secs(2);

/// What a connection turned out to be, with the bytes behind the first flight.
pub(super) enum First {
    Hello(Box<Hello>, Bytes),
    Join(Box<Join>, Bytes),
    Raw(Bytes),
    OtherVersion,
}

/// Takes in what it takes to tell what a connection is; an error is how it ended before.
pub(super) async fn first_flight(
    gate: &Gate,
    stream: &TcpStream,
    admission: &Admission,
) -> Result<First, HandshakeEnd> {
    let handshake = gate.config.limits.handshake;
    let limit = match admission {
        Admission::Entitled(..) => handshake,
        Admission::OnTrial(_) | Admission::JoinOnly(_) => handshake.min(TRIAL),
    };
    let deadline = Instant::now() + limit;
    let silence = gate
        .config
        .raw_after
        .map(|silence| Instant::now() + silence);
    let mut bytes = BytesMut::new();
    loop {
        // A buffer is taken only when there is something to read: silent connections cost little.
        let until = silence
            .filter(|&silence| bytes.is_empty() && silence < deadline)
            .unwrap_or(deadline);
        match timeout_at(until, stream.readable()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(HandshakeEnd::Closed),
            Err(_) if until < deadline => return Ok(First::Raw(Bytes::new())),
            Err(_) => return Err(HandshakeEnd::TimedOut),
        }
        let room = READ.min(FIRST_FLIGHT_MAX.saturating_sub(bytes.len()));
        if room == 0 {
            return Err(HandshakeEnd::Invalid);
        }
        bytes.reserve(room);
        match stream.try_read_buf(&mut (&mut bytes).limit(room)) {
            // With a server that speaks first, a client that has nothing to say at all is one like the others.
            Ok(0) if bytes.is_empty() && silence.is_some() => return Ok(First::Raw(Bytes::new())),
            Ok(0) => return Err(HandshakeEnd::Closed),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return Err(HandshakeEnd::Closed),
        }
        match FirstFlight::parse(&bytes) {
            FirstFlight::Incomplete => {}
            FirstFlight::Raw => return Ok(First::Raw(bytes.freeze())),
            FirstFlight::Hello { hello, consumed } => {
                return Ok(First::Hello(
                    Box::new(hello),
                    bytes.split_off(consumed).freeze(),
                ));
            }
            FirstFlight::Join { join, consumed } => {
                return Ok(First::Join(
                    Box::new(join),
                    bytes.split_off(consumed).freeze(),
                ));
            }
            FirstFlight::OtherVersion => return Ok(First::OtherVersion),
            FirstFlight::Invalid(why) => {
                log::debug!("first flight refused: {why}");
                return Err(HandshakeEnd::Invalid);
            }
        }
    }
}
