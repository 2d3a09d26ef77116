//! The thread that carries a link's packets between devices and engine.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::sys;
use crate::engine::{Engine, Port};
use crate::error::{LabError, Step as _};
use crate::packet::Packet;

/// Packets read from one device before the others have their turn.
const BATCH: usize = 64;
/// The largest IP packet.
const LARGEST: usize = 65_535;

const PORTS: [Port; 4] = [Port::Client, Port::Server, Port::PepNear, Port::PepFar];

/// The devices of a link, in the order of `PORTS`.
pub(super) type Tuns = [Option<Arc<File>>; 4];

/// What handles and the thread share.
#[derive(Debug)]
pub(super) struct Shared {
    engine: Mutex<Engine>,
    stop: AtomicBool,
    waker: UnixStream,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the thread look at the engine again.
    pub(super) fn wake(&self) {
        // A full socket has enough bytes in it to wake the thread.
        let _ = (&self.waker).write(&[0]);
    }
}

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Emulator {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    pub(super) fn start(name: &str, engine: Engine, tuns: Tuns) -> Result<Self, LabError> {
        let (waker, woken) = UnixStream::pair().step(|| "make a socket pair".into())?;
        waker
            .set_nonblocking(true)
            .step(|| "make a socket pair".into())?;
        woken
            .set_nonblocking(true)
            .step(|| "make a socket pair".into())?;
        let shared = Arc::new(Shared {
            engine: Mutex::new(engine),
            stop: AtomicBool::new(false),
            waker,
        });
        let link = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name(format!("lab-{name}"))
            .spawn(move || {
                if let Err(error) = run(&link, &tuns, &woken) {
                    log::error!("the lab's link has stopped: {error}");
                }
            })
            .step(|| "start a thread".into())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(link: &Shared, tuns: &Tuns, woken: &UnixStream) -> io::Result<()> {
    sys::be_punctual()?;
    let mut buffer = vec![0; LARGEST];
    let [client, server, near, far] = tuns;
    let watched = [
        Some(woken.as_fd()),
        client.as_ref().map(|tun| tun.as_fd()),
        server.as_ref().map(|tun| tun.as_fd()),
        near.as_ref().map(|tun| tun.as_fd()),
        far.as_ref().map(|tun| tun.as_fd()),
    ];
    let mut due = None;
    while !link.stop.load(Ordering::Acquire) {
        let timeout = due.map(|due: Instant| due.saturating_duration_since(Instant::now()));
        let [wake, ports @ ..] = sys::wait_readable(&watched, timeout)?;
        if wake {
            while (&*woken).read(&mut buffer).is_ok_and(|read| read > 0) {}
        }
        let mut engine = link.lock();
        for ((tun, port), readable) in tuns.iter().zip(PORTS).zip(ports) {
            if let Some(tun) = tun.as_ref().filter(|_| readable) {
                take_in(&mut engine, tun, port, &mut buffer)?;
            }
        }
        hand_out(&mut engine, tuns);
        due = engine.next_due();
    }
    Ok(())
}

fn take_in(engine: &mut Engine, tun: &File, port: Port, buffer: &mut [u8]) -> io::Result<()> {
    for _ in 0..BATCH {
        match (&*tun).read(buffer) {
            Ok(length) => {
                if let Some(packet) = Packet::parse(buffer[..length].to_vec()) {
                    engine.ingress(port, packet, Instant::now());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn hand_out(engine: &mut Engine, tuns: &Tuns) {
    let now = Instant::now();
    while let Some((port, packet)) = engine.egress(now) {
        let tun = tuns.iter().zip(PORTS).find(|(_, at)| *at == port);
        let Some(tun) = tun.and_then(|(tun, _)| tun.as_ref()) else {
            continue;
        };
        // The device refuses packets while it is down.
        if let Err(error) = (&**tun).write(packet.as_bytes()) {
            log::trace!("{port:?} does not take a packet: {error}");
            engine.not_accepted(port, &packet);
        }
    }
}
