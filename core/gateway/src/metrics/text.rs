//! The Prometheus text format, version 0.0.4.

use std::fmt::{self, Display, Write};

/// The type of a family of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        })
    }
}

/// A page under construction: families in order, each with its help, type and samples.
#[derive(Debug, Default)]
pub(crate) struct TextPage {
    text: String,
}

impl TextPage {
    /// Begins a family; the samples follow through the returned value.
    pub(crate) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.text,
            "# HELP {name} {}\n# TYPE {name} {kind}",
            Escaped(help, false)
        );
        Family { page: self, name }
    }

    /// A family of one sample without labels.
    pub(crate) fn single(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &str,
        value: impl Display,
    ) {
        self.family(name, kind, help).sample(&[], value);
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// A family whose samples are being written.
#[derive(Debug)]
pub(crate) struct Family<'a> {
    page: &'a mut TextPage,
    name: &'static str,
}

impl Family<'_> {
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let text = &mut self.page.text;
        text.push_str(self.name);
        if !labels.is_empty() {
            for (at, (label, content)) in labels.iter().enumerate() {
                let open = if at == 0 { '{' } else { ',' };
                let _ = write!(text, "{open}{label}=\"{}\"", Escaped(content, true));
            }
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
        self
    }
}

/// Escapes backslashes and line feeds, in label values quotes too.
struct Escaped<'a>(&'a str, bool);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.1 => f.write_str("\\\"")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_help_type_and_samples_in_this_order() {
        let mut page = TextPage::default();
        page.family("a_total", Kind::Counter, "Things.")
            .sample(&[("kind", "x"), ("why", "y")], 3)
            .sample(&[], 4);
        page.single("b", Kind::Gauge, "Level.", 0.5);
        assert_eq!(
            page.into_text(),
            "# HELP a_total Things.\n# TYPE a_total counter\na_total{kind=\"x\",why=\"y\"} 3\na_total 4\n\
             # HELP b Level.\n# TYPE b gauge\nb 0.5\n"
        );
    }

    #[test]
    fn labels_and_help_are_escaped() {
        let mut page = TextPage::default();
        page.family("a", Kind::Gauge, "one\ntwo \\ \"three\"")
            .sample(&[("l", "a\"b\\c\nd")], 1);
        assert_eq!(
            page.into_text(),
            "# HELP a one\\ntwo \\\\ \"three\"\n# TYPE a gauge\na{l=\"a\\\"b\\\\c\\nd\"} 1\n"
        );
    }
}
