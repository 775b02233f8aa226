//! Pictures as terminals show them. All of it is text that is given back: only the command line prints.

pub mod blocks;
pub mod curve;
pub mod drawn;
pub mod iterm2;
pub mod kitty;
pub mod panel;
pub mod sheet;
pub mod sixel;

pub use blocks::Colours;
pub use drawn::{Drawn, Graphics, Line, Room};
pub use panel::Panel;
pub use sheet::Sheet;
