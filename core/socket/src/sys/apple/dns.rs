//! Names looked up by the resolvers of one interface, with DNS64 where the network has it
//! (<dns_sd.h>, part of the system library).
#![allow(unsafe_code, reason = "DNS-SD's functions and their callback")]

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    io,
    net::SocketAddr,
    num::NonZeroU32,
    ptr,
    time::{Duration, Instant},
};

use crate::sys::shared::sockaddr;

/// How long a name may take; the callers' own limits are shorter.
const LIMIT: Duration = Duration::from_secs(5);
/// How long one family waits for the other (RFC 8305 §3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

const PROTOCOL_IPV4: u32 = 1;
const PROTOCOL_IPV6: u32 = 2;
const FLAG_MORE_COMING: u32 = 1;
const FLAG_ADD: u32 = 2;
/// Without it "there is none" is not told, and the wait for it would never end.
const FLAG_RETURN_INTERMEDIATES: u32 = 0x1000;

/// `DNSServiceRef`
type ServiceRef = *mut c_void;
type Reply = unsafe extern "C" fn(
    ServiceRef,
    u32,
    u32,
    i32,
    *const c_char,
    *const libc::sockaddr,
    u32,
    *mut c_void,
);

unsafe extern "C" {
    fn DNSServiceGetAddrInfo(
        service: *mut ServiceRef,
        flags: u32,
        interface: u32,
        protocol: u32,
        host: *const c_char,
        reply: Reply,
        context: *mut c_void,
    ) -> i32;
    fn DNSServiceRefSockFD(service: ServiceRef) -> c_int;
    fn DNSServiceProcessResult(service: ServiceRef) -> i32;
    fn DNSServiceRefDeallocate(service: ServiceRef);
}

pub(super) async fn resolve(
    host: &str,
    port: u16,
    index: NonZeroU32,
) -> io::Result<Vec<SocketAddr>> {
    let host = CString::new(host)?;
    match tokio::task::spawn_blocking(move || look_up(&host, port, index)).await {
        Ok(result) => result,
        Err(stopped) => Err(io::Error::other(stopped)),
    }
}

/// What the replies said.
#[derive(Debug, Default)]
struct Answer {
    found: Vec<std::net::IpAddr>,
    v4_answered: bool,
    v6_answered: bool,
    more_coming: bool,
}

impl Answer {
    fn is_complete(&self) -> bool {
        self.v4_answered && self.v6_answered && !self.more_coming
    }
}

/// A lookup under way, ended with this.
struct Service(ServiceRef);

impl Drop for Service {
    fn drop(&mut self) {
        // SAFETY: it came from DNSServiceGetAddrInfo and is ended once; no reply is called after
        // it.
        unsafe { DNSServiceRefDeallocate(self.0) }
    }
}

fn look_up(host: &CStr, port: u16, index: NonZeroU32) -> io::Result<Vec<SocketAddr>> {
    let failed = |code: i32| {
        io::Error::other(format!(
            "cannot look up {} on interface {index}: DNS-SD error {code}",
            host.to_string_lossy()
        ))
    };
    let mut answer = Answer::default();
    let context = (&raw mut answer).cast::<c_void>();
    let mut service = ptr::null_mut();
    // SAFETY: the string and the place for the reference are valid; `context` is an Answer that
    // outlives the service, and is touched only by replies, which are called inside
    // DNSServiceProcessResult below, and through `context` itself.
    let code = unsafe {
        DNSServiceGetAddrInfo(
            &raw mut service,
            FLAG_RETURN_INTERMEDIATES,
            index.get(),
            PROTOCOL_IPV4 | PROTOCOL_IPV6,
            host.as_ptr(),
            reply,
            context,
        )
    };
    if code != 0 {
        return Err(failed(code));
    }
    let service = Service(service);
    let mut deadline = Instant::now() + LIMIT;
    // SAFETY: the service lives.
    let fd = unsafe { DNSServiceRefSockFD(service.0) };
    while readable(fd, deadline)? {
        // SAFETY: the service lives, and its socket is readable, so this does not block.
        let code = unsafe { DNSServiceProcessResult(service.0) };
        if code != 0 {
            return Err(failed(code));
        }
        // SAFETY: `context` points to the Answer above, and no reply is running.
        let so_far = unsafe { &*context.cast::<Answer>() };
        if so_far.is_complete() {
            break;
        }
        if !so_far.found.is_empty() {
            deadline = deadline.min(Instant::now() + RESOLUTION_DELAY);
        }
    }
    drop(service);
    Ok(answer
        .found
        .into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect())
}

/// Waits until the socket can be read, and says no when the deadline has come.
fn readable(fd: c_int, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, or the last millisecond would be spent spinning.
        let millis = c_int::try_from(left.as_micros().div_ceil(1000)).unwrap_or(c_int::MAX);
        let mut wanted = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid pollfd.
        match unsafe { libc::poll(&raw mut wanted, 1, millis) } {
            0 => return Ok(false),
            1.. => return Ok(true),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// Called for every address, and for "there is none".
///
/// # Safety
///
/// `context` points to an [`Answer`] that nothing else uses at the time; `address` is null, or
/// valid for its family.
unsafe extern "C" fn reply(
    _service: ServiceRef,
    flags: u32,
    _interface: u32,
    error: i32,
    _host: *const c_char,
    address: *const libc::sockaddr,
    _ttl: u32,
    context: *mut c_void,
) {
    // SAFETY: as the caller promises.
    let answer = unsafe { &mut *context.cast::<Answer>() };
    // SAFETY: as the caller promises.
    let ip = unsafe { sockaddr::ip(address) };
    answer.more_coming = flags & FLAG_MORE_COMING != 0;
    // "There is none" carries the family in an address of zeroes, or nothing at all when it is said
    // of both.
    match ip {
        Some(ip) if ip.is_ipv4() => answer.v4_answered = true,
        Some(_) => answer.v6_answered = true,
        None => (answer.v4_answered, answer.v6_answered) = (true, true),
    }
    if error == 0 && flags & FLAG_ADD != 0 {
        answer.found.extend(ip);
    }
}
