//! The task that drives one connection.
//!
//! Its work is a loop of two halves: sockets without the lock, then the session under it. So the lock is taken once per
//! turn however many legs and frames there are, and never held across a system call.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use twinpath_proto::{Action, LegId, Role, Time};

use super::closing::Closing;
use super::dial::{LegDialer, Pending};
use super::leg::LegIo;
use super::state::{Shared, State};
use super::timer::Timer;
use crate::clock;

/// Turns in one poll before other tasks get theirs: with a quarter of a megabyte read in each, some 4 MB.
const TURNS: usize = 16;
/// Legs closed by the session before their stream was attached; more than a handful cannot be honest.
const ORPHANS_MAX: usize = 16;

/// Drives a session until it has ended and its legs are closed.
#[derive(Debug)]
#[must_use = "a driver must be spawned for its connection to function"]
pub(super) struct Driver {
    shared: Arc<Shared>,
    dialer: Option<Arc<dyn LegDialer>>,
    legs: Vec<LegIo>,
    closing: Vec<Closing>,
    dials: [Option<Pending>; 2],
    orphans: Vec<LegId>,
    timer: Timer,
}

/// What a turn under the lock has led to.
enum Turn {
    /// There is more to do at once.
    Again,
    /// Nothing to do until something happens, at the latest at this time.
    Wait { until: Option<Time>, now: Time },
    /// The session has ended and every leg is closed.
    Done,
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, dialer: Option<Arc<dyn LegDialer>>) -> Self {
        Self {
            shared,
            dialer,
            legs: Vec::new(),
            closing: Vec::new(),
            dials: [None, None],
            orphans: Vec::new(),
            timer: Timer::default(),
        }
    }

    /// Sockets and dials, as far as they go without waiting. True if the session has something to hear.
    fn poll_outside(&mut self, cx: &mut Context<'_>) -> bool {
        let mut news = false;
        for leg in &mut self.legs {
            news |= leg.poll_io(cx);
        }
        for dial in self.dials.iter_mut().flatten() {
            news |= dial.poll(cx);
        }
        self.closing.retain_mut(|leg| leg.poll(cx).is_pending());
        news
    }

    fn poll_session(&mut self, cx: &mut Context<'_>, news: bool) -> Turn {
        let now = clock::now();
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        state.driver = None;
        let mut again = news | self.attach(&mut state);
        self.feed(&mut state, now);
        state.settle_budget(now);
        let mut until = state.progress_leaving(now);
        if state.session.poll_timeout().is_some_and(|due| due <= now) {
            state.session.handle_timeout(now);
        }
        again |= self.act(&mut state, now);
        while let Some(event) = state.session.poll_event() {
            state.record.hear(event, now);
        }
        again |= self.pull(&mut state, now);
        let wakes = state.wakes();
        let closed = state.session.is_closed();
        if closed {
            again |= self.wind_up(&mut state);
        }
        let done = closed && self.closing.is_empty();
        if !again && !done {
            until = earlier(until, state.session.poll_timeout());
            state.driver = Some(cx.waker().clone());
        }
        drop(state);
        wakes.wake();
        match (again, done) {
            (true, _) => Turn::Again,
            (false, true) => Turn::Done,
            (false, false) => Turn::Wait { until, now },
        }
    }

    /// Takes over legs that were opened by others. True if there were any.
    fn attach(&mut self, state: &mut State) -> bool {
        if state.attached.is_empty() {
            return false;
        }
        for (id, stream, already_read) in mem::take(&mut state.attached) {
            match self.orphans.iter().position(|orphan| *orphan == id) {
                Some(index) => {
                    self.orphans.swap_remove(index);
                    stream.abort();
                }
                None => self.legs.push(LegIo::new(id, stream, already_read)),
            }
        }
        true
    }

    /// Tells the session what the sockets and dials had to say.
    fn feed(&mut self, state: &mut State, now: Time) {
        self.legs.retain_mut(|leg| {
            for data in leg.received.drain(..) {
                state.session.leg_received(leg.id, data, now);
            }
            match leg.ended {
                Some(end) => {
                    state.session.leg_closed(leg.id, end, now);
                    false
                }
                None => true,
            }
        });
        for (role, slot) in Role::ALL.into_iter().zip(&mut self.dials) {
            let Some(result) = slot.as_mut().and_then(Pending::take_result) else {
                continue;
            };
            *slot = None;
            match result {
                Ok(dialled) => {
                    state.record.name_path(role, dialled.interface);
                    let id = state.session.leg_opened(role, dialled.rtt, now);
                    self.legs
                        .push(LegIo::new(id, dialled.stream, bytes::Bytes::new()));
                }
                Err(failure) => {
                    log::debug!("dial of the {role} path failed: {failure}");
                    state.session.dial_failed(role, failure.kind, now);
                }
            }
        }
    }

    /// Carries out what the session asks for. True if something was begun that has to be polled.
    fn act(&mut self, state: &mut State, now: Time) -> bool {
        let mut begun = false;
        while let Some(action) = state.session.poll_action() {
            match action {
                Action::Dial { role, target } => match &self.dialer {
                    Some(dialer) => {
                        self.dials[role.index()] = Some(Pending::new(dialer.dial(role, target)));
                        begun = true;
                    }
                    None => {
                        log::debug!("the session asks for a {role} leg, and there is no dialer")
                    }
                },
                Action::CancelDial { role } => self.dials[role.index()] = None,
                Action::Close { leg, abort } => {
                    begun |= self.close(state, leg, abort, now);
                }
            }
        }
        begun
    }

    fn close(&mut self, state: &mut State, id: LegId, abort: bool, now: Time) -> bool {
        let Some(index) = self.legs.iter().position(|leg| leg.id == id) else {
            let attached = state
                .attached
                .iter()
                .position(|(attached, ..)| *attached == id);
            if let Some(index) = attached {
                state.attached.swap_remove(index).1.abort();
            } else if self.orphans.len() < ORPHANS_MAX {
                self.orphans.push(id);
            }
            return false;
        };
        let mut leg = self.legs.swap_remove(index);
        if abort {
            leg.into_parts().0.abort();
            return false;
        }
        leg.pull_last(|max, out| state.session.poll_transmit(id, max, out, now));
        self.closing.push(Closing::new(leg));
        true
    }

    /// Fetches what each leg may send next. True if there is something to write.
    fn pull(&mut self, state: &mut State, now: Time) -> bool {
        let mut pulled = false;
        for leg in &mut self.legs {
            let id = leg.id;
            if let Some((max, outbox)) = leg.wants() {
                pulled |= state.session.poll_transmit(id, max, outbox, now) > 0;
            }
        }
        pulled
    }

    /// The session is closed: lets every leg end in order. True if that has begun.
    fn wind_up(&mut self, state: &mut State) -> bool {
        self.dials = [None, None];
        for (_, stream, _) in state.attached.drain(..) {
            stream.abort();
        }
        let begun = !self.legs.is_empty();
        self.closing.extend(self.legs.drain(..).map(Closing::new));
        begun
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        for _ in 0..TURNS {
            let news = this.poll_outside(cx);
            match this.poll_session(cx, news) {
                Turn::Again => {}
                Turn::Done => return Poll::Ready(()),
                Turn::Wait { until, now } => {
                    if this.timer.poll(cx, until, now).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Reached at the end, and as well when the runtime is shut down under it.
        self.shared.driver_ended();
    }
}

fn earlier(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
