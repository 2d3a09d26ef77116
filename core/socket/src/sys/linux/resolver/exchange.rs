//! Queries and their answers, over one interface.
#![allow(unsafe_code, reason = "getrandom")]

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket as StdSocket},
    pin::pin,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UdpSocket,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::message::{Family, Heard, Query, Reply};
use crate::{
    Binding, ConnectOptions,
    connect::{self, Direction},
};

const PORT: u16 = 53;
/// The next server, or the first one again, is asked when no answer has come for this long.
const PATIENCE: Duration = Duration::from_millis(400);
/// How often each server is asked.
const ROUNDS: usize = 3;
/// For all of that; a server behind a modem that wakes up takes a second or two.
const LIMIT: Duration = Duration::from_secs(5);
/// The other family's addresses are waited for when one family's are there (RFC 8305 §3).
const OTHER_FAMILY: Duration = Duration::from_millis(50);
/// Without an extension (EDNS) answers are of 512 bytes; some servers send more all the same.
const DATAGRAM_MAX: usize = 4096;

/// What the servers know of a full name: the first answer counts.
pub(super) async fn ask(servers: &[IpAddr], name: &str, binding: &Binding) -> io::Result<Reply> {
    let mut v6 = pin!(ask_for(servers, name, Family::V6, binding));
    let mut v4 = pin!(ask_for(servers, name, Family::V4, binding));
    tokio::select! {
        first = &mut v6 => with_other(first, v4).await,
        first = &mut v4 => with_other(first, v6).await,
    }
}

async fn with_other(
    first: io::Result<Reply>,
    other: impl Future<Output = io::Result<Reply>>,
) -> io::Result<Reply> {
    let Ok(Reply::Found(mut found)) = first else {
        return match (first, other.await) {
            (_, Ok(Reply::Found(found))) => Ok(Reply::Found(found)),
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(_), Ok(_)) => Ok(Reply::Nothing),
        };
    };
    if let Ok(Ok(Reply::Found(more))) = timeout(OTHER_FAMILY, other).await {
        found.extend(more);
    }
    Ok(Reply::Found(found))
}

async fn ask_for(
    servers: &[IpAddr],
    name: &str,
    family: Family,
    binding: &Binding,
) -> io::Result<Reply> {
    let mut waiting = servers.repeat(ROUNDS).into_iter();
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::from(io::ErrorKind::TimedOut);
    let mut limit = pin!(sleep(LIMIT));
    loop {
        if let Some(server) = waiting.next() {
            let query = Query::new(name, family, random()?);
            attempts.spawn(attempt(
                SocketAddr::new(server, PORT),
                query,
                binding.clone(),
            ));
        } else if attempts.is_empty() {
            return Err(failure);
        }
        tokio::select! {
            biased;
            Some(finished) = attempts.join_next() => match finished {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(error)) => failure = error,
                Err(stopped) => failure = io::Error::other(stopped),
            },
            () = sleep(PATIENCE), if waiting.len() > 0 => {}
            () = &mut limit => return Err(failure),
        }
    }
}

/// Each attempt has a port and a number of its own, both random: who does not see the query cannot
/// answer it.
async fn attempt(server: SocketAddr, query: Query, binding: Binding) -> io::Result<Reply> {
    let bytes = query.to_bytes()?;
    let socket = Socket::new(
        Domain::for_address(server),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_nonblocking(true)?;
    connect::bind(&socket, &binding, server, Direction::Out)?;
    let socket = UdpSocket::from_std(StdSocket::from(socket))?;
    // From here on the kernel drops what others send.
    socket.connect(server).await?;
    socket.send(&bytes).await?;
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match query.hear(&buffer[..length]) {
            Heard::Answer(reply) => return Ok(reply),
            Heard::Truncated => return over_tcp(server, &query, &bytes, binding).await,
            Heard::Refused => return Err(refused()),
            Heard::Foreign => {}
        }
    }
}

async fn over_tcp(
    server: SocketAddr,
    query: &Query,
    bytes: &[u8],
    binding: Binding,
) -> io::Result<Reply> {
    let mut stream = connect::connect(server, &ConnectOptions::bound_to(binding)).await?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    stream
        .write_all(&[&length.to_be_bytes()[..], bytes].concat())
        .await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    match query.hear(&answer) {
        Heard::Answer(reply) => Ok(reply),
        _ => Err(refused()),
    }
}

fn refused() -> io::Error {
    io::Error::other("the name server refused to answer")
}

fn random() -> io::Result<u16> {
    let mut bytes = [0; 2];
    // SAFETY: the buffer is valid for its length.
    let read = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    match usize::try_from(read) {
        Ok(read) if read == bytes.len() => Ok(u16::from_ne_bytes(bytes)),
        _ => Err(io::Error::last_os_error()),
    }
}
