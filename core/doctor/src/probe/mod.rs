//! SYNs of our own making, towards the server itself. They open nothing: every answer is taken back with a RST, and the
//! kernel learns nothing of it, so that it goes on asking for MPTCP.

mod flow;
mod flows;
mod judge;
mod syn;

pub use flow::Flow;
pub use flows::{FlowsTried, try_flows};
pub use judge::judge_syn;
pub use syn::{Reply, SynEvidence, Tried, ask_by_syn, random};
pub(crate) use syn::{ask, ask_on};
