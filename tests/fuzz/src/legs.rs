//! Hostile bytes on the legs of one end.

use std::time::Duration;

use bytes::Bytes;
use twinpath_proto::{
    ClientConfig, FirstFlight, GatewayConfig, LegId, Role, Session, Standby, Time, WindowConfig,
};

use super::end::End;

const WINDOW: WindowConfig = WindowConfig {
    initial: 64 * 1024,
    max: 128 * 1024,
};

/// One end with two legs, fed with whatever its peer may send.
#[derive(Debug)]
pub struct Legs {
    end: End,
    legs: Vec<LegId>,
}

/// What a gateway, or something else, may send to a client.
pub fn client_leg(data: &[u8]) {
    let Some((mode, data)) = data.split_first() else {
        return;
    };
    let mut legs = match mode & 1 {
        0 => Legs::opening_client(mode & 2 != 0),
        _ => Legs::established().0,
    };
    legs.feed(*mode, data);
}

/// What a client may send to a gateway once it has a session.
pub fn gateway_leg(data: &[u8]) {
    if let Some((mode, data)) = data.split_first() {
        Legs::established().1.feed(*mode, data);
    }
}

#[allow(clippy::field_reassign_with_default, reason = "the structure may grow")]
fn client_config(pin: bool) -> ClientConfig {
    let mut config = ClientConfig::default();
    config.standby = Standby::Warm;
    config.window = WINDOW;
    config.pin = pin.then_some([9; 32]);
    config
}

#[allow(clippy::field_reassign_with_default, reason = "the structure may grow")]
fn gateway_config() -> GatewayConfig {
    let mut config = GatewayConfig::default();
    config.window = WINDOW;
    config.strict_join = true;
    config
}

impl Legs {
    /// A client whose HELLO is out, with data behind it unless the gateway's key is pinned.
    pub fn opening_client(pin: bool) -> Self {
        let session = Session::client(client_config(pin), [1; 32], Time::ZERO);
        let mut end = End::new(session, WINDOW.max.into(), Time::ZERO);
        end.write(&[7; 1000]);
        let leg = end.session.leg_opened(Role::Primary, None, end.now);
        end.pull(leg);
        end.check();
        Self {
            end,
            legs: vec![leg],
        }
    }

    /// Both ends of a session with two legs, on which nothing is under way.
    pub fn established() -> (Self, Self) {
        let session = Session::client(client_config(false), [1; 32], Time::ZERO);
        let mut client = End::new(session, WINDOW.max.into(), Time::ZERO);
        let config = gateway_config();
        let first = client.session.leg_opened(Role::Primary, None, client.now);
        let flight = client.pull(first);
        let FirstFlight::Hello { hello, .. } = FirstFlight::parse(&flight) else {
            panic!("the client did not send a HELLO");
        };
        let accepted = Session::gateway(&config, &hello, [2; 32], None, client.now);
        let Ok((session, peer_first)) = accepted else {
            panic!("the gateway did not take the HELLO");
        };
        let mut gateway = End::new(session, WINDOW.max.into(), client.now);
        client.receive(first, gateway.pull(peer_first));
        let second = client.session.leg_opened(Role::Backup, None, client.now);
        let FirstFlight::Join { join, .. } = FirstFlight::parse(&client.pull(second)) else {
            panic!("the client did not send a JOIN");
        };
        let Ok(peer_second) = gateway.session.accept_join(&join, None, gateway.now) else {
            panic!("the gateway did not take the JOIN");
        };
        client.receive(second, gateway.pull(peer_second));
        // The gateway's second leg still awaits its proof.
        let legs = |end, legs| Self { end, legs };
        (
            legs(client, vec![first, second]),
            legs(gateway, vec![peer_first, peer_second]),
        )
    }

    /// Whether the session has ended, so that nothing more is looked at.
    pub fn is_closed(&self) -> bool {
        self.end.session.is_closed()
    }

    /// Feeds `data` in pieces, over one or both legs, while time passes and the application works.
    pub fn feed(&mut self, mode: u8, data: &[u8]) {
        let size = match mode >> 2 & 3 {
            0 => data.len().max(1),
            1 => 1,
            2 => 7,
            _ => 1500,
        };
        if mode & 16 != 0 {
            self.end.write(&[8; 3000]);
        }
        if mode & 32 != 0 {
            self.end.session.finish(self.end.now);
        }
        for (number, piece) in data.chunks(size).enumerate() {
            let leg = self.legs[match mode & 64 {
                0 => 0,
                _ => number % self.legs.len(),
            }];
            self.end.receive(leg, Bytes::copy_from_slice(piece));
            self.end.pass(Duration::from_millis(u64::from(mode) / 16));
            for leg in self.legs.clone() {
                self.end.pull(leg);
            }
            if mode & 128 != 0 {
                let _ = self.end.read(500);
            }
        }
        self.end.pass(Duration::from_secs(3));
        for leg in self.legs.clone() {
            self.end.pull(leg);
        }
        self.end.check();
    }
}
