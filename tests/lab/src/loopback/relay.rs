//! What a relayed link does to each connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep, sleep_until};

use super::link::{Books, State};
use crate::counters::{DirectionCounters, Volume};

/// The most that one read takes: small enough that pacing is smooth at the rates of a demo.
const PORTION: usize = 8 * 1024;
/// The most that one direction of one connection holds, which an unlimited link would otherwise not
/// bound.
const MOST_HELD: usize = 4 << 20;

/// Bytes on their way, and when they arrive.
type Portion = (Instant, Vec<u8>, OwnedSemaphorePermit);

pub(super) async fn serve(
    listener: TcpListener,
    target: SocketAddr,
    state: watch::Receiver<State>,
    books: Arc<Books>,
) {
    loop {
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                // Out of descriptors, or the connection is gone already: neither lasts.
                log::debug!("the lab's relay cannot accept: {error}");
                sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let (state, books) = (state.clone(), Arc::clone(&books));
        tokio::spawn(async move {
            if let Err(error) = connection(client, target, state, &books).await {
                log::debug!("the lab's relay gives a connection up: {error}");
            }
        });
    }
}

async fn connection(
    mut client: TcpStream,
    target: SocketAddr,
    mut state: watch::Receiver<State>,
    books: &Books,
) -> io::Result<()> {
    let begun = state.borrow().resets;
    if state.borrow().down {
        return reset(&client);
    }
    {
        let mut books = books.lock();
        books.up.offered.syns += 1;
        books.up.delivered.syns += 1;
    }
    let ended = {
        let carried = carry(&mut client, target, state.clone(), books);
        tokio::select! {
            carried = carried => Some(carried),
            _ = state.wait_for(|state| state.resets != begun) => None,
        }
    };
    match ended {
        Some(Ok(())) => Ok(()),
        // A link has no error of its own to pass on but a reset.
        Some(Err(_)) | None => reset(&client),
    }
}

/// Makes the connection end with a reset when it is dropped.
fn reset(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

async fn carry(
    client: &mut TcpStream,
    target: SocketAddr,
    mut state: watch::Receiver<State>,
    books: &Books,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    // The handshake's round trip; the relay has answered the client without it.
    let delay = state.borrow().spec.rtt;
    sleep(delay).await;
    let gone = |_| io::Error::from(io::ErrorKind::ConnectionAborted);
    state
        .wait_for(|state| !state.silent_up && !state.silent_down)
        .await
        .map_err(gone)?;
    let mut server = TcpStream::connect(target).await?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let up = one_way(true, from_client, to_server, state.clone(), books);
    let down = one_way(false, from_server, to_client, state, books);
    tokio::try_join!(up, down)?;
    Ok(())
}

async fn one_way(
    up: bool,
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    state: watch::Receiver<State>,
    books: &Books,
) -> io::Result<()> {
    // Bounded by the permits that travel with the portions; every portion has at least one byte.
    let (send, receive) = mpsc::unbounded_channel();
    let sending = send_paced(up, from, send, state.clone(), books);
    let receiving = deliver_late(up, to, receive, state, books);
    tokio::try_join!(sending, receiving)?;
    Ok(())
}

async fn send_paced(
    up: bool,
    mut from: ReadHalf<'_>,
    on: mpsc::UnboundedSender<Portion>,
    state: watch::Receiver<State>,
    books: &Books,
) -> io::Result<()> {
    let held = Arc::new(Semaphore::new(MOST_HELD));
    let mut sent = Instant::now();
    let mut buffer = vec![0; PORTION];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        book(up, books, |direction| &mut direction.offered, length);
        let spec = state.borrow().spec.clone();
        let now = Instant::now();
        sent = sent.max(now);
        if let Some(rate) = spec.rate {
            // What does not fit the queue stays with the sender: the relay has no way to drop it.
            let full = rate.time_for(spec.queue);
            if sent > now + full {
                sleep_until((sent - full).into()).await;
            }
            sent += rate.time_for(length);
        }
        let jitter = spec.jitter.mul_f64(fraction(sent));
        // At most PORTION, which fits.
        let permit = Arc::clone(&held).acquire_many_owned(length as u32).await;
        let permit = permit.map_err(|_| io::ErrorKind::ConnectionAborted)?;
        let portion = (
            sent + spec.rtt / 2 + jitter,
            buffer[..length].to_vec(),
            permit,
        );
        if on.send(portion).is_err() {
            return Ok(());
        }
    }
}

/// Uniform enough for jitter, without a generator to carry around.
fn fraction(of: Instant) -> f64 {
    let nanos = of.elapsed().subsec_nanos() ^ 0x5bd1_e995;
    f64::from(nanos.wrapping_mul(2_654_435_761) >> 8) / f64::from(1_u32 << 24)
}

async fn deliver_late(
    up: bool,
    mut to: WriteHalf<'_>,
    mut from: mpsc::UnboundedReceiver<Portion>,
    mut state: watch::Receiver<State>,
    books: &Books,
) -> io::Result<()> {
    while let Some((due, bytes, _permit)) = from.recv().await {
        sleep_until(due.into()).await;
        if state.wait_for(|state| !state.is_silent(up)).await.is_err() {
            return Ok(());
        }
        book(up, books, |direction| &mut direction.delivered, bytes.len());
        to.write_all(&bytes).await?;
    }
    // The end of the stream goes the way of its bytes.
    let delay = state.borrow().spec.rtt / 2;
    sleep(delay).await;
    if state.wait_for(|state| !state.is_silent(up)).await.is_err() {
        return Ok(());
    }
    to.shutdown().await
}

fn book(up: bool, books: &Books, which: fn(&mut DirectionCounters) -> &mut Volume, length: usize) {
    let mut books = books.lock();
    let direction = if up { &mut books.up } else { &mut books.down };
    *which(direction) += Volume {
        packets: 1,
        bytes: length as u64,
        tcp_payload: length as u64,
        syns: 0,
    };
}
