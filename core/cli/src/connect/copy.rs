//! Carrying bytes between a connection and something local, both ways at once.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twinpath::{Chunks, Connection, pool};

/// Taken at once from either side: a few times what the kernel moves in one call.
pub(super) const PORTION: usize = 256 * 1024;

/// Which of the two sides failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The connection over the network.
    Remote(io::Error),
    /// What is on this machine.
    Local(io::Error),
}

/// Copies until both directions have ended; an end in one direction is handed on as such.
pub(super) async fn both_ways(
    connection: &mut Connection,
    local: &mut TcpStream,
) -> Result<(), Failed> {
    let (from_peer, to_peer) = connection.split();
    let (mut from_local, mut to_local) = local.split();
    let up = async {
        loop {
            from_local.readable().await.map_err(Failed::Local)?;
            let mut buffer = pool::take();
            if from_local
                .read_buf(&mut buffer)
                .await
                .map_err(Failed::Local)?
                == 0
            {
                break;
            }
            let chunk = pool::detach(&mut buffer);
            pool::give(buffer);
            to_peer.write_bytes(chunk).await.map_err(Failed::Remote)?;
        }
        to_peer.shutdown().await.map_err(Failed::Remote)
    };
    let down = async {
        let mut chunks = Chunks::default();
        while from_peer
            .read_chunks(PORTION, &mut chunks)
            .await
            .map_err(Failed::Remote)?
            > 0
        {
            to_local
                .write_all_buf(&mut chunks)
                .await
                .map_err(Failed::Local)?;
        }
        to_local.shutdown().await.map_err(Failed::Local)
    };
    tokio::try_join!(up, down)?;
    Ok(())
}
