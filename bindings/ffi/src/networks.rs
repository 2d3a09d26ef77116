//! What the platform's framework knows of the device's networks, where that is more than the system tells a library.

use std::net::IpAddr;

use twinpath::{DefaultRoute, Interface};

use crate::error::{Failure, Kind};
use crate::names::{Cost, InterfaceKind};

/// A network of the device.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Network {
    /// The system's name of its interface.
    pub name: String,
    /// The system's index of its interface, 0 where it is not known.
    pub index: u32,
    /// What it is.
    pub kind: InterfaceKind,
    /// What a byte costs.
    pub cost: Cost,
    /// Addresses of the device in it.
    pub addresses: Vec<String>,
    /// The families in which it leads to the internet, where that is known.
    pub leads_out: Option<Families>,
    /// Android's `Network.getNetworkHandle()`: sockets are bound to it, not to the interface.
    pub network_handle: Option<u64>,
}

/// Families of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl Network {
    fn interface(self) -> Result<Interface, Failure> {
        let mut interface = Interface::new(self.name, self.index, self.kind.into());
        interface.cost = self.cost.into();
        interface.network_handle = self.network_handle;
        interface.has_default_route = self.leads_out.map(|it| DefaultRoute {
            v4: it.v4,
            v6: it.v6,
        });
        for text in self.addresses {
            // Java writes a scope behind link-local ones.
            let bare = text.split('%').next().unwrap_or(&text);
            let address = bare
                .parse::<IpAddr>()
                .map_err(|_| Failure::new(Kind::InvalidInput, format!("{text:?} is no address")))?;
            interface.addresses.push(address);
        }
        Ok(interface)
    }
}

/// Takes these networks, of which the platform has told, for all that there are, until it is told again; asks the system
/// itself if there is no list. Connections go on over what has come, and leave what is gone.
#[uniffi::export]
pub fn set_networks(networks: Option<Vec<Network>>) -> Result<(), Failure> {
    let Some(networks) = networks else {
        twinpath::unfeed_interfaces();
        return Ok(());
    };
    let interfaces = networks.into_iter().map(Network::interface);
    twinpath::feed_interfaces(interfaces.collect::<Result<_, _>>()?);
    Ok(())
}

/// Says whether the device mandates a proxy for all traffic: then connections take the system's route.
#[uniffi::export]
pub fn set_proxy_mandated(is_mandated: bool) -> Result<(), Failure> {
    twinpath::feed_proxy(is_mandated);
    Ok(())
}
