//! `TCP_CONNECTION_INFO`.
#![allow(
    unsafe_code,
    reason = "getsockopt with a struct that no crate lays out rightly"
)]

use std::{io, mem, os::fd::AsRawFd, time::Duration};

use tokio::net::TcpStream;

use crate::TcpHealth;

/// <netinet/tcp.h>
const TCP_CONNECTION_INFO: libc::c_int = 0x106;

/// The kernel's `struct tcp_connection_info`. Times are in ms. In C the fast-open flags are bit
/// fields of one word; libc 0.2 makes each a word of its own and so misplaces all that follows.
#[repr(C)]
#[derive(Clone, Copy, Default)]
#[allow(
    dead_code,
    reason = "the layout is the kernel's, and not all of it is used"
)]
struct ConnectionInfo {
    state: u8,
    snd_wscale: u8,
    rcv_wscale: u8,
    pad: u8,
    options: u32,
    flags: u32,
    rto: u32,
    maxseg: u32,
    snd_ssthresh: u32,
    snd_cwnd: u32,
    snd_wnd: u32,
    snd_sbbytes: u32,
    rcv_wnd: u32,
    rttcur: u32,
    srtt: u32,
    rttvar: u32,
    fast_open: u32,
    txpackets: u64,
    txbytes: u64,
    txretransmitbytes: u64,
    rxpackets: u64,
    rxbytes: u64,
    rxoutoforderbytes: u64,
    txretransmitpackets: u64,
}

const _: () =
    assert!(size_of::<ConnectionInfo>() == 112 && mem::offset_of!(ConnectionInfo, txpackets) == 56);

pub(crate) fn tcp_health(stream: &TcpStream) -> io::Result<TcpHealth> {
    let info = query(stream)?;
    let millis = |ms: u32| Duration::from_millis(ms.into());
    Ok(TcpHealth {
        srtt: Some(info.srtt).filter(|ms| *ms != 0).map(millis),
        rttvar: Some(info.rttvar).filter(|_| info.srtt != 0).map(millis),
        rto: Some(info.rto).filter(|ms| *ms != 0).map(millis),
        queued_bytes: Some(info.snd_sbbytes.into()),
        total_retrans: Some(info.txretransmitpackets),
        bytes_retrans: Some(info.txretransmitbytes),
        bytes_sent: Some(info.txbytes),
        bytes_received: Some(info.rxbytes),
        congestion_window: Some(info.snd_cwnd),
        mss: Some(info.maxseg),
        ..TcpHealth::default()
    })
}

fn query(stream: &TcpStream) -> io::Result<ConnectionInfo> {
    let mut info = ConnectionInfo::default();
    let mut length = size_of::<ConnectionInfo>() as libc::socklen_t;
    // SAFETY: the descriptor is open for as long as `stream` is borrowed; `info` is `length` bytes
    // of plain integers, any values of which are valid.
    let status = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            TCP_CONNECTION_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if status == 0 {
        Ok(info)
    } else {
        Err(io::Error::last_os_error())
    }
}
