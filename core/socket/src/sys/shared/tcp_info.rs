//! `TCP_INFO`, for Linux and Android.
#![allow(
    unsafe_code,
    reason = "getsockopt with a struct that socket2 does not know, and one ioctl"
)]

use std::{io, mem, os::fd::AsRawFd, time::Duration};

use tokio::net::TcpStream;

use crate::TcpHealth;

/// The kernel's `struct tcp_info` (include/uapi/linux/tcp.h) as of Linux 6.10. It only grows at its
/// end, and a kernel fills as much of it as it knows.
#[repr(C)]
#[derive(Clone, Copy, Default)]
#[allow(
    dead_code,
    reason = "the layout is the kernel's, and not all of it is used"
)]
pub(in crate::sys) struct TcpInfo {
    state: u8,
    ca_state: u8,
    retransmits: u8,
    probes: u8,
    backoff: u8,
    options: u8,
    window_scales: u8,
    flags: u8,
    rto: u32,
    ato: u32,
    snd_mss: u32,
    rcv_mss: u32,
    unacked: u32,
    sacked: u32,
    lost: u32,
    retrans: u32,
    fackets: u32,
    last_data_sent: u32,
    last_ack_sent: u32,
    last_data_recv: u32,
    last_ack_recv: u32,
    pmtu: u32,
    rcv_ssthresh: u32,
    rtt: u32,
    rttvar: u32,
    snd_ssthresh: u32,
    snd_cwnd: u32,
    advmss: u32,
    reordering: u32,
    rcv_rtt: u32,
    rcv_space: u32,
    total_retrans: u32,
    pacing_rate: u64,
    max_pacing_rate: u64,
    bytes_acked: u64,
    bytes_received: u64,
    segs_out: u32,
    segs_in: u32,
    notsent_bytes: u32,
    min_rtt: u32,
    data_segs_in: u32,
    data_segs_out: u32,
    delivery_rate: u64,
    busy_time: u64,
    rwnd_limited: u64,
    sndbuf_limited: u64,
    delivered: u32,
    delivered_ce: u32,
    bytes_sent: u64,
    bytes_retrans: u64,
    dsack_dups: u32,
    reord_seen: u32,
    rcv_ooopack: u32,
    snd_wnd: u32,
    rcv_wnd: u32,
    rehash: u32,
    total_rto: u16,
    total_rto_recoveries: u16,
    total_rto_time: u32,
}

#[cfg(target_os = "linux")]
impl TcpInfo {
    /// `TCP_ESTABLISHED` and its like.
    pub(in crate::sys) const fn state(&self) -> u8 {
        self.state
    }
}

/// `Some(field)` if the kernel's answer of `$length` bytes reached as far as the field.
macro_rules! told {
    ($info:ident.$field:ident, $length:ident) => {
        ($length >= mem::offset_of!(TcpInfo, $field) + size_of_val(&$info.$field))
            .then_some($info.$field)
    };
}

pub(crate) fn tcp_health(stream: &TcpStream) -> io::Result<TcpHealth> {
    let (info, length) = query(stream)?;
    Ok(health_of(&info, length, queued(stream)))
}

/// What the first `length` bytes of the kernel's answer say.
pub(in crate::sys) fn health_of(info: &TcpInfo, length: usize, queued: Option<u64>) -> TcpHealth {
    let micros = |us: u32| Duration::from_micros(us.into());
    let millis = |ms: u32| Duration::from_millis(ms.into());
    TcpHealth {
        // The kernel's zero means "no sample yet".
        srtt: told!(info.rtt, length).filter(|us| *us != 0).map(micros),
        rttvar: told!(info.rttvar, length)
            .filter(|_| info.rtt != 0)
            .map(micros),
        // All ones: no sample yet.
        min_rtt: told!(info.min_rtt, length)
            .filter(|us| *us != 0 && *us != u32::MAX)
            .map(micros),
        rto: told!(info.rto, length).map(micros),
        unacked: told!(info.unacked, length),
        in_flight_bytes: None,
        queued_bytes: queued,
        notsent_bytes: told!(info.notsent_bytes, length).map(u64::from),
        retransmits: told!(info.retransmits, length).map(u32::from),
        backoff: told!(info.backoff, length).map(u32::from),
        total_retrans: told!(info.total_retrans, length).map(u64::from),
        bytes_retrans: told!(info.bytes_retrans, length),
        data_segments_sent: told!(info.data_segs_out, length),
        delivered: told!(info.delivered, length),
        data_segments_received: told!(info.data_segs_in, length),
        last_ack_recv: told!(info.last_ack_recv, length).map(millis),
        last_data_recv: told!(info.last_data_recv, length).map(millis),
        bytes_acked: told!(info.bytes_acked, length),
        bytes_sent: told!(info.bytes_sent, length),
        bytes_received: told!(info.bytes_received, length),
        delivery_rate: told!(info.delivery_rate, length).filter(|rate| *rate != 0),
        congestion_window: told!(info.snd_cwnd, length),
        mss: told!(info.snd_mss, length),
    }
}

fn query(stream: &TcpStream) -> io::Result<(TcpInfo, usize)> {
    let mut info = TcpInfo::default();
    let mut length = size_of::<TcpInfo>() as libc::socklen_t;
    // SAFETY: the descriptor is open for as long as `stream` is borrowed; `info` is `length` bytes
    // of plain integers, any values of which are valid.
    let status = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((info, length as usize))
}

/// Bytes in the send buffer, sent or not, that are not acknowledged.
fn queued(stream: &TcpStream) -> Option<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ, which has TIOCOUTQ's number, writes one int.
    let status = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ as _, &raw mut bytes) };
    if status != 0 {
        return None;
    }
    u64::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(mem::offset_of!(TcpInfo, rto), 8);
        assert_eq!(mem::offset_of!(TcpInfo, rtt), 68);
        assert_eq!(mem::offset_of!(TcpInfo, pacing_rate), 104);
        assert_eq!(mem::offset_of!(TcpInfo, min_rtt), 148);
        assert_eq!(mem::offset_of!(TcpInfo, delivery_rate), 160);
        assert_eq!(mem::offset_of!(TcpInfo, bytes_sent), 200);
        assert_eq!(size_of::<TcpInfo>(), 248);
    }

    #[test]
    fn fields_that_an_old_kernel_does_not_know_are_none() {
        let info = TcpInfo {
            rtt: 1,
            min_rtt: 2,
            ..TcpInfo::default()
        };
        let length = 104;
        assert_eq!(told!(info.rtt, length), Some(1));
        assert_eq!(told!(info.total_retrans, length), Some(0));
        assert_eq!(told!(info.min_rtt, length), None);
    }
}
