//! Pictures in the terminal: the program in a window of tmux's, looked at as a person would.
#![cfg(unix)]

mod common;

use common::{Place, skip};
use serde_json::json;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A window with a shell in it, `$ ` as its prompt and the program as `$VAE`.
struct Window<'a> {
    place: &'a Place,
}

impl<'a> Window<'a> {
    /// Opens a window of so many columns and lines, if there is tmux.
    fn open(place: &'a Place, columns: usize, lines: usize) -> Option<Self> {
        let window = Self { place };
        place.write("shell", "PS1='$ '");
        let size = format!("new-session -d -x {columns} -y {lines}");
        let mut command = window.command(&size);
        command.arg("sh");
        match command.status() {
            Ok(status) => assert!(status.success()),
            Err(_) => {
                skip("there is no tmux");
                return None;
            }
        }
        window.wait("a prompt", |text| text.contains('$'));
        Some(window)
    }

    /// A command to a server of the window's own.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("tmux");
        let of_program = self.place.command("");
        for (name, value) in of_program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
            .args(["-u", "-f", "/dev/null", "-S", "tmux"])
            .args(line.split(' '))
            .current_dir(self.place.path(""))
            .stdin(Stdio::null())
            .env("VAE", env!("CARGO_BIN_EXE_vae"))
            .env("ENV", self.place.path("shell"))
            .env("LC_ALL", "C.UTF-8")
            .env("COLORTERM", "truecolor")
            .env_remove("NO_COLOR")
            .env_remove("VAE_GRAPHICS")
            .env_remove("TMUX");
        command
    }

    fn tmux(&self, line: &str) -> String {
        let output = self.command(line).output().unwrap();
        assert!(output.status.success(), "tmux {line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Types a line.
    fn enter(&self, line: &str) {
        let typed = self.command("send-keys -l").arg(line).status();
        assert!(typed.unwrap().success());
        self.tmux("send-keys Enter");
    }

    fn resize(&self, columns: usize, lines: usize) {
        self.tmux(&format!("resize-window -x {columns} -y {lines}"));
    }

    /// What is on the screen, without colours.
    fn text(&self) -> String {
        self.tmux("capture-pane -p")
    }

    /// Waits until the screen shows something.
    #[track_caller]
    fn wait(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let text = self.text();
            if is_there(&text) {
                return text;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "no {what} in:\n{text}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Checks that only text is on the screen, with a prompt at its end and the cursor, which is visible, after that.
    #[track_caller]
    fn assert_clean(&self) {
        let text = self.wait("a prompt at the end", |text| {
            text.trim_end().ends_with("\n$")
        });
        assert!(
            !text.contains(is_drawn) && !text.contains('\u{1b}'),
            "{text}"
        );
        assert_eq!(bars(&text), 0, "{text}");
        let last = text.trim_end().lines().count() - 1;
        let cursor = self.tmux("display-message -p #{cursor_x},#{cursor_y},#{cursor_flag}");
        assert_eq!(cursor.trim(), format!("2,{last},1"), "{text}");
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        let _ = self.command("kill-server").output();
    }
}

fn is_half_block(letter: char) -> bool {
    ['▀', '▄'].contains(&letter)
}

fn is_braille(letter: char) -> bool {
    ('\u{2800}'..='\u{28ff}').contains(&letter)
}

/// Whether a letter is one of those that pictures, curves and bars are made of.
fn is_drawn(letter: char) -> bool {
    is_half_block(letter) || is_braille(letter) || ['█', '░'].contains(&letter)
}

/// How many bars a text has.
fn bars(text: &str) -> usize {
    let begins = |line: &&str| line.starts_with(['█', '░']);
    text.lines().filter(begins).count()
}

/// The lines from the bar on.
fn from_bar(text: &str) -> Vec<&str> {
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with(['█', '░']));
    lines.map(str::trim_end).collect()
}

/// A training that takes longer than any test.
fn endless(place: &Place) {
    let changes = [
        ("/steps", json!(10_000_000)),
        ("/image_every", json!(500)),
        ("/save_every", json!(5_000)),
        ("/eval_every", json!(5_000)),
    ];
    place.config("endless.json", &changes);
    place.write(
        "go",
        "exec \"$VAE\" train --config endless.json --threads 1 --out run",
    );
}

/// Whether pictures and curves are on the screen, below one bar.
fn has_panel(text: &str) -> bool {
    let words = [
        "test images, reconstructions, drawings",
        "squared error",
        "KL",
    ];
    let below = from_bar(text).join("\n");
    words.iter().all(|words| below.contains(words))
        && below.contains(is_half_block)
        && below.contains(is_braille)
        && bars(text) == 1
}

#[test]
fn a_training_shows_pictures_and_curves_below_its_bar_and_leaves_a_clean_screen() {
    let place = Place::new();
    endless(&place);
    let Some(window) = Window::open(&place, 80, 24) else {
        return;
    };
    window.enter("sh go");
    window.wait("a panel", has_panel);
    assert!(window.tmux("capture-pane -p -e").contains("48;2;"));
    let cursor = window.tmux("display-message -p #{cursor_x},#{cursor_flag}");
    assert_eq!(cursor.trim(), "0,1");
    // They are replaced in their place.
    let first = window.wait("a panel", has_panel);
    let second = window.wait("another panel", |text| {
        let caption = |text: &str| {
            text.lines()
                .find(|l| l.contains("drawings"))
                .map(str::to_string)
        };
        has_panel(text) && caption(text) != caption(&first)
    });
    assert_eq!(from_bar(&first).len(), from_bar(&second).len());
    // Test values are told above, and stand at the curves.
    window.wait("test values", |text| {
        text.contains("step 5000: test loss") && from_bar(text).join("\n").contains("   test ")
    });
    window.tmux("send-keys C-c");
    window.wait("the end", |text| {
        text.contains("stopped and saved after step")
    });
    window.assert_clean();
    // Nor is there anything to scroll back to but text.
    let all = window.tmux("capture-pane -p -S -");
    assert!(!all.contains(is_drawn), "{all}");
}

#[test]
fn a_training_that_is_suspended_leaves_a_clean_screen_and_draws_anew() {
    let place = Place::new();
    endless(&place);
    let Some(window) = Window::open(&place, 80, 24) else {
        return;
    };
    window.enter("\"$VAE\" train --config endless.json --out run");
    for _ in 0..2 {
        window.wait("a panel", has_panel);
        window.tmux("send-keys C-z");
        window.wait("the shell", |text| text.contains("Stopped"));
        window.assert_clean();
        window.enter("clear; fg");
    }
    window.wait("a panel", has_panel);
    window.tmux("send-keys C-z");
    window.wait("the shell", |text| text.contains("Stopped"));
    // Where it does not have the terminal, it draws nothing onto it.
    window.enter("clear; bg");
    std::thread::sleep(Duration::from_millis(500));
    window.enter("");
    let text = window.text();
    assert!(!text.contains(is_half_block), "{text}");
    window.enter("clear; fg");
    window.wait("a panel", has_panel);
    window.tmux("send-keys C-c");
    window.wait("the end", |text| {
        text.contains("stopped and saved after step")
    });
    window.assert_clean();
}

#[test]
fn a_window_may_change_its_size() {
    let place = Place::new();
    endless(&place);
    let Some(window) = Window::open(&place, 70, 24) else {
        return;
    };
    window.enter("clear; sh go");
    window.wait("a panel", has_panel);
    for (columns, lines) in [(120, 40), (100, 30), (130, 30)] {
        window.resize(columns, lines);
        let wide = |text: &str| text.lines().any(|line| line.chars().count() > columns / 2);
        window.wait("a panel", |text| has_panel(text) && wide(text));
    }
    window.resize(20, 24);
    window.wait("no curves", |text| {
        !text.contains(is_braille) && bars(text) == 1
    });
    window.resize(80, 24);
    window.wait("a panel", has_panel);
    window.tmux("send-keys C-c");
    window.wait("the end", |text| {
        text.contains("stopped and saved after step")
    });
    window.assert_clean();
}

#[test]
fn in_a_narrow_window_no_line_is_broken() {
    for columns in [20, 50] {
        let place = Place::new();
        endless(&place);
        let Some(window) = Window::open(&place, columns, 24) else {
            return;
        };
        window.enter("sh go");
        window.wait("a bar", |text| text.contains("images/s"));
        std::thread::sleep(Duration::from_millis(500));
        let [plain, joined] =
            ["-p", "-p -J"].map(|how| window.tmux(&format!("capture-pane {how}")));
        assert_eq!(from_bar(&plain).len(), from_bar(&joined).len(), "{plain}");
        assert_eq!(bars(&plain), 1, "{plain}");
        window.tmux("send-keys C-c");
        window.wait("the end", |text| text.contains("saved"));
        window.assert_clean();
    }
}

#[test]
fn pictures_of_a_training_that_is_complete_stay_and_change_nothing_in_its_run() {
    let place = Place::new();
    place.ok("train --config tiny.json --out plain");
    let Some(window) = Window::open(&place, 80, 40) else {
        return;
    };
    window.enter("\"$VAE\" train --config tiny.json --out shown");
    let text = window.wait("the end", |text| text.contains("done in"));
    assert!(
        text.contains("step 30: test images, reconstructions, drawings"),
        "{text}"
    );
    assert!(
        text.contains(is_half_block) && text.contains(is_braille),
        "{text}"
    );
    assert!(!text.contains(['█', '░']), "{text}");
    place.assert_same("plain", "shown");
}

#[test]
fn there_are_no_pictures_where_none_are_wanted() {
    let place = Place::new();
    let Some(window) = Window::open(&place, 80, 40) else {
        return;
    };
    for (number, (before, after)) in [
        ("NO_COLOR=1", ""),
        ("VAE_GRAPHICS=none", ""),
        ("TERM=dumb", ""),
        ("", "--no-pictures"),
        ("", "--quiet"),
    ]
    .into_iter()
    .enumerate()
    {
        let run = format!("run{number}");
        window.enter("clear");
        window.enter(&format!(
            "{before} \"$VAE\" train --config tiny.json --out {run} {after}; echo end of {run}"
        ));
        let text = window.wait("the end", |text| text.contains(&format!("\nend of {run}")));
        assert!(!text.contains(is_drawn), "{before} {after}: {text}");
        assert!(text.contains(&format!("\n{run}\n")), "{text}");
        let plain = text.contains("step 10 of 30: loss");
        assert_eq!(plain, before == "TERM=dumb", "{text}");
        assert_eq!(text.contains("done in"), after != "--quiet", "{text}");
    }
}

#[test]
fn each_command_shows_what_it_has_written() {
    let place = Place::with_model();
    place.config("flat.json", &[("/latent_dim", json!(2))]);
    place.ok("train --config flat.json --out flat");
    place.ok("encode --model run --n 4 codes.npz");
    for line in [
        "sample --model run --n 4 a.png",
        "sample --model run --n 4 a.npy",
        "sample --model run --n 4 a/",
        "reconstruct --model run --out b.png",
        "reconstruct --model run --mask top --out b.png",
        "decode --model run codes.npz c.png",
        "latent interpolate --model run --out d.gif",
        "latent traverse --model run --out e.svg",
        "latent manifold --model flat --out f.png",
        "latent scatter --model run --out g.svg",
    ] {
        let shown = |name: &str, value: &str| {
            let mut command = place.command(&format!("{line} --show"));
            command.env("TERM", "xterm-256color");
            for name in ["NO_COLOR", "VAE_GRAPHICS", "COLORTERM"] {
                command.env_remove(name);
            }
            let output = command.env(name, value).output().unwrap();
            assert!(output.status.success(), "{line}: {output:?}");
            let out = String::from_utf8(output.stdout).unwrap();
            assert!(!out.contains('\u{1b}'), "{line}: {out}");
            String::from_utf8(output.stderr).unwrap()
        };
        let text = shown("COLUMNS", "");
        assert!(
            text.contains(is_half_block) && text.contains("8;5;"),
            "{line}: {text}"
        );
        let text = shown("NO_COLOR", "1");
        assert!(!text.contains(['▀', '▄', '\u{1b}']), "{line}: {text}");
        assert!(text.contains("no pictures are shown"), "{line}: {text}");
        let quiet = place.ok(&format!("{line} --show --quiet"));
        assert_eq!(quiet.stderr, "", "{line}");
    }
}

#[test]
fn pictures_are_shown_in_a_window_and_as_many_as_it_has_room_for() {
    let place = Place::with_model();
    let Some(window) = Window::open(&place, 80, 24) else {
        return;
    };
    window.enter("clear; \"$VAE\" sample --model run --n 12 --show out.png");
    let text = window.wait("pictures", |text| text.trim_end().ends_with("\n$"));
    let lines = text.lines().filter(|line| line.contains(is_half_block));
    let lines: Vec<&str> = lines.collect();
    // Two rows of six.
    assert!((8..21).contains(&lines.len()), "{text}");
    assert!(lines.iter().all(|line| line.chars().count() < 80), "{text}");
    assert!(!text.contains("shown are"), "{text}");
    window.enter("clear; \"$VAE\" sample --model run --n 10 --columns 10 --show out.png");
    window.wait("how many", |text| text.contains("shown are 7 of 10"));
}

/// What a terminal gets to see that is told to have graphics.
fn graphics(place: &Place, graphics: &str, line: &str) -> Option<String> {
    let mut command = Command::new("script");
    let line = format!("'{}' {line}", env!("CARGO_BIN_EXE_vae"));
    command
        .args(["-qec", &line, "/dev/null"])
        .current_dir(place.path(""))
        .stdin(Stdio::null())
        .env("TERM", "xterm-256color")
        .env("VAE_GRAPHICS", graphics)
        .env_remove("NO_COLOR");
    let Ok(output) = command.output() else {
        skip("there is no script");
        return None;
    };
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_terminal_with_graphics_gets_those() {
    let place = Place::with_model();
    for (name, begins, ends) in [
        ("kitty", "\x1b_Ga=T,f=100,q=2,C=1,", "\x1b\\"),
        ("iterm2", "\x1b]1337;File=inline=1;", "\x07"),
        ("sixel", "\x1bP0;1;0q\"1;1;", "\x1b\\"),
    ] {
        let line = "sample --model run --n 4 --show out.png";
        let Some(text) = graphics(&place, name, line) else {
            return;
        };
        let (_, after) = text
            .split_once(begins)
            .unwrap_or_else(|| panic!("{name}: {text:?}"));
        assert!(
            after.contains(ends) && !text.contains(is_half_block),
            "{name}"
        );
        // The cursor comes back to where it was.
        assert_eq!(text.matches("\x1b7").count(), text.matches("\x1b8").count());
        let line = format!("train --config tiny.json --out run-{name}");
        let text = graphics(&place, name, &line).unwrap();
        assert!(
            text.contains(begins) && text.contains(is_braille),
            "{name}: {text:?}"
        );
    }
}

#[test]
fn graphics_that_there_are_not_are_wrong_usage() {
    let place = Place::with_model();
    for line in [
        "sample --model run --show out.png",
        "train --config tiny.json --out other",
    ] {
        let mut command = place.command(line);
        let output = command.env("VAE_GRAPHICS", "ascii").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.starts_with("error: VAE_GRAPHICS: is `ascii`"),
            "{text}"
        );
        assert!(!place.path("out.png").exists() && !place.path("other").exists());
    }
}
