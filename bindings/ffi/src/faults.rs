//! Faults of a path on purpose.

use std::sync::Arc;
use std::time::Duration;

use twinpath::faults;

use crate::error::Failure;
use crate::names::Role;

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Fault {
    /// Nothing arrives, in neither direction, and nobody is told.
    Blackhole,
    /// Everything takes so much longer, in each direction.
    Delay {
        /// By how much.
        by: Duration,
    },
}

impl From<Fault> for faults::Fault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Blackhole => Self::Blackhole,
            Fault::Delay { by } => Self::Delay(by),
        }
    }
}

/// The faults of the two paths of a connector that is made with it.
#[derive(Debug, uniffi::Object)]
pub struct FaultInjection {
    pub(crate) inner: Arc<faults::FaultInjection>,
}

#[uniffi::export]
impl FaultInjection {
    /// No faults yet.
    #[uniffi::constructor]
    pub fn new() -> Result<Arc<Self>, Failure> {
        let inner = faults::FaultInjection::new();
        Ok(Arc::new(Self { inner }))
    }

    /// From now on the path has this fault, or none.
    pub fn set(&self, role: Role, fault: Option<Fault>) -> Result<(), Failure> {
        self.inner.set(role.into(), fault.map(Into::into));
        Ok(())
    }

    /// Resets every leg that the path has now.
    pub fn reset(&self, role: Role) -> Result<(), Failure> {
        self.inner.reset(role.into());
        Ok(())
    }
}
