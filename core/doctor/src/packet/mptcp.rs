//! The MPTCP option (RFC 8684 §3), as far as handshakes have it.

use super::options::{Piece, options};

/// The number of the option.
pub const MPTCP: u8 = 30;
/// MP_CAPABLE in a SYN: no key.
pub const CAPABLE_SYN_LENGTH: usize = 4;

const CAPABLE: u8 = 0;
const JOIN: u8 = 1;
const DSS: u8 = 2;
const FAIL: u8 = 6;
const FAST_CLOSE: u8 = 7;
const RESET: u8 = 8;

/// What an MPTCP option says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mptcp {
    /// MP_CAPABLE: version, flags, and the sender's key, if there is one.
    Capable {
        /// 1 since RFC 8684.
        version: u8,
        /// The sender wants data checksums (flag A).
        checksum: bool,
        /// Further subflows must not go to the address of the first (flag C).
        no_join_here: bool,
        /// The sender's key; in a SYN there is none.
        key: Option<[u8; 8]>,
    },
    /// MP_JOIN.
    Join {
        /// The list's backup flag.
        backup: bool,
        /// How many bytes the option has: 12 in a SYN, 16 in the answer, 24 in the third packet.
        length: u8,
    },
    /// DSS: data and what is acknowledged of it.
    Dss,
    /// MP_FAIL: a checksum was wrong.
    Fail,
    /// MP_FASTCLOSE.
    FastClose,
    /// MP_TCPRST, with the reason: a RST by someone who speaks MPTCP.
    Reset(u8),
    /// Another subtype.
    Other(u8),
}

/// The first MPTCP option among `bytes`, if it is whole.
#[must_use]
pub fn mptcp_of(bytes: &[u8]) -> Option<Mptcp> {
    let data = options(bytes).find_map(|piece| match piece {
        Piece::Option { kind: MPTCP, data } => Some(data),
        _ => None,
    })?;
    let first = *data.first()?;
    let length = (data.len() + 2) as u8;
    Some(match first >> 4 {
        CAPABLE => {
            let flags = *data.get(1)?;
            Mptcp::Capable {
                version: first & 0x0f,
                checksum: flags & 0x80 != 0,
                no_join_here: flags & 0x20 != 0,
                key: data.get(2..10).and_then(|key| key.try_into().ok()),
            }
        }
        JOIN => Mptcp::Join {
            backup: first & 1 != 0,
            length,
        },
        DSS => Mptcp::Dss,
        FAIL => Mptcp::Fail,
        FAST_CLOSE => Mptcp::FastClose,
        RESET => Mptcp::Reset(data.get(1).copied().unwrap_or_default()),
        other => Mptcp::Other(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_a_handshake_are_understood() {
        let syn = [30, 4, 0x01, 0x01];
        let capable = |key, no_join_here| Mptcp::Capable {
            version: 1,
            checksum: false,
            no_join_here,
            key,
        };
        assert_eq!(mptcp_of(&syn), Some(capable(None, false)));
        let answer = [30, 12, 0x01, 0x21, 1, 2, 3, 4, 5, 6, 7, 8];
        let key = Some([1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(mptcp_of(&answer), Some(capable(key, true)));
        assert_eq!(mptcp_of(&[1, 30, 4, 0x80, 3]), Some(Mptcp::Reset(3)));
        assert_eq!(mptcp_of(&[2, 4, 5, 180, 1, 1, 1, 1]), None);
        assert_eq!(mptcp_of(&[30, 2]), None);
    }
}
