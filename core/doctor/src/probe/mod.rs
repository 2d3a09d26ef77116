//! SYNs of our own making, towards the server itself. They open nothing: every answer is taken back with a RST, and the
//! kernel learns nothing of it, so that it goes on asking for MPTCP.

mod judge;
mod syn;

pub use judge::judge_syn;
pub(crate) use syn::ask;
pub use syn::{Reply, SynEvidence, Tried, ask_by_syn, random};
