//! The bodies of the fuzz targets. They are also compiled into an ordinary test of the protocol
//! crate, which replays the corpus and mutations of it.
//!
//! Fuzzing proper: `cargo +nightly fuzz run --fuzz-dir tests/fuzz session_pair`; with a stable compiler and without
//! cargo-fuzz, `tests/fuzz/run session_pair [FLAG_OF_LIBFUZZER]...`.

mod end;
mod legs;
mod pair;

pub use legs::{Legs, client_leg, gateway_leg};
pub use pair::session_pair;

use twinpath_proto::{
    Directory, DirectoryConfig, FIRST_FLIGHT_MAX, FirstFlight, GatewayConfig, Session, Time,
};

/// The first bytes that a gateway reads, and what it makes of them.
pub fn first_flight(data: &[u8]) {
    let whole = parse_first_flight(data);
    let mut book: Directory<()> = Directory::new(DirectoryConfig::default(), Time::ZERO);
    match whole {
        FirstFlight::Hello { hello, consumed } => {
            let rest = bytes::Bytes::copy_from_slice(&data[consumed..]);
            let _ = book.hello(&hello, Time::ZERO);
            let config = GatewayConfig::default();
            if let Ok((session, leg)) = Session::gateway(&config, &hello, [1; 32], None, Time::ZERO)
            {
                book.insert(&session, &hello, ());
                let mut end = end::End::new(session, config.window.max.into(), Time::ZERO);
                end.receive(leg, rest);
            }
        }
        FirstFlight::Join { join, .. } => {
            let _ = book.join(&join, Time::ZERO);
        }
        _ => {}
    }
}

/// The parser alone: what it decides of a beginning, it decides of the whole.
pub fn parse_first_flight(data: &[u8]) -> FirstFlight {
    let whole = FirstFlight::parse(data);
    match &whole {
        FirstFlight::Hello { consumed, .. } | FirstFlight::Join { consumed, .. } => {
            assert!(*consumed <= data.len() && *consumed <= FIRST_FLIGHT_MAX);
        }
        FirstFlight::Incomplete => assert!(data.len() < FIRST_FLIGHT_MAX),
        _ => {}
    }
    for n in [1, 8, 12, 16, data.len() / 2, data.len().saturating_sub(1)] {
        let part = FirstFlight::parse(&data[..n.min(data.len())]);
        assert!(part == FirstFlight::Incomplete || part == whole);
    }
    whole
}
