//! `twinpath doctor`, in a chain of routers that do what middleboxes do.

mod calm;
mod data;
mod hops;
mod joins;
mod output;
mod peers;
mod two_sided;
mod verdicts;
mod ways;

use std::thread;

use serde_json::Value;
use twinpath_lab::{CableFaults, Meddling};
use twinpath_tests::{Said, Speaks, Ward};

/// How many routers the chains have.
const ROUTERS: u8 = 4;

/// What was found out about the only path.
fn path(said: &Said) -> &Value {
    let paths = said.json["paths"].as_array();
    let [path] = &paths.unwrap_or_else(|| panic!("{said:?}"))[..] else {
        panic!("{said:?}")
    };
    path
}

fn verdict(said: &Said) -> &str {
    path(said)["verdict"].as_str().unwrap()
}

/// Between which hops that was changed; `None` if nothing like it was.
fn changed(trace: &Value, what: &str) -> Option<(u64, u64)> {
    let changes = trace["changes"].as_array().unwrap();
    let mut found = changes
        .iter()
        .filter(|it| it["what"].as_str().unwrap().contains(what));
    let change = found.next()?;
    assert_eq!(found.next(), None, "{trace:#}");
    Some(ends(&change["between"]))
}

fn ends(between: &Value) -> (u64, u64) {
    (
        between["after"].as_u64().unwrap(),
        between["by"].as_u64().unwrap(),
    )
}

/// Between which hops packets vanish, if that is said.
fn vanish(trace: &Value) -> Option<(u64, u64)> {
    let dropped = &trace["dropped"];
    dropped.is_object().then(|| ends(dropped))
}

/// What was found about that, as a word.
fn state<'a>(said: &'a Said, topic: &str) -> Option<&'a str> {
    let findings = path(said)["findings"].as_array().unwrap();
    let mut about = findings.iter().filter(|it| it["topic"] == topic);
    let found = about.next()?;
    assert_eq!(about.next(), None, "{said:?}");
    found["state"].as_str()
}

/// Whether something is said not to be known, with these words.
fn needs(said: &Said, words: &str) -> bool {
    path(said)["needs"].to_string().contains(words)
}

/// Plays all of these at once, each in a chain of its own: they mostly wait.
#[track_caller]
fn all<T: std::fmt::Debug + Clone + Sync>(
    speaks: Speaks,
    cells: &[T],
    play: impl Fn(&Ward, T) + Sync,
) {
    all_in(|_| Ward::new(ROUTERS, speaks), cells, play);
}

/// The same in chains that are made for each.
#[track_caller]
fn all_in<T: std::fmt::Debug + Clone + Sync>(
    make: impl Fn(&T) -> Option<Ward> + Sync,
    cells: &[T],
    play: impl Fn(&Ward, T) + Sync,
) {
    let test = thread::current();
    let name = test.name().unwrap_or("a test");
    thread::scope(|scope| {
        let playing: Vec<_> = cells
            .iter()
            .map(|cell| {
                let (play, make) = (&play, &make);
                let act = move || {
                    if let Some(ward) = make(cell) {
                        play(&ward, cell.clone());
                    }
                };
                let thread = thread::Builder::new().name(format!("{name} {cell:?}"));
                thread.spawn_scoped(scope, act).unwrap()
            })
            .collect();
        for thread in playing {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// Every pair of them.
fn pairs<A: Copy, B: Copy>(first: impl IntoIterator<Item = A>, second: &[B]) -> Vec<(A, B)> {
    let first = first.into_iter();
    first
        .flat_map(|a| second.iter().map(move |b| (a, *b)))
        .collect()
}

/// Has one cable do that, and every other one nothing.
fn only(ward: &Ward, cable: u8, change: impl Fn(&mut CableFaults)) {
    for number in 0..ward.chain.length() {
        ward.chain
            .cable(number)
            .set(|faults| *faults = CableFaults::default());
    }
    ward.chain.cable(cable).set(change);
}

/// What happens on the way out, or back.
fn way(faults: &mut CableFaults, is_out: bool) -> &mut Meddling {
    match is_out {
        true => &mut faults.out,
        false => &mut faults.back,
    }
}
