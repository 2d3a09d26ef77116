//! What makes connections.

use std::sync::Arc;

use tokio::task::JoinHandle;
use twinpath::ConnectorBuilder;

use crate::connection::Connection;
use crate::error::Failure;
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

/// Makes connections with the same options and one budget.
#[derive(Debug, uniffi::Object)]
pub struct Connector {
    inner: twinpath::Connector,
}

impl Connector {
    fn built(builder: ConnectorBuilder) -> Result<Arc<Self>, Failure> {
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        let inner = builder.build()?;
        Ok(Arc::new(Self { inner }))
    }

    pub(crate) const fn inner(&self) -> &twinpath::Connector {
        &self.inner
    }
}

#[uniffi::export]
impl Connector {
    /// A connector with these options.
    #[uniffi::constructor]
    pub fn new(options: ConnectorOptions) -> Result<Arc<Self>, Failure> {
        Self::built(options.builder()?)
    }

    /// A connector with these options, whose legs the platform opens.
    #[uniffi::constructor]
    pub fn with_dialer(
        options: ConnectorOptions,
        dialer: Arc<dyn LegDialer>,
    ) -> Result<Arc<Self>, Failure> {
        Self::built(options.builder()?.dialer(PlatformDialer::new(dialer)))
    }

    /// A connector with these options, which tells of its use of cellular.
    #[uniffi::constructor]
    pub fn with_cellular_use(
        options: ConnectorOptions,
        cellular: Arc<dyn CellularUse>,
    ) -> Result<Arc<Self>, Failure> {
        Self::built(options.builder()?.dialer(LeasingDialer::new(cellular)))
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
