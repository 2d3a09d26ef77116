//! A JOIN: one more leg of a session that is there.

use bytes::Bytes;
use tokio::net::TcpStream;
use twinpath_proto::{Join, JoinError, JoinRoute, Refusal};

use crate::clock;
use crate::drain::Phase;
use crate::gate::Gate;
use crate::metrics::JoinResult;

use super::{handshake_rtt, turn_away};

/// Has it carry its session on.
pub(super) async fn receive(gate: &Gate, stream: TcpStream, join: &Join, rest: Bytes) {
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

const fn join_result(error: JoinError) -> JoinResult {
    match error {
        JoinError::NotAuthentic => JoinResult::Unauthentic,
        JoinError::Counter => JoinResult::Counter,
        _ => JoinResult::Other,
    }
}
