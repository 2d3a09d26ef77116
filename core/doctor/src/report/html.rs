//! The report as a page, to be sent to those who run the network. It needs nothing but itself.

use std::fmt::Write as _;

use super::terminal::{change_lines, hop_line};
use crate::advice::advice;
use crate::{Examined, ExaminedPath};

const STYLE: &str = include_str!("style.css");

/// The whole page, of one or several targets. `version` is that of the program.
#[must_use]
pub fn html(all: &[Examined], version: &str) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>Does Multipath TCP get through?</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n<main>\n<h1>Does Multipath TCP (TCP option 30) get through?</h1>\n"
    );
    for examined in all {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(page, "<h2>To {}</h2>", escape(&examined.target));
        for path in &examined.paths {
            section(&mut page, path);
        }
        list(&mut page, "Not tested", &examined.notes);
    }
    let _ = writeln!(
        page,
        "<p class=\"small\">Made by <code>twinpath doctor</code> {}. It claims what was tested, on the paths above, and \
         nothing else.</p>\n</main>\n</body>\n</html>",
        escape(version)
    );
    page
}

fn section(page: &mut String, path: &ExaminedPath) {
    let told = &path.told;
    let advice = advice(told);
    let family = if told.server.is_ipv6() {
        "IPv6"
    } else {
        "IPv4"
    };
    let _ = writeln!(
        page,
        "<section class=\"{}\">\n<h2>{} ({}), {family}</h2>\n<p class=\"plain\">{}.</p>\n<p>{}</p>",
        told.outcome().name(),
        escape(&told.interface),
        told.kind,
        escape(&told.summary),
        escape(advice.plain)
    );
    list(page, "Where", &change_lines(path));
    list(page, "What was seen", &told.evidence);
    let findings: Vec<_> = told
        .findings
        .iter()
        .map(|it| format!("{}: {}", it.topic, it.text))
        .collect();
    list(page, "Beside that", &findings);
    list(page, "Not known", &told.needs);
    if let Some(trace) = &path.trace {
        let hops: Vec<_> = trace.hops.iter().map(|it| hop_line(it, path)).collect();
        let _ = writeln!(
            page,
            "<p class=\"small\">The way out</p>\n<pre>{}</pre>",
            escape(&hops.join("\n"))
        );
    }
    for remedy in &advice.remedies {
        let _ = writeln!(
            page,
            "<p><b>{}</b>: {}</p>\n<pre>{}</pre>\n<p class=\"small\">{}</p>",
            escape(remedy.product),
            escape(remedy.cause),
            escape(&remedy.commands.join("\n")),
            escape(remedy.source)
        );
    }
    page.push_str("</section>\n");
}

fn list(page: &mut String, head: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(page, "<p class=\"small\">{head}</p>\n<ul>");
    for item in items {
        let _ = writeln!(page, "<li>{}</li>", escape(item));
    }
    page.push_str("</ul>\n");
}

/// Names come from outside, and from the network.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_markup() {
        let examined = Examined {
            target: "<script>alert(1)</script>".into(),
            paths: Vec::new(),
            notes: vec!["a & b".into()],
        };
        let page = html(&[examined], "0");
        assert!(
            !page.contains("<script")
                && page.contains("&lt;script&gt;")
                && page.contains("a &amp; b")
        );
        assert!(
            !page.contains("http://") && !page.contains("https://"),
            "it loads nothing"
        );
    }
}
