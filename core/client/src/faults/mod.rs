//! Faults on purpose: to see, and to test, what an app does when a path dies, without walking out of the house.
//!
//! ```no_run
//! use std::sync::Arc;
//! use twinpath::faults::{Fault, FaultInjection};
//! use twinpath::{Connector, Role, SocketDialer};
//!
//! # fn example() -> Result<(), twinpath::BuildError> {
//! let faults = FaultInjection::new();
//! let connector = Connector::builder().dialer(faults.around(Arc::new(SocketDialer::new()))).build()?;
//! faults.set(Role::Primary, Some(Fault::Blackhole)); // Wi-Fi falls silent
//! faults.set(Role::Primary, None); // and is back
//! # Ok(())
//! # }
//! ```
//!
//! The faults are on the streams of one connector, not on the device: the system goes on telling that the interface is
//! there, as it does in the worst case of real life. A connector with faults around its dialer does without the kernel's
//! MPTCP, whose packets do not come by here.

mod carrier;
mod condition;
mod dialer;
mod stream;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use twinpath_proto::Role;

use crate::dialer::Dialer;
use condition::{Condition, Seen};
use dialer::FaultyDialer;

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing arrives, in neither direction, and nobody is told. What was sent meanwhile arrives when it is over, as TCP
    /// would have it.
    Blackhole,
    /// Everything takes so much longer, in each direction. A leg has 256 KiB on its way at most, and a day is
    /// the longest.
    Delay(Duration),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blackhole => f.write_str("silence"),
            Self::Delay(delay) => write!(f, "a delay of {} ms", delay.as_millis()),
        }
    }
}

/// The faults of the two paths of a connector; none at the beginning. Changes are in force at once, for legs that are open
/// as well as for those to come.
#[derive(Debug)]
pub struct FaultInjection {
    primary: watch::Sender<Condition>,
    backup: watch::Sender<Condition>,
}

impl FaultInjection {
    /// No faults yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let path = || watch::Sender::new(Condition::default());
        Arc::new(Self {
            primary: path(),
            backup: path(),
        })
    }

    /// A dialer whose legs have these faults.
    #[must_use]
    pub fn around(self: &Arc<Self>, dialer: Arc<dyn Dialer>) -> Arc<dyn Dialer> {
        Arc::new(FaultyDialer::new(Arc::clone(self), dialer))
    }

    /// From now on the path has this fault, or none.
    pub fn set(&self, role: Role, fault: Option<Fault>) {
        match fault {
            Some(fault) => log::info!("the {role} path has a fault on purpose: {fault}"),
            None => log::info!("the {role} path has no fault on purpose any more"),
        }
        self.path(role)
            .send_modify(|condition| condition.fault = fault);
    }

    /// The fault that the path has now.
    #[must_use]
    pub fn get(&self, role: Role) -> Option<Fault> {
        self.path(role).borrow().fault
    }

    /// Resets every leg that the path has now, at both ends, as a middlebox does that forgot them.
    pub fn reset(&self, role: Role) {
        log::info!("the legs of the {role} path are reset on purpose");
        self.path(role)
            .send_modify(|condition| condition.resets += 1);
    }

    /// The condition of a path, to whoever is on it.
    fn seen(self: &Arc<Self>, role: Role) -> Seen {
        Seen::new(self.path(role).subscribe(), Arc::clone(self))
    }

    const fn path(&self, role: Role) -> &watch::Sender<Condition> {
        match role {
            Role::Primary => &self.primary,
            Role::Backup => &self.backup,
        }
    }
}

#[cfg(test)]
mod tests;
