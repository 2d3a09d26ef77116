//! The smallest HTTP/1.1 server that a scraper and a load balancer need.
//!
//! One request per connection, `GET` or `HEAD`, two paths, no body read. Everything about it is bounded: the size of
//! a request, the time it may take, and how many are served at once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::accept::AcceptBackoff;

const MAX_REQUEST: usize = 8 * 1024;
const MAX_TIME: Duration = Duration::from_secs(5);
/// Time for the head of a request: whoever opens connections and asks for nothing must not keep others waiting.
const HEAD_TIME: Duration = Duration::from_secs(1);
const MAX_AT_ONCE: usize = 8;

/// What the page shows, asked for at each request.
pub(crate) trait Source: Send + Sync + 'static {
    /// The body of `/metrics`.
    fn metrics(&self) -> String;
    /// Whether `/healthz` answers that the gateway takes new connections.
    fn healthy(&self) -> bool;
}

/// Serves `/metrics` and `/healthz` on an address of its own.
#[derive(Debug)]
pub(crate) struct PageServer {
    listener: TcpListener,
}

impl PageServer {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener }
    }

    /// Serves until dropped.
    pub(crate) async fn run(self, source: Arc<impl Source>) {
        let permits = Arc::new(Semaphore::new(MAX_AT_ONCE));
        let mut backoff = AcceptBackoff::default();
        loop {
            // The permit comes first: connections beyond the few wait in the kernel's queue, not in our memory.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    backoff.reset();
                    let source = Arc::clone(&source);
                    tokio::spawn(async move {
                        match timeout(MAX_TIME, serve(stream, &*source)).await {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => log::debug!("metrics page: {error}"),
                            Err(_) => log::debug!("metrics page: a request took too long"),
                        }
                        drop(permit);
                    });
                }
                Err(error) => backoff.wait(&error).await,
            }
        }
    }
}

async fn serve(mut stream: TcpStream, source: &impl Source) -> io::Result<()> {
    let mut request = Vec::with_capacity(1024);
    let complete = timeout(HEAD_TIME, read_head(&mut stream, &mut request)).await;
    let Some(complete) = complete.map_err(|_| io::ErrorKind::TimedOut)?? else {
        return Ok(());
    };
    let answer = if complete {
        answer(&request, source)
    } else {
        Answer::plain("431 Request Header Fields Too Large")
    };
    stream.write_all(&answer.into_bytes()).await?;
    // A close with unread bytes would become a reset, which can overtake the answer.
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Whether the head is complete, not too long; none when the client has left.
async fn read_head(stream: &mut TcpStream, request: &mut Vec<u8>) -> io::Result<Option<bool>> {
    loop {
        if end_of_head(request) {
            return Ok(Some(true));
        }
        if request.len() >= MAX_REQUEST {
            return Ok(Some(false));
        }
        let room = (MAX_REQUEST - request.len()) as u64;
        if (&mut *stream).take(room).read_buf(request).await? == 0 {
            return Ok(None);
        }
    }
}

fn end_of_head(request: &[u8]) -> bool {
    request.windows(4).any(|end| end == b"\r\n\r\n") || request.windows(2).any(|end| end == b"\n\n")
}

struct Answer {
    status: &'static str,
    content_type: &'static str,
    body: String,
    head_only: bool,
}

impl Answer {
    fn plain(status: &'static str) -> Self {
        // The body repeats the status in words, so that it helps a person with curl.
        let body = format!(
            "{}\n",
            status.split_once(' ').map_or(status, |(_, words)| words)
        );
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body,
            head_only: false,
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        let allow = if self.status.starts_with("405") {
            "Allow: GET, HEAD\r\n"
        } else {
            ""
        };
        let mut text = format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{allow}Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            self.status,
            self.content_type,
            self.body.len()
        );
        if !self.head_only {
            text.push_str(&self.body);
        }
        text.into_bytes()
    }
}

fn answer(request: &[u8], source: &impl Source) -> Answer {
    let line = request
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else {
        return Answer::plain("400 Bad Request");
    };
    let mut words = line.trim_end_matches('\r').split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Answer::plain("400 Bad Request");
    };
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Answer::plain("505 HTTP Version Not Supported");
    }
    if !matches!(method, "GET" | "HEAD") {
        return Answer::plain("405 Method Not Allowed");
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let mut answer = match path {
        "/metrics" => Answer {
            status: "200 OK",
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: source.metrics(),
            head_only: false,
        },
        "/healthz" if source.healthy() => Answer::plain("200 OK"),
        "/healthz" => Answer::plain("503 Service Unavailable"),
        _ => Answer::plain("404 Not Found"),
    };
    answer.head_only = method == "HEAD";
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(bool);

    impl Source for Fixed {
        fn metrics(&self) -> String {
            "a 1\n".to_owned()
        }
        fn healthy(&self) -> bool {
            self.0
        }
    }

    fn ask(request: &str, healthy: bool) -> String {
        String::from_utf8(answer(request.as_bytes(), &Fixed(healthy)).into_bytes()).unwrap()
    }

    #[test]
    fn metrics_have_their_content_type_and_length() {
        let text = ask("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", true);
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"),
            "{text}"
        );
        assert!(text.contains("\r\nContent-Length: 4\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\na 1\n"), "{text}");
    }

    #[test]
    fn head_has_no_body_but_the_length() {
        let text = ask("HEAD /metrics HTTP/1.1\r\n\r\n", true);
        assert!(
            text.contains("\r\nContent-Length: 4\r\n") && text.ends_with("\r\n\r\n"),
            "{text}"
        );
    }

    #[test]
    fn health_follows_the_drain() {
        assert!(ask("GET /healthz HTTP/1.1\r\n\r\n", true).starts_with("HTTP/1.1 200 "));
        assert!(ask("GET /healthz HTTP/1.1\r\n\r\n", false).starts_with("HTTP/1.1 503 "));
    }

    #[test]
    fn everything_else_is_refused() {
        assert!(ask("GET / HTTP/1.1\r\n\r\n", true).starts_with("HTTP/1.1 404 "));
        assert!(
            ask("POST /metrics HTTP/1.1\r\n\r\n", true)
                .contains("405 Method Not Allowed\r\nContent-Type")
        );
        assert!(ask("GET /metrics HTTP/2\r\n\r\n", true).starts_with("HTTP/1.1 505 "));
        assert!(ask("GET /metrics\r\n\r\n", true).starts_with("HTTP/1.1 400 "));
        assert!(ask("\r\n\r\n", true).starts_with("HTTP/1.1 400 "));
    }
}
