//! `vae report`: what runs came to, as one page that opens from disk.

use super::console::Console;
use super::paths::deliver;
use crate::run::RUNS;
use crate::run::report::{compare, find};
use crate::{Result, files};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  vae report                           all runs below runs/, the best first
  vae report runs/a                    one run: the page that is in its directory
  vae report runs/a runs/b best.html   two of them, into best.html";

/// Put runs side by side on one page, with their curves, settings and newest drawings.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Report {
    /// Run directories, and folders with some in them; and where to: the last one that ends in .html, or - for stdout
    /// [default: runs/ and report.html]
    #[arg(value_name = "DIR|OUT.html")]
    paths: Vec<PathBuf>,
}

impl Report {
    pub fn run(mut self, console: &Console) -> Result<ExitCode> {
        let out = match self.paths.pop_if(|path| is_page(path)) {
            Some(out) => out,
            None => "report.html".into(),
        };
        if self.paths.is_empty() {
            self.paths.push(RUNS.into());
        }
        let runs = find(&self.paths)?;
        let page = match &runs[..] {
            [run] => run.page()?,
            _ => compare(runs)?,
        };
        deliver(console, &out, &page.to_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Whether a path names a page to write, not a run.
fn is_page(path: &Path) -> bool {
    let ends = path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("html"));
    files::is_stream(path) || ends && !path.is_dir()
}
