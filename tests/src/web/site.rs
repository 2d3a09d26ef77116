//! What the web server serves. `/file` is a file, `/apply` does something once, `/status` answers so, `/redirect` leads
//! elsewhere. The query says how:
//!
//! * `size`, `seed`: of the file; `id`: another one of the same kind, with a history of its own
//! * `etag=strong|weak|none`, `ranges=0`: what it does for those who go on
//! * `cut=N`: ends the connection after that byte of the file, `cuts=K` times (once)
//! * `change=1`: from the second request on, the file is another one; `lie=1`: a part begins elsewhere than it says
//! * `head=MS`: waits before the head; `pause=N` and `for=MS`: waits at that byte; `trickle=MS`: between pieces of 100 bytes
//! * `length=0`: does not say how long it is; `gzip=1`: compressed if the client likes
//! * `code`, `after`, `times`: of `/status`, which is 200 after so many times; `to`, `code`: of `/redirect`

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG,
    IF_RANGE, LOCATION, RANGE, RETRY_AFTER,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::book::{Entry, WebBook};
use crate::stream::{Hash, Pattern};

type Body = UnsyncBoxBody<Bytes, io::Error>;

const PIECE: usize = 16 * 1024;

/// A file of that size.
#[must_use]
pub fn content(seed: u64, size: usize) -> Vec<u8> {
    Pattern::new(seed).take(size)
}

#[derive(Debug, Default)]
pub(super) struct Site {
    book: Arc<WebBook>,
    /// How often each target was asked for, and each was cut.
    asked: Mutex<HashMap<String, u32>>,
    cut: Mutex<HashMap<String, u32>>,
    keys: Mutex<HashMap<String, ()>>,
    files: Mutex<HashMap<(u64, usize), Bytes>>,
}

struct Query(HashMap<String, String>);

impl Query {
    fn of(text: &str) -> Self {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.parse().ok()
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl Site {
    pub(super) fn book(&self) -> Arc<WebBook> {
        Arc::clone(&self.book)
    }

    pub(super) async fn answer(&self, request: Request<Incoming>, from: IpAddr) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        let target = head
            .uri
            .path_and_query()
            .map_or("/", |it| it.as_str())
            .to_owned();
        let text = |name| {
            head.headers
                .get(name)
                .and_then(|it| it.to_str().ok())
                .map(str::to_owned)
        };
        let index = self.book.begin(Entry {
            method: head.method.to_string(),
            target: target.clone(),
            range: text(RANGE),
            from,
            served: 0,
            body: None,
            applied: false,
        });
        let query = Query::of(head.uri.query().unwrap_or_default());
        if let Some(millis) = query.number("read") {
            sleep(Duration::from_millis(millis)).await;
        }
        let mut received = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(bytes) = frame.into_data() {
                received.extend_from_slice(&bytes);
            }
        }
        self.book
            .change(index, |entry| entry.body = Some(Hash::of(&received)));
        let before = {
            let mut asked = self.asked.lock().unwrap();
            let count = asked.entry(target.clone()).or_default();
            *count += 1;
            *count - 1
        };
        if head.uri.path() == "/apply" {
            let key = text(hyper::header::HeaderName::from_static("idempotency-key"));
            let is_new = key.is_none_or(|key| self.keys.lock().unwrap().insert(key, ()).is_none());
            self.book.change(index, |entry| entry.applied = is_new);
        }
        if let Some(millis) = query.number("head") {
            sleep(Duration::from_millis(millis)).await;
        }
        match head.uri.path() {
            "/file" if matches!(head.method, Method::GET | Method::HEAD) => {
                let conditions = Conditions {
                    range: text(RANGE),
                    if_range: text(IF_RANGE),
                    takes_gzip: text(ACCEPT_ENCODING).is_some_and(|it| it.contains("gzip")),
                };
                self.file(index, &target, &query, before, &conditions)
            }
            "/apply" => full(StatusCode::OK, &format!("{} bytes", received.len())),
            "/status" => {
                let times = query.number("times").unwrap_or(1);
                if u64::from(before) >= times {
                    return full(StatusCode::OK, "at last");
                }
                let code = query.number("code").unwrap_or(503) as u16;
                let mut answer = full(StatusCode::from_u16(code).unwrap(), "not now");
                let after = query.text("after");
                if !after.is_empty() {
                    answer
                        .headers_mut()
                        .insert(RETRY_AFTER, after.parse().unwrap());
                }
                answer
            }
            "/redirect" => {
                let code = query.number("code").unwrap_or(302) as u16;
                let mut answer = full(StatusCode::from_u16(code).unwrap(), "");
                let to = query
                    .text("to")
                    .replace("%3F", "?")
                    .replace("%3D", "=")
                    .replace("%26", "&");
                answer.headers_mut().insert(LOCATION, to.parse().unwrap());
                answer
            }
            _ => full(StatusCode::NOT_FOUND, "no such thing"),
        }
    }

    fn content(&self, seed: u64, size: usize) -> Bytes {
        let mut files = self.files.lock().unwrap();
        let file = files
            .entry((seed, size))
            .or_insert_with(|| content(seed, size).into());
        file.clone()
    }

    fn file(
        &self,
        index: usize,
        target: &str,
        query: &Query,
        before: u32,
        asked: &Conditions,
    ) -> Response<Body> {
        let mut seed = query.number("seed").unwrap_or(1);
        seed += u64::from(query.number("change").is_some() && before > 0);
        let size = query.number("size").unwrap_or(1000) as usize;
        let mut file = self.content(seed, size);
        let etag = match query.text("etag") {
            "weak" => Some(format!("W/\"{seed}\"")),
            "none" => None,
            _ => Some(format!("\"{seed}\"")),
        };
        let mut answer = Response::builder();
        if query.number("gzip").is_some() && asked.takes_gzip {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&file).unwrap();
            file = encoder.finish().unwrap().into();
            answer = answer.header(CONTENT_ENCODING, "gzip");
        }
        let whole = file.len();
        let mut first = 0;
        let takes_ranges = query.number("ranges") != Some(0);
        let same =
            asked.if_range.is_none() || (asked.if_range == etag && query.text("etag") != "weak");
        let range = asked.range.as_deref().filter(|_| takes_ranges && same);
        if let Some((from, to)) =
            range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
        {
            first = from.parse().unwrap();
            if first >= whole {
                return full(StatusCode::RANGE_NOT_SATISFIABLE, "");
            }
            let last = to
                .parse()
                .map_or(whole - 1, |last: usize| last.min(whole - 1));
            file = file.slice(first..=last);
            let told = first + usize::from(query.number("lie").is_some());
            answer = answer
                .status(StatusCode::PARTIAL_CONTENT)
                .header(CONTENT_RANGE, format!("bytes {told}-{last}/{whole}"));
        }
        if takes_ranges {
            answer = answer.header(ACCEPT_RANGES, "bytes");
        }
        if let Some(etag) = etag {
            answer = answer.header(ETAG, etag);
        }
        if query.number("length") != Some(0) {
            answer = answer.header(CONTENT_LENGTH, file.len());
        }
        let cut = query.number("cut").filter(|_| {
            let mut cut = self.cut.lock().unwrap();
            let times = cut.entry(target.to_owned()).or_default();
            *times += 1;
            u64::from(*times) <= query.number("cuts").unwrap_or(1)
        });
        let pace = Pace {
            cut: cut.map(|at| at as usize),
            pause: query.number("pause").map(|at| at as usize),
            length: Duration::from_millis(query.number("for").unwrap_or_default()),
            trickle: query.number("trickle").map(Duration::from_millis),
        };
        let (sender, pieces) = mpsc::channel(1);
        let book = Arc::clone(&self.book);
        tokio::spawn(async move { pace.serve(first, file, sender, &book, index).await });
        answer
            .body(StreamBody::new(Pieces(pieces)).boxed_unsync())
            .unwrap()
    }
}

struct Conditions {
    range: Option<String>,
    if_range: Option<String>,
    takes_gzip: bool,
}

struct Pace {
    cut: Option<usize>,
    pause: Option<usize>,
    length: Duration,
    trickle: Option<Duration>,
}

type Piece = Result<Frame<Bytes>, io::Error>;

impl Pace {
    async fn serve(
        mut self,
        first: usize,
        mut file: Bytes,
        sender: mpsc::Sender<Piece>,
        book: &WebBook,
        index: usize,
    ) {
        let mut at = first;
        while !file.is_empty() {
            if self.cut.is_some_and(|cut| at >= cut) {
                let _ = sender
                    .send(Err(io::ErrorKind::ConnectionReset.into()))
                    .await;
                return;
            }
            if self.pause.is_some_and(|pause| at >= pause) {
                self.pause = None;
                sleep(self.length).await;
            }
            let mut size = file.len().min(PIECE);
            if let Some(trickle) = self.trickle {
                sleep(trickle).await;
                size = size.min(100);
            }
            for mark in [self.cut, self.pause].into_iter().flatten() {
                if mark > at {
                    size = size.min(mark - at);
                }
            }
            if sender
                .send(Ok(Frame::data(file.split_to(size))))
                .await
                .is_err()
            {
                return;
            }
            at += size;
            book.change(index, |entry| entry.served += size as u64);
        }
    }
}

/// The pieces as a stream.
struct Pieces(mpsc::Receiver<Piece>);

impl futures_core::Stream for Pieces {
    type Item = Piece;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.get_mut().0.poll_recv(cx)
    }
}

fn full(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(text.to_owned()));
    let mut answer = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    answer
}
