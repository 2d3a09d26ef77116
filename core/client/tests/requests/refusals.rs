//! HTTP/2 servers that say what they did not do (RFC 9113 §8.7): what was not done may be asked for again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use h2::Reason;
use http::Response;
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use twinpath::http::Error;

use crate::identity::{Authority, Stream, serve};
use crate::soon;

/// Answers and counts, after having reset the first stream.
async fn reset_one(stream: Stream, reason: Reason, applied: Arc<AtomicU32>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut is_first = true;
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        if std::mem::take(&mut is_first) {
            respond.send_reset(reason);
        } else {
            applied.fetch_add(1, Ordering::SeqCst);
            respond.send_response(Response::new(()), true).unwrap();
        }
    }
}

#[tokio::test]
async fn a_post_is_made_again_when_its_stream_was_refused_and_not_when_it_was_reset() {
    for (reason, again) in [
        (Reason::REFUSED_STREAM, true),
        (Reason::INTERNAL_ERROR, false),
    ] {
        let authority = Authority::new();
        let applied = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&applied);
        let acceptor = authority.sign().acceptor(&[&TLS13], &["h2"], None);
        let url = serve(acceptor, move |_, stream| {
            let count = Arc::clone(&count);
            async move {
                tokio::spawn(reset_one(stream, reason, count));
            }
        })
        .await;
        let client = authority.client(|tls| tls);
        let result = soon(client.post(&url).body("pay").send()).await;
        assert_eq!(applied.load(Ordering::SeqCst), u32::from(again));
        match result {
            Ok(_) => assert!(again),
            Err(error) => assert!(
                !again && matches!(error, Error::NotReplayable { .. }),
                "{reason:?}: {error:?}"
            ),
        }
    }
}

/// Says that it goes, and that streams up to `last` may have been processed, and closes.
async fn go_away(mut stream: Stream, last: u8) {
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream.write_all(&settings).await.unwrap();
    stream.flush().await.unwrap();
    // HEADERS with END_HEADERS, of stream 1.
    let is_head = |six: &[u8]| six[0] == 1 && six[1] & 4 == 4 && six[2..] == [0, 0, 0, 1];
    let mut seen: Vec<u8> = Vec::new();
    while !seen.windows(6).any(is_head) {
        let mut buffer = [0; 4096];
        let size = stream.read(&mut buffer).await.unwrap();
        assert!(size > 0, "the peer went away");
        seen.extend(&buffer[..size]);
    }
    let goodbye = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, 0];
    stream.write_all(&goodbye).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_post_is_made_again_when_the_server_left_without_having_seen_it() {
    for (last, again) in [(0, true), (1, false)] {
        let authority = Authority::new();
        let applied = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&applied);
        let acceptor = authority.sign().acceptor(&[&TLS13], &["h2"], None);
        let url = serve(acceptor, move |number, stream| {
            let count = Arc::clone(&count);
            async move {
                if number == 0 {
                    return go_away(stream, last).await;
                }
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((_, mut respond))) = connection.accept().await {
                        count.fetch_add(1, Ordering::SeqCst);
                        respond.send_response(Response::new(()), true).unwrap();
                    }
                });
            }
        })
        .await;
        let client = authority.client(|tls| tls);
        let result = soon(client.post(&url).body("pay").send()).await;
        assert_eq!(result.is_ok(), again, "{last}: {result:?}");
        assert_eq!(applied.load(Ordering::SeqCst), u32::from(again));
    }
}
