//! Two ends of different versions tell each other so, and nothing of the first flight is used.

use std::collections::VecDeque;

use bytes::Bytes;
use twinpath_proto::{
    ClientConfig, FirstFlight, LegId, Refusal, Role, Session, SessionError, Time, VERSION, refuse,
    refuse_version,
};

const KIND: usize = 8;
const VERSION_AT: usize = 9;

fn flight(session: &mut Session, leg: LegId) -> Vec<u8> {
    let mut out = VecDeque::new();
    while session.poll_transmit(leg, 65_536, &mut out, Time::ZERO) > 0 {}
    Vec::from(out).concat()
}

/// A client whose HELLO, with data behind it, is out.
fn client() -> (Session, LegId, Vec<u8>) {
    let mut client = Session::client(ClientConfig::default(), [7; 32], Time::ZERO);
    // No other path could still lead to the gateway.
    client.path_available(Role::Backup, false, Time::ZERO);
    assert_eq!(client.write(b"early", Time::ZERO), Ok(5));
    let leg = client.leg_opened(Role::Primary, None, Time::ZERO);
    let bytes = flight(&mut client, leg);
    assert!(bytes.ends_with(b"early"));
    (client, leg, bytes)
}

/// How the connect ends when the gateway answers with that.
fn end_after(answer: &[u8]) -> Option<Result<(), SessionError>> {
    let (mut client, leg, _) = client();
    client.leg_received(leg, Bytes::copy_from_slice(answer), Time::ZERO);
    client.result()
}

#[test]
fn a_gateway_answers_a_later_client_with_its_versions_and_reads_nothing_else() {
    let (_, _, mut first) = client();
    first[VERSION_AT] = VERSION + 1;
    assert_eq!(FirstFlight::parse(&first), FirstFlight::OtherVersion);
    // Whatever a later version puts there.
    first.truncate(12);
    first[KIND] = 0x7f;
    first[10..12].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(FirstFlight::parse(&first), FirstFlight::OtherVersion);
    assert_eq!(refuse_version()[12..], [1, 1, VERSION, 0]);
}

#[test]
fn a_client_names_the_versions_of_an_older_or_newer_gateway() {
    let mismatch = |min, max| Some(Err(SessionError::VersionMismatch { min, max }));
    assert_eq!(end_after(&refuse_version()), mismatch(1, VERSION));
    // REFUSED is read whatever its own version, and may have grown.
    let mut later = refuse_version().to_vec();
    later[VERSION_AT] = 9;
    later[11] = 6;
    later[13..15].copy_from_slice(&[4, 9]);
    later.extend_from_slice(&[0xff, 0xff]);
    assert_eq!(end_after(&later), mismatch(4, 9));
}

#[test]
fn every_other_refusal_of_a_hello_is_an_error_of_its_own() {
    for why in [
        Refusal::Busy,
        Refusal::GoingAway,
        Refusal::NoStaticKey,
        Refusal::Other(200),
    ] {
        let refused = Some(Err(SessionError::Refused(why)));
        assert_eq!(end_after(&refuse(why)), refused);
    }
    for why in [Refusal::Retry, Refusal::UnknownSession] {
        let interrupted = Some(Err(SessionError::Interrupted { sent: 5 }));
        assert_eq!(end_after(&refuse(why)), interrupted);
    }
}

#[test]
fn a_refusal_decides_only_when_it_is_whole() {
    let whole = refuse_version();
    for n in 0..whole.len() {
        assert_eq!(end_after(&whole[..n]), None, "{n}");
    }
}

#[test]
fn an_echo_service_is_not_a_gateway() {
    let (_, _, first) = client();
    for n in 1..first.len() {
        // The magics have five bytes in common.
        match end_after(&first[..n]) {
            None => assert!(n <= 5),
            Some(Err(SessionError::NotAGateway(_))) => assert!(n > 5),
            other => panic!("{other:?}"),
        }
    }
}
