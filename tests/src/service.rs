//! What stands behind the gateway: TCP services that know nothing of Twinpath and keep a book.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use twinpath_lab::World;

use crate::patience::soon;
use crate::stream::{Hash, Pattern, Tally};

/// What a service does with each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Sends back what it gets.
    Echo,
    /// Reads up to the end, then says what it read: the number of bytes and nothing else.
    Sink,
    /// As [`Sink`](Self::Sink), but reads nothing before the book's gate is opened.
    GatedSink,
    /// After the first byte, sends so many bytes of pattern 1, then ends.
    Source(u64),
    /// After the end of what it gets, sends so many bytes of pattern 1, then ends.
    Reply(u64),
    /// Sends that many bytes of pattern 1 while it reads up to the end.
    Both(u64),
    /// Answers one request of HTTP with so many bytes of pattern 1, then ends.
    Http(u64),
    /// Answers each byte with one byte, and counts them as requests.
    Requests,
    /// Says "ready\n" before it was asked for anything, then echoes.
    Greeter,
}

/// One connection that has ended.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Bytes that came.
    pub bytes: u64,
    /// What they hash to.
    pub received: Hash,
    /// What was sent hashes to, where it was a pattern.
    pub sent: Option<Hash>,
    /// The longest time for which the service waited for more.
    pub stall: Duration,
    /// How the connection ended.
    pub end: Result<(), io::ErrorKind>,
}

#[derive(Debug, Default)]
struct Pages {
    accepted: usize,
    received: u64,
    requests: usize,
    visits: Vec<Visit>,
}

/// What a service has seen.
#[derive(Debug)]
pub struct Book {
    pages: watch::Sender<Pages>,
    gate: watch::Sender<bool>,
}

impl Book {
    /// Connections so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.pages.borrow().accepted
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.pages.borrow().requests
    }

    /// Lets a gated service read.
    pub fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    /// Waits until so many connections have ended, and gives their accounts.
    pub async fn visits(&self, number: usize) -> Vec<Visit> {
        let mut pages = self.pages.subscribe();
        let there = pages.wait_for(|pages| pages.visits.len() >= number);
        soon("the service's connections end", there)
            .await
            .unwrap()
            .visits
            .clone()
    }

    /// Waits for the end of the only connection.
    pub async fn visit(&self) -> Visit {
        let visits = self.visits(1).await;
        assert_eq!(self.accepted(), 1, "there was more than one connection");
        visits[0].clone()
    }

    /// Waits until sinks have read so many bytes.
    pub async fn until_received(&self, bytes: u64) {
        let mut pages = self.pages.subscribe();
        let there = pages.wait_for(|pages| pages.received >= bytes);
        soon("the bytes arrive", there).await.unwrap();
    }

    /// Waits until so many requests have come.
    pub async fn until_requests(&self, number: usize) {
        let mut pages = self.pages.subscribe();
        let there = pages.wait_for(|pages| pages.requests >= number);
        soon("the request arrives", there).await.unwrap();
    }
}

/// Starts `service` on the server's host, where it lives as long as the world.
pub(crate) fn start(world: &World, service: Service) -> (SocketAddr, Arc<Book>) {
    let book = Arc::new(Book {
        pages: watch::Sender::new(Pages::default()),
        gate: watch::Sender::new(false),
    });
    let (ready, is_ready) = mpsc::channel();
    let kept = Arc::clone(&book);
    let serve = move || async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        ready.send(listener.local_addr().unwrap()).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            kept.pages.send_modify(|pages| pages.accepted += 1);
            tokio::spawn(treat(service, stream, Arc::clone(&kept)));
        }
    };
    world.server().spawn(serve).unwrap().detach();
    (is_ready.recv().unwrap(), book)
}

async fn treat(service: Service, mut stream: TcpStream, book: Arc<Book>) {
    let mut tally = Tally::default();
    let mut sent = None;
    let end = carry(service, &mut stream, &book, &mut tally, &mut sent).await;
    let visit = Visit {
        bytes: tally.bytes,
        received: tally.hash(),
        sent,
        stall: tally.stall,
        end: end.map_err(|error| error.kind()),
    };
    book.pages.send_modify(|pages| pages.visits.push(visit));
}

async fn carry(
    service: Service,
    stream: &mut TcpStream,
    book: &Book,
    tally: &mut Tally,
    sent: &mut Option<Hash>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut read, mut write) = stream.split();
    match service {
        Service::Echo | Service::Greeter => {
            if service == Service::Greeter {
                write.write_all(b"ready\n").await?;
            }
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let size = read.read(&mut buffer).await?;
                if size == 0 {
                    break;
                }
                write.write_all(&buffer[..size]).await?;
            }
        }
        Service::Sink | Service::GatedSink => {
            if service == Service::GatedSink {
                let _ = book.gate.subscribe().wait_for(|open| *open).await;
            }
            while tally.read(&mut read).await? {
                let bytes = tally.bytes;
                book.pages.send_modify(|pages| pages.received = bytes);
            }
            write.write_all(&tally.bytes.to_be_bytes()).await?;
        }
        Service::Source(size) => {
            read.read_u8().await?;
            *sent = Some(Pattern::new(1).write(size, &mut write).await?);
        }
        Service::Reply(size) => {
            tally.read_to_end(&mut read).await?;
            *sent = Some(Pattern::new(1).write(size, &mut write).await?);
        }
        Service::Both(size) => {
            let sending = async {
                *sent = Some(Pattern::new(1).write(size, &mut write).await?);
                write.shutdown().await
            };
            tokio::try_join!(sending, tally.read_to_end(&mut read))?;
        }
        Service::Http(size) => {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(read.read_u8().await?);
            }
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n");
            write.write_all(answer.as_bytes()).await?;
            *sent = Some(Pattern::new(1).write(size, &mut write).await?);
        }
        Service::Requests => {
            let mut byte = [0];
            while read.read(&mut byte).await? > 0 {
                book.pages.send_modify(|pages| pages.requests += 1);
                write.write_all(&byte).await?;
            }
        }
    }
    write.shutdown().await
}
