//! How much becomes one destination transaction.
//!
//! An applier takes whatever waits for it, so what it writes is small while the link is in step and grows with the
//! backlog, up to a limit. A transaction costs a round trip and a flush whatever it holds: where that takes long, more is
//! taken at a time, so that the destination works most of the time and does not wait.

use std::time::Duration;

/// A round trip and a commit that take as long as this are taken to be a near server's.
const NEAR: Duration = Duration::from_millis(10);
/// Times as much is taken of a far one, at most. Bytes are memory, and grow less.
const FAR: u32 = 8;
const FAR_BYTES: u32 = 2;

/// A destination transaction takes in no more source transactions once it has as much as this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of row images and what is kept with them.
    pub bytes: usize,
    /// Row changes.
    pub changes: usize,
    /// Source transactions.
    pub transactions: usize,
}

const BASE: Limits = Limits {
    bytes: 2 << 20,
    changes: 4000,
    transactions: 500,
};

impl Limits {
    /// For a destination whose commits take this long.
    pub fn for_commits_of(commit: Duration) -> Self {
        let times = u32::try_from(commit.as_millis() / NEAR.as_millis()).unwrap_or(u32::MAX);
        let scaled = |base: usize, most: u32| base.saturating_mul(times.clamp(1, most) as usize);
        Self {
            bytes: scaled(BASE.bytes, FAR_BYTES),
            changes: scaled(BASE.changes, FAR),
            transactions: scaled(BASE.transactions, FAR),
        }
    }
}

/// How long commits take, with the way there and back: the shortest of late, so that one that waited for a lock or a busy
/// disk does not count.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommitTime(Option<Duration>);

impl CommitTime {
    /// One took this long.
    pub fn took(&mut self, time: Duration) {
        // It comes down at once, and goes up by and by: the way may have become longer.
        self.0 = Some(match self.0 {
            Some(known) if time > known => known + (time - known) / 16,
            _ => time,
        });
    }

    /// The limits that follow.
    pub fn limits(&self) -> Limits {
        Limits::for_commits_of(self.0.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_taken_where_commits_take_long() {
        let of = |millis| Limits::for_commits_of(Duration::from_millis(millis));
        assert_eq!((of(0), of(15)), (BASE, BASE));
        assert_eq!(of(50).transactions, 2500);
        assert_eq!((of(50).bytes, of(50).changes), (4 << 20, 20_000));
        assert_eq!((of(10_000).transactions, of(10_000).changes), (4000, 32_000));
    }

    #[test]
    fn a_commit_that_had_to_wait_counts_little_and_a_longer_way_in_the_end() {
        let mut commits = CommitTime::default();
        assert_eq!(commits.limits(), BASE);
        commits.took(Duration::from_millis(2));
        commits.took(Duration::from_millis(100));
        assert_eq!(commits.limits(), BASE);
        for _ in 0..50 {
            commits.took(Duration::from_millis(100));
        }
        assert_eq!(commits.limits().transactions, 4000);
        commits.took(Duration::from_millis(2));
        assert_eq!(commits.limits(), BASE);
    }
}
