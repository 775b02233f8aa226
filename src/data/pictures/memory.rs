//! How much of the memory pixels may take.

/// What they may take where it is not known how much there is.
const UNKNOWN: u64 = 4 << 30;

/// Bytes of pixels that are held in memory at most: half of what the system has to give, where it says that.
pub(super) fn most_in_memory() -> u64 {
    let told = std::fs::read_to_string("/proc/meminfo").ok();
    let available = told.as_deref().and_then(available);
    available.map_or(UNKNOWN, |bytes| bytes / 2)
}

/// The bytes that Linux says are available.
fn available(told: &str) -> Option<u64> {
    let mut lines = told.lines();
    let amount = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = amount.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_what_linux_says() {
        let told = "MemTotal:       24606128 kB\nMemAvailable:   24001024 kB\nBuffers: 1 kB\n";
        assert_eq!(available(told), Some(24_001_024 << 10));
        assert_eq!(available("MemTotal: 24606128 kB\n"), None);
    }
}
