//! Changes that make protected connections possible, and last until they are undone.

use std::fmt;
use std::io;

use twinpath_socket::Interface;
use twinpath_socket::mptcp::{Endpoint, EndpointFlags, MptcpLimits, PathManager};

use super::directory::{Directory, Found};
use super::place::places;
use super::record::Entry;
use super::settle::{denied, set, setting};
use crate::kernel::usable;

/// Subflows besides the first: one per family of the backup.
const SUBFLOWS: u32 = 2;
/// `rp_filter`: answers are only taken on the interface that the route back to the sender names.
const STRICT: u32 = 1;
/// Some interface has to lead there.
const LOOSE: &str = "2";
const ENABLED: &str = "mptcp/enabled";
const STALE_LOSS: &str = "mptcp/stale_loss_cnt";

/// What has to be changed in this network namespace so that connections of every program are protected by a backup,
/// with or without privileges of their own.
///
/// What is changed lasts until [`undo`](super::undo()), or the next boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    steps: Vec<Step>,
}

/// One change. It is written as one would type it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// A kernel parameter, by its name in `/proc/sys/net`.
    Set {
        /// Its name, with slashes.
        name: String,
        /// Its value now.
        before: String,
        /// The value to set.
        value: String,
    },
    /// The limits of the path manager.
    Limit {
        /// As they are.
        before: MptcpLimits,
        /// As they shall be.
        limits: MptcpLimits,
    },
    /// An endpoint goes, because it is no backup.
    Remove(Endpoint),
    /// An endpoint comes.
    Add {
        /// What it is like.
        endpoint: Endpoint,
        /// The name of its interface.
        interface: String,
    },
}

impl Setup {
    /// Finds out what is missing. Nothing is changed.
    ///
    /// # Errors
    ///
    /// As of [`PathManager::open`] and [`PathManager::endpoints`]; [`NotFound`](io::ErrorKind::NotFound) if `backup` has
    /// no address that can be used.
    pub fn of(backup: &Interface, primary: Option<&Interface>) -> io::Result<Self> {
        let mut manager = PathManager::open()?;
        let addresses = usable(&backup.addresses);
        if addresses.is_empty() {
            let text = format!("{} has no address that others can reach", backup.name);
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let mut steps = Vec::new();
        let mut set = |name: String, value: &str, is_wrong: &dyn Fn(&str) -> bool| {
            // A kernel that does not have it does not need it.
            if let Some(before) = setting(&name).ok().filter(|before| is_wrong(before)) {
                let value = value.to_owned();
                steps.push(Step::Set {
                    name,
                    before,
                    value,
                });
            }
        };
        set(ENABLED.into(), "1", &|is| is == "0");
        set(STALE_LOSS.into(), "4", &|is| is == "0");
        for interface in [Some(backup), primary].into_iter().flatten() {
            if is_strict(&interface.name) {
                set(filter_of(&interface.name), LOOSE, &|_| true);
            }
        }
        let before = manager.limits()?;
        if before.subflows < SUBFLOWS {
            let mut limits = before;
            limits.subflows = SUBFLOWS;
            steps.push(Step::Limit { before, limits });
        }
        let present = manager.endpoints()?;
        for address in addresses {
            let wanted = EndpointFlags::SUBFLOW.with(EndpointFlags::BACKUP);
            let mut endpoint = Endpoint::new(address, backup.index, wanted);
            match present.iter().find(|it| it.address == address) {
                Some(present) if present.flags.has(wanted) => continue,
                Some(present) => {
                    endpoint.flags = wanted.with(present.flags);
                    endpoint.id = present.id;
                    steps.push(Step::Remove(present.clone()));
                }
                None => {}
            }
            let interface = backup.name.clone();
            steps.push(Step::Add {
                endpoint,
                interface,
            });
        }
        Ok(Self { steps })
    }

    /// The changes, in order; none if nothing is missing.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Makes the changes, and calls `done` after each. What was before an earlier setup is what [`undo`](super::undo())
    /// brings back.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) without `CAP_NET_ADMIN`; the kernel's; those of files. What
    /// was changed before the error is on record.
    pub fn apply(&self, mut done: impl FnMut(&Step)) -> io::Result<()> {
        if self.steps.is_empty() {
            return Ok(());
        }
        let _places = places();
        let mut manager = PathManager::open()?;
        if !manager.may_change()? {
            return Err(denied());
        }
        let namespace = manager.namespace()?;
        let directory = Directory::make()?;
        let mut all = directory.records(namespace)?;
        let mut record = match all.iter().position(|it| it.lasting) {
            Some(index) => all.swap_remove(index),
            None => directory.add_lasting(namespace)?,
        };
        for step in &self.steps {
            step.note(&mut record);
        }
        record.save()?;
        for step in &self.steps {
            if let Some(added) = step.take(&mut manager)? {
                // With its number, by which it comes back if it is taken out for a while.
                record.record.put(Entry::Held(added));
            }
            done(step);
        }
        record.save()
    }
}

impl Step {
    fn note(&self, found: &mut Found) {
        found.record.put(match self {
            Self::Set {
                name,
                before,
                value,
            } => Entry::Setting {
                name: name.clone(),
                before: before.clone(),
                after: value.clone(),
            },
            Self::Limit { before, limits } => Entry::Limits {
                before: *before,
                after: *limits,
            },
            // One that setup itself has made before is nothing to come back.
            Self::Remove(endpoint)
                if found.record.entries.iter().any(|it| is_own(it, endpoint)) =>
            {
                return;
            }
            Self::Remove(endpoint) => Entry::Replaced(endpoint.clone()),
            Self::Add { endpoint, .. } => Entry::Held(endpoint.clone()),
        });
    }

    /// Gives what was added.
    fn take(&self, manager: &mut PathManager) -> io::Result<Option<Endpoint>> {
        match self {
            Self::Set { name, value, .. } => set(name, value)?,
            Self::Limit { limits, .. } => manager.set_limits(*limits)?,
            Self::Remove(endpoint) => manager.remove(endpoint)?,
            Self::Add { endpoint, .. } => return manager.add(endpoint).map(Some),
        }
        Ok(None)
    }
}

fn is_own(entry: &Entry, endpoint: &Endpoint) -> bool {
    matches!(entry, Entry::Held(held) if held.address == endpoint.address)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { name, value, .. } => write!(f, "sysctl -w {}={value}", name_of(name)),
            Self::Limit { limits, .. } => write!(
                f,
                "ip mptcp limits set subflows {} add_addr_accepted {}",
                limits.subflows, limits.accepted_addresses
            ),
            Self::Remove(endpoint) => write!(f, "ip mptcp endpoint delete id {}", endpoint.id),
            Self::Add {
                endpoint,
                interface,
            } => {
                write!(
                    f,
                    "ip mptcp endpoint add {} dev {interface}",
                    endpoint.address
                )?;
                if endpoint.id != 0 {
                    write!(f, " id {}", endpoint.id)?;
                }
                write!(f, " {}", endpoint.flags)
            }
        }
    }
}

/// As `sysctl` has it. It takes slashes as well, which are needed where a part has a dot in it, as the name of a VLAN.
pub(super) fn name_of(name: &str) -> String {
    if name.contains('.') {
        format!("net/{name}")
    } else {
        format!("net.{}", name.replace('/', "."))
    }
}

fn filter_of(interface: &str) -> String {
    format!("ipv4/conf/{interface}/rp_filter")
}

/// Whether `rp_filter` is strict there: of the value for all and the one for the interface, the greater counts.
fn is_strict(interface: &str) -> bool {
    let values = ["all", interface].map(|name| setting(&filter_of(name)).ok()?.parse().ok());
    values.into_iter().flatten().max() == Some(STRICT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_reads_as_it_is_typed() {
        let set = |name: &str| Step::Set {
            name: name.into(),
            before: "1".into(),
            value: "2".into(),
        };
        let flags = EndpointFlags::SUBFLOW.with(EndpointFlags::BACKUP);
        let mut endpoint = Endpoint::new("2001:db8::7".parse().unwrap(), 3, flags);
        let add = |endpoint: &Endpoint| Step::Add {
            endpoint: endpoint.clone(),
            interface: "wwan0".into(),
        };
        let new = add(&endpoint);
        endpoint.id = 4;
        for (step, text) in [
            (
                set("ipv4/conf/wwan0/rp_filter"),
                "sysctl -w net.ipv4.conf.wwan0.rp_filter=2",
            ),
            (
                set("ipv4/conf/eth0.5/rp_filter"),
                "sysctl -w net/ipv4/conf/eth0.5/rp_filter=2",
            ),
            (
                new,
                "ip mptcp endpoint add 2001:db8::7 dev wwan0 subflow backup",
            ),
            (
                add(&endpoint),
                "ip mptcp endpoint add 2001:db8::7 dev wwan0 id 4 subflow backup",
            ),
            (Step::Remove(endpoint), "ip mptcp endpoint delete id 4"),
        ] {
            assert_eq!(step.to_string(), text);
        }
    }
}
