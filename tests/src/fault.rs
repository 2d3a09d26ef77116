//! What can happen to Wi-Fi, how long it may be noticed, and the proof that it happened.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use twinpath_lab::{
    Counters, Direction, DirectionCounters, End, LinkHandle, PepSpec, Rate, Rebind, StripMode,
};

use crate::competition::Competition;
use crate::patience::{ms, soon};
use crate::scene::{Scene, SceneBuilder, WIFI};

/// Something that happens while bytes are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Wi-Fi falls silent in both directions.
    Blackhole,
    /// What the client sends over Wi-Fi is lost.
    HoleUp,
    /// What the server sends over Wi-Fi is lost.
    HoleDown,
    /// The system takes Wi-Fi down, and tells.
    LinkDown,
    /// The system takes the address of Wi-Fi away, and tells.
    AddressGone,
    /// Wi-Fi gets another address.
    AddressChanged,
    /// Somebody resets every connection over Wi-Fi.
    Reset,
    /// Wi-Fi loses 2 % of the packets.
    Loss,
    /// Wi-Fi becomes slower by 100 ms.
    DelayStep,
    /// Wi-Fi delays packets by up to 40 ms more, each as it likes.
    Jitter,
    /// Wi-Fi becomes three times slower at sending.
    RateDrop,
    /// Somebody else's transfers fill the queues of Wi-Fi, which are long.
    FullQueue,
    /// A middlebox on each link takes option 30 out of every segment.
    Stripped,
    /// Both links fall silent for a second and a half.
    BothDead,
    /// Wi-Fi comes and goes.
    Flapping,
    /// A NAT on Wi-Fi forgets its flows.
    NatForgets,
    /// A NAT on Wi-Fi gives its flows new ports.
    NatMoves,
    /// Wi-Fi falls silent behind a proxy that goes on acknowledging.
    BehindProxy,
    /// No connection can be made over Wi-Fi from the start.
    SynDrop,
}

/// Whether a failover is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    /// It must come.
    Due,
    /// It would be false.
    False,
    /// Either is right.
    Possible,
}

/// How long both links are dead.
const DEAD: Duration = ms(1500);
const FLAP: Duration = ms(400);
const FLAPS: u32 = 3;
const JITTER: Duration = ms(40);
const SLOW: Rate = Rate::mbit(5);
/// 100 ms of 20 Mbit/s.
const LONG_QUEUE: usize = 250_000;

impl Fault {
    /// Puts on the link what the fault needs.
    pub fn prepare(self, scene: SceneBuilder) -> SceneBuilder {
        match self {
            Self::NatForgets | Self::NatMoves => scene.wifi(|wifi| wifi.nat = true),
            Self::FullQueue => scene.wifi(|wifi| {
                wifi.rate = Some(Rate::mbit(20));
                wifi.queue = LONG_QUEUE;
            }),
            Self::BehindProxy => {
                let near_rtt = ms(4);
                scene.wifi(|wifi| wifi.pep = Some(PepSpec { near_rtt }))
            }
            _ => scene,
        }
    }

    /// False, and said aloud, where this machine cannot prove the fault.
    #[must_use]
    pub fn can_be_had(self) -> bool {
        if self != Self::Stripped {
            return true;
        }
        match crate::competition::mptcp() {
            Ok(_) => true,
            Err(error) => {
                twinpath_lab::skip(format_args!("no MPTCP to strip: {error}"));
                false
            }
        }
    }

    /// Whether the backup has to become active.
    #[must_use]
    pub const fn failover(self) -> Failover {
        match self {
            Self::Blackhole
            | Self::HoleUp
            | Self::HoleDown
            | Self::LinkDown
            | Self::AddressGone
            | Self::NatForgets
            | Self::BehindProxy => Failover::Due,
            // A connection that begins on the backup never failed over to it.
            Self::None
            | Self::Reset
            | Self::Loss
            | Self::DelayStep
            | Self::Jitter
            | Self::RateDrop
            | Self::FullQueue
            | Self::Stripped
            | Self::NatMoves
            | Self::SynDrop => Failover::False,
            Self::AddressChanged | Self::BothDead | Self::Flapping => Failover::Possible,
        }
    }

    /// The longest stall that may come of it, on a busy machine.
    #[must_use]
    pub const fn worst_stall(self) -> Duration {
        match self {
            Self::BothDead => ms(1500 + 2500),
            Self::Flapping => ms(900),
            _ => ms(500),
        }
    }
}

/// A fault in its place.
#[derive(Debug)]
pub struct Strike {
    fault: Fault,
    wifi: LinkHandle,
    cellular: LinkHandle,
    before: Counters,
    struck: Mutex<Option<Counters>>,
    addresses: Vec<IpAddr>,
    script: Mutex<Option<JoinHandle<()>>>,
    competition: Arc<Competition>,
}

impl Strike {
    /// Prepares `fault` in `scene`; what hinders connecting begins here.
    #[must_use]
    pub fn new(scene: &Scene, fault: Fault) -> Self {
        let (wifi, cellular) = (scene.wifi(), scene.cellular());
        if fault == Fault::SynDrop {
            wifi.drop_syns(true);
        }
        Self {
            fault,
            before: wifi.counters(),
            struck: Mutex::default(),
            addresses: addresses(),
            competition: Competition::prepare(scene, fault == Fault::FullQueue),
            wifi,
            cellular,
            script: Mutex::default(),
        }
    }

    /// Strikes.
    pub fn now(&self) {
        let competition = Arc::clone(&self.competition);
        let script = run(
            self.fault,
            self.wifi.clone(),
            self.cellular.clone(),
            competition,
        );
        let mut struck = self.struck.lock().unwrap_or_else(PoisonError::into_inner);
        *struck = Some(self.wifi.counters());
        let mut slot = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(slot.is_none(), "it has struck before");
        log::info!("{:?} strikes", self.fault);
        *slot = Some(tokio::spawn(script));
    }

    /// Whether it has struck and nothing more of it will follow.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let slot = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Whether it has been felt; chance may take its time.
    #[must_use]
    pub fn is_felt(&self) -> bool {
        let since = self.wifi.counters() - self.before;
        self.fault != Fault::Loss || since.up.dropped.loss + since.down.dropped.loss > 0
    }

    /// Waits until it is over.
    pub async fn over(&self) {
        let script = {
            let mut slot = self.script.lock().unwrap_or_else(PoisonError::into_inner);
            slot.take().expect("it has not struck")
        };
        soon("the fault is over", script).await.unwrap();
    }

    /// Panics unless the fault was really there.
    pub async fn prove(&self) {
        let since = self.wifi.counters() - self.before;
        let (up, down) = (since.up.dropped, since.down.dropped);
        let struck = *self.struck.lock().unwrap_or_else(PoisonError::into_inner);
        let after = self.wifi.counters() - struck.expect("it has not struck");
        let happened = match self.fault {
            Fault::None => true,
            Fault::Blackhole | Fault::BehindProxy | Fault::BothDead | Fault::Flapping => {
                up.blackhole + down.blackhole > 0
            }
            Fault::HoleUp => up.blackhole > 0 && down.blackhole == 0,
            Fault::HoleDown => down.blackhole > 0 && up.blackhole == 0,
            Fault::LinkDown => !twinpath_socket::find(WIFI).unwrap().up,
            Fault::AddressGone => addresses().is_empty(),
            Fault::AddressChanged => {
                let now = addresses();
                !now.is_empty() && now.iter().all(|it| !self.addresses.contains(it))
            }
            Fault::Reset => since.up.resets + since.down.resets > 0,
            Fault::Loss => up.loss + down.loss > 0,
            Fault::DelayStep => {
                let wifi = self.wifi.clone();
                let measuring = tokio::task::spawn_blocking(move || wifi.measure_rtt());
                measuring.await.unwrap().unwrap() >= ms(110)
            }
            Fault::Jitter => after.up.times.jitter + after.down.times.jitter > JITTER,
            Fault::RateDrop => {
                let bytes = after.up.delivered.bytes + after.down.delivered.bytes;
                let sending = after.up.times.sending + after.down.times.sending;
                // A few packets may have left the queue before it became slow.
                bytes > 0 && sending * 5 > SLOW.time_for(bytes as usize) * 4
            }
            Fault::FullQueue => {
                let waited = |it: &DirectionCounters| {
                    let packets = it.delivered.packets.max(1) as f64;
                    it.times.queued.div_f64(packets)
                };
                // Acknowledgements that wait keep the other queue short at times.
                waited(&after.up).max(waited(&after.down)) > ms(15)
            }
            Fault::Stripped => after.up.stripped > 0,
            // Either the old flow is dropped at the NAT, or the server has reset it.
            Fault::NatForgets => up.nat + down.nat > 0,
            Fault::NatMoves => since.moved_flows > 0,
            Fault::SynDrop => up.syn > 0,
        };
        assert!(happened, "{:?} did not happen: {since:?}", self.fault);
    }
}

async fn run(fault: Fault, wifi: LinkHandle, cellular: LinkHandle, competition: Arc<Competition>) {
    match fault {
        Fault::None | Fault::SynDrop => {}
        Fault::Blackhole => wifi.blackhole(Direction::Both),
        Fault::HoleUp => wifi.blackhole(Direction::Up),
        Fault::HoleDown => wifi.blackhole(Direction::Down),
        Fault::LinkDown => wifi.down().unwrap(),
        Fault::AddressGone => wifi.remove_address().unwrap(),
        Fault::AddressChanged => {
            wifi.change_address().unwrap();
        }
        Fault::Reset => assert!(wifi.inject_rst(End::Both) > 0, "there was nothing to reset"),
        Fault::Loss => wifi.set(|wifi| wifi.loss = 0.02),
        Fault::DelayStep => wifi.set(|wifi| wifi.rtt += ms(100)),
        Fault::Jitter => wifi.set(|wifi| wifi.jitter = JITTER),
        Fault::RateDrop => wifi.set(|wifi| wifi.rate = Some(SLOW)),
        Fault::FullQueue => competition.begin(&wifi, LONG_QUEUE / 3).await,
        Fault::Stripped => {
            for link in [&wifi, &cellular] {
                link.strip_mptcp(StripMode::All, Direction::Both);
            }
            competition.try_mptcp(&wifi).await;
        }
        Fault::BothDead => {
            wifi.blackhole(Direction::Both);
            cellular.blackhole(Direction::Both);
            tokio::time::sleep(DEAD).await;
            cellular.heal();
            wifi.heal();
        }
        Fault::Flapping => {
            for _ in 0..FLAPS {
                wifi.blackhole(Direction::Both);
                tokio::time::sleep(FLAP).await;
                wifi.heal();
                tokio::time::sleep(FLAP).await;
            }
        }
        Fault::NatForgets => wifi.rebind_nat(Rebind::Forget),
        Fault::NatMoves => wifi.rebind_nat(Rebind::NewPorts),
        Fault::BehindProxy => wifi.blackhole_behind_pep(Direction::Both),
    }
}

/// Those of Wi-Fi that the kernel knows and that reach further than the link.
fn addresses() -> Vec<IpAddr> {
    let wifi = twinpath_socket::find(WIFI).unwrap();
    let global = |it: &IpAddr| match it {
        IpAddr::V4(_) => true,
        IpAddr::V6(it) => !it.is_unicast_link_local(),
    };
    wifi.addresses.into_iter().filter(global).collect()
}
