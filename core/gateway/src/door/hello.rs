//! A HELLO: the beginning of a session, unless it is a repetition or refused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use twinpath::Connection;
use twinpath::driver::Setup;
use twinpath_proto::{Hello, HelloRoute, Refusal, Session, refuse};

use crate::caps::AddressSlot;
use crate::census::SessionGuard;
use crate::clock;
use crate::drain::Phase;
use crate::gate::{Gate, Member, PeerInfo};
use crate::ledger::Pressure;
use crate::metrics::{Cap, HelloResult};

use super::{Arrival, handshake_rtt, turn_away};

/// What came of a HELLO that found a session.
enum Hailed {
    /// A session was made of it.
    Accepted(Connection, Arc<Member>),
    /// The stream was attached to the session that it repeats.
    Retried,
    /// It was not taken: how to count it, and what to answer.
    Refused(HelloResult, TcpStream, Option<Bytes>),
}

/// Has it begin a session, or be a leg of the one that it repeats.
pub(super) async fn receive(
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
