//! A report as a file: what it says, its pictures, and the script that shows both.

use super::pictures::Picture;
use crate::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::io::{self, Write};

const STYLE: &str = include_str!("page/page.css");
/// In the order in which they need each other.
const SCRIPTS: [&str; 5] = [
    include_str!("page/elements.js"),
    include_str!("page/chart.js"),
    include_str!("page/run.js"),
    include_str!("page/runs.js"),
    include_str!("page/follow.js"),
];

/// Nothing is loaded from anywhere.
const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>vae report</title>
"#;

const BODY: &str = r#"</head>
<body>
<main id="page">
<noscript>This page needs JavaScript, which it brings itself, to show its curves and pictures.</noscript>
</main>
"#;

/// A report that can be written.
#[derive(Debug)]
pub struct Page {
    /// What it says, as JSON.
    said: String,
    pictures: Vec<Picture>,
}

impl Page {
    pub(super) fn new(said: &impl Serialize, pictures: Vec<Picture>) -> Result<Self> {
        let said = serde_json::to_string(said).map_err(|error| Error::failed("report", error))?;
        // Whatever names hold: no `</script>` ends the script that this is in.
        let said = said.replace('<', "\\u003c");
        Ok(Self { said, pictures })
    }

    /// Writes the page, a picture at a time.
    ///
    /// # Errors
    ///
    /// If `out` cannot be written. A picture that has gone away meanwhile is left out.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{HEAD}<style>\n{STYLE}</style>\n{BODY}")?;
        writeln!(out, "<div id=\"pictures\" hidden>")?;
        for picture in &self.pictures {
            let Picture {
                run, step, kind, ..
            } = picture;
            if let Some(png) = picture.png() {
                let mut image = format!(
                    "<img data-run=\"{run}\" data-step=\"{step}\" data-kind=\"{kind}\" alt=\"\" \
                     src=\"data:image/png;base64,"
                );
                STANDARD.encode_string(png, &mut image);
                image += "\">\n";
                out.write_all(image.as_bytes())?;
            }
        }
        writeln!(out, "</div>")?;
        let said = &self.said;
        writeln!(
            out,
            "<script type=\"application/json\" id=\"data\">{said}</script>"
        )?;
        writeln!(out, "<script>")?;
        for script in SCRIPTS {
            out.write_all(script.as_bytes())?;
        }
        writeln!(out, "</script>\n</body>\n</html>")
    }

    /// The whole page.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Writing to memory does not fail.
        let _ = self.write(&mut bytes);
        bytes
    }
}
