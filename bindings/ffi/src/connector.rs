//! What makes connections.

use std::fmt;
use std::sync::Arc;

use tokio::task::JoinHandle;
use twinpath::Dialer;
#[cfg(feature = "faults")]
use twinpath::SocketDialer;

use crate::connection::Connection;
use crate::error::Failure;
#[cfg(feature = "faults")]
use crate::faults::FaultInjection;
use crate::legs::{CellularUse, LeasingDialer, LegDialer, PlatformDialer};
use crate::options::ConnectorOptions;
use crate::runtime;
use crate::wait::{Cancellation, give_up};

/// What may be spent on the backup paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Budget {
    /// Bytes a day; without limit if there is none.
    pub per_day: Option<u64>,
    /// Bytes spent in this day.
    pub used: u64,
    /// Bytes that may still be spent at this moment; without limit if there is none.
    pub remaining: Option<u64>,
}

/// What the app's side takes part in, beside the options.
#[derive(Clone, uniffi::Record)]
pub struct Hooks {
    /// Opens the legs, instead of sockets of the library's own.
    #[uniffi(default = None)]
    pub dialer: Option<Arc<dyn LegDialer>>,
    /// Is told for as long as cellular is used by sockets of the library's own.
    #[uniffi(default = None)]
    pub cellular: Option<Arc<dyn CellularUse>>,
    /// What the paths suffer from on purpose.
    #[cfg(feature = "faults")]
    #[uniffi(default = None)]
    pub faults: Option<Arc<FaultInjection>>,
}

impl Hooks {
    /// How legs are opened; as always if there is none.
    fn dialer(self) -> Option<Arc<dyn Dialer>> {
        let dialer: Option<Arc<dyn Dialer>> = match (self.dialer, self.cellular) {
            (Some(dialer), _) => Some(PlatformDialer::new(dialer)),
            (None, Some(cellular)) => Some(LeasingDialer::new(cellular)),
            (None, None) => None,
        };
        #[cfg(feature = "faults")]
        if let Some(faults) = self.faults {
            let dialer = dialer.unwrap_or_else(|| Arc::new(SocketDialer::new()));
            return Some(faults.inner.around(dialer));
        }
        dialer
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("dialer", &self.dialer.is_some())
            .field("cellular", &self.cellular.is_some())
            .finish_non_exhaustive()
    }
}

/// Makes connections with the same options and one budget.
#[derive(Debug, uniffi::Object)]
pub struct Connector {
    inner: twinpath::Connector,
}

#[cfg(feature = "http")]
impl Connector {
    pub(crate) const fn inner(&self) -> &twinpath::Connector {
        &self.inner
    }
}

#[uniffi::export]
impl Connector {
    /// A connector with these options, and what the app's side takes part in.
    #[uniffi::constructor]
    pub fn new(options: ConnectorOptions, hooks: Hooks) -> Result<Arc<Self>, Failure> {
        let mut builder = options.builder()?;
        if let Some(dialer) = hooks.dialer() {
            builder = builder.dialer(dialer);
        }
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        let inner = builder.build()?;
        Ok(Arc::new(Self { inner }))
    }

    /// Connects to `target`, written as `host:port`. A connect that is given up leaves nothing open.
    pub async fn connect(
        &self,
        target: String,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<Arc<Connection>, Failure> {
        let connector = self.inner.clone();
        run(cancellation, async move {
            let connection = connector.connect(&target).await?;
            Ok(Connection::over(connection))
        })
        .await
    }

    /// Lets go of all paths until it is resumed; sessions with gateways stay, for the time to live.
    pub fn suspend(&self) -> Result<(), Failure> {
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        self.inner.suspend();
        Ok(())
    }

    /// Takes paths again: sessions go on where they were.
    pub fn resume(&self) -> Result<(), Failure> {
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        Ok(self.inner.resume()?)
    }

    /// What may be spent, and what was.
    pub fn budget(&self) -> Result<Budget, Failure> {
        let budget = self.inner.budget();
        Ok(Budget {
            per_day: budget.per_day(),
            used: budget.used(),
            remaining: budget.remaining(),
        })
    }

    /// Bytes a day on the backup; without limit if there is none.
    pub fn set_budget(&self, per_day: Option<u64>) -> Result<(), Failure> {
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        self.inner.set_budget(per_day);
        Ok(())
    }

    /// What was spent in this day before the app was started.
    pub fn set_budget_used(&self, bytes: u64) -> Result<(), Failure> {
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        self.inner.set_budget_used(bytes);
        Ok(())
    }

    /// Whether the system is saving data: then nothing is spent on the backup.
    pub fn set_data_saving(&self, data_saving: bool) -> Result<(), Failure> {
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        self.inner.set_data_saving(data_saving);
        Ok(())
    }
}

/// Ends a task when it is no longer waited for.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs it in the runtime, and ends it when it is given up.
pub(crate) async fn run<T: Send + 'static>(
    cancellation: Option<Arc<Cancellation>>,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let mut task = Task(runtime::handle()?.spawn(work));
    match give_up(&mut task.0, cancellation).await {
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(Failure::of_task(&error)),
        None => Err(Failure::cancelled()),
    }
}
