//! What happens to paths.

use twinpath_proto::{LegEnd, Role};

use super::{CLIENT, GATEWAY, Sim, ms};

impl Sim {
    /// Nothing passes: up, down. What TCP holds is delivered when it heals.
    pub(crate) fn hole(&mut self, role: Role, up: bool, down: bool) {
        let link = &mut self.links[role.index()];
        link.hole = [down, up];
        let held: Vec<usize> = (0..self.conns.len())
            .filter(|at| self.conns[*at].role == role)
            .collect();
        for at in held {
            for to in [CLIENT, GATEWAY] {
                if self.links[role.index()].holds(to) {
                    continue;
                }
                let mut held = std::mem::take(&mut self.conns[at].held[to]);
                if !held.is_empty() {
                    // What was sent later arrives later.
                    held.extend(self.queue.take(at, to));
                }
                for what in held {
                    // TCP's own retransmission timer.
                    let due = (self.now + ms(150)).max(self.conns[at].last_due[to]);
                    self.conns[at].last_due[to] = due;
                    self.queue.push(due, at, what);
                }
            }
        }
    }

    pub(crate) fn blackhole(&mut self, role: Role) {
        self.hole(role, true, true);
    }

    pub(crate) fn heal(&mut self, role: Role) {
        self.hole(role, false, false);
    }

    /// Every leg of that path is reset, at both ends, and what is in flight is lost.
    pub(crate) fn reset_legs(&mut self, role: Role) {
        for at in 0..self.conns.len() {
            if self.conns[at].role != role {
                continue;
            }
            self.queue.forget(at);
            for end in [CLIENT, GATEWAY] {
                self.conns[at].closed[end] = true;
                let leg = self.conns[at].legs[end].take();
                let now = self.now;
                if let (Some(leg), Some(session)) = (leg, self.session(end)) {
                    session.leg_closed(leg, LegEnd::Reset, now);
                }
            }
        }
        self.pump_all();
    }
}
