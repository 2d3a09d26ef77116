//! A diagnosis as JSON. The shape is written up in core/doctor/SCHEMA.md.

use serde_json::{Value, json};

use super::{Diagnosis, Fallback, PathDiagnosis};

/// The version of the shape. It is raised when something in it changes its meaning or goes; what is
/// new is added without.
pub const SCHEMA_VERSION: u32 = 1;

impl Diagnosis {
    /// All of it as one JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let paths: Vec<_> = self.paths.iter().map(PathDiagnosis::json).collect();
        json!({
            "v": SCHEMA_VERSION,
            "target": self.target,
            "outcome": self.outcome().name(),
            "paths": paths,
            "notes": self.notes,
        })
    }
}

impl PathDiagnosis {
    /// All of it as one JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let findings = self.findings.iter().map(|it| {
            json!({
                "topic": it.topic,
                "state": it.state,
                "text": it.text,
                "outcome": it.outcome.name(),
            })
        });
        let mut value = json!({
            "interface": self.interface,
            "kind": self.kind.to_string(),
            "server": self.server.to_string(),
            "verdict": self.verdict.name(),
            "certainty": self.certainty.name(),
            "outcome": self.outcome().name(),
            "summary": self.summary,
            "evidence": self.evidence,
            "findings": findings.collect::<Vec<_>>(),
            "needs": self.needs,
        });
        if let Some(how) = self.verdict.how() {
            value["how"] = json!(how.name());
        }
        if let super::Verdict::SynDropped { fallback } = self.verdict {
            value["fallback_ms"] = json!(fallback.as_millis() as u64);
        }
        if let Some(fallback) = self.fallback {
            let (key, time) = match fallback {
                Fallback::After(time) => ("fallback_measured_ms", time),
                Fallback::NotWithin(time) => ("fallback_exceeds_ms", time),
            };
            value[key] = json!(time.as_micros() as f64 / 1000.0);
        }
        if let Some(time) = self.connect_time {
            value["connect_ms"] = json!(time.as_micros() as f64 / 1000.0);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use twinpath_socket::InterfaceKind;

    use super::super::{How, Verdict};
    use super::*;

    #[test]
    fn the_shape_is_what_is_documented() {
        let server = "192.0.2.1:443".parse().unwrap();
        let mut path = PathDiagnosis::new("wlan0", InterfaceKind::Wifi, server);
        path.verdict = Verdict::StrippedBack(How::Nops);
        path.connect_time = Some(Duration::from_micros(20_500));
        let mut diagnosis = Diagnosis::new("example.com:443");
        diagnosis.paths.push(path);
        let value = diagnosis.json();
        assert_eq!(value["v"], 1);
        assert_eq!(value["outcome"], "without_mptcp");
        let path = &value["paths"][0];
        assert_eq!(
            (&path["verdict"], &path["how"]),
            (&json!("stripped_back"), &json!("nops"))
        );
        assert_eq!(
            (&path["kind"], &path["connect_ms"]),
            (&json!("Wi-Fi"), &json!(20.5))
        );
        assert!(path.get("fallback_ms").is_none());
    }
}
