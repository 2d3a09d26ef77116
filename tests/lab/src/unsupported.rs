//! The lab's face where there are no namespaces: it compiles, and says that it is not available.
//!
//! No value of these types can exist, so none of their methods can run.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::future::Future;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use crate::counters::Counters;
use crate::error::LabError;
use crate::spec::{Direction, End, LinkSpec, Rebind, Shape, StripHow, StripMode};

fn unsupported() -> LabError {
    LabError::Unsupported {
        platform: std::env::consts::OS,
    }
}

/// Namespaces need Linux.
///
/// # Errors
///
/// Always [`LabError::Unsupported`].
pub fn become_root_in_user_namespace() -> Result<(), LabError> {
    Err(unsupported())
}

/// A client and a server with links between them; needs Linux.
#[derive(Debug)]
pub struct World(Infallible);

/// Collects the links of a [`World`].
#[derive(Debug, Default, Clone)]
#[must_use]
pub struct WorldBuilder(());

/// One host; needs Linux.
#[derive(Debug, Clone)]
pub struct Host(Infallible);

/// Keeps the calling thread on a host; needs Linux.
#[derive(Debug)]
pub struct Entered(#[allow(dead_code, reason = "makes the type uninhabited")] Infallible);

/// Something that runs on a host; needs Linux.
#[derive(Debug)]
#[must_use = "dropping a task ends it; call detach to let it run as long as the world"]
pub struct Task<T>(Infallible, PhantomData<T>);

/// One link; needs Linux.
#[derive(Debug, Clone)]
pub struct LinkHandle(Infallible);

impl WorldBuilder {
    /// Adds a link.
    pub fn link(self, _: &str, _: LinkSpec) -> Self {
        self
    }

    /// Seeds random loss and jitter.
    pub fn seed(self, _: u64) -> Self {
        self
    }

    /// Fails.
    ///
    /// # Errors
    ///
    /// Always [`LabError::Unsupported`].
    pub fn build(self) -> Result<World, LabError> {
        Err(unsupported())
    }
}

impl World {
    /// Fails.
    ///
    /// # Errors
    ///
    /// Always [`LabError::Unsupported`].
    pub fn new() -> Result<Self, LabError> {
        Err(unsupported())
    }

    /// A builder that fails in the end.
    pub fn builder() -> WorldBuilder {
        WorldBuilder(())
    }
}

/// Methods of a type without values.
macro_rules! never {
    ($($(#[$attribute:meta])* fn $name:ident(&self $(, $argument:ident: $type:ty)*) $(-> $result:ty)?;)*) => {
        $(
            #[doc = "Needs Linux; cannot be called elsewhere."]
            $(#[$attribute])*
            pub fn $name(&self $(, $argument: $type)*) $(-> $result)? {
                $(let _ = $argument;)*
                match self.0 {}
            }
        )*
    };
}

impl World {
    never! {
        fn client(&self) -> &Host;
        fn server(&self) -> &Host;
        fn server_addr(&self) -> IpAddr;
        fn second_server_addr(&self) -> IpAddr;
        fn server_addr_v6(&self) -> Option<IpAddr>;
        fn server_socket(&self, port: u16) -> SocketAddr;
        fn links(&self) -> &[LinkHandle];
        fn link(&self, name: &str) -> LinkHandle;
        fn find_link(&self, name: &str) -> Result<LinkHandle, LabError>;
        fn mptcp_endpoint_backup(&self, link: &str) -> Result<(), LabError>;
        fn mptcp_endpoint(&self, link: &str, backup: bool) -> Result<(), LabError>;
        fn mptcp_flush_endpoints(&self) -> Result<(), LabError>;
    }
}

impl Host {
    never! {
        fn enter(&self) -> Result<Entered, LabError>;
        fn sysctl(&self, name: &str, value: &str) -> Result<(), LabError>;
        fn mptcp_mib(&self, name: &str) -> Result<u64, LabError>;
        fn command(&self, program: impl AsRef<OsStr>) -> Command;
    }

    /// Needs Linux; cannot be called elsewhere.
    ///
    /// # Errors
    ///
    /// None.
    pub fn run<F, Fut, T>(&self, _: F) -> Result<T, LabError>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = T>,
        T: Send,
    {
        match self.0 {}
    }

    /// Needs Linux; cannot be called elsewhere.
    ///
    /// # Errors
    ///
    /// None.
    pub fn spawn<F, Fut, T>(&self, _: F) -> Result<Task<T>, LabError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        match self.0 {}
    }
}

impl<T> Task<T> {
    never! {
        fn is_finished(&self) -> bool;
    }

    /// Needs Linux; cannot be called elsewhere.
    pub fn join(self) -> T {
        match self.0 {}
    }

    /// Needs Linux; cannot be called elsewhere.
    #[allow(clippy::unused_async, reason = "has the shape of the real one")]
    pub async fn wait(self) -> T {
        match self.0 {}
    }

    /// Needs Linux; cannot be called elsewhere.
    pub fn detach(self) {
        match self.0 {}
    }
}

impl LinkHandle {
    never! {
        fn name(&self) -> &str;
        fn index(&self) -> u32;
        fn spec(&self) -> LinkSpec;
        fn set(&self, change: impl FnOnce(&mut LinkSpec));
        fn set_one_way(&self, direction: Direction, change: impl Fn(&mut Shape));
        fn blackhole(&self, direction: Direction);
        fn blackhole_behind_pep(&self, direction: Direction);
        fn blackhole_server(&self, server: IpAddr);
        fn heal(&self);
        fn drop_syns(&self, on: bool);
        fn drop_mptcp_syns(&self, on: bool);
        fn strip_mptcp(&self, mode: StripMode, direction: Direction);
        fn take_out_mptcp(&self, mode: StripMode, how: StripHow, direction: Direction);
        fn inject_rst(&self, to: End) -> usize;
        fn inject_rst_port(&self, to: End, port: u16) -> usize;
        fn rebind_nat(&self, how: Rebind);
        fn counters(&self) -> Counters;
        fn backlog(&self) -> (usize, usize);
        fn assert_dropped_since(&self, before: &Counters);
        fn assert_payload_since(&self, before: &Counters, allowed: u64);
        fn measure_rtt(&self) -> Result<std::time::Duration, LabError>;
        fn measure_rtt_v6(&self) -> Result<std::time::Duration, LabError>;
        fn addresses(&self) -> Vec<IpAddr>;
        fn down(&self) -> Result<(), LabError>;
        fn up(&self) -> Result<(), LabError>;
        fn set_carrier(&self, on: bool) -> Result<(), LabError>;
        fn remove_address(&self) -> Result<(), LabError>;
        fn restore_address(&self) -> Result<(), LabError>;
        fn change_address(&self) -> Result<Vec<IpAddr>, LabError>;
        fn remove_default_route(&self) -> Result<(), LabError>;
        fn restore_default_route(&self) -> Result<(), LabError>;
    }
}
