//! Netlink sockets.
#![allow(
    unsafe_code,
    reason = "a netlink address and an option, which socket2 does not know"
)]

use std::{
    io::{self, Read, Write},
    os::fd::AsRawFd,
    time::Duration,
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::message::{self, Message};

/// Enough for any datagram of the route family: the kernel dumps in pieces of at most 32 KiB.
pub(super) const DATAGRAM: usize = 64 * 1024;
/// The kernel marks a dump during which the tables changed.
const NLM_F_DUMP_INTR: u16 = 0x10;
const DUMP_TRIES: usize = 4;

fn open(protocol: libc::c_int) -> io::Result<Socket> {
    Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::from(libc::SOCK_RAW),
        Some(Protocol::from(protocol)),
    )
}

/// A non-blocking socket that hears the events of `groups` (`RTMGRP_…`).
pub(super) fn listener(groups: libc::c_int) -> io::Result<Socket> {
    let socket = open(libc::NETLINK_ROUTE)?;
    socket.set_nonblocking(true)?;
    // A burst must not overflow it; and if it does, the reader asks anew.
    let _ = socket.set_recv_buffer_size(256 * 1024);
    // SAFETY: the closure fills a sockaddr_nl, which fits into the storage, whose zeroes are valid
    // for it, and gives its exact length.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let netlink = storage.cast::<libc::sockaddr_nl>();
            (*netlink).nl_family = libc::AF_NETLINK as libc::sa_family_t;
            (*netlink).nl_groups = groups as u32;
            *length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
            Ok(())
        })
    }?;
    socket.bind(&address)?;
    Ok(socket)
}

/// A socket for asking. It stays in the network namespace that it was made in.
#[derive(Debug)]
pub(super) struct Query {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Query {
    /// For a netlink protocol (`NETLINK_…`).
    pub(super) fn new(protocol: libc::c_int) -> io::Result<Self> {
        let socket = open(protocol)?;
        // The kernel answers a dump inside the system call; this is for the case that it does not.
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// The kernel's number for the network namespace of the socket, which no other has before the
    /// next boot (Linux 5.14). The inode of a namespace is given to another one after its end.
    pub(super) fn namespace(&self) -> io::Result<u64> {
        let mut cookie = 0_u64;
        let mut length = size_of::<u64>() as libc::socklen_t;
        // SAFETY: the descriptor is open, and `cookie` has the 8 bytes that `length` says.
        let status = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_NETNS_COOKIE,
                (&raw mut cookie).cast(),
                &raw mut length,
            )
        };
        if status == 0 {
            Ok(cookie)
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Hands every message of a dump of the route family to `parse` and collects what it makes of
    /// them.
    pub(super) fn dump<T>(
        &mut self,
        kind: u16,
        family: libc::c_int,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        self.ask(
            |sequence| message::dump_request(kind, family as u8, sequence),
            parse,
        )
    }

    /// Hands every message of the answer to a request with `NLM_F_DUMP` or `NLM_F_ACK` to `parse`
    /// and collects what it makes of them. The request is made anew, with another sequence number,
    /// when the answer was not all of one moment.
    pub(super) fn ask<T>(
        &mut self,
        request: impl Fn(u32) -> Vec<u8>,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        let mut found = Vec::new();
        for _ in 0..DUMP_TRIES {
            found.clear();
            self.sequence = self.sequence.wrapping_add(1);
            let request = request(self.sequence);
            if self.ask_once(&request, &mut |message| {
                found.extend(parse(message.payload))
            })? {
                break;
            }
        }
        // After several tries a list with a seam is still the best there is; the change that made
        // it will be told.
        Ok(found)
    }

    /// Whether the answer was all of one moment.
    fn ask_once(&mut self, request: &[u8], each: &mut dyn FnMut(Message<'_>)) -> io::Result<bool> {
        let sequence = self.sequence;
        self.socket.write_all(request)?;
        let mut consistent = true;
        loop {
            let length = self.socket.read(&mut self.buffer)?;
            for message in message::messages(&self.buffer[..length])
                .filter(|message| message.sequence == sequence)
            {
                consistent &= message.flags & NLM_F_DUMP_INTR == 0;
                match libc::c_int::from(message.kind) {
                    libc::NLMSG_DONE => return Ok(consistent),
                    libc::NLMSG_ERROR => {
                        return match message::error_code(message.payload) {
                            Some(0) => Ok(consistent),
                            code => Err(io::Error::from_raw_os_error(code.unwrap_or(libc::EPROTO))),
                        };
                    }
                    _ => each(message),
                }
            }
        }
    }
}
