//! `SIO_TCP_INFO`, from Windows 10 version 1703.
#![allow(unsafe_code, reason = "an ioctl")]

use std::{io, os::windows::io::AsRawSocket, ptr, time::Duration};

use tokio::net::TcpStream;
use windows_sys::Win32::Networking::WinSock::{
    SIO_TCP_INFO, SOCKET, TCP_INFO_v0, WSAGetLastError, WSAIoctl,
};

use crate::TcpHealth;

pub(crate) fn tcp_health(stream: &TcpStream) -> io::Result<TcpHealth> {
    let info = query(stream)?;
    let micros = |us: u32| Duration::from_micros(us.into());
    Ok(TcpHealth {
        srtt: Some(info.RttUs).filter(|us| *us != 0).map(micros),
        // All ones: no sample yet.
        min_rtt: Some(info.MinRttUs)
            .filter(|us| *us != 0 && *us != u32::MAX)
            .map(micros),
        in_flight_bytes: Some(info.BytesInFlight.into()),
        bytes_retrans: Some(info.BytesRetrans.into()),
        bytes_sent: Some(info.BytesOut),
        bytes_received: Some(info.BytesIn),
        congestion_window: Some(info.Cwnd),
        mss: Some(info.Mss),
        ..TcpHealth::default()
    })
}

fn query(stream: &TcpStream) -> io::Result<TCP_INFO_v0> {
    let version: u32 = 0;
    let mut info = TCP_INFO_v0::default();
    let mut length = 0;
    // SAFETY: both buffers have the sizes that are announced, and the call ends before it returns,
    // since it has no overlapped structure.
    let status = unsafe {
        WSAIoctl(
            stream.as_raw_socket() as SOCKET,
            SIO_TCP_INFO,
            (&raw const version).cast(),
            size_of::<u32>() as u32,
            (&raw mut info).cast(),
            size_of::<TCP_INFO_v0>() as u32,
            &raw mut length,
            ptr::null_mut(),
            None,
        )
    };
    if status == 0 {
        return Ok(info);
    }
    // SAFETY: it only reads the thread's last error.
    Err(io::Error::from_raw_os_error(unsafe { WSAGetLastError() }))
}
