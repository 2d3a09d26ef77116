//! Attempts that run side by side until one of them gets there.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use twinpath_proto::Role;

use crate::dialer::Path;
use crate::driver::{BoxFuture, LegStream};
use crate::error::{Attempt, ConnectError};
use crate::target::Target;

/// The backup's attempt starts when the primary's has not answered for this long: about what a user does not notice,
/// and longer than nearly every handshake over a healthy Wi-Fi, so that cellular is seldom touched in vain.
pub(crate) const BACKUP_DELAY: Duration = Duration::from_millis(200);

/// Futures that run side by side, each with a name.
pub(crate) struct Runners<K, T> {
    running: Vec<(K, BoxFuture<T>)>,
}

impl<K, T> Default for Runners<K, T> {
    fn default() -> Self {
        Self {
            running: Vec::new(),
        }
    }
}

impl<K, T> Runners<K, T> {
    pub(crate) fn start(&mut self, name: K, future: BoxFuture<T>) {
        self.running.push((name, future));
    }

    /// The next to finish; `None` when none is left.
    pub(crate) async fn next(&mut self) -> Option<(K, T)> {
        poll_fn(|cx| {
            for index in 0..self.running.len() {
                if let Poll::Ready(result) = self.running[index].1.as_mut().poll(cx) {
                    return Poll::Ready(Some((self.running.remove(index).0, result)));
                }
            }
            if self.running.is_empty() {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        })
        .await
    }
}

/// The first of several attempts to get there, each begun `delay` after the one before, or as soon as one has failed. The
/// error is that of the last to fail.
pub(crate) async fn first_of<T>(
    mut attempts: impl ExactSizeIterator<Item = BoxFuture<io::Result<T>>>,
    delay: Duration,
) -> io::Result<T> {
    let mut running = Runners::default();
    let mut failure = None;
    loop {
        if let Some(attempt) = attempts.next() {
            running.start((), attempt);
        }
        tokio::select! {
            biased;
            finished = running.next() => match finished {
                Some(((), Ok(won))) => return Ok(won),
                Some(((), Err(error))) => failure = Some(error),
                None => return Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
            },
            () = sleep(delay), if attempts.len() > 0 => {}
        }
    }
}

/// The outcome of a race over paths.
pub(crate) struct Won {
    pub(crate) path: Path,
    pub(crate) stream: LegStream,
    /// Whether another path was tried as well.
    pub(crate) raced: bool,
    /// The attempt on the other path, if it still runs.
    pub(crate) other: Option<(Path, BoxFuture<io::Result<LegStream>>)>,
}

/// Races TCP handshakes over the paths: the first path at once, the second when the first has had its `head_start` or as
/// soon as it has failed, each with its own name lookup.
pub(crate) async fn race_paths(
    paths: Vec<Path>,
    dial: impl Fn(&Path) -> BoxFuture<io::Result<LegStream>>,
    target: &Target,
    head_start: Duration,
    limit: Duration,
) -> Result<Won, ConnectError> {
    let began = Instant::now();
    let mut waiting = paths.into_iter();
    let mut running = Runners::default();
    let mut attempts = Vec::new();
    let mut next_start = began;
    loop {
        if waiting.len() > 0 && Instant::now() >= next_start {
            if let Some(path) = waiting.next() {
                log::debug!(
                    "connecting over the {} path, {}",
                    path.role(),
                    path.binding()
                );
                let dialing = dial(&path);
                running.start(path, dialing);
                next_start = Instant::now() + head_start;
            }
        }
        tokio::select! {
            biased;
            finished = running.next() => match finished {
                Some((path, Ok(stream))) => {
                    let other = running.running.pop();
                    let raced = other.is_some() || !attempts.is_empty();
                    return Ok(Won { path, stream, raced, other });
                }
                Some((path, Err(error))) => {
                    log::debug!("connecting over the {} path failed: {error}", path.role());
                    attempts.push(Attempt { role: path.role(), interface: path.info().name, error: Arc::new(error) });
                    next_start = Instant::now();
                }
                None => {
                    let advice = advice(&attempts);
                    return Err(ConnectError::Failed { target: target.to_string(), attempts, advice });
                }
            },
            () = sleep_until(next_start), if waiting.len() > 0 => {}
            () = sleep_until(began + limit) => {
                return Err(ConnectError::TimedOut { target: target.to_string(), after: limit, attempts });
            }
        }
    }
}

fn advice(attempts: &[Attempt]) -> &'static str {
    use crate::ErrorKind;
    let Some(Attempt { error, .. }) = attempts.last() else {
        return "check the address and the firewalls in between";
    };
    if twinpath_socket::is_out_of_descriptors(error) {
        return "close connections that are no longer needed, or raise the limit of open files (ulimit -n)";
    }
    match ErrorKind::of_io(error) {
        ErrorKind::Refused => "check the port, and that the service is running",
        ErrorKind::NameNotFound => "check the name, and that this network's resolver knows it",
        ErrorKind::NotPermitted => {
            "the system or a VPN forbids this path; check the app's network permissions"
        }
        ErrorKind::Unreachable => "check that the interface has an address and a route",
        ErrorKind::NoInterface => "name an interface that exists, or none",
        _ => "check the address and the firewalls in between",
    }
}

/// The loser of the race that a warm standby can use.
pub(crate) fn worth_keeping(path: &Path) -> bool {
    path.role() == Role::Backup
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::dialer::Dialer as _;

    fn advice_on(error: io::Error) -> &'static str {
        advice(&[Attempt {
            role: Role::Primary,
            interface: "wlan0".into(),
            error: Arc::new(error),
        }])
    }

    #[tokio::test]
    async fn what_to_do_fits_what_went_wrong() {
        // Reserved never to exist (RFC 6761), with or without a resolver to say so.
        let dial = crate::SocketDialer::new().dial(
            &Path::system_route(Role::Primary),
            &Target::new("name.invalid", 443),
        );
        let advice = advice_on(dial.await.unwrap_err());
        assert!(advice.starts_with("check the name"), "{advice}");
        #[cfg(unix)]
        {
            /// The same number on every Unix.
            const EMFILE: i32 = 24;
            let advice = advice_on(io::Error::from_raw_os_error(EMFILE));
            assert!(advice.contains("open files"), "{advice}");
        }
        let advice = advice_on(io::ErrorKind::ConnectionRefused.into());
        assert!(advice.starts_with("check the port"), "{advice}");
    }
}
