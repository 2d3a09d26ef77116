//! Reads vectors and constants out of PROTOCOL.md, and holds the code against them.

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::crypto::{Ephemeral, Keys, StaticKey, sha256};
use crate::error::Refusal;
use crate::first_flight::{self, FirstFlight};
use crate::rtt::Rtt;
use crate::types::{JoinAddress, ResetCode, Role, ServiceType, SessionId, Standby};
use crate::wire::frame::{self, Frame};
use crate::wire::hello::{self, Hello, Retry, Welcome};
use crate::wire::join::{self, Join, Joined, StreamState};
use crate::wire::preamble::{self, GATEWAY_MAGIC, Kind, Refused, Sniff};
use crate::wire::reader::FrameReader;

const DOCUMENT: &str = include_str!("../../PROTOCOL.md");

/// The two cells of each row of the tables in that section.
fn rows(section: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let start = DOCUMENT.find(section).unwrap() + section.len();
    let end = DOCUMENT[start..]
        .find("\n#")
        .unwrap_or(DOCUMENT.len() - start);
    DOCUMENT[start..start + end].lines().filter_map(|line| {
        let (name, value) = line
            .strip_prefix("| ")?
            .strip_suffix(" |")?
            .split_once(" | ")?;
        Some((name, value))
    })
}

struct Vectors(HashMap<&'static str, Bytes>);

impl Vectors {
    fn read() -> Self {
        let mut all = HashMap::new();
        for (name, value) in rows("## 20. Test vectors") {
            let Some(hex) = value.strip_prefix('`').and_then(|v| v.strip_suffix('`')) else {
                continue;
            };
            let digits: Vec<char> = hex.chars().filter(|c| *c != ' ').collect();
            let bytes: Bytes = digits
                .chunks(2)
                .map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap())
                .collect();
            assert!(
                all.insert(name, bytes).is_none(),
                "{name} stands there twice"
            );
        }
        assert_eq!(all.len(), 41);
        Self(all)
    }

    fn get(&self, name: &str) -> Bytes {
        self.0
            .get(name)
            .cloned()
            .unwrap_or_else(|| panic!("no vector {name}"))
    }

    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.get(name)[..].try_into().unwrap()
    }

    fn client(&self) -> Ephemeral {
        Ephemeral::new(self.array("client secret"))
    }

    fn gateway(&self) -> Ephemeral {
        Ephemeral::new(self.array("gateway secret"))
    }

    fn static_key(&self) -> StaticKey {
        StaticKey::from_bytes(self.array("static secret"))
    }

    fn session(&self) -> SessionId {
        SessionId(self.array("session id"))
    }

    fn keys(&self) -> Keys {
        let transcript = self.array("transcript");
        Keys::client(
            &self.client(),
            &self.array("gateway key"),
            None,
            &transcript,
        )
        .unwrap()
    }

    fn hello(&self, pin: bool) -> Hello {
        let mut hello = Hello {
            version: crate::VERSION,
            client_key: self.client().public(),
            retry_hash: sha256(&[&self.get("retry secret")]),
            pin,
            service: ServiceType::Interactive,
            standby: Standby::Warm,
            window: 262_144,
            ttl_s: 60,
            credit: 1_000_000,
            role: Role::Primary,
            retry: None,
            base: Bytes::new(),
        };
        hello.base = hello.encode_base();
        hello
    }

    fn welcome(&self, pinned: bool) -> Welcome {
        let address = |host: &str, port| JoinAddress {
            host: host.to_owned(),
            port,
        };
        Welcome {
            session: self.session(),
            gateway_key: self.gateway().public(),
            window: 262_144,
            ttl_s: 60,
            pinned,
            join_addresses: vec![address("gw.example", 443), address("192.0.2.7", 8443)],
        }
    }
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// Header and body of a gateway's preamble, the MAC cut off the body.
fn split(whole: &[u8], kind: Kind, mac: usize) -> (&[u8], &[u8], &[u8]) {
    let Sniff::Header(header) = preamble::sniff(whole, &GATEWAY_MAGIC) else {
        panic!("no header");
    };
    assert_eq!(header.kind, Some(kind));
    assert_eq!(header.version, crate::VERSION);
    assert_eq!(header.body_len, whole.len() - preamble::HEADER_LEN);
    let (signed, mac) = whole.split_at(whole.len() - mac);
    (signed, &signed[preamble::HEADER_LEN..], mac)
}

#[test]
fn public_keys_and_the_retry_hash_follow_from_the_secrets() {
    let v = Vectors::read();
    assert_eq!(v.client().public(), v.array("client key"));
    assert_eq!(v.gateway().public(), v.array("gateway key"));
    assert_eq!(v.static_key().public().0, v.array("static key"));
    assert_eq!(sha256(&[&v.get("retry secret")]), v.array("retry hash"));
}

#[test]
fn hello_is_written_and_read_as_documented() {
    let v = Vectors::read();
    for (name, pin) in [("hello", false), ("hello pinned", true)] {
        let hello = v.hello(pin);
        assert_eq!(hello.base, v.get(name), "{name}");
        let consumed = hello.base.len();
        let parsed = FirstFlight::parse(&v.get(name));
        assert_eq!(parsed, FirstFlight::Hello { hello, consumed }, "{name}");
    }
}

#[test]
fn a_repeated_hello_is_the_first_one_with_the_retry_behind() {
    let v = Vectors::read();
    let mut hello = v.hello(false);
    let retry = Retry {
        secret: v.array("retry secret"),
        age_ms: 1500,
        role: Role::Backup,
        data_sent: true,
    };
    let bytes = Hello::encode_retry(&hello.base, &retry);
    assert_eq!(bytes, v.get("hello retry"));
    hello.retry = Some(retry);
    assert_eq!(hello.role(), Role::Backup);
    assert_eq!(hello.base, v.get("hello"));
    let consumed = bytes.len();
    assert_eq!(
        FirstFlight::parse(&bytes),
        FirstFlight::Hello { hello, consumed }
    );
}

#[test]
fn welcome_is_written_and_read_as_documented_and_gives_both_ends_the_same_keys() {
    let v = Vectors::read();
    for (tag, pinned) in [("", false), (" pinned", true)] {
        let name = |what: &str| format!("{what}{tag}");
        let hello = v.hello(pinned);
        let expected = v.get(&name("welcome"));
        let (signed, body, mac) = split(&expected, Kind::Welcome, 32);
        let welcome = v.welcome(pinned);
        assert_eq!(welcome.encode(), signed);
        assert_eq!(Welcome::parse(body).as_ref(), Ok(&welcome));

        let transcript = sha256(&[&hello.base, signed]);
        assert_eq!(transcript, v.array(&name("transcript")));
        let key = v.static_key();
        let pin = key.public().0;
        let client = Keys::client(
            &v.client(),
            &welcome.gateway_key,
            pinned.then_some(&pin),
            &transcript,
        );
        let gateway = Keys::gateway(
            &v.gateway(),
            &hello.client_key,
            pinned.then_some(&key),
            &transcript,
        );
        for keys in [client.unwrap(), gateway.unwrap()] {
            assert_eq!(keys.confirm(&transcript), mac);
            assert_eq!(hmac(&v.get(&name("confirm key")), &transcript), mac);
            for (key, which) in [
                (&keys.join_client, "join client key"),
                (&keys.join_gateway, "join gateway key"),
            ] {
                assert_eq!(key.mac(&[b"x"])[..], hmac(&v.get(&name(which)), b"x"));
            }
        }
    }
}

#[test]
fn join_is_written_and_read_as_documented() {
    let v = Vectors::read();
    let mut join = Join {
        session: v.session(),
        counter: 1,
        role: Role::Backup,
        state: StreamState {
            epoch: 7,
            active: Role::Primary,
            recv_next: 5,
            recv_limit: 262_149,
        },
        credit: 1_000_000,
        received: 0,
        data_offset: 3,
        data: Bytes::from_static(b"hello"),
        signed: Bytes::new(),
        mac: [0; 32],
    };
    join.signed = join.encode().freeze();
    join.mac = v.keys().join_client.mac(&[&join.signed, &join.data]);
    let whole = [&join.signed[..], &join.mac, &join.data].concat();
    assert_eq!(whole, v.get("join"));
    let consumed = whole.len();
    assert_eq!(
        FirstFlight::parse(&whole),
        FirstFlight::Join { join, consumed }
    );
}

#[test]
fn joined_and_its_proof_are_written_and_read_as_documented() {
    let v = Vectors::read();
    let keys = v.keys();
    let joined = Joined {
        counter: 1,
        state: StreamState {
            epoch: 7,
            active: Role::Primary,
            recv_next: 8,
            recv_limit: 262_152,
        },
        strict: true,
        nonce: v.array("nonce"),
    };
    let expected = v.get("joined");
    let (signed, body, mac) = split(&expected, Kind::Joined, 32);
    assert_eq!(joined.encode(), signed);
    assert_eq!(Joined::parse(body), Ok(joined));
    assert!(keys.join_gateway.verify(&[signed], mac));
    let proof = keys.join_client.mac(&[b"proof", &joined.nonce]);
    assert_eq!(v.get("proof")[4..], proof);
}

#[test]
fn every_frame_is_written_and_read_as_documented_wherever_it_is_cut() {
    let v = Vectors::read();
    let (next, limit) = (8, 262_152);
    let frames = [
        ("ack", Frame::Ack { next, limit }),
        ("ping", Frame::Ping { id: 9 }),
        ("pong", Frame::Pong { id: 9 }),
        (
            "switch",
            Frame::Switch {
                epoch: 8,
                active: Role::Backup,
                next,
                limit,
            },
        ),
        ("fin", Frame::Fin { offset: 8 }),
        (
            "reset",
            Frame::Reset {
                code: ResetCode::GoingAway,
                delivered: 6,
            },
        ),
        ("credit", Frame::Credit { total: 2_000_000 }),
        ("goaway", Frame::GoAway { within_ms: 30_000 }),
        ("window", Frame::Window { limit: 262_149 }),
        (
            "proof",
            Frame::Proof {
                mac: v.get("proof")[4..].try_into().unwrap(),
            },
        ),
        (
            "data",
            Frame::Data {
                offset: 3,
                payload: Bytes::from_static(b"hello"),
            },
        ),
    ];
    for (name, frame) in frames {
        let expected = v.get(name);
        let mut out = BytesMut::new();
        frame.encode(&mut out);
        assert_eq!(out, expected, "{name}");
        let mut whole = expected.clone();
        assert_eq!(
            FrameReader::default().next(&mut whole),
            Ok(Some(frame.clone()))
        );
        for cut in 0..expected.len() {
            let mut reader = FrameReader::default();
            let mut got = Vec::new();
            for mut part in [expected.slice(..cut), expected.slice(cut..)] {
                while let Some(frame) = reader.next(&mut part).unwrap() {
                    got.push(frame);
                }
                assert!(part.is_empty());
            }
            // DATA is handed on as it arrives.
            if let [
                Frame::Data { offset: 3, payload },
                Frame::Data { payload: rest, .. },
            ] = &got[..]
            {
                assert_eq!([&payload[..], rest].concat(), b"hello");
            } else {
                assert_eq!(got, std::slice::from_ref(&frame), "{name} cut at {cut}");
            }
        }
    }
}

#[test]
fn refusals_are_written_and_read_as_documented() {
    let v = Vectors::read();
    for (name, code) in [
        ("refused version", Refusal::Version),
        ("refused unknown session", Refusal::UnknownSession),
    ] {
        let expected = v.get(name);
        assert_eq!(first_flight::refuse(code), expected);
        let (_, body, _) = split(&expected, Kind::Refused, 0);
        let refused = Refused::parse(body).unwrap();
        assert_eq!(Refusal::from_wire(refused.code), code);
        assert_eq!((refused.min_version, refused.max_version), (1, 1));
        assert_eq!((refused.offsets, refused.mac), (None, None));
    }
    let expected = v.get("closed");
    let code = Refusal::Closed.to_wire();
    let (signed, _, mac) = split(&expected, Kind::Refused, 32);
    assert_eq!(Refused::encode(code, Some((8, 11)), 32), signed);
    assert!(v.keys().join_gateway.verify(&[signed], mac));
    let refused = Refused::parse(&expected[preamble::HEADER_LEN..]).unwrap();
    assert_eq!(refused.offsets, Some((8, 11)));
    assert_eq!(refused.mac.as_ref().map(|mac| &mac[..]), Some(mac));
}

#[test]
fn codes_of_refused_and_reset_are_those_in_the_tables() {
    let codes = |section| -> Vec<(u8, &str)> {
        rows(section)
            .filter_map(|(code, rest)| Some((code.parse().ok()?, rest)))
            .collect()
    };
    let refused = codes("### 4.7 Codes of REFUSED");
    for (code, rest) in &refused {
        let name = format!("{:?} |", Refusal::from_wire(*code));
        assert!(rest.starts_with(&name), "{rest}");
        assert_eq!(Refusal::from_wire(*code).to_wire(), *code);
    }
    assert_eq!(refused.len(), 8);
    assert_eq!(Refusal::from_wire(9), Refusal::Other(9));
    let reset = codes("### 7.1 Codes of RESET");
    for (code, _) in &reset {
        let code = u16::from(*code);
        assert!(!matches!(ResetCode::from_wire(code), ResetCode::Other(_)));
        assert_eq!(ResetCode::from_wire(code).to_wire(), code);
    }
    assert_eq!(reset.len(), 6);
    assert_eq!(ResetCode::from_wire(6), ResetCode::Other(6));
}

#[test]
fn constants_are_those_in_the_table() {
    use crate::config::*;
    let ms = |duration: Duration| duration.as_millis() as u64;
    let window = WindowConfig::default();
    let unknown = Rtt::default();
    let mut instant = Rtt::default();
    instant.sample(Duration::ZERO);
    let code = [
        ("VERSION", crate::VERSION.into()),
        ("MIN_VERSION", crate::MIN_VERSION.into()),
        ("PREAMBLE_HEADER", preamble::HEADER_LEN as u64),
        ("MAX_BODY", preamble::MAX_BODY as u64),
        ("MAX_JOIN_DATA", join::MAX_JOIN_DATA as u64),
        ("FIRST_FLIGHT_MAX", first_flight::FIRST_FLIGHT_MAX as u64),
        ("MAX_JOIN_ADDRESSES", hello::MAX_JOIN_ADDRESSES as u64),
        ("MAC_LEN", hello::MAC_LEN as u64),
        ("MAX_DATA_SENT", frame::MAX_DATA_SENT as u64),
        ("MAX_DATA", frame::MAX_DATA as u64),
        ("MAX_CONTROL", frame::MAX_CONTROL as u64),
        ("MAX_SKIPPED", frame::MAX_SKIPPED as u64),
        ("EARLY_LIMIT", EARLY_LIMIT),
        ("CONTROL_RESERVE", crate::allowance::CONTROL_RESERVE),
        ("WINDOW_INITIAL", window.initial.into()),
        ("WINDOW_MAX", window.max.into()),
        ("DEFAULT_TTL", ms(DEFAULT_TTL)),
        ("WELCOME_TIMEOUT", ms(WELCOME_TIMEOUT)),
        ("COLD_LINGER", ms(COLD_LINGER)),
        ("FAILBACK_HOLD", ms(FAILBACK_HOLD)),
        ("FAILBACK_HOLD_MAX", ms(FAILBACK_HOLD_MAX)),
        ("FLAP_MEMORY", ms(FLAP_MEMORY)),
        ("FAILBACK_STEADY", ms(FAILBACK_STEADY)),
        ("FAILBACK_PROOFS", FAILBACK_PROOFS.into()),
        ("CONDEMN_PINGS", CONDEMN_PINGS.into()),
        ("SUSPECT_PINGS", SUSPECT_PINGS.into()),
        ("PUSH_GRACE", ms(PUSH_GRACE)),
        ("IDLE", ms(IDLE)),
        ("CLOCK_JUMP", ms(CLOCK_JUMP)),
        ("SLOW_SRTT", ms(SLOW_SRTT)),
        ("SLOW_FOR", ms(SLOW_FOR)),
        ("D1_UNKNOWN", ms(unknown.suspect())),
        ("D2_UNKNOWN", ms(unknown.condemn())),
        ("D1_FLOOR", ms(instant.suspect())),
    ];
    let document: HashMap<_, _> = rows("## 19. Constants")
        .filter_map(|(name, value)| Some((name, value.parse::<u64>().ok()?)))
        .collect();
    for (name, value) in code {
        assert_eq!(document.get(name), Some(&value), "{name}");
    }
    assert_eq!(document.len(), code.len());
}
