//! Two honest ends, and a network that does what the input says.

use std::time::Duration;

use bytes::Bytes;
use twinpath_proto::{
    Action, ClientConfig, DialError, Directory, DirectoryConfig, FirstFlight, GatewayConfig,
    HelloRoute, JoinRoute, LegEnd, LegId, PathChange, Refusal, Role, Session, SessionError,
    Standby, Time, refuse,
};

use super::end::End;

/// More operations teach nothing new.
const MAX_OPERATIONS: usize = 300;
/// More is not written in each direction.
const MAX_STREAM: usize = 300_000;
/// More does not lie on a link; what is beyond stays with the sender.
const MAX_QUEUE: usize = 128 * 1024;
/// In a network that works, a session has ended after this many steps.
const MAX_STEPS: usize = 20_000;

/// One direction of a leg.
#[derive(Debug, Default)]
struct Way {
    bytes: Vec<u8>,
    /// The sender has closed it.
    end: Option<LegEnd>,
}

impl Way {
    fn put(&mut self, bytes: &[u8]) {
        if self.end.is_none() {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn close(&mut self, last: &[u8], abort: bool) {
        if abort {
            self.bytes.clear();
        } else {
            self.put(last);
        }
        let how = if abort { LegEnd::Reset } else { LegEnd::Eof };
        self.end = self.end.or(Some(how));
    }
}

#[derive(Debug)]
struct Link {
    client: Option<LegId>,
    gateway: Option<(usize, LegId)>,
    /// The gateway has looked at it.
    accepted: bool,
    /// To the gateway.
    up: Way,
    /// To the client.
    down: Way,
}

#[derive(Debug)]
struct Pair {
    client: End,
    /// More than one when a client began anew; only one of them may get data.
    gateways: Vec<End>,
    book: Directory<usize>,
    links: Vec<Link>,
    dials: [bool; 2],
    written: [usize; 2],
}

/// Two honest ends over legs that come and go. Whatever happens, bytes arrive once and in order;
/// and when the network works again the session comes to an end.
pub fn session_pair(data: &[u8]) {
    let Some((mode, operations)) = data.split_first() else {
        return;
    };
    let mut pair = Pair::new(*mode);
    for operation in operations.chunks_exact(2).take(MAX_OPERATIONS) {
        pair.operate(operation[0], operation[1]);
        pair.settle();
    }
    pair.heal();
}

const fn role(bit: u8) -> Role {
    if bit & 1 == 0 {
        Role::Primary
    } else {
        Role::Backup
    }
}

/// What stands at an offset of either stream.
const fn letter(offset: usize) -> u8 {
    (offset as u8).wrapping_mul(31) ^ (offset >> 8) as u8
}

#[allow(clippy::field_reassign_with_default, reason = "the structure may grow")]
fn client_config(mode: u8) -> ClientConfig {
    let mut config = ClientConfig::default();
    if mode & 1 != 0 {
        config.standby = Standby::Warm;
    }
    if mode & 4 != 0 {
        config.budget = Some(200_000);
    }
    config.send_buffer = 100_000;
    config
}

#[allow(clippy::field_reassign_with_default, reason = "the structure may grow")]
fn gateway_config() -> GatewayConfig {
    let mut config = GatewayConfig::default();
    config.send_buffer = 100_000;
    config
}

impl Pair {
    fn new(mode: u8) -> Self {
        let config = client_config(mode);
        let window = config.window.max.into();
        let session = Session::client(config, [1; 32], Time::ZERO);
        let mut pair = Self {
            client: End::new(session, window, Time::ZERO),
            gateways: Vec::new(),
            book: Directory::new(DirectoryConfig::default(), Time::ZERO),
            links: Vec::new(),
            dials: [false; 2],
            written: [0; 2],
        };
        pair.open(role(mode >> 1));
        pair.settle();
        pair
    }

    fn open(&mut self, role: Role) {
        let rtt = Some(Duration::from_millis(20));
        let leg = self.client.session.leg_opened(role, rtt, self.client.now);
        self.links.push(Link {
            client: Some(leg),
            gateway: None,
            accepted: false,
            up: Way::default(),
            down: Way::default(),
        });
    }

    fn operate(&mut self, code: u8, argument: u8) {
        let size = usize::from(argument) * 97 + 1;
        let now = self.client.now;
        match code % 16 {
            0 | 1 => self.write_client(size),
            2 | 3 => self.write_gateway(size),
            4..=6 => self.deliver(usize::from(argument), size),
            7 => self.deliver_all(),
            8 => self.read_all(size),
            9 => self.pass(Duration::from_millis(u64::from(argument))),
            10 => self.pass(Duration::from_millis(u64::from(argument) * 40)),
            11 => self.answer_dial(role(argument), argument & 2 == 0),
            12 => self.cut(usize::from(argument)),
            13 => {
                let change = match argument >> 1 & 3 {
                    0 => PathChange::Gone,
                    1 => PathChange::Back,
                    _ => PathChange::Changed,
                };
                self.client
                    .session
                    .path_changed(role(argument), change, now);
            }
            14 => {
                let limit = (argument > 0).then_some(u64::from(argument) * 4096);
                self.client.session.set_budget(limit, now);
            }
            _ if argument & 1 == 0 => self.client.session.finish(now),
            _ => self
                .gateways
                .iter_mut()
                .for_each(|end| end.session.finish(now)),
        }
    }

    fn write_client(&mut self, size: usize) {
        let from = self.written[0];
        let to = (from + size).min(MAX_STREAM);
        let data: Vec<u8> = (from..to).map(letter).collect();
        self.written[0] += self.client.write(&data);
    }

    fn write_gateway(&mut self, size: usize) {
        let from = self.written[1];
        let to = (from + size).min(MAX_STREAM);
        let data: Vec<u8> = (from..to).map(letter).collect();
        if let Some(end) = self.gateways.last_mut() {
            self.written[1] += end.write(&data);
        }
    }

    fn read_all(&mut self, most: usize) {
        for end in self.gateways.iter_mut().chain([&mut self.client]) {
            let from = end.read.len();
            let _ = end.read(most);
            for (at, byte) in end.read.iter().enumerate().skip(from) {
                assert_eq!(*byte, letter(at), "a wrong byte at {at}");
            }
        }
        let served = self.gateways.iter().filter(|end| !end.read.is_empty());
        assert!(served.count() <= 1, "two sessions got the same data");
    }

    /// Lets time pass at all ends.
    fn pass(&mut self, time: Duration) {
        self.client.pass(time);
        for end in &mut self.gateways {
            end.pass(time);
        }
    }

    fn answer_dial(&mut self, role: Role, good: bool) {
        if !std::mem::take(&mut self.dials[usize::from(role == Role::Backup)]) {
            return;
        }
        if good {
            self.open(role);
        } else {
            let now = self.client.now;
            let session = &mut self.client.session;
            session.dial_failed(role, DialError::TimedOut, now);
        }
    }

    /// A leg is torn, and what lies on it is lost.
    fn cut(&mut self, number: usize) {
        let count = self.links.len();
        if let Some(link) = self.links.get_mut(number % count.max(1)) {
            for way in [&mut link.up, &mut link.down] {
                way.bytes.clear();
                way.end = Some(LegEnd::Reset);
            }
        }
    }

    fn deliver(&mut self, number: usize, most: usize) {
        let count = self.links.len();
        if count > 0 {
            self.deliver_up(number % count, most);
            self.deliver_down(number % count, most);
        }
    }

    fn deliver_all(&mut self) {
        for number in 0..self.links.len() {
            self.deliver_up(number, MAX_QUEUE);
            self.deliver_down(number, MAX_QUEUE);
        }
    }

    fn deliver_up(&mut self, number: usize, most: usize) {
        let link = &mut self.links[number];
        let Some((which, leg)) = link.gateway else {
            if link.accepted {
                link.up.bytes.clear();
                return;
            }
            return self.accept(number);
        };
        let end = &mut self.gateways[which];
        let n = link.up.bytes.len().min(most);
        if n > 0 {
            let piece: Bytes = link.up.bytes.drain(..n).collect();
            end.receive(leg, piece);
        }
        if let Some(how) = link.up.end.filter(|_| link.up.bytes.is_empty()) {
            link.gateway = None;
            link.up.end = None;
            link.down.end = link.down.end.or(Some(LegEnd::Eof));
            end.session.leg_closed(leg, how, end.now);
        }
    }

    fn deliver_down(&mut self, number: usize, most: usize) {
        let link = &mut self.links[number];
        let Some(leg) = link.client else {
            return;
        };
        let n = link.down.bytes.len().min(most);
        if n > 0 {
            let piece: Bytes = link.down.bytes.drain(..n).collect();
            self.client.receive(leg, piece);
        }
        if let Some(how) = link.down.end.filter(|_| link.down.bytes.is_empty()) {
            link.client = None;
            link.down.end = None;
            link.up.end = link.up.end.or(Some(LegEnd::Eof));
            self.client.session.leg_closed(leg, how, self.client.now);
        }
    }

    /// A connection that the gateway has not looked at yet.
    fn accept(&mut self, number: usize) {
        let link = &mut self.links[number];
        let now = self.client.now;
        let mut reply = None;
        let consumed = match FirstFlight::parse(&link.up.bytes) {
            FirstFlight::Incomplete => {
                if link.up.end.is_some() {
                    link.accepted = true;
                    link.down.end = Some(LegEnd::Eof);
                }
                return;
            }
            FirstFlight::Hello { hello, consumed } => {
                match self.book.hello(&hello, now) {
                    HelloRoute::New => {
                        let config = gateway_config();
                        let seed = [2 + self.gateways.len() as u8; 32];
                        match Session::gateway(&config, &hello, seed, None, now) {
                            Ok((session, leg)) => {
                                let which = self.gateways.len();
                                self.book.insert(&session, &hello, which);
                                let window = config.window.max.into();
                                self.gateways.push(End::new(session, window, now));
                                // What was written for an earlier one went nowhere.
                                self.written[1] = 0;
                                link.gateway = Some((which, leg));
                            }
                            Err(error) => panic!("an honest HELLO was not taken: {error}"),
                        }
                    }
                    HelloRoute::Retry(which) => {
                        let session = &mut self.gateways[which].session;
                        match session.accept_retry(&hello, None, now) {
                            Ok(leg) => link.gateway = Some((which, leg)),
                            Err(error) => reply = error.reply(),
                        }
                    }
                    _ => reply = Some(refuse(Refusal::Retry)),
                }
                consumed
            }
            FirstFlight::Join { join, consumed } => {
                match self.book.join(&join, now) {
                    JoinRoute::Session(which) => {
                        let session = &mut self.gateways[which].session;
                        match session.accept_join(&join, None, now) {
                            Ok(leg) => link.gateway = Some((which, leg)),
                            Err(error) => reply = error.reply(),
                        }
                    }
                    JoinRoute::Reply(bytes, _) => reply = Some(bytes),
                    _ => {}
                }
                consumed
            }
            other => panic!("an honest client sent {other:?}"),
        };
        link.accepted = true;
        link.up.bytes.drain(..consumed);
        if link.gateway.is_none() {
            link.up.bytes.clear();
            link.down
                .bytes
                .extend_from_slice(&reply.unwrap_or_default());
            link.down.end = Some(LegEnd::Eof);
        }
    }

    /// Carries out what the ends ask for, and puts what they send on the links.
    fn settle(&mut self) {
        self.client.check();
        for end in &mut self.gateways {
            end.check();
        }
        for link in &mut self.links {
            if let Some(leg) = link.client.filter(|_| link.up.bytes.len() < MAX_QUEUE) {
                link.up.put(&self.client.pull(leg));
            }
            if let Some((which, leg)) = link.gateway {
                if link.down.bytes.len() < MAX_QUEUE {
                    link.down.put(&self.gateways[which].pull(leg));
                }
            }
        }
        self.carry_out();
        self.links
            .retain(|link| link.client.is_some() || link.gateway.is_some() || !link.accepted);
        for which in 0..self.gateways.len() {
            let session = &self.gateways[which].session;
            if let (true, Some(id)) = (session.is_closed(), session.session_id()) {
                let good = session.result() == Some(Ok(()));
                let tombstone = session.tombstone().filter(|_| good);
                self.book.remove(id, tombstone, self.client.now);
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.client.actions.pop_front() {
            match action {
                Action::Dial { role, .. } => self.dials[usize::from(role == Role::Backup)] = true,
                Action::CancelDial { role } => {
                    self.dials[usize::from(role == Role::Backup)] = false;
                }
                Action::Close { leg, abort } => {
                    let link = self.links.iter_mut().find(|link| link.client == Some(leg));
                    if let Some(link) = link {
                        link.client = None;
                        link.up.close(&self.client.pull(leg), abort);
                    }
                }
            }
        }
        for which in 0..self.gateways.len() {
            while let Some(action) = self.gateways[which].actions.pop_front() {
                let Action::Close { leg, abort } = action else {
                    panic!("a gateway cannot dial");
                };
                let end = Some((which, leg));
                if let Some(link) = self.links.iter_mut().find(|link| link.gateway == end) {
                    link.gateway = None;
                    link.down.close(&self.gateways[which].pull(leg), abort);
                }
            }
        }
    }

    /// The network works, and both applications come to their end.
    fn heal(&mut self) {
        for role in Role::ALL {
            let now = self.client.now;
            self.client
                .session
                .path_changed(role, PathChange::Back, now);
        }
        self.client.session.set_budget(None, self.client.now);
        for _ in 0..MAX_STEPS {
            self.write_client(0);
            self.client.session.finish(self.client.now);
            for end in &mut self.gateways {
                end.session.finish(end.now);
            }
            self.settle();
            self.answer_dial(Role::Primary, true);
            self.answer_dial(Role::Backup, true);
            self.settle();
            self.deliver_all();
            self.read_all(MAX_STREAM);
            self.settle();
            if self.client.session.is_closed() {
                break;
            }
            self.pass(Duration::from_millis(10));
        }
        self.check_end();
    }

    fn check_end(&self) {
        let sent = self.written[0];
        match self.client.session.result() {
            Some(Ok(())) => {
                let got = self.gateways.iter().map(|end| end.read.len()).max();
                assert_eq!(got.unwrap_or(0), sent, "the client believes all arrived");
                assert_eq!(self.client.read.len(), self.written[1]);
            }
            Some(Err(SessionError::Protocol(why))) => panic!("honest ends fell out: {why}"),
            Some(Err(_)) => {}
            None => panic!("the session is stuck: {self:?}"),
        }
    }
}
