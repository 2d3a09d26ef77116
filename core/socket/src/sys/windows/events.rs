//! The system's events about interfaces and addresses.
#![allow(unsafe_code, reason = "callbacks that the system calls")]

use std::{
    ffi::c_void,
    io, ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;
use windows_sys::Win32::{
    Foundation::{HANDLE, NO_ERROR},
    NetworkManagement::IpHelper::{
        CancelMibChangeNotify2, MIB_IPINTERFACE_ROW, MIB_UNICASTIPADDRESS_ROW, MibAddInstance,
        NotifyIpInterfaceChange, NotifyUnicastIpAddressChange,
    },
    Networking::WinSock::AF_UNSPEC,
};

use crate::{Interface, watch::Urgency};

#[derive(Debug)]
pub(crate) struct Events {
    // Before `heard`: the callbacks end before what they use.
    _registrations: [Registration; 2],
    heard: Arc<Heard>,
}

/// What the callbacks tell.
#[derive(Debug, Default)]
struct Heard {
    something: Notify,
    /// It may have been a loss.
    loss: AtomicBool,
}

impl Heard {
    /// Only an addition is surely no loss: a link that goes down is told as a changed parameter.
    fn tell(&self, what: i32) {
        if what != MibAddInstance {
            self.loss.store(true, Ordering::Relaxed);
        }
        self.something.notify_one();
    }
}

/// A callback that is registered, and is not called any more once this is dropped.
#[derive(Debug)]
struct Registration(HANDLE);

// SAFETY: the handle is only passed to the system, which takes it from any thread.
unsafe impl Send for Registration {}
// SAFETY: nothing can be done with it through a shared reference.
unsafe impl Sync for Registration {}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: the handle is registered and is cancelled once. The call waits for a callback
        // that is running.
        unsafe { CancelMibChangeNotify2(self.0) };
    }
}

impl Events {
    pub(crate) fn new() -> io::Result<Self> {
        let heard = Arc::new(Heard::default());
        let context = Arc::as_ptr(&heard).cast::<c_void>();
        let mut handle = ptr::null_mut();
        // SAFETY: `context` outlives the registration, which `Events` drops first.
        let status = unsafe {
            NotifyIpInterfaceChange(
                AF_UNSPEC,
                Some(interface_changed),
                context,
                false,
                &raw mut handle,
            )
        };
        let interface = registration(status, handle)?;
        // SAFETY: as above.
        let status = unsafe {
            NotifyUnicastIpAddressChange(
                AF_UNSPEC,
                Some(address_changed),
                context,
                false,
                &raw mut handle,
            )
        };
        let address = registration(status, handle)?;
        Ok(Self {
            _registrations: [interface, address],
            heard,
        })
    }

    pub(crate) fn interfaces(&mut self) -> io::Result<Vec<Interface>> {
        super::interfaces()
    }

    /// Waits for events that may change the list. Cancel-safe: nothing is taken before the await
    /// ends.
    pub(crate) async fn next(&mut self) -> Urgency {
        self.heard.something.notified().await;
        if self.heard.loss.swap(false, Ordering::Relaxed) {
            Urgency::Loss
        } else {
            Urgency::Gain
        }
    }
}

fn registration(status: u32, handle: HANDLE) -> io::Result<Registration> {
    if status == NO_ERROR {
        Ok(Registration(handle))
    } else {
        Err(io::Error::from_raw_os_error(status as i32))
    }
}

/// # Safety
///
/// `context` is the [`Heard`] of a living [`Events`].
unsafe extern "system" fn interface_changed(
    context: *const c_void,
    _row: *const MIB_IPINTERFACE_ROW,
    what: i32,
) {
    // SAFETY: as the caller promises.
    unsafe { &*context.cast::<Heard>() }.tell(what);
}

/// # Safety
///
/// `context` is the [`Heard`] of a living [`Events`].
unsafe extern "system" fn address_changed(
    context: *const c_void,
    _row: *const MIB_UNICASTIPADDRESS_ROW,
    what: i32,
) {
    // SAFETY: as the caller promises.
    unsafe { &*context.cast::<Heard>() }.tell(what);
}
