//! What the program is told: a command and its flags. What it answers: an exit code.

use super::completions::Completions;
use super::console::Console;
use super::decode::Decode;
use super::device::DeviceName;
use super::encode::Encode;
use super::evaluate::Evaluate;
use super::explore::Explore;
use super::export::Export;
use super::latent::Latent;
use super::reconstruct::Reconstruct;
use super::report::Report;
use super::sample::Sample;
use super::train::Train;
use crate::{Error, ErrorKind, Result};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

const HELP: &str = "\
First steps:
  vae train --steps 2000      learn to draw digits; a run appears below runs/
  vae sample --n 64 out.png   draw 64 digits that nobody wrote
  vae reconstruct             show what the model keeps of 16 test images

`vae COMMAND --help` explains every flag.";

/// Train variational autoencoders, and let them draw.
#[derive(Debug, Parser)]
#[command(
    name = "vae",
    version,
    after_help = HELP,
    arg_required_else_help = true,
    args_override_self = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Train),
    Sample(Sample),
    Reconstruct(Reconstruct),
    Evaluate(Evaluate),
    Latent(Latent),
    Encode(Encode),
    Decode(Decode),
    Export(Export),
    Report(Report),
    Explore(Explore),
    Completions(Completions),
}

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
struct Global {
    /// Threads to compute with, 1 to 1024; the results do not depend on it [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// Where to compute
    #[arg(long, global = true, value_enum, default_value_t = DeviceName::Auto)]
    device: DeviceName,

    /// Print nothing but results and errors
    #[arg(long, short, global = true)]
    quiet: bool,
}

/// Every command and flag, as clap has them.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program: parses the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    let outcome = match Cli::try_parse() {
        Ok(cli) => cli.run(),
        Err(error) if error.use_stderr() && error.kind() != NO_COMMAND => Err(wrong_usage(&error)),
        Err(help) => {
            // Where nobody reads the help, there is nothing to do about it.
            let _ = help.print();
            return ExitCode::from(if help.use_stderr() { 2 } else { 0 });
        }
    };
    outcome.unwrap_or_else(|error| tell(&error))
}

/// What clap says when no command was given: it then shows the help.
const NO_COMMAND: clap::error::ErrorKind =
    clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;

/// What is wrong with a command line, in the form that every error has.
fn wrong_usage(error: &clap::Error) -> Error {
    let text = error.to_string();
    let mut parts = text.split("\n\n");
    let why = parts.next().unwrap_or_default();
    let why = why.strip_prefix("error: ").unwrap_or(why);
    let tip = parts.find_map(|part| part.trim().strip_prefix("tip: "));
    Error::input("usage", why)
        .hint(tip.unwrap_or("vae --help and vae COMMAND --help explain every flag"))
}

impl Cli {
    fn run(self) -> Result<ExitCode> {
        let threads = self.global.threads.map_or(0, usize::from);
        // This thread is one of the pool's: otherwise each parallel loop would put it to sleep and wake it
        // again.
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .use_current_thread()
            .build()
            .map_err(|error| Error::failed("--threads", error))?
            .install(|| self.run_command())
    }

    fn run_command(self) -> Result<ExitCode> {
        let console = Console::new(self.global.quiet);
        let device = || self.global.device.open();
        match self.command {
            Command::Train(command) => command.run(&console, &device()?),
            Command::Sample(command) => command.run(&console, &device()?),
            Command::Reconstruct(command) => command.run(&console, &device()?),
            Command::Evaluate(command) => command.run(&console, &device()?),
            Command::Latent(command) => command.run(&console, &device()?),
            Command::Encode(command) => command.run(&console, &device()?),
            Command::Decode(command) => command.run(&console, &device()?),
            Command::Export(command) => command.run(&console, &device()?),
            Command::Report(command) => command.run(&console),
            Command::Explore(command) => command.run(&console, &device()?),
            Command::Completions(command) => command.run(self::command()),
        }
    }
}

/// Prints an error to stderr, and gives its exit code.
fn tell(error: &Error) -> ExitCode {
    // An error may quote a file; it still is one line.
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut message = format!("error: {}\n", one_line(&error.to_string()));
    if let Some(hint) = &error.hint {
        message += &format!("hint: {}\n", one_line(hint));
    }
    // Where stderr is closed there is nobody to tell.
    let _ = std::io::stderr().write_all(message.as_bytes());
    match error.kind {
        ErrorKind::Input => ExitCode::from(2),
        ErrorKind::Failed => ExitCode::from(1),
    }
}
