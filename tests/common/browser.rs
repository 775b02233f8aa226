//! A real browser that opens pages from disk, where there is one.

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
    String::from_utf8(output.stdout).unwrap()
}
