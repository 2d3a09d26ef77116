//! A socket that its connection and its watcher share.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// The socket, and the verdict of the watcher when the kernel keeps it to itself that nothing can move any more.
#[derive(Debug)]
pub(crate) struct SharedStream {
    tcp: TcpStream,
    ended: AtomicBool,
    failed: AtomicBool,
    waiting: Mutex<[Option<Waker>; 2]>,
    /// Nobody is looking closely: the next write is to be told.
    is_resting: AtomicBool,
    stirred: Arc<Notify>,
}

impl SharedStream {
    pub(crate) fn new(tcp: TcpStream) -> Arc<Self> {
        Arc::new(Self {
            tcp,
            ended: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            waiting: Mutex::default(),
            is_resting: AtomicBool::new(false),
            stirred: Arc::default(),
        })
    }

    pub(super) const fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Whether the application has read the end of the stream.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Told of the first write after [`tell_of_writing`](Self::tell_of_writing), and of [`stir`](Self::stir).
    pub(super) fn stirred(&self) -> Arc<Notify> {
        Arc::clone(&self.stirred)
    }

    /// Something has changed: it is time to look.
    pub(super) fn stir(&self) {
        self.stirred.notify_one();
    }

    /// Nothing moves: whoever looks seldom now has to hear of the next write.
    pub(super) fn tell_of_writing(&self) {
        self.is_resting.store(true, Ordering::Release);
    }

    /// Fails whatever waits, and will wait, for the socket.
    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for waker in waiting.iter_mut().filter_map(Option::take) {
            waker.wake();
        }
    }

    /// Has both halves end with a reset when they are dropped.
    pub(crate) fn reset_on_drop(&self) {
        twinpath_socket::reset_on_drop(&self.tcp);
    }

    /// `Pending`, unless the watcher has found that it would be for ever.
    fn poll_verdict<T>(&self, direction: usize, cx: &Context<'_>) -> Poll<io::Result<T>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting[direction] = Some(cx.waker().clone());
        drop(waiting);
        if self.failed.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "every subflow of the MPTCP connection is gone",
            )));
        }
        Poll::Pending
    }

    fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.tcp.poll_write_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return self.poll_verdict(1, cx),
            }
            match write(&self.tcp) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    // A load first: the line of a flag that everybody writes would travel with each write.
                    if self.is_resting.load(Ordering::Acquire)
                        && self.is_resting.swap(false, Ordering::AcqRel)
                    {
                        self.stir();
                    }
                    return Poll::Ready(result);
                }
            }
        }
    }
}

impl Drop for SharedStream {
    fn drop(&mut self) {
        // Whoever looks at it, and holds leases for it, ends as well, and not at the next look.
        self.stir();
    }
}

/// The reading half.
#[derive(Debug)]
pub(crate) struct KernelRead(pub(crate) Arc<SharedStream>);

/// The writing half. Dropping it ends the direction.
#[derive(Debug)]
pub(crate) struct KernelWrite(pub(crate) Arc<SharedStream>);

impl AsyncRead for KernelRead {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = &self.0;
        loop {
            match stream.tcp.poll_read_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return stream.poll_verdict(0, cx),
            }
            // Bytes that have come are handed over whatever the verdict.
            let mut filling = &mut *buf;
            match stream.tcp.try_read_buf(&mut filling) {
                Ok(0) => {
                    stream.ended.store(true, Ordering::Release);
                    return Poll::Ready(Ok(()));
                }
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for KernelWrite {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_with(cx, |tcp| tcp.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0
            .poll_write_with(cx, |tcp| tcp.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(twinpath_socket::finish(&self.0.tcp))
    }
}

impl Drop for KernelWrite {
    fn drop(&mut self) {
        let _ = twinpath_socket::finish(&self.0.tcp);
    }
}
