//! A browser without a window, to open pages in.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What Chromium is called, where it is.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// The browser on this machine; if there is none, a test that wants it is skipped.
pub fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut places = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = places.find(|place| place.is_file());
    if found.is_none() {
        super::skip("there is no Chromium");
    }
    found
}

/// Twenty seconds of a page's own time, which pass as soon as nothing is left to be done in them.
pub const FAST_CLOCK: &str = "--virtual-time-budget=20000";

/// What a page is after twenty seconds of its own time: opened from disk, without a network.
pub fn dump_dom(page: &Path) -> String {
    dump_dom_with(page, &[FAST_CLOCK])
}

/// The same with other flags; without any, what it is as soon as it has loaded.
#[track_caller]
pub fn dump_dom_with(page: &Path, flags: &[&str]) -> String {
    let browser = browser().expect("a browser");
    // One of its own: browsers that share a profile wait for each other.
    let profile = tempfile::TempDir::new().unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .args(["--no-first-run", "--window-size=1280,1000"])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(flags)
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
