//! The TCP connections a link has seen, so that resets can be forged which both ends must believe.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::packet::{Packet, Segment, flag};

/// Connections older than this many are forgotten all at once; a lab never has that many live.
const MOST_FLOWS: usize = 16_384;

/// A connection as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Flow {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
}

/// What one end expects next.
#[derive(Debug, Clone, Copy, Default)]
struct Expectation {
    /// The last acknowledgement number this end sent.
    acknowledged: Option<u32>,
    /// The end of the furthest segment that reached this end.
    reached: Option<u32>,
    /// It has said that it will send no more.
    finished: bool,
}

#[derive(Debug, Default)]
struct State {
    client: Expectation,
    server: Expectation,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    known: HashMap<Flow, State>,
}

impl Flows {
    /// Takes note of a segment that its sender has just put on the link.
    pub(crate) fn sent(&mut self, flow: Flow, by_client: bool, segment: Segment) {
        if segment.has(flag::RST) {
            self.known.remove(&flow);
            return;
        }
        if segment.is_initial_syn() {
            // The ports may be used anew: nothing of the earlier connection holds.
            if self.known.len() >= MOST_FLOWS {
                self.known.clear();
            }
            self.known.insert(flow, State::default());
        }
        let Some(state) = self.known.get_mut(&flow) else {
            return;
        };
        let end = state.end(by_client);
        if segment.has(flag::ACK) {
            end.acknowledged = Some(segment.ack);
        }
        end.finished |= segment.has(flag::FIN);
        if state.client.finished && state.server.finished {
            self.known.remove(&flow);
        }
    }

    /// Takes note of a segment that is about to reach its receiver.
    pub(crate) fn delivered(&mut self, flow: Flow, to_client: bool, segment: Segment) {
        if let Some(state) = self.known.get_mut(&flow) {
            let end = state.end(to_client);
            let furthest = segment.end();
            // Sequence numbers wrap: "further" is a signed difference.
            let further = end
                .reached
                .is_none_or(|r| furthest.wrapping_sub(r) as i32 > 0);
            if further {
                end.reached = Some(furthest);
            }
        }
    }

    /// The connections seen, of one server port if one is given.
    pub(crate) fn matching(&self, port: Option<u16>) -> Vec<Flow> {
        let wanted = |flow: &&Flow| port.is_none_or(|port| flow.server.port() == port);
        self.known.keys().filter(wanted).copied().collect()
    }

    pub(crate) fn forget(&mut self, flow: Flow) {
        self.known.remove(&flow);
    }

    /// Resets from the peer of one end to that end.
    ///
    /// An end believes a reset only at exactly the sequence number it expects (RFC 5961). That is
    /// one of two: what it last acknowledged, or the end of what reached it since.
    pub(crate) fn forge(&self, flow: Flow, to_client: bool) -> Vec<Packet> {
        let Some(state) = self.known.get(&flow) else {
            return Vec::new();
        };
        let (source, destination) = if to_client {
            (flow.server, flow.client)
        } else {
            (flow.client, flow.server)
        };
        let (end, peer) = if to_client {
            (state.client, state.server)
        } else {
            (state.server, state.client)
        };
        let mut numbers = vec![end.acknowledged, end.reached];
        numbers.dedup();
        let mut numbers: Vec<u32> = numbers.into_iter().flatten().collect();
        if numbers.is_empty() {
            // Nothing has come back to a SYN yet; the acknowledgement alone makes it credible.
            numbers.push(0);
        }
        let ack = peer.reached.or(peer.acknowledged).unwrap_or(0);
        let reset = |seq| {
            let segment = Segment {
                seq,
                ack,
                flags: flag::RST | flag::ACK,
                payload: 0,
            };
            Packet::forge(source, destination, segment)
        };
        numbers.into_iter().filter_map(reset).collect()
    }
}

impl State {
    fn end(&mut self, client: bool) -> &mut Expectation {
        if client {
            &mut self.client
        } else {
            &mut self.server
        }
    }
}
