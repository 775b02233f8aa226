//! A real browser that opens pages from disk, where there is one.
//! A browser without a window, to open pages in.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Chromium, under one of its names; if there is none, a test that wants it is skipped.
pub fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut places =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    let found = places.find(|place| place.is_file());
    if found.is_none() {
        super::skip("there is no Chromium");
    }
    found
}

/// The elements of a page after its scripts have run, as the browser writes them.
pub fn dump_dom(page: &Path) -> String {
    let browser = browser().unwrap();
    // What one browser leaves, no other finds.
    let home = tempfile::TempDir::new().unwrap();
    let mut command = Command::new(browser);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--window-size=1280,900", "--virtual-time-budget=5000"])
        .arg(format!("--user-data-dir={}", home.path().display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{page:?}: {said}");
/// What Chromium is called, where it is.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Twenty seconds of a page's own time, which pass as soon as nothing is left to be done in them.
pub const FAST_CLOCK: &str = "--virtual-time-budget=20000";

/// The browser on this machine, if there is one.
pub fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut found = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.find(|file| file.is_file())
}

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
