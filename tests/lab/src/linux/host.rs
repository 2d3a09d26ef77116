//! One of the two hosts: a namespace in which threads, runtimes and programs run.

use std::ffi::OsStr;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::namespace::{Inside, Namespace};
use crate::error::{LabError, Step as _};

/// Makes a future on the thread that will run it.
type StartJob<'a> = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + 'a>> + Send + 'a>;

/// The client or the server. Clones are the same host.
#[derive(Clone)]
pub struct Host {
    name: &'static str,
    namespace: Arc<Namespace>,
    detached: Arc<Mutex<Vec<Box<dyn Send>>>>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Host {
    pub(super) fn new(name: &'static str) -> Result<Self, LabError> {
        Ok(Self {
            name,
            namespace: Arc::new(Namespace::new()?),
            detached: Arc::default(),
        })
    }

    pub(super) fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    pub(super) fn end_detached(&self) {
        let tasks =
            std::mem::take(&mut *self.detached.lock().unwrap_or_else(PoisonError::into_inner));
        drop(tasks);
    }

    /// Moves the calling thread to this host until the guard is dropped.
    ///
    /// Threads started meanwhile stay on the host, so a runtime with several workers can be built
    /// under the guard.
    ///
    /// # Errors
    ///
    /// When the kernel refuses; so it does when root of a user namespace calls from a network that
    /// is not its own.
    pub fn enter(&self) -> Result<Entered, LabError> {
        let inside = self
            .namespace
            .enter()
            .step(|| format!("enter the {}", self.name))?;
        Ok(Entered {
            _inside: inside,
            _thread: PhantomData,
        })
    }

    /// Sets the kernel parameter `/proc/sys/net/<name>` of this host alone, for example
    /// `mptcp/stale_loss_cnt`.
    ///
    /// # Errors
    ///
    /// When there is no such parameter, or the value is refused.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<(), LabError> {
        self.namespace.sysctl(name, value)
    }

    /// A command that will run on this host.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.namespace.command(program)
    }

    /// Runs what `start` returns on a thread of its own with a current-thread tokio runtime, and
    /// waits for it. Panics in it go on in the caller.
    ///
    /// # Errors
    ///
    /// When the thread or the runtime cannot be started.
    pub fn run<F, Fut, T>(&self, start: F) -> Result<T, LabError>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = T>,
        T: Send,
    {
        let mut output = None;
        self.run_job(Box::new(|| {
            Box::pin(async { output = Some(start().await) })
        }))?;
        match output {
            Some(output) => Ok(output),
            None => unreachable!("what ran has ended, or has panicked"),
        }
    }

    /// What `run` does with all that it is given: compiled once, and not with every caller.
    fn run_job<'a>(&self, start: StartJob<'a>) -> Result<(), LabError> {
        thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name(format!("lab-{}", self.name))
                .spawn_scoped(scope, || {
                    let runtime = self.runtime()?;
                    runtime.block_on(async { start().await });
                    Ok(())
                })
                .step(|| "start a thread".into())?;
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// As [`run`](Self::run), in the background.
    ///
    /// # Errors
    ///
    /// When the thread or the runtime cannot be started.
    pub fn spawn<F, Fut, T>(&self, start: F) -> Result<Task<T>, LabError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let (thread, stop) = self.spawn_job(Box::new(move || {
            Box::pin(async move {
                let _ = done.send(start().await);
            })
        }))?;
        Ok(Task {
            result: Some(result),
            stop: Some(stop),
            thread: Some(thread),
            detached: Arc::clone(&self.detached),
        })
    }

    /// As `run_job`, until it ends or its stop is dropped.
    fn spawn_job(
        &self,
        start: StartJob<'static>,
    ) -> Result<(JoinHandle<()>, oneshot::Sender<()>), LabError> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
        let host = self.clone();
        let thread = thread::Builder::new()
            .name(format!("lab-{}", self.name))
            .spawn(move || {
                let runtime = match host.runtime() {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                // The registry of detached tasks must not keep itself alive.
                drop(host);
                let _ = ready.send(Ok(()));
                runtime.block_on(async move {
                    tokio::select! {
                        () = async { start().await } => {}
                        _ = stopped => {}
                    }
                });
                // Blocking calls that never return must not hold up the end of a test.
                runtime.shutdown_background();
            })
            .step(|| "start a thread".into())?;
        match is_ready.recv() {
            Ok(ready) => ready?,
            // The thread panicked before it could answer; the join below brings the panic over.
            Err(_) => log::error!("a thread of the lab did not start"),
        }
        Ok((thread, stop))
    }

    fn runtime(&self) -> Result<tokio::runtime::Runtime, LabError> {
        self.namespace
            .move_into()
            .step(|| format!("enter the {}", self.name))?;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .step(|| "build a runtime".into())
    }
}

/// Keeps the calling thread on a host.
#[derive(Debug)]
pub struct Entered {
    _inside: Inside,
    // The guard belongs to the thread that made it.
    _thread: PhantomData<*const ()>,
}

/// Something that runs on a host. Dropping it ends it.
#[must_use = "dropping a task ends it; call detach to let it run as long as the world"]
pub struct Task<T> {
    result: Option<oneshot::Receiver<T>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    detached: Arc<Mutex<Vec<Box<dyn Send>>>>,
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Task<T> {
    /// Waits for the result. A panic in the task goes on here.
    ///
    /// Must not be called inside an asynchronous context; see [`wait`](Self::wait).
    pub fn join(mut self) -> T {
        let result = self
            .result
            .take()
            .and_then(|result| result.blocking_recv().ok());
        self.conclude(result)
    }

    /// As [`join`](Self::join), for asynchronous callers.
    ///
    /// # Cancel safety
    ///
    /// Cancelling it ends the task, as dropping the task does.
    pub async fn wait(mut self) -> T {
        let result = match self.result.take() {
            Some(result) => result.await.ok(),
            None => None,
        };
        self.conclude(result)
    }

    fn conclude(&mut self, result: Option<T>) -> T {
        if let Some(thread) = self.thread.take() {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        match result {
            Some(result) => result,
            None => unreachable!("a task ends with a result or a panic unless it is stopped"),
        }
    }

    /// Lets it run until it ends or the world is dropped.
    pub fn detach(mut self) {
        let detached = Arc::clone(&self.detached);
        // The registry must not be kept alive by what it holds.
        self.detached = Arc::default();
        detached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(self));
    }
}

impl<T> Task<T> {
    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            if thread.join().is_err() && !thread::panicking() {
                log::error!("a task of the lab has panicked");
            }
        }
    }
}
