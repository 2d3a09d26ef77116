//! Looks after a plain connection as long as it lives: finds out when its path has died, and goes on over the other one
//! where that is safe.

use std::io;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use twinpath_proto::{Role, Time};
use twinpath_socket::TcpHealth;

use super::interrupted::{Interrupted, InterruptedCause};
use super::replay::Replay;
use super::ways::Ways;
use crate::clock;
use crate::detect::{Answer, Detector, Order};
use crate::driver::LegStream;
use crate::plain::{self, PlainStream};

/// A leg that takes longer to open is of no use to anybody who waits.
const DIAL_LIMIT: Duration = Duration::from_secs(10);
/// While nothing is due, only the system can tell that something is wrong.
const IDLE: Duration = Duration::from_secs(30);
/// So often may one exchange be said again.
const REPLAYS: u32 = 3;

/// Looks after `stream` from now on.
pub(crate) fn keep(stream: &Arc<PlainStream>, shared: &Arc<plain::Shared>, ways: Arc<dyn Ways>) {
    stream.keep();
    let keeper = Keeper {
        stirred: stream.stirred(),
        stream: Arc::downgrade(stream),
        shared: Arc::downgrade(shared),
        ways,
        detector: Detector::default(),
        since: None,
        spare: None,
        questions: JoinSet::new(),
        is_probed: false,
        replays: 0,
    };
    tokio::spawn(keeper.run());
}

struct Keeper {
    stream: Weak<PlainStream>,
    shared: Weak<plain::Shared>,
    stirred: Arc<tokio::sync::Notify>,
    ways: Arc<dyn Ways>,
    /// Of the leg: its path is the "primary" one of the detector, whichever it is.
    detector: Detector,
    /// Since when the silence lasts that the leg was given up for.
    since: Option<Time>,
    /// A leg on the other path, opened to ask whether the server answers there.
    spare: Option<LegStream>,
    questions: JoinSet<(Role, Answer, Option<LegStream>)>,
    /// The kernel asks the server's kernel for signs of life.
    is_probed: bool,
    replays: u32,
}

impl Keeper {
    async fn run(mut self) {
        let stirred = Arc::clone(&self.stirred);
        loop {
            let Some(pause) = self.step().await else {
                self.let_spare_go();
                return;
            };
            tokio::select! {
                Some(answer) = self.questions.join_next(), if !self.questions.is_empty() => {
                    if let Ok((role, answer, leg)) = answer {
                        self.hear(role, answer, leg);
                    }
                }
                () = stirred.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Looks once and does what is to be done. When to look again; `None` when there is nothing to look at any more.
    async fn step(&mut self) -> Option<Duration> {
        let stream = self.stream.upgrade()?;
        let now = clock::now();
        let (looked, role) = {
            let mut state = stream.lock();
            let role = state.role;
            if stream.tally().is_spent(role) {
                state
                    .failing
                    .get_or_insert(InterruptedCause::BudgetExhausted);
            }
            self.detector.set_awaited(state.is_awaiting(), now);
            self.detector.set_told(state.is_told());
            let looked = match state.failing {
                Some(cause) => Err(cause),
                None => Ok(health_of(
                    state.leg.as_ref()?,
                    stream.tally().received_over(role),
                )),
            };
            (looked, role)
        };
        let health = match looked {
            Ok(health) => health,
            Err(cause) => return self.give_up(&stream, role, cause).await,
        };
        stream.tally().learn(health.srtt);
        self.detector.look(&health, None, now);
        while let Some(order) = self.detector.poll(now) {
            match order {
                Order::Ask(Role::Primary) => self.ask(role),
                Order::Ask(Role::Backup) => self.ask(role.other()),
                Order::Condemn(silence) => {
                    log::debug!(
                        "the {role} path is silent for {} ms while the other one answers",
                        silence.as_millis()
                    );
                    self.since = Some(now.saturating_sub(silence));
                    return self.give_up(&stream, role, InterruptedCause::Silent).await;
                }
            }
        }
        if self.detector.is_flow_lost(now) {
            log::debug!("the server answers on the {role} path, but this connection no more");
            return self
                .give_up(&stream, role, InterruptedCause::TimedOut)
                .await;
        }
        self.probe(&stream);
        if !self.detector.is_suspicious() {
            self.let_spare_go();
        }
        match self.detector.pause(now) {
            Some(pause) => Some(pause),
            None => {
                stream.rest();
                Some(IDLE)
            }
        }
    }

    /// While an answer is due that does not come though the path lives, the kernels ask each other whether the connection
    /// does: a middlebox may have forgotten it.
    fn probe(&mut self, stream: &PlainStream) {
        let wanted = self.detector.is_patient();
        if wanted != self.is_probed {
            if let Some(LegStream::Tcp(tcp)) = &stream.lock().leg {
                match twinpath_socket::probe_closely(tcp, wanted) {
                    Ok(()) => {
                        self.is_probed = wanted;
                        self.detector.set_probed(wanted);
                    }
                    Err(error) => log::debug!("no keepalive on a plain connection: {error}"),
                }
            }
        }
    }

    fn ask(&mut self, role: Role) {
        let own = self
            .stream
            .upgrade()
            .is_none_or(|stream| stream.lock().role == role);
        if own {
            let asking = self.ways.ask(role);
            self.questions
                .spawn(async move { (role, asking.await, None) });
        } else if let Some(dialing) = self.ways.dial(role) {
            self.questions.spawn(async move {
                match timeout(DIAL_LIMIT, dialing).await {
                    Ok(Ok(leg)) => (role, Answer::Heard(Duration::ZERO), Some(leg)),
                    Ok(Err(error)) => (role, Answer::of_error(&error, Duration::ZERO), None),
                    Err(_) => (role, Answer::Nothing, None),
                }
            });
        }
    }

    fn hear(&mut self, role: Role, answer: Answer, leg: Option<LegStream>) {
        let Some(stream) = self.stream.upgrade() else {
            return;
        };
        let own = stream.lock().role == role;
        if let Some(leg) = leg {
            if own {
                leg.abort();
            } else if let Some(second) = self.spare.replace(leg) {
                second.abort();
            }
        }
        let place = if own { Role::Primary } else { Role::Backup };
        self.detector.answer(place, answer, clock::now());
    }

    fn let_spare_go(&mut self) {
        if let Some(spare) = self.spare.take() {
            spare.abort();
        }
    }

    /// The leg is lost. Goes on over another one, or tells the application.
    async fn give_up(
        &mut self,
        stream: &Arc<PlainStream>,
        role: Role,
        cause: InterruptedCause,
    ) -> Option<Duration> {
        let began = self.since.take().unwrap_or_else(clock::now);
        let path_died = matches!(cause, InterruptedCause::Silent | InterruptedCause::PathGone);
        if path_died {
            self.ways.died(role);
        }
        let (acknowledged, can_replay) = {
            let mut state = stream.lock();
            let acknowledged = state.leg.as_ref().and_then(acknowledged);
            if state.replay.is_none() {
                state.save();
                stream.tally().count_received(role, state.rest.len());
            }
            // Before anything is said again: the kernel would send the first copy when the path heals.
            if let Some(leg) = state.leg.take() {
                leg.abort();
            }
            (
                acknowledged,
                state.replay.is_some() && self.replays < REPLAYS,
            )
        };
        if can_replay {
            // A path that has not died may be the better one, too.
            let mut ways = vec![role.other(), role];
            if !path_died {
                ways.reverse();
            }
            for to in ways {
                if self.move_to(stream, role, to, cause, began).await {
                    return Some(Duration::ZERO);
                }
            }
        }
        let shared = self.shared.upgrade()?;
        let counters = shared.stats(clock::now());
        let interrupted = Interrupted {
            role,
            written: counters.written,
            acknowledged,
            read: counters.read + stream.lock().rest.len() as u64,
            cause,
        };
        log::info!("{interrupted}");
        // Whoever is told goes on there.
        if let Some(spare) = self.spare.take() {
            self.ways.offer(role.other(), spare);
        }
        shared.interrupt(&interrupted);
        stream.interrupt(interrupted);
        None
    }

    /// Opens a leg on that path and says there what was said so far. False if that cannot be done.
    async fn move_to(
        &mut self,
        stream: &Arc<PlainStream>,
        from: Role,
        to: Role,
        cause: InterruptedCause,
        began: Time,
    ) -> bool {
        let spare = self.spare.take().filter(|_| from != to);
        let leg = match spare {
            Some(spare) => Ok(spare),
            None => match self.ways.dial(to) {
                Some(dialing) => timeout(DIAL_LIMIT, dialing)
                    .await
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
                None => Err(io::ErrorKind::NetworkUnreachable.into()),
            },
        };
        let mut leg = match leg {
            Ok(leg) => leg,
            Err(error) => {
                log::debug!("no leg on the {to} path to go on with: {error}");
                return false;
            }
        };
        let said = {
            let state = stream.lock();
            state.replay.as_ref().map(Replay::bytes).unwrap_or_default()
        };
        if let Err(error) = say(&mut leg, &said).await {
            log::debug!("what was said could not be said again on the {to} path: {error}");
            leg.abort();
            return false;
        }
        self.replays += 1;
        self.is_probed = false;
        self.detector = Detector::default();
        let stall = clock::now().saturating_since(began);
        stream.tally().count_sent(to, said.len());
        stream.tally().moved(from, to, stall);
        if let Some(shared) = self.shared.upgrade() {
            shared.moved(from, to, cause, stall);
        }
        let mut state = stream.lock();
        if state.finished {
            // If it fails, whoever reads is told.
            let _ = leg.finish();
        }
        (state.leg, state.role, state.failing) = (Some(leg), to, None);
        let waiting = state.waiting();
        drop(state);
        waiting.for_each(Waker::wake);
        true
    }
}

async fn say(leg: &mut LegStream, said: &[u8]) -> io::Result<()> {
    use tokio::io::AsyncWriteExt as _;
    timeout(DIAL_LIMIT, leg.write_all(said)).await?
}

/// What the kernel knows of a leg. Of what is no socket of this machine, only what came is known.
fn health_of(leg: &LegStream, received: u64) -> TcpHealth {
    if let LegStream::Tcp(tcp) = leg {
        match twinpath_socket::tcp_health(tcp) {
            Ok(mut health) => {
                // Over a platform that does not count, this end does.
                health.bytes_received = health.bytes_received.or(Some(received));
                return health;
            }
            Err(error) => log::debug!("a plain connection cannot be looked at: {error}"),
        }
    }
    let mut health = TcpHealth::default();
    health.srtt = leg.rtt();
    health.bytes_received = Some(received);
    health
}

fn acknowledged(leg: &LegStream) -> Option<u64> {
    let LegStream::Tcp(tcp) = leg else {
        return None;
    };
    // The kernel counts the SYN as one.
    let acknowledged = twinpath_socket::tcp_health(tcp).ok()?.bytes_acked?;
    Some(acknowledged.saturating_sub(1))
}
