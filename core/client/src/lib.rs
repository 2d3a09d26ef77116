//! A connection with cellular backup, for any app.
mod budget;
pub mod clock;
mod connection;
pub mod driver;
mod error;
mod events;
mod inner;
mod mode;
mod plain;
mod record;
mod split;
mod stats;

pub use budget::Budget;
pub use connection::Connection;
pub use error::{Attempt, BuildError, ConnectError, ErrorKind};
pub use events::{Event, EventKind, Events, PathName};
pub use mode::{Mode, ModeReason, PathInfo, Protection, Unprotected};
pub use split::{ReadHalf, WriteHalf};
pub use stats::{ConnectionStats, ConnectionSummary, PathStats, PathSummary};
pub use twinpath_proto::{
    FailoverReason, LegDownReason, ResetCode, Role, ServiceType, SessionError, Standby,
    UnprotectedReason,
};
pub use twinpath_socket::{Cost, InterfaceKind};
