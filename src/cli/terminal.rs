//! What the terminal at stderr is: its size, what it shows pictures with, and who has it.

use crate::picture::terminal::{Colours, Graphics, Room};
use crate::{Error, Result};

/// What a terminal is taken for that does not tell its size, and what is none.
const COLUMNS: usize = 80;
const LINES: usize = 24;
/// Columns and rows of pixels of a character where it is not known.
const CELL: [u32; 2] = [10, 20];

/// The variable that says what pictures are shown with.
const VARIABLE: &str = "VAE_GRAPHICS";
const CHOICES: [&str; 5] = ["kitty", "iterm2", "sixel", "blocks", "none"];

/// Characters in a line, lines, and pixels of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub columns: usize,
    pub lines: usize,
    pub cell: [u32; 2],
}

impl Size {
    /// That of the terminal at stderr; of what is none, the usual one.
    pub fn now() -> Self {
        system::size().unwrap_or(Self {
            columns: COLUMNS,
            lines: LINES,
            cell: CELL,
        })
    }

    /// All of it as room for pictures, but for the last column: what is written there may end in the next line.
    pub fn room(self, graphics: Graphics) -> Room {
        Room {
            columns: self.columns.saturating_sub(1),
            lines: self.lines,
            cell: self.cell,
            graphics,
        }
    }
}

/// Whether this process may write to its terminal: not where its shell has gone on to something else.
pub(super) fn is_in_foreground() -> bool {
    system::is_in_foreground()
}

/// Whether a shell is there that would continue this process if it were stopped.
pub(super) fn can_be_continued() -> bool {
    system::can_be_continued()
}

/// What pictures are shown with, by the environment; `None` where there are to be none. Where stderr is no terminal they
/// are half blocks, which may be read anywhere, unless something else is asked for.
///
/// # Errors
///
/// If [`VARIABLE`] has a value that it cannot have.
pub(super) fn graphics(is_terminal: bool) -> Result<Option<Graphics>> {
    graphics_by(is_terminal, &|name| {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    })
}

/// Whether the terminal can move its cursor.
pub(super) fn is_dumb() -> bool {
    is_dumb_by(&|name| std::env::var(name).ok())
}

fn is_dumb_by(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    cfg!(unix) && variable("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// What [`VARIABLE`] says, else what the terminal is known to have, else half blocks. Terminals are known by what they put
/// into the environment: to ask them would be to wait for an answer that may not come.
fn graphics_by(
    is_terminal: bool,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Graphics>> {
    let told = variable(VARIABLE);
    let blocks = Graphics::Blocks(colours(variable));
    let known = known(variable).filter(|_| is_terminal);
    let graphics = match told.as_deref() {
        None => known.unwrap_or(blocks),
        Some("kitty") => Graphics::Kitty,
        Some("iterm2") => Graphics::ITerm2,
        Some("sixel") => Graphics::Sixel,
        Some("blocks") => blocks,
        Some("none") => return Ok(None),
        Some(other) => {
            let why = format!("is `{other}`, which is not one of {}", CHOICES.join(", "));
            return Err(Error::input(VARIABLE, why));
        }
    };
    let wanted = variable("NO_COLOR").is_none() && !is_dumb_by(variable);
    Ok(wanted.then_some(graphics))
}

/// The graphics that a terminal is known to have. One within another (tmux, screen) has none that could be relied on; nor
/// has one where they can be turned off.
fn known(variable: &dyn Fn(&str) -> Option<String>) -> Option<Graphics> {
    let term = variable("TERM").unwrap_or_default();
    let program = variable("TERM_PROGRAM").unwrap_or_default();
    let begins = |names: &[&str]| names.iter().any(|name| term.starts_with(name));
    let is_set = |name| variable(name).is_some();
    if is_set("TMUX") || is_set("STY") || begins(&["tmux", "screen"]) {
        return None;
    }
    if begins(&["xterm-kitty", "xterm-ghostty"]) || program == "ghostty" {
        return Some(Graphics::Kitty);
    }
    if ["iTerm.app", "WezTerm", "mintty"].contains(&program.as_str()) {
        return Some(Graphics::ITerm2);
    }
    if begins(&["foot", "mlterm", "contour"]) {
        return Some(Graphics::Sixel);
    }
    // What stays set where another program has opened a terminal of its own, or over ssh, comes last.
    if is_set("KITTY_WINDOW_ID") && program.is_empty() {
        return Some(Graphics::Kitty);
    }
    (variable("LC_TERMINAL")? == "iTerm2" && program.is_empty()).then_some(Graphics::ITerm2)
}

fn colours(variable: &dyn Fn(&str) -> Option<String>) -> Colours {
    let is_true = |name: String| ["truecolor", "24bit"].contains(&name.as_str());
    let is_direct = |term: String| term.ends_with("-direct");
    match variable("COLORTERM").is_some_and(is_true) || variable("TERM").is_some_and(is_direct) {
        true => Colours::True,
        false => Colours::Indexed,
    }
}

#[cfg(unix)]
mod system {
    use super::{CELL, Size};
    use rustix::process::{getpgrp, getppid, getsid};
    use rustix::termios::{tcgetpgrp, tcgetwinsize};
    use std::io::stderr;

    pub fn size() -> Option<Size> {
        let size = tcgetwinsize(stderr()).ok()?;
        let [columns, lines] = [size.ws_col, size.ws_row].map(usize::from);
        let part = |pixels: u16, of: usize, otherwise| match pixels as usize / of {
            0 => otherwise,
            pixels => pixels as u32,
        };
        (columns > 0 && lines > 0).then(|| Size {
            columns,
            lines,
            cell: [
                part(size.ws_xpixel, columns, CELL[0]),
                part(size.ws_ypixel, lines, CELL[1]),
            ],
        })
    }

    pub fn is_in_foreground() -> bool {
        tcgetpgrp(stderr()).map_or(true, |group| group == getpgrp())
    }

    /// The shell that started this process, or that which started the one that did, is in the same session.
    pub fn can_be_continued() -> bool {
        match (getppid().map(|parent| getsid(Some(parent))), getsid(None)) {
            (Some(Ok(of_parent)), Ok(own)) => of_parent == own,
            _ => false,
        }
    }
}

#[cfg(not(unix))]
mod system {
    pub fn size() -> Option<super::Size> {
        None
    }

    pub fn is_in_foreground() -> bool {
        true
    }

    pub fn can_be_continued() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(variables: &[(&str, &str)]) -> Result<Option<Graphics>> {
        let value = |name: &str| {
            let found = variables.iter().find(|(of, _)| *of == name);
            found.map(|(_, value)| value.to_string())
        };
        graphics_by(true, &value)
    }

    #[test]
    fn terminals_are_known_by_their_environment() {
        let indexed = Graphics::Blocks(Colours::Indexed);
        let exact = Graphics::Blocks(Colours::True);
        let xterm = ("TERM", "xterm-256color");
        for (variables, expected) in [
            (vec![xterm], indexed),
            (vec![xterm, ("COLORTERM", "truecolor")], exact),
            (vec![xterm, ("COLORTERM", "24bit")], exact),
            (vec![("TERM", "xterm-direct")], exact),
            (vec![xterm, ("KITTY_WINDOW_ID", "1")], Graphics::Kitty),
            (vec![("TERM", "xterm-kitty")], Graphics::Kitty),
            (vec![xterm, ("TERM_PROGRAM", "ghostty")], Graphics::Kitty),
            (vec![xterm, ("TERM_PROGRAM", "iTerm.app")], Graphics::ITerm2),
            (vec![xterm, ("TERM_PROGRAM", "WezTerm")], Graphics::ITerm2),
            (vec![xterm, ("LC_TERMINAL", "iTerm2")], Graphics::ITerm2),
            (vec![xterm, ("TERM_PROGRAM", "vscode")], indexed),
            (
                vec![xterm, ("TERM_PROGRAM", "vscode"), ("KITTY_WINDOW_ID", "1")],
                indexed,
            ),
            (vec![("TERM", "foot")], Graphics::Sixel),
            (
                vec![("TERM", "tmux-256color"), ("KITTY_WINDOW_ID", "1")],
                indexed,
            ),
            (
                vec![("TERM", "xterm-kitty"), ("TMUX", "/tmp/tmux")],
                indexed,
            ),
            (vec![xterm, (VARIABLE, "sixel")], Graphics::Sixel),
            (vec![("TERM", "xterm-kitty"), (VARIABLE, "blocks")], indexed),
        ] {
            assert_eq!(
                by(&variables).expect("a way"),
                Some(expected),
                "{variables:?}"
            );
        }
    }

    #[test]
    fn there_are_no_pictures_where_none_are_wanted() {
        let xterm = ("TERM", "xterm");
        for variables in [
            vec![],
            vec![("TERM", "dumb"), (VARIABLE, "blocks")],
            vec![xterm, ("NO_COLOR", "1"), (VARIABLE, "kitty")],
            vec![xterm, (VARIABLE, "none")],
        ] {
            assert_eq!(by(&variables).expect("a way"), None, "{variables:?}");
        }
        let error = by(&[xterm, (VARIABLE, "braille")]).expect_err("no such way");
        assert!(
            error
                .to_string()
                .contains("kitty, iterm2, sixel, blocks, none")
        );
    }
}
