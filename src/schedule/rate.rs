//! How many things a second were done lately. Time is passed in.

/// Seconds that are looked back on: as many as there are counts.
const WINDOW_S: u64 = 10;

/// A count over the last seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rate {
    /// By the second's number, modulo the window.
    counts: [u64; 10],
    /// The newest second that is counted.
    newest_s: u64,
    /// When counting began, or began again after a rest of a whole window.
    since_s: u64,
}

impl Rate {
    /// So many were done in this second.
    pub fn add(&mut self, now_s: u64, count: u64) {
        self.forget_up_to(now_s);
        if let Some(slot) = slot(now_s).and_then(|place| self.counts.get_mut(place)) {
            *slot = slot.saturating_add(count);
        }
    }

    /// How many a second.
    pub fn per_second(&self, now_s: u64) -> u64 {
        let mut now = self.clone();
        now.forget_up_to(now_s);
        let seconds = now_s.saturating_sub(now.since_s).saturating_add(1).min(WINDOW_S);
        let sum: u64 = now.counts.iter().sum();
        (sum + seconds / 2) / seconds.max(1)
    }

    /// Leaves out what is older than the window.
    fn forget_up_to(&mut self, now_s: u64) {
        if now_s >= self.newest_s.saturating_add(WINDOW_S) {
            *self = Self {
                newest_s: now_s,
                since_s: now_s,
                ..Self::default()
            };
        }
        while self.newest_s < now_s {
            self.newest_s += 1;
            if let Some(slot) = slot(self.newest_s).and_then(|place| self.counts.get_mut(place)) {
                *slot = 0;
            }
        }
    }
}

fn slot(second: u64) -> Option<usize> {
    usize::try_from(second % WINDOW_S).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(done: &[(u64, u64)], now_s: u64, expected: u64) {
        let mut rate = Rate::default();
        done.iter().for_each(|(at, count)| rate.add(*at, *count));
        assert_eq!(rate.per_second(now_s), expected, "{done:?} at {now_s}");
    }

    #[test]
    fn what_is_older_than_the_window_is_left_out() {
        check(&[], 100, 0);
        check(&[(100, 50)], 100, 50);
        check(&[(100, 50), (101, 30)], 101, 40);
        check(&[(100, 50), (104, 50)], 109, 10);
        check(&[(100, 50), (104, 50)], 110, 5);
        check(&[(100, 50)], 130, 0);
        check(&[(100, 50), (200, 7)], 200, 7);
    }
}
