//! Looking after all sessions at once: what they hold, who has proven itself, who has to go.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use twinpath_proto::{PathChange, ResetCode, Role};

use crate::clock;
use crate::gate::{Gate, Member};
use crate::ledger::Pressure;
use crate::metrics::{Cap, SessionEnd};

/// Looks at a full ledger after which those go that hold bytes out of order or have no leg: no client in good order
/// is in such a state for long.
const SUSPECTS_GO: u32 = 2;
/// Looks at a full ledger after which any may have to go.
const ANY_GOES: u32 = 10;

/// How long a client waits for WELCOME: without a leg, its HELLO comes again by then or never.
const RETRY: Duration = Duration::from_secs(5);

/// A session and what it holds.
struct Holder<M = Arc<Member>> {
    member: M,
    held: u64,
    suspect: bool,
}

impl Gate {
    /// Looks after all sessions: what they hold, who has proven itself, who has been silent for too long.
    pub(crate) async fn sweep(&self) {
        let restrained = self.ledger.is_restrained();
        let full = self.ledger.pressure() == Pressure::Full;
        let (mut held, mut promised, mut sessions) = (0, 0, 0);
        let mut holders = Vec::new();
        for (at, member) in self.members().into_iter().enumerate() {
            let (buffered, open, proven, silent, closed) = member.look(|session, now| {
                (
                    session.buffered_bytes(),
                    session.promised_bytes(),
                    session.is_proven(),
                    now.saturating_since(session.last_authentic()),
                    session.is_closed(),
                )
            });
            let own = buffered + member.transit.bytes();
            held += own;
            promised += open;
            sessions += 1;
            if proven {
                member.release_slot();
            } else if !closed {
                self.press_for_proof(&member);
            }
            if silent >= self.config.limits.idle {
                log::debug!("session {:?} was idle for too long", member.id);
                member.reset(ResetCode::LimitReached, SessionEnd::Limit);
            }
            // What a session holds that is on its way out comes back by itself.
            if full && !closed && own >= self.ledger.fair_share() {
                holders.push(Holder {
                    suspect: is_suspect(&member),
                    member,
                    held: own,
                });
            }
            if at % 64 == 63 {
                tokio::task::yield_now().await;
            }
        }
        self.ledger.measure(sessions, held, promised);
        if self.ledger.is_restrained() != restrained {
            self.restrain(!restrained);
        }
        self.relieve(holders);
        self.directory().handle_timeout(clock::now());
    }

    /// A client that has not shown in time that it got WELCOME may not be where it says. Half way through it is asked:
    /// in a session in which nobody speaks, nothing else would make it answer.
    fn press_for_proof(&self, member: &Member) {
        let limit = self.config.limits.handshake;
        let (age, legs) = member.look(|session, now| {
            let stats = session.stats(now);
            (
                now.saturating_since(member.since),
                Role::ALL.map(|role| stats.path(role).up),
            )
        });
        let abandoned = legs == [false; 2] && age >= RETRY;
        if abandoned || (age >= limit && member.asked.load(Relaxed)) {
            log::debug!("session {:?}: its client did not prove itself", member.id);
            member.reset(ResetCode::LimitReached, SessionEnd::Unproven);
        } else if age >= limit / 2 && !member.asked.swap(true, Relaxed) {
            member.handle.with_session(|session, now| {
                for (role, up) in Role::ALL.into_iter().zip(legs) {
                    if up {
                        session.path_changed(role, PathChange::Changed, now);
                    }
                }
            });
        }
    }

    /// Resets those that hold the most, if the ledger stays full.
    fn relieve(&self, holders: Vec<Holder>) {
        if self.ledger.pressure() != Pressure::Full {
            self.full_for.store(0, Relaxed);
            return;
        }
        let full_for = self.full_for.fetch_add(1, Relaxed) + 1;
        // Some more than needed, so that those who stay need not be looked at again at once.
        let wanted = self.ledger.limit() - self.ledger.limit() / 8;
        let excess = self.ledger.held().saturating_sub(wanted);
        for Holder { member, held, .. } in victims(holders, excess, full_for) {
            log::debug!("session {:?} held {held} bytes too many", member.id);
            self.metrics.caps_hit.increment(Cap::Buffers);
            member.reset(ResetCode::LimitReached, SessionEnd::Limit);
        }
    }

    /// Stops the buffers of all sessions from growing, or lets them grow again.
    fn restrain(&self, restrained: bool) {
        log::info!(
            "buffers of sessions may {}",
            if restrained {
                "grow no further"
            } else {
                "grow again"
            }
        );
        for member in self.members() {
            let (window, send) = self.buffers(restrained);
            member
                .handle
                .with_session(|session, _| session.set_buffer_limits(window, send));
        }
    }

    /// How far the window and the send buffer of a session may grow.
    pub(crate) fn buffers(&self, restrained: bool) -> (u64, usize) {
        let config = &self.session_config;
        if restrained {
            (config.window.initial.into(), config.window.initial as usize)
        } else {
            (config.window.max.into(), config.send_buffer)
        }
    }
}

fn is_suspect(member: &Member) -> bool {
    member.look(|session, now| {
        let stats = session.stats(now);
        session.apart_bytes() > 0 || !Role::ALL.iter().any(|role| stats.path(*role).up)
    })
}

/// Those that have to go so that `excess` bytes come back: suspects first, the largest first.
fn victims<M>(mut holders: Vec<Holder<M>>, excess: u64, full_for: u32) -> Vec<Holder<M>> {
    if full_for < SUSPECTS_GO {
        return Vec::new();
    }
    holders.retain(|holder| holder.suspect || full_for >= ANY_GOES);
    holders.sort_unstable_by_key(|holder| (!holder.suspect, Reverse(holder.held)));
    let mut freed = 0;
    let enough = holders
        .iter()
        .position(|holder| {
            let enough = freed >= excess;
            freed += holder.held;
            enough
        })
        .unwrap_or(holders.len());
    holders.truncate(enough);
    holders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(excess: u64, full_for: u32) -> Vec<&'static str> {
        let holders = [
            ("small", 100, false),
            ("large", 1000, false),
            ("hole", 70, true),
            ("gone", 200, true),
        ];
        let holders = holders.map(|(member, held, suspect)| Holder {
            member,
            held,
            suspect,
        });
        victims(holders.into(), excess, full_for)
            .into_iter()
            .map(|holder| holder.member)
            .collect()
    }

    #[test]
    fn suspects_go_first_and_the_largest_of_the_others_if_it_lasts() {
        assert!(go(1, SUSPECTS_GO - 1).is_empty());
        assert_eq!(go(200, SUSPECTS_GO), ["gone"]);
        assert_eq!(go(201, SUSPECTS_GO), ["gone", "hole"]);
        assert_eq!(go(10_000, ANY_GOES - 1), ["gone", "hole"]);
        assert_eq!(go(271, ANY_GOES), ["gone", "hole", "large"]);
        assert_eq!(go(10_000, ANY_GOES).len(), 4);
        assert!(go(0, ANY_GOES).is_empty());
    }
}
