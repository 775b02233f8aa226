//! The report in a run's own directory.

use super::recorded::{RecordedRun, page};
use crate::config::Config;
use crate::files::write_durably_by;
use crate::run::evaluation::{self, Evaluated};
use crate::run::lock::lock_there;
use crate::run::names::REPORT;
use crate::run::{Metric, ModelName, RunDir};
use crate::{Error, Result};
use serde::Serialize;

/// Writes the report of a training, which goes on or ends, if there is anything to show. It says nothing of an
/// evaluation: the weights are about to be others.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_during(
    run: &RunDir,
    config: &Config,
    metrics: &[Metric],
    goes_on: bool,
) -> Result<()> {
    // A report without a line in the log would look like a log that was lost.
    if metrics.is_empty() {
        return Ok(());
    }
    let none = Evaluated::default();
    let page = page(run.path(), None, (config, metrics), &none, goes_on)?;
    write_durably_by(&run.report(), |out| page.write(out))
}

/// Keeps in its run directory what was said of a model whose weights file had this digest before it was read, and
/// writes the report anew; tells whether it did: not of a weights file that is in no run directory.
///
/// # Errors
///
/// If the weights are others now, a training is writing there, or a file cannot be written.
pub fn keep_evaluation(
    model: &ModelName,
    digest_then: &str,
    evaluation: &impl Serialize,
) -> Result<bool> {
    let Some(path) = evaluation::run_of(model) else {
        return Ok(false);
    };
    // Until the report is written: a training would write one, too.
    let _lock = lock_there(&path)?;
    if model.sha256()? != digest_then {
        let why = "has other weights now than those that were evaluated";
        return Err(Error::failed(path.display(), why));
    }
    evaluation::write(&path, digest_then, evaluation)?;
    let run = RecordedRun::read(&path)?;
    let said = (&run.config, &run.metrics[..]);
    let page = page(&path, None, said, &run.evaluated, false)?;
    write_durably_by(&path.join(REPORT), |out| page.write(out))?;
    Ok(true)
}
