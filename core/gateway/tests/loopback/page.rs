//! The metrics page is what a scraper expects, and bounded towards everybody else.

use std::collections::{HashMap, HashSet};

use crate::common::{Gateway, chat, echo, http, service, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A sample: name, labels, value.
fn parse(line: &str) -> (String, Vec<(String, String)>, f64) {
    let (sample, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = match sample.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
        None => (sample, ""),
    };
    let labels = labels
        .split(',')
        .filter(|label| !label.is_empty())
        .map(|label| {
            let (label, value) = label.split_once('=').unwrap();
            let value = value
                .strip_prefix('"')
                .and_then(|value| value.strip_suffix('"'))
                .unwrap();
            (label.to_owned(), value.to_owned())
        });
    (name.to_owned(), labels.collect(), value.parse().unwrap())
}

#[tokio::test]
async fn every_sample_has_its_family_and_no_label_names_a_client() {
    let gateway = Gateway::before(service(echo).await);
    chat(&mut gateway.session().await, "session").await;
    chat(&mut gateway.raw().await, "raw").await;
    let (status, body) = http(gateway.page, "/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    let (mut kinds, mut seen) = (HashMap::new(), HashSet::new());
    let mut family = String::new();
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(text.ends_with('.'), "{line}");
            name.clone_into(&mut family);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert!(matches!(kind, "counter" | "gauge"));
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert!(
                kinds.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{name} comes twice"
            );
        } else {
            let (name, labels, value) = parse(line);
            assert_eq!(name, family, "{line}");
            assert!(value >= 0.0 && value.is_finite(), "{line}");
            assert!(seen.insert((name, labels.clone())), "{line} comes twice");
            for (label, value) in labels {
                assert!(
                    label == "version" || value.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                    "{line}"
                );
            }
        }
    }
    assert!(kinds.len() > 20);
    assert!(body.ends_with('\n') && !body.contains("127.0.0.1"));
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let gateway = Gateway::before(service(echo).await);
    assert_eq!(http(gateway.page, "/").await.0, "HTTP/1.1 404 Not Found");
    let mut stream = TcpStream::connect(gateway.page).await.unwrap();
    stream
        .write_all(b"DELETE /metrics HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    soon("the answer", stream.read_to_string(&mut answer))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_short() {
    let gateway = Gateway::before(service(echo).await);
    let mut stream = TcpStream::connect(gateway.page).await.unwrap();
    stream.write_all(&[b'x'; 8 * 1024]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    soon("the answer", stream.read_to_string(&mut answer))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn clients_that_say_nothing_do_not_keep_scrapers_out_for_long() {
    let gateway = Gateway::before(service(echo).await);
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(gateway.page).await.unwrap());
    }
    drop(silent.split_off(8));
    let began = std::time::Instant::now();
    assert_eq!(http(gateway.page, "/healthz").await.0, "HTTP/1.1 200 OK");
    assert!(began.elapsed().as_secs() < 4, "{:?}", began.elapsed());
}
