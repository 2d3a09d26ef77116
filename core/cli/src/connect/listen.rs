//! `--listen`: every local connection is carried over a connection of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use twinpath::{Connector, ErrorKind};

use super::copy::{Failed, both_ways};
use super::events::EventLog;
use super::signals::Signals;
use super::{never_connected, open};
use crate::exit::{self, Failure};
use crate::values::ListenAt;

/// Connections at once; further ones wait in the kernel's queue.
const MOST: u64 = 1024;
/// What each of them needs: the local socket, two legs, and one that is dialled to take the place of one of these.
const DESCRIPTORS_EACH: u64 = 4;
/// For all else: standard streams, events, the runtime, lookups.
const DESCRIPTORS_BESIDE: u64 = 64;
/// How long the end waits for connections to be reset and accounted for.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves until the process is told to end.
pub(super) async fn run(
    connector: Connector,
    target: &str,
    address: &ListenAt,
    log: Arc<EventLog>,
) -> Result<(), Failure> {
    let cannot = |error: io::Error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => "; another program has it, choose another port",
            io::ErrorKind::PermissionDenied => "; choose a port above 1023",
            io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
            _ => "",
        };
        Failure::not_connected(format!(
            "cannot listen on {}: {error}{advice}",
            address.as_str()
        ))
    };
    let listener = bind(address).await.map_err(cannot)?;
    let local = listener.local_addr().map_err(cannot)?;
    // Before the address is told: whoever reads it may signal at once.
    let mut signals = Signals::listen();
    exit::complain(format_args!("listening on {local}"));
    let most = most();
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::select! {
        () = accept(&listener, most, connector, target, &log, &stopping, &mut connections) => {}
        _ = signals.next() => {}
    }
    drop(listener);
    // What is still open is reset, and its account written.
    stop.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, all).await.is_err() {
        log::info!("some connections did not end in time");
    }
    Ok(())
}

/// Listens on the first address of the name that there is; IPv4 first, for most programs that are told a port of this
/// machine try `127.0.0.1`.
async fn bind(address: &ListenAt) -> io::Result<TcpListener> {
    let mut addresses: Vec<_> = tokio::net::lookup_host(address.as_str()).await?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    TcpListener::bind(&addresses[..]).await
}

/// How many connections the process may carry at once, once it may have as many sockets as the system will allow.
fn most() -> usize {
    let limit = twinpath_socket::raise_descriptor_limit().unwrap_or_else(|error| {
        log::warn!("the limit of open files cannot be raised: {error}");
        u64::MAX
    });
    let most = most_within(limit);
    if most < MOST {
        log::warn!(
            "{limit} open files allowed, which is enough for {most} connections at once, and more have to wait; raise \
             the limit (ulimit -n)"
        );
    }
    most as usize
}

fn most_within(descriptors: u64) -> u64 {
    (descriptors.saturating_sub(DESCRIPTORS_BESIDE) / DESCRIPTORS_EACH).clamp(1, MOST)
}

async fn accept(
    listener: &TcpListener,
    most: usize,
    connector: Connector,
    target: &str,
    log: &Arc<EventLog>,
    stopping: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) {
    let slots = Arc::new(Semaphore::new(most));
    let target: Arc<str> = target.into();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let local = match listener.accept().await {
            Ok((local, _)) => local,
            Err(error) => {
                // Out of descriptors, or the connection is gone already: neither lasts.
                log::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (connector, target) = (connector.clone(), Arc::clone(&target));
        let (log, mut stopping) = (Arc::clone(log), stopping.clone());
        connections.spawn(async move {
            carry(&connector, &target, local, &log, &mut stopping).await;
            drop(slot);
        });
    }
}

/// Carries one local connection, which is reset if that cannot be done to its end.
async fn carry(
    connector: &Connector,
    target: &str,
    mut local: TcpStream,
    log: &Arc<EventLog>,
    stopping: &mut watch::Receiver<bool>,
) {
    // Many small messages are the rule for what is carried; delaying them would add to the path's delay.
    if let Err(error) = local.set_nodelay(true) {
        log::debug!("cannot set TCP_NODELAY: {error}");
    }
    let number = log.number();
    let opened = tokio::select! {
        opened = open(connector, target) => opened,
        _ = stopping.wait_for(|stop| *stop) => {
            number.stopped();
            return reset(&local);
        }
    };
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(error) => {
            exit::complain(format_args!("a local connection is reset: {error}"));
            number.failed(error.kind().as_str(), &error);
            return reset(&local);
        }
    };
    let follower = number.follow(&connection);
    let ended = tokio::select! {
        ended = both_ways(&mut connection, &mut local) => Some(ended),
        _ = stopping.wait_for(|stop| *stop) => None,
    };
    match ended {
        Some(Ok(())) => {
            connection.close().await;
        }
        Some(Err(Failed::Local(error))) => {
            log::debug!("a local connection broke: {error}");
            connection.abort();
            reset(&local);
        }
        Some(Err(Failed::Remote(error))) => {
            if never_connected(&error) || ErrorKind::of_io(&error) != ErrorKind::Reset {
                exit::complain(format_args!("a local connection is reset: {error}"));
            } else {
                log::info!("a connection was reset: {error}");
            }
            connection.abort();
            reset(&local);
        }
        None => {
            connection.abort();
            reset(&local);
        }
    }
    follower.finish().await;
}

/// Makes the connection end with a reset when it is dropped.
fn reset(local: &TcpStream) {
    if let Err(error) = socket2::SockRef::from(local).set_linger(Some(Duration::ZERO)) {
        log::debug!("a local connection is closed instead of reset: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_as_many_as_there_are_descriptors_for() {
        assert_eq!(most_within(u64::MAX), MOST);
        assert_eq!(most_within(1 << 20), MOST);
        assert_eq!(most_within(256), 48);
        assert_eq!(most_within(0), 1);
    }
}
