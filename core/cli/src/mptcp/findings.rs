//! What is said about this machine.

use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ok,
    /// Without it there is no protected connection.
    Missing,
    Note,
}

impl State {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Note => "note",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) state: State,
    pub(super) topic: &'static str,
    pub(super) text: String,
    /// What to do.
    pub(super) advice: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn ok(&mut self, topic: &'static str, text: impl Into<String>) {
        self.add(State::Ok, topic, text, None);
    }

    pub(super) fn note(&mut self, topic: &'static str, text: impl Into<String>) {
        self.add(State::Note, topic, text, None);
    }

    /// A note with what may be done.
    pub(super) fn hint(
        &mut self,
        topic: &'static str,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(State::Note, topic, text, Some(advice.into()));
    }

    pub(super) fn missing(
        &mut self,
        topic: &'static str,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(State::Missing, topic, text, Some(advice.into()));
    }

    fn add(
        &mut self,
        state: State,
        topic: &'static str,
        text: impl Into<String>,
        advice: Option<String>,
    ) {
        self.0.push(Finding {
            state,
            topic,
            text: text.into(),
            advice,
        });
    }

    /// Whether nothing is missing.
    pub(super) fn is_possible(&self) -> bool {
        self.0.iter().all(|it| it.state != State::Missing)
    }

    pub(super) fn json(&self) -> Value {
        let findings = self.0.iter().map(|it| {
            let mut value = json!({
                "topic": it.topic,
                "state": it.state.as_str(),
                "text": it.text,
            });
            if let Some(advice) = &it.advice {
                value["advice"] = json!(advice);
            }
            value
        });
        json!({
            "v": 1,
            "possible": self.is_possible(),
            "findings": findings.collect::<Vec<_>>(),
        })
    }
}
