//! `twinpath fetch`: a download that survives losing Wi-Fi.

mod args;
mod bar;
mod codes;
mod download;
mod partial;
mod story;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Runtime;
use twinpath::http::Client;
use twinpath::tls::TlsConfig;
use twinpath::{Connector, InterfaceSelector, Peer, Target};

use crate::args::{Service, Standby};
use crate::connect::EventLog;
use crate::exit::{self, Failure};
use crate::values::EventsTo;

pub(crate) use args::Args;

pub(crate) fn run(args: &Args) -> ExitCode {
    let started = Instant::now();
    exit::with(fetch(args, started))
}

fn fetch(args: &Args, started: Instant) -> Result<(), Failure> {
    args.check()?;
    let runtime = Runtime::new().map_err(Failure::lost)?;
    let result = runtime.block_on(async {
        let client = client(args)?;
        let log = open_log(args, started)?;
        download::run(&client, args, log, started).await
    });
    // A lookup that hangs must not hold up the end.
    runtime.shutdown_background();
    result
}

fn client(args: &Args) -> Result<Client, Failure> {
    for name in [&args.primary, &args.backup].into_iter().flatten() {
        twinpath_socket::find(name).map_err(|error| Failure::with_code(codes::INTERFACE, error))?;
    }
    let mut tls = TlsConfig::new();
    if let Some(path) = &args.cacert {
        let pem = std::fs::read(path).map_err(|error| {
            Failure::with_code(
                codes::CACERT,
                format!("cannot read {}: {error}", path.display()),
            )
        })?;
        // As curl has it: these roots and no others.
        tls = tls
            .with_only_roots(&pem)
            .map_err(|error| Failure::with_code(codes::CACERT, error))?;
    }
    let mut builder = Client::builder(connector(args)?).tls(tls);
    if let Some(gateway) = &args.gateway {
        let target: Target = gateway.as_str().parse().map_err(Failure::usage)?;
        builder = builder.connect_to(target).no_proxy();
    }
    Ok(builder.build())
}

fn connector(args: &Args) -> Result<Connector, Failure> {
    let mut builder = Connector::builder().service(match args.service {
        Service::Handover => twinpath::ServiceType::Handover,
        Service::Interactive => twinpath::ServiceType::Interactive,
    });
    if args.gateway.is_some() {
        builder = builder.peer(Peer::Gateway);
    }
    if let Some(standby) = args.standby {
        builder = builder.standby(match standby {
            Standby::Cold => twinpath::Standby::Cold,
            Standby::Warm => twinpath::Standby::Warm,
        });
    }
    if let Some(name) = &args.primary {
        builder = builder.primary(InterfaceSelector::name(name));
    }
    if let Some(name) = &args.backup {
        builder = builder.backup(InterfaceSelector::name(name));
    }
    if let Some(budget) = args.budget {
        builder = builder.budget(Some(budget));
    }
    builder.build().map_err(Failure::usage)
}

fn open_log(args: &Args, started: Instant) -> Result<Arc<EventLog>, Failure> {
    let opened = EventLog::open(args.events.as_ref(), io::stderr(), started);
    opened.map(Arc::new).map_err(|error| {
        let path = match &args.events {
            Some(EventsTo::File(path)) => path.display().to_string(),
            _ => "-".to_owned(),
        };
        Failure::with_code(
            codes::WRITE,
            format!("cannot write events to {path}: {error}"),
        )
    })
}
