//! `twinpath doctor --listen`: the other end, which tells what arrives there.
//!
//! Two ports: one that speaks MPTCP, and a plain one above it that keeps the SYNs it gets (`TCP_SAVE_SYN` works on no MPTCP
//! socket). Both greet whoever connects with a line, and answer questions of a line each:
//!
//! | question | answer |
//! |---|---|
//! | `syn` | `syn HEX`: IP and TCP header of the SYN of this connection, on the plain port |
//! | `mptcp` | `mptcp yes` or `mptcp no`: what this end makes of the connection now |
//! | `payload N`, and N bytes of the [pattern] | `payload ok`, or `payload wrong AT` the first byte that is not; then N bytes of the pattern |
//! | `back`, `back join`, `back later` | `back JSON`: the trace of the way back, of a SYN-ACK with MP_CAPABLE or MP_JOIN or of what follows it, with `CAP_NET_RAW` |
//! | `back dropped`, `back join dropped` | the same, and behind the last hop that got it one without the option: `dropped` in the JSON |
//!
//! The way back is traced to the other end of the connection alone, four times at most, and one at a time for all. An empty line is ignored. What is not understood ends the connection.

mod back;
mod client;
mod serve;

pub use back::way_back;
pub use client::{Asked, Asking, GetsHere, PayloadAnswer, ask_the_other_end};
pub(crate) use client::{Back, ask_back, other_end};
pub use serve::{Listening, listen};

/// How the greeting begins; the kind of the port and the number of the plain one follow.
pub const GREETING: &str = "twinpath-doctor 1";
/// The most that is sent to find out whether it arrives unchanged.
pub const MOST_PAYLOAD: usize = 256 * 1024;
/// The longest question or answer.
const LONGEST_LINE: u64 = 64 * 1024;

/// The byte at that place of what is sent to find out whether it arrives unchanged: text that looks like what application
/// gateways rewrite, and every value there is.
#[must_use]
pub const fn pattern(at: usize) -> u8 {
    const TEXT: &[u8] = b"PORT 192,168,0,1,7,8\r\nHost: twinpath.invalid\r\n";
    if at % 512 < TEXT.len() {
        TEXT[at % 512]
    } else {
        (at / 2 + at % 7) as u8
    }
}
