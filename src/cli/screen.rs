//! The lower end of the terminal while a training runs: its bar, and below that what it shows.
//!
//! The cursor rests at the start of the line below, where a shell's prompt and the `^C` of a key have room, and goes up
//! only within one write. It is never hidden, and no mode of the terminal is changed: nothing has to be undone.

use super::terminal::{Size, is_in_foreground};
use crate::Result;
use crate::picture::plot::Curve;
use crate::picture::terminal::{Drawn, Graphics, Line, Panel, kitty};
use indicatif::TermLike;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the parts of a bar are set apart by; it is broken there where it is longer than a line.
pub(super) const APART: &str = "  ";
/// What ends a line: whatever stood there before.
const ERASE_REST: &str = "\x1b[K";
/// Erases from the cursor on.
const ERASE_BELOW: &str = "\x1b[J";
/// Lines for the cursor to rest in, and for a message above.
const SPARE: usize = 2;

/// The lower end of the terminal.
#[derive(Debug, Clone)]
pub(super) struct Screen(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    graphics: Option<Graphics>,
    /// The size that everything was drawn for.
    size: Size,
    /// The bar, as one line; empty if there is none.
    bar: String,
    /// The lines of it that are on the screen.
    bar_lines: usize,
    panel: Option<Panel>,
    /// The panel, for the size and the lines of the bar.
    drawn: Drawn,
    /// Whether the panel is to be drawn anew.
    changed: bool,
    /// The columns of all lines that are on the screen.
    shown: Vec<usize>,
}

impl Screen {
    /// A screen that shows pictures with these graphics, if at all. From now on a training that is suspended takes what it
    /// shows off the terminal, and puts it back when it goes on.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn open(graphics: Option<Graphics>) -> Result<Self> {
        let screen = Self(Arc::new(Mutex::new(State {
            graphics,
            size: Size::now(),
            bar: String::new(),
            bar_lines: 0,
            panel: None,
            drawn: Drawn::default(),
            changed: false,
            shown: Vec::new(),
        })));
        #[cfg(unix)]
        suspension::follow(screen.clone())?;
        Ok(screen)
    }

    /// Where the bar is drawn to.
    pub fn bar_target(&self) -> Box<dyn TermLike> {
        Box::new(BarTarget {
            screen: self.clone(),
            text: Mutex::default(),
        })
    }

    /// Whether there are pictures to be shown.
    pub fn has_pictures(&self) -> bool {
        self.state().graphics.is_some()
    }

    /// Shows another panel, when the bar is next drawn.
    pub fn show(&self, panel: Panel) {
        let mut state = self.state();
        state.panel = Some(panel);
        state.changed = true;
    }

    /// Brings the panel's curves up to date, if there is a panel, when the bar is next drawn.
    pub fn show_curves(&self, curves: Vec<Curve>) {
        let mut state = self.state();
        if let Some(panel) = &mut state.panel {
            panel.curves = curves;
            state.changed = true;
        }
    }

    /// Leaves the panel on the terminal as part of what was said, if there is one; the bar is gone.
    pub fn leave(&self) {
        let mut state = self.state();
        state.bar.clear();
        state.refresh();
        state.forget();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes everything off the screen.
    fn clear(&mut self) {
        if !self.shown.is_empty() {
            write(&self.erase());
            self.forget();
        }
    }

    /// Takes what is on the screen for something that was said.
    fn forget(&mut self) {
        self.shown.clear();
        self.bar_lines = 0;
    }

    /// What erases all lines on the screen and leaves the cursor in the first.
    fn erase(&self) -> String {
        let columns = self.size.columns.max(1);
        let now = Size::now();
        // Terminals break lines anew that a narrower window is too narrow for.
        let lines = |width: &usize| width.div_ceil(now.columns.min(columns)).max(1);
        let lines = self.shown.iter().map(lines).sum::<usize>();
        let up = up(lines.min(now.lines.saturating_sub(1)));
        // Line by line: who erases all of a screen at once has tmux keep it, for one to scroll back to.
        let down = format!("{ERASE_REST}\x1b[1B").repeat(lines);
        let mut text = format!("{up}{down}{ERASE_REST}{up}");
        if self.graphics == Some(Graphics::Kitty) && self.drawn.overlay.is_some() {
            text += &kitty::remove(std::process::id());
        }
        text
    }

    /// Brings the screen up to date: the bar alone, if it takes as many lines as before and nothing else has changed.
    fn refresh(&mut self) {
        if !is_in_foreground() {
            return;
        }
        let size = Size::now();
        let bar = folded(&self.bar, size.columns.saturating_sub(1));
        let bar = &bar[..bar.len().min(size.lines.saturating_sub(1))];
        let fits = size == self.size && bar.len() == self.bar_lines;
        if fits && !self.changed && !self.shown.is_empty() {
            return self.refresh_bar(bar);
        }
        // What is to be replaced: line by line, without a moment when nothing is there; but all of it where it would not
        // come to lie on the same lines.
        let mut text = match (self.shown.is_empty(), fits) {
            (true, _) => up(0),
            (false, true) => up(self.shown.len()),
            (false, false) => self.erase(),
        };
        if !fits || self.changed {
            self.draw_panel(size, bar.len());
        }
        for line in bar {
            let _ = writeln!(text, "{}{ERASE_REST}", line.text);
        }
        text += &self.drawn.text(ERASE_REST);
        text += ERASE_BELOW;
        write(&text);
        let lines = bar.iter().chain(&self.drawn.lines);
        self.shown = lines.map(|line| line.columns).collect();
        (self.size, self.bar_lines, self.changed) = (size, bar.len(), false);
    }

    fn refresh_bar(&mut self, bar: &[Line]) {
        let mut text = up(self.shown.len());
        for (line, shown) in bar.iter().zip(&mut self.shown) {
            let _ = writeln!(text, "{}{ERASE_REST}", line.text);
            *shown = line.columns;
        }
        if self.shown.len() > bar.len() {
            let _ = write!(text, "\x1b[{}B", self.shown.len() - bar.len());
        }
        write(&text);
    }

    /// Draws the panel for a window whose upper lines the bar takes.
    fn draw_panel(&mut self, size: Size, bar_lines: usize) {
        self.drawn = match (&self.panel, self.graphics) {
            (Some(panel), Some(graphics)) => {
                let mut room = size.room(graphics);
                room.lines = size.lines.saturating_sub(bar_lines + SPARE);
                // A picture of no known kind is not shown; where it is written, that is an error.
                panel.draw(&room, std::process::id()).unwrap_or_default()
            }
            _ => Drawn::default(),
        };
    }
}

#[cfg(unix)]
mod suspension {
    use super::Screen;
    use crate::cli::interrupts::is_ignored;
    use crate::cli::terminal::can_be_continued;
    use crate::{Error, Result};
    use signal_hook::consts::{SIGCONT, SIGTSTP};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    /// Has a thread clear the screen before the process stops, and draw it anew, wherever the cursor is then, when it goes
    /// on.
    pub fn follow(screen: Screen) -> Result<()> {
        let failed = |error| Error::failed("signal handler", error);
        let stop = Some(SIGTSTP).filter(|&signal| is_ignored(signal) != Some(true));
        let signals = Signals::new(stop.into_iter().chain([SIGCONT])).map_err(failed)?;
        let thread = std::thread::Builder::new().name("terminal".into());
        let started = thread.spawn(move || wait(&screen, signals));
        started.map(|_| ()).map_err(failed)
    }

    fn wait(screen: &Screen, mut signals: Signals) {
        let mut was_cleared = false;
        for signal in signals.forever() {
            let mut state = screen.state();
            match signal {
                SIGTSTP if can_be_continued() => {
                    state.clear();
                    was_cleared = true;
                    // It returns when the process goes on, of which the other signal tells.
                    let _ = emulate_default_handler(SIGTSTP);
                }
                // Where nobody would continue it, the system ignores this signal, too.
                SIGTSTP => {}
                _ => {
                    if !std::mem::take(&mut was_cleared) {
                        state.forget();
                    }
                    if !state.bar.is_empty() {
                        state.refresh();
                    }
                }
            }
        }
    }
}

/// What moves the cursor to the start of the line that is so many further up.
fn up(lines: usize) -> String {
    match lines {
        0 => "\r".into(),
        lines => format!("\r\x1b[{lines}A"),
    }
}

/// Writes to the terminal in one go. Where there is none any more, there is nobody to see it.
fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}

/// A line in lines of at most so many columns, broken where its parts are set apart; a part that is longer is cut.
fn folded(text: &str, columns: usize) -> Vec<Line> {
    let mut lines: Vec<String> = Vec::new();
    for part in text.split(APART).filter(|part| !part.is_empty()) {
        let width = |text: &str| text.chars().count();
        match lines.last_mut() {
            Some(line) if width(line) + width(APART) + width(part) <= columns => {
                *line += APART;
                *line += part;
            }
            _ => lines.push(part.into()),
        }
    }
    let line = |line: &String| Line::plain(line, columns);
    lines.iter().map(line).collect()
}

/// Takes the lines of a progress bar for the screen.
#[derive(Debug)]
struct BarTarget {
    screen: Screen,
    /// What was written since it was last flushed.
    text: Mutex<String>,
}

impl TermLike for BarTarget {
    fn width(&self) -> u16 {
        u16::try_from(Size::now().columns).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::MAX
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut of_bar = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        of_bar.push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    /// Nothing that was written means that the bar is to be cleared, for a message or at the end.
    fn flush(&self) -> io::Result<()> {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = std::mem::take(&mut *text);
        let mut state = self.screen.state();
        state.bar = bar.trim_end().into();
        match state.bar.is_empty() {
            true => state.clear(),
            false => state.refresh(),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_broken_between_its_parts() {
        let bar = "#####-----  step 5 of 10  loss 3 = 2 + 1  9 images/s";
        let fold = |columns| -> Vec<String> {
            folded(bar, columns)
                .into_iter()
                .map(|line| line.text)
                .collect()
        };
        assert_eq!(fold(80), [bar]);
        assert_eq!(
            fold(30),
            ["#####-----  step 5 of 10", "loss 3 = 2 + 1  9 images/s"]
        );
        assert_eq!(fold(8), ["#####---", "step 5 o", "loss 3 =", "9 images"]);
    }
}
