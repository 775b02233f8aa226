//! What the program says: messages and a progress bar to stderr, results to stdout.

use super::screen::{APART, Screen};
use super::terminal::{self, is_dumb};
use crate::config::{Config, Likelihood};
use crate::data::Notice;
use crate::picture::terminal::Graphics;
use crate::train::Losses;
use crate::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::RefCell;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

/// How often the bar is drawn, in times a second.
const DRAWS: u8 = 10;

/// Where messages go.
#[derive(Debug, Clone)]
pub struct Console {
    quiet: bool,
    terminal: bool,
    /// What a training shows pictures with below its bar.
    graphics: Option<Graphics>,
    /// The bar over what is being loaded.
    loading: RefCell<Option<ProgressBar>>,
}

impl Console {
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            terminal: std::io::stderr().is_terminal(),
            graphics: None,
            loading: RefCell::new(None),
        }
    }

    /// The same, which shows pictures below a training's bar if they are wanted and can be shown.
    ///
    /// # Errors
    ///
    /// If the environment asks for what there is not.
    pub fn with_pictures(&self, wanted: bool) -> Result<Self> {
        let graphics = terminal::graphics(self.terminal)?.filter(|_| wanted);
        Ok(Self {
            graphics,
            ..self.clone()
        })
    }

    /// Whether only results and errors are wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether a person reads stderr at a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Says something to a person, unless they asked for quiet.
    pub fn say(&self, message: impl Display) {
        self.show(format_args!("{message}\n"));
    }

    /// Writes what a person is to see as it is, unless they asked for quiet.
    pub fn show(&self, text: impl Display) {
        if !self.quiet {
            // Where stderr is closed there is nobody to tell; the work goes on.
            let _ = write!(std::io::stderr(), "{text}");
        }
    }

    /// What loading data has to say.
    pub fn notice(&self, notice: Notice) {
        match notice {
            Notice::Note(text) => self.say(text),
            Notice::Warning(text) => {
                let text = format!("warning: {text}");
                match &*self.loading.borrow() {
                    Some(bar) => self.say_above(bar, text),
                    None => self.say(text),
                }
            }
            Notice::Progress { what, done, all } => self.progress(what, done, all),
        }
    }

    /// How far the loading of data is.
    fn progress(&self, what: &'static str, done: u64, all: u64) {
        let mut loading = self.loading.borrow_mut();
        let bar = loading.get_or_insert_with(|| self.bar("file", all, 0));
        bar.set_message(what);
        bar.set_position(done);
        if done == all {
            bar.finish_and_clear();
            *loading = None;
        }
    }

    /// Names a result on stdout, one a line.
    ///
    /// # Errors
    ///
    /// If stdout cannot be written.
    pub fn result(&self, path: &Path) -> Result<()> {
        // As it is, so that it can be read again, also where it is no text.
        print_bytes(&[path.as_os_str().as_encoded_bytes(), b"\n"].concat())
    }

    /// A bar over things to do, named by `unit`, of which so many are `done`; it shows only on a terminal.
    pub fn bar(&self, unit: &str, all: u64, done: u64) -> ProgressBar {
        let target = match self.terminal && !self.quiet {
            true => ProgressDrawTarget::stderr_with_hz(DRAWS),
            false => ProgressDrawTarget::hidden(),
        };
        bar_on(target, unit, all, done)
    }

    /// A bar over the steps of a training; and, where it shows, the screen that it is on, which has room for pictures.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn training_bar(&self, steps: u64, done: u64) -> Result<(ProgressBar, Option<Screen>)> {
        // Elsewhere the bar is another's matter: on terminals that take escape codes only after a word of their own.
        if !cfg!(unix) || !self.terminal || self.quiet || is_dumb() {
            return Ok((self.bar("step", steps, done), None));
        }
        let screen = Screen::open(self.graphics)?;
        let target = ProgressDrawTarget::term_like_with_hz(screen.bar_target(), DRAWS);
        Ok((bar_on(target, "step", steps, done), Some(screen)))
    }

    /// Says something above the bar.
    pub fn say_above(&self, bar: &ProgressBar, message: impl Display) {
        bar.suspend(|| self.say(message));
    }
}

fn bar_on(target: ProgressDrawTarget, unit: &str, all: u64, done: u64) -> ProgressBar {
    let parts = [
        "{bar:24}",
        &format!("{unit} {{pos}} of {{len}}"),
        "{msg}",
        "{eta} left",
    ];
    let style = ProgressStyle::with_template(&parts.join(APART));
    let bar = ProgressBar::with_draw_target(Some(all), target);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_position(done);
    bar.reset_eta();
    bar
}

/// Writes text to stdout.
///
/// # Errors
///
/// As of [`print_bytes`].
pub fn print(text: impl Display) -> Result<()> {
    print_bytes(text.to_string().as_bytes())
}

/// Writes to stdout. A reader that has gone away, as `head` does, is no failure.
///
/// # Errors
///
/// If it cannot be written.
pub fn print_bytes(content: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(content).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::failed("stdout", error))
        }
        _ => Ok(()),
    }
}

/// Losses, as the bar and the plain lines show them: a sum, where the loss is one.
pub fn losses(losses: Losses, beta: f64, config: &Config) -> String {
    let Losses {
        loss,
        reconstruction,
        kl,
        ..
    } = losses;
    let name = match config.likelihood {
        Likelihood::SquaredError => "squared error",
        Likelihood::Gaussian | Likelihood::Bernoulli => "reconstruction",
    };
    let weight = weight(beta);
    match (loss - reconstruction - beta * kl).abs() <= 1e-9 * loss.abs().max(1.0) {
        true => format!("loss {loss:.2} = {reconstruction:.2} {name} + {weight}{kl:.2} KL"),
        false => format!("loss {loss:.2}, {reconstruction:.2} {name}, {weight}{kl:.2} KL"),
    }
}

/// How the KL's weight is shown in a sum: not at all where it is 1.
pub fn weight(beta: f64) -> String {
    if beta == 1.0 {
        String::new()
    } else {
        format!("{} x ", (beta * 1e4).round() / 1e4)
    }
}

/// A duration as a person says it.
pub fn duration(time: Duration) -> String {
    indicatif::HumanDuration(time).to_string()
}
