//! The kernel's events about interfaces and addresses, from a routing socket, which apps may read.
#![allow(unsafe_code, reason = "registering a descriptor with the runtime")]

use std::io::{self, Read};

use socket2::{Domain, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::{Interface, watch::Urgency};

/// <net/route.h>
const RTM_NEWADDR: u8 = 0xc;
const RTM_DELADDR: u8 = 0xd;
const RTM_IFINFO: u8 = 0xe;
const RTM_IFINFO2: u8 = 0x12;

#[derive(Debug)]
pub(crate) struct Events {
    socket: AsyncFd<Socket>,
}

impl Events {
    pub(crate) fn new() -> io::Result<Self> {
        let socket = Socket::new(
            Domain::from(libc::PF_ROUTE),
            Type::from(libc::SOCK_RAW),
            None,
        )?;
        socket.set_nonblocking(true)?;
        // SAFETY: a Socket owns its descriptor, which stays open and the same until it is dropped.
        let socket = unsafe { AsyncFd::register(socket) }?;
        Ok(Self { socket })
    }

    pub(crate) fn interfaces(&mut self) -> io::Result<Vec<Interface>> {
        super::interfaces()
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
            let urgency = drain(self.socket.get_ref());
            ready.clear_ready();
            if let Some(urgency) = urgency {
                return urgency;
            }
        }
    }
}

/// Reads until nothing is left, and returns the most urgent of what concerns us.
fn drain(mut socket: &Socket) -> Option<Urgency> {
    let mut buffer = [0; 2048];
    let mut most = None;
    loop {
        let found = match socket.read(&mut buffer) {
            Ok(0) => return most,
            Ok(length) => urgency(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return most,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            // Events were lost, whichever they were; those behind them are still to be read.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Some(Urgency::Loss),
            Err(error) => {
                log::warn!("cannot read interface events: {error}");
                return Some(Urgency::Loss);
            }
        };
        if most != Some(Urgency::Loss) {
            most = found.or(most);
        }
    }
}

/// Every message begins with its length (u16), version and type (u8); that of an interface has the
/// flags at offset 8.
fn urgency(message: &[u8]) -> Option<Urgency> {
    match *message.get(3)? {
        RTM_NEWADDR => Some(Urgency::Gain),
        RTM_DELADDR => Some(Urgency::Loss),
        RTM_IFINFO | RTM_IFINFO2 => {
            let flags = libc::c_int::from_ne_bytes(message.get(8..12)?.try_into().ok()?);
            let ready = libc::IFF_UP | libc::IFF_RUNNING;
            Some(if flags & ready == ready {
                Urgency::Gain
            } else {
                Urgency::Loss
            })
        }
        _ => None,
    }
}
