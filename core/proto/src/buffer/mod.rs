//! Bytes between the application and the legs: kept until acknowledged, put in order on arrival.

mod queue;
mod receive;
mod send;

pub(crate) use receive::ReceiveBuffer;
pub(crate) use send::SendBuffer;
