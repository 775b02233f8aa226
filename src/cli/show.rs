//! `--show`: pictures in the terminal.

use super::console::Console;
use super::terminal::{self, Size};
use crate::Result;
use crate::data::ImageShape;
use crate::picture::terminal::{Colours, Drawn, Graphics, Room, Sheet};
use clap::Args;
use image::RgbaImage;

/// Lines that a screen has for other things than pictures: the command, what it says, the next prompt.
const SPARE: usize = 4;

/// Whether pictures are shown.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Show {
    /// Show the pictures in the terminal, too: as graphics where the terminal is known to have them, else as half blocks in
    /// colour. They go to stderr, also where that is no terminal (`2>&1 | less -R`), but not with NO_COLOR, TERM=dumb or
    /// --quiet. VAE_GRAPHICS decides otherwise: kitty, iterm2, sixel, blocks or none
    #[arg(long)]
    show: bool,
}

/// Where pictures are shown, if they are.
pub(super) struct Showing<'a> {
    console: &'a Console,
    graphics: Option<Graphics>,
}

impl Show {
    /// Finds out how pictures are to be shown.
    ///
    /// # Errors
    ///
    /// If the environment asks for what there is not.
    pub fn open(self, console: &Console) -> Result<Showing<'_>> {
        let graphics = match self.show && !console.is_quiet() {
            true => terminal::graphics(console.is_terminal())?,
            false => None,
        };
        if self.show && graphics.is_none() {
            console.say("no pictures are shown: NO_COLOR, TERM or VAE_GRAPHICS says so");
        }
        Ok(Showing { console, graphics })
    }
}

impl Showing<'_> {
    /// Whether pictures are shown.
    pub fn is_on(&self) -> bool {
        self.graphics.is_some()
    }

    /// Shows pictures, row by row in so many columns, if these belong together.
    pub fn pictures(
        &self,
        values: &[f32],
        shape: ImageShape,
        columns: Option<usize>,
    ) -> Result<()> {
        self.sheet(&Sheet {
            sets: vec![values],
            shape,
            columns,
        })
    }

    /// Shows pictures, or as many of them as there is room for.
    pub fn sheet(&self, sheet: &Sheet) -> Result<()> {
        let Some(room) = self.room() else {
            return Ok(());
        };
        let (count, mut shown) = (sheet.count(), 0);
        if let Some(placing) = sheet.place(&room) {
            self.draw(sheet.draw(&placing, &room)?, &room)?;
            shown = placing.shown(count);
        }
        if shown < count {
            self.console
                .say(format_args!("shown are {shown} of {count}"));
        }
        Ok(())
    }

    /// Shows what can be drawn in any size, and below it which colour is what.
    pub fn drawing(
        &self,
        draw: impl FnOnce([u32; 2]) -> RgbaImage,
        legend: impl FnOnce(Colours) -> String,
    ) -> Result<()> {
        let Some(room) = self.room() else {
            return Ok(());
        };
        let [across, down] = room.unit();
        let lines = room.lines.min(room.columns / 2).max(1);
        let size = [2 * lines as u32 * across, 2 * lines as u32 * down];
        self.draw(draw(size), &room)?;
        self.console.say(legend(room.graphics.colours()));
        Ok(())
    }

    fn room(&self) -> Option<Room> {
        let mut room = Size::now().room(self.graphics?);
        room.lines = room.lines.saturating_sub(SPARE).max(1);
        Some(room)
    }

    fn draw(&self, picture: RgbaImage, room: &Room) -> Result<()> {
        self.console
            .show(Drawn::picture(picture, room, None)?.text(""));
        Ok(())
    }
}
