//! What lies between two routers, and what it does to packets.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::sys;
use crate::error::{LabError, Step as _};
use crate::packet::{Packet, Segment, flag};
use crate::pipe::Random;
use crate::spec::{StripHow, StripMode};

/// Packets read from one side before the other has its turn.
const BATCH: usize = 64;
/// The largest IP packet.
const LARGEST: usize = 65_535;

/// What a cable does to the packets of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Meddling {
    /// From which segments option 30 is taken out.
    pub strip: StripMode,
    /// How.
    pub how: StripHow,
    /// About half of these are let through whole, as where packets take turns between two paths.
    pub takes_turns: bool,
    /// Which segments are dropped if they have option 30.
    pub drop: StripMode,
    /// Of an option 30 only MP_JOIN is meant, by all of these.
    pub joins_only: bool,
    /// Which segments are answered with a RST, and not delivered, if they have option 30.
    pub refuse: bool,
    /// The probability with which any packet is lost.
    pub loss: f64,
    /// Bytes in the payload of a segment that look like these become those.
    pub alter: Option<(u8, u8)>,
}

/// What a cable does.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct CableFaults {
    /// From the client to the server.
    pub out: Meddling,
    /// From the server to the client.
    pub back: Meddling,
    /// Quotes in ICMP errors that the routers at its two ends send over this cable have that many bytes of TCP: those of
    /// the far one to the client, and those of the near one to the server.
    pub quote: Option<usize>,
    /// These routers send no ICMP errors over it.
    pub is_silent: bool,
}

/// Two ends, joined by a thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Cable {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    stop: UnixStream,
}

#[derive(Debug, Default)]
struct Shared {
    faults: Mutex<CableFaults>,
    /// Packets that a fault has changed or dropped.
    meddled: AtomicU64,
    /// ICMP errors of the next router.
    errors: AtomicU64,
}

/// What is joined.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) west: File,
    pub(super) east: File,
    /// The addresses of what is at the western end.
    pub(super) near: Vec<IpAddr>,
    /// The addresses of the router at the far end.
    pub(super) next: Vec<IpAddr>,
    pub(super) seed: u64,
}

impl Cable {
    pub(super) fn lay(ends: Ends) -> Result<Self, LabError> {
        let (stop, stopped) = UnixStream::pair().step(|| "make a socket pair".into())?;
        let shared = Arc::<Shared>::default();
        let carried = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("lab-cable".into())
            .spawn(move || {
                if let Err(error) = carry(&ends, &stopped, &carried) {
                    log::error!("a cable of the lab broke: {error}");
                }
            })
            .step(|| "start a thread".into())?;
        Ok(Self {
            shared,
            thread: Some(thread),
            stop,
        })
    }

    /// Changes what it does, from the next packet on.
    pub fn set(&self, change: impl FnOnce(&mut CableFaults)) {
        let mut faults = self
            .shared
            .faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut faults);
    }

    /// How many packets a fault has changed, dropped or refused.
    #[must_use]
    pub fn meddled(&self) -> u64 {
        self.shared.meddled.load(Ordering::Relaxed)
    }

    /// How many ICMP errors the router at the far end has sent towards the client.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.shared.errors.load(Ordering::Relaxed)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = (&self.stop).write(&[0]);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn carry(ends: &Ends, stopped: &UnixStream, shared: &Shared) -> io::Result<()> {
    let mut random = Random(ends.seed);
    let mut buffer = vec![0; LARGEST];
    loop {
        let files = [
            Some(ends.west.as_fd()),
            Some(ends.east.as_fd()),
            Some(stopped.as_fd()),
        ];
        let ready = sys::wait_readable(&files, None)?;
        if ready[2] {
            return Ok(());
        }
        for (is_ready, is_out) in [(ready[0], true), (ready[1], false)] {
            let (from, to) = match is_out {
                true => (&ends.west, &ends.east),
                false => (&ends.east, &ends.west),
            };
            for _ in 0..if is_ready { BATCH } else { 0 } {
                let mut reader = from;
                let length = match reader.read(&mut buffer) {
                    Ok(length) => length,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                };
                let faults = *shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
                let packet = buffer[..length].to_vec();
                let (deliver, answer) = meddle(packet, is_out, &faults, ends, shared, &mut random);
                for (packet, mut to) in [(deliver, to), (answer, from)] {
                    if let Some(packet) = packet {
                        // A queue that is full drops, as everywhere.
                        let _ = to.write(&packet);
                    }
                }
            }
        }
    }
}

/// What is delivered, and what is sent back.
fn meddle(
    bytes: Vec<u8>,
    is_out: bool,
    faults: &CableFaults,
    ends: &Ends,
    shared: &Shared,
    random: &mut Random,
) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let does = if is_out { &faults.out } else { &faults.back };
    let meddled = || shared.meddled.fetch_add(1, Ordering::Relaxed);
    if does.loss > 0.0 && random.unit() < does.loss {
        return (None, None);
    }
    let Some(mut packet) = Packet::parse(bytes) else {
        return (None, None);
    };
    let own = if is_out { &ends.near } else { &ends.next };
    if packet.is_icmp_error() && own.contains(&packet.source_ip()) {
        if !is_out {
            shared.errors.fetch_add(1, Ordering::Relaxed);
        }
        if faults.is_silent {
            meddled();
            return (None, None);
        }
        if let Some(bytes) = faults.quote {
            meddled();
            packet.shorten_quote(bytes);
        }
    }
    if let Some(segment) = packet.segment() {
        let is_meant = if does.joins_only {
            packet.has_join()
        } else {
            packet.has_mptcp()
        };
        if is_meant && does.refuse && segment.is_initial_syn() {
            meddled();
            let answer = packet.ends().and_then(|(source, destination)| {
                let reset = Segment {
                    seq: 0,
                    ack: segment.end(),
                    flags: flag::RST | flag::ACK,
                    payload: 0,
                };
                Packet::forge(destination, source, reset)
            });
            return (None, answer.map(|it| it.as_bytes().to_vec()));
        }
        if is_meant && segment.is_meant_by(does.drop) {
            meddled();
            return (None, None);
        }
        let is_turn = !does.takes_turns || random.unit() < 0.5;
        if is_turn && is_meant && segment.is_meant_by(does.strip) {
            let changed = match does.how {
                StripHow::Overwrite => packet.strip_mptcp(),
                StripHow::Remove => packet.remove_mptcp(),
            };
            if changed {
                meddled();
            }
        }
        if let Some((from, to)) = does.alter {
            if packet.alter_payload(from, to) {
                meddled();
            }
        }
    }
    (Some(packet.as_bytes().to_vec()), None)
}
