//! `rows_per_second` and `bytes_per_second`: what a link copies and what it applies draw on the same budget.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{model::task::TaskOptions, schedule::pace::Budget};

/// The longest wait in one go.
const SLICE: Duration = Duration::from_secs(1);

/// The pace of a link.
#[derive(Debug)]
pub struct Pace {
    since: Instant,
    /// Rows and bytes; `None`: no limit.
    budgets: Option<Mutex<[Budget; 2]>>,
}

impl Pace {
    /// As the options say.
    pub fn new(options: &TaskOptions) -> Self {
        let rates = [options.rows_per_second, options.bytes_per_second];
        let is_limited = rates.iter().any(|rate| *rate > 0);
        Self {
            since: Instant::now(),
            budgets: is_limited.then(|| Mutex::new(rates.map(Budget::new))),
        }
    }

    /// Returns when the next rows may come.
    pub async fn wait(&self) {
        let Some(budgets) = &self.budgets else { return };
        loop {
            let now_us = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
            let mut wait_us = 0;
            for budget in budgets.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
                wait_us = wait_us.max(budget.wait_us(now_us));
            }
            if wait_us == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_micros(wait_us).min(SLICE)).await;
        }
    }

    /// Rows have come.
    pub fn spend(&self, rows: usize, bytes: usize) {
        let Some(budgets) = &self.budgets else { return };
        let mut budgets = budgets.lock().unwrap_or_else(PoisonError::into_inner);
        for (budget, amount) in budgets.iter_mut().zip([rows, bytes]) {
            budget.spend(amount as u64);
        }
    }
}
