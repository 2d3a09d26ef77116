//! The first bytes of a connection decide what it is: a session, a leg of one, or something else altogether.

mod first;
mod hello;
mod join;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use twinpath::Connection;
use twinpath_proto::refuse_version;
use twinpath_socket::{ConnectOptions, tcp_health, tune};

use crate::accept::Admission;
use crate::caps::AddressSlot;
use crate::drain::Phase;
use crate::gate::{Gate, Member, PeerInfo};
use crate::metrics::{Cap, HandshakeEnd, HelloResult, RawEnd, Transport};
use crate::negotiated::{RawSocket, transport};
use crate::raw::RawStream;
use crate::splice::reset_on_drop;

use first::{First, first_flight};

/// Bytes that may wait in the kernel before the socket takes no more.
const UNSENT: u32 = 128 * 1024;
/// Time for a refused client to read the refusal.
const REFUSAL: Duration = Duration::from_secs(2);

/// A connection that was let in, on its way to whoever serves it.
#[derive(Debug)]
pub(crate) enum Arrival {
    Session(Connection, Arc<Member>, PeerInfo),
    Raw(RawStream, PeerInfo),
}

/// Finds out what a new connection is, and deals with it accordingly; given up when the gate is stopped, whose end does
/// not wait for clients that take their time.
pub(crate) async fn receive(
    gate: Arc<Gate>,
    stream: TcpStream,
    remote: SocketAddr,
    admission: Admission,
    arrivals: mpsc::Sender<Arrival>,
) {
    tokio::select! {
        biased;
        () = gate.shutdown.reached(Phase::Stopped) => {}
        () = let_in(Arc::clone(&gate), stream, remote, admission, arrivals) => {}
    }
}

async fn let_in(
    gate: Arc<Gate>,
    stream: TcpStream,
    remote: SocketAddr,
    admission: Admission,
    arrivals: mpsc::Sender<Arrival>,
) {
    let (Ok(local), Ok(())) = (
        stream.local_addr(),
        tune(&stream, &ConnectOptions::default()),
    ) else {
        gate.metrics.handshake_ends.increment(HandshakeEnd::Closed);
        return;
    };
    let peer = PeerInfo::new(remote, local);
    let flight = first_flight(&gate, &stream, &admission);
    let first = match &admission {
        Admission::Entitled(..) => flight.await,
        Admission::OnTrial(trial) | Admission::JoinOnly(trial) => tokio::select! {
            biased;
            first = flight => first,
            () = trial.revoked() => Err(HandshakeEnd::TimedOut),
        },
    };
    let first = match first {
        Ok(first) => first,
        Err(end) => {
            gate.metrics.handshake_ends.increment(end);
            return;
        }
    };
    // Decided: the permit or the trial is over, the slot of the address goes on.
    let slot = match admission {
        Admission::Entitled(slot, permit) => {
            drop(permit);
            Some(slot)
        }
        Admission::OnTrial(trial) => {
            drop(trial);
            gate.caps.take(remote.ip())
        }
        Admission::JoinOnly(trial) => {
            drop(trial);
            None
        }
    };
    match first {
        First::Join(join, rest) => {
            tune_leg(&gate, &stream);
            join::receive(&gate, stream, &join, rest).await;
        }
        First::Hello(hello, rest) => {
            tune_leg(&gate, &stream);
            hello::receive(&gate, stream, peer, slot, &hello, rest, arrivals).await;
        }
        First::OtherVersion => {
            gate.metrics.hellos.increment(HelloResult::Version);
            turn_away(stream, Some(refuse_version())).await;
        }
        First::Raw(prefix) => {
            receive_raw(&gate, stream, peer, slot, prefix, arrivals).await;
        }
    }
}

/// Ends a leg whose path is dead after a minute, and keeps what is unsent out of the kernel: when a path dies, nothing of
/// that can be taken back, and what it carries is sent once more on the other. Raw connections have no other, and buffer
/// as the system likes.
fn tune_leg(gate: &Gate, stream: &TcpStream) {
    let transport = transport(stream);
    gate.metrics.legs_negotiated.increment(transport);
    let mut options = ConnectOptions::of_leg();
    options.mptcp = transport == Transport::Mptcp;
    options.notsent_lowat = Some(UNSENT);
    if let Err(error) = tune(stream, &options) {
        log::debug!("a leg could not be tuned: {error}");
    }
}

async fn receive_raw(
    gate: &Gate,
    stream: TcpStream,
    peer: PeerInfo,
    slot: Option<AddressSlot>,
    prefix: Bytes,
    arrivals: mpsc::Sender<Arrival>,
) {
    let refused = if gate.shutdown.phase() != Phase::Serving {
        RawEnd::GoingAway
    } else if let Some(slot) = slot {
        match gate.census.enter_raw(gate.config.limits.raw, slot) {
            Some(guard) => {
                gate.metrics.raw.increment();
                let socket = RawSocket::new(stream, &gate.metrics);
                let raw = RawStream::new(socket, prefix, guard);
                let _ = arrivals.send(Arrival::Raw(raw, peer)).await;
                return;
            }
            None => {
                gate.metrics.caps_hit.increment(Cap::Raw);
                RawEnd::Refused
            }
        }
    } else {
        gate.metrics.caps_hit.increment(Cap::Address);
        RawEnd::Refused
    };
    gate.metrics.raw_ends.increment(refused);
    // A protocol that we do not know has no words for this but a reset.
    reset_on_drop(&stream);
}

fn handshake_rtt(stream: &TcpStream) -> Option<Duration> {
    tcp_health(stream).ok().and_then(|health| health.srtt)
}

/// Writes `reply`, if there is one, and waits for the client to have read it: a close with unread bytes becomes a
/// reset, which may overtake the reply.
async fn turn_away(mut stream: TcpStream, reply: Option<Bytes>) {
    let Some(reply) = reply else { return };
    let farewell = async {
        stream.write_all(&reply).await?;
        stream.shutdown().await?;
        let mut rest = [0; 512];
        // As much as a client may send before it hears that it is refused.
        for _ in 0..512 {
            if stream.read(&mut rest).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    let _ = timeout(REFUSAL, farewell).await;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_leg_on_a_dead_path_ends() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let stream = stream.unwrap();
        tune_leg(&Gate::new(crate::ListenerConfig::default()), &stream);
        let limit = socket2::SockRef::from(&stream).tcp_user_timeout();
        assert_eq!(limit.unwrap(), Some(Duration::from_secs(60)));
    }
}
