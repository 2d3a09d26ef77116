//! The sending end of a server: a subflow whose path is dead is ended, so that what it holds goes on at once.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use twinpath_proto::Time;
use twinpath_socket::mptcp::{MptcpInfo, Subflow, end_subflow, mptcp_info};

use crate::clock;
use crate::detect::silence::Silence;

/// Between looks while an answer is due and there is another subflow. A server has many connections.
const LOOK: Duration = Duration::from_millis(20);
/// The same while there is only one.
const ALONE: Duration = Duration::from_millis(250);
/// Between looks while nothing is due; a write is told.
const REST: Duration = Duration::from_secs(5);
/// Segments that have to be unanswered: one or two are lost now and then.
const SEGMENTS: u32 = 3;

/// Watches one accepted MPTCP connection. What was sent over a subflow whose path is dead is sent again by the kernel over
/// another one, at first a piece every 200 ms, all of it and everything new only after about a second. Here the dead subflow
/// is ended as soon as another one has been heard since it fell silent: a server cannot ask its client on a path, and of
/// two that are silent none may be ended, for the first to heal carries on.
///
/// Ending a subflow takes `CAP_NET_ADMIN`. The kernel of a client does not open it anew by itself.
#[derive(Debug, Default)]
pub struct Relief {
    is_resting: AtomicBool,
    stirred: Notify,
}

impl Relief {
    /// Something was written to the connection. Costs next to nothing.
    pub fn wrote(&self) {
        if self.is_resting.load(Ordering::Acquire) && self.is_resting.swap(false, Ordering::AcqRel)
        {
            self.stirred.notify_one();
        }
    }

    /// Watches the connection until it is MPTCP no more, and tells of each subflow that was ended. To be run beside what
    /// copies the bytes.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) when a subflow should be ended and may not be.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn watch(&self, stream: &TcpStream, ended: impl Fn()) -> io::Result<()> {
        let mut watched = Vec::<(SocketAddr, Silence)>::new();
        loop {
            let Some(info) = mptcp_info(stream)? else {
                return Ok(());
            };
            if let Some(dead) = find_dead(&mut watched, &info, clock::now()) {
                match end_subflow(dead) {
                    Ok(()) => ended(),
                    // It has ended by itself meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            let alive = info.subflows.iter().filter(|it| it.established).count();
            self.rest(info.unacked > 0, alive > 1).await;
        }
    }

    async fn rest(&self, is_due: bool, has_choice: bool) {
        if is_due {
            return sleep(if has_choice { LOOK } else { ALONE }).await;
        }
        self.is_resting.store(true, Ordering::Release);
        let _ = timeout(REST, self.stirred.notified()).await;
    }

    /// As [`watch`](Self::watch), and then waits for ever: for a branch of a `select!` that must not end it.
    pub async fn watch_forever(&self, stream: &TcpStream, ended: impl Fn()) -> Infallible {
        if let Err(error) = self.watch(stream, ended).await {
            log::debug!("a dead subflow is left to the kernel: {error}");
        }
        std::future::pending().await
    }
}

/// The subflow to end, if there is one.
fn find_dead<'a>(
    watched: &mut Vec<(SocketAddr, Silence)>,
    info: &'a MptcpInfo,
    now: Time,
) -> Option<&'a Subflow> {
    let alive = || info.subflows.iter().filter(|it| it.established);
    watched.retain(|(remote, _)| alive().any(|it| it.remote == *remote));
    let mut dead = None;
    for subflow in alive() {
        let index = watched
            .iter()
            .position(|(remote, _)| *remote == subflow.remote);
        let index = index.unwrap_or_else(|| {
            watched.push((subflow.remote, Silence::default()));
            watched.len() - 1
        });
        let silence = &mut watched[index].1;
        silence.look(&subflow.health, now);
        let Some(due) = silence.due() else {
            continue;
        };
        let silent = now.saturating_since(due.since);
        if due.unanswered < SEGMENTS || silent < silence.timing.condemning() {
            continue;
        }
        let mut others = alive().filter(|it| it.remote != subflow.remote);
        if others.any(|it| was_heard(it, silent)) {
            dead = Some(subflow);
        }
    }
    dead
}

fn was_heard(subflow: &Subflow, within: Duration) -> bool {
    let health = &subflow.health;
    let heard = [health.last_ack_recv, health.last_data_recv];
    heard.into_iter().flatten().any(|ago| ago < within)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two subflows, looked at every 10 ms: what is silent, what was heard, and how long until one is ended.
    fn ended_after(segments: u32, other_heard: impl Fn(u64) -> u64) -> Option<u64> {
        let at = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
        let server = SocketAddr::from(([198, 51, 100, 1], 443));
        let (mut wifi, mut cellular) = (Subflow::new(server, at(1)), Subflow::new(server, at(2)));
        for subflow in [&mut wifi, &mut cellular] {
            subflow.established = true;
            subflow.health.srtt = Some(Duration::from_millis(20));
            subflow.health.rttvar = Some(Duration::from_millis(2));
            subflow.health.delivered = Some(5);
            subflow.health.data_segments_sent = Some(5);
        }
        wifi.health.unacked = Some(segments);
        let mut watched = Vec::new();
        (0..200).map(|look| look * 10).find(|millis| {
            wifi.health.data_segments_sent = Some(5 + segments.min((millis / 10) as u32));
            cellular.health.last_ack_recv = Some(Duration::from_millis(other_heard(*millis)));
            let mut info = MptcpInfo::default();
            info.subflows = vec![wifi, cellular];
            let now = Time::ZERO + Duration::from_millis(*millis);
            find_dead(&mut watched, &info, now).is_some()
        })
    }

    #[test]
    fn a_silent_subflow_is_ended_once_another_one_is_heard() {
        assert_eq!(ended_after(10, |_| 5), Some(160));
        let later = ended_after(10, |now| if now < 300 { 5000 + now } else { now - 300 });
        assert_eq!(later, Some(300));
    }

    #[test]
    fn of_two_that_are_silent_none_is_ended() {
        assert_eq!(ended_after(10, |now| now + 10), None);
    }

    #[test]
    fn a_lost_segment_is_no_dead_path() {
        assert_eq!(ended_after(1, |_| 5), None);
    }
}
