//! What can happen to MPTCP on the way, what it may be taken for, and the proof that it happened.

use twinpath_lab::{Counters, Direction, Host, LinkHandle, StripHow, StripMode};

use super::claims::{FELL_BACK, Law, NO_BACKUP, PRIMARY_LOST, PROTECTED};
use crate::scene::{CELLULAR, Scene, WIFI};

/// Something that a connection over MPTCP meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// From the start, option 30 is taken out of those segments on Wi-Fi.
    Strip(StripMode, StripHow),
    /// From the start, it is taken out of every segment on cellular.
    StripJoin(StripHow),
    /// It is taken out of every segment on Wi-Fi once the backup has joined.
    StripLater(StripHow),
    /// The same, where the kernel has no backup; MPTCP was asked for all the same.
    StripAlone(StripHow),
    /// The server's host does not do MPTCP.
    PlainServer,
    /// From the start, SYNs with the option vanish on Wi-Fi.
    SynsDropped,
    /// Wi-Fi falls silent.
    Blackhole(Direction),
    /// The system takes Wi-Fi down.
    LinkDown,
    /// The system takes the addresses of Wi-Fi away.
    AddressGone,
    /// Wi-Fi loses 3 % of the packets.
    Loss(Direction),
}

impl Trouble {
    /// Whether it is there before the connection is.
    pub(super) const fn is_from_the_start(self) -> bool {
        matches!(
            self,
            Self::Strip(..) | Self::StripJoin(_) | Self::PlainServer | Self::SynsDropped
        )
    }

    pub(super) const fn law(self) -> Law {
        let law = Law {
            before: &[NO_BACKUP, PROTECTED],
            detecting: &[PROTECTED],
            then: PROTECTED,
            is_told: true,
            healed: None,
        };
        match self {
            Self::None | Self::Loss(_) => law,
            Self::Strip(StripMode::NonSyn, _) | Self::StripAlone(_) => Law {
                before: &[NO_BACKUP],
                detecting: &[NO_BACKUP, FELL_BACK],
                then: FELL_BACK,
                ..law
            },
            Self::Strip(..) | Self::PlainServer => Law {
                before: &[FELL_BACK],
                detecting: &[FELL_BACK],
                then: FELL_BACK,
                ..law
            },
            Self::StripJoin(_) => Law {
                before: &[NO_BACKUP],
                detecting: &[NO_BACKUP],
                then: NO_BACKUP,
                ..law
            },
            // The first subflow is the one on cellular, and no other comes.
            Self::SynsDropped => Law {
                before: &[PRIMARY_LOST],
                detecting: &[PRIMARY_LOST],
                then: PRIMARY_LOST,
                ..law
            },
            Self::StripLater(_) => Law {
                detecting: &[PROTECTED, PRIMARY_LOST],
                then: PRIMARY_LOST,
                ..law
            },
            Self::Blackhole(_) | Self::LinkDown | Self::AddressGone => Law {
                detecting: &[PROTECTED, PRIMARY_LOST],
                then: PRIMARY_LOST,
                healed: Some(PROTECTED),
                ..law
            },
        }
    }

    /// Sets up what must be there before the client connects.
    pub(super) fn prepare(self, scene: &Scene) {
        let (wifi, cellular) = (scene.wifi(), scene.cellular());
        match self {
            Self::Strip(mode, how) => wifi.take_out_mptcp(mode, how, Direction::Both),
            Self::StripJoin(how) => {
                cellular.take_out_mptcp(StripMode::All, how, Direction::Both);
            }
            Self::PlainServer => {
                drop(scene.take_gateway());
                scene.world.server().sysctl("mptcp/enabled", "0").unwrap();
                scene.start_gateway();
            }
            Self::SynsDropped => wifi.drop_mptcp_syns(true),
            _ => {}
        }
        if !self.is_alone() {
            scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        }
    }

    /// Whether the kernel has no backup for it.
    pub(super) const fn is_alone(self) -> bool {
        matches!(self, Self::StripAlone(_))
    }

    /// What happens in mid-life.
    pub(super) fn strike(self, wifi: &LinkHandle) {
        match self {
            Self::StripLater(how) | Self::StripAlone(how) => {
                wifi.take_out_mptcp(StripMode::All, how, Direction::Both);
            }
            Self::Blackhole(direction) => wifi.blackhole(direction),
            Self::LinkDown => wifi.down().unwrap(),
            Self::AddressGone => wifi.remove_address().unwrap(),
            Self::Loss(direction) => wifi.set_one_way(direction, |shape| shape.loss = 0.03),
            _ => {}
        }
    }

    pub(super) fn heal(self, wifi: &LinkHandle) {
        match self {
            Self::LinkDown => wifi.up().unwrap(),
            Self::AddressGone => wifi.restore_address().unwrap(),
            _ => wifi.heal(),
        }
    }

    /// Whether a segment could have shown it by now. `before`: as it was before this, or before it struck.
    pub(super) fn is_shown(self, links: &[LinkHandle; 2], before: &[Counters; 2]) -> bool {
        let wifi = links[0].counters() - before[0];
        let cellular = links[1].counters() - before[1];
        match self {
            // The handshake has shown it.
            Self::None | Self::PlainServer | Self::SynsDropped => true,
            // The server has seen it in the third segment; the client sees it in the first answer.
            Self::Strip(StripMode::NonSyn, _) => wifi.down.delivered.packets > 1,
            Self::Strip(..) | Self::StripLater(_) | Self::StripAlone(_) => {
                wifi.up.stripped + wifi.down.stripped > 0
            }
            Self::StripJoin(_) => cellular.up.stripped > 0,
            Self::Blackhole(_) => wifi.up.dropped.blackhole + wifi.down.dropped.blackhole > 0,
            // The system tells.
            Self::LinkDown | Self::AddressGone => true,
            Self::Loss(_) => wifi.up.dropped.loss + wifi.down.dropped.loss > 0,
        }
    }

    /// Panics unless the gateway has counted what the connection was, and what became of it.
    pub(super) async fn prove_to_gateway(self, scene: &Scene) {
        scene.until("twinpath_raw_open", 0.0).await;
        let is_tcp = self.law().before == [FELL_BACK] || matches!(self, Self::Strip(..));
        let is_single = is_tcp || self.law().then == NO_BACKUP || self.law().then == FELL_BACK;
        let expected = [
            ("negotiated_total{transport=\"tcp\"}", is_tcp),
            ("negotiated_total{transport=\"mptcp\"}", !is_tcp),
            ("fallbacks_total", !is_tcp && self.law().then == FELL_BACK),
        ];
        for (name, is_one) in expected {
            let counted = scene.sample(&format!("twinpath_raw_{name}")).await;
            assert_eq!(counted, f64::from(u8::from(is_one)), "{name}");
        }
        if is_single {
            assert_eq!(scene.sample("twinpath_raw_multipath_total").await, 0.0);
        }
        if self == Self::None {
            assert_eq!(scene.sample("twinpath_raw_multipath_total").await, 1.0);
        }
    }

    /// Panics unless it was there, by the books of the links and of both kernels.
    pub(super) fn prove(self, scene: &Scene, before: &[Counters; 2]) {
        let wifi = scene.wifi().counters() - before[0];
        let cellular = scene.cellular().counters() - before[1];
        let (client, server) = (scene.world.client(), scene.world.server());
        let happened = match self {
            Self::None => {
                // Bulk fills the queue by itself.
                wifi.dropped() == wifi.up.dropped.queue + wifi.down.dropped.queue
                    && count(client, &["MPJoinSynAckRx"]) == 1
            }
            Self::Strip(StripMode::NonSyn, _) => {
                wifi.up.stripped > 0 && count(server, &["MPCapableFallbackACK"]) == 1
            }
            Self::Strip(..) => {
                let side = if count(server, &["MPCapableSYNRX"]) == 0 {
                    wifi.up
                } else {
                    wifi.down
                };
                side.stripped > 0 && count(client, &["MPCapableFallbackSYNACK"]) == 1
            }
            Self::StripJoin(_) => {
                cellular.up.stripped > 0
                    && count(client, &["MPJoinSynTx"]) > 0
                    && count(client, &["MPJoinSynAckRx"]) == 0
            }
            Self::StripLater(_) => {
                wifi.up.stripped + wifi.down.stripped > 0 && count(client, &["MPJoinSynAckRx"]) == 1
            }
            Self::StripAlone(_) => {
                let lost = [
                    "DSSCorruptionFallback",
                    "DSSNoMatchTCP",
                    "MPCapableDataFallback",
                    "DssFallback",
                ];
                wifi.up.stripped + wifi.down.stripped > 0
                    && count(client, &lost) + count(server, &lost) > 0
            }
            Self::PlainServer => {
                count(client, &["MPCapableSYNTX"]) == 1
                    && count(client, &["MPCapableFallbackSYNACK"]) == 1
                    && count(server, &["MPCapableSYNRX"]) == 0
            }
            Self::SynsDropped => wifi.up.dropped.syn > 0,
            Self::Blackhole(direction) => {
                let (up, down) = (
                    wifi.up.dropped.blackhole > 0,
                    wifi.down.dropped.blackhole > 0,
                );
                match direction {
                    Direction::Both => up || down,
                    Direction::Up => up && !down,
                    Direction::Down => down && !up,
                }
            }
            Self::LinkDown => scene.wifi().counters().down.dropped.down > 0,
            // Wi-Fi joins again once its address is back.
            Self::AddressGone => count(client, &["MPJoinSynAckRx"]) >= 1,
            Self::Loss(Direction::Up) => wifi.up.dropped.loss > 0 && wifi.down.dropped.loss == 0,
            Self::Loss(_) => wifi.down.dropped.loss > 0 && wifi.up.dropped.loss == 0,
        };
        assert!(
            happened,
            "{self:?} did not happen on {WIFI}: {wifi:?}, {cellular:?}"
        );
    }
}

/// The sum of counters of a kernel; those that it does not have count nothing.
fn count(host: &Host, names: &[&str]) -> u64 {
    names
        .iter()
        .map(|name| host.mptcp_mib(name).unwrap_or_default())
        .sum()
}
