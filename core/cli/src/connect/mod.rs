//! `twinpath connect`: the client half, for standard input and output or for local connections.

mod copy;
mod events;
mod line;
mod listen;
mod signals;
mod stdio;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Runtime;
use twinpath::{
    ConnectError, Connection, Connector, ErrorKind, InterfaceSelector, Peer, ResetCode,
    SessionError,
};

use crate::args::{ConnectArgs, Mode, Service, Standby};
use crate::exit::{self, Failure};
use crate::values::EventsTo;
pub(crate) use events::EventLog;
pub(crate) use line::Line;
pub(crate) use signals::{Signal, Signals};

pub(crate) fn run(args: &ConnectArgs) -> ExitCode {
    let started = Instant::now();
    exit::with(check(args).and_then(|()| connect(args, started)))
}

/// What contradicts itself, before anything is done.
fn check(args: &ConnectArgs) -> Result<(), Failure> {
    if args.mode == Mode::Emulated && !args.gateway {
        return Err(Failure::usage(
            "--mode emulated needs a gateway at the other end: add --gateway if it is one",
        ));
    }
    if args.pin.is_some() && (!args.gateway || args.mode == Mode::Plain) {
        return Err(Failure::usage(
            "--pin is for the key of a gateway: add --gateway, or leave the pin out",
        ));
    }
    let same = args.primary.is_some() && args.primary == args.backup;
    if same {
        return Err(Failure::usage(
            "--primary and --backup name the same interface; name two, or leave one out",
        ));
    }
    Ok(())
}

fn connect(args: &ConnectArgs, started: Instant) -> Result<(), Failure> {
    let runtime = Runtime::new().map_err(Failure::not_connected)?;
    let result = runtime.block_on(async {
        // A name that does not exist is told now, not at the first connection.
        for name in [&args.primary, &args.backup].into_iter().flatten() {
            twinpath_socket::find(name).map_err(Failure::not_connected)?;
        }
        let connector = connector(args)?;
        let log = open_log(args, started)?;
        match &args.listen {
            Some(address) => listen::run(connector, args.target.as_str(), address, log).await,
            None => stdio::run(connector, args.target.as_str(), is_session(args), log).await,
        }
    });
    // A lookup that hangs, or a standard input that never ends, must not hold up the end.
    runtime.shutdown_background();
    result
}

/// Whether the session protocol is spoken.
fn is_session(args: &ConnectArgs) -> bool {
    args.gateway && !matches!(args.mode, Mode::Plain | Mode::Kernel)
}

fn connector(args: &ConnectArgs) -> Result<Connector, Failure> {
    let peer = if is_session(args) {
        Peer::Gateway
    } else {
        Peer::Any
    };
    let service = match args.service {
        Service::Handover => twinpath::ServiceType::Handover,
        Service::Interactive => twinpath::ServiceType::Interactive,
    };
    let mut builder = Connector::builder().service(service).peer(peer);
    if let Some(standby) = args.standby {
        builder = builder.standby(match standby {
            Standby::Cold => twinpath::Standby::Cold,
            Standby::Warm => twinpath::Standby::Warm,
        });
    }
    match args.mode {
        Mode::Kernel => builder = builder.mode(twinpath::Mode::KernelMptcp),
        Mode::Plain => builder = builder.mode(twinpath::Mode::PlainPair),
        Mode::Auto | Mode::Emulated => {}
    }
    if let Some(name) = &args.primary {
        builder = builder.primary(InterfaceSelector::name(name));
    }
    if let Some(name) = &args.backup {
        builder = builder.backup(InterfaceSelector::name(name));
    }
    if let Some(pin) = &args.pin {
        builder = builder.pin(pin.0);
    }
    if let Some(budget) = args.budget {
        builder = builder.budget(Some(budget));
    }
    builder.build().map_err(Failure::usage)
}

fn open_log(args: &ConnectArgs, started: Instant) -> Result<Arc<EventLog>, Failure> {
    let to = args.events.as_ref();
    let opened = if args.listen.is_some() {
        EventLog::open(to, io::stdout(), started)
    } else {
        EventLog::open(to, io::stderr(), started)
    };
    opened.map(Arc::new).map_err(|error| {
        let path = match to {
            Some(EventsTo::File(path)) => path.display().to_string(),
            _ => "-".to_owned(),
        };
        Failure::not_connected(format!("cannot write events to {path}: {error}"))
    })
}

/// Opens one connection.
async fn open(connector: &Connector, target: &str) -> Result<Connection, ConnectError> {
    let connection = connector.connect(target).await?;
    log::info!(
        "connected: {} ({}), {}",
        connection.mode(),
        connection.mode_reason(),
        connection.protection()
    );
    Ok(connection)
}

/// Whether an error of a read or write says that there never was a connection, to the gateway or to the service
/// behind it.
fn never_connected(error: &io::Error) -> bool {
    let inner = error.get_ref();
    let no_service = matches!(
        inner.and_then(|inner| inner.downcast_ref()),
        Some(SessionError::Reset {
            code: ResetCode::UpstreamUnreachable,
            ..
        })
    );
    no_service
        || matches!(
            ErrorKind::of_io(error),
            ErrorKind::NotAGateway | ErrorKind::GatewayRefused | ErrorKind::PinMismatch
        )
}
