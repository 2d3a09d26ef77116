//! What a plain connection asks of whoever made it.

use std::fmt;
use std::io;

use twinpath_proto::Role;

use crate::connection::Connection;
use crate::detect::Answer;
use crate::driver::{BoxFuture, LegStream};
use crate::error::ConnectError;

/// The ways to the server of one connection.
pub(crate) trait Ways: fmt::Debug + Send + Sync {
    /// Whether the server answers on the path of that role; a handshake that leads to nothing.
    fn ask(&self, role: Role) -> BoxFuture<Answer>;

    /// A leg on the path of that role, if there is one and something may be spent on it.
    fn dial(&self, role: Role) -> Option<BoxFuture<io::Result<LegStream>>>;

    /// The path of that role was found dead.
    fn died(&self, role: Role);

    /// A leg on the path of that role that is not needed here: it may serve whoever connects next.
    fn offer(&self, role: Role, leg: LegStream);

    /// Another connection to the same server.
    fn connect(&self) -> BoxFuture<Result<Connection, ConnectError>>;
}
