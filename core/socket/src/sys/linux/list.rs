//! The list of interfaces, by netlink dumps.

use std::io;

use super::{
    kind,
    message::{self, DefaultRouteMessage, Link},
    netlink::Query,
};
use crate::{DefaultRoute, Interface};

pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    list(&mut Query::new(libc::NETLINK_ROUTE)?)
}

/// The list as the namespace of `query` has it.
pub(super) fn list(query: &mut Query) -> io::Result<Vec<Interface>> {
    let links = query.dump(libc::RTM_GETLINK, libc::AF_UNSPEC, Link::parse)?;
    let addresses = query.dump(libc::RTM_GETADDR, libc::AF_UNSPEC, message::parse_address)?;
    let mut routes = query.dump(
        libc::RTM_GETROUTE,
        libc::AF_INET,
        DefaultRouteMessage::parse,
    )?;
    routes.extend(query.dump(
        libc::RTM_GETROUTE,
        libc::AF_INET6,
        DefaultRouteMessage::parse,
    )?);

    let mut list: Vec<Interface> = links.into_iter().map(interface).collect();
    for interface in &mut list {
        interface.addresses = addresses
            .iter()
            .filter(|(index, _)| *index == interface.index)
            .map(|(_, address)| *address)
            .collect();
        let leaves_here = |v6: bool| {
            routes
                .iter()
                .any(|route| route.v6 == v6 && route.interfaces.contains(&interface.index))
        };
        interface.has_default_route = Some(DefaultRoute {
            v4: leaves_here(false),
            v6: leaves_here(true),
        });
    }
    list.sort_by_key(|interface| interface.index);
    Ok(list)
}

fn interface(link: Link) -> Interface {
    let kind = kind::of(&link);
    let up = link.is_up();
    let mut interface = Interface::new(link.name, link.index, kind);
    interface.up = up;
    interface
}
