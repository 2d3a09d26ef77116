//! What differs per platform, behind one small API: interfaces and their changes, sockets bound to
//! one of them, the health that the kernel knows of a TCP connection, names resolved over one path,
//! and a clock that counts sleep.
//!
//! A connection with a backup needs two sockets that leave the device by two different interfaces,
//! whatever the default route says. Every operating system has its own way to ask for that:
//!
//! | | bind a socket | list interfaces | be told of changes | TCP health | resolve per path |
//! |---|---|---|---|---|---|
//! | Linux | `SO_BINDTODEVICE` | netlink | netlink | `TCP_INFO` | system resolver, then its name servers |
//! | Android | `android_setsocknetwork` | `getifaddrs`, or [fed](feed_interfaces) | [fed](feed_interfaces) | `TCP_INFO` | `android_getaddrinfofornetwork` |
//! | iOS, macOS | `IP_BOUND_IF` | `getifaddrs` and an ioctl, or fed | routing socket, or fed | `TCP_CONNECTION_INFO` | `DNSServiceGetAddrInfo` |
//! | Windows | `IP_UNICAST_IF` and a source address | `GetAdaptersAddresses` | `NotifyIpInterfaceChange` | `SIO_TCP_INFO` | system resolver |
//!
//! All `unsafe` code and all `cfg(target_os)` of the project are in this crate, in the private
//! module `sys`; everything above it is the same on every platform.
//!
//! # Where a platform knows better
//!
//! Android and iOS tell an app about networks only through their own frameworks
//! (`ConnectivityManager`, `NWPathMonitor`). The platform's side feeds what it learns there to
//! [`feed_interfaces`]; from then on that list is the truth, for [`interfaces`] and for every
//! [`InterfaceWatcher`].
//!
//! # Example
//!
//! ```no_run
//! use twinpath_socket::{ConnectOptions, InterfaceKind, connect, interfaces, resolve, tcp_health};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let all = interfaces()?;
//! let is_backup = |it: &&twinpath_socket::Interface| it.kind == InterfaceKind::Cellular && it.is_usable();
//! let cellular = all.iter().find(is_backup).ok_or("no cellular interface")?;
//! let binding = cellular.binding();
//! let addresses = resolve("example.com", 443, &binding).await?;
//! let stream = connect(addresses[0], &ConnectOptions::bound_to(binding)).await?;
//! println!("{:?}", tcp_health(&stream)?.srtt);
//! # Ok(())
//! # }
//! ```

mod checksum;
mod clock;
mod connect;
mod error;
mod feed;
mod health;
mod interface;
mod limits;
mod mandate;
pub mod mptcp;
mod options;
pub mod raw;
mod resolve;
pub mod room;
pub mod runtime;
mod saved_syn;
mod scope;
mod sys;
#[cfg(feature = "trust")]
mod trust;
mod watch;

pub use clock::now_boottime;
pub use connect::{abort, connect, finish, listen, probe_closely, reset_on_drop, tune};
pub use error::InterfaceError;
pub use feed::{feed_interfaces, feed_proxy, unfeed_interfaces};
pub use health::{TcpHealth, tcp_health};
pub use interface::{Cost, DefaultRoute, Interface, InterfaceKind, find, interfaces};
pub use limits::{is_out_of_descriptors, raise_descriptor_limit};
pub use mandate::{Mandate, system_mandate, system_mandate_among};
pub use options::{Binding, ConnectOptions, ListenOptions};
pub use resolve::resolve;
pub use saved_syn::{save_syns, saved_syn};
pub use scope::is_local_scope;
#[cfg(feature = "trust")]
pub use trust::platform_verifier;
pub use watch::InterfaceWatcher;
