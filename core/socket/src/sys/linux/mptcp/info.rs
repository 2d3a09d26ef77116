//! What the kernel says of an MPTCP connection (include/uapi/linux/mptcp.h).
#![allow(
    unsafe_code,
    reason = "getsockopt with structs that socket2 does not know"
)]

use std::io;
use std::mem::{offset_of, zeroed};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};

use tokio::net::TcpStream;

use super::super::super::shared::tcp_info::{TcpInfo, health_of};
use crate::mptcp::{MptcpInfo, Subflow};

const TCP_IS_MPTCP: libc::c_int = 43;
const SOL_MPTCP: libc::c_int = 284;
const MPTCP_INFO: libc::c_int = 1;
const MPTCP_TCPINFO: libc::c_int = 2;
const MPTCP_SUBFLOW_ADDRS: libc::c_int = 3;
const MPTCP_FULL_INFO: libc::c_int = 4;

const FLAG_FALLBACK: u32 = 1;
/// `TCP_ESTABLISHED` (include/net/tcp_states.h).
const ESTABLISHED: u8 = 1;
/// `TCP_CLOSE`.
const CLOSED: u8 = 7;
/// More than the kernel lets a connection have.
const MOST: usize = 16;

/// `struct mptcp_info`, which only grows at its end; a kernel fills as much of it as it knows.
#[repr(C)]
#[derive(Clone, Copy, Default)]
#[allow(
    dead_code,
    reason = "the layout is the kernel's, and not all of it is used"
)]
struct Info {
    subflows: u8,
    add_addr_signal: u8,
    add_addr_accepted: u8,
    subflows_max: u8,
    add_addr_signal_max: u8,
    add_addr_accepted_max: u8,
    flags: u32,
    token: u32,
    write_seq: u64,
    snd_una: u64,
    rcv_nxt: u64,
    local_addr_used: u8,
    local_addr_max: u8,
    csum_enabled: u8,
    retransmits: u32,
    bytes_retrans: u64,
    bytes_sent: u64,
    bytes_received: u64,
    bytes_acked: u64,
    subflows_total: u8,
    endpoints: [u8; 3],
    last_data_sent: u32,
    last_data_recv: u32,
    last_ack_recv: u32,
}

/// `struct mptcp_subflow_addrs`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Addresses {
    local: libc::sockaddr_storage,
    remote: libc::sockaddr_storage,
}

/// `struct mptcp_subflow_info`.
#[repr(C)]
#[derive(Clone, Copy)]
struct SubflowInfo {
    id: u32,
    addresses: Addresses,
}

/// `struct mptcp_full_info`.
#[repr(C)]
struct FullInfo {
    size_tcpinfo_kernel: u32,
    size_tcpinfo_user: u32,
    size_sfinfo_kernel: u32,
    size_sfinfo_user: u32,
    num_subflows: u32,
    size_arrays_user: u32,
    subflow_info: u64,
    tcp_info: u64,
    info: Info,
}

/// `struct mptcp_subflow_data`, followed by room for the answers.
#[repr(C)]
struct SubflowData<T> {
    size_subflow_data: u32,
    num_subflows: u32,
    size_kernel: u32,
    size_user: u32,
    answers: [T; MOST],
}

pub(crate) fn mptcp_info(stream: &TcpStream) -> io::Result<Option<MptcpInfo>> {
    let fd = stream.as_raw_fd();
    let mut is_mptcp: libc::c_int = 0;
    match get(fd, libc::IPPROTO_TCP, TCP_IS_MPTCP, &mut is_mptcp) {
        Ok(_) if is_mptcp == 0 => return Ok(None),
        Ok(_) => {}
        // EOPNOTSUPP: an MPTCP socket, of which a kernel before 6.10 cannot say it this way.
        // ENOPROTOOPT: plain TCP.
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => return Ok(None),
        Err(_) => {}
    }
    let answer = match full_info(fd) {
        Err(error) if is_unknown(&error) => in_parts(fd),
        other => other,
    };
    match answer {
        // Fell back between the two calls, or before them on an old kernel.
        Err(error) if is_unknown(&error) => Ok(None),
        other => other,
    }
}

fn is_unknown(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::ENOPROTOOPT)
    )
}

/// Everything at one moment (Linux 6.5).
fn full_info(fd: RawFd) -> io::Result<Option<MptcpInfo>> {
    // SAFETY: both are plain integers and addresses, for which zeroes are valid.
    let mut subflows: [SubflowInfo; MOST] = unsafe { zeroed() };
    let mut tcp = [TcpInfo::default(); MOST];
    let mut full = FullInfo {
        size_tcpinfo_kernel: 0,
        size_tcpinfo_user: size_of::<TcpInfo>() as u32,
        size_sfinfo_kernel: 0,
        size_sfinfo_user: size_of::<SubflowInfo>() as u32,
        num_subflows: 0,
        size_arrays_user: MOST as u32,
        subflow_info: subflows.as_mut_ptr() as u64,
        tcp_info: tcp.as_mut_ptr() as u64,
        info: Info::default(),
    };
    // The kernel writes through the two pointers as well, at most `size_arrays_user` elements of the
    // sizes that are given; both arrays outlive the call.
    get(fd, SOL_MPTCP, MPTCP_FULL_INFO, &mut full)?;
    if full.info.flags & FLAG_FALLBACK != 0 {
        return Ok(None);
    }
    let count = (full.num_subflows as usize).min(MOST);
    let told = (full.size_tcpinfo_kernel as usize).min(size_of::<TcpInfo>());
    let subflows = subflows.iter().zip(&tcp).take(count);
    Ok(Some(MptcpInfo {
        subflows: subflows
            .filter_map(|(flow, tcp)| subflow(&flow.addresses, tcp, told))
            .collect(),
        unacked: full.info.write_seq.saturating_sub(full.info.snd_una),
        token: full.info.token,
        checksums: full.info.csum_enabled != 0,
    }))
}

/// The same from three answers, for Linux 5.16 to 6.4. A subflow may come or go between them.
fn in_parts(fd: RawFd) -> io::Result<Option<MptcpInfo>> {
    let mut info = Info::default();
    get(fd, SOL_MPTCP, MPTCP_INFO, &mut info)?;
    if info.flags & FLAG_FALLBACK != 0 {
        return Ok(None);
    }
    let (addresses, _) = per_subflow::<Addresses>(fd, MPTCP_SUBFLOW_ADDRS)?;
    let (tcp, told) = per_subflow::<TcpInfo>(fd, MPTCP_TCPINFO)?;
    let subflows = addresses.iter().zip(&tcp);
    Ok(Some(MptcpInfo {
        subflows: subflows
            .filter_map(|(addresses, tcp)| subflow(addresses, tcp, told))
            .collect(),
        unacked: info.write_seq.saturating_sub(info.snd_una),
        token: info.token,
        checksums: info.csum_enabled != 0,
    }))
}

/// One answer per subflow, and how many bytes of each the kernel has filled.
fn per_subflow<T: Copy>(fd: RawFd, option: libc::c_int) -> io::Result<(Vec<T>, usize)> {
    // SAFETY: used for `TcpInfo` and `Addresses` only: plain integers and addresses, for which
    // zeroes are valid.
    let mut data: SubflowData<T> = unsafe { zeroed() };
    data.size_subflow_data = offset_of!(SubflowData<T>, answers) as u32;
    data.size_user = size_of::<T>() as u32;
    get(fd, SOL_MPTCP, option, &mut data)?;
    let count = (data.num_subflows as usize).min(MOST);
    let told = (data.size_kernel as usize).min(size_of::<T>());
    Ok((data.answers[..count].to_vec(), told))
}

/// Has the kernel fill `value`, of plain integers (and pointers that are valid); gives the number of
/// bytes that it filled.
fn get<T>(fd: RawFd, level: libc::c_int, option: libc::c_int, value: &mut T) -> io::Result<usize> {
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the caller's descriptor is open; `value` is `length` bytes of which any values are
    // valid, and so are the kernel's.
    let status = unsafe {
        libc::getsockopt(
            fd,
            level,
            option,
            std::ptr::from_mut(value).cast(),
            &raw mut length,
        )
    };
    if status == 0 {
        Ok(length as usize)
    } else {
        Err(io::Error::last_os_error())
    }
}

fn subflow(addresses: &Addresses, tcp: &TcpInfo, told: usize) -> Option<Subflow> {
    let mut subflow = Subflow::new(address(&addresses.local)?, address(&addresses.remote)?);
    subflow.established = tcp.state() == ESTABLISHED;
    subflow.closed = tcp.state() == CLOSED;
    subflow.health = health_of(tcp, told, None);
    Some(subflow)
}

fn address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let pointer = std::ptr::from_ref(storage);
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: a sockaddr_storage is larger than a sockaddr_in and at least as aligned; the
            // family says that it is one.
            let v4 = unsafe { &*pointer.cast::<libc::sockaddr_in>() };
            let ip = v4.sin_addr.s_addr.to_ne_bytes();
            Some((ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for a sockaddr_in6.
            let v6 = unsafe { &*pointer.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr).to_canonical();
            Some(SocketAddr::new(ip, u16::from_be(v6.sin6_port)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_the_kernels() {
        assert_eq!(offset_of!(Info, flags), 8);
        assert_eq!(offset_of!(Info, write_seq), 16);
        assert_eq!(offset_of!(Info, local_addr_used), 40);
        assert_eq!(offset_of!(Info, retransmits), 44);
        assert_eq!(offset_of!(Info, subflows_total), 80);
        assert_eq!(size_of::<Info>(), 96);
        assert_eq!(size_of::<Addresses>(), 256);
        assert_eq!(offset_of!(SubflowInfo, addresses), 8);
        assert_eq!(offset_of!(FullInfo, subflow_info), 24);
        assert_eq!(offset_of!(FullInfo, info), 40);
    }
}
