//! What the kernel knows about a TCP connection.

use std::{io, time::Duration};

use tokio::net::TcpStream;

use crate::sys;

/// What the kernel knows about a TCP connection at one moment. `None` where the platform, or this
/// version of it, does not tell.
///
/// A middlebox that ends TCP (a performance proxy in a mobile network) makes this the health of the
/// way to the middlebox, not to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TcpHealth {
    /// Smoothed round-trip time. Linux, Android and Windows in µs steps, Apple's systems in ms.
    pub srtt: Option<Duration>,
    /// Mean deviation of the round-trip time. Not on Windows.
    pub rttvar: Option<Duration>,
    /// The smallest round-trip time seen lately. Not on Apple's systems.
    pub min_rtt: Option<Duration>,
    /// The retransmission timeout in force. On Apple's systems only while the timer runs; not on
    /// Windows.
    pub rto: Option<Duration>,
    /// Segments sent and not acknowledged. Linux and Android only.
    pub unacked: Option<u32>,
    /// Bytes sent and not acknowledged. Windows only; elsewhere see
    /// [`queued_bytes`](Self::queued_bytes).
    pub in_flight_bytes: Option<u64>,
    /// Bytes in the send buffer, sent and unacknowledged or not yet sent. Not on Windows.
    pub queued_bytes: Option<u64>,
    /// Bytes in the send buffer that have never been sent. Linux and Android only.
    pub notsent_bytes: Option<u64>,
    /// How many times in a row the oldest byte has been sent again after a timeout; 0 when all is
    /// well. Linux and Android only.
    pub retransmits: Option<u32>,
    /// How many times the retransmission timeout has been doubled. Linux and Android only.
    pub backoff: Option<u32>,
    /// Retransmissions in the life of the connection: segments on Linux and Android, packets on
    /// Apple's systems; not on Windows.
    pub total_retrans: Option<u64>,
    /// Bytes sent again in the life of the connection.
    pub bytes_retrans: Option<u64>,
    /// Segments with data sent in the life of the connection, those sent again included. Linux and
    /// Android only.
    pub data_segments_sent: Option<u32>,
    /// Of these, segments that have arrived, as the peer has told in whichever order. Linux and
    /// Android only.
    pub delivered: Option<u32>,
    /// Segments with data received in the life of the connection, in whichever order. Linux and
    /// Android only.
    pub data_segments_received: Option<u32>,
    /// Time since an acknowledgement last arrived. Linux and Android only, in ms.
    pub last_ack_recv: Option<Duration>,
    /// Time since data last arrived. Linux and Android only, in ms.
    pub last_data_recv: Option<Duration>,
    /// Bytes of ours that the peer has acknowledged. Linux and Android only.
    pub bytes_acked: Option<u64>,
    /// Bytes sent, including those sent again on Linux, Android and Apple's systems.
    pub bytes_sent: Option<u64>,
    /// Bytes received. In order on Linux and Android.
    pub bytes_received: Option<u64>,
    /// The newest estimate of the rate of delivery, in bytes per second. Linux and Android only.
    pub delivery_rate: Option<u64>,
    /// Congestion window: segments on Linux and Android, bytes on Apple's systems and Windows.
    pub congestion_window: Option<u32>,
    /// The maximum segment size for sending, in bytes.
    pub mss: Option<u32>,
}

/// Asks the kernel how a connection is doing: one system call, never blocks.
///
/// Source: `TCP_INFO` and `SIOCOUTQ` on Linux and Android (also on an MPTCP socket, where it tells
/// of the first subflow), `TCP_CONNECTION_INFO` on Apple's systems,
/// `SIO_TCP_INFO` on Windows 10 and later.
///
/// # Errors
///
/// The kernel's; [`Unsupported`](io::ErrorKind::Unsupported) on other platforms.
pub fn tcp_health(stream: &TcpStream) -> io::Result<TcpHealth> {
    sys::tcp_health(stream)
}
