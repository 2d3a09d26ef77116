//! An answer, and its body as it comes.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use twinpath::http::{Report, Response};

use super::request::Header;
use super::summary::RequestSummary;
use crate::block::Block;
use crate::error::Failure;
use crate::lent::{self, Lent, Taken};
use crate::runtime;
use crate::signal::Signal;
use crate::wait::Cancellation;

/// Bytes of the body that wait to be taken; beyond, the server waits.
const WAITING: usize = 512 * 1024;
/// No read gives more at once.
const LARGEST_READ: usize = 1024 * 1024;

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// The version of HTTP, as in `HTTP/2.0`.
    pub version: String,
    /// Where the answer came from, after redirects.
    pub url: String,
    /// The headers.
    pub headers: Vec<Header>,
    /// The length of the body, if it is known.
    pub content_length: Option<u64>,
}

/// How far an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Progress {
    /// Bytes of its body that were handed over.
    pub received: u64,
    /// All there are, if that is known.
    pub total: Option<u64>,
}

/// An answer. What is no longer wanted of it is not fetched once it is dropped.
#[derive(Debug, uniffi::Object)]
pub struct Answer {
    head: Head,
    report: Report,
    body: Arc<Body>,
    fetching: AbortHandle,
    received: AtomicU64,
    number: u64,
    /// One is saved after the other: what was given up may still be at its last write.
    saving: tokio::sync::Mutex<()>,
}

/// What has come of a body and was not taken yet.
#[derive(Default)]
struct Body {
    state: Mutex<State>,
    /// There is something to take.
    readable: Signal,
    /// There is room again.
    room: Notify,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Bytes>,
    size: usize,
    end: Option<Result<(), Failure>>,
}

impl Body {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, mut response: Response) {
        let end = loop {
            match response.chunk().await {
                Ok(Some(piece)) => {
                    self.push(piece);
                    while self.lock().size >= WAITING {
                        self.room.notified().await;
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        self.lock().end = Some(end);
        self.readable.raise();
    }

    fn push(&self, piece: Bytes) {
        let mut state = self.lock();
        state.size += piece.len();
        state.pieces.push_back(piece);
        drop(state);
        self.readable.raise();
    }

    /// Hands over what is there, at most `max` bytes, and tells how many. The pieces are copied while nobody waits for the
    /// lock.
    fn take(&self, max: usize, mut to: impl FnMut(&[u8], usize)) -> Result<usize, Failure> {
        let mut state = self.lock();
        if state.size > 0 || state.end.is_some() {
            self.readable.pass_on();
        }
        if state.size == 0 {
            return match &state.end {
                None | Some(Ok(())) => Ok(0),
                Some(Err(failure)) => Err(failure.clone()),
            };
        }
        let size = state.size.min(max);
        let mut taken = VecDeque::new();
        let mut left = size;
        while left > 0 {
            let Some(piece) = state.pieces.front_mut() else {
                break;
            };
            let part = piece.split_to(piece.len().min(left));
            if piece.is_empty() {
                state.pieces.pop_front();
            }
            left -= part.len();
            taken.push_back(part);
        }
        let size = size - left;
        state.size -= size;
        drop(state);
        self.room.notify_one();
        for piece in taken {
            to(&piece, size);
        }
        Ok(size)
    }

    fn is_over(&self) -> bool {
        let state = self.lock();
        state.size == 0 && matches!(state.end, Some(Ok(())))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

impl Answer {
    /// Has the body fetched as far as it is taken.
    pub(super) fn of(response: Response) -> Arc<Self> {
        let headers = response.headers().iter();
        let head = Head {
            status: response.status().as_u16(),
            version: format!("{:?}", response.version()),
            url: response.url().to_owned(),
            headers: headers
                .map(|(name, value)| Header {
                    name: name.as_str().to_owned(),
                    value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
                })
                .collect(),
            content_length: response.content_length(),
        };
        let report = response.report();
        let body = Arc::<Body>::default();
        let fetched = Arc::clone(&body);
        let fetching = tokio::spawn(async move { fetched.fetch(response).await });
        let number = lent::number();
        let answer = Arc::new(Self {
            head,
            report,
            body,
            fetching: fetching.abort_handle(),
            received: AtomicU64::new(0),
            number,
            saving: tokio::sync::Mutex::default(),
        });
        let lent: Arc<dyn Lent> = Arc::clone(&answer) as _;
        lent::remember(number, &lent);
        answer
    }

    fn count(&self, size: usize) {
        self.received.fetch_add(size as u64, Ordering::Relaxed);
    }
}

#[uniffi::export]
impl Answer {
    /// Its head.
    pub fn head(&self) -> Result<Head, Failure> {
        Ok(self.head.clone())
    }

    /// Takes what has come of the body, at most `max` bytes, without waiting. None: wait until it is readable, unless it has
    /// ended.
    pub fn try_read(&self, max: u32) -> Result<Block, Failure> {
        let max = usize::try_from(max).unwrap_or(LARGEST_READ);
        let mut bytes = Block::with_capacity(0);
        let size = self.body.take(max.clamp(1, LARGEST_READ), |piece, of| {
            bytes.reserve(of - bytes.len());
            bytes.extend_from_slice(piece);
        })?;
        self.count(size);
        Ok(bytes)
    }

    /// The number that the answer is known by where memory is lent; see `lent.rs`.
    pub fn number(&self) -> Result<u64, Failure> {
        Ok(self.number)
    }

    /// Whether all of the body was taken.
    pub fn has_ended(&self) -> Result<bool, Failure> {
        Ok(self.body.is_over())
    }

    /// Waits until a read may give something else than it did. Nothing is lost when this is given up.
    pub async fn readable(&self, cancellation: Option<Arc<Cancellation>>) -> Result<(), Failure> {
        match self.body.readable.wait(cancellation).await {
            true => Ok(()),
            false => Err(Failure::cancelled()),
        }
    }

    /// Appends what is still to come of the body to a file, which is made if it is not there; gives the number of bytes.
    /// When it is given up, what was taken is in the file.
    pub async fn save(
        self: Arc<Self>,
        path: String,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<u64, Failure> {
        let saving = Saving(Arc::new(Cancellation::default()));
        let stop = Arc::clone(&saving.0);
        let work = runtime::handle()?.spawn(async move { self.append(path.into(), stop).await });
        match crate::wait::give_up(work, cancellation).await {
            Some(Ok(result)) => result,
            Some(Err(error)) => Err(Failure::of_task(&error)),
            None => Err(Failure::cancelled()),
        }
    }

    /// Fetches no more of it. Whoever waits is told.
    pub fn stop(&self) -> Result<(), Failure> {
        self.fetching.abort();
        self.body
            .lock()
            .end
            .get_or_insert_with(|| Err(Failure::closed()));
        self.body.readable.raise();
        Ok(())
    }

    /// How far it is.
    pub fn progress(&self) -> Result<Progress, Failure> {
        Ok(Progress {
            received: self.received.load(Ordering::Relaxed),
            total: self.head.content_length,
        })
    }

    /// Which paths carried it, what was done again, and what it cost, so far.
    pub fn summary(&self) -> Result<RequestSummary, Failure> {
        Ok(self.report.summary().into())
    }
}

/// Stops what is being saved once nobody waits for it, between two writes.
struct Saving(Arc<Cancellation>);

impl Drop for Saving {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Answer {
    async fn append(&self, path: PathBuf, stop: Arc<Cancellation>) -> Result<u64, Failure> {
        let _turn = self.saving.lock().await;
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .await?;
        let mut saved = 0;
        loop {
            let bytes = self.try_read(u32::MAX)?;
            if !bytes.is_empty() {
                file.write_all(&bytes).await?;
                file.flush().await?;
                saved += bytes.len() as u64;
            } else if self.has_ended()? {
                return Ok(saved);
            } else {
                self.readable(Some(Arc::clone(&stop))).await?;
            }
            if stop.is_cancelled() {
                return Err(Failure::cancelled());
            }
        }
    }
}

impl Lent for Answer {
    fn read_into(&self, space: &mut [u8]) -> Taken {
        let mut filled = 0;
        let size = self.body.take(space.len(), |piece, _| {
            let end = filled + piece.len();
            space[filled..end].copy_from_slice(piece);
            filled = end;
        });
        match size {
            Ok(0) if !self.body.is_over() => Taken::NothingYet,
            Ok(size) => {
                self.count(size);
                Taken::Bytes(size)
            }
            Err(_) => Taken::Elsewhere,
        }
    }

    fn readable(&self) -> &Signal {
        &self.body.readable
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        lent::forget(self.number);
        self.fetching.abort();
    }
}
