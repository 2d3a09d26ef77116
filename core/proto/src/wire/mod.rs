//! Bytes: preambles that open a leg, and the frames that follow. Laid out in PROTOCOL.md.

pub(crate) mod fields;
pub(crate) mod frame;
pub(crate) mod hello;
pub(crate) mod join;
pub(crate) mod preamble;
pub(crate) mod reader;

#[cfg(test)]
mod vectors;
