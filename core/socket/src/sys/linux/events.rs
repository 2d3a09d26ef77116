//! The kernel's events about links, addresses and routes.

#![allow(unsafe_code, reason = "registering a descriptor with the runtime")]

use std::io::{self, Read};

use socket2::Socket;
use tokio::io::unix::AsyncFd;

use super::{
    list,
    message::{self, DefaultRouteMessage, Link, Message},
    netlink::{self, Query},
};
use crate::{Interface, watch::Urgency};

const GROUPS: libc::c_int = libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV6_ROUTE;

/// Events of the namespace that this was made in, and the list as that namespace has it, whatever
/// thread asks.
#[derive(Debug)]
pub(crate) struct Events {
    socket: AsyncFd<Socket>,
    query: Query,
    buffer: Vec<u8>,
}

impl Events {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: a Socket owns its descriptor, which stays open and the same until it is dropped.
        let socket = unsafe { AsyncFd::register(netlink::listener(GROUPS)?) }?;
        Ok(Self {
            socket,
            query: Query::new(libc::NETLINK_ROUTE)?,
            buffer: vec![0; netlink::DATAGRAM],
        })
    }

    pub(crate) fn interfaces(&mut self) -> io::Result<Vec<Interface>> {
        list::list(&mut self.query)
    }

    /// Waits for events that may change the list, and takes all there are. Cancel-safe: nothing is
    /// read before the last await.
    pub(crate) async fn next(&mut self) -> Urgency {
        loop {
            let mut ready = match self.socket.readable().await {
                Ok(ready) => ready,
                Err(error) => {
                    // Only when the runtime is being shut down.
                    log::debug!("no more interface events: {error}");
                    return std::future::pending().await;
                }
            };
            let urgency = drain(self.socket.get_ref(), &mut self.buffer);
            // All was read, so the next readiness is that of a new event.
            ready.clear_ready();
            if let Some(urgency) = urgency {
                return urgency;
            }
        }
    }
}

/// Reads until nothing is left, and returns the most urgent of what concerns us.
fn drain(mut socket: &Socket, buffer: &mut [u8]) -> Option<Urgency> {
    let mut most = None;
    loop {
        let found = match socket.read(buffer) {
            Ok(length) => message::messages(&buffer[..length])
                .filter_map(urgency)
                .reduce(worse),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return most,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            // Events were lost, whichever they were; those behind them are still to be read.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Some(Urgency::Loss),
            Err(error) => {
                log::warn!("cannot read interface events: {error}");
                return Some(Urgency::Loss);
            }
        };
        most = most.into_iter().chain(found).reduce(worse);
    }
}

fn worse(one: Urgency, other: Urgency) -> Urgency {
    if one == Urgency::Loss { one } else { other }
}

fn urgency(message: Message<'_>) -> Option<Urgency> {
    match message.kind {
        libc::RTM_NEWLINK => Link::parse(message.payload).map(|link| {
            if link.is_up() {
                Urgency::Gain
            } else {
                Urgency::Loss
            }
        }),
        libc::RTM_DELLINK => Link::parse(message.payload).map(|_| Urgency::Loss),
        libc::RTM_NEWADDR => Some(Urgency::Gain),
        libc::RTM_DELADDR => Some(Urgency::Loss),
        libc::RTM_NEWROUTE => DefaultRouteMessage::parse(message.payload).map(|_| Urgency::Gain),
        libc::RTM_DELROUTE => DefaultRouteMessage::parse(message.payload).map(|_| Urgency::Loss),
        _ => None,
    }
}
