//! What processes hold in memory: their own pages, so that the program, which all of them share, is not counted again and again.

/// Kilobytes of all servers together.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// With nobody there.
    pub(crate) before: u64,
    /// With all clients there, none of whom has asked.
    pub(crate) connected: u64,
    /// When all have asked everything.
    pub(crate) asked: u64,
}

impl Memory {
    pub(crate) fn print(&self, who: &str, clients: usize) {
        let megabytes = |kilobytes: u64| kilobytes as f64 / 1024.0;
        let each = |now: u64| now.saturating_sub(self.before) / clients as u64;
        println!(
            "  {who:20} {:11.1} {:11.1} {:8.1}  {} connected, {} asked",
            megabytes(self.before),
            megabytes(self.connected),
            megabytes(self.asked),
            each(self.connected),
            each(self.asked)
        );
    }
}

/// Of these processes, together.
pub(crate) fn of(pids: impl IntoIterator<Item = u32>) -> u64 {
    pids.into_iter().map(anonymous).sum()
}

fn anonymous(pid: u32) -> u64 {
    let told = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = told.lines().find(|line| line.starts_with("RssAnon:"));
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    word.unwrap().parse().unwrap()
}
