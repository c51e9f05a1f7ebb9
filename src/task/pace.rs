//! `rows_per_second` and `bytes_per_second`: what a link copies and what it applies share one limit. While both are at work
//! each has half of it, so that copying a table, which comes in large pieces, does not hold up the changes of others.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{model::task::TaskOptions, schedule::pace::Budget};

/// The longest wait in one go.
const SLICE: Duration = Duration::from_millis(500);
/// Who has done nothing for this long leaves its half to the other.
const RESTS_US: u64 = 1_000_000;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Full sync, and the copy of tables that came in.
    Copy,
    /// Changes.
    Changes,
}

/// The pace of a link.
#[derive(Debug)]
pub struct Pace {
    since: Instant,
    /// Rows and bytes a second; 0: no limit.
    rates: [u64; 2],
    lanes: Mutex<[Lane; 2]>,
}

#[derive(Debug)]
struct Lane {
    /// Of rows, and of bytes.
    budgets: [Budget; 2],
    /// When anything was done last; `None`: nothing was.
    used_us: Option<u64>,
}

impl Pace {
    /// As the options say.
    pub fn new(options: &TaskOptions) -> Self {
        let rates = [options.rows_per_second, options.bytes_per_second];
        let lane = || Lane {
            budgets: rates.map(Budget::new),
            used_us: None,
        };
        Self {
            since: Instant::now(),
            rates,
            lanes: Mutex::new([lane(), lane()]),
        }
    }

    fn is_limited(&self) -> bool {
        self.rates.iter().any(|rate| *rate > 0)
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn lanes(&self) -> MutexGuard<'_, [Lane; 2]> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the next rows may come.
    pub async fn wait(&self, work: Work) {
        while self.is_limited() {
            let wait_us = self.wait_us(work);
            if wait_us == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_micros(wait_us).min(SLICE)).await;
        }
    }

    fn wait_us(&self, work: Work) -> u64 {
        let now_us = self.now_us();
        let mut lanes = self.lanes();
        let [copy, changes] = &mut *lanes;
        let (own, other) = match work {
            Work::Copy => (copy, changes),
            Work::Changes => (changes, copy),
        };
        let is_shared = other.used_us.is_some_and(|used| now_us.saturating_sub(used) < RESTS_US);
        let mut wait_us = 0;
        for (budget, rate) in own.budgets.iter_mut().zip(self.rates) {
            wait_us = wait_us.max(budget.wait_us(now_us));
            // From now on.
            budget.set_rate(if is_shared { rate.div_ceil(2) } else { rate });
        }
        own.used_us = Some(now_us);
        wait_us
    }

    /// Rows have come.
    pub fn spend(&self, work: Work, rows: usize, bytes: usize) {
        if !self.is_limited() {
            return;
        }
        let mut lanes = self.lanes();
        let [copy, changes] = &mut *lanes;
        let own = if work == Work::Copy { copy } else { changes };
        for (budget, amount) in own.budgets.iter_mut().zip([rows, bytes]) {
            budget.spend(amount as u64);
        }
    }
}
