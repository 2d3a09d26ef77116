//! A connection over kernel MPTCP while it lives: its backup's endpoint, and the addresses of its paths.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use twinpath_proto::Role;
use twinpath_socket::{Interface, Mandate};

use super::builder::Options;
use super::paths::Plan;
use super::watch::{Watch, Watched};
use crate::dialer::Path;
use crate::kernel::{Endpoints, Ends};
use crate::mptcp::Lease;
use crate::plain;
use crate::target::Target;

/// One connection of a connector.
#[derive(Debug)]
pub(super) struct Attended {
    options: Arc<Options>,
    target: Target,
    watch: Arc<Watch>,
    endpoints: Arc<Endpoints>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    /// The addresses that the paths have, or had last.
    ends: [Vec<IpAddr>; 2],
    /// Outlive the connector, if the connection does.
    leases: Vec<Lease>,
    shared: Weak<plain::Shared>,
}

impl Attended {
    pub(super) fn new(
        options: Arc<Options>,
        target: Target,
        watch: Arc<Watch>,
        endpoints: Arc<Endpoints>,
        plan: Plan,
        leases: Vec<Lease>,
    ) -> Arc<Self> {
        let mut ends = <[Vec<IpAddr>; 2]>::default();
        learn(&mut ends, &plan);
        let state = State {
            plan,
            ends,
            leases,
            shared: Weak::new(),
        };
        Arc::new(Self {
            options,
            target,
            watch,
            endpoints,
            state: Mutex::new(state),
        })
    }

    /// The paths at this end.
    pub(super) fn ends(&self) -> Ends {
        self.lock().ends()
    }

    pub(super) fn attach(&self, shared: &Arc<plain::Shared>) {
        self.lock().shared = Arc::downgrade(shared);
    }

    /// Has the backup of `plan` stand by, if there is one and something may be spent on it. Gives what is not needed any
    /// more.
    fn stand_by(&self, state: &mut State, plan: &Plan) -> Vec<Lease> {
        let is_alone = plan.path(Role::Primary).is_none();
        let leases = match plan.path(Role::Backup).and_then(Path::interface) {
            // The only path there is has no limit, and its subflow would go with the endpoint.
            Some(backup) if is_alone || self.watch.may_spend() => match self.endpoints.hold(backup)
            {
                Ok(leases) => leases,
                Err(reason) => {
                    log::debug!("no MPTCP backup: {reason}");
                    return Vec::new();
                }
            },
            // When it comes back, the kernel joins again from an endpoint that is added anew, and from no other.
            _ => {
                self.endpoints.clear();
                Vec::new()
            }
        };
        std::mem::replace(&mut state.leases, leases)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ends(&self) -> Ends {
        let [primary, backup] = self.ends.clone();
        Ends {
            primary,
            backup,
            paths: Role::ALL.map(|role| self.plan.path(role).cloned()),
        }
    }
}

impl Watched for Attended {
    fn refresh(self: Arc<Self>, interfaces: &[Interface], mandate: &Mandate) {
        let mut state = self.lock();
        let Some(shared) = state.shared.upgrade() else {
            return;
        };
        let plan = state
            .plan
            .again(&self.options, &self.target, interfaces, mandate);
        let interface = |plan: &Plan| plan.path(Role::Backup)?.interface().cloned();
        let over = match interface(&state.plan) != interface(&plan) {
            true => self.stand_by(&mut state, &plan),
            false => Vec::new(),
        };
        learn(&mut state.ends, &plan);
        state.plan = plan;
        let ends = state.ends();
        drop(state);
        drop(over);
        shared.set_paths(ends);
    }

    fn nudge(&self) {
        let mut state = self.lock();
        let plan = state.plan.clone();
        let over = self.stand_by(&mut state, &plan);
        drop(state);
        drop(over);
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        self.watch.one_left();
    }
}

/// Adds the addresses of a plan. What a path had before stays, for its subflows may, unless it is the other's by now.
fn learn(ends: &mut [Vec<IpAddr>; 2], plan: &Plan) {
    for (index, role) in Role::ALL.into_iter().enumerate() {
        let Some(interface) = plan.path(role).and_then(Path::interface) else {
            continue;
        };
        let has = |address: &IpAddr| interface.addresses.contains(address);
        ends[1 - index].retain(|it| !has(it));
        ends[index].retain(|it| !has(it));
        ends[index].extend(&interface.addresses);
    }
}

#[cfg(test)]
mod tests {
    use twinpath_socket::InterfaceKind;

    use super::*;
    use crate::connector::builder::ConnectorBuilder;

    #[test]
    fn a_path_keeps_the_addresses_it_had_until_the_other_has_them() {
        let options = ConnectorBuilder::default().into_options().unwrap();
        let ip = |host: u8| IpAddr::from([198, 51, 100, host]);
        let plan = |wifi: u8, cellular: u8| {
            let with = |name: &str, kind, host: u8| {
                let mut interface = Interface::new(name, host.into(), kind);
                interface.addresses = vec![ip(host)];
                interface
            };
            let both = [
                with("wlan0", InterfaceKind::Wifi, wifi),
                with("wwan0", InterfaceKind::Cellular, cellular),
            ];
            let target = Target::new("example.com", 443);
            Plan::choose(&options, &target, &both, &Mandate::default(), None)
        };
        let mut ends = <[Vec<IpAddr>; 2]>::default();
        learn(&mut ends, &plan(1, 2));
        assert_eq!(ends, [vec![ip(1)], vec![ip(2)]]);
        learn(&mut ends, &plan(3, 2));
        assert_eq!(ends, [vec![ip(1), ip(3)], vec![ip(2)]]);
        learn(&mut ends, &plan(3, 1));
        assert_eq!(ends, [vec![ip(3)], vec![ip(2), ip(1)]]);
    }
}
