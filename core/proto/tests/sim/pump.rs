//! Carries out what both sessions ask for.

use std::collections::VecDeque;

use bytes::Bytes;
use twinpath_proto::{Action, LegEnd, LegId, Session};

use super::{CLIENT, GATEWAY, Sim, What, ms};

impl Sim {
    pub(super) fn send(&mut self, at: usize, to: usize, bytes: Bytes) {
        let conn = &mut self.conns[at];
        let link = &mut self.links[conn.role.index()];
        conn.in_flight[to] += bytes.len();
        let late = link.late(&mut self.rng);
        let due = link.due(self.now, to, bytes.len()) + late;
        if link.loss > 0.0 {
            let bound = self.queue.repair(self.now, at, to, link.delay);
            conn.last_due[to] = conn.last_due[to].min(bound);
        }
        let due = due.max(conn.last_due[to]);
        conn.last_due[to] = due;
        self.queue.push(due, at, What::Bytes { to, bytes });
    }

    pub(super) fn end(&mut self, at: usize, to: usize, end: LegEnd) {
        let conn = &mut self.conns[at];
        let due = (self.now + self.links[conn.role.index()].delay).max(conn.last_due[to]);
        conn.last_due[to] = due;
        self.queue.push(due, at, What::End { to, end });
    }

    /// Carries out what both sessions ask for until they ask for nothing more.
    pub(crate) fn pump_all(&mut self) {
        for _ in 0..10_000 {
            let client = self.pump(CLIENT);
            let gateway = self.pump(GATEWAY);
            if !client && !gateway {
                return;
            }
        }
        panic!("the ends never come to rest at {:?}", self.now);
    }

    fn pump(&mut self, end: usize) -> bool {
        let now = self.now;
        let mut busy = false;
        self.run_app(end);
        for at in 0..self.conns.len() {
            let Some(leg) = self.conns[at].legs[end] else {
                continue;
            };
            let room = self.conns[at]
                .socket
                .saturating_sub(self.conns[at].in_flight[1 - end]);
            if room == 0 {
                continue;
            }
            busy |= self.transmit(at, end, leg, room) > 0;
        }
        while let Some(action) = self.session(end).and_then(Session::poll_action) {
            busy = true;
            self.act(end, action);
        }
        while let Some(event) = self.session(end).and_then(Session::poll_event) {
            self.events[end].push((now, event));
        }
        self.reap(end);
        busy
    }

    fn transmit(&mut self, at: usize, end: usize, leg: LegId, room: usize) -> usize {
        let now = self.now;
        let mut out = VecDeque::new();
        let max = room.min(32 * 1024);
        let n = self
            .session(end)
            .map_or(0, |session| session.poll_transmit(leg, max, &mut out, now));
        let whole: Vec<u8> = out.iter().flat_map(|piece| piece.iter().copied()).collect();
        assert_eq!(n, whole.len());
        // Cut anywhere, as TCP does.
        let mut whole = Bytes::from(whole);
        while !whole.is_empty() {
            let cut = match self.rng.below(4) {
                0 => 1 + self.rng.below(40) as usize,
                _ => 1448 * (1 + self.rng.below(3) as usize),
            };
            let piece = whole.split_to(cut.min(whole.len()));
            self.send(at, 1 - end, piece);
        }
        n
    }

    fn act(&mut self, end: usize, action: Action) {
        match action {
            Action::Dial { role, .. } => {
                assert_eq!(end, CLIENT);
                assert!(self.dials[role.index()].is_none(), "two dials on one path");
                let id = self.rng.next();
                self.dials[role.index()] = Some(id);
                let link = &self.links[role.index()];
                let wait = if link.is_open() {
                    link.delay * 2
                } else {
                    ms(5000)
                };
                self.queue
                    .push(self.now + wait, 0, What::Dialled { role, id });
            }
            Action::CancelDial { role } => self.dials[role.index()] = None,
            Action::Close { leg, abort } => {
                let Some(at) = self
                    .conns
                    .iter()
                    .position(|conn| conn.legs[end] == Some(leg))
                else {
                    return;
                };
                if !abort {
                    while self.transmit(at, end, leg, 32 * 1024) > 0 {}
                }
                self.conns[at].legs[end] = None;
                self.conns[at].closed[end] = true;
                let how = if abort { LegEnd::Reset } else { LegEnd::Eof };
                self.end(at, 1 - end, how);
            }
        }
    }
}
