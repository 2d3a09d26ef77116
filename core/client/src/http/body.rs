//! The body of a request.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use tokio::io::{AsyncRead, ReadBuf};

use crate::driver::BoxFuture;

/// What a source of bytes gives.
pub type BodyReader = Pin<Box<dyn AsyncRead + Send>>;

/// What hyper sends.
pub(super) type SentBody = UnsyncBoxBody<Bytes, io::Error>;

type Source = Arc<dyn Fn() -> BoxFuture<io::Result<BodyReader>> + Send + Sync>;

const PIECE: usize = 64 * 1024;

/// The body of a request. One that can be made again from its start can be sent again over another path.
#[derive(Clone, Default)]
pub struct Body(Kind);

#[derive(Clone, Default)]
enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    Source(Option<u64>, Source),
    Once(Option<u64>, Arc<Mutex<Option<BodyReader>>>),
}

impl Body {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// The file at `path`, which is opened again from its start whenever the request is sent again. It must not change
    /// meanwhile.
    pub fn file(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let length = std::fs::metadata(&path)?.len();
        Ok(Self::rewindable(Some(length), move || {
            let path = path.clone();
            Box::pin(async move {
                let file = tokio::fs::File::open(path).await?;
                Ok(Box::pin(file) as BodyReader)
            })
        }))
    }

    /// What `source` gives, each time from the start; of that length, or sent in chunks if it is not known.
    pub fn rewindable(
        length: Option<u64>,
        source: impl Fn() -> BoxFuture<io::Result<BodyReader>> + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Source(length, Arc::new(source)))
    }

    /// What can be read but once: a request with it is sent again only if nothing of it was read.
    pub fn once(length: Option<u64>, reader: impl AsyncRead + Send + 'static) -> Self {
        let reader: BodyReader = Box::pin(reader);
        Self(Kind::Once(length, Arc::new(Mutex::new(Some(reader)))))
    }

    pub(super) const fn is_empty(&self) -> bool {
        matches!(self.0, Kind::Empty)
    }

    /// The length, if it is known.
    pub(super) fn length(&self) -> Option<u64> {
        match &self.0 {
            Kind::Empty => Some(0),
            Kind::Bytes(bytes) => Some(bytes.len() as u64),
            Kind::Source(length, _) | Kind::Once(length, _) => *length,
        }
    }

    /// Whether it can be sent from its start.
    pub(super) fn is_whole(&self) -> bool {
        match &self.0 {
            Kind::Once(_, reader) => {
                let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                reader.is_some()
            }
            _ => true,
        }
    }

    /// From the start, as hyper wants it.
    pub(super) async fn send(&self) -> io::Result<SentBody> {
        Ok(match &self.0 {
            Kind::Empty => nothing(),
            Kind::Bytes(bytes) => Full::new(bytes.clone())
                .map_err(|never| match never {})
                .boxed_unsync(),
            Kind::Source(length, source) => Reading::new(source().await?, *length).boxed_unsync(),
            Kind::Once(length, reader) => {
                let once = Once {
                    reader: Arc::clone(reader),
                    taken: None,
                    length: *length,
                };
                once.boxed_unsync()
            }
        })
    }
}

/// No body, of the type that all others have: of a type of its own, all that sends it would be in a program once more.
pub(super) fn nothing() -> SentBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("length", &self.length())
            .finish_non_exhaustive()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Bytes(bytes))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

/// A reader as a body. It breaks off where the reader is shorter than it was said to be.
struct Reading {
    reader: BodyReader,
    rest: Option<u64>,
    buffer: BytesMut,
}

impl Reading {
    fn new(reader: BodyReader, length: Option<u64>) -> Self {
        Self {
            reader,
            rest: length,
            buffer: BytesMut::new(),
        }
    }
}

impl http_body::Body for Reading {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.rest == Some(0) {
            return Poll::Ready(None);
        }
        let most = this.rest.map_or(PIECE, |rest| {
            usize::try_from(rest).unwrap_or(PIECE).min(PIECE)
        });
        this.buffer.resize(most, 0);
        let mut buf = ReadBuf::new(&mut this.buffer);
        ready!(this.reader.as_mut().poll_read(cx, &mut buf))?;
        let size = buf.filled().len();
        if size == 0 {
            let short = this.rest.is_some().then(|| {
                let text = "it is shorter than it was said to be";
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
            });
            return Poll::Ready(short);
        }
        this.rest = this.rest.map(|rest| rest - size as u64);
        Poll::Ready(Some(Ok(Frame::data(this.buffer.split_to(size).freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.rest
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A reader that is taken when its first byte is asked for.
struct Once {
    reader: Arc<Mutex<Option<BodyReader>>>,
    taken: Option<Reading>,
    length: Option<u64>,
}

impl http_body::Body for Once {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.taken.is_none() {
            let reader = this
                .reader
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let gone = || io::Error::other("it can be sent but once");
            this.taken = Some(Reading::new(reader.ok_or_else(gone)?, this.length));
        }
        match &mut this.taken {
            Some(taken) => Pin::new(taken).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.taken {
            Some(taken) => taken.size_hint(),
            None => self
                .length
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
