//! Hops and options in words.

use crate::packet::{Mptcp, Piece, mptcp_of, options};
use crate::trace::{Interval, Trace};

/// "between hop 2 (10.0.2.1) and hop 3 (10.0.3.1)"
pub(super) fn between(interval: Interval, trace: Option<&Trace>) -> String {
    format!(
        "between {} and {}",
        hop(interval.after, trace),
        hop(interval.by, trace)
    )
}

fn hop(ttl: u8, trace: Option<&Trace>) -> String {
    if ttl == 0 {
        return "this machine".into();
    }
    if trace.and_then(|it| it.server_at) == Some(ttl) {
        return "the server".into();
    }
    let hop = trace.and_then(|it| it.hops.get(usize::from(ttl) - 1));
    let names: Vec<_> = hop.map(|it| it.responders()).unwrap_or_default();
    match &names[..] {
        [] => format!("hop {ttl}"),
        [one] => format!("hop {ttl} ({one})"),
        _ => format!("hop {ttl} (several)"),
    }
}

/// Options in their order: "mss 1460, sack-permitted, timestamp, nop, window-scale 7, mp_capable v1".
#[must_use]
pub fn options_in_words(list: &[u8]) -> String {
    let words = options(list).map(|piece| match piece {
        Piece::Nop => "nop".to_owned(),
        Piece::Option {
            kind: 2,
            data: [high, low],
        } => format!("mss {}", u16::from_be_bytes([*high, *low])),
        Piece::Option {
            kind: 3,
            data: [scale],
        } => format!("window-scale {scale}"),
        Piece::Option { kind: 4, .. } => "sack-permitted".into(),
        Piece::Option { kind: 8, .. } => "timestamp".into(),
        Piece::Option { kind: 30, data } => {
            let mut whole = vec![30, (data.len() + 2) as u8];
            whole.extend_from_slice(data);
            match mptcp_of(&whole) {
                Some(Mptcp::Capable { version, .. }) => format!("mp_capable v{version}"),
                Some(Mptcp::Join { .. }) => "mp_join".into(),
                _ => "mptcp".into(),
            }
        }
        Piece::Option { kind, .. } => format!("option {kind}"),
        Piece::Cut { kind, .. } => format!("option {kind} (cut)"),
        Piece::Broken { kind } => format!("option {kind} (broken)"),
    });
    let words: Vec<_> = words.collect();
    if words.is_empty() {
        "no options".into()
    } else {
        words.join(", ")
    }
}
