//! A network namespace of a test's own, with tunnel devices that play radios.
#![allow(
    unsafe_code,
    reason = "unshare, and the ioctls of tunnel devices and interface flags"
)]

use std::{
    ffi::CString,
    fs::{File, OpenOptions},
    io::{self, Write},
    net::UdpSocket,
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    panic,
    process::Command,
    thread,
};

/// The variable that turns a skipped test into a failed one.
const REQUIRE: &str = "TWINPATH_REQUIRE_LAB";

/// Runs an async test in a fresh namespace, on a thread that ends with it. Says so aloud, or panics
/// if the lab is required, where the machine has no namespaces.
pub(crate) fn run<F: Future<Output = ()> + 'static>(test: fn() -> F) {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let inside = move || {
        if let Err(error) = enter() {
            let required = std::env::var_os(REQUIRE).is_some_and(|value| value == "1");
            assert!(!required, "no network namespace with tunnels: {error}");
            // Not by eprintln, which is captured when a test passes.
            let _ = writeln!(
                io::stderr(),
                "SKIPPED {name}: no network namespace with tunnels: {error}"
            );
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test());
        // A lookup that is stuck in the system would hold up the end for as long as its resolver waits.
        runtime.shutdown_background();
    };
    if let Err(panicked) = thread::spawn(inside).join() {
        panic::resume_unwind(panicked);
    }
}

fn enter() -> io::Result<()> {
    // SAFETY: it changes the namespace of this thread only.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // Both are needed by every test, so their absence is found here.
    Tun::new("probe0")?;
    Command::new("ip").arg("-V").output()?;
    Ok(())
}

/// Runs `ip` in the namespace.
pub(crate) fn ip(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Gives this thread, and those it starts, a `resolv.conf` of their own.
pub(crate) fn resolv_conf(text: &str) {
    let name = format!(
        "twinpath-resolv-{}-{:?}",
        std::process::id(),
        thread::current().id()
    );
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, text).unwrap();
    let from = CString::new(path.as_os_str().as_bytes()).unwrap();
    let none = std::ptr::null();
    // SAFETY: the strings are valid, and only this thread's namespace is changed: its mounts are made private first.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS)).unwrap();
        let private = libc::MS_REC | libc::MS_PRIVATE;
        check(libc::mount(none, c"/".as_ptr(), none, private, none.cast())).unwrap();
        let to = c"/etc/resolv.conf";
        check(libc::mount(
            from.as_ptr(),
            to.as_ptr(),
            none,
            libc::MS_BIND,
            none.cast(),
        ))
        .unwrap();
    }
    // The mount keeps the file.
    std::fs::remove_file(path).unwrap();
}

/// A tunnel device, which exists and has a carrier for as long as this does.
#[derive(Debug)]
pub(crate) struct Tun {
    file: File,
    name: String,
}

impl Tun {
    /// Made, but down and without an address.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/net/tun")?;
        let mut request = request(name);
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
        // SAFETY: the request is a valid ifreq.
        check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
        Ok(Self {
            file,
            name: name.to_owned(),
        })
    }

    /// Up, with an address.
    pub(crate) fn with(name: &str, address: &str) -> Self {
        let tun = Self::new(name).unwrap();
        ip(&format!("addr add {address} dev {name}"));
        tun.set_up(true);
        tun
    }

    /// By ioctl and not by a child process, so that it takes no time worth measuring.
    pub(crate) fn set_up(&self, up: bool) {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let mut request = request(&self.name);
        // SAFETY: the request is a valid ifreq, and the flags are what the first call fills in.
        unsafe {
            check(libc::ioctl(
                socket.as_raw_fd(),
                libc::SIOCGIFFLAGS,
                &raw mut request,
            ))
            .unwrap();
            let flags = request.ifr_ifru.ifru_flags & !(libc::IFF_UP as i16);
            request.ifr_ifru.ifru_flags = if up {
                flags | libc::IFF_UP as i16
            } else {
                flags
            };
            check(libc::ioctl(
                socket.as_raw_fd(),
                libc::SIOCSIFFLAGS,
                &raw mut request,
            ))
            .unwrap();
        }
    }

    /// As if a cable were pulled: the link is gone although it is switched on.
    pub(crate) fn set_carrier(&self, carrier: bool) {
        /// <linux/if_tun.h>: `_IOW('T', 226, int)`.
        const TUNSETCARRIER: libc::Ioctl = 0x4004_54e2;
        let carrier = libc::c_int::from(carrier);
        // SAFETY: the request reads one int.
        check(unsafe { libc::ioctl(self.file.as_raw_fd(), TUNSETCARRIER, &raw const carrier) })
            .unwrap();
    }

    /// Has the kernel receive a packet from this link.
    pub(crate) fn receive(&self, packet: &[u8]) {
        (&self.file).write_all(packet).unwrap();
    }

    /// The next IPv4 packet that the kernel sends over this link, if one comes soon.
    pub(crate) async fn sent(&self) -> Option<Vec<u8>> {
        let file = self.file.try_clone().unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut packet = vec![0; 2000];
            loop {
                let mut wanted = libc::pollfd {
                    fd: file.as_raw_fd(),
                    events: libc::POLLIN,
                    revents: 0,
                };
                // A read that nothing ends would hold up the end of the runtime.
                // SAFETY: one valid pollfd.
                if unsafe { libc::poll(&raw mut wanted, 1, 5000) } != 1 {
                    return None;
                }
                let length = io::Read::read(&mut &file, &mut packet).unwrap();
                if packet[0] >> 4 == 4 {
                    packet.truncate(length);
                    return Some(packet);
                }
            }
        });
        read.await.unwrap()
    }
}

fn request(name: &str) -> libc::ifreq {
    // SAFETY: all zeroes is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

fn check(status: libc::c_int) -> io::Result<()> {
    if status < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
