//! The first bytes of a connection decide what it is: a session, a leg of one, or something else altogether.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use twinpath::Connection;
use twinpath::driver::Setup;
use twinpath_proto::{
    FIRST_FLIGHT_MAX, FirstFlight, Hello, HelloRoute, Join, JoinError, JoinRoute, Refusal, Session,
    refuse, refuse_version,
};
use twinpath_socket::{ConnectOptions, tcp_health, tune};

use crate::accept::Admission;
use crate::caps::AddressSlot;
use crate::census::SessionGuard;
use crate::clock;
use crate::drain::Phase;
use crate::gate::{Gate, Member, PeerInfo};
use crate::ledger::Pressure;
use crate::metrics::{Cap, HandshakeEnd, HelloResult, JoinResult, RawEnd, Transport};
use crate::negotiated::{RawSocket, transport};
use crate::raw::RawStream;
use crate::splice::reset_on_drop;

/// Taken in at once before it is known what a connection is.
const READ: usize = 4096;
/// Bytes that may wait in the kernel before the socket takes no more.
const UNSENT: u32 = 128 * 1024;
/// Time for a connection beyond the limits to show that it is a join. Its first bytes follow the handshake at once.
const TRIAL: Duration = Duration::from_secs(2);
/// Time for a refused client to read the refusal.
const REFUSAL: Duration = Duration::from_secs(2);

/// A connection that was let in, on its way to whoever serves it.
#[derive(Debug)]
pub(crate) enum Arrival {
    Session(Connection, Arc<Member>, PeerInfo),
    Raw(RawStream, PeerInfo),
}

/// What a connection turned out to be, with the bytes behind the first flight.
enum First {
    Hello(Box<Hello>, Bytes),
    Join(Box<Join>, Bytes),
    Raw(Bytes),
    OtherVersion,
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
            receive_join(&gate, stream, &join, rest).await;
        }
        First::Hello(hello, rest) => {
            tune_leg(&gate, &stream);
            receive_hello(&gate, stream, peer, slot, &hello, rest, arrivals).await;
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

/// Ends a leg whose path is dead after a minute, and keeps what is unsent out of the kernel: when a path dies, nothing of that can be taken back, and what it carries
/// is sent once more on the other. Raw connections have no other, and buffer as the system likes.
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

async fn first_flight(
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

fn handshake_rtt(stream: &TcpStream) -> Option<Duration> {
    tcp_health(stream).ok().and_then(|health| health.srtt)
}

async fn receive_join(gate: &Gate, stream: TcpStream, join: &Join, rest: Bytes) {
    let joins = &gate.metrics.joins;
    // Bound to a name of its own, so that the directory's lock is not held in the arms.
    let route = gate.directory().join(join, clock::now());
    match route {
        JoinRoute::Session(member) => {
            let rtt = handshake_rtt(&stream);
            match member
                .handle
                .with_session(|session, now| session.accept_join(join, rtt, now))
            {
                Ok(leg) => {
                    joins.increment(JoinResult::Ok);
                    member.release_slot();
                    member.handle.attach(leg, stream, rest);
                    if gate.shutdown.phase() == Phase::Draining {
                        // It may have had no leg when the others were told.
                        member.handle.go_away(gate.config.drain_timeout);
                    }
                }
                Err(error) => {
                    joins.increment(join_result(error));
                    log::debug!("join to session {:?} refused: {error}", member.id);
                    turn_away(stream, error.reply()).await;
                }
            }
        }
        JoinRoute::Reply(reply, refusal) => {
            joins.increment(match refusal {
                Refusal::UnknownSession => JoinResult::UnknownSession,
                Refusal::Closed => JoinResult::Closed,
                _ => JoinResult::Other,
            });
            turn_away(stream, Some(reply)).await;
        }
        JoinRoute::Silent => joins.increment(JoinResult::Unauthentic),
    }
}

fn join_result(error: JoinError) -> JoinResult {
    match error {
        JoinError::NotAuthentic => JoinResult::Unauthentic,
        JoinError::Counter => JoinResult::Counter,
        _ => JoinResult::Other,
    }
}

/// What came of a HELLO that found a session.
enum Hailed {
    /// A session was made of it.
    Accepted(Connection, Arc<Member>),
    /// The stream was attached to the session that it repeats.
    Retried,
    /// It was not taken: how to count it, and what to answer.
    Refused(HelloResult, TcpStream, Option<Bytes>),
}

async fn receive_hello(
    gate: &Arc<Gate>,
    stream: TcpStream,
    peer: PeerInfo,
    slot: Option<AddressSlot>,
    hello: &Hello,
    rest: Bytes,
    arrivals: mpsc::Sender<Arrival>,
) {
    let hellos = &gate.metrics.hellos;
    match hail(gate, stream, slot, hello, rest) {
        Hailed::Accepted(connection, member) => {
            hellos.increment(HelloResult::Accepted);
            // Fails when nobody accepts any more: dropping the connection ends it.
            let _ = arrivals
                .send(Arrival::Session(connection, member, peer))
                .await;
        }
        Hailed::Retried => hellos.increment(HelloResult::Retried),
        Hailed::Refused(result, stream, reply) => {
            hellos.increment(result);
            turn_away(stream, reply).await;
        }
    }
}

fn hail(
    gate: &Arc<Gate>,
    stream: TcpStream,
    slot: Option<AddressSlot>,
    hello: &Hello,
    rest: Bytes,
) -> Hailed {
    let rtt = handshake_rtt(&stream);
    let now = clock::now();
    let route = gate.directory().hello(hello, now);
    let HelloRoute::New = route else {
        return reroute(route, stream, hello, rest, rtt);
    };
    let (slot, guard) = match room_for_session(gate, slot) {
        Ok(room) => room,
        Err(Refusal::GoingAway) => {
            return Hailed::Refused(
                HelloResult::GoingAway,
                stream,
                Some(refuse(Refusal::GoingAway)),
            );
        }
        Err(refusal) => return Hailed::Refused(HelloResult::Busy, stream, Some(refuse(refusal))),
    };
    let mut seed = [0; 32];
    if let Err(error) = getrandom::fill(&mut seed) {
        log::error!("the system gave no random bytes: {error}");
        return Hailed::Refused(HelloResult::Busy, stream, Some(refuse(Refusal::Busy)));
    }
    let config = if gate.ledger.promise(gate.session_config.window.initial) {
        &gate.session_config
    } else {
        &gate.small_config
    };
    let (session, leg) = match Session::gateway(config, hello, seed, rtt, now) {
        Ok(opened) => opened,
        Err(error) => {
            log::debug!("hello refused: {error}");
            return Hailed::Refused(HelloResult::Refused, stream, error.reply());
        }
    };
    let Some(id) = session.session_id() else {
        return Hailed::Refused(HelloResult::Refused, stream, None);
    };
    // The keys were agreed on without the lock; in the meantime a repetition may have come in on another leg, and two
    // sessions would deliver the data twice. From here to the insertion nobody may look the session up either: WELCOME
    // may arrive, and its join be here, before this thread goes on.
    let mut directory = gate.directory();
    let route = directory.hello(hello, now);
    let HelloRoute::New = route else {
        drop(directory);
        return reroute(route, stream, hello, rest, rtt);
    };
    let (connection, handle) = Setup::new(session).leg(leg, stream, rest).spawn();
    let member = Arc::new(Member::new(handle, id, now, slot));
    member.look(|session, _| directory.insert(session, hello, Arc::clone(&member)));
    drop(directory);
    gate.adopt(Arc::clone(&member), guard);
    Hailed::Accepted(connection, member)
}

/// Deals with a HELLO that does not begin a session.
fn reroute(
    route: HelloRoute<Arc<Member>>,
    stream: TcpStream,
    hello: &Hello,
    rest: Bytes,
    rtt: Option<Duration>,
) -> Hailed {
    match route {
        HelloRoute::Retry(member) => {
            match member
                .handle
                .with_session(|session, now| session.accept_retry(hello, rtt, now))
            {
                Ok(leg) => {
                    member.handle.attach(leg, stream, rest);
                    Hailed::Retried
                }
                Err(error) => Hailed::Refused(HelloResult::Refused, stream, error.reply()),
            }
        }
        HelloRoute::Refuse(reply, Refusal::Busy) => {
            Hailed::Refused(HelloResult::Busy, stream, Some(reply))
        }
        HelloRoute::Refuse(reply, _) => Hailed::Refused(HelloResult::Refused, stream, Some(reply)),
        // The caller has dealt with it.
        HelloRoute::New => Hailed::Refused(HelloResult::Refused, stream, None),
    }
}

fn room_for_session(
    gate: &Gate,
    slot: Option<AddressSlot>,
) -> Result<(AddressSlot, SessionGuard), Refusal> {
    if gate.shutdown.phase() != Phase::Serving {
        return Err(Refusal::GoingAway);
    }
    let full = |cap| {
        gate.metrics.caps_hit.increment(cap);
        Refusal::Busy
    };
    let slot = slot.ok_or_else(|| full(Cap::Address))?;
    if gate.ledger.pressure() == Pressure::Full {
        return Err(full(Cap::Buffers));
    }
    let (most, cap) = match (gate.config.limits.sessions, gate.ledger.most_sessions()) {
        (sessions, affordable) if affordable < sessions => (affordable, Cap::Buffers),
        (sessions, _) => (sessions, Cap::Sessions),
    };
    let guard = gate.census.enter_session(most).ok_or_else(|| full(cap))?;
    Ok((slot, guard))
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
