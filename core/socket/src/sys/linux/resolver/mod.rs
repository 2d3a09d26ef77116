//! Names: the system's resolver, and beside it the name servers asked over one interface.
//!
//! The system's resolver sends over the default route. When that leads into a dead network, its
//! first answer comes after 5 to 20 s, from whichever interface is asked for. So when it is late,
//! its name servers are asked over sockets that are bound to the interface. What it knows of files
//! and other sources (`/etc/hosts`, `nsswitch.conf`) stays its own: its answer counts if it comes
//! first, and its "no such name" is final.

mod config;
mod exchange;
mod message;
mod system;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::sleep;

use self::{config::Config, message::Reply};
use crate::Binding;

/// The system's resolver is waited for alone for as long as most healthy ones need.
const SYSTEM_ALONE: Duration = Duration::from_millis(150);

/// How many lookups of this process the system's resolver is late with.
static LATE: AtomicUsize = AtomicUsize::new(0);

/// One of them, while it lasts.
struct Late(());

impl Late {
    fn begin() -> Self {
        LATE.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        LATE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// While it is late with one lookup there is no reason to wait for it with the next: the backup's
/// begins when the primary's has had its time.
fn system_alone() -> Duration {
    match LATE.load(Ordering::Relaxed) {
        0 => SYSTEM_ALONE,
        _ => Duration::ZERO,
    }
}

pub(crate) async fn resolve(
    host: &str,
    port: u16,
    binding: &Binding,
) -> io::Result<Vec<SocketAddr>> {
    let system = system::look_up(host, port);
    let Binding::Interface { .. } = binding else {
        return system.await.map_err(|failure| failure.error);
    };
    tokio::pin!(system);
    let late = tokio::select! {
        biased;
        answer = &mut system => match answer {
            Err(failure) if !failure.is_final => Some(failure.error),
            answer => return answer.map_err(|failure| failure.error),
        },
        () = sleep(system_alone()) => None,
    };
    let _late = Late::begin();
    let bound = over_interface(host, port, binding);
    tokio::pin!(bound);
    if let Some(error) = late {
        return bound.await.ok_or(error);
    }
    tokio::select! {
        biased;
        answer = &mut system => match answer {
            Err(failure) if !failure.is_final => bound.await.ok_or(failure.error),
            answer => answer.map_err(|failure| failure.error),
        },
        found = &mut bound => match found {
            Some(found) => Ok(found),
            None => system.await.map_err(|failure| failure.error),
        },
    }
}

/// What the name servers know that can be reached over that interface; `None` if that is nothing.
async fn over_interface(host: &str, port: u16, binding: &Binding) -> Option<Vec<SocketAddr>> {
    let config = tokio::task::spawn_blocking(Config::read).await.ok()?;
    if config.servers.is_empty() {
        log::debug!("no name server is known that could be asked over {binding}");
        return None;
    }
    log::debug!("the system's resolver is late; asking name servers over {binding}");
    for name in config.candidates(host) {
        match exchange::ask(&config.servers, &name, binding).await {
            Ok(Reply::Found(found)) => return Some(with_port(found, port)),
            Ok(Reply::Nothing) => {}
            Err(error) => {
                log::debug!("no name server answered over {binding}: {error}");
                return None;
            }
        }
    }
    None
}

fn with_port(found: Vec<IpAddr>, port: u16) -> Vec<SocketAddr> {
    found
        .into_iter()
        .map(|address| SocketAddr::new(address, port))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_that_is_late_already_is_not_waited_for_again() {
        assert_eq!(system_alone(), SYSTEM_ALONE);
        let (first, second) = (Late::begin(), Late::begin());
        assert_eq!(system_alone(), Duration::ZERO);
        drop(first);
        assert_eq!(system_alone(), Duration::ZERO);
        drop(second);
        assert_eq!(system_alone(), SYSTEM_ALONE);
    }
}
