//! Generic netlink: families that are found by their name.

use std::io;

use super::message::{attributes, push_attribute, request, u16_at};
use super::netlink::Query;

/// A generic netlink header: command, version, two bytes reserved.
const HEADER: usize = 4;
const CONTROL: u16 = 16;
const CONTROL_GET_FAMILY: u8 = 3;
const CONTROL_FAMILY_ID: u16 = 1;
const CONTROL_FAMILY_NAME: u16 = 2;

/// A family of generic netlink, and a socket to ask it by. It stays in the network namespace that it
/// was made in.
#[derive(Debug)]
pub(super) struct Family {
    query: Query,
    id: u16,
}

impl Family {
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound) if the kernel has no such family.
    pub(super) fn open(name: &str) -> io::Result<Self> {
        let mut query = Query::new(libc::NETLINK_GENERIC)?;
        let mut payload = vec![CONTROL_GET_FAMILY, 1, 0, 0];
        push_attribute(
            &mut payload,
            CONTROL_FAMILY_NAME,
            format!("{name}\0").as_bytes(),
        );
        let id = |answer: &[u8]| {
            attributes(answer.get(HEADER..)?)
                .find(|(kind, _)| *kind == CONTROL_FAMILY_ID)
                .and_then(|(_, value)| u16_at(value, 0))
        };
        let found = query.ask(
            |sequence| request(CONTROL, libc::NLM_F_ACK, sequence, &payload),
            id,
        )?;
        match found.first() {
            Some(id) => Ok(Self { query, id: *id }),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Names the network namespace of the socket.
    pub(super) fn namespace(&self) -> io::Result<u64> {
        self.query.namespace()
    }

    /// Sends a command with attributes; what the kernel answers with is handed to `parse`, without
    /// its header.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(super) fn command<T>(
        &mut self,
        command: u8,
        dump: bool,
        attributes: &[u8],
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        let id = self.id;
        let payload = [&[command, 1, 0, 0], attributes].concat();
        let flags = if dump {
            libc::NLM_F_DUMP
        } else {
            libc::NLM_F_ACK
        };
        self.query.ask(
            |sequence| request(id, flags, sequence, &payload),
            |answer| parse(answer.get(HEADER..)?),
        )
    }
}
