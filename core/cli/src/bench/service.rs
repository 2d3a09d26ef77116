//! The service that everybody connects to: the same code over plain TCP, behind the gateway and
//! over kernel MPTCP.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::content::{Check, Content, PORTION};

/// What a client begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// Everything comes back.
    Echo,
    /// So many bytes of that content come down, and the stream ends.
    Down { seed: u64, size: u64 },
    /// Content of that seed goes up until the stream ends; the number of bytes comes down.
    Up { seed: u64 },
}

const LENGTH: usize = 17;

impl Request {
    pub(super) fn encode(self) -> [u8; LENGTH] {
        let (kind, seed, size) = match self {
            Self::Echo => (b'E', 0, 0),
            Self::Down { seed, size } => (b'D', seed, size),
            Self::Up { seed } => (b'U', seed, 0),
        };
        let mut head = [kind; LENGTH];
        head[1..9].copy_from_slice(&seed.to_le_bytes());
        head[9..].copy_from_slice(&size.to_le_bytes());
        head
    }

    fn decode(head: [u8; LENGTH]) -> Option<Self> {
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&head[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        match head[0] {
            b'E' => Some(Self::Echo),
            b'D' => Some(Self::Down {
                seed: number(1),
                size: number(9),
            }),
            b'U' => Some(Self::Up { seed: number(1) }),
            _ => None,
        }
    }
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(async move {
                    if let Err(error) = answer(stream).await {
                        log::debug!("the service lost a client: {error}");
                    }
                });
            }
            Err(error) => {
                log::warn!("the service cannot accept: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = [0; LENGTH];
    stream.read_exact(&mut head).await?;
    let request = Request::decode(head).ok_or(io::ErrorKind::InvalidData)?;
    match request {
        Request::Echo => {
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await?;
        }
        Request::Down { seed, size } => {
            let (content, mut sent) = (Content::new(seed), 0);
            while sent < size {
                let portion = PORTION.min(usize::try_from(size - sent).unwrap_or(PORTION));
                sent += stream.write(content.at(sent, portion)).await? as u64;
            }
        }
        Request::Up { seed } => {
            let mut check = Check::new(Content::new(seed));
            let mut buffer = vec![0; PORTION];
            loop {
                match stream.read(&mut buffer).await? {
                    0 => break,
                    size => check.take(&buffer[..size]),
                }
            }
            stream.write_all(&check.received().to_le_bytes()).await?;
        }
    }
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_understood() {
        let (seed, size) = (u64::MAX - 1, 1 << 40);
        for request in [
            Request::Echo,
            Request::Down { seed, size },
            Request::Up { seed },
        ] {
            assert_eq!(Request::decode(request.encode()), Some(request));
        }
    }
}
