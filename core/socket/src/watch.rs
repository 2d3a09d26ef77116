//! Being told when interfaces change.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    Interface, InterfaceError,
    feed::{self, Fed},
    sys,
};

/// How long good news waits behind the news before it: an interface that comes up makes a burst of
/// a link, some addresses and some routes.
const COALESCE: Duration = Duration::from_millis(20);

/// How long after an event the system is asked once more: Linux tells of a link going down before
/// it removes the link's routes, and tells nothing of their removal.
const SETTLE: Duration = Duration::from_millis(50);

/// How long to wait when the system did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// Why the system is asked for the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Something has happened.
    Event,
    /// Once more behind an event.
    Settle,
}

/// What an operating system's event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "some platforms tell no events")]
pub(crate) enum Urgency {
    /// Something is gone or down, or events were lost: a caller with bytes in flight wants to know
    /// at once.
    Loss,
    /// Anything else.
    Gain,
}

/// Tells when the list of [`interfaces`](crate::interfaces) changes.
///
/// On Linux, macOS, iOS and Windows it hears the kernel's own events; on Android and elsewhere, and
/// wherever a list is [fed](crate::feed_interfaces), it hears what is fed.
#[derive(Debug)]
#[must_use = "it tells nothing unless `changed` is awaited"]
pub struct InterfaceWatcher {
    events: sys::Events,
    fed: watch::Receiver<Fed>,
    last: Vec<Interface>,
    /// When the system has to be asked again, and why.
    due: Option<(Instant, Due)>,
    last_asked: Option<Instant>,
}

impl InterfaceWatcher {
    /// Begins to watch; the list of this moment is what the first [`changed`](Self::changed)
    /// compares with. Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`InterfaceError::Os`] if the operating system refuses to list interfaces or to tell of
    /// changes.
    pub fn new() -> Result<Self, InterfaceError> {
        let fed = feed::subscribe();
        // First the events, then the list: what happens in between is heard, not lost.
        let mut events = sys::Events::new().map_err(|source| InterfaceError::Os {
            action: "watch interfaces",
            source,
        })?;
        let last = snapshot(&mut events, &fed)?;
        Ok(Self {
            events,
            fed,
            last,
            due: None,
            last_asked: None,
        })
    }

    /// The list that was last told, or that watching began with.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.last
    }

    /// Waits for a change and returns the new list, which always differs from the one before.
    ///
    /// A loss (a link down, an address or default route gone) is told at once, within a few
    /// milliseconds; other changes that follow one another within 20 ms are told together. Linux
    /// itself may take up to a second to notice that a cable was pulled. Should the operating
    /// system cease to answer, it waits until it does.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, no change is lost, and the next call tells it.
    pub async fn changed(&mut self) -> Vec<Interface> {
        loop {
            let due = self.due().await;
            let now = Instant::now();
            self.due = (due == Due::Event).then_some((now + SETTLE, Due::Settle));
            self.last_asked = Some(now);
            match snapshot(&mut self.events, &self.fed) {
                Ok(list) if list != self.last => {
                    self.last.clone_from(&list);
                    return list;
                }
                Ok(_) => {}
                Err(error) => {
                    log::warn!("{error}; asking again in a second");
                    self.due = Some((now + RETRY, Due::Event));
                }
            }
        }
    }

    /// Returns when it is time to ask for the list. Keeps what it has heard in `self.due`, so that
    /// it can be dropped at any await.
    async fn due(&mut self) -> Due {
        loop {
            let due = self.due;
            let wait = async move {
                match due {
                    Some((at, due)) => {
                        sleep_until(at).await;
                        due
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // The sender is a static and is never dropped, so this is always a change.
                _ = self.fed.changed() => return Due::Event,
                urgency = self.events.next() => {
                    let now = Instant::now();
                    let quiet = self.last_asked.is_none_or(|asked| now - asked >= COALESCE);
                    if urgency == Urgency::Loss || quiet {
                        return Due::Event;
                    }
                    let at = match due {
                        Some((at, _)) => at.min(now + COALESCE),
                        None => now + COALESCE,
                    };
                    self.due = Some((at, Due::Event));
                }
                due = wait => return due,
            }
        }
    }
}

fn snapshot(
    events: &mut sys::Events,
    fed: &watch::Receiver<Fed>,
) -> Result<Vec<Interface>, InterfaceError> {
    let current = fed.borrow().clone();
    match current {
        Some(list) => Ok(list.to_vec()),
        None => events.interfaces().map_err(|source| InterfaceError::Os {
            action: "list interfaces",
            source,
        }),
    }
}
