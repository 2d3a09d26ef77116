//! A connection: bytes in both directions, and what is known of it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;
use twinpath::{Monitor, ReadHalf, WriteHalf};

use crate::block::Block;
use crate::connector::run;
use crate::error::Failure;
use crate::events::Events;
use crate::lent::{self, Lent, Taken};
use crate::runtime;
use crate::signal::Signal;
use crate::stats::{Stats, Summary};
use crate::wait::Cancellation;

/// No read gives more at once.
const LARGEST_READ: usize = 1024 * 1024;
/// What is asked for at once.
const PIECE: usize = 64 * 1024;
/// No write takes more at once.
const LARGEST_WRITE: usize = 16 * 1024 * 1024;

/// A connection.
#[derive(Debug, uniffi::Object)]
pub struct Connection {
    read: Mutex<Option<Reading>>,
    write: Mutex<Option<WriteHalf>>,
    readable: Signal,
    writable: Signal,
    monitor: Monitor,
    number: u64,
}

/// The reading direction.
#[derive(Debug)]
struct Reading {
    half: ReadHalf,
    /// The peer has ended it.
    is_ended: bool,
    /// What it ended with; told once what came before it was taken.
    failure: Option<Failure>,
}

impl Reading {
    /// What there is. It is asked for in pieces, for as long as they come full: memory for all of `max` would often be
    /// fetched for nothing.
    fn take(&mut self, max: usize, cx: &mut Context<'_>) -> Result<Block, Failure> {
        let mut block = Block::with_capacity(max.min(PIECE));
        while self.failure.is_none() && !self.is_ended && block.len() < max {
            let size = (max - block.len()).min(PIECE);
            match poll_read_buf(Pin::new(&mut self.half), cx, &mut block.space(size)) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => self.is_ended = true,
                Poll::Ready(Err(error)) => self.failure = Some(error.into()),
                Poll::Ready(Ok(taken)) if taken < size => break,
                // There is more, probably as much as is wanted.
                Poll::Ready(Ok(_)) => block.reserve(max - block.len()),
            }
        }
        match &self.failure {
            Some(failure) if block.is_empty() => Err(failure.clone()),
            _ => Ok(block),
        }
    }

    /// What there is and has room there.
    fn take_into(&mut self, space: &mut [u8], cx: &mut Context<'_>) -> usize {
        let mut buffer = ReadBuf::new(space);
        while self.failure.is_none() && !self.is_ended && buffer.remaining() > 0 {
            let before = buffer.filled().len();
            match Pin::new(&mut self.half).poll_read(cx, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => self.failure = Some(error.into()),
                Poll::Ready(Ok(())) => self.is_ended = buffer.filled().len() == before,
            }
        }
        buffer.filled().len()
    }
}

impl Connection {
    pub(crate) fn over(connection: twinpath::Connection) -> Arc<Self> {
        let monitor = connection.monitor();
        let (read, write) = connection.into_split();
        let number = lent::number();
        let connection = Arc::new(Self {
            read: Mutex::new(Some(Reading {
                half: read,
                is_ended: false,
                failure: None,
            })),
            write: Mutex::new(Some(write)),
            readable: Signal::default(),
            writable: Signal::default(),
            monitor,
            number,
        });
        let lent: Arc<dyn Lent> = Arc::clone(&connection) as _;
        lent::remember(number, &lent);
        connection
    }

    /// The whole of it, if it is still open. Whoever waits looks again.
    fn take(&self) -> Option<twinpath::Connection> {
        let read = lock(&self.read).take();
        let write = lock(&self.write).take();
        self.readable.raise();
        self.writable.raise();
        twinpath::Connection::reunite(read?.half, write?).ok()
    }
}

#[uniffi::export]
impl Connection {
    /// Takes what has come, at most `max` bytes, without waiting. None: wait until it is readable, unless it has ended.
    pub fn try_read(&self, max: u32) -> Result<Block, Failure> {
        let mut reading = lock(&self.read);
        let Some(reading) = reading.as_mut() else {
            self.readable.pass_on();
            return Err(Failure::closed());
        };
        let max = usize::try_from(max)
            .unwrap_or(LARGEST_READ)
            .clamp(1, LARGEST_READ);
        let mut cx = Context::from_waker(self.readable.waker());
        let block = reading.take(max, &mut cx);
        if reading.is_ended || !matches!(&block, Ok(block) if block.is_empty()) {
            self.readable.pass_on();
        }
        block
    }

    /// The number that the connection is known by where memory is lent; see `lent.rs`.
    pub fn number(&self) -> Result<u64, Failure> {
        Ok(self.number)
    }

    /// Whether the peer has ended its direction, and all of it was taken.
    pub fn has_ended(&self) -> Result<bool, Failure> {
        Ok(lock(&self.read)
            .as_ref()
            .is_some_and(|reading| reading.is_ended))
    }

    /// Waits until a read may give something else than it did. Nothing is lost when this is given up.
    pub async fn readable(&self, cancellation: Option<Arc<Cancellation>>) -> Result<(), Failure> {
        match self.readable.wait(cancellation).await {
            true => Ok(()),
            false => Err(Failure::cancelled()),
        }
    }

    /// Accepts as many bytes of `data` as there is room for, without waiting; tells how many.
    pub fn try_write(&self, data: &[u8]) -> Result<u32, Failure> {
        let mut write = lock(&self.write);
        let Some(half) = write.as_mut() else {
            self.writable.pass_on();
            return Err(Failure::closed());
        };
        let mut cx = Context::from_waker(self.writable.waker());
        let data = &data[..data.len().min(LARGEST_WRITE)];
        let mut accepted = 0;
        while accepted < data.len() {
            match Pin::new(&mut *half).poll_write(&mut cx, &data[accepted..]) {
                Poll::Ready(Ok(0)) | Poll::Pending => break,
                Poll::Ready(Ok(size)) => accepted += size,
                // It is sticky, and told next time: what was accepted is not hidden by it.
                Poll::Ready(Err(_)) if accepted > 0 => break,
                Poll::Ready(Err(error)) => {
                    self.writable.pass_on();
                    return Err(error.into());
                }
            }
        }
        if accepted > 0 {
            self.writable.pass_on();
        }
        Ok(u32::try_from(accepted).unwrap_or(u32::MAX))
    }

    /// Waits until there may be room for more. Nothing is lost when this is given up.
    pub async fn writable(&self, cancellation: Option<Arc<Cancellation>>) -> Result<(), Failure> {
        match self.writable.wait(cancellation).await {
            true => Ok(()),
            false => Err(Failure::cancelled()),
        }
    }

    /// Ends the sending direction; what was written still arrives.
    pub fn finish(&self) -> Result<(), Failure> {
        let mut write = lock(&self.write);
        let half = write.as_mut().ok_or_else(Failure::closed)?;
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        let mut cx = Context::from_waker(self.writable.waker());
        match Pin::new(half).poll_shutdown(&mut cx) {
            Poll::Ready(Err(error)) => Err(error.into()),
            // What is under way arrives without anybody waiting for it.
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Ends the connection in order: waits, for a bounded time, until what was written has arrived. Gives its account.
    pub async fn shutdown(&self) -> Result<Summary, Failure> {
        let Some(connection) = self.take() else {
            return Ok(self.monitor.summary().into());
        };
        let closing = runtime::handle()?.spawn(connection.close());
        match closing.await {
            Ok(summary) => Ok(summary.into()),
            Err(error) => Err(Failure::of_task(&error)),
        }
    }

    /// Ends the connection without waiting; what was written is still delivered, in the background. Whoever waits is told.
    pub fn leave(&self) -> Result<(), Failure> {
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        drop(self.take());
        Ok(())
    }

    /// Ends the connection at once, with a reset.
    pub fn abort(&self) -> Result<(), Failure> {
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        if let Some(connection) = self.take() {
            connection.abort();
        }
        Ok(())
    }

    /// How it runs and what it has done so far.
    pub fn stats(&self) -> Result<Stats, Failure> {
        Ok(Stats::of(&self.monitor))
    }

    /// Its account so far.
    pub fn summary(&self) -> Result<Summary, Failure> {
        Ok(self.monitor.summary().into())
    }

    /// What happens to it from now on, for one listener; the first one gets what came before as well.
    pub fn events(&self) -> Result<Arc<Events>, Failure> {
        Ok(Events::of(self.monitor.events()))
    }

    /// After [`Kind::Interrupted`](crate::Kind::Interrupted), towards a server that is no gateway: a new connection to the same server, over the
    /// path that answers.
    pub async fn fresh_leg(
        &self,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<Arc<Self>, Failure> {
        let connecting = match lock(&self.read).as_ref() {
            Some(reading) => reading.half.fresh_leg(),
            None => return Err(Failure::closed()),
        };
        run(
            cancellation,
            async move { Ok(Self::over(connecting.await?)) },
        )
        .await
    }
}

impl Lent for Connection {
    fn read_into(&self, space: &mut [u8]) -> Taken {
        let mut reading = lock(&self.read);
        let Some(reading) = reading.as_mut() else {
            return Taken::Elsewhere;
        };
        let mut cx = Context::from_waker(self.readable.waker());
        let taken = reading.take_into(space, &mut cx);
        if reading.is_ended || taken > 0 {
            self.readable.pass_on();
        }
        match (taken, reading.is_ended, &reading.failure) {
            (0, false, None) => Taken::NothingYet,
            (0, false, Some(_)) => Taken::Elsewhere,
            _ => Taken::Bytes(taken),
        }
    }

    fn write_from(&self, bytes: &[u8]) -> Taken {
        match self.try_write(bytes) {
            Ok(0) if !bytes.is_empty() => Taken::NothingYet,
            Ok(accepted) => accepted.try_into().map_or(Taken::Elsewhere, Taken::Bytes),
            Err(_) => Taken::Elsewhere,
        }
    }

    fn readable(&self) -> &Signal {
        &self.readable
    }

    fn writable(&self) -> Option<&Signal> {
        Some(&self.writable)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        lent::forget(self.number);
        // What ends with it may need the runtime.
        if let Ok(runtime) = runtime::handle() {
            let _inside = runtime.enter();
            drop(self.take());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
