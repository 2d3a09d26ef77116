//! A connection over the kernel's MPTCP, in trouble: what an application notices, and what the connection claims
//! meanwhile.

mod claims;
mod trouble;
mod work;

pub use trouble::Trouble;
pub use work::{Family, Work};
