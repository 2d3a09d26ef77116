//! One download, to a file or to standard output.

use std::io::{self, IsTerminal as _, Read as _, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use twinpath::http::{
    Body, Client, HeaderMap, Method, Report, RequestBuilder, Response, StatusCode,
};

use super::args::Args;
use super::bar::Bar;
use super::codes;
use super::partial::{Known, Partial};
use super::story;
use crate::connect::{EventLog, Signal, Signals};
use crate::exit::{self, Failure};

/// A file that changes while it is fetched is begun anew so often.
const BEGINNINGS: u32 = 3;

/// How a download ended.
struct Done {
    size: u64,
    /// Bytes of it that an earlier run had fetched.
    kept: u64,
    sum: [u8; 32],
    report: Report,
}

pub(super) async fn run(
    client: &Client,
    args: &Args,
    log: Arc<EventLog>,
    started: Instant,
) -> Result<(), Failure> {
    let bar = Arc::new(Bar::new(args.quiet, 0));
    let mut signals = Signals::listen();
    let report = std::sync::Mutex::new(None);
    let fetching = async {
        match args.file() {
            Some(path) => to_file(client, args, path, &bar, &log, &report).await,
            None => to_standard_output(client, args, &bar, &log, &report).await,
        }
    };
    let result = tokio::select! {
        result = fetching => result,
        signal = signals.next() => Err(stopped(signal, args)),
    };
    bar.finish();
    let report: Option<Report> = report
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let summary = report.map(|report| report.summary()).unwrap_or_default();
    let reason = match &result {
        Ok(_) => "closed".to_owned(),
        Err(failure) => failure.message.clone(),
    };
    story::record_summary(&log, &reason, &summary);
    let done = result?;
    if !args.quiet {
        let line = story::line(
            done.size,
            done.kept,
            started.elapsed(),
            &done.report.summary(),
        );
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
    Ok(())
}

fn stopped(signal: Signal, args: &Args) -> Failure {
    if args.file().is_some() && !args.quiet {
        exit::complain("stopped; the same command goes on where this one was");
    }
    Failure::silent(signal.exit_code())
}

/// The request as it is asked for.
fn request(
    client: &Client,
    args: &Args,
    bar: &Arc<Bar>,
    log: &Arc<EventLog>,
) -> Result<RequestBuilder, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in &args.header {
        headers.append(name, value.clone());
    }
    let mut request = client.request(args.method(), &args.url);
    if let Some(data) = &args.data {
        request = request.body(body(data)?);
        if !headers.contains_key("content-type") {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
    }
    // What is written to a file are the bytes as they are, as curl has it.
    if !headers.contains_key("accept-encoding") {
        request = request.header("accept-encoding", "identity");
    }
    let (told, shown, progress) = (Arc::clone(log), Arc::clone(bar), Arc::clone(bar));
    Ok(request
        .headers(headers)
        .on_event(move |event| {
            story::record(&told, event);
            shown.tell(event);
        })
        .on_progress(move |now| progress.path(now)))
}

fn body(data: &str) -> Result<Body, Failure> {
    let unreadable = |error: io::Error| {
        Failure::with_code(codes::READ, format!("cannot read the data: {error}"))
    };
    match data.strip_prefix('@') {
        None => Ok(data.to_owned().into()),
        Some("-") => {
            let mut all = Vec::new();
            io::stdin()
                .lock()
                .read_to_end(&mut all)
                .map_err(unreadable)?;
            Ok(all.into())
        }
        Some(path) => Body::file(path).map_err(unreadable),
    }
}

type Reported<'a> = &'a std::sync::Mutex<Option<Report>>;

async fn send(request: RequestBuilder, report: Reported<'_>) -> Result<Response, Failure> {
    *report
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(request.report());
    request.send().await.map_err(|error| codes::failure(&error))
}

fn check_status(response: Response) -> Result<Response, Failure> {
    response
        .error_for_status()
        .map_err(|error| codes::failure(&error))
}

async fn to_standard_output(
    client: &Client,
    args: &Args,
    bar: &Arc<Bar>,
    log: &Arc<EventLog>,
    report: Reported<'_>,
) -> Result<Done, Failure> {
    let mut response = check_status(send(request(client, args, bar, log)?, report).await?)?;
    if io::stdout().is_terminal() {
        // Two things on one terminal would be in each other's way.
        bar.finish();
    }
    bar.set_total(response.content_length());
    let (mut hash, mut size) = (Sha256::new(), 0);
    let failed = |error: io::Error| {
        Failure::with_code(
            codes::WRITE,
            format!("cannot write to standard output: {error}"),
        )
    };
    while let Some(bytes) = response
        .chunk()
        .await
        .map_err(|error| codes::failure(&error))?
    {
        io::stdout().lock().write_all(&bytes).map_err(failed)?;
        hash.update(&bytes);
        size += bytes.len() as u64;
        bar.add(bytes.len() as u64);
    }
    io::stdout().lock().flush().map_err(failed)?;
    let done = Done {
        size,
        kept: 0,
        sum: hash.finalize().into(),
        report: response.report(),
    };
    check_sum(args, &done)?;
    Ok(done)
}

async fn to_file(
    client: &Client,
    args: &Args,
    path: &Path,
    bar: &Arc<Bar>,
    log: &Arc<EventLog>,
    report: Reported<'_>,
) -> Result<Done, Failure> {
    let partial = Partial::of(path);
    let is_plain =
        args.method() == Method::GET && !args.header.iter().any(|(name, _)| name == "range");
    let mut known = partial.known(&args.url).filter(|_| is_plain);
    let mut begun = 0;
    loop {
        let mut asked = request(client, args, bar, log)?;
        if let Some((known, size)) = &known {
            asked = asked
                .header("range", format!("bytes={size}-"))
                .header("if-range", &known.validator);
        }
        let response = send(asked, report).await?;
        let goes_on = known
            .as_ref()
            .is_some_and(|(known, size)| goes_on(&response, known, *size));
        if known.is_some() && !goes_on && response.status() != StatusCode::OK {
            // The part is of no use, or the server wants no parts.
            log::info!("the part of an earlier run is not gone on with");
            known = None;
            continue;
        }
        let response = check_status(response)?;
        let (mut file, hash, kept) = partial
            .open(goes_on)
            .map_err(|error| codes::write(partial.part(), &error))?;
        let noted = note(args, &response, kept).filter(|_| is_plain);
        partial
            .note(noted.as_ref())
            .map_err(|error| codes::write(partial.part(), &error))?;
        if goes_on {
            bar.add(kept);
        } else {
            bar.begin_anew();
        }
        let done = write(response, &mut file, partial.part(), hash, kept, bar).await;
        let done = match done {
            // There is another one by now: once more, from its start.
            Err(Failed::Changed) if is_plain && begun < BEGINNINGS => {
                begun += 1;
                bar.begin_anew();
                known = None;
                continue;
            }
            Err(Failed::Changed) => {
                let text = "the file has changed while it was fetched";
                return Err(Failure::with_code(codes::WRITE, text));
            }
            Err(Failed::With(failure)) => return Err(failure),
            Ok(done) => done,
        };
        file.sync_all()
            .map_err(|error| codes::write(partial.part(), &error))?;
        if let Err(failure) = check_sum(args, &done) {
            if kept > 0 {
                // Whatever an earlier run had left may be what is wrong.
                known = None;
                bar.begin_anew();
                continue;
            }
            // Nothing that another run could go on with.
            let _ = partial.discard();
            return Err(failure);
        }
        partial
            .finish()
            .map_err(|error| codes::write(path, &error))?;
        return Ok(done);
    }
}

enum Failed {
    Changed,
    With(Failure),
}

async fn write(
    mut response: Response,
    file: &mut std::fs::File,
    path: &Path,
    mut hash: Sha256,
    kept: u64,
    bar: &Bar,
) -> Result<Done, Failed> {
    bar.set_total(response.content_length().map(|length| length + kept));
    let mut size = kept;
    loop {
        let bytes = match response.chunk().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => break,
            Err(twinpath::http::Error::ResourceChanged { .. }) => return Err(Failed::Changed),
            Err(error) => return Err(Failed::With(codes::failure(&error))),
        };
        file.write_all(&bytes)
            .map_err(|error| Failed::With(codes::write(path, &error)))?;
        hash.update(&bytes);
        size += bytes.len() as u64;
        bar.add(bytes.len() as u64);
    }
    Ok(Done {
        size,
        kept,
        sum: hash.finalize().into(),
        report: response.report(),
    })
}

/// Whether the answer is what comes behind the part that is there.
fn goes_on(response: &Response, known: &Known, size: u64) -> bool {
    let text = |name: &str| response.headers().get(name).and_then(|it| it.to_str().ok());
    let range = text("content-range").and_then(|range| range.strip_prefix("bytes "));
    let begins = range.is_some_and(|range| range.starts_with(&format!("{size}-")));
    let total = range.and_then(|range| range.rsplit_once('/')?.1.parse().ok());
    let same = known.total.is_none() || total.is_none() || known.total == total;
    response.status() == StatusCode::PARTIAL_CONTENT && begins && same
}

/// What another run has to know to go on.
fn note(args: &Args, response: &Response, kept: u64) -> Option<Known> {
    let validator = response.validator()?;
    Some(Known {
        url: args.url.clone(),
        validator: validator.to_str().ok()?.to_owned(),
        total: response.content_length().map(|length| length + kept),
    })
}

fn check_sum(args: &Args, done: &Done) -> Result<(), Failure> {
    let hex = |sum: &[u8; 32]| {
        sum.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    match &args.sha256 {
        Some(wanted) if wanted.0 != done.sum => Err(Failure::with_code(
            codes::DIGEST,
            format!(
                "what came has the SHA-256 {}, not {}",
                hex(&done.sum),
                hex(&wanted.0)
            ),
        )),
        _ => Ok(()),
    }
}
