//! A web server that knows nothing of two paths: `/SEED/SIZE` is that much of that content, whole or from any byte.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG, RANGE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::content::{Content, PORTION};

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            log::debug!("the web server cannot hurry: {error}");
        }
        tokio::spawn(async move {
            let service =
                service_fn(|request| async move { Ok::<_, Infallible>(answer(&request)) });
            let connection = hyper::server::conn::http1::Builder::new();
            if let Err(error) = connection
                .serve_connection(TokioIo::new(stream), service)
                .await
            {
                log::debug!("the web server lost a client: {error}");
            }
        });
    }
}

fn answer<B>(request: &Request<B>) -> Response<Portions> {
    let Some((seed, size)) = numbers(request.uri().path()) else {
        let mut nothing = Response::new(Portions::of(0, 0, 0));
        *nothing.status_mut() = StatusCode::NOT_FOUND;
        return nothing;
    };
    let from = request.headers().get(RANGE).and_then(|range| {
        let range = range.to_str().ok()?.strip_prefix("bytes=")?;
        range
            .strip_suffix('-')?
            .parse::<u64>()
            .ok()
            .filter(|from| *from < size)
    });
    let mut answer = Response::new(Portions::of(seed, from.unwrap_or_default(), size));
    let headers = answer.headers_mut();
    let mut set = |name, value: String| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    set(ETAG, format!("\"{seed}-{size}\""));
    set(ACCEPT_RANGES, "bytes".to_owned());
    if let Some(from) = from {
        set(CONTENT_RANGE, format!("bytes {from}-{}/{size}", size - 1));
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    answer
}

fn numbers(path: &str) -> Option<(u64, u64)> {
    let (seed, size) = path.strip_prefix('/')?.split_once('/')?;
    Some((seed.parse().ok()?, size.parse().ok()?))
}

struct Portions {
    content: Content,
    at: u64,
    end: u64,
}

impl Portions {
    const fn of(seed: u64, at: u64, end: u64) -> Self {
        Self {
            content: Content::new(seed),
            at,
            end,
        }
    }
}

impl Body for Portions {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = self.end - self.at;
        if left == 0 {
            return Poll::Ready(None);
        }
        let size = PORTION.min(usize::try_from(left).unwrap_or(PORTION));
        let portion = Bytes::from_static(self.content.at(self.at, size));
        self.at += portion.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(portion))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}
